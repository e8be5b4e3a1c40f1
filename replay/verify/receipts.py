"""Receipts and mark: what was stated outside the journal, held against what it holds."""

import time
from pathlib import Path
from typing import Final

from oms.journal.errors import JournalBroken
from oms.journal.mark import FILE, FoundMark, read_mark
from oms.journal.reader import StoredFrame
from oms.journal.receipts import DIRECTORY, Receipt, ReceiptDamaged, check_receipts, receipt_files
from oms.journal.signing import DIRECTORY as KEYS
from oms.journal.signing import KeyRefused, key_id_of, known_keys
from oms.messages.events import LossAccepted, Sealed, SigningKeyDeclared
from replay.verify.report import Finding, Found, Report

UNRECEIPTED_MAX: Final = 64
"""So many seals in a row may be without receipt: those that waited for the disk when the engine was killed."""
_AGAIN_S: Final = 0.05


class Witness:
    """Walks along the receipts as the frames pass by.

    Args:
        data_dir: where they are.

    Attributes:
        agreed: sequence of the last receipt that agrees with its frame. ``disputed``: of the first that does not; 0 for none.
    """

    def __init__(self, data_dir: Path, report: Report) -> None:
        self._report = report
        self._data_dir = data_dir
        self._directory = data_dir / DIRECTORY
        self.agreed = 0
        self.disputed = 0
        self._declared: dict[str, str] = {}
        """Public keys by id, as the journal declares them."""
        self._unreceipted = self._row = self._row_since = 0
        self._read = 0
        """Sequence of the last receipt read."""
        self._refused = False
        self._next: Receipt | None = None
        self._mark_path = self._directory / FILE
        self._marked = self._look_at_mark()
        self.mark = self._marked.mark
        try:
            self._keys = known_keys(data_dir)
        except KeyRefused as error:
            self._keys = {}
            self._found(0, str(error), what=str(data_dir / KEYS))
        self._receipts = check_receipts(data_dir, self._keys)
        if not self._refused:
            self._advance()

    def frame(self, stored: StoredFrame) -> None:
        """Hold a frame against the receipt that names it, if one does, and against the mark."""
        sequence = stored.sequence
        for commit in stored.frame.commits:
            for event in commit.events:
                if type(event) is SigningKeyDeclared:
                    self._declared[key_id_of(event.public_key)] = event.public_key
                elif type(event) is LossAccepted:
                    # Receipts of what went before may have been lost too, and that was accepted with it.
                    self.agreed = sequence
                    self._row = self._unreceipted = 0
                elif type(event) is Sealed and self._declared:
                    self._seal(sequence)
        if self._digest(sequence, stored.digest):
            self._check(stored)

    def digest(self, sequence: int, digest: str) -> None:
        """Hold a frame that could not be replayed against the receipt that names it, if one does, and against the mark."""
        if self._digest(sequence, digest):
            self.agreed = sequence
            self._report.receipts += 1
            self._advance()

    def drain(self) -> None:
        """Read the receipts that are left. A system that runs writes them after the frames: the last frame is asked for then."""
        while self._next is not None:
            self._advance()

    def end(self, last: int, durable: int | None = None) -> None:
        """Say what is stated of frames behind the last, and what should be stated and is not.

        Args:
            durable: what is stated of frames behind this one came too late to be held against; None for none.
        """
        marked = self.mark.sequence if self.mark is not None else 0
        top = max(marked, self._read)
        if durable is not None:
            top = min(top, max(durable, last))
        if top > last:
            source = "the mark" if marked >= top else "a receipt"
            gone = f"frame {top:,} was" if top == last + 1 else f"frames {last + 1:,} to {top:,} were"
            self._found(
                last + 1,
                f"{gone} durable, says {source}: {'it is' if top == last + 1 else 'they are'} gone",
                Finding.LOST,
                last=top,
            )
        self._check_mark()
        none = (
            self._unreceipted and not self._read and not self._refused and not receipt_files(self._data_dir)
        )
        # Behind a frame that its receipt disputes, none is matched any more.
        if (self._row > UNRECEIPTED_MAX and not self.disputed) or none:
            self._found(
                self._row_since,
                f"{self._row:,} seals from here to frame {last:,} have no receipt: receipts were taken away",
                last=last,
                what=str(self._directory),
            )

    # -- receipts

    def _digest(self, sequence: int, digest: str) -> bool:
        """Hold mark and next receipt against a frame; whether there is a receipt and it agrees."""
        mark = self.mark
        if mark is not None and mark.sequence == sequence and mark.head != digest and not self.disputed:
            self._found(
                self.agreed + 1,
                f"the mark says that frame {sequence:,} has digest {mark.head}, it has {digest}: the mark was forged, or"
                " frames were written anew",
                last=sequence,
                what=str(self._mark_path),
            )
        while self._next is not None and self._next.sequence < sequence:
            self._advance()
        receipt = self._next
        if receipt is None or receipt.sequence > sequence:
            return False
        if receipt.head == digest:
            return True
        if not self.disputed:
            self.disputed = sequence
            self._found(
                self.agreed + 1,
                f"a receipt says that frame {sequence:,} has digest {receipt.head}, it has {digest}: frames behind"
                f" {self.agreed:,}, the last that a receipt agrees with, were written anew",
                last=sequence,
            )
        self._advance()
        return False

    def _check(self, stored: StoredFrame) -> None:
        receipt, sequence = self._next, stored.sequence
        assert receipt is not None
        commits = stored.frame.commits
        seal = commits[receipt.commit].events[0] if receipt.commit < len(commits) else None
        if not isinstance(seal, Sealed) or seal.digest != receipt.digest:
            self._found(sequence, f"its receipt is for a seal in commit {receipt.commit} that is not there")
        elif self._declared.get(receipt.key_id) != self._keys.get(receipt.key_id):
            self._found(
                sequence,
                f"its receipt is signed with key {receipt.key_id}, which the journal does not declare: it was forged",
            )
        else:
            self.agreed = sequence
            self._report.receipts += 1
        self._row = 0
        self._unreceipted -= 1
        self._advance()

    def _seal(self, sequence: int) -> None:
        self._unreceipted += 1
        self._row += 1
        if self._row == 1:
            self._row_since = sequence

    def _advance(self) -> None:
        try:
            self._next = next(self._receipts, None)
        except JournalBroken as error:
            what = f"{error.path}:{error.line}" if isinstance(error, ReceiptDamaged) else ""
            self._found(error.sequence + 1, error.message, what=what)
            self._next = None
        if self._next is not None:
            self._read = self._next.sequence

    # -- mark

    def _look_at_mark(self) -> FoundMark:
        found = read_mark(self._mark_path)
        if found.damaged:
            # It may be that it was being written.
            time.sleep(_AGAIN_S)
            found = read_mark(self._mark_path)
        return found

    def _check_mark(self) -> None:
        """The mark is written before receipts: as it is now it is not behind those read, as it was at first not ahead."""
        found, path = self._look_at_mark(), str(self._mark_path)
        if self._marked.damaged or found.damaged:
            self._found(0, "the mark is not what was written", what=path)
            return
        mark = found.mark
        if mark is None:
            if self._read:
                self._found(0, "the mark is gone, though there are receipts", what=path)
            return
        if self._refused:
            return
        if self.mark is not None and self.mark.receipt > self._read:
            self._found(
                self._read + 1,
                f"receipts end at the one for frame {self._read:,}, the mark knows of one for {self.mark.receipt:,}: they"
                " were cut",
                last=self.mark.receipt,
                what=str(self._directory),
            )
        elif mark.sequence < self._read:
            self._found(
                mark.sequence,
                f"the mark is at frame {mark.sequence:,}, behind the receipt for {self._read:,}: it was set back, or the"
                " machine lost its power; the engine's next start sets it right",
                what=path,
            )

    def _found(
        self, sequence: int, message: str, kind: Finding = Finding.RECEIPT, *, last: int = 0, what: str = ""
    ) -> None:
        self._refused = True
        self._report.add(
            Found(
                kind=kind,
                sequence=sequence,
                message=message,
                last=last if last > sequence else 0,
                what=what,
            )
        )
