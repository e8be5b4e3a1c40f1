"""Keys: where a connector gets them from. They are held as they come and never shown.

A connector of a real exchange takes them from Vault alone (:mod:`oms.venues.vault_keys`); the environment is for the
simulator, whose keys protect nothing.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

# At DEBUG ccxt logs every request with its headers, and these hold keys, passphrases and tokens.
logging.getLogger("ccxt.base.exchange").addFilter(lambda record: record.levelno > logging.DEBUG)

OnChange = Callable[[str, str, str], None]
"""Is told (exchange, market, account)."""


@attrs.frozen
class Key:
    """An API key, its secret, and the passphrase of an exchange that has one. None of it is in a repr, a log or an error."""

    api_key: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    passphrase: str = attrs.field(default="", repr=False)


class CredentialsMissing(Exception):
    """There is no key for an account."""


class Credentials(Protocol):
    """Anything that hands out keys."""

    def key(self, exchange: str, market: str, account: str) -> Key:
        """The account's key at a market of an exchange, as it is now.

        Raises:
            CredentialsMissing: there is none; the message says where one was looked for.
        """

    async def refresh(self, exchange: str, market: str, account: str) -> bool:
        """Look again now, because the exchange does not take the key; return whether there is another one."""

    def watch(self, on_change: OnChange) -> None:
        """Call this whenever an account has another key: its sessions have to be opened anew."""


@attrs.frozen
class FixedCredentials:
    """Keys given in code, by exchange and account: those of a simulator."""

    keys: Mapping[tuple[str, str], Key] = attrs.field(repr=False)

    def key(self, exchange: str, market: str, account: str) -> Key:
        found = self.keys.get((exchange, account))
        if found is None:
            raise CredentialsMissing(f"no key for account {account} at {exchange}")
        return found

    async def refresh(self, exchange: str, market: str, account: str) -> bool:
        return False

    def watch(self, on_change: OnChange) -> None:
        """These never change."""


def variables(exchange: str, account: str) -> tuple[str, str, str]:
    """The names of the variables that hold a simulated account's key, secret and passphrase."""
    name = f"MEXOMS_{exchange}_{account}".upper().replace("-", "_")
    return f"{name}_KEY", f"{name}_SECRET", f"{name}_PASSPHRASE"


@attrs.frozen
class EnvironmentCredentials:
    """Keys in the environment, for the simulator: ``MEXOMS_BINANCE_MAIN_KEY``, ``…_SECRET`` and ``…_PASSPHRASE``.

    An account has one at an exchange, for all of its markets; without a passphrase it is empty.
    """

    environment: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)

    def key(self, exchange: str, market: str, account: str) -> Key:
        names = variables(exchange, account)
        api_key, secret, passphrase = (self.environment.get(name, "") for name in names)
        if not api_key or not secret:
            raise CredentialsMissing(
                f"no key for account {account} at {exchange}: set {names[0]} and {names[1]}"
            )
        return Key(api_key, secret, passphrase)

    async def refresh(self, exchange: str, market: str, account: str) -> bool:
        return False

    def watch(self, on_change: OnChange) -> None:
        """An environment never changes."""
