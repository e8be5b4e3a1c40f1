"""Accounts: what may be registered, renamed, disabled, enabled and closed, and which strategies trade on them."""

import json
from decimal import Decimal
from typing import Any

import pytest

from oms._config_values import ConfigError, name
from oms.aggregates import image
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.aggregates.registered import MAX_SUB_ACCOUNTS, Registered
from oms.aggregates.risk.risk import MAX_STRATEGIES
from oms.handlers.accounts import is_account_name
from oms.handlers.dispatch import handle
from oms.handlers.target import check_trading
from oms.messages import events as e
from oms.messages.codes import Code, Refused
from oms.messages.enums import AccountKind, AccountStatus
from tests.unit.control_desk import ControlDesk
from tests.unit.desk import PERP, Desk, check_same

ADA = {"by": "Ada"}


def ask(desk: Desk, verb: str, account: str, **fields: Any) -> dict[str, Any]:
    """A command about an account; the answer as its sender reads it."""
    fields.setdefault("command_id", desk.next_id())
    return desk.reply(f"{verb}._.{account}._._", fields)


def code(answer: dict[str, Any]) -> str | None:
    """What it was refused with, None when it was done."""
    return None if answer["ok"] else answer["error"]["code"]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.register("arb", "SUB")
    return desk


def check(desk: Desk) -> None:
    """Replica, digest and image are what the state is."""
    check_same(desk.state, desk.replica)
    check_same(desk.state, image.load(image.dump(desk.state)))


def test_is_called_as_its_id_until_it_is_renamed(desk: Desk) -> None:
    """A name is for people: the id, in subjects and events, stays, and the account can be asked for under it alone."""
    assert desk.state.accounts["arb"] == Registered(AccountKind.SUB, "arb", AccountStatus.ACTIVE)
    assert ask(desk, "rename_account", "arb", name="Arbitrage Zürich", **ADA)["ok"]
    assert desk.state.accounts["arb"].name == "Arbitrage Zürich"
    assert code(ask(desk, "disable_account", "Arbitrage Zürich", **ADA)) == Code.ACCOUNT_UNKNOWN
    assert ask(desk, "disable_account", "arb", **ADA)["ok"]
    check(desk)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("arb", None),
        ("Arb", None),
        ("second", None),
        ("main", Code.ACCOUNT_NAME_TAKEN),
        ("MAIN", Code.ACCOUNT_NAME_TAKEN),
        ("Market maker", Code.ACCOUNT_NAME_TAKEN),
        ("market MAKER", Code.ACCOUNT_NAME_TAKEN),
        ("gone", Code.ACCOUNT_NAME_TAKEN),
        ("The late", None),
        (" arb", Code.INVALID_COMMAND),
        ("a\nb", Code.INVALID_COMMAND),
        ("", Code.INVALID_COMMAND),
        ("x" * 65, Code.INVALID_COMMAND),
    ],
)
def test_names_are_unique_in_whatever_letters(desk: Desk, name: str, expected: Code | None) -> None:
    """No account is called like another, by its name or its id; only the name of a closed one is free again."""
    desk.register("mm", "SUB")
    assert ask(desk, "rename_account", "mm", name="Market maker")["ok"]
    desk.register("gone", "SUB")
    assert ask(desk, "rename_account", "gone", name="The late")["ok"]
    assert ask(desk, "close_account", "gone", **ADA)["ok"]
    assert code(ask(desk, "rename_account", "arb", name=name)) == expected
    assert desk.state.accounts["arb"].name == ("arb" if expected else name)


def test_an_id_is_not_another_accounts_name(desk: Desk) -> None:
    """An account cannot be registered under what people call another one."""
    assert ask(desk, "rename_account", "arb", name="desk2")["ok"]
    assert code(ask(desk, "register_account", "desk2", kind="SUB")) == Code.ACCOUNT_NAME_TAKEN


def test_registering_again_changes_nothing(desk: Desk) -> None:
    """A configuration that is read again neither renames nor enables an account."""
    ask(desk, "rename_account", "arb", name="Zürich")
    ask(desk, "disable_account", "arb", **ADA)
    before = desk.state.accounts["arb"]
    assert ask(desk, "register_account", "arb", kind="SUB")["ok"]
    assert (
        desk.state.accounts["arb"] == before == Registered(AccountKind.SUB, "Zürich", AccountStatus.DISABLED)
    )
    assert code(ask(desk, "register_account", "arb", kind="STRATEGY")) == Code.ACCOUNT_EXISTS
    check(desk)


@pytest.mark.parametrize("token", ["sub_a", "SUB7", "a" * 32, "sub-a", "a" * 33, "_", "ä", "sub a"])
def test_an_account_is_called_as_the_configuration_can_call_it(desk: Desk, token: str) -> None:
    """One without keys and connectors is of no use: what the configuration refuses is refused here. One that an older release
    registered with a hyphen stays, and takes commands."""
    try:
        wanted = name(token, "accounts") == token
    except ConfigError:
        wanted = False
    assert is_account_name(token) is wanted
    old = e.AccountRegistered(account="sub-old", kind=AccountKind.SUB)
    with exactly():
        desk.state.evolve(old, desk.now)
        desk.replica.evolve(old, desk.now)
    assert ask(desk, "rename_account", "sub-old", name="Old")["ok"]
    assert ask(desk, "register_account", "sub-old", kind="SUB")["ok"]


def test_one_main_account_and_two_hundred_others() -> None:
    """SUB and STRATEGY accounts count together, closed ones do not, and an id that was closed is never used again."""
    desk = Desk()
    for number in range(MAX_SUB_ACCOUNTS):
        assert ask(desk, "register_account", f"a{number}", kind="STRATEGY" if number % 2 else "SUB")["ok"]
    for kind in ("SUB", "STRATEGY", "MAIN"):
        assert code(ask(desk, "register_account", "more", kind=kind)) == Code.ACCOUNT_LIMIT
    assert ask(desk, "disable_account", "a7", **ADA)["ok"]
    assert code(ask(desk, "register_account", "more", kind="SUB")) == Code.ACCOUNT_LIMIT
    assert ask(desk, "close_account", "a7", **ADA)["ok"]
    assert code(ask(desk, "register_account", "a7", kind="STRATEGY")) == Code.ACCOUNT_CLOSED
    assert ask(desk, "register_account", "more", kind="SUB")["ok"]
    assert code(ask(desk, "register_account", "yet_more", kind="SUB")) == Code.ACCOUNT_LIMIT
    check(desk)


@pytest.mark.parametrize("verb", ["disable_account", "enable_account", "close_account"])
@pytest.mark.parametrize("by", ["", "  "])
def test_somebody_answers_for_it(desk: Desk, verb: str, by: str) -> None:
    """Nobody disables, enables or closes an account without a name."""
    sequence = desk.sequence
    assert code(ask(desk, verb, "arb", by=by)) == Code.PERSON_REQUIRED
    assert code(ask(desk, verb, "arb")) == Code.PERSON_REQUIRED
    assert desk.sequence == sequence


def test_a_disabled_account_cancels_and_nothing_else(desk: Desk) -> None:
    """Disabled, an account places and amends nothing; its orders can be cancelled; enabled, it trades again."""
    order = desk.place()["order_id"]
    desk.report("accepted", order)
    check_trading(desk.state, "main")
    for _ in range(2):  # the second changes nothing, and is answered all the same
        assert ask(desk, "disable_account", "main", reason="audit", **ADA)["ok"]
    with pytest.raises(Refused) as refused:
        check_trading(desk.state, "main")
    assert refused.value.code is Code.ACCOUNT_DISABLED
    assert code(desk.place()) == Code.ACCOUNT_DISABLED
    assert code(desk.amend(order, quantity="2")) == Code.ACCOUNT_DISABLED
    assert desk.cancel(order)["ok"]
    assert ask(desk, "enable_account", "main", **ADA)["ok"]
    assert desk.place()["ok"]
    check(desk)


def test_a_closed_account_takes_no_command(desk: Desk) -> None:
    """Whatever a client asks of a closed account is refused, but for a cancel; what was done is told to have been done."""
    answer = ask(desk, "close_account", "arb", command_id="close", reason="wound up", **ADA)
    assert answer["ok"]
    assert desk.state.accounts["arb"].closed
    again = ask(desk, "close_account", "arb", command_id="close", reason="wound up", **ADA)
    assert again == {**answer, "duplicate": True}
    order = {"side": "buy", "type": "limit", "quantity": "1", "price": "100"}
    for subject, fields in {
        "place.binance.arb.spot.BTCUSDT": order,
        "amend.binance.arb.spot._": {"order_id": "x", "quantity": "2"},
        "rename_account._.arb._._": {"name": "other"},
        "disable_account._.arb._._": ADA,
        "enable_account._.arb._._": ADA,
        "close_account._.arb._._": ADA,
        "assign_strategy._.arb._._": {"strategy": "s", "capital": "1", **ADA},
        "reconcile.binance.arb.spot._": {},
        "set_terms.binance.arb.futures.BTCPERP": {"leverage": "2"},
        "transfer.binance.arb.spot._": {"to": "main", "asset": "USDT", "amount": "1", **ADA},
        "transfer.binance.main.spot._": {"to": "arb", "asset": "USDT", "amount": "1", **ADA},
        "cancel_on_disconnect._.arb._._": {"client": "x", "timeout_ms": 5000},
    }.items():
        answer = desk.reply(subject, {"command_id": desk.next_id(), **fields})
        assert code(answer) == Code.ACCOUNT_CLOSED, subject
    check(desk)


@pytest.mark.parametrize("verb", ["cancel", "cancel_all"])
def test_an_order_that_comes_alive_in_a_closed_account_is_cancelled(desk: Desk, verb: str) -> None:
    """The venue had shown an order as never there, and works it after the account was closed: nothing stands against its cancel."""
    desk.open("arb", "spot", {"USDT": "5000"})
    order = {"side": "buy", "type": "limit", "quantity": "1", "price": "100", "command_id": desk.next_id()}
    order_id = desk.reply("place.binance.arb.spot.BTCUSDT", order)["order_id"]

    def told(report: str, **fields: Any) -> None:
        said = {"report": report, "order_id": order_id, "venue_time": 1, **fields}
        assert desk.reply("report.binance.arb.spot._", {"session": "s1", "reports": [said]})["count"] == 1

    told("rejected", reason="not found")
    desk.open("arb", "spot", {})
    assert ask(desk, "close_account", "arb", **ADA)["ok"]
    told("accepted", venue_order_id="v")
    fields = {"order_id": order_id} if verb == "cancel" else {}
    answer = desk.reply(f"{verb}.binance.arb.spot._", {"command_id": desk.next_id(), **fields})
    assert answer["ok"], answer
    assert desk.state.orders[order_id].status == "PENDING_CANCEL"
    unknown = desk.reply("cancel.binance.arb.spot._", {"command_id": desk.next_id(), "order_id": "x"})
    assert code(unknown) == Code.ORDER_UNKNOWN
    check(desk)


def test_an_id_is_no_account_s_name_in_other_letters(desk: Desk) -> None:
    """Two accounts that are called alike would be mistaken for one another."""
    assert ask(desk, "rename_account", "arb", name="Alpha", by="ada")["ok"]
    assert code(ask(desk, "register_account", "alpha", kind="SUB")) == Code.ACCOUNT_NAME_TAKEN


def test_what_is_left_in_an_account_is_told_in_one_order() -> None:
    """Whatever was there first: an engine that was restarted says the same."""
    desk = ControlDesk()
    desk.holds("sub", "futures", {"USDT": "900000"})

    def place(market: str) -> str:
        fields = {"side": "buy", "type": "limit", "quantity": "1", "price": "40000"}
        answer = desk.reply(f"place.binance.sub.{market}.BTCUSDT", {"command_id": desk.next_id(), **fields})
        return str(answer["order_id"])

    first = place("spot")
    place("futures")
    gone = {"report": "canceled", "order_id": first, "reason": "", "venue_time": desk.now}
    desk.ask("report.binance.sub.spot._", {"session": "s1", "reports": [gone]})
    desk.now += 10**9
    place("spot")
    raw = json.dumps({"command_id": "close", **ADA}).encode()
    told = [
        handle(state, "close_account._.sub._._", raw, desk.now, 99).reply.error
        for state in (desk.state, image.load(image.dump(desk.state)))
    ]
    assert told[0] is not None
    assert told[0] == told[1]


def test_accounts_that_were_ever_registered_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed account is known for good, so that there is an end to registering and closing."""
    monkeypatch.setattr("oms.aggregates.registered.MAX_REGISTERED", len(desk.state.accounts) + 3)
    for number in range(3):
        assert ask(desk, "register_account", f"t{number}", kind="SUB")["ok"]
        assert ask(desk, "close_account", f"t{number}", **ADA)["ok"]
    refused = ask(desk, "register_account", "more", kind="SUB")
    assert code(refused) == Code.ACCOUNT_LIMIT
    assert "closed ones are known for good" in refused["error"]["message"]
    assert ask(desk, "register_account", "arb", kind="SUB")["ok"]


def test_what_the_venue_says_of_a_closed_account_is_still_taken(desk: Desk) -> None:
    """Funds that arrive at a closed account are facts."""
    ask(desk, "close_account", "arb", **ADA)
    desk.open("arb", "spot", {"USDT": "5"}, session="s2")
    assert desk.state.wallets["binance", "arb", "spot"].balance("USDT").total == 5
    check(desk)


def test_is_closed_only_when_nothing_is_left(desk: Desk) -> None:
    """Live orders, open positions, funds and transfers under way each keep an account open, and are named."""

    def left() -> str:
        answer = ask(desk, "close_account", "arb", **ADA)
        assert code(answer) == Code.ACCOUNT_NOT_EMPTY
        message: str = answer["error"]["message"]
        return message

    desk.list("futures", PERP)
    desk.ask("report_marks.binance._.futures._", {"marks": {"BTCPERP": "100"}})
    place = "binance.arb.futures._"
    desk.open("arb", "futures", {"USDT": "1000"}, session="f1")
    assert "1000 USDT in binance.futures" in left()
    order = {"side": "buy", "type": "limit", "quantity": "3", "price": "100", "command_id": desk.next_id()}
    opened = desk.reply("place.binance.arb.futures.BTCPERP", order)["order_id"]
    assert "1 live orders on binance.futures" in left()
    trade = {"order_id": opened, "symbol": "BTCPERP", "side": "buy", "quantity": "3", "price": "100"}
    trade |= {"trade_id": "t1", "fee": "0", "fee_asset": "USDT", "maker": False, "venue_time": 1}
    desk.ask(f"report.{place}", {"session": "f1", "reports": [{"report": "filled", **trade}]})
    desk.ask(f"report_balances.{place}", {"session": "f1", "totals": {}})
    assert "a position of 3 in binance.futures.BTCPERP" in left()
    desk.ask(f"report_positions.{place}", {"session": "f1", "positions": []})
    desk.declare(features=["transfer"])
    sent = {"to": "arb", "asset": "USDT", "amount": "1", **ADA, "command_id": desk.next_id()}
    transfer = desk.reply("transfer.binance.main.spot._", sent)["transfer_id"]
    assert f"transfer {transfer} under way" in left()
    desk.ask(
        "report_transfer.binance.main.spot._", {"session": "s1", "transfer_id": transfer, "state": "rejected"}
    )
    assert ask(desk, "close_account", "arb", **ADA)["ok"]
    check(desk)


def test_an_account_that_traded_on_spot_can_be_closed(desk: Desk) -> None:
    """On spot what is held is the balance: a position that trades came to is no obstacle once the coins are gone."""
    desk.open("arb", "spot", {"USDT": "1000"}, session="s2")
    order = {"side": "buy", "type": "limit", "quantity": "1", "price": "100", "command_id": desk.next_id()}
    placed = desk.reply("place.binance.arb.spot.BTCUSDT", order)["order_id"]
    trade = {"order_id": placed, "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "price": "100"}
    trade |= {"trade_id": "t1", "fee": "0", "fee_asset": "USDT", "maker": False, "venue_time": 1}
    desk.ask("report.binance.arb.spot._", {"session": "s2", "reports": [{"report": "filled", **trade}]})
    assert code(ask(desk, "close_account", "arb", **ADA)) == Code.ACCOUNT_NOT_EMPTY
    desk.ask("report_balances.binance.arb.spot._", {"session": "s2", "totals": {}})
    assert desk.state.positions["binance", "arb", "spot", "BTCUSDT"].quantity == 1
    assert ask(desk, "close_account", "arb", **ADA)["ok"]


# -- journals of before


def test_a_registration_alone_makes_an_account() -> None:
    """A journal of before accounts could be renamed makes accounts that trade, called as their ids."""
    state = Partition()
    with exactly():
        state.evolve(e.AccountRegistered(account="arb", kind=AccountKind.SUB), 1)
    assert state.accounts == {"arb": Registered(AccountKind.SUB, "arb")}


def test_every_field_of_an_account_is_in_the_digest(desk: Desk) -> None:
    """Another name, status or kind is another state."""
    digests = {image.digest(desk.state)}
    for found in (
        Registered(AccountKind.SUB, "other"),
        Registered(AccountKind.STRATEGY, "arb"),
        Registered(AccountKind.SUB, "arb", AccountStatus.DISABLED),
    ):
        desk.state.accounts["arb"] = found
        digests.add(image.digest(desk.state))
    assert len(digests) == 4


# -- strategies


def assign(desk: Desk, account: str, strategy: str, capital: str | None, **fields: Any) -> dict[str, Any]:
    return ask(desk, "assign_strategy", account, strategy=strategy, capital=capital, **{**ADA, **fields})


def assigned(desk: Desk) -> dict[str, tuple[str, Decimal]]:
    return {name: (a.account, a.capital) for name, a in desk.state.risk.strategies.items()}


def test_a_strategy_has_one_account_and_capital(desk: Desk) -> None:
    """Assigned again it has other capital, or another account; taken away it has none."""
    assert assign(desk, "arb", "arbitrage", "10000")["ok"]
    assert assign(desk, "arb", "making", "5000.50")["ok"]
    assert assigned(desk) == {"arbitrage": ("arb", Decimal(10000)), "making": ("arb", Decimal("5000.50"))}
    assert assign(desk, "arb", "arbitrage", "20000")["ok"]
    assert assign(desk, "main", "making", "5000")["ok"]
    assert assigned(desk) == {"arbitrage": ("arb", Decimal(20000)), "making": ("main", Decimal(5000))}
    assert assign(desk, "main", "making", None)["ok"]
    assert list(assigned(desk)) == ["arbitrage"]
    check(desk)


@pytest.mark.parametrize(
    "account, strategy, capital, fields, expected",
    [
        ("nobody", "s", "1", {}, Code.ACCOUNT_UNKNOWN),
        ("_", "s", "1", {}, Code.SUBJECT_INVALID),
        ("arb", "s", "0", {}, Code.NOT_POSITIVE),
        ("arb", "s", "-1", {}, Code.NOT_POSITIVE),
        ("arb", "s", "1e5", {}, Code.INVALID_DECIMAL),
        ("arb", "s", "1", {"by": ""}, Code.PERSON_REQUIRED),
        ("arb", "s", None, {}, Code.STRATEGY_UNKNOWN),
        ("main", "taken", None, {}, Code.STRATEGY_ACCOUNT),
        ("arb", "", "1", {}, Code.INVALID_COMMAND),
        ("arb", "x" * 33, "1", {}, Code.INVALID_COMMAND),
        ("arb", "external", "1", {}, Code.INVALID_COMMAND),
    ],
)
def test_assignments_that_make_no_sense(
    desk: Desk, account: str, strategy: str, capital: str | None, fields: dict[str, Any], expected: Code
) -> None:
    """Each is refused with its code and leaves no trace."""
    assert assign(desk, "arb", "taken", "1")["ok"]
    before = desk.digest()
    assert code(assign(desk, account, strategy, capital, **fields)) == expected
    assert desk.digest() == before


def test_a_strategy_that_trades_stays_where_it_is(desk: Desk) -> None:
    """With live orders or an open book a strategy cannot go to another account: they could not go with it."""
    assert assign(desk, "main", "alpha", "1000000")["ok"]
    order = desk.place(strategy="alpha")["order_id"]
    answer = assign(desk, "arb", "alpha", "1000")
    assert code(answer) == Code.ACCOUNT_NOT_EMPTY
    assert order in answer["error"]["message"]
    desk.fill(order, "1")
    answer = assign(desk, "arb", "alpha", "1000")
    assert code(answer) == Code.ACCOUNT_NOT_EMPTY
    assert "a position of 1 in" in answer["error"]["message"]
    assert assign(desk, "main", "alpha", "2000000")["ok"]
    assert assign(desk, "main", "alpha", None)["ok"]
    assert code(assign(desk, "arb", "alpha", "1000")) == Code.ACCOUNT_NOT_EMPTY, "taken away first"
    assert assign(desk, "main", "alpha", "2000000")["ok"]
    desk.fill(desk.place(strategy="alpha", side="sell")["order_id"], "1")
    assert assign(desk, "arb", "alpha", "1000")["ok"]
    check(desk)


def test_answers_of_the_desk_are_read_as_they_are_written() -> None:
    """An answer holds the id of what a command made under the name of what it is."""
    desk = Desk()
    desk.register("arb", "SUB")
    desk.declare(features=["transfer"])
    sent = {"to": "arb", "asset": "USDT", "amount": "1", **ADA, "command_id": "t"}
    first = desk.reply("transfer.binance.main.spot._", sent)
    assert first["transfer_id"] == "abcdefT0000000001"
    assert "order_id" not in first
    assert desk.reply("transfer.binance.main.spot._", sent) == {**first, "duplicate": True}
    placed = desk.place()
    assert "transfer_id" not in placed
    assert len(placed["order_id"]) == 16


# -- names of strategies


@pytest.mark.parametrize("name", ["*", "external"])
def test_a_name_that_means_something_else_is_no_strategy(name: str) -> None:
    """What a limit calls each strategy, and what is not ours, no order and no assignment may be called."""
    desk = Desk()
    assert desk.place(strategy=name)["error"]["code"] == "INVALID_COMMAND"
    assigned = {"command_id": "a", "strategy": name, "capital": "1", "by": "ann"}
    assert desk.reply("assign_strategy._.main._._", assigned)["error"]["code"] == "INVALID_COMMAND"


def test_no_more_strategies_than_figures_are_kept_of() -> None:
    """Orders for one strategy too many are denied, of known ones placed: each has figures of its own, after a restart too."""
    desk = Desk()
    for number in range(MAX_STRATEGIES):
        assert desk.place(strategy=f"s{number}", quantity="0.001", price="5000")["ok"]
    for state in (desk.state, image.load(image.dump(desk.state))):
        desk.state = state
        assert desk.place(strategy="one more")["error"]["code"] == "STRATEGY_LIMIT"
        assert desk.place(strategy="s7", quantity="0.001", price="5001")["ok"]
        assert desk.place(quantity="0.001", price="5001")["ok"]


def test_names_that_are_only_denied_leave_nothing_behind() -> None:
    """A client that makes up a name for every order, and is denied each, does not fill the memory."""
    desk = Desk()
    denied = {"command_id": "l", "scope": "global", "limits": {"max_order_quantity": "0"}, "by": "ann"}
    assert desk.reply("set_limits._._._._", denied)["ok"]
    for number in range(1_000):
        assert desk.place(strategy=f"s{number}")["error"]["code"] == "MAX_ORDER_QUANTITY"
    assert len(desk.state.risk.totals) < 150
    assert len(desk.state.risk.leaves.by_book) < 150
