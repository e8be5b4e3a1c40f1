"""Putting a desk on simulated venues together: its processes, what they use of the machine, and what its journal tells."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import attrs
import nats
from nats.aio.client import Client

from oms.journal.reader import tail_frames
from oms.messages import events as e
from oms.nats_server import EmbeddedNats, bound_to_parent
from oms.tasks import end
from replay.source import journal_bounds

WITHIN_S: Final = 90.0
POLL_S: Final = 0.005
_TICKS: Final = os.sysconf("SC_CLK_TCK")


async def until(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> None:
    """Wait for it.

    Raises:
        TimeoutError: it did not happen; says what.
    """
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"within {within_s:g} s there was no {what}")
        await asyncio.sleep(POLL_S)


@attrs.frozen
class Part:
    """A process of the desk, and what it said when it was ready."""

    process: asyncio.subprocess.Process
    said: dict[str, Any]

    def memory_mb(self) -> float:
        """What it holds in memory (resident)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise ProcessLookupError(f"process {self.process.pid} has ended")

    def cpu_s(self) -> float:
        """What it has used of processors."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.asynccontextmanager
async def part(name: str, **arguments: Any) -> AsyncIterator[Part]:
    """Run a part of :mod:`benchmarks.venue_processes` for as long as the block lasts."""
    command = [sys.executable, "-m", "benchmarks.venue_processes", name, json.dumps(arguments)]
    process = await asyncio.create_subprocess_exec(*bound_to_parent(command), stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), WITHIN_S)
        if not line:
            raise RuntimeError(f"the {name} ended before it was ready")
        yield Part(process, json.loads(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


@attrs.define
class Journal:
    """What a journal has told since it was followed."""

    accepted: int = 0
    fills: dict[str, int] = attrs.field(factory=dict)
    """By trade id, when it was read out of the journal (UTC ns)."""
    reconciled: dict[str, e.Reconciled] = attrs.field(factory=dict)

    async def follow(self, nc: Client, first: int) -> None:
        """Read until cancelled."""
        async for batch in tail_frames(nc, first, None):
            now = time.time_ns()
            for stored in batch:
                for commit in stored.frame.commits:
                    for event in commit.events:
                        self._note(event, now)

    def _note(self, event: object, now: int) -> None:
        match event:
            case e.OrderAccepted():
                self.accepted += 1
            case e.OrderFilled():
                self.fills[event.trade_id] = now
            case e.Reconciled():
                self.reconciled[event.request_id] = event


@attrs.frozen
class Desk:
    """A desk that is not connected yet."""

    nc: Client
    url: str
    ca: str
    port: int
    journal: Journal

    @contextlib.asynccontextmanager
    async def connected(
        self, *venues: str, accounts: int = 1, limited: tuple[str, ...] = ()
    ) -> AsyncIterator[Part]:
        """Its connector, with every session ready, and no rate limits but these."""
        what = {"venues": venues, "accounts": accounts, "limited": limited}
        async with part("connector", url=self.url, ca=self.ca, port=self.port, **what) as connector:
            yield connector

    async def ask(self, subject: str, payload: bytes) -> None:
        """Send a command, or a bulk of them.

        Raises:
            RuntimeError: it was refused.
        """
        answer = await self.nc.request(subject, payload, timeout=10)
        if b'"ok":false' in answer.data:
            raise RuntimeError(f"{subject} was refused: {answer.data[:300]!r}")


@contextlib.asynccontextmanager
async def desk(exchange: str, accounts: int) -> AsyncIterator[Desk]:
    """nats-server, engine and simulator, each a process, and a journal that is followed here."""
    with tempfile.TemporaryDirectory() as name:
        ca = str(Path(name) / "ca.pem")
        async with (
            EmbeddedNats(Path(name) / "nats") as server,
            part("simulator", ca=ca, exchanges=[exchange], accounts=max(accounts, 2)) as simulator,
            part("engine", url=server.url, accounts=accounts),
        ):
            nc = await nats.connect(server.url)
            journal = Journal()
            _, last = await journal_bounds(nc)
            following = asyncio.create_task(journal.follow(nc, last + 1))
            try:
                yield Desk(nc, server.url, ca, simulator.said["port"], journal)
            finally:
                await end([following])
                await nc.close()
