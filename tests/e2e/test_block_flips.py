"""Bits flipped in nats-server's own files: the engine names what is lost, or everything is there. Never a silent loss.

nats-server itself says nothing of the damage: it cuts a block off at the first bad record, or leaves one message out.
"""

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.aggregates import image
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.loss import JournalLost, LossKind
from oms.journal.mark import read_mark
from oms.journal.reader import read_frames
from oms.journal.stream import STREAM
from oms.journal.writer import JournalWriter
from oms.messages.events import LossAccepted
from oms.messages.frames import GENESIS, Commit, encode_commit, frame_digest
from oms.nats_server import EmbeddedNats, NatsServerError
from replay.rebuild import rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.engine.desk import SETTINGS, Venue, engine_on

SEED = 20261121
STREAM_DIR = Path("jetstream") / "$G" / "streams" / STREAM
HEADER_BYTES = 22
"""Of a record in a block: length, sequence, time, length of the subject."""
BIG_FRAME = 700_000


@attrs.frozen
class Original:
    """A store and a data directory as they were left, and what was in them.

    Args:
        starts: offset of each frame's record in its block file, by sequence.
    """

    root: Path
    digests: dict[int, str]
    starts: dict[int, tuple[str, int]]
    state: str

    @property
    def last(self) -> int:
        return len(self.digests)

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.root, to)
        return to


async def _made(root: Path, end: str, big: int = 0) -> Original:
    """Trade, and leave store and data behind after a clean stop or a SIGKILL of nats-server.

    Args:
        big: frames of :data:`BIG_FRAME` bytes to put in, so that the journal has several blocks.
    """
    server = EmbeddedNats(root / "nats")
    await server.start()
    settings = attrs.evolve(SETTINGS, data_dir=root / "data")
    nc = await nats.connect(server.url)
    venue = Venue(nc)
    for round_ in range(2):
        async with engine_on(server.url, settings):
            await venue.open()
            for number in range(25):
                assert (await venue.place(f"c{round_}-{number}", quantity="0.00011"))["ok"]
        await venue.close()
        if big and not round_:
            await _append_big(nc, big)
    state = (await nc.jetstream().stream_info(STREAM)).state
    digests = {}
    async for batch in read_frames(nc, 1, state.last_seq, GENESIS):
        digests.update((stored.sequence, stored.digest) for stored in batch)
    history = await rebuild(Source(nc), None, projections=False)
    await nc.close()
    await (server.kill() if end == "kill" else server.stop())
    return Original(root, digests, _records(root), image.digest(history.partition))


async def _append_big(nc: Client, count: int) -> None:
    history = await rebuild(Source(nc), None, projections=False)
    writer = JournalWriter(nc, history.sequence, history.head)
    event = LossAccepted(first=1, last=0, head=GENESIS, by="test", reason="x" * BIG_FRAME)
    for _ in range(count):
        await writer.append(
            [
                encode_commit(
                    Commit(
                        at=history.at,
                        subject="accept_loss._._._._",
                        command=msgspec.Raw(b"{}"),
                        events=[event],
                    )
                )
            ]
        )


def _records(root: Path) -> dict[int, tuple[str, int]]:
    """Where nats-server keeps each message: its block file, and the offset of its record there."""
    found = {}
    for path in (root / "nats" / STREAM_DIR / "msgs").glob("*.blk"):
        content, at = path.read_bytes(), 0
        while at < len(content):
            length = int.from_bytes(content[at : at + 4], "little") & 0x3FFFFFFF
            sequence = int.from_bytes(content[at + 4 : at + 12], "little")
            assert HEADER_BYTES < length <= len(content) - at, "blocks are not laid out as this test believes"
            found[sequence] = (path.name, at)
            at += length
    return found


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    """What a SIGKILL of nats-server left, and what a clean stop."""
    return {end: asyncio.run(_made(tmp_path_factory.mktemp(end), end)) for end in ("kill", "stop")}


class Careless(EmbeddedNats):
    """A nats-server that is used as soon as it takes clients, even when it says itself that it is not healthy."""

    async def _wait_ready(self, deadline: float) -> None:
        while not await self._greets():
            assert self.running, self.log_path.read_text()
            if time.monotonic() > deadline:
                raise NatsServerError("NATS_START_FAILED", "takes no clients")
            await asyncio.sleep(0.05)

    async def _greets(self) -> bool:
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except (TimeoutError, OSError):
            return False
        try:
            async with asyncio.timeout(1.0):
                return (await reader.readline()).startswith(b"INFO ")
        except (TimeoutError, OSError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _given(nc: Client, last: int) -> dict[int, str]:
    """Digest of every frame that nats-server still gives."""
    found = {}
    for sequence in range(1, last + 1):
        try:
            message = await nc.jetstream().get_msg(STREAM, seq=sequence)
        except NotFoundError:
            continue
        found[sequence] = frame_digest(message.data or b"")
    return found


async def _refused_or_whole(original: Original, root: Path) -> JournalBroken | NatsServerError | None:
    """Start nats-server and an engine on a damaged copy; return the refusal.

    nats-server itself may be what does not start: with a bit flipped in a message's number it counts up to there.

    Raises:
        AssertionError: the engine serves although a frame is gone, refuses although none is, or names another range.
    """
    server = Careless(root / "nats", ready_timeout_s=6.0)
    try:
        await server.start()
    except NatsServerError as error:
        return error
    nc = await nats.connect(server.url)
    try:
        given = await _given(nc, original.last)
        gone = sorted(s for s, digest in original.digests.items() if given.get(s) != digest)
        refusal = None
        try:
            async with engine_on(server.url, attrs.evolve(SETTINGS, data_dir=root / "data")):
                pass
        except JournalBroken as error:
            refusal = error
        if refusal is not None:
            assert gone, f"nothing is gone, and yet: {refusal}"
            assert await _given(nc, original.last) == given, "a refusal changes nothing"
            _check_range(refusal, gone, original.last)
            return refusal
        assert not gone, f"frames {gone[0]} to {gone[-1]} are gone, and the engine serves"
        at_end = await rebuild(Source(nc), None, until_sequence=original.last, projections=False)
        assert image.digest(at_end.partition) == original.state
        return None
    finally:
        await nc.close()
        await server.stop()


def _check_range(error: JournalBroken, gone: list[int], last: int) -> None:
    if not isinstance(error, JournalLost):
        assert (error.fault, error.sequence) == (JournalFault.GAP, gone[0])
        return
    assert error.loss.kind in (LossKind.BEHIND, LossKind.UNREADABLE)
    assert error.loss.last == gone[-1] == last
    tail = list(range(error.loss.first, last + 1))
    assert gone[-len(tail) :] == tail
    if error.loss.kind is LossKind.BEHIND:
        assert gone == tail
    assert f"{error.loss.first:,}" in str(error)
    assert "oms replay restore" in str(error)


def _flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


def _places(original: Original, rng: random.Random, count: int) -> list[tuple[str, int, int]]:
    """(file, offset, bit): in every part of the record of the first, a middle and the last message, and anywhere."""
    places = []
    sizes = {
        path.name: path.stat().st_size
        for path in (original.root / "nats" / STREAM_DIR / "msgs").glob("*.blk")
    }
    for sequence in (1, original.last // 2, original.last):
        name, start = original.starts[sequence]
        after = [at for block, at in original.starts.values() if block == name and at > start]
        end = min(after, default=sizes[name])
        parts = (0, 3, 5, 13, 20, (end - start) // 2, end - start - 9, end - start - 8, end - start - 1)
        places += [(name, start + part, rng.randrange(8)) for part in parts]
    for _ in range(count):
        name = rng.choice(sorted(sizes))
        places.append((name, rng.randrange(sizes[name]), rng.randrange(8)))
    return places


@pytest.mark.timeout(240)
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_flipped_bit_in_a_block_is_never_a_silent_loss(
    originals: dict[str, Original], tmp_path: Path, end: str
) -> None:
    """Header, text, checksum of the first, a middle, the last record, and 20 places anywhere: refused with the range."""
    original = originals[end]
    refused = 0
    for number, (name, at, bit) in enumerate(_places(original, random.Random(SEED), 20)):
        copy = original.copy(tmp_path / str(number))
        _flip(copy / "nats" / STREAM_DIR / "msgs" / name, at, bit)
        try:
            refused += isinstance(await _refused_or_whole(original, copy), JournalBroken)
        except BaseException as error:
            error.add_note(f"bit {bit} of byte {at} of {name}, see {copy}")
            raise
        shutil.rmtree(copy)
    assert refused > 40, "almost every flip costs a message, and must be noticed"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_flipped_bit_in_any_file_of_the_stream_is_never_a_silent_loss(
    originals: dict[str, Original], tmp_path: Path, end: str
) -> None:
    """The same for nats-server's index and description of the stream, which it can often do without."""
    original = originals[end]
    rng = random.Random(SEED)
    directory = original.root / "nats" / STREAM_DIR
    others = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.suffix != ".blk"]
    assert {"meta.inf", "meta.sum"} <= {path.name for path in others}
    for number in range(10):
        path = others[number % len(others)]
        copy = original.copy(tmp_path / str(number))
        target = copy / path.relative_to(original.root)
        _flip(target, rng.randrange(target.stat().st_size), rng.randrange(8))
        try:
            await _refused_or_whole(original, copy)
        except BaseException as error:
            error.add_note(f"in {target}")
            raise
        shutil.rmtree(copy)


@pytest.mark.timeout(120)
async def test_flips_under_a_running_server_that_is_then_killed(tmp_path: Path) -> None:
    """Bits flipped while nats-server runs, then SIGKILL and restart: refused with the range, or whole."""
    rng = random.Random(SEED)
    original = await _made(tmp_path / "original", "kill")
    refused = 0
    for number in range(8):
        copy = original.copy(tmp_path / str(number))
        server = EmbeddedNats(copy / "nats")
        await server.start()
        [block] = (copy / "nats" / STREAM_DIR / "msgs").glob("*.blk")
        _flip(block, rng.randrange(block.stat().st_size), rng.randrange(8))
        await server.kill()
        refused += isinstance(await _refused_or_whole(original, copy), JournalBroken)
        shutil.rmtree(copy)
    assert refused >= 6


async def test_an_undamaged_copy_is_served(originals: dict[str, Original], tmp_path: Path) -> None:
    """Without a flip nothing is refused: what the other tests find comes from the flips."""
    for end, original in originals.items():
        assert await _refused_or_whole(original, original.copy(tmp_path / end)) is None


@pytest.mark.timeout(180)
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_flips_in_a_journal_of_several_blocks(tmp_path: Path, end: str) -> None:
    """A block cut off in front of another one leaves a hole, or a journal that seems trimmed: refused, and named."""
    original = await _made(tmp_path / "original", end, big=14)
    blocks = sorted({name for name, _ in original.starts.values()})
    assert len(blocks) > 1
    rng = random.Random(SEED)
    for number in range(8):
        name = blocks[number % len(blocks)]
        # In the small frames, of which there are many, and not in the few that make the bulk.
        at = rng.choice([at for block, at in original.starts.values() if block == name]) + rng.randrange(100)
        copy = original.copy(tmp_path / str(number))
        _flip(copy / "nats" / STREAM_DIR / "msgs" / name, at, rng.randrange(8))
        try:
            assert await _refused_or_whole(original, copy) is not None
        except BaseException as error:
            error.add_note(f"byte {at} of {name}, see {copy}")
            raise
        shutil.rmtree(copy)


async def test_a_hole_behind_a_snapshot_leaves_the_state_whole_and_is_named(
    originals: dict[str, Original], tmp_path: Path
) -> None:
    """A frame lost from before a snapshot costs no state: the engine proves that and serves; a replay names the frame."""
    original = originals["stop"]
    copy = original.copy(tmp_path / "copy")
    snapshots = Snapshots(copy / "data")
    async with EmbeddedNats(copy / "nats") as server:
        nc = await nats.connect(server.url)
        history = await rebuild(Source(nc), None)
        snapshots.write(content_of(history), history.at)
        await nc.close()
    lost = original.last // 2
    name, start = original.starts[lost]
    _flip(copy / "nats" / STREAM_DIR / "msgs" / name, start + 100, 3)
    async with EmbeddedNats(copy / "nats") as server:
        settings = attrs.evolve(SETTINGS, data_dir=copy / "data", snapshots=snapshots)
        nc = await nats.connect(server.url)
        async with engine_on(server.url, settings):
            mark = read_mark(copy / "data" / "receipts" / "mark").mark
            assert mark is not None
            assert mark.sequence > original.last
        at_end = await rebuild(Source(nc), snapshots, until_sequence=original.last, projections=False)
        assert image.digest(at_end.partition) == original.state
        with pytest.raises(JournalBroken) as broken:
            await rebuild(Source(nc), None)
        assert (broken.value.fault, broken.value.sequence) == (JournalFault.GAP, lost)
        await nc.close()


DISASTERS: dict[str, Callable[[Path], None]] = {
    "store deleted": lambda store: shutil.rmtree(store / "jetstream"),
    "stream deleted": lambda store: shutil.rmtree(store / STREAM_DIR),
    "block deleted": lambda store: next((store / STREAM_DIR / "msgs").glob("*.blk")).unlink(),
    "block emptied": lambda store: next((store / STREAM_DIR / "msgs").glob("*.blk")).write_bytes(b""),
    "block cut in half": lambda store: _cut(next((store / STREAM_DIR / "msgs").glob("*.blk"))),
    "block of zeros": lambda store: _zero(next((store / STREAM_DIR / "msgs").glob("*.blk"))),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("disaster", DISASTERS)
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_greater_damage_is_refused(
    originals: dict[str, Original], tmp_path: Path, end: str, disaster: str
) -> None:
    """Files that are gone, cut or emptied: refused with the range."""
    original = originals[end]
    copy = original.copy(tmp_path / "copy")
    DISASTERS[disaster](copy / "nats")
    assert await _refused_or_whole(original, copy) is not None
