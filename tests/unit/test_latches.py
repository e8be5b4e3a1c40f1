"""Latches and what is not sent yet: what a kill switch holds back beyond what one kill cancels, and that it can be released."""

from typing import Any

import pytest

from tests.unit.desk import Desk


def decided(desk: Desk, verb: str, scope: str, **fields: Any) -> dict[str, Any]:
    """A decision of a person's about a strategy, or about everything."""
    return desk.reply(
        f"{verb}._._._._", {"command_id": desk.next_id(), "scope": scope, "by": "ann", **fields}
    )


def test_what_is_killed_can_be_released_when_nothing_is_left_of_it() -> None:
    """A strategy that is known by its open orders alone is released by a named person after the last of them has ended."""
    desk = Desk()
    order_id = desk.place(strategy="alpha")["order_id"]
    assert decided(desk, "kill", "strategy:alpha")["ok"]
    desk.report("canceled", order_id)
    assert not desk.state.orders[order_id].live
    assert desk.place(strategy="alpha")["error"]["code"] == "KILL_SWITCH"
    assert decided(desk, "release", "strategy:alpha", by="")["error"]["code"] == "PERSON_REQUIRED"
    assert decided(desk, "release", "strategy:alpha")["ok"]
    assert desk.place(strategy="alpha")["ok"]


def test_what_is_held_when_its_scope_is_killed_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that waits for another to end, and is beyond the bound of one kill, is canceled where it would have been sent."""
    monkeypatch.setattr("oms.handlers.kill.MAX_CANCELS", 0)
    desk = Desk()
    assert decided(desk, "set_limits", "global", limits={"self_trade": "cancel_resting"})["ok"]
    resting = desk.place(side="sell")["order_id"]
    desk.report("accepted", resting)
    held = desk.place(strategy="alpha")["order_id"]
    assert desk.state.orders[held].awaits == (resting,)
    assert decided(desk, "kill", "strategy:alpha")["ok"]
    report = {"report": "canceled", "order_id": resting, "reason": "asked", "venue_time": 2}
    told = desk.ask("report.binance.main.spot._", {"session": "s1", "reports": [report]})
    assert not told.instructions
    assert (str(desk.state.orders[held].status), desk.state.orders[held].reason) == (
        "CANCELED",
        "never sent: kill",
    )


def test_what_may_not_be_sent_yet_is_cancelled_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more orders than one kill cancels, those that the venue has not answered come first: they may still be taken back."""
    monkeypatch.setattr("oms.handlers.kill.MAX_CANCELS", 2)
    desk = Desk()
    orders = [desk.place()["order_id"] for _ in range(3)]
    desk.report("accepted", orders[0])
    assert decided(desk, "kill", "global")["ok"]
    asked = [order_id for order_id in orders if desk.state.orders[order_id].cancel_requested]
    assert asked == orders[1:]
