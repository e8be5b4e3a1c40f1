"""The adapter of Binance USD-M futures over unmodified ccxt, against the simulator's wire."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.simulator import PRESETS, AccountConfig, ExchangeConfig, Simulator, SimulatorConfig
from oms.simulator.client import ccxt_session
from oms.simulator.exchange import Exchange
from oms.simulator.faults import FaultRule
from oms.simulator.orders import Order, OrderRequest
from oms.simulator.wire import Wire
from oms.venues import binance_futures
from oms.venues.adapter import FundsMoved, OrderChanged, State, StreamEvent, VenueOrder, VenueTrade
from oms.venues.admission import Pool
from oms.venues.binance_futures import BinanceFutures, BinanceFuturesAccount
from oms.venues.binance_futures_codes import MEANINGS
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS

SYMBOL = "BTCUSDT"
FUNDS = {"USDT": D(100_000)}
TIMEOUT_S = 0.4
DAY_NS = 86_400 * 10**9
NS_PER_MS = 10**6


@attrs.define
class Rig:
    """A simulated Binance and one account's adapter on it."""

    wire: Wire
    market: BinanceFutures
    account: BinanceFuturesAccount
    session: Any
    events: list[StreamEvent] = attrs.field(factory=list)
    _number: int = 0

    @property
    def exchange(self) -> Exchange:
        return self.wire.exchange

    def order(self, **fields: Any) -> Submit:
        """A limit order far below the market unless said otherwise, under a client id of our own form."""
        self._number += 1
        client_id = fields.pop("client_id", f"tester{self._number:010x}")
        fields = {
            "symbol": SYMBOL,
            "side": Side.BUY,
            "type": OrderType.LIMIT,
            "quantity": D("0.010"),
            "price": D("40000.0"),
            "deadline": time.time_ns() + 10 * 10**9,
            **fields,
        }
        if fields["type"] is not OrderType.LIMIT:
            fields["price"] = None
        return Submit(order_id=client_id, client_id=client_id, **fields)

    async def place(self, **fields: Any) -> VenueOrder:
        return await self.account.submit(self.order(**fields))

    async def trade(self, quantity: str = "0.010", side: Side = Side.BUY) -> VenueOrder:
        """Trade at the market."""
        return await self.place(type=OrderType.MARKET, quantity=D(quantity), side=side)

    def amend_of(self, order: VenueOrder, quantity: str, price: str) -> Amend:
        return Amend(
            order_id=order.client_id,
            client_id=order.client_id,
            new_client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            quantity=D(quantity),
            quantity_before=order.quantity,
            price=D(price),
            revision=0,
            deadline=time.time_ns() + 10 * 10**9,
        )

    def told(self, kind: type[Any]) -> list[Any]:
        """What the stream has told of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def trades_told(self) -> list[VenueTrade]:
        return [trade for event in self.told(OrderChanged) for trade in event.order.trades]

    async def until(self, condition: Callable[[], Any], within_s: float = 5.0) -> Any:
        """Wait until the condition holds and return its value."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            await asyncio.sleep(0.005)
        raise AssertionError(f"did not happen within {within_s} s; told: {self.events[-5:]}")

    def there(self, name: str = "main") -> list[Order]:
        """The account's orders of futures at the exchange."""
        return [order for order in self.exchange.accounts[name].all_orders() if order.market == "futures"]

    def fault(self, kind: str, **fields: Any) -> None:
        self.wire.faults.add(FaultRule(kind, count=1, **fields))

    def new_account(self, **key: str) -> BinanceFuturesAccount:
        """Another connection of the same account, perhaps with another key."""
        made = self.market.account("main")
        for name, value in key.items():
            setattr(made.exchange, name, value)
        return made


def budgets(venue: str = "binance.futures") -> Budgets:
    return Budgets(Pool(POOLS[venue]), 6_000, 1_000, 100_000)


CREDENTIALS = FixedCredentials({("binance", "main"): Key("main-key", "main-secret")})


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    accounts = (
        AccountConfig("main", "main-key", "main-secret", FUNDS),
        AccountConfig("other", "other-key", "other-secret", FUNDS),
    )
    symbols = PRESETS["binance.spot"] + PRESETS["binance.futures"]
    config = SimulatorConfig(
        (ExchangeConfig("binance", symbols, accounts, limits={"futures_weight_1m": 100_000}),),
        ca_path=tmp_path / "ca.pem",
    )
    simulator = Simulator(config)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def unopened(simulator: Simulator) -> AsyncIterator[Rig]:
    """A rig whose market is open and whose account is not."""
    assert simulator.ca_path is not None
    async with ccxt_session(simulator.ca_path, simulator.port) as session:
        reach = Reach(session=session, timeout_s=TIMEOUT_S)
        market = BinanceFutures(CREDENTIALS, budgets(), reach)
        await market.open()
        rig = Rig(simulator.exchanges["binance"], market, market.account("main"), session)
        yield rig
        await rig.account.close()
        await market.close()


@pytest.fixture
async def rig(unopened: Rig) -> Rig:
    await unopened.account.open(unopened.events.append)
    return unopened


async def refused(work: Any) -> VenueError:
    """The error that the work raises."""
    with pytest.raises(VenueError) as caught:
        await work
    return caught.value


# -- instruments


async def test_instruments(unopened: Rig) -> None:
    """The listing has every symbol with its exact terms, and a halt shows; limits are those that the venue lists."""
    instruments = {each.symbol: each for each in await unopened.market.open()}
    assert instruments.keys() == {"BTCUSDT", "ETHUSDT"}
    btc = instruments["BTCUSDT"]
    assert (btc.base, btc.quote, btc.settle, btc.contract_size) == ("BTC", "USDT", "USDT", D(1))
    assert (btc.tick, btc.step, btc.min_quantity, btc.max_quantity) == (
        D("0.1"),
        D("0.001"),
        D("0.001"),
        D(1000),
    )
    assert (btc.min_notional, btc.max_notional) == (D(50), None)
    assert (btc.maker_fee, btc.taker_fee, btc.trading) == (D("0.0002"), D("0.0005"), True)
    exchange = unopened.exchange
    exchange.set_status(exchange.market("futures", "ETHUSDT"), "HALTED")
    halted = {each.symbol: each.trading for each in await unopened.market.open()}
    assert halted == {"BTCUSDT": True, "ETHUSDT": False}
    assert unopened.market.budgets.pool.windows["weight 1m"].limit == 100_000


# -- orders


async def test_a_limit_order_lives_and_is_canceled(rig: Rig) -> None:
    """A new order is acknowledged, told on the stream, found by either id, and ends canceled; exact in every place."""
    sent = rig.order(quantity=D("0.012"), price=D("41234.5"))
    placed = await rig.account.submit(sent)
    assert (placed.client_id, placed.quantity, placed.price) == (sent.client_id, D("0.012"), D("41234.5"))
    assert (placed.state, placed.cumulative, placed.trades, placed.reason) == (State.WORKING, D(0), (), "")
    told = await rig.until(lambda: rig.told(OrderChanged))
    assert told[0].order == placed
    assert await rig.account.order(SYMBOL, placed.client_id) == placed
    assert await rig.account.order_by_venue_id(SYMBOL, placed.venue_order_id) == placed
    assert await rig.account.open_orders() == await rig.account.open_orders(SYMBOL) == [placed]
    canceled = await rig.account.cancel(SYMBOL, placed.client_id)
    assert (canceled.state, canceled.reason, canceled.client_id) == (
        State.CANCELED,
        "canceled",
        placed.client_id,
    )
    await rig.until(lambda: rig.told(OrderChanged)[-1].order == canceled)
    assert await rig.account.open_orders() == []
    assert [order.state for order in await rig.account.orders_since(SYMBOL, 0)] == [State.CANCELED]
    again = await refused(rig.account.cancel(SYMBOL, placed.client_id))
    assert (again.kind, again.reason) == (Kind.ALREADY_DONE, "-2011 Unknown order sent.")
    missing = await refused(rig.account.order(SYMBOL, "nothing"))
    assert (missing.kind, missing.reason) == (Kind.NOT_FOUND, "-2013 Order does not exist.")


async def test_the_bytes_that_leave(rig: Rig) -> None:
    """Amounts leave as digits, whatever form the number has; what a venue does not need is not sent."""
    await rig.place(quantity=D("1E-2"), price=D("4E+4"), post_only=True)
    body = rig.account.exchange.last_request_body
    assert "&quantity=0.01&" in body
    assert "&price=40000&" in body
    assert "timeInForce=GTX" in body
    assert "reduceOnly" not in body
    await rig.trade("0.020")
    body = rig.account.exchange.last_request_body
    assert "price" not in body
    assert "timeInForce" not in body
    await rig.place(quantity=D("0.010"), price=D(60_000), side=Side.SELL, reduce_only=True)
    assert "reduceOnly=true" in rig.account.exchange.last_request_body


async def test_a_fill_is_the_same_by_stream_and_by_rest(rig: Rig) -> None:
    """Trades of one order have the same ids, prices and fees whichever way they are learned; balances move by them."""
    order = await rig.trade("0.015")
    assert (order.state, order.cumulative) == (State.FILLED, D("0.015"))
    told = await rig.until(rig.trades_told)
    (fill,) = rig.there()[0].fills
    assert told == [
        VenueTrade(
            venue_order_id=order.venue_order_id,
            client_id=order.client_id,
            symbol=SYMBOL,
            side=Side.BUY,
            trade_id=str(fill.trade_id),
            quantity=D("0.015"),
            price=fill.price,
            fee=fill.commission,
            fee_asset="USDT",
            maker=False,
            time=fill.time_ns // NS_PER_MS * NS_PER_MS,
        )
    ]
    by_rest = [attrs.evolve(trade, client_id="") for trade in told]
    assert await rig.account.trades_since(SYMBOL, told[0].time) == by_rest
    assert await rig.account.trades_of(SYMBOL, order.venue_order_id) == by_rest
    assert await rig.account.trades_since(SYMBOL, told[0].time + NS_PER_MS) == []
    assert await rig.account.totals() == {"USDT": FUNDS["USDT"] - fill.commission}
    (position, flat) = await rig.account.positions()
    assert (position.symbol, position.quantity, position.entry_price) == (SYMBOL, D("0.015"), fill.price)
    assert (position.margin, position.leverage, position.margin_mode) == (None, D(20), MarginMode.CROSS)
    assert (flat.symbol, flat.quantity, flat.entry_price) == ("ETHUSDT", D(0), None)


async def test_profit_is_in_the_wallet_to_the_last_digit(rig: Rig) -> None:
    """After closing in parts the wallet is what it was, plus realised profit, less fees: exactly."""
    await rig.trade("0.031")
    for quantity in ("0.007", "0.024"):
        await rig.trade(quantity, Side.SELL)
    fills = [fill for order in rig.there() for fill in order.fills]
    expected = FUNDS["USDT"] + sum((fill.realised - fill.commission for fill in fills), D(0))
    assert await rig.account.totals() == {"USDT": expected}
    assert all(not position.quantity for position in await rig.account.positions())


async def test_time_in_force(rig: Rig) -> None:
    """What IOC leaves expires with its reason; GTD is left to the engine; FOK that cannot fill is refused."""
    ioc = await rig.place(price=D("49000"), time_in_force=TimeInForce.IOC)
    assert (ioc.state, ioc.time_in_force) == (State.EXPIRED, TimeInForce.IOC)
    told = await rig.until(
        lambda: [e.order for e in rig.told(OrderChanged) if e.order.state is State.EXPIRED]
    )
    assert told[0].reason == "expired: IOC remainder"
    assert (await rig.place(time_in_force=TimeInForce.GTD)).time_in_force is TimeInForce.GTC
    error = await refused(rig.place(time_in_force=TimeInForce.FOK))
    assert (error.kind, error.reason.split()[0]) == (Kind.REJECTED, "-5021")


async def test_orders_of_every_symbol(rig: Rig) -> None:
    """Open orders are asked for by symbol or of all at once."""
    await rig.place()
    await rig.place(symbol="ETHUSDT", quantity=D("0.100"), price=D("2000.00"))
    assert [order.symbol for order in await rig.account.open_orders()] == ["BTCUSDT", "ETHUSDT"]
    assert [order.symbol for order in await rig.account.open_orders("ETHUSDT")] == ["ETHUSDT"]


# -- amends


async def test_an_amend_changes_the_venue_order_itself(rig: Rig) -> None:
    """Quantity and price change under the same ids, the answer and the stream tell the new terms."""
    placed = await rig.place()
    changed = await rig.account.amend(rig.amend_of(placed, "0.025", "41000.5"))
    assert (changed.client_id, changed.venue_order_id) == (placed.client_id, placed.venue_order_id)
    assert (changed.quantity, changed.price, changed.state) == (D("0.025"), D("41000.5"), State.WORKING)
    await rig.until(lambda: rig.told(OrderChanged)[-1].order == changed)
    assert await rig.account.open_orders() == [changed]
    body = rig.account.exchange.last_request_url
    assert "openOrders" in body
    same = await refused(rig.account.amend(rig.amend_of(placed, "0.025", "41000.5")))
    assert (same.kind, same.reason) == (Kind.ALREADY_DONE, "-5027 No need to modify the order.")
    bad = await refused(rig.account.amend(rig.amend_of(placed, "0.025", "41000.55")))
    assert (bad.kind, bad.reason.split()[0]) == (Kind.REJECTED, "-4014")
    assert await rig.account.open_orders() == [changed]
    await rig.account.cancel(SYMBOL, placed.client_id)
    late = await refused(rig.account.amend(rig.amend_of(placed, "0.030", "41000.5")))
    assert late.kind is Kind.NOT_FOUND


async def test_an_amend_that_matches_fills(rig: Rig) -> None:
    """An amend through the market is told with the trades that it makes."""
    placed = await rig.place()
    changed = await rig.account.amend(rig.amend_of(placed, "0.010", "50100.0"))
    assert (changed.state, changed.cumulative) == (State.FILLED, D("0.010"))
    trades = await rig.until(rig.trades_told)
    assert [trade.client_id for trade in trades] == [placed.client_id]


async def test_amends_that_end_the_order(rig: Rig) -> None:
    """No more than is filled, or a post-only price that would match, ends the order: the answer says how."""
    placed = await rig.place(quantity=D("0.020"), price=D("50000.0"))
    seller = OrderRequest(
        "futures", SYMBOL, "SELL", "LIMIT", D("0.005"), price=D("50000.0"), time_in_force="IOC"
    )
    rig.exchange.place(rig.exchange.accounts["other"], seller)
    part = await rig.account.order(SYMBOL, placed.client_id)
    assert (part.state, part.cumulative) == (State.WORKING, D("0.005"))
    ended = await rig.account.amend(rig.amend_of(placed, "0.005", "50000.0"))
    assert (ended.state, ended.cumulative) == (State.CANCELED, D("0.005"))
    poster = await rig.place(post_only=True)
    ended = await rig.account.amend(rig.amend_of(poster, "0.010", "60000.0"))
    assert (ended.state, ended.cumulative) == (State.EXPIRED, D(0))


async def test_what_is_not_offered_is_not_sent(rig: Rig) -> None:
    """Conditional orders, amends of market orders, broken leverage and deadlines in the past leave no byte."""
    stop = rig.order(type=OrderType.STOP_MARKET, trigger_price=D(60_000))
    of_market = msgspec.structs.replace(rig.amend_of(await rig.place(), "0.010", "1"), price=None)
    weight = rig.market.limits_left("main")["address weight 1m"]["used"]
    for work in (
        rig.account.submit(stop),
        rig.account.amend(of_market),
        rig.account.set_leverage(SYMBOL, D("2.5")),
        rig.place(deadline=time.time_ns() - 1),
    ):
        assert (await refused(work)).kind is Kind.NOT_SENT
    assert rig.market.limits_left("main")["address weight 1m"]["used"] == weight
    assert len(rig.there()) == 1


# -- how the venue says no


async def test_refusals_of_orders(rig: Rig) -> None:
    """Each refusal that an order can meet has the venue's code and the meaning of the table, and leaves no order."""
    resting = rig.order()
    await rig.account.submit(resting)
    cases: list[tuple[str, Kind, dict[str, Any]]] = [
        ("-4014", Kind.REJECTED, {"price": D("40000.05")}),
        ("-4002", Kind.REJECTED, {"price": D("1000000.1")}),
        ("-4001", Kind.REJECTED, {"price": D("0")}),
        ("-4023", Kind.REJECTED, {"quantity": D("0.0105")}),
        ("-4005", Kind.REJECTED, {"quantity": D("1000.001")}),
        ("-4004", Kind.REJECTED, {"quantity": D("0.0005")}),
        ("-4003", Kind.REJECTED, {"quantity": D("0")}),
        ("-4164", Kind.REJECTED, {"quantity": D("0.001")}),
        ("-1111", Kind.REJECTED, {"quantity": D("0.0000000001")}),
        ("-2019", Kind.REJECTED, {"quantity": D(900)}),
        ("-2022", Kind.REJECTED, {"reduce_only": True, "side": Side.SELL, "price": D(60_000)}),
        ("-5022", Kind.REJECTED, {"post_only": True, "price": D(60_000)}),
        ("-5021", Kind.REJECTED, {"time_in_force": TimeInForce.FOK}),
        ("-1121", Kind.REJECTED, {"symbol": "NOSUCH"}),
        ("-1100", Kind.REJECTED, {"client_id": "not allowed"}),
        ("-4116", Kind.UNKNOWN, {"client_id": resting.client_id}),
    ]
    for code, kind, fields in cases:
        error = await refused(rig.place(**fields))
        assert (error.reason.split()[0], error.kind) == (code, kind), fields
        assert MEANINGS[code] == (("", kind),)
    rig.exchange.set_status(rig.exchange.market("futures", SYMBOL), "HALTED")
    for code, work in (
        ("-4141", rig.place()),
        (
            "-5024",
            rig.account.amend(
                rig.amend_of(await rig.account.order(SYMBOL, resting.client_id), "0.02", "40000")
            ),
        ),
    ):
        error = await refused(work)
        assert (error.reason.split()[0], error.kind) == (code, Kind.REJECTED)
    assert len(rig.there()) == 1


async def test_refusals_of_terms(rig: Rig) -> None:
    """Leverage and margin mode are refused with reason; a margin mode that stands is no error."""
    account = rig.account
    assert (await refused(account.set_leverage(SYMBOL, D(126)))).reason.split()[0] == "-4028"
    await rig.place()
    assert (await refused(account.set_margin_mode(SYMBOL, MarginMode.ISOLATED))).reason.split()[0] == "-4047"
    await account.cancel(SYMBOL, rig.there()[0].client_order_id)
    await account.set_margin_mode(SYMBOL, MarginMode.ISOLATED)
    await account.set_margin_mode(SYMBOL, MarginMode.ISOLATED)
    await account.set_leverage(SYMBOL, D(7))
    await account.set_leverage(SYMBOL, D(7))
    await rig.trade()
    position = (await account.positions())[0]
    assert (position.leverage, position.margin_mode) == (D(7), MarginMode.ISOLATED)
    assert position.margin == rig.exchange.position(rig.exchange.accounts["main"], SYMBOL).isolated_margin
    assert position.liquidation_price is not None
    assert (await refused(account.set_margin_mode(SYMBOL, MarginMode.CROSS))).reason.split()[0] == "-4048"
    assert (await refused(account.set_leverage(SYMBOL, D(3)))).reason.split()[0] == "-4161"
    reasons = [event.reason.split()[0] for event in rig.told(FundsMoved)]
    assert reasons == ["ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE:"]


@pytest.mark.parametrize("code", ["-1000", "-1001", "-1006", "-1007", "-1008", "-1010", "-4999", "-9000"])
def test_what_is_unknown(code: str) -> None:
    """Codes by which the venue does not know itself, and undocumented ones, have no meaning."""
    assert code not in MEANINGS


async def test_keys_and_clocks(unopened: Rig) -> None:
    """A wrong key, secret or clock is told for what it is before anything is traded."""
    for change, code, kind in (
        ({"apiKey": "nobody"}, "-2015", Kind.AUTH_FATAL),
        ({"secret": "wrong"}, "-1022", Kind.AUTH_FATAL),
    ):
        account = unopened.new_account(**change)
        error = await refused(account.open(unopened.events.append))
        assert (error.kind, error.reason.split()[0]) == (kind, code)
        await account.close()
    account = unopened.new_account()
    await account.open(unopened.events.append)
    account.exchange.options["timeDifference"] = 60_000
    error = await refused(account.totals())
    assert (error.kind, error.reason.split()[0]) == (Kind.REJECTED, "-1021")
    await account.close()


async def test_our_clock_may_be_wrong(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's clock is learned when the account is opened: ours may be a minute off."""
    account = rig.new_account()
    ahead = account.exchange.milliseconds
    monkeypatch.setattr(account.exchange, "milliseconds", lambda: ahead() + 60_000)
    await account.open(rig.events.append)
    assert await account.totals() == FUNDS
    await account.close()


async def test_the_time_is_learned_however_long_the_question_waits(rig: Rig) -> None:
    """Two hundred accounts that open at once wait for room in the rate limits: that is no time of the answer's."""
    account = rig.new_account()
    rig.market.budgets.pool.hold(3)
    await account.open(rig.events.append)
    assert await account.totals() == FUNDS
    assert abs(account.exchange.options["timeDifference"]) < 500
    await account.close()


async def test_our_clock_may_be_set(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """When timestamps are refused the venue's time is learned again: it costs one request, not the session."""
    real = rig.account.exchange.milliseconds
    monkeypatch.setattr(rig.account.exchange, "milliseconds", lambda: real() - 60_000)
    error = await refused(rig.place())
    assert (error.kind, error.reason.split()[0]) == (Kind.REJECTED, "-1021")
    await rig.until(lambda: rig.account.exchange.options["timeDifference"] < -50_000)
    await rig.place()
    assert len(rig.there()) == 1


async def test_rate_limits_of_the_venue(rig: Rig) -> None:
    """New and amended orders count, here as at the venue; when it throttles, we stay away as long as it says."""
    placed = await rig.place()
    await rig.account.amend(rig.amend_of(placed, "0.020", "40000.0"))
    left = rig.market.limits_left("main")
    assert left["account orders 10s"]["used"] == left["account orders 1m"]["used"] == 2
    assert left["own orders 1d"]["used"] == 2
    rig.fault("rate_limited", retry_after_s=7)
    error = await refused(rig.place())
    assert (error.kind, error.retry_after_s) == (Kind.THROTTLED, 7.0)
    held = rig.market.limits_left("main")["held"]["ms"]
    assert 6_000 < held <= 7_001
    assert len(rig.there()) == 1


async def test_too_many_orders_hold_up_no_cancel(simulator: Simulator, rig: Rig) -> None:
    """An account that may place no more orders for now cancels all the same: the venue does not count cancels."""
    placed = await rig.place()
    limits = rig.wire.limits
    limits.pools["futures_orders_10s"] = attrs.evolve(limits.pools["futures_orders_10s"], limit=1)
    error = await refused(rig.place())
    assert (error.kind, error.reason.split()[0]) == (Kind.THROTTLED, "-1015")
    async with asyncio.timeout(0.5):
        canceled = await rig.account.cancel(SYMBOL, placed.client_id)
    assert canceled.state is State.CANCELED
    assert rig.market.limits_left("main")["held"]["ms"] > 0


# -- faults


@pytest.mark.parametrize(
    "kind", ["lost_reply", "hang", "truncated_reply", "server_error_after", "timeout_1007"]
)
async def test_an_order_whose_answer_is_lost_is_found(rig: Rig, kind: str) -> None:
    """Whatever happens to the answer of an order that was taken, it is UNKNOWN, sent once, and found by client id."""
    rig.fault(kind, endpoint="POST /fapi/v1/order", delay_ms=int(TIMEOUT_S * 2_000))
    sent = rig.order()
    error = await refused(rig.account.submit(sent))
    assert error.kind is Kind.UNKNOWN
    assert "main-key" not in error.reason
    assert "signature" not in error.reason
    found = await rig.account.order(SYMBOL, sent.client_id)
    assert (found.state, found.quantity) == (State.WORKING, sent.quantity)
    assert len(rig.there()) == 1


@pytest.mark.parametrize(
    "kind, meaning",
    [
        ("drop_request", Kind.UNKNOWN),
        ("server_error_before", Kind.UNKNOWN),
        ("rate_limited", Kind.THROTTLED),
        ("banned", Kind.THROTTLED),
    ],
)
async def test_an_order_that_was_never_taken_is_not_there(rig: Rig, kind: str, meaning: Kind) -> None:
    """What failed before it was done is harmless when the venue says so, else UNKNOWN; it is not there."""
    rig.fault(kind, endpoint="POST /fapi/v1/order", retry_after_s=0)
    error = await refused(rig.place())
    assert error.kind is meaning
    assert rig.there() == []


@pytest.mark.parametrize("kind", ["lost_reply", "truncated_reply", "server_error_after"])
async def test_amends_and_cancels_whose_answer_is_lost(rig: Rig, kind: str) -> None:
    """An amend or a cancel in doubt is settled by looking: the order shows its new terms, or its end."""
    placed = await rig.place()
    rig.fault(kind, endpoint="PUT /fapi/v1/order")
    error = await refused(rig.account.amend(rig.amend_of(placed, "0.020", "39000.0")))
    assert error.kind in (Kind.UNKNOWN, Kind.ALREADY_DONE)
    found = await rig.account.order(SYMBOL, placed.client_id)
    assert (found.quantity, found.price) == (D("0.020"), D("39000.0"))
    rig.fault(kind, endpoint="DELETE /fapi/v1/order")
    error = await refused(rig.account.cancel(SYMBOL, placed.client_id))
    # aiohttp itself may repeat what it dropped on a reused connection: the repetition finds nothing to cancel.
    assert error.kind in (Kind.UNKNOWN, Kind.ALREADY_DONE)
    assert (await rig.account.order(SYMBOL, placed.client_id)).state is State.CANCELED


async def test_reports_twice_late_and_in_another_order(rig: Rig) -> None:
    """Reports that come twice or in another order are handed on as they come: those who apply them know."""
    rig.fault("duplicate_report", endpoint="TRADE")
    await rig.trade()
    first, second = await rig.until(lambda: rig.trades_told() if len(rig.trades_told()) == 2 else None)
    assert first == second
    await rig.until(lambda: len(rig.events) == 3)
    rig.events.clear()
    rig.fault("reorder_report", endpoint="NEW", delay_ms=50)
    await rig.trade()
    states = await rig.until(
        lambda: [event.order.state for event in rig.told(OrderChanged)] if len(rig.events) == 2 else None
    )
    assert states == [State.FILLED, State.WORKING]
    rig.events.clear()
    rig.fault("drop_report", endpoint="TRADE")
    order = await rig.trade()
    assert len(await rig.account.trades_of(SYMBOL, order.venue_order_id)) == 1
    assert rig.trades_told() == []


# -- the private stream


async def test_the_stream_is_lost_when_it_is_cut(rig: Rig) -> None:
    """A cut connection ends the stream; another account connection is opened, not this one again."""
    assert rig.wire.drop_websockets("user") == 1
    assert await asyncio.wait_for(rig.account.lost(), 2)


async def test_the_stream_is_lost_with_its_listen_key(rig: Rig) -> None:
    """When the listen key ends, the venue says so and the stream is lost."""
    await rig.account.exchange.fapiPrivateDeleteListenKey()
    assert await asyncio.wait_for(rig.account.lost(), 2) == "the listen key expired"


async def test_a_stream_that_does_not_open(unopened: Rig) -> None:
    """A refused WebSocket is told when the account is opened, as something to try again."""
    unopened.wire.faults.add(FaultRule("refuse_websocket"))
    error = await refused(unopened.account.open(unopened.events.append))
    assert error.kind is Kind.UNKNOWN
    assert "did not open" in error.reason


async def test_the_listen_key_is_kept_alive(unopened: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is renewed as time goes by, also after a failure, until the venue does not know it any more."""
    monkeypatch.setattr(binance_futures, "KEEP_ALIVE_S", 0.02)
    monkeypatch.setattr(binance_futures, "KEEP_ALIVE_AGAIN_S", 0.02)
    rule = unopened.wire.faults.add(
        FaultRule("server_error_before", count=2, endpoint="PUT /fapi/v1/listenKey")
    )
    slow = unopened.wire.faults.add(FaultRule("delay_reply", endpoint="PUT /fapi/v1/listenKey", delay_ms=1))
    await unopened.account.open(unopened.events.append)
    await unopened.until(lambda: rule.fired == 2 and slow.fired >= 2)
    assert not unopened.account._lost.done()
    unopened.account.exchange.on_private = None
    await unopened.account.exchange.fapiPrivateDeleteListenKey()
    why = await asyncio.wait_for(unopened.account.lost(), 2)
    assert "-1125" in why


async def test_keep_alive_gives_up(unopened: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that cannot be renewed for so long that it has ended is not trusted."""
    monkeypatch.setattr(binance_futures, "KEEP_ALIVE_S", 0.0)
    monkeypatch.setattr(binance_futures, "KEEP_ALIVE_AGAIN_S", 0.0)
    monkeypatch.setattr(binance_futures, "KEEP_ALIVE_ATTEMPTS", 3)
    rule = unopened.wire.faults.add(FaultRule("server_error_before", endpoint="PUT /fapi/v1/listenKey"))
    await unopened.account.open(unopened.events.append)
    assert "cannot be renewed" in await asyncio.wait_for(unopened.account.lost(), 2)
    assert rule.fired == 3


async def test_hedge_mode_is_refused(unopened: Rig) -> None:
    """An account in hedge mode is not served: the error says what to do."""
    await unopened.account.exchange.fapiPrivatePostPositionSideDual({"dualSidePosition": "true"})
    error = await refused(unopened.account.open(unopened.events.append))
    assert error.kind is Kind.REJECTED
    assert "set one-way mode" in error.reason
    assert (await refused(unopened.place())).reason.split()[0] == "-4061"


async def test_funds_that_move_by_themselves(rig: Rig) -> None:
    """A deposit is told as funds moved; a trade is not."""
    rig.exchange.adjust(rig.exchange.accounts["main"], "futures", "USDT", D(5))
    moved = await rig.until(lambda: rig.told(FundsMoved))
    assert moved == [FundsMoved("ACCOUNT_UPDATE for DEPOSIT")]
    await rig.trade()
    await rig.until(rig.trades_told)
    assert rig.told(FundsMoved) == moved


# -- liquidation, ADL, funding


async def test_a_liquidation(rig: Rig) -> None:
    """A forced order is told with its origin and trades, is found again, and what the fund paid is told as moved."""
    await rig.trade("0.500")
    await rig.until(rig.trades_told)
    rig.events.clear()
    (order,) = rig.exchange.liquidate(rig.exchange.accounts["main"], SYMBOL)
    told = await rig.until(lambda: [e.order for e in rig.told(OrderChanged) if e.order.state is State.FILLED])
    assert (told[-1].origin, told[-1].client_id, told[-1].side) == (
        "liquidation",
        f"autoclose-{order.order_id}",
        Side.SELL,
    )
    assert sum(trade.quantity for trade in rig.trades_told()) == D("0.500")
    assert [attrs.evolve(t, client_id="") for t in rig.trades_told()] == await rig.account.trades_of(
        SYMBOL, str(order.order_id)
    )
    found = await rig.account.order(SYMBOL, told[-1].client_id)
    assert (found.venue_order_id, found.origin) == (str(order.order_id), "liquidation")
    await rig.until(lambda: rig.told(FundsMoved))
    assert all(not position.quantity for position in await rig.account.positions())


async def test_auto_deleveraging(rig: Rig) -> None:
    """Orders of ADL, which all have one client id at the venue, are told apart and found by the one that we give."""
    await rig.trade("0.500")
    account = rig.exchange.accounts["main"]
    orders = [rig.exchange.deleverage(account, SYMBOL, D("0.100")) for _ in range(2)]
    expected = [f"adl_autoclose-{order.order_id}" for order in orders]
    told = await rig.until(
        lambda: [
            e.order.client_id for e in rig.told(OrderChanged) if e.order.origin == "adl" and e.order.trades
        ]
    )
    assert told == expected
    for order, client_id in zip(orders, expected, strict=True):
        found = await rig.account.order(SYMBOL, client_id)
        assert (found.venue_order_id, found.client_id) == (str(order.order_id), client_id)


async def test_funding_payments(rig: Rig) -> None:
    """Funding is told on the stream as funds moved, and read exactly, once each, under the venue's ids."""
    await rig.trade("0.100")
    market = rig.exchange.market("futures", SYMBOL)
    payments = [rig.exchange.settle_funding(market, rate)[0] for rate in (D("0.0001"), D("-0.00037"))]
    await rig.until(lambda: [e for e in rig.told(FundsMoved) if e.reason == "ACCOUNT_UPDATE for FUNDING_FEE"])
    read = await rig.account.funding_since(0)
    assert [(p.funding_id, p.amount, p.asset, p.symbol) for p in read] == [
        (str(paid.payment_id), paid.amount, "USDT", SYMBOL) for paid in payments
    ]
    assert read[0].amount < 0 < read[1].amount
    assert await rig.account.funding_since(read[-1].time + NS_PER_MS) == []
    fees = sum((fill.commission for order in rig.there() for fill in order.fills), D(0))
    paid = sum((payment.amount for payment in read), D(0))
    assert await rig.account.totals() == {"USDT": FUNDS["USDT"] - fees + paid}


# -- paging


async def test_more_rows_than_a_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders, trades and funding are complete however many pages they take, each once, oldest first."""
    monkeypatch.setattr(binance_futures, "ROWS", 2)
    monkeypatch.setattr(binance_futures, "AHEAD_MS", 0)
    market = rig.exchange.market("futures", SYMBOL)
    for _ in range(7):
        await rig.trade("0.002")
        rig.exchange.settle_funding(market)
    await asyncio.sleep(0.002)
    fills = [fill for order in rig.there() for fill in order.fills]
    trades = await rig.account.trades_since(SYMBOL, rig.there()[0].created_ns)
    assert [trade.trade_id for trade in trades] == [str(fill.trade_id) for fill in fills]
    orders = await rig.account.orders_since(SYMBOL, rig.there()[0].created_ns)
    assert [order.venue_order_id for order in orders] == [str(order.order_id) for order in rig.there()]
    payments = await rig.account.funding_since(rig.there()[0].created_ns)
    assert len(payments) == 7


async def test_more_rows_in_one_millisecond_than_a_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one moment are paged through by id; where the venue cannot, it is UNKNOWN rather than some of them."""
    monkeypatch.setattr(binance_futures, "ROWS", 2)
    for _ in range(5):
        await rig.trade("0.002")
    account = rig.exchange.accounts["main"]
    now = time.time_ns() // NS_PER_MS * NS_PER_MS
    fills = account.fills["futures", SYMBOL]
    fills[:] = [attrs.evolve(fill, time_ns=now) for fill in fills]
    trades = await rig.account.trades_since(SYMBOL, now)
    assert [trade.trade_id for trade in trades] == [str(fill.trade_id) for fill in fills]
    market = rig.exchange.market("futures", SYMBOL)
    for _ in range(3):
        rig.exchange.settle_funding(market)
    moments = [attrs.evolve(payment, time_ns=now) for payment in account.funding_payments]
    account.funding_payments.clear()
    account.funding_payments.extend(moments)
    error = await refused(rig.account.funding_since(now))
    assert error.kind is Kind.UNKNOWN


@pytest.mark.parametrize("rows", [3, 1_000])
async def test_both_sides_of_a_trade_with_oneself(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A trade with oneself has two sides by one id: both are told, once, wherever a page ends."""
    monkeypatch.setattr(binance_futures, "ROWS", rows)
    price = rig.exchange.market("futures", SYMBOL).last_price
    for _ in range(3):
        await rig.place(side=Side.SELL, price=price)
        await rig.place(side=Side.BUY, price=price)
    fills = rig.exchange.accounts["main"].fills["futures", SYMBOL]
    now = time.time_ns() // NS_PER_MS * NS_PER_MS
    fills[:] = [attrs.evolve(fill, time_ns=now) for fill in fills]
    there = [(str(fill.trade_id), fill.is_buyer) for fill in fills]
    assert len(there) == 6
    told = await rig.account.trades_since(SYMBOL, now)
    assert [(trade.trade_id, trade.side is Side.BUY) for trade in told] == there


async def test_opening_asks_for_nothing_past_our_limits(
    unopened: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request that leaves while the account is opened was reserved: ccxt makes none of its own."""
    account, sent = unopened.account, list[str]()
    fetch = account.exchange.fetch

    async def listened(url: str, *more: Any) -> Any:
        sent.append(url.partition("?")[0].rpartition("/")[2])
        return await fetch(url, *more)

    monkeypatch.setattr(account.exchange, "fetch", listened)
    await account.open(unopened.events.append)
    await asyncio.sleep(0.05)
    assert sent == ["time", "accountConfig", "listenKey"]


async def test_trades_of_an_order_of_last_week(rig: Rig) -> None:
    """An order's trades are found when they are older than what the venue shows unasked."""
    order = await rig.trade()
    account = rig.exchange.accounts["main"]
    fills = account.fills["futures", SYMBOL]
    fills[:] = [attrs.evolve(fill, time_ns=fill.time_ns - 20 * DAY_NS) for fill in fills]
    rig.there()[0].created_ns -= 20 * DAY_NS
    (trade,) = await rig.account.trades_of(SYMBOL, order.venue_order_id)
    assert trade.trade_id == str(fills[0].trade_id)
    assert await rig.account.trades_since(SYMBOL, trade.time) == [trade]
    assert await rig.account.trades_since(SYMBOL, trade.time + 10 * DAY_NS) == []


# -- public streams


async def test_public_streams(unopened: Rig) -> None:
    """Marks, quotes, books and trades come as the venue writes them."""
    market, exchange = unopened.market, unopened.exchange
    futures = exchange.market("futures", SYMBOL)

    async def first(stream: AsyncIterator[Any]) -> Any:
        try:
            return await asyncio.wait_for(anext(stream), 5)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def stir() -> None:
        while True:
            await asyncio.sleep(0.05)
            exchange.cross(futures, futures.last_price, D("0.123"))
            unopened.wire.driver.step()

    stirring = asyncio.create_task(stir())
    try:
        marks, quote, book, trade = await asyncio.gather(
            first(market.marks([SYMBOL, "ETHUSDT"])),
            first(market.quotes([SYMBOL])),
            first(market.book(SYMBOL)),
            first(market.trades(SYMBOL)),
        )
    finally:
        stirring.cancel()
    assert marks.keys() <= {SYMBOL, "ETHUSDT"}
    assert (await market.marks_now([SYMBOL, "ETHUSDT"])).keys() == {SYMBOL, "ETHUSDT"}
    assert quote.symbol == SYMBOL
    assert quote.bid < quote.ask
    assert quote.bid % D("0.1") == 0
    assert book.bids[0][0] < book.asks[0][0]
    assert (trade.symbol, trade.side) == (SYMBOL, Side.BUY)
    assert trade.trade_id.isdecimal()
