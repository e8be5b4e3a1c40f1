"""Trace: what a command caused, as a tree. Pure.

A command leads to events, an event to an instruction, an instruction to what the venue said of it, and that to events
again. What a report answers is told from its kind and from what was asked and not yet answered: the venue names an order,
never a request. Later commands about the same order are told beside what they are about; nothing caused them.
"""

from typing import Any, Final

import attrs
import msgspec

from oms.journal.reader import StoredFrame
from oms.messages import events as e
from oms.messages.frames import Commit
from replay.asking import wording
from replay.asking.finding import needle
from replay.asking.steps import CLIENT, Part, Sent, Step

MAX_USES: Final = 100
"""Uses of one command id that are told."""
_SESSIONS: Final = (e.SessionOpened, e.SessionClosed)

COMMAND: Final = "command"
EVENT: Final = "event"
INSTRUCTION: Final = "instruction"
REPORT: Final = "report"
STATEMENT: Final = "statement"
"""What the engine asked of itself, or a session that opened or closed."""


class Node(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that happened.

    Args:
        kind: COMMAND, EVENT, INSTRUCTION, REPORT or STATEMENT. ``name``: its type, such as ``OrderFilled`` or ``submit``.
        text: it in a line.
        at: UTC ns. ``sequence``, ``commit``: the commit it stands in, or that it followed from.
        caused: False for a later command about the same order, which the node above did not cause.
    """

    kind: str
    name: str
    text: str
    at: int
    sequence: int
    commit: int
    order_id: str = ""
    command_id: str = ""
    session: str = ""
    caused: bool = True
    children: list["Node"] = []


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What one use of a command id caused.

    Args:
        command: the very text that came. ``digest``: SHA-256 of its frame.
        orders: that it is about. ``related``: ids of other commands about these orders, in order.
        looked_at: the sequence up to which history was read.
    """

    command_id: str
    account: str
    subject: str
    command: str
    at: int
    sequence: int
    commit: int
    digest: str
    orders: list[str]
    related: list[str]
    tree: Node
    looked_at: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that has a command id."""

    sequence: int
    commit: int
    digest: str
    account: str
    made: Commit

    @property
    def orders(self) -> list[str]:
        """The orders it is about."""
        ids = (getattr(event, "order_id", "") for event in self.made.events)
        return list(dict.fromkeys(filter(None, ids)))


class Uses:
    """Looks for the commits of a command id; an account may use one again once it is forgotten, and so may another account.

    Args:
        account: only this account's; None for any.
    """

    def __init__(self, command_id: str, account: str | None = None) -> None:
        self.command_id = command_id
        self.account = account
        self.found: list[Found] = []
        self._needle = needle(command_id)

    def look(self, stored: StoredFrame) -> bool:
        """Look into one frame; return whether enough was found."""
        if self._needle in stored.payload:
            for index, commit in enumerate(stored.frame.commits):
                account = commit.subject.split(".")[2]
                if commit.command_id == self.command_id and self.account in (None, account):
                    self.found.append(
                        Found(
                            sequence=stored.sequence,
                            commit=index,
                            digest=stored.digest,
                            account=account,
                            made=commit,
                        )
                    )
        return len(self.found) >= MAX_USES


# -- what an event asks, answers and settles

_ASKS: Final[dict[type, str]] = {
    e.OrderPlaced: "submit",
    e.OrderCancelRequested: "cancel",
    e.OrderAmendRequested: "amend",
    e.OrderInDoubt: "look_up",
}
"""Event → what is asked by it, named as the instruction is. ``submit`` is never settled: a trade may always come."""

_ANSWERS: Final[dict[type, tuple[str, ...]]] = {
    e.OrderAccepted: ("look_up", "submit"),
    e.OrderRejected: ("look_up", "submit", "cancel", "amend"),
    e.OrderFilled: ("submit",),
    e.TradeBusted: ("submit",),
    e.OrderRestated: ("submit",),
    e.OrderCanceled: ("cancel", "look_up", "submit"),
    e.OrderExpired: ("cancel", "look_up", "submit"),
    e.OrderCancelRejected: ("cancel",),
    e.OrderAmended: ("amend",),
    e.OrderAmendRejected: ("amend",),
    e.OrderInDoubt: ("cancel", "amend", "submit"),
    e.OrderDoubtResolved: ("look_up",),
    e.OrderReleased: ("submit",),
    e.OrderCancelRequested: ("submit",),
}
"""Event → what it may be caused by; the first of them that is open is taken."""

_SETTLES: Final[dict[type, frozenset[str]]] = {
    e.OrderAccepted: frozenset({"look_up"}),
    e.OrderRejected: frozenset({"look_up", "cancel", "amend"}),
    e.OrderCanceled: frozenset({"look_up", "cancel"}),
    e.OrderExpired: frozenset({"look_up", "cancel"}),
    e.OrderCancelRejected: frozenset({"look_up", "cancel"}),
    e.OrderAmended: frozenset({"look_up", "amend"}),
    e.OrderAmendRejected: frozenset({"look_up", "amend"}),
    e.OrderDoubtResolved: frozenset({"look_up"}),
}
"""Event → what is answered with it for good."""


def settled(found: Found, steps: dict[str, list[Step]]) -> bool:
    """Whether everything that a command asked for is answered, given the steps of its orders so far."""
    asked = {_ASKS[type(event)] for event in found.made.events if type(event) in _ASKS}
    return all(
        any(
            asked & _SETTLES.get(type(event), frozenset())
            for step in _own(found, steps[order_id])[1:]
            for part in step.parts
            for event in part.events
        )
        for order_id in found.orders
    )


def _own(found: Found, steps: list[Step]) -> list[Step]:
    """The command's own step and those after it: its frame may hold earlier ones."""
    return [step for step in steps if (step.sequence, step.commit) >= (found.sequence, found.commit)]


# -- the tree


def trace(found: Found, steps: dict[str, list[Step]], looked_at: int) -> Trace:
    """Make the tree of a command from the steps of its orders from its own frame on."""
    made = found.made
    root = Node(
        kind=COMMAND,
        name=made.subject.partition(".")[0],
        text=wording.command(made.subject.partition(".")[0], bytes(made.command)),
        at=made.at,
        sequence=found.sequence,
        commit=found.commit,
        command_id=made.command_id,
    )
    related: dict[str, None] = {}
    for order_id in found.orders:
        first, *later = _own(found, steps[order_id])
        tree = _Tree(root, order_id)
        for part in first.parts:
            tree.put(root, first, part)
        for step in later:
            tree.add(step)
            if step.command_id:
                related[step.command_id] = None
    # What is about no order, where it stood: a latch before the cancels that it asks for, the end of a cancel of all behind.
    bare = [
        _node(EVENT, event, wording.event(event), found.sequence, found.commit, made.at)
        for event in made.events
        if not getattr(event, "order_id", "")
    ]
    before = next((i for i, event in enumerate(made.events) if getattr(event, "order_id", "")), len(bare))
    root.children = [*bare[:before], *root.children, *bare[before:]]
    return Trace(
        command_id=made.command_id,
        account=found.account,
        subject=made.subject,
        command=bytes(made.command).decode(),
        at=made.at,
        sequence=found.sequence,
        commit=found.commit,
        digest=found.digest,
        orders=found.orders,
        related=list(related),
        tree=root,
        looked_at=looked_at,
    )


def _node(kind: str, what: Any, text: str, sequence: int, commit: int, at: int, order_id: str = "") -> Node:
    name = str(what.__struct_config__.tag).partition(".")[0]
    return Node(kind=kind, name=name, text=text, at=at, sequence=sequence, commit=commit, order_id=order_id)


@attrs.define
class _Tree:
    """Grows one order's part of a command's tree.

    Args:
        open: what was asked and is not answered → its node; None when a command that is not in this tree asked it.
    """

    root: Node
    order_id: str
    open: dict[str, Node | None] = attrs.field(factory=dict)

    def add(self, step: Step) -> None:
        """Put a later step where it belongs; what another command caused is left out unless the whole order is told."""
        if step.by == CLIENT:
            node = self._statement(step)
            node.kind, node.caused = COMMAND, False
            submit = self.open.get("submit")
            if submit is not None:
                submit.children.append(node)
            for part in step.parts:
                self.put(node if submit is not None else None, step, part)
            return
        for part in step.parts:
            parent = self._parent(part)
            node = self._statement(step) if part.report is None else self._report(step, part)
            if parent is not None and (part.sent or _told(part)):
                parent.children.append(node)
            self.put(None if parent is None else node, step, part)

    def put(self, parent: Node | None, step: Step, part: Part) -> None:
        """Put the events of a part, and what was sent for them, below a node; with None only keep track."""
        above = parent
        for event in part.events:
            for name in _SETTLES.get(type(event), ()):
                self.open.pop(name, None)
            node = _node(
                EVENT, event, wording.event(event), step.sequence, step.commit, step.at, self.order_id
            )
            if parent is not None and not isinstance(event, _SESSIONS):
                parent.children.append(node)
                above = node
            asks = _ASKS.get(type(event))
            if asks is not None:
                self.open[asks] = None if parent is None else node
        for sent in part.sent:
            self._send(above, step, sent)

    def _send(self, above: Node | None, step: Step, sent: Sent) -> None:
        if above is None:
            return
        to = "" if sent.session else ", not sent: no session serves the account"
        text = wording.instruction(sent.instruction) + to
        node = _node(INSTRUCTION, sent.instruction, text, step.sequence, step.commit, step.at, self.order_id)
        node.session = sent.session
        above.children.append(node)
        self.open[sent.name] = node

    def _parent(self, part: Part) -> Node | None:
        """What a part answers: the first of its events that tells decides."""
        for event in part.events:
            name = next((name for name in _ANSWERS.get(type(event), ()) if name in self.open), "")
            if (node := self.open.get(name)) is not None:
                return node
        # A session that became ready is sent again what was asked.
        return self.open.get("cancel") if part.sent else None

    def _statement(self, step: Step) -> Node:
        # Reports that named other orders have freed this one.
        text = (
            "about other orders"
            if step.command is None
            else wording.command(step.verb, step.command.encode())
        )
        return Node(
            kind=STATEMENT,
            name=step.verb,
            text=text,
            at=step.at,
            sequence=step.sequence,
            commit=step.commit,
            order_id=self.order_id,
            command_id=step.command_id,
        )

    def _report(self, step: Step, part: Part) -> Node:
        assert part.report is not None, "told by the caller"
        return Node(
            kind=REPORT,
            name=_report_kind(part.report).report,
            text=wording.report(part.report),
            at=step.at,
            sequence=step.sequence,
            commit=step.commit,
            order_id=self.order_id,
            session=step.session,
        )


def _told(part: Part) -> bool:
    return any(not isinstance(event, _SESSIONS) for event in part.events)


class _Kind(msgspec.Struct):
    report: str


_report_kind = msgspec.json.Decoder(_Kind).decode
