"""The whole system on this host: nats-server, simulator, follower, engine, connectors, put together in one place."""

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from oms.cli.exits import Exit, StoppedError
from oms.cli.supervisor import Program, Say, Supervisor
from oms.config import Config, dump_config, override
from oms.nats_server import EmbeddedNats
from oms.venues.credentials import variables

SIMULATOR: Final = "simulator"
ENGINE: Final = "engine"
FOLLOWER: Final = "follower"
_POLL_S: Final = 0.25


class Stack:
    """Everything that the configuration asks for. ``start`` it, wait for ``failed``, and always ``stop`` it.

    Args:
        config: with ``nats.embedded`` a nats-server is run too; with ``simulator.enabled`` the simulated exchange.
        say: is told what processes write, and what becomes of them.

    Attributes:
        config: as the processes see it, once started: with the address of the server that runs.
    """

    def __init__(self, config: Config, say: Say) -> None:
        self.config = config
        self.processes = Supervisor(say)
        self.nats: EmbeddedNats | None = None
        self.simulator_port = 0
        self._stopping = False
        self._run_dir = config.storage.data_dir / "run"
        self._keys: dict[str, str] = {}

    @property
    def ca_path(self) -> Path:
        """Certificate authority of the simulator."""
        return self._run_dir / "simulator-ca.pem"

    @property
    def config_path(self) -> Path:
        """The configuration that the processes were given."""
        return self._run_dir / "config.yaml"

    async def start(self) -> None:
        """Start everything and return once orders can be placed.

        Raises:
            StoppedError: a process did not come up. NatsServerError: the embedded nats-server did not.
        """
        if self.config.nats.embedded:
            self.nats = EmbeddedNats(self.config.storage.data_dir / "nats", self.config.nats.port)
            await self.nats.start()
            self.config = override(self.config, nats_url=self.nats.url, monitor_url=self.nats.monitor_url)
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(dump_config(self.config), encoding="utf-8")
        if self.config.simulator.enabled:
            self._keys = _throw_away_keys(self.config)
            simulator = await self._start(
                SIMULATOR, ["--ca", str(self.ca_path)], environment=self._keys, restart=False
            )
        follower = await self._start(FOLLOWER)
        engine = await self._start(ENGINE)
        extra: list[str] = []
        if self.config.simulator.enabled:
            self.simulator_port = (await simulator.ready())["port"]
            extra = ["--simulator", str(self.simulator_port), "--ca", str(self.ca_path)]
        exchanges = dict.fromkeys(venue.split(".")[0] for venue in self.config.venues)
        connectors = [
            await self._start(f"connector {exchange}", [exchange, *extra], environment=self._keys)
            for exchange in exchanges
        ]
        await asyncio.gather(*(child.ready() for child in (engine, follower, *connectors)))

    async def _start(
        self,
        name: str,
        arguments: list[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        restart: bool = True,
    ) -> Any:
        verb = name.partition(" ")[0]
        return await self.processes.start(
            Program(
                name=name,
                arguments=[verb, *(arguments or []), "--config", str(self.config_path)],
                environment=environment or {},
                restart=restart,
            )
        )

    async def failed(self) -> None:
        """Wait until something is gone that is not started again.

        Raises:
            StoppedError: what it was.
        """
        watching = [asyncio.create_task(self.processes.failed()), asyncio.create_task(self._nats_ended())]
        try:
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _nats_ended(self) -> None:
        while self.nats is None or self.nats.running:  # noqa: ASYNC110 - a process is not an event
            await asyncio.sleep(_POLL_S)
        if self._stopping:
            await asyncio.Event().wait()
        raise StoppedError(Exit.NO_ANSWER, f"nats-server ended; its log is {self.nats.log_path}")

    async def stop(self) -> None:
        """Stop everything that runs, in order: nobody loses the one it depends on."""
        self._stopping = True
        await self.processes.stop_all()
        if self.nats is not None:
            await self.nats.stop()


def _throw_away_keys(config: Config) -> dict[str, str]:
    """Keys for one run of the simulator, as the environment that it and the connectors read them from."""
    return {
        name: secrets.token_hex(32)
        for exchange in {venue.split(".")[0] for venue in config.venues}
        for account in config.accounts
        for name in variables(exchange, account)
    }
