"""Fixtures that any test may use, and the watch that no test leaves a process behind."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import nats
import pytest
from hypothesis import HealthCheck, settings
from nats.aio.client import Client

from oms.nats_server import EmbeddedNats
from oms.tasks import end

REPO = Path(__file__).resolve().parents[1]

# A slow shared machine must not fail a property: time is bounded by pytest-timeout, not by Hypothesis.
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=50, **_QUIET)
settings.register_profile("ci", max_examples=200, print_blob=True, **_QUIET)
settings.register_profile("thorough", max_examples=5_000, print_blob=True, **_QUIET)
settings.load_profile(os.environ.get("MEXOMS_HYPOTHESIS_PROFILE", "default"))


def _end_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what a test left on its loop. asyncio's own way cancels once and waits for ever, and a task of nats-py can lose that:
    see :mod:`oms.tasks`."""
    left = asyncio.all_tasks(loop)
    if left:
        loop.run_until_complete(end(left))


asyncio.runners._cancel_all_tasks = _end_all_tasks  # type: ignore[attr-defined]

TEARDOWN_S = 60.0
"""What the fixtures of one test may take to end; those of a module are a whole stack of processes."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Bound the end of every test: pytest-timeout stops its clock when a test fails, and what it left behind may wait for ever."""

    def late(number: int, frame: object) -> None:
        pytest.fail(f"ending took longer than {TEARDOWN_S:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, TEARDOWN_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_SESSION_VARIABLE = "MEXOMS_TEST_SESSION"
_LEFT_GRACE_S = 5.0


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """A real nats-server of this test's own, syncing always, on a free port."""
    async with EmbeddedNats(tmp_path / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def nats_server_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A real nats-server for all tests of a module; use streams of your own name."""
    server = EmbeddedNats(tmp_path_factory.mktemp("nats"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def nc(nats_server: EmbeddedNats) -> AsyncIterator[Client]:
    """A client connected to `nats_server`."""
    client = await nats.connect(nats_server.url)
    yield client
    await client.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of recorded data (`market/`, `wire/`); skips the test where there is none."""
    shared = Path(os.environ.get("MEXOMS_SHARED") or REPO.parent / "shared")
    data = shared / "data"
    if not data.is_dir():
        pytest.skip(f"no recorded data at {data}: set MEXOMS_SHARED")
    return data


@pytest.fixture(scope="session", autouse=True)
def _no_process_left() -> Iterator[None]:
    """Fail the session when a process started by a test, or by one of its children, still lives at its end."""
    mark = uuid.uuid4().hex
    os.environ[_SESSION_VARIABLE] = mark
    yield
    del os.environ[_SESSION_VARIABLE]
    deadline = time.monotonic() + _LEFT_GRACE_S
    while (left := _processes_of(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"processes left behind by the tests, now killed: {left}"


def _processes_of(mark: str) -> dict[int, str]:
    """Return the command lines of living processes that inherited this session's mark; empty without /proc."""
    wanted = f"{_SESSION_VARIABLE}={mark}".encode()
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        try:
            environment = (directory / "environ").read_bytes().split(b"\0")
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if wanted in environment and pid != os.getpid() and "multiprocessing.resource_tracker" not in command:
            found[pid] = command
    return found
