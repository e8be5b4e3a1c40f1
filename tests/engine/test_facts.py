"""Facts that the engine cannot take reach somebody: one alert each, and no flood of them."""

import asyncio
import json
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from oms.engine.facts import CODE, MAX_A_MINUTE, MAX_KNOWN, RefusedFacts
from oms.messages.alerts import SUBJECT
from oms.messages.codes import Code
from oms.messages.replies import ErrorBody, RefusedReport
from tests.engine.desk import Trader, Venue, accepted, filled

REPORT = "report.binance.main.spot._"
MINUTE = 60 * 10**9
STRANGE = {"symbol": "DOGEUSDT"}


async def test_a_refused_fact_is_alerted_once(venue: Venue, trader: Trader, nc: Client) -> None:
    """A trade nobody can apply is told once, with what it was; another, a bust and an order are told too; an answer is not."""
    told: list[dict[str, Any]] = []

    async def hear(message: Msg) -> None:
        told.append(json.loads(message.data))

    await nc.subscribe(SUBJECT, cb=hear)
    order_id = (await trader.place("c1"))["order_id"]
    await venue.report(accepted(order_id), filled(order_id, "t1", "0.0004"))
    bust = {**filled(order_id, "never", "1"), "report": "busted"}
    del bust["maker"]
    found = {"report": "found", "order_id": "web", "venue_order_id": "v", "side": "buy", "type": "market"}
    for _ in range(2):
        answer = await venue.report(
            filled(order_id, "t2", "0.0004", side="sell"),
            filled("web", "t3", "0.0004", **STRANGE),
            bust,
            {**found, **STRANGE, "quantity": "1"},
            accepted("nobodys"),
        )
        assert [each["index"] for each in answer["refused"]] == [0, 1, 2, 3, 4]
    async with asyncio.timeout(5):
        while len(told) < 4:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert {alert["code"] for alert in told} == {CODE}
    codes = ["SUBJECT_MISMATCH", "INSTRUMENT_UNKNOWN", "TRADE_UNKNOWN", "INSTRUMENT_UNKNOWN"]
    assert [alert["message"].split(": ")[1] for alert in told] == codes
    assert all(alert["message"].startswith("binance.main.spot: ") for alert in told)
    assert '"trade_id":"t2"' in told[0]["message"]


def test_a_refused_position_is_alerted_once() -> None:
    """A position that nobody can take over is told with what it was; the same one at the next comparison is not."""
    facts = RefusedFacts()
    shown = {"symbol": "DOGEUSDT", "quantity": "7"}
    raw = json.dumps({"session": "s1", "positions": [{"symbol": "BTCUSDT", "quantity": "1"}, shown]}).encode()
    refused = [RefusedReport(1, ErrorBody(Code.INSTRUMENT_UNKNOWN, "not listed"))]
    subject = "report_positions.binance.main.futures._"
    (alert,) = (json.loads(each) for each in facts.alerts(subject, raw, refused, 7, MINUTE))
    assert alert["message"] == (
        'binance.main.futures: INSTRUMENT_UNKNOWN: not listed: {"symbol":"DOGEUSDT","quantity":"7"}'
    )
    assert not list(facts.alerts(subject, raw, refused, 8, 2 * MINUTE))


def refuse(*trade_ids: str, now: int = MINUTE, facts: RefusedFacts) -> list[dict[str, Any]]:
    reports = [filled("web", trade_id, "1", **STRANGE) for trade_id in trade_ids]
    raw = json.dumps({"session": "s1", "reports": reports}).encode()
    error = ErrorBody(Code.INSTRUMENT_UNKNOWN, "not listed")
    refused = [RefusedReport(index, error) for index in range(len(reports))]
    return [json.loads(alert) for alert in facts.alerts(REPORT, raw, refused, 7, now)]


def test_a_flood_is_told_as_one() -> None:
    """Beyond the bound of a minute one alert says that there is more; the next minute they are told again."""
    facts = RefusedFacts()
    told = refuse(*(f"t{number}" for number in range(200)), facts=facts)
    assert len(told) == MAX_A_MINUTE + 1
    assert "more facts" in told[-1]["message"]
    assert refuse("u1", facts=facts) == []
    (again,) = refuse("u2", now=2 * MINUTE, facts=facts)
    assert (again["sequence"], again["at"]) == (7, 2 * MINUTE)


def test_what_was_told_is_remembered_within_bounds() -> None:
    """A fact told again is not alerted again, until so many others came that it is forgotten."""
    facts = RefusedFacts()
    assert len(refuse("t", facts=facts)) == 1
    assert refuse("t", now=2 * MINUTE, facts=facts) == []
    for start in range(0, MAX_KNOWN, 1_000):
        refuse(*(f"x{start + number}" for number in range(1_000)), facts=facts)
    assert len(facts._known) == MAX_KNOWN
    assert len(refuse("t", now=3 * MINUTE, facts=facts)) == 1
