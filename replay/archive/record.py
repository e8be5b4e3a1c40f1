"""One record: a frame's bytes as they stood in the journal, and the checks made when it was applied.

``length of payload | payload | length of checks | checks``, lengths in 4 bytes, big-endian. The payload is kept byte for
byte, because the chain is over its bytes.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms.encryption import Source
from oms.messages.frames import GENESIS, frame_digest
from replay.archive.errors import ArchiveBroken

MAX_PAYLOAD_BYTES: Final = 2 * 1024 * 1024
"""A frame is a NATS message, of at most 1 MiB as the journal's server is set."""
MAX_CHECKS_BYTES: Final = 1024 * 1024
MAX_RECORD_BYTES: Final = 8 + MAX_PAYLOAD_BYTES + MAX_CHECKS_BYTES
_LENGTH: Final = struct.Struct(">I")


@attrs.frozen
class ArchivedFrame:
    """A frame as the archive holds it.

    Args:
        sequence: of the journal's stream.
        payload: the frame's bytes, as they stood there.
        checks: two bytes for every entity that each commit touched, as :mod:`replay.checks` makes them.
    """

    sequence: int
    payload: bytes
    checks: bytes


class _Commit(msgspec.Struct, frozen=True, gc=False):
    at: int
    events: list[msgspec.Raw]


class _Frame(msgspec.Struct, frozen=True, gc=False):
    sequence: int
    prev: str
    commits: list[_Commit]


_decode = msgspec.json.Decoder(_Frame).decode


@attrs.frozen
class Summary:
    """What a manifest says of one frame. Times are UTC ns, of its first and last commit."""

    prev: str
    digest: str
    at_first: int
    at_last: int
    commits: int
    events: int


def summarize(path: Path, sequence: int, payload: bytes, prev: str | None) -> Summary:
    """Read what a manifest needs of a frame, and hold it against its place in the chain.

    Args:
        path: the file that it is in, for the error.
        prev: the digest of the frame before; None when it is not known.

    Raises:
        ArchiveBroken: it is no frame, names another sequence, or follows another frame.
    """
    try:
        frame = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArchiveBroken(path, sequence, f"the frame cannot be decoded: {error}") from None
    if frame.sequence != sequence:
        raise ArchiveBroken(path, sequence, f"the frame names itself {frame.sequence}")
    if prev is None and sequence == 1:
        prev = GENESIS
    if prev is not None and frame.prev != prev:
        raise ArchiveBroken(path, sequence, f"the frame follows {frame.prev}, but the one before is {prev}")
    if not frame.commits:
        raise ArchiveBroken(path, sequence, "the frame holds no commit")
    return Summary(
        prev=frame.prev,
        digest=frame_digest(payload),
        at_first=frame.commits[0].at,
        at_last=frame.commits[-1].at,
        commits=len(frame.commits),
        events=sum(len(commit.events) for commit in frame.commits),
    )


def encode_record(payload: bytes, checks: bytes) -> bytes:
    """The record of a frame.

    Raises:
        ValueError: it is larger than any record may be.
    """
    if len(payload) > MAX_PAYLOAD_BYTES or len(checks) > MAX_CHECKS_BYTES:
        raise ValueError(
            f"a frame must be at most {MAX_PAYLOAD_BYTES:,} bytes and its checks {MAX_CHECKS_BYTES:,},"
            f" was {len(payload):,} and {len(checks):,}"
        )
    return b"".join((_LENGTH.pack(len(payload)), payload, _LENGTH.pack(len(checks)), checks))


def decode_record(path: Path, sequence: int, record: bytes) -> ArchivedFrame:
    """The frame of a whole record.

    Raises:
        ArchiveBroken: the lengths in it are not its own.
    """
    frames = list(read_records(path, sequence, io.BytesIO(record)))
    if len(frames) != 1:
        raise ArchiveBroken(path, sequence, f"expected one record, found {len(frames)}")
    return frames[0]


def read_records(path: Path, first: int, source: Source) -> Iterator[ArchivedFrame]:
    """Frames from ``first`` on, to the end of ``source``; memory is one of them.

    Raises:
        ArchiveBroken: it ends within a record, or a record is larger than any may be.
    """
    sequence = first
    while True:
        start = _read(source, _LENGTH.size)
        if not start:
            return
        payload = _part(path, sequence, source, start, MAX_PAYLOAD_BYTES)
        checks = _part(path, sequence, source, _read(source, _LENGTH.size), MAX_CHECKS_BYTES)
        yield ArchivedFrame(sequence, payload, checks)
        sequence += 1


def _part(path: Path, sequence: int, source: Source, start: bytes, limit: int) -> bytes:
    if len(start) == _LENGTH.size:
        (length,) = _LENGTH.unpack(start)
        if length > limit:
            raise ArchiveBroken(
                path, sequence, f"a part of the record is {length:,} bytes, at most {limit:,}"
            )
        part = _read(source, length)
        if len(part) == length:
            return part
    raise ArchiveBroken(path, sequence, "ends within the record")


def _read(source: Source, size: int) -> bytes:
    part = source.read(size)
    if len(part) == size or not part:
        return part
    parts = [part]
    size -= len(part)
    while size and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
