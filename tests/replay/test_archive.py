"""The archive: what is appended is read back byte for byte, from files of one day each."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.encryption import KeyMissing, Keys
from oms.messages.frames import frame_digest
from replay.archive import Archive, ArchiveBroken, ArchiveBusy, ArchiveWriter, reader, verify_segment, writer
from tests.replay.archiving import DAY_NS, MONDAY, Made, append, chain, files, read_all
from tests.replay.journal import busy

K1 = Keys("k1", {"k1": b"1" * 32})
K2 = Keys("k2", {"k1": b"1" * 32, "k2": b"2" * 32})
SECOND = 10**9


@pytest.fixture(params=[None, K1], ids=["plain", "encrypted"])
def keys(request: pytest.FixtureRequest) -> Keys | None:
    """With and without encryption."""
    return request.param


@pytest.fixture
def three_days() -> list[Made]:
    """Nine frames on three days, of which one in the middle has no frame."""
    days = [MONDAY, MONDAY + DAY_NS, MONDAY + 3 * DAY_NS]
    return chain([day + n * SECOND for day in days for n in range(3)])


def test_nothing_is_held_before_anything_is_written(tmp_path: Path) -> None:
    """A directory without an archive has empty bounds, no segments and no frames."""
    archive = Archive(tmp_path)
    assert archive.bounds() == (1, 0)
    assert archive.segments() == []
    assert list(archive.read(1, 0)) == []
    with pytest.raises(ArchiveBroken, match="frames 1 to 2 are not all here: the archive holds none"):
        list(archive.read(1, 2))
    assert not list(tmp_path.iterdir())


def test_days_have_files_of_their_own(tmp_path: Path, three_days: list[Made], keys: Keys | None) -> None:
    """A day ends with the first frame of the next; past days are sealed, the last one is open, and all reads as one."""
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, three_days)
        assert (written.sequence, written.head) == (9, frame_digest(three_days[-1].payload))
    assert files(tmp_path) == [
        "2026/09/21/000000000001-000000000003.json",
        "2026/09/21/000000000001-000000000003.zst",
        "2026/09/22/000000000004-000000000006.json",
        "2026/09/22/000000000004-000000000006.zst",
        "2026/09/24/000000000007.open",
    ]
    archive = Archive(tmp_path, keys)
    assert archive.bounds() == (1, 9)
    assert [(s.first, s.last, s.manifest is None) for s in archive.segments()] == [
        (1, 3, False),
        (4, 6, False),
        (7, 9, True),
    ]
    assert read_all(archive) == [made.frame for made in three_days]
    assert [f.sequence for f in archive.read(3, 8)] == [3, 4, 5, 6, 7, 8]


def test_manifest_says_what_is_in_the_segment(
    tmp_path: Path, three_days: list[Made], keys: Keys | None
) -> None:
    """Every member of a manifest is what the frames and the file say, and it names the manifest before."""
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, three_days)
    first, second, _ = Archive(tmp_path, keys).segments()
    report = verify_segment(second.path, keys)
    assert report.manifest == second.manifest
    assert verify_segment(first.path.with_suffix(".json"), keys).manifest_sha256 == report.manifest.previous
    assert report.manifest.prev == frame_digest(three_days[2].payload)
    assert report.manifest.head == frame_digest(three_days[5].payload)
    assert (report.manifest.at_first, report.manifest.at_last) == (three_days[3].at, three_days[5].at + 1)
    assert (report.manifest.frames, report.manifest.commits, report.manifest.events) == (3, 6, 12)
    assert report.manifest.bytes == second.path.stat().st_size
    encryption = report.manifest.encryption
    assert (encryption and encryption.key_id) == (keys and keys.current)


def test_large_segment_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys | None) -> None:
    """A day may have several segments: one is sealed when enough is in it."""
    monkeypatch.setattr(writer, "ROLL_BYTES", 4_000)
    frames = chain([MONDAY + n for n in range(0, 40, 4)], size=2_000)
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames)
    assert [(s.first, s.last) for s in Archive(tmp_path, keys).segments()] == [
        (1, 2),
        (3, 4),
        (5, 6),
        (7, 8),
        (9, 10),
    ]
    assert read_all(Archive(tmp_path, keys)) == [made.frame for made in frames]


def test_clean_stop_seals_only_what_is_large(tmp_path: Path) -> None:
    """A restart every minute does not leave a thousand tiny segments."""
    frames = chain([MONDAY, MONDAY + 2, MONDAY + 4], size=700_000)
    with ArchiveWriter(tmp_path) as written:
        append(written, frames[:1])
    assert [f for f in files(tmp_path) if f.endswith(".open")]
    with ArchiveWriter(tmp_path) as written:
        append(written, frames[1:2])
    assert files(tmp_path)[-1] == "2026/09/21/000000000001-000000000002.zst"
    with ArchiveWriter(tmp_path) as written:
        append(written, frames[2:])
    assert read_all(Archive(tmp_path)) == [made.frame for made in frames]


def test_archive_may_begin_anywhere(tmp_path: Path, keys: Keys | None) -> None:
    """An archive that was switched on late, on a trimmed journal, holds what follows."""
    frames = chain([MONDAY, MONDAY + DAY_NS], first=1_000, prev="a" * 64)
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames)
    assert Archive(tmp_path, keys).bounds() == (1_000, 1_001)
    assert read_all(Archive(tmp_path, keys)) == [made.frame for made in frames]
    with pytest.raises(
        ArchiveBroken, match="frames 1 to 1000 are not all here: the archive holds 1000 to 1001"
    ):
        list(Archive(tmp_path, keys).read(1, 1_000))


def test_real_frames_come_back(tmp_path: Path, keys: Keys | None) -> None:
    """Frames of the real handlers, line feeds and all, are byte for byte what they were."""
    maker = busy(3, 200, frame=7)
    with ArchiveWriter(tmp_path, keys) as written:
        for stored, payload in zip(maker.stored, maker.payloads, strict=True):
            written.append(stored.sequence, payload, b"", stored.frame.commits[0].at)
        written.seal()
    assert [frame.payload for frame in read_all(Archive(tmp_path, keys))] == maker.payloads


class TestRefusals:
    """What is not the next frame is refused, and nothing of it is held."""

    @pytest.fixture
    def written(self, tmp_path: Path) -> ArchiveWriter:
        writer = ArchiveWriter(tmp_path)
        append(writer, chain([MONDAY, MONDAY + 2]))
        return writer

    @pytest.mark.parametrize("sequence, expected", [(2, 3), (4, 3), (1, 3)])
    def test_sequence_that_is_not_the_next(
        self, written: ArchiveWriter, sequence: int, expected: int
    ) -> None:
        """A frame again, or one too far."""
        frame = chain([MONDAY + n for n in range(4)])[sequence - 1]
        with pytest.raises(ArchiveBroken, match=f"expected frame {expected}, got {sequence}") as error:
            append(written, [frame])
        assert error.value.sequence == expected
        assert written.sequence == 2

    def test_frame_that_does_not_follow(self, written: ArchiveWriter) -> None:
        """Its ``prev`` is not the digest of the frame before."""
        (frame,) = chain([MONDAY + 9], first=3, prev="b" * 64)
        with pytest.raises(ArchiveBroken, match=r"the frame follows bbb.*, but the one before is"):
            append(written, [frame])

    def test_frame_that_names_itself_otherwise(self, written: ArchiveWriter) -> None:
        """Its own sequence is not where it stood."""
        (frame,) = chain([MONDAY + 9], first=7, prev=written.head or "")
        with pytest.raises(ArchiveBroken, match="the frame names itself 7"):
            written.append(3, frame.payload, b"", frame.at)

    def test_frame_of_an_earlier_time(self, written: ArchiveWriter) -> None:
        """Days never go backwards."""
        (frame,) = chain([MONDAY - 1], first=3, prev=written.head or "")
        with pytest.raises(ArchiveBroken, match="before the frame before it"):
            append(written, [frame])

    def test_frame_of_another_time_than_told(self, written: ArchiveWriter) -> None:
        """The time decides the file, so it is the frame's own."""
        (frame,) = chain([MONDAY + 9], first=3, prev=written.head or "")
        with pytest.raises(ValueError, match="frame 3 is of"):
            written.append(3, frame.payload, b"", frame.at + 1)

    def test_bytes_that_are_no_frame(self, written: ArchiveWriter) -> None:
        """What cannot be decoded is not archived."""
        with pytest.raises(ArchiveBroken, match="cannot be decoded"):
            written.append(3, b"{}", b"", MONDAY)

    def test_frame_larger_than_any(self, written: ArchiveWriter) -> None:
        """A record has a bound."""
        (frame,) = chain([MONDAY + 9], first=3, prev=written.head or "", size=2**21)
        with pytest.raises(ValueError, match="a frame must be at most 2,097,152 bytes"):
            append(written, [frame])

    def test_first_frame_without_genesis(self, tmp_path: Path) -> None:
        """Frame 1 follows nothing."""
        with ArchiveWriter(tmp_path) as written, pytest.raises(ArchiveBroken, match="the frame follows ccc"):
            append(written, chain([MONDAY], prev="c" * 64))

    def test_closed_writer(self, written: ArchiveWriter) -> None:
        """A writer that was closed takes nothing, and may be closed again."""
        written.close()
        written.close()
        with pytest.raises(ValueError, match="is closed"):
            written.sync()


def test_there_is_one_writer(tmp_path: Path) -> None:
    """A second process is refused while the first one has the archive, and not after it ended."""
    script = "import sys, pathlib; from replay.archive import *; ArchiveWriter(pathlib.Path(sys.argv[1]))"
    with ArchiveWriter(tmp_path):
        with pytest.raises(ArchiveBusy, match="only one follower may archive"):
            ArchiveWriter(tmp_path)
        other = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert "ArchiveBusy" in other.stderr
    ArchiveWriter(tmp_path).close()


def test_reader_reads_while_the_writer_appends_and_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys | None
) -> None:
    """A reader whose open file is sealed under it goes on in the segment that it became."""
    monkeypatch.setattr(writer, "ROLL_BYTES", 5_000)
    frames = chain([MONDAY + 2 * n for n in range(30)], size=1_000)
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames[:2])
        archive = Archive(tmp_path, keys)
        segments = archive.segments()
        append(written, frames[2:])
        monkeypatch.setattr(
            archive, "segments", iter([segments, Archive(tmp_path, keys).segments()]).__next__
        )
        assert list(archive.read(1, 30)) == [made.frame for made in frames]


def test_half_written_record_is_not_there_yet(tmp_path: Path, keys: Keys | None) -> None:
    """A reader ends before a record whose end is not written; it reads it when it is."""
    frames = chain([MONDAY, MONDAY + 2, MONDAY + 4])
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames)
        path = next(tmp_path.rglob("*.open"))
        whole = path.read_bytes()
        archive = Archive(tmp_path, keys)
        for cut in range(len(whole) - 1, len(whole) - 300, -1):
            os.truncate(path, cut)
            assert archive.bounds() == (1, 2)
            assert read_all(archive) == [made.frame for made in frames[:2]]
        path.write_bytes(whole)
        assert read_all(archive) == [made.frame for made in frames]


def test_listing_is_taken_again_when_the_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks broken because a segment was sealed during the look is looked at again."""
    frames = chain([MONDAY, MONDAY + 2])
    with ArchiveWriter(tmp_path) as written:
        append(written, frames)
        before = reader.list_files(tmp_path / "archive")
        written.seal()
        listings = iter([before])
        real = reader.list_files
        monkeypatch.setattr(reader, "list_files", lambda root: next(listings, None) or real(root))
        assert [(s.first, s.last) for s in Archive(tmp_path).segments()] == [(1, 2)]


class TestKeys:
    """Encryption is switched on, rotated and off without losing anything."""

    def test_each_file_says_its_key(self, tmp_path: Path) -> None:
        """Plain, first key, second key: what is open is sealed with the new key, and every part reads."""
        frames = chain([MONDAY + 2 * n for n in range(3)])
        for keys, frame in zip([None, K1, K2], frames, strict=True):
            with ArchiveWriter(tmp_path, keys) as written:
                append(written, [frame])
        encryption = [s.manifest and s.manifest.encryption for s in Archive(tmp_path, K2).segments()]
        assert [e and e.key_id for e in encryption] == ["k1", "k2", None]
        assert read_all(Archive(tmp_path, K2)) == [made.frame for made in frames]

    def test_missing_key_is_named(self, tmp_path: Path) -> None:
        """Without the key neither reading nor writing goes on, and nothing is taken for damage."""
        with ArchiveWriter(tmp_path, K1) as written:
            append(written, chain([MONDAY, MONDAY + DAY_NS]))
        other = Keys("x", {"x": b"x" * 32})
        assert Archive(tmp_path).bounds() == (1, 2)
        for keys in (None, other):
            with pytest.raises(KeyMissing, match=r"0001-000000000001\.zst is encrypted with key 'k1'"):
                list(Archive(tmp_path, keys).read(1, 1))
            with pytest.raises(KeyMissing, match=r"0002\.open is encrypted with key 'k1'"):
                list(Archive(tmp_path, keys).read(2, 2))
            with pytest.raises(KeyMissing):
                ArchiveWriter(tmp_path, keys)
        assert len(read_all(Archive(tmp_path, K1))) == 2

    def test_nothing_lies_in_the_clear(self, tmp_path: Path) -> None:
        """No file of an encrypted archive holds a word of a frame."""
        with ArchiveWriter(tmp_path, K1) as written:
            append(written, chain([MONDAY, MONDAY + DAY_NS]))
            for path in tmp_path.rglob("*.*"):
                assert path.is_dir() or b"note" not in path.read_bytes()


@given(
    gaps=st.lists(st.sampled_from([0, 2, SECOND, DAY_NS // 3, DAY_NS, 3 * DAY_NS]), min_size=1, max_size=12),
    data=st.data(),
)
def test_any_span_reads_as_it_was_appended(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], data: st.DataObject
) -> None:
    """Whatever the times, the seals and the restarts between, any span reads back exactly."""
    tmp_path, at, times = tmp_path_factory.mktemp("archive"), MONDAY, []
    for gap in gaps:
        at += gap + 1
        times.append(at)
    frames = chain(times)
    keys = data.draw(st.sampled_from([None, K1]))
    written = ArchiveWriter(tmp_path, keys)
    for frame in frames:
        append(written, [frame])
        what = data.draw(st.sampled_from(["", "", "seal", "sync", "restart"]))
        if what == "restart":
            written.close()
            written = ArchiveWriter(tmp_path, keys)
        elif what:
            getattr(written, what)()
    first = data.draw(st.integers(1, len(frames)))
    last = data.draw(st.integers(first, len(frames)))
    assert list(Archive(tmp_path, keys).read(first, last)) == [
        made.frame for made in frames[first - 1 : last]
    ]
    written.close()
    for segment in Archive(tmp_path, keys).segments():
        if segment.manifest is not None:
            verify_segment(segment.path, keys)


def test_reading_beside_a_busy_writer_is_never_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys | None
) -> None:
    """While a thread appends and seals all the time, every read gives a beginning of what was appended, each longer."""
    monkeypatch.setattr(writer, "ROLL_BYTES", 3_000)
    frames = chain([MONDAY + n * SECOND * 1_000 for n in range(120)], size=500)
    archive = Archive(tmp_path, keys)

    def write() -> None:
        with ArchiveWriter(tmp_path, keys) as written:
            append(written, frames)

    thread = threading.Thread(target=write)
    thread.start()
    seen, reads, writing = 0, 0, True
    while writing:
        writing = thread.is_alive()
        held = read_all(archive)
        assert held == [made.frame for made in frames[: len(held)]]
        assert len(held) >= seen
        seen, reads = len(held), reads + 1
    thread.join()
    assert seen == len(frames)
    assert reads > 3
