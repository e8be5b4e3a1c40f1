"""Assignments: which account a strategy trades on, and the capital it has. A strategy has one account; an account any number.

Events: ``StrategyAssigned``.
"""

from decimal import Decimal

import attrs

from oms.messages.desk import StrategyAssigned


@attrs.frozen(slots=True)
class Assignment:
    """Where a strategy trades.

    Args:
        account: the one account that its orders may go through.
        capital: USD that its positions and working orders may come to; above zero.
    """

    account: str
    capital: Decimal


def assign(strategies: dict[str, Assignment], event: StrategyAssigned) -> None:
    """Take an assignment over, in place of any before, or take it away."""
    if event.capital is None:
        strategies.pop(event.strategy, None)
    else:
        strategies[event.strategy] = Assignment(event.account, event.capital)
