"""Bounds: what one scope says now, read once, and shared by every gate and every look that the scope is in."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import ceil
from typing import Final

import attrs

from oms.aggregates.money import ZERO
from oms.aggregates.risk.controls import CONTROLS, GLOBAL, Kind, Parsed
from oms.aggregates.risk.limits import Limits
from oms.aggregates.risk.totals import Totals

NO_COUNT: Final = 2**63
NO_AMOUNT: Final = Decimal("Infinity")
"""What off is as a number: a bound that nothing comes to."""
NEAR: Final = Decimal("0.8")
"""From this share of a limit on a figure is near to it."""


@attrs.define(slots=True, eq=False)
class Bounds:
    """The limits of one scope, beside the figures that they are held against.

    Args:
        open_orders to differences: counts, :data:`NO_COUNT` for off.
        loss, drawdown, exposure: USD, :data:`NO_AMOUNT` for off.
        said: control → value in force, parsed; None for off. What nobody says is not in it.
        priced: whether it limits a figure that is worth nothing without marks and rates: loss, drawdown, exposure.
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
    priced: bool
    peak: Decimal | None = None
    carried: Decimal | None = None
    lowest: Decimal = ZERO

    def measure(self) -> None:
        """Find the lowest profit of the day again: due when the figures' own peak or carried is another object."""
        totals = self.totals
        self.peak, self.carried = totals.peak, totals.carried
        self.lowest = max(-self.loss, totals.peak - totals.carried - self.drawdown)

    def kills(self) -> bool:
        """Whether a loss or drawdown is where the scope's kill switch engages on it."""
        totals = self.totals
        if totals.peak is not self.peak or totals.carried is not self.carried:
            self.measure()
        if totals.day > self.lowest:
            return False
        causes = self.said.get("kill_on") or ()
        return ("max_daily_loss" in causes and 0 < -totals.day >= self.loss) or (
            "max_drawdown" in causes and 0 < totals.drawdown >= self.drawdown
        )

    def reached(self) -> bool:
        """Whether any figure may have come to its bound; of what is counted within a time, some may be gone by."""
        totals = self.totals
        if totals.peak is not self.peak or totals.carried is not self.carried:
            self.measure()
        return bool(
            totals.day <= self.lowest
            or totals.exposure >= self.exposure
            or totals.open_orders >= self.open_orders
            or len(totals.messages) >= self.messages
            or len(totals.executions) >= self.executions
            or len(totals.rejects) >= self.rejects
            or (totals.differences and sum(totals.differences.values()) >= self.differences)
        )


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
        priced=any(said.get(name) is not None for name in ("max_exposure", "max_daily_loss", "max_drawdown")),
    )


def _near(said: Mapping[str, Parsed]) -> dict[str, Parsed]:
    """What a scope says of its figures, at the share of it that is near; nothing at all is near to nothing."""
    found: dict[str, Parsed] = {}
    for control, value in said.items():
        if value is None or not CONTROLS[control].figure:
            continue
        near = value * NEAR
        found[control] = max(1, ceil(near)) if CONTROLS[control].kind is Kind.COUNT else near
    return found


@attrs.define(slots=True, eq=False)
class InForce:
    """The bounds of all scopes, kept while limits are as they were and no override has ended.

    Args:
        limits: that they are read from. ``figures``: gives the figures of a scope.
        read: how often all was read anew.
    """

    limits: Limits
    figures: Callable[[str], Totals]
    read: int = 0
    _version: int = -1
    _until: int = 0
    _said: dict[str, tuple[Mapping[str, Parsed], Mapping[str, Parsed]]] = attrs.field(factory=dict)
    _bounds: dict[str, Bounds] = attrs.field(factory=dict)
    _near: dict[str, Bounds] = attrs.field(factory=dict)
    _stale_after: dict[str, int] = attrs.field(factory=dict)

    def renew(self, version: int, now: int) -> None:
        """Read all anew if need be; ``version`` is another whenever a limit is."""
        if version != self._version or now >= self._until:
            for kept in (self._said, self._bounds, self._near, self._stale_after):
                kept.clear()
            self.read += 1
            self._version = version
            self._until = self.limits.next_end(now)

    def of(self, scope: str, now: int) -> Bounds:
        """The bounds of a scope."""
        found = self._bounds.get(scope)
        if found is None:
            found = self._bounds[scope] = _bounds(self.figures(scope), self._says(scope, now)[0])
        return found

    def known(self, scope: str) -> Bounds | None:
        """The bounds of a scope as they last were; None where nobody has asked for them since a limit changed."""
        return self._bounds.get(scope)

    def near(self, scope: str, now: int) -> Bounds:
        """What is near to the bounds of a scope."""
        found = self._near.get(scope)
        if found is None:
            bounds = self.of(scope, now)
            found = self._near[scope] = _bounds(bounds.totals, self._says(scope, now)[1])
            if "max_price_age" in (bounds.said.get("kill_on") or ()):
                age = self.holds(scope, "max_price_age", now)
                if age is not None:
                    self._stale_after[scope] = age
        return found

    @property
    def stale_after(self) -> Mapping[str, int]:
        """Scopes asked for by :meth:`near` whose kill switch engages on stale marks → the age in ns that each takes for oldest."""
        return self._stale_after

    def forget(self, scope: str) -> None:
        """Let go of a scope whose figures are let go."""
        for kept in (self._bounds, self._near, self._stale_after):
            kept.pop(scope, None)

    def holds(self, scope: str, control: str, now: int) -> Parsed:
        """What a scope, or for want of it the global one, has for a control; None for off, and where neither says anything."""
        said = self.of(scope, now).said
        return said[control] if control in said else self.of(GLOBAL, now).said.get(control)

    def _says(self, scope: str, now: int) -> tuple[Mapping[str, Parsed], Mapping[str, Parsed]]:
        # Scopes that say nothing themselves share what all of their kind have: there may be thousands.
        source = scope if scope == GLOBAL or self.limits.speaks(scope) else f"{scope.partition(':')[0]}:*"
        found = self._said.get(source)
        if found is None:
            said = self.limits.in_force(source, now)
            found = self._said[source] = (said, _near(said))
        return found
