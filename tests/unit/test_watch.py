"""What time makes due: orders in doubt are looked up again wherever a session can, however many others wait for theirs."""

import pytest

from oms.engine import watch
from oms.engine.watch import LOOK_UP_AGAIN_NS, Watch

from .desk import SECOND, Desk


def test_doubts_nobody_can_settle_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """More orders in doubt than are looked up at once, of an account without a session, leave those of another their turn."""
    monkeypatch.setattr(watch, "AT_ONCE", 2)
    desk = Desk()
    desk.register("sub_arb", "SUB")
    desk.open("sub_arb", "spot", {"USDT": "100000"}, session="s2")
    terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "100"}
    for account, session in (("main", "s1"), ("sub_arb", "s2")):
        for _ in range(3):
            placed = desk.reply(
                f"place.binance.{account}.spot.BTCUSDT", {"command_id": desk.next_id(), **terms}
            )
            doubt = {"report": "in_doubt", "order_id": placed["order_id"], "reason": "test"}
            desk.reply(f"report.binance.{account}.spot._", {"session": session, "reports": [doubt]})
    assert len(desk.state.doubtful) == 6
    desk.reply("close_session.binance.main.spot._", {"session": "s1", "reason": "test"})
    due = list(Watch(desk.state).look_ups_again(desk.now + 2 * LOOK_UP_AGAIN_NS))
    assert [key[1] for key, _, _ in due] == ["sub_arb"] * 2


def test_a_pause_makes_no_mark_old() -> None:
    """An engine listens since it first looked, and after standing still for more than 5 s since it looks again."""
    watching, at = Watch(Desk().state), 1_700_000_000 * SECOND
    assert watching.listening_since(at) == at
    for seconds in (1, 6, 11):
        assert watching.listening_since(at + seconds * SECOND) == at
    resumed = at + 16 * SECOND + 1
    assert watching.listening_since(resumed) == resumed
    assert watching.listening_since(resumed + SECOND) == resumed
