"""What everybody may ask: the time, the symbols, prices and books."""

from __future__ import annotations

import uuid
from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, SELL

from .errors import ApiError, bad_param
from .params import CATEGORIES, Params
from .payloads import amount, ms

_TRADES = uuid.UUID("0d4f0b53-6b6a-4b62-9f0c-5d9b1d1c2a77")
MAX_LEVELS = {"spot": 200, "linear": 500}


def server_time(exchange: Exchange, account: Account | None, params: Params) -> dict[str, object]:
    """`GET /v5/market/time`"""
    now = exchange.clock()
    return {"timeSecond": str(now // 10**9), "timeNano": str(now)}


def instruments(exchange: Exchange, account: Account | None, params: Params) -> dict[str, object]:
    """`GET /v5/market/instruments-info`"""
    category, symbol = params.category(), params.text("symbol")
    wanted, base = params.text("status"), params.text("baseCoin")
    render = _spot if category == "spot" else _linear
    rows = [
        render(market)
        for market in _markets(exchange, category)
        if symbol in ("", market.symbol) and base in ("", market.config.base)
    ]
    rows = [row for row in rows if wanted in ("", row["status"])]
    result: dict[str, object] = {"category": category, "list": rows}
    return result if category == "spot" else result | {"nextPageCursor": ""}


def _markets(exchange: Exchange, category: str) -> list[Market]:
    return [market for market in exchange.markets.values() if market.name == CATEGORIES[category]]


def _status(market: Market) -> str:
    return "Trading" if market.status == "TRADING" else "Closed"


def _spot(market: Market) -> dict[str, object]:
    config = market.config
    return {
        "symbol": config.symbol,
        "baseCoin": config.base,
        "quoteCoin": config.quote,
        "innovation": "0",
        "symbolType": "",
        "status": _status(market),
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": amount(config.step),
            "quotePrecision": "0.0000001",
            "minOrderQty": amount(config.min_quantity),
            "maxOrderQty": amount(config.max_quantity),
            "minOrderAmt": amount(config.min_notional),
            "maxOrderAmt": amount(config.max_quantity * config.max_price),
            "maxLimitOrderQty": amount(config.max_quantity),
            "maxMarketOrderQty": amount(config.max_quantity),
            "postOnlyMaxLimitOrderSize": amount(config.max_quantity),
        },
        "priceFilter": {"tickSize": amount(config.tick)},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


def _linear(market: Market) -> dict[str, object]:
    config = market.config
    return {
        "symbol": config.symbol,
        "contractType": "LinearPerpetual",
        "status": _status(market),
        "baseCoin": config.base,
        "quoteCoin": config.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(-int(config.tick.normalize().as_tuple().exponent)),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{config.max_leverage}.00",
            "leverageStep": "1",
        },
        "priceFilter": {
            "minPrice": amount(config.min_price),
            "maxPrice": amount(config.max_price),
            "tickSize": amount(config.tick),
        },
        "lotSizeFilter": {
            "maxOrderQty": amount(config.max_quantity),
            "minOrderQty": amount(config.min_quantity),
            "qtyStep": amount(config.step),
            "postOnlyMaxOrderQty": amount(config.max_quantity),
            "maxMktOrderQty": amount(config.max_quantity),
            "minNotionalValue": amount(config.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": config.settle,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "displayName": "",
    }


def tickers(exchange: Exchange, account: Account | None, params: Params) -> dict[str, object]:
    """`GET /v5/market/tickers`"""
    category, symbol = params.category(), params.text("symbol")
    found = [market for market in _markets(exchange, category) if symbol in ("", market.symbol)]
    if symbol and not found:
        raise ApiError(10001, "Not supported symbols")
    return {"category": category, "list": [ticker(market, streamed=False) for market in found]}


def ticker(market: Market, *, streamed: bool) -> dict[str, str]:
    """A symbol's ticker. On the spot stream there is no bid and no offer."""
    row = {
        "symbol": market.symbol,
        "lastPrice": amount(market.last_price),
        "prevPrice24h": amount(market.open_price),
        "price24hPcnt": amount((market.last_price / market.open_price - 1).quantize(Decimal("0.000001"))),
        "highPrice24h": amount(market.high),
        "lowPrice24h": amount(market.low),
        "turnover24h": amount(market.quote_volume),
        "volume24h": amount(market.volume),
    }
    if not market.is_futures and streamed:
        return row | {"usdIndexPrice": amount(market.last_price)}
    bid, ask = market.book.best(BUY), market.book.best(SELL)
    row |= {
        "bid1Price": "" if bid is None else amount(bid.price),
        "bid1Size": "" if bid is None else amount(bid.quantity),
        "ask1Price": "" if ask is None else amount(ask.price),
        "ask1Size": "" if ask is None else amount(ask.quantity),
    }
    if not market.is_futures:
        return row | {"usdIndexPrice": amount(market.last_price)}
    return row | {
        "markPrice": amount(market.mark_price),
        "indexPrice": amount(market.index_price),
        "prevPrice1h": amount(market.open_price),
        "openInterest": "0",
        "openInterestValue": "0",
        "fundingRate": amount(market.funding_rate),
        "nextFundingTime": ms(market.next_funding_ns),
        "fundingIntervalHour": "8",
        "deliveryTime": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "predictedDeliveryPrice": "",
        "basis": "",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def _market(exchange: Exchange, params: Params) -> Market:
    market = exchange.markets.get((CATEGORIES[params.category()], params.need("symbol")))
    if market is None:
        raise ApiError(10001, "Not supported symbols")
    return market


def orderbook(exchange: Exchange, account: Account | None, params: Params) -> dict[str, object]:
    """`GET /v5/market/orderbook`"""
    market = _market(exchange, params)
    limit = params.integer("limit", 1 if not market.is_futures else 25, 1, MAX_LEVELS[params.category()])
    now = exchange.clock() // 10**6
    return {
        "s": market.symbol,
        "b": [[amount(p), amount(q)] for p, q in levels(market, BUY, limit)],
        "a": [[amount(p), amount(q)] for p, q in levels(market, SELL, limit)],
        "ts": now,
        "u": market.book.update_id,
        "seq": market.book.update_id,
        "cts": now,
    }


def levels(market: Market, side: str, limit: int) -> list[tuple[Decimal, Decimal]]:
    """Return the best levels of one side, best first."""
    found: list[tuple[Decimal, Decimal]] = []
    for level in market.book.levels(side):
        if len(found) == limit:
            break
        found.append((level.price, level.quantity))
    return found


def recent_trades(exchange: Exchange, account: Account | None, params: Params) -> dict[str, object]:
    """`GET /v5/market/recent-trade`: the newest first."""
    market = _market(exchange, params)
    limit = params.integer("limit", 500 if market.is_futures else 60, 1, 1_000)
    newest = list(market.trades)[-limit:][::-1]
    return {
        "category": params.category(),
        "list": [
            {
                "execId": trade_id(market, trade),
                "symbol": market.symbol,
                "price": amount(trade.price),
                "size": amount(trade.quantity),
                "side": "Sell" if trade.is_buyer_maker else "Buy",
                "time": ms(trade.time_ns),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(trade.trade_id),
            }
            for trade in newest
        ],
    }


def trade_id(market: Market, trade: PublicTrade) -> str:
    """Numbers on spot, UUIDs elsewhere."""
    if not market.is_futures:
        return str(2_290_000_000_000_000_000 + trade.trade_id)
    return str(uuid.uuid5(_TRADES, f"{market.symbol} {trade.trade_id}"))


def parse_depth(text: str) -> int:
    """Return the depth of a book's topic. Raises `ApiError`."""
    if text not in ("1", "50", "200", "1000"):
        raise bad_param("depth")
    return int(text)
