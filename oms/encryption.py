"""AES-256-GCM for what lies on disk: whole files by chunk, and single records of a file that grows.

Every file has a key of its own, made by HKDF-SHA256 from the storage key and 32 random bytes that stand in the file's
header: chunks are numbered, so no nonce is used twice under one key, and the random nonces of records are few enough in a
file not to meet. The header and the caller's ``context`` go into that key too: a file whose header was changed, or that
took the place of one of another context, does not decrypt. The context says no more than its caller puts there: a segment's
first sequence for an archive, the same word for every snapshot.

A chunk is bound to its number and to whether it is the last one: chunks that were swapped, repeated or cut off are found
at the first of them. A record is bound to its number alone: that a growing file lacks its last ones is for its reader to
find.

A file is ``MAGIC | length of key id | key id | salt | chunks``.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Final, Protocol

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"mexENC\x00\x01"
"""How an encrypted file begins; no plain file of ours does."""
CHUNK_BYTES: Final = 1024 * 1024
"""Plain bytes in every chunk but the last."""
KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
MAX_CHUNKS: Final = 2**24
"""Of one file: 16 TiB."""
MAX_KEYS: Final = 1_000
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class EncryptionError(Exception):
    """What is encrypted cannot be read, or a key cannot be used."""


class KeyMissing(EncryptionError):
    """There is no key of that id.

    Args:
        key_id: of the key that is needed.
        where: what it is needed for.
    """

    def __init__(self, key_id: str, where: str, held: int) -> None:
        has = f"none of the {held} keys given has that id" if held else "no keys were given"
        super().__init__(
            f"{where} is encrypted with key {key_id!r}, and {has}:"
            " set storage.encryption to vault, and keep every key that was ever current at vault.path"
        )
        self.key_id = key_id


class DecryptionFailed(EncryptionError):
    """Bytes that are not what was encrypted, or a key that is not the one they were encrypted with."""


class Source(Protocol):
    """Where encrypted bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Sink(Protocol):
    """Where encrypted bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


def _checked_keys(keys: Mapping[str, bytes]) -> dict[str, bytes]:
    if not 1 <= len(keys) <= MAX_KEYS:
        raise EncryptionError(f"there must be 1 to {MAX_KEYS} keys, was {len(keys)}")
    for key_id, key in keys.items():
        if not _KEY_ID.fullmatch(key_id):
            raise EncryptionError(
                f"a key id must be 1 to 64 letters, digits, dots, underscores or dashes, was {key_id[:80]!r}"
            )
        if len(key) != KEY_BYTES:
            raise EncryptionError(f"key {key_id!r} must be {KEY_BYTES} bytes, was {len(key)}")
    return dict(keys)


@attrs.frozen
class Keys:
    """The storage keys: what is written takes the current one, what is read the one it names.

    Args:
        current: id of the key for new files.
        keys: 32 bytes by id, every key that was ever current among them. Never shown.

    Raises:
        EncryptionError: a key has not 32 bytes, an id is not one, or the current one is not among them.
    """

    current: str
    _keys: Mapping[str, bytes] = attrs.field(converter=_checked_keys, repr=lambda keys: f"{len(keys)} keys")

    def __attrs_post_init__(self) -> None:
        if self.current not in self._keys:
            raise EncryptionError(
                f"the current key must be one of those given ({', '.join(sorted(self._keys))}),"
                f" was {self.current[:80]!r}"
            )

    def find(self, key_id: str) -> bytes | None:
        """The key of that id, None when there is none."""
        return self._keys.get(key_id)

    def __len__(self) -> int:
        return len(self._keys)


def is_encrypted(beginning: bytes) -> bool:
    """Whether a file that begins like this is encrypted."""
    return beginning.startswith(MAGIC)


def file_cipher(keys: Keys | None, key_id: str, salt: bytes, context: str, name: str) -> AESGCM:
    """The cipher of one file.

    Args:
        keys: None when there are none, which :class:`KeyMissing` then says.
        salt: random, in the file's header.
        context: what file this is, such as ``archive/1``. ``name``: what an error calls it, its path.

    Raises:
        KeyMissing: the key is not among them.
    """
    key = None if keys is None else keys.find(key_id)
    if key is None:
        raise KeyMissing(key_id, name, 0 if keys is None else len(keys))
    info = b"\x00".join((MAGIC, key_id.encode(), context.encode()))
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key))


def encrypt_record(cipher: AESGCM, number: int, plain: bytes) -> bytes:
    """One record of a file that grows: a random nonce, then the bytes; bound to its number in the file.

    The nonce is random and not the number, because a record that a crash tore is written again under its number.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, number.to_bytes(8, "big"))


def decrypt_record(cipher: AESGCM, number: int, data: bytes) -> bytes:
    """What :func:`encrypt_record` was given.

    Raises:
        DecryptionFailed: it is another record, or another key.
    """
    try:
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], number.to_bytes(8, "big"))
    except (InvalidTag, ValueError):
        raise DecryptionFailed(
            f"record {number} does not decrypt: it was changed, or its key is another one under the same id"
        ) from None


class EncryptedWriter:
    """Encrypts a file as it is written; memory is one chunk. Without :meth:`finish` the file does not decrypt."""

    def __init__(self, sink: Sink, keys: Keys, context: str) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        key_id = keys.current.encode()
        self._sink = sink
        self._cipher = file_cipher(keys, keys.current, salt, context, context)
        self._chunk = 0
        self._plain = bytearray()
        sink.write(MAGIC + bytes((len(key_id),)) + key_id + salt)

    def write(self, data: bytes) -> None:
        """Take plain bytes."""
        self._plain += data
        # More than a chunk and not just one: the last chunk, full or not, is for finish().
        while len(self._plain) > CHUNK_BYTES:
            self._put(bytes(self._plain[:CHUNK_BYTES]), final=False)
            del self._plain[:CHUNK_BYTES]

    def finish(self) -> None:
        """Write the last chunk."""
        self._put(bytes(self._plain), final=True)
        self._plain.clear()

    def _put(self, plain: bytes, final: bool) -> None:
        if self._chunk >= MAX_CHUNKS:
            raise EncryptionError(f"an encrypted file has at most {MAX_CHUNKS:,} chunks")
        self._sink.write(self._cipher.encrypt(_nonce(self._chunk, final), plain, None))
        self._chunk += 1


class EncryptedReader:
    """Decrypts a file as it is read; memory is two chunks. Nothing is returned that was not authenticated.

    Args:
        source: at the beginning of the file.
        context: as it was written with. ``name``: what an error calls it, its path.

    Raises:
        KeyMissing: the key it names is not there.
        DecryptionFailed: the header is not one.
    """

    def __init__(self, source: Source, keys: Keys | None, context: str, name: str) -> None:
        self._source = source
        self._name = name
        start = _read_all(source, len(MAGIC) + 1)
        if len(start) != len(MAGIC) + 1 or not is_encrypted(start):
            raise DecryptionFailed(f"{name} does not begin as an encrypted file does")
        named = _read_all(source, start[-1])
        salt = _read_all(source, SALT_BYTES)
        key_id = named.decode("ascii", "replace")
        if len(salt) != SALT_BYTES or not _KEY_ID.fullmatch(key_id):
            raise DecryptionFailed(f"{name}: the header of the encrypted file is damaged")
        self.key_id = key_id
        self._cipher = file_cipher(keys, key_id, salt, context, name)
        self._chunk = 0
        self._next: bytes | None = _read_all(source, CHUNK_BYTES + TAG_BYTES)
        self._plain = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` plain bytes, all there are for a negative one; none at the end.

        Raises:
            DecryptionFailed: with the chunk at which the file is not what was written.
        """
        if size < 0:
            parts = []
            while part := self.read(CHUNK_BYTES):
                parts.append(part)
            return b"".join(parts)
        while not self._plain and self._next is not None:
            self._plain = memoryview(self._decrypt_next())
        part = bytes(self._plain[:size])
        self._plain = self._plain[size:]
        return part

    def _decrypt_next(self) -> bytes:
        data = self._next or b""
        following = _read_all(self._source, CHUNK_BYTES + TAG_BYTES)
        try:
            plain = self._cipher.decrypt(_nonce(self._chunk, final=not following), data, None)
        except (InvalidTag, ValueError):
            raise DecryptionFailed(
                f"{self._name}: chunk {self._chunk} does not decrypt: the file was changed or cut off,"
                f" or key {self.key_id!r} is not the one it was written with"
            ) from None
        self._next = following or None
        self._chunk += 1
        return plain


def _nonce(chunk: int, final: bool) -> bytes:
    return chunk.to_bytes(NONCE_BYTES - 1, "big") + bytes((final,))


def _read_all(source: Source, size: int) -> bytes:
    """``size`` bytes, fewer at the end of the file only."""
    parts = []
    while size and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
