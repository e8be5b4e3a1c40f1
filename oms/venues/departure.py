"""Departure: until when a request can be taken back, because nothing of it has left.

What would put an order at a venue may wait: for its turn, for the rate limits, for a ban to end, for a connection. As long as
it waits it can be taken back, and then it never leaves. That is no question asked once and acted upon later: whoever hands
the bytes to the socket says :meth:`Departure.leave` in the same step, and no step of anybody else's comes between the two.
"""

import asyncio
import contextvars
from types import TracebackType
from typing import Self

_CURRENT: contextvars.ContextVar["Departure | None"] = contextvars.ContextVar("departure", default=None)


def departure() -> "Departure | None":
    """That of the request which is made here, also in tasks that were begun for it."""
    return _CURRENT.get()


class Withdrawn(Exception):
    """It was taken back, and nothing of it has left."""


class Departure:
    """Entered for as long as one task works on a request. Use each once.

    Args:
        waits: nothing is sent within, so that it can be taken back all the time. Otherwise it can from :meth:`hold` on: who
            sends without asking is taken to have sent from the beginning.
    """

    __slots__ = ("_canceled_before", "_held", "_left", "_task", "_token", "_withdrawn")

    def __init__(self, waits: bool = False) -> None:
        self._held = waits
        self._left = False
        self._withdrawn = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a departure is a task's"
        self._task = task
        self._canceled_before = task.cancelling()
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CURRENT.reset(self._token)
        self._left = True
        if not self._withdrawn:
            return
        if self._task.uncancel() > self._canceled_before and kind is asyncio.CancelledError:
            # Somebody ends the task as well, and that goes before.
            return
        raise Withdrawn from error

    def hold(self) -> None:
        """Say that :meth:`leave` will be asked before anything leaves."""
        self._held = True

    def leave(self) -> None:
        """Ask whether it may leave now. From here on it counts as sent.

        Raises:
            Withdrawn: it may not.
        """
        if self._withdrawn:
            raise Withdrawn
        self._left = True

    def withdraw(self) -> bool:
        """Take it back, if nothing of it has left: whatever it waits for ends, with :class:`Withdrawn` where it was entered."""
        if self._left or self._withdrawn or not self._held:
            return False
        self._withdrawn = True
        self._task.cancel()
        return True
