"""Orders against a venue of which every wait is chosen: what is canceled before it has left never leaves, and is told ended.

The order aggregate stands for the engine, the limiter is the real one, time is virtual.
"""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import partial
from itertools import cycle
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from oms.aggregates.order import Order, make
from oms.handlers.instruct import instruction_for
from oms.messages import events as e
from oms.messages import reports as r
from oms.messages.codes import Refused
from oms.messages.enums import CancelReason, OrderStatus, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Cancel, Submit
from oms.messages.reports import UNSENT
from oms.venues import lookup, orders
from oms.venues.adapter import State, VenueOrder
from oms.venues.departure import Departure, departure
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Limiter, Priority, TooLate
from oms.venues.orders import Orders

from .conftest import QUICK
from .test_limiter import NS, limiter, pool, utc, virtually

SYMBOL = "BTCUSDT"
ORDER_ID = "mabcde0000000001"
SETTINGS = attrs.evolve(QUICK, concurrent=2)
QUIET_S = 40.0
"""After so long nothing is under way any more, whatever was chosen."""
ENDS = (e.OrderCanceled, e.OrderRejected, e.OrderExpired)


@attrs.frozen
class Fate:
    """What becomes of one request: steps and ms until it leaves, ms until it arrives and until its answer does."""

    steps: int = 0
    connects_ms: int = 0
    travels_ms: int = 0
    answers_ms: int = 0
    lost: str = ""
    """``before`` it arrives, or ``after``; then nobody answers."""


FATES = st.builds(
    Fate,
    steps=st.integers(0, 3),
    connects_ms=st.sampled_from((0, 0, 1, 30, 900)),
    travels_ms=st.sampled_from((0, 0, 1, 5)),
    answers_ms=st.sampled_from((0, 1, 5, 40)),
    lost=st.sampled_from(("", "", "", "", "before", "after")),
)


class Venue:
    """Keeps orders, and notes in one list what has left for it and which cancels were taken in."""

    accept_window_s = 0.2

    def __init__(self, at: Limiter, fate: Callable[[str], Fate]) -> None:
        self.limiter = at
        self.fate = fate
        self.orders: dict[str, VenueOrder] = {}
        self.log: list[tuple[str, str]] = []
        self.tell: Any = None

    async def _leave(self, what: str, order_id: str, reserved: bool, priority: Priority, **more: Any) -> Fate:
        """As :meth:`oms.venues.over_ccxt.CcxtAccount.request` does it."""
        leaving = departure()
        if leaving is not None:
            leaving.hold()
        if not reserved:
            try:
                await self.limiter.reserve(1, priority=priority, **more)
            except TooLate as late:
                raise VenueError(Kind.NOT_SENT, str(late)) from None
        fate = self.fate(what)
        for _ in range(fate.steps):
            await asyncio.sleep(0)
        if fate.connects_ms:
            await asyncio.sleep(fate.connects_ms / 1000)
        if leaving is not None:
            leaving.leave()
        self.log.append((what, order_id))
        await asyncio.sleep(fate.travels_ms / 1000)
        if fate.lost == "before":
            raise VenueError(Kind.UNKNOWN, "lost on its way")
        return fate

    @staticmethod
    async def _answer(fate: Fate, answer: Any) -> Any:
        await asyncio.sleep(fate.answers_ms / 1000)
        if fate.lost:
            raise VenueError(Kind.UNKNOWN, "the answer is lost")
        if isinstance(answer, VenueError):
            raise answer
        return answer

    def _now(self, order: VenueOrder) -> VenueOrder:
        order = self.orders[order.client_id] = attrs.evolve(order, time=utc())
        self.tell(order)
        return order

    async def _place(
        self, order: Submit | Amend, client_id: str, quantity: Decimal, what: str, reserved: bool
    ) -> Any:
        more = {} if reserved else {"orders": 1, "deadline": order.deadline}
        fate = await self._leave(what, order.order_id, reserved, Priority.ORDER, **more)
        assert client_id not in self.orders, "sent twice"
        found = VenueOrder(
            client_id=client_id,
            venue_order_id=f"v{client_id}",
            symbol=SYMBOL,
            side=order.side,
            type=order.type,
            time_in_force=TimeInForce.GTC,
            quantity=quantity,
            price=order.price,
            trigger_price=None,
            state=State.WORKING,
            cumulative=Decimal(0),
            time=0,
        )
        return await self._answer(fate, self._now(found))

    async def submit(self, order: Submit) -> VenueOrder:
        return await self._place(order, order.client_id, order.quantity, "submit", False)

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        return await self._place(amend, amend.new_client_id, quantity, "replace", True)

    async def reserve_amend(self, deadline: int) -> None:
        try:
            await self.limiter.reserve(2, 1, priority=Priority.ORDER, deadline=deadline)
        except TooLate as late:
            raise VenueError(Kind.NOT_SENT, str(late)) from None

    async def amend(self, amend: Amend) -> VenueOrder:
        fate = await self._leave(
            "amend", amend.order_id, False, Priority.ORDER, orders=1, deadline=amend.deadline
        )
        order = self.orders.get(amend.client_id)
        if order is None or order.state is not State.WORKING:
            return await self._answer(fate, VenueError(Kind.ALREADY_DONE, "not open"))
        return await self._answer(
            fate, self._now(attrs.evolve(order, quantity=amend.quantity, price=amend.price))
        )

    async def _cancel(self, client_id: str, reserved: bool) -> VenueOrder:
        fate = await self._leave("cancel", client_id, reserved, Priority.CANCEL)
        order = self.orders.get(client_id)
        if order is None or order.state is not State.WORKING:
            return await self._answer(fate, VenueError(Kind.ALREADY_DONE, "not open"))
        return await self._answer(fate, self._now(attrs.evolve(order, state=State.CANCELED)))

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        return await self._cancel(client_id, reserved=False)

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        return await self._cancel(client_id, reserved=True)

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        await asyncio.sleep(0.001)
        if client_id not in self.orders:
            raise VenueError(Kind.NOT_FOUND, "no such order")
        return self.orders[client_id]

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        return [order for order in self.orders.values() if order.state is State.WORKING]

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        return list(self.orders.values())

    async def trades_since(self, symbol: str, since: int) -> list[Any]:
        return []


class Engine:
    """Decides by the order aggregate, and instructs as the engine does."""

    def __init__(self, venue: Venue, in_place: bool) -> None:
        self.venue = venue
        self.in_place = in_place
        self.orders: dict[str, Order] = {}
        self.events: list[Any] = []
        self.failed: list[str] = []
        self.desk = Orders(venue, SETTINGS, self.reported, self.failed.append, in_place)  # type: ignore[arg-type]
        self.desk.ready_at = utc() - 10 * NS
        venue.tell = lambda order: asyncio.get_running_loop().call_later(0.002, self.desk.heard, order)

    def happened(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, e.OrderPlaced):
            self.orders[event.order_id] = make(event, utc(), OrderStatus.PENDING_NEW, "USDT", Decimal(1))
        else:
            self.orders[event.order_id].evolve(event, utc())
        state: Any = SimpleNamespace(orders=self.orders)
        told = instruction_for(state, event, utc())
        if told is None:
            return
        instruction = told[1]
        self.desk.instruct(instruction)  # type: ignore[arg-type]
        if isinstance(instruction, Cancel):
            self.venue.log.append(("taken in", instruction.order_id))

    def reported(self, reports: list[r.Report]) -> None:
        for report in reports:
            for event in self.orders[report.order_id].decide_report(report):
                self.happened(event)

    def place(self, number: int) -> None:
        order_id = f"mabcde{number:010x}"
        if order_id in self.orders:
            return
        self.happened(
            e.OrderPlaced(
                order_id=order_id,
                exchange="x",
                account="main",
                market="spot",
                symbol=SYMBOL,
                side=Side.BUY,
                type=OrderType.LIMIT,
                quantity=Decimal(2),
                price=Decimal(9),
            )
        )

    def change(self, number: int, what: str) -> None:
        order = self.orders.get(f"mabcde{number:010x}")
        if order is None:
            return
        try:
            if what == "cancel":
                (event,) = order.decide_cancel(CancelReason.CLIENT)
            else:
                price = order.price + 1 if order.price is not None else None
                event = order.decide_amend(Decimal(3), price, self.in_place)
        except Refused:
            return
        self.happened(event)


@attrs.frozen
class Script:
    """What is wanted of one order, and the pauses before each: that many steps of the loop, or ms."""

    placed: tuple[int, int]
    amended: tuple[int, int] | None
    canceled: tuple[int, int] | None


PAUSES = st.tuples(st.integers(0, 6), st.sampled_from((0, 0, 0, 1, 2, 6, 45)))
LATER = st.tuples(st.just(0), st.sampled_from((60, 60, 1_200)))
SCRIPTS = st.builds(
    Script,
    placed=PAUSES,
    amended=st.none() | PAUSES | LATER | LATER,
    canceled=st.none() | PAUSES | PAUSES | PAUSES | st.just((0, 950)),
)


async def _follow(script: Script, number: int, engine: Engine) -> None:
    for pause, what in ((script.placed, "place"), (script.amended, "amend"), (script.canceled, "cancel")):
        if pause is None:
            continue
        for _ in range(pause[0]):
            await asyncio.sleep(0)
        if pause[1]:
            await asyncio.sleep(pause[1] / 1000)
        if what == "place":
            engine.place(number)
        else:
            engine.change(number, what)


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def on_time() -> None:
        virtual: Any = SimpleNamespace(time_ns=utc, time=lambda: utc() / NS)
        with patch.object(orders, "time", virtual), patch.object(lookup, "time", virtual):
            await work()

    virtually(on_time)


@settings(max_examples=4 * settings().max_examples)
@given(
    scripts=st.lists(SCRIPTS, min_size=1, max_size=6),
    fates=st.lists(FATES, min_size=1, max_size=8),
    in_place=st.booleans(),
    tight=st.booleans(),
    banned_ms=st.none() | st.sampled_from((0, 1, 62, 1_000)),
)
def test_what_is_canceled_before_it_has_left_never_leaves(
    scripts: list[Script], fates: list[Fate], in_place: bool, tight: bool, banned_ms: int | None
) -> None:
    """Whatever crosses whatever: once a cancel is taken in, nothing that would put its order at the venue leaves.

    Every order that was to be canceled ends, is told to have ended once, and stands so at the venue.
    """

    async def trade() -> None:
        at = limiter(pool(), "main", weight=60 if tight else 10**6, orders=1 if tight else 10**5)
        if banned_ms is not None:
            asyncio.get_running_loop().call_later(banned_ms / 1000, at.pool.hold, 0.5)
        chosen = cycle(fates)
        venue = Venue(at, lambda what: next(chosen))
        engine = Engine(venue, in_place)
        async with asyncio.TaskGroup() as following:
            for number, script in enumerate(scripts):
                following.create_task(_follow(script, number, engine))
        await asyncio.sleep(QUIET_S)
        await engine.desk.close()
        assert not engine.failed
        _check(engine, venue)

    _run(trade)


def _check(engine: Engine, venue: Venue) -> None:
    canceled: set[str] = set()
    for what, order_id in venue.log:
        if what == "taken in":
            canceled.add(order_id)
        else:
            assert what == "cancel" or order_id not in canceled, venue.log
    for order_id, order in engine.orders.items():
        there = [each for each in venue.orders.values() if each.client_id.split("R")[0] == order_id]
        working = [each for each in there if each.state is State.WORKING]
        ended = [each for each in engine.events if each.order_id == order_id and isinstance(each, ENDS)]
        assert not order.waiting, order
        assert not order.in_doubt, order
        assert [each.client_id for each in working] == ([order.client_id] if order.working else []), order
        assert len(ended) == (not order.working), ended
        if order.working:
            assert (order.quantity, order.price) == (working[0].quantity, working[0].price)
        assert not (order.working and order_id in canceled), order
        if ended and ended[0].reason == UNSENT:
            assert isinstance(ended[0], e.OrderCanceled)
            assert not there, "told never to have been sent, and at the venue"


# -- where a cancel may find an order, one by one


async def _pause(ms: int) -> None:
    await asyncio.sleep(ms / 1000)


def _left(venue: Venue) -> list[str]:
    return [what for what, _ in venue.log if what != "taken in"]


def test_the_rest_of_an_amend_is_taken_back_while_it_waits_for_its_connection() -> None:
    """The amend has canceled already: the order is told to have ended, at once, and no cancel is sent again."""

    async def trade() -> None:
        venue = Venue(limiter(pool()), lambda what: Fate(connects_ms=900 if what == "replace" else 0))
        engine = Engine(venue, in_place=False)
        engine.place(1)
        await _pause(10)
        engine.change(1, "amend")
        await _pause(10)
        engine.change(1, "cancel")
        await _pause(1)
        (order,) = engine.orders.values()
        assert (order.status, order.reason) == (OrderStatus.CANCELED, f"amend: {UNSENT}")
        await _pause(2_000)
        assert _left(venue) == ["submit", "cancel"]
        await engine.desk.close()

    _run(trade)


def test_an_amend_that_waits_for_the_rate_limits_holds_up_no_cancel() -> None:
    """It is refused without having been sent, and the cancel leaves in its place."""

    async def trade(in_place: bool) -> None:
        venue = Venue(limiter(pool(), orders=1), lambda what: Fate())
        engine = Engine(venue, in_place)
        engine.place(1)
        await _pause(10)
        engine.change(1, "amend")
        await _pause(10)
        engine.change(1, "cancel")
        await _pause(10)
        (order,) = engine.orders.values()
        assert order.status is OrderStatus.CANCELED
        assert _left(venue) == ["submit", "cancel"]
        assert [each.reason for each in engine.events if isinstance(each, e.OrderAmendRejected)] == [UNSENT]
        await engine.desk.close()

    for in_place in (False, True):
        _run(partial(trade, in_place))


def test_an_amend_that_waits_for_its_turn_holds_up_no_cancel() -> None:
    """Cancels have turns of their own, also those of orders that waited for a turn to be amended."""

    async def trade() -> None:
        fates = iter([Fate(), *[Fate(answers_ms=3_000)] * SETTINGS.concurrent, Fate()])
        venue = Venue(limiter(pool()), lambda what: next(fates))
        engine = Engine(venue, in_place=True)
        engine.place(0)
        await _pause(10)
        for number in range(SETTINGS.concurrent):
            engine.place(1 + number)
        await _pause(10)
        engine.change(0, "amend")
        await _pause(10)
        engine.change(0, "cancel")
        await _pause(10)
        assert _left(venue) == ["submit"] * (1 + SETTINGS.concurrent) + ["cancel"]
        await engine.desk.close()

    _run(trade)


def test_who_sends_without_asking_has_sent_from_the_beginning() -> None:
    """An adapter that knows nothing of departures is never asked to take anything back: the cancel comes after the answer."""

    async def trade() -> None:
        venue = Venue(limiter(pool()), lambda what: Fate(answers_ms=40))
        engine = Engine(venue, in_place=True)
        with patch.multiple(Departure, hold=lambda self: None, leave=lambda self: None):
            engine.place(1)
            await _pause(10)
            engine.change(1, "cancel")
            await _pause(200)
        (order,) = engine.orders.values()
        assert order.status is OrderStatus.CANCELED
        assert order.reason != UNSENT
        assert _left(venue) == ["submit", "cancel"]
        await engine.desk.close()

    _run(trade)


def test_an_order_is_not_sent_after_its_cancel() -> None:
    """Whichever of the two comes first."""

    async def trade() -> None:
        venue = Venue(limiter(pool()), lambda what: Fate())
        told: list[r.Report] = []
        desk = Orders(venue, SETTINGS, told.extend, [].append)  # type: ignore[arg-type]
        desk.ready_at = utc() - 10 * NS
        which = {"order_id": ORDER_ID, "client_id": ORDER_ID, "symbol": SYMBOL}
        desk.instruct(Cancel(**which))
        terms = {"side": Side.BUY, "type": OrderType.MARKET, "quantity": Decimal(1)}
        desk.instruct(Submit(**which, **terms, deadline=utc() + NS))
        await _pause(5_000)
        assert _left(venue) == ["cancel"]
        assert [type(each) for each in told] == [r.InDoubt, r.Absent]
        await desk.close()

    _run(trade)


async def test_whoever_ends_the_task_goes_before_who_takes_its_request_back() -> None:
    """A session that closes ends its work, also when a cancel came in the same moment."""
    entered = Departure(waits=True)

    async def work() -> None:
        with entered:
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    assert entered.withdraw()
    assert not entered.withdraw()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not entered.withdraw()
