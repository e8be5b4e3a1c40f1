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
from oms.handlers import (
    accounts,
    beginning,
    change,
    guard,
    kill,
    limits,
    place,
    reconciling,
    risk_check,
    terms,
    transfer,
    venue,
)
from oms.handlers.instruct import Addressed, instruction_for, resumed_cancels
from oms.handlers.internal import (
    decide_accept_loss,
    decide_declare_key,
    decide_doubt,
    decide_expire,
    decide_seal,
    decide_start,
)
from oms.handlers.self_trade import decide_free, decide_give_up
from oms.handlers.target import check_account, full_target
from oms.messages import codec
from oms.messages import commands as c
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages.base import ClientCommand, Command
from oms.messages.codes import Code, Refused
from oms.messages.events import Event, SessionOpened
from oms.messages.frames import Commit
from oms.messages.replies import Done, Failed, LivePage, RefusedReport, failed
from oms.messages.subjects import Subject, parse_subject


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
    # What stands around it is lost when the commit is read again, which has to be byte for byte the one that was written.
    raw = raw.strip(b" \t\r\n")
    try:
        parts = parse_subject(subject)
        command: Any = codec.decode_command(parts.action, raw)
        if isinstance(command, ClientCommand):
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
    command: ClientCommand,
    raw: bytes,
    now: int,
    sequence: int,
) -> Outcome:
    fingerprint = codec.fingerprint(subject, command)
    window = state.windows.get(parts.account)
    known = None if window is None else window.get(command.command_id)
    if known is not None:
        # Before anything else: whoever closed an account and asks again hears that it is done, not that it is closed.
        return Outcome(_repeat(command, known, fingerprint), None, [])
    if not isinstance(command, c.RegisterAccount | k.ScopedCommand | k.SetValuation):
        # What is about a scope says so itself, and has nobody's account in its subject.
        check_account(state, parts.account, closed=isinstance(command, c.CancelOrder | c.CancelAll))
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


def _repeat(command: ClientCommand, known: Remembered, fingerprint: str) -> Done | Failed:
    if known.fingerprint != fingerprint:
        raise Refused(
            Code.COMMAND_ID_REUSED, f"command_id {command.command_id!r} was used before with another payload"
        )
    return reply(command.command_id, known, duplicate=True)


def _apply(state: Partition, events: list[Event], now: int, instructions: list[Addressed]) -> None:
    """Evolve the state by events, and by what follows of them: orders that have nothing left to wait for."""
    free = state.holds.free
    done = 0
    while done < len(events) or free:
        if done == len(events):
            events.append(decide_free(state, state.orders[next(iter(free))], now))
        event = events[done]
        done += 1
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
        return change.decide_amend(state, parts, command, now)
    if kind is c.CancelAll:
        return change.decide_cancel_all(state, parts, command)
    if kind is c.SetTerms:
        return terms.decide_set_terms(state, full_target(parts, command), command, now)
    if kind is c.RequestReconciliation:
        return reconciling.decide_request(state, parts, command)
    if kind is d.CancelOnDisconnect:
        return guard.decide_cancel_on_disconnect(state, parts, command)
    return _OF_THE_DESK[kind](state, parts, command, now)


_OF_THE_DESK: Final[dict[type, Any]] = {
    c.RegisterAccount: accounts.decide_register,
    d.RenameAccount: accounts.decide_rename,
    d.DisableAccount: accounts.decide_disable,
    d.EnableAccount: accounts.decide_enable,
    d.CloseAccount: accounts.decide_close,
    d.AssignStrategy: accounts.decide_assign,
    d.TransferFunds: transfer.decide_transfer,
    k.SetLimits: limits.decide_set_limits,
    k.OverrideLimits: limits.decide_override,
    k.EndOverride: limits.decide_end_override,
    k.SetValuation: limits.decide_set_valuation,
    k.Kill: kill.decide_kill,
    k.Release: kill.decide_release,
}


def _statement(
    state: Partition, parts: Subject, subject: str, command: Command, raw: bytes, now: int, sequence: int
) -> Outcome:
    if isinstance(command, c.ListLive):
        return Outcome(venue.list_live(state, parts, command, sequence), None, [])
    refused: list[RefusedReport] = []
    decided: Iterable[list[Event]]
    if isinstance(command, c.SubmitReports):
        decided = venue.decide_reports(state, parts, command, refused)
    elif isinstance(command, c.ReportPositions):
        decided = (reconciling.decide_positions(state, parts, command, refused),)
    elif isinstance(command, c.ReportMarks):
        decided = (venue.decide_marks(state, parts, command, now),)
    elif isinstance(command, k.CheckRisk):
        decided = (risk_check.decide_check_risk(state, now, command.since),)
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
    c.ReportBalances: venue.decide_balances,
    c.ReportReconciliation: reconciling.decide_reconciliation,
    c.DoubtOrders: decide_doubt,
    c.ExpireOrders: decide_expire,
    c.ReleaseOrders: decide_give_up,
    c.StartEngine: decide_start,
    c.SealState: decide_seal,
    c.DeclareKey: decide_declare_key,
    c.AcceptLoss: decide_accept_loss,
    k.BeginControls: beginning.decide_begin_controls,
    d.DropClient: guard.decide_drop_client,
    d.ReportTransfer: transfer.decide_report_transfer,
    d.DoubtTransfers: transfer.decide_doubt_transfers,
}
