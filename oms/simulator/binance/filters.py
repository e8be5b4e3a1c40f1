"""The symbol filters of Binance, in the order in which it checks them, and how `exchangeInfo` lists them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from . import errors
from .config import SymbolConfig
from .orders import ZERO

if TYPE_CHECKING:
    from .exchange import Market, OrderRequest
    from .ledger import Account


def check_filters(market: Market, account: Account, request: OrderRequest) -> None:
    """Raise the `ApiError` of the first filter that `request` fails."""
    config = market.config
    for price in (request.price, request.stop_price):
        if price and (price < config.tick or price > config.max_price or price % config.tick):
            raise errors.filter_failure("PRICE_FILTER")
    quantity = request.quantity
    if quantity < config.step or quantity > config.max_quantity or quantity % config.step:
        raise errors.filter_failure("LOT_SIZE")
    price = request.price or request.stop_price or market.last_price
    if price * quantity < config.min_notional:
        raise errors.filter_failure("NOTIONAL")
    if account.open_count[market.symbol] >= config.max_orders:
        raise errors.filter_failure("MAX_NUM_ORDERS")
    if request.stop_price:
        waiting = sum(order.account == account.name for order in market.waiting.values())
        if waiting >= config.max_algo_orders:
            raise errors.filter_failure("MAX_NUM_ALGO_ORDERS")


def describe(config: SymbolConfig) -> list[dict[str, object]]:
    """Return the filters as `exchangeInfo` shows them."""

    def text(value: Decimal) -> str:
        return f"{value:.8f}"

    lot = {"minQty": text(config.step), "maxQty": text(config.max_quantity), "stepSize": text(config.step)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(config.tick),
            "maxPrice": text(config.max_price),
            "tickSize": text(config.tick),
        },
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "MARKET_LOT_SIZE", **lot, "minQty": text(ZERO)},
        {
            "filterType": "NOTIONAL",
            "minNotional": text(config.min_notional),
            "applyMinToMarket": True,
            "maxNotional": text(config.max_price * config.max_quantity),
            "applyMaxToMarket": False,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": config.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": config.max_algo_orders},
    ]
