"""An account's private connection to OKX, as far as it is the same for spot and swaps.

OKX's stop orders are another kind of thing (algo orders, which make an order when they trigger): they are not offered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

import attrs
import ccxt.pro

from oms.messages.desk import TransferState
from oms.messages.enums import OrderType, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.venues.adapter import (
    AmendRefused,
    FundsMoved,
    Move,
    OrderChanged,
    Party,
    State,
    StreamEvent,
    VenueOrder,
    VenueTrade,
    VenueTransfer,
)
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Limiter, Priority
from oms.venues.notation import NS_PER_MS, at_ms, nameless, text
from oms.venues.okx_codes import CLOCK_CODES, DIALECT
from oms.venues.okx_payloads import (
    Raw,
    read_change,
    read_order,
    read_totals,
    read_trade,
    read_transfer,
    trade_time,
)
from oms.venues.over_ccxt import CcxtAccount
from oms.venues.patience import patiently
from oms.venues.pools import CONNECT, TRANSFER, TRANSFERS

T = TypeVar("T")

ROWS: Final = 100
PAGES_MAX: Final = 200
DAY_NS: Final = 86_400 * 10**9
RECENT_NS: Final = {"orders": 6 * DAY_NS, "trades": 5 * DAY_NS // 2, "bills": 6 * DAY_NS}
"""What is younger is in the short history (7 days, 3 days, 7 days), the rest in the long one."""
HISTORY_NS: Final = 89 * DAY_NS
"""The long ones reach back three months."""

# fmt: off
GROUPS: Final = {
    "privatePostTradeOrder": "order", "privatePostTradeAmendOrder": "amend", "privatePostTradeCancelOrder": "cancel",
    "privateGetTradeOrder": "order_details", "privateGetTradeOrdersPending": "orders_pending",
    "privateGetTradeOrdersHistory": "orders_history", "privateGetTradeOrdersHistoryArchive": "orders_history",
    "privateGetTradeFills": "fills", "privateGetTradeFillsHistory": "fills_history",
    "privateGetAccountBalance": "balance", "privateGetAccountPositions": "positions",
    "privateGetAccountBills": "bills", "privateGetAccountBillsArchive": "bills",
    "privateGetAccountConfig": "account", "privateGetAccountLeverageInfo": "leverage",
    "privatePostAccountSetLeverage": "leverage",
    "privatePostAssetTransfer": TRANSFER, "privateGetAssetTransferState": TRANSFERS,
    "publicGetPublicTime": "public",
}
# fmt: on

WALLETS: Final = {"funding": "6", "unified": "18"}
"""Our names of OKX's funding and trading accounts."""
NO_TRANSFER: Final = frozenset({"51000", "58129"})
"""How OKX has answered, over the years, for a client id that it does not know."""
MOVE_WINDOW_S: Final = 30.0
"""OKX discards only orders by a time of ours; anything else it takes for as long as its timestamp is good."""

_TIMED: Final = frozenset({"trade/order", "trade/amend-order"})
"""Requests that OKX discards after a time of ours."""


class okx(ccxt.pro.okx):
    """ccxt's, with our deadline in what may have a deadline, and with the venue's clock in logins, too."""

    def sign(
        self, path: Any, api: Any = "public", method: Any = "GET", params: Any = None, *more: Any
    ) -> Any:
        signed = super().sign(path, api, method, {} if params is None else params, *more)
        if path in _TIMED:
            signed["headers"]["expTime"] = str(self.nonce() + self.options["recvWindow"])
        return signed

    def seconds(self) -> int:
        return int(self.nonce()) // 1000

    # What these two are told is read before ccxt sees it; ccxt stumbles over what was listed after it looked.

    def handle_orders(self, client: Any, message: Any) -> None:
        pass

    def handle_balance_and_position(self, client: Any, message: Any) -> None:
        pass


def rows_of(raw: Any) -> list[Raw]:
    return list(raw["data"])


def _taken(raw: Any) -> Raw:
    """The answer to one order; one that says no is no answer."""
    (row,) = raw["data"]
    if row["sCode"] != "0":
        raise ValueError(f"refused with {row['sCode']}")
    return dict(row)


class OkxAccount(CcxtAccount):
    """One account's private connection to one market of OKX. See :class:`oms.venues.adapter.Account`."""

    dialect = DIALECT

    def __init__(self, exchange: Any, public: Any, limiter: Limiter, accept_window_s: float) -> None:
        super().__init__(exchange, public, limiter, accept_window_s)
        self.move_window_s = MOVE_WINDOW_S
        self.types: tuple[str, ...] = ()
        """OKX's instrument types that the market is made of."""
        self._silent: set[tuple[str, str]] = set()
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- the private stream

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        exchange = self.exchange
        await self.learn_time(
            lambda: self.ask("publicGetPublicTime", {}, lambda raw: self.reading(int(rows_of(raw)[0]["ts"])))
        )
        exchange.set_markets_from_exchange(self.public)
        # A bad key is told here in the venue's words.
        config = await patiently(lambda: self.ask("privateGetAccountConfig", {}, lambda raw: rows_of(raw)[0]))
        self.check(config)
        self.listen(on_event, self._read)
        await self.reserve(0, group=CONNECT)
        await self.opened(exchange.authenticate())
        channels = [("orders", kind) for kind in self.types] + [("balance_and_position", "")]
        self._silent = set(channels)
        self.watch(exchange.get_url("orders", "private"), *(self._channel(*each) for each in channels))
        await self.opened(asyncio.wait([self._subscribed, self._lost], return_when=asyncio.FIRST_COMPLETED))
        if self._lost.done():
            raise VenueError(Kind.UNKNOWN, f"the private stream did not open: {self._lost.result()}")

    def check(self, config: Raw) -> None:
        """Learn how the account is set up.

        Raises:
            VenueError: REJECTED, it cannot be traded with as it is.
        """
        raise NotImplementedError

    def mine(self, raw: Raw) -> bool:
        """Whether an order, trade, position or bill is of this market."""
        return raw["instType"] in self.types

    def _channel(self, name: str, kind: str) -> Callable[[], Awaitable[Any]]:
        more = {"instType": kind} if kind else {}
        return lambda: self.exchange.subscribe("private", f"{name} {kind}", name, None, more)

    def _read(self, message: Any) -> Iterable[StreamEvent]:
        if not isinstance(message, dict):
            return
        if "event" in message:
            self._told(message)
            return
        channel = message.get("arg", {}).get("channel")
        if channel == "orders":
            for raw in message["data"]:
                if self.mine(raw):
                    yield from self._changed(raw)
        elif channel == "balance_and_position":
            for raw in message["data"]:
                if raw["eventType"] not in ("snapshot", "filled"):
                    yield FundsMoved(f"{raw['eventType']} at {raw['pTime']}")

    def _told(self, message: Raw) -> None:
        event, arg = message["event"], message.get("arg") or {}
        if event == "subscribe":
            self._silent.discard((arg["channel"], arg.get("instType", "")))
            if not self._silent and not self._subscribed.done():
                self._subscribed.set_result(None)
        elif event in ("error", "notice", "channel-conn-count-error"):
            self.lose(f"the venue said {event}: {message.get('code', '')} {message.get('msg', '')}")

    @staticmethod
    def _changed(raw: Raw) -> Iterable[StreamEvent]:
        order, trade = read_change(raw)
        yield OrderChanged(order if trade is None else attrs.evolve(order, trades=(trade,)))
        if raw.get("amendResult") == "-1":
            # Taken before, and then not done.
            reason = f"{raw.get('code', '')} {raw.get('msg', '')}".strip()
            yield AmendRefused(order.symbol, order.client_id, reason, order.time)
        if trade is None and Decimal(raw["fillSz"] or 0):
            yield FundsMoved(f"order {order.venue_order_id} of {order.symbol} traded without a trade id")

    # -- requests

    async def ask(self, name: str, params: Mapping[str, Any], read: Callable[[Any], T], **more: Any) -> T:
        try:
            return await self.request(name, params, read, group=GROUPS[name], **more)
        except VenueError as error:
            if error.reason.startswith(CLOCK_CODES):
                # Another session learns the venue's clock anew.
                self.lose(f"our clock and the venue's have parted: {error.reason}")
            raise

    async def _pages(self, name: str, params: Mapping[str, Any], id_name: str) -> list[Raw]:
        """All rows of all pages, newest first."""
        found: list[Raw] = []
        page_params = {**params, "limit": str(ROWS)}
        for _ in range(PAGES_MAX):
            page = await self.ask(name, page_params, rows_of)
            found += page
            if len(page) < ROWS:
                return found
            page_params["after"] = page[-1][id_name]
        raise VenueError(Kind.UNKNOWN, f"{name} has over {PAGES_MAX * ROWS:,} rows for {dict(params)}")

    async def history(self, what: str, since: int, params: Mapping[str, Any]) -> list[Raw]:
        """Rows since a time, each once, from the short and if need be from the long history.

        Raises:
            VenueError: UNKNOWN, it is further back than the venue tells.
        """
        short, long, id_name = _HISTORIES[what]
        now = time.time_ns()
        if since < now - HISTORY_NS:
            raise VenueError(
                Kind.UNKNOWN, f"the venue tells no {what} older than three months, asked since {since}"
            )
        params = {**params, "begin": str(since // NS_PER_MS - 1)}
        found: dict[str, Raw] = {}
        for kind in self.types:
            rows: list[Raw] = []
            if since < now - RECENT_NS[what]:
                rows += await self._pages(long, {**params, "instType": kind}, id_name)
            rows += await self._pages(short, {**params, "instType": kind}, id_name)
            # What is in both was read later from the short one.
            found |= {row[id_name]: row for row in rows}
        return [row for row in found.values() if self.mine(row)]

    # -- orders

    def trade_mode(self, symbol: str) -> str:
        """OKX's ``tdMode`` for a new order."""
        raise NotImplementedError

    def new_order(self, order: Submit) -> dict[str, Any]:
        """What OKX takes for it.

        Raises:
            VenueError: NOT_SENT, it takes no such order.
        """
        params: dict[str, Any] = {
            "instId": order.symbol,
            "tdMode": self.trade_mode(order.symbol),
            "clOrdId": order.client_id,
            "side": str(order.side),
            "sz": text(order.quantity),
        }
        if order.type is OrderType.MARKET:
            return {**params, "ordType": "market"}
        if order.type is not OrderType.LIMIT:
            raise VenueError(Kind.NOT_SENT, f"a {order.type} is an algo order at OKX, which is not offered")
        assert order.price is not None, f"{order.client_id} is a limit order without a price"
        params["px"] = text(order.price)
        if order.post_only:
            return {**params, "ordType": "post_only"}
        kinds = {TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
        # The engine itself ends a GTD order: the venue has no such time in force.
        return {**params, "ordType": kinds.get(order.time_in_force, "limit")}

    async def submit(self, order: Submit) -> VenueOrder:
        row = await self.ask(
            "privatePostTradeOrder",
            self.new_order(order),
            _taken,
            symbol=order.symbol,
            priority=Priority.ORDER,
            orders=1,
            deadline=order.deadline,
        )
        return VenueOrder(
            client_id=order.client_id,
            venue_order_id=row["ordId"],
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            time_in_force=order.time_in_force,
            quantity=order.quantity,
            price=order.price,
            trigger_price=None,
            state=State.WORKING,
            cumulative=Decimal(0),
            time=at_ms(row["ts"]) if row.get("ts") else time.time_ns(),
        )

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder | None:
        await self.ask(
            "privatePostTradeCancelOrder",
            _which(symbol, client_id),
            _taken,
            symbol=symbol,
            priority=Priority.CANCEL,
        )
        return None

    async def amend(self, amend: Amend) -> VenueOrder | None:
        params = {**_which(amend.symbol, amend.client_id), "newSz": text(amend.quantity)}
        if amend.price is not None:
            params["newPx"] = text(amend.price)
        await self.ask(
            "privatePostTradeAmendOrder",
            params,
            _taken,
            symbol=amend.symbol,
            priority=Priority.ORDER,
            orders=1,
            deadline=amend.deadline,
        )
        return None

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return read_order(await self._order(_which(symbol, client_id)))

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        return read_order(await self._order({"instId": symbol, "ordId": venue_order_id}))

    async def _order(self, params: Mapping[str, Any]) -> Raw:
        return await self.ask("privateGetTradeOrder", params, lambda raw: rows_of(raw)[0])

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return [read_order(raw) for raw in await self.pending(symbol)]

    async def pending(self, symbol: str | None) -> list[Raw]:
        """Every open order, of one symbol or of all, in OKX's words."""
        which = {} if symbol is None else {"instId": symbol}
        found: dict[str, Raw] = {}
        for kind in self.types:
            rows = await self._pages("privateGetTradeOrdersPending", {**which, "instType": kind}, "ordId")
            found |= {row["ordId"]: row for row in rows}
        return [row for row in found.values() if self.mine(row)]

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        found = {row["ordId"]: row for row in await self.pending(symbol)}
        # One that ends in between is in both, and was read later there.
        found |= {row["ordId"]: row for row in await self.history("orders", since, {"instId": symbol})}
        return [read_order(row) for row in found.values() if at_ms(row["cTime"]) >= since - NS_PER_MS]

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        return _trades(await self.history("trades", since, {"instId": symbol}), since)

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        try:
            since = at_ms((await self._order({"instId": symbol, "ordId": venue_order_id}))["cTime"])
        except VenueError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            since = time.time_ns() - HISTORY_NS + DAY_NS
        # An order may be older than all that is told: then the rest of its trades is not to be had.
        since = max(since, time.time_ns() - HISTORY_NS + DAY_NS)
        params = {"instId": symbol, "ordId": venue_order_id}
        return _trades(await self.history("trades", since, params), since)

    # -- funds

    async def totals(self) -> dict[str, Decimal]:
        return await self.ask("privateGetAccountBalance", {}, read_totals)

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        params = {
            "type": _direction(move),
            "subAcct": move.other.named,
            "ccy": move.asset,
            "amt": text(move.amount),
            "from": _wallet(move.source),
            "to": _wallet(move.target),
            "clientId": move.reference,
        }

        def read(raw: Any) -> VenueTransfer:
            (row,) = rows_of(raw)
            return VenueTransfer(venue_transfer_id=str(row["transId"]), state=TransferState.PENDING)

        name = "privatePostAssetTransfer"
        return await self.ask(name, params, read, priority=Priority.ORDER, deadline=deadline)

    async def find_transfer(self, move: Move) -> VenueTransfer:
        """Among those of the last two weeks."""
        params = {"clientId": move.reference, "type": _direction(move)}
        try:
            rows = await self.ask(
                "privateGetAssetTransferState",
                params,
                lambda raw: [read_transfer(row) for row in rows_of(raw)],
            )
        except VenueError as error:
            if error.reason.split(" ")[0] in NO_TRANSFER:
                raise VenueError(Kind.NOT_FOUND, error.reason) from None
            raise
        if not rows:
            raise VenueError(Kind.NOT_FOUND, "the venue shows no such transfer")
        return rows[0]


def _direction(move: Move) -> str:
    return "1" if move.source.main else "2"


def _wallet(party: Party) -> str:
    if party.wallet not in WALLETS:
        raise VenueError(Kind.NOT_SENT, f"wallets are {', '.join(WALLETS)}, was {party.wallet}")
    return WALLETS[party.wallet]


_HISTORIES: Final = {
    "orders": ("privateGetTradeOrdersHistory", "privateGetTradeOrdersHistoryArchive", "ordId"),
    "trades": ("privateGetTradeFills", "privateGetTradeFillsHistory", "billId"),
    "bills": ("privateGetAccountBills", "privateGetAccountBillsArchive", "billId"),
}
"""The short history, the long one, and what names their rows and pages them."""


def _which(symbol: str, client_id: str) -> dict[str, str]:
    venue_order_id = nameless(client_id)
    key, value = ("clOrdId", client_id) if venue_order_id is None else ("ordId", venue_order_id)
    return {"instId": symbol, key: value}


def _trades(rows: Iterable[Raw], since: int) -> list[VenueTrade]:
    ordered = sorted(rows, key=lambda row: (trade_time(row), int(row["billId"])))
    return [read_trade(row) for row in ordered if trade_time(row) >= since - NS_PER_MS]
