"""User data: who listens to which account, and the faults that reports can suffer on the way."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import attrs

from . import errors
from .connections import Connection
from .faults import Fault, Faults, Stage

# Reports that a fault holds back; beyond this the oldest go out.
MAX_HELD = 10_000


@attrs.frozen(eq=False)
class Subscription:
    """One account on one connection. `by_session` says that it ends with `session.logout`."""

    connection: Connection
    subscription_id: int
    account: str
    by_session: bool


class UserStreams:
    """Delivers events to the connections that subscribed to their account."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._by_account: dict[str, list[Subscription]] = defaultdict(list)
        self._held: dict[str, list[dict[str, object]]] = defaultdict(list)
        self._timers: set[asyncio.TimerHandle] = set()

    def subscribe(
        self, connection: Connection, subscription_id: int, account: str, *, by_session: bool
    ) -> None:
        """Raises `ApiError` -2035 when this connection has that account already."""
        if any(s.connection is connection for s in self._by_account[account]):
            raise errors.already_subscribed()
        self._by_account[account].append(Subscription(connection, subscription_id, account, by_session))

    def of(self, connection: Connection) -> list[Subscription]:
        """Return the subscriptions of one connection, oldest first."""
        found = [
            s for listeners in self._by_account.values() for s in listeners if s.connection is connection
        ]
        return sorted(found, key=lambda s: s.subscription_id)

    def unsubscribe(self, subscription: Subscription) -> None:
        self._by_account[subscription.account].remove(subscription)

    def emit(self, account: str, event: dict[str, object]) -> None:
        """Deliver an event, or what the faults make of it. Must run in the event loop."""
        if not self._by_account.get(account):
            return
        if event["e"] != "executionReport":
            self._deliver(account, event)
            return
        rule = self._faults.draw(Stage.REPORT, str(event["x"]))
        if rule is None:
            self._deliver(account, event)
        elif rule.kind is Fault.DUPLICATE_REPORT:
            self._deliver(account, event)
            self._deliver(account, event)
        elif rule.kind is Fault.DELAY_REPORT:
            self._later(rule.delay_ms, account, event)
            return
        else:
            held = self._held[account]
            held.append(event)
            self._later(rule.delay_ms, account, None)
            if len(held) <= MAX_HELD:
                return
        self._release(account)

    def stop(self) -> None:
        """Forget what is held back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _later(self, delay_ms: int, account: str, event: dict[str, object] | None) -> None:
        def due() -> None:
            self._timers.discard(timer)
            if event is None:
                self._release(account)
            else:
                self._deliver(account, event)

        timer = asyncio.get_running_loop().call_later(delay_ms / 1000, due)
        self._timers.add(timer)

    def _release(self, account: str) -> None:
        for event in self._held.pop(account, ()):
            self._deliver(account, event)

    def _deliver(self, account: str, event: dict[str, object]) -> None:
        for subscription in self._by_account[account]:
            subscription.connection.send({"subscriptionId": subscription.subscription_id, "event": event})
