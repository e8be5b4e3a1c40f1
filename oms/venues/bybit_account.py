"""An account's private connection to Bybit v5: what is asked, and what the stream tells.

The venue says only that it has taken a new order, a change or a cancel: what became of it comes on the private stream, or is
looked up. Orders are told by one topic and their trades by another. Orders change in place and keep their client order id.
"""

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from oms.messages.enums import MarginMode, OrderType, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.venues import bybit_payloads as payloads
from oms.venues.adapter import (
    FundsMoved,
    Move,
    OrderChanged,
    Party,
    State,
    StreamEvent,
    Traded,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.bybit_meanings import LEVERAGE_STANDS, MARGIN_MODE_STANDS, MEANINGS, refusal
from oms.venues.dialect import Dialect
from oms.venues.errors import Kind, StreamLost, VenueError
from oms.venues.limiter import Priority
from oms.venues.notation import NS_PER_MS, RETRY_AFTER_S, at_ms, nameless, text
from oms.venues.over_ccxt import CcxtAccount
from oms.venues.patience import patiently
from oms.venues.pools import CONNECT, TRANSFER, TRANSFERS

T = TypeVar("T")

SPOT: Final = "spot"
LINEAR: Final = "linear"
WALLET: Final = "unified"
TOPICS: Final = ["order", "execution", "wallet", "position"]
ORDERS_A_PAGE: Final = 50
TRADES_A_PAGE: Final = 100
PAYMENTS_A_PAGE: Final = 50
POSITIONS_A_PAGE: Final = 200
PAGES_MAX: Final = 200
WINDOW_NS: Final = 7 * 86_400 * 10**9
"""How far from a start time the venue looks."""
AUTH_EXPIRES_MS: Final = 10_000
SETTLES_WITHIN_MS: Final = 2_000
"""A wallet that changes so soon after a trade changed because of it."""
WAIT_MAX_S: Final = 60.0
SHUT_OUT: Final[frozenset[int | str]] = frozenset({403})
SHUT_OUT_S: Final = 600.0
"""Whoever asks too often is shut out by address; Bybit wants ten minutes of silence."""
OUR_TRANSFERS: Final = uuid.UUID("5b1f8a52-0b0f-4f63-9d33-6f2d1c7d5e10")
"""Of the transfer ids that are made from our references."""

ACCOUNT_TYPES: Final = {WALLET: "UNIFIED", "funding": "FUND"}
MODE_NAMES: Final = {MarginMode.CROSS: "REGULAR_MARGIN", MarginMode.ISOLATED: "ISOLATED_MARGIN"}
SIDE_NAMES: Final = {side: name for name, side in payloads.SIDES.items()}
_RISES, _FALLS = 1, 2


def _retry_after(status: int | None, headers: Mapping[str, str]) -> float:
    """When the venue says that its limit is free again, by our clock; it says so in UTC ms."""
    if status in SHUT_OUT:
        return SHUT_OUT_S
    reset = headers.get("x-bapi-limit-reset-timestamp", "")
    if not reset.isdecimal():
        return RETRY_AFTER_S
    return min(max(int(reset) / 1000 - time.time(), 0.0), WAIT_MAX_S)


DIALECT: Final = Dialect(
    refusal=refusal,
    meanings=MEANINGS,
    retry_after=_retry_after,
    shut_out=SHUT_OUT,
    clock=frozenset({"10002"}),
)


class BybitAccount(CcxtAccount):
    """One account's private connection to one market of Bybit. See :class:`oms.venues.adapter.Account`.

    Args:
        category: the venue's name of the market.
        assets: base and quote of spot symbols, as they are listed.
    """

    dialect = DIALECT

    def __init__(self, category: str, assets: Mapping[str, tuple[str, str]], *args: Any) -> None:
        super().__init__(*args)
        self.category = category
        self._assets = assets
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._balances: dict[str, Decimal] = {}
        self._leverages: dict[str, str] = {}
        self._traded_ms = 0

    # -- the private stream

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        exchange = self.exchange
        await self.learn_time(
            lambda: self._request("publicGetV5MarketTime", {}, lambda raw: self.reading(int(raw["time"])))
        )
        exchange.set_markets_from_exchange(self.public)
        self.listen(on_event, self._read)
        # A bad key is told here in the venue's words.
        self._balances = await patiently(self._wallet)
        url = exchange.implode_hostname(exchange.urls["api"]["ws"]["private"]["contract"])
        await self.reserve(0, group=CONNECT)
        await self.opened(exchange.authenticate(url, {"args": self._signed()}))
        self.watch(url, lambda: exchange.watch_topics(url, ["private"], TOPICS))
        await self.opened(self._until_subscribed())

    def _now_ms(self) -> int:
        """The venue's time."""
        return int(self.exchange.nonce())

    def _signed(self) -> list[Any]:
        """What logs in to the stream. ccxt would sign by our own clock."""
        exchange, expires = self.exchange, self._now_ms() + AUTH_EXPIRES_MS
        words, secret = f"GET/realtime{expires}".encode(), exchange.secret.encode()
        return [exchange.apiKey, expires, hmac.new(secret, words, hashlib.sha256).hexdigest()]

    async def _until_subscribed(self) -> None:
        lost = asyncio.create_task(self.lost())
        lost.add_done_callback(lambda task: self._subscribed.cancel())
        try:
            await self._subscribed
        except asyncio.CancelledError:
            if not lost.done():
                raise
            raise StreamLost(lost.result()) from None
        finally:
            lost.cancel()

    def _read(self, message: Any) -> Iterable[StreamEvent]:
        if not isinstance(message, dict):
            return
        topic = message.get("topic")
        if topic is None:
            if message.get("op") == "subscribe":
                self._acknowledged(message)
            return
        if topic == "wallet":
            yield from self._wallet_changed(message)
            return
        if topic not in TOPICS:
            return
        for raw in message["data"]:
            if topic == "execution":
                # Of whichever market: the wallet is the same.
                self._traded_ms = max(self._traded_ms, int(raw["execTime"]))
            if raw["category"] != self.category or not payloads.is_listed(self.category, raw["symbol"]):
                continue
            if topic == "order":
                yield OrderChanged(payloads.read_order(self.category, raw))
            elif topic == "position":
                yield from self._position_changed(raw)
            elif raw["execType"] in payloads.TRADES:
                yield Traded(self._trade(raw))
            elif raw["execType"] in payloads.CASH:
                yield FundsMoved(f"{raw['execType']} of {raw['symbol']}: {raw['execFee']}")
            else:
                raise ValueError(f"an execution of type {raw['execType']!r}")

    def _acknowledged(self, message: Mapping[str, Any]) -> None:
        if message["success"] is not True:
            self.lose(f"the venue does not subscribe: {message.get('ret_msg')}")
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _wallet_changed(self, message: Mapping[str, Any]) -> Iterable[StreamEvent]:
        """The topic tells every change, trades' among them, and not why: those soon after a trade are taken for its."""
        for account in message["data"]:
            told = payloads.read_balances(account)
            changed = {coin for coin, total in told.items() if total != self._balances.get(coin, Decimal(0))}
            self._balances |= told
            if changed and int(message["creationTime"]) - self._traded_ms > SETTLES_WITHIN_MS:
                yield FundsMoved(f"the wallet changed: {', '.join(sorted(changed))}")

    def _position_changed(self, raw: Mapping[str, Any]) -> Iterable[StreamEvent]:
        """Trades tell what they change themselves; a change of leverage is told by nothing else."""
        symbol, leverage = raw["symbol"], raw["leverage"]
        if self._leverages.setdefault(symbol, leverage) != leverage:
            self._leverages[symbol] = leverage
            yield FundsMoved(f"the leverage of {symbol} is now {leverage}")

    def _trade(self, raw: Mapping[str, Any]) -> VenueTrade:
        return payloads.read_trade(self.category, raw, self._assets)

    # -- requests

    async def _request(self, name: str, params: dict[str, Any], read: Callable[[Any], T], **more: Any) -> T:
        return await self.request(name, params, read, **more)

    def _which(self, symbol: str, client_id: str) -> dict[str, Any]:
        """How an order is named to the venue: one that nobody gave a client id by the venue's own."""
        venue_order_id = nameless(client_id)
        name = {"orderLinkId": client_id} if venue_order_id is None else {"orderId": venue_order_id}
        return {"category": self.category, "symbol": symbol, **name}

    async def submit(self, order: Submit) -> VenueOrder:
        params = self._new_order(order)
        begun = time.monotonic()
        return await self._request(
            "privatePostV5OrderCreate",
            params,
            lambda raw: _taken(order, raw, time.monotonic() - begun),
            orders=1,
            group=f"{self.category}.create",
            symbol=order.symbol,
            priority=Priority.ORDER,
            deadline=order.deadline,
        )

    def _new_order(self, order: Submit) -> dict[str, Any]:
        limit = order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        params: dict[str, Any] = {
            "category": self.category,
            "symbol": order.symbol,
            "side": SIDE_NAMES[order.side],
            "orderType": "Limit" if limit else "Market",
            "qty": text(order.quantity),
            "orderLinkId": order.client_id,
        }
        if limit:
            assert order.price is not None, f"{order.client_id} is a {order.type} without a price"
            params["price"] = text(order.price)
            # The engine itself ends a GTD order: the venue has no such time in force.
            good_for = TimeInForce.GTC if order.time_in_force is TimeInForce.GTD else order.time_in_force
            params["timeInForce"] = "PostOnly" if order.post_only else str(good_for)
        if self.category == SPOT:
            if not limit:
                # Otherwise the quantity of a buy is what to spend.
                params["marketUnit"] = "baseCoin"
            if order.trigger_price is not None or order.reduce_only:
                raise VenueError(Kind.NOT_SENT, "spot has no stop orders here, and nothing to reduce")
            return params
        params["positionIdx"] = 0
        if order.reduce_only:
            params["reduceOnly"] = True
        if order.trigger_price is not None:
            params["triggerPrice"] = text(order.trigger_price)
            params["triggerBy"] = "LastPrice"
            params["triggerDirection"] = _RISES if params["side"] == "Buy" else _FALLS
        return params

    async def cancel(self, symbol: str, client_id: str) -> None:
        await self._request(
            "privatePostV5OrderCancel",
            self._which(symbol, client_id),
            lambda raw: raw["result"]["orderId"],
            group=f"{self.category}.cancel",
            symbol=symbol,
            priority=Priority.CANCEL,
        )

    async def amend(self, amend: Amend) -> None:
        params = {**self._which(amend.symbol, amend.client_id), "qty": text(amend.quantity)}
        if amend.price is not None:
            params["price"] = text(amend.price)
        await self._request(
            "privatePostV5OrderAmend",
            params,
            lambda raw: raw["result"]["orderId"],
            orders=1,
            group=f"{self.category}.amend",
            symbol=amend.symbol,
            priority=Priority.ORDER,
            deadline=amend.deadline,
        )

    # -- looking

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return await self._find(self._which(symbol, client_id))

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        return await self._find({"category": self.category, "symbol": symbol, "orderId": venue_order_id})

    async def _find(self, which: dict[str, Any]) -> VenueOrder:
        for name, group in (
            ("privateGetV5OrderRealtime", "realtime"),
            ("privateGetV5OrderHistory", "history"),
        ):
            for raw in await self._request(name, which, lambda raw: raw["result"]["list"], group=group):
                # The venue looks by id alone, and the same id may be of another symbol.
                if raw["symbol"] == which["symbol"]:
                    return payloads.read_order(self.category, raw)
        raise VenueError(Kind.NOT_FOUND, f"no order {which.get('orderLinkId') or which.get('orderId')}")

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return await self._realtime(symbol, {})

    async def _realtime(self, symbol: str | None, more: dict[str, Any], since: int = 0) -> list[VenueOrder]:
        """Orders from the venue's memory, newest first, back to those made before a time."""
        params: dict[str, Any] = {"category": self.category, **more}
        if symbol is not None:
            params["symbol"] = symbol
        elif self.category == LINEAR:
            params["settleCoin"] = payloads.SETTLE
        rows = await self._rows(
            "privateGetV5OrderRealtime", params, "realtime", ORDERS_A_PAGE, "createdTime", since
        )
        return [
            payloads.read_order(self.category, raw)
            for raw in rows
            if payloads.is_listed(self.category, raw["symbol"])
        ]

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        """Open ones, the recently closed ones that the venue remembers, and its history, which may lag behind."""
        found = await self.open_orders(symbol)
        found += await self._realtime(symbol, {"openOnly": 1}, since)
        history = await self._rows_since(
            "privateGetV5OrderHistory", {"symbol": symbol}, "history", ORDERS_A_PAGE, since
        )
        found += [payloads.read_order(self.category, raw) for raw in history]
        # The last word on each: what was open when asked may be closed in the next list.
        return list({order.venue_order_id: order for order in found}.values())

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        rows = await self._rows_since(
            "privateGetV5ExecutionList", {"symbol": symbol}, "executions", TRADES_A_PAGE, since
        )
        return [trade for trade in self._trades(rows) if trade.time >= since - NS_PER_MS]

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        params = {"category": self.category, "symbol": symbol, "orderId": venue_order_id}
        return self._trades(
            await self._rows("privateGetV5ExecutionList", params, "executions", TRADES_A_PAGE)
        )

    def _trades(self, rows: list[dict[str, Any]]) -> list[VenueTrade]:
        # The venue lists the newest first, and many have the same time.
        trades = {
            raw["execId"]: self._trade(raw) for raw in reversed(rows) if raw["execType"] not in payloads.CASH
        }
        return sorted(trades.values(), key=lambda trade: trade.time)

    async def _rows(
        self, name: str, params: dict[str, Any], group: str, limit: int, time_name: str = "", since: int = 0
    ) -> list[dict[str, Any]]:
        """Every row, page by page; no further than to those before a time, of lists that begin with the newest."""
        found: list[dict[str, Any]] = []
        params = {**params, "limit": limit}
        for _ in range(PAGES_MAX):
            page = await self._request(name, params, lambda raw: raw["result"], group=group)
            found += page["list"]
            cursor = page.get("nextPageCursor")
            if not cursor or not page["list"]:
                return found
            if since and at_ms(page["list"][-1][time_name]) < since:
                return found
            params["cursor"] = cursor
        raise VenueError(Kind.UNKNOWN, f"{name} has over {PAGES_MAX * limit:,} rows for {params}")

    async def _rows_since(
        self, name: str, params: dict[str, Any], group: str, limit: int, since: int
    ) -> list[dict[str, Any]]:
        """Every row from a time until now, in windows as long as the venue takes."""
        found: list[dict[str, Any]] = []
        start, now = max(since, 0), at_ms(self._now_ms())
        if (now - start) // WINDOW_NS >= PAGES_MAX:
            raise VenueError(Kind.NOT_SENT, f"{name} cannot be asked for all that is since {since}")
        while start <= now:
            window = {"category": self.category, **params, "startTime": start // NS_PER_MS}
            found += await self._rows(name, window, group, limit)
            start += WINDOW_NS
        return found

    # -- funds, positions and settings

    async def _wallet(self) -> dict[str, Decimal]:
        return await self._request(
            "privateGetV5AccountWalletBalance",
            {"accountType": ACCOUNT_TYPES[WALLET]},
            lambda raw: payloads.read_balances(raw["result"]["list"][0]),
            group="wallet",
        )

    async def totals(self) -> dict[str, Decimal]:
        return {coin: total for coin, total in (await self._wallet()).items() if total}

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        params = {
            "transferId": transfer_id(move.reference),
            "coin": move.asset,
            "amount": text(move.amount),
            "fromMemberId": _member(move.source),
            "toMemberId": _member(move.target),
            "fromAccountType": _account_type(move.source),
            "toAccountType": _account_type(move.target),
        }
        return await self._request(
            "privatePostV5AssetTransferUniversalTransfer",
            params,
            lambda raw: payloads.read_transfer(raw["result"]),
            group=TRANSFER,
            priority=Priority.ORDER,
            deadline=deadline,
        )

    async def find_transfer(self, move: Move) -> VenueTransfer:
        """Among those of the last seven days."""
        ours = transfer_id(move.reference)

        def read(raw: Any) -> VenueTransfer | None:
            rows = [row for row in raw["result"]["list"] if row["transferId"] == ours]
            return payloads.read_transfer(rows[0]) if rows else None

        name = "privateGetV5AssetTransferQueryUniversalTransferList"
        found = await self._request(name, {"transferId": ours}, read, group=TRANSFERS)
        if found is None:
            raise VenueError(Kind.NOT_FOUND, "the venue shows no such transfer")
        return found


class BybitFuturesAccount(BybitAccount):
    """The same at the linear perpetuals: positions, funding and terms."""

    async def _margin_mode(self) -> MarginMode:
        return await self._request(
            "privateGetV5AccountInfo",
            {},
            lambda raw: payloads.read_margin_mode(raw["result"]),
            group="account",
        )

    async def positions(self) -> list[VenuePosition]:
        mode = await self._margin_mode()
        rows = await self._positions(payloads.SETTLE)
        if any(raw["positionIdx"] not in (0, "0") and Decimal(raw["size"] or 0) for raw in rows):
            raise VenueError(
                Kind.UNKNOWN, "the account has positions in hedge mode: switch it to one-way mode"
            )
        return [
            payloads.read_position(raw, mode)
            for raw in rows
            if raw["positionIdx"] in (0, "0") and payloads.is_listed(LINEAR, raw["symbol"])
        ]

    async def _positions(self, settle: str) -> list[dict[str, Any]]:
        params = {"category": LINEAR, "settleCoin": settle}
        return await self._rows("privateGetV5PositionList", params, "positions", POSITIONS_A_PAGE)

    async def funding_since(self, since: int) -> list[VenueFunding]:
        rows = await self._rows_since(
            "privateGetV5AccountTransactionLog",
            {"accountType": ACCOUNT_TYPES[WALLET], "type": "SETTLEMENT"},
            "transactions",
            PAYMENTS_A_PAGE,
            since,
        )
        payments = {
            raw["id"]: payloads.read_funding(raw)
            for raw in reversed(rows)
            if raw["currency"] == payloads.SETTLE
        }
        found = [each for each in payments.values() if each.time >= since - NS_PER_MS]
        return sorted(found, key=lambda payment: payment.time)

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        params = {
            "category": LINEAR,
            "symbol": symbol,
            "buyLeverage": text(leverage),
            "sellLeverage": text(leverage),
        }
        await self._set("privatePostV5PositionSetLeverage", params, "leverage", LEVERAGE_STANDS)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """The venue knows one mode for the whole account: it is changed only while nothing of another symbol stands on it."""
        if await self._margin_mode() is mode:
            return
        others = set()
        for settle in (payloads.SETTLE, "USDC"):
            others |= {raw["symbol"] for raw in await self._positions(settle) if Decimal(raw["size"] or 0)}
            orders = {"category": LINEAR, "settleCoin": settle}
            rows = await self._rows("privateGetV5OrderRealtime", orders, "realtime", ORDERS_A_PAGE)
            others |= {raw["symbol"] for raw in rows}
        others.discard(symbol)
        if others:
            why = f"the margin mode is the whole account's, and {', '.join(sorted(others)[:5])} would change with it"
            raise VenueError(Kind.NOT_SENT, why)
        params = {"setMarginMode": MODE_NAMES[mode]}
        await self._set("privatePostV5AccountSetMarginMode", params, "margin_mode", MARGIN_MODE_STANDS)

    async def _set(self, name: str, params: dict[str, Any], group: str, stands: str) -> None:
        try:
            await self._request(name, params, lambda raw: None, group=group)
        except VenueError as error:
            if not error.reason.startswith(f"{stands} "):
                raise


def transfer_id(reference: str) -> str:
    """The venue's form of our reference: the same UUID each time."""
    return str(uuid.uuid5(OUR_TRANSFERS, reference))


def _member(party: Party) -> int:
    if not party.named.isdecimal():
        why = f"Bybit calls accounts by UID, a number: accounts.{party.account}.venue_ids has {party.venue_id!r}"
        raise VenueError(Kind.NOT_SENT, why)
    return int(party.named)


def _account_type(party: Party) -> str:
    if party.wallet not in ACCOUNT_TYPES:
        raise VenueError(Kind.NOT_SENT, f"wallets are {', '.join(ACCOUNT_TYPES)}, was {party.wallet}")
    return ACCOUNT_TYPES[party.wallet]


def _taken(order: Submit, raw: Mapping[str, Any], took_s: float) -> VenueOrder:
    """The order as it was sent: the venue tells its id alone.

    Its time is no later than when it was made, so that nothing the stream tells of it seems older than this.
    """
    return VenueOrder(
        client_id=order.client_id,
        venue_order_id=raw["result"]["orderId"],
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        quantity=order.quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        state=State.WORKING,
        cumulative=Decimal(0),
        time=at_ms(int(raw["time"]) - int(took_s * 1000) - 1),
    )
