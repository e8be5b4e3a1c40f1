"""What the follower writes down: archive, trade log and reports, whole over any crash, and never at the price of answers."""

import asyncio
import contextlib
import errno
import json
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from nats.aio.client import Client

from oms.aggregates.digest import SHAPE
from oms.encryption import KeyMissing, Keys
from oms.journal.errors import JournalBroken
from oms.journal.reader import StoredFrame, read_frames
from oms.journal.stream import STREAM
from oms.messages.events import Sealed
from oms.messages.frames import Commit, encode_commit
from oms.nats_server import EmbeddedNats
from replay.archive import Archive
from replay.checks import split_checks
from replay.following import archiver, follower, keeper
from replay.following.trade_log import TradeLog
from replay.rebuild import rebuild
from replay.restore import restore
from replay.snapshot import Snapshots
from replay.source import Source, journal_bounds
from tests.replay.conftest import Following, ask
from tests.replay.journal import Maker, busy, write


def archived(data_dir: Path) -> list[bytes]:
    """The frames of an archive."""
    archive = Archive(data_dir)
    return [frame.payload for frame in archive.read(*archive.bounds())]


def unchecked(data_dir: Path) -> list[int]:
    """Sequences of the frames that have no checks."""
    archive = Archive(data_dir)
    return [frame.sequence for frame in archive.read(*archive.bounds()) if not frame.checks]


def trades(data_dir: Path) -> list[dict[str, Any]]:
    """The lines of a trade log."""
    return [json.loads(line) for path in TradeLog(data_dir).paths() for line in path.read_text().splitlines()]


async def told_trades(nc: Client) -> list[dict[str, Any]]:
    """Every trade as ``show_trades`` tells it, oldest first."""
    rows: list[dict[str, Any]] = []
    page: dict[str, Any] = {"more": True, "next": ""}
    while page["more"]:
        page = await ask(nc, "show_trades._._._._", limit=500, after=page["next"])
        rows += page["rows"]
    return rows[::-1]


async def status(nc: Client) -> dict[str, Any]:
    """The status row."""
    (row,) = (await ask(nc, "show_status._._._._"))["rows"]
    return dict(row)


@contextlib.asynccontextmanager
async def alerts(nc: Client) -> AsyncIterator[list[dict[str, Any]]]:
    """What is alerted."""
    found: list[dict[str, Any]] = []

    async def take(message: Any) -> None:
        found.append(json.loads(message.data))

    subscription = await nc.subscribe("alerts.>", cb=take)
    await nc.flush()
    yield found
    await subscription.unsubscribe()


async def until(met: Any, within_s: float = 10) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within_s):
        while not (await met() if asyncio.iscoroutinefunction(met) else met()):
            await asyncio.sleep(0.02)


async def test_everything_is_written_down(nc: Client, following: Following, tmp_path: Path) -> None:
    """The archive holds every frame byte for byte with checks of each commit, the log the rows of ``show_trades``, and
    there are reports; all before the snapshot that a clean stop writes.
    """
    maker = busy(100, 150, step=400 * 10**9)
    await write(nc, maker.payloads)
    async with following():
        told = await told_trades(nc)
        assert (await status(nc))["faults"] == {}
    data = tmp_path / "data"
    assert archived(data) == maker.payloads
    archive = Archive(data)
    for frame, stored in zip(archive.read(1, maker.sequence), maker.stored, strict=True):
        assert len(list(split_checks(frame.checks))) == len(stored.frame.commits)
    assert trades(data) == told
    assert len(list((data / "reports").glob("*/*/pnl.csv"))) >= 1


async def test_all_is_on_disk_within_a_second(nc: Client, following: Following, tmp_path: Path) -> None:
    """While it runs, what was applied is in archive and log a second later, and ``show_status`` says how far."""
    maker = busy(101, 50)
    await write(nc, maker.payloads)
    async with following(crash=True):
        since = maker.sequence
        busy(102, 20, frame=3, maker=maker)
        await write(nc, maker.payloads[since:])

        async def there() -> bool:
            return bool((await status(nc))["archived"] == maker.sequence)

        await until(there, 2)
        assert archived(tmp_path / "data") == maker.payloads
        assert trades(tmp_path / "data") == await told_trades(nc)


async def test_turn_of_the_day_finishes_the_report(nc: Client, following: Following, tmp_path: Path) -> None:
    """The first frame of a new day writes the report, in which the day before is final."""
    maker = busy(103, 40, step=10**9)
    await write(nc, maker.payloads)
    async with following(crash=True):
        since = maker.sequence
        maker.clock += 86_400 * 10**9
        maker.fill(maker.place(), "1", "100")
        maker.cut()
        await write(nc, maker.payloads[since:])

        def finished() -> bool:
            return any(
                ",yes\n" in path.read_text() for path in (tmp_path / "data" / "reports").rglob("pnl.csv")
            )

        await until(finished, 5)


async def test_killed_anywhere_nothing_is_missing_or_double(
    nc: Client, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    """A follower killed again and again while frames come ends with each frame and each trade once."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"nats: {{embedded: false, url: '{nats_server.url}', allow_unsynced: true}}\n"
        f"storage: {{data_dir: '{tmp_path / 'data'}', snapshot_interval: 1s}}\n"
    )
    chance = random.Random(104)
    maker = busy(104, 400, frame=4, step=90 * 10**9)
    await write(nc, maker.payloads[:20])
    position = 20
    command = [sys.executable, "-m", "oms", "follower", "--config", str(config)]
    while position < maker.sequence:
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(nats.errors.Error):
                        await ask(nc, "show_status._._._._")
                        break
                    await asyncio.sleep(0.05)
            upto = min(maker.sequence, position + chance.randrange(15, 30))
            await write(nc, maker.payloads[position:upto])
            position = upto
            await asyncio.sleep(chance.random() * 1.2)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(nats.errors.Error):
                    answer = await ask(nc, "show_trades._._._._", at_least=maker.sequence, timeout_ms=5000)
                    assert answer["ok"]
                    break
                await asyncio.sleep(0.05)
        told = await told_trades(nc)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    data = tmp_path / "data"
    assert archived(data) == maker.payloads
    assert unchecked(data) == []
    assert trades(data) == told
    assert len(told) > 100


async def test_archive_and_log_that_are_gone_are_made_again(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """Without archive or log the follower starts before its snapshot, so that both come back whole, checks and all."""
    maker = busy(105, 150)
    await write(nc, maker.payloads)
    async with following(max_size=10):
        pass
    data = tmp_path / "data"
    lines = trades(data)
    assert len(lines) > 20
    for gone in ("archive", "logs"):
        shutil.rmtree(data / gone)
        async with following(max_size=10):
            pass
        assert archived(data) == maker.payloads
        assert unchecked(data) == []
        assert trades(data) == lines


async def test_archive_without_an_older_state_has_no_checks(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """When the state before the missing frames is gone for good, they are archived without checks, from the first there is."""
    maker = busy(106, 150)
    await write(nc, maker.payloads)
    async with following():
        pass
    data = tmp_path / "data"
    shutil.rmtree(data / "archive")
    await nc.jetstream().purge_stream(STREAM, seq=3)
    async with following():
        since = maker.sequence
        busy(107, 10, maker=maker)
        await write(nc, maker.payloads[since:])
        await ask(nc, "show_status._._._._", at_least=maker.sequence)
    assert Archive(data).bounds() == (3, maker.sequence)
    assert archived(data) == maker.payloads[2:]
    assert unchecked(data) == list(range(3, since + 1))


async def test_gap_between_archive_and_journal_is_a_fault(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """Frames that neither archive nor journal has are named; the follower answers from its snapshot on."""
    maker = busy(108, 150, frame=10)
    await write(nc, maker.payloads[:5])
    async with following():
        pass
    data = tmp_path / "data"
    shutil.copytree(data / "archive", tmp_path / "old")
    # An older snapshot, which nothing follows on any more.
    (path,) = Snapshots(data).paths()
    older = data / "snapshots/2026/01/01/00"
    older.mkdir(parents=True)
    shutil.copy(path, older / path.name)
    await write(nc, maker.payloads[5:])
    async with following():
        pass
    shutil.rmtree(data / "archive")
    shutil.copytree(tmp_path / "old", data / "archive")
    await nc.jetstream().purge_stream(STREAM, seq=9)
    async with alerts(nc) as heard, following():
        since = maker.sequence
        busy(109, 10, maker=maker)
        await write(nc, maker.payloads[since:])
        assert (await ask(nc, "show_orders._._._._", at_least=maker.sequence))["ok"]
        await until(lambda: heard)
        assert heard[0]["code"] == "ARCHIVE"
        assert "ends at 5, the journal begins at 9" in heard[0]["message"]
        assert "ARCHIVE" in (await status(nc))["faults"]
        assert len(heard) == 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr(keeper, "RETRY_S", 0.2)
    monkeypatch.setattr(keeper, "SYNC_S", 0.1)


@contextlib.contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file of this process may become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("bound", [archiver.MAX_QUEUED_BYTES, 20_000])
async def test_full_disk_is_told_and_mended(
    nc: Client,
    following: Following,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bound: int,
) -> None:
    """While nothing can be written it goes on answering, alerts once, trims nothing, and says so; once there is room, all is
    there: from its queue, and what has left that, from the journal.
    """
    monkeypatch.setattr(archiver, "MAX_QUEUED_BYTES", bound)
    maker = busy(110, 50)
    await write(nc, maker.payloads)
    data = tmp_path / "data"
    async with alerts(nc) as heard, following(interval_s=1) as running:
        await until(lambda: running.keeper.archiver.sequence == maker.sequence)
        with disk_full_at(60_000):
            since = maker.sequence
            busy(111, 300, frame=5, maker=maker)
            await write(nc, maker.payloads[since:])
            assert (await ask(nc, "show_orders._._._._", at_least=maker.sequence))["ok"]

            async def both() -> bool:
                return set((await status(nc))["faults"]) >= {"ARCHIVE"}

            await until(both)
            await running._trim_once()
            row = await status(nc)
            assert row["trimmed"].startswith("nothing: ARCHIVE")
            # It is opened now and then to try again, and ends where it did before.
            assert row["archived"] in (None, since)

            async def let_go() -> bool:
                return (await status(nc))["archived"] is None

            await until(let_go)
            await asyncio.sleep(0.5)
            assert [alert["code"] for alert in heard].count("ARCHIVE") == 1
        await until(lambda: running.keeper.archiver.sequence == maker.sequence and running.keeper.keeps)
        told = await told_trades(nc)
    assert archived(data) == maker.payloads
    assert trades(data) == told
    if bound == 20_000:
        assert unchecked(data)
    else:
        assert unchecked(data) == []


@pytest.mark.usefixtures("quick")
async def test_gap_before_the_journal_holds_nobody_up(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that ends before the journal begins is let go of: more frames than may wait for it are followed all the same."""
    monkeypatch.setattr(archiver, "MAX_QUEUED_BYTES", 20_000)
    maker = busy(120, 100, frame=5)
    await write(nc, maker.payloads[:5])
    data = tmp_path / "data"
    async with following():
        pass
    shutil.copytree(data / "archive", tmp_path / "old")
    await write(nc, maker.payloads[5:])
    async with following():
        pass
    shutil.rmtree(data / "archive")
    shutil.copytree(tmp_path / "old", data / "archive")
    await nc.jetstream().purge_stream(STREAM, seq=maker.sequence - 5)
    async with following(crash=True) as running:
        since = maker.sequence
        busy(121, 200, frame=5, maker=maker)
        await write(nc, maker.payloads[since:])
        await until(lambda: running.history.sequence == maker.sequence)
        assert "the journal begins at" in (await status(nc))["faults"]["ARCHIVE"]


async def without_older_state(nc: Client, following: Following, data_dir: Path, maker: Maker) -> None:
    """Leave a snapshot at the journal's end, no archive, and no frame to begin earlier from."""
    await write(nc, maker.payloads)
    async with following():
        pass
    shutil.rmtree(data_dir / "archive")
    await nc.jetstream().purge_stream(STREAM, seq=5)


async def test_stop_does_not_wait_for_a_server_that_never_answers(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the archive still lacks at a stop is left to the next start after a while, which then archives it."""
    maker = busy(122, 50, frame=5)
    await without_older_state(nc, following, tmp_path / "data", maker)

    async def never(*_: Any) -> AsyncIterator[list[StoredFrame]]:
        await asyncio.Event().wait()
        yield []

    since = maker.sequence
    busy(123, 20, frame=5, maker=maker)
    with monkeypatch.context() as patched:
        patched.setattr(archiver, "read_frames", never)
        patched.setattr(follower, "STOP_TIMEOUT_S", 0.3)
        patched.setattr(keeper, "CLOSE_S", 0.3)
        async with asyncio.timeout(8), following() as running:
            await write(nc, maker.payloads[since:])
            await until(lambda: running.history.sequence == maker.sequence)
    async with following():
        pass
    assert archived(tmp_path / "data") == maker.payloads[4:]


@pytest.mark.usefixtures("quick")
async def test_server_that_is_late_is_no_fault_of_the_disk(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout while missing frames are read from the journal is tried again: nothing is let go of or alerted."""
    maker = busy(124, 50, frame=5)
    await without_older_state(nc, following, tmp_path / "data", maker)
    late = [nats.errors.TimeoutError(), nats.errors.TimeoutError()]

    async def sometimes(*args: Any) -> AsyncIterator[list[StoredFrame]]:
        if late:
            raise late.pop()
        async with contextlib.aclosing(read_frames(*args)) as frames:
            async for batch in frames:
                yield batch

    monkeypatch.setattr(archiver, "read_frames", sometimes)
    async with alerts(nc) as heard, following() as running:
        since = maker.sequence
        busy(125, 20, frame=5, maker=maker)
        await write(nc, maker.payloads[since:])
        await until(lambda: running.keeper.archiver.sequence == maker.sequence)
        told = await told_trades(nc)
    assert not late
    assert heard == []
    assert trades(tmp_path / "data") == told


@pytest.mark.usefixtures("quick")
async def test_fault_of_another_kind_is_told_again(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk that mends too late leaves trades missing in the log: that is alerted too, with the restart that mends it."""
    maker = busy(126, 40, frame=5)
    await write(nc, maker.payloads)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with alerts(nc) as heard, following(crash=True, max_size=10) as running:
        with monkeypatch.context() as patched:
            patched.setattr(TradeLog, "_append", full)
            since = maker.sequence
            busy(127, 100, frame=5, maker=maker)
            await write(nc, maker.payloads[since:])
            await until(lambda: heard and running.history.sequence == maker.sequence)
        await until(lambda: len(heard) > 1)
        await asyncio.sleep(0.5)
    assert [alert["code"] for alert in heard] == ["TRADE_LOG", "TRADE_LOG"]
    assert "No space left" in heard[0]["message"]
    assert "restart the follower" in heard[1]["message"]
    async with following(max_size=10) as again:
        assert again.keeper.faults == {}
        last = again.history.projections.trades.last  # type: ignore[union-attr]
    assert [line["number"] for line in trades(tmp_path / "data")] == list(range(1, last + 1))


async def test_forged_line_of_the_log_is_a_fault(nc: Client, following: Following, tmp_path: Path) -> None:
    """A log whose lines are not the journal's is told and left as it is; answers go on."""
    maker = busy(112, 150)
    await write(nc, maker.payloads)
    async with following():
        pass
    shutil.rmtree(tmp_path / "data" / "snapshots")
    (path,) = TradeLog(tmp_path / "data").paths()
    forged = path.read_text().replace('"trade_id":"t7"', '"trade_id":"x7"')
    path.write_text(forged)
    async with alerts(nc) as heard, following():
        assert (await ask(nc, "show_trades._._._._"))["rows"]
        await until(lambda: heard)
        assert heard[0]["code"] == "TRADE_LOG"
        assert "'x7'" in (await status(nc))["faults"]["TRADE_LOG"]
    assert path.read_text() == forged


@pytest.mark.usefixtures("quick")
async def test_second_follower_takes_over_the_writing(
    nc: Client, following: Following, tmp_path: Path
) -> None:
    """Of two on one data directory one writes; when it ends, the other goes on where it was."""
    maker = busy(113, 60)
    await write(nc, maker.payloads)
    data = tmp_path / "data"
    async with following() as second_to_end, following() as first_to_end:
        assert second_to_end.keeper.keeps
        assert not first_to_end.keeper.archiver.holds
        assert first_to_end.keeper.faults == {}
    async with contextlib.AsyncExitStack() as stack:
        first = contextlib.AsyncExitStack()
        await first.enter_async_context(following())
        second = await stack.enter_async_context(following())
        since = maker.sequence
        busy(114, 60, frame=7, maker=maker)
        await write(nc, maker.payloads[since:])
        await until(lambda: second.history.sequence == maker.sequence)
        await first.aclose()
        await until(lambda: second.keeper.keeps)
        since = maker.sequence
        busy(115, 60, frame=7, maker=maker)
        await write(nc, maker.payloads[since:])
        await until(lambda: second.history.sequence == maker.sequence)
        told = await told_trades(nc)
    assert archived(data) == maker.payloads
    assert trades(data) == told
    assert unchecked(data) == []


async def test_journal_is_trimmed_and_read_on_through_the_archive(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower trims by itself, says what it did, and starts from an older state through the archive."""
    monkeypatch.setattr("replay.following.trim.KEPT_FRAMES", 5)
    monkeypatch.setattr(follower, "TRIM_INTERVAL_S", 0.3)
    maker = busy(116, 200, frame=5, step=800 * 10**9)
    await write(nc, maker.payloads)
    data = tmp_path / "data"
    async with following(interval_s=1):

        async def trimmed() -> bool:
            return "is not sealed yet" in (await status(nc))["trimmed"]

        await until(trimmed)
        first, _ = await journal_bounds(nc)
        assert first > 10
        assert (await status(nc))["journal_first"] == first
    shutil.rmtree(data / "snapshots")
    monkeypatch.setattr(follower, "TRIM_INTERVAL_S", 3_600)
    async with following() as again:
        assert again.history.partition.digest() == maker.state.digest()
        assert again.history.events > 0
    zero = await rebuild(Source(nc, Archive(data)), None)
    assert zero.partition.digest() == maker.state.digest()


async def test_with_keys_archive_and_snapshots_are_encrypted_and_the_journal_comes_back(
    nc: Client, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on disk tells nothing without the keys; with them the follower goes on, trims, and all is restored."""
    monkeypatch.setattr("replay.following.trim.KEPT_FRAMES", 5)
    keys = Keys("k1", {"k1": b"1" * 32})
    data = tmp_path / "data"
    maker = busy(118, 200, frame=5, step=800 * 10**9)
    await write(nc, maker.payloads)
    async with following(keys=keys):
        pass
    for path in [
        *(data / "archive").rglob("*.zst"),
        *(data / "archive").rglob("*.open"),
        *(data / "snapshots").rglob("*.json"),
    ]:
        assert b"OrderPlaced" not in path.read_bytes()
        assert b"order_id" not in path.read_bytes()
    async with following(keys=keys) as again:
        assert again.history.events == 0
        await again._trim_once()
        assert (await status(nc))["faults"] == {}
    assert (await journal_bounds(nc))[0] > 10
    await nc.jetstream().delete_stream(STREAM)
    with pytest.raises(KeyMissing):
        await restore(nc, Archive(data), Snapshots(data), data)
    done = await restore(nc, Archive(data, keys), Snapshots(data, keys), data)
    assert (done.first, done.last) == (1, maker.sequence)
    assert (await rebuild(Source(nc), None)).partition.digest() == maker.state.digest()


async def test_missing_key_is_told(nc: Client, following: Following, tmp_path: Path) -> None:
    """Without the key that the archive is encrypted with, it is not written to, and that is a fault."""
    maker = busy(119, 20)
    await write(nc, maker.payloads)
    async with following(keys=Keys("k1", {"k1": b"1" * 32})):
        pass
    shutil.rmtree(tmp_path / "data" / "snapshots")
    async with following():
        assert "k1" in (await status(nc))["faults"]["ARCHIVE"]


def seal(maker: Maker, digest: str) -> None:
    """Append a seal, forged or not."""
    commit = Commit(
        at=maker.clock,
        subject="seal._._._._",
        command=msgspec.Raw(b"{}"),
        events=[Sealed(digest=digest, shape=SHAPE)],
    )
    maker._open.append(encode_commit(commit))
    maker.cut()


async def test_seal_that_differs_is_alerted_and_ends_the_follower(nc: Client, following: Following) -> None:
    """A seal of another state than the follower's own is told with its sequence, and the follower ends broken."""
    maker = busy(117, 30)
    await write(nc, maker.payloads)
    since = maker.sequence

    async def follow() -> None:
        async with following() as running:
            seal(maker, maker.state.digest())
            seal(maker, "0" * 64)
            await write(nc, maker.payloads[since:])
            while running.ready.is_set():
                await asyncio.sleep(0.01)

    async with alerts(nc) as heard:
        with pytest.raises(JournalBroken, match=f"SEAL at sequence {since + 2}"):
            await follow()
        await until(lambda: heard)
    (alert,) = heard
    assert (alert["code"], alert["sequence"], alert["kill"]) == ("SEAL", since + 2, False)
    assert "digest" in alert["message"]
    assert abs(alert["at"] - time.time_ns()) < 60 * 10**9
