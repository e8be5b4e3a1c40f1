"""What can be wrong with a journal. Each stops whoever meets it; none is worked around."""

from enum import StrEnum


class JournalFault(StrEnum):
    """Kinds of faults, as shown to operators."""

    GAP = "GAP"
    CHAIN = "CHAIN"
    UNREADABLE = "UNREADABLE"
    SETTINGS = "SETTINGS"
    CLOCK = "CLOCK"
    SEAL = "SEAL"
    NEWER = "NEWER"
    ARCHIVE = "ARCHIVE"
    LOST = "LOST"
    RECEIPT = "RECEIPT"


class JournalBroken(Exception):
    """The journal does not hold what it must.

    Args:
        fault: the kind.
        sequence: the frame where it was seen.
        message: what was expected and what was found.
    """

    def __init__(self, fault: JournalFault, sequence: int, message: str) -> None:
        super().__init__(f"{fault} at sequence {sequence}: {message}")
        self.fault = fault
        self.sequence = sequence
        self.message = message


class Fenced(Exception):
    """Another writer has appended to the journal. This one must stop and never write again."""


class AppendUnknown(Exception):
    """An append could not be confirmed within its bound: it may or may not be durable."""


class AppendRefused(Exception):
    """The server refused an append and says that it did not store it (stream full, say)."""
