"""Batches: what is decided while an append is in flight, and waits for the next frame."""

from collections import defaultdict, deque
from typing import Final

import attrs

from oms.aggregates.account import AccountKey
from oms.messages.instructions import Cancel, Instruction

MAX_FRAME_BYTES: Final = 960 * 1024
"""A frame stays below NATS' 1 MiB with room for its own head and headers."""


@attrs.frozen
class Seal:
    """A seal among a frame's commits: its index there, the digest it states, its time (UTC ns)."""

    commit: int
    digest: str
    at: int


@attrs.define(slots=True)
class Batch:
    """One frame in the making, and all that may be said once it is durable.

    Args:
        sequence: that the frame will have, if it gets any commit.
        commits: encoded, in order; ``size`` their bytes.
        replies: (reply subject, payload) for clients that wait.
        instructions: (account key, session, instruction), in order.
        alerts: encoded, for whoever listens.
        seal: the last one among the commits.
    """

    sequence: int
    commits: list[bytes] = attrs.field(factory=list)
    size: int = 0
    replies: list[tuple[str, bytes]] = attrs.field(factory=list)
    instructions: list[tuple[AccountKey, str, Instruction]] = attrs.field(factory=list)
    alerts: list[bytes] = attrs.field(factory=list)
    seal: Seal | None = None

    def by_session(self) -> list[tuple[tuple[AccountKey, str], list[Instruction]]]:
        """The instructions of each (account key, session), in order: those who cancel first, so that nobody else delays a kill.

        An order may stand here beside its own cancel. It is told nevertheless: the connector, which gets the two in this
        order, takes it back and says at once that it never left. Held back here, or while a cancel that is not durable yet
        waits behind, it would be in doubt, and the venue would have to be asked until its grace is over.
        """
        found: defaultdict[tuple[AccountKey, str], list[Instruction]] = defaultdict(list)
        canceling: set[tuple[AccountKey, str]] = set()
        for key, session, instruction in self.instructions:
            found[key, session].append(instruction)
            if type(instruction) is Cancel:
                canceling.add((key, session))
        return sorted(found.items(), key=lambda each: each[0] not in canceling)


class BatchQueue:
    """Batches in order; the last one is open. One goes in flight at a time."""

    def __init__(self, next_sequence: int) -> None:
        self._batches: deque[Batch] = deque([Batch(next_sequence)])
        self.waiting = 0

    @property
    def open(self) -> Batch:
        """The batch that what is decided now goes into."""
        return self._batches[-1]

    def make_room(self, size: int) -> int:
        """Open a new batch when a commit of up to ``size`` bytes might not fit this one; return the sequence it will have.

        Called before deciding, because what is decided remembers its sequence.
        """
        batch = self.open
        if batch.commits and batch.size + size > MAX_FRAME_BYTES:
            batch = Batch(batch.sequence + 1)
            self._batches.append(batch)
        return batch.sequence

    def add_commit(self, commit: bytes) -> None:
        """Put a commit into the open batch."""
        batch = self.open
        batch.commits.append(commit)
        batch.size += len(commit) + 1

    def add_reply(self, subject: str, payload: bytes) -> None:
        """Hold a reply back until all that was decided so far is durable."""
        self.open.replies.append((subject, payload))
        self.waiting += 1

    def take(self) -> Batch | None:
        """The next batch to make durable; None when there is nothing to say."""
        batch = self._batches[0]
        if not batch.commits and not batch.replies and not batch.instructions:
            return None
        self._batches.popleft()
        if not self._batches:
            self._batches.append(Batch(batch.sequence + 1 if batch.commits else batch.sequence))
        self.waiting -= len(batch.replies)
        return batch

    def unsaid(self) -> list[tuple[str, bytes]]:
        """Every reply that waits, for telling that nothing is known to be durable."""
        return [reply for batch in self._batches for reply in batch.replies]
