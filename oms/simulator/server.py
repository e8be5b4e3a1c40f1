"""The running simulator: one TLS port on loopback, and behind it every exchange, told apart by host."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import trustme
from aiohttp import hdrs, web

from .config import SimulatorConfig
from .control import Control
from .faults import Stage
from .http import Dropped, drop
from .wire import Wire, make_wire

LOCAL_HOSTS = ("localhost", "127.0.0.1")
SHUTDOWN_S = 1.0


class Simulator:
    """Simulated exchanges in one process.

    `start` and `stop` it in a running event loop; `port` and `ca_pem` say how to reach it. The parts of each wire in
    `exchanges` (`exchange`, `driver`, `faults`, …) may be used directly by code in the same event loop.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.exchanges: dict[str, Wire] = {
            each.name: make_wire(each, config.seed, time.time_ns) for each in config.exchanges
        }
        self._by_host = {host: wire for wire in self.exchanges.values() for host in wire.hosts}
        self._control = Control(self)
        self._authority = trustme.CA()
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._port = 0

    @property
    def port(self) -> int:
        """The port it listens on; 0 before `start`."""
        return self._port

    @property
    def ca_pem(self) -> bytes:
        """The certificate authority that its certificate is from."""
        return self._authority.cert_pem.bytes()

    @property
    def ca_path(self) -> Path | None:
        """Where `ca_pem` was written, if the configuration asked for it."""
        return self.config.ca_path

    async def start(self) -> None:
        """Listen, and begin to move the markets. Raises `OSError` when the port or the CA file cannot be had."""
        if self._runner is not None:
            raise RuntimeError("the simulator runs already: stop it before starting it again")
        if self.config.ca_path is not None:
            self.config.ca_path.write_bytes(self.ca_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*self._by_host, *LOCAL_HOSTS).configure_cert(context)
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.config.port, ssl_context=context)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]
        for name, wire in self.exchanges.items():
            self._tasks.append(asyncio.create_task(self._flush(wire), name=f"simulator {name} flush"))
        if self.config.step_interval_ms:
            self._tasks.append(asyncio.create_task(self._drive(), name="simulator markets"))

    async def stop(self) -> None:
        """Close every connection and the port. Does nothing when it is not running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for wire in self.exchanges.values():
            wire.stop()
            wire.drop_websockets("all")
        if self._runner is not None:
            server = self._runner.server
            assert server is not None, "a runner that was set up has a server"
            transports = [connection.transport for connection in server.connections]
            await self._runner.cleanup()
            self._runner = None
            for transport in transports:
                # TLS waits for the peer to close too, which an idle client does not do.
                if transport is not None:
                    transport.abort()
            await asyncio.sleep(0)
        self._port = 0

    async def failed(self) -> None:
        """Wait for ever, or until a background task fails; then raise what it raised."""
        if not self._tasks:
            raise RuntimeError("the simulator does not run: start it first")
        await asyncio.gather(*self._tasks)

    def drop_websockets(self, exchange: str, which: str) -> int:
        """Cut `all`, `user` or `market` WebSockets of an exchange without a closing handshake; return how many."""
        return self.exchanges[exchange].drop_websockets(which)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if request.raw_path.startswith("https://"):
            path = request.path
        try:
            if path.startswith("/control/"):
                return await self._control.serve(request, path, query)
            wire = self._wire_for(request.headers.get(hdrs.HOST, ""), path)
            if wire is None:
                return web.Response(status=404, text=f"no exchange here is at {request.host}{path}\n")
            late = wire.faults.draw(Stage.ARRIVAL, f"{request.method} {path}")
            if late is not None:
                # What was sent is on its way; only its sender has gone.
                await request.read()
                drop(request)
                await asyncio.sleep(late.delay_ms / 1000)
            return await wire.serve(request, path, query)
        except Dropped:
            return web.Response()

    def _wire_for(self, host: str, path: str) -> Wire | None:
        """Return the wire that a host means; on this machine's own names the only one, or the one with such paths."""
        wire = self._by_host.get(host.partition(":")[0].lower())
        if wire is not None:
            return wire
        if len(self.exchanges) == 1:
            return next(iter(self.exchanges.values()))
        fitting = [
            (len(beginning), wire)
            for wire in self.exchanges.values()
            for beginning in wire.paths
            if path.startswith(beginning)
        ]
        return max(fitting, key=lambda found: found[0])[1] if fitting else None

    async def _flush(self, wire: Wire) -> None:
        while True:
            await asyncio.sleep(wire.flush_interval_ms / 1000)
            wire.flush()

    async def _drive(self) -> None:
        while True:
            await asyncio.sleep(self.config.step_interval_ms / 1000)
            for wire in self.exchanges.values():
                wire.driver.step()
                wire.exchange.settle_due_funding()


async def serve(config: SimulatorConfig, ready: Callable[[Simulator], None]) -> None:
    """Run a simulator until cancelled; `ready` is called once it listens. Raises what stopped it otherwise."""
    simulator = Simulator(config)
    await simulator.start()
    try:
        ready(simulator)
        await simulator.failed()
    finally:
        await simulator.stop()
