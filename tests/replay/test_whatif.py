"""``oms replay whatif``: a span again under other limits. Figures worked out by hand, and what must hold for any limits."""

import asyncio
import decimal
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import nats
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from oms._config_values import ConfigError
from oms.aggregates.money import EXACT, ZERO
from oms.messages import events as e
from oms.nats_server import EmbeddedNats
from replay.asking.span import Span, advance
from replay.asking.whatif import Report, WhatIf
from replay.asking.whatif_book import Book
from replay.asking.whatif_limits import (
    CHECKS,
    Attempt,
    Breach,
    Limits,
    LimitSet,
    LimitsFile,
    check_names,
    read_limits,
)
from replay.cli.whatif import whatif as command
from replay.history import History
from tests.conftest import REPO
from tests.replay.journal import Maker, busy, write
from tests.unit.desk import BTC

DAY = 86_400 * 10**9
EXAMPLE = REPO / "configs" / "whatif-limits.yaml"


def limits(**given: Any) -> LimitsFile:
    """Limits for every account."""
    return LimitsFile(default=Limits(**{name: _limit(name, value) for name, value in given.items()}))


def _limit(name: str, value: Any) -> Any:
    return value if name in ("max_open_orders", "max_orders_per_second") else Decimal(value)


def gone_through(maker: Maker, file: LimitsFile, span: Span | None = None) -> WhatIf:
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


def report(maker: Maker, file: LimitsFile, span: Span | None = None) -> Report:
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


def started() -> Maker:
    """A journal of two accounts with BTCUSDT at a mark of 100 and ETHUSDT at 10."""
    maker = Maker()
    maker.begin()
    mark(maker, BTCUSDT="100", ETHUSDT="10")
    return maker


def mark(maker: Maker, **marks: str) -> None:
    """Tell marks."""
    maker.ask("report_marks.binance._.spot._", marks=marks)
    maker.cut()


def placed(maker: Maker, quantity: str = "1", price: str | None = "100", **fields: Any) -> str:
    """An order that the venue took."""
    if price is None:
        fields["type"] = "market"
    order_id = (
        maker.place(quantity=quantity, price=price, **fields) if price else market(maker, quantity, **fields)
    )
    maker.accept(order_id, fields.get("account", "main"))
    maker.cut()
    return order_id


def market(maker: Maker, quantity: str, account: str = "main", symbol: str = "BTCUSDT", **fields: Any) -> str:
    """A market order."""
    outcome = maker.command(
        f"place.binance.{account}.spot.{symbol}", **({"side": "buy", "quantity": quantity} | fields)
    )
    return outcome.reply.order_id  # type: ignore[union-attr,return-value]


def traded(maker: Maker, quantity: str = "1", price: str = "100", fee: str = "0", **fields: Any) -> str:
    """An order that filled at once."""
    order_id = placed(maker, quantity, price, **fields)
    maker.fill(order_id, quantity, price, fee, account=fields.get("account", "main"))
    maker.cut()
    return order_id


# -- figures


def test_limits_that_bind_nothing_change_nothing() -> None:
    """Limits that nothing breaks give exactly the recorded figures, and those are the recorded state's."""
    maker = busy(11, 400)
    wide = dict.fromkeys(attrs.fields_dict(Limits), "99999999999999999999")
    wide |= {"max_open_orders": 10**9, "max_orders_per_second": 10**9}
    for file in (LimitsFile(), limits(**wide)):
        found = report(maker, file)
        assert found.denied == 0
        assert all(row.actual == row.whatif for row in found.accounts)
        assert all(row.actual == row.whatif for row in found.positions)
        for row in found.accounts:
            held = [p for p in maker.state.positions.values() if p.account == row.account]
            assert row.actual.realised == sum(p.realised for p in held)
            assert row.actual.fees == sum(p.fees for p in held)
            with decimal.localcontext(EXACT):
                instruments = maker.state.instruments
                open_ = sum(p.unrealised(instruments[p.exchange, p.market, p.symbol]) or ZERO for p in held)
            assert row.actual.unrealised == open_
            assert row.actual.net == row.actual.realised + open_ - row.actual.fees
        for position in found.positions:
            key = (position.exchange, position.account, position.market, position.symbol)
            assert position.actual.quantity == maker.state.positions[key].quantity
        assert sum(row.actual.fills for row in found.accounts) == len(events(maker, e.OrderFilled))
        assert sum(row.actual.orders for row in found.accounts) == len(events(maker, e.OrderPlaced))


def test_figures_worked_out_by_hand() -> None:
    """Bought 2 at 100 and 1 at 130, sold 3 at 120, mark 110; no order above 200: the sale of 3 alone does not happen."""
    maker = started()
    traded(maker, "2", "100", fee="1")
    traded(maker, "1", "130", fee="1")
    sale = traded(maker, "3", "120", fee="2", side="sell")
    mark(maker, BTCUSDT="110")
    found = report(maker, limits(max_order_notional="200"))
    [row] = [row for row in found.accounts if row.account == "main"]
    was, would = row.actual, row.whatif
    assert (was.orders, was.fills, was.volume, was.fees) == (3, 3, Decimal(690), Decimal(4))
    assert (was.realised, was.unrealised, was.net) == (Decimal(30), ZERO, Decimal(26))
    assert (would.orders, would.fills, would.volume, would.fees) == (2, 2, Decimal(330), Decimal(2))
    # Three of cost 330 at a mark of 110 are worth what they cost.
    assert (would.realised, would.unrealised, would.net) == (ZERO, ZERO, Decimal(-2))
    # 3 at the mark of 100, before the sale; without it they were there when the mark rose to 110.
    assert (was.peak_exposure, would.peak_exposure) == (Decimal(300), Decimal(330))
    assert (was.peak_open_notional, would.peak_open_notional) == (Decimal(360), Decimal(200))
    [position] = [p for p in found.positions if p.account == "main"]
    assert (position.actual.quantity, position.actual.peak) == (ZERO, Decimal(3))
    assert (position.whatif.quantity, position.whatif.peak) == (Decimal(3), Decimal(3))
    [denial] = found.denials
    assert (denial.order_id, denial.what, denial.code) == (sale, "place", "MAX_ORDER_NOTIONAL")
    assert (denial.limit, denial.value, denial.scope) == (Decimal(200), Decimal(360), "default")
    assert found.denied_by == {"MAX_ORDER_NOTIONAL": 1}


def test_a_trade_taken_back_is_in_neither_world() -> None:
    """Figures, volume and position are without it, and so is the room that limits leave."""
    maker = started()
    traded(maker, "1", "100", fee="1")
    order_id = placed(maker, "2", "90")
    maker.bust(order_id, maker.fill(order_id, "2", "90", fee="2"))
    maker.cut()
    found = report(maker, limits(max_position="3"))
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.fills, row.actual.volume, row.actual.fees) == (1, Decimal(100), Decimal(1))
    assert row.actual.realised + row.actual.unrealised == ZERO
    assert row.actual == row.whatif
    [position] = [p for p in found.positions if p.account == "main"]
    assert (position.actual.quantity, position.actual.peak) == (Decimal(1), Decimal(3))


def test_terms_changed_at_the_venue_are_in_both_worlds() -> None:
    """An order that the venue made smaller leaves room for another."""
    maker = started()
    order_id = placed(maker, "3")
    told = {"report": "restated", "order_id": order_id, "quantity": "1", "price": "100", "venue_time": 5}
    maker.report(told)
    placed(maker, "2")
    assert report(maker, limits(max_position="3")).denied == 0


def test_a_span_counts_from_where_it_starts() -> None:
    """Positions and working orders from before the span are in both worlds, and only what the span made is counted."""
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
    assert row.whatif.realised == 0
    # From 2 at cost 200 and a mark of 100 to 3 at cost 290 and a mark of 120.
    assert row.whatif.unrealised == 70
    assert row.actual.net == row.whatif.net == 69
    assert row.whatif.peak_open_notional == 90


def test_figures_are_exact_from_the_start_on() -> None:
    """What stood before the span is valued to the last digit, too, and not to the 28 that Python rounds to by itself."""
    maker = started()
    traded(maker, "1234.56789", "100.01")
    mark(maker, BTCUSDT="98765.123456789012345678")
    first = maker.sequence + 1
    mark(maker, BTCUSDT="98765.123456789012345679")
    [row] = [r for r in report(maker, LimitsFile(), Span(first=first)).accounts if r.account == "main"]
    with decimal.localcontext(EXACT):
        gained = Decimal("1234.56789") * Decimal("1e-18")
    assert row.actual.unrealised == row.whatif.net == gained


def test_fees_in_other_assets_are_those_of_the_span() -> None:
    """Fees in assets that are not valued are summed by asset, from the span's start on, in each world apart."""
    maker = _busy(2)
    first = maker.sequence - 1
    found = report(maker, limits(max_position_notional="99999999"), Span(first=first))
    paid: dict[str, Decimal] = {}
    for stored in maker.stored[first - 1 :]:
        for commit in stored.frame.commits:
            for event in commit.events:
                if type(event) is e.OrderFilled and event.fee_asset == "BNB":
                    paid[event.account] = paid.get(event.account, ZERO) + event.fee
    assert paid
    for row in found.accounts:
        assert row.actual.other_fees == row.whatif.other_fees == {"BNB": paid[row.account]}


# -- every check


def one_denied(maker: Maker, expected: str, value: str | int, **given: Any) -> None:
    """Exactly this order is denied by these limits, with this value."""
    found = report(maker, limits(**given))
    [(name, limit)] = given.items()
    assert [(denial.order_id, denial.code) for denial in found.denials] == [(expected, name.upper())]
    assert found.denials[0].value == (value if isinstance(value, int) else Decimal(value))
    assert found.denials[0].limit == _limit(name, limit)


def test_order_quantity_and_notional() -> None:
    """An order above the quantity or the value is denied, one at it is not; without a price it is valued at the mark."""
    maker = started()
    placed(maker, "5", "100")
    large = placed(maker, "6", "50")
    one_denied(maker, large, "6", max_order_quantity="5")
    maker = started()
    placed(maker, "5", "100")
    dear = placed(maker, "6", None)
    one_denied(maker, dear, "600", max_order_notional="599.99")
    assert report(maker, limits(max_order_notional="600")).denied == 0


def test_the_collar_is_exact() -> None:
    """A price exactly at the collar passes, one tick beyond does not, above and below; an order without price has none."""
    maker = started()
    mark(maker, BTCUSDT="99.99")
    placed(maker, "1", None)
    placed(maker, "1", "66.66")
    placed(maker, "1", "133.32")
    # 33.33 / 99.99 is a third, which no decimal is: a share of 18 threes is below it.
    assert report(maker, limits(price_collar="0.333333333333333334")).denied == 0
    assert report(maker, limits(price_collar="0.333333333333333333")).denied == 2
    below = placed(maker, "1", "66.65")
    one_denied(maker, below, "0.333433343334333434", price_collar="0.3334")


def test_the_last_trade_stands_in_for_a_mark() -> None:
    """Without a mark the collar is held against the last trade, without that it cannot be told, and is said so."""
    maker = Maker()
    maker.begin()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        maker.state.instruments["binance", "spot", symbol].mark = None
    first = maker.place(price="100")
    maker.cut()
    maker.fill(first, "1", "100")
    maker.place(price="150")
    maker.cut()
    maker.payloads, kept = maker.payloads[1:], maker.payloads
    assert kept
    history = History()
    found = None
    for stored in _unmarked(kept):
        found = WhatIf(history, limits(price_collar="0.1")) if found is None else found
        advance(history, stored, Span(), found)
    assert found is not None
    assert [denial.value for denial in found.denials] == [Decimal("0.5")]
    assert found.limits.untold == {"price_collar": 1}


def _unmarked(payloads: list[bytes]) -> Any:
    """These frames without their marks."""
    from oms.journal.reader import check_frame
    from oms.messages.frames import GENESIS, decode_frame, encode_commit, encode_frame, frame_digest

    prev = GENESIS
    for sequence, payload in enumerate(payloads, 1):
        commits = [
            encode_commit(commit)
            for commit in decode_frame(payload).commits
            if type(commit.events[0]) is not e.MarksRecorded
        ]
        made = encode_frame(sequence, prev, commits)
        yield check_frame(sequence, made, sequence, prev)
        prev = frame_digest(made)


def test_position_counts_what_works_and_spares_what_reduces() -> None:
    """The position is what is held and what works on the order's side; an order towards zero passes at any size of it."""
    maker = started()
    traded(maker, "3", "100")
    placed(maker, "2", "90")
    placed(maker, "4", "110", side="sell")
    above = placed(maker, "1", "90")
    one_denied(maker, above, "6", max_position="5")
    found = report(maker, limits(max_position="2"), Span(first=maker.sequence - 3))
    # Held 3 from before, above the limit: selling 4 to −1 passes, whatever was bought before does not.
    assert [denial.side for denial in found.denials] == ["buy", "buy"]
    maker = started()
    traded(maker, "3", "100")
    mark(maker, BTCUSDT="200")
    above = placed(maker, "1", "100")
    one_denied(maker, above, "800", max_position_notional="799")


def test_open_orders_and_open_notional_are_over_the_account() -> None:
    """A default counts the account's working orders over all symbols; an instrument's limit its own alone."""
    maker = started()
    placed(maker, "1", "100")
    placed(maker, "10", "10", symbol="ETHUSDT")
    placed(maker, "1", "100", account="sub_arb")
    third = placed(maker, "1", "50")
    one_denied(maker, third, 3, max_open_orders=2)
    one_denied(maker, third, "250", max_open_notional="200")
    eth = LimitsFile(instruments={"binance.spot.ETHUSDT": Limits(max_open_orders=1)})
    assert report(maker, eth).denied == 0
    btc = LimitsFile(instruments={"binance.spot.BTCUSDT": Limits(max_open_orders=1)})
    assert [denial.order_id for denial in report(maker, btc).denials] == [third]


def test_an_order_that_ends_makes_room() -> None:
    """An order that fills, is canceled or rejected counts no more."""
    maker = started()
    traded(maker, "1", "100")
    canceled = placed(maker, "1", "100")
    maker.command("cancel.binance.main.spot.BTCUSDT", order_id=canceled)
    maker.report({"report": "canceled", "order_id": canceled, "reason": "", "venue_time": maker.clock})
    rejected = maker.place()
    maker.report({"report": "rejected", "order_id": rejected, "reason": "no", "venue_time": maker.clock})
    maker.cut()
    placed(maker, "1", "100")
    assert report(maker, limits(max_open_orders=1)).denied == 0
    assert report(maker, limits(max_open_notional="100")).denied == 0


def test_the_rate_is_of_what_was_let_through() -> None:
    """Orders and amends of one second count, denied ones do not; the second slides."""
    maker = started()
    first = placed(maker)
    placed(maker)
    denied = placed(maker)
    maker.clock += 10**9 - 10**8
    maker.command("amend.binance.main.spot.BTCUSDT", order_id=first, price="101")
    maker.clock += 2 * 10**8
    maker.cut()
    placed(maker)
    found = report(maker, limits(max_orders_per_second=2))
    assert [(denial.order_id, denial.what, denial.value) for denial in found.denials] == [
        (denied, "place", 3),
        (first, "amend", 3),
    ]


def test_the_loss_is_of_the_day() -> None:
    """Losses at the mark deny every order but reduce-only ones; the next UTC day begins at zero."""
    maker = started()
    traded(maker, "10", "100")
    mark(maker, BTCUSDT="89")
    denied = placed(maker, "1", "89")
    placed(maker, "1", "89", side="sell", reduce_only=True)
    maker.clock += DAY
    mark(maker, BTCUSDT="88")
    placed(maker, "1", "88")
    one_denied(maker, denied, "110", max_daily_loss="109")
    assert report(maker, limits(max_daily_loss="110")).denied == 0


# -- amends


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
    maker.fill(order_id, "2", "100")
    maker.cut()
    file = limits(max_order_quantity="5")
    found = report(maker, file)
    assert [(d.what, d.value, d.order_id) for d in found.denials] == [("amend", Decimal(8), order_id)]
    [row] = [row for row in found.accounts if row.account == "main"]
    assert (row.actual.fills, row.whatif.fills) == (3, 2)
    assert (row.actual.amends, row.whatif.amends) == (1, 0)
    working = gone_through(maker, file).whatif.working[order_id]
    assert (working.quantity, working.cumulative) == (4, 2)
    amend("5.5", 2)
    amend("6", 3)
    maker.fill(order_id, "0.25", "100")
    maker.cut()
    [row] = [row for row in report(maker, limits(max_order_quantity="5.5")).accounts if row.account == "main"]
    # Of three amends the second is let through: one fill comes while the third is asked for, none after it.
    assert (row.actual.fills, row.whatif.fills, row.whatif.amends) == (6, 3, 1)


def test_an_amend_is_held_against_limits_in_place_of_its_order() -> None:
    """An amend counts what it replaces once: neither another open order nor its leaves on top."""
    maker = started()
    order_id = placed(maker, "4", "100")
    maker.command("amend.binance.main.spot.BTCUSDT", order_id=order_id, quantity="5")
    maker.cut()
    for file, passes in (
        ({"max_open_orders": 1}, True),
        ({"max_position": "5"}, True),
        ({"max_position": "4.9"}, False),
        ({"max_open_notional": "500"}, True),
        ({"max_open_notional": "499"}, False),
    ):
        assert (report(maker, limits(**file)).denied == 0) is passes, file


# -- scopes


def test_the_tightest_limit_wins() -> None:
    """Of all scopes that speak of an order the tightest holds, and the answer names it."""
    maker = started()
    placed(maker, "5", "100")
    placed(maker, "5", "100", account="sub_arb")
    placed(maker, "5", "10", symbol="ETHUSDT")
    scopes = {
        "default": {"default": Limits(max_order_quantity=Decimal(4))},
        "accounts.main": {"accounts": {"main": Limits(max_order_quantity=Decimal(3))}},
        "instruments.binance.spot.BTCUSDT": {
            "instruments": {"binance.spot.BTCUSDT": Limits(max_order_quantity=Decimal(2))}
        },
        "account_instruments.main.binance.spot.BTCUSDT": {
            "account_instruments": {"main": {"binance.spot.BTCUSDT": Limits(max_order_quantity=Decimal(1))}}
        },
    }
    given: dict[str, Any] = {}
    for scope, more in scopes.items():
        given |= more
        assert report(maker, LimitsFile(**given)).denials[0].scope == scope
    found = [denial.scope for denial in report(maker, LimitsFile(**given)).denials]
    assert found == [
        "account_instruments.main.binance.spot.BTCUSDT",
        "instruments.binance.spot.BTCUSDT",
        "accounts.main",
    ]
    given["default"] = Limits(max_order_quantity=ZERO)
    assert {denial.scope for denial in report(maker, LimitsFile(**given)).denials} == {"default"}


# -- properties

_SEEDS = st.integers(0, 5)
_MADE: dict[int, Maker] = {}


def _busy(seed: int) -> Maker:
    if seed not in _MADE:
        _MADE[seed] = busy(seed, 150)
    return _MADE[seed]


@pytest.mark.parametrize(
    "name",
    [
        "max_order_quantity",
        "max_order_notional",
        "max_open_orders",
        "max_open_notional",
        "max_orders_per_second",
    ],
)
def test_zero_lets_nothing_through(name: str) -> None:
    """A limit of zero denies every order that was let through, and then nothing trades."""
    maker = _busy(1)
    found = report(maker, limits(**{name: 0}))
    assert found.denied_by == {name.upper(): len(events(maker, e.OrderPlaced))}
    for row in found.accounts:
        assert row.whatif.orders == row.whatif.fills == row.whatif.net == row.whatif.peak_open_notional == 0
        assert not row.whatif.other_fees
        assert row.actual.fills


class _Both(LimitSet):
    """Holds every attempt against two sets of limits in one and the same world, and lets everything through."""

    def __init__(self, loose: LimitSet, tight: LimitSet) -> None:
        super().__init__(LimitsFile())
        self.pair = (loose, tight)
        self.seen: list[tuple[Breach | None, Breach | None]] = []

    def breach(self, book: Book, attempt: Attempt) -> Breach | None:
        loose, tight = self.pair
        self.seen.append((loose.breach(book, attempt), tight.breach(book, attempt)))
        return None


@given(
    seed=_SEEDS,
    name=st.sampled_from([check.name for check in CHECKS]),
    low=st.integers(0, 3_000),
    more=st.integers(0, 1_000),
)
@settings(max_examples=30)
def test_a_tighter_limit_never_lets_more_through(seed: int, name: str, low: int, more: int) -> None:
    """In one and the same world, what a limit denies a tighter one denies too, for every limit there is."""
    tight, loose = (
        LimitSet(limits(**{name: value if "orders" in name else str(Decimal(value) / 100)}))
        for value in (low, low + more)
    )
    maker = _busy(seed)
    history = History()
    found = WhatIf(history, LimitsFile())
    found.limits = both = _Both(loose, tight)
    for stored in maker.stored:
        advance(history, stored, Span(), found)
    assert both.seen
    assert not [pair for pair in both.seen if pair[0] is not None and pair[1] is None]


@given(seed=_SEEDS, quantity=st.integers(1, 50), less=st.integers(0, 50))
@settings(max_examples=15)
def test_tightening_what_looks_at_the_order_alone_denies_a_superset(
    seed: int, quantity: int, less: int
) -> None:
    """For limits on the order itself, tightening them denies all that was denied before, and maybe more."""
    maker = _busy(seed)
    loose, tight = (
        {denial.order_id for denial in report(maker, limits(max_order_quantity=value)).denials}
        for value in (quantity, max(quantity - less, 0))
    )
    assert loose <= tight


@given(
    seed=_SEEDS, position=st.integers(1, 200), notional=st.integers(100, 50_000), orders=st.integers(1, 30)
)
@settings(max_examples=15)
def test_the_other_world_keeps_its_limits(seed: int, position: int, notional: int, orders: int) -> None:
    """With limits on positions and working orders, neither ever stands above them in the other world."""
    maker = _busy(seed)
    file = limits(max_position=position, max_open_notional=notional, max_open_orders=orders)
    found = gone_through(maker, file)
    answer = found.report()
    # A fee taken in the base asset moves a position by a thousandth besides.
    for held in answer.positions:
        assert held.whatif.peak <= position + Decimal("0.001") * 150
    for row in answer.accounts:
        assert row.whatif.peak_open_notional <= notional
        assert found.whatif.open_orders.get(row.account, 0) <= orders
    assert answer.denied == len(found.denied)
    placed_ = {event.order_id for event in events(maker, e.OrderPlaced)}
    assert found.denied <= placed_
    assert set(found.whatif.working) == set(found.actual.working) - found.denied


# -- the file


@pytest.mark.parametrize(
    "text, place",
    [
        ("default: {max_position: 1.5}", "default.max_position"),
        ('default: {max_position: "-1"}', "default.max_position"),
        ("default: {max_positions: 1}", "default.max_positions"),
        ("defaults: {}", "defaults"),
        ("accounts: {a.b: {}}", "accounts.a.b"),
        ("instruments: {BTCUSDT: {}}", "instruments.BTCUSDT"),
        ('account_instruments: {main: {binance.spot.BTCUSDT: {max_open_orders: "1"}}}', "max_open_orders"),
        ("default: [", "is not valid YAML"),
        ("default: {max_open_orders: 1, max_open_orders: 2}", "must be given once"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text: str, place: str, tmp_path: Path) -> None:
    """A file with anything in it that is not understood is refused, and the error says where."""
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=place):
        read_limits(path)


def test_names_that_are_unknown_are_refused() -> None:
    """A limit for an account or an instrument that the history does not know is refused, for it would bind nobody."""
    maker = started()
    check_names(read_limits(EXAMPLE), maker.state)
    for file in (
        {"accounts": {"sub_abr": Limits()}},
        {"account_instruments": {"sub_abr": {}}},
        {"instruments": {"binance.spot.BTCUSD": Limits()}},
        {"account_instruments": {"main": {"binance.spot.BTCUSD": Limits()}}},
    ):
        with pytest.raises(ConfigError, match=r"sub_abr|BTCUSD"):
            check_names(LimitsFile(**file), maker.state)


def test_the_example_has_every_key_and_a_comment_for_each() -> None:
    """The example file has every limit and scope, and says what each of them means."""
    document = yaml.safe_load(EXAMPLE.read_text())
    assert set(document) == set(attrs.fields_dict(LimitsFile))
    assert set(document["default"]) == set(attrs.fields_dict(Limits)) == {check.name for check in CHECKS}
    lines = EXAMPLE.read_text().splitlines()
    for name in document["default"]:
        assert lines[
            lines.index(next(line for line in lines if line.startswith(f"  {name}:"))) - 1
        ].startswith("  #")


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
    path.write_text('default: {max_order_quantity: "10"}\naccounts: {sub_arb: {max_open_orders: 3}}\n')
    expected = report(_busy(1), read_limits(path))
    document = json.loads(run(url, "--limits", str(path), "--json").stdout)
    assert document["denied"] == expected.denied > 10
    assert document["limits"] == {
        "default": {"max_order_quantity": "10"},
        "accounts": {"sub_arb": {"max_open_orders": 3}},
    }
    for row, wanted in zip(document["accounts"], expected.accounts, strict=True):
        assert Decimal(row["whatif"]["net"]) == wanted.whatif.net
        assert isinstance(row["actual"]["realised"], str)
    result = run(url, "--limits", str(path))
    assert result.exit_code == 0, result.stderr
    for text in (
        f"Denied: {expected.denied}",
        "MAX_ORDER_QUANTITY",
        "P&L of the span",
        "PEAK OPEN VALUE",
        "by position",
    ):
        assert text in result.stdout
    half = json.loads(run(url, "--limits", str(path), "--json", "--from", "3", "--to", "4").stdout)
    assert (half["first"], half["last"]) == (3, 4)
    assert "no commit" in run(url, "--limits", str(path), "--from", "2200-01-01").stdout


def test_wrong_limits_exit_2(url: str, tmp_path: Path) -> None:
    """A file that is refused exits 2 and names file and place."""
    path = tmp_path / "limits.yaml"
    for text, place in (
        ("default: {max: 1}", "default.max"),
        ("accounts: {nobody: {}}", "accounts.nobody"),
        ("default: [", "is not valid YAML"),
    ):
        path.write_text(text)
        result = run(url, "--limits", str(path))
        assert result.exit_code == 2
        assert result.stderr.count(str(path)) == 1
        assert place in result.stderr


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
    found = report(maker, limits(max_order_notional="1"))
    [row] = [row for row in found.positions if row.market == "futures"]
    assert (row.actual.quantity, row.whatif.quantity) == (3, 3)
    [account] = [row for row in found.accounts if row.account == "main"]
    assert (account.actual.unrealised, account.whatif.unrealised, account.actual.realised) == (30, 30, 0)
