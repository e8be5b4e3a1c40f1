"""``cancel_on_disconnect``, and what follows when a client that asked for it falls silent."""

from typing import Final

from oms.aggregates.guard import MAX_GUARDS, Guard
from oms.aggregates.partition import Partition
from oms.handlers.change import MAX_CANCELS
from oms.messages.codes import Code, Refused
from oms.messages.desk import CancelOnDisconnect, ClientDisconnected, DisconnectGuardSet, DropClient
from oms.messages.enums import CancelReason
from oms.messages.events import Event
from oms.messages.subjects import ANY, Subject

MIN_TIMEOUT_MS: Final = 1_000
"""Beats cross a network, and the engine looks every 250 ms: what is shorter would cancel on every hiccup."""


def decide_cancel_on_disconnect(
    state: Partition, subject: Subject, command: CancelOnDisconnect
) -> list[Event]:
    """Guard a client of the account, change its guard, or take it away.

    Raises:
        Refused: INVALID_COMMAND, SUBJECT_MISMATCH, GUARD_LIMIT, GUARD_UNKNOWN.
    """
    if (subject.exchange, subject.market, subject.symbol) != (ANY, ANY, ANY):
        raise Refused(
            Code.SUBJECT_MISMATCH,
            f"a client is guarded for an account as a whole: the subject must be cancel_on_disconnect._.{subject.account}._._",
        )
    if command.client == ANY:
        raise Refused(
            Code.INVALID_COMMAND,
            "client must be the name that the client beats under, was '_', which names nobody",
        )
    if 0 < command.timeout_ms < MIN_TIMEOUT_MS:
        raise Refused(
            Code.INVALID_COMMAND,
            f"timeout_ms must be 0, to disarm, or at least {MIN_TIMEOUT_MS:,}, was {command.timeout_ms}",
        )
    account = subject.account
    if (account, command.client) not in state.guards:
        if not command.timeout_ms:
            raise Refused(
                Code.GUARD_UNKNOWN, f"client {command.client!r} of account {account} is not guarded now"
            )
        if sum(key[0] == account for key in state.guards) >= MAX_GUARDS:
            raise Refused(
                Code.GUARD_LIMIT,
                f"{MAX_GUARDS:,} clients of account {account} are guarded already: disarm one",
            )
    return [
        DisconnectGuardSet(
            account=account, client=command.client, strategy=command.strategy, timeout_ms=command.timeout_ms
        )
    ]


def decide_drop_client(state: Partition, subject: Subject, command: DropClient) -> list[Event]:
    """Cancel the orders of a client that fell silent, oldest first.

    With more than :data:`~oms.handlers.change.MAX_CANCELS` of them the guard stays, so that whoever asks goes on asking until all are.
    """
    guard = state.guards.get((subject.account, command.client))
    if guard is None:
        return []
    meant = _orders_of(state, guard)
    cancels: list[Event] = []
    for order_id in meant[:MAX_CANCELS]:
        cancels += state.orders[order_id].decide_cancel(CancelReason.DISCONNECT)
    if len(meant) > MAX_CANCELS:
        return cancels
    dropped = ClientDisconnected(
        account=guard.account, client=guard.client, strategy=guard.strategy, count=len(meant)
    )
    return [dropped, *cancels]


def _orders_of(state: Partition, guard: Guard) -> list[str]:
    return sorted(
        order.order_id
        for key, live in state.live.items()
        if key[1] == guard.account
        for order in live.values()
        if order.leaves
        and order.cancel_requested is None
        and (not guard.strategy or order.strategy == guard.strategy)
    )
