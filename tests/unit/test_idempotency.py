"""A command_id is an intent: sent again it gets the same answer and changes nothing."""

import json
from typing import Any

import pytest

from oms.aggregates import image, window
from oms.messages import codec
from oms.messages.codes import Code, Refused
from oms.messages.commands import PlaceOrder
from tests.unit.desk import Desk, check_same

PLACE = {"side": "buy", "type": "limit", "quantity": "1", "price": "100", "command_id": "p1"}
SPOT = "binance.main.spot.BTCUSDT"


def restarted(desk: Desk) -> Desk:
    """The same desk, its engine started again from an image."""
    desk.state = image.load(image.dump(desk.state))
    return desk


def commands(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    """One command of every kind, and those that our controls deny."""
    order_id = desk.place(command_id="first")["order_id"]
    desk.report("accepted", order_id)
    desk.register("other", "SUB")
    desk.open("other", "spot", {})
    too_much = {"to": "other", "asset": "USDT", "amount": "1000000", "by": "ann"}
    return [
        (f"place.{SPOT}", PLACE),
        (f"place.{SPOT}", {**PLACE, "command_id": "p2", "quantity": "100000"}),
        ("amend.binance.main.spot._", {"command_id": "a1", "order_id": order_id, "quantity": "2"}),
        ("amend.binance.main.spot._", {"command_id": "a2", "order_id": order_id, "quantity": "100000"}),
        ("transfer.binance.main.spot._", {"command_id": "t1", **too_much}),
        ("cancel.binance.main.spot._", {"command_id": "x1", "order_id": order_id}),
        ("cancel_all._.main._._", {"command_id": "x2"}),
        ("register_account._.sub._._", {"command_id": "r1", "kind": "SUB"}),
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("restart", [False, True])
def test_again_is_the_same_answer(number: int, restart: bool) -> None:
    """The same command again: the first answer with duplicate true, no commit, nothing changed; also after a restart."""
    desk = Desk()
    for subject, payload in commands(desk)[: number + 1]:
        first = desk.reply(subject, payload)
    assert first["duplicate"] is False
    # The answer is what was answered, whatever has become of the order since.
    for order_id in list(desk.state.orders):
        desk.report("canceled", order_id)
    if restart:
        restarted(desk)
    before = image.dump(desk.state)
    outcome = desk.ask(subject, payload)
    assert json.loads(codec.encode(outcome.reply)) == {**first, "duplicate": True}
    assert outcome.commit is None
    assert not outcome.instructions
    assert image.dump(desk.state) == before


@pytest.mark.parametrize(
    "spelling",
    [
        json.dumps(PLACE, indent=4),
        json.dumps(dict(reversed(PLACE.items())), separators=(",", ":")),
        json.dumps({**PLACE, "command": "place.1"}),
        json.dumps(
            {**PLACE, "time_in_force": "GTC", "post_only": False, "strategy": "", "trigger_price": None}
        ),
    ],
    ids=["indented", "other order", "tagged", "defaults spelled out"],
)
def test_spelling_is_not_meaning(spelling: str) -> None:
    """Blanks, the order of keys, the tag and defaults spelled out make no other payload."""
    desk = Desk()
    first = desk.reply(f"place.{SPOT}", PLACE)
    assert desk.reply(f"place.{SPOT}", spelling.encode()) == {**first, "duplicate": True}


@pytest.mark.parametrize(
    "subject, change",
    [
        (f"place.{SPOT}", {"quantity": "2"}),
        (f"place.{SPOT}", {"side": "sell"}),
        (f"place.{SPOT}", {"strategy": "other"}),
        (f"place.{SPOT}", {"client_order_id": "mine"}),
        ("place.binance.main.spot.ETHUSDT", {}),
        ("place.binance.main.spot._", {"symbol": "BTCUSDT"}),
        ("cancel.binance.main.spot._", {}),
    ],
)
def test_other_payload_is_refused(subject: str, change: dict[str, str]) -> None:
    """A used id with another payload, subject or verb is refused, and changes nothing."""
    desk = Desk()
    desk.reply(f"place.{SPOT}", PLACE)
    before = image.dump(desk.state)
    payload = {**PLACE, **change} if subject.startswith("place") else {"command_id": "p1", "order_id": "o"}
    assert desk.reply(subject, payload)["error"]["code"] == "COMMAND_ID_REUSED"
    assert image.dump(desk.state) == before


def test_refused_id_is_free() -> None:
    """An id whose command was refused without a trace may be used for a right one."""
    desk = Desk()
    assert desk.reply(f"place.{SPOT}", {**PLACE, "quantity": "0"})["error"]["code"] == "NOT_POSITIVE"
    assert desk.reply(f"place.{SPOT}", PLACE)["ok"]


def test_ids_are_kept_by_account() -> None:
    """Two accounts may use the same id, and neither sees the other's answer."""
    desk = Desk()
    desk.register("sub", "SUB")
    desk.open("sub", "spot", {"USDT": "1000"})
    ours = desk.reply(f"place.{SPOT}", PLACE)
    theirs = desk.reply("place.binance.sub.spot.BTCUSDT", PLACE)
    assert ours["order_id"] != theirs["order_id"]
    assert not theirs["duplicate"]


def test_window_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest ids are forgotten beyond the bound, each account's by itself, the same after a restart."""
    monkeypatch.setattr(window, "MAX_REMEMBERED", 5)
    desk = Desk()
    desk.register("sub", "SUB")
    desk.open("sub", "spot", {"USDT": "1000"})
    desk.reply("place.binance.sub.spot.BTCUSDT", PLACE)
    for number in range(8):
        desk.place(command_id=f"n{number}")
        restarted(desk)
    assert list(desk.state.windows["main"].entries) == ["n3", "n4", "n5", "n6", "n7"]
    assert list(desk.state.windows["sub"].entries)[-1] == "p1"
    assert desk.place(command_id="n3")["duplicate"] is True
    assert desk.place(command_id="n2")["duplicate"] is False, "a forgotten id is a new command"
    check_same(desk.state, desk.replica)


def test_a_flood_of_denied_amends_and_transfers_fills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the window of ids they leave nothing in the state: no order, no id, no transfer, and no funds held."""
    monkeypatch.setattr(window, "MAX_REMEMBERED", 5)
    desk = Desk()
    desk.register("other", "SUB")
    desk.open("other", "spot", {})
    order_id = desk.place(command_id="first")["order_id"]
    desk.report("accepted", order_id)
    too_much = {"to": "other", "asset": "USDT", "amount": "1000000", "by": "ann"}

    def flood(count: int) -> int:
        for number in range(count):
            amend = {"command_id": f"a{count}-{number}", "order_id": order_id, "quantity": "100000"}
            assert desk.reply("amend.binance.main.spot._", amend)["error"]["code"] == "QUANTITY_TOO_LARGE"
            asked = {"command_id": f"t{count}-{number}", **too_much}
            assert desk.reply("transfer.binance.main.spot._", asked)["error"]["code"] == "INSUFFICIENT_FUNDS"
        return len(image.dump(desk.state))

    before = image.dump(desk.state)
    size = flood(10)
    assert flood(50) <= size + 20, "not more than longer numbers take"
    assert list(desk.state.windows["main"].entries) == ["t50-47", "a50-48", "t50-48", "a50-49", "t50-49"]
    desk.state.windows["main"].entries.clear()
    kept = image.load(before)
    kept.windows["main"].entries.clear()
    kept.at = desk.state.at
    assert image.dump(desk.state) == image.dump(kept)


def test_fingerprint_tells_every_field() -> None:
    """Two places that differ in any one field have different fingerprints."""
    base = {"command_id": "c", "side": "buy", "type": "limit", "quantity": "1", "price": "2"}
    other = {
        "command_id": "d",
        "side": "sell",
        "type": "stop_limit",
        "quantity": "3",
        "price": "3",
        "trigger_price": "1",
        "time_in_force": "IOC",
        "expires_at": 1,
        "post_only": True,
        "reduce_only": True,
        "strategy": "s",
        "client_order_id": "i",
        "exchange": "e",
        "market": "m",
        "symbol": "s",
    }
    assert set(other) == set(PlaceOrder.__struct_fields__)

    def fingerprint(fields: dict[str, Any]) -> str:
        return codec.fingerprint("s", codec.decode_command("place", json.dumps(fields).encode()))

    prints = [fingerprint(base), *(fingerprint({**base, name: value}) for name, value in other.items())]
    assert len(set(prints)) == len(prints)


def test_used_id_is_refused_by_code() -> None:
    """The code is part of the contract."""
    assert Refused(Code.COMMAND_ID_REUSED, "m").code == "COMMAND_ID_REUSED"
