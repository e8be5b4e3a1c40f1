"""An order, its fills, and what is told about it."""

from __future__ import annotations

from decimal import Decimal

import attrs

from .reasons import Reason

BUY = "BUY"
SELL = "SELL"
ZERO = Decimal(0)

SPOT = "spot"
FUTURES = "futures"

# A stop loss triggers on a price that goes against the order's side (a buy's rises), a take profit on one that goes
# with it.
LIMIT_TYPES = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
ORDER_TYPES = ("LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")

OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED"})

# Who wanted an order: its owner, or the exchange.
CLIENT = "client"
LIQUIDATION = "liquidation"
ADL = "adl"


@attrs.frozen
class OrderRequest:
    """A new order whose parameters are well formed; whether it is acceptable is for the exchange to say.

    `quantity` is in base asset, of futures in contracts of `SymbolConfig.contract_size` each. `quote_quantity` in its
    place (then `quantity` is 0) lets a spot market buy spend at most that much. `price` is 0 for market orders,
    `stop_price` 0 for orders without a trigger. `type` is one of `ORDER_TYPES`, `time_in_force` GTC, IOC or FOK.
    """

    market: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str | None = None
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    time_in_force: str = "GTC"
    post_only: bool = False
    reduce_only: bool = False
    quote_quantity: Decimal = ZERO


@attrs.frozen
class Fill:
    """One side of a trade. Times are UTC ns.

    `trade_id` is unique for its market and symbol; both sides have the same. `quantity` is in the order's unit, `quote`
    is price × quantity × contract size. `commission` is what was paid (negative: received), in `commission_asset`.
    `realised` is the profit of the part that closed a position, before commission; 0 for spot. `origin` is the order's.
    """

    trade_id: int
    order_id: int
    market: str
    symbol: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    time_ns: int
    is_buyer: bool
    is_maker: bool
    realised: Decimal = ZERO
    origin: str = CLIENT


@attrs.define(eq=False)
class Order:
    """One order; units as in `OrderRequest`.

    `order_id` is unique at the exchange. `locked` is what the account has reserved for it now: quote asset for a spot
    buy, base asset for a spot sell, nothing for futures. `working_ns` is when it reached the book or matched, -1 before
    that. `status` is NEW, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED or REJECTED; `reason` says why, where the owner
    did not ask for it.
    """

    account: str
    market: str
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
    quote_quantity: Decimal = ZERO
    post_only: bool = False
    reduce_only: bool = False
    origin: str = CLIENT
    working_ns: int = -1
    status: str = "NEW"
    reason: Reason | None = None
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    locked: Decimal = ZERO
    fills: list[Fill] = attrs.Factory(list)

    @property
    def leaves(self) -> Decimal:
        """What can still be executed; meaningless for an order by `quote_quantity`."""
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


@attrs.frozen
class OrderUpdate:
    """One change of one order, told when it happens: render it at once, the order goes on changing.

    `execution` is NEW (also: triggered), TRADE, CANCELED, EXPIRED, REJECTED or AMENDED. `fill` comes with TRADE alone.
    `execution_id` counts the updates of the exchange. `cancel_client_id` is what the canceller called the cancellation.
    """

    order: Order
    execution: str
    execution_id: int
    time_ns: int
    fill: Fill | None = None
    cancel_client_id: str | None = None
