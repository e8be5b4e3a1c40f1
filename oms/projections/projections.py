"""Projections: all read models of one partition together, and their image for snapshots."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.messages import events as e
from oms.projections import orders as o
from oms.projections.orders import Orders
from oms.projections.pnl import RULES as PNL_RULES
from oms.projections.pnl import Earned, Pnl
from oms.projections.statements import RULES as SAYING_RULES
from oms.projections.statements import Statements, StatementsImage
from oms.projections.trades import Trade, Trades


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    orders: msgspec.Raw
    finished: msgspec.Raw
    last_trade: int
    trades: msgspec.Raw
    statements: StatementsImage
    days: dict[str, list[tuple[int, Earned]]]


Part = Literal["orders", "trades"]


_ORDER_RULES = o.RULES
_EARNING: Final = frozenset(PNL_RULES) - frozenset(o.RULES)
_SAYING: Final = frozenset(SAYING_RULES)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Image).decode
_decode_orders = msgspec.json.Decoder(list[Order]).decode
_decode_finished = msgspec.json.Decoder(dict[str, int]).decode
_decode_trades = msgspec.json.Decoder(list[Trade]).decode


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
        self.statements = Statements()

    def evolve(self, event: Any, at: int, sequence: int) -> None:
        """Apply one event, inside :data:`oms.aggregates.money.EXACT`."""
        kind = type(event)
        rule = _ORDER_RULES.get(kind)
        if rule is not None:
            rule(self.orders, event, at)
            if kind is e.OrderFilled or kind is e.TradeBusted:
                realised: Decimal = self.pnl.evolve(event, at, sequence)
                self.trades.evolve(event, at, sequence, realised)
        elif kind in _EARNING:
            self.pnl.evolve(event, at, sequence)
        elif kind in _SAYING:
            self.statements.evolve(event, at, sequence)
        elif kind not in o.IGNORED:
            raise AssertionError(f"no projection has a rule for {kind.__name__}")

    def finish(self, at: int) -> None:
        """End a frame whose events are applied; ``at`` is the time of its last commit."""
        self.orders.retire(at)

    def dump(self) -> bytes:
        """What is not in the partition's own image, as one JSON object."""
        return _encode(
            _Image(
                orders=msgspec.Raw(_encode(self.orders.alone())),
                finished=msgspec.Raw(_encode(self.orders.finished)),
                last_trade=self.trades.last,
                trades=msgspec.Raw(_encode(list(self.trades.by_number.values()))),
                statements=self.statements.image(),
                days=self.pnl.image(),
            )
        )

    def load(self, image: bytes, leave: Collection[Part] = ()) -> None:
        """Undo :meth:`dump`, over the partition of the same moment.

        Args:
            leave: what nobody will ask for, and need not be made of the bytes: finished orders, trades.

        Raises:
            msgspec.DecodeError: the bytes are not an image.
        """
        read = _decode(image)
        if "orders" in leave:
            self.orders.restore([], {})
        else:
            self.orders.restore(_decode_orders(read.orders), _decode_finished(read.finished))
        self.trades.restore(read.last_trade, [] if "trades" in leave else _decode_trades(read.trades))
        self.statements.restore(read.statements)
        self.pnl.restore(read.days)
