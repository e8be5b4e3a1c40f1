"""Standings: what the watch finds due is found whatever else is known, in one order, and is told when it is over."""

from collections import deque
from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.risk import risk
from oms.aggregates.risk.controls import CONTROLS
from oms.aggregates.risk.totals import MINUTE_NS, MOMENTS_KEPT, note
from oms.handlers.risk_check import HELD_NS, decide_check_risk, is_due
from oms.messages import codec
from oms.messages.controls import KillSwitchEngaged, Level, LimitCrossed
from oms.messages.events import OrderCanceled, OrderCancelRequested
from tests.unit.control_desk import ControlDesk
from tests.unit.desk import SECOND, Desk
from tests.unit.futures_desk import SWAP, FuturesDesk


def limits(desk: Desk, scope: str, subject: str, **said: str) -> None:
    body = {"command_id": desk.next_id(), "scope": scope, "by": "ann", "limits": said}
    answer = desk.reply(f"set_limits.{subject}", body)
    assert answer["ok"], answer


def crossings(desk: Desk) -> list[LimitCrossed]:
    """What a look finds, carried out; a state from a snapshot finds the same to the letter."""
    with exactly():
        found = decide_check_risk(desk.state, desk.now, 0)
        again = decide_check_risk(image.load(image.dump(desk.state)), desk.now, 0)
    assert codec.encode(again) == codec.encode(found)
    assert is_due(desk.state, desk.now, 0) is bool(found)
    desk.ask("check_risk._._._._", {})
    return [event for event in found if isinstance(event, LimitCrossed)]


def test_figures_let_go_are_held_to_their_limit_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope whose idle figures were let go is held to its limit by those that are counted from then on."""
    desk = Desk()
    limits(desk, "instrument:binance.spot.ETHUSDT", "binance._.spot.ETHUSDT", max_open_orders="1")
    assert desk.place("ETHUSDT", quantity="2000")["error"]["code"] == "QUANTITY_TOO_LARGE"
    monkeypatch.setattr(risk, "MAX_GATES", 1)
    assert desk.place()["ok"]
    assert "instrument:binance.spot.ETHUSDT" not in desk.state.risk.totals
    assert desk.place("ETHUSDT")["ok"]
    assert desk.place("ETHUSDT", price="101")["error"]["code"] == "MAX_OPEN_ORDERS"


def test_scopes_are_told_in_one_order() -> None:
    """Crossings come by the scope's name, whichever scope had figures first."""
    desk = Desk()
    crossings(desk)
    for scope, subject in (("global", "_._._._"), ("account:main", "_.main._._")):
        limits(desk, scope, subject, max_open_orders="1")
    assert desk.place()["ok"]
    assert [each.scope for each in crossings(desk)] == ["account:main", "global"]


def futures() -> FuturesDesk:
    """Long of 10 at 100 with a leverage of 1, near neither limit."""
    desk = FuturesDesk()
    limits(desk, "global", "_._._._", max_margin_ratio="0.5", min_liquidation_distance="0.1")
    crossings(desk)
    desk.trade("buy", "10", "100")
    assert crossings(desk) == []
    return desk


def stated(desk: FuturesDesk, **fields: Any) -> None:
    spec = {"symbol": "BTCUSDT", "quantity": "10", "entry_price": "100", "leverage": "1", **fields}
    desk.positions(spec)


@pytest.mark.parametrize(
    "price, level", [("50", None), ("87.5", Level.NEAR), ("90", Level.NEAR), ("90.1", Level.BREACHED)]
)
def test_distance_of_a_liquidation_price(price: str, level: Level | None) -> None:
    """The nearest liquidation price is near from a quarter above the limit on, and breaches it below, not at it."""
    desk = futures()
    stated(desk, liquidation_price=price, margin_mode="cross")
    found = {each.control: each.level for each in crossings(desk)}
    assert found == ({} if level is None else {"min_liquidation_distance": level})


def test_margin_without_equity_is_breached() -> None:
    """Where nothing is left that margin could be a share of, its limit is broken."""
    desk = futures()
    desk.mark("0.1")
    desk.balances({"USDT": "900", "BTC": "1"})
    assert [(e.scope, e.control, e.level, e.used) for e in crossings(desk)] == [
        ("account:main", "max_margin_ratio", Level.BREACHED, Decimal(1_000))
    ]


def test_a_position_that_is_gone_is_clear_of_its_limits() -> None:
    """What was told of an account's margin is told to be over when its last position is closed."""
    desk = futures()
    stated(desk, liquidation_price="95", margin_mode="cross")
    assert [each.level for each in crossings(desk)] == [Level.BREACHED]
    desk.trade("sell", "10", "100")
    desk.now += HELD_NS
    assert [(each.control, each.level) for each in crossings(desk)] == [
        ("min_liquidation_distance", Level.CLEAR)
    ]
    assert crossings(desk) == []


def test_what_is_limited_no_more_is_clear() -> None:
    """What was told to be near or broken is told to be over when its limit is taken away, with no limit and at once."""
    desk = futures()
    stated(desk, liquidation_price="95", margin_mode="cross")
    limits(desk, "global", "_._._._", max_exposure="1000")
    limits(desk, "account:main", "_.main._._", max_exposure="900")
    told = {(each.scope, each.control, each.level) for each in crossings(desk)}
    assert told == {
        ("account:main", "max_exposure", Level.BREACHED),
        ("account:main", "min_liquidation_distance", Level.BREACHED),
        ("global", "max_exposure", Level.NEAR),
    }
    limits(desk, "global", "_._._._", max_exposure="off", min_liquidation_distance="off")
    cleared = {"scope": "account:main", "by": "ann", "clear": ["max_exposure"]}
    assert desk.reply("set_limits._.main._._", {"command_id": desk.next_id(), **cleared})["ok"]
    said = [(each.scope, each.control, each.level, each.limit) for each in crossings(desk)]
    assert sorted(said) == [(scope, control, Level.CLEAR, None) for scope, control, _ in sorted(told)]
    assert crossings(desk) == []
    assert not any(totals.told for totals in desk.state.risk.totals.values())


def test_what_was_never_sent_is_no_rejection_of_the_venue() -> None:
    """An order that waited for another in vain was turned down by nobody: it is no part of a reject storm."""
    desk = Desk()
    limits(desk, "global", "_._._._", self_trade="cancel_resting", max_rejects="1", kill_on="max_rejects")
    crossings(desk)
    assert desk.place(side="sell", price="50000")["ok"]
    held = desk.place(price="50000")["order_id"]
    assert desk.reply("release_orders._._._._", {"order_ids": [held]})["count"] == 1
    assert desk.state.orders[held].status == "REJECTED"
    assert crossings(desk) == []
    assert not desk.state.risk.latches
    desk.report("rejected", desk.place(price="40000")["order_id"])
    crossings(desk)
    assert "global" in desk.state.risk.latches


def test_moments_are_bounded() -> None:
    """However much happens within a minute, no more moments are kept than tell whether any limit is reached or broken."""
    moments: deque[int] = deque()
    for at in range(2 * MOMENTS_KEPT):
        note(moments, at, MINUTE_NS)
    assert len(moments) == MOMENTS_KEPT
    assert moments[-1] == 2 * MOMENTS_KEPT - 1
    counted = ("max_messages", "max_executions", "max_rejects")
    assert all((CONTROLS[name].highest or MOMENTS_KEPT) < MOMENTS_KEPT for name in counted)


def test_names_made_up_cost_others_nothing() -> None:
    """What was made for a strategy that trades stays, whatever number of names are denied beside it, and so do its figures."""
    desk = Desk()
    limits(desk, "global", "_._._._", max_order_quantity="2")
    assert desk.place(strategy="real")["ok"]
    place = ("binance", "main", "spot", "BTCUSDT")
    gate = desk.state.risk.gate(desk.state, place, "real", desk.now)
    for number in range(3 * risk.MAX_STRANGERS):
        assert desk.place(strategy=f"s{number}", quantity="3")["error"]["code"] == "MAX_ORDER_QUANTITY"
    assert desk.state.risk.gate(desk.state, place, "real", desk.now) is gate
    assert len([key for key in desk.state.risk.leaves.by_book if key[4] != "real"]) <= risk.MAX_STRANGERS
    assert desk.place(strategy="s0", price="101")["ok"]
    limits(desk, "strategy:s0", "_._._._", max_open_orders="1")
    assert desk.place(strategy="s0", price="102")["error"]["code"] == "MAX_OPEN_ORDERS"


def test_an_order_that_two_scopes_cover_is_cancelled_once() -> None:
    """Two kill switches that engage in one look ask for each cancel once, and what is held ends once."""
    desk = Desk()
    crossings(desk)
    limits(desk, "global", "_._._._", self_trade="cancel_resting")
    for scope, subject in (("global", "_._._._"), ("account:main", "_.main._._")):
        limits(desk, scope, subject, max_daily_loss="10", kill_on="max_daily_loss")
    rests = desk.place(side="sell", price="60000")["order_id"]
    works = desk.place(price="40000")["order_id"]
    desk.fill(desk.place(price="50000")["order_id"], "1", "50000")
    held = desk.place(price="60000", quantity="0.1")["order_id"]
    assert desk.state.orders[held].awaits == (rests,)
    desk.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "49000"}})
    events = desk.ask("check_risk._._._._", {}).commit.events
    assert [each.scope for each in events if isinstance(each, KillSwitchEngaged)] == [
        "account:main",
        "global",
    ]
    ended = [each.order_id for each in events if isinstance(each, OrderCancelRequested | OrderCanceled)]
    assert sorted(ended) == [works, held]


@pytest.mark.parametrize("listened, killed", [(15 * SECOND, []), (15 * SECOND + 1, ["account:main"])])
def test_time_before_the_engine_listened_makes_no_mark_old(listened: int, killed: list[str]) -> None:
    """An engine that comes back after an hour, with a position held and an order open, kills nothing before it has listened for 15 s."""
    desk = ControlDesk()
    desk.limit("account:main", kill_on="max_price_age", max_price_age="15s")
    desk.step("bought 1 @50000")
    desk.step("works buy 1 @40000")
    desk.now += 3_600 * SECOND + listened
    desk.done("check_risk._._._._", {"since": desk.now - listened})
    assert list(desk.state.risk.latches) == killed


@pytest.mark.parametrize(
    "said, marks, alarm",
    [
        ({"max_daily_loss": "1000", "kill_on": "max_daily_loss"}, ["49000.01"], False),
        ({"max_daily_loss": "1000", "kill_on": "max_daily_loss"}, ["49000"], True),
        ({"max_daily_loss": "1000", "kill_on": "max_daily_loss"}, ["48900", "49500"], True),
        ({"max_daily_loss": "1000", "kill_on": "max_drawdown", "max_drawdown": "9000"}, ["48900"], False),
        ({"max_drawdown": "1000", "kill_on": "max_drawdown"}, ["51000", "50000", "51000"], True),
        ({"max_drawdown": "1000", "kill_on": "max_drawdown"}, ["51000", "50000.01", "51000"], False),
        ({"max_daily_loss": "0", "kill_on": "max_daily_loss"}, ["50001", "50000"], False),
        ({"max_daily_loss": "0", "kill_on": "max_daily_loss"}, ["49999.99", "50001"], True),
    ],
)
def test_a_loss_that_is_touched_is_worth_a_look(said: dict[str, str], marks: list[str], alarm: bool) -> None:
    """Where a kill switch engages on it, and only there: what it is afterwards takes that not back; and a look engages it."""
    desk = ControlDesk()
    desk.step("bought 1 @50000")
    desk.limit("account:main", **said)
    desk.step("watch")
    assert not desk.state.risk.alarm
    for mark in marks:
        desk.step(f"mark {mark}")
        if desk.state.risk.alarm:
            break
    assert desk.state.risk.alarm is alarm
    desk.state.risk.alarm = False
    desk.step("watch")
    assert ("account:main" in desk.state.risk.latches) is alarm
    desk.step("mark 40000")
    # Where it is engaged nothing more can be.
    assert desk.state.risk.alarm is not alarm


def positions(desk: Desk) -> list[tuple[str, str, str, Level, Decimal]]:
    """What is told of positions, carried out: control, scope, position, level, used."""
    return [(e.control, e.scope, e.position, e.level, e.used) for e in crossings(desk) if e.position]


def test_a_contract_of_another_size_is_looked_at_again() -> None:
    """A position that nobody traded comes over its inventory because the venue lists its contract anew."""
    desk = futures()
    limits(desk, "account:main", "_.main._._", max_inventory="BTC=20")
    assert positions(desk) == []
    spec = {**SWAP, "contract_size": "2.5"}
    assert desk.reply("list_instruments.bybit._.futures._", {"instruments": [spec]})["ok"]
    place = "bybit.main.futures.BTCUSDT"
    told = [("max_inventory", "account:main", place, Level.BREACHED, Decimal(25))]
    assert positions(desk) == told
    assert positions(desk) == []


def test_what_only_worked_is_clear_when_it_is_gone() -> None:
    """A position that was never held is told of while its orders work, and to be over once they are gone, after a restart too."""
    desk = Desk()
    crossings(desk)
    place = "binance.main.spot.BTCUSDT"
    order_id = desk.place(quantity="1", price="50000")["order_id"]
    limits(desk, "account:main", "_.main._._", max_position="40000")
    told = positions(desk)
    assert [each[:4] for each in told] == [("max_position", "account:main", place, Level.BREACHED)]
    desk.report("rejected", order_id)
    assert positions(desk) == []
    desk.now += HELD_NS
    assert positions(desk) == [("max_position", "account:main", place, Level.CLEAR, Decimal(0))]
    assert positions(desk) == []


def test_what_is_far_from_its_limit_costs_no_look() -> None:
    """Of many positions only those that are at four fifths of a limit are looked at; a change of limits looks at all of them once."""
    desk = Desk()
    limits(desk, "account:main", "_.main._._", max_position="100000")
    for price in ("50000", "49000"):
        assert desk.place(price=price, quantity="0.5")["ok"]
    crossings(desk)
    with exactly():
        assert desk.state.risk.loud_leaves(desk.now) == []
        assert desk.place(price="48000", quantity="1")["ok"]
        (loud,) = desk.state.risk.loud_leaves(desk.now)
    assert loud.place == "binance.main.spot.BTCUSDT"
    limits(desk, "account:main", "_.main._._", max_position="off")
    crossings(desk)
    with exactly():
        assert desk.state.risk.loud_leaves(desk.now) == []
