"""From what a venue shows to what the engine is told. One place knows whose order a client id is."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from oms.messages import reports as r
from oms.messages.instructions import parse_venue_client_id
from oms.venues.adapter import State, VenueFunding, VenueOrder, VenueTrade

MAX_REMEMBERED: Final = 200_000
"""Client ids remembered by the venue's order ids, for trades that tell only the latter."""

_OURS = re.compile(r"[A-Za-z0-9]{6}[0-9a-f]{10}(R[0-9]+)?").fullmatch
"""What :meth:`oms.aggregates.partition.Partition.order_id` makes, with a revision."""


def is_ours(client_id: str) -> bool:
    """Whether a client id has the form of those that the engine makes."""
    return _OURS(client_id) is not None


def name_of(client_id: str) -> tuple[str, int]:
    """Order id and revision of a client id that no instruction has named. One from elsewhere is its own order id."""
    return parse_venue_client_id(client_id) if is_ours(client_id) else (client_id, 0)


class VenueIds:
    """Which client id a venue order id stands for, of orders seen lately."""

    def __init__(self) -> None:
        self._clients: OrderedDict[tuple[str, str], str] = OrderedDict()

    def see(self, order: VenueOrder) -> None:
        """Remember an order."""
        self._clients[order.symbol, order.venue_order_id] = order.client_id
        if len(self._clients) > MAX_REMEMBERED:
            self._clients.popitem(last=False)

    def client_id(self, trade: VenueTrade) -> str | None:
        """The client id of a trade's order, if it is known."""
        return trade.client_id or self._clients.get((trade.symbol, trade.venue_order_id))


def filled(order_id: str, trade: VenueTrade) -> r.Filled:
    """A trade as a report."""
    return r.Filled(
        order_id=order_id,
        symbol=trade.symbol,
        side=trade.side,
        trade_id=trade.trade_id,
        quantity=trade.quantity,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        maker=trade.maker,
        venue_time=trade.time,
    )


def restated(order_id: str, revision: int, order: VenueOrder) -> r.Restated:
    """The terms that the order has at the venue, where orders are amended in place."""
    return r.Restated(
        order_id=order_id,
        quantity=order.quantity,
        price=order.price,
        venue_time=order.time,
        revision=revision,
        reason=order.reason,
    )


def funded(payment: VenueFunding) -> r.Funding:
    """A funding payment as a report."""
    return r.Funding(
        symbol=payment.symbol,
        funding_id=payment.funding_id,
        amount=payment.amount,
        asset=payment.asset,
        venue_time=payment.time,
    )


def found(order: VenueOrder) -> r.Found:
    """An order that the engine did not make."""
    return r.Found(
        order_id=order.client_id,
        venue_order_id=order.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        time_in_force=order.time_in_force,
        venue_time=order.time,
        reason=order.origin,
    )


def accepted(order_id: str, revision: int, order: VenueOrder) -> r.Accepted:
    """The order stands, or stood, at the venue."""
    return r.Accepted(
        order_id=order_id, venue_order_id=order.venue_order_id, venue_time=order.time, revision=revision
    )


def ended(
    order_id: str, revision: int, before: Decimal | None, order: VenueOrder, reason: str = ""
) -> Iterator[r.Report]:
    """How the order ended, if it did other than by being filled, which its trades tell.

    Args:
        before: filled by earlier revisions; None when that is not known.
    """
    cumulative = None if before is None else before + order.cumulative
    why = reason or order.reason
    if order.state is State.CANCELED:
        yield r.Canceled(
            order_id=order_id, reason=why, venue_time=order.time, revision=revision, cumulative=cumulative
        )
    elif order.state is State.EXPIRED:
        yield r.Expired(
            order_id=order_id, reason=why, venue_time=order.time, revision=revision, cumulative=cumulative
        )
    elif order.state is State.REJECTED:
        yield r.Rejected(order_id=order_id, reason=why, venue_time=order.time, revision=revision)


def answered(order_id: str, revision: int, before: Decimal | None, order: VenueOrder) -> Iterator[r.Report]:
    """Everything that the answer to a new order tells."""
    if order.state is not State.REJECTED:
        yield accepted(order_id, revision, order)
    for trade in order.trades:
        yield filled(order_id, trade)
    yield from ended(order_id, revision, before, order)
