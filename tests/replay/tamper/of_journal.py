"""What is done to the journal. Each function does one thing and says where it must be found."""

import re
import shutil
from collections.abc import Iterable

import msgspec

from oms.handlers import place
from oms.messages import events as e
from oms.messages.frames import encode_frame
from tests.replay.journal import Maker
from tests.replay.record import (
    make_record,
)
from tests.replay.tamper.desk import (
    CLOCK,
    DECISION,
    DIFFERS,
    JOURNAL,
    LOST,
    RECEIPT,
    SNAPSHOT,
    STATE,
    Desk,
    Frame,
    Place,
    around,
    of_filled,
)


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
    one, other = (msgspec.json.decode(desk.frames[n], type=Frame) for n in (at - 1, at))
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
