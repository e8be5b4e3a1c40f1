"""Risk check: what time and figures make due, found by the engine's watch several times a second.

The trading day rolls, overrides end, figures cross their limits, kill switches engage by themselves, and cancels that are left
over in killed scopes are asked for.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import GLOBAL
from oms.aggregates.risk.figures import CLEAR, FIGURES, HELD_NS, NEAR, margins
from oms.aggregates.risk.limits import NOTHING_SAID
from oms.handlers.change import MAX_CANCELS
from oms.handlers.kill import cancels, left_over
from oms.messages import controls as k
from oms.messages.controls import Level
from oms.messages.events import Event
from oms.messages.scopes import parse_scope

_DAY_NS: Final = 86_400 * 10**9
_HOUR_NS: Final = 3_600 * 10**9
MAX_EVENTS: Final = 1_000
"""Crossings and ends told at once; the rest the next time."""
_ORDER: Final = {Level.CLEAR: 0, Level.NEAR: 1, Level.BREACHED: 2}


def is_due(state: Partition, now: int) -> bool:
    """Whether there is anything to do now, for a watch that looks several times a second."""
    with exactly():
        return bool(decide_check_risk(state, now))


def decide_check_risk(state: Partition, now: int) -> list[Event]:
    """Everything that is due now; nothing for most of the time.

    Args:
        now: UTC ns.
    """
    day = trading_day(state, now)
    if day > state.risk.day:
        # Daily figures are at zero behind this, and what crosses is looked at the next time.
        return [k.DayRolled(day=day)]
    found: list[Event] = [*_ended(state, now), *_crossed(state, now)][:MAX_EVENTS]
    room = MAX_CANCELS
    for event in _tripped(state, now):
        more = cancels(state, parse_scope(event.scope), room)
        room -= len(more)
        found += [event, *more]
    named = {event.order_id for event in found if hasattr(event, "order_id")}
    found += [event for event in left_over(state, now, room) if _name(event) not in named]
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


def _crossed(state: Partition, now: int) -> Iterator[Event]:
    for each in state.risk.watchlist(now):
        used = each.figure(each.totals, now)
        told = each.totals.told.get(each.control)
        if not used and told is None:
            continue
        yield from _crossing(
            state, each.totals.scope, each.control, each.level(used), Decimal(used), Decimal(each.limit), now
        )
    for account, use in margins(state).items():
        for control, value, level in (
            ("max_margin_ratio", use.ratio, _above),
            ("min_liquidation_distance", use.distance, _below),
        ):
            limit = state.risk.limits_of("account", account, control, now)
            if limit is not None and value is not None:
                yield from _crossing(
                    state, f"account:{account}", control, level(value, limit), value, limit, now
                )


def _above(value: Decimal, limit: Decimal) -> Level:
    if value > limit:
        return Level.BREACHED
    return Level.NEAR if value >= limit * NEAR else Level.CLEAR


def _below(value: Decimal, limit: Decimal) -> Level:
    if value < limit:
        return Level.BREACHED
    return Level.NEAR if value * NEAR <= limit else Level.CLEAR


def _crossing(
    state: Partition, scope: str, control: str, level: Level, used: Decimal, limit: Decimal, now: int
) -> Iterator[Event]:
    told = state.risk.total(scope).told.get(control)
    before = Level.CLEAR if told is None else told.level
    if level is before:
        return
    if told is not None and _ORDER[level] < _ORDER[before]:
        # Down again: only after a while, and clear only well below.
        if now - told.at < HELD_NS:
            return
        if level is Level.CLEAR and control in FIGURES and used >= limit * CLEAR:
            return
    yield k.LimitCrossed(scope=scope, control=control, level=level, used=used, limit=limit)


def _tripped(state: Partition, now: int) -> Iterator[k.KillSwitchEngaged]:
    risk = state.risk
    causes = risk.tripping(now)
    if not causes:
        return
    reasons: dict[str, tuple[str, str]] = {}
    for each in risk.watchlist(now):
        scope = each.totals.scope
        if each.control in causes.get(scope, ()) and scope not in reasons:
            used = each.figure(each.totals, now)
            if used and each.level(used) is Level.BREACHED:
                reasons[scope] = (each.control, f"{each.control} is {used}, limit {each.limit}")
    for scope, symbol in _stale(state, causes, now):
        reasons.setdefault(scope, ("max_price_age", f"the mark of {symbol} is too old"))
    for scope, (cause, reason) in reasons.items():
        if scope not in risk.latches:
            kind, _, name = scope.partition(":")
            allow = risk.limits_of(kind, name, "kill_reduce_only", now)
            yield k.KillSwitchEngaged(
                scope=scope, reason=reason[:256], cause=cause, allow_reduce_only=bool(allow)
            )


def _stale(state: Partition, causes: dict[str, frozenset[str]], now: int) -> Iterator[tuple[str, str]]:
    """Scopes with live orders on an instrument whose mark is too old: (scope, symbol)."""
    if not any("max_price_age" in each for each in causes.values()):
        return
    for held in (state.risk.leaves.values(), state.risk.parts.values()):
        for leaf in held:
            if not leaf.orders:
                continue
            age = now - leaf.instrument.mark_at
            for totals in leaf.totals:
                if "max_price_age" not in causes.get(totals.scope, ()):
                    continue
                kind, _, name = totals.scope.partition(":")
                limit = state.risk.limits_of(kind, name, "max_price_age", now)
                if limit is not None and age > limit:
                    yield totals.scope, leaf.instrument.symbol
