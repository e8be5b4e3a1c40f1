"""Keys: where a connector gets them from. They are held as they come and never shown."""

import os
from collections.abc import Mapping
from typing import Protocol

import attrs


@attrs.frozen
class Key:
    """An API key and its secret; neither appears in a repr, a log or an error."""

    api_key: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)


class CredentialsMissing(Exception):
    """There is no key for an account."""


class Credentials(Protocol):
    """Anything that hands out keys."""

    def key(self, exchange: str, account: str) -> Key:
        """The account's key at an exchange.

        Raises:
            CredentialsMissing: there is none; the message says where one was looked for.
        """


@attrs.frozen
class FixedCredentials:
    """Keys given in code: those of a simulator."""

    keys: Mapping[tuple[str, str], Key] = attrs.field(repr=False)

    def key(self, exchange: str, account: str) -> Key:
        found = self.keys.get((exchange, account))
        if found is None:
            raise CredentialsMissing(f"no key for account {account} at {exchange}")
        return found


@attrs.frozen
class EnvironmentCredentials:
    """Keys in the environment: ``MEXOMS_BINANCE_MAIN_KEY`` and ``MEXOMS_BINANCE_MAIN_SECRET``."""

    environment: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)

    def key(self, exchange: str, account: str) -> Key:
        name = f"MEXOMS_{exchange}_{account}".upper().replace("-", "_")
        api_key, secret = self.environment.get(f"{name}_KEY"), self.environment.get(f"{name}_SECRET")
        if not api_key or not secret:
            raise CredentialsMissing(
                f"no key for account {account} at {exchange}: set {name}_KEY and {name}_SECRET"
            )
        return Key(api_key, secret)
