"""`oms orders|trades|positions|balances|pnl|status`: what is, as tables or JSON."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, get_args

import click
from rich.text import Text

from oms.cli import options as o
from oms.cli import render as r
from oms.client import OmsClient
from oms.messages import queries as q
from oms.messages.enums import OrderStatus

_FAULT: Final = "fault"
_KILLED: Final = "KILLED"


def _query(
    url: str,
    account: str,
    as_json: bool,
    columns: Sequence[r.Column],
    nothing: str,
    ask: Callable[[OmsClient], Awaitable[q.Answer[Any]]],
) -> None:
    answer = o.with_client(url, account, ask)
    if as_json:
        r.print_json(answer)
        return
    console = o.console()
    r.show(console, columns, answer.rows, nothing)
    if isinstance(answer, q.PnlAnswer) and len(answer.rows) > 1:
        r.show(console, r.TOTALS, answer.totals, nothing)
    if answer.more:
        click.echo("… there is more: ask for it with --rows", err=True)


@click.command()
@click.argument("order_id", required=False)
@click.option("--all", "history", is_flag=True, help="Finished orders too.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in OrderStatus], case_sensitive=False),
    help="Only orders in this status.",
)
@click.option("--strategy", metavar="NAME", help="Only this strategy's.")
@o.symbol_option
@o.rows_option
@o.any_account_option
@o.json_option
@o.nats_option
def orders(
    order_id: str | None,
    history: bool,
    status: str | None,
    strategy: str | None,
    symbol: str,
    rows: int,
    account: str,
    as_json: bool,
    url: str,
) -> None:
    """Show the open blotter, newest first; or one order.

    \b
    oms orders                              what is open
    oms orders --all --account sub_arb      with what is finished
    oms orders ORDER_ID
    """
    only_open = None if history or status or order_id else True

    async def ask(oms: OmsClient) -> q.Answer[q.OrderRow]:
        return await oms.orders(
            open=only_open,
            status=None if status is None else OrderStatus(status.upper()),
            strategy=strategy,
            order_id=order_id,
            symbol=symbol,
            rows=rows,
        )

    nothing = "no open orders" if only_open else "no such orders"
    _query(url, account, as_json, r.ORDERS, nothing, ask)


@click.command()
@click.option("--order", "order_id", metavar="ORDER_ID", help="Only those of this order.")
@click.option("--strategy", metavar="NAME", help="Only this strategy's.")
@o.symbol_option
@o.rows_option
@o.any_account_option
@o.json_option
@o.nats_option
def trades(
    order_id: str | None, strategy: str | None, symbol: str, rows: int, account: str, as_json: bool, url: str
) -> None:
    """Show fills, newest first."""
    _query(
        url,
        account,
        as_json,
        r.TRADES,
        "no trades",
        lambda oms: oms.trades(strategy=strategy, order_id=order_id, symbol=symbol, rows=rows),
    )


@click.command()
@click.option("--all", "flat_too", is_flag=True, help="Flat positions too.")
@o.symbol_option
@o.rows_option
@o.any_account_option
@o.json_option
@o.nats_option
def positions(flat_too: bool, symbol: str, rows: int, account: str, as_json: bool, url: str) -> None:
    """Show positions: net quantity by symbol, valued at the mark."""
    _query(
        url,
        account,
        as_json,
        r.POSITIONS,
        "no open positions",
        lambda oms: oms.positions(open=None if flat_too else True, symbol=symbol, rows=rows),
    )


@click.command()
@click.option("--asset", metavar="ASSET", help="Only this asset.")
@o.rows_option
@o.any_account_option
@o.json_option
@o.nats_option
def balances(asset: str | None, rows: int, account: str, as_json: bool, url: str) -> None:
    """Show balances: total, what orders lock, and what is free."""
    _query(
        url,
        account,
        as_json,
        r.BALANCES,
        "no balances",
        lambda oms: oms.balances(asset=asset, rows=rows),
    )


@click.command()
@click.option(
    "--by",
    default="account,strategy,symbol",
    show_default=True,
    metavar="LIST",
    help="What to tell apart: account, strategy, symbol, day, with commas between.",
)
@click.option("--day", metavar="YYYY-MM-DD", help="Only this UTC day; what is still open is then left out.")
@click.option("--strategy", metavar="NAME", help="Only this strategy's.")
@o.symbol_option
@o.rows_option
@o.any_account_option
@o.json_option
@o.nats_option
def pnl(
    by: str,
    day: str | None,
    strategy: str | None,
    symbol: str,
    rows: int,
    account: str,
    as_json: bool,
    url: str,
) -> None:
    """Show profit and loss: realised, unrealised at the mark, fees, and net.

    \b
    oms pnl
    oms pnl --by day,account
    oms pnl --by strategy --day 2026-11-20
    """
    known = get_args(q.Dimension)
    dimensions: list[q.Dimension] = []
    for word in filter(None, (part.strip() for part in by.split(","))):
        if word not in known or word in dimensions:
            raise click.UsageError(f"--by takes {', '.join(known)}, each once, was {by!r}")
        dimensions.append(word)  # type: ignore[arg-type]
    _query(
        url,
        account,
        as_json,
        r.PNL,
        "no trades yet",
        lambda oms: oms.pnl(by=dimensions, strategy=strategy, day=day, symbol=symbol, rows=rows),
    )


@click.command()
@o.any_account_option
@o.json_option
@o.nats_option
def status(account: str, as_json: bool, url: str) -> None:
    """Show how the system is: journal, engine, follower, connectors."""
    row: q.StatusRow = o.with_client(url, account, lambda oms: oms.status())
    if as_json:
        r.print_json(row)
        return
    console = o.console()
    for name, text in status_lines(row):
        label = Text(f"{name:<12} ", style="red" if name in (_FAULT, _KILLED) else "dim")
        console.print(label.append(text, style="default"), crop=False, no_wrap=True, overflow="ignore")
    r.show(console, r.SESSIONS, row.sessions, "no connector has served any account yet")


def status_lines(row: q.StatusRow) -> Iterator[tuple[str, str]]:
    """What the status says above its table: names and texts."""
    behind = (
        "lag unknown" if row.lag is None else "up to date" if not row.lag else f"{row.lag:,} frames behind"
    )
    yield "journal", f"{row.journal_id} partition {row.partition}, sequence {_count(row.journal_sequence)}"
    yield "last commit", f"{r.time_text(row.at)} by engine {row.engine}"
    yield "follower", behind
    for latch in row.latches:
        yield _KILLED, f"{latch.scope} {r.latch_text(latch)}"
    if row.latched > len(row.latches):
        yield _KILLED, f"… and {row.latched - len(row.latches):,} more scopes: `oms risk --killed`"
    yield "snapshot", _snapshot(row)
    yield "archive", _archive(row)
    for code, text in sorted(row.faults.items()):
        yield _FAULT, f"{code}: {text}"
    yield (
        "orders",
        f"{row.open_orders:,} open, {row.in_doubt:,} in doubt, {row.unanswered:,} wait for the venue; {row.orders:,} kept",
    )
    yield "trades", f"{row.trades:,}"
    yield "instruments", f"{row.instruments:,}"
    yield "accounts", ", ".join(f"{name} ({kind})" for name, kind in row.accounts.items())


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _snapshot(row: q.StatusRow) -> str:
    if not row.snapshot_sequence:
        return "none yet"
    return f"at sequence {row.snapshot_sequence:,}, {r.time_text(row.snapshot_at)}"


def _archive(row: q.StatusRow) -> str:
    if row.archived is None:
        return "not written by this follower"
    return f"up to sequence {row.archived:,}" + (f"; trimmed {row.trimmed}" if row.trimmed else "")
