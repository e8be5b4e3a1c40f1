"""The spot API: REST, ws-api with user data, and market streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from oms.simulator.events import FundsChange
from oms.simulator.http import refuse_upgrade
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import OrderUpdate

from .limits import Limiter
from .market_streams import MarketStreams
from .rest import RestApi
from .user_streams import UserStreams
from .ws_api import WsApi

if TYPE_CHECKING:
    from oms.simulator.wire import Wire


class SpotApi:
    """Answers for api.binance.com, ws-api.binance.com and stream.binance.com."""

    def __init__(self, wire: Wire) -> None:
        self._exchange = wire.exchange
        self._faults = wire.faults
        limiter = Limiter(wire.limits)
        self._streams = MarketStreams()
        self._users = UserStreams(wire.reports)
        self._rest = RestApi(wire.exchange, limiter, wire.faults)
        self._ws_api = WsApi(wire.exchange, limiter, wire.faults, self._users)

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if path == "/ws-api/v3" or path == "/stream" or path == "/ws" or path.startswith("/ws/"):
            refused = refuse_upgrade(self._faults, path)
            if refused is not None:
                return refused
            if path == "/ws-api/v3":
                return await self._ws_api.serve(request)
            return await self._streams.serve(request, path, query)
        return await self._rest.serve(request, path, query)

    def connections(self) -> Mapping[str, int]:
        return {"user": len(self._ws_api.sessions), "market": len(self._streams.clients)}

    def drop_websockets(self, which: str) -> int:
        connections = []
        if which in ("all", "market"):
            connections += [client.connection for client in self._streams.clients]
        if which in ("all", "user"):
            connections += [session.connection for session in self._ws_api.sessions]
        for connection in connections:
            connection.cut()
        return len(connections)

    def flush(self) -> None:
        self._streams.flush(self._exchange)

    def order(self, update: OrderUpdate) -> None:
        self._users.order(update)

    def funds(self, change: FundsChange) -> None:
        self._users.funds(change)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._streams.trade(market, trade)

    def book(self, market: Market) -> None:
        self._streams.book(market)

    def mark(self, market: Market) -> None:
        raise AssertionError(f"{market.symbol} is spot, which has no mark price")
