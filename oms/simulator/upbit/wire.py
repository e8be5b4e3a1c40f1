"""Upbit's wire: REST, market streams and private streams on api.upbit.com."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from oms.simulator.config import ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.http import refuse_upgrade
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import Fill, Order, OrderUpdate
from oms.simulator.reasons import Refusal
from oms.simulator.wire import Wire

from . import payloads
from .auth import Authenticator
from .errors import ApiError
from .rest import POOLS, RestApi
from .streams import Streams
from .trading import Trading

# A cancel is only taken: the order ends so much later, and may be filled meanwhile.
CANCEL_DELAY_S = 0.01


class UpbitWire(Wire):
    """Upbit as its clients see it.

    Attributes:
        cancel_delay_s: how long after it was taken a cancel ends its order; 0 is at once.
    """

    hosts = ("api.upbit.com",)
    paths = ("/v1/", "/websocket/v1")
    pools = POOLS

    def __init__(self, config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> None:
        super().__init__(config, seed, clock)
        self.cancel_delay_s = CANCEL_DELAY_S
        self._authenticator = Authenticator(self.exchange)
        self._streams = Streams(self.exchange)
        self._rest = RestApi(self, self._authenticator, Trading(self.exchange, self._cancel))
        self._canceling: dict[int, asyncio.TimerHandle] = {}
        self._assets_told = 0

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if path.startswith("/websocket/v1"):
            return await self._serve_stream(request, path)
        return await self._rest.serve(request, path, query)

    async def _serve_stream(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        refused = refuse_upgrade(self.faults, path)
        if refused is not None:
            return refused
        if path == "/websocket/v1":
            return await self._streams.serve(request, None)
        if path != "/websocket/v1/private":
            return web.Response(status=404, text="Not Found")
        try:
            account = self._authenticator.account(request, None)
        except ApiError as error:
            return web.Response(
                body=msgspec.json.encode(error.body), status=error.status, content_type="application/json"
            )
        return await self._streams.serve(request, account)

    def connections(self) -> Mapping[str, int]:
        return {"user": len(self._streams.private), "market": len(self._streams.public)}

    def drop_websockets(self, which: str) -> int:
        clients = [
            *(self._streams.private if which in ("all", "user") else ()),
            *(self._streams.public if which in ("all", "market") else ()),
        ]
        for client in clients:
            client.connection.cut()
        return len(clients)

    def flush(self) -> None:
        self._streams.flush()

    def stop(self) -> None:
        for timer in self._canceling.values():
            timer.cancel()
        self._canceling.clear()
        super().stop()

    def _cancel(self, account: Account, order: Order) -> None:
        """Take a cancel."""
        if not self.cancel_delay_s:
            self.exchange.cancel(account, order)
        elif order.order_id not in self._canceling:
            later = asyncio.get_running_loop().call_later
            self._canceling[order.order_id] = later(self.cancel_delay_s, self._end, account, order)

    def _end(self, account: Account, order: Order) -> None:
        del self._canceling[order.order_id]
        try:
            self.exchange.cancel(account, order)
        except Refusal:
            # It was filled in the meantime.
            return

    # Listener

    def order(self, update: OrderUpdate) -> None:
        state = {"TRADE": "trade", "CANCELED": "cancel", "EXPIRED": "cancel"}.get(update.execution, "wait")
        self._tell(update, state, update.fill)
        if update.order.status == "FILLED":
            self._tell(update, "done", None)

    def _tell(self, update: OrderUpdate, state: str, fill: Fill | None) -> None:
        found, streams = update.order, self._streams
        if not streams.of(found.account):
            return
        event = payloads.my_order(self.exchange.market(found.market, found.symbol), update, state, fill)
        labels = (update.execution, state, "myOrder")
        self.reports.emit(
            found.account, labels, lambda: streams.tell(found.account, "myOrder", found.symbol, event)
        )

    def funds(self, change: FundsChange) -> None:
        name, wallet = change.account.name, change.account.wallets[change.wallet]
        if not self._streams.of(name):
            return
        self._assets_told += 1
        assets = {asset: wallet[asset] for asset in change.assets}
        event = payloads.my_asset(change.account, assets, change.time_ns, self._assets_told)
        self._streams.tell(name, "myAsset", "", event)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._streams.trade(market, trade)

    def book(self, market: Market) -> None:
        self._streams.book(market)
