"""Marks: what a market's instruments trade at, told to the engine as they change, and confirmed while they do not.

A stream tells changes alone, so one that is silent and one that is broken look the same. A mark counts as current while
anything is heard on its stream, and where nothing is, the venue is asked. One that neither confirms is not told again: it
gets old at the engine, until controls deny orders by it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import attrs
import msgspec
import nats.errors
from nats.aio.client import Client

from oms.messages.codec import encode
from oms.messages.commands import ReportMarks
from oms.tasks import end, together
from oms.venues.adapter import Market
from oms.venues.errors import StreamLost
from oms.venues.reporter import LATER
from oms.venues.settings import Settings

log = logging.getLogger(__name__)

SYMBOLS_PER_STREAM: Final = 200


@attrs.define(eq=False)
class _Part:
    """Instruments on one stream. Times are the event loop's: when last heard of, when the venue was last asked, and when the
    stream last told each."""

    symbols: list[str]
    heard: float = 0.0
    asked: float = 0.0
    told: dict[str, float] = attrs.field(factory=dict)


class Marks:
    """The marks of one market.

    Args:
        venue: ``exchange.market``.
        market: an adapter that is open.
        pauses: seconds to wait after one failure and the next.
    """

    def __init__(
        self,
        nc: Client,
        venue: str,
        market: Market,
        settings: Settings,
        pauses: Callable[[], Iterator[float]],
    ) -> None:
        self._nc = nc
        self._venue = venue
        self._market = market
        self._settings = settings
        self._pauses = pauses
        self._listed: Mapping[str, bool] = {}
        self._relisted = asyncio.Event()
        self._latest: dict[str, tuple[Decimal, _Part]] = {}
        self._heard = asyncio.Event()

    def listed(self, trading: Mapping[str, bool]) -> None:
        """Symbols that are listed from now on, and whether each is traded."""
        self._listed = trading
        # Others that are heard on its stream say nothing of one that nobody asks for any more.
        self._latest = {symbol: known for symbol, known in self._latest.items() if symbol in trading}
        self._relisted.set()

    async def run(self) -> None:
        """Watch and tell until cancelled."""
        await together([self._tell(), self._watch_listed()])

    async def _watch_listed(self) -> None:
        """Watch what is traded, and what comes to be."""
        watched: set[str] = set()
        watching: list[asyncio.Task[None]] = []
        try:
            while True:
                self._relisted.clear()
                watched &= self._listed.keys()
                symbols = [name for name, trading in self._listed.items() if trading and name not in watched]
                watched |= set(symbols)
                for start in range(0, len(symbols), SYMBOLS_PER_STREAM):
                    part = _Part(symbols[start : start + SYMBOLS_PER_STREAM])
                    watching.append(asyncio.create_task(together([self._watch(part), self._ask_again(part)])))
                await self._relisted.wait()
        finally:
            await end(watching)

    def _wanted(self, part: _Part) -> list[str]:
        # One that is not listed any more would keep the others from being asked for.
        return [symbol for symbol in part.symbols if symbol in self._listed]

    async def _watch(self, part: _Part) -> None:
        pauses = self._pauses()
        now = asyncio.get_running_loop().time
        while wanted := self._wanted(part):
            try:
                # The stream tells changes alone: what stands now has to be asked for.
                await self._ask(part, wanted)
                async with _closing(self._market.marks(wanted)) as stream:
                    async for marks in stream:
                        part.told |= dict.fromkeys(marks, now())
                        self._take(part, marks)
                        pauses = self._pauses()
            except StreamLost as error:
                log.warning("%s: marks are lost (%s)", self._venue, error)
            except Exception:
                # A defect in reading marks must not end the sessions of the exchange.
                log.exception("%s: marks cannot be read", self._venue)
            await asyncio.sleep(next(pauses))

    async def _ask_again(self, part: _Part) -> None:
        """Ask the venue where the stream is silent, and now and then where it is not: it may have left one out."""
        silent_s = self._settings.mark_age_s / 2
        now = asyncio.get_running_loop().time
        while wanted := self._wanted(part):
            await asyncio.sleep(silent_s)
            if now() - part.heard < silent_s and now() - part.asked < self._settings.marks_asked_s:
                continue
            try:
                await self._ask(part, wanted)
            except StreamLost as error:
                log.warning("%s: %d marks are not confirmed (%s)", self._venue, len(wanted), error)
            except Exception:
                log.exception("%s: marks cannot be read", self._venue)

    async def _ask(self, part: _Part, wanted: list[str]) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        marks = await self._market.marks_now(wanted)
        part.asked = now()
        # What the stream told meanwhile is newer than an answer that was under way.
        still = [symbol for symbol in wanted if part.told.get(symbol, 0.0) < began]
        self._take(part, {symbol: marks.get(symbol, Decimal(0)) for symbol in still})

    def _take(self, part: _Part, marks: dict[str, Decimal]) -> None:
        part.heard = asyncio.get_running_loop().time()
        for symbol, mark in marks.items():
            # What was asked for while it was listed may come after.
            if mark > 0 and symbol in self._listed:
                self._latest[symbol] = (mark, part)
            else:
                # Not traded yet, not any more, or by one side alone: what it was worth gets old.
                self._latest.pop(symbol, None)
        self._heard.set()

    # -- told

    async def _tell(self) -> None:
        """Report what changed or got old, at most once in ``marks_s``. What is not taken is replaced by the next one."""
        now = asyncio.get_running_loop().time
        told: dict[str, tuple[Decimal, float]] = {}
        while True:
            await self._heard.wait()
            self._heard.clear()
            at = now()
            fresh = {}
            for symbol, (mark, part) in self._latest.items():
                known, since = told.get(symbol, (None, 0.0))
                if known != mark or (part.heard > since and at - since >= self._settings.mark_age_s):
                    fresh[symbol] = mark
            if fresh:
                if await self._report(fresh):
                    told |= {symbol: (mark, at) for symbol, mark in fresh.items()}
                else:
                    self._heard.set()
            await asyncio.sleep(self._settings.marks_s)

    async def _report(self, marks: dict[str, Decimal]) -> bool:
        """Whether the engine answered for them; one that it refuses keeps no other from being taken."""
        exchange, market = self._venue.split(".")
        try:
            answer = await self._nc.request(
                f"report_marks.{exchange}._.{market}._",
                encode(ReportMarks(marks=marks)),
                timeout=self._settings.probe_s,
            )
        except (nats.errors.Error, OSError) as error:
            log.warning("%s: marks were not taken (%r)", self._venue, error)
            return False
        refused = msgspec.json.decode(answer.data).get("error")
        if refused is None:
            return True
        log.warning("%s: %d marks were not taken (%s)", self._venue, len(marks), refused["message"])
        if refused["code"] in LATER:
            return False
        half = len(marks) // 2
        if not half:
            return True
        parts = list(marks.items())
        return await self._report(dict(parts[:half])) and await self._report(dict(parts[half:]))


@contextlib.asynccontextmanager
async def _closing(
    stream: AsyncIterator[dict[str, Decimal]],
) -> AsyncIterator[AsyncIterator[dict[str, Decimal]]]:
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
