"""The storage keys from HashiCorp Vault or OpenBao: one secret of the KV engine, version 2.

Its fields are ``current``, the id of the key to write with, and for every key that was ever current its id with the
base64 of its 32 bytes. To rotate, add a key and name it in ``current``; never take one away that files still need.

How to log in is taken from the environment alone: ``VAULT_TOKEN``, or ``MEXOMS_VAULT_ROLE_ID`` and
``MEXOMS_VAULT_SECRET_ID`` for AppRole. Neither that nor a key is ever in an error, a log or a ``repr``.
"""

import base64
import binascii
import contextlib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from oms.config import Config, VaultConfig
from oms.encryption import EncryptionError, Keys

ADDRESS: Final = "VAULT_ADDR"
TOKEN: Final = "VAULT_TOKEN"
ROLE_ID: Final = "MEXOMS_VAULT_ROLE_ID"
SECRET_ID: Final = "MEXOMS_VAULT_SECRET_ID"
CURRENT: Final = "current"
TIMEOUT_S: Final = 10


class VaultError(Exception):
    """The storage keys cannot be had from Vault; says what to do, and never a secret."""


def storage_keys(config: Config, environ: Mapping[str, str] = os.environ) -> Keys | None:
    """The keys for archives and snapshots, None when these are not encrypted. Blocks; call it once, at the start.

    Raises:
        VaultError: storage.encryption is vault, and the keys cannot be had.
    """
    return read_keys(config.vault, environ) if config.storage.encryption == "vault" else None


def read_keys(config: VaultConfig, environ: Mapping[str, str] = os.environ) -> Keys:
    """Log in and read the keys. Blocks for at most a few times :data:`TIMEOUT_S`.

    Raises:
        VaultError: with what is wrong and what to do.
    """
    address = _address(config, environ)
    secret = f"{config.mount}/{config.path} of {address}"
    with _client(address) as client, _explained(secret):
        _log_in(client, environ)
        found = client.secrets.kv.v2.read_secret_version(
            config.path, mount_point=config.mount, raise_on_deleted_version=True
        )
        return _keys(found["data"]["data"], secret)


def _address(config: VaultConfig, environ: Mapping[str, str]) -> str:
    address = config.address or environ.get(ADDRESS)
    if not address:
        raise VaultError(f"there is no address: set vault.address, or {ADDRESS} in the environment")
    try:
        url = urlsplit(address)
        valid = url.scheme in ("http", "https") and url.hostname and url.username is None and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise VaultError(f"the address in {ADDRESS} must be one such as https://vault.desk:8200, was another")
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        raise VaultError(f"{address} would send the keys in the clear: use https, or a Vault on this host")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    # Here, because only who encrypts needs it, and the import takes as long as all the rest of a start.
    import hvac

    client = hvac.Client(url=address, timeout=TIMEOUT_S)
    # A proxy named in the environment would see what goes to a Vault on this host in the clear. Set here and not on a session
    # of our own, with which the library would no longer heed VAULT_CACERT.
    client.session.trust_env = urlsplit(address).scheme == "https"
    # The library would take a token from a file too.
    client.token = None
    try:
        yield client
    finally:
        client.adapter.close()


def _log_in(client: Any, environ: Mapping[str, str]) -> None:
    if token := environ.get(TOKEN):
        client.token = token
        return
    role_id, secret_id = environ.get(ROLE_ID), environ.get(SECRET_ID)
    if not role_id or not secret_id:
        raise VaultError(f"cannot log in: set {TOKEN}, or {ROLE_ID} and {SECRET_ID}, in the environment")
    client.auth.approle.login(role_id=role_id, secret_id=secret_id)


@contextlib.contextmanager
def _explained(secret: str) -> Iterator[None]:
    """Say what a failure means. The library's own words are left out: they may repeat what was sent."""
    import requests
    from hvac import exceptions

    try:
        yield
    except exceptions.Forbidden:
        raise VaultError(
            f"{secret}: access is refused: the token or role must be valid, and its policy must allow reading this"
        ) from None
    except exceptions.InvalidPath:
        raise VaultError(
            f"{secret}: there is no such secret: vault.mount must be a KV engine of version 2, and vault.path"
            f" a secret in it with the field {CURRENT!r} and a field for every key"
        ) from None
    except exceptions.InvalidRequest:
        raise VaultError(
            f"{secret}: login is refused: {ROLE_ID} and {SECRET_ID} must be of one AppRole and not used up"
        ) from None
    except exceptions.VaultError as error:
        raise VaultError(
            f"{secret}: the server cannot answer ({type(error).__name__}): it must be started and unsealed"
        ) from None
    except requests.exceptions.RequestException as error:
        raise VaultError(
            f"{secret}: the server cannot be reached ({type(error).__name__}): check vault.address and its certificate"
        ) from None


def _keys(fields: object, secret: str) -> Keys:
    if not isinstance(fields, dict) or not isinstance(fields.get(CURRENT), str):
        raise VaultError(f"{secret}: must have a field {CURRENT!r} with the id of the key to write with")
    try:
        return Keys(
            fields[CURRENT],
            {key_id: _key(key_id, text, secret) for key_id, text in fields.items() if key_id != CURRENT},
        )
    except EncryptionError as error:
        raise VaultError(f"{secret}: {error}") from None


def _key(key_id: str, text: object, secret: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise VaultError(
            f"{secret}: field {key_id[:80]!r} must be base64 of 32 bytes, was something else"
        ) from None
