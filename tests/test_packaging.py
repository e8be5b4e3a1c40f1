"""What a fresh clone stands on: metadata, pins, Makefile, and files that name no machine."""

import importlib
import importlib.metadata
import os
import re
import subprocess
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import oms

REPO = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (REPO / "constraints.txt").read_text().splitlines())


def _direct() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


def _closure(requirements: Iterable[Requirement]) -> set[str]:
    """Return the names that `requirements` lead to on this platform, as the installed distributions say."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [(requirement, frozenset[str]()) for requirement in requirements]
    while pending:
        requirement, parent_extras = pending.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in {"", *parent_extras}):
            continue
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        pending += [(Requirement(text), extras) for text in importlib.metadata.requires(name) or []]
    return found


def test_the_version_is_said_once() -> None:
    """The module and the distribution have the same version."""
    assert oms.__version__ == PROJECT["version"]


def test_constraints_are_pins_and_nothing_else() -> None:
    """Every line is name==version, so that installing takes no address from the file."""
    lines = (REPO / "constraints.txt").read_text().splitlines()
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", line)
    ] == []
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert len(set(names)) == len(names)


def test_constraints_pin_the_whole_closure() -> None:
    """Whatever an installation brings along is pinned, and nothing is pinned that it does not bring."""
    assert {canonicalize_name(name) for name in PINS} == _closure(_direct())


def test_pins_satisfy_what_is_asked_for() -> None:
    """The pinned versions lie within the ranges of pyproject.toml."""
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    for requirement in _direct():
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), str(requirement)


def test_the_console_script_exists() -> None:
    """`oms` starts something that can be called."""
    module, _, name = PROJECT["scripts"]["oms"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("package", ["oms", "replay"])
def test_every_folder_of_code_is_installed(package: str) -> None:
    """A folder without __init__.py would be there in the checkout and missing in the wheel."""
    folders = {path.parent for path in (REPO / package).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
    assert (REPO / package / "py.typed").exists()


def test_no_file_names_a_registry_or_a_machine() -> None:
    """No tracked file holds the host of a package registry or a path of the machine it was written on."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, timeout=30)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    # In parts, so that this file does not name them either.
    parts = [
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("proxy.golang", ".org"),
        ("/ro", "ot/"),
        ("/wo", "rk/"),
    ]
    words = ["".join(part).encode() for part in parts]
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = REPO / name
        if name and path.is_file():
            data = path.read_bytes()
            found += [
                f"{name}: {word.decode()}" for word in words if re.search(rb"(?<!\w)" + re.escape(word), data)
            ]
    assert found == []


class TestMakefile:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        """A directory that looks like a checkout with its environment built."""
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            (tmp_path / name).write_bytes((REPO / name).read_bytes())
        (tmp_path / ".venv").mkdir()
        stamp = tmp_path / ".venv" / ".built"
        stamp.touch()
        os.utime(stamp, (time.time() - 10, time.time() - 10))
        for name in ("pyproject.toml", "constraints.txt"):
            os.utime(tmp_path / name, (time.time() - 20, time.time() - 20))
        return tmp_path

    def _build(self, checkout: Path) -> "subprocess.CompletedProcess[str]":
        # Below another make, this one would say where it works.
        env = {
            key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"
        }
        command = ["make", "build", "PYTHON=no-such-python"]
        return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=30)

    def test_nothing_is_done_when_nothing_changed(self, checkout: Path) -> None:
        """An environment that is up to date is left alone, without a word."""
        done = self._build(checkout)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
    def test_a_change_builds_again(self, checkout: Path, name: str) -> None:
        """A newer pyproject.toml or constraints.txt starts the set-up; a wrong interpreter is refused with names."""
        (checkout / name).touch()
        done = self._build(checkout)
        assert done.returncode != 0
        assert "Python 3.11, 3.12 or 3.13 is needed, but none of these is one: no-such-python" in done.stderr
