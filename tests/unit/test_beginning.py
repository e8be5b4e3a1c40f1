"""Beginning: what a start takes from the configuration is what the journal has never spoken of, and nothing that was taken away."""

from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates import image
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import CONTROLS
from oms.aggregates.risk.risk import MAX_STRATEGIES
from oms.engine.beginning import otherwise
from oms.messages.controls import BeginControls
from tests.limits import BEGIN_SUBJECT, WIDE
from tests.unit.desk import Desk, check_same

OF_MAIN = {"max_order_value": "100000", "max_position": "200000"}
FILE = BeginControls(
    limits={**WIDE, "account:main": OF_MAIN}, valuations={}, strategies={"arb": ("main", Decimal(900000))}
)


def start(desk: Desk, file: BeginControls = FILE) -> int:
    """The engine starts with a file; how many events that is. What the log said would be taken from it, and no more, was."""
    said = {
        "limits": file.limits,
        "valuations": {},
        "strategies": {name: (account, str(capital)) for name, (account, capital) in file.strategies.items()},
    }
    count: int = desk.reply(BEGIN_SUBJECT, said).get("count", 0)
    check_same(desk.state, desk.replica)
    check_same(desk.state, image.load(image.dump(desk.state)))
    return count


def ann(desk: Desk, verb: str, place: str, **fields: Any) -> None:
    """A decision of a person's."""
    answer = desk.reply(f"{verb}.{place}", {"command_id": desk.next_id(), "by": "ann", **fields})
    assert answer["ok"], answer


def said(state: Partition) -> dict[str, dict[str, str]]:
    return {scope: dict(own) for scope, own in state.risk.limits.said.items() if own}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    assert start(desk) == 2
    return desk


def test_what_was_never_spoken_of_is_begun_once(desk: Desk) -> None:
    """A scope and a strategy that the file names for the first time are taken from it, and the same file adds nothing more."""
    assert said(desk.state)["account:main"] == OF_MAIN
    assert start(desk) == 0
    later = {**FILE.limits, "strategy:new": {"max_position": "5"}}
    assert start(desk, BeginControls(limits=later, valuations={}, strategies=FILE.strategies)) == 1
    assert said(desk.state)["strategy:new"] == {"max_position": "5"}


@pytest.mark.parametrize("restored", [False, True], ids=["kept up", "from an image"])
def test_limits_that_were_cleared_stay_so(desk: Desk, restored: bool) -> None:
    """A person took the last limit of an account away: no start gives it back, and the log names what the file says otherwise."""
    ann(desk, "set_limits", "_.main._._", scope="account:main", clear=list(OF_MAIN))
    if restored:
        desk.state = image.load(image.dump(desk.state))
    assert start(desk) == 0
    assert "account:main" not in said(desk.state)
    (one, other) = [line for line in otherwise(desk.state, FILE) if "account:main" in line]
    assert "max_order_value is '100000' in the configuration, and 'nothing' in the journal" in one
    assert "max_position" in other


def test_one_limit_that_was_cleared_stays_so(desk: Desk) -> None:
    """A named scope is spoken of as a whole."""
    ann(desk, "set_limits", "_.main._._", scope="account:main", clear=["max_position"])
    assert start(desk) == 0
    assert said(desk.state)["account:main"] == {"max_order_value": "100000"}


@pytest.mark.parametrize("restored", [False, True], ids=["kept up", "from an image"])
def test_a_strategy_that_was_taken_away_stays_so(desk: Desk, restored: bool) -> None:
    """A person took a strategy from its account: no start assigns it again, and a person's assignment is what does."""
    ann(desk, "set_limits", "_._._._", scope="global", limits={"unassigned_strategies": "deny"})
    assert desk.place(strategy="arb")["ok"]
    ann(desk, "assign_strategy", "_.main._._", strategy="arb", capital=None)
    if restored:
        desk.state = image.load(image.dump(desk.state))
    assert start(desk) == 0
    assert desk.place(strategy="arb", price="101")["error"]["code"] == "STRATEGY_UNASSIGNED"
    (line,) = [line for line in otherwise(desk.state, FILE) if line.startswith("risk.strategies")]
    assert "risk.strategies.arb is main with 900000 USD in the configuration, and was taken from its" in line
    ann(desk, "assign_strategy", "_.main._._", strategy="arb", capital="700000")
    assert start(desk) == 0
    assert desk.place(strategy="arb", price="101")["ok"]
    assert not desk.state.risk.unassigned


def test_what_is_spoken_of_is_state(desk: Desk) -> None:
    """A scope whose limits were cleared, and a strategy that was taken away, are another state than what was never said."""
    fresh = image.load(image.dump(desk.state))
    ann(desk, "set_limits", "_._._._", scope="exchange:*", limits={"max_position": "5"})
    before = image.digest(desk.state)
    ann(desk, "set_limits", "_._._._", scope="exchange:*", clear=["max_position"])
    ann(desk, "assign_strategy", "_.main._._", strategy="y", capital="5")
    ann(desk, "assign_strategy", "_.main._._", strategy="y", capital=None)
    names = {name for name, _ in image.entities(desk.state)} - {name for name, _ in image.entities(fresh)}
    assert {"limits exchange:*", "strategy y"} <= names
    assert len({before, image.digest(desk.state), image.digest(fresh)}) == 3


def test_a_journal_from_before_controls_gets_them() -> None:
    """Its first start begins with everything that the file says."""
    desk = Desk.__new__(Desk)
    desk.__dict__ |= Desk().__dict__
    desk.state, desk.replica = Partition(), Partition()
    assert start(desk) == len(FILE.limits) + 1
    assert said(desk.state) == FILE.limits


def test_a_control_of_a_later_version_gets_its_default() -> None:
    """What the global scope says nothing of nobody can have decided about: it is taken over wherever the file says it."""
    desk = Desk.__new__(Desk)
    desk.__dict__ |= Desk().__dict__
    desk.state, desk.replica = Partition(), Partition()
    old = {
        scope: {name: value for name, value in own.items() if name != "max_position"}
        for scope, own in FILE.limits.items()
    }
    start(desk, BeginControls(limits=old, valuations={}, strategies={}))
    ann(desk, "set_limits", "_._._._", scope="strategy:*", clear=list(old["strategy:*"]))
    # Global, strategy:*, account:main, and the strategy.
    assert start(desk) == 4
    assert said(desk.state)["strategy:*"] == {"max_position": "off"}
    assert said(desk.state)["account:main"] == OF_MAIN
    assert said(desk.state)["global"].keys() == CONTROLS.keys()
    assert start(desk) == 0


def test_names_that_were_taken_away_count_among_the_strategies(desk: Desk) -> None:
    """What is kept of them for good is bounded."""
    for number in range(MAX_STRATEGIES - 1):
        desk.state.risk.unassigned[f"s{number}"] = None
    more = {"command_id": "m", "strategy": "more", "capital": "5", "by": "ann"}
    assert desk.reply("assign_strategy._.main._._", more)["error"]["code"] == "STRATEGY_LIMIT"
    ann(desk, "assign_strategy", "_.main._._", strategy="s7", capital="5")


def test_scopes_whose_limits_were_cleared_count_among_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of them for good is bounded."""
    monkeypatch.setattr("oms.handlers.limits.MAX_LIMITED", len(desk.state.risk.limits.said))
    ann(desk, "set_limits", "_.main._._", scope="account:main", clear=list(OF_MAIN))
    more = {"command_id": "m", "scope": "exchange:*", "limits": {"restricted": "on"}, "by": "ann"}
    assert desk.reply("set_limits._._._._", more)["error"]["code"] == "LIMIT_SCOPE"
    ann(desk, "set_limits", "_.main._._", scope="account:main", limits=OF_MAIN)


def test_a_start_names_what_would_never_trip(desk: Desk) -> None:
    """A journal may hold it from before that was refused, or come to it with a scope that the file names for the first time."""
    assert not list(otherwise(desk.state, FILE))
    desk.state.risk.limits.said["exchange:binance"] = {"kill_on": "max_rejects"}
    (line,) = otherwise(desk.state, FILE)
    assert line.startswith(
        "exchange:binance: kill_on names max_rejects, and exchange:binance and exchange:* say nothing"
    )
    each = {**FILE.limits, "exchange:*": {"max_rejects": "5"}}
    assert not list(
        otherwise(desk.state, BeginControls(limits=each, valuations={}, strategies=FILE.strategies))
    )
    ann(desk, "set_limits", "_._._._", scope="account:*", clear=["kill_on", "max_rejects"])
    new = {**FILE.limits, "account:other": {"kill_on": "max_rejects"}}
    said = [
        line
        for line in otherwise(desk.state, BeginControls(limits=new, valuations={}, strategies={}))
        if "other" in line
    ]
    assert len(said) == 1
    assert said[0].startswith(
        "account:other: kill_on names max_rejects, and account:other and account:* say nothing"
    )
