"""Snapshots: state at one journal sequence, on disk. Disposable, never the truth.

One JSON document, ``snapshots/YYYY/MM/DD/HH/state.json`` by the UTC hour it was written in; a later one of the same hour
takes the place of the one before. It stands under its name only when every byte of it is on disk. Every member has a
checksum of its exact bytes, so that a damaged file is told from a good one by reading it.
"""

import contextlib
import datetime
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms.aggregates import image
from oms.aggregates.digest import SHAPE
from oms.aggregates.partition import Partition
from oms.projections.projections import Projections
from replay.history import History
from replay.memory import no_collection

log = logging.getLogger(__name__)

FORMAT: Final = 1
FILE: Final = "state.json"
MAX_BYTES: Final = 4 * 1024**3
"""A larger file is not one of ours."""
KEPT_AT_LEAST: Final = 2
"""Retention never removes the newest ones."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of.

    Args:
        sequence, head: last frame applied and the digest of its payload.
        at: time of its last commit. ``written_at``: wall clock. UTC ns.
        digest: of the state; ``shape`` of what was hashed (:data:`oms.aggregates.digest.SHAPE`).
        state_sha256, projections_sha256: of the bytes of these members.
    """

    format: int
    journal_id: str
    sequence: int
    head: str
    at: int
    written_at: int
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


class SnapshotDamaged(Exception):
    """A snapshot file that is not what was written."""


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
        """
        comparable = self.header.shape == SHAPE
        try:
            with no_collection():
                state = image.load(self.state, None if check_digest or not comparable else self.header.digest)
        except msgspec.DecodeError as error:
            raise SnapshotDamaged(f"{self.path}: state cannot be decoded: {error}") from None
        if check_digest and comparable and (found := state.digest()) != self.header.digest:
            raise SnapshotDamaged(
                f"{self.path}: digest of the state is {found}, header says {self.header.digest}"
            )
        return state

    def load_projections(self, into: Projections) -> None:
        """Fill projections made over :meth:`load_state`'s partition.

        Raises:
            SnapshotDamaged: the bytes are not what was written.
        """
        _check(self.path, "projections", self.projections, self.header.projections_sha256)
        try:
            with no_collection():
                into.load(self.projections)
        except msgspec.DecodeError as error:
            raise SnapshotDamaged(f"{self.path}: projections cannot be decoded: {error}") from None


@attrs.frozen(kw_only=True)
class Content:
    """What goes into a snapshot, as bytes: taken at one moment, written at leisure."""

    sequence: int
    head: str
    state: bytes
    projections: bytes


def content_of(history: History) -> Content:
    """What a history with projections holds now."""
    assert history.projections is not None, "a snapshot holds the projections too"
    return Content(
        sequence=history.sequence,
        head=history.head,
        state=image.dump(history.partition),
        projections=history.projections.dump(),
    )


class Snapshots:
    """The snapshots below one directory.

    Args:
        data_dir: where ``snapshots/`` is or will be.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "snapshots"

    # -- read

    def paths(self) -> list[Path]:
        """Every snapshot file, newest first by its path."""
        return sorted(self.root.glob(f"[0-9]*/[0-9]*/[0-9]*/[0-9]*/{FILE}"), reverse=True)

    def newest_first(self) -> Iterator[Snapshot]:
        """Every good snapshot; a damaged one is skipped with a warning."""
        for path in self.paths():
            try:
                yield read_snapshot(path)
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
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for directory in (path.parent, *path.parent.parents):
            _sync_directory(directory)
            if directory == self.root.parent:
                break
        return Snapshot(path, header, content.state, content.projections)

    def retain(self, days: int, now: int) -> list[Path]:
        """Remove what was written more than ``days`` before ``now`` (UTC ns), but never the newest; return what went."""
        oldest = datetime.datetime.fromtimestamp(now // 10**9, datetime.UTC) - datetime.timedelta(days=days)
        keep_from = self.root / f"{oldest:%Y/%m/%d/%H}" / FILE
        gone = [path for path in self.paths()[KEPT_AT_LEAST:] if path < keep_from]
        for path in gone:
            shutil.rmtree(path.parent)
            for directory in list(path.parents)[1:4]:
                with contextlib.suppress(OSError):  # not empty: another hour is in it
                    directory.rmdir()
        return gone


def read_snapshot(path: Path) -> Snapshot:
    """Read one file and check it.

    Raises:
        SnapshotDamaged: with what was found.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SnapshotDamaged(f"{path}: larger than {MAX_BYTES:,} bytes")
        document = _decode(path.read_bytes())
    except OSError as error:
        raise SnapshotDamaged(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotDamaged(f"{path}: {error}") from None
    _check(path, "header", bytes(document.header), document.header_sha256)
    try:
        header = _decode_header(document.header)
    except msgspec.DecodeError as error:
        raise SnapshotDamaged(f"{path}: header: {error}") from None
    if header.format != FORMAT:
        raise SnapshotDamaged(f"{path}: format must be {FORMAT}, was {header.format}")
    state = bytes(document.state)
    _check(path, "state", state, header.state_sha256)
    return Snapshot(path, header, state, bytes(document.projections))


def _check(path: Path, name: str, member: bytes, wanted: str) -> None:
    if (found := _sha256(member)) != wanted:
        raise SnapshotDamaged(f"{path}: SHA-256 of {name} is {found}, not {wanted} as written")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
