"""Tables for traders, and JSON for machines."""

import datetime
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import click
from msgspec import UNSET
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from oms.client.asking import Result
from oms.client.commands import plain
from oms.messages import queries as q
from oms.messages.enums import CancelReason
from oms.messages.public import TransferChanged

WIDEST: Final = 1_000
"""Columns of text that a table may take; it is never cut to the terminal, so that ids can be copied."""

GOOD, BAD, DIM, WAITING = "green", "red", "dim", "yellow"
STATUS_STYLES: Final = {
    "NEW": "cyan",
    "PARTIALLY_FILLED": "cyan",
    "FILLED": GOOD,
    "REJECTED": BAD,
    "DENIED": BAD,
    "PENDING_NEW": WAITING,
    "PENDING_CANCEL": WAITING,
    "PENDING_REPLACE": WAITING,
    "CANCELED": DIM,
    "EXPIRED": DIM,
}


def decimal_text(value: Decimal) -> str:
    """A decimal without exponent or idle zeros, in groups of three."""
    text = format(value, ",f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def time_text(at: int) -> str:
    """A UTC time in nanoseconds, to the millisecond; empty for 0."""
    if not at:
        return ""
    moment = datetime.datetime.fromtimestamp(at // 10**9, datetime.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at // 10**6 % 1000:03d}Z"


@attrs.frozen
class Column:
    """A column of a table: what it shows of a row, and in which colour."""

    name: str
    value: Callable[[Any], Any]
    style: Callable[[Any], str] = lambda _row: ""


def _aligned(name: str, values: Sequence[Any]) -> tuple[str, list[str]]:
    """Header and texts of a column; one of numbers is right-aligned, with decimal points under each other."""
    texts = [
        decimal_text(v) if isinstance(v, Decimal) else f"{v:,}" if _is_count(v) else _text(v) for v in values
    ]
    if not any(isinstance(value, Decimal) or _is_count(value) for value in values):
        return name, texts
    tails = [
        "." + text.partition(".")[2] if isinstance(value, Decimal) and "." in text else ""
        for value, text in zip(values, texts, strict=True)
    ]
    longest = max(map(len, tails))
    texts = [text + " " * (longest - len(tail)) for text, tail in zip(texts, tails, strict=True)]
    width = max(len(name), *map(len, texts))
    return name.rjust(width), [text.rjust(width) for text in texts]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None or value is UNSET:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)


def table(columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    """Lay rows out; columns that are empty in every row are left out."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown: list[tuple[Column, list[str]]] = []
    for column in columns:
        header, texts = _aligned(column.name, [column.value(row) for row in rows])
        if any(text.strip() for text in texts):
            made.add_column(header, no_wrap=True)
            shown.append((column, texts))
    for index, row in enumerate(rows):
        made.add_row(*(Text(texts[index], style=column.style(row)) for column, texts in shown))
    return made


def show(console: Console, columns: Sequence[Column], rows: Sequence[Any], nothing: str) -> None:
    """Print a table, or one line when there is nothing."""
    if not rows:
        console.print(nothing, style=DIM)
        return
    made = table(columns, rows)
    # A table is never squeezed: what is wider than the terminal wraps there, and is whole in a pipe.
    width = console.width
    try:
        wide = console.options.update(max_width=WIDEST)
        console.width = max(width, Measurement.get(console, wide, made).maximum)
        console.print(made)
    finally:
        console.width = width


def print_json(value: Any) -> None:
    """Print one line of JSON, decimals as text and without exponent."""
    print(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")), flush=True)


def say(result: Result, as_json: bool, done: str) -> None:
    """Print what a command came to: a line, or the answer as JSON."""
    if as_json:
        print_json(result)
        return
    again = " (sent before; nothing was done again)" if result.duplicate else ""
    click.echo(f"{done}{again}")


def latch_text(latch: q.LatchRow) -> str:
    """An engaged kill switch in a line."""
    who = f"{latch.cause} tripped it" if latch.cause else f"by {latch.by}"
    reason = f": {latch.reason}" if latch.reason else ""
    through = "; what reduces a position is let through" if latch.allow_reduce_only else ""
    return f"since {time_text(latch.at)}, {who}{reason}{through}"


def transfer_text(event: TransferChanged) -> str:
    """A transfer as it is after an event, in a line."""
    wallets = (event.source_wallet, event.target_wallet)
    source, target = (
        (event.source, event.target)
        if wallets[0] == wallets[1]
        else (f"{event.source} {wallets[0]}", f"{event.target} {wallets[1]}")
    )
    status = event.status.upper().replace("_", " ")
    amount = f"{decimal_text(event.amount)} {event.asset}"
    what = f"{event.transfer_id} {status} {amount} {source} → {target}"
    return f"{what}: {event.note}" if event.note else what


def _side(row: Any) -> str:
    return GOOD if row.side == "buy" else BAD


def _status(row: Any) -> str:
    return STATUS_STYLES.get(row.status, "")


def sign(name: str) -> Callable[[Any], str]:
    """The colour of a figure that may be above or below zero."""

    def style(row: Any) -> str:
        value = getattr(row, name)
        return "" if not isinstance(value, Decimal) or not value else GOOD if value > 0 else BAD

    return style


def _venue(row: Any) -> str:
    return f"{row.exchange}.{row.market}"


def _leverage(row: q.PositionRow) -> str:
    if row.leverage is None:
        return "-"
    return f"{decimal_text(row.leverage)}x" + (f" {row.margin_mode}" if row.margin_mode else "")


def _reason(row: q.OrderRow) -> str:
    # What once was doubtful about an order that works is over.
    said = row.reason if row.in_doubt or not row.open else ""
    return ", ".join(filter(None, [said, asked_text(row)]))


def asked_text(row: q.OrderRow) -> str:
    """Why we asked for a cancel that nobody ordered; empty otherwise."""
    if row.cancel_reason in (None, CancelReason.CLIENT):
        return ""
    return f"cancel asked for: {row.cancel_reason.replace('_', '-')}"


def _order_type(row: q.OrderRow) -> str:
    flags = [
        "" if row.time_in_force == "GTC" else row.time_in_force,
        "post-only" if row.post_only else "",
        "reduce-only" if row.reduce_only else "",
    ]
    return " ".join([row.type.value.replace("_", "-"), *(flag for flag in flags if flag)])


def _assets(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{decimal_text(amount)} {asset}" for asset, amount in sorted(amounts.items()))


def _dimension(value: str) -> str:
    """Empty for one that is summed over, so that its column goes away."""
    return "" if value == "_" else value


ORDERS: Final = (
    Column("ORDER", lambda r: r.order_id),
    Column("ACCOUNT", lambda r: r.account),
    Column("VENUE", _venue),
    Column("SYMBOL", lambda r: r.symbol),
    Column("SIDE", lambda r: r.side, _side),
    Column("TYPE", _order_type),
    Column("QUANTITY", lambda r: r.quantity),
    Column("PRICE", lambda r: "" if r.price is None else r.price),
    Column("TRIGGER", lambda r: "" if r.trigger_price is None else r.trigger_price),
    Column("FILLED", lambda r: r.filled),
    Column("STATUS", lambda r: r.status, _status),
    Column("DOUBT", lambda r: "in doubt" if r.in_doubt else "", lambda _: WAITING),
    Column("STRATEGY", lambda r: r.strategy),
    Column("REF", lambda r: r.client_order_id),
    Column("UPDATED (UTC)", lambda r: time_text(r.updated_at)),
    Column("REASON", _reason, lambda _: DIM),
)
TRADES: Final = (
    Column("TIME (UTC)", lambda r: time_text(r.venue_time)),
    Column("ACCOUNT", lambda r: r.account),
    Column("VENUE", _venue),
    Column("SYMBOL", lambda r: r.symbol),
    Column("SIDE", lambda r: r.side, _side),
    Column("QUANTITY", lambda r: r.quantity),
    Column("PRICE", lambda r: r.price),
    Column("FEE", lambda r: r.fee),
    Column("IN", lambda r: r.fee_asset if r.fee else ""),
    Column("REALISED", lambda r: r.realised, sign("realised")),
    Column("MAKER", lambda r: r.maker),
    Column("STRATEGY", lambda r: r.strategy),
    Column("ORDER", lambda r: r.order_id),
    Column("TRADE", lambda r: r.trade_id),
)
POSITIONS: Final = (
    Column("ACCOUNT", lambda r: r.account),
    Column("VENUE", _venue),
    Column("SYMBOL", lambda r: r.symbol),
    Column("QUANTITY", lambda r: r.quantity, sign("quantity")),
    Column("ENTRY", lambda r: "-" if r.entry_price is None else round(r.entry_price, 8)),
    Column("MARK", lambda r: r.mark),
    Column("UNREALISED", lambda r: r.unrealised, sign("unrealised")),
    Column("REALISED", lambda r: r.realised, sign("realised")),
    Column("FEES", lambda r: r.fees),
    Column("FUNDING", lambda r: r.funding, sign("funding")),
    Column("IN", lambda r: r.settle),
    Column("OTHER FEES", lambda r: _assets(r.other_fees)),
    Column("LEVERAGE", _leverage),
    Column("MARGIN", lambda r: r.margin),
    Column("LIQUIDATION", lambda r: r.liquidation_price or "-"),
)
BALANCES: Final = (
    Column("ACCOUNT", lambda r: r.account),
    Column("WALLET", lambda r: f"{r.exchange}.{r.wallet}"),
    Column("ASSET", lambda r: r.asset),
    Column("TOTAL", lambda r: r.total),
    Column("LOCKED", lambda r: r.locked),
    Column("MARGIN", lambda r: r.margin),
    Column("FREE", lambda r: r.free),
)


def _pnl_venue(row: q.PnlRow) -> str:
    return "" if row.exchange == "_" else f"{row.exchange}.{row.market}"


PNL: Final = (
    Column("ACCOUNT", lambda r: _dimension(r.account)),
    Column("STRATEGY", lambda r: _dimension(r.strategy or "(none)")),
    Column("VENUE", _pnl_venue),
    Column("SYMBOL", lambda r: _dimension(r.symbol)),
    Column("DAY (UTC)", lambda r: _dimension(r.day)),
    Column("TRADES", lambda r: r.trades),
    Column("ADJUSTED", lambda r: r.adjustments or ""),
    Column("REALISED", lambda r: r.realised, sign("realised")),
    Column("UNREALISED", lambda r: r.unrealised, sign("unrealised")),
    Column("FEES", lambda r: r.fees),
    Column("FUNDING", lambda r: r.funding, sign("funding")),
    Column("NET", lambda r: r.net, sign("net")),
    Column("IN", lambda r: r.settle),
    Column("OTHER FEES", lambda r: _assets(r.other_fees)),
    Column("NO MARK FOR", lambda r: ", ".join(r.unmarked), lambda _: WAITING),
)
TOTALS: Final = (
    Column("TOTAL", lambda r: r.settle),
    *(
        column
        for column in PNL
        if column.name
        in ("TRADES", "ADJUSTED", "REALISED", "UNREALISED", "FEES", "FUNDING", "NET", "NO MARK FOR")
    ),
)


def _compared(row: q.SessionRow) -> str:
    """The older of the last comparisons of orders and of funds."""
    if row.health is None:
        return "-"
    at = min(row.health.compared_at, row.health.funds_compared_at) or row.health.funds_compared_at
    return time_text(at) if at else "-"


def _left(row: q.SessionRow) -> str:
    """The window with the smallest share left, of those that anything is used of."""
    if row.health is None:
        return "-"
    windows = {name: each for name, each in row.health.limits_left.items() if each.get("limit")}
    if not windows:
        return "-"
    name = min(windows, key=lambda name: windows[name]["left"] / windows[name]["limit"])
    return f"{windows[name]['left']:,} of {windows[name]['limit']:,} ({name})"


SESSIONS: Final = (
    Column("ACCOUNT", lambda r: r.account),
    Column("VENUE", _venue),
    Column(
        "CONNECTOR",
        lambda r: "ready" if r.ready else "reconciling" if r.session else "none",
        lambda r: GOOD if r.ready else WAITING if r.session else BAD,
    ),
    Column("OPEN ORDERS", lambda r: r.live_orders),
    Column("COMPARED", _compared),
    Column("LIMITS LEFT", _left),
    Column("RECONCILED", lambda r: time_text(r.reconciled_at) if r.reconciled_at else "-"),
    Column("DIFFERENCES", lambda r: r.differences, lambda r: BAD if r.differences else ""),
)
