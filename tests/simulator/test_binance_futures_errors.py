"""What the futures API refuses, and in which words and codes."""

import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import pytest

from oms.simulator import SimulatorConfig
from oms.simulator.orders import OrderRequest
from oms.simulator.wire import Wire

from .conftest import KEY, sign
from .fapi import Fapi, with_futures


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    return with_futures(config)


@pytest.fixture
def fapi(session: aiohttp.ClientSession) -> Fapi:
    return Fapi(session)


LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.010",
    "price": "40000",
    "timeInForce": "GTC",
}


@pytest.mark.parametrize(
    "change, code",
    [
        ({"symbol": None}, -1102),
        ({"symbol": "BTC"}, -1121),
        ({"symbol": "btcusdt"}, -1100),
        ({"side": "LONG"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"type": "STOP_MARKET", "stopPrice": "60000", "price": None, "timeInForce": None}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "DAY"}, -1115),
        ({"type": "MARKET"}, -1106),
        ({"type": "MARKET", "timeInForce": None}, -1106),
        ({"quantity": None}, -1102),
        ({"quantity": "ten"}, -1100),
        ({"quantity": "0.000000001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0005"}, -4004),
        ({"quantity": "1001"}, -4005),
        ({"quantity": "0.0105"}, -4023),
        ({"price": "0"}, -4001),
        ({"price": "40000.05"}, -4014),
        ({"price": "1000000.1"}, -4002),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "900"}, -2019),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "yes"}, -1100),
        ({"positionSide": "LONG"}, -4061),
        ({"timeInForce": "GTX", "price": "60000"}, -5022),
        ({"timeInForce": "FOK"}, -5021),
        ({"newClientOrderId": "a b"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"icebergQty": "1"}, -1104),
    ],
)
async def test_orders(fapi: Fapi, wire: Wire, change: dict[str, object], code: int) -> None:
    """Each malformed or impossible order has its own code with HTTP 400, and nothing is kept of it."""
    status, body = await fapi.signed("POST", "v1/order", **(LIMIT | change))
    assert (status, body["code"]) == (400, code), body
    assert not list(wire.exchange.accounts["main"].all_orders())


async def test_queries_cancels_and_amends(fapi: Fapi) -> None:
    """Orders that are not there, and amends that change nothing, are refused in the words of futures."""
    found = await fapi.order(newClientOrderId="one")
    same = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "40000"}
    other = {**same, "origClientOrderId": "one"}
    cases = [
        ("GET", "v1/order", {"symbol": "BTCUSDT"}, -1102),
        ("GET", "v1/order", {"symbol": "BTCUSDT", "orderId": 999_999}, -2013),
        ("GET", "v1/openOrder", {"symbol": "BTCUSDT", "origClientOrderId": "none"}, -2013),
        ("DELETE", "v1/order", {"symbol": "BTCUSDT", "origClientOrderId": "none"}, -2011),
        ("DELETE", "v1/order", {"symbol": "ETHUSDT", "orderId": found["orderId"]}, -2011),
        ("PUT", "v1/order", {**other}, -5027),
        ("PUT", "v1/order", {**other, "price": None}, -1102),
        ("PUT", "v1/order", {**other, "side": "SELL"}, -2013),
        ("PUT", "v1/order", {**other, "price": "40000.01"}, -4014),
        ("PUT", "v1/order", {**other, "quantity": "0.0101"}, -4023),
        ("PUT", "v1/order", {**other, "quantity": "900"}, -2019),
        ("PUT", "v1/order", {**other, "quantity": "0.02", "reduceOnly": "true"}, -5047),
        ("PUT", "v1/order", {**same, "origClientOrderId": "none"}, -2013),
        (
            "GET",
            "v1/userTrades",
            {"symbol": "BTCUSDT", "fromId": 1, "startTime": int(time.time() * 1000)},
            -1128,
        ),
        ("GET", "v1/userTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 8 * 86_400_000}, -4165),
        ("GET", "v1/allOrders", {"symbol": "BTCUSDT", "startTime": 1}, -4166),
        ("POST", "v1/leverage", {"symbol": "BTCUSDT", "leverage": 126}, -4028),
        ("POST", "v1/leverage", {"symbol": "BTCUSDT"}, -1102),
        ("POST", "v1/marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4046),
        ("POST", "v1/marginType", {"symbol": "BTCUSDT", "marginType": "ISOLATED"}, -4047),
        ("POST", "v1/marginType", {"symbol": "BTCUSDT", "marginType": "NONE"}, -1100),
        ("POST", "v1/positionMargin", {"symbol": "BTCUSDT", "amount": "5", "type": 1}, -4049),
        ("POST", "v1/positionSide/dual", {"dualSidePosition": "false"}, -4059),
        ("POST", "v1/positionSide/dual", {"dualSidePosition": "true"}, -4067),
        ("PUT", "v1/listenKey", {}, -1125),
        ("DELETE", "v1/listenKey", {}, -1125),
    ]
    for method, path, params, code in cases:
        status, body = await fapi.signed(method, path, **params)
        assert (status, body["code"]) == (400, code), (method, path, params, body)
    await fapi.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=found["orderId"])
    status, body = await fapi.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=found["orderId"])
    assert body["code"] == -2011


async def test_terms_with_a_position(fapi: Fapi) -> None:
    """What an open position forbids is refused; margin can be moved in and out of an isolated one."""
    await fapi.signed("POST", "v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await fapi.order(type="MARKET")
    for path, params, code in (
        ("v1/marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4048),
        ("v1/leverage", {"symbol": "BTCUSDT", "leverage": 10}, -4161),
        ("v1/positionMargin", {"symbol": "BTCUSDT", "amount": "10000000", "type": 1}, -4051),
        ("v1/positionMargin", {"symbol": "BTCUSDT", "amount": "0", "type": 1}, -4055),
        ("v1/positionSide/dual", {"dualSidePosition": "true"}, -4068),
    ):
        status, body = await fapi.signed("POST", path, **params)
        assert (status, body["code"]) == (400, code), (path, body)
    _, body = await fapi.signed("POST", "v1/positionMargin", symbol="BTCUSDT", amount="5", type=1)
    assert body == {
        "amount": "5.00000000",
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": 1,
    }


async def test_a_leverage_that_the_margin_does_not_carry(fapi: Fapi) -> None:
    """Leverage cannot fall below what the wallet carries."""
    await fapi.order(type="MARKET", quantity="2.000")
    status, body = await fapi.signed("POST", "v1/leverage", symbol="BTCUSDT", leverage=1)
    assert (status, body["code"]) == (400, -2028)
    _, body = await fapi.signed("POST", "v1/leverage", symbol="ETHUSDT", leverage=1)
    assert body == {"leverage": 1, "maxNotionalValue": "100000000", "symbol": "ETHUSDT"}


async def test_keys_signatures_and_timestamps(fapi: Fapi) -> None:
    """Wrong, missing and stale credentials are refused at the door; a listen key wants no signature."""
    now = int(time.time() * 1000)
    text = urlencode({**LIMIT, "timestamp": now})
    stale, early = (urlencode({**LIMIT, "timestamp": now + shift}) for shift in (-60_000, 60_000))
    wide = urlencode({**LIMIT, "timestamp": now, "recvWindow": 60_001})
    for sent, key, status, code in (
        (f"{text}&signature={sign(text)}", None, 401, -2014),
        (f"{text}&signature={sign(text)}", "nobody", 401, -2015),
        (f"{text}&signature={sign(text, 'wrong')}", KEY, 400, -1022),
        (f"{text}&quantity=1&signature={sign(text)}", KEY, 400, -1101),
        (f"{text}&x=1&signature={sign(text)}", KEY, 400, -1022),
        (text, KEY, 400, -1102),
        (f"{stale}&signature={sign(stale)}", KEY, 400, -1021),
        (f"{early}&signature={sign(early)}", KEY, 400, -1021),
        (f"{wide}&signature={sign(wide)}", KEY, 400, -1131),
    ):
        for in_body in (False, True):
            got, body = await fapi.send("POST", "v1/order", sent, key=key, in_body=in_body)
            assert (got, body["code"]) == (status, code), body
    assert (await fapi.send("POST", "v1/listenKey", "", key="nobody"))[1]["code"] == -2015
    assert await fapi.listen_key() == await fapi.listen_key()


async def test_hedge_mode(fapi: Fapi) -> None:
    """An account can be switched to hedge mode, shows it, and has its orders refused until it is switched back."""
    await fapi.signed("POST", "v1/positionSide/dual", dualSidePosition="true")
    for path in ("v1/positionSide/dual", "v1/accountConfig"):
        assert (await fapi.signed("GET", path))[1]["dualSidePosition"] is True
    assert (await fapi.signed("POST", "v1/order", **LIMIT))[1]["code"] == -4061
    await fapi.signed("POST", "v1/positionSide/dual", dualSidePosition="false")
    await fapi.order()


async def test_a_halted_symbol(fapi: Fapi, wire: Wire) -> None:
    """Orders of a halted symbol cannot be placed or amended, but canceled."""
    found = await fapi.order()
    wire.exchange.set_status(wire.exchange.market("futures", "BTCUSDT"), "HALTED")
    assert (await fapi.signed("POST", "v1/order", **LIMIT))[1]["code"] == -4141
    amend = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020", "price": "40000"}
    assert (await fapi.signed("PUT", "v1/order", **amend, orderId=found["orderId"]))[1]["code"] == -5024
    status, body = await fapi.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=found["orderId"])
    assert (status, body["status"]) == (200, "CANCELED")
    _, info = await fapi.get("v1/exchangeInfo")
    assert {each["symbol"]: each["status"] for each in info["symbols"]} == {
        "BTCUSDT": "SETTLING",
        "ETHUSDT": "TRADING",
    }


async def test_unknown_paths_and_depth_limits(fapi: Fapi) -> None:
    """What is not offered says so."""
    assert (await fapi.get("v1/nothing"))[0] == 404
    assert (await fapi.signed("POST", "v1/algoOrder"))[0] == 404
    assert (await fapi.get("v1/depth", symbol="BTCUSDT", limit=7))[1]["code"] == -4021
    assert len((await fapi.get("v1/depth", symbol="BTCUSDT", limit=5))[1]["bids"]) == 5


async def test_more_orders_than_there_may_be(fapi: Fapi, wire: Wire) -> None:
    """Orders beyond the symbol's maximum are refused."""
    config = wire.exchange.market("futures", "BTCUSDT").config
    for _ in range(config.max_orders):
        request = OrderRequest("futures", "BTCUSDT", "BUY", "LIMIT", Decimal("0.002"), price=Decimal(40_000))
        wire.exchange.place(wire.exchange.accounts["main"], request)
    assert (await fapi.signed("POST", "v1/order", **LIMIT))[1]["code"] == -2025
