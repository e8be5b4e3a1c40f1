"""Property: for any journal and any point of it, every way there gives the very same bytes."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import nats
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.aggregates import image
from oms.config import CacheConfig
from oms.journal.reader import StoredFrame
from oms.journal.stream import STREAM
from oms.nats_server import EmbeddedNats
from replay.archive import Archive
from replay.asking.moment import Moment
from replay.history import History
from replay.rebuild import new_history, rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.replay.journal import Maker, busy, write
from tests.replay.record import write_archive

CACHE = CacheConfig(max_size=40, default_ttl=3_600 * 10**9)
"""So small that read models forget within an example."""
STEPS = [0, 1, 10**6, 60 * 10**9, 1_800 * 10**9]
"""Between commands: within one nanosecond, and so that finished orders leave and days pass."""


@attrs.frozen
class Example:
    """A journal, how much of it is archived and trimmed, where snapshots were taken, and the points asked about."""

    frames: list[StoredFrame]
    payloads: list[bytes]
    held: int
    trimmed: int
    snapshots: list[int]
    points: list[Moment]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Any journal of up to forty frames."""
    step = draw(st.sampled_from(STEPS))
    maker = Maker(step=step)
    maker.begin()
    for part in range(draw(st.integers(1, 4))):
        busy(
            draw(st.integers(0, 2**32)) + part, draw(st.integers(1, 10)), draw(st.integers(1, 5)), maker, step
        )
        if draw(st.booleans()):
            maker.ask("seal._._._._")
            maker.cut()
    frames = maker.stored
    last = len(frames)
    held = draw(st.one_of(st.just(last), st.integers(0, last)))
    times = [commit.at for stored in frames for commit in stored.frame.commits]
    sequences = st.integers(1, last).map(lambda sequence: Moment(sequence=sequence))
    moments = st.builds(
        lambda at, more: Moment(time=at + more), st.sampled_from(times), st.integers(0, max(0, step - 1))
    )
    return Example(
        frames=frames,
        payloads=maker.payloads,
        held=held,
        trimmed=draw(st.integers(0, held)),
        snapshots=draw(st.lists(st.integers(1, last), min_size=1, max_size=2, unique=True)),
        points=draw(st.lists(st.one_of(sequences, moments), min_size=1, max_size=3)),
    )


@settings(max_examples=60)
@given(example=examples())
def test_every_way_to_a_point_gives_the_same_bytes(
    example: Example, nats_server_shared: EmbeddedNats
) -> None:
    """From zero over the journal, from any snapshot, from archive and trimmed journal, and from the archive alone."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_check(example, nats_server_shared.url, Path(directory)))


async def _check(example: Example, url: str, directory: Path) -> None:
    nc = await nats.connect(url)
    try:
        await _fill(nc, example, directory)
        archive = Archive(directory)
        journal, both, offline = Source(nc), Source(nc, archive), Source(None, archive)
        expected = [_applied(example.frames, at) for at in example.points]
        for at, found in zip(example.points, expected, strict=True):
            assert _bytes(await _at(journal, None, at)) == _bytes(found)
        if example.trimmed:
            await nc.jetstream().purge_stream(STREAM, seq=example.trimmed + 1)
        for at, found in zip(example.points, expected, strict=True):
            assert _bytes(await _at(both, None, at)) == _bytes(found)
            reached = found.sequence + (found.part > 0)
            for start in _starts(example, directory, found):
                assert _bytes(await _at(both, start, at)) == _bytes(found)
                if reached <= example.held:
                    assert _bytes(await _at(offline, start, at)) == _bytes(found)
            if reached <= example.held:
                assert _bytes(await _at(offline, None, at)) == _bytes(found)
    finally:
        await nc.close()


async def _fill(nc: Client, example: Example, directory: Path) -> None:
    with contextlib.suppress(NotFoundError):
        await nc.jetstream().delete_stream(STREAM)
    await write(nc, example.payloads)
    if example.held:
        write_archive(directory, example.frames[: example.held])
    history = new_history(CACHE)
    for stored in example.frames:
        history.apply(stored)
        if stored.sequence in example.snapshots:
            Snapshots(directory / f"at-{stored.sequence}").write(content_of(history), history.at)


def _starts(example: Example, directory: Path, found: History) -> Iterator[Snapshots]:
    """Each snapshot that is not behind the point, alone in its directory."""
    for sequence in example.snapshots:
        if sequence <= found.sequence:
            snapshots = Snapshots(directory / f"at-{sequence}")
            assert len(snapshots.paths()) == 1
            yield snapshots


def _applied(frames: list[StoredFrame], at: Moment) -> History:
    """The history at the point, from memory."""
    history = new_history(CACHE)
    for stored in frames[: at.sequence]:
        if not history.apply(stored, until=at.time):
            break
    return history


async def _at(source: Source, start: Snapshots | None, at: Moment) -> History:
    history = await rebuild(
        source, start, until_sequence=at.sequence, until_time=at.time, cache=CACHE, check_digest=True
    )
    if start is not None:
        assert history.before, "the snapshot was not taken"
    return history


def _bytes(history: History) -> tuple[bytes, bytes, str, str, int, int, str]:
    assert history.projections is not None
    return (
        image.dump(history.partition),
        history.projections.dump(),
        history.partition.digest(),
        image.digest(history.partition),
        history.sequence,
        history.part,
        history.head,
    )
