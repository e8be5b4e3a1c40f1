"""Accounts' keys from Vault: the secret ``exchanges/{exchange}_{market}`` has a field for each account.

Its value is ``{"api_key": …, "secret": …, "passphrase": …}``, as an object or as its JSON; only some exchanges have a
passphrase. A key that is changed there is noticed without a restart: the secret's version is looked at every
``vault.poll``, and at once when an exchange refuses a key. What is known stays in use while Vault is down, and when an
entry is taken away or cannot be read: the exchange says what a key is worth.
"""

import asyncio
import contextlib
import functools
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from oms.config import Config, VaultConfig
from oms.tasks import end
from oms.vault import TIMEOUT_S, Login, VaultError
from oms.venues.credentials import (
    Credentials,
    CredentialsMissing,
    EnvironmentCredentials,
    Key,
    OnChange,
    variables,
)

log = logging.getLogger(__name__)

CALL_S: Final = 6 * TIMEOUT_S
"""One look takes at most a login, a request, and both again, each of which connects and reads."""
BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0
SOONEST_S: Final = 0.1
"""A login that lasts next to nothing is not renewed more often."""
CHARS_MAX: Final = 8_192

T = TypeVar("T")


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    api_key: str
    secret: str
    passphrase: str = ""


def read_entry(value: object) -> Key | None:
    """The key in a field, None when it is none."""
    try:
        entry = (
            msgspec.json.decode(value, type=_Entry)
            if isinstance(value, str)
            else msgspec.convert(value, _Entry)
        )
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError):
        return None
    # What goes into a header has no room for a line's end that was stored with it; a secret may be a PEM of many lines.
    words = (entry.api_key, entry.passphrase)
    if not (entry.api_key and entry.secret.strip() and all(word.isprintable() for word in words)):
        return None
    if entry.api_key.strip() != entry.api_key or max(map(len, (*words, entry.secret))) > CHARS_MAX:
        return None
    return Key(entry.api_key, entry.secret, entry.passphrase)


class VaultCredentials:
    """The keys of these accounts, kept as they are in Vault. Open it, or use it as a context manager; then close it.

    Args:
        config: where Vault is and how often to look.
        accounts: by venue (``exchange.market``) the accounts whose keys are wanted.
        environ: says how to log in.

    Raises:
        VaultError: nothing says where Vault is or how to log in.
    """

    def __init__(
        self,
        config: VaultConfig,
        accounts: Mapping[str, Collection[str]],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._accounts = {venue: tuple(names) for venue, names in accounts.items()}
        self._poll_s = config.poll / 10**9
        self._login = Login(config, environ)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vault")
        self._keys: dict[tuple[str, str], Key] = {}
        self._versions: dict[str, str] = {}
        self._read_at: dict[str, float] = {}
        """When the last reading of a venue's secret began."""
        self._looking = asyncio.Lock()
        self._on_change: list[OnChange] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def watch(self, on_change: OnChange) -> None:
        """Call this with exchange, market and account whenever there is another key."""
        self._on_change.append(on_change)

    def key(self, exchange: str, market: str, account: str) -> Key:
        venue = f"{exchange}.{market}"
        found = self._keys.get((venue, account))
        if found is None:
            raise CredentialsMissing(
                f"no key for account {account} at {venue}: put one into Vault, as field {account!r} of"
                f" {self._login.name(_path(venue))}"
            )
        return found

    async def open(self, stop: asyncio.Event | None = None) -> None:
        """Read all keys, waiting for a Vault that is down until ``stop``, and look for changes from then on.

        An account without a key is told when the key is asked for: the others are none the worse for it.

        Raises:
            VaultError: Vault refuses us.
        """
        pause = BACKOFF_S
        while True:
            try:
                wait_s = await self._look()
                break
            except VaultError as error:
                if not error.passing:
                    raise
                wait_s = pause * random.uniform(0.5, 1.0)
                log.error("keys: %s; waiting for it, again in %.1f s", error, wait_s)
            if await _slept(wait_s, stop):
                return
            pause = min(2 * pause, BACKOFF_MAX_S)
        self._task = asyncio.create_task(self._watch(wait_s))

    async def close(self) -> None:
        """Look no more. The keys that are known stay."""
        if self._task is not None:
            await end([self._task])
            self._task = None
        if not self._closed:
            self._closed = True
            # After what is still under way there, which has a time limit of its own.
            self._executor.submit(self._login.close)
            self._executor.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def refresh(self, exchange: str, market: str, account: str) -> bool:
        """Read the key again now; return whether it is another one. A Vault that does not answer is told in the log."""
        venue = f"{exchange}.{market}"
        asked_at, before = time.monotonic(), self._keys.get((venue, account))
        try:
            async with self._looking:
                # Who asks together is answered together.
                if self._read_at.get(venue, 0.0) < asked_at:
                    await self._read(venue)
        except VaultError as error:
            log.error("keys: %s; the known key of %s at %s stays in use", error, account, venue)
        return self._keys.get((venue, account)) != before

    # -- looking

    async def _watch(self, wait_s: float) -> None:
        failures = 0
        while True:
            await asyncio.sleep(wait_s)
            try:
                wait_s = await self._look()
                if failures:
                    log.warning("keys: Vault answers again")
                failures = 0
            except VaultError as error:
                wait_s = min(BACKOFF_S * 2 ** min(failures, 10), self._poll_s, BACKOFF_MAX_S)
                wait_s *= random.uniform(0.5, 1.0)
                failures += 1
                log.error("keys: %s; the known keys stay in use, again in %.1f s", error, wait_s)
            except Exception:
                # A defect here must not end the looking: a rotated key would be missed for good.
                log.exception("keys: looking for changes failed")
                wait_s = self._poll_s

    async def _look(self) -> float:
        """Keep the login, and read every secret that has another version; return in how many seconds to look again."""
        due_s = await self._ask(self._login.keep)
        refused: VaultError | None = None
        for venue in self._accounts:
            try:
                async with self._looking:
                    version = await self._ask(self._login.version, _path(venue), SHAPE)
                    if self._versions.get(venue) != version:
                        await self._read(venue)
            except VaultError as error:
                if error.passing:
                    raise
                if error.absent:
                    # Not there yet, or taken away: who asks for such a key is told.
                    log.error("keys: %s; what is known stays in use", error)
                else:
                    refused = error
        if refused is not None:
            raise refused
        return min(self._poll_s, max(due_s, SOONEST_S))

    async def _read(self, venue: str) -> None:
        began = time.monotonic()
        fields, version = await self._ask(self._login.read, _path(venue), SHAPE)
        self._read_at[venue] = began
        first = venue not in self._versions
        self._versions[venue] = version
        changed = [account for account in self._accounts[venue] if self._take(venue, account, fields)]
        if first and not self._on_change:
            return
        exchange, market = venue.split(".")
        for account in changed:
            log.warning("keys: account %s at %s has another key", account, venue)
            for tell in self._on_change:
                try:
                    tell(exchange, market, account)
                except Exception:
                    # The next account's key is not to be kept from it.
                    log.exception("keys: the change of %s at %s could not be passed on", account, venue)

    def _take(self, venue: str, account: str, fields: Mapping[str, object]) -> bool:
        """Take what is there; return whether it is another key."""
        known = self._keys.get((venue, account))
        where = f"field {account!r} of {self._login.name(_path(venue))}"
        stays = "; the known key stays in use" if known else ""
        if account not in fields:
            log.error("keys: there is no %s%s", where, stays)
            return False
        found = read_entry(fields[account])
        if found is None:
            log.error(
                'keys: %s must be {"api_key": "…", "secret": "…"}, with "passphrase" where the exchange has one,'
                " was something else%s",
                where,
                stays,
            )
            return False
        self._keys[venue, account] = found
        return found != known

    async def _ask(self, ask: Callable[..., T], *arguments: Any) -> T:
        asking = asyncio.get_running_loop().run_in_executor(
            self._executor, functools.partial(ask, *arguments)
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALL_S):
                return await asking
        raise VaultError(f"Vault did not answer within {CALL_S} s", passing=True)


SHAPE: Final = "there a secret with a field for each account"


def _path(venue: str) -> str:
    return f"exchanges/{venue.replace('.', '_')}"


async def _slept(seconds: float, stop: asyncio.Event | None) -> bool:
    """Sleep so long; return whether it was told to stop instead."""
    if stop is None:
        await asyncio.sleep(seconds)
        return False
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


@contextlib.asynccontextmanager
async def open_credentials(
    config: Config,
    exchange: str,
    *,
    simulated: bool,
    stop: asyncio.Event,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Credentials]:
    """The keys of every account at an exchange: from the environment for the simulator, else from Vault alone.

    Returns without keys when ``stop`` is set while Vault is waited for.

    Raises:
        CredentialsMissing: keys for a real exchange are in the environment.
        VaultError: Vault refuses us, or nothing says where it is.
    """
    if simulated:
        yield EnvironmentCredentials(environ)
        return
    accounts = {
        venue: [name for name, account in config.accounts.items() if venue in account.venues]
        for venue in config.venues
        if venue.startswith(f"{exchange}.")
    }
    for name in {account for names in accounts.values() for account in names}:
        for variable in variables(exchange, name):
            if variable in environ:
                raise CredentialsMissing(
                    f"{variable} is in the environment of a connector for the real {exchange}: keys there are for the"
                    " simulator alone. Put the key into Vault, and take it out of the environment"
                )
    credentials = VaultCredentials(config.vault, accounts, environ)
    try:
        await credentials.open(stop)
        yield credentials
    finally:
        await credentials.close()
