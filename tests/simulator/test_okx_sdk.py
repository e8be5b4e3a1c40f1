"""python-okx, the SDK that OKX publishes, trades at the simulated OKX unmodified: only names lead elsewhere."""

import asyncio
import json
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from tests.okx import KEY, PASSPHRASE, SECRET, SPOT, SWAP, WS, Okx, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    okx_sdk = pytest.importorskip("okx")
    from okx import Account, Funding, MarketData, PublicData, Trade
    from okx.websocket.WsPrivateAsync import WsPrivateAsync
    from okx.websocket.WsPublicAsync import WsPublicAsync

# How the SDK uses httpx is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

HOSTS = ("www.okx.com", "ws.okx.com")


@pytest.fixture
async def okx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Okx]:
    """The simulator, to which OKX's names lead for this process."""
    async with running(tmp_path) as okx:
        port, found = okx.simulator.port, socket.getaddrinfo

        def here(host: Any, to: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            return (
                found("127.0.0.1", port, *args, **kwargs)
                if name in HOSTS
                else found(host, to, *args, **kwargs)
            )

        monkeypatch.setattr(socket, "getaddrinfo", here)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield okx


@pytest.fixture
def client(okx: Okx) -> Any:
    """Makes one of the SDK's clients, of the account ``main``, which is closed at the end."""
    made: list[Any] = []

    def make(kind: Any) -> Any:
        made.append(kind(KEY, SECRET, PASSPHRASE, flag="0"))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def call(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one of the SDK's blocking calls beside the simulator, and return its data."""
    answer = await asyncio.wait_for(asyncio.to_thread(work, *args, **kwargs), 10)
    assert answer["code"] == "0", answer
    return answer["data"]


async def test_public_data(okx: Okx, client: Any) -> None:
    """Instruments, prices and books are read without a key."""
    public, market = client(PublicData.PublicAPI), client(MarketData.MarketAPI)
    (swap,) = await call(public.get_instruments, instType="SWAP", instId=SWAP)
    assert (swap["ctVal"], swap["lotSz"], swap["settleCcy"], swap["state"]) == (
        "0.01",
        "0.01",
        "USDT",
        "live",
    )
    assert (await call(public.get_mark_price, instType="SWAP"))[0]["markPx"] == "50000"
    assert (await call(public.get_funding_rate, SWAP))[0]["fundingRate"] == "0.0001"
    assert (await call(market.get_ticker, SPOT))[0]["bidPx"] == "49999.5"
    (book,) = await call(market.get_orderbook, SPOT, sz="5")
    assert [len(book[side]) for side in ("bids", "asks")] == [5, 5]
    okx.buy(SPOT, "0.01")
    (trade,) = await call(market.get_trades, SPOT)
    assert (trade["side"], trade["sz"], trade["px"]) == ("buy", "0.01", "50000.5")


async def test_an_order_from_taken_to_canceled(client: Any) -> None:
    """A limit order is made, found by either id, amended and canceled."""
    trade = client(Trade.TradeAPI)
    order = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "40000"}
    (made,) = await call(trade.place_order, **order, clOrdId="A1", tag="desk")
    assert (made["sCode"], made["clOrdId"], made["tag"]) == ("0", "A1", "desk")
    (found,) = await call(trade.get_order, SPOT, clOrdId="A1")
    assert (await call(trade.get_order, SPOT, ordId=made["ordId"])) == [found]
    assert (found["state"], found["sz"], found["px"], found["tag"]) == ("live", "0.01", "40000", "desk")
    await call(trade.amend_order, SPOT, clOrdId="A1", newSz="0.02", newPx="41000")
    (open_order,) = await call(trade.get_order_list, instType="SPOT")
    assert (open_order["sz"], open_order["px"]) == ("0.02", "41000")
    await call(trade.cancel_order, SPOT, clOrdId="A1")
    assert await call(trade.get_order_list) == []
    (ended,) = await call(trade.get_orders_history, "SPOT")
    assert (ended["state"], ended["cancelSource"]) == ("canceled", "1")
    refused = await asyncio.to_thread(trade.cancel_order, SPOT, clOrdId="A1")
    assert (refused["code"], refused["data"][0]["sCode"]) == ("1", "51400")


async def test_fills_and_their_fees(client: Any) -> None:
    """Spot pays its fee in what it gets, swaps in what they settle in; fills tell it negative."""
    trade, account = client(Trade.TradeAPI), client(Account.AccountAPI)
    market = {"ordType": "market", "side": "buy"}
    await call(trade.place_order, SPOT, "cash", sz="1000", **market)
    await call(trade.place_order, SPOT, "cash", sz="0.01", tgtCcy="base_ccy", **market)
    await call(trade.place_order, SWAP, "cross", sz="2", **market)
    swap, by_size, by_value = await call(trade.get_fills)
    assert (by_size["fillSz"], by_size["fee"], by_size["feeCcy"]) == ("0.01", "-0.00001", "BTC")
    assert D(by_value["fillSz"]) * D(by_value["fillPx"]) == pytest.approx(D(1_000), abs=D("0.001"))
    assert (swap["fillSz"], swap["fee"], swap["feeCcy"]) == ("2", "-0.500005", "USDT")
    (order,) = await call(trade.get_order, SWAP, ordId=swap["ordId"])
    assert (order["fee"], order["feeCcy"], order["avgPx"]) == ("-0.500005", "USDT", "50000.5")
    (history,) = await call(trade.get_fills_history, "SWAP")
    assert history == swap
    (funds,) = await call(account.get_account_balance, "BTC")
    assert D(funds["details"][0]["cashBal"]) == 2 + D(by_value["fillSz"]) + D(by_value["fee"]) + D("0.00999")
    (position,) = await call(account.get_positions, "SWAP")
    assert (position["pos"], position["avgPx"], position["posSide"]) == ("2", "50000.5", "net")
    await call(trade.close_positions, SWAP, "cross")
    assert await call(account.get_positions) == []


async def test_settings_and_transfers(okx: Okx, client: Any) -> None:
    """The account's set-up, its leverage, its bills and its wallets are read and changed."""
    account, funding = client(Account.AccountAPI), client(Funding.FundingAPI)
    (config,) = await call(account.get_account_config)
    assert (config["posMode"], config["acctLv"]) == ("net_mode", "2")
    await call(account.set_leverage, lever="12", mgnMode="isolated", instId=SWAP)
    (leverage,) = await call(account.get_leverage, "isolated", instId=SWAP)
    assert (leverage["lever"], leverage["mgnMode"]) == ("12", "isolated")
    assert (await call(account.get_leverage, "cross", instId=SWAP))[0]["lever"] == "3"
    okx.buy(SWAP, "1")
    okx.exchange.settle_funding(okx.exchange.market("futures", SWAP), D("0.001"))
    (bill,) = await call(account.get_account_bills, instType="SWAP", type="8")
    assert (bill["balChg"], bill["ccy"], bill["subType"]) == ("-0.5", "USDT", "173")
    (made,) = await call(funding.funds_transfer, "USDT", "100", "18", "6")
    (state,) = await call(funding.transfer_state, made["transId"])
    assert state["state"] == "success"
    (held,) = await call(funding.get_balances, "USDT")
    assert held["bal"] == "100100"


class Heard:
    """What a WebSocket of the SDK said."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, message: str) -> None:
        self.messages.put_nowait(json.loads(message))

    async def until(self, **fields: Any) -> Any:
        """The next message with these fields, or with that channel."""
        async with asyncio.timeout(3):
            while True:
                message = await self.messages.get()
                channel = message.get("arg", {}).get("channel") if "data" in message else None
                shown = {**message, "channel": channel}
                if all(shown.get(name) == value for name, value in fields.items()):
                    return message


async def test_the_private_stream(okx: Okx) -> None:
    """The SDK logs in, hears of its orders, and places and cancels over the same connection."""
    heard = Heard()
    stream = WsPrivateAsync(KEY, PASSPHRASE, SECRET, f"{WS}/private")
    reading = await stream.start()
    stream.callback = heard
    await stream.login()
    assert (await heard.until(event="login"))["code"] == "0"
    await stream.send("subscribe", [{"channel": "orders", "instType": "SPOT"}], id="7")
    assert (await heard.until(event="subscribe"))["id"] == "7"
    order = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "40000"}
    await stream.place_order([{**order, "clOrdId": "W1"}], id="8")
    pushed = await heard.until(channel="orders")
    assert (pushed["data"][0]["clOrdId"], pushed["data"][0]["state"]) == ("W1", "live")
    assert (await heard.until(id="8"))["data"][0]["sCode"] == "0"
    await stream.amend_order([{"instId": SPOT, "clOrdId": "W1", "newPx": "41000", "reqId": "r1"}], id="9")
    amended = (await heard.until(channel="orders"))["data"][0]
    assert (amended["px"], amended["reqId"], amended["amendResult"]) == ("41000", "r1", "0")
    await stream.cancel_order([{"instId": SPOT, "clOrdId": "W1"}], id="10")
    assert (await heard.until(channel="orders"))["data"][0]["state"] == "canceled"
    assert not okx.main.open
    await stream.stop()
    await asyncio.wait([reading])


async def test_the_public_stream(okx: Okx) -> None:
    """The SDK hears tickers and trades."""
    heard = Heard()
    stream = WsPublicAsync(f"{WS}/public")
    reading = await stream.start()
    args = [{"channel": "tickers", "instId": SPOT}, {"channel": "trades", "instId": SPOT}]
    await stream.subscribe(args, heard)
    assert (await heard.until(channel="tickers"))["data"][0]["last"] == "50000"
    okx.buy(SPOT, "0.01")
    assert (await heard.until(channel="trades"))["data"][0]["sz"] == "0.01"
    await stream.stop()
    await asyncio.wait([reading])


async def test_transfers_to_a_sub_account(okx: Okx, client: Any) -> None:
    """The SDK moves funds both ways with the main account's key, and reads the state of each."""
    funding, other = client(Funding.FundingAPI), okx.exchange.accounts["other"]
    before = okx.balance("USDT").free, other.balance("unified", "USDT").free
    [there] = await call(funding.funds_transfer, "USDT", "12.5", "18", "18", "1", "other")
    [back] = await call(funding.funds_transfer, "USDT", "0.000001", "6", "18", "2", "other")
    assert okx.balance("USDT").free == before[0] - D("12.499999")
    assert other.balance("unified", "USDT").free == before[1] + D("12.5")
    for made, kind in ((there, "1"), (back, "2")):
        [state] = await call(funding.transfer_state, made["transId"], kind)
        assert (state["state"], state["type"], state["subAcct"]) == ("success", kind, "other")
