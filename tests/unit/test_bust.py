"""A trade that the venue takes back: funds, position and order are as if it had not been, and it is never applied again."""

from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates import image
from oms.aggregates.account import MAX_TRADE_IDS
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.messages.frames import decode_frame
from oms.projections.projections import Projections
from tests.unit.desk import PERP, SECOND, Desk, check_indexes, check_same

KEY = ("binance", "main", "spot")
PLACE = (*KEY, "BTCUSDT")


def bust(desk: Desk, order_id: str, trade: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in trade.items() if name != "maker"}
    return desk.report("busted", order_id, reason="mispriced", **told)


def trade(trade_id: str, quantity: str, price: str, side: str = "buy", **fields: Any) -> dict[str, Any]:
    usual = {"symbol": "BTCUSDT", "fee": "0", "fee_asset": "USDT", "maker": True, "venue_time": 5}
    return {**usual, "trade_id": trade_id, "side": side, "quantity": quantity, "price": price, **fields}


def funds(desk: Desk, key: tuple[str, str, str] = KEY) -> dict[str, Decimal]:
    return {asset: balance.total for asset, balance in desk.state.wallets[key].balances.items()}


@pytest.mark.parametrize("fee_asset", ["BTC", "USDT", "BNB"])
def test_funds_and_position_are_as_before(fee_asset: str) -> None:
    """Base, quote and fee come back exactly, whatever the fee was paid in; what the venue never took has a zero."""
    desk = Desk()
    order_id = desk.place(quantity="3")["order_id"]
    desk.report("filled", order_id, **trade("a", "1", "99.9"))
    before, position = funds(desk), desk.state.positions[PLACE]
    figures = (position.quantity, position.cost, position.realised, position.fees)
    wrong = trade("b", "1.5", "97.3", fee="0.0015", fee_asset=fee_asset)
    desk.report("filled", order_id, **wrong)
    assert funds(desk) != before
    assert bust(desk, order_id, wrong)["count"] == 1
    assert {asset: total for asset, total in funds(desk).items() if total} == before
    # At average cost the bust closes at another price than it was opened at, so that profit and cost differ, and their
    # difference does not.
    assert position.quantity == figures[0]
    assert position.realised - position.cost - position.fees == figures[2] - figures[1] - figures[3]
    assert position.fees == figures[3]
    assert not any(position.other_fees.values())
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)
    check_same(desk.state, image.load(image.dump(desk.state)))


def test_a_contract_gives_back_its_profit_and_its_fee() -> None:
    """Off spot the wallet is as if the trade had not been: profit and fee together."""
    desk = Desk()
    desk.list("perp", PERP)
    desk.open("main", "perp", {"USDT": "10000"})
    desk.ask("report_marks.binance._.perp._", {"marks": {"BTCPERP": "100"}})
    key = ("binance", "main", "perp")

    def report(**fields: Any) -> None:
        told = {"order_id": "outside", "symbol": "BTCPERP", "fee_asset": "USDT", "fee": "0.1", **fields}
        desk.ask("report.binance.main.perp._", {"session": "s1", "reports": [told]})

    opening = {"trade_id": "a", "side": "buy", "quantity": "10", "price": "100", "venue_time": 1}
    closing = {"trade_id": "b", "side": "sell", "quantity": "10", "price": "120", "venue_time": 2}
    report(report="filled", maker=False, **opening)
    before = funds(desk, key)
    report(report="filled", maker=False, **closing)
    assert funds(desk, key)["USDT"] == before["USDT"] + 20 - Decimal("0.1")
    report(report="busted", **closing)
    position = desk.state.positions[*key, "BTCPERP"]
    assert position.quantity == 10
    # Opened again at what it was closed at, which is worth the 20 less.
    assert (position.cost, position.realised) == (120, 20)
    report(report="busted", **opening)
    assert (position.quantity, position.cost) == (0, 0)
    assert (position.realised, position.fees) == (0, 0)
    assert funds(desk, key)["USDT"] == 10_000
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)


def test_a_trade_of_an_order_that_left_the_hot_state_is_undone() -> None:
    """An order that finished long ago is not needed to undo what one of its trades moved."""
    desk = Desk()
    order_id = desk.place(strategy="alpha")["order_id"]
    told = trade("a", "1", "100")
    before = funds(desk)
    desk.report("filled", order_id, **told)
    desk.now += 3_601 * SECOND
    desk.place(quantity="0.1")
    assert order_id in desk.state.retired
    assert bust(desk, order_id, told)["count"] == 1
    assert funds(desk) == before
    assert bust(desk, order_id, told)["count"] == 0
    assert desk.report("filled", order_id, **told)["count"] == 0
    check_same(desk.state, desk.replica)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"trade_id": "never"}, "TRADE_UNKNOWN"),
        ({"side": "sell"}, "SUBJECT_MISMATCH"),
        ({"symbol": "DOGEUSDT"}, "INSTRUMENT_UNKNOWN"),
        ({"quantity": "-1"}, "NOT_POSITIVE"),
        ({"fee": "1", "fee_asset": ""}, "INVALID_COMMAND"),
    ],
    ids=lambda case: case if isinstance(case, str) else next(iter(case)),
)
def test_what_cannot_be_undone_is_refused(change: dict[str, Any], code: str) -> None:
    """A bust of a trade that is not known, or that is not as it was, changes nothing and says why."""
    desk = Desk()
    order_id = desk.place()["order_id"]
    told = trade("a", "1", "100")
    desk.report("filled", order_id, **told)
    before = desk.digest()
    (refused,) = bust(desk, order_id, {**told, **change})["refused"]
    assert refused["error"]["code"] == code
    assert desk.digest() == before


@pytest.mark.parametrize("filled", ["0", "1"])
def test_a_bust_of_more_than_its_order_traded_is_refused(filled: str) -> None:
    """What names another order, or another quantity, than the trade had must not take from an order what it never got."""
    desk = Desk()
    traded, named = (desk.place(quantity="3")["order_id"] for _ in range(2))
    desk.report("accepted", named, venue_order_id="v2", venue_time=1)
    desk.report("filled", traded, **trade("a", "2", "100"))
    if filled != "0":
        desk.report("filled", named, **trade("b", filled, "100"))
    before = desk.digest()
    (refused,) = bust(desk, named, trade("a", "2", "100"))["refused"]
    assert refused["error"]["code"] == "TRADE_UNKNOWN"
    assert desk.digest() == before
    check_indexes(desk.state)


def test_a_bust_of_a_forgotten_trade_is_refused() -> None:
    """When it can no longer be told whether the trade was applied, undoing it is refused, and says so."""
    desk = Desk()
    order_id = desk.place(quantity="3")["order_id"]
    told = trade("a", "1", "100", venue_time=5)
    desk.report("filled", order_id, **told)
    ledger = desk.state.ledgers[KEY]
    for number in range(MAX_TRADE_IDS):
        ledger.remember(f"x{number}", 10)
    (refused,) = bust(desk, order_id, told)["refused"]
    assert refused["error"]["code"] == "FILL_TOO_OLD"


def test_a_bust_is_not_a_later_orders_of_the_same_client_id() -> None:
    """Outside, a client id may be used again: what is undone moves funds, and not the order that has the id now."""
    desk = Desk()
    desk.report("found", "web_1", venue_order_id="v1")
    told = trade("a", "1", "100")
    desk.report("filled", "web_1", **told)
    desk.report("found", "web_1", venue_order_id="v2")
    old, new = desk.state.orders.values()
    before = funds(desk)
    assert bust(desk, "web_1", told)["count"] == 1
    assert funds(desk) != before
    assert (new.status, new.cumulative, old.cumulative) == ("NEW", 0, 1)
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)


def read_models(desk: Desk) -> Projections:
    """The read models of everything that the desk committed."""
    state = Partition()
    models = Projections(state, 100, 10**18)
    with exactly():
        for payload in desk.frames:
            frame = decode_frame(payload)
            for commit in frame.commits:
                for event in commit.events:
                    state.evolve(event, commit.at)
                    models.evolve(event, commit.at, frame.sequence)
                state.finish(commit, frame.sequence)
    return models


def test_read_models_take_it_back() -> None:
    """P&L and trade count are as before, the fill stays told, and the bust is a row of its own."""
    desk = Desk()
    order_id = desk.place(quantity="2", strategy="alpha")["order_id"]
    kept, wrong = trade("a", "1", "100"), trade("b", "1", "90", fee="0.2")
    desk.report("filled", order_id, **kept)
    desk.report("filled", order_id, **wrong)
    bust(desk, order_id, wrong)
    models = read_models(desk)
    ((_, book),) = models.pnl.books.items()
    (day,) = models.pnl.days.values()
    (earned,) = day.values()
    assert (book.quantity, book.fees, earned.trades, earned.fees) == (1, 0, 1, 0)
    assert earned.realised == book.realised
    assert book.realised - book.cost == -100
    told = [(each.fill.trade_id, type(each.fill).__name__) for each in models.trades.newest_first()]
    assert told == [("b", "TradeBusted"), ("b", "OrderFilled"), ("a", "OrderFilled")]
    assert models.orders.by_id[order_id].status == "CANCELED"
    again = Projections(models.partition, 100, 10**18)
    again.load(models.dump())
    assert again.dump() == models.dump()
