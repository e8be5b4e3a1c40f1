"""Fixtures of the engine's tests."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from oms.engine.engine import Engine
from oms.nats_server import EmbeddedNats
from tests.engine.desk import Trader, Venue, engine_on


@pytest.fixture
async def engine(nats_server: EmbeddedNats) -> AsyncIterator[Engine]:
    """An engine on a journal of its own."""
    async with engine_on(nats_server.url) as engine:
        yield engine


@pytest.fixture
async def venue(engine: Engine, nc: Client) -> AsyncIterator[Venue]:
    """A ready session for ``main``."""
    venue = Venue(nc)
    await venue.open()
    yield venue
    await venue.close()


@pytest.fixture
async def trader(venue: Venue, nc: Client) -> Trader:
    """A client of ``main``, whose venue is ready."""
    return Trader(nc)
