"""The smallest adapter that is honest: limit orders at Upbit, and nothing that is not certain.

It is an example for docs/add-an-exchange.md, run by the tests; the real one is oms/venues/upbit.py.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import ccxt.pro

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Submit
from oms.messages.venues import Capabilities
from oms.venues.adapter import (
    Book,
    FundsMoved,
    PublicTrade,
    Quote,
    State,
    StreamEvent,
    VenueOrder,
    VenueTrade,
)
from oms.venues.dialect import Dialect
from oms.venues.errors import Kind, StreamLost, VenueError
from oms.venues.limiter import Priority
from oms.venues.notation import named, text
from oms.venues.over_ccxt import CcxtAccount, CcxtMarket, hooked, listing, lost_if_failing, stream
from oms.venues.upbit_codes import MEANINGS, refusal

# 1. How the exchange says no: a name → what it means. What is not here leaves the outcome unknown.
DIALECT = Dialect(refusal=refusal, meanings=MEANINGS)
STATES = {"wait": State.WORKING, "done": State.FILLED, "cancel": State.CANCELED}


# 2. Reading: from the venue's own strings, exactly; a word that is not known is a KeyError, not a guess.
def read_order(raw: dict[str, Any]) -> VenueOrder:
    return VenueOrder(
        client_id=named(raw.get("identifier"), raw["uuid"]),
        venue_order_id=raw["uuid"],
        symbol=raw["market"],
        side=Side.BUY if raw["side"] == "bid" else Side.SELL,
        type=OrderType.LIMIT if raw["ord_type"] == "limit" else OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        quantity=Decimal(raw["volume"] or 0),
        price=Decimal(raw["price"] or 0) or None,
        trigger_price=None,
        state=STATES[raw["state"]],
        cumulative=Decimal(raw["executed_volume"]),
        time=int(datetime.fromisoformat(raw["created_at"]).timestamp()) * 10**9,
        reason=raw["state"],
    )


def read_trades(raw: dict[str, Any]) -> list[VenueTrade]:
    order, rate = read_order(raw), Decimal("0.0005")
    return [
        VenueTrade(
            venue_order_id=order.venue_order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            trade_id=row["uuid"],
            quantity=Decimal(row["volume"]),
            price=Decimal(row["price"]),
            fee=Decimal(row["funds"]) * rate,
            fee_asset="KRW",
            maker=(row["trend"] == "up") is (order.side is Side.SELL),
            time=int(datetime.fromisoformat(row["created_at"]).timestamp()) * 10**9,
        )
        for row in raw["trades"]
    ]


def read_instrument(raw: dict[str, Any]) -> InstrumentSpec:
    quote, base = raw["market"].split("-")
    step = Decimal("0.00000001")
    return InstrumentSpec(
        symbol=raw["market"], base=base, quote=quote, settle=quote, tick=Decimal(1_000), step=step,
        min_quantity=step, max_quantity=Decimal(10**9), min_notional=Decimal(5_000),
    )  # fmt: skip


# 3. An account: each request is made once, by request(), which reserves room, sends, and reads what a failure means.
class SmallestAccount(CcxtAccount):
    dialect = DIALECT

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        self.exchange.set_markets_from_exchange(self.public)
        await self.totals()

        # The shortest stream: whatever is told of orders, look again. A real one reads each message.
        def read(message: Any) -> Iterable[StreamEvent]:
            yield FundsMoved(str(message.get("type")))

        self.listen(on_event, read)
        self.exchange.authenticate()
        url = self.exchange.urls["api"]["ws"].replace("{hostname}", self.exchange.hostname) + "/private"
        client = self.exchange.client(url)
        self.watch(url, self.exchange.watch_orders)
        await self.opened(client.connected)

    async def submit(self, order: Submit) -> VenueOrder:
        assert order.price is not None, "only limit orders are declared"
        params = {
            "market": order.symbol,
            "side": "bid" if order.side is Side.BUY else "ask",
            "ord_type": "limit",
            "volume": text(order.quantity),
            "price": text(order.price),
            "identifier": order.client_id,
        }
        return await self.request(
            "privatePostOrders", params, read_order,
            orders=1, group="order", priority=Priority.ORDER, deadline=order.deadline,
        )  # fmt: skip

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder | None:
        params = {"identifier": client_id}
        await self.request("privateDeleteOrder", params, read_order, priority=Priority.CANCEL)
        return None  # taken; the order says when it has ended

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return await self.request("privateGetOrder", {"identifier": client_id}, read_order)

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        return await self.request("privateGetOrder", {"uuid": venue_order_id}, read_order)

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        params = {"limit": "100"} if symbol is None else {"limit": "100", "market": symbol}
        return await self._all("privateGetOrdersOpen", params, 100)

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        params = {"market": symbol, "limit": "1000", "start_time": str(since // 10**6)}
        closed = await self._all("privateGetOrdersClosed", params, 1_000)
        return [*await self.open_orders(symbol), *closed]

    async def _all(self, name: str, params: dict[str, str], most: int) -> list[VenueOrder]:
        found = await self.request(name, params, lambda rows: [read_order(row) for row in rows])
        if len(found) >= most:
            # Everything, or an error: never a part that looks like everything.
            raise VenueError(Kind.UNKNOWN, f"{name} has more than one page, which this example does not read")
        return found

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        return await self.request("privateGetOrder", {"uuid": venue_order_id}, read_trades)

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        traded = [order for order in await self.orders_since(symbol, since) if order.cumulative]
        found = [trade for order in traded for trade in await self.trades_of(symbol, order.venue_order_id)]
        return sorted(found, key=lambda trade: trade.time)

    async def totals(self) -> dict[str, Decimal]:
        def read(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
            totals = {row["currency"]: Decimal(row["balance"]) + Decimal(row["locked"]) for row in rows}
            return {asset: total for asset, total in totals.items() if total}

        return await self.request("privateGetAccounts", {}, read)


# 4. The market: what needs no key, and what it declares. What is not declared is refused before it reaches the adapter.
class SmallestMarket(CcxtMarket):
    exchange = "upbit"
    market = "spot"
    kind = hooked(ccxt.pro.upbit)
    capabilities = Capabilities(
        order_types=(OrderType.LIMIT,), times_in_force=(TimeInForce.GTC,), features=(), wallet="spot"
    )
    amends_in_place = False

    def options(self) -> dict[str, Any]:
        return {}

    async def open(self) -> list[InstrumentSpec]:
        return await listing(self.public, read_instrument)

    def account(self, name: str) -> SmallestAccount:
        exchange = self.connection(self.key(name))
        return SmallestAccount(exchange, self.public, self.budgets.of(name), self.reach.recv_window_ms / 1000)

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        with lost_if_failing():
            rows = await self.public.publicGetTicker({"markets": ",".join(symbols)})
        return {row["market"]: Decimal(str(row["trade_price"])) for row in rows}

    async def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        names = self.names(symbols)
        async for tickers in stream(lambda: self.public.watch_tickers(names)):
            yield {
                each["info"]["code"]: Decimal(str(each["info"]["trade_price"])) for each in tickers.values()
            }

    async def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        raise StreamLost("this example has no quotes")
        yield

    async def book(self, symbol: str) -> AsyncIterator[Book]:
        raise StreamLost("this example has no books")
        yield

    async def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        raise StreamLost("this example has no public trades")
        yield
