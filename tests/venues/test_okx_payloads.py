"""Payloads captured from OKX, read by the adapter: exact values, whichever way they came."""

import json
import os
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.venues import okx_payloads as payloads
from oms.venues.adapter import AmendRefused, OrderChanged, State, VenueOrder, VenuePosition, VenueTrade
from oms.venues.dialect import Call
from oms.venues.errors import Kind
from oms.venues.okx import _best
from oms.venues.okx_account import OkxAccount
from oms.venues.okx_codes import DIALECT, MEANINGS, refusal

ROOT = Path(__file__).parents[2]
WIRE = Path(os.environ.get("MEXOMS_SHARED", ROOT / ".." / "shared")) / "data" / "wire" / "okx"
MS = 10**6


def captured(name: str) -> Any:
    """A captured payload; the test is skipped where it is absent."""
    path = WIRE / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no captured payload {path}: set MEXOMS_SHARED to where the shared data is")
    return json.loads(path.read_text())


def test_pending_orders() -> None:
    """An open order keeps its terms, and what is padded or nought is nothing."""
    (row,) = captured("http_get_orders_pending")["data"]
    assert payloads.read_order(row) == VenueOrder(
        client_id="client-order-1",
        venue_order_id="1234567890123456789",
        symbol="BTC-USDT-SWAP",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=D("0.10"),
        price=D("103500"),
        trigger_price=None,
        state=State.WORKING,
        cumulative=D(0),
        time=1746947317000 * MS,
    )


def test_order_channel() -> None:
    """A fill told by the order channel is the order and its trade, with the fee as paid."""
    (row,) = captured("ws_orders")["data"]
    order, trade = payloads.read_change(row)
    assert (order.state, order.type, order.time_in_force) == (
        State.FILLED,
        OrderType.MARKET,
        TimeInForce.IOC,
    )
    assert (order.quantity, order.cumulative, order.price) == (D("0.03"), D("0.03"), None)
    assert trade == VenueTrade(
        venue_order_id="2497956918703120384",
        client_id="001BTCUSDT20250106001",
        symbol="BTC-USDT-SWAP",
        side=Side.BUY,
        trade_id="1518905529",
        quantity=D("0.03"),
        price=D("103698.9"),
        fee=D("0.021776769"),
        fee_asset="USDT",
        maker=True,
        time=1746947317402 * MS,
    )


def test_a_later_fee_that_is_not_told_is_not_guessed() -> None:
    """The order's sum of fees is a trade's for the first trade alone; for another one it is no answer."""
    (row,) = captured("ws_orders")["data"]
    row = {**row, "fillSz": "0.01", "tradeId": "7"}
    with pytest.raises(ValueError, match="the fee of trade 7 is not told"):
        payloads.read_change(row)
    _, trade = payloads.read_change({**row, "fillFee": "-0.5", "fillFeeCcy": "USDT"})
    assert trade is not None
    assert trade.fee == D("0.5")
    _, rebated = payloads.read_change({**row, "fillFee": "0.25", "fillFeeCcy": "BTC"})
    assert rebated is not None
    assert (rebated.fee, rebated.fee_asset) == (D("-0.25"), "BTC")


def test_an_amend_that_was_taken_and_not_done_is_told() -> None:
    """The order channel says so with a code; without it there is only the order."""
    (row,) = captured("ws_orders")["data"]
    (changed,) = OkxAccount._changed({**row, "amendResult": "0", "fillSz": "", "tradeId": ""})
    assert isinstance(changed, OrderChanged)
    failed = {**row, "amendResult": "-1", "code": "51503", "msg": "gone", "fillSz": "", "tradeId": ""}
    _, refused = OkxAccount._changed(failed)
    assert refused == AmendRefused(row["instId"], changed.order.client_id, "51503 gone", changed.order.time)


def test_orders_of_the_venue_itself() -> None:
    """A liquidation says so; its fill, which has no trade id there, is no trade yet."""
    (row,) = captured("ws_orders")["data"]
    row = {**row, "clOrdId": "", "category": "full_liquidation", "tradeId": "0"}
    order, trade = payloads.read_change(row)
    assert trade is None
    assert (order.origin, order.client_id) == ("liquidation", "#2497956918703120384")
    assert payloads.read_order({**row, "category": "adl"}).origin == "adl"


def test_orders_by_value() -> None:
    """A market buy by value has the quantity that it got, a sell the one it asked for."""
    (row,) = captured("ws_orders")["data"]
    row = {**row, "instType": "SPOT", "instId": "BTC-USDT", "sz": "1000", "accFillSz": "0.01"}
    assert payloads.read_order({**row, "tgtCcy": "quote_ccy"}).quantity == D("0.01")
    assert payloads.read_order({**row, "tgtCcy": ""}).quantity == D("0.01")
    assert payloads.read_order({**row, "tgtCcy": "", "side": "sell"}).quantity == D("1000")
    assert payloads.read_order({**row, "tgtCcy": "base_ccy"}).quantity == D("1000")


def test_how_orders_end() -> None:
    """What is left of an IOC, a FOK or a self-trade expires; everything else is canceled, and the reason is told."""
    (row,) = captured("http_get_orders_pending")["data"]
    row = {**row, "state": "canceled", "ordType": "ioc"}
    expired = payloads.read_order({**row, "cancelSource": "14"})
    assert (expired.state, expired.reason) == (State.EXPIRED, "what is left of an IOC")
    post_only = payloads.read_order({**row, "cancelSource": "31", "cancelSourceReason": "It would take."})
    assert (post_only.state, post_only.reason) == (State.CANCELED, "It would take.")
    assert payloads.read_order({**row, "cancelSource": "99"}).reason == "cancel source 99"
    assert payloads.read_order(row).reason == ""


def test_positions() -> None:
    """An isolated position has its own margin; one of each mode in a symbol is their sum alone."""
    (row,) = captured("http_get_positions")["data"]
    expected = VenuePosition(
        symbol="BTC-USDT-SWAP",
        quantity=D("0.5"),
        entry_price=D("10000"),
        liquidation_price=D("9000"),
        margin=D("0.5"),
        leverage=D("10.0"),
        margin_mode=MarginMode.ISOLATED,
    )
    assert payloads.read_positions([row]) == [expected]
    short = {
        **row,
        "posSide": "net",
        "pos": "-2",
        "mgnMode": "cross",
        "margin": "",
        "imr": "12.5",
        "liqPx": "",
    }
    (cross,) = payloads.read_positions([short])
    assert (cross.quantity, cross.margin, cross.liquidation_price) == (D(-2), D("12.5"), None)
    assert cross.margin_mode is MarginMode.CROSS
    assert payloads.read_positions([row, short]) == [
        VenuePosition(symbol="BTC-USDT-SWAP", quantity=D("-1.5"))
    ]
    flat = {**short, "pos": "0"}
    assert payloads.read_positions([flat, row]) == payloads.read_positions([row, flat]) == [expected]


def test_totals() -> None:
    """A total is cash and what is set aside for isolated positions, without their profit."""
    totals = payloads.read_totals(captured("http_get_account_balance"))
    assert totals["USDT"] == D("94.42612990333333") + D("5.468566666666667") + D("0.0273000000000002")
    stream = payloads.read_totals(captured("ws_account"))
    assert stream == {
        "USDT": D("100.52768569797846"),
        "BTC": D("0.0000000051"),
        "ETH": D("0.000000185"),
    }


def test_swaps() -> None:
    """A swap is counted in contracts of ctVal; inverse ones are another market's."""
    rows = {row["instId"]: row for row in captured("http_get_instruments_swap")["data"]}
    assert payloads.read_instrument(rows["BTC-USDT-SWAP"]) == InstrumentSpec(
        symbol="BTC-USDT-SWAP",
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick=D("0.1"),
        step=D("0.01"),
        min_quantity=D("0.01"),
        max_quantity=D("100000000"),
        contract_size=D("0.01"),
        maker_fee=D("0.0002"),
        taker_fee=D("0.0005"),
    )
    others = {name: payloads.read_instrument(row) for name, row in rows.items() if row["ctType"] != "linear"}
    assert set(others.values()) <= {None}
    halted = payloads.read_instrument({**rows["BTC-USDT-SWAP"], "state": "suspend"})
    assert halted is not None
    assert not halted.trading


def test_spot_pairs() -> None:
    """A spot pair settles in its quote asset, and a placeholder of one to come is none."""
    rows = captured("http_get_instruments_spot")["data"]
    specs = [payloads.read_instrument(row) for row in rows]
    btc = next(spec for spec in specs if spec is not None and spec.symbol == "BTC-USD")
    row = next(row for row in rows if row["instId"] == "BTC-USD")
    assert (btc.base, btc.quote, btc.settle, btc.contract_size) == ("BTC", "USD", "USD", D(1))
    assert (btc.tick, btc.step, btc.min_quantity) == (D(row["tickSz"]), D(row["lotSz"]), D(row["minSz"]))
    assert btc.max_quantity == D(row["maxLmtSz"])
    assert (btc.maker_fee, btc.taker_fee) == (D("0.0008"), D("0.001"))
    assert payloads.read_instrument({**row, "tickSz": "", "state": "preopen"}) is None


def test_best_of_the_book() -> None:
    """Best bid and offer are the venue's own strings; an empty side is nought."""
    (book,) = captured("ws_bbo_tbt")["data"]
    assert _best(book["bids"]) == (D("8476.97"), D(256))
    assert _best(book["asks"]) == (D("8476.98"), D(415))
    assert _best([]) == (D(0), D(0))


def test_refusals_are_read_from_the_order() -> None:
    """The code of the one order counts, sub-codes mean what their code means, and success is no refusal."""
    body = {"code": "1", "msg": "", "data": [{"sCode": "51008_1000", "sMsg": "Order failed."}]}
    assert refusal(200, json.dumps(body)) == ("51008", "Order failed.")
    assert refusal(401, '{"msg": "Invalid Sign", "code": "50113"}') == ("50113", "Invalid Sign")
    assert refusal(200, '{"code": "0", "msg": "", "data": []}') is None
    assert refusal(502, "<html>") is None
    taken = captured("http_place_order_response")
    assert refusal(200, json.dumps({"code": "0", "msg": "", "data": [taken]})) is None


@pytest.mark.parametrize(
    "code, message, kind",
    [
        ("50102", "Timestamp request expired.", Kind.REJECTED),
        ("50111", "Invalid OK-ACCESS-KEY.", Kind.AUTH_FATAL),
        ("50113", "Invalid Sign", Kind.AUTH_FATAL),
        ("50011", "Rate limit reached.", Kind.THROTTLED),
        ("50061", "", Kind.THROTTLED),
        ("50004", "API endpoint request timeout", Kind.UNKNOWN),
        ("51008", "Insufficient balance", Kind.REJECTED),
        ("51016", "Client order ID already exists.", Kind.UNKNOWN),
        ("51400", "Order cancellation failed", Kind.ALREADY_DONE),
        ("51410", "", Kind.ALREADY_DONE),
        ("51412", "Cancellation timed out, please try again later.", Kind.UNKNOWN),
        ("51412", "The order has been triggered and can't be canceled.", Kind.ALREADY_DONE),
        ("51503", "Your order has already been filled or canceled.", Kind.ALREADY_DONE),
        ("51603", "Order does not exist.", Kind.NOT_FOUND),
        ("58124", "Your transfer is being processed", Kind.UNKNOWN),
        ("59102", "Leverage exceeds the maximum limit.", Kind.REJECTED),
        ("1", "Operation failed.", Kind.UNKNOWN),
        ("51999", "nobody has documented this", Kind.UNKNOWN),
    ],
)
def test_meanings(code: str, message: str, kind: Kind) -> None:
    """Every documented code has its meaning, and one that is not is unknown."""
    body = json.dumps({"code": code, "msg": message, "data": []})
    call = Call(begun=True, status=200, body=body)
    assert DIALECT.meaning(call, RuntimeError()) == (kind, f"{code} {message}")
    assert len(MEANINGS) > 600
