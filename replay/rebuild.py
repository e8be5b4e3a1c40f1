"""Rebuild: the state at the end of the journal, or at an earlier point, from a snapshot and the frames behind it.

Used by the engine when it starts, by the follower, and by ``oms replay``.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import aclosing
from typing import Final

from oms.aggregates.partition import Partition
from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from oms.projections.projections import Part, Projections
from replay.history import History
from replay.memory import no_collection
from replay.snapshot import Snapshot, SnapshotDamaged, Snapshots
from replay.source import Source, unstalled

log = logging.getLogger(__name__)

Progress = Callable[[int, int, int], None]
"""Is told (sequence reached, last sequence, events applied) after each batch of frames."""

_NO_CACHE: Final = CacheConfig()


class SnapshotRefused(Exception):
    """A snapshot that is whole, but not of this journal: one of the two has lost its past. Nothing was rebuilt."""


async def rebuild(
    source: Source,
    snapshots: Snapshots | None,
    *,
    from_zero: bool = False,
    until_sequence: int | None = None,
    until_time: int | None = None,
    projections: bool = True,
    cache: CacheConfig = _NO_CACHE,
    leave: Collection[Part] = (),
    check_digest: bool = False,
    progress: Progress | None = None,
) -> History:
    """Rebuild the state.

    Args:
        snapshots: where to start from; None, or ``from_zero``, reads every frame.
        until_sequence: stop after this frame.
        until_time: UTC ns; stop before the first commit that is later, within a frame if need be.
        projections: build the read models too, within the bounds of ``cache``.
        leave: of a snapshot's read models, those that nobody will ask for.
        check_digest: hold the loaded state against the snapshot's digest as well as its checksums.

    Raises:
        JournalBroken: a frame is missing, swapped, edited or unreadable; with its sequence.
        SnapshotRefused: the newest snapshot is not of this journal.
        TimeoutError: the server sent nothing for :data:`replay.source.STALL_S`.
    """
    _, last = await source.bounds()
    if until_sequence is not None:
        last = min(last, until_sequence)
    history = None
    if snapshots is not None and not from_zero:
        history = await start_from(
            source,
            snapshots,
            until_sequence=until_sequence,
            until_time=until_time,
            projections=projections,
            cache=cache,
            leave=leave,
            check_digest=check_digest,
        )
    if history is None:
        history = new_history(cache, projections)
    frames = unstalled(
        source.frames(history.sequence + 1, last, history.head),
        lambda: f"no frame after {history.sequence:,} of {last:,}",
    )
    with no_collection():
        async with aclosing(frames):
            async for batch in frames:
                if not _apply(history, batch, until_time):
                    break
                if progress is not None:
                    progress(history.sequence, last, history.events)
    return history


def _apply(history: History, batch: Iterable[StoredFrame], until_time: int | None) -> bool:
    """Apply a batch; False when a commit lies behind ``until_time``."""
    return all(history.apply(stored, until=until_time) for stored in batch)


def new_history(cache: CacheConfig, projections: bool = True) -> History:
    """A history before the first frame."""
    return over(Partition(), cache, projections)


def over(partition: Partition, cache: CacheConfig, projections: bool = True) -> History:
    """A history over a partition, its read models still empty."""
    models = Projections(partition, cache.max_size, cache.default_ttl) if projections else None
    return History(partition, models)


async def start_from(
    source: Source,
    snapshots: Snapshots,
    *,
    until_sequence: int | None = None,
    until_time: int | None = None,
    projections: bool = True,
    cache: CacheConfig = _NO_CACHE,
    leave: Collection[Part] = (),
    check_digest: bool = False,
) -> History | None:
    """The history that the newest good snapshot holds, checked against the journal; None when there is none.

    Raises:
        SnapshotRefused: it is ahead of the journal, or of another one.
    """
    for snapshot in snapshots.newest_first(until_sequence, until_time):
        header = snapshot.header
        await check_against_journal(source, snapshot)
        try:
            history = over(snapshot.load_state(check_digest), cache, projections)
            if history.projections is not None:
                snapshot.load_projections(history.projections, leave)
        except SnapshotDamaged as error:
            log.warning("snapshot skipped for the one before: %s", error)
            continue
        history.sequence, history.head, history.before = header.sequence, header.head, header.events
        return history
    return None


async def check_against_journal(source: Source, snapshot: Snapshot) -> None:
    """Hold a snapshot's sequence and chain head against the journal's frame there.

    A frame that was trimmed cannot be compared; then the first frame read after it must follow the snapshot's head.

    Raises:
        SnapshotRefused: with both sides.
    """
    header = snapshot.header
    first, last = await source.bounds()
    if header.sequence > last:
        raise SnapshotRefused(
            f"{snapshot.path} is at sequence {header.sequence:,}, but the journal ends at {last:,}: the journal has lost"
            " frames, or the data directory belongs to another one. Restore the journal, or point to the right"
            " directory; or accept the loss with `oms replay accept-loss`"
        )
    if first <= header.sequence:
        stored = await source.frame(header.sequence)
        if stored is not None and stored.digest != header.head:
            raise SnapshotRefused(
                f"{snapshot.path} was taken after frame {header.sequence:,} with digest {header.head}, but the journal's"
                f" has {stored.digest}: the journal was replaced, or the data directory belongs to another one"
            )
