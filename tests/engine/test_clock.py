"""The engine's clock: whatever becomes of the host's, it never goes back and never stands still."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.engine import clock as module
from oms.engine.clock import BEHIND_NS, EngineClock
from oms.nats_server import EmbeddedNats
from tests.engine.desk import Trader, Venue, engine_on

SECOND = 10**9
HOUR = 3_600 * SECOND


class Host:
    """A host whose clock can be set."""

    def __init__(self) -> None:
        self.wrong_by = 0
        self.passed: int | None = None

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() if self.passed is None else self.passed

    def time_ns(self) -> int:
        base = time.time_ns() if self.passed is None else 1_700_000_000 * SECOND + self.passed
        return base + self.wrong_by


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(module, "time", host)
    return host


steps = st.lists(
    st.tuples(st.integers(0, HOUR), st.sampled_from((0, 0, 0, SECOND, -SECOND, HOUR, -HOUR))), max_size=30
)


@given(steps)
def test_time_goes_on_at_its_pace(taken: list[tuple[int, int]]) -> None:
    """Between two readings at least as much time passes as did, and only a clock that is set forward makes it more."""
    host = Host()
    host.passed = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", host)
        clock = EngineClock()
        moments = [(0, clock.now(), host.time_ns())]
        for passes, set_by in taken:
            host.passed += passes
            host.wrong_by += set_by
            moments.append((host.passed, clock.now(), host.time_ns()))
            assert clock.ahead == moments[-1][1] - moments[-1][2] >= 0
    for (passed, at, _), (passed_then, then, host_then) in pairwise(moments):
        assert then == max(at + passed_then - passed, host_then)


def test_it_goes_on_from_the_journal(host: Host) -> None:
    """A journal that is some seconds ahead is gone on from at once: until the host has caught up, time would stand still."""
    host.passed = 0
    clock = EngineClock()
    ahead = host.time_ns() + 9 * SECOND
    clock.begin(ahead)
    host.passed = SECOND
    assert clock.now() == ahead + SECOND


# -- at work


async def test_nothing_new_is_sent_by_a_clock_far_behind(
    nats_server: EmbeddedNats, nc: Client, host: Host
) -> None:
    """Set back by an hour, the engine places and amends nothing, says so, cancels as ever, and goes on when the clock is right."""
    told: list[dict[str, Any]] = []

    async def heard(message: Msg) -> None:
        told.append(json.loads(message.data))

    await nc.subscribe("alerts.>", cb=heard)
    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc)
        await venue.open()
        order_id = (await venue.place("c1"))["order_id"]
        before = engine.state.at
        host.wrong_by = -HOUR
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
        assert told[0]["code"] == "CLOCK_BEHIND"
        assert "behind" in told[0]["message"]
        answers = [await venue.place("c2", price="49000")]
        amend = {"command_id": "a1", "order_id": order_id, "quantity": "0.002"}
        answers.append(await venue.ask("amend.binance.main.spot.BTCUSDT", amend))
        assert [answer["error"]["code"] for answer in answers] == ["CLOCK_BEHIND"] * 2
        assert (await venue.cancel("x1", order_id))["status"] == "PENDING_CANCEL"
        assert engine.state.at > before
        host.wrong_by = 0
        async with asyncio.timeout(5):
            while not (again := await venue.place("c2", price="49000"))["ok"]:
                await asyncio.sleep(0.05)
        assert again["duplicate"] is False
        assert len(told) == 1
        await venue.close()


async def test_a_mark_gets_old_by_a_clock_set_back(nats_server: EmbeddedNats, nc: Client, host: Host) -> None:
    """Set back by less, which is put up with, the clock makes no mark younger: an order is denied when its mark is too old."""
    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc)
        await venue.open()
        trader = Trader(nc)
        limits = {"command_id": "l1", "scope": "global", "limits": {"max_price_age": "1s"}, "by": "ann"}
        assert (await trader.ask("set_limits._._._._", limits))["ok"]
        marks = {"marks": {"BTCUSDT": "50000"}}
        assert (await trader.ask("report_marks.binance._.spot._", marks))["ok"]
        host.wrong_by = -BEHIND_NS + SECOND
        assert (await venue.place("c1"))["ok"]
        await asyncio.sleep(1.1)
        assert (await venue.place("c2", price="49000"))["error"]["code"] == "STALE_PRICE"
        assert engine.state.at > time.time_ns() - SECOND
        await venue.close()
