"""Reconciliation: what the private stream never told is found, told as a fact, and recorded as a difference."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from oms.journal.reader import read_frames
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.codec import encode
from oms.messages.commands import SubmitReports
from oms.messages.enums import OrderStatus
from oms.messages.frames import GENESIS
from oms.simulator.ledger import Balance
from oms.simulator.orders import OrderRequest
from replay.source import journal_bounds

from .conftest import QUICK, until
from .markets import PLACES, Markets, Place

S = OrderStatus
OFTEN = attrs.evolve(QUICK, orders_s=0.4, fills_s=0.4, funds_s=0.5, settled_s=0.2)
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())


@pytest.fixture
def exchanges(place: Place) -> tuple[str, ...]:
    return (place.exchange,)


async def _events(markets: Markets, kind: type) -> list[Any]:
    _, last = await journal_bounds(markets.nc)
    return [
        event
        async for batch in read_frames(markets.nc, 1, last, GENESIS)
        for stored in batch
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, kind)
    ]


async def _until(told: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + 10
    while not await told():
        assert time.monotonic() < end, "what should have been recorded was not"
        await asyncio.sleep(0.05)


async def _differences(markets: Markets) -> list[Any]:
    return [each for event in await _events(markets, e.Reconciled) for each in event.differences]


@every_place
async def test_what_the_stream_never_told_is_found(markets: Markets, place: Place) -> None:
    """A fill and a cancel whose reports are dropped, and an order from the exchange's own app that none told of."""
    await markets.connect(place.venue, settings=OFTEN)
    markets.alone(place)
    filled, canceled = await markets.place(place), await markets.place(place)
    for order_id in (filled, canceled):
        await markets.becomes(order_id, S.NEW)
    markets.fault(place, "drop_report")
    venue = markets.venue(place)
    main = venue.accounts["main"]
    venue.cancel(main, markets.at_venue(place, canceled)[0])
    markets.trade(place, 10 * place.unit, place.price)
    stranger = venue.place(
        main,
        OrderRequest(
            place.market,
            place.symbol,
            "BUY",
            "LIMIT",
            10 * place.unit,
            price=place.price - 100 * place.tick,
            client_order_id="web-77",
        ),
    )
    await markets.becomes(filled, S.FILLED)
    await markets.becomes(canceled, S.CANCELED)
    key = ((place.exchange, "main", place.market), "web-77")
    await until(lambda: key in markets.state.venue_ids, what="the stranger to be adopted")
    adopted = markets.order(markets.state.venue_ids[key])
    assert adopted.venue_order_id == str(stranger.order_id) or adopted.venue_order_id
    markets.simulator.exchanges[place.exchange].faults.clear()
    await until(lambda: not markets.differences(), what="the same funds here and there")

    async def told() -> bool:
        found = {(each.kind, each.key) for each in await _differences(markets)}
        # The trade is told when it is found, and is a difference when the stream has had its time.
        return {("order", canceled), ("order", "web-77")} <= found and "trade" in {kind for kind, _ in found}

    await _until(told)


@every_place
async def test_funds_that_moved_unseen_are_adopted_and_told(markets: Markets, place: Place) -> None:
    """A balance that changed at the venue without a word is taken over, with what was expected and what was found."""
    await markets.connect(place.venue, settings=OFTEN)
    exchange = markets.venue(place)
    wallet = exchange.accounts["main"].wallets[exchange.rules.wallets[place.market]]
    wallet["BTC"].free += Decimal("1.5")
    wallet.setdefault("ETH", Balance()).free += Decimal(3)
    await until(lambda: not markets.differences(), what="the same funds here and there")

    async def told() -> bool:
        found = {each.key: (each.expected, each.found) for each in await _differences(markets)}
        return found.get("BTC") == ("20", "21.5") and found.get("ETH") == ("0", "3")

    await _until(told)


@every_place
async def test_a_reconciliation_is_asked_for(markets: Markets, place: Place) -> None:
    """On request everything is compared, and recorded under the request even when nothing differs."""
    await markets.connect(place.venue)
    await markets.becomes(await markets.place(place), S.NEW)
    answer = await markets.ask("reconcile", place)
    assert answer["ok"], answer

    async def told() -> bool:
        return any(each.request_id for each in await _events(markets, e.Reconciled))

    await _until(told)
    (done,) = [each for each in await _events(markets, e.Reconciled) if each.request_id]
    assert done.differences == []
    assert done.orders == 1
    assert done.balances >= 2


@every_place
async def test_an_order_that_ended_here_and_works_there_is_canceled(markets: Markets, place: Place) -> None:
    """An order of ours that the engine was wrongly told has ended is nobody's: it is found, told and canceled."""
    await markets.connect(place.venue, settings=OFTEN)
    markets.alone(place)
    order_id = await markets.place(place)
    await markets.becomes(order_id, S.NEW)
    session = markets.running[0][0].connectors[place.venue].sessions["main"]
    wrong = r.Canceled(order_id=order_id, reason="so it was said", venue_time=1)
    command = SubmitReports(session=session.token, reports=[wrong])
    subject = f"report.{place.exchange}.main.{place.market}._"
    await markets.nc.request(subject, encode(command), timeout=5)
    assert markets.order(order_id).status is S.CANCELED
    await until(lambda: not any(each.is_open for each in markets.at_venue(place, order_id)), 15)

    async def told() -> bool:
        return ("order", order_id) in {(each.kind, each.key) for each in await _differences(markets)}

    await _until(told)
