"""A whole record for tests: journal, archive, receipts, mark and snapshots, as engine and follower would have left them."""

import time
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
from nats.aio.client import Client

from oms.config import CacheConfig
from oms.journal.mark import FILE, MarkFile
from oms.journal.reader import StoredFrame
from oms.journal.receipts import DIRECTORY, Receipts, Sealing
from oms.journal.signing import SigningKey
from oms.messages.events import Sealed
from oms.messages.frames import frame_digest
from replay.archive import Archive, ArchiveWriter
from replay.rebuild import new_history
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from replay.verify import Report, verify
from tests.replay.journal import Maker, busy, write

VERSION, CODE = "0.1.0", "c" * 64


@attrs.define
class Record:
    """Everything on disk of one desk. ``maker`` decided it."""

    maker: Maker
    data_dir: Path
    key: SigningKey

    async def verify(self, nc: Client | None, *, decisions: bool = True) -> Report:
        """Verify what is there now."""
        archive = Archive(self.data_dir)
        source = Source(nc, archive)
        return await verify(source, self.data_dir, Snapshots(self.data_dir), archive, decisions=decisions)


def make_record(
    data_dir: Path,
    *,
    orders: int = 160,
    seed: int = 0,
    frame: int = 10,
    archived: float = 0.7,
    step: int = 1_000_000,
    snapshots: int = 2,
    during: Callable[[Maker, int], None] | None = None,
    change: Callable[[list[bytes]], list[bytes]] | None = None,
) -> Record:
    """Write one without its journal.

    Args:
        orders: in the history; ``frame`` to a frame, a seal every third frame.
        archived: share of the frames that are in the archive.
        step: nanoseconds between commands.
        snapshots: how many, at equal distances, the last at the end.
        during: is told the maker and the number of each frame before it is made.
        change: what another version would have written in place of the frames; receipts and mark are of that.
    """
    key = SigningKey.of(data_dir)
    maker = Maker(step=step)
    maker.begin()
    maker.ask("declare_key._._._._", key_id=key.key_id, public_key=key.public_key)
    maker.cut()
    for part in range(orders // frame):
        if during is not None:
            during(maker, part)
        busy(seed + part, frame, frame=frame, maker=maker, step=step)
        if part % 3 == 2:
            maker.ask("seal._._._._")
            maker.cut()
    maker.ask("seal._._._._")
    maker.cut()
    write_archive(data_dir, maker.stored[: int(len(maker.payloads) * archived)])
    write_snapshots(data_dir, maker, snapshots)
    sealings = sealings_of(maker.stored)
    if change is not None:
        maker.payloads = change(maker.payloads)
        maker.head = frame_digest(maker.payloads[-1])
    heads = [frame_digest(payload) for payload in maker.payloads]
    sealings = [msgspec.structs.replace(each, head=heads[each.sequence - 1]) for each in sealings]
    write_receipts(data_dir, key, sealings)
    write_mark(data_dir, maker.sequence, maker.head, sealings[-1].sequence)
    return Record(maker, data_dir, key)


async def store(nc: Client, record: Record) -> None:
    """Write the journal."""
    await write(nc, record.maker.payloads)


def write_archive(
    data_dir: Path, stored: list[StoredFrame], checks: Callable[[int, bytes], bytes] = lambda _, found: found
) -> None:
    """Archive frames from the first on, half of them sealed.

    Args:
        checks: makes of a frame's sequence and checks what is written.
    """
    history = new_history(CacheConfig(), projections=False)
    history.on_seal = lambda *_: None
    history.checks = b""
    with ArchiveWriter(data_dir) as writer:
        for each in stored:
            history.apply(each)
            found = checks(each.sequence, history.checks)
            writer.append(each.sequence, each.payload, found, each.frame.commits[0].at)
            if each.sequence == len(stored) // 2:
                writer.seal()


def sealings_of(stored: list[StoredFrame]) -> list[Sealing]:
    """What receipts are made of."""
    return [
        Sealing(sequence=s.sequence, head=s.digest, digest=event.digest, commit=index, at=commit.at)
        for s in stored
        for index, commit in enumerate(s.frame.commits)
        for event in commit.events
        if isinstance(event, Sealed)
    ]


def write_receipts(data_dir: Path, key: SigningKey, sealings: list[Sealing]) -> None:
    """Append receipts."""
    (data_dir / DIRECTORY).mkdir(parents=True, exist_ok=True)
    receipts = Receipts(data_dir, key, VERSION, CODE)
    receipts.open()
    receipts.append(sealings)
    receipts.close()


def write_mark(data_dir: Path, sequence: int, head: str, receipt: int) -> None:
    """Set the mark."""
    mark = MarkFile(data_dir / DIRECTORY / FILE)
    mark.set(sequence, head, receipt)
    mark.close()


def write_snapshots(data_dir: Path, maker: Maker, count: int) -> None:
    """Write snapshots at equal distances, the last at the end."""
    history = new_history(CacheConfig())
    stops = {len(maker.payloads) * (number + 1) // count for number in range(count)} if count else set()
    now = time.time_ns() - count * 3_600 * 10**9
    for stored in maker.stored:
        history.apply(stored)
        if stored.sequence in stops:
            now += 3_600 * 10**9
            Snapshots(data_dir).write(content_of(history), now)
