"""The trade log: each trade has one line, whatever crashes between."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from oms.projections.pnl import utc_day
from replay.following.trade_log import LogEnd, TradeLog, TradeLogBroken, TradesMissing
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import Maker, busy

Line = dict[str, Any]


def lines(root: Path) -> list[Line]:
    """Every line of a log, in order of its files."""
    return [json.loads(line) for path in TradeLog(root).paths() for line in path.read_text().splitlines()]


def follow(history: History, frames: list[StoredFrame], log: TradeLog) -> None:
    """Apply frames, telling the log of each trade, as the follower does."""
    assert history.projections is not None
    models = history.projections

    def watch(event: Any, at: int, event_id: tuple[int, int, int]) -> None:
        if type(event).__name__ in ("OrderFilled", "TradeBusted"):
            log.take(models)

    for stored in frames:
        history.apply(stored, watch)


def opened(root: Path, history: History) -> TradeLog:
    """A log ready to go on from a history."""
    assert history.projections is not None
    log = TradeLog(root)
    log.open(history.projections)
    return log


def whole(root: Path, maker: Maker, **cache: int) -> History:
    """Log a whole journal, and close the log."""
    history = new_history(CacheConfig(**cache))
    log = opened(root, history)
    follow(history, maker.stored, log)
    assert history.projections is not None
    log.write(history.projections)
    log.close()
    return history


@pytest.fixture
def maker() -> Maker:
    """A journal over four days, with trades."""
    return busy(70, 300, frame=7, step=150 * 10**9)


def test_each_trade_has_its_row_on_its_day(tmp_path: Path, maker: Maker) -> None:
    """A line is the row of ``show_trades``, and stands in the file of its commit's UTC day."""
    history = whole(tmp_path, maker)
    assert history.projections is not None
    found = lines(tmp_path)
    assert [line["number"] for line in found] == list(range(1, history.projections.trades.last + 1))
    paths = TradeLog(tmp_path).paths()
    assert len(paths) > 2
    for path in paths:
        for line in map(json.loads, path.read_text().splitlines()):
            assert path == tmp_path / "logs" / utc_day(line["at"]).replace("-", "/") / "trades.jsonl"
    fill = history.projections.trades.by_number[1].fill
    assert (found[0]["trade_id"], found[0]["price"]) == (fill.trade_id, str(fill.price))


def test_a_trade_taken_back_has_a_line_of_its_own(tmp_path: Path) -> None:
    """What was written stays written; that it was taken back is another line, and no other line says anything of it."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="3")
    maker.bust(order_id, maker.fill(order_id, "1", "100", fee="0.1"))
    maker.fill(order_id, "2", "99")
    maker.cut()
    whole(tmp_path, maker)
    found = lines(tmp_path)
    assert [(line["number"], line["trade_id"], line.get("busted")) for line in found] == [
        (1, "t1", None),
        (2, "t1", True),
        (3, "t2", None),
    ]
    assert found[0]["quantity"] == found[1]["quantity"]
    assert found[0]["fee"] == found[1]["fee"]


@pytest.mark.parametrize("kept", [1, 3, 100_000])
def test_memory_for_few_trades_is_enough(tmp_path: Path, maker: Maker, kept: int) -> None:
    """However few trades stay in memory, each is written before it leaves."""
    whole(tmp_path, maker, max_size=kept)
    assert lines(tmp_path) == lines_of(tmp_path / "other", maker)


def lines_of(root: Path, maker: Maker) -> list[Line]:
    """The lines as they must be."""
    whole(root, maker)
    return lines(root)


def test_every_cut_of_the_last_file_is_mended(tmp_path: Path, maker: Maker) -> None:
    """Wherever a crash ends the log, what is replayed from an older state makes it the same, byte for byte."""
    whole(tmp_path, maker)
    path = TradeLog(tmp_path).paths()[-1]
    content = path.read_bytes()
    frames = maker.stored
    for size in [0, 1, *range(7, len(content), 211), len(content) - 1, len(content)]:
        os.truncate(path, size)
        history = new_history(CacheConfig())
        follow(history, frames[: len(frames) // 2], Deaf())
        log = opened(tmp_path, history)
        last = lines(tmp_path)[-1]
        assert log.end == LogEnd(last["number"], last["sequence"])
        follow(history, frames[len(frames) // 2 :], log)
        assert history.projections is not None
        log.write(history.projections)
        log.close()
        assert path.read_bytes() == content


class Deaf(TradeLog):
    """Takes nothing: for what was applied before."""

    def __init__(self) -> None:
        super().__init__(Path())

    def take(self, models: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line | {"trade_id": "forged"},
        lambda line: line | {"sequence": line["sequence"] + 1},
        lambda line: line | {"number": line["number"] + 5},
        lambda line: {"nothing": 1},
    ],
)
def test_line_of_another_trade_is_named(tmp_path: Path, maker: Maker, change: Callable[[Line], Line]) -> None:
    """A line that tells of another trade than the journal has, or of none, stops the replay with file and trade."""
    whole(tmp_path, maker)
    path = TradeLog(tmp_path).paths()[1]
    raw = path.read_text().splitlines()
    raw[3] = json.dumps(change(json.loads(raw[3])))
    path.write_text("\n".join(raw) + "\n")
    history = new_history(CacheConfig())
    with pytest.raises(TradeLogBroken, match=r"trades\.jsonl"):
        follow(history, maker.stored, opened(tmp_path, history))


@pytest.mark.parametrize("doubled", [True, False])
def test_missing_and_doubled_lines_are_named(tmp_path: Path, maker: Maker, doubled: bool) -> None:
    """A line that is missing in the middle, or there twice, is found when its trade is replayed."""
    whole(tmp_path, maker)
    path = TradeLog(tmp_path).paths()[1]
    raw = path.read_text().splitlines(keepends=True)
    raw[3:4] = [raw[3], raw[3]] if doubled else []
    path.write_text("".join(raw))
    history = new_history(CacheConfig())
    with pytest.raises(TradeLogBroken):
        follow(history, maker.stored, opened(tmp_path, history))


def test_log_that_lags_is_filled_from_memory(tmp_path: Path, maker: Maker) -> None:
    """Trades that have no line, because the disk failed, are written from memory once it works."""
    history = whole(tmp_path, maker)
    good = lines(tmp_path)
    for path in TradeLog(tmp_path).paths()[1:]:
        path.unlink()
    log = opened(tmp_path, history)
    assert history.projections is not None
    log.write(history.projections)
    assert lines(tmp_path) == good


def test_log_that_lags_too_far_says_what_is_missing(tmp_path: Path, maker: Maker) -> None:
    """When trades have left memory too, their numbers are named; only an empty log may begin later."""
    history = whole(tmp_path, maker, max_size=10)
    assert history.projections is not None
    last = history.projections.trades.last
    paths = TradeLog(tmp_path).paths()
    for path in paths[1:]:
        path.unlink()
    number = lines(tmp_path)[-1]["number"]
    for begin in (False, True):
        with pytest.raises(TradesMissing, match=rf"trades {number + 1:,} to {last - 10:,} "):
            TradeLog(tmp_path).open(history.projections, begin)
    paths[0].unlink()
    log = TradeLog(tmp_path)
    with pytest.raises(TradesMissing, match="trades 1 to"):
        log.open(history.projections)
    log.open(history.projections, begin=True)
    log.write(history.projections)
    assert [line["number"] for line in lines(tmp_path)] == list(range(last - 9, last + 1))


async def test_disk_that_takes_a_part_is_told_and_mended(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that the disk takes in part is an error; once there is room, every line is there once."""
    good = lines_of(tmp_path / "good", maker)
    history = new_history(CacheConfig())
    assert history.projections is not None
    log = opened(tmp_path, history)
    real = os.write
    follow(history, maker.stored[:10], log)
    log.write(history.projections)
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    follow(history, maker.stored[10:13], Deaf())
    with pytest.raises(OSError, match="bytes were written"):
        log.write(history.projections)
    monkeypatch.setattr(os, "write", real)
    log.open(history.projections)
    log.write(history.projections)
    await log.sync()
    follow(history, maker.stored[13:], log)
    log.write(history.projections)
    await log.sync()
    log.close()
    assert lines(tmp_path) == good


async def test_what_is_synced_was_written_and_fsynced(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sync`` fsyncs the very file that holds the newest lines, and does nothing when nothing was written since."""
    history = new_history(CacheConfig())
    log = opened(tmp_path, history)
    follow(history, maker.stored, log)
    assert history.projections is not None
    log.write(history.projections)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await log.sync()
    await log.sync()
    log.close()
    assert synced == [str(log.paths()[-1])]
