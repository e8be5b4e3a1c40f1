"""Projections: all read models of one partition together, and their image for snapshots."""

from decimal import Decimal
from typing import Any

import msgspec

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.messages import events as e
from oms.projections import orders as o
from oms.projections.orders import Orders
from oms.projections.pnl import Earned, Pnl
from oms.projections.trades import Trade, Trades


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    orders: list[Order]
    finished: dict[str, int]
    last_trade: int
    trades: list[Trade]
    books: list[tuple[str, Position]]
    days: dict[str, list[tuple[int, Earned]]]


_ORDER_RULES = o.RULES
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Image).decode


class Projections:
    """The read models of a partition. Each event comes here after the partition has applied it.

    Args:
        partition: the state that the same events are applied to.
        kept: how many finished orders, and how many trades, stay (``cache.max_size``).
        kept_ns: how long a finished order stays, by event time (``cache.default_ttl``).
    """

    def __init__(self, partition: Partition, kept: int, kept_ns: int) -> None:
        self.partition = partition
        self.orders = Orders(partition, kept, kept_ns)
        self.trades = Trades(kept)
        self.pnl = Pnl(partition)

    def evolve(self, event: Any, at: int, sequence: int) -> None:
        """Apply one event, inside :data:`oms.aggregates.money.EXACT`."""
        kind = type(event)
        rule = _ORDER_RULES.get(kind)
        if rule is not None:
            rule(self.orders, event, at)
            if kind is e.OrderFilled:
                realised: Decimal = self.pnl.evolve(event, at, sequence)
                self.trades.evolve(event, at, sequence, realised)
        elif kind not in o.IGNORED:
            raise AssertionError(f"no projection has a rule for {kind.__name__}")

    def finish(self, at: int) -> None:
        """End a frame whose events are applied; ``at`` is the time of its last commit."""
        self.orders.retire(at)

    def dump(self) -> bytes:
        """What is not in the partition's own image, as one JSON object."""
        books, days = self.pnl.image()
        return _encode(
            _Image(
                orders=self.orders.alone(),
                finished=self.orders.finished,
                last_trade=self.trades.last,
                trades=list(self.trades.by_number.values()),
                books=books,
                days=days,
            )
        )

    def load(self, image: bytes) -> None:
        """Undo :meth:`dump`, over the partition of the same moment.

        Raises:
            msgspec.DecodeError: the bytes are not an image.
        """
        read = _decode(image)
        self.orders.restore(read.orders, read.finished)
        self.trades.restore(read.last_trade, read.trades)
        self.pnl.restore(read.books, read.days)
