"""Binance: spot and USD-M futures behind one exchange, told apart by host and path.

The futures side is `oms.simulator.binance.futures.FuturesApi`, built as `FuturesApi(wire)` and with the methods of `Side`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from oms.simulator.events import FundsChange
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import OrderUpdate


class Side(Protocol):
    """One of Binance's two APIs over the one exchange. It is told of its own market alone."""

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse: ...

    def order(self, update: OrderUpdate) -> None: ...

    def funds(self, change: FundsChange) -> None: ...

    def trade(self, market: Market, trade: PublicTrade) -> None: ...

    def book(self, market: Market) -> None: ...

    def mark(self, market: Market) -> None: ...

    def flush(self) -> None: ...

    def connections(self) -> Mapping[str, int]: ...

    def drop_websockets(self, which: str) -> int: ...
