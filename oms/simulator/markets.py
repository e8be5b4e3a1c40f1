"""One symbol of an exchange: its book, its waiting stop orders and its last trades."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Literal

import attrs

from .config import SymbolConfig
from .ledger import Account
from .matching import Book
from .orders import FUTURES, ZERO, Order

# What public trades and the 24 hour ticker can look back on.
PUBLIC_TRADES_KEPT = 1_000


@attrs.frozen
class PublicTrade:
    """A trade as everyone sees it. `quantity` is in the symbol's unit: of futures, contracts."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ns: int
    is_buyer_maker: bool


@attrs.define(eq=False)
class Market:
    """One symbol. The statistics run since the start; `volume` is in the symbol's unit, `quote_volume` in quote.

    `status` is TRADING or HALTED: then orders are refused, and can still be canceled. `mark_price` and `index_price`
    follow the middle price that the house quotes round. `holders` are the accounts with a position here, but for the
    house and the insurance fund.
    """

    config: SymbolConfig
    last_price: Decimal
    opened_ns: int
    open_price: Decimal
    high: Decimal
    low: Decimal
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal
    next_funding_ns: int
    status: Literal["TRADING", "HALTED"] = "TRADING"
    book: Book = attrs.Factory(Book)
    waiting: dict[int, Order] = attrs.Factory(dict)
    trades: deque[PublicTrade] = attrs.Factory(lambda: deque(maxlen=PUBLIC_TRADES_KEPT))
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    next_trade_id: int = 1
    holders: dict[str, Account] = attrs.Factory(dict)

    @property
    def name(self) -> str:
        """`spot` or `futures`."""
        return self.config.market

    @property
    def symbol(self) -> str:
        return self.config.symbol

    @property
    def key(self) -> tuple[str, str]:
        """Market and symbol: what orders, fills and positions are kept by."""
        return self.config.market, self.config.symbol

    @property
    def is_futures(self) -> bool:
        return self.config.market == FUTURES

    def notional(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Return what `quantity` is worth at `price`, in quote asset."""
        return price * quantity * self.config.contract_size
