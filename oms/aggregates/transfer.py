"""Transfer: funds on their way between two of our accounts, from the intent until the venue's answer is certain.

While a transfer is under way its amount is locked in the source's wallet, and in the target's there is nothing of it. When
the venue has moved it, it leaves the one total and is in the other, by one event. What the venue shows of the asset, in
either wallet, is not taken over while that is under way, nor when it was read before it ended
(:meth:`oms.aggregates.account.Wallet.comparable`): so nothing is counted twice or lost, in whatever order things are told.

Events: ``TransferRequested``, ``TransferInDoubt``, ``TransferCompleted``, ``TransferRejected``; and ``TransferDenied``, of
one that never was.
"""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import attrs

from oms.aggregates.account import AccountKey, WalletKey
from oms.aggregates.money import ZERO
from oms.messages import desk as d
from oms.messages.codes import Code, Refused
from oms.messages.desk import TransferState as Told
from oms.messages.enums import TransferStatus as Status

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

MAX_UNDER_WAY: Final = 1_000
"""Transfers that may wait for a venue at one time."""
FINISHED_KEPT_NS: Final = 24 * 3_600 * 10**9
"""A finished transfer stays in the hot state this long, by event time …"""
MAX_FINISHED: Final = 2_000
"""… but no more than so many do."""

_is_transfer_id = re.compile(r"[0-9A-Za-z]{6}T[0-9a-f]{10,}").fullmatch


@attrs.define(slots=True)
class Transfer:
    """One transfer.

    Args:
        account, market: the source; ``to``, ``to_market``: the target, on the same exchange.
        wallet, to_wallet: where the funds are, as the two markets' venues declared it.
        value: in USD when it was asked for; 0 where the asset's worth was not known.
        session_account, session_market: whose session was told to make the call.
        by, reason: who asked for it and why.
        note: what was last said of it: why it is in doubt, or was rejected.
        requested_at, updated_at: event time, UTC ns.
    """

    transfer_id: str
    exchange: str
    account: str
    market: str
    wallet: str
    to: str
    to_market: str
    to_wallet: str
    asset: str
    amount: Decimal
    value: Decimal
    session_account: str
    session_market: str
    by: str
    reason: str
    requested_at: int
    updated_at: int
    status: Status = Status.REQUESTED
    venue_transfer_id: str = ""
    note: str = ""

    @property
    def source_key(self) -> WalletKey:
        return (self.exchange, self.account, self.wallet)

    @property
    def target_key(self) -> WalletKey:
        return (self.exchange, self.to, self.to_wallet)

    @property
    def session_key(self) -> AccountKey:
        return (self.exchange, self.session_account, self.session_market)

    @property
    def under_way(self) -> bool:
        """Whether the venue may yet move it, or may have."""
        return self.status in _UNDER_WAY

    # -- decide

    def decide_report(self, report: d.ReportTransfer) -> list[Any]:
        """What follows from what the venue says. What ended stays ended: the first certain answer holds.

        Raises:
            Refused: TRANSFER_UNKNOWN when the venue is now said to have done what it was said not to have, or the reverse.
        """
        if (self.status, report.state) in _CONTRADICTIONS:
            raise Refused(
                Code.TRANSFER_UNKNOWN,
                f"transfer {self.transfer_id} is {self.status} since {self.updated_at}, and now reported {report.state}:"
                " compare the balances of both accounts with the venue's",
            )
        after = _AFTER.get((self.status, report.state))
        if after is None:
            return []
        if after is Status.COMPLETED:
            return [
                d.TransferCompleted(
                    transfer_id=self.transfer_id,
                    venue_transfer_id=report.venue_transfer_id,
                    venue_time=report.venue_time,
                )
            ]
        if after is Status.REJECTED:
            return [
                d.TransferRejected(
                    transfer_id=self.transfer_id, reason=report.reason, venue_time=report.venue_time
                )
            ]
        return [d.TransferInDoubt(transfer_id=self.transfer_id, reason=report.reason or str(report.state))]


_UNDER_WAY: Final = frozenset({Status.REQUESTED, Status.IN_DOUBT})

# fmt: off
_AFTER: Final[dict[tuple[Status, Told], Status]] = {
    (Status.REQUESTED, Told.DONE):     Status.COMPLETED,
    (Status.REQUESTED, Told.REJECTED): Status.REJECTED,
    (Status.REQUESTED, Told.PENDING):  Status.IN_DOUBT,   # it is looked up until the venue has made up its mind
    (Status.REQUESTED, Told.UNKNOWN):  Status.IN_DOUBT,
    (Status.IN_DOUBT,  Told.DONE):     Status.COMPLETED,
    (Status.IN_DOUBT,  Told.REJECTED): Status.REJECTED,
}
"""The life of a transfer: status and what the venue says of it → status. Anything else changes nothing …"""
_CONTRADICTIONS: Final = {
    (Status.COMPLETED, Told.REJECTED),
    (Status.REJECTED,  Told.DONE),
}
"""… but these cannot both be true."""
# fmt: on


def is_transfer_id(value: str) -> bool:
    """Whether an id of our making is a transfer's; an order's has a hex digit where this has its T."""
    return _is_transfer_id(value) is not None


# -- evolve


def transfer_requested(state: "Partition", event: d.TransferRequested, at: int) -> None:
    """Lock the amount, and take note in both wallets that it is on its way."""
    source = state.funds((event.exchange, event.account, event.market))
    target = state.funds((event.exchange, event.to, event.to_market))
    transfer = Transfer(
        transfer_id=event.transfer_id,
        exchange=event.exchange,
        account=event.account,
        market=event.market,
        wallet=source.wallet,
        to=event.to,
        to_market=event.to_market,
        to_wallet=target.wallet,
        asset=event.asset,
        amount=event.amount,
        value=event.value,
        session_account=event.session_account,
        session_market=event.session_market,
        by=event.by,
        reason=event.reason,
        requested_at=at,
        updated_at=at,
    )
    source.begin_transfer(event.asset, event.amount)
    state.risk.leaves.sends(transfer.source_key, event.asset, event.amount)
    target.begin_transfer(event.asset, ZERO)
    state.next_transfer += 1
    hold_transfer(state, transfer)
    state.changes.transfers[event.transfer_id] = None


def transfer_in_doubt(state: "Partition", event: d.TransferInDoubt, at: int) -> None:
    """Its outcome is unknown; the amount stays locked."""
    transfer = state.transfers[event.transfer_id]
    transfer.status = Status.IN_DOUBT
    transfer.note = event.reason
    transfer.updated_at = at
    state.changes.transfers[event.transfer_id] = None


def transfer_completed(state: "Partition", event: d.TransferCompleted, at: int) -> None:
    """Move it from the one wallet to the other."""
    transfer = _end(state, event.transfer_id, Status.COMPLETED, at)
    transfer.venue_transfer_id = event.venue_transfer_id
    transfer.note = ""
    state.transfers_done += 1
    state.wallets[transfer.source_key].transferred(transfer.asset, -transfer.amount, state.transfers_done)
    state.wallets[transfer.target_key].transferred(transfer.asset, transfer.amount, state.transfers_done)


def transfer_denied(state: "Partition", event: d.TransferDenied, at: int) -> None:
    """Changes nothing: there is no such transfer."""


def transfer_rejected(state: "Partition", event: d.TransferRejected, at: int) -> None:
    """Nothing was moved; the amount is free again."""
    _end(state, event.transfer_id, Status.REJECTED, at).note = event.reason


def _end(state: "Partition", transfer_id: str, status: Status, at: int) -> Transfer:
    # Taken out and put in again: of the finished ones, those that ended first stand first.
    transfer = state.transfers.pop(transfer_id)
    transfer.status = status
    transfer.updated_at = at
    del state.transfers_under_way[transfer_id]
    hold_transfer(state, transfer)
    state.changes.transfers[transfer_id] = None
    state.risk.leaves.sends(transfer.source_key, transfer.asset, -transfer.amount)
    for key, locked in ((transfer.source_key, transfer.amount), (transfer.target_key, ZERO)):
        state.wallets[key].end_transfer(transfer.asset, locked)
        state.changes.wallets[key] = None
    return transfer


def hold_transfer(state: "Partition", transfer: Transfer) -> None:
    """Take in a transfer that is not held."""
    state.transfers[transfer.transfer_id] = transfer
    if transfer.under_way:
        state.transfers_under_way[transfer.transfer_id] = transfer
    else:
        state.transfers_finished[transfer.transfer_id] = transfer.updated_at


def retire_transfers(state: "Partition", at: int) -> None:
    """Let finished transfers leave by event time and number, as finished orders do."""
    finished = state.transfers_finished
    while finished:
        oldest = next(iter(finished))
        if len(finished) <= MAX_FINISHED and at - finished[oldest] < FINISHED_KEPT_NS:
            return
        del finished[oldest], state.transfers[oldest]
        state.changes.transfers[oldest] = None
