"""What anybody may ask for: instruments, prices, books, trades, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from oms.simulator.exchange import Exchange
from oms.simulator.markets import Market
from oms.simulator.orders import BUY, SELL

from . import payloads, prices
from .errors import ApiError, missing, parameter

Query = Mapping[str, str]
Rows = list[dict[str, object]]

BOOK_MAX = 400
TRADES_MAX = 500
INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")


class Public:
    """Answers with the `data` of OKX's answers."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def market(self, symbol: str | None) -> Market:
        """Return the market of an instrument. Raises `ApiError`."""
        if not symbol:
            raise missing("instId")
        for market in self._exchange.markets.values():
            if market.symbol == symbol:
                return market
        raise ApiError(51001, "Instrument ID, Instrument ID code or Spread ID doesn't exist.")

    def _markets(self, query: Query) -> list[Market]:
        kind = query.get("instType")
        if not kind:
            raise missing("instType")
        if kind not in INST_TYPES:
            raise parameter("instType")
        name = payloads.MARKETS.get(kind, "")
        return [
            market
            for market in self._exchange.markets.values()
            if market.name == name
            and query.get("instId") in (None, "", market.symbol)
            and query.get("instFamily") in (None, "", f"{market.config.base}-{market.config.quote}")
        ]

    def time(self, query: Query) -> Rows:
        return [{"ts": payloads.ms(self._exchange.clock())}]

    def instruments(self, query: Query) -> Rows:
        return [payloads.instrument(market) for market in self._markets(query)]

    def tickers(self, query: Query) -> Rows:
        now = self._exchange.clock()
        return [prices.ticker(market, now) for market in self._markets(query)]

    def ticker(self, query: Query) -> Rows:
        return [prices.ticker(self.market(query.get("instId")), self._exchange.clock())]

    def book(self, query: Query) -> Rows:
        market, size = self.market(query.get("instId")), query.get("sz") or "1"
        if not size.isdecimal() or not 1 <= int(size) <= BOOK_MAX:
            raise parameter("sz")
        return [
            {
                "asks": prices.levels(market, SELL, int(size)),
                "bids": prices.levels(market, BUY, int(size)),
                "ts": payloads.ms(self._exchange.clock()),
            }
        ]

    def trades(self, query: Query) -> Rows:
        market, limit = self.market(query.get("instId")), query.get("limit") or "100"
        if not limit.isdecimal() or not 1 <= int(limit) <= TRADES_MAX:
            raise parameter("limit")
        return [prices.public_trade(market, trade) for trade in islice(reversed(market.trades), int(limit))]

    def mark_prices(self, query: Query) -> Rows:
        now = self._exchange.clock()
        return [prices.mark_price(market, now) for market in self._markets(query) if market.is_futures]

    def funding_rate(self, query: Query) -> Rows:
        market = self.market(query.get("instId"))
        if not market.is_futures:
            raise parameter("instId")
        return [prices.funding_rate(market, self._exchange.clock())]
