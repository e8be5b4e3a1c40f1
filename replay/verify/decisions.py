"""Re-decision: the recorded commands decided again by today's code must give the very same commits."""

import time
from typing import Final

import msgspec

from oms.aggregates import image
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import handle
from oms.messages.events import Sealed
from oms.messages.frames import Commit, encode_commit
from replay.verify.report import Field, Finding, Found

MAX_DIFFERENCES: Final = 20
"""After so many, deciding again has told what it can."""


class Decider:
    """Decides every command again, on a state of its own.

    Args:
        compared: how many commits were decided. ``seconds``: spent on it.
    """

    def __init__(self) -> None:
        self._state = Partition()
        self.compared = 0
        self.differences = 0
        self.seconds = 0.0

    @property
    def done(self) -> bool:
        """Whether nothing more is to be learnt."""
        return self.differences >= MAX_DIFFERENCES

    def decide(self, commit: Commit, sequence: int, index: int) -> Found | None:
        """Decide one commit's command; say what differs. After a difference comes :meth:`take_over`.

        Inside :data:`oms.aggregates.money.EXACT`.
        """
        started = time.perf_counter()
        self.compared += 1
        if type(commit.events[0]) is Sealed:
            # What it says is computed and not decided; :class:`replay.history.History` holds it against the state.
            return None
        try:
            outcome = handle(self._state, commit.subject, bytes(commit.command), commit.at, sequence)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return self._differs(commit, sequence, index, f"deciding it again fails: {error!r}", [])
        finally:
            self.seconds += time.perf_counter() - started
        if outcome.commit is None:
            return self._differs(commit, sequence, index, f"decided again it is {outcome.reply}", [])
        if encode_commit(outcome.commit) == encode_commit(commit):
            return None
        return self._differs(
            commit, sequence, index, "decided again it has other events", _fields(commit, outcome.commit)
        )

    def take_over(self, state: Partition) -> None:
        """Go on from the recorded state."""
        self._state = image.load(image.dump(state))

    def _differs(self, commit: Commit, sequence: int, index: int, message: str, fields: list[Field]) -> Found:
        self.differences += 1
        verb = commit.subject.partition(".")[0]
        return Found(
            kind=Finding.DECISION,
            sequence=sequence,
            commit=index,
            message=f"{verb}: {message}"[:1_000],
            what=", ".join(type(event).__name__ for event in commit.events[:5]),
            fields=fields[:MAX_DIFFERENCES],
        )


def _fields(recorded: Commit, decided: Commit) -> list[Field]:
    found = []
    for number in range(max(len(recorded.events), len(decided.events))):
        was = _event(recorded, number)
        now = _event(decided, number)
        name = f"event {number} {now.get('event') or was.get('event')}"
        found += [
            Field(entity=name, field=field, replayed=_text(now.get(field)), recorded=_text(was.get(field)))
            for field in {**was, **now}
            if was.get(field) != now.get(field)
        ]
    return found


def _event(commit: Commit, number: int) -> dict[str, object]:
    if number >= len(commit.events):
        return {}
    found: dict[str, object] = msgspec.to_builtins(commit.events[number])
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:200]
