"""User data: who listens to which account."""

from __future__ import annotations

from collections import defaultdict

import attrs

from oms.simulator.connections import Connection
from oms.simulator.events import FundsChange
from oms.simulator.orders import OrderUpdate
from oms.simulator.reports import Reports

from . import errors, payloads


@attrs.frozen(eq=False)
class Subscription:
    """One account on one connection. `by_session` says that it ends with `session.logout`."""

    connection: Connection
    subscription_id: int
    account: str
    by_session: bool


class UserStreams:
    """Delivers events to the connections that subscribed to their account."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._by_account: dict[str, list[Subscription]] = defaultdict(list)

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

    def order(self, update: OrderUpdate) -> None:
        """Deliver an execution report, or what the faults make of it."""
        account = update.order.account
        if not self._by_account.get(account):
            return
        event = payloads.execution_report(update)
        labels = (update.execution, "executionReport")
        self._reports.emit(account, labels, lambda: self._deliver(account, event))

    def funds(self, change: FundsChange) -> None:
        """Deliver the balances that changed; what came from outside first tells by how much."""
        account = change.account.name
        if not self._by_account.get(account):
            return
        if change.reason in ("DEPOSIT", "WITHDRAW", "TRANSFER"):
            for asset, delta in change.assets.items():
                self._deliver(account, payloads.balance_update(asset, delta, change.time_ns))
        self._deliver(account, payloads.account_position(change))

    def _deliver(self, account: str, event: dict[str, object]) -> None:
        for subscription in self._by_account[account]:
            subscription.connection.send({"subscriptionId": subscription.subscription_id, "event": event})
