"""`oms up` and its processes: restarted when they die, stopped in order, never left behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Ran, Up, run_oms

Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Up] = []

    def begin(*arguments: str) -> Up:
        started.append(Up(tmp_path / f"data{len(started)}", *arguments))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def _all_gone(pids: dict[int, str], within_s: float = 30.0) -> dict[int, str]:
    deadline = time.monotonic() + within_s
    while left := {
        pid: command for pid, command in pids.items() if Path(f"/proc/{pid}").exists() and _alive(pid)
    }:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return {}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_kill_leaves_no_process(start: Start) -> None:
    """Even SIGKILL of `oms up`, which can clean up nothing, takes every process with it."""
    up = start().wait_until_up()
    pids = up.descendants()
    assert len(pids) == 5, pids
    up.stop(signal.SIGKILL)
    assert _all_gone(pids) == {}


def test_a_kill_while_starting_leaves_no_process(start: Start) -> None:
    """So does a SIGKILL before everything is up."""
    up = start()
    deadline = time.monotonic() + 30
    while len(pids := up.descendants()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    up.stop(signal.SIGKILL)
    assert _all_gone(pids) == {}


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_dead_process_is_told_of_and_started_again_until_all_is_stopped(
    start: Start, sig: signal.Signals
) -> None:
    """A killed engine is back and serves; a clean stop then exits 0, writes a snapshot and leaves no process."""
    up = start().wait_until_up()
    pids = up.descendants()
    os.kill(up.pid_of("engine"), signal.SIGKILL)
    assert up.heard("was killed by SIGKILL: started again")
    placed = run_oms("place", "buy", "0.01", "BTCUSDT", "-p", "40000", url=up.url)
    assert placed.code == 0, placed.err
    pids |= up.descendants()
    assert up.stop(sig) == 0
    assert _all_gone(pids, 0.0) == {}
    assert list((up.data_dir / "snapshots").rglob("state.json"))


def test_what_cannot_be_replaced_ends_everything(start: Start) -> None:
    """The simulator's orders die with it: `oms up` does not go on as if nothing were, and exits non-zero."""
    up = start().wait_until_up()
    pids = up.descendants()
    os.kill(up.pid_of("simulator"), signal.SIGKILL)
    assert up.process.wait(30) == 1
    assert "oms: simulator was killed by SIGKILL" in up.said()
    assert _all_gone(pids, 0.0) == {}


def test_orders_survive_a_restart_of_everything(start: Start, tmp_path: Path) -> None:
    """What was placed before Ctrl-C is there when everything is started again on the same directory."""
    up = start().wait_until_up()
    order_id = run_oms("place", "buy", "0.01", "BTCUSDT", "-p", "40000", url=up.url).out.split()[0]
    assert up.stop() == 0
    again = Up(up.data_dir)
    try:
        again.wait_until_up()
        shown = run_oms("orders", order_id, url=again.url)
        assert order_id in shown.out
    finally:
        again.stop()


def test_a_taken_port_is_one_line(start: Start, tmp_path: Path) -> None:
    """A port that is in use is said so, with exit code 1."""
    up = start().wait_until_up()
    port = up.url.rpartition(":")[2]
    ran: Ran = run_oms("up", "--data-dir", str(tmp_path / "other"), "--port", port)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("oms: NATS_PORT_IN_USE")
    assert "Traceback" not in ran.err
