"""Rebuilding from a real journal: every kind of damage is found, with its sequence."""

import time
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from oms.aggregates import image
from oms.config import CacheConfig
from oms.journal.errors import JournalBroken, JournalFault
from oms.messages.frames import frame_digest
from replay.rebuild import SnapshotRefused, new_history, rebuild
from replay.snapshot import Content, Snapshots
from replay.source import Source
from tests.replay.journal import Maker, busy, write


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal of about 20 frames."""
    return busy(21, 200, frame=10)


def snapshot_at(snapshots: Snapshots, maker: Maker, sequence: int, head: str | None = None) -> None:
    """Write a snapshot of the state after a frame."""
    history = new_history(CacheConfig())
    for stored in maker.stored[:sequence]:
        history.apply(stored)
    assert history.projections is not None
    state, projections = image.dump(history.partition), history.projections.dump()
    snapshots.write(
        Content(sequence=sequence, head=head or history.head, state=state, projections=projections),
        time.time_ns(),
    )


async def test_rebuilds_what_was_decided(nc: Client, maker: Maker) -> None:
    """All frames from zero give the state that the handlers had."""
    await write(nc, maker.payloads)
    seen: list[tuple[int, int]] = []
    history = await rebuild(Source(nc), None, progress=lambda at, last, events: seen.append((at, last)))
    assert image.digest(history.partition) == image.digest(maker.state)
    assert (history.sequence, history.head) == (len(maker.payloads), maker.head)
    assert seen[-1] == (len(maker.payloads), len(maker.payloads))


async def test_starts_from_the_snapshot(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """From a snapshot only the frames behind it are read, and the state and rows are the same."""
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, len(maker.payloads) - 2)
    whole = await rebuild(Source(nc), snapshots, from_zero=True)
    history = await rebuild(Source(nc), snapshots, check_digest=True)
    assert history.events < whole.events / 2
    assert image.digest(history.partition) == image.digest(whole.partition)
    assert history.projections is not None
    assert whole.projections is not None
    assert history.projections.dump() == whole.projections.dump()


async def test_without_projections_none_are_decoded(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """The engine's start does not fail for damaged read models, nor pay for them."""
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, 5)
    path = snapshots.paths()[0]
    path.write_bytes(path.read_bytes().replace(b'"last_trade":', b'"last_trick":'))
    history = await rebuild(Source(nc), snapshots, projections=False)
    assert image.digest(history.partition) == image.digest(maker.state)
    assert history.events < (await rebuild(Source(nc), snapshots)).events, (
        "with projections it must not be used"
    )


def make_older(path: Path, lacks: str) -> None:
    """Take from a snapshot what an earlier release did not keep, with checksums that hold."""
    document = msgspec.json.decode(path.read_bytes())
    del document["state"][lacks]
    document["header"] |= {
        "shape": "0" * 16,
        "state_sha256": sha256(msgspec.json.encode(document["state"])).hexdigest(),
    }
    document["header_sha256"] = sha256(msgspec.json.encode(document["header"])).hexdigest()
    path.write_bytes(msgspec.json.encode(document))


@pytest.mark.parametrize("lacks", ["books", "risk", "wallets"])
async def test_a_snapshot_of_an_earlier_release_is_not_started_from(
    nc: Client, maker: Maker, tmp_path: Path, lacks: str
) -> None:
    """What an earlier release did not keep is made from the frames, so that the state is the same from wherever it begins."""
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, len(maker.payloads) - 2)
    (path,) = snapshots.paths()
    make_older(path, lacks)
    history = await rebuild(Source(nc), snapshots)
    assert image.digest(history.partition) == image.digest(maker.state)
    assert history.before == 0


async def test_until_a_sequence_and_until_a_time(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """The state at a sequence and at a time are those after that frame; a later snapshot is not used for them."""
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, len(maker.payloads))
    stored = maker.stored
    by_sequence = await rebuild(Source(nc), snapshots, until_sequence=9)
    assert (by_sequence.sequence, by_sequence.head) == (9, stored[8].digest)
    moment = stored[8].frame.commits[-1].at
    by_time = await rebuild(Source(nc), snapshots, until_time=moment)
    assert by_time.sequence == 9
    assert image.digest(by_time.partition) == image.digest(by_sequence.partition)
    assert (await rebuild(Source(nc), snapshots, until_time=moment - 1)).sequence == 8


async def test_empty_journal_is_the_beginning(nc: Client, tmp_path: Path) -> None:
    """No stream, or one without frames, is the state before the first frame."""
    assert (await rebuild(Source(nc), Snapshots(tmp_path))).sequence == 0
    await write(nc, [])
    assert (await rebuild(Source(nc), Snapshots(tmp_path))).sequence == 0


def reframed(payload: bytes, **changes: object) -> bytes:
    """A frame with other fields."""
    return msgspec.json.encode(msgspec.json.decode(payload) | changes)


@pytest.mark.parametrize(
    "damage, fault, sequence",
    [
        ("missing", JournalFault.CHAIN, 7),
        ("swapped", JournalFault.CHAIN, 7),
        ("doubled", JournalFault.CHAIN, 8),
        ("edited", JournalFault.CHAIN, 8),
        ("unreadable", JournalFault.UNREADABLE, 7),
    ],
)
async def test_damaged_journal_is_refused_with_its_sequence(
    nc: Client, maker: Maker, damage: str, fault: JournalFault, sequence: int
) -> None:
    """A frame that is missing, swapped, doubled, edited or no JSON stops the replay where it is seen."""
    frames = list(maker.payloads)
    match damage:
        case "missing":
            del frames[6]
        case "swapped":
            frames[6], frames[7] = frames[7], frames[6]
        case "doubled":
            frames.insert(7, frames[6])
        case "edited":
            # Its own place and link are right; only what it says is not, and the next frame knows.
            commits = msgspec.json.decode(frames[6])["commits"]
            frames[6] = reframed(frames[6], commits=commits[:-1])
        case "unreadable":
            frames[6] = frames[6][:-1]
    await write(nc, frames)
    with pytest.raises(JournalBroken) as broken:
        await rebuild(Source(nc), None)
    assert (broken.value.fault, broken.value.sequence) == (fault, sequence)


async def test_snapshot_ahead_of_the_journal_is_refused(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """A journal that ends before the snapshot has lost frames: nothing is rebuilt, and the error says both ends."""
    await write(nc, maker.payloads[:10])
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, 12)
    with pytest.raises(SnapshotRefused, match=r"at sequence 12, but the journal ends at 10"):
        await rebuild(Source(nc), snapshots)


async def test_snapshot_of_another_journal_is_refused(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """A snapshot whose chain head is not that of the journal's frame is not used, and not passed over either."""
    await write(nc, maker.payloads)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, 5)
    path = snapshots.paths()[0]
    older = tmp_path / "snapshots/2020/01/01/00/state.json"
    older.parent.mkdir(parents=True)
    older.write_bytes(path.read_bytes())
    snapshot_at(snapshots, busy(22, 100, frame=10), 6)
    with pytest.raises(SnapshotRefused, match="journal was replaced"):
        await rebuild(Source(nc), snapshots)


async def test_trimmed_journal_needs_a_snapshot_and_joins_it(
    nc: Client, maker: Maker, tmp_path: Path
) -> None:
    """A journal whose first frames are gone is rebuilt from a snapshot that it joins, and from no other."""
    js = nc.jetstream()
    await write(nc, maker.payloads)
    await js.purge_stream("JOURNAL", seq=9)
    snapshots = Snapshots(tmp_path)
    with pytest.raises(JournalBroken, match="begins at 9"):
        await rebuild(Source(nc), snapshots)
    snapshot_at(snapshots, maker, 8)
    history = await rebuild(Source(nc), snapshots)
    assert image.digest(history.partition) == image.digest(maker.state)
    snapshot_at(snapshots, maker, 8, head=frame_digest(b"another"))
    with pytest.raises(JournalBroken) as broken:
        await rebuild(Source(nc), snapshots)
    assert (broken.value.fault, broken.value.sequence) == (JournalFault.CHAIN, 9)


async def test_snapshot_before_the_gap_is_refused(nc: Client, maker: Maker, tmp_path: Path) -> None:
    """Frames between the snapshot and the journal's first one are missing: that is told as a gap."""
    await write(nc, maker.payloads)
    await nc.jetstream().purge_stream("JOURNAL", seq=9)
    snapshots = Snapshots(tmp_path)
    snapshot_at(snapshots, maker, 5)
    with pytest.raises(JournalBroken) as broken:
        await rebuild(Source(nc), snapshots)
    assert (broken.value.fault, broken.value.sequence) == (JournalFault.GAP, 6)
