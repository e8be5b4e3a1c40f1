"""Listen keys: one an account, alive for an hour from the last time it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import attrs

from oms.simulator.ledger import Account

from . import errors

VALID_S = 3_600
NS_PER_S = 1_000_000_000


@attrs.define
class ListenKey:
    """A key, whose it is, and when it ends, in UTC ns."""

    key: str
    account: str
    expires_ns: int


class ListenKeys:
    """Makes, renews and ends listen keys. `expired` is called with each that ends."""

    def __init__(self, clock: Callable[[], int], expired: Callable[[ListenKey], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._by_account: dict[str, ListenKey] = {}
        self._made = 0

    def create(self, account: Account) -> str:
        """Return the account's key, a new one when it has none, and let it live for another hour."""
        self.sweep()
        found = self._by_account.get(account.name)
        if found is None:
            self._made += 1
            text = hashlib.sha256(f"{account.name} {self._made} {self._clock()}".encode()).hexdigest()
            found = self._by_account[account.name] = ListenKey(text, account.name, 0)
        found.expires_ns = self._clock() + VALID_S * NS_PER_S
        return found.key

    def renew(self, account: Account) -> str:
        """Let the key live for another hour. Raises `ApiError` -1125 when there is none."""
        self.sweep()
        if account.name not in self._by_account:
            raise errors.no_listen_key()
        return self.create(account)

    def end(self, account: Account) -> None:
        """End the account's key now. Raises `ApiError` -1125 when there is none."""
        found = self._by_account.pop(account.name, None)
        if found is None:
            raise errors.no_listen_key()
        self._expired(found)

    def sweep(self) -> None:
        """End the keys whose time has come."""
        now = self._clock()
        for name, key in list(self._by_account.items()):
            if key.expires_ns <= now:
                del self._by_account[name]
                self._expired(key)

    def of(self, account: str) -> str | None:
        """Return the account's key, None when it has none."""
        found = self._by_account.get(account)
        return None if found is None else found.key

    def __contains__(self, text: str) -> bool:
        return any(key.key == text for key in self._by_account.values())
