"""State: replaying must come, commit by commit, to the states that were recorded: in checks, seals and snapshots."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from oms import __version__
from oms.aggregates import image
from oms.aggregates.digest import Noted, touched
from oms.aggregates.partition import Partition
from oms.code import code_digest, is_newer
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import StoredFrame
from oms.messages.events import EngineStarted, Sealed
from oms.messages.frames import Commit
from replay.checks import WIDTH
from replay.history import History
from replay.verify.report import Field, Finding, Found, Report

MAX_FIELDS: Final = 40


class Replayer:
    """Replays, and holds every commit against what was recorded of it. Only the first divergence is told: all else follows.

    Args:
        history: before the first frame.

    Attributes:
        diverged: (sequence, commit, entities) of the first divergence; entities are unknown where only a seal told it.
        sealed: place (sequence, commit) of the last seal that held.
        stopped: a commit could not be applied, so that the state is none any more.
    """

    def __init__(self, report: Report, history: History) -> None:
        self.history = history
        self.report = report
        self.diverged: tuple[int, int, list[str]] | None = None
        self.sealed = (0, 0)
        self.stopped = False
        self.history.on_seal = self._seal_differs
        self._code = ""
        self._newer = False

    def commit(self, stored: StoredFrame, index: int, commit: Commit, checks: list[bytes] | None) -> None:
        """Apply one commit, inside :data:`oms.aggregates.money.EXACT`, unless that :attr:`stopped` before."""
        partition, sequence = self.history.partition, stored.sequence
        seals = self.history.seals
        try:
            self.history.step(sequence, index, commit)
        except JournalBroken as error:
            kind = Finding.CLOCK if error.fault is JournalFault.CLOCK else Finding.JOURNAL
            self._stop(kind, sequence, index, commit, error.message)
            return
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            self._stop(Finding.CODE, sequence, index, commit, f"this code cannot apply it: {error!r}")
            return
        if self.history.seals > seals:
            self._seal_holds(sequence, index)
        elif commit.subject.startswith("start."):
            self._started(sequence, index, commit)
        noted = partition.changes.noted()
        hashes = partition.fold()
        if checks is None or self.diverged is not None:
            return
        self.report.checks += 1
        if [each[:WIDTH] for each in hashes] != checks:
            self._checks_differ(sequence, index, commit, noted, hashes, checks)

    def _stop(self, kind: Finding, sequence: int, index: int, commit: Commit, message: str) -> None:
        self.stopped = True
        self.report.add(
            Found(kind=kind, sequence=sequence, commit=index, message=message, what=events_of(commit))
        )

    def _started(self, sequence: int, index: int, commit: Commit) -> None:
        """Note which code writes from here on."""
        for event in commit.events:
            if type(event) is not EngineStarted:
                continue
            self._code = event.code
            if is_newer(event.version, __version__) and not self._newer:
                self._newer = True
                self.report.add(
                    Found(
                        kind=Finding.CODE,
                        sequence=sequence,
                        commit=index,
                        message=f"version {event.version} writes from here on, this is {__version__}: verify with that one",
                        what=events_of(commit),
                    )
                )

    def _seal_holds(self, sequence: int, index: int) -> None:
        self.sealed = (sequence, index)
        if self.diverged is None or (self._code and self._code != code_digest()):
            return
        # The state is right here again, by the code that wrote it: it never was wrong, and the checks are.
        place, self.diverged = self.diverged[:2], None
        for number, found in enumerate(self.report.findings):
            if found.kind is Finding.STATE and (found.sequence, found.commit) == place:
                self.report.findings[number] = msgspec.structs.replace(
                    found,
                    kind=Finding.ARCHIVE,
                    message=f"the archive's checks of {found.what} are not those of the state, which the seal in frame"
                    f" {sequence:,} proves: the archive was changed",
                )

    def _checks_differ(
        self,
        sequence: int,
        index: int,
        commit: Commit,
        noted: Noted,
        hashes: list[bytes],
        checks: list[bytes],
    ) -> None:
        names = touched(self.history.partition, noted)
        if len(checks) == len(hashes):
            names = [
                name
                for name, ours, theirs in zip(names, hashes, checks, strict=True)
                if ours[:WIDTH] != theirs
            ]
        found = Found(
            kind=Finding.STATE,
            sequence=sequence,
            commit=index,
            message=f"{events_of(commit)} made another state of {', '.join(names)[:500]} than was recorded",
            what=events_of(commit),
        )
        self._diverge(sequence, index, found, names)

    def _seal_differs(self, sequence: int, index: int, seal: Sealed, found: str) -> None:
        if self.diverged is not None:
            return
        after, commit = self.sealed
        self._diverge(
            sequence,
            index,
            Found(
                kind=Finding.STATE,
                sequence=sequence,
                commit=index,
                message=f"the state sealed here has digest {seal.digest}, replayed it has {found}: it diverges behind"
                + (f" the seal in commit {commit} of frame {after:,}" if after else " the first frame"),
                what="Sealed",
            ),
            [],
        )

    def _diverge(self, sequence: int, index: int, found: Found, entities: list[str]) -> None:
        if self.diverged is None:
            self.diverged = (sequence, index, entities)
            self.report.add(found)


def events_of(commit: Commit) -> str:
    """The commit in a few words: its verb and its events."""
    names = [type(event).__name__ for event in commit.events]
    told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{commit.subject.partition('.')[0]}: {told}"


Fields = dict[tuple[str, str], Any]
"""Values by entity and field."""


def changed_fields(before: Fields, after: Fields) -> list[Field]:
    """What a commit changed, by today's code."""
    return [
        Field(
            entity=entity,
            field=field,
            before=_text(before.get((entity, field))),
            replayed=_text(after.get((entity, field))),
        )
        for entity, field in {**before, **after}
        if _text(before.get((entity, field))) != _text(after.get((entity, field)))
    ][:MAX_FIELDS]


def recorded_fields(replayed: Partition, recorded: Partition, entities: Sequence[str]) -> list[Field]:
    """What differs between the replayed state and one recorded whole; of the entities, when any of them differs."""
    ours, theirs = fields_of_all(replayed, ()), fields_of_all(recorded, ())
    found = [
        Field(entity=entity, field=field, replayed=_text(ours.get(place)), recorded=_text(theirs.get(place)))
        for place in {**ours, **theirs}
        if _text(ours.get(place)) != _text(theirs.get(place))
        for entity, field in (place,)
    ]
    named = [field for field in found if field.entity in entities]
    return (named or found)[:MAX_FIELDS]


def fields_of_all(state: Partition, entities: Sequence[str]) -> Fields:
    """Every field of these entities; of all there are, when none is named."""
    wanted = set(entities)
    return {
        (name, field.lstrip(".")): value
        for name, entity in image.entities(state)
        if not wanted or name in wanted
        for field, value in image.fields_of(entity).items()
    }


def _text(value: Any) -> str | None:
    return None if value is None else f"{value}"[:200]
