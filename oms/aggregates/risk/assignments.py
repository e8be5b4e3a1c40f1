"""Assignments: which account a strategy trades on, and the capital it has. A strategy has one account; an account any number.

State: assignments by strategy, and the strategies that were taken from their account and assigned to none since: a start does not
give back what a person took away.

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


def assign(strategies: dict[str, Assignment], unassigned: dict[str, None], event: StrategyAssigned) -> None:
    """Take an assignment over, in place of any before, or take it away."""
    if event.capital is None:
        strategies.pop(event.strategy, None)
        unassigned[event.strategy] = None
    else:
        strategies[event.strategy] = Assignment(event.account, event.capital)
        unassigned.pop(event.strategy, None)
