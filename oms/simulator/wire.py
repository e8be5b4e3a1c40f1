"""What every simulated exchange's wire has in common: one package an exchange, one `Wire` each."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Mapping
from typing import ClassVar

from aiohttp import web

from .config import ExchangeConfig
from .driver import MarketDriver
from .events import FundsChange
from .exchange import Exchange
from .faults import Faults
from .limits import Limits, Pool
from .markets import Market, PublicTrade
from .orders import OrderUpdate
from .reports import Reports


class Wire(abc.ABC):
    """One exchange as its clients see it. It is the `Listener` of its exchange: render at once and send.

    Subclasses name their hosts, answer requests and serve WebSockets, and make their parts after
    `super().__init__(…)`: nothing is told before it returns.

    Attributes:
        hosts: names that the certificate covers and that lead here by the `Host` header.
        paths: beginnings of paths that lead here when the host is `localhost`.
        pools: rate limits by name; `ExchangeConfig.limits` may change them.
        flush_interval_ms: how often `flush` is called.
    """

    hosts: ClassVar[tuple[str, ...]]
    paths: ClassVar[tuple[str, ...]]
    pools: ClassVar[tuple[Pool, ...]]
    flush_interval_ms: ClassVar[int] = 100

    def __init__(self, config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> None:
        self.config = config
        self.clock = clock
        self.faults = Faults(seed, config.faults)
        self.limits = Limits(self.pools, config.limits, clock)
        self.reports = Reports(self.faults)
        self.exchange = Exchange(config, clock)
        self.driver = MarketDriver(self.exchange, seed)
        self.exchange.listener = self

    @abc.abstractmethod
    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request, or serve a WebSocket until it ends. `path` and `query` are as sent, not decoded."""

    @abc.abstractmethod
    def drop_websockets(self, which: str) -> int:
        """Cut `all`, `user` or `market` WebSockets without a closing handshake; return how many."""

    @abc.abstractmethod
    def connections(self) -> Mapping[str, int]:
        """Return how many WebSockets of each kind, `user` and `market`, are open."""

    def flush(self) -> None:  # noqa: B027 - not every wire publishes on a schedule
        """Publish what goes out on a schedule, such as depth; called every `flush_interval_ms`."""

    def stop(self) -> None:
        """Forget what is held back; called when the simulator stops, before the WebSockets are cut."""
        self.reports.stop()

    # Listener

    @abc.abstractmethod
    def order(self, update: OrderUpdate) -> None: ...

    @abc.abstractmethod
    def funds(self, change: FundsChange) -> None: ...

    @abc.abstractmethod
    def trade(self, market: Market, trade: PublicTrade) -> None: ...

    @abc.abstractmethod
    def book(self, market: Market) -> None: ...

    def mark(self, market: Market) -> None:  # noqa: B027 - spot alone has none
        """The mark price, the index price or the funding rate changed."""

    def status(self, market: Market) -> None:  # noqa: B027 - most exchanges tell it by REST alone
        """The symbol was halted or resumed."""


WIRES: Mapping[str, str] = {
    "binance": "oms.simulator.binance.wire:BinanceWire",
    "bybit": "oms.simulator.bybit.wire:BybitWire",
    "okx": "oms.simulator.okx.wire:OkxWire",
    "upbit": "oms.simulator.upbit.wire:UpbitWire",
}
"""Where each exchange's wire is; imported when it is asked for."""


def make_wire(config: ExchangeConfig, seed: int, clock: Callable[[], int]) -> Wire:
    """Build the wire of an exchange."""
    module, _, name = WIRES[config.name].partition(":")
    wire: Wire = getattr(importlib.import_module(module), name)(config, seed, clock)
    return wire
