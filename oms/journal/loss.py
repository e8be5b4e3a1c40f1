"""Loss: what must be in the journal, held against what is. Pure: facts in, a finding with its range out.

What must be there is known from outside: the high-water mark and the receipts. A chain that is whole proves nothing
alone, because a journal that was cut and then went on is whole too.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import attrs

from oms.journal.errors import JournalBroken, JournalFault
from oms.messages.frames import GENESIS


class LossKind(StrEnum):
    """What was found. The first three are of the journal; the others of what proves that it is whole."""

    BEHIND = "BEHIND"
    """The journal ends before frames that were durable."""
    DIFFERS = "DIFFERS"
    """The journal holds other frames than were durable."""
    UNREADABLE = "UNREADABLE"
    """The journal counts frames that it does not give."""
    RECEIPTS_MISSING = "RECEIPTS_MISSING"
    """The journal declares a key, and there is neither mark nor receipt."""
    RECEIPTS_CUT = "RECEIPTS_CUT"
    """Receipts that were durable are gone."""
    RECEIPTS_DAMAGED = "RECEIPTS_DAMAGED"
    """A receipt is not what was written, or forged."""
    KEY = "KEY"
    """The last receipt is signed with a key that the journal does not declare."""

    @property
    def of_journal(self) -> bool:
        """Whether frames are gone; otherwise frames are unproven."""
        return self in (LossKind.BEHIND, LossKind.DIFFERS, LossKind.UNREADABLE)


@attrs.frozen
class Known:
    """A frame that was durable: its sequence, its digest, and who says so."""

    sequence: int
    head: str
    source: str


@attrs.frozen
class Loss:
    """A finding.

    Args:
        first, last: the frames concerned: gone or, where the proof was lost, unproven.
        head: digest that frame ``last`` had, as far as that is known.
        proven: receipts up to here still hold.
        message: what was found.
    """

    kind: LossKind
    first: int
    last: int
    head: str
    proven: int
    message: str

    @property
    def range(self) -> str:
        """For people."""
        return frames_text(self.first, self.last)


class JournalLost(JournalBroken):
    """The journal is not what is known to have been durable, or nothing proves any more that it is."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(JournalFault.LOST, loss.first, f"{loss.message}. {_advice(loss)}")
        self.loss = loss


def find_loss(
    first: int, last: int, held: Mapping[int, str | None], known: Sequence[Known], agreed: int
) -> Loss | None:
    """Compare the journal with what must be in it.

    Args:
        first, last: bounds of the journal as its server states them; ``last`` 0 for an empty one.
        held: sequence → digest of the frame there, for ``last`` and every known one within the bounds; None where the
            journal does not give it.
        known: frames that were durable.
        agreed: the last frame up to which the receipts and the journal are known to agree, 0 for none. Frames
            before ``first`` cannot be compared, and whoever reads them from the archive checks that they chain.
    """
    if not known:
        return None
    top = max(known, key=lambda each: each.sequence)
    within = [each for each in known if first <= each.sequence <= last]
    for each in within:
        found = held[each.sequence]
        if found is not None and found != each.head:
            end = "" if top.sequence <= last else f", and the journal ends at {last:,}"
            return Loss(
                LossKind.DIFFERS,
                agreed + 1,
                top.sequence,
                top.head,
                agreed,
                f"frame {each.sequence:,} has digest {found}, but {each.source} says {each.head}:"
                f" {frames_text(agreed + 1, top.sequence)} not as it was durable{end}",
            )
    if top.sequence > last:
        return Loss(
            LossKind.BEHIND,
            last + 1,
            top.sequence,
            top.head,
            last,
            f"the journal ends at {last:,}, but {top.source} says that frame {top.sequence:,} was durable:"
            f" {frames_text(last + 1, top.sequence)} gone",
        )
    if first > last:
        # Trimming always leaves frames, so this is none.
        return Loss(
            LossKind.UNREADABLE,
            1,
            last,
            top.head if top.sequence == last else GENESIS,
            0,
            f"the journal says that it ends at {last:,}, and keeps no frame at all: its store is damaged, or it was purged",
        )
    missing = [sequence for sequence, found in held.items() if found is None]
    if missing:
        return Loss(
            LossKind.UNREADABLE,
            min(missing),
            max(missing),
            next((each.head for each in known if each.sequence == max(missing)), GENESIS),
            min(missing) - 1,
            f"the journal says that it ends at {last:,}, but does not give"
            f" {frames_text(min(missing), max(missing))}: its store is damaged",
        )
    return None


def frames_text(first: int, last: int) -> str:
    """A range for people."""
    return f"frame {first:,}" if first == last else f"frames {first:,} to {last:,}"


def _advice(loss: Loss) -> str:
    if loss.kind is LossKind.UNREADABLE:
        return f"Restore {loss.range}: `oms replay restore` brings back what the archive has. Do not go on with this store"
    accept = "`oms replay accept-loss --by NAME --reason TEXT`"
    if loss.kind.of_journal:
        return (
            f"Restore {loss.range}: `oms replay restore` brings back what the archive has. Only when that is impossible,"
            f" {accept} records that they are gone, and the next start goes on without them"
        )
    return (
        f"Put back the right files (receipts and keys of the data directory that this journal was written with). When"
        f" they are gone, `oms replay verify` checks what is left, and {accept} records that nothing proves {loss.range}"
    )
