"""Controls: every check that a place passes, with its limit and value at that moment, for people who ask why.

The decision itself stops at the first control that does not hold; here all are told. A property in the tests holds the
two against each other: the first control here that does not hold is the code that ``decide_place`` denies with.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition, reservation
from oms.handlers.place import MARKET_RESERVE, check_shape, unit_off_spot
from oms.handlers.target import Target
from oms.messages.codes import Code, Refused
from oms.messages.commands import PlaceOrder
from oms.messages.enums import Side

Amount = Decimal | int | str | None


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control.

    Args:
        name: what is checked, for people.
        code: what the order is denied with when it does not hold.
        scope: what the limit belongs to: an account on a market, an instrument, a position, a balance.
        limit: what it is held against; None when there is none. Times are UTC ns.
        value: what was found; None when it was not known.
        held: whether it held; None when it cannot be told, because the price it needs was not known.
    """

    name: str
    code: Code
    scope: str
    limit: Amount
    value: Amount
    held: bool | None


def explain_place(state: Partition, target: Target, command: PlaceOrder, now: int) -> list[Control]:
    """Every control that a place is held against, in the decision's order. Inside :data:`oms.aggregates.money.EXACT`.

    Raises:
        Refused: INVALID_COMMAND, NOT_POSITIVE, INSTRUMENT_UNKNOWN, as the decision does before it comes to controls.
    """
    check_shape(command)
    instrument = target.instrument(state)
    found = [_session(state, target), *_venue(state, target, command), *_terms(instrument, command, now)]
    # What a unit is worth: to a notional, and, with a margin where the price is not known, to what a buy reserves.
    priced = command.price or command.trigger_price or instrument.mark
    reserve_price = priced if command.price is not None or priced is None else priced * MARKET_RESERVE
    if command.price is None and command.trigger_price is None:
        found.append(_reference(instrument))
    found += _notional(instrument, command.quantity, priced)
    if command.reduce_only:
        found.append(_reduce_only(state, target, command))
    found.append(_funds(state, target, instrument, command, reserve_price))
    return found


def denied_by(controls: list[Control]) -> Control | None:
    """The control that an order is denied by: the first that does not hold; None when every one holds."""
    return next((control for control in controls if control.held is False), None)


def _session(state: Partition, target: Target) -> Control:
    ledger = state.ledgers.get(target.account_key)
    ready = ledger is not None and ledger.ready
    reconciling = ledger is not None and ledger.session
    return Control(
        name="connector session",
        code=Code.VENUE_DOWN,
        scope=".".join(target.account_key),
        limit="ready",
        value="ready" if ready else "reconciling" if reconciling else "none",
        held=ready,
    )


def _venue(state: Partition, target: Target, command: PlaceOrder) -> Iterator[Control]:
    declared = state.venues.get((target.exchange, target.market))
    if declared is None:
        return
    lacks = ""
    try:
        declared.check_order(command.type, command.time_in_force, command.post_only, command.reduce_only)
    except Refused as refused:
        lacks = refused.message
    yield Control(
        name="what the venue takes",
        code=Code.NOT_SUPPORTED,
        scope=".".join(declared.key),
        limit="supported",
        value=lacks or "supported",
        held=not lacks,
    )


def _terms(instrument: Instrument, command: PlaceOrder, now: int) -> Iterator[Control]:
    scope = ".".join(instrument.key)

    def control(name: str, code: Code, limit: Amount, value: Amount, held: bool) -> Control:
        return Control(name=name, code=code, scope=scope, limit=limit, value=value, held=held)

    trading = instrument.trading
    yield control(
        "instrument state", Code.INSTRUMENT_HALTED, "trading", "trading" if trading else "halted", trading
    )
    expires = command.expires_at
    if expires is not None:
        yield control("expires after now", Code.EXPIRES_AT_PAST, now, expires, expires > now)
    quantity, step = command.quantity, instrument.step
    least, most = instrument.min_quantity, instrument.max_quantity
    yield control("quantity in steps", Code.STEP_SIZE, step, quantity, not quantity % step)
    yield control("least quantity", Code.QUANTITY_TOO_SMALL, least, quantity, quantity >= least)
    yield control("most quantity", Code.QUANTITY_TOO_LARGE, most, quantity, quantity <= most)
    for name, price in (("price", command.price), ("trigger price", command.trigger_price)):
        if price is not None:
            tick = instrument.tick_at(price)
            yield control(f"{name} in ticks", Code.TICK_SIZE, tick, price, not price % tick)


def _reference(instrument: Instrument) -> Control:
    return Control(
        name="mark price",
        code=Code.NO_REFERENCE_PRICE,
        scope=".".join(instrument.key),
        limit="known",
        value=instrument.mark,
        held=instrument.mark is not None,
    )


def _notional(instrument: Instrument, quantity: Decimal, price: Decimal | None) -> Iterator[Control]:
    notional = None if price is None else quantity * price * instrument.contract_size
    for name, code, limit, held in (
        (
            "least notional",
            Code.NOTIONAL_TOO_SMALL,
            instrument.min_notional,
            notional is None or notional >= instrument.min_notional,
        ),
        (
            "most notional",
            Code.NOTIONAL_TOO_LARGE,
            instrument.max_notional,
            notional is None or instrument.max_notional is None or notional <= instrument.max_notional,
        ),
    ):
        yield Control(
            name=name,
            code=code,
            scope=".".join(instrument.key),
            limit=limit,
            value=notional,
            held=None if notional is None else held,
        )


def _reduce_only(state: Partition, target: Target, command: PlaceOrder) -> Control:
    position = state.positions.get((*target.account_key, target.symbol))
    held = ZERO if position is None else position.quantity
    reducing = ZERO if position is None else position.reducing
    against = held < 0 if command.side is Side.BUY else held > 0
    free = abs(held) - reducing if against else ZERO
    return Control(
        name=f"position of {held:f} to reduce",
        code=Code.REDUCE_ONLY,
        scope=".".join((*target.account_key, target.symbol)),
        limit=free,
        value=command.quantity,
        held=against and command.quantity <= free,
    )


def _funds(
    state: Partition,
    target: Target,
    instrument: Instrument,
    command: PlaceOrder,
    reserve_price: Decimal | None,
) -> Control:
    if reserve_price is not None and not instrument.spot:
        reserve_price = unit_off_spot(
            state, target, instrument, command.side, command.quantity, reserve_price, command.reduce_only
        )
    # On spot a sell reserves the base itself, whatever its price.
    asset, unit = reservation(instrument, command.side, reserve_price)
    balance = state.funds_seen(target.account_key).balances.get(asset)
    free = ZERO if balance is None else balance.free
    needs = None if unit is None else command.quantity * unit
    return Control(
        name="free funds",
        code=Code.INSUFFICIENT_FUNDS,
        scope=".".join((*target.account_key, asset)),
        limit=free,
        value=needs,
        # What reserves nothing is let through even when fills and fees have taken the free balance below zero.
        held=None if needs is None else not needs or needs <= free,
    )
