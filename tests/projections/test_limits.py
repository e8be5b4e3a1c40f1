"""What people see of limits and accounts: every scope's own and inherited values, use and headroom, filters and pages."""

import decimal
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from oms.aggregates.money import EXACT
from oms.config import CacheConfig
from oms.messages import queries as q
from oms.messages.codes import Code, Refused
from oms.messages.controls import Level
from oms.messages.subjects import parse_subject
from oms.projections import uses
from oms.projections.accounts import account_rows
from oms.projections.projections import Projections
from replay.following.answers import answer
from replay.history import History
from replay.rebuild import new_history
from tests.replay.journal import Maker
from tests.unit.control_desk import ControlDesk
from tests.unit.desk import BTC, Desk

D = Decimal
HOUR_NS = 3_600 * 10**9


@pytest.fixture
def maker() -> Maker:
    """A desk of a MAIN and two SUB accounts; every control is off, and USDT is worth a dollar."""
    made = Maker()
    made.begin(("main", "sub_arb", "sub_mm"), fund="1000")
    return made


def followed(maker: Maker) -> History:
    """A follower's history of it."""
    maker.cut()
    made = new_history(CacheConfig())
    for stored in maker.stored:
        made.apply(stored)
    return made


def ask(maker: Maker, query: q.Query, subject: str) -> q.Answer[Any]:
    """Ask as a client does, all fields decoded."""
    made = followed(maker)
    row = q.LimitRow if isinstance(query, q.ShowLimits) else q.AccountRow
    assert made.projections is not None
    with decimal.localcontext(EXACT):
        found = answer(made.projections, parse_subject(subject), query, made.sequence, maker.clock)
    return msgspec.json.decode(msgspec.json.encode(found), type=q.Answer[row])  # type: ignore[valid-type]


def limits(maker: Maker, subject: str = "show_limits._._._._", **fields: Any) -> list[q.LimitRow]:
    return ask(maker, q.ShowLimits(limit=500, **fields), subject).rows


def one(maker: Maker, scope: str, control: str) -> q.LimitRow:
    """The row of one control at one scope."""
    (found,) = [row for row in limits(maker, control=control) if row.scope == scope]
    return found


def set_limits(maker: Maker, scope: str, tokens: str, **values: str) -> None:
    reply = maker.command(f"set_limits.{tokens}", scope=scope, limits=values, by="kim").reply
    assert reply.ok, reply


def accounts(maker: Maker, subject: str = "show_accounts._._._._", **fields: Any) -> list[q.AccountRow]:
    return ask(maker, q.ShowAccounts(**fields), subject).rows


# -- limits


def test_a_limit_shows_what_is_used_and_left_of_it(maker: Maker) -> None:
    """Working orders count at the mark: 0.1 BTC at 50,000 are 5,000 of 8,000, 62.5 %."""
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_exposure="8000", max_open_orders="4")
    maker.place("sub_arb", quantity="0.1", price="100")
    row = one(maker, "account:sub_arb", "max_exposure")
    assert (row.limit, row.source, row.own) == ("8000", "account:sub_arb", "8000")
    assert (row.used, row.headroom, row.share) == (D(5000), D(3000), D("0.625"))
    assert (row.level, row.latch, row.override) == (Level.CLEAR, None, None)
    orders = one(maker, "account:sub_arb", "max_open_orders")
    assert (orders.used, orders.headroom, orders.share) == (D(1), D(3), D("0.25"))


def test_what_a_scope_does_not_say_it_inherits(maker: Maker) -> None:
    """An account without a limit of its own shows that of account:*, and from where it has it."""
    set_limits(maker, "account:*", "_._._._", max_exposure="9000")
    row = one(maker, "account:sub_mm", "max_exposure")
    assert (row.limit, row.source, row.own) == ("9000", "account:*", None)
    set_limits(maker, "account:sub_mm", "_.sub_mm._._", max_exposure="off")
    row = one(maker, "account:sub_mm", "max_exposure")
    assert (row.limit, row.source, row.used, row.headroom) == ("off", "account:sub_mm", D(0), None)


def test_an_override_shows_with_its_end_and_who_answers_for_it(maker: Maker) -> None:
    """While it runs its value is in force, beside what the scope itself has set."""
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_exposure="8000")
    until = maker.clock + HOUR_NS
    reply = maker.command(
        "override_limits._.sub_arb._._",
        scope="account:sub_arb",
        limits={"max_exposure": "20000"},
        until=until,
        by="kim",
        reason="roll",
    ).reply
    assert reply.ok, reply
    row = one(maker, "account:sub_arb", "max_exposure")
    assert (row.limit, row.own) == ("20000", "8000")
    assert row.override == q.OverrideRow(value="20000", until=until, by="kim", reason="roll")
    maker.clock = until
    row = one(maker, "account:sub_arb", "max_exposure")
    assert (row.limit, row.override) == ("8000", None)


def test_every_row_names_the_event_it_comes_from(maker: Maker) -> None:
    """Who said the value in force, when and in which frame: an override while it runs, what is beneath it afterwards, the
    configuration where nobody said anything since, and for a kill switch who engaged it; the same from a snapshot."""
    maker.cut()
    set_limits(maker, "account:*", "_._._._", max_exposure="8000")
    maker.cut()
    said = q.Statement(sequence=maker.sequence, at=maker.clock, by="kim", reason="")
    assert one(maker, "account:sub_arb", "max_exposure").stated == said
    assert one(maker, "account:sub_arb", "max_open_orders").stated.by == "configuration"
    until = maker.clock + HOUR_NS
    about = {"scope": "account:*", "by": "lee", "reason": "roll"}
    maker.command("override_limits._._._._", limits={"max_exposure": "9000"}, until=until, **about)
    over = q.Statement(sequence=maker.sequence + 1, at=maker.clock, by="lee", reason="roll")
    maker.cut()
    assert one(maker, "account:sub_arb", "max_exposure").stated == over
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", by="ana", reason="why not")
    killed = q.Statement(sequence=maker.sequence + 1, at=maker.clock, by="ana", reason="why not")
    (row,) = limits(maker, latched=True, control="kill_switch")
    assert row.stated == killed
    before = followed(maker)
    assert before.projections is not None
    loaded = Projections(before.partition, 10, 10)
    loaded.load(before.projections.dump())
    assert loaded.statements.image() == before.projections.statements.image()
    maker.command("end_override._._._._", scope="account:*", by="kim")
    maker.command("release._.sub_arb._._", scope="account:sub_arb", by="kim")
    assert one(maker, "account:sub_arb", "max_exposure").stated == said
    assert not limits(maker, latched=True)
    maker.command("override_limits._._._._", limits={"max_exposure": "9000"}, until=until, **about)
    maker.clock = until
    assert one(maker, "account:sub_arb", "max_exposure").stated == said
    maker.command("set_limits._._._._", scope="account:*", clear=["max_exposure"], by="kim")
    assert not [row for row in limits(maker, control="max_exposure") if row.scope == "account:sub_arb"]


def test_near_and_beyond_are_told_apart(maker: Maker) -> None:
    """From 80 % of a limit on it is near, beyond it breached with headroom below zero; only these show with near."""
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_exposure="6000")
    set_limits(maker, "account:sub_mm", "_.sub_mm._._", max_exposure="60000")
    for account in ("sub_arb", "sub_mm"):
        maker.place(account, quantity="0.1", price="100")
    (near,) = limits(maker, near=True)
    assert (near.scope, near.level, near.share) == ("account:sub_arb", Level.NEAR, D("0.8333"))
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_exposure="4000")
    (over,) = limits(maker, near=True)
    assert (over.level, over.headroom, over.share) == (Level.BREACHED, D(-1000), D("1.25"))


def test_a_kill_switch_shows_at_its_scope(maker: Maker) -> None:
    """A latched scope has a row of its own, and its latch stands in all its rows: even one that has no limits at all."""
    scope = "instrument:binance.spot.ETHUSDT"
    reply = maker.command(
        "kill.binance._.spot.ETHUSDT", scope=scope, by="kim", reason="odd prices", allow_reduce_only=True
    ).reply
    assert reply.ok, reply
    (row,) = limits(maker, near=True)
    assert (row.scope, row.control, row.limit) == (scope, "kill_switch", "engaged")
    assert row.latch is not None
    assert (row.latch.by, row.latch.reason, row.latch.cause) == ("kim", "odd prices", "")
    assert (row.latch.at, row.latch.allow_reduce_only) == (maker.clock, True)
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", by="kim")
    rows = limits(maker, latched=True)
    assert {each.scope for each in rows} == {scope, "account:sub_arb"}
    assert all(each.latch is not None for each in rows)
    assert len(rows) > 2
    maker.command("release._.sub_arb._._", scope="account:sub_arb", by="kim")
    assert {each.scope for each in limits(maker, latched=True)} == {scope}


@pytest.mark.parametrize(
    "tokens, scopes",
    [
        ("_.sub_arb._._", {"account:sub_arb"}),
        ("binance._._._", {"exchange:binance", "instrument:binance.spot.BTCUSDT"}),
        ("binance._.spot.BTCUSDT", {"instrument:binance.spot.BTCUSDT"}),
        ("binance.sub_arb._._", set()),
    ],
)
def test_a_subject_shows_the_scopes_that_it_names(maker: Maker, tokens: str, scopes: set[str]) -> None:
    """So that permission on subjects decides who sees what: a client of one account sees that account's scope alone."""
    set_limits(maker, "exchange:binance", "binance._._._", max_exposure="1000000")
    set_limits(maker, "instrument:binance.spot.BTCUSDT", "binance._.spot.BTCUSDT", price_collar="0.1")
    maker.place("sub_arb", quantity="0.1", price="100", strategy="arb")
    assert {row.scope for row in limits(maker, f"show_limits.{tokens}")} == scopes


@pytest.mark.parametrize("tokens", ["okx._._._", "_.nobody._._"])
def test_a_subject_that_names_nobody_is_refused(maker: Maker, tokens: str) -> None:
    """No limits at all would be taken for nothing that is used of any."""
    with pytest.raises(Refused, match=r"no (account|exchange) '(nobody|okx)', known: "):
        limits(maker, f"show_limits.{tokens}")


def test_scopes_come_from_the_widest_on_and_page_by_page(maker: Maker) -> None:
    """Pages of two put together are the whole, in order: global, exchanges, accounts, strategies, instruments."""
    set_limits(maker, "exchange:binance", "binance._._._", max_exposure="1000000")
    maker.place("sub_arb", quantity="0.1", price="100", strategy="arb")
    whole = limits(maker)
    kinds = [row.scope.partition(":")[0] for row in whole]
    assert list(dict.fromkeys(kinds)) == ["global", "exchange", "account", "strategy"]
    assert len({(row.scope, row.control) for row in whole}) == len(whole)
    paged: list[q.LimitRow] = []
    after, more = "", True
    while more:
        found = ask(maker, q.ShowLimits(limit=2, after=after), "show_limits._._._._")
        assert len(found.rows) == 2 or not found.more
        paged += found.rows
        after, more = found.next, found.more
    assert paged == whole
    assert {row.scope for row in limits(maker, scope="strategy:")} >= {"strategy:arb"}
    assert all(row.scope.startswith("strategy:") for row in limits(maker, scope="strategy:"))


def test_nothing_is_left_of_a_limit_of_zero(maker: Maker) -> None:
    """A limit of 0 has no share, and what is used of it is beyond it."""
    maker.place("sub_arb", quantity="0.1", price="100")
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_open_orders="0")
    row = one(maker, "account:sub_arb", "max_open_orders")
    assert (row.used, row.headroom, row.share, row.level) == (D(1), D(-1), None, Level.BREACHED)


def test_what_is_held_against_each_position_shows_the_nearest(maker: Maker) -> None:
    """Of two positions the larger, by name, with what is left; of assets the one nearest to its own amount."""
    set_limits(maker, "global", "_._._._", max_position="8000", max_inventory="BTC=1,ETH=4")
    row = one(maker, "global", "max_inventory")
    assert (row.limit, row.used, row.headroom, row.nearest) == ("BTC=1,ETH=4", D(0), D(1), "")
    maker.place("sub_arb", quantity="0.1", price="100")
    maker.place("sub_mm", quantity="0.12", price="100")
    row = one(maker, "global", "max_position")
    assert (row.used, row.headroom, row.share) == (D(6000), D(2000), D("0.75"))
    assert row.nearest == "binance.sub_mm.spot.BTCUSDT"
    row = one(maker, "global", "max_inventory")
    assert (row.used, row.headroom, row.share) == (D("0.12"), D("0.88"), D("0.12"))
    maker.ask("report_marks.binance._.spot._", marks={"ETHUSDT": "1000"})
    maker.place("sub_arb", "ETHUSDT", quantity="3.3", price="100")
    row = one(maker, "global", "max_inventory")
    assert (row.used, row.headroom, row.level) == (D("3.3"), D("0.7"), Level.NEAR)
    assert row.nearest == "binance.sub_arb.spot.ETHUSDT"
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_position="4000")
    row = one(maker, "account:sub_arb", "max_position")
    assert (row.used, row.level, row.nearest) == (D(5000), Level.BREACHED, "binance.sub_arb.spot.BTCUSDT")
    assert {row.control for row in limits(maker, near=True)} == {"max_position", "max_inventory"}


def test_the_capital_of_a_strategy_is_a_row(maker: Maker) -> None:
    """With what its positions and orders use of it, the event that assigned it, and no row once it is taken away."""
    maker.command("assign_strategy._.sub_arb._._", strategy="arb", capital="6000", by="kim", reason="try")
    maker.cut()
    said = q.Statement(sequence=maker.sequence, at=maker.clock, by="kim", reason="try")
    maker.place("sub_arb", quantity="0.1", price="100", strategy="arb")
    row = one(maker, "strategy:arb", "capital")
    assert (row.limit, row.source, row.own, row.stated) == ("6000", "strategy:arb", "6000", said)
    assert (row.used, row.headroom, row.share, row.level) == (D(5000), D(1000), D("0.8333"), Level.NEAR)
    before = followed(maker)
    assert before.projections is not None
    loaded = Projections(before.partition, 10, 10)
    loaded.load(before.projections.dump())
    assert loaded.statements.image() == before.projections.statements.image()
    reply = maker.command("assign_strategy._.sub_arb._._", strategy="arb", capital=None, by="kim").reply
    assert reply.ok, reply
    assert limits(maker, control="capital") == []


def test_floor_and_cap_show_what_transfers_are_held_against(maker: Maker) -> None:
    """The floor shows what the MAIN account holds and what may go; the cap the fullest of the others that is known. 1,000 USDT and
    1,000 ETH each; a BTC is worth 50,000 USD."""
    set_limits(maker, "global", "_._._._", main_floor="100000", sub_cap="60000000")
    floor, cap = one(maker, "global", "main_floor"), one(maker, "global", "sub_cap")
    assert (floor.used, floor.headroom, floor.share, floor.nearest) == (D(1000), D(-99000), None, "main")
    assert (cap.used, cap.nearest) == (D(0), ""), "what ETH and BTC are worth is not known"
    for asset, rate in (("BTC", "50000"), ("ETH", "2000")):
        maker.command("set_valuation._._._._", asset=asset, rate=rate, by="kim")
    floor, cap = one(maker, "global", "main_floor"), one(maker, "global", "sub_cap")
    assert (floor.used, floor.headroom) == (D(52_001_000), D(51_901_000))
    assert (cap.used, cap.headroom, cap.nearest) == (D(52_001_000), D(7_999_000), "sub_arb")
    set_limits(maker, "global", "_._._._", main_floor="900000000", sub_cap="1")
    assert limits(maker, near=True) == [], "nobody is told of it"


def test_the_floor_is_that_of_the_main_account_that_is_open() -> None:
    """One that was closed keeps nothing."""
    desk = Desk(ready=False)
    for account in ("old", "new"):
        desk.register(account, "MAIN")
        if account == "old":
            assert desk.reply("close_account._.old._._", {"command_id": "close", "by": "ann"})["ok"]
    desk.list("spot", BTC)
    desk.open("new", "spot", {"USDT": "150000"})
    said = {"command_id": "set", "scope": "global", "limits": {"main_floor": "100000"}, "by": "ann"}
    assert desk.reply("set_limits._._._._", said)["ok"]
    (floor,) = (each.use for each in uses.rows(desk.state, desk.now) if each.control == "main_floor")
    assert floor is not None
    assert (floor.used, floor.nearest) == (150_000, "new")


# -- accounts


def test_an_account_shows_what_it_is_worth_and_does(maker: Maker) -> None:
    """Wallets at the rates known, orders at the mark, and which assets nobody has valued."""
    maker.command("set_valuation._._._._", asset="BTC", instrument="binance.spot.BTCUSDT", by="kim")
    maker.command("assign_strategy._.sub_arb._._", strategy="arb", capital="9000", by="kim")
    maker.place("sub_arb", quantity="0.1", price="100", strategy="arb")
    main, arb, mm = accounts(maker)
    assert (main.account, main.kind, main.name, main.status) == ("main", "MAIN", "main", "active")
    # 1,000 USDT and 1,000 BTC at 50,000; of ETH nobody has said what it is worth.
    assert (arb.value, arb.unvalued) == (D(50_001_000), ["ETH"])
    assert (arb.exposure, arb.open_orders) == (D(5000), 1)
    assert (mm.exposure, mm.open_orders) == (D(0), 0)
    assert arb.strategies == [q.Allocation(strategy="arb", capital=D(9000))]
    assert arb.venues == [q.VenueState(exchange="binance", market="spot", ready=True)]
    assert [row.account for row in accounts(maker, "show_accounts._.sub_mm._._")] == ["sub_mm"]


@pytest.mark.parametrize("mark, value", [("50000", 60_000), ("40000", 50_000), ("55000", 65_000)])
def test_an_account_is_worth_what_is_open_too(mark: str, value: int) -> None:
    """Its value is its equity: 60,000 USDT in the wallet of futures, and what 1 BTC bought at 50,000 has gained or lost since."""
    desk = ControlDesk()
    desk.holds("main", "spot", {"USDT": "0", "BTC": "0", "ETH": "0"})
    desk.step("holds main 60000 USDT of perp")
    desk.step("bought 1 @50000 of perp")
    desk.step(f"mark {mark} of perp")
    (row,) = account_rows(desk.state, {"main"})
    assert (row.value, row.unvalued) == (value, [])


def test_an_account_shows_its_profit_of_the_day(maker: Maker) -> None:
    """Bought at 50,000 and marked at 49,000: a hundredth has lost 10, which is as far below its best as it is."""
    order_id = maker.place("sub_arb", quantity="0.01", price="50000")
    maker.accept(order_id, "sub_arb")
    maker.fill(order_id, "0.01", "50000", account="sub_arb")
    maker.ask("report_marks.binance._.spot._", marks={"BTCUSDT": "49000"})
    (row,) = accounts(maker, "show_accounts._.sub_arb._._")
    assert (row.pnl_day, row.drawdown, row.exposure) == (D(-10), D(10), D(490))


def test_an_account_shows_why_it_does_not_trade(maker: Maker) -> None:
    """Its status, its name for people, a connector that is away, and the kill switches that hold for all of it."""
    maker.command("rename_account._.sub_arb._._", name="Arbitrage, spot", by="kim")
    maker.command("disable_account._.sub_arb._._", by="kim", reason="new keys")
    maker.command("kill._._._._", scope="global", by="kim")
    maker.command("kill._.sub_arb._._", scope="account:sub_arb", by="lee")
    maker.ask("close_session.binance.sub_arb.spot._", session="s1", reason="gone")
    (row,) = accounts(maker, "show_accounts._.sub_arb._._")
    assert (row.name, row.status, row.venues[0].ready) == ("Arbitrage, spot", "disabled", False)
    assert [(each.scope, each.by) for each in row.latches] == [("account:sub_arb", "lee"), ("global", "kim")]
    (other,) = accounts(maker, "show_accounts._.sub_mm._._")
    assert [each.scope for each in other.latches] == ["global"]
    maker.command("kill.binance._._._", scope="exchange:binance", by="kim")
    (row,) = accounts(maker, "show_accounts._.sub_arb._._")
    assert [each.scope for each in row.latches] == ["account:sub_arb", "global", "exchange:binance"]


def test_accounts_come_page_by_page(maker: Maker) -> None:
    """An answer that ends before the last account says so, and goes on behind it."""
    first = ask(maker, q.ShowAccounts(limit=2), "show_accounts._._._._")
    assert ([row.account for row in first.rows], first.more) == (["main", "sub_arb"], True)
    rest = ask(maker, q.ShowAccounts(limit=2, after=first.next), "show_accounts._._._._")
    assert ([row.account for row in rest.rows], rest.more) == (["sub_mm"], False)


def test_a_denied_order_is_denied_by_what_shows(maker: Maker) -> None:
    """What is left of a limit is what the next order may use, to the dollar."""
    set_limits(maker, "account:sub_arb", "_.sub_arb._._", max_exposure="8000")
    maker.place("sub_arb", quantity="0.1", price="100")
    left = one(maker, "account:sub_arb", "max_exposure").headroom
    assert left == D(3000)
    over = maker.command(
        "place.binance.sub_arb.spot.BTCUSDT", side="buy", type="limit", quantity="0.06001", price="100"
    )
    assert over.reply.error.code is Code.MAX_EXPOSURE  # type: ignore[union-attr]
    maker.place("sub_arb", quantity="0.06", price="100")
    assert one(maker, "account:sub_arb", "max_exposure").headroom == D(0)


def test_transfers_under_way_stand_with_both_accounts(maker: Maker) -> None:
    """Money that is on its way, or nobody knows of, is shown until the venue has said what became of it."""
    reply = maker.command(
        "transfer.binance.sub_arb.spot._", to="main", asset="USDT", amount="250", by="kim"
    ).reply
    assert reply.ok, reply
    before = {row.account: row for row in accounts(maker)}
    assert [before[name].under_way for name in ("main", "sub_arb", "sub_mm")] == [1, 1, 0]
    (shown,) = before["sub_arb"].transfers
    assert before["main"].transfers == [shown]
    assert (shown.account, shown.to, shown.amount, str(shown.status), shown.by) == (
        "sub_arb", "main", D(250), "requested", "kim",
    )  # fmt: skip
    maker.ask("doubt_transfers._._._._", transfer_ids=[shown.transfer_id], reason="nobody answered")
    (doubtful,) = accounts(maker, "show_accounts._.main._._")[0].transfers
    assert str(doubtful.status) == "in_doubt"
    assert doubtful.note
