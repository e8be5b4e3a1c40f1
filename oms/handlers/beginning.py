"""Beginning: what a journal takes over from the configuration. What it has ever spoken of holds, what a person took away included."""

from collections.abc import Mapping
from typing import Final

from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import GLOBAL
from oms.messages import controls as k
from oms.messages.desk import StrategyAssigned
from oms.messages.events import Event
from oms.messages.subjects import Subject

BY: Final = "configuration"


def decide_begin_controls(state: Partition, subject: Subject, command: k.BeginControls) -> list[Event]:
    """Record what the configuration says and the journal has never spoken of."""
    found: list[Event] = []
    for scope, said in command.limits.items():
        values = unspoken(state, scope, said)
        if values:
            found.append(k.LimitsSet(scope=scope, limits=values, by=BY))
    for asset, rate in command.valuations.items():
        if asset not in state.risk.rates.valuations:
            found.append(k.ValuationSet(asset=asset, rate=rate, by=BY))
    for asset, instrument in command.priced_by.items():
        if asset not in state.risk.rates.valuations:
            found.append(k.ValuationSet(asset=asset, instrument=instrument, by=BY))
    for strategy, (account, capital) in command.strategies.items():
        if strategy not in state.risk.strategies and strategy not in state.risk.unassigned:
            found.append(StrategyAssigned(strategy=strategy, account=account, capital=capital, by=BY))
    return found


def unspoken(state: Partition, scope: str, said: Mapping[str, str]) -> dict[str, str]:
    """Of what the configuration says of a scope, that which the journal takes over.

    The global scope is spoken of by control, any other as a whole: who set one limit of an account, or cleared its last, has
    decided about the account. A control that the global scope says nothing of came with a later version of the program, and
    nobody can have decided about it anywhere.
    """
    known = state.risk.limits.said
    held, old = known.get(scope), known.get(GLOBAL, {})
    if held is None and scope != GLOBAL:
        return dict(said)
    return {name: value for name, value in said.items() if name not in old and name not in (held or ())}
