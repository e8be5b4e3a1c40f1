"""Segments: what manifests say of their frames, held against the frames."""

from collections.abc import Sequence

import attrs

from oms.journal.reader import StoredFrame
from replay.archive import Manifest, Segment
from replay.archive.manifest import manifest_path
from replay.verify.report import Finding, Found, Report


@attrs.define(eq=False)
class _Totals:
    prev: str
    at_first: int
    head: str = ""
    at_last: int = 0
    commits: int = 0
    events: int = 0
    raw_bytes: int = 0


class Segments:
    """The sealed segments in order; each is compared when its last frame has passed.

    Reading a segment holds its bytes, its size and its place against the manifest already.
    """

    def __init__(self, segments: Sequence[Segment], report: Report) -> None:
        self._report = report
        self._waiting = [each for each in reversed(segments) if each.manifest is not None]
        self._totals: _Totals | None = None

    def frame(self, stored: StoredFrame) -> None:
        """Take the archive's next frame."""
        manifest = self._waiting[-1].manifest if self._waiting else None
        if manifest is None:
            return
        commits = stored.frame.commits
        totals = self._totals
        if totals is None:
            totals = self._totals = _Totals(stored.frame.prev, commits[0].at)
        totals.head, totals.at_last = stored.digest, commits[-1].at
        totals.commits += len(commits)
        totals.events += sum(len(commit.events) for commit in commits)
        totals.raw_bytes += 8 + len(stored.payload) + len(stored.checks or b"")
        if stored.sequence == manifest.last:
            self._compare(self._waiting.pop(), manifest, totals)
            self._totals = None

    def _compare(self, segment: Segment, manifest: Manifest, totals: _Totals) -> None:
        path = manifest_path(segment.path)
        wrong = [
            f"{name} is {getattr(manifest, name)}, the frames say {value}"
            for name, value in attrs.asdict(totals).items()
            if getattr(manifest, name) != value
        ]
        if wrong:
            self._report.add(
                Found(
                    kind=Finding.ARCHIVE,
                    sequence=manifest.first,
                    message=f"{path}: {', '.join(wrong)}: the manifest was changed",
                    what=str(path),
                )
            )
