"""Figures: what is held against the limits of a scope, and how a figure stands to its limit."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from oms.aggregates.money import ZERO
from oms.aggregates.risk.bounds import NEAR
from oms.aggregates.risk.totals import MINUTE_NS, SECOND_NS, Totals, within
from oms.messages.controls import Level

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

FLOORS: Final = frozenset({"min_liquidation_distance", "main_floor"})
"""Controls that are broken below their limit."""


def level_of(control: str, used: Any, limit: Any) -> Level:
    """How a figure stands to its limit, whatever was told before."""
    if control in FLOORS:
        if used < limit:
            return Level.BREACHED
        return Level.NEAR if used * NEAR <= limit else Level.CLEAR
    if used > limit or (used == limit and control in AT_THE_LIMIT):
        return Level.BREACHED
    if used and used >= limit * NEAR:
        return Level.NEAR
    return Level.CLEAR


def split_scope(scope: str) -> tuple[str, str]:
    """Kind and name."""
    kind, _, name = scope.partition(":")
    return kind, name
