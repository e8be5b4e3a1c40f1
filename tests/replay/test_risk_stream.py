"""Limits and kill switches as a follower tells them: a stream, alerts, and answers, each within a second."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.cli.watching import _line
from oms.client.watch import decode_public
from oms.messages import public as p
from oms.messages.alerts import SUBJECT, Alert
from oms.messages.controls import Level, LimitCrossed
from replay.following.public_risk import RULES
from tests.replay.conftest import Following
from tests.replay.journal import Maker, write


def said(maker: Maker, subject: str, **fields: Any) -> None:
    """Say something that must be taken."""
    reply = maker.command(subject, by="kim", **fields).reply
    assert reply.ok, reply


@pytest.fixture
def maker() -> Maker:
    """A desk where everything about controls has happened once."""
    made = Maker()
    made.begin(("main", "sub_arb"), fund="100000")
    scope = "account:sub_arb"
    said(made, "set_limits._.sub_arb._._", scope=scope, limits={"max_exposure": "6000"}, reason="new")
    made.place("sub_arb", quantity="0.09", price="100", strategy="arb")
    said(made, "set_limits._._._._", scope="strategy:arb", limits={"max_position": "9000"})
    said(made, "set_limits._._._._", scope="strategy:arb", clear=["max_position"])
    until = made.clock + 3_600 * 10**9
    said(made, "override_limits._.sub_arb._._", scope=scope, limits={"max_exposure": "5000"}, until=until)
    made.ask("check_risk._._._._")
    made.ask("check_risk._._._._")
    said(made, "end_override._.sub_arb._._", scope=scope, controls=["max_exposure"])
    said(made, "kill.binance._.spot.ETHUSDT", scope="instrument:binance.spot.ETHUSDT", reason="odd")
    said(made, "release.binance._.spot.ETHUSDT", scope="instrument:binance.spot.ETHUSDT")
    said(made, "set_valuation._._._._", asset="BTC", instrument="binance.spot.BTCUSDT")
    said(made, "assign_strategy._.sub_arb._._", strategy="arb", capital="9000")
    made.cut()
    return made


async def stream(nc: Client) -> list[tuple[str, str, bytes]]:
    """(id, subject, payload) of every message of stream RISK."""
    js = nc.jetstream()
    count = (await js.stream_info("RISK")).state.messages
    subscription = await js.subscribe("risk.>", stream="RISK", ordered_consumer=True)
    found = [await subscription.next_msg(timeout=5) for _ in range(count)]
    await subscription.unsubscribe()
    return [(each.headers["Nats-Msg-Id"], each.subject, each.data) for each in found]


async def test_everything_about_controls_is_told_once(nc: Client, following: Following, maker: Maker) -> None:
    """In order, where the scope is, and as the client library reads it."""
    await write(nc, maker.payloads)
    async with following() as follower:
        await follower._publisher.stored(maker.sequence)
        found = await stream(nc)
    async with following() as follower:
        await follower._publisher.stored(maker.sequence)
        assert await stream(nc) == found
    ids = [tuple(map(int, each[0].split("."))) for each in found]
    assert ids == sorted(set(ids))
    told: list[tuple[str, Any]] = [(subject, decode_public(subject, data)) for _, subject, data in found]
    begun = [event for _, event in told if getattr(event, "by", "") == "configuration"]
    assert {event.scope for event in begun if isinstance(event, p.LimitsChanged)} >= {"global", "account:*"}
    rest = [(subject, event) for subject, event in told if getattr(event, "by", "") != "configuration"]
    assert [(subject, event.event) for subject, event in rest] == [
        ("risk._.sub_arb._._", "LimitsSet"),
        ("risk._._._._", "LimitsSet"),
        ("risk._._._._", "LimitsSet"),
        ("risk._.sub_arb._._", "LimitsOverridden"),
        ("risk._._._._", "DayRolled"),
        ("risk._.sub_arb._._", "LimitCrossed"),
        ("risk._.sub_arb._._", "OverrideEnded"),
        ("risk.binance._.spot.ETHUSDT", "KillSwitchEngaged"),
        ("risk.binance._.spot.ETHUSDT", "KillSwitchReleased"),
        ("risk._._._._", "ValuationSet"),
        ("risk._.sub_arb._._", "StrategyAssigned"),
    ]
    events: list[Any] = [event for _, event in rest]
    assert (events[0].limits, events[0].by, events[0].reason) == ({"max_exposure": "6000"}, "kim", "new")
    assert (events[2].limits, events[2].cleared) == ({}, ["max_position"])
    assert events[3].until > maker.clock
    assert (events[5].control, events[5].level, events[5].used, events[5].limit) == (
        "max_exposure",
        Level.NEAR,
        4500,
        5000,
    )
    assert (events[6].cleared, events[6].by) == (["max_exposure"], "kim")
    assert (events[7].engaged, events[7].scope, events[7].reason) == (
        True,
        "instrument:binance.spot.ETHUSDT",
        "odd",
    )
    assert events[8].engaged is False
    assert (events[10].strategy, events[10].account, events[10].capital) == ("arb", "sub_arb", 9000)
    assert (events[9].asset, events[9].rate, events[9].instrument) == ("BTC", None, "binance.spot.BTCUSDT")


def test_a_crossing_names_its_position() -> None:
    """On the public stream, and in a line of `oms watch`; what is a figure of the whole scope names none."""
    said: list[tuple[str, str, bytes]] = []
    place = "binance.sub_arb.spot.BTCUSDT"
    fields: Any = {
        "scope": "account:sub_arb",
        "level": Level.BREACHED,
        "used": Decimal(60),
        "limit": Decimal(50),
    }
    for crossed in (
        LimitCrossed(control="max_position", position=place, **fields),
        LimitCrossed(control="max_exposure", **fields),
    ):
        RULES[LimitCrossed](None, crossed, 1, 1, lambda *told: said.append(told))
    events: list[Any] = [decode_public(subject, data) for _, subject, data in said]
    assert [event.position for event in events] == [place, ""]
    assert [_line(event)[0] for event in events] == [
        f"limit     account:sub_arb  max_position 60 of 50  breached  {place}",
        "limit     account:sub_arb  max_exposure 60 of 50  breached",
    ]


async def test_a_breach_and_a_kill_reach_people_within_a_second(
    nc: Client, following: Following, maker: Maker
) -> None:
    """From the append to the journal until the public event, the alert and the answer: less than a second."""
    await write(nc, maker.payloads)
    arrived: list[tuple[float, Any]] = []

    async def alert(message: Msg) -> None:
        arrived.append((time.monotonic(), msgspec.json.decode(message.data, type=Alert)))

    async def public(message: Msg) -> None:
        arrived.append((time.monotonic(), decode_public(message.subject, message.data)))

    async with following() as follower:
        await follower._publisher.stored(maker.sequence)
        await nc.subscribe(SUBJECT, cb=alert)
        await nc.subscribe("risk.>", cb=public)
        await nc.flush()
        since = maker.sequence
        said(maker, "set_limits._.sub_arb._._", scope="account:sub_arb", limits={"max_exposure": "4000"})
        maker.ask("check_risk._._._._")
        said(maker, "kill._.sub_arb._._", scope="account:sub_arb", reason="too much")
        maker.cut()
        written = time.monotonic()
        await write(nc, maker.payloads[since:])
        async with asyncio.timeout(5):
            while len(arrived) < 5:
                await asyncio.sleep(0.005)
        asked = await nc.request("show_limits._.sub_arb._._", b'{"near": true}', timeout=2)
    assert max(at for at, _ in arrived) - written < 1
    alerts = {each.code: each.message for _, each in arrived if isinstance(each, Alert)}
    assert alerts == {
        "LIMIT": "account:sub_arb: max_exposure is 4500, its limit 4000",
        "KILL": "account:sub_arb: the kill switch is engaged, by kim: too much",
    }
    kinds = [type(each) for _, each in arrived if not isinstance(each, Alert)]
    assert kinds == [p.LimitsChanged, p.LimitReached, p.KillSwitchChanged]
    rows = {row["control"]: row for row in json.loads(asked.data)["rows"]}
    assert set(rows) == {"max_exposure", "kill_switch"}
    assert (rows["max_exposure"]["headroom"], rows["max_exposure"]["level"]) == ("-500", "breached")
