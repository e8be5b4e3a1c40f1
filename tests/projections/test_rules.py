"""Every event has a place in every projection, even if it is to be ignored."""

from typing import Any, get_args

import pytest

from oms.messages.events import Event
from oms.projections import orders, pnl, trades
from replay.following import public

TABLES = {
    "orders": (orders.RULES, orders.IGNORED),
    "pnl": (pnl.RULES, pnl.IGNORED),
    "trades": (trades.RULES, trades.IGNORED),
    "public events": (public.RULES, public.IGNORED),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_event_has_a_rule_or_is_ignored_on_purpose(name: str) -> None:
    """An event class that a projection neither has a rule for nor names as ignored is a defect."""
    rules, ignored = TABLES[name]
    every: set[Any] = set(get_args(Event))
    assert set(rules) | ignored == every
    assert not set(rules) & ignored
