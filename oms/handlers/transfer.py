"""``transfer``, and what becomes of it: funds moved between the MAIN account and another, once."""

from oms.aggregates.account import AccountKey
from oms.aggregates.money import ZERO, fewest_places
from oms.aggregates.partition import Partition
from oms.aggregates.transfer import MAX_UNDER_WAY, is_transfer_id
from oms.handlers.accounts import check_person
from oms.handlers.session import check_amount, of_session
from oms.handlers.target import check_account
from oms.handlers.transfer_limits import check_cap, check_floor
from oms.messages import desk as d
from oms.messages.codes import Code, Refused
from oms.messages.enums import AccountKind, TransferStatus
from oms.messages.events import Event
from oms.messages.subjects import ANY, Subject
from oms.messages.venues import Feature


def decide_transfer(state: Partition, subject: Subject, command: d.TransferFunds, now: int) -> list[Event]:
    """Decide a transfer: ``TransferRequested``, which locks the amount, or ``TransferDenied`` when a control stands against it.

    Raises:
        Refused: PERSON_REQUIRED, SUBJECT_INVALID, INVALID_DECIMAL, NOT_POSITIVE, TRANSFER_ROUTE, ACCOUNT_UNKNOWN,
            ACCOUNT_CLOSED, NOT_SUPPORTED, OVERLOADED: the command makes no sense, or not now, and leaves no trace.
    """
    check_person(command.by)
    if ANY in (subject.exchange, subject.market) or subject.symbol != ANY:
        raise Refused(
            Code.SUBJECT_INVALID, f"the subject must be transfer.exchange.account.market._, was {subject}"
        )
    check_amount("amount", command.amount)
    if command.amount <= 0:
        raise Refused(Code.NOT_POSITIVE, f"amount must be above zero, was {command.amount:f}")
    to_market = command.to_market or subject.market
    main_market = _check_route(state, subject, command.to, to_market)
    exchange, account = subject.exchange, subject.account
    main = account if state.accounts[account].kind is AccountKind.MAIN else command.to
    if len(state.transfers_under_way) >= MAX_UNDER_WAY:
        raise Refused(
            Code.OVERLOADED, f"{MAX_UNDER_WAY:,} transfers wait for their venues: ask again in a while"
        )
    try:
        session_market = _session_market(state, exchange, main, main_market)
        state.funds_seen((exchange, account, subject.market)).check_funds(command.asset, command.amount)
        if main == account:
            check_cap(state, command.to, command.asset, command.amount, now)
            check_floor(state, main, command.asset, command.amount, now)
    except Refused as refused:
        return [
            d.TransferDenied(
                exchange=exchange,
                account=account,
                market=subject.market,
                to=command.to,
                to_market=to_market,
                asset=command.asset,
                amount=command.amount,
                code=refused.code,
                message=refused.message,
                by=command.by,
                reason=command.reason,
            )
        ]
    rate = state.risk.rates.of(command.asset)
    value = ZERO if rate is None else fewest_places(command.amount * rate)
    return [
        d.TransferRequested(
            transfer_id=state.transfer_id(),
            exchange=exchange,
            account=account,
            market=subject.market,
            to=command.to,
            to_market=to_market,
            asset=command.asset,
            amount=command.amount,
            value=value,
            session_account=main,
            session_market=session_market,
            by=command.by,
            reason=command.reason,
        )
    ]


def _check_route(state: Partition, subject: Subject, to: str, to_market: str) -> str:
    """Hold source and target against what can be moved; return the MAIN account's market."""
    check_account(state, to)
    kinds = [state.accounts[name].kind for name in (subject.account, to)]
    if to == subject.account or kinds.count(AccountKind.MAIN) != 1:
        raise Refused(
            Code.TRANSFER_ROUTE,
            f"one of the two accounts is the MAIN account, was {kinds[0]} {subject.account} to {kinds[1]} {to}",
        )
    for account, market in ((subject.account, subject.market), (to, to_market)):
        venue = state.venues.get((subject.exchange, market))
        if venue is not None:
            venue.check(Feature.TRANSFER)
        elif (subject.exchange, account, market) not in state.ledgers:
            raise Refused(
                Code.TRANSFER_ROUTE,
                f"no market {subject.exchange}.{market} is known, of which {account} has a wallet",
            )
    return subject.market if kinds[0] is AccountKind.MAIN else to_market


def _session_market(state: Partition, exchange: str, main: str, market: str) -> str:
    """Which session of the MAIN account makes the call: its wallet's own, or another that is ready.

    Raises:
        Refused: VENUE_DOWN.
    """
    found = ready_market(state, (exchange, main, market))
    if found is None:
        raise Refused(
            Code.VENUE_DOWN, f"no connector session that can transfer is ready for {main} on {exchange}"
        )
    return found


def ready_market(state: Partition, key: AccountKey) -> str | None:
    """Of an account's markets on an exchange the one whose session can transfer now: that of ``key``, else the first."""
    exchange, account, wanted = key
    markets = sorted(
        ledger.market
        for ledger in state.ledgers.values()
        if ledger.ready and (ledger.exchange, ledger.account) == (exchange, account)
    )
    able = [
        market
        for market in markets
        if (venue := state.venues.get((exchange, market))) is None or Feature.TRANSFER in venue.features
    ]
    return wanted if wanted in able else next(iter(able), None)


# -- what becomes of it


def decide_report_transfer(state: Partition, subject: Subject, command: d.ReportTransfer) -> list[Event]:
    """Take what the venue says of a transfer; said again, or after it ended, it changes nothing.

    Raises:
        Refused: ACCOUNT_UNKNOWN, SESSION_STALE, SESSION_CLOSED, TRANSFER_UNKNOWN.
    """
    ledger = of_session(state, subject, command.session)
    transfer = state.transfers.get(command.transfer_id)
    if transfer is None:
        if _is_forgotten(state, command.transfer_id):
            return []
        raise Refused(Code.TRANSFER_UNKNOWN, f"no transfer {command.transfer_id!r}")
    if (transfer.exchange, transfer.session_account) != (ledger.exchange, ledger.account):
        raise Refused(
            Code.TRANSFER_UNKNOWN,
            f"transfer {transfer.transfer_id} is not made by {ledger.account} on {ledger.exchange}",
        )
    return list(transfer.decide_report(command))


def _is_forgotten(state: Partition, transfer_id: str) -> bool:
    """Whether it is one of ours that ended so long ago that it left the hot state."""
    prefix, _, number = transfer_id.rpartition("T")
    return (
        is_transfer_id(transfer_id) and prefix == state.journal_id and int(number, 16) < state.next_transfer
    )


def decide_doubt_transfers(state: Partition, subject: Subject, command: d.DoubtTransfers) -> list[Event]:
    """Doubt those of the transfers that still wait; the look-up follows from it."""
    return [
        d.TransferInDoubt(transfer_id=transfer_id, reason=command.reason)
        for transfer_id in command.transfer_ids
        if (found := state.transfers_under_way.get(transfer_id)) is not None
        and found.status is TransferStatus.REQUESTED
    ]
