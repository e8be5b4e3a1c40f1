"""Chained frames for tests of the archive, small and of any time, and what reading must give back."""

import hashlib
from pathlib import Path
from typing import Any

import attrs
import msgspec

from oms.messages.frames import GENESIS, encode_frame, frame_digest
from replay.archive import Archive, ArchivedFrame, ArchiveWriter

DAY_NS = 86_400 * 10**9
MONDAY = 1_789_948_800 * 10**9
"""2026-09-21 00:00 UTC."""


@attrs.frozen
class Made:
    """A frame to append."""

    sequence: int
    payload: bytes
    checks: bytes
    at: int

    @property
    def frame(self) -> ArchivedFrame:
        """As reading gives it back."""
        return ArchivedFrame(self.sequence, self.payload, self.checks)


def chain(times: list[int], first: int = 1, prev: str = GENESIS, size: int = 0) -> list[Made]:
    """Frames of two commits each, at these times; ``size`` more bytes in each, that do not compress."""
    made = []
    for sequence, at in enumerate(times, first):
        noise = b"".join(hashlib.sha256(f"{sequence}/{n}".encode()).digest() for n in range(size // 64))
        payload = encode_frame(sequence, prev, [commit(at, noise.hex()), commit(at + 1, "")])
        made.append(Made(sequence, payload, hashlib.sha256(payload).digest()[: sequence % 7], at))
        prev = frame_digest(payload)
    return made


def commit(at: int, noise: str) -> bytes:
    """A commit as it stands in a frame; two events, of a kind that the archive need not know."""
    events: list[dict[str, Any]] = [{"event": "Noted.1", "noise": noise}, {"event": "Noted.1"}]
    return msgspec.json.encode({"at": at, "subject": "note._._._._", "command": {}, "events": events})


def append(writer: ArchiveWriter, frames: list[Made]) -> None:
    """Append all of them."""
    for made in frames:
        writer.append(made.sequence, made.payload, made.checks, made.at)


def read_all(archive: Archive) -> list[ArchivedFrame]:
    """Every frame that it holds."""
    return list(archive.read(*archive.bounds()))


def files(data_dir: Path) -> list[str]:
    """The archive's files, by their paths below its root."""
    root = data_dir / "archive"
    return sorted(
        str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != "writer.lock"
    )
