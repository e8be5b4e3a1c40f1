"""The record that hands are laid on, what they are helped with, and how the place of a finding is told."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from oms.journal.receipts import receipt_files
from oms.messages import events as e
from oms.messages.frames import GENESIS, encode_frame, frame_digest
from replay.archive import Archive
from replay.verify import Finding, Found
from tests.replay.journal import Maker
from tests.replay.record import (
    Record,
    sealings_of,
)

DAY_STEP = 600 * 10**9
SHARE = 0.7


@attrs.define
class Desk:
    """A whole record in a directory of its own, and the frames that its journal will hold."""

    record: Record
    data_dir: Path
    frames: list[bytes]
    monkeypatch: pytest.MonkeyPatch
    gone: list[int] = attrs.field(factory=list)
    """Deleted from the journal once it is written."""
    trim: int = 0
    """The first frame that the journal keeps."""

    @property
    def maker(self) -> Maker:
        return self.record.maker

    @property
    def archived(self) -> int:
        """How many frames the archive holds."""
        return Archive(self.data_dir).bounds()[1]

    @property
    def receipted(self) -> list[int]:
        """The frames that receipts name."""
        return [each.sequence for each in sealings_of(self.maker.stored)]

    def edit(self, sequence: int, old: bytes, new: bytes) -> None:
        """Change bytes of one frame, once, and leave the frames behind as they are."""
        payload = self.frames[sequence - 1]
        assert old in payload, (old, payload[:300])
        self.frames[sequence - 1] = payload.replace(old, new, 1)

    def reprice(self, sequence: int, event: e.OrderFilled) -> None:
        """Change the price of a fill."""
        self.frames[sequence - 1] = repriced(self.frames[sequence - 1], event)

    def chain(self, sequence: int) -> None:
        """Number the frames anew from this one on, and chain them."""
        self.frames[sequence - 1 :] = chained(self.frames, sequence)

    def path(self, pattern: str) -> Path:
        """The first file of this name."""
        return min(self.data_dir.glob(pattern))

    @property
    def receipts(self) -> Path:
        return receipt_files(self.data_dir)[-1]

    @property
    def mark(self) -> Path:
        return self.data_dir / "receipts" / "mark"


class Frame(msgspec.Struct):
    sequence: int
    prev: str
    commits: list[msgspec.Raw]


def chained(frames: list[bytes], sequence: int) -> list[bytes]:
    """The frames from ``sequence`` on, numbered and chained anew."""
    prev = frame_digest(frames[sequence - 2]) if sequence > 1 else GENESIS
    found = []
    for number, payload in enumerate(frames[sequence - 1 :], sequence):
        commits = [bytes(each) for each in msgspec.json.decode(payload, type=Frame).commits]
        found.append(encode_frame(number, prev, commits))
        prev = frame_digest(found[-1])
    return found


def flip(path: Path, place: int) -> None:
    """Flip one bit of a file; a negative place counts from its end."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def of_filled(desk: Desk, after: int) -> tuple[int, e.OrderFilled]:
    """Frame and event of the first fill behind the frame ``after``."""
    return next(
        (stored.sequence, event)
        for stored in desk.maker.stored[after:]
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, e.OrderFilled)
    )


def repriced(payload: bytes, event: e.OrderFilled) -> bytes:
    """The payload with one digit of the fill's price changed, in the event and not in the command."""
    start = payload.index(b'"event":"OrderFilled')
    place = payload.index(f'"price":"{event.price}"'.encode(), start) + len('"price":"')
    return payload[:place] + (b"8" if payload[place : place + 1] != b"8" else b"7") + payload[place + 1 :]


@attrs.frozen
class Place:
    """Where a finding must be: the frame, or the first and last of several; ``what``: part of the file's name."""

    kind: Finding
    sequence: int
    last: int = 0
    what: str = ""

    def is_of(self, found: Found) -> bool:
        """Whether this is the finding's place."""
        return (found.kind, found.sequence, found.last) == (self.kind, self.sequence, self.last) and (
            self.what in found.what
        )


JOURNAL, CLOCK, ARCHIVE, DIFFERS, LOST = (
    Finding.JOURNAL,
    Finding.CLOCK,
    Finding.ARCHIVE,
    Finding.DIFFERS,
    Finding.LOST,
)
RECEIPT, SNAPSHOT, CODE, STATE, DECISION = (
    Finding.RECEIPT,
    Finding.SNAPSHOT,
    Finding.CODE,
    Finding.STATE,
    Finding.DECISION,
)
Tamper = Callable[[Desk], Iterable[Place]]
FULL: dict[str, Any] = {"archived": SHARE}
BARE: dict[str, Any] = {"archived": 0}
DAYS: dict[str, Any] = {"archived": 0.9, "step": DAY_STEP}


def around(desk: Desk, sequence: int) -> tuple[int, int]:
    """The first frame that may be concerned, and the receipt's frame, when a receipt is what tells."""
    return (
        max((at for at in desk.receipted if at < sequence), default=0) + 1,
        min(at for at in desk.receipted if at >= sequence),
    )
