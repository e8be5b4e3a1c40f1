"""Market streams: `/ws` and `/stream`, as stream.binance.com speaks them."""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec
from aiohttp import web

from oms.simulator.connections import Connection, encode
from oms.simulator.exchange import Exchange
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import SPOT

from . import payloads
from .public import day_statistics

MAX_STREAMS = 1_024
DEPTH_INTERVAL_MS = 100

_NAME = re.compile(r"(?P<symbol>[a-z0-9]+)@(?P<kind>[a-zA-Z0-9]+)(@(?P<rate>100ms|1000ms))?")
_PARTIAL = re.compile(r"depth(5|10|20)")


class StreamClient:
    """One connection and the streams it has subscribed to."""

    def __init__(self, connection: Connection, *, combined: bool) -> None:
        self.connection = connection
        self.combined = combined
        self.streams: dict[str, None] = {}

    def send(self, stream: str, event: object) -> None:
        self.connection.send({"stream": stream, "data": event} if self.combined else event)


class MarketStreams:
    """Who listens to what, and what is published when."""

    def __init__(self) -> None:
        self.clients: set[StreamClient] = set()
        self._by_stream: dict[str, set[StreamClient]] = defaultdict(set)
        self._best: dict[str, tuple[str, str, str, str]] = {}

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Serve one connection until it ends."""
        combined = path == "/stream"
        names = [part[len("streams=") :] for part in query.split("&") if part.startswith("streams=")]
        text = "/".join(names) if combined else path.removeprefix("/ws").lstrip("/")
        client = StreamClient(Connection(request), combined=combined)
        await client.connection.open()
        self.clients.add(client)
        # ccxt opens /ws/0 and so on to have connections apart: a name without @ is no stream.
        self._subscribe(client, [name for name in text.split("/") if "@" in name])
        try:
            async for message in client.connection.texts():
                client.connection.send(self._answer(client, message))
        finally:
            self._unsubscribe(client, list(client.streams))
            self.clients.discard(client)
            await client.connection.close()
        return client.connection.response

    def _answer(self, client: StreamClient, text: str) -> dict[str, object]:
        try:
            request = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}
        if not isinstance(request, dict) or not isinstance(request.get("id"), int | str | None):
            return {"error": {"code": 2, "msg": "Invalid request: request must be an object with an id"}}
        answer: dict[str, object] = {"result": None, "id": request.get("id")}
        names = request.get("params", [])
        method = request.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return {**answer, "result": list(client.streams)}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _invalid(answer, f"unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _invalid(answer, "params must be an array of strings")
        if method == "UNSUBSCRIBE":
            self._unsubscribe(client, names)
        elif len(client.streams.keys() | set(names)) > MAX_STREAMS:
            return _invalid(answer, f"a connection has at most {MAX_STREAMS} streams")
        else:
            self._subscribe(client, names)
        return answer

    def _subscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            client.streams[name] = None
            self._by_stream[name].add(client)

    def _unsubscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            client.streams.pop(name, None)
            listeners = self._by_stream.get(name)
            if listeners is not None:
                listeners.discard(client)
                if not listeners:
                    del self._by_stream[name]

    def _publish(self, stream: str, event: object) -> None:
        plain = wrapped = None
        for client in self._by_stream.get(stream, ()):
            if client.combined:
                wrapped = wrapped or encode({"stream": stream, "data": event})
                client.connection.send_text(wrapped)
            else:
                plain = plain or encode(event)
                client.connection.send_text(plain)

    def trade(self, market: Market, trade: PublicTrade) -> None:
        """Publish a trade on `trade` and `aggTrade`."""
        if not self._by_stream:
            return
        name = market.symbol.lower()
        common = {
            "E": payloads.ms(trade.time_ns),
            "s": market.symbol,
            "p": payloads.amount(trade.price),
            "q": payloads.amount(trade.quantity),
            "T": payloads.ms(trade.time_ns),
            "m": trade.is_buyer_maker,
            "M": True,
        }
        self._publish(f"{name}@trade", {"e": "trade", "t": trade.trade_id, **common})
        number = {"a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id}
        self._publish(f"{name}@aggTrade", {"e": "aggTrade", **number, **common})

    def book(self, market: Market) -> None:
        """Publish the best prices when they changed."""
        stream = f"{market.symbol.lower()}@bookTicker"
        if stream not in self._by_stream:
            self._best.pop(stream, None)
            return
        best = payloads.best(market)
        if self._best.get(stream) == best:
            return
        self._best[stream] = best
        bid, bid_quantity, ask, ask_quantity = best
        self._publish(
            stream,
            {
                "u": market.book.update_id,
                "s": market.symbol,
                "b": bid,
                "B": bid_quantity,
                "a": ask,
                "A": ask_quantity,
            },
        )

    def flush(self, exchange: Exchange) -> None:
        """Publish what changed in the books since the last flush; call it every `DEPTH_INTERVAL_MS`.

        `U` is one more than the `u` before it, so a REST snapshot taken at any moment falls between the two.
        """
        now = payloads.ms(exchange.clock())
        for market in exchange.markets.values():
            if market.name != SPOT:
                continue
            change = market.book.drain_changes()
            if change is None:
                continue
            name = market.symbol.lower()
            event = {
                "e": "depthUpdate",
                "E": now,
                "s": market.symbol,
                "U": change.first_update_id,
                "u": change.last_update_id,
                "b": [[payloads.amount(price), payloads.amount(quantity)] for price, quantity in change.bids],
                "a": [[payloads.amount(price), payloads.amount(quantity)] for price, quantity in change.asks],
            }
            for stream in (f"{name}@depth", f"{name}@depth@100ms"):
                self._publish(stream, event)
            self._flush_snapshots(market, name)
            self._flush_tickers(market, name, exchange.clock())

    def _flush_tickers(self, market: Market, name: str, now: int) -> None:
        for stream, event, keys in (
            (f"{name}@ticker", "24hrTicker", _TICKER_KEYS),
            (f"{name}@miniTicker", "24hrMiniTicker", _MINI_TICKER_KEYS),
        ):
            if stream in self._by_stream:
                statistics = day_statistics(market, now)
                values = {short: statistics[long] for short, long in keys.items()}
                self._publish(stream, {"e": event, "E": payloads.ms(now), "s": market.symbol, **values})

    def _flush_snapshots(self, market: Market, name: str) -> None:
        for stream in list(self._by_stream):
            match = _NAME.fullmatch(stream)
            partial = match and match["symbol"] == name and _PARTIAL.fullmatch(match["kind"])
            if partial:
                self._publish(stream, payloads.depth(market, int(partial[1])))


def _invalid(answer: dict[str, object], why: str) -> dict[str, object]:
    return {"error": {"code": 2, "msg": f"Invalid request: {why}"}, "id": answer["id"]}


_TICKER_KEYS = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
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
