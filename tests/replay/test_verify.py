"""Verification: a whole record holds in every part, and code that changed is found at the very commit."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from oms.aggregates import partition as p
from oms.handlers import place
from oms.messages import events as e
from replay.archive import Archive, ArchiveWriter
from replay.snapshot import Snapshots
from replay.verify import Finding
from tests.replay.record import Record, make_record, sealings_of, store, write_mark
from tests.replay.test_rebuild import make_older


@pytest.fixture
async def record(nc: Client, tmp_path: Path) -> Record:
    """A record of about twenty frames, in order."""
    found = make_record(tmp_path)
    await store(nc, found)
    return found


async def test_a_whole_record_holds(nc: Client, record: Record) -> None:
    """Every proof is made, and none fails."""
    report = await record.verify(nc)
    assert not report.findings, report.findings
    frames = len(record.maker.payloads)
    assert (report.frames, report.last, report.head) == (frames, frames, record.maker.head)
    assert report.digest == record.maker.state.digest()
    assert report.archived == report.compared == int(frames * 0.7)
    assert report.seals == report.receipts >= 5
    assert report.snapshots == 2
    assert report.segments >= 1
    assert report.decided == report.commits
    assert 0 < report.checks < report.commits


async def test_it_holds_offline_up_to_the_archives_end(record: Record) -> None:
    """Without the journal, what is behind the archive's end is missing: receipts and snapshots say so."""
    report = await record.verify(None)
    assert {found.kind for found in report.findings} == {Finding.LOST, Finding.SNAPSHOT}
    assert report.last == int(len(record.maker.payloads) * 0.7)


async def test_it_holds_offline_beside_a_running_system(tmp_path: Path) -> None:
    """The archive is waited for, up to the mark; frames, mark and receipts that came later are no loss."""
    record = make_record(tmp_path, snapshots=0)
    stored, held = record.maker.stored, Archive(tmp_path).bounds()[1]
    durable = held + 2
    sealed = max(sealing.sequence for sealing in sealings_of(stored) if sealing.sequence <= durable)
    write_mark(tmp_path, durable, stored[durable - 1].digest, sealed)

    async def go_on() -> None:
        write_mark(tmp_path, len(stored), stored[-1].digest, sealings_of(stored)[-1].sequence)
        with ArchiveWriter(tmp_path) as writer:
            for frame in stored[held:durable]:
                payload = record.maker.payloads[frame.sequence - 1]
                writer.append(frame.sequence, payload, b"", frame.frame.commits[0].at)

    running = asyncio.create_task(go_on())
    report = await record.verify(None)
    await running
    assert not report.findings, report.findings
    assert report.last == durable


async def test_one_lost_frame_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one frame is gone, it is not told as frames from itself to itself."""
    monkeypatch.setattr("replay.verify.ARCHIVE_LAG_S", 0.1)
    record = make_record(tmp_path, archived=0.99, snapshots=0)
    last = len(record.maker.payloads)
    found = (await record.verify(None)).findings
    assert [each.kind for each in found] == [Finding.LOST]
    assert found[0].message == f"frame {last} was durable, says the mark: it is gone"


async def test_a_damaged_open_file_is_the_one_finding_offline(tmp_path: Path) -> None:
    """What cannot be read is not told as lost, and the file is to be moved away only where the journal has all of it."""
    record = make_record(tmp_path)
    [path] = tmp_path.glob("archive/*/*/*/*.open")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = (await record.verify(None)).findings
    assert [each.kind for each in found] == [Finding.ARCHIVE]
    assert f"Where the journal still holds frames {int(path.stem)} on, move it away" in found[0].message
    assert "keep it otherwise" in found[0].message


async def test_a_damaged_snapshot_is_named_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of what is damaged stands in the message once."""
    monkeypatch.setattr("replay.verify.ARCHIVE_LAG_S", 0.1)
    paths = Snapshots(record.data_dir).paths()
    for path in paths:
        path.write_bytes(b"{}")
    found = [each for each in (await record.verify(None)).findings if each.kind is Finding.SNAPSHOT]
    assert len(found) == len(paths) > 0
    assert [each.message.count(each.what) for each in found] == [1] * len(paths)


async def test_a_snapshot_of_an_earlier_release_is_no_finding(nc: Client, record: Record) -> None:
    """What nobody starts from is counted, and not held against what it did not keep."""
    make_older(Snapshots(record.data_dir).paths()[0], "books")
    report = await record.verify(nc)
    assert not report.findings, report.findings
    assert (report.snapshots, report.other_snapshots) == (1, 1)


def _doubled_fee(state: p.Partition, event: e.OrderFilled, at: int) -> None:
    p._order_filled(state, event, at)
    if event.fee:
        state.wallets[event.exchange, event.account, event.market].balance(event.fee_asset).total -= event.fee


async def test_a_changed_rule_is_found_at_its_commit_and_field(
    nc: Client, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first fill with a fee is named, with the ledger's field and both values."""
    monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _doubled_fee)
    report = await record.verify(nc, decisions=False)
    sequence, index, fill = next(
        (stored.sequence, index, event)
        for stored in record.maker.stored
        for index, commit in enumerate(stored.frame.commits)
        for event in commit.events
        if isinstance(event, e.OrderFilled) and event.fee
    )
    first = report.findings[0]
    assert (first.kind, first.sequence, first.commit) == (Finding.STATE, sequence, index)
    place = (f"wallet {fill.exchange}.{fill.account}.{fill.market}", f"balances.{fill.fee_asset}.total")
    assert place in {(field.entity, field.field) for field in first.fields}
    recorded = [found for found in report.findings[1:] if found.fields]
    assert any(
        (field.entity, field.field) == place and field.recorded != field.replayed
        for found in recorded
        for field in found.fields
    )
    assert report.whole


async def test_a_changed_rule_is_found_without_an_archive(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From seals alone the place is known to be between two of them, and the snapshot names the field."""
    record = make_record(tmp_path, archived=0)
    await store(nc, record)
    monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _doubled_fee)
    report = await record.verify(nc, decisions=False)
    assert report.findings[0].kind is Finding.STATE
    assert "Sealed" in report.findings[0].what
    assert any(field.field.startswith("balances.") for found in report.findings for field in found.fields)


async def test_a_changed_decision_is_found(
    nc: Client, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control that would deny today is named with the order's commit, and the rest is decided on the recorded state."""
    check = place._check

    def stricter(*args: Any) -> Any:
        found = check(*args)
        if found[0] > Decimal(45):
            raise place.Refused(place.Code.QUANTITY_TOO_LARGE, "too much today")
        return found

    monkeypatch.setattr(place, "_check", stricter)
    report = await record.verify(nc)
    assert report.findings
    assert {found.kind for found in report.findings} == {Finding.DECISION}
    assert all("OrderPlaced" in found.what for found in report.findings)
    assert report.findings[0].fields
    assert report.whole
