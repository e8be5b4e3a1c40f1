"""Latches and what is not sent yet: what a kill switch holds back beyond what one kill cancels, and that it can be released."""

from typing import Any

import pytest

from oms.aggregates import image
from tests.unit.desk import Desk, check_same


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


def test_a_strategy_is_killed_and_limited_by_its_name_alone() -> None:
    """Whatever its orders came to, and before it has any: the next one is denied. A name that nobody traded under leaves nothing."""
    desk = Desk()
    rejected = desk.place(strategy="alpha")["order_id"]
    desk.report("rejected", rejected)
    for name in ("alpha", "never heard of"):
        before = len(desk.state.risk.totals)
        assert decided(desk, "kill", f"strategy:{name}")["ok"]
        check_same(desk.state, desk.replica)
        assert desk.place(strategy=name, price="101")["error"]["code"] == "KILL_SWITCH"
        assert decided(desk, "release", f"strategy:{name}")["ok"]
        assert decided(desk, "set_limits", f"strategy:{name}", limits={"restricted": "on"})["ok"]
        assert desk.place(strategy=name, price="101")["error"]["code"] == "RESTRICTED"
        assert decided(desk, "set_limits", f"strategy:{name}", clear=["restricted"])["ok"]
        assert desk.place(strategy=name, price="101")["ok"]
        assert len(desk.state.risk.totals) <= before + 1
    check_same(desk.state, image.load(image.dump(desk.state)))


def test_names_that_are_killed_leave_nothing_behind_when_they_are_released() -> None:
    """However many a person or a program makes up."""
    desk = Desk()
    before = len(desk.state.risk.totals)
    for number in range(50):
        assert decided(desk, "kill", f"strategy:s{number}")["ok"]
        assert decided(desk, "release", f"strategy:s{number}")["ok"]
    assert len(desk.state.risk.totals) == before


def test_a_denial_names_the_kill_switch_that_is_in_the_way() -> None:
    """Not one that would let the order through: releasing that would change nothing."""
    desk = Desk()
    desk.fill(desk.place(strategy="alpha")["order_id"], "1")
    for scope, by, allow in (("global", "gil", True), ("account:main", "mae", False)):
        tokens = "_.main._._" if scope == "account:main" else "_._._._"
        fields = {"scope": scope, "by": by, "reason": "odd", "allow_reduce_only": allow}
        assert desk.reply(f"kill.{tokens}", {"command_id": desk.next_id(), **fields})["ok"]
    reducing = {"side": "sell", "quantity": "0.5", "strategy": "alpha"}
    denied = desk.place(**reducing)["error"]
    assert (denied["code"], denied["message"]) == (
        "KILL_SWITCH",
        "the kill switch of account:main is engaged by mae: odd",
    )
    release = {"command_id": desk.next_id(), "scope": "account:main", "by": "ann"}
    assert desk.reply("release._.main._._", release)["ok"]
    assert desk.place(**reducing)["ok"]
    assert desk.place(side="buy")["error"]["message"] == "the kill switch of global is engaged by gil: odd"


def test_a_denial_names_the_scope_whose_mode_is_in_the_way() -> None:
    """The account's lets through what closes its position; the strategy's does not: it has no part in that."""
    desk = Desk()
    desk.fill(desk.place(strategy="alpha")["order_id"], "1")
    on = {"limits": {"reduce_only": "on"}, "by": "ann"}
    for subject, scope in (("_.main._._", "account:main"), ("_._._._", "strategy:beta")):
        assert desk.reply(f"set_limits.{subject}", {"command_id": desk.next_id(), "scope": scope, **on})["ok"]
    denied = desk.place(side="sell", quantity="0.5", strategy="beta")["error"]
    assert denied["code"] == "REDUCE_ONLY_MODE"
    assert denied["message"].endswith("(strategy:beta)")
    assert desk.place(side="buy", strategy="beta")["error"]["message"].endswith("(account:main)")


@pytest.mark.parametrize("verb", ["kill", "set_limits", "override_limits"])
def test_strategies_that_only_have_a_name_are_bounded(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound no other name is kept; a strategy that trades or was named before is killed and limited all the same."""
    monkeypatch.setattr("oms.handlers.strategies.MAX_STRATEGIES", 3)
    desk = Desk()
    assert desk.place(strategy="trades")["ok"]
    fields: dict[str, Any] = {"limits": {"max_position": "5"}, "until": desk.now + 10**9}
    fields = {} if verb == "kill" else fields if verb == "override_limits" else {"limits": fields["limits"]}
    assert decided(desk, "kill", "strategy:s0")["ok"]
    # strategy:market_making has a limit by default.
    assert decided(desk, verb, "strategy:s1", **fields)["ok"]
    assert decided(desk, verb, "strategy:s2", **fields)["error"]["code"] == "STRATEGY_LIMIT"
    for name in ("s0", "s1", "trades", "", "external"):
        assert decided(desk, verb, f"strategy:{name}", **fields)["ok"]
    assert decided(desk, "release", "strategy:s0")["ok"]
    assert decided(desk, "release", "strategy:s2")["error"]["code"] == "NOT_KILLED"


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


def beyond(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let one commit ask for so many cancels."""
    monkeypatch.setattr("oms.handlers.kill.MAX_CANCELS", most)
    monkeypatch.setattr("oms.handlers.risk_check.MAX_CANCELS", most)


def asked(desk: Desk) -> list[bool]:
    """Of each order whether its cancel was asked for."""
    return [order.cancel_requested is not None for order in desk.state.orders.values()]


def test_what_a_kill_left_is_asked_for_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound of a commit nothing waits, whatever has become of the orders since: nobody asked for their cancels."""
    beyond(monkeypatch, 2)
    desk = Desk()
    desk.ask("check_risk._._._._", {})
    orders = [desk.place(quantity="0.5")["order_id"] for _ in range(5)]
    for order_id in orders:
        desk.report("accepted", order_id)
    assert decided(desk, "kill", "global")["ok"]
    assert asked(desk) == [True, True, False, False, False]
    desk.fill(orders[2], "0.1")
    desk.ask("check_risk._._._._", {})
    assert asked(desk) == [True, True, True, True, False]
    desk.ask("check_risk._._._._", {})
    assert all(asked(desk))


def test_a_release_asks_for_what_the_kill_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order lives on because it was beyond the bound: a release asks for it, and waits for the watch where that is too many."""
    beyond(monkeypatch, 2)
    desk = Desk()
    desk.ask("check_risk._._._._", {})
    orders = [desk.place(quantity="0.5")["order_id"] for _ in range(6)]
    for order_id in orders[1:]:
        desk.report("accepted", order_id)
    assert decided(desk, "kill", "global")["ok"]
    error = decided(desk, "release", "global")["error"]
    assert error["code"] == "CANCELS_LEFT"
    assert error["message"].startswith("4 orders of global are not asked to cancel yet, 2 are at once")
    assert asked(desk).count(True) == 2
    desk.ask("check_risk._._._._", {})
    assert asked(desk).count(True) == 4
    assert decided(desk, "release", "global")["ok"]
    assert all(asked(desk))
    assert not desk.state.risk.latches
    check_same(desk.state, desk.replica)


def test_a_release_asks_for_nothing_twice() -> None:
    """What the venue refused to cancel was asked for, and what was placed since is not meant."""
    desk = Desk()
    refused = desk.place()["order_id"]
    desk.report("accepted", refused)
    assert decided(desk, "kill", "global", allow_reduce_only=True)["ok"]
    desk.now += 10**9
    desk.report("cancel_rejected", refused)
    desk.report("found", "web")
    assert decided(desk, "release", "global")["ok"]
    assert asked(desk) == [False, False]
