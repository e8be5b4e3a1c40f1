"""Snapshots: state at one journal sequence, on disk. Disposable, never the truth.

One JSON document, ``snapshots/YYYY/MM/DD/HH/state.json`` by the UTC hour it was written in; a later one of the same hour
takes the place of the one before, which stays as ``state-SEQUENCE.json`` where the next one left would be too far from it:
so that any moment has a snapshot near it. A file stands under its name only when every byte of it is on disk. Every member
has a checksum of its exact bytes, so that a damaged file is told from a good one by reading it.

With keys the document is encrypted as a file; its first bytes say so, and plain ones are still read.
"""

import contextlib
import datetime
import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs
import msgspec

from oms.aggregates import image
from oms.aggregates.digest import SHAPE
from oms.aggregates.partition import Partition
from oms.disk import sync_directory
from oms.encryption import DecryptionFailed, EncryptedReader, EncryptedWriter, KeyMissing, Keys, is_encrypted
from oms.projections.projections import Part, Projections
from replay.history import History
from replay.memory import no_collection

log = logging.getLogger(__name__)

FORMAT: Final = 1
FILE: Final = "state.json"
FILES: Final = "state*.json"
APART_EVENTS: Final = 50_000
"""Of two snapshots of one hour that are fewer events apart only the later one stays."""
HEADER_BYTES: Final = 8 * 1024
"""More than a header and its checksum take, at the start of a file."""
MAX_BYTES: Final = 4 * 1024**3
"""A larger file is not one of ours."""
DENSE_DAYS: Final = 2
"""For so long more than one snapshot an hour is kept: they are large, and questions are mostly about what just happened."""
KEPT_AT_LEAST: Final = 2
"""Retention never removes the newest ones."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of.

    Args:
        sequence, head: last frame applied and the digest of its payload.
        at: time of its last commit. ``written_at``: wall clock. UTC ns.
        events: how many the history had up to there; 0 in those of before this was noted.
        next_order: number of the next order to be made; 0 in those of before this was noted.
        digest: of the state; ``shape`` of what was hashed (:data:`oms.aggregates.digest.SHAPE`).
        state_sha256, projections_sha256: of the bytes of these members.
    """

    format: int
    journal_id: str
    sequence: int
    head: str
    at: int
    written_at: int
    events: int = 0
    next_order: int = 0
    digest: str
    shape: str = ""
    state_sha256: str
    projections_sha256: str


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    header: msgspec.Raw
    header_sha256: str
    state: msgspec.Raw
    projections: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Document).decode
_decode_header = msgspec.json.Decoder(Header).decode
_HEADER: Final = re.compile(rb'\{"header":(\{.*?\}),"header_sha256":"([0-9a-f]{64})"', re.DOTALL)


_CONTEXT: Final = "snapshot"
"""What an encrypted one is bound to: not its name, which may change."""


class SnapshotDamaged(Exception):
    """A snapshot file that is not what was written."""


class SnapshotOutdated(SnapshotDamaged):
    """A snapshot of an earlier release, which did not keep all that counts now: it cannot be started from."""


@attrs.frozen(eq=False)
class Snapshot:
    """A snapshot file that was read. Its members are decoded, and the projections' checksum held, when asked for."""

    path: Path
    header: Header
    state: bytes
    projections: bytes

    def load_state(self, check_digest: bool = False) -> Partition:
        """The partition; with ``check_digest`` its digest is computed and held against the header's.

        Raises:
            SnapshotDamaged: the bytes are no state, or another one than the header says.
            SnapshotOutdated: they are one of an earlier release.
        """
        comparable = self.header.shape == SHAPE
        try:
            with no_collection():
                state = image.load(self.state, None if check_digest or not comparable else self.header.digest)
        except msgspec.DecodeError as error:
            if not comparable:
                raise SnapshotOutdated(f"{self.path}: is of an earlier release: {error}") from None
            raise SnapshotDamaged(f"{self.path}: state cannot be decoded: {error}") from None
        if check_digest and comparable and (found := state.digest()) != self.header.digest:
            raise SnapshotDamaged(
                f"{self.path}: digest of the state is {found}, header says {self.header.digest}"
            )
        return state

    def load_projections(self, into: Projections, leave: Collection[Part] = ()) -> None:
        """Fill projections made over :meth:`load_state`'s partition, but for what ``leave`` names.

        Raises:
            SnapshotDamaged: the bytes are not what was written.
        """
        _check(self.path, "projections", self.projections, self.header.projections_sha256)
        try:
            with no_collection():
                into.load(self.projections, leave)
        except msgspec.DecodeError as error:
            raise SnapshotDamaged(f"{self.path}: projections cannot be decoded: {error}") from None


@attrs.frozen(kw_only=True)
class Content:
    """What goes into a snapshot, as bytes: taken at one moment, written at leisure."""

    sequence: int
    head: str
    events: int = 0
    state: bytes
    projections: bytes


def content_of(history: History) -> Content:
    """What a history with projections holds now."""
    assert history.projections is not None, "a snapshot holds the projections too"
    return Content(
        sequence=history.sequence,
        head=history.head,
        events=history.before + history.events,
        state=image.dump(history.partition),
        projections=history.projections.dump(),
    )


class Snapshots:
    """The snapshots below one directory.

    Args:
        data_dir: where ``snapshots/`` is or will be.
        keys: to encrypt with and to read what is encrypted; None writes plain files.
    """

    def __init__(self, data_dir: Path, keys: Keys | None = None) -> None:
        self.root = data_dir / "snapshots"
        self.keys = keys

    # -- read

    def paths(self) -> list[Path]:
        """Every snapshot file, newest first by its path."""
        return sorted(self.root.glob(f"[0-9]*/[0-9]*/[0-9]*/[0-9]*/{FILES}"), key=_age, reverse=True)

    def newest_first(self, sequence: int | None = None, at: int | None = None) -> Iterator[Snapshot]:
        """Every good snapshot; a damaged one is skipped with a warning. A later one than asked for is not read.

        Args:
            sequence, at: only those of this sequence or before, and of this time (UTC ns) or before.

        Raises:
            KeyMissing: one is encrypted with a key that is not there: a wrong start, and no damage.
        """
        for path in self.paths():
            try:
                if sequence is not None or at is not None:
                    header = read_header(path, self.keys)
                    if sequence is not None and header.sequence > sequence:
                        continue
                    if at is not None and header.at > at:
                        continue
                yield read_snapshot(path, self.keys)
            except SnapshotDamaged as error:
                log.warning("snapshot skipped for the one before: %s", error)

    def headers(self) -> Iterator[Header]:
        """Of every snapshot whose beginning is good, newest first, without the rest being read.

        Raises:
            KeyMissing: as :meth:`newest_first` has it.
        """
        for path in self.paths():
            try:
                yield read_header(path, self.keys)
            except SnapshotDamaged as error:
                log.warning("snapshot skipped for the one before: %s", error)

    # -- write

    def write(self, content: Content, now: int) -> Snapshot:
        """Write one, durable when this returns. The state is loaded once from its bytes, so a bad one is never written.

        Args:
            now: wall clock, UTC ns; names the directory.

        Raises:
            OSError: it could not be written; the one before still stands.
        """
        with no_collection():
            state = image.load(content.state)
        header = Header(
            format=FORMAT,
            journal_id=state.journal_id,
            sequence=content.sequence,
            head=content.head,
            at=state.at,
            written_at=now,
            events=content.events,
            next_order=state.next_order,
            digest=state.digest(),
            shape=SHAPE,
            state_sha256=_sha256(content.state),
            projections_sha256=_sha256(content.projections),
        )
        hour = datetime.datetime.fromtimestamp(now // 10**9, datetime.UTC)
        path = self.root / f"{hour:%Y/%m/%d/%H}" / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of this call alone: two followers may share a directory.
        temporary = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
        encoded = _encode(header)
        try:
            with temporary.open("wb") as file:
                encrypted = None if self.keys is None else EncryptedWriter(file, self.keys, _CONTEXT)
                for part in (
                    b'{"header":',
                    encoded,
                    b',"header_sha256":"',
                    _sha256(encoded).encode(),
                    b'","state":',
                    content.state,
                    b',"projections":',
                    content.projections,
                    b"}\n",
                ):
                    (encrypted or file).write(part)
                if encrypted is not None:
                    encrypted.finish()
                file.flush()
                os.fsync(file.fileno())
            self._keep_apart(path, header)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for directory in (path.parent, *path.parent.parents):
            sync_directory(directory)
            if directory == self.root.parent:
                break
        return Snapshot(path, header, content.state, content.projections)

    def retain(self, days: int, now: int) -> list[Path]:
        """Remove what was written more than ``days`` before ``now`` (UTC ns), and of what is older than :data:`DENSE_DAYS` all
        but the last of each hour; never the newest. Return what went.
        """
        oldest = datetime.datetime.fromtimestamp(now // 10**9, datetime.UTC) - datetime.timedelta(days=days)
        dense = datetime.datetime.fromtimestamp(now // 10**9, datetime.UTC) - datetime.timedelta(
            days=DENSE_DAYS
        )
        keep_from, dense_from = (self.root / f"{moment:%Y/%m/%d/%H}" for moment in (oldest, dense))
        gone = [
            path
            for path in self.paths()[KEPT_AT_LEAST:]
            if path.parent < keep_from or (path.name != FILE and path.parent < dense_from)
        ]
        for path in gone:
            path.unlink(missing_ok=True)
            if not any(path.parent.glob(FILES)):
                # With what a crash may have left of a write.
                shutil.rmtree(path.parent, ignore_errors=True)
            for directory in list(path.parents)[1:4]:
                with contextlib.suppress(OSError):  # not empty: another hour is in it
                    directory.rmdir()
        return gone

    def _keep_apart(self, path: Path, by: Header) -> None:
        """Give the snapshot that ``by`` will take the place of a name of its own, if else a gap would be left."""
        paths = self.paths()
        if path not in paths:
            return
        older = paths[paths.index(path) + 1 :]
        try:
            replaced = read_header(path, self.keys)
            reaches = read_header(older[0], self.keys).events if older else 0
        except (SnapshotDamaged, KeyMissing):
            return
        if replaced.sequence != by.sequence and by.events - reaches > APART_EVENTS:
            # Another follower may have done so already.
            with contextlib.suppress(FileNotFoundError):
                path.rename(path.with_name(f"state-{replaced.sequence:012d}.json"))


def _age(path: Path) -> tuple[Path, bool, str]:
    """Sorts by age: the hour; within it, ``state.json`` is the last."""
    return path.parent, path.name == FILE, path.name


def read_header(path: Path, keys: Keys | None = None) -> Header:
    """Read one file's header alone, from its first bytes.

    Raises:
        SnapshotDamaged: with what was found. KeyMissing: it is encrypted with a key that is not there.
    """
    start = _read(path, keys, HEADER_BYTES)
    found = _HEADER.match(start)
    if found is None:
        raise SnapshotDamaged(f"{path}: does not begin with a header")
    return _checked_header(path, found[1], found[2].decode())


def read_snapshot(path: Path, keys: Keys | None = None) -> Snapshot:
    """Read one file and check it.

    Raises:
        SnapshotDamaged: with what was found. KeyMissing: it is encrypted with a key that is not there.
    """
    try:
        document = _decode(_read(path, keys))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotDamaged(f"{path}: {error}") from None
    header = _checked_header(path, bytes(document.header), document.header_sha256)
    state = bytes(document.state)
    _check(path, "state", state, header.state_sha256)
    return Snapshot(path, header, state, bytes(document.projections))


def _read(path: Path, keys: Keys | None, size: int = -1) -> bytes:
    """The first ``size`` bytes of the document, or all of it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SnapshotDamaged(f"{path}: larger than {MAX_BYTES:,} bytes")
        with path.open("rb") as file:
            return _document(path, file, keys).read(size)
    except DecryptionFailed as error:
        raise SnapshotDamaged(str(error)) from None
    except OSError as error:
        raise SnapshotDamaged(f"{path}: cannot be read: {error.strerror}") from None


def _document(path: Path, file: BinaryIO, keys: Keys | None) -> BinaryIO | EncryptedReader:
    encrypted = is_encrypted(file.read(HEADER_BYTES))
    file.seek(0)
    return EncryptedReader(file, keys, _CONTEXT, str(path)) if encrypted else file


def _checked_header(path: Path, encoded: bytes, wanted: str) -> Header:
    _check(path, "header", encoded, wanted)
    try:
        header = _decode_header(encoded)
    except msgspec.DecodeError as error:
        raise SnapshotDamaged(f"{path}: header: {error}") from None
    if header.format != FORMAT:
        raise SnapshotDamaged(f"{path}: format must be {FORMAT}, was {header.format}")
    return header


def _check(path: Path, name: str, member: bytes, wanted: str) -> None:
    if (found := _sha256(member)) != wanted:
        raise SnapshotDamaged(f"{path}: SHA-256 of {name} is {found}, not {wanted} as written")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
