"""`oms demo` tells the truth: it runs through, and each of its comparisons finds what is wrong."""

import re
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from oms.cli.demo import compare as c
from oms.client import Result, new_order
from oms.messages import events as e
from oms.messages.enums import Side
from oms.messages.frames import Commit
from oms.messages.queries import BalanceRow

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
VENUE_ORDER = {"account": "main", "clientOrderId": "o1"}
VENUE_TRADE: dict[str, Any] = {
    "account": "main",
    "symbol": "BTCUSDT",
    "id": "t1",
    "isBuyer": True,
    "qty": "1.00000000",
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
        ([VENUE_ORDER, {"account": "main", "clientOrderId": "o9"}], "which the journal does not know"),
        ([VENUE_ORDER, {"account": "sub_arb", "clientOrderId": "o1"}], "which the journal does not know"),
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
        ([VENUE_TRADE, VENUE_TRADE | {"id": "t2"}], "not in the journal"),
        ([VENUE_TRADE, VENUE_TRADE | {"isBuyer": False}], "not in the journal"),
        ([VENUE_TRADE | {"qty": "1.00000001"}], "1.00000001"),
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
        market="spot",
        asset="BTC",
        total=Decimal("2.0"),
        locked=Decimal(0),
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
    assert ran.out.count("✓") == 11
    assert "✗" not in ran.out
    assert "\x1b[" not in ran.out
    assert ran.err == ""
