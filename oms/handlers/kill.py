"""Kill: engaging and releasing the kill switch of a scope. It latches first, durably, and cancels behind that, in one commit."""

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Final

from oms.aggregates.account import AccountKey
from oms.aggregates.money import ZERO
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.partition import Partition
from oms.aggregates.risk.latches import Latch
from oms.handlers import strategies
from oms.handlers.accounts import check_person
from oms.handlers.change import MAX_CANCELS
from oms.handlers.limits import scope_of
from oms.messages import controls as k
from oms.messages.codes import Code, Refused
from oms.messages.enums import CancelReason, OrderStatus, Side
from oms.messages.events import Event
from oms.messages.scopes import Scope, ScopeKind, parse_scope
from oms.messages.subjects import Subject

NAMED: Final = 5
"""Engaged scopes named to whoever releases another."""
CANCEL_AGAIN_NS: Final = 2 * 10**9
"""An order in a killed scope that the venue did not cancel is asked to again this long after it refused."""


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
    """Release a scope's own kill switch; one of a wider scope still holds. What it cancels and has not asked for yet, because of
    the bound of one commit, is asked for first: no order lives on for having been one of many.

    Raises:
        Refused: SCOPE_INVALID, SCOPE_UNKNOWN, SUBJECT_MISMATCH, PERSON_REQUIRED, NOT_KILLED, CANCELS_LEFT.
    """
    scope = scope_of(state, subject, command.scope, each=False)
    check_person(command.by)
    latch = state.risk.latches.get(str(scope))
    if latch is None:
        others = ", ".join(islice(state.risk.latches, NAMED)) or "none"
        raise Refused(
            Code.NOT_KILLED, f"the kill switch of {scope} is not engaged; engaged are {others}"[:256]
        )
    unasked = [
        order
        for order in _live(state, scope)
        if order.placed_at <= latch.at and _cancellable(order) and not _asked(order, latch)
    ]
    if len(unasked) > MAX_CANCELS:
        raise Refused(
            Code.CANCELS_LEFT,
            f"{len(unasked):,} orders of {scope} are not asked to cancel yet, {MAX_CANCELS:,} are at once: release it again in a second",
        )
    return [
        *_ask(unasked, MAX_CANCELS),
        k.KillSwitchReleased(scope=str(scope), by=command.by, reason=command.reason),
    ]


def cancels(state: Partition, scope: Scope, most: int, besides: Collection[str] = ()) -> list[Event]:
    """Cancels of the live orders in a scope that nobody has asked for, at most so many. Not of those ``besides``, which the same
    commit asks for already."""
    live = _live(state, scope)
    return _ask((order for order in live if _cancellable(order) and order.order_id not in besides), most)


def left_over(state: Partition, now: int, most: int) -> list[Event]:
    """Cancels of what should be gone from latched scopes and is not: beyond the bound of one command, not cancelled by the
    venue, or found there since. What was let through to reduce a position stays."""
    meant: dict[str, Order] = {}
    for latch in state.risk.latches.values():
        totals = state.risk.totals.get(latch.scope)
        if totals is None or not totals.open_orders:
            continue
        since: list[Order] = []
        for order in _live(state, parse_scope(latch.scope)):
            if order.placed_at > latch.at:
                since.append(order)
            elif _due(order, latch, now):
                meant[order.order_id] = order
        spared = _reducing(state, since) if latch.allow_reduce_only else ()
        for order in since:
            if order.strategy == ADOPTED and order.order_id not in spared and _due(order, latch, now):
                meant[order.order_id] = order
    return _ask(meant.values(), most)


def _ask(orders: Iterable[Order], most: int) -> list[Event]:
    """Cancels of at most so many: first of those that may not have been sent yet, because they can still be taken back, then of
    the oldest."""
    meant = sorted(orders, key=lambda order: (order.base is not OrderStatus.PENDING_NEW, order.order_id))
    return [event for order in meant[:most] for event in order.decide_cancel(CancelReason.KILL)]


def _reducing(state: Partition, orders: Iterable[Order]) -> set[str]:
    """Of orders that were placed since a kill switch engaged, those that together only bring their account's position nearer to
    zero, the oldest first. What is older is to be cancelled, and not counted against them."""
    found: set[str] = set()
    left: dict[tuple[str, str, str, str, Side], Decimal] = {}
    for order in sorted(orders, key=lambda order: order.order_id):
        place = (order.exchange, order.account, order.market, order.symbol)
        key = (*place, order.side)
        if key not in left:
            position = state.positions.get(place)
            held = ZERO if position is None else position.quantity
            left[key] = -held if order.side is Side.BUY else held
        if order.exposed <= left[key]:
            left[key] -= order.exposed
            found.add(order.order_id)
    return found


def _due(order: Order, latch: Latch, now: int) -> bool:
    """Whether to ask for its cancel: at once, or after a while where the venue has refused that."""
    return _cancellable(order) and (not _asked(order, latch) or now - order.refused_at >= CANCEL_AGAIN_NS)


def _asked(order: Order, latch: Latch) -> bool:
    """Of an order that may be cancelled, whether that was asked for since the kill switch engaged, and refused."""
    return order.refused_at >= latch.at


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
        return {key[:3] for key, part in state.risk.leaves.by_book.items() if part.orders and key[4] == name}
    if kind is ScopeKind.INSTRUMENT:
        instrument = tuple(name.split("."))
        leaves = state.risk.leaves.by_place.items()
        return [key[:3] for key, leaf in leaves if leaf.orders and leaf.instrument.key == instrument]
    index = {ScopeKind.EXCHANGE: 0, ScopeKind.ACCOUNT: 1}.get(kind)
    return [key for key in state.live if index is None or key[index] == name]
