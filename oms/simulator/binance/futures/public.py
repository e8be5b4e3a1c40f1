"""Market data operations: no account needed."""

from __future__ import annotations

from collections.abc import Callable

from oms.simulator.binance import errors as common
from oms.simulator.binance.params import Params
from oms.simulator.binance.payloads import ms
from oms.simulator.config import decimals
from oms.simulator.markets import Market
from oms.simulator.orders import FUTURES

from . import payloads
from .desk import Desk

DEPTHS = (5, 10, 20, 50, 100, 500, 1_000)
TRADES_MAX = 1_000
# Perpetual contracts never are delivered: Binance says so with a date of the year 2100.
NEVER_MS = 4_133_404_800_000


def ping(desk: Desk, params: Params) -> object:
    params.finish()
    return {}


def time(desk: Desk, params: Params) -> object:
    params.finish()
    return {"serverTime": ms(desk.exchange.clock())}


def exchange_info(desk: Desk, params: Params) -> object:
    params.finish()
    markets = _markets(desk)
    settled = sorted({market.config.settle for market in markets})
    return {
        "timezone": "UTC",
        "serverTime": ms(desk.exchange.clock()),
        "futuresType": "U_MARGINED",
        "rateLimits": desk.limiter.describe(),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in settled
        ],
        "symbols": [_symbol_info(market) for market in markets],
    }


def _symbol_info(market: Market) -> dict[str, object]:
    config = market.config
    tick, step = (format(value.normalize(), "f") for value in (config.tick, config.step))
    lot = {"minQty": _plain(config.min_quantity), "maxQty": _plain(config.max_quantity), "stepSize": step}
    return {
        "symbol": config.symbol,
        "pair": config.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING" if market.status == "TRADING" else "SETTLING",
        "maintMarginPercent": f"{config.maintenance_rate * 100:.4f}",
        "requiredMarginPercent": "5.0000",
        "baseAsset": config.base,
        "quoteAsset": config.quote,
        "marginAsset": config.settle,
        "pricePrecision": decimals(config.tick),
        "quantityPrecision": decimals(config.step),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": _plain(config.min_price),
                "maxPrice": _plain(config.max_price),
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": config.max_orders},
            {"filterType": "MIN_NOTIONAL", "notional": _plain(config.min_notional)},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }


def _plain(value: object) -> str:
    return format(value, "f")


def depth(desk: Desk, params: Params) -> object:
    market = _market(desk, params)
    limit = params.integer("limit") or 500
    params.finish()
    if limit not in DEPTHS:
        raise common.ApiError(-4021, f"Invalid depth limit: limit must be one of {list(DEPTHS)}")
    sides, now = payloads.levels(market, limit), ms(desk.exchange.clock())
    return {
        "lastUpdateId": market.book.update_id,
        "E": now,
        "T": now,
        "bids": sides["BUY"],
        "asks": sides["SELL"],
    }


def trades(desk: Desk, params: Params) -> object:
    market = _market(desk, params)
    limit = params.limit(500, TRADES_MAX)
    params.finish()
    return [payloads.public_trade(trade, market.config) for trade in list(market.trades)[-limit:]]


def aggregate_trades(desk: Desk, params: Params) -> object:
    market = _market(desk, params)
    limit = params.limit(500, TRADES_MAX)
    from_id, start, end = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
    params.finish()
    found = [
        trade
        for trade in market.trades
        if (from_id is None or trade.trade_id >= from_id)
        and (start is None or ms(trade.time_ns) >= start)
        and (end is None or ms(trade.time_ns) <= end)
    ]
    chosen = found[-limit:] if from_id is None and start is None else found[:limit]
    return [payloads.aggregate_trade(trade, market.config) for trade in chosen]


def ticker_price(desk: Desk, params: Params) -> object:
    def show(market: Market) -> object:
        now = ms(desk.exchange.clock())
        return {
            "symbol": market.symbol,
            "price": payloads.price(market.config, market.last_price),
            "time": now,
        }

    return _for_markets(desk, params, show)


def ticker_book(desk: Desk, params: Params) -> object:
    def show(market: Market) -> object:
        bid, bid_quantity, ask, ask_quantity = payloads.best(market)
        return {
            "symbol": market.symbol,
            "bidPrice": bid,
            "bidQty": bid_quantity,
            "askPrice": ask,
            "askQty": ask_quantity,
            "time": ms(desk.exchange.clock()),
            "lastUpdateId": market.book.update_id,
        }

    return _for_markets(desk, params, show)


def ticker_24hr(desk: Desk, params: Params) -> object:
    """Statistics since the simulator started (a real exchange rolls 24 hours)."""
    return _for_markets(desk, params, lambda market: payloads.day_statistics(market, desk.exchange.clock()))


def premium_index(desk: Desk, params: Params) -> object:
    return _for_markets(desk, params, lambda market: payloads.premium_index(market, desk.exchange.clock()))


def _market(desk: Desk, params: Params) -> Market:
    return desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))


def _markets(desk: Desk) -> list[Market]:
    return [market for market in desk.exchange.markets.values() if market.is_futures]


def _for_markets(desk: Desk, params: Params, show: Callable[[Market], object]) -> object:
    symbol = params.text("symbol", common.SYMBOL_PATTERN)
    params.finish()
    if symbol is not None:
        return show(desk.exchange.market(FUTURES, symbol))
    return [show(market) for market in _markets(desk)]
