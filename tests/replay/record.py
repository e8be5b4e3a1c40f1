"""A whole record for tests: journal, archive, receipts, mark and snapshots, as engine and follower would have left them."""

import time
from pathlib import Path

import attrs
from nats.aio.client import Client

from oms.config import CacheConfig
from oms.journal.mark import FILE, MarkFile
from oms.journal.receipts import DIRECTORY, Receipts, Sealing
from oms.journal.signing import SigningKey
from oms.messages.events import Sealed
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
    data_dir: Path, *, orders: int = 160, archived: float = 0.7, step: int = 1_000_000, snapshots: int = 2
) -> Record:
    """Write one without its journal.

    Args:
        orders: in the history; ten to a frame, a seal every third frame.
        archived: share of the frames that are in the archive.
        step: nanoseconds between commands.
        snapshots: how many, at equal distances, the last at the end.
    """
    key = SigningKey.of(data_dir)
    maker = Maker(step=step)
    maker.begin()
    maker.ask("declare_key._._._._", key_id=key.key_id, public_key=key.public_key)
    maker.cut()
    for part in range(orders // 10):
        busy(part, 10, frame=10, maker=maker, step=step)
        if part % 3 == 2:
            maker.ask("seal._._._._")
            maker.cut()
    maker.ask("seal._._._._")
    maker.cut()
    _write_archive(data_dir, maker, int(len(maker.payloads) * archived))
    _write_receipts(data_dir, maker, key)
    _write_snapshots(data_dir, maker, snapshots)
    return Record(maker, data_dir, key)


async def store(nc: Client, record: Record) -> None:
    """Write the journal."""
    await write(nc, record.maker.payloads)


def _write_archive(data_dir: Path, maker: Maker, frames: int) -> None:
    history = new_history(CacheConfig(), projections=False)
    history.checks = b""
    writer = ArchiveWriter(data_dir)
    for stored in maker.stored[:frames]:
        history.apply(stored)
        writer.append(stored.sequence, stored.payload, history.checks, stored.frame.commits[0].at)
        if stored.sequence == frames // 2:
            writer.seal()
    writer.close()


def _write_receipts(data_dir: Path, maker: Maker, key: SigningKey) -> None:
    (data_dir / DIRECTORY).mkdir(parents=True, exist_ok=True)
    receipts = Receipts(data_dir, key, VERSION, CODE)
    receipts.open()
    found = [
        Sealing(sequence=s.sequence, head=s.digest, digest=event.digest, commit=index, at=commit.at)
        for s in maker.stored
        for index, commit in enumerate(s.frame.commits)
        for event in commit.events
        if isinstance(event, Sealed)
    ]
    receipts.append(found)
    receipts.close()
    mark = MarkFile(data_dir / DIRECTORY / FILE)
    mark.set(maker.sequence, maker.head, found[-1].sequence)
    mark.close()


def _write_snapshots(data_dir: Path, maker: Maker, count: int) -> None:
    history = new_history(CacheConfig())
    stops = {len(maker.payloads) * (number + 1) // count for number in range(count)} if count else set()
    now = time.time_ns() - count * 3_600 * 10**9
    for stored in maker.stored:
        history.apply(stored)
        if stored.sequence in stops:
            now += 3_600 * 10**9
            Snapshots(data_dir).write(content_of(history), now)
