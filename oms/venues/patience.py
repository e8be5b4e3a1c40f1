"""Patience: a question to a venue is asked again when its answer is lost. Only questions: they change nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from oms.venues.errors import Kind, VenueError

log = logging.getLogger(__name__)

ATTEMPTS: Final = 6
PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 2.0
AGAIN: Final = frozenset({Kind.UNKNOWN, Kind.THROTTLED})

T = TypeVar("T")


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question, asked up to :data:`ATTEMPTS` times.

    Raises:
        VenueError: it was refused, or the last answer was lost too.
    """
    pause = PAUSE_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await ask()
        except VenueError as error:
            if error.kind not in AGAIN or attempt == ATTEMPTS:
                raise
            log.info("asking again: %s", error)
            # How long a venue wants to be left alone, the limiter waits for.
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)
    raise AssertionError("the last attempt returns or raises")
