"""Faults at Upbit's wire: what is done, what is answered, what is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from oms.simulator.client import ControlClient
from tests.upbit import Upbit, new, running, token

POST = "POST /v1/orders"


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path) as upbit:
        yield upbit


@pytest.mark.parametrize(
    "kind, status", [("rate_limited", 429), ("banned", 418), ("server_error_before", 503)]
)
async def test_refused_before_anything_is_done(upbit: Upbit, kind: str, status: int) -> None:
    """The answer is the fault's, and nothing has happened."""
    upbit.fault(kind, POST, status=503, retry_after_s=7)
    found, _, headers = await new(upbit, identifier="one")
    assert found == status
    if status != 503:
        assert headers["Retry-After"] == "7"
    assert not upbit.main.open
    assert (await new(upbit, identifier="one"))[0] == 201


@pytest.mark.parametrize(
    "kind, done", [("drop_request", 0), ("lost_reply", 1), ("hang", 1), ("truncated_reply", 1)]
)
async def test_answer_that_never_comes(upbit: Upbit, kind: str, done: int) -> None:
    """The connection breaks; whether the order stands depends on when."""
    upbit.fault(kind, POST, delay_ms=50)
    with pytest.raises(aiohttp.ClientError):
        await new(upbit)
    assert len(upbit.main.open) == done


@pytest.mark.parametrize("kind", ["server_error_after", "timeout_1007"])
async def test_error_after_it_is_done(upbit: Upbit, kind: str) -> None:
    """The exchange says that it failed, and the order stands."""
    upbit.fault(kind, POST)
    assert (await new(upbit))[0] >= 500
    assert len(upbit.main.open) == 1


async def test_late_answer(upbit: Upbit) -> None:
    """The order stands before its answer comes."""
    upbit.fault("delay_reply", POST, delay_ms=200)
    answering = asyncio.create_task(new(upbit))
    await asyncio.sleep(0.1)
    assert len(upbit.main.open) == 1
    assert not answering.done()
    assert (await answering)[0] == 201


@pytest.mark.parametrize(
    "kind, told",
    [
        ("duplicate_report", ["wait", "wait", "trade", "done"]),
        ("drop_report", ["trade", "done"]),
        ("reorder_report", ["trade", "wait", "done"]),
        ("delay_report", ["trade", "done", "wait"]),
    ],
)
async def test_reports_that_go_astray(upbit: Upbit, kind: str, told: list[str]) -> None:
    """Reports of orders come twice, never, in another order, or late."""
    headers = {"Authorization": f"Bearer {token()}"}
    async with upbit.session.ws_connect(
        "wss://api.upbit.com/websocket/v1/private", headers=headers
    ) as socket:
        await socket.send_json([{"ticket": "t"}, {"type": "myOrder"}])
        await socket.send_json([{"ticket": "t"}, {"method": "LIST_SUBSCRIPTIONS"}])
        await socket.receive_bytes(timeout=5)
        upbit.fault(kind, "wait", delay_ms=100)
        await new(upbit, price="71000000")
        for state in told:
            assert msgspec.json.decode(await socket.receive_bytes(timeout=5))["state"] == state


async def test_socket_that_is_refused(upbit: Upbit) -> None:
    """A fault may refuse the private stream and leave the other."""
    upbit.fault("refuse_websocket", "/websocket/v1/private")
    headers = {"Authorization": f"Bearer {token()}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await upbit.session.ws_connect("wss://api.upbit.com/websocket/v1/private", headers=headers)
    assert refused.value.status == 503
    async with upbit.session.ws_connect("wss://api.upbit.com/websocket/v1"):
        pass


async def test_control_api_switches_faults(upbit: Upbit) -> None:
    """Faults, orders, prices and balances are there for operators, in neutral words."""
    assert upbit.simulator.ca_path is not None
    async with ControlClient(upbit.simulator.ca_path, upbit.simulator.port, "upbit") as control:
        await control.add_fault("server_error_before", endpoint=POST, count=1)
        assert (await new(upbit))[0] == 502
        await control.clear_faults()
        assert (await new(upbit, identifier="seen"))[0] == 201
        (order,) = await control.orders(account="main", open="true")
        assert (order["client_order_id"], order["symbol"]) == ("seen", "KRW-BTC")
