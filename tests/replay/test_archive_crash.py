"""The archive's writer killed at any moment: nothing is lost that was durable, nothing is there twice."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms.encryption import Keys
from replay.archive import Archive, ArchiveBroken, ArchiveWriter, verify_segment
from replay.archive import writer as writer_module
from tests.replay.archiving import DAY_NS, MONDAY, Made, append, chain, files, read_all

KEYS = Keys("k1", {"k1": b"1" * 32})


@pytest.fixture(params=[None, KEYS], ids=["plain", "encrypted"])
def keys(request: pytest.FixtureRequest) -> Keys | None:
    """With and without encryption."""
    return request.param


class States:
    """Copies the directory before every call that changes it: each is what a kill at that moment leaves."""

    def __init__(self, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._source, self._target = source, target
        self.taken: list[tuple[Path, int]] = []
        self.durable = 0
        for module, name in (
            (os, "fsync"),
            (os, "write"),
            (os, "ftruncate"),
            (Path, "unlink"),
            (Path, "replace"),
        ):
            monkeypatch.setattr(module, name, self._before(getattr(module, name)))

    def _before(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.take()
            return real(*args, **kwargs)

        return call

    def take(self) -> None:
        """Remember what is on disk now, and how many frames must be in it."""
        copy = self._target / str(len(self.taken))
        shutil.copytree(self._source, copy)
        self.taken.append((copy, self.durable))


def test_killed_between_any_two_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys | None
) -> None:
    """Whichever call is the last one, all that was appended is there, and the writer goes on from it to the same archive."""
    times = [MONDAY, MONDAY + 2, MONDAY + DAY_NS, MONDAY + DAY_NS + 2, MONDAY + 2 * DAY_NS]
    # One more of the last day for the second life: what a cut seal left is then sealed with it, under another name.
    *frames, more = chain([*times, times[-1] + 2])
    (tmp_path / "data").mkdir()
    with monkeypatch.context() as patched:
        states = States(tmp_path / "data", tmp_path / "states", patched)
        with ArchiveWriter(tmp_path / "data", keys) as written:
            for frame in frames:
                append(written, [frame])
                states.durable = frame.sequence
            written.seal()
        states.take()
    assert len(states.taken) > 50
    for directory, durable in states.taken:
        held = read_all(Archive(directory, keys))
        assert held == [made.frame for made in frames[: len(held)]]
        assert len(held) in (durable, durable + 1)
        with ArchiveWriter(directory, keys) as again:
            assert again.sequence == len(held)
            append(again, [*frames[again.sequence :], more])
            again.seal()
        assert read_all(Archive(directory, keys)) == [made.frame for made in (*frames, more)]
        assert [f for f in files(directory) if f.endswith((".open", ".tmp"))] == []
        for segment in Archive(directory, keys).segments():
            verify_segment(segment.path, keys)


def test_torn_tail_is_cut_back_to_the_last_whole_record(tmp_path: Path, keys: Keys | None) -> None:
    """Wherever the open file ends, the whole records before stay, and what follows is appended behind them."""
    frames = chain([MONDAY, MONDAY + 2, MONDAY + 4])
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames[:1])
        path = next(tmp_path.rglob("*.open"))
        one = path.stat().st_size
        append(written, frames[1:2])
        two = path.stat().st_size
    whole = path.read_bytes()
    for end in range(one, two):
        path.write_bytes(whole[:end])
        with ArchiveWriter(tmp_path, keys) as written:
            assert written.sequence == 1
            assert path.stat().st_size == one
            append(written, frames[1:])
        assert read_all(Archive(tmp_path, keys)) == [made.frame for made in frames]


@pytest.mark.parametrize("zeros", [64, 100, 5_000])
def test_tail_of_zeros_is_torn(tmp_path: Path, zeros: int, keys: Keys | None) -> None:
    """A power failure may leave the length of a file without its bytes: zeros from within a record on are cut off."""
    frames = chain([MONDAY, MONDAY + 2], size=3_000)
    with ArchiveWriter(tmp_path, keys) as written:
        append(written, frames[:1])
        path = next(tmp_path.rglob("*.open"))
        one = path.stat().st_size
        append(written, frames[1:])
    whole = path.read_bytes()
    for bad in (
        whole[:one] + b"\x00" * zeros,
        whole[:one] + whole[one : one + 900].ljust(len(whole) - one, b"\x00"),
    ):
        path.write_bytes(bad)
        assert Archive(tmp_path, keys).bounds() == (1, 1)
        with ArchiveWriter(tmp_path, keys) as written:
            assert written.sequence == 1
            append(written, frames[1:])
        assert read_all(Archive(tmp_path, keys)) == [made.frame for made in frames]


def test_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the disk takes in part is taken back; when there is room again the same frame is appended."""
    frames = chain([MONDAY, MONDAY + 2])
    with ArchiveWriter(tmp_path) as written:
        append(written, frames[:1])
        real = os.write
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:100]))
            with pytest.raises(OSError, match=r"wrote 100 of .* is the disk full"):
                append(written, frames[1:])
        assert written.sequence == 1
        append(written, frames[1:])
    assert read_all(Archive(tmp_path)) == [made.frame for made in frames]


def test_failing_disk_ends_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an fsync that failed nothing more is taken, because what is on disk is not known; a new writer goes on."""
    frames = chain([MONDAY, MONDAY + 2])

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    written = ArchiveWriter(tmp_path)
    append(written, frames[:1])
    with monkeypatch.context() as failing:
        failing.setattr(writer_module.os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            written.sync()
    with pytest.raises(OSError, match="failed before: open it again"):
        append(written, frames[1:])
    written.close()
    with ArchiveWriter(tmp_path) as again:
        assert again.sequence == 1
        append(again, frames[1:])


def test_open_file_beside_a_damaged_segment_is_kept(tmp_path: Path) -> None:
    """What a crash left twice is removed once the sealed one is known to be whole, and never before."""
    with ArchiveWriter(tmp_path) as written:
        append(written, chain([MONDAY, MONDAY + 2]))
        path = next(tmp_path.rglob("*.open"))
        opened = path.read_bytes()
        written.seal()
    path.write_bytes(opened)
    sealed = next(tmp_path.rglob("*.zst"))
    good = sealed.read_bytes()
    sealed.write_bytes(good[:-1] + b"?")
    with pytest.raises(ArchiveBroken, match="SHA-256"):
        ArchiveWriter(tmp_path)
    assert path.exists()
    sealed.write_bytes(good)
    ArchiveWriter(tmp_path).close()
    assert not path.exists()


def _steps() -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from([1, 1, 1, DAY_NS // 2, DAY_NS])),
            st.tuples(st.just("seal"), st.just(0)),
            st.tuples(st.just("close"), st.just(0)),
            st.tuples(st.just("kill"), st.integers(0, 2_000)),
        ),
        min_size=3,
        max_size=25,
    )


@given(steps=_steps(), encrypted=st.booleans())
@settings(max_examples=40)
def test_any_life_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], encrypted: bool
) -> None:
    """Appends, seals, stops and kills that tear bytes off the open file, in any order: what is there is a beginning of what was
    appended, short of it by what was torn off alone, and after all is appended again the archive is whole."""
    directory = tmp_path_factory.mktemp("life")
    keys = KEYS if encrypted else None
    written = ArchiveWriter(directory, keys)
    made: list[Made] = []
    at = MONDAY
    for step, value in steps:
        if step == "append":
            at += value + 1
            made += chain([at], first=len(made) + 1, prev=written.head or "0" * 64)
            append(written, made[-1:])
        elif step == "seal":
            written.seal()
        else:
            written.close()
            if step == "kill":
                _tear(directory, value)
            written = ArchiveWriter(directory, keys)
            assert read_all(Archive(directory, keys)) == [frame.frame for frame in made[: written.sequence]]
            if step == "close":
                assert written.sequence == len(made)
            append(written, made[written.sequence :])
        assert read_all(Archive(directory, keys)) == [frame.frame for frame in made]
    written.close()


def _tear(directory: Path, size: int) -> None:
    """Cut bytes off the open file, but not its header, which was durable before it had its name."""
    for path in directory.rglob("*.open"):
        header = 16 + int.from_bytes(path.read_bytes()[8:12], "big") + 4
        os.truncate(path, max(header, path.stat().st_size - size))
