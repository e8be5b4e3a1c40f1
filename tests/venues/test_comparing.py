"""What comparing must not get wrong: trades whose order cannot be asked for, funds that are ahead of every list, symbols
that are touched meanwhile."""

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest

from oms.messages.enums import OrderStatus
from oms.venues.adapter import VenueOrder
from oms.venues.binance_spot import BinanceSpotAccount
from oms.venues.reconcile import Comparison

from .conftest import QUICK, Desk, until

OFTEN = attrs.evolve(QUICK, orders_s=60.0, fills_s=0.3, funds_s=60.0, settled_s=0.4)
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}


def applied(desk: Desk) -> int:
    """Trades that the engine knows of the account."""
    return len(desk.state.ledgers["binance", "main", "spot"].trade_ids)


async def test_a_trade_is_told_though_its_order_could_not_be_asked_for_at_first(bare_desk: Desk) -> None:
    """A trade from elsewhere that no report told, while the venue does not answer questions about its order, comes later."""
    connector = await bare_desk.connect(settings=OFTEN)
    connector.sessions["main"].reconciler.touch("BTCUSDT", 0)
    bare_desk.fault("drop_report")
    bare_desk.fault("server_error_before", endpoint="GET /api/v3/order", count=6, status=502)
    bare_desk.external("main", **MARKET)
    await until(lambda: applied(bare_desk) == 1, 15, what="the trade")


async def test_a_trade_of_an_order_that_the_venue_has_forgotten_is_told(bare_desk: Desk) -> None:
    """Orders are forgotten before trades are: the trade alone is applied."""
    connector = await bare_desk.connect(settings=OFTEN)
    reconciler = connector.sessions["main"].reconciler
    account = connector.sessions["main"]._account
    bare_desk.external("main", **MARKET)
    await until(lambda: applied(bare_desk) == 1, what="the trade")
    (trade,) = await account.trades_since("BTCUSDT", 0)
    unknown = attrs.evolve(trade, venue_order_id="987654321", trade_id="777", client_id="")
    await reconciler._tell_trade(unknown)
    await until(lambda: applied(bare_desk) == 2, what="the trade of the forgotten order")


async def test_funds_that_are_ahead_of_the_lists_are_not_adopted(bare_desk: Desk) -> None:
    """A balance that differs for a moment, and is explained the next, moves nothing; one that stays is adopted."""
    connector = await bare_desk.connect(settings=OFTEN)
    reconciler = connector.sessions["main"].reconciler
    account = bare_desk.wire.exchange.accounts["main"]
    held = account.wallets["spot"]["BTC"]
    funds = bare_desk.state.wallets["binance", "main", "spot"].balances
    before = funds["BTC"].total
    held.free += Decimal(1)
    comparing = asyncio.create_task(reconciler.compare_funds(Comparison()))
    await asyncio.sleep(0.2)
    held.free -= Decimal(1)
    seen = set()
    while not comparing.done():
        seen.add(funds["BTC"].total)
        await asyncio.sleep(0.01)
    assert seen == {before}
    held.free += Decimal(1)
    await reconciler.compare_funds(Comparison())
    assert funds["BTC"].total == before + 1


async def test_funds_that_are_ahead_of_the_lists_are_not_adopted_by_a_new_session(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine knows it knows after a lost stream too: one answer that differs moves nothing, one that stays does."""
    connector = await bare_desk.connect(settings=OFTEN)
    funds = bare_desk.state.wallets["binance", "main", "spot"].balances
    before = funds["BTC"].total
    totals = BinanceSpotAccount.totals
    seen_ahead = 0

    async def read(account: BinanceSpotAccount) -> dict[str, Decimal]:
        nonlocal seen_ahead
        found = await totals(account)
        if connector.sessions["main"].reconciler._gap:
            return found
        seen_ahead += 1
        return found | {"BTC": found["BTC"] + 1}

    monkeypatch.setattr(BinanceSpotAccount, "totals", read)
    connector.sessions["main"].end("a lost stream")
    await until(lambda: "main" not in connector.sessions)
    await bare_desk.ready(connector)
    assert seen_ahead >= 2
    assert funds["BTC"].total == before
    monkeypatch.undo()
    connector.sessions["main"].end("a lost stream")
    await until(lambda: "main" not in connector.sessions)
    bare_desk.wire.exchange.accounts["main"].wallets["spot"]["BTC"].free += Decimal(1)
    await bare_desk.ready(connector)
    assert funds["BTC"].total == before + 1


async def test_only_funds_that_differ_keep_a_session_from_being_ready(bare_desk: Desk) -> None:
    """An account of which nothing is believed is taken as it is found, and one that is as believed is not waited for."""
    patient = attrs.evolve(OFTEN, settled_s=60.0)
    connector = await bare_desk.connect(settings=patient)
    connector.sessions["main"].end("a lost stream")
    await until(lambda: "main" not in connector.sessions)
    await bare_desk.ready(connector)
    bare_desk.check_funds()


async def test_a_symbol_touched_while_funds_are_compared_is_asked_about_from_then_on(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that goes out while the funds are being told is not forgotten with the symbols of which nothing is left."""
    connector = await bare_desk.connect(settings=OFTEN)
    session = connector.sessions["main"]
    tell = session._reporter.tell

    async def telling(verb: str, command: Any) -> bytes:
        if verb == "report_balances":
            session.reconciler.touch("ETHUSDT", 1)
        return await tell(verb, command)

    session.reconciler.touch("ETHUSDT", 0)
    await session.reconciler.compare_funds(Comparison())
    assert "ETHUSDT" not in session.reconciler._since
    monkeypatch.setattr(session._reporter, "tell", telling)
    await session.reconciler.compare_funds(Comparison())
    assert "ETHUSDT" in session.reconciler._since


async def test_what_was_compared_at_the_start_is_known_as_compared(bare_desk: Desk) -> None:
    """A session that is ready has compared orders, trades and funds; orders alone do not stand for trades, nor trades for orders."""
    connector = await bare_desk.connect(settings=OFTEN)
    reconciler = connector.sessions["main"].reconciler
    began = reconciler.compared_at
    assert began
    assert reconciler.funds_compared_at
    await reconciler._compare({"fills"}, Comparison())
    assert reconciler.compared_at == began
    await reconciler._compare({"orders"}, Comparison())
    assert reconciler.compared_at > began


async def test_an_order_that_is_amended_during_both_readings_is_not_missing(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading shows the venue order that an amend has just put in the place of the one believed: it was open all the time."""
    connector = await bare_desk.connect(settings=OFTEN)
    session = connector.sessions["main"]
    order_id = await bare_desk.place(price="40000")
    await bare_desk.becomes(order_id, OrderStatus.NEW)
    open_orders = session._account.open_orders
    prices = ["38000", "39000"]

    async def reading(*args: Any) -> list[VenueOrder]:
        await bare_desk.amend(order_id, price=prices.pop())
        await bare_desk.becomes(order_id, OrderStatus.NEW)
        return await open_orders(*args)

    monkeypatch.setattr(session._account, "open_orders", reading)
    comparison = Comparison()
    await session.reconciler._compare_orders(comparison)
    assert not prices
    assert comparison.differences == []


async def test_an_amend_that_begins_while_a_missing_order_is_looked_at_does_not_end_it(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue order was canceled for an amend by the time the venue answers: the order is not told to have ended."""
    connector = await bare_desk.connect(settings=OFTEN)
    session = connector.sessions["main"]
    order_id = await bare_desk.place(price="40000")
    await bare_desk.becomes(order_id, OrderStatus.NEW)
    order, place = session._account.order, session._account.submit_for_amend
    canceled, compared = asyncio.Event(), asyncio.Event()

    async def none_open(*_: Any) -> list[VenueOrder]:
        return []

    async def looking(*args: Any) -> VenueOrder:
        await bare_desk.amend(order_id, price="39000")
        await canceled.wait()
        return await order(*args)

    async def placing(*args: Any) -> VenueOrder:
        canceled.set()
        await compared.wait()
        return await place(*args)

    monkeypatch.setattr(session._account, "open_orders", none_open)
    monkeypatch.setattr(session._account, "order", looking)
    monkeypatch.setattr(session._account, "submit_for_amend", placing)
    comparison = Comparison()
    await session.reconciler._compare_orders(comparison)
    await session._reporter.flushed()
    assert [each.key for each in comparison.differences] == [order_id]
    assert bare_desk.order(order_id).base is OrderStatus.NEW
    compared.set()
    await bare_desk.becomes(order_id, OrderStatus.NEW)
    assert bare_desk.order(order_id).price == 39000
