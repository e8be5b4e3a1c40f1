"""History: state and read models at one point of the journal, and the one way to move it forward.

The engine's start, the follower and every audit go through :meth:`History.apply`; that is what makes their states one.
"""

import decimal
from collections.abc import Callable
from typing import Any

import attrs

from oms.aggregates.money import EXACT
from oms.aggregates.partition import Partition
from oms.journal.reader import StoredFrame
from oms.messages.frames import GENESIS
from oms.projections.projections import Projections

EventId = tuple[int, int, int]
"""(sequence, index of the commit in the frame, index of the event in the commit): an event's place in the journal."""

Watch = Callable[[Any, int, EventId], None]
"""Is told each event, its commit's time and its place, right after it was applied."""


@attrs.define(slots=True, eq=False)
class History:
    """Everything that frames 1 to ``sequence`` say.

    Args:
        partition: decision state.
        projections: read models, None for who needs none.
        sequence: of the last frame applied, 0 for none.
        head: digest of the last frame's payload: what the next frame's ``prev`` must be.
        events: how many events were applied since this object was made.
    """

    partition: Partition = attrs.field(factory=Partition)
    projections: Projections | None = None
    sequence: int = 0
    head: str = GENESIS
    events: int = 0

    @property
    def at(self) -> int:
        """Time of the last commit, UTC ns."""
        return self.partition.at

    def apply(self, stored: StoredFrame, watch: Watch | None = None) -> None:
        """Apply the next frame."""
        sequence = stored.sequence
        if sequence != self.sequence + 1:
            raise AssertionError(f"frame {sequence} cannot follow frame {self.sequence}")
        partition, projections = self.partition, self.projections
        with decimal.localcontext(EXACT):
            for index, commit in enumerate(stored.frame.commits):
                self.events += len(commit.events)
                if projections is None and watch is None:
                    partition.apply(commit, sequence)
                    continue
                at = commit.at
                for place, event in enumerate(commit.events):
                    partition.evolve(event, at)
                    if projections is not None:
                        projections.evolve(event, at, sequence)
                    if watch is not None:
                        watch(event, at, (sequence, index, place))
                partition.finish(commit, sequence)
        if projections is not None:
            projections.finish(partition.at)
        self.sequence = sequence
        self.head = stored.digest
