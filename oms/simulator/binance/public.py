"""Market data operations: no account needed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from oms.simulator.exchange import Exchange
from oms.simulator.markets import Market
from oms.simulator.orders import SPOT, ZERO

from . import errors, filters, payloads
from .limits import Limiter
from .params import Params

DEPTH_MAX = 5_000
TRADES_MAX = 1_000


def ping(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    params.finish()
    return {}


def time(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    params.finish()
    return {"serverTime": payloads.ms(exchange.clock())}


def exchange_info(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    """The rules of all symbols, or of those asked for."""
    params.text("permissions")
    params.text("showPermissionSets")
    params.text("symbolStatus")
    markets, _ = _markets(exchange, params)
    params.finish()
    return {
        "timezone": "UTC",
        "serverTime": payloads.ms(exchange.clock()),
        "rateLimits": limiter.describe(),
        "exchangeFilters": [],
        "symbols": [_symbol_info(market) for market in markets],
        "sors": [],
    }


def _symbol_info(market: Market) -> dict[str, object]:
    config = market.config
    return {
        "symbol": config.symbol,
        "status": "TRADING" if market.status == "TRADING" else "HALT",
        "baseAsset": config.base,
        "baseAssetPrecision": 8,
        "quoteAsset": config.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(payloads.ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters.describe(config),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": payloads.STP_MODE,
        "allowedSelfTradePreventionModes": [payloads.STP_MODE],
    }


def depth(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    market = _market(exchange, params)
    limit = params.limit(100, DEPTH_MAX)
    params.finish()
    return payloads.depth(market, limit)


def trades(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    market = _market(exchange, params)
    limit = params.limit(500, TRADES_MAX)
    params.finish()
    return [payloads.public_trade(trade) for trade in list(market.trades)[-limit:]]


def aggregate_trades(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    market = _market(exchange, params)
    limit = params.limit(500, TRADES_MAX)
    from_id, start, end = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
    params.finish()
    found = [
        trade
        for trade in market.trades
        if (from_id is None or trade.trade_id >= from_id)
        and (start is None or payloads.ms(trade.time_ns) >= start)
        and (end is None or payloads.ms(trade.time_ns) <= end)
    ]
    chosen = found[-limit:] if from_id is None and start is None else found[:limit]
    return [payloads.aggregate_trade(trade) for trade in chosen]


def ticker_price(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    return _for_markets(
        exchange,
        params,
        lambda market: {"symbol": market.symbol, "price": payloads.amount(market.last_price)},
    )


def ticker_book(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    return _for_markets(exchange, params, payloads.book_ticker)


def ticker_24hr(exchange: Exchange, limiter: Limiter, params: Params) -> object:
    """Statistics since the simulator started (a real exchange rolls 24 hours)."""
    params.text("type", r"^(FULL|MINI)$")
    return _for_markets(exchange, params, lambda market: day_statistics(market, exchange.clock()))


def day_statistics(market: Market, now: int) -> dict[str, object]:
    """The 24 hour ticker of one market."""
    text = payloads.amount
    change = market.last_price - market.open_price
    last = market.trades[-1] if market.trades else None
    bid, bid_quantity, ask, ask_quantity = payloads.best(market)
    average = market.quote_volume / market.volume if market.volume else market.last_price
    return {
        "symbol": market.symbol,
        "priceChange": text(change),
        "priceChangePercent": f"{change / market.open_price * Decimal(100):.3f}",
        "weightedAvgPrice": text(average),
        "prevClosePrice": text(market.open_price),
        "lastPrice": text(market.last_price),
        "lastQty": text(last.quantity if last else ZERO),
        "bidPrice": bid,
        "bidQty": bid_quantity,
        "askPrice": ask,
        "askQty": ask_quantity,
        "openPrice": text(market.open_price),
        "highPrice": text(market.high),
        "lowPrice": text(market.low),
        "volume": text(market.volume),
        "quoteVolume": text(market.quote_volume),
        "openTime": payloads.ms(market.opened_ns),
        "closeTime": payloads.ms(now),
        "firstId": 1 if last else -1,
        "lastId": last.trade_id if last else -1,
        "count": market.next_trade_id - 1,
    }


def _market(exchange: Exchange, params: Params) -> Market:
    return exchange.market(SPOT, params.need("symbol", errors.SYMBOL_PATTERN))


def _markets(exchange: Exchange, params: Params) -> tuple[list[Market], bool]:
    """Return the markets asked for, and whether it was one by `symbol`."""
    one = params.text("symbol", errors.SYMBOL_PATTERN)
    several = params.text("symbols")
    if one is not None and several is not None:
        raise errors.bad_combination()
    if one is not None:
        return [exchange.market(SPOT, one)], True
    if several is None:
        return [market for market in exchange.markets.values() if market.name == SPOT], False
    try:
        names = msgspec.json.decode(several, type=list[str])
    except msgspec.DecodeError:
        raise errors.illegal("symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$') from None
    return [exchange.market(SPOT, name) for name in names], False


def _for_markets(exchange: Exchange, params: Params, show: Callable[[Market], object]) -> object:
    markets, single = _markets(exchange, params)
    params.finish()
    return show(markets[0]) if single else [show(market) for market in markets]
