"""Orders: the open blotter and the history.

State: every order that is live, and those that finished, for a while. An order that the partition holds is the
partition's own object, which the event has already changed when it comes here: there is no second copy that could
differ. What left the partition, and what never entered it (denied orders), is kept here alone.

Events: ``OrderPlaced``, ``OrderAdopted`` and ``OrderDenied`` make one; every other order event is told by the order
itself. A trade may still come for an order that the partition has let go, or be taken back; it is applied here.

Rules: a finished order leaves when it is older than ``kept_ns`` by event time, or when more than ``kept`` finished ones
are held, the one that finished first before the others. Ids rise with the order's number, so that sorting by id is
sorting by age.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from oms.aggregates import order as orders
from oms.aggregates.money import ZERO
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.messages import events as e
from oms.messages.enums import OrderStatus
from oms.messages.queries import OrderRow
from oms.projections.elsewhere import NO_ORDER_AND_NO_TRADE


class Orders:
    """Orders by id.

    Args:
        partition: the state that the events are applied to, before they come here.
        kept: how many finished orders stay.
        kept_ns: how long a finished order stays, by event time.
    """

    def __init__(self, partition: Partition, kept: int, kept_ns: int) -> None:
        self.partition = partition
        self.kept = kept
        self.kept_ns = kept_ns
        self.by_id: dict[str, Order] = {}
        self.finished: OrderedDict[str, int] = OrderedDict()
        # Every id of by_id in order, and ids that left since the last clearing.
        self._ids: list[str] = []

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int) -> None:
        """Apply an event that the partition has applied."""
        RULES[type(event)](self, event, at)

    def retire(self, at: int) -> None:
        """Let go of what finished too long ago, or is too much."""
        finished = self.finished
        while finished:
            oldest = next(iter(finished))
            if len(finished) <= self.kept and at - finished[oldest] < self.kept_ns:
                break
            del finished[oldest], self.by_id[oldest]
        if len(self._ids) > 2 * len(self.by_id) + 1_000:
            self._ids = [order_id for order_id in self._ids if order_id in self.by_id]

    def _add(self, order: Order, at: int) -> None:
        order_id = order.order_id
        self.by_id[order_id] = order
        if not self._ids or order_id > self._ids[-1]:
            self._ids.append(order_id)
        else:
            place = bisect_left(self._ids, order_id)
            if place == len(self._ids) or self._ids[place] != order_id:
                insort(self._ids, order_id)
        if not order.live:
            self.finished[order_id] = at

    def _made(self, event: e.OrderPlaced | e.OrderAdopted, at: int) -> None:
        self._add(self.partition.orders[event.order_id], at)

    def _denied(self, event: e.OrderDenied, at: int) -> None:
        order = orders.make(event, at, OrderStatus.DENIED, "", ZERO)
        order.updated_at = at
        order.reason = f"{event.code}: {event.message}"
        self._add(order, at)

    def _changed(self, event: Any, at: int) -> None:
        order_id = event.order_id
        order = self.partition.orders[order_id]
        if order.live:
            if order_id in self.finished:
                del self.finished[order_id]
            elif order_id not in self.by_id:
                self._add(order, at)
        elif order_id in self.by_id:
            self.finished.setdefault(order_id, at)
        else:
            self._add(order, at)

    def _traded(self, event: e.OrderFilled | e.TradeBusted, at: int) -> None:
        if event.order_id in self.partition.orders:
            self._changed(event, at)
            return
        order = self.by_id.get(event.order_id)
        if order is not None:
            order.evolve(event, at)

    # -- read

    def newest_first(self, before: str = "") -> Iterator[Order]:
        """Every order kept, newest first; with ``before`` only those older than that order id."""
        place = bisect_left(self._ids, before) if before else len(self._ids)
        for index in range(place - 1, -1, -1):
            order = self.by_id.get(self._ids[index])
            if order is not None:
                yield order

    def open_newest_first(
        self, exchange: str, account: str, market: str, before: str = ""
    ) -> Iterator[Order]:
        """Every live order of the accounts that this covers (``_``: any), newest first; ``before`` as above."""
        found: list[Order] = []
        for key, live in self.partition.live.items():
            if all(
                ours in ("_", theirs) for ours, theirs in zip((exchange, account, market), key, strict=True)
            ):
                found += [order for order_id, order in live.items() if not before or order_id < before]
        found.sort(key=_order_id, reverse=True)
        return iter(found)

    # -- image

    def alone(self) -> list[Order]:
        """The orders that the partition does not hold, for a snapshot."""
        held = self.partition.orders
        return [order for order_id, order in self.by_id.items() if held.get(order_id) is not order]

    def restore(self, alone: list[Order], finished: dict[str, int]) -> None:
        """Take over from a snapshot what :meth:`alone` and ``finished`` were; the rest is the partition's."""
        self.finished = OrderedDict(finished)
        self.by_id = {order.order_id: order for order in alone}
        for order_id, order in self.partition.orders.items():
            if order_id in finished or order.live:
                self.by_id[order_id] = order
        self._ids = sorted(self.by_id)


def order_fields(order: Order) -> dict[str, Any]:
    """The fields of an order's row as they are now."""
    return {
        "order_id": order.order_id,
        "exchange": order.exchange,
        "account": order.account,
        "market": order.market,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "open": order.live,
        "in_doubt": order.in_doubt,
        "quantity": order.quantity,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "filled": order.cumulative,
        "leaves": order.leaves,
        "cost": order.cost,
        "locked": order.reserved,
        "locked_asset": order.reserve_asset,
        "time_in_force": order.time_in_force,
        "expires_at": order.expires_at,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "strategy": order.strategy,
        "client_order_id": order.client_order_id,
        "venue_order_id": order.venue_order_id,
        "reason": order.reason,
        "cancel_reason": order.cancel_requested,
        "placed_at": order.placed_at,
        "updated_at": order.updated_at,
    }


def order_row(order: Order) -> OrderRow:
    """The row of an order as it is now."""
    return OrderRow(**order_fields(order))


def _order_id(order: Order) -> str:
    return order.order_id


RULES: Final[dict[type, Any]] = {
    e.OrderPlaced: Orders._made,
    e.OrderDenied: Orders._denied,
    e.OrderAdopted: Orders._made,
    e.OrderAccepted: Orders._changed,
    e.OrderRejected: Orders._changed,
    e.OrderFilled: Orders._traded,
    e.TradeBusted: Orders._traded,
    e.OrderCancelRequested: Orders._changed,
    e.OrderCanceled: Orders._changed,
    e.OrderExpired: Orders._changed,
    e.OrderCancelRejected: Orders._changed,
    e.OrderAmendRequested: Orders._changed,
    e.OrderAmended: Orders._changed,
    e.OrderAmendRejected: Orders._changed,
    e.OrderRestated: Orders._changed,
    e.OrderInDoubt: Orders._changed,
    e.OrderDoubtResolved: Orders._changed,
    e.OrderReleased: Orders._changed,
}

IGNORED: Final = NO_ORDER_AND_NO_TRADE | {
    e.FundingPaid,
    e.PositionAdjusted,
    e.OrderAmendDenied,  # leaves the order as it is
}
