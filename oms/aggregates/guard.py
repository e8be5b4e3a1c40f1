"""Guard: a client that asked for its orders to be cancelled once it falls silent, and how long it may be silent.

What is heard of the client is not recorded: after a restart of the engine the time counts anew. A guard is gone when it has
acted, until the client arms it again: nobody who comes back finds orders cancelled behind a later pause that he did not ask for.
"""

from typing import TYPE_CHECKING, Final

import attrs

from oms.messages.desk import ClientDisconnected, DisconnectGuardSet

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

GuardKey = tuple[str, str]
"""(account, client)."""

MAX_GUARDS: Final = 1_000
"""Clients that one account may have guarded."""


@attrs.frozen(slots=True)
class Guard:
    """One client of one account.

    Args:
        strategy: whose orders go; empty for all of the account's.
        timeout_ms: how long the client may be silent.
    """

    account: str
    client: str
    strategy: str
    timeout_ms: int

    @property
    def key(self) -> GuardKey:
        return (self.account, self.client)


# -- evolve


def guard_set(state: "Partition", event: DisconnectGuardSet, at: int) -> None:
    """Take the guard in, in place of any before, or out."""
    key = (event.account, event.client)
    if event.timeout_ms:
        state.guards[key] = Guard(event.account, event.client, event.strategy, event.timeout_ms)
    else:
        del state.guards[key]
    state.changes.guards[key] = None


def client_disconnected(state: "Partition", event: ClientDisconnected, at: int) -> None:
    """The guard has acted."""
    key = (event.account, event.client)
    del state.guards[key]
    state.changes.guards[key] = None
