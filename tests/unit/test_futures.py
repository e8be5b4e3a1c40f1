"""Positions with margin, leverage, fees and funding, the money of each case spelled out; and wallets that markets share."""

from decimal import Decimal
from typing import Any

import pytest

from oms.engine.engine import _commit_bound
from oms.messages import events as e
from oms.messages.instructions import Reconcile, SetTerms
from tests.unit.desk import Desk
from tests.unit.futures_desk import SWAP, FuturesDesk

D = Decimal


@pytest.fixture
def desk() -> FuturesDesk:
    return FuturesDesk()


def amounts(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


# fmt: off
CASES: dict[str, tuple[str, list[tuple[str, ...]], dict[str, str]]] = {
    # name: leverage; trades (side, quantity, price, fee); what the position is, and total and margin of 10,000 USDT
    "a long, opened":            ("10", [("buy", "2", "100", "0.2")],
        {"quantity": "2", "cost": "200", "realised": "0", "fees": "0.2", "margin": "20", "total": "9999.8"}),
    "a short, opened":           ("10", [("sell", "2", "100", "0.2")],
        {"quantity": "-2", "cost": "-200", "realised": "0", "fees": "0.2", "margin": "20", "total": "9999.8"}),
    "a long, added to":          ("10", [("buy", "2", "100", "0.2"), ("buy", "1", "130", "0.13")],
        {"quantity": "3", "cost": "330", "realised": "0", "fees": "0.33", "margin": "33", "total": "9999.67"}),
    "a long, half closed":       ("10", [("buy", "2", "100", "0.2"), ("sell", "1", "130", "0.13")],
        {"quantity": "1", "cost": "100", "realised": "30", "fees": "0.33", "margin": "10", "total": "10029.67"}),
    "a short, half closed":      ("5", [("sell", "2", "100", "0"), ("buy", "1", "130", "0")],
        {"quantity": "-1", "cost": "-100", "realised": "-30", "fees": "0", "margin": "20", "total": "9970"}),
    "a long, closed":            ("10", [("buy", "2", "100", "0"), ("sell", "2", "90", "0")],
        {"quantity": "0", "cost": "0", "realised": "-20", "fees": "0", "margin": "0", "total": "9980"}),
    "a long that turned":        ("10", [("buy", "2", "100", "0"), ("sell", "5", "110", "0.55")],
        {"quantity": "-3", "cost": "-330", "realised": "20", "fees": "0.55", "margin": "33", "total": "10019.45"}),
    "a maker's rebate":          ("10", [("buy", "2", "100", "-0.02")],
        {"quantity": "2", "cost": "200", "realised": "0", "fees": "-0.02", "margin": "20", "total": "10000.02"}),
    "thirds are rounded once":   ("3", [("buy", "1", "100", "0")],
        {"quantity": "1", "cost": "100", "realised": "0", "fees": "0", "margin": "33.333333333333333333", "total": "10000"}),
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_trades_move_position_margin_and_wallet(desk: FuturesDesk, name: str) -> None:
    """The wallet moves by what is realised and by fees; what is open holds cost by leverage of it, and no more."""
    leverage, trades, expected = CASES[name]
    desk.terms(leverage)
    for side, quantity, price, fee in trades:
        assert desk.trade(side, quantity, price, fee)["count"] == 1
    position, (total, locked, margin, free) = desk.position, desk.figures()
    for field in ("quantity", "cost", "realised", "fees", "margin"):
        assert getattr(position, field) == D(expected[field]), field
    assert (total, locked, margin) == (D(expected["total"]), D(0), D(expected["margin"]))
    assert free == total - margin
    desk.check()


def test_contracts_are_worth_their_size(desk: FuturesDesk) -> None:
    """10 contracts of 0.01 at 100 cost 10, hold 10 by leverage, and make 1 when they are sold at 110."""
    spec = {**SWAP, "symbol": "BTC-USDT-SWAP", "contract_size": "0.01", "step": "1", "min_quantity": "1"}
    desk.ask("list_instruments.bybit._.futures._", {"instruments": [spec]})
    desk.say("terms", symbol="BTC-USDT-SWAP", leverage="4", margin_mode="cross")
    desk.trade("buy", "10", "100", symbol="BTC-USDT-SWAP")
    assert desk.figures() == amounts("10000", "0", "2.5", "9997.5")
    desk.trade("sell", "10", "110", symbol="BTC-USDT-SWAP")
    assert desk.figures() == amounts("10001", "0", "0", "10001")


# -- orders


def test_order_reserves_margin_and_the_takers_fee(desk: FuturesDesk) -> None:
    """2 at 100 with leverage 8 reserve 25, and 0.1 % of 200 for the fee; the cancel gives them back."""
    desk.terms("8")
    for side in ("buy", "sell"):
        order = desk.order(side, "2")
        assert desk.figures() == amounts("10000", "25.2", "0", "9974.8")
        desk.say("canceled", order_id=order["order_id"], reason="", venue_time=1)
        assert desk.figures() == amounts("10000", "0", "0", "10000")
    desk.check()


def test_unknown_leverage_counts_as_one(desk: FuturesDesk) -> None:
    """Before the venue has said what the leverage is, an order reserves its whole value."""
    desk.order("sell", "1")
    assert desk.balance().locked == D("100.1")


def test_what_an_order_reserves_is_rounded_up(desk: FuturesDesk) -> None:
    """A third of 100 does not come out even: what is set aside covers it."""
    desk.terms("3")
    desk.order("buy", "1")
    assert desk.balance().locked == D("33.433333333333333334")


def test_market_order_reserves_by_the_mark_and_more(desk: FuturesDesk) -> None:
    """A market order of 1 at a mark of 100 reserves for 105."""
    desk.order("sell", "1", None, type="market", time_in_force="IOC")  # type: ignore[arg-type]
    assert desk.balance().locked == D("105.105")


def test_order_beyond_what_is_free_is_denied(desk: FuturesDesk) -> None:
    """With leverage 1, 10,000 USDT let 99 at 100 through and not 100, because of the fee."""
    assert desk.order("buy", "99")["ok"]
    assert desk.order("buy", "1")["error"]["code"] == "INSUFFICIENT_FUNDS"
    assert desk.order("buy", "0.9")["ok"]


def test_margin_of_positions_is_not_free(desk: FuturesDesk) -> None:
    """What an open position holds, an order cannot reserve."""
    desk.trade("buy", "99", "100")
    assert desk.figures() == amounts("10000", "0", "9900", "100")
    assert desk.order("buy", "1")["error"]["code"] == "INSUFFICIENT_FUNDS"


def test_fill_turns_reservation_into_margin(desk: FuturesDesk) -> None:
    """An order's reservation goes, part by part, as its fills open the position."""
    desk.terms("10")
    order = desk.order("buy", "4")["order_id"]
    assert desk.figures() == amounts("10000", "40.4", "0", "9959.6")
    desk.trade("buy", "1", "100", "0.1", order_id=order)
    assert desk.figures() == amounts("9999.9", "30.3", "10", "9959.6")
    desk.trade("buy", "3", "100", "0.3", order_id=order)
    assert desk.figures() == amounts("9999.6", "0", "40", "9959.6")
    desk.check()


def test_order_that_only_closes_reserves_nothing(desk: FuturesDesk) -> None:
    """Against a long of 3: sells of 2 and of 1 reserve nothing, and one more of 1 reserves, for it could open a short."""
    desk.trade("buy", "3", "100")
    first = desk.order("sell", "2", "120")["order_id"]
    desk.order("sell", "1", "130")
    assert (desk.balance().locked, desk.position.closing) == (D(0), D(3))
    third = desk.order("sell", "1", "140")["order_id"]
    assert desk.balance().locked == D("140.14")
    # The first one gone, another may close in its place.
    desk.say("canceled", order_id=first, reason="", venue_time=1)
    desk.order("sell", "2", "120")
    assert desk.balance().locked == D("140.14")
    desk.trade("sell", "1", "140", order_id=third)
    assert (desk.balance().locked, desk.position.quantity) == (D(0), D(2))
    desk.check()


def test_order_that_closes_and_opens_reserves_for_all_of_it(desk: FuturesDesk) -> None:
    """A sell of 4 against a long of 3 may open 1: it is not one that only closes."""
    desk.trade("buy", "3", "100")
    desk.order("sell", "4", "100")
    assert (desk.balance().locked, desk.position.closing) == (D("400.4"), D(0))


def test_order_that_adds_reserves(desk: FuturesDesk) -> None:
    """A buy beside a long opens more of it."""
    desk.trade("buy", "3", "100")
    desk.order("buy", "1")
    assert desk.balance().locked == D("100.1")


def test_reduce_only_reserves_nothing_and_counts(desk: FuturesDesk) -> None:
    """A reduce-only order reserves nothing, and what it may close no plain order is let off for."""
    desk.trade("buy", "3", "100")
    desk.order("sell", "2", "120", reduce_only=True)
    assert (desk.balance().locked, desk.position.reducing, desk.position.closing) == (D(0), D(2), D(0))
    desk.order("sell", "2", "120")
    assert desk.balance().locked == D("240.24")
    assert desk.order("buy", "1", reduce_only=True)["error"]["code"] == "REDUCE_ONLY"
    desk.check()


def test_amend_reserves_by_its_own_terms(desk: FuturesDesk) -> None:
    """An order amended to more reserves more, at today's leverage; one that closes and is amended beyond, all of it."""
    desk.terms("10")
    order = desk.order("buy", "1")["order_id"]
    desk.say("accepted", order_id=order, venue_order_id="v1", venue_time=1)
    desk.terms("5")
    amend = {"command_id": "a1", "order_id": order, "quantity": "3", "price": "110"}
    assert desk.reply("amend.bybit.main.futures._", amend)["ok"]
    assert desk.balance().locked == D(3) * (D(110) / 5 + D("0.11"))
    desk.say("restated", order_id=order, quantity="3", price="110", venue_time=2)
    assert desk.balance().locked == D("66.33")
    desk.say("canceled", order_id=order, reason="", venue_time=3)
    desk.trade("sell", "2", "100")
    closing = desk.order("buy", "2", "90")["order_id"]
    desk.say("accepted", order_id=closing, venue_order_id="v2", venue_time=4)
    assert (desk.balance().locked, desk.position.closing) == (D(0), D(2))
    assert desk.reply(
        "amend.bybit.main.futures._", {"command_id": "a2", "order_id": closing, "quantity": "2.5"}
    )["ok"]
    assert desk.balance().locked == D("2.5") * (D(90) / 5 + D("0.09"))
    desk.check()


def test_order_that_closes_may_be_amended_to_close_still(desk: FuturesDesk) -> None:
    """Another price of an order that closes all there is reserves nothing: what it closes already is its own to close."""
    desk.trade("sell", "2", "100")
    order = desk.order("buy", "2", "90")["order_id"]
    desk.say("accepted", order_id=order, venue_order_id="v1", venue_time=1)
    asked = {"command_id": "a1", "order_id": order, "price": "95"}
    assert desk.reply("amend.bybit.main.futures._", asked)["ok"]
    desk.say("restated", order_id=order, quantity="2", price="95", venue_time=2)
    assert (desk.balance().locked, desk.position.closing) == (D(0), D(2))
    desk.check()


def test_order_that_is_amended_to_close_counts_at_once(desk: FuturesDesk) -> None:
    """Until the venue has answered, no other order may be let through without margin to close the same part."""
    desk.terms("10")
    desk.trade("buy", "1", "100")
    order = desk.order("sell", "2", "200")["order_id"]
    desk.say("accepted", order_id=order, venue_order_id="v1", venue_time=1)
    asked = {"command_id": "a1", "order_id": order, "quantity": "1"}
    assert desk.reply("amend.bybit.main.futures._", asked)["ok"]
    assert desk.position.closing == 1
    desk.check()
    desk.order("sell", "1", "200")
    desk.say("restated", order_id=order, quantity="1", price="200", venue_time=2)
    assert (desk.position.closing, desk.balance().locked) == (D(1), D("20.2"))
    desk.check()
    desk.say("canceled", order_id=order, reason="", venue_time=3)
    assert desk.position.closing == 0
    desk.check()


def test_amend_to_close_that_is_refused_counts_no_more(desk: FuturesDesk) -> None:
    """An order that stays what it was reserves its margin, and closes nothing that others may not."""
    desk.trade("buy", "1", "100")
    order = desk.order("sell", "2", "200")["order_id"]
    desk.say("accepted", order_id=order, venue_order_id="v1", venue_time=1)
    asked = {"command_id": "a1", "order_id": order, "quantity": "1"}
    assert desk.reply("amend.bybit.main.futures._", asked)["ok"]
    desk.say("amend_rejected", order_id=order, reason="no", venue_time=2)
    assert (desk.position.closing, desk.balance().locked) == (D(0), D("400.4"))
    desk.check()


def test_restated_by_the_venue_reserves_in_proportion(desk: FuturesDesk) -> None:
    """Another price that nobody asked for changes what a unit reserves as it changes the price."""
    desk.terms("10")
    order = desk.order("sell", "1", "100")["order_id"]
    desk.say("accepted", order_id=order, venue_order_id="v1", venue_time=1)
    desk.say(
        "restated", order_id=order, quantity="1", price="200", venue_time=2, reason="self-trade prevention"
    )
    assert desk.balance().locked == D("20.2")
    desk.check()


def test_adopted_order_reserves_as_ours_do(desk: FuturesDesk) -> None:
    """An order found at the venue reserves margin and fee; one that only closes, nothing."""
    desk.terms("10")
    found = {"venue_order_id": "v9", "symbol": "BTCUSDT", "type": "limit", "quantity": "1", "price": "100"}
    desk.say("found", order_id="web1", side="buy", **found)
    assert desk.balance().locked == D("10.1")
    desk.trade("sell", "1", "100")
    desk.say("found", order_id="web2", side="buy", **found)
    assert (desk.balance().locked, desk.position.closing) == (D("10.1"), D(1))
    desk.check()


# -- funding


def test_funding_moves_wallet_and_position_both_ways(desk: FuturesDesk) -> None:
    """What is paid and what is received is told apart from realised and fees, each once by its id."""
    desk.trade("buy", "2", "100")
    assert desk.fund("f1", "-0.04")["count"] == 1
    assert desk.fund("f2", "0.01")["count"] == 1
    assert desk.fund("f1", "-0.04")["count"] == 0
    assert (desk.position.funding, desk.balance().total) == (D("-0.03"), D("9999.97"))
    assert (desk.position.realised, desk.position.fees) == (D(0), D(0))
    desk.check()


def test_funding_of_another_symbol_has_ids_of_its_own(desk: FuturesDesk) -> None:
    """Venues number payments by symbol: the same id of another symbol is another payment."""
    desk.ask(
        "list_instruments.bybit._.futures._", {"instruments": [{**SWAP, "symbol": "ETHUSDT", "base": "ETH"}]}
    )
    desk.fund("f1", "1")
    assert desk.fund("f1", "2", symbol="ETHUSDT")["count"] == 1
    assert desk.balance().total == D("10003")


def test_funding_in_another_asset_is_not_valued(desk: FuturesDesk) -> None:
    """Funding paid in BTC moves the BTC balance, and stands with the fees in other assets."""
    desk.fund("f1", "-0.001", asset="BTC")
    assert desk.balance("BTC").total == D("0.999")
    assert (desk.position.funding, desk.position.other_fees) == (D(0), {"BTC": D("0.001")})


def test_funding_does_not_move_where_trades_are_asked_from(desk: FuturesDesk) -> None:
    """A payment is later than trades that were missed: the next reconciliation still asks for those."""
    desk.trade("buy", "1", "100", venue_time=5)
    desk.fund("f1", "-1", venue_time=50)
    assert desk.state.ledgers["bybit", "main", "futures"].filled_until == {"BTCUSDT": 5}


@pytest.mark.parametrize(
    "report, code",
    [
        ({"report": "funding", "symbol": "NONE", "funding_id": "1", "amount": "1", "asset": "USDT", "venue_time": 1}, "INSTRUMENT_UNKNOWN"),
        ({"report": "funding", "symbol": "BTCUSDT", "funding_id": "1", "amount": "1e30", "asset": "USDT", "venue_time": 1}, "INVALID_DECIMAL"),
        ({"report": "terms", "symbol": "NONE", "leverage": "1", "margin_mode": "cross"}, "INSTRUMENT_UNKNOWN"),
        ({"report": "terms", "symbol": "BTCUSDT", "leverage": "0", "margin_mode": "cross"}, "INVALID_COMMAND"),
        ({"report": "terms", "symbol": "BTCUSDT", "leverage": "5000", "margin_mode": "cross"}, "INVALID_COMMAND"),
    ],
)  # fmt: skip
def test_statement_that_makes_no_sense_is_not_taken(
    desk: FuturesDesk, report: dict[str, Any], code: str
) -> None:
    """It is answered with its place in the list, and the others of the list stand."""
    good = {"report": "terms", "symbol": "BTCUSDT", "leverage": "7", "margin_mode": "cross"}
    reply = desk.reply("report.bybit.main.futures._", {"session": "s1", "reports": [report, good]})
    assert [(each["index"], each["error"]["code"]) for each in reply["refused"]] == [(0, code)]
    assert desk.position.leverage == 7


def test_spot_has_no_funding_and_no_terms(desk: FuturesDesk) -> None:
    """A statement about a position that the market cannot have is refused."""
    reply = desk.say("terms", "spot", symbol="BTCUSDT", leverage="7", margin_mode="cross")
    assert reply["refused"][0]["error"]["code"] == "INVALID_COMMAND"


# -- terms


def ask_terms(desk: FuturesDesk, market: str = "futures", **fields: Any) -> dict[str, Any]:
    return desk.reply(f"set_terms.bybit.main.{market}.BTCUSDT", {"command_id": desk.next_id(), **fields})


def test_terms_are_asked_for_and_set(desk: FuturesDesk) -> None:
    """The request is recorded and told to the session; the venue's answer is what counts, even when nothing changes."""
    raw = {"command_id": "t1", "leverage": "5", "margin_mode": "isolated"}
    outcome = desk.ask("set_terms.bybit.main.futures.BTCUSDT", raw)
    [(key, instruction)] = outcome.instructions
    assert key == ("bybit", "main", "futures")
    assert isinstance(instruction, SetTerms)
    assert (instruction.symbol, instruction.leverage) == ("BTCUSDT", D(5))
    assert desk.position.leverage is None
    assert desk.terms("5", "isolated")["count"] == 1
    assert (desk.position.leverage, desk.position.margin_mode) == (D(5), "isolated")
    assert desk.terms("5", "isolated")["count"] == 0
    assert ask_terms(desk, leverage="5")["ok"]
    assert desk.terms("5", "isolated")["count"] == 1
    desk.check()


def test_terms_that_are_not_known_stay_what_they_were(desk: FuturesDesk) -> None:
    """A margin mode that was set, and a leverage that the venue does not show: the leverage known stands, and none is made up."""
    desk.say("terms", symbol="BTCUSDT", margin_mode="isolated")
    assert (desk.position.leverage, desk.position.margin_mode) == (None, "isolated")
    desk.say("terms", symbol="BTCUSDT", leverage="5")
    assert (desk.position.leverage, desk.position.margin_mode) == (D(5), "isolated")
    desk.say("terms", symbol="BTCUSDT", margin_mode="cross")
    assert (desk.position.leverage, desk.position.margin_mode) == (D(5), "cross")
    assert desk.say("terms", symbol="BTCUSDT")["refused"][0]["error"]["code"] == "INVALID_COMMAND"
    desk.check()


def test_terms_refused_leave_what_stood(desk: FuturesDesk) -> None:
    """The venue's refusal is recorded once, with its reason."""
    desk.terms("5")
    ask_terms(desk, leverage="50")
    refused = {"symbol": "BTCUSDT", "reason": "110043: not allowed"}
    assert desk.say("terms_refused", **refused)["count"] == 1
    assert isinstance(desk.last()[0], e.TermsRefused)
    assert desk.say("terms_refused", **refused)["count"] == 0
    assert desk.position.leverage == 5


def test_another_leverage_is_another_margin(desk: FuturesDesk) -> None:
    """Margin follows the leverage at once, both ways; orders keep what they reserved."""
    desk.terms("10")
    desk.trade("buy", "10", "100")
    order = desk.order("buy", "1")["order_id"]
    assert desk.figures() == amounts("10000", "10.1", "100", "9889.9")
    desk.terms("2")
    assert desk.figures() == amounts("10000", "10.1", "500", "9489.9")
    desk.terms("20")
    assert desk.figures() == amounts("10000", "10.1", "50", "9939.9")
    desk.say("canceled", order_id=order, reason="", venue_time=1)
    desk.check()


@pytest.mark.parametrize(
    "market, fields, code",
    [
        ("futures", {}, "INVALID_COMMAND"),
        ("futures", {"leverage": "0"}, "INVALID_COMMAND"),
        ("futures", {"leverage": "-3"}, "INVALID_COMMAND"),
        ("futures", {"leverage": "1000.1"}, "INVALID_COMMAND"),
        ("futures", {"leverage": 5}, "INVALID_DECIMAL"),
        ("futures", {"leverage": "5", "symbol": "OTHER"}, "SUBJECT_MISMATCH"),
        ("other", {"leverage": "5"}, "INSTRUMENT_UNKNOWN"),
    ],
)
def test_terms_that_cannot_be_are_refused(
    desk: FuturesDesk, market: str, fields: dict[str, Any], code: str
) -> None:
    """A request that makes no sense leaves no trace."""
    before = desk.digest()
    assert ask_terms(desk, market, **fields)["error"]["code"] == code
    assert desk.digest() == before


def test_terms_need_a_venue_that_has_them_and_a_session(desk: FuturesDesk) -> None:
    """What a venue does not declare is NOT_SUPPORTED; without a ready session the answer is VENUE_DOWN."""
    desk.declare("futures", features=["leverage"])
    assert ask_terms(desk, margin_mode="cross")["error"]["code"] == "NOT_SUPPORTED"
    assert ask_terms(desk, leverage="2")["ok"]
    desk.declare("futures", features=[])
    assert ask_terms(desk, leverage="2")["error"]["code"] == "NOT_SUPPORTED"
    desk.declare("futures")
    desk.ask("close_session.bybit.main.futures._", {"session": "s1", "reason": "bye"})
    assert ask_terms(desk, leverage="2")["error"]["code"] == "VENUE_DOWN"


def test_terms_of_a_venue_that_declared_nothing_are_not_supported() -> None:
    """An undeclared market may be able to, or not: nothing is sent that it might not understand."""
    desk = Desk()
    reply = desk.reply("set_terms.binance.main.spot.BTCUSDT", {"command_id": "t", "leverage": "2"})
    assert reply["error"]["code"] == "NOT_SUPPORTED"


# -- positions as the venue shows them


def test_position_that_differs_is_adopted(desk: FuturesDesk) -> None:
    """Expected and found are recorded; the cost is the venue's, nothing is realised, margin follows."""
    desk.terms("10")
    desk.trade("buy", "2", "100")
    reply = desk.positions({"symbol": "BTCUSDT", "quantity": "5", "entry_price": "104"})
    assert reply["count"] == 2
    adjusted = desk.last()[0]
    assert (adjusted.expected, adjusted.quantity, adjusted.entry_price) == amounts("2", "5", "104")
    assert (adjusted.expected_cost, adjusted.cost) == amounts("200", "520")
    assert (desk.position.quantity, desk.position.cost, desk.position.realised) == amounts("5", "520", "0")
    assert desk.figures() == amounts("10000", "0", "52", "9948")
    assert desk.positions({"symbol": "BTCUSDT", "quantity": "5", "entry_price": "104"})["count"] == 0
    desk.check()


def test_position_that_is_gone_at_the_venue(desk: FuturesDesk) -> None:
    """A symbol that is not named is flat there: quantity, cost and margin go, realised stays."""
    desk.trade("buy", "2", "100")
    desk.trade("sell", "1", "110")
    assert desk.positions()["count"] == 1
    assert (desk.position.quantity, desk.position.cost, desk.position.realised) == amounts("0", "0", "10")
    assert desk.figures() == amounts("10010", "0", "0", "10010")
    desk.check()


@pytest.mark.parametrize(
    "mark, expected",
    [("120", "340"), (None, "300")],
    ids=["at the mark", "as what was held"],
)
def test_adopted_quantity_without_an_entry_price(mark: str | None, expected: str) -> None:
    """What joined what we held is entered at the mark, and where none is known at what we held was entered at."""
    desk = FuturesDesk()
    spec = {**SWAP, "symbol": "NEWUSDT", "base": "NEW"}
    desk.ask("list_instruments.bybit._.futures._", {"instruments": [spec]})
    if mark is not None:
        desk.ask("report_marks.bybit._.futures._", {"marks": {"NEWUSDT": mark}})
    desk.trade("buy", "1", "100", symbol="NEWUSDT")
    desk.positions({"symbol": "NEWUSDT", "quantity": "3"})
    assert desk.state.positions["bybit", "main", "futures", "NEWUSDT"].cost == D(expected)
    desk.check()


def amounts_of(event: Any) -> list[tuple[Decimal | None, ...]]:
    """(price, entry price, cost, realised) of an adjustment."""
    return [(event.price, event.entry_price, event.cost, event.realised)]


ADOPTED = {
    "gone at a loss": ("buy", "2", "90", "0", None, ("90", "0", "0", "-20")),
    "gone at a profit": ("sell", "2", "90", "0", None, ("90", "0", "0", "20")),
    "a part gone": ("buy", "4", "90", "1", None, ("90", "100", "100", "-30")),
    "a part gone, of which the venue says another entry": (
        "buy",
        "4",
        "90",
        "1",
        "93",
        ("90", "100", "100", "-30"),
    ),
    "a part of a short gone": ("sell", "4", "110", "-1", "100", ("110", "100", "-100", "-30")),
    "joined as the venue says": ("buy", "1", "90", "2", "99", ("98", "99", "198", "0")),
    "joined at the mark, though the venue says less": ("buy", "1", "90", "2", "90", ("90", "95", "190", "0")),
    "joined a short at the mark, though the venue says more": (
        "sell",
        "1",
        "110",
        "-2",
        "110",
        ("110", "105", "-210", "0"),
    ),
    "turned": ("buy", "1", "90", "-2", "95", ("90", "95", "-190", "-10")),
    "turned, and the venue says no entry": ("buy", "1", "90", "-2", None, ("90", "90", "-180", "-10")),
    "gone while no mark is known": ("buy", "2", None, "0", None, (None, "0", "0", "0")),
    "a part gone while no mark is known": ("buy", "4", None, "1", "80", (None, "100", "100", "0")),
    "joined while no mark is known": ("buy", "1", None, "2", "90", (None, "90", "180", "0")),
    "turned while no mark is known": ("buy", "1", None, "-2", "90", (None, "90", "-180", "0")),
    "from flat": ("", "", "90", "2", "95", ("95", "95", "190", "0")),
    "from flat, without an entry": ("", "", "90", "2", None, ("90", "90", "180", "0")),
    "from flat, without an entry or a mark": ("", "", None, "2", None, (None, "0", "0", "0")),
}
"""What we hold at 100: side, quantity; mark; what the venue shows: quantity, entry; price, entry, cost and realised of the event."""


@pytest.mark.parametrize("side, held, mark, quantity, entry, expected", ADOPTED.values(), ids=ADOPTED)
def test_what_the_venue_holds_otherwise_is_taken_as_traded(
    side: str, held: str, mark: str | None, quantity: str, entry: str | None, expected: tuple[str | None, ...]
) -> None:
    """What was lost with what is gone stays lost, and no average of the venue's takes away what what we hold has lost."""
    desk = FuturesDesk()
    desk.ask(
        "list_instruments.bybit._.futures._", {"instruments": [{**SWAP, "symbol": "NEWUSDT", "base": "NEW"}]}
    )
    if side:
        desk.trade(side, held, "100", symbol="NEWUSDT")
    if mark is not None:
        desk.ask("report_marks.bybit._.futures._", {"marks": {"NEWUSDT": mark}})
    total = desk.balance().total
    desk.positions({"symbol": "NEWUSDT", "quantity": quantity} | ({"entry_price": entry} if entry else {}))
    [adjusted] = [event for event in desk.last() if isinstance(event, e.PositionAdjusted)]
    assert amounts_of(adjusted) == [tuple(None if each is None else D(each) for each in expected)]
    position = desk.state.positions["bybit", "main", "futures", "NEWUSDT"]
    assert (position.quantity, position.cost, position.realised) == (D(quantity), *map(D, expected[2:]))  # type: ignore[arg-type]
    assert desk.balance().total == total, "the money is in the venue's balance"
    desk.check()


def test_position_that_was_never_ours_is_adopted(desk: FuturesDesk) -> None:
    """A position somebody else opened stands here from then on."""
    desk.positions(
        {"symbol": "BTCUSDT", "quantity": "-3", "entry_price": "90", "leverage": "3", "margin_mode": "cross"}
    )
    assert (desk.position.quantity, desk.position.cost, desk.position.leverage) == amounts("-3", "-270", "3")
    assert desk.balance().margin == D(90)
    desk.check()


def test_what_the_venue_shows_is_recorded_when_it_is_news(desk: FuturesDesk) -> None:
    """Entry, liquidation price, leverage and mode are stated once, and again only beyond what marks and rounding explain."""
    desk.trade("buy", "2", "100")
    shown = {
        "symbol": "BTCUSDT",
        "quantity": "2",
        "entry_price": "100",
        "liquidation_price": "50",
        "margin": "20",
        "leverage": "10",
        "margin_mode": "cross",
    }
    assert desk.positions(shown)["count"] == 1
    position = desk.position
    assert (position.stated_entry, position.liquidation_price, position.leverage) == amounts(
        "100", "50", "10"
    )
    assert (position.stated_margin, position.stated_at) == (None, desk.now)
    assert desk.balance().margin == D(20)
    for drift in ({}, {"liquidation_price": "50.4"}, {"entry_price": "100.00001"}, {"margin": "999"}):
        assert desk.positions({**shown, **drift})["count"] == 0, drift
    for news in ({"liquidation_price": "51"}, {"entry_price": "100.1"}, {"leverage": "5"}):
        shown |= news
        assert desk.positions(shown)["count"] == 1, news
    desk.check()


def test_isolated_margin_is_what_the_venue_says_until_a_fill(desk: FuturesDesk) -> None:
    """Margin set aside for one position is held as stated; a fill makes it cost by leverage again, until the next statement."""
    desk.trade("buy", "2", "100")
    shown = {
        "symbol": "BTCUSDT",
        "quantity": "2",
        "margin": "75",
        "leverage": "10",
        "margin_mode": "isolated",
    }
    desk.positions(shown)
    assert desk.figures() == amounts("10000", "0", "75", "9925")
    desk.trade("buy", "1", "100")
    assert desk.balance().margin == D(30)
    desk.positions({**shown, "quantity": "3", "margin": "85"})
    assert desk.balance().margin == D(85)
    desk.terms("10", "cross")
    assert desk.balance().margin == D(30)
    desk.trade("sell", "3", "100")
    assert desk.balance().margin == D(0)
    desk.check()


def test_liquidation_price_goes_with_the_position(desk: FuturesDesk) -> None:
    """What is flat cannot be liquidated, and what turned has another price, which the venue has not said yet."""
    shown = {"symbol": "BTCUSDT", "quantity": "2", "entry_price": "100", "liquidation_price": "50"}
    for quantity in ("2", "5"):
        desk.trade("buy", "2", "100")
        desk.positions(shown)
        assert desk.position.liquidation_price == 50
        desk.trade("sell", quantity, "100")
        assert (desk.position.liquidation_price, desk.position.stated_entry) == (None, None)


@pytest.mark.parametrize(
    "spec, code",
    [
        ({"symbol": "NONE", "quantity": "1"}, "INSTRUMENT_UNKNOWN"),
        ({"symbol": "BTCUSDT", "quantity": "1e40"}, "INVALID_DECIMAL"),
        ({"symbol": "BTCUSDT", "quantity": "1", "entry_price": "-1"}, "INVALID_COMMAND"),
        ({"symbol": "BTCUSDT", "quantity": "1", "leverage": "0"}, "INVALID_COMMAND"),
        ({"symbol": "BTCUSDT", "quantity": "1", "margin": "NaN"}, "INVALID_DECIMAL"),
    ],
)
def test_position_that_makes_no_sense_is_refused_alone(
    desk: FuturesDesk, spec: dict[str, Any], code: str
) -> None:
    """It is answered with its place in the list and not taken for flat; the others of the list stand, and the session goes on."""
    swap = {**SWAP, "symbol": "ETHUSDT", "base": "ETH"}
    desk.ask("list_instruments.bybit._.futures._", {"instruments": [swap]})
    desk.trade("buy", "2", "100")
    shown = [spec, {"symbol": "ETHUSDT", "quantity": "3", "entry_price": "10"}]
    if spec["symbol"] == "NONE":
        shown.append({"symbol": "BTCUSDT", "quantity": "2"})
    reply = desk.positions(*shown)
    assert [(each["index"], each["error"]["code"]) for each in reply["refused"]] == [(0, code)]
    assert desk.position.quantity == 2
    assert desk.state.positions["bybit", "main", "futures", "ETHUSDT"].quantity == 3
    desk.check()


def test_position_that_stands_twice_is_no_report(desk: FuturesDesk) -> None:
    """Nothing of a list that contradicts itself is taken."""
    before = desk.digest()
    twice = [{"symbol": "BTCUSDT", "quantity": "1"}] * 2
    assert desk.positions(*twice)["error"]["code"] == "INVALID_COMMAND"
    assert desk.digest() == before


def test_flat_symbol_that_is_not_listed_is_nobodys(desk: FuturesDesk) -> None:
    """Venues show the leverage of symbols that are not listed yet, or that are not traded here: no reason to refuse anything."""
    reply = desk.positions({"symbol": "NEW", "quantity": "0", "leverage": "20", "margin_mode": "cross"})
    assert reply == {
        "ok": True,
        "command_id": None,
        "count": 0,
        "sequence": reply["sequence"],
        "duplicate": False,
    }


def test_leverage_of_flat_symbols_is_known_before_the_first_order(desk: FuturesDesk) -> None:
    """What a venue shows of a flat symbol is its leverage: an order reserves by it, not by 1."""
    desk.positions({"symbol": "BTCUSDT", "quantity": "0", "leverage": "20", "margin_mode": "cross"})
    assert desk.order("buy", "1000")["ok"]
    assert desk.balance().locked == D("5100")
    desk.check()


def test_report_of_very_many_positions_is_taken_in_parts(
    desk: FuturesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit fits a frame: what is beyond the bound is adopted with the next report."""
    from oms.handlers import reconciling

    monkeypatch.setattr(reconciling, "MAX_EVENTS", 2)
    specs = [{**SWAP, "symbol": f"S{n}", "base": f"B{n}"} for n in range(3)]
    desk.ask("list_instruments.bybit._.futures._", {"instruments": specs})
    shown = [{"symbol": f"S{n}", "quantity": "1"} for n in range(3)]
    assert [desk.positions(*shown)["count"] for _ in range(3)] == [2, 1, 0]


def test_quantities_come_before_what_is_shown_beside_them(
    desk: FuturesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong quantity does not wait for the next report because the leverage of many flat symbols is new."""
    from oms.handlers import reconciling

    monkeypatch.setattr(reconciling, "MAX_EVENTS", 2)
    specs = [{**SWAP, "symbol": f"S{n}", "base": f"B{n}"} for n in range(3)]
    desk.ask("list_instruments.bybit._.futures._", {"instruments": specs})
    desk.trade("buy", "2", "100")
    flat = {"quantity": "0", "leverage": "20", "margin_mode": "cross"}
    desk.positions(*({"symbol": f"S{n}", **flat} for n in range(3)))
    assert desk.position.quantity == 0


def test_largest_statements_fit_a_frame(desk: FuturesDesk) -> None:
    """However much a connector may say at once, the commit that comes of it stays within what is kept free for it."""
    # 8 digits and 18 places: what a wallet or a position of a market maker needs at most.
    amount = "12345678.123456789012345678"
    bound = _commit_bound("report_balances.bybit.main.spot._")
    assets = [f"TOKEN{n:05}" for n in range(2_000)]
    assert desk.balances(dict.fromkeys(assets, amount))["count"] == 2_002
    assert len(desk.frames[-1]) < bound
    assert desk.balances({})["count"] == 2_000
    assert len(desk.frames[-1]) < bound
    over = desk.balances(dict.fromkeys([*assets, "ONE"], "1"))
    assert over["error"]["code"] == "INVALID_COMMAND"
    symbols = [f"TOKEN{n:05}-USDT" for n in range(1_000)]
    for start in (0, 500):
        specs = [{**SWAP, "symbol": symbol} for symbol in symbols[start : start + 500]]
        desk.ask("list_instruments.bybit._.futures._", {"instruments": specs})
    told = {
        "entry_price": amount,
        "liquidation_price": amount,
        "quantity": "-1234567.125",
        "leverage": "12.5",
    }
    desk.positions(*({"symbol": symbol, "margin_mode": "cross", **told} for symbol in symbols))
    assert len(desk.frames[-1]) < bound


def test_spot_positions_are_not_the_venues_to_tell(desk: FuturesDesk) -> None:
    """What spot trading made is counted here alone: an empty list of positions must not wipe it out."""
    desk.trade("buy", "1", "100", market="spot")
    report = {"session": "s1", "positions": []}
    reply = desk.reply("report_positions.bybit.main.spot._", report)
    assert reply["error"]["code"] == "INVALID_COMMAND"
    assert desk.state.positions["bybit", "main", "spot", "BTCUSDT"].quantity == 1


# -- wallets


def test_markets_of_one_wallet_share_funds(desk: FuturesDesk) -> None:
    """What spot reserves or spends is not free for futures, and the other way round."""
    desk.order("buy", "60", market="spot")
    assert desk.order("buy", "60")["error"]["code"] == "INSUFFICIENT_FUNDS"
    assert desk.order("buy", "30")["ok"]
    assert desk.figures() == amounts("10000", "9003", "0", "997")
    assert set(desk.state.wallets) == {("bybit", "main", "unified")}
    desk.check()


def test_either_session_compares_the_shared_wallet(desk: FuturesDesk) -> None:
    """A total that one market's session has adopted is none that the other finds different."""
    assert desk.balances({"USDT": "12000", "BTC": "1"}, "spot")["count"] == 1
    assert desk.balances({"USDT": "12000", "BTC": "1"}, "futures")["count"] == 0
    assert desk.balance().total == 12000


def test_wallet_of_a_market_with_funds_does_not_change(desk: FuturesDesk) -> None:
    """Funds would be in two places: such a declaration is refused, and the one before stands."""
    reply = desk.declare("futures", wallet="futures")
    assert reply["error"]["code"] == "WALLET_IN_USE"
    assert "main" in reply["error"]["message"]
    assert desk.declare("futures")["count"] == 0
    assert desk.declare("futures", features=[])["count"] == 1


def test_wallet_without_funds_may_change() -> None:
    """Nothing is in the market's own wallet before its first declaration, and nothing in an emptied one."""
    desk = FuturesDesk()
    desk.balances({})
    assert desk.declare("futures", wallet="futures")["count"] == 1
    desk.balances({"USDT": "5"})
    assert desk.state.wallets["bybit", "main", "futures"].balances["USDT"].total == 5
    desk.check()


def test_market_without_a_declaration_has_a_wallet_of_its_own() -> None:
    """Journals of before know no declarations: funds of binance's spot are in ``spot``, as they were."""
    desk = Desk()
    assert set(desk.state.wallets) == {("binance", "main", "spot")}


# -- reconciliation

PLACE = "bybit.main.futures._"
FOUND = {"kind": "balance", "key": "USDT", "expected": "10000", "found": "9999"}


def reconciled(desk: FuturesDesk, **fields: Any) -> dict[str, Any]:
    usual = {
        "session": "s1",
        "started_at": 1,
        "orders": 3,
        "trades": 2,
        "balances": 2,
        "positions": 1,
        "differences": [],
    }
    return desk.reply(f"report_reconciliation.{PLACE}", {**usual, **fields})


def test_reconciliation_is_asked_for_by_its_id(desk: FuturesDesk) -> None:
    """The request goes to the session under its command id, and its answer is recorded once, differences or none."""
    outcome = desk.ask(f"reconcile.{PLACE}", {"command_id": "look"})
    assert outcome.instructions == [(("bybit", "main", "futures"), Reconcile(request_id="look"))]
    assert reconciled(desk, request_id="look")["count"] == 1
    assert reconciled(desk, request_id="look")["count"] == 0
    ledger = desk.state.ledgers["bybit", "main", "futures"]
    assert (ledger.reconciled_at, ledger.reconciled_as, ledger.differences) == (desk.now - 1_000, "look", 0)
    desk.check()


def test_reconciliation_of_its_own_is_recorded_when_something_differed(desk: FuturesDesk) -> None:
    """A session reconciles all the time: only what it finds is news."""
    assert reconciled(desk)["count"] == 0
    assert reconciled(desk, differences=[FOUND], more=4)["count"] == 1
    [event] = desk.last()
    assert (event.request_id, event.differences[0].found, event.more) == ("", "9999", 4)
    assert desk.state.ledgers["bybit", "main", "futures"].differences == 5


def test_reconciliation_needs_a_place_and_a_session(desk: FuturesDesk) -> None:
    """Exchange and market are named, and somebody is there to do it; a stale session reports nothing."""
    ask = {"command_id": "look"}
    assert desk.reply("reconcile._.main.futures._", ask)["error"]["code"] == "SUBJECT_INVALID"
    assert desk.reply("reconcile.bybit.main._._", ask)["error"]["code"] == "SUBJECT_INVALID"
    assert desk.reply("reconcile.okx.main.futures._", ask)["error"]["code"] == "VENUE_DOWN"
    assert reconciled(desk, session="s0")["error"]["code"] == "SESSION_STALE"
    assert desk.reply(f"reconcile.{PLACE}", ask)["ok"]
