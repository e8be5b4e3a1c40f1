"""What can be wrong with an archive."""

from pathlib import Path

from oms.journal.errors import JournalBroken, JournalFault


class ArchiveBroken(JournalBroken):
    """The archive does not hold what was written to it.

    Args:
        path: the file or directory that is wrong.
        sequence: the first frame that is touched by it.
        message: what was expected and what was found.
    """

    def __init__(self, path: Path, sequence: int, message: str) -> None:
        super().__init__(JournalFault.ARCHIVE, sequence, f"{path}: {message}")
        self.path = path


class ArchiveBusy(Exception):
    """Another process writes the archive."""
