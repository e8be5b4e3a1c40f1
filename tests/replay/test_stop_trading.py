"""What the continuous audit does about a state that differs: with `audit.on_difference: kill`, nothing trades until a person says so."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from oms.engine.engine import Engine
from oms.journal.errors import JournalBroken
from oms.nats_server import EmbeddedNats
from replay.following.alarm import stop_trading
from tests.engine.desk import Venue, engine_on
from tests.replay.conftest import Following, ask

PERSON = {"by": "kim", "reason": "looked at it"}


async def until(there: Callable[[], Any]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(10):
        while not there():
            await asyncio.sleep(0.01)


async def heard_on(nc: Client) -> list[dict[str, Any]]:
    """Alerts, as they come."""
    heard: list[dict[str, Any]] = []

    async def hear(message: Any) -> None:
        heard.append(json.loads(message.data))

    await nc.subscribe("alerts.>", cb=hear)
    await nc.flush()
    return heard


async def goes_wrong(following: Following, place: Callable[[], Awaitable[Any]], kill: bool) -> int:
    """Run a follower whose memory goes wrong, until the engine's next seal ends it; return the sequence of that."""

    async def follow() -> None:
        async with following(kill=kill) as running:
            await until(lambda: running.history.partition.orders)
            running.history.partition.next_order += 1
            assert (await place())["ok"]
            while running.ready.is_set():
                await asyncio.sleep(0.01)

    with pytest.raises(JournalBroken, match="SEAL") as found:
        await follow()
    return found.value.sequence


async def both(nc: Client) -> list[Venue]:
    """Two accounts with three orders each."""
    venues = [Venue(nc, account) for account in ("main", "sub_arb")]
    for venue in venues:
        await venue.open()
        for number in range(3):
            assert (await venue.place(f"{venue.account}{number}"))["ok"]
    return venues


def asked_to_cancel(engine: Engine) -> int:
    """Orders that a cancel was asked for."""
    return sum(order.cancel_requested is not None for order in engine.state.orders.values())


async def test_a_difference_latches_until_a_person_releases(
    nc: Client, following: Following, nats_server: EmbeddedNats
) -> None:
    """With `kill` a difference engages the global kill switch in the journal: every order is cancelled, none is taken, by
    no engine that comes after, until a person releases it; and who meets the same difference again changes nothing of that."""
    heard = await heard_on(nc)
    async with engine_on(nats_server.url) as engine:
        venues = await both(nc)
        sequence = await goes_wrong(following, lambda: venues[0].place("one more"), kill=True)
        await until(lambda: heard)
        assert (heard[0]["code"], heard[0]["kill"]) == ("SEAL", True)
        (latch,) = engine.state.risk.latches.values()
        assert (latch.scope, latch.by, latch.cause) == ("global", "audit", "SEAL")
        assert str(sequence) in latch.reason
        for venue, count in zip(venues, (4, 3), strict=True):
            await venue.told("cancel", count)
            await venue.close()
    async with engine_on(nats_server.url) as engine:
        venue = Venue(nc, "main", "s2")
        await venue.open()
        refused = await venue.place("after", price="40000")
        assert refused["error"]["code"] == "KILL_SWITCH"
        assert "frame" in refused["error"]["message"]
        assert await stop_trading(nc, "SEAL", sequence)
        nobody = await ask(nc, "release._._._._", command_id="r0", scope="global")
        assert nobody["error"]["code"] == "PERSON_REQUIRED"
        assert (await ask(nc, "release._._._._", command_id="r1", scope="global", **PERSON))["ok"]
        assert (await venue.place("released", price="40000"))["ok"]
        assert await stop_trading(nc, "SEAL", sequence)
        assert not engine.state.risk.latches
        assert await stop_trading(nc, "SEAL", sequence + 1)
        assert set(engine.state.risk.latches) == {"global"}
        await venue.close()


async def test_without_kill_a_difference_is_told_and_nothing_else(
    nc: Client, following: Following, nats_server: EmbeddedNats
) -> None:
    """A follower that is to alert does so, and trading goes on."""
    heard = await heard_on(nc)
    async with engine_on(nats_server.url) as engine:
        venues = await both(nc)
        await goes_wrong(following, lambda: venues[0].place("one more"), kill=False)
        await until(lambda: heard)
        assert not heard[0]["kill"]
        assert not engine.state.risk.latches
        assert not asked_to_cancel(engine)
        for venue in venues:
            await venue.close()


async def test_an_engine_that_comes_late_is_waited_for(nc: Client, nats_server: EmbeddedNats) -> None:
    """The kill is thrown as soon as there is an engine to take it."""
    thrown = asyncio.create_task(stop_trading(nc, "SEAL", 7))
    await asyncio.sleep(0.6)
    assert not thrown.done()
    async with engine_on(nats_server.url) as engine:
        assert await asyncio.wait_for(thrown, 10)
        assert set(engine.state.risk.latches) == {"global"}


async def test_what_nobody_takes_is_told(nats_server: EmbeddedNats) -> None:
    """When no engine takes it, an alert says that a person must throw the switch."""
    nc = await nats.connect(nats_server.url)
    heard = await heard_on(nc)
    assert not await stop_trading(nc, "SEAL", 7, within_s=0.2)
    await until(lambda: heard)
    assert (heard[0]["code"], heard[0]["sequence"]) == ("KILL", 7)
    assert "oms kill global" in heard[0]["message"]
    await nc.close()
