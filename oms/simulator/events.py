"""What the exchange tells those who listen, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Protocol

import attrs

from .ledger import Account, FundingPayment
from .markets import Market, PublicTrade
from .orders import OrderUpdate
from .positions import Position

FundsReason = Literal[
    "ORDER",
    "DEPOSIT",
    "WITHDRAW",
    "TRANSFER",
    "FUNDING",
    "LIQUIDATION",
    "ADL",
    "LEVERAGE",
    "MARGIN_MODE",
    "MARGIN",
]


@attrs.frozen
class FundsChange:
    """What one operation changed in one wallet, told once the operation is done: render it at once.

    `assets` are those whose balance changed, each with the change of its total (0 where only free and locked changed
    places); what is there now is in `account.wallets[wallet]`. `positions` are those that changed: quantity, margin,
    or, with reasons LEVERAGE and MARGIN_MODE, their settings. `payment` comes with FUNDING.
    """

    account: Account
    wallet: str
    reason: FundsReason
    assets: Mapping[str, Decimal]
    positions: tuple[Position, ...]
    time_ns: int
    payment: FundingPayment | None = None


class Listener(Protocol):
    """Who is told what happened. Nothing is told of the house and of the insurance fund but public trades."""

    def order(self, update: OrderUpdate) -> None: ...

    def funds(self, change: FundsChange) -> None:
        """After the order updates of the same operation."""

    def trade(self, market: Market, trade: PublicTrade) -> None: ...

    def book(self, market: Market) -> None:
        """The book may have changed: what did is in `market.book.drain_changes()`."""

    def mark(self, market: Market) -> None:
        """The mark price, the index price or the funding rate of a futures symbol changed."""

    def status(self, market: Market) -> None:
        """The symbol was halted or resumed."""
