"""Clock: the engine's UTC, which never goes back and never stands still.

When the host's clock is set back, time goes on from where it was, at its own pace, until the host has caught up: marks get
old, orders expire and overrides end as if nothing had happened. Further back than :data:`BEHIND_NS` nothing new is begun:
what is sent would be given deadlines, and looked up by times, that are not the venue's.
"""

import logging
import time
from typing import Final

from oms.messages.alerts import Alert
from oms.messages.codec import encode
from oms.messages.codes import Code, Refused

log = logging.getLogger(__name__)

BEHIND_NS: Final = 10 * 10**9
"""A host's clock that is further behind is wrong, or was before."""
BEGINNERS: Final = frozenset({"place", "amend", "transfer", "set_terms"})
"""Verbs of commands that send something new to a venue."""
ALERT: Final = "CLOCK_BEHIND"


class EngineClock:
    """The time of decisions, for one life of the engine."""

    def __init__(self) -> None:
        self._at = time.time_ns()
        self._steady = time.monotonic_ns()
        self._told = False
        self.ahead = 0
        """By how much the host's clock was behind when last asked, in ns; zero is usual."""

    def begin(self, at: int) -> None:
        """Go on from the last moment that the journal knows (UTC ns)."""
        self._at = max(self.now(), at)

    def now(self) -> int:
        """UTC ns."""
        # In this order: a pause between the two makes the step shorter, never longer.
        host, steady = time.time_ns(), time.monotonic_ns()
        self._at, self._steady = max(host, self._at + steady - self._steady), steady
        self.ahead = self._at - host
        return self._at

    def check(self, subject: str) -> None:
        """Hold the message on a subject against the clock.

        Raises:
            Refused: CLOCK_BEHIND: it would begin something new.
        """
        if self.ahead > BEHIND_NS and subject.partition(".")[0] in BEGINNERS:
            raise Refused(Code.CLOCK_BEHIND, f"{self._behind()}: nothing new is sent before it is right")

    def alert(self, sequence: int) -> bytes | None:
        """What people are told, encoded, when the clock has just come to be too far behind; None otherwise."""
        behind = self.ahead > BEHIND_NS
        if behind is self._told:
            return None
        self._told = behind
        if not behind:
            log.warning("this host's clock is right again, or has caught up")
            return None
        log.error("%s: nothing new is sent before it is right", self._behind())
        return encode(Alert(code=ALERT, sequence=sequence, message=self._behind(), at=self._at))

    def _behind(self) -> str:
        return f"this host's clock was set back: it is {self.ahead / 1e9:,.1f} s behind the journal's time"
