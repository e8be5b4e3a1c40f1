"""Controls: what stood in the way of a place, and what it passed, with the figures of that moment, for people who ask why.

Nothing is decided here. The live decision is asked again, under one control at a time, so that each is known to have held or
not; the figures are the rows that `oms risk` showed at that moment.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition, reservation
from oms.aggregates.risk.assignments import Assignment
from oms.aggregates.risk.controls import CONTROLS, GLOBAL
from oms.aggregates.risk.latches import Latch
from oms.handlers.place import decide_place
from oms.handlers.target import Target
from oms.messages.codes import Code
from oms.messages.commands import PlaceOrder
from oms.messages.controls import CAPITAL
from oms.messages.events import OrderDenied, OrderPlaced
from oms.messages.queries import KILL_SWITCH, Statement
from oms.projections.limits import limit_rows
from oms.projections.statements import Statements

RULES: Final = "rules"
"""Everything that no limit says: account, strategy, session, venue, instrument, position, funds."""
_ENDLESS: Final = Decimal(10) ** 40
_WIDEST: Final = {"unassigned_strategies": "allow", "day_starts_at": "0"}
NOTHING_LIMITED: Final = {name: _WIDEST.get(name, "off") for name in CONTROLS}
_OF_NO_ORDER: Final = frozenset({"main_floor", "sub_cap", "day_starts_at", "kill_on", "kill_reduce_only"})

_Denied = tuple[Code, str]


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control of one scope that covers the order.

    Args:
        control: its name, ``kill_switch``, ``capital`` of the strategy, or RULES for everything that no limit says.
        limit: the value in force. ``source``: the scope that says it. ``stated``: the event it comes from.
        used, headroom, nearest: as `oms risk` showed them right before the order; None where nothing adds up.
        held: whether the order passed it; None when it is not known, because RULES stand in the way before it is looked at.
        code, message: what the order is denied with, by this control alone; empty when it passed.
    """

    control: str
    scope: str = ""
    limit: str = ""
    source: str = ""
    used: Decimal | None = None
    headroom: Decimal | None = None
    nearest: str = ""
    held: bool | None
    code: Code | None = None
    message: str = ""
    stated: Statement | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """How a place was decided.

    Args:
        controls: RULES, then every control that is not off, from the widest scope on.
        denied_by: the one that it was denied by; None when it was let through.
        mark: of the instrument at that moment, ``mark_age_ns`` old; None for none.
        unit: USD that one of the quantity was worth; None while that was not known.
        asset: that it is paid or held with. ``needs``: of it, None for a denied one. ``free``: of it, right before.
    """

    controls: list[Control]
    denied_by: Control | None
    mark: Decimal | None
    mark_age_ns: int | None
    unit: Decimal | None
    asset: str
    needs: Decimal | None
    free: Decimal


def explain_place(
    state: Partition, statements: Statements, target: Target, command: PlaceOrder, now: int
) -> Explained:
    """How a place is decided at this moment (UTC ns). Inside :data:`oms.aggregates.money.EXACT`.

    Raises:
        Refused: INVALID_COMMAND, NOT_POSITIVE, INSTRUMENT_UNKNOWN, as the decision does before it comes to controls.
    """
    made = decide_place(state, target, command, now)[-1]
    controls = [*_each(state, statements, target, command, now)]
    found = None
    needs = None
    instrument = target.instrument(state)
    asset, unit = reservation(instrument, command.side, ZERO)
    if isinstance(made, OrderPlaced):
        asset, unit = reservation(instrument, command.side, made.reserve_price)
        needs = made.quantity * unit
    else:
        assert isinstance(made, OrderDenied), "a place ends with one of the two"
        decided = (made.code, made.message)
        failed = (each for each in controls if each.held is False)
        found = next((each for each in failed if (each.code, each.message) == decided), None)
        if found is None:
            # No scope says it alone: a limit is missing.
            found = Control(control=RULES, held=False, code=made.code, message=made.message)
            controls.append(found)
    balance = state.funds_seen(target.account_key).balances.get(asset)
    return Explained(
        controls=controls,
        denied_by=found,
        mark=instrument.mark,
        mark_age_ns=None if instrument.mark is None else now - instrument.mark_at,
        unit=state.risk.gate(state, target[:4], command.strategy, now).leaf.unit,
        asset=asset,
        needs=needs,
        free=ZERO if balance is None else balance.free,
    )


def _each(
    state: Partition, statements: Statements, target: Target, command: PlaceOrder, now: int
) -> Iterator[Control]:
    covering = {
        GLOBAL: 0,
        f"exchange:{target.exchange}": 1,
        f"account:{target.account}": 2,
        f"strategy:{command.strategy}": 3,
        f"instrument:{target.exchange}.{target.market}.{target.symbol}": 4,
    }
    rows = [row for row in limit_rows(state, statements, now) if row.scope in covering]
    latches, assigned = state.risk.latches, state.risk.strategies
    endless = {name: attrs.evolve(each, capital=_ENDLESS) for name, each in assigned.items()}

    def under(
        scope: str,
        said: dict[str, str],
        latched: dict[str, Latch],
        strategies: dict[str, Assignment] = endless,
    ) -> _Denied | None:
        alone = {GLOBAL: dict(NOTHING_LIMITED)}
        alone.setdefault(scope, {}).update(said)
        with _standing(state, alone, latched, strategies):
            return _decide(state, target, command, now)

    rules = under(GLOBAL, {}, {})
    # Funds are looked at behind the controls: whoever lacks them has passed those.
    reached = rules is None or rules[0] is Code.INSUFFICIENT_FUNDS

    def row_of(control: str, found: _Denied | None, looked_at: bool = reached, **fields: Any) -> Control:
        stood = found is not None and found != rules
        held = False if stood else True if looked_at else None
        return Control(control=control, held=held, **fields, **_said(found if stood else None))

    yield Control(control=RULES, held=rules is None, **_said(rules))
    for row in sorted(rows, key=lambda row: covering[row.scope]):
        if row.control == KILL_SWITCH:
            found = under(GLOBAL, {}, {row.scope: latches[row.scope]})
        elif row.control == CAPITAL:
            found = under(GLOBAL, {}, {}, assigned)
        elif row.control in _OF_NO_ORDER or row.limit == NOTHING_LIMITED[row.control]:
            continue
        else:
            found = under(row.scope, {row.control: row.limit}, {})
        yield row_of(
            row.control,
            found,
            # It is the very last that is looked at.
            reached if row.control != "self_trade" else rules is None,
            scope=row.scope,
            limit=row.limit,
            source=row.source,
            used=row.used,
            headroom=row.headroom,
            nearest=row.nearest,
            stated=row.stated,
        )


def _said(denied: _Denied | None) -> dict[str, Any]:
    return {} if denied is None else {"code": denied[0], "message": denied[1]}


def _decide(state: Partition, target: Target, command: PlaceOrder, now: int) -> _Denied | None:
    """What the live decision denies with; None when it lets the order through."""
    last = decide_place(state, target, command, now)[-1]
    return (last.code, last.message) if isinstance(last, OrderDenied) else None


@contextmanager
def _standing(
    state: Partition,
    said: dict[str, dict[str, str]],
    latches: dict[str, Latch],
    strategies: dict[str, Assignment],
) -> Iterator[None]:
    """Let these statements, latches and assignments alone hold for as long as the block lasts."""
    risk, limits = state.risk, state.risk.limits
    before = limits.said, limits.overrides, risk.latches, risk.strategies
    limits.said, limits.overrides, risk.latches, risk.strategies = said, {}, latches, strategies
    risk.version += 1
    try:
        yield
    finally:
        limits.said, limits.overrides, risk.latches, risk.strategies = before
        risk.version += 1
