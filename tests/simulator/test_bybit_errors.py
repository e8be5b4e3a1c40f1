"""What Bybit's wire refuses, with which code, and what its answers say of limits."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.simulator import PRESETS
from tests.bybit import BTC, KEY, PRICE, Bybit, running

SPOT: dict[str, Any] = {
    "category": "spot",
    "symbol": BTC,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "49000",
}
LINEAR: dict[str, Any] = {**SPOT, "category": "linear"}


@pytest.fixture
async def bybit(tmp_path: Path) -> AsyncIterator[Bybit]:
    async with running(tmp_path) as bybit:
        yield bybit


async def create(bybit: Bybit, good: dict[str, Any], **changes: Any) -> int:
    """The code that a new order gets."""
    return await bybit.code("POST", "order/create", **{**good, **changes})


async def test_signatures(bybit: Bybit) -> None:
    """Who does not sign, signs wrongly, signs something else, or signed too long ago is refused before anything is done."""
    now = int(time.time() * 1000)
    assert await bybit.send("POST", "order/create", key=None, **SPOT) == (401, "")
    for code, how in (
        (10003, {"key": "nobody"}),
        (10004, {"secret": "wrong"}),
        (10004, {"signature": "00"}),
        (10002, {"sent_ms": now - 6_000}),
        (10002, {"sent_ms": now + 3_000}),
    ):
        assert await bybit.code("POST", "order/create", **SPOT, **how) == code, how
    assert not bybit.main.open
    assert await bybit.code("GET", "order/realtime", secret="wrong", category="spot") == 10004
    assert await bybit.code("GET", "order/realtime", category="spot") == 0


async def test_what_is_signed_is_what_was_sent(bybit: Bybit) -> None:
    """The signature is of the very bytes: spaces in a body and escapes in a query are part of it."""
    spaced = '{ "category" : "spot", "symbol": "BTCUSDT", "orderLinkId": "nobody" }'
    assert await bybit.code("POST", "order/cancel", text=spaced) == 170213
    assert await bybit.code("GET", "order/realtime", text="category=sp%6Ft&symbol=BTCUSDT") == 0


NO_SPOT_ORDERS: list[tuple[dict[str, Any], int]] = [
    ({"price": "49000.01"}, 170134),
    ({"price": "0.01"}, 170133),
    ({"price": "2000000"}, 170132),
    ({"qty": "0.0000001"}, 170136),
    ({"qty": "0.0100001"}, 170137),
    ({"qty": "9999"}, 170135),
    ({"qty": "0.0001"}, 170140),
    ({"qty": "3"}, 170131),
    ({"symbol": "NOPE"}, 170121),
    ({"reduceOnly": True}, 170130),
    ({"isLeverage": 1}, 170036),
    ({"triggerPrice": "51000", "orderFilter": "StopOrder"}, 170202),
]
NO_LINEAR_ORDERS: list[tuple[dict[str, Any], int]] = [
    ({"price": "49000.01"}, 10001),
    ({"price": "2000000"}, 110003),
    ({"qty": "0.0001"}, 10001),
    ({"qty": "0.001", "price": "1000"}, 110094),
    ({"qty": "500"}, 110007),
    ({"symbol": "NOPE"}, 10001),
    ({"reduceOnly": True}, 110017),
    ({"positionIdx": 1}, 10001),
    ({"triggerPrice": "51000"}, 10001),
    ({"triggerPrice": "49000", "triggerDirection": 1}, 110092),
    ({"triggerPrice": "51000", "triggerDirection": 2}, 110093),
    ({"triggerPrice": "51000", "triggerDirection": 1, "triggerBy": "MarkPrice"}, 10001),
    ({"category": "inverse"}, 10001),
    ({"side": "buy"}, 10001),
    ({"orderType": "Stop"}, 10001),
    ({"timeInForce": "GTD"}, 10001),
    ({"qty": 0.01}, 10001),
    ({"qty": "-1"}, 10001),
    ({"qty": "NaN"}, 10001),
    ({"qty": ""}, 10001),
    ({"price": ""}, 10001),
    ({"orderLinkId": "x" * 37}, 10001),
    ({"orderLinkId": "a b"}, 10001),
    ({"takeProfit": "60000"}, 10001),
    ({"reduceOnly": "yes"}, 10001),
]


@pytest.mark.parametrize("good, bad", [(SPOT, NO_SPOT_ORDERS), (LINEAR, NO_LINEAR_ORDERS)])
async def test_orders_that_cannot_be(
    tmp_path: Path, good: dict[str, Any], bad: list[tuple[dict[str, Any], int]]
) -> None:
    """An order that cannot be has a code of its category's table, and does not exist."""
    async with running(tmp_path, limits={"spot.create": 1_000, "linear.create": 1_000}) as bybit:
        for changes, code in bad:
            assert await create(bybit, good, **changes) == code, changes
        assert not bybit.main.open


@pytest.mark.parametrize("good, code", [(SPOT, 170141), (LINEAR, 110072)])
async def test_a_client_id_is_good_once(bybit: Bybit, good: dict[str, Any], code: int) -> None:
    """A client id cannot be used again, not even when its order is over, and not in the other category."""
    assert await create(bybit, good, orderLinkId="one") == 0
    assert await create(bybit, good, orderLinkId="one") == code
    await bybit.ask("POST", "order/cancel", category=good["category"], symbol=BTC, orderLinkId="one")
    assert await create(bybit, good, orderLinkId="one") == code
    other, other_code = (LINEAR, 110072) if good is SPOT else (SPOT, 170141)
    assert await create(bybit, other, orderLinkId="one") == other_code


@pytest.mark.parametrize(
    "good, filled, canceled, unknown", [(SPOT, 170139, 170142, 170213), (LINEAR, 110001, 110001, 110001)]
)
async def test_orders_that_are_over(
    bybit: Bybit, good: dict[str, Any], filled: int, canceled: int, unknown: int
) -> None:
    """A cancel or an amend says of a closed order what became of it, where the exchange tells that apart."""
    where = {"category": good["category"], "symbol": BTC}
    await create(bybit, good, orderLinkId="filled", orderType="Market", marketUnit="baseCoin")
    await create(bybit, good, orderLinkId="canceled")
    await bybit.ask("POST", "order/cancel", **where, orderLinkId="canceled")
    for name, code in (("filled", filled), ("canceled", canceled), ("nobody", unknown)):
        assert await bybit.code("POST", "order/cancel", **where, orderLinkId=name) == code
        assert await bybit.code("POST", "order/amend", **where, orderLinkId=name, qty="1") == code
    assert await bybit.code("POST", "order/cancel", **where, orderId="not-an-id") == unknown
    assert await bybit.code("POST", "order/cancel", **where) == 10001


@pytest.mark.parametrize("good, few, halted", [(SPOT, 170313, 170151), (LINEAR, 110064, 110066)])
async def test_amends(bybit: Bybit, good: dict[str, Any], few: int, halted: int) -> None:
    """An amend that changes nothing, or to less than is filled, is refused; so is everything in a halted symbol."""
    where = {"category": good["category"], "symbol": BTC, "orderLinkId": "one"}
    market = "spot" if good is SPOT else "futures"
    order = bybit.place("main", market, client_order_id="one", quantity=D("0.01"), price=PRICE - 100)
    bybit.hit(order, "0.004")
    assert await bybit.code("POST", "order/amend", **where) == 10001
    assert await bybit.code("POST", "order/amend", **where, qty="0.01") == 10001
    assert await bybit.code("POST", "order/amend", **where, qty="0.004") == few
    assert await bybit.code("POST", "order/amend", **where, qty="0.005") == 0
    assert (order.quantity, order.executed) == (D("0.005"), D("0.004"))
    exchange = bybit.wire.exchange
    exchange.set_status(exchange.market(market, BTC), "HALTED")
    assert await create(bybit, good) == halted
    assert await bybit.code("POST", "order/cancel", **where) == 0


async def test_too_many_orders(tmp_path: Path) -> None:
    """The number of open orders of a symbol is bounded."""
    symbols = tuple(
        attrs.evolve(preset, max_orders=1)
        for name in ("bybit.spot", "bybit.futures")
        for preset in PRESETS[name]
    )
    async with running(tmp_path, symbols=symbols) as bybit:
        for good, code in ((SPOT, 170811), (LINEAR, 110020)):
            assert await create(bybit, good) == 0
            assert await create(bybit, good) == code


async def test_terms_and_transfers(bybit: Bybit) -> None:
    """Leverage, margin mode and transfers that cannot be are refused with their own codes."""
    leverage = {"category": "linear", "symbol": BTC, "buyLeverage": "5", "sellLeverage": "5"}
    path = "position/set-leverage"
    assert await bybit.code("POST", path, **leverage) == 0
    assert await bybit.code("POST", path, **leverage) == 110043
    assert await bybit.code("POST", path, **{**leverage, "sellLeverage": "6"}) == 10001
    assert (
        await bybit.code("POST", path, **leverage | {"buyLeverage": "500", "sellLeverage": "500"}) == 110013
    )
    assert await bybit.code("POST", path, **leverage | {"symbol": "NOPE"}) == 10001
    mode = "account/set-margin-mode"
    assert await bybit.code("POST", mode, setMarginMode="WHATEVER") == 10001
    bybit.place("main", "futures")
    assert await bybit.code("POST", mode, setMarginMode="REGULAR_MARGIN") == 0
    assert await bybit.code("POST", mode, setMarginMode="ISOLATED_MARGIN") == 3400045
    transfer = {
        "transferId": "0c1b3bb2-6f5d-4f0c-9f0e-3e2a4c0f5f7d",
        "coin": "USDT",
        "amount": "1",
        "fromAccountType": "UNIFIED",
        "toAccountType": "FUND",
    }
    path = "asset/transfer/inter-transfer"
    for changes, code in (
        ({"transferId": "no-uuid"}, 131203),
        ({"coin": "XYZ"}, 131203),
        ({"amount": "0"}, 131215),
        ({"amount": "1000000000"}, 131212),
        ({"toAccountType": "UNIFIED"}, 131211),
        ({"toAccountType": "SPOT"}, 131207),
        ({}, 0),
        ({}, 131214),
    ):
        assert await bybit.code("POST", path, **{**transfer, **changes}) == code, changes


async def test_queries_that_cannot_be(bybit: Bybit) -> None:
    """Queries without what they need, of more than a week, or behind a cursor that is none are refused."""
    week = 7 * 86_400_000
    for path, params in (
        ("order/realtime", {"category": "linear"}),
        ("order/realtime", {"category": "spot", "limit": "51"}),
        ("order/realtime", {"category": "spot", "cursor": "x"}),
        ("order/history", {"category": "spot", "startTime": "1", "endTime": str(week + 2)}),
        ("order/history", {"category": "spot", "startTime": "2", "endTime": "1"}),
        ("execution/list", {"category": "linear", "limit": "101"}),
        ("position/list", {"category": "linear"}),
        ("position/list", {"category": "linear", "symbol": "NOPE"}),
        ("position/list", {"category": "spot", "symbol": BTC}),
        ("account/wallet-balance", {"accountType": "SPOT"}),
        ("account/transaction-log", {"type": "TRADE"}),
        ("market/tickers", {"category": "spot", "symbol": "NOPE"}),
        ("market/orderbook", {"category": "spot"}),
        ("market/orderbook", {"category": "spot", "symbol": BTC, "limit": "201"}),
    ):
        assert await bybit.code("GET", path, **params) == 10001, (path, params)
    assert await bybit.send("GET", "no/such/path") == (404, "")
    assert await bybit.code("POST", "order/create", text="{") == 10001
    assert await bybit.code("POST", "order/create", text="[]") == 10001


async def test_limits(tmp_path: Path) -> None:
    """Each endpoint and category has its own limit by account, told in headers; beyond it a code says until when."""
    async with running(tmp_path, limits={"spot.create": 2, "ip_5s": 30}) as bybit:
        began = time.time()
        codes = [await create(bybit, SPOT) for _ in range(3)]
        if int(began) == int(time.time()):
            assert codes == [0, 0, 10006]
            assert bybit.headers["x-bapi-limit-status"] == "0"
            reset = int(bybit.headers["x-bapi-limit-reset-timestamp"])
            assert 0 < reset - time.time() * 1000 <= 1_000
        assert await create(bybit, LINEAR) == 0
        assert (bybit.headers["x-bapi-limit"], bybit.headers["x-bapi-limit-status"]) == ("10", "9")
        status = 200
        for _ in range(40):
            status, answer = await bybit.send("GET", "market/time", key=None)
            if status != 200:
                break
        assert (status, answer) == (403, "403, access too frequent")


async def test_the_account_is_the_keys(bybit: Bybit) -> None:
    """Each key sees its own account alone."""
    bybit.place("other", client_order_id="theirs")
    assert (await bybit.ask("GET", "order/realtime", category="spot"))["list"] == []
    theirs = await bybit.ask("GET", "order/realtime", category="spot", key="key-other", secret="secret-other")
    assert [order["orderLinkId"] for order in theirs["list"]] == ["theirs"]
    assert KEY != "key-other"
