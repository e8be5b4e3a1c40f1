"""What clients, operators and connectors ask for. Imperative; decoded strictly; never stored as anything but themselves.

The tag (``place.1``) is the command's version. It is optional on the wire: the subject's verb says which command it is.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from oms.messages.base import ClientCommand, Command, Label, Nanoseconds, Reference, Text, Token
from oms.messages.enums import AccountKind, MarginMode, OrderType, Side, TimeInForce
from oms.messages.reports import Report
from oms.messages.venues import Capabilities


class Placed(ClientCommand, frozen=True, kw_only=True):
    """A command whose exchange, market and symbol may stand in the payload when the subject has ``_`` there."""

    exchange: str | None = None
    market: str | None = None
    symbol: str | None = None


class PlaceOrder(Placed, frozen=True, kw_only=True, tag="place.1"):
    """Place one order.

    Args:
        side, type, time_in_force: see :mod:`oms.messages.enums`.
        quantity: in base units (contracts on futures), a multiple of the instrument's step.
        price: quote per base, for ``limit`` and ``stop_limit`` only.
        trigger_price: for ``stop_limit`` and ``stop_market`` only.
        expires_at: UTC nanoseconds, with GTD only.
        post_only: rest or be refused by the venue; ``limit`` with GTC or GTD only.
        reduce_only: may only bring the position nearer to zero.
        strategy: whose order it is; P&L is kept by it.
        client_order_id: the client's own reference, echoed, never interpreted.
    """

    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: Nanoseconds | None = None
    post_only: bool = False
    reduce_only: bool = False
    strategy: Label = ""
    client_order_id: Reference = ""


class AmendOrder(Placed, frozen=True, kw_only=True, tag="amend.1"):
    """Change the total quantity (what is filled included) or the price of a working order."""

    order_id: Token
    quantity: Decimal | None = None
    price: Decimal | None = None


class CancelOrder(Placed, frozen=True, kw_only=True, tag="cancel.1"):
    """Cancel what is left of an order."""

    order_id: Token


class CancelAll(Placed, frozen=True, kw_only=True, tag="cancel_all.1"):
    """Cancel every live order of the account that the subject covers; ``_`` there means any."""


class RegisterAccount(ClientCommand, frozen=True, kw_only=True, tag="register_account.1"):
    """Make an account known. The subject names it; asking again with the same kind changes nothing."""

    kind: AccountKind


class SetTerms(Placed, frozen=True, kw_only=True, tag="set_terms.1"):
    """Set leverage, margin mode or both of a futures symbol. The answer says that it was asked; the venue's is an event."""

    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None


class RequestReconciliation(ClientCommand, frozen=True, kw_only=True, tag="reconcile.1"):
    """Hold an account on one market against the venue now. The subject names exchange, account and market."""


class InstrumentSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An instrument as the venue lists it. Units: price in quote per base, quantity in base or contracts.

    ``ticks``, where the tick depends on the price, is a table of (lowest price, tick), ascending from price 0; ``tick`` is
    then the finest of them.
    """

    symbol: Token
    base: Token
    quote: Token
    settle: Token
    tick: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal = Decimal(0)
    max_notional: Decimal | None = None
    contract_size: Decimal = Decimal(1)
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    trading: bool = True
    ticks: Annotated[tuple[tuple[Decimal, Decimal], ...], msgspec.Meta(max_length=64)] = ()


class DeclareVenue(Command, frozen=True, kw_only=True, tag="declare_venue.1"):
    """Tell what the venue can do, from its connector, before it lists instruments. The subject names exchange and market."""

    capabilities: Capabilities


class ListInstruments(Command, frozen=True, kw_only=True, tag="list_instruments.1"):
    """Tell what the venue trades, from its connector. The subject names exchange and market; at most 500 at once."""

    instruments: Annotated[list[InstrumentSpec], msgspec.Meta(min_length=1, max_length=500)]


class OpenSession(Command, frozen=True, kw_only=True, tag="open_session.1"):
    """A connector takes over an account on a market.

    First with ``ready`` false: reports are taken from this session alone from then on, and nothing new is placed, so
    that it can reconcile. Then with ``ready`` true: it takes instructions.
    """

    session: Token
    ready: bool


class CloseSession(Command, frozen=True, kw_only=True, tag="close_session.1"):
    """The session's connection is lost or ended: no instruction is sent to it any more."""

    session: Token
    reason: Text


class SubmitReports(Command, frozen=True, kw_only=True, tag="report.1"):
    """What the venue said, in order, from the account's session. The subject names exchange, account and market.

    Each report stands alone: one that is refused does not undo the others. Reports are idempotent by what they say
    (trade ids, the order's state), so that a connector may repeat them after any failure.
    """

    session: Token
    reports: Annotated[list[Report], msgspec.Meta(min_length=1, max_length=1000)]


class ReportBalances(Command, frozen=True, kw_only=True, tag="report_balances.1"):
    """Total balances by asset, taken while nothing moved. Differences are adopted as ``BalanceAdjusted``.

    Args:
        as_of: ``transfers_done`` of a :class:`~oms.messages.replies.LivePage` that was there before the totals were read.
            Assets of the wallet that a later transfer has moved are left as they are; left out, those that any has.
    """

    session: Token
    totals: Annotated[dict[Token, Decimal], msgspec.Meta(max_length=2000)]
    as_of: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class PositionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A position as the venue shows it: signed quantity, prices in quote, margin in the settlement asset."""

    symbol: Token
    quantity: Decimal
    entry_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    margin: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None


class ReportPositions(Command, frozen=True, kw_only=True, tag="report_positions.1"):
    """Every open position of the account on the market, taken while nothing moved; a symbol not named is flat there."""

    session: Token
    positions: Annotated[list[PositionSpec], msgspec.Meta(max_length=2000)]


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that was not as expected at the venue.

    Args:
        kind: ``order``, ``trade``, ``balance`` or ``position``.
        key: order id, trade id, asset or symbol.
        expected, found: what the engine believed and what the venue shows, for a person.
    """

    kind: Annotated[str, msgspec.Meta(pattern="^(order|trade|balance|position)$")]
    key: Annotated[str, msgspec.Meta(max_length=128)]
    expected: Text
    found: Text


class ReportReconciliation(Command, frozen=True, kw_only=True, tag="report_reconciliation.1"):
    """What a reconciliation compared, and every difference. Recorded when there is one, or when it was asked for by name.

    Args:
        request_id: of the :class:`RequestReconciliation`; empty for one of the session's own.
        started_at: UTC ns.
        orders, trades, balances, positions: how many were compared.
        more: differences beyond those listed.
    """

    session: Token
    request_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    started_at: Nanoseconds
    orders: int
    trades: int
    balances: int
    positions: int
    differences: Annotated[list[Difference], msgspec.Meta(max_length=500)]
    more: int = 0


class ReportMarks(Command, frozen=True, kw_only=True, tag="report_marks.1"):
    """Mark prices by symbol, in quote per base. The subject names exchange and market."""

    marks: dict[Token, Decimal]


class ListLive(Command, frozen=True, kw_only=True, tag="list_live.1"):
    """Ask for the live orders of an account on a market, for reconciliation; a page after ``after`` (an order id).

    Args:
        as_of: as in :class:`ReportBalances`; what transfers have moved since is among ``moving`` of the page.
    """

    session: Token
    after: Annotated[str, msgspec.Meta(max_length=32)] = ""
    as_of: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class ReleaseOrders(Command, frozen=True, kw_only=True, tag="release_orders.1"):
    """The engine's own: these orders have waited too long for others of ours to be gone; they are given up, never sent."""

    order_ids: list[str]


class DoubtOrders(Command, frozen=True, kw_only=True, tag="doubt.1"):
    """The engine's own: these orders have waited too long for the venue."""

    order_ids: list[str]
    reason: Text


class ExpireOrders(Command, frozen=True, kw_only=True, tag="expire.1"):
    """The engine's own: these GTD orders are past their time."""

    order_ids: list[str]


class StartEngine(Command, frozen=True, kw_only=True, tag="start.1"):
    """The engine's own: take over as the journal's one writer.

    ``journal_id`` is used when the journal is new.
    """

    instance: str
    version: str
    journal_id: str
    partition: str
    code: str = ""


class SealState(Command, frozen=True, kw_only=True, tag="seal.1"):
    """The engine's own: record the digest of the state."""


class DeclareKey(Command, frozen=True, kw_only=True, tag="declare_key.1"):
    """The engine's own: receipts are signed with this key from here on."""

    key_id: str
    public_key: str


class AcceptLoss(Command, frozen=True, kw_only=True, tag="accept_loss.1"):
    """The engine's own, on behalf of a person: these frames are gone."""

    first: int
    last: int
    head: str
    by: str
    reason: str
