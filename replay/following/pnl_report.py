"""P&L reports: what was earned, by day and book, ``reports/YYYY/MM/pnl.csv``; a month is a file, days are UTC.

The columns are :data:`COLUMNS`. Amounts are exact, in ``settle`` but for ``other_fees``, which names its assets
(``BNB=0.02 ETH=1``); ``net`` is realised − fees + funding, without other fees. Rows are in order of day and book. A row is ``final``
once its day is over in the journal, and then never changes. A file is replaced whole, so that whoever reads it has all
of one moment or all of another.
"""

import csv
import io
import os
import secrets
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs

from oms.aggregates.books import BookKey
from oms.aggregates.money import exactly
from oms.disk import sync_directory
from oms.projections.pnl import EARLIER, Earned, utc_day
from oms.projections.projections import Projections

FILE: Final = "pnl.csv"
COLUMNS: Final = (
    "day",
    "exchange",
    "account",
    "market",
    "symbol",
    "strategy",
    "settle",
    "realised",
    "fees",
    "other_fees",
    "funding",
    "trades",
    "adjustments",
    "net",
    "final",
)
FINAL: Final = "yes"
"""In the column ``final`` of a row that never changes again."""
_LATER: Final = ("adjustments", "funding")
"""Columns that came later, newest first: an earlier report has nothing in them."""
_KEYS: Final = 7
"""How many columns name a row."""
_TRADES: Final = COLUMNS.index("trades")
_DAY_NS: Final = 86_400 * 10**9

Row = tuple[str, ...]


class ReportBroken(Exception):
    """A report on disk says something else about a day that was over. It was left as it is."""


@attrs.frozen
class Report:
    """A month's report: taken at one moment, written at leisure.

    Args:
        month: ``2026-11``.
        today: day of the last commit; the rows of days before it are final.
    """

    month: str
    today: str
    rows: list[Row]

    def encode(self) -> bytes:
        """The file's bytes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self.rows)
        return text.getvalue().encode()


class PnlReports:
    """The reports below one directory.

    Args:
        data_dir: where ``reports/`` is or will be.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "reports"
        self._day = -1
        self._months: set[str] = set()

    def path(self, month: str) -> Path:
        """Where the report of a month such as ``2026-11`` is."""
        return self.root / month.replace("-", "/") / FILE

    def note(self, at: int) -> bool:
        """A frame was applied whose last commit is of this time, UTC ns; say whether a day is over since the one before."""
        day = at // _DAY_NS
        if day == self._day:
            return False
        today = utc_day(at)
        # The first time also the month before: its report may have failed when it ended.
        before = self._day if self._day >= 0 else day - int(today[-2:])
        self._months |= {utc_day(before * _DAY_NS)[:7], today[:7]}
        turned, self._day = self._day >= 0, day
        return turned

    def take(self, models: Projections) -> list[Report]:
        """The reports of this month, and of every month that changed since they were last taken."""
        if self._day < 0:
            return []
        today = utc_day(self._day * _DAY_NS)
        taken = [make_report(models, month, today) for month in sorted(self._months)]
        self._months = {today[:7]}
        return taken

    def failed(self, reports: list[Report]) -> None:
        """What was taken could not be written: take it again."""
        self._months |= {report.month for report in reports}

    def write(self, reports: list[Report]) -> list[Path]:
        """Replace the files of these months, each durable when this returns; return those that changed.

        A file that knows more than the report is left: the report was made while replaying.

        Raises:
            ReportBroken: a final row on disk is not what the journal says; that file is left, the others are written.
            OSError: a file could not be written; the one before stands.
        """
        changed: list[Path] = []
        broken: list[str] = []
        for report in reports:
            if not report.rows:
                continue
            path = self.path(report.month)
            try:
                if _replace(path, report):
                    changed.append(path)
            except ReportBroken as error:
                broken.append(str(error))
        if broken:
            raise ReportBroken("; ".join(broken))
        return changed


def make_report(models: Projections, month: str, today: str) -> Report:
    """The report of a month, ``2026-11``, with the rows of days before ``today`` final."""
    rows = [
        _row(models, day, key, earned, final=day < today)
        for day in sorted(models.pnl.days)
        if day != EARLIER and day.startswith(month)
        for key, earned in sorted(models.pnl.days[day].items())
    ]
    return Report(month, today, rows)


def _row(models: Projections, day: str, key: BookKey, earned: Earned, final: bool) -> Row:
    exchange, account, market, symbol, strategy = key
    with exactly():
        net = earned.realised - earned.fees + earned.funding
    return (
        day,
        exchange,
        account,
        market,
        symbol,
        strategy,
        models.partition.instruments[exchange, market, symbol].settle,
        _text(earned.realised),
        _text(earned.fees),
        " ".join(f"{asset}={_text(fee)}" for asset, fee in sorted(earned.other_fees.items())),
        _text(earned.funding),
        str(earned.trades),
        str(earned.adjustments),
        _text(net),
        FINAL if final else "no",
    )


def _text(amount: Decimal) -> str:
    return f"{amount:f}"


# -- files


def _replace(path: Path, report: Report) -> bool:
    content = report.encode()
    if path.exists():
        if path.read_bytes() == content:
            return False
        if not _extends(path, report):
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    for directory in path.parents[:4]:
        sync_directory(directory)
    return True


def _extends(path: Path, report: Report) -> bool:
    """Whether a report goes on from the one on disk; False when that one knows more.

    Raises:
        ReportBroken: they differ about a day that is over.
    """
    ours = {row[:_KEYS]: row for row in report.rows}
    for was in _read(path):
        now = ours.get(was[:_KEYS])
        fewer = now is None or int(was[_TRADES]) > int(now[_TRADES])
        if was[0] >= report.today:
            if fewer or was[-1] == FINAL:
                return False
        elif fewer or (was[-1] == FINAL and was != now):
            raise ReportBroken(
                f"{path} says of a day that is over {','.join(was)}, the journal says {','.join(now or ('nothing',))}: the file"
                " was edited, or the code computes something else. Move it away, and it is written again"
            )
    return True


def _read(path: Path) -> list[Row]:
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ReportBroken(f"{path} is no report: {error}. Move it away, and it is written again") from None
    rows = _as_today(rows)
    wrong = [row for row in rows[1:] if len(row) != len(COLUMNS) or not row[_TRADES].isdecimal()]
    if not rows or rows[0] != COLUMNS or wrong:
        found = ",".join(wrong[0] if wrong else rows[0] if rows else ())
        raise ReportBroken(f"{path} is no report, was {found!r}. Move it away, and it is written again")
    return rows[1:]


def _as_today(rows: list[Row]) -> list[Row]:
    """Fill the columns that came later than a report with what had not been counted: nothing."""
    for newest in range(1, len(_LATER) + 1):
        known = tuple(name for name in COLUMNS if name not in _LATER[:newest])
        if rows and rows[0] == known:
            return [COLUMNS, *(_filled(known, row) for row in rows[1:])]
    return rows


def _filled(known: Row, row: Row) -> Row:
    if len(row) != len(known):
        return row
    named = dict(zip(known, row, strict=True))
    return tuple(named.get(name, "0") for name in COLUMNS)
