"""Answers to commands. To a bulk, an array of them in the same order."""

from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from oms.messages.codes import Code, Refused
from oms.messages.enums import OrderStatus
from oms.messages.instructions import LookUp


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong: a documented code, and for a person what was got."""

    code: Code
    message: str


class RefusedReport(msgspec.Struct, frozen=True):
    """A report, or a position, that was not taken: its place in the list and why."""

    index: int
    error: ErrorBody


class Done(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The command is durable at ``sequence``.

    Args:
        order_id, status: of the order it made or changed, as it was then. ``transfer_id``: of the transfer it made.
        count: orders that a ``cancel_all`` asked to cancel; events that followed from what a connector said.
        left: orders that a ``cancel_all`` covers beyond its bound: ask again, with a new id.
        refused: reports of a ``report``, or positions of a ``report_positions``, that were not taken, each with its place in
            the list.
        duplicate: the command_id was known: this is the answer of the first time, and nothing was changed.
    """

    ok: bool = True
    command_id: str | None
    order_id: str | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    transfer_id: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    left: int | UnsetType = UNSET
    refused: list[RefusedReport] | UnsetType = UNSET
    sequence: int
    duplicate: bool = False


class Failed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The command was not done. ``sequence`` when the refusal is recorded, with the ``order_id`` of an ``OrderDenied``."""

    ok: bool = False
    command_id: str | None
    error: ErrorBody
    order_id: str | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    sequence: int | UnsetType = UNSET
    duplicate: bool = False


def failed(command_id: str | None, refused: Refused) -> Failed:
    """The answer for a refusal that appends nothing."""
    return Failed(command_id=command_id, error=ErrorBody(refused.code, refused.message))


class LivePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of live orders for a connector to reconcile.

    Args:
        orders: what the engine believes of each.
        more: ask again with ``after`` the last order id.
        filled_until: symbol → venue time (ns) of the latest trade applied; no trade before needs asking for.
        forgotten_before: venue time (ns) up to which trade ids are forgotten: what is not after it may have been applied.
        balances, positions: total by asset and signed quantity by symbol, as the engine believes; on the last page.
        moving: assets that transfers are moving, or have moved since ``as_of`` of the command: not to be compared now.
        transfers_done: how many transfers have moved anything so far; what is read at the venue after this is ``as_of`` it.
    """

    ok: bool = True
    orders: list[LookUp]
    more: bool
    filled_until: dict[str, int]
    forgotten_before: int
    balances: dict[str, Decimal]
    positions: dict[str, Decimal]
    moving: list[str] = []
    transfers_done: int = 0
    sequence: int
