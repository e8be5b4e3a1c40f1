"""The adapter for Upbit against its simulated wire, over unmodified ccxt."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.messages.venues import Feature
from oms.simulator.orders import Order
from oms.simulator.upbit import payloads
from oms.simulator.upbit.payloads import order_uuid
from oms.venues import upbit as adapter
from oms.venues.adapter import (
    FundsMoved,
    Move,
    OrderChanged,
    Party,
    State,
    StreamEvent,
    Traded,
    VenueOrder,
    VenueTrade,
)
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Pool
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS
from oms.venues.upbit import UpbitSpot, UpbitSpotAccount
from oms.venues.upbit_payloads import TICKS
from tests.upbit import BTC, KEY, OTHER_KEY, PRICE, SECRET, Upbit, running

D = Decimal
NS = 10**9
PATIENT = {"order": 1_000, "default": 10_000}
"""Limits of a simulator that is in nobody's way."""


@attrs.define
class Connected:
    """An account that is open, and what it was told."""

    upbit: Upbit
    market: UpbitSpot
    account: UpbitSpotAccount
    events: list[StreamEvent] = attrs.field(factory=list)
    _number: int = 0

    def submit(self, **changes: Any) -> Submit:
        self._number += 1
        terms: dict[str, Any] = {
            "order_id": f"AbCdEf{self._number:010x}", "symbol": BTC, "side": Side.BUY, "type": OrderType.LIMIT,
            "quantity": D("0.01"), "price": PRICE - 10**6, "deadline": time.time_ns() + 5 * NS,
        }  # fmt: skip
        terms |= changes
        terms.setdefault("client_id", terms["order_id"])
        return Submit(**terms)

    async def send(self, **changes: Any) -> VenueOrder:
        return await self.account.submit(self.submit(**changes))

    async def heard(self, what: Callable[[StreamEvent], bool]) -> StreamEvent:
        """The first event that fits, when it is there."""
        for _ in range(500):
            for event in self.events:
                if what(event):
                    return event
            await asyncio.sleep(0.01)
        raise AssertionError(f"not heard; heard {self.events}")

    async def ended(self, client_id: str) -> VenueOrder:
        """The stream's word on how an order ended."""
        event = await self.heard(
            lambda e: (
                isinstance(e, OrderChanged)
                and e.order.client_id == client_id
                and e.order.state is not State.WORKING
            )
        )
        assert isinstance(event, OrderChanged)
        return event.order

    def trades(self) -> list[VenueTrade]:
        return [event.trade for event in self.events if isinstance(event, Traded)]


def make_market(upbit: Upbit, secret: str = SECRET) -> UpbitSpot:
    return UpbitSpot(
        FixedCredentials({("upbit", "main"): Key(KEY, secret)}),
        Budgets(Pool(POOLS["upbit"]), 100_000, 1_000, 1_000_000),
        Reach(session=upbit.session, timeout_s=0.6, recv_window_ms=300),
    )


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path, limits=PATIENT) as upbit:
        yield upbit


@pytest.fixture
async def market(upbit: Upbit) -> AsyncIterator[UpbitSpot]:
    market = make_market(upbit)
    await market.open()
    yield market
    await market.close()


@pytest.fixture
async def desk(upbit: Upbit, market: UpbitSpot) -> AsyncIterator[Connected]:
    account = market.account("main")
    desk = Connected(upbit, market, account)
    await account.open(desk.events.append)
    yield desk
    await account.close()


async def refused(work: Any) -> VenueError:
    with pytest.raises(VenueError) as error:
        await work
    return error.value


# -- what the market is


async def test_instruments(upbit: Upbit, market: UpbitSpot) -> None:
    """Every won market is listed with its terms and ticks, and what the venue lists of ticks takes the table's place."""
    found = {spec.symbol: spec for spec in await market.open()}
    assert sorted(found) == ["KRW-BTC", "KRW-ETH", "KRW-SHIB"]
    assert (found[BTC].step, found[BTC].min_notional, found[BTC].ticks) == (D("1e-8"), D(5_000), TICKS)
    assert (found[BTC].maker_fee, found[BTC].taker_fee) == (D("0.0005"), D("0.0005"))
    config = attrs.evolve(
        upbit.wire.exchange.market("spot", BTC).config,
        ticks=((D(0), D(1)), (D(2_000_000), D(500))),
        tick=D(500),
    )
    upbit.wire.exchange.market("spot", BTC).config = config
    (changed,) = [spec for spec in await market.open() if spec.symbol == BTC]
    assert changed.ticks == (*TICKS[:-1], (D(2_000_000), D(500)))


async def test_listing_that_cannot_be_had(upbit: Upbit, market: UpbitSpot) -> None:
    """Without markets, prices or ticks nothing is listed."""
    for path in ("market/all", "ticker/all", "orderbook/instruments"):
        upbit.fault("server_error_before", f"GET /v1/{path}")
        assert (await refused(market.open())).kind is Kind.UNKNOWN


def test_capabilities() -> None:
    """Limit orders with every time in force, post-only and amends; funds in the spot wallet."""
    found = adapter.CAPABILITIES
    assert (found.order_types, found.wallet) == ((OrderType.LIMIT,), "spot")
    assert set(found.times_in_force) == set(TimeInForce)
    assert set(found.features) == {Feature.POST_ONLY, Feature.AMEND}
    assert not UpbitSpot.amends_in_place


async def test_what_the_venue_does_not_have(desk: Connected) -> None:
    """What is not declared is not sent."""
    account = desk.account
    assert await account.positions() == []
    assert await account.funding_since(0) == []
    main, other = (
        Party(account=name, venue_id=name, wallet="spot", main=name == "main") for name in ("main", "other")
    )
    move = Move(reference="r", source=main, target=other, asset="KRW", amount=D(1))
    for work in (
        account.set_leverage(BTC, D(2)),
        account.set_margin_mode(BTC, MarginMode.CROSS),
        account.move(move, time.time_ns() + 10**9),
        account.find_transfer(move),
    ):
        assert (await refused(work)).kind is Kind.NOT_SENT


# -- orders


@pytest.mark.parametrize(
    "changes, body",
    [
        (
            {"quantity": D("0.01234567")},
            '{"market":"KRW-BTC","side":"bid","volume":"0.01234567","price":"69000000","ord_type":"limit","identifier":"ID"}',
        ),
        (
            {
                "quantity": D("1E-3"),
                "price": D("7.1E+7"),
                "side": Side.SELL,
                "time_in_force": TimeInForce.GTD,
            },
            '{"market":"KRW-BTC","side":"ask","volume":"0.001","price":"71000000","ord_type":"limit","identifier":"ID"}',
        ),
        (
            {"time_in_force": TimeInForce.IOC},
            (
                '{"market":"KRW-BTC","side":"bid","volume":"0.01","price":"69000000","ord_type":"limit","identifier":"ID",'
                '"time_in_force":"ioc"}'
            ),
        ),
        (
            {"post_only": True},
            (
                '{"market":"KRW-BTC","side":"bid","volume":"0.01","price":"69000000","ord_type":"limit","identifier":"ID",'
                '"time_in_force":"post_only"}'
            ),
        ),
        (
            {"symbol": "KRW-SHIB", "quantity": D("1234567890.12345678"), "price": D("0.00801")},
            (
                '{"market":"KRW-SHIB","side":"bid","volume":"1234567890.12345678","price":"0.00801","ord_type":"limit",'
                '"identifier":"ID"}'
            ),
        ),
    ],
)
async def test_bytes_of_a_new_order(desk: Connected, changes: dict[str, Any], body: str) -> None:
    """What leaves is exactly what was meant, in digits."""
    order = await desk.send(**changes)
    assert (
        desk.account.exchange.last_request_body.replace(order.client_id, "ID")
        .replace(", ", ",")
        .replace(": ", ":")
        == body
    )
    at_venue = desk.upbit.main.find(None, None, order.client_id)
    assert at_venue is not None
    assert (at_venue.quantity, at_venue.price) == (order.quantity, order.price)
    assert order.state is State.WORKING
    assert order.cumulative == 0


async def test_fill_is_the_same_whichever_way_it_is_learned(desk: Connected) -> None:
    """Stream, order, trades of the order and trades since tell one trade with one id, and the fee that was really paid."""
    since = time.time_ns()
    order = await desk.send(quantity=D("0.01234567"), price=PRICE + 10**6)
    assert (await desk.ended(order.client_id)).state is State.FILLED
    (streamed,) = desk.trades()
    by_id = await desk.account.order(BTC, order.client_id)
    (of_order,) = await desk.account.trades_of(BTC, order.venue_order_id)
    (recent,) = await desk.account.trades_since(BTC, since)
    (fill,) = desk.upbit.wire.exchange.fills(desk.upbit.main, "spot", BTC)
    assert (by_id.state, by_id.cumulative, by_id.trades) == (State.FILLED, D("0.01234567"), (of_order,))
    assert of_order == recent
    assert attrs.evolve(of_order, time=streamed.time) == streamed
    assert (streamed.quantity, streamed.price, streamed.fee) == (fill.quantity, fill.price, fill.commission)
    assert (streamed.fee_asset, streamed.maker, streamed.side) == ("KRW", False, Side.BUY)
    assert 0 <= streamed.time - of_order.time < NS
    assert (await desk.account.totals())["KRW"] == desk.upbit.balance("KRW").total


async def test_maker_is_told_from_taker_by_rest_too(desk: Connected) -> None:
    """A trade that came to a resting order is a maker's, whichever way it is learned, on both sides."""
    for side, other in ((Side.BUY, "SELL"), (Side.SELL, "BUY")):
        order = await desk.send(side=side, price=PRICE)
        desk.upbit.place("other", side=other, price=PRICE, quantity=D("0.01"))
        await desk.ended(order.client_id)
        (trade,) = await desk.account.trades_of(BTC, order.venue_order_id)
        assert trade.maker
    assert all(trade.maker for trade in desk.trades())


async def test_times_in_force_end_as_such(desk: Connected) -> None:
    """What is left of an IOC and a FOK that cannot fill expire; a post-only that would match is canceled; none rests."""
    best = desk.upbit.wire.exchange.market("spot", BTC).book.best("SELL")
    assert best is not None
    there = best.quantity
    more = there + D("0.01")
    fok = await desk.send(quantity=more, price=best.price, time_in_force=TimeInForce.FOK)
    ioc = await desk.send(quantity=more, price=best.price, time_in_force=TimeInForce.IOC)
    post = await desk.send(price=PRICE + 10**6, post_only=True)
    ends = [(await desk.ended(order.client_id)) for order in (fok, ioc, post)]
    assert [order.state for order in ends] == [State.EXPIRED, State.EXPIRED, State.CANCELED]
    assert [order.cumulative for order in ends] == [0, there, 0]
    looked = [await desk.account.order(BTC, order.client_id) for order in (fok, ioc, post)]
    assert [(order.state, order.cumulative) for order in looked] == [(o.state, o.cumulative) for o in ends]
    assert not desk.upbit.main.open


async def test_cancel_is_taken_and_told_later(desk: Connected) -> None:
    """A cancel says nothing yet; the stream tells what is left, with what was filled before."""
    order = await desk.send(price=PRICE)
    desk.upbit.place("other", side="SELL", price=PRICE, quantity=D("0.004"))
    assert await desk.account.cancel(BTC, order.client_id) is None
    ended = await desk.ended(order.client_id)
    assert (ended.state, ended.quantity, ended.cumulative) == (State.CANCELED, D("0.01"), D("0.004"))
    assert ended.price == PRICE


async def test_cancel_of_what_is_not_open(desk: Connected) -> None:
    """An order that has ended, or never was, cannot be canceled; a look-up says which."""
    order = await desk.send(price=PRICE + 10**6)
    assert (await refused(desk.account.cancel(BTC, order.client_id))).kind is Kind.ALREADY_DONE
    assert (await refused(desk.account.cancel(BTC, "AbCdEf9999999999"))).kind is Kind.ALREADY_DONE
    assert (await refused(desk.account.order(BTC, "AbCdEf9999999999"))).kind is Kind.NOT_FOUND
    assert (await refused(desk.account.order_by_venue_id(BTC, order_uuid(10**6)))).kind is Kind.NOT_FOUND
    assert (await desk.account.order_by_venue_id(BTC, order.venue_order_id)).state is State.FILLED


def amend(order: VenueOrder, quantity: D, price: D) -> Amend:
    return Amend(
        order_id=order.client_id, client_id=order.client_id, new_client_id=f"{order.client_id}R1", symbol=BTC,
        side=Side.BUY, type=OrderType.LIMIT, quantity=quantity, quantity_before=order.quantity, price=price,
        revision=1, deadline=time.time_ns() + 5 * NS,
    )  # fmt: skip


async def test_amend_waits_for_the_end_and_places_the_rest(desk: Connected) -> None:
    """The first leg returns the order once it has really ended, with what filled meanwhile; the second is a new order."""
    order = await desk.send(price=PRICE)
    desk.upbit.wire.cancel_delay_s = 0.15
    asked = amend(order, D("0.02"), PRICE - 10**6)
    await desk.account.reserve_amend(asked.deadline)
    canceling = asyncio.create_task(desk.account.cancel_for_amend(BTC, order.client_id))
    await asyncio.sleep(0.05)
    desk.upbit.place("other", side="SELL", price=PRICE, quantity=D("0.003"))
    old = await canceling
    assert (old.state, old.cumulative) == (State.CANCELED, D("0.003"))
    assert [trade.quantity for trade in old.trades] == [D("0.003")]
    new = await desk.account.submit_for_amend(asked, D("0.017"))
    assert (new.client_id, new.quantity, new.state) == (f"{order.client_id}R1", D("0.017"), State.WORKING)
    assert [each.client_order_id for each in desk.upbit.main.open.values()] == [new.client_id]


async def test_amend_of_an_order_that_fills_meanwhile(desk: Connected) -> None:
    """An order that fills before its cancel takes effect is told as filled: nothing is left to place."""
    order = await desk.send(price=PRICE)
    desk.upbit.wire.cancel_delay_s = 0.15
    await desk.account.reserve_amend(time.time_ns() + 5 * NS)
    canceling = asyncio.create_task(desk.account.cancel_for_amend(BTC, order.client_id))
    await asyncio.sleep(0.05)
    desk.upbit.place("other", side="SELL", price=PRICE, quantity=D("0.01"))
    assert (await canceling).state is State.FILLED


async def test_amend_without_the_stream(desk: Connected) -> None:
    """The end of the order is found by looking, where the stream does not tell it."""
    order = await desk.send()
    desk.upbit.fault("drop_report", "cancel")
    await desk.account.reserve_amend(time.time_ns() + 5 * NS)
    assert (await desk.account.cancel_for_amend(BTC, order.client_id)).state is State.CANCELED


async def test_amend_whose_cancel_does_not_end_the_order(
    desk: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel that was taken and has no effect is in doubt, not done."""
    monkeypatch.setattr(adapter, "ENDS_WITHIN_S", 0.3)
    order = await desk.send()
    desk.upbit.wire.cancel_delay_s = 60
    await desk.account.reserve_amend(time.time_ns() + 5 * NS)
    error = await refused(desk.account.cancel_for_amend(BTC, order.client_id))
    assert (error.kind, "has not ended" in error.reason) == (Kind.UNKNOWN, True)
    assert (await desk.account.order(BTC, order.client_id)).state is State.WORKING


async def test_order_is_never_sent_after_its_deadline(desk: Connected) -> None:
    """A deadline that has passed leaves nothing at the venue."""
    error = await refused(desk.send(deadline=time.time_ns() - 1))
    assert error.kind is Kind.NOT_SENT
    assert not list(desk.upbit.main.all_orders())


# -- lists


def age(orders: list[Order], seconds: float) -> None:
    """Let orders, and what they traded, be that old."""
    for order in orders:
        order.created_ns -= int(seconds * NS)


async def test_open_orders_of_many_pages(desk: Connected) -> None:
    """Every open order comes, of one symbol or of all, whoever made it."""
    orders = [desk.upbit.place("main", client_order_id=f"o{n}", quantity=D("0.0001")) for n in range(150)]
    desk.upbit.place("main", "KRW-ETH", client_order_id="eth", price=D(3_900_000), quantity=D("0.01"))
    desk.upbit.place("main", client_order_id="gone", price=PRICE + 10**6)
    found = await desk.account.open_orders(BTC)
    assert [order.client_id for order in found] == [order.client_order_id for order in orders]
    assert len(await desk.account.open_orders()) == 151


async def test_orders_since(desk: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every order made since then comes, open or not, over all pages and weeks; one made before does not."""
    monkeypatch.setattr(adapter, "CLOSED_ROWS", 3)
    closed = [desk.upbit.place("main", client_order_id=f"c{n}", price=PRICE + 10**6) for n in range(10)]
    opened = [desk.upbit.place("main", client_order_id=f"o{n}", quantity=D("0.0001")) for n in range(2)]
    for days, order in zip((30, 20, 19, 18, 9, 8, 7.5, 1, 0.5, 0), closed, strict=True):
        age([order], days * 86_400)
    age(opened[:1], 25 * 86_400)
    since = time.time_ns() - 21 * 86_400 * NS
    found = {order.client_id: order.state for order in await desk.account.orders_since(BTC, since)}
    assert found == {"o1": State.WORKING} | {f"c{n}": State.FILLED for n in range(1, 10)}


async def test_too_many_orders_at_once_are_not_passed_over(
    desk: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a page is full of orders of one moment, nobody knows what else there is: that is an error, not an answer."""
    monkeypatch.setattr(adapter, "CLOSED_ROWS", 3)
    since = time.time_ns()
    for number in range(4):
        desk.upbit.place("main", client_order_id=f"c{number}", price=PRICE + 10**6)
    error = await refused(desk.account.orders_since(BTC, since))
    assert (error.kind, "can be listed" in error.reason) == (Kind.UNKNOWN, True)


async def test_trades_since_are_found_through_orders(desk: Connected) -> None:
    """Trades of open and of ended orders come, also of orders made before; those of long ago do not; each order once."""
    old, resting, ended = (
        desk.upbit.place("main", client_order_id=name, price=PRICE, quantity=D("0.01"))
        for name in ("old", "open", "done")
    )
    desk.upbit.place("other", side="SELL", price=PRICE, quantity=D("0.01"))
    age([old, resting, ended], 1_800)
    old.fills[0] = attrs.evolve(old.fills[0], time_ns=old.fills[0].time_ns - 3_600 * NS)
    since = time.time_ns() - 5 * NS
    desk.upbit.place("other", side="SELL", price=PRICE, quantity=D("0.014"))
    desk.upbit.wire.exchange.cancel(desk.upbit.main, ended)
    found = await desk.account.trades_since(BTC, since)
    assert [(trade.client_id, trade.quantity) for trade in found] == [
        ("open", D("0.01")),
        ("done", D("0.004")),
    ]
    asked = requests(desk)
    assert await desk.account.trades_since(BTC, since) == found
    assert asked() == ["GET /v1/orders/open", "GET /v1/orders/closed"]


def requests(desk: Connected) -> Callable[[], list[str]]:
    """What is sent from now on."""
    seen: list[str] = []
    send = desk.account.exchange.fetch

    async def fetch(url: str, method: str = "GET", *args: Any) -> Any:
        seen.append(f"{method} {url.split('api.upbit.com')[1].split('?')[0]}")
        return await send(url, method, *args)

    desk.account.exchange.fetch = fetch
    return lambda: seen


async def test_totals(desk: Connected) -> None:
    """Totals hold what is free and locked of every asset that there is."""
    await desk.send()
    desk.upbit.balance("ETH").free = D(0)
    totals = await desk.account.totals()
    assert totals == {"KRW": D(10**9), "BTC": D(5), "SHIB": D(10**12)}
    desk.upbit.balance("KRW").free += D("0.12345678901234567891")
    assert (await desk.account.totals())["KRW"] == D("1000000000.123456789012345679")


# -- orders from elsewhere


async def test_orders_of_others_have_a_name(desk: Connected) -> None:
    """An order made in the venue's app is called by the venue's id, by which it is found and canceled."""
    order = desk.upbit.place("main")
    name = f"#{order_uuid(order.order_id)}"
    event = await desk.heard(lambda e: isinstance(e, OrderChanged))
    assert isinstance(event, OrderChanged)
    (listed,) = await desk.account.open_orders()
    assert event.order.client_id == listed.client_id == name
    assert (await desk.account.order(BTC, name)).venue_order_id == order_uuid(order.order_id)
    await desk.account.cancel(BTC, name)
    assert (await desk.ended(name)).state is State.CANCELED


async def test_market_orders_of_others(desk: Connected) -> None:
    """Market orders of others, by won or by coins, are read, traded and ended like any."""
    desk.upbit.place("main", type="MARKET", price=D(0), quantity=D(0), quote_quantity=D(1_000_000))
    desk.upbit.place("main", side="SELL", type="MARKET", price=D(0), quantity=D("0.01"))
    await desk.heard(lambda e: isinstance(e, Traded) and e.trade.side is Side.SELL)
    found = await desk.account.orders_since(BTC, time.time_ns() - 10 * NS)
    assert {order.type for order in found} == {OrderType.MARKET}
    assert len(await desk.account.trades_since(BTC, time.time_ns() - 10 * NS)) == len(desk.trades()) >= 2


# -- the private stream


async def test_funds_that_move_without_a_trade(desk: Connected) -> None:
    """A deposit and a withdrawal are told; locks, trades and their fees are not."""
    order = await desk.send(price=PRICE + 10**6, quantity=D("0.01234567"))
    await desk.ended(order.client_id)
    resting = await desk.send()
    await desk.account.cancel(BTC, resting.client_id)
    await asyncio.sleep(adapter.SETTLE_S + 0.2)
    assert not [event for event in desk.events if isinstance(event, FundsMoved)]
    desk.upbit.wire.exchange.adjust(desk.upbit.main, "spot", "BTC", D("0.5"))
    event = await desk.heard(lambda e: isinstance(e, FundsMoved))
    assert isinstance(event, FundsMoved)
    assert "BTC moved by 0.5" in event.reason


async def test_quantities_that_doubles_cannot_tell_are_asked_for(desk: Connected) -> None:
    """A trade of over nine billion coins is told exactly, by REST, with the rest of its order."""
    quantity = D("12345678901.12345678")
    desk.upbit.place("other", "KRW-SHIB", side="SELL", price=D("0.0085"), quantity=quantity)
    order = await desk.send(symbol="KRW-SHIB", price=D("0.0085"), quantity=quantity)
    event = await desk.heard(lambda e: isinstance(e, OrderChanged) and e.order.state is State.FILLED)
    assert isinstance(event, OrderChanged)
    assert not desk.trades()
    fills = desk.upbit.wire.exchange.fills(desk.upbit.main, "spot", "KRW-SHIB")
    assert [(t.quantity, t.fee) for t in event.order.trades] == [(f.quantity, f.commission) for f in fills]
    assert event.order.quantity == order.quantity


async def test_stream_that_is_cut_is_lost(desk: Connected) -> None:
    """A dropped socket ends the connection, which never comes back by itself."""
    desk.upbit.simulator.drop_websockets("upbit", "user")
    assert await asyncio.wait_for(desk.account.lost(), 5)


@pytest.mark.parametrize(
    "event", [{"type": "myOrder", "code": BTC, "state": "wait"}, {"error": {"name": "INVALID_AUTH"}}]
)
async def test_event_that_cannot_be_read_ends_the_stream(desk: Connected, event: dict[str, Any]) -> None:
    """What is not understood may have mattered."""
    desk.account.exchange.on_private(event)
    assert await asyncio.wait_for(desk.account.lost(), 1)


async def test_events_of_other_markets_are_ignored(desk: Connected) -> None:
    """Orders in other markets than those in won, and what is reserved in the app, are nobody's here."""
    for event in ({"code": "BTC-ETH", "state": "wait"}, {"code": BTC, "state": "watch"}, {"type": "ticker"}):
        desk.account.exchange.on_private({"type": "myOrder", "uuid": "u", **event})
    assert not desk.events
    assert not desk.account._lost.done()


@pytest.mark.parametrize("kind", ["duplicate_report", "reorder_report"])
async def test_reports_that_go_astray_change_nothing(desk: Connected, kind: str) -> None:
    """Doubled and overtaken events are told as they come, with the same ids."""
    desk.upbit.fault(kind, count=None, delay_ms=50)
    order = await desk.send(price=PRICE + 10**6)
    await desk.ended(order.client_id)
    await desk.heard(lambda e: isinstance(e, Traded))
    assert len({trade.trade_id for trade in desk.trades()}) == 1


async def test_subscription_that_is_not_listed(
    upbit: Upbit, market: UpbitSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the venue does not list subscriptions, they are taken to stand after a while."""
    monkeypatch.setattr(adapter, "CONFIRM_S", 0.1)
    monkeypatch.setattr("oms.simulator.upbit.streams.Streams._listed", lambda *_: {"status": "UP"})
    account = market.account("main")
    events: list[StreamEvent] = []
    await account.open(events.append)
    upbit.place("main")
    for _ in range(100):
        await asyncio.sleep(0.01 if not events else 0)
    assert events
    await account.close()


async def test_orders_that_cannot_be_read_are_unknown(
    desk: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order in a state that nobody knew is an answer lost: no question ends in anything but a VenueError."""
    order = await desk.send()
    monkeypatch.setitem(payloads.STATES, "NEW", "frozen")
    for work in (
        desk.account.order(BTC, order.client_id),
        desk.account.open_orders(),
        desk.account.orders_since(BTC, order.time - NS),
    ):
        error = await refused(work)
        assert (error.kind, "cannot be read" in error.reason) == (Kind.UNKNOWN, True)


async def test_stream_that_does_not_open(upbit: Upbit, market: UpbitSpot) -> None:
    """A private stream that the venue refuses is an error, and nothing is left behind."""
    upbit.fault("refuse_websocket", "/websocket/v1/private", count=None)
    account = market.account("main")
    assert (await refused(account.open(lambda event: None))).kind is Kind.UNKNOWN
    await account.close()


# -- refusals and faults


async def test_bad_key_is_fatal(upbit: Upbit) -> None:
    """A secret that is not the key's ends the attempt in the venue's words, which show no secret."""
    market = make_market(upbit, secret="w" * 40)
    await market.open()
    account = market.account("main")
    error = await refused(account.open(lambda event: None))
    assert (error.kind, "jwt_verification" in error.reason) == (Kind.AUTH_FATAL, True)
    assert "w" * 40 not in str(error)
    await account.close()
    await market.close()


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"price": D(69_000_500)}, "invalid_price_bid"),
        ({"price": D(71_000_500), "side": Side.SELL}, "invalid_price_ask"),
        ({"quantity": D("0.00007")}, "under_min_total_bid"),
        ({"quantity": D("0.00007"), "side": Side.SELL}, "under_min_total_ask"),
        ({"quantity": D("14.5")}, "over_max_total_bid"),
        ({"quantity": D("5.1"), "side": Side.SELL}, "insufficient_funds_ask"),
        ({"quantity": D("14.49275362")}, "insufficient_funds_bid"),
        ({"quantity": D("0.001000001")}, "invalid_volume_bid"),
        ({"symbol": "KRW-NONE"}, "market_does_not_exist"),
    ],
)
async def test_refused_orders_did_not_happen(desk: Connected, changes: dict[str, Any], name: str) -> None:
    """A refusal in the venue's own words is one, and nothing stands."""
    error = await refused(desk.send(**changes))
    assert (error.kind, error.reason.split()[0]) == (Kind.REJECTED, name)
    assert not desk.upbit.main.open


async def test_identifier_that_was_used_is_in_doubt(desk: Connected) -> None:
    """A refusal for the identifier does not say what stands under it."""
    order = await desk.send()
    error = await refused(desk.send(order_id=order.client_id))
    assert (error.kind, "used_identifier" in error.reason) == (Kind.UNKNOWN, True)
    assert (await desk.account.order(BTC, order.client_id)).state is State.WORKING


async def test_halted_market_refuses(desk: Connected) -> None:
    """An order in a market that is suspended did not happen."""
    desk.upbit.wire.exchange.set_status(desk.upbit.wire.exchange.market("spot", BTC), "HALTED")
    assert (await refused(desk.send())).kind is Kind.REJECTED


@pytest.mark.parametrize(
    "kind, stands",
    [
        ("drop_request", False),
        ("server_error_before", False),
        ("lost_reply", True),
        ("hang", True),
        ("truncated_reply", True),
        ("server_error_after", True),
        ("timeout_1007", True),
        ("delay_reply", True),
    ],
)
async def test_lost_answers_are_unknown_and_what_stands_is_found(
    desk: Connected, kind: str, stands: bool
) -> None:
    """Whatever happens to an answer, the outcome is unknown; what stands is found by its client id, and stands once."""
    desk.upbit.fault(kind, "POST /v1/orders", delay_ms=1_500)
    submit = desk.submit()
    error = await refused(desk.account.submit(submit))
    assert error.kind is Kind.UNKNOWN
    assert SECRET not in error.reason
    if stands:
        assert (await desk.account.order(BTC, submit.client_id)).quantity == submit.quantity
    else:
        assert (await refused(desk.account.order(BTC, submit.client_id))).kind is Kind.NOT_FOUND
    assert len(list(desk.upbit.main.all_orders())) == stands


@pytest.mark.parametrize("kind", ["lost_reply", "drop_request"])
async def test_dropped_cancel_is_never_obeyed_twice(desk: Connected, kind: str) -> None:
    """aiohttp repeats a cancel that was dropped: obeyed before, its nonce is used up; and nothing is claimed of it."""
    order = await desk.send()
    asked = requests(desk)
    desk.upbit.fault(kind, "DELETE /v1/order")
    if kind == "lost_reply":
        error = await refused(desk.account.cancel(BTC, order.client_id))
        assert (error.kind, "nonce_used" in error.reason) == (Kind.UNKNOWN, True)
    else:
        assert await desk.account.cancel(BTC, order.client_id) is None
    assert asked() == ["DELETE /v1/order"]
    assert (await desk.ended(order.client_id)).state is State.CANCELED


@pytest.mark.parametrize("kind, seconds", [("rate_limited", 3), ("banned", 5)])
async def test_throttled_requests_did_not_happen(desk: Connected, kind: str, seconds: int) -> None:
    """A throttled order is refused for so long as the venue says, and the account stays away meanwhile."""
    desk.upbit.fault(kind, "POST /v1/orders", retry_after_s=seconds)
    error = await refused(desk.send())
    assert (error.kind, error.retry_after_s) == (Kind.THROTTLED, seconds)
    late = await refused(desk.send(deadline=time.time_ns() + NS))
    assert (late.kind, "rate limits" in late.reason) == (Kind.NOT_SENT, True)
    assert not list(desk.upbit.main.all_orders())


async def test_answers_correct_the_limits(desk: Connected) -> None:
    """What somebody else does with the same key counts: Remaining-Req says so."""
    desk.upbit.wire.limits.spend("default", "main", 9_990)
    await desk.account.totals()
    used = {
        name: window["used"] for name, window in desk.market.limits_left("main").items() if "used" in window
    }
    assert used["account default"] >= 5


async def test_fees_at_two_rates(upbit: Upbit, tmp_path: Path) -> None:
    """An order that paid as a taker and as a maker at different rates has its trades' fees apart, exactly."""
    market = make_market(upbit)
    exchange_market = upbit.wire.exchange.market("spot", BTC)
    exchange_market.config = attrs.evolve(exchange_market.config, maker_fee=D("0.0002"))
    await market.open()
    account = market.account("main")
    desk = Connected(upbit, market, account)
    await account.open(desk.events.append)
    best = exchange_market.book.best("SELL")
    assert best is not None
    order = await desk.send(price=best.price, quantity=best.quantity + D("0.01"))
    upbit.place("other", side="SELL", price=best.price, quantity=D("0.01"))
    await desk.ended(order.client_id)
    fills = upbit.wire.exchange.fills(upbit.main, "spot", BTC)
    by_rest = await account.trades_of(BTC, order.venue_order_id)
    assert (
        sorted(t.fee for t in by_rest)
        == sorted(f.commission for f in fills)
        == sorted(t.fee for t in desk.trades())
    )
    assert {t.maker for t in by_rest} == {True, False}
    await account.close()
    await market.close()


# -- public streams


async def test_public_streams(upbit: Upbit, market: UpbitSpot) -> None:
    """Marks stand where they are asked for and follow the quotes; quotes, book and trades are exact."""
    assert await market.marks_now([BTC, "KRW-ETH"]) == {BTC: PRICE, "KRW-ETH": D(4_000_000)}
    marks = market.marks([BTC, "KRW-ETH"])
    quotes, books, trades = market.quotes([BTC]), market.book(BTC), market.trades(BTC)
    quote, book = await anext(quotes), await anext(books)
    assert (quote.bid, quote.bid_quantity) == book.bids[0]
    assert (quote.ask, quote.ask_quantity) == book.asks[0]
    assert len(book.bids) == 10
    first = asyncio.create_task(anext(trades))
    await asyncio.sleep(0.2)
    upbit.place("other", side="SELL", type="MARKET", quantity=D("0.01234567"), price=D(0))
    trade = await asyncio.wait_for(first, 5)
    assert (trade.side, trade.quantity, trade.price) == (Side.SELL, D("0.01234567"), quote.bid)
    upbit.place("other", price=quote.bid + 1_000, quantity=D("0.5"))
    for stream, what in (
        (books, lambda book: book.bids[0] == (quote.bid + 1_000, D("0.5"))),
        (quotes, lambda found: (found.bid, found.bid_quantity) == (quote.bid + 1_000, D("0.5"))),
        (marks, lambda mark: mark == {BTC: (quote.bid + 1_000 + quote.ask) / 2}),
    ):
        while not what(await asyncio.wait_for(anext(stream), 5)):
            continue
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(books), 0.3)
    for each in (marks, quotes, books, trades):
        await each.aclose()


async def test_nobody_else_can_use_an_account(upbit: Upbit, market: UpbitSpot) -> None:
    """Accounts are apart: what one sees is its own."""
    assert OTHER_KEY != KEY
    account = market.account("main")
    await account.open(lambda event: None)
    upbit.place("other")
    assert await account.open_orders() == []
    await account.close()
