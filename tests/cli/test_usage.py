"""The command line without a system behind it."""

import socket
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from oms.cli import COMMANDS, cli
from oms.cli.exits import Exit, exit_of
from oms.cli.render import decimal_text, time_text
from oms.cli.showing import status_lines
from oms.cli.supervisor import Child, Program
from oms.journal.errors import JournalBroken, JournalFault
from oms.messages.queries import StatusRow

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


def test_the_status_tells_how_far_the_archive_is_and_what_fails() -> None:
    """People see what ``--json`` has: the archive's end, what was trimmed, each fault; and that another follower archives."""
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
        archived=1_999,
        trimmed="",
        faults={"TRIM": "no right to", "ARCHIVE": "the disk is full"},
    )
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
