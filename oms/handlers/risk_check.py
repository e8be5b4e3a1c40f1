"""Risk check: what time and figures make due, found by the engine's watch several times a second.

The trading day rolls, overrides end, figures cross their limits, kill switches engage by themselves, and cancels that are left
over in killed scopes are asked for.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Final

from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import GLOBAL
from oms.aggregates.risk.limits import NOTHING_SAID
from oms.aggregates.risk.standings import (
    MARGIN,
    Standing,
    of_capital,
    of_figures,
    of_margins,
    of_positions,
    stale,
)
from oms.aggregates.risk.totals import told_by
from oms.handlers.change import MAX_CANCELS
from oms.handlers.kill import cancels, left_over
from oms.messages import controls as k
from oms.messages.controls import Level
from oms.messages.events import Event
from oms.messages.scopes import parse_scope

_DAY_NS: Final = 86_400 * 10**9
_HOUR_NS: Final = 3_600 * 10**9
CLEAR: Final = Decimal("0.75")
"""Below this share of its limit a figure that was near is clear of it again."""
HELD_NS: Final = 5 * 10**9
"""A level is held so long before a lower one is told: a figure that goes to and fro is not told again and again."""
MAX_EVENTS: Final = 1_000
"""Crossings and ends told at once; the rest the next time."""
_ORDER: Final = {Level.CLEAR: 0, Level.NEAR: 1, Level.BREACHED: 2}


def is_due(state: Partition, now: int, since: int) -> bool:
    """Whether there is anything to do now, for a watch that looks several times a second."""
    with exactly():
        return bool(decide_check_risk(state, now, since))


def decide_check_risk(state: Partition, now: int, since: int) -> list[Event]:
    """Everything that is due now; nothing for most of the time.

    Args:
        now: UTC ns. ``since``: since when the engine has listened; no mark is too old for a kill switch because of a time before.
    """
    day = trading_day(state, now)
    if day > state.risk.day:
        # Daily figures are at zero behind this, and what crosses is looked at the next time.
        return [k.DayRolled(day=day)]
    standings = list(of_figures(state.risk, now))
    others = (of_margins(state, now), of_capital(state.risk), of_positions(state, now))
    crossed = (_crossing(state, each, now) for each in chain(standings, *others))
    found: list[Event] = [*_ended(state, now), *(event for event in crossed if event is not None)]
    del found[MAX_EVENTS:]
    # What two scopes cover is asked for once: an order that is held ends by it, and ends but once.
    named: set[str] = set()
    for event in _tripped(state, standings, now, since):
        more = cancels(state, parse_scope(event.scope), MAX_CANCELS - len(named), named)
        named.update(map(_name, more))
        found += [event, *more]
    found += [event for event in left_over(state, now, MAX_CANCELS - len(named)) if _name(event) not in named]
    return found


def _name(event: Event) -> str:
    return getattr(event, "order_id", "")


def trading_day(state: Partition, now: int) -> int:
    """First moment of the trading day that a time falls on, UTC ns."""
    hour = state.risk.limits.value(GLOBAL, "", "day_starts_at", now)
    start = (0 if hour is NOTHING_SAID else hour) * _HOUR_NS
    return (now - start) // _DAY_NS * _DAY_NS + start


def _ended(state: Partition, now: int) -> Iterator[Event]:
    over: dict[str, list[str]] = {}
    for scope, control, override in state.risk.limits.running():
        if override.until <= now:
            over.setdefault(scope, []).append(control)
    for scope, names in over.items():
        yield k.OverrideEnded(scope=scope, controls=names, reason="its time is over")


def _crossing(state: Partition, standing: Standing, now: int) -> k.LimitCrossed | None:
    scope, control, level = standing.scope, standing.control, standing.level
    told = state.risk.total(scope).told.get(told_by(control, standing.position))
    before = Level.CLEAR if told is None else told.level
    if level is before:
        return None
    if told is not None and standing.limit is not None and _ORDER[level] < _ORDER[before]:
        # Down again: only after a while, and clear only well below; without a limit there is nothing to go to and fro at.
        if now - told.at < HELD_NS:
            return None
        used, down = standing.used, level is Level.CLEAR and control not in MARGIN
        if down and used and used >= standing.limit * CLEAR:
            return None
    return k.LimitCrossed(
        scope=scope,
        control=control,
        level=level,
        used=standing.used,
        limit=standing.limit,
        position=standing.position,
    )


def _tripped(
    state: Partition, standings: list[Standing], now: int, since: int
) -> Iterator[k.KillSwitchEngaged]:
    """Kill switches that engage by themselves: on a figure at its limit, or else on stale marks."""
    risk = state.risk
    reasons: dict[str, tuple[str, str]] = {}
    for each in standings:
        if not each.used or each.level is not Level.BREACHED or each.scope in reasons:
            continue
        if each.control in (risk.bounds(each.scope, now).said.get("kill_on") or ()):
            reasons[each.scope] = (each.control, f"{each.control} is {each.used}, limit {each.limit}")
    for scope, instrument in stale(state, now, since).items():
        reasons.setdefault(scope, ("max_price_age", f"the mark of {instrument} is too old"))
    for scope, (cause, reason) in reasons.items():
        if scope not in risk.latches:
            allow = risk.holds(scope, "kill_reduce_only", now)
            yield k.KillSwitchEngaged(
                scope=scope, reason=reason[:256], cause=cause, allow_reduce_only=bool(allow)
            )
