"""Receipts: signed lines outside the journal, each saying what the journal held when a seal became durable.

``receipts/receipts-YYYY-MM.NNNN.jsonl``, a new file every month and every 16 MiB. Each line carries the SHA-256 of the line
before, across files, and a signature over all of itself; so the last line's signature covers every line before it. A last
line without its end was being written when the machine stopped: nobody relied on it, and the next writer cuts it off.
Anything else that is not as it was written is damage, named by file and line.
"""

import datetime
import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from oms.disk import sync_directory
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.signing import SigningKey, known_keys, verified
from oms.messages.frames import GENESIS

log = logging.getLogger(__name__)

DIRECTORY: Final = "receipts"
FILE_BYTES_MAX: Final = 16 * 1024 * 1024
LINE_BYTES_MAX: Final = 4096
_NAME: Final = re.compile(r"receipts-\d{4}-\d{2}\.\d{4,}\.jsonl")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt states.

    Args:
        sequence, head: of the frame that holds the seal, and the digest of its payload.
        digest: of the state, as the seal says; ``commit``: index of the seal's commit in the frame.
        version, code: release and code digest of the engine that sealed.
        at: time of the seal's commit, UTC ns.
        key_id: of the key that signs.
        prev: SHA-256 of the line before, without its line feed; 64 zeros for the first.
    """

    sequence: int
    head: str
    digest: str
    commit: int
    version: str
    code: str
    at: int
    key_id: str
    prev: str


class Receipt(Statement, frozen=True, kw_only=True):
    """A signed statement. ``signature``: Ed25519, hex, over the statement's JSON: the line without this member."""

    signature: str


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """A seal that is durable: what a receipt is made of, see :class:`Statement`."""

    sequence: int
    head: str
    digest: str
    commit: int
    at: int


class ReceiptDamaged(JournalBroken):
    """A line of the receipts is not what was written.

    Args:
        path, line: where, from 1. ``sequence``: of the last good receipt before it.
    """

    def __init__(self, path: Path, line: int, sequence: int, message: str) -> None:
        super().__init__(JournalFault.RECEIPT, sequence, f"{path}:{line}: {message}")
        self.path = path
        self.line = line


class ReceiptsFailed(Exception):
    """Receipts or mark could not be written. Going on would leave commits that nothing proves."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Receipt, strict=True).decode


def receipt_files(data_dir: Path) -> list[Path]:
    """The files of receipts, oldest first."""
    found = [path for path in (data_dir / DIRECTORY).glob("receipts-*.jsonl") if _NAME.fullmatch(path.name)]
    return sorted(found, key=_order)


def check_receipts(data_dir: Path, declared: Mapping[str, str] | None = None) -> Iterator[Receipt]:
    """Every receipt, oldest first, each checked: its form, its place in the chain, its signature. Memory: one line.

    Args:
        declared: key id → public key, of the keys that may have signed, as the journal declares them; None for those
            that the data directory knows.

    Raises:
        ReceiptDamaged: at the first line that is not what it must be, after the good ones before it.
    """
    keys = known_keys(data_dir) if declared is None else declared
    chain = Chain()
    for path in receipt_files(data_dir):
        for line, raw in _lines(path, chain):
            receipt = chain.next(path, line, raw)
            chain.check_signature(path, line, receipt, raw, keys)
            yield receipt


def readable_receipts(path: Path) -> Iterator[Receipt]:
    """The receipts of one file up to the first damaged line, their signatures unchecked."""
    chain = Chain(None)
    try:
        for line, raw in _lines(path, chain):
            yield chain.next(path, line, raw)
    except ReceiptDamaged:
        return


class Chain:
    """The end of the receipts read so far. ``prev``: SHA-256 of the last line; None before a start in the middle."""

    def __init__(self, prev: str | None = GENESIS) -> None:
        self.prev = prev
        self.last: Receipt | None = None
        self._before = 0

    def next(self, path: Path, line: int, raw: bytes) -> Receipt:
        """Take the next line, without its line feed; its signature is not looked at.

        Raises:
            ReceiptDamaged: it is no receipt, or not the next one.
        """
        try:
            receipt = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.damaged(path, line, f"no receipt: {error}") from None
        if _encode(receipt) != raw:
            raise self.damaged(path, line, "the receipt is not written as receipts are")
        if self.prev is not None and receipt.prev != self.prev:
            raise self.damaged(
                path, line, f"the receipt follows line {receipt.prev}, but the one before is {self.prev}"
            )
        if self.last is not None and receipt.sequence <= self.last.sequence:
            raise self.damaged(
                path, line, f"a receipt for {receipt.sequence:,} after one for {self.last.sequence:,}"
            )
        self._before = self.last.sequence if self.last else 0
        self.prev, self.last = line_digest(raw), receipt
        return receipt

    def check_signature(
        self, path: Path, line: int, receipt: Receipt, raw: bytes, keys: Mapping[str, str]
    ) -> None:
        """Hold the signature of the line taken last, ``receipt``, against the keys that may sign.

        Raises:
            ReceiptDamaged: it is of none of them, or forged.
        """
        key_id = receipt.key_id
        public_key = keys.get(key_id)
        if public_key is None:
            known = ", ".join(keys) or "none"
            message = f"signed with key {key_id}, which is not known ({known})"
        elif not verified(public_key, signed_bytes(raw), receipt.signature):
            message = f"the signature is not that of key {key_id}"
        else:
            return
        raise ReceiptDamaged(path, line, self._before, message)

    def damaged(self, path: Path, line: int, message: str) -> ReceiptDamaged:
        """The error for a line that comes next."""
        return ReceiptDamaged(path, line, self.last.sequence if self.last else 0, message)


def line_digest(raw: bytes) -> str:
    """What the next line carries as ``prev``. ``raw``: without the line feed."""
    return hashlib.sha256(raw).hexdigest()


def signed_bytes(raw: bytes) -> bytes:
    """What the signature of a line is over: the line without its last member."""
    return raw[: raw.rindex(b',"signature"')] + b"}"


def _lines(path: Path, chain: Chain) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that have an end, numbered from 1, without their line feeds."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(LINE_BYTES_MAX):
            number += 1
            if not raw.endswith(b"\n"):
                if file.read(1):
                    raise chain.damaged(path, number, f"longer than {LINE_BYTES_MAX:,} bytes")
                return
            yield number, raw[:-1]


class Receipts:
    """The receipts of one writer, who holds the data directory's lock.

    Args:
        last: the newest receipt; None while there is none. ``last_line``: as it was found when opened.
    """

    def __init__(self, data_dir: Path, key: SigningKey, version: str, code: str) -> None:
        self._data_dir = data_dir
        self._directory = data_dir / DIRECTORY
        self._key, self._version, self._code = key, version, code
        self._prev = GENESIS
        self._path: Path | None = None
        self._end = 0
        self._file: int | None = None
        self._appending = threading.Lock()
        self.last: Receipt | None = None
        self.last_line = b""

    def open(self) -> None:
        """Read the newest file and check its chain, and the last receipt's signature where its key is known here.

        Changes nothing: a torn last line is cut off by the first :meth:`append`.

        Raises:
            ReceiptDamaged: with file and line.
            OSError: they cannot be read.
        """
        self.close()
        self._prev, self._path, self._end, self.last, self.last_line = GENESIS, None, 0, None, b""
        files = receipt_files(self._data_dir)
        chain = Chain()
        for before in reversed(files[:-1]):
            if (found := _last_line(before)) is not None:
                chain.prev = None
                chain.next(before, 0, found)
                self.last_line = found
                break
        if files:
            self._path, self._end, line = files[-1], 0, 0
            for line, raw in _lines(files[-1], chain):
                chain.next(files[-1], line, raw)
                self._end += len(raw) + 1
                self.last_line = raw
            if chain.last is not None:
                keys = known_keys(self._data_dir)
                if chain.last.key_id in keys:
                    chain.check_signature(files[-1], line, chain.last, self.last_line, keys)
                self._prev, self.last = chain.prev or GENESIS, chain.last

    def append(self, sealings: Sequence[Sealing]) -> None:
        """Sign and write one receipt for each, durable when this returns. Blocks: for a thread of its own.

        Raises:
            ReceiptsFailed: they may be durable in part. Nothing can be appended after it.
        """
        with self._appending:
            self._append(sealings)

    def _append(self, sealings: Sequence[Sealing]) -> None:
        lines, prev, last = [], self._prev, self.last
        for sealing in sealings:
            statement = Statement(
                sequence=sealing.sequence,
                head=sealing.head,
                digest=sealing.digest,
                commit=sealing.commit,
                version=self._version,
                code=self._code,
                at=sealing.at,
                key_id=self._key.key_id,
                prev=prev,
            )
            last = Receipt(**msgspec.structs.asdict(statement), signature=self._key.sign(_encode(statement)))
            line = _encode(last)
            prev = line_digest(line)
            lines.append(line + b"\n")
        if last is None:
            return
        try:
            self._write(b"".join(lines), last.at)
        except OSError as error:
            raise ReceiptsFailed(
                f"receipts in {self._directory} cannot be written ({error}): the engine stops, because commits"
                " would go on without proof; make room or mend the disk, then start it again"
            ) from error
        self._prev, self.last = prev, last

    def cut_after(self, sequence: int, into: Path) -> None:
        """Move every line behind the last receipt up to ``sequence`` away, into one file; :meth:`open` comes next.

        Lines that are damaged go too, with all that follow them. A repeat of it, after a crash, moves what is left.

        Raises:
            OSError: not everything was moved.
        """
        self.close()
        files = receipt_files(self._data_dir)
        keep, offset = self._kept(files, sequence)
        away = files[keep:]
        if not away:
            return
        with into.open("xb") as target:
            for path in away:
                with path.open("rb") as source:
                    source.seek(offset if path is away[0] else 0)
                    while block := source.read(1 << 20):
                        target.write(block)
            target.flush()
            os.fsync(target.fileno())
        sync_directory(self._directory)
        for path in reversed(away[1:] if offset else away):
            path.unlink()
        if offset:
            os.truncate(away[0], offset)
        sync_directory(self._directory)

    @property
    def busy(self) -> bool:
        """Whether a thread appends."""
        return self._appending.locked()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _kept(self, files: list[Path], sequence: int) -> tuple[int, int]:
        """Index of the first file to take lines from, and the offset of the first line in it."""
        chain = Chain()
        for index, path in enumerate(files):
            offset = 0
            try:
                for line, raw in _lines(path, chain):
                    if chain.next(path, line, raw).sequence > sequence:
                        return index, offset
                    offset += len(raw) + 1
            except ReceiptDamaged:
                return index, offset
        return len(files), 0

    def _write(self, content: bytes, at: int) -> None:
        if self._file is None and self._path is not None:
            _cut_torn_line(self._path, self._end)
        path = self._target(len(content), at)
        if self._file is None or path != self._path:
            self.close()
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        written = os.write(self._file, content)
        if written != len(content):
            raise OSError(f"{written} of {len(content)} bytes were taken: is the disk full?")
        os.fsync(self._file)
        if path != self._path:
            sync_directory(self._directory)
            self._path, self._end = path, 0
        self._end += len(content)

    def _target(self, size: int, at: int) -> Path:
        """The file that takes ``size`` bytes now."""
        month = f"{datetime.datetime.fromtimestamp(at // 10**9, datetime.UTC):%Y-%m}"
        number = 1
        if self._path is not None:
            last_month, last_number = _order(self._path)
            # A clock set back over the end of a month must not put a file before the last one.
            month = max(month, last_month)
            if month == last_month:
                number = last_number + (self._end + size > FILE_BYTES_MAX)
        return self._directory / f"receipts-{month}.{number:04d}.jsonl"


def _cut_torn_line(path: Path, end: int) -> None:
    size = path.stat().st_size
    if size > end:
        log.warning(
            "%s: the last line was being written at a crash; its %d bytes are cut off", path, size - end
        )
        os.truncate(path, end)


def _last_line(path: Path) -> bytes | None:
    """The last line that has an end, without it; None when there is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * LINE_BYTES_MAX))
        whole = file.read().rpartition(b"\n")[0]
    return whole.rpartition(b"\n")[2] or None


def _order(path: Path) -> tuple[str, int]:
    """(month, number) of a file, which is their order."""
    month, number = path.name.removeprefix("receipts-").removesuffix(".jsonl").split(".")
    return month, int(number)
