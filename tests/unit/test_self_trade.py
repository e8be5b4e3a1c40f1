"""No order of ours is sent while it would trade with another of ours: scenarios as data, and any orders and reports at all.

A row of a scenario is who does what, the state of every order named so far, and what connectors are told::

    actor  action                        | orders                       | instructions

Actors are accounts (``main``, ``sub``, ``alt``) with commands ``place NAME SIDE Q [@P] [IOC|GTD|post|stop]``, ``cancel NAME``,
``cancel_all`` and ``amend NAME Q @P``; ``venue``, with what it says of an order; ``desk``, which sets the mode; ``clock``,
which lets seconds pass as the engine's watch would; and ``engine restart``. ``HELD`` is PENDING_NEW and never sent. GTD orders
are good for 3 seconds. ``!CODE`` is what a command is refused or denied with; a denied order has no state.
"""

import json
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oms.aggregates import image
from oms.aggregates.order import Order
from oms.engine.watch import ANSWER_WITHIN_NS, HELD_AT_MOST_NS, Watch
from oms.handlers.self_trade import MAX_CROSSED
from oms.messages import codec
from oms.messages import events as e
from oms.messages.enums import OrderStatus, OrderType, Side
from oms.messages.instructions import Submit
from tests import strategies as gen
from tests.unit.desk import BTC, SECOND, Desk, check_indexes, check_same

ACCOUNTS: Final = ("main", "sub", "alt")
MODES: Final = ("off", "cancel_incoming", "cancel_resting", "cancel_both")
FUNDS: Final = {"USDT": "100000", "BTC": "1000"}
GOOD_FOR: Final = 3 * SECOND

# fmt: off
SCENARIOS: Final[dict[str, str]] = {
    # -- what is done about it
    "off: both are sent": """
        desk  mode off
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_NEW N=PENDING_NEW  | submit N
    """,
    "cancel_incoming: the new order is denied": """
        desk  mode cancel_incoming
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_NEW                |                     !SELF_TRADE
        sub   place N buy 1 @99.99        | R=PENDING_NEW N=PENDING_NEW  | submit N
    """,
    "cancel_both: the new order is denied, and those that rest are cancelled": """
        desk  mode cancel_both
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        alt   place S sell 1 @101         | R=PENDING_NEW S=PENDING_NEW  | submit S
        sub   place T sell 1 @103         | R=PENDING_NEW S=PENDING_NEW T=PENDING_NEW | submit T
        sub   place N buy 1 @102          | R=PENDING_CANCEL S=PENDING_CANCEL T=PENDING_NEW | cancel R, cancel S  !SELF_TRADE
        venue cancelled R                 | R=CANCELED S=PENDING_CANCEL T=PENDING_NEW |
        sub   place N buy 1 @102          | R=CANCELED S=PENDING_CANCEL T=PENDING_NEW |  !SELF_TRADE
    """,
    "cancel_resting: the new order is sent once the one that rests has ended": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        venue accept R                    | R=NEW                        |
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue cancelled R                 | R=CANCELED N=PENDING_NEW     | submit N
        venue accept N                    | R=CANCELED N=NEW             |
    """,
    "cancel_resting: it waits for every one": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        alt   place S sell 1 @101         | R=PENDING_NEW S=PENDING_NEW  | submit S
        sub   place N buy 1 @101          | R=PENDING_CANCEL S=PENDING_CANCEL N=HELD | cancel R, cancel S
        venue cancelled S                 | R=PENDING_CANCEL S=CANCELED N=HELD       |
        venue fill R 0.5                  | R=PENDING_CANCEL S=CANCELED N=HELD       |
        venue fill R 0.5                  | R=PENDING_CANCEL S=CANCELED N=PENDING_NEW | submit N
        venue cancel-rejected R           | R=FILLED S=CANCELED N=PENDING_NEW        |
    """,
    "a market order takes any": """
        desk  mode cancel_resting
        main  place R buy 1 @90           | R=PENDING_NEW                | submit R
        sub   place N sell 1              | R=PENDING_CANCEL N=HELD      | cancel R
        venue reject R                    | R=REJECTED N=PENDING_NEW     | submit N
    """,
    "an account's own orders are ours too": """
        desk  mode cancel_incoming
        main  place R buy 1 @100          | R=PENDING_NEW                | submit R
        main  place N sell 1 @100         | R=PENDING_NEW                |  !SELF_TRADE
    """,
    "an order that was found at the venue is ours": """
        desk  mode cancel_resting
        venue found R sell 1 @100         | R=NEW                        |
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue cancelled R                 | R=CANCELED N=PENDING_NEW     | submit N
    """,
    # -- what is not looked at
    "a post-only order takes nothing that is at the venue": """
        desk  mode cancel_incoming
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100 post     | R=PENDING_NEW N=PENDING_NEW  | submit N
    """,
    "a post-only order would be taken by one that waits to be sent": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        alt   place P sell 1 @100 post    | R=PENDING_CANCEL N=HELD      |  !SELF_TRADE
    """,
    "a post-only order would be taken by one that is amended to its price": """
        desk  mode cancel_incoming
        main  place R buy 1 @90           | R=PENDING_NEW                | submit R
        venue accept R                    | R=NEW                        |
        main  amend R 1 @100              | R=PENDING_REPLACE            | amend R
        sub   place P sell 1 @101 post    | R=PENDING_REPLACE P=PENDING_NEW | submit P
        sub   place N sell 1 @99 post     | R=PENDING_REPLACE P=PENDING_NEW |  !SELF_TRADE
    """,
    "stop orders are looked at neither as new nor as resting": """
        desk  mode cancel_incoming
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place S buy 1 @100 stop     | R=PENDING_NEW S=PENDING_NEW  | submit S
        main  cancel R                    | R=PENDING_CANCEL S=PENDING_NEW | cancel R
        venue cancelled R                 | R=CANCELED S=PENDING_NEW     |
        main  place N sell 1 @100         | R=CANCELED S=PENDING_NEW N=PENDING_NEW | submit N
    """,
    # -- amends
    "an amend that would cross is refused, and nothing is cancelled": """
        desk  mode cancel_both
        main  place R sell 1 @101         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_NEW N=PENDING_NEW  | submit N
        venue accept N                    | R=PENDING_NEW N=NEW          |
        sub   amend N 1 @101              | R=PENDING_NEW N=NEW          |  !SELF_TRADE
        sub   amend N 1 @100.5            | R=PENDING_NEW N=PENDING_REPLACE | amend N
    """,
    "an amend under way counts at both prices": """
        desk  mode cancel_incoming
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        venue accept R                    | R=NEW                        |
        main  amend R 1 @102              | R=PENDING_REPLACE            | amend R
        sub   place N buy 1 @101          | R=PENDING_REPLACE            |  !SELF_TRADE
        sub   place N buy 1 @99           | R=PENDING_REPLACE N=PENDING_NEW | submit N
        venue amended R                   | R=NEW N=PENDING_NEW          |
        sub   place M buy 1 @101          | R=NEW N=PENDING_NEW M=PENDING_NEW | submit M
    """,
    "an order that has traded in full may live again by its amend: it is waited for, and cannot be cancelled": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        venue accept R                    | R=NEW                        |
        main  amend R 2 @101              | R=PENDING_REPLACE            | amend R
        venue fill R 1                    | R=PENDING_REPLACE            |
        sub   place N buy 1 @101          | R=PENDING_REPLACE N=HELD     |
        venue amend-rejected R            | R=FILLED N=PENDING_NEW       | submit N
    """,
    "once it is off, an order is amended into another": """
        desk  mode off
        main  place R sell 1 @101         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_NEW N=PENDING_NEW  | submit N
        venue accept N                    | R=PENDING_NEW N=NEW          |
        sub   amend N 1 @101              | R=PENDING_NEW N=PENDING_REPLACE | amend N
    """,
    # -- an order that is held
    "cancelled, it ends at once": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        sub   cancel N                    | R=PENDING_CANCEL N=CANCELED  |
        sub   cancel N                    | R=PENDING_CANCEL N=CANCELED  |  !ORDER_FINISHED
        venue cancelled R                 | R=CANCELED N=CANCELED        |
    """,
    "cancelled with all": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        sub   place M buy 1 @90           | R=PENDING_CANCEL N=HELD M=PENDING_NEW | submit M
        sub   cancel_all                  | R=PENDING_CANCEL N=CANCELED M=PENDING_CANCEL | cancel M
    """,
    "it cannot be amended": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        sub   amend N 1 @99               | R=PENDING_CANCEL N=HELD      |  !ORDER_PENDING
    """,
    "nothing waits for it: who would trade with it is denied": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @101          | R=PENDING_CANCEL N=HELD      | cancel R
        alt   place M sell 1 @101         | R=PENDING_CANCEL N=HELD      |  !SELF_TRADE
        alt   place M buy 1 @102          | R=PENDING_CANCEL N=HELD M=HELD |
        venue cancelled R                 | R=CANCELED N=PENDING_NEW M=PENDING_NEW | submit N, submit M
    """,
    "cancel_both cancels it": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @101          | R=PENDING_CANCEL N=HELD      | cancel R
        desk  mode cancel_both
        alt   place M sell 1 @101         | R=PENDING_CANCEL N=CANCELED  |  !SELF_TRADE
    """,
    "it is given up after 5 seconds": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue cancel-rejected R           | R=PENDING_NEW N=HELD         |
        clock 4                           | R=PENDING_NEW N=HELD         |
        clock 2                           | R=PENDING_NEW N=REJECTED     |
        venue cancelled R                 | R=CANCELED N=REJECTED        |
    """,
    "it expires without ever being sent": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100 GTD      | R=PENDING_CANCEL N=HELD      | cancel R
        clock 4                           | R=PENDING_CANCEL N=EXPIRED   |
    """,
    "its time is over as it is freed": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100 GTD      | R=PENDING_CANCEL N=HELD      | cancel R
        clock asleep 4                    | R=PENDING_CANCEL N=HELD      |
        venue cancelled R                 | R=CANCELED N=EXPIRED         |
    """,
    "a restart doubts what waits for the venue, and it goes on being held": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        engine restart                    | R=PENDING_CANCEL? N=HELD     | look_up R
        venue absent R                    | R=REJECTED N=PENDING_NEW     | submit N
    """,
    "in doubt, the one that rests is waited for": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        venue doubt R                     | R=PENDING_NEW?               | look_up R
        sub   place N buy 1 @100          | R=PENDING_CANCEL? N=HELD     | cancel R
        venue cancelled R                 | R=CANCELED N=PENDING_NEW     | submit N
    """,
    "an order that has ended short of trades rests no longer": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue cancelled R cum=0.5         | R=CANCELED? N=PENDING_NEW    | look_up R, submit N
    """,
    "no session is ready to send it": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        sub   close                       | R=PENDING_CANCEL N=HELD      |
        venue cancelled R                 | R=CANCELED N=REJECTED        |
    """,
    "another has come to rest meanwhile that it would trade with": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue found S sell 1 @99          | R=PENDING_CANCEL N=HELD S=NEW |
        venue cancelled R                 | R=CANCELED N=REJECTED S=NEW  |
    """,
    "the venue shows it working: it was sent, whatever is recorded": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue accept N                    | R=PENDING_CANCEL N=NEW       |
        venue cancelled R                 | R=CANCELED N=NEW             |
    """,
    "its answer is lost: it was sent, whatever is recorded, and is not sent again": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue doubt N                     | R=PENDING_CANCEL N=PENDING_NEW? | look_up N
        venue cancelled R                 | R=CANCELED N=PENDING_NEW?    |
        venue absent N                    | R=CANCELED N=REJECTED        |
    """,
    "that it is not at the venue is no news": """
        desk  mode cancel_resting
        main  place R sell 1 @100         | R=PENDING_NEW                | submit R
        sub   place N buy 1 @100          | R=PENDING_CANCEL N=HELD      | cancel R
        venue absent N                    | R=PENDING_CANCEL N=HELD      |
        venue cancelled R                 | R=CANCELED N=PENDING_NEW     | submit N
    """,
}
# fmt: on


class TradingDesk(Desk):
    """Three accounts, one of them with another's blessing, trading one symbol."""

    def __init__(self) -> None:
        super().__init__(ready=False)
        self.list("spot", BTC)
        for account in ACCOUNTS:
            self.register(account, "MAIN" if account == "main" else "SUB")
            self.open(account, "spot", FUNDS)
        self.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "100"}})

    def mode(self, mode: str) -> None:
        reply = self.reply(
            "set_limits._._._._",
            {"command_id": self.next_id(), "scope": "global", "limits": {"self_trade": mode}, "by": "test"},
        )
        assert reply["ok"], reply

    def say(self, account: str, report: dict[str, Any]) -> Any:
        return self.ask(f"report.binance.{account}.spot._", {"session": "s1", "reports": [report]})

    def watch(self) -> list[Any]:
        """What the engine asks of itself now; return every outcome."""
        found, watch = [], Watch(self.state)
        for verb, due in (
            ("release_orders", watch.held_too_long(self.now)),
            ("expire", watch.expired(self.now)),
        ):
            for key, order_ids in due:
                found.append(self.ask(".".join((verb, *key, "_")), {"order_ids": order_ids}))
        return found

    def restart(self) -> list[Any]:
        """The engine goes on from an image, and doubts what the venue owes an answer to; return every outcome."""
        loaded = image.load(image.dump(self.state))
        check_same(self.state, loaded)
        check_indexes(loaded)
        self.state = loaded
        return [
            self.ask(".".join(("doubt", *key, "_")), {"order_ids": order_ids, "reason": "restart"})
            for key, order_ids in Watch(self.state).unanswered_by_account()
        ]


class Runner:
    """Runs the rows of a scenario on a desk."""

    def __init__(self) -> None:
        self.desk = TradingDesk()
        self.ids: dict[str, str] = {}
        self.trades = 0

    def do(self, actor: str, verb: str, words: list[str]) -> list[Any]:
        """Do what a row says; return the outcomes."""
        desk = self.desk
        if (actor, verb) == ("desk", "mode"):
            desk.mode(words[0])
            return []
        if actor == "clock":
            desk.now += int(words[-1] if words else verb) * SECOND
            return [] if verb == "asleep" else desk.watch()
        if (actor, verb) == ("engine", "restart"):
            return desk.restart()
        if actor == "venue":
            return [self._venue(verb, words)]
        if verb == "close":
            return [desk.ask(f"close_session.binance.{actor}.spot._", {"session": "s1", "reason": ""})]
        return [self._client(actor, verb, words)]

    def _client(self, account: str, verb: str, words: list[str]) -> Any:
        payload: dict[str, Any] = {"command_id": self.desk.next_id()}
        place = f"{verb}.binance.{account}.spot.BTCUSDT"
        if verb == "cancel_all":
            return self.desk.ask(place, payload)
        name, *rest = words
        price = next((word[1:] for word in rest if word[0] == "@"), None)
        if verb == "place":
            side, quantity, *_ = rest
            payload |= {"side": side, "quantity": quantity, "type": "market" if price is None else "limit"}
            if "stop" in rest:
                payload |= {"type": "stop_limit", "trigger_price": price}
            if "GTD" in rest:
                payload |= {"time_in_force": "GTD", "expires_at": self.desk.now + GOOD_FOR}
            if "IOC" in rest:
                payload |= {"time_in_force": "IOC"}
            payload |= {"post_only": True} if "post" in rest else {}
        else:
            payload["order_id"] = self.ids[name]
            payload |= {"quantity": rest[0]} if verb == "amend" else {}
        payload |= {} if price is None else {"price": price}
        outcome = self.desk.ask(place, payload)
        if verb == "place" and outcome.reply.ok:
            self.ids[name] = outcome.reply.order_id
        return outcome

    def _venue(self, verb: str, words: list[str]) -> Any:
        name, *rest = words
        price = next((word[1:] for word in rest if word[0] == "@"), "100")
        report: dict[str, Any] = {"report": _REPORTS[verb], "venue_time": 1}
        if verb == "found":
            report |= {"order_id": f"web_{name}", "venue_order_id": name, "symbol": "BTCUSDT", "price": price}
            report |= {"side": rest[0], "quantity": rest[1], "type": "limit"}
            del report["venue_time"]
            self.ids[name] = self.desk.state.order_id()
            return self.desk.say("main", report)
        order = self.desk.state.orders[self.ids[name]]
        report["order_id"] = order.order_id
        cumulative = [word[4:] for word in rest if word.startswith("cum=")]
        report |= {"cumulative": cumulative[0]} if cumulative else {}
        if verb in ("accept", "amended"):
            report["venue_order_id"] = f"v{name}"
        if verb == "amended":
            report["revision"] = 1
        if verb in ("cancelled", "reject", "cancel-rejected", "amend-rejected", "doubt", "absent"):
            report["reason"] = "test"
        if verb in ("doubt", "absent"):
            del report["venue_time"]
        if verb == "fill":
            self.trades += 1
            report |= {"trade_id": f"t{self.trades}", "quantity": rest[0], "price": price, "fee": "0"}
            report |= {"symbol": "BTCUSDT", "side": order.side.value, "fee_asset": "USDT", "maker": False}
        return self.desk.say(order.account, report)

    def stands(self) -> str:
        """The state of every order that has a name."""
        orders = self.desk.state.orders
        return " ".join(f"{name}={_told(orders[order_id])}" for name, order_id in self.ids.items())

    def sent(self, outcomes: list[Any]) -> str:
        """The instructions, in order."""
        names = {order_id: name for name, order_id in self.ids.items()}
        return ", ".join(
            f"{instruction.__struct_config__.tag} {names[instruction.order_id]}"
            for outcome in outcomes
            for _, instruction in outcome.instructions
        )


_REPORTS: Final = {
    "accept": "accepted",
    "reject": "rejected",
    "cancelled": "canceled",
    "cancel-rejected": "cancel_rejected",
    "amended": "amended",
    "fill": "filled",
    "amend-rejected": "amend_rejected",
    "doubt": "in_doubt",
    "absent": "absent",
    "found": "found",
}


def _told(order: Order) -> str:
    return "HELD" if order.awaits else f"{order.status}{'?' if order.in_doubt else ''}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """After every row the orders stand as the table says, what is sent is what it says, and replay comes to the same."""
    runner = Runner()
    desk = runner.desk
    for line in SCENARIOS[name].strip().splitlines():
        step, stands, sent = [*map(str.strip, line.split("|")), "", ""][:3]
        sent, _, code = sent.partition("!")
        actor, verb, *words = step.split()
        outcomes = runner.do(actor, verb, words)
        codes = [outcome.reply.error.code for outcome in outcomes if not outcome.reply.ok]
        assert codes == ([code] if code else []), f"{step}: {outcomes}"
        if stands:
            assert runner.stands() == " ".join(stands.split()), step
        assert runner.sent(outcomes) == sent.strip(), step
        assert not desk.state.holds.free, step
        check_indexes(desk.state)
        check_same(desk.state, desk.replica)


def test_words_of_held_orders_tell_what_happens() -> None:
    """The place of an order that is held names what it awaits, in one commit with the cancels; its end says why."""
    desk = TradingDesk()
    desk.mode("cancel_resting")
    terms = {"type": "limit", "quantity": "1", "price": "100"}
    resting = desk.ask("place.binance.main.spot.BTCUSDT", {"command_id": "r", "side": "sell", **terms})
    outcome = desk.ask("place.binance.sub.spot.BTCUSDT", {"command_id": "n", "side": "buy", **terms})
    asked, placed = outcome.commit.events  # type: ignore[union-attr]
    assert (asked.order_id, asked.reason) == (resting.reply.order_id, "self_trade")  # type: ignore[union-attr]
    assert placed.awaits == (resting.reply.order_id,)  # type: ignore[union-attr]
    assert (outcome.reply.order_id, outcome.reply.status) == (placed.order_id, "PENDING_NEW")  # type: ignore[union-attr]
    held = desk.state.orders[placed.order_id]  # type: ignore[union-attr]
    assert held.reserved == 100
    page = desk.reply("list_live.binance.sub.spot._", {"session": "s1"})
    assert page["orders"] == [], "the venue is asked about an order that it never got"
    ended = [resting.reply.order_id, "nobodys"]  # type: ignore[union-attr]
    assert desk.reply("release_orders._._._._", {"order_ids": ended})["count"] == 0
    desk.now += HELD_AT_MOST_NS
    (given_up,) = desk.watch()
    assert given_up.commit.events == [
        e.OrderRejected(
            order_id=held.order_id, reason="self-trade prevention: an order of ours did not end in time"
        )
    ]
    assert held.reserved == 0
    again = desk.ask("place.binance.sub.spot.BTCUSDT", {"command_id": "n", "side": "buy", **terms})
    assert again.reply.duplicate  # type: ignore[union-attr]


def test_a_cancel_says_that_the_order_is_gone() -> None:
    """Whoever cancels an order that is held, and asks again, hears both times that it is CANCELED."""
    desk = TradingDesk()
    desk.mode("cancel_resting")
    terms = {"type": "limit", "quantity": "1", "price": "100"}
    desk.ask("place.binance.main.spot.BTCUSDT", {"command_id": "r", "side": "sell", **terms})
    placed = desk.reply("place.binance.sub.spot.BTCUSDT", {"command_id": "n", "side": "buy", **terms})
    cancel = {"command_id": "c", "order_id": placed["order_id"]}
    replies = [desk.reply("cancel.binance.sub.spot._", cancel) for _ in range(2)]
    assert [(r["status"], r["order_id"], r["duplicate"]) for r in replies] == [
        ("CANCELED", placed["order_id"], False),
        ("CANCELED", placed["order_id"], True),
    ]


@pytest.mark.parametrize("mode", ["cancel_incoming", "cancel_resting", "cancel_both"])
def test_more_than_can_be_cancelled_at_once_stay(mode: str) -> None:
    """With as many orders as one commit cancels the mode does what it says; with one more the new one is denied, and they stay."""
    desk = TradingDesk()
    desk.mode(mode)
    terms = {"type": "limit", "quantity": "1"}
    for number in range(MAX_CROSSED + 1):
        sell = {"command_id": f"s{number}", "side": "sell", "price": str(100 + number), **terms}
        assert desk.reply("place.binance.main.spot.BTCUSDT", sell)["ok"]

    def buy(price: int) -> tuple[Any, int]:
        payload = {"command_id": f"b{price}", "side": "buy", "price": str(price), **terms}
        outcome = desk.ask("place.binance.sub.spot.BTCUSDT", payload)
        return outcome, sum(order.cancel_requested is not None for order in desk.state.orders.values())

    outcome, asked = buy(100 + MAX_CROSSED)
    assert (outcome.reply.error.code, asked) == ("SELF_TRADE", 0)
    assert "more than 64 orders of ours" in outcome.reply.error.message
    outcome, asked = buy(99 + MAX_CROSSED)
    assert asked == (0 if mode == "cancel_incoming" else MAX_CROSSED)
    assert outcome.reply.ok == (mode == "cancel_resting")
    check_same(desk.state, desk.replica)


def test_awaited_orders_that_nobody_knows_hold_up_nothing() -> None:
    """An order placed to await what is gone, or was never known, is sent in the same commit."""
    desk = TradingDesk()
    placed = _placed(desk, ("nobodys",))
    for state in (desk.state, desk.replica):
        state.evolve(placed, desk.now)
    assert list(desk.state.holds.free) == ["abcdef0000000001"]
    outcome = desk.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "101"}})
    assert [type(event) for event in outcome.commit.events] == [e.MarksRecorded, e.OrderReleased]  # type: ignore[union-attr]
    assert [type(instruction) for _, instruction in outcome.instructions] == [Submit]
    check_same(desk.state, desk.replica)


def _placed(desk: Desk, awaits: tuple[str, ...]) -> e.OrderPlaced:
    return e.OrderPlaced(
        order_id=desk.state.order_id(),
        exchange="binance",
        account="sub",
        market="spot",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        reserve_price=Decimal(100),
        awaits=awaits,
    )


# -- any orders and reports at all

PRICES = gen.decimals("97", "103", 0)
PLACES = st.fixed_dictionaries(
    {"side": gen.SIDES, "quantity": st.sampled_from(["1", "2"])},
    optional={"price": PRICES},
).flatmap(
    lambda terms: (
        st.just({**terms, "type": "market"})
        if "price" not in terms
        else st.sampled_from(
            [
                {**terms, "type": "limit"},
                {**terms, "type": "limit"},
                {**terms, "type": "limit", "time_in_force": "IOC"},
                {**terms, "type": "limit", "time_in_force": "GTD"},
                {**terms, "type": "limit", "post_only": True},
                {**terms, "type": "stop_limit", "trigger_price": terms["price"]},
            ]
        )
    )
)
REPORTS = gen.REPORTS.filter(lambda report: report["report"] != "in_doubt")
PICK = st.integers(0, 40)
SELDOM = st.integers(0, 4).map(lambda drawn: drawn == 4)
ACCOUNT = st.sampled_from(ACCOUNTS)


class Machine(RuleBasedStateMachine):
    """Three accounts on one symbol, in any mode, with any reports; every instruction is looked at as it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = TradingDesk()
        self.current = "off"
        self.submitted: set[str] = set()
        self.held: set[str] = set()
        self.ended: set[str] = set()
        self.unguarded: set[str] = set()
        self.trades = 0
        self.found_there = 0

    def order(self, pick: int) -> Order | None:
        live = [order for order in self.desk.state.orders.values() if order.live]
        known = live if live and pick < 30 else list(self.desk.state.orders.values())
        return known[-1 - pick % len(known)] if known else None

    def ask(self, subject: str, payload: Any) -> Any:
        outcome = self.desk.ask(subject, payload)
        self.see(outcome)
        return outcome

    def see(self, outcome: Any) -> None:
        """Hold every Submit against what rests, and every held order against what becomes of it."""
        state = self.desk.state
        assert not state.holds.free
        for event in [] if outcome.commit is None else outcome.commit.events:
            if isinstance(event, e.OrderPlaced):
                if self.current == "off":
                    self.unguarded.add(event.order_id)
                for awaited in event.awaits:
                    assert awaited not in self.held or awaited in self.submitted, "two wait for each other"
                if event.awaits:
                    self.held.add(event.order_id)
                    assert self.current == "cancel_resting"
        sent = [x.order_id for _, x in outcome.instructions if isinstance(x, Submit)]
        for order_id in sent:
            assert order_id not in self.submitted, "sent twice"
            assert order_id not in self.ended, "sent after it had ended"
            self.submitted.add(order_id)
            if order_id in self.unguarded:
                continue
            order = state.orders[order_id]
            against = [
                other
                for other in state.orders.values()
                if other.side is not order.side and other.may_trade and crosses(order, other)
            ]
            assert not against, f"{order} would trade with {against}"
        for order in state.orders.values():
            if not order.live:
                self.ended.add(order.order_id)

    @initialize(mode=st.sampled_from([*MODES, "cancel_resting", "cancel_resting"]))
    def set_up(self, mode: str) -> None:
        self.desk.mode(mode)
        self.current = mode

    @rule(seldom=SELDOM, mode=st.sampled_from([*MODES, "cancel_resting", "cancel_resting"]))
    def mode(self, seldom: bool, mode: str) -> None:
        if seldom:
            self.set_up(mode)

    @rule(account=ACCOUNT, terms=PLACES, accept=st.booleans())
    def place(self, account: str, terms: dict[str, Any], accept: bool) -> None:
        payload = {"command_id": self.desk.next_id(), **terms}
        if terms.get("time_in_force") == "GTD":
            payload["expires_at"] = self.desk.now + GOOD_FOR
        outcome = self.ask(f"place.binance.{account}.spot.BTCUSDT", payload)
        reply = outcome.reply
        assert reply.order_id == [x.order_id for x in outcome.commit.events if hasattr(x, "strategy")][-1]
        if not reply.ok:
            assert reply.error.code in ("SELF_TRADE", "INSUFFICIENT_FUNDS", "VENUE_DOWN")
            assert reply.error.code != "SELF_TRADE" or self.current != "off"
            return
        if self.current in ("cancel_incoming", "cancel_both"):
            assert not self.desk.state.orders[reply.order_id].awaits
        if accept and reply.order_id in self.submitted:
            report = {"report": "accepted", "venue_order_id": "v", "venue_time": 1}
            self.say(self.desk.state.orders[reply.order_id], report)

    @precondition(lambda self: self.resting())
    @rule(pick=PICK, account=ACCOUNT, terms=PLACES, accept=st.booleans())
    def cross(self, pick: int, account: str, terms: dict[str, Any], accept: bool) -> None:
        """Place an order at the price of one that rests on the other side."""
        resting = self.resting()
        other = resting[-1 - pick % len(resting)]
        terms = {**terms, "side": "sell" if other.side is Side.BUY else "buy"}
        terms |= {"price": f"{other.price:f}"} if "price" in terms else {}
        self.place(account, terms, accept)

    def resting(self) -> list[Order]:
        orders = self.desk.state.orders.values()
        return [order for order in orders if order.may_trade and order.type is OrderType.LIMIT]

    @precondition(lambda self: self.desk.state.holds.since)
    @rule(
        pick=PICK, how=st.sampled_from(["canceled", "canceled", "filled", "expired", "rejected", "accepted"])
    )
    def end_awaited(self, pick: int, how: str) -> None:
        """What a held order waits for comes to an end, or not."""
        orders = self.desk.state.orders
        held = orders[next(iter(self.desk.state.holds.since))]
        awaited = [orders[each] for each in held.awaits if orders[each].may_trade]
        order = awaited[pick % len(awaited)]
        if how == "filled":
            self.trade(order, f"{max(order.leaves, Decimal(1)):f}")
        elif how == "accepted":
            self.say(order, {"report": how, "venue_order_id": "v", "venue_time": 1})
        else:
            revision = order.revision if order.amend is None else order.amend.revision
            self.say(order, {"report": how, "reason": "test", "venue_time": 1, "revision": revision})

    @rule(pick=PICK, quantity=st.sampled_from(["1", "2", "3"]), price=PRICES)
    def amend(self, pick: int, quantity: str, price: str) -> None:
        order = self.order(pick)
        if order is None:
            return
        terms = {"order_id": order.order_id, "quantity": quantity, "price": price}
        outcome = self.ask(
            f"amend.binance.{order.account}.spot._", {"command_id": self.desk.next_id(), **terms}
        )
        assert not (outcome.reply.ok and order.awaits)
        if outcome.reply.ok and self.current != "off" and order.type is OrderType.LIMIT:
            asked = Decimal(price)
            against = [
                other.order_id
                for other in self.desk.state.orders.values()
                if other.side is not order.side
                and other.may_trade
                and asked != order.price
                and crosses(order, other, asked)
            ]
            assert not against

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        order = self.order(pick)
        if order is None:
            return
        held = bool(order.awaits)
        payload = {"command_id": self.desk.next_id(), "order_id": order.order_id}
        outcome = self.ask(f"cancel.binance.{order.account}.spot._", payload)
        assert not held or outcome.reply.status is OrderStatus.CANCELED

    @rule(seldom=SELDOM, account=ACCOUNT)
    def cancel_all(self, seldom: bool, account: str) -> None:
        if not seldom:
            return
        self.ask(f"cancel_all._.{account}._._", {"command_id": self.desk.next_id()})
        orders = self.desk.state.orders.values()
        assert not any(order.awaits for order in orders if order.account == account)

    def say(self, order: Order, *reports: dict[str, Any]) -> None:
        payload = {"session": "s1", "reports": [{**r, "order_id": order.client_id} for r in reports]}
        if order.strategy != "external":
            payload["reports"] = [{**r, "order_id": order.order_id} for r in reports]
        self.ask(f"report.binance.{order.account}.spot._", payload)

    @rule(pick=PICK, reports=st.lists(REPORTS, min_size=1, max_size=3))
    def report(self, pick: int, reports: list[dict[str, Any]]) -> None:
        """Anything about an order, but about one that is held only that it is not there."""
        order = self.order(pick)
        if order is None:
            return
        if self.never_sent(order):
            reports = [{"report": "absent", "reason": "test"}]
        elif len(reports) > 1 or not order.live:
            # Nothing that is done here prevents what an order does that was told to have ended, and lives again.
            reports = [report for report in reports if report["report"] != "accepted"]
        self.say(order, *reports)

    @rule(pick=PICK)
    def doubt(self, pick: int) -> None:
        order = self.order(pick)
        if order is not None and not self.never_sent(order):
            self.say(order, {"report": "in_doubt", "reason": "test"})

    @precondition(lambda self: any(o.cancel_requested or o.amend for o in self.desk.state.orders.values()))
    @rule(pick=PICK, yes=st.booleans())
    def answer(self, pick: int, yes: bool) -> None:
        """The venue answers what was asked."""
        asked = [o for o in self.desk.state.orders.values() if o.cancel_requested or o.amend]
        order = asked[pick % len(asked)]
        timed = {"reason": "test", "venue_time": 1}
        if order.cancel_requested:
            self.say(order, {"report": "canceled" if yes else "cancel_rejected", **timed})
        elif yes:
            amended = {"report": "amended", "venue_order_id": "v2", "venue_time": 1}
            self.say(order, {**amended, "revision": order.amend.revision})  # type: ignore[union-attr]
        else:
            self.say(order, {"report": "amend_rejected", **timed})

    @rule(pick=PICK, quantity=st.sampled_from(["0.5", "1", "2"]))
    def fill(self, pick: int, quantity: str) -> None:
        order = self.order(pick)
        if order is not None and not self.never_sent(order):
            self.trade(order, quantity)

    def never_sent(self, order: Order) -> bool:
        return order.order_id in self.held and order.order_id not in self.submitted

    def trade(self, order: Order, quantity: str) -> None:
        self.trades += 1
        trade = {"trade_id": f"t{self.trades}", "quantity": quantity, "price": "100", "fee": "0"}
        place = {"symbol": "BTCUSDT", "side": order.side.value, "fee_asset": "USDT", "maker": True}
        self.say(order, {"report": "filled", **trade, **place, "venue_time": self.trades})

    @rule(seldom=SELDOM, account=ACCOUNT, side=gen.SIDES, price=PRICES)
    def found(self, seldom: bool, account: str, side: str, price: str) -> None:
        """Somebody has placed an order with the account's keys."""
        if not seldom:
            return
        self.found_there += 1
        terms = {"symbol": "BTCUSDT", "side": side, "type": "limit", "quantity": "1", "price": price}
        name = f"web{self.found_there}"
        report = {"report": "found", "order_id": name, "venue_order_id": name, **terms}
        self.ask(f"report.binance.{account}.spot._", {"session": "s1", "reports": [report]})

    @rule(seldom=SELDOM, account=ACCOUNT, back=st.booleans())
    def reconnect(self, seldom: bool, account: str, back: bool) -> None:
        if not seldom:
            return
        place = f"binance.{account}.spot._"
        self.ask(f"close_session.{place}", {"session": "s1", "reason": ""})
        for ready in (False, True) if back else (False,):
            self.ask(f"open_session.{place}", {"session": "s1", "ready": ready})

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.desk.now += seconds * SECOND
        for outcome in self.desk.watch():
            self.see(outcome)

    @rule(seldom=SELDOM)
    def restart(self, seldom: bool) -> None:
        for outcome in self.desk.restart() if seldom else ():
            self.see(outcome)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """A held order is held, sent or ended; none is sent and then held, and none waits for nothing."""
        state = self.desk.state
        for order_id in self.held:
            order = state.orders.get(order_id)
            if order is not None and order.awaits:
                assert order_id not in self.submitted
                assert order_id not in state.unanswered
                assert any(state.orders[a].may_trade for a in order.awaits if a in state.orders)
            elif order_id not in self.submitted:
                assert order is None or not order.live

    @invariant()
    def replay_agrees(self) -> None:
        check_indexes(self.desk.state)
        check_same(self.desk.state, self.desk.replica)

    def teardown(self) -> None:
        """Six seconds later nothing is held, whatever the venue says."""
        self.desk.now += ANSWER_WITHIN_NS
        for outcome in self.desk.watch():
            self.see(outcome)
        assert not self.desk.state.holds.since
        assert not any(order.awaits for order in self.desk.state.orders.values())
        codec.encode(json.loads(image.dump(self.desk.state)))


def crosses(order: Order, other: Order, price: Decimal | None = None) -> bool:
    """Whether an order, at its own or another price, would trade with one that rests, at either price that this may have."""
    if order.type not in (OrderType.LIMIT, OrderType.MARKET) or other.type is not OrderType.LIMIT:
        return False
    ours = order.price if price is None else price
    theirs = [] if other.amend is None else [other.amend.price]
    if not order.post_only or other.awaits:
        # It takes nothing that is at the venue.
        theirs.append(other.price)
    return any(
        ours is None or (at is not None and (at <= ours if order.side is Side.BUY else at >= ours))
        for at in theirs
    )


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=settings.default.max_examples * 2, stateful_step_count=40)
TestMachine = pytest.mark.timeout(600)(TestMachine)
