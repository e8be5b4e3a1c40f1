"""Limits, kill switch and accounts from the command line, once through the real system."""

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from click.testing import CliRunner

from oms.cli import cli
from oms.cli.params import AMOUNT, OVERRIDE
from oms.cli.risk import _meet
from oms.handlers.limits import MAX_OVERRIDE_NS

from .conftest import Ran, Up, run_oms


@pytest.fixture
def oms(up: Up) -> Callable[..., Ran]:
    return lambda *arguments: run_oms(*arguments, url=up.url)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["kill", "acount:main", "--by", "kim"], "a scope is global"),
        (["kill", "global"], "--by"),
        (["release", "global"], "--by"),
        (
            ["release", "global", "--by", "kim", "--reason", "x" * 300],
            "--reason: at most 256 characters, was 300",
        ),
        (["limits", "set", "global", "max_exposure", "--by", "kim"], "CONTROL=VALUE"),
        (["limits", "set", "global", "a=1", "a=2", "--by", "kim"], "once"),
        (["limits", "override", "global", "max_exposure=1", "--by", "kim"], "--for"),
        (["value", "BTC", "--by", "kim"], "--rate or --instrument"),
        (["accounts", "assign", "main", "arb", "--by", "kim"], "--capital or --remove"),
        (["accounts", "--nats", "nats://127.0.0.1:1", "enable", "main", "--by", "kim"], "options go behind"),
    ],
)
def test_what_cannot_be_meant_is_not_sent(arguments: list[str], said: str) -> None:
    """A scope that is none, a decision of nobody, a limit without a value: exit code 2 and what is wrong."""
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 2, ran.output
    assert said in ran.output


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["place", "buy", "-0.1", "BTCUSDT"], "an amount must be above zero, was -0.1"),
        (["place", "buy", "0.1", "BTCUSDT", "-p", "-5"], "must be above zero, was -5"),
        (
            ["transfer", "binance", "main", "sub", "USDT", "-10", "--by", "kim"],
            "an amount must be above zero, was -10",
        ),
        (["place", "buy", "0.1", "BTCUSDT", "--nope"], "No such option"),
        (["place", "buy", "0", "BTCUSDT"], "must be above zero, was 0"),
        (
            ["place", "buy", "1." + "1" * 19, "BTCUSDT"],
            "has at most 20 digits before and 18 after the point, was 1.1",
        ),
        (["place", "buy", "1e999999999", "BTCUSDT"], "has at most 20 digits before"),
        (
            ["limits", "override", "global", "max_exposure=1", "--for", "8d", "--by", "kim"],
            "at most 7d, was 8d",
        ),
    ],
)
def test_an_amount_is_above_zero_and_an_override_ends(arguments: list[str], said: str) -> None:
    """What is below zero is no option, what is too fine or too long says how much there may be: exit code 2."""
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 2, ran.output
    assert said in ran.output


def test_numbers_are_echoed_without_exponent() -> None:
    """1e3 is 1000 wherever it is said again, and an override lasts as long as the engine lets it."""
    assert str(AMOUNT.convert("1e3", None, None)) == "1000"
    assert str(AMOUNT.convert("0.50", None, None)) == "0.50"
    assert OVERRIDE.convert("7d", None, None) == MAX_OVERRIDE_NS


def test_limits_are_set_overridden_and_seen(oms: Callable[..., Ran]) -> None:
    """What is set shows with who it is for and from where it comes; a bad value is refused with its code."""
    done = oms("limits", "set", "account:sub_arb", "max_open_orders=7", "--by", "kim", "--reason", "few")
    assert (done.code, done.out) == (0, "account:sub_arb: max_open_orders 7\n"), done.err
    assert re.search(r"account:sub_arb +max_open_orders +7 ", oms("risk", "--account", "sub_arb").out)
    oms("limits", "override", "account:sub_arb", "max_open_orders=9", "--for", "15m", "--by", "kim")
    (row,) = json.loads(
        oms("risk", "--scope", "account:sub_arb", "--control", "max_open_orders", "--json").out
    )["rows"]
    assert (row["limit"], row["own"], row["override"]["by"]) == ("9", "7", "kim")
    assert oms("limits", "end-override", "account:sub_arb", "--by", "kim").code == 0
    assert oms("limits", "clear", "account:sub_arb", "max_open_orders", "--by", "kim").code == 0
    bad = oms("limits", "set", "global", "max_exposure=-1", "--by", "kim")
    assert bad.code == 1
    assert "LIMIT_INVALID" in bad.err


def test_a_killed_account_trades_again_once_released(oms: Callable[..., Ran]) -> None:
    """Killed: an order is denied with KILL_SWITCH and the table says by whom; released: nothing is killed any more."""
    for _ in range(2):
        assert oms("place", "buy", "0.001", "BTCUSDT", "-p", "40000", "-a", "sub_arb").code == 0
    killed = oms("kill", "account:sub_arb", "--by", "kim", "--reason", "looks odd")
    assert killed.code == 0, killed.err
    assert killed.out == "account:sub_arb killed; 2 orders are being cancelled\n"
    denied = oms("place", "buy", "0.1", "BTCUSDT", "--price", "50000", "--account", "sub_arb")
    assert denied.code == 1
    assert "KILL_SWITCH" in denied.err
    shown = oms("risk", "--killed").out
    assert "by kim: looks odd" in shown
    assert "kill_switch" in shown
    assert "max_" not in shown
    alone = oms("risk", "--killed", "--account", "main")
    assert alone.out == "no scope is killed\n"
    assert "this is the scope account:main alone" in alone.err
    assert "by kim: looks odd" in oms("accounts").out
    released = oms("release", "account:sub_arb", "--by", "kim")
    assert (released.code, released.out) == (0, "account:sub_arb released\n")
    assert oms("risk", "--killed").out == "no scope is killed\n"
    again = oms("release", "account:sub_arb", "--by", "kim")
    assert again.code == 1
    assert "NOT_KILLED" in again.err


def test_a_release_says_what_still_holds(oms: Callable[..., Ran]) -> None:
    """Another kill switch that covers orders there is named; no kill is refused for a reason that is too long."""
    long = oms("kill", "account:sub_arb", "--by", "kim", "--reason", "x" * 300)
    assert (long.code, long.out) == (0, "account:sub_arb killed; no order in it was left to cancel\n"), (
        long.err
    )
    assert "x" * 255 + "…" in oms("risk", "--killed").out
    assert oms("kill", "global", "--by", "ann").code == 0
    denied = oms("place", "buy", "0.1", "BTCUSDT", "--price", "50000", "--account", "main")
    assert "the kill switch of global is engaged by ann, no reason given" in denied.err
    released = oms("release", "account:sub_arb", "--by", "kim")
    assert re.fullmatch(
        r"account:sub_arb released\nstill killed for orders there: global since \S+ \S+Z, by ann\n",
        released.out,
    )
    assert "KILLED       global since" in oms("status").out
    assert oms("release", "global", "--by", "kim").out == "global released\n"


@pytest.mark.parametrize(
    "one, other, meet",
    [
        ("global", "account:main", True),
        ("account:main", "account:sub", False),
        ("account:main", "exchange:okx", True),
        ("strategy:arb", "account:main", True),
        ("instrument:okx.spot.BTC-USDT", "exchange:okx", True),
        ("exchange:okx", "instrument:binance.spot.BTCUSDT", False),
        ("instrument:okx.spot.A", "instrument:okx.spot.B", False),
    ],
)
def test_scopes_that_meet(one: str, other: str, meet: bool) -> None:
    """Scopes of one kind have no order together, nor an exchange and an instrument of another; all others may."""
    assert _meet(one, other) is meet
    assert _meet(other, one) is meet


def test_accounts_are_kept_from_the_command_line(oms: Callable[..., Ran]) -> None:
    """Registered, renamed, disabled, enabled, given a strategy and closed, each seen in the table."""
    assert oms("accounts", "register", "sub_new", "sub").code == 0
    assert oms("accounts", "rename", "sub_new", "New desk", "--by", "kim").code == 0
    assert oms("accounts", "assign", "sub_new", "newest", "--capital", "2500", "--by", "kim").code == 0
    assert oms("accounts", "disable", "sub_new", "--by", "kim").code == 0
    assert re.search(r"sub_new +New desk +SUB +disabled .*newest 2,500", oms("accounts").out)
    assert oms("accounts", "enable", "sub_new", "--by", "kim").code == 0
    assert oms("accounts", "assign", "sub_new", "newest", "--remove", "--by", "kim").code == 0
    assert oms("accounts", "close", "sub_new", "--by", "kim").code == 0
    (row,) = json.loads(oms("accounts", "--account", "sub_new", "--json").out)["rows"]
    assert (row["status"], row["strategies"]) == ("closed", [])


def test_a_position_and_a_capital_near_their_limits_are_seen(oms: Callable[..., Ran]) -> None:
    """In text and as JSON: what is used and left, of a limit on each position by which one, of a strategy its capital."""
    done = oms("accounts", "assign", "sub_arb", "seen", "--capital", "6000", "--by", "kim")
    assert done.code == 0, done.err
    placed = oms(
        # As far from the market as the collar lets it be: what it is worth at the mark counts, and it is not to trade.
        "place",
        "buy",
        "0.1",
        "BTCUSDT",
        "--price",
        "48000",
        "--account",
        "sub_arb",
        "--strategy",
        "seen",
    )
    assert placed.code == 0, placed.err
    assert oms("limits", "set", "strategy:seen", "max_position=5500", "--by", "kim").code == 0
    text = oms("risk", "--near", "--scope", "strategy:seen").out
    assert re.search(r"capital +6,000 .* near", text), text
    assert re.search(r"max_position +5,500 .* near +binance.sub_arb.spot.BTCUSDT", text), text
    rows = json.loads(oms("risk", "--near", "--scope", "strategy:seen", "--json").out)["rows"]
    capital, position = sorted(rows, key=lambda row: str(row["control"]))
    assert (capital["limit"], capital["own"], capital["stated"]["by"]) == ("6000", "6000", "kim")
    assert (position["control"], position["nearest"]) == ("max_position", "binance.sub_arb.spot.BTCUSDT")
    for row in rows:
        assert Decimal(row["used"]) + Decimal(row["headroom"]) == Decimal(row["limit"])
    asked = ("replay", "limits", "--scope", "strategy:seen", "--control", "capital", "--json")
    (then,) = json.loads(oms(*asked).out)["rows"]
    moves = ("used", "headroom", "share")
    assert {name: then[name] for name in then if name not in moves} == {
        name: capital[name] for name in capital if name not in moves
    }
    assert Decimal(then["used"]) + Decimal(then["headroom"]) == 6000
    order_id = placed.out.split()[0]
    assert oms("cancel", order_id, "--account", "sub_arb").code == 0
