"""Figures: how every scope stands to its limits, for the engine to act on and for people to see."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import attrs

from oms.aggregates.money import ZERO
from oms.aggregates.risk.bounds import NEAR
from oms.aggregates.risk.controls import CONTROLS, GLOBAL
from oms.aggregates.risk.limits import Override
from oms.aggregates.risk.totals import MINUTE_NS, SECOND_NS, Totals, within
from oms.messages.controls import Level

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition
    from oms.aggregates.risk.risk import Risk

Figure = Callable[[Totals, int], Any]


def _exposure(totals: Totals, now: int) -> Decimal:
    return totals.exposure


def _open_orders(totals: Totals, now: int) -> int:
    return totals.open_orders


def _loss(totals: Totals, now: int) -> Decimal:
    return -totals.day if totals.day < 0 else ZERO


def _drawdown(totals: Totals, now: int) -> Decimal:
    return totals.peak - totals.carried - totals.day


def _messages(totals: Totals, now: int) -> int:
    return within(totals.messages, now, SECOND_NS) if totals.messages else 0


def _executions(totals: Totals, now: int) -> int:
    return within(totals.executions, now, MINUTE_NS) if totals.executions else 0


def _rejects(totals: Totals, now: int) -> int:
    return within(totals.rejects, now, MINUTE_NS) if totals.rejects else 0


def _differences(totals: Totals, now: int) -> int:
    return sum(totals.differences.values()) if totals.differences else 0


FIGURES: Final[dict[str, Figure]] = {
    "max_exposure": _exposure,
    "max_open_orders": _open_orders,
    "max_messages": _messages,
    "max_daily_loss": _loss,
    "max_drawdown": _drawdown,
    "max_executions": _executions,
    "max_rejects": _rejects,
    "max_differences": _differences,
}
"""Of each figure control, what is held against the limit."""

AT_THE_LIMIT: Final = frozenset({"max_daily_loss", "max_drawdown", "max_executions", "max_rejects"})
"""Controls that are broken at their limit; of the others, the limit itself may be used."""


def level_of(control: str, used: Any, limit: Any) -> Level:
    """How a figure stands to its limit, whatever was told before."""
    if used > limit or (used == limit and control in AT_THE_LIMIT):
        return Level.BREACHED
    if used and used >= limit * NEAR:
        return Level.NEAR
    return Level.CLEAR


def split_scope(scope: str) -> tuple[str, str]:
    """Kind and name."""
    kind, _, name = scope.partition(":")
    return kind, name


# -- for people


@attrs.frozen
class LimitUse:
    """One control of one scope.

    Args:
        limit: the value in force, as text. ``source``: the scope that says it. ``own``: what the scope itself has set,
            overrides apart; None for nothing.
        used, headroom, level: of figure controls, and of max_position (the largest position); None where there is nothing
            to measure.
    """

    scope: str
    control: str
    limit: str
    source: str
    own: str | None
    override: Override | None
    used: Decimal | None
    headroom: Decimal | None
    level: Level | None


def rows(state: "Partition", now: int) -> Iterator[LimitUse]:
    """Every control that speaks of a scope which is known: by statements, accounts, strategies, or figures."""
    risk = state.risk
    scopes = dict.fromkeys([GLOBAL, *risk.limits.said, *risk.limits.overrides])
    scopes |= dict.fromkeys(f"account:{name}" for name in state.accounts)
    scopes |= dict.fromkeys(f"strategy:{name}" for name in risk.strategies)
    scopes |= dict.fromkeys(risk.totals)
    largest = _largest(risk)
    for scope in scopes:
        kind, name = split_scope(scope)
        for control in CONTROLS.values():
            if kind not in control.scopes:
                continue
            if (found := risk.limits.source(kind, name, control.name, now)) is None:
                continue
            source, text = found
            override = risk.limits.overrides.get(source, {}).get(control.name)
            if override is not None and override.until <= now:
                override = None
            own = risk.limits.said.get(scope, {}).get(control.name)
            used = _used(risk, scope, control.name, now, largest)
            limit = risk.limits.value(kind, name, control.name, now)
            headroom, level = None, None
            if used is not None and isinstance(limit, int | Decimal) and not isinstance(limit, bool):
                headroom = Decimal(limit) - used
                level = level_of(control.name, used, limit)
            yield LimitUse(scope, control.name, text, source, own, override, used, headroom, level)


def _used(risk: "Risk", scope: str, control: str, now: int, largest: dict[str, Decimal]) -> Decimal | None:
    if scope.endswith(":*"):
        return None
    if control == "max_position":
        return largest.get(scope, ZERO)
    figure = FIGURES.get(control)
    if figure is None:
        return None
    totals = risk.totals.get(scope)
    return ZERO if totals is None else Decimal(figure(totals, now))


def _largest(risk: "Risk") -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for leaf in (*risk.leaves.values(), *risk.parts.values()):
        for totals in leaf.totals:
            if leaf.value > found.get(totals.scope, ZERO):
                found[totals.scope] = leaf.value
    return found
