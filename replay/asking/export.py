"""Export: a span of the history as rows, for auditors and notebooks.

Events have one table for all kinds: a column for every field that any event has. Orders, trades, positions and balances
have the rows that ``show_orders`` and its like answer with.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, get_args

import attrs
import msgspec

from oms.aggregates.order import Order
from oms.journal.reader import StoredFrame
from oms.messages import events as e
from oms.messages import queries as q
from oms.messages.subjects import ANY
from oms.projections.orders import order_row
from oms.projections.projections import Projections
from oms.projections.trades import trade_row
from replay.asking import rows
from replay.asking.filters import Filters
from replay.asking.formats import Column, columns_of, kind_of
from replay.asking.moment import iso
from replay.history import EventId, History

Row = dict[str, Any]
Write = Callable[[Row], None]


class What(StrEnum):
    """What can be exported. ``orders`` are those that changed in the span, as they stood at its end."""

    EVENTS = "events"
    ORDERS = "orders"
    TRADES = "trades"
    POSITIONS = "positions"
    BALANCES = "balances"


AT_ONE_MOMENT: Final = frozenset({What.POSITIONS, What.BALANCES})
"""These are a state, that at the span's end, and nothing that happens in it."""

# -- columns

_PLACE: Final = ("exchange", "account", "market", "symbol", "strategy")
_EVENT_HEAD: Final = (
    Column("sequence", "int"),
    Column("commit", "int"),
    Column("index", "int"),
    Column("at", "time"),
    Column("at_iso", "text"),
    Column("subject", "text"),
    Column("command_id", "text"),
    Column("event", "text"),
    *(Column(name, "text") for name in (*_PLACE, "order_id")),
)


def event_columns() -> list[Column]:
    """Where an event stands, what it is about, then every field of every event by the order in which events are defined.

    Raises:
        TypeError: two events have a field of one name and of different kinds, or one that shadows a column of ours.
    """
    found = {column.name: column for column in _EVENT_HEAD}
    own = {column.name for column in _EVENT_HEAD[:8]}
    for cls in get_args(e.Event):
        for field in msgspec.structs.fields(cls):
            column = Column(field.name, kind_of(field.name, field.type))
            if field.name in own or found.setdefault(field.name, column).kind != column.kind:
                raise TypeError(f"{cls.__name__}.{field.name} does not fit the column {found[field.name]}")
    return list(found.values())


COLUMNS: Final[dict[What, Callable[[], list[Column]]]] = {
    What.EVENTS: event_columns,
    What.ORDERS: lambda: columns_of(q.OrderRow),
    What.TRADES: lambda: columns_of(q.TradeRow),
    What.POSITIONS: lambda: columns_of(q.PositionRow),
    What.BALANCES: lambda: columns_of(q.BalanceRow),
}

# -- rows: each is a visitor of the span


@attrs.define
class Rows:
    """Hands rows to ``write``; a visitor as :class:`replay.asking.span.Visitor` says.

    Args:
        history: the state that moves through the span, with read models.
        count: rows handed on.
        lost: trades of orders whose rows were written already, and so lack them.
    """

    history: History
    filters: Filters
    write: Write
    count: int = 0
    lost: int = 0

    @property
    def models(self) -> Projections:
        assert self.history.projections is not None, "an export rebuilds projections"
        return self.history.projections

    def put(self, row: Row) -> None:
        self.count += 1
        self.write(row)

    def begin(self, stored: StoredFrame) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def event(self, event: Any, at: int, place: EventId) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def end(self) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def finish(self) -> None:
        """Write what only the end of the span can tell."""


@attrs.define
class _Events(Rows):
    """One row an event. Place and strategy are the event's own or, where it has none, its order's."""

    _frame: StoredFrame | None = None

    def begin(self, stored: StoredFrame) -> None:
        self._frame = stored

    def event(self, event: Any, at: int, place: EventId) -> None:
        fields = msgspec.structs.asdict(event)
        order = self.history.partition.orders.get(fields.get("order_id", ""))
        if order is not None:
            for name in _PLACE:
                fields.setdefault(name, getattr(order, name))
        if not self._meant(fields):
            return
        assert self._frame is not None, "a frame begins before its events"
        commit = self._frame.frame.commits[place[1]]
        fields.update(
            sequence=place[0],
            commit=place[1],
            index=place[2],
            at=at,
            at_iso=iso(at),
            subject=commit.subject,
            command_id=commit.command_id or None,
            event=type(event).__name__,
        )
        self.put(fields)

    def _meant(self, fields: Row) -> bool:
        filters = self.filters
        wanted = (filters.exchange, filters.account, filters.market, filters.symbol)
        # An event about any of them (`_`, a cancel of all) is about the one that is wanted too.
        return all(
            want == ANY or fields.get(name) in (want, ANY) for name, want in zip(_PLACE, wanted, strict=False)
        ) and (filters.strategy is None or fields.get("strategy") == filters.strategy)


@attrs.define
class _Trades(Rows):
    """One row a trade."""

    def event(self, event: Any, at: int, place: EventId) -> None:
        if isinstance(event, e.OrderFilled | e.TradeBusted) and self.filters.covers_thing(event):
            trades = self.models.trades
            instrument = self.history.partition.instruments[event.exchange, event.market, event.symbol]
            self.put(msgspec.structs.asdict(trade_row(trades.by_number[trades.last], instrument.settle)))


@attrs.define
class _Orders(Rows):
    """One row an order that changed, as it stood at the end of the span.

    An order's row is written when the read models let the order go, or at the end: memory is theirs.
    """

    _changed: dict[str, Order] = attrs.field(factory=dict)
    _sweep_at: int = 1_000

    def event(self, event: Any, at: int, place: EventId) -> None:
        order_id = getattr(event, "order_id", None)
        if order_id is None:
            return
        order = self.models.orders.by_id.get(order_id)
        if order is None:
            # A trade for an order that left the read models. Any other event takes its order back into them.
            self.lost += self.filters.covers_thing(event)
        elif self.filters.covers_thing(order):
            self._changed[order_id] = order

    def end(self) -> None:
        if len(self._changed) < self._sweep_at:
            return
        held = self.models.orders.by_id
        for order_id in [order_id for order_id in self._changed if order_id not in held]:
            self._put(self._changed.pop(order_id))
        self._sweep_at = 2 * len(self._changed) + 1_000

    def finish(self) -> None:
        for order in self._changed.values():
            self._put(order)
        self._changed = {}

    def _put(self, order: Order) -> None:
        self.put(msgspec.structs.asdict(order_row(order)))


@attrs.define
class _Positions(Rows):
    """One row a position at the end of the span, flat ones included."""

    def finish(self) -> None:
        for row in rows.positions(self.history, self.filters):
            self.put(msgspec.structs.asdict(row))


@attrs.define
class _Balances(Rows):
    """One row an asset at the end of the span."""

    def finish(self) -> None:
        for row in rows.balances(self.history, self.filters):
            self.put(msgspec.structs.asdict(row))


_ROWS: Final[dict[What, type[Rows]]] = {
    What.EVENTS: _Events,
    What.ORDERS: _Orders,
    What.TRADES: _Trades,
    What.POSITIONS: _Positions,
    What.BALANCES: _Balances,
}


def rows_of(what: What, history: History, filters: Filters, write: Write) -> Rows:
    """What makes rows of a walk through a span, and hands them to ``write``; call ``finish`` at its end."""
    return _ROWS[what](history, filters, write)
