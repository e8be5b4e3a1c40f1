"""Public topics of one Bybit market, from the venue's own strings. ccxt subscribes and keeps the socket; what comes is read here.

Books and tickers are kept as they stand, so that a reader who is slow sees the latest and one who joins sees it at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.tasks import end
from oms.venues.errors import StreamLost

TOPICS_AT_ONCE: Final = 10
"""Topics in one subscription: the venue takes no more for spot."""
WAITING_MAX: Final = 10_000
"""Messages that may wait for one reader of trades."""


class RawBook:
    """The levels that the venue has told of one book."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}

    def take(self, kind: str, data: dict[str, Any]) -> None:
        """Take a snapshot or a delta."""
        for name, levels in self.sides.items():
            if kind == "snapshot":
                levels.clear()
            for price, quantity in data[name]:
                if Decimal(quantity):
                    levels[Decimal(price)] = Decimal(quantity)
                else:
                    levels.pop(Decimal(price), None)

    def bids(self) -> list[tuple[Decimal, Decimal]]:
        """Best first."""
        return sorted(self.sides["b"].items(), reverse=True)

    def asks(self) -> list[tuple[Decimal, Decimal]]:
        """Best first."""
        return sorted(self.sides["a"].items())


@attrs.define(eq=False)
class _Reader:
    """Someone who waits for messages.

    Args:
        every: whether each message counts, or the latest of a topic alone.
    """

    every: bool
    waiting: OrderedDict[object, Any] = attrs.field(factory=OrderedDict)
    came: asyncio.Event = attrs.field(factory=asyncio.Event)
    count: int = 0

    def put(self, topic: str, message: Any) -> bool:
        """Hand over a message; False when too many wait."""
        self.count += 1
        self.waiting[self.count if self.every else topic] = message
        self.came.set()
        return len(self.waiting) <= WAITING_MAX


class Feed:
    """The public topics of one market.

    Args:
        exchange: of ccxt, hooked: its messages are taken here.
        url: of its public stream.
    """

    def __init__(self, exchange: Any, url: str) -> None:
        self.books: dict[str, RawBook] = {}
        self.tickers: dict[str, dict[str, Any]] = {}
        self._exchange = exchange
        self._url = url
        self._readers: dict[str, list[_Reader]] = {}
        self._client: Any = None
        exchange.on_private = self._heard

    def _heard(self, message: Any) -> None:
        topic = message.get("topic") if isinstance(message, dict) else None
        if topic is None:
            return
        self._client = self._exchange.clients.get(self._url)
        try:
            if topic.startswith("orderbook."):
                self.books.setdefault(topic, RawBook()).take(message["type"], message["data"])
            elif topic.startswith("tickers."):
                kept = {} if message["type"] == "snapshot" else self.tickers.get(topic, {})
                self.tickers[topic] = kept | message["data"]
        except (KeyError, TypeError, ValueError, ArithmeticError):
            # Only a new subscription tells again what stands.
            lost = StreamLost(f"a message of {topic} cannot be read: {str(message)[:200]}")
            self._client.on_error(lost)
            return
        for reader in self._readers.get(topic, ()):
            if not reader.put(topic, message):
                reader.waiting.clear()
                reader.put(topic, StreamLost(f"over {WAITING_MAX:,} messages of {topic} wait"))

    @contextmanager
    def _reading(self, topics: list[str], reader: _Reader) -> Any:
        for topic in topics:
            self._readers.setdefault(topic, []).append(reader)
        try:
            yield
        finally:
            for topic in topics:
                self._readers[topic].remove(reader)

    async def read(self, topics: Iterable[str], *, every: bool = False) -> AsyncIterator[tuple[str, Any]]:
        """(topic, message) as they come; of what is known already, the topic with None first.

        Args:
            every: each message; otherwise the latest one of each topic alone.

        Raises:
            StreamLost: the connection is lost, or a message cannot be read.
        """
        wanted = list(topics)
        reader = _Reader(every)
        if self._exchange.clients.get(self._url) is not self._client:
            # What another connection told is not what stands.
            self.books.clear()
            self.tickers.clear()
        with self._reading(wanted, reader):
            for topic in wanted:
                if topic in self.books or topic in self.tickers:
                    yield topic, None
            parts = [wanted[at : at + TOPICS_AT_ONCE] for at in range(0, len(wanted), TOPICS_AT_ONCE)]
            watching = [
                asyncio.create_task(self._exchange.watch_topics(self._url, part, part)) for part in parts
            ]
            try:
                while True:
                    await self._next(reader, watching)
                    while reader.waiting:
                        _, message = reader.waiting.popitem(last=False)
                        if isinstance(message, StreamLost):
                            raise message
                        yield message["topic"], message
            finally:
                await end(watching)

    async def _next(self, reader: _Reader, watching: list[asyncio.Task[Any]]) -> None:
        """Wait for a message. ccxt's own watching ends only when the connection does."""
        while not reader.waiting:
            reader.came.clear()
            waiting = asyncio.create_task(reader.came.wait())
            try:
                await asyncio.wait([waiting, *watching], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            for task in watching:
                if task.done():
                    error = None if task.cancelled() else task.exception()
                    raise StreamLost("closed" if error is None else f"{type(error).__name__}: {error}"[:400])
