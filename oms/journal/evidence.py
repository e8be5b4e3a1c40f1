"""Evidence: what one data directory keeps outside the journal to prove that the journal is whole: mark, receipts, key.

One process at a time holds it. It is compared with the journal before anything is rebuilt, and again with the state that
was rebuilt; only then is it written to.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from oms.journal.acceptance import Acceptance, file_away, read_acceptance
from oms.journal.loss import JournalLost, Known, Loss, LossKind, find_loss
from oms.journal.mark import FILE as MARK_FILE
from oms.journal.mark import FoundMark, MarkFile, read_mark
from oms.journal.reader import read_frame, read_frames
from oms.journal.receipts import (
    DIRECTORY,
    Receipt,
    ReceiptDamaged,
    Receipts,
    ReceiptsFailed,
    readable_receipts,
    receipt_files,
    signed_bytes,
)
from oms.journal.signing import DIRECTORY as KEYS
from oms.journal.signing import SigningKey, key_id_of, known_keys, publish, verified
from oms.journal.stream import STREAM
from oms.messages.events import LossAccepted, SigningKeyDeclared
from oms.messages.frames import GENESIS, frame_digest

log = logging.getLogger(__name__)

HOLE_MAX: Final = 100_000
"""Frames looked at, backwards from the end, to say how far a hole reaches."""


class EvidenceHeld(Exception):
    """Another process holds this data directory's receipts."""


class Evidence:
    """The evidence in a data directory.

    Args:
        version, code: of the engine, for its receipts.
    """

    def __init__(self, data_dir: Path, version: str, code: str) -> None:
        self._data_dir = data_dir
        self.directory = data_dir / DIRECTORY
        self._version, self._code = version, code
        self._lock: int | None = None
        self._found = FoundMark(None, 0, False)
        self._known: list[Known] = []
        self._journal_last = 0
        self.mark = MarkFile(self.directory / MARK_FILE)
        self.key: SigningKey
        self.receipts: Receipts
        self.accepted: Acceptance | None = None

    def open(self) -> None:
        """Lock the directory and load the key, which is made when there is none.

        Raises:
            EvidenceHeld: another process has it.
            KeyRefused: the key cannot be used.
            ReceiptsFailed: the directory cannot be read or written.
        """
        with self._disk():
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise EvidenceHeld(f"another process writes the receipts in {self.directory}") from None
            self._lock = lock
            self.key = SigningKey.of(self._data_dir)
        self.receipts = Receipts(self._data_dir, self.key, self._version, self._code)

    def close(self) -> None:
        """Close all and unlock; but keep all, until the process ends, while a thread is stuck in writing receipts."""
        self.mark.close()
        if self._lock is not None and not self.receipts.busy:
            self.receipts.close()
            os.close(self._lock)
            self._lock = None

    # -- comparing

    async def compare(self, nc: Client) -> Loss | None:
        """Hold the journal against mark and receipts, read anew. Changes nothing.

        Raises:
            ReceiptsFailed: the files cannot be read. OSError, nats.errors.Error: the journal cannot be, now.
        """
        first, last = await _bounds(nc)
        self._journal_last = last
        with self._disk():
            self._found = read_mark(self.directory / MARK_FILE)
            damaged = self._open_receipts()
        self._warn_of_mark()
        self._known = self._known_frames(last)
        held = {
            sequence: await _digest_at(nc, sequence)
            for sequence in {last, *(each.sequence for each in self._known)}
            if first <= sequence <= last
        }
        if self._known and held.get(last, "") is None:
            held |= await _hole_before(nc, first, last)
        loss = find_loss(first, last, held, self._known, 0)
        if loss is not None and loss.kind is LossKind.DIFFERS:
            agreed = await _last_agreed(nc, receipt_files(self._data_dir), first, last)
            loss = find_loss(first, last, held, self._known, agreed)
        return loss or damaged or self._cut()

    async def compare_state(self, nc: Client, declared: str, sequence: int, head: str) -> Loss | None:
        """Hold what was rebuilt against mark and receipts, after :meth:`compare` found nothing.

        Args:
            declared: the public key that the journal declares, empty when it declares none.
            sequence, head: the last frame rebuilt.
        """
        for each in self._known:
            if each.sequence > sequence or (each.sequence == sequence and each.head != head):
                # The journal lost its end since it was compared; or no longer has this frame, which came from elsewhere.
                return find_loss(1, sequence, {sequence: head}, [each], 0)
        if declared and self._found.mark is None and self.receipts.last is None:
            return Loss(
                LossKind.RECEIPTS_MISSING,
                1,
                sequence,
                head,
                0,
                f"the journal declares that its receipts are signed with key {key_id_of(declared)}, but"
                f" {self.directory} holds neither mark nor receipts: nothing proves that no frame is gone",
            )
        receipt = self.receipts.last
        if receipt is None or await self._is_declared(nc, declared):
            return None
        return Loss(
            LossKind.KEY,
            1,
            sequence,
            head,
            0,
            f"the receipt for frame {receipt.sequence:,} is signed with key {receipt.key_id}, but the journal declares"
            f" {key_id_of(declared) if declared else 'none'}",
        )

    async def _is_declared(self, nc: Client, declared: str) -> bool:
        """Whether the last receipt's key is the declared one, or one before it that another has followed since."""
        receipt, line = self.receipts.last, self.receipts.last_line
        assert receipt is not None
        if not declared:
            return False
        if verified(declared, signed_bytes(line), receipt.signature):
            if receipt.key_id not in known_keys(self._data_dir):
                with self._disk():
                    publish(self._data_dir / KEYS, declared)
            return True
        if receipt.key_id not in known_keys(self._data_dir) or receipt.key_id == key_id_of(declared):
            return False
        first, last = await _bounds(nc)
        async for batch in read_frames(nc, max(first, receipt.sequence + 1), last, None):
            for stored in batch:
                for commit in stored.frame.commits:
                    event = commit.events[0]
                    if isinstance(event, SigningKeyDeclared) and event.public_key == declared:
                        return True
        return False

    def _open_receipts(self) -> Loss | None:
        try:
            self.receipts.open()
        except ReceiptDamaged as error:
            mark = self._found.mark
            top = max(self._journal_last, mark.sequence if mark else 0)
            return Loss(
                LossKind.RECEIPTS_DAMAGED,
                error.sequence + 1,
                top,
                mark.head if mark and mark.sequence == top else GENESIS,
                error.sequence,
                f"the receipts are damaged: {error.message}",
            )
        return None

    def _cut(self) -> Loss | None:
        mark, last = self._found.mark, self.receipts.last
        held = last.sequence if last else 0
        if mark is None or mark.receipt <= held:
            return None
        return Loss(
            LossKind.RECEIPTS_CUT,
            held + 1,
            mark.sequence,
            mark.head,
            held,
            f"the receipts in {self.directory} end at frame {held:,}, but the mark says that one for frame"
            f" {mark.receipt:,} was written: receipts were cut off",
        )

    def _known_frames(self, end: int) -> list[Known]:
        known = []
        if (mark := self._found.mark) is not None and mark.sequence:
            known.append(Known(mark.sequence, mark.head, f"the mark {self.directory / MARK_FILE}"))
        if (last := self.receipts.last) is not None:
            known.append(Known(last.sequence, last.head, f"the receipt for it in {self.directory}"))
            # Behind the journal's end nothing can be compared: what lies before it says whether it is the same journal.
            if (
                last.sequence > end
                and (held := _newest_up_to(receipt_files(self._data_dir), end)) is not None
            ):
                known.append(Known(held.sequence, held.head, f"the receipt for it in {self.directory}"))
        return known

    def _warn_of_mark(self) -> None:
        found, path = self._found, self.directory / MARK_FILE
        if found.mark is not None and found.damaged:
            log.warning("%s: one of its two slots is damaged; the other holds %s", path, found.mark)
        if found.mark is None and (found.there or self.receipts.last is not None):
            what = "both slots are damaged" if found.there else "it is not there"
            last = self.receipts.last
            log.error(
                "%s: %s: whether frames after the last receipt, for frame %d, were lost cannot be told; find out what"
                " happened to this file",
                path,
                what,
                last.sequence if last else 0,
            )

    # -- accepting

    async def check_journal(self, nc: Client) -> None:
        """Before anything is rebuilt: :meth:`compare`, and refuse a loss that nobody accepted.

        Raises:
            JournalLost: with the range.
            JournalBroken: an acceptance is damaged.
            ReceiptsFailed, OSError, nats.errors.Error: as :meth:`compare`.
        """
        self.accepted = None
        waiting = self._waiting()
        if waiting is not None and await self._is_recorded(nc, waiting):
            # Recorded, and then the engine ended before it could tidy up.
            self._settle(waiting, *await journal_end(nc))
        self._admit(await self.compare(nc))

    async def check_state(self, nc: Client, declared: str, sequence: int, head: str) -> None:
        """After the rebuild: :meth:`compare_state`, refuse a loss that nobody accepted, and stand ready to write.

        Where a loss was accepted, nothing is written before that is in the journal; then :meth:`settle` does it.

        Raises:
            as :meth:`check_journal`.
        """
        if self.accepted is None:
            self._admit(await self.compare_state(nc, declared, sequence, head))
        if self.accepted is not None:
            return
        if (unused := self._waiting()) is not None:
            name = f"accepted-{unused.at}-unused.json"
            log.error("what %s accepted as lost is there: the acceptance is void, see %s", unused.by, name)
            with self._disk():
                file_away(self.directory, name)
        with self._disk():
            self._set_mark(sequence, head)

    def _admit(self, loss: Loss | None) -> None:
        if loss is None:
            return
        waiting = self._waiting()
        if waiting is None or not waiting.covers(loss):
            raise JournalLost(loss)
        self.accepted = waiting

    def accepted_event(self) -> LossAccepted | None:
        """What the next frame must record of the acceptance in force."""
        return None if self.accepted is None else self.accepted.event()

    async def _is_recorded(self, nc: Client, waiting: Acceptance) -> bool:
        first, last = await _bounds(nc)
        at = waiting.journal_last + 1
        stored = await read_frame(nc, at) if first <= at <= last else None
        event = waiting.event()
        return stored is not None and any(event in commit.events for commit in stored.frame.commits)

    def _settle(self, accepted: Acceptance, sequence: int, head: str) -> None:
        with self._disk():
            self.receipts.cut_after(accepted.proven, self.directory / f"lost-{time.time_ns()}.jsonl")
            self.receipts.open()
            self._set_mark(sequence, head)
            file_away(self.directory, f"accepted-{accepted.at}.json")

    # -- writing

    def settle(self, sequence: int, head: str) -> None:
        """An accepted loss is in the journal, which ends at ``sequence``: move the receipts of what is gone away.

        Raises:
            ReceiptsFailed: not all was done; the next start does the rest.
        """
        if self.accepted is not None:
            self._settle(self.accepted, sequence, head)
            self.accepted = None

    def durable(self, sequence: int, head: str) -> None:
        """Note that this frame is durable.

        Raises:
            ReceiptsFailed: it was not noted.
        """
        if self.accepted is None:
            try:  # as _disk(), which would double what this costs for every frame
                self.mark.write(sequence, head)
            except OSError as error:
                raise self._failed(error) from error

    def receipted(self, sequence: int) -> None:
        """Note that the receipts up to this frame's are durable.

        Raises:
            ReceiptsFailed: it was not noted.
        """
        if self.accepted is None:
            with self._disk():
                self.mark.write_receipt(sequence)

    def _waiting(self) -> Acceptance | None:
        with self._disk():
            return read_acceptance(self.directory, self.key)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """What fails here is the disk: told apart from a nats-server that does not answer, which is tried again."""
        try:
            yield
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ReceiptsFailed:
        return ReceiptsFailed(
            f"mark or receipts in {self.directory} cannot be read or written ({error}): the engine stops, because it would"
            " go on without proof; mend the disk, then start it again"
        )

    def _set_mark(self, sequence: int, head: str) -> None:
        last = self.receipts.last
        self.mark.set(sequence, head, last.sequence if last else 0)


async def journal_end(nc: Client) -> tuple[int, str]:
    """The journal's last sequence and its frame's digest; 0 and GENESIS where there is none."""
    _, last = await _bounds(nc)
    return last, await _digest_at(nc, last) or GENESIS if last else GENESIS


async def _bounds(nc: Client) -> tuple[int, int]:
    try:
        state = (await nc.jetstream().stream_info(STREAM)).state
    except NotFoundError:
        return 1, 0
    return max(state.first_seq, 1), state.last_seq


async def _digest_at(nc: Client, sequence: int) -> str | None:
    """Digest of the frame there; None when the server does not give it."""
    try:
        found = await nc.jetstream().get_msg(STREAM, seq=sequence)
    except NotFoundError:
        return None
    return frame_digest(found.data or b"")


async def _hole_before(nc: Client, first: int, last: int) -> dict[int, str | None]:
    """The frames before ``last`` that the server does not give either, as far as they follow each other."""
    hole: dict[int, str | None] = {}
    for sequence in range(last - 1, max(first - 1, last - HOLE_MAX), -1):
        if await _digest_at(nc, sequence) is not None:
            break
        hole[sequence] = None
    return hole


async def _last_agreed(nc: Client, files: list[Path], first: int, last: int) -> int:
    """The sequence of the last receipt that the journal agrees with, 0 for none.

    Agreement on one frame is agreement on all before it, because they chain; so it is searched by halves. Receipts
    before ``first`` cannot be compared and are taken to agree.
    """

    async def agrees(receipt: Receipt) -> bool:
        if first <= receipt.sequence <= last:
            return await _digest_at(nc, receipt.sequence) == receipt.head
        return receipt.sequence < first

    heads = [next(readable_receipts(path), None) for path in files]
    filled = [(path, head) for path, head in zip(files, heads, strict=True) if head is not None]
    count = await _leading([head for _, head in filled], agrees)
    if not count:
        return 0
    within = list(readable_receipts(filled[count - 1][0]))
    return within[await _leading(within, agrees) - 1].sequence


def _newest_up_to(files: list[Path], sequence: int) -> Receipt | None:
    """The newest receipt that is for no frame behind ``sequence``."""
    for path in reversed(files):
        newest = None
        for receipt in readable_receipts(path):
            if receipt.sequence > sequence:
                break
            newest = receipt
        if newest is not None:
            return newest
    return None


async def _leading(receipts: list[Receipt], agrees: Callable[[Receipt], Awaitable[bool]]) -> int:
    """How many of them agree, where all that agree come first."""
    low, high = 0, len(receipts)
    while low < high:
        middle = (low + high) // 2
        if await agrees(receipts[middle]):
            low = middle + 1
        else:
            high = middle
    return low
