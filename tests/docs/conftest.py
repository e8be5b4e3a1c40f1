"""One `oms up` for all tests of the documentation, on a port of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

READY_WITHIN_S = 60.0


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A whole system at its defaults: its address, and what it says to try."""
    directory = tmp_path_factory.mktemp("up")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oms", "up", "--port", "0", "--data-dir", str(directory / "data")],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    try:
        yield (
            _said(process, directory / "log", r"mExOms is up at (\S+);"),
            _said(process, directory / "log", r"try: (oms .*)"),
        )
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def system_url(system: tuple[str, str]) -> str:
    """The address of a whole system: nats-server, engine, follower, connector, simulator."""
    return system[0]


def _said(process: "subprocess.Popen[str]", log: Path, pattern: str) -> str:
    # `oms up` gives up by itself when something does not get ready, and its output ends then.
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(pattern, line)
        if found is not None:
            return found[1]
    pytest.fail(f"oms up ended with {process.wait(READY_WITHIN_S)}:\n{log.read_text()[-3_000:]}")
