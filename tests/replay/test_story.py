"""An order's whole life, told from the journal; the controls explained as they were decided."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.config import CacheConfig
from oms.handlers.place import decide_place
from oms.handlers.target import Target, full_target
from oms.messages import codec
from oms.messages.codes import Code, Refused
from oms.messages.events import OrderDenied
from oms.messages.frames import decode_frame
from oms.messages.subjects import parse_subject
from oms.projections.statements import RULES as RULES_OF_STATEMENTS
from oms.projections.statements import Statements
from replay.asking import wording
from replay.asking.controls import RULES, Explained, explain_place
from replay.asking.steps import Steps
from replay.asking.story import Story, story
from replay.cli.order import _summary
from replay.rebuild import new_history
from tests import strategies as gen
from tests.replay.journal import Maker
from tests.unit.desk import BTC, PERP, START, Desk

NOW = START + 10**12


# -- controls


@st.composite
def desks(draw: st.DrawFn) -> Desk:
    """A desk of any instrument terms, sessions, funds, marks, position and working orders."""
    desk = Desk(ready=False)
    desk.register("main", "MAIN")
    market = draw(st.sampled_from(["spot", "perp"]))
    spec = draw(
        st.sampled_from([{**BTC, "max_quantity": "50", "max_notional": "400"}, BTC])
        if market == "spot"
        else st.just({**PERP, "symbol": "BTCUSDT"})
    )
    spec = spec | {"trading": draw(st.sampled_from([True] * 9 + [False]))}
    if draw(st.sampled_from([True, True, True, False])):
        desk.list(market, spec)
    else:
        desk.list(market, draw(gen.instruments(market=market)))
    place = f"binance.main.{market}._"
    session = draw(st.sampled_from(["ready"] * 9 + ["open", "closed", "never"]))
    if session != "never":
        desk.ask(f"open_session.{place}", {"session": "s1", "ready": False})
        totals = {
            asset: draw(st.sampled_from(["0", "9", "300", "9000", "9000"])) for asset in ("USDT", "BTC")
        }
        desk.ask(f"report_balances.{place}", {"session": "s1", "totals": totals})
        if draw(st.booleans()):
            fill = {
                "report": "filled",
                "order_id": "someone",
                "symbol": "BTCUSDT",
                "side": draw(gen.SIDES),
                "trade_id": "t1",
                "quantity": draw(gen.decimals("1", "5", 0)),
                "price": "100",
                "fee": "0",
                "fee_asset": "",
                "maker": False,
                "venue_time": 1,
            }
            desk.ask(f"report.{place}", {"session": "s1", "reports": [fill]})
    if draw(st.sampled_from([True, True, True, False])):
        desk.ask(
            f"report_marks.binance._.{market}._", {"marks": {"BTCUSDT": draw(gen.decimals("1", "150", 0))}}
        )
    if session == "ready":
        desk.ask(f"open_session.{place}", {"session": "s1", "ready": True})
        for terms in draw(st.lists(PLACES, max_size=3)):
            payload = {"command_id": desk.next_id(), **terms}
            desk.ask(f"place.binance.main.{market}.BTCUSDT", payload)
    if session == "closed":
        desk.ask(f"close_session.{place}", {"session": "s1", "reason": ""})
    return desk


PLACES = gen.places(
    quantities=st.sampled_from(["1", "2", "3", "5", "1.5", "0.0005", "0.02", "60"]),
    prices=gen.decimals("90", "110", 0) | st.sampled_from(["100.005", "0.01"]),
    now=NOW,
)


def decided(state: Partition, target: Target, command: Any) -> tuple[Code | None, Code | None]:
    """The code that a place is refused with, and the one it is denied with."""
    try:
        (made,) = decide_place(state, target, command, NOW)
    except Refused as refused:
        return refused.code, None
    return None, made.code if isinstance(made, OrderDenied) else None


def explained(desk: Desk, target: Target, command: Any, now: int = NOW) -> Explained:
    """How a place is decided on a desk, with who said what as its commits do."""
    statements = Statements()
    for sequence, payload in enumerate(desk.frames, 1):
        for commit in decode_frame(payload).commits:
            for each in commit.events:
                if type(each) in RULES_OF_STATEMENTS:
                    statements.evolve(each, commit.at, sequence)
    return explain_place(desk.state, statements, target, command, now)


@given(desk=desks(), terms=PLACES)
def test_controls_are_explained_as_decided(desk: Desk, terms: dict[str, Any]) -> None:
    """For any state and any place, the first control that is told not to hold is the code that the decision denies with;
    all hold where it places; and what it refuses without a trace is refused here with the same code."""
    market = next(iter(desk.state.instruments))[1]
    subject = parse_subject(f"place.binance.main.{market}.BTCUSDT")
    command = codec.decode_command("place", json.dumps({"command_id": "c", **terms}).encode())
    target = full_target(subject, command)
    with exactly():
        refused, denied = decided(desk.state, target, command)
        if refused is not None:
            with pytest.raises(Refused) as told:
                explained(desk, target, command)
            assert told.value.code is refused
            return
        before = desk.state.digest()
        found = explained(desk, target, command)
        assert decided(desk.state, target, command) == (None, denied)
        assert desk.state.digest() == before
    event(f"{denied}")
    assert (None if found.denied_by is None else found.denied_by.code) == denied
    if denied is None:
        assert all(control.held for control in found.controls)
        assert found.needs is not None
        assert found.needs <= max(found.free, Decimal(0))


SAID = [
    ("global", "_._._._", "max_order_value", "150"),
    ("global", "_._._._", "duplicate_window", "60s"),
    ("global", "_._._._", "self_trade", "cancel_incoming"),
    ("global", "_._._._", "restricted", "on"),
    ("exchange:*", "_._._._", "max_open_orders", "1"),
    ("account:*", "_._._._", "max_position", "200"),
    ("account:main", "_.main._._", "max_exposure", "250"),
    ("account:main", "_.main._._", "reduce_only", "on"),
    ("strategy:", "_._._._", "max_order_quantity", "2"),
    ("strategy:*", "_._._._", "max_messages", "2"),
    ("strategy:*", "_._._._", "price_collar", "0.05"),
    ("global", "_._._._", "unassigned_strategies", "deny"),
]


@given(
    desk=desks(),
    terms=PLACES,
    said=st.lists(st.sampled_from(SAID), max_size=6, unique=True),
    killed=st.sampled_from(["", "", "", "global", "account:main"]),
    reducing=st.booleans(),
)
@settings(max_examples=40)
def test_limits_are_explained_as_decided(
    desk: Desk,
    terms: dict[str, Any],
    said: list[tuple[str, str, str, str]],
    killed: str,
    reducing: bool,
) -> None:
    """Whatever limits and kill switches there are: the one named is what the live decision denies with, and names its event;
    where it lets the order through every one has held; and asking leaves limits, latches and decisions as they were."""
    for scope, tokens, control, value in said:
        about = {"command_id": desk.next_id(), "scope": scope, "by": "kim"}
        assert desk.ask(f"set_limits.{tokens}", {**about, "limits": {control: value}}).reply.ok
    if killed:
        tokens = "_._._._" if killed == "global" else "_.main._._"
        about = {"command_id": desk.next_id(), "scope": killed, "by": "ana", "allow_reduce_only": reducing}
        assert desk.ask(f"kill.{tokens}", about).reply.ok
    market = next(iter(desk.state.instruments))[1]
    command = codec.decode_command("place", json.dumps({"command_id": "c", **terms}).encode())
    target = full_target(parse_subject(f"place.binance.main.{market}.BTCUSDT"), command)
    with exactly():
        refused, denied = decided(desk.state, target, command)
        if refused is not None:
            return
        before = desk.state.digest()
        found = explained(desk, target, command)
        assert decided(desk.state, target, command) == (None, denied)
        assert desk.state.digest() == before
    event(f"{denied}")
    by = found.denied_by
    assert (None if by is None else by.code) == denied
    if by is None:
        assert all(control.held for control in found.controls)
    elif by.control != RULES:
        assert by.stated is not None
        assert by.stated.by == ("ana" if by.control == "kill_switch" else "kim")
        assert by.stated.sequence > 1
    rows = {(each.scope, each.control) for each in found.controls}
    assert (("account:main", "max_position") in rows) is any(each[2] == "max_position" for each in said)


def test_capital_is_a_control_of_its_own() -> None:
    """What a strategy is assigned stands beside the limits: with its use, and as what denied the order where it did."""
    maker = Maker()
    maker.begin()
    about = {"strategy": "arb", "capital": "8000", "by": "kim"}
    assert maker.command("assign_strategy._.sub_arb._._", **about).reply.ok
    let = maker.place("sub_arb", quantity="0.1", price="49000", strategy="arb")
    denied = maker.place("sub_arb", quantity="0.1", price="48000", strategy="arb")
    maker.cut()
    for order_id, held in ((let, True), (denied, False)):
        made = told(maker, order_id).steps[0].made
        assert made is not None
        assert made.controls is not None
        rules, capital = made.controls.controls
        assert (rules.control, rules.held, capital.control, capital.held) == (RULES, True, "capital", held)
        assert (capital.limit, capital.used) == ("8000", 0 if held else 5000)
        assert capital.stated is not None
        assert capital.stated.by == "kim"
        assert made.controls.denied_by is (None if held else capital)


def test_a_denied_order_names_limit_figure_and_who_set_it() -> None:
    """What stood at that moment, not what holds now: the limit then, its use right before, and the event that set it."""
    maker = Maker()
    maker.begin()
    about = {"scope": "account:sub_arb", "by": "kim"}
    maker.command("set_limits._.sub_arb._._", limits={"max_exposure": "8000"}, **about)
    maker.cut()
    said = maker.sequence
    maker.place("sub_arb", quantity="0.1", price="49000")
    denied = maker.place("sub_arb", quantity="0.1", price="49000", strategy="arb")
    maker.cut()
    maker.command("set_limits._.sub_arb._._", limits={"max_exposure": "off"}, **about)
    let = maker.place("sub_arb", quantity="0.1", price="49000", strategy="arb")
    maker.cut()
    made = told(maker, denied).steps[0].made
    assert made is not None
    assert made.controls is not None
    by = made.controls.denied_by
    assert by is not None
    assert (by.control, by.scope, by.limit, by.code) == (
        "max_exposure",
        "account:sub_arb",
        "8000",
        "MAX_EXPOSURE",
    )
    assert (by.used, by.headroom) == (5000, 3000)
    assert "10000" in by.message
    assert by.stated is not None
    assert (by.stated.sequence, by.stated.by) == (said, "kim")
    assert (made.controls.mark, made.controls.unit) == (50000, 50000)
    passed = told(maker, let).steps[0].made
    assert passed is not None
    assert passed.controls is not None
    assert passed.controls.denied_by is None
    assert [each.control for each in passed.controls.controls] == [RULES]


@pytest.fixture(scope="module")
def bounded() -> Desk:
    """A desk with 300 USDT and 1.5 BTC free, long 2 BTC of which 0.5 are being reduced; long 4 contracts on perp."""
    desk = Desk(ready=False)
    desk.register("main", "MAIN")
    terms = {"min_quantity": "0.01", "max_quantity": "50", "max_notional": "400"}
    desk.list("spot", {**BTC, **terms})
    desk.list("perp", {**PERP, "symbol": "BTCUSDT", "max_notional": "40"})
    for market in ("spot", "perp"):
        desk.open("main", market, {"USDT": "500"})
        desk.ask(f"report_marks.binance._.{market}._", {"marks": {"BTCUSDT": "100"}})
        fill = {
            "report": "filled",
            "order_id": "someone",
            "symbol": "BTCUSDT",
            "side": "buy",
            "trade_id": "t",
        }
        fill |= {"quantity": "2" if market == "spot" else "4", "price": "100", "fee": "0", "fee_asset": ""}
        fill |= {"maker": False, "venue_time": 1}
        desk.ask(f"report.binance.main.{market}._", {"session": "s1", "reports": [fill]})
    desk.place(side="sell", quantity="0.5", price="110", reduce_only=True)
    return desk


def _buy(quantity: str, price: str | None = "100", **fields: Any) -> dict[str, Any]:
    return {"side": "buy", "type": "limit", "quantity": quantity, "price": price, **fields}


def _sell(quantity: str, price: str | None = "100", **fields: Any) -> dict[str, Any]:
    return {**_buy(quantity, price, **fields), "side": "sell"}


_STOP = {"type": "stop_market", "price": None}
_MARKET = {"type": "market", "price": None}
_GTD = {"time_in_force": "GTD"}
AT_THE_BOUND: list[tuple[str, dict[str, Any], Code | None]] = [
    ("spot", _buy("3"), None),
    ("spot", _buy("3.001"), Code.INSUFFICIENT_FUNDS),
    ("spot", _buy("2.857", **_MARKET), None),
    ("spot", _buy("2.858", **_MARKET), Code.INSUFFICIENT_FUNDS),
    ("spot", _buy("2.857", trigger_price="100", **_STOP), None),
    ("spot", _buy("2.858", trigger_price="100", **_STOP), Code.INSUFFICIENT_FUNDS),
    ("spot", _sell("1.5"), None),
    ("spot", _sell("1.501"), Code.INSUFFICIENT_FUNDS),
    ("spot", _sell("1.5", reduce_only=True), None),
    ("spot", _sell("1.501", reduce_only=True), Code.REDUCE_ONLY),
    ("spot", _buy("0.1", reduce_only=True), Code.REDUCE_ONLY),
    ("spot", _buy("0.01", "500"), None),
    ("spot", _buy("0.01", "499.99"), Code.NOTIONAL_TOO_SMALL),
    ("spot", _sell("1", "400"), None),
    ("spot", _sell("1", "400.01"), Code.NOTIONAL_TOO_LARGE),
    ("spot", _buy("0.009", "600"), Code.QUANTITY_TOO_SMALL),
    ("spot", _buy("50", "0.1"), None),
    ("spot", _buy("50.001", "0.1"), Code.QUANTITY_TOO_LARGE),
    ("spot", _buy("1.0005"), Code.STEP_SIZE),
    ("spot", _buy("1", "100.005"), Code.TICK_SIZE),
    ("spot", _buy("1", trigger_price="100.005", **_STOP), Code.TICK_SIZE),
    ("spot", _buy("1", expires_at=NOW + 1, **_GTD), None),
    ("spot", _buy("1", expires_at=NOW, **_GTD), Code.EXPIRES_AT_PAST),
    ("perp", _buy("1", "50"), None),
    ("perp", _buy("1", "49.99"), Code.NOTIONAL_TOO_SMALL),
    ("perp", _buy("4", "100"), None),
    ("perp", _buy("5", "100"), Code.NOTIONAL_TOO_LARGE),
    ("perp", _sell("4", reduce_only=True), None),
    ("perp", _sell("4", "99"), None),
    ("perp", _buy("46", "100.01"), Code.NOTIONAL_TOO_LARGE),
    ("perp", _sell("5", "60", reduce_only=True), Code.REDUCE_ONLY),
]


@pytest.mark.parametrize("market, terms, code", AT_THE_BOUND)
def test_controls_at_their_bounds(
    bounded: Desk, market: str, terms: dict[str, Any], code: Code | None
) -> None:
    """Right at every bound and one step beyond it, what is told is what is decided."""
    command = codec.decode_command("place", json.dumps({"command_id": "c", **terms}).encode())
    target = full_target(parse_subject(f"place.binance.main.{market}.BTCUSDT"), command)
    with exactly():
        assert decided(bounded.state, target, command) == (None, code)
        first = explained(bounded, target, command).denied_by
    assert (None if first is None else first.code) == code


# -- a life


def told(maker: Maker, order_id: str) -> Story:
    """The story of an order, by moving over a whole journal."""
    history, steps = new_history(CacheConfig()), Steps([order_id])
    for stored in maker.stored:
        steps.apply(history, stored)
    with exactly():
        return story(order_id, steps.of[order_id], (1, maker.sequence))


def test_a_life_from_command_to_end() -> None:
    """An order's story has the command as it came, the controls, what was sent, each report as written, the trades with
    what they realised, the states in between and how long each answer took."""
    maker = Maker()
    maker.begin()
    maker.place(quantity="3", price="90")
    bought = maker.place(quantity="3", price="100", strategy="arb", client_order_id="mine")
    maker.cut()
    maker.accept(bought)
    maker.fill(bought, "1", "100", fee="0.5")
    sold = maker.place(side="sell", quantity="2", price="110", strategy="arb")
    maker.cut()
    maker.accept(sold)
    maker.fill(sold, "0.5", "110", fee="0.001", fee_asset="BNB")
    asked = {"command_id": "gone", "order_id": sold}
    maker.ask("cancel.binance.main.spot.BTCUSDT", **asked)
    maker.report(
        {"report": "accepted", "order_id": sold, "venue_order_id": "again", "venue_time": 1},
        {"report": "canceled", "order_id": sold, "reason": "asked", "venue_time": maker.clock + 700},
    )
    maker.cut()

    life = told(maker, sold)
    assert (life.origin, life.status, life.filled, life.average) == (
        "placed",
        "CANCELED",
        Decimal("0.5"),
        110,
    )
    assert (life.realised, life.settle, life.fees) == (Decimal(5), "USDT", {"BNB": Decimal("0.001")})
    assert [change.status for change in life.changes] == [
        "PENDING_NEW",
        "NEW",
        "PARTIALLY_FILLED",
        "PENDING_CANCEL",
        "CANCELED",
    ]
    placed, accepted, filled, cancel, canceled = life.steps
    assert [step.by for step in life.steps] == ["client", "connector", "connector", "client", "connector"]
    assert placed.command is not None
    assert json.loads(placed.command) == {
        "command_id": "c5",
        "side": "sell",
        "type": "limit",
        "quantity": "2",
        "price": "110",
        "strategy": "arb",
    }
    assert placed.made is not None
    assert (placed.made.account_kind, placed.made.engine, placed.made.session) == ("MAIN", "e1", "s1")
    told_ = placed.made.controls
    assert told_ is not None
    assert all(control.held for control in told_.controls)
    assert (told_.asset, told_.needs, told_.free) == ("BTC", 2, 1_000_000_001)
    (sent,) = placed.parts[0].sent
    assert (sent.session, type(sent.instruction).__name__) == ("s1", "Submit")
    assert json.loads(accepted.parts[0].report or "")["venue_order_id"] == f"v{sold}"
    assert [type(sent.instruction).__name__ for sent in cancel.parts[0].sent] == ["Cancel"]
    nothing, ended = canceled.parts
    assert (nothing.events, len(ended.events)) == ([], 1)
    assert filled.parts[0].realised == [5]
    step = maker.step
    assert {(each.name, each.ours, each.venue) for each in life.latencies} == {
        ("place → acknowledged", step, 0),
        ("acknowledged → first trade", step, step),
        ("place → first trade", 2 * step, step),
        ("cancel → canceled", step, 700),
        ("place → end", 4 * step, None),
    }


def test_an_order_that_a_kill_switch_ended_says_so() -> None:
    """The venue says "canceled"; the head of the story says why we asked. A cancel that it refused is no reason."""
    maker = Maker()
    maker.begin()
    killed, free = maker.place(quantity="3", price="90"), maker.place("sub_arb", quantity="3", price="90")
    maker.accept(killed)
    maker.accept(free, "sub_arb")
    maker.command("kill._.main._._", scope="account:main", by="ann")
    maker.report({"report": "canceled", "order_id": killed, "reason": "canceled", "venue_time": 1})
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", by="ann")
    refused = {"report": "cancel_rejected", "order_id": free, "reason": "busy", "venue_time": 1}
    maker.report(refused, account="sub_arb")
    maker.cut()
    story = told(maker, killed)
    assert (story.status, story.reason, story.cancel_reason) == ("CANCELED", "canceled", "kill")
    assert "CANCELED: canceled (cancel requested, a kill switch is engaged)" in [*_summary(story)]
    assert told(maker, free).cancel_reason is None


def test_a_denied_order_says_why() -> None:
    """The story of a denied order names the control, and shows it as the first that did not hold."""
    maker = Maker()
    maker.begin(fund="99")
    denied = maker.place(quantity="1", price="100")
    maker.cut()
    life = told(maker, denied)
    assert (life.origin, life.status) == ("denied", "DENIED")
    assert life.denied is not None
    assert (life.denied.code, life.denied.message) == (
        "INSUFFICIENT_FUNDS",
        "needs 100.0000000 USDT, free is 99",
    )
    made = life.steps[0].made
    assert made is not None
    assert made.controls is not None
    control = made.controls.denied_by
    assert control is not None
    assert (control.control, control.code, made.controls.free) == (RULES, "INSUFFICIENT_FUNDS", 99)


def test_a_denied_amend_is_told() -> None:
    """An order's story has the amend that a control stood against, with what was asked for and why, and goes on as it was."""
    maker = Maker()
    maker.begin(fund="150")
    order_id = maker.place(quantity="1", price="100")
    maker.accept(order_id)
    maker.command("amend.binance.main.spot._", order_id=order_id, quantity="2")
    maker.fill(order_id, "1", "100")
    maker.cut()
    life = told(maker, order_id)
    assert (life.quantity, life.status) == (1, "FILLED")
    [step] = [step for step in life.steps if step.verb == "amend"]
    assert (step.by, [part.sent for part in step.parts]) == ("client", [[]])
    [event] = [event for part in step.parts for event in part.events]
    words = "amend to 2 denied, INSUFFICIENT_FUNDS: needs 100.0000000 USDT, free is 50.0000000"
    assert wording.event(event) == words
    assert "refused" not in " ".join(each.name for each in life.latencies)


def test_an_adopted_order_says_so() -> None:
    """An order that was found at the venue has no command and no controls, and is known by both of its ids."""
    maker = Maker()
    maker.begin()
    maker.report(
        {"report": "found", "order_id": "web_1", "venue_order_id": "v9", "symbol": "BTCUSDT", "side": "buy"}
        | {"type": "limit", "quantity": "2", "price": "100"},
        {"report": "filled", "order_id": "web_1", "symbol": "BTCUSDT", "side": "buy", "trade_id": "t"}
        | {"quantity": "2", "price": "100", "fee": "0", "fee_asset": "", "maker": True, "venue_time": 5},
    )
    maker.cut()
    (adopted,) = maker.state.orders
    life = told(maker, adopted)
    assert (life.origin, life.status, life.venue_order_ids) == ("adopted", "FILLED", ["v9"])
    (step,) = life.steps
    assert [len(part.events) for part in step.parts] == [1, 1]
    assert step.made is not None
    assert step.made.controls is None
    assert step.made.why


def test_trades_without_an_order_say_so() -> None:
    """Trades under an id that no order ever had are told as such."""
    maker = Maker()
    maker.begin()
    maker.report(
        {"report": "filled", "order_id": "nobodys", "symbol": "BTCUSDT", "side": "buy", "trade_id": "t"}
        | {"quantity": "2", "price": "100", "fee": "0", "fee_asset": "", "maker": True, "venue_time": 5},
    )
    maker.cut()
    life = told(maker, "nobodys")
    assert (life.origin, life.terms, life.status, life.filled) == ("stranger", None, None, 2)


def test_doubt_amend_sessions_and_late_trades_are_told() -> None:
    """Doubts with the look-ups that followed, amends, a cancel repeated to a new session, what was asked while nobody
    served the account, and a trade that came after the end and after the order left the hot state: all are in the story."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="2")
    maker.report({"report": "in_doubt", "order_id": order_id, "reason": "timeout"})
    maker.accept(order_id)
    maker.command("amend.binance.main.spot._", order_id=order_id, quantity="3")
    maker.report(
        {"report": "amended", "order_id": order_id, "venue_order_id": "v2", "venue_time": 1, "revision": 1}
    )
    maker.cut()
    maker.ask("close_session.binance.main.spot._", session="s1", reason="gone")
    maker.command("cancel.binance.main.spot._", order_id=order_id)
    maker.ask("open_session.binance.main.spot._", session="s2", ready=False)
    maker.ask("open_session.binance.main.spot._", session="s2", ready=True)
    end = {"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 9, "revision": 1}
    maker.ask("report.binance.main.spot._", session="s2", reports=[end])
    maker.cut()
    maker.clock += 2 * 3_600 * 10**9
    maker.place()
    assert order_id not in maker.state.orders
    late = {"report": "filled", "order_id": order_id, "symbol": "BTCUSDT", "side": "buy", "trade_id": "t"}
    late |= {"quantity": "1", "price": "100", "fee": "0", "fee_asset": "", "maker": True, "venue_time": 5}
    maker.ask("report.binance.main.spot._", session="s2", reports=[late])
    maker.cut()

    life = told(maker, order_id)
    sent = [
        (step.verb, each.session, type(each.instruction).__name__)
        for step in life.steps
        for part in step.parts
        for each in part.sent
    ]
    assert sent == [
        ("place", "s1", "Submit"),
        ("report", "s1", "LookUp"),
        ("amend", "s1", "Amend"),
        ("cancel", "", "Cancel"),
        ("open_session", "s2", "Cancel"),
    ]
    assert (life.quantity, life.status, life.filled, life.reason) == (3, "CANCELED", 1, "asked")
    assert [fill.late for fill in life.fills] == [True]
    assert life.venue_order_ids == [f"v{order_id}", "v2"]
    assert [each.name for each in life.latencies] == [
        "place → acknowledged",
        "doubt → resolved",
        "amend → amended",
        "cancel → canceled",
        "acknowledged → first trade",
        "place → first trade",
        "place → end",
    ]


def test_trades_taken_back_and_terms_changed_at_the_venue_are_told() -> None:
    """A trade taken back counts against what was filled, paid and realised, and both stay told; terms are the venue's."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="5", strategy="arb")
    maker.accept(order_id)
    maker.fill(order_id, "1", "100", fee="0.1")
    wrong = maker.fill(order_id, "2", "90", fee="0.2")
    maker.bust(order_id, wrong)
    restated = {"report": "restated", "order_id": order_id, "quantity": "4", "price": "101"}
    maker.report({**restated, "venue_time": 5, "reason": "self_trade_prevention"})
    maker.cut()
    life = told(maker, order_id)
    assert (life.status, life.filled, life.average) == ("PARTIALLY_FILLED", 1, 100)
    assert (life.quantity, life.price) == (4, 101)
    assert life.fees == {"USDT": Decimal("0.1")}
    assert [(fill.quantity, fill.price, fill.busted) for fill in life.fills] == [
        (1, 100, False),
        (2, 90, False),
        (2, 90, True),
    ]
    reports = [part.report for step in life.steps for part in step.parts if part.report]
    names = [[type(event).__name__ for event in part.events] for step in life.steps for part in step.parts]
    assert names == [
        ["OrderPlaced"],
        ["OrderAccepted"],
        ["OrderFilled"],
        ["OrderFilled"],
        ["TradeBusted"],
        ["OrderRestated"],
    ]
    assert [json.loads(report)["report"] for report in reports][-2:] == ["busted", "restated"]
    # Three at 93.33 on average; taking two of them back at 90 leaves the loss in the one that stays, and its cost.
    assert life.realised == maker.state.positions["binance", "main", "spot", "BTCUSDT"].realised


def test_an_order_of_before_the_history_says_so() -> None:
    """Where the frame that made an order is gone, what is left of its life is told, and that it began before."""
    maker = Maker()
    maker.begin()
    order_id = maker.place()
    maker.cut()
    maker.accept(order_id)
    maker.report({"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 9})
    maker.cut()
    history, steps = new_history(CacheConfig()), Steps([order_id])
    for stored in maker.stored:
        if stored.sequence < 3:
            history.apply(stored)
        else:
            steps.apply(history, stored)
    with exactly():
        life = story(order_id, steps.of[order_id], (3, maker.sequence))
    assert (life.origin, life.terms, life.status, life.reason) == ("earlier", None, "CANCELED", "asked")
    assert [change.status for change in life.changes] == ["NEW", "CANCELED"]


def test_a_life_among_statements_about_positions() -> None:
    """Funding and terms that stand in one report with an order's trades are not the order's; its controls know the margin."""
    maker = Maker()
    maker.begin()
    spec = {**BTC, "taker_fee": "0.001"}
    maker.ask("list_instruments.binance._.futures._", instruments=[spec])
    maker.ask("open_session.binance.main.futures._", session="f1", ready=False)
    maker.ask("report_balances.binance.main.futures._", session="f1", totals={"USDT": "1000"})
    maker.ask("open_session.binance.main.futures._", session="f1", ready=True)
    maker.cut()
    order = {"side": "buy", "type": "limit", "quantity": "5", "price": "100"}
    maker.command("place.binance.main.futures.BTCUSDT", **order)
    order_id = next(reversed(maker.state.orders))
    terms = {"report": "terms", "symbol": "BTCUSDT", "leverage": "10", "margin_mode": "cross"}
    trade = {"report": "filled", "order_id": order_id, "symbol": "BTCUSDT", "side": "buy", "quantity": "5"}
    trade |= {
        "trade_id": "1",
        "price": "100",
        "fee": "0.5",
        "fee_asset": "USDT",
        "maker": False,
        "venue_time": 1,
    }
    funding = {"report": "funding", "symbol": "BTCUSDT", "funding_id": "f", "amount": "-1", "asset": "USDT"}
    reports = [terms, trade, {**funding, "venue_time": 2}]
    maker.ask("report.binance.main.futures._", session="f1", reports=reports)
    maker.cut()
    life = told(maker, order_id)
    assert (life.status, life.filled) == ("FILLED", 5)
    [part] = life.steps[1].parts
    assert json.loads(part.report or "")["report"] == "filled"
    made = life.steps[0].made
    assert made is not None
    assert made.controls is not None
    told_ = made.controls
    assert (told_.asset, told_.free, told_.needs) == ("USDT", 1000, Decimal("500.5"))
