"""Trim: the journal keeps so many days. What is older goes, a segment of the archive at a time, and only when all of this holds:

- the archive's segment is sealed, and every frame in it is older than the days to keep;
- a snapshot at its end or later is on disk, whole, and of this journal: engine and follower start from it;
- it is not among the last :data:`KEPT_FRAMES` frames;
- the segment, read back just now, is what its manifest says, and ends with the very frame that the journal has there: by
  the chain, all frames before it are the journal's, too.

The stream is purged up to a sequence; its settings, ``deny_delete`` among them, stay as they are.
"""

import asyncio
import datetime
import logging
from typing import Final

import attrs
from nats.aio.client import Client

from oms.config import CacheConfig
from oms.encryption import Keys
from oms.journal.reader import read_frame
from oms.journal.stream import STREAM
from replay.archive import Archive, ArchiveBroken, Segment, verify_segment
from replay.rebuild import SnapshotRefused, check_against_journal, over
from replay.snapshot import Snapshot, SnapshotDamaged, Snapshots
from replay.source import Source, journal_bounds

log = logging.getLogger(__name__)

KEPT_FRAMES: Final = 1_000
"""The last frames are never trimmed, however old: readers a little behind still find them."""
TIMEOUT_S: Final = 30.0
_DAY_NS: Final = 86_400 * 10**9


@attrs.frozen
class Trimmed:
    """What a call did.

    Args:
        first: sequence that the journal begins at now.
        frames: how many went.
        why: why it went no further.
    """

    first: int
    frames: int
    why: str


async def trim(
    nc: Client, archive: Archive, keys: Keys | None, snapshots: Snapshots, days: int, now: int
) -> Trimmed:
    """Trim what may go.

    Args:
        keys: what the archive is encrypted with.
        days: frames whose commits are younger stay.
        now: wall clock, UTC ns.

    Raises:
        ArchiveBroken: the archive is not what it must be; what it holds stays in the journal.
        nats.errors.Error, TimeoutError: the server did not purge: may this user?
    """
    begin, last = await journal_bounds(nc)
    segments = await asyncio.to_thread(archive.segments)
    covered: int | None = None
    first, why = begin, "the archive holds nothing more"
    for segment in (each for each in segments if each.last >= begin):
        refusal = _refusal(segment, first, last, days, now)
        if refusal is None:
            if covered is None:
                covered = await _covered(nc, snapshots)
            if covered < segment.last:
                refusal = f"the newest good snapshot of this journal is at {covered:,}, before frame {segment.last:,}"
        if refusal is not None:
            why = refusal
            break
        await _verify(nc, segment, keys)
        await nc.jetstream(timeout=TIMEOUT_S).purge_stream(STREAM, seq=segment.last + 1)
        first, _ = await journal_bounds(nc)
        log.info("the journal begins at frame %d now; %s ends with the one before", first, segment.path)
    return Trimmed(first, first - begin, why)


def _refusal(segment: Segment, first: int, last: int, days: int, now: int) -> str | None:
    """Why a segment's frames must stay in the journal, None when nothing but the snapshot is left to be looked at."""
    if segment.first > first:
        return f"the archive begins at {segment.first:,}: frame {first:,} is in the journal alone"
    if segment.manifest is None:
        return f"the archive from frame {segment.first:,} on is not sealed yet"
    youngest = segment.manifest.at_last
    if youngest > now - days * _DAY_NS:
        at = datetime.datetime.fromtimestamp(youngest // 10**9, datetime.UTC)
        return f"frame {segment.last:,} is of {at:%Y-%m-%d %H:%M:%S} UTC, younger than {days} days"
    if segment.last > last - KEPT_FRAMES:
        return f"frame {segment.last:,} is among the last {KEPT_FRAMES:,}"
    return None


async def _covered(nc: Client, snapshots: Snapshots) -> int:
    """How far the newest good snapshot of this journal reaches, 0 without one. It is read and its state is loaded."""
    found = snapshots.newest_first()
    while (snapshot := await asyncio.to_thread(next, found, None)) is not None:
        try:
            await asyncio.to_thread(_load, snapshot)
            await check_against_journal(Source(nc), snapshot)
        except (SnapshotDamaged, SnapshotRefused) as error:
            log.warning("not trimming behind a snapshot: %s", error)
            continue
        return snapshot.header.sequence
    return 0


def _load(snapshot: Snapshot) -> None:
    models = over(snapshot.load_state(check_digest=True), CacheConfig()).projections
    assert models is not None, "asked for"
    snapshot.load_projections(models)


async def _verify(nc: Client, segment: Segment, keys: Keys | None) -> None:
    """Read a segment back, and hold its end against the journal.

    Raises:
        ArchiveBroken: it is not what was written, or not of this journal.
    """
    report = await asyncio.to_thread(verify_segment, segment.path, keys)
    held = await read_frame(nc, segment.last)
    if held is None or held.digest != report.manifest.head:
        raise ArchiveBroken(
            segment.path,
            segment.last,
            f"frame {segment.last:,} has digest {report.manifest.head}, in the journal"
            + (" it is missing" if held is None else f" {held.digest}")
            + ": nothing is trimmed",
        )
