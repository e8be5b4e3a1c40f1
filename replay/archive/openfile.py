"""The open file: records as they come, each with checksums of its own, so that damage is told from a torn tail.

Entries of ``sequence (8) | length (4) | CRC-32 of these (4) | body | CRC-32 of body (4)``, big-endian. The first entry, of
sequence 0, is the header; the others are records, each encrypted by itself when the header names a key.

A crash leaves a file that ends within an entry, or, after a power failure, one that ends in zeros. That is a torn tail,
and what it held is still in the journal. Any other entry that is not what its checksums say is damage.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oms.encryption import (
    NONCE_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    DecryptionFailed,
    Keys,
    decrypt_record,
    encrypt_record,
    file_cipher,
)
from replay.archive.errors import ArchiveBroken
from replay.archive.layout import TEMPORARY_SUFFIX, place
from replay.archive.record import MAX_RECORD_BYTES, ArchivedFrame, decode_record

FORMAT: Final = 1
_START: Final = struct.Struct(">QI")
_CRC: Final = struct.Struct(">I")
_START_BYTES: Final = _START.size + _CRC.size
_MAX_BODY_BYTES: Final = MAX_RECORD_BYTES + NONCE_BYTES + TAG_BYTES
_ZEROS: Final = 64
"""So many zeros at the end of a file are no flipped bit."""
_READ_BYTES: Final = 1024 * 1024


class RecordEncryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which key the records are encrypted with, and the file's salt in hex."""

    key_id: str
    salt: str


class OpenHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an open file holds. ``prev`` is the digest of the frame before ``first``."""

    format: int
    first: int
    prev: str
    encryption: RecordEncryption | None


_encode_header = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(OpenHeader).decode


def encode_entry(sequence: int, body: bytes) -> bytes:
    """An entry as it stands in the file."""
    start = _START.pack(sequence, len(body))
    return b"".join((start, _CRC.pack(zlib.crc32(start)), body, _CRC.pack(zlib.crc32(body))))


def create_open(path: Path, first: int, prev: str, keys: Keys | None) -> OpenHeader:
    """Make an open file without records; it stands under its name only with its whole header, durably."""
    encryption = RecordEncryption(keys.current, secrets.token_hex(SALT_BYTES)) if keys is not None else None
    header = OpenHeader(format=FORMAT, first=first, prev=prev, encryption=encryption)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with temporary.open("wb") as file:
        file.write(encode_entry(0, _encode_header(header)))
        file.flush()
        os.fsync(file.fileno())
    place(path, temporary)
    return header


def record_cipher(path: Path, header: OpenHeader, keys: Keys | None) -> AESGCM | None:
    """The cipher of a file's records, None when they are plain.

    Raises:
        KeyMissing: it is not among the keys. ArchiveBroken: the header has no salt.
    """
    if header.encryption is None:
        return None
    try:
        salt = bytes.fromhex(header.encryption.salt)
    except ValueError:
        raise ArchiveBroken(path, header.first, "the salt in the header must be hex") from None
    return file_cipher(keys, header.encryption.key_id, salt, f"archive/{header.first}.open", str(path))


def encode_body(cipher: AESGCM | None, sequence: int, record: bytes) -> bytes:
    """The body of a record's entry."""
    return record if cipher is None else encrypt_record(cipher, sequence, record)


class OpenFile:
    """Reads an open file from its beginning to its last whole record, while it may grow.

    Args:
        file: the file, at its beginning. ``path``: for errors. ``first``: as its name says.

    Attributes:
        header: what it holds.
        last: sequence of the last whole record read, ``first - 1`` before one was.
        end: the offset behind it: what is beyond is a torn tail once all was read.

    Raises:
        ArchiveBroken: the header is not what was written.
    """

    def __init__(self, path: Path, first: int, file: BinaryIO) -> None:
        self.path = path
        self._first = first
        self._file = file
        self.end = 0
        self.last = first - 1
        body = self._entry(0, first)
        if body is None:
            raise ArchiveBroken(path, first, "ends within its header")
        try:
            self.header = _decode_header(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArchiveBroken(path, first, f"header: {error}") from None
        if self.header.format != FORMAT:
            raise ArchiveBroken(path, first, f"format must be {FORMAT}, was {self.header.format}")
        if self.header.first != first:
            raise ArchiveBroken(path, first, f"the header says that it begins at {self.header.first}")

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """Sequence and body of every whole record from where reading stands.

        Raises:
            ArchiveBroken: a record is damaged, or is not the one after the one before.
        """
        while (body := self._entry(self.last + 1, self.last + 1)) is not None:
            self.last += 1
            yield self.last, body

    def frames(self, keys: Keys | None) -> Iterator[ArchivedFrame]:
        """Every whole record, decrypted and decoded.

        Raises:
            ArchiveBroken: as :meth:`bodies`. KeyMissing: they are encrypted with a key that is not there.
        """
        cipher = record_cipher(self.path, self.header, keys)
        for sequence, body in self.bodies():
            try:
                record = body if cipher is None else decrypt_record(cipher, sequence, body)
            except DecryptionFailed as error:
                raise ArchiveBroken(self.path, sequence, str(error)) from None
            yield decode_record(self.path, sequence, record)

    def _entry(self, named: int, sequence: int) -> bytes | None:
        """The body of the next entry, which must name itself ``named``; None at the end and at a torn tail."""
        start = self._file.read(_START_BYTES)
        if len(start) < _START_BYTES:
            return None
        name, length = _START.unpack_from(start)
        if _CRC.unpack_from(start, _START.size)[0] != zlib.crc32(start[: _START.size]):
            self._require_torn(sequence, _START_BYTES, "the entry's checksum does not hold")
            return None
        if length > _MAX_BODY_BYTES:
            raise ArchiveBroken(
                self.path, sequence, f"an entry of {length:,} bytes, at most {_MAX_BODY_BYTES:,}"
            )
        if name != named:
            raise ArchiveBroken(self.path, sequence, f"expected frame {named}, found {name}")
        body = self._file.read(length + _CRC.size)
        if len(body) < length + _CRC.size:
            return None
        size = _START_BYTES + length + _CRC.size
        if _CRC.unpack_from(body, length)[0] != zlib.crc32(memoryview(body)[:length]):
            self._require_torn(sequence, size, "the record's checksum does not hold")
            return None
        self.end += size
        return body[:length]

    def _require_torn(self, sequence: int, size: int, what: str) -> None:
        """Return when all from within this entry on is zeros, as a power failure leaves it."""
        self._file.seek(self.end)
        filled, position = 0, 0
        while part := self._file.read(_READ_BYTES):
            if stripped := part.rstrip(b"\x00"):
                filled = position + len(stripped)
            position += len(part)
        if position - filled >= _ZEROS and filled <= size:
            return
        raise ArchiveBroken(
            self.path,
            sequence,
            f"{what}, at byte {self.end:,}: the file is damaged. Where the journal still"
            f" holds frames {self._first:,} on, move it away, and the archive is continued from the journal; keep it"
            " otherwise: it is the only copy",
        )
