"""Golden journals: frames written by earlier versions still decode to the very same state."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from oms.aggregates import image
from oms.aggregates.digest import SHAPE
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.messages.events import Event
from oms.messages.frames import GENESIS, decode_frame, encode_commit, encode_frame, frame_digest
from oms.messages.upcast import OLD_TAGS, UPCASTERS
from tests.golden.make import HERE

JOURNALS = sorted(HERE.glob("journal-*.jsonl"))


def names(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("journal", JOURNALS, ids=names)
def test_decodes_to_the_recorded_state(journal: Path) -> None:
    """Every frame decodes, continues the chain, and all together make the state whose digest was recorded."""
    state, prev = Partition(), GENESIS
    for number, payload in enumerate(journal.read_bytes().splitlines(), start=1):
        frame = decode_frame(payload)
        assert (frame.sequence, frame.prev, frame.format) == (number, prev, 1)
        with exactly():
            for commit in frame.commits:
                state.apply(commit, frame.sequence)
        prev = frame_digest(payload)
    assert image.digest(state) == journal.with_suffix(".digest").read_text().strip()
    assert image.digest(image.load(image.dump(state))) == image.digest(state)


@pytest.mark.parametrize("journal", JOURNALS[-1:], ids=names)
def test_is_written_the_same(journal: Path) -> None:
    """Frames of the newest journal are still written byte for byte as they were: what is on disk has one spelling."""
    for payload in journal.read_bytes().splitlines():
        frame = decode_frame(payload)
        commits = [encode_commit(commit) for commit in frame.commits]
        assert encode_frame(frame.sequence, frame.prev, commits) == payload


def test_every_event_has_a_golden_frame() -> None:
    """An event class without a golden frame could change its meaning unseen: make the next journal for it."""
    seen = {
        type(event)
        for journal in JOURNALS
        for payload in journal.read_bytes().splitlines()
        for commit in decode_frame(payload).commits
        for event in commit.events
    }
    missing = sorted(kind.__name__ for kind in get_args(Event) if kind not in seen)
    assert not missing, (
        f"no golden frame has {missing}: add them to tests/golden/make.py and write the next number"
    )


def test_every_earlier_version_has_an_upcaster_and_a_golden_frame() -> None:
    """An event at version 3 has upcasters from 1 and 2, and each was written once into a golden journal."""
    tags = {msgspec.inspect.type_info(kind).tag for kind in get_args(Event)}
    earlier = {
        f"{name}.{version}"
        for name, _, newest in (str(tag).partition(".") for tag in tags)
        for version in range(1, int(newest))
    }
    assert earlier == set(OLD_TAGS)
    assert {msgspec.inspect.type_info(kind).tag for kind in UPCASTERS} == earlier
    written = b"".join(journal.read_bytes() for journal in JOURNALS)
    assert all(f'"{tag}"'.encode() in written for tag in earlier)


def test_shape_of_digests_changes_knowingly() -> None:
    """A field more or less in an entity makes older seals incomparable: say so in the change log, then change this."""
    assert SHAPE == "31af698afb0ba687"
