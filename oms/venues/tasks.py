"""Running tasks together, and ending them for certain."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

AGAIN_S: Final = 0.2
AGAIN_AFTER_CLEANUP_S: Final = 5.0
"""For tasks that tidy up when cancelled: longer than that takes."""


async def end(tasks: Iterable[asyncio.Task[Any]], again_s: float = AGAIN_S) -> None:
    """Cancel tasks until they have ended; what they raised is theirs and is not raised here.

    Once is not enough: ``asyncio.wait_for`` of Python 3.11 loses a cancellation that meets a result.
    """
    everyone = list(tasks)
    pending = {task for task in everyone if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_s)
    await asyncio.gather(*everyone, return_exceptions=True)


async def together(works: Iterable[Coroutine[Any, Any, None]], again_s: float = AGAIN_S) -> None:
    """Run all until all have ended; the first that fails ends the others and is raised as itself."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end(tasks, again_s)
