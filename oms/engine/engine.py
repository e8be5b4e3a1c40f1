"""Engine: serves the verbs, makes decisions durable, then replies and instructs. Crash-only: it has one way to start.

While a frame is in flight, what arrives is decided and collects into the next. Nothing is said about a decision before
its frame is durable. When an append fails or its outcome stays unknown, memory may be ahead of the journal: those who
wait are told so, the state is thrown away and rebuilt, and serving starts again. When another writer has appended, the
engine stops for good.
"""

import asyncio
import contextlib
import gc
import logging
import secrets
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import attrs
import nats.errors
from nats import micro
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError
from nats.micro.request import Request
from nats.micro.service import Service

from oms import __version__
from oms.aggregates.account import AccountKey
from oms.aggregates.guard import Guard
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.code import code_digest, is_newer
from oms.config import ConfigError
from oms.engine.batch import Batch, BatchQueue, Seal
from oms.engine.beginning import otherwise
from oms.engine.clock import BEHIND_NS, EngineClock
from oms.engine.facts import RefusedFacts
from oms.engine.intake import ORDERS, SLICE_NS, WAITING_RESERVED, Intake, Numbered, in_order, party_of
from oms.engine.notary import Notary
from oms.engine.watch import Watch
from oms.handlers.dispatch import Outcome, handle
from oms.handlers.instruct import cancels_again
from oms.handlers.risk_check import is_due
from oms.journal.errors import AppendRefused, AppendUnknown, Fenced, JournalBroken, JournalFault
from oms.journal.evidence import Evidence, EvidenceHeld
from oms.journal.loss import JournalLost
from oms.journal.stream import PARTITION, ensure_journal
from oms.journal.writer import JournalWriter
from oms.messages import codec
from oms.messages import commands as c
from oms.messages.alerts import SUBJECT as ALERTS
from oms.messages.base import Command
from oms.messages.codes import Code, Refused
from oms.messages.controls import BeginControls, CheckRisk
from oms.messages.desk import DoubtTransfers, DropClient
from oms.messages.enums import AccountKind
from oms.messages.events import Sealed
from oms.messages.frames import Commit, encode_commit
from oms.messages.instructions import Cancel, Instructions, LookUp
from oms.messages.replies import Done, Failed, failed
from oms.tasks import end
from replay.rebuild import rebuild
from replay.snapshot import Snapshots
from replay.source import FrameArchive, Source

log = logging.getLogger(__name__)

SERVICE: Final = "mexoms-engine"
MAX_WAITING: Final = 50_000
"""Messages that may wait for the journal; beyond it orders are refused with OVERLOADED, and beyond :data:`WAITING_RESERVED` more everything."""
INSTRUCTIONS_PER_MESSAGE: Final = 500
STARTS_MAX: Final = 3
"""How often an engine that is fenced before it serves tries to take over."""
STOP_WITHIN_S: Final = 2.0
"""How long taking leave of nats-server may take; without a server it would wait for one."""
SEAL_COMMITS: Final = 256
"""The state is sealed after so many commits …"""
SEAL_WITHIN_S: Final = 1.0
"""… or when commits have waited for a seal for so long."""
WATCH_INTERVAL_S: Final = 0.25
PING_TIMEOUT_S: Final = 0.5


class _Defect(Exception):
    """Deciding failed: what is in memory may be half changed."""


class EngineRunning(Exception):
    """Another engine serves this journal."""


@attrs.frozen(kw_only=True)
class EngineSettings:
    """What an engine needs to know.

    Args:
        accounts: to be registered at start, as configured.
        controls: limits, valuations and strategies that a new journal begins with.
        snapshots: where to start from; None to rebuild from the journal alone.
        archive: what the journal no longer has; None when nothing was ever trimmed.
        data_dir: where mark, receipts and their key are; None to keep none, and notice no loss.
        give_up_s: how long an append may stay unconfirmed before the state is rebuilt.
    """

    accounts: dict[str, AccountKind]
    controls: BeginControls
    snapshots: Snapshots | None = None
    archive: FrameArchive | None = None
    data_dir: Path | None = None
    give_up_s: float = 10.0


class Engine:
    """One partition's engine on a NATS connection that it does not own.

    Args:
        nc: a connected client that reconnects without end.
        settings: see :class:`EngineSettings`.
    """

    def __init__(self, nc: Client, settings: EngineSettings) -> None:
        self._nc = nc
        self._settings = settings
        self._instance = secrets.token_hex(8)
        self._wake = asyncio.Event()
        self.ready = asyncio.Event()
        self.state = Partition()
        self._writer: JournalWriter
        self._queue: BatchQueue
        self._clock = EngineClock()
        self._arrived: list[Request] = []
        self._arriving = asyncio.Event()
        self._intake = Intake()
        self._come = asyncio.Event()
        self._behind: dict[Guard, Request] = {}
        self._watch: Watch
        self._refused_facts: RefusedFacts
        self._in_flight: list[tuple[str, bytes]] = []
        self._evidence: Evidence | None = None
        self._notary: Notary | None = None
        self._unsealed = 0
        self._sealed_at = 0.0
        self._reconnects = 0
        self._defect = False
        self._closing = False
        self._serving = False

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, rebuilding as often as the journal's server makes it necessary.

        Raises:
            EngineRunning: another engine answers on this journal, or holds this one's data directory.
            Fenced: another engine has taken the journal over.
            JournalBroken: the journal is not whole; JournalLost, when it has lost what was durable.
            ReceiptsFailed: mark or receipts cannot be written.
            KeyRefused: the receipts' key cannot be used.
            ConfigError: an account of the configuration cannot be registered in this journal.
        """
        await self._refuse_second()
        if self._settings.data_dir is None:
            await self._run(stop)
            return
        evidence = Evidence(self._settings.data_dir, __version__, code_digest())
        try:
            evidence.open()
        except EvidenceHeld as error:
            raise EngineRunning(str(error)) from None
        self._evidence = evidence
        try:
            await self._run(stop)
        finally:
            evidence.close()

    async def _run(self, stop: asyncio.Event) -> None:
        fenced = 0
        while not stop.is_set():
            try:
                await self._serve(stop)
            except _Defect:
                log.error("deciding a command failed, see above: rebuilding the state from the journal")
            except (AppendUnknown, AppendRefused) as error:
                log.error("the journal did not take a frame (%s): rebuilding the state from it", error)
            except Fenced as error:
                await self._refuse_loss(error)
                # Before it serves, it may be fenced by a frame of its own that arrived late. Look again, then believe it.
                fenced += 1
                if self._serving or fenced >= STARTS_MAX:
                    raise
                log.warning("%s, before this engine served: reading the journal again", error)
            except (nats.errors.Error, APIError, OSError) as error:
                log.error("nats-server does not answer as needed (%r): trying again", error)
            finally:
                self.ready.clear()
            if self._serving:
                fenced = 0
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)

    async def _refuse_loss(self, fenced: Fenced) -> None:
        """A journal that lost its end takes no frame either, and looks as if somebody else had written it."""
        if self._evidence is None:
            return
        try:
            loss = await self._evidence.compare(self._nc)
        except (nats.errors.Error, APIError, OSError) as error:
            log.error("whether the journal lost its end cannot be told now (%r)", error)
            raise fenced from None
        if loss is not None:
            raise JournalLost(loss) from fenced

    async def _refuse_second(self) -> None:
        with contextlib.suppress(nats.errors.NoRespondersError, nats.errors.TimeoutError):
            answer = await self._nc.request(f"$SRV.PING.{SERVICE}", b"", timeout=PING_TIMEOUT_S)
            raise EngineRunning(f"another engine serves this journal: {answer.data.decode()[:300]}")

    # -- one life: rebuild, take over, serve

    def _tune_collection(self) -> None:
        """Keep the cycle collector from walking the whole state again and again: it holds no cycles.

        What was rebuilt is set aside, young garbage (of asyncio and nats-py) is still collected, full passes are rare.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 1_000_000)

    async def _serve(self, stop: asyncio.Event) -> None:
        started = time.monotonic()
        if self._nc.max_payload < codec.MAX_MESSAGE_BYTES:
            raise JournalBroken(
                JournalFault.SETTINGS,
                0,
                f"nats-server must take messages of {codec.MAX_MESSAGE_BYTES:,} bytes (max_payload), takes {self._nc.max_payload:,}",
            )
        if self._evidence is not None:
            await self._evidence.check_journal(self._nc)
        await ensure_journal(self._nc.jetstream())
        history = await rebuild(self._source(), self._settings.snapshots, projections=False)
        self.state, sequence, head = history.partition, history.sequence, history.head
        self._check_fit(sequence)
        if self._evidence is not None:
            await self._evidence.check_state(self._nc, self.state.signing_key, sequence, head)
        self._tune_collection()
        self._writer = JournalWriter(self._nc, sequence, head, self._settings.give_up_s)
        self._queue = BatchQueue(sequence + 1)
        self._watch = Watch(self.state)
        self._refused_facts = RefusedFacts()
        self._unsealed = 0
        self._sealed_at = time.monotonic()
        self._defect = False
        self._serving = False
        self._closing = False
        if self._evidence is None:
            await self._live(stop, started)
            return
        self._notary = Notary(self._evidence)
        try:
            await self._live(stop, started)
        finally:
            notary, self._notary = self._notary, None
            await notary.close()

    async def _live(self, stop: asyncio.Event, started: float) -> None:
        await self._take_over()
        if self._evidence is not None:
            self._evidence.settle(self._writer.sequence, self._writer.head)
        log.info(
            "engine %s serves from sequence %d after %.2f s",
            self._instance,
            self._writer.sequence,
            time.monotonic() - started,
        )
        subscription = await self._nc.subscribe("heartbeat.*.*.*.*", cb=self._heard)
        service = await self._endpoints()
        self._serving = True
        self.ready.set()
        flushing, watching = asyncio.create_task(self._flush()), asyncio.create_task(self._watching())
        arriving = asyncio.create_task(self._decide_arrived())
        deciding = asyncio.create_task(self._decide_waiting())
        stopping = asyncio.create_task(stop.wait())
        attesting = [] if self._notary is None else [self._notary.working]
        try:
            await asyncio.wait(
                [flushing, watching, arriving, deciding, stopping, *attesting],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self.ready.clear()
            leaving = asyncio.create_task(_quietly(service.stop()))
            await _quietly(subscription.unsubscribe())
            # Not cancelled when it takes longer: a cancelled flush breaks nats-py's connection for good.
            await asyncio.wait([leaving], timeout=STOP_WITHIN_S)
            await end([stopping, watching, arriving, deciding])
            unheard, self._arrived = self._arrived, []
            for request in (*self._intake.clear(), *unheard):
                await _respond(request, _unknown("the engine stops, or rebuilds its state"))
            # No command gets in any more; what is decided is still made durable and answered, or given up.
            if self._unsealed and not self._defect:
                self._seal()
            self._closing = True
            self._wake.set()
            await asyncio.wait([flushing])
        for task in (flushing, watching, arriving, deciding):
            if not task.cancelled() and (error := task.exception()) is not None:
                await self._tell_unknown(error)
                raise error

    def _source(self) -> Source:
        """Journal and archive; without an archive that is damaged, as long as the journal and a snapshot will do."""
        archive = self._settings.archive
        try:
            if archive is not None:
                archive.bounds()
        except JournalBroken as error:
            log.error("the archive is left out of the start: %s", error)
            archive = None
        return Source(self._nc, archive)

    def _check_fit(self, sequence: int) -> None:
        """Refuse to go on with a journal that is ahead of this code or of this host's clock."""
        state = self.state
        if is_newer(state.version, __version__):
            raise JournalBroken(
                JournalFault.NEWER,
                sequence,
                f"version {state.version} has written this journal, this is {__version__}: run that version or a later one",
            )
        behind = state.at - self._clock.now()
        if behind > BEHIND_NS:
            raise JournalBroken(
                JournalFault.CLOCK,
                sequence,
                f"this host's clock is {behind / 1e9:,.1f} s behind the journal's last commit: set it right first",
            )
        self._clock.begin(state.at)

    async def _take_over(self) -> None:
        """Append as the new writer: from here on any engine before is fenced out. Doubt what was left unanswered."""
        self._internal(
            "start._._._._",
            c.StartEngine(
                instance=self._instance,
                version=__version__,
                code=code_digest(),
                journal_id="m" + secrets.token_hex(3)[:5],
                partition=PARTITION,
            ),
        )
        if self._evidence is not None:
            self._declare(self._evidence)
        for account, kind in self._settings.accounts.items():
            if account not in self.state.accounts:
                command_id = f"config-{account}-{self._instance}"
                register = c.RegisterAccount(command_id=command_id, kind=kind)
                reply = self._decide_one(f"register_account._.{account}._._", codec.encode(register)).reply
                if isinstance(reply, Failed):
                    raise ConfigError(f"accounts.{account}", f"{reply.error.code}: {reply.error.message}")
        for difference in otherwise(self.state, self._settings.controls):
            log.warning("%s", difference)
        self._internal("begin_controls._._._._", self._settings.controls)
        self._reconnects = self._nc.stats["reconnects"]
        self._cancel_again()
        for key, order_ids in self._watch.unanswered_by_account():
            self._doubt(key, order_ids, "the engine was restarted before the venue answered")
        if transfer_ids := self._watch.unanswered_transfers():
            self._doubt_transfers(transfer_ids, "the engine was restarted before the venue answered")
        while (batch := self._queue.take()) is not None:
            await self._make_durable(batch)

    def _cancel_again(self) -> None:
        """Repeat every cancel that is asked for, before anything is looked up: what waits at a connector is taken back by it."""
        now = self._clock.now()
        for key, cancel in cancels_again(self.state):
            assert isinstance(cancel, Cancel)
            self._queue.open.instructions.append((key, self.state.ledgers[key].session, cancel))
            # Its answer tells what became of the order.
            self._watch.put_off(cancel.order_id, now)

    def _declare(self, evidence: Evidence) -> None:
        """Record a loss that was accepted, in the frame right behind what is left, and the key of the receipts to come."""
        if (lost := evidence.accepted_event()) is not None:
            self._internal(
                "accept_loss._._._._",
                c.AcceptLoss(
                    first=lost.first, last=lost.last, head=lost.head, by=lost.by, reason=lost.reason
                ),
            )
        key = evidence.key
        if self.state.signing_key != key.public_key:
            log.warning("receipts are signed with key %s from here on", key.key_id)
            self._internal("declare_key._._._._", c.DeclareKey(key_id=key.key_id, public_key=key.public_key))

    async def _endpoints(self) -> Service:
        self._nc.msg_class = Numbered
        service = await micro.add_service(
            self._nc,
            name=SERVICE,
            version=__version__,
            description="Commands in, durable events out. See docs/reference.",
        )
        for verb in codec.COMMANDS:
            if verb not in codec.INTERNAL_VERBS:
                await service.add_endpoint(name=verb, subject=f"{verb}.*.*.*.*", handler=self._on_request)
        # An answer from ourselves means that the server has the endpoints, so that whoever is told "ready" finds them.
        # A flush does not: nats-py's ping overtakes what is still to be written.
        await self._nc.request(f"$SRV.PING.{SERVICE}.{service.id}", timeout=STOP_WITHIN_S)
        return service

    # -- deciding

    async def _on_request(self, request: Request) -> None:
        """Take a message over. Each verb's come over a subscription of their own, and so not in the order in which all came."""
        self._arrived.append(request)
        self._arriving.set()

    async def _decide_arrived(self) -> None:
        """Decide what has arrived, or have it wait in its line."""
        while True:
            # When this goes on, every subscription has handed over what was read with the message that woke it.
            await self._arriving.wait()
            self._arriving.clear()
            arrived, self._arrived = in_order(self._arrived), []
            try:
                while arrived:
                    request = arrived.popleft()
                    refused = await self._take_in(request)
                    if refused is not None:
                        await _respond(request, refused)
            finally:
                self._arrived[:0] = arrived

    async def _take_in(self, request: Request) -> bytes | None:
        """Decide a message, or have it wait; return what is answered at once when neither can be done."""
        party = party_of(request.subject, self.state.accounts)
        most = MAX_WAITING if party is not None and party[1] == ORDERS else MAX_WAITING + WAITING_RESERVED
        if self._queue.waiting >= most:
            refused = Refused(Code.OVERLOADED, f"{self._queue.waiting:,} messages wait for the journal")
            return codec.encode(failed(None, refused))
        if self._defect:
            return _unknown("the engine rebuilds its state")
        try:
            self._clock.check(request.subject)
        except Refused as refused:
            return codec.encode(failed(None, refused))
        if party is None:
            await self._answer(request)
        elif self._intake.at_once(party):
            started = time.perf_counter_ns()
            await self._answer(request)
            if self._intake.spend(party, time.perf_counter_ns() - started):
                asyncio.get_running_loop().call_soon(self._intake.next_turn)
        else:
            try:
                self._intake.put(party, request)
            except Refused as refused:
                return codec.encode(failed(None, refused))
            self._come.set()
        return None

    async def _decide_waiting(self) -> None:
        """Work on what waits, a slice at a time: between two of them messages are read, and others' are decided."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._intake and not self._defect:
                ends = time.perf_counter_ns() + SLICE_NS
                while self._intake and not self._defect and time.perf_counter_ns() < ends:
                    await self._answer(self._intake.take())
                await asyncio.sleep(0)

    async def _answer(self, request: Request) -> None:
        """Decide one message; it is answered once what was decided is durable."""
        try:
            payload = self._decide(request.subject, request.data)
        except Exception as error:
            # The service would answer and go on, with a state that may be half changed. Rebuild it instead.
            log.exception("deciding %r on %s failed", request.data[:2_000], request.subject)
            self._defect = True
            self._wake.set()
            refused = Refused(Code.DEFECT, f"the engine could not decide this command: {error!r}"[:300])
            await _respond(request, codec.encode(failed(codec.command_id_of(request.data), refused)))
            return
        # The reply subject of a request has no public name in nats-py; respond() would publish at once.
        self._queue.add_reply(request._msg.reply, payload)
        self._wake.set()

    def _decide(self, subject: str, data: bytes) -> bytes:
        """Decide one message and return what to answer once it is durable."""
        try:
            parts, bulk = codec.split(data)
            if bulk and subject.partition(".")[0] not in codec.BULK_VERBS:
                raise Refused(Code.INVALID_COMMAND, "this verb takes one command, not an array")
        except Refused as refused:
            log.warning("refused a message on %s: %s", subject, refused)
            return codec.encode(failed(None, refused))
        with exactly():
            answers = []
            for part in parts:
                answers.append(self._decide_one(subject, part).reply)
                if self.state.risk.alarm:
                    # Before what comes next takes the loss back.
                    self._check_risk(self._clock.now())
            if self._unsealed >= SEAL_COMMITS:
                self._seal()
        return codec.encode(answers if bulk else answers[0])

    def _decide_one(self, subject: str, raw: bytes) -> Outcome:
        now = self._clock.now()
        sequence = self._queue.make_room(_commit_bound(subject))
        outcome = handle(self.state, subject, raw, now, sequence)
        if type(outcome.reply) is Done and outcome.reply.refused:
            refused = outcome.reply.refused
            self._queue.open.alerts += self._refused_facts.alerts(subject, raw, refused, sequence, now)
        if outcome.commit is not None:
            self._queue.add_commit(encode_commit(outcome.commit))
            self._unsealed += 1
        for key, instruction in outcome.instructions:
            session = self.state.ledgers[key].session
            # Without a session nobody could obey; the next one reconciles every live order when it takes over.
            if session and (
                not isinstance(instruction, LookUp) or self._watch.may_look_up(instruction.order_id, now)
            ):
                self._queue.open.instructions.append((key, session, instruction))
        return outcome

    def _internal(self, subject: str, command: Command) -> Commit | None:
        try:
            outcome = self._decide_one(subject, codec.encode(command))
            assert outcome.reply.ok, f"{command} was refused: {outcome.reply}"
        except Exception:
            # What is in memory may be half changed: nothing more is decided on it, and above all it is not sealed.
            self._defect = True
            log.exception("deciding %s failed", subject)
            raise
        self._wake.set()
        return outcome.commit

    def _seal(self) -> None:
        """Record the state's digest, so that every replay can be held against it."""
        commit = self._internal("seal._._._._", c.SealState())
        assert commit is not None
        batch, event = self._queue.open, commit.events[0]
        assert isinstance(event, Sealed)
        batch.seal = Seal(len(batch.commits) - 1, event.digest, commit.at)
        self._unsealed = 0
        self._sealed_at = time.monotonic()

    def _check_risk(self, now: int) -> None:
        """Do what is due of days, limits and kill switches."""
        self.state.risk.alarm = False
        since = self._watch.listening_since(now)
        if is_due(self.state, now, since):
            self._internal("check_risk._._._._", CheckRisk(since=since))

    def _doubt(self, key: AccountKey, order_ids: Sequence[str], reason: str) -> None:
        for start in range(0, len(order_ids), 1_000):
            some = list(order_ids[start : start + 1_000])
            self._internal(".".join(("doubt", *key, "_")), c.DoubtOrders(order_ids=some, reason=reason))

    def _doubt_transfers(self, transfer_ids: list[str], reason: str) -> None:
        command = DoubtTransfers(transfer_ids=transfer_ids, reason=reason)
        self._internal("doubt_transfers._._._._", command)

    # -- making durable

    async def _flush(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            # What was decided before a defect is sound; nothing is decided after one.
            while (batch := self._queue.take()) is not None:
                await self._make_durable(batch)
            if self._defect:
                raise _Defect

    async def _make_durable(self, batch: Batch) -> None:
        if batch.commits:
            self._in_flight = batch.replies
            sequence = await self._writer.append(batch.commits)
            assert sequence == batch.sequence, f"frame {batch.sequence} became {sequence}"
            if self._notary is not None:
                await self._notary.durable(sequence, self._writer.head, batch.seal)
            self._in_flight = []
        publish = self._nc.publish
        # Before the replies, and on one connection with them: whoever is answered knows that the connectors are told.
        for (key, session), told in batch.by_session():
            for start in range(0, len(told), INSTRUCTIONS_PER_MESSAGE):
                part = told[start : start + INSTRUCTIONS_PER_MESSAGE]
                await publish(".".join(("instruct", *key, "_")), codec.encode(Instructions(session, part)))
        for subject, payload in batch.replies:
            if subject:
                await publish(subject, payload)
        for alert in batch.alerts:
            await publish(ALERTS, alert)

    async def _tell_unknown(self, error: BaseException) -> None:
        """Tell those who wait that their commands may or may not be durable. Never a false OK."""
        waiting = [*self._in_flight, *self._queue.unsaid()]
        self._in_flight = []
        payload = _unknown(str(error)[:300])
        for subject, _ in waiting:
            if subject:
                await _quietly(self._nc.publish(subject, payload))

    # -- watching

    async def _heard(self, message: Msg) -> None:
        self._watch.heard(message.subject, message.data)

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            if self._defect:
                continue
            now = self._clock.now()
            if (alert := self._clock.alert(self._queue.open.sequence)) is not None:
                await _quietly(self._nc.publish(ALERTS, alert))
            if self._unsealed and time.monotonic() - self._sealed_at >= SEAL_WITHIN_S:
                self._seal()
            for key, session in self._watch.silent_sessions(time.monotonic()):
                self._internal(
                    ".".join(("close_session", *key, "_")),
                    c.CloseSession(session=session, reason="the connector's heartbeat stopped"),
                )
            if (reconnects := self._nc.stats["reconnects"]) != self._reconnects:
                # What was on its way when the connection broke may be lost, of a kill too.
                self._reconnects = reconnects
                self._cancel_again()
                self._wake.set()
            self._check_risk(now)
            self._drop_silent(self._watch.silent_clients(time.monotonic()))
            for key, order_ids in self._watch.overdue(now):
                self._doubt(key, order_ids, "the venue did not answer in time")
            if transfer_ids := self._watch.overdue_transfers(now):
                self._doubt_transfers(transfer_ids, "the venue did not answer in time")
            for key, order_ids in self._watch.held_too_long(now):
                self._internal(".".join(("release_orders", *key, "_")), c.ReleaseOrders(order_ids=order_ids))
            for key, order_ids in self._watch.expired(now):
                self._internal(".".join(("expire", *key, "_")), c.ExpireOrders(order_ids=order_ids))
            again = chain(self._watch.look_ups_again(now), self._watch.transfer_look_ups(now))
            for key, session, instruction in again:
                self._queue.open.instructions.append((key, session, instruction))
                self._wake.set()

    def _drop_silent(self, guards: list[Guard]) -> None:
        """Drop clients behind what waited in their accounts' lines when they were found silent: they may have sent it."""
        before, self._behind = self._behind, {}
        for guard in guards:
            party = (guard.account, ORDERS)
            last = before.get(guard) or self._intake.last(party)
            if last is not None and self._intake.waits(party, last):
                self._behind[guard] = last
            else:
                self._drop(guard)

    def _drop(self, guard: Guard) -> None:
        """Cancel the orders of a client that fell silent. One of more than a commit holds goes on until all are."""
        log.warning(
            "client %s of account %s was silent for %d ms: its orders are canceled",
            guard.client,
            guard.account,
            guard.timeout_ms,
        )
        while self.state.guards.get(guard.key) is guard:
            self._internal(f"drop_client._.{guard.account}._._", DropClient(client=guard.client))


def _commit_bound(subject: str) -> int:
    """What a commit may take in a frame: the command itself, and the events that can come of so long a command."""
    verb = subject.partition(".")[0]
    if verb in codec.LIST_VERBS or verb in ("cancel_all", "kill", "release"):
        return 3 * codec.MAX_LIST_BYTES
    return 4 * codec.MAX_COMMAND_BYTES


def _unknown(message: str) -> bytes:
    return codec.encode(failed(None, Refused(Code.JOURNAL_UNAVAILABLE, message)))


async def _respond(request: Request, payload: bytes) -> None:
    """Answer at once, where somebody waits."""
    if request._msg.reply:
        await _quietly(request.respond(payload))


async def _quietly(awaitable: Any) -> None:
    """Await what may fail because the connection is gone; the failure that led here is the one to report."""
    with contextlib.suppress(nats.errors.Error, OSError):
        await awaitable
