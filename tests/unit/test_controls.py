"""Controls beside their scenarios: fail-closed behaviour, bad limits, overrides, the kill switch, trips, figures that are kept up."""

from typing import Any

import pytest

from oms.aggregates.money import exactly
from oms.aggregates.risk.controls import CONTROLS
from oms.aggregates.risk.merging import NOT_OF_ORDERS
from tests.unit.control_desk import ControlDesk, tokens
from tests.unit.desk import SECOND, START, Desk

DAY = 86_400 * SECOND


def scoped(desk: Desk, verb: str, scope: str, **fields: Any) -> dict[str, Any]:
    body = {"command_id": desk.next_id(), "scope": scope, "by": "ann", **fields}
    return desk.reply(f"{verb}.{tokens(scope)}", body)


def limit(desk: Desk, scope: str, **limits: str) -> None:
    answer = scoped(desk, "set_limits", scope, limits=limits)
    assert answer["ok"], answer


def known(desk: Desk) -> Desk:
    """With funds enough, and a strategy that may be named in limits."""
    desk.ask(
        "report_balances.binance.main.spot._", {"session": "s1", "totals": {"USDT": "9000000", "BTC": "90"}}
    )
    desk.ask("check_risk._._._._", {})  # the day begins
    desk.ask(
        "assign_strategy._.main._._",
        {"command_id": desk.next_id(), "strategy": "arb", "capital": "9000000", "by": "ann"},
    )
    return desk


def placed(desk: Desk, terms: dict[str, Any]) -> dict[str, Any]:
    return desk.place(**{"quantity": "1", "price": "50000", **terms})


@pytest.mark.parametrize("control", CONTROLS)
def test_what_nobody_says_denies(control: str) -> None:
    """A control that no scope speaks of lets nothing through that it is for, and the answer names it; off would."""
    desk = ControlDesk()
    for own in desk.state.risk.limits.said.values():
        own.pop(control, None)
    desk.state.risk.version += 1
    order = desk.reply("place.binance.main.spot.BTCUSDT", {"command_id": "o", "side": "buy", "quantity": "1", "type": "limit", "price": "50000"})  # fmt: skip
    moved = desk.reply("transfer.binance.main.spot._", {"command_id": "t", "to": "sub", "asset": "USDT", "amount": "1", "by": "ann"})  # fmt: skip
    denied, let_through = (moved, order) if control in NOT_OF_ORDERS else (order, moved)
    assert denied["error"]["code"] == "LIMIT_MISSING"
    assert control in denied["error"]["message"]
    assert let_through["ok"]


def test_a_control_cannot_be_left_out() -> None:
    """In the global scope every control has to say something: it can be set to off, and not cleared."""
    desk = known(Desk())
    reply = scoped(desk, "set_limits", "global", clear=["max_position"])
    assert reply["error"]["code"] == "LIMIT_REQUIRED"


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"limits": {"max_position": "-1"}}, "LIMIT_INVALID"),
        ({"limits": {"max_position": "NaN"}}, "LIMIT_INVALID"),
        ({"limits": {"max_position": ""}}, "LIMIT_INVALID"),
        ({"limits": {"price_collar": "5"}}, "LIMIT_INVALID"),
        ({"limits": {"max_inventory": "BTC=1,XYZ=2"}}, "LIMIT_INVALID"),
        ({"limits": {"max_inventory": "1"}}, "LIMIT_INVALID"),
        ({"limits": {"max_fun": "1"}}, "LIMIT_UNKNOWN"),
        ({"limits": {"max_order_value": "2", "max_position": "1"}}, "LIMIT_CONTRADICTION"),
        ({"limits": {"max_order_value": "2"}, "by": " "}, "PERSON_REQUIRED"),
        ({"limits": {"main_floor": "2"}, "scope": "account:main"}, "LIMIT_SCOPE"),
        ({"limits": {"max_position": "1"}, "scope": "account:nobody"}, "SCOPE_UNKNOWN"),
        ({"limits": {"max_position": "1"}, "scope": "instrument:binance.spot.NONE"}, "SCOPE_UNKNOWN"),
        ({"limits": {"max_position": "1"}, "scope": "strategy:" + 33 * "x"}, "SCOPE_INVALID"),
        ({"limits": {}}, "INVALID_COMMAND"),
    ],
)
def test_bad_limits_are_refused(fields: dict[str, Any], code: str) -> None:
    """A limit that is negative, contradictory, for nobody or by nobody is refused with its code, and changes nothing."""
    desk = known(Desk())
    before = desk.digest()
    fields = {"scope": "global", **fields}
    reply = scoped(desk, "set_limits", fields.pop("scope"), **fields)
    assert reply["error"]["code"] == code, reply
    assert desk.digest() == before


@pytest.mark.parametrize("verb", ["set_limits", "override_limits"])
@pytest.mark.parametrize(
    "limits, names",
    [
        ({"kill_on": "max_daily_loss"}, "max_daily_loss"),
        ({"kill_on": "max_daily_loss,max_rejects", "max_rejects": "5"}, "max_daily_loss"),
        ({"kill_on": "max_daily_loss", "max_daily_loss": "500"}, ""),
        ({"kill_on": "max_daily_loss", "max_daily_loss": "off"}, ""),
        # Of the age of marks the global scope's word holds.
        ({"kill_on": "max_price_age"}, ""),
        ({"kill_on": "max_differences"}, "max_differences"),
        ({"kill_on": "off"}, ""),
    ],
)
def test_what_kills_has_to_be_limited(verb: str, limits: dict[str, str], names: str) -> None:
    """A kill_on that names what nobody says anything of for the scope would never trip, and nobody would know."""
    desk = known(Desk())
    more = {"until": desk.now + SECOND} if verb == "override_limits" else {}
    reply = scoped(desk, verb, "instrument:binance.spot.BTCUSDT", limits=limits, **more)
    if not names:
        assert reply["ok"], reply
        return
    assert reply["error"]["code"] == "LIMIT_CONTRADICTION"
    assert f"kill_on names {names}, " in reply["error"]["message"]
    said = {**limits, names: "off"}
    again = scoped(desk, verb, "instrument:binance.spot.BTCUSDT", limits=said, **more)
    # What cannot be said of an instrument cannot be added.
    assert again["ok"] is (names != "max_differences")


def test_what_kills_stays_limited() -> None:
    """A limit that a kill_on counts on is not cleared, neither of the scope nor of all of its kind; what never tripped can be."""
    desk = known(Desk())
    each, one = "exchange:*", "exchange:binance"
    assert scoped(desk, "set_limits", each, limits={"max_daily_loss": "500"})["ok"]
    assert scoped(desk, "set_limits", one, limits={"kill_on": "max_daily_loss"})["ok"]
    refused = scoped(desk, "set_limits", each, clear=["max_daily_loss"])["error"]
    assert refused["code"] == "LIMIT_CONTRADICTION"
    assert refused["message"].startswith("exchange:binance: kill_on names max_daily_loss, and ")
    assert "set max_daily_loss for exchange:binance as well, to off if nothing shall" in refused["message"]
    assert scoped(desk, "set_limits", one, limits={"max_daily_loss": "400"})["ok"]
    assert scoped(desk, "set_limits", each, clear=["max_daily_loss"])["ok"]
    assert scoped(desk, "set_limits", one, clear=["max_daily_loss"])["error"]["code"] == "LIMIT_CONTRADICTION"
    # A journal may hold such a statement from before: it stands in the way of nothing else.
    del desk.state.risk.limits.said[one]["max_daily_loss"]
    assert scoped(desk, "set_limits", one, limits={"max_order_value": "5"})["ok"]
    assert scoped(desk, "set_limits", one, clear=["kill_on"])["ok"]


def test_a_refusal_names_what_may_be_meant() -> None:
    """A control written wrongly is answered with the nearest one, a release of the wrong scope with what is engaged."""
    desk = known(Desk())
    for fields in ({"limits": {"max_positon": "1"}}, {"clear": ["max_positon"]}):
        message = scoped(desk, "set_limits", "account:main", **fields)["error"]["message"]
        assert message == "no control is called 'max_positon': max_position may be meant"
    for text, told in (
        ("btc=1", "max_inventory: no instrument has the base asset 'btc': BTC may be meant"),
        ("1", "max_inventory must be amounts by base asset such as BTC=1,ETH=20, or off, was '1'"),
    ):
        reply = scoped(desk, "set_limits", "account:main", limits={"max_inventory": text})
        assert reply["error"]["message"] == told
    reply = scoped(desk, "set_limits", "account:main", limits={"price_collar": "5"})
    told = "price_collar must be a share of at most 1, such as 0.05 for 5 %, or off, was '5'"
    assert reply["error"]["message"] == told
    assert scoped(desk, "kill", "account:main")["ok"]
    message = scoped(desk, "release", "global")["error"]["message"]
    assert message == "the kill switch of global is not engaged; engaged are account:main"


def test_subject_and_scope_agree() -> None:
    """Permission on the subject is permission on the scope, so the two may not differ."""
    desk = known(Desk())
    body = {"command_id": "x", "scope": "global", "by": "ann"}
    assert desk.reply("kill._.main._._", body)["error"]["code"] == "SUBJECT_MISMATCH"


def test_override_ends_by_itself() -> None:
    """An override stands until its time, and then the scope's own limit holds again, before anybody has ended it."""
    desk = known(Desk())
    limit(desk, "account:main", max_order_value="10")
    until = desk.now + 60 * SECOND
    answer = scoped(desk, "override_limits", "account:main", limits={"max_order_value": "60000"}, until=until)
    assert answer["ok"], answer
    assert placed(desk, {})["ok"]
    desk.now = until
    assert placed(desk, {})["error"]["code"] == "MAX_ORDER_VALUE"
    desk.ask("check_risk._._._._", {})
    assert not desk.state.risk.limits.overrides


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"by": ""}, "PERSON_REQUIRED"),
        ({"until": 0}, "OVERRIDE_END"),
        ({"until": START - 1}, "OVERRIDE_END"),
        ({"until": START + 8 * DAY}, "OVERRIDE_END"),
        ({"limits": {}}, "INVALID_COMMAND"),
    ],
)
def test_bad_overrides_are_refused(fields: dict[str, Any], code: str) -> None:
    """An override needs a name and an end."""
    desk = known(Desk())
    fields = {"limits": {"max_position": "1"}, "until": START + DAY, **fields}
    assert scoped(desk, "override_limits", "global", **fields)["error"]["code"] == code


SCOPES = ("global", "exchange:binance", "account:main", "strategy:arb", "instrument:binance.spot.BTCUSDT")


@pytest.mark.parametrize("scope", SCOPES)
def test_kill(scope: str) -> None:
    """A kill latches, asks for a cancel of everything in scope in the same commit, and denies until a named person releases."""
    desk = known(Desk())
    order_id = placed(desk, {"strategy": "arb"})["order_id"]
    desk.report("accepted", order_id)
    outcome = desk.ask(
        f"kill.{tokens(scope)}", {"command_id": "k", "scope": scope, "by": "ann", "reason": "drill"}
    )
    assert outcome.commit is not None
    assert [type(e).__name__ for e in outcome.commit.events] == ["KillSwitchEngaged", "OrderCancelRequested"]
    assert placed(desk, {"strategy": "arb"})["error"]["code"] == "KILL_SWITCH"
    assert desk.amend(order_id, quantity="0.5")["error"]["code"] in ("KILL_SWITCH", "ORDER_PENDING")
    assert scoped(desk, "release", scope, by="")["error"]["code"] == "PERSON_REQUIRED"
    assert placed(desk, {"strategy": "arb"})["error"]["code"] == "KILL_SWITCH"
    assert scoped(desk, "release", scope)["ok"]
    refused = scoped(desk, "release", scope)["error"]
    assert (refused["code"], refused["message"][-9:]) == ("NOT_KILLED", " are none")
    assert placed(desk, {"strategy": "arb"})["ok"]


def test_kill_lets_reducing_through_if_told() -> None:
    """With reduce-only allowed, what brings the position nearer to zero passes, and stays."""
    desk = known(Desk())
    order_id = placed(desk, {})["order_id"]
    desk.fill(order_id, "1", price="50000")
    assert scoped(desk, "kill", "account:main", allow_reduce_only=True)["ok"]
    assert placed(desk, {})["error"]["code"] == "KILL_SWITCH"
    reply = placed(desk, {"side": "sell"})
    assert reply["ok"]
    desk.now += 60 * SECOND
    desk.ask("check_risk._._._._", {})
    assert desk.state.orders[reply["order_id"]].cancel_requested is None


def test_left_over_orders_are_cancelled_again() -> None:
    """An order that the venue did not cancel in a killed scope is asked to again."""
    desk = known(Desk())
    order_id = placed(desk, {})["order_id"]
    desk.report("accepted", order_id)
    scoped(desk, "kill", "global")
    desk.report("cancel_rejected", order_id)
    assert desk.state.orders[order_id].cancel_requested is None
    desk.now += 3 * SECOND
    desk.ask("check_risk._._._._", {})
    assert desk.state.orders[order_id].cancel_requested is not None


def test_daily_loss_trips_and_rolls_with_the_day() -> None:
    """Unrealised loss counts. At the limit opening is denied, the switch trips by itself, and the figure is zero the next day."""
    desk = known(Desk())
    limit(desk, "account:main", max_daily_loss="1000", kill_on="max_daily_loss")
    order_id = placed(desk, {})["order_id"]
    desk.fill(order_id, "1", price="50000")
    marks = "report_marks.binance._.spot._"
    desk.ask(marks, {"marks": {"BTCUSDT": "49000.01"}})
    assert placed(desk, {"price": "49000"})["ok"]
    desk.ask(marks, {"marks": {"BTCUSDT": "49000"}})
    assert placed(desk, {"price": "49000"})["error"]["code"] == "MAX_DAILY_LOSS"
    desk.ask("check_risk._._._._", {})
    latch = desk.state.risk.latches["account:main"]
    assert (latch.cause, latch.by) == ("max_daily_loss", "")
    scoped(desk, "release", "account:main")
    desk.now += DAY
    desk.ask("check_risk._._._._", {})
    assert desk.state.risk.totals["account:main"].day == 0
    assert desk.state.risk.totals["account:main"].drawdown == 0
    assert placed(desk, {"price": "49000"})["ok"]


def test_near_and_breached_are_told_once() -> None:
    """A figure at 80 % of its limit is told as near, and again only when that changes."""
    desk = known(Desk())
    limit(desk, "account:main", max_exposure="60000")
    placed(desk, {})
    found = desk.ask("check_risk._._._._", {}).commit
    assert found is not None
    told = [(e.scope, e.control, e.level) for e in found.events]  # type: ignore[union-attr]
    assert told == [("account:main", "max_exposure", "near")]
    assert desk.ask("check_risk._._._._", {}).commit is None


def test_running_totals_equal_a_recomputation() -> None:
    """After orders, fills and marks the figures are those that adding up from scratch gives."""
    desk = known(Desk())
    for number in range(20):
        reply = placed(desk, {"side": "sell" if number % 3 else "buy", "price": str(49_000 + 100 * number)})
        if number % 2:
            desk.fill(reply["order_id"], "0.5", price="50000", fee="0.001", fee_asset="BNB")
        desk.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": str(50_000 + 37 * number)}})
    risk = desk.state.risk

    def figures() -> dict[str, Any]:
        return {s: (t.exposure, t.day, t.open_orders, t.unvalued) for s, t in risk.totals.items()}

    kept = figures()
    with exactly():
        risk.rebuild(desk.state)
    assert figures() == kept
    assert any(exposure for exposure, *_ in kept.values())
