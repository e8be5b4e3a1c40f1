"""Risk alarm: tells people within a second when a limit is broken, a kill switch engages, or a transfer is in doubt.

What is read before the follower has caught up is told once it has, and only as far as it still stands: whoever reads years
of history is not told each day of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

from oms.messages import controls as k
from oms.messages import desk as d
from replay.asking.wording import number

LIMIT: Final = "LIMIT"
KILL: Final = "KILL"
TRANSFER: Final = "TRANSFER"
AT_ONCE: Final = 50
"""Alerts of one code that are told one by one; what came on top meanwhile is told as one."""

Tell = Callable[[str, str], Awaitable[None]]
_What = tuple[str, str, str]
"""(code, scope, control and position), of a transfer (code, id, "")."""


def _crossed(event: k.LimitCrossed) -> _What:
    return (LIMIT, event.scope, f"{event.control} {event.position}")


class RiskAlarm:
    """Hears events by :meth:`watch`; :meth:`run` tells.

    Args:
        tell: takes a code and a message.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._waiting: dict[_What, str] = {}
        self._caught_up = False
        self._heard = asyncio.Event()

    def watch(self, event: Any) -> None:
        """Take in the next event."""
        match event:
            case k.LimitCrossed(level=k.Level.BREACHED, limit=Decimal() as limit):
                position = f", position {event.position}" if event.position else ""
                figures = f"{event.control} is {number(event.used)}, its limit {number(limit)}{position}"
                self._take(_crossed(event), f"{event.scope}: {figures}")
            case k.LimitCrossed():
                self._over(_crossed(event))
            case k.KillSwitchEngaged():
                who = f"{event.cause} tripped it" if event.cause else f"by {event.by}"
                reason = f": {event.reason}" if event.reason else ""
                self._take(
                    (KILL, event.scope, ""), f"{event.scope}: the kill switch is engaged, {who}{reason}"
                )
            case k.KillSwitchReleased():
                self._over((KILL, event.scope, ""))
            case d.TransferInDoubt():
                what = f"transfer {event.transfer_id} is in doubt, and its funds are locked: {event.reason}"
                self._take((TRANSFER, event.transfer_id, ""), what)
            case d.TransferCompleted() | d.TransferRejected():
                self._over((TRANSFER, event.transfer_id, ""))

    def _take(self, what: _What, message: str) -> None:
        self._waiting[what] = message
        if self._caught_up:
            self._heard.set()

    def _over(self, what: _What) -> None:
        if not self._caught_up:
            self._waiting.pop(what, None)

    def caught_up(self) -> None:
        """From now on everything is news."""
        self._caught_up = True
        self._heard.set()

    async def run(self) -> None:
        """Tell what is to be told, without end."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            told, self._waiting = self._waiting, {}
            for code in (KILL, TRANSFER, LIMIT):
                messages = [message for what, message in told.items() if what[0] == code]
                for message in messages[:AT_ONCE]:
                    await self._tell(code, message)
                if len(messages) > AT_ONCE:
                    where = "the accounts' timelines" if code == TRANSFER else "`oms risk --near`"
                    await self._tell(code, f"{len(messages) - AT_ONCE:,} more: see {where}")
