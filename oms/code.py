"""Which code decides: a digest of its source, and whether a release is newer than another."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

DECIDING: Final = ("messages", "aggregates", "handlers")
"""Packages of ``oms`` that make decisions what they are."""
_RELEASE: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?")


@cache
def code_digest() -> str:
    """SHA-256, in hex, over the names and contents of every source file that decides."""
    found = hashlib.sha256()
    home = Path(__file__).parent
    for package in DECIDING:
        for path in sorted((home / package).rglob("*.py")):
            content = path.read_bytes()
            found.update(f"{path.relative_to(home).as_posix()}\n{len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


def is_newer(version: str, than: str) -> bool:
    """Whether a release, such as 0.10.0, comes after another. What is made on the way to one, 0.10.0.dev1, counts as it."""
    return _numbers(version) > _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    """The three numbers of a release; those that are not given are 0."""
    found = _RELEASE.match(version)
    return tuple(int(number or 0) for number in found.groups()) if found is not None else (0, 0, 0)
