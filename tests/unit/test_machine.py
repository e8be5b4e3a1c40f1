"""Any commands and any reports, in any order, against a model; funds, cost and quantities are conserved exactly."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.messages import codec
from tests import strategies as gen
from tests.unit.desk import BTC, ETH, PERP, START, Desk, check_indexes, check_same, declaration
from tests.unit.model import ZERO, ModelOrder, ModelPosition

HOUR = 3_600 * 10**9
SYMBOLS = {"BTCUSDT": ("spot", "BTC"), "ETHUSDT": ("spot", "ETH"), "BTCPERP": ("perp", "BTC")}
SIZES = {"BTCUSDT": Decimal(1), "ETHUSDT": Decimal(1), "BTCPERP": Decimal("0.1")}
FUNDS = {"USDT": "20000", "BTC": "5", "ETH": "20"}
PLACES = gen.places(
    quantities=st.sampled_from(["1", "2", "3", "1", "2", "1.5", "0.0005"]),
    prices=gen.decimals("90", "110", 0),
    now=START,
)
SYMBOL = st.sampled_from(["BTCUSDT", "BTCUSDT", "BTCUSDT", "ETHUSDT", "BTCPERP"])
ACCOUNT = st.sampled_from(["main", "main", "sub"])
PICK = st.integers(0, 60)


class Machine(RuleBasedStateMachine):
    """The desk beside the model. Rules choose among orders that there are, were, and never were."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ready=False)
        self.orders: dict[str, ModelOrder] = {}
        self.aliases: dict[str, str] = {}
        self.totals: dict[tuple[str, str], dict[str, Decimal]] = {}
        self.positions: dict[tuple[str, str, str, str], ModelPosition] = {}
        self.trades: list[tuple[str, str, dict[str, Any]]] = []
        self.sent: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.sessions: dict[tuple[str, str], tuple[str, bool]] = {}
        self.mark: dict[str, Decimal] = {}
        self.in_place: dict[str, bool] = {}
        self.traded: dict[str, ModelOrder | None] = {}
        self.busted: set[str] = set()

    # -- plumbing

    def ask(self, subject: str, payload: Any) -> dict[str, Any]:
        """Ask; a refusal that is not recorded, and a duplicate, change nothing."""
        before, sequence = self.desk.digest(), self.desk.sequence
        reply = self.desk.reply(subject, payload)
        recorded = self.desk.sequence != sequence
        if not reply["ok"]:
            assert recorded == ("sequence" in reply) or reply["duplicate"]
        assert recorded or self.desk.digest() == before, f"{subject} changed the state and left no commit"
        for retired in set(self.orders) & set(self.desk.state.retired):
            assert not self.orders[retired].live
            del self.orders[retired]
        return reply

    def command(self, subject: str, payload: dict[str, Any]) -> dict[str, Any]:
        reply = self.ask(subject, payload)
        if reply["ok"] or "sequence" in reply:
            self.sent.append((subject, payload, reply))
        return reply

    def total(self, account: str, market: str, asset: str, change: Decimal) -> None:
        funds = self.totals.setdefault((account, market), {})
        funds[asset] = funds.get(asset, ZERO) + change

    def order_id(self, pick: int) -> str:
        """An order in the hot state, a retired or denied one, an external one's alias, or one that never was."""
        live = [order_id for order_id, order in self.orders.items() if order.live]
        if live and pick < 45:
            return live[-1 - pick % len(live)]
        known = ["nobodys", *self.aliases, *list(self.desk.state.retired)[-3:], *self.orders]
        return known[-1 - pick % len(known)]

    def model(self, order_id: str) -> ModelOrder | None:
        return self.orders.get(self.aliases.get(order_id, order_id))

    def place_of(self, order_id: str, account: str) -> tuple[str, str]:
        order = self.model(order_id)
        return (account, "spot") if order is None else (order.key[1], order.key[2])

    # -- setting up

    @initialize()
    def set_up(self) -> None:
        self.desk.register("main", "MAIN")
        self.desk.register("sub", "SUB")
        self.desk.list("spot", BTC, ETH)
        self.desk.list("perp", PERP)
        for account in ("main", "sub"):
            for market in ("spot", "perp"):
                self.desk.open(account, market, FUNDS)
                self.sessions[account, market] = ("s1", True)
                for asset, total in FUNDS.items():
                    self.total(account, market, asset, Decimal(total))
        for symbol in SYMBOLS:
            self.marks(symbol, "100")

    # -- clients

    @rule(account=ACCOUNT, symbol=SYMBOL, terms=PLACES, then=st.sampled_from(["accepted", "accepted", ""]))
    def place_and_hear(self, account: str, symbol: str, terms: dict[str, Any], then: str) -> None:
        """Most places are acknowledged: only then do amends come about."""
        before = set(self.orders)
        self.place(account, symbol, terms)
        for order_id in set(self.orders) - before:
            if then and self.sessions[account, SYMBOLS[symbol][0]][0]:
                report = {"report": then, "order_id": order_id, "venue_order_id": "v", "venue_time": 1}
                session = self.session_of(account, SYMBOLS[symbol][0])
                assert self.send(account, SYMBOLS[symbol][0], session, report)["count"] == 1
                self.orders[order_id].report(report)

    @rule(account=ACCOUNT, symbol=SYMBOL, terms=PLACES)
    def place(self, account: str, symbol: str, terms: dict[str, Any]) -> None:
        market, base = SYMBOLS[symbol]
        subject = f"place.binance.{account}.{market}.{symbol}"
        asset = "USDT" if terms["side"] == "buy" or market != "spot" else base
        before = self.free(account, market, asset)
        key = ("binance", account, market, symbol)
        closes = self.closes(key, terms["side"], Decimal(terms["quantity"]))
        reply = self.command(subject, {"command_id": self.desk.next_id(), **terms})
        if not reply["ok"]:
            return
        assert reply["status"] == "PENDING_NEW"
        price = Decimal(terms["price"]) if "price" in terms else None
        reference = price if price is not None else None
        if reference is None:
            reference = Decimal(terms.get("trigger_price") or self.mark[symbol]) * Decimal("1.05")
        unit = reference if terms["side"] == "buy" else Decimal(1)
        if market != "spot":
            unit = ZERO if closes or terms.get("reduce_only") else reference * SIZES[symbol]
        order = ModelOrder(
            key,
            terms["side"],
            Decimal(terms["quantity"]),
            price,
            unit,
            terms.get("reduce_only", False),
            trigger=Decimal(terms["trigger_price"]) if "trigger_price" in terms else None,
        )
        assert order.reserved <= before, "more was reserved than was free"
        assert self.sessions[account, market][1], "placed with no ready session"
        self.orders[reply["order_id"]] = order

    def free(self, account: str, market: str, asset: str) -> Decimal:
        total = self.totals[account, market].get(asset, ZERO)
        if market != "spot" and asset == "USDT":
            total += self.realised(account, market) - self.margin(account, market)
        return total - self.locked(account, market).get(asset, ZERO)

    def realised(self, account: str, market: str) -> Decimal:
        held = self.desk.state.positions.items()
        return sum((p.realised for k, p in held if k[1:3] == (account, market)), ZERO)

    def margin(self, account: str, market: str) -> Decimal:
        """No leverage is set here, so that all that is open is paid in full."""
        held = self.desk.state.positions.items()
        return sum((abs(p.cost) for k, p in held if k[1:3] == (account, market) and p.quantity), ZERO)

    def closes(
        self, key: tuple[str, str, str, str], side: str, quantity: Decimal, but: ModelOrder | None = None
    ) -> bool:
        """Whether an order could only bring the position nearer to zero, whatever the others do."""
        held = self.positions[key].quantity if key in self.positions else ZERO
        others = (order for order in self.orders.values() if order.key == key and order is not but)
        left = abs(held) - sum((order.closing for order in others), ZERO)
        return bool(held) and (held > 0) == (side == "sell") and quantity <= left

    def locked(self, account: str, market: str) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for order in self.orders.values():
            if order.key[1:3] == (account, market):
                asset = "USDT" if order.side == "buy" or market != "spot" else SYMBOLS[order.key[3]][1]
                found[asset] = found.get(asset, ZERO) + order.reserved
        return {asset: amount for asset, amount in found.items() if amount}

    @rule(pick=PICK, account=ACCOUNT)
    def cancel(self, pick: int, account: str) -> None:
        order_id = self.order_id(pick)
        account, _ = self.place_of(order_id, account)
        reply = self.command(
            f"cancel.binance.{account}._._", {"command_id": self.desk.next_id(), "order_id": order_id}
        )
        order = self.orders.get(order_id)
        assert reply["ok"] == (order is not None and order.open and order.cancel is None), reply
        if reply["ok"]:
            self.orders[order_id].cancel = "client"

    @rule(
        pick=PICK,
        quantity=st.none() | gen.decimals("0.5", "4", 1),
        price=st.none() | gen.decimals("90", "110", 0),
    )
    def amend(self, pick: int, quantity: str | None, price: str | None) -> None:
        order_id = self.order_id(pick)
        account, market = self.place_of(order_id, "main")
        fields = {k: v for k, v in (("quantity", quantity), ("price", price)) if v is not None}
        order = self.orders.get(order_id)
        if order is not None:
            asset = "USDT" if order.side == "buy" or market != "spot" else SYMBOLS[order.key[3]][1]
            free = self.free(account, market, asset)
            reference = Decimal(price) if price is not None else order.price
            if reference is None:
                reference = order.trigger or self.mark[order.key[3]]
                reference *= Decimal("1.05")
            leaves = (order.quantity if quantity is None else Decimal(quantity)) - order.cumulative
            closes = self.closes(order.key, order.side, leaves, order)
        reply = self.command(
            f"amend.binance.{account}.{market}._",
            {"command_id": self.desk.next_id(), "order_id": order_id, **fields},
        )
        if not reply["ok"]:
            return
        assert order is not None
        assert order.open
        assert order.base != "pending_new" or order.cumulative
        assert not any((order.cancel, order.amend, order.doubt))
        held = order.reserved
        in_place = self.in_place.get(market, False)
        order.asked += not in_place
        order.amend = (
            order.quantity if quantity is None else Decimal(quantity),
            order.price if price is None else Decimal(price),
            order.revision if in_place else order.asked,
        )
        if market != "spot":
            nothing = closes or order.reduce_only
            order.amend_unit = ZERO if nothing else reference * SIZES[order.key[3]]
        assert order.amend[0] > order.cumulative
        assert order.reserved - held <= max(free, ZERO)

    @precondition(lambda self: sum(order.open for order in self.orders.values()) > 2)
    @rule(account=ACCOUNT, market=st.sampled_from(["_", "spot"]), symbol=st.sampled_from(["_", "BTCUSDT"]))
    def cancel_all(self, account: str, market: str, symbol: str) -> None:
        reply = self.command(f"cancel_all._.{account}.{market}.{symbol}", {"command_id": self.desk.next_id()})
        meant = [
            order
            for order in self.orders.values()
            if order.open
            and order.cancel is None
            and order.key[1] == account
            and market in ("_", order.key[2])
            and symbol in ("_", order.key[3])
        ]
        assert reply["count"] == len(meant)
        for order in meant:
            order.cancel = "client"

    @precondition(lambda self: self.sent)
    @rule(pick=PICK, change=st.booleans())
    def repeat(self, pick: int, change: bool) -> None:
        """A command again: the same answer, marked; with another payload, refused. Neither changes anything."""
        subject, payload, reply = self.sent[pick % len(self.sent)]
        before = self.desk.digest()
        if change:
            again = self.ask(subject, {**payload, "symbol": "OTHER"})
            assert again["error"]["code"] == "COMMAND_ID_REUSED"
        else:
            spelled = json.dumps(dict(reversed(payload.items())), indent=1).encode()
            assert self.ask(subject, spelled) == {**reply, "duplicate": True}
        assert self.desk.digest() == before

    # -- the venue

    def session_of(self, account: str, market: str) -> str:
        return self.sessions[account, market][0] or "nobody"

    def send(self, account: str, market: str, session: str, *reports: dict[str, Any]) -> dict[str, Any]:
        return self.ask(
            f"report.binance.{account}.{market}._", {"session": session, "reports": list(reports)}
        )

    @rule(
        pick=PICK, account=ACCOUNT, reports=st.lists(gen.REPORTS, min_size=1, max_size=3), stale=st.booleans()
    )
    def report(self, pick: int, account: str, reports: list[dict[str, Any]], stale: bool) -> None:
        order_id = self.order_id(pick)
        account, market = self.place_of(order_id, account)
        served = self.sessions[account, market][0]
        session = "stale" if stale and pick % 7 == 0 else self.session_of(account, market)
        reply = self.send(account, market, session, *({**r, "order_id": order_id} for r in reports))
        assert reply["ok"] == (session == served)
        order = self.model(order_id)
        if reply["ok"] and order is not None:
            for one in reports:
                order.report(one)

    @precondition(lambda self: any(o.amend is not None or o.cancel for o in self.orders.values()))
    @rule(pick=PICK, yes=st.booleans(), first=st.booleans())
    def answer(self, pick: int, yes: bool, first: bool) -> None:
        """The venue answers what was asked, with what it would say."""
        asked = [i for i, order in self.orders.items() if order.amend is not None or order.cancel]
        order_id = asked[pick % len(asked)]
        order = self.orders[order_id]
        account, market = self.place_of(order_id, "main")
        if not self.sessions[account, market][0]:
            return
        report: dict[str, Any] = {"order_id": order_id, "venue_time": 1}
        if order.amend is not None and (first or not order.cancel):
            revision = order.amend[2]
            quantity, price, _ = order.amend
            terms = {"quantity": f"{quantity:f}", "price": None if price is None else f"{price:f}"}
            if not yes:
                kind: dict[str, Any] = {"report": "amend_rejected", "reason": ""}
            elif order.in_place:
                kind = {"report": "restated", **terms, "venue_time": order.terms_at + 1}
            else:
                kind = {"report": "amended", "venue_order_id": "v"}
            report |= {**kind, "revision": revision}
        else:
            report |= {"report": "canceled" if yes else "cancel_rejected", "reason": ""}
        self.send(account, market, self.session_of(account, market), report)
        order.report(report)

    @rule(
        pick=PICK,
        account=ACCOUNT,
        part=st.sampled_from(["all", "half", "some", "over"]),
        quantity=gen.decimals("0.1", "2", 1),
        price=gen.decimals("80", "120", 1),
        fee=gen.decimals("-0.05", "0.2", 4),
        fee_asset=st.sampled_from(["base", "USDT", "BNB"]),
        outside=SYMBOL,
        side=gen.SIDES,
    )
    def fill(
        self,
        pick: int,
        account: str,
        part: str,
        quantity: str,
        price: str,
        fee: str,
        fee_asset: str,
        outside: str,
        side: str,
    ) -> None:
        """A trade of an order in any state, or of none that is known."""
        order_id = self.order_id(pick)
        order = self.model(order_id)
        symbol = outside if order is None else order.key[3]
        market, base = SYMBOLS[symbol]
        account = account if order is None else order.key[1]
        amount = Decimal(quantity)
        if order is not None:
            leaves = order.quantity - order.cumulative
            if leaves > 0:
                amount = {"all": leaves, "half": leaves / 2, "some": amount, "over": leaves + amount}[part]
            side = order.side
        trade = {
            "report": "filled",
            "order_id": order_id,
            "symbol": symbol,
            "side": side,
            "trade_id": f"t{len(self.trades)}",
            "quantity": f"{amount:f}",
            "price": price,
            "fee": fee,
            "fee_asset": base if fee_asset == "base" else fee_asset,
            "maker": False,
            "venue_time": len(self.trades),
        }
        reply = self.send(account, market, self.session_of(account, market), trade)
        assert reply["ok"] == bool(self.sessions[account, market][0])
        if not reply["ok"]:
            return
        assert reply["count"] == 1, reply
        self.trades.append((account, market, trade))
        self.traded[trade["trade_id"]] = order
        if order is not None:
            order.trade(trade["trade_id"], amount)
        self.book(account, market, trade)

    def book(self, account: str, market: str, trade: dict[str, Any]) -> None:
        symbol, side = trade["symbol"], trade["side"]
        quantity, price, fee = (Decimal(trade[name]) for name in ("quantity", "price", "fee"))
        base = SYMBOLS[symbol][1]
        position = self.positions.setdefault(("binance", account, market, symbol), ModelPosition())
        spot_base_fee = fee if market == "spot" and trade["fee_asset"] == base else ZERO
        signed = quantity if side == "buy" else -quantity
        net = signed - spot_base_fee
        position.trade("buy" if net > 0 else "sell", abs(net), price, SIZES[symbol])
        # What the fee in base took was paid for too: the cash that moved is that of the whole trade.
        position.cash -= spot_base_fee * price
        if trade["fee_asset"] == "USDT":
            position.cash -= fee
        self.total(account, market, trade["fee_asset"], -fee)
        if market == "spot":
            self.total(account, market, base, signed)
            self.total(account, market, "USDT", -signed * price)

    @precondition(lambda self: self.trades)
    @rule(pick=PICK)
    def bust(self, pick: int) -> None:
        """A trade is taken back, once, whatever its order has become; one that was taken back already is not."""
        account, market, trade = self.trades[-1 - pick % len(self.trades)]
        trade_id, order = trade["trade_id"], self.model(trade["order_id"])
        traded = self.traded[trade_id]
        gone = traded is None or all(each is not traded for each in self.orders.values())
        if order is not traded and not (order is None and gone):
            return
        told = {name: value for name, value in trade.items() if name != "maker"}
        report = {**told, "report": "busted"}
        reply = self.send(account, market, self.session_of(account, market), report)
        assert reply["ok"] == bool(self.sessions[account, market][0])
        if not reply["ok"]:
            return
        assert reply["count"] == (trade_id not in self.busted), reply
        if trade_id in self.busted:
            return
        self.busted.add(trade_id)
        if order is not None:
            order.bust(trade_id)
        back = {"side": "sell" if trade["side"] == "buy" else "buy", "fee": f"{-Decimal(trade['fee']):f}"}
        self.book(account, market, {**trade, **back})

    @rule(market=st.sampled_from(["spot", "perp"]), in_place=st.booleans())
    def declare(self, market: str, in_place: bool) -> None:
        """The venue begins to amend in place, or ceases to."""
        features = ["post_only", "reduce_only", "amend", *(["amend_in_place"] if in_place else [])]
        reply = self.ask(f"declare_venue.binance._.{market}._", declaration(market, features=features))
        assert reply["count"] == (self.in_place.get(market) is not in_place)
        self.in_place[market] = in_place

    @precondition(lambda self: self.trades)
    @rule(pick=PICK)
    def fill_again(self, pick: int) -> None:
        """A trade told again changes nothing, whatever the order has become."""
        account, market, trade = self.trades[pick % len(self.trades)]
        before = self.desk.digest()
        reply = self.send(account, market, self.session_of(account, market), trade)
        assert not reply["ok"] or reply["count"] == 0
        assert self.desk.digest() == before

    @rule(
        account=ACCOUNT,
        number=st.integers(0, 3),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        side=gen.SIDES,
        quantity=gen.decimals("0.1", "2", 1),
        price=st.none() | gen.decimals("90", "110", 0),
        venue=st.integers(0, 2),
    )
    def found(
        self,
        account: str,
        number: int,
        symbol: str,
        side: str,
        quantity: str,
        price: str | None,
        venue: int,
    ) -> None:
        alias = f"web{account}{number}"
        report = {
            "report": "found",
            "order_id": alias,
            "venue_order_id": f"x{venue}",
            "symbol": symbol,
            "side": side,
            "type": "market" if price is None else "limit",
            "quantity": quantity,
        } | ({} if price is None else {"price": price})
        next_id = self.desk.state.order_id()
        reply = self.send(account, "spot", self.session_of(account, "spot"), report)
        if not reply["ok"] or not reply["count"]:
            known = self.model(alias)
            assert not reply["ok"] or known is not None
            return
        unit = Decimal(price) if price is not None else self.mark.get(symbol, ZERO)
        self.aliases[alias] = next_id
        self.orders[next_id] = ModelOrder(
            ("binance", account, "spot", symbol),
            side,
            Decimal(quantity),
            None if price is None else Decimal(price),
            unit if side == "buy" else Decimal(1),
            base="working",
        )

    @rule(
        account=ACCOUNT,
        market=st.sampled_from(["spot", "perp"]),
        session=st.sampled_from(["s1", "s2"]),
        step=st.sampled_from(["ready", "ready", "ready", "ready", "open", "close"]),
    )
    def session(self, account: str, market: str, session: str, step: str) -> None:
        place, (serving, _) = f"binance.{account}.{market}._", self.sessions[account, market]
        if step == "close":
            reply = self.ask(f"close_session.{place}", {"session": session, "reason": "bye"})
            if serving == session:
                self.sessions[account, market] = ("", False)
        else:
            reply = self.ask(f"open_session.{place}", {"session": session, "ready": step == "ready"})
            assert reply["ok"] == (step == "open" or serving == session)
            if reply["ok"]:
                self.sessions[account, market] = (session, step == "ready")
        served, is_ready = self.sessions[account, market]
        ledger = self.desk.state.ledgers["binance", account, market]
        assert (ledger.session, ledger.ready) == (served, is_ready)

    @rule(account=ACCOUNT, asset=st.sampled_from(["USDT", "BTC", "BNB"]), total=gen.decimals("0", "50000", 1))
    def balances(self, account: str, asset: str, total: str) -> None:
        funds = {a: t for a, t in self.totals[account, "spot"].items() if a != asset}
        totals = {**{a: f"{t:f}" for a, t in funds.items()}, asset: total}
        if any(len(t.partition(".")[2]) > 18 for t in totals.values()):
            return
        reply = self.ask(
            f"report_balances.binance.{account}.spot._",
            {"session": self.session_of(account, "spot"), "totals": totals},
        )
        if reply["ok"]:
            self.totals[account, "spot"][asset] = Decimal(total)

    @rule(symbol=st.sampled_from(["BTCUSDT", "ETHUSDT", "BTCPERP"]), mark=gen.decimals("80", "120", 1))
    def marks(self, symbol: str, mark: str) -> None:
        assert self.ask(f"report_marks.binance._.{SYMBOLS[symbol][0]}._", {"marks": {symbol: mark}})["ok"]
        self.mark[symbol] = Decimal(mark)

    @rule(tick=st.sampled_from(["0.01", "1", "10"]), step=st.sampled_from(["0.001", "1"]), number=PICK)
    def relist(self, tick: str, step: str, number: int) -> None:
        terms = {"tick": tick, "step": step, "trading": number % 6 > 0}
        assert self.ask("list_instruments.binance._.spot._", {"instruments": [{**BTC, **terms}]})["ok"]

    # -- the engine itself

    @rule(picks=st.lists(PICK, min_size=1, max_size=3))
    def doubt(self, picks: list[int]) -> None:
        ids = [self.order_id(pick) for pick in picks]
        waiting = {i for i in ids if i in self.desk.state.unanswered}
        self.ask("doubt._._._._", {"order_ids": ids, "reason": "slow"})
        for order_id in waiting:
            order = self.orders[order_id]
            assert not order.doubt
            assert order.status.startswith("PENDING")
            order.doubt = True

    @rule()
    def expire(self) -> None:
        ids = list(self.desk.state.expiring)
        self.ask("expire._._._._", {"order_ids": [*ids, "nobodys", *ids]})
        for order_id in ids:
            order = self.orders[order_id]
            if order.open and order.cancel is None:
                order.cancel = "expired"

    @rule(hours=st.sampled_from([0.5, 1.1]))
    def wait(self, hours: float) -> None:
        self.desk.now += int(hours * HOUR)

    @rule()
    def restart(self) -> None:
        """The engine goes on from an image of its state."""
        loaded = image.load(image.dump(self.desk.state))
        check_same(self.desk.state, loaded)
        self.desk.state = loaded

    @rule(account=ACCOUNT, after=PICK)
    def list_live(self, account: str, after: int) -> None:
        session = self.session_of(account, "spot")
        reply = self.ask(
            f"list_live.binance.{account}.spot._", {"session": session, "after": self.order_id(after)}
        )
        assert reply["ok"] == bool(self.sessions[account, "spot"][0])

    # -- what must hold

    @invariant()
    def orders_agree(self) -> None:
        state = self.desk.state
        assert set(state.orders) == set(self.orders)
        for order_id, model in self.orders.items():
            order = state.orders[order_id]
            assert (order.status.value, order.in_doubt) == (model.status, model.doubt), order_id
            assert (order.quantity, order.price, order.revision) == (
                model.quantity,
                model.price,
                model.revision,
            )
            assert (order.cumulative, order.leaves) == (model.cumulative, model.leaves)
            assert order.live == model.live
            assert order.reserved == model.reserved

    @invariant()
    def funds_agree(self) -> None:
        for (account, market), totals in self.totals.items():
            wallet = self.desk.state.wallets["binance", account, market]
            locked = {asset: b.locked for asset, b in wallet.balances.items() if b.locked}
            assert locked == self.locked(account, market)
            for asset, balance in wallet.balances.items():
                expected, margin = totals.get(asset, ZERO), ZERO
                if market != "spot" and asset == "USDT":
                    expected += self.realised(account, market)
                    margin = self.margin(account, market)
                assert balance.total == expected, (account, market, asset)
                assert balance.margin == margin
                assert balance.free == balance.total - balance.locked - margin

    @invariant()
    def cost_is_conserved(self) -> None:
        with exactly():
            for key, model in self.positions.items():
                position = self.desk.state.positions[key]
                assert position.quantity == model.quantity
                assert position.realised - position.cost - position.fees == model.cash
                bound = Fraction(model.trades, 10**18)
                assert abs(Fraction(position.cost) - model.cost) <= bound
                assert abs(Fraction(position.realised) - model.realised) <= bound
                assert position.quantity or not position.cost
                assert position.cost * position.quantity >= 0

    @invariant()
    def replay_agrees(self) -> None:
        check_indexes(self.desk.state)
        check_same(self.desk.state, self.desk.replica)

    def teardown(self) -> None:
        """What is left is the same after an image and back, and every answer can still be given again."""
        loaded = image.load(image.dump(self.desk.state))
        check_same(self.desk.state, loaded)
        check_indexes(loaded)
        self.desk.state = loaded
        for subject, payload, reply in self.sent:
            raw = json.dumps(payload).encode()
            assert json.loads(codec.encode(self.desk.ask(subject, raw).reply)) == {**reply, "duplicate": True}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=settings.default.max_examples * 3, stateful_step_count=50)
TestMachine = pytest.mark.timeout(600)(TestMachine)
