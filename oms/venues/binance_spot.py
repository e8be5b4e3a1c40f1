"""Binance spot over unmodified ccxt.pro: ccxt signs, sends, throttles nothing, repeats nothing, and keeps the socket.

Orders go through ccxt's raw endpoints and are read from the venue's own strings, so that every amount is exact. What
a failed request means is read from the venue's code in :data:`MEANINGS`, never from the class of ccxt's exception.
Private events are taken where ccxt hands them over, one by one and in order: its caches merge, reorder and mutate.
"""

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import aiohttp
import attrs
import ccxt.pro
import msgspec

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.tasks import end
from oms.venues.adapter import (
    FundsMoved,
    OrderChanged,
    State,
    StreamEvent,
    VenueOrder,
    VenueTrade,
)
from oms.venues.credentials import Credentials, Key
from oms.venues.errors import Kind, StreamLost, VenueError
from oms.venues.limiter import Limiter, Pool, Priority, TooLate

log = logging.getLogger(__name__)

EXCHANGE: Final = "binance"
MARKET: Final = "spot"
RECV_WINDOW_MS: Final = 5_000
REQUEST_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_MS: Final = 5_000
"""A socket that answers no ping twice in a row is taken for dead; ccxt's own 180 s would hide it for minutes."""
WEIGHT_PER_MINUTE: Final = 6_000
"""By address, until the venue lists its own limit."""
RETRY_AFTER_S: Final = 30.0
"""How long to stay away when the venue throttles without saying until when."""
FEE: Final = Decimal("0.001")
ROWS: Final = 1_000
PAGES_MAX: Final = 200
DAY_NS: Final = 86_400 * 10**9
NS_PER_MS: Final = 1_000_000
ZERO: Final = Decimal(0)

# fmt: off
MEANINGS: Final[dict[int, tuple[tuple[str, Kind], ...]]] = {
    # code → what its messages begin with → what it means; "" is any message. A code that is not here is UNKNOWN.
    -1002: (("", Kind.AUTH_FATAL),),    # not authorized to execute this request
    -1003: (("", Kind.THROTTLED),),     # too much request weight, or banned
    -1013: (("", Kind.REJECTED),),      # filter failures
    -1015: (("", Kind.THROTTLED),),     # too many new orders
    -1020: (("", Kind.REJECTED),),      # unsupported operation
    -1021: (("", Kind.REJECTED),),      # timestamp outside recvWindow: refused at the door
    -1022: (("", Kind.AUTH_FATAL),),    # signature not valid
    **{-code: (("", Kind.REJECTED),)    # malformed or forbidden parameters
       for code in (*range(1100, 1109), 1111, 1112, 1114, 1115, 1116, 1117, 1118, 1119, 1120, 1121, 1125, 1127, 1128,
                    1130, 1131, 1134, 1135, 1139, 1145, 1151)},
    -2010: (("Duplicate order sent", Kind.UNKNOWN),   # the id is open at the venue: what stands there has to be seen
            ("", Kind.REJECTED),),                    # would match, would trigger, insufficient balance, ...
    -2011: (("Unknown order sent", Kind.ALREADY_DONE),
            ("", Kind.REJECTED),),                    # cancel restrictions
    -2013: (("", Kind.NOT_FOUND),),
    -2014: (("", Kind.AUTH_FATAL),),    # API key format
    -2015: (("", Kind.AUTH_FATAL),),    # API key, address or permissions
    -2026: (("", Kind.NOT_FOUND),),     # archived: canceled or expired without a fill, over 90 days ago
}

STATES: Final = {
    "NEW": State.WORKING, "PENDING_NEW": State.WORKING, "PARTIALLY_FILLED": State.WORKING,
    "PENDING_CANCEL": State.WORKING, "FILLED": State.FILLED, "CANCELED": State.CANCELED,
    "EXPIRED": State.EXPIRED, "EXPIRED_IN_MATCH": State.EXPIRED, "REJECTED": State.REJECTED,
}

TYPES: Final = {
    "LIMIT": OrderType.LIMIT, "LIMIT_MAKER": OrderType.LIMIT, "MARKET": OrderType.MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT, "TAKE_PROFIT_LIMIT": OrderType.STOP_LIMIT,
    "STOP_LOSS": OrderType.STOP_MARKET, "TAKE_PROFIT": OrderType.STOP_MARKET,
}

WEIGHTS: Final = {
    "privatePostOrder": 1, "privateDeleteOrder": 1, "privateGetOrder": 4, "privateGetOpenOrders": 6,
    "privateGetAllOrders": 20, "privateGetMyTrades": 20, "privateGetAccount": 20,
    "publicGetTime": 1, "publicGetExchangeInfo": 20,
}
ALL_OPEN_ORDERS_WEIGHT: Final = 80
# fmt: on

_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
_PRICED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})

T = TypeVar("T")


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


_read_refusal = msgspec.json.Decoder(_Refusal).decode


# -- from the venue's payloads


def _time(ms: int | str) -> int:
    return int(ms) * NS_PER_MS


def _optional(amount: str | None) -> Decimal | None:
    value = Decimal(amount) if amount else ZERO
    return value or None


def _time_in_force(value: str) -> TimeInForce:
    return TimeInForce(value) if value in ("GTC", "IOC", "FOK") else TimeInForce.GTC


def read_order(raw: Mapping[str, Any]) -> VenueOrder:
    """An order from REST: a query, or the answer to a new order or a cancel."""
    trades = tuple(
        VenueTrade(
            venue_order_id=str(raw["orderId"]),
            client_id=raw["clientOrderId"],
            symbol=raw["symbol"],
            side=_SIDES[raw["side"]],
            trade_id=str(fill["tradeId"]),
            quantity=Decimal(fill["qty"]),
            price=Decimal(fill["price"]),
            fee=Decimal(fill["commission"]),
            fee_asset=fill["commissionAsset"],
            maker=False,
            time=_time(raw["transactTime"]),
        )
        for fill in raw.get("fills", ())
    )
    kind = TYPES[raw["type"]]
    return VenueOrder(
        client_id=raw.get("origClientOrderId") or raw["clientOrderId"],
        venue_order_id=str(raw["orderId"]),
        symbol=raw["symbol"],
        side=_SIDES[raw["side"]],
        type=kind,
        time_in_force=_time_in_force(raw["timeInForce"]),
        quantity=Decimal(raw["origQty"]),
        price=_optional(raw["price"]) if kind in _PRICED else None,
        trigger_price=_optional(raw.get("stopPrice")),
        state=STATES[raw["status"]],
        cumulative=Decimal(raw["executedQty"]),
        time=_time(raw.get("updateTime") or raw.get("transactTime") or raw["time"]),
        reason=raw["status"].lower(),
        trades=trades,
    )


def read_trade(raw: Mapping[str, Any]) -> VenueTrade:
    """A trade from ``myTrades``, which tells no client id."""
    return VenueTrade(
        venue_order_id=str(raw["orderId"]),
        client_id="",
        symbol=raw["symbol"],
        side=Side.BUY if raw["isBuyer"] else Side.SELL,
        trade_id=str(raw["id"]),
        quantity=Decimal(raw["qty"]),
        price=Decimal(raw["price"]),
        fee=Decimal(raw["commission"]),
        fee_asset=raw["commissionAsset"] or "",
        maker=raw["isMaker"],
        time=_time(raw["time"]),
    )


def read_execution(raw: Mapping[str, Any]) -> VenueOrder:
    """An order from an ``executionReport``, with its trade if it tells one."""
    # A cancel has a client id of its own in c, and the order's in C.
    client_id = raw.get("C") or raw["c"]
    kind = TYPES[raw["o"]]
    trades: tuple[VenueTrade, ...] = ()
    if raw["x"] == "TRADE":
        trades = (
            VenueTrade(
                venue_order_id=str(raw["i"]),
                client_id=client_id,
                symbol=raw["s"],
                side=_SIDES[raw["S"]],
                trade_id=str(raw["t"]),
                quantity=Decimal(raw["l"]),
                price=Decimal(raw["L"]),
                fee=Decimal(raw["n"] or 0),
                fee_asset=raw["N"] or "",
                maker=raw["m"],
                time=_time(raw["T"]),
            ),
        )
    return VenueOrder(
        client_id=client_id,
        venue_order_id=str(raw["i"]),
        symbol=raw["s"],
        side=_SIDES[raw["S"]],
        type=kind,
        time_in_force=_time_in_force(raw["f"]),
        quantity=Decimal(raw["q"]),
        price=_optional(raw["p"]) if kind in _PRICED else None,
        trigger_price=_optional(raw["P"]),
        state=STATES[raw["X"]],
        cumulative=Decimal(raw["z"]),
        time=_time(raw["T"]),
        reason=raw["X"].lower() if raw["r"] == "NONE" else raw["r"],
        trades=trades,
    )


def _plain(amount: str) -> Decimal:
    """Without the zeros that the venue pads with, and never with an exponent."""
    value = Decimal(amount).normalize()
    return value.quantize(Decimal(1)) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]


def read_instrument(raw: Mapping[str, Any]) -> InstrumentSpec:
    """A symbol of ``exchangeInfo``. Fees are the venue's standard ones."""
    filters = {each["filterType"]: each for each in raw["filters"]}
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    limit = notional.get("maxNotional")
    return InstrumentSpec(
        symbol=raw["symbol"],
        base=raw["baseAsset"],
        quote=raw["quoteAsset"],
        settle=raw["quoteAsset"],
        tick=_plain(price["tickSize"]),
        step=_plain(lot["stepSize"]),
        min_quantity=_plain(lot["minQty"]),
        max_quantity=_plain(lot["maxQty"]),
        min_notional=_plain(notional.get("minNotional", "0")),
        max_notional=None if limit is None else _plain(limit),
        maker_fee=FEE,
        taker_fee=FEE,
        trading=raw["status"] == "TRADING",
    )


# -- ccxt, with its two hooks used


@attrs.define
class _Call:
    """What happened to one request: whether it was begun, and what came back."""

    begun: bool = False
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: str = ""


_CALL: contextvars.ContextVar[_Call | None] = contextvars.ContextVar("binance_call", default=None)


class _Exchange(ccxt.pro.binance):
    """ccxt as it is; its hooks tell us what it did and what it heard."""

    on_user_event: Callable[[dict[str, Any]], None] | None = None

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        call = _CALL.get()
        if call is not None:
            call.begun = True
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
            call.status, call.body = code, response_body
            call.headers = {name.lower(): value for name, value in response_headers.items()}
        return super().on_rest_response(
            code, reason, url, method, response_headers, response_body, request_headers, request_body
        )

    def handle_message(self, client: Any, message: Any) -> None:
        event = message.get("event") if isinstance(message, dict) else None
        if isinstance(event, dict) and self.on_user_event is not None:
            self.on_user_event(event)
        super().handle_message(client, message)


def _exchange(
    session: aiohttp.ClientSession | None,
    test_net: bool,
    timeout_s: float,
    recv_window_ms: int,
    key: Key | None,
) -> _Exchange:
    config: dict[str, Any] = {
        "enableRateLimit": False,
        "timeout": int(timeout_s * 1000),
        "options": {
            "defaultType": "spot",
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": ["spot"]},
            "maxRetriesOnFailure": 0,
            "recvWindow": recv_window_ms,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        },
        "streaming": {"keepAlive": KEEP_ALIVE_MS},
    }
    if session is not None:
        # ccxt waits for its own session's sockets to close; this one is closed by whoever made it.
        config |= {"session": session, "timeout_on_exit": 0}
    if key is not None:
        config |= {"apiKey": key.api_key, "secret": key.secret}
    exchange = _Exchange(config)
    exchange.number = str
    if test_net:
        exchange.set_sandbox_mode(True)
    return exchange


def meaning(call_begun: bool, status: int | None, body: str, error: Exception) -> tuple[Kind, str]:
    """What a failed request means, and why. The exception counts only where the venue said nothing."""
    if not call_begun:
        return Kind.NOT_SENT, f"{type(error).__name__}: {error}"
    if status is None:
        return Kind.UNKNOWN, f"no answer ({type(error).__name__})"
    try:
        refusal = _read_refusal(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal = None
    words = f"HTTP {status}" if refusal is None else f"{refusal.code} {refusal.msg}"
    if status in (418, 429):
        return Kind.THROTTLED, words
    if status >= 500 or refusal is None:
        return Kind.UNKNOWN, words
    for begins, kind in MEANINGS.get(refusal.code, ()):
        if refusal.msg.startswith(begins):
            return kind, words
    return Kind.UNKNOWN, words


class BinanceSpotAccount:
    """One account's private connection to Binance spot. See :class:`oms.venues.adapter.Account`."""

    def __init__(self, exchange: _Exchange, public: _Exchange, limiter: Limiter) -> None:
        self.accept_window_s = exchange.options["recvWindow"] / 1000
        self._exchange = exchange
        self._public = public
        self._limiter = limiter
        self._on_event: Callable[[StreamEvent], None]
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None

    # -- connection

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        self._on_event = on_event
        exchange = self._exchange
        before = exchange.milliseconds()
        server = await self._request("publicGetTime", {}, lambda raw: int(raw["serverTime"]))
        # Half the round trip is the best guess of when the server read its clock.
        exchange.options["timeDifference"] = (before + exchange.milliseconds()) // 2 - server
        exchange.set_markets_from_exchange(self._public)
        exchange.on_user_event = self._heard
        # A bad key is told here in the venue's words; on the stream ccxt would answer it with a KeyError.
        await self.totals()
        try:
            await asyncio.wait_for(exchange.authenticate({"type": "spot"}), REQUEST_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - raised again: nothing was asked for that could have happened
            why = f"the private stream did not open: {type(error).__name__}: {error}"
            raise VenueError(Kind.UNKNOWN, why[:400]) from None
        url = exchange.urls["api"]["ws"]["ws-api"]["spot"]
        self._watcher = asyncio.create_task(self._watch(url, exchange.clients.get(url)))

    async def _watch(self, url: str, client: Any) -> None:
        """Keep ccxt reading, and notice when the connection is not the one that was subscribed any more."""
        try:
            while client is not None and self._exchange.clients.get(url) is client:
                await self._exchange.watch_orders()
            self._lose("the connection was replaced")
        except Exception as error:  # noqa: BLE001 - whatever ended it, the session learns of it and reconciles
            log.info("the private stream ended: %r", error)
            self._lose(f"{type(error).__name__}: {error}")

    def _lose(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason[:256])

    async def lost(self) -> str:
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        self._exchange.on_user_event = None
        if self._watcher is not None:
            await end([self._watcher])
        await self._exchange.close()

    def _heard(self, event: dict[str, Any]) -> None:
        # An exception here would silently kill ccxt's receive loop.
        try:
            kind = event["e"]
            if kind == "executionReport":
                self._on_event(OrderChanged(read_execution(event)))
            elif kind in ("balanceUpdate", "externalLockUpdate"):
                self._on_event(FundsMoved(f"{kind} of {event['a']}: {event['d']}"))
            elif kind == "eventStreamTerminated":
                self._lose("the venue ended the stream")
        except Exception:
            log.exception("an event of the private stream cannot be read: %r", event)
            self._lose(f"an event cannot be read: {str(event)[:200]}")

    # -- requests

    async def _request(
        self,
        name: str,
        params: dict[str, Any],
        read: Callable[[Any], T],
        *,
        priority: Priority = Priority.LOOK_UP,
        weight: int | None = None,
        orders: int = 0,
        deadline: int | None = None,
        reserved: bool = False,
    ) -> T:
        """Make one request, once, and read its answer."""
        if not reserved:
            try:
                await self._limiter.reserve(
                    WEIGHTS[name] if weight is None else weight, orders, priority=priority, deadline=deadline
                )
            except TooLate as late:
                raise VenueError(Kind.NOT_SENT, str(late)) from None
        if deadline is not None and time.time_ns() > deadline:
            raise VenueError(Kind.NOT_SENT, "the deadline has passed")
        call = _Call()
        token = _CALL.set(call)
        try:
            return read(await getattr(self._exchange, name)(params))
        except Exception as error:  # noqa: BLE001 - raised again as what it means
            kind, reason = meaning(call.begun, call.status, call.body, error)
            retry_after = 0.0
            if kind is Kind.THROTTLED:
                retry_after = _seconds(call.headers.get("retry-after"))
                self._limiter.pool.hold(retry_after)
            # ccxt's exceptions quote the signed address: the cause stays out of what is raised.
            raise VenueError(kind, reason[:400], retry_after) from None
        finally:
            _CALL.reset(token)
            self._learn(call.headers)

    def _learn(self, headers: Mapping[str, str]) -> None:
        weight, orders = headers.get("x-mbx-used-weight-1m"), headers.get("x-mbx-order-count-1d")
        if weight is not None and weight.isdecimal():
            self._limiter.pool.correct(int(weight))
        if orders is not None and orders.isdecimal():
            self._limiter.correct(int(orders))

    async def submit(self, order: Submit) -> VenueOrder:
        params = _new_order(order, order.client_id, order.quantity)
        return await self._request(
            "privatePostOrder",
            params,
            read_order,
            priority=Priority.ORDER,
            orders=1,
            deadline=order.deadline,
        )

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self._request("privateDeleteOrder", params, read_order, priority=Priority.CANCEL)

    async def reserve_amend(self, deadline: int) -> None:
        try:
            await self._limiter.reserve(2, 1, priority=Priority.ORDER, deadline=deadline)
        except TooLate as late:
            raise VenueError(Kind.NOT_SENT, str(late)) from None

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self._request("privateDeleteOrder", params, read_order, reserved=True)

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        params = _new_order(amend, amend.new_client_id, quantity)
        return await self._request(
            "privatePostOrder", params, read_order, reserved=True, deadline=amend.deadline
        )

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self._request("privateGetOrder", params, read_order)

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        params = {"symbol": symbol, "orderId": venue_order_id}
        return await self._request("privateGetOrder", params, read_order)

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return await self._request(
            "privateGetOpenOrders",
            {} if symbol is None else {"symbol": symbol},
            lambda rows: [read_order(row) for row in rows],
            weight=ALL_OPEN_ORDERS_WEIGHT if symbol is None else None,
        )

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        rows = await self._rows_since("privateGetAllOrders", symbol, since, "orderId", "orderId")
        return [read_order(row) for row in rows]

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        rows = await self._rows_since("privateGetMyTrades", symbol, since, "fromId", "id")
        return [read_trade(row) for row in rows]

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        found: list[dict[str, Any]] = []
        params = {"symbol": symbol, "orderId": venue_order_id, "limit": ROWS}
        for _ in range(PAGES_MAX):
            page = await self._rows("privateGetMyTrades", params)
            found += page
            if len(page) < ROWS:
                return [read_trade(row) for row in found]
            params = {**params, "fromId": page[-1]["id"] + 1}
        raise VenueError(
            Kind.UNKNOWN, f"order {venue_order_id} of {symbol} has over {PAGES_MAX * ROWS:,} trades"
        )

    async def _rows(self, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        return await self._request(name, params, lambda rows: [row for row in rows if row["symbol"]])

    async def _rows_since(
        self, name: str, symbol: str, since: int, from_name: str, id_name: str
    ) -> list[dict[str, Any]]:
        """Every row at or after a time. The newest page mostly has them all; else forward from there by id.

        The venue may look no further than a day from a start time, so an empty day is stepped over.
        """
        base = {"symbol": symbol, "limit": ROWS}
        newest = await self._rows(name, base)
        if len(newest) < ROWS or _time(newest[0]["time"]) <= since:
            return [row for row in newest if _time(row["time"]) >= since - NS_PER_MS]
        found: list[dict[str, Any]] = []
        start = since
        for _ in range(PAGES_MAX):
            if found:
                page = await self._rows(name, {**base, from_name: found[-1][id_name] + 1})
            else:
                page = await self._rows(name, {**base, "startTime": start // NS_PER_MS})
                start += DAY_NS
            if found and len(page) < ROWS:
                return found + page
            found += page
        raise VenueError(Kind.UNKNOWN, f"{symbol} has over {PAGES_MAX * ROWS:,} rows since {since}")

    async def totals(self) -> dict[str, Decimal]:
        def read(raw: Any) -> dict[str, Decimal]:
            totals = {
                each["asset"]: Decimal(each["free"]) + Decimal(each["locked"]) for each in raw["balances"]
            }
            return {asset: total for asset, total in totals.items() if total}

        return await self._request("privateGetAccount", {"omitZeroBalances": "true"}, read)


def _seconds(text: str | None) -> float:
    with contextlib.suppress(TypeError, ValueError):
        return max(float(text), 0.0)  # type: ignore[arg-type]
    return RETRY_AFTER_S


def _new_order(order: Submit | Amend, client_id: str, quantity: Decimal) -> dict[str, str]:
    params = {
        "symbol": order.symbol,
        "side": order.side.upper(),
        "quantity": format(quantity, "f"),
        "newClientOrderId": client_id,
        "newOrderRespType": "FULL",
    }
    kind = order.type
    # The engine itself ends a GTD order: the venue has no such time in force.
    good_for = TimeInForce.GTC if order.time_in_force is TimeInForce.GTD else order.time_in_force
    if kind in _PRICED:
        assert order.price is not None, f"{client_id} is a {kind} without a price"
        params["price"] = format(order.price, "f")
    if order.trigger_price is not None:
        params["stopPrice"] = format(order.trigger_price, "f")
    if kind is OrderType.LIMIT and order.post_only:
        params["type"] = "LIMIT_MAKER"
    elif kind is OrderType.MARKET:
        params["type"] = "MARKET"
    elif kind is OrderType.STOP_MARKET:
        params["type"] = "STOP_LOSS"
    else:
        params["type"] = "LIMIT" if kind is OrderType.LIMIT else "STOP_LOSS_LIMIT"
        params["timeInForce"] = good_for
    return params


def _middles(rows: Iterable[tuple[str, str, str]]) -> dict[str, Decimal]:
    """Half way between best bid and best offer, of those that have both."""
    quotes = ((symbol, Decimal(bid), Decimal(ask)) for symbol, bid, ask in rows)
    return {symbol: (bid + ask) / 2 for symbol, bid, ask in quotes if bid > 0 and ask > 0}


class BinanceSpot:
    """Binance spot without a key. See :class:`oms.venues.adapter.Market`.

    Args:
        credentials: where accounts' keys come from.
        limiter: makes an account's limiter on the pool of this market.
        session: reaches the venue; None for ccxt's own. Closed by whoever made it.
        test_net: use the venue's test network.
        timeout_s: how long a request may go unanswered before its outcome is unknown.
        recv_window_ms: how old a request may be when the venue takes it.
    """

    def __init__(
        self,
        credentials: Credentials,
        limiter: Callable[[str, Pool], Limiter],
        session: aiohttp.ClientSession | None = None,
        test_net: bool = False,
        timeout_s: float = REQUEST_TIMEOUT_S,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> None:
        self._credentials = credentials
        self._make_limiter = limiter
        self._session = session
        self._test_net = test_net
        self._timeout_s = timeout_s
        self._recv_window_ms = recv_window_ms
        self._public = self._exchange(None)
        self._pool = Pool(WEIGHT_PER_MINUTE)
        self._limiters: dict[str, Limiter] = {}

    async def open(self) -> list[InstrumentSpec]:
        try:
            markets = await self._public.load_markets()
            for limit in (await self._public.publicGetExchangeInfo())["rateLimits"]:
                if limit["rateLimitType"] == "REQUEST_WEIGHT" and limit["interval"] == "MINUTE":
                    self._pool.weight.limit = int(limit["limit"]) // int(limit["intervalNum"])
            return [read_instrument(market["info"]) for market in markets.values()]
        except ccxt.BaseError as error:
            raise VenueError(
                Kind.UNKNOWN, f"the markets cannot be read: {type(error).__name__}: {error}"
            ) from None

    def account(self, name: str) -> BinanceSpotAccount:
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = self._limiters[name] = self._make_limiter(name, self._pool)
        exchange = self._exchange(self._credentials.key(EXCHANGE, name))
        return BinanceSpotAccount(exchange, self._public, limiter)

    def _exchange(self, key: Key | None) -> _Exchange:
        return _exchange(self._session, self._test_net, self._timeout_s, self._recv_window_ms, key)

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        wanted = list(symbols)
        names = [self._public.markets_by_id[symbol][0]["symbol"] for symbol in wanted]
        try:
            # The stream tells changes alone: what stands now has to be asked for.
            rows = await self._public.publicGetTickerBookTicker(
                {"symbols": msgspec.json.encode(wanted).decode()}
            )
            yield _middles((row["symbol"], row["bidPrice"], row["askPrice"]) for row in rows)
            while True:
                tickers = await self._public.watch_bids_asks(names)
                raws = [ticker["info"] for ticker in tickers.values()]
                yield _middles((raw["s"], raw["b"], raw["a"]) for raw in raws)
        except ccxt.BaseError as error:
            raise StreamLost(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        await self._public.close()
