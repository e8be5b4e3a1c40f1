"""The simulated OKX's WebSockets, spoken to plainly: logins, subscriptions, what they begin with and what follows."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.okx import KEY, PASSPHRASE, SPOT, SWAP, WS, Okx, running, sign

ORDERS = {"channel": "orders", "instType": "ANY"}


@pytest.fixture
async def okx(tmp_path: Path) -> AsyncIterator[Okx]:
    """The simulator."""
    async with running(tmp_path) as okx:
        yield okx


class Socket:
    """A WebSocket, and what it has said that nobody has asked for yet."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, op: str, *args: Any, **more: Any) -> None:
        await self.socket.send_json({"op": op, "args": list(args), **more})

    async def next(self) -> Any:
        return await self.socket.receive_json(timeout=3)

    async def until(self, condition: Callable[[Any], Any]) -> Any:
        """The next message that satisfies the condition."""
        while not condition(message := await self.next()):
            pass
        return message

    async def data(self, channel: str) -> Any:
        """The next data of a channel."""
        return await self.until(lambda m: "data" in m and m["arg"]["channel"] == channel)

    async def subscribe(self, **arg: str) -> Any:
        """Subscribe, and return how that was answered."""
        await self.say("subscribe", arg)
        return await self.until(lambda m: m.get("event") in ("subscribe", "error"))

    async def login(self, **changes: str) -> Any:
        """Log in as ``main`` and return the answer."""
        now = changes.pop("timestamp", str(int(time.time())))
        given = {
            "apiKey": KEY,
            "passphrase": PASSPHRASE,
            "timestamp": now,
            "sign": sign(now + "GET/users/self/verify"),
            **changes,
        }
        await self.say("login", given)
        return await self.next()


@pytest.fixture
async def connect(okx: Okx) -> AsyncIterator[Any]:
    """Opens WebSockets."""
    sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(access: str) -> Socket:
        sockets.append(await okx.session.ws_connect(f"{WS}/{access}"))
        return Socket(sockets[-1])

    yield connect
    for socket in sockets:
        await socket.close()


@pytest.fixture
async def private(connect: Any) -> Socket:
    """A private WebSocket that is logged in."""
    socket: Socket = await connect("private")
    assert (await socket.login())["event"] == "login"
    return socket


async def test_pings(connect: Any) -> None:
    """The text "ping" is answered with "pong"."""
    socket = await connect("public")
    await socket.socket.send_str("ping")
    assert await socket.socket.receive_str(timeout=3) == "pong"


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"apiKey": "nobody"}, "60005"),
        ({"passphrase": "wrong"}, "60024"),
        ({"sign": "wrong"}, "60007"),
        ({"timestamp": "1597026383"}, "60006"),
        ({"timestamp": "now"}, "60004"),
    ],
)
async def test_logins_that_fail(connect: Any, changes: dict[str, str], code: str) -> None:
    """A login without a fresh signature is refused, and nothing private can be heard."""
    socket = await connect("private")
    answer = await socket.login(**changes)
    assert (answer["event"], answer["code"]) == ("error", code)
    assert (await socket.subscribe(**ORDERS))["code"] == "60011"


@pytest.mark.parametrize(
    "access, arg, code",
    [
        ("public", {"channel": "tickers", "instId": "NO-NE"}, "60018"),
        ("public", {"channel": "orders", "instType": "SPOT"}, "60018"),
        ("public", {"channel": "weather", "instId": SPOT}, "60018"),
        ("business", {"channel": "tickers", "instId": SPOT}, "60018"),
        ("private", {"channel": "orders", "instType": "SPOT"}, "60011"),
    ],
)
async def test_channels_that_are_not_there(connect: Any, access: str, arg: dict[str, str], code: str) -> None:
    """A channel at the wrong address, of the wrong thing, or without login is refused."""
    assert (await (await connect(access)).subscribe(**arg))["code"] == code


async def test_messages_that_are_none(connect: Any, private: Socket) -> None:
    """What is no request is answered with an error that tells so."""
    socket = await connect("public")
    for text, code in (
        ("{", "60012"),
        ('{"op": "subscribe"}', "60012"),
        ('{"op": "sing", "args": []}', "60019"),
    ):
        await socket.socket.send_str(text)
        answer = await socket.next()
        assert (answer["event"], answer["code"]) == ("error", code)
    assert (await socket.login())["code"] == "60008"
    await socket.say("order", {}, id="1")
    assert (await socket.next())["code"] == "60011"
    await private.say("subscribe", {"channel": "orders", "instType": "SHARES"})
    assert (await private.next())["code"] == "60018"


async def test_private_channels(okx: Okx, private: Socket) -> None:
    """Funds and positions begin with what stands; what an operation changed follows, with its cause."""
    okx.buy(SWAP, "1")
    await private.subscribe(channel="account")
    snapshot = await private.data("account")
    assert snapshot["eventType"] == "snapshot"
    assert {each["ccy"] for each in snapshot["data"][0]["details"]} == {"USDT", "BTC", "ETH"}
    await private.subscribe(channel="positions", instType="SWAP")
    assert [each["pos"] for each in (await private.data("positions"))["data"]] == ["1"]
    await private.subscribe(channel="balance_and_position")
    both = (await private.data("balance_and_position"))["data"][0]
    assert (both["eventType"], len(both["balData"]), len(both["posData"])) == ("snapshot", 3, 1)
    okx.buy(SWAP, "2")
    changed = (await private.data("account"))["data"][0]["details"]
    assert [each["ccy"] for each in changed] == ["USDT"]
    assert (await private.data("positions"))["data"][0]["pos"] == "3"
    both = (await private.data("balance_and_position"))["data"][0]
    assert (both["eventType"], both["posData"][0]["pos"]) == ("filled", "3")
    # Locking funds for an order moves none.
    okx.place(SPOT)
    market = okx.exchange.market("futures", SWAP)
    okx.exchange.settle_funding(market, D("0.001"))
    okx.exchange.transfer(okx.main, "USDT", D(5), "unified", "funding")
    okx.exchange.adjust(okx.main, "unified", "BTC", D(1))
    okx.exchange.set_leverage(okx.main, SWAP, 5)
    okx.exchange.deleverage(okx.main, SWAP, D(1))
    okx.exchange.liquidate(okx.main, SWAP)
    causes = [(await private.data("balance_and_position"))["data"][0]["eventType"] for _ in range(6)]
    assert causes == ["funding_fee", "transferred", "transferred", "set_leverage", "adl", "liquidation"]


async def test_orders_of_a_kind(okx: Okx, private: Socket) -> None:
    """A subscription tells of its own kind and instrument alone, and of no other account."""
    await private.subscribe(channel="orders", instType="SWAP", instId=SWAP)
    okx.place(SPOT, client_order_id="S1")
    okx.place("ETH-USDT-SWAP", price=D(2_000), client_order_id="E1")
    okx.place(SWAP, account="other", client_order_id="X1")
    okx.place(SWAP, client_order_id="F1")
    message = await private.data("orders")
    assert message["arg"]["uid"]
    assert [row["clOrdId"] for row in message["data"]] == ["F1"]


async def test_amends_say_who_amended(okx: Okx, private: Socket) -> None:
    """An amend of the owner's has its request id and result, one of the exchange's own its source."""
    await private.subscribe(**ORDERS)
    order = {"instId": SWAP, "tdMode": "cross", "side": "sell", "ordType": "limit", "sz": "2", "px": "60000"}
    okx.buy(SWAP, "2")
    await private.say("order", {**order, "clOrdId": "R1", "reduceOnly": True}, id="1")
    await private.until(lambda m: m.get("id") == "1")
    await private.say(
        "amend-order", {"instId": SWAP, "clOrdId": "R1", "newPx": "61000", "reqId": "q1"}, id="2"
    )
    row = (await private.until(lambda m: "data" in m and m["data"][0].get("amendSource")))["data"][0]
    assert (row["reqId"], row["amendResult"], row["amendSource"], row["px"]) == ("q1", "0", "1", "61000")
    okx.buy(SWAP, "1", side="SELL")
    cut = (await private.until(lambda m: "data" in m and m["data"][0].get("amendSource")))["data"][0]
    assert (cut["clOrdId"], cut["sz"], cut["amendSource"], cut["amendResult"]) == ("R1", "1", "4", "")


async def test_batches_over_the_socket(okx: Okx, private: Socket) -> None:
    """Several orders in one message are answered in one, row by row."""
    order = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "40000"}
    await private.say("batch-orders", {**order, "clOrdId": "B1"}, {**order, "clOrdId": "B 2"}, id="1")
    answer = await private.until(lambda m: m.get("id") == "1")
    assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["0", "51000"])
    await private.say("batch-cancel-orders", {"instId": SPOT, "clOrdId": "B1"}, id="2")
    assert (await private.until(lambda m: m.get("id") == "2"))["code"] == "0"
    assert not okx.main.open
    await private.say("order", order, id="3", expTime="1597026383085")
    refused = await private.until(lambda m: m.get("id") == "3")
    assert (refused["event"], refused["code"]) == ("error", "50036")


def checksum(book: dict[str, dict[D, str]]) -> int:
    """OKX's checksum of a book, reckoned anew."""
    bids = [f"{price}:{size}" for price, size in sorted(book["bids"].items(), reverse=True)][:25]
    asks = [f"{price}:{size}" for price, size in sorted(book["asks"].items())][:25]
    parts: list[str] = []
    for number in range(25):
        parts += [side[number] for side in (bids, asks) if number < len(side)]
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >> 31 else found


async def test_books_follow_their_snapshot(okx: Okx, connect: Any) -> None:
    """Each change of a book follows upon the last, whenever the snapshot was taken, and its checksum is the book's."""
    socket = await connect("public")
    okx.place(price=D(49_900))
    await socket.subscribe(channel="books", instId=SPOT)
    book: dict[str, dict[D, str]] = {"bids": {}, "asks": {}}
    last = -1
    for number in range(5):
        message = await socket.data("books")
        (row,) = message["data"]
        assert message["action"] == ("update" if number else "snapshot")
        assert row["prevSeqId"] == last
        last = row["seqId"]
        for side, levels in book.items():
            for price, size, _, _ in row[side]:
                if size == "0":
                    levels.pop(D(price), None)
                else:
                    levels[D(price)] = size
        assert row["checksum"] == checksum(book)
        order = okx.place(price=D(49_000 + number))
        if number == 3:
            okx.exchange.cancel(okx.main, order)
            okx.buy(SPOT, "0.1")


async def test_public_channels(okx: Okx, connect: Any) -> None:
    """Every public channel begins with what stands, but trades, and tells of changes until it is left."""
    socket = await connect("public")
    for channel, field, value in (
        ("tickers", "last", "50000"),
        ("mark-price", "markPx", "50000"),
        ("funding-rate", "fundingRate", "0.0001"),
        ("bbo-tbt", "asks", None),
        ("books5", "bids", None),
    ):
        await socket.subscribe(channel=channel, instId=SWAP)
        (row,) = (await socket.data(channel))["data"]
        assert row[field] == value or len(row[field]) in (1, 5)
    await socket.subscribe(channel="trades", instId=SWAP)
    okx.buy(SWAP, "150")
    assert (await socket.data("trades"))["data"][0]["side"] == "buy"
    best = (await socket.data("bbo-tbt"))["data"][0]["asks"][0][0]
    assert D(best) == okx.exchange.market("futures", SWAP).book.best("SELL").price  # type: ignore[union-attr]
    okx.exchange.set_mark(okx.exchange.market("futures", SWAP), D(51_000))
    assert (await socket.data("mark-price"))["data"][0]["markPx"] == "51000"
    await socket.say("unsubscribe", {"channel": "trades", "instId": SWAP})
    await socket.until(lambda m: m.get("event") == "unsubscribe")
    okx.buy(SWAP, "1")
    seen = [(await socket.next())["arg"]["channel"] for _ in range(2)]
    assert "trades" not in seen
    business = await connect("business")
    await business.subscribe(channel="trades-all", instId=SPOT)
    okx.buy(SPOT, "0.01")
    assert (await business.data("trades-all"))["data"][0]["sz"] == "0.01"


async def test_connections_are_counted_and_cut(okx: Okx, connect: Any, private: Socket) -> None:
    """Private and public WebSockets are counted and cut apart, without a closing handshake."""
    public = await connect("public")
    await public.subscribe(channel="trades", instId=SPOT)
    assert okx.wire.connections() == {"user": 1, "market": 1}
    assert okx.wire.drop_websockets("user") == 1
    message = await private.socket.receive(timeout=3)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    await asyncio.sleep(0.05)
    assert okx.wire.connections() == {"user": 0, "market": 1}
    assert (await okx.session.get("https://www.okx.com/ws/v5/nowhere")).status == 404
