"""An order and its fills, as the exchange keeps them."""

from __future__ import annotations

from decimal import Decimal

import attrs

BUY = "BUY"
SELL = "SELL"
ZERO = Decimal(0)

LIMIT_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)

OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED"})


@attrs.frozen
class Fill:
    """One side of a trade, as `myTrades` shows it. `commission` is in `commission_asset`, times are UTC ns."""

    trade_id: int
    order_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    time_ns: int
    is_buyer: bool
    is_maker: bool


@attrs.define(eq=False)
class Order:
    """One order. `price` is 0 for market orders, `stop_price` 0 for orders without a trigger.

    `locked` is what the account has reserved for it now: quote asset for a buy, base asset for a sell.
    `working_ns` is when it reached the book or matched, -1 before that.
    """

    account: str
    symbol: str
    order_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    stop_price: Decimal
    created_ns: int
    updated_ns: int
    working_ns: int = -1
    status: str = "NEW"
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    locked: Decimal = ZERO
    fills: list[Fill] = attrs.Factory(list)

    @property
    def leaves(self) -> Decimal:
        """What can still be executed."""
        return self.quantity - self.executed

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_limit(self) -> bool:
        return self.type in LIMIT_TYPES

    @property
    def is_waiting(self) -> bool:
        """True for a stop order that has not triggered."""
        return self.working_ns < 0 and self.type in STOP_TYPES
