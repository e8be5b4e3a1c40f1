"""What the engine tells a connector, once the intent is durable. At most once: what is not answered is looked up.

Subject ``instruct.{exchange}.{account}.{market}._``, payload one :class:`Instructions`. A connector obeys only those of
its own session, and never submits after ``deadline``.
"""

import re
from decimal import Decimal

import msgspec

from oms.messages.enums import MarginMode, OrderStatus, OrderType, Side, TimeInForce


class _Task(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="instruction"):
    pass


class _Instruction(_Task, frozen=True, kw_only=True):
    """``client_id`` is the client order id that stands, or will stand, for the order at the venue."""

    order_id: str
    client_id: str
    symbol: str


class Submit(_Instruction, frozen=True, kw_only=True, tag="submit"):
    """Send this order once, under ``client_id``, and not after ``deadline`` (UTC ns)."""

    side: Side
    type: OrderType
    quantity: Decimal
    deadline: int
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False


class Cancel(_Instruction, frozen=True, kw_only=True, tag="cancel"):
    """Cancel the venue order ``client_id``."""

    revision: int = 0


class Amend(_Instruction, frozen=True, kw_only=True, tag="amend"):
    """Bring the order, ``client_id`` at the venue, to this total quantity and price, as ``new_client_id``.

    ``quantity_before`` is the total it has now: less what the venue order ``client_id`` was placed for, it is what
    earlier revisions had filled, which no answer of the venue about ``client_id`` tells. Where the venue amends in place,
    ``new_client_id`` is ``client_id``, and ``revision`` the one that stands.
    """

    new_client_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    quantity_before: Decimal
    price: Decimal | None
    revision: int
    deadline: int
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False


class LookUp(_Instruction, frozen=True, kw_only=True, tag="look_up"):
    """Find out what became of the order and report it. What is told here is what the engine believes.

    ``revision`` is the venue order that last stood for it; ``pending_revision`` the one an amend under way would make.
    ``pending_client_id`` is that one's client order id. ``quantity`` and ``pending_quantity`` are the totals of the two.
    ``since`` (UTC ns) is when the order was placed: its trades are not older. ``price`` and ``pending_price`` are the other
    half of the terms, by which an amend in place is told from what stood before.
    """

    side: Side
    status: OrderStatus
    quantity: Decimal
    cumulative: Decimal
    since: int
    revision: int = 0
    pending_revision: int | None = None
    pending_client_id: str | None = None
    pending_quantity: Decimal | None = None
    price: Decimal | None = None
    pending_price: Decimal | None = None


class SetTerms(_Task, frozen=True, kw_only=True, tag="set_terms"):
    """Set leverage, margin mode or both for a symbol. Doing it twice does no harm; the outcome is told by ``Terms``."""

    symbol: str
    deadline: int
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None


class Reconcile(_Task, frozen=True, kw_only=True, tag="reconcile"):
    """Hold everything against the venue now, and report under this id what was found."""

    request_id: str


class Transfer(_Task, frozen=True, kw_only=True, tag="transfer"):
    """Move funds between two accounts of ours once, under ``transfer_id``, and not after ``deadline`` (UTC ns).

    ``source`` and ``target`` are accounts, the wallets as the venues declare them.
    """

    transfer_id: str
    source: str
    source_wallet: str
    target: str
    target_wallet: str
    asset: str
    amount: Decimal
    deadline: int


class LookUpTransfer(_Task, frozen=True, kw_only=True, tag="look_up_transfer"):
    """Find out what became of a transfer, asked for at ``since`` (UTC ns), and report it. Fields as in :class:`Transfer`."""

    transfer_id: str
    source: str
    source_wallet: str
    target: str
    target_wallet: str
    asset: str
    amount: Decimal
    since: int


Instruction = Submit | Cancel | Amend | LookUp | SetTerms | Reconcile | Transfer | LookUpTransfer


class Instructions(msgspec.Struct, frozen=True):
    """Instructions for one session, in order."""

    session: str
    instructions: list[Instruction]


def venue_client_id(order_id: str, revision: int) -> str:
    """The client order id at the venue: at most 32 letters and digits, a new one for each revision."""
    return f"{order_id}R{revision}" if revision else order_id


# Others name their orders as they like, "R1" among them: only the form of our own ids is taken apart.
_OURS = re.compile(r"([0-9A-Za-z]{6}[0-9a-f]{10})R([1-9][0-9]{0,8})").fullmatch


def parse_venue_client_id(client_id: str) -> tuple[str, int]:
    """Undo :func:`venue_client_id`. An id that is not of our making comes back whole, with revision 0."""
    ours = _OURS(client_id)
    return (ours[1], int(ours[2])) if ours is not None else (client_id, 0)
