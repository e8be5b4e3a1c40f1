"""Transfers: routes, floor and cap, what a venue's answer does, and that nothing is counted twice or lost whatever comes when."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oms.aggregates import image, transfer
from oms.aggregates.money import exactly
from oms.aggregates.transfer import FINISHED_KEPT_NS, Transfer
from oms.engine.watch import ANSWER_WITHIN_NS, LOOK_UP_AGAIN_NS, Watch
from oms.messages import instructions as i
from oms.messages.codes import Code
from oms.messages.desk import TransferDenied, TransferState
from oms.messages.enums import TransferStatus
from oms.messages.frames import decode_frame
from tests.unit.desk import Desk, check_same

ADA = {"by": "Ada"}
MAIN, ARB, MM = ("binance", "main", "spot"), ("binance", "arb", "spot"), ("binance", "mm", "spot")


def code(answer: dict[str, Any]) -> str | None:
    """What it was refused with, None when it was done."""
    return None if answer["ok"] else answer["error"]["code"]


def limit(desk: Desk, **limits: str) -> None:
    """Set limits in the global scope."""
    terms = {"scope": "global", "limits": limits, "by": "Ada", "command_id": desk.next_id()}
    assert desk.reply("set_limits._._._._", terms)["ok"]


def value(desk: Desk, asset: str, rate: str) -> None:
    """Say what an asset is worth."""
    terms = {"asset": asset, "rate": rate, "by": "Ada", "command_id": desk.next_id()}
    assert desk.reply("set_valuation._._._._", terms)["ok"]


def move(desk: Desk, source: str = "main", **fields: Any) -> dict[str, Any]:
    """Ask for a transfer of 100 USDT from the account's spot to ``arb``, where ``fields`` do not say otherwise."""
    place = fields.pop("place", f"binance.{source}.spot._")
    terms = {"to": "arb", "asset": "USDT", "amount": "100", **ADA, **fields}
    terms.setdefault("command_id", desk.next_id())
    return desk.reply(f"transfer.{place}", terms)


def tell(desk: Desk, transfer_id: str, state: str, place: str = "binance.main.spot._", **fields: Any) -> Any:
    """What the venue says of a transfer, by the session of ``main``."""
    said = {"session": "s1", "transfer_id": transfer_id, "state": state, **fields}
    return desk.reply(f"report_transfer.{place}", said)


def funds(desk: Desk, key: tuple[str, str, str], asset: str = "USDT") -> tuple[Decimal, Decimal]:
    """(total, locked) of a wallet."""
    balance = desk.state.funds_seen(key).balances.get(asset)
    return (Decimal(0), Decimal(0)) if balance is None else (balance.total, balance.locked)


def check(desk: Desk) -> None:
    """Replica, digest and image are what the state is."""
    check_same(desk.state, desk.replica)
    loaded = image.load(image.dump(desk.state))
    check_same(desk.state, loaded)
    for name in ("transfers_under_way", "transfers_finished"):
        assert list(getattr(loaded, name).items()) == list(getattr(desk.state, name).items())
    assert list(loaded.transfers) == list(desk.state.transfers)


@pytest.fixture
def desk() -> Desk:
    """``main`` holds 100,000 USDT, 2 BTC and 20 ETH; ``arb`` and ``mm`` are SUB accounts with a session and nothing."""
    desk = Desk()
    desk.declare(features=["transfer"])
    for account in ("arb", "mm"):
        desk.register(account, "SUB")
        desk.open(account, "spot", {}, session=f"s-{account}")
    return desk


# -- the life of a transfer


def test_asked_for_it_is_locked_and_told_to_the_main_accounts_session_once(desk: Desk) -> None:
    """The amount is held in the source's wallet until the venue has answered, and the call is told with all it needs."""
    terms = {"to": "arb", "asset": "USDT", "amount": "100.5", **ADA, "reason": "margin", "command_id": "t1"}
    outcome = desk.ask("transfer.binance.main.spot._", terms)
    ((key, told),) = outcome.instructions
    assert key == MAIN
    assert told == i.Transfer(
        transfer_id="abcdefT0000000001",
        source="main",
        source_wallet="spot",
        target="arb",
        target_wallet="spot",
        asset="USDT",
        amount=Decimal("100.5"),
        deadline=desk.now + 5 * 10**9,
    )
    assert funds(desk, MAIN) == (100_000, Decimal("100.5"))
    assert funds(desk, ARB) == (0, 0)
    again = desk.ask("transfer.binance.main.spot._", terms)
    assert (again.commit, again.instructions) == (None, [])
    assert again.reply.transfer_id == "abcdefT0000000001"  # type: ignore[union-attr]
    check(desk)


def test_done_it_is_in_the_other_wallet_in_one(desk: Desk) -> None:
    """When the venue has moved it, both wallets change by one event; said again, nothing does."""
    transfer_id = move(desk)["transfer_id"]
    assert tell(desk, transfer_id, "done", venue_transfer_id="v7", venue_time=5)["count"] == 1
    assert (funds(desk, MAIN), funds(desk, ARB)) == ((99_900, 0), (100, 0))
    found = desk.state.transfers[transfer_id]
    assert (found.status, found.venue_transfer_id) == (TransferStatus.COMPLETED, "v7")
    for state in ("done", "pending", "unknown"):
        assert tell(desk, transfer_id, state)["count"] == 0
    assert (funds(desk, MAIN), funds(desk, ARB)) == ((99_900, 0), (100, 0))
    check(desk)


def test_rejected_it_is_free_again(desk: Desk) -> None:
    """When the venue refused, what was held is free and nothing moved."""
    transfer_id = move(desk)["transfer_id"]
    assert tell(desk, transfer_id, "rejected", reason="-5002")["ok"]
    assert (funds(desk, MAIN), funds(desk, ARB)) == ((100_000, 0), (0, 0))
    found = desk.state.transfers[transfer_id]
    assert (found.status, found.note) == (TransferStatus.REJECTED, "-5002")
    for state in ("rejected", "pending", "unknown"):
        assert tell(desk, transfer_id, state)["count"] == 0
    check(desk)


@pytest.mark.parametrize("state", ["pending", "unknown"])
def test_uncertain_it_is_looked_up_and_stays_locked(desk: Desk, state: str) -> None:
    """Without a certain answer a transfer is in doubt: looked up, never asked for again, and held until it is known."""
    transfer_id = move(desk)["transfer_id"]
    outcome = desk.ask(
        "report_transfer.binance.main.spot._",
        {"session": "s1", "transfer_id": transfer_id, "state": state, "reason": "timeout"},
    )
    ((key, told),) = outcome.instructions
    assert key == MAIN
    assert isinstance(told, i.LookUpTransfer)
    assert (told.transfer_id, told.since) == (transfer_id, desk.state.transfers[transfer_id].requested_at)
    assert desk.state.transfers[transfer_id].note == "timeout"
    assert tell(desk, transfer_id, state)["count"] == 0
    assert funds(desk, MAIN) == (100_000, 100)
    check(desk)
    assert tell(desk, transfer_id, "done")["ok"]
    assert (funds(desk, MAIN), funds(desk, ARB)) == ((99_900, 0), (100, 0))
    check(desk)


@pytest.mark.parametrize("first, then", [("done", "rejected"), ("rejected", "done")])
def test_the_first_certain_answer_holds(desk: Desk, first: str, then: str) -> None:
    """An answer that contradicts an earlier one is refused with a code, and moves nothing."""
    transfer_id = move(desk)["transfer_id"]
    tell(desk, transfer_id, first)
    before = desk.digest()
    assert code(tell(desk, transfer_id, then)) == Code.TRANSFER_UNKNOWN
    assert desk.digest() == before


def test_only_its_own_account_reports_it(desk: Desk) -> None:
    """A transfer is reported by the current session of the account that made it, on its exchange."""
    transfer_id = move(desk)["transfer_id"]
    assert code(tell(desk, transfer_id, "done", session="s0")) == Code.SESSION_STALE
    assert (
        code(tell(desk, transfer_id, "done", "binance.arb.spot._", session="s-arb")) == Code.TRANSFER_UNKNOWN
    )
    for unknown in ("abcdefT0000000002", "xxxxxxT0000000001", "abcdef0000000001", "other"):
        assert code(tell(desk, unknown, "done")) == Code.TRANSFER_UNKNOWN
    assert funds(desk, MAIN) == (100_000, 100)


def test_another_session_of_the_main_account_may_report_it(desk: Desk) -> None:
    """Whoever looked it up says what became of it, on whichever market of the exchange."""
    desk.open("main", "futures", {"USDT": "5"}, session="f1")
    transfer_id = move(desk)["transfer_id"]
    assert tell(desk, transfer_id, "done", "binance.main.futures._", session="f1")["count"] == 1


def test_finished_transfers_leave_after_a_day_and_are_not_missed(desk: Desk) -> None:
    """Finished transfers are kept for a while by event time; a report about one that left changes nothing."""
    first, second = move(desk)["transfer_id"], move(desk)["transfer_id"]
    tell(desk, first, "done")
    desk.now += FINISHED_KEPT_NS + 1
    desk.place()
    assert list(desk.state.transfers) == [second]
    assert tell(desk, first, "done") == {"ok": True, "command_id": None, "count": 0} | {
        "sequence": desk.sequence + 1,
        "duplicate": False,
    }
    check(desk)


def test_finished_transfers_are_bounded_by_number(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that finished first leave first, whenever they were asked for; one under way never does."""
    monkeypatch.setattr(transfer, "MAX_FINISHED", 2)
    ids = [move(desk)["transfer_id"] for _ in range(5)]
    for index in (3, 0, 4, 2):
        tell(desk, ids[index], "rejected")
    assert list(desk.state.transfers) == [ids[1], ids[4], ids[2]]
    check(desk)


# -- what may be asked for


@pytest.mark.parametrize(
    "expected, fields",
    [
        (Code.PERSON_REQUIRED, {"by": ""}),
        (Code.NOT_POSITIVE, {"amount": "0"}),
        (Code.NOT_POSITIVE, {"amount": "-1"}),
        (Code.INVALID_DECIMAL, {"amount": "1e3"}),
        (Code.INVALID_DECIMAL, {"amount": "0.0000000000000000001"}),
        (Code.INVALID_COMMAND, {"amount": "many"}),
        (Code.INVALID_COMMAND, {"asset": "US DT"}),
        (Code.SUBJECT_INVALID, {"place": "binance.main._._"}),
        (Code.SUBJECT_INVALID, {"place": "_.main.spot._"}),
        (Code.SUBJECT_INVALID, {"place": "binance._.spot._"}),
        (Code.SUBJECT_INVALID, {"place": "binance.main.spot.BTCUSDT"}),
        (Code.ACCOUNT_UNKNOWN, {"to": "nobody"}),
        (Code.ACCOUNT_UNKNOWN, {"place": "binance.nobody.spot._"}),
        (Code.TRANSFER_ROUTE, {"to": "main"}),
        (Code.TRANSFER_ROUTE, {"place": "binance.mm.spot._"}),
        (Code.TRANSFER_ROUTE, {"to_market": "margin"}),
        (Code.TRANSFER_ROUTE, {"place": "binance.main.margin._"}),
        (Code.TRANSFER_ROUTE, {"place": "kraken.main.spot._"}),
        (Code.NOT_SUPPORTED, {"to_market": "plain"}),
        (Code.NOT_SUPPORTED, {"place": "binance.main.plain._"}),
    ],
)
def test_transfers_that_make_no_sense(desk: Desk, expected: Code, fields: dict[str, Any]) -> None:
    """Each is refused with its code, holds nothing and leaves no trace."""
    desk.declare("plain", features=[])
    before = desk.digest()
    assert code(move(desk, **fields)) == expected
    assert desk.digest() == before


@pytest.mark.parametrize(
    "expected, fields",
    [
        (Code.INSUFFICIENT_FUNDS, {"amount": "100000.01"}),
        (Code.INSUFFICIENT_FUNDS, {"asset": "DOGE"}),
        (Code.INSUFFICIENT_FUNDS, {"place": "binance.arb.spot._", "to": "main"}),
        (Code.MAIN_FLOOR, {"amount": "60000"}),
        (Code.SUB_CAP, {"amount": "60000"}),
        (Code.VENUE_DOWN, {"amount": "1"}),
    ],
)
def test_a_denied_transfer_is_recorded(desk: Desk, expected: Code, fields: dict[str, Any]) -> None:
    """What a control stands against is recorded with who asked for what, and holds and moves nothing."""
    if expected is Code.MAIN_FLOOR:
        limit(desk, main_floor="100000")
    if expected is Code.SUB_CAP:
        limit(desk, sub_cap="50000")
    if expected is Code.VENUE_DOWN:
        for ledger in list(desk.state.ledgers.values()):
            place = f"{ledger.exchange}.{ledger.account}.{ledger.market}._"
            desk.ask(f"close_session.{place}", {"session": ledger.session, "reason": ""})
    wallets = image._encode(list(desk.state.wallets.values()))
    reply = move(desk, reason="more", **fields)
    assert code(reply) == expected
    [event] = decode_frame(desk.frames[-1]).commits[-1].events
    assert isinstance(event, TransferDenied)
    asked = {"account": "main", "to": "arb", "asset": "USDT", "amount": "100", **ADA}
    if "place" in fields:
        asked["account"] = fields["place"].split(".")[1]
    asked |= {name: value for name, value in fields.items() if name != "place"}
    told = {
        name: f"{value:f}" if isinstance(value := getattr(event, name), Decimal) else value for name in asked
    }
    assert told == asked
    assert (event.code, event.message, event.reason) == (expected, reply["error"]["message"], "more")
    assert image._encode(list(desk.state.wallets.values())) == wallets
    assert not desk.state.transfers
    check_same(desk.state, desk.replica)


def test_what_orders_hold_cannot_be_moved(desk: Desk) -> None:
    """Free is what neither orders nor other transfers have locked; a transfer's lock is no order's to spend either."""
    assert desk.place(quantity="600")["ok"]
    assert code(move(desk, amount="40001")) == Code.INSUFFICIENT_FUNDS
    first = move(desk, amount="40000")["transfer_id"]
    assert code(move(desk, amount="1")) == Code.INSUFFICIENT_FUNDS
    assert code(desk.place(quantity="1")) == Code.INSUFFICIENT_FUNDS
    tell(desk, first, "rejected")
    assert move(desk, amount="40000")["ok"]


def test_a_session_that_can_transfer_makes_the_call(desk: Desk) -> None:
    """The MAIN wallet's own session is told, or else one of MAIN that is ready and can; without any it is refused."""
    desk.declare("futures", features=["transfer"])
    desk.open("main", "futures", {"USDT": "50"}, session="f1")
    desk.open("main", "plain", {}, session="p1")
    desk.declare("plain", features=[])

    def told(answer: dict[str, Any]) -> tuple[str, str, str]:
        return desk.state.transfers[answer["transfer_id"]].session_key

    assert told(move(desk, place="binance.main.futures._", amount="1")) == ("binance", "main", "futures")
    sent = tell(desk, move(desk)["transfer_id"], "done")
    assert sent["ok"]
    back = move(desk, "arb", to="main", to_market="futures", amount="1")
    assert told(back) == ("binance", "main", "futures")
    desk.ask("close_session.binance.main.futures._", {"session": "f1", "reason": "test"})
    assert told(move(desk, place="binance.main.futures._", amount="1")) == MAIN
    desk.ask("close_session.binance.main.spot._", {"session": "s1", "reason": "test"})
    assert code(move(desk)) == Code.VENUE_DOWN
    check(desk)


def test_a_disabled_account_sends_and_receives_funds(desk: Desk) -> None:
    """Disabling stops trading; funds can still be brought to safety."""
    for account in ("main", "arb"):
        assert desk.reply(f"disable_account._.{account}._._", {"command_id": account, **ADA})["ok"]
    transfer_id = move(desk)["transfer_id"]
    tell(desk, transfer_id, "done")
    assert move(desk, "arb", to="main")["ok"]


def test_so_many_are_under_way_at_most(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a transfer is refused as something to ask again, and goes through once another has ended."""
    monkeypatch.setattr("oms.handlers.transfer.MAX_UNDER_WAY", 2)
    first, _ = move(desk)["transfer_id"], move(desk)
    assert code(move(desk, command_id="again")) == Code.OVERLOADED
    tell(desk, first, "rejected")
    assert move(desk, command_id="again")["ok"]


def test_a_wallet_with_something_on_its_way_stays_the_wallet(desk: Desk) -> None:
    """A venue cannot declare another wallet for a market while a transfer into the one it has is under way."""
    desk.declare("earn", features=["transfer"])
    transfer_id = move(desk, to_market="earn")["transfer_id"]
    refused = desk.declare("earn", features=["transfer"], wallet="unified")
    assert code(refused) == Code.WALLET_IN_USE
    tell(desk, transfer_id, "rejected")
    assert desk.declare("earn", features=["transfer"], wallet="unified")["ok"]
    check(desk)


# -- floor and cap

FLOORS = [
    # (main holds, is on its way out, floor, amount, refused)
    ("100000", "0", "99900", "100", None),
    ("100000", "0", "99900", "100.000000000000000001", Code.MAIN_FLOOR),
    ("100000", "0", "100000", "0.000000000000000001", Code.MAIN_FLOOR),
    ("100000", "50", "99900", "50", None),
    ("100000", "50", "99900", "51", Code.MAIN_FLOOR),
    ("100000", "0", "200000", "1", Code.MAIN_FLOOR),
    ("100000", "0", "off", "100000", None),
]


@pytest.mark.parametrize("holds, out, floor, amount, expected", FLOORS)
def test_the_main_account_keeps_its_floor(
    desk: Desk, holds: str, out: str, floor: str, amount: str, expected: Code | None
) -> None:
    """MAIN keeps at least the floor by its totals × rates, with what is on its way out already gone."""
    desk.ask("report_balances.binance.main.spot._", {"session": "s1", "totals": {"USDT": holds}})
    if out != "0":
        assert move(desk, amount=out, to="mm")["ok"]
    limit(desk, main_floor=floor)
    assert code(move(desk, amount=amount)) == expected


def test_what_comes_to_the_main_account_does_not_count_before_it_is_there(desk: Desk) -> None:
    """A transfer into MAIN may yet be rejected, so it holds up no floor before it is done."""
    tell(desk, move(desk, amount="1000")["transfer_id"], "done")
    back = move(desk, "arb", to="main", amount="1000")["transfer_id"]
    limit(desk, main_floor="99000")
    assert code(move(desk, to="mm", amount="1")) == Code.MAIN_FLOOR
    tell(desk, back, "done")
    assert move(desk, to="mm", amount="1000")["ok"]


def test_the_floor_counts_every_wallet_by_what_it_is_worth(desk: Desk) -> None:
    """All wallets of MAIN on all exchanges count, at the rate of each asset; what has none counts for nothing."""
    desk.list("futures")
    desk.open("main", "futures", {"USDT": "1000", "DOGE": "99999"}, session="f1")
    limit(desk, main_floor="201000")
    assert code(move(desk, amount="1")) == Code.MAIN_FLOOR
    value(desk, "BTC", "50000")
    assert code(move(desk, amount="0.01")) == Code.MAIN_FLOOR
    desk.ask("report_balances.binance.main.futures._", {"session": "f1", "totals": {"USDT": "1007.5"}})
    assert move(desk, amount="7.5")["ok"]
    assert code(move(desk, asset="BTC", amount="0.01")) == Code.MAIN_FLOOR
    assert move(desk, asset="ETH", amount="0.01")["ok"]


CAPS = [
    # (sub holds, is on its way in, cap, amount, refused)
    ("0", "0", "100", "100", None),
    ("0", "0", "100", "100.000000000000000001", Code.SUB_CAP),
    ("60", "0", "100", "40", None),
    ("60", "0", "100", "40.01", Code.SUB_CAP),
    ("60", "30", "100", "10", None),
    ("60", "30", "100", "10.01", Code.SUB_CAP),
    ("150", "0", "100", "0.01", Code.SUB_CAP),
    ("60", "30", "off", "99000", None),
]


@pytest.mark.parametrize("kind", ["SUB", "STRATEGY"])
@pytest.mark.parametrize("holds, coming, cap, amount, expected", CAPS)
def test_a_sub_account_holds_no_more_than_its_cap(
    desk: Desk, kind: str, holds: str, coming: str, cap: str, amount: str, expected: Code | None
) -> None:
    """Any account but MAIN holds at most the cap, with what is on its way in already there."""
    desk.register("x", kind)
    desk.open("x", "spot", {"USDT": holds}, session="x1")
    if coming != "0":
        assert move(desk, amount=coming, to="x")["ok"]
    limit(desk, sub_cap=cap)
    assert code(move(desk, amount=amount, to="x")) == expected


def test_what_leaves_a_sub_account_counts_until_it_is_gone(desk: Desk) -> None:
    """A transfer out of a sub-account may yet be rejected, so it makes no room before it is done."""
    tell(desk, move(desk, amount="100")["transfer_id"], "done")
    limit(desk, sub_cap="100")
    back = move(desk, "arb", to="main", amount="100")["transfer_id"]
    assert code(move(desk, amount="1")) == Code.SUB_CAP
    tell(desk, back, "done")
    assert move(desk, amount="100")["ok"]


def test_what_cannot_be_valued_cannot_come_under_a_cap(desk: Desk) -> None:
    """With a cap, an asset of unknown worth is neither sent into a sub-account, nor is anything beside it."""
    limit(desk, sub_cap="50000")
    assert code(move(desk, asset="ETH", amount="1")) == Code.NO_VALUATION
    desk.ask("report_balances.binance.arb.spot._", {"session": "s-arb", "totals": {"DOGE": "1"}})
    assert code(move(desk)) == Code.NO_VALUATION
    value(desk, "DOGE", "0.1")
    assert move(desk)["ok"]
    value(desk, "ETH", "3000")
    assert move(desk, asset="ETH", amount="1")["ok"]
    assert code(move(desk, asset="ETH", amount="16")) == Code.SUB_CAP
    found = list(desk.state.transfers.values())[-1]
    assert (found.asset, found.value) == ("ETH", 3_000)


def test_floor_and_cap_hold_by_the_way_funds_go(desk: Desk) -> None:
    """What comes back to MAIN breaks neither: no floor of a sub-account, no cap of MAIN."""
    tell(desk, move(desk, amount="1000")["transfer_id"], "done")
    limit(desk, main_floor="1000000", sub_cap="0.01")
    assert move(desk, "arb", to="main", amount="1000")["ok"]


def test_nothing_said_denies(desk: Desk) -> None:
    """Without any statement about floor or cap nothing is moved against them."""
    bare = Desk(ready=False)
    bare.state.risk.limits.said.clear()
    bare.replica.risk.limits.said.clear()
    bare.register("main", "MAIN")
    bare.register("arb", "SUB")
    bare.open("main", "spot", {"USDT": "1000"})
    bare.open("arb", "spot", {"USDT": "1000"}, session="s-arb")
    assert code(move(bare)) == Code.LIMIT_MISSING
    assert move(bare, "arb", to="main")["ok"]


# -- what time makes due


def test_unanswered_it_is_doubted_and_looked_up_again_and_again(desk: Desk) -> None:
    """After 15 s without an answer a transfer is in doubt; it is looked up every 10 s while a session can."""
    transfer_id = move(desk)["transfer_id"]
    asked = desk.now
    watch = Watch(desk.state)
    assert watch.unanswered_transfers() == [transfer_id]
    assert watch.overdue_transfers(asked + ANSWER_WITHIN_NS) == []
    assert watch.overdue_transfers(asked + ANSWER_WITHIN_NS + 1) == [transfer_id]
    assert list(watch.transfer_look_ups(asked + 100 * 10**9)) == []
    outcome = desk.ask("doubt_transfers._._._._", {"transfer_ids": [transfer_id, "other"], "reason": "late"})
    assert [type(told) for _, told in outcome.instructions] == [i.LookUpTransfer]
    assert desk.ask("doubt_transfers._._._._", {"transfer_ids": [transfer_id], "reason": "x"}).commit is None
    assert watch.unanswered_transfers() == watch.overdue_transfers(asked + 10**12) == []
    since = desk.state.transfers[transfer_id].updated_at
    assert list(watch.transfer_look_ups(since + LOOK_UP_AGAIN_NS)) == []
    for turn in range(1, 4):
        now = since + turn * (LOOK_UP_AGAIN_NS + 1)
        ((key, session, told),) = watch.transfer_look_ups(now)
        assert (key, session, told.transfer_id) == (MAIN, "s1", transfer_id)  # type: ignore[union-attr]
        assert list(watch.transfer_look_ups(now + LOOK_UP_AGAIN_NS)) == []
    desk.open("main", "futures", {}, session="f1")
    desk.ask("close_session.binance.main.spot._", {"session": "s1", "reason": "test"})
    ((key, session, _),) = watch.transfer_look_ups(desk.now + 10**12)
    assert (key[2], session) == ("futures", "f1")
    desk.ask("close_session.binance.main.futures._", {"session": "f1", "reason": "test"})
    assert list(watch.transfer_look_ups(desk.now + 2 * 10**12)) == []


def test_a_finished_transfer_is_neither_doubted_nor_looked_up(desk: Desk) -> None:
    """What has ended waits for nobody."""
    transfer_id = move(desk)["transfer_id"]
    tell(desk, transfer_id, "unknown")
    tell(desk, transfer_id, "done")
    watch = Watch(desk.state)
    assert watch.unanswered_transfers() == []
    assert list(watch.transfer_look_ups(desk.now + 10**12)) == []
    assert desk.ask("doubt_transfers._._._._", {"transfer_ids": [transfer_id], "reason": "x"}).commit is None


# -- balances told while funds are moving


def page(desk: Desk, account: str, session: str, as_of: int = 0) -> Any:
    return desk.ask(f"list_live.binance.{account}.spot._", {"session": session, "as_of": as_of}).reply


def test_balances_are_left_alone_while_their_asset_is_moving(desk: Desk) -> None:
    """Under way, neither wallet takes the venue's total of the asset; the others it takes, and afterwards this one too."""
    transfer_id = move(desk)["transfer_id"]
    assert page(desk, "main", "s1").moving == page(desk, "arb", "s-arb").moving == ["USDT"]
    totals = {"USDT": "99900", "BTC": "3", "ETH": "20"}
    desk.ask("report_balances.binance.main.spot._", {"session": "s1", "totals": totals, "as_of": 0})
    desk.ask("report_balances.binance.arb.spot._", {"session": "s-arb", "totals": {"USDT": "100"}})
    assert (funds(desk, MAIN), funds(desk, MAIN, "BTC"), funds(desk, ARB)) == ((100_000, 100), (3, 0), (0, 0))
    tell(desk, transfer_id, "done")
    # Read before it was done, told after it: nobody can say whether it was in there.
    desk.ask("report_balances.binance.main.spot._", {"session": "s1", "totals": {**totals, "USDT": "100000"}})
    desk.ask("report_balances.binance.arb.spot._", {"session": "s-arb", "totals": {}})
    assert (funds(desk, MAIN), funds(desk, ARB)) == ((99_900, 0), (100, 0))
    as_of = page(desk, "main", "s1").transfers_done
    assert as_of == 1
    assert page(desk, "main", "s1", as_of).moving == []
    assert page(desk, "main", "s1").moving == ["USDT"]
    told = {"session": "s1", "totals": {**totals, "USDT": "99950"}, "as_of": as_of}
    desk.ask("report_balances.binance.main.spot._", told)
    assert funds(desk, MAIN) == (99_950, 0)
    assert page(desk, "mm", "s-mm").moving == []
    check(desk)


AMOUNTS = st.sampled_from(["1", "0.000000000000000001", "2500.25", "9999.999", "20000", "30000", "49999.5"])
NUMBERS = st.integers(0, 4)
FLOOR, CAP = Decimal(50_000), Decimal(30_000)
KEYS = {"main": MAIN, "arb": ARB, "mm": MM}
START = {"main": Decimal(100_000), "arb": Decimal(0), "mm": Decimal(10_000)}


class Sent:
    """A transfer as the venue has it."""

    def __init__(self, source: str, target: str, amount: Decimal) -> None:
        self.source, self.target, self.amount = source, target, amount
        self.debited = self.credited = self.refused = False


class FundsInFlight(RuleBasedStateMachine):
    """Transfers, what the venue does and says, balances read and told, deposits and crashes, in any order.

    The venue is its own model: it takes from the source and gives to the target at two moments, or refuses. Sessions say
    only what is true, as often and as late as they like. Each account's balances are read, and told once they were read, in
    the order that a session reads and tells them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ready=False)
        self.venue = dict(START)
        self.deposits = dict.fromkeys(START, Decimal(0))
        self.adopted = dict.fromkeys(START, Decimal(0))
        self.sent: dict[str, Sent] = {}
        self.asked: list[str] = []
        self.said: list[dict[str, str]] = []
        self.readings: dict[str, tuple[int, Decimal, Decimal]] = {}

    @initialize()
    def begin(self) -> None:
        self.desk.declare(features=["transfer"])
        for account in START:
            self.desk.register(account, "MAIN" if account == "main" else "SUB")
            self.desk.open(account, "spot", {"USDT": str(START[account])}, session=self.session(account))
        limit(self.desk, main_floor=str(FLOOR), sub_cap=str(CAP))

    def session(self, account: str) -> str:
        return "s1" if account == "main" else f"s-{account}"

    def total(self, account: str) -> Decimal:
        return funds(self.desk, KEYS[account])[0]

    def under_way(self) -> list[Transfer]:
        return list(self.desk.state.transfers_under_way.values())

    # -- the desk asks

    @rule(sub=st.sampled_from(["arb", "mm"]), back=st.booleans(), amount=AMOUNTS)
    def ask(self, sub: str, back: bool, amount: str) -> None:
        source, target = (sub, "main") if back else ("main", sub)
        terms = {"to": target, "asset": "USDT", "amount": amount, "by": "Ada"}
        subject = f"transfer.binance.{source}.spot._"
        outcome = self.desk.ask(subject, {**terms, "command_id": self.desk.next_id()})
        made = [told.transfer_id for _, told in outcome.instructions if isinstance(told, i.Transfer)]
        if not outcome.reply.ok:
            assert not made
            return
        assert made == [outcome.reply.transfer_id]  # type: ignore[union-attr]
        self.asked += made
        self.sent[made[0]] = Sent(source, target, Decimal(amount))
        going = sum((t.amount for t in self.under_way() if t.account == "main"), Decimal(0))
        coming = sum((t.amount for t in self.under_way() if t.to == sub), Decimal(0))
        if not back:
            assert self.total("main") - going >= FLOOR
            assert self.total(sub) + coming <= CAP

    # -- the venue acts

    def which(self, number: int) -> tuple[str, Sent]:
        """A transfer by number; those that the venue has not ended come first."""
        ended = [found_id for found_id, found in self.sent.items() if found.credited or found.refused]
        ids = [*(found_id for found_id in self.sent if found_id not in ended), *reversed(ended)]
        found_id = ids[number % len(ids)]
        return found_id, self.sent[found_id]

    @precondition(lambda self: self.sent)
    @rule(number=NUMBERS, at_once=st.booleans())
    def venue_takes(self, number: int, at_once: bool) -> None:
        found_id, found = self.which(number)
        if not found.debited and not found.refused:
            if self.venue[found.source] < found.amount:
                self.refuse(found_id, found)
                return
            self.venue[found.source] -= found.amount
            found.debited = True
        if at_once:
            self.give(found_id, found)

    @precondition(lambda self: self.sent)
    @rule(number=NUMBERS)
    def venue_gives(self, number: int) -> None:
        self.give(*self.which(number))

    def give(self, found_id: str, found: Sent) -> None:
        if found.debited and not found.credited:
            self.venue[found.target] += found.amount
            found.credited = True
            self.said.append({"transfer_id": found_id, "state": "done"})

    @precondition(lambda self: self.sent)
    @rule(number=NUMBERS)
    def venue_refuses(self, number: int) -> None:
        self.refuse(*self.which(number))

    def refuse(self, found_id: str, found: Sent) -> None:
        if not found.debited and not found.refused:
            found.refused = True
            self.said.append({"transfer_id": found_id, "state": "rejected"})

    @rule(account=st.sampled_from(list(START)), amount=AMOUNTS)
    def deposit(self, account: str, amount: str) -> None:
        self.venue[account] += Decimal(amount)
        self.deposits[account] += Decimal(amount)

    # -- sessions say what is true, when and as often as they like

    @precondition(lambda self: self.said)
    @rule(number=NUMBERS)
    def report(self, number: int) -> None:
        said = self.said[-1 - number % len(self.said)]
        assert tell(self.desk, **said)["ok"]

    @precondition(lambda self: self.sent)
    @rule(number=NUMBERS, state=st.sampled_from(["pending", "unknown"]))
    def report_nothing(self, number: int, state: str) -> None:
        assert tell(self.desk, self.which(number)[0], state)["ok"]

    @rule(account=st.sampled_from(list(START)))
    def read(self, account: str) -> None:
        self.readings.pop(account, None)
        as_of = page(self.desk, account, self.session(account)).transfers_done
        self.readings[account] = (as_of, self.venue[account], self.deposits[account])

    @precondition(lambda self: self.readings)
    @rule(number=st.integers(0, 2))
    def tell_balances(self, number: int) -> None:
        """Told again, as one whose answer was lost is, it changes nothing more."""
        self.tell_reading(list(self.readings)[-1 - number % len(self.readings)])

    def tell_reading(self, account: str) -> None:
        if account in self.readings:
            as_of, total, _ = self.readings[account]
            told = {"session": self.session(account), "totals": {"USDT": str(total)}, "as_of": as_of}
            assert self.desk.reply(f"report_balances.binance.{account}.spot._", told)["ok"]

    @rule()
    def time_passes(self) -> None:
        self.desk.now += ANSWER_WITHIN_NS + 1
        late = Watch(self.desk.state).overdue_transfers(self.desk.now)
        self.desk.ask("doubt_transfers._._._._", {"transfer_ids": late, "reason": "late"})

    @rule()
    def crash(self) -> None:
        """The engine is killed, starts from its image, and doubts what was left unanswered."""
        self.desk.state = image.load(image.dump(self.desk.state))
        left = Watch(self.desk.state).unanswered_transfers()
        outcome = self.desk.ask("doubt_transfers._._._._", {"transfer_ids": left, "reason": "restart"})
        assert [type(told) for _, told in outcome.instructions] == [i.LookUpTransfer] * len(left)

    # -- what holds at any moment

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        """Each wallet holds what it began with, what was moved by transfers that are done, and deposits that were seen."""
        done = [t for t in self.desk.state.transfers.values() if t.status is TransferStatus.COMPLETED]
        for account, key in KEYS.items():
            with exactly():
                net = sum((t.amount for t in done if t.to == account), Decimal(0))
                net -= sum((t.amount for t in done if t.account == account), Decimal(0))
                seen = self.total(account) - START.get(account, Decimal(0)) - net
            if account in self.desk.state.accounts:
                read = self.readings.get(account)
                assert seen in {self.adopted[account], *(() if read is None else (read[2],))}
                self.adopted[account] = seen
            out = sum((t.amount for t in self.under_way() if t.account == account), Decimal(0))
            assert funds(self.desk, key)[1] == out
        assert len(self.asked) == len(set(self.asked))

    @invariant()
    def the_replica_is_the_same(self) -> None:
        assert self.desk.state.digest() == self.desk.replica.digest()

    def teardown(self) -> None:
        """In the end everything is known, free, and as the venue shows it."""
        for found_id, found in self.sent.items():
            if not found.debited and not found.refused:
                self.refuse(found_id, found)
            self.give(found_id, found)
        for said in self.said:
            assert tell(self.desk, **said)["ok"]
        assert not self.under_way()
        for account in self.desk.state.accounts:
            self.read(account)
            self.tell_reading(account)
            assert funds(self.desk, KEYS[account]) == (self.venue[account], 0)
            assert not self.desk.state.funds_seen(KEYS[account]).transit
        check(self.desk)


TestFundsInFlight = FundsInFlight.TestCase
TestFundsInFlight.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_every_answer_of_a_venue_is_in_the_table() -> None:
    """What follows from each status and each answer is decided: an event, nothing, or a contradiction."""
    for status in TransferStatus:
        for told in TransferState:
            known = (status, told) in transfer._AFTER, (status, told) in transfer._CONTRADICTIONS
            assert not all(known)
    assert {status for status, _ in transfer._AFTER} == {TransferStatus.REQUESTED, TransferStatus.IN_DOUBT}
