"""The measurements of connectors run from end to end; how fast anything was is no matter of a test."""

import pytest

from benchmarks import venue_limits, venues
from oms.venues import pools


@pytest.mark.timeout(120)
async def test_connectors_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small run measures everything, with more accounts than an HTTP session has connections by default."""
    monkeypatch.setattr(pools, "POOLS", dict(pools.POOLS))
    for module in (venues, venue_limits):
        monkeypatch.setattr(module, "POOLS", pools.POOLS)
    size = venues.Size(
        venues=("binance.spot", "okx.futures"),
        rounds=3,
        fills=3,
        accounts=105,
        watched_s=0.5,
        open_orders=100,
        quiet=5,
        reconciliations=1,
    )
    names = [figure.name async for figure in venues.measure(size)]
    assert len(names) == len(set(names)) == 16
