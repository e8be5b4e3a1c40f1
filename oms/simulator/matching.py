"""A limit order book with price-time priority. Pure: no clock, no randomness, no accounts.

Orders of one account do trade with each other: no self-trade prevention.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

import attrs

from .orders import BUY, SELL, ZERO, Order


@attrs.frozen
class Match:
    """The taker met `maker` for `quantity` at the maker's `price`."""

    maker: Order
    price: Decimal
    quantity: Decimal


@attrs.define(eq=False)
class Level:
    """The orders of one price, oldest first, and their sum."""

    price: Decimal
    quantity: Decimal = ZERO
    orders: OrderedDict[int, Order] = attrs.Factory(OrderedDict)


class _Side:
    """One side of the book. `_keys` is ascending and its *last* is the best price, so that taking it is cheap."""

    def __init__(self, *, descending: bool) -> None:
        self._descending = descending
        self._keys: list[Decimal] = []
        self.levels: dict[Decimal, Level] = {}

    def _key(self, price: Decimal) -> Decimal:
        return price if self._descending else price.copy_negate()

    def best(self) -> Level | None:
        return self.levels[self._keys[-1].copy_abs()] if self._keys else None

    def from_best(self) -> Iterator[Level]:
        return (self.levels[key.copy_abs()] for key in reversed(self._keys))

    def level(self, price: Decimal) -> Level:
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            bisect.insort(self._keys, self._key(price))
        return level

    def discard_if_empty(self, level: Level) -> None:
        if not level.orders:
            del self.levels[level.price]
            key = self._key(level.price)
            del self._keys[bisect.bisect_left(self._keys, key)]


@attrs.frozen
class DepthChange:
    """Levels that changed since the one before: quantities are what is there now, 0 for a level that is gone."""

    first_update_id: int
    last_update_id: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


class Book:
    """The resting orders of one symbol. Every change of a level's quantity takes the next `update_id`.

    `contract_size` turns quantities into base asset, `step` is the smallest quantity an order by quote amount takes.
    """

    def __init__(self, contract_size: Decimal = Decimal(1), step: Decimal = Decimal(1)) -> None:
        self._size = contract_size
        self._step = step
        self._sides = {BUY: _Side(descending=True), SELL: _Side(descending=False)}
        self._changed: dict[str, set[Decimal]] = {BUY: set(), SELL: set()}
        self._published_id = 0
        self.update_id = 0

    def best(self, side: str) -> Level | None:
        """Return the best level of `side`, None when that side is empty."""
        return self._sides[side].best()

    def levels(self, side: str) -> Iterator[Level]:
        """Yield the levels of `side`, best first."""
        return self._sides[side].from_best()

    def __contains__(self, order: Order) -> bool:
        level = self._sides[order.side].levels.get(order.price)
        return level is not None and order.order_id in level.orders

    def crosses(self, side: str, price: Decimal) -> bool:
        """Say whether a limit order of `side` at `price` would match at once."""
        best = self.best(_other(side))
        return best is not None and _reaches(side, price, best.price)

    def obtainable(self, side: str, quantity: Decimal, limit: Decimal | None) -> tuple[Decimal, Decimal]:
        """Return what an order of `side` could take now, at most `quantity`, and what that is worth in quote asset."""
        taken = cost = ZERO
        for level in self.levels(_other(side)):
            if taken == quantity or (limit is not None and not _reaches(side, limit, level.price)):
                break
            part = min(level.quantity, quantity - taken)
            taken += part
            cost += part * level.price * self._size
        return taken, cost

    def take(self, order: Order, limit: Decimal | None) -> Iterator[Match]:
        """Match `order` against the other side up to `limit` (None: any price) and yield every match.

        Executed quantities of both orders are updated and filled makers leave the book before each match is
        yielded; what remains of `order` is not rested. Between matches `order` may be closed and any resting order
        be decreased or removed. An order by quote amount gets its `quantity` with the match that exhausts it.
        """
        makers = self._sides[_other(order.side)]
        while order.is_open:
            level = makers.best()
            if level is None or (limit is not None and not _reaches(order.side, limit, level.price)):
                return
            maker = next(iter(level.orders.values()))
            wanted = self._affordable(order, level.price) if order.quote_quantity else order.leaves
            if wanted == 0:
                return
            quantity = min(wanted, maker.leaves)
            quote = level.price * quantity * self._size
            for side in (order, maker):
                side.executed += quantity
                side.executed_quote += quote
            if order.quote_quantity and self._affordable(order, level.price) == 0:
                order.quantity = order.executed
            level.quantity -= quantity
            if maker.leaves == 0:
                del level.orders[maker.order_id]
                makers.discard_if_empty(level)
            self._touch(maker.side, level.price)
            yield Match(maker, level.price, quantity)

    def _affordable(self, order: Order, price: Decimal) -> Decimal:
        """Return how much an order by quote amount can still take at `price`, in whole steps."""
        return (order.quote_quantity - order.executed_quote) / price // self._step * self._step

    def rest(self, order: Order) -> None:
        """Put what remains of `order` at the end of its price's queue."""
        level = self._sides[order.side].level(order.price)
        level.orders[order.order_id] = order
        level.quantity += order.leaves
        self._touch(order.side, order.price)

    def decrease(self, order: Order, quantity: Decimal) -> None:
        """Take `quantity` off a resting order, which keeps its place in the queue, and off its total."""
        order.quantity -= quantity
        self._sides[order.side].levels[order.price].quantity -= quantity
        self._touch(order.side, order.price)

    def remove(self, order: Order) -> None:
        """Take a resting order off the book. Raises `KeyError` when it is not there."""
        side = self._sides[order.side]
        level = side.levels[order.price]
        del level.orders[order.order_id]
        level.quantity -= order.leaves
        side.discard_if_empty(level)
        self._touch(order.side, order.price)

    def drain_changes(self) -> DepthChange | None:
        """Return what changed since the last call, None when nothing did."""
        if self.update_id == self._published_id:
            return None
        change = DepthChange(
            self._published_id + 1, self.update_id, self._drain_side(BUY), self._drain_side(SELL)
        )
        self._published_id = self.update_id
        return change

    def _drain_side(self, side: str) -> list[tuple[Decimal, Decimal]]:
        levels = self._sides[side].levels
        prices = sorted(self._changed[side], reverse=side == BUY)
        self._changed[side].clear()
        return [(price, levels[price].quantity if price in levels else ZERO) for price in prices]

    def _touch(self, side: str, price: Decimal) -> None:
        self.update_id += 1
        self._changed[side].add(price)


def _other(side: str) -> str:
    return SELL if side == BUY else BUY


def _reaches(side: str, limit: Decimal, price: Decimal) -> bool:
    return limit >= price if side == BUY else limit <= price
