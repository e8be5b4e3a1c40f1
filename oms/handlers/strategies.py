"""Strategies: what one may be called, and how many there may be."""

from collections.abc import Container, Sized
from typing import Protocol

from oms.aggregates.order import ADOPTED
from oms.aggregates.risk.risk import MAX_STRATEGIES
from oms.messages.codes import Code, Refused
from oms.messages.scopes import EACH


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
