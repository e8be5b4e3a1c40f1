"""A follower that runs for a test, and what tests ask it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from oms.config import CacheConfig, StorageConfig
from oms.encryption import Keys
from oms.nats_server import EmbeddedNats
from replay.following.follower import Follower, FollowerSettings
from tests.replay.journal import Maker, write

Following = Callable[..., AbstractAsyncContextManager[Follower]]


@pytest.fixture(scope="module")
def url(nats_server_shared: EmbeddedNats, maker: Maker) -> str:
    """A server that holds the journal of the module's own ``maker``."""

    async def fill() -> None:
        nc = await nats.connect(nats_server_shared.url)
        await write(nc, maker.payloads)
        await nc.close()

    asyncio.run(fill())
    return nats_server_shared.url


@pytest.fixture
def following(nats_server: EmbeddedNats, tmp_path: Path) -> Following:
    """Run a follower on a connection of its own until the block ends; it stops cleanly unless ``crash``."""

    @asynccontextmanager
    async def run(
        data: str = "data",
        crash: bool = False,
        wait: bool = True,
        interval_s: float = 3_600,
        kill: bool = False,
        keys: Keys | None = None,
        **cache: int,
    ) -> AsyncIterator[Follower]:
        storage = StorageConfig(data_dir=tmp_path / data, snapshot_interval=int(interval_s * 1e9))
        client = await nats.connect(
            nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_quiet
        )
        follower = Follower(
            client, FollowerSettings(storage=storage, cache=CacheConfig(**cache), keys=keys, kill=kill)
        )
        stop = asyncio.Event()
        task = asyncio.create_task(follower.run(stop))
        try:
            if wait:
                ready = asyncio.create_task(follower.ready.wait())
                await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
                ready.cancel()
                if task.done():
                    await task
            yield follower
            if not crash:
                stop.set()
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()

    return run


async def _quiet(error: Exception) -> None:
    """Tests that stop the server expect its absence."""


async def ask(nc: Client, subject: str, /, **fields: Any) -> dict[str, Any]:
    """Ask as any NATS client would."""
    answer = await nc.request(subject, json.dumps(fields).encode() if fields else b"", timeout=10)
    found: dict[str, Any] = json.loads(answer.data)
    return found
