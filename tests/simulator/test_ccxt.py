"""Unmodified ccxt.pro trades against the simulator, told only where to find it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

import ccxt
import ccxt.pro
import pytest

from oms.simulator.client import ControlClient

Watch = Callable[[], Coroutine[object, object, list[dict[str, object]]]]


async def collect(watch: Watch, queue: asyncio.Queue[dict[str, object]]) -> None:
    while True:
        for row in await watch():
            queue.put_nowait(dict(row))


@pytest.fixture
async def seen(exchange: ccxt.pro.binance) -> AsyncIterator[tuple[asyncio.Queue, asyncio.Queue]]:
    """What `watch_orders` and `watch_my_trades` give."""
    queues = asyncio.Queue(), asyncio.Queue()
    watches = exchange.watch_orders, exchange.watch_my_trades
    tasks = [asyncio.create_task(collect(w, q)) for w, q in zip(watches, queues, strict=True)]
    while not exchange.clients or not all(c.subscriptions.get("spot") for c in exchange.clients.values()):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    yield queues
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def take(queue: asyncio.Queue[dict[str, object]]) -> dict[str, object]:
    return await asyncio.wait_for(queue.get(), 5)


async def test_markets(exchange: ccxt.pro.binance) -> None:
    """`load_markets` reads the symbols with their ticks, steps and minimum cost."""
    market = exchange.market("BTC/USDT")
    assert market["precision"]["price"] == "0.01000000"
    assert market["precision"]["amount"] == "0.00001000"
    assert market["limits"]["cost"]["min"] == "5.00000000"


async def test_order_filled_in_the_stream(
    exchange: ccxt.pro.binance, control: ControlClient, seen: tuple[asyncio.Queue, asyncio.Queue]
) -> None:
    """A resting order is reported open, filled when the price reaches it, with the trade and its commission."""
    orders, trades = seen
    placed = await exchange.create_order(
        "BTC/USDT", "limit", "buy", "0.01", "49000", {"newClientOrderId": "ours1"}
    )
    assert (placed["status"], placed["clientOrderId"]) == ("open", "ours1")
    assert (await take(orders))["status"] == "open"
    await control.set_price("BTCUSDT", "48990")
    trade = await take(trades)
    assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (
        placed["id"],
        "49000.00000000",
        "maker",
    )
    assert trade["fee"] == {"currency": "BTC", "cost": "0.00001000"}
    assert (await take(orders))["status"] == "closed"
    [fetched] = await exchange.fetch_my_trades("BTC/USDT")
    assert fetched["id"] == trade["id"]
    assert fetched["fee"]["cost"] == "0.00001000"
    balance = await exchange.fetch_balance()
    assert balance["USDT"]["free"] == "99510.00000000"
    assert balance["BTC"]["free"] == "2.00999000"


async def test_cancel_by_client_id(
    exchange: ccxt.pro.binance, seen: tuple[asyncio.Queue, asyncio.Queue]
) -> None:
    """An order is found and canceled by its client id, and the stream names it by that id."""
    await exchange.create_order("BTC/USDT", "limit", "sell", "0.01", "60000", {"newClientOrderId": "ours2"})
    found = await exchange.fetch_order(None, "BTC/USDT", {"clientOrderId": "ours2"})
    assert found["status"] == "open"
    await exchange.cancel_order(None, "BTC/USDT", {"clientOrderId": "ours2"})
    assert (await take(seen[0]))["status"] == "open"
    canceled = await take(seen[0])
    assert (canceled["status"], canceled["clientOrderId"]) == ("canceled", "ours2")
    assert await exchange.fetch_open_orders("BTC/USDT") == []
    assert (await exchange.fetch_closed_orders("BTC/USDT")) == []
    assert [o["status"] for o in await exchange.fetch_orders("BTC/USDT")] == ["canceled"]


async def test_market_stop_and_post_only(exchange: ccxt.pro.binance, control: ControlClient) -> None:
    """Market orders fill with their fills in the answer; stop orders wait; post-only orders do not take."""
    market = await exchange.create_order("ETH/USDT", "market", "buy", "0.5")
    assert market["status"] == "closed"
    assert market["filled"] == "0.50000000"
    assert market["trades"]
    stop = await exchange.create_order("ETH/USDT", "market", "sell", "0.5", None, {"triggerPrice": "2900"})
    limit_stop = await exchange.create_order(
        "ETH/USDT", "limit", "sell", "0.5", "2800", {"triggerPrice": "2900"}
    )
    await control.set_price("ETHUSDT", "2890")
    for order in (stop, limit_stop):
        assert (await exchange.fetch_order(order["id"], "ETH/USDT"))["status"] == "closed"
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await exchange.create_order("ETH/USDT", "limit", "buy", "0.5", "2950", {"postOnly": True})


async def test_edit_and_cancel_all(exchange: ccxt.pro.binance) -> None:
    """`edit_order` replaces by cancelReplace, `cancel_all_orders` leaves none open."""
    placed = await exchange.create_order("BTC/USDT", "limit", "buy", "0.01", "40000")
    edited = await exchange.edit_order(placed["id"], "BTC/USDT", "limit", "buy", "0.02", "41000")
    assert edited["id"] != placed["id"]
    [left] = await exchange.fetch_open_orders("BTC/USDT")
    assert (left["id"], left["price"]) == (edited["id"], "41000.00000000")
    await exchange.cancel_all_orders("BTC/USDT")
    assert await exchange.fetch_open_orders("BTC/USDT") == []


async def test_errors_have_their_classes(exchange: ccxt.pro.binance) -> None:
    """ccxt maps the refusals to the classes that it has for the real exchange."""
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "limit", "buy", "5", "50000")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("999999", "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("999999", "BTC/USDT")
    with pytest.raises(ccxt.BadRequest, match="Filter failure: NOTIONAL"):
        await exchange.create_order("BTC/USDT", "limit", "buy", "0.00001", "50000")
    exchange.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_balance()


async def test_public_streams(exchange: ccxt.pro.binance, control: ControlClient) -> None:
    """Book, best prices and trades come as streams, and the book follows the deltas."""
    book = await asyncio.wait_for(exchange.watch_order_book("BTC/USDT"), 5)
    assert book["bids"][0][0] < 50_000 < book["asks"][0][0]
    tickers = asyncio.create_task(exchange.watch_bids_asks(["BTC/USDT"]))
    trades = asyncio.create_task(exchange.watch_trades("BTC/USDT"))
    await asyncio.sleep(0.2)
    await control.set_price("BTCUSDT", "51000")
    for _ in range(20):
        if book["bids"][0][0] > 50_500:
            break
        book = await asyncio.wait_for(exchange.watch_order_book("BTC/USDT"), 5)
    assert 50_990 < book["bids"][0][0] < 51_000 < book["asks"][0][0] < 51_010
    assert (await asyncio.wait_for(tickers, 5))["BTC/USDT"]["bid"].startswith("50999")
    assert (await asyncio.wait_for(trades, 5))[0]["price"] == "51000.00000000"


async def test_ticker_stream(exchange: ccxt.pro.binance, control: ControlClient) -> None:
    """The ticker stream comes to say the last price."""
    for _ in range(5):
        watching = asyncio.create_task(exchange.watch_ticker("BTC/USDT"))
        await asyncio.sleep(0.15)
        await control.set_price("BTCUSDT", "51000")
        ticker = await asyncio.wait_for(watching, 5)
        if ticker["last"] == "51000.00000000":
            return
    pytest.fail(f"the ticker still says {ticker['last']}")
