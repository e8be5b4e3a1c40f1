"""Upbit's payloads, read exactly. There are none captured: these are written as its documentation shows them."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates.instrument import listing
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.venues.adapter import OrderChanged, State, Traded
from oms.venues.dialect import Call
from oms.venues.errors import Kind
from oms.venues.upbit import _read_text
from oms.venues.upbit_codes import DIALECT, MEANINGS
from oms.venues.upbit_payloads import (
    TICKS,
    FeesUnclear,
    Rates,
    TradesMissing,
    at,
    exactly,
    fee_of,
    moves,
    read_change,
    read_instrument,
    read_order,
    ticks_at,
)

D = Decimal
ORDER: dict[str, Any] = {
    "uuid": "cdd92199-2897-4e14-9448-f923320408ad", "side": "bid", "ord_type": "limit", "price": "70000000.0",
    "state": "wait", "market": "KRW-BTC", "created_at": "2026-11-21T18:00:01+09:00", "volume": "0.03",
    "remaining_volume": "0.01", "reserved_fee": "1050.0", "remaining_fee": "350.0", "paid_fee": "699.9975",
    "locked": "700350.0", "executed_volume": "0.02", "trades_count": 2, "identifier": "Ab12Cd0000000001R1",
}  # fmt: skip
TRADES: list[dict[str, Any]] = [
    {"market": "KRW-BTC", "uuid": "t2", "price": "69999000.0", "volume": "0.005", "funds": "349995.0", "trend": "up",
     "created_at": "2026-11-21T18:00:03+09:00", "side": "bid"},
    {"market": "KRW-BTC", "uuid": "t1", "price": "70000000.0", "volume": "0.015", "funds": "1050000.0", "trend": "down",
     "created_at": "2026-11-21T18:00:02+09:00", "side": "bid"},
]  # fmt: skip
CHANGE = """{"type":"myOrder","code":"KRW-BTC","uuid":"ac2dc2a3-fce9-40a2-a4f6-5987c25c438f","ask_bid":"ASK","order_type":"limit",
"state":"trade","trade_uuid":"68315169-fba4-4175-ade3-aff14a616657","price":70000000.0,"avg_price":70000000.0,
"volume":0.00123457,"remaining_volume":0.00876543,"executed_volume":0.00123457,"trades_count":1,"reserved_fee":0.0,
"remaining_fee":0.0,"paid_fee":43.209950000000006,"locked":0.00876543,"executed_funds":86419.9,"time_in_force":null,
"trade_fee":43.209950000000006,"is_maker":true,"identifier":"Ab12Cd0000000001","smp_type":null,"prevented_volume":0.0,
"prevented_locked":0.0,"trade_timestamp":1795253631562,"order_timestamp":1795253631000,"timestamp":1795253631571,
"stream_type":"REALTIME"}"""


def change(**changes: Any) -> OrderChanged | Traded | None:
    return read_change(_read_text(CHANGE.encode()) | changes)


def test_order_with_its_trades() -> None:
    """An order has its terms, the time of its last trade, and its trades oldest first, each with its fee and liquidity."""
    order = read_order({**ORDER, "trades": TRADES})
    assert (order.client_id, order.venue_order_id) == ("Ab12Cd0000000001R1", ORDER["uuid"])
    assert (order.side, order.type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (order.quantity, order.price, order.cumulative) == (D("0.03"), D(70_000_000), D("0.02"))
    assert (order.state, order.time) == (State.WORKING, at("2026-11-21T09:00:03+00:00"))
    assert [(t.trade_id, t.quantity, t.price, t.fee, t.fee_asset, t.maker) for t in order.trades] == [
        ("t1", D("0.015"), D(70_000_000), D(525), "KRW", True),
        ("t2", D("0.005"), D(69_999_000), D("174.9975"), "KRW", False),
    ]


def test_order_in_a_list_has_no_trades() -> None:
    """Lists and answers tell what was executed and paid, without the trades."""
    order = read_order(ORDER)
    assert (order.trades, order.cumulative) == ((), D("0.02"))
    assert order.time == 1_795_251_601 * 10**9


@pytest.mark.parametrize(
    "changes, state, force, reason",
    [
        ({"state": "done"}, State.FILLED, TimeInForce.GTC, "done"),
        ({"state": "cancel"}, State.CANCELED, TimeInForce.GTC, "cancel"),
        ({"state": "cancel", "time_in_force": "ioc"}, State.EXPIRED, TimeInForce.IOC, "cancel"),
        ({"state": "cancel", "time_in_force": "fok"}, State.EXPIRED, TimeInForce.FOK, "cancel"),
        ({"state": "cancel", "time_in_force": "post_only"}, State.CANCELED, TimeInForce.GTC, "cancel"),
    ],
)
def test_ends(changes: dict[str, Any], state: State, force: TimeInForce, reason: str) -> None:
    """Filled, canceled, or over by its time in force."""
    order = read_order(ORDER | changes)
    assert (order.state, order.time_in_force, order.reason) == (state, force, reason)


@pytest.mark.parametrize(
    "changes, quantity, price",
    [
        (
            {"ord_type": "price", "price": "1000000.0", "volume": None, "remaining_volume": None},
            D("0.02"),
            None,
        ),
        ({"ord_type": "market", "price": None}, D("0.03"), None),
        ({"ord_type": "best", "price": None, "time_in_force": "ioc"}, D("0.03"), None),
    ],
)
def test_orders_of_others_that_have_no_price(changes: dict[str, Any], quantity: D, price: D | None) -> None:
    """Market orders that were made elsewhere have no price; one for so many won has the quantity that it became."""
    order = read_order(ORDER | changes)
    assert (order.type, order.quantity, order.price) == (OrderType.MARKET, quantity, price)


@pytest.mark.parametrize(
    "identifier, name",
    [
        (None, "#cdd92199-2897-4e14-9448-f923320408ad"),
        ("", "#cdd92199-2897-4e14-9448-f923320408ad"),
        ("#pretends", "#cdd92199-2897-4e14-9448-f923320408ad"),
        ("x" * 65, "#cdd92199-2897-4e14-9448-f923320408ad"),
        ("x" * 64, "x" * 64),
        ("one of theirs", "one of theirs"),
    ],
)
def test_orders_without_a_usable_identifier_are_called_by_their_uuid(
    identifier: str | None, name: str
) -> None:
    """What has no identifier, or one that could not be reported or be told apart, is called by the venue's id."""
    assert read_order({**ORDER, "identifier": identifier}).client_id == name


def test_two_rates_are_told_apart_by_what_the_account_pays() -> None:
    """An order that paid as a maker and as a taker at different rates needs the account's to be divided."""
    raw = {**ORDER, "trades": TRADES, "paid_fee": "489.996"}
    with pytest.raises(FeesUnclear):
        read_order(raw)
    order = read_order(raw, Rates(D("0.0008"), D("0.0008"), D("0.0002"), D("0.0002")))
    assert [trade.fee for trade in order.trades] == [D(210), D("279.996")]


def test_fee_that_no_rate_explains_is_shared_out(caplog: pytest.LogCaptureFixture) -> None:
    """What an order paid is right as a whole, whatever it was for, and that it is not understood is said aloud."""
    raw = {**ORDER, "trades": TRADES, "paid_fee": "489.9961"}
    order = read_order(raw, Rates(D("0.0005"), D("0.0005"), D("0.0004"), D("0.0004")))
    assert sum(trade.fee for trade in order.trades) == D("489.9961")
    assert "no rate explains" in caplog.text


def test_trades_that_are_not_all_there() -> None:
    """An order whose trades do not add up to what it executed is not understood yet: a rate would come out too high."""
    with pytest.raises(TradesMissing, match="1 trades"):
        read_order({**ORDER, "trades": TRADES[:1]})


def test_trade_of_the_stream() -> None:
    """A trade has the fee that the rate makes of it, not the double that was sent."""
    event = change()
    assert isinstance(event, Traded)
    trade = event.trade
    assert (trade.client_id, trade.trade_id) == ("Ab12Cd0000000001", "68315169-fba4-4175-ade3-aff14a616657")
    assert (trade.side, trade.quantity, trade.price) == (Side.SELL, D("0.00123457"), D(70_000_000))
    assert (trade.fee, trade.fee_asset, trade.maker) == (D("43.20995"), "KRW", True)
    assert trade.time == 1_795_253_631_562 * 10**6
    assert moves(trade) == {"BTC": D("-0.00123457"), "KRW": D("86376.69005")}


@pytest.mark.parametrize(
    "state, force, found",
    [
        ("wait", None, State.WORKING),
        ("done", None, State.FILLED),
        ("cancel", None, State.CANCELED),
        ("cancel", "fok", State.EXPIRED),
    ],
)
def test_change_of_the_stream(state: str, force: str | None, found: State) -> None:
    """Any other state tells of the order."""
    event = change(
        state=state, time_in_force=force, volume="0.01", trade_uuid=None, trade_fee=None, is_maker=None
    )
    assert isinstance(event, OrderChanged)
    order = event.order
    assert (order.state, order.quantity, order.cumulative) == (found, D("0.01"), D("0.00123457"))
    assert (order.price, order.time, order.trades) == (D(70_000_000), 1_795_253_631_571 * 10**6, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"volume": "123456789.12345678"},
        {"state": "wait", "executed_volume": "123456789.12345678"},
        {"state": "prevented"},
        {"trade_fee": "43.30000000000012"},
    ],
)
def test_what_the_stream_cannot_tell_is_asked_for(changes: dict[str, Any]) -> None:
    """Quantities that doubles cannot hold, fees that neither a rate nor a double explains, prevented matches: REST knows."""
    assert change(**changes) is None


def test_fee_that_no_rate_explains_is_the_one_told() -> None:
    """A fee of so few digits that the double is it is taken, and the same one comes from an order of that one trade."""
    event = change(trade_fee="43.3")
    assert isinstance(event, Traded)
    raw = {**ORDER, "paid_fee": "43.3", "trades": TRADES[:1], "executed_volume": "0.005"}
    order = read_order(raw, Rates(D("0.0005"), D("0.0005"), D("0.0005"), D("0.0005")))
    assert event.trade.fee == order.trades[0].fee == D("43.3")


def test_event_that_cannot_be_read_is_an_error() -> None:
    """A state or a side that nobody has heard of is not passed over."""
    for changes in ({"state": "new"}, {"ask_bid": "BUY"}, {"order_type": "twap", "state": "wait"}):
        with pytest.raises(KeyError):
            change(**changes)


steps = st.integers(1, 2**26 * 10**8 - 1).map(lambda units: D(units).scaleb(-8))


@given(steps)
def test_quantities_survive_doubles(quantity: Decimal) -> None:
    """A quantity below 2^26 comes out of a double as it went in, however the double is written."""
    wire = msgspec.json.encode({"volume": float(quantity)})
    assert exactly(_read_text(wire)["volume"]) == quantity


@given(st.integers(1, 10**20).map(lambda units: D(units).scaleb(-8)))
def test_quantities_are_right_or_asked_for(quantity: Decimal) -> None:
    """Of any quantity a double says either the right one or none."""
    wire = msgspec.json.encode({"volume": float(quantity)})
    assert exactly(_read_text(wire)["volume"]) in (quantity, None) or quantity >= 2**26


ROWS = [(lowest, tick) for lowest, tick in TICKS if lowest >= D("0.001")]
prices = st.sampled_from(ROWS).flatmap(lambda row: st.integers(1, 999).map(lambda n: row[0] + n * row[1]))
trade_terms = st.tuples(prices, st.integers(1, 10**12).map(lambda units: D(units).scaleb(-8)))
rates = st.sampled_from([D("0.0005"), D("0.0004"), D("0.0025"), D("0.00139"), D(0)])


@given(st.lists(trade_terms, min_size=1, max_size=8), rates)
def test_both_ways_agree_on_every_fee(terms: list[tuple[D, D]], rate: D) -> None:
    """The fee of a trade is the same from the stream's double and from the sum of its order, to the last digit."""
    fees = [fee_of(price, quantity, rate) for price, quantity in terms]
    rows = [
        {**TRADES[0], "uuid": f"t{number}", "price": f"{price:f}", "volume": f"{quantity:f}"}
        for number, (price, quantity) in enumerate(terms)
    ]
    executed, paid = f"{sum(q for _, q in terms):f}", f"{sum(fees):f}"
    by_rest = read_order({**ORDER, "trades": rows, "executed_volume": executed, "paid_fee": paid}).trades
    for (price, quantity), fee, told in zip(terms, fees, by_rest, strict=True):
        doubles = {"price": float(price), "volume": float(quantity), "trade_fee": float(fee)}
        event = change(**_read_text(msgspec.json.encode(doubles)))
        assert isinstance(event, Traded)
        assert event.trade.fee == told.fee == fee
        assert (event.trade.price, event.trade.quantity) == (told.price, told.quantity) == (price, quantity)


# -- instruments


def test_instrument_can_be_listed() -> None:
    """A won market has its ticks by price, steps of 0.00000001, and at least 5,000 won; the engine takes it."""
    spec = read_instrument({"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"}, TICKS)
    assert (spec.symbol, spec.base, spec.quote, spec.settle) == ("KRW-BTC", "BTC", "KRW", "KRW")
    assert (spec.step, spec.min_notional, spec.max_notional) == (D("1e-8"), D(5_000), D(10**9))
    event = listing("upbit", "spot", spec)
    assert event.ticks[-1] == (D(2_000_000), D(1_000))
    assert str(event.tick) == "1E-8"


def test_listed_tick_takes_the_place_of_its_row() -> None:
    """What the venue lists for the price a market stands at is right, and the table for all other prices."""
    assert ticks_at(D(1_400), D("0.5"))[9] == (D(1_000), D("0.5"))
    assert [row for row in ticks_at(D(1_400), D("0.5")) if row not in TICKS] == [(D(1_000), D("0.5"))]
    assert ticks_at(D(70_000_000), D(1_000)) == ticks_at(None, None) == ticks_at(D(5), None) == TICKS


# -- refusals


def meaning(status: int, body: str) -> Kind:
    return DIALECT.meaning(Call(begun=True, status=status, body=body), Exception("quotes the token"))[0]


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, '{"error":{"name":"insufficient_funds_bid","message":"부족합니다."}}', Kind.REJECTED),
        (400, '{"error":{"name":"validation_error","message":"잘못된 API 요청입니다."}}', Kind.REJECTED),
        (400, '{"error":{"name":"validation_error","message":"Identifier has been taken"}}', Kind.UNKNOWN),
        (400, '{"error":{"name":"duplicate_identifier","message":"중복"}}', Kind.UNKNOWN),
        (401, '{"error":{"name":"nonce_used","message":"이미 사용된"}}', Kind.UNKNOWN),
        (401, '{"error":{"name":"jwt_verification","message":"검증에 실패"}}', Kind.AUTH_FATAL),
        (403, '{"error":{"name":"out_of_scope","message":"권한이 부족합니다."}}', Kind.AUTH_FATAL),
        (404, '{"error":{"name":"order_not_found","message":"찾지 못했습니다."}}', Kind.NOT_FOUND),
        (429, '{"error":{"name":"too_many_requests","message":"Too many"}}', Kind.THROTTLED),
        (429, "Too many API requests.", Kind.THROTTLED),
        (418, "", Kind.THROTTLED),
        (400, '{"error":{"name":"never_heard_of","message":"?"}}', Kind.UNKNOWN),
        (400, '{"error":{"name":400,"message":"Missing request parameter error."}}', Kind.UNKNOWN),
        (500, '{"error":{"name":"insufficient_funds_bid","message":"?"}}', Kind.UNKNOWN),
        (502, "<html>", Kind.UNKNOWN),
        (201, '{"uuid":"cdd9', Kind.UNKNOWN),
        (400, '{"error":"text"}', Kind.UNKNOWN),
    ],
)
def test_meaning_of_a_refusal(status: int, body: str, kind: Kind) -> None:
    """Only what was refused in so many words did not happen; whatever speaks of the identifier may stand already."""
    assert meaning(status, body) is kind


def test_every_name_has_a_meaning_for_any_message() -> None:
    """The last rule of every name matches all messages: no refusal falls through by its wording."""
    assert all(rules[-1][0] == "" for rules in MEANINGS.values())


def test_how_long_to_stay_away() -> None:
    """Limits are by the second; who is shut out without a word stays away long."""
    assert DIALECT.retry_after(429, {"remaining-req": "group=order; min=720; sec=0"}) == 1
    assert DIALECT.retry_after(429, {"retry-after": "7", "remaining-req": "x"}) == 7
    assert DIALECT.retry_after(429, {}) == 30
