"""Strategies: what one may be called, and how many there may be."""

from collections.abc import Container, Sized
from typing import Final, Protocol

from oms.aggregates.order import ADOPTED
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import STRATEGY
from oms.aggregates.risk.risk import MAX_STRATEGIES
from oms.messages.codes import Code, Refused
from oms.messages.scopes import EACH

_PREFIX: Final = f"{STRATEGY}:"


class Names(Container[str], Sized, Protocol):
    """Names that are known."""


def check_name(strategy: str) -> None:
    """Refuse a name that means something else.

    Raises:
        Refused: INVALID_COMMAND.
    """
    if strategy == ADOPTED:
        raise Refused(Code.INVALID_COMMAND, f"strategy {ADOPTED!r} is kept for orders found at the venue")
    if strategy == EACH:
        raise Refused(Code.INVALID_COMMAND, f"strategy {EACH!r} is kept for what is said of each strategy")


def check_room(strategy: str, known: Names) -> None:
    """Refuse one strategy more than figures are kept of; an order by hand, of none, is never one.

    Raises:
        Refused: STRATEGY_LIMIT.
    """
    if strategy and strategy not in known and len(known) >= MAX_STRATEGIES:
        raise Refused(
            Code.STRATEGY_LIMIT,
            f"there are {MAX_STRATEGIES:,} strategies already, and {strategy!r} is none of them",
        )


def check_named(state: Partition, scope: str) -> None:
    """Refuse to limit or kill one strategy more that nobody knows but by name, beyond those that this is kept of.

    A strategy that was ever traded or assigned is never refused.

    Raises:
        Refused: STRATEGY_LIMIT.
    """
    if not scope.startswith(_PREFIX) or _known(state, scope):
        return
    risk = state.risk
    spoken_of = {*risk.latches, *risk.limits.said, *risk.limits.overrides}
    named = [each for each in spoken_of if each.startswith(_PREFIX) and not _known(state, each)]
    if scope not in spoken_of and len(named) >= MAX_STRATEGIES:
        raise Refused(
            Code.STRATEGY_LIMIT,
            f"{MAX_STRATEGIES:,} strategies that never traded are limited or killed by name already, and {scope} is none of them",
        )


def _known(state: Partition, scope: str) -> bool:
    risk, name = state.risk, scope.removeprefix(_PREFIX)
    return (
        name in ("", EACH, ADOPTED)
        or name in risk.trading
        or name in risk.strategies
        or name in risk.unassigned
    )
