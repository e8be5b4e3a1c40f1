"""The high-water mark: the last write counts, a torn one leaves the one before, damage is never taken for a mark."""

from pathlib import Path

import pytest

from oms.journal.mark import SLOT_BYTES, FoundMark, Mark, MarkFile, read_mark
from oms.messages.frames import GENESIS


def _head(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def mark(path: Path) -> MarkFile:
    mark = MarkFile(path)
    mark.set(7, _head(7), receipt=5)
    yield mark
    mark.close()


def test_no_file_is_told_from_a_damaged_one(path: Path) -> None:
    """Where there is no mark, that is what is said."""
    assert read_mark(path) == FoundMark(None, 0, False)
    path.write_bytes(b"")
    assert read_mark(path) == FoundMark(None, 2, True)


def test_the_last_write_counts(path: Path, mark: MarkFile) -> None:
    """After any number of writes the last one is read, with the receipt it was told of."""
    assert read_mark(path) == FoundMark(Mark(7, _head(7), 5, 2), 0, True)
    for number in range(8, 40):
        mark.write(number, _head(number))
        mark.write_receipt(number - 2)
        found = read_mark(path)
        assert found.mark is not None
        assert (found.mark.sequence, found.mark.head, found.mark.receipt) == (
            number,
            _head(number),
            number - 2,
        )
        assert not found.damaged


def test_every_torn_write_leaves_the_one_before(path: Path, mark: MarkFile) -> None:
    """Wherever a write is cut short, the mark is that of the write before it or, when all of it was there, of itself."""
    mark.write(8, _head(8))
    before = path.read_bytes()
    mark.write(9, _head(9))
    after = path.read_bytes()
    changed = [at for at in range(len(after)) if before[at] != after[at]]
    for cut in range(changed[0] + 1, changed[-1] + 1):
        path.write_bytes(after[:cut] + before[cut:])
        found = read_mark(path)
        assert found.mark is not None
        assert found.mark.sequence == 8
        assert found.damaged == 1
    path.write_bytes(after)
    assert read_mark(path).mark == Mark(9, _head(9), 5, 4)


def test_every_flipped_bit_of_a_slot_is_found(path: Path, mark: MarkFile) -> None:
    """A bit flipped in the later slot gives the earlier one, in both gives none; never another mark."""
    mark.write(8, _head(8))
    good = path.read_bytes()
    for at in range(80):
        damaged = bytearray(good)
        damaged[SLOT_BYTES + at] ^= 1 << (at % 8)  # turn 3 stands in the second slot
        path.write_bytes(damaged)
        assert read_mark(path) == FoundMark(Mark(7, _head(7), 5, 2), 1, True)
        damaged[at] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        assert read_mark(path) == FoundMark(None, 2, True)


def test_a_mark_can_be_set_lower(path: Path, mark: MarkFile) -> None:
    """After an accepted loss no slot remembers the higher mark."""
    mark.write(8, _head(8))
    mark.set(3, _head(3))
    assert read_mark(path) == FoundMark(Mark(3, _head(3), 0, 2), 0, True)
    damaged = bytearray(path.read_bytes())
    damaged[0] ^= 1
    path.write_bytes(damaged)
    assert read_mark(path).mark is not None
    assert read_mark(path).mark.sequence == 3


def test_a_new_mark_is_before_the_first_frame(path: Path) -> None:
    """What is set at first is no frame at all."""
    mark = MarkFile(path)
    mark.set()
    mark.close()
    assert read_mark(path).mark == Mark(0, GENESIS, 0, 2)
