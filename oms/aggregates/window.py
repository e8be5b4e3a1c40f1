"""Window: the command ids an account has used, and what was answered.

A command sent again is answered from here, so an id must be remembered for as long as its sender may repeat it. The
bound is a number of commands for each account, so that one account's flood never makes another's ids forgotten: at a
venue's usual 10 orders a second, 100,000 ids are the last 2.7 hours. A command repeated later than that is a new one.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.transfer import is_transfer_id
from oms.messages import events as e
from oms.messages.codes import Code
from oms.messages.controls import KillSwitchEngaged
from oms.messages.desk import TransferDenied, TransferRequested
from oms.messages.enums import OrderStatus
from oms.messages.frames import Commit
from oms.messages.replies import Done, ErrorBody, Failed

MAX_REMEMBERED: Final = 100_000
"""Command ids remembered for each account."""


@attrs.define(slots=True)
class Remembered:
    """What was answered to a command, and what the command meant (``fingerprint``).

    ``order_id``: of the order that it made or changed, or of the transfer that it made.
    """

    fingerprint: str
    sequence: int
    order_id: str = ""
    status: OrderStatus | None = None
    count: int | None = None
    left: int | None = None
    code: Code | None = None
    message: str = ""


def outcome(commit: Commit, sequence: int) -> Remembered:
    """What a commit answers to the command that caused it; told by its last event, of a kill by its first."""
    event: Any = commit.events[-1]
    found = Remembered(commit.fingerprint, sequence)
    kind = type(event)
    if type(commit.events[0]) is KillSwitchEngaged:
        # The kill is what was asked for; the cancels follow from it.
        found.count = len(commit.events) - 1
    elif kind is e.OrderPlaced:
        found.order_id, found.status = event.order_id, OrderStatus.PENDING_NEW
    elif kind is e.OrderDenied:
        found.order_id, found.status = event.order_id, OrderStatus.DENIED
        found.code, found.message = event.code, event.message
    elif kind is e.OrderAmendDenied or kind is TransferDenied:
        found.code, found.message = event.code, event.message
    elif kind is e.OrderAmendRequested:
        found.order_id, found.status = event.order_id, OrderStatus.PENDING_REPLACE
    elif kind is e.OrderCancelRequested:
        found.order_id, found.status = event.order_id, OrderStatus.PENDING_CANCEL
    elif kind is e.OrderCanceled:
        found.order_id, found.status = event.order_id, OrderStatus.CANCELED
    elif kind is e.CancelAllRequested:
        found.count, found.left = event.count, event.left
    elif kind is TransferRequested:
        found.order_id = event.transfer_id
    return found


def reply(command_id: str, found: Remembered, duplicate: bool) -> Done | Failed:
    """The answer to a command that is durable."""
    status = found.status or msgspec.UNSET
    order_id: str | msgspec.UnsetType = found.order_id or msgspec.UNSET
    if found.code is not None:
        return Failed(
            command_id=command_id,
            error=ErrorBody(found.code, found.message),
            order_id=order_id,
            status=status,
            sequence=found.sequence,
            duplicate=duplicate,
        )
    transfer_id: str | msgspec.UnsetType = msgspec.UNSET
    if found.order_id and is_transfer_id(found.order_id):
        order_id, transfer_id = msgspec.UNSET, found.order_id
    return Done(
        command_id=command_id,
        order_id=order_id,
        status=status,
        transfer_id=transfer_id,
        count=msgspec.UNSET if found.count is None else found.count,
        left=msgspec.UNSET if found.left is None else found.left,
        sequence=found.sequence,
        duplicate=duplicate,
    )


class Window:
    """The remembered commands of one account, oldest first."""

    __slots__ = ("entries",)

    def __init__(self, entries: Mapping[str, Remembered] | None = None) -> None:
        # Not a dict: that one finds its oldest entry slower with every entry that was taken from its front.
        self.entries: OrderedDict[str, Remembered] = OrderedDict(entries or {})

    def get(self, command_id: str) -> Remembered | None:
        """What was answered to this id, if it is remembered."""
        return self.entries.get(command_id)

    def remember(self, command_id: str, found: Remembered) -> tuple[str, Remembered] | None:
        """Keep an answer; beyond the bound the oldest is forgotten, and returned."""
        self.entries[command_id] = found
        if len(self.entries) > MAX_REMEMBERED:
            return self.entries.popitem(last=False)
        return None
