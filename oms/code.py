"""Which code decides: a digest of its source, and whether a release is newer than another."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

DECIDING: Final = ("messages", "aggregates", "handlers")
"""Packages of ``oms`` that make decisions what they are."""


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
    """Whether a release number, such as 0.10.0, comes after another."""
    return _numbers(version) > _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
