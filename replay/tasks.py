"""Ending tasks for certain.

``asyncio.wait_for`` of Python 3.11, which nats-py uses for every request, loses a cancellation that meets its result; the
task then goes on as if nothing had been, and a ``TaskGroup`` that waits for it waits for ever. So a task is cancelled
again until it ends.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

PATIENCE_S: Final = 1.0


async def end(*tasks: "asyncio.Task[Any]", patience_s: float = PATIENCE_S) -> None:
    """End tasks and wait for them, cancelling again whenever ``patience_s`` is over; what they raised is theirs to tell."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=patience_s)


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until one returns or raises; end the others and raise what it raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
