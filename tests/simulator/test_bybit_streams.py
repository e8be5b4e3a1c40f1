"""Bybit's sockets: log-in, subscriptions, pings, and what private and public topics say, in which shape."""

import asyncio
import hashlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.simulator.bybit import payloads
from tests.bybit import BTC, KEY, PRICE, SECRET, Bybit, running

ROOT = Path(__file__).parents[2]
WIRE = Path(os.environ.get("MEXOMS_SHARED", ROOT / ".." / "shared")) / "data" / "wire" / "bybit"


@pytest.fixture
async def bybit(tmp_path: Path) -> AsyncIterator[Bybit]:
    async with running(tmp_path) as bybit:
        yield bybit


@attrs.define
class Socket:
    """A socket that speaks JSON."""

    socket: Any

    async def ask(self, op: str, *args: Any, **more: Any) -> Any:
        """Send an operation and return the next message."""
        await self.socket.send_json({"op": op, "args": list(args), **more})
        return await self.get()

    async def get(self) -> Any:
        return await self.socket.receive_json(timeout=3)

    async def get_of(self, topic: str) -> Any:
        """The next message of a topic."""
        while (message := await self.get()).get("topic") != topic:
            pass
        return message

    async def log_in(self, *topics: str, key: str = KEY, secret: str = SECRET) -> None:
        assert (await self.ask("auth", *log_in(key, secret)))["success"]
        assert (await self.ask("subscribe", *topics))["success"]


def log_in(key: str = KEY, secret: str = SECRET, expires: int | None = None) -> list[Any]:
    """What logs in to the private stream."""
    expires = expires or int(time.time() * 1000) + 5_000
    signature = hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return [key, expires, signature]


@asynccontextmanager
async def connect(bybit: Bybit, path: str = "private") -> AsyncIterator[Socket]:
    async with bybit.session.ws_connect(f"wss://stream.bybit.com/v5/{path}") as socket:
        yield Socket(socket)


async def test_log_in(bybit: Bybit) -> None:
    """Only who signs, with a key that is known and before it expires, may subscribe to the private stream."""
    async with connect(bybit) as socket:
        refused = await socket.ask("subscribe", "order", req_id="1")
        assert (refused["success"], refused["ret_msg"], refused["req_id"]) == (
            False,
            "Request not authorized",
            "1",
        )
        late = log_in(expires=int(time.time() * 1000) - 1)
        for args in (log_in("nobody"), log_in(secret="wrong"), late, [KEY], ["x", "y", "z"]):
            answer = await socket.ask("auth", *args)
            assert (answer["op"], answer["success"]) == ("auth", False), args
        answer = await socket.ask("auth", *log_in())
        assert (answer["op"], answer["success"], answer["ret_msg"]) == ("auth", True, "")
        bad = await socket.ask("subscribe", "order", "nonsense")
        assert (bad["success"], "nonsense" in bad["ret_msg"]) == (False, True)
        good = await socket.ask("subscribe", "order", req_id="7")
        assert (good["success"], good["op"], good["req_id"]) == (True, "subscribe", "7")


async def test_pings(bybit: Bybit) -> None:
    """Pings are answered, on each stream in its own way; what is no operation is refused."""
    async with connect(bybit) as private, connect(bybit, "public/spot") as public:
        pong = await private.ask("ping", req_id="3")
        assert (pong["op"], pong["req_id"], len(pong["args"])) == ("pong", "3", 1)
        pong = await public.ask("ping", req_id="3")
        assert (pong["op"], pong["ret_msg"], pong["success"], pong["req_id"]) == ("ping", "pong", True, "3")
        for socket in (private, public):
            await socket.socket.send_str("no json")
            assert not (await socket.get())["success"]


async def test_an_order_and_its_trade(bybit: Bybit) -> None:
    """An order is told when it is made and each time it changes; a trade is told apart, before the order it changed."""
    async with connect(bybit) as socket:
        await socket.log_in("order", "execution", "wallet", "position")
        bybit.place("main", "futures", client_order_id="one", type="MARKET", price=D(0), quantity=D("0.01"))
        told = [await socket.get() for _ in range(5)]
        assert [message["topic"] for message in told] == ["order", "execution", "order", "position", "wallet"]
        new, trade, done, position, wallet = (message["data"][0] for message in told)
        assert (new["orderStatus"], new["orderLinkId"], new["category"]) == ("New", "one", "linear")
        assert (trade["execType"], trade["execQty"], trade["orderLinkId"]) == ("Trade", "0.01", "one")
        assert (done["orderStatus"], done["cumExecQty"], done["orderId"]) == (
            "Filled",
            "0.01",
            trade["orderId"],
        )
        assert (position["side"], position["size"], position["entryPrice"]) == (
            "Buy",
            "0.01",
            trade["execPrice"],
        )
        coins = {coin["coin"]: coin for coin in wallet["coin"]}
        assert D(coins["USDT"]["walletBalance"]) == bybit.balance("USDT").total
        listed = await bybit.ask("GET", "execution/list", category="linear", symbol=BTC)
        assert listed["list"][0] == {name: value for name, value in trade.items() if name != "category"}


async def test_topics_of_one_category(bybit: Bybit) -> None:
    """A topic of one category tells that category alone, and under its own name."""
    async with connect(bybit) as socket:
        await socket.log_in("order.linear", "execution.spot")
        bybit.place("main", "spot", type="MARKET", price=D(0))
        bybit.place("main", "futures")
        first, second = await socket.get(), await socket.get()
        assert (first["topic"], first["data"][0]["category"]) == ("execution.spot", "spot")
        assert (second["topic"], second["data"][0]["category"]) == ("order.linear", "linear")
        answer = await socket.ask("unsubscribe", "order.linear")
        assert (answer["op"], answer["success"]) == ("unsubscribe", True)
        bybit.place("main", "futures")
        assert (await socket.ask("ping"))["op"] == "pong"


async def test_accounts_hear_their_own(bybit: Bybit) -> None:
    """Nobody hears of another account's orders."""
    async with connect(bybit) as mine, connect(bybit) as theirs:
        await mine.log_in("order")
        await theirs.log_in("order", key="key-other", secret="secret-other")
        bybit.place("other", client_order_id="theirs")
        bybit.place("main", client_order_id="mine")
        for socket, name in ((mine, "mine"), (theirs, "theirs")):
            assert (await socket.get())["data"][0]["orderLinkId"] == name


async def test_funding_and_settings(bybit: Bybit) -> None:
    """Funding is an execution with what was paid as its fee; a new leverage is told by the position."""
    exchange = bybit.wire.exchange
    bybit.place("main", "futures", type="MARKET", price=D(0), quantity=D("0.01"))
    async with connect(bybit) as socket:
        await socket.log_in("execution", "wallet", "position")
        exchange.settle_funding(exchange.market("futures", BTC), D("0.001"))
        funding = (await socket.get_of("execution"))["data"][0]
        assert (funding["execType"], funding["execFee"], funding["feeCurrency"]) == ("Funding", "0.5", "USDT")
        await socket.get_of("wallet")
        exchange.set_leverage(bybit.main, BTC, 3)
        assert (await socket.get_of("position"))["data"][0]["leverage"] == "3"


async def test_ends_say_why(bybit: Bybit) -> None:
    """Each way in which an order ends has its status, reject reason and cancel type."""
    low = {"quantity": D("0.01"), "client_order_id": "x"}
    ended: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
        "ioc": ({"time_in_force": "IOC"}, ("Cancelled", "EC_NoImmediateQtyToFill", "UNKNOWN")),
        "fok": ({"time_in_force": "FOK"}, ("Cancelled", "EC_NoEnoughQtyToFill", "UNKNOWN")),
        "post": (
            {"post_only": True, "price": PRICE + 100},
            ("Cancelled", "EC_PostOnlyWillTakeLiquidity", "UNKNOWN"),
        ),
    }
    async with connect(bybit) as socket:
        await socket.log_in("order")
        for market in ("spot", "futures"):
            for name, (fields, words) in ended.items():
                bybit.place("main", market, **{**low, "client_order_id": f"{name}{market}", **fields})
                assert (await socket.get())["data"][0]["orderStatus"] == "New"
                row = (await socket.get())["data"][0]
                assert (row["orderStatus"], row["rejectReason"], row["cancelType"]) == words
            order = bybit.place("main", market, price=PRICE - 50, quantity=D("0.01"))
            bybit.hit(order, "0.004")
            bybit.wire.exchange.cancel(bybit.main, order)
            *_, row = [(await socket.get())["data"][0] for _ in range(3)]
            status = "PartiallyFilledCanceled" if market == "spot" else "Cancelled"
            assert (row["orderStatus"], row["rejectReason"], row["cancelType"]) == (
                status,
                "EC_PerCancelRequest",
                "CancelByUser",
            )
        stop = bybit.place(
            "main", "futures", type="STOP_LOSS", price=D(0), stop_price=D(51_000), client_order_id="stop"
        )
        assert (await socket.get())["data"][0]["orderStatus"] == "Untriggered"
        bybit.wire.exchange.cancel(bybit.main, stop)
        assert (await socket.get())["data"][0]["orderStatus"] == "Deactivated"


async def test_the_exchanges_own_orders(bybit: Bybit) -> None:
    """A liquidation and a deleveraging say so, in order and execution, and have no client id."""
    exchange = bybit.wire.exchange
    async with connect(bybit) as socket:
        await socket.log_in("order", "execution")
        for kind, executed, created in (
            ("adl", "AdlTrade", "CreateByAdl_PassThrough"),
            ("bust", "BustTrade", "CreateByTakeOver_PassThrough"),
        ):
            bybit.place("main", "futures", type="MARKET", price=D(0), quantity=D("0.01"))
            if kind == "adl":
                exchange.deleverage(bybit.main, BTC, D("0.01"))
            else:
                exchange.liquidate(bybit.main, BTC)
            while (message := await socket.get())["data"][0]["createType"] != created:
                pass
            while (message := await socket.get())["topic"] != "execution":
                pass
            row = message["data"][0]
            assert (row["execType"], row["orderLinkId"], row["side"]) == (executed, "", "Sell")


@pytest.mark.parametrize("category, market", [("spot", "spot"), ("linear", "futures")])
async def test_books(bybit: Bybit, category: str, market: str) -> None:
    """A book is a snapshot and then differences that keep it what the exchange's is, to each depth."""
    book = bybit.wire.exchange.market(market, BTC).book
    async with connect(bybit, f"public/{category}") as socket:
        assert (await socket.ask("subscribe", f"orderbook.1.{BTC}", f"orderbook.50.{BTC}"))["success"]
        kept: dict[str, dict[str, dict[D, D]]] = {}
        last: dict[str, int] = {}
        for round_number in range(4):
            for _ in range(2):
                message = await socket.get()
                topic, data = message["topic"], message["data"]
                if message["type"] == "snapshot":
                    kept[topic] = {"b": {}, "a": {}}
                else:
                    assert data["u"] == last[topic] + 1
                last[topic] = data["u"]
                for side in ("b", "a"):
                    for price, quantity in data[side]:
                        kept[topic][side][D(price)] = D(quantity)
                        if not D(quantity):
                            del kept[topic][side][D(price)]
            for topic, depth in ((f"orderbook.1.{BTC}", 1), (f"orderbook.50.{BTC}", 50)):
                for side, name in (("b", "BUY"), ("a", "SELL")):
                    there = [(level.price, level.quantity) for level in book.levels(name)][:depth]
                    assert kept[topic][side] == dict(there), round_number
            bybit.wire.driver.step()


async def test_tickers_and_trades(bybit: Bybit) -> None:
    """A perpetual's ticker is a snapshot and what changes; spot's is whole each time; trades say who took."""
    async with connect(bybit, "public/linear") as linear, connect(bybit, "public/spot") as spot:
        for socket in (linear, spot):
            assert (await socket.ask("subscribe", f"tickers.{BTC}", f"publicTrade.{BTC}"))["success"]
        first = await linear.get()
        assert (first["type"], first["data"]["markPrice"]) == ("snapshot", "50000")
        assert (await spot.get())["data"]["usdIndexPrice"] == "50000"
        bybit.wire.driver.set_price(BTC, D(50_100), "futures")
        trade = (await linear.get_of(f"publicTrade.{BTC}"))["data"][0]
        assert (trade["p"], trade["S"] in ("Buy", "Sell"), trade["s"]) == ("50100", True, BTC)
        delta = await linear.get_of(f"tickers.{BTC}")
        assert (delta["type"], delta["data"]["markPrice"]) == ("delta", "50100")
        assert "volume24h" in delta["data"]
        assert "openInterest" not in delta["data"]
        bybit.place("other", "spot", type="MARKET", price=D(0))
        trade = (await spot.get_of(f"publicTrade.{BTC}"))["data"][0]
        assert (trade["S"], trade["v"]) == ("Buy", "0.001")
        whole = await spot.get_of(f"tickers.{BTC}")
        assert (whole["type"], set(whole["data"])) == ("snapshot", set(whole["data"]))


async def test_public_subscriptions(bybit: Bybit) -> None:
    """Topics that are none are refused, spot takes ten at once, and what is unsubscribed is heard no more."""
    async with connect(bybit, "public/spot") as socket:
        for topics in ([f"orderbook.7.{BTC}"], ["tickers.NOPE"], ["nonsense"], [], ["tickers.BTCUSDT"] * 11):
            assert not (await socket.ask("subscribe", *topics))["success"], topics
        assert (await socket.ask("subscribe", f"publicTrade.{BTC}"))["success"]
        assert (await socket.ask("unsubscribe", f"publicTrade.{BTC}"))["success"]
        bybit.place("other", "spot", type="MARKET", price=D(0))
        await asyncio.sleep(0.05)
        assert (await socket.ask("ping"))["ret_msg"] == "pong"


async def test_connections_are_counted_and_cut(bybit: Bybit) -> None:
    """The sockets of each kind are counted, and can be cut."""
    async with connect(bybit) as private, connect(bybit, "public/spot") as public:
        await private.ask("ping")
        await public.ask("ping")
        assert bybit.wire.connections() == {"user": 1, "market": 1}
        assert bybit.wire.drop_websockets("user") == 1
        assert (await private.socket.receive(timeout=3)).type.name in ("CLOSED", "CLOSE", "ERROR", "CLOSING")
        assert (await public.ask("ping"))["success"]
        assert bybit.wire.drop_websockets("all") >= 1


def fields_of(value: Any) -> Any:
    """Names and kinds of what a payload has; of a list, of its first row."""
    if isinstance(value, dict):
        return {name: fields_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [fields_of(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize(
    "name, less",
    [
        ("http_get_orders_realtime", {"orderIv", "blockTradeId", "avgPrice"}),
        ("http_get_executions", set()),
        ("http_get_positions", set()),
        ("ws_account_order", set()),
        ("ws_account_execution", set()),
        ("ws_account_position", {"positionIMByMp", "positionMMByMp"}),
    ],
)
async def test_rows_are_of_the_captured_shape(bybit: Bybit, name: str, less: set[str]) -> None:
    """Rows have every field that captured ones have, of the same kind."""
    path = WIRE / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no captured payload {path}: set MEXOMS_SHARED to where the shared data is")
    captured = json.loads(path.read_text())
    row = (captured["data"] if name.startswith("ws") else captured["result"]["list"])[0]
    exchange = bybit.wire.exchange
    order = bybit.place("main", "futures", type="MARKET", price=D(0), quantity=D("0.01"))
    streamed = name.startswith("ws")
    ours: dict[str, Any] = {
        "orders": payloads.order_row(order),
        "order": payloads.order_row(order),
        "executions": payloads.execution_row(order, order.fills[0]),
        "execution": payloads.execution_row(order, order.fills[0]),
        "positions": payloads.position_row(exchange, bybit.main, bybit.main.positions[BTC]),
        "position": payloads.position_row(exchange, bybit.main, bybit.main.positions[BTC], streamed=True),
    }[next(word for word in name.split("_") if word.startswith(("order", "exec", "pos")))]
    if streamed:
        ours = {"category": "linear", **ours}
    wanted = {field: kind for field, kind in fields_of(row).items() if field not in less}
    missing = wanted.keys() - ours.keys()
    assert not missing
    assert {field: fields_of(ours[field]) for field in wanted} == wanted
