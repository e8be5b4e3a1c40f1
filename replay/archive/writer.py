"""Writing an archive: every frame, in order, into an open file that is sealed at the end of its day or when it is large."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oms.disk import sync_directory
from oms.encryption import Keys
from replay.archive.errors import ArchiveBroken, ArchiveBusy
from replay.archive.layout import (
    OPEN_SUFFIX,
    day_of,
    list_files,
    make_directory,
    root_of,
    same_day,
)
from replay.archive.manifest import NO_MANIFEST, digest_of, manifest_path
from replay.archive.openfile import (
    OpenFile,
    OpenHeader,
    create_open,
    encode_body,
    encode_entry,
    record_cipher,
)
from replay.archive.reader import Archive
from replay.archive.record import encode_record, summarize
from replay.archive.sealed import ROLL_BYTES, record_bytes, seal_open, verify_segment

CLOSE_SEALS_BYTES: Final = 1024 * 1024
"""A clean stop seals what is larger."""
LOCK: Final = "writer.lock"


@attrs.define
class _Open:
    """The file that is written to. ``end`` is its length, ``raw_bytes`` that of its records before encryption."""

    path: Path
    first: int
    descriptor: int
    cipher: AESGCM | None
    end: int
    raw_bytes: int = 0
    at_first: int = 0
    dirty: bool = False


class ArchiveWriter:
    """The one writer of an archive. Blocking: use it off the event loop, one call at a time.

    Opening it puts right what a crash left: a torn tail is cut back to the last whole record, and a segment that was
    being sealed is made again. After an error of the disk it takes nothing more; open a new one.

    Args:
        data_dir: where ``archive/`` is or will be.
        keys: to encrypt with; None writes plain files.

    Attributes:
        sequence: the last frame held, 0 when there is none.
        head: its digest; None when there is none.

    Raises:
        ArchiveBusy: another process has it open.
        ArchiveBroken: what is there is damaged; nothing was changed.
        KeyMissing: the open file is encrypted with a key that is not there.
    """

    def __init__(self, data_dir: Path, keys: Keys | None = None) -> None:
        self.root = root_of(data_dir)
        self._keys = keys
        self._open: _Open | None = None
        self._failed = False
        self._at = 0
        self._previous = NO_MANIFEST
        self.sequence = 0
        self.head: str | None = None
        make_directory(self.root, self.root)
        self._lock = _locked(self.root / LOCK)
        try:
            self._recover()
        except BaseException:
            self._release()
            raise

    def append(self, sequence: int, payload: bytes, checks: bytes, at_ns: int) -> None:
        """Add the next frame. It is with the operating system when this returns, on disk after :meth:`sync`.

        Seals what is open first when the frame is of another day, or when enough is in it.

        Args:
            sequence: the one after :attr:`sequence`; any when nothing is held.
            at_ns: time of its first commit, UTC ns.

        Raises:
            ArchiveBroken: it is not the next frame, or does not follow the one before.
            ValueError: it is larger than any frame is, or ``at_ns`` is not its time.
            OSError: it could not be written, and is not held.
        """
        self._require_usable()
        if self.sequence and sequence != self.sequence + 1:
            raise ArchiveBroken(
                self.root, self.sequence + 1, f"expected frame {self.sequence + 1}, got {sequence}"
            )
        frame = summarize(self.root, sequence, payload, self.head)
        record = encode_record(payload, checks)
        if frame.at_first != at_ns:
            raise ValueError(f"frame {sequence} is of {frame.at_first}, not of {at_ns}")
        if at_ns < self._at:
            raise ArchiveBroken(
                self.root, sequence, f"is of {at_ns}, before the frame before it, of {self._at}"
            )
        if self._open is not None and (
            self._open.raw_bytes >= ROLL_BYTES or not same_day(self._open.at_first, at_ns)
        ):
            self.seal()
        if self._open is None:
            self._begin(sequence, frame.prev, at_ns)
        assert self._open is not None
        self._write(self._open, encode_entry(sequence, encode_body(self._open.cipher, sequence, record)))
        self._open.raw_bytes += len(record)
        self.sequence, self.head, self._at = sequence, frame.digest, frame.at_last

    def sync(self) -> None:
        """Make durable what was appended; call it at least every second. Does nothing when all is.

        Raises:
            OSError: the disk failed; what was appended since the last one may be lost by a power failure.
        """
        self._require_usable()
        if self._open is not None and self._open.dirty:
            with self._failing():
                os.fsync(self._open.descriptor)
            self._open.dirty = False

    def seal(self) -> None:
        """Seal what is open; takes about 0.8 s for a full segment. Does nothing when nothing is open.

        Raises:
            OSError, ArchiveBroken: it could not be done; the open file is still there.
        """
        self._require_usable()
        if self._open is None:
            return
        self.sync()
        opened = self._open
        with self._failing():
            manifest = seal_open(opened.path, opened.first, self._previous, self._keys)
        os.close(opened.descriptor)
        self._open = None
        self._previous = digest_of(manifest)

    def close(self) -> None:
        """End: what is open is made durable, and sealed when it is more than 1 MiB. May be called again."""
        try:
            if not self._failed and self._open is not None:
                if self._open.raw_bytes > CLOSE_SEALS_BYTES:
                    self.seal()
                else:
                    self.sync()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- writing

    def _begin(self, first: int, prev: str, at_ns: int) -> None:
        directory = self.root / day_of(at_ns)
        with self._failing():
            make_directory(directory, self.root)
            path = directory / f"{first:012d}{OPEN_SUFFIX}"
            header = create_open(path, first, prev, self._keys)
            self._open = self._opened(path, header)
        self._open.at_first = at_ns

    def _opened(self, path: Path, header: OpenHeader) -> _Open:
        cipher = record_cipher(path, header, self._keys)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return _Open(path, header.first, descriptor, cipher, os.fstat(descriptor).st_size)

    def _write(self, opened: _Open, entry: bytes) -> None:
        opened.dirty = True
        try:
            written = os.write(opened.descriptor, entry)
            if written != len(entry):
                raise OSError(f"{opened.path}: wrote {written:,} of {len(entry):,} bytes: is the disk full?")
        except OSError:
            # A part of an entry must not have another one behind it: that would be damage and no torn tail.
            with self._failing():
                os.ftruncate(opened.descriptor, opened.end)
            raise
        opened.end += len(entry)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Take nothing more after what is in here failed: what is on disk is then not known."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def _require_usable(self) -> None:
        if self._lock < 0:
            raise ValueError(f"the writer of {self.root} is closed")
        if self._failed:
            raise OSError(
                f"the writer of {self.root} failed before: open it again, which puts right what is there"
            )

    def _release(self) -> None:
        if self._open is not None:
            os.close(self._open.descriptor)
            self._open = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # -- after a crash

    def _recover(self) -> None:
        self._clear_unfinished()
        segments = Archive(self.root.parent, self._keys).segments()
        sealed = [segment for segment in segments if segment.manifest is not None]
        if sealed and sealed[-1].manifest is not None:
            manifest = sealed[-1].manifest
            self._previous = digest_of(manifest)
            self.sequence, self.head, self._at = manifest.last, manifest.head, manifest.at_last
        if len(segments) > len(sealed):
            self._resume(segments[-1].path, segments[-1].first)

    def _clear_unfinished(self) -> None:
        """Remove what a seal that was cut short left and has no use for any more."""
        listing = list_files(self.root)
        manifests = {entry.path for entry in listing.manifests}
        sealed = {entry.first: entry for entry in listing.manifests}
        opened = {entry.first for entry in listing.open}
        gone = list(listing.temporary)
        gone += [
            entry.path
            for entry in listing.sealed
            if manifest_path(entry.path) not in manifests and entry.first in opened
        ]
        for entry in listing.open:
            if entry.first in sealed:
                _require_within(entry.path, entry.first, sealed[entry.first].path, self._keys)
                gone.append(entry.path)
        for path in gone:
            path.unlink()
            sync_directory(path.parent)

    def _resume(self, path: Path, first: int) -> None:
        """Take up the open file where its last whole record ends."""
        raw_bytes, at_first = 0, 0
        with path.open("rb") as file:
            reader = OpenFile(path, first, file)
            for frame in reader.frames(self._keys):
                found = summarize(path, frame.sequence, frame.payload, self.head or reader.header.prev)
                at_first = at_first or found.at_first
                raw_bytes += record_bytes(frame)
                self.sequence, self.head, self._at = frame.sequence, found.digest, found.at_last
        if not raw_bytes:
            path.unlink()
            sync_directory(path.parent)
            return
        if path.parent != self.root / day_of(at_first):
            raise ArchiveBroken(path, first, f"is of {day_of(at_first)} by its first frame")
        self._open = self._opened(path, reader.header)
        self._open.raw_bytes, self._open.at_first, self._open.end = raw_bytes, at_first, reader.end
        os.ftruncate(self._open.descriptor, reader.end)
        self._open.dirty = True
        self.sync()
        written_with = reader.header.encryption.key_id if reader.header.encryption else None
        if written_with != (self._keys.current if self._keys else None):
            self.seal()


def _require_within(opened: Path, first: int, manifest: Path, keys: Keys | None) -> None:
    """Refuse to remove an open file unless its sealed segment is whole and holds all of it."""
    last = verify_segment(manifest, keys).manifest.last
    with opened.open("rb") as file:
        reader = OpenFile(opened, first, file)
        for _ in reader.bodies():
            pass
    if reader.last > last:
        raise ArchiveBroken(
            opened, last + 1, f"holds frames to {reader.last}, but its sealed segment ends at {last}"
        )


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ArchiveBusy(f"another process writes {path.parent}: only one follower may archive") from None
    return descriptor
