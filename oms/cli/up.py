"""`oms up`: the whole system in the foreground."""

import asyncio
import contextlib
import signal
from pathlib import Path

import click

from oms.cli import service as s
from oms.cli.exits import EPILOG
from oms.cli.stack import Stack
from oms.config import Config
from oms.tasks import whole


@click.command(epilog=EPILOG)
@s.config_option
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where journal and snapshots go.  [default: data]",
)
@click.option(
    "--port",
    type=int,
    metavar="N",
    help="Port of the embedded nats-server; 0 takes a free one.  [default: 4222]",
)
@click.option("--nats", "nats_url", metavar="URL", help="Use this nats-server instead of an embedded one.")
@click.option(
    "--monitor",
    "monitor_url",
    metavar="URL",
    help="With --nats: its monitoring address, such as http://127.0.0.1:8222, to ask whether it syncs to disk.",
)
def up(
    config_path: Path | None,
    data_dir: Path | None,
    port: int | None,
    nats_url: str | None,
    monitor_url: str | None,
) -> None:
    """Run everything: nats-server, simulator, engine, connector, follower. Until Ctrl-C.

    \b
    oms up
    oms up --data-dir /var/lib/mexoms --port 4333
    oms up --nats nats://10.0.0.5:4222 --monitor http://10.0.0.5:8222

    With the default configuration nothing reaches a real exchange: accounts main and sub_arb trade BTCUSDT and
    ETHUSDT on a simulated Binance spot, with 100,000 USDT and 2 BTC each. Engine, connector and follower are
    started again when they die, five times a minute at most, and it says so.
    """
    if port is not None and nats_url is not None:
        raise click.UsageError("--port is of the embedded nats-server: leave it out with --nats")
    config = s.configured(
        config_path, data_dir=data_dir, port=port, nats_url=nats_url, monitor_url=monitor_url
    )
    asyncio.run(whole(_up(config)))


async def _up(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    stack = Stack(config, _say)
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(_start_and_watch(stack))
    try:
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if stop.is_set():
            click.echo("stopping …", err=True)
        for task in (stopping, working):
            task.cancel()
        result = (await asyncio.gather(working, return_exceptions=True))[0]
        # Ctrl-C again does not interrupt it: each step has a bound.
        await stack.stop()
    if isinstance(result, Exception):
        raise result
    click.echo("stopped", err=True)


async def _start_and_watch(stack: Stack) -> None:
    await stack.start()
    config = stack.config
    click.echo(f"mExOms is up at {config.nats.url}; data in {config.storage.data_dir}; Ctrl-C stops it")
    where = "simulated " if config.simulator.enabled else ""
    click.echo(f"  accounts {', '.join(config.accounts)} on {where}{', '.join(config.venues)}")
    at = "" if config.nats.url == "nats://127.0.0.1:4222" else f" --nats {config.nats.url}"
    click.echo(f"  try: oms place buy 0.1 BTCUSDT{at}")
    click.echo(f"       oms orders --all{at}        oms watch{at}")
    await stack.failed()


def _say(process: str, line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"{click.style(f'{process:<18}', dim=True)} {line}", err=True)
