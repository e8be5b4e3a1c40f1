"""The kill switch on the engine as it runs: who is told first, and what an engine that was killed before it told does next."""

import asyncio
import json

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.engine.engine import Engine
from oms.nats_server import EmbeddedNats
from tests.engine.desk import Trader, Venue, accepted, engine_on, filled


async def test_connectors_are_told_before_who_asked(engine: Engine, venue: Venue, nc: Client) -> None:
    """When the answer to a kill arrives, the cancels have left the engine: on the same connection, before it."""
    order_id = (await venue.place("c1"))["order_id"]
    await venue.report(accepted(order_id))
    heard: list[str] = []
    all_heard = asyncio.Event()

    async def hear(message: Msg) -> None:
        heard.append(message.subject.partition(".")[0])
        if len(heard) == 2:
            all_heard.set()

    await nc.subscribe("instruct.>", cb=hear)
    await nc.subscribe("answers.kill", cb=hear)
    kill = {"command_id": "k1", "scope": "account:main", "by": "kim"}
    await nc.publish("kill._.main._._", json.dumps(kill).encode(), reply="answers.kill")
    await asyncio.wait_for(all_heard.wait(), 5)
    assert heard == ["instruct", "answers"]


async def test_cancels_are_repeated_by_the_next_engine(nats_server: EmbeddedNats, nc: Client) -> None:
    """What is to be canceled is told again at once by an engine that starts, and not looked up beside it; the rest is."""
    venue, trader = Venue(nc), Trader(nc)
    async with engine_on(nats_server.url):
        await venue.open()
        working, waiting, other = [(await trader.place(f"c{n}"))["order_id"] for n in range(3)]
        await venue.report(accepted(working))
        for order_id in (working, waiting):
            await trader.cancel(f"x{order_id}", order_id)
        await venue.told("cancel", 2)
    venue.instructions.clear()
    async with engine_on(nats_server.url) as engine:
        await venue.told("look_up")
        told = [(each["instruction"], each["order_id"]) for each in venue.instructions]
        assert told == [("cancel", working), ("cancel", waiting), ("look_up", other)]
        for order_id in (working, waiting):
            canceled = {"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 2}
            await venue.report(canceled)
            assert str(engine.state.orders[order_id].status) == "CANCELED"
        assert list(engine.state.doubtful) == [other]
    await venue.close()


async def test_cancels_are_repeated_when_the_engines_connection_broke(
    engine: Engine, venue: Venue, nc: Client
) -> None:
    """What was told may have been lost on the way, and who asked again would hear that it is done: it is told again at once."""
    order_id = (await venue.place("c1"))["order_id"]
    await venue.report(accepted(order_id))
    await venue.cancel("x1", order_id)
    await venue.told("cancel")
    venue.instructions.clear()
    engine._nc._transport.close()  # type: ignore[attr-defined]
    told = await venue.told("cancel")
    assert [each["order_id"] for each in told] == [order_id]
    assert await venue.place("c2")


async def test_a_loss_that_is_only_touched_kills(
    engine: Engine, venue: Venue, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark brings the loss to its limit and the next one takes it back: the kill switch is engaged, though the watch never looked."""
    async with asyncio.timeout(5):
        while not engine.state.risk.day:
            await asyncio.sleep(0.05)
    monkeypatch.setattr("oms.engine.engine.WATCH_INTERVAL_S", 3_600)
    await asyncio.sleep(0.6)
    said = {
        "scope": "account:main",
        "by": "ann",
        "limits": {"max_daily_loss": "10", "kill_on": "max_daily_loss"},
    }
    assert (await venue.ask("set_limits._.main._._", {"command_id": "l1", **said}))["ok"]
    order_id = (await venue.place("c1"))["order_id"]
    await venue.report(accepted(order_id), filled(order_id, "t1", "0.001", "50000"))
    for mark in ("50000", "39000", "50000"):
        assert (await venue.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": mark}}))["ok"]
    assert engine.state.risk.total("account:main").day == 0
    assert engine.state.risk.latches["account:main"].cause == "max_daily_loss"
