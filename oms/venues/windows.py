"""Windows: sums over a stretch of time that may not pass a limit. Times are monotonic nanoseconds.

They slide, so that no alignment of the venue's own windows ever sees more than its limit.
"""

from collections import deque
from typing import Final

NEVER: Final = 2**63
"""A time that does not come."""
GRAINS: Final = 250
"""A window holds at most about so many entries, whatever its limit is."""

KEPT_OF: Final = 4
KEPT: Final = (0, 0, 1, 2)
"""By priority, how many parts of :data:`KEPT_OF` of a mixed window stay free for those that go before it."""

Rank = tuple[int, int]
"""Priority and number of a request that waits: the smaller goes first."""


class Gate:
    """Open, or closed until a time. ``first`` is the rank of the first request that waits for it.

    Args:
        shared: by all accounts behind one address.
    """

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared
        self.until = 0
        self.first: Rank | None = None

    def close(self, until: int) -> None:
        """Stay closed until then, or for longer if that was said before."""
        self.until = max(self.until, until)

    def fits(self, now: int, amount: int, priority: int = 0) -> bool:
        """Whether it is open."""
        return now >= self.until

    def fits_at(self, now: int, amount: int, priority: int = 0, ahead: int = 0) -> int:
        """The earliest time at which it is open."""
        return max(now, self.until)

    def add(self, now: int, amount: int) -> int:
        """Nothing is counted here."""
        return 0

    def wait(self, priority: int, amount: int) -> None:
        """Nothing is counted here."""

    def ahead(self, priority: int) -> int:
        """Nothing is counted here."""
        return 0


class Window(Gate):
    """What was let through in the last ``length_ns``, and what waits for it by priority.

    Args:
        mixed: requests of all priorities take from it: the later ones leave room for those that go before them, so
            that however much is looked up, an order or a cancel finds some at once.
    """

    def __init__(self, length_ns: int, limit: int, shared: bool = False, mixed: bool = False) -> None:
        super().__init__(shared)
        self.limit = limit
        self.mixed = mixed
        self.length_ns = length_ns
        self._entries: deque[list[int]] = deque()
        """Latest time and amount of what came within one grain: all of it expires with the latest."""
        self._began = 0
        self._used = 0
        self._waiting = [0] * len(KEPT)

    def used(self, now: int) -> int:
        """What counts at that time."""
        entries = self._entries
        while entries and entries[0][0] + self.length_ns <= now:
            self._used -= entries.popleft()[1]
        return self._used

    def add(self, now: int, amount: int) -> int:
        """Count an amount from now on; return what counts then."""
        used = self.used(now)
        if amount <= 0:
            return used
        # Few entries need no grain: expiry is then exact.
        grain = self.length_ns // GRAINS if self.limit > GRAINS else 1
        entries = self._entries
        if entries and now - self._began < grain:
            last = entries[-1]
            last[0] = now
            last[1] += amount
        else:
            self._began = now
            entries.append([now, amount])
        self._used += amount
        return self._used

    def kept(self, priority: int) -> int:
        """What has to stay free when a request of this priority is let through."""
        return self.limit * KEPT[priority] // KEPT_OF if self.mixed else 0

    def fits(self, now: int, amount: int, priority: int = 0) -> bool:
        """Whether there is room for the amount."""
        return self.used(now) + amount + self.kept(priority) <= self.limit

    def fits_at(self, now: int, amount: int, priority: int = 0, ahead: int = 0) -> int:
        """The earliest time at which the amount fits behind what is ahead of it, if nothing else comes.

        No earlier time is possible; a later one is where amounts larger than 1 leave room unused. NEVER if it cannot.
        """
        if amount <= 0:
            return now
        amount += self.kept(priority)
        if amount > self.limit:
            return NEVER
        # Whatever is let through bars the same amount for a whole length: so many rounds follow the first.
        rounds, first = divmod(ahead + amount - 1, self.limit)
        over = self.used(now) + first + 1 - self.limit
        at = now
        for latest, some in self._entries:
            if over <= 0:
                break
            over -= some
            at = latest + self.length_ns
        return at + rounds * self.length_ns

    def wait(self, priority: int, amount: int) -> None:
        """An amount begins to wait, or with a negative one no longer does."""
        self._waiting[priority] += amount

    def ahead(self, priority: int) -> int:
        """What waits and would go before a new request of this priority."""
        return sum(self._waiting[: priority + 1])

    def correct(self, now: int, seen: int, known: int = 0) -> None:
        """The venue has counted ``seen``: count at least as much, unless ``known`` of it has expired here."""
        self.add(now, seen - max(self.used(now), known))
