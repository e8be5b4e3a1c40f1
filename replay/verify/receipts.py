"""Receipts and mark: what was stated outside the journal, held against what it holds."""

from pathlib import Path

from oms.journal.errors import JournalBroken
from oms.journal.mark import FILE, Mark, read_mark
from oms.journal.reader import StoredFrame
from oms.journal.receipts import DIRECTORY, Receipt, check_receipts
from oms.messages.events import LossAccepted, Sealed, SigningKeyDeclared
from replay.verify.report import Finding, Found, Report


class Witness:
    """Walks along the receipts as the frames pass by.

    Args:
        data_dir: where they are.
    """

    def __init__(self, data_dir: Path, report: Report) -> None:
        self._report = report
        self._receipts = check_receipts(data_dir)
        self._next: Receipt | None = None
        self._mark = read_mark(data_dir / DIRECTORY / FILE)
        self._agreed = 0
        self._refused = False
        self._declared = ""
        self._seals_since_key = 0
        self._advance()

    def frame(self, stored: StoredFrame) -> None:
        """Hold a frame against the receipt that names it, if one does, and against the mark."""
        sequence = stored.sequence
        for commit in stored.frame.commits:
            for event in commit.events:
                if type(event) is SigningKeyDeclared:
                    self._declared = event.key_id
                elif type(event) is LossAccepted:
                    self._agreed = sequence
                elif type(event) is Sealed and self._declared:
                    self._seals_since_key += 1
        mark = self._mark.mark
        if mark is not None and mark.sequence == sequence and mark.head != stored.digest:
            self._found(
                sequence,
                f"the mark says that this frame has digest {mark.head}, it has {stored.digest}",
            )
        receipt = self._next
        if receipt is None or receipt.sequence > sequence:
            return
        if receipt.sequence == sequence:
            self._check(receipt, stored)
        self._advance()

    def end(self, last: int) -> None:
        """Say what is stated of frames behind the last."""
        mark = self._mark.mark
        if mark is not None and mark.sequence > last:
            self._lost(last, mark)
        while self._next is not None:
            self._found(
                self._next.sequence,
                f"a receipt names this frame, but there are only frames up to {last:,}",
                Finding.LOST,
            )
            self._advance()
        if self._seals_since_key and not self._report.receipts and not self._refused:
            self._found(0, f"there are {self._seals_since_key:,} seals, and no receipt: they were taken away")

    def _lost(self, last: int, mark: Mark) -> None:
        self._found(
            last + 1, f"frames {last + 1:,} to {mark.sequence:,} were durable, says the mark", Finding.LOST
        )

    def _check(self, receipt: Receipt, stored: StoredFrame) -> None:
        if receipt.head != stored.digest:
            self._found(
                stored.sequence,
                f"a receipt of {receipt.at} says that this frame has digest {receipt.head}, it has {stored.digest}: frames"
                f" behind {self._agreed:,}, the last that a receipt agrees with, up to this one were written anew",
            )
            return
        commits = stored.frame.commits
        seal = commits[receipt.commit].events[0] if receipt.commit < len(commits) else None
        if not isinstance(seal, Sealed) or seal.digest != receipt.digest:
            self._found(
                stored.sequence, f"a receipt is for a seal in commit {receipt.commit} that is not there"
            )
            return
        self._agreed = stored.sequence
        self._report.receipts += 1

    def _advance(self) -> None:
        try:
            self._next = next(self._receipts, None)
        except JournalBroken as error:
            self._found(error.sequence, error.message)
            self._next = None

    def _found(self, sequence: int, message: str, kind: Finding = Finding.RECEIPT) -> None:
        self._refused = True
        self._report.add(Found(kind=kind, sequence=sequence, message=message))
