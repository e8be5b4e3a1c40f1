"""Own book: our own resting orders of all accounts by instrument and price, so that no order of ours trades with another.

What rests is a limit order that may trade at the venue or may be about to: pending, in doubt or waiting itself to be sent
included, and with an amend under way at both prices. A stop order does not rest before it is triggered, and nobody tells us
when. The book is derived from the orders: in no digest and no image.

Prices are kept as whole numbers of 10^-18, with the sign that makes the best price of a side the lowest: comparing and hashing
those is what a Decimal is slow at. They stand sorted in short lists, so that adding and removing one costs the same however
many there are, and nothing that is gone is left behind to be stepped over.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import attrs

from oms.aggregates.instrument import InstrumentKey
from oms.aggregates.money import EXACT
from oms.aggregates.order import Order
from oms.messages.enums import OrderType, Side

BUY, SELL, LIMIT = Side.BUY, Side.SELL, OrderType.LIMIT
PART: Final = 512
"""Prices in one list are at most twice as many."""

_SCALE: Final = Decimal(10**18)


class Sorted:
    """Distinct whole numbers in order."""

    __slots__ = ("_last", "_parts")

    def __init__(self) -> None:
        self._parts: list[list[int]] = []
        self._last: list[int] = []

    def __iter__(self) -> Iterator[int]:
        for part in self._parts:
            yield from part

    @property
    def first(self) -> int:
        """The lowest; there has to be one."""
        return self._parts[0][0]

    def add(self, value: int) -> None:
        """Take in a number that is not here."""
        parts, last = self._parts, self._last
        at = bisect_left(last, value)
        if at == len(last):
            if not parts:
                parts.append([value])
                last.append(value)
                return
            at -= 1
            part = parts[at]
            part.append(value)
            last[at] = value
        else:
            part = parts[at]
            insort(part, value)
        if len(part) > 2 * PART:
            parts.insert(at + 1, part[PART:])
            last.insert(at, part[PART - 1])
            del part[PART:]

    def remove(self, value: int) -> None:
        """Give up a number that is here."""
        parts, last = self._parts, self._last
        at = bisect_left(last, value)
        part = parts[at]
        del part[bisect_left(part, value)]
        if not part:
            del parts[at], last[at]
        elif last[at] == value:
            last[at] = part[-1]


class Rows:
    """One side of one instrument: at each price the orders, the best price first. ``best`` is None for no order."""

    __slots__ = ("_at", "_keys", "_sign", "best")

    def __init__(self, side: Side) -> None:
        self.best: Decimal | None = None
        self._sign = -1 if side is BUY else 1
        self._keys = Sorted()
        self._at: dict[int, dict[str, Decimal]] = {}

    def _key(self, price: Decimal) -> int:
        return self._sign * int(EXACT.multiply(price, _SCALE))

    def add(self, order_id: str, price: Decimal) -> None:
        """The order rests at this price."""
        key = self._key(price)
        row = self._at.get(key)
        if row is not None:
            row[order_id] = price
            return
        self._at[key] = {order_id: price}
        keys = self._keys
        keys.add(key)
        if keys.first == key:
            self.best = price

    def remove(self, order_id: str, price: Decimal) -> None:
        """The order rests at this price no longer."""
        key = self._key(price)
        row = self._at[key]
        del row[order_id]
        if row:
            return
        del self._at[key]
        keys = self._keys
        keys.remove(key)
        if price == self.best:
            self.best = next(iter(self._at[keys.first].values())) if self._at else None

    def crossed(self, price: Decimal | None, most: int) -> list[str]:
        """Orders that trade at this price or better, none twice; more than ``most`` are not looked for."""
        bound = None if price is None else self._key(price)
        found: dict[str, None] = {}
        for key in self._keys:
            if bound is not None and key > bound:
                break
            for order_id in self._at[key]:
                found[order_id] = None
                if len(found) == most:
                    return list(found)
        return list(found)


@attrs.define(slots=True, eq=False)
class OwnBook:
    """Our own resting orders. The prices at which an order stands are kept, to find it again when it moves."""

    _sides: dict[tuple[InstrumentKey, Side], Rows] = attrs.field(factory=dict)
    _standing: dict[str, tuple[Decimal, Decimal | None]] = attrs.field(factory=dict)

    # -- evolve

    def changed(self, order: Order) -> None:
        """Take in what an order has become; called whenever one is new or changes, and cheap when it stands where it stood."""
        price = order.price
        if order.type is not LIMIT or price is None:
            return
        order_id = order.order_id
        before = self._standing.get(order_id)
        amend = order.amend
        now: tuple[Decimal, Decimal | None] | None = None
        if amend is not None:
            asked = amend.price
            now = (price, None if asked == price else asked)
        elif order.working:
            now = (price, None)
        if now == before:
            return
        rows = self._rows(order)
        if before is not None:
            rows.remove(order_id, before[0])
            if before[1] is not None:
                rows.remove(order_id, before[1])
            if now is None:
                del self._standing[order_id]
        if now is not None:
            rows.add(order_id, price)
            if now[1] is not None:
                rows.add(order_id, now[1])
            self._standing[order_id] = now

    def _rows(self, order: Order) -> Rows:
        key = ((order.exchange, order.market, order.symbol), order.side)
        rows = self._sides.get(key)
        if rows is None:
            rows = self._sides[key] = Rows(order.side)
        return rows

    # -- read

    def best(self, instrument: InstrumentKey, side: Side) -> Decimal | None:
        """The best price that an order of ours rests at on a side; None for no order."""
        rows = self._sides.get((instrument, side))
        return None if rows is None else rows.best

    def crossed(self, instrument: InstrumentKey, side: Side, price: Decimal | None, most: int) -> list[str]:
        """Resting orders that an order of a side would trade with, oldest first.

        Args:
            price: of that order; None when it takes any.
            most: how many are looked for. When so many come back there may be others, older ones among them.
        """
        buys = side is BUY
        rows = self._sides.get((instrument, SELL if buys else BUY))
        if rows is None:
            return []
        best = rows.best
        if best is None or (price is not None and (price < best if buys else price > best)):
            return []
        return sorted(rows.crossed(price, most))
