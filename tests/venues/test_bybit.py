"""The adapter of Bybit against the simulated exchange, over unmodified ccxt: both markets of one unified account."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.messages.desk import TransferState
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend
from oms.messages.venues import Feature
from oms.simulator import PRESETS
from oms.venues import bybit_account
from oms.venues.adapter import (
    Book,
    FundsMoved,
    Move,
    OrderChanged,
    Party,
    PublicTrade,
    Quote,
    State,
    Traded,
    VenuePosition,
)
from oms.venues.bybit_meanings import MEANINGS, SAID, refusal
from oms.venues.credentials import Key
from oms.venues.dialect import Call
from oms.venues.errors import Kind, StreamLost, VenueError
from tests.bybit import BTC, PRICE, Bybit, Connected, S, connected, running, submit

MARKETS = {"spot": "spot", "linear": "futures"}
CREATE, AMEND, CANCEL = "POST /v5/order/create", "POST /v5/order/amend", "POST /v5/order/cancel"


@pytest.fixture
async def bybit(tmp_path: Path) -> AsyncIterator[Bybit]:
    async with running(tmp_path) as bybit:
        yield bybit


@pytest.fixture(params=["spot", "linear"])
async def either(bybit: Bybit, request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    """The account, at one market and at the other."""
    async with connected(bybit, request.param) as desk:
        yield desk


@pytest.fixture
async def spot(bybit: Bybit) -> AsyncIterator[Connected]:
    async with connected(bybit, "spot") as desk:
        yield desk


@pytest.fixture
async def futures(bybit: Bybit) -> AsyncIterator[Connected]:
    async with connected(bybit, "linear") as desk:
        yield desk


def amend(client_id: str, **fields: Any) -> Amend:
    """A change of an order."""
    fields = {
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": D("0.02"),
        "quantity_before": D("0.01"),
        "price": D(48_500),
        "deadline": time.time_ns() + 5 * S,
        **fields,
    }
    return Amend(
        order_id=client_id, client_id=client_id, new_client_id=client_id, symbol=BTC, revision=0, **fields
    )


def changed(client_id: str, state: State) -> Any:
    return lambda event: event.order.client_id == client_id and event.order.state is state


async def kind_of(work: Any) -> tuple[Kind, str]:
    """What a request that fails comes to, and the venue's code."""
    with pytest.raises(VenueError) as caught:
        await work
    return caught.value.kind, caught.value.reason.split()[0]


def futures_of(desk: Connected) -> bool:
    return bool(desk.account.category == "linear")


# -- orders


async def test_an_order_is_taken_changed_and_canceled(either: Connected) -> None:
    """The answers say that it was taken; the stream and look-ups say what stands, with the venue's own words."""
    account = either.account
    taken = await account.submit(submit("life1"))
    order = either.at_venue("life1")
    assert (taken.state, taken.cumulative, taken.client_id) == (State.WORKING, 0, "life1")
    assert taken.time <= order.created_ns
    found = await account.order(BTC, "life1")
    assert found == attrs.evolve(taken, time=found.time, reason="New")
    assert await account.order_by_venue_id(BTC, taken.venue_order_id) == found
    assert await account.open_orders() == await account.open_orders(BTC) == [found]

    assert await account.amend(amend("life1")) is None
    told = await either.heard(OrderChanged, lambda event: event.order.quantity == D("0.02"))
    assert (told.order.client_id, told.order.price, told.order.state) == ("life1", D(48_500), State.WORKING)
    assert told.order.venue_order_id == taken.venue_order_id

    assert await account.cancel(BTC, "life1") is None
    told = await either.heard(OrderChanged, changed("life1", State.CANCELED))
    assert (told.order.reason, told.order.cumulative) == ("CancelByUser", 0)
    assert await account.open_orders() == []
    assert (await account.order(BTC, "life1")).state is State.CANCELED


async def test_a_trade_reads_the_same_whichever_way_it_is_learned(either: Connected) -> None:
    """Stream, list of trades, and trades of the order agree to the last digit, fee and its asset included."""
    bybit, account = either.bybit, either.account
    began = time.time_ns()
    await account.submit(submit("maker1", price=PRICE - 100))
    bybit.hit(either.at_venue("maker1"), "0.004")
    bybit.hit(either.at_venue("maker1"), "0.006")
    done = await either.heard(OrderChanged, changed("maker1", State.FILLED))
    streamed = [event.trade for event in either.events if isinstance(event, Traded)]
    listed = await account.trades_since(BTC, began)
    assert streamed == listed == await account.trades_of(BTC, done.order.venue_order_id)
    assert [trade.quantity for trade in listed] == [D("0.004"), D("0.006")]
    first = listed[0]
    assert (first.client_id, first.side, first.price, first.maker) == ("maker1", Side.BUY, PRICE - 100, True)
    fill = either.at_venue("maker1").fills[0]
    assert (first.fee, first.fee_asset) == (fill.commission, fill.commission_asset)
    assert first.fee_asset == ("USDT" if futures_of(either) else "BTC")
    assert first.time == fill.time_ns // 10**6 * 10**6
    assert await account.trades_since(BTC, time.time_ns() + S) == []


async def test_market_orders_are_in_base(either: Connected) -> None:
    """A market buy of spot is by quantity too, and not by what it spends."""
    for side in (Side.BUY, Side.SELL):
        client_id = f"market{side}"
        await either.account.submit(submit(client_id, type=OrderType.MARKET, price=None, side=side))
        done = await either.heard(OrderChanged, changed(client_id, State.FILLED))
        assert (done.order.quantity, done.order.cumulative, done.order.price) == (D("0.01"), D("0.01"), None)
        assert either.at_venue(client_id).executed == D("0.01")


@pytest.mark.parametrize(
    "fields, state, reason",
    [
        ({"time_in_force": TimeInForce.IOC}, State.EXPIRED, "EC_NoImmediateQtyToFill"),
        ({"time_in_force": TimeInForce.FOK}, State.EXPIRED, "EC_NoEnoughQtyToFill"),
        ({"post_only": True, "price": PRICE + 100}, State.EXPIRED, "EC_PostOnlyWillTakeLiquidity"),
        ({"time_in_force": TimeInForce.GTD}, State.WORKING, "New"),
        ({"post_only": True}, State.WORKING, "New"),
    ],
)
async def test_times_in_force(spot: Connected, fields: dict[str, Any], state: State, reason: str) -> None:
    """Orders that cannot stay end by their time in force, and say so; others stand."""
    await spot.account.submit(submit("tif1", **fields))
    told = await spot.heard(OrderChanged, changed("tif1", state))
    assert (told.order.reason, (await spot.account.order(BTC, "tif1")).state) == (reason, state)


async def test_bytes_that_leave(bybit: Bybit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts leave as the digits they are, never with an exponent or through a float, and every parameter is meant."""
    bodies: list[dict[str, Any]] = []
    for category in MARKETS:
        async with connected(bybit, category) as desk:
            fetch = desk.account.exchange.fetch

            async def spy(
                url: str, method: str = "GET", headers: Any = None, body: Any = None, fetch: Any = fetch
            ) -> Any:
                if body is not None:
                    bodies.append(json.loads(body))
                return await fetch(url, method, headers, body)

            monkeypatch.setattr(desk.account.exchange, "fetch", spy)
            exact = submit(f"exact{category}", quantity=D("1E-2"), price=D("4.9E+4"), post_only=True)
            await desk.account.submit(exact)
            await desk.account.submit(submit(f"m{category}", type=OrderType.MARKET, price=None))
            await desk.account.amend(amend(f"exact{category}", quantity=D("2E-2"), price=D("48000.0")))
            await desk.account.cancel(BTC, f"exact{category}")
    common = {"symbol": BTC, "side": "Buy"}
    limit = {"orderType": "Limit", "qty": "0.01", "price": "49000", "timeInForce": "PostOnly"}
    market = {"orderType": "Market", "qty": "0.01"}

    def expected(category: str, unit: dict[str, str], position: dict[str, int]) -> list[dict[str, Any]]:
        here = {"category": category}
        name = {"orderLinkId": f"exact{category}"}
        return [
            {**here, **common, **limit, **name, **position},
            {**here, **common, **market, "orderLinkId": f"m{category}", **unit, **position},
            {**here, "symbol": BTC, **name, "qty": "0.02", "price": "48000.0"},
            {**here, "symbol": BTC, **name},
        ]

    assert bodies == [
        *expected("spot", {"marketUnit": "baseCoin"}, {}),
        *expected("linear", {}, {"positionIdx": 0}),
    ]


async def test_orders_of_others_are_seen_and_can_be_canceled(either: Connected) -> None:
    """An order from the exchange's own app has no client id: it is named by the venue's, and found and canceled by it."""
    market = MARKETS[either.account.category]
    order = either.bybit.place("main", market)
    told = await either.heard(OrderChanged)
    name = told.order.client_id
    assert name == f"#{told.order.venue_order_id}"
    assert (await either.account.order(BTC, name)).client_id == name
    await either.account.cancel(BTC, name)
    assert order.status == "CANCELED"


async def test_the_other_market_is_not_heard(bybit: Bybit, spot: Connected) -> None:
    """Both markets come on one stream and share ids and funds; each session tells its own orders and trades alone."""
    async with connected(bybit, "linear") as futures:
        await spot.account.submit(submit("mine1", type=OrderType.MARKET, price=None))
        await spot.heard(OrderChanged, changed("mine1", State.FILLED))
        await futures.account.submit(submit("mine2"))
        await futures.heard(OrderChanged, changed("mine2", State.WORKING))
        assert all(event.order.client_id == "mine2" for event in futures.events)
        assert await kind_of(futures.account.order(BTC, "mine1")) == (Kind.NOT_FOUND, "no")
        # An id is good once in the whole account.
        assert await kind_of(futures.account.submit(submit("mine1"))) == (Kind.UNKNOWN, "110072")
        assert await spot.account.totals() == await futures.account.totals()


async def test_everything_since(either: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    """All orders and trades are found, open or not, over pages and windows; those before the time are not asked for."""
    monkeypatch.setattr(bybit_account, "ORDERS_A_PAGE", 2)
    monkeypatch.setattr(bybit_account, "TRADES_A_PAGE", 2)
    market, began = MARKETS[either.account.category], time.time_ns()
    for number in range(5):
        order = either.bybit.place("main", market, client_order_id=f"since{number}", price=PRICE - 50)
        if number < 3:
            either.bybit.hit(order, "0.001")
        elif number < 4:
            either.bybit.wire.exchange.cancel(either.bybit.main, order)
    orders = {order.client_id: order.state for order in await either.account.orders_since(BTC, began)}
    assert orders == {
        **dict.fromkeys(("since0", "since1", "since2"), State.FILLED),
        "since3": State.CANCELED,
        "since4": State.WORKING,
    }
    trades = await either.account.trades_since(BTC, began)
    assert [trade.client_id for trade in trades] == ["since0", "since1", "since2"]
    # Three windows of a week, the last of which has it all.
    assert await either.account.trades_since(BTC, began - 15 * 86_400 * S) == trades
    assert await kind_of(either.account.trades_since(BTC, 0)) == (Kind.NOT_SENT, "privateGetV5ExecutionList")


# -- what the venue refuses


async def test_an_order_that_is_over(either: Connected) -> None:
    """A cancel or an amend that comes too late is no answer: a look-up says what became of the order."""
    await either.account.submit(submit("over1", type=OrderType.MARKET, price=None))
    await either.account.submit(submit("over2"))
    await either.account.cancel(BTC, "over2")
    for client_id, code in (("over1", "170139"), ("over2", "170142")):
        kind = (Kind.NOT_FOUND, "110001") if futures_of(either) else (Kind.ALREADY_DONE, code)
        assert await kind_of(either.account.cancel(BTC, client_id)) == kind
        assert await kind_of(either.account.amend(amend(client_id))) == kind
    nobody = (Kind.NOT_FOUND, "110001" if futures_of(either) else "170213")
    assert await kind_of(either.account.cancel(BTC, "nobody")) == nobody
    assert await kind_of(either.account.order(BTC, "nobody")) == (Kind.NOT_FOUND, "no")


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("spot", {"price": D("49000.01")}, "170134"),
    ("spot", {"price": D(2_000_000)}, "170132"),
    ("spot", {"quantity": D("0.0000001")}, "170136"),
    ("spot", {"quantity": D("0.0100001")}, "170137"),
    ("spot", {"quantity": D(9_999)}, "170135"),
    ("spot", {"quantity": D("0.0001")}, "170140"),
    ("spot", {"quantity": D(3)}, "170131"),
    ("spot", {"symbol": "NOPE"}, "170121"),
    ("linear", {"price": D("49000.01")}, "10001"),
    ("linear", {"price": D(2_000_000)}, "110003"),
    ("linear", {"quantity": D("0.0001")}, "10001"),
    ("linear", {"quantity": D("0.001"), "price": D(1_000)}, "110094"),
    ("linear", {"quantity": D(500)}, "110007"),
    ("linear", {"reduce_only": True}, "110017"),
    ("linear", {"symbol": "NOPE"}, "10001"),
    (
        "linear",
        {"type": OrderType.STOP_MARKET, "price": None, "trigger_price": D(49_000)},
        "110092",
    ),
    (
        "linear",
        {"type": OrderType.STOP_LIMIT, "side": Side.SELL, "trigger_price": D(51_000)},
        "110093",
    ),
]


async def test_refused_orders(tmp_path: Path) -> None:
    """What the venue refuses with a code of its own did not happen."""
    async with running(tmp_path, limits={"linear.create": 1_000}) as bybit:
        for category in MARKETS:
            async with connected(bybit, category) as desk:
                for fields, code in [(fields, code) for each, fields, code in REFUSED if each == category]:
                    refused = desk.account.submit(submit("no1", **fields))
                    assert await kind_of(refused) == (Kind.REJECTED, code), fields
        assert not bybit.main.open


async def test_refused_changes(either: Connected) -> None:
    """An amend to terms that stand, or to what is filled already, changes nothing; nor do terms that cannot be."""
    account, fut = either.account, futures_of(either)
    await account.submit(submit("change1", price=PRICE - 100))
    same = amend("change1", quantity=D("0.01"), price=PRICE - 100)
    assert await kind_of(account.amend(same)) == (Kind.REJECTED, "10001")
    either.bybit.hit(either.at_venue("change1"), "0.004")
    few = amend("change1", quantity=D("0.004"), price=PRICE - 100)
    assert await kind_of(account.amend(few)) == (Kind.REJECTED, "110064" if fut else "170313")
    tick = amend("change1", price=D("48000.01"))
    assert await kind_of(account.amend(tick)) == (Kind.REJECTED, "10001" if fut else "170134")


async def test_a_halted_symbol(either: Connected) -> None:
    """A symbol that does not trade is listed so, and refuses orders."""
    exchange = either.bybit.wire.exchange
    exchange.set_status(exchange.market(MARKETS[either.account.category], BTC), "HALTED")
    halted = next(spec for spec in await either.market.open() if spec.symbol == BTC)
    assert not halted.trading
    code = "110066" if futures_of(either) else "170151"
    assert await kind_of(either.account.submit(submit("halt1"))) == (Kind.REJECTED, code)


async def test_a_bad_key(bybit: Bybit) -> None:
    """A key or secret that the venue does not take is told in its words when the session opens."""
    for key, code in ((Key("nobody", "x"), "10003"), (Key("key-main", "wrong"), "10004")):
        market = bybit.market("spot", key)
        await market.open()
        account = market.account("main")
        assert await kind_of(account.open(lambda event: None)) == (Kind.AUTH_FATAL, code)
        await account.close()
        await market.close()


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
async def test_a_clock_that_is_off(bybit: Bybit, off_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests and the log-in are stamped with the venue's time, however wrong our clock is, and when it is set again."""
    monkeypatch.setattr(bybit.wire.exchange, "clock", lambda: time.time_ns() + off_s * S)
    async with connected(bybit, "spot") as desk:
        await desk.account.submit(submit("clock1"))
        monkeypatch.setattr(bybit.wire.exchange, "clock", time.time_ns)
        assert await kind_of(desk.account.submit(submit("clock2"))) == (Kind.REJECTED, "10002")
        await asyncio.sleep(0.2)
        await desk.account.submit(submit("clock3"))


def test_every_code_means_what_the_table_says() -> None:
    """A code of the table is read from an answer and has one meaning; the words with it do not matter."""
    for code in MEANINGS:
        body = json.dumps({"retCode": int(code), "retMsg": "in whatever words", "result": {}})
        call = Call(begun=True, status=200, body=body)
        kind, reason = bybit_account.DIALECT.meaning(call, Exception())
        assert reason == f"{code} in whatever words"
        assert code in SAID[kind]
        assert sum(code in codes for codes in SAID.values()) == 1


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (200, '{"retCode":0,"retMsg":"OK","result":{}}', Kind.UNKNOWN),
        (200, '{"retCode":123456,"retMsg":"never heard of"}', Kind.UNKNOWN),
        (200, '{"retCode":11000', Kind.UNKNOWN),
        (502, "<html>", Kind.UNKNOWN),
        (403, "403, access too frequent", Kind.THROTTLED),
        (429, "", Kind.THROTTLED),
        (401, "", Kind.AUTH_FATAL),
        (404, "", Kind.REJECTED),
    ],
)
def test_what_has_no_code(status: int, body: str, kind: Kind) -> None:
    """What comes from in front of the exchange has its own meaning; what cannot be read is unknown."""
    call = Call(begun=True, status=status, body=body)
    assert bybit_account.DIALECT.meaning(call, Exception())[0] is kind
    assert refusal(200, '{"retCode":0}') is None


# -- faults


@pytest.mark.parametrize(
    "fault", ["lost_reply", "truncated_reply", "server_error_after", "timeout_1007", "hang"]
)
async def test_an_answer_that_is_lost(either: Connected, fault: str) -> None:
    """An order whose answer is lost exists: unknown, never sent again, and found by its client id."""
    either.bybit.fault(fault, CREATE, delay_ms=1_000)
    assert (await kind_of(either.account.submit(submit("lost1"))))[0] is Kind.UNKNOWN
    assert (await either.account.order(BTC, "lost1")).state is State.WORKING
    either.bybit.fault("lost_reply", AMEND)
    assert (await kind_of(either.account.amend(amend("lost1"))))[0] is Kind.UNKNOWN
    assert (await either.account.order(BTC, "lost1")).quantity == D("0.02")
    either.bybit.fault("lost_reply", CANCEL)
    assert (await kind_of(either.account.cancel(BTC, "lost1")))[0] is Kind.UNKNOWN
    assert (await either.account.order(BTC, "lost1")).state is State.CANCELED
    assert len(list(either.bybit.main.all_orders())) == 1


@pytest.mark.parametrize("fault", ["drop_request", "server_error_before"])
async def test_a_request_that_is_lost(either: Connected, fault: str) -> None:
    """An order that never arrived is unknown as well, and the venue has none."""
    either.bybit.fault(fault, CREATE)
    assert (await kind_of(either.account.submit(submit("gone1"))))[0] is Kind.UNKNOWN
    assert (await kind_of(either.account.order(BTC, "gone1")))[0] is Kind.NOT_FOUND


async def test_throttled(either: Connected) -> None:
    """Where an endpoint is called too often its group waits until the venue says; a refused address waits altogether."""
    either.bybit.fault("rate_limited", CREATE, retry_after_s=1)
    with pytest.raises(VenueError) as caught:
        await either.account.submit(submit("fast1"))
    assert caught.value.kind is Kind.THROTTLED
    assert 0 < caught.value.retry_after_s <= 1
    soon = submit("fast2", deadline=time.time_ns() + S // 10)
    assert (await kind_of(either.account.submit(soon)))[0] is Kind.NOT_SENT
    await either.account.open_orders()
    either.bybit.fault("banned", CREATE)
    later = submit("fast3", deadline=time.time_ns() + 5 * S)
    assert (await kind_of(either.account.submit(later))) == (Kind.THROTTLED, "403")
    held = either.market.limits_left("main")["held"]["ms"]
    assert 590_000 < held <= 600_001
    soon = amend("fast3", deadline=time.time_ns() + S // 10)
    assert (await kind_of(either.account.amend(soon)))[0] is Kind.NOT_SENT


async def test_limits_are_learned(bybit: Bybit, futures: Connected) -> None:
    """The venue's own figure for an endpoint takes the place of the table's at the first answer."""
    await futures.account.open_orders()
    told = futures.market.limits_left("main")["account realtime"]
    assert told["limit"] == bybit.wire.limits.pools["realtime"].limit
    await futures.account.submit(submit("counted1"))
    await futures.account.cancel(BTC, "counted1")
    left = futures.market.limits_left("main")
    assert left["account linear.create"]["used"] == left["account linear.cancel"]["used"] == 1


async def test_a_deadline_that_has_passed(either: Connected) -> None:
    """Nothing is sent after its deadline."""
    for work in (
        either.account.submit(submit("late1", deadline=time.time_ns() - 1)),
        either.account.amend(amend("late1", deadline=time.time_ns() - 1)),
    ):
        assert (await kind_of(work))[0] is Kind.NOT_SENT
    assert not list(either.bybit.main.all_orders())


async def test_the_stream_is_lost(either: Connected) -> None:
    """A private stream whose socket is gone is lost for good."""
    either.bybit.wire.drop_websockets("user")
    assert "NetworkError" in await asyncio.wait_for(either.account.lost(), 3)


@pytest.mark.parametrize(
    "message",
    [
        {"topic": "order", "data": [{"category": "spot", "symbol": BTC}]},
        {
            "topic": "execution",
            "data": [{"category": "spot", "symbol": BTC, "execType": "New", "execTime": "1"}],
        },
        {"topic": "wallet", "creationTime": 1, "data": [{"coin": [{"coin": "BTC"}]}]},
        {"op": "subscribe", "success": False, "ret_msg": "no"},
    ],
)
async def test_what_cannot_be_read_loses_the_stream(spot: Connected, message: dict[str, Any]) -> None:
    """A message that cannot be read may have mattered."""
    spot.account.exchange.on_private(message)
    assert await asyncio.wait_for(spot.account.lost(), 1)


async def test_a_stream_that_does_not_open(bybit: Bybit) -> None:
    """When the private stream cannot be had the session does not open, and says why."""
    bybit.fault("refuse_websocket", "/v5/private", count=None)
    market = bybit.market("spot")
    await market.open()
    account = market.account("main")
    assert (await kind_of(account.open(lambda event: None)))[0] is Kind.UNKNOWN
    await account.close()
    await market.close()


@pytest.mark.parametrize("fault", ["duplicate_report", "delay_report", "reorder_report", "drop_report"])
async def test_reports_on_their_way(spot: Connected, fault: str) -> None:
    """Whatever becomes of reports, each says by itself what it says, and what is missing is found by asking."""
    spot.bybit.fault(fault, "execution", delay_ms=50)
    await spot.account.submit(submit("report1", type=OrderType.MARKET, price=None))
    await spot.heard(OrderChanged, changed("report1", State.FILLED))
    await asyncio.sleep(0.15)
    told = [event.trade for event in spot.events if isinstance(event, Traded)]
    (trade,) = await spot.account.trades_since(BTC, time.time_ns() - S)
    assert told == [trade] * {"duplicate_report": 2, "drop_report": 0}.get(fault, 1)


# -- funds, positions, terms


async def test_totals_and_transfers(either: Connected) -> None:
    """Totals are the wallet's; a transfer moves funds once for its reference and is told as funds that moved."""
    account, accounts = either.account, either.bybit.wire.exchange.accounts
    assert await account.totals() == {"USDT": D(100_000), "BTC": D(2), "ETH": D(10)}
    main, other = (
        Party(account=name, venue_id=accounts[name].venue_id, wallet="unified", main=name == "main")
        for name in ("main", "other")
    )
    move = Move(reference="ref1", source=main, target=other, asset="USDT", amount=D("12.5"))
    deadline = time.time_ns() + 5 * S
    first = await account.move(move, deadline)
    assert first.state is TransferState.DONE
    assert accounts["other"].balance("unified", "USDT").total == D("100012.5")
    assert "USDT" in (await either.heard(FundsMoved)).reason
    assert (await account.totals())["USDT"] == D("99987.5")
    assert await kind_of(account.move(move, deadline)) == (Kind.ALREADY_DONE, "131214")
    found = await account.find_transfer(move)
    assert (found.state, found.venue_transfer_id) == (TransferState.DONE, first.venue_transfer_id)
    for asset, amount, code in (
        ("USDT", D(10**9), "131212"),
        ("XYZ", D(1), "131203"),
        ("USDT", D(0), "131215"),
    ):
        refused = attrs.evolve(move, reference=f"ref{asset}{amount}", asset=asset, amount=amount)
        assert await kind_of(account.move(refused, deadline)) == (Kind.REJECTED, code)
    odd = attrs.evolve(move, source=attrs.evolve(main, wallet="spot"))
    assert (await kind_of(account.move(odd, deadline)))[0] is Kind.NOT_SENT


async def test_a_deposit_is_told_and_a_trade_is_not(spot: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Funds that a trade moved are no news of their own; those that came by themselves are."""
    await spot.account.submit(submit("quiet1", type=OrderType.MARKET, price=None))
    await spot.heard(OrderChanged, changed("quiet1", State.FILLED))
    await asyncio.sleep(0.05)
    assert not any(isinstance(event, FundsMoved) for event in spot.events)
    monkeypatch.setattr(bybit_account, "SETTLES_WITHIN_MS", 0)
    await asyncio.sleep(0.01)
    spot.bybit.wire.exchange.adjust(spot.bybit.main, "unified", "ETH", D(1))
    assert "ETH" in (await spot.heard(FundsMoved)).reason


async def test_positions(futures: Connected) -> None:
    """A position is signed and has what the venue shows of it; a flat one shows none."""
    assert await futures.account.positions() == []
    await futures.account.submit(submit("short1", type=OrderType.MARKET, price=None, side=Side.SELL))
    await futures.heard(OrderChanged, changed("short1", State.FILLED))
    (position,) = await futures.account.positions()
    at_venue = futures.bybit.main.positions[BTC]
    assert position == VenuePosition(
        symbol=BTC,
        quantity=D("-0.01"),
        entry_price=at_venue.entry_price,
        liquidation_price=position.liquidation_price,
        margin=D(50),
        leverage=D(10),
        margin_mode=MarginMode.CROSS,
    )
    assert position.liquidation_price is not None
    assert position.liquidation_price > PRICE
    close = submit("short2", type=OrderType.MARKET, price=None, reduce_only=True)
    await futures.account.submit(close)
    assert await futures.account.positions() == []
    assert futures.at_venue("short2").reduce_only


async def test_stop_orders(futures: Connected) -> None:
    """A stop waits for the price to go its way, and keeps its ids when it is triggered."""
    account = futures.account
    stop = {"trigger_price": D(51_000), "type": OrderType.STOP_MARKET, "price": None}
    await account.submit(submit("stop1", **stop))
    waiting = await account.order(BTC, "stop1")
    assert (waiting.state, waiting.type, waiting.trigger_price) == (
        State.WORKING,
        OrderType.STOP_MARKET,
        D(51_000),
    )
    limit = {"trigger_price": D(49_500), "type": OrderType.STOP_LIMIT, "side": Side.SELL, "price": D(49_400)}
    await account.submit(submit("stop2", **limit))
    assert {order.client_id for order in await account.open_orders()} == {"stop1", "stop2"}
    await account.cancel(BTC, "stop2")
    told = await futures.heard(OrderChanged, changed("stop2", State.CANCELED))
    assert told.order.type is OrderType.STOP_LIMIT
    futures.bybit.wire.driver.set_price(BTC, D(51_100), "futures")
    done = await futures.heard(OrderChanged, changed("stop1", State.FILLED))
    assert done.order.venue_order_id == waiting.venue_order_id


async def test_leverage(futures: Connected) -> None:
    """Leverage is set, also when it stood before, and a change of it is told; too much is refused."""
    account = futures.account
    await account.submit(submit("lev0", type=OrderType.MARKET, price=None))
    await account.set_leverage(BTC, D(5))
    assert (await account.positions())[0].leverage == 5
    await account.set_leverage(BTC, D(5))
    told = await futures.heard(FundsMoved, lambda event: "leverage" in event.reason)
    assert told.reason == f"the leverage of {BTC} is now 5"
    assert await kind_of(account.set_leverage(BTC, D(500))) == (Kind.REJECTED, "110013")
    assert await kind_of(account.set_leverage("NOPE", D(5))) == (Kind.REJECTED, "10001")


async def test_margin_mode_is_the_whole_accounts(futures: Connected) -> None:
    """The margin mode changes for all symbols, so it is not changed while anything of another symbol stands on it."""
    account = futures.account
    await account.set_margin_mode(BTC, MarginMode.CROSS)
    await account.submit(submit("mode1", symbol="ETHUSDT", price=D(2_900)))
    with pytest.raises(VenueError, match="ETHUSDT would change with it") as caught:
        await account.set_margin_mode(BTC, MarginMode.ISOLATED)
    assert caught.value.kind is Kind.NOT_SENT
    # What stands needs no change.
    await account.set_margin_mode(BTC, MarginMode.CROSS)
    await account.submit(submit("mode2"))
    await account.cancel("ETHUSDT", "mode1")
    assert await kind_of(account.set_margin_mode(BTC, MarginMode.ISOLATED)) == (Kind.REJECTED, "3400045")
    await account.cancel(BTC, "mode2")
    await account.set_margin_mode(BTC, MarginMode.ISOLATED)
    await account.submit(submit("mode3", type=OrderType.MARKET, price=None))
    (position,) = await account.positions()
    assert position.margin_mode is MarginMode.ISOLATED
    assert position.margin == futures.bybit.main.positions[BTC].isolated_margin


async def test_funding(futures: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A funding payment has what was received, is told as funds that moved, and is no trade."""
    monkeypatch.setattr(bybit_account, "PAYMENTS_A_PAGE", 1)
    began, exchange = time.time_ns(), futures.bybit.wire.exchange
    await futures.account.submit(submit("fund1", type=OrderType.MARKET, price=None))
    for rate in ("0.001", "-0.0005"):
        exchange.settle_funding(exchange.market("futures", BTC), D(rate))
    paid, received = await futures.account.funding_since(began)
    assert (paid.symbol, paid.asset, paid.amount, received.amount) == (BTC, "USDT", D("-0.5"), D("0.25"))
    assert paid.funding_id != received.funding_id
    assert began <= paid.time + 10**6
    assert "Funding" in (await futures.heard(FundsMoved)).reason
    assert len(await futures.account.trades_since(BTC, began)) == 1
    assert await futures.account.funding_since(time.time_ns() + S) == []


@pytest.mark.parametrize("how", ["liquidation", "adl"])
async def test_orders_that_the_venue_made(futures: Connected, how: str) -> None:
    """An order by which the venue closed a position says so, has no client id, and its trades are trades."""
    began, exchange = time.time_ns(), futures.bybit.wire.exchange
    await futures.account.submit(submit("made1", type=OrderType.MARKET, price=None))
    if how == "adl":
        exchange.deleverage(futures.bybit.main, BTC, D("0.01"))
    else:
        exchange.liquidate(futures.bybit.main, BTC)
    told = await futures.heard(OrderChanged, lambda event: event.order.origin == how)
    assert told.order.client_id == f"#{told.order.venue_order_id}"
    assert (await futures.account.order_by_venue_id(BTC, told.order.venue_order_id)).origin == how
    _, closing = await futures.account.trades_since(BTC, began)
    assert (closing.side, closing.quantity, closing.venue_order_id) == (
        Side.SELL,
        D("0.01"),
        told.order.venue_order_id,
    )
    assert await futures.account.positions() == []


async def test_hedge_mode_is_not_understood(futures: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions of an account in hedge mode are not taken for one."""
    row = {"positionIdx": 1, "size": "1", "symbol": BTC}

    async def rows(settle: str) -> list[dict[str, Any]]:
        return [row]

    monkeypatch.setattr(futures.account, "_positions", rows)
    with pytest.raises(VenueError, match="one-way mode"):
        await futures.account.positions()


async def test_what_spot_does_not_have(spot: Connected) -> None:
    """Spot has no positions, no terms and no stop orders: declared so, and nothing is sent when it is asked for."""
    features = spot.market.capabilities.features
    assert not {Feature.POSITIONS, Feature.LEVERAGE, Feature.MARGIN_MODE, Feature.REDUCE_ONLY} & {*features}
    assert spot.market.capabilities.order_types == (OrderType.LIMIT, OrderType.MARKET)
    account = spot.account
    assert await account.positions() == await account.funding_since(0) == []
    stop = submit("s1", type=OrderType.STOP_LIMIT, trigger_price=D(51_000))
    for work in (
        account.set_leverage(BTC, D(5)),
        account.set_margin_mode(BTC, MarginMode.CROSS),
        account.submit(stop),
        account.submit(submit("s2", reduce_only=True)),
    ):
        assert (await kind_of(work))[0] is Kind.NOT_SENT


# -- what everybody sees


async def test_instruments(bybit: Bybit) -> None:
    """Everything that the venue lists has its exact steps and limits."""
    for category, (tick, step, most) in {
        "spot": (D("0.1"), D("0.000001"), D(9_000)),
        "linear": (D("0.1"), D("0.001"), D(1_190)),
    }.items():
        market = bybit.market(category)
        listed = {spec.symbol: spec for spec in await market.open()}
        assert set(listed) == {"BTCUSDT", "ETHUSDT"}
        btc = listed[BTC]
        assert (btc.tick, btc.step, btc.max_quantity, btc.min_notional) == (tick, step, most, D(5))
        assert (btc.settle, btc.contract_size, btc.trading) == ("USDT", 1, True)
        await market.close()


async def first(stream: Any, where: Any = lambda item: True) -> Any:
    """The first item that fits."""

    async def find() -> Any:
        async for item in stream:
            if where(item):
                return item
        raise AssertionError("the stream ended")

    try:
        return await asyncio.wait_for(find(), 3)
    finally:
        await stream.aclose()


async def test_marks_quotes_books_and_trades(either: Connected) -> None:
    """What the market shows comes at once and as it changes, each for itself on the one connection."""
    market, bybit = either.market, either.bybit
    name = MARKETS[either.account.category]
    quote = await first(market.quotes([BTC, "ETHUSDT"]), lambda quote: quote.symbol == BTC)
    assert isinstance(quote, Quote)
    assert quote.bid < PRICE < quote.ask
    book = await first(market.book(BTC))
    assert isinstance(book, Book)
    assert (book.bids[0], book.asks[0]) == ((quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity))
    assert list(book.bids) == sorted(book.bids, reverse=True)
    assert list(book.asks) == sorted(book.asks)
    assert await market.marks_now([BTC]) == {BTC: PRICE}

    moved = D(50_200)
    quotes = market.quotes([BTC])
    assert await anext(quotes) == quote
    trades = market.trades(BTC)
    waiting = asyncio.create_task(first(trades))
    marks = asyncio.create_task(first(market.marks([BTC]), lambda marks: marks.get(BTC) == moved))
    await asyncio.sleep(0.1)
    bybit.wire.driver.set_price(BTC, moved, name)
    assert (await first(quotes, lambda quote: quote.bid > PRICE)).ask > moved
    # The level that is gone is gone, and the new ones are there.
    book = await first(market.book(BTC), lambda book: book.bids[0][0] > PRICE)
    assert book.bids[0][0] < moved < book.asks[0][0]
    trade = await waiting
    assert isinstance(trade, PublicTrade)
    assert (trade.symbol, trade.price) == (BTC, moved)
    assert await marks == {BTC: moved}


async def test_public_streams_are_lost(spot: Connected) -> None:
    """Everyone who reads a public stream learns that it is lost; who asks again sees what stands then."""
    quotes, book = spot.market.quotes([BTC]), spot.market.book(BTC)
    await anext(quotes)
    await anext(book)
    spot.bybit.wire.drop_websockets("market")
    for stream in (quotes, book):
        with pytest.raises(StreamLost):
            await asyncio.wait_for(first(stream, lambda item: False), 3)
    spot.bybit.wire.driver.set_price(BTC, D(50_500))
    again = await first(spot.market.book(BTC))
    assert again.bids[0][0] > D(50_400)


async def test_a_public_message_that_cannot_be_read(spot: Connected) -> None:
    """A book that was told wrongly is not gone on with."""
    book = spot.market.book(BTC)
    await anext(book)
    spot.market.public.on_private(
        {"topic": f"orderbook.50.{BTC}", "type": "delta", "data": {"b": [["x", "1"]]}}
    )
    with pytest.raises(StreamLost):
        await asyncio.wait_for(first(book, lambda item: False), 3)
    assert (await first(spot.market.book(BTC))).bids


async def test_many_symbols_are_subscribed_in_parts(tmp_path: Path) -> None:
    """The venue takes ten topics in one subscription of spot: more are asked for in parts."""
    one = PRESETS["bybit.spot"][0]
    symbols = tuple(attrs.evolve(one, symbol=f"A{number}USDT", base=f"A{number}") for number in range(23))
    async with running(tmp_path, symbols=symbols) as bybit:
        market = bybit.market("spot")
        await market.open()
        wanted = {config.symbol for config in symbols}
        seen: set[str] = set()

        def all_seen(quote: Quote) -> bool:
            seen.add(quote.symbol)
            return seen == wanted

        await first(market.quotes(sorted(wanted)), all_seen)
        await market.close()


async def test_requests_are_never_repeated(either: Connected) -> None:
    """However a request fails, the venue has seen it once."""
    endpoints = either.bybit.wire._rest._endpoints
    seen: list[str] = []
    for key in (("POST", "/v5/order/create"), ("GET", "/v5/order/realtime")):
        endpoint = endpoints[key]

        def counted(*args: Any, endpoint: Any = endpoint) -> Any:
            seen.append(endpoint.path)
            return endpoint.handler(*args)

        endpoints[key] = attrs.evolve(endpoint, handler=counted)
    for fault in ("lost_reply", "truncated_reply", "server_error_after", "timeout_1007"):
        either.bybit.fault(fault, CREATE)
        await kind_of(either.account.submit(submit(f"once{fault}"[:32].replace("_", ""))))
    assert seen == ["/v5/order/create"] * 4


async def test_what_the_venue_repeats_of_a_key_is_not_told(either: Connected) -> None:
    """A signature that does not fit is answered with what was signed, the key among it: the reason is without it."""
    account = either.account
    key = account.exchange.apiKey
    account.exchange.secret = "another secret"
    with pytest.raises(VenueError) as caught:
        await account.open_orders()
    assert caught.value.kind is Kind.AUTH_FATAL
    assert "origin_string[" in caught.value.reason
    assert key not in str(caught.value)
