"""Sizes: what holds each position of a scope for itself, and which positions are worth a look.

There may be thousands of positions, so none is looked at that is far from its limits: whenever a position's value or size has
changed it is held against its alarm, and is put down where it is at it or beyond.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

import attrs

from oms.aggregates.money import share
from oms.aggregates.risk.bounds import NEAR, NO_AMOUNT, Bounds, InForce
from oms.aggregates.risk.limits import Limits
from oms.aggregates.risk.totals import Alarm, Leaf

POSITION, INVENTORY = "max_position", "max_inventory"
_LEAST: Final = Decimal("1E-18")
"""An alarm of zero: nothing at all is near to nothing, and anything is."""


def held_against(bounds: Bounds, leaf: Leaf) -> Iterator[tuple[str, Decimal, Decimal | None]]:
    """Of a position in a scope: (control, what is used of it, its limit or None); USD, and units of the base asset."""
    said = bounds.said
    yield POSITION, leaf.value, said.get(POSITION)
    amounts = said.get(INVENTORY)
    yield INVENTORY, leaf.size, None if amounts is None else amounts.get(leaf.instrument.base)


@attrs.define(slots=True, eq=False)
class Sizes:
    """Which positions may be near a limit that holds each of them for itself. Derived.

    Args:
        limits, in_force: that alarms are set by.
        loud: leaves that were at their alarm when they last changed.
        fresh: the alarm of a leaf that has none of its own yet, which everything is at.
    """

    limits: Limits
    in_force: InForce
    loud: dict[Leaf, None] = attrs.field(factory=dict)
    fresh: Alarm = attrs.field(init=False)
    _read: int = 0
    _said: tuple[tuple[str, str | None], ...] = ()

    def __attrs_post_init__(self) -> None:
        self.fresh = Alarm(-NO_AMOUNT, -NO_AMOUNT, self.loud)

    def find(self, leaves: Iterable[list[Leaf]], now: int) -> list[Leaf]:
        """Leaves at their alarm or beyond it, in no order; ``in_force`` is as of now.

        Args:
            leaves: all, in lists.
        """
        if self._read != self.in_force.read:
            self._read = self.in_force.read
            said = tuple(self._statements(now))
            if said != self._said:
                self._said = said
                self._set(leaf for some in leaves for leaf in some)
        new = [leaf for leaf in self.loud if leaf.alarm is self.fresh]
        self._set_own(new, now)
        for leaf in [leaf for leaf in self.loud if not leaf.alarm.is_at(leaf)]:
            del self.loud[leaf]
        return list(self.loud)

    def _statements(self, now: int) -> Iterator[tuple[str, str | None]]:
        for scope in (*self.limits.said, *self.limits.overrides):
            for control in (POSITION, INVENTORY):
                yield scope, self.limits.own(scope, control, now)

    def _set(self, leaves: Iterable[Leaf]) -> None:
        for leaf in leaves:
            leaf.alarm = self.fresh
            self.loud[leaf] = None

    def _set_own(self, leaves: Iterable[Leaf], now: int) -> None:
        made: dict[tuple[object, ...], Alarm] = {}
        for leaf in leaves:
            instrument = leaf.instrument
            said = [self.in_force.of(totals.scope, now).said for totals in leaf.totals]
            # Most share what all of their kind have, and so their alarm.
            key = (*map(id, said), instrument.base, instrument.contract_size)
            alarm = made.get(key)
            if alarm is None:
                values = [most for each in said if (most := each.get(POSITION)) is not None]
                amounts = [each.get(INVENTORY) or {} for each in said]
                sizes = [each[instrument.base] for each in amounts if instrument.base in each]
                value, size = min(values, default=NO_AMOUNT), min(sizes, default=NO_AMOUNT)
                if value is not NO_AMOUNT:
                    value = value * NEAR or _LEAST
                if size is not NO_AMOUNT:
                    # What is rounded must not come to lie above what is near.
                    size = max(share(size, NEAR, instrument.contract_size) - _LEAST, _LEAST)
                alarm = made[key] = Alarm(value, size, self.loud)
            leaf.alarm = alarm
