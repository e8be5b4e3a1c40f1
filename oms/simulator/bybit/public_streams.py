"""`/v5/public/spot` and `/v5/public/linear`: books, tickers and trades, a snapshot first and then what changes."""

from __future__ import annotations

from decimal import Decimal

import attrs
from aiohttp import web

from oms.simulator.exchange import Exchange
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import BUY, SELL

from .errors import ApiError
from .params import CATEGORIES
from .payloads import amount
from .public import levels, parse_depth, ticker, trade_id
from .sockets import Client, open_client, parse, topics_of

PATHS = {"/v5/public/spot": "spot", "/v5/public/linear": "linear"}
# In one subscription to spot topics.
MAX_ARGS = 10
NS_PER_MS = 1_000_000

Level = tuple[Decimal, Decimal]


@attrs.define
class _Topic:
    """One topic that somebody wants, and what was last published of it."""

    market: Market
    depth: int = 0
    published: int = -1
    number: int = 1
    sides: dict[str, dict[Decimal, Decimal]] = attrs.field(factory=lambda: {BUY: {}, SELL: {}})
    row: dict[str, str] = attrs.field(factory=dict)


class PublicStreams:
    """The public streams of one category."""

    def __init__(self, exchange: Exchange, category: str) -> None:
        self._exchange = exchange
        self._category = category
        self._topics: dict[str, _Topic] = {}
        self.clients: set[Client] = set()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        client = await open_client(request)
        self.clients.add(client)
        try:
            async for text in client.connection.texts():
                self._obey(client, parse(text))
        finally:
            self.clients.discard(client)
            await client.connection.close()
        return client.connection.response

    def _obey(self, client: Client, request: dict[str, object]) -> None:
        op = request.get("op")
        if op == "ping":
            client.answer("ping", request, True, "pong")
            return
        if op not in ("subscribe", "unsubscribe"):
            client.answer(str(op), request, False, "error:invalid op")
            return
        names = topics_of(request)
        if op == "unsubscribe":
            client.topics.difference_update(names)
            client.answer("unsubscribe", request, True, "")
            return
        if not names or (self._category == "spot" and len(names) > MAX_ARGS):
            client.answer("subscribe", request, False, f"args size must be from 1 to {MAX_ARGS}")
            return
        try:
            topics = {name: self._find(name) for name in names}
        except ApiError:
            client.answer("subscribe", request, False, f"Invalid topic: {','.join(names)}")
            return
        client.answer("subscribe", request, True, "subscribe" if self._category == "spot" else "")
        for name, topic in topics.items():
            if name not in client.topics:
                if not self._wanted(name):
                    self._refresh(topic)
                client.topics.add(name)
                self._send_snapshot(client, name, topic)

    def _wanted(self, name: str) -> bool:
        return any(name in client.topics for client in self.clients)

    def _refresh(self, topic: _Topic) -> None:
        """Take what stands now; only for a topic that nobody follows."""
        if topic.depth:
            self._take_book(topic)
        elif topic.row:
            topic.row = ticker(topic.market, streamed=True)

    def _find(self, name: str) -> _Topic:
        """Return a topic, made when nobody had asked for it. Raises `ApiError`."""
        known = self._topics.get(name)
        if known is not None:
            return known
        kind, _, rest = name.partition(".")
        depth = 0
        if kind == "orderbook":
            text, _, rest = rest.partition(".")
            depth = parse_depth(text)
        elif kind not in ("tickers", "publicTrade"):
            raise ApiError(10404, "no such topic")
        market = self._exchange.markets.get((CATEGORIES[self._category], rest))
        if market is None:
            raise ApiError(10404, "no such symbol")
        made = self._topics[name] = _Topic(market, depth)
        if depth:
            self._take_book(made)
        elif kind == "tickers":
            made.row = ticker(market, streamed=True)
        return made

    def _now_ms(self) -> int:
        return self._exchange.clock() // NS_PER_MS

    def _send_snapshot(self, client: Client, name: str, topic: _Topic) -> None:
        """Send what was last published, so that what follows fits."""
        if topic.depth:
            changes = {
                "b": sorted(topic.sides[BUY].items(), reverse=True),
                "a": sorted(topic.sides[SELL].items()),
            }
            client.connection.send(self._book_message(name, topic, "snapshot", changes))
        elif topic.row:
            client.connection.send(self._ticker_message(name, "snapshot", topic.row))

    # What happens

    def trade(self, market: Market, trade: PublicTrade) -> None:
        """Tell a trade at once."""
        name = f"publicTrade.{market.symbol}"
        if name not in self._topics:
            return
        row: dict[str, object] = {
            "T": trade.time_ns // NS_PER_MS,
            "s": market.symbol,
            "S": "Sell" if trade.is_buyer_maker else "Buy",
            "v": amount(trade.quantity),
            "p": amount(trade.price),
            "i": trade_id(market, trade),
            "BT": False,
            "RPI": False,
            "seq": trade.trade_id,
        }
        self._send(name, {"topic": name, "type": "snapshot", "ts": self._now_ms(), "data": [row]})

    def flush(self) -> None:
        """Publish what has changed of books and tickers."""
        for name, topic in self._topics.items():
            if not self._wanted(name):
                continue
            if topic.depth and topic.market.book.update_id != topic.published:
                changes = self._take_book(topic)
                if any(changes.values()):
                    topic.number += 1
                    self._send(name, self._book_message(name, topic, "delta", changes))
            elif topic.row:
                self._flush_ticker(name, topic)

    def _flush_ticker(self, name: str, topic: _Topic) -> None:
        row = ticker(topic.market, streamed=True)
        changed = {field: value for field, value in row.items() if topic.row.get(field) != value}
        if not changed:
            return
        topic.row = row
        # Spot tells the whole ticker each time, perpetuals what has changed.
        if self._category == "spot":
            self._send(name, self._ticker_message(name, "snapshot", row))
        else:
            self._send(name, self._ticker_message(name, "delta", {"symbol": row["symbol"], **changed}))

    @staticmethod
    def _take_book(topic: _Topic) -> dict[str, list[Level]]:
        """Take the best levels as they are now, and return how they differ from those taken before."""
        topic.published = topic.market.book.update_id
        changes: dict[str, list[Level]] = {}
        for field, side in (("b", BUY), ("a", SELL)):
            old, new = topic.sides[side], dict(levels(topic.market, side, topic.depth))
            gone = [(price, Decimal(0)) for price in old if price not in new]
            changes[field] = gone + [level for level in new.items() if old.get(level[0]) != level[1]]
            topic.sides[side] = new
        return changes

    def _book_message(
        self, name: str, topic: _Topic, kind: str, changes: dict[str, list[Level]]
    ) -> dict[str, object]:
        sides = {
            field: [[amount(price), amount(quantity)] for price, quantity in found]
            for field, found in changes.items()
        }
        data = {"s": topic.market.symbol, **sides, "u": topic.number, "seq": topic.published}
        now = self._now_ms()
        return {"topic": name, "type": kind, "ts": now, "data": data, "cts": now}

    def _ticker_message(self, name: str, kind: str, row: dict[str, str]) -> dict[str, object]:
        now = self._now_ms()
        return {"topic": name, "type": kind, "data": row, "cs": now, "ts": now}

    def _send(self, name: str, message: dict[str, object]) -> None:
        for client in self.clients:
            if name in client.topics:
                client.connection.send(message)
