"""A desk that understands the words of :mod:`tests.unit.control_scenarios`: it does what a row says, and tells what came of it."""

import json
from collections.abc import Callable
from typing import Any, Final

from oms.messages import codec
from oms.messages import controls as k
from oms.messages.desk import TransferDenied
from oms.messages.events import OrderAmendDenied, OrderDenied
from oms.messages.frames import decode_frame
from tests.unit.control_scenarios import Row
from tests.unit.desk import BTC, ETH, PERP, SECOND, Desk, check_same, declaration

DAY: Final = 86_400 * SECOND
MIDNIGHT: Final = 19_675 * DAY
"""2023-11-15, 00:00 UTC: rows begin at noon of it."""

PLACES: Final = {
    "": ("spot", "BTCUSDT"),
    "eth": ("spot", "ETHUSDT"),
    "ethbtc": ("spot", "ETHBTC"),
    "new": ("spot", "NEWUSDT"),
    "perp": ("futures", "BTCUSDT"),
    "tenth": ("futures", "BTCPERP"),
    "newperp": ("futures", "NEWUSDT"),
}
_DENIED: Final = {"place": OrderDenied, "amend": OrderAmendDenied, "transfer": TransferDenied}
"""Verb → how it is recorded that a control stands against it."""
SCOPES: Final = {
    "exchange": "exchange:binance",
    "account": "account:main",
    "strategy": "strategy:arb",
    "hand": "strategy:",
    "instrument": "instrument:binance.spot.BTCUSDT",
    "perp": "instrument:binance.futures.BTCUSDT",
}
_UNITS: Final = {"ns": 1, "ms": 10**6, "s": SECOND, "h": 3_600 * SECOND}
_NEW: Final = {**BTC, "symbol": "NEWUSDT", "base": "NEW"}
_FUTURES: Final = {"features": ["reduce_only", "amend", "leverage", "positions", "transfer", "post_only"]}


def tokens(scope: str) -> str:
    """What stands behind the verb in the subject of a command about a scope."""
    kind, _, name = scope.partition(":")
    if name == "*" or kind in ("global", "strategy"):
        return "_._._._"
    if kind == "exchange":
        return f"{name}._._._"
    if kind == "account":
        return f"_.{name}._._"
    exchange, market, symbol = name.split(".")
    return f"{exchange}._.{market}.{symbol}"


class Words:
    """The words of one command or step, taken off one by one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = text.split()

    def next(self) -> str:
        return self.left.pop(0)

    def flag(self, word: str) -> bool:
        """Whether a word is there."""
        found = word in self.left
        if found:
            self.left.remove(word)
        return found

    def after(self, word: str, usual: str = "") -> str:
        """What stands behind a word."""
        if word not in self.left:
            return usual
        at = self.left.index(word)
        found = self.left[at + 1]
        del self.left[at : at + 2]
        return found

    def begins(self, sign: str) -> str | None:
        """The rest of the word that begins with a sign."""
        found = next((word for word in self.left if word.startswith(sign)), None)
        if found is None:
            return None
        self.left.remove(found)
        return found[len(sign) :]

    def end(self) -> None:
        """Nothing may be left that nobody understood."""
        assert not self.left, f"{self.text!r}: what is {' '.join(self.left)!r}?"


class ControlDesk(Desk):
    """A desk as the table says, its clock at noon; it stands still but for what a row says."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.transfers: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.numbers = 0
        self.control = ""
        super().__init__(ready=False)
        self.now = MIDNIGHT + DAY // 2
        self.ask("check_risk._._._._", {})
        self.list("spot", BTC, ETH, {**BTC, "symbol": "ETHBTC", "base": "ETH", "quote": "BTC", "settle": "BTC",
            "tick": "0.0001", "min_notional": "0.001"}, _NEW)  # fmt: skip
        self.list("futures", BTC, PERP, _NEW)
        for market in ("spot", "futures"):
            self.ask(f"declare_venue.binance._.{market}._", declaration(market, **_FUTURES))
        for account, kind in (("main", "MAIN"), ("sub", "SUB"), ("own", "STRATEGY")):
            self.register(account, kind)
            for market in ("spot", "futures"):
                self.open(account, market, {})
        self.holds("main", "spot", {"USDT": "9000000", "BTC": "90", "ETH": "90"})
        self.holds("sub", "spot", {"USDT": "900000", "BTC": "9"})
        self.holds("own", "spot", {"USDT": "900000", "BTC": "9"})
        self.ask("report_marks.binance._.spot._", {"marks": {"BTCUSDT": "50000", "ETHUSDT": "2500", "ETHBTC": "0.05"}})  # fmt: skip
        self.ask("report_marks.binance._.futures._", {"marks": {"BTCUSDT": "50000", "BTCPERP": "50000"}})
        self._assign("arb", "main", "9000000")

    def ask(self, subject: str, payload: Any) -> Any:
        self.now -= 1_000  # which Desk lets go by with every message
        return super().ask(subject, payload)

    def done(self, subject: str, payload: Any) -> dict[str, Any]:
        """Ask for what has to be done, and be sure that it was."""
        found = self.reply(subject, payload)
        assert found["ok"], (subject, payload, found)
        assert not found.get("refused"), (subject, payload, found)
        return found

    def command(self, subject: str, **fields: Any) -> dict[str, Any]:
        return self.done(subject, {"command_id": self.next_id(), **fields})

    def holds(self, account: str, market: str, totals: dict[str, str]) -> None:
        self.done(f"report_balances.binance.{account}.{market}._", {"session": "s1", "totals": totals})

    def limit(self, scope: str, **limits: str) -> None:
        self.command(f"set_limits.{tokens(scope)}", scope=scope, limits=limits, by="ann")

    # -- a row

    def play(self, row: Row) -> list[str]:
        """Do what a row says, and return what came of each command."""
        self.control = row.control
        steps = [step.strip() for step in row.before.split(";") if step.strip()]
        if "limits" not in steps:
            steps.insert(0, "limits")
        for step in steps:
            if step == "limits":
                self.set_limits(row.control, row.limits)
            else:
                self.step(step)
        found = self.do(row.done)
        check_same(self.state, self.replica)
        return found

    def set_limits(self, control: str, text: str) -> None:
        """``scope value`` of the control itself, ``scope control value`` of another; several with ``;``."""
        for each in text.split(";"):
            words = each.split()
            if words:
                name = control if len(words) == 2 else words[1]
                self.limit(SCOPES.get(words[0], words[0]), **{name: words[-1]})

    def step(self, text: str) -> None:
        """Something that happened before, or several times the same."""
        times, _, what = text.partition(" x ")
        for _ in range(int(times) if what else 1):
            words = Words(what or text)
            _STEPS[words.next()](self, words)
            words.end()

    def do(self, text: str) -> list[str]:
        """The commands that a row is about."""
        bulk = text.startswith("bulk ")
        commands = []
        for part in text.removeprefix("bulk ").split(" + "):
            times, _, what = part.partition(" x ")
            commands += [what] * int(times) if what else [part]
        if not bulk:
            return [
                self._looked() if each == "look" else self._answer(self._asked(each)) for each in commands
            ]
        asked = [self._asked(each) for each in commands]
        (subject,) = {subject for subject, _ in asked}
        parts, is_bulk = codec.split(json.dumps([fields for _, fields in asked]).encode())
        assert is_bulk
        assert subject.partition(".")[0] in codec.BULK_VERBS
        return [self._answer((subject, part)) for part in parts]

    def _asked(self, text: str) -> tuple[str, Any]:
        words = Words(text)
        subject, fields = _VERBS[words.next()](self, words)
        words.end()
        return subject, fields

    def _answer(self, asked: tuple[str, Any]) -> str:
        before = {i for i, order in self.state.orders.items() if order.cancel_requested is not None}
        frames = len(self.frames)
        reply = self.reply(*asked)
        code = None if reply["ok"] else reply["error"]["code"]
        if code is not None:
            self.refusals.append((code, reply["error"]["message"]))
            self._recorded(asked[0].partition(".")[0], code, reply, frames)
        if (order_id := reply.get("order_id")) is not None and order_id not in self.orders:
            self.orders.append(order_id)
        if (transfer_id := reply.get("transfer_id")) is not None:
            self.transfers.append(transfer_id)
        awaits = (
            asked[0].startswith("place.") and code is None and self.state.orders[reply["order_id"]].awaits
        )
        found = code or ("waits" if awaits else "ok")
        if asked[0].startswith("check_risk"):
            found = self._killed(frames) or "quiet"
        after = {i for i, order in self.state.orders.items() if order.cancel_requested is not None}
        if after - before and not asked[0].startswith("cancel"):
            found += f", {len(after - before)} to cancel"
        return found

    def _recorded(self, verb: str, code: str, reply: dict[str, Any], frames: int) -> None:
        """What a control stands against is in the journal, and its answer says so."""
        if verb not in _DENIED or code == "ORDER_PENDING":
            # What is about the order itself leaves no trace.
            return
        (frame,) = self.frames[frames:]
        event = decode_frame(frame).commits[-1].events[-1]
        assert isinstance(event, _DENIED[verb])
        assert (event.code, event.message) == (code, reply["error"]["message"])
        assert reply["sequence"]

    def _killed(self, frames: int) -> str:
        events = [
            e for raw in self.frames[frames:] for commit in decode_frame(raw).commits for e in commit.events
        ]
        assert not any(isinstance(event, k.DayRolled) for event in events)
        killed = [event for event in events if isinstance(event, k.KillSwitchEngaged)]
        return " and ".join(f"kills {event.scope} on {event.cause}" for event in killed)

    def _looked(self) -> str:
        frames = len(self.frames)
        self.done("check_risk._._._._", {})
        events = [
            e for raw in self.frames[frames:] for commit in decode_frame(raw).commits for e in commit.events
        ]
        told = [e for e in events if isinstance(e, k.LimitCrossed) and e.control == self.control]
        return " and ".join(f"{e.level} {e.scope} {e.position}".rstrip() for e in told) or "quiet"

    def terms(self, words: Words) -> tuple[str, dict[str, Any]]:
        """Subject and fields of a place: ``buy 1 @50000`` and what is said beside."""
        market, symbol = PLACES[words.after("of")]
        account = words.after("on", "main")
        stop, price = words.after("stop"), words.begins("@")
        is_market = words.flag("market")
        kind = "market" if is_market else "limit"
        if stop:
            kind = "stop_limit" if price else "stop_market"
        fields: dict[str, Any] = {
            "command_id": self.next_id(),
            "side": words.next(),
            "quantity": words.next(),
            "type": kind,
        }
        assert is_market or stop or price, f"{words.text!r} says no price"
        said = {"price": price, "trigger_price": stop, "strategy": words.after("by")}
        said |= {name: words.flag(name.replace("_", "-")) for name in ("reduce_only", "post_only")}
        fields |= {name: value for name, value in said.items() if value}
        return f"place.binance.{account}.{market}.{symbol}", fields

    def placed(self, words: Words) -> str:
        """Place an order that has to be let through."""
        order_id: str = self.done(*self.terms(words))["order_id"]
        self.orders.append(order_id)
        return order_id

    def order(self, words: Words) -> str:
        """The order meant: the last, or that with ``#`` and its number."""
        number = words.begins("#")
        return self.orders[-1 if number is None else int(number) - 1]

    def told(self, kind: str, order_id: str, **fields: Any) -> None:
        """What the venue says of an order."""
        order = self.state.orders[order_id]
        place = f"{order.exchange}.{order.account}.{order.market}._"
        self.numbers += 1
        report = {"report": kind, "order_id": order_id, **fields}
        self.done(f"report.{place}", {"session": "s1", "reports": [report]})

    def accept(self, order_id: str) -> None:
        self.told("accepted", order_id, venue_order_id=f"v{self.numbers}", venue_time=1)

    def trade(self, order_id: str, quantity: str, price: str, fee: str = "0", asset: str = "USDT") -> None:
        order = self.state.orders[order_id]
        self.told("filled", order_id, symbol=order.symbol, side=order.side.value, quantity=quantity, price=price,
            trade_id=f"t{self.numbers}", fee=fee, fee_asset=asset, maker=False, venue_time=self.now)  # fmt: skip

    def cancels(self, order_id: str) -> bool:
        """Whether a cancel of it goes."""
        return self.reply(*_of_order(self, "cancel", order_id))["ok"] is True

    def _assign(self, strategy: str, account: str, capital: str | None) -> None:
        subject, fields = _assigning(strategy, account, capital)
        self.command(subject, **fields)


# -- what happened before


def _sent(desk: ControlDesk, words: Words) -> None:
    desk.placed(words)


def _denied(desk: ControlDesk, words: Words) -> None:
    reply = desk.reply(*desk.terms(words))
    assert not reply["ok"], (words.text, reply)


def _works(desk: ControlDesk, words: Words) -> None:
    desk.accept(desk.placed(words))


def _traded(side: str) -> Callable[[ControlDesk, Words], None]:
    def step(desk: ControlDesk, words: Words) -> None:
        words.left.insert(0, side)
        fee, asset = "0", "USDT"
        if "fee" in words.left:
            at = words.left.index("fee")
            fee, asset = words.left[at + 1 : at + 3]
            del words.left[at : at + 3]
        price = next(word for word in words.left if word[0] == "@")[1:]
        quantity = words.left[1]
        desk.trade(desk.placed(words), quantity, price, fee, asset)

    return step


def _filled(desk: ControlDesk, words: Words) -> None:
    order_id = desk.order(words)
    desk.trade(order_id, words.next(), words.next()[1:])


def _appeared(desk: ControlDesk, words: Words) -> None:
    subject, fields = desk.terms(words)
    _, exchange, account, market, symbol = subject.split(".")
    desk.numbers += 1
    found = {
        "report": "found",
        "order_id": f"web{desk.numbers}",
        "venue_order_id": f"v{desk.numbers}",
        "symbol": symbol,
    }
    told = {**fields, **found}
    del told["command_id"]
    before = set(desk.state.orders)
    desk.done(f"report.{exchange}.{account}.{market}._", {"session": "s1", "reports": [told]})
    desk.orders += [order_id for order_id in desk.state.orders if order_id not in before]


def _gone(desk: ControlDesk, words: Words) -> None:
    desk.told("canceled", desk.order(words), reason="", venue_time=1)


def _doubt(desk: ControlDesk, words: Words) -> None:
    desk.told("in_doubt", desk.order(words), reason="timeout")


def _turned_down(desk: ControlDesk, words: Words) -> None:
    desk.told("rejected", desk.order(words), reason="", venue_time=1)


def _stays(desk: ControlDesk, words: Words) -> None:
    desk.told("cancel_rejected", desk.order(words), reason="", venue_time=1)


def _rejected(desk: ControlDesk, words: Words) -> None:
    count = int(words.next())
    rest = " ".join(words.left)
    for number in range(count):
        order_id = desk.placed(Words(f"buy 0.1 @{40_000 + number} {rest}"))
        desk.told("rejected", order_id, reason="", venue_time=1)
    words.left = []


def _differences(desk: ControlDesk, words: Words) -> None:
    count, market, account = int(words.next()), PLACES[words.after("of")][0], words.after("on", "main")
    found = [{"kind": "trade", "key": str(n), "expected": "", "found": "1"} for n in range(count)]
    desk.numbers += 1
    counted = {"orders": 0, "trades": count, "balances": 0, "positions": 0}
    place = f"binance.{account}.{market}._"
    asked = desk.command(f"reconcile.{place}")["command_id"]
    said = {"session": "s1", "request_id": asked, "started_at": 1, "differences": found, **counted}
    desk.done(f"report_reconciliation.{place}", said)


def _mark(desk: ControlDesk, words: Words) -> None:
    market, symbol = PLACES[words.after("of")]
    desk.done(f"report_marks.binance._.{market}._", {"marks": {symbol: words.next()}})


def duration(text: str) -> int:
    """``1.5s`` in ns."""
    unit = text.lstrip("0123456789.")
    whole, _, part = text.removesuffix(unit).partition(".")
    size = _UNITS[unit]
    return int(whole) * size + (int(part) * size // 10 ** len(part) if part else 0)


def _wait(desk: ControlDesk, words: Words) -> None:
    desk.now += duration(words.next())


def _clock(desk: ControlDesk, words: Words) -> None:
    """Let the clock come to a time of the day that rows begin on, or of the next one."""
    tomorrow = words.flag("tomorrow")
    hours, minutes, seconds = words.next().split(":")
    whole, _, part = seconds.partition(".")
    at = (int(hours) * 3_600 + int(minutes) * 60 + int(whole)) * SECOND + int((part or "0").ljust(9, "0"))
    desk.now, before = MIDNIGHT + tomorrow * DAY + at, desk.now
    assert desk.now >= before


def _watch(desk: ControlDesk, words: Words) -> None:
    desk.done("check_risk._._._._", {})


def _holds(desk: ControlDesk, words: Words) -> None:
    account, market = words.next(), PLACES[words.after("of")][0]
    totals = {}
    while words.left:
        amount = words.next()
        totals[words.next()] = amount
    desk.holds(account, market, totals)


def _funding(desk: ControlDesk, words: Words) -> None:
    desk.numbers += 1
    paid = {"report": "funding", "symbol": "BTCUSDT", "asset": "USDT", "amount": words.next()}
    paid |= {"funding_id": f"f{desk.numbers}", "venue_time": desk.now}
    desk.done("report.binance.main.futures._", {"session": "s1", "reports": [paid]})


def _leverage(desk: ControlDesk, words: Words) -> None:
    told = {"report": "terms", "symbol": "BTCUSDT", "leverage": words.next(), "margin_mode": "cross"}
    desk.done("report.binance.main.futures._", {"session": "s1", "reports": [told]})


def _liquidation(desk: ControlDesk, words: Words) -> None:
    """The venue shows all that is held; of one symbol this price, of others what it showed before."""
    market, symbol = PLACES[words.after("of", "perp")]
    shown = {
        name: held.liquidation_price
        for name, held in desk.state.positions_of["binance", "main", market].items()
        if held.quantity
    } | {symbol: words.next()}
    held = desk.state.positions_of["binance", "main", market]
    told = [
        {"symbol": name, "quantity": str(held[name].quantity)}
        | ({} if price is None else {"liquidation_price": str(price)})
        for name, price in shown.items()
    ]
    desk.done(f"report_positions.binance.main.{market}._", {"session": "s1", "positions": told})


def _shows(desk: ControlDesk, words: Words) -> None:
    """The venue shows another quantity of one symbol, and of others what is held."""
    entry, quantity = words.begins("@"), words.next()
    market, symbol = PLACES[words.after("of", "perp")]
    held = desk.state.positions_of.get(("binance", "main", market), {})
    told = [
        {"symbol": name, "quantity": str(each.quantity)}
        for name, each in held.items()
        if each.quantity and name != symbol
    ]
    shown = {"symbol": symbol, "quantity": quantity} | ({} if entry is None else {"entry_price": entry})
    desk.done(f"report_positions.binance.main.{market}._", {"session": "s1", "positions": [*told, shown]})


def _valued(desk: ControlDesk, words: Words) -> None:
    """At a rate, or ``by`` the mark of an instrument of spot."""
    symbol, asset = words.after("by"), words.next()
    worth = {"instrument": f"binance.spot.{symbol}"} if symbol else {"rate": words.next()}
    desk.command("set_valuation._._._._", asset=asset, by="ann", **worth)


def _assigning(strategy: str, account: str, capital: str | None) -> tuple[str, Any]:
    return f"assign_strategy._.{account}._._", {"strategy": strategy, "capital": capital, "by": "ann"}


def _assigned(desk: ControlDesk, words: Words) -> None:
    desk._assign(words.next(), words.next(), words.next())


def _unassigned(desk: ControlDesk, words: Words) -> None:
    desk._assign(words.next(), words.next(), None)


def _limit(desk: ControlDesk, words: Words) -> None:
    scope, name, value = words.next(), words.next(), words.next()
    desk.limit(SCOPES.get(scope, scope), **{name: value})


def _overridden(desk: ControlDesk, words: Words) -> None:
    name, control, value, lasts = words.next(), words.next(), words.next(), words.next()
    scope = SCOPES.get(name, name)
    fields = {"scope": scope, "limits": {control: value}, "until": desk.now + duration(lasts), "by": "ann"}
    desk.command(f"override_limits.{tokens(scope)}", **fields)


def _must(verb: str) -> Callable[[ControlDesk, Words], None]:
    """Something that is a verb as well, and has to be let through."""

    def step(desk: ControlDesk, words: Words) -> None:
        subject, fields = _VERBS[verb](desk, words)
        reply = desk.done(subject, fields)
        if verb == "transfer":
            desk.transfers.append(reply["transfer_id"])

    return step


def _settled(state: str) -> Callable[[ControlDesk, Words], None]:
    def step(desk: ControlDesk, words: Words) -> None:
        told = {"session": "s1", "transfer_id": desk.transfers[-1], "state": state}
        desk.done("report_transfer.binance.main.spot._", told)

    return step


# -- what is done


def _place(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    return desk.terms(words)


def _of_order(desk: ControlDesk, verb: str, order_id: str, **fields: Any) -> tuple[str, Any]:
    order = desk.state.orders[order_id]
    said = {"command_id": desk.next_id(), "order_id": order_id, **fields}
    return f"{verb}.{order.exchange}.{order.account}.{order.market}._", said


def _amend(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    order_id, price = desk.order(words), words.begins("@")
    fields = {} if price is None else {"price": price}
    if words.left:
        fields["quantity"] = words.next()
    return _of_order(desk, "amend", order_id, **fields)


def _cancel(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    return _of_order(desk, "cancel", desk.order(words))


def _transfer(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    """``transfer 50 USDT main to sub``, from spot to spot, or ``of perp`` from the wallet of futures."""
    market = PLACES[words.after("of")][0]
    to, amount, asset, source = words.after("to"), words.next(), words.next(), words.next()
    fields = {"command_id": desk.next_id(), "to": to, "asset": asset, "amount": amount, "by": "ann"}
    return f"transfer.binance.{source}.{market}._", fields


def _assign(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    subject, fields = _assigning(words.next(), words.next(), words.next())
    return subject, {"command_id": desk.next_id(), **fields}


def _set_leverage(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    return "set_terms.binance.main.futures.BTCUSDT", {"command_id": desk.next_id(), "leverage": words.next()}


def _look(desk: ControlDesk, words: Words) -> tuple[str, Any]:
    return "check_risk._._._._", {}


def _scoped(verb: str) -> Callable[[ControlDesk, Words], tuple[str, Any]]:
    def make(desk: ControlDesk, words: Words) -> tuple[str, Any]:
        name = words.next()
        scope = SCOPES.get(name, name)
        fields: dict[str, Any] = {"command_id": desk.next_id(), "scope": scope, "by": "ann"}
        if words.flag("reducing-allowed"):
            fields["allow_reduce_only"] = True
        return f"{verb}.{tokens(scope)}", fields

    return make


_STEPS: Final[dict[str, Callable[[ControlDesk, Words], None]]] = {
    "sent": _sent,
    "denied": _denied,
    "works": _works,
    "bought": _traded("buy"),
    "sold": _traded("sell"),
    "filled": _filled,
    "appeared": _appeared,
    "gone": _gone,
    "doubt": _doubt,
    "stays": _stays,
    "turned-down": _turned_down,
    "rejected": _rejected,
    "differences": _differences,
    "mark": _mark,
    "wait": _wait,
    "clock": _clock,
    "watch": _watch,
    "holds": _holds,
    "funding": _funding,
    "leverage": _leverage,
    "liquidation": _liquidation,
    "shows": _shows,
    "valued": _valued,
    "assign": _assigned,
    "unassign": _unassigned,
    "limit": _limit,
    "overridden": _overridden,
    "amended": _must("amend"),
    "cancelled": _must("cancel"),
    "transferred": _must("transfer"),
    "arrived": _settled("done"),
    "came-to-nothing": _settled("rejected"),
    "killed": _must("kill"),
    "released": _must("release"),
}
_VERBS: Final[dict[str, Callable[[ControlDesk, Words], tuple[str, Any]]]] = {
    "place": _place,
    "amend": _amend,
    "cancel": _cancel,
    "transfer": _transfer,
    "assign": _assign,
    "leverage": _set_leverage,
    "watch": _look,
    "kill": _scoped("kill"),
    "release": _scoped("release"),
}
