"""Unmodified ccxt trades at the simulated Upbit."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from oms.simulator.upbit.payloads import order_uuid
from tests.upbit import BTC, PRICE, Upbit, running


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path) as upbit:
        yield upbit


@pytest.fixture
async def exchange(upbit: Upbit) -> AsyncIterator[Any]:
    """Loaded, and with Upbit's own limits only."""
    exchange = upbit.ccxt()
    await exchange.load_markets()
    yield exchange
    await exchange.close()


async def ends(exchange: Any, order_id: str) -> Any:
    """Wait until an order is over."""
    for _ in range(100):
        order = await exchange.fetch_order(order_id)
        if order["status"] != "open":
            return order
        await asyncio.sleep(0.02)
    raise AssertionError(f"{order_id} is still open")


async def test_order_is_made_looked_at_and_canceled(upbit: Upbit, exchange: Any) -> None:
    """A resting order is there under both its names, holds its funds with the fee, and gives them back."""
    made = await exchange.create_order(
        "BTC/KRW", "limit", "buy", 0.01, 69_000_000, {"clientOrderId": "mine1"}
    )
    assert made["info"]["state"] == "wait"
    found = await exchange.fetch_order(made["id"])
    assert (found["clientOrderId"], found["amount"], found["filled"]) == ("mine1", 0.01, 0)
    assert [order["id"] for order in await exchange.fetch_open_orders("BTC/KRW")] == [made["id"]]
    balance = await exchange.fetch_balance()
    assert balance["KRW"]["used"] == 690_345
    assert upbit.balance("KRW").locked == Decimal(690_345)
    assert (await exchange.cancel_order(made["id"]))["status"] == "open"
    assert (await ends(exchange, made["id"]))["status"] == "canceled"
    assert (await exchange.fetch_balance())["KRW"]["used"] == 0
    assert [order["id"] for order in await exchange.fetch_canceled_orders("BTC/KRW")] == [made["id"]]


async def test_fill_pays_its_fee_in_won_on_both_sides(upbit: Upbit, exchange: Any) -> None:
    """A buy and a sell fill at the book's prices; each pays 0.05 % in won, and the sums are exact."""
    before = {asset: upbit.balance(asset).total for asset in ("KRW", "BTC")}
    for side, price in (("buy", 70_100_000), ("sell", 69_900_000)):
        made = await exchange.create_order("BTC/KRW", "limit", side, 0.01, price)
        order = await ends(exchange, made["id"])
        assert (order["status"], order["filled"], order["fee"]["currency"]) == ("closed", 0.01, "KRW")
    fills = upbit.wire.exchange.fills(upbit.main, "spot", BTC)
    paid = sum(fill.quote if fill.is_buyer else -fill.quote for fill in fills)
    fees = sum(fill.quote * Decimal("0.0005") for fill in fills)
    assert {fill.commission_asset for fill in fills} == {"KRW"}
    assert upbit.balance("KRW").total == before["KRW"] - paid - fees
    assert upbit.balance("BTC").total == before["BTC"]


async def test_market_orders_spend_won_and_sell_coins(upbit: Upbit, exchange: Any) -> None:
    """A market buy is for so many won, fee on top, a market sell for so many coins."""
    bought = await exchange.create_market_buy_order_with_cost("BTC/KRW", 1_000_000)
    assert bought["info"]["ord_type"] == "price"
    order = await ends(exchange, bought["id"])
    assert 999_000 < float(order["info"]["executed_funds"]) <= 1_000_000
    sold = await exchange.create_order("BTC/KRW", "market", "sell", 0.01)
    assert (await ends(exchange, sold["id"]))["filled"] == 0.01


async def test_times_in_force(upbit: Upbit, exchange: Any) -> None:
    """IOC fills what it can, FOK all or nothing, post-only rests or is canceled; none of them is left behind."""
    level = upbit.wire.exchange.market("spot", BTC).book.best("SELL")
    assert level is not None
    price, there = float(level.price), float(level.quantity)
    more = round(there + 0.01, 8)
    for params, filled in (({"timeInForce": "FOK"}, 0), ({"timeInForce": "IOC"}, there)):
        made = await exchange.create_order("BTC/KRW", "limit", "buy", more, price, params)
        order = await ends(exchange, made["id"])
        assert (order["status"], order["filled"]) == ("canceled", filled)
    made = await exchange.create_order("BTC/KRW", "limit", "buy", 0.01, 71_000_000, {"postOnly": True})
    assert made["info"]["time_in_force"] == "post_only"
    order = await ends(exchange, made["id"])
    assert (order["status"], order["filled"]) == ("canceled", 0)
    made = await exchange.create_order("BTC/KRW", "limit", "buy", 0.01, 69_000_000, {"postOnly": True})
    assert (await exchange.fetch_order(made["id"]))["status"] == "open"
    assert not upbit.balance("BTC").locked


async def test_edit_cancels_and_makes_anew(upbit: Upbit, exchange: Any) -> None:
    """`cancel_and_new` ends the order and makes the other one."""
    made = await exchange.create_order("BTC/KRW", "limit", "buy", 0.01, 69_000_000)
    edited = await exchange.edit_order(made["id"], "BTC/KRW", "limit", "buy", 0.02, 68_000_000)
    (order,) = upbit.main.open.values()
    assert (order.quantity, order.price) == (Decimal("0.02"), Decimal(68_000_000))
    assert edited["id"] == order_uuid(order.order_id)
    assert (await ends(exchange, made["id"]))["status"] == "canceled"


async def test_refusals_are_ccxts_own(upbit: Upbit, exchange: Any) -> None:
    """ccxt reads the wire's refusals as the exceptions it has for Upbit's."""
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order("BTC/KRW", "limit", "sell", 10, 70_000_000)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("9ca023a5-851b-4fec-9f0a-48cd83c2eaae")
    stranger = upbit.ccxt(secret="w" * 40)
    with pytest.raises(ccxt.AuthenticationError):
        await stranger.fetch_balance()
    await stranger.close()


async def test_quotations(upbit: Upbit, exchange: Any) -> None:
    """Markets, tickers, books, trades and fees are read."""
    assert {"BTC/KRW", "ETH/KRW", "SHIB/KRW"} <= set(exchange.markets)
    upbit.place("other", side="BUY", type="MARKET", quantity=Decimal("0.01"), price=Decimal(0))
    ticker = await exchange.fetch_ticker("BTC/KRW")
    book = await exchange.fetch_order_book("BTC/KRW", 5)
    (trade,) = await exchange.fetch_trades("BTC/KRW", limit=1)
    assert ticker["last"] == trade["price"] == book["asks"][0][0]
    assert len(book["bids"]) == 5
    assert (trade["side"], trade["amount"]) == ("buy", 0.01)
    fee = await exchange.fetch_trading_fee("BTC/KRW")
    assert (fee["maker"], fee["taker"]) == (0.0005, 0.0005)


async def test_streams(upbit: Upbit, exchange: Any) -> None:
    """Orders, trades, balances, books, tickers and public trades come over ccxt's sockets."""
    orders = asyncio.create_task(exchange.watch_orders())
    balance = asyncio.create_task(exchange.watch_balance())
    await asyncio.sleep(0.2)
    made = await exchange.create_order("BTC/KRW", "limit", "buy", 0.01, 69_000_000, {"clientOrderId": "seen"})
    (told,) = await asyncio.wait_for(orders, 5)
    assert (told["id"], told["clientOrderId"], told["status"]) == (made["id"], "seen", "open")
    assert (await asyncio.wait_for(balance, 5))["KRW"]["used"] == 690_345
    trades = asyncio.create_task(exchange.watch_my_trades())
    upbit.wire.driver.set_price(BTC, PRICE - 2 * 10**6)
    (trade,) = await asyncio.wait_for(trades, 5)
    assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (made["id"], 0.01, "maker")
    assert trade["fee"] == {"currency": "KRW", "cost": 345.0}
    book = await asyncio.wait_for(exchange.watch_order_book("BTC/KRW"), 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert (await asyncio.wait_for(exchange.watch_ticker("BTC/KRW"), 5))["last"]
    public = asyncio.create_task(exchange.watch_trades("BTC/KRW"))
    await asyncio.wait_for(public, 5)
