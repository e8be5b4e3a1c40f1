"""Bybit v5, unified account: spot, and linear perpetuals that settle in USDT. Both markets share one wallet."""

from collections.abc import AsyncIterator, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import ccxt.pro

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, TimeInForce
from oms.messages.venues import Capabilities, Feature
from oms.venues import bybit_payloads as payloads
from oms.venues.adapter import Book, PublicTrade, Quote
from oms.venues.bybit_account import LINEAR, SPOT, WALLET, BybitAccount, BybitFuturesAccount
from oms.venues.bybit_feed import Feed
from oms.venues.over_ccxt import CcxtMarket, hooked, listing, lost_if_failing, middle, middles

BOOK_LEVELS: Final = 50


class _Unread(ccxt.pro.bybit):
    """ccxt as it is, but for what topics tell: that is taken from the hook, and ccxt would only keep it."""

    def handle_message(self, client: Any, message: Any) -> None:
        if "topic" not in message:
            super().handle_message(client, message)


_Unread.__name__ = _Unread.__qualname__ = "bybit"
KIND: Final = hooked(_Unread)


class _BybitMarket(CcxtMarket):
    """What both markets have in common. See :class:`oms.venues.adapter.Market`."""

    exchange = "bybit"
    kind = KIND
    category: str
    session: type[BybitAccount]
    amends_in_place = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._assets: dict[str, tuple[str, str]] = {}
        url = self.public.urls["api"]["ws"]["public"][self.category]
        self._feed = Feed(self.public, self.public.implode_hostname(url))

    def options(self) -> dict[str, Any]:
        return {
            "defaultType": "spot" if self.category == SPOT else "swap",
            "enableUnifiedMargin": False,
            "enableUnifiedAccount": True,
            "fetchMarkets": {"types": [self.category]},
            "recvWindow": self.reach.recv_window_ms,
        }

    def connection(self, key: Any) -> Any:
        exchange = super().connection(key)
        # It asks for currencies with every list of markets, which needs a key.
        exchange.has["fetchCurrencies"] = False
        return exchange

    def read_instrument(self, raw: Mapping[str, Any]) -> InstrumentSpec | None:
        """A listed symbol, if it is one of ours."""
        raise NotImplementedError

    async def open(self) -> list[InstrumentSpec]:
        found = [spec for spec in await listing(self.public, self.read_instrument) if spec is not None]
        self._assets |= {spec.symbol: (spec.base, spec.quote) for spec in found}
        return found

    def account(self, name: str) -> BybitAccount:
        return self.session(
            self.category,
            self._assets,
            self.connection(self.key(name)),
            self.public,
            self.budgets.of(name),
            self.reach.recv_window_ms / 1000,
        )

    async def _tickers(self, symbols: Iterable[str]) -> list[dict[str, Any]]:
        """Tickers of these symbols as they are now."""
        wanted = set(symbols)
        with lost_if_failing():
            raw = await self.public.publicGetV5MarketTickers({"category": self.category})
        return [row for row in raw["result"]["list"] if row["symbol"] in wanted]

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        async for topic, _ in self._feed.read(f"orderbook.1.{symbol}" for symbol in symbols):
            sides = self._feed.books[topic].sides
            bid = max(sides["b"].items(), default=(Decimal(0), Decimal(0)))
            ask = min(sides["a"].items(), default=(Decimal(0), Decimal(0)))
            yield Quote(topic.removeprefix("orderbook.1."), *bid, *ask)

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        async for topic, _ in self._feed.read([f"orderbook.{BOOK_LEVELS}.{symbol}"]):
            book = self._feed.books[topic]
            yield Book(symbol, tuple(book.bids()), tuple(book.asks()))

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        async for _, message in self._feed.read([f"publicTrade.{symbol}"], every=True):
            for raw in message["data"]:
                yield payloads.read_public_trade(raw)


class BybitSpot(_BybitMarket):
    """Bybit spot without a key. It has no stop orders here: which way one triggers, the venue would guess from the price."""

    market = "spot"
    category = SPOT
    session = BybitAccount
    capabilities = Capabilities(
        order_types=(OrderType.LIMIT, OrderType.MARKET),
        times_in_force=tuple(TimeInForce),
        features=(Feature.POST_ONLY, Feature.AMEND, Feature.AMEND_IN_PLACE, Feature.TRANSFER),
        wallet=WALLET,
    )

    def read_instrument(self, raw: Mapping[str, Any]) -> InstrumentSpec | None:
        return payloads.read_spot_instrument(raw)

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        rows = await self._tickers(symbols)
        return middles((row["symbol"], row["bid1Price"], row["ask1Price"]) for row in rows)

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        async for quote in self.quotes(symbols):
            yield {quote.symbol: middle(quote.bid, quote.ask)}


class BybitFutures(_BybitMarket):
    """Bybit's linear perpetuals without a key."""

    market = "futures"
    category = LINEAR
    session = BybitFuturesAccount
    capabilities = Capabilities(
        order_types=tuple(OrderType),
        times_in_force=tuple(TimeInForce),
        features=(
            Feature.POST_ONLY,
            Feature.REDUCE_ONLY,
            Feature.AMEND,
            Feature.AMEND_IN_PLACE,
            Feature.LEVERAGE,
            Feature.MARGIN_MODE,
            Feature.TRANSFER,
            Feature.POSITIONS,
        ),
        wallet=WALLET,
    )

    def read_instrument(self, raw: Mapping[str, Any]) -> InstrumentSpec | None:
        return payloads.read_perpetual(raw)

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        return {row["symbol"]: Decimal(row["markPrice"]) for row in await self._tickers(symbols)}

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        last: dict[str, str] = {}
        async for topic, _ in self._feed.read(f"tickers.{symbol}" for symbol in symbols):
            ticker = self._feed.tickers[topic]
            symbol, mark = ticker["symbol"], ticker["markPrice"]
            # Most of what tickers tell is something else.
            if last.get(symbol) != mark:
                last[symbol] = mark
                yield {symbol: Decimal(mark)}
