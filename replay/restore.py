"""Restore: the journal again from the archive, frame for frame, each at its own sequence and with its own bytes.

A journal that is not there, empty or behind gets what the archive has more. A damaged one, with a message missing in the
middle, is replaced, and only once the archive is known to hold everything that the journal or its receipts ever did. Both
are first compared wherever both have a frame, and receipts are held against the frames that they name: whatever differs is
refused. What is interrupted goes on at the next call.

Frames are stored as JetStream *atomic batches*, fenced by the stream's last sequence: a batch is stored whole or not at
all, and another writer is noticed before anything follows it, which pipelined publishes do not give. Measured with fsync
on two cores, 3 kB frames: batches of 500 17,000 frames a second, 64 pipelined publishes 2,400.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import attrs
import nats.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import read_frame
from oms.journal.stream import STREAM, SUBJECT, ensure_journal, journal_settings
from oms.messages.frames import frame_digest
from replay.archive import Archive
from replay.rebuild import Progress
from replay.snapshot import SnapshotDamaged, Snapshots
from replay.witness import Witness, WitnessedFrame, WitnessedFrames, decode_link

log = logging.getLogger(__name__)

MAX_BATCH: Final = 500
"""Frames in an atomic batch; the server takes 1,000."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
READ_FRAMES: Final = 64
TIMEOUT_S: Final = 30.0
PING_TIMEOUT_S: Final = 0.5
SERVICES: Final = ("mexoms-engine", "mexoms-follower")
"""Who must not run meanwhile."""
_WRONG_LAST_SEQUENCE: Final = 10071


class RestoreRefused(Exception):
    """Nothing was changed, because something could be lost or is not what it says."""


@attrs.frozen
class Restored:
    """What was done.

    Args:
        first, last: sequences of the journal now.
        compared: frames that journal and archive both had, and that are the same.
        written: frames that were written.
        replaced: the stream was deleted and made anew.
        receipts: sequence of the last receipt, 0 for none. Beyond ``last``, the archive did not have everything.
    """

    first: int
    last: int
    compared: int
    written: int
    replaced: bool
    receipts: int


async def restore(
    nc: Client,
    archive: Archive,
    snapshots: Snapshots,
    data_dir: Path,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Bring the journal to what the archive holds.

    Args:
        snapshots: to begin from when the archive does not begin at 1.
        data_dir: where mark and receipts are.
        replace: delete the stream and make it anew.
        progress: is told (sequence, last sequence, frames written).

    Raises:
        RestoreRefused: see there.
        JournalBroken: the archive is broken; see :class:`replay.archive.ArchiveBroken`.
        TimeoutError, nats.errors.Error: the server did not answer; call again to go on.
    """
    await _refuse_while_somebody_runs(nc)
    archive.segments()  # raises for gaps before anything is touched
    frames, witness = WitnessedFrames(archive), Witness(data_dir)
    first, last = frames.first, frames.last
    if last < first:
        raise RestoreRefused(f"there is no archive below {data_dir}: nothing to restore from")
    info = await _stream(nc)
    compared, missing = (0, None) if info is None else await _compare(nc, info, frames, witness, progress)
    at = 0 if info is None else info.state.last_seq
    made = settings_after(None if info is None else info.config, first)
    replaced = replace and info is not None
    if replaced:
        if at > last:
            raise RestoreRefused(
                f"the journal goes on to {at:,}, the archive ends at {last:,}: to replace the journal would lose"
                f" {at - last:,} frames"
            )
        witness = Witness(data_dir)
        frames.read_all(witness, progress)
        if (receipts := witness.last()) > last:
            raise RestoreRefused(
                f"there are receipts up to {receipts:,}, the archive ends at {last:,}: to replace the journal would lose"
                " what may still be in it. Find the rest of the archive first"
            )
        _check_start(frames, snapshots)
        # Reading everything took its time: what was started or written meanwhile must not be lost.
        await _refuse_while_somebody_runs(nc)
        if (there := await _stream(nc)) is None or there.state.last_seq != at:
            raise RestoreRefused(
                f"the journal ended at frame {at:,} and does not any more: stop whoever writes to it, and call again"
            )
        await nc.jetstream(timeout=TIMEOUT_S).delete_stream(STREAM)
        info, at = None, 0
    elif missing is not None:
        raise RestoreRefused(
            f"the journal holds frames up to {at:,} but not frame {missing:,}: only --replace mends that, once the archive"
            " is known to hold everything"
        )
    if info is not None and not at and first > 1:
        # Made by whoever looked for a journal, and never written to: it cannot begin elsewhere.
        await nc.jetstream(timeout=TIMEOUT_S).delete_stream(STREAM)
        info = None
    if info is None:
        _check_start(frames, snapshots)
        info = await nc.jetstream(timeout=TIMEOUT_S).add_stream(made)
        at = first - 1
    elif at < first - 1:
        raise RestoreRefused(
            f"the journal ends at {at:,}, the archive begins at {first:,}: the frames between them are in neither. Put the"
            " earlier parts of the archive back"
        )
    written = 0
    if at < last:
        before = await read_frame(nc, at) if info.state.messages else None
        rest = frames.read(
            at + 1, last, None if replaced else witness, None if before is None else before.digest
        )
        written = await _write(nc, info, rest, last, progress)
    js = nc.jetstream(timeout=TIMEOUT_S)
    settings = (await js.stream_info(STREAM)).config
    if settings.allow_atomic:
        # The engine appends single frames. Also after a call that was interrupted before it came here.
        await js.update_stream(settings.evolve(allow_atomic=False))
    kept_first, kept_last = await ensure_journal(js)
    return Restored(kept_first, kept_last, compared, written, replaced, witness.last())


async def _refuse_while_somebody_runs(nc: Client) -> None:
    """Only a subject that nobody listens at is nobody's: who is busy is late, and runs.

    Raises:
        RestoreRefused: somebody does.
    """
    for service in SERVICES:
        try:
            await nc.request(f"$SRV.PING.{service}", b"", timeout=PING_TIMEOUT_S)
        except nats.errors.NoRespondersError:
            continue
        except nats.errors.TimeoutError:
            raise RestoreRefused(
                f"somebody listens as {service} on this nats-server and did not answer within {PING_TIMEOUT_S} s: stop"
                " it first, and whoever subscribes to everything"
            ) from None
        raise RestoreRefused(f"{service} runs on this nats-server: stop it first")


def settings_after(old: StreamConfig | None, first: int) -> StreamConfig:
    """Of the stream made anew: on as many servers, and there, as the one before. ``first``: sequence of its first message."""
    settings = journal_settings(first)
    return (
        settings if old is None else settings.evolve(num_replicas=old.num_replicas, placement=old.placement)
    )


async def _stream(nc: Client) -> StreamInfo | None:
    try:
        return await nc.jetstream(timeout=TIMEOUT_S).stream_info(STREAM)
    except NotFoundError:
        return None


# -- where to begin


def _check_start(frames: WitnessedFrames, snapshots: Snapshots) -> None:
    """An archive that does not begin at 1 needs a snapshot to begin from.

    Raises:
        RestoreRefused: there is none.
    """
    first = frames.first
    if first == 1:
        return
    for snapshot in snapshots.newest_first():
        sequence = snapshot.header.sequence
        if first - 1 <= sequence <= frames.last:
            found = next(frames.read(max(sequence, first), max(sequence, first), None))
            head = found.digest if sequence >= first else decode_link(found.payload).prev
            if head != snapshot.header.head:
                raise RestoreRefused(
                    f"{snapshot.path} was taken after frame {sequence:,} with digest {snapshot.header.head}, the archive's is"
                    f" {head}: they are of different journals"
                )
            try:
                snapshot.load_state(check_digest=True)
            except SnapshotDamaged as error:
                log.warning("not starting from a snapshot: %s", error)
                continue
            return
    raise RestoreRefused(
        f"the archive begins at {first:,}: without its earlier parts a snapshot between {first - 1:,} and {frames.last:,} is"
        " needed to start from, and there is none. Put the earlier parts back"
    )


# -- compare


async def _compare(
    nc: Client, info: StreamInfo, frames: WitnessedFrames, witness: Witness, progress: Progress | None
) -> tuple[int, int | None]:
    """Hold every frame of the journal that the archive has too against it.

    Returns:
        How many are the same, and the first that the journal should hold and does not.

    Raises:
        RestoreRefused: one differs.
    """
    first = max(info.state.first_seq, frames.first)
    last = min(info.state.last_seq, frames.last)
    compared, missing = 0, None
    if not info.state.messages and info.state.last_seq >= frames.first:
        return compared, info.state.last_seq  # it was purged: trimming always leaves the last ones
    if first > last:
        return compared, missing
    archived = frames.read(first, last, witness)
    expected = first
    # Closed here: left to the event loop, it would unsubscribe when the connection is gone, and say so with a traceback.
    async with aclosing(_stored(nc, first, last)) as stored:
        async for sequence, payload in stored:
            for found in archived:
                if found.sequence == sequence:
                    break
            else:
                raise AssertionError(f"the archive does not hold frame {sequence} any more")
            if missing is None and sequence > expected:
                missing = expected
            if payload != found.payload:
                raise RestoreRefused(
                    f"frame {sequence:,} has digest {frame_digest(payload)} in the journal and {found.digest} in the archive:"
                    " one was edited, or they are of different journals. `oms replay verify` tells which; nothing was changed"
                )
            compared += 1
            expected = sequence + 1
            if progress is not None and compared % READ_FRAMES == 0:
                progress(sequence, frames.last, 0)
    if missing is None and expected <= last:
        missing = expected
    return compared, missing


async def _stored(nc: Client, first: int, last: int) -> AsyncGenerator[tuple[int, bytes], None]:
    """The journal's messages from ``first`` to ``last``, whatever is missing between."""
    subscription = await nc.jetstream(timeout=TIMEOUT_S).pull_subscribe(
        SUBJECT,
        stream=STREAM,
        config=ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=TIMEOUT_S,
        ),
    )
    try:
        pending = (await subscription.consumer_info()).num_pending or 0
        while pending:
            for message in await subscription.fetch(min(READ_FRAMES, pending), timeout=TIMEOUT_S):
                pending = message.metadata.num_pending
                sequence = message.metadata.sequence.stream
                if sequence > last:
                    return
                yield sequence, message.data
    finally:
        await subscription.unsubscribe()


# -- write


async def _write(
    nc: Client, info: StreamInfo, frames: Iterator[WitnessedFrame], last: int, progress: Progress | None
) -> int:
    """Write frames behind the journal's end, the last one being ``last``; return how many."""
    js = nc.jetstream(timeout=TIMEOUT_S)
    await js.update_stream(info.config.evolve(allow_atomic=True))
    written = 0
    for batch in _batches(frames):
        await _store(nc, batch)
        written += len(batch)
        if progress is not None:
            progress(batch[-1].sequence, last, written)
        await asyncio.sleep(0)
    return written


def _batches(frames: Iterator[WitnessedFrame]) -> Iterator[list[WitnessedFrame]]:
    batch: list[WitnessedFrame] = []
    size = 0
    for found in frames:
        if batch and (len(batch) == MAX_BATCH or size + len(found.payload) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(found)
        size += len(found.payload)
    if batch:
        yield batch


async def _store(nc: Client, batch: list[WitnessedFrame]) -> None:
    """Store a batch, whole, right behind the frame before it.

    Raises:
        RestoreRefused: somebody else writes to the journal.
        APIError: the server did not store it, and says why.
    """
    batch_id = secrets.token_hex(8)
    for index, found in enumerate(batch, 1):
        headers = {
            "Nats-Msg-Id": found.digest,
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(index),
        }
        if index == 1:
            headers["Nats-Expected-Last-Sequence"] = str(found.sequence - 1)
        if index < len(batch):
            await nc.publish(SUBJECT, found.payload, headers=headers)
    headers["Nats-Batch-Commit"] = "1"
    answer = await nc.request(SUBJECT, batch[-1].payload, timeout=TIMEOUT_S, headers=headers)
    ack: dict[str, Any] = json.loads(answer.data)
    if "error" in ack:
        if ack["error"].get("err_code") == _WRONG_LAST_SEQUENCE:
            raise RestoreRefused(
                f"somebody else writes to the journal: frame {batch[0].sequence:,} cannot be stored there"
                f" ({ack['error'].get('description')}). Nothing of it was; stop them"
            )
        raise APIError.from_error(ack["error"])
    if ack.get("seq") != batch[-1].sequence:
        raise JournalBroken(
            JournalFault.CHAIN,
            batch[-1].sequence,
            f"the server stored the frame at {ack.get('seq')}: the stream is not the journal's",
        )
