"""Belonging: whether a journal and a data directory are of one history, before anything between them is called lost or damaged."""

import msgspec
from nats.aio.client import Client

from oms.encryption import EncryptionError
from oms.journal.errors import JournalBroken
from oms.journal.reader import read_frame
from oms.messages.events import JournalCreated
from oms.messages.frames import decode_frame
from replay.archive import Archive
from replay.snapshot import Snapshots


async def other_journals(nc: Client, snapshots: Snapshots, archive: Archive) -> tuple[str, str] | None:
    """The ids of the server's journal and of the data directory's when they are two; None when they are one, or not both known.

    A journal is known by its first frame, while it keeps that one; a data directory by a snapshot, or its archive's first frame.
    """
    served = await _served(nc)
    if not served:
        return None
    kept = _kept(snapshots, archive)
    return (served, kept) if kept and kept != served else None


async def _served(nc: Client) -> str:
    try:
        first, second = await read_frame(nc, 1), await read_frame(nc, 2)
        # A first frame that the second does not go on from is no other journal's, but damaged: that is told where it is found.
        if first is None or (second is not None and second.frame.prev != first.digest):
            return ""
        return _created(first.payload)
    except JournalBroken:
        return ""


def _kept(snapshots: Snapshots, archive: Archive) -> str:
    try:
        for header in snapshots.headers():
            return header.journal_id
        if archive.bounds()[1] and archive.bounds()[0] == 1:
            return _created(next(iter(archive.read(1, 1))).payload)
    except (JournalBroken, EncryptionError, OSError):
        # What is wrong there is told by whoever reads it for what it holds.
        pass
    return ""


def _created(payload: bytes) -> str:
    try:
        events = (event for commit in decode_frame(payload).commits for event in commit.events)
        return next((event.journal_id for event in events if isinstance(event, JournalCreated)), "")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
