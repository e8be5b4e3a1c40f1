"""A reconciliation asked for by a client and by an operator: engine, journal and follower are real, the session is the test's."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from oms.client import OmsClient, OmsRefused, OmsTimeout
from oms.config import CacheConfig, StorageConfig
from oms.nats_server import EmbeddedNats
from replay.following.follower import Follower, FollowerSettings
from tests.engine.desk import Venue, engine_on

DIFFERENCE = {"kind": "position", "key": "BTCUSDT", "expected": "2", "found": "3"}


@pytest.fixture
async def venue(nats_server: EmbeddedNats, nc: Client, tmp_path: Path) -> AsyncIterator[Venue]:
    """A ready session of ``main`` on a running engine that a follower follows."""
    settings = FollowerSettings(storage=StorageConfig(data_dir=tmp_path / "data"), cache=CacheConfig())
    follower, stop = Follower(nc, settings), asyncio.Event()
    async with engine_on(nats_server.url):
        following = asyncio.create_task(follower.run(stop))
        await asyncio.wait_for(follower.ready.wait(), 20)
        venue = Venue(nc)
        await venue.open()
        yield venue
        await venue.close()
        stop.set()
        await following


@asynccontextmanager
async def answering(venue: Venue, *differences: dict[str, Any], more: int = 0) -> AsyncIterator[None]:
    """The session answers each request with these differences."""

    async def answer() -> None:
        for count in range(1, 100):
            asked = (await venue.told("reconcile", count, timeout=60))[-1]
            report = {"session": venue.session, "request_id": asked["request_id"], "started_at": 1}
            counts = {"orders": 4, "trades": 3, "balances": 2, "positions": 1}
            found = {"differences": list(differences), "more": more}
            assert (
                await venue.ask(f"report_reconciliation.{venue.place_of}", {**report, **counts, **found})
            )["ok"]

    task = asyncio.create_task(answer())
    try:
        yield
        assert not task.done() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def oms(url: str, *arguments: str) -> tuple[int, str, str]:
    """Run `oms` to its end: code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oms", *arguments, "--nats", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_client_waits_for_what_is_found(nats_server: EmbeddedNats, venue: Venue) -> None:
    """The answer is the very reconciliation that was asked for, with what was compared and what differed."""
    async with OmsClient.connect(nats_server.url) as client, answering(venue, DIFFERENCE, more=2):
        found = await client.reconcile(within_s=20)
        assert (found.orders, found.trades, found.balances, found.positions, found.more) == (4, 3, 2, 1, 2)
        assert [each.found for each in found.differences] == ["3"]
        [row] = (await client.status()).sessions
        assert (row.differences, row.reconciled_at) == (3, found.at)


async def test_client_is_told_when_nobody_can(nats_server: EmbeddedNats, venue: Venue) -> None:
    """Without a session the answer is VENUE_DOWN, and a session that does not answer is not waited for without end."""
    async with OmsClient.connect(nats_server.url) as client:
        with pytest.raises(OmsRefused, match="VENUE_DOWN"):
            await client.reconcile(market="futures")
        with pytest.raises(OmsTimeout, match=r"binance\.spot of main was not reconciled within 0\.3 s"):
            await client.reconcile(within_s=0.3)


async def test_operator_sees_what_was_compared(nats_server: EmbeddedNats, venue: Venue) -> None:
    """No difference is exit code 0 and a line for each market."""
    async with answering(venue):
        code, out, err = await oms(nats_server.url, "reconcile")
    assert (code, err) == (0, "")
    assert out == "main binance.spot  4 orders, 3 trades, 2 balances, 1 positions: no difference\n"


async def test_operator_sees_every_difference(nats_server: EmbeddedNats, venue: Venue) -> None:
    """A difference is exit code 1, and says what was expected and what was found; as JSON too."""
    async with answering(venue, DIFFERENCE, more=1):
        code, out, err = await oms(nats_server.url, "reconcile", "binance.spot", "--account", "main")
        assert (code, err) == (1, "oms: 1 of 1 differed or could not be compared\n")
        assert out.splitlines() == [
            "main binance.spot  4 orders, 3 trades, 2 balances, 1 positions: 2 differences",
            "  position BTCUSDT: expected 2, found 3",
            "  … and 1 more",
        ]
        code, out, _ = await oms(nats_server.url, "reconcile", "--json")
    [found] = json.loads(out)
    assert (code, found["differences"], found["market"]) == (1, [DIFFERENCE], "spot")


async def test_operator_is_told_what_was_not_compared(nats_server: EmbeddedNats, venue: Venue) -> None:
    """A session that does not answer, and a venue that nobody serves, are not passed over."""
    code, out, _ = await oms(nats_server.url, "reconcile", "--within", "1")
    assert code == 1
    assert out.startswith(
        "main binance.spot  not compared: binance.spot of main was not reconciled within 1 s"
    )
    code, _, err = await oms(nats_server.url, "reconcile", "okx")
    assert (code, err) == (1, "oms: no connector has served okx for any account\n")


async def test_terms_of_a_market_without_them_are_refused(nats_server: EmbeddedNats, venue: Venue) -> None:
    """`oms terms` says why, and a wrong use is told as one."""
    code, _, err = await oms(nats_server.url, "terms", "BTCUSDT", "--venue", "binance.spot", "-l", "5")
    assert code == 1
    assert "NOT_SUPPORTED" in err
    assert (await oms(nats_server.url, "terms", "BTCUSDT"))[0] == 2


async def test_terms_reach_the_session(nats_server: EmbeddedNats, venue: Venue) -> None:
    """What is asked for arrives as one instruction with its deadline, and shows with the position once it is set."""
    nc = venue.nc
    features = ["leverage", "margin_mode", "positions"]
    capabilities = {
        "order_types": ["limit"],
        "times_in_force": ["GTC"],
        "features": features,
        "wallet": "futures",
    }
    spec = {
        "symbol": "BTCUSDT",
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "tick": "0.1",
        "step": "0.001",
    }
    spec |= {"min_quantity": "0.001", "max_quantity": "100"}
    place = "binance.main.futures._"
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def take(message: Any) -> None:
        told.put_nowait(json.loads(message.data))

    await nc.subscribe(f"instruct.{place}", cb=take)
    for subject, payload in (
        ("declare_venue.binance._.futures._", {"capabilities": capabilities}),
        ("list_instruments.binance._.futures._", {"instruments": [spec]}),
        (f"open_session.{place}", {"session": "f1", "ready": False}),
        (f"open_session.{place}", {"session": "f1", "ready": True}),
    ):
        assert (await venue.ask(subject, payload))["ok"]
    code, out, err = await oms(nats_server.url, "terms", "BTCUSDT", "-l", "5", "-m", "isolated")
    assert (code, out, err) == (0, "terms of BTCUSDT requested\n", "")
    message = await asyncio.wait_for(told.get(), 5)
    [asked] = message["instructions"]
    assert message["session"] == "f1"
    assert asked.pop("deadline") > 0
    assert asked == {
        "instruction": "set_terms",
        "symbol": "BTCUSDT",
        "leverage": "5",
        "margin_mode": "isolated",
    }
    terms = {"report": "terms", "symbol": "BTCUSDT", "leverage": "5", "margin_mode": "isolated"}
    answer = await venue.ask(f"report.{place}", {"session": "f1", "reports": [terms]})
    assert (answer["ok"], answer["count"]) == (True, 1)
    async with OmsClient.connect(nats_server.url) as client:
        [row] = (await client.positions(at_least=answer["sequence"])).rows
    assert (row.leverage, row.margin_mode) == (5, "isolated")
