"""What every demonstration has: the whole stack, steps, claims that are checked before they are made, and an end."""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from nats.aio.client import Client
from rich.console import Console

from oms.aggregates import image
from oms.cli.demo import compare as c
from oms.cli.demo import evidence
from oms.cli.exits import Exit, StoppedError
from oms.cli.stack import FOLLOWER, Stack
from oms.config import Config


class Telling:
    """One run of a demonstration. Whoever tells it stops ``stack`` afterwards, whatever happened."""

    steps: ClassVar[int]

    def __init__(self, console: Console, config: Config) -> None:
        self.console = console
        self.log: deque[str] = deque(maxlen=500)
        """What the processes wrote, for when something goes wrong."""
        self.stack = Stack(config, self._heard)
        self._step = 0
        self._started = time.monotonic()

    def _heard(self, process: str, line: str) -> None:
        self.log.append(f"{process:<22} {line}")

    async def tell(self) -> None:
        """Tell all of it.

        Raises:
            StoppedError: a claim did not hold, or a process failed.
        """
        raise NotImplementedError

    # -- telling

    def title(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self.console.print()
        self.console.rule(f"[bold]{self._step}/{self.steps}  {text}", align="left", style="dim")

    def say(self, text: str) -> None:
        """Tell what needs no proof."""
        self.console.print(text)

    def check(self, claim: str, differences: Sequence[str]) -> None:
        """Make a claim, or say what contradicts it.

        Raises:
            StoppedError: there are differences.
        """
        if not differences:
            self.console.print(f"[green]✓[/] {claim}")
            return
        self.console.print(f"[red]✗[/] NOT TRUE: {claim}")
        for difference in differences[: c.SHOWN]:
            self.console.print(f"    {difference}", style="red", markup=False)
        if len(differences) > c.SHOWN:
            self.console.print(f"    … and {len(differences) - c.SHOWN:,} more", style="red")
        raise StoppedError(Exit.REFUSED, f"the demonstration failed: not true that {claim}")

    # -- steps that every story has

    async def start(self) -> None:
        """Start everything, and say what it is."""
        self.title("Start everything")
        await self.stack.start()
        assert self.stack.nats is not None
        self.say(
            f"nats-server, process {self.stack.nats.pid}, at {self.stack.config.nats.url}: the journal, synced to disk"
        )
        for name, child in self.stack.processes.children.items():
            self.say(f"{name}, process {child.pid}")
        self.say(f"ready after {time.monotonic() - self._started:.1f} s")

    async def prove(self, nc: Client) -> None:
        """Stop the follower, which writes down its live state, and hold a replay from the first frame against it."""
        await self.stack.processes.stop(FOLLOWER)
        snapshot = evidence.last_snapshot(self.stack.config)
        sequence = snapshot.header.sequence
        before = time.perf_counter()
        history = await evidence.replay_until(nc, sequence, self.stack.config)
        took = (time.perf_counter() - before) * 1_000
        assert history.projections is not None
        digest = image.digest(history.partition)
        self.check(
            f"replay of sequences 1 to {sequence:,} ({history.events:,} events, {took:.0f} ms): digest {digest[:16]}… is that of the live state",
            c.states_agree(snapshot.header.digest, digest, snapshot.projections, history.projections.dump()),
        )
        report = await evidence.verified(nc, self.stack.config)
        self.check(
            f"the record proves itself: {report.frames:,} frames chained, {report.archived:,} of them in the archive too,"
            f" {report.seals:,} seals and {report.receipts:,} signed receipts hold, {report.decided:,} commands decided again"
            " give the same events",
            c.record_is_proven(report),
        )

    async def stop(self) -> None:
        """Stop everything, and look whether it is gone."""
        self.title("Stop")
        pids = [pid for child in self.stack.processes.children.values() for pid in child.pids]
        if self.stack.nats is not None and self.stack.nats.pid is not None:
            pids.append(self.stack.nats.pid)
        await self.stack.stop()
        self.check(
            f"{len(pids)} processes were started, none is left",
            [f"process {pid} lives" for pid in pids if _lives(pid)],
        )
        self.say(
            f"[dim]{time.monotonic() - self._started:.1f} s. Now yours: `oms up`, then `oms place buy 0.1 BTCUSDT`[/]"
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
