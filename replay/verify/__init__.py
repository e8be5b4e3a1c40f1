"""Verification: proof, from the first frame on, that the record is whole and that this code comes to what it says.

Held against each other: the hash chain, journal and archive, receipts and mark, the archive's checks and the journal's seals
against the replayed state, snapshots, and the recorded commands decided again. What is wrong is located: the frame, the
commit, the entity and the field, or the file.
"""

import asyncio
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.mark import FILE, read_mark
from oms.journal.receipts import DIRECTORY
from replay.archive import Archive, ArchiveBroken, Segment
from replay.archive.manifest import NO_MANIFEST
from replay.rebuild import Progress
from replay.snapshot import Snapshots
from replay.source import Source, unstalled
from replay.verify.chain import Chain
from replay.verify.report import Field, Finding, Found, Report
from replay.verify.walk import Walk

__all__ = ["Field", "Finding", "Found", "Report", "verify"]

ARCHIVE_LAG_S: Final = 3.0
"""So far the archive of a running system may be behind the mark."""
_AGAIN_S: Final = 0.05


async def verify(
    source: Source,
    data_dir: Path,
    snapshots: Snapshots,
    archive: Archive,
    *,
    decisions: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Verify all there is.

    Args:
        source: journal and archive; ``archive`` once more, for its segments.
        data_dir: where receipts are.
        decisions: decide every command again, which takes most of the time, and hold the read models of snapshots too.

    Raises:
        TimeoutError, nats.errors.Error: the server does not answer.
    """
    started = time.perf_counter()
    report = Report()
    durable = await _durable(archive, data_dir) if source.journal is None else None
    found = _held(archive, report)
    if found is None:
        if source.journal is None:
            # Nothing can be read: what mark and snapshots say of it is not that it is gone.
            return report
        source = source.journal
    held, segments = found or ((1, 0), [])
    first, last, counted = await source.given()
    _ends(report, source, held[1], last, counted)
    there = _There(first, last, *held)
    before = list(report.findings)
    walk = Walk(source, report, data_dir, snapshots, segments, decisions)
    broken = await _walk(walk, there, progress)
    if broken is not None and await _of_archive(broken, source, there, report):
        damage = await _narrowed(broken, source, report)
        if source.journal is None or first > 1:
            report.add(damage)
        else:
            # The journal has all of it: it must not go unverified because the archive is broken.
            report = Report(findings=[*before, damage], segments=report.segments)
            source, there = source.journal, _There(first, last, 1, 0)
            walk = Walk(source, report, data_dir, snapshots, [], decisions)
            broken = await _walk(walk, there, progress)
            await _look(walk, there, broken)
    else:
        await _look(walk, there, broken)
    await walk.end(there.held, durable)
    await walk.explain()
    report.seconds = time.perf_counter() - started
    return report


async def _durable(archive: Archive, data_dir: Path) -> int | None:
    """The last frame that is durable now, by the mark; waits for the archive of a running system to have it."""
    mark = read_mark(data_dir / DIRECTORY / FILE).mark
    if mark is None:
        return None
    end = time.monotonic() + ARCHIVE_LAG_S
    with suppress(ArchiveBroken):
        while archive.bounds()[1] < mark.sequence and time.monotonic() < end:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(_AGAIN_S)
    return mark.sequence


@attrs.frozen
class _There:
    """What there is: first and last frame that the journal gives, and that the archive holds."""

    first: int
    last: int
    held_first: int
    held: int

    @property
    def end(self) -> int:
        """The last frame of either."""
        return max(self.last, self.held)


async def _walk(walk: Walk, there: _There, progress: Progress | None) -> JournalBroken | None:
    """Walk along all; return what ended it before its end."""
    report = walk.report
    report.first = min(there.first, there.held_first) if there.held else there.first
    if report.first > 1:
        return JournalBroken(
            JournalFault.GAP,
            1,
            f"the history begins at frame {report.first:,}: nothing proves it from its start",
        )
    try:
        await walk.all(there.end, progress)
    except JournalBroken as error:
        return error
    return None


async def _look(walk: Walk, there: _There, broken: JournalBroken | None) -> None:
    """Look at the journal's bytes: where the archive has a copy, and everywhere when the walk broke."""
    # One frame more than there are copies of tells whether the journal goes on from the last copy or from its own frame.
    upto = min(there.last, there.held + 1) if broken is None and there.held else there.last if broken else 0
    chain = Chain(walk.report, there.first, bytes(walk.copies), walk.witness, walk.report.last)
    async with aclosing(unstalled(walk.source.payloads(there.first, upto))) as payloads:
        async for batch in payloads:
            for sequence, payload in batch:
                chain.frame(sequence, payload)
    chain.end()
    if broken is None or chain.found:
        return
    written = broken.fault is JournalFault.UNREADABLE and not chain.disputed
    walk.report.add(
        Found(
            kind=Finding.CODE if written else Finding.JOURNAL,
            sequence=broken.sequence,
            message=f"{broken.fault}: {broken.message}",
        )
    )


def _held(archive: Archive, report: Report) -> tuple[tuple[int, int], list[Segment]] | None:
    """The archive's bounds and segments; None when it cannot be read, which is then a finding."""
    try:
        held = archive.bounds()
        segments = archive.segments()
    except ArchiveBroken as error:
        report.add(_archive_found(error))
        return None
    report.segments = sum(segment.manifest is not None for segment in segments)
    if segments and segments[0].manifest is not None and segments[0].manifest.previous != NO_MANIFEST:
        gone = ArchiveBroken(segments[0].path, 1, "is not the first segment: the one before it is missing")
        report.add(_archive_found(gone))
        return None
    return held, segments


def _ends(report: Report, source: Source, held: int, last: int, counted: int) -> None:
    """Hold the journal's end against what is known of it beforehand."""
    if counted > last:
        report.add(
            Found(
                kind=Finding.JOURNAL,
                sequence=last + 1,
                last=counted if counted > last + 1 else 0,
                message=f"the journal's server counts frames up to {counted:,}, but gives none behind {last:,}: they were"
                " deleted, or its store is damaged",
            )
        )
    elif source.journal is not None and held > last:
        report.add(
            Found(
                kind=Finding.LOST,
                sequence=last + 1,
                last=held if held > last + 1 else 0,
                message=f"the journal ends at {last:,}, the archive holds frames up to {held:,}: the journal has lost them."
                " `oms replay restore` puts them back",
            )
        )


async def _of_archive(broken: JournalBroken, source: Source, there: _There, report: Report) -> bool:
    """Whether what broke is the archive, and neither the seam behind it nor the journal."""
    if broken.fault is JournalFault.ARCHIVE:
        return True
    if report.last >= there.held or report.first > 1:
        return False
    if broken.fault is not JournalFault.UNREADABLE or source.journal is None:
        return broken.fault is not JournalFault.UNREADABLE
    try:
        return await source.journal.frame(broken.sequence) is not None
    except JournalBroken:
        return False


async def _narrowed(broken: JournalBroken, source: Source, report: Report) -> Found:
    """What is wrong with the archive; of two frames that do not follow each other, the one that the journal has otherwise."""
    found = _archive_found(broken)
    if broken.fault is not JournalFault.CHAIN:
        return found
    before = None if source.journal is None else await source.journal.frame(report.last)
    if before is None:
        return msgspec.structs.replace(found, sequence=report.last, last=broken.sequence)
    changed = before.digest != report.head
    return msgspec.structs.replace(found, sequence=report.last if changed else broken.sequence)


def _archive_found(error: JournalBroken) -> Found:
    what = str(error.path) if isinstance(error, ArchiveBroken) else ""
    return Found(kind=Finding.ARCHIVE, sequence=error.sequence, message=error.message, what=what)
