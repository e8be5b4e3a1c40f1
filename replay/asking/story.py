"""Story: an order's whole life, from the steps that were collected to what an auditor asks. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.aggregates.money import ONE, ZERO, share
from oms.messages import events as e
from oms.messages.codes import Code
from oms.messages.enums import FINAL_STATUSES, CancelReason, OrderStatus
from replay.asking.steps import Step

PLACED: Final = "placed"
DENIED: Final = "denied"
ADOPTED: Final = "adopted"
STRANGER: Final = "stranger"
"""Trades came under the id, and no order of this journal ever had it."""
EARLIER: Final = "earlier"
"""It was made before the first frame that there is."""

_ORIGINS: Final[dict[type, str]] = {
    e.OrderPlaced: PLACED,
    e.OrderDenied: DENIED,
    e.OrderAdopted: ADOPTED,
}
_REASONED: Final = (e.OrderRejected, e.OrderCanceled, e.OrderExpired, e.OrderInDoubt)


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """The control that refused the order, and what was said of it."""

    code: Code
    meaning: str
    message: str


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A trade. ``late``: the order had ended. ``realised``: in its strategy's book, before fees, settlement asset.

    ``busted``: the venue took the trade back, told before: it counts against the sums, and ``realised`` is what undoing made.
    """

    at: int
    sequence: int
    commit: int
    trade_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    venue_time: int
    realised: Decimal
    late: bool
    busted: bool = False

    @property
    def sign(self) -> int:
        """What it counts for."""
        return -1 if self.busted else 1


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A time between two moments of the order's life, in ns.

    Args:
        ours: between the two commits.
        venue: to the venue's own time of the second; None where it gave none. Its clock is not ours: it may be negative.
    """

    name: str
    sequence: int
    ours: int
    venue: int | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A state that the order passed through."""

    at: int
    sequence: int
    status: OrderStatus
    in_doubt: bool
    filled: Decimal


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """An order's life.

    Args:
        origin: PLACED, DENIED, ADOPTED, STRANGER or EARLIER.
        terms: the event that made it: its place, terms, strategy and references; None for the last two origins.
        quantity, price: as last amended.
        venue_order_ids: each that stood for it, in order.
        denied: why, for a denied one.
        steps: every commit that speaks of it; the first has what was known when it was made.
        average: of the trades' prices, to 18 places; None before the first.
        realised: sum over its trades, in ``settle``. ``fees``: by asset.
        cancel_reason: why we last asked for a cancel, unless the venue refused it; None when we did not.
        looked_at: the sequence up to which history was read.
    """

    order_id: str
    origin: str
    terms: e.OrderPlaced | e.OrderDenied | e.OrderAdopted | None
    status: OrderStatus | None
    in_doubt: bool
    reason: str
    cancel_reason: CancelReason | None
    quantity: Decimal | None
    price: Decimal | None
    filled: Decimal
    average: Decimal | None
    realised: Decimal
    settle: str
    fees: dict[str, Decimal]
    venue_order_ids: list[str]
    denied: Denial | None
    steps: list[Step]
    changes: list[Change]
    fills: list[Fill]
    latencies: list[Latency]
    looked_at: int


def story(order_id: str, steps: list[Step], bounds: tuple[int, int]) -> Story:
    """Tell the life of an order from its steps, at least one. Inside :data:`oms.aggregates.money.EXACT`.

    Args:
        bounds: first and last sequence of the history.
    """
    first = next(_events(steps))[1]
    origin = _ORIGINS.get(type(first), STRANGER if bounds[0] == 1 else EARLIER)
    terms = first if type(first) in _ORIGINS else None
    fills = list(_fills(steps))
    filled = sum((fill.quantity * fill.sign for fill in fills), ZERO)
    cost = sum((fill.quantity * fill.price * fill.sign for fill in fills), ZERO)
    fees: dict[str, Decimal] = {}
    for fill in fills:
        if fill.fee:
            fees[fill.fee_asset] = fees.get(fill.fee_asset, ZERO) + fill.fee * fill.sign
    quantity, price = (None, None) if terms is None else (terms.quantity, terms.price)
    venue_order_ids: dict[str, None] = {}
    reason = ""
    asked: CancelReason | None = None
    for _, event in _events(steps):
        venue_order_ids |= dict.fromkeys(filter(None, [getattr(event, "venue_order_id", "")]))
        if isinstance(event, _REASONED):
            reason = event.reason
        if isinstance(event, e.OrderCancelRequested):
            asked = event.reason
        elif isinstance(event, e.OrderCancelRejected):
            asked = None
        if isinstance(event, e.OrderAmended | e.OrderRestated):
            quantity, price = event.quantity, event.price
    last = steps[-1].parts[-1]
    return Story(
        order_id=order_id,
        origin=origin,
        terms=terms,
        status=None if origin == STRANGER else last.status,
        in_doubt=last.in_doubt,
        reason=reason,
        cancel_reason=asked,
        quantity=quantity,
        price=price,
        filled=filled,
        average=share(cost, ONE, filled) if filled else None,
        realised=sum((fill.realised for fill in fills), ZERO),
        settle=next((part.settle for step in steps for part in step.parts if part.settle), ""),
        fees=fees,
        venue_order_ids=list(venue_order_ids),
        denied=_denial(first),
        steps=steps,
        changes=list(_changes(steps)),
        fills=fills,
        latencies=list(_latencies(steps)),
        looked_at=bounds[1],
    )


def _events(steps: list[Step]) -> Iterator[tuple[Step, Any]]:
    for step in steps:
        for part in step.parts:
            for event in part.events:
                yield step, event


def _denial(event: Any) -> Denial | None:
    if not isinstance(event, e.OrderDenied):
        return None
    return Denial(code=event.code, meaning=event.code.meaning, message=event.message)


def _fills(steps: list[Step]) -> Iterator[Fill]:
    ended = False
    for step in steps:
        for part in step.parts:
            realised = iter(part.realised)
            for event in part.events:
                if isinstance(event, e.OrderFilled | e.TradeBusted):
                    yield Fill(
                        at=step.at,
                        sequence=step.sequence,
                        commit=step.commit,
                        trade_id=event.trade_id,
                        quantity=event.quantity,
                        price=event.price,
                        fee=event.fee,
                        fee_asset=event.fee_asset,
                        maker=event.maker,
                        venue_time=event.venue_time,
                        realised=next(realised),
                        late=ended,
                        busted=isinstance(event, e.TradeBusted),
                    )
            ended = part.status in FINAL_STATUSES


def _changes(steps: list[Step]) -> Iterator[Change]:
    last: tuple[Any, ...] = ()
    for step in steps:
        for part in step.parts:
            if part.status is None or (part.status, part.in_doubt) == last:
                continue
            last = (part.status, part.in_doubt)
            yield Change(
                at=step.at,
                sequence=step.sequence,
                status=part.status,
                in_doubt=part.in_doubt,
                filled=part.filled,
            )


# -- latencies

_ASKS: Final[dict[type, str]] = {
    e.OrderPlaced: "place",
    e.OrderCancelRequested: "cancel",
    e.OrderAmendRequested: "amend",
    e.OrderInDoubt: "doubt",
}
"""Events that something is awaited from."""

_ANSWERS: Final[dict[type, tuple[tuple[str, str], ...]]] = {
    e.OrderAccepted: (("place", "acknowledged"), ("doubt", "resolved")),
    e.OrderRejected: (("place", "rejected"), ("doubt", "resolved")),
    e.OrderCanceled: (("cancel", "canceled"), ("doubt", "resolved")),
    e.OrderExpired: (("cancel", "expired"), ("doubt", "resolved")),
    e.OrderCancelRejected: (("cancel", "refused"), ("doubt", "resolved")),
    e.OrderAmended: (("amend", "amended"), ("doubt", "resolved")),
    e.OrderAmendRejected: (("amend", "refused"), ("doubt", "resolved")),
    e.OrderDoubtResolved: (("doubt", "resolved"),),
}
"""Event → what it answers, and the word for that."""


def _latencies(steps: list[Step]) -> Iterator[Latency]:
    asked: dict[str, int] = {}
    placed = accepted = at_venue = 0
    traded = False
    for step, event in _events(steps):
        kind = type(event)
        venue_time: int = getattr(event, "venue_time", 0)
        for what, word in _ANSWERS.get(kind, ()):
            if (since := asked.pop(what, None)) is not None:
                yield _between(f"{what} → {word}", step, since, venue_time, since)
        if kind is e.OrderFilled and not traded:
            traded = True
            if accepted:
                yield _between("acknowledged → first trade", step, accepted, venue_time, at_venue)
            if placed:
                yield _between("place → first trade", step, placed, venue_time, placed)
        if kind in _ASKS:
            asked[_ASKS[kind]] = step.at
        if kind is e.OrderPlaced:
            placed = step.at
        elif kind is e.OrderAccepted:
            accepted, at_venue = step.at, venue_time
    ended = _ended(steps)
    if placed and ended is not None:
        yield _between("place → end", ended, placed, 0, 0)


def _between(name: str, step: Step, since: int, venue_time: int, venue_since: int) -> Latency:
    venue = venue_time - venue_since if venue_time else None
    return Latency(name=name, sequence=step.sequence, ours=step.at - since, venue=venue)


def _ended(steps: list[Step]) -> Step | None:
    """The step that ended the order for good, whatever trades came afterwards."""
    ended = None
    for step in steps:
        if step.parts[-1].status not in FINAL_STATUSES:
            ended = None
        elif ended is None:
            ended = step
    return ended
