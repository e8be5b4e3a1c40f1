"""The desk: commands about accounts, strategies, transfers and clients that may vanish, and the events that record them."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from oms.messages.base import ClientCommand, Command, EventBase, Label, Nanoseconds, Person, Text, Token
from oms.messages.codes import Code

AccountName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class RenameAccount(ClientCommand, frozen=True, kw_only=True, tag="rename_account.1"):
    """Give the account another name for people. Its id, in subjects and events, stays."""

    name: AccountName
    by: Person = ""


class DisableAccount(ClientCommand, frozen=True, kw_only=True, tag="disable_account.1"):
    """Let the account place and amend nothing; what works goes on, and can be cancelled. Needs ``by``."""

    by: Person = ""
    reason: Text = ""


class EnableAccount(ClientCommand, frozen=True, kw_only=True, tag="enable_account.1"):
    """Let a disabled account trade again. Needs ``by``."""

    by: Person = ""
    reason: Text = ""


class CloseAccount(ClientCommand, frozen=True, kw_only=True, tag="close_account.1"):
    """Close an account for good: nothing open, nothing held, nothing under way. Needs ``by``."""

    by: Person = ""
    reason: Text = ""


class AssignStrategy(ClientCommand, frozen=True, kw_only=True, tag="assign_strategy.1"):
    """Bind a strategy to the subject's account and give it capital. Needs ``by``.

    Args:
        capital: USD that the strategy's positions and working orders may come to; None takes the strategy from the account.
    """

    strategy: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    capital: Decimal | None
    by: Person = ""
    reason: Text = ""


class TransferFunds(ClientCommand, frozen=True, kw_only=True, tag="transfer.1"):
    """Move funds from the subject's account and market's wallet to another account. One of the two is the MAIN account.

    Subject ``transfer.{exchange}.{account}.{market}._``. Needs ``by``.

    Args:
        to: account. ``to_market``: whose wallet receives them there; empty for the subject's.
        asset, amount: what is moved.
    """

    to: Token
    asset: Token
    amount: Decimal
    to_market: Annotated[str, msgspec.Meta(max_length=32)] = ""
    by: Person = ""
    reason: Text = ""


class CancelOnDisconnect(ClientCommand, frozen=True, kw_only=True, tag="cancel_on_disconnect.1"):
    """Cancel the subject's account's orders once the client is silent: it beats on ``heartbeat._.{account}._.{client}``.

    Args:
        client: names who beats. ``strategy``: only its orders are cancelled; empty: all of the account's.
        timeout_ms: how long silence may last; 0 disarms.
    """

    client: Token
    strategy: Label = ""
    timeout_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)]


class DropClient(Command, frozen=True, kw_only=True, tag="drop_client.1"):
    """The engine's own: a client of the subject's account has been silent for too long."""

    client: str


class TransferState(StrEnum):
    """What the venue says of a transfer."""

    DONE = "done"
    REJECTED = "rejected"
    PENDING = "pending"
    UNKNOWN = "unknown"


class ReportTransfer(Command, frozen=True, kw_only=True, tag="report_transfer.1"):
    """What became of a transfer, from the session that was told to make it or to look it up."""

    session: Token
    transfer_id: Token
    state: TransferState
    venue_transfer_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    reason: Text = ""
    venue_time: Nanoseconds = 0


class DoubtTransfers(Command, frozen=True, kw_only=True, tag="doubt_transfers.1"):
    """The engine's own: these transfers have waited too long for the venue."""

    transfer_ids: list[str]
    reason: Text


# -- events


class AccountRenamed(EventBase, frozen=True, kw_only=True, tag="AccountRenamed.1"):
    """The account is called so by people."""

    account: str
    name: str
    by: str = ""


class AccountDisabled(EventBase, frozen=True, kw_only=True, tag="AccountDisabled.1"):
    """The account places and amends nothing."""

    account: str
    by: str
    reason: str = ""


class AccountEnabled(EventBase, frozen=True, kw_only=True, tag="AccountEnabled.1"):
    """The account trades again."""

    account: str
    by: str
    reason: str = ""


class AccountClosed(EventBase, frozen=True, kw_only=True, tag="AccountClosed.1"):
    """The account is closed for good; its name is not used again."""

    account: str
    by: str
    reason: str = ""


class StrategyAssigned(EventBase, frozen=True, kw_only=True, tag="StrategyAssigned.1"):
    """The strategy trades on this account and no other, with this capital in USD. None: it is no longer assigned."""

    strategy: str
    account: str
    capital: Decimal | None
    by: str = ""
    reason: str = ""


class TransferRequested(EventBase, frozen=True, kw_only=True, tag="TransferRequested.1"):
    """We want this moved, once. Until the venue has answered the amount is held in the source's wallet.

    ``value``: in USD, at the rate known. ``session_account`` and ``session_market`` are whose session makes
    the call.
    """

    transfer_id: str
    exchange: str
    account: str
    market: str
    to: str
    to_market: str
    asset: str
    amount: Decimal
    value: Decimal
    session_account: str
    session_market: str
    by: str
    reason: str = ""


class TransferCompleted(EventBase, frozen=True, kw_only=True, tag="TransferCompleted.1"):
    """The venue has moved it: it leaves the one wallet and is in the other, in one."""

    transfer_id: str
    venue_transfer_id: str = ""
    venue_time: int = 0


class TransferRejected(EventBase, frozen=True, kw_only=True, tag="TransferRejected.1"):
    """The venue refused, or it was proven never to have reached it: what was held is free."""

    transfer_id: str
    reason: str
    venue_time: int = 0


class TransferInDoubt(EventBase, frozen=True, kw_only=True, tag="TransferInDoubt.1"):
    """The outcome is unknown: it is looked up until it is known, and never asked for again."""

    transfer_id: str
    reason: str


class TransferDenied(EventBase, frozen=True, kw_only=True, tag="TransferDenied.1"):
    """A control of ours stood against a transfer; it was never sent, and nothing is held for it."""

    exchange: str
    account: str
    market: str
    to: str
    to_market: str
    asset: str
    amount: Decimal
    code: Code
    message: str
    by: str
    reason: str = ""


class DisconnectGuardSet(EventBase, frozen=True, kw_only=True, tag="DisconnectGuardSet.1"):
    """The client's silence cancels orders from now on. ``timeout_ms`` 0: no longer."""

    account: str
    client: str
    strategy: str
    timeout_ms: int


class ClientDisconnected(EventBase, frozen=True, kw_only=True, tag="ClientDisconnected.1"):
    """The client was silent for too long: its orders are cancelled behind this, and it is no longer watched."""

    account: str
    client: str
    strategy: str
    count: int
