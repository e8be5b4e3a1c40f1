"""``oms replay`` as a person and as a script use it: answers, JSON, and how it ends."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from click.testing import CliRunner, Result

from oms.aggregates import image
from oms.config import CacheConfig
from replay.archive import ArchiveWriter
from replay.asking.moment import iso
from replay.cli import COMMANDS, common, replay
from replay.rebuild import new_history, rebuild
from replay.snapshot import Content, Snapshots, content_of
from replay.source import Source
from tests.conftest import REPO
from tests.replay.journal import Maker, busy

PAST = 1_700_000_000 * 10**9
LIMITS = str(REPO / "configs" / "whatif-limits.yaml")
QUESTIONS = ["state", "orders", "trades", "positions", "balances", "pnl", "limits"]


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A small journal."""
    return busy(71, 60, frame=10, maker=Maker(clock=PAST))


def run(url: str, tmp_path: Path, *arguments: str) -> Result:
    """Call a command."""
    command, *options = arguments
    return CliRunner().invoke(replay, [command, "--nats", url, "--data-dir", str(tmp_path), *options])


def answer(url: str, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of a command that is answered."""
    result = run(url, tmp_path, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = msgspec.json.decode(result.stdout)
    return found


def test_every_command_of_the_table_is_there() -> None:
    """Each name in the table leads to a command with a help of its own."""
    for name in COMMANDS:
        shown = CliRunner().invoke(replay, [name, "--help"])
        assert shown.exit_code == 0, name
        assert len(shown.output.splitlines()) > 5, name


def test_python_m_replay_is_oms_replay() -> None:
    """``python -m replay`` takes the same commands and ends with the same codes and lines."""
    for arguments, code, said in (
        (["diff", "--help"], 0, "Usage: oms replay diff"),
        (
            ["state", "--nats", "nats://127.0.0.1:1"],
            3,
            "oms: nats-server at nats://127.0.0.1:1 does not answer",
        ),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "replay", *arguments], capture_output=True, text=True, timeout=30
        )
        assert ended.returncode == code
        assert said in ended.stdout + ended.stderr


# -- state


def test_digest_is_the_live_states(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--digest`` prints the digest of the state that the engine has, and nothing else."""
    result = run(url, tmp_path, "state", "--digest", "--from-zero")
    assert (result.exit_code, result.stdout) == (0, image.digest(maker.state) + "\n")


def test_expected_digest_that_differs_exits_1(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--expect`` is fine with the right digest and exits 1 with another, saying both."""
    right = image.digest(maker.state)
    assert run(url, tmp_path, "state", "--digest", "--expect", right).exit_code == 0
    result = run(url, tmp_path, "state", "--digest", "--expect", "abc")
    assert result.exit_code == 1
    assert "abc" in result.stderr
    assert right in result.stderr


def test_json_is_everything(url: str, tmp_path: Path, maker: Maker) -> None:
    """``state --json`` is one document with decimals as strings and every order and trade."""
    document = answer(url, tmp_path, "state")
    assert document["sequence"] == maker.sequence
    assert document["digest"] == image.digest(maker.state)
    assert len(document["orders"]) == 60
    assert document["orders_held"] == {"complete": True, "missing": 0, "missing_before": None}
    assert isinstance(document["balances"][0]["total"], str)


def test_tables_are_for_people(url: str, tmp_path: Path, maker: Maker) -> None:
    """Without options the state is printed as tables, with what proves it above them."""
    result = run(url, tmp_path, "state")
    assert result.exit_code == 0
    for said in (
        "Open orders",
        "Positions",
        "Balances",
        "P&L",
        "mtest1",
        image.digest(maker.state),
        maker.head,
    ):
        assert said in result.stdout


# -- as of


@pytest.mark.parametrize("command", QUESTIONS)
def test_every_question_is_answered_as_of_a_sequence_or_a_time(
    url: str, tmp_path: Path, maker: Maker, command: str
) -> None:
    """``--at`` a sequence, a time in ns and one in ISO 8601 to the nanosecond stop at that very commit."""
    fifth = maker.stored[4].frame
    at = fifth.commits[3].at
    for moment, sequence, part in (("4", 4, 0), (str(at), 4, 4), (iso(at), 4, 4), (iso(at - 1), 4, 3)):
        document = answer(url, tmp_path, command, "--at", moment)
        assert (document["sequence"], document["part"]) == (sequence, part)
        assert document["head"] == maker.stored[3].digest
        assert document["beyond"] is False
    shown = run(url, tmp_path, command, "--at", iso(at))
    assert shown.exit_code == 0
    assert f"after sequence 4 and 4 commits of the next frame, {iso(at)}" in shown.stdout
    assert answer(url, tmp_path, command)["digest"] == image.digest(maker.state)


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_time_after_the_last_commit_is_answered_and_told(
    url: str, tmp_path: Path, maker: Maker, command: str
) -> None:
    """Nothing happened since: the answer is the last state, and says so."""
    later = iso(maker.clock + 3_600 * 10**9)
    document = answer(url, tmp_path, command, "--at", later)
    assert (document["sequence"], document["beyond"]) == (maker.sequence, True)
    assert "Nothing is recorded between" in run(url, tmp_path, command, "--at", later).stdout


def test_filters_narrow_the_rows(url: str, tmp_path: Path, maker: Maker) -> None:
    """Rows are of the account, symbol, strategy, status and time asked for."""
    rows = answer(url, tmp_path, "orders", "--account", "main", "-s", "BTCUSDT", "--strategy", "mm")["rows"]
    assert rows
    assert {(row["account"], row["symbol"], row["strategy"]) for row in rows} == {("main", "BTCUSDT", "mm")}
    denied = answer(url, tmp_path, "orders", "--status", "denied")["rows"]
    assert {row["status"] for row in denied} == {"DENIED"}
    opened = answer(url, tmp_path, "orders", "--open")["rows"]
    assert {row["open"] for row in opened} == {True}
    middle = maker.stored[4].frame.commits[0].at
    trades = answer(url, tmp_path, "trades", "--since", iso(middle))["rows"]
    assert trades
    assert all(row["at"] >= middle for row in trades)
    assert len(answer(url, tmp_path, "trades", "--until", iso(middle - 1))["rows"]) + len(trades) == len(
        answer(url, tmp_path, "trades")["rows"]
    )
    one = trades[0]["order_id"]
    assert {row["order_id"] for row in answer(url, tmp_path, "trades", "--order", one)["rows"]} == {one}
    balances = answer(url, tmp_path, "balances", "-a", "main", "--asset", "USDT")["rows"]
    assert [(row["account"], row["asset"]) for row in balances] == [("main", "USDT")]
    by_day = answer(url, tmp_path, "pnl", "--by", "day,account", "--account", "main")
    assert {row["account"] for row in by_day["rows"]} == {"main"}
    assert {row["day"] for row in by_day["rows"]} == {"2023-11-14", "open"}
    limits = answer(url, tmp_path, "limits", "--account", "main")["rows"]
    assert {row["scope"] for row in limits} == {"account:main"}
    one = answer(url, tmp_path, "limits", "--scope", "global", "--control", "max_order_value")["rows"]
    assert [(row["limit"], row["stated"]["by"]) for row in one] == [("off", "configuration")]


def test_a_snapshot_start_says_which_orders_it_lacks(url: str, tmp_path: Path, maker: Maker) -> None:
    """``complete`` is false when the snapshot no longer held older orders, and the line says how to get all."""
    history = new_history(CacheConfig(max_size=3))
    for stored in maker.stored[:5]:
        history.apply(stored)
    Snapshots(tmp_path).write(content_of(history), PAST)
    for command in ("orders", "trades"):
        document = answer(url, tmp_path, command)
        assert document["complete"] is False
        whole = answer(url, tmp_path, command, "--from-zero")
        assert whole["complete"] is True
        assert len(whole["rows"]) == len(document["rows"]) + document["missing"]
        assert "--from-zero" in run(url, tmp_path, command).stdout
        assert document["digest"] == whole["digest"]


def archive(maker: Maker, data_dir: Path) -> None:
    """Archive a whole journal."""
    with ArchiveWriter(data_dir) as writer:
        for stored, payload in zip(maker.stored, maker.payloads, strict=True):
            writer.append(stored.sequence, payload, b"", stored.frame.commits[0].at)


def test_offline_answers_from_the_archive(url: str, tmp_path: Path, maker: Maker) -> None:
    """``--offline`` needs no server, gives the same, and refuses a time that the archive cannot know of."""
    archive(maker, tmp_path)
    nowhere = "nats://127.0.0.1:1"
    for command in QUESTIONS:
        assert answer(nowhere, tmp_path, command, "--offline") == answer(url, tmp_path, command)
    refused = run(nowhere, tmp_path, "state", "--offline", "--at", iso(maker.clock + 1))
    assert refused.exit_code == 1
    assert f"ends at sequence {maker.sequence}" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--from", "2023-01-01", "--to"),
        ("export", "--from"),
        ("export", "--what", "positions", "--to"),
        ("whatif", "--limits", LIMITS, "--to"),
        ("bundle", "--output", "bundle.zip", "--to"),
        ("timeline", "--account", "main", "--until"),
        ("timeline", "--account", "main", "--since"),
    ],
)
def test_offline_a_span_behind_the_archive_is_refused(
    tmp_path: Path, maker: Maker, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the archive cannot know of is not answered as if nothing had happened: no row is printed, no file is left."""
    data_dir, there = tmp_path / "data", tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    archive(maker, data_dir)
    assert run("", data_dir, *arguments, iso(maker.clock), "--offline").exit_code == 0
    for made in there.iterdir():
        made.unlink()
    result = run("", data_dir, *arguments, iso(maker.clock + 1), "--offline")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        f"is not known: what is here ends at sequence {maker.sequence}, {iso(maker.clock)}" in result.stderr
    )
    assert not list(there.iterdir())


# -- diff


def test_diff_tells_entity_field_before_and_after(url: str, tmp_path: Path, maker: Maker) -> None:
    """For people a table of what changed, for machines one object; the order of the moments does not matter."""
    at = maker.stored[4].frame.commits[3].at
    document = answer(url, tmp_path, "diff", "3", iso(at))
    assert (document["before"]["sequence"], document["after"]["sequence"], document["after"]["part"]) == (
        3,
        4,
        4,
    )
    assert document == answer(url, tmp_path, "diff", str(at), "3")
    change = next(change for change in document["changes"] if change["entity"] == "balance")
    assert set(change) == {"entity", "key", "change", "fields"}
    assert set(change["fields"][0]) == {"field", "before", "after"}
    shown = run(url, tmp_path, "diff", "3", iso(at), "--account", "main")
    assert shown.exit_code == 0
    assert "BEFORE" in shown.stdout
    assert "sub_arb" not in shown.stdout
    assert "nothing changed" in run(url, tmp_path, "diff", "3", "3").stdout


def test_a_page_before_the_accounts_first_line_is_told(url: str, tmp_path: Path) -> None:
    """An account that the history knows only later is not unknown to a page that ends before."""
    result = run(url, tmp_path, "timeline", "-a", "sub_arb", "--limit", "1")
    assert result.exit_code == 0, result.stderr
    assert "journal mtest1 begins" in result.stdout
    assert "--after 1.0.1 goes on" in result.stderr


# -- how it ends


@pytest.mark.parametrize(
    "arguments",
    [
        ("state", "--digest", "--json"),
        ("state", "--at", "noon"),
        ("state", "--at", "-1"),
        ("state", "--what"),
        ("pnl", "--by", "moon"),
        ("orders", "--since", "yesterday"),
        ("orders", "--status", "GONE"),
        ("diff", "one"),
        ("nothing",),
        ("export", "--from", "5", "--to", "2023-01-01"),
        ("export", "--from", "2200-01-01", "--to", "5"),
        ("whatif", "--limits", LIMITS, "--from", "2200-01-01", "--to", "5"),
        ("pnl", "--day", "foo"),
        ("pnl", "--day", "2026-02-30"),
        *(
            (*command, start, "2026-01-02", end, "2026-01-01")
            for command, start, end in (
                (("timeline", "-a", "main"), "--since", "--until"),
                (("timeline", "-a", "main", "--after", "1.0.0"), "--since", "--until"),
                (("export",), "--from", "--to"),
                (("whatif", "--limits", LIMITS), "--from", "--to"),
            )
        ),
    ],
)
def test_wrong_usage_exits_2(url: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Options that make no sense exit 2."""
    assert run(url, tmp_path, *arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("orders", "--account", "nope"), "oms: no account 'nope' at that moment, known: main, sub_arb"),
        (("positions", "--symbol", "DOGE"), "oms: no symbol 'DOGE' at that moment, known: BTCUSDT, ETHUSDT"),
        (("balances", "--exchange", "okx"), "oms: no exchange 'okx' at that moment, known: binance"),
        (("limits", "--market", "moon"), "oms: no market 'moon' at that moment, known: spot"),
        (("state", "--at", "0"), "oms: there is no sequence 0: the history goes from 1 to 7"),
        (("pnl", "--at", "99"), "oms: there is no sequence 99: the history goes from 1 to 7"),
        (("trades", "--at", "2020-01-01"), "the history begins at 2023-11-14T22:13:20.001000000Z"),
        (("diff", "1", "99"), "oms: there is no sequence 99"),
        (("timeline", "-a", "nope"), "oms: no account 'nope' at that moment, known: main, sub_arb"),
        (("timeline", "-a", "nope", "--limit", "1"), "oms: no account 'nope' at that moment"),
    ],
)
def test_what_has_no_answer_exits_1(url: str, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """A moment, account or symbol that is not there is one line that says what is, and no rows."""
    result = run(url, tmp_path, *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        *((question,) for question in QUESTIONS),
        ("diff", "1"),
        ("diff", "1", "2"),
        ("order", "m1"),
        ("trace", "c1"),
        ("export",),
        ("export", "--what", "balances"),
        ("bundle", "--output", "/nowhere/bundle.zip"),
        ("whatif", "--limits", LIMITS),
        ("timeline", "-a", "main"),
        ("timeline", "-a", "main", "--after", "12.3.1"),
    ],
)
def test_an_empty_journal_exits_1(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Where no engine ever wrote there is nothing to answer, and every question says so in the same words."""
    result = run("", tmp_path, *arguments, "--offline")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "oms: there is no history: the journal is empty\n"


def test_nothing_to_verify_does_not_hold(tmp_path: Path) -> None:
    """A mistyped data directory exits 2, one without a frame 1: neither is answered as if a record held."""
    for data_dir, code, said in (
        (tmp_path / "nowhere", 2, "there is no data directory"),
        (tmp_path, 1, "there is nothing to verify"),
    ):
        result = run("", data_dir, "verify", "--offline")
        assert (result.exit_code, result.stdout) == (code, "")
        assert said in result.stderr


def test_no_server_exits_3(tmp_path: Path) -> None:
    """A server that does not answer exits 3 and says where it was looked for."""
    result = run("nats://127.0.0.1:1", tmp_path, "state")
    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_error_prints_a_password(tmp_path: Path) -> None:
    """The server that does not answer is named without the password that was given for it."""
    result = run("nats://desk:secret@127.0.0.1:1", tmp_path, "state")
    assert result.exit_code == 3
    assert "nats-server at nats://127.0.0.1:1 does not answer" in result.stderr
    assert "secret" not in result.stderr


def test_an_error_without_words_is_named() -> None:
    """An error that says nothing is told by its type."""

    async def work() -> None:
        raise TimeoutError

    with pytest.raises(common.Ended, match=r"stopped answering: TimeoutError\(\)"):
        common.run(work())


def test_broken_journal_exits_6(tmp_path: Path, url: str, maker: Maker) -> None:
    """A snapshot that is ahead of the journal exits 6 and says so."""

    async def snapshot() -> None:
        nc = await nats.connect(url)
        history = await rebuild(Source(nc), None)
        assert history.projections is not None
        state, projections = image.dump(history.partition), history.projections.dump()
        ahead = Content(sequence=999, head=history.head, state=state, projections=projections)
        Snapshots(tmp_path).write(ahead, 1_790_000_000 * 10**9)
        await nc.close()

    asyncio.run(snapshot())
    result = run(url, tmp_path, "state")
    assert result.exit_code == 6
    assert "at sequence 999" in result.stderr


def test_an_answer_is_never_written_out_by_the_way() -> None:
    """What work returns is not made into text behind the scenes: of a whole state that takes seconds."""

    written = []

    class Large:
        def __repr__(self) -> str:
            written.append(self)
            return "large"

    async def work() -> Large:
        return Large()

    assert isinstance(common.run(work()), Large)
    assert not written


@pytest.mark.parametrize("kept", ["archive", "snapshot"])
def test_a_data_directory_of_another_journal_is_not_called_lost(url: str, tmp_path: Path, kept: str) -> None:
    """Both journals are named before anything is held against each other: exit code 2. One of the same journal is answered."""
    other = Maker()
    other.ask("start._._._._", instance="e1", version="0", journal_id="mother", partition="0")
    other.cut()
    if kept == "archive":
        with ArchiveWriter(tmp_path) as archive:
            for frame in other.stored:
                archive.append(frame.sequence, frame.payload, b"", frame.frame.commits[0].at)
    else:
        history = new_history(CacheConfig())
        for frame in other.stored:
            history.apply(frame)
        Snapshots(tmp_path).write(content_of(history), PAST)
    for command in ("verify", "orders"):
        result = run(url, tmp_path, command)
        assert result.exit_code == 2, result.output
        told = f"oms: {url} has journal mtest1, {tmp_path} is of journal mother: name the right one with --data-dir or --nats"
        assert told in result.stderr
