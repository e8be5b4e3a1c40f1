"""What verification says: figures, and findings, each with its place."""

from enum import StrEnum
from typing import Final

import msgspec

MAX_FINDINGS: Final = 100
"""A journal that is wrong everywhere is not described frame by frame."""


class Finding(StrEnum):
    """Kinds of findings: which proof failed."""

    JOURNAL = "JOURNAL"
    """A frame is missing, doubled, swapped, edited or unreadable."""
    CLOCK = "CLOCK"
    """A commit is earlier than the one before."""
    ARCHIVE = "ARCHIVE"
    """The archive is not what was written."""
    DIFFERS = "DIFFERS"
    """Journal and archive hold different frames."""
    LOST = "LOST"
    """Something outside proves that the journal held more."""
    RECEIPT = "RECEIPT"
    """Receipts are damaged or forged, or are of another journal."""
    SNAPSHOT = "SNAPSHOT"
    """A snapshot is damaged or of another journal."""
    CODE = "CODE"
    """A newer version wrote this, or this code cannot apply it."""
    STATE = "STATE"
    """Replaying comes to another state than was recorded."""
    DECISION = "DECISION"
    """Deciding again comes to other events than were recorded."""


DIVERGING: Final = frozenset({Finding.CODE, Finding.STATE, Finding.DECISION})
"""The record is whole, but this code does not come to it."""


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of an entity: before the commit, after it as replayed, and as it was recorded where that is known."""

    entity: str
    field: str
    before: str | None = None
    replayed: str | None = None
    recorded: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong.

    Args:
        sequence: of the frame; 0 where it is in none. ``commit``: index in the frame, where that is known.
        last: where it is one of several frames, or all of them, the last of these; 0 where it is the one.
        what: the events of the commit, or the file.
        fields: what differs, for :data:`Finding.STATE` and :data:`Finding.DECISION`.
    """

    kind: Finding
    sequence: int
    message: str
    last: int = 0
    commit: int | None = None
    what: str = ""
    fields: list[Field] = []


class Report(msgspec.Struct, kw_only=True):
    """The outcome.

    Args:
        first, last: frames verified. ``head``, ``at``, ``digest``: chain head, time and state digest after the last.
        archived: how many of the frames were read from the archive; ``compared``: how many in both were held together.
        checks: commits held against the archive's checks; ``seals`` against the state, ``other_seals`` are of another shape.
        receipts, snapshots, segments: how many were found and hold; ``other_snapshots`` are of an earlier release, not compared.
            ``decided``: commits decided again.
        seconds: of wall time, decisions included; ``deciding``: of these.
    """

    journal_id: str = ""
    version: str = ""
    first: int = 1
    last: int = 0
    head: str = ""
    at: int = 0
    digest: str = ""
    frames: int = 0
    commits: int = 0
    events: int = 0
    archived: int = 0
    compared: int = 0
    checks: int = 0
    seals: int = 0
    other_seals: int = 0
    receipts: int = 0
    snapshots: int = 0
    other_snapshots: int = 0
    segments: int = 0
    decided: int = 0
    seconds: float = 0.0
    deciding: float = 0.0
    findings: list[Found] = msgspec.field(default_factory=list)
    more: int = 0

    @property
    def whole(self) -> bool:
        """Whether the record itself is what was written."""
        return all(found.kind in DIVERGING for found in self.findings)

    def add(self, found: Found) -> None:
        """Take a finding in; beyond :data:`MAX_FINDINGS` it is counted."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(found)
        else:
            self.more += 1
