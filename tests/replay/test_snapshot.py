"""Snapshot files: written whole or not at all, and a damaged one is skipped for the one before."""

import logging
import os
from pathlib import Path

import msgspec
import pytest

from oms.aggregates import image
from oms.config import CacheConfig
from oms.encryption import KeyMissing, Keys, is_encrypted
from replay import snapshot as module
from replay.rebuild import new_history, over
from replay.snapshot import Content, Snapshots
from tests.replay.journal import busy

HOUR_NS = 3_600 * 10**9
NOW = 1_790_000_000 * 10**9


@pytest.fixture(scope="module")
def contents() -> list[Content]:
    """Three moments of one journal."""
    history = new_history(CacheConfig())
    found = []
    for stored in busy(11, 120, frame=40).stored[:3]:
        history.apply(stored)
        assert history.projections is not None
        state, projections = image.dump(history.partition), history.projections.dump()
        found.append(
            Content(sequence=history.sequence, head=history.head, state=state, projections=projections)
        )
    return found


@pytest.fixture
def snapshots(tmp_path: Path, contents: list[Content]) -> Snapshots:
    """Three snapshots, an hour apart."""
    snapshots = Snapshots(tmp_path)
    for index, content in enumerate(contents):
        snapshots.write(content, NOW + index * HOUR_NS)
    return snapshots


def sequences(snapshots: Snapshots) -> list[int]:
    """Of the good ones, newest first."""
    return [snapshot.header.sequence for snapshot in snapshots.newest_first()]


def test_stands_in_the_directory_of_its_hour(tmp_path: Path, contents: list[Content]) -> None:
    """The path is the UTC hour, the file one JSON document, and nothing else is left beside it."""
    written = Snapshots(tmp_path).write(contents[0], 1_790_000_000 * 10**9)
    assert written.path == tmp_path / "snapshots/2026/09/21/14/state.json"
    assert os.listdir(written.path.parent) == ["state.json"]
    document = msgspec.json.decode(written.path.read_bytes())
    assert set(document) == {"header", "header_sha256", "state", "projections"}
    assert document["header"]["sequence"] == 1


def test_newest_comes_first(snapshots: Snapshots) -> None:
    """Good snapshots come newest first."""
    assert sequences(snapshots) == [3, 2, 1]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "unreadable"])
def test_damaged_one_is_skipped_with_a_warning(
    snapshots: Snapshots, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is cut, empty, no JSON or no file at all is skipped for the one before, and named in the log."""
    path = snapshots.paths()[0]
    data = path.read_bytes()
    path.unlink()
    if damage == "unreadable":
        path.mkdir()
    else:
        path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "text": b"hello"}[damage])
    with caplog.at_level(logging.WARNING):
        assert sequences(snapshots) == [2, 1]
    assert str(path) in caplog.text


def test_any_flipped_byte_is_found(tmp_path: Path, contents: list[Content]) -> None:
    """Whichever byte is flipped, the file is refused."""
    snapshots = Snapshots(tmp_path)
    path = snapshots.write(contents[0], NOW).path
    good = path.read_bytes()
    end = len(good) - 1  # the newline behind the document says nothing
    for place in [*range(min(1_500, end)), *range(1_500, end, 97), *range(end - 20, end)]:
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :])
        with pytest.raises(module.SnapshotDamaged):
            load_all(path)


def load_all(path: Path) -> None:
    """Read everything that a snapshot holds."""
    snapshot = module.read_snapshot(path)
    models = over(snapshot.load_state(), CacheConfig()).projections
    assert models is not None
    snapshot.load_projections(models)


def test_digest_that_is_not_the_states_is_found(tmp_path: Path, contents: list[Content]) -> None:
    """Whole bytes with the wrong digest in the header are refused when the digest is checked."""
    snapshots = Snapshots(tmp_path)
    path = snapshots.write(contents[0], NOW).path
    (snapshot,) = snapshots.newest_first()
    wrong = snapshot.header.digest[::-1]
    header = msgspec.structs.replace(snapshot.header, digest=wrong)
    other = module.Snapshot(path, header, snapshot.state, snapshot.projections)
    other.load_state()
    with pytest.raises(module.SnapshotDamaged, match=wrong):
        other.load_state(check_digest=True)


def test_state_that_cannot_be_loaded_is_never_written(snapshots: Snapshots, contents: list[Content]) -> None:
    """Bytes that are no image raise, and the snapshot before still stands."""
    with pytest.raises(msgspec.DecodeError):
        snapshots.write(
            Content(sequence=9, head="x", state=b'{"journal_id":1}', projections=b"{}"), NOW + 2 * HOUR_NS
        )
    assert sequences(snapshots) == [3, 2, 1]


def test_crash_while_writing_leaves_the_one_before(
    snapshots: Snapshots, contents: list[Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the write fails before the rename, nothing stands under the name but what stood there, and no rest is left."""

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        snapshots.write(contents[0], NOW + 2 * HOUR_NS)
    assert sequences(snapshots) == [3, 2, 1]
    assert os.listdir(snapshots.paths()[0].parent) == ["state.json"]


def test_retention_removes_old_ones_but_never_the_newest_two(snapshots: Snapshots) -> None:
    """What is older than the days given goes with its empty directories; the newest two stay however old they are."""
    assert snapshots.retain(days=1, now=NOW + 23 * HOUR_NS) == []
    gone = snapshots.retain(days=1, now=NOW + 1_000 * HOUR_NS)
    assert len(gone) == 1
    assert not gone[0].parent.exists()
    assert sequences(snapshots) == [3, 2]


def taken(content: Content, sequence: int, events: int) -> Content:
    """The same state as if it were of another moment."""
    return Content(
        sequence=sequence,
        head=content.head,
        events=events,
        state=content.state,
        projections=content.projections,
    )


def test_snapshots_of_one_hour_stay_when_they_are_far_apart(tmp_path: Path, contents: list[Content]) -> None:
    """The one that is replaced stays under its sequence when the gap would be more than 50,000 events; the rest goes."""
    snapshots = Snapshots(tmp_path)
    for minute, events in enumerate([20_000, 40_000, 60_000, 80_000, 500_000, 510_000]):
        snapshots.write(taken(contents[0], events // 100, events), NOW + minute * 60 * 10**9)
    assert sequences(snapshots) == [5_100, 5_000, 800, 400]
    names = ["state-000000000400.json", "state-000000000800.json", "state-000000005000.json", "state.json"]
    assert sorted(os.listdir(snapshots.paths()[0].parent)) == names


def test_a_moment_gets_the_nearest_snapshot_before_it_and_reads_no_later_one(
    snapshots: Snapshots, contents: list[Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By sequence or time, the newest that is not later comes first; of a later one the header alone is read."""
    read: list[Path] = []
    whole = module.read_snapshot
    monkeypatch.setattr(module, "read_snapshot", lambda path, keys: read.append(path) or whole(path, keys))
    times = [snapshot.header.at for snapshot in snapshots.newest_first()]
    for sequence, at, found in (
        (2, None, [2, 1]),
        (None, times[1], [2, 1]),
        (None, times[1] - 1, [1]),
        (0, None, []),
    ):
        read.clear()
        assert [one.header.sequence for one in snapshots.newest_first(sequence, at)] == found
        assert len(read) == len(found)


@pytest.mark.parametrize("place", [5, 300])
def test_a_header_that_was_changed_is_skipped(snapshots: Snapshots, place: int) -> None:
    """A byte changed in the header, or before it, is found though only the header is read."""
    path = snapshots.paths()[1]
    good = path.read_bytes()
    path.write_bytes(good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :])
    assert [one.header.sequence for one in snapshots.newest_first(sequence=2)] == [1]


def test_retention_removes_single_files_of_an_hour(tmp_path: Path, contents: list[Content]) -> None:
    """Of an hour with many, the newest two stay when all are too old."""
    snapshots = Snapshots(tmp_path)
    for minute in range(4):
        events = (minute + 1) * 60_000
        snapshots.write(taken(contents[0], minute + 1, events), NOW + minute * 60 * 10**9)
    assert sequences(snapshots) == [4, 3, 2, 1]
    assert len(snapshots.retain(days=1, now=NOW + 1_000 * HOUR_NS)) == 2
    assert sequences(snapshots) == [4, 3]


KEYS = Keys("k1", {"k1": b"1" * 32})


class TestEncrypted:
    """A snapshot that is encrypted is the same document."""

    def test_comes_back(self, tmp_path: Path, contents: list[Content]) -> None:
        """State and projections read back with the key, by their header too, and nothing lies in the clear."""
        snapshots = Snapshots(tmp_path, KEYS)
        written = snapshots.write(contents[0], NOW)
        data = written.path.read_bytes()
        assert is_encrypted(data)
        assert b"journal_id" not in data
        (snapshot,) = snapshots.newest_first(sequence=contents[0].sequence)
        assert (snapshot.header, snapshot.state) == (written.header, contents[0].state)
        assert snapshot.projections == contents[0].projections
        assert snapshot.load_state(check_digest=True).digest() == written.header.digest

    def test_plain_and_encrypted_ones_lie_side_by_side(self, tmp_path: Path, contents: list[Content]) -> None:
        """Each file says itself what it is, so encryption may be switched on at any time; and off, with the keys kept."""
        Snapshots(tmp_path).write(contents[0], NOW)
        Snapshots(tmp_path, KEYS).write(contents[1], NOW + HOUR_NS)
        Snapshots(tmp_path).write(contents[2], NOW + 2 * HOUR_NS)
        assert sequences(Snapshots(tmp_path, KEYS)) == [3, 2, 1]

    def test_missing_key_is_no_damage(self, tmp_path: Path, contents: list[Content]) -> None:
        """Without the key reading stops with its name and the file's; it does not go on with an older snapshot."""
        Snapshots(tmp_path).write(contents[0], NOW)
        path = Snapshots(tmp_path, KEYS).write(contents[1], NOW + HOUR_NS).path
        for keys in (None, Keys("k2", {"k2": b"2" * 32})):
            with pytest.raises(KeyMissing, match=f"{path} is encrypted with key 'k1'"):
                sequences(Snapshots(tmp_path, keys))
            with pytest.raises(KeyMissing):
                next(Snapshots(tmp_path, keys).newest_first(sequence=9))

    def test_key_that_is_gone_stops_no_writing(self, tmp_path: Path, contents: list[Content]) -> None:
        """A snapshot of the same hour that cannot be read is replaced like any other."""
        Snapshots(tmp_path, KEYS).write(contents[0], NOW)
        snapshots = Snapshots(tmp_path)
        snapshots.write(contents[1], NOW)
        assert sequences(snapshots) == [2]

    def test_any_flipped_byte_is_found(self, tmp_path: Path, contents: list[Content]) -> None:
        """Whichever byte is flipped, the file is refused; where it names its key, as of an unknown one."""
        path = Snapshots(tmp_path, KEYS).write(contents[0], NOW).path
        good = path.read_bytes()
        for place in [*range(100), *range(100, len(good), 997), len(good) - 1]:
            path.write_bytes(good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :])
            with pytest.raises((module.SnapshotDamaged, KeyMissing)):
                module.read_snapshot(path, KEYS)
            with pytest.raises((module.SnapshotDamaged, KeyMissing)):
                module.read_header(path, KEYS)

    def test_damaged_one_is_skipped(
        self, tmp_path: Path, contents: list[Content], caplog: pytest.LogCaptureFixture
    ) -> None:
        """One that does not decrypt is skipped for the one before, and named."""
        snapshots = Snapshots(tmp_path, KEYS)
        snapshots.write(contents[0], NOW)
        path = snapshots.write(contents[1], NOW + HOUR_NS).path
        path.write_bytes(path.read_bytes()[:-1])
        assert sequences(snapshots) == [1]
        assert f"{path}: chunk 0 does not decrypt" in caplog.text


def test_many_of_one_hour_are_kept_for_two_days(tmp_path: Path) -> None:
    """What stands beside an hour's last snapshot goes after two days, the hour's last stays as long as any."""
    snapshots = Snapshots(tmp_path)
    for hour in range(4):
        directory = snapshots.root / f"2026/11/21/{hour:02d}"
        directory.mkdir(parents=True)
        for name in ("state-000000000001.json", "state.json"):
            (directory / name).write_bytes(b"{}")
    moment = 1_795_219_200 * 10**9  # 2026-11-21T00:00:00Z
    assert snapshots.retain(days=30, now=moment + 49 * 3_600 * 10**9) == [
        snapshots.root / "2026/11/21/00/state-000000000001.json"
    ]
    assert len(list(snapshots.root.rglob("state.json"))) == 4
