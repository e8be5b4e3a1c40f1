"""Unmodified ccxt.pro trades futures against the simulator, told only where to find it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import ccxt
import ccxt.pro
import pytest

from oms.simulator import SimulatorConfig
from oms.simulator.client import ControlClient
from oms.simulator.wire import Wire

from .conftest import KEY, SECRET
from .fapi import with_futures

PERP = "BTC/USDT:USDT"


@pytest.fixture
def config(config: SimulatorConfig) -> SimulatorConfig:
    return with_futures(config)


@pytest.fixture
async def perps(session: aiohttp.ClientSession) -> AsyncIterator[ccxt.pro.binanceusdm]:
    """ccxt's Binance USD-M, unmodified, with its markets loaded."""
    client = ccxt.pro.binanceusdm(
        {
            "apiKey": KEY,
            "secret": SECRET,
            "session": session,
            "enableRateLimit": False,
            "options": {"fetchCurrencies": False, "fetchMargins": False},
        }
    )
    client.number = str
    await client.load_markets()
    yield client
    await client.close()


async def taken(queue: asyncio.Queue) -> dict[str, object]:
    return await asyncio.wait_for(queue.get(), 5)


@pytest.fixture
async def seen(perps: ccxt.pro.binanceusdm) -> AsyncIterator[tuple[asyncio.Queue, asyncio.Queue]]:
    """What `watch_orders` and `watch_my_trades` give."""
    queues = asyncio.Queue(), asyncio.Queue()

    async def collect(watch: object, queue: asyncio.Queue) -> None:
        while True:
            for row in await watch():
                queue.put_nowait(dict(row))

    watches = perps.watch_orders, perps.watch_my_trades
    tasks = [asyncio.create_task(collect(w, q)) for w, q in zip(watches, queues, strict=True)]
    while not any("listenKey" in url and client.isConnected for url, client in perps.clients.items()):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    yield queues
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_markets(perps: ccxt.pro.binanceusdm) -> None:
    """`load_markets` reads perpetual contracts with their ticks, steps and minimum cost."""
    market = perps.market(PERP)
    assert (market["swap"], market["linear"], market["settle"]) == (True, True, "USDT")
    assert market["precision"] == {**market["precision"], "price": "0.1", "amount": "0.001"}
    assert market["limits"]["cost"]["min"] == "50"
    assert market["contractSize"] in (1, "1")


async def test_order_amended_and_filled_in_the_stream(
    perps: ccxt.pro.binanceusdm, wire: Wire, seen: tuple[asyncio.Queue, asyncio.Queue], control: ControlClient
) -> None:
    """A resting order is reported open, amended in place, filled when the price reaches it, with its commission."""
    orders, trades = seen
    placed = await perps.create_order(PERP, "limit", "buy", "0.01", "49000", {"newClientOrderId": "ours1"})
    assert (placed["status"], placed["clientOrderId"]) == ("open", "ours1")
    assert (await taken(orders))["status"] == "open"
    amended = await perps.edit_order(placed["id"], PERP, "limit", "buy", "0.02", "49500")
    assert (amended["id"], amended["amount"], amended["price"]) == (placed["id"], "0.020", "49500.0")
    assert (await taken(orders))["amount"] == "0.020"
    await control.set_price("BTCUSDT", "49490", market="futures")
    trade = await taken(trades)
    assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (placed["id"], "49500.0", "maker")
    assert trade["fee"] == {"cost": "0.19800000", "currency": "USDT"}
    (mine,) = await perps.fetch_my_trades(PERP)
    assert (mine["id"], mine["amount"]) == (trade["id"], trade["amount"])
    assert (await perps.fetch_order(placed["id"], PERP))["status"] == "closed"


async def test_positions_leverage_and_balances(perps: ccxt.pro.binanceusdm) -> None:
    """Leverage and margin mode are set, a position shows its margin and liquidation price, balances its cost."""
    await perps.set_leverage(10, PERP)
    await perps.set_margin_mode("isolated", PERP)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await perps.set_margin_mode("isolated", PERP)
    await perps.create_order(PERP, "market", "buy", "0.1")
    (position,) = await perps.fetch_positions([PERP])
    assert (position["side"], position["contracts"], position["marginMode"]) == ("long", "0.1", "isolated")
    assert float(position["entryPrice"]) == pytest.approx(50_000.5)
    assert 0 < float(position["liquidationPrice"]) < 50_000
    balance = await perps.fetch_balance()
    assert float(balance["USDT"]["total"]) == pytest.approx(100_000 - 0.1 * 50_000.5 * 0.0005, rel=1e-3)
    assert float(balance["USDT"]["used"]) > 0
    await perps.create_order(PERP, "market", "sell", "0.1", params={"reduceOnly": True})
    assert await perps.fetch_positions([PERP]) == []


async def test_funding_and_transfers(perps: ccxt.pro.binanceusdm, wire: Wire) -> None:
    """Funding payments are in the income, and funds move between the wallets."""
    await perps.create_order(PERP, "market", "buy", "0.1")
    wire.exchange.settle_funding(wire.exchange.market("futures", "BTCUSDT"))
    (paid,) = await perps.fetch_funding_history(PERP)
    assert float(paid["amount"]) == pytest.approx(-0.1 * 50_000 * 0.0001)
    made = await perps.transfer("USDT", "10", "spot", "linear")
    assert made["id"]
    rate = await perps.fetch_funding_rate(PERP)
    assert float(rate["fundingRate"]) == pytest.approx(0.0001)


async def test_errors_have_their_classes(perps: ccxt.pro.binanceusdm) -> None:
    """ccxt maps the refusals to the classes that it has for the real exchange."""
    with pytest.raises(ccxt.InsufficientFunds):
        await perps.create_order(PERP, "market", "buy", "900")
    with pytest.raises(ccxt.OrderNotFound):
        await perps.cancel_order("999999", PERP)
    with pytest.raises(ccxt.OrderNotFillable):
        await perps.create_order(PERP, "limit", "buy", "0.01", "60000", {"timeInForce": "GTX"})
    with pytest.raises(ccxt.InvalidOrder, match="-4164"):
        await perps.create_order(PERP, "limit", "buy", "0.001", "40000")
    perps.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await perps.fetch_balance()


async def test_open_orders_and_cancel_all(perps: ccxt.pro.binanceusdm) -> None:
    """Open orders are listed and canceled together."""
    for price in ("40000", "41000"):
        await perps.create_order(PERP, "limit", "buy", "0.01", price)
    assert [order["price"] for order in await perps.fetch_open_orders(PERP)] == ["40000.0", "41000.0"]
    await perps.cancel_all_orders(PERP)
    assert await perps.fetch_open_orders(PERP) == []
    assert {order["status"] for order in await perps.fetch_orders(PERP)} == {"canceled"}


async def test_public_data(perps: ccxt.pro.binanceusdm, control: ControlClient) -> None:
    """Quotes, books, trades, tickers and mark prices come by REST and in the streams."""
    assert float((await perps.fetch_ticker(PERP))["last"]) == 50_000
    assert (await perps.fetch_order_book(PERP, 5))["bids"]
    watches = {
        "book": perps.watch_order_book(PERP),
        "trades": perps.watch_trades(PERP),
        "quotes": perps.watch_bids_asks([PERP]),
        "marks": perps.watch_mark_prices([PERP]),
        "ticker": perps.watch_ticker(PERP),
    }

    async def stir() -> None:
        while True:
            for price in ("50100", "50200"):
                await control.set_price("BTCUSDT", price, market="futures")
                await asyncio.sleep(0.02)

    stirring = asyncio.create_task(stir())
    try:
        got = await asyncio.wait_for(asyncio.gather(*watches.values()), 6)
    finally:
        stirring.cancel()
    told = dict(zip(watches, got, strict=True))
    assert told["book"]["bids"][0][0] < told["book"]["asks"][0][0]
    assert told["trades"][0]["symbol"] == PERP
    assert float(told["quotes"][PERP]["bid"]) < float(told["quotes"][PERP]["ask"])
    assert float(told["marks"][PERP]["markPrice"]) > 50_000
    assert float(told["ticker"]["last"]) > 50_000
