"""Room: what one command makes of many orders is one commit, and fits the room that the engine keeps for it in a frame."""

from typing import Any

import pytest

from oms.engine.batch import MAX_FRAME_BYTES
from oms.engine.engine import _commit_bound
from oms.handlers.change import MAX_CANCELS
from oms.handlers.self_trade import MAX_HELD
from oms.messages.frames import encode_commit
from tests.unit.desk import SECOND, Desk

MANY = MAX_CANCELS + 10


def size(desk: Desk, subject: str, payload: dict[str, Any]) -> int:
    """Bytes of the commit that a command makes; it was made and fits its room."""
    outcome = desk.ask(subject, payload)
    assert outcome.commit is not None, outcome.reply
    written = len(encode_commit(outcome.commit))
    assert written <= _commit_bound(subject) < MAX_FRAME_BYTES
    return written


def said(desk: Desk, **fields: Any) -> dict[str, Any]:
    return {"command_id": desk.next_id(), "by": "ann", **fields}


def many() -> Desk:
    """One with more open orders than one command cancels."""
    desk = Desk()
    desk.ask("check_risk._._._._", {})  # the day begins
    for _ in range(MANY):
        assert desk.place(quantity="0.001", price="6000", strategy="s" * 32)["ok"]
    return desk


def open_orders(desk: Desk) -> int:
    return sum(order.cancel_requested is None for order in desk.state.orders.values())


@pytest.mark.parametrize("verb", ["cancel_all", "drop_client", "kill", "check_risk"])
def test_cancels_of_more_orders_than_fit(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit are asked for at once, and those that are left by the next."""
    desk = many()
    if verb == "cancel_all":
        subject, payload = "cancel_all._.main._._", {"command_id": desk.next_id()}
    elif verb == "drop_client":
        guarded = {"command_id": desk.next_id(), "client": "c1", "timeout_ms": 1_000}
        assert desk.reply("cancel_on_disconnect._.main._._", guarded)["ok"]
        subject, payload = "drop_client._.main._._", {"client": "c1"}
    elif verb == "kill":
        subject, payload = "kill._.main._._", said(desk, scope="account:main", reason="r" * 256)
    else:
        latched = said(desk, scope="account:main", reason="r")
        with monkeypatch.context() as context:
            context.setattr("oms.handlers.kill.MAX_CANCELS", 0)
            assert desk.reply("kill._.main._._", latched)["ok"]
        desk.now += 60 * SECOND
        subject, payload = "check_risk._._._._", {}
    assert size(desk, subject, payload) > 300_000
    assert open_orders(desk) == MANY - MAX_CANCELS
    if verb != "cancel_all":
        desk.now += 60 * SECOND
        again = subject if verb == "drop_client" else "check_risk._._._._"
        size(desk, again, payload if verb == "drop_client" else {})
        assert not open_orders(desk)


def test_no_more_are_held_than_one_commit_releases() -> None:
    """What waits for others is bounded, so that one report which frees them all is one commit; one more is denied."""
    desk = Desk()
    assert desk.reply(
        "set_limits._._._._", said(desk, scope="global", limits={"self_trade": "cancel_resting"})
    )["ok"]
    resting = desk.place(side="sell", quantity="0.001", price="6000")["order_id"]
    desk.report("accepted", resting)
    for _ in range(MAX_HELD):
        desk.place(quantity="0.001", price="6000")
    assert len(desk.state.holds.since) == MAX_HELD == 1_000
    assert desk.place(quantity="0.001", price="6000")["error"]["code"] == "SELF_TRADE"
    report = {"report": "canceled", "order_id": resting, "reason": "asked", "venue_time": 2}
    written = size(desk, "report.binance.main.spot._", {"session": "s1", "reports": [report]})
    assert written > 50_000
    assert not desk.state.holds.since
