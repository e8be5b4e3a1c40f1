"""Who speaks for an account on a market, and the amounts that may be told."""

from decimal import Decimal

from oms.aggregates.account import Account, AccountKey
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import is_amount
from oms.aggregates.partition import Partition
from oms.messages.codes import Code, Refused
from oms.messages.subjects import Subject


def account_key(state: Partition, subject: Subject) -> AccountKey:
    """The account and market that a connector speaks for.

    Raises:
        Refused: ACCOUNT_UNKNOWN.
    """
    if subject.account not in state.accounts:
        raise Refused(Code.ACCOUNT_UNKNOWN, f"account {subject.account!r} is not registered")
    return (subject.exchange, subject.account, subject.market)


def of_session(state: Partition, subject: Subject, session: str) -> Account:
    """The account that this session serves.

    Raises:
        Refused: ACCOUNT_UNKNOWN, SESSION_STALE, SESSION_CLOSED.
    """
    # Looked up, not made: a refusal leaves no trace in the state.
    ledger = state.ledgers.get(account_key(state, subject))
    if ledger is None or ledger.session != session:
        place = f"{subject.account} on {subject.exchange}.{subject.market}"
        if ledger is None or not ledger.session:
            raise Refused(Code.SESSION_CLOSED, f"session {session} no longer serves {place}, and none does")
        raise Refused(Code.SESSION_STALE, f"session {session} does not serve {place}, {ledger.session} does")
    return ledger


def check_ready(state: Partition, key: AccountKey) -> None:
    """Hold a request against whether a session could obey it.

    Raises:
        Refused: VENUE_DOWN.
    """
    ledger = state.ledgers.get(key)
    if ledger is None or not ledger.ready:
        exchange, account, market = key
        raise Refused(Code.VENUE_DOWN, f"no connector session is ready for {account} on {exchange}.{market}")


def listed(state: Partition, ledger: Account, symbol: str) -> Instrument:
    """The instrument that a report names.

    Raises:
        Refused: INSTRUMENT_UNKNOWN.
    """
    found = state.instruments.get((ledger.exchange, ledger.market, symbol))
    if found is None:
        raise Refused(
            Code.INSTRUMENT_UNKNOWN, f"{symbol!r} is not listed on {ledger.exchange}.{ledger.market}"
        )
    return found


def check_amount(name: str, value: Decimal) -> None:
    """Hold an amount against what the core takes.

    Raises:
        Refused: INVALID_DECIMAL.
    """
    if not is_amount(value):
        raise Refused(
            Code.INVALID_DECIMAL,
            f"{name} has at most 20 digits before and 18 after the point, was {str(value)[:64]}",
        )
