"""Orders that are held, and what was stopped meanwhile: they are not sent."""

from typing import Any

import pytest

from oms.aggregates.order import Order
from oms.messages.enums import OrderStatus
from tests.unit.control_desk import ControlDesk
from tests.unit.desk import Desk, check_same

ADA = {"by": "ada", "reason": "audit"}


def said(scope: str, **limits: str) -> dict[str, Any]:
    """A command that sets limits of a scope."""
    return {"command_id": f"set-{scope}-{limits}", "scope": scope, "limits": limits, "by": "ada"}


class Holding(Desk):
    """A desk where a buy of ``sub`` waits for a sale of ``main`` to be gone."""

    def __init__(self) -> None:
        super().__init__()
        self.register("sub", "SUB")
        self.open("sub", "spot", {"USDT": "100000", "BTC": "100"})
        assert self.reply("set_limits._._._._", said("global", self_trade="cancel_resting"))["ok"]
        self.resting = self.place(side="sell", price="50000")["order_id"]
        self.report("accepted", self.resting)
        buy = {"command_id": "n", "side": "buy", "type": "limit", "quantity": "1", "price": "50000"}
        self.held: Order = self.state.orders[self.reply("place.binance.sub.spot.BTCUSDT", buy)["order_id"]]
        assert self.held.awaits

    def free(self) -> list[Any]:
        """The sale is gone; return what connectors are told."""
        gone = {"report": "canceled", "order_id": self.resting, "reason": "", "venue_time": 1}
        told = self.ask("report.binance.main.spot._", {"session": "s1", "reports": [gone]}).instructions
        assert not self.held.awaits
        return told


STOPPED = {
    "the account was disabled": ("disable_account._.sub._._", {"command_id": "d", **ADA}, "ACCOUNT_DISABLED"),
    "the instrument is restricted": (
        "set_limits.binance._.spot.BTCUSDT",
        said("instrument:binance.spot.BTCUSDT", restricted="on"),
        "RESTRICTED",
    ),
    "the account may only reduce": (
        "set_limits._.sub._._",
        said("account:sub", reduce_only="on"),
        "REDUCE_ONLY_MODE",
    ),
}


@pytest.mark.parametrize("name", STOPPED)
def test_what_was_stopped_while_it_was_held_is_not_sent(name: str) -> None:
    """Nothing that a person stopped is sent behind it because it was let through before."""
    desk = Holding()
    subject, command, code = STOPPED[name]
    answer = desk.reply(subject, command)
    assert answer["ok"], answer
    assert not desk.free()
    assert desk.held.base is OrderStatus.REJECTED
    assert desk.held.reason.startswith(f"self-trade prevention: {code} by now: ")
    assert not desk.held.reserved


BY_NOW = {
    "a loss": ("max_daily_loss 1000", "mark 49000", "mark 49000.01", "MAX_DAILY_LOSS"),
    "a drawdown": ("max_drawdown 1000", "mark 49000", "mark 49000.01", "MAX_DRAWDOWN"),
    "executions": ("max_executions 2", "bought 0.1 @49000", "mark 50000", "MAX_EXECUTIONS"),
    "rejects": ("max_rejects 2", "rejected 2", "rejected 1", "MAX_REJECTS"),
    "differences": ("max_differences 2", "differences 3", "differences 2", "MAX_DIFFERENCES"),
    "an old mark": ("max_price_age 3s", "wait 3.000000001s", "wait 3s", "STALE_PRICE"),
    "what cannot be valued": (
        "max_daily_loss 9000",
        "bought 0.1 @49000 fee 1 BNB",
        "mark 50000",
        "NO_VALUATION",
    ),
}
"""What came about while an order was held: a limit of its account, what is beyond it, what is not, and the code."""


class Waiting(ControlDesk):
    """A desk where a buy of ``main``, which has bought a BTC at 50,000, waits for a sale of ``sub`` to be gone."""

    def __init__(
        self, limit: str, order: str = "buy 0.1 @50000", rests: str = "sell 0.1 @50000 on sub"
    ) -> None:
        super().__init__()
        self.limit("global", self_trade="cancel_resting")
        for step in ("bought 1 @50000", f"works {rests}", *filter(None, limit.split("; ")), f"sent {order}"):
            self.step(step)
        self.held: Order = self.state.orders[self.orders[-1]]
        assert self.held.awaits

    def free(self) -> None:
        self.step("gone #2")
        assert not self.held.awaits
        check_same(self.state, self.replica)


@pytest.mark.parametrize("name", BY_NOW)
def test_what_is_beyond_a_limit_by_now_is_not_sent(name: str) -> None:
    """To be sent is to be placed: what came about while an order was held stands against it."""
    limit, beyond, within, code = BY_NOW[name]
    for step, base in ((beyond, OrderStatus.REJECTED), (within, OrderStatus.PENDING_NEW)):
        desk = Waiting(f"limit account {limit}")
        desk.step(step)
        desk.free()
        assert desk.held.base is base, (step, desk.held.reason)
        if base is OrderStatus.REJECTED:
            assert desk.held.reason.startswith(f"self-trade prevention: {code} by now: ")
            assert not desk.held.reserved


def test_what_reduces_is_sent_whatever_was_lost() -> None:
    """A sale of what is held is let through at the limit of a loss, placed or released."""
    desk = Waiting("limit account max_daily_loss 1000", "sell 1 @50000", "buy 0.1 @50000 on sub")
    desk.step("mark 49000")
    desk.free()
    assert desk.held.base is OrderStatus.PENDING_NEW


def test_what_is_held_is_not_held_to_what_it_counts_in_itself() -> None:
    """It was counted when it was placed: it is no second order, message or size beside itself."""
    desk = Waiting(
        "limit account max_open_orders 1; limit account max_messages 2; limit account duplicate_window 60s; "
        "limit account max_exposure 55000; limit account max_position 55000"
    )
    desk.free()
    assert desk.held.base is OrderStatus.PENDING_NEW


def test_an_order_that_is_given_up_tells_how_many_are_left() -> None:
    """Of two that it waited for one is gone."""
    desk = Desk()
    desk.register("sub", "SUB")
    desk.open("sub", "spot", {"USDT": "100000", "BTC": "100"})
    assert desk.reply("set_limits._._._._", said("global", self_trade="cancel_resting"))["ok"]
    one, other = (desk.place(side="sell", price=price)["order_id"] for price in ("50000", "49999"))
    buy = {"command_id": "m", "side": "buy", "type": "limit", "quantity": "1", "price": "50000"}
    waits = desk.state.orders[desk.reply("place.binance.sub.spot.BTCUSDT", buy)["order_id"]]
    assert waits.awaits == (one, other)
    desk.report("canceled", other)
    (event,) = desk.ask("release_orders.binance.sub.spot._", {"order_ids": [waits.order_id]}).commit.events
    assert event.reason == "self-trade prevention: an order of ours did not end in time"


def test_what_nobody_stopped_is_sent() -> None:
    """Other limits of the account change nothing about what was let through."""
    desk = Holding()
    assert desk.reply("set_limits._.sub._._", said("account:sub", max_order_value="10"))["ok"]
    ((key, _),) = desk.free()
    assert key[1] == "sub"
    assert desk.held.base is OrderStatus.PENDING_NEW
