"""Kill: engaging and releasing the kill switch of a scope. It latches first, durably, and cancels behind that, in one commit."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from oms.aggregates.account import AccountKey
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.partition import Partition
from oms.handlers import strategies
from oms.handlers.accounts import check_person
from oms.handlers.change import MAX_CANCELS
from oms.handlers.limits import scope_of
from oms.messages import controls as k
from oms.messages.codes import Code, Refused
from oms.messages.enums import CancelReason, OrderStatus
from oms.messages.events import Event
from oms.messages.scopes import Scope, ScopeKind, parse_scope
from oms.messages.subjects import Subject

NAMED: Final = 5
"""Engaged scopes named to whoever releases another."""
CANCEL_AGAIN_NS = 2 * 10**9
"""An order in a killed scope that the venue did not cancel is asked to again this long after."""


def decide_kill(state: Partition, subject: Subject, command: k.Kill, now: int) -> list[Event]:
    """Engage a scope's kill switch, whether it is engaged or not, and ask for a cancel of everything in it.

    Raises:
        Refused: SCOPE_INVALID, SCOPE_UNKNOWN, SUBJECT_MISMATCH, PERSON_REQUIRED, STRATEGY_LIMIT.
    """
    scope = scope_of(state, subject, command.scope, each=False)
    check_person(command.by)
    strategies.check_named(state, str(scope))
    return [
        k.KillSwitchEngaged(
            scope=str(scope),
            by=command.by,
            reason=command.reason,
            cause=command.cause,
            allow_reduce_only=command.allow_reduce_only,
        ),
        *cancels(state, scope, MAX_CANCELS),
    ]


def decide_release(state: Partition, subject: Subject, command: k.Release, now: int) -> list[Event]:
    """Release a scope's own kill switch; one of a wider scope still holds.

    Raises:
        Refused: SCOPE_INVALID, SCOPE_UNKNOWN, SUBJECT_MISMATCH, PERSON_REQUIRED, NOT_KILLED.
    """
    scope = str(scope_of(state, subject, command.scope, each=False))
    check_person(command.by)
    if scope not in state.risk.latches:
        others = ", ".join(islice(state.risk.latches, NAMED)) or "none"
        raise Refused(
            Code.NOT_KILLED, f"the kill switch of {scope} is not engaged; engaged are {others}"[:256]
        )
    return [k.KillSwitchReleased(scope=scope, by=command.by, reason=command.reason)]


def cancels(state: Partition, scope: Scope, most: int, besides: Collection[str] = ()) -> list[Event]:
    """Cancels of the live orders in a scope that nobody has asked for, at most so many: first those that may not have been sent
    yet, because they can still be taken back, then the oldest. Not of those ``besides``, which the same commit asks for already."""
    meant = sorted(
        (order.base is not OrderStatus.PENDING_NEW, order.order_id)
        for order in _live(state, scope)
        if _cancellable(order) and order.order_id not in besides
    )
    return [
        event
        for _, order_id in meant[:most]
        for event in state.orders[order_id].decide_cancel(CancelReason.KILL)
    ]


def left_over(state: Partition, now: int, most: int) -> list[Event]:
    """Cancels of what should be gone from latched scopes and is not: beyond the bound of one command, not cancelled by the
    venue, or found there since. What was let through to reduce a position stays."""
    meant: dict[str, None] = {}
    for latch in state.risk.latches.values():
        totals = state.risk.totals.get(latch.scope)
        if totals is None or not totals.open_orders:
            continue
        for order in _live(state, parse_scope(latch.scope)):
            before = order.placed_at <= latch.at or order.strategy == ADOPTED
            if before and _cancellable(order) and now - order.updated_at >= CANCEL_AGAIN_NS:
                meant[order.order_id] = None
    return [
        event
        for order_id in sorted(meant)[:most]
        for event in state.orders[order_id].decide_cancel(CancelReason.KILL)
    ]


def _cancellable(order: Order) -> bool:
    return bool(order.leaves) and order.cancel_requested is None


def _live(state: Partition, scope: Scope) -> Iterator[Order]:
    kind, name = scope
    for key in _holding(state, scope):
        for order in state.live.get(key, {}).values():
            if kind is ScopeKind.STRATEGY and order.strategy != name:
                continue
            if kind is ScopeKind.INSTRUMENT and name != f"{order.exchange}.{order.market}.{order.symbol}":
                continue
            yield order


def _holding(state: Partition, scope: Scope) -> Iterable[AccountKey]:
    """Account keys with live orders in a scope: the watch asks that of every latch, however much else is open."""
    kind, name = scope
    if kind is ScopeKind.STRATEGY:
        return {key[:3] for key, part in state.risk.parts.items() if part.orders and key[4] == name}
    if kind is ScopeKind.INSTRUMENT:
        instrument = tuple(name.split("."))
        leaves = state.risk.leaves.items()
        return [key[:3] for key, leaf in leaves if leaf.orders and leaf.instrument.key == instrument]
    index = {ScopeKind.EXCHANGE: 0, ScopeKind.ACCOUNT: 1}.get(kind)
    return [key for key in state.live if index is None or key[index] == name]
