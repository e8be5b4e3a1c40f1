"""`oms demo` tells the truth: it runs through, and each of its comparisons finds what is wrong."""

import io
import re
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from rich.console import Console

from oms.aggregates.account import Wallet
from oms.cli.demo import compare as c
from oms.cli.demo import markets as m
from oms.cli.demo.story import Story
from oms.cli.demo.tally import Tally, funding_agrees
from oms.client import Result, new_order
from oms.messages import events as e
from oms.messages.commands import Difference
from oms.messages.enums import Side
from oms.messages.frames import GENESIS, Commit
from oms.messages.queries import BalanceRow
from oms.nats_server import EmbeddedNats
from replay.archive import Archive
from replay.snapshot import Snapshots
from replay.source import Source
from replay.verify import Finding, Found, Report, verify

from .conftest import run_oms

ORDER = new_order("BTCUSDT", "buy", "1", price="2", command_id="c1")
TOLD = c.Acknowledged("main", ORDER, "o1")


def _placed(order_id: str, **changes: Any) -> e.OrderPlaced:
    fields = {
        "exchange": "binance",
        "account": "main",
        "market": "spot",
        "symbol": "BTCUSDT",
        "side": Side.BUY,
    }
    fields |= {"type": "limit", "quantity": Decimal(1), "price": Decimal(2)}
    return e.OrderPlaced(order_id=order_id, **(fields | changes))


def _filled(trade_id: str, quantity: str = "1") -> e.OrderFilled:
    return e.OrderFilled(
        order_id="o1",
        exchange="binance",
        account="main",
        market="spot",
        symbol="BTCUSDT",
        side=Side.BUY,
        trade_id=trade_id,
        quantity=Decimal(quantity),
        price=Decimal(2),
        fee=Decimal(0),
        fee_asset="BTC",
        venue_time=1,
    )


def _facts(*commits: tuple[str, list[Any]]) -> c.JournalFacts:
    facts = c.JournalFacts()
    for command_id, events in commits:
        facts.add(Commit(at=1, subject="x", command=msgspec.Raw(b"{}"), events=events, command_id=command_id))
    return facts


ACCEPTED = e.OrderAccepted(order_id="o1", venue_order_id="7", venue_time=1)
GOOD = [("c1", [_placed("o1")]), ("", [ACCEPTED]), ("", [_filled("t1")])]
VENUE_ORDER = {"account": "main", "client_order_id": "o1"}
VENUE_TRADE: dict[str, Any] = {
    "account": "main",
    "symbol": "BTCUSDT",
    "trade_id": "t1",
    "is_buyer": True,
    "quantity": "1.00000000",
    "price": "2.00000000",
}


def test_what_agrees_has_no_difference() -> None:
    """Sources that say the same are found equal, however they spell an amount."""
    facts = _facts(*GOOD)
    assert c.acknowledged_are_in_journal([TOLD], facts) == []
    assert c.nothing_twice(facts) == []
    assert c.venue_agrees([VENUE_ORDER], facts) == []
    assert c.trades_agree([VENUE_TRADE], facts) == []
    assert c.engine_remembers([TOLD], [Result(ok=True, order_id="o1", duplicate=True)]) == []
    assert c.states_agree("d", "d", b"m", b"m") == []


@pytest.mark.parametrize(
    "commits, said",
    [
        ([], "the journal has none"),
        ([("c1", [_placed("o2")])], r"the journal has \['o2'\]"),
        ([("c2", [_placed("o1")])], "the journal has none"),
        ([("c1", [_placed("o1", account="sub_arb")])], "the journal has none"),
        ([*GOOD, ("c1", [_placed("o2")])], r"the journal has \['o1', 'o2'\]"),
    ],
)
def test_a_lost_or_changed_order_is_found(commits: Any, said: str) -> None:
    """An acknowledged order that the journal lacks, or has otherwise, is a difference."""
    (difference,) = c.acknowledged_are_in_journal([TOLD], _facts(*commits))
    assert re.search(said, difference)


@pytest.mark.parametrize(
    "commits, said",
    [
        ([*GOOD, ("c1", [_placed("o2")])], "command c1 made 2 orders"),
        ([*GOOD, ("c2", [_placed("o1")])], "order o1 was made 2 times"),
        ([*GOOD, ("", [_filled("t1")])], "was applied 2 times"),
    ],
)
def test_anything_twice_is_found(commits: Any, said: str) -> None:
    """A command, an order or a trade that is there twice is a difference."""
    assert any(said in difference for difference in c.nothing_twice(_facts(*commits)))


@pytest.mark.parametrize(
    "orders, said",
    [
        ([VENUE_ORDER, VENUE_ORDER], "the venue holds o1 of main 2 times"),
        ([VENUE_ORDER, {"account": "main", "client_order_id": "o9"}], "which the journal does not know"),
        ([VENUE_ORDER, {"account": "sub_arb", "client_order_id": "o1"}], "which the journal does not know"),
        ([], "the venue does not hold it"),
    ],
)
def test_a_venue_that_differs_is_found(orders: Any, said: str) -> None:
    """An order at the venue that is doubled, unknown here, or missing there is a difference."""
    (difference,) = c.venue_agrees(orders, _facts(*GOOD))
    assert said in difference


@pytest.mark.parametrize(
    "trades, said",
    [
        ([], "not at the venue"),
        ([VENUE_TRADE, VENUE_TRADE | {"trade_id": "t2"}], "not in the journal"),
        ([VENUE_TRADE, VENUE_TRADE | {"is_buyer": False}], "not in the journal"),
        ([VENUE_TRADE | {"quantity": "1.00000001"}], "1.00000001"),
    ],
)
def test_a_trade_that_differs_is_found(trades: Any, said: str) -> None:
    """A trade that one side lacks, or has another amount of, is a difference."""
    (difference,) = c.trades_agree(trades, _facts(*GOOD))
    assert said in difference


@pytest.mark.parametrize(
    "result",
    [
        Result(ok=True, order_id="o1", duplicate=False),
        Result(ok=True, order_id="o2", duplicate=True),
        Result(ok=False),
    ],
)
def test_an_engine_that_forgot_is_found(result: Result) -> None:
    """An answer that is not the first one again, as a duplicate, is a difference."""
    assert len(c.engine_remembers([TOLD], [result])) == 1


def test_an_order_that_cannot_be_queried_is_found() -> None:
    """An acknowledged order that the follower does not show is a difference."""
    assert c.follower_shows([TOLD], []) == ["order o1 was acknowledged and cannot be queried"]


def test_a_balance_that_differs_is_found() -> None:
    """A total that differs, or an asset that one side lacks, is a difference; a zero that is not listed is none."""
    row = BalanceRow(
        exchange="binance",
        account="main",
        wallet="spot",
        asset="BTC",
        total=Decimal("2.0"),
        locked=Decimal(0),
        margin=Decimal(0),
        free=Decimal(2),
    )
    amounts = {"free": "1.5", "locked": "0.5"}
    nothing = {"free": "0", "locked": "0"}
    assert c.balances_agree({"main": {"BTC": amounts, "ETH": nothing}}, [row]) == []
    assert len(c.balances_agree({"main": {"BTC": amounts | {"free": "1.50000001"}}}, [row])) == 1
    assert len(c.balances_agree({"main": {"BTC": amounts, "ETH": amounts}}, [row])) == 1
    assert len(c.balances_agree({"main": {}}, [row])) == 1


def test_a_state_that_differs_is_found() -> None:
    """Another digest, or other read models, is a difference."""
    assert len(c.states_agree("d", "e", b"m", b"n")) == 2


def test_the_demonstration_runs_through() -> None:
    """It exits 0 without a terminal, in time, every claim checked; that no process is left is the session's check."""
    started = time.monotonic()
    ran = run_oms("demo", timeout_s=100)
    assert ran.code == 0, ran.out + ran.err
    assert time.monotonic() - started < 60
    assert ran.out.count("✓") == 12
    assert "✗" not in ran.out
    assert "\x1b[" not in ran.out
    assert ran.err == ""


@pytest.mark.timeout(200)
def test_every_market_agrees_in_the_end() -> None:
    """With every exchange, every fault and a killed connector it exits 0, every claim checked, none left out."""
    ran = run_oms("demo", "--exchange", "all", timeout_s=180)
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.count("✓") == 14
    assert "✗" not in ran.out
    assert "SIGKILL to the connector of okx" in ran.out
    for place in m.PLACES:
        (row,) = re.findall(rf"^{re.escape(place.venue)} +(\d+) +(\d+) ", ran.out, re.MULTILINE)
        assert int(row[0]) > int(row[1]) > 0, f"{place.venue}: {row}"
    assert max(map(len, ran.out.splitlines())) <= 110
    assert ran.err == ""


def test_another_exchange_is_refused() -> None:
    """What has no demonstration of its own is a mistake of usage, and the line says what there is."""
    ran = run_oms("demo", "--exchange", "okx")
    assert ran.code == 2
    assert "'okx' is not one of 'binance', 'all'" in ran.err


def _tally(*events: Any) -> Tally:
    tally = Tally()
    tally.add(Commit(at=1, subject="x", command=msgspec.Raw(b"{}"), events=list(events)))
    return tally


def test_the_table_counts_what_the_journal_says() -> None:
    """By venue and together: doubts once an order, those that never arrived apart from the venue's rejections."""
    doubt = e.OrderInDoubt(order_id="o1", reason="timeout")
    tally = _tally(
        _placed("o1"),
        _placed("o2", market="futures"),
        _placed("o3"),
        doubt,
        e.OrderDoubtResolved(order_id="o1"),
        doubt,
        e.OrderRejected(order_id="o1", reason="never there"),
        e.OrderRejected(order_id="o3", reason="too small"),
        e.OrderInDoubt(order_id="o2", reason="timeout"),
        _filled("t1"),
        _reconciled(
            Difference(kind="trade", key="t1", expected="told by the stream", found="a trade"), more=1
        ),
    )
    futures, spot, total = tally.rows(unsure=["o2"])
    assert (futures.venue, spot.venue) == ("binance.futures", "binance.spot")
    assert (spot.orders, spot.fills, spot.rejected, spot.lost, spot.found) == (2, 1, 1, 1, 2)
    assert (spot.doubted, spot.resolved, futures.doubted, futures.resolved) == ({"o1"}, 1, {"o2"}, 0)
    assert (total.orders, total.doubted, total.resolved, total.found) == (3, {"o1", "o2"}, 1, 2)


def _reconciled(*differences: Difference, more: int) -> e.Reconciled:
    return e.Reconciled(
        exchange="binance",
        account="main",
        market="spot",
        request_id="",
        started_at=1,
        orders=0,
        trades=0,
        balances=0,
        positions=0,
        differences=list(differences),
        more=more,
    )


def test_a_funding_payment_that_differs_is_found() -> None:
    """One that is not booked, booked twice, or of another amount is a difference."""
    paid = e.FundingPaid(
        exchange="okx",
        account="main",
        market="futures",
        symbol="BTC-USDT-SWAP",
        funding_id="1",
        amount=Decimal("-1.5"),
        asset="USDT",
        venue_time=1,
    )
    venue = Counter({("okx", "main", "BTC-USDT-SWAP", "USDT", Decimal("-1.50")): 1})
    assert funding_agrees(venue, _tally(paid).funding) == []
    assert len(funding_agrees(venue, _tally().funding)) == 1
    assert len(funding_agrees(venue, _tally(paid, paid).funding)) == 1
    other = msgspec.structs.replace(paid, amount=Decimal("-1.6"))
    assert len(funding_agrees(venue, _tally(other).funding)) == 2


def test_a_record_without_a_proof_is_found() -> None:
    """A proof that was not made counts as little as one that failed."""
    report = Report(archived=1, checks=1, seals=1, receipts=1, snapshots=1, decided=1)
    assert c.record_is_proven(report) == []
    report.receipts = 0
    report.add(Found(kind=Finding.JOURNAL, sequence=7, message="gone"))
    assert len(c.record_is_proven(report)) == 2


def _no_fee(wallet: Wallet, event: e.OrderFilled, *rest: Any) -> Any:
    return _FILL(wallet, msgspec.structs.replace(event, fee=Decimal(0)), *rest)


_FILL = Wallet.fill


async def test_the_demonstrations_journal_is_verified_and_changed_code_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record holds; with one evolve rule changed (a fill's fee is not paid), commit, wallet and field are named."""
    story = Story(Console(file=io.StringIO()), tmp_path)
    try:
        await story.tell()
    finally:
        await story.stack.stop()
    config = story.stack.config
    data_dir, archive = config.storage.data_dir, Archive(config.storage.data_dir)
    async with EmbeddedNats(data_dir / "nats") as server:
        nc = await nats.connect(server.url)
        try:
            source, snapshots = Source(nc, archive), Snapshots(data_dir)
            report = await verify(source, data_dir, snapshots, archive)
            assert report.findings == []
            fill = await _first_fee(source, report.last)
            monkeypatch.setattr(Wallet, "fill", _no_fee)
            report = await verify(source, data_dir, snapshots, archive, decisions=False)
        finally:
            await nc.close()
    first = report.findings[0]
    assert (first.kind, (first.sequence, first.commit)) == (Finding.STATE, fill[0])
    wallet = f"wallet {fill[1].exchange}.{fill[1].account}.{fill[1].market}"
    place = (wallet, f"balances.{fill[1].fee_asset}.total")
    assert place in {(field.entity, field.field) for field in first.fields}
    assert report.whole


async def _first_fee(source: Source, last: int) -> tuple[tuple[int, int], e.OrderFilled]:
    async for batch in source.frames(1, last, GENESIS):
        for stored in batch:
            for index, commit in enumerate(stored.frame.commits):
                for event in commit.events:
                    if isinstance(event, e.OrderFilled) and event.fee:
                        return (stored.sequence, index), event
    raise AssertionError("the demonstration had no fee")
