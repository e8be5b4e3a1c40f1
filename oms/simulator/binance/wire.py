"""Binance: spot and USD-M futures behind one exchange, told apart by host and path.

The futures side is `oms.simulator.binance.futures.FuturesApi`, built as `FuturesApi(wire)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from aiohttp import hdrs, web

from oms.simulator.config import ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.limits import Pool
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import FUTURES, SPOT, OrderUpdate
from oms.simulator.wire import Wire

from .limits import POOLS
from .market_streams import DEPTH_INTERVAL_MS
from .spot import SpotApi

FUTURES_HOSTS = ("fapi.binance.com", "fstream.binance.com")
FUTURES_PATHS = ("/fapi/", "/public/", "/market/", "/private/")
FUTURES_POOLS = (
    Pool("futures_weight_1m", 2_400, 60),
    Pool("futures_orders_10s", 300, 10),
    Pool("futures_orders_1m", 1_200, 60),
)


class Side(Protocol):
    """One of Binance's two APIs over the one exchange. It is told of its own market and wallet alone."""

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse: ...

    def order(self, update: OrderUpdate) -> None: ...

    def funds(self, change: FundsChange) -> None: ...

    def trade(self, market: Market, trade: PublicTrade) -> None: ...

    def book(self, market: Market) -> None: ...

    def mark(self, market: Market) -> None: ...

    def flush(self) -> None: ...

    def connections(self) -> Mapping[str, int]: ...

    def drop_websockets(self, which: str) -> int: ...


class BinanceWire(Wire):
    """Binance as its clients see it."""

    hosts = (
        "api.binance.com",
        "api1.binance.com",
        "api2.binance.com",
        "api3.binance.com",
        "api4.binance.com",
        "stream.binance.com",
        "ws-api.binance.com",
        *FUTURES_HOSTS,
    )
    paths = ("/api/v3/", "/sapi/", "/ws-api/", "/stream", "/ws", *FUTURES_PATHS)
    pools = POOLS + FUTURES_POOLS
    flush_interval_ms = DEPTH_INTERVAL_MS

    def __init__(self, config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> None:
        super().__init__(config, seed, clock)
        self._sides: dict[str, Side] = {}
        markets = {symbol.market for symbol in config.symbols}
        if SPOT in markets:
            self._sides[SPOT] = SpotApi(self)
        if FUTURES in markets:
            from .futures import FuturesApi

            self._sides[FUTURES] = FuturesApi(self)

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        host = request.headers.get(hdrs.HOST, "").partition(":")[0].lower()
        market = FUTURES if host in FUTURES_HOSTS or path.startswith(FUTURES_PATHS) else SPOT
        side = self._sides.get(market)
        if side is None:
            return web.Response(status=404, text=f"this simulator has no {market} market of Binance\n")
        return await side.serve(request, path, query)

    def connections(self) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for side in self._sides.values():
            total.update(side.connections())
        return total

    def drop_websockets(self, which: str) -> int:
        return sum(side.drop_websockets(which) for side in self._sides.values())

    def flush(self) -> None:
        for side in self._sides.values():
            side.flush()

    def order(self, update: OrderUpdate) -> None:
        self._sides[update.order.market].order(update)

    def funds(self, change: FundsChange) -> None:
        # A wallet is named as its market; without one's API nobody can ask for it.
        side = self._sides.get(change.wallet)
        if side is not None:
            side.funds(change)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._sides[market.name].trade(market, trade)

    def book(self, market: Market) -> None:
        self._sides[market.name].book(market)

    def mark(self, market: Market) -> None:
        self._sides[market.name].mark(market)
