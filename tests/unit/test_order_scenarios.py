"""The order scenarios run against the aggregate: commands and reports through the handlers, and what the order is after each.

The table is :mod:`tests.unit.scenarios`. After every row also: position and balance are what the trades say, the funds locked are those of
the table, every index is what a look at all orders finds, and a replica that replays the commits is the same.
"""

import sys
from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates.order import ADOPTED
from tests.unit.desk import BTC, SECOND, START, Desk, check_indexes, check_same
from tests.unit.scenarios import IN_PLACE, REPLACING, SCENARIOS, Row, on_any_wire, rows

_REPORTS = {
    "accept": "accepted",
    "reject": "rejected",
    "cancelled": "canceled",
    "expired": "expired",
    "cancel-rejected": "cancel_rejected",
    "amended": "amended",
    "amend-rejected": "amend_rejected",
    "restated": "restated",
    "doubt": "in_doubt",
    "absent": "absent",
    "finished": "finished",
}
DAY = 86_400 * SECOND
EVERY = {**SCENARIOS, **REPLACING, **{f"{name} (in place)": told for name, told in IN_PLACE.items()}}


class Runner:
    """Runs the rows of one scenario.

    Args:
        features: of the venue; without it the venue has not declared itself.
    """

    def __init__(self, features: list[str] | None) -> None:
        self.desk = Desk()
        if features is not None:
            self.desk.declare(features=features)
        self.order_id = ""
        self.trades: dict[str, dict[str, Any]] = {}
        self.busted: dict[str, dict[str, Any]] = {}
        self.opening = self.btc()
        self.venue_time = 1_000
        self.last: tuple[str, dict[str, Any]] = ("", {})

    def btc(self) -> Decimal:
        return self.desk.state.wallets["binance", "main", "spot"].balance("BTC").total

    def do(self, row: Row) -> list[str]:
        """Do what a row says; return the codes that it was refused with."""
        verb, *words = row.action.split()
        named = dict(word.split("=") for word in words if "=" in word)
        plain = [word for word in words if "=" not in word and word[0] != "@"]
        price = next((word[1:] for word in words if word[0] == "@"), "100")
        self.venue_time += 1
        if row.actor == "client":
            reply = self._command(verb, plain, price if any(w[0] == "@" for w in words) else None)
        elif row.actor == "clock":
            self.desk.now += DAY
            reply = self.desk.reply("expire._._._._", {"order_ids": list(self.desk.state.expiring)})
        elif verb in ("halt", "resume"):
            reply = self.desk.list("spot", {**BTC, "trading": verb == "resume"})
        elif verb in ("fill", "bust"):
            reply = self._trade(verb, plain[0], price, named)
        else:
            reply = self._report(verb, plain, price, named)
        refused = [*([reply] if "error" in reply else []), *reply.get("refused", [])]
        return [each["error"]["code"] for each in refused]

    def _command(self, verb: str, plain: list[str], price: str | None) -> dict[str, Any]:
        if verb == "again":
            subject, payload = self.last
            reply = self.desk.reply(subject, payload)
            assert reply["duplicate"], "a command told again was done again"
            return reply
        payload: dict[str, Any] = {"command_id": self.desk.next_id()}
        if verb in ("place", "another"):
            quantity, *force = [*plain, "GTC"] if verb == "place" else ["1", "GTC"]
            payload |= {"side": "buy", "type": "limit", "quantity": quantity, "price": price or "100"}
            payload |= {"time_in_force": force[0]}
            payload |= {"expires_at": START + DAY} if force[0] == "GTD" else {}
            subject = "place.binance.main.spot.BTCUSDT"
        else:
            subject = f"{verb}.binance.main.spot._"
            payload["order_id"] = "nobodys" if "unknown" in plain else self.order_id
            if verb == "amend":
                payload |= {"quantity": plain[0]} | ({} if price is None else {"price": price})
        reply = self.desk.reply(subject, payload)
        if verb == "place":
            self.order_id = reply["order_id"]
        if reply["ok"]:
            self.last = subject, payload
        return reply

    def _trade(self, verb: str, what: str, price: str, named: dict[str, str]) -> dict[str, Any]:
        trade_id = what if verb == "bust" else named.get("id", f"t{len(self.trades)}")
        if verb == "fill":
            fee = named.get("fee", "0")
            terms = {"quantity": what, "price": price, "fee": fee, "venue_time": self.venue_time}
            if trade_id not in self.busted:
                self.trades.setdefault(trade_id, terms)
        told = self.trades.get(trade_id, self.busted.get(trade_id))
        if verb == "bust" and trade_id in self.trades:
            self.busted[trade_id] = self.trades.pop(trade_id)
        never = {"quantity": "1", "price": "100", "fee": "0", "venue_time": self.venue_time}
        place = {"symbol": "BTCUSDT", "side": "buy", "trade_id": trade_id, "fee_asset": "USDT"}
        told = {**place, **(told or never)}
        if verb == "bust":
            return self.desk.report("busted", self.order_id, **told)
        return self.desk.report("filled", self.order_id, maker=False, **told)

    def _report(self, verb: str, plain: list[str], price: str, named: dict[str, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if verb == "finished":
            fields |= {"cumulative": plain[0]}
        if verb == "restated":
            fields |= {"quantity": plain[0], "price": price}
        fields |= {"revision": int(named["rev"])} if "rev" in named else {}
        fields |= {"cumulative": named["cum"]} if "cum" in named else {}
        if verb not in ("doubt", "absent"):
            # A time that is told is of the table's own clock, before and after which rows go on.
            told = 1_000 + int(named["t"]) if "t" in named else self.venue_time
            self.venue_time = max(self.venue_time, told)
            fields["venue_time"] = told
        return self.desk.report(_REPORTS[verb], self.order_id, **fields)


@pytest.mark.parametrize("name", EVERY)
def test_scenario(name: str) -> None:
    """After every step the order, the funds and the position are what the table says."""
    in_place = name.endswith("(in place)")
    runner = Runner(["post_only", "amend", "amend_in_place"] if in_place else None)
    desk = runner.desk
    for number, row in enumerate(rows(EVERY[name])):
        before = desk.digest()
        codes = runner.do(row)
        where = f"row {number}, {row.action}"
        order = desk.state.orders[runner.order_id]
        locked = desk.locked("USDT")
        was = f"{order.status} {order.quantity:f} {order.cumulative:f} {order.leaves:f} {locked:f}"
        want = [Decimal(text) for text in (row.quantity, row.cumulative, row.leaves, row.locked)]
        have = [order.quantity, order.cumulative, order.leaves, locked]
        assert (order.status, have) == (row.status, want), f"{where}: was {was}"
        assert order.in_doubt == row.in_doubt, where
        assert codes == ([row.code] if row.code else []), where
        if codes and row.action != "another":
            assert desk.digest() == before, f"{where}: what was refused changed something"
        position = desk.state.positions.get(("binance", "main", "spot", "BTCUSDT"))
        held = Decimal(0) if position is None else position.quantity
        assert order.cumulative == held == runner.btc() - runner.opening, where
        trades = runner.trades.values()
        paid = sum((Decimal(t["quantity"]) * Decimal(t["price"]) for t in trades), Decimal(0))
        assert order.cost == paid, where
        fees = sum((Decimal(t["fee"]) for t in trades), Decimal(0))
        assert fees == (Decimal(0) if position is None else position.fees), where
        check_indexes(desk.state)
        check_same(desk.state, desk.replica)


def test_adopted_order_lives_as_ours_do() -> None:
    """An order found at the venue is adopted once, known by its client id there, and cancels, fills and retires."""
    desk = Desk()
    assert desk.report("found", "web_1")["count"] == 1
    assert desk.report("found", "web_1")["count"] == 0
    (order,) = desk.state.orders.values()
    assert (order.status, order.strategy, order.client_id, desk.locked("USDT")) == (
        "NEW",
        ADOPTED,
        "web_1",
        100,
    )
    desk.fill("web_1", "0.4")
    assert (order.status, desk.locked("USDT")) == ("PARTIALLY_FILLED", 60)
    assert desk.cancel(order.order_id)["status"] == "PENDING_CANCEL"
    desk.report("canceled", "web_1")
    assert (order.status, desk.locked("USDT")) == ("CANCELED", 0)
    check_same(desk.state, desk.replica)


def test_client_id_used_again_outside_is_another_order() -> None:
    """A venue lets a client id be used again once its order has ended: the new order is adopted too, and outlives the old."""
    desk = Desk()
    desk.report("found", "web_1", venue_order_id="v1")
    desk.report("canceled", "web_1")
    assert desk.report("found", "web_1", venue_order_id="v1")["count"] == 0
    assert desk.report("found", "web_1", venue_order_id="v2")["count"] == 1
    old, new = desk.state.orders.values()
    desk.report("canceled", "web_1")
    assert (old.status, new.status) == ("CANCELED", "CANCELED")
    assert desk.report("found", "web_1", venue_order_id="v3")["count"] == 1
    desk.now += 3_601 * 10**9
    desk.place()
    assert old.order_id in desk.state.retired
    assert desk.fill("web_1", "1")["count"] == 1
    assert [o.status for o in desk.state.orders.values()] == ["FILLED", "PENDING_NEW"]
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)


def test_revived_gtd_order_expires_after_a_restart_and_without() -> None:
    """A GTD order that lives again after a rejection is still expired in time, the same with and without a restart."""
    desk = Desk()
    order_id = desk.place(time_in_force="GTD", expires_at=desk.now + 10**12)["order_id"]
    desk.report("rejected", order_id)
    assert desk.state.expiring == {}
    desk.report("accepted", order_id)
    assert list(desk.state.expiring) == [order_id]
    check_indexes(desk.state)


def test_amend_that_releases_funds_needs_none() -> None:
    """An amend to less passes even when fills and fees have taken the free balance below zero."""
    desk = Desk()
    order_id = desk.place(quantity="10")["order_id"]
    desk.report("accepted", order_id)
    desk.ask("report_balances.binance.main.spot._", {"session": "s1", "totals": {"USDT": "500"}})
    assert desk.amend(order_id, quantity="9")["ok"]
    assert desk.place()["error"]["code"] == "INSUFFICIENT_FUNDS"


def _long_with_reducing(desk: Desk, held: str, quantity: str) -> str:
    desk.fill(desk.place(quantity=held)["order_id"], held)
    order_id: str = desk.place(side="sell", quantity=quantity, reduce_only=True)["order_id"]
    desk.report("accepted", order_id)
    return order_id


def test_reduce_only_counts_what_an_amend_asks_for() -> None:
    """While an amend would let an order reduce more, no other order may take that part of the position."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "10", "5")
    assert desk.amend(order_id, quantity="10")["ok"]
    other = desk.place(side="sell", quantity="1", reduce_only=True)
    assert other["error"]["code"] == "REDUCE_ONLY"
    desk.report("amend_rejected", order_id)
    assert desk.place(side="sell", quantity="5", reduce_only=True)["ok"]
    check_indexes(desk.state)


def test_reduce_only_order_may_always_ask_for_less() -> None:
    """When the position has shrunk below a reduce-only order, the order may be amended down, and not up."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "10", "8")
    desk.fill("outside", "9", side="sell")
    assert desk.amend(order_id, quantity="9")["error"]["code"] == "REDUCE_ONLY"
    assert desk.amend(order_id, quantity="7")["ok"]


def test_reduce_only_order_never_grows_against_a_turned_position() -> None:
    """When the position has turned, a reduce-only order may not grow: it would open more."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "1", "1")
    desk.fill("outside", "20", side="sell")
    assert desk.amend(order_id, quantity="2")["error"]["code"] == "REDUCE_ONLY"


def test_an_account_that_trades_with_itself_has_both_sides() -> None:
    """A buy that meets the account's own sell is two fills under one trade id, and each counts once."""
    desk = Desk()
    buy, sell = desk.place(side="buy")["order_id"], desk.place(side="sell")["order_id"]
    for _ in range(2):
        desk.fill(buy, "1", trade_id="t1")
        desk.fill(sell, "1", trade_id="t1")
    assert {desk.state.orders[order_id].cumulative for order_id in (buy, sell)} == {Decimal(1)}
    assert desk.state.positions["binance", "main", "spot", "BTCUSDT"].quantity == 0


def test_the_table_holds_every_part_of_the_specification() -> None:
    """Every letter has scenarios, and enough of them are such that a venue can be brought to without a fault."""
    assert {name[0] for name in SCENARIOS} == set("ABEFGHIJKLX")
    assert {name[0] for name in REPLACING} == {name[0] for name in IN_PLACE} == set("CD")
    for table in (SCENARIOS, REPLACING, IN_PLACE):
        assert all(rows(told)[0].action.startswith("place 10 @100") for told in table.values())
        assert sum(on_any_wire(told) for told in table.values()) >= 10


def test_an_order_costs_the_same_however_many_are_open() -> None:
    """A place, its acknowledgement, a fill and a cancel take as many calls beside 2,000 open orders as beside 20."""

    def calls(open_orders: int) -> int:
        desk = Desk()
        for _ in range(open_orders):
            desk.place(quantity="0.1")
        desk.state.digest()
        count = 0

        def see(frame: object, event: str, arg: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(see)
        try:
            order_id = desk.place()["order_id"]
            desk.report("accepted", order_id)
            desk.fill(order_id, "0.5")
            desk.cancel(order_id)
        finally:
            sys.setprofile(None)
        return count

    few, many = calls(20), calls(2_000)
    assert abs(many - few) <= 4, (few, many)
