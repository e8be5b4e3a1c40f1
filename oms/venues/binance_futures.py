"""Binance USD-M futures: perpetual and delivery contracts margined in their quote asset, in one-way mode.

Limit orders are amended in place. Conditional orders are not offered: the venue moved them (2025-12-09) to an algo service
with ids of its own, which makes a second order with another id when it triggers, so that one order of ours would be two there.
Answers to orders never tell trades: the stream and ``userTrades`` do.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import attrs
import ccxt.pro

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import MarginMode, OrderType, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.messages.venues import Capabilities, Feature
from oms.venues.adapter import (
    Book,
    FundsMoved,
    Move,
    OrderChanged,
    PublicTrade,
    Quote,
    StreamEvent,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.binance_futures_codes import MEANINGS
from oms.venues.binance_futures_payloads import (
    read_funding,
    read_instrument,
    read_order,
    read_position,
    read_public_trade,
    read_quote,
    read_trade,
    read_update,
    venue_id_in,
)
from oms.venues.binance_spot import CLOCK, SHUT_OUT, refusal, retry_after
from oms.venues.binance_wallets import ask_to_move, find_move
from oms.venues.credentials import Key
from oms.venues.dialect import Dialect
from oms.venues.errors import Kind, StreamLost, VenueError
from oms.venues.limiter import Priority
from oms.venues.notation import NS_PER_MS, text
from oms.venues.over_ccxt import (
    CcxtAccount,
    CcxtMarket,
    hooked,
    listing,
    lost_if_failing,
    make_exchange,
    read_book,
    readings,
    stream,
)
from oms.venues.patience import patiently
from oms.venues.pools import CONNECT, ORDER

log = logging.getLogger(__name__)

T = TypeVar("T")

EXCHANGE: Final = "binance"
MARKET: Final = "futures"
RULES: Final = frozenset({"weight 1m", "orders 10s", "orders 1m"})
"""Those of the pool that the venue lists."""
ROWS: Final = 1_000
PAGES_MAX: Final = 200
WINDOW_MS: Final = 7 * 86_400_000
"""The longest time that one request for orders, trades or income may ask about."""
KEPT_MS: Final = 89 * 86_400_000
"""How far back the venue looks: it refuses what began over 90 days ago."""
AHEAD_MS: Final = 10_000
"""The venue may write a later time than our idea of its clock."""
BOOK_LEVELS: Final = 20
KEEP_ALIVE_S: Final = 1_800.0
"""A listen key lives for an hour from the last time it was asked for."""
KEEP_ALIVE_AGAIN_S: Final = 60.0
KEEP_ALIVE_ATTEMPTS: Final = 20

# fmt: off
WEIGHTS: Final = {
    "fapiPrivatePostOrder": 0, "fapiPrivatePutOrder": 0, "fapiPrivateDeleteOrder": 1, "fapiPrivateGetOrder": 1,
    "fapiPrivateGetOpenOrders": 1, "fapiPrivateGetAllOrders": 5, "fapiPrivateGetUserTrades": 5,
    "fapiPrivateV3GetBalance": 5, "fapiPrivateV2GetPositionRisk": 5, "fapiPrivateGetIncome": 30,
    "fapiPrivateGetAccountConfig": 5, "fapiPrivatePostLeverage": 1, "fapiPrivatePostMarginType": 1,
    "fapiPrivatePostListenKey": 1, "fapiPrivatePutListenKey": 1, "fapiPublicGetTime": 1,
}
ALL_OPEN_ORDERS_WEIGHT: Final = 40
LISTING_WEIGHT: Final = 1
MARKS_WEIGHT: Final = 10
# fmt: on

CAPABILITIES: Final = Capabilities(
    order_types=(OrderType.LIMIT, OrderType.MARKET),
    times_in_force=tuple(TimeInForce),
    features=(
        Feature.POST_ONLY,
        Feature.REDUCE_ONLY,
        Feature.AMEND,
        Feature.AMEND_IN_PLACE,
        Feature.LEVERAGE,
        Feature.MARGIN_MODE,
        Feature.TRANSFER,
        Feature.POSITIONS,
    ),
    wallet=MARKET,
)

DIALECT: Final = Dialect(
    refusal=refusal, meanings=MEANINGS, retry_after=retry_after, shut_out=SHUT_OUT, clock=CLOCK
)

_COUNTED: Final = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}
_MODES: Final = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}
_SYMBOL: Final = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch
_COIN_MARGINED: Final = 2
"""``st`` of an event of the exchange's other futures, which share the listen key."""


class BinanceFuturesAccount(CcxtAccount):
    """One account's private connection to Binance USD-M futures. See :class:`oms.venues.adapter.Account`."""

    dialect = DIALECT
    weights = WEIGHTS

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        exchange = self.exchange
        await self.learn_time(
            lambda: self.request("fapiPublicGetTime", {}, lambda raw: self.reading(int(raw["serverTime"])))
        )
        exchange.set_markets_from_exchange(self.public)
        hedged = await patiently(
            lambda: self.request("fapiPrivateGetAccountConfig", {}, lambda raw: bool(raw["dualSidePosition"]))
        )
        if hedged:
            raise VenueError(
                Kind.REJECTED,
                "the account is in hedge mode (dualSidePosition true): close its positions and set one-way mode",
            )
        # Asked again it is the same key.
        key = await patiently(
            lambda: self.request("fapiPrivatePostListenKey", {}, lambda raw: str(raw["listenKey"]))
        )
        # ccxt takes this for its own log-in, and renews nothing: its timers would outlive the session.
        exchange.options["linear"] = {"listenKey": key, "lastAuthenticatedTime": 2**62}
        url = exchange.get_private_ws_url("linear", key)
        self.listen(on_event, self._read)
        await self.reserve(0, group=CONNECT)
        client = exchange.client(url)
        self.watch(url, exchange.watch_orders)
        await self.opened(self._connected(client))
        self._watchers.append(asyncio.create_task(self._keep_alive(key)))

    async def _connected(self, client: Any) -> None:
        lost = asyncio.create_task(self.lost())
        try:
            await asyncio.wait([client.connected, lost], return_when=asyncio.FIRST_COMPLETED)
            if not client.connected.done():
                raise StreamLost(lost.result())
            client.connected.result()
        finally:
            lost.cancel()

    async def _keep_alive(self, key: str) -> None:
        """Keep the listen key alive; lose the stream when it is gone, or cannot be known to live."""
        failed, pause = 0, KEEP_ALIVE_S
        while True:
            await asyncio.sleep(pause)
            try:
                told = await self.request(
                    "fapiPrivatePutListenKey", {}, lambda raw: str(raw.get("listenKey", key))
                )
            except VenueError as error:
                failed += 1
                log.warning("the listen key was not renewed (%s)", error)
                if error.kind in (Kind.REJECTED, Kind.AUTH_FATAL) or failed >= KEEP_ALIVE_ATTEMPTS:
                    self.lose(f"the listen key cannot be renewed: {error}")
                    return
                pause = KEEP_ALIVE_AGAIN_S
                continue
            failed, pause = 0, KEEP_ALIVE_S
            if told != key:
                self.lose("the venue gave another listen key")
                return

    def _read(self, message: Any) -> Iterable[StreamEvent]:
        if not isinstance(message, dict) or message.get("st") == _COIN_MARGINED:
            return
        kind = message.get("e")
        if kind == "ORDER_TRADE_UPDATE":
            raw = message["o"]
            if raw["ps"] != "BOTH":
                self.lose(
                    f"an order has position side {raw['ps']}: the account is not in one-way mode any more"
                )
                return
            order = read_update(raw)
            yield OrderChanged(order)
            if raw["x"] == "CALCULATED" and not order.trades:
                yield FundsMoved(f"{order.symbol} was liquidated without a trade being told")
        elif kind == "ACCOUNT_UPDATE":
            # What a trade moves is told by the trade.
            if message["a"]["m"] != "ORDER":
                yield FundsMoved(f"{kind} for {message['a']['m']}")
        elif kind == "ACCOUNT_CONFIG_UPDATE":
            yield FundsMoved(f"{kind}: {message.get('ac') or message.get('ai')}")
        elif kind == "MARGIN_CALL":
            yield FundsMoved(f"{kind} for {[each['s'] for each in message['p']]}")
        elif kind == "listenKeyExpired":
            self.lose("the listen key expired")

    # -- requests

    async def submit(self, order: Submit) -> VenueOrder:
        if order.type not in CAPABILITIES.order_types:
            raise VenueError(Kind.NOT_SENT, f"conditional orders are not offered here, was {order.type}")
        return await self.request(
            "fapiPrivatePostOrder",
            _new_order(order),
            read_order,
            priority=Priority.ORDER,
            orders=1,
            group=ORDER,
            deadline=order.deadline,
        )

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        params = {"symbol": symbol, **_named(client_id)}
        return await self.request("fapiPrivateDeleteOrder", params, read_order, priority=Priority.CANCEL)

    async def amend(self, amend: Amend) -> VenueOrder:
        if amend.type is not OrderType.LIMIT or amend.price is None:
            raise VenueError(Kind.NOT_SENT, f"only limit orders can be amended, was {amend.type}")
        params = {
            "symbol": amend.symbol,
            "origClientOrderId": amend.client_id,
            "side": amend.side.upper(),
            "quantity": text(amend.quantity),
            "price": text(amend.price),
        }
        return await self.request(
            "fapiPrivatePutOrder",
            params,
            read_order,
            priority=Priority.ORDER,
            orders=1,
            group=ORDER,
            deadline=amend.deadline,
        )

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return await self.request("fapiPrivateGetOrder", {"symbol": symbol, **_named(client_id)}, read_order)

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        params = {"symbol": symbol, "orderId": venue_order_id}
        return await self.request("fapiPrivateGetOrder", params, read_order)

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return await self.request(
            "fapiPrivateGetOpenOrders",
            {} if symbol is None else {"symbol": symbol},
            lambda rows: [read_order(row) for row in rows],
            weight=ALL_OPEN_ORDERS_WEIGHT if symbol is None else None,
        )

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        rows = await self._rows_since(
            "fapiPrivateGetAllOrders", {"symbol": symbol}, since, "orderId", "orderId"
        )
        return readings(read_order, rows)

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        rows = await self._rows_since("fapiPrivateGetUserTrades", {"symbol": symbol}, since, "id", "fromId")
        return readings(read_trade, rows)

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        """The venue lists those of the last seven days unless it is asked for other times, which takes the order's."""
        params = {"symbol": symbol, "orderId": venue_order_id}
        placed, executed = await self.request(
            "fapiPrivateGetOrder", params, lambda raw: (int(raw["time"]), Decimal(raw["executedQty"]))
        )
        rows = await self._rows("fapiPrivateGetUserTrades", params)
        listed = sum((Decimal(row["qty"]) for row in rows), Decimal(0))
        older = listed < executed and placed < self._now_ms() - WINDOW_MS
        if older or len(rows) == ROWS:
            since = placed * NS_PER_MS
            rows = await self._rows_since("fapiPrivateGetUserTrades", params, since, "id", "fromId")
        return readings(read_trade, sorted(rows, key=lambda row: int(row["id"])))

    async def totals(self) -> dict[str, Decimal]:
        def read(rows: Any) -> dict[str, Decimal]:
            totals = {row["asset"]: Decimal(row["balance"]) for row in rows}
            return {asset: total for asset, total in totals.items() if total}

        return await self.request("fapiPrivateV3GetBalance", {}, read)

    async def positions(self) -> list[VenuePosition]:
        return await self.request(
            "fapiPrivateV2GetPositionRisk",
            {},
            # What cannot be named in a subject cannot be traded here: see _read_listed.
            lambda rows: [
                read_position(row) for row in rows if row["positionSide"] == "BOTH" and _SYMBOL(row["symbol"])
            ],
        )

    async def funding_since(self, since: int) -> list[VenueFunding]:
        params = {"incomeType": "FUNDING_FEE"}
        rows = await self._rows_since("fapiPrivateGetIncome", params, since, "tranId", window_ms=KEPT_MS)
        return readings(read_funding, rows)

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        if leverage != leverage.to_integral_value():
            raise VenueError(Kind.NOT_SENT, f"leverage must be a whole number, was {leverage}")
        params = {"symbol": symbol, "leverage": text(leverage.to_integral_value())}
        await self.request("fapiPrivatePostLeverage", params, lambda raw: None)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        params = {"symbol": symbol, "marginType": _MODES[mode]}
        try:
            await self.request("fapiPrivatePostMarginType", params, lambda raw: None)
        except VenueError as error:
            if error.kind is not Kind.ALREADY_DONE:
                raise

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        return await ask_to_move(self.request, move, deadline)

    async def find_transfer(self, move: Move) -> VenueTransfer:
        return await find_move(self.request, move)

    # -- paging

    def _now_ms(self) -> int:
        return int(self.exchange.nonce())

    async def _rows(self, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        # What is no list of rows fails while it is read, as any other answer that cannot be read.
        return await self.request(
            name, {**params, "limit": ROWS}, lambda rows: [row for row in rows if row["time"]]
        )

    async def _rows_since(
        self,
        name: str,
        base: Mapping[str, Any],
        since: int,
        id_name: str,
        from_name: str | None = None,
        window_ms: int = WINDOW_MS,
    ) -> list[dict[str, Any]]:
        """Every row at or after a time, oldest first, of what the venue keeps.

        A full page may lack any row of the time asked about, so that time is halved until no page is full.

        Args:
            id_name: what tells rows of one millisecond apart.
            from_name: the parameter by which the venue pages through one millisecond; None where it cannot.
            window_ms: the longest time that may be asked about.

        Raises:
            VenueError: also UNKNOWN, when there are too many to be sure of all.
        """
        now = self._now_ms()
        start, end = since // NS_PER_MS, now + AHEAD_MS
        if start < now - KEPT_MS:
            log.warning("%s: the venue keeps 90 days, and was asked since %d", name, since)
            start = now - KEPT_MS
        spans = [(first, min(first + window_ms - 1, end)) for first in range(start, end + 1, window_ms)]
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for _ in range(PAGES_MAX):
            if not spans:
                return sorted(found.values(), key=lambda row: (row["time"], int(row[id_name])))
            first, last = spans.pop()
            page = await self._rows(name, {**base, "startTime": first, "endTime": last})
            if len(page) == ROWS and first < last:
                middle = (first + last) // 2
                spans += [(first, middle), (middle + 1, last)]
                continue
            if len(page) == ROWS:
                page += await self._rows_of_a_moment(name, base, page, id_name, from_name)
            # Both sides of a trade with oneself have one id.
            found |= {(row["symbol"], int(row[id_name]), row.get("side")): row for row in page}
        raise VenueError(Kind.UNKNOWN, f"{name} has more rows since {since} than {PAGES_MAX} requests tell")

    async def _rows_of_a_moment(
        self,
        name: str,
        base: Mapping[str, Any],
        page: list[dict[str, Any]],
        id_name: str,
        from_name: str | None,
    ) -> list[dict[str, Any]]:
        """What follows a full page of rows of one millisecond, by id. The last of them is told again: it may have two sides."""
        found: list[dict[str, Any]] = []
        moment = page[0]["time"]
        for _ in range(PAGES_MAX if from_name is not None else 0):
            last = max(int(row[id_name]) for row in page)
            page = await self._rows(name, {**base, f"{from_name}": last})
            found += page
            if len(page) < ROWS or page[-1]["time"] != moment:
                return found
        raise VenueError(Kind.UNKNOWN, f"{name} has more rows at {moment} than can be paged through")


def _named(client_id: str) -> dict[str, str]:
    venue_order_id = venue_id_in(client_id)
    return {"orderId": venue_order_id} if venue_order_id else {"origClientOrderId": client_id}


def _new_order(order: Submit) -> dict[str, str]:
    params = {
        "symbol": order.symbol,
        "side": order.side.upper(),
        "type": order.type.upper(),
        "quantity": text(order.quantity),
        "newClientOrderId": order.client_id,
        "newOrderRespType": "RESULT",
    }
    if order.type is OrderType.LIMIT:
        assert order.price is not None, f"{order.client_id} is a limit order without a price"
        params["price"] = text(order.price)
        # The engine itself ends a GTD order: the venue's own may end late.
        good_for = TimeInForce.GTC if order.time_in_force is TimeInForce.GTD else order.time_in_force
        params["timeInForce"] = "GTX" if order.post_only else good_for
    if order.reduce_only:
        params["reduceOnly"] = "true"
    return params


class BinanceFutures(CcxtMarket):
    """Binance USD-M futures without a key. See :class:`oms.venues.adapter.Market`."""

    exchange = EXCHANGE
    market = MARKET
    kind = hooked(ccxt.pro.binanceusdm)
    capabilities = CAPABILITIES
    amends_in_place = True

    def options(self) -> dict[str, Any]:
        return {
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": ["linear"]},
            "recvWindow": self.reach.recv_window_ms,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
            # ccxt would ask for positions by itself, past our limits.
            "watchPositions": {"fetchPositionsSnapshot": False},
        }

    def connection(self, key: Key | None) -> Any:
        if not self.reach.test_net:
            return super().connection(key)
        # The venue closed the futures test net that ccxt calls its sandbox: demo trading took its place.
        reach = attrs.evolve(self.reach, test_net=False)
        exchange = make_exchange(self.kind, reach, self.options(), key)
        exchange.enable_demo_trading(True)
        return exchange

    async def open(self) -> list[InstrumentSpec]:
        await self.reserve(2 * LISTING_WEIGHT)
        found = await listing(self.public, _read_listed)
        try:
            limits = (await self.public.fapiPublicGetExchangeInfo())["rateLimits"]
        except ccxt.BaseError as error:
            raise VenueError(Kind.UNKNOWN, f"the limits cannot be read: {type(error).__name__}") from None
        for limit in limits:
            counted = _COUNTED.get(limit["rateLimitType"])
            rule = f"{counted} {limit['intervalNum']}{limit['interval'][0].lower()}"
            if rule in RULES:
                self.budgets.pool.set_limit(rule, int(limit["limit"]))
        return [each for each in found if each is not None]

    def account(self, name: str) -> BinanceFuturesAccount:
        return BinanceFuturesAccount(
            self.connection(self.key(name)),
            self.public,
            self.budgets.of(name),
            self.reach.recv_window_ms / 1000,
        )

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        wanted = set(symbols)
        with lost_if_failing():
            await self.reserve(MARKS_WEIGHT)
            rows = await self.public.fapiPublicGetPremiumIndex()
        return {row["symbol"]: Decimal(row["markPrice"]) for row in rows if row["symbol"] in wanted}

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        names = self.names(symbols)
        async for tickers in stream(lambda: self.public.watch_mark_prices(names)):
            rows = (ticker["info"] for ticker in tickers.values())
            yield {raw["s"]: Decimal(raw["p"]) for raw in rows}

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        names = self.names(symbols)
        async for tickers in stream(lambda: self.public.watch_bids_asks(names)):
            for ticker in tickers.values():
                yield read_quote(ticker["info"])

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        (name,) = self.names([symbol])
        async for book in stream(lambda: self.public.watch_order_book(name, BOOK_LEVELS)):
            yield read_book(symbol, book)

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        (name,) = self.names([symbol])
        async for trades in stream(lambda: self.public.watch_trades(name)):
            for trade in trades:
                yield read_public_trade(trade["info"])


def _read_listed(raw: Mapping[str, Any]) -> InstrumentSpec | None:
    """A symbol that is traded in and settled in its quote asset, and whose name can be part of a subject."""
    if raw["marginAsset"] != raw["quoteAsset"]:
        return None
    if _SYMBOL(raw["symbol"]) is None:
        log.warning("%r cannot be traded: its name is no part of a subject", raw["symbol"])
        return None
    return read_instrument(raw)
