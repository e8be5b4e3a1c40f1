"""Dispatch: the one way from a message to commits, replies and instructions. The engine's shell does the I/O.

A decision is applied to the state as it is made, so that the next one sees it; the shell holds back replies and
instructions until the commit is durable, and throws the state away if it cannot be made so.
"""

import decimal
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from oms.aggregates.money import EXACT
from oms.aggregates.partition import Partition
from oms.aggregates.window import Remembered, reply
from oms.handlers import change, place, reconciling, terms, venue
from oms.handlers.instruct import Addressed, instruction_for, resumed_cancels
from oms.handlers.internal import (
    decide_accept_loss,
    decide_declare_key,
    decide_doubt,
    decide_expire,
    decide_seal,
    decide_start,
)
from oms.handlers.target import check_account, full_target
from oms.messages import codec
from oms.messages import commands as c
from oms.messages.codes import Code, Refused
from oms.messages.enums import AccountKind
from oms.messages.events import AccountRegistered, Event, SessionOpened
from oms.messages.frames import Commit
from oms.messages.replies import Done, Failed, LivePage, RefusedReport, failed
from oms.messages.subjects import Subject, parse_subject

MAX_SUB_ACCOUNTS: Final = 200


class Outcome(NamedTuple):
    """What one command came to. No commit when nothing changed."""

    reply: Done | Failed | LivePage
    commit: Commit | None
    instructions: list[Addressed]


def handle(state: Partition, subject: str, raw: bytes, now: int, sequence: int) -> Outcome:
    """Decide one command, and apply what follows to ``state``.

    Args:
        state: changed in place.
        subject: ``verb.exchange.account.market.symbol``, as it came.
        raw: the bytes of one command.
        now: UTC ns, not before the state's last commit.
        sequence: of the frame that the commits will be in.
    """
    before = decimal.getcontext()
    if before is not EXACT:
        decimal.setcontext(EXACT)
    try:
        parts = parse_subject(subject)
        command: Any = codec.decode_command(parts.action, raw)
        if isinstance(command, c.ClientCommand):
            return _client(state, parts, subject, command, raw, now, sequence)
        return _statement(state, parts, subject, command, raw, now, sequence)
    except Refused as refused:
        return Outcome(failed(codec.command_id_of(raw), refused), None, [])
    finally:
        if before is not EXACT:
            decimal.setcontext(before)


def _client(
    state: Partition,
    parts: Subject,
    subject: str,
    command: c.ClientCommand,
    raw: bytes,
    now: int,
    sequence: int,
) -> Outcome:
    fingerprint = codec.fingerprint(subject, command)
    if not isinstance(command, c.RegisterAccount):
        check_account(state, parts.account)
    window = state.windows.get(parts.account)
    known = None if window is None else window.get(command.command_id)
    if known is not None:
        return Outcome(_repeat(command, known, fingerprint), None, [])
    events = _decide(state, parts, command, now)
    instructions: list[Addressed] = []
    _apply(state, events, now, instructions)
    commit = Commit(
        at=now,
        subject=subject,
        command=msgspec.Raw(raw),
        events=events,
        command_id=command.command_id,
        fingerprint=fingerprint,
    )
    state.finish(commit, sequence)
    found = state.windows[parts.account].entries[command.command_id]
    return Outcome(reply(command.command_id, found, duplicate=False), commit, instructions)


def _repeat(command: c.ClientCommand, known: Remembered, fingerprint: str) -> Done | Failed:
    if known.fingerprint != fingerprint:
        raise Refused(
            Code.COMMAND_ID_REUSED, f"command_id {command.command_id!r} was used before with another payload"
        )
    return reply(command.command_id, known, duplicate=True)


def _apply(state: Partition, events: list[Event], now: int, instructions: list[Addressed]) -> None:
    for event in events:
        state.evolve(event, now)
        instruction = instruction_for(state, event, now)
        if instruction is not None:
            instructions.append(instruction)
        elif type(event) is SessionOpened and event.ready:
            instructions += resumed_cancels(state, event)


def _decide(state: Partition, parts: Subject, command: Any, now: int) -> list[Event]:
    kind = type(command)
    if kind is c.PlaceOrder:
        return place.decide_place(state, full_target(parts, command), command, now)
    if kind is c.CancelOrder:
        return change.decide_cancel(state, parts, command)
    if kind is c.AmendOrder:
        return change.decide_amend(state, parts, command)
    if kind is c.CancelAll:
        return change.decide_cancel_all(state, parts, command)
    if kind is c.SetTerms:
        return terms.decide_set_terms(state, full_target(parts, command), command)
    if kind is c.RequestReconciliation:
        return reconciling.decide_request(state, parts, command)
    return _decide_register(state, parts, command)


def _decide_register(state: Partition, parts: Subject, command: c.RegisterAccount) -> list[Event]:
    if not is_account_name(parts.account):
        raise Refused(
            Code.SUBJECT_INVALID, f"an account is 1 to 32 letters, digits, '_' or '-', was {parts.account!r}"
        )
    known = state.accounts.get(parts.account)
    if known is not None and known is not command.kind:
        raise Refused(Code.ACCOUNT_EXISTS, f"account {parts.account} is registered as {known}")
    if known is None:
        kinds = list(state.accounts.values())
        room = 1 if command.kind is AccountKind.MAIN else MAX_SUB_ACCOUNTS
        if kinds.count(command.kind) >= room:
            raise Refused(Code.ACCOUNT_LIMIT, f"there are {room} {command.kind} accounts already")
    return [AccountRegistered(account=parts.account, kind=command.kind)]


def is_account_name(value: str) -> bool:
    """Whether a subject token may name an account: not the wildcard, and nothing that NATS gives a meaning."""
    return (
        value != "_"
        and len(value) <= 32
        and all(ch.isalnum() or ch in "_-" for ch in value)
        and value.isascii()
    )


def _statement(
    state: Partition, parts: Subject, subject: str, command: c.Command, raw: bytes, now: int, sequence: int
) -> Outcome:
    if isinstance(command, c.ListLive):
        return Outcome(venue.list_live(state, parts, command, sequence), None, [])
    refused: list[RefusedReport] = []
    decided: Iterable[list[Event]]
    if isinstance(command, c.SubmitReports):
        decided = venue.decide_reports(state, parts, command, refused)
    elif isinstance(command, c.ReportPositions):
        decided = (reconciling.decide_positions(state, parts, command, refused),)
    else:
        decided = (_STATEMENTS[type(command)](state, parts, command),)
    events: list[Event] = []
    instructions: list[Addressed] = []
    for some in decided:
        _apply(state, some, now, instructions)
        events += some
    answer = Done(command_id=None, sequence=sequence, count=len(events), refused=refused or msgspec.UNSET)
    if not events:
        return Outcome(answer, None, instructions)
    commit = Commit(at=now, subject=subject, command=msgspec.Raw(raw), events=events)
    state.finish(commit, sequence)
    return Outcome(answer, commit, instructions)


_STATEMENTS: Final[dict[type, Any]] = {
    c.OpenSession: venue.decide_open_session,
    c.CloseSession: venue.decide_close_session,
    c.DeclareVenue: venue.decide_declare_venue,
    c.ListInstruments: venue.decide_list_instruments,
    c.ReportMarks: venue.decide_marks,
    c.ReportBalances: venue.decide_balances,
    c.ReportReconciliation: reconciling.decide_reconciliation,
    c.DoubtOrders: decide_doubt,
    c.ExpireOrders: decide_expire,
    c.StartEngine: decide_start,
    c.SealState: decide_seal,
    c.DeclareKey: decide_declare_key,
    c.AcceptLoss: decide_accept_loss,
}
