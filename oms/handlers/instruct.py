"""From events to instructions: what a connector has to do once they are durable."""

from collections.abc import Iterator
from typing import Any, Final

from oms.aggregates.account import AccountKey
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.aggregates.transfer import Transfer
from oms.handlers.transfer import ready_market
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages import instructions as i
from oms.messages.instructions import (
    Amend,
    Cancel,
    Instruction,
    LookUp,
    Reconcile,
    SetTerms,
    Submit,
)

SEND_WITHIN_NS: Final = 5 * 10**9
"""A connector that has not sent an order this long after the decision never sends it: a stale order is dangerous."""


Addressed = tuple[AccountKey, Instruction]
"""An instruction, and the account and market whose session it is for."""


def instruction_for(state: Partition, event: Any, now: int) -> Addressed | None:
    """The instruction that follows from an event just applied, if one does."""
    kind = type(event)
    if kind is e.OrderPlaced:
        placed = state.orders[event.order_id]
        return None if placed.awaits else (_key(placed), _submit(placed, now))
    if kind not in _INSTRUCTING:
        if kind is d.TransferRequested:
            asked = state.transfers[event.transfer_id]
            return asked.session_key, _transfer(asked, now)
        if kind is d.TransferInDoubt:
            return look_up_transfer(state, state.transfers[event.transfer_id])
        rule = _OF_NO_ORDER.get(kind)
        return None if rule is None else ((event.exchange, event.account, event.market), rule(event, now))
    order = state.orders.get(event.order_id)
    if order is None:
        return None
    if kind is e.OrderCancelRequested or (
        kind is e.OrderDoubtResolved and order.cancel_requested is not None
    ):
        return _key(order), _cancel(order)
    if kind is e.OrderAmendRequested:
        return _key(order), _amend(order, now)
    if kind is e.OrderReleased:
        return _key(order), _submit(order, now)
    return (_key(order), look_up(order)) if order.in_doubt else None


def _key(order: Order) -> AccountKey:
    return (order.exchange, order.account, order.market)


_INSTRUCTING: Final = frozenset(
    {
        e.OrderCancelRequested,
        e.OrderAmendRequested,
        e.OrderInDoubt,
        e.OrderDoubtResolved,
        e.OrderFilled,
        e.OrderCanceled,
        e.OrderExpired,
        e.OrderReleased,
    }
)


def _transfer(asked: Transfer, now: int) -> i.Transfer:
    return i.Transfer(
        transfer_id=asked.transfer_id,
        source=asked.account,
        source_wallet=asked.wallet,
        target=asked.to,
        target_wallet=asked.to_wallet,
        asset=asked.asset,
        amount=asked.amount,
        deadline=now + SEND_WITHIN_NS,
    )


def look_up_transfer(state: Partition, asked: Transfer) -> Addressed:
    """What a transfer was, for a session of the account that made it to find out what became of it."""
    exchange, account, market = asked.session_key
    ready = ready_market(state, asked.session_key)
    return (exchange, account, market if ready is None else ready), i.LookUpTransfer(
        transfer_id=asked.transfer_id,
        source=asked.account,
        source_wallet=asked.wallet,
        target=asked.to,
        target_wallet=asked.to_wallet,
        asset=asked.asset,
        amount=asked.amount,
        since=asked.requested_at,
    )


def _set_terms(event: e.TermsRequested, now: int) -> SetTerms:
    return SetTerms(
        symbol=event.symbol,
        deadline=now + SEND_WITHIN_NS,
        leverage=event.leverage,
        margin_mode=event.margin_mode,
    )


def _reconcile(event: e.ReconciliationRequested, now: int) -> Reconcile:
    return Reconcile(request_id=event.request_id)


_OF_NO_ORDER: Final[dict[type, Any]] = {
    e.TermsRequested: _set_terms,
    e.ReconciliationRequested: _reconcile,
}


def resumed_cancels(state: Partition, event: e.SessionOpened) -> list[Addressed]:
    """The cancels that a session which has become ready has to repeat: one asked while nobody served the account."""
    return [*_asked(state, (event.exchange, event.account, event.market))]


def cancels_again(state: Partition) -> list[Addressed]:
    """The cancels that an engine which starts repeats: the one before may have been killed between asking and telling."""
    return [found for ledger in state.ledgers.values() if ledger.ready for found in _asked(state, ledger.key)]


def _asked(state: Partition, key: AccountKey) -> Iterator[Addressed]:
    for order in state.live.get(key, {}).values():
        if order.cancel_requested is not None:
            yield key, _cancel(order)


def _cancel(order: Order) -> Cancel:
    return Cancel(
        order_id=order.order_id, client_id=order.client_id, symbol=order.symbol, revision=order.revision
    )


def _submit(order: Order, now: int) -> Submit:
    return Submit(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        deadline=now + SEND_WITHIN_NS,
        price=order.price,
        trigger_price=order.trigger_price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
    )


def _amend(order: Order, now: int) -> Amend:
    assert order.amend is not None
    return Amend(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        new_client_id=order.pending_client_id or order.client_id,
        side=order.side,
        type=order.type,
        quantity=order.amend.quantity,
        quantity_before=order.quantity,
        price=order.amend.price,
        revision=order.amend.revision,
        deadline=now + SEND_WITHIN_NS,
        trigger_price=order.trigger_price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
    )


def look_up(order: Order) -> LookUp:
    """What the engine believes of an order, for a connector to hold against the venue."""
    return LookUp(
        order_id=order.order_id,
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        status=order.status,
        quantity=order.quantity,
        cumulative=order.cumulative,
        since=order.placed_at,
        revision=order.revision,
        pending_revision=None if order.amend is None else order.amend.revision,
        pending_client_id=order.pending_client_id,
        pending_quantity=None if order.amend is None else order.amend.quantity,
        price=order.price,
        pending_price=None if order.amend is None else order.amend.price,
    )
