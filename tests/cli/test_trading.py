"""The commands of people, each once through the real system: engine, journal, connector, simulated venue, follower."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from .conftest import Ran, Up, run_oms


@pytest.fixture
def oms(up: Up) -> Callable[..., Ran]:
    return lambda *arguments: run_oms(*arguments, url=up.url)


def _read(oms: Callable[..., Ran], *arguments: str) -> Any:
    ran = oms(*arguments, "--json")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    return json.loads(ran.out)


def _becomes(oms: Callable[..., Ran], order_id: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        row: dict[str, Any] = _read(oms, "orders", order_id)["rows"][0]
        if row["status"] == status:
            return row
        assert time.monotonic() < deadline, f"{order_id} is {row['status']}, not {status}"


def test_an_order_is_placed_amended_and_canceled(oms: Callable[..., Ran]) -> None:
    """Place answers with the id once durable; amend and cancel take it; the blotter shows what became of it."""
    placed = oms(
        "place", "buy", "0.5", "BTCUSDT", "--price", "40000", "--account", "sub_arb", "--ref", "mine"
    )
    assert placed.code == 0, placed.err
    order_id, status = placed.out.split()
    assert status == "PENDING_NEW"
    _becomes(oms, order_id, "NEW")
    table = oms("orders", "--account", "sub_arb")
    assert re.search(
        rf"^{order_id} +sub_arb .*BTCUSDT +buy +limit +0\.5 +40,000 +0 +NEW +mine", table.out, re.MULTILINE
    )
    amended = oms("amend", order_id, "--quantity", "0.4", "--price", "40000.5", "--account", "sub_arb")
    assert (amended.code, amended.out) == (0, f"{order_id} PENDING_REPLACE\n")
    row = _becomes(oms, order_id, "NEW")
    assert (Decimal(row["quantity"]), Decimal(row["price"])) == (Decimal("0.4"), Decimal("40000.5"))
    canceled = oms("cancel", order_id, "--account", "sub_arb")
    assert (canceled.code, canceled.out) == (0, f"{order_id} PENDING_CANCEL\n")
    _becomes(oms, order_id, "CANCELED")
    assert order_id not in oms("orders").out
    assert order_id in oms("orders", "--all").out


def test_the_same_id_is_the_same_order(oms: Callable[..., Ran]) -> None:
    """A command sent again with its id is answered as before and does nothing; with other terms it is refused."""
    command = ["place", "buy", "0.1", "BTCUSDT", "-p", "40000", "--id", "only-once"]
    first, again = oms(*command), oms(*command)
    assert again.code == 0
    assert again.out.split()[:2] == first.out.split()[:2]
    assert "sent before" in again.out
    other = oms("place", "buy", "0.2", "BTCUSDT", "-p", "40000", "--id", "only-once")
    assert other.code == 1
    assert "COMMAND_ID_REUSED" in other.err


def test_a_trade_shows_everywhere(oms: Callable[..., Ran]) -> None:
    """A market order fills, and trades, positions, balances and P&L say so, in tables and in JSON."""
    order_id = oms("place", "buy", "0.01", "BTCUSDT", "--strategy", "alpha").out.split()[0]
    _becomes(oms, order_id, "FILLED")
    trades = _read(oms, "trades", "--order", order_id)["rows"]
    assert sum(Decimal(trade["quantity"]) for trade in trades) == Decimal("0.01")
    assert order_id in oms("trades", "--strategy", "alpha").out
    position = _read(oms, "positions", "--account", "main", "--symbol", "BTCUSDT")["rows"][0]
    assert Decimal(position["quantity"]) > 0
    assert re.search(r"^main +binance.spot +BTCUSDT ", oms("positions").out, re.MULTILINE)
    assert re.search(r"^main +binance.spot +USDT +99,", oms("balances", "--asset", "USDT").out, re.MULTILINE)
    assert re.search(r"^main +alpha +binance\.spot +BTCUSDT +\d+ ", oms("pnl").out, re.MULTILINE)
    by_day = _read(oms, "pnl", "--by", "day")
    assert {row["day"] for row in by_day["rows"]} >= {"open"}
    assert by_day["totals"][0]["settle"] == "USDT"


def test_cancel_all_leaves_nothing_open(oms: Callable[..., Ran]) -> None:
    """`cancel --all` asks for every order of the account and says how many."""
    for price in ("39000", "39001"):
        assert oms("place", "buy", "0.01", "BTCUSDT", "-p", price).code == 0
    several = oms("cancel", "--all")
    assert several.code == 0
    assert re.fullmatch(r"cancel requested for [2-9] orders\n", several.out)
    deadline = time.monotonic() + 20
    while oms("orders", "-a", "main").out != "no open orders\n":
        assert time.monotonic() < deadline


def test_the_status_names_the_connectors(oms: Callable[..., Ran]) -> None:
    """Status shows a ready connector for both accounts."""
    shown = oms("status").out
    assert re.search(r"^main +binance.spot +ready ", shown, re.MULTILINE)
    assert re.search(r"^sub_arb +binance.spot +ready ", shown, re.MULTILINE)


def test_watching_shows_events_as_they_come(up: Up, oms: Callable[..., Ran]) -> None:
    """`oms watch` tells of an order placed while it watches, and ends after as many events as asked."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "oms", "watch", "orders", "--count", "1", "--json", "--nats", up.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    assert "watching" in watching.stderr.readline()
    order_id = oms("place", "buy", "0.01", "BTCUSDT", "-p", "38000").out.split()[0]
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    event = json.loads(out)
    assert (event["event"], event["order_id"], Decimal(event["quantity"])) == (
        "OrderPlaced",
        order_id,
        Decimal("0.01"),
    )


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["place", "buy", "0.5", "NOPE", "-p", "1"], 1, "refused: INSTRUMENT_UNKNOWN"),
        (["place", "buy", "1000", "BTCUSDT", "-p", "50000"], 1, "refused: INSUFFICIENT_FUNDS"),
        (["place", "buy", "1", "BTCUSDT", "-a", "nobody"], 1, "refused: ACCOUNT_UNKNOWN"),
        (["cancel", "nope"], 1, "refused: ORDER_UNKNOWN"),
        (["cancel", "nope", "nor-this"], 1, "refused: ORDER_UNKNOWN"),
        (["amend", "nope", "-q", "1"], 1, "refused: ORDER_UNKNOWN"),
        (["cancel", "--all", "-s", "BTCUSD"], 1, "refused: INSTRUMENT_UNKNOWN"),
        (["orders", "-a", "sub_ar"], 1, "refused: ACCOUNT_UNKNOWN: no account 'sub_ar', known: main, "),
        (["status", "-a", "sub_ar"], 1, "refused: ACCOUNT_UNKNOWN"),
        (["risk", "--control", "max_positon"], 1, "max_position may be meant"),
        (["watch", "accounts", "-a", "nobody"], 1, "refused: ACCOUNT_UNKNOWN"),
        (["watch", "orders", "-s", "BTCUSD"], 1, "refused: INSTRUMENT_UNKNOWN"),
        (["place", "buy", "half", "BTCUSDT"], 2, "an amount is a decimal number"),
        (["place", "hold", "1", "BTCUSDT"], 2, "'hold'"),
        (["place", "buy", "1", "BTC.USDT"], 2, "one word"),
        (["place", "buy", "1", "BTCUSDT", "--expires-in", "soon"], 2, "a duration is"),
        (["amend", "nope"], 2, "--quantity, --price"),
        (["cancel"], 2, "--all"),
        (["pnl", "--by", "moon"], 2, "--by takes"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    oms: Callable[..., Ran], arguments: list[str], code: int, said: str
) -> None:
    """Refusals exit 1 and wrong usage 2; the last line says what was wrong, and nothing looks like a traceback."""
    ran = oms(*arguments)
    assert ran.code == code
    assert said in ran.err.strip().splitlines()[-1]
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_replay_rebuilds_what_is_live(up: Up) -> None:
    """`oms replay state` reads the journal of the running system and prints the digest of its state."""
    ran = run_oms("replay", "state", "--nats", up.url, "--data-dir", str(up.data_dir), "--digest")
    assert ran.code == 0, ran.err
    assert re.fullmatch(r"[0-9a-f]{64}\n", ran.out)
