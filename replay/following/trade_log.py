"""Trade log: every trade as a line of JSON, ``logs/YYYY/MM/DD/trades.jsonl`` by the UTC day of its commit.

A line is the row that ``show_trades`` gives, and each trade has one, whatever crashes between. What is written is taken
from the read models, which hold the newest trades, so nothing waits here: after a failing disk the lines that lack are
made from there again. At start the last whole line says where the log is; a torn one behind it is cut off. Trades that
are replayed and have a line already are held against it.
"""

import asyncio
import errno
import logging
import mmap
import os
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Final

import attrs
import msgspec

from oms.projections.pnl import utc_day
from oms.projections.projections import Projections
from oms.projections.trades import Trade, trade_row

log = logging.getLogger(__name__)

FILE: Final = "trades.jsonl"
MAX_LINE_BYTES: Final = 64 * 1024
"""A longer line is not one of ours."""
MAX_PENDING: Final = 256
"""Trades that wait to be written together at most; fewer where fewer are kept in memory."""


class TradeLogBroken(Exception):
    """The trade log is not what was written, or not of this journal. Names file and trade."""


class TradesMissing(Exception):
    """The log ends too far back to be continued: the trades behind it are no longer in memory. A follower that starts
    begins early enough to make them again, from archive and journal.

    Args:
        first, last: their numbers.
    """

    def __init__(self, first: int, last: int) -> None:
        super().__init__(
            f"trades {first:,} to {last:,} are neither in the trade log nor in memory: restart the follower, which makes their"
            " lines again from archive and journal"
        )
        self.first = first
        self.last = last


class _Line(msgspec.Struct, frozen=True):
    """What says which trade a line tells of."""

    number: int
    sequence: int
    trade_id: str


@attrs.frozen
class LogEnd:
    """Where a log ends: the last whole line's trade number and journal sequence, both 0 for an empty log."""

    number: int = 0
    sequence: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class TradeLog:
    """The trade log below one directory; one writer at a time.

    Args:
        data_dir: where ``logs/`` is or will be.

    ``end`` is what is written, not yet what is on disk: see :meth:`sync`.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "logs"
        self.end = LogEnd()
        self._known: Iterator[tuple[Path, _Line]] = iter(())
        self._next: tuple[Path, _Line] | None = None
        self._path: Path | None = None
        self._file = -1
        self._dirty = False

    # -- start

    def paths(self) -> list[Path]:
        """Every file of the log, oldest first."""
        return sorted(self.root.glob(f"[0-9]*/[0-9]*/[0-9]*/{FILE}"))

    def find_end(self) -> LogEnd:
        """Where the log ends; nothing is changed.

        Raises:
            TradeLogBroken: the last whole line is none of ours.
            OSError: it cannot be read.
        """
        for path in reversed(self.paths()):
            for _, line in _backwards(path):
                return LogEnd(line.number, line.sequence)
        return LogEnd()

    def open(self, models: Projections, begin: bool = False) -> None:
        """Get ready to go on, from read models that the log may be ahead of, or behind.

        Args:
            begin: start an empty log at the oldest trade in memory, whatever came before.

        Raises:
            TradesMissing: it is further behind than memory reaches.
            TradeLogBroken, OSError: as :meth:`find_end`.
        """
        self.close()
        self.end = self.find_end()
        trades = models.trades
        first = self.end.number + 1
        if trades.last >= first and first not in trades.by_number:
            oldest = min(trades.by_number, default=trades.last + 1)
            if not begin or self.end.number:
                raise TradesMissing(first, oldest - 1)
            log.warning(
                "the trade log in %s begins with trade %d: those before it are gone", self.root, oldest
            )
            self.end = LogEnd(oldest - 1, 0)
        paths = self.paths()
        if paths:
            _cut_torn(paths[-1])
        self._known = _forwards(paths, trades.last)
        self._next = next(self._known, None)

    # -- write

    def take(self, models: Projections) -> None:
        """A trade was applied: hold it against its line, or write it, together with others when there is time.

        Raises:
            TradeLogBroken: its line tells of another trade.
            OSError: it could not be written; see :meth:`write`.
        """
        trades = models.trades
        if trades.last <= self.end.number:
            self._compare(trades.by_number[trades.last])
        elif trades.last - self.end.number >= min(MAX_PENDING, trades.kept):
            self.write(models)

    def write(self, models: Projections) -> None:
        """Write every trade behind the log's end.

        Raises:
            TradesMissing: some are no longer in memory.
            OSError: a line may be torn; :meth:`open` mends that.
        """
        trades, instruments = models.trades, models.partition.instruments
        while self.end.number < trades.last:
            first = self.end.number + 1
            if first not in trades.by_number:
                raise TradesMissing(first, min(trades.by_number) - 1)
            day = utc_day(trades.by_number[first].at)
            lines: list[bytes] = []
            for number in range(first, min(trades.last, first + MAX_PENDING - 1) + 1):
                trade = trades.by_number[number]
                if utc_day(trade.at) != day:
                    break
                fill = trade.fill
                settle = instruments[fill.exchange, fill.market, fill.symbol].settle
                lines.append(_encode(trade_row(trade, settle)) + b"\n")
            self._append(day, b"".join(lines))
            last = first + len(lines) - 1
            self.end = LogEnd(last, trades.by_number[last].sequence)

    async def sync(self) -> None:
        """Bring to disk what is written.

        Raises:
            OSError: it is not known to be there.
        """
        if self._dirty:
            self._dirty = False
            # A descriptor of its own: the day may turn meanwhile.
            await asyncio.to_thread(_sync_and_close, os.dup(self._file))

    def close(self) -> None:
        """Close the file; what is written and not synced is left to the kernel."""
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file, self._dirty = None, -1, False

    def _append(self, day: str, data: bytes) -> None:
        path = self.root / day.replace("-", "/") / FILE
        if path != self._path:
            if self._dirty:
                os.fsync(self._file)
            self.close()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self._path = path
            for directory in (path.parent, *path.parent.parents):
                _sync_and_close(os.open(directory, os.O_RDONLY))
                if directory == self.root.parent:
                    break
        self._dirty = True
        written = os.write(self._file, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes were written", str(path))

    def _compare(self, trade: Trade) -> None:
        if self._next is None or trade.number < self._next[1].number:
            return  # before the log began
        path, line = self._next
        if (line.number, line.sequence, line.trade_id) != (trade.number, trade.sequence, trade.fill.trade_id):
            raise TradeLogBroken(
                f"{path}: a line tells of trade {line.number:,} in frame {line.sequence:,} with id {line.trade_id!r}, where the"
                f" journal has trade {trade.number:,} in frame {trade.sequence:,} with id {trade.fill.trade_id!r}: the log was"
                " edited, or is of another journal. Move the log away; it is written again"
            )
        self._next = next(self._known, None)


# -- reading files


def _parse(path: Path, raw: bytes, offset: int) -> _Line:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TradeLogBroken(
            f"{path}: the line at byte {offset:,} is none of a trade log: {error}. Move the log away; it is written again"
        ) from None


def _backwards(path: Path) -> Iterator[tuple[int, _Line]]:
    """The whole lines of a file with their offsets, last first."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = data.rfind(b"\n")
        while end >= 0:
            before = data.rfind(b"\n", 0, end)
            yield before + 1, _parse(path, data[before + 1 : end], before + 1)
            end = before


def _forwards(paths: list[Path], after: int) -> Iterator[tuple[Path, _Line]]:
    """The lines of trades behind number ``after``, in order.

    Raises:
        TradeLogBroken: at a line that is none, or does not follow the one before.
    """
    start = _first_behind(paths, after)
    if start is None:
        return iter(())
    index, offset = start
    files = zip(paths[index:], chain((offset,), repeat(0)))  # noqa: B905 - the offsets never end
    return _consecutive(chain.from_iterable(_read(*each) for each in files))


def _first_behind(paths: list[Path], after: int) -> tuple[int, int] | None:
    """Where the first line of a trade behind number ``after`` is: index of the file, and offset."""
    start = None
    for index in range(len(paths) - 1, -1, -1):
        for offset, line in _backwards(paths[index]):
            if line.number <= after:
                return start
            start = index, offset
    return start


def _consecutive(lines: Iterator[tuple[Path, _Line]]) -> Iterator[tuple[Path, _Line]]:
    before: _Line | None = None
    for path, line in lines:
        if before is not None and line.number != before.number + 1:
            raise TradeLogBroken(
                f"{path}: the line of trade {line.number:,} follows that of {before.number:,}: lines are missing or doubled."
                " Move the log away; it is written again"
            )
        before = line
        yield path, line


def _read(path: Path, offset: int) -> Iterator[tuple[Path, _Line]]:
    with path.open("rb") as file:
        file.seek(offset)
        for raw in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
            if len(raw) < MAX_LINE_BYTES and not raw.endswith(b"\n"):
                return  # torn
            yield path, _parse(path, raw, offset)
            offset += len(raw)


def _cut_torn(path: Path) -> None:
    """Cut off what follows the last whole line."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            whole = data.rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(file.fileno(), whole)
            os.fsync(file.fileno())


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
