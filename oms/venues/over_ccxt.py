"""What all adapters share: unmodified ccxt.pro with its hooks used, one request at a time, and a private stream that is watched.

ccxt signs and sends, throttles nothing, repeats nothing, and keeps the socket. Orders go through its raw endpoints and are
read from the venue's own strings, so that every amount is exact. What a failed request means is read from the venue's code
by the adapter's :class:`Dialect`, never from the class of ccxt's exception. Private messages are taken where ccxt hands
them over, one by one and in order: its caches merge, reorder and mutate.
"""

import asyncio
import contextlib
import contextvars
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import aiohttp
import attrs
import ccxt.pro

from oms.messages.enums import MarginMode
from oms.messages.instructions import Amend
from oms.tasks import end
from oms.venues.adapter import (
    Book,
    Move,
    StreamEvent,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTransfer,
)
from oms.venues.budgets import Budgets
from oms.venues.credentials import Credentials, Key
from oms.venues.departure import departure
from oms.venues.dialect import Call, Dialect
from oms.venues.errors import Kind, StreamLost, VenueError
from oms.venues.limiter import Limiter, Priority, Reservation, TooLate, asking
from oms.venues.pools import DEFAULT
from oms.venues.venue_time import AHEAD_MS, Reading, learn

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_MS: Final = 5_000
"""A socket that answers no ping twice in a row is taken for dead; ccxt's own 180 s would hide it for minutes."""
REASON_MAX: Final = 400
PAST_DEADLINE: Final = "the deadline has passed"
NOBODY: Final = ""
"""The account of requests without a key."""

_ADDRESS: Final = re.compile(r"(wss?|https?)://\S+")

T = TypeVar("T")


_CALL: contextvars.ContextVar[Call | None] = contextvars.ContextVar("venue_call", default=None)


class _Late(Exception):
    """Its deadline has passed, and nothing of it has left."""


async def _body_leaves(*told: Any) -> None:
    """aiohttp calls this and then writes, with nothing in between; head and body of a request leave together."""
    call, leaving = _CALL.get(), departure()
    if call is not None and not call.left:
        # The connection may have taken longer than the order is good for.
        if call.deadline is not None and time.time_ns() > call.deadline:
            call.late = True
            raise _Late
        call.left = True
    if leaving is not None:
        leaving.leave()


_LEAVING: Final = aiohttp.TraceConfig()
_LEAVING.on_request_chunk_sent.append(_body_leaves)
_LEAVING.freeze()

_TRUSTED: dict[str, Any] = {}
"""TLS contexts by file of authorities: reading them takes ccxt 40 ms, in which nothing else runs, for each instance."""


def hooked(exchange: type[Any]) -> type[Any]:
    """A class of ccxt as it is, whose hooks tell what it did and what it heard.

    Instances have ``on_private``: called with every message that any socket of theirs receives, before ccxt sees it.
    """

    class Hooked(exchange):
        on_private: Callable[[Any], None] | None = None
        ssl_context: Any
        milliseconds: Callable[[], int]

        def open(self, lazy: bool = False) -> None:
            if self.ssl_context is None and self.verify:
                self.ssl_context = _TRUSTED.get(self.cafile)
            super().open(lazy)
            if self.verify:
                _TRUSTED[self.cafile] = self.ssl_context
            if self.session is not None and _LEAVING not in self.session.trace_configs:
                self.session.trace_configs.append(_LEAVING)

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            call, leaving = _CALL.get(), departure()
            if call is not None:
                call.begun = True
                call.asked_ms = self.milliseconds()
            if leaving is not None and not body:
                # Nobody is told when a head without a body leaves: it counts as sent from here on.
                leaving.leave()
            return await super().fetch(url, method, headers, body)

        def on_rest_response(
            self,
            code: int,
            reason: str,
            url: str,
            method: str,
            response_headers: Mapping[str, str],
            response_body: str,
            request_headers: Any,
            request_body: Any,
        ) -> Any:
            call = _CALL.get()
            if call is not None:
                call.heard_ms = self.milliseconds()
                call.status, call.body = code, response_body
                call.headers = {name.lower(): value for name, value in response_headers.items()}
            return super().on_rest_response(
                code, reason, url, method, response_headers, response_body, request_headers, request_body
            )

        def handle_message(self, client: Any, message: Any) -> Any:
            if self.on_private is not None:
                self.on_private(message)
            return super().handle_message(client, message)

    Hooked.__name__ = Hooked.__qualname__ = exchange.__name__
    # ccxt looks its own name up to tell exchanges apart.
    return Hooked


@attrs.frozen(kw_only=True)
class Reach:
    """How an exchange is reached.

    Args:
        session: of HTTP; None for ccxt's own. Closed by whoever made it.
        test_net: use the exchange's test network.
        timeout_s: how long a request may go unanswered before its outcome is unknown.
        recv_window_ms: how old a request may be when the venue takes it, where the venue lets us say.
    """

    session: aiohttp.ClientSession | None = None
    test_net: bool = False
    timeout_s: float = REQUEST_TIMEOUT_S
    recv_window_ms: int = 5_000


def make_exchange(kind: type[Any], reach: Reach, options: Mapping[str, Any], key: Key | None) -> Any:
    """An instance of a :func:`hooked` class, of the account with that key or of nobody."""
    config: dict[str, Any] = {
        "enableRateLimit": False,
        "timeout": int(reach.timeout_s * 1000),
        "options": {"maxRetriesOnFailure": 0, **options},
        "streaming": {"keepAlive": KEEP_ALIVE_MS},
    }
    if reach.session is not None:
        # ccxt waits for its own session's sockets to close; this one is closed by whoever made it.
        config |= {"session": reach.session, "timeout_on_exit": 0}
    if key is not None:
        config |= {"apiKey": key.api_key, "secret": key.secret}
        if key.passphrase:
            config["password"] = key.passphrase
    exchange = kind(config)
    exchange.number = str
    if reach.test_net:
        exchange.set_sandbox_mode(True)
    return exchange


UNREADABLE: Final = (LookupError, TypeError, ValueError, ArithmeticError)
"""What reading raises when a venue writes what nobody knew."""


async def listing(exchange: Any, read: Callable[[Any], T]) -> list[T]:
    """What the venue lists now, each read from the venue's own words. One that cannot be read keeps no other from being traded.

    Raises:
        VenueError: it cannot be had, or none of it be read.
    """
    try:
        markets = await exchange.load_markets(True)
    except ccxt.BaseError as error:
        why = f"the markets cannot be read: {type(error).__name__}: {error}"
        raise VenueError(Kind.UNKNOWN, why[:REASON_MAX]) from None
    found: list[T] = []
    why = ""
    for market in markets.values():
        try:
            found.append(read(market["info"]))
        except UNREADABLE as error:
            why = f"{market['id']} cannot be read: {type(error).__name__}: {error}"
            log.error("%s: it is not traded", why)
    if why and not found:
        raise VenueError(Kind.UNKNOWN, why[:REASON_MAX])
    return found


async def stream(watch: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
    """What ``watch`` returns, again and again.

    Raises:
        StreamLost: ccxt lost the connection.
    """
    try:
        while True:
            yield await watch()
    except ccxt.BaseError as error:
        raise StreamLost(f"{type(error).__name__}: {error}"[:REASON_MAX]) from None


@contextlib.contextmanager
def lost_if_failing() -> Iterator[None]:
    """Turn what fails in asking for public figures into the end of their stream: they are not known any more.

    Raises:
        StreamLost: the venue did not answer, or there is no room to ask.
    """
    try:
        yield
    except (ccxt.BaseError, VenueError) as error:
        raise StreamLost(f"{type(error).__name__}: {error}"[:REASON_MAX]) from None


def readings(read: Callable[[Any], T], rows: Iterable[Any]) -> list[T]:
    """What rows say that were asked for in more than one request, and so are not read by it.

    Raises:
        VenueError: UNKNOWN, one cannot be read.
    """
    try:
        return [read(row) for row in rows]
    except UNREADABLE as error:
        why = f"an answer cannot be read: {type(error).__name__}: {error}"
        raise VenueError(Kind.UNKNOWN, why[:REASON_MAX]) from None


def words_of(error: Exception) -> str:
    """What an error of ccxt says, without addresses: that of a private stream may hold the key to it."""
    return _ADDRESS.sub("…", f"{type(error).__name__}: {error}")


def read_book(symbol: str, book: Mapping[str, Any]) -> Book:
    """The levels of ccxt's book. It keeps them as floats, whose shortest form is what the venue wrote up to 15 digits."""
    bids, asks = (
        tuple((Decimal(repr(float(price))), Decimal(repr(float(size)))) for price, size, *_ in book[side])
        for side in ("bids", "asks")
    )
    return Book(symbol, bids, asks)


def middles(rows: Iterable[tuple[str, str, str]]) -> dict[str, Decimal]:
    """Half way between best bid and best offer of each (symbol, bid, offer); zero where one is missing."""
    quotes = ((symbol, Decimal(bid or 0), Decimal(ask or 0)) for symbol, bid, ask in rows)
    return {symbol: middle(bid, ask) for symbol, bid, ask in quotes}


def middle(bid: Decimal, ask: Decimal) -> Decimal:
    """Half way between best bid and best offer; zero where one is missing."""
    return (bid + ask) / 2 if bid > 0 and ask > 0 else Decimal(0)


class CcxtMarket:
    """One market without a key, as far as it is the same at every exchange. See :class:`oms.venues.adapter.Market`.

    An adapter names its ``exchange`` and ``market``, the hooked ``kind`` of ccxt, and adds what it reads.

    Args:
        credentials: where accounts' keys come from.
        budgets: the accounts' limiters.
    """

    exchange: str
    market: str
    kind: type[Any]

    def __init__(self, credentials: Credentials, budgets: Budgets, reach: Reach) -> None:
        self.credentials = credentials
        self.budgets = budgets
        self.reach = reach
        self.public = self.connection(None)

    def options(self) -> dict[str, Any]:
        """ccxt's options for this market."""
        raise NotImplementedError

    def connection(self, key: Key | None) -> Any:
        """A new ccxt instance, of the account with that key or of nobody."""
        return make_exchange(self.kind, self.reach, self.options(), key)

    def key(self, account: str) -> Key:
        """The account's key.

        Raises:
            CredentialsMissing
        """
        return self.credentials.key(self.exchange, self.market, account)

    async def refresh_key(self, name: str) -> bool:
        return await self.credentials.refresh(self.exchange, self.market, name)

    def limits_left(self, name: str) -> dict[str, dict[str, int]]:
        return self.budgets.of(name).left()

    async def reserve(self, weight: int, group: str = DEFAULT) -> None:
        """Wait for room for what is asked without a key: it counts by our address as all else, and stays away when that must.

        Raises:
            VenueError: NOT_SENT, there is none.
        """
        try:
            await self.budgets.of(NOBODY).reserve(weight, priority=Priority.LOOK_UP, group=group)
        except TooLate as late:
            raise VenueError(Kind.NOT_SENT, str(late)) from None

    def names(self, symbols: Iterable[str]) -> list[str]:
        """ccxt's own names of symbols."""
        return [self.public.markets_by_id[symbol][0]["symbol"] for symbol in symbols]

    async def close(self) -> None:
        await self.public.close()


class CcxtAccount:
    """One account's private connection, as far as it is the same at every exchange. See :class:`oms.venues.adapter.Account`.

    An adapter adds its requests and reads, and in ``open`` the private stream: it sets :meth:`listen`, and has ccxt
    subscribe and read by :meth:`watch`.
    """

    dialect: Dialect
    weights: Mapping[str, int] = {}
    """Endpoint → what it weighs, where the exchange counts weight; one that is missing is a defect."""

    def __init__(self, exchange: Any, public: Any, limiter: Limiter, accept_window_s: float) -> None:
        self.accept_window_s = self.move_window_s = accept_window_s
        self.exchange = exchange
        self.public = public
        self.limiter = limiter
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._watchers: list[asyncio.Task[None]] = []
        self._read_time: Callable[[], Awaitable[Reading]] | None = None
        self._learning: asyncio.Task[None] | None = None

    # -- the private stream

    def listen(
        self, on_event: Callable[[StreamEvent], None], read: Callable[[Any], Iterable[StreamEvent]]
    ) -> None:
        """Hand over what ``read`` makes of every message. One that cannot be read ends the stream: it may have mattered."""

        def heard(message: Any) -> None:
            # An exception here would silently kill ccxt's receive loop.
            try:
                for event in read(message):
                    on_event(event)
            except Exception:
                log.exception("an event of the private stream cannot be read: %r", message)
                self.lose(f"an event cannot be read: {str(message)[:200]}")

        self.exchange.on_private = heard

    def watch(self, url: str, *watches: Callable[[], Awaitable[Any]]) -> None:
        """Keep ccxt reading its connection to ``url`` with each of these; lose the stream when one fails or it is another."""
        client = self.exchange.clients.get(url)
        self._watchers += [asyncio.create_task(self._keep(url, client, watch)) for watch in watches]

    async def _keep(self, url: str, client: Any, watch: Callable[[], Awaitable[Any]]) -> None:
        try:
            # ccxt would connect anew by itself, to a stream with a gap in it.
            while client is not None and self.exchange.clients.get(url) is client:
                await watch()
            self.lose("the connection was replaced")
        except Exception as error:  # noqa: BLE001 - whatever ended it, the session learns of it and reconciles
            log.info("the private stream ended: %s", words_of(error))
            self.lose(words_of(error))

    async def opened(self, work: Awaitable[Any], timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Wait for what opens the private stream.

        Raises:
            VenueError: UNKNOWN: nothing was asked for that could have happened.
        """
        try:
            await asyncio.wait_for(work, timeout_s)
        except Exception as error:  # noqa: BLE001 - raised again as the adapter's own
            why = f"the private stream did not open: {words_of(error)}"
            raise VenueError(Kind.UNKNOWN, why[:REASON_MAX]) from None

    def lose(self, reason: str) -> None:
        """The private stream can no longer be trusted."""
        if not self._lost.done():
            self._lost.set_result(reason[:256])

    async def lost(self) -> str:
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        self.exchange.on_private = None
        await end([*self._watchers, *([] if self._learning is None else [self._learning])])
        await self.exchange.close()

    async def learn_time(self, read: Callable[[], Awaitable[Reading]]) -> None:
        """Take the difference of the venue's clock from ours into the timestamps of requests, now and when they are refused."""
        self._read_time = read
        known = await learn(read)
        if known.high - known.low > 2 * AHEAD_MS:
            log.warning(
                "the venue's time is known to %d ms only: its answers are slow", known.high - known.low
            )
        self.exchange.options["timeDifference"] = known.taken

    @staticmethod
    def reading(server_ms: int) -> Reading:
        """What an answer says about the venue's clock. To be called where the answer is read."""
        call = _CALL.get()
        assert call is not None
        return Reading(call.asked_ms, server_ms, call.heard_ms)

    def _learn_time_again(self) -> None:
        """Our clock was set since the time was learned, or one of the two goes wrong."""

        async def again(read: Callable[[], Awaitable[Reading]]) -> None:
            try:
                await self.learn_time(read)
            except VenueError as error:
                self.lose(f"the venue's time cannot be learned: {error}")

        if self._read_time is not None and (self._learning is None or self._learning.done()):
            log.warning("the venue does not take our timestamps: learning its time again")
            self._learning = asyncio.create_task(again(self._read_time))

    # -- requests

    async def reserve(
        self,
        weight: int,
        orders: int = 0,
        *,
        group: str = DEFAULT,
        symbol: str = "",
        priority: Priority | None = None,
        deadline: int | None = None,
    ) -> Reservation:
        """Wait for room in the rate limits. Without a priority it is a question, of the one that is asked as.

        Raises:
            VenueError: NOT_SENT, there is none before the deadline.
        """
        if priority is None:
            priority = asking()
        try:
            return await self.limiter.reserve(
                weight, orders, priority=priority, group=group, symbol=symbol, deadline=deadline
            )
        except TooLate as late:
            raise VenueError(Kind.NOT_SENT, str(late)) from None

    async def request(
        self,
        name: str,
        params: Mapping[str, Any],
        read: Callable[[Any], T],
        *,
        weight: int | None = None,
        orders: int = 0,
        group: str = DEFAULT,
        symbol: str = "",
        priority: Priority | None = None,
        deadline: int | None = None,
        reserved: bool = False,
    ) -> T:
        """Make one request, once, and read its answer.

        Args:
            name: of ccxt's raw endpoint, such as ``privatePostOrder``.
            weight, orders, group, symbol: what it takes of which limits, see :mod:`oms.venues.pools`; unless ``reserved`` before.
            deadline: UTC ns; not sent after.

        Raises:
            VenueError
        """
        room, leaving = None, departure()
        if leaving is not None:
            # See the hooks: they ask once more in the step in which the request is handed to the socket.
            leaving.hold()
        if weight is None:
            weight = self.weights[name] if self.weights else 1
        if not reserved:
            room = await self.reserve(
                weight, orders, group=group, symbol=symbol, priority=priority, deadline=deadline
            )
        if deadline is not None and time.time_ns() > deadline:
            raise VenueError(Kind.NOT_SENT, PAST_DEADLINE)
        call = Call(deadline=deadline)
        token = _CALL.set(call)
        try:
            return read(await getattr(self.exchange, name)(dict(params)))
        except Exception as error:  # noqa: BLE001 - raised again as what it means
            if call.late:
                raise VenueError(Kind.NOT_SENT, PAST_DEADLINE) from None
            kind, reason = self.dialect.meaning(call, error)
            reason = self._without_keys(reason)
            retry_after, code = 0.0, reason.split(" ")[0]
            if code in self.dialect.clock:
                self._learn_time_again()
            if kind is Kind.THROTTLED:
                retry_after = self.dialect.retry_after(call.status, call.headers)
                if {call.status, code} & self.dialect.shut_out:
                    self.limiter.pool.hold(retry_after)
                else:
                    self.limiter.hold(retry_after, group)
            # ccxt's exceptions quote the signed address: the cause stays out of what is raised.
            raise VenueError(kind, reason[:REASON_MAX], retry_after) from None
        finally:
            _CALL.reset(token)
            if call.headers:
                self.limiter.learn(call.headers, group, room)

    def _without_keys(self, words: str) -> str:
        """Bybit repeats what was signed, the key included, when a signature does not fit."""
        exchange = self.exchange
        for secret in (exchange.apiKey, exchange.secret, exchange.password):
            if secret:
                words = words.replace(secret, "…")
        return words

    # -- what some venues do not have

    async def amend(self, amend: Amend) -> VenueOrder | None:
        raise _unsupported("amending in place")

    async def reserve_amend(self, deadline: int) -> None:
        raise _unsupported("replacing")

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        raise _unsupported("replacing")

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        raise _unsupported("replacing")

    async def positions(self) -> list[VenuePosition]:
        return []

    async def funding_since(self, since: int) -> list[VenueFunding]:
        return []

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        raise _unsupported("leverage")

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        raise _unsupported("margin modes")

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        raise _unsupported("transfers between accounts")

    async def find_transfer(self, move: Move) -> VenueTransfer:
        raise _unsupported("transfers between accounts")


def _unsupported(what: str) -> VenueError:
    return VenueError(Kind.NOT_SENT, f"the venue has no {what}")
