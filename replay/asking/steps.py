"""Steps: the commits in which something was said of an order, each with what it changed and what followed from it.

Made while history moves over them, because what a commit means depends on the state before it: the controls of a place,
the instruction that follows from an event, what a trade realised.
"""

import copy
import decimal
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates import order as orders
from oms.aggregates.account import AccountKey
from oms.aggregates.money import EXACT, ZERO, is_amount
from oms.aggregates.order import Order
from oms.handlers.instruct import instruction_for, resumed_cancels
from oms.handlers.target import full_target
from oms.journal.reader import StoredFrame
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.base import ClientCommand, Command
from oms.messages.codec import COMMANDS, INTERNAL_VERBS, decode_command
from oms.messages.codes import Refused
from oms.messages.enums import OrderStatus
from oms.messages.frames import Commit
from oms.messages.instructions import Instruction
from oms.messages.subjects import parse_subject
from replay.asking.controls import Explained, explain_place
from replay.history import EventId, History

CLIENT: Final = "client"
CONNECTOR: Final = "connector"
ENGINE: Final = "engine"

MADE: Final = (e.OrderPlaced, e.OrderDenied, e.OrderAdopted)
"""Events that an order begins with."""
_SESSIONS: Final = (e.SessionOpened, e.SessionClosed)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction that followed, and the session it was for; empty when none served the account, and nothing was sent."""

    session: str
    instruction: Instruction

    @property
    def name(self) -> str:
        """What is asked: ``submit``, ``cancel``, ``amend`` or ``look_up``."""
        return str(self.instruction.__struct_config__.tag)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said of the order, and what came of it.

    Args:
        report: the very text that the connector wrote; None for what a client, the engine or a session's change said.
        events: none when it told nothing new.
        realised: by each ``OrderFilled`` and ``TradeBusted`` of ``events``, before fees, in ``settle``.
        status, filled, in_doubt: of the order after it.
    """

    report: str | None = None
    events: list[e.Event] = []
    sent: list[Sent] = []
    realised: list[Decimal] = []
    settle: str = ""
    status: OrderStatus | None = None
    filled: Decimal = ZERO
    in_doubt: bool = False


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What only the state before a place, denial or adoption knows.

    Args:
        account_kind, engine, version: who asked, and which engine decided.
        session: that served the account then; empty for none.
        controls: how it was decided; None with ``why`` when they cannot be told, and for what was adopted.
    """

    account_kind: str
    engine: str
    version: str
    session: str
    controls: Explained | None
    why: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as far as it concerns one order.

    Args:
        at: UTC ns. ``commit``: its index in the frame. ``digest``: SHA-256 of the frame.
        by: CLIENT, CONNECTOR or ENGINE.
        command: the very text that came; None for a connector's, whose reports stand in ``parts``.
        session: the connector's.
    """

    at: int
    sequence: int
    commit: int
    digest: str
    by: str
    subject: str
    parts: list[Part]
    command_id: str = ""
    fingerprint: str = ""
    command: str | None = None
    session: str = ""
    made: Made | None = None

    @property
    def verb(self) -> str:
        """Of the command."""
        return self.subject.partition(".")[0]


class _RawReports(msgspec.Struct):
    session: str
    reports: list[msgspec.Raw]


_raw_reports = msgspec.json.Decoder(_RawReports).decode


@attrs.define(slots=True)
class _Happened:
    """One event of one order, as seen right after it was applied."""

    event: Any
    sent: list[Sent]
    realised: Decimal | None
    settle: str
    status: OrderStatus
    filled: Decimal
    in_doubt: bool


class Steps:
    """Collects the steps of some orders. The history given must have its read models, for what trades realised.

    Args:
        order_ids: whose.
    """

    def __init__(self, order_ids: Collection[str]) -> None:
        self.of: dict[str, list[Step]] = {order_id: [] for order_id in order_ids}
        self.orders: dict[str, Order] = {}
        self._keys: dict[str, AccountKey] = {}
        self._happened: dict[str, list[_Happened]] = {}

    @property
    def live(self) -> bool:
        """Whether any order that was seen may still change without a trade."""
        return any(order.live for order in self.orders.values())

    def apply(self, history: History, stored: StoredFrame) -> None:
        """Move the history over its next frame.

        Raises:
            JournalBroken: SEAL or CLOCK.
        """
        history.begin(stored)
        with decimal.localcontext(EXACT):
            for index, commit in enumerate(stored.frame.commits):
                concerned = self._concerned(history, commit)
                if not concerned:
                    history.step(stored.sequence, index, commit)
                    continue
                self._commit(history, stored, index, commit, concerned)
        history.end(stored)

    def _concerned(self, history: History, commit: Commit) -> list[str]:
        """The orders of ours that a commit speaks of, in the order of its events."""
        found: dict[str, None] = {}
        for event in commit.events:
            if isinstance(event, _SESSIONS):
                key = (event.exchange, event.account, event.market)
                for order_id, theirs in self._keys.items():
                    order = history.partition.orders.get(order_id)
                    if theirs == key and order is not None and order.live:
                        found[order_id] = None
            elif (named := getattr(event, "order_id", "")) in self.of:
                found[named] = None
        return list(found)

    def _commit(
        self, history: History, stored: StoredFrame, index: int, commit: Commit, concerned: list[str]
    ) -> None:
        state = history.partition
        made = {
            event.order_id: _made(history, commit, event)
            for event in commit.events
            if isinstance(event, MADE) and event.order_id in self.of
        }
        before = {
            order_id: copy.copy(order)
            for order_id in concerned
            if (order := state.orders.get(order_id)) is not None
        }
        self._happened = {order_id: [] for order_id in concerned}

        def watch(event: Any, at: int, place: EventId) -> None:
            self._see(history, event, at)

        history.step(stored.sequence, index, commit, watch)
        verb = commit.subject.partition(".")[0]
        by = by_whom(verb)
        for order_id in concerned:
            parts = [_part(None, self._happened[order_id])]
            session = ""
            if verb == "report":
                session, parts = _by_report(
                    commit, order_id, before.get(order_id), self._happened[order_id], self.orders
                )
            self.of[order_id].append(
                Step(
                    at=commit.at,
                    sequence=stored.sequence,
                    commit=index,
                    digest=stored.digest,
                    by=by,
                    subject=commit.subject,
                    parts=parts,
                    command_id=commit.command_id,
                    fingerprint=commit.fingerprint,
                    command=None if verb == "report" else bytes(commit.command).decode(),
                    session=session,
                    made=made.get(order_id),
                )
            )

    def _see(self, history: History, event: Any, at: int) -> None:
        state = history.partition
        if isinstance(event, _SESSIONS):
            resumed = (
                resumed_cancels(state, event) if isinstance(event, e.SessionOpened) and event.ready else []
            )
            for ours, happened in self._happened.items():
                sent = [_sent(history, key, cancel) for key, cancel in resumed if _order_id(cancel) == ours]
                happened.append(self._after(ours, event, sent))
            return
        order_id: str = getattr(event, "order_id", "")
        if order_id not in self._happened:
            return
        self._follow(history, event, at)
        followed = instruction_for(state, event, at)
        sent = [] if followed is None else [_sent(history, *followed)]
        after = self._after(order_id, event, sent)
        if isinstance(event, e.OrderFilled | e.TradeBusted):
            assert history.projections is not None, "what a trade realised is in the read models"
            trades = history.projections.trades
            after.realised = trades.by_number[trades.last].realised
            after.settle = state.instruments[event.exchange, event.market, event.symbol].settle
        self._happened[order_id].append(after)

    def _follow(self, history: History, event: Any, at: int) -> None:
        """Keep the order: the state's own while it is there, afterwards as trades that come late change it."""
        order_id = event.order_id
        held = history.partition.orders.get(order_id)
        if held is not None:
            self.orders[order_id] = held
            self._keys[order_id] = (held.exchange, held.account, held.market)
        elif isinstance(event, e.OrderDenied):
            self.orders[order_id] = orders.make(event, at, OrderStatus.DENIED, "", ZERO)
            self.orders[order_id].reason = f"{event.code}: {event.message}"
        elif order_id in self.orders:
            self.orders[order_id].evolve(event, at)

    def _after(self, order_id: str, event: Any, sent: list[Sent]) -> _Happened:
        order = self.orders.get(order_id)
        if order is None:
            # Trades under an id that was never an order's here.
            return _Happened(event, sent, None, "", OrderStatus.FILLED, event.quantity, False)
        return _stands(order, event, sent)


def by_whom(verb: str) -> str:
    """Who asks with a verb: CLIENT, CONNECTOR or ENGINE."""
    if verb in INTERNAL_VERBS:
        return ENGINE
    return CLIENT if issubclass(COMMANDS.get(verb, Command), ClientCommand) else CONNECTOR


def _sent(history: History, key: AccountKey, instruction: Instruction) -> Sent:
    return Sent(session=history.partition.ledgers[key].session, instruction=instruction)


def _order_id(thing: Any) -> str:
    """Whose an instruction or a report is; empty for one that is about no order."""
    return str(getattr(thing, "order_id", ""))


def _made(history: History, commit: Commit, event: e.OrderPlaced | e.OrderDenied | e.OrderAdopted) -> Made:
    state = history.partition
    ledger = state.ledgers.get((event.exchange, event.account, event.market))
    controls: Explained | None = None
    why = ""
    if isinstance(event, e.OrderAdopted):
        why = "found at the venue: it never passed our controls"
    else:
        try:
            subject = parse_subject(commit.subject)
            command = decode_command(subject.action, bytes(commit.command))
            assert history.projections is not None, "who said a limit is in the read models"
            statements = history.projections.statements
            controls = explain_place(state, statements, full_target(subject, command), command, commit.at)
        except Refused as refused:
            why = f"today's code does not take the command: {refused}"
    return Made(
        account_kind="" if (account := state.accounts.get(event.account)) is None else account.kind,
        engine=state.engine,
        version=state.version,
        session="" if ledger is None else ledger.session,
        controls=controls,
        why=why,
    )


def _part(report: str | None, happened: list[_Happened], last: _Happened | None = None) -> Part:
    """``last`` tells how the order stood when nothing happened."""
    after = happened[-1] if happened else last
    return Part(
        report=report,
        events=[each.event for each in happened],
        sent=[sent for each in happened for sent in each.sent],
        realised=[each.realised for each in happened if each.realised is not None],
        settle=next((each.settle for each in happened if each.settle), ""),
        status=None if after is None else after.status,
        filled=ZERO if after is None else after.filled,
        in_doubt=False if after is None else after.in_doubt,
    )


def _by_report(
    commit: Commit,
    order_id: str,
    before: Order | None,
    happened: list[_Happened],
    known: dict[str, Order],
) -> tuple[str, list[Part]]:
    """The session, and each report that named the order with the events that the same rules make of it again."""
    raw = _raw_reports(commit.command)
    command = decode_command("report", bytes(commit.command))
    order = known.get(order_id)
    names = (
        {order_id, order.client_order_id}
        if order is not None and order.strategy == orders.ADOPTED
        else {order_id}
    )
    left = list(happened)
    parts: list[Part] = []
    last = None if before is None else _stands(before)
    for written, report in zip(raw.reports, command.reports, strict=True):
        if _order_id(report) not in names:
            continue
        count = _count(report, before, left)
        taken, left = left[:count], left[count:]
        if before is not None:
            for each in taken:
                before.evolve(each.event, commit.at)
        elif taken and isinstance(report, r.Found) and order is not None:
            before = orders.make(
                taken[0].event, commit.at, OrderStatus.NEW, order.reserve_asset, order.reserve_price
            )
        parts.append(_part(bytes(written).decode(), taken, last))
        last = taken[-1] if taken else last
    if left:
        parts.append(_part(None, left))
    return command.session, parts


def _stands(order: Order, event: Any = None, sent: Sequence[Sent] = ()) -> _Happened:
    return _Happened(event, list(sent), None, "", order.status, order.cumulative, order.in_doubt)


def _count(report: r.Report, order: Order | None, left: list[_Happened]) -> int:
    """How many of the events that are left a report caused."""
    if not left:
        return 0
    event = left[0].event
    if isinstance(report, r.Filled):
        return int(isinstance(event, e.OrderFilled) and event.trade_id == report.trade_id)
    if isinstance(report, r.Busted):
        return int(isinstance(event, e.TradeBusted) and event.trade_id == report.trade_id)
    if isinstance(report, r.Found):
        return int(isinstance(event, e.OrderAdopted))
    amounts = [getattr(report, name, None) for name in ("cumulative", "quantity", "price")]
    if order is None or not all(amount is None or is_amount(amount) for amount in amounts):
        return 0
    return len(list(order.decide_report(report)))
