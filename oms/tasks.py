"""Running tasks together, and ending them for certain.

``asyncio.wait_for`` of Python 3.11, which nats-py uses for every request, loses a cancellation that meets its result: the
task goes on as if nothing had been. So a task is cancelled again until it has ended.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

AGAIN_S: Final = 0.2
AGAIN_AFTER_CLEANUP_S: Final = 5.0
"""For tasks that tidy up when cancelled: longer than that takes."""


async def end(tasks: Iterable[asyncio.Task[Any]], again_s: float = AGAIN_S) -> None:
    """Cancel tasks until they have ended; what they raised is theirs and is not raised here."""
    everyone = list(tasks)
    pending = {task for task in everyone if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_s)
    await asyncio.gather(*everyone, return_exceptions=True)


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns, once every other task of its loop has ended too.

    For what is given to ``asyncio.run``, which cancels what is left once, and then waits for it: for ever, where that was lost.
    """
    try:
        return await work
    finally:
        await end(asyncio.all_tasks() - {asyncio.current_task()})


async def together(works: Iterable[Coroutine[Any, Any, None]], again_s: float = AGAIN_S) -> None:
    """Run all until all have ended; the first that fails ends the others and is raised as itself."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        if tasks:
            # Not gather: it would cancel the others, and ending them would cancel them again in the middle of their cleanup.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
    finally:
        await end(tasks, again_s)


async def until_first(works: Iterable[Coroutine[Any, Any, None]], again_s: float = AGAIN_S) -> None:
    """Run all until one returns or raises; end the others and raise what it raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks, again_s)
    for task in done:
        task.result()
