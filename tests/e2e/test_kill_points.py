"""The engine killed at each point between an acknowledged append, the mark and the receipt: the next start refuses nothing."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import nats
import pytest

from oms.config import dump_config, override
from oms.journal.mark import read_mark
from oms.journal.receipts import check_receipts
from oms.journal.stream import STREAM
from oms.nats_server import EmbeddedNats
from oms.tasks import end
from tests.engine.desk import SETTINGS, Trader, Venue, engine_on
from tests.limits import wide_config

POINTS = {
    "acknowledged, no mark": "Evidence.durable, now",
    "marked, not told": "Evidence.durable, after",
    "sealed, no receipt": "Receipts.append, now",
    "half a receipt": "Receipts._write, half",
    "receipt, not in the mark": "Receipts.append, after",
    "key made, nothing declared": "Evidence.check_journal, now",
    "mark made, nothing declared": "Evidence.check_state, after",
}
"""Where it dies: a function, and when in it."""

KILLED_AT = """
import inspect, os, signal, sys
from oms.journal.evidence import Evidence
from oms.journal.receipts import Receipts
owner, name = sys.argv[1].split(".")
owner, when, calls = {"Evidence": Evidence, "Receipts": Receipts}[owner], sys.argv[2], int(sys.argv[3])
found = getattr(owner, name)
made = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def step(*args):
    global made
    made += 1
    if made == calls and when == "now":
        die()
    if made == calls and when == "half":
        receipts, content, at = args
        found(receipts, content[: len(content) // 2], at)
        die()

def killed(*args):
    step(*args)
    done = found(*args)
    if made == calls and when == "after":
        die()
    return done

async def killed_async(*args):
    step(*args)
    await found(*args)
    if made == calls and when == "after":
        die()

setattr(owner, name, killed_async if inspect.iscoroutinefunction(found) else killed)
sys.argv = ["oms", "engine", "--config", sys.argv[4]]
from oms.cli import main
main()
"""


@pytest.mark.parametrize(
    "point,calls",
    # What is checked at the start is passed once in a life.
    [(point, calls) for point in POINTS for calls in (1, 3) if calls == 1 or "check" not in POINTS[point]],
)
async def test_a_kill_at_any_point_is_no_loss(
    nats_server: EmbeddedNats, tmp_path: Path, point: str, calls: int
) -> None:
    """Killed there for the first or the third time, the engine starts again, and what was told before is there."""
    config = override(
        wide_config(),
        data_dir=tmp_path / "data",
        nats_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    function, when = POINTS[point].split(", ")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_AT, function, when, str(calls), str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    nc = await nats.connect(nats_server.url)
    told = {}
    trading = asyncio.create_task(_trade(Venue(nc), told))
    _, error = await asyncio.to_thread(process.communicate, timeout=30)
    await end([trading])
    assert process.returncode == -signal.SIGKILL, error.decode()
    assert told or "Receipts" not in function, "it dies while it trades"
    settings = attrs.evolve(SETTINGS, data_dir=tmp_path / "data")
    for _ in range(2):
        async with engine_on(nats_server.url, settings):
            for command_id, answer in told.items():
                again = await Trader(nc).place(command_id, quantity="0.00011")
                assert again == {**answer, "duplicate": True}
    last = (await nc.jetstream().stream_info(STREAM)).state.last_seq
    mark = read_mark(tmp_path / "data" / "receipts" / "mark").mark
    assert mark is not None
    assert mark.sequence == last
    assert mark.receipt == list(check_receipts(tmp_path / "data"))[-1].sequence == last
    await nc.close()


async def _trade(venue: Venue, told: dict[str, object]) -> None:
    """Trade with whatever engine there is, until cancelled."""
    number = 0
    while True:
        try:
            if not number:
                await venue.open()
            number += 1
            answer = await venue.place(f"c{number}", quantity="0.00011")
        except (nats.errors.Error, AssertionError):
            await asyncio.sleep(0.02)
            continue
        if answer["ok"]:
            told[f"c{number}"] = answer
        await asyncio.sleep(0.02)
