"""Bybit v5: REST, the private stream, and one public stream for each market."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from oms.simulator.config import ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.http import refuse_upgrade
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import OrderUpdate
from oms.simulator.wire import Wire

from . import private_stream, public_streams
from .endpoints import POOLS
from .payloads import CATEGORY
from .private_stream import PrivateStream
from .public_streams import PublicStreams
from .rest import RestApi


class BybitWire(Wire):
    """Bybit as its clients see it."""

    hosts = ("api.bybit.com", "api.bytick.com", "stream.bybit.com", "stream.bytick.com")
    paths = ("/v5/",)
    pools = POOLS
    flush_interval_ms = 20

    def __init__(self, config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> None:
        super().__init__(config, seed, clock)
        self._rest = RestApi(self.exchange, self.limits, self.faults)
        self._private = PrivateStream(self.exchange, self.reports)
        self._public = {
            category: PublicStreams(self.exchange, category) for category in public_streams.PATHS.values()
        }

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        category = public_streams.PATHS.get(path)
        if category is None and path != private_stream.PATH:
            return await self._rest.serve(request, path, query)
        refused = refuse_upgrade(self.faults, path)
        if refused is not None:
            return refused
        if category is None:
            return await self._private.serve(request)
        return await self._public[category].serve(request)

    def connections(self) -> Mapping[str, int]:
        market = sum(len(streams.clients) for streams in self._public.values())
        return {"user": len(self._private.clients), "market": market}

    def drop_websockets(self, which: str) -> int:
        clients = list(self._private.clients) if which in ("all", "user") else []
        if which in ("all", "market"):
            clients += [client for streams in self._public.values() for client in streams.clients]
        for client in clients:
            client.connection.cut()
        return len(clients)

    def flush(self) -> None:
        for streams in self._public.values():
            streams.flush()

    def order(self, update: OrderUpdate) -> None:
        self._private.order(update)

    def funds(self, change: FundsChange) -> None:
        self._private.funds(change)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._public[CATEGORY[market.name]].trade(market, trade)

    def book(self, market: Market) -> None:
        """Books go out on the schedule."""
