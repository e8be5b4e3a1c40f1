"""Source: archive and journal as one history. What was trimmed from the journal is read from the archive, without a seam.

Every frame is held against the chain, across the seam too. A gap between the two, or an archive that knows more than the
journal, is refused: one of them has lost its past.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame, check_frame, read_frame, read_frames, tail_payloads
from oms.journal.stream import STREAM, SUBJECT
from oms.messages.frames import GENESIS

BATCH_FRAMES: Final = 256
"""Frames of the archive that are handed on together, before others on the event loop get their turn."""


STALL_S: Final = 30.0
"""How long the next frame may take; nats-py needs up to 20 s to notice that its consumer is gone."""
T = TypeVar("T")


class ArchivedFrame(Protocol):
    """A frame as the archive holds it, unchecked."""

    @property
    def sequence(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def checks(self) -> bytes: ...


class FrameArchive(Protocol):
    """What is needed of an archive; :class:`replay.archive.Archive` is one."""

    def bounds(self) -> tuple[int, int]:
        """First and last sequence held; (1, 0) when there is none."""

    def read(self, first: int, last: int) -> Iterator[ArchivedFrame]:
        """Frames in order."""


class Source:
    """Where history is read from: a journal, an archive, or both.

    Args:
        nc: a connection to the journal's server; None to read the archive alone.
        archive: None to read the journal alone.
    """

    def __init__(self, nc: Client | None, archive: FrameArchive | None = None) -> None:
        self._nc = nc
        self._archive = archive

    async def bounds(self) -> tuple[int, int]:
        """The first and the last sequence there are; (1, 0) when there is no frame at all.

        Raises:
            JournalBroken: LOST when the archive goes on behind the journal's end.
        """
        held = self._held()
        if self._nc is None:
            return held
        first, last = await journal_bounds(self._nc)
        if held[1] > last:
            raise JournalBroken(
                JournalFault.LOST,
                last + 1,
                f"the journal ends at {last:,}, the archive holds frames up to {held[1]:,}: the journal has lost them, or the"
                " archive belongs to another one. `oms replay restore` puts them back",
            )
        return (min(first, held[0]) if held[1] else first), last

    async def frames(
        self, first: int, last: int, prev: str | None, *, with_checks: bool = False, skim: bool = False
    ) -> AsyncGenerator[list[StoredFrame], None]:
        """Frames ``first`` to ``last`` in order, in batches.

        Args:
            prev: the chain head before ``first``, GENESIS for 1; None to take it unchecked.
            with_checks: read from the archive whatever it has, and not only what the journal no longer has: its frames
                carry checks.
            skim: as :func:`oms.journal.reader.check_frame` has it.

        Raises:
            JournalBroken: at the first frame that is not what it must be.
        """
        while first <= last:
            # Asked anew for each part: the journal may be trimmed while the one before is read.
            held_first, held_last = self._held()
            journal_first, _ = (held_last + 1, 0) if self._nc is None else await journal_bounds(self._nc)
            upto = last if self._nc is None else held_last if with_checks else journal_first - 1
            if held_first <= first <= min(held_last, upto):
                for batch in self._archived(first, min(last, held_last, upto), prev, skim):
                    yield batch
                    first, prev = batch[-1].sequence + 1, batch[-1].digest
                    await asyncio.sleep(0)
                continue
            if self._nc is None or first < journal_first:
                raise JournalBroken(
                    JournalFault.GAP,
                    first,
                    f"the archive holds {held_first:,} to {held_last:,}"
                    + ("" if self._nc is None else f", the journal begins at {journal_first:,}")
                    + f": frame {first:,} is in neither. To rebuild from here, a snapshot behind the gap is needed",
                )
            try:
                async with aclosing(read_frames(self._nc, first, last, prev, skim=skim)) as frames:
                    async for batch in frames:
                        yield batch
                        first, prev = batch[-1].sequence + 1, batch[-1].digest
            except JournalBroken as error:
                if error.fault is not JournalFault.GAP or first >= (await journal_bounds(self._nc))[0]:
                    raise

    @property
    def journal(self) -> "Source | None":
        """The journal alone; None for who reads an archive alone."""
        return None if self._nc is None else Source(self._nc)

    async def given(self) -> tuple[int, int, int]:
        """The first sequence that the journal keeps, the last it gives, and the last it counts; (1, 0, 0) without one.

        The last two are one, unless its last frames were deleted or its store is damaged.
        """
        if self._nc is None:
            return 1, 0, 0
        first, counted = await journal_bounds(self._nc)
        if counted < first:
            return first, counted, counted
        try:
            found = await self._nc.jetstream().get_last_msg(STREAM, SUBJECT)
        except NotFoundError:
            return first, first - 1, counted
        return first, max(found.seq or 0, first - 1), max(counted, found.seq or 0)

    async def payloads(self, first: int, last: int) -> AsyncGenerator[list[tuple[int, bytes]], None]:
        """Sequences and payloads of the journal, as its server gives them, up to ``last``, which it must give."""
        if self._nc is None or last < first:
            return
        async with aclosing(tail_payloads(self._nc, first)) as tail:
            async for batch in tail:
                yield [each for each in batch if each[0] <= last]
                if batch[-1][0] >= last:
                    return

    async def frame(self, sequence: int) -> StoredFrame | None:
        """One frame, its chain unchecked; None when it is nowhere."""
        if self._nc is not None and (found := await read_frame(self._nc, sequence)) is not None:
            return found
        held = self._held()
        if self._archive is None or not held[0] <= sequence <= held[1]:
            return None
        for archived in self._archive.read(sequence, sequence):
            return check_frame(archived.sequence, archived.payload, sequence, None, archived.checks)
        return None

    def _held(self) -> tuple[int, int]:
        return (1, 0) if self._archive is None else self._archive.bounds()

    def _archived(self, first: int, last: int, prev: str | None, skim: bool) -> Iterator[list[StoredFrame]]:
        assert self._archive is not None
        if prev is None and first == 1:
            prev = GENESIS
        batch: list[StoredFrame] = []
        try:
            for expected, found in enumerate(self._archive.read(first, last), first):
                stored = check_frame(found.sequence, found.payload, expected, prev, found.checks, skim=skim)
                prev = stored.digest
                batch.append(stored)
                if len(batch) == BATCH_FRAMES:
                    yield batch
                    batch = []
        except JournalBroken:
            if batch:
                yield batch
            raise
        if batch:
            yield batch


async def journal_bounds(nc: Client) -> tuple[int, int]:
    """The first and the last sequence that the journal keeps; (1, 0) for one without frames or that is not there."""
    try:
        state = (await nc.jetstream().stream_info(STREAM)).state
    except NotFoundError:
        return 1, 0
    return max(state.first_seq, 1), state.last_seq


async def unstalled(
    batches: AsyncGenerator[T, None], missing: Callable[[], str] = lambda: "no frame came"
) -> AsyncGenerator[T, None]:
    """The same batches, each within :data:`STALL_S` of the one before; others get their turn between them.

    Args:
        missing: what to say of the frame that did not come.

    Raises:
        TimeoutError: none came in time.
    """
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(STALL_S) as stall, aclosing(batches):
            async for batch in batches:
                yield batch
                stall.reschedule(clock() + STALL_S)
                await asyncio.sleep(0)
    except TimeoutError:
        raise TimeoutError(f"{missing()} within {STALL_S:.0f} s: is nats-server there?") from None
