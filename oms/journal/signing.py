"""The Ed25519 key that receipts are signed with: made at first use, kept beside the receipts, never in the journal.

The private half stands in ``keys/receipts.ed25519`` (PEM, PKCS #8, readable by its owner alone). The public half of every
key that was ever used here stays as ``keys/receipts-<key id>.pub``, so that old receipts can be checked after a key was
replaced: move the private file away, and the next start makes a new one.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from oms.disk import sync_directory

DIRECTORY: Final = "keys"
PRIVATE_FILE: Final = "receipts.ed25519"
KEY_BYTES_MAX: Final = 4096
KEY_ID_DIGITS: Final = 16


class KeyRefused(Exception):
    """A key file that cannot be used as it is; the message says what to do."""


class SigningKey:
    """A private key.

    Args:
        public_key: its public half, 64 hex digits; ``key_id``: the first 16 of its SHA-256.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw().hex()
        self.key_id = key_id_of(self.public_key)

    def sign(self, message: bytes) -> str:
        """The signature, 128 hex digits."""
        return self._private.sign(message).hex()

    @classmethod
    def of(cls, data_dir: Path) -> "SigningKey":
        """The key of a data directory; made, durably, where there is none.

        Raises:
            KeyRefused: the file is no Ed25519 key, or others than its owner may read it.
            OSError: it cannot be read or written.
        """
        directory = data_dir / DIRECTORY
        path = directory / PRIVATE_FILE
        if not path.exists():
            _make(directory, path)
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyRefused(
                f"{path} must be readable by its owner alone, mode was {mode:03o}: chmod 600 {path}"
            )
        try:
            with path.open("rb") as file:
                private = serialization.load_pem_private_key(file.read(KEY_BYTES_MAX), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyRefused(
                f"{path} holds no private key ({error}): put back the right file, or move it away for a new key"
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyRefused(f"{path} must hold an Ed25519 key, was {type(private).__name__}")
        key = cls(private)
        publish(directory, key.public_key)
        return key


def key_id_of(public_key: str) -> str:
    """The short name of a public key (64 hex digits)."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:KEY_ID_DIGITS]


def verified(public_key: str, message: bytes, signature: str) -> bool:
    """Whether this is the key's signature of the message; False as well for what is no key or no signature."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def known_keys(data_dir: Path) -> dict[str, str]:
    """Key id → public key, of every key that was used here.

    Raises:
        KeyRefused: a file does not hold the key that it is named after.
    """
    found = {}
    for path in sorted((data_dir / DIRECTORY).glob("receipts-*.pub")):
        with path.open("rb") as file:
            text = file.read(KEY_BYTES_MAX).decode("ascii", "replace").strip()
        try:
            key_id = key_id_of(text)
        except ValueError:
            key_id = ""
        if path.name != _public_name(key_id):
            raise KeyRefused(f"{path} does not hold the key that it is named after: put back the right file")
        found[key_id] = text
    return found


def _make(directory: Path, path: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    encoded = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    temporary = directory / f".{PRIVATE_FILE}.{secrets.token_hex(8)}"
    try:
        _write(temporary, encoded, 0o600)
        # A link, unlike a rename, never takes the place of a key that is there.
        path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(directory)


def publish(directory: Path, public_key: str) -> None:
    """Keep a public key beside the private one, durably, so that what it signed can be checked later on.

    Raises:
        OSError: it was not kept.
    """
    path = directory / _public_name(key_id_of(public_key))
    if path.exists():
        return
    temporary = directory / f".{path.name}.{secrets.token_hex(8)}"
    try:
        _write(temporary, public_key.encode() + b"\n", 0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(directory)


def _public_name(key_id: str) -> str:
    return f"receipts-{key_id}.pub"


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor, for its mode
        file.write(content)
        file.flush()
        os.fsync(descriptor)
