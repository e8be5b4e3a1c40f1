"""Tampering: whatever is done to journal, archive, receipts, mark, snapshots or code is found, and told where."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from click.testing import CliRunner, Result
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.journal.stream import STREAM, SUBJECT
from oms.messages.frames import frame_digest
from oms.nats_server import EmbeddedNats
from replay.archive import Archive
from replay.cli import replay
from replay.source import Source
from replay.verify import Finding
from replay.verify import receipts as witness
from tests.replay.journal import write
from tests.replay.record import (
    Record,
    make_record,
    sealings_of,
)
from tests.replay.tamper import of_archive as a
from tests.replay.tamper import of_code as c
from tests.replay.tamper import of_journal as j
from tests.replay.tamper import of_receipts as r
from tests.replay.tamper import of_snapshots as s
from tests.replay.tamper.desk import (
    BARE,
    CODE,
    DAY_STEP,
    DAYS,
    DECISION,
    FULL,
    SHARE,
    STATE,
    Desk,
    Tamper,
)

KINDS: dict[str, tuple[dict[str, Any], Tamper]] = {
    "nothing": (FULL, c.nothing),
    "nothing, without archive": (BARE, c.nothing),
    "nothing, over days": (DAYS, c.nothing),
    # journal
    "price flipped": (FULL, j.price_flipped),
    "price flipped, archived": (FULL, j.price_flipped_archived),
    "frame flipped, the last archived": (FULL, j.price_flipped_at_the_archives_end),
    "price flipped, no archive": (BARE, j.price_flipped),
    "made unreadable": (FULL, j.made_unreadable),
    "whitespace put in": (FULL, j.whitespace_put_in),
    "chain field flipped": (FULL, j.chain_flipped),
    "chain field flipped, no archive": (BARE, j.chain_flipped),
    "last frame flipped": (FULL, j.last_frame_flipped),
    "frame cut out": (FULL, j.frame_cut_out),
    "frame deleted": (FULL, j.frame_deleted),
    "frame deleted, no archive": (BARE, j.frame_deleted),
    "archived frame deleted": (FULL, j.archived_frame_deleted),
    "last frames deleted": (FULL, j.last_frames_deleted),
    "journal cut": (FULL, j.journal_cut),
    "journal cut, no archive": (BARE, j.journal_cut),
    "journal cut behind the archive": (FULL, j.journal_cut_behind_the_archive),
    "frames swapped": (FULL, j.frames_swapped),
    "archived frames swapped": (FULL, j.archived_frames_swapped),
    "frame doubled, chained": (FULL, j.frame_doubled),
    "frame put in, chained": (FULL, j.frame_put_in),
    "event edited, chained": (FULL, j.event_edited_and_chained),
    "event edited, chained, no archive": (BARE, j.event_edited_and_chained),
    "archived event edited, chained": (FULL, j.archived_event_edited_and_chained),
    "all decided again": (BARE, j.another_decided),
    "commit moved": (FULL, j.commit_moved),
    "commit moved, chained": (FULL, j.commit_moved_and_chained),
    "clock set back, chained": (FULL, j.clock_set_back),
    "journal replaced": (FULL, j.journal_replaced),
    "journal replaced, no archive": (BARE, j.journal_replaced_without_archive),
    "journal forked": (FULL, j.journal_forked),
    # archive
    "segment flipped": (FULL, a.segment_flipped),
    "manifest flipped": (FULL, a.manifest_flipped),
    "open file flipped": (FULL, a.open_flipped),
    "day missing": (DAYS, a.day_missing),
    "first day missing": (DAYS, a.first_day_missing),
    "day missing, journal trimmed": (DAYS, a.day_missing_and_trimmed),
    "manifest missing": (DAYS, a.manifest_missing),
    "segments swapped": (DAYS, a.segments_swapped),
    "segment edited with its manifest": (FULL, a.segment_edited),
    "archive written anew": (FULL, a.archive_written_anew),
    **{
        f"manifest's {field} edited": (FULL, a.manifest_edited(field))
        for field in ("prev", "head", "at_first", "at_last", "commits", "events", "raw_bytes")
    },
    **{
        f"manifest's {field} edited, over days": (DAYS, a.manifest_edited(field))
        for field in ("previous", "bytes", "sha256", "prev", "head")
    },
    "checks edited": (FULL, a.checks_edited),
    "checks cut": (FULL, a.checks_cut),
    "checks of a commit dropped": (FULL, a.checks_of_a_commit_dropped),
    # receipts and mark
    "receipt forged": (FULL, r.receipt_forged),
    "receipt edited": (FULL, r.receipt_edited),
    "receipts of an unknown key": (FULL, r.receipts_of_an_unknown_key),
    "receipts of a key put there": (FULL, r.receipts_of_a_key_put_there),
    "public key swapped": (FULL, r.public_key_swapped),
    "receipt removed": (FULL, r.receipt_removed),
    "receipts cut": (FULL, r.receipts_cut),
    "receipts removed": (FULL, r.receipts_removed),
    "receipts and mark removed": (FULL, r.receipts_and_mark_removed),
    "receipt for another seal": (FULL, r.receipts_for_another_seal),
    "mark set back": (FULL, r.mark_set_back),
    "mark set ahead": (FULL, r.mark_set_ahead),
    "mark forged": (FULL, r.mark_forged),
    "mark flipped": (FULL, r.mark_flipped),
    "one slot of the mark flipped": (FULL, r.one_slot_of_the_mark_flipped),
    "mark removed": (FULL, r.mark_removed),
    # snapshots
    "snapshot flipped": (FULL, s.snapshot_flipped),
    "read models flipped": (FULL, s.read_models_flipped),
    "snapshot's header flipped": (FULL, s.snapshot_header_flipped),
    "snapshot edited": (FULL, s.snapshot_edited),
    "trade edited": (FULL, s.models_edited(lambda models: models["trades"][3].update(realised="7"))),
    "trade dropped": (FULL, s.models_edited(lambda models: models["trades"].pop(2))),
    "finished order edited": (FULL, s.models_edited(lambda models: models["orders"][0].update(strategy="x"))),
    "finished order dropped": (FULL, s.models_edited(s.dropped_order)),
    "day edited": (FULL, s.models_edited(lambda models: next(iter(models["days"].values())).pop())),
    "snapshot edited, of another shape": (FULL, s.snapshot_edited_as_of_another_shape),
    "snapshot's head edited": (FULL, s.snapshot_head_edited),
    "snapshot's time edited": (FULL, s.snapshot_time_edited),
    "snapshot's next order edited": (FULL, s.snapshot_order_number_edited),
    "snapshot of a later frame": (FULL, s.snapshot_of_a_later_frame),
    "snapshot of another frame": (FULL, s.snapshot_of_another_frame),
    # code
    "newer event": ({"archived": SHARE, "change": c.with_newer_event, "snapshots": 0}, c.newer_event),
    "newer event, no archive": ({"archived": 0, "change": c.with_newer_event, "snapshots": 0}, c.newer_event),
    "newer engine": ({"archived": SHARE, "during": c.started_by_a_newer}, c.newer_engine),
    "rule changed": (FULL, c.rule_changed),
    "rule changed, no archive": (BARE, c.rule_changed_without_checks),
    "rule fails": (FULL, c.rule_fails),
    "decision changed": (FULL, c.decision_changed),
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


async def test_a_disputed_receipt_is_not_told_as_receipts_taken_away(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the frame that a receipt disputes nothing matches any more: that is one finding, and not two."""
    monkeypatch.setattr(witness, "UNRECEIPTED_MAX", 0)
    record = make_record(tmp_path, archived=0, snapshots=0)
    edited = record.maker.payloads[8].replace(b'"strategy":"arb"', b'"strategy":"abc"', 1)
    assert edited != record.maker.payloads[8]
    payloads = [*record.maker.payloads[:8], edited]
    for payload in record.maker.payloads[9:]:
        payloads.append(
            re.sub(
                rb'"prev":"[0-9a-f]{64}"',
                b'"prev":"%b"' % frame_digest(payloads[-1]).encode(),
                payload,
                count=1,
            )
        )
    await write(nc, payloads)
    report = await record.verify(nc, decisions=False)
    receipts = [found for found in report.findings if found.kind is Finding.RECEIPT]
    assert [("written anew" in found.message) for found in receipts] == [True], receipts
