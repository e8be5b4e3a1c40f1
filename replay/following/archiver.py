"""Archiver: takes frames as they are applied, and archives and syncs them in a thread of its own.

Between the two is a bounded queue of the newest frames. What is neither in it nor in the archive (after a disk that failed
for long, or where there was no archive before) is read from the journal again. Such frames are archived without checks,
because the states between are gone by then; seals still locate a divergence there.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, TypeVar

import attrs
from nats.aio.client import Client

from oms.encryption import EncryptionError, Keys
from oms.journal.reader import StoredFrame, read_frames
from replay.archive import Archive, ArchiveBroken, ArchiveWriter
from replay.source import journal_bounds

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_QUEUED_BYTES: Final = 64 * 1024 * 1024
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
"""Of frames that are archived between two syncs."""
DISK_ERRORS: Final = (OSError, ArchiveBroken, EncryptionError)
"""What keeps frames from being archived; it is waited for."""


@attrs.frozen
class _Waiting:
    sequence: int
    payload: bytes
    checks: bytes
    at: int


class Archiver:
    """One writer of one archive.

    Args:
        nc: to read the journal.
        data_dir: where ``archive/`` is or will be.
        keys: to encrypt with; None for plain files.

    Attributes:
        archive: to read what is held.
        sequence: the last frame known to be on disk in the archive, 0 for none.
    """

    def __init__(self, nc: Client, data_dir: Path, keys: Keys | None) -> None:
        self._nc = nc
        self._data_dir = data_dir
        self._keys = keys
        self._thread = ThreadPoolExecutor(1, "archive")
        self._writer: ArchiveWriter | None = None
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._last = 0
        self.archive = Archive(data_dir, keys)
        self.sequence = 0

    @property
    def holds(self) -> bool:
        """Whether the archive is open for writing."""
        return self._writer is not None

    @property
    def full(self) -> bool:
        """Whether more waits than should."""
        return self._bytes > MAX_QUEUED_BYTES

    async def open(self) -> str | None:
        """Open the archive for writing; return the digest of the last frame it holds.

        Raises:
            ArchiveBusy: another process writes it.
            OSError, ArchiveBroken, EncryptionError: it cannot be had now; may be called again.
        """
        writer = await self._off_loop(lambda: ArchiveWriter(self._data_dir, self._keys))
        self._writer = writer
        self.sequence = writer.sequence
        self._last = max(self._last, writer.sequence)
        return writer.head

    def put(self, stored: StoredFrame, checks: bytes) -> None:
        """Take a frame that was applied, unless the archive has it."""
        if stored.sequence > self._last:
            at = stored.frame.commits[0].at
            self._queue.append(_Waiting(stored.sequence, stored.payload, checks, at))
            self._bytes += len(stored.payload)
            self._last = stored.sequence

    def shed(self) -> None:
        """Let the oldest go until the queue is within its bound; the journal still has them."""
        while self.full:
            self._bytes -= len(self._queue.popleft().payload)

    async def write(self) -> None:
        """Archive and sync everything that waits.

        Raises:
            OSError, ArchiveBroken, EncryptionError: it could not, and is let go of; :meth:`open` comes next.
            JournalBroken, nats.errors.Error, TimeoutError: what is missing between could not be read; it is still held, and
                this may be called again.
        """
        while self._queue:
            writer = self._writer
            assert writer is not None, "open() comes first"
            while self._queue and self._queue[0].sequence <= writer.sequence:
                self._bytes -= len(self._queue.popleft().payload)
            if not self._queue:
                return
            if self._queue[0].sequence != writer.sequence + 1:
                await self._fill(writer, self._queue[0].sequence)
            batch: list[_Waiting] = []
            size = 0
            for waiting in self._queue:
                if size > MAX_BATCH_BYTES:
                    break
                batch.append(waiting)
                size += len(waiting.payload)
            await self._append(writer, batch)

    async def close(self) -> None:
        """Close the archive for good: what was appended is synced.

        Raises:
            OSError, ArchiveBroken, EncryptionError: it could not be.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                await self._off_loop(writer.close)
        finally:
            self._thread.shutdown(wait=False)

    async def _fill(self, writer: ArchiveWriter, upto: int) -> None:
        """Archive from the journal what is missing before a frame."""
        first, _ = await journal_bounds(self._nc)
        if not writer.sequence:
            first = min(max(first, 1), upto)
        elif first > writer.sequence + 1:
            await self._let_go(writer)
            raise ArchiveBroken(
                self.archive.root,
                writer.sequence + 1,
                f"the archive ends at {writer.sequence:,}, the journal begins at {first:,}: the frames between them are in"
                " neither. Put the rest of the archive back, or move it away to begin another one",
            )
        else:
            first = writer.sequence + 1
        if first == upto:
            return
        log.warning("frames %d to %d are archived from the journal, without checks", first, upto - 1)
        frames = read_frames(self._nc, first, upto - 1, writer.head)
        async with aclosing(frames):
            async for batch in frames:
                await self._append(
                    writer, [_Waiting(s.sequence, s.payload, b"", s.frame.commits[0].at) for s in batch]
                )

    async def _append(self, writer: ArchiveWriter, batch: list[_Waiting]) -> None:
        def work() -> None:
            for each in batch:
                writer.append(each.sequence, each.payload, each.checks, each.at)
            writer.sync()

        try:
            await self._off_loop(work)
        except DISK_ERRORS:
            await self._let_go(writer)
            raise
        self.sequence = writer.sequence

    async def _let_go(self, writer: ArchiveWriter) -> None:
        """Close an archive that cannot be written, so that nobody waits for it; :meth:`open` comes next."""
        self._writer = None
        try:
            await self._off_loop(writer.close)
        except DISK_ERRORS as error:
            log.warning("closing the archive failed, too: %s", error)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        doing = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(doing)
        finally:
            # Cancelled or not: whoever comes next must find the archive at rest.
            while not doing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((doing,))
