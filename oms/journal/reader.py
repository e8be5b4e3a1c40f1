"""Reading frames in order, each checked: its sequence, the sequence it names, and the digest of the one before."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final, TypeVar

import attrs
import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.stream import STREAM, SUBJECT
from oms.messages.frames import GENESIS, Frame, decode_frame, decode_place, frame_digest

T = TypeVar("T")

PENDING_BYTES: Final = 64 * 1024 * 1024
"""Bytes of frames that the client library may hold for the reader."""
WAITING_FRAMES: Final = 256
"""Frames taken from the library and not yet read; beyond it flow control makes the server wait."""


@attrs.define(eq=False)
class StoredFrame:
    """A frame as it stands in the journal or the archive.

    Args:
        digest: of the payload: the chain head after it.
        payload: its bytes.
        checks: what the archive holds beside it (:mod:`replay.checks`); None for a frame that comes from the journal.
    """

    sequence: int
    digest: str
    payload: bytes
    checks: bytes | None = None
    _frame: Frame | None = None

    @property
    def frame(self) -> Frame:
        """The payload decoded; of a frame that was skimmed, when it is first asked for.

        Raises:
            JournalBroken: UNREADABLE.
        """
        if self._frame is None:
            self._frame = _decoded(self.sequence, self.payload, decode_frame)
        return self._frame


def check_frame(
    sequence: int,
    payload: bytes,
    expected: int,
    prev: str | None,
    checks: bytes | None = None,
    *,
    skim: bool = False,
) -> StoredFrame:
    """Hold one frame against its place, and decode it.

    Args:
        sequence: the stream sequence it was found at; ``expected``: the one after the frame before.
        prev: the chain head before it; None when it is not known (the first frame of a trimmed journal).
        skim: leave its commits to :attr:`StoredFrame.frame`, for who looks at the bytes first: a fifth of the work.

    Raises:
        JournalBroken: GAP, UNREADABLE or CHAIN, with the sequence.
    """
    if sequence != expected:
        raise JournalBroken(JournalFault.GAP, expected, f"expected frame {expected}, found {sequence}")
    frame = None if skim else _decoded(sequence, payload, decode_frame)
    place = frame or _decoded(sequence, payload, decode_place)
    if place.sequence != sequence:
        raise JournalBroken(JournalFault.CHAIN, sequence, f"the frame names itself {place.sequence}")
    if prev is not None and place.prev != prev:
        raise JournalBroken(
            JournalFault.CHAIN, sequence, f"the frame follows {place.prev}, but the one before is {prev}"
        )
    return StoredFrame(sequence, frame_digest(payload), payload, checks, frame)


def _decoded(sequence: int, payload: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalBroken(
            JournalFault.UNREADABLE, sequence, f"{error}; was it written by a newer version than this one?"
        ) from None


async def read_frame(nc: Client, sequence: int) -> StoredFrame | None:
    """One frame by sequence, its chain unchecked; None when the journal does not hold it."""
    try:
        found = await nc.jetstream().get_msg(STREAM, seq=sequence)
    except NotFoundError:
        return None
    return check_frame(sequence, found.data or b"", sequence, None)


async def read_frames(
    nc: Client, first: int, last: int, prev: str | None, *, skim: bool = False
) -> AsyncGenerator[list[StoredFrame], None]:
    """Frames ``first`` to ``last`` in order, in batches.

    Args:
        prev: the chain head before ``first``, :data:`oms.messages.frames.GENESIS` for 1; None to take it unchecked.
        skim: as :func:`check_frame` has it.

    Raises:
        JournalBroken: at the first frame that is not what it must be.
    """
    if last < first:
        return
    async with contextlib.aclosing(tail_frames(nc, first, prev, skim=skim)) as tail:
        async for batch in tail:
            if batch[-1].sequence < last:
                yield batch
                continue
            yield [stored for stored in batch if stored.sequence <= last]
            return


async def tail_frames(
    nc: Client, first: int, prev: str | None, *, skim: bool = False
) -> AsyncGenerator[list[StoredFrame], None]:
    """Frames from ``first`` in order, in batches; waits for new ones without end.

    Raises:
        JournalBroken: at the first frame that is not what it must be, after the good ones before it.
    """
    expected = first
    if prev is None and first == 1:
        prev = GENESIS
    async with contextlib.aclosing(tail_payloads(nc, first)) as tail:
        async for payloads in tail:
            batch: list[StoredFrame] = []
            try:
                for sequence, payload in payloads:
                    stored = check_frame(sequence, payload, expected, prev, skim=skim)
                    expected, prev = stored.sequence + 1, stored.digest
                    batch.append(stored)
            except JournalBroken:
                if batch:
                    yield batch
                raise
            yield batch


async def tail_payloads(nc: Client, first: int) -> AsyncGenerator[list[tuple[int, bytes]], None]:
    """Sequences and payloads from ``first`` as the server gives them, unchecked; waits for new ones without end."""
    arrived: list[Msg] = []
    wake, room = asyncio.Event(), asyncio.Event()
    room.set()

    async def take(message: Msg) -> None:
        arrived.append(message)
        wake.set()
        if len(arrived) >= WAITING_FRAMES:
            room.clear()
            await room.wait()

    subscription = await nc.jetstream().subscribe(
        SUBJECT,
        stream=STREAM,
        cb=take,
        ordered_consumer=True,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first),
        pending_msgs_limit=-1,
        pending_bytes_limit=PENDING_BYTES,
    )
    try:
        while True:
            await wake.wait()
            wake.clear()
            messages, arrived = arrived, []
            room.set()
            if messages:
                yield [(message.metadata.sequence.stream, message.data) for message in messages]
    finally:
        await subscription.unsubscribe()
