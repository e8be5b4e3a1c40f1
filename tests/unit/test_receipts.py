"""Receipts: signed, chained over files, found damaged wherever they are; a torn last line is nobody's receipt."""

import datetime
import logging
import os
import shutil
from pathlib import Path

import pytest

from oms.journal import receipts as receipts_module
from oms.journal.receipts import (
    Receipt,
    ReceiptDamaged,
    Receipts,
    ReceiptsFailed,
    Sealing,
    check_receipts,
    line_digest,
    receipt_files,
    signed_bytes,
)
from oms.journal.signing import KeyRefused, SigningKey, known_keys, verified
from oms.messages.frames import GENESIS

NOVEMBER = int(datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC).timestamp()) * 10**9
DAY = 86_400 * 10**9


def sealing(sequence: int, at: int = NOVEMBER) -> Sealing:
    return Sealing(
        sequence=sequence, head=f"{sequence:064x}", digest=f"{sequence + 1:064x}", commit=1, at=at + sequence
    )


def opened(data_dir: Path) -> Receipts:
    (data_dir / "receipts").mkdir(exist_ok=True)
    receipts = Receipts(data_dir, SigningKey.of(data_dir), "0.1.0", "c0de")
    receipts.open()
    return receipts


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with 20 receipts, in several files of two months."""
    monkeypatch.setattr(receipts_module, "FILE_BYTES_MAX", 2_500)
    receipts = opened(tmp_path)
    receipts.append([sealing(s) for s in range(1, 4)])
    for sequence in range(4, 21):
        receipts.append([sealing(sequence, NOVEMBER + (15 * DAY if sequence > 12 else 0))])
    receipts.close()
    return tmp_path


def test_receipts_are_read_as_written(written: Path) -> None:
    """Every receipt comes back in order, signed by the key, chained line by line over months and files."""
    found = list(check_receipts(written))
    assert [r.sequence for r in found] == list(range(1, 21))
    assert found[4].head == sealing(5).head
    assert found[4].digest == sealing(5).digest
    names = [path.name for path in receipt_files(written)]
    assert names[0] == "receipts-2026-11.0001.jsonl"
    assert names[-1].startswith("receipts-2026-12.0")
    assert len(names) == 5
    assert all(path.stat().st_size <= 2_500 for path in receipt_files(written))
    prev, key = GENESIS, SigningKey.of(written)
    for line in b"".join(path.read_bytes() for path in receipt_files(written)).splitlines():
        assert f'"prev":"{prev}"'.encode() in line
        signature = line[-130:-2].decode()
        assert verified(key.public_key, signed_bytes(line), signature)
        prev = line_digest(line)


def test_a_later_writer_goes_on_with_the_chain(written: Path) -> None:
    """Receipts of the next start follow those before; a clock set back makes no file before the last."""
    receipts = opened(written)
    assert receipts.last is not None
    assert receipts.last.sequence == 20
    receipts.append([sealing(21, NOVEMBER)])
    receipts.append([sealing(22)])
    receipts.close()
    assert [r.sequence for r in check_receipts(written)] == list(range(1, 23))


def test_a_torn_last_line_is_no_receipt_and_is_cut(written: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever the last line was cut short by a crash, the receipts before stand, and the next ones follow them."""
    whole = written.with_name("whole")
    shutil.copytree(written, whole)
    last = receipt_files(written)[-1].name
    content = (whole / "receipts" / last).read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    for end in (start + 1, start + 40, len(content) - 140, len(content) - 1):
        (written / "receipts" / last).write_bytes(content[:end])
        assert [r.sequence for r in check_receipts(written)] == list(range(1, 20))
        receipts = opened(written)
        assert (written / "receipts" / last).stat().st_size == end, "opening changes nothing"
        with caplog.at_level(logging.WARNING):
            receipts.append([sealing(20, NOVEMBER + 15 * DAY)])
        assert f"{end - start} bytes are cut off" in caplog.text
        receipts.close()
        assert (written / "receipts" / last).read_bytes() == content
        caplog.clear()


def test_a_file_that_holds_a_torn_line_alone_is_gone_on_with(written: Path) -> None:
    """A crash in the first line of a file leaves a file without receipts; nothing is lost by it."""
    last = receipt_files(written)[-1]
    month, number = last.name.split(".")[:2]
    (last.parent / f"{month}.{int(number) + 1:04d}.jsonl").write_bytes(b'{"sequence":21,"he')
    receipts = opened(written)
    assert receipts.last is not None
    assert receipts.last.sequence == 20
    receipts.append([sealing(21, NOVEMBER + 15 * DAY)])
    receipts.close()
    assert [r.sequence for r in check_receipts(written)] == list(range(1, 22))


def test_every_flipped_bit_is_found_and_named(written: Path) -> None:
    """A bit flipped anywhere is found: in a line before the last it is named, in the end of the last line it is a torn line."""
    for path in receipt_files(written):
        good = path.read_bytes()
        lines = good.splitlines(keepends=True)
        for at in range(0, len(good), 7):
            damaged = bytearray(good)
            damaged[at] ^= 1 << (at % 7)
            path.write_bytes(damaged)
            is_end = at == len(good) - 1 and path == receipt_files(written)[-1]
            if is_end:
                assert len(list(check_receipts(written))) == 19
                continue
            with pytest.raises(ReceiptDamaged) as found:
                list(check_receipts(written))
            line = good[: at + 1].count(b"\n") + (good[at : at + 1] != b"\n")
            assert found.value.path.parent == path.parent
            if found.value.path == path:
                assert found.value.line in (line, line + 1)
            else:
                assert line == len(lines), "only a flipped line end can show at the next file"
        path.write_bytes(good)


@pytest.mark.parametrize("what", ["deleted", "swapped", "doubled", "edited", "file"])
def test_tampering_is_found(written: Path, what: str) -> None:
    """Lines deleted, swapped, doubled or edited, and a file removed, break the chain and are named."""
    files = receipt_files(written)
    path = files[1]
    lines = path.read_bytes().splitlines(keepends=True)
    if what == "deleted":
        del lines[1]
    elif what == "swapped":
        lines[1], lines[2] = lines[2], lines[1]
    elif what == "doubled":
        lines.insert(1, lines[1])
    elif what == "edited":
        lines[1] = lines[1].replace(b'"version":"0.1.0"', b'"version":"0.1.1"')
    path.write_bytes(b"".join(lines))
    if what == "file":
        path.unlink()
    with pytest.raises(ReceiptDamaged) as found:
        list(check_receipts(written))
    assert found.value.path == (files[2] if what == "file" else path)


def test_a_forged_last_receipt_is_refused(written: Path) -> None:
    """A last receipt that is not signed with the key, though it follows the chain, is refused by reader and writer."""
    path = receipt_files(written)[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(sealing(20).head.encode(), sealing(99).head.encode())
    path.write_bytes(b"".join(lines))
    with pytest.raises(ReceiptDamaged, match="signature"):
        list(check_receipts(written))
    with pytest.raises(ReceiptDamaged, match="signature"):
        opened(written)


def test_a_key_that_is_not_declared_is_refused(written: Path) -> None:
    """Receipts must be signed by the keys that the journal declares."""
    with pytest.raises(ReceiptDamaged, match="not known"):
        list(check_receipts(written, {}))
    key = SigningKey.of(written)
    assert len(list(check_receipts(written, {key.key_id: key.public_key}))) == 20


def test_old_receipts_are_checked_after_a_key_was_replaced(written: Path) -> None:
    """A key moved away is followed by a new one; what the old one signed stays provable."""
    old = SigningKey.of(written)
    (written / "keys" / "receipts.ed25519").unlink()
    receipts = opened(written)
    receipts.append([sealing(21, NOVEMBER + 15 * DAY)])
    receipts.close()
    found = list(check_receipts(written))
    assert found[-2].key_id == old.key_id
    assert found[-1].key_id == SigningKey.of(written).key_id != old.key_id
    assert known_keys(written).keys() == {old.key_id, found[-1].key_id}


def test_receipts_behind_a_sequence_are_moved_away(written: Path) -> None:
    """What is beyond an accepted loss stands in a file of its own, byte for byte; the chain goes on before it."""
    everything = b"".join(path.read_bytes() for path in receipt_files(written))
    receipts = opened(written)
    into = written / "receipts" / "lost-1.jsonl"
    receipts.cut_after(9, into)
    kept = b"".join(path.read_bytes() for path in receipt_files(written))
    assert kept + into.read_bytes() == everything
    receipts.open()
    assert receipts.last is not None
    assert receipts.last.sequence == 9
    receipts.append([sealing(10)])
    receipts.close()
    assert [r.sequence for r in check_receipts(written)] == list(range(1, 11))
    receipts.cut_after(10, written / "receipts" / "lost-2.jsonl")
    assert not (written / "receipts" / "lost-2.jsonl").exists()
    receipts.cut_after(0, written / "receipts" / "lost-3.jsonl")
    assert receipt_files(written) == []


def test_a_damaged_line_is_moved_away_with_all_behind_it(written: Path) -> None:
    """Accepting damage keeps what is good before it."""
    path = receipt_files(written)[2]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"{}\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(ReceiptDamaged) as found:
        list(check_receipts(written))
    receipts = opened(written)
    receipts.cut_after(found.value.sequence, written / "receipts" / "lost-1.jsonl")
    assert [r.sequence for r in check_receipts(written)] == list(range(1, found.value.sequence + 1))


def test_a_disk_that_takes_no_receipt_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receipt that cannot be made durable is never passed over."""
    receipts = opened(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReceiptsFailed, match="No space left"):
        receipts.append([sealing(1)])
    receipts.close()


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """The key of a directory stays; a file that others may read, or that is no key, is refused."""
    key = SigningKey.of(tmp_path)
    path = tmp_path / "keys" / "receipts.ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.of(tmp_path).key_id == key.key_id
    assert known_keys(tmp_path) == {key.key_id: key.public_key}
    path.chmod(0o640)
    with pytest.raises(KeyRefused, match="chmod 600"):
        SigningKey.of(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"nothing of a key")
    with pytest.raises(KeyRefused, match="no private key"):
        SigningKey.of(tmp_path)
    (tmp_path / "keys" / f"receipts-{key.key_id}.pub").write_text("00" * 32)
    with pytest.raises(KeyRefused, match="named after"):
        known_keys(tmp_path)


def test_the_members_of_a_receipt_are_as_documented() -> None:
    """The line's members and their order are the interface of outside verifiers."""
    assert Receipt.__struct_fields__ == (
        "sequence", "head", "digest", "commit", "version", "code", "at", "key_id", "prev", "signature",
    )  # fmt: skip
