"""Child processes of ours: started bound to this one, watched, restarted within bounds, stopped in order."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from oms.cli.exits import NEVER_RESTART, Exit, StoppedError
from oms.cli.service import READY, STOP_WITHIN_S
from oms.nats_server import bound_to_parent

READY_WITHIN_S: Final = 60.0
RESTARTS_MAX: Final = 5
"""Restarts of one process within :data:`RESTARTS_WITHIN_S`; then everything stops."""
RESTARTS_WITHIN_S: Final = 60.0
BACKOFF_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
LINE_BYTES_MAX: Final = 64 * 1024
TAIL_LINES: Final = 20

Say = Callable[[str, str], None]
"""Is told (process, line) of what processes write and what becomes of them."""


@attrs.frozen(kw_only=True)
class Program:
    """What to start.

    Args:
        arguments: of ``oms``.
        environment: what the process sees besides ours; never shown.
        restart: start it again when it dies.
    """

    name: str
    arguments: list[str]
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    restart: bool = True


class Child:
    """One run of a program after the other. ``ready`` holds what the ready line said, once it was said."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.ever_ready = False
        self.pids: list[int] = []
        """Of every run, the last one last."""
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[dict[str, Any]] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process, None when none runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process; it ends with us, however we end."""
        self._ready = asyncio.get_running_loop().create_future()
        self.tail.clear()
        command = bound_to_parent([sys.executable, "-m", "oms", *self.program.arguments])
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env={**os.environ, **self.program.environment},
            # Ctrl-C is for us; we end them in order.
            start_new_session=True,
        )
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._reading = [
            asyncio.create_task(self._read(self._process.stdout, True)),
            asyncio.create_task(self._read(self._process.stderr, False)),
        ]

    async def _read(self, stream: asyncio.StreamReader, protocol: bool) -> None:
        while True:
            try:
                raw = await stream.readline()
            except ValueError:
                # A line beyond the limit was thrown away by the reader; what follows is read on.
                self._say(self.program.name, f"(a line of over {LINE_BYTES_MAX:,} bytes was left out)")
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip()
            if protocol and line.startswith(READY):
                self.ever_ready = True
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(json.loads(line.removeprefix(READY)))
                continue
            self.tail.append(line)
            self._say(self.program.name, line)

    async def ready(self) -> dict[str, Any]:
        """Wait for the ready line and return what it says.

        Raises:
            StoppedError: the process ended, or did not get ready in time.
        """
        assert self._ready is not None
        assert self._process is not None
        ending = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait(
                (self._ready, ending), timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ending.cancel()
        if self._ready.done():
            return self._ready.result()
        if self._process.returncode is not None:
            await self.ended()
            raise self.stopped(" before it was ready")
        raise StoppedError(
            Exit.NO_ANSWER,
            f"{self.program.name} was not ready within {READY_WITHIN_S:g} s{self.last_words()}",
        )

    async def ended(self) -> int:
        """Wait for the end and for the last line; return the exit code, negative for a signal."""
        assert self._process is not None
        code = await self._process.wait()
        # A grandchild could hold the pipes open for ever.
        _, late = await asyncio.wait(self._reading, timeout=2.0)
        for task in late:
            task.cancel()
        return code

    def how_ended(self) -> str:
        """In words, how the process ended."""
        assert self._process is not None
        code = self._process.returncode
        if code is None:
            return "runs"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def last_words(self) -> str:
        """What it said last, for a message."""
        return f": {self.tail[-1].removeprefix('oms: ')}" if self.tail else ""

    def stopped(self, when: str = "") -> StoppedError:
        """The error for an end that nothing mends: with its exit code, if it is one of ours."""
        assert self._process is not None
        known = {each.value for each in Exit} - {Exit.DONE}
        code = Exit(self._process.returncode) if self._process.returncode in known else Exit.REFUSED
        return StoppedError(code, f"{self.program.name} {self.how_ended()}{when}{self.last_words()}")

    def signal(self, sig: signal.Signals) -> None:
        """Send a signal to the running process."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(sig)

    async def stop(self) -> None:
        """End the process cleanly, or by force when it takes too long; nothing when none runs."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), STOP_WITHIN_S + 5.0)
        except TimeoutError:
            self._say(self.program.name, "did not stop in time: killed")
            self.signal(signal.SIGKILL)
            await self.ended()


class Supervisor:
    """Children in the order they were started; stopped in the opposite order.

    Args:
        say: is told what they write, and what becomes of them.
    """

    def __init__(self, say: Say) -> None:
        self.children: dict[str, Child] = {}
        self._say = say
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def start(self, program: Program) -> Child:
        """Start a program and watch it from now on."""
        child = self.children[program.name] = Child(program, self._say)
        await child.start()
        self._watching[program.name] = asyncio.create_task(self._watch(child))
        return child

    async def failed(self) -> None:
        """Wait until a child is gone for good.

        Raises:
            StoppedError: which, and how.
        """
        raise await asyncio.shield(self._failure)

    async def stop(self, name: str) -> None:
        """Stop one child cleanly and for good."""
        await self._unwatch(name)
        await self.children[name].stop()

    async def stop_all(self) -> None:
        """Stop every child, the one started last first."""
        # First nobody is restarted any more, then they end.
        for name in self._watching:
            await self._unwatch(name)
        for child in reversed(self.children.values()):
            await child.stop()

    async def _unwatch(self, name: str) -> None:
        task = self._watching[name]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, child: Child) -> None:
        try:
            await self._keep(child)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            if not self._failure.done():
                self._failure.set_result(error)

    async def _keep(self, child: Child) -> None:
        """Start a child again whenever it dies, within bounds."""
        restarts: deque[float] = deque(maxlen=RESTARTS_MAX)
        name = child.program.name
        while True:
            code = await child.ended()
            if not child.ever_ready:
                raise child.stopped(" before it was ready")
            if not child.program.restart or code in NEVER_RESTART:
                raise child.stopped()
            now = time.monotonic()
            recent = sum(now - at < RESTARTS_WITHIN_S for at in restarts)
            if recent == RESTARTS_MAX:
                raise child.stopped(f", after {recent} restarts in {RESTARTS_WITHIN_S:g} s")
            pause = BACKOFF_S[min(recent, len(BACKOFF_S) - 1)]
            restarts.append(now)
            self._say(name, f"{child.how_ended()}: started again{f' in {pause:g} s' if pause else ''}")
            await asyncio.sleep(pause)
            await child.start()
