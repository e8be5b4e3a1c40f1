"""Where an archive's files lie and how they are called: ``archive/YYYY/MM/DD/`` by the UTC day of the frames."""

import datetime
import re
from pathlib import Path
from typing import Final

import attrs

from oms.disk import sync_directory

SEALED_SUFFIX: Final = ".zst"
MANIFEST_SUFFIX: Final = ".json"
OPEN_SUFFIX: Final = ".open"
TEMPORARY_SUFFIX: Final = ".tmp"
_SEALED = re.compile(r"(?P<first>[0-9]{12,18})-(?P<last>[0-9]{12,18})(?P<suffix>\.zst|\.json)")
_OPEN = re.compile(r"(?P<first>[0-9]{12,18})\.open")
_DAY = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"
_NS = 10**9
_DAY_S = 86_400


def root_of(data_dir: Path) -> Path:
    """The archive's directory."""
    return data_dir / "archive"


def day_of(at_ns: int) -> str:
    """The UTC day of a time in UTC ns, as a directory below the root."""
    return f"{datetime.datetime.fromtimestamp(at_ns // _NS, datetime.UTC):%Y/%m/%d}"


def same_day(one_ns: int, other_ns: int) -> bool:
    """Whether two times are of one UTC day."""
    return one_ns // (_NS * _DAY_S) == other_ns // (_NS * _DAY_S)


def stem(first: int, last: int) -> str:
    """The name of a sealed segment without its suffix."""
    return f"{first:012d}-{last:012d}"


@attrs.frozen
class Entry:
    """A file of the archive by its name; ``last`` is None for an open one, whose name does not say it."""

    first: int
    last: int | None
    path: Path


@attrs.frozen
class Listing:
    """The files of an archive, each kind by its first sequence."""

    sealed: list[Entry]
    manifests: list[Entry]
    open: list[Entry]
    temporary: list[Path]


def list_files(root: Path) -> Listing:
    """All files that are the archive's by their names; others are not ours to judge."""
    listing = Listing([], [], [], [])
    for directory in sorted(root.glob(_DAY)):
        for path in sorted(directory.iterdir()):
            name = path.name
            if name.endswith(TEMPORARY_SUFFIX):
                listing.temporary.append(path)
            elif match := _OPEN.fullmatch(name):
                listing.open.append(Entry(int(match["first"]), None, path))
            elif match := _SEALED.fullmatch(name):
                kind = listing.sealed if match["suffix"] == SEALED_SUFFIX else listing.manifests
                kind.append(Entry(int(match["first"]), int(match["last"]), path))
    for entries in (listing.sealed, listing.manifests, listing.open):
        entries.sort(key=lambda entry: (entry.first, entry.path))
    return listing


def make_directory(directory: Path, root: Path) -> None:
    """Make a directory below ``root``, durable."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in (directory, *directory.parents):
        sync_directory(path)
        if path == root.parent:
            break


def place(path: Path, temporary: Path) -> None:
    """Give a file that is durable its name, durably."""
    temporary.replace(path)
    sync_directory(path.parent)
