"""Chain: the journal's frames as bytes, held against one another and against the archive's copies.

Nothing is decoded but what a frame says of its place, so that every frame is looked at, whatever is wrong with those
before it. A frame that does not follow tells only that one of two was changed; the frame after them tells which.
"""

from typing import Final

import msgspec

from oms.messages.frames import GENESIS, frame_digest
from replay.verify.receipts import Witness
from replay.verify.report import Finding, Found, Report

COPY_BYTES: Final = 8
"""Bytes of a frame's digest that are kept of an archived one: enough to tell frames apart, little for millions."""


class _Place(msgspec.Struct, frozen=True, gc=False):
    sequence: int
    prev: str


_decode = msgspec.json.Decoder(_Place).decode


class Chain:
    """Takes the journal's frames in order.

    Args:
        first: sequence of the first that comes.
        copies: digests of the archive's frames from frame 1 on, :data:`COPY_BYTES` each.
        witness: told of every frame behind ``walked``, up to which it knows them already. Its mark decides about the last
            frame, which no other one follows.

    Attributes:
        found: how many findings were made.
        disputed: whether the frame that the mark names is another one.
    """

    def __init__(self, report: Report, first: int, copies: bytes, witness: Witness, walked: int) -> None:
        self._report = report
        self._copies = copies
        self._witness, self._walked = witness, walked
        self._mark = witness.mark
        self._expected = first
        self._head = GENESIS if first == 1 else None
        self._offset = 0
        self._damaged = 0
        """The last frame that a finding blames: what follows from it is not told again."""
        self._suspect = 0
        """The frame before one that does not follow it; the one after both will tell which was changed."""
        self._unlike = b""
        """The one that does not, as it would be if it did."""
        self._forked = 0
        """The first of the frames, up to the last that came, which are not the archive's."""
        self._broken = False
        self.found = 0
        self.disputed = False

    def frame(self, sequence: int, payload: bytes) -> None:
        """Take the next frame."""
        digest = frame_digest(payload)
        if sequence > self._expected:
            self._missing(self._expected, sequence - 1)
        place = _place(payload)
        follows = self._follows(sequence, place)
        copy = self._copy(sequence)
        if copy:
            self._report.compared += 1
            self._compare(sequence, digest.startswith(copy), follows)
            self._offset = place.sequence - sequence if place is not None else 0
        else:
            if self._forked:
                self._end_fork(follows)
            self._link(sequence, place, payload)
        if self._mark is not None and sequence == self._mark.sequence:
            self.disputed = digest != self._mark.head
        if sequence > self._walked:
            self._witness.digest(sequence, digest)
        self._expected, self._head = sequence + 1, digest

    def end(self) -> None:
        """Tell what only the end tells."""
        last = self._expected - 1
        if self._forked:
            self._end_fork(True)
        if not self._suspect:
            return
        if self._mark is not None and self._mark.sequence == last:
            self._changed(self._suspect if self._mark.head == self._head else last)
        else:
            self._blame(
                self._suspect,
                last,
                f"or frame {last:,}, which does not follow it and is the last, was changed",
            )

    def _follows(self, sequence: int, place: _Place | None) -> bool:
        if place is None or place.sequence != sequence:
            return False
        return self._head is None or place.prev == self._head

    # -- with a copy in the archive

    def _compare(self, sequence: int, same: bool, follows: bool) -> None:
        if not same:
            self._forked = self._forked or sequence
            self._broken |= not follows
        elif self._forked:
            self._blame(self._forked, sequence - 1, "was changed: the next one follows the archive's")
            self._forked, self._broken = 0, False

    def _end_fork(self, follows: bool) -> None:
        """The copies end, or the journal does, among frames that are not the archive's."""
        forked, self._forked = self._forked, 0
        if self._broken or not follows:
            self._blame(forked, self._expected - 1, "is not the archive's, and the chain breaks behind it")
        else:
            self._add(
                Finding.DIFFERS,
                forked,
                0,
                "the archive holds another frame here than the journal: one of them was written anew from here on."
                f" {self._judged(forked)}",
            )

    def _copy(self, sequence: int) -> str:
        place = (sequence - 1) * COPY_BYTES
        return self._copies[place : place + COPY_BYTES].hex()

    def _judged(self, forked: int) -> str:
        """Which of both the receipts agree with; they were held against the archive's frames."""
        witness = self._witness
        if witness.disputed >= forked:
            return f"The receipt of frame {witness.disputed:,} does not agree with the archive"
        if witness.agreed >= forked:
            return f"The receipt of frame {witness.agreed:,} agrees with the archive"
        return "No receipt tells which"

    # -- without

    def _link(self, sequence: int, place: _Place | None, payload: bytes) -> None:
        before = sequence - 1
        if self._suspect:
            self._decide(self._suspect, before, None if place is None else place.prev)
            self._suspect = 0
        if place is None:
            self._blame(sequence, sequence, "is not one that can be read")
            return
        offset = place.sequence - sequence
        if offset != self._offset:
            self._offset = offset
            if offset:
                self._blame(
                    sequence, sequence, f"names itself {place.sequence:,}: some were cut, put in or swapped"
                )
        elif self._head is not None and place.prev != self._head and self._damaged != before:
            self._suspect, self._unlike = before, payload.replace(place.prev.encode(), self._head.encode(), 1)

    def _decide(self, suspect: int, unlike: int, prev: str | None) -> None:
        """Of a frame and the next one, which does not follow it, by what the frame behind both follows."""
        if prev == self._head:
            self._changed(suspect)
        elif prev == frame_digest(self._unlike):
            self._blame(unlike, unlike, "was changed, in what it says of the frame before it alone")
        else:
            self._blame(suspect, unlike, f"was changed, or frame {unlike:,}, or both")

    # -- findings

    def _missing(self, first: int, last: int) -> None:
        self._blame(first, last, "is missing" if first == last else f"to {last:,} are missing")
        self._head, self._suspect = None, 0

    def _changed(self, sequence: int) -> None:
        self._blame(sequence, sequence, "was changed: its digest is not the one that the next frame names")

    def _blame(self, first: int, last: int, message: str) -> None:
        self._damaged = last
        self._add(Finding.JOURNAL, first, last, f"frame {first:,} {message}")

    def _add(self, kind: Finding, sequence: int, last: int, message: str) -> None:
        self.found += 1
        self._report.add(
            Found(kind=kind, sequence=sequence, last=last if last > sequence else 0, message=message)
        )


def _place(payload: bytes) -> _Place | None:
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
