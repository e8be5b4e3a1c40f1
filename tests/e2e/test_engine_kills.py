"""SIGKILL of the engine's process at random moments under load: nothing acknowledged is lost, nothing is done twice."""

import asyncio
import contextlib
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest

from oms.aggregates import image
from oms.config import dump_config, override
from oms.journal.reader import read_frames
from oms.messages import events as e
from oms.messages.frames import GENESIS
from oms.nats_server import EmbeddedNats, bound_to_parent
from replay.rebuild import rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.engine.desk import Trader, Venue, accepted, filled
from tests.limits import wide_config

KILLS = 20
WORKERS = 6
SEED = 7


class EngineProcess:
    """``oms engine`` on a configuration file."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it serves."""
        command = [sys.executable, "-m", "oms", "engine", "--config", str(self._config)]
        self._process = await asyncio.create_subprocess_exec(
            *bound_to_parent(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line.startswith(b"ready "), line

    async def __aenter__(self) -> "EngineProcess":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGKILL)

    async def end(self, sig: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(sig)
        code = await asyncio.wait_for(self._process.wait(), 30)
        self._process._transport.close()  # type: ignore[attr-defined]  # or it warns when collected
        return code


class ObedientVenue(Venue):
    """A venue that acknowledges every order once and fills every third, reporting until the engine takes it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: Counter[str] = Counter()
        self.answering: set[asyncio.Task[None]] = set()

    async def _told(self, message: Any) -> None:
        told = json.loads(message.data)
        for instruction in told["instructions"]:
            kind, order_id = instruction["instruction"], instruction["order_id"]
            if kind == "submit":
                self.seen[order_id] += 1
                known = True
            else:
                known = order_id in self.seen
            task = asyncio.create_task(self._answer(order_id, known))
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)

    async def _answer(self, order_id: str, known: bool) -> None:
        reports: list[dict[str, Any]] = [{"report": "absent", "order_id": order_id, "reason": "never came"}]
        if known:
            reports = [accepted(order_id)]
            if int(order_id[-4:], 16) % 3 == 0:
                reports.append(filled(order_id, "t" + order_id, "0.00011"))
        while True:
            with contextlib.suppress(nats.errors.Error):
                if (await self.report(*reports))["ok"]:
                    return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_sigkill_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, nats_server: EmbeddedNats
) -> None:
    """After 20 kills every acknowledged command is there, each once; trades count once; all replays agree."""
    rng = random.Random(SEED)
    settings = override(
        wide_config(), data_dir=tmp_path, nats_url=nats_server.url, monitor_url=nats_server.monitor_url
    )
    config = tmp_path / "config.yaml"
    config.write_text(dump_config(settings))
    async with EngineProcess(config) as engine:
        await _kill_and_look(tmp_path, nats_server, engine, rng)


async def _kill_and_look(
    tmp_path: Path, nats_server: EmbeddedNats, engine: EngineProcess, rng: random.Random
) -> None:
    await engine.start()
    nc = await nats.connect(nats_server.url)
    venue = ObedientVenue(nc)
    await venue.open(usdt="10000000")
    acknowledged: dict[str, dict[str, Any]] = {}
    denied: set[str] = set()
    stopping = asyncio.Event()

    async def trade(worker: int) -> None:
        client = await nats.connect(nats_server.url)
        trader, number = Trader(client), 0
        while not stopping.is_set():
            number += 1
            command_id = f"w{worker}-{number}"
            while True:
                try:
                    answer = await trader.place(command_id, quantity="0.00011")
                except nats.errors.Error:
                    await asyncio.sleep(0.05)
                    continue
                if answer["ok"]:
                    acknowledged[command_id] = answer
                    break
                if answer["error"]["code"] in ("VENUE_DOWN", "INSUFFICIENT_FUNDS"):
                    denied.add(command_id)
                    break
                assert answer["error"]["code"] == "JOURNAL_UNAVAILABLE", answer
        await client.close()

    async def kill() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.05, 0.6))
            await engine.end(signal.SIGKILL)
            await engine.start()
        await asyncio.sleep(0.3)
        stopping.set()

    await asyncio.gather(kill(), *(trade(w) for w in range(WORKERS)))
    while venue.answering:
        await asyncio.gather(*venue.answering)

    # The engine's own memory: every acknowledged command repeated gets its first answer.
    trader = Trader(nc)
    for command_id, first in acknowledged.items():
        again = await trader.place(command_id, quantity="0.00011")
        assert again == {**first, "duplicate": True}

    placed: Counter[str] = Counter()
    by_command: dict[str, str] = {}
    trades: Counter[str] = Counter()
    last = (await nc.jetstream().stream_info("JOURNAL")).state.last_seq
    async for batch in read_frames(nc, 1, last, GENESIS):
        for stored in batch:
            for commit in stored.frame.commits:
                for event in commit.events:
                    if isinstance(event, e.OrderPlaced):
                        placed[commit.command_id] += 1
                        by_command[commit.command_id] = event.order_id
                    elif isinstance(event, e.OrderFilled):
                        trades[event.trade_id] += 1
    assert len(acknowledged) > 10 * KILLS, "the load was too small to prove anything"
    assert set(placed.values()) == {1}
    assert set(trades.values()) == {1}
    assert {c: a["order_id"] for c, a in acknowledged.items()}.items() <= by_command.items()
    assert not denied & by_command.keys()
    # Nothing reached the venue that is not in the journal, and nothing twice.
    assert set(venue.seen) <= set(by_command.values())
    assert set(venue.seen.values()) == {1}

    await venue.close()
    assert await engine.end(signal.SIGTERM) == 0
    whole = await rebuild(Source(nc), None)
    half = await rebuild(Source(nc), None, until_sequence=last // 2)
    Snapshots(tmp_path).write(content_of(half), half.at)
    resumed = await rebuild(Source(nc), Snapshots(tmp_path))
    assert whole.sequence == resumed.sequence
    assert image.digest(whole.partition) == image.digest(resumed.partition)
    live = {order.order_id for order in whole.partition.orders.values()} | whole.partition.retired.keys()
    assert set(by_command.values()) <= live
    assert not whole.partition.unanswered
    assert not whole.partition.doubtful
    await nc.close()
