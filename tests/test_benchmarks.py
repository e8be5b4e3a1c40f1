"""The measurements run from end to end; how fast anything was is no matter of a test."""

import pytest

from benchmarks import checking, killing, venue_limits, venues
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


def test_controls_are_measured() -> None:
    """A small run measures every figure of the risk check and of the watch, with every order passing every control."""
    size = checking.Size(
        accounts=(1, 3), open_orders=(4, 20), rounds=2, orders=10, watched=3, symbols=2, looks=2
    )
    names = [figure.name for figure in checking.measure(size)]
    assert len(names) == len(set(names)) == 23


@pytest.mark.timeout(120)
async def test_the_kill_switch_is_measured() -> None:
    """A kill of a few orders more than the venue lets us cancel at once takes as long as its limit says."""
    figures = {figure.name: figure async for figure in killing.measure(61, limits=(True,))}
    assert len(figures) == 3
    assert figures["the same / the limit alone"].p50 >= 0.9
