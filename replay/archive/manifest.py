"""The manifest of a sealed segment: what it holds, in one line of canonical JSON. A segment without one does not count."""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from replay.archive.errors import ArchiveBroken
from replay.archive.layout import MANIFEST_SUFFIX, SEALED_SUFFIX, TEMPORARY_SUFFIX, Entry, day_of, place

FORMAT: Final = 1
NO_MANIFEST: Final = "0" * 64
"""``previous`` of the first one."""
MAX_BYTES: Final = 64 * 1024


class SegmentEncryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key the segment is encrypted with."""

    key_id: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sealed segment holds.

    Args:
        first, last: sequences of its frames.
        prev, head: digest of the frame before the first, and of the last.
        at_first, at_last: time of the first commit and of the last, UTC ns.
        frames, commits, events: how many.
        raw_bytes: of its records; ``bytes`` and ``sha256``: of the ``.zst`` file as it is stored.
        previous: SHA-256 of the manifest before, :data:`NO_MANIFEST` for the first.
    """

    format: int
    first: int
    last: int
    prev: str
    head: str
    at_first: int
    at_last: int
    frames: int
    commits: int
    events: int
    raw_bytes: int
    bytes: int
    sha256: str
    previous: str
    encryption: SegmentEncryption | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Manifest).decode


def digest_of(manifest: Manifest) -> str:
    """What the next manifest names as ``previous``: SHA-256 of the file's bytes."""
    return hashlib.sha256(_canonical(manifest)).hexdigest()


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write one, durable and whole when it stands under its name."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with temporary.open("wb") as file:
        file.write(_canonical(manifest))
        file.flush()
        os.fsync(file.fileno())
    place(path, temporary)


def read_manifest(entry: Entry) -> Manifest:
    """Read one and hold it against its name, its directory and the size of its segment's file.

    Raises:
        ArchiveBroken: it is not what was written, or not where it was written.
        FileNotFoundError: it is gone.
    """
    path, first = entry.path, entry.first
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        manifest = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArchiveBroken(path, first, f"cannot be decoded: {error}") from None
    if _canonical(manifest) != data:
        raise ArchiveBroken(path, first, "is not written as manifests are: it was edited")
    if manifest.format != FORMAT:
        raise ArchiveBroken(path, first, f"format must be {FORMAT}, was {manifest.format}")
    if (manifest.first, manifest.last) != (entry.first, entry.last):
        raise ArchiveBroken(path, first, f"says that it is of frames {manifest.first} to {manifest.last}")
    if manifest.frames != manifest.last - manifest.first + 1:
        raise ArchiveBroken(
            path, first, f"says {manifest.frames} frames from {manifest.first} to {manifest.last}"
        )
    if not path.parent.match(day := _day(entry, manifest)):
        raise ArchiveBroken(path, first, f"lies in {'/'.join(path.parts[-4:-1])}, but is of {day}")
    stored = path.with_suffix(SEALED_SUFFIX)
    try:
        size = stored.stat().st_size
    except FileNotFoundError:
        raise ArchiveBroken(stored, first, f"is missing: frames {first} to {manifest.last}") from None
    if size != manifest.bytes:
        raise ArchiveBroken(stored, first, f"is {size:,} bytes, its manifest says {manifest.bytes:,}")
    return manifest


def manifest_path(stored: Path) -> Path:
    """The manifest beside a segment's ``.zst``."""
    return stored.with_suffix(MANIFEST_SUFFIX)


def _day(entry: Entry, manifest: Manifest) -> str:
    try:
        return day_of(manifest.at_first)
    except (ValueError, OverflowError, OSError):
        raise ArchiveBroken(entry.path, entry.first, f"at_first is no time: {manifest.at_first}") from None


def _canonical(manifest: Manifest) -> bytes:
    return _encode(manifest) + b"\n"
