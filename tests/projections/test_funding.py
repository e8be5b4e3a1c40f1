"""Funding and adopted positions in P&L: what each strategy's book, each day and each answer says of them."""

import decimal
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oms.aggregates import image
from oms.aggregates.money import EXACT
from oms.aggregates.partition import Partition
from oms.messages import queries as q
from oms.messages.codes import Refused
from oms.messages.frames import decode_frame
from oms.messages.subjects import Subject
from oms.projections.projections import Projections
from replay.following import public
from replay.following.answers import answer
from replay.following.pnl_report import COLUMNS, PnlReports, make_report
from tests.unit.futures_desk import FuturesDesk

D = Decimal


@pytest.fixture
def desk() -> FuturesDesk:
    found = FuturesDesk()
    found.terms("10")
    return found


def models(desk: FuturesDesk, told: list[tuple[str, dict[str, Any]]] | None = None) -> Projections:
    """The read models of everything that happened; with ``told`` also every public event, by its subject."""
    state = Partition()
    made = Projections(state, 1_000, 10**18)
    with decimal.localcontext(EXACT):
        for payload in desk.frames:
            frame = decode_frame(payload)
            for commit in frame.commits:
                for event in commit.events:
                    state.evolve(event, commit.at)
                    made.evolve(event, commit.at, frame.sequence)
                    if told is not None:
                        public.derive(
                            made,
                            event,
                            commit.at,
                            frame.sequence,
                            lambda _, s, p: told.append((s, json.loads(p))),
                        )
                state.finish(commit, frame.sequence)
    return made


def show(made: Projections, query: Any, subject: str = "show._._._._") -> Any:
    """Ask as a client does."""
    with decimal.localcontext(EXACT):
        found = answer(made, Subject(*subject.split(".")), query, 1, 0)
    return json.loads(msgspec.json.encode(found))["rows"]


def trade(desk: FuturesDesk, side: str, quantity: str, strategy: str) -> None:
    order = desk.order(side, quantity, strategy=strategy)["order_id"]
    desk.trade(side, quantity, "100", order_id=order)


def books(made: Projections) -> dict[str, Decimal]:
    return {key[4]: book.funding for key, book in made.pnl.books.items()}


@pytest.mark.parametrize(
    "held, amount, shares",
    [
        ({"alpha": ("buy", "2")}, "-0.3", {"alpha": "-0.3"}),
        ({"alpha": ("buy", "2"), "beta": ("buy", "1")}, "-0.3", {"alpha": "-0.2", "beta": "-0.1"}),
        ({"alpha": ("buy", "3"), "beta": ("sell", "1")}, "-0.4", {"alpha": "-0.6", "beta": "0.2"}),
        ({"alpha": ("buy", "1"), "beta": ("buy", "1"), "gamma": ("buy", "1")}, "0.1",
         {"alpha": "0.033333333333333333", "beta": "0.033333333333333333", "gamma": "0.033333333333333334"}),
        ({"alpha": ("buy", "1"), "beta": ("sell", "1")}, "0.1", {"alpha": "0", "beta": "0.1"}),
        ({}, "0.1", {"external": "0.1"}),
    ],
    ids=["one", "two", "against each other", "thirds", "flat together", "none"],
)  # fmt: skip
def test_funding_is_shared_as_strategies_hold(
    desk: FuturesDesk, held: dict[str, tuple[str, str]], amount: str, shares: dict[str, str]
) -> None:
    """Each strategy pays for what it holds and receives for what it is short of; shares add up exactly."""
    for strategy, (side, quantity) in held.items():
        trade(desk, side, quantity, strategy)
    desk.fund("f1", amount)
    made = models(desk)
    assert books(made) == {strategy: D(share) for strategy, share in shares.items()}
    assert sum(books(made).values()) == D(amount)


def test_answers_say_funding(desk: FuturesDesk) -> None:
    """P&L by strategy and in total has funding of its own and counts it in net; so do position and day."""
    trade(desk, "buy", "2", "alpha")
    desk.fund("f1", "-0.3")
    desk.mark("101")
    made = models(desk)
    [row] = show(made, q.ShowPnl(by=["strategy"]))
    assert (row["funding"], row["unrealised"], row["net"]) == ("-0.3", "2", "1.7")
    [day, still_open] = show(made, q.ShowPnl(by=["day"]))
    assert (day["funding"], still_open["funding"], still_open["unrealised"]) == ("-0.3", "0", "2")
    [position] = show(made, q.ShowPositions())
    assert (position["funding"], position["margin"], position["leverage"]) == ("-0.3", "20", "10")


def test_adopted_difference_belongs_to_nobodys_strategy(desk: FuturesDesk) -> None:
    """Strategies keep what they traded; what the venue has beyond that is in the book of what is not ours."""
    trade(desk, "buy", "2", "alpha")
    desk.positions({"symbol": "BTCUSDT", "quantity": "5", "entry_price": "110"})
    made = models(desk)
    held = {key[4]: (book.quantity, book.cost) for key, book in made.pnl.books.items()}
    assert held == {"alpha": (D(2), D(200)), "external": (D(3), D(350))}
    assert made.pnl.days == models(desk).pnl.days


@pytest.mark.parametrize("missing", [("adjustments",), ("adjustments", "funding")], ids=len)
def test_report_of_a_month_says_funding(desk: FuturesDesk, tmp_path: Path, missing: tuple[str, ...]) -> None:
    """The row has the day's funding; a report written before that, or adjustments, had a column is read, and goes on."""
    trade(desk, "buy", "2", "alpha")
    desk.fund("f1", "-0.3")
    report = make_report(models(desk), "2023-11", "2023-11-14")
    [row] = [dict(zip(COLUMNS, row, strict=True)) for row in report.rows]
    assert (row["strategy"], row["funding"], row["net"]) == ("alpha", "-0.3", "-0.3")
    reports = PnlReports(tmp_path)
    path = reports.path("2023-11")
    path.parent.mkdir(parents=True)
    known = [number for number, name in enumerate(COLUMNS) if name not in missing]
    before = [[each[number] for number in known] for each in (COLUMNS, report.rows[0])]
    path.write_text("".join(",".join(each) + "\n" for each in before))
    assert reports.write([report]) == [path]
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_days_come_back_over_the_books_of_the_same_moment(desk: FuturesDesk) -> None:
    """A snapshot's days name the partition's books, which are in its state, once; both come back as they were."""
    trade(desk, "buy", "2", "alpha")
    trade(desk, "sell", "1", "beta")
    desk.fund("f1", "-0.3")
    made = models(desk)
    assert "books" not in json.loads(made.dump())
    loaded = Projections(image.load(image.dump(made.partition)), 1_000, 10**18)
    loaded.load(made.dump())
    assert loaded.dump() == made.dump()
    assert loaded.pnl.days == made.pnl.days
    assert loaded.pnl.books == made.partition.books.by_key


def test_shared_wallet_is_told_once_and_found_by_either_market(desk: FuturesDesk) -> None:
    """One row an asset; a question for spot or for futures means the wallet that its funds are in, and no other market's."""
    made = models(desk)
    rows = show(made, q.ShowBalances())
    assert [(row["wallet"], row["asset"], row["total"]) for row in rows] == [
        ("unified", "BTC", "1"),
        ("unified", "USDT", "10000"),
    ]
    for market in ("spot", "futures", "unified"):
        assert show(made, q.ShowBalances(), f"show.bybit._.{market}._") == rows
    with pytest.raises(Refused, match="no market 'options', known: futures, spot, unified"):
        show(made, q.ShowBalances(), "show._._.options._")


def test_public_events_tell_of_positions_and_wallets(desk: FuturesDesk) -> None:
    """Funding, statements and terms are told as the position after them, funds under their wallet, a reconciliation whole."""
    trade(desk, "buy", "2", "alpha")
    desk.fund("f1", "-0.3")
    desk.positions({"symbol": "BTCUSDT", "quantity": "2", "liquidation_price": "50", "leverage": "10"})
    desk.ask("set_terms.bybit.main.futures.BTCUSDT", {"command_id": "t", "leverage": "50"})
    desk.say("terms_refused", symbol="BTCUSDT", reason="too high")
    difference = {"kind": "trade", "key": "t9", "expected": "none", "found": "buy 1 at 100"}
    counts = {"orders": 1, "trades": 2, "balances": 3, "positions": 4}
    desk.ask(
        "report_reconciliation.bybit.main.futures._",
        {"session": "s1", "started_at": 5, **counts, "differences": [difference]},
    )
    told: list[tuple[str, dict[str, Any]]] = []
    models(desk, told)
    positions = {m["event"]: m for s, m in told if s == "positions.bybit.main.futures.BTCUSDT"}
    assert set(positions) == {"TermsSet", "OrderFilled", "FundingPaid", "PositionStated", "TermsRefused"}
    assert positions["FundingPaid"]["funding"] == "-0.3"
    assert positions["PositionStated"]["liquidation_price"] == "50"
    assert positions["TermsRefused"]["reason"] == "too high"
    funds = [m for s, m in told if s == "accounts.bybit.main.unified._" and m["event"] == "FundingPaid"]
    assert [row["total"] for row in funds[0]["balances"]] == ["9999.7"]
    [found] = [m for s, m in told if m["event"] == "Reconciled" and s == "accounts.bybit.main.futures._"]
    assert found["differences"] == [difference]
    assert {name: found[name] for name in counts} == counts
    assert all(msgspec.json.encode(m) for _, m in told)
