"""Rows: what a history says of orders, trades, positions, balances, P&L and limits, narrowed by filters. Pure.

They are the rows that ``show_*`` answers have. Inside :data:`oms.aggregates.money.EXACT`.
"""

from collections.abc import Iterator

from oms.messages import queries as q
from oms.messages.enums import OrderStatus
from oms.messages.subjects import ANY
from oms.projections import balances as b
from oms.projections import positions as p
from oms.projections.orders import order_row
from oms.projections.projections import Projections
from oms.projections.trades import trade_row
from replay.asking.filters import Filters
from replay.following import answers
from replay.history import History


def orders(
    history: History, filters: Filters, *, live: bool | None = None, status: OrderStatus | None = None
) -> Iterator[q.OrderRow]:
    """Orders, newest first; ``since`` and ``until`` are of their last change. ``live``: only those, or the others."""
    found = _models(history).orders
    for order in found.newest_first() if not live else found.open_newest_first(*filters.subject[1:4]):
        if (
            filters.covers_thing(order)
            and filters.during(order.updated_at)
            and live in (None, order.live)
            and status in (None, order.status)
        ):
            yield order_row(order)


def trades(history: History, filters: Filters, *, order_id: str | None = None) -> Iterator[q.TradeRow]:
    """Trades, newest first; ``since`` and ``until`` are of their commits."""
    instruments = history.partition.instruments
    for trade in _models(history).trades.newest_first():
        fill = trade.fill
        if filters.covers_thing(fill) and filters.during(trade.at) and order_id in (None, fill.order_id):
            yield trade_row(trade, instruments[fill.exchange, fill.market, fill.symbol].settle)


def positions(history: History, filters: Filters, *, flat: bool = True) -> Iterator[q.PositionRow]:
    """Positions by key; without ``flat`` only those that are open."""
    for position, instrument in p.positions(history.partition):
        key = (position.exchange, position.account, position.market, position.symbol)
        if filters.covers(*key) and (flat or position.quantity):
            yield p.position_row(position, instrument)


def balances(history: History, filters: Filters, *, asset: str | None = None) -> Iterator[q.BalanceRow]:
    """Balances by wallet and asset; a filter for a market means the wallet that its funds are in."""
    market = filters.subject.market
    for wallet, name in b.balances(history.partition):
        if (
            filters.covers(wallet.exchange, wallet.account, market)
            and (market == ANY or b.serves(history.partition, wallet, market))
            and asset in (None, name)
        ):
            yield b.balance_row(wallet, name)


def pnl_rows(
    history: History, filters: Filters, by: list[q.Dimension], day: str | None = None
) -> tuple[list[q.PnlRow], list[q.PnlRow]]:
    """P&L by these dimensions, and the totals by settlement asset."""
    query = q.ShowPnl(by=by, strategy=filters.strategy, day=day)
    rows, totals = answers.pnl(_models(history), filters.subject, query)
    return [row for _, row in rows], totals


def limits(history: History, filters: Filters, query: q.ShowLimits, now: int) -> list[q.LimitRow]:
    """Limits from the widest scope on, as `show_limits` has them; ``now`` in UTC ns, by which overrides end."""
    return [row for _, row in answers.limits(_models(history), filters.subject, query, now)]


def _models(history: History) -> Projections:
    assert history.projections is not None, "asked for without read models"
    return history.projections
