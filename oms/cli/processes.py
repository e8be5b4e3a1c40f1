"""`oms engine|follower|connector|simulator`: each process by itself, until SIGTERM or SIGINT.

What each needs is imported when it is started: the engine must not carry ccxt, nor a client the engine.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from oms.cli import service as s
from oms.cli.exits import EPILOG, Exit, StoppedError

if TYPE_CHECKING:
    from oms.venues.exchange import Exchange


@click.command(epilog=EPILOG)
@s.config_option
@s.nats_override_option
def engine(config_path: Path | None, nats_url: str | None) -> None:
    """Run the engine: takes commands, writes the journal. One at a time.

    Refuses to start when nats-server does not sync before it acknowledges, when another engine serves, or when the
    journal has lost what was durable (exit code 6, with the range; see `oms replay accept-loss`).
    """
    config = s.configured(config_path, nats_url=nats_url)

    async def work(stop: asyncio.Event) -> None:
        from oms.engine.beginning import begin_controls
        from oms.engine.engine import Engine, EngineSettings
        from oms.nats_server import require_sync_always
        from oms.vault import storage_keys
        from replay.archive import Archive
        from replay.snapshot import Snapshots

        data_dir, keys = config.storage.data_dir, storage_keys(config)
        async with s.connection(config, "mexoms-engine") as nc:
            await require_sync_always(
                config.nats.monitor_url, nc=nc, allow_unsynced=config.nats.allow_unsynced
            )
            settings = EngineSettings(
                accounts={name: account.kind for name, account in config.accounts.items()},
                controls=begin_controls(config.risk),
                snapshots=Snapshots(data_dir, keys),
                archive=Archive(data_dir, keys),
                data_dir=data_dir,
            )
            running = Engine(nc, settings)
            async with _announced(running.ready, "engine"):
                await running.run(stop)

    s.run(work, fast=True)


@click.command(epilog=EPILOG)
@s.config_option
@s.nats_override_option
def follower(config_path: Path | None, nats_url: str | None) -> None:
    """Run a follower: answers queries, publishes events, writes snapshots, archive, trade logs and P&L reports.

    It holds its own state against the engine's seals, and trims the journal behind the archive. At a clean stop it writes a
    snapshot. Of several on one data directory one writes.
    """
    config = s.configured(config_path, nats_url=nats_url)

    async def work(stop: asyncio.Event) -> None:
        from oms.vault import storage_keys
        from replay.following.follower import Follower, FollowerSettings

        settings = FollowerSettings(
            storage=config.storage,
            cache=config.cache,
            keys=storage_keys(config),
            kill=config.audit.on_difference == "kill",
        )
        async with s.connection(config, "mexoms-follower") as nc:
            running = Follower(nc, settings)
            async with _announced(running.ready, "follower"):
                await running.run(stop)

    s.run(work, fast=True)


@contextlib.asynccontextmanager
async def _announced(ready: asyncio.Event, process: str) -> AsyncIterator[None]:
    async def announce() -> None:
        await ready.wait()
        s.say_ready(process)

    task = asyncio.create_task(announce())
    try:
        yield
    finally:
        task.cancel()


@click.command(epilog=EPILOG)
@s.config_option
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Where to listen; 0 takes a free one."
)
@click.option(
    "--ca",
    "ca_path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where to write the certificate authority that clients have to trust.",
)
def simulator(config_path: Path | None, port: int, ca_path: Path) -> None:
    """Run the simulated exchanges, on loopback: every one that has an enabled venue.

    The accounts' keys come from the environment: MEXOMS_<EXCHANGE>_<ACCOUNT>_KEY, …_SECRET and, for OKX, …_PASSPHRASE,
    any text. Orders live as long as the process.
    """
    config = s.configured(config_path)

    async def work(stop: asyncio.Event) -> None:
        from oms.cli.simulated import simulator_config
        from oms.simulator import Simulator
        from oms.venues.credentials import EnvironmentCredentials

        running = Simulator(simulator_config(config, EnvironmentCredentials(), port=port, ca_path=ca_path))
        await running.start()
        try:
            s.say_ready("simulator", port=running.port, ca=str(ca_path))
            failed = asyncio.create_task(running.failed())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((failed, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if failed.done():
                await failed
            failed.cancel()
        finally:
            await running.stop()

    s.run(work, fast=False)


@click.command(epilog=EPILOG)
@click.argument("exchange", default="binance")
@s.config_option
@s.nats_override_option
@click.option(
    "--simulator",
    "simulator_port",
    type=click.IntRange(1, 65_535),
    help="Port of a simulator to speak to instead.",
)
@click.option(
    "--ca",
    "ca_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --simulator: its certificate authority.",
)
def connector(
    exchange: str,
    config_path: Path | None,
    nats_url: str | None,
    simulator_port: int | None,
    ca_path: Path | None,
) -> None:
    """Run the connector of one exchange: all its enabled markets, every account that trades there.

    EXCHANGE is binance, bybit, okx or upbit; binance when left out. The accounts' keys come from Vault, see vault in the
    configuration. With simulator.enabled there, a simulator must be named, and its keys come from the environment:
    MEXOMS_<EXCHANGE>_<ACCOUNT>_KEY, …_SECRET and, for OKX, …_PASSPHRASE.
    """
    config = s.configured(config_path, nats_url=nats_url)
    exchanges = list(dict.fromkeys(venue.split(".")[0] for venue in config.venues))
    if exchange not in exchanges:
        raise click.UsageError(f"EXCHANGE must be one of {', '.join(exchanges)}, was {exchange!r}")
    if (simulator_port is None) != (ca_path is None):
        raise click.UsageError("--simulator and --ca go together")
    if config.simulator.enabled != (simulator_port is not None):
        wanted = "name one with --simulator and --ca" if config.simulator.enabled else "leave --simulator out"
        raise click.UsageError(f"simulator.enabled is {str(config.simulator.enabled).lower()}: {wanted}")

    async def work(stop: asyncio.Event) -> None:
        # ccxt is two hundred thousand objects that stay. A full collection that looks through them takes tenths of a second, in
        # which no order leaves.
        gc.disable()
        from oms.cli.simulated import venue_ids
        from oms.simulator.client import ccxt_session
        from oms.venues.budgets import Budget
        from oms.venues.exchange import Exchange, Service
        from oms.venues.over_ccxt import Reach
        from oms.venues.settings import Settings
        from oms.venues.vault_keys import open_credentials

        gc.freeze()
        gc.enable()

        async with contextlib.AsyncExitStack() as stack:
            nc = await stack.enter_async_context(s.connection(config, f"mexoms-connector-{exchange}"))
            session = None
            services = {}
            if simulator_port is not None and ca_path is not None:
                session = await stack.enter_async_context(ccxt_session(ca_path, simulator_port))
            for venue, its in config.venues.items():
                if venue.startswith(f"{exchange}."):
                    names = [name for name, account in config.accounts.items() if venue in account.venues]
                    services[venue] = Service(
                        accounts=names,
                        weight_per_minute=its.rate_limits.weight_per_minute,
                        orders_per_second=its.rate_limits.orders_per_second,
                        orders_per_day=its.rate_limits.orders_per_day,
                        reach=Reach(session=session, test_net=its.test_net and not config.simulator.enabled),
                        own={
                            name: Budget(**attrs.asdict(config.rate_limits(name, venue)))
                            for name in names
                            if venue in config.accounts[name].rate_limits
                        },
                    )
            credentials = await stack.enter_async_context(
                open_credentials(config, exchange, simulated=simulator_port is not None, stop=stop)
            )
            if stop.is_set():
                return
            reconcile = config.reconcile
            settings = Settings(
                orders_s=reconcile.orders / 1e9, fills_s=reconcile.fills / 1e9, funds_s=reconcile.funds / 1e9
            )
            running = Exchange(nc, services, credentials, settings, venue_ids(config, exchange))
            credentials.watch(running.rekey)
            serving = asyncio.create_task(_all_ready(running, exchange))
            try:
                await running.run(stop)
            finally:
                serving.cancel()
            if not stop.is_set():
                raise StoppedError(Exit.FENCED, f"another connector serves every account of {exchange}")

    s.run(work, fast=False)


async def _all_ready(running: "Exchange", exchange: str) -> None:
    # Sessions come and go; their readiness is looked at, not waited for.
    while not running.ready:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    s.say_ready("connector", exchange=exchange, venues=list(running.connectors))
