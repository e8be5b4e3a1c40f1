"""Span: a part of the history, from one moment to another, and the one way to walk through it.

What walks is told every event of the span, with the state as it was right after that event. The frames before the span
make the state it starts from; all are held against the chain and the seals.
"""

import decimal
from contextlib import aclosing
from typing import Any, Protocol

import attrs

from oms.aggregates.money import EXACT
from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from replay.asking.asof import Unanswerable, check_history
from replay.asking.moment import Moment, iso
from replay.history import EventId, History
from replay.memory import no_collection
from replay.rebuild import Progress, rebuild
from replay.snapshot import Snapshots
from replay.source import Source, unstalled


class SpanRefused(Unanswerable):
    """A span that the history does not have. The message says what it has."""


class SpanReversed(SpanRefused):
    """A span from a sequence to a time, or the other way, whose end comes first in this history."""


@attrs.frozen(kw_only=True)
class Span:
    """Frames ``first`` to ``last`` and of them the commits at ``since`` to ``until``, all included; None is open.

    Args:
        since, until: UTC ns.
    """

    first: int = 1
    last: int | None = None
    since: int | None = None
    until: int | None = None

    @staticmethod
    def between(start: Moment | None, end: Moment | None) -> "Span":
        """The span from one moment to another; None is the history's own start or end.

        Raises:
            SpanRefused: it ends before it starts.
        """
        found = Span(
            first=1 if start is None or start.sequence is None else max(start.sequence, 1),
            last=None if end is None else end.sequence,
            since=None if start is None else start.time,
            until=None if end is None else end.time,
        )
        backwards = (found.last is not None and found.last < found.first) or (
            found.since is not None and found.until is not None and found.until < found.since
        )
        if backwards:
            raise SpanRefused(f"the span must not end before it starts, was from {start} to {end}")
        return found

    @property
    def end(self) -> Moment | None:
        """Where it ends; None for the history's own end."""
        if self.until is not None:
            return Moment(time=self.until)
        return None if self.last is None else Moment(sequence=self.last)

    def holds(self, at: int) -> bool:
        """Whether a commit at this time, UTC ns, is meant."""
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


class Visitor(Protocol):
    """What is told of a span. Called inside :data:`oms.aggregates.money.EXACT`."""

    def begin(self, stored: StoredFrame) -> None:
        """A frame with a commit of the span comes; the state is that before it, or before the span's first commit."""

    def event(self, event: Any, at: int, place: EventId) -> None:
        """An event of the span was applied, in a commit of the frame begun last."""

    def end(self) -> None:
        """The frame, or what the span has of it, is applied."""


async def before(
    source: Source,
    snapshots: Snapshots | None,
    span: Span,
    *,
    ends_now: bool = True,
    projections: bool = True,
    cache: CacheConfig | None = None,
    progress: Progress | None = None,
) -> History:
    """The state that the span starts from. Arguments and errors as :func:`replay.rebuild.rebuild` has them.

    Args:
        ends_now: as :func:`replay.asking.asof.as_of` has it.

    Raises:
        Unanswerable: there is no history.
        SpanRefused: it ends before the span starts, or before its last frame, or what is known does before a time of the
            span.
        SpanReversed: its end is before its start.
    """
    _, end = check_history(await source.bounds())
    for asked in (span.first, span.last or 0):
        if asked > end:
            raise SpanRefused(f"the history ends at sequence {end:,}, was asked for {asked:,}")
    if not ends_now:
        await _check_known(source, span, end)
    history = await rebuild(
        source,
        snapshots,
        until_sequence=span.first - 1 if span.since is None else span.last,
        until_time=None if span.since is None else span.since - 1,
        projections=projections,
        cache=cache or CacheConfig(),
        progress=progress,
    )
    if span.first > 1 and span.until is not None and span.until < history.at:
        raise SpanReversed(
            f"the span must not end before it starts: before sequence {span.first:,} it was {iso(history.at)}"
        )
    if span.since is not None and span.last is not None and span.last <= history.sequence:
        raise SpanReversed(
            f"the span must not end before it starts: at sequence {span.last:,} it was {iso(history.at)}"
        )
    return history


async def _check_known(source: Source, span: Span, end: int) -> None:
    """Refuse a span by time that goes on behind the last commit: what came then is not here."""
    time = span.since if span.until is None else span.until
    if time is None:
        return
    found = await source.frame(end)
    assert found is not None, "the last frame is within the bounds"
    at = found.frame.commits[-1].at
    if time > at:
        raise SpanRefused(f"{iso(time)} is not known: what is here ends at sequence {end:,}, {iso(at)}")


async def walk(
    source: Source, history: History, span: Span, visitor: Visitor, progress: Progress | None = None
) -> None:
    """Move ``history`` from before the span to its end, and tell the visitor.

    Raises:
        JournalBroken: at the first frame that is not what it must be.
        TimeoutError: the server sent nothing for :data:`replay.source.STALL_S`.
    """
    _, last = await source.bounds()
    if span.last is not None:
        last = min(last, span.last)
    frames = unstalled(
        source.frames(history.sequence + 1, last, history.head),
        lambda: f"no frame after {history.sequence:,} of {last:,}",
    )
    with no_collection():
        async with aclosing(frames):
            async for batch in frames:
                for stored in batch:
                    if not advance(history, stored, span, visitor):
                        return
                if progress is not None:
                    progress(history.sequence, last, history.events)


def advance(history: History, stored: StoredFrame, span: Span, visitor: Visitor) -> bool:
    """Apply the next frame, from the commit on where ``history`` stands in it; False when the span ends in or before it."""
    commits = stored.frame.commits
    start = history.part
    stop = len(commits)
    while stop > start and span.until is not None and commits[stop - 1].at > span.until:
        stop -= 1
    told = any(span.holds(commit.at) for commit in commits[start:stop])
    with decimal.localcontext(EXACT):
        if told:
            visitor.begin(stored)
        for index in range(start, stop):
            commit = commits[index]
            history.step(stored.sequence, index, commit, visitor.event if span.holds(commit.at) else None)
        whole = stop == len(commits)
        history.part = 0 if whole else stop
        if whole:
            history.end(stored)
        if told:
            visitor.end()
    return whole
