"""What every order must satisfy before funds and the book are looked at."""

from __future__ import annotations

from .ledger import Account
from .markets import Market
from .orders import OrderRequest
from .reasons import Reason, Refusal


def check_prices(market: Market, request: OrderRequest) -> None:
    """Raise `Refusal` PRICE_RANGE or PRICE_TICK for a price or stop price that the symbol does not have."""
    config = market.config
    for price in (request.price, request.stop_price):
        if not price:
            continue
        if price < config.min_price or price > config.max_price:
            raise Refusal(
                Reason.PRICE_RANGE,
                f"price must be from {config.min_price} to {config.max_price}, was {price}",
            )
        tick = config.tick_at(price)
        if price % tick:
            raise Refusal(Reason.PRICE_TICK, f"price must be a multiple of {tick}, was {price}")


def check_size(market: Market, request: OrderRequest) -> None:
    """Raise `Refusal` LOT_SIZE or MIN_NOTIONAL."""
    config, quantity = market.config, request.quantity
    if request.quote_quantity:
        worth = request.quote_quantity
    else:
        if quantity < config.min_quantity or quantity > config.max_quantity or quantity % config.step:
            raise Refusal(
                Reason.LOT_SIZE,
                f"quantity must be from {config.min_quantity} to {config.max_quantity}, a multiple of {config.step},"
                f" was {quantity}",
            )
        worth = market.notional(request.price or request.stop_price or market.last_price, quantity)
    if worth < config.min_notional and not request.reduce_only:
        raise Refusal(Reason.MIN_NOTIONAL, f"order must be worth {config.min_notional}, was {worth}")


def check_counts(market: Market, account: Account, request: OrderRequest) -> None:
    """Raise `Refusal` MAX_ORDERS or MAX_STOP_ORDERS."""
    config = market.config
    if account.open_count[market.key] >= config.max_orders:
        raise Refusal(Reason.MAX_ORDERS, f"at most {config.max_orders} orders of {market.symbol} may be open")
    if request.stop_price:
        waiting = sum(order.account == account.name for order in market.waiting.values())
        if waiting >= config.max_stop_orders:
            raise Refusal(
                Reason.MAX_STOP_ORDERS,
                f"at most {config.max_stop_orders} stop orders of {market.symbol} may be open",
            )
