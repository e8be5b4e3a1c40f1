"""ccxt trades at the simulated OKX unmodified: orders, fills, positions, and what its watchers hear."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.okx import SPOT, SWAP, Okx, running

PAIR, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture
async def okx(tmp_path: Path) -> AsyncIterator[Okx]:
    """The simulator."""
    async with running(tmp_path) as okx:
        yield okx


@pytest.fixture
async def client(okx: Okx) -> AsyncIterator[Any]:
    """ccxt, with its markets loaded."""
    client = okx.ccxt()
    await client.load_markets()
    yield client
    await client.close()


async def test_markets(client: Any) -> None:
    """Markets have their sizes, contract values and kinds."""
    assert {PAIR, PERPETUAL} <= set(client.markets)
    assert client.markets[PAIR]["precision"] == {"amount": "0.00000001", "price": "0.1"}
    perpetual = client.markets[PERPETUAL]
    assert (perpetual["contractSize"], perpetual["linear"], perpetual["settle"]) == ("0.01", True, "USDT")


async def test_an_order_from_taken_to_canceled(okx: Okx, client: Any) -> None:
    """An order is created, fetched by client id, edited and canceled."""
    made = await client.create_order(PAIR, "limit", "buy", "0.01", "40000", {"clientOrderId": "A1"})
    found = await client.fetch_order(made["id"], PAIR)
    assert (found["clientOrderId"], found["status"], found["amount"]) == ("A1", "open", "0.01")
    by_client_id = await client.fetch_order(None, PAIR, {"clientOrderId": "A1"})
    assert by_client_id["id"] == made["id"]
    await client.edit_order(made["id"], PAIR, "limit", "buy", "0.02", "41000")
    (edited,) = await client.fetch_open_orders(PAIR)
    assert (edited["amount"], edited["price"]) == ("0.02", "41000")
    await client.cancel_order(None, PAIR, {"clOrdId": "A1"})
    assert await client.fetch_open_orders(PAIR) == []
    (canceled,) = await client.fetch_canceled_orders(PAIR)
    assert canceled["status"] == "canceled"


async def test_fills_positions_and_balances(okx: Okx, client: Any) -> None:
    """Fills have their fees, positions their size in contracts, balances what is left."""
    await client.create_order(PAIR, "market", "buy", "0.01", None, {"tgtCcy": "base_ccy"})
    await client.create_order(PERPETUAL, "market", "sell", "3", None, {"tdMode": "cross"})
    (fill,) = await client.fetch_my_trades(PAIR)
    assert (fill["amount"], fill["price"], fill["fee"]) == (
        "0.01",
        "50000.5",
        {"cost": "0.00001", "currency": "BTC"},
    )
    (position,) = await client.fetch_positions([PERPETUAL])
    assert (position["contracts"], position["side"], position["marginMode"]) == ("3", "short", "cross")
    balance = await client.fetch_balance()
    assert balance["BTC"]["total"] == "2.00999"
    await client.set_leverage(9, PERPETUAL, {"mgnMode": "cross"})
    assert okx.exchange.position(okx.main, SWAP).leverage == 9
    okx.exchange.settle_funding(okx.exchange.market("futures", SWAP), D("0.001"))
    (payment,) = await client.fetch_funding_history(PERPETUAL)
    assert payment["amount"] == "1.5"
    await client.transfer("USDT", "10", "trading", "funding")
    assert okx.balance("USDT", "funding").total == D(100_010)


async def test_ccxts_classes_of_errors(client: Any) -> None:
    """ccxt takes the codes for what they are."""
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(PAIR, "limit", "buy", "10", "40000")
    with pytest.raises(ccxt.InvalidOrder):
        await client.create_order(PAIR, "limit", "buy", "0.000001", "40000")
    with pytest.raises(ccxt.OrderNotFound):
        await client.fetch_order("2500000000000000999", PAIR)
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order("2500000000000000999", PAIR)
    client.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await client.fetch_balance()


async def test_private_watchers(okx: Okx, client: Any) -> None:
    """Orders, trades, balances and positions are watched, over one login."""
    orders = asyncio.create_task(client.watch_orders(PAIR))
    trades = asyncio.create_task(client.watch_my_trades(PERPETUAL))
    positions = asyncio.create_task(client.watch_positions())
    balance = await asyncio.wait_for(client.watch_balance(), 3)
    assert balance["BTC"]["total"] == "2"
    # The first message of positions is what stands: nothing.
    assert await asyncio.wait_for(positions, 3) == []
    positions = asyncio.create_task(client.watch_positions())
    await asyncio.sleep(0.1)
    okx.place(SPOT, client_order_id="A1")
    okx.buy(SWAP, "2")
    (order,) = await asyncio.wait_for(orders, 3)
    assert (order["clientOrderId"], order["status"]) == ("A1", "open")
    (trade,) = await asyncio.wait_for(trades, 3)
    assert (trade["amount"], trade["price"]) == ("2", "50000.5")
    (position,) = await asyncio.wait_for(positions, 3)
    assert position["contracts"] == "2"
    # An order on the same account from elsewhere, placed and canceled over the socket.
    made = await client.create_order_ws(PAIR, "limit", "buy", "0.01", "40000")
    await client.cancel_order_ws(made["id"], PAIR)
    assert [order.client_order_id for order in okx.main.open.values()] == ["A1"]


async def test_public_watchers(okx: Okx, client: Any) -> None:
    """A book that ccxt keeps from a snapshot and changes is the exchange's own; prices and trades come along."""
    assert (await client.watch_ticker(PAIR))["last"] == "50000"
    assert (await client.watch_mark_price(PERPETUAL))["markPrice"] == "50000"
    assert (await client.watch_bids_asks([PAIR]))[PAIR]["bid"] == "49999.5"
    assert (await client.watch_funding_rate(PERPETUAL))["fundingRate"] == "0.0001"
    await client.watch_order_book(PAIR)
    for price in (49_000, 49_500, 50_001):
        okx.place(price=D(price), quantity=D("0.07"))
        book = await asyncio.wait_for(client.watch_order_book(PAIR), 3)
    market = okx.exchange.market("spot", SPOT)
    for side, name in (("BUY", "bids"), ("SELL", "asks")):
        ours = [(float(level.price), float(level.quantity)) for level in market.book.levels(side)]
        assert [(price, size) for price, size, *_ in book[name]] == ours
    trades = asyncio.create_task(client.watch_trades(PAIR))
    await asyncio.sleep(0.1)
    okx.buy(SPOT, "0.03")
    assert (await asyncio.wait_for(trades, 3))[0]["amount"] == "0.03"
    five = await client.watch_order_book(PAIR, 5)
    assert [len(five[name]) for name in ("bids", "asks")] == [5, 5]
