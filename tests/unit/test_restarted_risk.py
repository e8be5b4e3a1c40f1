"""Risk after a restart: what is derived again is what was kept up, whatever was listed, valued, let go or adopted before."""

import json
from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.risk import risk
from oms.handlers.dispatch import handle
from oms.handlers.risk_check import decide_check_risk
from tests.unit.control_desk import ControlDesk
from tests.unit.desk import BTC, Desk, check_same
from tests.unit.futures_desk import SWAP, FuturesDesk
from tests.unit.test_risk_machine import kept


def check_restart(desk: Desk) -> None:
    """Every figure of the state is that of one which is made from its image, and what is due is the same."""
    loaded = image.load(image.dump(desk.state))
    check_same(desk.state, loaded)
    assert kept(loaded) == kept(desk.state)
    with exactly():
        assert decide_check_risk(loaded, desk.now, 0) == decide_check_risk(desk.state, desk.now, 0)


def valued(desk: Desk, asset: str, **by: str) -> dict[str, Any]:
    return desk.reply(
        "set_valuation._._._._", {"command_id": desk.next_id(), "asset": asset, "by": "ann", **by}
    )


def relisted(desk: FuturesDesk, **terms: str) -> dict[str, Any]:
    return desk.reply("list_instruments.bybit._.futures._", {"instruments": [{**SWAP, **terms}]})


def test_an_instrument_that_settles_in_another_asset() -> None:
    """A flat position's profit is in the new asset, and counts in the purse of it."""
    desk = FuturesDesk()
    assert valued(desk, "USDC", rate="0.5")["ok"]
    desk.trade("buy", "10", "100")
    desk.trade("sell", "10", "90")
    assert relisted(desk, settle="USDC")["ok"]
    desk.trade("buy", "10", "100", fee_asset="USDC")
    desk.mark("101")
    check_restart(desk)
    assert desk.state.risk.totals["global"].day == -45


def test_an_instrument_that_prices_another_asset() -> None:
    """A rate is by the base and quote that the instrument has now, not by those that it had when the mark came."""
    desk = Desk()
    assert valued(desk, "BTC", instrument="binance.spot.BTCUSDT")["ok"]
    assert desk.state.risk.rates.of("BTC") == 50_000
    assert desk.list("spot", {**BTC, "base": "XBT"})["ok"]
    assert desk.state.risk.rates.of("BTC") is None
    check_restart(desk)


def test_what_could_not_be_valued_is_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed position whose loss is in an asset without a rate counts once there is one, however many gates were made."""
    desk = FuturesDesk()
    assert relisted(desk, settle="TRY")["ok"]
    desk.trade("buy", "10", "100", fee_asset="TRY")
    desk.trade("sell", "10", "90", fee_asset="TRY")
    monkeypatch.setattr(risk, "MAX_GATES", 1)
    for market in ("spot", "futures"):
        desk.order("buy", "1", market=market)
    assert valued(desk, "TRY", rate="0.1")["ok"]
    check_restart(desk)
    assert desk.state.risk.totals["global"].day == -10


def test_margin_of_what_is_open_is_held_in_the_asset_it_settles_in() -> None:
    """A position that is open when its instrument comes to settle in another asset holds margin of that one alone."""
    desk = FuturesDesk()
    desk.trade("buy", "10", "100")
    assert relisted(desk, settle="USDC")["ok"]
    desk.check()
    check_restart(desk)


def test_an_order_found_at_the_venue_and_amended_counts_among_the_strategies() -> None:
    """How many strategies there may be yet is the same after a restart."""
    desk = Desk()
    desk.declare()
    desk.report("found", "foreign")
    (order_id,) = desk.state.orders
    assert desk.amend(order_id, price="99")["ok"]
    loaded = image.load(image.dump(desk.state))
    assert loaded.risk.trading == desk.state.risk.trading


def test_what_is_worth_the_same_is_written_the_same() -> None:
    """However many zeros the rate was last told with: a transfer's worth, and the text of a denial."""
    desk = ControlDesk()
    desk.command("set_valuation._._._._", asset="USDT", rate="1.00", by="ann")
    desk.limit("global", max_order_value="1000")
    loaded = image.load(image.dump(desk.state))
    for verb, fields in (
        ("transfer.binance.main.spot._", {"to": "sub", "asset": "USDT", "amount": "10", "by": "ann"}),
        (
            "place.binance.main.spot.BTCUSDT",
            {"side": "sell", "type": "limit", "quantity": "1", "price": "50000"},
        ),
    ):
        raw = json.dumps({"command_id": verb, **fields}).encode()
        commits = [handle(state, verb, raw, desk.now, 99).commit for state in (desk.state, loaded)]
        told = [repr([] if commit is None else commit.events) for commit in commits]
        assert told[0] == told[1]
    assert "worth 50000 USD" in told[0]


def test_what_was_valued_cannot_become_unknown() -> None:
    """A loss would no longer count: neither an asset that others are priced by loses its rate, nor one for want of a mark."""
    desk = FuturesDesk()
    assert valued(desk, "BTC", instrument="bybit.spot.BTCUSDT")["ok"]
    spec = {**BTC, "tick": "0.1", "symbol": "USDTTRY", "base": "USDT", "quote": "TRY", "settle": "TRY"}
    assert desk.reply("list_instruments.bybit._.spot._", {"instruments": [spec]})["ok"]
    assert valued(desk, "TRY", rate="0.03")["ok"]
    for instrument in ("bybit.spot.USDTTRY", "bybit.spot.BTCUSDT"):
        assert valued(desk, "USDT", instrument=instrument)["error"]["code"] == "VALUATION_INVALID"
    assert desk.state.risk.rates.of("BTC") == 100
    assert valued(desk, "BTC", rate="100")["ok"]
    assert valued(desk, "USDT", instrument="bybit.spot.USDTTRY")["error"]["code"] == "VALUATION_INVALID"
    assert desk.reply("report_marks.bybit._.spot._", {"marks": {"USDTTRY": "34"}})["ok"]
    assert valued(desk, "USDT", instrument="bybit.spot.USDTTRY")["ok"]
    assert desk.state.risk.rates.of("USDT") == Decimal("1.02")
