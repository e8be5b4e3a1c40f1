"""State: replaying must come, commit by commit, to the states that were recorded: in checks, seals and snapshots."""

from collections.abc import Sequence
from typing import Any, Final

from oms.aggregates import image
from oms.aggregates.digest import Noted, touched
from oms.aggregates.partition import Partition
from oms.journal.reader import StoredFrame
from oms.messages.events import Sealed
from oms.messages.frames import Commit
from replay.checks import WIDTH
from replay.history import History
from replay.verify.report import Field, Finding, Found, Report

MAX_FIELDS: Final = 40


class Replayer:
    """Replays, and holds every commit against what was recorded of it. Only the first divergence is told: all else follows.

    Attributes:
        diverged: (sequence, commit, entities) of the first divergence; entities are unknown where only a seal told it.
        sealed: place (sequence, commit) of the last seal that held.
    """

    def __init__(self, report: Report) -> None:
        self.history = History()
        self.report = report
        self.diverged: tuple[int, int, list[str]] | None = None
        self.sealed = (0, 0)
        self.history.on_seal = self._seal_differs

    def commit(self, stored: StoredFrame, index: int, commit: Commit, checks: list[bytes] | None) -> None:
        """Apply one commit, inside :data:`oms.aggregates.money.EXACT`.

        Raises:
            JournalBroken: CLOCK.
        """
        partition = self.history.partition
        try:
            self.history.step(stored.sequence, index, commit)
        except (AssertionError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
            self._diverge(
                stored.sequence,
                index,
                Found(
                    kind=Finding.CODE,
                    sequence=stored.sequence,
                    commit=index,
                    message=f"this code cannot apply it: {error!r}",
                    what=events_of(commit),
                ),
                [],
            )
            raise
        if type(commit.events[0]) is Sealed and self.diverged is None:
            self.sealed = (stored.sequence, index)
        noted = partition.changes.noted()
        hashes = partition.fold()
        if checks is None or self.diverged is not None:
            return
        self.report.checks += 1
        if [each[:WIDTH] for each in hashes] != checks:
            self._checks_differ(stored.sequence, index, commit, noted, hashes, checks)

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


def changed_fields(before: Partition, after: Partition, entities: Sequence[str]) -> list[Field]:
    """What a commit changed in these entities, by today's code; in any, when there are none."""
    old, new = _fields(before, entities), _fields(after, entities)
    return [
        Field(
            entity=entity,
            field=field,
            before=_text(old.get((entity, field))),
            replayed=_text(new.get((entity, field))),
        )
        for entity, field in {**old, **new}
        if _text(old.get((entity, field))) != _text(new.get((entity, field)))
    ][:MAX_FIELDS]


def recorded_fields(replayed: Partition, recorded: Partition, entities: Sequence[str]) -> list[Field]:
    """What differs between the replayed state and one recorded whole; of the entities, when any of them differs."""
    ours, theirs = _fields(replayed, ()), _fields(recorded, ())
    found = [
        Field(entity=entity, field=field, replayed=_text(ours.get(place)), recorded=_text(theirs.get(place)))
        for place in {**ours, **theirs}
        if _text(ours.get(place)) != _text(theirs.get(place))
        for entity, field in (place,)
    ]
    named = [field for field in found if field.entity in entities]
    return (named or found)[:MAX_FIELDS]


def _fields(state: Partition, entities: Sequence[str]) -> dict[tuple[str, str], Any]:
    wanted = set(entities)
    return {
        (name, field.lstrip(".")): value
        for name, entity in image.entities(state)
        if not wanted or name in wanted
        for field, value in image.fields_of(entity).items()
    }


def _text(value: Any) -> str | None:
    return None if value is None else f"{value}"[:200]
