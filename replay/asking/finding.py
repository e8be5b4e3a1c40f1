"""Finding: where in the journal something stands, told from the frames' bytes before they are looked into.

An id stands in a frame as the JSON string that it is, so that a frame without these bytes says nothing of it.
"""

import decimal
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.money import EXACT
from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from oms.messages import events as e
from oms.messages.instructions import parse_venue_client_id
from replay.asking.asof import check_history
from replay.asking.steps import Steps
from replay.asking.story import Story, story
from replay.history import History
from replay.memory import no_collection
from replay.rebuild import Progress, rebuild
from replay.snapshot import Snapshots
from replay.source import Source, unstalled

MAX_MATCHES: Final = 100
"""Orders told when a client's reference stands for several."""
FEW: Final = 16
"""So many ids are looked for as bytes; of more, every event is looked at."""
JUMP: Final = 1_000
"""Frames between two steps that are worth loading a snapshot for."""
_OURS: Final = re.compile(r"[0-9A-Za-z]{6}([0-9a-f]{10})").fullmatch
_EVENT: Final = b'{"event":"'
_SESSION: Final = _EVENT + b"Session"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """An order that goes by a name.

    Args:
        by: which of its names it is: ``order_id``, ``client_order_id``, ``venue_order_id``.
        sequence, at: of the commit that gave it this name. ``symbol`` is empty where that does not say it.
    """

    order_id: str
    by: str
    account: str
    exchange: str
    market: str
    symbol: str
    at: int
    sequence: int


def needle(text: str) -> bytes:
    """A string as it stands in a frame."""
    return msgspec.json.encode(text)


# -- orders by one of their names


class Search:
    """Looks for orders that go by a name.

    Args:
        name: an order id, a client's reference, or the venue's order id.
        account: only this account's; None for any.
    """

    def __init__(self, name: str, account: str | None = None) -> None:
        self.name = name
        self.account = account
        self.matches: dict[str, Match] = {}
        self._needle = needle(name)

    def look(self, stored: StoredFrame) -> bool:
        """Look into one frame; return whether enough was found."""
        if self._needle not in stored.payload:
            return False
        for commit in stored.frame.commits:
            _, exchange, account, market, _ = commit.subject.split(".")
            event: Any
            for event in commit.events:
                by = self._named(event)
                if by is None or event.order_id in self.matches:
                    continue
                found = Match(
                    order_id=event.order_id,
                    by=by,
                    account=getattr(event, "account", account),
                    exchange=getattr(event, "exchange", exchange),
                    market=getattr(event, "market", market),
                    symbol=getattr(event, "symbol", ""),
                    at=commit.at,
                    sequence=stored.sequence,
                )
                if self.account in (None, found.account):
                    self.matches[event.order_id] = found
        return len(self.matches) >= MAX_MATCHES

    def _named(self, event: Any) -> str | None:
        for by in ("order_id", "client_order_id", "venue_order_id"):
            if getattr(event, by, None) == self.name:
                return by
        return None


async def find(
    source: Source, snapshots: Snapshots, name: str, account: str | None, progress: Progress | None = None
) -> list[Match]:
    """The orders that go by a name, in the order in which they got it; at most :data:`MAX_MATCHES`.

    An order id is looked for from the last snapshot that is older than the order; any other name from the first frame.

    Raises:
        Unanswerable: there is no history.
        JournalBroken, TimeoutError: as reading has it.
    """
    first, last = check_history(await source.bounds())
    ours, _ = parse_venue_client_id(name)
    search = Search(ours, account)
    start = made_after(snapshots, ours)

    def stop(stored: StoredFrame) -> bool:
        # An order id is one order's alone; other names may be given again.
        return search.look(stored) or any(match.by == "order_id" for match in search.matches.values())

    await scan(source, max(first, start + 1), last, stop, progress)
    if not search.matches and (start or ours != name):
        search = Search(name, account)
        await scan(source, first, last, search.look, progress)
    return list(search.matches.values())


# -- frames that speak of orders


@attrs.define(slots=True)
class Hits:
    """Frames that speak of some orders, or of the sessions of their account while they may live.

    Args:
        order_ids: which orders.
        account: whose.
        frames: sequence → whether an order is spoken of; in order.
    """

    order_ids: frozenset[str]
    account: str
    frames: dict[int, bool] = attrs.field(factory=dict)
    _needles: tuple[bytes, ...] = ()

    def __attrs_post_init__(self) -> None:
        if len(self.order_ids) <= FEW:
            self._needles = tuple(map(needle, self.order_ids))

    def look(self, stored: StoredFrame) -> bool:
        """Look into one frame. Never enough: a trade may come at any time."""
        payload = stored.payload
        if self._needles:
            named = any(each in payload for each in self._needles)
        else:
            named = any(getattr(event, "order_id", None) in self.order_ids for event in _events(stored))
        if named:
            self.frames[stored.sequence] = True
        elif self.frames and _SESSION in payload and self._of_session(stored):
            self.frames[stored.sequence] = False
        return False

    def _of_session(self, stored: StoredFrame) -> bool:
        return any(
            isinstance(event, e.SessionOpened | e.SessionClosed) and event.account == self.account
            for event in _events(stored)
        )


def _events(stored: StoredFrame) -> Iterator[Any]:
    for commit in stored.frame.commits:
        yield from commit.events


async def collect(
    source: Source,
    snapshots: Snapshots,
    steps: Steps,
    frames: dict[int, bool],
    stop: Callable[[], bool] = bool,
    progress: Progress | None = None,
) -> None:
    """Move a history over the frames that were found, from the nearest snapshot before each, and collect the steps.

    Args:
        frames: as :class:`Hits` has them.
        stop: asked after each of these frames; True when what follows is not wanted.

    Raises:
        JournalBroken, SnapshotRefused, TimeoutError: as rebuilding has it.
    """
    orders_end = max((sequence for sequence, named in frames.items() if named), default=0)
    held = sorted(header.sequence for header in snapshots.headers())
    for run in _runs(list(frames), held):
        history = await rebuild(
            source,
            snapshots,
            until_sequence=run[0] - 1,
            cache=CacheConfig(max_size=1, default_ttl=0),
            check_digest=True,
        )
        ended = await _over(source, history, steps, frames, run, orders_end, stop, progress)
        if ended:
            return


async def _over(
    source: Source,
    history: History,
    steps: Steps,
    frames: dict[int, bool],
    run: Sequence[int],
    orders_end: int,
    stop: Callable[[], bool],
    progress: Progress | None,
) -> bool:
    def apply(stored: StoredFrame) -> bool:
        if stored.sequence not in frames:
            history.apply(stored)
            return False
        steps.apply(history, stored)
        # Sessions matter to what lives.
        return stop() or (stored.sequence >= orders_end and not steps.live)

    return await scan(source, run[0], run[-1], apply, progress, history.head)


def _runs(sequences: list[int], held: list[int]) -> Iterator[list[int]]:
    """Split where a snapshot shortens the way."""
    run: list[int] = []
    for sequence in sequences:
        if run and sequence - run[-1] > JUMP and any(run[-1] < at < sequence for at in held):
            yield run
            run = []
        run.append(sequence)
    if run:
        yield run


async def life(source: Source, snapshots: Snapshots, match: Match, progress: Progress | None = None) -> Story:
    """The story of an order that was found.

    Raises:
        JournalBroken, SnapshotRefused, TimeoutError: as rebuilding has it.
    """
    first, last = bounds = await source.bounds()
    # A name may have been given to the order long after it was made.
    start = match.sequence if match.by != "venue_order_id" else made_after(snapshots, match.order_id) + 1
    hits = Hits(frozenset([match.order_id]), match.account)
    await scan(source, max(first, start), last, hits.look, progress)
    steps = Steps([match.order_id])
    await collect(source, snapshots, steps, hits.frames, progress=progress)
    with decimal.localcontext(EXACT):
        return story(match.order_id, steps.of[match.order_id], bounds)


# -- reading


async def scan(
    source: Source,
    first: int,
    last: int,
    look: Callable[[StoredFrame], bool],
    progress: Progress | None = None,
    prev: str | None = None,
) -> bool:
    """Show frames to ``look`` until it returns True; return whether it did. They are decoded only when it looks into them.

    Raises:
        JournalBroken: at the first frame that is not what it must be.
        TimeoutError: the server sent nothing for :data:`replay.source.STALL_S`.
    """
    # The archive is read faster than the journal, where it has both.
    frames = unstalled(
        source.frames(first, last, prev, with_checks=True, skim=True),
        lambda: f"no frame of {first:,} to {last:,}",
    )
    events = 0
    with no_collection():
        async with aclosing(frames):
            async for batch in frames:
                for stored in batch:
                    events += stored.payload.count(_EVENT)
                    if look(stored):
                        return True
                if progress is not None:
                    progress(batch[-1].sequence, last, events)
    return False


def made_after(snapshots: Snapshots, order_id: str) -> int:
    """The latest snapshot's sequence after which an order must have been made; 0 when none is known to be older."""
    ours = _OURS(order_id)
    if ours is None:
        return 0
    number = int(ours[1], 16)
    return max(
        (header.sequence for header in snapshots.headers() if 0 < header.next_order <= number), default=0
    )
