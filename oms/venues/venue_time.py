"""The venue's time: how far its clock is from ours, learned from answers that bound it."""

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from oms.venues.patience import patiently

READINGS: Final = 5
"""A slow answer says little about when the venue read its clock: so often is it asked at most."""
PRECISE_MS: Final = 200
"""Bounds that near to each other are good enough. Venues take timestamps that are some seconds old."""
AHEAD_MS: Final = 500
"""How far our timestamps may be ahead of the venue's clock at worst. Binance and Bybit refuse one that is 1,000 ms ahead."""


@attrs.frozen
class Reading:
    """The venue read its clock between two readings of ours. All in ms UTC.

    Args:
        asked: by our clock, when the question was about to leave.
        server: by the venue's, in whole ms.
        heard: by our clock, when the answer was there.
    """

    asked: int
    server: int
    heard: int


@attrs.frozen
class Difference:
    """How far our clock is ahead of the venue's, in ms: at least ``low`` and at most ``high``."""

    low: int
    high: int

    @classmethod
    def of(cls, reading: Reading) -> "Difference":
        return cls(reading.asked - reading.server - 1, reading.heard - reading.server)

    def narrowed(self, by: "Difference") -> "Difference":
        """What both say; the later one alone where they contradict: a clock was set in between."""
        low, high = max(self.low, by.low), min(self.high, by.high)
        return Difference(low, high) if low <= high else by

    @property
    def precise(self) -> bool:
        return self.high - self.low <= PRECISE_MS

    @property
    def taken(self) -> int:
        """The middle, or what keeps us from being too far ahead: an older timestamp is taken, a later one is not."""
        return max((self.low + self.high) // 2, self.high - AHEAD_MS)


async def learn(read: Callable[[], Awaitable[Reading]]) -> Difference:
    """Ask for the venue's time until its bounds are near to each other, :data:`READINGS` times at most.

    Raises:
        VenueError: it does not tell.
    """
    known = Difference.of(await patiently(read))
    for _ in range(READINGS - 1):
        if known.precise:
            break
        known = known.narrowed(Difference.of(await patiently(read)))
    return known
