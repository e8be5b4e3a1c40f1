"""Trimming: what is old goes from the journal, and each reason not to is seen refusing."""

import hashlib
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from oms.config import CacheConfig
from oms.journal.stream import STREAM
from replay import snapshot as snapshotting
from replay.archive import Archive, ArchiveBroken, ArchiveWriter
from replay.following import trim as trimming
from replay.following.trim import KEPT_FRAMES, Trimmed, trim
from replay.rebuild import new_history, rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source, journal_bounds
from tests.replay.journal import Maker, busy, write

DAY = 86_400 * 10**9
KEPT = 5


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal over several days."""
    return busy(90, 300, frame=5, step=400 * 10**9)


@pytest.fixture
async def there(nc: Client, tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Journal, archive and a snapshot at the end, of which all may go but the last day; the ends of its sealed segments."""
    monkeypatch.setattr(trimming, "KEPT_FRAMES", KEPT)
    await write(nc, maker.payloads)
    archive(tmp_path, maker)
    snapshot(tmp_path, maker, maker.sequence)
    ends = [segment.last for segment in Archive(tmp_path).segments() if segment.manifest is not None]
    assert len(ends) > 2
    assert ends[-1] < maker.sequence - KEPT
    return ends


def archive(data_dir: Path, maker: Maker, first: int = 1, last: int | None = None) -> None:
    """Archive a journal; the last day stays open."""
    with ArchiveWriter(data_dir) as writer:
        for stored in maker.stored[first - 1 : last]:
            writer.append(stored.sequence, stored.payload, b"", stored.frame.commits[0].at)


def snapshot(data_dir: Path, maker: Maker, sequence: int) -> Path:
    """Write a snapshot as of a sequence."""
    history = new_history(CacheConfig())
    for stored in maker.stored[:sequence]:
        history.apply(stored)
    return Snapshots(data_dir).write(content_of(history), history.at).path


async def run(nc: Client, data_dir: Path, now: int, days: int = 1) -> Trimmed:
    """Trim, as the follower does."""
    return await trim(nc, Archive(data_dir), None, Snapshots(data_dir), days, now)


async def test_old_segments_go_and_all_is_still_there(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int]
) -> None:
    """What is old and archived goes; the rest stays, its settings too; from zero, archive and journal give the same state."""
    now = maker.clock + 100 * DAY
    done = await run(nc, tmp_path, now)
    assert (done.first, done.frames) == (there[-1] + 1, there[-1])
    assert f"from frame {there[-1] + 1} on is not sealed yet" in done.why
    assert await journal_bounds(nc) == (there[-1] + 1, maker.sequence)
    config = (await nc.jetstream().stream_info(STREAM)).config
    assert config.deny_delete
    assert not config.max_age
    assert (await run(nc, tmp_path, now)).frames == 0
    zero = await rebuild(Source(nc, Archive(tmp_path)), None)
    newest = await rebuild(Source(nc), Snapshots(tmp_path))
    assert zero.partition.digest() == newest.partition.digest() == maker.state.digest()


async def test_history_is_read_on_while_it_is_trimmed(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int]
) -> None:
    """Frames that leave the journal while those before them are read come from the archive, and are no gap."""
    await nc.jetstream().purge_stream(STREAM, seq=there[0] + 1)
    found: list[int] = []
    async with aclosing(Source(nc, Archive(tmp_path)).frames(1, maker.sequence, None)) as frames:
        async for batch in frames:
            found += [stored.sequence for stored in batch]
            if found[-1] == there[0]:
                await nc.jetstream().purge_stream(STREAM, seq=there[1] + 1)
    assert found == list(range(1, maker.sequence + 1))


async def test_snapshots_are_read_off_the_loop(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large snapshot is read while questions are answered."""
    threads: list[threading.Thread] = []
    read = snapshotting.read_snapshot

    def noted(*args: Any) -> snapshotting.Snapshot:
        threads.append(threading.current_thread())
        return read(*args)

    monkeypatch.setattr(snapshotting, "read_snapshot", noted)
    assert (await run(nc, tmp_path, maker.clock + 100 * DAY)).frames == there[-1]
    assert threads
    assert threading.main_thread() not in threads


async def test_young_frames_stay(nc: Client, tmp_path: Path, maker: Maker, there: list[int]) -> None:
    """Frames go only once the last commit of their segment is older than the days to keep."""
    segments = Archive(tmp_path).segments()
    assert segments[1].manifest is not None
    youngest = segments[1].manifest.at_last
    for days in (1, 30):
        done = await run(nc, tmp_path, youngest + days * DAY - 1, days)
        assert done.first <= there[0] + 1
        assert f"frame {there[1]} is of" in done.why
        assert f"younger than {days} days" in done.why
    assert (await run(nc, tmp_path, youngest + 30 * DAY, 30)).first == there[1] + 1


async def test_last_frames_stay(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old, the last thousand frames are never trimmed."""
    assert KEPT_FRAMES == 1_000
    monkeypatch.setattr(trimming, "KEPT_FRAMES", maker.sequence - there[1] + 1)
    done = await run(nc, tmp_path, maker.clock + 100 * DAY)
    assert (done.first, done.why) == (
        there[0] + 1,
        f"frame {there[1]} is among the last {maker.sequence - there[1] + 1}",
    )
    monkeypatch.setattr(trimming, "KEPT_FRAMES", maker.sequence - there[1])
    assert (await run(nc, tmp_path, maker.clock + 100 * DAY)).first == there[1] + 1


async def test_snapshot_must_be_there(nc: Client, tmp_path: Path, maker: Maker, there: list[int]) -> None:
    """Without a snapshot nothing goes, and behind one only what it holds."""
    for path in Snapshots(tmp_path).paths():
        path.unlink()
    done = await run(nc, tmp_path, maker.clock + 100 * DAY)
    assert (done.first, done.frames) == (1, 0)
    assert "newest good snapshot of this journal is at 0" in done.why
    snapshot(tmp_path, maker, there[1] - 1)
    done = await run(nc, tmp_path, maker.clock + 100 * DAY)
    assert (done.first, done.frames) == (there[0] + 1, there[0])
    assert f"is at {there[1] - 1}, before frame {there[1]}" in done.why


@pytest.mark.parametrize("member", ["state", "projections", "header", "digest"])
async def test_damaged_snapshot_does_not_count(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int], member: str
) -> None:
    """A snapshot with a digit changed in any part, or whose digest is not its state's, is not one to trim behind."""
    (path,) = Snapshots(tmp_path).paths()
    content = path.read_bytes()
    if member == "digest":
        document = msgspec.json.decode(content)
        header = msgspec.json.encode(document["header"])
        forged = header.replace(document["header"]["digest"].encode(), b"0" * 64)
        content = content.replace(header, forged).replace(
            document["header_sha256"].encode(), hashlib.sha256(forged).hexdigest().encode()
        )
    else:
        start = content.index(f'"{member}":'.encode()) + 40
        at = next(place for place in range(start, len(content)) if content[place : place + 1] in b"2468")
        content = content[:at] + b"9" + content[at + 1 :]
    path.write_bytes(content)
    assert (await run(nc, tmp_path, maker.clock + 100 * DAY)).frames == 0


async def test_snapshot_of_another_journal_does_not_count(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int]
) -> None:
    """A snapshot whose head is not the journal's frame is not one to trim behind."""
    for path in Snapshots(tmp_path).paths():
        path.unlink()
    snapshot(tmp_path, busy(91, 300, frame=5, step=400 * 10**9), maker.sequence - 1)
    assert (await run(nc, tmp_path, maker.clock + 100 * DAY)).frames == 0


@pytest.mark.parametrize("kind", ["flipped", "cut", "missing"])
async def test_damaged_segment_stays_in_the_journal(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int], kind: str
) -> None:
    """A segment that does not read back as it was written is not trimmed behind; those before it are."""
    path = Archive(tmp_path).segments()[1].path
    content = bytearray(path.read_bytes())
    if kind == "flipped":
        content[len(content) // 2] ^= 1
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if kind == "cut" else content)
    with pytest.raises(ArchiveBroken):
        await run(nc, tmp_path, maker.clock + 100 * DAY)
    first, _ = await journal_bounds(nc)
    assert first <= there[0] + 1


async def test_archive_of_another_journal_is_refused(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int]
) -> None:
    """A sealed segment that is whole, but does not end with the journal's own frame, is refused."""
    other = tmp_path / "other"
    archive(other, busy(91, 300, frame=5, step=400 * 10**9))
    with pytest.raises(ArchiveBroken, match=r"in the journal [0-9a-f]{64}: nothing is trimmed"):
        await trim(nc, Archive(other), None, Snapshots(tmp_path), 1, maker.clock + 100 * DAY)
    assert (await journal_bounds(nc))[0] == 1


async def test_frames_that_the_archive_lacks_stay(
    nc: Client, tmp_path: Path, maker: Maker, there: list[int]
) -> None:
    """An archive that begins later says nothing about what is before it; one without frames about nothing."""
    late = tmp_path / "late"
    archive(late, maker, first=3)
    done = await trim(nc, Archive(late), None, Snapshots(tmp_path), 1, maker.clock + 100 * DAY)
    assert done == Trimmed(1, 0, "the archive begins at 3: frame 1 is in the journal alone")
    done = await trim(nc, Archive(tmp_path / "none"), None, Snapshots(tmp_path), 1, maker.clock + 100 * DAY)
    assert done == Trimmed(1, 0, "the archive holds nothing more")


async def test_open_segment_is_not_trimmed_behind(
    nc: Client, tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was archived and not sealed yet stays in the journal."""
    monkeypatch.setattr(trimming, "KEPT_FRAMES", KEPT)
    await write(nc, maker.payloads)
    archive(tmp_path, maker, last=3)
    snapshot(tmp_path, maker, maker.sequence)
    done = await run(nc, tmp_path, maker.clock + 100 * DAY)
    assert done == Trimmed(1, 0, "the archive from frame 1 on is not sealed yet")
