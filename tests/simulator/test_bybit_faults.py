"""Each fault does to a client of Bybit what it says, and the order is booked exactly when it says so."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from oms.simulator.client import ControlClient
from tests.bybit import BTC, KEY, SECRET, Bybit, running
from tests.simulator.test_bybit_streams import Socket, connect

CREATE = "POST /v5/order/create"
LIMIT: dict[str, Any] = {
    "category": "spot",
    "symbol": BTC,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "49000",
}

# What ccxt makes of each fault of a request, and whether the order exists afterwards.
FAULTS = [
    ("drop_request", ccxt.ExchangeNotAvailable, False),
    ("rate_limited", ccxt.RateLimitExceeded, False),
    ("banned", ccxt.RateLimitExceeded, False),
    ("server_error_before", ccxt.ExchangeNotAvailable, False),
    ("lost_reply", ccxt.ExchangeNotAvailable, True),
    ("truncated_reply", ccxt.ExchangeError, True),
    ("server_error_after", ccxt.ExchangeNotAvailable, True),
    ("timeout_1007", ccxt.ExchangeError, True),
    ("hang", ccxt.RequestTimeout, True),
]


@pytest.fixture
async def bybit(tmp_path: Path) -> AsyncIterator[Bybit]:
    async with running(tmp_path) as bybit:
        yield bybit


@pytest.mark.parametrize("kind, error, booked", FAULTS)
async def test_request_faults(bybit: Bybit, kind: str, error: type[Exception], booked: bool) -> None:
    """The client sees the failure once, the next request succeeds, and the truth says whether the order exists."""
    client = bybit.ccxt("linear")
    await client.load_markets()
    client.timeout = 300
    bybit.fault(kind, CREATE, delay_ms=600)
    order = ("BTC/USDT:USDT", "limit", "buy", "0.01", "49000")
    with pytest.raises(error):
        await client.create_order(*order, {"clientOrderId": "first"})
    client.timeout = 5_000
    await client.create_order(*order, {"clientOrderId": "second"})
    found = {order.client_order_id for order in bybit.main.all_orders()}
    assert found == ({"first", "second"} if booked else {"second"})
    await client.close()


async def test_how_faults_look(bybit: Bybit) -> None:
    """Throttles name the time, a ban is a 403 without JSON, a gateway speaks HTML, and a timeout has the exchange's code."""
    bybit.fault("rate_limited", retry_after_s=7)
    assert await bybit.code("POST", "order/create", **LIMIT) == 10006
    reset = int(bybit.headers["x-bapi-limit-reset-timestamp"]) - time.time() * 1000
    assert 6_000 < reset <= 7_000
    bybit.fault("banned")
    assert await bybit.send("POST", "order/create", **LIMIT) == (403, "403, access too frequent")
    bybit.fault("server_error_before", status=503)
    status, text = await bybit.send("POST", "order/create", **LIMIT)
    assert (status, text.startswith("<html>")) == (503, True)
    assert not bybit.main.open
    bybit.fault("timeout_1007")
    assert await bybit.code("POST", "order/create", **LIMIT) == 10000
    assert len(bybit.main.open) == 1


async def test_faults_after_wait_for_what_succeeds(bybit: Bybit) -> None:
    """A fault after the effect is not spent on a request that is refused, nor on another endpoint."""
    bybit.fault("lost_reply", CREATE)
    assert await bybit.code("POST", "order/create", **{**LIMIT, "qty": "0"}) == 10001
    assert await bybit.code("GET", "order/realtime", category="spot") == 0
    with pytest.raises(aiohttp.ClientError):
        await bybit.send("POST", "order/create", **LIMIT)
    assert len(bybit.main.open) == 1


async def test_delayed_replies(bybit: Bybit) -> None:
    """A delayed reply is whole and late; the order is there before it."""
    bybit.fault("delay_reply", CREATE, delay_ms=150)
    asking = asyncio.create_task(bybit.code("POST", "order/create", **LIMIT))
    await asyncio.sleep(0.08)
    assert len(bybit.main.open) == 1
    assert not asking.done()
    assert await asking == 0


async def reports(socket: Socket) -> list[str]:
    """Statuses of orders and kinds of executions, as they come, until a ping is answered."""
    await asyncio.sleep(0.12)
    await socket.socket.send_json({"op": "ping"})
    told = []
    while (message := await socket.get()).get("op") != "pong":
        row = message["data"][0]
        told.append(row.get("orderStatus") or row["execType"])
    return told


@pytest.mark.parametrize(
    "kind, label, expected",
    [
        ("drop_report", "execution", ["New", "Filled"]),
        ("drop_report", "TRADE", ["New", "Filled"]),
        ("drop_report", "NEW", ["Trade", "Filled"]),
        ("duplicate_report", "execution", ["New", "Trade", "Trade", "Filled"]),
        ("delay_report", "execution", ["New", "Filled", "Trade"]),
        ("reorder_report", "execution", ["New", "Filled", "Trade"]),
        ("reorder_report", "NEW", ["Trade", "New", "Filled"]),
    ],
)
async def test_reports(bybit: Bybit, kind: str, label: str, expected: list[str]) -> None:
    """Orders and executions are lost, late, twice or out of order as the fault says, by topic or by what they tell."""
    async with connect(bybit) as socket:
        await socket.log_in("order", "execution")
        bybit.fault(kind, label, delay_ms=50)
        bybit.place("main", type="MARKET", price=D(0))
        assert await reports(socket) == expected


async def test_sockets(bybit: Bybit) -> None:
    """An upgrade is refused by path, and a socket that is cut is gone without a word."""
    bybit.fault("refuse_websocket", "/v5/private")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(bybit):
            pass
    assert refused.value.status == 503
    async with connect(bybit, "public/linear") as socket:
        await socket.ask("ping")
        bybit.wire.drop_websockets("market")
        assert (await socket.socket.receive(timeout=3)).type.name in ("CLOSED", "CLOSE", "ERROR", "CLOSING")


async def test_control(bybit: Bybit) -> None:
    """The control API of this exchange switches faults, moves its markets and shows the truth."""
    assert bybit.simulator.ca_path is not None
    async with ControlClient(bybit.simulator.ca_path, bybit.simulator.port, "bybit") as control:
        await control.add_fault("lost_reply", count=1, endpoint=CREATE)
        with pytest.raises(aiohttp.ClientError):
            await bybit.send("POST", "order/create", orderLinkId="lost", **LIMIT)
        [order] = await control.orders(account="main", market="spot")
        assert (order["client_order_id"], order["status"]) == ("lost", "NEW")
        await control.place("main", market="futures", symbol=BTC, side="BUY", type="MARKET", quantity="0.01")
        await control.set_mark(BTC, "49000")
        await control.settle_funding(BTC, rate="0.001")
        await control.liquidate("main", BTC)
    assert bybit.main.positions[BTC].quantity == 0
    executions = (await bybit.ask("GET", "execution/list", category="linear"))["list"]
    assert [row["execType"] for row in executions] == ["BustTrade", "Funding", "Trade"]


async def test_seeded(tmp_path: Path) -> None:
    """The same seed brings the same faults."""
    outcomes = []
    for run in range(2):
        (tmp_path / str(run)).mkdir()
        async with running(tmp_path / str(run)) as bybit:
            bybit.fault("timeout_1007", CREATE, count=None, probability_percent=50)
            outcomes.append([await bybit.code("POST", "order/create", **LIMIT) for _ in range(12)])
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {0, 10000}
    assert (KEY, SECRET) == ("key-main", "secret-main")
