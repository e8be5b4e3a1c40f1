"""Keys and the processes that are started: what they refuse, wait for, and show to whoever looks at the host."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import nats
import pytest

from oms.cli.stack import Stack
from oms.client import OmsClient
from oms.config import Config, dump_config, load_config, override
from oms.nats_server import EmbeddedNats, bound_to_parent
from tests.limits import wide_config

WITHIN_S = 30.0
pytestmark = pytest.mark.timeout(120)


def _real(server: EmbeddedNats, tmp_path: Path) -> Path:
    """A configuration of a desk that is not simulated, whose Vault is not there."""
    config = override(load_config(), data_dir=tmp_path, nats_url=server.url)
    config = attrs.evolve(
        config,
        simulator=attrs.evolve(config.simulator, enabled=False),
        vault=attrs.evolve(config.vault, address="http://127.0.0.1:1"),
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    return path


async def _connector(path: Path, **environment: str) -> asyncio.subprocess.Process:
    command = bound_to_parent([sys.executable, "-m", "oms", "connector", "binance", "--config", str(path)])
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_environment_keys_end_a_connector_of_a_real_exchange(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """It says which variable it found and what to do, with the exit code of wrong usage, and never the key."""
    process = await _connector(
        _real(nats_server, tmp_path), VAULT_TOKEN="s.PLANTED", MEXOMS_BINANCE_SUB_ARB_SECRET="PLANTED-secret"
    )
    _, said = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == 2
    assert b"MEXOMS_BINANCE_SUB_ARB_SECRET is in the environment" in said
    assert b"PLANTED" not in said


async def test_no_login_ends_a_connector_of_a_real_exchange(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """With nothing to log in to Vault with it says what to set, and a restart is known to be of no use."""
    process = await _connector(_real(nats_server, tmp_path))
    _, said = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == 1
    assert b"cannot log in: set VAULT_TOKEN, or" in said


async def test_a_connector_waits_for_vault_and_can_be_stopped(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """While Vault is down it says so again and again, and ends in order and in time when it is told to."""
    process = await _connector(_real(nats_server, tmp_path), VAULT_TOKEN="s.PLANTED")
    assert process.stderr is not None
    said = b""
    while said.count(b"waiting for it") < 2:
        line = await asyncio.wait_for(process.stderr.readline(), WITHIN_S)
        assert line, said
        said += line
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, rest = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert time.monotonic() - started < 5
    assert process.returncode == 0
    assert b"PLANTED" not in said + rest


def _below(*roots: Path) -> Iterator[Path]:
    for root in roots:
        yield from (path for path in root.rglob("*") if path.is_file())


async def _streams(url: str) -> bytes:
    nc = await nats.connect(url)
    found = []
    js = nc.jetstream()
    for stream in await js.streams_info():
        for sequence in range(max(stream.state.first_seq, 1), stream.state.last_seq + 1):
            try:
                message = await js.get_msg(str(stream.config.name), sequence)
            except nats.js.errors.NotFoundError:
                continue
            found.append(f"{message.subject} {message.headers}".encode() + (message.data or b""))
    await nc.close()
    return b"\n".join(found)


async def test_a_running_system_shows_no_key(tmp_path: Path) -> None:
    """No key is in a process list, in what processes write, in NATS' streams or in any file, while all of it trades."""
    lines: list[str] = []
    config: Config = override(wide_config(), data_dir=tmp_path, port=0)
    stack = Stack(config, lambda name, line: lines.append(f"{name}: {line}"))
    try:
        await stack.start()
        keys = {value.encode() for value in stack._keys.values()}
        assert len(keys) >= 4
        async with OmsClient.connect(stack.config.nats.url) as oms:
            for number in range(5):
                await oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id=f"c{number}")
            await oms.place("BTCUSDT", "buy", "0.001")
            async with asyncio.timeout(WITHIN_S):
                while not (await oms.trades()).rows:
                    await asyncio.sleep(0.1)
            # A connector that dies has last words, and its successor starts as it did.
            child: Any = stack.processes.children["connector binance"]
            child.signal(signal.SIGKILL)
            await asyncio.sleep(1.0)
            await oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id="again")
        commands = b"".join(
            Path(f"/proc/{child.pid}/cmdline").read_bytes() for child in stack.processes.children.values()
        )
        streams = await _streams(stack.config.nats.url)
    finally:
        await stack.stop()
    files = {path: path.read_bytes() for path in _below(tmp_path)}
    places = {"process list": commands, "lines": "\n".join(lines).encode(), "streams": streams}
    assert all(places.values())
    assert b"OrderFilled" in streams
    for place, found in (places | files).items():
        for key in keys:
            assert key not in found, f"a key is in {place}"
