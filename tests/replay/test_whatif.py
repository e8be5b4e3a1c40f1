"""``oms replay whatif``: a span again under other limits. What an engine under those limits decides is what is said."""

import asyncio
import decimal
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import nats
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from oms._config_values import ConfigError
from oms.aggregates import image
from oms.aggregates.money import EXACT, ZERO
from oms.messages import events as e
from oms.messages.codes import Code
from oms.nats_server import EmbeddedNats
from replay.asking.span import Span, advance
from replay.asking.whatif import Report, WhatIf
from replay.asking.whatif_file import OtherLimits, check_file, read_file
from replay.cli.whatif import whatif as command
from replay.history import History
from tests.conftest import REPO
from tests.replay.journal import Maker, busy, write
from tests.unit.desk import BTC

EXAMPLE = REPO / "configs" / "whatif-limits.yaml"
SECOND = 10**9
DAY = 86_400 * SECOND


def limits(scope: str = "global", /, **said: str) -> OtherLimits:
    """A file that says this of one scope."""
    return OtherLimits(limits={scope: said})


def gone_through(maker: Maker, file: OtherLimits, span: Span | None = None) -> WhatIf:
    """Walk through a journal."""
    span = span or Span()
    history = History()
    found = None
    for stored in maker.stored:
        if stored.sequence < span.first:
            history.apply(stored)
            continue
        found = WhatIf(history, file) if found is None else found
        if not advance(history, stored, span, found):
            break
    assert found is not None
    return found


def report(maker: Maker, file: OtherLimits, span: Span | None = None) -> Report:
    """What comes of it."""
    return gone_through(maker, file, span).report()


def events(maker: Maker, kind: type) -> list[Any]:
    """Every event of a kind."""
    return [
        event
        for stored in maker.stored
        for commit in stored.frame.commits
        for event in commit.events
        if type(event) is kind
    ]


def mark(maker: Maker, **marks: str) -> None:
    """Tell marks."""
    maker.ask("report_marks.binance._.spot._", marks=marks)
    maker.cut()


def started() -> Maker:
    """A journal of two accounts with BTCUSDT at a mark of 100 and ETHUSDT at 10, and every control off."""
    maker = Maker()
    maker.begin()
    mark(maker, BTCUSDT="100", ETHUSDT="10")
    return maker


def placed(maker: Maker, quantity: str = "1", price: str = "100", **fields: Any) -> str:
    """An order that the venue took."""
    order_id = maker.place(quantity=quantity, price=price, **fields)
    maker.accept(order_id, fields.get("account", "main"))
    maker.cut()
    return order_id


def traded(maker: Maker, quantity: str = "1", price: str = "100", fee: str = "0", **fields: Any) -> str:
    """An order that filled at once."""
    order_id = placed(maker, quantity, price, **fields)
    maker.fill(order_id, quantity, price, fee, account=fields.get("account", "main"))
    maker.cut()
    return order_id


def set_limits(maker: Maker, scope: str, tokens: str, **said: str) -> None:
    """Set limits as a person does."""
    reply = maker.command(f"set_limits.{tokens}", scope=scope, limits=said, by="kim").reply
    assert reply.ok, reply
    maker.cut()


def denied(found: Report) -> list[tuple[str, str, str]]:
    """Order, what, code."""
    return [(each.order_id, each.what, each.code) for each in found.denials]


# -- figures


def test_limits_that_change_nothing_give_the_recorded_world() -> None:
    """A file that says nothing decides all as it was decided: same state, same figures, and nobody is told anything."""
    maker = busy(11, 300)
    walked = gone_through(maker, OtherLimits())
    found = walked.report()
    assert (found.denied, found.passed, found.kills) == (0, 0, [])
    assert all(row.actual == row.whatif for row in (*found.accounts, *found.positions))
    ours, theirs = walked.world.state, maker.state
    for name in ("orders", "positions", "wallets"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.books.by_key == theirs.books.by_key
    for row in found.accounts:
        held = [p for p in maker.state.positions.values() if p.account == row.account]
        assert row.actual.realised == sum(p.realised for p in held)
        assert row.actual.fees == sum(p.fees for p in held)
    assert sum(row.actual.fills for row in found.accounts) == len(events(maker, e.OrderFilled))
    assert sum(row.actual.orders for row in found.accounts) == len(events(maker, e.OrderPlaced))


def test_figures_worked_out_by_hand() -> None:
    """Bought 2 at 100 and 1 at 130, sold 3 at 120, mark 110; no order above 350 USD: the sale of 3 alone does not happen."""
    maker = started()
    traded(maker, "2", "100", fee="1")
    traded(maker, "1", "130", fee="1")
    sale = traded(maker, "3", "120", fee="2", side="sell")
    mark(maker, BTCUSDT="110")
    found = report(maker, limits(max_order_value="350"))
    [row] = [row for row in found.accounts if row.account == "main"]
    was, would = row.actual, row.whatif
    assert (was.orders, was.fills, was.volume, was.fees) == (3, 3, Decimal(690), Decimal(4))
    assert (was.realised, was.unrealised, was.net) == (Decimal(30), ZERO, Decimal(26))
    assert (would.orders, would.fills, would.volume, would.fees) == (2, 2, Decimal(330), Decimal(2))
    # Three of cost 330 at a mark of 110 are worth what they cost.
    assert (would.realised, would.unrealised, would.net) == (ZERO, ZERO, Decimal(-2))
    [position] = [p for p in found.positions if p.account == "main"]
    assert (position.actual, position.whatif) == (ZERO, Decimal(3))
    assert denied(found) == [(sale, "place", "MAX_ORDER_VALUE")]
    assert "350 USD" in found.denials[0].message
    assert found.denied_by == {"MAX_ORDER_VALUE": 1}


def test_a_span_counts_from_where_it_starts() -> None:
    """Positions and orders from before the span are in both worlds, and only what the span made is counted."""
    maker = started()
    traded(maker, "2", "100", fee="1")
    waiting = placed(maker, "1", "90")
    first = maker.sequence + 1
    mark(maker, BTCUSDT="120")
    maker.fill(waiting, "1", "90", "1")
    maker.cut()
    traded(maker, "1", "120", side="sell")
    found = report(maker, limits(max_order_quantity="0"), Span(first=first))
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.orders, row.actual.fills, row.whatif.orders, row.whatif.fills) == (1, 2, 0, 1)
    assert row.whatif.fees == row.actual.fees == 1
    # From 2 at cost 200 and a mark of 100 to 3 at cost 290 and a mark of 120.
    assert (row.whatif.realised, row.whatif.unrealised) == (0, 70)
    assert row.actual.net == row.whatif.net == 69


# -- what is decided otherwise


def test_what_was_denied_would_have_been_let_through() -> None:
    """Under wider limits an order is told with what it was denied with; what it would have done is not made up."""
    maker = started()
    set_limits(maker, "account:main", "_.main._._", max_position="250")
    placed(maker, "2")
    refused = maker.place(quantity="1")
    maker.cut()
    assert isinstance(events(maker, e.OrderDenied)[0], e.OrderDenied)
    found = report(maker, limits("account:main", max_position="300"))
    assert [(each.order_id, each.code) for each in found.passes] == [(refused, "MAX_POSITION")]
    assert (found.passed, found.passed_by, found.denied) == (1, {"MAX_POSITION": 1}, 0)
    assert report(maker, limits("account:main", max_position="299")).passed == 0


def test_an_amend_that_was_denied_would_have_been_let_through() -> None:
    """Under wider limits it is told with what it was denied with, and the order stays what it was."""
    maker = started()
    set_limits(maker, "account:main", "_.main._._", max_position="250")
    order_id = placed(maker, "2")
    maker.command("amend.binance.main.spot._", order_id=order_id, quantity="3")
    maker.fill(order_id, "2", "100")
    maker.cut()
    found = report(maker, limits("account:main", max_position="300"))
    [one] = found.passes
    assert (one.what, one.order_id, one.quantity, one.price, one.code) == (
        "amend",
        order_id,
        3,
        100,
        "MAX_POSITION",
    )
    assert (found.passed, found.passed_by, found.denied) == (1, {"MAX_POSITION": 1}, 0)
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.amends, row.whatif.amends, row.whatif.fills, row.whatif.volume) == (0, 0, 1, 200)
    assert report(maker, limits("account:main", max_position="299")).passed == 0


def test_the_file_stands_in_place_of_what_is_said_and_overridden() -> None:
    """At its scope, of its control, whatever people set or override meanwhile; of all else what they say holds."""
    maker = started()
    set_limits(maker, "account:main", "_.main._._", max_order_value="1000", max_order_quantity="9")
    about = {"scope": "account:main", "by": "kim", "until": maker.clock + DAY}
    maker.command("override_limits._.main._._", limits={"max_order_value": "2000"}, **about)
    maker.cut()
    big = placed(maker, "8")
    set_limits(maker, "account:main", "_.main._._", max_order_value="5000", max_order_quantity="20")
    bigger = placed(maker, "18")
    found = report(maker, limits("account:main", max_order_value="500"))
    assert denied(found) == [(big, "place", "MAX_ORDER_VALUE"), (bigger, "place", "MAX_ORDER_VALUE")]
    half = Span(first=maker.sequence - 1)
    assert denied(report(maker, limits("account:main", max_order_value="500"), half)) == [
        (bigger, "place", "MAX_ORDER_VALUE")
    ]
    assert denied(report(maker, limits("global", max_order_value="off"))) == []


def test_room_that_a_denied_order_leaves_is_room() -> None:
    """What was denied counts against no limit afterwards: of three that each fit, the third fits since the second is not there."""
    maker = started()
    placed(maker, "2")
    second = placed(maker, "3")
    placed(maker, "1")
    assert denied(report(maker, limits("account:*", max_position="400"))) == [
        (second, "place", "MAX_POSITION")
    ]


def test_what_was_never_bought_cannot_be_sold() -> None:
    """Without the purchase its sale is denied, for want of what it sells."""
    maker = Maker()
    maker.begin(fund="1000")
    mark(maker, BTCUSDT="100")
    maker.ask("report_balances.binance.main.spot._", session="s1", totals={"USDT": "1000", "BTC": "0"})
    bought = traded(maker, "3")
    sold = traded(maker, "1.5", side="sell")
    found = report(maker, limits("account:main", max_inventory="BTC=2"))
    assert denied(found) == [(bought, "place", "MAX_INVENTORY"), (sold, "place", "INSUFFICIENT_FUNDS")]


def test_a_kill_switch_that_trips_here_stays() -> None:
    """The loss that the file allows engages the kill switch at the mark's fall; orders end, and all is denied until a person
    who released it as recorded, of which there is none."""
    maker = started()
    traded(maker, "10", "100")
    waiting = placed(maker, "1", "50")
    mark(maker, BTCUSDT="89")
    maker.clock += SECOND
    after = placed(maker, "1", "89", side="sell")
    maker.fill(waiting, "1", "50")
    maker.cut()
    file = limits("account:main", max_daily_loss="110", kill_on="max_daily_loss", kill_reduce_only="off")
    found = report(maker, file)
    assert [(each.scope, each.cause) for each in found.kills] == [("account:main", "max_daily_loss")]
    assert denied(found) == [(after, "place", "KILL_SWITCH")]
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.fills, row.whatif.fills) == (2, 1)
    assert not report(maker, limits("account:main", max_daily_loss="111", kill_on="max_daily_loss")).kills


@pytest.mark.parametrize("restarted", [False, True])
def test_a_pause_of_the_engine_makes_no_mark_old(restarted: bool) -> None:
    """A position by a mark that nobody confirmed for an hour trips here; not where no engine was there to be told."""
    maker = started()
    traded(maker)
    maker.clock += 3_600 * SECOND
    if restarted:
        maker.ask("start._._._._", instance="e2", version="0", journal_id="mtest2", partition="0")
    mark(maker, ETHUSDT="10")
    file = limits("account:main", max_price_age="15s", kill_on="max_price_age")
    assert [each.cause for each in report(maker, file).kills] == ([] if restarted else ["max_price_age"])


def test_a_switch_that_tripped_then_need_not_trip_here() -> None:
    """A recorded kill switch that tripped by itself counts only where it trips under these limits; one thrown by a person does."""
    maker = started()
    set_limits(
        maker,
        "account:main",
        "_.main._._",
        max_daily_loss="100",
        kill_on="max_daily_loss",
        kill_reduce_only="off",
    )
    maker.ask("check_risk._._._._")
    traded(maker, "10", "100")
    mark(maker, BTCUSDT="89")
    maker.clock += SECOND
    maker.ask("check_risk._._._._")
    assert "account:main" in maker.state.risk.latches
    refused = maker.place(quantity="1", price="89", side="sell")
    maker.cut()
    file = limits("account:main", max_daily_loss="500")
    found = report(maker, file)
    assert [(each.order_id, each.code) for each in found.passes] == [(refused, "KILL_SWITCH")]
    maker.command("release._.main._._", scope="account:main", by="kim")
    maker.command("kill._.main._._", scope="account:main", by="kim")
    again = maker.place(quantity="1", price="89", side="sell")
    maker.cut()
    assert [each.order_id for each in report(maker, file).passes] == [refused]
    assert again != refused


def test_the_loss_is_of_the_day() -> None:
    """Losses at the mark deny what opens; the next trading day begins at zero, though nobody rolled the recorded one."""
    maker = started()
    traded(maker, "10", "100")
    mark(maker, BTCUSDT="89")
    opening = placed(maker, "1", "89")
    placed(maker, "1", "89", side="sell")
    maker.clock += DAY
    mark(maker, BTCUSDT="88")
    placed(maker, "1", "88")
    assert denied(report(maker, limits(max_daily_loss="110"))) == [(opening, "place", "MAX_DAILY_LOSS")]
    assert report(maker, limits(max_daily_loss="110.01")).denied == 0


def test_an_amend_that_is_denied_freezes_its_order() -> None:
    """Fills before a denied amend took effect happened, those after it not; an amend that is let through thaws the order."""
    maker = started()
    order_id = placed(maker, "4", "100")
    maker.fill(order_id, "1", "100")

    def amend(quantity: str, revision: int) -> None:
        maker.command("amend.binance.main.spot.BTCUSDT", order_id=order_id, quantity=quantity)
        maker.fill(order_id, "1", "100")
        maker.report(
            {"report": "amended", "order_id": order_id, "venue_order_id": f"v{revision}"}
            | {"venue_time": maker.clock, "revision": revision}
        )
        maker.cut()

    amend("8", 1)
    left_out = maker.fill(order_id, "2", "100")
    maker.cut()
    file = limits(max_order_quantity="5")
    found = report(maker, file)
    assert denied(found) == [(order_id, "amend", "MAX_ORDER_QUANTITY")]
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.fills, row.whatif.fills) == (3, 2)
    assert (row.actual.amends, row.whatif.amends) == (1, 0)
    working = gone_through(maker, file).world.state.orders[order_id]
    assert (working.quantity, working.cumulative) == (4, 2)
    maker.bust(order_id, left_out)
    maker.cut()
    [row] = [row for row in report(maker, file).accounts if row.account == "main"]
    assert (row.actual.fills, row.whatif.fills) == (2, 2)
    amend("5", 2)
    maker.fill(order_id, "0.25", "100")
    maker.cut()
    [row] = [row for row in report(maker, file).accounts if row.account == "main"]
    assert (row.actual.fills, row.whatif.fills, row.whatif.amends) == (4, 3, 1)


def test_a_position_that_was_adopted_is_in_both_worlds() -> None:
    """What the venue held beyond the journal's trades is no order that a limit could have denied."""
    maker = Maker()
    maker.begin()
    spec = {**BTC, "min_quantity": "0.001"}
    maker.ask("list_instruments.binance._.futures._", instruments=[spec])
    for ready in (False, True):
        maker.ask("open_session.binance.main.futures._", session="f1", ready=ready)
    maker.ask("report_marks.binance._.futures._", marks={"BTCUSDT": "110"})
    shown = {"symbol": "BTCUSDT", "quantity": "3", "entry_price": "100"}
    maker.ask("report_positions.binance.main.futures._", session="f1", positions=[shown])
    maker.cut()
    found = report(maker, limits(max_order_value="1"))
    [row] = [row for row in found.positions if row.market == "futures"]
    assert (row.actual, row.whatif) == (3, 3)
    [account] = [row for row in found.accounts if row.account == "main"]
    assert (account.actual.unrealised, account.whatif.unrealised, account.actual.realised) == (30, 30, 0)


def test_what_is_gone_at_the_venue_is_gone_at_the_same_price_in_both_worlds() -> None:
    """Of 5 that were held 4 are gone, of which what ours had lost stays lost; of 3 the same 4, and one is owed."""
    maker = Maker()
    maker.begin()
    maker.ask("list_instruments.binance._.futures._", instruments=[{**BTC, "min_quantity": "0.001"}])
    for ready in (False, True):
        maker.ask("open_session.binance.main.futures._", session="f1", ready=ready)
    maker.ask("report_balances.binance.main.futures._", session="f1", totals={"USDT": "1000000"})
    maker.ask("report_marks.binance._.futures._", marks={"BTCUSDT": "100"})
    shown = {"symbol": "BTCUSDT", "quantity": "3", "entry_price": "100"}
    maker.ask("report_positions.binance.main.futures._", session="f1", positions=[shown])
    terms = {"side": "buy", "type": "limit", "quantity": "2", "price": "100"}
    order_id = maker.command("place.binance.main.futures.BTCUSDT", **terms).reply.order_id  # type: ignore[union-attr]
    trade = {
        "order_id": order_id,
        "symbol": "BTCUSDT",
        "side": "buy",
        "trade_id": "f",
        "quantity": "2",
        "price": "100",
    }
    trade |= {"report": "filled", "fee": "0", "fee_asset": "USDT", "maker": True, "venue_time": maker.clock}
    maker.ask("report.binance.main.futures._", session="f1", reports=[trade])
    maker.ask("report_marks.binance._.futures._", marks={"BTCUSDT": "90"})
    shown = {"symbol": "BTCUSDT", "quantity": "1", "entry_price": "100"}
    maker.ask("report_positions.binance.main.futures._", session="f1", positions=[shown])
    maker.cut()
    found = report(maker, limits(max_order_value="1"))
    [row] = [row for row in found.positions if row.market == "futures"]
    assert (row.actual, row.whatif) == (1, -1)
    [account] = [row for row in found.accounts if row.account == "main"]
    assert (account.actual.realised, account.actual.unrealised) == (-40, -10)
    assert (account.whatif.realised, account.whatif.unrealised) == (-30, 0)


# -- properties

_MADE: dict[int, Maker] = {}


def _busy(seed: int) -> Maker:
    if seed not in _MADE:
        _MADE[seed] = busy(seed, 120)
    return _MADE[seed]


SAID = {
    "max_order_quantity": ("5", "20", "40"),
    "max_order_value": ("10000", "100000", "1000000"),
    "max_position": ("200000", "1000000", "3000000"),
    "max_exposure": ("500000", "2000000"),
    "max_open_orders": ("3", "10", "30"),
    "max_messages": ("5", "30"),
    "max_daily_loss": ("100000", "1000000"),
    "self_trade": ("cancel_incoming",),
    "price_collar": ("0.9978", "0.9979"),
}
_VALUES = st.sampled_from(sorted(SAID)).flatmap(
    lambda name: st.fixed_dictionaries({name: st.sampled_from(SAID[name])})
)
_LIMITS = st.dictionaries(
    st.sampled_from(["global", "account:*", "strategy:*", "exchange:*"]), _VALUES, min_size=1, max_size=3
)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 3),
    said=st.dictionaries(
        st.sampled_from(["global", "account:*", "account:main", "strategy:arb", "exchange:binance"]),
        _VALUES,
        min_size=1,
        max_size=3,
    ),
)
def test_the_other_world_keeps_its_limits(seed: int, said: dict[str, dict[str, str]]) -> None:
    """Whatever limits: every order is told once or let through, none that was denied does anything, running totals are those
    of a recomputation from scratch, and the recorded world is as it was."""
    maker = _busy(seed)
    walked = gone_through(maker, OtherLimits(limits=said))
    found = walked.report()
    state = walked.world.state
    gone = {each.order_id for each in found.denials if each.what == "place"}
    assert gone <= {event.order_id for event in events(maker, e.OrderPlaced)}
    assert found.denied == len(found.denials)
    assert sum(row.actual.orders - row.whatif.orders for row in found.accounts) == len(gone)
    assert not {order_id for order_id in gone if order_id in state.orders}
    fills = [event for event in events(maker, e.OrderFilled) if event.order_id not in gone]
    assert sum(row.whatif.fills for row in found.accounts) == len(fills) or found.kills
    with decimal.localcontext(EXACT):
        again = image.load(image.dump(state))
    for scope, totals in state.risk.totals.items():
        scratch = again.risk.totals.get(scope)
        if scratch is not None:
            assert (totals.exposure, totals.open_orders) == (scratch.exposure, scratch.open_orders)
    most = said.get("global", {}).get("max_open_orders")
    if most is not None:
        assert state.risk.total("global").open_orders <= int(most)


@settings(max_examples=20)
@given(seed=st.integers(0, 100), said=_LIMITS)
def test_it_says_what_an_engine_under_those_limits_decides(
    seed: int, said: dict[str, dict[str, str]]
) -> None:
    """Of a journal that was made under limits: the same ones again decide all as it was decided and come to the same state;
    without them, exactly the orders that they denied would have been let through."""
    maker = Maker()
    maker.begin()
    for scope, values in said.items():
        set_limits(maker, scope, "_._._._", **values)
    busy(seed, 60, maker=maker)
    walked = gone_through(maker, OtherLimits(limits=said))
    same = walked.report()
    assert (same.denied, same.passed) == (0, 0)
    for name in ("orders", "positions", "wallets", "live", "next_order"):
        assert getattr(walked.world.state, name) == getattr(maker.state, name)
    off = {scope: dict.fromkeys(values, "off") for scope, values in said.items()}
    by_limits = [each for each in events(maker, e.OrderDenied) if each.code != Code.QUANTITY_TOO_LARGE]
    found = report(maker, OtherLimits(limits=off))
    assert [(each.order_id, each.code) for each in found.passes] == [
        (each.order_id, each.code) for each in by_limits
    ]
    assert not found.denied


@settings(max_examples=10)
@given(seed=st.integers(0, 3), low=st.integers(1, 50), less=st.integers(0, 50))
def test_tightening_what_looks_at_the_order_alone_denies_a_superset(seed: int, low: int, less: int) -> None:
    """For limits on the order itself, tightening them denies all that was denied before, and maybe more."""
    loose, tight = (
        {each.order_id for each in report(_busy(seed), limits(max_order_quantity=str(value))).denials}
        for value in (low, max(low - less, 0))
    )
    assert loose <= tight


# -- the file


def test_each_form_of_the_file_is_the_same(tmp_path: Path) -> None:
    """The section with its name, without it, and limits alone; a bare on or off is text; valuations and strategies are read."""
    path = tmp_path / "limits.yaml"
    said = 'account:*: {max_exposure: "500", reduce_only: on}'
    for text in (said, f"limits: {{{said}}}", f"risk: {{limits: {{{said}}}}}"):
        path.write_text(text)
        assert read_file(path).limits == {"account:*": {"max_exposure": "500", "reduce_only": "on"}}
    path.write_text(
        'risk: {valuations: {BTC: binance.spot.BTCUSDT}, strategies: {arb: {account: sub_arb, capital: "5"}}}'
    )
    found = read_file(path)
    assert found.valuations == {"BTC": "binance.spot.BTCUSDT"}
    assert found.strategies["arb"].capital == 5


def test_valuations_and_strategies_of_the_file_hold() -> None:
    """A strategy that the file assigns to another account is denied there, and its capital counts."""
    maker = started()
    wrong = placed(maker, strategy="arb")
    big = placed(maker, "3", account="sub_arb", strategy="arb")
    given = {"strategies": {"arb": {"account": "sub_arb", "capital": "250"}}, "valuations": {"USDT": "1"}}
    from oms import _config_values as v

    found = report(maker, v.read(OtherLimits, given, ""))
    assert denied(found) == [(wrong, "place", "STRATEGY_ACCOUNT"), (big, "place", "CAPITAL")]


@pytest.mark.parametrize(
    "text, place",
    [
        ("global: {max_position: 1.5}", "global.max_position"),
        ('global: {max_position: "-1"}', "global.max_position"),
        ('global: {max_positions: "1"}', "global.max_positions"),
        ('globe: {max_position: "1"}', "globe"),
        ('limits: {account:a.b: {max_position: "1"}}', "account:a.b"),
        ("limits: {}\nmore: {}", "more"),
        ("global: [", "is not valid YAML"),
        ('global: {max_position: "1", max_position: "1"}', "must be given once"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text: str, place: str, tmp_path: Path) -> None:
    """A file with anything in it that is not understood is refused, and the error says where."""
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=place):
        read_file(path)


def test_names_that_are_unknown_are_refused() -> None:
    """A limit for an account or an instrument that the history does not know, or that contradicts another, is refused."""
    maker = started()
    check_file(read_file(EXAMPLE), maker.state)
    for scope in ("account:sub_abr", "instrument:binance.spot.BTCUSD", "exchange:binanse"):
        with pytest.raises(ConfigError, match=scope):
            check_file(limits(scope, max_position="1"), maker.state)
    with pytest.raises(ConfigError, match="max_position"):
        check_file(limits(max_position="500", max_exposure="400"), maker.state)


# -- the command


@pytest.fixture(scope="module")
def url(nats_server_shared: EmbeddedNats) -> str:
    """A server with a journal."""

    async def fill() -> None:
        nc = await nats.connect(nats_server_shared.url)
        await write(nc, _busy(1).payloads)
        await nc.close()

    asyncio.run(fill())
    return nats_server_shared.url


def run(url: str, *options: str) -> Result:
    """Call the command, in a directory without snapshots."""
    return CliRunner().invoke(command, ["--nats", url, "--data-dir", "/nowhere", *options])


def test_the_command_answers_people_and_machines(url: str, tmp_path: Path) -> None:
    """The command prints tables with what is not modelled, and with --json everything, exactly."""
    path = tmp_path / "limits.yaml"
    path.write_text('global: {max_order_quantity: "10"}\naccount:sub_arb: {max_open_orders: "3"}\n')
    expected = report(_busy(1), read_file(path))
    document = json.loads(run(url, "--limits", str(path), "--json").stdout)
    assert document["denied"] == expected.denied > 10
    assert document["limits"]["limits"]["account:sub_arb"] == {"max_open_orders": "3"}
    for row, wanted in zip(document["accounts"], expected.accounts, strict=True):
        assert Decimal(row["whatif"]["net"]) == wanted.whatif.net
        assert isinstance(row["actual"]["realised"], str)
    result = run(url, "--limits", str(path))
    assert result.exit_code == 0, result.stderr
    for text in (
        f"Denied: {expected.denied}",
        Code.MAX_ORDER_QUANTITY,
        "P&L of the span",
        "Let through: 0",
        "is above 10",
    ):
        assert text in result.stdout
    half = json.loads(run(url, "--limits", str(path), "--json", "--from", "3", "--to", "4").stdout)
    assert (half["first"], half["last"]) == (3, 4)
    assert "no commit" in run(url, "--limits", str(path), "--from", "2200-01-01").stdout


def test_wrong_limits_exit_2(url: str, tmp_path: Path) -> None:
    """A file that is refused exits 2 and names file and place."""
    path = tmp_path / "limits.yaml"
    for text, place in (
        ('global: {max: "1"}', "global.max"),
        ('account:nobody: {max_position: "1"}', "account:nobody"),
        ("global: [", "is not valid YAML"),
    ):
        path.write_text(text)
        result = run(url, "--limits", str(path))
        assert result.exit_code == 2, result.stdout
        assert result.stderr.count(str(path)) == 1
        assert place in result.stderr
