"""Orders that are held for self-trade prevention, on the engine as it runs: given up in time, and held over a restart."""

from typing import Any

import pytest
from nats.aio.client import Client

from oms.engine.engine import Engine
from oms.nats_server import EmbeddedNats
from tests.engine.desk import Trader, Venue, accepted, engine_on


async def _resting_and_held(trader: Trader, venue: Venue) -> tuple[str, str]:
    """A sell that rests and is asked to cancel, and a buy that waits for its end."""
    limits: dict[str, Any] = {"command_id": "m1", "scope": "global", "by": "test"}
    limits["limits"] = {"self_trade": "cancel_resting"}
    assert (await trader.ask("set_limits._._._._", limits))["ok"]
    resting = (await trader.place("r1", side="sell"))["order_id"]
    await venue.report(accepted(resting))
    held = (await trader.place("n1"))["order_id"]
    await venue.told("cancel")
    return resting, held


async def test_what_is_held_too_long_is_given_up(
    engine: Engine, venue: Venue, trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that still waits after its time is rejected by the engine itself, and not sent when the other ends at last."""
    monkeypatch.setattr("oms.engine.watch.HELD_AT_MOST_NS", 3 * 10**8)
    resting, held = await _resting_and_held(trader, venue)
    other = (await trader.place("n2", price="40000"))["order_id"]
    await venue.report({"report": "cancel_rejected", "order_id": resting, "reason": "busy", "venue_time": 2})
    while engine.state.orders[held].live:
        await trader.place("n3", price="30000")
    assert "did not end in time" in engine.state.orders[held].reason
    await venue.report({"report": "canceled", "order_id": resting, "reason": "asked", "venue_time": 3})
    sent = [told["order_id"] for told in await venue.told("submit", 3)]
    assert sent[:2] == [resting, other]
    assert held not in sent


async def test_a_held_order_is_held_over_a_restart(nats_server: EmbeddedNats, nc: Client) -> None:
    """After a restart the cancel of the order that rests is repeated, the one that waits for it is neither doubted nor sent before."""
    venue, trader = Venue(nc), Trader(nc)
    async with engine_on(nats_server.url):
        await venue.open()
        resting, held = await _resting_and_held(trader, venue)
    venue.instructions.clear()
    async with engine_on(nats_server.url) as engine:
        assert [told["order_id"] for told in await venue.told("cancel")] == [resting]
        assert list(engine.state.holds.since) == [held]
        await venue.report({"report": "canceled", "order_id": resting, "reason": "asked", "venue_time": 3})
        assert [told["order_id"] for told in await venue.told("submit")] == [held]
        await venue.report(accepted(held))
        assert str(engine.state.orders[held].status) == "NEW"
        assert {told["order_id"] for told in venue.instructions if told["instruction"] == "submit"} == {held}
    await venue.close()
