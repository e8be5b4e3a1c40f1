"""What faults make of private messages on their way out: lost, late, twice, or in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .faults import Fault, Faults, Stage

# Messages that faults hold back at once; beyond this they go out as they come.
MAX_HELD = 10_000


class Reports:
    """Hands private order and execution messages on, or what the faults make of them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: dict[str, Callable[[], None]] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def emit(self, stream: str, labels: tuple[str, ...], deliver: Callable[[], None]) -> None:
        """Call `deliver` now, or as a fault wants. Must run in the event loop.

        `stream` is what messages keep their order within, such as the account's name; `labels` are what fault rules
        may call the message: its execution (NEW, TRADE, …) and the exchange's name of its topic.
        """
        held = self._held.pop(stream, None)
        rule = self._faults.draw(Stage.REPORT, *labels) if held is None else None
        if rule is None or len(self._timers) >= MAX_HELD:
            deliver()
        elif rule.kind is Fault.DROP_REPORT:
            pass
        elif rule.kind is Fault.DUPLICATE_REPORT:
            deliver()
            deliver()
        elif rule.kind is Fault.DELAY_REPORT:
            self._later(rule.delay_ms, deliver)
        else:
            self._held[stream] = deliver
            self._later(rule.delay_ms, lambda: self._release(stream, deliver))
        if held is not None:
            held()

    def stop(self) -> None:
        """Forget what is held back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._held.clear()

    def _later(self, delay_ms: int, deliver: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            deliver()

        timer = asyncio.get_running_loop().call_later(delay_ms / 1000, due)
        self._timers.add(timer)

    def _release(self, stream: str, deliver: Callable[[], None]) -> None:
        """Deliver a held message that no later one has overtaken in time."""
        if self._held.get(stream) is deliver:
            del self._held[stream]
            deliver()
