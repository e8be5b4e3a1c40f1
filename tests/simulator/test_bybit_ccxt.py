"""Unmodified ccxt trades at the simulated Bybit: spot and linear perpetuals, REST and streams."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.bybit import KEY, Bybit, running

SYMBOLS = {"spot": "BTC/USDT", "linear": "BTC/USDT:USDT"}


@pytest.fixture
async def bybit(tmp_path: Path) -> AsyncIterator[Bybit]:
    async with running(tmp_path) as bybit:
        yield bybit


@pytest.fixture(params=["spot", "linear"])
async def client(bybit: Bybit, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """ccxt with the markets loaded; ``client.symbol`` is the one to trade."""
    client = bybit.ccxt(request.param)
    await client.load_markets()
    client.symbol = SYMBOLS[request.param]
    yield client
    await client.close()


async def test_markets_and_prices(client: Any) -> None:
    """Both markets are listed with their steps, and prices, books and trades are read."""
    spot, swap = client.market("BTC/USDT"), client.market("BTC/USDT:USDT")
    assert (spot["spot"], swap["swap"], swap["linear"]) == (True, True, True)
    assert (spot["precision"]["amount"], swap["precision"]["amount"]) == ("0.000001", "0.001")
    ticker = await client.fetch_ticker(client.symbol)
    book = await client.fetch_order_book(client.symbol, 5)
    assert D(ticker["bid"]) == D(str(book["bids"][0][0])) < D(ticker["last"]) < D(ticker["ask"])
    assert len(book["asks"]) == 5
    assert await client.fetch_time() > 0
    assert await client.is_unified_enabled() == [False, True]


async def test_a_limit_order_lives_and_is_canceled(bybit: Bybit, client: Any) -> None:
    """An order is made, found by both ids, amended in place, and canceled by its client id."""
    made = await client.create_order(
        client.symbol, "limit", "buy", "0.01", "49000", {"clientOrderId": "first", "postOnly": True}
    )
    [found] = await client.fetch_open_orders(client.symbol)
    assert (found["id"], found["clientOrderId"], found["status"]) == (made["id"], "first", "open")
    assert (found["postOnly"], D(found["remaining"])) == (True, D("0.01"))
    await client.edit_order(made["id"], client.symbol, "limit", "buy", "0.02", "48000")
    [found] = await client.fetch_open_orders(client.symbol, params={"orderLinkId": "first"})
    assert (found["id"], D(found["amount"]), D(found["price"])) == (made["id"], D("0.02"), D(48_000))
    await client.cancel_order("", client.symbol, {"orderLinkId": "first"})
    assert await client.fetch_open_orders(client.symbol) == []
    [closed] = await client.fetch_canceled_orders(client.symbol)
    assert (closed["id"], closed["status"]) == (made["id"], "canceled")


async def test_a_market_order_fills(bybit: Bybit, client: Any) -> None:
    """A market order is filled at once, and its trades say the price, the fee and the order."""
    made = await client.create_order(client.symbol, "market", "sell", "0.05", params={"clientOrderId": "m"})
    order = await client.fetch_closed_order(made["id"], client.symbol)
    assert (order["status"], D(order["filled"])) == ("closed", D("0.05"))
    [trade] = await client.fetch_my_trades(client.symbol)
    [fill] = bybit.main.find(None, client_order_id="m").fills
    assert (trade["order"], trade["side"], trade["takerOrMaker"]) == (made["id"], "sell", "taker")
    assert (D(trade["price"]), D(trade["amount"])) == (fill.price, fill.quantity)
    assert (D(trade["fee"]["cost"]), trade["fee"]["currency"]) == (fill.commission, "USDT")
    [same] = await client.fetch_order_trades(made["id"], client.symbol)
    assert same["id"] == trade["id"]


async def test_spot_buys_by_amount_or_by_quantity(bybit: Bybit) -> None:
    """A spot market buy spends an amount, unless it says that its quantity is in base."""
    client = bybit.ccxt("spot")
    await client.load_markets()
    await client.create_order(
        "BTC/USDT", "market", "buy", "0.01", params={"marketUnit": "baseCoin", "clientOrderId": "base"}
    )
    await client.create_order(
        "BTC/USDT", "market", "buy", "0", params={"cost": "250", "clientOrderId": "cost"}
    )
    by_base = bybit.main.find(None, client_order_id="base")
    by_cost = bybit.main.find(None, client_order_id="cost")
    assert by_base.executed == D("0.01")
    assert D(249) < by_cost.executed_quote <= D(250)
    orders = {order["clientOrderId"]: order for order in await client.fetch_closed_orders("BTC/USDT")}
    assert D(orders["cost"]["filled"]) == by_cost.executed
    await client.close()


async def test_balances_and_transfers(bybit: Bybit, client: Any) -> None:
    """Both wallets are read, and funds go from one to the other."""
    balance = await client.fetch_balance()
    assert (D(balance["USDT"]["total"]), D(balance["BTC"]["total"])) == (D(100_000), D(2))
    moved = await client.transfer("USDT", "100", "unified", "funding")
    assert moved["status"] == "ok"
    funding = await client.fetch_balance({"type": "funding"})
    assert D(funding["USDT"]["total"]) == D(100_100)
    [listed] = await client.fetch_transfers("USDT")
    assert (listed["id"], listed["fromAccount"], listed["toAccount"]) == (moved["id"], "unified", "fund")


async def test_positions_leverage_and_funding(bybit: Bybit) -> None:
    """A position has its side, size, entry and leverage; funding is listed; margin mode is the account's."""
    client = bybit.ccxt("linear")
    await client.load_markets()
    symbol = SYMBOLS["linear"]
    await client.set_leverage(5, symbol)
    with pytest.raises(ccxt.BaseError, match="110043"):
        await client.set_leverage(5, symbol)
    await client.create_order(symbol, "market", "sell", "0.02")
    position = await client.fetch_position(symbol)
    assert (position["side"], D(position["contracts"]), D(position["leverage"])) == ("short", D("0.02"), D(5))
    held = bybit.main.positions["BTCUSDT"]
    assert D(position["entryPrice"]) == held.entry_price
    assert D(position["liquidationPrice"]) > held.entry_price
    [same] = await client.fetch_positions()
    assert same["symbol"] == symbol
    exchange = bybit.wire.exchange
    exchange.settle_funding(exchange.market("futures", "BTCUSDT"), D("0.001"))
    executions = await client.privateGetV5ExecutionList({"category": "linear", "execType": "Funding"})
    [payment] = executions["result"]["list"]
    assert D(payment["execFee"]) == -bybit.main.funding_payments[0].amount == D(-1)
    with pytest.raises(ccxt.BaseError, match="3400045"):
        await client.set_margin_mode("isolated", symbol)
    await client.create_order(symbol, "market", "buy", "0.02", params={"reduceOnly": True})
    assert await client.fetch_positions() == []
    await client.set_margin_mode("isolated", symbol)
    assert bybit.main.positions["ETHUSDT"].mode == "isolated"
    await client.close()


async def test_conditional_orders(bybit: Bybit) -> None:
    """A conditional order waits, is listed with its trigger, and trades when the price is there."""
    client = bybit.ccxt("linear")
    await client.load_markets()
    symbol = SYMBOLS["linear"]
    made = await client.create_order(
        symbol, "market", "buy", "0.01", params={"triggerPrice": "51000", "triggerDirection": "ascending"}
    )
    [waiting] = await client.fetch_open_orders(symbol)
    assert (waiting["id"], D(waiting["triggerPrice"])) == (made["id"], D(51_000))
    bybit.wire.driver.set_price("BTCUSDT", D(51_100), "futures")
    order = await client.fetch_closed_order(made["id"], symbol)
    assert (order["status"], order["id"]) == ("closed", made["id"])
    await client.close()


async def test_streams(bybit: Bybit, client: Any) -> None:
    """Orders, trades, balances, books, tickers and public trades are watched."""
    exchange, market = bybit.wire.exchange, "futures" if ":" in client.symbol else "spot"
    watching = {
        "orders": asyncio.create_task(client.watch_orders()),
        "trades": asyncio.create_task(client.watch_my_trades()),
        "balance": asyncio.create_task(client.watch_balance()),
        "book": asyncio.create_task(client.watch_order_book(client.symbol, 50)),
        "ticker": asyncio.create_task(client.watch_ticker(client.symbol)),
        "public": asyncio.create_task(client.watch_trades(client.symbol)),
    }
    await asyncio.sleep(0.3)
    assert bybit.wire.connections() == {"user": 1, "market": 1}
    await client.create_order(client.symbol, "market", "buy", "0.01", params={"marketUnit": "baseCoin"})
    found = {name: await asyncio.wait_for(task, 3) for name, task in watching.items()}
    assert found["orders"][0]["symbol"] == client.symbol
    assert D(found["trades"][0]["amount"]) == D("0.01")
    assert D(found["balance"]["USDT"]["total"]) < 100_000
    assert D(str(found["public"][0]["amount"])) == D("0.01")
    best = exchange.market(market, "BTCUSDT").book.best("BUY")
    assert D(str(found["book"]["bids"][0][0])) == best.price
    assert D(found["ticker"]["last"]) > 0


async def test_a_book_follows(bybit: Bybit, client: Any) -> None:
    """A watched book is at every moment what the exchange's is."""
    market = bybit.wire.exchange.market("futures" if ":" in client.symbol else "spot", "BTCUSDT")
    book = await client.watch_order_book(client.symbol, 50)
    for _ in range(5):
        bybit.wire.driver.step()
        book = await asyncio.wait_for(client.watch_order_book(client.symbol, 50), 3)
        for field, side in (("bids", "BUY"), ("asks", "SELL")):
            there = [(level.price, level.quantity) for level in market.book.levels(side)]
            assert [(D(str(p)), D(str(q))) for p, q, *_ in book[field]] == there


async def test_errors_keep_their_class(bybit: Bybit, client: Any) -> None:
    """ccxt knows the exchange's codes and the classes they stand for."""
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order("", client.symbol, {"orderLinkId": "nobody"})
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(client.symbol, "limit", "buy", "500", "49000")
    stranger = bybit.ccxt(key="nobody")
    stranger.set_markets_from_exchange(client)
    with pytest.raises(ccxt.AuthenticationError):
        await stranger.fetch_balance()
    assert stranger.apiKey != KEY
    await stranger.close()
