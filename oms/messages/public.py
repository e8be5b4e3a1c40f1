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
                                                               :class:`AccountKnown` (exchange and market ``_``)
=========  ==================================================  =====================================================

The header ``Nats-Msg-Id`` is ``{sequence}.{commit}.{event}``: the journal sequence, the commit's index in the frame and
the event's in the commit. A stream holds its ids in rising order, none twice. ``event`` is the journal event's name without
its version, ``at`` the commit's time in UTC ns, ``sequence`` the journal frame. Further fields may be added; take what
you know.
"""

from typing import Final

import msgspec

from oms.messages.commands import Difference
from oms.messages.enums import AccountKind
from oms.messages.queries import BalanceRow, OrderRow, PositionRow, TradeRow

STREAMS: Final = {"ORDERS": "orders", "TRADES": "trades", "POSITIONS": "positions", "ACCOUNTS": "accounts"}
"""Stream → first token of its subjects."""


class _Public(msgspec.Struct, frozen=True, kw_only=True):
    event: str
    sequence: int
    at: int


class OrderChanged(OrderRow, frozen=True, kw_only=True):
    """An order as it is after the event."""

    event: str
    sequence: int
    at: int


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
    """The account may trade from now on."""

    account: str
    kind: AccountKind
