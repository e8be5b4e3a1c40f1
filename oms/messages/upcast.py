"""Upcasters: events of earlier versions, and what they are today. Frames on disk are never rewritten.

A changed event gets a new class with the next version in :mod:`oms.messages.events`; the class it had moves here, with the
function that makes today's event of it. Both stay for ever, as do the golden frames that were written with it.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from oms.messages import events as e


class EngineStarted1(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="EngineStarted.1"):
    """Before the code's digest was recorded."""

    instance: str
    version: str


def _engine_started_1(old: EngineStarted1) -> e.EngineStarted:
    return e.EngineStarted(instance=old.instance, version=old.version, code="")


UPCASTERS: Final[dict[type, Callable[[Any], Any]]] = {EngineStarted1: _engine_started_1}
"""Class of an earlier version → today's event of it."""

OldEvent = EngineStarted1
"""Every class of :data:`UPCASTERS`, as a type to decode."""

OLD_TAGS: Final = ("EngineStarted.1",)
"""Their tags, which tell a frame that holds one before it is looked through."""


def upcast(events: list[e.Event]) -> None:
    """Put today's events in the place of earlier ones."""
    for index, event in enumerate(events):
        upcaster = UPCASTERS.get(type(event))
        if upcaster is not None:
            events[index] = upcaster(event)
