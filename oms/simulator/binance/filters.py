"""The symbol filters of Binance as `exchangeInfo` lists them."""

from __future__ import annotations

from decimal import Decimal

from oms.simulator.config import SymbolConfig
from oms.simulator.orders import ZERO


def describe(config: SymbolConfig) -> list[dict[str, object]]:
    """Return the filters of a spot symbol."""

    def text(value: Decimal) -> str:
        return f"{value:.8f}"

    lot = {
        "minQty": text(config.min_quantity),
        "maxQty": text(config.max_quantity),
        "stepSize": text(config.step),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(config.min_price),
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
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": config.max_stop_orders},
    ]
