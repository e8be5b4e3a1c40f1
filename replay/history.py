"""History: state and read models at one point of the journal, and the one way to move it forward.

The engine's start, the follower and every audit go through :meth:`History.apply`; that is what makes their states one.
"""

import decimal
from collections.abc import Callable
from typing import Any

import attrs

from oms.aggregates.digest import SHAPE
from oms.aggregates.money import EXACT
from oms.aggregates.partition import Partition
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame
from oms.messages.events import Sealed
from oms.messages.frames import GENESIS, Commit
from oms.projections.projections import Projections
from replay.checks import checks_of

EventId = tuple[int, int, int]
"""(sequence, index of the commit in the frame, index of the event in the commit): an event's place in the journal."""

Watch = Callable[[Any, int, EventId], None]
"""Is told each event, its commit's time and its place, right after it was applied."""


@attrs.define(slots=True, eq=False)
class History:
    """Everything that frames 1 to ``sequence`` say, and the first ``part`` commits of the one after.

    Args:
        partition: decision state.
        projections: read models, None for who needs none.
        sequence: of the last frame applied, 0 for none.
        part: how many commits of frame ``sequence + 1`` are applied too; above 0 only where replay stopped inside a frame.
        head: digest of the last frame's payload: what the next frame's ``prev`` must be.
        before: how many events the snapshot holds that it was made from. ``events``: how many were applied since.
        checks: where :mod:`replay.checks` of the frame applied last are put; None when nobody wants them.
        on_seal: is told (sequence, commit, seal, digest replayed) of a seal that does not hold, which is otherwise an error.
        seals: how many seals were held against the state; ``other_seals`` were of another shape and could not be.
    """

    partition: Partition = attrs.field(factory=Partition)
    projections: Projections | None = None
    sequence: int = 0
    part: int = 0
    head: str = GENESIS
    before: int = 0
    events: int = 0
    checks: bytes | None = None
    on_seal: Callable[[int, int, Sealed, str], None] | None = None
    seals: int = 0
    other_seals: int = 0

    @property
    def at(self) -> int:
        """Time of the last commit, UTC ns."""
        return self.partition.at

    def apply(self, stored: StoredFrame, watch: Watch | None = None, until: int | None = None) -> bool:
        """Apply the next frame, or of it the commits up to the time ``until``; return whether that was all of it.

        Raises:
            JournalBroken: SEAL or CLOCK; the state is then what it was before the commit concerned.
        """
        commits = stored.frame.commits
        if until is not None and commits and commits[-1].at > until:
            commits = [commit for commit in commits if commit.at <= until]
        self.begin(stored)
        checks = None if self.checks is None else bytearray()
        with decimal.localcontext(EXACT):
            for index, commit in enumerate(commits):
                self.step(stored.sequence, index, commit, watch)
                if checks is not None:
                    checks += checks_of(self.partition)
        if checks is not None:
            self.checks = bytes(checks)
        if len(commits) < len(stored.frame.commits):
            self.part = len(commits)
            return False
        self.end(stored)
        return True

    # -- commit by commit, for audits that look between them

    def begin(self, stored: StoredFrame) -> None:
        """Start the next frame."""
        if stored.sequence != self.sequence + 1 or self.part:
            raise AssertionError(
                f"frame {stored.sequence} cannot follow frame {self.sequence}, part {self.part}"
            )

    def step(self, sequence: int, index: int, commit: Commit, watch: Watch | None = None) -> None:
        """Apply one commit of it, inside :data:`oms.aggregates.money.EXACT`.

        Raises:
            JournalBroken: SEAL or CLOCK, before anything was applied.
        """
        partition, projections = self.partition, self.projections
        at = commit.at
        if at < partition.at:
            raise JournalBroken(
                JournalFault.CLOCK,
                sequence,
                f"commit {index} is at {at}, before the one ahead of it, at {partition.at}",
            )
        if type(commit.events[0]) is Sealed:
            self._check_seal(sequence, index, commit.events[0])
        self.events += len(commit.events)
        if projections is None and watch is None:
            partition.apply(commit, sequence)
            return
        for place, event in enumerate(commit.events):
            partition.evolve(event, at)
            if projections is not None:
                projections.evolve(event, at, sequence)
            if watch is not None:
                watch(event, at, (sequence, index, place))
        partition.finish(commit, sequence)

    def end(self, stored: StoredFrame) -> None:
        """End the frame, all its commits applied."""
        if self.projections is not None:
            self.projections.finish(self.partition.at)
        self.sequence = stored.sequence
        self.head = stored.digest

    def _check_seal(self, sequence: int, index: int, seal: Sealed) -> None:
        if seal.shape != SHAPE:
            self.other_seals += 1
            return
        found = self.partition.digest()
        if found == seal.digest:
            self.seals += 1
        elif self.on_seal is not None:
            self.on_seal(sequence, index, seal, found)
        else:
            raise JournalBroken(
                JournalFault.SEAL,
                sequence,
                f"the seal in commit {index} says that the state before it has digest {seal.digest}, replayed it has"
                f" {found}: data or code differ from what was decided; `oms replay verify` finds where",
            )
