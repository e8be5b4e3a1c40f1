"""Any interleaving of orders, amends, fills, cancels, transfers, price moves and limit changes: no limit that was in force when an
order was accepted is exceeded, and running totals are what adding up from scratch gives."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.handlers.place import decide_place
from oms.handlers.risk_check import decide_check_risk
from oms.handlers.target import Target
from oms.messages import codec
from oms.messages.commands import PlaceOrder
from oms.messages.controls import DayRolled, KillSwitchEngaged, Level, LimitCrossed
from oms.messages.enums import OrderType, Side
from oms.messages.events import OrderAmendDenied, OrderDenied, OrderRejected, OrderReleased
from oms.messages.frames import decode_frame
from oms.messages.scopes import parse_scope, scope_tokens
from oms.projections import uses
from oms.projections.accounts import account_rows
from tests import strategies as gen
from tests.unit.desk import BTC, SECOND, Desk, check_indexes, check_same, declaration
from tests.unit.risk_model import ZERO, Asked, Model, Place, Size, Sums, live, may_trade, wide

DAY = 86_400 * SECOND
SPEC = {**BTC, "tick": "0.01", "step": "1", "min_quantity": "0", "min_notional": "0"}
SPOT = [
    SPEC,
    {**SPEC, "symbol": "ETHBTC", "base": "ETH", "quote": "BTC", "settle": "BTC"},
    {**SPEC, "symbol": "BTCTRY", "quote": "TRY", "settle": "TRY"},
    {**SPEC, "symbol": "USDTTRY", "base": "USDT", "quote": "TRY", "settle": "TRY"},
    {**SPEC, "symbol": "BNBUSDT", "base": "BNB"},
]
FUTURES = [
    {**SPEC, "contract_size": "0.1", "taker_fee": "0.001"},
    {**SPEC, "symbol": "ETHUSDC", "base": "ETH", "quote": "USDC", "settle": "USDC"},
]
MARKS = {
    ("binance", "spot", "BTCUSDT"): ["98", "100", "103", "120"],
    ("binance", "spot", "ETHBTC"): ["0.48", "0.5", "0.53"],
    ("binance", "spot", "BTCTRY"): ["2900", "3000", "3100"],
    ("binance", "spot", "USDTTRY"): ["30", "31", "29.97"],
    ("binance", "spot", "BNBUSDT"): ["10", "11"],
    ("bybit", "futures", "BTCUSDT"): ["97", "100", "104", "80"],
    ("bybit", "futures", "ETHUSDC"): ["49", "50", "52"],
}
TRADED: list[Place] = [
    ("binance", "main", "spot", "BTCUSDT"),
    ("binance", "arb", "spot", "BTCUSDT"),
    ("binance", "mm", "spot", "BTCUSDT"),
    ("binance", "arb", "spot", "ETHBTC"),
    ("binance", "main", "spot", "BTCTRY"),
    ("bybit", "arb", "futures", "BTCUSDT"),
    ("bybit", "arb", "futures", "BTCUSDT"),
    ("bybit", "main", "futures", "ETHUSDC"),
]
ACCOUNTS = sorted({place[:3] for place in TRADED})
FUNDS = dict.fromkeys(("USDT", "USDC", "BTC", "ETH", "TRY", "BNB"), "1000000")
VALUES = {
    "max_order_quantity": ["1", "2", "3"],
    "max_order_value": ["50", "100", "206", "300"],
    "price_collar": ["0", "0.05"],
    "period_collar": ["0", "0.05"],
    "max_price_age": ["1s", "10s"],
    "duplicate_window": ["1ms", "1s", "10s"],
    "restricted": ["on"],
    "reduce_only": ["on"],
    "self_trade": ["cancel_incoming", "cancel_resting", "cancel_both"],
    "max_leverage": ["2"],
    "max_margin_ratio": ["0", "0.00002", "0.0001"],
    "min_liquidation_distance": ["0.1"],
    "max_position": ["0", "100", "200", "309", "500"],
    "max_inventory": ["BTC=2", "ETH=3,BTC=0.3"],
    "max_exposure": ["0", "200", "400", "618", "1000"],
    "max_open_orders": ["0", "1", "3"],
    "max_messages": ["0", "1", "3"],
    "max_daily_loss": ["0", "1", "10", "50"],
    "max_drawdown": ["1", "10", "50"],
    "max_executions": ["1", "2"],
    "max_rejects": ["1", "2"],
    "max_differences": ["0", "1"],
    "kill_on": [
        "max_daily_loss,max_drawdown",
        "max_rejects,max_executions,max_differences",
        "max_price_age",
    ],
    "kill_reduce_only": ["on"],
    "main_floor": ["100000", "600000000"],
    "sub_cap": ["50000", "900000000"],
}
OF_SOME = {
    "main_floor": ("global",),
    "sub_cap": ("global",),
    "max_differences": (
        "global",
        "exchange:*",
        "exchange:binance",
        "exchange:bybit",
        "account:*",
        "account:arb",
    ),
}
"""Scopes of controls that are not for all of them."""
SCOPES = (
    "global",
    "exchange:*",
    "exchange:binance",
    "exchange:bybit",
    "account:*",
    "account:main",
    "account:arb",
    "strategy:*",
    "strategy:",
    "strategy:alpha",
    "instrument:*",
    "instrument:binance.spot.BTCUSDT",
    "instrument:bybit.futures.BTCUSDT",
)
KILLABLE = [scope for scope in SCOPES if not scope.endswith("*")]
CONTROLLED = {
    "KILL_SWITCH",
    "RESTRICTED",
    "REDUCE_ONLY_MODE",
    "STRATEGY_ACCOUNT",
    "STRATEGY_UNASSIGNED",
    "NO_REFERENCE_PRICE",
    "NO_VALUATION",
    "STALE_PRICE",
    "MAX_ORDER_QUANTITY",
    "MAX_ORDER_VALUE",
    "PRICE_COLLAR",
    "PERIOD_COLLAR",
    "DUPLICATE_ORDER",
    "MAX_OPEN_ORDERS",
    "MAX_MESSAGES",
    "MAX_EXECUTIONS",
    "MAX_REJECTS",
    "MAX_DIFFERENCES",
    "MAX_DAILY_LOSS",
    "MAX_DRAWDOWN",
    "MAX_LEVERAGE",
    "LIQUIDATION_DISTANCE",
    "MARGIN_RATIO",
    "MAX_POSITION",
    "MAX_INVENTORY",
    "MAX_EXPOSURE",
    "CAPITAL",
}
"""Codes of the controls that the model knows."""
NOT_SAID = "LIMIT_CONTRADICTION"
"""What a limit is refused with here: beside another one."""
ELSE = {
    "SELF_TRADE",
    "VENUE_DOWN",
    "INSUFFICIENT_FUNDS",
    "REDUCE_ONLY",
    "ACCOUNT_DISABLED",
    "INSTRUMENT_HALTED",
    "ORDER_PENDING",
    "ORDER_FINISHED",
    "AMEND_BELOW_FILLED",
    "AMEND_NO_CHANGE",
}
"""What else an order or an amend is refused with here."""
PLACE = st.sampled_from(TRADED)
PICK = st.integers(0, 30)
STRATEGY = st.sampled_from(["", "", "alpha", "beta"])
QUANTITY = st.sampled_from(["1", "1", "2", "3", "5"])
OFF_MARK = st.sampled_from(["1", "1", "0.99", "1.01", "1.04", "1.06", "0.9"])
TYPE = st.sampled_from(["limit", "limit", "limit", "market", "stop_limit", "stop_market"])


def tokens(scope: str) -> str:
    """Where a command about a scope goes."""
    return ".".join(scope_tokens(parse_scope(scope)))


ORDERS = st.lists(
    st.tuples(
        PLACE,
        STRATEGY,
        gen.SIDES,
        TYPE,
        QUANTITY,
        OFF_MARK,
        OFF_MARK,
        st.sampled_from([False, False, False, False, False, True]),
        st.sampled_from(["accepted", "accepted", "filled", "half", ""]),
    ),
    min_size=1,
    max_size=6,
)
"""One order after the other: place, strategy, side, type, quantity, price and trigger against the mark, reduce-only, and what the
venue says."""


AMEND = st.tuples(
    PICK,
    st.none() | st.sampled_from(["1", "2", "4", "8"]),
    st.none() | OFF_MARK,
    st.sampled_from(["amended", "amended", "amend_rejected", ""]),
)
"""Which order, quantity, price against its own, and what the venue says."""


class Machine(RuleBasedStateMachine):
    """A desk of three accounts on two exchanges beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ready=False)
        self.model = Model(self.desk.state)
        for payload in self.desk.frames:
            for commit in decode_frame(payload).commits:
                self.model.take(commit.events, commit.at)
        self.trades: list[tuple[tuple[str, str, str], dict[str, Any]]] = []
        self.focus: list[str] = []
        self.events: list[Any] = []
        self.told: list[str] = []
        self.sessions: set[tuple[str, str, str]] = set(ACCOUNTS)
        self.adopted = 0

    # -- plumbing

    def ask(self, subject: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask, and tell the model what came of it."""
        outcome = self.desk.ask(subject, payload)
        if outcome.commit is not None:
            with exactly():
                self.model.take(outcome.commit.events, outcome.commit.at)
        self.events = [] if outcome.commit is None else list(outcome.commit.events)
        self.told = [type(event).__name__ for event in self.events]
        for event in self.events:
            if isinstance(event, OrderReleased | OrderRejected):
                self.waited(event, outcome.commit.at)
        found: dict[str, Any] = json.loads(codec.encode(outcome.reply))
        return found

    def waited(self, event: OrderReleased | OrderRejected, now: int) -> None:
        """What waited is sent when no control stands against it by now, and only then."""
        order = self.desk.state.orders[event.order_id]
        sent = isinstance(event, OrderReleased)
        by_now = not sent and re.fullmatch("self-trade prevention: ([A-Z_]+) by now: .*", event.reason)
        if not sent and not by_now:
            return
        place = (order.exchange, order.account, order.market, order.symbol)
        asked = Asked(
            place,
            order.strategy,
            order.side.value,
            order.type.value,
            order.quantity,
            order.price,
            order.trigger_price,
            order.reduce_only,
            more=ZERO if sent else order.quantity,
            waited=True,
        )
        with exactly():
            against = self.model.against(asked, now)
        if sent:
            assert not against, event
        elif by_now:
            assert by_now[1] in against | {"ACCOUNT_DISABLED"}, (event, against)

    def command(self, subject: str, **fields: Any) -> dict[str, Any]:
        return self.ask(subject, {"command_id": self.desk.next_id(), **fields})

    def by_ann(self, subject: str, **fields: Any) -> dict[str, Any]:
        return self.command(subject, by="ann", **fields)

    def say(self, key: tuple[str, str, str], *reports: dict[str, Any]) -> dict[str, Any]:
        return self.ask(f"report.{'.'.join(key)}._", {"session": "s1", "reports": list(reports)})

    def order(self, pick: int, *, open_only: bool = True) -> Order | None:
        orders = [o for o in self.desk.state.orders.values() if live(o) or not open_only]
        return orders[-1 - pick % len(orders)] if orders else None

    # -- setting up

    @initialize(
        focus=st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True),
        scopes=st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3),
        pick=PICK,
    )
    def set_up(self, focus: Sequence[str] = (), scopes: Sequence[str] = (), pick: int = 0) -> None:
        """All is off but a few controls, which the limits of this history are about."""
        self.focus = list(focus) or sorted(VALUES)
        for account, kind in (("main", "MAIN"), ("arb", "SUB"), ("mm", "SUB")):
            self.command(f"register_account._.{account}._._", kind=kind)
        features = ["post_only", "reduce_only", "amend", "leverage", "margin_mode", "positions", "transfer"]
        for exchange, market, wallet in (("binance", "spot", "spot"), ("bybit", "futures", "unified")):
            self.ask(
                f"declare_venue.{exchange}._.{market}._",
                declaration(market, features=features, wallet=wallet),
            )
        self.ask("list_instruments.binance._.spot._", {"instruments": SPOT})
        self.ask("list_instruments.bybit._.futures._", {"instruments": FUTURES})
        for key in ACCOUNTS:
            self.open(key)
        for key in (
            ("binance", "spot", "BTCUSDT"),
            ("bybit", "futures", "BTCUSDT"),
            ("bybit", "futures", "ETHUSDC"),
        ):
            self.mark(key, MARKS[key][1])
        for asset, instrument in (("BTC", "BTCUSDT"), ("TRY", "USDTTRY"), ("BNB", "BNBUSDT")):
            assert self.by_ann("set_valuation._._._._", asset=asset, instrument=f"binance.spot.{instrument}")[
                "ok"
            ]
        # Of an instrument that nobody trades: so that orders are remembered for as long as any window lasts.
        self.limits("set_limits", "instrument:binance.spot.USDTTRY", {"duplicate_window": "60s"})
        self.ask("check_risk._._._._", {})
        if pick % 3:
            fields = {"strategy": "alpha", "capital": ["100", "309"][pick % 2]}
            assert self.by_ann("assign_strategy._.arb._._", **fields)["ok"]
        for number, scope in enumerate(scopes):
            self.limit("set", scope, number, pick + number, 0)

    def open(self, key: tuple[str, str, str]) -> None:
        place = f"{'.'.join(key)}._"
        self.ask(f"open_session.{place}", {"session": "s1", "ready": False})
        self.ask(f"report_balances.{place}", {"session": "s1", "totals": FUNDS})
        self.ask(f"open_session.{place}", {"session": "s1", "ready": True})

    def mark(self, key: tuple[str, str, str], mark: str) -> None:
        exchange, market, symbol = key
        assert self.ask(f"report_marks.{exchange}._.{market}._", {"marks": {symbol: mark}})["ok"]

    def limits(self, verb: str, scope: str, values: dict[str, str], **fields: Any) -> dict[str, Any]:
        return self.by_ann(f"{verb}.{tokens(scope)}", scope=scope, limits=values, **fields)

    # -- orders

    def decide(self, asked: Asked, subject: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Ask for an order or an amend: it is accepted when nothing stands against it, and only then."""
        now = self.desk.now + 1_000
        with exactly():
            against = self.model.against(asked, now)
            before, sums = self.model.sizes(), self.model.sums()
        reply = self.command(subject, **fields)
        made = "OrderPlaced" in self.told or "OrderAmendRequested" in self.told
        assert made == reply["ok"]
        with exactly():
            after, totals = self.model.sizes(), self.model.sums()
        if made:
            assert not against, reply
            if "OrderPlaced" not in self.told or not self.desk.state.orders[reply["order_id"]].awaits:
                self.within(asked, before, after, totals, now)
        else:
            code = reply["error"]["code"]
            assert code in against or code in ELSE, (reply, against)
            denied = self.events[-1] if self.events else None
            if isinstance(denied, OrderDenied | OrderAmendDenied):
                assert denied.code == code
            else:
                assert code not in against, "what a control stands against is recorded"
            # What does nothing lets go of nothing but what a cancel of our own ends at once.
            assert "OrderCanceled" in self.told or sums == totals
        return reply

    def within(
        self, asked: Asked, before: dict[Any, Size], after: dict[Any, Size], totals: dict[str, Sums], now: int
    ) -> None:
        """Once it is accepted: what became larger is within every limit that is in force."""
        for key, scopes in (
            (asked.place, wide(asked.place)),
            ((*asked.place, asked.strategy), (f"strategy:{asked.strategy}",)),
        ):
            if after[key].worst <= before.get(key, Size()).worst:
                continue
            for scope in scopes:
                exposure = self.model.limit(scope, "max_exposure", now)
                assert exposure is None or totals[scope].exposure <= Decimal(exposure)
                position = self.model.limit(scope, "max_position", now)
                assert position is None or after[key].value <= Decimal(position)
        for scope in (*wide(asked.place), f"strategy:{asked.strategy}"):
            most = self.model.limit(scope, "max_open_orders", now)
            assert asked.amends or most is None or totals[scope].open_orders <= int(most)

    @rule(orders=ORDERS)
    def orders(self, orders: list[tuple[Any, ...]]) -> None:
        for terms in orders:
            self.place(*terms)
            self.totals_are_recomputed()

    @rule(orders=ORDERS)
    def more_orders(self, orders: list[tuple[Any, ...]]) -> None:
        """Orders are what most of it is about: rules are chosen by their number."""
        Machine.orders(self, orders)

    @rule(orders=ORDERS, amends=st.lists(AMEND, min_size=1, max_size=3))
    def orders_and_amends(self, orders: list[tuple[Any, ...]], amends: list[tuple[Any, ...]]) -> None:
        Machine.orders(self, orders)
        for amend in amends:
            if self.order(0):
                self.amend(*amend)
                self.totals_are_recomputed()

    def place(
        self,
        place: Place,
        strategy: str,
        side: str,
        kind: str,
        quantity: str,
        off: str,
        trigger: str,
        reduce_only: bool,
        then: str,
    ) -> None:
        mark = self.desk.state.instruments[place[0], place[2], place[3]].mark or Decimal(
            MARKS[place[0], place[2], place[3]][1]
        )
        cent = Decimal("0.01")
        price = (mark * Decimal(off)).quantize(cent) if kind in ("limit", "stop_limit") else None
        at = (mark * Decimal(trigger)).quantize(cent) if kind.startswith("stop") else None
        terms = {
            "side": side,
            "type": kind,
            "quantity": quantity,
            "strategy": strategy,
            "reduce_only": reduce_only,
        }
        terms |= {} if price is None else {"price": f"{price:f}"}
        terms |= {} if at is None else {"trigger_price": f"{at:f}"}
        amount = Decimal(quantity)
        asked = Asked(place, strategy, side, kind, amount, price, at, reduce_only, amount)
        with exactly():
            asked = asked._replace(margin=self.model.margin(asked))
        reply = self.decide(asked, f"place.{'.'.join(place)}", terms)
        if not reply["ok"] or not then or place[:3] not in self.sessions:
            return
        told = {"order_id": reply["order_id"], "venue_order_id": "v", "venue_time": 1}
        self.say(place[:3], {"report": "accepted", **told})
        if then != "accepted":
            self.trade(self.desk.state.orders[reply["order_id"]], amount if then == "filled" else amount / 2)

    @precondition(lambda self: self.order(0))
    @rule(terms=AMEND)
    def amends(self, terms: tuple[Any, ...]) -> None:
        self.amend(*terms)

    def amend(self, pick: int, quantity: str | None, off: str | None, then: str) -> None:
        order = self.order(pick)
        assert order is not None
        place = (order.exchange, order.account, order.market, order.symbol)
        price = order.price
        if off is not None and order.price is not None:
            price = (order.price * Decimal(off)).quantize(Decimal("0.01"))
        amount = order.quantity if quantity is None else Decimal(quantity)
        fields = {"order_id": order.order_id}
        fields |= {} if quantity is None else {"quantity": quantity}
        fields |= {} if price == order.price else {"price": f"{price:f}"}
        asked = Asked(
            place,
            order.strategy,
            order.side.value,
            order.type.value,
            amount,
            price,
            order.trigger_price,
            order.reduce_only,
            more=amount - order.cumulative - may_trade(order),
            amends=True,
            lowers=amount < order.quantity and price == order.price,
            traded=order.cumulative,
        )
        with exactly():
            asked = asked._replace(margin=self.model.margin(asked, order))
        reply = self.decide(asked, f"amend.{order.exchange}.{order.account}.{order.market}._", fields)
        if reply["ok"] and then and place[:3] in self.sessions:
            assert order.amend is not None
            told = {
                "report": then,
                "order_id": order.order_id,
                "venue_time": 1,
                "revision": order.amend.revision,
            }
            self.say(
                place[:3], {**told, **({"venue_order_id": "w"} if then == "amended" else {"reason": ""})}
            )

    @precondition(lambda self: self.order(0, open_only=False))
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        """Whatever is killed, restricted or broken: an order that works can be cancelled."""
        if pick == 30:
            assert self.command("cancel_all._.arb._._")["ok"]
            return
        order = self.order(pick, open_only=False)
        assert order is not None
        works = order.working and order.cancel_requested is None
        reply = self.command(
            f"cancel.{order.exchange}.{order.account}.{order.market}._", order_id=order.order_id
        )
        assert reply["ok"] == works, reply
        assert works or reply["error"]["code"] in ("ORDER_FINISHED", "ORDER_PENDING")

    # -- the venue

    def trade(self, order: Order | Place, quantity: Decimal, fee: str = "0", asset: str = "") -> None:
        place = (
            (order.exchange, order.account, order.market, order.symbol) if isinstance(order, Order) else order
        )
        terms = self.desk.state.instruments[place[0], place[2], place[3]]
        trade = {
            "order_id": order.order_id if isinstance(order, Order) else "outside",
            "symbol": place[3],
            "side": order.side.value if isinstance(order, Order) else ("buy" if quantity > 0 else "sell"),
            "trade_id": f"t{len(self.trades)}",
            "quantity": f"{abs(quantity):f}",
            "price": f"{terms.mark or Decimal(MARKS[place[0], place[2], place[3]][1]):f}",
            "fee": fee,
            "fee_asset": {"base": terms.base, "settle": terms.settle}.get(asset, "BNB"),
            "venue_time": len(self.trades),
        }
        if place[:3] not in self.sessions:
            return
        assert self.say(place[:3], {"report": "filled", "maker": False, **trade})["count"] == 1
        self.trades.append((place[:3], trade))

    @precondition(lambda self: self.order(0, open_only=False))
    @rule(
        pick=PICK,
        part=st.sampled_from(["all", "all", "half", "more"]),
        open_only=st.sampled_from([True, True, False]),
        fee=gen.decimals("-0.01", "0.05", 3),
        asset=st.sampled_from(["base", "settle", "BNB"]),
    )
    def fill(self, pick: int, part: str, open_only: bool, fee: str, asset: str) -> None:
        order = self.order(pick, open_only=open_only)
        if order is not None:
            leaves = order.quantity - order.cumulative
            amount = {"all": leaves, "half": leaves / 2, "more": leaves + 1}[part]
            if amount > 0:
                self.trade(order, amount, fee, asset)

    @rule(
        place=PLACE,
        quantity=st.sampled_from(["1", "-1", "2.5", "-3"]),
        asset=st.sampled_from(["settle", "BNB"]),
    )
    def trade_outside(self, place: Place, quantity: str, asset: str) -> None:
        """A trade of an order that nobody knows."""
        self.trade(place, Decimal(quantity), "0.01", asset)

    @precondition(lambda self: self.trades)
    @rule(pick=PICK)
    def bust(self, pick: int) -> None:
        """A trade is taken back; one that was taken back already is not."""
        key, trade = self.trades[-1 - pick % len(self.trades)]
        if key in self.sessions:
            self.say(key, {"report": "busted", **trade})

    @precondition(lambda self: self.order(0, open_only=False))
    @rule(
        pick=PICK,
        kind=st.sampled_from(
            [
                "accepted",
                "canceled",
                "rejected",
                "expired",
                "cancel_rejected",
                "amend_rejected",
                "in_doubt",
                "in_doubt",
                "absent",
            ]
        ),
    )
    def report(self, pick: int, kind: str) -> None:
        order = self.order(pick, open_only=bool(pick % 5))
        if order is None or (order.exchange, order.account, order.market) not in self.sessions:
            return
        told: dict[str, Any] = {"report": kind, "order_id": order.order_id}
        told |= {"venue_order_id": "v"} if kind == "accepted" else {"reason": "r"}
        told |= {} if kind in ("in_doubt", "absent") else {"venue_time": 1}
        told |= (
            {"revision": order.revision}
            if kind in ("accepted", "canceled", "rejected", "expired", "absent")
            else {}
        )
        if kind in ("canceled", "expired") and pick % 2:
            # It has traded more than we know: in doubt until the trades are told.
            told["cumulative"] = f"{order.cumulative + 1:f}"
        self.say((order.exchange, order.account, order.market), told)

    @precondition(lambda self: self.desk.state.unanswered or self.desk.state.holds.since)
    @rule()
    def doubt(self) -> None:
        """The venue has not answered in time, and what was held for others is given up."""
        self.ask("doubt._._._._", {"order_ids": list(self.desk.state.unanswered), "reason": "slow"})
        self.ask("release_orders._._._._", {"order_ids": list(self.desk.state.holds.since)})

    @rule(place=PLACE, side=gen.SIDES, quantity=QUANTITY)
    def found(self, place: Place, side: str, quantity: str) -> None:
        """An order turns up at the venue that is not ours."""
        self.adopted += 1
        told = {"order_id": f"web{self.adopted}", "venue_order_id": "x", "symbol": place[3], "side": side}
        if place[:3] in self.sessions:
            self.say(
                place[:3], {"report": "found", **told, "type": "limit", "quantity": quantity, "price": "7"}
            )

    @rule(
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDC"]),
        quantity=st.sampled_from(["-3", "0", "2"]),
        liquidation=st.none() | st.sampled_from(["45", "95"]),
        leverage=st.sampled_from(["1", "3"]),
    )
    def positions(self, symbol: str, quantity: str, liquidation: str | None, leverage: str) -> None:
        """The venue shows what it holds for an account: what it does not name is flat there."""
        account = "arb" if symbol == "BTCUSDT" else "main"
        if ("bybit", account, "futures") not in self.sessions:
            return
        spec = {"symbol": symbol, "quantity": quantity, "leverage": leverage}
        spec |= {} if liquidation is None else {"liquidation_price": liquidation}
        self.ask(f"report_positions.bybit.{account}.futures._", {"session": "s1", "positions": [spec]})

    @rule(key=st.sampled_from(ACCOUNTS), differences=st.sampled_from([0, 1, 3]))
    def reconciled(self, key: tuple[str, str, str], differences: int) -> None:
        found = [{"kind": "order", "key": "o", "expected": "1", "found": "2"}] * differences
        compared = {"orders": 1, "trades": 1, "balances": 1, "positions": 1}
        asked = self.desk.next_id()
        told = {"session": "s1", "request_id": asked, "started_at": 1, "differences": found, **compared}
        self.ask(f"report_reconciliation.{'.'.join(key)}._", told)

    @rule(key=st.sampled_from(ACCOUNTS), back=st.booleans())
    def session(self, key: tuple[str, str, str], back: bool) -> None:
        """A session is lost, and opened again before anything else is asked of it."""
        if key in self.sessions:
            self.ask(f"close_session.{'.'.join(key)}._", {"session": "s1", "reason": "bye"})
            self.sessions.remove(key)
        if back:
            self.open(key)
            self.sessions.add(key)

    # -- prices, time, the desk

    @rule(key=st.sampled_from(list(MARKS)), pick=PICK)
    def price(self, key: tuple[str, str, str], pick: int) -> None:
        self.mark(key, MARKS[key][pick % len(MARKS[key])])

    @rule(
        asset=st.sampled_from(["USDT", "USDC"]),
        rate=st.sampled_from(["1", "0.9", "2"]),
        size=st.sampled_from(["0.1", "0.2"]),
        trading=st.sampled_from([True, True, False]),
    )
    def revalue(self, asset: str, rate: str, size: str, trading: bool) -> None:
        """An asset is worth something else, and a contract is of another size."""
        assert self.by_ann("set_valuation._._._._", asset=asset, rate=rate)["ok"]
        spec = {**FUTURES[0], "contract_size": size, "trading": trading}
        assert self.ask("list_instruments.bybit._.futures._", {"instruments": [spec]})["ok"]

    @rule(seconds=st.sampled_from([Decimal("0.4"), Decimal("0.95"), 1, 10, 59, 400]))
    def wait(self, seconds: Decimal) -> None:
        self.desk.now += int(seconds * SECOND)

    @rule(day=st.sampled_from([False, False, True]))
    def check_risk(self, day: bool) -> None:
        """The day rolls, overrides end, kill switches engage by themselves; whatever is broken where that kills is killed."""
        self.desk.now += DAY if day else 0
        self.ask("check_risk._._._._", {})
        if "DayRolled" in self.told:
            self.ask("check_risk._._._._", {})
        now = self.desk.now
        with exactly():
            sums, stale = self.model.sums(), self.model.stale(now)
        killed = {
            e.scope for e in self.events if isinstance(e, KillSwitchEngaged) and e.cause == "max_price_age"
        }
        assert killed <= stale
        for scope in KILLABLE:
            causes = (self.model.limit(scope, "kill_on", now) or "").split(",")
            assert "max_price_age" not in causes or scope not in stale or scope in self.model.latches
            loss = self.model.limit(scope, "max_daily_loss", now)
            if "max_daily_loss" in causes and loss is not None and 0 < -sums[scope].day >= Decimal(loss):
                assert scope in self.model.latches

    @invariant()
    def positions_and_capital_are_told_of(self) -> None:
        """Every position, and every strategy's exposure, that is beyond its limit or near to it has been told of, or is as soon as
        somebody looks; and what is told then is so."""
        now = self.desk.now
        with exactly():
            watched = self.model.watched(now)
            found = decide_check_risk(self.desk.state, now, 0)
        if any(isinstance(each, DayRolled) for each in found):
            return
        crossed = {
            (each.scope, each.control, each.position): each
            for each in found
            if isinstance(each, LimitCrossed) and (each.position or each.control == "capital")
        }
        for key, (used, limit) in watched.items():
            told = crossed.get(key, self.model.crossed.get(key))
            if used > limit:
                assert told is not None, key
                assert told.level is Level.BREACHED
            elif used and used >= limit * Decimal("0.8"):
                assert told is not None, key
                assert told.level is not Level.CLEAR
        for key, event in crossed.items():
            if key not in watched:
                assert (event.level, event.limit) == (Level.CLEAR, None)
                continue
            used, limit = watched[key]
            assert (event.used, event.limit) == (used, limit)
            if event.level is Level.CLEAR:
                assert not used or used < limit * Decimal("0.75")
            else:
                assert used >= limit * Decimal("0.8")
                assert (used > limit) is (event.level is Level.BREACHED)

    @rule(
        verb=st.sampled_from(["set", "set", "set", "override", "clear", "end"]),
        scope=st.sampled_from(SCOPES),
        control=PICK,
        value=PICK,
        seconds=st.sampled_from([1, 5, 300]),
    )
    def limit(self, verb: str, scope: str, control: int, value: int, seconds: int) -> None:
        """A limit is set, overridden for a while, or taken back, so that what stands above it holds again."""
        if verb in ("set", "override"):
            name = self.focus[control % len(self.focus)]
            if scope not in OF_SOME.get(name, SCOPES):
                scope = "global"
            values = {name: [*VALUES[name], "off"][value % (len(VALUES[name]) + 1)]}
            if name == "kill_on" and value % 3:
                # What it names has to be limited, with which it is said in one.
                said = self.model.said[scope]
                causes = [each for each in values[name].split(",") if each in VALUES and each not in said]
                values |= {each: VALUES[each][-1] for each in causes if scope in OF_SOME.get(each, SCOPES)}
            more = {"until": self.desk.now + seconds * SECOND} if verb == "override" else {}
            mutes = self.model.mutes(scope, values)
            reply = self.limits("set_limits" if verb == "set" else "override_limits", scope, values, **more)
            assert reply["ok"] or reply["error"]["code"] == NOT_SAID, reply
            assert not (reply["ok"] and mutes), reply
            return
        if verb == "clear":
            own = [(s, name) for s, said in self.model.said.items() for name in said if s in SCOPES[1:]]
        else:
            own = list(self.model.overrides)
        if own:
            scope, name = own[control % len(own)]
            fields = {"clear": [name]} if verb == "clear" else {"controls": [name]}
            asked = "set_limits" if verb == "clear" else "end_override"
            mutes = verb == "clear" and self.model.mutes(scope, {}, name)
            assert self.by_ann(f"{asked}.{tokens(scope)}", scope=scope, **fields)["ok"] is not mutes

    @rule(
        scope=st.sampled_from(KILLABLE), reducing=st.sampled_from([True, True, False]), release=st.booleans()
    )
    def latch(self, scope: str, reducing: bool, release: bool) -> None:
        """A kill switch is thrown; or all are released."""
        if release:
            for latched in list(self.model.latches):
                assert self.by_ann(f"release.{tokens(latched)}", scope=latched)["ok"]
            return
        assert self.by_ann(f"kill.{tokens(scope)}", scope=scope, allow_reduce_only=reducing)["ok"]

    @rule(
        strategy=st.sampled_from(["alpha", "beta"]),
        account=st.sampled_from(["main", "arb"]),
        capital=st.none() | st.sampled_from(["100", "309", "1000"]),
        mode=st.sampled_from(["allow", "allow", "deny"]),
    )
    def assign(self, strategy: str, account: str, capital: str | None, mode: str) -> None:
        assert self.limits("set_limits", "global", {"unassigned_strategies": mode})["ok"]
        self.by_ann(f"assign_strategy._.{account}._._", strategy=strategy, capital=capital)

    @rule(
        scope=st.sampled_from(SCOPES),
        control=PICK,
        value=PICK,
        strategy=st.sampled_from(["alpha", "beta"]),
    )
    def start(self, scope: str, control: int, value: int, strategy: str) -> None:
        """The engine starts again: what nobody ever spoke of is taken from its file, and what was taken away is not."""
        name = self.focus[control % len(self.focus)]
        if scope not in OF_SOME.get(name, SCOPES):
            return
        new = [each for each in (scope, strategy) if each not in self.model.spoken]
        limits = {scope: {name: VALUES[name][value % len(VALUES[name])]}}
        file = {"limits": limits, "valuations": {}, "strategies": {strategy: ["arb", "309"]}}
        assert self.ask("begin_controls._._._._", file)["count"] == len(new)
        assert [getattr(event, "strategy", "") or getattr(event, "scope", "") for event in self.events] == new

    @rule(
        back=st.booleans(),
        asset=st.sampled_from(["USDT", "BTC"]),
        then=st.sampled_from(["done", "rejected", "unknown", ""]),
    )
    def transfer(self, back: bool, asset: str, then: str) -> None:
        """Funds go to another account: exposure is what it was, and floor and cap hold, what is on its way counted."""
        source, target = ("arb", "main") if back else ("main", "arb")
        fields = {"to": target, "asset": asset, "amount": "5"}
        before = self.exposure()
        reply = self.by_ann(f"transfer.binance.{source}.spot._", **fields)
        if reply["ok"] and not back:
            with exactly():
                self.floor_and_cap()
        if reply["ok"] and then and ("binance", "main", "spot") in self.sessions:
            told = {"session": "s1", "transfer_id": reply["transfer_id"], "state": then}
            assert self.ask("report_transfer.binance.main.spot._", told)["count"] == 1
        assert self.exposure() == before

    def exposure(self) -> dict[str, Decimal]:
        return {scope: totals.exposure for scope, totals in self.desk.state.risk.totals.items()}

    def floor_and_cap(self) -> None:
        now = self.desk.now
        floor = self.model.limit("global", "main_floor", now)
        cap = self.model.limit("global", "sub_cap", now)
        worth = {"main": ZERO, "arb": ZERO}
        for wallet in self.desk.state.wallets.values():
            for asset, balance in wallet.balances.items():
                rate = self.model.fresh_rate(asset, now)
                if wallet.account in worth:
                    assert rate is not None or not balance.total or cap is None or wallet.account != "arb"
                    worth[wallet.account] += balance.total * (rate or ZERO)
        for transfer in self.desk.state.transfers_under_way.values():
            amount = transfer.amount * (self.model.fresh_rate(transfer.asset, now) or ZERO)
            worth["main"] -= amount if transfer.account == "main" else ZERO
            worth["arb"] += amount if transfer.to == "arb" else ZERO
        if floor is not None:
            lost = self.model.open_losses("main", now)
            assert lost is not None
            assert worth["main"] + lost >= Decimal(floor)
        assert cap is None or worth["arb"] <= Decimal(cap)

    # -- the engine itself

    @rule()
    def restart(self) -> None:
        """The engine goes on from an image of its state: every figure is what it was, and so is what would become of orders."""
        state = self.desk.state
        loaded = image.load(image.dump(state))
        check_same(state, loaded)
        assert kept(loaded) == kept(state)
        with exactly():
            for then, before in zip(probed(loaded, self.desk.now), probed(state, self.desk.now), strict=True):
                assert then == before
            # Of a scope in which nothing ever happened there may be no row any more.
            assert shown(loaded, self.desk.now).items() <= shown(state, self.desk.now).items()
        self.desk.state = self.model.state = loaded

    # -- what must hold

    @invariant()
    def totals_are_recomputed(self) -> None:
        """By the model, for every scope and every position."""
        risk = self.desk.state.risk
        with exactly():
            sizes, sums = self.model.sizes(), self.model.sums()
        for scope in {*risk.totals, *sums, *self.model.past}:
            found, past = sums.get(scope, Sums()), self.model.past[scope]
            totals = risk.total(scope)
            assert (totals.exposure, totals.unvalued, totals.open_orders, totals.day) == (
                found.exposure,
                found.unvalued,
                found.open_orders,
                found.day,
            ), scope
            assert (totals.carried, totals.peak) == (past.carried, past.peak), scope
            assert sum(totals.differences.values()) == sum(past.differences.values()), scope
        for key in {*risk.leaves.by_place, *risk.leaves.by_book, *sizes}:
            leaf = risk.leaves.by_place.get(key) if len(key) == 4 else risk.leaves.by_book.get(key)
            if leaf is None:
                assert sizes[key] in (Size(), Size(unit=sizes[key].unit))
                continue
            told = Size(leaf.buys, leaf.sells, leaf.worst, leaf.unit, leaf.value, leaf.unvalued, leaf.day)
            assert told == sizes.get(key, Size(unit=leaf.unit)), key

    @invariant()
    def replay_agrees(self) -> None:
        check_indexes(self.desk.state)
        check_same(self.desk.state, self.desk.replica)
        assert kept(self.desk.replica) == kept(self.desk.state)

    def teardown(self) -> None:
        loaded = image.load(image.dump(self.desk.state))
        check_same(self.desk.state, loaded)
        assert kept(loaded) == kept(self.desk.state)


FIGURES = (
    "exposure",
    "unvalued",
    "open_orders",
    "day",
    "carried",
    "peak",
    "messages",
    "executions",
    "rejects",
    "differences",
    "told",
)


def kept(state: Partition) -> dict[str, Any]:
    """Every figure that risk keeps up, where there is anything in it."""
    found: dict[str, Any] = {}
    for scope, totals in state.risk.totals.items():
        figures = [getattr(totals, name) for name in FIGURES]
        if any(figures):
            found[scope] = figures
    for leaf in (*state.risk.leaves.by_place.values(), *state.risk.leaves.by_book.values()):
        if not leaf.idle:
            found[leaf.name] = (
                leaf.buys,
                leaf.sells,
                leaf.worst,
                leaf.unit,
                leaf.value,
                leaf.day,
                leaf.orders,
                leaf.unrealised,
            )
    found |= {"day": state.risk.day, "recent": list(state.risk.recent.items())}
    found["rates"] = {asset: rate for asset, rate in state.risk.rates.known.items() if rate is not None}
    found["purses"] = {
        key: (purse.unrealised, purse.leaving)
        for key, purse in state.risk.leaves.purses.items()
        if purse.unrealised or purse.leaving
    }
    return found


def shown(state: Partition, now: int) -> dict[Any, str]:
    """Uses of limits, and accounts, as they are written."""
    limits = {(each.scope, each.control): repr(each) for each in uses.rows(state, now)}
    return limits | {each.account: repr(each) for each in account_rows(state, state.accounts)}


PROBES = [
    PlaceOrder(
        command_id="p",
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        strategy=strategy,
    )
    for side in Side
    for quantity, price in (("1", "100"), ("4", "0.5"))
    for strategy in ("", "alpha", "beta")
]
"""Orders that are decided, and not placed."""


def probed(state: Partition, now: int) -> list[Any]:
    """What would be recorded of the probes everywhere, and of what is due, as it is written."""
    found = [decide_place(state, Target(*place), probe, now) for place in TRADED for probe in PROBES]
    return [repr(events) for events in (*found, decide_check_risk(state, now, 0))]


TestMachine = Machine.TestCase
# Half as many examples as others have: one takes a quarter of a second.
TestMachine.settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=40)
TestMachine = pytest.mark.timeout(600)(TestMachine)


def started() -> Machine:
    machine = Machine()
    machine.set_up()
    return machine


BTCUSDT: Place = ("binance", "main", "spot", "BTCUSDT")
ETHBTC: Place = ("binance", "arb", "spot", "ETHBTC")
ORDER: dict[str, Any] = {
    "strategy": "",
    "side": "buy",
    "kind": "limit",
    "quantity": "1",
    "off": "1",
    "trigger": "1",
}
ORDER |= {"reduce_only": False, "then": "accepted"}


def test_a_stop_order_that_triggers_at_once_is_worth_the_mark() -> None:
    """A buy at the market with its trigger below the mark trades at the mark, and is held to its value by that."""
    machine = started()
    machine.limits("set_limits", "global", {"max_order_value": "99"})
    machine.place(BTCUSDT, **{**ORDER, "kind": "stop_market", "trigger": "0.9"})
    assert machine.told == ["OrderDenied"]
    assert machine.events[0].code == "MAX_ORDER_VALUE"
    machine.place(BTCUSDT, **{**ORDER, "kind": "stop_limit", "trigger": "0.9", "off": "0.9"})
    assert "OrderAccepted" in machine.told


def test_what_is_recorded_does_not_depend_on_a_restart() -> None:
    """A sum has more places when its parts came and went: whoever decides again, from an image or not, writes the same."""
    machine = started()
    machine.price(("binance", "spot", "ETHBTC"), 1)
    machine.place(BTCUSDT, **ORDER)
    machine.place(ETHBTC, **{**ORDER, "then": "half"})
    machine.limits("set_limits", "exchange:binance", {"max_exposure": "1"})
    machine.restart()
    machine.place(BTCUSDT, **{**ORDER, "quantity": "2"})
    assert machine.events[0].message == "exchange:binance would come to 350 USD of exposure, limit 1"


def test_inventory_is_held_where_nothing_else_is() -> None:
    """A strategy's inventory needs no price, and is held when it is the only limit there is."""
    machine = started()
    machine.limits("set_limits", "strategy:", {"max_inventory": "BTC=2"})
    machine.place(BTCUSDT, **{**ORDER, "quantity": "3"})
    assert machine.events[0].code == "MAX_INVENTORY"


def test_what_ended_short_of_its_trades_counts_until_they_are_told() -> None:
    """An order that the venue ended with more traded than we know is in doubt, and all that is left of it counts."""
    machine = started()
    machine.place(BTCUSDT, **ORDER)
    machine.report(1, "canceled")
    assert next(iter(machine.desk.state.orders.values())).in_doubt
    machine.totals_are_recomputed()
    assert machine.exposure()["global"] == 100


def test_capital_is_of_all_orders_of_a_strategy() -> None:
    """One order is within the capital, and two are not."""
    machine = started()
    machine.assign("alpha", "arb", "309", "allow")
    place = ("binance", "arb", "spot", "BTCUSDT")
    machine.place(place, **{**ORDER, "strategy": "alpha", "quantity": "2"})
    machine.place(place, **{**ORDER, "strategy": "alpha", "quantity": "2"})
    assert machine.events[0].code == "CAPITAL"


def test_every_latch_has_to_allow_reducing() -> None:
    """Where one of two kill switches lets reducing through and the other does not, nothing is let through."""
    machine = started()
    machine.place(BTCUSDT, **{**ORDER, "then": "filled"})
    machine.latch("global", reducing=True, release=False)
    machine.latch("account:main", reducing=False, release=False)
    machine.place(BTCUSDT, **{**ORDER, "side": "sell"})
    assert machine.events[0].code == "KILL_SWITCH"


def test_an_override_ends_for_orders_that_were_let_through_before() -> None:
    """Nothing has to happen when its time is over: the next order is held to the scope's own limit."""
    machine = started()
    machine.limits("set_limits", "global", {"max_order_quantity": "1"})
    until = machine.desk.now + SECOND
    machine.limits("override_limits", "global", {"max_order_quantity": "3"}, until=until)
    machine.place(BTCUSDT, **{**ORDER, "quantity": "3"})
    assert "OrderAccepted" in machine.told
    machine.wait(Decimal(10))
    machine.place(BTCUSDT, **{**ORDER, "quantity": "3"})
    assert machine.events[0].code == "MAX_ORDER_QUANTITY"


def test_a_flat_book_has_earned_what_it_has_not_paid() -> None:
    """What the venue holds beside our trades is a book of its own: flat again, its profit is not forgotten."""
    machine = started()
    machine.place(("bybit", "arb", "futures", "BTCUSDT"), **{**ORDER, "then": "filled"})
    machine.positions("BTCUSDT", "0", None, "1")
    machine.mark(("bybit", "futures", "BTCUSDT"), "120")
    machine.positions("BTCUSDT", "1", None, "1")
    machine.totals_are_recomputed()
    # A contract of 0.1 was taken for sold at 100 and bought again at 120.
    assert machine.desk.state.risk.totals["strategy:external"].day == -2
    machine.check_risk(day=True)
    machine.restart()
    machine.totals_are_recomputed()


def test_an_override_that_is_over_is_held_against_nothing() -> None:
    """Before anybody has ended it, it stands in nobody's way: other limits are held against the scope's own."""
    machine = started()
    machine.limits("set_limits", "global", {"max_position": "500"})
    until = machine.desk.now + SECOND
    machine.limits("override_limits", "global", {"max_position": "50"}, until=until)
    later = until + 10 * SECOND
    contradicts = machine.limits("override_limits", "global", {"max_order_value": "100"}, until=later)
    assert contradicts["error"]["code"] == "LIMIT_CONTRADICTION"
    machine.wait(Decimal(1))
    assert machine.limits("override_limits", "global", {"max_order_value": "100"}, until=later)["ok"]


def test_a_worth_that_is_no_longer_known_is_not_remembered() -> None:
    """When what prices an asset comes to price another, what is settled in it cannot be valued, and is denied."""
    machine = started()
    machine.limits("set_limits", "global", {"max_exposure": "1000"})
    machine.mark(("binance", "spot", "ETHBTC"), "0.5")
    machine.place(ETHBTC, **ORDER)
    assert "OrderAccepted" in machine.told
    assert machine.ask("list_instruments.binance._.spot._", {"instruments": [{**SPEC, "base": "XBT"}]})["ok"]
    machine.totals_are_recomputed()
    machine.place(ETHBTC, **ORDER)
    assert machine.events[0].code == "NO_VALUATION"


def test_what_was_taken_away_is_not_begun_again() -> None:
    """A start with a file that still says it adds what the file says for the first time, and nothing else."""
    machine = started()
    machine.limits("set_limits", "account:main", {"max_position": "500"})
    assert machine.by_ann("set_limits._.main._._", scope="account:main", clear=["max_position"])["ok"]
    machine.assign("alpha", "arb", "309", "deny")
    machine.assign("alpha", "arb", None, "deny")
    machine.start("account:main", 0, 0, "alpha")
    assert not machine.events
    machine.start("account:arb", 0, 0, "beta")
    assert machine.told == ["LimitsSet", "StrategyAssigned"]


def test_what_nobody_could_value_stays_unknown() -> None:
    """A loss in TRY while nobody knows what that is worth: over the end of the day, over a restart, and until somebody does."""
    machine = started()
    place = ("binance", "main", "spot", "BTCTRY")
    for quantity in (1, -1):
        machine.trade(place, Decimal(quantity), "0.01", "settle")
    machine.totals_are_recomputed()
    assert machine.desk.state.risk.total("account:main").unvalued == 1
    machine.check_risk(day=True)
    machine.restart()
    machine.totals_are_recomputed()
    assert machine.desk.state.risk.total("account:main").unvalued == 1
    machine.price(("binance", "spot", "USDTTRY"), 0)
    machine.totals_are_recomputed()
    assert machine.desk.state.risk.total("account:main").unvalued == 0
