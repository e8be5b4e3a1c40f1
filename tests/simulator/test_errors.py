"""Every refusal over raw HTTP: status, code and wording as Binance has them."""

import time

import attrs
import pytest

from oms.simulator import SimulatorConfig
from oms.simulator.wire import Wire

from .conftest import RawClient, sign

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "40000",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "stopPrice": "40000"}

# What is sent instead, and what must come back. None takes a parameter away.
REFUSED_ORDERS = [
    (
        LIMIT,
        {"symbol": None},
        -1102,
        "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    ),
    (LIMIT, {"symbol": "NOPE"}, -1121, "Invalid symbol."),
    (LIMIT, {"symbol": "btcusdt"}, -1100, "Illegal characters found in parameter 'symbol'"),
    (LIMIT, {"side": "LONG"}, -1117, "Invalid side."),
    (LIMIT, {"type": "STOP"}, -1116, "Invalid orderType."),
    (LIMIT, {"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce'"),
    (LIMIT, {"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    (LIMIT, {"price": None}, -1102, "Mandatory parameter 'price'"),
    (LIMIT, {"price": ""}, -1102, "Mandatory parameter 'price'"),
    (LIMIT, {"price": "-1"}, -1100, "Illegal characters found in parameter 'price'; legal range is"),
    (LIMIT, {"price": "1e5"}, -1100, "Illegal characters found in parameter 'price'"),
    (LIMIT, {"price": "NaN"}, -1100, "Illegal characters found in parameter 'price'"),
    (LIMIT, {"price": "٤٠٠٠٠"}, -1100, "Illegal characters found in parameter 'price'"),
    (LIMIT, {"price": "0"}, -1013, "Invalid price."),
    (LIMIT, {"quantity": "0"}, -1013, "Invalid quantity."),
    (LIMIT, {"quantity": "0.000000001"}, -1111, "Parameter 'quantity' has too much precision."),
    (LIMIT, {"price": "40000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT, {"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT, {"quantity": "0.000015"}, -1013, "Filter failure: LOT_SIZE"),
    (LIMIT, {"quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
    (LIMIT, {"quantity": "3"}, -2010, "Account has insufficient balance for requested action."),
    (LIMIT, {"side": "SELL", "price": "60000", "quantity": "3"}, -2010, "Account has insufficient balance"),
    (MARKET, {"quantity": "8"}, -2010, "Account has insufficient balance for requested action."),
    (MARKET, {"price": "1"}, -1106, "Parameter 'price' sent when not required."),
    (MARKET, {"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
    (
        MARKET,
        {"quoteOrderQty": "10"},
        -1013,
        "Quote order qty market orders are not support for this symbol.",
    ),
    (STOP, {"stopPrice": None}, -1102, "Mandatory parameter 'stopPrice'"),
    (STOP, {"stopPrice": "60000"}, -2010, "Stop price would trigger immediately."),
    (
        LIMIT,
        {"type": "LIMIT_MAKER", "timeInForce": None, "price": "60000"},
        -2010,
        "Order would immediately match and take.",
    ),
    (
        LIMIT,
        {"newClientOrderId": "x" * 37},
        -1100,
        "Illegal characters found in parameter 'newClientOrderId'",
    ),
    (LIMIT, {"newClientOrderId": "a b"}, -1100, "Illegal characters found in parameter 'newClientOrderId'"),
    (LIMIT, {"newOrderRespType": "ALL"}, -1100, "Illegal characters found in parameter 'newOrderRespType'"),
    (
        LIMIT,
        {"surprise": "1"},
        -1104,
        "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
    ),
    (LIMIT, {"timestamp": "soon"}, -1100, "Illegal characters found in parameter 'timestamp'"),
    (LIMIT, {"timestamp": "1"}, -1021, "Timestamp for this request is outside of the recvWindow."),
    (LIMIT, {"timestamp": "99999999999999"}, -1021, "Timestamp for this request was 1000ms ahead"),
    (LIMIT, {"recvWindow": "60001"}, -1131, "'recvWindow' must be less than 60000."),
]


@pytest.mark.parametrize("base,change,code,words", REFUSED_ORDERS)
async def test_refused_orders(
    raw: RawClient,
    wire: Wire,
    base: dict[str, str],
    change: dict[str, str | None],
    code: int,
    words: str,
) -> None:
    """A refused order gets Binance's code and words, and leaves no order behind."""
    status, body = await raw.signed("POST", "order", **{**base, **change})
    assert (status, body["code"]) == (400, code), body
    assert body["msg"].startswith(words)
    assert not wire.exchange.accounts["main"].orders


LOOKUPS = [
    ("GET", "order", {"symbol": "BTCUSDT", "orderId": 99999}, -2013, "Order does not exist."),
    ("GET", "order", {"symbol": "BTCUSDT", "origClientOrderId": "no"}, -2013, "Order does not exist."),
    ("GET", "order", {"symbol": "BTCUSDT"}, -1102, "Param 'origClientOrderId' or 'orderId' must be sent"),
    ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": 99999}, -2011, "Unknown order sent."),
    ("DELETE", "order", {"symbol": "BTCUSDT"}, -1102, "Param 'origClientOrderId' or 'orderId' must be sent"),
    ("DELETE", "openOrders", {"symbol": "BTCUSDT"}, -2011, "Unknown order sent."),
    ("GET", "openOrders", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ("GET", "allOrders", {}, -1102, "Mandatory parameter 'symbol'"),
    (
        "GET",
        "myTrades",
        {"symbol": "BTCUSDT", "startTime": 1, "endTime": 86_400_002},
        -1127,
        "More than 24 hours",
    ),
    (
        "GET",
        "myTrades",
        {"symbol": "BTCUSDT", "limit": "many"},
        -1100,
        "Illegal characters found in parameter 'limit'",
    ),
    (
        "GET",
        "account",
        {"omitZeroBalances": "yes"},
        -1100,
        "Illegal characters found in parameter 'omitZeroBalances'",
    ),
]


@pytest.mark.parametrize("method,path,params,code,words", LOOKUPS)
async def test_refused_lookups(
    raw: RawClient, method: str, path: str, params: dict[str, object], code: int, words: str
) -> None:
    """A query or cancellation of what is not there, or garbled, gets Binance's code and words."""
    status, body = await raw.signed(method, path, **params)
    assert (status, body["code"]) == (400, code), body
    assert body["msg"].startswith(words)


async def test_keys_and_signatures(raw: RawClient) -> None:
    """A request without a key, with an unknown key, without or with a wrong signature is refused."""
    query = f"symbol=BTCUSDT&timestamp={int(time.time() * 1000)}"
    cases = [
        (query, None, 401, -2014),
        (query, "not a key!", 401, -2014),
        (query, "unknown", 401, -2015),
        (query, "key-main", 400, -1102),
        (f"{query}&signature=00", "key-main", 400, -1022),
        (f"{query}&signature={sign(query, 'other secret')}", "key-main", 400, -1022),
        (f"{query}&signature={sign(query + ' ')}", "key-main", 400, -1022),
        (f"{query}&signature={sign(query)}&signature=1", "key-main", 400, -1101),
        (f"symbol=BTCUSDT&signature={sign('symbol=BTCUSDT')}", "key-main", 400, -1102),
    ]
    for text, key, status, code in cases:
        got, body = await raw.send("GET", "openOrders", text, key=key)
        assert (got, body["code"]) == (status, code), text


async def test_signature_covers_the_exact_bytes(raw: RawClient) -> None:
    """The bytes as sent are signed: a percent-encoded value verifies as encoded, in query, body or both."""
    now = int(time.time() * 1000)
    query = f"symbol=BTC%55SDT&timestamp={now}"
    assert (await raw.send("GET", "openOrders", f"{query}&signature={sign(query)}"))[0] == 200
    decoded = query.replace("%55", "U")
    assert (await raw.send("GET", "openOrders", f"{query}&signature={sign(decoded)}"))[1]["code"] == -1022
    body = f"side=BUY&type=MARKET&quantity=0.01&timestamp={now}"
    assert (
        await raw.send(
            "POST",
            "order/test",
            f"symbol=BTCUSDT&{body}&signature={sign('symbol=BTCUSDT&' + body)}",
            in_body=True,
        )
    )[0] == 200


async def test_order_test_books_nothing(raw: RawClient, wire: Wire) -> None:
    """`order/test` checks like an order and books none."""
    assert await raw.signed("POST", "order/test", **LIMIT) == (200, {})
    assert (await raw.signed("POST", "order/test", **{**LIMIT, "price": "0.001"}))[1]["code"] == -1013
    assert not wire.exchange.accounts["main"].orders


async def test_cancel_replace_says_which_half_failed(raw: RawClient) -> None:
    """Cancel-replace reports success, nothing done (-2022) and half done (-2021) as Binance does."""
    replace = {**LIMIT, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "r1"}
    status, body = await raw.signed("POST", "order/cancelReplace", **replace)
    assert (status, body["code"], body["data"]["newOrderResult"]) == (400, -2022, "NOT_ATTEMPTED")
    status, body = await raw.signed(
        "POST", "order/cancelReplace", **{**replace, "cancelReplaceMode": "ALLOW_FAILURE"}
    )
    assert (status, body["code"], body["data"]["newOrderResponse"]["status"]) == (409, -2021, "NEW")
    await raw.signed("POST", "order", **{**LIMIT, "newClientOrderId": "r1"})
    status, body = await raw.signed("POST", "order/cancelReplace", **{**replace, "newClientOrderId": "r2"})
    assert (status, body["cancelResult"], body["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    replace["cancelOrigClientOrderId"] = "r2"
    status, body = await raw.signed("POST", "order/cancelReplace", **{**replace, "quantity": "9"})
    assert (status, body["code"], body["data"]["newOrderResponse"]["code"]) == (409, -2021, -2010)


async def test_a_halted_symbol(raw: RawClient, wire: Wire) -> None:
    """While a symbol is halted its orders are refused, its cancels are not, and `exchangeInfo` shows it."""
    market = wire.exchange.market("spot", "BTCUSDT")
    await raw.signed("POST", "order", **LIMIT, newClientOrderId="r1")
    wire.exchange.set_status(market, "HALTED")
    status, body = await raw.signed("POST", "order", **LIMIT)
    assert (status, body) == (400, {"code": -1013, "msg": "Market is closed."})
    _, body = await raw.get("exchangeInfo", symbol="BTCUSDT")
    assert body["symbols"][0]["status"] == "HALT"
    status, _ = await raw.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="r1")
    assert status == 200
    assert (await raw.signed("POST", "order", **{**LIMIT, "symbol": "ETHUSDT", "price": "2000"}))[0] == 200


async def test_unknown_paths(raw: RawClient) -> None:
    """A path that is not offered says so instead of answering with something else."""
    assert await raw.get("klines") == (
        404,
        {"code": -5000, "msg": "Path /api/v3/klines, Method GET is invalid"},
    )


@pytest.fixture
def config(config: SimulatorConfig, request: pytest.FixtureRequest) -> SimulatorConfig:
    if "limited" not in request.fixturenames:
        return config
    return attrs.evolve(
        config,
        exchanges=(attrs.evolve(config.exchanges[0], limits={"weight_1m": 100, "orders_10s": 3}),),
    )


@pytest.fixture
def limited() -> None:
    """Marks a test that wants low limits."""


async def test_rate_limits(limited: None, raw: RawClient) -> None:
    """Headers count weight and orders; beyond a limit comes 429 with Retry-After, for orders -1015, else -1003."""
    seen = []
    for _ in range(5):
        status, body = await raw.signed("POST", "order", **LIMIT)
        seen.append((status, body.get("code"), raw.headers.get("X-MBX-ORDER-COUNT-10S")))
    # The ten seconds may turn once in between, never twice.
    assert seen[0][2] == "1"
    assert (429, -1015, "3") in seen, seen
    status, body = await raw.get("exchangeInfo")
    assert status == 200
    assert body["rateLimits"][0]["limit"] == 100
    assert int(raw.headers["X-MBX-USED-WEIGHT-1M"]) >= 20
    for _ in range(12):
        status, body = await raw.get("exchangeInfo")
    assert (status, body["code"]) == (429, -1003)
    assert 1 <= int(raw.headers["Retry-After"]) <= 60
