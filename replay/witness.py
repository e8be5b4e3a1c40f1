"""Witnessed frames: the archive's frames as they are read for a restore, held against the chain, receipts and mark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.mark import FILE, read_mark
from oms.journal.receipts import DIRECTORY, Receipt, check_receipts
from oms.messages.frames import GENESIS, frame_digest
from replay.archive import Archive
from replay.rebuild import Progress

TOLD_FRAMES: Final = 500
"""Frames between two moves of the progress bar."""


@attrs.frozen
class WitnessedFrame:
    """A frame of the archive that is what it must be; ``digest`` of its payload."""

    sequence: int
    payload: bytes
    digest: str


class _Link(msgspec.Struct, frozen=True, gc=False):
    sequence: int
    prev: str


decode_link = msgspec.json.Decoder(_Link).decode


class Witness:
    """What receipts and mark say of frames, asked in rising order; each receipt is read and its signature checked once.

    Raises:
        JournalBroken: RECEIPT, for a receipt that is damaged or forged.
    """

    def __init__(self, data_dir: Path) -> None:
        self._mark = read_mark(data_dir / DIRECTORY / FILE).mark
        self._receipts = check_receipts(data_dir)
        self._next: Receipt | None = None
        self._seen = 0
        self._advance()

    def check(self, sequence: int, digest: str) -> None:
        """Hold a frame's digest against what is said of it."""
        mark = self._mark
        if mark is not None and mark.sequence == sequence and mark.head != digest:
            raise JournalBroken(
                JournalFault.RECEIPT,
                sequence,
                f"the archive's frame has digest {digest}, the mark says {mark.head}",
            )
        while self._next is not None and self._next.sequence < sequence:
            self._advance()
        if self._next is not None and self._next.sequence == sequence and self._next.head != digest:
            raise JournalBroken(
                JournalFault.RECEIPT,
                sequence,
                f"the archive's frame has digest {digest}, its receipt says {self._next.head}",
            )

    def last(self) -> int:
        """How far they say that the journal went, 0 when they say nothing."""
        while self._next is not None:
            self._advance()
        return max(self._seen, 0 if self._mark is None else self._mark.sequence)

    def _advance(self) -> None:
        self._next = next(self._receipts, None)
        if self._next is not None:
            self._seen = self._next.sequence


class WitnessedFrames:
    """The archive's frames, each held against the chain, and against what is said of it.

    Args:
        first, last: what it holds.
    """

    def __init__(self, archive: Archive) -> None:
        self.first, self.last = archive.bounds()
        self._archive = archive

    def read(
        self, first: int, last: int, witness: Witness | None, prev: str | None = None
    ) -> Iterator[WitnessedFrame]:
        """Frames ``first`` to ``last``, which it holds; ``prev`` is the chain head before them where it is known.

        Raises:
            JournalBroken: CHAIN, UNREADABLE or RECEIPT, with the sequence; ARCHIVE.
        """
        prev = GENESIS if first == 1 else prev
        for expected, found in enumerate(self._archive.read(first, last), first):
            try:
                link = decode_link(found.payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JournalBroken(JournalFault.UNREADABLE, expected, f"in the archive: {error}") from None
            if found.sequence != expected or link.sequence != expected:
                raise JournalBroken(
                    JournalFault.CHAIN,
                    expected,
                    f"the archive has frame {found.sequence} there, which names itself {link.sequence}",
                )
            if prev is not None and link.prev != prev:
                raise JournalBroken(
                    JournalFault.CHAIN,
                    expected,
                    f"the archive's frame follows {link.prev}, but the one before is {prev}",
                )
            prev = frame_digest(found.payload)
            if witness is not None:
                witness.check(expected, prev)
            yield WitnessedFrame(expected, found.payload, prev)

    def read_all(self, witness: Witness, progress: Progress | None) -> None:
        """Read everything once, so that nothing is found broken when the journal is gone."""
        for found in self.read(self.first, self.last, witness):
            if progress is not None and found.sequence % TOLD_FRAMES == 0:
                progress(found.sequence, self.last, 0)
