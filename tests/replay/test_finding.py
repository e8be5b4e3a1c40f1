"""Orders found by any of their names, and told the same from wherever history starts; the commands that show it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from oms.config import CacheConfig
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import check_frame
from oms.messages.frames import GENESIS
from replay.archive import Archive, ArchiveWriter
from replay.asking import finding
from replay.asking.finding import Match, find, life, made_after
from replay.cli import replay
from replay.rebuild import new_history
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.replay.journal import Maker, busy

NOWHERE = "nats://127.0.0.1:1"


def keep(maker: Maker, data_dir: Path, *snapshots_at: int) -> Source:
    """A real archive of a journal, with snapshots at these sequences an hour apart."""
    with ArchiveWriter(data_dir) as writer:
        for stored in maker.stored:
            writer.append(stored.sequence, stored.payload, b"", stored.frame.commits[0].at)
    history = new_history(CacheConfig())
    for stored in maker.stored:
        history.apply(stored)
        if stored.sequence in snapshots_at:
            Snapshots(data_dir).write(content_of(history), maker.clock + stored.sequence * 3_600 * 10**9)
    return Source(None, Archive(data_dir))


def found(source: Source, data_dir: Path, name: str, account: str | None = None) -> list[Match]:
    """Look for an order."""
    return asyncio.run(find(source, Snapshots(data_dir), name, account))


def told(source: Source, data_dir: Path, name: str) -> bytes:
    """The one order of that name, whole."""
    (match,) = found(source, data_dir, name)
    return msgspec.json.encode(asyncio.run(life(source, Snapshots(data_dir), match)))


# -- finding


def test_a_life_is_the_same_from_zero_and_from_any_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every order's story is the same, byte for byte, without snapshots, with some, and where a snapshot cuts the way short
    between two of its steps."""
    maker = busy(11, 60, frame=3)
    ended = [order for order in maker.state.orders.values() if order.base == "CANCELED"]
    for order in ended:
        maker.fill(order.order_id, "0.5", "100", account=order.account)
        maker.cut()
    bare = keep(maker, tmp_path / "bare")
    some = keep(maker, tmp_path / "some", 4, 9, 15, 16)
    orders = [f"mtest1{number:010x}" for number in range(1, maker.state.next_order)]
    whole = [told(bare, tmp_path / "bare", order_id) for order_id in orders]
    assert sum(b'"late":true' in each for each in whole) == len(ended) > 0
    assert [told(some, tmp_path / "some", order_id) for order_id in orders] == whole
    monkeypatch.setattr(finding, "JUMP", 0)
    assert [told(some, tmp_path / "some", order_id) for order_id in orders] == whole


def test_a_recent_order_is_looked_for_behind_the_last_snapshot_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order id says how old the order is at most: frames before the last older snapshot are not read."""
    maker = busy(12, 60, frame=3)
    source = keep(maker, tmp_path, 5, 12)
    newest = f"mtest1{maker.state.next_order - 1:010x}"
    assert made_after(Snapshots(tmp_path), newest) == 12
    assert made_after(Snapshots(tmp_path), "mtest10000000001") == 0
    assert made_after(Snapshots(tmp_path), "something else") == 0
    read: list[int] = []
    frames = source.frames

    def noted(first: int, *args: Any, **options: Any) -> Any:
        read.append(first)
        return frames(first, *args, **options)

    monkeypatch.setattr(source, "frames", noted)
    told(source, tmp_path, newest)
    assert min(read) == 13


def test_an_order_is_found_by_each_of_its_names(tmp_path: Path) -> None:
    """An order id, its form at the venue with a revision, a client's reference with characters that JSON escapes, and the
    venue's id all find the order; a reference given twice finds both, and the account tells them apart."""
    maker = Maker()
    maker.begin()
    first = maker.place(client_order_id='my "own" é')
    maker.accept(first)
    maker.cut()
    both = [maker.place(account, client_order_id="same") for account in ("main", "sub_arb")]
    maker.cut()
    source = keep(maker, tmp_path)

    def ids(name: str, account: str | None = None) -> list[tuple[str, str]]:
        return [(match.order_id, match.by) for match in found(source, tmp_path, name, account)]

    assert ids(first) == [(first, "order_id")]
    assert ids(f"{first}R2") == [(first, "order_id")]
    assert ids('my "own" é') == [(first, "client_order_id")]
    assert ids(f"v{first}") == [(first, "venue_order_id")]
    assert ids("same") == [(order_id, "client_order_id") for order_id in both]
    assert ids("same", "sub_arb") == [(both[1], "client_order_id")]
    assert ids("my") == []
    assert ids("") == []
    assert json.loads(told(source, tmp_path, f"v{first}")) == json.loads(told(source, tmp_path, first))


def test_a_frame_that_was_skimmed_is_held_against_its_place_and_decoded_when_asked() -> None:
    """Skimming sees a frame in the wrong place at once; what its commits are, and that they are none, is told when they are
    looked at."""
    maker = busy(13, 10, frame=3)
    first, second, *_ = maker.payloads
    whole = check_frame(1, first, 1, GENESIS)
    skimmed = check_frame(1, first, 1, GENESIS, skim=True)
    assert (skimmed.digest, skimmed.frame) == (whole.digest, whole.frame)
    for sequence, payload, prev, fault in (
        (2, second, GENESIS, JournalFault.CHAIN),
        (2, first, None, JournalFault.CHAIN),
        (2, second[:-1], whole.digest, JournalFault.UNREADABLE),
    ):
        with pytest.raises(JournalBroken) as broken:
            check_frame(sequence, payload, 2, prev, skim=True)
        assert (broken.value.fault, broken.value.sequence) == (fault, 2)
    unknown = check_frame(
        2, second.replace(b"OrderAccepted.1", b"OrderAccepted.9"), 2, whole.digest, skim=True
    )
    with pytest.raises(JournalBroken) as broken:
        unknown.frame  # noqa: B018
    assert broken.value.fault is JournalFault.UNREADABLE


# -- commands


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal with orders of one reference, and a command id that two accounts used."""
    maker = busy(71, 40, frame=10)
    for account in ("main", "sub_arb"):
        terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "90", "client_order_id": "twice"}
        maker.ask(f"place.binance.{account}.spot.BTCUSDT", command_id="shared", **terms)
    maker.cut()
    return maker


def run(url: str, data_dir: Path, *options: str) -> Result:
    """Call ``oms replay``."""
    command, *rest = options
    return CliRunner().invoke(replay, [command, "--nats", url, "--data-dir", str(data_dir), *rest])


def test_order_tells_people_and_machines(url: str, tmp_path: Path, maker: Maker) -> None:
    """``order`` prints the life for people; as JSON it is the story itself, the same offline from the archive."""
    order_id = "mtest10000000001"
    shown = run(url, tmp_path, "order", order_id)
    assert shown.exit_code == 0
    for part in (order_id, "Controls", "rules", "What happened", "submit as", "How long it took"):
        assert part in shown.stdout
    document = json.loads(run(url, tmp_path, "order", order_id, "--json").stdout)
    assert document["order_id"] == order_id
    assert document["looked_at"] == maker.sequence
    assert document["steps"][0]["made"]["controls"]["controls"][0]["held"] is True
    keep(maker, tmp_path)
    assert json.loads(run(NOWHERE, tmp_path, "order", order_id, "--json", "--offline").stdout) == document


def test_order_says_which_when_several_match(url: str, tmp_path: Path) -> None:
    """A name of several orders exits 1 and lists them, for machines too; with the account it is one order's."""
    several = run(url, tmp_path, "order", "twice")
    assert (several.exit_code, "2 orders go by 'twice'" in several.stderr) == (1, True)
    assert several.stdout.count("client_order_id") == 2
    as_json = run(url, tmp_path, "order", "twice", "--json")
    assert as_json.exit_code == 1
    assert [match["account"] for match in json.loads(as_json.stdout)["matches"]] == ["main", "sub_arb"]
    assert run(url, tmp_path, "order", "twice", "--account", "main").exit_code == 0


def test_what_is_unknown_exits_1(url: str, tmp_path: Path) -> None:
    """An order, a command or an account that the history does not know exits 1 with a line that names it."""
    for command in (("order", "nope"), ("trace", "nope"), ("timeline", "--account", "nope")):
        result = run(url, tmp_path, *command)
        assert (result.exit_code, "nope" in result.stderr, "Traceback" in result.stderr) == (1, True, False)


def test_trace_shows_every_account(url: str, tmp_path: Path) -> None:
    """``trace`` shows the command of every account that used the id, or of the one that is named."""
    shown = run(url, tmp_path, "trace", "shared")
    assert shown.exit_code == 0
    assert shown.stdout.count("instruction submit") == 2
    traces = json.loads(run(url, tmp_path, "trace", "shared", "--json").stdout)["traces"]
    assert [each["account"] for each in traces] == ["main", "sub_arb"]
    (one,) = json.loads(run(url, tmp_path, "trace", "shared", "-a", "sub_arb", "--json").stdout)["traces"]
    assert one == traces[1]
    assert one["tree"]["children"][0]["children"][0]["name"] == "submit"


def test_trace_in_a_file_has_a_line_a_node(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on a terminal is a tree wrapped to its width."""
    whole = run(url, tmp_path, "trace", "shared").stdout
    monkeypatch.setenv("COLUMNS", "40")
    assert run(url, tmp_path, "trace", "shared").stdout == whole
    assert any(len(line) > 40 for line in whole.splitlines() if "── " in line)


def test_timeline_is_a_json_object_a_line_and_paged(url: str, tmp_path: Path) -> None:
    """Pages of the ``timeline``, each behind the place that the one before names on standard error, are the whole; a span
    of time is a part of it."""
    whole = run(url, tmp_path, "timeline", "-a", "main", "--json").stdout.splitlines()
    assert len(whole) > 80
    paged: list[str] = []
    options: list[str] = []
    while True:
        page = run(url, tmp_path, "timeline", "-a", "main", "--json", "--limit", "37", *options)
        paged += page.stdout.splitlines()
        if not page.stderr:
            break
        options = page.stderr.split()[4:6]
    assert paged == whole
    times = [json.loads(line)["at"] for line in whole]
    since, until = times[20], times[60]
    part = run(
        url, tmp_path, "timeline", "-a", "main", "--json", "--since", str(since), "--until", str(until)
    )
    assert part.stdout.splitlines() == [
        line for line, at in zip(whole, times, strict=True) if since <= at <= until
    ]
    people = run(url, tmp_path, "timeline", "-a", "main").stdout
    assert people.count("\n") == len(whole) + people.count("UTC\n")


def test_a_place_that_is_none_exits_2(url: str, tmp_path: Path) -> None:
    """``--after`` takes a place alone."""
    assert run(url, tmp_path, "timeline", "-a", "main", "--after", "noon").exit_code == 2
