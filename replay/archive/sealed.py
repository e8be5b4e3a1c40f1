"""Sealed segments: the records of an open file in one zstd frame, encrypted when there are keys, with a manifest."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs
import zstandard

from oms.encryption import DecryptionFailed, EncryptedReader, EncryptedWriter, Keys
from replay.archive.errors import ArchiveBroken
from replay.archive.layout import SEALED_SUFFIX, TEMPORARY_SUFFIX, Entry, place, same_day, stem
from replay.archive.manifest import (
    FORMAT,
    Manifest,
    SegmentEncryption,
    digest_of,
    manifest_path,
    read_manifest,
    write_manifest,
)
from replay.archive.openfile import OpenFile
from replay.archive.record import (
    MAX_RECORD_BYTES,
    ArchivedFrame,
    Summary,
    encode_record,
    read_records,
    summarize,
)

ROLL_BYTES: Final = 64 * 1024 * 1024
"""Records of a segment, uncompressed, at which it is sealed."""
MAX_RAW_BYTES: Final = ROLL_BYTES + MAX_RECORD_BYTES
LEVEL: Final = 6
"""Of zstd. Measured on random command ids: 56 bytes an event at 90 MB/s; level 9 gives 54 at 54 MB/s, and neither a larger
window nor long-distance matching gives anything."""
MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024


@attrs.frozen
class SegmentReport:
    """A sealed segment that was read whole and is what its manifest says.

    Args:
        path: of its ``.zst``.
        manifest_sha256: what the manifest after it must name as ``previous``.
    """

    path: Path
    manifest: Manifest
    manifest_sha256: str


class _Totals:
    """What a manifest says of frames, gathered frame by frame."""

    def __init__(self, path: Path, first: int, prev: str | None) -> None:
        self._path = path
        self.first, self.last = first, first - 1
        self.prev = self.head = prev
        self.at_first = self.at_last = 0
        self.commits = self.events = self.raw_bytes = 0

    def add(self, frame: ArchivedFrame) -> Summary:
        """Take the next frame; its place in the chain is checked."""
        found = summarize(self._path, frame.sequence, frame.payload, self.head)
        if self.last < self.first:
            self.prev, self.at_first = found.prev, found.at_first
        self.last, self.head, self.at_last = frame.sequence, found.digest, found.at_last
        self.commits += found.commits
        self.events += found.events
        self.raw_bytes += record_bytes(frame)
        return found


def record_bytes(frame: ArchivedFrame) -> int:
    """Length of a frame's record."""
    return 8 + len(frame.payload) + len(frame.checks)


class _Hashing:
    """Counts and digests what is written through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.bytes += len(data)


def seal_open(path: Path, first: int, previous: str, keys: Keys | None) -> Manifest:
    """Make a sealed segment of an open file and remove it; at any moment one of the two is whole on disk.

    Args:
        path: of the open file; ``first``: as its name says.
        previous: SHA-256 of the manifest before.

    Raises:
        ArchiveBroken: the open file is damaged; nothing was removed.
        KeyMissing: the open file is encrypted with a key that is not there.
    """
    temporary = path.with_name(f"{first:012d}{SEALED_SUFFIX}{TEMPORARY_SUFFIX}")
    with path.open("rb") as source, temporary.open("wb") as target:
        reader = OpenFile(path, first, source)
        totals = _Totals(path, first, reader.header.prev)
        stored = _Hashing(target)
        encrypted = EncryptedWriter(stored, keys, context(first)) if keys is not None else None
        sink = encrypted or stored
        compressor = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        for frame in reader.frames(keys):
            totals.add(frame)
            sink.write(compressor.compress(encode_record(frame.payload, frame.checks)))
        sink.write(compressor.flush())
        if encrypted is not None:
            encrypted.finish()
        target.flush()
        os.fsync(target.fileno())
    if totals.last < first or totals.prev is None or totals.head is None:
        raise ArchiveBroken(path, first, "holds no frame to seal")
    name = path.with_name(stem(first, totals.last) + SEALED_SUFFIX)
    place(name, temporary)
    manifest = Manifest(
        format=FORMAT,
        first=first,
        last=totals.last,
        prev=totals.prev,
        head=totals.head,
        at_first=totals.at_first,
        at_last=totals.at_last,
        frames=totals.last - first + 1,
        commits=totals.commits,
        events=totals.events,
        raw_bytes=totals.raw_bytes,
        bytes=stored.bytes,
        sha256=stored.sha256.hexdigest(),
        previous=previous,
        encryption=None if keys is None else SegmentEncryption(keys.current),
    )
    write_manifest(manifest_path(name), manifest)
    path.unlink()
    return manifest


def context(first: int) -> str:
    """What an encrypted segment is bound to."""
    return f"archive/{first}"


def read_sealed(path: Path, manifest: Manifest, keys: Keys | None) -> Iterator[ArchivedFrame]:
    """All frames of a segment, in order. The file's SHA-256 is checked before the first one.

    Args:
        path: of its ``.zst``.

    Raises:
        ArchiveBroken: the file is not what the manifest says.
        KeyMissing: it is encrypted with a key that is not there.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != manifest.sha256:
            raise ArchiveBroken(
                path, manifest.first, f"SHA-256 is {found}, its manifest says {manifest.sha256}"
            )
        file.seek(0)
        last, raw_bytes = manifest.first - 1, 0
        try:
            for frame in read_records(path, manifest.first, _decompressed(path, file, manifest, keys)):
                last = frame.sequence
                raw_bytes += record_bytes(frame)
                if last > manifest.last or raw_bytes > min(manifest.raw_bytes, MAX_RAW_BYTES):
                    raise ArchiveBroken(path, last, "holds more than its manifest says")
                yield frame
        except DecryptionFailed as error:
            raise ArchiveBroken(path, last + 1, str(error).removeprefix(f"{path}: ")) from None
        except zstandard.ZstdError as error:
            raise ArchiveBroken(path, last + 1, f"cannot be decompressed: {error}") from None
    if (last, raw_bytes) != (manifest.last, manifest.raw_bytes):
        raise ArchiveBroken(
            path,
            last + 1,
            f"ends after frame {last} and {raw_bytes:,} bytes, its manifest says"
            f" {manifest.last} and {manifest.raw_bytes:,}",
        )


def _decompressed(path: Path, file: BinaryIO, manifest: Manifest, keys: Keys | None) -> io.BufferedReader:
    source: BinaryIO | EncryptedReader = file
    if manifest.encryption is not None:
        source = EncryptedReader(file, keys, context(manifest.first), str(path))
        if source.key_id != manifest.encryption.key_id:
            raise ArchiveBroken(
                manifest_path(path),
                manifest.first,
                f"says key {manifest.encryption.key_id!r}, the segment is encrypted with {source.key_id!r}",
            )
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    return io.BufferedReader(decompressor.stream_reader(source, read_size=_READ_BYTES), _READ_BYTES)  # type: ignore[arg-type]


def verify_segment(path: Path, keys: Keys | None) -> SegmentReport:
    """Read a sealed segment whole: manifest, size, SHA-256, and the chain through every frame.

    Args:
        path: of its ``.zst`` or its manifest.

    Raises:
        ArchiveBroken: at the first thing that is not as it was written.
        KeyMissing: it is encrypted with a key that is not there.
    """
    stored, described = path.with_suffix(SEALED_SUFFIX), manifest_path(path)
    first, _, last = path.stem.partition("-")
    manifest = read_manifest(Entry(int(first), int(last), described))
    totals = _Totals(stored, manifest.first, None)
    for frame in read_sealed(stored, manifest, keys):
        found = totals.add(frame)
        if not same_day(found.at_first, manifest.at_first):
            raise ArchiveBroken(stored, frame.sequence, "the frame is of another day than the segment")
    for name in ("prev", "head", "at_first", "at_last", "commits", "events", "raw_bytes"):
        if getattr(totals, name) != getattr(manifest, name):
            raise ArchiveBroken(
                described,
                manifest.first,
                f"{name} is {getattr(manifest, name)}, the frames say {getattr(totals, name)}",
            )
    return SegmentReport(stored, manifest, digest_of(manifest))
