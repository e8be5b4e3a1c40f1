"""Sessions: taking an account over, losing the connection, giving way, and what instructions may do when."""

import asyncio
import logging
import time
from decimal import Decimal
from typing import Any

import msgspec
import nats
import nats.aio.subscription
import nats.errors
import pytest

from oms.messages.codec import encode
from oms.messages.commands import CloseSession, OpenSession
from oms.messages.enums import OrderStatus, OrderType, Side
from oms.messages.instructions import Instructions, LookUp, SetTerms, Submit
from oms.nats_server import EmbeddedNats
from oms.venues.adapter import VenuePosition

from .conftest import QUICK, Desk, until

NEW = OrderStatus.NEW
FILLED = OrderStatus.FILLED
CANCELED = OrderStatus.CANCELED
HIT = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "time_in_force": "IOC", "price": "50000"}


async def test_fills_while_the_stream_was_down_are_found(desk: Desk) -> None:
    """Fills, cancels and new orders that happened without a connection are all here once it is back."""
    connector = desk.connectors[0][0]
    filled = await desk.place(price="50000", quantity="0.5")
    part = await desk.place(price="49999.9", quantity="0.5")
    gone = await desk.place()
    for order_id in (filled, part, gone):
        await desk.becomes(order_id, NEW)
    first = connector.sessions["main"]
    desk.fault("refuse_websocket", count=1)
    desk.wire.drop_websockets("user")
    desk.external("sub_arb", **HIT, quantity="0.5")
    desk.external("sub_arb", **{**HIT, "price": "49999.9"}, quantity="0.3")
    exchange = desk.wire.exchange
    exchange.cancel(exchange.accounts["main"], desk.at_venue(gone)[0])
    desk.external(
        "main", symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", price="100", quantity="1",
        client_order_id="web_9",
    )  # fmt: skip
    desk.external("main", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.1")
    await until(lambda: connector.sessions.get("main") not in (None, first), what="a new session")
    await desk.ready(connector)
    await desk.becomes(filled, FILLED)
    assert desk.order(part).cumulative == Decimal("0.3")
    await desk.becomes(gone, CANCELED)
    await desk.adopted("web_9")
    desk.check_funds()


async def test_nothing_is_placed_while_the_stream_is_down(desk: Desk) -> None:
    """The account closes to new orders as soon as its stream is lost, and opens again by itself."""
    connector = desk.connectors[0][0]
    desk.fault("refuse_websocket", count=2)
    desk.wire.drop_websockets("user")
    await until(lambda: not desk.state.ledgers["binance", "main", "spot"].ready)
    answer = await desk.ask(
        "place.binance.main.spot.BTCUSDT", side="buy", type="limit", quantity="0.01", price="40000"
    )
    assert answer["error"]["code"] == "VENUE_DOWN"
    await desk.ready(connector)
    await desk.becomes(await desk.place(), NEW)


async def test_an_older_connector_gives_way(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A second connector takes the account over; the first one says so loudly and does not come back."""
    before = await desk.place()
    await desk.becomes(before, NEW)
    await desk.connect()
    first = desk.connectors[0][2]
    with caplog.at_level(logging.CRITICAL):
        await until(first.done, what="the first connector to stop")
    assert "another connector serves it" in caplog.text
    after = await desk.place()
    await desk.becomes(after, NEW)
    await desk.cancel(before)
    await desk.becomes(before, CANCELED)
    assert len(desk.at_venue(before)) == len(desk.at_venue(after)) == 1


async def test_a_session_that_the_engine_closed_is_opened_again(desk: Desk) -> None:
    """A connector whose session the engine closed, with nobody in its place, comes back."""
    connector = desk.connectors[0][0]
    session = connector.sessions["main"]
    closing = encode(CloseSession(session=session.token, reason="test"))
    await desk.nc.request("close_session.binance.main.spot._", closing)
    await until(lambda: connector.sessions.get("main") not in (None, session), what="a new session")
    await desk.ready(connector)
    await desk.becomes(await desk.place(), NEW)


async def test_orders_in_flight_when_a_connector_ends_are_looked_up_and_never_sent_again(desk: Desk) -> None:
    """An order whose answer a dying connector never saw is found by the next one; one that never left is rejected."""
    desk.fault("hang", endpoint="POST /api/v3/order", delay_ms=2_000, count=1)
    arrived = await desk.place()
    await until(lambda: desk.at_venue(arrived))
    desk.fault("drop_request", endpoint="POST /api/v3/order", count=1)
    never = await desk.place(price="39000")
    await desk.disconnect()
    # Nobody serves the account any more, so what is asked for now waits.
    await desk.cancel(arrived)
    await desk.connect()
    await desk.becomes(arrived, CANCELED)
    await desk.becomes(never, OrderStatus.REJECTED)
    assert len(desk.at_venue(arrived)) == 1
    assert desk.at_venue(never) == []
    desk.check_funds()


@pytest.mark.parametrize("leg", ["DELETE", "POST"])
async def test_an_amend_in_flight_when_a_connector_ends_is_settled_by_the_next(desk: Desk, leg: str) -> None:
    """Whatever leg of an amend was under way, the next session ends it as the venue shows it."""
    order_id = await desk.place()
    await desk.becomes(order_id, NEW)
    desk.fault("hang", endpoint=f"{leg} /api/v3/order", delay_ms=2_000, count=1)
    await desk.amend(order_id, price="41000")
    await until(
        lambda: not desk.at_venue(order_id)[0].is_open and len(desk.at_venue(order_id)) == 1 + (leg == "POST")
    )
    await desk.disconnect()
    await desk.connect()
    order = await desk.becomes(order_id, NEW if leg == "POST" else CANCELED)
    assert order.revision == (leg == "POST")
    assert order.amend is None
    desk.check_funds()


def _submit(order_id: str, deadline: int) -> Submit:
    return Submit(
        order_id=order_id,
        client_id=order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.01"),
        price=Decimal(40_000),
        deadline=deadline,
    )


def _look_up(order_id: str, since: int) -> LookUp:
    return LookUp(
        order_id=order_id,
        client_id=order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        status=OrderStatus.PENDING_NEW,
        quantity=Decimal("0.01"),
        cumulative=Decimal(0),
        since=since,
    )


async def _instruct(desk: Desk, *instructions: Any, session: str | None = None) -> None:
    token = session or desk.connectors[0][0].sessions["main"].token
    message = Instructions(session=token, instructions=list(instructions))
    await desk.nc.publish("instruct.binance.main.spot._", msgspec.json.encode(message))
    await desk.nc.flush()
    await asyncio.sleep(0.1)


async def test_an_order_looked_up_before_it_was_told_is_never_sent(desk: Desk) -> None:
    """A look-up of an order never heard of makes a later instruction to submit it void."""
    order_id = "mabcde0000000099"
    now = time.time_ns()
    await _instruct(desk, _look_up(order_id, now), _submit(order_id, now + 5 * 10**9))
    await asyncio.sleep(0.3)
    assert desk.at_venue(order_id) == []


async def test_instructions_that_may_not_be_obeyed_are_not(desk: Desk) -> None:
    """No order is sent twice, after its deadline, or for another session."""
    later = time.time_ns() + 5 * 10**9
    twice, late, foreign = (f"mabcde000000000{n}" for n in (1, 2, 3))
    await _instruct(desk, _submit(twice, later), _submit(twice, later))
    await _instruct(desk, _submit(twice, later), _submit(late, time.time_ns() - 1))
    await _instruct(desk, _submit(foreign, later), session="0123456789abcdef")
    await asyncio.sleep(0.3)
    assert [len(desk.at_venue(each)) for each in (twice, late, foreign)] == [1, 0, 0]


async def test_orders_beyond_the_rate_limit_are_refused_not_queued_for_ever(bare_desk: Desk) -> None:
    """Of a burst larger than the limits, what cannot be sent before its deadline is rejected as not sent."""
    await bare_desk.connect(limits=(6_000, 1_000, 5))
    order_ids = [await bare_desk.place() for _ in range(8)]
    await until(
        lambda: all(bare_desk.order(each).status is not OrderStatus.PENDING_NEW for each in order_ids)
    )
    rejected = [each for each in order_ids if bare_desk.order(each).status is OrderStatus.REJECTED]
    assert len(rejected) == 3
    assert all(bare_desk.order(each).reason.startswith("not sent: the rate limits") for each in rejected)
    assert [len(bare_desk.at_venue(each)) for each in order_ids] == [
        each not in rejected for each in order_ids
    ]


async def test_a_wrong_key_opens_nothing_and_says_why(
    bare_desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """With a key that the venue does not know no session becomes ready, and no key or secret is logged."""
    connector = await bare_desk.connect(account="unknown", wait=False)
    await until(lambda: "ACCOUNT_UNKNOWN" in caplog.text)
    assert "unknown" not in connector.sessions or not connector.sessions["unknown"].ready.is_set()
    await bare_desk.disconnect()
    accounts = bare_desk.wire.exchange.keys
    del accounts["main-key"]
    await bare_desk.connect(wait=False)
    await until(lambda: "auth fatal" in caplog.text)
    assert not bare_desk.state.ledgers["binance", "main", "spot"].ready
    assert "main-secret" not in caplog.text
    assert "main-key" not in caplog.text


async def test_two_accounts_in_one_process_do_not_mix(bare_desk: Desk) -> None:
    """Two accounts of one desk trade with each other, and each sees its own side."""
    await bare_desk.connect("main")
    await bare_desk.connect("sub_arb")
    buy = await bare_desk.place(price="50000", quantity="0.5")
    await bare_desk.becomes(buy, NEW)
    sell = await bare_desk.place(
        account="sub_arb", side="sell", price="50000", quantity="0.5", time_in_force="IOC"
    )
    await bare_desk.becomes(buy, FILLED)
    await bare_desk.becomes(sell, FILLED)
    bare_desk.check_funds("main")
    bare_desk.check_funds("sub_arb")


async def test_marks_follow_the_market(desk: Desk) -> None:
    """The engine's mark is half way between the venue's best bid and offer, within a moment."""
    desk.wire.driver.set_price("ETHUSDT", Decimal(3_100))
    instrument = desk.state.instruments["binance", "spot", "ETHUSDT"]
    await until(lambda: instrument.mark == 3_100, what="the mark")


async def test_a_session_closes_its_account_whatever_becomes_of_nats(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that cannot even unsubscribe sends nothing more and leaves no connection to the venue behind."""
    session = desk.connectors[0][0].sessions["main"]
    closed = asyncio.Event()
    close = session._account.close

    async def draining(subscription: Any, limit: int = 0) -> None:
        raise nats.errors.ConnectionDrainingError

    async def closing() -> None:
        await close()
        closed.set()

    monkeypatch.setattr(session._account, "close", closing)
    monkeypatch.setattr(nats.aio.subscription.Subscription, "unsubscribe", draining)
    session.end("test")
    await asyncio.wait_for(closed.wait(), 5)
    monkeypatch.undo()


async def test_terms_are_changed_in_the_order_in_which_they_were_instructed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the answer to the first comes, what is told last is what stands; orders do not wait for it."""
    session = desk.connectors[0][0].sessions["main"]
    stands, told = Decimal(1), []
    seen, going_on = asyncio.Event(), asyncio.Event()

    async def setting(symbol: str, leverage: Decimal) -> None:
        nonlocal stands
        stands = leverage

    async def showing() -> list[VenuePosition]:
        shown = VenuePosition(symbol="BTCUSDT", quantity=Decimal(0), leverage=stands)
        if not seen.is_set():
            seen.set()
            await going_on.wait()
        return [shown]

    monkeypatch.setattr(session._account, "set_leverage", setting)
    monkeypatch.setattr(session._account, "positions", showing)
    monkeypatch.setattr(session._reporter, "put", told.extend)
    for leverage in (20, 3):
        deadline = time.time_ns() + 60 * 10**9
        session._do(SetTerms(symbol="BTCUSDT", deadline=deadline, leverage=Decimal(leverage)))
    await asyncio.wait_for(seen.wait(), 5)
    await desk.becomes(await desk.place(), NEW)
    going_on.set()
    await until(lambda: len(told) == 2, what="both to be told")
    assert [each.leverage for each in told] == [20, 3]
    assert stands == 3


async def test_a_fence_holds_before_the_stream_is_open(desk: Desk) -> None:
    """From the moment another session takes the account over, reports of the older one are refused."""
    opening = encode(OpenSession(session="feedfeedfeedfeed", ready=False))
    await desk.nc.request("open_session.binance.main.spot._", opening)
    await until(desk.connectors[0][2].done, within_s=QUICK.probe_s * 6, what="the fenced connector to stop")


async def test_what_was_told_while_a_connector_could_not_be_reached_is_done_when_it_can(
    desk: Desk, nats_server_shared: EmbeddedNats
) -> None:
    """A cancel that fell into a short break of the connector's connection is not left until the engine misses its answer."""
    own = await nats.connect(
        nats_server_shared.url, max_reconnect_attempts=-1, reconnect_time_wait=0.5, error_cb=_silent
    )
    of_all, desk.nc = desk.nc, own
    connector = await desk.connect()
    desk.nc = of_all
    order_id = await desk.place()
    await desk.becomes(order_id, NEW)
    session = connector.sessions["main"]
    own._transport.close()
    await until(lambda: own.is_reconnecting, what="the break")
    await desk.cancel(order_id)
    await until(lambda: own.is_connected, what="the connection")
    await desk.becomes(order_id, CANCELED, 8)
    await desk.ready(connector)
    assert connector.sessions["main"] is not session
    await desk.disconnect()
    await own.close()


async def _silent(error: Exception) -> None:
    """The break is what is looked at."""
