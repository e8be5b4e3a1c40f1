"""pybit, Bybit's own client, trades at the simulated Bybit unmodified: only names lead elsewhere."""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from tests.bybit import BTC, KEY, OTHER_KEY, OTHER_SECRET, SECRET, Bybit, running

unified_trading = pytest.importorskip("pybit.unified_trading")
exceptions = pytest.importorskip("pybit.exceptions")

HOSTS = ("api.bybit.com", "stream.bybit.com")


@pytest.fixture
async def bybit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bybit]:
    """The simulator, to which Bybit's hosts lead for this process."""
    async with running(tmp_path) as bybit:
        port, found = bybit.simulator.port, socket.getaddrinfo

        def here(host: Any, to: Any, *args: Any, **kwargs: Any) -> Any:
            return found(*(("127.0.0.1", port) if host in HOSTS else (host, to)), *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", here)
        monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(tmp_path / "ca.pem"))
        yield bybit


def http(bybit: Bybit, **key: str) -> Any:
    """pybit's client of REST. It sends without a look at the environment: its session is told whom to trust."""
    client = unified_trading.HTTP(**key)
    client.client.verify = str(bybit.simulator.ca_path)
    return client


@pytest.fixture
async def client(bybit: Bybit) -> AsyncIterator[Any]:
    client = http(bybit, api_key=KEY, api_secret=SECRET)
    yield client
    client.client.close()


async def call(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one of pybit's blocking calls beside the simulator."""
    return await asyncio.wait_for(asyncio.to_thread(work, *args, **kwargs), 10)


async def result(work: Callable[..., Any], **kwargs: Any) -> Any:
    answer = await call(work, **kwargs)
    assert (answer["retCode"], answer["retMsg"]) == (0, "OK")
    return answer["result"]


LIMIT = {
    "symbol": BTC,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "49000",
}


@pytest.mark.parametrize("category", ["spot", "linear"])
async def test_orders(bybit: Bybit, client: Any, category: str) -> None:
    """An order is made, amended, seen, canceled and found in the history."""
    made = await result(client.place_order, category=category, orderLinkId="first", **LIMIT)
    assert made["orderLinkId"] == "first"
    await result(client.amend_order, category=category, symbol=BTC, orderLinkId="first", qty="0.02")
    listed = await result(client.get_open_orders, category=category, symbol=BTC)
    [order] = listed["list"]
    assert (order["orderId"], order["qty"], order["orderStatus"]) == (made["orderId"], "0.02", "New")
    await result(client.cancel_order, category=category, symbol=BTC, orderId=made["orderId"])
    listed = await result(client.get_order_history, category=category, orderLinkId="first")
    assert [order["orderStatus"] for order in listed["list"]] == ["Cancelled"]
    await result(client.place_order, category=category, **LIMIT)
    canceled = await result(client.cancel_all_orders, category=category, symbol=BTC)
    assert (len(canceled["list"]), bybit.main.open) == (1, {})


async def test_everything_else_of_an_account(bybit: Bybit, client: Any) -> None:
    """Trades, positions, leverage, wallet, fees, funding, transfers and the key are asked for as documented."""
    await result(client.place_order, category="linear", **{**LIMIT, "orderType": "Market"})
    [trade] = (await result(client.get_executions, category="linear"))["list"]
    assert (trade["execType"], trade["execQty"]) == ("Trade", "0.01")
    [position] = (await result(client.get_positions, category="linear", symbol=BTC))["list"]
    assert (position["side"], position["size"]) == ("Buy", "0.01")
    await result(client.set_leverage, category="linear", symbol=BTC, buyLeverage="7", sellLeverage="7")
    [position] = (await result(client.get_positions, category="linear", settleCoin="USDT"))["list"]
    assert position["leverage"] == "7"
    [wallet] = (await result(client.get_wallet_balance, accountType="UNIFIED", coin="USDT"))["list"]
    [coin] = wallet["coin"]
    assert D(coin["walletBalance"]) == bybit.balance("USDT").total
    exchange = bybit.wire.exchange
    exchange.settle_funding(exchange.market("futures", BTC), D("0.001"))
    [paid] = (await result(client.get_transaction_log, accountType="UNIFIED", type="SETTLEMENT"))["list"]
    assert D(paid["funding"]) == D(paid["change"]) == D("-0.5")
    assert (await result(client.get_account_info))["marginMode"] == "REGULAR_MARGIN"
    [fees] = (await result(client.get_fee_rates, category="spot", symbol=BTC))["list"]
    assert fees["takerFeeRate"] == "0.001"
    moved = await result(
        client.create_internal_transfer,
        transferId="0c1b3bb2-6f5d-4f0c-9f0e-3e2a4c0f5f7d",
        coin="USDT",
        amount="10",
        fromAccountType="UNIFIED",
        toAccountType="FUND",
    )
    assert moved["status"] == "SUCCESS"
    held = await result(client.get_coins_balance, accountType="FUND", coin="USDT")
    assert held["balance"][0]["walletBalance"] == "100010"
    assert (await result(client.get_api_key_information))["uta"] == 1


async def test_market_data(bybit: Bybit, client: Any) -> None:
    """The time, symbols, tickers, books and trades are asked for without a key."""
    nobody = http(bybit)
    assert int((await result(nobody.get_server_time))["timeNano"]) > 0
    symbols = (await result(nobody.get_instruments_info, category="linear"))["list"]
    assert {symbol["symbol"] for symbol in symbols} == {"BTCUSDT", "ETHUSDT"}
    [ticker] = (await result(nobody.get_tickers, category="spot", symbol=BTC))["list"]
    book = await result(nobody.get_orderbook, category="spot", symbol=BTC, limit=2)
    assert [ticker["bid1Price"], ticker["bid1Size"]] == book["b"][0]
    bybit.wire.driver.step()
    trades = await result(nobody.get_public_trade_history, category="spot", symbol=BTC)
    assert trades["list"][0]["symbol"] == BTC
    nobody.client.close()


async def test_pages(bybit: Bybit, client: Any) -> None:
    """A cursor leads through all pages, each row once, the newest first."""
    for number in range(5):
        bybit.place("main", client_order_id=f"page{number}")
    seen, cursor = [], ""
    while True:
        listed = await result(client.get_open_orders, category="spot", limit=2, cursor=cursor)
        seen += [order["orderLinkId"] for order in listed["list"]]
        cursor = listed["nextPageCursor"]
        if not cursor:
            break
    assert seen == [f"page{number}" for number in reversed(range(5))]


async def test_errors(bybit: Bybit, client: Any) -> None:
    """pybit raises what the exchange refuses, with its code; a banned address is an HTTP 403."""
    with pytest.raises(exceptions.InvalidRequestError) as refused:
        await call(client.cancel_order, category="spot", symbol=BTC, orderLinkId="nobody")
    assert refused.value.status_code == 170213
    bybit.fault("banned")
    with pytest.raises(exceptions.FailedRequestError) as banned:
        await call(client.get_open_orders, category="spot")
    assert banned.value.status_code == 403
    stranger = http(bybit, api_key=KEY, api_secret="wrong")
    with pytest.raises(exceptions.InvalidRequestError) as unsigned:
        await call(stranger.get_account_info)
    assert unsigned.value.status_code == 10004
    stranger.client.close()


async def test_too_many_visits_are_waited_out(bybit: Bybit, client: Any) -> None:
    """pybit waits until the time that the refusal names, and its second try is taken."""
    bybit.fault("rate_limited", "GET /v5/order/realtime", retry_after_s=1)
    began = time.monotonic()
    assert (await result(client.get_open_orders, category="spot"))["list"] == []
    assert time.monotonic() - began > 0.5


@pytest.mark.parametrize("category", ["spot", "linear"])
async def test_streams(bybit: Bybit, category: str) -> None:
    """pybit's sockets log in, subscribe, and hear of orders, executions, the wallet, books, tickers and trades."""
    told: list[Any] = []
    private = await call(unified_trading.WebSocket, "private", testnet=False, api_key=KEY, api_secret=SECRET)
    public = await call(unified_trading.WebSocket, category, testnet=False)
    try:
        # pybit notes a callback only after it has subscribed: here, between two turns of the simulator.
        private.order_stream(told.append)
        private.execution_stream(told.append)
        private.wallet_stream(told.append)
        private.position_stream(told.append)
        public.orderbook_stream(50, BTC, told.append)
        public.ticker_stream(BTC, told.append)
        public.trade_stream(BTC, told.append)
        topics = {
            "order",
            "execution",
            "wallet",
            f"orderbook.50.{BTC}",
            f"tickers.{BTC}",
            f"publicTrade.{BTC}",
        }
        topics |= {"position"} if category == "linear" else set()
        await asyncio.sleep(0.2)
        assert private.auth
        market = "futures" if category == "linear" else "spot"
        bybit.place("main", market, type="MARKET", price=D(0), client_order_id="heard")
        for _ in range(200):
            if {message["topic"] for message in told} == topics:
                break
            await asyncio.sleep(0.01)
        assert {message["topic"] for message in told} == topics
        by_topic = {message["topic"]: message for message in told}
        assert by_topic["order"]["data"][0]["orderStatus"] == "Filled"
        assert by_topic["execution"]["data"][0]["category"] == category
        best = bybit.wire.exchange.market(market, BTC).book.best("SELL")
        book = by_topic[f"orderbook.50.{BTC}"]["data"]
        assert min(D(price) for price, _ in book["a"]) == best.price
        json.dumps(told)
    finally:
        await call(private.exit)
        await call(public.exit)


async def test_universal_transfers(bybit: Bybit, client: Any) -> None:
    """pybit moves funds between the main account and a sub-account, once for each id, and finds them by it."""
    main, other = (bybit.wire.exchange.accounts[name] for name in ("main", "other"))
    ids = {"fromMemberId": int(main.venue_id), "toMemberId": int(other.venue_id)}
    types = {"fromAccountType": "UNIFIED", "toAccountType": "UNIFIED"}
    there = {"transferId": str(uuid.uuid4()), "coin": "USDT", "amount": "12.5", **ids, **types}
    before = [each.balance("unified", "USDT").free for each in (main, other)]
    assert await result(client.create_universal_transfer, **there) == {
        "transferId": there["transferId"],
        "status": "SUCCESS",
    }
    with pytest.raises(exceptions.InvalidRequestError, match="131214"):
        await call(client.create_universal_transfer, **there)
    back = {**there, "transferId": str(uuid.uuid4()), "fromAccountType": "FUND", "amount": "0.000001"}
    back["fromMemberId"], back["toMemberId"] = ids["toMemberId"], ids["fromMemberId"]
    await result(client.create_universal_transfer, **back)
    assert main.balance("unified", "USDT").free == before[0] - D("12.499999")
    assert other.balance("unified", "USDT").free == before[1] + D("12.5")
    for asked in (there, back):
        found = await result(client.get_universal_transfer_records, transferId=asked["transferId"])
        [row] = found["list"]
        assert (row["amount"], row["status"]) == (asked["amount"], "SUCCESS")
        assert row["fromMemberId"] == str(asked["fromMemberId"])
    for wrong, code in (
        ({"amount": "1000000000"}, 131212),
        ({"toMemberId": 1}, 131202),
        ({"toMemberId": ids["fromMemberId"]}, 131203),
    ):
        with pytest.raises(exceptions.InvalidRequestError, match=str(code)):
            await call(
                client.create_universal_transfer, **{**there, "transferId": str(uuid.uuid4()), **wrong}
            )
    sub = http(bybit, api_key=OTHER_KEY, api_secret=OTHER_SECRET)
    with pytest.raises(exceptions.InvalidRequestError, match="131208"):
        await call(sub.create_universal_transfer, **{**there, "transferId": str(uuid.uuid4())})
    sub.client.close()
