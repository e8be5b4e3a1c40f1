"""Encrypted files and records: what was written comes back, and nothing else ever does."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms import encryption
from oms.encryption import (
    CHUNK_BYTES,
    DecryptionFailed,
    EncryptedReader,
    EncryptedWriter,
    EncryptionError,
    KeyMissing,
    Keys,
    decrypt_record,
    encrypt_record,
    file_cipher,
)

KEYS = Keys("k2", {"k1": b"1" * 32, "k2": b"2" * 32})


def encrypt(plain: bytes, context: str = "file/1", keys: Keys = KEYS, piece: int = 700_001) -> bytes:
    """The whole file, written in pieces."""
    file = io.BytesIO()
    writer = EncryptedWriter(file, keys, context)
    for place in range(0, len(plain), piece):
        writer.write(plain[place : place + piece])
    writer.finish()
    return file.getvalue()


def decrypt(data: bytes, context: str = "file/1", keys: Keys | None = KEYS) -> bytes:
    """All that the file holds."""
    return EncryptedReader(io.BytesIO(data), keys, context, "the file").read()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_file_of_any_size_comes_back(size: int) -> None:
    """Empty files, full last chunks and several chunks read back as they were, in pieces too."""
    plain = bytes(range(256)) * (size // 256 + 1)
    data = encrypt(plain[:size])
    assert encryption.is_encrypted(data)
    assert decrypt(data) == plain[:size]
    reader = EncryptedReader(io.BytesIO(data), KEYS, "file/1", "the file")
    assert b"".join(iter(lambda: reader.read(99_991), b"")) == plain[:size]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 bytes, so that small files have many."""
    monkeypatch.setattr(encryption, "CHUNK_BYTES", 16)


def test_any_flipped_bit_is_found(small_chunks: None) -> None:
    """Whichever bit of header or chunks is flipped, the file is refused."""
    data = encrypt(b"0123456789" * 8)
    for place in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[place] ^= 1 << bit
            with pytest.raises(EncryptionError):
                decrypt(bytes(bad))


def test_file_cut_anywhere_is_found(small_chunks: None) -> None:
    """A file that ends early is refused wherever it ends, on the boundary of a chunk too."""
    data = encrypt(b"0123456789abcdef" * 5)
    for end in range(len(data)):
        with pytest.raises(EncryptionError):
            decrypt(data[:end])
    with pytest.raises(EncryptionError):
        decrypt(data + b"x")


def test_swapped_and_repeated_chunks_are_found(small_chunks: None) -> None:
    """Chunks have a place, and the last one is the last."""
    plain = b"0123456789abcdef"
    data = encrypt(plain * 4)
    start, size = len(data) - 4 * 32, 32
    chunks = [data[start + n * size : start + (n + 1) * size] for n in range(4)]
    for order in [(1, 0, 2, 3), (0, 0, 2, 3), (0, 1, 2), (0, 1, 3), (0, 1, 2, 3, 3)]:
        with pytest.raises(DecryptionFailed, match="chunk"):
            decrypt(data[:start] + b"".join(chunks[n] for n in order))


def test_another_context_is_found() -> None:
    """A file under another file's name does not decrypt."""
    with pytest.raises(DecryptionFailed, match="the file: chunk 0"):
        decrypt(encrypt(b"x"), "file/2")


def test_equal_files_look_different() -> None:
    """The same bytes are never encrypted the same way twice."""
    assert encrypt(b"x" * 100)[-100:] != encrypt(b"x" * 100)[-100:]


def test_old_keys_read_and_the_current_one_writes() -> None:
    """After a rotation old files read with their key and new ones are written with the current."""
    old = Keys("k1", {"k1": b"1" * 32})
    assert decrypt(encrypt(b"old", keys=old)) == b"old"
    assert EncryptedReader(io.BytesIO(encrypt(b"new")), KEYS, "file/1", "the file").key_id == "k2"


def test_missing_key_is_named() -> None:
    """Without the key the error says which one, and what to do."""
    data = encrypt(b"x")
    with pytest.raises(
        KeyMissing, match=r"the file is encrypted with key 'k2', and no keys were given: set"
    ) as e:
        decrypt(data, keys=None)
    assert e.value.key_id == "k2"
    with pytest.raises(KeyMissing, match="none of the 1 keys given has that id"):
        decrypt(data, keys=Keys("k1", {"k1": b"1" * 32}))


def test_another_key_under_the_same_id_is_found() -> None:
    """A wrong key is told as a possibility, beside damage."""
    with pytest.raises(DecryptionFailed, match="or key 'k2' is not the one"):
        decrypt(encrypt(b"x"), keys=Keys("k2", {"k2": b"3" * 32}))


@pytest.mark.parametrize(
    "current, keys, message",
    [
        ("a", {}, "there must be 1 to 1000 keys, was 0"),
        ("a", {"a": b"short"}, "key 'a' must be 32 bytes, was 5"),
        ("a", {"b": b"1" * 32}, r"the current key must be one of those given \(b\), was 'a'"),
        ("a", {"a b": b"1" * 32}, "a key id must be .*, was 'a b'"),
    ],
)
def test_bad_keys_are_refused(current: str, keys: dict[str, bytes], message: str) -> None:
    """What is wrong with the keys is said, but never a key."""
    with pytest.raises(EncryptionError, match=message) as error:
        Keys(current, keys)
    assert "short" not in str(error.value)


def test_keys_are_never_shown() -> None:
    """Neither a repr nor a string of the keys tells one."""
    assert repr(KEYS) == str(KEYS) == "Keys(current='k2', _keys=2 keys)"


@given(st.binary(max_size=200), st.integers(0, 2**63))
def test_records_come_back_under_their_number_only(plain: bytes, number: int) -> None:
    """A record decrypts at its own place in its own file."""
    cipher = file_cipher(KEYS, "k1", b"s" * 32, "file/1", "the file")
    data = encrypt_record(cipher, number, plain)
    assert decrypt_record(cipher, number, data) == plain
    for bad in (data[:-1], data + b"x", data[:5], b"", data[:-1] + bytes((data[-1] ^ 1,))):
        with pytest.raises(DecryptionFailed, match=f"record {number}"):
            decrypt_record(cipher, number, bad)
    with pytest.raises(DecryptionFailed):
        decrypt_record(cipher, number + 1, data)
    with pytest.raises(DecryptionFailed):
        decrypt_record(file_cipher(KEYS, "k1", b"s" * 32, "file/2", "the file"), number, data)
