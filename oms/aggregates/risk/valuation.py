"""Valuation: what a unit of an asset is worth in USD.

By a fixed rate, or by the mark of an instrument that prices the asset in another with a fixed rate, or the other way round. A fixed
rate does not get old; one by a mark is as old as that mark.
Events: ``ValuationSet``; the marks that instruments carry.
"""

from collections.abc import Sequence
from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.money import ONE, fewest_places, share


@attrs.frozen
class Valuation:
    """How an asset is valued. ``instrument`` is its key, None with a fixed ``rate``."""

    asset: str
    rate: Decimal | None
    instrument: InstrumentKey | None


Instruments = dict[InstrumentKey, Instrument]


@attrs.define(slots=True, eq=False)
class Rates:
    """What assets are worth, by their valuations and the marks of now.

    Args:
        valuations: state, by asset. ``known``: derived, asset → USD a unit; None while no mark says.
    """

    valuations: dict[str, Valuation] = attrs.field(factory=dict)
    known: dict[str, Decimal | None] = attrs.field(factory=dict)
    _priced_by: dict[InstrumentKey, list[str]] = attrs.field(factory=dict)

    def of(self, asset: str) -> Decimal | None:
        """USD a unit of an asset; None while that is not known."""
        return self.known.get(asset)

    def pricing(self, asset: str, instruments: Instruments) -> Instrument | None:
        """The instrument by whose mark an asset is valued, and as old as which its rate is; None for a fixed rate.

        It prices the asset in one with a fixed rate: no rate hangs on more than one mark.
        """
        valuation = self.valuations.get(asset)
        if valuation is None or valuation.instrument is None:
            return None
        return instruments.get(valuation.instrument)

    def priced_by(self, key: InstrumentKey) -> Sequence[str]:
        """The assets whose rates hang on an instrument's mark."""
        return self._priced_by.get(key, ())

    def value(self, valuation: Valuation) -> None:
        """Value an asset so from now on. Rates of others may hang on it: :meth:`renew` each."""
        self.valuations[valuation.asset] = valuation
        self._index()

    def renew(self, asset: str, instruments: Instruments) -> bool:
        """Bring an asset's rate in line with its mark; whether it is another now."""
        rate = rate_of(self.valuations[asset], self.valuations, instruments)
        if rate == self.known.get(asset):
            return False
        self.known[asset] = rate
        return True

    def rebuild(self, instruments: Instruments) -> None:
        """Make what is derived."""
        self._index()
        self.known = {
            asset: rate_of(valuation, self.valuations, instruments)
            for asset, valuation in self.valuations.items()
        }

    def _index(self) -> None:
        self._priced_by.clear()
        for valuation in self.valuations.values():
            if valuation.instrument is not None:
                self._priced_by.setdefault(valuation.instrument, []).append(valuation.asset)


def rate_of(valuation: Valuation, fixed: dict[str, Valuation], instruments: Instruments) -> Decimal | None:
    """USD a unit, written in one way; None while no mark of its instrument, or no rate of the other asset, is known. 18 places
    where divided."""
    rate = _rate_of(valuation, fixed, instruments)
    return None if rate is None else fewest_places(rate)


def _rate_of(valuation: Valuation, fixed: dict[str, Valuation], instruments: Instruments) -> Decimal | None:
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
