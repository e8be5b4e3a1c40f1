"""Instructions that race look-ups: what was withdrawn or never told is not sent afterwards."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from oms.messages import reports as r
from oms.messages.enums import OrderStatus, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, LookUp, Submit
from oms.venues.adapter import AmendRefused, State, VenueOrder, VenueTrade
from oms.venues.errors import Kind, VenueError
from oms.venues.lookup import Question
from oms.venues.orders import Orders

from .conftest import QUICK, until

ORDER_ID = "mabcde0000000001"


class Silent:
    """A venue that must not be asked."""

    accept_window_s = 0.5

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the venue was asked: {name}")


@pytest.fixture
def told() -> list[r.Report]:
    return []


def _orders(told: list[r.Report], concurrent: int) -> Orders:
    settings = attrs.evolve(QUICK, concurrent=concurrent)

    def fail(reason: str) -> None:
        raise AssertionError(reason)

    orders = Orders(Silent(), settings, told.extend, fail)  # type: ignore[arg-type]
    orders.ready_at = time.time_ns() - 10**10
    return orders


def _submit() -> Submit:
    return Submit(
        order_id=ORDER_ID,
        client_id=ORDER_ID,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=Decimal(1),
        deadline=time.time_ns() + 10**10,
    )


def _look_up() -> LookUp:
    return LookUp(
        order_id=ORDER_ID,
        client_id=ORDER_ID,
        symbol="BTCUSDT",
        side=Side.BUY,
        status=OrderStatus.PENDING_NEW,
        quantity=Decimal(1),
        cumulative=Decimal(0),
        since=time.time_ns(),
    )


async def test_a_look_up_withdraws_what_waits_for_its_turn(told: list[r.Report]) -> None:
    """An order that is looked up before its request was begun is never sent, and is told absent at once."""
    orders = _orders(told, concurrent=0)
    orders.instruct(_submit())
    await asyncio.sleep(0)
    orders.instruct(_look_up())
    assert told == [r.Absent(order_id=ORDER_ID, reason="never sent")]
    orders._slots.release()
    await asyncio.sleep(0.05)
    orders.instruct(_submit())
    await asyncio.sleep(0.05)
    assert len(told) == 1
    await orders.close()


async def test_an_order_never_told_is_absent_at_once(told: list[r.Report]) -> None:
    """An order placed since this session serves the account, and never told to it, cannot be at the venue."""
    orders = _orders(told, concurrent=5)
    orders.instruct(_look_up())
    assert told == [r.Absent(order_id=ORDER_ID, reason="never sent")]
    orders.instruct(_submit())
    await asyncio.sleep(0.05)
    assert len(told) == 1
    await orders.close()


async def test_an_order_taken_over_is_never_submitted(told: list[r.Report]) -> None:
    """An order that was live when the session began is only looked up, whatever it is told."""
    orders = _orders(told, concurrent=5)
    orders.take_over(_look_up())
    orders.instruct(_submit())
    await asyncio.sleep(0.05)
    assert told == []
    await orders.close()


class Takes(Silent):
    """A venue that amends in place, and says only that it will."""

    async def amend(self, amend: Amend) -> None:
        return None


def _in_place(quantity: int, price: int) -> Amend:
    return Amend(
        order_id=ORDER_ID,
        client_id=ORDER_ID,
        new_client_id=ORDER_ID,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        quantity_before=Decimal(1),
        price=Decimal(price),
        revision=0,
        deadline=time.time_ns() + 10**10,
    )


async def test_an_amend_that_is_refused_after_it_was_taken_is_answered(told: list[r.Report]) -> None:
    """The refusal is told once, and one of an amend of somebody else's is not ours."""
    orders = Orders(Takes(), QUICK, told.extend, lambda reason: None, in_place=True)  # type: ignore[arg-type]
    orders.ready_at = time.time_ns() - 10**10
    refused = AmendRefused("BTCUSDT", ORDER_ID, "51503 gone", 7)
    orders.heard_refusal(refused)
    assert told == []
    orders.instruct(_in_place(quantity=2, price=9))
    await asyncio.sleep(0.05)
    orders.heard_refusal(refused)
    orders.heard_refusal(refused)
    assert told == [r.AmendRejected(order_id=ORDER_ID, reason="51503 gone", venue_time=7)]
    await orders.close()


def _seen(price: str, time_ns: int) -> VenueOrder:
    return VenueOrder(
        client_id=ORDER_ID,
        venue_order_id="1",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=Decimal(1),
        price=Decimal(price),
        trigger_price=None,
        state=State.WORKING,
        cumulative=Decimal(0),
        time=time_ns,
    )


class Loses(Silent):
    """A venue that amends in place, does not answer the first amend, and does nothing but take the others."""

    def __init__(self) -> None:
        self.sent: list[Decimal | None] = []

    async def amend(self, amend: Amend) -> None:
        self.sent.append(amend.price)
        if len(self.sent) == 1:
            raise VenueError(Kind.UNKNOWN, "no answer")

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        return _seen("9", time.time_ns())


async def test_an_amend_that_the_stream_refused_is_not_refused_again_by_its_look_up(
    told: list[r.Report],
) -> None:
    """The second refusal would answer the next amend, which is sent as soon as the look-up has ended, and not before."""
    venue = Loses()
    orders = Orders(venue, QUICK, told.extend, lambda reason: None, in_place=True)  # type: ignore[arg-type]
    orders.ready_at = time.time_ns() - 10**10
    orders._track(ORDER_ID).terms = (Decimal(1), Decimal(9))
    for price in (10, 11):
        orders.instruct(_in_place(quantity=1, price=price))
        if price == 10:
            await until(lambda: any(isinstance(each, r.InDoubt) for each in told), what="the doubt")
            orders.heard_refusal(AmendRefused("BTCUSDT", ORDER_ID, "51000 refused", 7))
    assert venue.sent == [10]
    await until(lambda: venue.sent == [10, 11], what="the next amend")
    assert [type(each) for each in told] == [r.InDoubt, r.AmendRejected, r.Accepted]
    assert told[1] == r.AmendRejected(order_id=ORDER_ID, reason="51000 refused", venue_time=7)
    await orders.close()


async def test_terms_that_a_look_up_told_are_those_told_last(told: list[r.Report]) -> None:
    """Amended there and back, with only the look-up telling of there, the way back is told like any change."""
    orders = Orders(Takes(), QUICK, told.extend, lambda reason: None, in_place=True)  # type: ignore[arg-type]
    orders.ready_at = time.time_ns() - 10**10
    orders.take_over(msgspec.structs.replace(_look_up(), price=Decimal(9)))
    there = r.Restated(order_id=ORDER_ID, quantity=Decimal(1), price=Decimal(8), venue_time=2)
    orders.found_out([there])
    orders.heard(_seen("9", 3))
    assert [each for each in told if isinstance(each, r.Restated)] == [
        there,
        r.Restated(order_id=ORDER_ID, quantity=Decimal(1), price=Decimal(9), venue_time=3),
    ]
    await orders.close()


class Knows(Silent):
    """A venue that knows one order, of somebody else's, and counts who asks for it."""

    def __init__(self, answer: VenueOrder | Exception) -> None:
        self.asked = 0
        self.answer = answer

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        self.asked += 1
        await asyncio.sleep(0.01)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _trade(number: int) -> VenueTrade:
    return VenueTrade(
        venue_order_id="1",
        client_id="",
        symbol="BTCUSDT",
        side=Side.BUY,
        trade_id=str(number),
        quantity=Decimal("0.1"),
        price=Decimal(9),
        fee=Decimal(0),
        fee_asset="",
        maker=False,
        time=number,
    )


async def test_many_trades_of_a_strangers_order_ask_for_it_once(told: list[r.Report]) -> None:
    """A sweep through the book tells hundreds of trades at once: their order is asked for once, and told before them all."""
    venue = Knows(attrs.evolve(_seen("9", 1), client_id="web_1"))
    orders = Orders(venue, QUICK, told.extend, lambda reason: None)  # type: ignore[arg-type]
    for number in range(100):
        orders.heard_trade(_trade(number))
    await asyncio.sleep(0.1)
    assert venue.asked == 1
    assert isinstance(told[0], r.Found)
    assert [each.trade_id for each in told if isinstance(each, r.Filled)] == [str(n) for n in range(100)]
    assert not orders._meeting
    await orders.close()


async def test_a_trade_that_cannot_be_told_ends_the_session(told: list[r.Report]) -> None:
    """Whatever goes wrong in telling a trade of a stranger's order, the next session has to ask for it again."""
    failed: list[str] = []
    orders = Orders(Knows(KeyError("side")), QUICK, told.extend, failed.append)  # type: ignore[arg-type]
    orders.heard_trade(_trade(1))
    await asyncio.sleep(0.1)
    assert len(failed) == 1
    assert not orders._meeting
    await orders.close()


class Filled(Silent):
    """A venue where an order was filled, in trades that it lists."""

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        return [_trade(number) for number in range(10)]


async def test_a_strangers_order_does_not_wait_for_trades_told_before_it_was_found(
    told: list[r.Report],
) -> None:
    """Its trades are told again, and it ends, whether or not they were applied to it; one of ours waits for them."""
    orders = Orders(Filled(), QUICK, told.extend, lambda reason: None)  # type: ignore[arg-type]
    filled = attrs.evolve(_seen("9", 3), state=State.FILLED, cumulative=Decimal(1))
    question = Question.of(_look_up(), 0.0)
    last = []
    for order in (attrs.evolve(filled, client_id="web_1"), filled):
        asked = attrs.evolve(question, client_id=order.client_id)
        reports = await orders.look_ups.judge(asked, order, None, settled=True, absent=False, patient=True)
        assert reports is not None
        assert sum(isinstance(each, r.Filled) for each in reports) == 10
        last.append(reports[-1])
    assert last == [
        r.Canceled(order_id=ORDER_ID, reason="filled", venue_time=3),
        r.Finished(order_id=ORDER_ID, cumulative=Decimal(1), venue_time=3),
    ]
    await orders.close()
