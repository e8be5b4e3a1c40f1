"""``cancel``, ``cancel_all``, ``amend``: what is asked of orders that live."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from oms.aggregates.money import ZERO
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.handlers.target import covers, find_order
from oms.messages.codes import Code, Refused
from oms.messages.commands import AmendOrder, CancelAll, CancelOrder
from oms.messages.enums import CancelReason, Side
from oms.messages.events import CancelAllRequested, Event, OrderAmendRequested
from oms.messages.subjects import Subject

CANCELS_PER_COMMIT: Final = 2_000
"""A ``cancel_all`` over more orders becomes several commits, so that each fits a frame."""


def decide_cancel(state: Partition, subject: Subject, command: CancelOrder) -> list[Event]:
    """Ask the venue for a cancel; nothing of ours ever stands in its way.

    Raises:
        Refused: ORDER_UNKNOWN, ORDER_FINISHED, ORDER_PENDING, SUBJECT_MISMATCH.
    """
    return find_order(state, subject, command, command.order_id).decide_cancel(CancelReason.CLIENT)


def decide_cancel_all(state: Partition, subject: Subject, command: CancelAll) -> Iterator[list[Event]]:
    """Ask for a cancel of every live order covered; a chunk of events for each commit, the last one says how many."""
    meant = (
        order
        for key, live in list(state.live.items())
        if key[1] == subject.account
        for order in sorted(live.values(), key=lambda order: order.order_id)
        if order.leaves and order.cancel_requested is None and covers(subject, command, order)
    )
    count = 0
    while True:
        chunk: list[Order] = list(islice(meant, CANCELS_PER_COMMIT))
        count += len(chunk)
        events: list[Event] = [event for order in chunk for event in order.decide_cancel(CancelReason.CLIENT)]
        if len(chunk) == CANCELS_PER_COMMIT:
            yield events
            continue
        events.append(
            CancelAllRequested(
                exchange=subject.exchange,
                account=subject.account,
                market=subject.market,
                symbol=subject.symbol,
                count=count,
            )
        )
        yield events
        return


def decide_amend(state: Partition, subject: Subject, command: AmendOrder) -> list[Event]:
    """Ask the venue for other terms, held against the instrument and the funds as a new order would be.

    Raises:
        Refused: ORDER_UNKNOWN, ORDER_FINISHED, ORDER_PENDING, AMEND_BELOW_FILLED, AMEND_NO_CHANGE, NOT_POSITIVE,
            TICK_SIZE, STEP_SIZE, QUANTITY_…, NOTIONAL_…, INSUFFICIENT_FUNDS, REDUCE_ONLY, VENUE_DOWN.
    """
    order = find_order(state, subject, command, command.order_id)
    instrument = state.instruments[order.exchange, order.market, order.symbol]
    quantity, price = command.quantity, command.price
    if quantity is not None:
        if quantity <= 0:
            raise Refused(Code.NOT_POSITIVE, f"quantity must be above zero, was {quantity:f}")
        quantity = instrument.check_quantity(quantity)
    if price is not None:
        if price <= 0:
            raise Refused(Code.NOT_POSITIVE, f"price must be above zero, was {price:f}")
        price = instrument.check_price("price", price)
    event = order.decide_amend(quantity, price)
    ledger = state.ledger((order.exchange, order.account, order.market))
    if not ledger.ready:
        raise Refused(
            Code.VENUE_DOWN,
            f"no connector session is ready for {order.account} on {order.exchange}.{order.market}",
        )
    instrument.check_notional(event.quantity, event.price or order.trigger_price or instrument.mark or ZERO)
    _check_reduces_more(state, order, event)
    unit = order.reserve_price if event.price is None or order.side is Side.SELL else event.price
    ledger.check_funds(order.reserve_asset, (event.quantity - order.cumulative) * unit - order.reserved)
    return [event]


def _check_reduces_more(state: Partition, order: Order, event: OrderAmendRequested) -> None:
    if not order.reduce_only:
        return
    position = state.position((order.exchange, order.account, order.market, order.symbol))
    open_to = abs(position.quantity) - position.reducing + order.reducing
    if event.quantity - order.cumulative > open_to:
        raise Refused(
            Code.REDUCE_ONLY,
            f"amended to {event.quantity:f}, with {order.cumulative:f} filled and {open_to:f} of the position free to reduce",
        )
