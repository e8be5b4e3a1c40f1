"""The running simulator: one TLS port on loopback for REST, both kinds of WebSocket, and the control API."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import trustme
from aiohttp import web

from oms.simulator.faults import Faults, Stage

from .config import SimulatorConfig
from .control import Control
from .exchange import Exchange, Market, PublicTrade
from .limits import Limiter
from .market import MarketDriver
from .market_streams import DEPTH_INTERVAL_MS, MarketStreams
from .rest import Dropped, RestApi
from .user_streams import UserStreams
from .ws_api import WsApi

NAMES = (
    "api.binance.com",
    "api1.binance.com",
    "api2.binance.com",
    "api3.binance.com",
    "api4.binance.com",
    "stream.binance.com",
    "ws-api.binance.com",
    "localhost",
    "127.0.0.1",
)
MAX_BODY_BYTES = 1 << 20
SHUTDOWN_S = 1.0


class _Outlets:
    """Hands what the exchange reports to those who listen."""

    def __init__(self, users: UserStreams, streams: MarketStreams) -> None:
        self.user_event = users.emit
        self._streams = streams

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._streams.trade(market, trade)

    def book(self, market: Market) -> None:
        self._streams.book(market)


class Simulator:
    """One simulated Binance spot exchange.

    `start` and `stop` it in a running event loop; `port` and `ca_pem` say how to reach it. Its parts
    (`exchange`, `driver`, `faults`, …) may be used directly by code in the same event loop.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.faults = Faults(config.seed, config.faults)
        self.limiter = Limiter(config.rate_limits, time.time_ns)
        self.market_streams = MarketStreams()
        self.users = UserStreams(self.faults)
        self.exchange = Exchange(config, time.time_ns, _Outlets(self.users, self.market_streams))
        self.driver = MarketDriver(self.exchange, config.seed)
        self.rest = RestApi(self.exchange, self.limiter, self.faults)
        self.ws_api = WsApi(self.exchange, self.limiter, self.faults, self.users)
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
        """Listen, and begin to move the market. Raises `OSError` when the port or the CA file cannot be had."""
        if self._runner is not None:
            raise RuntimeError("the simulator runs already: stop it before starting it again")
        if self.config.ca_path is not None:
            self.config.ca_path.write_bytes(self.ca_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*NAMES).configure_cert(context)
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.config.port, ssl_context=context)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]
        self._tasks.append(asyncio.create_task(self._flush_depth(), name="simulator depth"))
        if self.config.step_interval_ms:
            self._tasks.append(asyncio.create_task(self._drive(), name="simulator market"))

    async def stop(self) -> None:
        """Close every connection and the port. Does nothing when it is not running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.users.stop()
        self.drop_websockets("all")
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

    def drop_websockets(self, which: str) -> int:
        """Cut `all`, `user` or `market` WebSockets without a closing handshake; return how many."""
        connections = []
        if which in ("all", "market"):
            connections += [client.connection for client in self.market_streams.clients]
        if which in ("all", "user"):
            connections += [session.connection for session in self.ws_api.sessions]
        for connection in connections:
            connection.cut()
        return len(connections)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if request.raw_path.startswith("https://"):
            path = request.path
        try:
            if path.startswith("/control/"):
                return await self._control.serve(request, path, query)
            if path == "/ws-api/v3" or path == "/stream" or path == "/ws" or path.startswith("/ws/"):
                return await self._serve_websocket(request, path, query)
            return await self.rest.serve(request, path, query)
        except Dropped:
            return web.Response()

    async def _serve_websocket(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if self.faults.draw(Stage.UPGRADE, path) is not None:
            return web.Response(status=503, text="Service Unavailable")
        if path == "/ws-api/v3":
            return await self.ws_api.serve(request)
        return await self.market_streams.serve(request, path, query)

    async def _flush_depth(self) -> None:
        while True:
            await asyncio.sleep(DEPTH_INTERVAL_MS / 1000)
            self.market_streams.flush(self.exchange)

    async def _drive(self) -> None:
        while True:
            await asyncio.sleep(self.config.step_interval_ms / 1000)
            self.driver.step()


async def serve(config: SimulatorConfig, ready: Callable[[Simulator], None]) -> None:
    """Run a simulator until cancelled; `ready` is called once it listens. Raises what stopped it otherwise."""
    simulator = Simulator(config)
    await simulator.start()
    try:
        ready(simulator)
        await simulator.failed()
    finally:
        await simulator.stop()
