"""Reading an archive: its segments in order, held against one another, and frames streamed from them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import attrs

from oms.encryption import Keys
from oms.messages.frames import GENESIS
from replay.archive.errors import ArchiveBroken
from replay.archive.layout import MANIFEST_SUFFIX, SEALED_SUFFIX, Entry, Listing, list_files, root_of
from replay.archive.manifest import NO_MANIFEST, Manifest, digest_of, manifest_path, read_manifest
from replay.archive.openfile import OpenFile
from replay.archive.record import ArchivedFrame
from replay.archive.sealed import read_sealed

_ATTEMPTS: Final = 20
"""How often files are listed anew because a writer sealed a segment meanwhile."""
T = TypeVar("T")


@attrs.frozen
class Segment:
    """A part of the archive.

    Args:
        path: of the ``.zst``, or the ``.open`` file.
        first, last: sequences of its frames; ``last`` is ``first - 1`` for an open one without any.
        prev: digest of the frame before it.
        manifest: of a sealed one; None for the open one.
    """

    path: Path
    first: int
    last: int
    prev: str
    manifest: Manifest | None


class Archive:
    """The archive below a data directory. Never writes; a writer may append and seal meanwhile.

    Args:
        data_dir: where ``archive/`` is; there need not be one.
        keys: for what is encrypted; None when nothing is.
    """

    def __init__(self, data_dir: Path, keys: Keys | None = None) -> None:
        self.root = root_of(data_dir)
        self._keys = keys

    def bounds(self) -> tuple[int, int]:
        """First and last sequence held, (1, 0) when there are none. From names and the open file's records alone.

        Raises:
            ArchiveBroken: the open file is damaged.
        """
        return self._settled(self._bounds)

    def segments(self) -> list[Segment]:
        """Every segment, in order. Every manifest is read; the segments themselves are not.

        Raises:
            ArchiveBroken: a segment or its manifest is missing, a manifest was changed or is not the one that the next
                one follows, or two segments overlap; with the first such.
        """
        return self._settled(self._segments)

    def read(self, first: int, last: int) -> Iterator[ArchivedFrame]:
        """Frames ``first`` to ``last``, streamed: memory is one read of a segment, whatever is asked for.

        A sealed file's SHA-256 is checked before a frame of it is yielded, every record's checksum of an open one.

        Raises:
            ArchiveBroken: the archive does not hold them, or not as they were written.
            KeyMissing: they are encrypted with a key that is not there.
        """
        following = first
        gone: Path | None = None
        while following <= last:
            for segment in self._holding(following, last):
                try:
                    for frame in self._frames(segment):
                        if frame.sequence > last:
                            return
                        if frame.sequence == following:
                            yield frame
                            following += 1
                except FileNotFoundError:
                    # Sealed since it was listed: then it stands under another name, and is found there once.
                    if segment.path == gone:
                        raise
                    gone = segment.path
                    break
                if following <= segment.last:
                    raise ArchiveBroken(segment.path, following, "ends before the frame")

    def _holding(self, sequence: int, last: int) -> list[Segment]:
        """The segments from the one that holds ``sequence``."""
        segments = self.segments()
        for index, segment in enumerate(segments):
            if segment.first <= sequence <= segment.last:
                return segments[index:]
        raise self._without(sequence, last)

    def _without(self, sequence: int, last: int) -> ArchiveBroken:
        held = "none" if (bounds := self.bounds()) == (1, 0) else f"{bounds[0]} to {bounds[1]}"
        wanted = (
            f"frame {sequence} is not" if sequence == last else f"frames {sequence} to {last} are not all"
        )
        return ArchiveBroken(self.root, sequence, f"{wanted} here: the archive holds {held}")

    def _frames(self, segment: Segment) -> Iterator[ArchivedFrame]:
        if segment.manifest is not None:
            yield from read_sealed(segment.path, segment.manifest, self._keys)
            return
        with segment.path.open("rb") as file:
            yield from OpenFile(segment.path, segment.first, file).frames(self._keys)

    def _settled(self, look: Callable[[Listing], T]) -> T:
        """Look at the files; again when they were others meanwhile, because a writer sealed a segment."""
        listing = list_files(self.root)
        for _ in range(_ATTEMPTS):
            try:
                return look(listing)
            except (ArchiveBroken, FileNotFoundError):
                again = list_files(self.root)
                if again == listing:
                    raise
                listing = again
        return look(listing)

    def _bounds(self, listing: Listing) -> tuple[int, int]:
        opened = _open_ones(listing)
        if opened:
            newest = _read_open(opened[-1])
            if newest.last >= newest.first:
                first = listing.manifests[0].first if listing.manifests else newest.first
                return first, newest.last
        if not listing.manifests:
            return 1, 0
        return listing.manifests[0].first, listing.manifests[-1].last or 0

    def _segments(self, listing: Listing) -> list[Segment]:
        _check_pairs(listing)
        manifests = [(entry.path, read_manifest(entry)) for entry in listing.manifests]
        found: list[Segment] = []
        for index, (path, manifest) in enumerate(manifests):
            _check_place(found, path, manifest.first)
            _check_previous(manifests, index)
            _check_seam(found, path, manifest.first, manifest.prev)
            stored = path.with_suffix(SEALED_SUFFIX)
            found.append(Segment(stored, manifest.first, manifest.last, manifest.prev, manifest))
        for entry in _open_ones(listing):
            segment = _read_open(entry)
            _check_place(found, segment.path, segment.first)
            _check_seam(found, segment.path, segment.first, segment.prev)
            found.append(segment)
        return found


def _open_ones(listing: Listing) -> list[Entry]:
    """The open files that count: not one whose sealed segment counts already."""
    sealed = {entry.first for entry in listing.manifests}
    return [entry for entry in listing.open if entry.first not in sealed]


def _read_open(entry: Entry) -> Segment:
    with entry.path.open("rb") as file:
        reader = OpenFile(entry.path, entry.first, file)
        for _ in reader.bodies():
            pass
    return Segment(entry.path, entry.first, reader.last, reader.header.prev, None)


def _check_pairs(listing: Listing) -> None:
    manifests = {entry.path for entry in listing.manifests}
    opened = {entry.first for entry in listing.open}
    for entry in listing.sealed:
        path = manifest_path(entry.path)
        # A segment that was being sealed when its writer ended is made again from its open file.
        if path not in manifests and entry.first not in opened:
            raise ArchiveBroken(
                path, entry.first, f"is missing: {entry.path.name} has no {MANIFEST_SUFFIX} file"
            )


def _check_place(found: list[Segment], path: Path, first: int) -> None:
    """Refuse a segment that does not begin behind the one before."""
    if not found:
        return
    before = found[-1]
    expected = before.last + 1
    if first > expected:
        missing = f"frame {expected} is" if first == expected + 1 else f"frames {expected} to {first - 1} are"
        raise ArchiveBroken(path, expected, f"{missing} missing between {before.path} and this")
    if first < expected:
        raise ArchiveBroken(path, first, f"overlaps {before.path}, which holds frames up to {before.last}")
    if before.manifest is None:
        raise ArchiveBroken(before.path, before.first, f"is open, though {path} follows it")


def _check_previous(manifests: list[tuple[Path, Manifest]], index: int) -> None:
    """Refuse a manifest that does not name the one before it, and say which of the two was changed."""
    path, manifest = manifests[index]
    if not index:
        # The first one that is held may follow others that were moved away, but frame 1 follows none.
        if manifest.first == 1 and manifest.previous != NO_MANIFEST:
            raise ArchiveBroken(path, 1, f"is the first manifest, but follows {manifest.previous}")
        return
    before_path, before = manifests[index - 1]
    if (digest := digest_of(before)) == manifest.previous:
        return
    if index + 1 < len(manifests) and manifests[index + 1][1].previous != digest_of(manifest):
        raise ArchiveBroken(
            path, manifest.first, f"was changed: neither does it name {before_path} nor is it named as it is"
        )
    raise ArchiveBroken(
        before_path,
        before.first,
        f"was changed: its SHA-256 is {digest}, but {path} was written behind {manifest.previous}",
    )


def _check_seam(found: list[Segment], path: Path, first: int, prev: str) -> None:
    """Refuse a segment whose first frame does not follow the last one of the segment before."""
    if not found:
        if first == 1 and prev != GENESIS:
            raise ArchiveBroken(path, first, f"says that frame 1 follows {prev}")
        return
    before = found[-1]
    if before.manifest is not None and prev != before.manifest.head:
        raise ArchiveBroken(
            path,
            first,
            f"says that frame {first} follows {prev}, but by {before.path} frame {before.last} is {before.manifest.head}",
        )
