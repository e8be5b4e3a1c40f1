"""An archive that was changed is never read as if it were whole: what is wrong is found, and named by file and frame."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from oms.encryption import EncryptionError, Keys
from oms.messages.frames import encode_frame
from replay.archive import Archive, ArchiveBroken, ArchiveWriter, Manifest, verify_segment
from replay.archive.openfile import encode_entry
from replay.archive.record import encode_record
from tests.replay.archiving import DAY_NS, MONDAY, append, chain, commit, files

KEYS = Keys("k1", {"k1": b"1" * 32})
FRAMES = chain([MONDAY + day * DAY_NS + n for day in range(4) for n in (0, 2, 4)])
"""Frames 1 to 3, 4 to 6, 7 to 9 in sealed segments and 10 to 12 in the open file."""
DAYS = ["2026/09/21", "2026/09/22", "2026/09/23", "2026/09/24"]
SEALED = ["000000000001-000000000003", "000000000004-000000000006", "000000000007-000000000009"]
OPEN = "2026/09/24/000000000010.open"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """An archive of four days, plain and encrypted."""
    made = {}
    for encrypted in (False, True):
        made[encrypted] = tmp_path_factory.mktemp("whole")
        with ArchiveWriter(made[encrypted], KEYS if encrypted else None) as written:
            append(written, FRAMES)
        assert len(files(made[encrypted])) == 7
    return made


def check(data_dir: Path) -> None:
    """Read all there is, as a verification would: names, manifests, every segment and every frame."""
    archive = Archive(data_dir, KEYS)
    for segment in archive.segments():
        if segment.manifest is not None:
            verify_segment(segment.path, KEYS)
    assert list(archive.read(1, 12)) == [made.frame for made in FRAMES]


def part(root: Path, number: int, suffix: str = ".zst") -> Path:
    """A file of a sealed segment."""
    return root / DAYS[number] / (SEALED[number] + suffix)


def test_whole_one_passes(whole: dict[bool, Path]) -> None:
    """What was not changed is not found fault with."""
    for data_dir in whole.values():
        check(data_dir)


@given(data=st.data())
@settings(max_examples=400)
def test_any_flipped_bit_is_found_and_located(whole: dict[bool, Path], data: st.DataObject) -> None:
    """One bit of any byte of any file: the file is named, and a frame that is in it or at its edge."""
    data_dir = whole[data.draw(st.booleans())]
    name = data.draw(st.sampled_from(files(data_dir)))
    path = data_dir / "archive" / name
    good = path.read_bytes()
    place, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(good)
    flipped[place] ^= 1 << bit
    path.write_bytes(flipped)
    try:
        with pytest.raises((ArchiveBroken, EncryptionError)) as error:
            check(data_dir)
    finally:
        path.write_bytes(good)
    if isinstance(error.value, ArchiveBroken):
        # Two neighbours that contradict each other are both named.
        assert path.stem in str(error.value)
        first = int(path.stem[:12])
        assert first - 3 <= error.value.sequence <= first + 3


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_every_bit_of_the_open_file(whole: dict[bool, Path], tmp_path: Path, encrypted: bool) -> None:
    """No flipped bit of the open file passes for a torn tail, and the record it is in is the one that is named."""
    data_dir = whole[encrypted]
    shutil.copytree(data_dir, tmp_path / "copy")
    path = tmp_path / "copy/archive" / OPEN
    good = path.read_bytes()
    archive = Archive(tmp_path / "copy", KEYS)
    ends, end = [], 0
    while end < len(good):
        end += 16 + int.from_bytes(good[end + 8 : end + 12], "big") + 4
        ends.append(end)
    assert len(ends) == 4
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.raises(ArchiveBroken) as error:
            archive.bounds()
        entry = next(n for n, end in enumerate(ends) if place < end)
        assert (error.value.path, error.value.sequence) == (path, 10 if entry == 0 else 9 + entry)


def _edit_manifest(path: Path, **fields: object) -> None:
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **fields)) + b"\n")


def _swap(one: Path, other: Path) -> None:
    temporary = one.with_name("swap")
    one.rename(temporary)
    other.rename(one)
    temporary.rename(other)


def _swap_segments(root: Path) -> None:
    for suffix in (".zst", ".json"):
        _swap(part(root, 0, suffix), part(root, 1, suffix))


def _without_segment(root: Path) -> None:
    part(root, 1).unlink()
    part(root, 1, ".json").unlink()


def _rehashed(root: Path) -> None:
    """A segment made anew with another frame in it, its manifest matching it and the chain of manifests mended."""
    times = [made.at for made in FRAMES[3:6]]
    forged = chain(times, first=4, prev=msgspec.json.decode(FRAMES[3].payload)["prev"], size=64)
    other = root.parent / "forged"
    with ArchiveWriter(other) as written:
        append(written, forged)
        written.seal()
    (made,) = Archive(other).segments()
    shutil.copy(made.path, part(root, 1))
    shutil.copy(made.path.with_suffix(".json"), part(root, 1, ".json"))
    _edit_manifest(part(root, 1, ".json"), previous=verify_segment(part(root, 0), None).manifest_sha256)
    after = verify_segment(part(root, 1), None).manifest_sha256
    _edit_manifest(part(root, 2, ".json"), previous=after)


def _append_forged_record(root: Path) -> None:
    """A record more in the open file, checksums and all, of a frame that does not follow."""
    payload = encode_frame(13, "d" * 64, [commit(MONDAY + 3 * DAY_NS + 9, "")])
    record = len(payload).to_bytes(4, "big") + payload + bytes(4)
    with (root / OPEN).open("ab") as file:
        file.write(encode_entry(13, record))


def _double_record(root: Path) -> None:
    data = (root / OPEN).read_bytes()
    size = 16 + int.from_bytes(data[8:12], "big") + 4
    second = size + 16 + int.from_bytes(data[size + 8 : size + 12], "big") + 4
    (root / OPEN).write_bytes(data[:second] + data[size:])


TAMPERED: dict[str, tuple[Callable[[Path], object], str, int, str]] = {
    "segment missing": (
        _without_segment,
        f"{DAYS[2]}/{SEALED[2]}.json",
        4,
        "frames 4 to 6 are missing",
    ),
    "day missing": (
        lambda root: shutil.rmtree(root / DAYS[1]),
        f"{DAYS[2]}/{SEALED[2]}.json",
        4,
        "frames 4 to 6 are missing",
    ),
    "last sealed day missing": (
        lambda root: shutil.rmtree(root / DAYS[2]),
        OPEN,
        7,
        "frames 7 to 9 are missing",
    ),
    "first day missing": (lambda root: shutil.rmtree(root / DAYS[0]), "", 1, "the archive holds 4 to 12"),
    "last day missing": (lambda root: shutil.rmtree(root / DAYS[3]), "", 10, "the archive holds 1 to 9"),
    "zst missing": (
        lambda root: part(root, 1).unlink(),
        f"{DAYS[1]}/{SEALED[1]}.zst",
        4,
        "is missing: frames 4 to 6",
    ),
    "manifest missing": (
        lambda root: part(root, 1, ".json").unlink(),
        f"{DAYS[1]}/{SEALED[1]}.json",
        4,
        "has no .json file",
    ),
    "zst swapped": (
        lambda root: _swap(part(root, 0), part(root, 1)),
        f"{DAYS[0]}/{SEALED[0]}.zst",
        1,
        "its manifest says",
    ),
    "segments swapped": (
        _swap_segments,
        f"{DAYS[0]}/{SEALED[0]}.json",
        1,
        "says that it is of frames 4 to 6",
    ),
    "days swapped": (
        lambda root: _swap(root / DAYS[0], root / DAYS[1]),
        f"{DAYS[1]}/{SEALED[0]}.json",
        1,
        "lies in 2026/09/22, but is of 2026/09/21",
    ),
    "zst truncated": (
        lambda root: os.truncate(part(root, 2), 100),
        f"{DAYS[2]}/{SEALED[2]}.zst",
        7,
        "is 100 bytes, its manifest says",
    ),
    "manifest truncated": (
        lambda root: os.truncate(part(root, 2, ".json"), 100),
        f"{DAYS[2]}/{SEALED[2]}.json",
        7,
        "cannot be decoded",
    ),
    "manifest edited": (
        lambda root: _edit_manifest(part(root, 1, ".json"), commits=7),
        f"{DAYS[1]}/{SEALED[1]}.json",
        4,
        "was changed",
    ),
    "last manifest edited": (
        lambda root: _edit_manifest(part(root, 2, ".json"), events=7),
        f"{DAYS[2]}/{SEALED[2]}.json",
        7,
        "events is 7, the frames say 12",
    ),
    "last manifest's chain edited": (
        lambda root: _edit_manifest(part(root, 2, ".json"), previous="e" * 64),
        f"{DAYS[1]}/{SEALED[1]}.json",
        4,
        "was changed",
    ),
    "manifest of another form": (
        lambda root: part(root, 2, ".json").write_bytes(
            part(root, 2, ".json").read_bytes().replace(b",", b", ")
        ),
        f"{DAYS[2]}/{SEALED[2]}.json",
        7,
        "it was edited",
    ),
    "forged segment, all re-hashed": (
        _rehashed,
        f"{DAYS[2]}/{SEALED[2]}.json",
        7,
        "says that frame 7 follows",
    ),
    "overlap": (
        lambda root: (
            shutil.copytree(root / DAYS[3], root / "2026/09/25")
            and (root / OPEN).rename(root / DAYS[3] / "000000000008.open")
        ),
        f"{DAYS[3]}/000000000008.open",
        8,
        "the header says that it begins at 10",
    ),
    "copied open file": (
        lambda root: shutil.copytree(root / DAYS[3], root / "2026/09/25"),
        "2026/09/25/000000000010.open",
        10,
        "overlaps",
    ),
    "record twice": (_double_record, OPEN, 11, "expected frame 11, found 10"),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampering_is_found_and_located(whole: dict[bool, Path], tmp_path: Path, kind: str) -> None:
    """Each kind of change is refused with the file, the first frame touched, and what is wrong; the writer refuses it too."""
    tamper, name, sequence, message = TAMPERED[kind]
    shutil.copytree(whole[False], tmp_path / "data")
    tamper(tmp_path / "data/archive")
    with pytest.raises(ArchiveBroken, match=message) as error:
        check(tmp_path / "data")
    assert (error.value.path, error.value.sequence) == (tmp_path / "data/archive" / name, sequence)


def test_forged_record_is_found_by_the_chain(whole: dict[bool, Path], tmp_path: Path) -> None:
    """Checksums can be forged, the chain cannot: a record more is refused when the file is taken up or sealed."""
    shutil.copytree(whole[False], tmp_path / "data")
    _append_forged_record(tmp_path / "data/archive")
    with pytest.raises(ArchiveBroken, match="the frame follows dddd") as error:
        ArchiveWriter(tmp_path / "data")
    assert error.value.sequence == 13


def test_header_that_was_written_anew_is_found(whole: dict[bool, Path], tmp_path: Path) -> None:
    """An open file's header with right checksums but another salt, another start or another past is refused."""
    shutil.copytree(whole[True], tmp_path / "data")
    path = tmp_path / "data/archive" / OPEN
    good = path.read_bytes()
    size = int.from_bytes(good[8:12], "big")
    header = msgspec.json.decode(good[16 : 16 + size])
    for change, message in (
        ({"format": 2}, "format must be 1, was 2"),
        ({"first": 9}, "the header says that it begins at 9"),
        ({"prev": "f" * 64}, "says that frame 10 follows ffff"),
        ({"more": 1}, "header: "),
        ({"encryption": {"key_id": "k1", "salt": "no hex"}}, "the salt in the header must be hex"),
        ({"encryption": {"key_id": "k1", "salt": "00" * 32}}, "record 10 does not decrypt"),
        ({"encryption": None}, "record"),
    ):
        path.write_bytes(encode_entry(0, msgspec.json.encode(header | change)) + good[16 + size + 4 :])
        with pytest.raises(ArchiveBroken, match=message) as error:
            check(tmp_path / "data")
        assert (error.value.path, error.value.sequence) == (path, 10)


def test_decompression_is_bounded(whole: dict[bool, Path], tmp_path: Path) -> None:
    """A segment that would unpack to more than its manifest says is refused when it does, not when memory is full."""
    shutil.copytree(whole[False], tmp_path / "data")
    path = part(tmp_path / "data/archive", 0)
    records = b"".join(encode_record(made.payload, made.checks) for made in FRAMES[:3])
    for bomb, message in (
        ((2**31).to_bytes(4, "big") + bytes(100 * 2**20), "a part of the record is 2,147,483,648 bytes"),
        (records + bytes(100 * 2**20), "holds more than its manifest says"),
    ):
        path.write_bytes(zstandard.compress(bomb))
        data = path.read_bytes()
        _edit_manifest(path.with_suffix(".json"), sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        with pytest.raises(ArchiveBroken, match=message):
            verify_segment(path, None)
