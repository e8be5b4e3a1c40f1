"""What an engine does of limits and guards by itself: it begins a journal with them, keeps what the journal says, and listens."""

import asyncio
import logging
import time
from decimal import Decimal

import attrs
import pytest
from nats.aio.client import Client

from oms.engine.engine import Engine
from oms.messages.controls import BeginControls
from oms.nats_server import EmbeddedNats
from tests.engine.desk import SETTINGS, Trader, Venue, engine_on
from tests.limits import CONTROLS_OFF, VALUATIONS, WIDE


async def test_a_journal_begins_with_the_configured_controls(engine: Engine) -> None:
    """Limits and valuations are in the state before the first command is served."""
    assert engine.state.risk.limits.said == WIDE
    assert {a: v.rate for a, v in engine.state.risk.rates.valuations.items()} == VALUATIONS


async def test_without_limits_nothing_is_placed(nats_server: EmbeddedNats, nc: Client) -> None:
    """An engine that nobody told any limit denies: a control is never switched off by leaving it out."""
    venue = Venue(nc)
    nothing = BeginControls(limits={}, valuations={}, strategies={})
    async with engine_on(nats_server.url, attrs.evolve(SETTINGS, controls=nothing)):
        await venue.open()
        answer = await Trader(nc).place("c1")
        await venue.close()
    assert answer["error"]["code"] == "LIMIT_MISSING"


async def test_the_journal_holds_against_another_configuration(
    nats_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
) -> None:
    """A later engine records only what the journal never said, and says where its configuration has it otherwise."""
    async with engine_on(nats_server.url):
        pass
    limits = {**WIDE, "global": {**WIDE["global"], "max_position": "5"}, "account:main": {"restricted": "on"}}
    later = BeginControls(limits=limits, valuations=VALUATIONS, strategies=CONTROLS_OFF.strategies)
    with caplog.at_level(logging.WARNING):
        async with engine_on(nats_server.url, attrs.evolve(SETTINGS, controls=later)) as engine:
            assert engine.state.risk.limits.said == {**WIDE, "account:main": {"restricted": "on"}}
    told = [record.getMessage() for record in caplog.records if "risk." in record.getMessage()]
    assert len(told) == 1
    assert "risk.limits.global.max_position is '5' in the configuration, and 'off' in the journal" in told[0]


async def test_a_start_gives_nothing_back_that_a_person_took_away(
    nats_server: EmbeddedNats, nc: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Limits cleared and a strategy taken away by commands stay so over a restart with the same file, and the log names both."""
    limits = {**WIDE, "account:main": {"max_position": "5"}}
    file = BeginControls(limits=limits, valuations=VALUATIONS, strategies={"arb": ("main", Decimal(5))})
    settings = attrs.evolve(SETTINGS, controls=file)
    async with engine_on(nats_server.url, settings):
        trader = Trader(nc)
        cleared = {"command_id": "c1", "scope": "account:main", "clear": ["max_position"], "by": "ann"}
        assert (await trader.ask("set_limits._.main._._", cleared))["ok"]
        taken = {"command_id": "c2", "strategy": "arb", "capital": None, "by": "ann"}
        assert (await trader.ask("assign_strategy._.main._._", taken))["ok"]
    with caplog.at_level(logging.WARNING):
        async with engine_on(nats_server.url, settings) as engine:
            assert not engine.state.risk.limits.said["account:main"]
            assert not engine.state.risk.strategies
    told = [record.getMessage() for record in caplog.records if "risk." in record.getMessage()]
    assert [line.split(" is ")[0] for line in told] == [
        "risk.limits.account:main.max_position",
        "risk.strategies.arb",
    ]


async def test_a_silent_client_s_orders_are_cancelled(
    engine: Engine, trader: Trader, venue: Venue, nc: Client
) -> None:
    """While the client beats nothing happens; once it is silent for its time, its orders are, and once only."""
    order_id = (await trader.place("c1"))["order_id"]
    wanted = {"command_id": "g1", "client": "bot", "timeout_ms": 1_000}
    assert (await trader.ask("cancel_on_disconnect._.main._._", wanted))["ok"]
    beaten_until = time.monotonic() + 2.5
    while time.monotonic() < beaten_until:
        await nc.publish("heartbeat._.main._.bot", b"")
        await asyncio.sleep(0.2)
    assert engine.state.guards
    (cancel,) = await venue.told("cancel")
    assert cancel["order_id"] == order_id
    assert time.monotonic() - beaten_until > 0.7
    assert not engine.state.guards
    assert engine.state.orders[order_id].cancel_requested is not None
