"""WebSockets spoken raw: subscriptions, depth that fits the snapshot, sessions and their ends."""

import asyncio
from decimal import Decimal

import aiohttp

from oms.simulator import connections as connections_module
from oms.simulator.client import ControlClient
from oms.simulator.wire import Wire

from .conftest import RawClient, UserStream, sign


async def test_subscribe_list_unsubscribe(session: aiohttp.ClientSession, wire: Wire) -> None:
    """Streams are subscribed by message or by path, listed, and stop when unsubscribed."""
    async with session.ws_connect("wss://stream.binance.com:9443/ws/btcusdt@bookTicker") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["ethusdt@bookTicker"], "id": 1})
        assert await socket.receive_json(timeout=5) == {"result": None, "id": 1}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "x"})
        listed = await socket.receive_json(timeout=5)
        assert listed == {"result": ["btcusdt@bookTicker", "ethusdt@bookTicker"], "id": "x"}
        wire.driver.step()
        seen = [await socket.receive_json(timeout=5) for _ in range(2)]
        assert {event["s"] for event in seen} == {"BTCUSDT", "ETHUSDT"}
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2})
        await socket.receive_json(timeout=5)
        wire.driver.step()
        assert (await socket.receive_json(timeout=5))["s"] == "ETHUSDT"


async def test_bad_messages_are_answered(session: aiohttp.ClientSession) -> None:
    """A message that is no request is answered with an error and the connection lives on."""
    async with session.ws_connect(
        "wss://stream.binance.com/stream?streams=btcusdt@trade/ethusdt@trade"
    ) as socket:
        for text in ("{", "[]", '{"method":"JUMP","id":1}', '{"method":"SUBSCRIBE","params":[1],"id":1}'):
            await socket.send_str(text)
            assert "error" in await socket.receive_json(timeout=5)
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert len((await socket.receive_json(timeout=5))["result"]) == 2


async def test_depth_straddles_the_snapshot(
    session: aiohttp.ClientSession, raw: RawClient, wire: Wire
) -> None:
    """The first event after a snapshot overlaps it, the rest follow without a gap, and together they are the book."""
    async with session.ws_connect("wss://stream.binance.com/stream?streams=btcusdt@depth@100ms") as socket:
        stop = asyncio.create_task(_keep_stepping(wire))
        first = (await socket.receive_json(timeout=5))["data"]
        _, snapshot = await raw.get("depth", symbol="BTCUSDT", limit=5000)
        book = {name: dict(snapshot[name]) for name in ("bids", "asks")}
        last = snapshot["lastUpdateId"]
        assert last >= first["u"]
        started = False
        for _ in range(4):
            event = (await socket.receive_json(timeout=5))["data"]
            if event["u"] <= snapshot["lastUpdateId"]:
                continue
            assert event["U"] <= last + 1 <= event["u"] if not started else event["U"] == last + 1
            started, last = True, event["u"]
            for name, key in (("bids", "b"), ("asks", "a")):
                book[name].update(event[key])
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)
        while last < wire.exchange.markets["spot", "BTCUSDT"].book.update_id:
            event = (await socket.receive_json(timeout=5))["data"]
            last = event["u"]
            for name, key in (("bids", "b"), ("asks", "a")):
                book[name].update(event[key])
    _, now = await raw.get("depth", symbol="BTCUSDT", limit=5000)
    for name in ("bids", "asks"):
        assert {p: q for p, q in book[name].items() if Decimal(q)} == dict(now[name])


async def _keep_stepping(wire: Wire) -> None:
    while True:
        wire.driver.step()
        await asyncio.sleep(0.007)


async def test_partial_depth(session: aiohttp.ClientSession, wire: Wire) -> None:
    """`depth5` is a snapshot of five levels a side."""
    async with session.ws_connect("wss://stream.binance.com/ws/btcusdt@depth5@100ms") as socket:
        await asyncio.sleep(0.05)
        wire.driver.step()
        event = await socket.receive_json(timeout=5)
        assert len(event["bids"]) == len(event["asks"]) == 5
        assert event["lastUpdateId"] > 0


async def test_ws_api_refusals(api: UserStream) -> None:
    """Requests that are garbled, unknown, unsigned or wrongly signed get their code and leave the connection open."""
    await api.socket.send_str("{")
    assert (await api.socket.receive_json(timeout=5))["error"]["code"] == -1135
    assert (await api.ask("fly"))["error"]["code"] == -1000
    assert (await api.ask("account.status"))["error"]["code"] == -2014
    assert (await api.ask("account.status", apiKey="nobody"))["error"]["code"] == -2015
    assert (await api.ask("account.status", apiKey="key-main"))["error"]["code"] == -1102
    bad = await api.ask("account.status", apiKey="key-main", timestamp=1, signature="00")
    assert (bad["status"], bad["error"]["code"]) == (400, -1022)
    old = await api.ask(
        "account.status", apiKey="key-main", timestamp=1, signature=sign("apiKey=key-main&timestamp=1")
    )
    assert old["error"]["code"] == -1021
    assert (await api.ask_signed("order.status", symbol="BTCUSDT", orderId=5))["error"]["code"] == -2013
    assert (await api.ask_signed("session.logon"))["error"]["code"] == -4056
    assert (await api.ask("userDataStream.subscribe"))["error"]["code"] == -2015
    assert (await api.ask("userDataStream.unsubscribe"))["error"]["code"] == -2036
    answer = await api.ask("ping")
    assert answer["result"] == {}
    assert answer["rateLimits"][0]["count"] >= 1


async def test_subscription_ends(user: UserStream, raw: RawClient) -> None:
    """A second subscription of the same account is refused; the first ends with `eventStreamTerminated`."""
    assert (await user.ask_signed("userDataStream.subscribe.signature"))["error"]["code"] == -2035
    assert (await user.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    assert (await user.ask("userDataStream.unsubscribe", subscriptionId=0))["result"] == {}
    assert (await user.event())["e"] == "eventStreamTerminated"
    assert (await user.ask("session.subscriptions"))["result"] == []


async def test_deposits_are_events(user: UserStream, control: ControlClient) -> None:
    """A deposit is told as `balanceUpdate` and as the new balance."""
    await control.deposit("main", "BTC", "-0.5")
    update, position = await user.event(), await user.event()
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "BTC", "-0.50000000")
    assert position["B"] == [{"a": "BTC", "f": "1.50000000", "l": "0.00000000"}]


async def test_ws_order_answers_carry_order_counts(user: UserStream) -> None:
    """Answers to orders by ws-api carry the order counts beside the weight."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    answer = await user.ask_signed("order.place", **order)
    assert answer["result"]["status"] == "FILLED"
    assert [row["rateLimitType"] for row in answer["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    assert answer["rateLimits"][1]["count"] == 1


async def test_slow_readers_are_cut(session: aiohttp.ClientSession, wire: Wire, monkeypatch: object) -> None:
    """A client that does not read loses its connection instead of filling the memory."""
    monkeypatch.setattr(connections_module, "MAX_WAITING", 20)
    async with session.ws_connect("wss://stream.binance.com/ws/btcusdt@bookTicker") as socket:
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        await socket.receive_json(timeout=5)
        for _ in range(30):
            wire.driver.step()
        while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
