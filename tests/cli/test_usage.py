"""The command line without a system behind it."""

import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from oms.cli import COMMANDS, cli
from oms.cli.exits import Exit, exit_of
from oms.cli.render import decimal_text, time_text
from oms.cli.showing import status_lines
from oms.cli.supervisor import Child, Program
from oms.cli.watching import _line
from oms.journal.errors import JournalBroken, JournalFault
from oms.messages.enums import AccountKind
from oms.messages.public import AccountKnown
from oms.messages.queries import LatchRow, StatusRow

from .conftest import run_oms


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """Help is there for each command, says what it does, and needs no server."""
    shown = CliRunner().invoke(cli, [command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert len(shown.output.splitlines()) > 5


def test_nobody_there_is_code_3() -> None:
    """Where no nats-server listens, a command ends with 3 and one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ran = run_oms("orders", url=f"nats://127.0.0.1:{taken.getsockname()[1]}")
    assert ran.code == 3
    assert ran.err.startswith("oms: no nats-server at ")
    assert len(ran.err.splitlines()) == 1


def test_a_bad_configuration_is_code_2(tmp_path: Path) -> None:
    """`config check` names the place and what was got."""
    path = tmp_path / "config.yaml"
    path.write_text("nats: {prot: 4222}\n")
    ran = run_oms("config", "check", str(path))
    assert ran.code == 2
    assert ran.err.startswith("oms: configuration: nats.prot")


@pytest.mark.parametrize(
    "fault, start, end",
    [
        (JournalFault.CLOCK, "cannot start on this journal: CLOCK at sequence 7: ", ": why"),
        (JournalFault.NEWER, "cannot start on this journal: NEWER at sequence 7: ", ": why"),
        (JournalFault.SETTINGS, "cannot start on this journal: SETTINGS at sequence 7: ", ": why"),
        (JournalFault.SEAL, "the journal is broken: SEAL at sequence 7: ", ": why"),
        (JournalFault.CHAIN, "the journal is broken: CHAIN at sequence 7: ", "`oms replay restore` mends it"),
    ],
)
def test_a_journal_that_is_whole_is_not_called_broken(fault: JournalFault, start: str, end: str) -> None:
    """Whatever keeps an engine from a journal ends with 6; broken is said of the journal alone, not of what is around it."""
    found = exit_of(JournalBroken(fault, 7, "why"))
    assert found is not None
    code, line = found
    assert code == Exit.JOURNAL_BROKEN
    assert line.startswith(start)
    assert line.endswith(end)


@pytest.mark.parametrize(
    "value, text",
    [("1E-7", "0.0000001"), ("1E+5", "100,000"), ("12.500", "12.5"), ("-0.0", "0"), ("1000", "1,000")],
)
def test_decimals_are_read_as_written(value: str, text: str) -> None:
    """No exponent, no idle zeros, groups of three."""
    assert decimal_text(Decimal(value)) == text


def test_times_are_utc_to_the_millisecond() -> None:
    """Nanoseconds become a UTC time that sorts."""
    assert time_text(1_795_233_051_692_608_009) == "2026-11-21 03:50:51.692Z"


async def test_a_process_that_never_gets_ready_says_why() -> None:
    """What a child wrote last is in the error, with its exit code."""
    child = Child(Program(name="engine", arguments=["engine", "--config", "nowhere.yaml"]), lambda *_: None)
    await child.start()
    with pytest.raises(
        Exception, match=r"engine ended with exit code 2 before it was ready: .*nowhere\.yaml"
    ):
        await child.ready()


def status(**fields: Any) -> StatusRow:
    """A system of which nothing is known, but for these."""
    row = StatusRow(
        journal_id="mabcde",
        partition="0",
        engine="e",
        at=0,
        journal_first=1,
        journal_sequence=2_000,
        lag=0,
        orders=0,
        open_orders=0,
        in_doubt=0,
        unanswered=0,
        trades=0,
        instruments=0,
        accounts={},
        sessions=[],
        snapshot_sequence=0,
        snapshot_at=0,
        published={},
        archived=None,
        trimmed="",
        faults={},
    )
    return msgspec.structs.replace(row, **fields)


def test_the_status_tells_how_far_the_archive_is_and_what_fails() -> None:
    """People see what ``--json`` has: the archive's end, what was trimmed, each fault; and that another follower archives."""
    row = status(archived=1_999, faults={"TRIM": "no right to", "ARCHIVE": "the disk is full"})
    lines = list(status_lines(row))
    assert ("archive", "up to sequence 1,999") in lines
    assert [text for name, text in lines if name == "fault"] == [
        "ARCHIVE: the disk is full",
        "TRIM: no right to",
    ]
    other = dict(status_lines(msgspec.structs.replace(row, archived=None, faults={})))
    assert other["archive"] == "not written by this follower"
    assert "fault" not in other
    trimmed = dict(status_lines(msgspec.structs.replace(row, trimmed="9 frames")))
    assert trimmed["archive"] == "up to sequence 1,999; trimmed 9 frames"


def test_what_is_killed_stands_where_one_looks() -> None:
    """`oms status` has a line for each engaged kill switch that it is told of, and says how many there are beyond."""
    latch = LatchRow(scope="global", by="ann", reason="odd", cause="", at=10**18, allow_reduce_only=False)
    lines = [text for name, text in status_lines(status(latched=3, latches=[latch])) if name == "KILLED"]
    assert lines == [
        "global since 2001-09-09 01:46:40.000Z, by ann: odd",
        "… and 2 more scopes: `oms risk --killed`",
    ]
    assert "KILLED" not in dict(status_lines(status()))


@pytest.mark.parametrize(
    "name, fields, said",
    [
        ("AccountRegistered", {}, "registered as SUB"),
        ("AccountRenamed", {"name": "Arb", "by": "kim"}, "is called Arb by kim"),
        (
            "AccountDisabled",
            {"status": "disabled", "by": "kim", "reason": "keys"},
            "is disabled by kim: keys",
        ),
    ],
)
def test_watching_says_what_became_of_an_account(name: str, fields: dict[str, Any], said: str) -> None:
    """A disabled account is not told of as registered."""
    event = AccountKnown(event=name, sequence=1, at=1, account="sub", kind=AccountKind.SUB, **fields)
    assert _line(event)[0] == f"account   sub {said}"
