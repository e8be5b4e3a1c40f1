"""Statements: who said each limit that holds, who or what engaged each kill switch, who gave each capital, and in which frame.

State: for each scope and control the event that its own value, and that its override, come from; for each latch the event that
engaged it; for each strategy that is assigned the event that did it. The values themselves are the partition's.

Events: ``LimitsSet``, ``LimitsOverridden``, ``OverrideEnded``, ``KillSwitchEngaged``, ``KillSwitchReleased``,
``StrategyAssigned``.
"""

from typing import Any, Final

import msgspec

from oms.aggregates.partition import Partition
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages.queries import Statement
from oms.messages.scopes import ScopeKind

_Key = tuple[str, str]
"""(scope, control)"""


class StatementsImage(msgspec.Struct, frozen=True):
    """What :meth:`Statements.image` gives."""

    said: list[tuple[str, str, Statement]]
    overridden: list[tuple[str, str, Statement]]
    engaged: dict[str, Statement]
    assigned: dict[str, Statement]


class Statements:
    """The events behind what holds now. As many as there are limits, overrides, latches and assignments in the partition.

    ``engaged`` and ``assigned``: by scope.
    """

    def __init__(self) -> None:
        self._said: dict[_Key, Statement] = {}
        self._overridden: dict[_Key, Statement] = {}
        self.engaged: dict[str, Statement] = {}
        self.assigned: dict[str, Statement] = {}

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int) -> None:
        """Take in an event."""
        RULES[type(event)](self, event, Statement(sequence=sequence, at=at, by=event.by, reason=event.reason))

    def _set(self, event: k.LimitsSet, statement: Statement) -> None:
        for control in event.limits:
            self._said[event.scope, control] = statement
        for control in event.cleared:
            self._said.pop((event.scope, control), None)

    def _override(self, event: k.LimitsOverridden, statement: Statement) -> None:
        for control in event.limits:
            self._overridden[event.scope, control] = statement

    def _end(self, event: k.OverrideEnded, statement: Statement) -> None:
        for control in event.controls:
            self._overridden.pop((event.scope, control), None)

    def _engage(self, event: k.KillSwitchEngaged, statement: Statement) -> None:
        self.engaged[event.scope] = statement

    def _release(self, event: k.KillSwitchReleased, statement: Statement) -> None:
        self.engaged.pop(event.scope, None)

    def _assign(self, event: d.StrategyAssigned, statement: Statement) -> None:
        scope = f"{ScopeKind.STRATEGY}:{event.strategy}"
        if event.capital is None:
            self.assigned.pop(scope, None)
        else:
            self.assigned[scope] = statement

    # -- read

    def behind(self, partition: Partition, scope: str, control: str, now: int) -> Statement:
        """The event that a scope's own value of a control comes from now (UTC ns).

        Raises:
            KeyError: the scope says nothing of it.
        """
        override = partition.risk.limits.overrides.get(scope, {}).get(control)
        running = override is not None and now < override.until
        return (self._overridden if running else self._said)[scope, control]

    # -- image

    def image(self) -> StatementsImage:
        """For a snapshot."""
        return StatementsImage(
            said=[(*key, each) for key, each in self._said.items()],
            overridden=[(*key, each) for key, each in self._overridden.items()],
            engaged=self.engaged,
            assigned=self.assigned,
        )

    def restore(self, image: StatementsImage) -> None:
        """Undo :meth:`image`."""
        self._said = {(scope, control): each for scope, control, each in image.said}
        self._overridden = {(scope, control): each for scope, control, each in image.overridden}
        self.engaged = dict(image.engaged)
        self.assigned = dict(image.assigned)


RULES: Final[dict[type, Any]] = {
    k.LimitsSet: Statements._set,
    k.LimitsOverridden: Statements._override,
    k.OverrideEnded: Statements._end,
    k.KillSwitchEngaged: Statements._engage,
    k.KillSwitchReleased: Statements._release,
    d.StrategyAssigned: Statements._assign,
}
