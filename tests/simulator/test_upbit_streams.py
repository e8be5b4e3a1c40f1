"""What Upbit's WebSockets take and tell."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from oms.simulator.upbit.payloads import order_uuid, trade_uuid
from tests.upbit import BTC, OTHER_KEY, OTHER_SECRET, PRICE, Upbit, new, running, send, token

PUBLIC, PRIVATE = "wss://api.upbit.com/websocket/v1", "wss://api.upbit.com/websocket/v1/private"


class Stream:
    """A socket that speaks JSON in binary frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, *parts: dict[str, Any]) -> None:
        await self.socket.send_json([{"ticket": "test"}, *parts])

    async def next(self) -> Any:
        return msgspec.json.decode(await self.socket.receive_bytes(timeout=5))

    async def events(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def silent(self) -> bool:
        """Whether nothing comes for a moment."""
        try:
            await self.socket.receive_bytes(timeout=0.15)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path) as upbit:
        yield upbit


@pytest.fixture
async def public(upbit: Upbit) -> AsyncIterator[Stream]:
    async with upbit.session.ws_connect(PUBLIC) as socket:
        yield Stream(socket)


@pytest.fixture
async def private(upbit: Upbit) -> AsyncIterator[Stream]:
    """Of the account ``main``, told of orders and funds."""
    async with upbit.session.ws_connect(PRIVATE, headers={"Authorization": f"Bearer {token()}"}) as socket:
        stream = Stream(socket)
        await stream.ask({"type": "myOrder"}, {"type": "myAsset"})
        await stream.ask({"method": "LIST_SUBSCRIPTIONS"})
        listed = await stream.next()
        assert [each["type"] for each in listed["result"]] == ["myOrder", "myAsset"]
        yield stream


async def test_requests_that_are_wrong(upbit: Upbit, public: Stream, private: Stream) -> None:
    """What is no request, has no ticket, no type, a wrong one or no market is answered with the error's name."""
    for text, name in (
        ("{}", "WRONG_FORMAT"),
        ("nonsense", "WRONG_FORMAT"),
        ('[{"type":"ticker","codes":["KRW-BTC"]}]', "NO_TICKET"),
        ('[{"ticket":"t"}]', "NO_TYPE"),
        ('[{"ticket":"t"},{"type":"ticker"}]', "NO_CODES"),
        ('[{"ticket":"t"},{"type":"myOrder"}]', "INVALID_PARAM"),
        ('[{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"format":"SIMPLE"}]', "WRONG_FORMAT"),
    ):
        await public.socket.send_str(text)
        assert (await public.next())["error"]["name"] == name, text
    await private.ask({"type": "ticker", "codes": [BTC]})
    assert (await private.next())["error"]["name"] == "INVALID_PARAM"


async def test_book_is_whole_at_first_and_whenever_it_changes(upbit: Upbit, public: Stream) -> None:
    """A book comes as a snapshot and again, whole, when it changed; one that did not change is not repeated."""
    await public.ask({"type": "orderbook", "codes": [BTC]})
    book = await public.next()
    assert (book["code"], book["stream_type"]) == (BTC, "SNAPSHOT")
    assert book["orderbook_units"][0]["bid_price"] < PRICE < book["orderbook_units"][0]["ask_price"]
    while not await public.silent():
        continue
    upbit.place("other", price=PRICE - 1000, quantity=Decimal("0.123"))
    book = await public.next()
    assert book["stream_type"] == "REALTIME"
    assert book["orderbook_units"][0]["bid_size"] == pytest.approx(0.123, abs=1)


async def test_trades_and_tickers(upbit: Upbit, public: Stream) -> None:
    """A trade is told with the taker's side, and the ticker with it; what is only wanted as it happens has no snapshot."""
    wanted = {"codes": [BTC], "isOnlyRealtime": True}
    await public.ask({"type": "trade", **wanted}, {"type": "ticker", **wanted})
    await public.ask({"method": "LIST_SUBSCRIPTIONS"})
    await public.next()
    upbit.place("other", side="SELL", type="MARKET", quantity=Decimal("0.01"), price=Decimal(0))
    trade, ticker = await public.events(2)
    assert (trade["type"], trade["ask_bid"], trade["trade_volume"]) == ("trade", "ASK", 0.01)
    assert (ticker["type"], ticker["trade_price"]) == ("ticker", trade["trade_price"])
    assert len(str(trade["sequential_id"])) == 17
    status, rows, _ = await send(upbit, "GET", "trades/ticks", bearer=None, market=BTC, count=1)
    assert (status, rows[0]["sequential_id"]) == (200, trade["sequential_id"])


async def test_snapshot_alone_and_lists(upbit: Upbit, public: Stream) -> None:
    """A snapshot may be all that is wanted, and messages may be wanted as arrays; a new request replaces the last."""
    await public.ask({"type": "ticker", "codes": [BTC], "is_only_snapshot": True}, {"format": "JSON_LIST"})
    ((ticker,),) = await public.events(1)
    assert ticker["stream_type"] == "SNAPSHOT"
    upbit.place("other", side="SELL", type="MARKET", quantity=Decimal("0.01"), price=Decimal(0))
    assert await public.silent()
    await public.ask({"type": "trade", "codes": ["KRW-ETH"]})
    assert await public.silent()


async def test_life_of_an_order(upbit: Upbit, private: Stream) -> None:
    """Taken, traded twice, canceled: each is told, with the figures of the trade in state trade and of the order otherwise."""
    status, made, _ = await new(upbit, identifier="life", price=str(PRICE))
    assert status == 201
    told, funds = await private.events(2)
    assert (told["state"], told["uuid"], told["identifier"]) == ("wait", made["uuid"], "life")
    assert (told["volume"], told["remaining_volume"], told["price"]) == (0.001, 0.001, 70_000_000)
    assert [(each["currency"], each["locked"]) for each in funds["assets"]] == [("KRW", 70_035)]
    for quantity in ("0.0004", "0.0001"):
        upbit.place("other", side="SELL", price=PRICE, quantity=Decimal(quantity))
    events = [event for event in await private.events(4) if event["type"] == "myOrder"]
    assert [event["state"] for event in events] == ["trade", "trade"]
    assert [(event["volume"], event["executed_volume"], event["remaining_volume"]) for event in events] == [
        (0.0004, 0.0004, 0.0006),
        (0.0001, 0.0005, 0.0005),
    ]
    assert [(event["is_maker"], event["trade_fee"]) for event in events] == [(True, 14.0), (True, 3.5)]
    await send(upbit, "DELETE", "order", identifier="life")
    canceled, _ = await private.events(2)
    assert (canceled["state"], canceled["volume"], canceled["executed_volume"]) == ("cancel", 0.001, 0.0005)


async def test_filled_order_says_done(upbit: Upbit, private: Stream) -> None:
    """An order that fills at once is told as taken, traded and done, and its fee is the trade's."""
    _, made, _ = await new(upbit, price="71000000", volume="0.01")
    assert made["state"] == "wait"
    events = [event for event in await private.events(4) if event["type"] == "myOrder"]
    assert [event["state"] for event in events] == ["wait", "trade", "done"]
    trade, done = events[1:]
    (fill,) = upbit.wire.exchange.fills(upbit.main, "spot", BTC)
    assert trade["trade_uuid"] == trade_uuid(BTC, fill.trade_id)
    assert (trade["price"], trade["volume"], trade["is_maker"]) == (float(fill.price), 0.01, False)
    assert trade["trade_fee"] == trade["paid_fee"] == float(fill.commission)
    assert (done["volume"], done["executed_volume"], done["trade_fee"]) == (0.01, 0.01, None)


async def test_cancel_is_told_when_it_has_happened(upbit: Upbit, private: Stream) -> None:
    """The answer to a cancel says wait; the stream says cancel, once it is one."""
    order = upbit.place("main")
    await private.events(2)
    status, answer, _ = await send(upbit, "DELETE", "order", uuid=order_uuid(order.order_id))
    assert (status, answer["state"]) == (200, "wait")
    told, funds = await private.events(2)
    assert (told["state"], told["executed_volume"]) == ("cancel", 0)
    assert funds["assets"][0]["locked"] == 0


async def test_cancel_that_comes_too_late(upbit: Upbit, private: Stream) -> None:
    """An order that fills between a cancel and its effect is filled, and never canceled."""
    upbit.wire.cancel_delay_s = 0.1
    order = upbit.place("main")
    assert (await send(upbit, "DELETE", "order", uuid=order_uuid(order.order_id)))[0] == 200
    upbit.wire.driver.set_price(BTC, PRICE - 2 * 10**6)
    await asyncio.sleep(0.2)
    assert order.status == "FILLED"
    states = [event["state"] for event in await private.events(5) if event["type"] == "myOrder"]
    assert states == ["wait", "trade", "done"]


async def test_nobody_hears_of_others(upbit: Upbit, private: Stream) -> None:
    """Orders and funds are told to their account alone."""
    upbit.place("other")
    upbit.wire.exchange.adjust(upbit.other, "spot", "KRW", Decimal(5))
    assert await private.silent()
    headers = {"Authorization": f"Bearer {token(key=OTHER_KEY, secret=OTHER_SECRET)}"}
    async with upbit.session.ws_connect(PRIVATE, headers=headers) as socket:
        stream = Stream(socket)
        await stream.ask({"type": "myOrder", "codes": ["KRW-ETH"]}, {"type": "myAsset"})
        await stream.ask({"method": "LIST_SUBSCRIPTIONS"})
        await stream.next()
        upbit.place("other")
        assert (await stream.next())["type"] == "myAsset"
        assert await stream.silent()


async def test_deposit_is_told(upbit: Upbit, private: Stream) -> None:
    """Funds that come from outside are told as what is there now."""
    upbit.wire.exchange.adjust(upbit.main, "spot", "BTC", Decimal("0.5"))
    told = await private.next()
    assert told["assets"] == [{"currency": "BTC", "balance": 5.5, "locked": 0}]


async def test_sockets_can_be_cut(upbit: Upbit, public: Stream, private: Stream) -> None:
    """All of a kind are cut without a closing handshake."""
    assert upbit.wire.connections() == {"user": 1, "market": 1}
    assert upbit.simulator.drop_websockets("upbit", "user") == 1
    assert (await private.socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSED
    assert upbit.simulator.drop_websockets("upbit", "all") == 1
