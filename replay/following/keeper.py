"""Keeper: what the follower writes besides snapshots and public events: archive, trade log, P&L reports.

Whoever holds the archive's lock keeps; another follower on the same data directory answers only, until the lock is free.
What cannot be written never holds up answers: it becomes a *fault*, is told once for each kind of error, stands in
``show_status``, and is tried again. The journal is not trimmed meanwhile, so nothing is lost by it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError

from oms.encryption import Keys
from oms.journal.errors import JournalBroken
from oms.journal.reader import StoredFrame
from oms.messages.events import OrderFilled, TradeBusted
from oms.projections.projections import Projections
from replay.archive import ArchiveBusy
from replay.following.archiver import DISK_ERRORS, Archiver
from replay.following.pnl_report import PnlReports, ReportBroken
from replay.following.trade_log import TradeLog, TradeLogBroken, TradesMissing
from replay.history import History

log = logging.getLogger(__name__)

SYNC_S: Final = 0.5
"""How long a frame, and a trade's line, waits to be synced."""
RETRY_S: Final = 5.0
CLOSE_S: Final = 5.0
"""How long a stop waits for what is left to be written; the next start finds it in the journal."""
SERVER_AWAY: Final = (nats.errors.Error, APIError, TimeoutError)
LOG_ERRORS: Final = (OSError, TradeLogBroken, TradesMissing)

Alert = Callable[[str, str], Awaitable[None]]
"""Tells people a code and a message."""


class Keeper:
    """Archive, trade log and reports of one follower.

    Args:
        nc: to read from the journal what was not archived.
        data_dir: below it everything is.
        keys: to encrypt the archive with; None for plain files.
        alert: see :data:`Alert`.

    Attributes:
        faults: what does not work → why: ``ARCHIVE``, ``TRADE_LOG``, ``REPORTS``.
    """

    def __init__(self, nc: Client, data_dir: Path, keys: Keys | None, alert: Alert) -> None:
        self._alert = alert
        self.archiver = Archiver(nc, data_dir, keys)
        self.trade_log = TradeLog(data_dir)
        self.reports = PnlReports(data_dir)
        self.faults: dict[str, str] = {}
        self._kinds: dict[str, type[Exception]] = {}
        self._models: Projections | None = None
        self._logging = False
        self._log_error: Exception | None = None
        self._day_over = False
        self._retry_at = 0.0
        self._wake, self._moved = asyncio.Event(), asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    @property
    def keeps(self) -> bool:
        """Whether this follower writes the archive, and everything is written as it should be."""
        return self.archiver.holds and not self.faults

    async def open(self) -> str | None:
        """Take the archive, if it can be had; return the digest of the last frame it holds."""
        self._retry_at = time.monotonic() + RETRY_S
        try:
            head = await self.archiver.open()
        except ArchiveBusy:
            log.info("another follower keeps archive, trade log and reports of this data directory")
            return None
        except DISK_ERRORS as error:
            await self._fault("ARCHIVE", error)
            return None
        return head

    async def attach(self, history: History) -> None:
        """Go on from this history, which has projections."""
        self._models = history.projections
        history.checks = b""
        if history.sequence:
            self.reports.note(history.at)
        if self.archiver.holds:
            await self._open_log()

    def log_reach(self, history: History) -> int | None:
        """Up to which sequence a state may be for the trade log to go on from it; None when this history's will do."""
        assert history.projections is not None, "a follower has projections"
        trades = history.projections.trades
        try:
            end = self.trade_log.find_end()
        except (OSError, TradeLogBroken):  # told when it is opened
            return None
        if end.number >= trades.last or end.number + 1 in trades.by_number:
            return None
        return max(end.sequence - 1, 0)

    # -- as the history moves

    def watch(self, event: Any) -> None:
        """An event was applied."""
        if self._logging and isinstance(event, OrderFilled | TradeBusted):
            assert self._models is not None
            try:
                self.trade_log.take(self._models)
            except LOG_ERRORS as error:
                self._log_error, self._logging = error, False

    def applied(self, history: History, stored: StoredFrame) -> None:
        """A frame was applied."""
        self.archiver.put(stored, history.checks or b"")
        if self.reports.note(history.at):
            self._day_over = True
            self._wake.set()

    async def room(self) -> None:
        """Wait until the archive keeps up; while it cannot be written, nobody waits."""
        while self.archiver.full:
            if not self.archiver.holds:
                self.archiver.shed()
                return
            self._moved.clear()
            self._wake.set()
            await self._moved.wait()

    # -- write

    async def run(self) -> None:
        """Write what there is, at least every :data:`SYNC_S`, for ever.

        Raises:
            JournalBroken: frames that have to be read from the journal again are not what they must be.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SYNC_S):
                    await self._wake.wait()
            self._wake.clear()
            await self.write()
            self._moved.set()

    async def write(self, reports: bool = False) -> None:
        """Bring to disk what was applied so far, as far as it can be done; with ``reports`` these too."""
        async with self._one_at_a_time:
            await self._write_archive()
            if self.archiver.holds:
                await self._write_log()
                if reports or self._day_over:
                    self._day_over = False
                    await self._write_reports()

    async def close(self) -> None:
        """Write what is left, as far as it can be done within :data:`CLOSE_S`, and let go."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.write()
        except TimeoutError:
            log.warning("not all was archived within %d s: the rest is at the next start", CLOSE_S)
        finally:
            self.trade_log.close()
            with suppress(*DISK_ERRORS):
                await self.archiver.close()

    async def _write_archive(self) -> None:
        if not self.archiver.holds and not await self._take_again():
            return
        try:
            await self.archiver.write()
        except (*DISK_ERRORS, *SERVER_AWAY) as error:
            if self.archiver.holds:
                # What it is says nothing: nats-py's timeouts are OSErrors, too.
                log.warning("what the archive lacks cannot be read from the journal: %r; trying again", error)
                return
            self._retry_at = time.monotonic() + RETRY_S
            # The lock is gone, so another follower may log from now on.
            self._logging = False
            self.trade_log.close()
            await self._fault("ARCHIVE", error)
        else:
            self._works("ARCHIVE")

    async def _take_again(self) -> bool:
        """Take the archive when it is time to try; whether it was had."""
        self.archiver.shed()
        if time.monotonic() < self._retry_at:
            return False
        await self.open()
        if self.archiver.holds and self._models is not None:
            await self._open_log()
        return self.archiver.holds

    async def _open_log(self) -> None:
        assert self._models is not None
        try:
            self.trade_log.open(self._models, begin=True)
        except LOG_ERRORS as error:
            await self._log_failed(error)
            return
        self._logging, self._log_error = True, None

    async def _write_log(self) -> None:
        if self._log_error is not None:
            await self._log_failed(self._log_error)
            if isinstance(self._log_error, OSError):
                # Mended at once or at the next round; what is no log of ours needs somebody to look.
                await self._open_log()
        if not self._logging or self._models is None:
            return
        try:
            self.trade_log.write(self._models)
            await self.trade_log.sync()
        except LOG_ERRORS as error:
            await self._log_failed(error)
        else:
            self._works("TRADE_LOG")

    async def _log_failed(self, error: Exception) -> None:
        self._logging, self._log_error = False, error
        self.trade_log.close()
        await self._fault("TRADE_LOG", error)

    async def _write_reports(self) -> None:
        assert self._models is not None
        taken = self.reports.take(self._models)
        try:
            await asyncio.to_thread(self.reports.write, taken)
        except (OSError, ReportBroken) as error:
            self.reports.failed(taken)
            await self._fault("REPORTS", error)
            return
        self._works("REPORTS")

    # -- faults

    async def _fault(self, code: str, error: Exception) -> None:
        new = self._kinds.get(code) is not type(error)
        # The code says already what a broken archive's own words begin with.
        told = error.message if isinstance(error, JournalBroken) else str(error)
        self.faults[code], self._kinds[code] = told, type(error)
        if new:
            await self._alert(code, told)

    def _works(self, code: str) -> None:
        self._kinds.pop(code, None)
        if self.faults.pop(code, None) is not None:
            log.warning("%s works again", code)
