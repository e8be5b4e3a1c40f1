"""A wallet that several sessions share: they come and go, and none is held up for ever by another."""

import asyncio
from typing import Any

import attrs
import pytest

from oms.messages import reports as r
from oms.venues.errors import Kind, VenueError
from oms.venues.reporter import Reporter
from oms.venues.session import Session
from oms.venues.wallet import Wallet

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


async def test_another_markets_refused_key_ends_no_session_of_this_one(
    markets: Markets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be asked in another session's name is that session's trouble alone."""
    await markets.connect(SPOT.venue, FUTURES.venue, settings=OFTEN)
    spot, futures = session(markets, SPOT), session(markets, FUTURES)
    assert spot is not None
    assert futures is not None

    async def refused() -> int:
        # As when the key was deleted a moment ago, and its own session has not met that yet.
        raise VenueError(Kind.AUTH_FATAL, "10003 API key is invalid")

    monkeypatch.setattr(futures.reconciler, "catch_up", refused)
    with pytest.raises(VenueError) as error:
        await spot.reconciler._catch_up_of(futures.reconciler)
    assert error.value.kind is Kind.UNKNOWN


class Part:
    """A session's part in a wallet, ready or not."""

    moves = 0
    caught_up = True

    async def catch_up(self) -> int:
        return 0

    def hold(self) -> Any:
        raise NotImplementedError


def test_a_wallet_waits_for_a_session_that_is_to_come_back() -> None:
    """Between two sessions of a market the wallet is not caught up, and who comes or goes is a move."""
    wallet = Wallet(markets=2)
    first, second = Part(), Part()
    wallet.join(first)
    wallet.join(second)
    assert wallet.caught_up
    second.moves = 3
    before = wallet.moves()
    wallet.leave(second)
    assert wallet.moves() > before
    assert not wallet.caught_up
