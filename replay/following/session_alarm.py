"""Session alarm: tells people when an account has no connector for a while, and when the venue was not what was believed.

It hears events of the journal, so a session that is down when the follower begins counts from then on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from oms.aggregates.account import Account, AccountKey
from oms.messages import events as e
from oms.venues.errors import Kind

DOWN: Final = "SESSION"
DIFFERENCES: Final = "DIFFERENCES"
AFTER_S: Final = 30.0
"""A session that is back before is not worth waking somebody: every reconnect takes seconds."""
REFUSED_AFTER_S: Final = 3.0
"""Where the venue refuses the key no reconnect helps. It is long enough for one that was rotated, whose follower is there."""
POLL_S: Final = 1.0
NAMED: Final = 5
"""Differences that an alert spells out."""

Tell = Callable[[str, str], Awaitable[None]]


class SessionAlarm:
    """Hears events by :meth:`watch`; :meth:`run` tells.

    Args:
        tell: takes a code and a message.
        ledgers: accounts as they are when it begins.
    """

    def __init__(self, tell: Tell, ledgers: Iterable[Account]) -> None:
        self._tell = tell
        now = time.monotonic()
        self._down = {ledger.key: (now, "when the follower began") for ledger in ledgers if not ledger.ready}
        self._refused: set[AccountKey] = set()
        self._told: set[AccountKey] = set()
        self._differences: list[str] = []

    def watch(self, event: Any) -> None:
        """Take in the next event."""
        match event:
            case e.SessionOpened(ready=True):
                key = (event.exchange, event.account, event.market)
                self._down.pop(key, None)
                self._refused.discard(key)
                self._told.discard(key)
            case e.SessionOpened() | e.SessionClosed():
                key = (event.exchange, event.account, event.market)
                since, reason = self._down.get(key, (time.monotonic(), "reconciling"))
                if isinstance(event, e.SessionClosed):
                    reason = event.reason
                self._down[key] = (since, reason)
                if Kind.AUTH_FATAL in reason:
                    self._refused.add(key)
            case e.Reconciled() if event.differences:
                some = "; ".join(
                    f"{each.kind} {each.key}: expected {each.expected}, found {each.found}"
                    for each in event.differences[:NAMED]
                )
                count = len(event.differences) + event.more
                place = f"{event.exchange}.{event.account}.{event.market}"
                self._differences.append(f"{place}: {count} differences from the venue: {some}")

    async def run(self) -> None:
        """Tell what is to be told, without end."""
        while True:
            await asyncio.sleep(POLL_S)
            differences, self._differences = self._differences, []
            for message in differences:
                await self._tell(DIFFERENCES, message)
            now = time.monotonic()
            for key, (since, reason) in list(self._down.items()):
                after = REFUSED_AFTER_S if key in self._refused else AFTER_S
                if now - since >= after and key not in self._told:
                    self._told.add(key)
                    why = f"no session is ready for {after:.0f} s: orders are refused ({reason})"
                    await self._tell(DOWN, f"{'.'.join(key)}: {why}")
