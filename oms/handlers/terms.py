"""Terms of a position: leverage and margin mode, asked for and told; and its funding."""

from decimal import Decimal
from typing import Final

from oms.aggregates.account import Account
from oms.aggregates.partition import Partition
from oms.handlers.session import check_amount, check_ready, listed
from oms.handlers.target import Target
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.codes import Code, Refused
from oms.messages.commands import SetTerms
from oms.messages.venues import Feature

MIN_LEVERAGE: Final = Decimal("0.01")
MAX_LEVERAGE: Final = Decimal(1_000)
"""No venue goes as far as these; what it allows for a symbol, and with what is open, it says itself."""


def decide_set_terms(state: Partition, target: Target, command: SetTerms, now: int) -> list[e.Event]:
    """Ask the venue for another leverage, margin mode or both.

    Raises:
        Refused: INVALID_COMMAND, INSTRUMENT_UNKNOWN, MAX_LEVERAGE, NOT_SUPPORTED, VENUE_DOWN.
    """
    leverage, mode = command.leverage, command.margin_mode
    if leverage is None and mode is None:
        raise Refused(Code.INVALID_COMMAND, "needs leverage, margin_mode or both")
    if leverage is not None:
        _check_leverage(leverage)
        _check_limit(state, target, leverage, now)
    target.instrument(state)
    venue = state.venues.get((target.exchange, target.market))
    if venue is None:
        raise Refused(
            Code.NOT_SUPPORTED, f"{target.exchange}.{target.market} has not declared what it can do"
        )
    if leverage is not None:
        venue.check(Feature.LEVERAGE)
    if mode is not None:
        venue.check(Feature.MARGIN_MODE)
    check_ready(state, target.account_key)
    return [
        e.TermsRequested(
            exchange=target.exchange,
            account=target.account,
            market=target.market,
            symbol=target.symbol,
            leverage=leverage,
            margin_mode=mode,
        )
    ]


def _check_limit(state: Partition, target: Target, leverage: Decimal, now: int) -> None:
    target.instrument(state)
    gate = state.risk.gate(state, target[:4], "", now)
    if gate.refused is not None and gate.refused.code is Code.LIMIT_MISSING:
        raise Refused(Code.LIMIT_MISSING, gate.refused.message)
    most = gate.max_leverage
    if most is not None and leverage > most:
        raise Refused(Code.MAX_LEVERAGE, f"leverage {leverage:f} is above the limit of {most:f}")


def decide_statement(
    state: Partition, ledger: Account, report: r.Funding | r.Terms | r.TermsRefused
) -> list[e.Event]:
    """What a report that is about a symbol, and no order, changes; nothing when it tells what is known.

    Raises:
        Refused: INSTRUMENT_UNKNOWN, INVALID_COMMAND, INVALID_DECIMAL, FILL_TOO_OLD.
    """
    instrument = listed(state, ledger, report.symbol)
    if instrument.spot:
        raise Refused(Code.INVALID_COMMAND, f"{report.symbol} is spot, and holds no margin")
    if isinstance(report, r.Funding):
        return _funding(ledger, report)
    position = state.positions.get((*ledger.key, report.symbol))
    asked = position is not None and position.asked_at
    place = {
        "exchange": ledger.exchange,
        "account": ledger.account,
        "market": ledger.market,
        "symbol": report.symbol,
    }
    if isinstance(report, r.TermsRefused):
        return [e.TermsRefused(**place, reason=report.reason)] if asked else []
    leverage, mode = report.leverage, report.margin_mode
    if leverage is None and mode is None:
        raise Refused(Code.INVALID_COMMAND, f"terms of {report.symbol} need leverage, margin_mode or both")
    if leverage is not None:
        _check_leverage(leverage)
    if position is not None:
        # What is not shown is what it was.
        leverage, mode = leverage or position.leverage, mode or position.margin_mode
        if not asked and (position.leverage, position.margin_mode) == (leverage, mode):
            return []
    return [e.TermsSet(**place, leverage=leverage, margin_mode=mode, venue_time=report.venue_time)]


def _funding(ledger: Account, report: r.Funding) -> list[e.Event]:
    check_amount("amount", report.amount)
    if ledger.knows_funding(report.symbol, report.funding_id, report.venue_time):
        return []
    return [
        e.FundingPaid(
            exchange=ledger.exchange,
            account=ledger.account,
            market=ledger.market,
            symbol=report.symbol,
            funding_id=report.funding_id,
            amount=report.amount,
            asset=report.asset,
            venue_time=report.venue_time,
        )
    ]


def _check_leverage(leverage: Decimal) -> None:
    check_amount("leverage", leverage)
    if not MIN_LEVERAGE <= leverage <= MAX_LEVERAGE:
        raise Refused(
            Code.INVALID_COMMAND, f"leverage is from {MIN_LEVERAGE} to {MAX_LEVERAGE}, was {leverage:f}"
        )
