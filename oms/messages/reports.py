"""What a connector tells the engine about an order, in the venue's order. Every one is idempotent.

``order_id`` is the engine's own id (the venue's client order id without its revision); ``revision`` counts the venue
orders that stood for it: 0 at first, one more after each amend.
"""

from decimal import Decimal
from typing import Annotated, Final

import msgspec

from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce

Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Reason = Annotated[str, msgspec.Meta(max_length=512)]

UNSENT: Final = "canceled before it was sent"
"""Why an order ended that no venue has seen, or an amend. One that ended because the rest of its amend was not sent was there."""


class _Statement(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="report",
):
    pass


class _Report(_Statement, frozen=True, kw_only=True):
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


class Restated(_Report, frozen=True, kw_only=True, tag="restated"):
    """The working order has these terms at the venue, where orders are amended in place.

    It answers an amend under way when the terms are those asked for; it is news when somebody else changed them (a
    reduction by self-trade prevention, the exchange's own app); it is old when ``venue_time`` is before that of the
    terms known. ``quantity`` is the total, what is filled included.
    """

    quantity: Decimal
    price: Decimal | None
    venue_time: Time
    revision: int = 0
    reason: Reason = ""


class Busted(_Report, frozen=True, kw_only=True, tag="busted"):
    """The venue took back a trade that it had reported; everything is as the trade said. Undone once, if it was applied."""

    symbol: Name
    side: Side
    trade_id: Name
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: Annotated[str, msgspec.Meta(max_length=32)]
    venue_time: Time
    reason: Reason = ""


class Found(_Report, frozen=True, kw_only=True, tag="found"):
    """An order at the venue that the journal does not know: ``order_id`` is the client order id seen there.

    ``reason`` when the venue itself made it: ``liquidation`` or ``adl``.
    """

    venue_order_id: Name
    symbol: Name
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    venue_time: Time = 0
    reason: Reason = ""


class Funding(_Statement, frozen=True, kw_only=True, tag="funding"):
    """A funding payment: ``amount`` is what the account received, negative for what it paid. Applied once by its id."""

    symbol: Name
    funding_id: Name
    amount: Decimal
    asset: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    venue_time: Time


class Terms(_Statement, frozen=True, kw_only=True, tag="terms"):
    """Leverage and margin mode of a symbol, as the venue shows them; None, for one of the two, where it does not show it."""

    symbol: Name
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    venue_time: Time = 0


class TermsRefused(_Statement, frozen=True, kw_only=True, tag="terms_refused"):
    """The venue did not change leverage or margin mode; what stands is what stood before."""

    symbol: Name
    reason: Reason


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
    | Restated
    | Busted
    | Found
    | Funding
    | Terms
    | TermsRefused
)
