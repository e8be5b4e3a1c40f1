"""What a loop ends with: every task, those that lose a cancellation too."""

import subprocess
import sys
from typing import Final

import pytest

SCRIPT: Final = """
import asyncio
from oms.tasks import whole

async def deaf():
    try:
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        await asyncio.sleep(3_600)

async def work():
    left = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    FAILS
    return "done"

print(asyncio.run(whole(work())))
"""


@pytest.mark.parametrize("fails", ["pass", "raise OSError('told')"])
def test_a_task_that_loses_its_cancellation_keeps_no_process(fails: str) -> None:
    """A command ends, with its result or its error, whatever a library has left on the loop."""
    script = SCRIPT.replace("FAILS", fails)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    if fails == "pass":
        assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    else:
        assert ended.stderr.endswith("OSError: told\n")
