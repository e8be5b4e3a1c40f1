"""A figure: a name, a unit, and the distribution or rate that was measured."""

from collections.abc import Sequence

import attrs


@attrs.frozen
class Figure:
    """One line of the table.

    Args:
        name: what was measured. ``unit``: of ``p50`` and ``p99``.
        p50, p99: of the distribution; for a rate, of its rounds (p99 is then the slow end).
        target: what we aim at, as text. ``note``: what the figure is to be read beside.
    """

    name: str
    unit: str
    p50: float
    p99: float
    target: str = ""
    note: str = ""


def of_latencies(name: str, seconds: Sequence[float], unit: str, target: str = "", note: str = "") -> Figure:
    """A figure of times, in ``us`` or ``ms``."""
    scale = {"us": 1e6, "ms": 1e3, "s": 1.0}[unit]
    ordered = sorted(seconds)
    return Figure(
        name,
        unit,
        ordered[len(ordered) // 2] * scale,
        ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * scale,
        target,
        note,
    )


def of_rates(name: str, rates: Sequence[float], unit: str, target: str = "", note: str = "") -> Figure:
    """A figure of rates, one for each round."""
    ordered = sorted(rates)
    return Figure(name, unit, ordered[len(ordered) // 2], ordered[0], target, note)
