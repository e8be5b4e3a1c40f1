"""Write the golden journal: one small history in which every event happens. ``python -m tests.golden.make NUMBER``

A golden journal is never written again once a version that wrote such frames is released: it proves that old frames
still decode to the same state. A new or changed event gets a new journal with the next number beside the old ones.
"""

import sys
from pathlib import Path
from typing import Any

from tests.unit.desk import BTC, Desk, declaration

HERE = Path(__file__).parent
TICKS = [["0", "0.1"], ["1000", "1"], ["100000", "50"]]


def history() -> Desk:
    """A history that has every event at least once."""
    desk = Desk()
    desk.register("sub_arb", "SUB")
    desk.ask("declare_key._._._._", {"key_id": "0123456789abcdef", "public_key": "ab" * 32})
    filled = desk.place(quantity="2", price="100.50", strategy="alpha", client_order_id="mine")["order_id"]
    desk.report("accepted", filled)
    desk.fill(filled, "0.5", "100.25", fee="0.0005", fee_asset="BTC")
    desk.fill(filled, "1.5", "100.50", fee="0.01", fee_asset="BNB", maker=True)
    desk.place(quantity="0.0001")
    amended = desk.place(quantity="10", post_only=True)["order_id"]
    desk.report("accepted", amended)
    desk.amend(amended, quantity="12", price="101")
    desk.report("amended", amended)
    desk.amend(amended, quantity="100000", price="103")
    desk.amend(amended, price="102")
    desk.report("amend_rejected", amended, reason="too many", revision=2)
    desk.cancel(amended)
    desk.report("cancel_rejected", amended, reason="busy")
    desk.report("in_doubt", amended)
    desk.report("accepted", amended, revision=1)
    desk.report("found", "web_1")
    dated = desk.place("ETHUSDT", price="3000", time_in_force="GTD", expires_at=desk.now + 10**10)["order_id"]
    desk.ask("expire._._._._", {"order_ids": [dated]})
    desk.report("canceled", dated, cumulative="0")
    rejected = desk.place(type="stop_limit", trigger_price="99", price="98", side="sell")["order_id"]
    desk.report("rejected", rejected, reason="-2010")
    desk.place(type="market", price=None, quantity="0.1", time_in_force="IOC")
    desk.place(side="sell", quantity="1", price="200", reduce_only=True)
    desk.declare()
    desk.place(type="stop_limit", trigger_price="99", price="98", side="sell", time_in_force="FOK")
    corrected = desk.place(quantity="4", strategy="alpha")["order_id"]
    desk.report("accepted", corrected)
    desk.fill(corrected, "1", "99.5", trade_id="wrong", fee="0.001", fee_asset="BTC", venue_time=7)
    wrong = {"trade_id": "wrong", "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "price": "99.5"}
    desk.report("busted", corrected, **wrong, fee="0.001", fee_asset="BTC", venue_time=7, reason="mispriced")
    desk.report("restated", corrected, quantity="3", reason="self_trade_prevention", venue_time=8)
    desk.declare(features=["post_only", "amend", "amend_in_place"])
    desk.amend(corrected, quantity="5", price="97")
    desk.report("restated", corrected, quantity="5", price="97", venue_time=9)
    desk.report("found", "autoclose-1", reason="liquidation", venue_order_id="v77")
    futures(desk)
    controls(desk)
    people(desk)
    desk.ask("cancel_all._.main._._", {"command_id": "all"})
    desk.report("canceled", amended, reason="asked", revision=1)
    desk.ask("close_session.binance.main.spot._", {"session": "s1", "reason": "bye"})
    desk.seal()
    lost = {"first": 900, "last": 901, "head": "cd" * 32, "by": "Ada", "reason": "the disk of host a burnt"}
    desk.ask("accept_loss._._._._", lost)
    desk.seal()
    return desk


def futures(desk: Desk) -> None:
    """Spot and futures in one wallet, positions, funding, terms and a reconciliation."""
    place = "bybit.main.futures._"
    features = ["post_only", "reduce_only", "amend", "amend_in_place", "leverage", "margin_mode", "positions"]
    for market in ("spot", "futures"):
        can = declaration(market, wallet="unified", features=features)
        desk.ask(f"declare_venue.bybit._.{market}._", can)
    desk.ask("list_instruments.bybit._.futures._", {"instruments": [{**BTC, "taker_fee": "0.0006"}]})
    desk.ask("report_marks.bybit._.futures._", {"marks": {"BTCUSDT": "100"}})
    desk.ask(f"open_session.{place}", {"session": "f1", "ready": False})
    desk.ask(f"report_balances.{place}", {"session": "f1", "totals": {"USDT": "1000"}})
    desk.ask(f"open_session.{place}", {"session": "f1", "ready": True})
    terms = {"command_id": "t1", "leverage": "7", "margin_mode": "isolated"}
    desk.ask("set_terms.bybit.main.futures.BTCUSDT", terms)
    desk.ask("set_terms.bybit.main.futures.BTCUSDT", {"command_id": "t2", "leverage": "90"})

    def say(report: str, **fields: Any) -> None:
        told = {"report": report, "symbol": "BTCUSDT", **fields}
        desk.ask(f"report.{place}", {"session": "f1", "reports": [told]})

    say("terms", leverage="7", margin_mode="isolated", venue_time=1)
    desk.ask("set_terms.bybit.main.futures.BTCUSDT", {"command_id": "t3", "leverage": "90"})
    say("terms_refused", reason="110013")
    order = {"side": "sell", "type": "limit", "quantity": "3", "price": "100", "strategy": "carry"}
    opened = desk.reply("place.bybit.main.futures.BTCUSDT", {"command_id": "p1", **order})["order_id"]
    trade = {"order_id": opened, "side": "sell", "quantity": "2", "price": "101", "trade_id": "x1"}
    say("filled", **trade, fee="0.1212", fee_asset="USDT", maker=False, venue_time=2)
    closing = {**order, "side": "buy", "quantity": "1", "price": "95"}
    desk.ask("place.bybit.main.futures.BTCUSDT", {"command_id": "p2", **closing})
    amended = {"command_id": "p3", "order_id": opened, "quantity": "4", "price": "102"}
    say_accepted = {"report": "accepted", "order_id": opened, "venue_order_id": "b1", "venue_time": 3}
    desk.ask(f"report.{place}", {"session": "f1", "reports": [say_accepted]})
    desk.ask("amend.bybit.main.futures._", amended)
    say("funding", funding_id="f1", amount="-0.01", asset="USDT", venue_time=4)
    shown = {"symbol": "BTCUSDT", "quantity": "-2.5", "entry_price": "101.2", "liquidation_price": "115"}
    stated = {**shown, "margin": "40", "leverage": "7", "margin_mode": "isolated"}
    desk.ask(f"report_positions.{place}", {"session": "f1", "positions": [stated]})
    desk.ask(f"reconcile.{place}", {"command_id": "look"})
    difference = {"kind": "position", "key": "BTCUSDT", "expected": "-2", "found": "-2.5"}
    counts = {"orders": 2, "trades": 1, "balances": 1, "positions": 1, "differences": [difference], "more": 1}
    desk.ask(
        f"report_reconciliation.{place}", {"session": "f1", "request_id": "look", "started_at": 5, **counts}
    )
    won = {**BTC, "symbol": "KRW-BTC", "quote": "KRW", "settle": "KRW", "tick": "0.1", "ticks": TICKS}
    desk.ask("list_instruments.upbit._.spot._", {"instruments": [won]})
    found = {"order_id": "web_2", "venue_order_id": "b2", "side": "sell", "type": "limit", "quantity": "1"}
    say("found", **found, price="110")


def controls(desk: Desk) -> None:
    """Limits, overrides, a day, crossings, the kill switch, and an order that waits for one of ours to be gone."""
    by = {"scope": "account:main", "by": "Ada", "reason": "golden"}
    place = "_.main._._"
    desk.ask("check_risk._._._._", {})
    limits = {"max_exposure": "1", "self_trade": "cancel_resting"}
    desk.ask(f"set_limits.{place}", {"command_id": "l1", "limits": limits, **by})
    desk.ask("check_risk._._._._", {})
    until = desk.now + 10**9
    override = {"limits": {"max_exposure": "off"}, "until": until}
    desk.ask(f"override_limits.{place}", {"command_id": "l2", **override, **by})
    value = {"command_id": "v1", "asset": "BNB", "rate": "600", "by": "Ada"}
    desk.ask("set_valuation._._._._", value)
    resting = desk.place(side="sell", price="150", quantity="0.1")["order_id"]
    desk.report("accepted", resting)
    desk.place(price="151", quantity="0.1")
    desk.report("canceled", resting)
    desk.now = until
    desk.ask("check_risk._._._._", {})
    desk.ask(f"kill.{place}", {"command_id": "k1", **by})
    desk.ask(f"release.{place}", {"command_id": "k2", **by})


def people(desk: Desk) -> None:
    """Accounts that are renamed, disabled, enabled and closed, a strategy, transfers, and a client that vanishes."""
    by = {"by": "Ada"}
    desk.register("spare", "STRATEGY")
    desk.ask("rename_account._.spare._._", {"command_id": "a1", "name": "Spare", **by})
    desk.ask("disable_account._.spare._._", {"command_id": "a2", **by})
    desk.ask("enable_account._.spare._._", {"command_id": "a3", **by})
    desk.ask("close_account._.spare._._", {"command_id": "a4", **by})
    desk.ask("assign_strategy._.main._._", {"command_id": "s1", "strategy": "alpha", "capital": "1000", **by})
    desk.declare(features=["post_only", "amend", "transfer"])
    for number, states in enumerate((["done"], ["unknown", "rejected"])):
        move = {"command_id": f"m{number}", "to": "sub_arb", "asset": "USDT", "amount": "10", **by}
        reply = desk.reply("transfer.binance.main.spot._", move)
        for state in states:
            told = {"session": "s1", "transfer_id": reply["transfer_id"], "state": state, "venue_time": 9}
            desk.ask("report_transfer.binance.main.spot._", told)
    too_much = {
        "command_id": "m2",
        "to": "sub_arb",
        "asset": "USDT",
        "amount": "1000000",
        "reason": "golden",
        **by,
    }
    desk.ask("transfer.binance.main.spot._", too_much)
    guard = {"command_id": "g1", "client": "mm1", "timeout_ms": 1000}
    desk.ask("cancel_on_disconnect._.main._._", guard)
    desk.ask("drop_client._.main._._", {"client": "mm1"})


def main(number: int) -> None:
    """Write the journal and the digest of the state that it makes."""
    target = HERE / f"journal-{number}.jsonl"
    if target.exists():
        raise SystemExit(
            f"{target} is there already, and golden: remove it yourself if no release has written such frames"
        )
    desk = history()
    target.write_bytes(b"".join(frame + b"\n" for frame in desk.frames))
    target.with_suffix(".digest").write_text(desk.digest() + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
