"""Holds: orders that are placed and not sent yet, because they would trade with orders of ours that are being cancelled.

An order is held while it awaits any order that may still trade (:attr:`oms.aggregates.order.Order.awaits`). What it awaits is
never held itself, so that no two orders wait for each other. Everything here is derived from the orders: in no digest and no
image.
"""

from collections.abc import Mapping

import attrs

from oms.aggregates.order import Order


@attrs.define(slots=True, eq=False)
class Holds:
    """Who waits for whom.

    Args:
        since: held orders → when they were placed, UTC ns; oldest first.
        free: held orders that have nothing left to wait for. The commit that frees an order also releases or ends it.
    """

    since: dict[str, int] = attrs.field(factory=dict)
    free: dict[str, None] = attrs.field(factory=dict)
    _awaits: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    _holders: dict[str, dict[str, None]] = attrs.field(factory=dict)

    def hold(self, order: Order, orders: Mapping[str, Order]) -> None:
        """Take in an order that awaits others."""
        order_id = order.order_id
        self.since[order_id] = order.placed_at
        self._awaits[order_id] = order.awaits
        for awaited in order.awaits:
            self._holders.setdefault(awaited, {})[order_id] = None
        self._note(order_id, orders)

    def changed(self, order: Order, orders: Mapping[str, Order]) -> None:
        """Take in what an order has become, held or awaited or neither."""
        order_id = order.order_id
        if order_id in self.since and not order.awaits:
            self._forget(order_id)
        holders = self._holders.get(order_id)
        if holders is not None and not order.may_trade:
            for holder in holders:
                self._note(holder, orders)

    def _note(self, order_id: str, orders: Mapping[str, Order]) -> None:
        for awaited in self._awaits[order_id]:
            # One that is not known, or no longer, has ended.
            found = orders.get(awaited)
            if found is not None and found.may_trade:
                return
        self.free[order_id] = None

    def _forget(self, order_id: str) -> None:
        del self.since[order_id]
        self.free.pop(order_id, None)
        for awaited in self._awaits.pop(order_id):
            holders = self._holders[awaited]
            del holders[order_id]
            if not holders:
                del self._holders[awaited]
