"""Book: what a world of `whatif` holds: positions, working orders, what they are worth, and how high each ever was.

Two worlds are told the same events: one all of them, the other without what its limits would have denied. The state is
light: what limits are held against and what the report says, and nothing else. All of it inside
:data:`oms.aggregates.money.EXACT`.
"""

from collections import deque
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.bust import undoing
from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.money import ZERO
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position, PositionKey
from oms.messages import events as e
from oms.messages.enums import Side

Purse = tuple[str, str]
"""(account, settlement asset)"""
Scope = PositionKey | Purse | str
"""What a figure is of: a position, an account in one settlement asset, an account."""

SECOND: Final = 10**9


class Market:
    """Prices as they were: the mark, or where none is known the last trade. Both worlds see the same.

    Args:
        partition: the recorded state, which moves on; its instruments have the marks.
    """

    def __init__(self, partition: Partition) -> None:
        self._instruments = partition.instruments
        self._last: dict[InstrumentKey, Decimal] = {}

    def instrument(self, key: PositionKey) -> Instrument:
        """Of a position."""
        return self._instruments[key[0], key[2], key[3]]

    def price(self, instrument: Instrument) -> Decimal | None:
        """What a unit is valued at now; None when there is neither mark nor trade."""
        return self._last.get(instrument.key) if instrument.mark is None else instrument.mark

    def traded(self, instrument: Instrument, price: Decimal) -> bool:
        """Note a trade; return whether it changed what a unit is valued at."""
        self._last[instrument.key] = price
        return instrument.mark is None


@attrs.define(slots=True)
class Working:
    """An order that may still trade. ``unit``: what one of its quantity is worth, in the settlement asset."""

    key: PositionKey
    side: Side
    quantity: Decimal
    cumulative: Decimal
    unit: Decimal
    settle: str

    @property
    def leaves(self) -> Decimal:
        return max(self.quantity - self.cumulative, ZERO)


@attrs.define(slots=True)
class Counts:
    """What happened: ``volume`` is the sum of quantity × price, in the settlement asset."""

    orders: int = 0
    amends: int = 0
    fills: int = 0
    volume: Decimal = ZERO


@attrs.define(slots=True)
class _Value:
    """What a position is worth: ``net`` = realised + unrealised − fees; ``gross``: its size at the price."""

    net: Decimal = ZERO
    gross: Decimal = ZERO


class Book:
    """One world.

    Args:
        partition: the state that it starts from. Its positions are copied, and may move on without this one.
        market: prices.
    """

    def __init__(self, partition: Partition, market: Market) -> None:
        self.market = market
        self.positions: dict[PositionKey, Position] = {}
        self.working: dict[str, Working] = {}
        self.counts: dict[Purse, Counts] = {}
        self.net: dict[Scope, Decimal] = {}
        self.gross: dict[Scope, Decimal] = {}
        self.open_orders: dict[Scope, int] = {}
        self.open_notional: dict[Scope, Decimal] = {}
        self.open_quantity: dict[tuple[PositionKey, Side], Decimal] = {}
        self.peak_position: dict[PositionKey, Decimal] = {}
        self.peak_exposure: dict[Purse, Decimal] = {}
        self.peak_open: dict[Purse, Decimal] = {}
        self.unpriced: set[InstrumentKey] = set()
        self._values: dict[PositionKey, _Value] = {}
        self._held_in: dict[InstrumentKey, list[PositionKey]] = {}
        self._sent: dict[Scope, deque[int]] = {}
        self._day_net: dict[Scope, Decimal] = {}
        for key, position in partition.positions.items():
            self._hold(attrs.evolve(position, other_fees=dict(position.other_fees)), key)
        for live in partition.live.values():
            for order in live.values():
                if order.working:
                    self.take_up(order)
        self.begin_day()

    # -- orders

    def place(self, order_id: str, order: Working, at: int) -> None:
        """An order is sent."""
        self.count(order.key).orders += 1
        self._send(order.key, at)
        self._add(order_id, order)

    def take_up(self, order: Order) -> None:
        """An order works that this world did not see placed: from before, found at the venue, or alive again."""
        key = (order.exchange, order.account, order.market, order.symbol)
        instrument = self.market.instrument(key)
        price = order.price or order.trigger_price or self.market.price(instrument) or ZERO
        unit = price * instrument.contract_size
        self._add(
            order.order_id,
            Working(key, order.side, order.quantity, order.cumulative, unit, instrument.settle),
        )

    def ask_amend(self, key: PositionKey, at: int) -> None:
        """An amend is sent."""
        self.count(key).amends += 1
        self._send(key, at)

    def amend(self, order_id: str, quantity: Decimal, price: Decimal | None) -> None:
        """An order works with other terms."""
        order = self.working.get(order_id)
        if order is None:
            return
        self.end(order_id)
        unit = order.unit if price is None else price * self.market.instrument(order.key).contract_size
        self._add(order_id, attrs.evolve(order, quantity=quantity, unit=unit))

    def end(self, order_id: str) -> None:
        """An order may trade no more, if it could."""
        order = self.working.pop(order_id, None)
        if order is not None:
            self._move(order, -order.leaves, -1)

    def _add(self, order_id: str, order: Working) -> None:
        self.working[order_id] = order
        self._move(order, order.leaves, 1)

    def _move(self, order: Working, leaves: Decimal, orders: int) -> None:
        key = order.key
        purse = (key[1], order.settle)
        self.open_quantity[key, order.side] = self.open_quantity.get((key, order.side), ZERO) + leaves
        counted: tuple[Scope, Scope] = (key[1], key)
        for scope in counted:
            self.open_orders[scope] = self.open_orders.get(scope, 0) + orders
        notional = leaves * order.unit
        worth: tuple[Scope, Scope] = (purse, key)
        for scope in worth:
            self.open_notional[scope] = self.open_notional.get(scope, ZERO) + notional
        _raise_to(self.peak_open, purse, self.open_notional[purse])

    # -- trades and prices

    def fill(self, event: e.OrderFilled, at: int) -> None:
        """A trade, which is applied whatever state its order is in."""
        self._trade(event, at, 1)

    def bust(self, event: e.TradeBusted, at: int) -> None:
        """A trade is taken back; see :mod:`oms.aggregates.bust`."""
        self._trade(undoing(event), at, -1)

    def _trade(self, event: e.OrderFilled, at: int, count: int) -> None:
        key = (event.exchange, event.account, event.market, event.symbol)
        instrument = self.market.instrument(key)
        order = self.working.get(event.order_id)
        if order is not None:
            before = order.leaves
            order.cumulative += event.quantity * count
            self._move(order, order.leaves - before, 0)
        self._position(key).fill(event, instrument, at)
        counts = self.count(key)
        counts.fills += count
        counts.volume += event.quantity * event.price * instrument.contract_size * count
        self._value(key)

    def adopt(self, event: e.PositionAdjusted) -> None:
        """The venue held more or less than the journal knew; what it was is the same in both worlds."""
        key = (event.exchange, event.account, event.market, event.symbol)
        position = self._position(key)
        position.quantity += event.quantity - event.expected
        position.cost += event.cost - event.expected_cost
        self._value(key)

    def _position(self, key: PositionKey) -> Position:
        found = self.positions.get(key)
        if found is None:
            found = Position(*key)
            self._hold(found, key)
        return found

    def priced(self, key: InstrumentKey) -> None:
        """The instrument's price, or its terms, are others now."""
        for held in self._held_in.get(key, ()):
            self._value(held)

    def _hold(self, position: Position, key: PositionKey) -> None:
        self.positions[key] = position
        self._held_in.setdefault((key[0], key[2], key[3]), []).append(key)
        self._value(key)

    def _value(self, key: PositionKey) -> None:
        position, instrument = self.positions[key], self.market.instrument(key)
        price = self.market.price(instrument)
        worth = ZERO
        if price is not None:
            worth = position.quantity * price * instrument.contract_size
        elif position.quantity:
            self.unpriced.add(instrument.key)
        net = position.realised - position.fees
        if price is not None or not position.quantity:
            net += worth - position.cost
        value = self._values.setdefault(key, _Value())
        purse = (key[1], instrument.settle)
        for scope in (purse, key):
            self.net[scope] = self.net.get(scope, ZERO) + net - value.net
            self.gross[scope] = self.gross.get(scope, ZERO) + abs(worth) - value.gross
        value.net, value.gross = net, abs(worth)
        _raise_to(self.peak_position, key, abs(position.quantity))
        _raise_to(self.peak_exposure, purse, self.gross[purse])

    # -- what limits look at

    def begin_day(self) -> None:
        """From now on losses are those of a new day."""
        self._day_net = dict(self.net)

    def loss(self, scope: Scope) -> Decimal:
        """What was lost since the day began, or since this world did; negative for a profit."""
        return self._day_net.get(scope, ZERO) - self.net.get(scope, ZERO)

    def sent(self, scope: Scope, at: int) -> int:
        """How many orders and amends were sent within the second up to ``at``."""
        times = self._sent.get(scope)
        if times is None:
            return 0
        while times and times[0] <= at - SECOND:
            times.popleft()
        return len(times)

    def _send(self, key: PositionKey, at: int) -> None:
        for scope in (key[1], key):
            self.sent(scope, at)
            self._sent.setdefault(scope, deque()).append(at)

    # -- read

    def count(self, key: PositionKey) -> Counts:
        """What happened in the account of this position, in its settlement asset."""
        return self.counts.setdefault((key[1], self.market.instrument(key).settle), Counts())


def _raise_to(peaks: dict[Any, Decimal], key: Any, value: Decimal) -> None:
    if value > peaks.get(key, ZERO):
        peaks[key] = value
