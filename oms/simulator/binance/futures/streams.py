"""Streams of fstream.binance.com: market data by name, and an account's own events by its listen key.

A connection may be made at `/public`, `/market` or `/private`, or at the root as in former years: all serve every stream.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from urllib.parse import parse_qs

from aiohttp import web

from oms.simulator.binance.market_streams import MarketStreams, StreamClient
from oms.simulator.binance.payloads import ms
from oms.simulator.connections import Connection
from oms.simulator.exchange import Exchange
from oms.simulator.markets import Market, PublicTrade

from . import payloads
from .keys import ListenKey, ListenKeys

# Flushes, one each 100 ms, between two mark prices of a fast and of a slow stream.
FAST_MARKS, SLOW_MARKS = 10, 30
_PARTIAL = re.compile(r"(?P<symbol>[a-z0-9_]+)@depth(?P<levels>5|10|20)(@\d+ms)?").fullmatch
_DEPTH_RATES = ("", "@100ms", "@250ms", "@500ms")


class FuturesStreams(MarketStreams):
    """Who listens to what, and what is published when."""

    def __init__(self) -> None:
        super().__init__()
        self._flushes = 0

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Serve one connection until it ends."""
        for category in ("/public", "/market", "/private"):
            path = path.removeprefix(category)
        asked = parse_qs(query)
        combined = path == "/stream"
        names = "/".join(asked.get("streams", [])) if combined else path.removeprefix("/ws").lstrip("/")
        client = StreamClient(Connection(request), combined=combined)
        await client.connection.open()
        self.clients.add(client)
        # ccxt opens /ws/0 and so on to have connections apart: a number is no stream.
        self._subscribe(client, [name for name in names.split("/") if name and not name.isdecimal()])
        self._subscribe(client, asked.get("listenKey", []))
        try:
            async for message in client.connection.texts():
                client.connection.send(self._answer(client, message))
        finally:
            self._unsubscribe(client, list(client.streams))
            self.clients.discard(client)
            await client.connection.close()
        return client.connection.response

    def private(self, keys: ListenKeys) -> list[StreamClient]:
        """Return the connections that listen to an account."""
        return [client for client in self.clients if any(name in keys for name in client.streams)]

    def listens(self, key: str | None) -> bool:
        """Say whether anybody listens to a key."""
        return key is not None and key in self._by_stream

    def private_event(self, key: str, event: dict[str, object]) -> None:
        """Deliver an event of an account to those who listen to its key."""
        self._publish(key, event)

    def expired(self, key: ListenKey, now: int) -> None:
        """Tell those who listen that their key has ended, and nothing more after that."""
        self._publish(key.key, {"e": "listenKeyExpired", "E": ms(now), "listenKey": key.key})
        for client in list(self._by_stream.get(key.key, ())):
            self._unsubscribe(client, [key.key])

    def trade(self, market: Market, trade: PublicTrade) -> None:
        """Publish a trade on `trade` and `aggTrade`."""
        if not self._by_stream:
            return
        name, time = market.symbol.lower(), ms(trade.time_ns)
        common = {
            "E": time,
            "T": time,
            "s": market.symbol,
            "p": payloads.price(market.config, trade.price),
            "q": payloads.quantity(market.config, trade.quantity),
            "m": trade.is_buyer_maker,
            "st": 1,
        }
        self._publish(f"{name}@trade", {"e": "trade", "t": trade.trade_id, "X": "MARKET", **common})
        number = {"a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id, "nq": common["q"]}
        self._publish(f"{name}@aggTrade", {"e": "aggTrade", **number, **common})

    def best_changed(self, market: Market, now: int) -> None:
        """Publish the best prices when they changed."""
        streams = [
            name for name in (f"{market.symbol.lower()}@bookTicker", "!bookTicker") if name in self._by_stream
        ]
        if not streams:
            self._best.pop(market.symbol, None)
            return
        best = payloads.best(market)
        if self._best.get(market.symbol) == best:
            return
        self._best[market.symbol] = best
        bid, bid_quantity, ask, ask_quantity = best
        event = {
            "e": "bookTicker",
            "u": market.book.update_id,
            "E": ms(now),
            "T": ms(now),
            "s": market.symbol,
            "b": bid,
            "B": bid_quantity,
            "a": ask,
            "A": ask_quantity,
            "st": 1,
            "ps": market.symbol,
        }
        for name in streams:
            self._publish(name, event)

    def flush(self, exchange: Exchange) -> None:
        """Publish what changed in the books since the last flush, and the mark prices when it is time.

        `pu` is the `u` before it, so a REST snapshot taken at any moment falls between the two.
        """
        self._flushes += 1
        now = exchange.clock()
        markets = [market for market in exchange.markets.values() if market.is_futures]
        for market in markets:
            change = market.book.drain_changes()
            if change is not None:
                self._flush_depth(
                    market, change.first_update_id, change.last_update_id, (change.bids, change.asks), now
                )
                self._flush_tickers(market, market.symbol.lower(), now)
        for every, suffix in ((FAST_MARKS, "@1s"), (SLOW_MARKS, "")):
            if self._flushes % every == 0:
                self._flush_marks(markets, suffix, now)

    def _flush_depth(
        self,
        market: Market,
        first: int,
        last: int,
        changed: tuple[Collection[tuple[Decimal, Decimal]], ...],
        now: int,
    ) -> None:
        name, config = market.symbol.lower(), market.config
        bids, asks = (
            [[payloads.price(config, price), payloads.quantity(config, size)] for price, size in side]
            for side in changed
        )
        common = {
            "e": "depthUpdate",
            "E": ms(now),
            "T": ms(now),
            "s": market.symbol,
            "ps": market.symbol,
            "st": 1,
        }
        numbers = {"U": first, "u": last, "pu": first - 1}
        for rate in _DEPTH_RATES:
            self._publish(f"{name}@depth{rate}", {**common, **numbers, "b": bids, "a": asks})
        for stream in list(self._by_stream):
            match = _PARTIAL(stream)
            if match is not None and match["symbol"] == name:
                sides = payloads.levels(market, int(match["levels"]))
                self._publish(stream, {**common, **numbers, "b": sides["BUY"], "a": sides["SELL"]})

    def _flush_tickers(self, market: Market, name: str, now: int) -> None:
        for stream, event, keys in (
            (f"{name}@ticker", "24hrTicker", _TICKER_KEYS),
            (f"{name}@miniTicker", "24hrMiniTicker", _MINI_TICKER_KEYS),
        ):
            if stream in self._by_stream:
                statistics = payloads.day_statistics(market, now)
                values = {short: statistics[long] for short, long in keys.items()}
                self._publish(stream, {"e": event, "E": ms(now), "s": market.symbol, **values, "st": 1})

    def _flush_marks(self, markets: list[Market], suffix: str, now: int) -> None:
        for market in markets:
            stream = f"{market.symbol.lower()}@markPrice{suffix}"
            if stream in self._by_stream:
                self._publish(stream, payloads.mark_event(market, now))
        everyone = f"!markPrice@arr{suffix}"
        if everyone in self._by_stream:
            self._publish(everyone, [payloads.mark_event(market, now) for market in markets])


_TICKER_KEYS = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}
_MINI_TICKER_KEYS = {short: _TICKER_KEYS[short] for short in "cohlvq"}
