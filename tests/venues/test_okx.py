"""The adapter of OKX at the simulated OKX, over unmodified ccxt: every method, what leaves, what failures mean."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from oms.messages.desk import TransferState
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.simulator.okx.sockets import CHANNELS
from oms.venues.adapter import (
    FundsMoved,
    Move,
    OrderChanged,
    Party,
    State,
    StreamEvent,
    VenueFunding,
    VenueOrder,
    VenuePosition,
)
from oms.venues.admission import Pool
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.okx import OkxFutures, OkxSpot
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS
from tests.okx import KEY, PASSPHRASE, SECRET, SPOT, SWAP, Okx, running

S = 10**9
MARKETS = {SPOT: OkxSpot, SWAP: OkxFutures}
ORDER, CANCEL, AMEND = (f"POST /api/v5/trade/{name}" for name in ("order", "cancel-order", "amend-order"))


@attrs.define
class Connection:
    """A market and an account of it, and what the account heard."""

    market: Any
    account: Any
    heard: list[StreamEvent] = attrs.field(factory=list)

    async def until(self, condition: Callable[[StreamEvent], Any], what: str = "") -> Any:
        """The first event that satisfies the condition, once it has been heard."""
        for _ in range(300):
            for event in self.heard:
                if condition(event):
                    return event
            await asyncio.sleep(0.01)
        raise AssertionError(f"not heard: {what or condition} in {self.heard}")

    async def order(self, client_id: str, state: State) -> VenueOrder:
        """What was heard of an order in a state."""
        event = await self.until(
            lambda event: (
                isinstance(event, OrderChanged)
                and event.order.client_id == client_id
                and event.order.state is state
            ),
            f"{client_id} {state}",
        )
        order: VenueOrder = event.order
        return order


@pytest.fixture
async def okx(tmp_path: Path) -> AsyncIterator[Okx]:
    """The simulator."""
    async with running(tmp_path) as okx:
        okx.record()
        yield okx


@pytest.fixture
async def connect(okx: Okx) -> AsyncIterator[Any]:
    """Makes connections to a symbol's market."""
    made: list[Connection] = []

    async def connect(
        symbol: str = SPOT, key: Key | None = None, opens: bool = True, recv_window_ms: int = 2_000
    ) -> Connection:
        credentials = FixedCredentials({("okx", "main"): key or Key(KEY, SECRET, PASSPHRASE)})
        budgets = Budgets(Pool(POOLS["okx"]), 6_000, 1_000, 100_000)
        reach = Reach(session=okx.session, timeout_s=0.5, recv_window_ms=recv_window_ms)
        market = MARKETS[symbol](credentials, budgets, reach)
        await market.open()
        connection = Connection(market, market.account("main"))
        made.append(connection)
        if opens:
            await connection.account.open(connection.heard.append)
        return connection

    yield connect
    for connection in made:
        await connection.account.close()
        await connection.market.close()


@pytest.fixture
async def spot(connect: Any) -> Connection:
    """An open connection to spot."""
    return await connect(SPOT)


@pytest.fixture
async def swaps(connect: Any) -> Connection:
    """An open connection to swaps."""
    return await connect(SWAP)


def submit(client_id: str = "O1", symbol: str = SPOT, **fields: Any) -> Submit:
    """A limit buy far from the market, or what the fields say instead."""
    fields = {
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": D("0.01"),
        "price": D(40_000),
        "deadline": time.time_ns() + 5 * S,
        **fields,
    }
    return Submit(order_id=client_id, client_id=client_id, symbol=symbol, **fields)


def amend(client_id: str = "O1", symbol: str = SPOT, **fields: Any) -> Amend:
    """An amend of that order."""
    fields = {"quantity": D("0.02"), "price": D(41_000), "deadline": time.time_ns() + 5 * S, **fields}
    return Amend(
        order_id=client_id,
        client_id=client_id,
        new_client_id=client_id,
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity_before=D("0.01"),
        revision=0,
        **fields,
    )


async def refused(work: Any) -> VenueError:
    """What a request that fails raises."""
    with pytest.raises(VenueError) as caught:
        await work
    return caught.value


# -- what is listed


async def test_instruments(okx: Okx, connect: Any) -> None:
    """Each market lists its own instruments, exactly; a halted one is not trading when it is listed again."""
    spot, swaps = await connect(SPOT, opens=False), await connect(SWAP, opens=False)
    listed = {each.symbol: each for each in await spot.market.open()}
    assert set(listed) == {"BTC-USDT", "ETH-USDT"}
    assert (listed[SPOT].tick, listed[SPOT].step) == (D("0.1"), D("0.00000001"))
    assert (listed[SPOT].min_quantity, listed[SPOT].max_quantity) == (D("0.00001"), D(9_000))
    perpetual = {each.symbol: each for each in await swaps.market.open()}[SWAP]
    assert (perpetual.base, perpetual.quote, perpetual.settle) == ("BTC", "USDT", "USDT")
    assert (perpetual.contract_size, perpetual.step, perpetual.trading) == (D("0.01"), D("0.01"), True)
    okx.exchange.set_status(okx.exchange.market("futures", SWAP), "HALTED")
    assert not {each.symbol: each for each in await swaps.market.open()}[SWAP].trading


async def test_what_it_declares(spot: Connection, swaps: Connection) -> None:
    """Stop orders are declared by neither market, and sent by neither; both are in one wallet."""
    for connection, symbol in ((spot, SPOT), (swaps, SWAP)):
        capabilities = connection.market.capabilities
        assert capabilities.order_types == (OrderType.LIMIT, OrderType.MARKET)
        assert capabilities.wallet == "unified"
        assert connection.market.amends_in_place
        stop = submit(symbol=symbol, type=OrderType.STOP_LIMIT, trigger_price=D(39_000))
        assert (await refused(connection.account.submit(stop))).kind is Kind.NOT_SENT
    assert (await refused(spot.account.submit(submit(reduce_only=True)))).kind is Kind.NOT_SENT
    assert (await refused(spot.account.set_leverage(SPOT, D(2)))).kind is Kind.NOT_SENT


# -- what leaves


@pytest.mark.parametrize(
    "symbol, fields, expected",
    [
        (SPOT, {}, {"tdMode": "cash", "ordType": "limit", "sz": "0.01", "px": "40000"}),
        (SPOT, {"post_only": True}, {"tdMode": "cash", "ordType": "post_only", "sz": "0.01", "px": "40000"}),
        (
            SPOT,
            {"time_in_force": TimeInForce.IOC, "quantity": D("1E-5"), "price": D("4.0E+4")},
            {"tdMode": "cash", "ordType": "ioc", "sz": "0.00001", "px": "40000"},
        ),
        (
            SPOT,
            {"time_in_force": TimeInForce.GTD, "price": D("39999.90")},
            {"tdMode": "cash", "ordType": "limit", "sz": "0.01", "px": "39999.90"},
        ),
        (
            SPOT,
            {"type": OrderType.MARKET, "price": None},
            {"tdMode": "cash", "ordType": "market", "sz": "0.01", "tgtCcy": "base_ccy", "banAmend": True},
        ),
        (
            SWAP,
            {"time_in_force": TimeInForce.FOK},
            {"tdMode": "cross", "ordType": "fok", "sz": "0.01", "px": "40000"},
        ),
        (
            SWAP,
            {"type": OrderType.MARKET, "price": None, "side": Side.SELL},
            {"tdMode": "cross", "ordType": "market", "sz": "0.01", "side": "sell"},
        ),
    ],
)
async def test_new_orders_as_they_leave(
    okx: Okx, connect: Any, symbol: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A new order leaves with these fields and no others: plain digits, our client id, no float, and a deadline of its own."""
    connection = await connect(symbol)
    before_ms = time.time_ns() // 10**6
    order = await connection.account.submit(submit(symbol=symbol, **fields))
    sent = okx.last("trade/order")
    assert sent.json == {"instId": symbol, "clOrdId": "O1", "side": "buy", **expected}
    expires_ms = int(sent.headers["expTime"])
    assert before_ms + 1_900 <= expires_ms <= time.time_ns() // 10**6 + 2_100
    assert (order.client_id, order.state, order.cumulative) == ("O1", State.WORKING, D(0))
    assert connection.account.accept_window_s == 2.0


async def test_reduce_only_leaves_as_it_is(okx: Okx, swaps: Connection) -> None:
    """A reduce-only order says so, and closes no more than there is."""
    await swaps.account.submit(submit("O1", SWAP, type=OrderType.MARKET, price=None, quantity=D(1)))
    sell = submit(
        "O2", SWAP, side=Side.SELL, type=OrderType.MARKET, price=None, quantity=D(1), reduce_only=True
    )
    await swaps.account.submit(sell)
    assert okx.last("trade/order").json["reduceOnly"] is True
    assert (await swaps.order("O2", State.FILLED)).side is Side.SELL
    again = msgspec.structs.replace(sell, client_id="O3")
    assert (await refused(swaps.account.submit(again))).reason.startswith("51169")


async def test_cancels_and_amends_as_they_leave(okx: Okx, spot: Connection) -> None:
    """Cancels and amends name the order by its client id; their outcome is told later."""
    await spot.account.submit(submit())
    assert await spot.account.amend(amend()) is None
    sent = okx.last("trade/amend-order")
    assert sent.json == {"instId": SPOT, "clOrdId": "O1", "newSz": "0.02", "newPx": "41000"}
    assert "expTime" in sent.headers
    amended = await spot.until(lambda e: isinstance(e, OrderChanged) and e.order.quantity == D("0.02"))
    assert (amended.order.price, amended.order.state) == (D(41_000), State.WORKING)
    assert await spot.account.cancel(SPOT, "O1") is None
    assert okx.last("trade/cancel-order").json == {"instId": SPOT, "clOrdId": "O1"}
    assert (await spot.order("O1", State.CANCELED)).reason == "Order canceled by user"


async def test_orders_that_nobody_named(okx: Okx, spot: Connection) -> None:
    """An order without a client id has one made of the venue's, by which it is found, amended and canceled."""
    placed = okx.place()
    assert placed.client_order_id == ""
    (standing,) = await spot.account.open_orders()
    assert standing.client_id == f"#{standing.venue_order_id}"
    assert await spot.account.order(SPOT, standing.client_id) == standing
    await spot.account.amend(amend(standing.client_id))
    assert okx.last("trade/amend-order").json["ordId"] == standing.venue_order_id
    await spot.account.cancel(SPOT, standing.client_id)
    assert (await spot.order(standing.client_id, State.CANCELED)).venue_order_id == standing.venue_order_id


# -- what comes back


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_a_trade_is_the_same_however_it_is_learned(okx: Okx, connect: Any, symbol: str) -> None:
    """The stream, the fills since a time and the fills of an order tell the same trades, down to id and fee."""
    connection = await connect(symbol)
    since = time.time_ns()
    for number in range(3):
        order = submit(f"O{number}", symbol, type=OrderType.MARKET, price=None, quantity=D("0.5"))
        await connection.account.submit(order)
    filled = [await connection.order(f"O{number}", State.FILLED) for number in range(3)]
    heard = [
        trade for event in connection.heard if isinstance(event, OrderChanged) for trade in event.order.trades
    ]
    assert sum(trade.quantity for trade in heard) == D("1.5")
    assert {trade.fee_asset for trade in heard} == {"USDT" if symbol == SWAP else "BTC"}
    assert all(trade.fee > 0 for trade in heard)
    assert await connection.account.trades_since(symbol, since) == heard
    for order in filled:
        own = [trade for trade in heard if trade.venue_order_id == order.venue_order_id]
        assert await connection.account.trades_of(symbol, order.venue_order_id) == own
    fees = sum((fill.commission for fills in okx.main.fills.values() for fill in fills), D(0))
    assert sum(trade.fee for trade in heard) == fees


async def test_maker_fills_in_parts(okx: Okx, spot: Connection) -> None:
    """An order that others fill in parts is told part by part, as maker, in the venue's order."""
    await spot.account.submit(submit(price=D(50_000), post_only=True, quantity=D("0.03")))
    for _ in range(3):
        okx.buy(SPOT, "0.01", "other", "SELL")
    await spot.order("O1", State.FILLED)
    states = [(e.order.state, e.order.cumulative) for e in spot.heard if isinstance(e, OrderChanged)]
    assert states == [
        (State.WORKING, D(0)),
        (State.WORKING, D("0.01")),
        (State.WORKING, D("0.02")),
        (State.FILLED, D("0.03")),
    ]
    trades = [t for e in spot.heard if isinstance(e, OrderChanged) for t in e.order.trades]
    assert [(t.maker, t.price, t.fee) for t in trades] == [(True, D(50_000), D("0.000008"))] * 3


async def test_how_orders_end_unasked(okx: Okx, spot: Connection) -> None:
    """What is left of an IOC expires, a FOK that cannot fill expires, a post-only that would match is canceled."""
    await spot.account.submit(submit("O1", time_in_force=TimeInForce.IOC))
    await spot.account.submit(submit("O2", time_in_force=TimeInForce.FOK))
    await spot.account.submit(submit("O3", price=D(50_100), post_only=True))
    assert "IOC" in (await spot.order("O1", State.EXPIRED)).reason
    assert "FOK" in (await spot.order("O2", State.EXPIRED)).reason
    assert "post-only" in (await spot.order("O3", State.CANCELED)).reason
    assert (await spot.account.order(SPOT, "O3")).state is State.CANCELED


async def test_look_ups(okx: Okx, spot: Connection) -> None:
    """Orders are found by either id, open or not; what is not there is not found."""
    await spot.account.submit(submit())
    order = await spot.account.order(SPOT, "O1")
    assert await spot.account.order_by_venue_id(SPOT, order.venue_order_id) == order
    assert (order.quantity, order.price, order.state) == (D("0.01"), D(40_000), State.WORKING)
    assert await spot.account.open_orders(SPOT) == [order] == await spot.account.open_orders()
    assert await spot.account.open_orders("ETH-USDT") == []
    for missing in (
        spot.account.order(SPOT, "O9"),
        spot.account.order_by_venue_id(SPOT, "2500000000000009999"),
    ):
        error = await refused(missing)
        assert (error.kind, error.reason[:5]) == (Kind.NOT_FOUND, "51603")


async def test_the_other_market_is_none_of_ours(okx: Okx, connect: Any) -> None:
    """Each market lists, hears and finds its own orders and trades alone."""
    spot, swaps = await connect(SPOT), await connect(SWAP)
    okx.place(SPOT, client_order_id="S1")
    okx.place(SWAP, client_order_id="F1")
    okx.buy(SPOT, "0.01")
    okx.buy(SWAP, "1")
    await asyncio.sleep(0.2)
    for connection, mine, theirs in ((spot, SPOT, SWAP), (swaps, SWAP, SPOT)):
        symbols = {event.order.symbol for event in connection.heard if isinstance(event, OrderChanged)}
        assert symbols == {mine}
        assert {order.symbol for order in await connection.account.open_orders()} == {mine}
        assert len(await connection.account.trades_since(mine, 0 + time.time_ns() - 60 * S)) == 1
        assert await connection.account.trades_since(theirs, time.time_ns() - 60 * S) == []


async def test_other_swaps_are_none_of_ours(swaps: Connection) -> None:
    """Orders in swaps that are not linear USDT ones come on the same channel, and are ignored unread."""
    for symbol in ("BTC-USD-SWAP", "BTC-USDC-SWAP"):
        order = {"instType": "SWAP", "instId": symbol, "ordType": "something new"}
        swaps.account.exchange.on_private({"arg": {"channel": "orders", "instType": "SWAP"}, "data": [order]})
    await swaps.account.submit(submit("O1", SWAP))
    await swaps.order("O1", State.WORKING)
    assert len(swaps.heard) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(swaps.account.lost(), 0.05)


async def test_limits_are_of_each_instrument(connect: Any) -> None:
    """Orders of one instrument that are at its limit hold up neither another's nor cancels."""
    connection = await connect(SPOT, opens=False)
    connection.market.budgets.pool.set_limit("order", 2)
    await connection.account.open(connection.heard.append)
    for client_id in ("O1", "O2"):
        await connection.account.submit(submit(client_id))
    late = submit("O3", deadline=time.time_ns() + S // 10)
    assert (await refused(connection.account.submit(late))).kind is Kind.NOT_SENT
    await connection.account.submit(submit("O4", "ETH-USDT", price=D(2_000)))
    await connection.account.cancel(SPOT, "O1")
    left = connection.market.limits_left("main")
    assert (left["account order"]["limit"], left["account order"]["used"]) == (2, 2)


async def test_everything_since_a_time_is_paged(okx: Okx, spot: Connection) -> None:
    """Orders and trades since a time come whole, whatever a page holds; earlier ones do not."""
    okx.buy(SPOT, "0.01")
    await asyncio.sleep(0.01)
    since = time.time_ns()
    await asyncio.sleep(0.01)
    for number in range(130):
        okx.place(type="MARKET", quantity=D("0.0001"), price=D(0), client_order_id=f"M{number}")
    for number in range(120):
        okx.place(price=D(30_000 + number), quantity=D("0.0001"), client_order_id=f"L{number}")
    trades = await spot.account.trades_since(SPOT, since)
    assert [trade.client_id for trade in trades] == [f"M{number}" for number in range(130)]
    orders = {order.client_id: order for order in await spot.account.orders_since(SPOT, since)}
    assert len(orders) == 250
    assert orders["M0"].state is State.FILLED
    assert orders["L7"].state is State.WORKING
    assert len(await spot.account.open_orders()) == 120


async def test_history_beyond_the_short_one(okx: Okx, spot: Connection) -> None:
    """What is older comes from the archive, each once; beyond three months there is no answer but an error."""
    okx.buy(SPOT, "0.01")
    long_ago = time.time_ns() - 30 * 86_400 * S
    assert len(await spot.account.trades_since(SPOT, long_ago)) == 1
    assert {sent.path for sent in okx.sent} >= {"/api/v5/trade/fills", "/api/v5/trade/fills-history"}
    assert len(await spot.account.orders_since(SPOT, long_ago)) == 1
    for work in (spot.account.trades_since(SPOT, 0), spot.account.orders_since(SPOT, 0)):
        assert (await refused(work)).kind is Kind.UNKNOWN


# -- funds and positions


async def test_totals(okx: Okx, swaps: Connection) -> None:
    """Totals are what the wallet holds, to the last digit, whatever is locked, margin or unrealised."""
    okx.place(SPOT)
    await swaps.account.set_margin_mode(SWAP, MarginMode.ISOLATED)
    await swaps.account.submit(submit("O1", SWAP, type=OrderType.MARKET, price=None, quantity=D(3)))
    okx.buy("ETH-USDT-SWAP", "0.5")
    okx.exchange.set_mark(okx.exchange.market("futures", SWAP), D(51_234))
    held = okx.main.wallets["unified"]
    assert await swaps.account.totals() == {asset: each.total for asset, each in held.items() if each.total}
    assert okx.exchange.position(okx.main, SWAP).mode == "isolated"


async def test_positions(okx: Okx, swaps: Connection) -> None:
    """Positions are signed and have their terms; symbols whose terms we set show them when flat."""
    assert await swaps.account.positions() == []
    await swaps.account.submit(
        submit("O1", SWAP, side=Side.SELL, type=OrderType.MARKET, price=None, quantity=D(2))
    )
    (short,) = await swaps.account.positions()
    assert (short.symbol, short.quantity, short.margin_mode) == (SWAP, D(-2), MarginMode.CROSS)
    assert (short.leverage, short.entry_price) == (D(3), D("49999.5"))
    await swaps.account.set_leverage("ETH-USDT-SWAP", D(7))
    flat = VenuePosition(symbol="ETH-USDT-SWAP", quantity=D(0), leverage=D(7), margin_mode=MarginMode.CROSS)
    assert await swaps.account.positions() == [short, flat]


async def test_positions_on_portfolio_margin(okx: Okx, connect: Any) -> None:
    """Where the venue tells no leverage of flat symbols, everything else is told nevertheless."""
    okx.wire.state.settings(okx.main).acct_lv = "4"
    swaps = await connect(SWAP)
    await swaps.account.submit(submit("O1", "ETH-USDT-SWAP", price=D(2_000)))
    await swaps.account.submit(submit("O2", SWAP, type=OrderType.MARKET, price=None, quantity=D(1)))
    await swaps.account.open_orders()
    held, flat = await swaps.account.positions()
    assert (held.symbol, held.quantity) == (SWAP, D(1))
    assert flat == VenuePosition(symbol="ETH-USDT-SWAP", quantity=D(0), margin_mode=MarginMode.CROSS)


async def test_leverage_and_margin_mode(okx: Okx, swaps: Connection) -> None:
    """Leverage is set in the symbol's margin mode, which orders are placed in, and which an open position keeps."""
    await swaps.account.set_leverage(SWAP, D(10))
    assert okx.last("account/set-leverage").json == {"instId": SWAP, "lever": "10", "mgnMode": "cross"}
    await swaps.account.set_margin_mode(SWAP, MarginMode.ISOLATED)
    await swaps.account.set_leverage(SWAP, D(5))
    await swaps.account.set_leverage(SWAP, D(5))
    await swaps.account.submit(submit("O1", SWAP, type=OrderType.MARKET, price=None, quantity=D(1)))
    assert okx.last("trade/order").json["tdMode"] == "isolated"
    (held,) = await swaps.account.positions()
    assert (held.margin_mode, held.leverage) == (MarginMode.ISOLATED, D(5))
    assert held.margin == okx.exchange.position(okx.main, SWAP).isolated_margin
    error = await refused(swaps.account.set_margin_mode(SWAP, MarginMode.CROSS))
    assert (error.kind, "isolated position" in error.reason) == (Kind.NOT_SENT, True)
    assert (await refused(swaps.account.set_leverage(SWAP, D(1_000)))).reason.startswith("59102")


async def test_an_open_order_keeps_its_margin_mode(swaps: Connection) -> None:
    """The margin mode is not changed under an open order."""
    await swaps.account.submit(submit("O1", SWAP))
    error = await refused(swaps.account.set_margin_mode(SWAP, MarginMode.ISOLATED))
    assert (error.kind, "cross order" in error.reason) == (Kind.NOT_SENT, True)


async def test_the_margin_mode_outlives_a_session(okx: Okx, swaps: Connection) -> None:
    """A later session of the market places in the mode that was set, and its order or position tells it to a new connector."""
    await swaps.account.set_margin_mode(SWAP, MarginMode.ISOLATED)
    later = swaps.market.account("main")
    await later.open(lambda event: None)
    await later.submit(submit("O1", SWAP))
    assert okx.last("trade/order").json["tdMode"] == "isolated"
    await later.close()
    for number, tells in enumerate(("open_orders", "positions")):
        fresh = OkxFutures(swaps.market.credentials, swaps.market.budgets, swaps.market.reach)
        await fresh.open()
        account = fresh.account("main")
        await account.open(lambda event: None)
        await getattr(account, tells)()
        await account.submit(submit(f"M{number}", SWAP, type=OrderType.MARKET, price=None, quantity=D(1)))
        assert okx.last("trade/order").json["tdMode"] == "isolated"
        await account.cancel(SWAP, "O1") if tells == "open_orders" else None
        await account.close()
        await fresh.close()


@pytest.mark.parametrize("mode", list(MarginMode))
async def test_funding(okx: Okx, swaps: Connection, mode: MarginMode) -> None:
    """A funding payment is told once with its id, received positive, whatever it moved; the stream says that funds moved."""
    await swaps.account.set_margin_mode(SWAP, mode)
    await swaps.account.submit(submit("O1", SWAP, type=OrderType.MARKET, price=None, quantity=D(2)))
    before = await swaps.account.totals()
    since = time.time_ns()
    okx.exchange.settle_funding(okx.exchange.market("futures", SWAP), D("0.001"))
    okx.exchange.settle_funding(okx.exchange.market("futures", SWAP), D("-0.002"))
    paid, received = await swaps.account.funding_since(since)
    assert isinstance(paid, VenueFunding)
    assert (paid.symbol, paid.asset, paid.amount) == (SWAP, "USDT", D(-1))
    assert received.amount == D(2)
    assert paid.funding_id != received.funding_id
    assert (await swaps.account.totals())["USDT"] == before["USDT"] + 1
    await swaps.until(lambda e: isinstance(e, FundsMoved) and "funding_fee" in e.reason)


async def test_transfers(okx: Okx, spot: Connection) -> None:
    """Funds go to a sub-account under our reference, are told as moved, and the state is found by that reference alone."""
    main = Party(account="main", venue_id="", wallet="unified", main=True)
    other = Party(account="other", venue_id="other", wallet="funding", main=False)
    move = Move(reference="ref1", source=main, target=other, asset="USDT", amount=D("250.5"))
    made = await spot.account.move(move, time.time_ns() + 10**9)
    assert okx.last("asset/transfer").json == {
        "type": "1",
        "subAcct": "other",
        "ccy": "USDT",
        "amt": "250.5",
        "from": "18",
        "to": "6",
        "clientId": "ref1",
    }
    assert okx.balance("USDT").total == D("99749.5")
    assert okx.exchange.accounts["other"].balance("funding", "USDT").total == D("100250.5")
    await spot.until(lambda e: isinstance(e, FundsMoved) and "transferred" in e.reason)
    found = await spot.account.find_transfer(move)
    assert (found.state, found.venue_transfer_id) == (TransferState.DONE, made.venue_transfer_id)
    nowhere = await refused(spot.account.find_transfer(attrs.evolve(move, reference="ref2")))
    assert nowhere.kind is Kind.NOT_FOUND
    # What OKX says of an id that was used says nothing of what became of it.
    again = await refused(spot.account.move(move, time.time_ns() + 10**9))
    assert again.kind is Kind.UNKNOWN
    odd = attrs.evolve(move, source=attrs.evolve(main, wallet="spot"))
    assert (await refused(spot.account.move(odd, time.time_ns() + 10**9))).kind is Kind.NOT_SENT


async def test_liquidation_and_deleveraging(okx: Okx, swaps: Connection) -> None:
    """The venue's own orders say whose they are; their trades are told by REST, and the stream says that funds moved."""
    await swaps.account.submit(submit("O1", SWAP, type=OrderType.MARKET, price=None, quantity=D(4)))
    # The venue's times are whole milliseconds: what is asked for begins in a later one.
    await asyncio.sleep(0.005)
    since = time.time_ns()
    okx.exchange.deleverage(okx.main, SWAP, D(1))
    okx.exchange.liquidate(okx.main, SWAP)
    for origin in ("adl", "liquidation"):
        event = await swaps.until(
            lambda e, origin=origin: (
                isinstance(e, OrderChanged) and e.order.origin == origin and e.order.state is State.FILLED
            )
        )
        assert event.order.client_id == f"#{event.order.venue_order_id}"
        assert event.order.trades == ()
    await swaps.until(lambda e: isinstance(e, FundsMoved) and "without a trade id" in e.reason)
    await swaps.until(lambda e: isinstance(e, FundsMoved) and "liquidation" in e.reason)
    trades = await swaps.account.trades_since(SWAP, since)
    assert sum(trade.quantity for trade in trades) == D(4)
    assert all(int(trade.trade_id) < 0 for trade in trades)
    (adl,) = [t for t in trades if t.quantity == 1]
    assert (await swaps.account.order_by_venue_id(SWAP, adl.venue_order_id)).origin == "adl"


# -- accounts that cannot be used


@pytest.mark.parametrize(
    "key, code",
    [
        (Key("nobody", SECRET, PASSPHRASE), "50111"),
        (Key(KEY, "wrong", PASSPHRASE), "50113"),
        (Key(KEY, SECRET, "wrong"), "50105"),
    ],
)
async def test_bad_keys(connect: Any, key: Key, code: str) -> None:
    """A key, secret or passphrase that the venue does not take is fatal, and is never shown."""
    connection = await connect(SPOT, key, opens=False)
    error = await refused(connection.account.open(lambda event: None))
    assert (error.kind, error.reason[:5]) == (Kind.AUTH_FATAL, code)
    for secret in (key.secret, key.passphrase):
        assert secret not in error.reason


async def test_accounts_set_up_otherwise(okx: Okx, connect: Any) -> None:
    """Swaps are not traded in long/short mode nor in spot mode; spot is, and on margin says so."""
    settings = okx.wire.state.settings(okx.main)
    settings.pos_mode = "long_short_mode"
    connection = await connect(SWAP, opens=False)
    error = await refused(connection.account.open(lambda event: None))
    assert (error.kind, "net_mode" in error.reason) == (Kind.REJECTED, True)
    settings.pos_mode, settings.acct_lv = "net_mode", "1"
    error = await refused((await connect(SWAP, opens=False)).account.open(lambda event: None))
    assert (error.kind, "spot mode" in error.reason) == (Kind.REJECTED, True)
    settings.acct_lv = "3"
    spot = await connect(SPOT)
    await spot.account.submit(submit())
    assert okx.last("trade/order").json["tdMode"] == "cross"
    assert (await spot.order("O1", State.WORKING)).quantity == D("0.01")
    market_buy = submit("O2", type=OrderType.MARKET, price=None)
    assert (await refused(spot.account.submit(market_buy))).kind is Kind.NOT_SENT


async def test_the_venues_clock_is_learned(okx: Okx, connect: Any) -> None:
    """A venue whose clock is an hour ahead takes our requests and our login."""
    okx.exchange.clock = lambda: time.time_ns() + 3_600 * S
    connection = await connect(SPOT)
    await connection.account.submit(submit())
    assert (await connection.order("O1", State.WORKING)).client_id == "O1"


async def test_a_clock_that_parts_ends_the_session(okx: Okx, spot: Connection) -> None:
    """A request that the venue finds stale did nothing, and the next session learns the clock anew."""
    okx.exchange.clock = lambda: time.time_ns() + 60 * S
    error = await refused(spot.account.submit(submit()))
    assert (error.kind, error.reason[:5]) == (Kind.REJECTED, "50102")
    assert "clock" in await asyncio.wait_for(spot.account.lost(), 1)
    assert not okx.main.open


async def test_a_request_that_comes_too_late_is_discarded(okx: Okx, connect: Any) -> None:
    """An order that arrives after its deadline is refused at the door."""
    connection = await connect(SPOT, recv_window_ms=-500)
    error = await refused(connection.account.submit(submit()))
    assert (error.kind, error.reason[:5]) == (Kind.REJECTED, "50036")
    late = submit("O2", deadline=time.time_ns() - 1)
    assert (await refused(connection.account.submit(late))).kind is Kind.NOT_SENT
    assert not okx.main.open


# -- what failures mean


@pytest.mark.parametrize(
    "fields, kind, code",
    [
        ({"symbol": "DOGE-USDT"}, Kind.REJECTED, "51001"),
        ({"price": D("40000.05")}, Kind.REJECTED, "51150"),
        ({"price": D(2_000_000)}, Kind.REJECTED, "51006"),
        ({"quantity": D("0.000001")}, Kind.REJECTED, "51020"),
        ({"quantity": D("0.010000001")}, Kind.REJECTED, "51121"),
        ({"quantity": D(9_001)}, Kind.REJECTED, "51005"),
        ({"quantity": D(100)}, Kind.REJECTED, "51008"),
        ({"client_id": "not-ours"}, Kind.REJECTED, "51000"),
    ],
)
async def test_refused_orders(
    okx: Okx, spot: Connection, fields: dict[str, Any], kind: Kind, code: str
) -> None:
    """An order that the venue refuses with a code of its own did not happen."""
    error = await refused(spot.account.submit(submit(**fields)))
    assert (error.kind, error.reason[:5]) == (kind, code)
    assert not okx.main.open
    assert not okx.main.fills


async def test_other_refusals(okx: Okx, spot: Connection) -> None:
    """A used client id is in doubt; what is done already, full, halted or a post-only amend is told as such."""
    account = spot.account
    await account.submit(submit())
    again = await refused(account.submit(submit()))
    assert (again.kind, again.reason[:5]) == (Kind.UNKNOWN, "51016")
    assert (await refused(account.cancel(SPOT, "O9"))).kind is Kind.ALREADY_DONE
    assert (await refused(account.amend(amend("O9")))).kind is Kind.ALREADY_DONE
    await account.submit(submit("P1", post_only=True))
    crossing = await refused(account.amend(amend("P1", price=D(50_100))))
    assert (crossing.kind, crossing.reason[:5]) == (Kind.REJECTED, "51511")
    costly = await refused(account.amend(amend("P1", quantity=D(100))))
    assert (costly.kind, costly.reason[:5]) == (Kind.REJECTED, "51008")
    await account.cancel(SPOT, "O1")
    assert (await refused(account.cancel(SPOT, "O1"))).reason.startswith("51400")
    assert (await refused(account.amend(amend("O1")))).reason.startswith("51503")
    okx.exchange.set_status(okx.exchange.market("spot", SPOT), "HALTED")
    halted = await refused(account.submit(submit("O3")))
    assert (halted.kind, halted.reason[:5]) == (Kind.REJECTED, "51022")


async def test_an_amend_that_changes_nothing_is_taken(spot: Connection) -> None:
    """Asking for the terms that stand is no failure."""
    await spot.account.submit(submit())
    await spot.account.amend(amend(quantity=D("0.01"), price=D(40_000)))
    assert (await spot.account.order(SPOT, "O1")).quantity == D("0.01")


async def test_margin_refusals(swaps: Connection) -> None:
    """Swaps without the margin for them are refused."""
    error = await refused(swaps.account.submit(submit("O1", SWAP, quantity=D(100_000))))
    assert (error.kind, error.reason[:5]) == (Kind.REJECTED, "51008")


@pytest.mark.parametrize(
    "fault, kind, exists",
    [
        ("drop_request", Kind.UNKNOWN, False),
        ("server_error_before", Kind.UNKNOWN, False),
        ("rate_limited", Kind.THROTTLED, False),
        ("lost_reply", Kind.UNKNOWN, True),
        ("hang", Kind.UNKNOWN, True),
        ("truncated_reply", Kind.UNKNOWN, True),
        ("server_error_after", Kind.UNKNOWN, True),
        ("timeout_1007", Kind.UNKNOWN, True),
    ],
)
async def test_faults_of_a_new_order(
    okx: Okx, spot: Connection, fault: str, kind: Kind, exists: bool
) -> None:
    """Whatever happens to a new order, it is sent once, never called refused when it may stand, and found by its client id."""
    fields = {"delay_ms": 700} if fault == "hang" else {}
    okx.fault(fault, ORDER, **fields)
    error = await refused(spot.account.submit(submit()))
    assert error.kind is kind
    assert (
        len([sent for sent in okx.sent if sent.path == "/api/v5/trade/order" and sent.method == "POST"]) == 1
    )
    if kind is Kind.THROTTLED:
        assert error.retry_after_s == 2.0
        return
    if exists:
        assert (await spot.account.order(SPOT, "O1")).state is State.WORKING
        assert (await spot.order("O1", State.WORKING)).client_id == "O1"
    else:
        assert (await refused(spot.account.order(SPOT, "O1"))).kind is Kind.NOT_FOUND


@pytest.mark.parametrize("fault", ["lost_reply", "server_error_after", "timeout_1007"])
async def test_faults_of_cancels_and_amends(okx: Okx, spot: Connection, fault: str) -> None:
    """A cancel or amend without an answer is unknown, and a look-up shows what became of it."""
    await spot.account.submit(submit())
    okx.fault(fault, AMEND)
    assert (await refused(spot.account.amend(amend()))).kind is Kind.UNKNOWN
    assert (await spot.account.order(SPOT, "O1")).quantity == D("0.02")
    okx.fault(fault, CANCEL)
    assert (await refused(spot.account.cancel(SPOT, "O1"))).kind is Kind.UNKNOWN
    assert (await spot.account.order(SPOT, "O1")).state is State.CANCELED


async def test_too_many_orders(okx: Okx, spot: Connection) -> None:
    """Orders beyond the account's limit are throttled, and did not happen; cancels do not count there."""
    pools = okx.wire.limits.pools
    pools["orders"] = attrs.evolve(pools["orders"], limit=1, window_s=86_400)
    await spot.account.submit(submit("O1"))
    error = await refused(spot.account.submit(submit("O2")))
    assert (error.kind, error.reason[:5], error.retry_after_s) == (Kind.THROTTLED, "50061", 2.0)
    assert len(okx.main.open) == 1
    await spot.account.cancel(SPOT, "O1")
    assert not okx.main.open


# -- the private stream


async def test_a_dropped_stream_is_lost(okx: Okx, spot: Connection) -> None:
    """A connection that is cut ends the stream, which is not opened again."""
    okx.wire.drop_websockets("user")
    assert await asyncio.wait_for(spot.account.lost(), 2)
    await asyncio.sleep(0.1)
    assert okx.wire.connections()["user"] == 0


async def test_what_cannot_be_read_loses_the_stream(
    okx: Okx, spot: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that cannot be read ends the stream, because it may have mattered."""
    caplog.set_level(logging.CRITICAL)
    spot.account.exchange.on_private({"arg": {"channel": "orders"}, "data": [{"instType": "SPOT"}]})
    assert "cannot be read" in await asyncio.wait_for(spot.account.lost(), 1)


@pytest.mark.parametrize(
    "message",
    [
        {
            "event": "notice",
            "code": "64008",
            "msg": "The connection will soon be closed for a service upgrade.",
        },
        {"event": "error", "code": "60011", "msg": "Please log in"},
        {"event": "channel-conn-count-error", "channel": "orders", "connCount": "20"},
    ],
)
async def test_what_the_venue_says_of_the_stream(spot: Connection, message: dict[str, str]) -> None:
    """A stream that the venue is about to end, or does not serve, is lost."""
    spot.account.exchange.on_private(message)
    assert "the venue said" in await asyncio.wait_for(spot.account.lost(), 1)


async def test_a_stream_that_does_not_open(okx: Okx, connect: Any) -> None:
    """A private stream that cannot be had is an error of the opening, not a session without one."""
    okx.fault("refuse_websocket", "/ws/v5/private", count=None)
    connection = await connect(SPOT, opens=False)
    assert (await refused(connection.account.open(lambda event: None))).kind is Kind.UNKNOWN


async def test_a_channel_that_is_refused(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private stream without one of its channels does not open, which is known at once."""
    monkeypatch.setitem(CHANNELS, "private", frozenset({"orders"}))
    connection = await connect(SPOT, opens=False)
    async with asyncio.timeout(2):
        error = await refused(connection.account.open(lambda event: None))
    assert (error.kind, "60018" in error.reason) == (Kind.UNKNOWN, True)


async def test_instruments_listed_later_do_not_kill_the_stream(okx: Okx, spot: Connection) -> None:
    """An order in something that ccxt has not heard of is told like any other."""
    okx.buy(SPOT, "0.01")
    await spot.until(lambda e: isinstance(e, OrderChanged))
    name = spot.account.exchange.markets_by_id.pop(SPOT)[0]["symbol"]
    del spot.account.exchange.markets[name]
    for client_id in ("later", "latest"):
        okx.place(client_order_id=client_id)
        assert (await spot.order(client_id, State.WORKING)).symbol == SPOT


# -- public streams


async def first(stream: AsyncIterator[Any]) -> Any:
    """The first of a stream, which is then closed."""
    try:
        async with asyncio.timeout(3):
            return await anext(stream)
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_marks(okx: Okx, connect: Any) -> None:
    """Spot is marked half way between bid and offer, swaps as the venue marks them; both say what stands."""
    spot, swaps = await connect(SPOT, opens=False), await connect(SWAP, opens=False)
    assert await spot.market.marks_now([SPOT]) == await first(spot.market.marks([SPOT])) == {SPOT: D(50_000)}
    assert (
        await swaps.market.marks_now([SWAP]) == await first(swaps.market.marks([SWAP])) == {SWAP: D(50_000)}
    )
    marks = swaps.market.marks([SWAP, "ETH-USDT-SWAP"])
    seen: dict[str, D] = {}
    async with asyncio.timeout(3):
        async for some in marks:
            seen |= some
            if seen == {SWAP: D("51234.5"), "ETH-USDT-SWAP": D(3_000)}:
                break
            okx.exchange.set_mark(okx.exchange.market("futures", SWAP), D("51234.5"))
    await marks.aclose()


async def test_quotes_books_and_trades(okx: Okx, connect: Any) -> None:
    """Quotes, books and trades are the venue's numbers, in its units."""
    swaps = await connect(SWAP, opens=False)
    book = okx.exchange.market("futures", SWAP).book
    bid, ask = book.best("BUY"), book.best("SELL")
    assert bid is not None
    assert ask is not None
    quote = await first(swaps.market.quotes([SWAP]))
    assert (quote.symbol, quote.bid, quote.bid_quantity) == (SWAP, bid.price, bid.quantity)
    assert (quote.ask, quote.ask_quantity) == (ask.price, ask.quantity)
    shown = await first(swaps.market.book(SWAP))
    assert [(level.price, level.quantity) for level in book.levels("BUY")] == list(shown.bids)
    trades = swaps.market.trades(SWAP)
    waiting = asyncio.create_task(first(trades))
    await asyncio.sleep(0.2)
    okx.buy(SWAP, "0.03", "other")
    trade = await waiting
    assert (trade.symbol, trade.side, trade.quantity, trade.price) == (SWAP, Side.BUY, D("0.03"), ask.price)
