"""Reconciling: positions held against the venue's, and what a reconciliation came to."""

from decimal import Decimal
from typing import Final

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition
from oms.aggregates.position import ISOLATED, Position, adopt
from oms.handlers.session import check_amount, check_ready, listed, of_session
from oms.messages import commands as c
from oms.messages import events as e
from oms.messages.codes import Code, Refused
from oms.messages.replies import ErrorBody, RefusedReport
from oms.messages.subjects import ANY, Subject

SPOT: Final = "spot"
MAX_EVENTS: Final = 1_000
"""Events that one report of positions makes, so that its commit fits a frame; the next report makes the rest."""
ENTRY_NOISE: Final = Decimal("0.000001")
"""An entry price is stated again when it differs by more than this part: venues round their averages."""
NOISE: Final = Decimal("0.01")
"""Liquidation price and isolated margin are, when they differ by more than this part: with cross margin every mark moves them."""


def decide_request(state: Partition, subject: Subject, command: c.RequestReconciliation) -> list[e.Event]:
    """Ask the session to hold the account on this market against the venue.

    Raises:
        Refused: SUBJECT_INVALID, VENUE_DOWN.
    """
    if ANY in (subject.exchange, subject.market):
        raise Refused(Code.SUBJECT_INVALID, f"the subject must name exchange and market, was {subject}")
    check_ready(state, (subject.exchange, subject.account, subject.market))
    return [
        e.ReconciliationRequested(
            exchange=subject.exchange,
            account=subject.account,
            market=subject.market,
            request_id=command.command_id,
        )
    ]


def decide_reconciliation(
    state: Partition, subject: Subject, command: c.ReportReconciliation
) -> list[e.Event]:
    """Record what was found, when something was, or when somebody had asked and is not answered yet.

    Raises:
        Refused: SESSION_STALE, SESSION_CLOSED.
    """
    ledger = of_session(state, subject, command.session)
    if command.request_id:
        if command.request_id == ledger.reconciled_as:
            return []
    elif not command.differences and not command.more:
        return []
    return [
        e.Reconciled(
            exchange=subject.exchange,
            account=subject.account,
            market=subject.market,
            request_id=command.request_id,
            started_at=command.started_at,
            orders=command.orders,
            trades=command.trades,
            balances=command.balances,
            positions=command.positions,
            differences=command.differences,
            more=command.more,
        )
    ]


def decide_positions(
    state: Partition, subject: Subject, command: c.ReportPositions, refused: list[RefusedReport]
) -> list[e.Event]:
    """Adopt the venue's quantities where they differ, and take down what it shows beside them where that is news.

    A position that is not taken is added to ``refused`` and stays as it is; the others stand. What is flat and not listed
    is nobody's: venues show symbols before they list them.

    Raises:
        Refused: SESSION_STALE, SESSION_CLOSED, INVALID_COMMAND.
    """
    ledger = of_session(state, subject, command.session)
    if subject.market == SPOT:
        raise Refused(
            Code.INVALID_COMMAND, "spot has no positions at the venue: what is held there are balances"
        )
    held = state.positions_of.get(ledger.key, {})
    told: list[tuple[Position, c.PositionSpec]] = []
    seen: set[str] = set()
    for index, spec in enumerate(command.positions):
        if spec.symbol in seen:
            raise Refused(Code.INVALID_COMMAND, f"{spec.symbol} stands twice in one list")
        seen.add(spec.symbol)
        try:
            _check(spec)
            if spec.quantity:
                listed(state, ledger, spec.symbol)
        except Refused as error:
            refused.append(RefusedReport(index, ErrorBody(error.code, error.message)))
            continue
        if (ledger.exchange, ledger.market, spec.symbol) in state.instruments:
            told.append((held.get(spec.symbol) or Position(*ledger.key, spec.symbol), spec))
    for symbol, position in held.items():
        if position.quantity and symbol not in seen:
            told.append((position, c.PositionSpec(symbol=symbol, quantity=ZERO)))
    # What is held comes before what is merely shown beside it, should there be more than one report may change.
    told.sort(key=lambda each: each[0].quantity == each[1].quantity)
    found: list[e.Event] = []
    for position, spec in told:
        if len(found) >= MAX_EVENTS:
            break
        instrument = state.instruments[ledger.exchange, ledger.market, spec.symbol]
        adjusted = _adjusted(position, instrument, spec)
        found += [*adjusted, *_stated(position, spec, bool(adjusted))]
    return found


def _check(spec: c.PositionSpec) -> None:
    for name in ("quantity", "entry_price", "liquidation_price", "margin", "leverage"):
        amount = getattr(spec, name)
        if amount is None:
            continue
        check_amount(f"{name} of {spec.symbol}", amount)
        if amount < 0 and name != "quantity":
            raise Refused(
                Code.INVALID_COMMAND, f"{name} of {spec.symbol} must not be below zero, was {amount:f}"
            )
    if spec.leverage == 0:
        raise Refused(Code.INVALID_COMMAND, f"leverage of {spec.symbol} must be above zero, was 0")


def _adjusted(position: Position, instrument: Instrument, spec: c.PositionSpec) -> list[e.Event]:
    if spec.quantity == position.quantity:
        return []
    adopted = adopt(position, instrument, spec.quantity, spec.entry_price or None, instrument.mark)
    return [
        e.PositionAdjusted(
            exchange=position.exchange,
            account=position.account,
            market=position.market,
            symbol=position.symbol,
            expected=position.quantity,
            quantity=spec.quantity,
            entry_price=adopted.entry_price,
            expected_cost=position.cost,
            cost=adopted.cost,
            price=adopted.price,
            realised=adopted.realised,
        )
    ]


def _stated(position: Position, spec: c.PositionSpec, adjusted: bool) -> list[e.Event]:
    is_open = bool(spec.quantity)
    leverage = spec.leverage or position.leverage
    mode = spec.margin_mode or position.margin_mode
    entry = (spec.entry_price or None) if is_open else None
    liquidation = (spec.liquidation_price or None) if is_open else None
    # With cross margin it is the venue's own reckoning, and moves with every mark.
    margin = spec.margin if is_open and mode is ISOLATED else None
    news = (
        adjusted
        or leverage != position.leverage
        or mode is not position.margin_mode
        or _moved(position.stated_entry, entry, ENTRY_NOISE)
        or _moved(position.liquidation_price, liquidation, NOISE)
        or _moved(position.stated_margin, margin, NOISE)
    )
    # An adjusted quantity alone leaves standing what was shown beside another one, unless it is flat.
    left = (position.stated_entry, position.liquidation_price) if is_open else ()
    shown = (entry, liquidation, margin, leverage, mode, *left)
    if not news or (adjusted and all(each is None for each in shown)):
        return []
    return [
        e.PositionStated(
            exchange=position.exchange,
            account=position.account,
            market=position.market,
            symbol=position.symbol,
            entry_price=entry,
            liquidation_price=liquidation,
            margin=margin,
            leverage=leverage,
            margin_mode=mode,
        )
    ]


def _moved(before: Decimal | None, now: Decimal | None, noise: Decimal) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) > abs(before) * noise
