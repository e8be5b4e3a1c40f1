"""As of: the history as it was at a moment, from the nearest snapshot before it.

Memory is bounded by what a question needs. Positions, balances and limits need decision state alone, and P&L its books,
which have bounds of their own. Orders and trades are held whole, up to :data:`MAX_HELD` of each; an answer that starts
from a snapshot has only what the snapshot held and what came later. :class:`Held` says how much is missing.
"""

from typing import Final

import attrs
import msgspec

from oms.config import CacheConfig
from oms.projections.projections import Part
from replay.asking.moment import LAST_TIME, Moment, iso
from replay.history import History
from replay.rebuild import Progress, rebuild
from replay.snapshot import Snapshots
from replay.source import Source

MAX_HELD: Final = 2_000_000
"""Finished orders, and as many trades, that an answer holds: some 5 GB. Beyond, the oldest leave, and the answer says so."""


@attrs.frozen
class ReadModels:
    """What an answer needs of the read models: within which bounds, and of a snapshot's what not."""

    cache: CacheConfig
    leave: frozenset[Part] = frozenset()


_ALL: Final = CacheConfig(max_size=MAX_HELD, default_ttl=LAST_TIME)
BOOKS: Final = ReadModels(CacheConfig(max_size=1, default_ttl=0), frozenset({"orders", "trades"}))
"""For P&L: its books."""
ORDERS: Final = ReadModels(_ALL, frozenset({"trades"}))
TRADES: Final = ReadModels(_ALL, frozenset({"orders"}))
EVERYTHING: Final = ReadModels(_ALL)


class Unanswerable(ValueError):
    """The history does not reach the moment that is asked about. The message says what it reaches."""


@attrs.frozen(kw_only=True)
class Held:
    """How much of all that there ever was an answer has.

    Args:
        held, ever: number of orders or of trades.
        since: UTC ns; what is missing finished, or traded, before. None when nothing is missing.
    """

    held: int
    ever: int
    since: int | None

    @property
    def missing(self) -> int:
        """How many there were besides."""
        return self.ever - self.held


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Which moment an answer is true at, and what proves it.

    Args:
        sequence: of the last whole frame. ``part``: commits of the next one that are in the answer too.
        at: time of the last commit, UTC ns.
        head: chain head after ``sequence``. ``digest``: of the state.
        beyond: the time asked about is after the last commit; nothing is recorded in between.
    """

    journal_id: str
    sequence: int
    part: int
    at: int
    head: str
    digest: str
    beyond: bool


def head_of(history: History, beyond: bool = False) -> Head:
    """The head of a history as it stands."""
    return Head(
        journal_id=history.partition.journal_id,
        sequence=history.sequence,
        part=history.part,
        at=history.at,
        head=history.head,
        digest=history.partition.digest(),
        beyond=beyond,
    )


@attrs.frozen(eq=False, kw_only=True)
class AsOf:
    """The history at a moment."""

    history: History = attrs.field(repr=False)
    head: Head

    @property
    def orders(self) -> Held:
        """Of all orders, denied ones included."""
        models = self.history.projections
        assert models is not None, "orders were asked for without read models"
        oldest = next(iter(models.orders.finished.values()), self.history.at)
        return _held(len(models.orders.by_id), self.history.partition.next_order - 1, oldest)

    @property
    def trades(self) -> Held:
        """Of all trades."""
        models = self.history.projections
        assert models is not None, "trades were asked for without read models"
        trades = models.trades
        oldest = next(iter(trades.by_number.values()), None)
        return _held(len(trades.by_number), trades.last, self.history.at if oldest is None else oldest.at)


def _held(held: int, ever: int, since: int) -> Held:
    return Held(held=held, ever=ever, since=None if held == ever else since)


async def as_of(
    source: Source,
    snapshots: Snapshots | None,
    at: Moment | None = None,
    *,
    read_models: ReadModels | None = EVERYTHING,
    from_zero: bool = False,
    ends_now: bool = True,
    progress: Progress | None = None,
) -> AsOf:
    """Rebuild the history as it was, to the commit.

    Args:
        snapshots: where to start from, when one is at or before the moment; its digest is checked.
        at: the moment; None for the end.
        read_models: what to hold of them, None for decision state alone.
        ends_now: what the source ends with is the last there is, so that a time after it can be answered.

    Raises:
        Unanswerable: the moment is before the first commit, or after what is known.
        JournalBroken, SnapshotRefused, TimeoutError: as :func:`replay.rebuild.rebuild`.
    """
    _, last = check_history(await source.bounds())
    sequence, time = (None, None) if at is None else (at.sequence, at.time)
    check_sequence(sequence, last)
    history = await rebuild(
        source,
        snapshots,
        from_zero=from_zero,
        until_sequence=sequence,
        until_time=time,
        projections=read_models is not None,
        cache=(read_models or BOOKS).cache,
        leave=(read_models or BOOKS).leave,
        check_digest=True,
        progress=progress,
    )
    if not history.sequence and not history.part:
        begins = await source.frame(1)
        assert begins is not None, "frame 1 was read just now"
        raise Unanswerable(f"nothing is before {at}: the history begins at {iso(begins.frame.commits[0].at)}")
    return AsOf(history=history, head=head_of(history, await is_beyond(source, history, time, ends_now)))


def check_history(bounds: tuple[int, int]) -> tuple[int, int]:
    """The bounds of a history, which must have a frame.

    Raises:
        Unanswerable: it has none.
    """
    if bounds[1] < bounds[0]:
        raise Unanswerable("there is no history: the journal is empty")
    return bounds


def check_sequence(sequence: int | None, last: int) -> None:
    """Hold a sequence against the last one there is.

    Raises:
        Unanswerable: there is no such frame.
    """
    if sequence is not None and not 1 <= sequence <= last:
        raise Unanswerable(f"there is no sequence {sequence:,}: the history goes from 1 to {last:,}")


async def is_beyond(source: Source, history: History, time: int | None, ends_now: bool) -> bool:
    """Whether a time, UTC ns, is after the last commit of the history, which ``history`` was moved towards.

    Raises:
        Unanswerable: it is, and the source may end before the history does.
    """
    if time is None or history.at >= time or history.sequence < (await source.bounds())[1]:
        return False
    if not ends_now:
        raise Unanswerable(
            f"{iso(time)} is not known: what is here ends at sequence {history.sequence:,}, {iso(history.at)}"
        )
    return True
