"""Snapshots: each must hold the very state that the frames up to it make."""

from collections.abc import Iterator
from pathlib import Path

from oms.aggregates.partition import Partition
from replay.history import History
from replay.snapshot import Header, SnapshotDamaged, SnapshotOutdated, Snapshots, read_header, read_snapshot
from replay.verify.models import difference, loaded
from replay.verify.report import Finding, Found, Report
from replay.verify.state import recorded_fields


class Stops:
    """The snapshots in order of their sequences; each is compared when replay comes by."""

    def __init__(self, snapshots: Snapshots, report: Report) -> None:
        self._report = report
        self._snapshots = snapshots
        self._waiting = sorted(self._read(), key=lambda found: found[1].sequence, reverse=True)

    def at(self, history: History, diverged: list[str] | None) -> None:
        """Compare every snapshot that is of this sequence.

        Args:
            diverged: entities that are known to differ, where replay has diverged already.
        """
        while self._waiting and self._waiting[-1][1].sequence <= history.sequence:
            path, header = self._waiting.pop()
            if header.sequence == history.sequence:
                self._compare(path, header, history, diverged)

    def end(self, last: int) -> None:
        """Say what is of frames behind the last there is."""
        for path, header in self._waiting:
            if header.sequence > last:
                self._found(
                    path, header.sequence, f"is at sequence {header.sequence:,}, but frames end at {last:,}"
                )

    def _read(self) -> Iterator[tuple[Path, Header]]:
        for path in self._snapshots.paths():
            try:
                yield path, read_header(path, self._snapshots.keys)
            except SnapshotDamaged as error:
                self._found(path, 0, str(error))

    def _compare(self, path: Path, header: Header, history: History, diverged: list[str] | None) -> None:
        if header.head != history.head:
            self._found(
                path, header.sequence, f"is of a frame with digest {header.head}, this one has {history.head}"
            )
            return
        next_order = history.partition.next_order
        for name, said, known in (
            ("journal", header.journal_id, history.partition.journal_id),
            ("time", header.at, history.at),
            ("number of events", header.events or history.events, history.events),
            ("next order", header.next_order or next_order, next_order),
        ):
            # Where this code comes to another state, what it says of the header is worth nothing.
            if said != known and diverged is None:
                self._found(path, header.sequence, f"names {name} {said}, after this frame it is {known}")
                return
        try:
            snapshot = read_snapshot(path, self._snapshots.keys)
            state = snapshot.load_state(check_digest=True)
            models = loaded(snapshot, state)
        except SnapshotOutdated:
            # Nobody starts from it, so whatever it holds does no harm.
            self._report.other_snapshots += 1
            return
        except SnapshotDamaged as error:
            self._found(path, header.sequence, str(error))
            return
        if state.digest() != history.partition.digest():
            self._differs(path, header, history.partition, state, diverged)
            return
        wrong = "" if history.projections is None else difference(history.projections, models)
        if wrong:
            self._found(path, header.sequence, f"read models: {wrong}")
            return
        self._report.snapshots += 1

    def _differs(
        self, path: Path, header: Header, ours: Partition, theirs: Partition, diverged: list[str] | None
    ) -> None:
        if diverged is None:
            message = "was edited: the frames up to it are proven by seals, and make another state"
            if not self._report.seals:
                message = "holds another state than the frames up to it make"
        else:
            message = "holds what was recorded"
        self._report.add(
            Found(
                kind=Finding.SNAPSHOT if diverged is None else Finding.STATE,
                sequence=header.sequence,
                message=f"{path} {message}",
                what=str(path),
                fields=recorded_fields(ours, theirs, diverged or ()),
            )
        )

    def _found(self, path: Path, sequence: int, message: str) -> None:
        # Damage names its file itself.
        said = message if message.startswith(str(path)) else f"{path}: {message}"
        self._report.add(Found(kind=Finding.SNAPSHOT, sequence=sequence, message=said, what=str(path)))
