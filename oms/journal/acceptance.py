"""Acceptance: a person's word that a loss is known and that the engine may go on. Good for that loss, and once."""

import os
from pathlib import Path
from typing import Final

import msgspec

from oms.disk import sync_directory
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.loss import Loss, LossKind
from oms.journal.signing import SigningKey, verified
from oms.messages.events import LossAccepted

FILE: Final = "accepted.json"
FILE_BYTES_MAX: Final = 64 * 1024
TEXT_MAX: Final = 1_000
"""Characters of a name or a reason."""
TEXT_BYTES_MAX: Final = 3_500
"""Bytes of one as JSON: both are in one command of the engine's own, which is bounded like a client's."""


class _Statement(msgspec.Struct, frozen=True, kw_only=True):
    kind: LossKind
    first: int
    last: int
    head: str
    proven: int
    journal_last: int
    journal_head: str
    by: str
    reason: str
    at: int
    key_id: str


class Acceptance(_Statement, frozen=True, kw_only=True):
    """What was accepted.

    Args:
        kind, first, last, head, proven: of the :class:`~oms.journal.loss.Loss`.
        journal_last, journal_head: where the journal ended, and the digest there, when it was accepted.
        by, reason, at: who, why, when (UTC ns).
        signature: with the receipts' key, over the JSON of all other members.
    """

    signature: str

    def covers(self, loss: Loss) -> bool:
        """Whether this is the loss that was accepted."""
        return (self.kind, self.first, self.last, self.head, self.proven) == (
            loss.kind,
            loss.first,
            loss.last,
            loss.head,
            loss.proven,
        )

    def event(self) -> LossAccepted:
        """What the journal records. Where only the proof was lost no frame is gone, so the range is empty."""
        if self.kind.of_journal:
            return LossAccepted(
                first=self.first, last=self.last, head=self.head, by=self.by, reason=self.reason
            )
        return LossAccepted(
            first=self.journal_last + 1,
            last=self.journal_last,
            head=self.journal_head,
            by=self.by,
            reason=f"{self.kind}, frames {self.first} to {self.last} are unproven: {self.reason}",
        )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Acceptance).decode


def write_acceptance(
    directory: Path,
    key: SigningKey,
    loss: Loss,
    *,
    journal_last: int,
    journal_head: str,
    by: str,
    reason: str,
    at: int,
) -> Acceptance:
    """Record an acceptance, durably, in place of one that waits.

    Raises:
        OSError: it was not recorded.
    """
    statement = _Statement(
        kind=loss.kind,
        first=loss.first,
        last=loss.last,
        head=loss.head,
        proven=loss.proven,
        journal_last=journal_last,
        journal_head=journal_head,
        by=by,
        reason=reason,
        at=at,
        key_id=key.key_id,
    )
    acceptance = Acceptance(**msgspec.structs.asdict(statement), signature=key.sign(_encode(statement)))
    temporary = directory / f".{FILE}"
    with temporary.open("wb") as file:
        file.write(_encode(acceptance))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / FILE)
    sync_directory(directory)
    return acceptance


def read_acceptance(directory: Path, key: SigningKey) -> Acceptance | None:
    """The acceptance that waits; None when there is none.

    Raises:
        JournalBroken: LOST: it is not what was written.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    try:
        acceptance = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(path, str(error)) from None
    if _encode(acceptance) != raw:
        raise _refused(path, "it is not written as acceptances are")
    if not verified(key.public_key, raw[: raw.rindex(b',"signature"')] + b"}", acceptance.signature):
        raise _refused(path, "its signature is not that of this data directory's key")
    return acceptance


def file_away(directory: Path, name: str) -> None:
    """Take the acceptance out of force; it stays as ``name``."""
    (directory / FILE).replace(directory / name)
    sync_directory(directory)


def _refused(path: Path, message: str) -> JournalBroken:
    return JournalBroken(
        JournalFault.LOST,
        0,
        f"{path}: {message}; remove it, and accept the loss again with `oms replay accept-loss`",
    )
