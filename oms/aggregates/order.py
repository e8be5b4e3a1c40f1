"""Order: its life from intent to end. The state machine is one table, :data:`TRANSITIONS`.

Events: ``OrderPlaced``, ``OrderDenied``, ``OrderAdopted`` make one; then ``OrderAccepted``, ``OrderRejected``,
``OrderFilled``, ``OrderCancelRequested``, ``OrderCanceled``, ``OrderCancelRejected``, ``OrderExpired``,
``OrderAmendRequested``, ``OrderAmended``, ``OrderAmendRejected``, ``OrderRestated``, ``TradeBusted``, ``OrderInDoubt``,
``OrderDoubtResolved``, ``OrderReleased``.

What stands in the table is the *base* state: what the venue did. What we asked for and have no answer to (a cancel, an
amend) lies over it, by FIX's precedence: pending cancel, then pending replace, then the base state. So a failed cancel
restores the state before by taking the overlay away, whatever came in between.

An amend makes another venue order, under the next revision, or, where the venue amends *in place*, changes the one there
is. Then its answer is told by terms: a :class:`~oms.messages.reports.Restated` with those asked for.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.money import ZERO, share
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.codes import Code, Refused
from oms.messages.enums import CancelReason, OrderStatus, OrderType, Side, TimeInForce
from oms.messages.instructions import venue_client_id

PENDING_NEW = OrderStatus.PENDING_NEW
NEW = OrderStatus.NEW
PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED
FILLED = OrderStatus.FILLED
CANCELED = OrderStatus.CANCELED
REJECTED = OrderStatus.REJECTED
EXPIRED = OrderStatus.EXPIRED
DENIED = OrderStatus.DENIED

BY_QUANTITY: Final = "by quantity"
"""The fill decides: FILLED when nothing is left, else PARTIALLY_FILLED. Never from what a report claims."""
BY_QUANTITY_OR_STAY: Final = "by quantity or stay"
"""A late fill of an ended order: FILLED when nothing is left, else it stays ended."""
BY_QUANTITY_OR_END: Final = "by quantity or end"
"""A trade taken back from a filled order: FILLED while nothing is left, else CANCELED. What has ended does not work again."""

# fmt: off
TRANSITIONS: Final[dict[OrderStatus, dict[type, OrderStatus | str]]] = {
    # The intent is durable; the venue has not answered. A fill or an end may overtake the acknowledgement.
    PENDING_NEW:      {e.OrderAccepted: NEW, e.OrderRejected: REJECTED, e.OrderFilled: BY_QUANTITY,
                       e.OrderCanceled: CANCELED, e.OrderExpired: EXPIRED, e.OrderRestated: BY_QUANTITY},
    # Working. A venue may still reject it (a stop order when it triggers).
    NEW:              {e.OrderAccepted: NEW, e.OrderRejected: REJECTED, e.OrderFilled: BY_QUANTITY,
                       e.OrderCanceled: CANCELED, e.OrderExpired: EXPIRED, e.OrderAmended: BY_QUANTITY,
                       e.OrderRestated: BY_QUANTITY},
    PARTIALLY_FILLED: {e.OrderAccepted: PARTIALLY_FILLED, e.OrderFilled: BY_QUANTITY,
                       e.OrderCanceled: CANCELED, e.OrderExpired: EXPIRED, e.OrderAmended: BY_QUANTITY,
                       e.OrderRestated: BY_QUANTITY, e.TradeBusted: BY_QUANTITY},
    # Ended, but a trade is a fact in any state. More than was ordered shows as cumulative above quantity. An amend
    # that was under way when the order ended may still have made a new venue order: then it lives again. Filled is told
    # from the quantity, so that a quantity made higher at the venue shows that it was not.
    FILLED:           {e.OrderFilled: FILLED, e.OrderAmended: BY_QUANTITY, e.OrderRestated: BY_QUANTITY,
                       e.TradeBusted: BY_QUANTITY_OR_END},
    CANCELED:         {e.OrderFilled: BY_QUANTITY_OR_STAY, e.OrderAmended: BY_QUANTITY, e.TradeBusted: CANCELED},
    EXPIRED:          {e.OrderFilled: BY_QUANTITY_OR_STAY, e.OrderAmended: BY_QUANTITY, e.TradeBusted: EXPIRED},
    # We were wrong to believe it rejected when the venue shows it working or trades it: it lives again.
    REJECTED:         {e.OrderAccepted: NEW, e.OrderFilled: BY_QUANTITY, e.OrderCanceled: CANCELED,
                       e.OrderExpired: EXPIRED},
    # Never sent: nothing the venue says can be about it but a trade under its id, which is applied all the same.
    DENIED:           {e.OrderFilled: BY_QUANTITY_OR_STAY, e.TradeBusted: DENIED},
}
# fmt: on

ADOPTED: Final = "external"
"""Strategy of orders and trades that were found at the venue."""

EventKind = type[Any]


@attrs.define(slots=True)
class PendingAmend:
    """An amend that the venue has not answered. ``reserve_price``: what a unit would reserve with it; None: by the price."""

    quantity: Decimal
    price: Decimal | None
    revision: int
    reserve_price: Decimal | None = None


@attrs.define(slots=True)
class Order:
    """One order. ``cumulative`` and ``cost`` come from trades alone.

    Args:
        base: what the venue did with it; see :data:`TRANSITIONS`.
        cumulative: filled quantity. ``cost``: sum of quantity × price of the trades.
        revision: names the venue order that stands for it; each amend that makes a new one has the next.
        terms_at: the venue's time of the last change of quantity and price, UTC ns; 0 before the first.
        last_revision: the highest ever asked for. A failed amend's is not used again: its answer may come late or twice.
        reserve_asset, reserve_price: a unit of leaves reserves that much of that asset.
        reserved: what it holds locked in the account now.
        in_doubt: the outcome of a request is unknown; it is looked up until it is known.
        refused_at: when the venue last did not cancel it though it was asked to, UTC ns; 0 for never.
        awaits: orders that have to be gone before it is sent. While there are any it is *held*: the venue knows nothing of it.
    """

    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: TimeInForce
    expires_at: int | None
    post_only: bool
    reduce_only: bool
    strategy: str
    client_order_id: str
    base: OrderStatus
    placed_at: int
    reserve_asset: str
    reserve_price: Decimal
    updated_at: int = 0
    cumulative: Decimal = ZERO
    cost: Decimal = ZERO
    revision: int = 0
    last_revision: int = 0
    venue_order_id: str = ""
    cancel_requested: CancelReason | None = None
    amend: PendingAmend | None = None
    in_doubt: bool = False
    reserved: Decimal = ZERO
    reducing: Decimal = ZERO
    reason: str = ""
    terms_at: int = 0
    awaits: tuple[str, ...] = ()
    refused_at: int = 0

    # -- read

    @property
    def status(self) -> OrderStatus:
        """What a trader sees, by FIX's precedence of what applies."""
        if self.cancel_requested is not None:
            return OrderStatus.PENDING_CANCEL
        if self.amend is not None:
            return OrderStatus.PENDING_REPLACE
        return self.base

    @property
    def client_id(self) -> str:
        """The client order id that stands for it at the venue: ours, or for an adopted order the one found there."""
        if self.revision == 0 and self.strategy == ADOPTED:
            return self.client_order_id
        return venue_client_id(self.order_id, self.revision)

    @property
    def amending_in_place(self) -> bool:
        """Whether an amend is under way that changes the venue order itself."""
        return self.amend is not None and self.amend.revision == self.revision

    @property
    def pending_client_id(self) -> str | None:
        """The client order id of the venue order that the amend under way makes, or changes; None for no amend."""
        if self.amend is None:
            return None
        return (
            self.client_id if self.amending_in_place else venue_client_id(self.order_id, self.amend.revision)
        )

    @property
    def working(self) -> bool:
        """Whether it may still trade, as far as the venue has told."""
        base = self.base
        return base is NEW or base is PENDING_NEW or base is PARTIALLY_FILLED

    @property
    def waiting(self) -> bool:
        """Whether the venue owes an answer: to the order itself, to a cancel or to an amend."""
        if self.base is PENDING_NEW and not self.awaits:
            return True
        return self.cancel_requested is not None or self.amend is not None

    @property
    def may_trade(self) -> bool:
        """Whether it may trade at the venue, now or by what was asked for."""
        return self.amend is not None or self.working

    @property
    def live(self) -> bool:
        """Whether anything about it is still open: working, asked for, or in doubt."""
        return self.working or self.waiting or self.in_doubt

    @property
    def leaves(self) -> Decimal:
        """What may still trade: nothing once ended."""
        if self.working and self.quantity > self.cumulative:
            return self.quantity - self.cumulative
        return ZERO

    @property
    def exposed(self) -> Decimal:
        """The quantity that may trade yet, as far as anybody can tell: asked for and in doubt count as what is more."""
        if self.working or self.in_doubt:
            rest = self.quantity - self.cumulative
            if rest < 0:
                rest = ZERO
        else:
            rest = ZERO
        amend = self.amend
        if amend is not None and amend.quantity - self.cumulative > rest:
            return amend.quantity - self.cumulative
        return rest

    @property
    def required(self) -> Decimal:
        """What it has to hold locked: the dearer of its terms and of those asked for, even if it has ended meanwhile."""
        held = self.leaves * self.reserve_price
        if self.amend is None:
            return held
        unit = self.amend.reserve_price
        if unit is None:
            unit = self.unit_at(self.amend.price)
        asked = (self.amend.quantity - self.cumulative) * unit
        return max(held, asked)

    def unit_at(self, price: Decimal | None) -> Decimal:
        """What a unit reserves once the order has another price, when nothing else about it changes."""
        if price is None:
            return self.reserve_price
        if self.market == "spot":
            return price if self.side is Side.BUY else self.reserve_price
        return self.reserve_price if self.price is None else share(self.reserve_price, price, self.price)

    @property
    def closes(self) -> bool:
        """Whether it can only bring a position nearer to zero: because it says so, or because it reserves nothing for more."""
        return self.reduce_only or (self.market != "spot" and not self.reserve_price)

    @property
    def reduces(self) -> Decimal:
        """What an order that only closes, or is asked to become one, may still take off the position."""
        closes, amend = self.closes, self.amend
        held = self.leaves if closes else ZERO
        if amend is None or not (closes or amend.reserve_price == ZERO):
            return held
        return max(held, amend.quantity - self.cumulative)

    # -- decide

    def decide_cancel(self, reason: CancelReason) -> list[e.Event]:
        """Ask for a cancel; an order that is held was never sent, and ends at once. No control ever stands in its way.

        Raises:
            Refused: ORDER_FINISHED, ORDER_PENDING when one is under way.
        """
        if not self.working:
            raise Refused(Code.ORDER_FINISHED, f"order {self.order_id} is {self.status}")
        if self.cancel_requested is not None:
            raise Refused(Code.ORDER_PENDING, f"order {self.order_id} is {self.status}")
        if self.awaits:
            end = e.OrderExpired if reason is CancelReason.EXPIRED else e.OrderCanceled
            return [end(order_id=self.order_id, reason=f"never sent: {reason}", venue_time=0)]
        return [e.OrderCancelRequested(order_id=self.order_id, reason=reason)]

    def decide_amend(
        self, quantity: Decimal | None, price: Decimal | None, in_place: bool = False
    ) -> e.OrderAmendRequested:
        """Ask for other terms; the amounts are already as the instrument writes them.

        Args:
            in_place: the venue changes the order itself, so that the amend has the revision that stands.

        Raises:
            Refused: ORDER_FINISHED, ORDER_PENDING, AMEND_BELOW_FILLED, AMEND_NO_CHANGE.
        """
        if not self.working:
            raise Refused(Code.ORDER_FINISHED, f"order {self.order_id} is {self.status}")
        if (
            self.base is PENDING_NEW
            or self.cancel_requested is not None
            or self.amend is not None
            or self.in_doubt
        ):
            doubt = " and in doubt" if self.in_doubt else ""
            raise Refused(Code.ORDER_PENDING, f"order {self.order_id} is {self.status}{doubt}")
        quantity = self.quantity if quantity is None else quantity
        if quantity <= self.cumulative:
            raise Refused(
                Code.AMEND_BELOW_FILLED,
                f"quantity must be above the {self.cumulative:f} that is filled, was {quantity:f}",
            )
        if self.price is None and price is not None:
            raise Refused(Code.AMEND_NO_CHANGE, f"a {self.type} order has no price to amend")
        price = self.price if price is None else price
        if quantity == self.quantity and price == self.price:
            raise Refused(Code.AMEND_NO_CHANGE, f"order {self.order_id} already has these terms")
        revision = self.revision if in_place else self.last_revision + 1
        return e.OrderAmendRequested(
            order_id=self.order_id, quantity=quantity, price=price, revision=revision
        )

    def decide_report(self, report: r.Report) -> Iterable[e.Event]:
        """What a report changes; nothing when it tells what is known or is older than what is known."""
        return _DECIDE[type(report)](self, report)

    def allows(self, event: EventKind) -> bool:
        """Whether the table has a next state for this event now."""
        return event in TRANSITIONS[self.base]

    # -- evolve

    def evolve(self, event: Any, at: int) -> None:
        """Apply one event of this order's. The caller moves what it reserves."""
        self.updated_at = at
        _EVOLVE[type(event)](self, event)

    def _next(self, event: EventKind) -> None:
        target = TRANSITIONS[self.base].get(event)
        if target is None:
            raise AssertionError(f"{event.__name__} cannot happen to {self.order_id}, which is {self.base}")
        # What is told of an order that was held shows that it is at the venue, or has ended.
        self.awaits = ()
        if not isinstance(target, OrderStatus):
            if self.cumulative >= self.quantity:
                target = FILLED
            elif target is BY_QUANTITY:
                target = PARTIALLY_FILLED if self.cumulative else NEW
            elif target is BY_QUANTITY_OR_END:
                target = CANCELED
            else:
                target = self.base
        self.base = target

    def _end(self, event: e.OrderCanceled | e.OrderExpired) -> None:
        self._next(type(event))
        self.cancel_requested = None
        self.in_doubt = event.missing_fills
        self.reason = event.reason


# -- decide: one function a report. A report of an older revision is about a venue order that an amend replaced.


def _replaces(order: Order, revision: int) -> bool:
    """Whether a revision is that of the venue order which the amend under way makes."""
    return order.amend is not None and order.amend.revision == revision and not order.amending_in_place


def _accepted(order: Order, report: r.Accepted) -> Iterable[e.Event]:
    if _replaces(order, report.revision):
        return _amended(
            order,
            r.Amended(
                order_id=order.order_id,
                venue_order_id=report.venue_order_id,
                venue_time=report.venue_time,
                revision=report.revision,
            ),
        )
    # Of a venue order that was replaced, or of one that has ended since: it settles no doubt.
    if report.revision < order.revision or not order.allows(e.OrderAccepted):
        return ()
    if order.base in (NEW, PARTIALLY_FILLED) and order.venue_order_id:
        return _resolved(order)
    return [
        e.OrderAccepted(
            order_id=order.order_id, venue_order_id=report.venue_order_id, venue_time=report.venue_time
        )
    ]


def _resolved(order: Order) -> Iterable[e.Event]:
    return [e.OrderDoubtResolved(order_id=order.order_id)] if order.in_doubt else ()


def _rejected(order: Order, report: r.Rejected) -> Iterable[e.Event]:
    if _replaces(order, report.revision):
        # The order that was to replace it is refused; what became of this one is told under its own revision.
        return _not_amended(order, report.reason, report.venue_time)
    if order.cumulative or report.revision < order.revision or not order.allows(e.OrderRejected):
        return ()
    return [e.OrderRejected(order_id=order.order_id, reason=report.reason, venue_time=report.venue_time)]


def _ended(order: Order, report: r.Canceled | r.Expired, event: EventKind) -> Iterable[e.Event]:
    if report.revision < order.revision:
        return ()
    missing = report.cumulative is not None and report.cumulative > order.cumulative
    amend = order.amend
    # An amend ends one venue order and makes another. Unless this is about that other one, or answers a look-up, the
    # amend's own answer is still to come.
    answered = amend is None or order.in_doubt or report.revision >= amend.revision
    if not order.allows(event):
        if missing:
            return _doubted(order, "trades are missing")
        # A cancel or amend of an order that ended otherwise is answered by that end.
        return _withdraw(order, report.reason, report.venue_time) if answered else ()
    if order.cancel_requested is CancelReason.EXPIRED:
        event = e.OrderExpired
    end = event(
        order_id=order.order_id, reason=report.reason, venue_time=report.venue_time, missing_fills=missing
    )
    return [*_amend_failed(order, report.reason, report.venue_time), end] if answered else [end]


def _amend_failed(order: Order, reason: str, venue_time: int) -> list[e.Event]:
    if order.amend is None:
        return []
    return [e.OrderAmendRejected(order_id=order.order_id, reason=reason, venue_time=venue_time)]


def _not_amended(order: Order, reason: str, venue_time: int) -> list[e.Event]:
    """The venue's refusal of an amend settles what was unknown of it, and nothing of an order that has ended short of trades."""
    found = _amend_failed(order, reason, venue_time)
    if found and order.in_doubt and not order.working:
        found.append(e.OrderInDoubt(order_id=order.order_id, reason="trades may be missing"))
    return found


def _doubted(order: Order, reason: str) -> Iterable[e.Event]:
    return () if order.in_doubt else [e.OrderInDoubt(order_id=order.order_id, reason=reason)]


def _canceled(order: Order, report: r.Canceled) -> Iterable[e.Event]:
    return _ended(order, report, e.OrderCanceled)


def _expired(order: Order, report: r.Expired) -> Iterable[e.Event]:
    return _ended(order, report, e.OrderExpired)


def _withdraw(order: Order, reason: str, venue_time: int) -> list[e.Event]:
    """Take away what was asked of an order that has ended: no answer to it will come any more."""
    if order.working:
        return []
    found: list[e.Event] = []
    if order.cancel_requested is not None:
        found.append(e.OrderCancelRejected(order_id=order.order_id, reason=reason, venue_time=venue_time))
    found += _amend_failed(order, reason, venue_time)
    if order.in_doubt:
        found.append(e.OrderDoubtResolved(order_id=order.order_id))
    return found


def _cancel_rejected(order: Order, report: r.CancelRejected) -> Iterable[e.Event]:
    if order.cancel_requested is None:
        return ()
    return [
        e.OrderCancelRejected(order_id=order.order_id, reason=report.reason, venue_time=report.venue_time)
    ]


def _amended(order: Order, report: r.Amended) -> Iterable[e.Event]:
    if order.amend is None and 0 < report.revision == order.revision and order.working:
        # Told before, by another way: the order stands, which is what a doubt that came between asks.
        return _resolved(order)
    # In place, a revision does not tell one amend from the next: told twice, this would answer one that is not answered.
    if order.amend is None or not _replaces(order, report.revision):
        return ()
    return [_taken(order, order.amend, report.venue_order_id, report.venue_time)]


def _taken(order: Order, pending: PendingAmend, venue_order_id: str, venue_time: int) -> e.OrderAmended:
    return e.OrderAmended(
        order_id=order.order_id,
        quantity=pending.quantity,
        price=pending.price,
        revision=pending.revision,
        venue_order_id=venue_order_id,
        venue_time=venue_time,
    )


def _restated(order: Order, report: r.Restated) -> Iterable[e.Event]:
    """Terms answer an amend in place, or are news; what is older than the terms known is neither."""
    if report.revision != order.revision or report.venue_time < order.terms_at:
        return ()
    # A market order has no price of ours, whatever the venue writes there; a limit order does not lose its own.
    price = order.price if order.price is None or report.price is None else report.price
    terms, pending = (report.quantity, price), order.amend
    if pending is not None and order.amending_in_place and terms == (pending.quantity, pending.price):
        return [_taken(order, pending, order.venue_order_id, report.venue_time)]
    told_before = terms == (order.quantity, order.price) or 0 < order.terms_at == report.venue_time
    if told_before or not order.allows(e.OrderRestated):
        return ()
    return [
        e.OrderRestated(
            order_id=order.order_id,
            quantity=report.quantity,
            price=price,
            reason=report.reason,
            venue_time=report.venue_time,
        )
    ]


def _amend_rejected(order: Order, report: r.AmendRejected) -> Iterable[e.Event]:
    if order.amend is not None and report.revision not in (None, order.amend.revision):
        return ()
    return _not_amended(order, report.reason, report.venue_time)


def _in_doubt(order: Order, report: r.InDoubt) -> Iterable[e.Event]:
    if order.in_doubt or not order.live:
        return ()
    return [e.OrderInDoubt(order_id=order.order_id, reason=report.reason)]


def _absent(order: Order, report: r.Absent) -> Iterable[e.Event]:
    """Not at the venue, and never will be: what never traded was rejected, what traded was ended there."""
    # Of course not, when it is held.
    if report.revision < order.revision or order.awaits:
        return ()
    if order.base is PENDING_NEW and not order.cumulative:
        return [e.OrderRejected(order_id=order.order_id, reason=report.reason)]
    if order.working:
        return [
            *_amend_failed(order, report.reason, 0),
            e.OrderCanceled(order_id=order.order_id, reason=report.reason, venue_time=0),
        ]
    return _withdraw(order, report.reason, 0)


def _finished(order: Order, report: r.Finished) -> Iterable[e.Event]:
    """The venue says filled. Our trades have to say so too; until then the order is in doubt and its trades are asked for."""
    if order.cumulative < report.cumulative:
        return _doubted(order, "trades are missing")
    return _withdraw(order, "filled", report.venue_time) or _resolved(order)


_DECIDE: Final[dict[type, Callable[[Order, Any], Iterable[e.Event]]]] = {
    r.Accepted: _accepted,
    r.Rejected: _rejected,
    r.Canceled: _canceled,
    r.Expired: _expired,
    r.CancelRejected: _cancel_rejected,
    r.Amended: _amended,
    r.AmendRejected: _amend_rejected,
    r.InDoubt: _in_doubt,
    r.Absent: _absent,
    r.Finished: _finished,
    r.Restated: _restated,
}

# -- evolve: one function an event.


def make(
    event: e.OrderPlaced | e.OrderDenied | e.OrderAdopted,
    at: int,
    base: OrderStatus,
    reserve_asset: str,
    reserve_price: Decimal,
) -> Order:
    """A new order from the event that made it."""
    return Order(
        event.order_id,
        event.exchange,
        event.account,
        event.market,
        event.symbol,
        event.side,
        event.type,
        event.quantity,
        event.price,
        event.trigger_price,
        event.time_in_force,
        event.expires_at,
        event.post_only,
        event.reduce_only,
        event.strategy,
        event.client_order_id,
        base,
        at,
        reserve_asset,
        reserve_price,
        at,
    )


def _on_accepted(order: Order, event: e.OrderAccepted) -> None:
    order._next(e.OrderAccepted)
    order.venue_order_id = event.venue_order_id
    order.in_doubt = False
    if order.cumulative and order.base is NEW:
        order.base = PARTIALLY_FILLED


def _on_rejected(order: Order, event: e.OrderRejected) -> None:
    order._next(e.OrderRejected)
    order.cancel_requested = None
    order.amend = None
    order.in_doubt = False
    order.reason = event.reason


def _on_filled(order: Order, event: e.OrderFilled) -> None:
    was_rejected = order.base is REJECTED
    order.cumulative += event.quantity
    order.cost += event.quantity * event.price
    order._next(e.OrderFilled)
    # A trade of an order believed rejected: it lives at the venue, and only a look-up can tell how.
    if was_rejected and order.base is not FILLED:
        order.in_doubt = True


def _on_cancel_requested(order: Order, event: e.OrderCancelRequested) -> None:
    order.cancel_requested = event.reason


def _on_canceled(order: Order, event: e.OrderCanceled) -> None:
    order._end(event)


def _on_expired(order: Order, event: e.OrderExpired) -> None:
    order._end(event)


def _on_cancel_rejected(order: Order, event: e.OrderCancelRejected) -> None:
    order.cancel_requested = None
    order.refused_at = order.updated_at
    order.in_doubt = False


def _on_amend_requested(order: Order, event: e.OrderAmendRequested) -> None:
    order.amend = PendingAmend(event.quantity, event.price, event.revision, event.reserve_price)
    order.last_revision = max(order.last_revision, event.revision)


def _on_amended(order: Order, event: e.OrderAmended) -> None:
    amend = order.amend
    unit = None if amend is None else amend.reserve_price
    order.reserve_price = order.unit_at(event.price) if unit is None else unit
    order.quantity = event.quantity
    order.price = event.price
    order.revision = event.revision
    order.venue_order_id = event.venue_order_id
    order.terms_at = event.venue_time
    order.amend = None
    order.in_doubt = False
    order._next(e.OrderAmended)


def _on_restated(order: Order, event: e.OrderRestated) -> None:
    order.reserve_price = order.unit_at(event.price)
    order.quantity = event.quantity
    order.price = event.price
    order.terms_at = event.venue_time
    order.reason = event.reason or order.reason
    order._next(e.OrderRestated)


def _on_busted(order: Order, event: e.TradeBusted) -> None:
    was = order.base
    order.cumulative -= event.quantity
    order.cost -= event.quantity * event.price
    order._next(e.TradeBusted)
    if order.base is not was and order.base is CANCELED:
        order.reason = f"trade {event.trade_id} was taken back"


def _on_amend_rejected(order: Order, event: e.OrderAmendRejected) -> None:
    order.amend = None
    order.in_doubt = False


def _on_in_doubt(order: Order, event: e.OrderInDoubt) -> None:
    order.in_doubt = True
    # Of one that was held: it may have been sent after all, and is not sent again.
    order.awaits = ()
    order.reason = event.reason


def _on_doubt_resolved(order: Order, event: e.OrderDoubtResolved) -> None:
    order.in_doubt = False


def _on_released(order: Order, event: e.OrderReleased) -> None:
    order.awaits = ()


_EVOLVE: Final[dict[type, Any]] = {
    e.OrderAccepted: _on_accepted,
    e.OrderRejected: _on_rejected,
    e.OrderFilled: _on_filled,
    e.OrderCancelRequested: _on_cancel_requested,
    e.OrderCanceled: _on_canceled,
    e.OrderExpired: _on_expired,
    e.OrderCancelRejected: _on_cancel_rejected,
    e.OrderAmendRequested: _on_amend_requested,
    e.OrderAmended: _on_amended,
    e.OrderAmendRejected: _on_amend_rejected,
    e.OrderRestated: _on_restated,
    e.TradeBusted: _on_busted,
    e.OrderInDoubt: _on_in_doubt,
    e.OrderDoubtResolved: _on_doubt_resolved,
    e.OrderReleased: _on_released,
}
