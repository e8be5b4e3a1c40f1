"""The high-water mark: how far the journal is known to be durable, written before anybody is told so.

A file of two slots, 4 KiB apart, written in turn: a write that is cut short leaves the one before. It is not synced, so it
survives the end of the process and not a power failure; receipts do. Whoever starts after a kill compares the journal
with it.
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

import attrs

from oms.disk import sync_directory
from oms.messages.frames import GENESIS

FILE: Final = "mark"
SLOT_BYTES: Final = 4096
"""Each slot has a disk block, and a page of memory, of its own."""
_RECORD: Final = struct.Struct(">8sQQQ32s")
_MAGIC: Final = b"MEXMARK1"
_CHECK_BYTES: Final = 16


@attrs.frozen
class Mark:
    """What was known to be durable.

    Args:
        sequence, head: of the last frame, and the digest of its payload; 0 and GENESIS before the first.
        receipt: sequence of the last receipt that was durable, 0 for none: receipts that end earlier were cut.
        turn: number of the write, which tells the later slot.
    """

    sequence: int
    head: str
    receipt: int
    turn: int


@attrs.frozen
class FoundMark:
    """What a mark file holds.

    Args:
        mark: the later good slot; None when there is none.
        damaged: how many slots are not what was written, of 2.
        there: whether there is such a file.
    """

    mark: Mark | None
    damaged: int
    there: bool


def read_mark(path: Path) -> FoundMark:
    """Read a mark file; damage is told, not raised.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(2 * SLOT_BYTES)
    except FileNotFoundError:
        return FoundMark(None, 0, False)
    slots = [_decode(content[start : start + _SIZE]) for start in (0, SLOT_BYTES)]
    good = [slot for slot in slots if slot is not None]
    return FoundMark(max(good, key=lambda mark: mark.turn, default=None), 2 - len(good), True)


class MarkFile:
    """The mark of a writer, kept open. Use :meth:`set` once; then every other call is one small write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._turn = 0
        self._last = (0, GENESIS)
        self._receipt = 0

    def set(self, sequence: int = 0, head: str = GENESIS, receipt: int = 0) -> None:
        """Put a file with this mark in both slots in the place of what is there, durably; open it for writing.

        Raises:
            OSError: it could not be written; what was there still stands.
        """
        self.close()
        self._turn, self._last, self._receipt = 2, (sequence, head), receipt
        temporary = self._path.with_name(f".{self._path.name}")
        with temporary.open("wb") as file:
            for turn in (2, 1):
                file.write(_encode(sequence, head, receipt, turn).ljust(SLOT_BYTES, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_directory(self._path.parent)
        self._file = os.open(self._path, os.O_WRONLY)

    def write(self, sequence: int, head: str) -> None:
        """Note that the frame ``sequence``, with digest ``head``, is durable.

        Raises:
            OSError: it was not noted.
        """
        assert self._file is not None, "set() comes first"
        self._turn = turn = self._turn + 1
        self._last = (sequence, head)
        record = _encode(sequence, head, self._receipt, turn)
        if os.pwrite(self._file, record, (turn % 2) * SLOT_BYTES) != _SIZE:
            raise OSError(f"{self._path}: the mark was written in part")

    def write_receipt(self, sequence: int) -> None:
        """Note that the receipt for this frame is durable.

        Raises:
            OSError: it was not noted.
        """
        self._receipt = sequence
        self.write(*self._last)

    def close(self) -> None:
        """Close the file; it stays as it is."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _encode(sequence: int, head: str, receipt: int, turn: int) -> bytes:
    record = _RECORD.pack(_MAGIC, turn, sequence, receipt, bytes.fromhex(head))
    return record + hashlib.blake2b(record, digest_size=_CHECK_BYTES).digest()


_SIZE: Final = _RECORD.size + _CHECK_BYTES


def _decode(slot: bytes) -> Mark | None:
    record, check = slot[: _RECORD.size], slot[_RECORD.size :]
    if len(slot) != _SIZE or hashlib.blake2b(record, digest_size=_CHECK_BYTES).digest() != check:
        return None
    magic, turn, sequence, receipt, head = _RECORD.unpack(record)
    return Mark(sequence, head.hex(), receipt, turn) if magic == _MAGIC else None
