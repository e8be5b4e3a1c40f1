"""User data: who listens to which account, and the faults that reports can suffer on the way."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import attrs

from oms.simulator.connections import Connection
from oms.simulator.faults import Fault, Faults, Stage

from . import errors

# Reports that faults hold back at once; beyond this they go out as they come.
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
        self._held: dict[str, dict[str, object]] = {}
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
        held = self._held.pop(account, None)
        rule = self._faults.draw(Stage.REPORT, str(event["x"])) if held is None else None
        if rule is None or len(self._timers) >= MAX_HELD:
            self._deliver(account, event)
        elif rule.kind is Fault.DROP_REPORT:
            pass
        elif rule.kind is Fault.DUPLICATE_REPORT:
            self._deliver(account, event)
            self._deliver(account, event)
        elif rule.kind is Fault.DELAY_REPORT:
            self._later(rule.delay_ms, lambda: self._deliver(account, event))
        else:
            self._held[account] = event
            self._later(rule.delay_ms, lambda: self._release(account, event))
        if held is not None:
            self._deliver(account, held)

    def stop(self) -> None:
        """Forget what is held back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _later(self, delay_ms: int, deliver: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            deliver()

        timer = asyncio.get_running_loop().call_later(delay_ms / 1000, due)
        self._timers.add(timer)

    def _release(self, account: str, event: dict[str, object]) -> None:
        """Deliver a held event that no later one has overtaken in time."""
        if self._held.get(account) is event:
            del self._held[account]
            self._deliver(account, event)

    def _deliver(self, account: str, event: dict[str, object]) -> None:
        for subscription in self._by_account[account]:
            subscription.connection.send({"subscriptionId": subscription.subscription_id, "event": event})
