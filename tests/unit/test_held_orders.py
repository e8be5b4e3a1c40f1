"""Orders that are held, and what was stopped meanwhile: they are not sent."""

from typing import Any

import pytest

from oms.aggregates.order import Order
from oms.messages.enums import OrderStatus
from tests.unit.desk import Desk

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


def test_what_nobody_stopped_is_sent() -> None:
    """Other limits of the account change nothing about what was let through."""
    desk = Holding()
    assert desk.reply("set_limits._.sub._._", said("account:sub", max_order_value="10"))["ok"]
    ((key, _),) = desk.free()
    assert key[1] == "sub"
    assert desk.held.base is OrderStatus.PENDING_NEW
