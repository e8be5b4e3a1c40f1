"""An order's life on every market, through its real protocol: engine, connector, unmodified ccxt, simulator, and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates.position import PositionKey
from oms.journal.reader import read_frames
from oms.messages.enums import MarginMode, OrderStatus
from oms.messages.events import Event, PositionAdjusted
from oms.messages.frames import GENESIS
from oms.venues.reconcile import Comparison
from replay.source import journal_bounds

from .conftest import until
from .markets import PLACES, Markets, Place

S = OrderStatus
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
FUTURES = [place for place in PLACES.values() if place.market == "futures"]
every_future = pytest.mark.parametrize("place", FUTURES, ids=[place.venue for place in FUTURES])


@pytest.fixture
def exchanges(place: Place) -> tuple[str, ...]:
    return (place.exchange,)


@every_place
async def test_an_order_is_filled_in_parts(markets: Markets, place: Place) -> None:
    """Acknowledged, filled in two parts, and every figure is the venue's to the last digit."""
    await markets.connect(place.venue)
    markets.alone(place)
    order_id = await markets.place(place)
    await markets.becomes(order_id, S.NEW)
    markets.trade(place, 3 * place.unit, place.price)
    order = await markets.becomes(order_id, S.PARTIALLY_FILLED)
    assert order.cumulative == 3 * place.unit
    markets.trade(place, 7 * place.unit, place.price)
    order = await markets.becomes(order_id, S.FILLED)
    assert order.cost == 10 * place.unit * place.price
    assert len(markets.at_venue(place, order_id)) == 1
    await until(lambda: not markets.differences(), what="the same funds here and there")


@every_place
async def test_an_order_is_canceled_and_amended(markets: Markets, place: Place) -> None:
    """Amended in quantity and price, filled in part, and canceled: one living venue order at any time."""
    await markets.connect(place.venue)
    markets.alone(place)
    order_id = await markets.place(place)
    await markets.becomes(order_id, S.NEW)
    price = place.price - 5 * place.tick
    answer = await markets.ask(
        "amend", place, order_id=order_id, quantity=f"{8 * place.unit:f}", price=f"{price:f}"
    )
    assert answer["ok"], answer
    await until(lambda: markets.order(order_id).quantity == 8 * place.unit)
    order = await markets.becomes(order_id, S.NEW)
    assert order.price == price
    assert sum(each.is_open for each in markets.at_venue(place, order_id)) == 1
    markets.trade(place, 2 * place.unit, price)
    await markets.becomes(order_id, S.PARTIALLY_FILLED)
    assert (await markets.ask("cancel", place, order_id=order_id))["ok"]
    order = await markets.becomes(order_id, S.CANCELED)
    assert order.cumulative == 2 * place.unit
    assert not any(each.is_open for each in markets.at_venue(place, order_id))
    await until(lambda: not markets.differences(), what="the same funds here and there")


@every_place
async def test_a_lost_answer_is_looked_up_and_never_repeated(markets: Markets, place: Place) -> None:
    """The order stands at the venue once, though its answer was lost."""
    await markets.connect(place.venue)
    markets.alone(place)
    for kind in ("lost_reply", "truncated_reply", "server_error_after"):
        markets.fault(place, kind, count=1)
        order_id = await markets.place(place)
        await markets.becomes(order_id, S.NEW)
        assert len(markets.at_venue(place, order_id)) == 1, kind
        markets.simulator.exchanges[place.exchange].faults.clear()
        assert (await markets.ask("cancel", place, order_id=order_id))["ok"]
        await markets.becomes(order_id, S.CANCELED)


@every_future
async def test_a_position_that_one_answer_leaves_out_is_not_given_up(
    markets: Markets, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that begins is told once that nothing is held, and then that it is: nothing was lost or earned by that."""
    key = await _holding(markets, place)
    (served, *_) = markets.running[0]
    adapter = type(served.connectors[place.venue].sessions["main"]._account)
    await markets.disconnect()
    positions, answers = adapter.positions, 0

    async def forgetful(account: Any) -> Any:
        nonlocal answers
        answers += 1
        found = await positions(account)
        return [] if answers == 1 else found

    monkeypatch.setattr(adapter, "positions", forgetful)
    await markets.connect(place.venue)
    assert answers > 1
    assert markets.state.positions[key].quantity == 10 * place.unit
    assert [event async for event in _recorded(markets) if isinstance(event, PositionAdjusted)] == []


@every_future
async def test_positions_read_before_a_change_of_terms_are_not_told_after_it(
    markets: Markets, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read again, though no fill came and the stream says nothing of the change."""
    key = await _holding(markets, place)
    (served, *_) = markets.running[0]
    session = served.connectors[place.venue].sessions["main"]
    positions, tell, told, readings = session._account.positions, session._reporter.tell, set(), 0

    async def slowly() -> Any:
        nonlocal readings
        readings += 1
        found = await positions()
        if readings == 1:
            assert (await markets.ask("set_terms", place, leverage="9"))["ok"]
            await until(lambda: markets.state.positions[key].leverage == 9, what="the new terms")
        return found

    async def telling(verb: str, command: Any) -> bytes:
        if verb == "report_positions":
            told.update(each.leverage for each in command.positions if each.symbol == place.symbol)
        return await tell(verb, command)

    async with session.reconciler._wallet.turn:
        monkeypatch.setattr(session._account, "positions", slowly)
        monkeypatch.setattr(session._reporter, "tell", telling)
        monkeypatch.setattr(session, "_moved", lambda: None)
    await session.reconciler.compare_funds(Comparison())
    assert told == {9}
    assert markets.state.positions[key].leverage == 9


async def _holding(markets: Markets, place: Place) -> PositionKey:
    """Connect, hold ten units at a leverage of 7, and see the same here and there; the position's key."""
    await markets.connect(place.venue)
    markets.alone(place)
    key = (place.exchange, "main", "futures", place.symbol)
    assert (await markets.ask("set_terms", place, leverage="7", margin_mode="cross"))["ok"]
    await until(lambda: key in markets.state.positions and markets.state.positions[key].leverage == 7)
    order_id = await markets.place(place)
    await markets.becomes(order_id, S.NEW)
    markets.trade(place, 10 * place.unit, place.price)
    await markets.becomes(order_id, S.FILLED)
    await until(lambda: not markets.differences(), what="the same funds and positions here and there")
    return key


async def _recorded(markets: Markets) -> AsyncIterator[Event]:
    """Every event in the journal."""
    _, last = await journal_bounds(markets.nc)
    async with aclosing(read_frames(markets.nc, 1, last, GENESIS)) as frames:
        async for batch in frames:
            for stored in batch:
                for commit in stored.frame.commits:
                    for event in commit.events:
                        yield event


@every_future
async def test_a_position_is_opened_closed_and_funded(markets: Markets, place: Place) -> None:
    """Leverage set, a long opened, funding paid, the position closed: positions and funds are the venue's."""
    await markets.connect(place.venue)
    markets.alone(place)
    key = (place.exchange, "main", "futures", place.symbol)
    assert (await markets.ask("set_terms", place, leverage="7", margin_mode="cross"))["ok"]
    await until(lambda: key in markets.state.positions and markets.state.positions[key].leverage == 7)
    assert markets.state.positions[key].margin_mode is MarginMode.CROSS
    order_id = await markets.place(place)
    await markets.becomes(order_id, S.NEW)
    markets.trade(place, 10 * place.unit, place.price)
    await markets.becomes(order_id, S.FILLED)
    assert markets.state.positions[key].quantity == 10 * place.unit
    venue = markets.venue(place)
    venue.settle_funding(venue.market("futures", place.symbol), Decimal("0.001"))
    await until(lambda: markets.state.positions[key].funding < 0, what="funding to be paid")
    order_id = await markets.place(place, side="sell", reduce_only=True)
    await markets.becomes(order_id, S.NEW)
    markets.trade(place, 10 * place.unit, place.price, side="BUY")
    await markets.becomes(order_id, S.FILLED)
    assert not markets.state.positions[key].quantity
    await until(lambda: not markets.differences(), what="the same funds and positions here and there")
    await asyncio.sleep(0.2)
    assert not markets.differences()
