"""Upbit spot, won markets. Limit orders alone: a market buy there spends won, and orders here are for a quantity.

There are no stops, no transfers and no amends in place. What else is particular about it:

* The venue lists no trades: they stand in the order, so that trades are found through orders, which are listed by when they
  were made. Of an order from elsewhere, made an hour or more before and ended while nobody listened, they are not found;
  the funds that it moved are.
* Fees are paid in won on both sides, and have to be worked out; see :mod:`oms.venues.upbit_payloads`.
* A cancel is only taken; it has ended the order when the order says so. Amends wait for that, then place the rest.
* An ``identifier`` is used up by whatever was sent with it, refused or not; a request has a nonce that is taken once, so
  that a repeated one is refused.
* Ticks follow the price: a table, in which what the venue lists for the price that a market stands at is right.
"""

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

import ccxt.pro
import msgspec

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.messages.venues import Capabilities, Feature
from oms.tasks import end
from oms.venues.adapter import (
    Book,
    FundsMoved,
    OrderChanged,
    PublicTrade,
    Quote,
    State,
    StreamEvent,
    Traded,
    VenueOrder,
    VenueTrade,
)
from oms.venues.budgets import Budgets
from oms.venues.credentials import Credentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Limiter, Priority
from oms.venues.notation import at_ms, nameless
from oms.venues.over_ccxt import (
    REASON_MAX,
    CcxtAccount,
    CcxtMarket,
    Reach,
    hooked,
    listing,
    lost_if_failing,
    middle,
    middles,
    readings,
    stream,
)
from oms.venues.patience import patiently
from oms.venues.pools import CONNECT
from oms.venues.upbit_codes import DIALECT
from oms.venues.upbit_payloads import (
    QUOTE,
    SIDES,
    STEP,
    FeesUnclear,
    Rates,
    TradesMissing,
    amount,
    at,
    finest,
    is_ours,
    moves,
    new_order,
    read_change,
    read_instrument,
    read_order,
    ticks_at,
)

log = logging.getLogger(__name__)

EXCHANGE: Final = "upbit"
MARKET: Final = "spot"
CLOSED_ROWS: Final = 1_000
OPEN_ROWS: Final = 100
PAGES_MAX: Final = 200
CLOSED_SPAN_NS: Final = 7 * 86_400 * 10**9
"""What the venue looks through from a start time on."""
LOOK_BACK_NS: Final = 3_600 * 10**9
"""Closed orders are listed by when they were made: one made so long before a time is still found by its trades after it.

Each that traded costs a request, 30 a second. Those that the engine counts as live are looked up one by one in any case.
"""
SECOND_NS: Final = 10**9
"""REST writes times to the second."""
AT_ONCE: Final = 10
KEPT_ORDERS: Final = 20_000
"""Orders whose trades are remembered, of each account: each costs a request."""
CONFIRM_S: Final = 2.0
SETTLE_S: Final = 1.0
"""Funds that move and no trade within this explains have moved by something else."""
DOUBLE_ERROR: Final = Decimal("1e-12")
"""What sums of the stream's doubles may be off by, as a share."""
ENDS_WITHIN_S: Final = 4.0
"""How long an amend waits for the canceled order to end; the engine's own deadline is a second later."""
FIRST_LOOK_S: Final = 0.1


CAPABILITIES: Final = Capabilities(
    order_types=(OrderType.LIMIT,),
    times_in_force=tuple(TimeInForce),
    features=(Feature.POST_ONLY, Feature.AMEND),
    wallet=MARKET,
)


def _read_text(data: bytes | str) -> Any:
    try:
        return _read_message(data)
    except msgspec.DecodeError:
        return data


_read_message = msgspec.json.Decoder(float_hook=str).decode


class _Exchange(hooked(ccxt.pro.upbit)):  # type: ignore[misc]
    """ccxt's Upbit, whose streams keep numbers as the venue wrote them, and each book as it came: it is a whole one."""

    books: dict[str, Mapping[str, Any]]

    def client(self, url: str) -> Any:
        client = super().client(url)
        # ccxt's own way reads numbers as floats.
        client.handle_text_or_binary_message = lambda data: client.on_message_callback(
            client, _read_text(data)
        )
        return client

    def on_error(self, client: Any, error: Any) -> None:
        super().on_error(client, error)
        self.books.clear()

    def on_close(self, client: Any, error: Any) -> None:
        super().on_close(client, error)
        self.books.clear()

    def handle_order_book(self, client: Any, message: Mapping[str, Any]) -> None:
        self.books[message["code"]] = message
        client.resolve(message, "orderbook:" + self.safe_symbol(message["code"], None, "-"))

    def handle_my_order(self, client: Any, message: Any) -> None:
        client.resolve(message, "myOrder")

    def handle_balance(self, client: Any, message: Any) -> None:
        client.resolve(message, "myAsset")


class UpbitSpotAccount(CcxtAccount):
    """One account's private connection to Upbit. See :class:`oms.venues.adapter.Account`.

    Args:
        known: orders whose trades were asked for, by the venue's id, remembered across connections.
    """

    dialect = DIALECT

    def __init__(
        self,
        exchange: Any,
        public: Any,
        limiter: Limiter,
        accept_window_s: float,
        known: "OrderedDict[str, VenueOrder]",
    ) -> None:
        super().__init__(exchange, public, limiter, accept_window_s)
        self._known = known
        self._on_event: Callable[[StreamEvent], None] = lambda event: None
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending: dict[str, asyncio.Event] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._funds: dict[str, Decimal] = {}
        self._unexplained: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._settling: dict[str, asyncio.TimerHandle] = {}

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        exchange = self.exchange
        exchange.set_markets_from_exchange(self.public)
        # A bad key is told here in the venue's words; the stream would only be closed.
        self._funds = await patiently(self.totals)
        self._on_event = on_event
        self.listen(on_event, self._read)
        await self.reserve(0, group=CONNECT)
        exchange.authenticate()
        works = [asyncio.create_task(self._watch(kind)) for kind in ("myOrder", "myAsset")]
        url = (
            exchange.implode_params(exchange.urls["api"]["ws"], {"hostname": exchange.hostname}) + "/private"
        )
        try:
            await self.opened(self._confirm(exchange.client(url), works))
        finally:
            await end(works)
        self.watch(url, lambda: self._watch("myOrder"), lambda: self._watch("myAsset"))

    async def _watch(self, kind: str) -> None:
        await self.exchange.watch_private(None, kind, kind)

    async def _confirm(self, client: Any, works: Sequence[asyncio.Task[None]]) -> None:
        """Wait until the subscription stands. The venue says nothing of its own accord, but lists subscriptions."""
        connected = asyncio.ensure_future(asyncio.shield(client.connected))
        await asyncio.wait([connected, *works], return_when=asyncio.FIRST_COMPLETED)
        for work in (connected, *works):
            if work.done():
                work.result()
        await client.send([{"ticket": self.exchange.uuid()}, {"method": "LIST_SUBSCRIPTIONS"}])
        try:
            await asyncio.wait_for(asyncio.shield(self._subscribed), CONFIRM_S)
        except TimeoutError:
            log.warning("the venue does not list the subscriptions of the private stream: taken to stand")

    async def close(self) -> None:
        for timer in self._settling.values():
            timer.cancel()
        await end(self._asking)
        await super().close()

    # -- the private stream

    def _read(self, message: Any) -> Iterable[StreamEvent]:
        if not isinstance(message, dict):
            return
        kind = message.get("type")
        if kind == "myOrder":
            yield from self._order_event(message)
        elif kind == "myAsset":
            self._asset_event(message)
        elif message.get("method") == "LIST_SUBSCRIPTIONS":
            listed = {each["type"] for each in message["result"]}
            if {"myOrder", "myAsset"} <= listed and not self._subscribed.done():
                self._subscribed.set_result(None)
        elif "error" in message:
            self.lose(f"the venue says {message['error']}")

    def _order_event(self, message: Mapping[str, Any]) -> Iterable[StreamEvent]:
        # What is reserved in the venue's app is no order yet; other markets than those in won are not ours.
        if not is_ours(message["code"]) or message["state"] == "watch":
            return
        event = read_change(message)
        if event is None:
            self._ask(message["code"], message["uuid"])
            return
        yield event
        if isinstance(event, Traded):
            for asset, moved in moves(event.trade).items():
                self._unexplained[asset] -= moved
        elif event.order.state is not State.WORKING:
            ending = self._ending.get(event.order.client_id)
            if ending is not None:
                ending.set()

    def _clock(self) -> float:
        return asyncio.get_running_loop().time()

    def _ask(self, symbol: str, venue_order_id: str) -> None:
        """Tell by REST what the stream could not."""

        async def ask() -> None:
            try:
                self._on_event(OrderChanged(await self.order_by_venue_id(symbol, venue_order_id)))
            except VenueError as error:
                self.lose(f"order {venue_order_id} cannot be read: {error}")

        task = asyncio.create_task(ask())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _asset_event(self, message: Mapping[str, Any]) -> None:
        """See how far funds moved, and give the trades that explain it a little time."""
        for each in message["assets"]:
            asset, total = each["currency"], amount(each["balance"]) + amount(each["locked"])
            self._unexplained[asset] += total - self._funds.get(asset, Decimal(0))
            self._funds[asset] = total
            if asset not in self._settling:
                wait = asyncio.get_running_loop().call_later
                self._settling[asset] = wait(SETTLE_S, self._settle, asset)

    def _settle(self, asset: str) -> None:
        del self._settling[asset]
        moved = self._unexplained.pop(asset, Decimal(0))
        if abs(moved) > STEP + self._funds[asset] * DOUBLE_ERROR:
            self._on_event(FundsMoved(f"{asset} moved by {moved:f} without a trade"))

    # -- requests

    async def submit(self, order: Submit) -> VenueOrder:
        return await self._place(order, order.client_id, order.quantity, order.deadline)

    async def _place(
        self, order: Submit | Amend, client_id: str, quantity: Decimal, deadline: int, reserved: bool = False
    ) -> VenueOrder:
        return await self.request(
            "privatePostOrders",
            new_order(order, client_id, quantity),
            read_order,
            orders=1,
            group="order",
            priority=Priority.ORDER,
            deadline=deadline,
            reserved=reserved,
        )

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder | None:
        order = await self._cancel(client_id, reserved=False)
        return order if order.state is not State.WORKING else None

    async def _cancel(self, client_id: str, *, reserved: bool) -> VenueOrder:
        try:
            return await self.request(
                "privateDeleteOrder",
                _name(client_id),
                read_order,
                priority=Priority.CANCEL,
                reserved=reserved,
            )
        except VenueError as error:
            if error.kind is Kind.NOT_FOUND:
                # Said of an order that has ended as of one that never was.
                raise VenueError(Kind.ALREADY_DONE, error.reason) from None
            raise

    async def reserve_amend(self, deadline: int) -> None:
        await self.reserve(1, 1, group="order", priority=Priority.ORDER, deadline=deadline)
        await self.reserve(1, priority=Priority.CANCEL, deadline=deadline)

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        ending = self._ending[client_id] = asyncio.Event()
        try:
            await self._cancel(client_id, reserved=True)
            return await self._end_of(symbol, client_id, ending)
        finally:
            del self._ending[client_id]

    async def _end_of(self, symbol: str, client_id: str, ending: asyncio.Event) -> VenueOrder:
        """The order once it has ended: looked at when the stream says so, and now and then without."""
        pause, give_up = FIRST_LOOK_S, self._clock() + ENDS_WITHIN_S
        while True:
            waiting = asyncio.create_task(ending.wait())
            await asyncio.wait([waiting], timeout=pause)
            await end([waiting])
            order = await self._look(_name(client_id), Priority.CANCEL)
            if order.state is not State.WORKING:
                return order
            if self._clock() > give_up:
                raise VenueError(Kind.UNKNOWN, "the cancel was taken, and the order has not ended")
            ending.clear()
            pause *= 2

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        return await self._place(amend, amend.new_client_id, quantity, amend.deadline, reserved=True)

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return await self._look(_name(client_id))

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        return await self._look({"uuid": venue_order_id})

    async def _look(self, params: Mapping[str, str], priority: Priority = Priority.LOOK_UP) -> VenueOrder:
        """An order with its trades."""
        raw = await self.request("privateGetOrder", params, _object, priority=priority)
        try:
            try:
                return readings(read_order, [raw])[0]
            except FeesUnclear:
                rates = await self._rates_of(raw["market"])
                return readings(partial(read_order, rates=rates), [raw])[0]
        except TradesMissing as missing:
            raise VenueError(Kind.UNKNOWN, str(missing)) from None

    async def _rates_of(self, symbol: str) -> Rates:
        return await self.request(
            "privateGetOrdersChance", {"market": symbol}, lambda raw: msgspec.convert(raw, Rates)
        )

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return readings(read_order, await self._open_rows(symbol))

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        rows = [row for row in await self._open_rows(symbol) if at(row["created_at"]) + SECOND_NS > since]
        # An order that ends in between stands in both; the later word counts.
        found = {row["uuid"]: row for row in (*rows, *await self._closed_rows(symbol, since))}
        return readings(read_order, found.values())

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        rows = await self._open_rows(symbol) + await self._closed_rows(symbol, since - LOOK_BACK_NS)
        traded = {
            row["uuid"]: amount(row["executed_volume"]) for row in rows if amount(row["executed_volume"])
        }
        names = list(traded)
        found: list[VenueTrade] = []
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            for trades in await asyncio.gather(*(self._trades(name, traded[name]) for name in part)):
                found += [trade for trade in trades if trade.time + SECOND_NS > since]
        return sorted(found, key=lambda trade: trade.time)

    async def _trades(self, venue_order_id: str, executed: Decimal) -> tuple[VenueTrade, ...]:
        """Every trade of an order: asked for once for as long as it executes no more."""
        known = self._known.get(venue_order_id)
        if known is None or known.cumulative != executed:
            known = self._known[venue_order_id] = await self._look({"uuid": venue_order_id})
            if len(self._known) > KEPT_ORDERS:
                self._known.popitem(last=False)
        return known.trades

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        return list((await self._look({"uuid": venue_order_id})).trades)

    async def _open_rows(self, symbol: str | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params = {} if symbol is None else {"market": symbol}
        params |= {"state": "wait", "limit": str(OPEN_ROWS), "order_by": "asc"}
        for page in range(1, PAGES_MAX + 1):
            rows = await self.request("privateGetOrdersOpen", {**params, "page": str(page)}, _rows)
            found += [row for row in rows if is_ours(row["market"])]
            if len(rows) < OPEN_ROWS:
                return found
        raise VenueError(Kind.UNKNOWN, f"over {PAGES_MAX * OPEN_ROWS:,} orders are open")

    async def _closed_rows(self, symbol: str, since: int) -> list[dict[str, Any]]:
        """Every closed order made at or after a time. The venue looks through a week from a start time on."""
        found: dict[str, dict[str, Any]] = {}
        start, now = since, time.time_ns()
        params = {"market": symbol, "limit": str(CLOSED_ROWS), "order_by": "asc"}
        for _ in range(PAGES_MAX):
            rows = await self.request(
                "privateGetOrdersClosed", {**params, "start_time": str(max(start, 0) // 10**6)}, _rows
            )
            found |= {row["uuid"]: row for row in rows}
            if len(rows) < CLOSED_ROWS:
                start += CLOSED_SPAN_NS
                if start > now:
                    return list(found.values())
            elif at(rows[-1]["created_at"]) > start:
                start = at(rows[-1]["created_at"])
            else:
                break
        raise VenueError(Kind.UNKNOWN, f"{symbol} has more closed orders since {since} than can be listed")

    async def totals(self) -> dict[str, Decimal]:
        def read(raw: Any) -> dict[str, Decimal]:
            totals = {each["currency"]: amount(each["balance"]) + amount(each["locked"]) for each in raw}
            return {asset: finest(total) for asset, total in totals.items() if total}

        return await self.request("privateGetAccounts", {}, read)


def _name(client_id: str) -> dict[str, str]:
    uuid = nameless(client_id)
    return {"identifier": client_id} if uuid is None else {"uuid": uuid}


def _object(raw: Any) -> dict[str, Any]:
    found: dict[str, Any] = raw
    found["uuid"], found["market"]
    return found


def _rows(raw: Any) -> list[dict[str, Any]]:
    return [_object(row) for row in raw]


class UpbitSpot(CcxtMarket):
    """Upbit's won markets without a key. See :class:`oms.venues.adapter.Market`."""

    exchange = EXCHANGE
    market = MARKET
    kind = _Exchange
    capabilities = CAPABILITIES
    amends_in_place = False

    def __init__(self, credentials: Credentials, budgets: Budgets, reach: Reach) -> None:
        super().__init__(credentials, budgets, reach)
        self._known: dict[str, OrderedDict[str, VenueOrder]] = {}

    def options(self) -> dict[str, Any]:
        return {}

    def connection(self, key: Key | None) -> Any:
        exchange = super().connection(key)
        exchange.books = {}
        return exchange

    async def open(self) -> list[InstrumentSpec]:
        listed = await listing(self.public, lambda raw: raw)
        rows = [row for row in listed if is_ours(row["market"])]
        try:
            tickers = await self.public.publicGetTickerAll({"quote_currencies": QUOTE})
            names = ",".join(row["market"] for row in rows)
            steps = await self.public.publicGetOrderbookInstruments({"markets": names})
            prices = {row["market"]: Decimal(str(row["trade_price"])) for row in tickers}
            ticks = {row["market"]: Decimal(str(row["tick_size"])) for row in steps}
        except (ccxt.BaseError, KeyError, ValueError, ArithmeticError) as error:
            why = f"the ticks cannot be read: {type(error).__name__}: {error}"
            raise VenueError(Kind.UNKNOWN, why[:REASON_MAX]) from None
        return [
            read_instrument(row, ticks_at(prices.get(row["market"]), ticks.get(row["market"])))
            for row in rows
        ]

    def account(self, name: str) -> UpbitSpotAccount:
        return UpbitSpotAccount(
            self.connection(self.key(name)),
            self.public,
            self.budgets.of(name),
            # The venue refuses no request for its age: this is how long one is given to arrive.
            self.reach.recv_window_ms / 1000,
            self._known.setdefault(name, OrderedDict()),
        )

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        with lost_if_failing():
            rows = await self.public.publicGetOrderbook({"markets": ",".join(symbols), "count": "1"})
        best = ((row["market"], row["orderbook_units"][0]) for row in rows if row["orderbook_units"])
        return middles((symbol, str(unit["bid_price"]), str(unit["ask_price"])) for symbol, unit in best)

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        async for quote in self.quotes(symbols):
            yield {quote.symbol: middle(quote.bid, quote.ask)}

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        async for symbol, units in self._books(symbols):
            best = units[0]
            yield Quote(
                symbol,
                amount(best["bid_price"]),
                amount(best["bid_size"]),
                amount(best["ask_price"]),
                amount(best["ask_size"]),
            )

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        async for _, units in self._books([symbol]):
            bids, asks = (
                tuple(
                    (price, amount(unit[f"{side}_size"]))
                    for unit in units
                    if (price := amount(unit[f"{side}_price"]))
                )
                for side in ("bid", "ask")
            )
            yield Book(symbol, bids, asks)

    async def _books(self, symbols: Iterable[str]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        """Books as they change, each whole; one that changed twice before it was looked at comes once."""
        wanted = list(symbols)
        names = self.names(wanted)
        seen: dict[str, Any] = {}
        changes = stream(lambda: self.public.watch_public_multiple(names, "orderbook"))
        while True:
            fresh = [
                (each, book) for each in wanted if (book := self.public.books.get(each)) is not seen.get(each)
            ]
            seen |= fresh
            for symbol, book in fresh:
                if book is not None and book["orderbook_units"]:
                    yield symbol, book["orderbook_units"]
            if not fresh:
                await anext(changes)

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        (name,) = self.names([symbol])
        async for trades in stream(lambda: self.public.watch_trades(name)):
            for trade in trades:
                raw = trade["info"]
                yield PublicTrade(
                    symbol,
                    str(raw["sequential_id"]),
                    SIDES[raw["ask_bid"].lower()],
                    amount(raw["trade_price"]),
                    amount(raw["trade_volume"]),
                    at_ms(raw["trade_timestamp"]),
                )
