"""Public events: what anybody may listen to, one JSON message each, derived from the journal.

=========  ==================================================  =====================================================
stream     subject                                             message
=========  ==================================================  =====================================================
ORDERS     ``orders.{exchange}.{account}.{market}.{symbol}``   :class:`OrderChanged`, on every event of an order
TRADES     ``trades.{exchange}.{account}.{market}.{symbol}``   :class:`TradeHappened`
POSITIONS  ``positions.{exchange}.{account}.{market}.{symbol}``  :class:`PositionChanged`, after a trade, funding, or what
                                                               the venue says of it
ACCOUNTS   ``accounts.{exchange}.{account}.{wallet}._``        :class:`BalanceChanged`; a wallet is named as its market
                                                               where no other shares it
ACCOUNTS   ``accounts.{exchange}.{account}.{market}._``        :class:`SessionChanged`, :class:`AccountReconciled`,
                                                               :class:`AccountKnown`, :class:`ClientGuarded` (exchange
                                                               and market ``_``)
ACCOUNTS   ``accounts.{exchange}.{account}.{wallet}._``        :class:`TransferChanged`, for the source and for the target;
                                                               :class:`TransferStopped`, for the source
RISK       ``risk.{exchange}.{account}.{market}.{symbol}``     :class:`LimitsChanged`, :class:`LimitReached`,
                                                               :class:`KillSwitchChanged`, :class:`TradingDayBegan`,
                                                               :class:`AssetValued`; tokens as the scope's
RISK       ``risk._.{account}._._``                            :class:`CapitalAllocated`
=========  ==================================================  =====================================================

The header ``Nats-Msg-Id`` is ``{sequence}.{commit}.{event}``: the journal sequence, the commit's index in the frame and
the event's in the commit; a second message of one event in one stream has a fourth number, 1. A stream holds its ids in
rising order, none twice. ``event`` is the journal event's name without
its version, ``at`` the commit's time in UTC ns, ``sequence`` the journal frame. Further fields may be added; take what
you know.
"""

from decimal import Decimal
from typing import Final

import msgspec

from oms.messages.codes import Code
from oms.messages.commands import Difference
from oms.messages.controls import Level
from oms.messages.enums import AccountKind, AccountStatus, TransferStatus
from oms.messages.queries import BalanceRow, OrderRow, PositionRow, TradeRow

STREAMS: Final = {
    "ORDERS": "orders",
    "TRADES": "trades",
    "POSITIONS": "positions",
    "ACCOUNTS": "accounts",
    "RISK": "risk",
}
"""Stream → first token of its subjects."""


class _Public(msgspec.Struct, frozen=True, kw_only=True):
    event: str
    sequence: int
    at: int


class OrderChanged(OrderRow, frozen=True, kw_only=True):
    """An order as it is after the event. ``denied``: why a control stood against an amend of it (``OrderAmendDenied``)."""

    event: str
    sequence: int
    at: int
    denied: str = ""


class TradeHappened(TradeRow, frozen=True, kw_only=True):
    """One fill."""

    event: str


class PositionChanged(PositionRow, frozen=True, kw_only=True):
    """A position as it is after the event. ``reason``: why the venue refused terms (``TermsRefused``)."""

    event: str
    sequence: int
    at: int
    reason: str = ""


class BalanceChanged(_Public, frozen=True, kw_only=True):
    """The balances that the event moved or may have moved, as they are after it."""

    exchange: str
    account: str
    wallet: str
    balances: list[BalanceRow]


class SessionChanged(_Public, frozen=True, kw_only=True):
    """A connector serves the account on this market (``ready``: it takes orders), or none does (``session`` empty)."""

    exchange: str
    account: str
    market: str
    session: str
    ready: bool
    reason: str = ""


class AccountReconciled(_Public, frozen=True, kw_only=True):
    """The account on this market was held against the venue; see :class:`oms.messages.events.Reconciled`."""

    exchange: str
    account: str
    market: str
    request_id: str
    started_at: int
    orders: int
    trades: int
    balances: int
    positions: int
    differences: list[Difference]
    more: int


class AccountKnown(_Public, frozen=True, kw_only=True):
    """An account as it is after the event: registered, renamed, disabled, enabled or closed.

    ``name``: what people call it. ``by``, ``reason``: who decided it and why; empty where nobody needs to say.
    """

    account: str
    kind: AccountKind
    name: str = ""
    status: AccountStatus = AccountStatus.ACTIVE
    by: str = ""
    reason: str = ""


class TransferChanged(BalanceChanged, frozen=True, kw_only=True):
    """A transfer as it is after the event, told to the account it leaves and to the one it goes to, each with its balance.

    Args:
        account, wallet: of the two those that this message is for.
        source, source_wallet, target, target_wallet: from where to where.
        value: in USD, when it was asked for. ``note``: why it is in doubt, or was rejected.
    """

    transfer_id: str
    status: TransferStatus
    source: str
    source_wallet: str
    target: str
    target_wallet: str
    asset: str
    amount: Decimal
    value: Decimal
    by: str
    reason: str
    venue_transfer_id: str = ""
    note: str = ""


class TransferStopped(_Public, frozen=True, kw_only=True):
    """A control of ours stood against a transfer (``TransferDenied``), told to the account that it would have left.

    ``target``, ``target_wallet``: where it would have gone. ``code``, ``message``: what stood against it.
    """

    exchange: str
    account: str
    wallet: str
    target: str
    target_wallet: str
    asset: str
    amount: Decimal
    code: Code
    message: str
    by: str
    reason: str


class ClientGuarded(_Public, frozen=True, kw_only=True):
    """A client's silence cancels orders from now on, no longer (``timeout_ms`` 0), or has done so (``ClientDisconnected``).

    ``strategy``: whose orders; empty for all of the account's. ``count``: orders that were asked to cancel.
    """

    account: str
    client: str
    strategy: str
    timeout_ms: int = 0
    count: int = 0


class LimitsChanged(_Public, frozen=True, kw_only=True):
    """What a scope says of its limits has changed: said (``LimitsSet``), overridden (``LimitsOverridden``), or an override's end.

    Args:
        limits: control → value, as text. ``cleared``: controls of which the scope itself says nothing any more, or whose
            override has ended (``OverrideEnded``).
        until: UTC ns at which an override ends; 0 for none.
        by: the person who decided it; empty when an override's time was over.
    """

    scope: str
    limits: dict[str, str]
    cleared: list[str]
    until: int
    by: str
    reason: str


class LimitReached(_Public, frozen=True, kw_only=True):
    """A figure of the scope came near to its limit, broke it, or is clear of it again.

    Args:
        control: or ``capital``, what the strategy is assigned.
        limit: None when it is clear because nothing limits it any more.
        position: of ``max_position`` and ``max_inventory``, which one: ``exchange.account.market.symbol``, in the scope of a
            strategy its own part of that. Each is told of for itself; empty for figures that are the scope's own.
    """

    scope: str
    control: str
    level: Level
    used: Decimal
    limit: Decimal | None = None
    position: str = ""


class KillSwitchChanged(_Public, frozen=True, kw_only=True):
    """The scope's kill switch is engaged, or is released.

    Args:
        by: the person; empty when it tripped. ``cause``: the control that tripped it.
        allow_reduce_only: orders that bring a position nearer to zero are still let through.
    """

    scope: str
    engaged: bool
    by: str
    reason: str
    cause: str = ""
    allow_reduce_only: bool = False


class TradingDayBegan(_Public, frozen=True, kw_only=True):
    """A trading day begins, and daily figures are at zero. ``day``: its first moment, UTC ns."""

    day: int


class AssetValued(_Public, frozen=True, kw_only=True):
    """What a unit of the asset is worth from now on: ``rate`` in USD, or by the mark of ``instrument``."""

    asset: str
    rate: Decimal | None
    instrument: str
    by: str
    reason: str


class CapitalAllocated(_Public, frozen=True, kw_only=True):
    """The strategy trades on this account and no other, with this capital in USD; None: it is no longer assigned."""

    strategy: str
    account: str
    capital: Decimal | None
    by: str
    reason: str
