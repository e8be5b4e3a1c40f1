"""The engine as a process: every way in which it must not serve has an exit code of its own and one clear line."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from oms.client import OmsClient, OmsError
from oms.config import dump_config, load_config, override
from oms.journal.stream import ensure_journal
from oms.nats_server import EmbeddedNats
from tests.limits import wide_config

WITHIN_S = 30.0
Engine = subprocess.Popen[str]


@pytest.fixture
def config_file(nats_server: EmbeddedNats, tmp_path: Path) -> Path:
    """A configuration for processes that use `nats_server`."""
    config = override(
        wide_config(),
        data_dir=tmp_path / "data",
        nats_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    return path


@pytest.fixture
def start(config_file: Path) -> Iterator[Callable[..., Engine]]:
    """Start an engine process."""
    with contextlib.ExitStack() as stack:

        def begin(config: Path = config_file) -> Engine:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "oms", "engine", "--config", str(config)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield begin


async def _ready(process: Engine) -> None:
    assert process.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), WITHIN_S)
    assert line.startswith("ready "), line


async def _ended(process: Engine) -> tuple[int, str]:
    _, err = await asyncio.to_thread(process.communicate, timeout=WITHIN_S)
    assert "Traceback" not in err
    return process.returncode, err.strip().splitlines()[-1] if err.strip() else ""


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_a_clean_stop_is_code_0(start: Callable[[], Engine], sig: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end an engine cleanly."""
    engine = start()
    await _ready(engine)
    engine.send_signal(sig)
    assert (await _ended(engine))[0] == 0


async def test_a_second_engine_is_code_5(start: Callable[[], Engine]) -> None:
    """An engine does not start beside another one, and says that there is one."""
    first = start()
    await _ready(first)
    code, line = await _ended(start())
    assert code == 5
    assert line.startswith("oms: another engine serves this journal")
    assert first.poll() is None


async def test_a_fenced_engine_is_code_4(
    start: Callable[..., Engine], nats_server: EmbeddedNats, config_file: Path, tmp_path: Path
) -> None:
    """An engine that was out of the world while another took over ends at its next append, and never writes again."""
    first = start()
    await _ready(first)
    first.send_signal(signal.SIGSTOP)
    # On this host the directory of the first is held, though it does not answer; another host has a copy.
    code, line = await _ended(start())
    assert code == 5
    assert "receipts" in line
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(dump_config(override(load_config(config_file), data_dir=tmp_path / "copy")))
    second = start(elsewhere)
    await _ready(second)
    first.send_signal(signal.SIGCONT)
    async with OmsClient.connect(nats_server.url, patience_s=5.0) as oms:
        # Both answer for a moment; whatever reaches the first has to be written, which is where it learns.
        while first.poll() is None:
            with contextlib.suppress(OmsError):
                await oms.cancel_all()
    code, line = await _ended(first)
    assert code == 4
    assert line.startswith("oms: another engine has taken over")
    assert second.poll() is None


async def test_a_broken_journal_is_code_6(start: Callable[[], Engine], nc: Client) -> None:
    """A journal that holds what no engine wrote is not served."""
    await ensure_journal(nc.jetstream())
    await nc.jetstream().publish("journal.0", b"not a frame")
    code, line = await _ended(start())
    assert code == 6
    assert line.startswith("oms: the journal is broken: UNREADABLE at sequence 1")


async def test_a_server_that_does_not_sync_is_code_1(tmp_path: Path) -> None:
    """The engine does not start on a server that acknowledges before it syncs."""
    async with EmbeddedNats(tmp_path / "unsynced", sync_always=False) as server:
        config = override(wide_config(), nats_url=server.url, monitor_url=server.monitor_url)
        path = tmp_path / "config.yaml"
        path.write_text(dump_config(config))
        process = subprocess.Popen(
            [sys.executable, "-m", "oms", "engine", "--config", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        code, line = await _ended(process)
    assert code == 1
    assert line.startswith("oms: NATS_NOT_DURABLE")
