"""Commands are decided in the order in which they came, whatever their verbs: each verb is a subscription of its own."""

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.engine import engine as engine_module
from oms.engine.engine import Engine
from tests.engine.desk import Venue

BUY = {"side": "buy", "type": "limit", "quantity": "0.001", "price": "50000"}
BY = {"by": "kim", "reason": "test"}


async def send(nc: Client, *messages: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Send all at once, without waiting for any, and return the answers in the order of what was sent."""
    answers: dict[int, dict[str, Any]] = {}
    done = asyncio.Event()

    async def heard(message: Msg) -> None:
        answers[int(message.subject.rpartition(".")[2])] = json.loads(message.data)
        if len(answers) == len(messages):
            done.set()

    inbox = nc.new_inbox()
    heard_at = await nc.subscribe(f"{inbox}.*", cb=heard)
    await nc.flush()
    for number, (subject, fields) in enumerate(messages):
        payload = json.dumps({"command_id": f"{subject}-{number}", **fields}).encode()
        await nc.publish(subject, payload, reply=f"{inbox}.{number}")
    await asyncio.wait_for(done.wait(), 5)
    await heard_at.unsubscribe()
    return [answers[number] for number in range(len(messages))]


async def test_no_order_is_placed_behind_a_cancel_of_all_that_came_after_it(
    engine: Engine, venue: Venue, nc: Client
) -> None:
    """Another account's message of the same verb, just before, does not take a cancel of all past the orders it is meant for."""
    _, placed, canceled = await send(
        nc,
        ("cancel_all._.sub_arb._._", {}),
        ("place.binance.main.spot.BTCUSDT", BUY),
        ("cancel_all._.main._._", {}),
    )
    assert canceled["count"] == 1, (placed, canceled)
    assert engine.state.orders[placed["order_id"]].cancel_requested


async def test_no_order_is_canceled_by_a_cancel_of_all_that_came_before_it(
    engine: Engine, venue: Venue, nc: Client
) -> None:
    """Who cancels all and quotes anew at once keeps what he quoted anew."""
    _, canceled, placed = await send(
        nc,
        ("place.binance.sub_arb.spot.BTCUSDT", BUY),
        ("cancel_all._.main._._", {}),
        ("place.binance.main.spot.BTCUSDT", BUY),
    )
    assert canceled["count"] == 0
    assert not engine.state.orders[placed["order_id"]].cancel_requested


async def test_a_release_does_not_undo_a_kill_that_came_after_it(
    engine: Engine, venue: Venue, nc: Client
) -> None:
    """The last word holds."""
    answers = await send(
        nc,
        ("kill._.main._._", {"scope": "account:main", **BY}),
        ("release._.main._._", {"scope": "account:main", **BY}),
        ("kill._.main._._", {"scope": "account:main", **BY}),
    )
    assert all(answer["ok"] for answer in answers), answers
    assert "account:main" in engine.state.risk.latches


async def test_nobody_has_to_wait_for_an_answer(
    engine: Engine, venue: Venue, nc: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused at once and was sent without a place to answer to does the engine no harm."""
    lives = engine._writer
    for most in (0, 50_000):
        monkeypatch.setattr(engine_module, "MAX_WAITING", most)
        payload = json.dumps({"command_id": f"c{most}", **BUY}).encode()
        await nc.publish("place.binance.main.spot.BTCUSDT", payload)
        await asyncio.sleep(0.3)
    assert len(engine.state.orders) == 1
    assert engine._writer is lives
