"""P&L reports: what the file says is what the read model says, exactly, and what is final stays."""

import csv
import errno
import os
from decimal import Decimal
from pathlib import Path

import pytest

from oms.config import CacheConfig
from oms.projections.pnl import utc_day
from replay.following.pnl_report import COLUMNS, PnlReports, ReportBroken
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import Maker, busy

BOOK = ("day", "exchange", "account", "market", "symbol", "strategy", "settle")


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal over 30 days and two months, with trades."""
    return busy(71, 300, frame=9, step=2_600 * 10**9)


def follow(maker: Maker, reports: PnlReports, first: int, last: int, history: History) -> None:
    """Apply frames ``first`` to ``last``."""
    for stored in maker.stored[first - 1 : last]:
        history.apply(stored)
        reports.note(history.at)


def write(reports: PnlReports, history: History) -> list[Path]:
    """Write what there is to write; return the files that changed."""
    assert history.projections is not None
    taken = reports.take(history.projections)
    try:
        return reports.write(taken)
    except (OSError, ReportBroken):
        reports.failed(taken)
        raise


def rows(root: Path) -> list[dict[str, str]]:
    """Every row of every report, in order of the files."""
    found: list[dict[str, str]] = []
    for path in sorted((root / "reports").glob("*/*/pnl.csv")):
        with path.open(newline="") as file:
            found += csv.DictReader(file)
    return found


def test_report_says_what_the_read_model_says(tmp_path: Path, maker: Maker) -> None:
    """Each day of each book has one row with its exact figures, in the file of its month, in order."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    follow(maker, reports, 1, maker.sequence, history)
    changed = write(reports, history)
    assert len(changed) == 2
    assert history.projections is not None
    found = rows(tmp_path)
    assert list(found[0]) == list(COLUMNS)
    assert found == sorted(found, key=lambda row: [row[name] for name in BOOK])
    told = {
        (day, *key): (one.realised, one.fees, one.trades, one.other_fees, one.realised - one.fees)
        for day, earned in history.projections.pnl.days.items()
        for key, one in earned.items()
    }
    assert told
    assert {
        tuple(row[name] for name in BOOK[:-1]): (
            Decimal(row["realised"]),
            Decimal(row["fees"]),
            int(row["trades"]),
            {asset: Decimal(fee) for asset, fee in (each.split("=") for each in row["other_fees"].split())},
            Decimal(row["net"]),
        )
        for row in found
    } == told
    assert {row["settle"] for row in found} == {"USDT"}
    for path in changed:
        month = "-".join(path.parts[-3:-1])
        assert all(line.startswith(month) for line in path.read_text().splitlines()[1:])


def test_days_that_are_over_are_final(tmp_path: Path, maker: Maker) -> None:
    """Rows of the day of the last commit are not final, all others are, and a final row never changes."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    final: dict[tuple[str, ...], dict[str, str]] = {}
    for first in range(1, maker.sequence + 1, 3):
        follow(maker, reports, first, min(first + 2, maker.sequence), history)
        write(reports, history)
        found = {tuple(row[name] for name in BOOK): row for row in rows(tmp_path)}
        assert final.items() <= found.items()
        final |= {key: row for key, row in found.items() if row["final"] == "yes"}
        assert {key[0] for key, row in found.items() if row["final"] == "no"} <= {utc_day(history.at)}
    assert len({key[0] for key in final}) > 20


def test_turn_of_the_day_is_told(maker: Maker) -> None:
    """The first frame of another day says so, and no other."""
    history, reports = new_history(CacheConfig()), PnlReports(Path())
    before = ""
    for stored in maker.stored:
        history.apply(stored)
        day = utc_day(history.at)
        assert reports.note(history.at) is (before not in ("", day))
        before = day


@pytest.mark.parametrize("crash_every", [1, 5, 11])
def test_crashes_leave_no_month_unfinished(tmp_path: Path, maker: Maker, crash_every: int) -> None:
    """Whoever starts after a crash from what was last written ends with the same files as one who never crashed."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path / "good")
    follow(maker, reports, 1, maker.sequence, history)
    write(reports, history)
    history = new_history(CacheConfig())
    for first in range(1, maker.sequence + 1, crash_every):
        reports = PnlReports(tmp_path)
        if history.sequence:
            reports.note(history.at)
        follow(maker, reports, first, min(first + crash_every - 1, maker.sequence), history)
        write(reports, history)
    assert rows(tmp_path) == rows(tmp_path / "good")


def test_month_that_was_not_finished_is_finished_at_the_next_start(tmp_path: Path, maker: Maker) -> None:
    """A report that could not be written when its month ended is written by whoever starts in the month after."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    follow(maker, reports, 1, maker.sequence, history)
    write(reports, history)
    good = rows(tmp_path)
    first, second = sorted((tmp_path / "reports").glob("*/*/pnl.csv"))
    first.write_text(first.read_text().replace(",yes", ",no"))
    second.unlink()
    reports = PnlReports(tmp_path)
    reports.note(history.at)
    assert write(reports, history) == [first, second]
    assert rows(tmp_path) == good


def test_state_that_is_replayed_takes_nothing_back(tmp_path: Path, maker: Maker) -> None:
    """A report made while replaying from zero leaves a file that knows more alone."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    follow(maker, reports, 1, maker.sequence, history)
    write(reports, history)
    good = rows(tmp_path)
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    for sequence in range(1, maker.sequence + 1):
        follow(maker, reports, sequence, sequence, history)
        assert not write(reports, history)
    assert rows(tmp_path) == good


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",yes", ",yes\n" + text.splitlines()[1].replace(",spot,", ",spot,X"), 1),
        lambda text: text.replace(text.splitlines()[1].split(",")[13], "1000000", 1),
        lambda text: text.replace("net", "gross", 1),
        lambda text: text.replace(",yes", "", 1),
        lambda text: "\x00",
    ],
)
def test_edited_final_row_is_named_and_left(tmp_path: Path, maker: Maker, change: object) -> None:
    """A file whose final rows are not the journal's, or that is none, is told, and is not written over."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    follow(maker, reports, 1, maker.sequence - 20, history)
    *_, path = write(reports, history)
    edited = change(path.read_text())  # type: ignore[operator]
    assert edited != path.read_text()
    path.write_text(edited)
    reports = PnlReports(tmp_path)
    reports.note(history.at)
    follow(maker, reports, history.sequence + 1, maker.sequence, history)
    with pytest.raises(ReportBroken, match=r"pnl\.csv"):
        write(reports, history)
    assert path.read_text() == edited


def test_disk_that_fails_leaves_the_file_whole(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a file cannot be brought to disk, the one before stands and no remains of the other do."""
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    follow(maker, reports, 1, 5, history)
    (path,) = write(reports, history)
    before = path.read_bytes()
    follow(maker, reports, 6, 6, history)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        write(reports, history)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert write(reports, history) == [path]


def test_empty_month_has_no_file(tmp_path: Path) -> None:
    """Without a trade there is no report."""
    maker = Maker()
    maker.begin()
    history, reports = new_history(CacheConfig()), PnlReports(tmp_path)
    assert history.projections is not None
    assert reports.take(history.projections) == []
    follow(maker, reports, 1, 1, history)
    assert write(reports, history) == []
    assert not (tmp_path / "reports").exists()
