"""``place``: intent checked against the instrument, the session, the position and the funds."""

from decimal import Decimal
from typing import Final

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition, margin_unit, reservation
from oms.handlers.self_trade import NOTHING, decide_self_trade
from oms.handlers.strategies import check_name, check_room
from oms.handlers.target import Target, check_trading
from oms.messages.codes import Code, Refused
from oms.messages.commands import PlaceOrder
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.events import Event, OrderDenied, OrderPlaced

# Looking a member up on its class costs more than the comparison, and this is the hot path.
LIMIT, STOP_LIMIT, STOP_MARKET = OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.STOP_MARKET
GTC, GTD, IOC = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.IOC

MARKET_RESERVE: Final = Decimal("1.05")
"""A market order reserves by the mark plus 5 %, a stop-market order by its trigger plus 5 %: what it costs is not known before."""


def decide_place(state: Partition, target: Target, command: PlaceOrder, now: int) -> list[Event]:
    """Decide a place: ``OrderPlaced``, or ``OrderDenied`` when a control stands against it.

    Raises:
        Refused: INVALID_COMMAND, NOT_POSITIVE, INSTRUMENT_UNKNOWN: the command makes no sense, and leaves no trace.
    """
    check_shape(command)
    instrument = target.instrument(state)
    prevention = NOTHING
    try:
        quantity, price, trigger, reserve_price, mode = _check(state, target, instrument, command, now)
        # The last control: nothing is cancelled for an order that another one denies.
        prevention = decide_self_trade(
            state, mode, target, command.type, command.side, price, command.post_only
        )
        if prevention.denied is not None:
            raise prevention.denied
    except Refused as refused:
        return [
            *prevention.cancels,
            OrderDenied(
                order_id=state.order_id(),
                exchange=target.exchange,
                account=target.account,
                market=target.market,
                symbol=target.symbol,
                side=command.side,
                type=command.type,
                quantity=command.quantity,
                price=command.price,
                trigger_price=command.trigger_price,
                time_in_force=command.time_in_force,
                expires_at=command.expires_at,
                post_only=command.post_only,
                reduce_only=command.reduce_only,
                strategy=command.strategy,
                client_order_id=command.client_order_id,
                code=refused.code,
                message=refused.message,
            ),
        ]
    return [
        *prevention.cancels,
        OrderPlaced(
            order_id=state.order_id(),
            exchange=target.exchange,
            account=target.account,
            market=target.market,
            symbol=target.symbol,
            side=command.side,
            type=command.type,
            quantity=quantity,
            price=price,
            trigger_price=trigger,
            time_in_force=command.time_in_force,
            expires_at=command.expires_at,
            post_only=command.post_only,
            reduce_only=command.reduce_only,
            strategy=command.strategy,
            client_order_id=command.client_order_id,
            reserve_price=reserve_price,
            awaits=prevention.awaits,
        ),
    ]


def check_shape(command: PlaceOrder) -> None:
    """Hold the fields of a place against each other.

    Raises:
        Refused: INVALID_COMMAND, NOT_POSITIVE.
    """
    check_name(command.strategy)
    kind = command.type
    price, trigger_price = command.price, command.trigger_price
    priced = kind is LIMIT or kind is STOP_LIMIT
    triggered = kind is STOP_LIMIT or kind is STOP_MARKET
    if command.quantity <= 0:
        raise Refused(Code.NOT_POSITIVE, f"quantity must be above zero, was {command.quantity:f}")
    if (price is not None) is not priced:
        raise Refused(
            Code.INVALID_COMMAND, f"a {kind} order {'has no' if price is not None else 'needs a'} price"
        )
    if price is not None and price <= 0:
        raise Refused(Code.NOT_POSITIVE, f"price must be above zero, was {price:f}")
    if (trigger_price is not None) is not triggered:
        verb = "has no" if trigger_price is not None else "needs a"
        raise Refused(Code.INVALID_COMMAND, f"a {kind} order {verb} trigger_price")
    if trigger_price is not None and trigger_price <= 0:
        raise Refused(Code.NOT_POSITIVE, f"trigger_price must be above zero, was {trigger_price:f}")
    if (command.expires_at is not None) is not (command.time_in_force is GTD):
        raise Refused(Code.INVALID_COMMAND, "expires_at goes with time_in_force GTD, and GTD with expires_at")
    if command.post_only and (kind is not LIMIT or command.time_in_force not in (GTC, GTD)):
        raise Refused(Code.INVALID_COMMAND, "post_only goes with type limit and time_in_force GTC or GTD")
    if not priced and command.time_in_force not in (GTC, IOC):
        raise Refused(Code.INVALID_COMMAND, f"a {kind} order is GTC or IOC, was {command.time_in_force}")


def _check(
    state: Partition, target: Target, instrument: Instrument, command: PlaceOrder, now: int
) -> tuple[Decimal, Decimal | None, Decimal | None, Decimal, str]:
    """Return quantity, price and trigger as the venue writes them, what the event says each unit reserves, and the mode of
    self-trade prevention."""
    check_trading(state, target.account)
    check_room(command.strategy, state.risk.trading)
    gate = state.risk.gate(state, target[:4], command.strategy, now)
    gate.check_open(command.side, command.quantity, command.quantity, command.reduce_only)
    ledger = state.ledgers.get(target.account_key)
    if ledger is None or not ledger.ready:
        raise Refused(
            Code.VENUE_DOWN,
            f"no connector session is ready for {target.account} on {target.exchange}.{target.market}",
        )
    declared = state.venues.get((target.exchange, target.market))
    if declared is not None:
        declared.check_order(command.type, command.time_in_force, command.post_only, command.reduce_only)
    if not instrument.trading:
        raise Refused(Code.INSTRUMENT_HALTED, f"{instrument.symbol} does not trade now")
    if command.expires_at is not None and command.expires_at <= now:
        raise Refused(Code.EXPIRES_AT_PAST, f"expires_at must be after {now}, was {command.expires_at}")
    quantity = instrument.check_quantity(command.quantity)
    price = None if command.price is None else instrument.check_price("price", command.price)
    trigger = None
    if command.trigger_price is not None:
        trigger = instrument.check_price("trigger_price", command.trigger_price)
    reserve_price = price if price is not None else expected_price(instrument, trigger)
    instrument.check_notional(quantity, price or trigger or instrument.mark or ZERO)
    if command.reduce_only:
        _check_reduces(state, target, command.side, quantity)
    if not instrument.spot:
        reserve_price = unit_off_spot(
            state, target, instrument, command.side, quantity, reserve_price, command.reduce_only
        )
    asset, unit = reservation(instrument, command.side, reserve_price)
    needs = quantity * unit
    gate.check_place(
        command.side,
        command.type,
        quantity,
        price,
        trigger,
        needs,
        command.reduce_only,
        now,
        state.risk.recent,
    )
    state.funds_seen(target.account_key).check_funds(asset, needs)
    return quantity, price, trigger, reserve_price, gate.self_trade


def unit_off_spot(
    state: Partition,
    target: Target,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    reduce_only: bool,
) -> Decimal:
    """What each unit of an order off spot reserves; see :func:`oms.aggregates.partition.margin_unit`."""
    position = state.positions.get((*target.account_key, target.symbol))
    return ZERO if reduce_only else margin_unit(instrument, position, side, quantity, price)


def expected_price(instrument: Instrument, trigger: Decimal | None) -> Decimal:
    """What an order without a price of its own is taken to trade at.

    Raises:
        Refused: NO_REFERENCE_PRICE.
    """
    reference = trigger if trigger is not None else instrument.mark
    if reference is None:
        raise Refused(Code.NO_REFERENCE_PRICE, f"no mark price of {instrument.symbol} is known")
    return reference * MARKET_RESERVE


def _check_reduces(state: Partition, target: Target, side: Side, quantity: Decimal) -> None:
    position = state.positions.get((*target.account_key, target.symbol))
    held = ZERO if position is None else position.quantity
    open_to = ZERO if position is None else abs(held) - position.reducing
    if (held > 0) == (side is Side.BUY) or not held or quantity > open_to:
        raise Refused(
            Code.REDUCE_ONLY,
            f"a reduce-only {side} of {quantity:f} against a position of {held:f}, of which {open_to:f} is free to reduce",
        )
