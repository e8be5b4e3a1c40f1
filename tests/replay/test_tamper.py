"""Tampering: whatever is done to journal, archive, receipts, mark, snapshots or code is found, and told where."""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import msgspec
import nats
import pytest
import zstandard
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.aggregates import image
from oms.aggregates import partition as p
from oms.handlers import place
from oms.journal.mark import SLOT_BYTES
from oms.journal.reader import check_frame
from oms.journal.receipts import line_digest, receipt_files, signed_bytes
from oms.journal.signing import SigningKey
from oms.journal.stream import STREAM, SUBJECT
from oms.messages import events as e
from oms.messages.frames import GENESIS, encode_frame, frame_digest
from oms.nats_server import EmbeddedNats
from replay.archive import Archive
from replay.archive.layout import root_of
from replay.archive.manifest import Manifest
from replay.cli import replay
from replay.snapshot import Snapshots
from replay.source import Source
from replay.verify import Finding, Found
from tests.replay.journal import Maker, write
from tests.replay.record import (
    Record,
    make_record,
    sealings_of,
    write_archive,
    write_mark,
    write_receipts,
)

DAY_STEP = 600 * 10**9
SHARE = 0.7


# -- the record, and how it is laid hands on


@attrs.define
class Desk:
    """A whole record in a directory of its own, and the frames that its journal will hold."""

    record: Record
    data_dir: Path
    frames: list[bytes]
    monkeypatch: pytest.MonkeyPatch
    gone: list[int] = attrs.field(factory=list)
    """Deleted from the journal once it is written."""
    trim: int = 0
    """The first frame that the journal keeps."""

    @property
    def maker(self) -> Maker:
        return self.record.maker

    @property
    def archived(self) -> int:
        """How many frames the archive holds."""
        return Archive(self.data_dir).bounds()[1]

    @property
    def receipted(self) -> list[int]:
        """The frames that receipts name."""
        return [each.sequence for each in sealings_of(self.maker.stored)]

    def edit(self, sequence: int, old: bytes, new: bytes) -> None:
        """Change bytes of one frame, once, and leave the frames behind as they are."""
        payload = self.frames[sequence - 1]
        assert old in payload, (old, payload[:300])
        self.frames[sequence - 1] = payload.replace(old, new, 1)

    def reprice(self, sequence: int, event: e.OrderFilled) -> None:
        """Change the price of a fill."""
        self.frames[sequence - 1] = repriced(self.frames[sequence - 1], event)

    def chain(self, sequence: int) -> None:
        """Number the frames anew from this one on, and chain them."""
        self.frames[sequence - 1 :] = chained(self.frames, sequence)

    def path(self, pattern: str) -> Path:
        """The first file of this name."""
        return min(self.data_dir.glob(pattern))

    @property
    def receipts(self) -> Path:
        return receipt_files(self.data_dir)[-1]

    @property
    def mark(self) -> Path:
        return self.data_dir / "receipts" / "mark"


class _Frame(msgspec.Struct):
    sequence: int
    prev: str
    commits: list[msgspec.Raw]


def chained(frames: list[bytes], sequence: int) -> list[bytes]:
    """The frames from ``sequence`` on, numbered and chained anew."""
    prev = frame_digest(frames[sequence - 2]) if sequence > 1 else GENESIS
    found = []
    for number, payload in enumerate(frames[sequence - 1 :], sequence):
        commits = [bytes(each) for each in msgspec.json.decode(payload, type=_Frame).commits]
        found.append(encode_frame(number, prev, commits))
        prev = frame_digest(found[-1])
    return found


def flip(path: Path, place: int) -> None:
    """Flip one bit of a file; a negative place counts from its end."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def of_filled(desk: Desk, after: int) -> tuple[int, e.OrderFilled]:
    """Frame and event of the first fill behind the frame ``after``."""
    return next(
        (stored.sequence, event)
        for stored in desk.maker.stored[after:]
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, e.OrderFilled)
    )


def repriced(payload: bytes, event: e.OrderFilled) -> bytes:
    """The payload with one digit of the fill's price changed, in the event and not in the command."""
    start = payload.index(b'"event":"OrderFilled')
    place = payload.index(f'"price":"{event.price}"'.encode(), start) + len('"price":"')
    return payload[:place] + (b"8" if payload[place : place + 1] != b"8" else b"7") + payload[place + 1 :]


@attrs.frozen
class Place:
    """Where a finding must be: the frame, or the first and last of several; ``what``: part of the file's name."""

    kind: Finding
    sequence: int
    last: int = 0
    what: str = ""

    def is_of(self, found: Found) -> bool:
        """Whether this is the finding's place."""
        return (found.kind, found.sequence, found.last) == (self.kind, self.sequence, self.last) and (
            self.what in found.what
        )


JOURNAL, CLOCK, ARCHIVE, DIFFERS, LOST = (
    Finding.JOURNAL,
    Finding.CLOCK,
    Finding.ARCHIVE,
    Finding.DIFFERS,
    Finding.LOST,
)
RECEIPT, SNAPSHOT, CODE, STATE, DECISION = (
    Finding.RECEIPT,
    Finding.SNAPSHOT,
    Finding.CODE,
    Finding.STATE,
    Finding.DECISION,
)
Tamper = Callable[[Desk], Iterable[Place]]
FULL: dict[str, Any] = {"archived": SHARE}
BARE: dict[str, Any] = {"archived": 0}
DAYS: dict[str, Any] = {"archived": 0.9, "step": DAY_STEP}


def around(desk: Desk, sequence: int) -> tuple[int, int]:
    """The first frame that may be concerned, and the receipt's frame, when a receipt is what tells."""
    return (
        max((at for at in desk.receipted if at < sequence), default=0) + 1,
        min(at for at in desk.receipted if at >= sequence),
    )


# -- journal


def price_flipped(desk: Desk) -> Iterable[Place]:
    sequence, event = of_filled(desk, 19)
    desk.reprice(sequence, event)
    return [Place(JOURNAL, sequence), Place(DECISION, sequence)]


def price_flipped_archived(desk: Desk) -> Iterable[Place]:
    sequence, event = of_filled(desk, 4)
    desk.reprice(sequence, event)
    return [Place(JOURNAL, sequence)]


def price_flipped_at_the_archives_end(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived
    desk.edit(sequence, b'"at":', b'"at" :')
    return [Place(JOURNAL, sequence)]


def made_unreadable(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived + 4
    desk.edit(sequence, b'"commits":[{', b'"commits":[[')
    return [Place(JOURNAL, sequence)]


def whitespace_put_in(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived + 4
    desk.edit(sequence, b'"commits":[', b'"commits": [')
    return [Place(JOURNAL, sequence)]


def chain_flipped(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived + 4
    prev = re.search(rb'"prev":"(.)', desk.frames[sequence - 1])
    assert prev is not None
    desk.edit(sequence, prev[0], prev[0][:-1] + (b"0" if prev[1] != b"0" else b"1"))
    return [Place(JOURNAL, sequence)]


def last_frame_flipped(desk: Desk) -> Iterable[Place]:
    # No frame follows it: only the mark and the last receipt know it.
    sequence = len(desk.frames)
    desk.edit(sequence, b'"commits":[', b'"commits": [')
    first, last = around(desk, sequence)
    return [Place(RECEIPT, first, last), Place(SNAPSHOT, sequence)]


def frame_cut_out(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived + 4
    del desk.frames[sequence - 1]
    end = desk.maker.sequence
    return [
        Place(JOURNAL, sequence),
        Place(RECEIPT, *around(desk, sequence)),
        Place(LOST, end),
        Place(SNAPSHOT, end),
    ]


def frame_deleted(desk: Desk) -> Iterable[Place]:
    sequence = desk.archived + 4
    desk.gone = [sequence]
    return [Place(JOURNAL, sequence)]


def archived_frame_deleted(desk: Desk) -> Iterable[Place]:
    desk.gone = [5]
    return [Place(JOURNAL, 5)]


def last_frames_deleted(desk: Desk) -> Iterable[Place]:
    end = len(desk.frames)
    desk.gone = [end - 1, end]
    return [Place(JOURNAL, end - 1, end), Place(LOST, end - 1, end), Place(SNAPSHOT, end)]


def journal_cut(desk: Desk) -> Iterable[Place]:
    end = len(desk.frames)
    del desk.frames[-3:]
    return [Place(LOST, end - 2, end), Place(SNAPSHOT, end)]


def journal_cut_behind_the_archive(desk: Desk) -> Iterable[Place]:
    end = desk.archived - 2
    del desk.frames[end:]
    last = desk.maker.sequence
    return [Place(LOST, end + 1, desk.archived), Place(LOST, desk.archived + 1, last), Place(SNAPSHOT, last)]


def frames_swapped(desk: Desk) -> Iterable[Place]:
    at = desk.archived + 4
    desk.frames[at - 1], desk.frames[at] = desk.frames[at], desk.frames[at - 1]
    return [Place(JOURNAL, at), Place(JOURNAL, at + 1)]


def archived_frames_swapped(desk: Desk) -> Iterable[Place]:
    desk.frames[4], desk.frames[5] = desk.frames[5], desk.frames[4]
    return [Place(JOURNAL, 5, 6)]


def frame_doubled(desk: Desk) -> Iterable[Place]:
    # Every frame behind it is renumbered and chained again: the chain is whole, and receipts are of another one.
    at = desk.archived + 4
    desk.frames.insert(at, desk.frames[at - 1])
    desk.chain(at + 1)
    return [Place(CLOCK, at + 1), Place(RECEIPT, *around(desk, at + 1))]


def frame_put_in(desk: Desk) -> Iterable[Place]:
    # As above, with times that fit: a command that nobody gave.
    at = desk.archived + 4
    stored = desk.maker.stored[at - 1].frame.commits[-1]
    commit = msgspec.structs.replace(
        stored,
        subject="report_marks.binance._.spot._",
        command=msgspec.Raw(b'{"marks":{"BTCUSDT":"1"}}'),
        events=[e.MarksRecorded(exchange="binance", market="spot", marks={"BTCUSDT": place.Decimal(1)})],
        command_id="",
        fingerprint="",
    )
    desk.frames.insert(at, encode_frame(at + 1, "", [msgspec.json.encode(commit)]))
    desk.chain(at + 1)
    first, last = around(desk, at + 1)
    return [Place(STATE, last + 1), Place(RECEIPT, first, last), Place(SNAPSHOT, desk.maker.sequence)]


def event_edited_and_chained(desk: Desk) -> Iterable[Place]:
    sequence, event = of_filled(desk, 18)
    desk.reprice(sequence, event)
    desk.chain(sequence)
    first, last = around(desk, sequence)
    return [
        Place(DECISION, sequence),
        Place(STATE, last),
        Place(RECEIPT, first, last),
        Place(SNAPSHOT, len(desk.frames)),
    ]


def archived_event_edited_and_chained(desk: Desk) -> Iterable[Place]:
    sequence, event = of_filled(desk, 4)
    desk.reprice(sequence, event)
    desk.chain(sequence)
    return [Place(DIFFERS, sequence), Place(RECEIPT, *around(desk, desk.archived + 1))]


def another_decided(desk: Desk) -> Iterable[Place]:
    # The best forgery: another command at one place, all decided again, seals and all. Only receipts know.
    shutil.copytree(desk.data_dir / "keys", desk.data_dir / "forged" / "keys")
    forged = make_record(desk.data_dir / "forged", archived=0, during=_one_more)
    desk.frames = forged.maker.payloads
    sequence = _first_difference(desk.maker.payloads, desk.frames)
    return [Place(RECEIPT, *around(desk, sequence)), Place(SNAPSHOT, len(desk.frames))]


def _one_more(maker: Maker, part: int) -> None:
    if part == 10:
        maker.place(price="1")


def _first_difference(ours: list[bytes], theirs: list[bytes]) -> int:
    return next(n for n, (one, other) in enumerate(zip(ours, theirs, strict=False), 1) if one != other)


def commit_moved(desk: Desk) -> Iterable[Place]:
    at = desk.archived + 4
    one, other = (msgspec.json.decode(desk.frames[n], type=_Frame) for n in (at - 1, at))
    other.commits.insert(0, one.commits.pop())
    for number, frame in ((at, one), (at + 1, other)):
        desk.frames[number - 1] = encode_frame(number, frame.prev, [bytes(each) for each in frame.commits])
    # Neither is what the next one names; that the second alone was changed cannot be excluded.
    return [Place(JOURNAL, at, at + 1)]


def commit_moved_and_chained(desk: Desk) -> Iterable[Place]:
    tuple(commit_moved(desk))
    at = desk.archived + 4
    desk.chain(at + 1)
    # A report makes the same state in whatever frame it stands: receipts alone tell.
    return [Place(RECEIPT, *around(desk, at)), Place(SNAPSHOT, len(desk.frames))]


def clock_set_back(desk: Desk) -> Iterable[Place]:
    at = desk.archived + 4
    found = desk.maker.stored[at - 1].frame.commits[3].at
    desk.edit(at, f'"at":{found}'.encode(), f'"at":{found - 10**12}'.encode())
    desk.chain(at)
    return [Place(CLOCK, at), Place(RECEIPT, *around(desk, at))]


def journal_replaced(desk: Desk) -> Iterable[Place]:
    other = make_record(desk.data_dir / "other", archived=0, seed=100)
    desk.frames = other.maker.payloads
    first = _first_difference(desk.maker.payloads, desk.frames)
    return [Place(DIFFERS, first), Place(RECEIPT, *around(desk, desk.archived + 1))]


def journal_replaced_without_archive(desk: Desk) -> Iterable[Place]:
    desk.frames = make_record(desk.data_dir / "other", archived=0, seed=100).maker.payloads
    first = desk.receipted[0]
    return [
        Place(RECEIPT, 1, first),
        Place(SNAPSHOT, len(desk.frames)),
        Place(SNAPSHOT, len(desk.frames) // 2),
    ]


def journal_forked(desk: Desk) -> Iterable[Place]:
    # Longer than the archive, and another one from within it.
    sequence = desk.archived - 2
    desk.edit(sequence, b'"commits":[', b'"commits": [')
    desk.frames += desk.frames[-1:]
    desk.chain(sequence + 1)
    return [Place(DIFFERS, sequence), Place(RECEIPT, *around(desk, desk.archived + 1))]


# -- archive


def segment_flipped(desk: Desk) -> Iterable[Place]:
    path = desk.path("archive/*/*/*/*.zst")
    flip(path, 200)
    return [Place(ARCHIVE, 1, what=path.name)]


def manifest_flipped(desk: Desk) -> Iterable[Place]:
    path = desk.path("archive/*/*/*/*.json")
    flip(path, -20)
    return [Place(ARCHIVE, 1, what=path.name)]


def open_flipped(desk: Desk) -> Iterable[Place]:
    path = desk.path("archive/*/*/*/*.open")
    first = int(path.stem)
    flip(path, path.read_bytes().index(f'"sequence":{first + 1},'.encode()) + 40)
    return [Place(ARCHIVE, first + 1, what=path.name)]


def _sealed(desk: Desk) -> list[Path]:
    return sorted(desk.data_dir.glob("archive/*/*/*/*.zst"), key=lambda path: path.name)


def day_missing(desk: Desk) -> Iterable[Place]:
    path = _sealed(desk)[1]
    shutil.rmtree(path.parent)
    left = _sealed(desk)
    first = int(left[0].stem.split("-")[1]) + 1
    return [Place(ARCHIVE, first, what=left[1].name.replace(".zst", ".json"))]


def first_day_missing(desk: Desk) -> Iterable[Place]:
    shutil.rmtree(_sealed(desk)[0].parent)
    return [Place(ARCHIVE, 1, what=_sealed(desk)[0].name)]


def day_missing_and_trimmed(desk: Desk) -> Iterable[Place]:
    tuple(day_missing(desk))
    desk.trim = desk.maker.sequence - 1
    first = int(_sealed(desk)[0].stem.split("-")[1]) + 1
    return [Place(ARCHIVE, first), Place(JOURNAL, 1)]


def manifest_missing(desk: Desk) -> Iterable[Place]:
    path = _sealed(desk)[1].with_suffix(".json")
    path.unlink()
    return [Place(ARCHIVE, int(path.name[:12]), what=path.name)]


def segments_swapped(desk: Desk) -> Iterable[Place]:
    one, other = _sealed(desk)[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    return [Place(ARCHIVE, 1, what=one.name)]


def _reseal(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a segment's records, and make its manifest fit."""
    records = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    changed = change(records)
    assert changed != records
    assert len(changed) == len(records)
    stored = zstandard.ZstdCompressor().compress(changed)
    path.write_bytes(stored)
    manifest_path = path.with_suffix(".json")
    manifest = msgspec.json.decode(manifest_path.read_bytes(), type=Manifest)
    manifest = msgspec.structs.replace(manifest, bytes=len(stored), sha256=sha256(stored).hexdigest())
    manifest_path.write_bytes(msgspec.json.encode(manifest) + b"\n")


def segment_edited(desk: Desk) -> Iterable[Place]:
    # The manifest fits; the frame behind the one that was edited does not follow it.
    sequence, event = of_filled(desk, 3)
    (path,) = _sealed(desk)
    assert int(path.stem[-12:]) > sequence
    _reseal(path, lambda records: repriced(records, event))
    return [Place(ARCHIVE, sequence)]


def _archive_again(desk: Desk, frames: list[bytes], **options: Any) -> None:
    shutil.rmtree(root_of(desk.data_dir))
    stored, prev = [], GENESIS
    for sequence, payload in enumerate(frames, 1):
        stored.append(check_frame(sequence, payload, sequence, prev))
        prev = stored[-1].digest
    write_archive(desk.data_dir, stored, **options)


def archive_written_anew(desk: Desk) -> Iterable[Place]:
    # Valid by itself in every part, to checks and manifests.
    held = desk.archived
    sequence, event = of_filled(desk, 4)
    frames = list(desk.frames[:held])
    frames[sequence - 1] = repriced(frames[sequence - 1], event)
    frames[sequence - 1 :] = chained(frames, sequence)
    _archive_again(desk, frames)
    first, last = around(desk, sequence)
    return [
        Place(DIFFERS, sequence),
        Place(DECISION, sequence),
        Place(RECEIPT, first, last),
        Place(STATE, last),
        Place(SNAPSHOT, desk.maker.sequence // 2),
    ]


def checks_edited(desk: Desk) -> Iterable[Place]:
    _archive_again(
        desk,
        desk.frames[: desk.archived],
        checks=lambda sequence, found: found[:-1] + bytes([found[-1] ^ 1]) if sequence == 7 else found,
    )
    return [Place(ARCHIVE, 7)]


def checks_cut(desk: Desk) -> Iterable[Place]:
    _archive_again(
        desk,
        desk.frames[: desk.archived],
        checks=lambda sequence, found: found[:-1] if sequence == 7 else found,
    )
    return [Place(ARCHIVE, 7)]


# -- receipts and mark


def _lines(desk: Desk) -> list[bytes]:
    return desk.receipts.read_bytes().splitlines(keepends=True)


def receipt_forged(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    place = lines[2].index(b'"signature":"') + 20
    lines[2] = lines[2][:place] + bytes([lines[2][place] ^ 1]) + lines[2][place + 1 :]
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipt_edited(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    lines[2] = re.sub(rb'"commit":\d+', b'"commit":77', lines[2])
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipts_of_an_unknown_key(desk: Desk) -> Iterable[Place]:
    _signed_by_another(desk)
    return [Place(RECEIPT, 1, what=f"{desk.receipts.name}:1")]


def receipts_of_a_key_put_there(desk: Desk) -> Iterable[Place]:
    # Its public half lies beside the right ones, but the journal does not declare it.
    key = _signed_by_another(desk)
    (desk.data_dir / "keys" / f"receipts-{key.key_id}.pub").write_text(key.public_key + "\n")
    return [Place(RECEIPT, at) for at in desk.receipted]


def _signed_by_another(desk: Desk) -> SigningKey:
    key = SigningKey(Ed25519PrivateKey.generate())
    prev, lines = GENESIS, []
    for line in _lines(desk):
        changed = re.sub(rb'"key_id":"\w+"', f'"key_id":"{key.key_id}"'.encode(), line[:-1])
        changed = re.sub(rb'"prev":"\w+"', f'"prev":"{prev}"'.encode(), changed)
        signature = key.sign(signed_bytes(changed)).encode()
        changed = re.sub(rb'"signature":"\w+"', b'"signature":"' + signature + b'"', changed)
        lines.append(changed + b"\n")
        prev = line_digest(changed)
    desk.receipts.write_bytes(b"".join(lines))
    return key


def public_key_swapped(desk: Desk) -> Iterable[Place]:
    path = desk.path("keys/*.pub")
    path.write_text(SigningKey(Ed25519PrivateKey.generate()).public_key + "\n")
    return [Place(RECEIPT, 0, what="keys")]


def receipt_removed(desk: Desk) -> Iterable[Place]:
    lines = _lines(desk)
    del lines[2]
    desk.receipts.write_bytes(b"".join(lines))
    return [Place(RECEIPT, desk.receipted[1] + 1, what=f"{desk.receipts.name}:3")]


def receipts_cut(desk: Desk) -> Iterable[Place]:
    desk.receipts.write_bytes(b"".join(_lines(desk)[:-2]))
    return [Place(RECEIPT, desk.receipted[-3] + 1, desk.receipted[-1], what="receipts")]


def receipts_removed(desk: Desk) -> Iterable[Place]:
    desk.receipts.unlink()
    return [
        Place(RECEIPT, 1, desk.receipted[-1], what="receipts"),
    ]


def receipts_and_mark_removed(desk: Desk) -> Iterable[Place]:
    shutil.rmtree(desk.data_dir / "receipts")
    return [Place(RECEIPT, desk.receipted[0], desk.maker.sequence, what="receipts")]


def receipts_for_another_seal(desk: Desk) -> Iterable[Place]:
    # Signed with the right key, for a seal that was never there.
    sealings = sealings_of(desk.maker.stored)
    desk.receipts.unlink()
    sealings[2] = msgspec.structs.replace(sealings[2], digest="f" * 64)
    write_receipts(desk.data_dir, desk.record.key, sealings)
    return [Place(RECEIPT, sealings[2].sequence)]


def mark_set_back(desk: Desk) -> Iterable[Place]:
    write_mark(desk.data_dir, 5, desk.maker.stored[4].digest, desk.receipted[0])
    return [Place(RECEIPT, 5, what="mark")]


def mark_set_ahead(desk: Desk) -> Iterable[Place]:
    end = desk.maker.sequence
    write_mark(desk.data_dir, end + 7, "a" * 64, desk.receipted[-1])
    return [Place(LOST, end + 1, end + 7)]


def mark_forged(desk: Desk) -> Iterable[Place]:
    at, before = desk.receipted[-2] - 1, desk.receipted[-3]
    write_mark(desk.data_dir, at, "a" * 64, before)
    return [Place(RECEIPT, before + 1, at, what="mark")]


def mark_flipped(desk: Desk) -> Iterable[Place]:
    flip(desk.mark, 30)
    flip(desk.mark, SLOT_BYTES + 30)
    return [Place(RECEIPT, 0, what="mark")]


def one_slot_of_the_mark_flipped(desk: Desk) -> Iterable[Place]:
    flip(desk.mark, 30)
    return [Place(RECEIPT, 0, what="mark")]


def mark_removed(desk: Desk) -> Iterable[Place]:
    desk.mark.unlink()
    return [Place(RECEIPT, 0, what="mark")]


# -- snapshots


def _same(part: Any) -> Any:
    return part


def _rewrite(
    path: Path,
    state: Callable[[bytes], bytes] = _same,
    header: Callable[[dict[str, Any]], None] = _same,
    models: Callable[[bytes], bytes] = _same,
) -> int:
    """Change a snapshot and make its checksums and its digest anew; return its sequence."""
    document = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    changed, projections = state(bytes(document["state"])), models(bytes(document["projections"]))
    found: dict[str, Any] = json.loads(bytes(document["header"]))
    found["state_sha256"] = sha256(changed).hexdigest()
    found["projections_sha256"] = sha256(projections).hexdigest()
    found["digest"] = image.load(changed).digest()
    sequence = int(found["sequence"])
    header(found)
    encoded = msgspec.json.encode(found)
    path.write_bytes(
        b'{"header":%b,"header_sha256":"%b","state":%b,"projections":%b}\n'
        % (encoded, sha256(encoded).hexdigest().encode(), changed, projections)
    )
    return sequence


def _richer(state: bytes) -> bytes:
    changed = re.sub(rb'"total":"\d+', lambda found: found[0] + b"9", state, count=1)
    assert changed != state
    return changed


def snapshot_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    flip(path, 3_000)
    return [Place(SNAPSHOT, desk.maker.sequence // 2, what=str(path))]


def snapshot_header_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    flip(path, 30)
    return [Place(SNAPSHOT, 0, what=str(path))]


def read_models_flipped(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    content = path.read_bytes()
    place = content.index(b'"price":"', content.index(b'"projections":')) + 9
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    return [Place(SNAPSHOT, desk.maker.sequence // 2, what=str(path))]


def _models(change: Callable[[dict[str, Any]], None]) -> Tamper:
    """Change the read models of the first snapshot, whose state stays as it is."""

    def tamper(desk: Desk) -> Iterable[Place]:
        def changed(models: bytes) -> bytes:
            found = json.loads(models)
            change(found)
            assert found != json.loads(models)
            return msgspec.json.encode(found)

        path = Snapshots(desk.data_dir).paths()[-1]
        return [Place(SNAPSHOT, _rewrite(path, models=changed), what=str(path))]

    return tamper


def _dropped_order(models: dict[str, Any]) -> None:
    gone = models["orders"].pop(1)["order_id"]
    del models["finished"][gone]


def snapshot_edited(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    return [Place(SNAPSHOT, _rewrite(path, _richer), what=str(path))]


def snapshot_edited_as_of_another_shape(desk: Desk) -> Iterable[Place]:
    path = Snapshots(desk.data_dir).paths()[-1]
    sequence = _rewrite(path, _richer, lambda header: header.update(shape="0" * 16))
    return [Place(SNAPSHOT, sequence, what=str(path))]


def _header_of(desk: Desk, **fields: Any) -> tuple[int, str]:
    path = Snapshots(desk.data_dir).paths()[-1]
    return _rewrite(path, header=lambda header: header.update(fields)), str(path)


def snapshot_head_edited(desk: Desk) -> Iterable[Place]:
    sequence, path = _header_of(desk, head="b" * 64)
    return [Place(SNAPSHOT, sequence, what=path)]


def snapshot_time_edited(desk: Desk) -> Iterable[Place]:
    # An answer as of a time would start from a later state.
    sequence, path = _header_of(desk, at=1)
    return [Place(SNAPSHOT, sequence, what=path)]


def snapshot_of_a_later_frame(desk: Desk) -> Iterable[Place]:
    _, path = _header_of(desk, sequence=10_000)
    return [Place(SNAPSHOT, 10_000, what=path)]


def snapshot_of_another_frame(desk: Desk) -> Iterable[Place]:
    _, path = _header_of(desk, sequence=7)
    return [Place(SNAPSHOT, 7, what=path)]


# -- code


def _wrong_fee(state: p.Partition, event: e.OrderFilled, at: int) -> None:
    p._order_filled(state, event, at)
    ledger = state.ledgers[event.exchange, event.account, event.market]
    ledger.balances["USDT"].total -= 1


def rule_changed(desk: Desk) -> Iterable[Place]:
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _wrong_fee)
    # The snapshots hold what was recorded, and so name the field with both values.
    half, end = desk.maker.sequence // 2, desk.maker.sequence
    return [Place(STATE, sequence), Place(STATE, half), Place(STATE, end)]


def rule_changed_without_checks(desk: Desk) -> Iterable[Place]:
    # Without an archive there are no checks: the seal behind is what tells.
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _wrong_fee)
    half, end = desk.maker.sequence // 2, desk.maker.sequence
    return [Place(STATE, around(desk, sequence)[1]), Place(STATE, half), Place(STATE, end)]


def _failing(state: p.Partition, event: e.OrderFilled, at: int) -> None:
    raise KeyError(event.order_id)


def rule_fails(desk: Desk) -> Iterable[Place]:
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _failing)
    return [Place(CODE, sequence)]


def decision_changed(desk: Desk) -> Iterable[Place]:
    check = place._check

    def stricter(*args: Any) -> Any:
        found = check(*args)
        if found[0] > 47:
            raise place.Refused(place.Code.QUANTITY_TOO_LARGE, "too much today")
        return found

    desk.monkeypatch.setattr(place, "_check", stricter)
    return [
        Place(DECISION, stored.sequence)
        for stored in desk.maker.stored
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, e.OrderPlaced) and event.quantity > 47
    ][:20]


def _nothing(desk: Desk) -> Iterable[Place]:
    return []


def newer_event(desk: Desk) -> Iterable[Place]:
    return [Place(CODE, 20), Place(SNAPSHOT, desk.maker.sequence // 2)][:1]


def _with_newer_event(frames: list[bytes]) -> list[bytes]:
    changed = [*frames]
    changed[19] = changed[19].replace(b'"OrderPlaced.1"', b'"OrderPlaced.9"', 1)
    assert changed != frames
    return [*frames[:19], *chained(changed, 20)]


def newer_engine(desk: Desk) -> Iterable[Place]:
    return [
        Place(CODE, stored.sequence)
        for stored in desk.maker.stored
        for commit in stored.frame.commits
        if any(isinstance(event, e.EngineStarted) and event.version == "99.0.0" for event in commit.events)
    ]


def _started_by_a_newer(maker: Maker, part: int) -> None:
    if part == 8:
        maker.ask("start._._._._", instance="e2", version="99.0.0", journal_id="mtest1", partition="0")


KINDS: dict[str, tuple[dict[str, Any], Tamper]] = {
    "nothing": (FULL, _nothing),
    "nothing, without archive": (BARE, _nothing),
    "nothing, over days": (DAYS, _nothing),
    # journal
    "price flipped": (FULL, price_flipped),
    "price flipped, archived": (FULL, price_flipped_archived),
    "frame flipped, the last archived": (FULL, price_flipped_at_the_archives_end),
    "price flipped, no archive": (BARE, price_flipped),
    "made unreadable": (FULL, made_unreadable),
    "whitespace put in": (FULL, whitespace_put_in),
    "chain field flipped": (FULL, chain_flipped),
    "chain field flipped, no archive": (BARE, chain_flipped),
    "last frame flipped": (FULL, last_frame_flipped),
    "frame cut out": (FULL, frame_cut_out),
    "frame deleted": (FULL, frame_deleted),
    "frame deleted, no archive": (BARE, frame_deleted),
    "archived frame deleted": (FULL, archived_frame_deleted),
    "last frames deleted": (FULL, last_frames_deleted),
    "journal cut": (FULL, journal_cut),
    "journal cut, no archive": (BARE, journal_cut),
    "journal cut behind the archive": (FULL, journal_cut_behind_the_archive),
    "frames swapped": (FULL, frames_swapped),
    "archived frames swapped": (FULL, archived_frames_swapped),
    "frame doubled, chained": (FULL, frame_doubled),
    "frame put in, chained": (FULL, frame_put_in),
    "event edited, chained": (FULL, event_edited_and_chained),
    "event edited, chained, no archive": (BARE, event_edited_and_chained),
    "archived event edited, chained": (FULL, archived_event_edited_and_chained),
    "all decided again": (BARE, another_decided),
    "commit moved": (FULL, commit_moved),
    "commit moved, chained": (FULL, commit_moved_and_chained),
    "clock set back, chained": (FULL, clock_set_back),
    "journal replaced": (FULL, journal_replaced),
    "journal replaced, no archive": (BARE, journal_replaced_without_archive),
    "journal forked": (FULL, journal_forked),
    # archive
    "segment flipped": (FULL, segment_flipped),
    "manifest flipped": (FULL, manifest_flipped),
    "open file flipped": (FULL, open_flipped),
    "day missing": (DAYS, day_missing),
    "first day missing": (DAYS, first_day_missing),
    "day missing, journal trimmed": (DAYS, day_missing_and_trimmed),
    "manifest missing": (DAYS, manifest_missing),
    "segments swapped": (DAYS, segments_swapped),
    "segment edited with its manifest": (FULL, segment_edited),
    "archive written anew": (FULL, archive_written_anew),
    "checks edited": (FULL, checks_edited),
    "checks cut": (FULL, checks_cut),
    # receipts and mark
    "receipt forged": (FULL, receipt_forged),
    "receipt edited": (FULL, receipt_edited),
    "receipts of an unknown key": (FULL, receipts_of_an_unknown_key),
    "receipts of a key put there": (FULL, receipts_of_a_key_put_there),
    "public key swapped": (FULL, public_key_swapped),
    "receipt removed": (FULL, receipt_removed),
    "receipts cut": (FULL, receipts_cut),
    "receipts removed": (FULL, receipts_removed),
    "receipts and mark removed": (FULL, receipts_and_mark_removed),
    "receipt for another seal": (FULL, receipts_for_another_seal),
    "mark set back": (FULL, mark_set_back),
    "mark set ahead": (FULL, mark_set_ahead),
    "mark forged": (FULL, mark_forged),
    "mark flipped": (FULL, mark_flipped),
    "one slot of the mark flipped": (FULL, one_slot_of_the_mark_flipped),
    "mark removed": (FULL, mark_removed),
    # snapshots
    "snapshot flipped": (FULL, snapshot_flipped),
    "read models flipped": (FULL, read_models_flipped),
    "snapshot's header flipped": (FULL, snapshot_header_flipped),
    "snapshot edited": (FULL, snapshot_edited),
    "trade edited": (FULL, _models(lambda models: models["trades"][3].update(realised="7"))),
    "trade dropped": (FULL, _models(lambda models: models["trades"].pop(2))),
    "finished order edited": (FULL, _models(lambda models: models["orders"][0].update(strategy="x"))),
    "finished order dropped": (FULL, _models(_dropped_order)),
    "book edited": (FULL, _models(lambda models: models["books"][0][1].update(realised="7"))),
    "day edited": (FULL, _models(lambda models: next(iter(models["days"].values())).pop())),
    "snapshot edited, of another shape": (FULL, snapshot_edited_as_of_another_shape),
    "snapshot's head edited": (FULL, snapshot_head_edited),
    "snapshot's time edited": (FULL, snapshot_time_edited),
    "snapshot of a later frame": (FULL, snapshot_of_a_later_frame),
    "snapshot of another frame": (FULL, snapshot_of_another_frame),
    # code
    "newer event": ({"archived": SHARE, "change": _with_newer_event, "snapshots": 0}, newer_event),
    "newer event, no archive": ({"archived": 0, "change": _with_newer_event, "snapshots": 0}, newer_event),
    "newer engine": ({"archived": SHARE, "during": _started_by_a_newer}, newer_engine),
    "rule changed": (FULL, rule_changed),
    "rule changed, no archive": (BARE, rule_changed_without_checks),
    "rule fails": (FULL, rule_fails),
    "decision changed": (FULL, decision_changed),
}
"""What is done, to which record. Each says where it must be found; nothing else may be."""


# -- the tests


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Record]:
    """Each record is made once."""
    made: dict[str, Record] = {}

    def get(options: dict[str, Any]) -> Record:
        name = str(sorted(options.items(), key=str))
        if name not in made:
            made[name] = make_record(tmp_path_factory.mktemp("record"), **options)
        return made[name]

    return get


@pytest.fixture
async def journal(nats_server_shared: EmbeddedNats) -> AsyncIterator[Client]:
    """A server without a journal."""
    client = await _empty(nats_server_shared.url)
    yield client
    await client.close()


async def _empty(url: str) -> Client:
    client = await nats.connect(url)
    with contextlib.suppress(NotFoundError):
        await client.jetstream().delete_stream(STREAM)
    return client


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    templates: Callable[[dict[str, Any]], Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """The record that a kind of tampering wants, in a directory of its own."""
    template = templates(KINDS[request.param][0])
    data_dir = tmp_path / "data"
    shutil.copytree(template.data_dir, data_dir)
    record = Record(template.maker, data_dir, template.key)
    return Desk(record, data_dir, list(template.maker.payloads), monkeypatch)


async def put(nc: Client, desk: Desk) -> None:
    """Write the journal as it is to be found."""
    js = nc.jetstream()
    if desk.gone:
        # Ours denies deletion; who has the server's files is not asked.
        await js.add_stream(name=STREAM, subjects=[SUBJECT])
        for payload in desk.frames:
            await js.publish(SUBJECT, payload)
    else:
        await write(nc, desk.frames)
    for sequence in desk.gone:
        await js.delete_msg(STREAM, sequence)
    if desk.trim:
        await js.purge_stream(STREAM, seq=desk.trim)


@pytest.mark.parametrize("name, desk", [(name, name) for name in KINDS], indirect=["desk"], ids=[*KINDS])
async def test_it_is_found_and_told_where(name: str, desk: Desk, journal: Client) -> None:
    """Every kind is found with the right kind of finding at the right frame or file, and nothing else is."""
    places = list(KINDS[name][1](desk))
    await put(journal, desk)
    report = await desk.record.verify(journal)
    missed = [place for place in places if not any(place.is_of(found) for found in report.findings)]
    assert not missed, (missed, report.findings)
    more = [found for found in report.findings if not any(place.is_of(found) for place in places)]
    assert not more, more
    kinds = {place.kind for place in places}
    assert report.whole == (kinds <= {CODE, STATE, DECISION})


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 11, "orders": 30, "frame": 3},
        {"seed": 12, "orders": 90, "frame": 30, "archived": 1.0},
        {"seed": 13, "orders": 60, "frame": 1, "archived": 0.4, "snapshots": 5},
        {"seed": 14, "orders": 200, "frame": 20, "archived": 0.97, "step": DAY_STEP},
        {"seed": 15, "orders": 10, "archived": 0, "snapshots": 0},
    ],
    ids=str,
)
async def test_a_record_that_nobody_touched_has_no_finding(
    options: dict[str, Any], journal: Client, tmp_path: Path
) -> None:
    """Whatever its size, and whatever was trimmed behind the archive: no false alarm."""
    record = make_record(tmp_path, **options)
    await write(journal, record.maker.payloads)
    held = Archive(tmp_path).bounds()[1]
    for trimmed in sorted({0, held // 2, held}):
        if trimmed:
            await journal.jetstream().purge_stream(STREAM, seq=trimmed + 1)
        report = await record.verify(journal)
        assert not report.findings, report.findings
        assert report.last == report.frames == record.maker.sequence
        assert report.digest == record.maker.state.digest()
        assert report.compared == held - trimmed
        assert report.receipts == report.seals == len(sealings_of(record.maker.stored))


async def test_a_system_that_runs_has_no_finding(
    journal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames, receipts, mark and snapshots that came after verification began are no loss and no forgery."""
    record = make_record(tmp_path)
    early, late = record.maker.payloads[:18], record.maker.payloads[18:]
    await write(journal, early)
    given = Source.given

    async def growing(source: Source) -> tuple[int, int, int]:
        found = await given(source)
        await write(journal, late)
        late.clear()
        return found

    monkeypatch.setattr(Source, "given", growing)
    report = await record.verify(journal)
    assert not report.findings, report.findings
    assert report.last == 18


def command(url: str, desk: Desk, *options: str) -> Result:
    """Verify as a person does, and as a script does."""
    return CliRunner().invoke(
        replay, ["verify", "--nats", url, "--data-dir", str(desk.data_dir), *options], terminal_width=200
    )


@pytest.mark.parametrize(
    "name, desk, code, told",
    [
        ("nothing", "nothing", 0, "All holds."),
        ("event edited, chained", "event edited, chained", 6, "DECISION frame 19, commit "),
        ("checks edited", "checks edited", 6, "ARCHIVE frame 7, commit "),
        ("journal cut", "journal cut", 6, "LOST frames 22 to 24: "),
        ("receipt forged", "receipt forged", 6, "RECEIPT frame 11: "),
        ("rule changed", "rule changed", 1, "The record is whole, but this code does not come to it."),
        ("decision changed", "decision changed", 1, "quantity"),
        ("newer event", "newer event", 1, "OrderPlaced.9"),
    ],
    indirect=["desk"],
)
def test_the_command_ends_as_scripts_expect(
    name: str, desk: Desk, code: int, told: str, nats_server_shared: EmbeddedNats
) -> None:
    """Exit code 0, 1 or 6; a report for people that names the place, and one for machines that says the same."""
    places = list(KINDS[name][1](desk))

    async def fill() -> None:
        client = await _empty(nats_server_shared.url)
        await put(client, desk)
        await client.close()

    asyncio.run(fill())
    url = nats_server_shared.url
    shown, machine = command(url, desk), command(url, desk, "--json")
    assert shown.exit_code == machine.exit_code == code, (shown.output, machine.output)
    assert told in shown.stdout
    assert "Traceback" not in shown.output
    document = msgspec.json.decode(machine.stdout)
    assert (document["ok"], document["whole"]) == (code == 0, code < 6)
    found = [(each["kind"], each["sequence"]) for each in document["findings"]]
    assert set(found) == {(place.kind, place.sequence) for place in places}
