"""What a new journal begins with, from the configuration, and where a journal that has begun says otherwise.

The journal holds: limits change by commands, not by a file that is edited and an engine that is started again.
"""

from collections.abc import Iterator
from decimal import Decimal

from oms.aggregates.partition import Partition
from oms.aggregates.risk.causes import never_trips
from oms.config import RiskConfig
from oms.handlers.beginning import unspoken
from oms.messages.controls import BeginControls


def begin_controls(risk: RiskConfig) -> BeginControls:
    """The command that says to the journal what the configuration says."""
    return BeginControls(
        limits={scope: dict(said) for scope, said in risk.limits.items()},
        valuations={a: rate for a, rate in risk.valuations.items() if isinstance(rate, Decimal)},
        priced_by={a: symbol for a, symbol in risk.valuations.items() if isinstance(symbol, str)},
        strategies={name: (its.account, its.capital) for name, its in risk.strategies.items()},
    )


def otherwise(state: Partition, configured: BeginControls) -> Iterator[str]:
    """A sentence for each thing that the configuration says and the journal says otherwise, or that comes to nothing with both."""
    for scope, said in configured.limits.items():
        held, begun = state.risk.limits.said.get(scope, {}), unspoken(state, scope, said)
        for control, value in said.items():
            own = held.get(control, "nothing")
            if control not in begun and own != value:
                yield (
                    f"risk.limits.{scope}.{control} is {value!r} in the configuration, and {own!r} in the journal,"
                    " which holds: set_limits changes it"
                )
    both = dict(state.risk.limits.said)
    for scope, said in configured.limits.items():
        both[scope] = {**both.get(scope, {}), **unspoken(state, scope, said)}
    yield from never_trips(both)
    priced: dict[str, Decimal | str | None] = {**configured.valuations, **configured.priced_by}
    for asset, rate in priced.items():
        valuation = state.risk.rates.valuations.get(asset)
        if valuation is None:
            continue
        now = valuation.rate if valuation.instrument is None else ".".join(valuation.instrument)
        if now != rate:
            yield (
                f"risk.valuations.{asset} is {rate} in the configuration, and {now} in the journal,"
                " which holds: set_valuation changes it"
            )
    for strategy, (account, capital) in configured.strategies.items():
        assigned = state.risk.strategies.get(strategy)
        if strategy in state.risk.unassigned:
            yield (
                f"risk.strategies.{strategy} is {account} with {capital} USD in the configuration, and was taken from its account"
                " in the journal, which holds: assign_strategy changes it"
            )
        if assigned is not None and (assigned.account, assigned.capital) != (account, capital):
            yield (
                f"risk.strategies.{strategy} is {account} with {capital} USD in the configuration, and {assigned.account} with"
                f" {assigned.capital} USD in the journal, which holds: assign_strategy changes it"
            )
