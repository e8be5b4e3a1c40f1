"""Reporter: what the venue said, on its way to the engine. In order, repeated until confirmed, never dropped.

Reports are idempotent, so a batch whose answer is missing goes out again as it was. When more wait than may, the
session ends: the next one reconciles by asking the venue again, which loses nothing.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from typing import Any, Final

import attrs
import msgspec
import nats.errors
from nats.aio.client import Client

from oms.messages.base import Command
from oms.messages.codec import MAX_LIST_BYTES, encode
from oms.messages.codes import Code
from oms.messages.commands import SubmitReports
from oms.messages.replies import ErrorBody, RefusedReport
from oms.messages.reports import Report

log = logging.getLogger(__name__)

MAX_WAITING: Final = 100_000
MAX_BATCH: Final = 1_000
MAX_BATCH_BYTES: Final = MAX_LIST_BYTES - 1024
"""Of the reports alone: the command around them needs its part of what the engine takes."""
REQUEST_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 0.25
RETRY_MAX_S: Final = 2.0

LATER: Final = frozenset({Code.NOT_READY, Code.OVERLOADED, Code.JOURNAL_UNAVAILABLE})
"""The engine did nothing, or does not know: ask again with the same content."""


class SessionOver(Exception):
    """The engine takes nothing from this session any more.

    Args:
        replaced: another connector serves the account; otherwise the engine closed the session.
    """

    def __init__(self, message: str, *, replaced: bool) -> None:
        super().__init__(message)
        self.replaced = replaced


class EngineRefused(Exception):
    """The engine refused a statement for good; the message says why."""


class _Answer(msgspec.Struct):
    ok: bool
    error: ErrorBody | None = None
    refused: list[RefusedReport] = []


_decode = msgspec.json.Decoder(_Answer).decode


async def ask(nc: Client, subject: str, command: Command) -> bytes:
    """Say something to the engine until it answers, and return the answer.

    Raises:
        SessionOver: SESSION_STALE or SESSION_CLOSED.
        EngineRefused: any other code that asking again would not change.
    """
    payload = encode(command)
    pause = RETRY_S
    while True:
        try:
            data: bytes = (await nc.request(subject, payload, timeout=REQUEST_TIMEOUT_S)).data
        except (nats.errors.Error, OSError) as error:
            log.warning("the engine did not answer on %s (%r): asking again", subject, error)
        else:
            answer = _decode(data)
            if answer.ok:
                return data
            assert answer.error is not None, f"an answer without ok and without error: {data[:300]!r}"
            code, message = answer.error.code, answer.error.message
            if code in (Code.SESSION_STALE, Code.SESSION_CLOSED):
                raise SessionOver(message, replaced=code is Code.SESSION_STALE)
            if code not in LATER:
                raise EngineRefused(f"{subject}: {code}: {message}")
            log.warning("the engine cannot take %s now (%s: %s): asking again", subject, code, message)
        await asyncio.sleep(pause)
        pause = min(pause * 2, RETRY_MAX_S)


@attrs.frozen
class _Waiting:
    report: Report
    payload: bytes
    refused: asyncio.Future[Code | None] | None


class Reporter:
    """Sends one session's reports. ``run`` does the work; ``put`` never waits.

    Args:
        place: ``exchange.account.market``.
        on_full: called once when more reports wait than may.
    """

    def __init__(self, nc: Client, place: str, session: str, on_full: Callable[[str], None]) -> None:
        self._nc = nc
        self._place = place
        self._session = session
        self._on_full = on_full
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._sending = asyncio.Lock()
        self._closed = False

    def close(self) -> None:
        """Nothing is sent any more: nobody has to wait for it."""
        self._closed = True
        self._idle.set()

    def put(self, reports: Iterable[Report]) -> None:
        """Report, after everything put before."""
        for report in reports:
            self._add(_Waiting(report, encode(report), None))

    async def put_and_hear(self, report: Report) -> Code | None:
        """Report, and return the code it is refused with, or None when it is taken."""
        refused = asyncio.get_running_loop().create_future()
        self._add(_Waiting(report, encode(report), refused))
        code: Code | None = await refused
        return code

    def _add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if not self._closed:
            self._idle.clear()
        self._wake.set()
        if len(self._waiting) == MAX_WAITING:
            self._on_full(f"{MAX_WAITING:,} reports wait for the engine")

    @property
    def waiting(self) -> int:
        """How many reports the engine has not confirmed."""
        return len(self._waiting)

    async def flushed(self) -> None:
        """Wait until everything put so far is confirmed, or never will be."""
        await self._idle.wait()

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Have everything put so far confirmed, and send nothing more until the block ends. Once closed nothing is sent anyway."""
        while True:
            await self.flushed()
            async with self._sending:
                if self._closed or not self._waiting:
                    yield
                    return

    async def tell(self, verb: str, command: Command) -> bytes:
        """Say something else than a report in this session's name, and return the answer; see :func:`ask`."""
        return await ask(self._nc, f"{verb}.{self._place}._", command)

    async def run(self) -> None:
        """Send until cancelled.

        Raises:
            SessionOver, EngineRefused: see :func:`ask`.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                async with self._sending:
                    await self._send(self._take())
            self._idle.set()

    def _take(self) -> list[_Waiting]:
        size, count = 0, 0
        for waiting in self._waiting:
            size += len(waiting.payload) + 1
            if count and (count == MAX_BATCH or size > MAX_BATCH_BYTES):
                break
            count += 1
        return list(islice(self._waiting, count))

    async def _send(self, batch: list[_Waiting]) -> None:
        reports: list[Any] = [waiting.report for waiting in batch]
        command = SubmitReports(session=self._session, reports=reports)
        answer = _decode(await ask(self._nc, f"report.{self._place}._", command))
        refused = {each.index: each.error for each in answer.refused}
        for index, waiting in enumerate(batch):
            self._waiting.popleft()
            error = refused.get(index)
            if waiting.refused is not None and not waiting.refused.done():
                waiting.refused.set_result(None if error is None else error.code)
            elif error is not None:
                log.error(
                    "the engine refused a report of %s: %s: %s: %s",
                    self._place,
                    error.code,
                    error.message,
                    waiting.payload.decode(),
                )
