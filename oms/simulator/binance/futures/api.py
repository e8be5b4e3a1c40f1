"""The futures API as a whole: who answers what, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from oms.simulator.events import FundsChange
from oms.simulator.http import refuse_upgrade
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import OrderUpdate

from . import payloads
from .desk import Desk
from .keys import ListenKey, ListenKeys
from .limits import Limiter
from .rest import RestApi
from .streams import FuturesStreams

if TYPE_CHECKING:
    from oms.simulator.wire import Wire


class FuturesApi:
    """Answers for fapi.binance.com and fstream.binance.com."""

    def __init__(self, wire: Wire) -> None:
        self._exchange = wire.exchange
        self._faults = wire.faults
        self._reports = wire.reports
        self._streams = FuturesStreams()
        self._keys = ListenKeys(wire.clock, self._expired)
        self._desk = Desk(wire.exchange, Limiter(wire.limits), self._keys)
        self._rest = RestApi(self._desk, wire.faults)

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if path.startswith("/fapi/"):
            return await self._rest.serve(request, path, query)
        refused = refuse_upgrade(self._faults, path)
        if refused is not None:
            return refused
        return await self._streams.serve(request, path, query)

    def connections(self) -> Mapping[str, int]:
        users = len(self._streams.private(self._keys))
        return {"user": users, "market": len(self._streams.clients) - users}

    def drop_websockets(self, which: str) -> int:
        users = self._streams.private(self._keys)
        chosen = [
            client
            for client in self._streams.clients
            if which == "all" or (which == "user") == (client in users)
        ]
        for client in chosen:
            client.connection.cut()
        return len(chosen)

    def flush(self) -> None:
        self._keys.sweep()
        self._streams.flush(self._exchange)

    def order(self, update: OrderUpdate) -> None:
        """Deliver an `ORDER_TRADE_UPDATE`, or what the faults make of it."""
        order = update.order
        key = self._keys.of(order.account)
        if key is None or not self._streams.listens(key):
            return
        event = payloads.order_event(update, self._exchange.market("futures", order.symbol).config)
        labels = (update.execution, "ORDER_TRADE_UPDATE")
        self._reports.emit(
            f"futures {order.account}", labels, lambda: self._streams.private_event(key, event)
        )

    def funds(self, change: FundsChange) -> None:
        key = self._keys.of(change.account.name)
        if key is not None and self._streams.listens(key):
            self._streams.private_event(key, payloads.account_event(self._exchange, change))

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._streams.trade(market, trade)

    def book(self, market: Market) -> None:
        self._streams.best_changed(market, self._exchange.clock())

    def mark(self, market: Market) -> None:
        """Mark prices go out with the next flush that is due."""

    def _expired(self, key: ListenKey) -> None:
        self._streams.expired(key, self._exchange.clock())
