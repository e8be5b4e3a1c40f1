"""Streams of futures: an account's own by its listen key, the market's by name."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from oms.simulator import SimulatorConfig
from oms.simulator.binance.futures import keys
from oms.simulator.orders import OrderRequest
from oms.simulator.wire import Wire

from .fapi import Fapi, event, with_futures

STREAMS = "wss://fstream.binance.com"


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    return with_futures(config)


@pytest.fixture
def fapi(session: aiohttp.ClientSession) -> Fapi:
    return Fapi(session)


@pytest.fixture
async def user(session: aiohttp.ClientSession, fapi: Fapi) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The private stream of the account `main`."""
    key = await fapi.listen_key()
    async with session.ws_connect(f"{STREAMS}/private/ws?listenKey={key}") as socket:
        yield socket


async def test_orders_and_trades(fapi: Fapi, user: aiohttp.ClientWebSocketResponse) -> None:
    """An order is told as it is taken, amended, filled and canceled, a fill with its commission and profit."""
    order = await fapi.order(newClientOrderId="mine")
    new = (await event(user, "ORDER_TRADE_UPDATE"))["o"]
    assert {name: new[name] for name in ("s", "c", "S", "o", "f", "q", "p", "x", "X", "i", "z", "t", "ps")} == {
        "s": "BTCUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.010", "p": "40000.0", "x": "NEW",
        "X": "NEW", "i": order["orderId"], "z": "0.000", "t": 0, "ps": "BOTH",
    }  # fmt: skip
    assert "n" not in new
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020", "price": "41000"}
    await fapi.signed("PUT", "v1/order", **terms, orderId=order["orderId"])
    amended = (await event(user, "ORDER_TRADE_UPDATE"))["o"]
    assert (amended["x"], amended["X"], amended["q"], amended["p"]) == (
        "AMENDMENT",
        "NEW",
        "0.020",
        "41000.0",
    )
    await fapi.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    assert (await event(user, "ORDER_TRADE_UPDATE"))["o"]["X"] == "CANCELED"
    await fapi.order(type="MARKET")
    assert (await event(user, "ORDER_TRADE_UPDATE"))["o"]["x"] == "NEW"
    fill = (await event(user, "ORDER_TRADE_UPDATE"))["o"]
    assert (fill["x"], fill["X"], fill["l"], fill["L"], fill["m"]) == (
        "TRADE",
        "FILLED",
        "0.010",
        "50000.5",
        False,
    )
    assert (fill["n"], fill["N"], fill["rp"], fill["ap"]) == (
        "0.25000250",
        "USDT",
        "0.00000000",
        "50000.50000000",
    )
    moved = (await event(user, "ACCOUNT_UPDATE"))["a"]
    assert moved["m"] == "ORDER"
    assert moved["B"] == [{"a": "USDT", "wb": "99999.74999750", "cw": "99999.74999750", "bc": "0"}]
    assert [(p["s"], p["pa"], p["ep"], p["mt"]) for p in moved["P"]] == [
        ("BTCUSDT", "0.010", "50000.50000000", "cross")
    ]


async def test_what_else_moves_an_account(
    fapi: Fapi, user: aiohttp.ClientWebSocketResponse, wire: Wire
) -> None:
    """Deposits, transfers, funding, leverage and margin type are told with their reasons."""
    exchange, account = wire.exchange, wire.exchange.accounts["main"]
    exchange.adjust(account, "futures", "USDT", Decimal(5))
    told = (await event(user, "ACCOUNT_UPDATE"))["a"]
    assert (told["m"], told["B"][0]["bc"], told["P"]) == ("DEPOSIT", "5.00000000", [])
    exchange.transfer(account, "USDT", Decimal(7), "futures", "spot")
    told = (await event(user, "ACCOUNT_UPDATE"))["a"]
    assert (told["m"], told["B"][0]["bc"]) == ("WITHDRAW", "-7.00000000")
    await fapi.signed("POST", "v1/leverage", symbol="BTCUSDT", leverage=25)
    assert (await event(user, "ACCOUNT_CONFIG_UPDATE"))["ac"] == {"s": "BTCUSDT", "l": 25}
    await fapi.signed("POST", "v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    told = (await event(user, "ACCOUNT_UPDATE"))["a"]
    assert (told["m"], told["P"][0]["mt"]) == ("MARGIN_TYPE_CHANGE", "isolated")
    await fapi.order(type="MARKET")
    assert (await event(user, "ACCOUNT_UPDATE"))["a"]["m"] == "ORDER"
    exchange.settle_funding(exchange.market("futures", "BTCUSDT"))
    told = (await event(user, "ACCOUNT_UPDATE"))["a"]
    assert (told["m"], told["B"][0]["bc"]) == ("FUNDING_FEE", "-0.05000000")
    await fapi.signed("POST", "v1/positionMargin", symbol="BTCUSDT", amount="3", type=1)
    assert (await event(user, "ACCOUNT_UPDATE"))["a"]["m"] == "MARGIN_TRANSFER"


async def test_forced_orders(fapi: Fapi, user: aiohttp.ClientWebSocketResponse, wire: Wire) -> None:
    """Liquidations and ADL have Binance's client ids and executions, and are found under them."""
    exchange, account = wire.exchange, wire.exchange.accounts["main"]
    await fapi.order(type="MARKET", quantity="0.500")
    while (await event(user, "ORDER_TRADE_UPDATE"))["o"]["x"] != "TRADE":
        pass
    exchange.deleverage(account, "BTCUSDT", Decimal("0.100"))
    assert (await event(user, "ORDER_TRADE_UPDATE"))["o"]["c"] == "adl_autoclose"
    forced = (await event(user, "ORDER_TRADE_UPDATE"))["o"]
    assert (forced["c"], forced["x"], forced["X"]) == ("adl_autoclose", "CALCULATED", "FILLED")
    (order,) = exchange.liquidate(account, "BTCUSDT")
    name = f"autoclose-{order.order_id}"
    assert (await event(user, "ORDER_TRADE_UPDATE"))["o"]["c"] == name
    assert (await event(user, "ORDER_TRADE_UPDATE"))["o"]["x"] == "CALCULATED"
    _, found = await fapi.signed("GET", "v1/order", symbol="BTCUSDT", origClientOrderId=name)
    assert (found["orderId"], found["status"], found["clientOrderId"]) == (order.order_id, "FILLED", name)


@pytest.mark.parametrize(
    "path",
    [
        "/private/ws?listenKey={}",
        "/private/ws/{}",
        "/ws/{}",
        "/private/stream?streams={}",
        "/stream?streams={}",
    ],
)
async def test_ways_to_a_private_stream(session: aiohttp.ClientSession, fapi: Fapi, path: str) -> None:
    """A listen key is taken in the path, in the query, or as the name of a combined stream."""
    key = await fapi.listen_key()
    async with session.ws_connect(STREAMS + path.format(key)) as socket:
        await fapi.order()
        message = await asyncio.wait_for(socket.receive_json(), 5)
        if "stream" in path:
            assert message["stream"] == key
            message = message["data"]
        assert message["e"] == "ORDER_TRADE_UPDATE"


async def test_a_key_as_a_subscription(session: aiohttp.ClientSession, fapi: Fapi) -> None:
    """A listen key can be subscribed to and unsubscribed from like any other stream."""
    key = await fapi.listen_key()
    async with session.ws_connect(f"{STREAMS}/private/stream") as socket:
        for method, told in (("SUBSCRIBE", True), ("UNSUBSCRIBE", False)):
            await socket.send_json({"method": method, "params": [key], "id": 1})
            assert await socket.receive_json(timeout=5) == {"result": None, "id": 1}
            await fapi.order()
            if told:
                assert (await socket.receive_json(timeout=5))["data"]["e"] == "ORDER_TRADE_UPDATE"
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await socket.receive_json(timeout=5) == {"result": [], "id": 2}


async def test_a_key_ends(
    session: aiohttp.ClientSession,
    fapi: Fapi,
    user: aiohttp.ClientWebSocketResponse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that is deleted, or not renewed in time, is said to have expired, and tells nothing more."""
    key = await fapi.listen_key()
    await fapi.send("DELETE", "v1/listenKey", "")
    assert (await event(user, "listenKeyExpired"))["listenKey"] == key
    await fapi.order()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(user.receive_json(), 0.05)
    another = await fapi.listen_key()
    assert another != key
    async with session.ws_connect(f"{STREAMS}/private/ws/{another}") as socket:
        monkeypatch.setattr(keys, "VALID_S", 0)
        await fapi.send("PUT", "v1/listenKey", "")
        assert (await event(socket, "listenKeyExpired"))["listenKey"] == another
    assert (await fapi.send("PUT", "v1/listenKey", ""))[1]["code"] == -1125


async def test_nobody_hears_another_account(
    fapi: Fapi, user: aiohttp.ClientWebSocketResponse, wire: Wire
) -> None:
    """Events go to those alone who listen to that account's key."""
    request = OrderRequest("futures", "BTCUSDT", "BUY", "MARKET", Decimal("0.010"))
    wire.exchange.place(wire.exchange.accounts["other"], request)
    await fapi.order(newClientOrderId="mine")
    assert (await asyncio.wait_for(user.receive_json(), 5))["o"]["c"] == "mine"


async def test_cutting_connections(
    session: aiohttp.ClientSession, user: aiohttp.ClientWebSocketResponse, wire: Wire
) -> None:
    """Private and market connections are counted and cut apart."""
    async with session.ws_connect(f"{STREAMS}/public/ws/btcusdt@trade") as market:
        assert wire.connections() == {"user": 1, "market": 1}
        assert wire.drop_websockets("user") == 1
        assert (await user.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        while wire.connections()["user"]:
            await asyncio.sleep(0.005)
        assert not market.closed
        assert wire.drop_websockets("market") == 1


# -- the market


async def test_depth_follows_the_snapshot(session: aiohttp.ClientSession, fapi: Fapi, wire: Wire) -> None:
    """Each change of depth names the one before it, and a snapshot taken at any time lies between two."""
    async with session.ws_connect(f"{STREAMS}/public/ws/btcusdt@depth@100ms") as socket:
        last = None
        for _ in range(3):
            wire.driver.step()
            _, snapshot = await fapi.get("v1/depth", symbol="BTCUSDT", limit=1_000)
            change = await event(socket, "depthUpdate")
            assert last in (None, change["pu"])
            assert change["pu"] <= snapshot["lastUpdateId"] <= change["u"]
            last = change["u"]
        assert {price for price, _ in change["b"]} & {price for price, _ in snapshot["bids"]}


async def test_partial_depth_and_tickers(session: aiohttp.ClientSession, wire: Wire) -> None:
    """Partial books, best prices, tickers and both kinds of trades come under their names, combined or not."""
    names = "btcusdt@depth5@100ms/btcusdt@bookTicker/btcusdt@trade/btcusdt@aggTrade/btcusdt@ticker/btcusdt@miniTicker"
    async with session.ws_connect(f"{STREAMS}/stream?streams={names}") as socket:
        exchange = wire.exchange
        market = exchange.market("futures", "BTCUSDT")
        exchange.cross(market, Decimal("50010.0"), Decimal("0.123"))
        wire.driver.step()
        seen: dict[str, dict[str, object]] = {}
        while len(seen) < 6:
            message = await asyncio.wait_for(socket.receive_json(), 5)
            seen.setdefault(message["stream"], message["data"])
    assert len(seen["btcusdt@depth5@100ms"]["b"]) == 5
    assert seen["btcusdt@bookTicker"]["b"] < seen["btcusdt@bookTicker"]["a"]
    for name, kind in (("trade", "trade"), ("aggTrade", "aggTrade")):
        trade = seen[f"btcusdt@{name}"]
        assert (trade["e"], trade["p"], trade["q"], trade["m"]) == (kind, "50010.0", "0.123", False)
    assert seen["btcusdt@ticker"]["e"] == "24hrTicker"
    assert seen["btcusdt@miniTicker"]["e"] == "24hrMiniTicker"


async def test_mark_prices(session: aiohttp.ClientSession, fapi: Fapi, wire: Wire) -> None:
    """Mark prices come every second, by symbol and of all at once, with index and funding."""
    wire.exchange.set_mark(wire.exchange.market("futures", "BTCUSDT"), Decimal("50123.4"))
    names = "btcusdt@markPrice@1s/!markPrice@arr@1s"
    async with session.ws_connect(f"{STREAMS}/market/stream?streams={names}") as socket:
        one, everyone = [await asyncio.wait_for(socket.receive_json(), 5) for _ in range(2)]
    assert (one["data"]["p"], one["data"]["i"], one["data"]["r"]) == (
        "50123.40000000",
        "50123.40000000",
        "0.00010000",
    )
    assert [row["s"] for row in everyone["data"]] == ["BTCUSDT", "ETHUSDT"]
    _, premium = await fapi.get("v1/premiumIndex", symbol="BTCUSDT")
    assert (premium["markPrice"], premium["nextFundingTime"]) == ("50123.40000000", one["data"]["T"])


async def test_market_data_by_rest(fapi: Fapi, wire: Wire) -> None:
    """Prices, best prices, statistics and trades can be asked for, of one symbol or of all."""
    wire.exchange.cross(wire.exchange.market("futures", "BTCUSDT"), Decimal("50010.0"), Decimal("0.123"))
    for path in (
        "v1/ticker/price",
        "v2/ticker/price",
        "v1/ticker/bookTicker",
        "v1/ticker/24hr",
        "v1/premiumIndex",
    ):
        _, rows = await fapi.get(path)
        assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
        _, row = await fapi.get(path, symbol="ETHUSDT")
        assert row["symbol"] == "ETHUSDT"
    _, trades = await fapi.get("v1/trades", symbol="BTCUSDT")
    assert (trades[-1]["price"], trades[-1]["qty"]) == ("50010.0", "0.123")
    _, trades = await fapi.get("v1/aggTrades", symbol="BTCUSDT", fromId=trades[-1]["id"])
    assert [trade["p"] for trade in trades] == ["50010.0"]
    assert (await fapi.get("v1/ping"))[1] == {}
