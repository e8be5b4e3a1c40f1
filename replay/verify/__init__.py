"""Verification: proof, from the first frame on, that the record is whole and that this code comes to what it says.

Held against each other: the hash chain, journal and archive, receipts and mark, the archive's checks and the journal's seals
against the replayed state, snapshots, and the recorded commands decided again. What is wrong is located: the frame, the
commit, the entity and the field.
"""

import asyncio
import decimal
import time
from contextlib import aclosing
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms import __version__
from oms.aggregates.money import EXACT
from oms.code import is_newer
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame
from oms.messages.frames import GENESIS
from replay.archive import Archive
from replay.checks import split_checks
from replay.history import History
from replay.memory import no_collection
from replay.rebuild import Progress
from replay.snapshot import Snapshots
from replay.source import Source
from replay.verify.decisions import Decider
from replay.verify.receipts import Witness
from replay.verify.report import Field, Finding, Found, Report
from replay.verify.snapshots import Stops
from replay.verify.state import Replayer, changed_fields

__all__ = ["Field", "Finding", "Found", "Report", "verify"]

_KINDS: Final = {
    JournalFault.CLOCK: Finding.CLOCK,
    JournalFault.ARCHIVE: Finding.ARCHIVE,
    JournalFault.LOST: Finding.LOST,
}
_PREFIX: Final = 8
"""Bytes of a frame's digest that are kept to compare archive and journal: enough to tell frames apart, little for millions."""


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
        decisions: decide every command again too, which takes most of the time.
    """
    report = Report()
    started = time.perf_counter()
    walk = _Walk(source, report, Witness(data_dir, report), Stops(snapshots, report), decisions)
    try:
        report.segments = sum(segment.manifest is not None for segment in archive.segments())
        report.first, last = await source.bounds()
        with no_collection():
            await walk.all(last, progress)
        await walk.compare()
    except JournalBroken as error:
        report.add(
            Found(
                kind=_KINDS.get(error.fault, Finding.JOURNAL),
                sequence=error.sequence,
                message=f"{error.fault}: {error.message}",
            )
        )
    await walk.end()
    await walk.explain()
    report.seconds = time.perf_counter() - started
    return report


@attrs.define(slots=False, eq=False)
class _Walk:
    source: Source
    report: Report
    witness: Witness
    stops: Stops
    decisions: bool
    replayer: Replayer = attrs.field(init=False)
    decider: Decider | None = attrs.field(init=False)
    _archived: bytearray = attrs.field(init=False, factory=bytearray)
    _whole: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.replayer = Replayer(self.report)
        self.decider = Decider() if self.decisions else None

    @property
    def history(self) -> History:
        return self.replayer.history

    async def all(self, last: int, progress: Progress | None) -> None:
        """Every frame, once: from the archive as far as it goes, then from the journal."""
        if self.report.first > 1:
            raise JournalBroken(
                JournalFault.GAP,
                1,
                f"the history begins at frame {self.report.first:,}: nothing proves it from its start",
            )
        async with aclosing(self.source.frames(1, last, GENESIS, with_checks=True)) as frames:
            async for batch in frames:
                for stored in batch:
                    self._frame(stored)
                if progress is not None:
                    progress(self.history.sequence, last, self.report.events)
                await asyncio.sleep(0)
        self._whole = True

    def _frame(self, stored: StoredFrame) -> None:
        report = self.report
        if stored.checks is not None:
            report.archived += 1
            self._archived += bytes.fromhex(stored.digest[: 2 * _PREFIX])
        report.frames += 1
        report.last, report.head = stored.sequence, stored.digest
        checks = self._checks(stored)
        self.history.begin(stored)
        with decimal.localcontext(EXACT):
            for index, commit in enumerate(stored.frame.commits):
                self.replayer.commit(stored, index, commit, checks[index] if checks else None)
                report.commits += 1
                report.events += len(commit.events)
                if self.decider is not None and not self.decider.done:
                    found = self.decider.decide(commit, stored.sequence, index)
                    if found is not None:
                        report.add(found)
                        self.decider.take_over(self.history.partition)
        self.history.end(stored)
        report.at = self.history.at
        self.witness.frame(stored)
        diverged = self.replayer.diverged
        self.stops.at(self.history, None if diverged is None else diverged[2])

    def _checks(self, stored: StoredFrame) -> list[list[bytes]] | None:
        if not stored.checks:
            return None
        try:
            checks = list(split_checks(stored.checks))
        except ValueError as error:
            raise JournalBroken(JournalFault.ARCHIVE, stored.sequence, str(error)) from None
        if len(checks) != len(stored.frame.commits):
            raise JournalBroken(
                JournalFault.ARCHIVE,
                stored.sequence,
                f"checks of {len(checks)} commits beside a frame of {len(stored.frame.commits)}",
            )
        return checks

    async def compare(self) -> None:
        """Hold what journal and archive both have against each other."""
        held = self.report.archived
        async with aclosing(self.source.journalled(held)) as frames:
            async for batch in frames:
                for stored in batch:
                    place = (stored.sequence - 1) * _PREFIX
                    self.report.compared += 1
                    if self._archived[place : place + _PREFIX] != bytes.fromhex(stored.digest[: 2 * _PREFIX]):
                        self.report.add(
                            Found(
                                kind=Finding.DIFFERS,
                                sequence=stored.sequence,
                                message="the archive holds another frame here than the journal: one of them was written anew"
                                " from here on",
                            )
                        )
                        return

    async def end(self) -> None:
        """Say what is stated of frames that are not there, and the figures."""
        report, history = self.report, self.history
        if self._whole:
            # A system that runs has gone on meanwhile, and its receipts with it.
            _, last = await self.source.bounds()
            self.witness.end(last)
            self.stops.end(last)
        partition = history.partition
        report.journal_id, report.version = partition.journal_id, partition.version
        report.digest = partition.digest()
        report.seals, report.other_seals = history.seals, history.other_seals
        if self.decider is not None:
            report.decided, report.deciding = self.decider.compared, self.decider.seconds
        if is_newer(partition.version, __version__):
            report.add(
                Found(
                    kind=Finding.CODE,
                    sequence=history.sequence,
                    message=f"version {partition.version} has written this journal, this is {__version__}: verify with that one",
                )
            )

    async def explain(self) -> None:
        """Name what the first diverging commit changes, by this code."""
        if self.replayer.diverged is None:
            return
        sequence, index, entities = self.replayer.diverged
        if not entities:
            return
        before = await self._until(sequence, index)
        after = await self._until(sequence, index + 1)
        fields = changed_fields(before.partition, after.partition, entities)
        for number, found in enumerate(self.report.findings):
            if found.kind is Finding.STATE and (found.sequence, found.commit) == (sequence, index):
                self.report.findings[number] = msgspec.structs.replace(found, fields=fields)

    async def _until(self, sequence: int, commits: int) -> History:
        """The history, by this code, up to so many commits of a frame."""
        history = History(on_seal=lambda *_: None)
        async with aclosing(self.source.frames(1, sequence, GENESIS)) as frames:
            async for batch in frames:
                for stored in batch:
                    if stored.sequence < sequence:
                        history.apply(stored)
                        continue
                    with decimal.localcontext(EXACT):
                        for index, commit in enumerate(stored.frame.commits[:commits]):
                            history.step(sequence, index, commit)
        return history
