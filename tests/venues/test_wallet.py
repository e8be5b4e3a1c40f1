"""A wallet that several sessions share: they come and go, and none is held up for ever by another."""

import asyncio
from typing import Any

import attrs
import pytest

from oms.messages import reports as r
from oms.venues.reporter import Reporter
from oms.venues.session import Session

from .conftest import QUICK, until
from .markets import PLACES, Markets, Place

OFTEN = attrs.evolve(QUICK, orders_s=60.0, fills_s=60.0, funds_s=0.3, settled_s=0.1)
SPOT, FUTURES = PLACES["bybit.spot"], PLACES["bybit.futures"]


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return ("bybit",)


def session(markets: Markets, place: Place) -> Session | None:
    """The session there is at that place now."""
    return markets.running[0][0].connectors[place.venue].sessions.get("main")


async def test_a_session_that_ends_holds_up_nobody(markets: Markets, monkeypatch: pytest.MonkeyPatch) -> None:
    """While funds wait for what another session still has to tell, that session ends: both go on, and funds are compared."""
    await markets.connect(SPOT.venue, FUTURES.venue, settings=OFTEN)
    spot, ending = session(markets, SPOT), session(markets, FUTURES)
    assert spot is not None
    assert ending is not None
    never = asyncio.Event()
    send = Reporter._send

    async def stuck(reporter: Reporter, batch: Any) -> None:
        if reporter is ending._reporter:
            await never.wait()
        await send(reporter, batch)

    monkeypatch.setattr(Reporter, "_send", stuck)
    ending._reporter.put([r.InDoubt(order_id="nobody", reason="test")])
    await asyncio.sleep(1.0)
    ending.end("test")
    await until(lambda: session(markets, FUTURES) not in (None, ending), what="another session")
    await until(lambda: markets.running[0][0].ready, what="the other session to be ready")
    before = spot.reconciler.funds_compared_at
    await until(lambda: spot.reconciler.funds_compared_at > before, what="funds to be compared")
    assert session(markets, SPOT) is spot
