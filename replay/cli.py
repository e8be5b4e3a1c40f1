"""``oms replay`` and ``python -m replay``: rebuild the state from the journal and print it."""

import asyncio
import datetime
import decimal
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import nats
import nats.errors
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from oms.aggregates import image
from oms.aggregates.money import EXACT
from oms.journal.errors import JournalBroken
from oms.messages import queries as q
from oms.messages.subjects import ANY, Subject
from oms.projections.balances import balance_row, balances
from oms.projections.orders import order_row
from oms.projections.positions import position_row, positions
from oms.projections.trades import trade_row
from replay.answers import answer
from replay.history import History
from replay.rebuild import SnapshotRefused, rebuild
from replay.snapshot import Snapshots

NO_ANSWER: Final = 3
BROKEN: Final = 6
"""Exit codes as all of ``oms`` has them."""
CONNECT_TIMEOUT_S: Final = 5
TABLE_ROWS: Final = 50
_EVERYTHING: Final = Subject("show", ANY, ANY, ANY, ANY)


class _NoAnswer(click.ClickException):
    exit_code = NO_ANSWER


class _Broken(click.ClickException):
    exit_code = BROKEN


def parse_time(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A time: UTC nanoseconds, or ISO 8601, taken as UTC when it names no zone."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return int(value)
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"must be nanoseconds or ISO 8601 such as 2026-11-21T03:00:00, was {value!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


@click.command()
@click.option(
    "--nats",
    "url",
    envvar="OMS_NATS",
    default="nats://127.0.0.1:4222",
    show_default=True,
    help="Where the journal is.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Where snapshots are.",
)
@click.option("--from-zero", is_flag=True, help="Read every frame from the first on, and no snapshot.")
@click.option("--until-sequence", type=click.IntRange(min=0), help="Stop after this frame.")
@click.option(
    "--until-time",
    metavar="TIME",
    callback=parse_time,
    help="Stop before the first frame that is later (ISO 8601, or ns).",
)
@click.option("--digest", "only_digest", is_flag=True, help="Print the digest of the state alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the state as one JSON object.")
@click.option("--expect", metavar="DIGEST", help="Exit 1 when the digest is another one.")
def replay(
    url: str,
    data_dir: Path,
    from_zero: bool,
    until_sequence: int | None,
    until_time: int | None,
    only_digest: bool,
    as_json: bool,
    expect: str | None,
) -> None:
    """Rebuild the state from the journal and print it.

    Starts from the newest good snapshot, whose digest is checked, unless --from-zero. Every frame read is checked against
    the hash chain.

    Exit codes: 0 rebuilt; 1 the digest is not the expected one; 2 wrong usage; 3 nats-server does not answer; 6 the
    journal or the snapshot is broken.
    """
    if only_digest and as_json:
        raise click.UsageError("--digest and --json exclude each other")
    console = Console(stderr=True)
    try:
        history = asyncio.run(
            _rebuild(console, url, Snapshots(data_dir), from_zero, until_sequence, until_time)
        )
    except (JournalBroken, SnapshotRefused) as error:
        raise _Broken(str(error)) from None
    except (nats.errors.Error, OSError) as error:
        raise _NoAnswer(f"nats-server at {url} does not answer: {error or repr(error)}") from None
    digest = image.digest(history.partition)
    if only_digest:
        click.echo(digest)
    elif as_json:
        click.echo(msgspec.json.encode(_document(history, digest)))
    else:
        _print_tables(Console(), history, digest)
    if expect is not None and expect != digest:
        raise click.ClickException(f"the digest is {digest}, expected {expect}")


async def _rebuild(
    console: Console,
    url: str,
    snapshots: Snapshots,
    from_zero: bool,
    until_sequence: int | None,
    until_time: int | None,
) -> History:
    nc = await nats.connect(
        url,
        connect_timeout=CONNECT_TIMEOUT_S,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=1,
        error_cb=_told_by_its_exception,
    )
    try:
        columns = (
            TextColumn("replay"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("frames, {task.fields[events]:,} events"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("replay", total=None, events=0)

            def progress(sequence: int, last: int, events: int) -> None:
                bar.update(task, completed=sequence, total=last, events=events)

            return await rebuild(
                nc,
                snapshots,
                from_zero=from_zero,
                until_sequence=until_sequence,
                until_time=until_time,
                check_digest=True,
                progress=progress,
            )
    finally:
        await nc.close()


async def _told_by_its_exception(error: Exception) -> None:
    """nats-py prints a traceback of its own otherwise."""


# -- printing


def _document(history: History, digest: str) -> dict[str, Any]:
    """Everything, for programs: rows as the ``show_*`` answers have them."""
    models = history.projections
    assert models is not None, "the command line rebuilds projections"
    state = history.partition
    with decimal.localcontext(EXACT):
        return {
            "sequence": history.sequence,
            "head": history.head,
            "at": history.at,
            "digest": digest,
            "journal_id": state.journal_id,
            "engine": state.engine,
            "accounts": state.accounts,
            "orders": [order_row(order) for order in models.orders.newest_first()],
            "trades": [
                trade_row(trade, _settle(history, trade.fill)) for trade in models.trades.newest_first()
            ],
            "positions": [position_row(*found) for found in positions(state)],
            "balances": [balance_row(*found) for found in balances(state)],
            "pnl": _pnl(history).totals,
        }


def _settle(history: History, fill: Any) -> str:
    return history.partition.instruments[fill.exchange, fill.market, fill.symbol].settle


def _pnl(history: History) -> Any:
    assert history.projections is not None, "the command line rebuilds projections"
    return answer(history.projections, _EVERYTHING, q.ShowPnl(by=[]), history.sequence)


def _print_tables(console: Console, history: History, digest: str) -> None:
    models, state = history.projections, history.partition
    assert models is not None, "the command line rebuilds projections"
    at = datetime.datetime.fromtimestamp(history.at // 10**9, datetime.UTC)
    console.print(
        f"Journal {state.journal_id or '(empty)'} at sequence {history.sequence:,}, {at:%Y-%m-%d %H:%M:%S} UTC"
    )
    console.print(f"Digest  {digest}", highlight=False)
    console.print(f"Head    {history.head}", highlight=False)
    with decimal.localcontext(EXACT):
        live = [order_row(order) for order in models.orders.open_newest_first(ANY, ANY, ANY)]
        _table(
            console,
            "Open orders",
            "order_id account symbol side type status quantity price filled strategy",
            live,
        )
        _table(
            console,
            "Positions",
            "exchange account market symbol quantity entry_price mark unrealised realised fees",
            [position_row(*found) for found in positions(state)],
        )
        _table(
            console,
            "Balances",
            "exchange account market asset total locked free",
            [balance_row(*f) for f in balances(state)],
        )
        _table(console, "P&L", "settle realised unrealised fees net trades", _pnl(history).totals)
    console.print(
        f"{len(models.orders.by_id):,} orders and {len(models.trades.by_number):,} of {models.trades.last:,} trades are held"
    )


def _table(console: Console, title: str, columns: str, rows: list[Any]) -> None:
    table = Table(title=title, title_justify="left")
    for name in columns.split():
        table.add_column(name, justify="right" if _is_number(name) else "left", overflow="fold")
    for row in rows[:TABLE_ROWS]:
        table.add_row(*(_text(getattr(row, name)) for name in columns.split()))
    console.print(table)
    if len(rows) > TABLE_ROWS:
        console.print(f"… and {len(rows) - TABLE_ROWS:,} more: --json has all")


_NUMBERS: Final = frozenset(
    [
        "quantity",
        "price",
        "filled",
        "entry_price",
        "mark",
        "unrealised",
        "realised",
        "fees",
        "net",
        "trades",
        "total",
        "locked",
        "free",
    ]
)


def _is_number(name: str) -> bool:
    return name in _NUMBERS


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
