"""What is done to the archive. Each function does one thing and says where it must be found."""

import shutil
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from oms.journal.reader import check_frame
from oms.messages.frames import GENESIS
from replay.archive.layout import root_of
from replay.archive.manifest import Manifest
from replay.checks import WIDTH
from tests.replay.record import (
    write_archive,
)
from tests.replay.tamper.desk import (
    ARCHIVE,
    DECISION,
    DIFFERS,
    JOURNAL,
    RECEIPT,
    SNAPSHOT,
    STATE,
    Desk,
    Place,
    Tamper,
    around,
    chained,
    flip,
    of_filled,
    repriced,
)


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


def manifest_edited(field: str) -> Tamper:
    """Give one field of the last manifest, which no other one follows, another value.

    Where it no longer fits its neighbour, either may be the one that was changed: the neighbour is named.
    """

    def tamper(desk: Desk) -> Iterable[Place]:
        path = _sealed(desk)[-1].with_suffix(".json")
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        value = getattr(manifest, field)
        other = value + 1 if isinstance(value, int) else "c" * 64
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **{field: other})) + b"\n")
        if field == "head":
            return [Place(ARCHIVE, manifest.last + 1, what=f"{manifest.last + 1:012d}")]
        if field == "previous":
            before = _sealed(desk)[-2].stem
            return [Place(ARCHIVE, int(before[:12]), what=before)]
        return [Place(ARCHIVE, manifest.last + 1 if field == "raw_bytes" else manifest.first, what=path.stem)]

    return tamper


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


def checks_of_a_commit_dropped(desk: Desk) -> Iterable[Place]:
    # Fewer than 128 entities a commit: their number is one byte.
    _archive_again(
        desk,
        desk.frames[: desk.archived],
        checks=lambda sequence, found: found[1 + found[0] * WIDTH :] if sequence == 7 else found,
    )
    return [Place(ARCHIVE, 7)]
