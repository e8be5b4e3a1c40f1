"""``cancel``, ``cancel_all``, ``amend``: what is asked of orders that live."""

from decimal import Decimal
from typing import Final

import msgspec

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition, margin_unit
from oms.handlers.place import expected_price
from oms.handlers.self_trade import check_amend_crosses
from oms.handlers.target import check_listed, check_trading, covers, find_order
from oms.messages.codes import Code, Refused
from oms.messages.commands import AmendOrder, CancelAll, CancelOrder
from oms.messages.enums import CancelReason, Side
from oms.messages.events import CancelAllRequested, Event, OrderAmendDenied, OrderAmendRequested
from oms.messages.subjects import Subject
from oms.messages.venues import Feature

MAX_CANCELS: Final = 5_000
"""Orders that one command asks to cancel, so that it is one commit in one frame. Venues allow far fewer open ones."""


def decide_cancel(state: Partition, subject: Subject, command: CancelOrder) -> list[Event]:
    """Ask the venue for a cancel; nothing of ours ever stands in its way.

    Raises:
        Refused: ORDER_UNKNOWN, ORDER_FINISHED, ORDER_PENDING, SUBJECT_MISMATCH.
    """
    return find_order(state, subject, command, command.order_id).decide_cancel(CancelReason.CLIENT)


def decide_cancel_all(state: Partition, subject: Subject, command: CancelAll) -> list[Event]:
    """Ask for a cancel of every live order covered, oldest first, up to :data:`MAX_CANCELS`; the last event says how many.

    Raises:
        Refused: INSTRUMENT_UNKNOWN where nothing of what is named is listed: "no orders there" would be taken for true.
    """
    meant = sorted(
        order.order_id
        for key, live in state.live.items()
        if key[1] == subject.account
        for order in live.values()
        if order.leaves and order.cancel_requested is None and covers(subject, command, order)
    )
    if not meant:
        check_listed(state, subject, command)
    events: list[Event] = []
    for order_id in meant[:MAX_CANCELS]:
        events += state.orders[order_id].decide_cancel(CancelReason.CLIENT)
    events.append(
        CancelAllRequested(
            exchange=subject.exchange,
            account=subject.account,
            market=subject.market,
            symbol=subject.symbol,
            count=len(events),
            left=len(meant) - len(events),
        )
    )
    return events


def decide_amend(state: Partition, subject: Subject, command: AmendOrder, now: int) -> list[Event]:
    """Decide an amend, held against the instrument and the funds as a new order would be: ``OrderAmendRequested``, or
    ``OrderAmendDenied`` when a control stands against it.

    Raises:
        Refused: ORDER_UNKNOWN, ORDER_FINISHED, ORDER_PENDING, SUBJECT_MISMATCH, AMEND_BELOW_FILLED, AMEND_NO_CHANGE,
            NOT_POSITIVE: the command makes no sense, or not for this order now, and leaves no trace.
    """
    order = find_order(state, subject, command, command.order_id)
    for name, amount in (("quantity", command.quantity), ("price", command.price)):
        if amount is not None and amount <= 0:
            raise Refused(Code.NOT_POSITIVE, f"{name} must be above zero, was {amount:f}")
    try:
        return [_check_amend(state, order, command, now)]
    except Refused as refused:
        if refused.code in _OF_THE_ORDER:
            raise
        return [
            OrderAmendDenied(
                order_id=order.order_id,
                quantity=command.quantity,
                price=command.price,
                code=refused.code,
                message=refused.message,
            )
        ]


_OF_THE_ORDER: Final = frozenset(
    {Code.ORDER_FINISHED, Code.ORDER_PENDING, Code.AMEND_BELOW_FILLED, Code.AMEND_NO_CHANGE}
)
"""Codes of what no control of ours denies: the order itself does not take such an amend."""


def _check_amend(state: Partition, order: Order, command: AmendOrder, now: int) -> OrderAmendRequested:
    check_trading(state, order.account)
    place = (order.exchange, order.account, order.market, order.symbol)
    gate = state.risk.gate(state, place, order.strategy, now)
    quantity, price = command.quantity, command.price
    rest = (order.quantity if quantity is None else quantity) - order.cumulative
    more = rest - order.exposed
    # With what it would add beside all that works: an order that reduces may be amended to one that does not.
    gate.check_open(order.side, more, rest, order.reduce_only)
    instrument = state.instruments[order.exchange, order.market, order.symbol]
    if quantity is not None:
        quantity = instrument.check_quantity(quantity)
    if price is not None:
        price = instrument.check_price("price", price)
    declared = state.venues.get((order.exchange, order.market))
    if declared is not None:
        declared.check(Feature.AMEND)
    event = order.decide_amend(quantity, price, declared is not None and declared.amends_in_place)
    ledger = state.ledgers[order.exchange, order.account, order.market]
    if not ledger.ready:
        raise Refused(
            Code.VENUE_DOWN,
            f"no connector session is ready for {order.account} on {order.exchange}.{order.market}",
        )
    instrument.check_notional(event.quantity, event.price or order.trigger_price or instrument.mark or ZERO)
    _check_reduces_more(state, order, event)
    if not instrument.spot:
        unit = _unit_off_spot(state, order, instrument, event)
        event = msgspec.structs.replace(event, reserve_price=unit)
    else:
        unit = order.unit_at(event.price)
    lowers = event.price == order.price and event.quantity < order.quantity
    needs = (event.quantity - order.cumulative) * unit - order.reserved
    gate.check_amend(
        order.side,
        event.quantity,
        more,
        rest,
        event.price,
        order.trigger_price,
        needs,
        order.reduce_only,
        now,
        lowers,
    )
    state.funds_seen(ledger.key).check_funds(order.reserve_asset, needs)
    check_amend_crosses(state, gate.self_trade, order, event.price)
    return event


def _unit_off_spot(
    state: Partition, order: Order, instrument: Instrument, event: OrderAmendRequested
) -> Decimal:
    """What a unit of the amended order reserves, by today's leverage and position."""
    if order.reduce_only:
        return ZERO
    price = event.price or expected_price(instrument, order.trigger_price)
    position = state.positions.get((order.exchange, order.account, order.market, order.symbol))
    leaves = event.quantity - order.cumulative
    return margin_unit(instrument, position, order.side, leaves, price, order.reducing)


def _check_reduces_more(state: Partition, order: Order, event: OrderAmendRequested) -> None:
    # Less is always let through, however the position has moved meanwhile.
    if not order.reduce_only or event.quantity <= order.quantity:
        return
    position = state.positions[order.exchange, order.account, order.market, order.symbol]
    open_to = abs(position.quantity) - position.reducing + order.reducing
    turned = (position.quantity > 0) is (order.side is Side.BUY)
    if turned or event.quantity - order.cumulative > open_to:
        raise Refused(
            Code.REDUCE_ONLY,
            f"amended to {event.quantity:f}, with {order.cumulative:f} filled and {open_to:f} of the position free to reduce",
        )
