"""OKX: REST at www.okx.com, WebSockets at ws.okx.com, one trading account for spot and swaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from oms.simulator.config import ExchangeConfig
from oms.simulator.events import FundsChange
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import OrderUpdate
from oms.simulator.wire import Wire

from .accounts import Accounts
from .public import Public
from .queries import Queries
from .rest import POOLS, Orders, RestApi
from .sockets import PRIVATE_CHANNELS, Arg, Socket, Sockets
from .state import State
from .streams import PrivateStreams, PublicStreams
from .trading import Trading

FLUSH_INTERVAL_MS = 100


class OkxWire(Wire):
    """OKX as its clients see it."""

    hosts = (
        "www.okx.com",
        "aws.okx.com",
        "eea.okx.com",
        "us.okx.com",
        "ws.okx.com",
        "wsaws.okx.com",
        "wspap.okx.com",
    )
    paths = ("/api/v5/", "/ws/v5/")
    pools = POOLS
    flush_interval_ms = FLUSH_INTERVAL_MS

    def __init__(self, config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> None:
        super().__init__(config, seed, clock)
        self.state = State(config.history_limit)
        self._trading = Trading(self.exchange, self.state)
        queries = Queries(self.exchange, self.state)
        accounts = Accounts(self.exchange, self.state, self._trading)
        orders = Orders(self.exchange, self._trading, self.limits)
        opened: set[Socket] = set()
        self._rest = RestApi(
            self.exchange, self.limits, self.faults, orders, queries, accounts, Public(self.exchange)
        )
        self._private = PrivateStreams(self.exchange, self._trading, queries, self.reports, opened)
        self._public = PublicStreams(self.exchange, opened)
        self._sockets = Sockets(self.exchange, self.faults, orders, opened, self._greet)

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if path.startswith("/ws/v5/"):
            return await self._sockets.serve(request, path)
        return await self._rest.serve(request, path, query)

    def drop_websockets(self, which: str) -> int:
        return self._sockets.drop(which)

    def connections(self) -> Mapping[str, int]:
        return self._sockets.counts()

    def flush(self) -> None:
        self._public.flush()

    def _greet(self, socket: Socket, arg: Arg) -> None:
        if arg["channel"] in PRIVATE_CHANNELS:
            self._private.greet(socket, arg)
        else:
            self._public.greet(socket, arg)

    def order(self, update: OrderUpdate) -> None:
        if update.execution == "NEW":
            self._trading.opened(update.order)
        elif update.execution == "TRADE":
            self.state.traded(update)
        self._private.order(update)

    def funds(self, change: FundsChange) -> None:
        if change.wallet == "unified":
            self.state.moved(change)
        self._private.funds(change)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        self._public.trade(market, trade)

    def book(self, market: Market) -> None:
        self._public.book(market)

    def mark(self, market: Market) -> None:
        self._public.mark(market)
