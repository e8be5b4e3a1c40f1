"""Refused facts: what the venue says has happened, and the engine could not take. Each is alerted once, and no flood of them.

A trade or position of an instrument that nobody listed, a trade too old to tell from those applied, one on the wrong side:
position and balance are not what they are at the venue until somebody has looked. The connector goes on; it cannot mend this.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from oms.messages import reports as r
from oms.messages.alerts import Alert
from oms.messages.codec import decode_command, encode
from oms.messages.commands import PositionSpec, ReportPositions
from oms.messages.replies import RefusedReport
from oms.messages.subjects import parse_subject

log = logging.getLogger(__name__)

CODE: Final = "FACT_REFUSED"
MAX_KNOWN: Final = 10_000
"""Facts remembered as told; of more, the oldest may be told again."""
MAX_A_MINUTE: Final = 30
"""Alerts a minute. Of what is more, one alert says that there is more, and the log has it."""
MAX_TEXT: Final = 1_000
_MINUTE_NS: Final = 60 * 10**9

_FACTS: Final[dict[type, str]] = {
    r.Filled: "trade_id",
    r.Busted: "trade_id",
    r.Funding: "funding_id",
    r.Found: "order_id",
    PositionSpec: "symbol",
}
"""Reports that are facts, whatever we make of them, and what names each."""


class RefusedFacts:
    """What was told, for one life of the engine."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._minute = 0
        self._told = 0

    def alerts(
        self, subject: str, raw: bytes, refused: list[RefusedReport], sequence: int, now: int
    ) -> Iterator[bytes]:
        """The alerts, encoded, that a list of reports or positions gives rise to.

        Args:
            subject, raw: of the command. ``refused``: what was answered.
            now: UTC ns.
        """
        parts = parse_subject(subject)
        command: Any = decode_command(parts.action, raw)
        said = command.positions if isinstance(command, ReportPositions) else command.reports
        place = ".".join(parts[1:4])
        for each in refused:
            report = said[each.index]
            name = _FACTS.get(type(report))
            if name is None:
                continue
            kind = type(report).__name__
            side = str(getattr(report, "side", ""))
            if not self._new((place, kind, report.symbol, getattr(report, name), side)):
                continue
            told = f"{place}: {each.error.code}: {each.error.message}: {encode(report).decode()}"[:MAX_TEXT]
            log.error("%s: %s", CODE, told)
            yield from self._within_bounds(told, sequence, now)

    def _new(self, key: tuple[str, ...]) -> bool:
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return True

    def _within_bounds(self, told: str, sequence: int, now: int) -> Iterator[bytes]:
        minute = now // _MINUTE_NS
        if minute != self._minute:
            self._minute, self._told = minute, 0
        self._told += 1
        if self._told > MAX_A_MINUTE:
            if self._told > MAX_A_MINUTE + 1:
                return
            told = "more facts are refused this minute than are told: see the engine's log"
        yield msgspec.json.encode(Alert(code=CODE, sequence=sequence, message=told, at=now))
