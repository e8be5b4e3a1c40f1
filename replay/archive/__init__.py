"""The archive: every frame of the journal in files of one day each, compressed, checksummed and chained.

A frame that the journal no longer holds stands here, byte for byte. ``archive/YYYY/MM/DD/`` holds sealed segments
(``<first>-<last>.zst`` and its manifest ``.json``) and, on the last day, one open file.
"""

from replay.archive.errors import ArchiveBroken, ArchiveBusy
from replay.archive.manifest import Manifest
from replay.archive.reader import Archive, Segment
from replay.archive.record import ArchivedFrame
from replay.archive.sealed import SegmentReport, verify_segment
from replay.archive.writer import ArchiveWriter

__all__ = [
    "Archive",
    "ArchiveBroken",
    "ArchiveBusy",
    "ArchiveWriter",
    "ArchivedFrame",
    "Manifest",
    "Segment",
    "SegmentReport",
    "verify_segment",
]
