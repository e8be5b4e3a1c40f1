"""Latches: engaged kill switches. One holds until a named person releases it, over every restart.

Events: ``KillSwitchEngaged``, ``KillSwitchReleased``.
"""

import attrs

from oms.messages.controls import KillSwitchEngaged


@attrs.frozen
class Latch:
    """An engaged kill switch; fields as of :class:`~oms.messages.controls.KillSwitchEngaged`, ``at`` in UTC ns."""

    scope: str
    by: str
    reason: str
    cause: str
    allow_reduce_only: bool
    at: int


def latch(event: KillSwitchEngaged, at: int) -> Latch:
    """The latch that an event makes."""
    return Latch(event.scope, event.by, event.reason, event.cause, event.allow_reduce_only, at)
