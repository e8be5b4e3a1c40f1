"""OKX v5: spot and linear USDT swaps, in one trading account. Orders are amended in place."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Any, ClassVar, Final

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.venues import Capabilities, Feature
from oms.venues.adapter import Book, PublicTrade, Quote
from oms.venues.notation import at_ms
from oms.venues.okx_account import okx
from oms.venues.okx_accounts import OkxFuturesAccount, OkxSpotAccount
from oms.venues.okx_payloads import Raw, read_instrument
from oms.venues.over_ccxt import CcxtMarket, hooked, listing, lost_if_failing, middles, read_book, stream

EXCHANGE: Final = "okx"
BOOK_LEVELS: Final = 20
BOOK_DEPTH: Final = 400
"""Of the channel ``books``, which everybody may watch."""


class _OkxMarket(CcxtMarket):
    exchange = EXCHANGE
    kind = hooked(okx)
    amends_in_place = True
    type: ClassVar[str]
    """ccxt's name of the market."""

    def options(self) -> dict[str, Any]:
        return {
            "defaultType": self.type,
            "fetchMarkets": {"types": [self.type]},
            "recvWindow": self.reach.recv_window_ms,
            "timeDifference": 0,
        }

    async def open(self) -> list[InstrumentSpec]:
        return [each for each in await listing(self.public, read_instrument) if each is not None]

    async def _changes(
        self, watch: Callable[[], Awaitable[Any]], kept: str, names: list[str]
    ) -> AsyncIterator[list[tuple[str, Raw]]]:
        """(symbol, what ccxt was told last) of those that changed. It wakes for one of many that came together."""
        seen: dict[str, Any] = {}
        async for _ in stream(watch):
            latest = getattr(self.public, kept)
            fresh = {
                name: latest[name] for name in names if name in latest and latest[name] is not seen.get(name)
            }
            seen |= fresh
            yield [(self.public.markets[name]["id"], each["info"]) for name, each in fresh.items()]

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        names = self.names(symbols)
        async for changes in self._changes(lambda: self.public.watch_bids_asks(names), "bidsasks", names):
            for symbol, raw in changes:
                (bid, bid_quantity), (ask, ask_quantity) = (_best(raw[side]) for side in ("bids", "asks"))
                yield Quote(symbol, bid, bid_quantity, ask, ask_quantity)

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        (name,) = self.names([symbol])
        async for book in stream(lambda: self.public.watch_order_book(name, BOOK_DEPTH)):
            yield read_book(symbol, {side: book[side][:BOOK_LEVELS] for side in ("bids", "asks")})

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        (name,) = self.names([symbol])
        async for trades in stream(lambda: self.public.watch_trades(name)):
            for trade in trades:
                raw = trade["info"]
                yield PublicTrade(
                    symbol,
                    raw["tradeId"],
                    Side(raw["side"]),
                    Decimal(raw["px"]),
                    Decimal(raw["sz"]),
                    at_ms(raw["ts"]),
                )


def _best(levels: list[list[str]]) -> tuple[Decimal, Decimal]:
    return (Decimal(levels[0][0]), Decimal(levels[0][1])) if levels else (Decimal(0), Decimal(0))


class OkxSpot(_OkxMarket):
    """OKX spot without a key. See :class:`oms.venues.adapter.Market`."""

    market = "spot"
    type = "spot"
    capabilities = Capabilities(
        order_types=(OrderType.LIMIT, OrderType.MARKET),
        times_in_force=tuple(TimeInForce),
        features=(Feature.POST_ONLY, Feature.AMEND, Feature.AMEND_IN_PLACE, Feature.TRANSFER),
        wallet="unified",
    )

    def account(self, name: str) -> OkxSpotAccount:
        exchange = self.connection(self.key(name))
        return OkxSpotAccount(exchange, self.public, self.budgets.of(name), self.reach.recv_window_ms / 1000)

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        wanted = set(symbols)
        with lost_if_failing():
            raw = await self.public.publicGetMarketTickers({"instType": "SPOT"})
        return middles(
            (row["instId"], row["bidPx"], row["askPx"]) for row in raw["data"] if row["instId"] in wanted
        )

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        names = self.names(symbols)
        async for changes in self._changes(lambda: self.public.watch_tickers(names), "tickers", names):
            yield middles((symbol, raw["bidPx"], raw["askPx"]) for symbol, raw in changes)


class OkxFutures(_OkxMarket):
    """OKX's linear USDT swaps without a key. See :class:`oms.venues.adapter.Market`."""

    market = "futures"
    type = "swap"
    capabilities = Capabilities(
        order_types=(OrderType.LIMIT, OrderType.MARKET),
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
        wallet="unified",
    )

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._modes: dict[str, dict[str, MarginMode]] = {}

    def account(self, name: str) -> OkxFuturesAccount:
        return OkxFuturesAccount(
            self.connection(self.key(name)),
            self.public,
            self.budgets.of(name),
            self.reach.recv_window_ms / 1000,
            self._modes.setdefault(name, {}),
        )

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        wanted = set(symbols)
        with lost_if_failing():
            raw = await self.public.publicGetPublicMarkPrice({"instType": "SWAP"})
        return {row["instId"]: Decimal(row["markPx"]) for row in raw["data"] if row["instId"] in wanted}

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        names = self.names(symbols)
        async for changes in self._changes(lambda: self.public.watch_mark_prices(names), "tickers", names):
            yield {symbol: Decimal(raw["markPx"]) for symbol, raw in changes}
