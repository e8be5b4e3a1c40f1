"""From events to instructions: what a connector has to do once they are durable."""

from typing import Any, Final

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.messages import events as e
from oms.messages.instructions import Amend, Cancel, Instruction, LookUp, Submit, venue_client_id

SEND_WITHIN_NS: Final = 5 * 10**9
"""A connector that has not sent an order this long after the decision never sends it: a stale order is dangerous."""


def instruction_for(state: Partition, event: Any, now: int) -> tuple[Order, Instruction] | None:
    """The instruction that follows from an event just applied, if one does."""
    kind = type(event)
    if kind is e.OrderPlaced:
        placed = state.orders[event.order_id]
        return placed, _submit(placed, now)
    if kind not in _INSTRUCTING:
        return None
    order = state.orders.get(event.order_id)
    if order is None:
        return None
    if kind is e.OrderCancelRequested or (
        kind is e.OrderDoubtResolved and order.cancel_requested is not None
    ):
        return order, _cancel(order)
    if kind is e.OrderAmendRequested:
        return order, _amend(order, now)
    return (order, look_up(order)) if order.in_doubt else None


_INSTRUCTING: Final = frozenset(
    {
        e.OrderCancelRequested,
        e.OrderAmendRequested,
        e.OrderInDoubt,
        e.OrderDoubtResolved,
        e.OrderFilled,
        e.OrderCanceled,
        e.OrderExpired,
    }
)


def resumed_cancels(state: Partition, event: e.SessionOpened) -> list[tuple[Order, Instruction]]:
    """The cancels that a session which has become ready has to repeat: one asked while nobody served the account."""
    live = state.live.get((event.exchange, event.account, event.market), {})
    return [(order, _cancel(order)) for order in live.values() if order.cancel_requested is not None]


def _cancel(order: Order) -> Cancel:
    return Cancel(
        order_id=order.order_id, client_id=order.client_id, symbol=order.symbol, revision=order.revision
    )


def _submit(order: Order, now: int) -> Submit:
    return Submit(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        deadline=now + SEND_WITHIN_NS,
        price=order.price,
        trigger_price=order.trigger_price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
    )


def _amend(order: Order, now: int) -> Amend:
    assert order.amend is not None
    return Amend(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        new_client_id=venue_client_id(order.order_id, order.amend.revision),
        side=order.side,
        type=order.type,
        quantity=order.amend.quantity,
        quantity_before=order.quantity,
        price=order.amend.price,
        revision=order.amend.revision,
        deadline=now + SEND_WITHIN_NS,
        trigger_price=order.trigger_price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
    )


def look_up(order: Order) -> LookUp:
    """What the engine believes of an order, for a connector to hold against the venue."""
    return LookUp(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        status=order.status,
        quantity=order.quantity,
        cumulative=order.cumulative,
        since=order.placed_at,
        revision=order.revision,
        pending_revision=None if order.amend is None else order.amend.revision,
        pending_client_id=None
        if order.amend is None
        else venue_client_id(order.order_id, order.amend.revision),
        pending_quantity=None if order.amend is None else order.amend.quantity,
    )
