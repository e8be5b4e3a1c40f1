"""What a connector tells the engine about an order, in the venue's order. Every one is idempotent.

``order_id`` is the engine's own id (the venue's client order id without its revision); ``revision`` counts the venue
orders that stood for it: 0 at first, one more after each amend.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from oms.messages.enums import OrderType, Side, TimeInForce

Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Reason = Annotated[str, msgspec.Meta(max_length=512)]


class _Report(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="report",
):
    order_id: Name


class Accepted(_Report, frozen=True, kw_only=True, tag="accepted"):
    """The order works at the venue: an acknowledgement, or what a look-up found."""

    venue_order_id: Name
    venue_time: Time
    revision: int = 0


class Rejected(_Report, frozen=True, kw_only=True, tag="rejected"):
    """The venue refused the order with a code of its own, or it was never sent."""

    reason: Reason
    venue_time: Time
    revision: int = 0


class Filled(_Report, frozen=True, kw_only=True, tag="filled"):
    """One trade. Applied once by (exchange, account, market, symbol, trade id, side), in any state of its order."""

    symbol: Name
    side: Side
    trade_id: Name
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: Annotated[str, msgspec.Meta(max_length=32)]
    maker: bool
    venue_time: Time


class Canceled(_Report, frozen=True, kw_only=True, tag="canceled"):
    """The order is no more: as asked, or unasked. ``cumulative`` is what the venue says is filled, if it says it."""

    reason: Reason
    venue_time: Time
    revision: int = 0
    cumulative: Decimal | None = None


class Expired(_Report, frozen=True, kw_only=True, tag="expired"):
    """The venue ended the order by its time in force (IOC, FOK and self-trade remainders too)."""

    reason: Reason
    venue_time: Time
    revision: int = 0
    cumulative: Decimal | None = None


class CancelRejected(_Report, frozen=True, kw_only=True, tag="cancel_rejected"):
    """The venue did not cancel; the order is what it was before."""

    reason: Reason
    venue_time: Time


class Amended(_Report, frozen=True, kw_only=True, tag="amended"):
    """The order works with its new quantity and price, as venue order ``venue_order_id``."""

    venue_order_id: Name
    venue_time: Time
    revision: int


class AmendRejected(_Report, frozen=True, kw_only=True, tag="amend_rejected"):
    """The venue did not amend; the order is what it was before.

    ``revision`` is the one that the amend would have made; without it, the amend under way is meant.
    """

    reason: Reason
    venue_time: Time
    revision: int | None = None


class InDoubt(_Report, frozen=True, kw_only=True, tag="in_doubt"):
    """A request was sent and its outcome is unknown. The connector looks the order up; it never sends it again."""

    reason: Reason


class Absent(_Report, frozen=True, kw_only=True, tag="absent"):
    """The venue does not know the order and, after grace, never will: no order, no trade under its client id."""

    reason: Reason
    revision: int = 0


class Finished(_Report, frozen=True, kw_only=True, tag="finished"):
    """A look-up found the order filled at the venue. Its trades are reported apart; this one asks that they be there."""

    cumulative: Decimal
    venue_time: Time


class Found(_Report, frozen=True, kw_only=True, tag="found"):
    """An order at the venue that the journal does not know: ``order_id`` is the client order id seen there."""

    venue_order_id: Name
    symbol: Name
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    venue_time: Time = 0


Report = (
    Accepted
    | Rejected
    | Filled
    | Canceled
    | Expired
    | CancelRejected
    | Amended
    | AmendRejected
    | InDoubt
    | Absent
    | Finished
    | Found
)
