"""Beginning: what a follower goes on from, so that its state, the archive and the trade log fit the journal and each other."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError

from oms.config import CacheConfig
from oms.journal.errors import JournalBroken, JournalFault
from oms.journal.reader import read_frame
from replay.archive import ArchiveBroken
from replay.following.keeper import Keeper
from replay.history import History
from replay.rebuild import check_against_journal, new_history, start_from
from replay.snapshot import Snapshots
from replay.source import Source, journal_bounds

log = logging.getLogger(__name__)

Found = TypeVar("Found")

POLL_S: Final = 0.1
"""How often to look for a journal that is not there yet."""
RETRY_S: Final = 0.5
SERVER_AWAY: Final = (nats.errors.Error, APIError, OSError, TimeoutError)
"""What nats-server's absence looks like; it is waited for."""


async def when_there(ask: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
    """Ask the server until it answers."""
    while True:
        try:
            return await ask()
        except SERVER_AWAY as error:
            log.warning("nats-server does not answer as needed: %r; trying again", error)
            await asyncio.sleep(RETRY_S)


async def wait_for_journal(nc: Client, keeper: Keeper, head: str | None) -> int:
    """Wait until there is a journal; return its last sequence.

    Args:
        head: digest of the last frame in the archive, which the keeper has opened.

    Raises:
        JournalBroken: it ends before the archive does, or differs from it there.
    """
    held = keeper.archiver.sequence
    while True:
        first, last = await when_there(lambda: journal_bounds(nc))
        if held > last:
            raise JournalBroken(
                JournalFault.LOST,
                last + 1,
                f"the archive holds frames up to {held:,}, the journal ends at {last:,}: it has lost frames {last + 1:,} to"
                f" {held:,}, or the archive is of another one. `oms replay restore` puts them back",
            )
        if last:
            break
        await asyncio.sleep(POLL_S)
    if head is not None and first <= held:
        stored = await when_there(lambda: read_frame(nc, held))
        if stored is not None and stored.digest != head:
            raise JournalBroken(
                JournalFault.CHAIN,
                held,
                f"the journal's frame has digest {stored.digest}, the archive's {head}: they are of different journals",
            )
    return last


async def begin(nc: Client, keeper: Keeper, snapshots: Snapshots, cache: CacheConfig) -> History:
    """The state to go on from.

    The newest snapshot, unless archive or trade log end before it: then an older one, or none, so that what they lack is
    applied again and comes to them with its checks and figures. Where there is no older state, the archive gets those
    frames without checks, and the trade log says what it lacks.

    Raises:
        JournalBroken: there is no state at all to begin from.
        SnapshotRefused: the newest snapshot is not of this journal.
    """
    source = await whole(nc, keeper)
    for snapshot in snapshots.newest_first():
        await check_against_journal(source, snapshot)
        break
    found = None
    if keeper.archiver.holds:
        found = await _state(source, snapshots, cache, keeper.archiver.sequence)
    if found is None:
        found = await _state(source, snapshots, cache, None)
    if found is None:
        first, _ = await source.bounds()
        raise JournalBroken(
            JournalFault.GAP,
            1,
            f"the history begins at {first:,}: a snapshot at {first - 1:,} or later is needed to begin from",
        )
    if keeper.archiver.holds and (reach := keeper.log_reach(found)) is not None:
        found = await _state(source, snapshots, cache, reach) or found
    return found


async def whole(nc: Client, keeper: Keeper) -> Source:
    """Archive and journal as one; the journal alone where the archive cannot be read or does not reach it."""
    archive = keeper.archiver.archive
    first, _ = await journal_bounds(nc)
    try:
        _, held = archive.bounds()
    except (ArchiveBroken, OSError):  # the keeper tells of it
        return Source(nc)
    return Source(nc, archive) if held + 1 >= first else Source(nc)


async def _state(
    source: Source, snapshots: Snapshots, cache: CacheConfig, until: int | None
) -> History | None:
    """The newest good snapshot up to a sequence, or the state before the first frame; None when nothing follows on it."""
    found = await start_from(source, snapshots, until_sequence=until, cache=cache)
    first, _ = await source.bounds()
    if found is None:
        return new_history(cache) if first == 1 else None
    return found if found.sequence + 1 >= first else None
