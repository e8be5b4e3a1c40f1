"""Secrets from HashiCorp Vault or OpenBao, of the KV engine, version 2: a login that is kept good, and the storage keys.

The secret of the storage keys has the fields ``current``, the id of the key to write with, and for every key that was ever
current its id with the base64 of its 32 bytes. To rotate, add a key and name it in ``current``; never take one away that
files still need. The keys of exchanges are in other secrets, see :mod:`oms.venues.vault_keys`.

How to log in is taken from the environment alone: ``VAULT_TOKEN``, or ``MEXOMS_VAULT_ROLE_ID`` and
``MEXOMS_VAULT_SECRET_ID`` for AppRole. Neither that nor a key is ever in an error, a log or a ``repr``.
"""

import base64
import binascii
import contextlib
import ipaddress
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from oms.config import Config, VaultConfig
from oms.encryption import EncryptionError, Keys

log = logging.getLogger(__name__)

ADDRESS: Final = "VAULT_ADDR"
TOKEN: Final = "VAULT_TOKEN"
ROLE_ID: Final = "MEXOMS_VAULT_ROLE_ID"
SECRET_ID: Final = "MEXOMS_VAULT_SECRET_ID"
CURRENT: Final = "current"
TIMEOUT_S: Final = 10
RENEWED_AT: Final = 2 / 3
"""The part of a login's life after which it is renewed."""

T = TypeVar("T")


class VaultError(Exception):
    """A secret cannot be had from Vault; says what to do, and never a secret.

    Args:
        passing: the server may yet answer: waiting can mend it.
        absent: it answers that there is no such secret.
        denied: it does not take our login, or does not let it do this.
    """

    def __init__(
        self, message: str, *, passing: bool = False, absent: bool = False, denied: bool = False
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.absent = absent
        self.denied = denied


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
    with contextlib.closing(Login(config, environ)) as login:
        shape = f"vault.path a secret in it with the field {CURRENT!r} and a field for every key"
        return _keys(login.read(config.path, shape)[0], login.name(config.path))


class Login:
    """A login at a Vault, which reads the secrets of one mount. It blocks, and is for one thread at a time.

    Raises:
        VaultError: by every method, with what is wrong and what to do.
    """

    def __init__(self, config: VaultConfig, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(config, environ)
        self._mount = config.mount
        self._given = environ.get(TOKEN)
        self._role = environ.get(ROLE_ID), environ.get(SECRET_ID)
        if not self._given and not all(self._role):
            raise VaultError(f"cannot log in: set {TOKEN}, or {ROLE_ID} and {SECRET_ID}, in the environment")
        self._client = _client(self._address)
        self._client.token = self._given
        self._lease_s = 0.0
        """How long the login was good for when it was new."""
        self._renewable = False
        self._due_at: float | None = None
        """Monotonic time to renew it at; None while its life is not known."""

    def close(self) -> None:
        """Let go of connections."""
        self._client.adapter.close()

    def name(self, path: str) -> str:
        """A secret as errors call it."""
        return f"{self._mount}/{path} of {self._address}"

    def read(self, path: str, shape: str) -> tuple[dict[str, object], str]:
        """The fields of a secret, and its version as :meth:`version` tells it.

        Args:
            shape: what there should be, in words for an error.
        """

        def ask() -> tuple[dict[str, object], str]:
            data = self._client.secrets.kv.v2.read_secret_version(
                path, mount_point=self._mount, raise_on_deleted_version=True
            )["data"]
            return dict(data["data"]), _version(data["metadata"]["version"], data["metadata"])

        return self._ask(ask, self.name(path), shape)

    def version(self, path: str, shape: str) -> str:
        """The current version of a secret and when it was written: a secret made anew counts from 1 again."""

        def ask() -> tuple[str, bool]:
            read = self._client.secrets.kv.v2.read_secret_metadata
            data = read(path, mount_point=self._mount)["data"]
            current = data["versions"][str(data["current_version"])]
            # A time that is still to come is when it will be deleted.
            at = current["deletion_time"]
            deleted = current["destroyed"] or (at and datetime.fromisoformat(at) <= datetime.now(UTC))
            return _version(data["current_version"], current), bool(deleted)

        version, deleted = self._ask(ask, f"{self._mount}/metadata/{path} of {self._address}", shape)
        if deleted:
            raise VaultError(f"{self.name(path)}: its current version {version} is deleted", absent=True)
        return version

    def keep(self) -> float:
        """Renew the login if it is due, by a new one where it cannot be; return in how many seconds it is due, inf for never."""
        if not self._client.token:
            self._log_in()
        elif self._due_at is None:
            self._look_up()
        elif time.monotonic() >= self._due_at:
            self._renew()
        return math.inf if self._due_at is None else self._due_at - time.monotonic()

    def _ask(self, ask: Callable[[], T], secret: str, shape: str) -> T:
        if not self._client.token:
            self._log_in()
        try:
            return _explained(ask, secret, shape)
        except VaultError as error:
            if self._given or not error.denied:
                raise
        # The login may have been taken away. Where the policy is what forbids it, the next one hears the same.
        self._log_in()
        return _explained(ask, secret, shape)

    def _log_in(self) -> None:
        role_id, secret_id = self._role

        def ask() -> Any:
            return self._client.auth.approle.login(role_id=role_id, secret_id=secret_id)["auth"]

        self._begin(_explained(ask, f"the login at {self._address}", "the AppRole engine at auth/approle"))

    def _begin(self, auth: Any) -> None:
        self._lease_s = float(auth["lease_duration"])
        self._renewable = bool(auth["renewable"])
        self._due_at = time.monotonic() + self._lease_s * RENEWED_AT if self._lease_s else math.inf

    def _look_up(self) -> None:
        """How long the token we were given lives. One that may not ask that of itself is used as it is."""
        try:
            data = _explained(
                lambda: self._client.auth.token.lookup_self()["data"], f"the token at {self._address}", TOKEN
            )
        except VaultError as error:
            if not error.denied:
                raise
            log.warning("vault: %s may not look itself up: it is not renewed", TOKEN)
            self._due_at = math.inf
            return
        self._begin({"lease_duration": data["ttl"], "renewable": data["renewable"]})

    def _renew(self) -> None:
        left_s = self._lease_s * (1 - RENEWED_AT)
        if self._renewable:
            try:
                auth = _explained(
                    lambda: self._client.auth.token.renew_self()["auth"], f"the login at {self._address}", ""
                )
            except VaultError as error:
                # Another login may do even where this one is the trouble; if not, that is what is told.
                if error.passing and self._given:
                    raise
            else:
                left_s = float(auth["lease_duration"])
                # It has a longest life: what is left of that is all that a renewal gives at last.
                if left_s > self._lease_s / 2:
                    self._due_at = time.monotonic() + left_s * RENEWED_AT
                    return
        if not self._given:
            self._log_in()
            return
        self._due_at = math.inf
        log.error("vault: %s cannot be renewed and ends in about %d s: start with a new one", TOKEN, left_s)


def _version(number: Any, metadata: Mapping[str, Any]) -> str:
    return f"{number} of {metadata['created_time']}"


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


def _client(address: str) -> Any:
    # Here, because only who needs a secret needs it, and the import takes as long as all the rest of a start.
    import hvac

    client = hvac.Client(url=address, timeout=TIMEOUT_S)
    # A proxy named in the environment would see what goes to a Vault on this host in the clear. Set here and not on a session
    # of our own, with which the library would no longer heed VAULT_CACERT.
    client.session.trust_env = urlsplit(address).scheme == "https"
    # The library would take a token from a file too.
    client.token = None
    return client


def _explained(ask: Callable[[], T], secret: str, shape: str) -> T:
    """Ask, and say what a failure means. The library's own words are left out: they may repeat what was sent."""
    import requests
    from hvac import exceptions

    try:
        return ask()
    except exceptions.Forbidden:
        failure = VaultError(
            f"{secret}: access is refused: the token or role must be valid, and its policy must allow reading this",
            denied=True,
        )
    except exceptions.InvalidPath:
        failure = VaultError(
            f"{secret}: there is no such secret: vault.mount must be a KV engine of version 2, and {shape}",
            absent=True,
        )
    except exceptions.InvalidRequest:
        failure = VaultError(
            f"{secret}: login is refused: {ROLE_ID} and {SECRET_ID} must be of one AppRole and not used up"
        )
    except exceptions.VaultError as error:
        failure = VaultError(
            f"{secret}: the server cannot answer ({type(error).__name__}): it must be started and unsealed",
            passing=True,
        )
    except requests.exceptions.RequestException as error:
        failure = VaultError(
            f"{secret}: the server cannot be reached ({type(error).__name__}): check vault.address and its certificate",
            passing=True,
        )
    except (KeyError, TypeError, ValueError) as error:
        failure = VaultError(
            f"{secret}: what answers is no Vault ({type(error).__name__}): check vault.address", passing=True
        )
    # Not from inside a handler: the library's error holds the request, and that the token.
    raise failure


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
