"""Valuation: what a unit of an asset is worth in USD.

By a fixed rate, or by the mark of an instrument that prices the asset in another with a fixed rate, or the other way round. A fixed
rate does not get old; one by a mark is as old as that mark.
Events: ``ValuationSet``; the marks that instruments carry.
"""

from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.money import ONE, share


@attrs.frozen
class Valuation:
    """How an asset is valued. ``instrument`` is its key, None with a fixed ``rate``."""

    asset: str
    rate: Decimal | None
    instrument: InstrumentKey | None


def rate_of(
    valuation: Valuation, fixed: dict[str, Valuation], instruments: dict[InstrumentKey, Instrument]
) -> Decimal | None:
    """USD a unit; None while no mark of its instrument, or no rate of the other asset, is known. 18 places where divided."""
    if valuation.instrument is None:
        return valuation.rate
    instrument = instruments.get(valuation.instrument)
    if instrument is None or instrument.mark is None:
        return None
    if instrument.base == valuation.asset:
        other = fixed.get(instrument.quote)
        return None if other is None or other.rate is None else instrument.mark * other.rate
    if instrument.quote == valuation.asset:
        other = fixed.get(instrument.base)
        if other is None or other.rate is None:
            return None
        rate = share(other.rate, ONE, instrument.mark)
        return rate or None
    return None
