"""Self-trade prevention: an order of ours is not sent while it would trade with another one of ours, of whichever account.

What is done about it, the control ``self_trade`` says: deny the new order (``cancel_incoming``), cancel what rests and hold the
new one until that is gone (``cancel_resting``), or cancel what rests and deny the new one (``cancel_both``). Stop orders are not
looked at: when one triggers, nobody asks us.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from oms.aggregates.instrument import InstrumentKey
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.handlers.target import Target, check_trading
from oms.messages import commands as c
from oms.messages import events as e
from oms.messages.codes import Code, Refused
from oms.messages.enums import CancelReason, OrderType, Side
from oms.messages.subjects import Subject

MAX_CROSSED: Final = 64
"""Resting orders that are cancelled for one new order. When it would trade with more, it is denied and they stay."""
MAX_HELD: Final = 1_000
"""Orders that wait at once for others to be gone, so that one commit can release them all. One more is denied."""

OFF: Final = "off"
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
BUY: Final = Side.BUY


class Prevention(NamedTuple):
    """What prevents an order from trading with one of ours.

    Args:
        denied: what the order is denied with.
        cancels: events that have to go before the order's own.
        awaits: orders that have to be gone before it is sent.
    """

    denied: Refused | None = None
    cancels: tuple[e.Event, ...] = ()
    awaits: tuple[str, ...] = ()


NOTHING: Final = Prevention()


def decide_self_trade(
    state: Partition,
    mode: str,
    target: Target,
    kind: OrderType,
    side: Side,
    price: Decimal | None,
    post_only: bool,
) -> Prevention:
    """Decide what has to happen so that a new order, which passed every other control, trades with none of ours."""
    if mode == OFF or (kind is not LIMIT and kind is not MARKET):
        return NOTHING
    crossed = _crossed(state, (target.exchange, target.market, target.symbol), side, price, post_only)
    if not crossed:
        return NOTHING
    if mode == "cancel_incoming" or len(crossed) > MAX_CROSSED:
        return Prevention(denied=_refused(side, price, crossed))
    if mode == "cancel_resting":
        # What waits to be sent has nothing to cancel at the venue, and came first.
        if any(order.awaits for order in crossed):
            return Prevention(denied=_refused(side, price, crossed, ", of which one waits to be sent itself"))
        if len(state.holds.since) >= MAX_HELD:
            return Prevention(
                denied=_refused(side, price, crossed, f", and {MAX_HELD:,} orders wait already")
            )
        return Prevention(cancels=_cancels(crossed), awaits=tuple(order.order_id for order in crossed))
    return Prevention(denied=_refused(side, price, crossed), cancels=_cancels(crossed))


def check_amend_crosses(state: Partition, mode: str, order: Order, price: Decimal | None) -> None:
    """Hold an order's new price against our own: no mode cancels anything for an amend.

    Raises:
        Refused: SELF_TRADE.
    """
    if mode == OFF or order.type is not LIMIT or price == order.price:
        return
    key = (order.exchange, order.market, order.symbol)
    crossed = _crossed(state, key, order.side, price, order.post_only)
    if crossed:
        raise _refused(order.side, price, crossed)


def decide_free(state: Partition, order: Order, now: int) -> e.Event:
    """Decide what becomes of a held order that has nothing left to wait for: it is sent, unless it would be of no use by now."""
    order_id = order.order_id
    if order.expires_at is not None and order.expires_at <= now:
        return e.OrderExpired(order_id=order_id, reason="its time was over before it was sent", venue_time=0)
    ledger = state.ledgers[order.exchange, order.account, order.market]
    if not ledger.ready:
        where = f"{order.account} on {order.exchange}.{order.market}"
        return e.OrderRejected(
            order_id=order_id, reason=f"self-trade prevention: no connector session is ready for {where}"
        )
    place = (order.exchange, order.account, order.market, order.symbol)
    gate = state.risk.gate(state, place, order.strategy, now)
    if any(latch.at >= order.placed_at for latch in gate.latches):
        # Killed since, and beyond the bound of what one kill cancels.
        return order.decide_cancel(CancelReason.KILL)[0]
    try:
        # What was let through then may have been stopped since, or be beyond a limit: to be sent is to be placed.
        check_trading(state, order.account)
        gate.check_release(order.side, order.quantity, order.reduce_only, now)
    except Refused as refused:
        told = f"self-trade prevention: {refused.code} by now: {refused.message}"
        return e.OrderRejected(order_id=order_id, reason=told[:256])
    # Others may have come to rest meanwhile, for which this is off.
    key = (order.exchange, order.market, order.symbol)
    crossed = _crossed(state, key, order.side, order.price, order.post_only)
    if crossed:
        told = _refused(order.side, order.price, crossed).message
        return e.OrderRejected(order_id=order_id, reason=f"self-trade prevention: {told}")
    return e.OrderReleased(order_id=order_id)


def decide_give_up(state: Partition, subject: Subject, command: c.ReleaseOrders) -> list[e.Event]:
    """Give up those of the orders that are still held."""
    return [
        e.OrderRejected(
            order_id=order_id,
            reason=f"self-trade prevention: {_count(_left(state, order_id))} did not end in time",
        )
        for order_id in dict.fromkeys(command.order_ids)
        if order_id in state.holds.since
    ]


def _left(state: Partition, order_id: str) -> int:
    """How many of those that a held order waits for may still trade."""
    awaited = (state.orders.get(each) for each in state.orders[order_id].awaits)
    return sum(each is not None and each.may_trade for each in awaited)


def _crossed(
    state: Partition, key: InstrumentKey, side: Side, price: Decimal | None, post_only: bool
) -> list[Order]:
    """Orders of ours that one would trade with, oldest first; one more than :data:`MAX_CROSSED` stands for any number."""
    found = state.own_book.crossed(key, side, price, MAX_CROSSED + 1)
    if post_only:
        # It takes nothing that is at the venue. But what comes there after it may take it: an order that is held, an amend.
        found = [
            order_id
            for order_id in found
            if order_id in state.holds.since or _will_cross(state.orders[order_id], price)
        ]
    return [state.orders[order_id] for order_id in found]


def _will_cross(order: Order, price: Decimal | None) -> bool:
    """Whether an amend under way would have an order trade with one of the other side at a price."""
    amend = order.amend
    if amend is None:
        return False
    asked = amend.price
    if asked is None or price is None:
        return True
    return asked >= price if order.side is Side.BUY else asked <= price


def _cancels(crossed: list[Order]) -> tuple[e.Event, ...]:
    return tuple(
        event
        for order in crossed
        if order.working and order.cancel_requested is None
        for event in order.decide_cancel(CancelReason.SELF_TRADE)
    )


def _refused(side: Side, price: Decimal | None, crossed: list[Order], more: str = "") -> Refused:
    at = "at any price" if price is None else f"at {price:f}"
    return Refused(Code.SELF_TRADE, f"a {side} {at} would trade with {_count(len(crossed))}{more}")


def _count(many: int) -> str:
    if many > MAX_CROSSED:
        return f"more than {MAX_CROSSED} orders of ours"
    return "an order of ours" if many == 1 else f"{many} orders of ours"
