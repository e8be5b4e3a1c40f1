"""Money: exact, whatever the amounts; nothing is made or lost by rounding."""

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import EXACT, exactly, fewest_places, is_amount, share
from oms.aggregates.position import Position
from oms.messages.enums import Side
from oms.messages.events import OrderFilled
from tests import strategies as gen
from tests.unit.desk import BTC, Desk, check_same

LARGEST = Decimal("99999999999999999999.999999999999999999")
SMALLEST = Decimal("0.000000000000000001")
AMOUNTS = gen.amounts() | st.sampled_from([LARGEST, SMALLEST, Decimal(1)])
SIGNED = gen.amounts(signed=True) | st.sampled_from([LARGEST, -SMALLEST, SMALLEST, LARGEST.copy_negate()])


@given(amount=SIGNED, part=AMOUNTS, whole=AMOUNTS)
@example(amount=Decimal(1), part=Decimal(1), whole=Decimal(3))
def test_share_leaves_the_rest(amount: Decimal, part: Decimal, whole: Decimal) -> None:
    """What is taken and what stays add up exactly, and what is taken is right to half a unit of the 18th place."""
    part, whole = sorted((part, whole))
    with exactly():
        taken = share(amount, part, whole)
        assert taken + (amount - taken) == amount
    exact = Fraction(amount) * Fraction(part) / Fraction(whole)
    assert abs(Fraction(taken) - exact) <= Fraction(SMALLEST) / 2 or part == whole
    assert abs(taken) <= abs(amount) or abs(Fraction(taken) - exact) <= Fraction(SMALLEST) / 2


@given(amount=SIGNED, whole=AMOUNTS)
def test_share_of_all_is_all(amount: Decimal, whole: Decimal) -> None:
    """Closing everything takes exactly everything, however many places it has."""
    with exactly():
        cost = amount * whole
        assert share(cost, whole, whole) == cost


def test_share_rounds_half_even() -> None:
    """A half of the last place goes to the even neighbour, either way."""
    assert share(SMALLEST, Decimal(1), Decimal(2)) == 0
    assert share(3 * SMALLEST, Decimal(1), Decimal(2)) == 2 * SMALLEST
    assert share(-3 * SMALLEST, Decimal(1), Decimal(2)) == -2 * SMALLEST


@given(SIGNED)
def test_amounts_are_amounts(amount: Decimal) -> None:
    """Every value of at most 20 digits before and 18 after the point is one."""
    with exactly():
        assert is_amount(amount)


@pytest.mark.parametrize(
    "text",
    [
        *["NaN", "sNaN", "Infinity", "-Infinity", "1e20", "-1e20", "1e400", "1e-19", "1e-400"],
        *["1.0000000000000000001", "0." + "1" * 200, "0." + "0" * 5_000 + "1", "9" * 5_000],
        *["1e999999999999999999", "-1e-999999999999999999"],
    ],
)
def test_what_is_no_amount(text: str) -> None:
    """Anything else is not, and finding out raises nothing."""
    with exactly():
        assert not is_amount(Decimal(text))


@pytest.mark.parametrize(
    "text, written",
    [("0.0100", "0.01"), ("1E+1", "10"), ("1.0", "1"), ("1E+19", "1" + "0" * 19), ("5E-18", "5E-18")],
)
def test_fewest_places(text: str, written: str) -> None:
    """A tick or step is written in one way."""
    assert str(fewest_places(Decimal(text))) == written


def test_inexact_is_refused() -> None:
    """A rounding that nobody asked for raises."""
    with exactly(), pytest.raises(decimal.Inexact):
        _ = Decimal(1) / Decimal(3)
    assert decimal.getcontext() is not EXACT


def _instrument(market: str, size: Decimal) -> Instrument:
    one = Decimal(1)
    terms: list[Any] = ["x", market, "BTCUSDT", "BTC", "USDT", "USDT", SMALLEST, SMALLEST, one, LARGEST]
    return Instrument(*terms, Decimal(0), None, size, Decimal(0), Decimal(0), True)


FILLS = st.lists(
    st.tuples(st.sampled_from(Side), AMOUNTS, AMOUNTS, SIGNED, st.sampled_from(["BTC", "USDT", "BNB"])),
    min_size=1,
    max_size=12,
)


@given(fills=FILLS, market=st.sampled_from(["spot", "futures"]), size=AMOUNTS)
def test_position_conserves_cost(fills: list[Any], market: str, size: Decimal) -> None:
    """For any trades that are let in: cash flow = realised − cost − fees exactly, nothing inexact, no cost when flat."""
    instrument = _instrument(market, Decimal(1) if market == "spot" else size)
    position = Position("x", "main", market, "BTCUSDT")
    cash, other = Decimal(0), Decimal(0)
    with exactly():
        for number, (side, quantity, price, fee, asset) in enumerate(fills):
            event = OrderFilled(
                order_id="o",
                exchange="x",
                account="main",
                market=market,
                symbol="BTCUSDT",
                side=side,
                trade_id=str(number),
                quantity=quantity,
                price=price,
                fee=fee,
                fee_asset=asset,
                venue_time=number,
            )
            before = position.quantity
            position.fill(event, instrument, number)
            change = quantity if side is Side.BUY else -quantity
            cash -= change * price * instrument.contract_size
            cash -= fee if asset == "USDT" else 0
            in_base = fee if asset == "BTC" and market == "spot" else Decimal(0)
            other += fee if asset == "BNB" or (asset == "BTC" and market != "spot") else 0
            assert position.quantity == before + change - in_base
            assert position.realised - position.cost - position.fees == cash
            assert sum(position.other_fees.values()) == other
            assert position.quantity or not position.cost


NETTING = [
    # what trades, then quantity, cost, realised, fees
    ("buy 2 at 100", [("buy", "2", "100", "0", "")], ("2", "200", "0", "0")),
    ("add at 110", [("buy", "2", "100", "0", ""), ("buy", "2", "110", "0", "")], ("4", "420", "0", "0")),
    ("close a part", [("buy", "4", "105", "0", ""), ("sell", "1", "120", "0", "")], ("3", "315", "15", "0")),
    ("close it all", [("buy", "3", "100", "0", ""), ("sell", "3", "90", "0", "")], ("0", "0", "-30", "0")),
    ("turn it", [("buy", "1", "100", "0", ""), ("sell", "3", "130", "0", "")], ("-2", "-260", "30", "0")),
    ("turn it back", [("sell", "2", "130", "0", ""), ("buy", "3", "120", "0", "")], ("1", "120", "20", "0")),
    ("a fee in quote", [("buy", "1", "100", "0.1", "USDT")], ("1", "100", "0", "0.1")),
    ("a fee in base", [("buy", "1", "100", "0.001", "BTC")], ("0.999", "99.9", "0", "0.1")),
    ("a fee in base on a sale", [("sell", "1", "100", "0.001", "BTC")], ("-1.001", "-100.1", "0", "0.1")),
    ("a fee in another asset", [("buy", "1", "100", "0.01", "BNB")], ("1", "100", "0", "0")),
    ("a rebate", [("buy", "1", "100", "-0.1", "USDT")], ("1", "100", "0", "-0.1")),
    ("a third of a cost", [("buy", "3", "1", "0", ""), ("buy", "1", "2", "0", ""), ("sell", "1", "2", "0", "")],
     ("3", "3.75", "0.75", "0")),
    ("the fee eats it all", [("buy", "1", "100", "1", "BTC")], ("0", "0", "0", "100")),
]  # fmt: skip


@pytest.mark.parametrize("trades, figures", [pytest.param(*row[1:], id=row[0]) for row in NETTING])
def test_netting(trades: list[tuple[str, str, str, str, str]], figures: tuple[str, ...]) -> None:
    """What a trader would work out by hand."""
    desk = Desk()
    for side, quantity, price, fee, asset in trades:
        desk.fill("outside", quantity, price, side=side, fee=fee, fee_asset=asset)
    position = desk.state.positions["binance", "main", "spot", "BTCUSDT"]
    assert (position.quantity, position.cost, position.realised, position.fees) == tuple(
        map(Decimal, figures)
    )


@given(
    trades=st.lists(st.tuples(gen.SIDES, AMOUNTS, AMOUNTS, SIGNED), min_size=1, max_size=6),
    market=st.sampled_from(["spot", "futures"]),
    size=AMOUNTS,
)
def test_largest_amounts_pass_through(trades: list[Any], market: str, size: Decimal) -> None:
    """Amounts of 38 digits in every field are taken exactly, on disk and in replay too."""
    desk = Desk()
    desk.list(market, {**BTC, "contract_size": "1" if market == "spot" else f"{size:f}"})
    if market != "spot":
        desk.open("main", market, {})
    for number, (side, quantity, price, fee) in enumerate(trades):
        report = {
            "report": "filled",
            "order_id": "outside",
            "symbol": "BTCUSDT",
            "side": side,
            "trade_id": str(number),
            "quantity": f"{quantity:f}",
            "price": f"{price:f}",
            "fee": f"{fee:f}",
            "fee_asset": "BNB",
            "maker": True,
            "venue_time": number,
        }
        reply = desk.reply(f"report.binance.main.{market}._", {"session": "s1", "reports": [report]})
        assert reply["count"] == 1, reply
    totals = {"USDT": f"{LARGEST:f}", "BTC": f"-{LARGEST:f}"}
    assert desk.reply(f"report_balances.binance.main.{market}._", {"session": "s1", "totals": totals})["ok"]
    check_same(desk.state, desk.replica)


@given(spec=gen.instruments(), quantity=AMOUNTS, price=AMOUNTS, side=gen.SIDES)
def test_any_instrument_and_any_order(
    spec: dict[str, Any], quantity: Decimal, price: Decimal, side: str
) -> None:
    """Whatever the tick, step and bounds, an order of any amounts is placed or denied exactly, and amended likewise."""
    desk = Desk()
    assert desk.list("spot", spec)["ok"]
    desk.ask(
        "report_balances.binance.main.spot._",
        {"session": "s1", "totals": {"USDT": f"{LARGEST:f}", "BTC": "9"}},
    )
    with exactly():
        quantity -= quantity % Decimal(spec["step"])
        price -= price % Decimal(spec["tick"])
    reply = desk.place(side=side, quantity=f"{quantity:f}", price=f"{price:f}")
    assert reply["ok"] or reply["error"]["code"] != "INVALID_DECIMAL", reply
    if reply["ok"]:
        order_id = reply["order_id"]
        desk.report("accepted", order_id)
        desk.amend(order_id, price=f"{price + Decimal(spec['tick']):f}")
        desk.fill(order_id, f"{quantity / 2:f}", f"{price:f}")
    check_same(desk.state, desk.replica)


def test_trade_ids_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest trade ids are forgotten, and a trade as old as those is refused, never applied twice."""
    monkeypatch.setattr("oms.aggregates.account.MAX_TRADE_IDS", 3)
    desk = Desk()
    for number in (5, 1, 2, 6, 7):
        assert desk.fill("outside", "1", trade_id=f"t{number}", venue_time=number)["count"] == 1
    assert list(desk.state.ledgers["binance", "main", "spot"].trade_ids) == [
        "BTCUSDT:t2:buy",
        "BTCUSDT:t6:buy",
        "BTCUSDT:t7:buy",
    ]
    before = desk.digest()
    for number in (5, 1, 3):
        reply = desk.fill("outside", "1", trade_id=f"t{number}", venue_time=number)
        assert reply["refused"][0]["error"]["code"] == "FILL_TOO_OLD"
    for number in (2, 6, 7):
        assert desk.fill("outside", "1", trade_id=f"t{number}", venue_time=number)["count"] == 0
    assert desk.digest() == before
    check_same(desk.state, desk.replica)


def test_finished_orders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more finished orders than the bound stay hot, the oldest go first, and a late fill still finds its strategy."""
    monkeypatch.setattr("oms.aggregates.partition.MAX_FINISHED", 2)
    monkeypatch.setattr("oms.aggregates.partition.MAX_RETIRED", 3)
    desk = Desk()
    ids = []
    for _ in range(6):
        ids.append(desk.place(strategy="alpha")["order_id"])
        desk.report("canceled", ids[-1])
    assert list(desk.state.orders) == list(desk.state.finished) == ids[-2:]
    assert list(desk.state.retired) == ids[1:4]
    outcome = desk.ask(
        "report.binance.main.spot._",
        {
            "session": "s1",
            "reports": [
                {
                    "report": "filled",
                    "order_id": ids[3],
                    "symbol": "BTCUSDT",
                    "side": "buy",
                    "trade_id": "late",
                }
                | {"quantity": "1", "price": "1", "fee": "0", "fee_asset": "", "maker": True, "venue_time": 1}
            ],
        },
    )
    assert outcome.commit.events[0].strategy == "alpha"  # type: ignore[union-attr]
    check_same(desk.state, desk.replica)
