"""What the documentation says holds: its links, its examples, its generated pages, its lists of keys and codes."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import msgspec
import pytest
import yaml
from nats.aio.client import Client

from oms.cli import cli
from oms.cli.exits import Exit
from oms.config import Config, dump_config
from oms.journal.acceptance import Acceptance
from oms.journal.errors import JournalFault
from oms.journal.loss import LossKind
from oms.journal.reader import read_frames
from oms.journal.receipts import Receipt
from oms.messages.alerts import Alert
from oms.messages.codec import COMMANDS, INTERNAL_VERBS
from oms.messages.queries import QUERIES
from oms.nats_server import EmbeddedNats
from replay.archive import Manifest
from replay.asking.standalone.verify_bundle import MEMBERS
from replay.cli import COMMANDS as QUESTIONS
from replay.following.pnl_report import COLUMNS
from replay.snapshot import Header
from replay.verify import Field, Finding, Found, Report
from tests.replay.journal import busy, write

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPT = ROOT / "docs" / "examples" / "trade_with_nats_py.py"
FORGERY = ROOT / "docs" / "examples" / "forge_journal.py"
SESSION = ROOT / "docs" / "examples" / "audit_session.sh"
DEFAULT_URL = "nats://127.0.0.1:4222"


def name(value: Any) -> str | None:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def blocks(language: str) -> list[Any]:
    """Every fenced block in a language, with where it starts."""
    all_found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in re.finditer(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 1
            all_found.append(pytest.param(textwrap.dedent(found[1]), id=f"{page.relative_to(ROOT)}:{line}"))
    return all_found


def commands() -> list[Any]:
    """Every command line of a console block."""
    return [
        pytest.param(line[2:], id=f"{block.id} {line[2:40]}")
        for block in blocks("console")
        for line in block.values[0].splitlines()
        if line.startswith("$ ")
    ]


def scripted() -> list[Any]:
    """Every ``oms`` of the shell script, without what its output is piped to."""
    return [
        pytest.param(re.split(r" (?:\|\|?|>|&) ?", line)[0], id=f"{SESSION.name} {line[:40]}")
        for line in SESSION.read_text("utf-8").splitlines()
        if line.startswith("oms ")
    ]


def without_blocks(page: Path) -> str:
    """A page's text without what stands in fences."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    text = without_blocks(page)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_generated_pages_are_fresh() -> None:
    """Pages made from the code say what the code says: run ``python docs/generate.py``."""
    # In a process of its own: a command keeps the help option that it was first asked for, here by another test.
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file that is there, and to a heading in it."""
    text = without_blocks(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_relative_to(ROOT), target
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def test_every_page_is_in_the_index() -> None:
    """Each page of a section is linked from docs/README.md, or from its section's README.md."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in sorted((ROOT / "docs").glob("*/*.md")):
        section = page.parent / "README.md"
        listed = section.read_text("utf-8") if section.exists() else ""
        assert str(page.relative_to(ROOT / "docs")) in index or f"({page.name})" in listed, name(page)


@pytest.mark.parametrize("block", blocks("json"))
def test_json_parses(block: str) -> None:
    """Every JSON block is JSON."""
    json.loads(block)


@pytest.mark.parametrize("line", [*commands(), *scripted()])
def test_commands_exist(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of a console block, and of the session, is one that there is, with options that it takes."""
    program, *arguments = shlex.split(line, comments=True)
    # Some options want what they name to be there.
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for argument in arguments:
        if argument.endswith(".yaml"):
            Path(argument).parent.mkdir(parents=True, exist_ok=True)
            Path(argument).touch()
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    elif program == "oms":
        command: click.Command = cli
        context = click.Context(cli, info_name="oms")
        while isinstance(command, click.Group):
            found = command.get_command(context, arguments[0])
            assert found is not None, line
            command, arguments = found, arguments[1:]
        command.make_context(command.name, list(arguments))


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: str, system_url: str, tmp_path: Path) -> None:
    """Every Python block runs as it stands, but for the address of the system."""
    script = tmp_path / "block.py"
    script.write_text(block.replace(DEFAULT_URL, system_url), "utf-8")
    ended = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_what_is_said_to_try_works(system: tuple[str, str]) -> None:
    """The first order that `oms up` and `oms --help` propose is taken, under the controls that hold by default."""
    url, proposed = system
    helped = re.search(r"oms place .*?(?=  )", cli.get_help(click.Context(cli, info_name="oms")))
    assert helped is not None
    for line in (proposed, f"{helped[0]} --nats {url}"):
        ended = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr


def test_nats_py_alone_can_trade(system_url: str) -> None:
    """The script without our code places, cancels and shows an order, unmodified, in about 30 lines."""
    text = SCRIPT.read_text("utf-8")
    assert not re.search(r"^\s*(from|import) (oms|replay)", text, re.MULTILINE)
    assert len(text.splitlines()) <= 35
    ended = subprocess.run(
        [sys.executable, "-I", SCRIPT, system_url], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    placed, canceled = ended.stdout.split("\n")[:2]
    assert re.fullmatch(r"placed   \w{16} PENDING_NEW durable at \d+", placed)
    assert re.fullmatch(r"canceled \w{16} (PENDING_CANCEL|CANCELED)", canceled)


async def test_a_forged_journal_chains(nc: Client, nats_server: EmbeddedNats) -> None:
    """The forger's script edits one frame and leaves a chain that is whole: what finds it is not the chain."""
    maker = busy(1, 40, frame=5)
    await write(nc, maker.payloads)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, FORGERY, nats_server.url, "5", "binance", "bimance"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    found = [stored async for batch in read_frames(nc, 1, len(maker.payloads), None) for stored in batch]
    same = [stored.payload == payload for stored, payload in zip(found, maker.payloads, strict=True)]
    assert same == [number < 5 for number in range(1, len(same) + 1)]
    assert found[4].payload == maker.payloads[4].replace(b"binance", b"bimance")


def test_every_verb_stands_in_the_wire_page() -> None:
    """A verb that is served is documented."""
    text = (ROOT / "docs" / "reference" / "wire.md").read_text("utf-8")
    missing = [
        verb for verb in [*COMMANDS, *QUERIES] if verb not in INTERNAL_VERBS and f"`{verb}`" not in text
    ]
    assert not missing


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize(
    "page, names",
    [
        ("operating/runbook.md", list(JournalFault)),
        ("reference/alerts.md", [*fields(Alert), "ARCHIVE", "TRADE_LOG", "REPORTS", "TRIM"]),
        ("reference/archive.md", fields(Manifest)),
        ("reference/bundle.md", MEMBERS),
        ("reference/data-directory.md", COLUMNS),
        ("reference/receipts.md", [*fields(Receipt), *fields(Acceptance), *LossKind]),
        ("reference/snapshot.md", fields(Header)),
        ("reference/verify.md", [*fields(Report), *fields(Found), *fields(Field), *Finding]),
    ],
)
def test_every_name_of_a_format_is_documented(page: str, names: Sequence[str]) -> None:
    """What stands in a file, an alert or a report, and each kind of fault, is explained on its page."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert not [name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)]


def test_every_question_is_documented() -> None:
    """Each sub-command of ``oms replay`` stands in the generated helps, and the audit page or the runbook uses it."""
    helps = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
    used = "".join(
        (ROOT / "docs" / "operating" / page).read_text("utf-8") for page in ("audits.md", "runbook.md")
    )
    for command in QUESTIONS:
        assert f"## `oms replay {command}`" in helps
        assert f"oms replay {command}" in used or f"`{command}`" in used, command


def test_every_exit_code_is_documented() -> None:
    """Scripts rely on exit codes: each stands in the table of processes.md."""
    text = (ROOT / "docs" / "operating" / "processes.md").read_text("utf-8")
    missing = [code.name for code in Exit if not re.search(rf"^\| {code.value} \|", text, re.MULTILINE)]
    assert not missing


def test_every_configuration_key_is_documented() -> None:
    """The last part of each key stands in configuration.md, as code."""
    text = without_blocks(ROOT / "docs" / "operating" / "configuration.md")
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert attrs.fields_dict(Config).keys() <= words
    missing = set(_keys(yaml.safe_load(dump_config(Config())))) - words
    assert not missing


def _keys(value: Any) -> Iterator[str]:
    # Names of accounts, exchanges, symbols and assets are values, not keys of ours.
    names = {"accounts", "exchanges", "instruments", "balances"}
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            if key in ("limits", "valuations", "strategies"):
                # Scopes, controls and assets: the page of controls has those.
                continue
            if key not in names:
                yield from _keys(item)
            else:
                for each in item.values():
                    for inner in each.values() if key in ("exchanges", "instruments") else [each]:
                        yield from _keys(inner)
