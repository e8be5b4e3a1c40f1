"""Collecting what the comparisons compare: journal, venue, follower, replay; each from its own source."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import nats
from nats.aio.client import Client

from oms.cli.demo.compare import JournalFacts
from oms.cli.exits import Exit, StoppedError
from oms.config import Config
from oms.journal.reader import read_frames
from oms.messages.frames import GENESIS, Commit
from oms.simulator.client import ControlClient
from replay.archive import Archive
from replay.history import History
from replay.rebuild import rebuild
from replay.snapshot import Snapshot, Snapshots
from replay.source import Source, journal_bounds
from replay.verify import Report, verify


async def connect(url: str) -> Client:
    """A plain connection, for reading the journal."""
    return await nats.connect(url, name="mexoms-demo")


async def read_journal(nc: Client) -> tuple[JournalFacts, int]:
    """Read every frame, its chain checked, and return what they say and the last sequence."""
    facts = JournalFacts()
    _, last = await journal_bounds(nc)
    async with aclosing(commits(nc, last)) as every:
        async for commit in every:
            facts.add(commit)
    return facts, last


async def commits(nc: Client, last: int) -> AsyncGenerator[Commit]:
    """Every commit up to the frame ``last``, the chain of frames checked."""
    async with aclosing(read_frames(nc, 1, last, GENESIS)) as frames:
        async for batch in frames:
            for stored in batch:
                for commit in stored.frame.commits:
                    yield commit


async def venue_balances(venue: ControlClient, config: Config) -> dict[str, Any]:
    """Spot balances of our accounts at the venue; its own market maker left out."""
    found = cast("dict[str, Any]", await venue.balances())
    return {account: found[account]["spot"] for account in config.accounts}


async def venue_prices(venue: ControlClient) -> dict[str, str]:
    """Middle prices of the spot symbols."""
    state = cast("dict[str, Any]", await venue.state())
    return cast("dict[str, str]", state["prices"]["spot"])


async def venue_rows(rows: Awaitable[list[dict[str, object]]], config: Config) -> list[dict[str, Any]]:
    """Orders or trades of our accounts at the venue."""
    return [row for row in await rows if row["account"] in config.accounts]


def last_snapshot(config: Config) -> Snapshot:
    """The snapshot that the follower wrote when it stopped: its live state at that moment."""
    snapshot = next(Snapshots(config.storage.data_dir).newest_first(), None)
    if snapshot is None:
        raise StoppedError(Exit.REFUSED, "the follower wrote no snapshot at its stop")
    return snapshot


async def replay_until(nc: Client, sequence: int, config: Config) -> History:
    """Rebuild state and read models from the first frame, as `oms replay state --from-zero` does."""
    return await rebuild(Source(nc), None, from_zero=True, until_sequence=sequence, cache=config.cache)


async def verified(nc: Client, config: Config) -> Report:
    """Hold journal, archive, receipts, seals, snapshots and decisions against each other, as `oms replay verify` does."""
    data_dir = config.storage.data_dir
    archive = Archive(data_dir)
    return await verify(Source(nc, archive), data_dir, Snapshots(data_dir), archive)


async def until(what: str, done: Callable[[], Awaitable[bool]], within_s: float = 15.0) -> None:
    """Wait for something to become true.

    Raises:
        StoppedError: it did not, in time.
    """
    deadline = time.monotonic() + within_s
    while not await done():
        if time.monotonic() > deadline:
            raise StoppedError(Exit.REFUSED, f"waited {within_s:g} s in vain until {what}")
        await asyncio.sleep(0.05)
