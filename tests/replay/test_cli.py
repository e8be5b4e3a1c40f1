"""``python -m replay`` as a person and as a script use it."""

import asyncio
import datetime
from pathlib import Path

import msgspec
import nats
import pytest
from click.testing import CliRunner, Result

from oms.aggregates import image
from oms.nats_server import EmbeddedNats
from replay.cli import replay
from replay.rebuild import rebuild
from replay.snapshot import Content, Snapshots
from replay.source import Source
from tests.replay.journal import Maker, busy, write


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A small journal."""
    return busy(71, 60, frame=10)


@pytest.fixture(scope="module")
def url(nats_server_shared: EmbeddedNats, maker: Maker) -> str:
    """A server that holds it."""

    async def fill() -> None:
        nc = await nats.connect(nats_server_shared.url)
        await write(nc, maker.payloads)
        await nc.close()

    asyncio.run(fill())
    return nats_server_shared.url


def run(url: str, tmp_path: Path, *options: str) -> Result:
    """Call the command."""
    return CliRunner().invoke(replay, ["state", "--nats", url, "--data-dir", str(tmp_path), *options])


def test_digest_is_the_live_states(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--digest`` prints the digest of the state that the engine has, and nothing else."""
    result = run(url, tmp_path, "--digest", "--from-zero")
    assert (result.exit_code, result.stdout) == (0, image.digest(maker.state) + "\n")


def test_expected_digest_that_differs_exits_1(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--expect`` is fine with the right digest and exits 1 with another, saying both."""
    right = image.digest(maker.state)
    assert run(url, tmp_path, "--digest", "--expect", right).exit_code == 0
    result = run(url, tmp_path, "--digest", "--expect", "abc")
    assert result.exit_code == 1
    assert "abc" in result.stderr
    assert right in result.stderr


def test_json_is_everything(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--json`` is one document with decimals as strings and every order and trade."""
    document = msgspec.json.decode(run(url, tmp_path, "--json").stdout)
    assert document["sequence"] == maker.sequence
    assert document["digest"] == image.digest(maker.state)
    assert len(document["orders"]) == 60
    assert isinstance(document["balances"][0]["total"], str)


def test_tables_are_for_people(url: str, tmp_path: Path, maker: Maker) -> None:
    """Without options the state is printed as tables."""
    result = run(url, tmp_path)
    assert result.exit_code == 0
    for title in ("Open orders", "Positions", "Balances", "P&L", "mtest1"):
        assert title in result.stdout


def test_until_a_sequence_or_a_time(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--at`` a sequence or a time (ns or ISO) stops there."""
    stored = maker.stored[3]
    at = stored.frame.commits[-1].at
    iso = datetime.datetime.fromtimestamp(at // 10**9 + 60, datetime.UTC).isoformat()
    for options, sequence in (
        (("--at", "4"), 4),
        (("--at", str(at)), 4),
        (("--at", iso), maker.sequence),
    ):
        document = msgspec.json.decode(run(url, tmp_path, "--json", *options).stdout)
        assert document["sequence"] == sequence


@pytest.mark.parametrize(
    "options", [("--digest", "--json"), ("--at", "noon"), ("--at", "-1"), ("--what",)]
)
def test_wrong_usage_exits_2(url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Options that make no sense exit 2."""
    assert run(url, tmp_path, *options).exit_code == 2


def test_no_server_exits_3(tmp_path: Path) -> None:
    """A server that does not answer exits 3 and says where it was looked for."""
    result = run("nats://127.0.0.1:1", tmp_path)
    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr


def test_broken_journal_exits_6(tmp_path: Path, nats_server_shared: EmbeddedNats, maker: Maker) -> None:
    """A snapshot that is ahead of the journal exits 6 and says so."""

    async def snapshot() -> None:
        nc = await nats.connect(nats_server_shared.url)
        history = await rebuild(Source(nc), None)
        assert history.projections is not None
        state, projections = image.dump(history.partition), history.projections.dump()
        ahead = Content(sequence=999, head=history.head, state=state, projections=projections)
        Snapshots(tmp_path).write(ahead, 1_790_000_000 * 10**9)
        await nc.close()

    asyncio.run(snapshot())
    result = run(nats_server_shared.url, tmp_path)
    assert result.exit_code == 6
    assert "at sequence 999" in result.stderr
