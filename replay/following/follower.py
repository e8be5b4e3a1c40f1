"""Follower: tails the journal with the replay code, and serves what comes of it.

From the newest snapshot on, every frame is checked, applied, and its public events handed to the publisher. Questions
are answered between frames. A snapshot is written on the interval and at a clean stop, and only once the public events
up to its sequence are stored: so whoever starts from it misses none. When the publisher cannot keep up, its bounded
queue holds the tail back: answers stay true at the sequence they name, which falls behind (``lag`` in ``show_status``);
commands are not concerned.

Frames, trades and P&L are written down as they are applied (:mod:`replay.following.keeper`), and what the archive holds is trimmed
from the journal when it is old enough (:mod:`replay.following.trim`). The follower is also the continuous audit: a broken chain, or a
seal that differs from the state it has itself come to, is alerted and ends it with ``JournalBroken``.
"""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, Final

import attrs
from nats.aio.client import Client
from nats.micro.service import Service

from oms.config import CacheConfig, StorageConfig
from oms.encryption import EncryptionError, Keys
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame, tail_frames
from oms.messages.queries import StatusRow
from oms.messages.subjects import Subject
from oms.tasks import end, until_first
from replay.archive import ArchiveBroken
from replay.following.alarm import stop_trading, tell
from replay.following.answers import status
from replay.following.beginning import (
    POLL_S,
    RETRY_S,
    SERVER_AWAY,
    begin,
    wait_for_journal,
    when_there,
    whole,
)
from replay.following.heartbeats import Heartbeats
from replay.following.keeper import Keeper
from replay.following.publisher import Publisher
from replay.following.queries import Queries
from replay.following.risk_alarm import RiskAlarm
from replay.following.session_alarm import SessionAlarm
from replay.following.trim import trim
from replay.history import EventId, History, Watch
from replay.rebuild import new_history
from replay.snapshot import Snapshots, content_of
from replay.source import journal_bounds

log = logging.getLogger(__name__)

MAX_STRETCH_S: Final = 0.02
"""Frames are applied for so long before questions get their turn."""
SNAPSHOT_EVENTS: Final = 100_000
"""A snapshot is written before its time when so many events came since the last one …"""
SNAPSHOT_REST: Final = 50
"""… and so many times as long has passed as writing that one took."""
SNAPSHOT_POLL_S: Final = 0.25
STATUS_TIMEOUT_S: Final = 1.0
TRIM_INTERVAL_S: Final = 3_600.0
STOP_TIMEOUT_S: Final = 5.0
"""How long a clean stop waits for public events to be stored before it goes without a snapshot, and for tasks to end."""


@attrs.frozen(kw_only=True)
class FollowerSettings:
    """What a follower needs to know: where files go and how often, what stays in memory and on NATS, how long.

    Args:
        keys: to encrypt the archive and snapshots with; None for plain files.
        kill: throw the global kill switch when the state differs from a seal (``audit.on_difference``).
    """

    storage: StorageConfig = attrs.field(factory=StorageConfig)
    cache: CacheConfig = attrs.field(factory=CacheConfig)
    keys: Keys | None = None
    kill: bool = False


class Follower:
    """One follower on a NATS connection that it does not own.

    Args:
        nc: a connected client that reconnects without end.
        settings: see :class:`FollowerSettings`.

    ``ready`` is set once it has caught up with the journal and answers questions.
    """

    def __init__(self, nc: Client, settings: FollowerSettings) -> None:
        self._nc = nc
        self._settings = settings
        self._snapshots = Snapshots(settings.storage.data_dir, settings.keys)
        self._snapshot_sequence = 0
        self._snapshot_at = 0
        self.history: History = new_history(settings.cache)
        self.keeper = Keeper(nc, settings.storage.data_dir, settings.keys, self._alert)
        self._trimmed = ""
        self._trim_fault = ""
        self._doubted = False
        self._queries = Queries(self.history, self._status)
        self._publisher = Publisher(nc, settings.storage.retention_days)
        self._heartbeats = Heartbeats()
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until ``stop`` is set, then write a snapshot.

        Raises:
            JournalBroken: a frame is not what it must be, a seal differs, or the archive knows more than the journal.
            SnapshotRefused: the newest snapshot is not of this journal.
        """
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        publishing = asyncio.create_task(self._publisher.run())
        try:
            await asyncio.wait((stopping, working, publishing), return_when=asyncio.FIRST_COMPLETED)
            await end([working], STOP_TIMEOUT_S)
            if stop.is_set() and not publishing.done():
                await self._write_snapshot(within_s=STOP_TIMEOUT_S)
        finally:
            self.ready.clear()
            await end([stopping])
            await end([working], STOP_TIMEOUT_S)
            await asyncio.shield(self.keeper.close())
            await end([publishing], STOP_TIMEOUT_S)
        for task in (working, publishing):
            if not task.cancelled() and (error := task.exception()) is not None:
                if isinstance(error, JournalBroken):
                    await self._sound(error)
                raise error

    async def _work(self) -> None:
        keeper, cache = self.keeper, self._settings.cache
        head = await keeper.open()
        last = await wait_for_journal(self._nc, keeper, head)
        newest = next(self._snapshots.headers(), None)
        stored = 0 if newest is None else newest.sequence
        self.history = await when_there(lambda: begin(self._nc, keeper, self._snapshots, cache))
        self._snapshot_sequence, self._snapshot_at = self.history.sequence, self.history.at
        self._queries = Queries(self.history, self._status)
        models = self.history.projections
        assert models is not None, "a follower has projections"
        await keeper.attach(self.history)
        await when_there(self._publisher.open)
        await self._heartbeats.listen(self._nc)
        sessions = SessionAlarm(self._alert, models.partition.ledgers.values())
        risk = RiskAlarm(self._alert)
        await until_first(
            [
                self._tail(self._watch(self._publisher.watcher(models), sessions, risk, stored)),
                sessions.run(),
                risk.run(),
                self._serve(last, risk),
                keeper.run(),
                self._write_snapshots(),
                self._trim(),
            ]
        )

    def _watch(self, publish: Watch, sessions: SessionAlarm, risk: RiskAlarm, stored: int) -> Watch:
        """Tell publisher, keeper and the alarms of events.

        Args:
            stored: sequence of the newest snapshot. Public events up to it were stored before it was written: a stream that
                holds none of them has let them expire, and they are not news.
        """

        def watch(event: Any, at: int, event_id: EventId) -> None:
            if event_id[0] > stored:
                publish(event, at, event_id)
            self.keeper.watch(event)
            sessions.watch(event)
            risk.watch(event)

        return watch

    # -- follow

    async def _tail(self, watch: Watch) -> None:
        """Apply frames as they come. After a reconnect the server's consumer may be gone: begin a new one behind what
        was applied, rather than wait until the client library misses its heartbeats (20 s). So too when the journal was
        seen to end before what was applied.
        """
        while True:
            reconnects, self._doubted = self._nc.stats["reconnects"], False
            reading = asyncio.create_task(self._read(watch))
            try:
                while not reading.done():
                    await asyncio.wait((reading,), timeout=POLL_S)
                    anew = self._doubted or self._nc.stats["reconnects"] != reconnects
                    if self._nc.is_connected and anew:
                        break
            finally:
                await end([reading])
            if not reading.cancelled() and (error := reading.exception()) is not None:
                if not isinstance(error, SERVER_AWAY):
                    raise error
                log.warning("the journal cannot be read: %r; trying again", error)
                await asyncio.sleep(POLL_S)

    async def _read(self, watch: Watch) -> None:
        history = self.history
        first, last = await journal_bounds(self._nc)
        if last < history.sequence:
            raise JournalBroken(
                JournalFault.LOST,
                last + 1,
                f"frames up to {history.sequence:,} were followed, the journal ends at {last:,} now: it has lost them."
                " `oms replay restore` puts them back",
            )
        if history.sequence + 1 < first:
            # Trimmed meanwhile, or since the snapshot.
            source = await whole(self._nc, self.keeper)
            await self._apply(source.frames(history.sequence + 1, first - 1, history.head), watch)
        await self._apply(tail_frames(self._nc, history.sequence + 1, history.head), watch)

    async def _apply(self, frames: AsyncGenerator[list[StoredFrame], None], watch: Watch) -> None:
        history = self.history
        turn = time.monotonic()
        async with aclosing(frames):
            async for batch in frames:
                for stored in batch:
                    history.apply(stored, watch)
                    self.keeper.applied(history, stored)
                    if time.monotonic() - turn > MAX_STRETCH_S:
                        self._queries.moved()
                        await asyncio.sleep(0)
                        turn = time.monotonic()
                    await self._publisher.room()
                    await self.keeper.room()
                self._queries.moved()

    async def _serve(self, last: int, risk: RiskAlarm) -> None:
        await self._queries.reached(last)
        risk.caught_up()
        serving = asyncio.create_task(when_there(lambda: self._queries.serve(self._nc)))
        try:
            await asyncio.shield(serving)
            gc.freeze()  # what was read so far stays, and need not be looked through for cycles again
            log.info("follower answers from sequence %d", self.history.sequence)
            self.ready.set()
            await asyncio.get_running_loop().create_future()
        finally:
            # Shielded: nats-py's connection dies of a flush that is cancelled, and both of these flush.
            await asyncio.shield(self._stop_serving(serving))

    async def _stop_serving(self, serving: "asyncio.Task[Service]") -> None:
        if not serving.done():
            # It may wait for the server: give it the time that one answer takes.
            await asyncio.wait((serving,), timeout=RETRY_S)
            serving.cancel()
        with suppress(asyncio.CancelledError, *SERVER_AWAY):
            await (await serving).stop()
        await self._queries.close()

    async def _status(self, subject: Subject) -> StatusRow:
        models = self.history.projections
        assert models is not None, "a follower has projections"
        first = last = None
        # Before the journal is asked: what it gets meanwhile is no loss.
        sequence = self.history.sequence
        with suppress(*SERVER_AWAY):
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                first, last = await journal_bounds(self._nc)
                self._doubted |= last < sequence
        return status(
            models,
            subject,
            self._heartbeats,
            journal_first=first,
            journal_sequence=last,
            lag=None if last is None else max(0, last - self.history.sequence),
            snapshot_sequence=self._snapshot_sequence,
            snapshot_at=self._snapshot_at,
            published=self._publisher.last,
            archived=self.keeper.archiver.sequence if self.keeper.archiver.holds else None,
            trimmed=self._trimmed,
            faults=self.keeper.faults | ({"TRIM": self._trim_fault} if self._trim_fault else {}),
        )

    # -- snapshots

    async def _write_snapshots(self) -> None:
        """On the interval; sooner when so much has happened that an answer as of a moment would take long to replay."""
        interval_s = self._settings.storage.snapshot_interval / 1e9
        history = self.history
        written, took, events = time.monotonic(), 0.0, history.events
        while True:
            await asyncio.sleep(min(SNAPSHOT_POLL_S, interval_s))
            waited = time.monotonic() - written
            many = history.events - events >= SNAPSHOT_EVENTS and waited > SNAPSHOT_REST * took
            if many or waited >= interval_s:
                started, events = time.monotonic(), history.events
                await self._write_snapshot()
                written = time.monotonic()
                took = written - started

    async def _write_snapshot(self, within_s: float | None = None) -> None:
        """Write one, once the public events up to it are stored, which may take until the server is back, and what the
        keeper keeps is on disk.
        """
        history = self.history
        if history.sequence == self._snapshot_sequence or history.projections is None:
            return
        content = content_of(history)
        try:
            async with asyncio.timeout(within_s):
                await self._publisher.stored(content.sequence)
                await self.keeper.write(reports=True)
        except TimeoutError:
            log.error(
                "no snapshot at sequence %d: %d public events of it are not stored; the one before stands",
                content.sequence,
                self._publisher.waiting,
            )
            return
        now = time.time_ns()
        try:
            written = await asyncio.to_thread(self._snapshots.write, content, now)
            gone = await asyncio.to_thread(self._snapshots.retain, self._settings.storage.retention_days, now)
        except OSError as error:
            log.error("no snapshot at sequence %d: %s; the one before stands", content.sequence, error)
            return
        self._snapshot_sequence, self._snapshot_at = content.sequence, written.header.at
        log.info(
            "snapshot at sequence %d: %s; %d old ones removed", content.sequence, written.path, len(gone)
        )

    # -- trim and audit

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_INTERVAL_S)
            await self._trim_once()

    async def _trim_once(self) -> None:
        keeper = self.keeper
        if not keeper.keeps:
            # Another one on this data directory trims, or what is written here must be right first.
            self._trimmed = f"nothing: {', '.join(keeper.faults)} must work first" if keeper.faults else ""
            return
        storage = self._settings.storage
        try:
            done = await trim(
                self._nc,
                keeper.archiver.archive,
                self._settings.keys,
                self._snapshots,
                storage.retention_days,
                time.time_ns(),
            )
        except (*SERVER_AWAY, ArchiveBroken, EncryptionError) as error:
            new, self._trim_fault = not self._trim_fault, str(error) or repr(error)
            if new:
                await self._alert("TRIM", self._trim_fault)
            return
        self._trim_fault = ""
        self._trimmed = f"{done.frames:,} frames, the journal begins at {done.first:,}; then {done.why}"
        log.info("trimmed %s", self._trimmed)

    async def _alert(self, code: str, message: str) -> None:
        await tell(self._nc, code, self.history.sequence, message)

    async def _sound(self, error: JournalBroken) -> None:
        """Tell that the journal is broken; stop trading when it differs from its seals and is to be stopped for that."""
        kill = self._settings.kill and error.fault is JournalFault.SEAL
        await tell(self._nc, error.fault, error.sequence, error.message, kill=kill)
        if kill:
            await stop_trading(self._nc, error.fault, error.sequence)
