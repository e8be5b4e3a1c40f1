"""`oms demo`: the whole system at work, with every claim checked."""

import asyncio
import signal
import tempfile
from pathlib import Path

import click
from rich.console import Console

from oms.cli.exits import EPILOG, Exit, StoppedError
from oms.tasks import whole

LINES_ON_FAILURE = 30
WIDTH = 110


@click.command(epilog=EPILOG)
@click.option(
    "--exchange",
    type=click.Choice(["binance", "all"]),
    default="binance",
    show_default=True,
    help="One exchange, or every market of all of them.",
)
def demo(exchange: str) -> None:
    """Show the whole system at work, in under half a minute.

    Starts everything on free ports and a temporary directory, trades, kills the engine in the middle of a stream of
    orders, and compares what the clients were told with engine, follower, journal, venue and a replay from the first
    frame. Exits 0 if all of it agrees, 1 if anything differs, and says what. Leaves no process and no file.

    With --exchange all, in under a minute: seven markets of Binance, Bybit, OKX and Upbit at once, while all goes wrong
    on the wire that can. One exchange's connector is killed and all sockets of another are cut; then the journal is
    compared with the exchanges.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    asyncio.run(whole(_demo(console, exchange)))


async def _demo(console: Console, exchange: str) -> None:
    # Imported here, so that the help does not wait for it.
    from oms.cli.demo.everywhere import Everywhere
    from oms.cli.demo.story import Story
    from oms.cli.demo.telling import Telling

    stories: dict[str, type[Everywhere] | type[Story]] = {"binance": Story, "all": Everywhere}

    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    with tempfile.TemporaryDirectory(prefix="oms-demo-") as directory:
        story: Telling = stories[exchange](console, Path(directory))
        telling = asyncio.create_task(story.tell())
        ends = [telling, asyncio.create_task(story.stack.failed()), asyncio.create_task(stop.wait())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception:
            for line in list(story.log)[-LINES_ON_FAILURE:]:
                click.echo(line, err=True)
            raise
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            await story.stack.stop()
        if not telling.done() or telling.cancelled():
            raise StoppedError(Exit.REFUSED, "stopped before the end")
