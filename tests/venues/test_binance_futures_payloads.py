"""Payloads captured from Binance USD-M futures, read by the adapter: exact values, whichever way they came."""

import json
import os
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues import binance_futures
from oms.venues import binance_futures_payloads as payloads
from oms.venues.adapter import (
    Book,
    FundsMoved,
    OrderChanged,
    Quote,
    State,
    StreamEvent,
    VenueFunding,
    VenueOrder,
    VenuePosition,
    VenueTrade,
)
from oms.venues.admission import Pool
from oms.venues.binance_futures import BinanceFutures, BinanceFuturesAccount
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.over_ccxt import Reach, read_book
from oms.venues.pools import POOLS

ROOT = Path(__file__).parents[2]
WIRE = Path(os.environ.get("MEXOMS_SHARED", ROOT / ".." / "shared")) / "data" / "wire" / "binance" / "futures"
MS = 10**6
T = 1568879465651 * MS


def captured(name: str) -> Any:
    """A captured payload; the test is skipped where it is absent."""
    path = WIRE / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no captured payload {path}: set MEXOMS_SHARED to where the shared data is")
    return json.loads(path.read_text())


def make_account() -> BinanceFuturesAccount:
    """An account that is connected to nothing."""
    credentials = FixedCredentials({("binance", "main"): Key("key", "secret")})
    budgets = Budgets(Pool(POOLS["binance.futures"]), 2_400, 100, 100_000)
    return BinanceFutures(credentials, budgets, Reach()).account("main")


async def heard(*messages: Any) -> tuple[list[StreamEvent], str | None]:
    """What the account hands over of these, and why its stream was lost, if it was."""
    account = make_account()
    events: list[StreamEvent] = []
    account.listen(events.append, account._read)
    for message in messages:
        account.exchange.on_private(message)
    lost = account._lost.result() if account._lost.done() else None
    await account.close()
    await account.public.close()
    return events, lost


def test_an_order_of_rest() -> None:
    """An order has its terms and what is filled as the venue wrote them; a zero stop price is none."""
    assert payloads.read_order(captured("http_json/order_response")) == VenueOrder(
        client_id="testOrder123",
        venue_order_id="12345678",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=D("0.001"),
        price=D("50000.00"),
        trigger_price=None,
        state=State.WORKING,
        cumulative=D("0.000"),
        time=1625474304765 * MS,
    )


def test_a_position_of_rest() -> None:
    """A cross position has entry and liquidation price, leverage and mode, and no margin of its own."""
    (row,) = captured("http_json/position_risk")
    assert payloads.read_position(row) == VenuePosition(
        symbol="BTCUSDT",
        quantity=D("0.001"),
        entry_price=D("50000.0"),
        liquidation_price=D("45000.0"),
        margin=None,
        leverage=D(20),
        margin_mode=MarginMode.CROSS,
    )


def test_a_new_order_of_the_stream() -> None:
    """An order that just stands tells no trade; a conditional one made elsewhere keeps its trigger price."""
    assert payloads.read_update(captured("user_data_json/order_update_new")["o"]) == VenueOrder(
        client_id="TEST",
        venue_order_id="8886774",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.STOP_MARKET,
        time_in_force=TimeInForce.GTC,
        quantity=D("0.001"),
        price=None,
        trigger_price=D("7103.04"),
        state=State.WORKING,
        cumulative=D(0),
        time=T,
    )


def test_a_trade_of_the_stream() -> None:
    """A trade has its id, fee as paid and role; it and its order are told together."""
    order = payloads.read_update(captured("user_data_json/order_update_trade")["o"])
    assert (order.state, order.cumulative, order.price) == (State.WORKING, D("0.001"), D("7100.50"))
    assert order.trades == (
        VenueTrade(
            venue_order_id="8886774",
            client_id="TEST",
            symbol="BTCUSDT",
            side=Side.BUY,
            trade_id="12345678",
            quantity=D("0.001"),
            price=D("7100.50"),
            fee=D("0.01000000"),
            fee_asset="USDT",
            maker=True,
            time=T,
        ),
    )


def test_the_same_trade_by_rest() -> None:
    """A row of userTrades and the event of the stream are the same trade, but for the client id that it leaves out."""
    (told,) = payloads.read_update(captured("user_data_json/order_update_trade")["o"]).trades
    row = {
        "buyer": True, "commission": "0.01000000", "commissionAsset": "USDT", "id": 12345678, "maker": True,
        "orderId": 8886774, "price": "7100.50", "qty": "0.001", "quoteQty": "7.10050", "realizedPnl": "12.34",
        "side": "BUY", "positionSide": "BOTH", "symbol": "BTCUSDT", "time": 1568879465651,
    }  # fmt: skip
    assert payloads.read_trade(row) == attrs.evolve(told, client_id="")


async def test_orders_of_hedge_mode_lose_the_stream() -> None:
    """An order with a position side means that the account left one-way mode: nothing of it is told on."""
    events, lost = await heard(captured("user_data_json/order_update_trade"))
    assert events == []
    assert lost is not None
    assert "one-way mode" in lost


async def test_account_updates() -> None:
    """What a trade moved is not told twice; what anything else moved is."""
    update = captured("user_data_json/account_update")
    assert await heard(update) == ([], None)
    for reason in ("FUNDING_FEE", "DEPOSIT", "MARGIN_TRANSFER"):
        other = {**update, "a": {**update["a"], "m": reason}}
        assert await heard(other) == ([FundsMoved(f"ACCOUNT_UPDATE for {reason}")], None)


async def test_events_that_are_not_about_orders() -> None:
    """Settings move funds' state; other services and the coin-margined side are ignored; an expired key ends the stream."""
    leverage = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "BTCUSDT", "l": 25}}
    events, lost = await heard(leverage, {"e": "MARGIN_CALL", "E": 1, "cw": "3", "p": [{"s": "BTCUSDT"}]})
    assert [type(event) for event in events] == [FundsMoved, FundsMoved]
    assert lost is None
    trade = captured("user_data_json/order_update_trade")
    ignored = [
        {"e": "TRADE_LITE", "s": "BTCUSDT"},
        {"e": "ALGO_UPDATE", "o": {}},
        {"e": "STRATEGY_UPDATE"},
        {**trade, "st": 2},
        {"result": None, "id": 1},
    ]
    assert await heard(*ignored) == ([], None)
    events, lost = await heard({"e": "listenKeyExpired", "E": 1, "listenKey": "x"})
    assert (events, lost) == ([], "the listen key expired")


async def test_what_cannot_be_read_ends_the_stream() -> None:
    """An order whose status is unknown may have mattered: the stream is lost, and says over what."""
    trade = captured("user_data_json/order_update_trade")
    events, lost = await heard({**trade, "o": {**trade["o"], "ps": "BOTH", "X": "PENDING_SOMETHING"}})
    assert events == []
    assert lost is not None
    assert lost.startswith("an event cannot be read")


@pytest.mark.parametrize(
    "client_id, ours, origin",
    [
        ("autoclose-1568879465650123", "autoclose-1568879465650123", "liquidation"),
        ("adl_autoclose", "adl_autoclose-8886774", "adl"),
        ("settlement_autoclose-1", "settlement_autoclose-1", ""),
        ("abc1230000000001", "abc1230000000001", ""),
    ],
)
async def test_orders_of_the_venue_itself(client_id: str, ours: str, origin: str) -> None:
    """Liquidations and ADL are known by the client ids that the venue gives, of which ADL's are made unique."""
    trade = captured("user_data_json/order_update_trade")
    raw = {**trade["o"], "ps": "BOTH", "c": client_id, "o": "LIQUIDATION", "x": "CALCULATED"}
    (event,), lost = await heard({**trade, "o": raw})
    assert lost is None
    assert isinstance(event, OrderChanged)
    assert (event.order.client_id, event.order.origin) == (ours, origin)
    assert len(event.order.trades) == 1
    assert payloads.venue_id_in(ours) == ("8886774" if origin == "adl" else "")
    by_rest = {**captured("http_json/order_response"), "clientOrderId": client_id, "orderId": 8886774}
    assert payloads.read_order(by_rest).client_id == ours


async def test_a_liquidation_without_a_trade_id() -> None:
    """What the insurance fund took over without telling a trade has to be looked for."""
    trade = captured("user_data_json/order_update_trade")
    raw = {**trade["o"], "ps": "BOTH", "c": "autoclose-1", "x": "CALCULATED", "t": 0}
    (changed, moved), _ = await heard({**trade, "o": raw})
    assert isinstance(changed, OrderChanged)
    assert changed.order.trades == ()
    assert isinstance(moved, FundsMoved)


def test_why_an_order_ended() -> None:
    """The reason that the venue gives for an expiry is told in words; no commission is a fee of zero."""
    raw = {
        **captured("user_data_json/order_update_trade")["o"],
        "x": "EXPIRED",
        "X": "EXPIRED_IN_MATCH",
        "er": "1",
    }
    order = payloads.read_update(raw)
    assert (order.state, order.reason) == (State.EXPIRED, "expired_in_match: self-trade prevention")
    free = {key: value for key, value in raw.items() if key not in ("n", "N")} | {"x": "TRADE", "X": "FILLED"}
    (trade,) = payloads.read_update(free).trades
    assert (trade.fee, trade.fee_asset) == (D(0), "")


def test_funding() -> None:
    """A funding payment is what the account received, negative for what it paid, under the venue's transaction id."""
    row = {
        "symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.37500000", "asset": "USDT",
        "info": "FUNDING_FEE", "time": 1570608000000, "tranId": 9689322392, "tradeId": "",
    }  # fmt: skip
    assert payloads.read_funding(row) == VenueFunding(
        symbol="BTCUSDT",
        funding_id="9689322392",
        amount=D("-0.37500000"),
        asset="USDT",
        time=1570608000000 * MS,
    )


def test_a_quote() -> None:
    """A quote has the venue's own digits."""
    assert payloads.read_quote(captured("market_data_json/book_ticker_stream")) == Quote(
        "BNBUSDT", D("25.35190000"), D("31.21000000"), D("25.36520000"), D("40.66000000")
    )


async def test_a_change_of_the_book() -> None:
    """A depth event that follows the snapshot moves ccxt's book, which reads exactly."""
    message = captured("market_data_json/depth_update_stream")
    account = make_account()
    exchange = account.public
    market = {
        "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": "BTC",
        "quoteAsset": "USDT", "marginAsset": "USDT", "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
        "pricePrecision": 4, "quantityPrecision": 3, "filters": [],
    }  # fmt: skip
    exchange.set_markets([exchange.parse_market(market)])
    book = exchange.orderbooks["BTC/USDT:USDT"] = exchange.order_book({}, 20)
    book.reset({"bids": [[0.0023, 5]], "asks": [[0.0027, 7]], "nonce": message["pu"], "timestamp": 1})
    resolved: list[Any] = []
    client = SimpleNamespace(
        url="wss://fstream.binance.com/public/ws/0",
        subscriptions={},
        resolve=lambda value, name: resolved.append(value),
    )
    exchange.handle_message(client, message)
    assert read_book("BTCUSDT", resolved[0].limit()) == Book(
        "BTCUSDT",
        ((D("0.0024"), D(10)), (D("0.0023"), D(5))),
        ((D("0.0026"), D(100)), (D("0.0027"), D(7))),
    )
    await account.close()
    await exchange.close()


def test_what_is_listed() -> None:
    """Coin-margined contracts are another market's, and a name that is no part of a subject cannot be traded."""
    raw = {
        "symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "status": "SETTLING",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }  # fmt: skip
    listed = binance_futures._read_listed(raw)
    assert listed is not None
    assert (listed.tick, listed.step, listed.min_notional) == (D("0.1"), D("0.001"), D(0))
    assert not listed.trading
    assert binance_futures._read_listed({**raw, "marginAsset": "BTC"}) is None
    assert binance_futures._read_listed({**raw, "symbol": "币安人生USDT"}) is None


async def test_the_test_net() -> None:
    """The venue's demo trading is its test net: REST and streams of the demo hosts alone."""
    credentials = FixedCredentials({("binance", "main"): Key("key", "secret")})
    market = BinanceFutures(
        credentials, Budgets(Pool(POOLS["binance.futures"]), 1, 1, 1), Reach(test_net=True)
    )
    account = market.account("main")
    signed = account.exchange.sign("order", ["fapiPrivate"], "GET", {})
    assert signed["url"].startswith("https://demo-fapi.binance.com/fapi/v1/order?")
    private = account.exchange.get_private_ws_url("linear", "key")
    assert private == "wss://fstream.binancefuture.com/private/ws?listenKey=key"
    await account.close()
    await market.close()
