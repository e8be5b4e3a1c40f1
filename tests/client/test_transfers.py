"""What becomes of a transfer, as an operator sees it: engine, journal and follower are real, the session is the test's."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from oms.config import CacheConfig, StorageConfig
from oms.nats_server import EmbeddedNats
from replay.following.follower import Follower, FollowerSettings
from tests.client.test_reconcile import oms
from tests.engine.desk import Venue, engine_on

TRANSFER = ("transfer", "binance", "sub_arb", "main", "USDT", "10.5", "--by", "ann")


@pytest.fixture
async def venue(nats_server: EmbeddedNats, nc: Client, tmp_path: Path) -> AsyncIterator[Venue]:
    """A ready session of ``main`` and one of ``sub_arb``, on a running engine that a follower follows."""
    settings = FollowerSettings(storage=StorageConfig(data_dir=tmp_path / "data"), cache=CacheConfig())
    follower, stop = Follower(nc, settings), asyncio.Event()
    async with engine_on(nats_server.url):
        following = asyncio.create_task(follower.run(stop))
        await asyncio.wait_for(follower.ready.wait(), 20)
        venue, other = Venue(nc), Venue(nc, "sub_arb")
        await venue.open()
        await other.open()
        yield venue
        await venue.close()
        await other.close()
        stop.set()
        await following


@asynccontextmanager
async def saying(venue: Venue, **outcome: Any) -> AsyncIterator[None]:
    """The session says this of every transfer it is told to make."""

    async def answer() -> None:
        for count in range(1, 100):
            asked = (await venue.told("transfer", count, timeout=60))[-1]
            report = {"session": venue.session, "transfer_id": asked["transfer_id"], **outcome}
            assert (await venue.ask(f"report_transfer.{venue.place_of}", report))["ok"]

    task = asyncio.create_task(answer())
    try:
        yield
        assert not task.done() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_the_venue_moved_is_said(nats_server: EmbeddedNats, venue: Venue) -> None:
    """A transfer that is made within the time is COMPLETED, exit code 0; as JSON too."""
    async with saying(venue, state="done", venue_transfer_id="v1"):
        code, out, err = await oms(nats_server.url, *TRANSFER)
        assert (code, err) == (0, "")
        assert out.split(" ", 1)[1] == "COMPLETED 10.5 USDT sub_arb → main\n"
        code, out, err = await oms(nats_server.url, *TRANSFER, "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["transfer"]["status"]) == (0, True, "completed")
    assert found["transfer"]["transfer_id"] == found["transfer_id"]


async def test_what_the_venue_rejected_is_no_success(nats_server: EmbeddedNats, venue: Venue) -> None:
    """Rejected is exit code 1 with the venue's reason, and `oms watch accounts` tells each state of it to both accounts."""
    arguments = ("-m", "oms", "watch", "accounts", "-a", "sub_arb", "-c", "2", "--nats", nats_server.url)
    watching = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert watching.stderr is not None
    assert "watching" in (await asyncio.wait_for(watching.stderr.readline(), 30)).decode()
    await asyncio.sleep(0.5)  # it subscribes after it says so
    async with saying(venue, state="rejected", reason="-1111 too many places"):
        code, out, err = await oms(nats_server.url, *TRANSFER)
    assert (code, out) == (1, "")
    assert err.startswith("oms: ")
    assert err.endswith(" REJECTED 10.5 USDT sub_arb → main: -1111 too many places\n")
    shown, _ = await asyncio.wait_for(watching.communicate(), 30)
    lines = [line.split("  ", 1)[1] for line in shown.decode().splitlines()]
    assert lines[0].startswith("transfer  sub_arb ")
    assert lines[0].endswith(" REQUESTED 10.5 USDT sub_arb → main  USDT 100,000 (locked 10.5)")
    assert lines[1].endswith(
        " REJECTED 10.5 USDT sub_arb → main: -1111 too many places  USDT 100,000 (locked 0)"
    )


async def test_what_takes_longer_is_under_way(nats_server: EmbeddedNats, venue: Venue) -> None:
    """A venue that says nothing is not waited for without end; the same id again says that nothing was done again."""
    code, out, err = await oms(nats_server.url, *TRANSFER, "--id", "t1")
    assert (code, err) == (0, "")
    assert out.split(" ", 1)[1] == "10.5 USDT sub_arb → main under way: `oms watch accounts`\n"
    code, out, _ = await oms(nats_server.url, *TRANSFER, "--id", "t1")
    assert code == 0
    assert out.endswith("(sent before; nothing was done again)\n")
