"""Follower: tails the journal with the replay code, and serves what comes of it.

From the newest snapshot on, every frame is checked, applied, and its public events handed to the publisher. Questions
are answered between frames. A snapshot is written on the interval and at a clean stop, and only once the public events
up to its sequence are stored: so whoever starts from it misses none. When the publisher cannot keep up, its bounded
queue holds the tail back: answers stay true at the sequence they name, which falls behind (``lag`` in ``show_status``);
commands are not concerned. A broken chain ends the follower with ``JournalBroken``.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar

import attrs
import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError
from nats.micro.service import Service

from oms.config import CacheConfig, StorageConfig
from oms.journal.reader import tail_frames
from oms.messages.queries import StatusRow
from oms.messages.subjects import Subject
from oms.tasks import end, until_first
from replay.answers import status
from replay.history import History, Watch
from replay.publisher import Publisher
from replay.queries import Queries
from replay.rebuild import new_history, start_from
from replay.snapshot import Snapshots, content_of
from replay.source import Source, journal_bounds

log = logging.getLogger(__name__)

Found = TypeVar("Found")

MAX_STRETCH_S: Final = 0.02
"""Frames are applied for so long before questions get their turn."""
POLL_S: Final = 0.1
"""How often to look for a journal that is not there yet."""
RETRY_S: Final = 0.5
STATUS_TIMEOUT_S: Final = 1.0
SERVER_AWAY: Final = (nats.errors.Error, APIError, OSError, TimeoutError)
"""What nats-server's absence looks like; it is waited for."""
STOP_TIMEOUT_S: Final = 5.0
"""How long a clean stop waits for public events to be stored before it goes without a snapshot, and for tasks to end."""


@attrs.frozen(kw_only=True)
class FollowerSettings:
    """What a follower needs to know: where snapshots go and how often, what stays in memory and on NATS, how long."""

    storage: StorageConfig = attrs.field(factory=StorageConfig)
    cache: CacheConfig = attrs.field(factory=CacheConfig)


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
        self._snapshots = Snapshots(settings.storage.data_dir)
        self._snapshot_sequence = 0
        self._snapshot_at = 0
        self.history: History = new_history(settings.cache)
        self._queries = Queries(self.history, self._status)
        self._publisher = Publisher(nc, settings.storage.retention_days)
        self.ready = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until ``stop`` is set, then write a snapshot.

        Raises:
            JournalBroken: a frame is not what it must be.
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
            await end([publishing], STOP_TIMEOUT_S)
        for task in (working, publishing):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _work(self) -> None:
        last = await self._journal()
        cache = self._settings.cache
        found = await _when_there(lambda: start_from(Source(self._nc), self._snapshots, cache=cache))
        if found is not None:
            self.history = found
            self._snapshot_sequence, self._snapshot_at = found.sequence, found.at
            self._queries = Queries(found, self._status)
        models = self.history.projections
        assert models is not None, "a follower has projections"
        await _when_there(self._publisher.open)
        watch = self._publisher.watcher(models)
        await until_first([self._tail(watch), self._serve(last), self._write_snapshots()])

    async def _journal(self) -> int:
        """Wait until there is a journal; its last sequence."""
        while True:
            _, last = await _when_there(lambda: journal_bounds(self._nc))
            if last:
                return last
            await asyncio.sleep(POLL_S)

    async def _tail(self, watch: Watch) -> None:
        """Apply frames as they come. After a reconnect the server's consumer may be gone: begin a new one behind what
        was applied, rather than wait until the client library misses its heartbeats (20 s).
        """
        while True:
            reconnects = self._nc.stats["reconnects"]
            reading = asyncio.create_task(self._read(watch))
            try:
                while not reading.done():
                    await asyncio.wait((reading,), timeout=POLL_S)
                    if self._nc.is_connected and self._nc.stats["reconnects"] != reconnects:
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
        frames = tail_frames(self._nc, history.sequence + 1, history.head)
        turn = time.monotonic()
        async with aclosing(frames):
            async for batch in frames:
                for stored in batch:
                    history.apply(stored, watch)
                    if time.monotonic() - turn > MAX_STRETCH_S:
                        self._queries.moved()
                        await asyncio.sleep(0)
                        turn = time.monotonic()
                    await self._publisher.room()
                self._queries.moved()

    async def _serve(self, last: int) -> None:
        await self._queries.reached(last)
        serving = asyncio.create_task(_when_there(lambda: self._queries.serve(self._nc)))
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
        last = None
        with suppress(*SERVER_AWAY):
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                _, last = await journal_bounds(self._nc)
        return status(
            models,
            subject,
            journal_sequence=last,
            lag=None if last is None else max(0, last - self.history.sequence),
            snapshot_sequence=self._snapshot_sequence,
            snapshot_at=self._snapshot_at,
            published=self._publisher.last,
        )

    # -- snapshots

    async def _write_snapshots(self) -> None:
        while True:
            await asyncio.sleep(self._settings.storage.snapshot_interval / 1e9)
            await self._write_snapshot()

    async def _write_snapshot(self, within_s: float | None = None) -> None:
        """Write one, once the public events up to it are stored, which may take until the server is back."""
        history = self.history
        if history.sequence == self._snapshot_sequence or history.projections is None:
            return
        content = content_of(history)
        try:
            async with asyncio.timeout(within_s):
                await self._publisher.stored(content.sequence)
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
            gone = self._snapshots.retain(self._settings.storage.retention_days, now)
        except OSError as error:
            log.error("no snapshot at sequence %d: %s; the one before stands", content.sequence, error)
            return
        self._snapshot_sequence, self._snapshot_at = content.sequence, written.header.at
        log.info(
            "snapshot at sequence %d: %s; %d old ones removed", content.sequence, written.path, len(gone)
        )


async def _when_there(ask: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
    """Ask the server until it answers."""
    while True:
        try:
            return await ask()
        except SERVER_AWAY as error:
            log.warning("nats-server does not answer as needed: %r; trying again", error)
            await asyncio.sleep(RETRY_S)
