"""The kill switch with real processes, the engine killed with SIGKILL around the commit that latches it.

What is promised, and held here against the journal, the instructions on their way and the venues' own records:

* Nothing is told to a connector that does not stand in the journal, and nothing is placed behind the latch.
* No order is told behind its own cancel, and one that is told beside it never comes to the venue.
* Once a connector has an order's cancel, only what has left it already may still come to the venue. When the kill is answered
  the connectors have them all: it is answered behind the cancels, and an engine that starts repeats them before it serves.
* Every order of the scope ends; what is not in the scope goes on, and none of it is cancelled.
"""

import asyncio
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from oms.cli.demo import evidence
from oms.client import OmsRefused
from oms.messages import events as e
from oms.messages.controls import KillSwitchReleased
from oms.messages.instructions import parse_venue_client_id
from oms.messages.reports import UNSENT
from oms.messages.subjects import ANY
from replay.rebuild import rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.e2e.killing import Desk, Record, Told, Trader, covers, desk_in, trading

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

BURST = 30
"""Orders that each trader places at once before a kill: with two traders an account, three seconds of the rate limit wait."""
ON_THE_WAY_NS = 10**9
"""What has left a connector is at the venue within this; what waits for the rate limit takes longer."""

SCOPES = {
    "account:another": ("canceling", "durable"),
    "strategy:alpha": ("told one", "answered"),
    "exchange:binance": ("before", "canceling"),
    "instrument:binance.spot.BTCUSDT": ("random", "durable"),
    "global": ("answered", "random"),
}
"""Scope → when the engine dies, round by round: at a point of :data:`tests.e2e.killing.DIES`, while the cancels are on their way,
or whenever it is."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One desk for all tests: latches, releases and restarts of those before are part of every journal."""
    async with desk_in(tmp_path_factory.mktemp("kill")) as desk:
        yield desk


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_killed_scope_sends_nothing_whenever_the_engine_dies(desk: Desk, scope: str) -> None:
    """Killed under load while the engine dies and dies again, a scope sends nothing more and ends; the others go on."""
    for moment in SCOPES[scope]:
        seed = f"{scope} {moment}"
        print("seed", repr(seed))
        await _round(desk, scope, moment, random.Random(seed))
    await desk.clear()


async def _round(desk: Desk, scope: str, moment: str, rng: random.Random) -> None:
    traders = desk.traders(rng)
    async with trading(traders):
        await asyncio.sleep(rng.uniform(0.3, 0.8))
        await asyncio.gather(*(trader.place(BURST) for trader in traders))
        desk.tap.canceling.clear()
        killed = asyncio.create_task(desk.kill(scope))
        if moment in ("canceling", "random"):
            if moment == "canceling":
                await asyncio.wait_for(desk.tap.canceling.wait(), 10)
            await asyncio.sleep(rng.uniform(0.0, 0.1))
            await desk.engine.kill()
        else:
            desk.engine.arm(moment)
            await desk.engine.died()
        await desk.engine.start()
        told = await killed
        answered = time.time_ns()
        # Once more, perhaps with cancels on their way.
        await asyncio.sleep(rng.uniform(0.0, 0.3))
        await desk.engine.again()
        await _denied(desk, traders, scope)
        await desk.none_open(scope)
        until = time.time_ns()
        await _release(desk, scope)
        await _trade_again(traders)
    asked = [a for t in traders for a in t.answers if answered < a.asked and a.answered < until]
    assert all(
        (a.code == "KILL_SWITCH") is covers(scope, a) and a.result.ok is not covers(scope, a) for a in asked
    )
    record, venue = await Record.read(desk.nc), await desk.at_venues()
    _holds(desk, record, venue, scope, answered, told)
    if moment == "canceling":
        taken_back = [event for _, event in record.of(e.OrderCanceled) if event.reason == UNSENT]
        assert taken_back, "nothing waited for the rate limit: the test has shown nothing"


async def _denied(desk: Desk, traders: list[Trader], scope: str) -> None:
    """Whoever is in the scope is denied, and nobody else: theirs come to the venue."""
    outside = []
    for answers in await asyncio.gather(*(trader.place(6) for trader in traders)):
        for each in answers:
            assert each.code == ("KILL_SWITCH" if covers(scope, each) else ""), each
            outside += [] if covers(scope, each) else [each.result.order_id]
    if outside:
        await evidence.until("what is outside goes on", lambda: _is_not(desk, outside[0], "PENDING_NEW"))


async def _release(desk: Desk, scope: str) -> None:
    for nobody in ("", " "):
        with pytest.raises(OmsRefused) as refused:
            await desk.client.release(scope, by=nobody)
        assert refused.value.code == "PERSON_REQUIRED", refused.value
    await desk.client.release(scope, by="lee", reason="it was nothing")


async def _trade_again(traders: list[Trader]) -> None:
    for answers in await asyncio.gather(*(trader.place(2) for trader in traders)):
        assert all(each.result.ok for each in answers), answers


def _holds(
    desk: Desk, record: Record, venue: dict[str, dict[str, Any]], scope: str, answered: int, told: int
) -> None:
    """Hold the last kill of the scope, and its release, against journal, instructions and venue.

    Args:
        answered: when the kill was answered, UTC ns. told: how many instructions had been told by then.
    """
    latched = record.latched(scope)[-1][0]
    released = max(index for index, _ in record.of(KillSwitchReleased))
    before = {i for i, (index, order) in record.placed.items() if index < latched and covers(scope, order)}
    outside = {i for i, (_, order) in record.placed.items() if not covers(scope, order)}
    behind = [
        i
        for i, (index, order) in record.placed.items()
        if latched < index < released and covers(scope, order)
    ]
    assert not behind, "placed in a killed scope"
    cancels, submits = _told(desk.tap.told)
    taken_back = {event.order_id for _, event in record.of(e.OrderCanceled) if event.reason == UNSENT}
    for kind, each in ((e.OrderPlaced, submits), (e.OrderCancelRequested, cancels)):
        early = [
            told for told in each.values() if told.at < record.decided.get((kind, told.order_id), told.at + 1)
        ]
        assert not early, f"told before it stood in the journal: {early}"
    arrived = {parse_venue_client_id(client_id)[0] for client_id in venue}
    assert arrived <= record.placed.keys(), "at the venue, and not in the journal"
    assert not taken_back & arrived, "told to be taken back, and at the venue"
    beside = {i for i, submit in submits.items() if i in cancels and submit.message == cancels[i].message}
    assert not beside & arrived, "told beside its cancel, and at the venue"
    for client_id, row in venue.items():
        order_id = parse_venue_client_id(client_id)[0]
        if order_id in before:
            assert row["status"] in ("CANCELED", "FILLED", "EXPIRED"), f"left at the venue: {row}"
        if order_id in before and order_id in cancels:
            late = row["created_ns"] - cancels[order_id].at
            assert late < ON_THE_WAY_NS, f"sent {late / 1e9:.3f} s after its cancel was told: {row}"
        if order_id in before:
            late = row["created_ns"] - answered
            assert late < ON_THE_WAY_NS, f"sent {late / 1e9:.3f} s after the kill was answered: {row}"
    asked_with_it = {
        order_id
        for (kind, order_id), at in record.decided.items()
        if kind is e.OrderCancelRequested and at == record.times[latched]
    }
    assert asked_with_it <= {each.order_id for each in desk.tap.told[:told] if each.kind == "cancel"}, (
        "answered, and not told"
    )
    asked = {event.order_id for _, event in record.of(e.OrderCancelRequested, latched, released)}
    assert asked <= before, "a cancel of what is not in the scope, or was not there"
    ended = [(event.order_id, event.reason) for _, event in record.of(e.OrderCanceled, latched, released)]
    assert not [each for each in ended if each[0] in outside and not each[1].startswith("amend")]
    if outside:
        after = [
            event for _, event in record.of(e.OrderAccepted, latched, released) if event.order_id in outside
        ]
        assert after, "nothing outside the scope went on"


def _told(every: list[Told]) -> tuple[dict[str, Told], dict[str, Told]]:
    """The first cancel and the submit of each order; none of an order's comes behind its cancel."""
    cancels: dict[str, Told] = {}
    submits: dict[str, Told] = {}
    for told in every:
        if told.kind == "cancel":
            cancels.setdefault(told.order_id, told)
        elif told.kind in ("submit", "amend"):
            assert told.order_id not in cancels, f"{told} behind its cancel"
            if told.kind == "submit":
                assert told.order_id not in submits, f"{told} is told twice"
                submits[told.order_id] = told
    return cancels, submits


async def test_a_latch_holds_from_a_snapshot_and_from_the_journal_alone(desk: Desk) -> None:
    """Started from a snapshot or from the journal, an engine lets through what reduces, as it was told to, and nothing else."""
    scope, data_dir = "account:another", desk.stack.config.storage.data_dir
    client = desk.client
    bought = await client.place("BTCUSDT", "buy", "0.01", price=52_000, account="another")
    await evidence.until("it is bought", lambda: _is(desk, bought.order_id, "FILLED"))
    resting = await client.place("BTCUSDT", "buy", "0.01", price=42_000, account="another")
    assert (await client.kill(scope, by="kim", allow_reduce_only=True)).ok
    await evidence.until("it is canceled", lambda: _is(desk, resting.order_id, "CANCELED"))
    reducing = []
    for start in ("as it is", "snapshot", "journal"):
        history = await rebuild(Source(desk.nc), None)
        if start == "snapshot":
            written = Snapshots(data_dir).write(content_of(history), history.at)
            resumed = await rebuild(Source(desk.nc), Snapshots(data_dir))
            assert resumed.partition.risk.latches == history.partition.risk.latches
            assert written.header.sequence == history.sequence
        if start == "journal":
            shutil.rmtree(data_dir / "snapshots")
        if start != "as it is":
            await desk.engine.again()
        assert scope in history.partition.risk.latches
        with pytest.raises(OmsRefused, match="KILL_SWITCH"):
            await client.place("BTCUSDT", "buy", "0.001", price=42_000, account="another")
        with pytest.raises(OmsRefused, match="KILL_SWITCH"):
            await client.place("BTCUSDT", "sell", "0.02", price=60_000, account="another")
        result = await client.place("BTCUSDT", "sell", "0.002", price=60_000, account="another")
        reducing.append(result.order_id)
        await evidence.until("it works at the venue", lambda: _is(desk, reducing[-1], "NEW"))
    # What is left over is cancelled after two seconds; what was let through is not.
    await asyncio.sleep(3.0)
    assert all([await _is(desk, order_id, "NEW") for order_id in reducing])
    await _release(desk, scope)
    assert (await client.place("BTCUSDT", "buy", "0.001", price=42_000, account="another")).ok
    await client.place("BTCUSDT", "sell", "0.004", price=48_000, account="another")
    await desk.clear()


async def _is_not(desk: Desk, order_id: str, status: str) -> bool:
    return not await _is(desk, order_id, status)


async def _is(desk: Desk, order_id: str, status: str) -> bool:
    rows = (await desk.client.orders(order_id=order_id, account=ANY)).rows
    return bool(rows) and rows[0].status == status


@pytest.mark.parametrize("seed, sent_within_s", [(1, 2.5), (2, 0.7)])
async def test_cancels_are_done_after_the_connector_died(desk: Desk, seed: int, sent_within_s: float) -> None:
    """A connector killed between the latch and the last cancel: the cancels are done after it is back, and nothing is sent."""
    rng, scope = random.Random(seed), "strategy:alpha"
    print("seed", seed)
    traders = desk.traders(rng)
    connector = desk.stack.processes.children["connector binance"]
    await asyncio.gather(*(trader.place(BURST // 2) for trader in traders))
    # All of them come to the venue in one and a half seconds.
    await asyncio.sleep(sent_within_s)
    async with desk.venue() as venue:
        await venue.add_fault("drop_request", endpoint="DELETE /api/v3/order", probability_percent=60)
        desk.tap.canceling.clear()
        told = await desk.kill(scope)
        answered = time.time_ns()
        await asyncio.wait_for(desk.tap.canceling.wait(), 10)
        await asyncio.sleep(rng.uniform(0.0, 0.2))
        killed = connector.pid
        connector.signal(signal.SIGKILL)
        record, rows = await Record.read(desk.nc), await venue.orders(open="true")
        ours = {i for i, (_, order) in record.placed.items() if covers(scope, order)}
        assert [row for row in rows if row["client_order_id"] in ours], "the last cancel was done already"
        await venue.clear_faults()
    async with asyncio.timeout(30):
        while connector.pid in (None, killed):
            await asyncio.sleep(0.05)
        await connector.ready()
    await _denied(desk, traders, scope)
    await desk.none_open(scope)
    await _release(desk, scope)
    _holds(desk, await Record.read(desk.nc), await desk.at_venues(), scope, answered, told)
    await _trade_again(traders)
    await desk.clear()


@pytest.mark.parametrize("moment", ["before", "durable", "told one"])
async def test_what_trips_by_itself_trips_once_and_holds(desk: Desk, moment: str) -> None:
    """Too many executions engage a strategy's kill switch, once, whenever the engine dies, until a person releases it."""
    scope = "strategy:alpha"
    traders = desk.traders(random.Random(moment))
    since = len((await Record.read(desk.nc)).events)
    # A strategy is known by its orders.
    await _trade_again(traders)
    await desk.client.set_limits(scope, {"max_executions": 3, "kill_on": "max_executions"}, by="kim")
    desk.engine.arm(moment)
    for _ in range(3):
        await desk.client.place("BTCUSDT", "buy", "0.0002", price=52_000, strategy="alpha")
    await desk.engine.died()
    await desk.engine.start()
    await _tripped(desk, scope, since, "max_executions", traders)
    await desk.client.set_limits(scope, {"max_executions": "off"}, by="kim")
    await _release(desk, scope)
    await _trade_again(traders)
    await desk.clear()


async def test_a_daily_loss_trips_once_and_holds(desk: Desk) -> None:
    """A loss beyond the day's limit engages an account's kill switch, once, over SIGKILL; what reduces is let through."""
    scope, client = "account:another", desk.client
    traders = desk.traders(random.Random("loss"))
    since = len((await Record.read(desk.nc)).events)
    bought = await client.place("BTCUSDT", "buy", "0.02", price=52_000, account="another")
    await evidence.until("it is bought", lambda: _is(desk, bought.order_id, "FILLED"))
    limits = {"max_daily_loss": 60, "kill_on": "max_daily_loss", "kill_reduce_only": "on"}
    await client.set_limits(scope, limits, by="kim")
    desk.engine.arm("durable")
    async with desk.venue() as venue:
        await venue.set_price("BTCUSDT", "45000")
        await desk.engine.died()
        await desk.engine.start()
        await _tripped(desk, scope, since, "max_daily_loss", traders)
        sold = await client.place("BTCUSDT", "sell", "0.015", price=40_000, account="another")
        await evidence.until("it is sold", lambda: _is(desk, sold.order_id, "FILLED"))
        await venue.set_price("BTCUSDT", "50000")
    await client.set_limits(scope, {"max_daily_loss": "off"}, by="kim")
    await _release(desk, scope)
    await _trade_again(traders)
    await desk.clear()


async def _tripped(desk: Desk, scope: str, since: int, cause: str, traders: list[Trader]) -> None:
    async def engaged() -> bool:
        return bool((await Record.read(desk.nc)).latched(scope, since))

    await evidence.until(f"{cause} engages the kill switch", engaged)
    await _denied(desk, traders, scope)
    await desk.none_open(scope)
    await desk.engine.again()
    await _denied(desk, traders, scope)
    # The engine looks several times a second.
    await asyncio.sleep(0.6)
    (latch,) = (await Record.read(desk.nc)).latched(scope, since)
    assert (latch[1].cause, latch[1].by) == (cause, "")
