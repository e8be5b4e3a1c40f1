"""Binance spot. Amends cancel and place the rest: the venue changes no order in place. Trades can be asked for by symbol alone."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import ccxt.pro
import msgspec

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.messages.venues import Capabilities, Feature
from oms.venues.adapter import (
    Book,
    FundsMoved,
    Move,
    OrderChanged,
    PublicTrade,
    Quote,
    State,
    StreamEvent,
    VenueOrder,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.binance_wallets import REFUSED_TRANSFERS, ask_to_move, find_move
from oms.venues.dialect import Dialect
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Priority
from oms.venues.notation import NS_PER_MS, at_ms, optional, plain, seconds, text
from oms.venues.over_ccxt import (
    CcxtAccount,
    CcxtMarket,
    hooked,
    listing,
    lost_if_failing,
    middle,
    middles,
    read_book,
    readings,
    stream,
)
from oms.venues.patience import patiently
from oms.venues.pools import CONNECT, ORDER

T = TypeVar("T")

EXCHANGE: Final = "binance"
MARKET: Final = "spot"
RULES: Final = frozenset({"weight 1m", "orders 10s", "orders 1d"})
"""Those of the pool that the venue lists."""
FEE: Final = Decimal("0.001")
ROWS: Final = 1_000
PAGES_MAX: Final = 200
BOOK_LEVELS: Final = 20
DAY_NS: Final = 86_400 * 10**9

# fmt: off
MEANINGS: Final[dict[str, tuple[tuple[str, Kind], ...]]] = {
    "-1002": (("", Kind.AUTH_FATAL),),  # not authorized to execute this request
    "-1003": (("", Kind.THROTTLED),),   # too much request weight, or banned
    "-1013": (("", Kind.REJECTED),),    # filter failures
    "-1015": (("", Kind.THROTTLED),),   # too many new orders
    "-1020": (("", Kind.REJECTED),),    # unsupported operation
    "-1021": (("", Kind.REJECTED),),    # timestamp outside recvWindow: refused at the door
    "-1022": (("", Kind.AUTH_FATAL),),  # signature not valid
    **{f"-{code}": (("", Kind.REJECTED),)  # malformed or forbidden parameters
       for code in (*range(1100, 1109), 1111, 1112, 1114, 1115, 1116, 1117, 1118, 1119, 1120, 1121, 1125, 1127, 1128,
                    1130, 1131, 1134, 1135, 1139, 1145, 1151)},
    "-2008": (("", Kind.AUTH_FATAL),),  # no such API key: one that was deleted
    "-2010": (("Duplicate order sent", Kind.UNKNOWN),  # the id is open at the venue: what stands there has to be seen
              ("", Kind.REJECTED),),                   # would match, would trigger, insufficient balance, ...
    "-2011": (("Unknown order sent", Kind.ALREADY_DONE),
              ("", Kind.REJECTED),),                   # cancel restrictions
    "-2013": (("", Kind.NOT_FOUND),),
    "-2014": (("", Kind.AUTH_FATAL),),  # API key format
    "-2015": (("", Kind.AUTH_FATAL),),  # API key, address or permissions
    "-2026": (("", Kind.NOT_FOUND),),   # archived: canceled or expired without a fill, over 90 days ago
    **REFUSED_TRANSFERS,
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
    "publicGetTime": 1,
}
LISTING_WEIGHT: Final = 20
QUOTES_WEIGHT: Final = 4
ALL_OPEN_ORDERS_WEIGHT: Final = 80
STREAM_WEIGHT: Final = 4  # 2 for the connection, 2 for the subscription
# fmt: on

_COUNTED: Final = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}
_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
_PRICED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


_read_refusal = msgspec.json.Decoder(_Refusal).decode


CAPABILITIES: Final = Capabilities(
    order_types=tuple(OrderType),
    times_in_force=tuple(TimeInForce),
    features=(Feature.POST_ONLY, Feature.AMEND, Feature.TRANSFER),
    wallet=MARKET,
)

# -- from the venue's payloads


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
            time=at_ms(raw["transactTime"]),
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
        price=optional(raw["price"]) if kind in _PRICED else None,
        trigger_price=optional(raw.get("stopPrice")),
        state=STATES[raw["status"]],
        cumulative=Decimal(raw["executedQty"]),
        time=at_ms(raw.get("updateTime") or raw.get("transactTime") or raw["time"]),
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
        time=at_ms(raw["time"]),
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
                time=at_ms(raw["T"]),
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
        price=optional(raw["p"]) if kind in _PRICED else None,
        trigger_price=optional(raw["P"]),
        state=STATES[raw["X"]],
        cumulative=Decimal(raw["z"]),
        time=at_ms(raw["T"]),
        reason=raw["X"].lower() if raw["r"] == "NONE" else raw["r"],
        trades=trades,
    )


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
        tick=plain(price["tickSize"]),
        step=plain(lot["stepSize"]),
        min_quantity=plain(lot["minQty"]),
        max_quantity=plain(lot["maxQty"]),
        min_notional=plain(notional.get("minNotional", "0")),
        max_notional=None if limit is None else plain(limit),
        maker_fee=FEE,
        taker_fee=FEE,
        trading=raw["status"] == "TRADING",
    )


# -- how the venue says no

SHUT_OUT: Final[frozenset[int | str]] = frozenset({418, "-1003"})
"""Of both Binance markets: -1015, an account's own orders, comes with 429 too."""


def retry_after(status: int | None, headers: Mapping[str, str]) -> float:
    """What the venue says; who is banned without being told for how long is so for two minutes at least."""
    return seconds(headers.get("retry-after", BAN_S if status == 418 else None))


def refusal(status: int, body: str) -> tuple[str, str] | None:
    """Code and message of a refusal. Both Binance markets write it so."""
    try:
        found = _read_refusal(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return str(found.code), found.msg


CLOCK: Final = frozenset({"-1021"})
BAN_S: Final = "120"

DIALECT: Final = Dialect(
    refusal=refusal, meanings=MEANINGS, retry_after=retry_after, shut_out=SHUT_OUT, clock=CLOCK
)


class BinanceSpotAccount(CcxtAccount):
    """One account's private connection to Binance spot. See :class:`oms.venues.adapter.Account`."""

    dialect = DIALECT
    weights = WEIGHTS

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        exchange = self.exchange
        await self.learn_time(
            lambda: self.request("publicGetTime", {}, lambda raw: self.reading(int(raw["serverTime"])))
        )
        exchange.set_markets_from_exchange(self.public)
        self.listen(on_event, self._read)
        # A bad key is told here in the venue's words; on the stream ccxt would answer it with a KeyError.
        await patiently(self.totals)
        await self.reserve(STREAM_WEIGHT, group=CONNECT)
        await self.opened(exchange.authenticate({"type": MARKET}))
        url = exchange.urls["api"]["ws"]["ws-api"]["spot"]
        self.watch(url, exchange.watch_orders)

    def _read(self, message: Any) -> Iterable[StreamEvent]:
        event = message.get("event") if isinstance(message, dict) else None
        if not isinstance(event, dict):
            return
        kind = event["e"]
        if kind == "executionReport":
            yield OrderChanged(read_execution(event))
        elif kind in ("balanceUpdate", "externalLockUpdate"):
            yield FundsMoved(f"{kind} of {event['a']}: {event['d']}")
        elif kind == "eventStreamTerminated":
            self.lose("the venue ended the stream")

    # -- requests

    async def submit(self, order: Submit) -> VenueOrder:
        params = _new_order(order, order.client_id, order.quantity)
        return await self.request(
            "privatePostOrder",
            params,
            read_order,
            priority=Priority.ORDER,
            orders=1,
            group=ORDER,
            deadline=order.deadline,
        )

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self.request("privateDeleteOrder", params, read_order, priority=Priority.CANCEL)

    async def reserve_amend(self, deadline: int) -> None:
        await self.reserve(2, 1, group=ORDER, priority=Priority.ORDER, deadline=deadline)

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self.request("privateDeleteOrder", params, read_order, reserved=True)

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        params = _new_order(amend, amend.new_client_id, quantity)
        return await self.request(
            "privatePostOrder", params, read_order, group=ORDER, reserved=True, deadline=amend.deadline
        )

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        return await self.request("privateGetOrder", params, read_order)

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        params = {"symbol": symbol, "orderId": venue_order_id}
        return await self.request("privateGetOrder", params, read_order)

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return await self.request(
            "privateGetOpenOrders",
            {} if symbol is None else {"symbol": symbol},
            lambda rows: [read_order(row) for row in rows],
            weight=ALL_OPEN_ORDERS_WEIGHT if symbol is None else None,
        )

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        rows = await self._rows_since("privateGetAllOrders", symbol, since, "orderId", "orderId")
        return readings(read_order, rows)

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        rows = await self._rows_since("privateGetMyTrades", symbol, since, "fromId", "id")
        return readings(read_trade, rows)

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        found: list[dict[str, Any]] = []
        params = {"symbol": symbol, "orderId": venue_order_id, "limit": ROWS}
        for _ in range(PAGES_MAX):
            page = await self._rows("privateGetMyTrades", params)
            found += page
            if len(page) < ROWS:
                return readings(read_trade, found)
            params = {**params, "fromId": page[-1]["id"] + 1}
        raise VenueError(
            Kind.UNKNOWN, f"order {venue_order_id} of {symbol} has over {PAGES_MAX * ROWS:,} trades"
        )

    async def _rows(self, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.request(name, params, lambda rows: [row for row in rows if row["symbol"]])

    async def _rows_since(
        self, name: str, symbol: str, since: int, from_name: str, id_name: str
    ) -> list[dict[str, Any]]:
        """Every row at or after a time. The newest page mostly has them all; else forward from there by id.

        The venue may look no further than a day from a start time, so an empty day is stepped over.
        """
        base = {"symbol": symbol, "limit": ROWS}
        newest = await self._rows(name, base)
        if len(newest) < ROWS or at_ms(newest[0]["time"]) < since:
            return [row for row in newest if at_ms(row["time"]) >= since - NS_PER_MS]
        # Both sides of a trade with oneself have one id: the last of a page is asked for again.
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        last = 0
        start = since
        for _ in range(PAGES_MAX):
            began = bool(found)
            if began:
                page = await self._rows(name, {**base, from_name: last})
            else:
                page = await self._rows(name, {**base, "startTime": start // NS_PER_MS})
                start += DAY_NS
            found |= {(row[id_name], row.get("isBuyer")): row for row in page}
            if began and len(page) < ROWS:
                return list(found.values())
            last = max((row[id_name] for row in page), default=last)
        raise VenueError(Kind.UNKNOWN, f"{symbol} has over {PAGES_MAX * ROWS:,} rows since {since}")

    async def totals(self) -> dict[str, Decimal]:
        def read(raw: Any) -> dict[str, Decimal]:
            totals = {
                each["asset"]: Decimal(each["free"]) + Decimal(each["locked"]) for each in raw["balances"]
            }
            return {asset: total for asset, total in totals.items() if total}

        return await self.request("privateGetAccount", {"omitZeroBalances": "true"}, read)

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        return await ask_to_move(self.request, move, deadline)

    async def find_transfer(self, move: Move) -> VenueTransfer:
        return await find_move(self.request, move)


def _new_order(order: Submit | Amend, client_id: str, quantity: Decimal) -> dict[str, str]:
    params = {
        "symbol": order.symbol,
        "side": order.side.upper(),
        "quantity": text(quantity),
        "newClientOrderId": client_id,
        "newOrderRespType": "FULL",
    }
    kind = order.type
    # The engine itself ends a GTD order: the venue has no such time in force.
    good_for = TimeInForce.GTC if order.time_in_force is TimeInForce.GTD else order.time_in_force
    if kind in _PRICED:
        assert order.price is not None, f"{client_id} is a {kind} without a price"
        params["price"] = text(order.price)
    if order.trigger_price is not None:
        params["stopPrice"] = text(order.trigger_price)
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


class BinanceSpot(CcxtMarket):
    """Binance spot without a key. See :class:`oms.venues.adapter.Market`."""

    exchange = EXCHANGE
    market = MARKET
    kind = hooked(ccxt.pro.binance)
    capabilities = CAPABILITIES
    amends_in_place = False

    def options(self) -> dict[str, Any]:
        return {
            "defaultType": "spot",
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": ["spot"]},
            "recvWindow": self.reach.recv_window_ms,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        }

    async def open(self) -> list[InstrumentSpec]:
        await self.reserve(2 * LISTING_WEIGHT)
        found = await listing(self.public, read_instrument)
        try:
            limits = (await self.public.publicGetExchangeInfo())["rateLimits"]
        except ccxt.BaseError as error:
            raise VenueError(Kind.UNKNOWN, f"the limits cannot be read: {type(error).__name__}") from None
        for limit in limits:
            rule = (
                f"{_COUNTED.get(limit['rateLimitType'])} {limit['intervalNum']}{limit['interval'][0].lower()}"
            )
            if rule in RULES:
                self.budgets.pool.set_limit(rule, int(limit["limit"]))
        return found

    def account(self, name: str) -> BinanceSpotAccount:
        return BinanceSpotAccount(
            self.connection(self.key(name)),
            self.public,
            self.budgets.of(name),
            self.reach.recv_window_ms / 1000,
        )

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        wanted = {"symbols": msgspec.json.encode(list(symbols)).decode()}
        with lost_if_failing():
            await self.reserve(QUOTES_WEIGHT)
            rows = await self.public.publicGetTickerBookTicker(wanted)
        return middles((row["symbol"], row["bidPrice"], row["askPrice"]) for row in rows)

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        async for quote in self.quotes(symbols):
            yield {quote.symbol: middle(quote.bid, quote.ask)}

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        names = self.names(symbols)
        async for tickers in stream(lambda: self.public.watch_bids_asks(names)):
            for ticker in tickers.values():
                raw = ticker["info"]
                yield Quote(
                    raw["s"], Decimal(raw["b"]), Decimal(raw["B"]), Decimal(raw["a"]), Decimal(raw["A"])
                )

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        (name,) = self.names([symbol])
        async for book in stream(lambda: self.public.watch_order_book(name, BOOK_LEVELS)):
            yield read_book(symbol, book)

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        (name,) = self.names([symbol])
        async for trades in stream(lambda: self.public.watch_trades(name)):
            for trade in trades:
                raw = trade["info"]
                yield PublicTrade(
                    symbol,
                    str(raw["t"]),
                    Side.SELL if raw["m"] else Side.BUY,
                    Decimal(raw["p"]),
                    Decimal(raw["q"]),
                    at_ms(raw["T"]),
                )
