"""Cancel-on-disconnect: who may be guarded, what a silent client's guard does, and how silence is counted."""

from typing import Any

import pytest

from oms.aggregates import guard as guards
from oms.aggregates import image
from oms.engine.watch import Watch
from oms.handlers import guard as handler
from tests.unit.desk import Desk, check_indexes, check_same

DROP = "drop_client._.main._._"


def arm(desk: Desk, client: str = "bot", **fields: Any) -> dict[str, Any]:
    """Guard a client of ``main`` against 2 s of silence, unless told otherwise."""
    account = fields.pop("account", "main")
    wanted = {"command_id": desk.next_id(), "client": client, "timeout_ms": 2_000, **fields}
    return desk.reply(f"cancel_on_disconnect._.{account}._._", wanted)


def drop(desk: Desk, client: str = "bot") -> list[str]:
    """The client was silent; return the ids of the orders that are cancelled for it."""
    outcome = desk.ask(DROP, {"client": client})
    return (
        []
        if outcome.commit is None
        else [e.order_id for e in outcome.commit.events if hasattr(e, "order_id")]
    )


def watched(desk: Desk, timeout_ms: int = 2_000) -> Watch:
    arm(desk, timeout_ms=timeout_ms)
    return Watch(desk.state)


def silent(watch: Watch, *at: float) -> list[list[str]]:
    """Who is silent at each of these moments, in seconds."""
    return [[guard.client for guard in watch.silent_clients(moment)] for moment in at]


def quarters(start: float, end: float) -> list[float]:
    """Every 250 ms, as the engine looks."""
    return [start + n / 4 for n in range(int((end - start) * 4) + 1)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_guard_is_armed_changed_and_disarmed(desk: Desk) -> None:
    """The last word holds; timeout 0 takes the guard away."""
    assert arm(desk)["ok"]
    assert arm(desk, timeout_ms=5_000, strategy="alpha")["ok"]
    assert desk.state.guards == {("main", "bot"): guards.Guard("main", "bot", "alpha", 5_000)}
    assert arm(desk, timeout_ms=0)["ok"]
    assert desk.state.guards == {}
    check_same(desk.state, desk.replica)


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"account": "nobody"}, "ACCOUNT_UNKNOWN"),
        ({"account": "_"}, "SUBJECT_INVALID"),
        ({"client": "_"}, "INVALID_COMMAND"),
        ({"client": ""}, "INVALID_COMMAND"),
        ({"client": "a.b"}, "INVALID_COMMAND"),
        ({"client": "*"}, "INVALID_COMMAND"),
        ({"client": "c" * 33}, "INVALID_COMMAND"),
        ({"strategy": "s" * 33}, "INVALID_COMMAND"),
        ({"timeout_ms": 999}, "INVALID_COMMAND"),
        ({"timeout_ms": 600_001}, "INVALID_COMMAND"),
        ({"timeout_ms": -1}, "INVALID_COMMAND"),
        ({"timeout_ms": None}, "INVALID_COMMAND"),
        ({"timeout_ms": 0}, "GUARD_UNKNOWN"),
    ],
)
def test_what_is_no_guard_is_refused(desk: Desk, fields: dict[str, Any], code: str) -> None:
    """A client that cannot beat, a time that is none, and an account that is not there: refused with a code, nothing kept."""
    assert arm(desk, **fields)["error"]["code"] == code
    assert desk.state.guards == {}


def test_a_guard_is_of_the_whole_account(desk: Desk) -> None:
    """A subject that names an exchange promises what is not done, and is refused."""
    wanted = {"command_id": "x", "client": "bot", "timeout_ms": 2_000}
    assert desk.reply("cancel_on_disconnect.binance.main._._", wanted)["error"]["code"] == "SUBJECT_MISMATCH"


def test_guards_of_an_account_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client too many is refused, a change of one that is there is not, nor one of another account."""
    monkeypatch.setattr(handler, "MAX_GUARDS", 2)
    desk.register("sub_arb", "SUB")
    assert arm(desk, "a")["ok"]
    assert arm(desk, "b")["ok"]
    assert arm(desk, "c")["error"]["code"] == "GUARD_LIMIT"
    assert arm(desk, "b", timeout_ms=3_000)["ok"]
    assert arm(desk, "c", account="sub_arb")["ok"]


def test_a_dropped_client_has_its_orders_cancelled(desk: Desk) -> None:
    """Every live order of the account is asked to cancel once, for that reason, and the guard is gone."""
    first, second, third = (desk.place()["order_id"] for _ in range(3))
    desk.report("accepted", first)
    desk.cancel(third)
    arm(desk)
    outcome = desk.ask(DROP, {"client": "bot"})
    assert outcome.commit is not None
    told, *cancels = outcome.commit.events
    assert (told.client, told.count) == ("bot", 2)
    assert [(e.order_id, e.reason) for e in cancels] == [(first, "disconnect"), (second, "disconnect")]
    assert {i.order_id for _, i in outcome.instructions} == {first, second}
    assert desk.state.guards == {}
    assert desk.ask(DROP, {"client": "bot"}).commit is None
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)


def test_a_strategy_s_guard_cancels_its_orders_alone(desk: Desk) -> None:
    """Orders of other strategies, of none and of other accounts stay."""
    desk.register("sub_arb", "SUB")
    desk.open("sub_arb", "spot", {"USDT": "100000"}, session="s2")
    terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "100", "strategy": "alpha"}
    desk.reply("place.binance.sub_arb.spot.BTCUSDT", {"command_id": desk.next_id(), **terms})
    wanted = desk.place(strategy="alpha")["order_id"]
    desk.place(strategy="beta")
    desk.place()
    arm(desk, strategy="alpha")
    assert drop(desk) == [wanted]


def test_more_orders_than_a_commit_holds_are_cancelled_by_and_by(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard stays until the last of them is asked to cancel."""
    monkeypatch.setattr(handler, "MAX_CANCELS", 2)
    placed = [desk.place()["order_id"] for _ in range(5)]
    arm(desk)
    assert [drop(desk), drop(desk)] == [placed[:2], placed[2:4]]
    assert desk.state.guards
    assert drop(desk) == placed[4:]
    assert not desk.state.guards


def test_guards_are_in_image_and_digest(desk: Desk) -> None:
    """A snapshot brings guards back, and one guard more is another digest."""
    bare = desk.digest()
    arm(desk)
    loaded = image.load(image.dump(desk.state))
    assert loaded.guards == desk.state.guards
    assert desk.digest() not in (bare, image.digest(image.load(image.dump(Desk().state))))


def test_silence_beyond_the_timeout_drops(desk: Desk) -> None:
    """At the timeout the client is not silent yet, a look later it is."""
    watch = watched(desk)
    assert silent(watch, *quarters(0, 2.25)) == [[]] * 9 + [["bot"]]


def test_a_beat_is_heard_whatever_it_says(desk: Desk) -> None:
    """Time counts from the last beat; those of others, and of clients that nobody guards, are not this client's."""
    watch = watched(desk)
    silent(watch, *quarters(0, 1.5))
    watch.heard("heartbeat._.main._.other", b"")
    watch.heard("heartbeat._.sub_arb._.bot", b"")
    watch.heard("heartbeat._.main._.bot", b"\xff not JSON")
    assert silent(watch, *quarters(1.75, 3.75))[-1:] == [["bot"]]
    assert silent(watched(Desk()), *quarters(0, 3.5))[-1:] == [["bot"]]


def test_arming_again_counts_anew(desk: Desk) -> None:
    """Whoever has just armed a guard was not silent, even under the same terms."""
    watch = watched(desk)
    silent(watch, *quarters(0, 1.75))
    arm(desk)
    assert silent(watch, *quarters(2, 4)) == [[]] * 9
    assert silent(watch, 4.25) == [["bot"]]


def test_an_engine_that_stood_still_heard_nobody(desk: Desk) -> None:
    """Time in which the engine could not have heard a beat counts as half a second at most."""
    watch = watched(desk)
    assert silent(watch, 0.0, 60.0, 60.25, 60.5) == [[]] * 4
    assert silent(watch, *quarters(60.75, 62))[-1] == ["bot"]


def test_a_restarted_engine_counts_anew(desk: Desk) -> None:
    """What an engine heard dies with it, so the next gives every client its whole time."""
    silent(watched(desk), *quarters(0, 1.75))
    later = Watch(desk.state)
    assert silent(later, *quarters(2, 4)) == [[]] * 9
