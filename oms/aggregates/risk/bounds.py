"""Bounds: what one scope says now, read once, and shared by every gate and every look that the scope is in."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import attrs

from oms.aggregates.money import ZERO
from oms.aggregates.risk.controls import GLOBAL, Parsed
from oms.aggregates.risk.limits import Limits
from oms.aggregates.risk.totals import Totals

NO_COUNT: Final = 2**63
NO_AMOUNT: Final = Decimal("Infinity")
"""What off is as a number: a bound that nothing comes to."""


@attrs.define(slots=True, eq=False)
class Bounds:
    """The limits of one scope, beside the figures that they are held against.

    Args:
        open_orders to differences: counts, :data:`NO_COUNT` for off.
        loss, drawdown, exposure: USD, :data:`NO_AMOUNT` for off.
        said: control → value in force, parsed; None for off. What nobody says is not in it.
        lowest: profit of the day at which loss or drawdown is at its limit, for the ``peak`` and ``carried`` that these are;
            :meth:`measure` brings it in line.
    """

    totals: Totals
    open_orders: int
    messages: int
    executions: int
    rejects: int
    differences: int
    loss: Decimal
    drawdown: Decimal
    exposure: Decimal
    said: Mapping[str, Parsed]
    peak: Decimal | None = None
    carried: Decimal | None = None
    lowest: Decimal = ZERO

    def measure(self) -> None:
        """Find the lowest profit of the day again: due when the figures' own peak or carried is another object."""
        totals = self.totals
        self.peak, self.carried = totals.peak, totals.carried
        self.lowest = max(-self.loss, totals.peak - totals.carried - self.drawdown)

    @property
    def priced(self) -> bool:
        """Whether any of the figures is worth nothing without marks and rates."""
        said = self.said
        return any(said.get(name) is not None for name in ("max_exposure", "max_daily_loss", "max_drawdown"))


def _bounds(totals: Totals, said: Mapping[str, Parsed]) -> Bounds:
    """The bounds of a scope, from what it says."""

    def count(control: str) -> int:
        value: int | None = said.get(control)
        return NO_COUNT if value is None else value

    def amount(control: str) -> Decimal:
        value: Decimal | None = said.get(control)
        return NO_AMOUNT if value is None else value

    return Bounds(
        totals=totals,
        open_orders=count("max_open_orders"),
        messages=count("max_messages"),
        executions=count("max_executions"),
        rejects=count("max_rejects"),
        differences=count("max_differences"),
        loss=amount("max_daily_loss"),
        drawdown=amount("max_drawdown"),
        exposure=amount("max_exposure"),
        said=said,
    )


@attrs.define(slots=True, eq=False)
class InForce:
    """The bounds of all scopes, kept while limits are as they were and no override has ended.

    Args:
        limits: that they are read from. ``figures``: gives the figures of a scope.
    """

    limits: Limits
    figures: Callable[[str], Totals]
    _version: int = -1
    _until: int = 0
    _said: dict[str, Mapping[str, Parsed]] = attrs.field(factory=dict)
    _bounds: dict[str, Bounds] = attrs.field(factory=dict)

    def of(self, scope: str, version: int, now: int) -> Bounds:
        """The bounds of a scope; ``version`` is another whenever a limit is."""
        if version != self._version or now >= self._until:
            self._said.clear()
            self._bounds.clear()
            self._version = version
            self._until = self.limits.next_end(now)
        found = self._bounds.get(scope)
        if found is None:
            found = self._bounds[scope] = _bounds(self.figures(scope), self._says(scope, now))
        return found

    def _says(self, scope: str, now: int) -> Mapping[str, Parsed]:
        # Scopes that say nothing themselves share what all of their kind have: there may be thousands.
        source = scope if scope == GLOBAL or self.limits.speaks(scope) else f"{scope.partition(':')[0]}:*"
        found = self._said.get(source)
        if found is None:
            found = self._said[source] = self.limits.in_force(source, now)
        return found
