"""Faults of the simulated OKX: at every stage of a request and of a report, switched on while it runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oms.simulator.client import ControlClient
from tests.okx import NEW, PASSPHRASE, SPOT, WS, Okx, new, running, send, sign

ORDER = "POST /api/v5/trade/order"
CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientOSError)


@pytest.fixture
async def okx(tmp_path: Path) -> AsyncIterator[Okx]:
    """The simulator."""
    async with running(tmp_path) as okx:
        yield okx


@pytest.fixture
async def private(okx: Okx) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A private WebSocket that hears of every order."""
    async with okx.session.ws_connect(f"{WS}/private") as socket:
        await login(socket)
        await socket.send_json({"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]})
        for _ in range(2):
            await socket.receive_json(timeout=3)
        yield socket


async def login(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Log in as ``main``."""
    now = str(int(time.time()))
    given = {"apiKey": "key-of-main", "passphrase": PASSPHRASE, "timestamp": now}
    await socket.send_json({"op": "login", "args": [{**given, "sign": sign(now + "GET/users/self/verify")}]})
    assert (await socket.receive_json(timeout=3))["event"] == "login"


@pytest.mark.parametrize(
    "fault, done", [("drop_request", 0), ("lost_reply", 1), ("hang", 1), ("truncated_reply", 1)]
)
async def test_connections_that_break(okx: Okx, fault: str, done: int) -> None:
    """A connection may break before anything is done or after; then the order is there."""
    okx.fault(fault, ORDER, delay_ms=10)
    with pytest.raises(CUT):
        await send(okx, "POST", "trade/order", NEW)
    assert len(okx.main.open) == done
    assert (await new(okx))["sCode"] == "0"


@pytest.mark.parametrize(
    "fault, done, status, code",
    [
        ("server_error_before", 0, 502, None),
        ("server_error_after", 1, 503, None),
        ("rate_limited", 0, 429, "50011"),
        ("banned", 0, 429, "50011"),
        ("timeout_1007", 1, 400, "50004"),
    ],
)
async def test_answers_that_are_none(okx: Okx, fault: str, done: int, status: int, code: str | None) -> None:
    """Gateways' pages and the exchange's own errors come before or after what was asked was done."""
    fields: dict[str, Any] = {"status": status} if status >= 500 else {}
    okx.fault(fault, ORDER, **fields)
    got, answer = await send(okx, "POST", "trade/order", NEW)
    assert got == status
    assert (answer["code"] if code else answer[:6]) == (code or "<html>")
    assert len(okx.main.open) == done


async def test_a_late_answer(okx: Okx) -> None:
    """A reply may come late."""
    okx.fault("delay_reply", ORDER, delay_ms=80)
    started = asyncio.get_running_loop().time()
    assert (await new(okx))["sCode"] == "0"
    assert asyncio.get_running_loop().time() - started > 0.07


async def test_what_is_refused_loses_no_reply(okx: Okx) -> None:
    """A fault after acceptance waits for an order that is accepted, and strikes one endpoint alone."""
    okx.fault("lost_reply", ORDER)
    assert (await new(okx, sz="0.000000001"))["sCode"] == "51020"
    assert (await send(okx, "GET", "account/config"))[0] == 200
    with pytest.raises(CUT):
        await send(okx, "POST", "trade/order", NEW)


async def states(private: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    """What the next messages say of orders."""
    found = []
    for _ in range(count):
        row = (await private.receive_json(timeout=3))["data"][0]
        found.append(f"{row['clOrdId']} {row['state']}")
    return found


async def test_reports_twice_late_and_never(okx: Okx, private: aiohttp.ClientWebSocketResponse) -> None:
    """Order messages come twice, late, in another order, or never, as the rules say of what they tell."""
    okx.fault("duplicate_report", "NEW")
    okx.place(SPOT, client_order_id="A1")
    assert await states(private, 2) == ["A1 live"] * 2
    okx.fault("drop_report", "orders")
    okx.place(SPOT, client_order_id="A2")
    okx.fault("delay_report", "NEW", delay_ms=80)
    okx.place(SPOT, client_order_id="A3")
    okx.place(SPOT, client_order_id="A4")
    assert await states(private, 2) == ["A4 live", "A3 live"]
    okx.fault("reorder_report", "NEW", delay_ms=5_000)
    okx.buy(SPOT, "0.01")
    first, second = await states(private, 2)
    assert (first.strip(), second.strip()) == ("filled", "live")


async def test_orders_over_the_socket(okx: Okx, private: aiohttp.ClientWebSocketResponse) -> None:
    """An order over the socket may be throttled, of unknown outcome, or take the connection with it."""

    async def ask(number: str) -> Any:
        await private.send_json({"op": "order", "id": number, "args": [{**NEW, "clOrdId": f"W{number}"}]})
        while True:
            message = await private.receive_json(timeout=3)
            if message.get("id") == number:
                return message

    okx.fault("rate_limited", "order")
    assert (await ask("1"))["code"] == "50011"
    okx.fault("timeout_1007", "order")
    assert (await ask("2"))["code"] == "50004"
    okx.fault("delay_reply", "order", delay_ms=20)
    assert (await ask("3"))["code"] == "0"
    okx.fault("lost_reply", "order")
    with pytest.raises(TypeError):
        await ask("4")
    assert sorted(order.client_order_id for order in okx.main.open.values()) == ["W2", "W3", "W4"]


async def test_upgrades_that_are_refused(okx: Okx) -> None:
    """A WebSocket may be refused, and is had again afterwards."""
    okx.fault("refuse_websocket", "/ws/v5/public")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await okx.session.ws_connect(f"{WS}/public")
    async with okx.session.ws_connect(f"{WS}/public") as socket:
        await socket.send_str("ping")
        assert await socket.receive_str(timeout=3) == "pong"


async def test_faults_are_switched_while_it_runs(okx: Okx, tmp_path: Path) -> None:
    """The control API switches OKX's faults on and off, and does to it what an operator can."""
    async with ControlClient(tmp_path / "ca.pem", okx.simulator.port, "okx") as control:
        await control.add_fault("server_error_before", endpoint=ORDER)
        assert (await send(okx, "POST", "trade/order", NEW))[0] == 502
        await control.clear_faults()
        assert (await new(okx))["sCode"] == "0"
        assert (await control.state())["user_connections"] == 0
