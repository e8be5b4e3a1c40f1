"""Walk: every frame once, from the first, past everything that says something of it."""

import decimal
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeVar

import attrs
import msgspec

from oms.aggregates.money import EXACT
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame
from oms.messages.frames import GENESIS
from replay.archive import Segment
from replay.checks import split_checks
from replay.history import History
from replay.memory import no_collection
from replay.rebuild import Progress, new_history
from replay.snapshot import Snapshots
from replay.source import Source, unstalled
from replay.verify.chain import COPY_BYTES
from replay.verify.decisions import Decider
from replay.verify.models import HELD
from replay.verify.receipts import Witness
from replay.verify.report import Finding, Report
from replay.verify.segments import Segments
from replay.verify.snapshots import Stops
from replay.verify.state import Replayer, changed_fields, fields_of_all

T = TypeVar("T")
_COPY_DIGITS: Final = 2 * COPY_BYTES


@attrs.define(slots=False, eq=False)
class Walk:
    """One pass over what ``source`` has; it ends where that breaks, and goes on without state where a commit cannot be applied.

    Args:
        segments: of the archive, when ``source`` reads it.
        thorough: decide every command again, and make the read models too.

    Attributes:
        copies: what :class:`replay.verify.chain.Chain` needs of the archive's frames.
    """

    source: Source
    report: Report
    data_dir: Path
    snapshots: Snapshots
    segments: Sequence[Segment]
    thorough: bool
    witness: Witness = attrs.field(init=False)
    copies: bytearray = attrs.field(init=False, factory=bytearray)
    _segments: Segments = attrs.field(init=False)
    _stops: Stops = attrs.field(init=False)
    _replayer: Replayer = attrs.field(init=False)
    _decider: Decider | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.witness = Witness(self.data_dir, self.report)
        self._segments = Segments(self.segments, self.report)
        self._stops = Stops(self.snapshots, self.report)
        self._replayer = Replayer(self.report, new_history(HELD, projections=self.thorough))
        self._decider = Decider() if self.thorough else None

    async def all(self, last: int, progress: Progress | None) -> None:
        """Walk up to ``last``.

        Raises:
            JournalBroken: where what the source holds is not one chain of frames that can be read.
            TimeoutError: the server gave nothing for :data:`replay.source.STALL_S`.
        """
        with no_collection():
            async with aclosing(self._batches(last)) as batches:
                async for batch in batches:
                    for stored in batch:
                        self._frame(stored)
                    if progress is not None:
                        progress(self.report.last, last, self.report.events)

    def _batches(self, last: int) -> AsyncGenerator[list[StoredFrame], None]:
        return unstalled(self.source.frames(1, last, GENESIS, with_checks=True))

    def _frame(self, stored: StoredFrame) -> None:
        report, replayer = self.report, self._replayer
        if stored.checks is not None:
            report.archived += 1
            self._segments.frame(stored)
            self.copies += bytes.fromhex(stored.digest[:_COPY_DIGITS])
        report.frames += 1
        report.last, report.head = stored.sequence, stored.digest
        report.commits += len(stored.frame.commits)
        if not replayer.stopped:
            self._replay(stored)
        self.witness.frame(stored)
        if not replayer.stopped:
            diverged = replayer.diverged
            self._stops.at(replayer.history, None if diverged is None else diverged[2])

    def _replay(self, stored: StoredFrame) -> None:
        report, replayer = self.report, self._replayer
        checks = self._checks(stored)
        replayer.history.begin(stored)
        with decimal.localcontext(EXACT):
            for index, commit in enumerate(stored.frame.commits):
                replayer.commit(stored, index, commit, checks[index] if checks else None)
                if replayer.stopped:
                    return
                report.events += len(commit.events)
                if self._decider is not None and not self._decider.done:
                    found = self._decider.decide(commit, stored.sequence, index)
                    if found is not None:
                        report.add(found)
                        self._decider.take_over(replayer.history.partition)
        replayer.history.end(stored)
        report.at = replayer.history.at

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

    async def end(self, held: int, durable: int | None) -> None:
        """Say what is stated of frames behind the last there is, and the figures.

        Args:
            held: the last in the archive.
            durable: without a journal, the last that was durable at first: what came later is not looked at.
        """
        report, history = self.report, self._replayer.history
        # A system that runs has gone on meanwhile, and its receipts with it.
        self.witness.drain()
        last = max((await self.source.given())[1], held)
        self.witness.end(last, durable)
        self._stops.end(last)
        report.journal_id, report.version = history.partition.journal_id, history.partition.version
        if not self._replayer.stopped:
            report.digest = history.partition.digest()
        report.seals, report.other_seals = history.seals, history.other_seals
        if self._decider is not None:
            report.decided, report.deciding = self._decider.compared, self._decider.seconds

    async def explain(self) -> None:
        """Name what the first diverging commit changes, by this code."""
        if self._replayer.diverged is None or not self._replayer.diverged[2]:
            return
        sequence, index, entities = self._replayer.diverged
        history = History(on_seal=lambda *_: None)
        async with aclosing(self._batches(sequence)) as batches:
            async for batch in batches:
                for stored in batch:
                    if stored.sequence < sequence:
                        history.apply(stored)
        with decimal.localcontext(EXACT):
            for number, commit in enumerate(stored.frame.commits[: index + 1]):
                if number == index:
                    before = fields_of_all(history.partition, entities)
                history.step(sequence, number, commit)
        fields = changed_fields(before, fields_of_all(history.partition, entities))
        for number, found in enumerate(self.report.findings):
            if found.kind is Finding.STATE and (found.sequence, found.commit) == (sequence, index):
                self.report.findings[number] = msgspec.structs.replace(found, fields=fields)
