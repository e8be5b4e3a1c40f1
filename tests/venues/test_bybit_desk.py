"""What is special about Bybit, from a client's command to the venue: answers that say nothing, orders without a client id,
orders that the venue makes or refuses after it took them, and one wallet for both markets."""

import asyncio
import random
from decimal import Decimal

import attrs
import pytest

from oms.messages.enums import OrderStatus
from oms.simulator.orders import Order, OrderRequest

from .conftest import QUICK, until
from .markets import PLACES, Markets, Place

SPOT, FUTURES = PLACES["bybit.spot"], PLACES["bybit.futures"]
D = Decimal


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return ("bybit",)


def from_app(markets: Markets, place: Place, **fields: object) -> Order:
    """An order from the exchange's own app."""
    venue = markets.venue(place)
    wanted = {"side": "BUY", "type": "LIMIT", "quantity": 10 * place.unit, "price": place.price, **fields}
    return venue.place(venue.accounts["main"], OrderRequest(place.market, place.symbol, **wanted))  # type: ignore[arg-type]


async def adopted(markets: Markets, place: Place) -> str:
    """The id of the only order that the desk did not make itself, once it is known."""
    ids = markets.state.venue_ids
    of = (place.exchange, "main", place.market)
    await until(lambda: any(key[0] == of for key in ids), what="the order to be adopted")
    return next(order_id for key, order_id in ids.items() if key[0] == of)


@pytest.mark.parametrize("place", [SPOT, FUTURES], ids=["spot", "futures"])
async def test_orders_of_the_app(markets: Markets, place: Place) -> None:
    """An order that nobody gave a client id becomes one of the desk's, with its trades, and is canceled by the venue's id."""
    await markets.connect(place.venue)
    markets.alone(place)
    made = from_app(markets, place)
    order_id = await adopted(markets, place)
    markets.trade(place, 4 * place.unit, place.price)
    await until(lambda: markets.order(order_id).cumulative == 4 * place.unit, what="its trade")
    assert (await markets.ask("cancel", place, order_id=order_id))["ok"]
    await markets.becomes(order_id, OrderStatus.CANCELED)
    assert not made.is_open
    await until(lambda: not markets.differences(), what="the same funds and positions here and there")


@pytest.mark.parametrize("place", [SPOT, FUTURES], ids=["spot", "futures"])
async def test_refused_after_it_was_taken(markets: Markets, place: Place) -> None:
    """The venue takes an order before its matching engine has seen it: a refusal that comes later ends the order."""
    await markets.connect(place.venue)
    markets.alone(place)
    order_id = await markets.place(place)
    await markets.becomes(order_id, OrderStatus.NEW)
    venue = markets.venue(place)
    (order,) = markets.at_venue(place, order_id)
    market = venue.market(place.market, place.symbol)
    venue._execution.leave_book(market, venue.accounts["main"], order)
    venue._execution.close(market, venue.accounts["main"], order, "REJECTED")
    ended = await markets.becomes(order_id, OrderStatus.REJECTED)
    assert ended.cumulative == 0


async def test_a_liquidation(markets: Markets) -> None:
    """A position that the venue closes is closed here, by an order of the venue's own with its trade and its fee."""
    await markets.connect(SPOT.venue, FUTURES.venue)
    order_id = await markets.place(FUTURES, type="market", price=None)
    await markets.becomes(order_id, OrderStatus.FILLED)
    venue = markets.venue(FUTURES)
    (closing,) = venue.liquidate(venue.accounts["main"], FUTURES.symbol)
    known = await adopted(markets, FUTURES)
    order = await markets.becomes(known, OrderStatus.FILLED)
    assert order.cumulative == closing.executed
    await until(lambda: not markets.differences(), what="the same funds and positions here and there")


async def test_one_wallet(markets: Markets) -> None:
    """Both markets trade on the same funds, and the desk holds them once."""
    await markets.connect(SPOT.venue, FUTURES.venue)
    for place in (SPOT, FUTURES):
        order_id = await markets.place(place, type="market", price=None)
        await markets.becomes(order_id, OrderStatus.FILLED)
    await until(lambda: not markets.differences(), what="the same funds and positions here and there")
    wallets = [key for key in markets.state.wallets if key[:2] == ("bybit", "main")]
    assert wallets == [("bybit", "main", "unified")]


FAULTS = [
    ("lost_reply", None),
    ("drop_request", None),
    ("truncated_reply", None),
    ("server_error_after", None),
    ("timeout_1007", None),
    ("rate_limited", None),
    ("duplicate_report", None),
    ("drop_report", None),
    ("delay_report", None),
    ("reorder_report", None),
]


async def test_a_storm(markets: Markets) -> None:
    """However answers and reports are lost, late, twice or out of order: in the end both sides agree on every order and digit."""
    draw = random.Random(5)
    # What no report tells is found by comparing.
    often = attrs.evolve(QUICK, orders_s=1.0, fills_s=0.5, funds_s=1.0, settled_s=0.2)
    await markets.connect(SPOT.venue, FUTURES.venue, settings=often)
    for place in (SPOT, FUTURES):
        markets.alone(place)
    for kind, endpoint in FAULTS:
        markets.fault(
            SPOT, kind, endpoint=endpoint, probability_percent=6, delay_ms=40, retry_after_s=0, status=502
        )
    placed: list[tuple[Place, str]] = []
    for _ in range(24):
        place = draw.choice((SPOT, FUTURES))
        price = place.price - draw.randint(0, 9) * place.tick
        placed.append((place, await markets.place(place, price=f"{price:f}")))
        place, order_id = draw.choice(placed)
        what = draw.choice(("trade", "amend", "cancel", "trade"))
        if what == "trade":
            markets.trade(place, draw.randint(1, 9) * place.unit, place.price - 9 * place.tick)
        elif what == "amend":
            await markets.ask(
                what, place, order_id=order_id, quantity=f"{draw.randint(5, 15) * place.unit:f}"
            )
        else:
            await markets.ask(what, place, order_id=order_id)
        await asyncio.sleep(0.02)
    markets.simulator.exchanges["bybit"].faults.clear()

    def unlike() -> list[str]:
        found = markets.differences()
        for place, order_id in placed:
            ours, theirs = markets.order(order_id), markets.at_venue(place, order_id)
            there = (theirs[0].is_open, theirs[0].executed) if theirs else (False, 0)
            here = (ours.leaves != 0, ours.cumulative)
            if here != there or ours.in_doubt:
                found.append(f"{ours}: {theirs}")
        return found

    try:
        await until(lambda: not unlike(), 30)
    except AssertionError:
        raise AssertionError("\n".join(unlike())) from None
