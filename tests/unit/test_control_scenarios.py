"""The scenarios of risk controls run against the state: commands and reports through the handlers, and what comes of them.

Also that the table is complete: a control without its rows fails here.
"""

from typing import Final

import pytest

from oms.aggregates.risk.controls import CONTROLS, Kind
from oms.aggregates.risk.merging import NOT_OF_ORDERS
from tests.unit.control_desk import SCOPES, ControlDesk
from tests.unit.control_scenarios import SCENARIOS, Row, every_row, rows

ROWS: Final = every_row()
SAID: Final = (Kind.FLAG, Kind.MODE, Kind.CAUSES)
"""Kinds of control that are a word or several: there is no above or below, but one word and another."""
NEVER_ON_AMEND: Final = {
    "duplicate_window": "an amend changes an order that there is, and cannot be placed twice",
    "max_open_orders": "an amend makes no further order",
}
LOOSE: Final = {
    Kind.USD: "9000000",
    Kind.QUANTITY: "900",
    Kind.RATIO: "1",
    Kind.FACTOR: "900",
    Kind.COUNT: "10000",
    Kind.FLAG: "off",
    Kind.ASSETS: "BTC=900",
}
LOOSE_TOO: Final = {
    "max_price_age": "1h",
    "duplicate_window": "1ms",
    "min_liquidation_distance": "0.001",
    "self_trade": "cancel_resting",
}
"""Of some controls less is looser, or there is nothing to count."""
OF_ITSELF: Final = frozenset({"kill_on", "kill_reduce_only"})
"""What a scope says of its own kill switch, and no other scope's."""


def name(row: Row) -> str:
    return f"{row.control}: {row.done}: {row.words}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_row(row: Row) -> None:
    """What the row says comes of it, in the state and in a replica; and what still works can be cancelled, whatever stands."""
    desk = ControlDesk()
    assert tuple(desk.play(row)) == row.outcomes
    for order in [order for live in desk.state.live.values() for order in live.values()]:
        if order.cancel_requested is None:
            assert desk.cancels(order.order_id)


WORDS: Final = frozenset({"self_trade", "unassigned_strategies"})
"""Controls whose denials say what stands against the order, which is no limit of a scope."""
HELD_AGAINST: Final = CONTROLS.keys() - NOT_OF_ORDERS - OF_ITSELF - WORDS - {"day_starts_at"}


@pytest.mark.parametrize("control", sorted(HELD_AGAINST))
def test_a_denial_names_the_scope_whose_limit_it_is(control: str) -> None:
    """Where one scope alone has a limit, an order that it denies is told which."""
    code = CONTROLS[control].code
    some = [row for row in rows(control) if code in row.outcomes and row.verb in ("place", "amend", "bulk")]
    some = [row for row in some if len(row.limits.split()) == 2 and "limit " not in row.before]
    assert some
    for row in some:
        desk = ControlDesk()
        desk.play(row)
        scope = row.limits.split()[0]
        told = [message for found, message in desk.refusals if found == code]
        # Of all of a kind it is the one that the order belongs to.
        assert all(SCOPES.get(scope, scope).removesuffix("*") in message for message in told), (row, told)


def test_the_table_is_in_the_order_of_the_controls() -> None:
    """Every control has a section, in the order of the table of controls, before those of anything else; no row stands twice."""
    assert list(SCENARIOS)[: len(CONTROLS)] == list(CONTROLS)
    cases = [row[:1] + row[2:5] for row in ROWS]
    assert not {case for case in cases if cases.count(case) > 1}
    assert all(row.words for row in ROWS)


def found(control: str, *verbs: str, bulk: bool = False) -> list[Row]:
    """The rows that do so, in bulk or not."""
    return [row for row in rows(control) if row.bulk is bulk and set(verbs) & {*row.done.split()}]


def cases(some: list[Row]) -> set[str]:
    return {word for row in some for word in row.case.split()}


@pytest.mark.parametrize("control", [*CONTROLS, "capital"])
def test_every_control_has_its_rows(control: str) -> None:
    """A number has rows below, at and above on place, on amend and in bulk, a word has one for each; a cancel always goes."""
    known = CONTROLS.get(control)
    said = known is not None and known.kind in SAID
    if control in NOT_OF_ORDERS:
        some = found(control, "transfer")
        assert {"below", "at", "above"} <= cases(some)
        assert any(len(row.outcomes) > 1 and len(set(row.outcomes)) > 1 for row in some)
        return
    placed = found(control, "place") + (found(control, "watch") if said else [])
    assert len(cases(placed)) > 1
    assert any(known is None or known.code in row.outcomes for row in placed)
    for verb, some in (("place", placed), ("amend", found(control, "amend"))):
        if verb == "amend" and control in NEVER_ON_AMEND:
            assert cases(some) == {"never"}
        elif said:
            assert some
        else:
            assert {"below", "at", "above"} <= cases(some), verb
    bulk = [outcome for row in rows(control) if row.bulk for outcome in row.outcomes]
    assert len({*bulk} - {"ok"}) == 1
    assert "ok" in bulk or control in ("restricted", "kill_on")
    cancelled = found(control, "cancel")
    assert cancelled
    assert {row.outcomes for row in cancelled if row.verb == "cancel"} <= {("ok",), ("ok", "ok")}


SCOPED: Final = [
    (control, scope)
    for control in CONTROLS.values()
    if len(control.scopes) > 1 and control.name not in OF_ITSELF
    for scope in control.scopes
]


@pytest.mark.parametrize("control, scope", SCOPED, ids=lambda each: getattr(each, "name", each))
def test_the_tightest_scope_wins(control, scope: str) -> None:  # type: ignore[no-untyped-def]
    """What one scope says holds, whichever it is, when all the others are looser."""
    row = next(row for row in found(control.name, "place") if row.outcomes == (control.code,))
    ((_, value),) = (row.limits.split(),)
    names = {each: each for each in control.scopes} | {"strategy": "hand"}
    if "of perp" in row.done:
        names["instrument"] = "perp"
    loose = LOOSE_TOO.get(control.name) or LOOSE[control.kind]
    limits = [f"{names[each]} {value if each == scope else loose}" for each in control.scopes]
    assert ControlDesk().play(row._replace(limits="; ".join(limits))) == [control.code]
    limits = [f"{names[each]} {loose}" for each in control.scopes]
    assert ControlDesk().play(row._replace(limits="; ".join(limits))) != [control.code]
