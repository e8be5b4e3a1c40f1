"""Payloads captured from Bybit, read by the adapter: exact values, whichever way they came."""

import json
import os
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues import bybit_payloads as payloads
from oms.venues.adapter import FundsMoved, OrderChanged, State, Traded, VenueOrder, VenuePosition, VenueTrade
from oms.venues.bybit_account import BybitFuturesAccount
from oms.venues.bybit_feed import Feed, RawBook

ROOT = Path(__file__).parents[2]
WIRE = Path(os.environ.get("MEXOMS_SHARED", ROOT / ".." / "shared")) / "data" / "wire" / "bybit"
ASSETS = {"BTCUSDT": ("BTC", "USDT")}
MS = 10**6


def captured(name: str) -> Any:
    """A captured payload; the test is skipped where it is absent."""
    path = WIRE / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no captured payload {path}: set MEXOMS_SHARED to where the shared data is")
    return json.loads(path.read_text())


def test_trades_of_rest() -> None:
    """A trade of execution/list has its id, its fee as paid, and the asset that it was paid in."""
    first, second = (
        payloads.read_trade("linear", row, {}) for row in captured("http_get_executions")["result"]["list"]
    )
    assert first == VenueTrade(
        venue_order_id="8c065341-7b52-4ca9-ac2c-37e31ac55c94",
        client_id="test-order-001",
        symbol="BTCUSDT",
        side=Side.BUY,
        trade_id="e0cbe81d-0f18-5866-9415-cf319b5dab3b",
        quantity=D("0.100"),
        price=D("50000.00"),
        fee=D("0.0150"),
        fee_asset="USDT",
        maker=True,
        time=1672282722429 * MS,
    )
    assert (second.side, second.quantity, second.fee, second.maker) == (
        Side.SELL,
        D("0.500"),
        D("0.9"),
        False,
    )


def test_trades_of_the_stream() -> None:
    """A trade of the topic execution reads as one of REST, though it does not name its fee's asset."""
    (row,) = captured("ws_account_execution")["data"]
    assert row["execType"] in payloads.TRADES
    assert payloads.read_trade("linear", row, {}) == VenueTrade(
        venue_order_id="9aac161b-8ed6-450d-9cab-c5cc67c21784",
        client_id="test-order-link-001",
        symbol="BTCUSDT",
        side=Side.SELL,
        trade_id="0ab1bdf7-4219-438b-b30a-32ec863018f7",
        quantity=D("0.5"),
        price=D("95900.1"),
        fee=D("26.3725275"),
        fee_asset="USDT",
        maker=False,
        time=1746270400353 * MS,
    )


@pytest.mark.parametrize(
    "side, maker, fee, asset",
    [
        ("Buy", False, "0.001", "BTC"),
        ("Buy", True, "0.001", "BTC"),
        ("Buy", True, "-0.001", "USDT"),
        ("Buy", False, "-0.001", "BTC"),
        ("Sell", False, "5", "USDT"),
        ("Sell", True, "-5", "BTC"),
    ],
)
def test_the_asset_of_a_spot_fee(side: str, maker: bool, fee: str, asset: str) -> None:
    """Where a spot trade does not name it, the fee is of what was received; a maker's rebate of what was given."""
    row = captured("ws_account_execution")["data"][0]
    row = {**row, "category": "spot", "side": side, "isMaker": maker, "execFee": fee}
    assert payloads.read_trade("spot", row, ASSETS).fee_asset == asset
    assert payloads.read_trade("spot", {**row, "feeCurrency": "MNT"}, ASSETS).fee_asset == "MNT"


def test_orders_of_rest() -> None:
    """An open order of order/realtime is working, with its terms; zeros and nulls are nothing."""
    rows = captured("http_get_orders_realtime")["result"]["list"]
    assert payloads.read_order("linear", rows[0]) == VenueOrder(
        client_id="client-open-1",
        venue_order_id="open-order-1",
        symbol="ETHUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=D("0.010"),
        price=D("3930.41"),
        trigger_price=None,
        state=State.WORKING,
        cumulative=D(0),
        time=1761355905606 * MS,
        reason="New",
    )
    assert payloads.read_order("linear", rows[1]).side is Side.SELL


def test_orders_of_the_stream() -> None:
    """A canceled order of the topic order says why, and is no stop order for having been marked as one."""
    (row,) = captured("ws_account_order")["data"]
    order = payloads.read_order("linear", row)
    assert (order.state, order.reason, order.cumulative) == (State.CANCELED, "CancelByUser", D(0))
    assert (order.type, order.trigger_price, order.price) == (OrderType.LIMIT, None, D(30000))
    assert (order.client_id, order.origin, order.time) == ("client-1", "", 1700000005000 * MS)


@pytest.mark.parametrize(
    "changes, field, value",
    [
        ({"orderStatus": "Rejected", "rejectReason": "EC_LimitOrderInvalidPrice"}, "state", State.REJECTED),
        ({"rejectReason": "EC_NoImmediateQtyToFill", "cancelType": "UNKNOWN"}, "state", State.EXPIRED),
        ({"rejectReason": "EC_PostOnlyWillTakeLiquidity"}, "reason", "EC_PostOnlyWillTakeLiquidity"),
        ({"rejectReason": "EC_PerCancelRequest"}, "reason", "CancelByUser"),
        ({"cancelType": "CancelBySmp"}, "state", State.EXPIRED),
        ({"orderStatus": "PartiallyFilledCanceled"}, "state", State.CANCELED),
        ({"orderStatus": "Untriggered", "triggerPrice": "29000"}, "type", OrderType.STOP_LIMIT),
        ({"orderType": "Market", "triggerPrice": "29000"}, "type", OrderType.STOP_MARKET),
        ({"orderType": "Market"}, "price", None),
        ({"orderLinkId": ""}, "client_id", "#abcdef123456"),
        ({"createType": "CreateByLiq"}, "origin", "liquidation"),
        ({"createType": "CreateByTakeOver_PassThrough"}, "origin", "liquidation"),
        ({"createType": "CreateByAdl_PassThrough"}, "origin", "adl"),
        ({"timeInForce": "FOK"}, "time_in_force", TimeInForce.FOK),
        ({"timeInForce": "PostOnly"}, "time_in_force", TimeInForce.GTC),
    ],
)
def test_what_an_order_may_say(changes: dict[str, str], field: str, value: object) -> None:
    """Every status, reason and origin of an order reads as what it means."""
    row = captured("ws_account_order")["data"][0] | changes
    assert getattr(payloads.read_order("linear", row), field) == value


def test_a_spot_buy_by_amount() -> None:
    """A spot market buy of an amount to spend has the quantity that it has filled; ours has its own."""
    row = captured("ws_account_order")["data"][0]
    row |= {"orderType": "Market", "qty": "300", "cumExecQty": "0.01"}
    assert payloads.read_order("spot", {**row, "marketUnit": "quoteCoin"}).quantity == D("0.01")
    assert payloads.read_order("spot", {**row, "marketUnit": "baseCoin", "qty": "0.02"}).quantity == D("0.02")


def test_positions() -> None:
    """Quantities of positions are signed; flat ones show their leverage; what is nothing is None."""
    rows = captured("http_get_positions")["result"]["list"]
    btc, eth, sol = (payloads.read_position(row, MarginMode.CROSS) for row in rows)
    assert btc == VenuePosition(
        symbol="BTCUSDT",
        quantity=D("0.5"),
        entry_price=D(50000),
        liquidation_price=D(45000),
        margin=D(2500),
        leverage=D(10),
        margin_mode=MarginMode.CROSS,
    )
    assert eth.quantity == D(-5)
    assert (sol.quantity, sol.entry_price, sol.liquidation_price, sol.leverage) == (0, None, None, D(10))


def test_balances() -> None:
    """Balances are the wallet's own, by REST and on the stream: no profit that is not realised."""
    (account,) = captured("http_get_wallet_balance")["result"]["list"]
    assert payloads.read_balances(account) == {"BTC": D(0), "USDT": D("1000.50"), "ETH": D(0)}
    (told,) = captured("ws_account_wallet")["data"]
    assert payloads.read_balances(told) == {"BTC": D("0.00102964"), "USDT": D("9647.75537647")}


def test_instruments() -> None:
    """Tick, step and limits of instruments are exact; their fees are the venue's standard ones."""
    btc = payloads.read_spot_instrument(captured("http_get_instruments_spot")["result"]["list"][0])
    assert (btc.symbol, btc.base, btc.quote, btc.settle) == ("BTCUSDT", "BTC", "USDT", "USDT")
    assert (btc.tick, btc.step, btc.min_quantity, btc.max_quantity) == (
        D("0.1"),
        D("0.0001"),
        D("0.001"),
        100,
    )
    assert (btc.min_notional, btc.max_notional, btc.trading) == (D(10), D(1_000_000), True)
    perp = payloads.read_perpetual(captured("http_get_instruments_linear")["result"]["list"][1])
    assert perp is not None
    assert (perp.symbol, perp.tick, perp.step, perp.max_quantity) == ("ETHUSDT", D("0.05"), D("0.01"), 1000)
    assert (perp.min_notional, perp.contract_size, perp.taker_fee) == (D(5), 1, D("0.00055"))
    assert str(perp.max_quantity) == "1000"


def test_what_is_not_listed() -> None:
    """Dated futures, and perpetuals that settle in something else, are none of ours; a halted symbol is, and says so."""
    row = captured("http_get_instruments_linear")["result"]["list"][0]
    assert payloads.read_perpetual({**row, "contractType": "LinearFutures"}) is None
    assert payloads.read_perpetual({**row, "settleCoin": "USDC"}) is None
    halted = payloads.read_perpetual({**row, "status": "PreLaunch"})
    assert halted is not None
    assert not halted.trading
    assert payloads.is_listed("linear", "BTCUSDT")
    assert not payloads.is_listed("linear", "BTCUSDT-26SEP25")
    assert not payloads.is_listed("linear", "BTCPERP")


def test_new_spot_limits() -> None:
    """Where a spot symbol lists limits by kind of order, these count and the old ones do not."""
    row = captured("http_get_instruments_spot")["result"]["list"][0]
    lot = row["lotSizeFilter"] | {"maxLimitOrderQty": "83", "maxMarketOrderQty": "41.5"}
    spec = payloads.read_spot_instrument({**row, "lotSizeFilter": lot})
    assert (spec.max_quantity, spec.max_notional) == (D(83), None)


def test_a_book() -> None:
    """A snapshot replaces what was there, and a delta changes single levels: a quantity of 0 removes one."""
    book = RawBook()
    for name in ("ws_orderbook_snapshot", "ws_orderbook_delta"):
        message = captured(name)
        book.take(message["type"], message["data"])
    assert book.bids() == [(D("27450.00"), D("0.400")), (D("27449.50"), D("1.000"))]
    assert book.asks() == [(D("27451.50"), D("0.900"))]
    rest = captured("http_get_orderbook")["result"]
    book.take("snapshot", rest)
    assert book.asks()[0] == (D("27451.00"), D("1.200"))
    assert len(book.bids()) == 3
    book.take("snapshot", {"b": [], "a": [["1", "2"]]})
    assert (book.bids(), book.asks()) == ([], [(D(1), D(2))])


async def account() -> BybitFuturesAccount:
    """A session of the perpetuals that is connected to nothing."""
    return BybitFuturesAccount("linear", {}, None, None, None, 5.0)


async def test_messages_of_the_stream() -> None:
    """Each captured message of the private stream is the event that it should be, or none."""
    session = await account()
    (changed,) = session._read(captured("ws_account_order"))
    assert isinstance(changed, OrderChanged)
    (traded,) = session._read(captured("ws_account_execution"))
    assert isinstance(traded, Traded)
    position = captured("ws_account_position")
    # What stands when the stream begins is no change.
    assert list(session._read(position)) == []
    position["data"][0]["leverage"] = "31"
    assert list(session._read(position)) == [FundsMoved("the leverage of ETHUSDT is now 31")]
    assert list(session._read(captured("ws_account_wallet"))) == []
    session = await account()
    assert list(session._read(captured("ws_account_wallet"))) == [FundsMoved("the wallet changed: BTC, USDT")]
    assert list(session._read(captured("ws_auth_success"))) == []


async def test_answers_of_the_stream() -> None:
    """A subscription that is acknowledged opens the stream; one that is refused loses it."""
    session = await account()
    assert list(session._read(captured("ws_subscription_ack"))) == []
    await session._until_subscribed()
    session = await account()
    assert list(session._read(captured("ws_subscription_failure"))) == []
    assert "Invalid topic" in await session.lost()


async def test_public_messages() -> None:
    """Tickers and books of the public stream are kept as they stand, deltas taken in."""

    class Exchange:
        clients: dict[str, Any] = {}  # noqa: RUF012
        on_private: Any = None

    exchange = Exchange()
    feed = Feed(exchange, "wss://nowhere")
    ticker = captured("ws_ticker_linear")
    exchange.on_private(ticker)
    exchange.on_private({**ticker, "type": "delta", "data": {"symbol": "BTCUSDT", "markPrice": "17218.00"}})
    kept = feed.tickers["tickers.BTCUSDT"]
    assert (kept["markPrice"], kept["bid1Price"]) == ("17218.00", "17215.50")
    for name in ("ws_orderbook_snapshot", "ws_orderbook_delta"):
        exchange.on_private(captured(name))
    assert feed.books["orderbook.1.BTCUSDT"].asks() == [(D("27451.50"), D("0.900"))]
