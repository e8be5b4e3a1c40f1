"""Restore: the journal again from the archive, and never at the price of what only the journal has."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec
import nats
import pytest
from click.testing import CliRunner
from nats.aio.client import Client
from nats.js.api import Placement
from nats.js.errors import NotFoundError

from oms.cli import cli
from oms.config import CacheConfig
from oms.journal.errors import JournalBroken
from oms.journal.loss import JournalLost
from oms.journal.mark import MarkFile
from oms.journal.receipts import Receipts, Sealing
from oms.journal.signing import SigningKey
from oms.journal.stream import STREAM, SUBJECT, ensure_journal, journal_settings
from oms.messages.frames import frame_digest
from oms.nats_server import EmbeddedNats
from replay import restore as restoring
from replay.archive import Archive, ArchiveBroken, ArchiveWriter
from replay.rebuild import new_history, rebuild
from replay.restore import MAX_BATCH, Restored, RestoreRefused, restore, settings_after
from replay.snapshot import Snapshots, content_of
from replay.source import Source, journal_bounds
from tests.engine.desk import SETTINGS, Venue, accepted, engine_on, filled
from tests.replay.conftest import Following, ask
from tests.replay.journal import START, Maker, busy, write

NOW = START + 3_600 * 10**9


def archive(data_dir: Path, maker: Maker, first: int = 1, last: int | None = None) -> None:
    """Write frames of a journal to the archive, a segment a day."""
    with ArchiveWriter(data_dir) as writer:
        for stored in maker.stored[max(first, writer.sequence + 1) - 1 : last]:
            writer.append(stored.sequence, stored.payload, b"", stored.frame.commits[0].at)


async def payloads(nc: Client) -> list[bytes | None]:
    """What the journal holds, by sequence from its first; None where a message is missing."""
    found: list[bytes | None] = []
    first, last = await journal_bounds(nc)
    for sequence in range(first, last + 1):
        try:
            found.append((await nc.jetstream().get_msg(STREAM, seq=sequence)).data)
        except NotFoundError:
            found.append(None)
    return found


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal of 60 frames over several days."""
    return busy(80, 300, frame=5, step=200 * 10**9)


async def run(nc: Client, data_dir: Path, replace: bool = False) -> Restored:
    """Restore, as the command does."""
    return await restore(nc, Archive(data_dir), Snapshots(data_dir), data_dir, replace=replace)


@pytest.mark.parametrize("there", ["no stream", "an empty stream"])
async def test_journal_that_is_gone_comes_back(nc: Client, tmp_path: Path, maker: Maker, there: str) -> None:
    """Frames come back byte for byte, each at its own sequence with its own id, and the journal's settings with them."""
    archive(tmp_path, maker)
    if there == "an empty stream":
        await ensure_journal(nc.jetstream())
    done = await run(nc, tmp_path)
    assert done == Restored(1, maker.sequence, 0, maker.sequence, False, 0)
    assert await payloads(nc) == maker.payloads
    config = (await nc.jetstream().stream_info(STREAM)).config
    assert not config.allow_atomic
    assert config.deny_delete
    assert await ensure_journal(nc.jetstream()) == (1, maker.sequence)
    message = await nc.jetstream().get_msg(STREAM, seq=7)
    assert (message.headers or {})["Nats-Msg-Id"] == frame_digest(maker.payloads[6])
    history = await rebuild(Source(nc), None)
    assert history.partition.digest() == maker.state.digest()


@pytest.mark.parametrize("size", [1, MAX_BATCH - 1, MAX_BATCH, MAX_BATCH + 1, 2 * MAX_BATCH + 3])
async def test_any_number_of_frames(nc: Client, tmp_path: Path, size: int) -> None:
    """Journals of less than a batch, of exactly one and of several come back whole."""
    maker = Maker()
    maker.begin()
    while maker.sequence < size:
        maker.place()
        maker.cut()
    archive(tmp_path, maker)
    assert (await run(nc, tmp_path)).written == size
    assert await journal_bounds(nc) == (1, size)
    assert (await rebuild(Source(nc), None)).head == maker.head


async def test_journal_that_is_behind_is_completed(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """What the journal has is compared and stays; what the archive has more is appended."""
    archive(tmp_path, maker)
    await write(nc, maker.payloads[:20])
    done = await run(nc, tmp_path)
    assert done == Restored(1, maker.sequence, 20, maker.sequence - 20, False, 0)
    assert await payloads(nc) == maker.payloads
    assert await run(nc, tmp_path) == Restored(1, maker.sequence, maker.sequence, 0, False, 0)


async def test_journal_that_is_ahead_is_left(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """A journal with more than the archive loses nothing; to replace it is refused."""
    archive(tmp_path, maker, last=20)
    await write(nc, maker.payloads)
    assert await run(nc, tmp_path) == Restored(1, maker.sequence, 20, 0, False, 0)
    with pytest.raises(RestoreRefused, match=f"goes on to {maker.sequence}, the archive ends at 20"):
        await run(nc, tmp_path, replace=True)
    assert await payloads(nc) == maker.payloads


@pytest.mark.parametrize("replace", [False, True])
async def test_difference_is_named_and_nothing_changed(
    nc: Client, tmp_path: Path, maker: Maker, replace: bool
) -> None:
    """A frame that is another one in the journal is named; neither is written to, whatever was asked for."""
    archive(tmp_path, maker)
    forged = [
        *maker.payloads[:10],
        maker.payloads[10].replace(b"binance", b"bimance"),
        *maker.payloads[11:20],
    ]
    await write(nc, forged)
    with pytest.raises(RestoreRefused, match="frame 11 has digest"):
        await run(nc, tmp_path, replace)
    assert await payloads(nc) == forged


async def test_damaged_stream_is_replaced_only_when_asked(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """A message missing in the middle is named; ``replace`` makes the stream anew from the archive."""
    archive(tmp_path, maker)
    await nc.jetstream().add_stream(journal_settings().evolve(deny_delete=False))
    for payload in maker.payloads[:30]:
        await nc.jetstream().publish(SUBJECT, payload)
    await nc.jetstream().delete_msg(STREAM, 13)
    with pytest.raises(RestoreRefused, match="not frame 13"):
        await run(nc, tmp_path)
    assert len([each for each in await payloads(nc) if each is not None]) == 29
    assert await run(nc, tmp_path, replace=True) == Restored(1, maker.sequence, 29, maker.sequence, True, 0)
    assert await payloads(nc) == maker.payloads


async def test_frames_that_come_while_the_archive_is_read_are_not_lost(
    nc: Client, tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looked once and then read for long looks again before the journal is deleted."""
    archive(tmp_path, maker, last=30)
    await write(nc, maker.payloads[:30])
    compare = restoring._compare

    async def meanwhile(*args: Any) -> tuple[int, int | None]:
        found = await compare(*args)
        await write(nc, maker.payloads[30:40])
        return found

    monkeypatch.setattr(restoring, "_compare", meanwhile)
    with pytest.raises(RestoreRefused, match="ended at frame 30 and does not any more"):
        await run(nc, tmp_path, replace=True)
    assert await payloads(nc) == maker.payloads[:40]


@pytest.mark.parametrize("service", restoring.SERVICES)
async def test_who_does_not_answer_in_time_runs(
    nc: Client, nats_server: EmbeddedNats, tmp_path: Path, maker: Maker, service: str
) -> None:
    """An engine or follower too busy to answer is there: its journal is not touched."""
    archive(tmp_path, maker)
    await write(nc, maker.payloads)
    async with connected(nats_server.url) as busy_one:
        await busy_one.subscribe(f"$SRV.PING.{service}")
        await busy_one.flush()
        with pytest.raises(RestoreRefused, match=f"listens as {service} .* did not answer"):
            await run(nc, tmp_path, replace=True)
    assert await payloads(nc) == maker.payloads


async def test_purged_journal_is_mended_only_when_asked(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """A journal of which nothing is left, but the count of what there was, is no restored one."""
    archive(tmp_path, maker)
    await write(nc, maker.payloads)
    await nc.jetstream().purge_stream(STREAM)
    with pytest.raises(RestoreRefused, match="only --replace mends that"):
        await run(nc, tmp_path)
    assert (await run(nc, tmp_path, replace=True)).written == maker.sequence
    assert await payloads(nc) == maker.payloads


def test_stream_made_anew_is_where_the_one_before_was() -> None:
    """Replicas and placement are kept; everything else is as the journal must be."""
    old = journal_settings().evolve(
        num_replicas=3, placement=Placement(cluster="desk", tags=["ssd"]), deny_delete=False
    )
    new = settings_after(old, 7)
    assert (new.num_replicas, new.placement) == (3, Placement(cluster="desk", tags=["ssd"]))
    assert new.evolve(num_replicas=None, placement=None) == journal_settings(7)
    assert settings_after(None, 7) == journal_settings(7)


def receipts_of(data_dir: Path, maker: Maker, every: int, upto: int) -> None:
    """Receipts for every ``every``th frame."""
    (data_dir / "receipts").mkdir(parents=True)
    receipts = Receipts(data_dir, SigningKey.of(data_dir), "1", "c0de")
    receipts.open()
    receipts.append(
        [
            Sealing(sequence=s.sequence, head=s.digest, digest="0" * 64, commit=0, at=s.frame.commits[0].at)
            for s in maker.stored[every - 1 : upto : every]
        ]
    )
    receipts.close()


async def test_replace_is_refused_when_receipts_or_mark_know_more(
    nc: Client, tmp_path: Path, maker: Maker
) -> None:
    """What was ever durable by receipts or mark must be in the archive before the journal is deleted."""
    archive(tmp_path, maker, last=30)
    await write(nc, maker.payloads[:30])
    receipts_of(tmp_path, maker, 10, 40)
    with pytest.raises(RestoreRefused, match="receipts up to 40, the archive ends at 30"):
        await run(nc, tmp_path, replace=True)
    mark = MarkFile(tmp_path / "receipts" / "mark")
    mark.set(45, maker.stored[44].digest)
    mark.close()
    with pytest.raises(RestoreRefused, match="receipts up to 45"):
        await run(nc, tmp_path, replace=True)
    assert await payloads(nc) == maker.payloads[:30]
    archive(tmp_path, maker)
    assert (await run(nc, tmp_path, replace=True)).receipts == 45


async def test_archive_that_its_receipts_deny_is_refused(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """An archive that was written anew, chain and all, is not what the receipts say, and nothing comes from it."""
    other = busy(81, 300, frame=5, step=200 * 10**9)
    archive(tmp_path, other)
    receipts_of(tmp_path, maker, 10, 40)
    with pytest.raises(JournalBroken, match="RECEIPT at sequence 10"):
        await run(nc, tmp_path)
    assert (await journal_bounds(nc))[1] == 0


async def test_archive_that_the_mark_denies_is_refused(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """The last frame known to be durable must be the archive's own."""
    archive(tmp_path, maker)
    (tmp_path / "receipts").mkdir()
    mark = MarkFile(tmp_path / "receipts" / "mark")
    mark.set(45, maker.stored[43].digest)
    mark.close()
    with pytest.raises(JournalBroken, match=r"RECEIPT at sequence 45: .* the mark says"):
        await run(nc, tmp_path)


async def test_gap_in_the_archive_is_refused(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """An archive without one of its days restores nothing."""
    archive(tmp_path, maker)
    day = sorted(Archive(tmp_path).root.glob("*/*/*"))[1]
    shutil.rmtree(day)
    with pytest.raises(ArchiveBroken, match="missing"):
        await run(nc, tmp_path)
    with pytest.raises(NotFoundError):
        await nc.jetstream().stream_info(STREAM)


async def test_no_archive_is_refused(nc: Client, tmp_path: Path) -> None:
    """Without an archive there is nothing to restore from."""
    with pytest.raises(RestoreRefused, match="no archive"):
        await run(nc, tmp_path)


async def test_whoever_serves_must_stop_first(
    nc: Client, tmp_path: Path, maker: Maker, following: Following
) -> None:
    """While a follower runs, nothing is restored."""
    archive(tmp_path, maker)
    await write(nc, maker.payloads)
    async with following("other"):
        with pytest.raises(RestoreRefused, match="mexoms-follower runs"):
            await run(nc, tmp_path)


async def test_interrupted_restore_goes_on(nc: Client, tmp_path: Path) -> None:
    """Cut off at any batch, the next call ends with the same journal."""
    maker = Maker()
    maker.begin()
    while maker.sequence < 4 * MAX_BATCH:
        maker.place()
        maker.cut()
    archive(tmp_path, maker)
    reached = 0
    while reached < maker.sequence:

        def stop(sequence: int, last: int, written: int) -> None:
            if written:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await restore(nc, Archive(tmp_path), Snapshots(tmp_path), tmp_path, progress=stop)
        _, now = await journal_bounds(nc)
        assert now > reached
        reached = now
    assert await run(nc, tmp_path) == Restored(1, maker.sequence, maker.sequence, 0, False, 0)
    assert not (await nc.jetstream().stream_info(STREAM)).config.allow_atomic


async def test_foreign_writer_is_noticed_before_anything_follows_it(nc: Client, tmp_path: Path) -> None:
    """Somebody who writes meanwhile makes the next batch fail as a whole."""
    maker = Maker()
    maker.begin()
    while maker.sequence < 3 * MAX_BATCH:
        maker.place()
        maker.cut()
    archive(tmp_path, maker)
    writing: list[asyncio.Task[object]] = []

    def intrude(sequence: int, last: int, written: int) -> None:
        if written == MAX_BATCH:
            writing.append(asyncio.create_task(nc.publish(SUBJECT, b"foreign")))

    with pytest.raises(RestoreRefused, match="somebody else writes"):
        await restore(nc, Archive(tmp_path), Snapshots(tmp_path), tmp_path, progress=intrude)
    await asyncio.gather(*writing)
    assert (await payloads(nc))[-2:] == [maker.payloads[MAX_BATCH - 1], b"foreign"]


def drop_before(data_dir: Path, sequence: int) -> int:
    """Remove what the archive holds in segments that end before a sequence; the first that is left."""
    for segment in Archive(data_dir).segments():
        if segment.manifest is not None and segment.last < sequence:
            segment.path.unlink()
            segment.path.with_suffix(".json").unlink()
    return Archive(data_dir).bounds()[0]


async def snapshot(data_dir: Path, maker: Maker, sequence: int) -> None:
    """Write a snapshot as of a sequence."""
    history = new_history(CacheConfig())
    for stored in maker.stored[:sequence]:
        history.apply(stored)
    Snapshots(data_dir).write(content_of(history), NOW)


async def test_damaged_snapshot_is_passed_over_for_the_one_before(
    nc: Client, tmp_path: Path, maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    """A newest snapshot with another state than its header says is told, and an older one is begun from."""
    archive(tmp_path, maker)
    first = drop_before(tmp_path, 30)
    await snapshot(tmp_path, maker, first)
    (path,) = Snapshots(tmp_path).paths()
    await snapshot(tmp_path / "other", maker, first + 1)
    (newer,) = Snapshots(tmp_path / "other").newest_first()
    header = bytes(msgspec.json.decode(newer.path.read_bytes(), type=dict[str, msgspec.Raw])["header"])
    forged = header.replace(newer.header.digest.encode(), b"0" * 64)
    document = newer.path.read_bytes().replace(header, forged)
    document = document.replace(
        hashlib.sha256(header).hexdigest().encode(), hashlib.sha256(forged).hexdigest().encode()
    )
    later = tmp_path / "snapshots/2099/01/01/00"
    later.mkdir(parents=True)
    (later / path.name).write_bytes(document)
    assert (await run(nc, tmp_path)).first == first
    assert "header says 0000" in caplog.text


@pytest.mark.parametrize("empty_stream", [False, True])
async def test_archive_without_its_beginning_needs_a_snapshot(
    nc: Client, tmp_path: Path, maker: Maker, empty_stream: bool
) -> None:
    """With a snapshot to begin from, the journal begins where the archive does; without one nothing is restored."""
    archive(tmp_path, maker)
    first = drop_before(tmp_path, 30)
    assert 1 < first <= 30
    if empty_stream:
        await ensure_journal(nc.jetstream())
    with pytest.raises(RestoreRefused, match=f"the archive begins at {first}"):
        await run(nc, tmp_path)
    await snapshot(tmp_path, maker, first - 2)
    with pytest.raises(RestoreRefused, match=f"the archive begins at {first}"):
        await run(nc, tmp_path)
    await snapshot(tmp_path, maker, first - 1)
    assert await run(nc, tmp_path) == Restored(first, maker.sequence, 0, maker.sequence - first + 1, False, 0)
    assert await journal_bounds(nc) == (first, maker.sequence)
    assert await payloads(nc) == maker.payloads[first - 1 :]
    history = await rebuild(Source(nc), Snapshots(tmp_path))
    assert history.partition.digest() == maker.state.digest()


async def test_snapshot_of_another_journal_is_refused(nc: Client, tmp_path: Path, maker: Maker) -> None:
    """The snapshot to begin from must be of the archive's own chain."""
    archive(tmp_path, maker)
    first = drop_before(tmp_path, 30)
    await snapshot(tmp_path, busy(82, 300, frame=5), first + 1)
    with pytest.raises(RestoreRefused, match="different journals"):
        await run(nc, tmp_path)


async def test_journal_that_ends_before_the_archive_begins_is_refused(
    nc: Client, tmp_path: Path, maker: Maker
) -> None:
    """Frames that neither has cannot be made up."""
    archive(tmp_path, maker)
    first = drop_before(tmp_path, 30)
    await write(nc, maker.payloads[: first - 3])
    with pytest.raises(RestoreRefused, match=f"ends at {first - 3}, the archive begins at {first}"):
        await run(nc, tmp_path)
    await write(nc, maker.payloads[first - 3 : first - 1])
    await run(nc, tmp_path)
    assert await payloads(nc) == maker.payloads


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A connection that ends with the block."""
    client = await nats.connect(url)
    yield client
    await client.close()


async def test_desk_goes_on_after_its_store_is_gone(
    nats_server: EmbeddedNats, following: Following, tmp_path: Path
) -> None:
    """Trade, stop, lose nats-server's store: engine and follower refuse to start; after the restore the digests are the same,
    every command is still known, and trading goes on.
    """
    data = tmp_path / "data"
    settings = attrs.evolve(SETTINGS, data_dir=data, snapshots=Snapshots(data), archive=Archive(data))
    async with connected(nats_server.url) as nc:
        venue = Venue(nc)
        async with engine_on(nats_server.url, settings):
            await venue.open()
            orders = [(await venue.place(f"c{number}"))["order_id"] for number in range(20)]
            for number, order_id in enumerate(orders[:10]):
                answer = await venue.report(accepted(order_id), filled(order_id, f"t{number}", "0.0005"))
                assert answer["ok"]
            await venue.close()
        async with following():
            pass
        before = await rebuild(Source(nc), None)
    await nats_server.stop()
    shutil.rmtree(nats_server.store_dir / "jetstream")
    await nats_server.start()

    with pytest.raises(JournalLost):
        async with engine_on(nats_server.url, settings):
            pass
    with pytest.raises(JournalBroken, match="LOST"):
        async with following():
            pass
    command = ["replay", "restore", "--json", "--nats", nats_server.url, "--data-dir", str(data)]
    result = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert result.exit_code == 0, result.output
    done = json.loads(result.stdout)
    assert (done["first"], done["last"]) == (1, before.sequence)
    assert done["receipts"] == before.sequence

    async with connected(nats_server.url) as nc:
        after = await rebuild(Source(nc), None)
        assert (after.head, after.partition.digest()) == (before.head, before.partition.digest())
        async with engine_on(nats_server.url, settings), following() as follower:
            venue = Venue(nc, session="s2")
            await venue.open()
            assert (await venue.place("c7"))["duplicate"]
            assert (await venue.place("new"))["ok"]
            await venue.close()
            _, last = await journal_bounds(nc)
            assert (await ask(nc, "show_status._._._._", at_least=last))["ok"]
            assert follower.keeper.keeps
        _, last = await journal_bounds(nc)
        assert last > before.sequence


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        ([], 1, "not frame 13: only --replace mends that"),
        (["--replace"], 0, "The journal holds frames 1 to"),
        (["--offline"], 2, "the journal is on nats-server"),
        (["--data-dir", "/nonexistent"], 1, "there is no archive below /nonexistent"),
    ],
)
async def test_command_says_what_it_did_or_why_not(
    nc: Client,
    nats_server: EmbeddedNats,
    tmp_path: Path,
    maker: Maker,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    """The command ends with the exit code of what happened, and a line for people."""
    archive(tmp_path, maker)
    await nc.jetstream().add_stream(journal_settings().evolve(deny_delete=False))
    for payload in maker.payloads[:30]:
        await nc.jetstream().publish(SUBJECT, payload)
    await nc.jetstream().delete_msg(STREAM, 13)
    command = ["replay", "restore", "--nats", nats_server.url, "--data-dir", str(tmp_path), *arguments]
    result = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert result.exit_code == code, result.output
    assert says in result.output


async def test_command_tells_a_difference_in_one_line(
    nc: Client, nats_server: EmbeddedNats, tmp_path: Path, maker: Maker
) -> None:
    """Nothing but the line that names the frame is printed; the reader of the journal is closed before its connection."""
    archive(tmp_path, maker)
    await write(nc, [maker.payloads[0].replace(b"main", b"mean"), *maker.payloads[1:30]])
    ended = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-m",
            "oms",
            "replay",
            "restore",
            "--nats",
            nats_server.url,
            "--data-dir",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("oms: frame 1 has digest ")
