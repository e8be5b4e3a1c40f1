"""Positions: views over the partition's own. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.position`.
"""

from collections.abc import Iterator
from decimal import Decimal

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ONE, share
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.messages.queries import PositionRow


def positions(partition: Partition) -> Iterator[tuple[Position, Instrument]]:
    """Every position with its instrument, by key; flat ones included."""
    for key in sorted(partition.positions):
        exchange, _, market, symbol = key
        instrument = partition.instruments.get((exchange, market, symbol))
        # Whatever makes a position, be it a trade, an order that only closes or terms, is of an instrument that is listed.
        assert instrument is not None, f"position {key} of an instrument that is not listed"
        yield partition.positions[key], instrument


def entry_price(position: Position, instrument: Instrument) -> Decimal | None:
    """What a unit of the open quantity cost on average, to 18 places; None when flat. For people, not for sums."""
    if not position.quantity:
        return None
    return share(position.cost, ONE, position.quantity * instrument.contract_size)


def position_row(position: Position, instrument: Instrument) -> PositionRow:
    """The row of a position as it is now."""
    return PositionRow(
        exchange=position.exchange,
        account=position.account,
        market=position.market,
        symbol=position.symbol,
        quantity=position.quantity,
        cost=position.cost,
        entry_price=entry_price(position, instrument),
        mark=instrument.mark,
        unrealised=position.unrealised(instrument),
        realised=position.realised,
        fees=position.fees,
        other_fees=position.other_fees,
        funding=position.funding,
        settle=instrument.settle,
        margin=position.margin,
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        liquidation_price=position.liquidation_price,
        stated_at=position.stated_at,
        updated_at=position.updated_at,
    )
