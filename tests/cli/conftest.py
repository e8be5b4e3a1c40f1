"""One `oms up` for the tests of a module, and a way to run `oms` as people do."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from oms.config import dump_config
from tests.limits import wide_config

UP_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


@attrs.define
class Ran:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def run_oms(*arguments: str, url: str = "", timeout_s: float = 60.0) -> Ran:
    """Run `oms` to its end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMS_")}
    if url:
        environment["OMS_NATS"] = url
    done = subprocess.run(
        [sys.executable, "-m", "oms", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class Up:
    """A running `oms up`, on free ports."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        self._errors = data_dir.with_suffix(".stderr")
        if "--config" not in arguments:
            wide = data_dir.with_suffix(".yaml")
            wide.write_text(dump_config(wide_config()))
            arguments = ("--config", str(wide), *arguments)
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oms", "up", "--data-dir", str(data_dir), "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.url = ""

    def wait_until_up(self) -> "Up":
        line = self._line("mExOms is up at ")
        found = re.search(r"nats://\S+[0-9]", line)
        assert found is not None, line
        self.url = found[0]
        return self

    def _line(self, start: str) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline:
            if not select.select([self.process.stdout], [], [], 0.5)[0]:
                continue
            line = self.process.stdout.readline().decode()
            assert line, f"oms up ended early: {self.said()}"
            if line.startswith(start):
                return line
        raise AssertionError(f"oms up did not say {start!r} in {UP_WITHIN_S:g} s: {self.said()}")

    def said(self) -> str:
        """What it wrote to standard error so far."""
        return self._errors.read_text()

    def heard(self, text: str, within_s: float = 30.0) -> bool:
        """Whether it says this in time."""
        deadline = time.monotonic() + within_s
        while text not in self.said():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def descendants(self) -> dict[int, str]:
        """Every living process below it, with its command line."""
        parents: dict[int, int] = {}
        commands: dict[int, str] = {}
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                stat = (directory / "stat").read_text()
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(directory.name)] = int(stat.rpartition(")")[2].split()[1])
            commands[int(directory.name)] = command
        found: dict[int, str] = {}
        grown = True
        while grown:
            more = {p: commands[p] for p, parent in parents.items() if parent in (self.process.pid, *found)}
            grown = len(more) > len(found)
            found = more
        return found

    def pid_of(self, word: str) -> int:
        """The process id of one child, by a word of its command line."""
        return next(pid for pid, command in self.descendants().items() if f"-m oms {word} " in command)

    def stop(self, sig: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(STOP_WITHIN_S)
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The whole system, for all tests of a module."""
    running = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        yield running.wait_until_up()
    finally:
        code = running.stop()
    assert code == 0, "Ctrl-C is a clean end"
