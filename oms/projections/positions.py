"""Positions: views over the partition's own. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.position`.
"""

from collections.abc import Iterator
from decimal import Decimal

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ONE, share
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position


def positions(partition: Partition) -> Iterator[tuple[Position, Instrument]]:
    """Every position with its instrument, by key; flat ones included."""
    for key in sorted(partition.positions):
        exchange, _, market, symbol = key
        instrument = partition.instruments.get((exchange, market, symbol))
        # Reserving for a reduce-only order makes a flat position of an instrument that is listed; so do trades.
        assert instrument is not None, f"position {key} of an instrument that is not listed"
        yield partition.positions[key], instrument


def entry_price(position: Position, instrument: Instrument) -> Decimal | None:
    """What a unit of the open quantity cost on average, to 18 places; None when flat. For people, not for sums."""
    if not position.quantity:
        return None
    return share(position.cost, ONE, position.quantity * instrument.contract_size)
