"""The alarm of sessions: told once when an account stays without a session, and for every difference from a venue."""

import asyncio

import pytest

from oms.messages import events as e
from oms.messages.commands import Difference
from replay.following import session_alarm
from replay.following.session_alarm import SessionAlarm

KEY = {"exchange": "okx", "account": "main", "market": "spot"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was told, at a pace that a test can wait for."""
    monkeypatch.setattr(session_alarm, "AFTER_S", 0.2)
    monkeypatch.setattr(session_alarm, "REFUSED_AFTER_S", 0.05)
    monkeypatch.setattr(session_alarm, "POLL_S", 0.02)
    return []


async def _for(alarm: SessionAlarm, seconds: float) -> None:
    running = asyncio.create_task(alarm.run())
    await asyncio.sleep(seconds)
    running.cancel()


def _alarm(told: list[tuple[str, str]]) -> SessionAlarm:
    async def tell(code: str, message: str) -> None:
        told.append((code, message))

    return SessionAlarm(tell, [])


async def test_an_account_without_a_session_is_told_once(told: list[tuple[str, str]]) -> None:
    """However often it tries in vain, and again only after it was ready."""
    alarm = _alarm(told)
    alarm.watch(e.SessionClosed(**KEY, session="a", reason="the stream is lost"))
    alarm.watch(e.SessionOpened(**KEY, session="b", ready=False))
    alarm.watch(e.SessionClosed(**KEY, session="b", reason="HTTP 502"))
    await _for(alarm, 0.4)
    assert [code for code, _ in told] == ["SESSION"]
    assert "okx.main.spot" in told[0][1]
    assert "HTTP 502" in told[0][1]
    alarm.watch(e.SessionOpened(**KEY, session="c", ready=True))
    alarm.watch(e.SessionClosed(**KEY, session="c", reason="again"))
    await _for(alarm, 0.4)
    assert len(told) == 2


async def test_a_session_that_is_back_soon_wakes_nobody(told: list[tuple[str, str]]) -> None:
    """Ready again before the time is up: no alert."""
    alarm = _alarm(told)
    alarm.watch(e.SessionClosed(**KEY, session="a", reason="the stream is lost"))
    alarm.watch(e.SessionOpened(**KEY, session="b", ready=True))
    await _for(alarm, 0.4)
    assert told == []


async def test_a_lost_key_is_told_at_once(told: list[tuple[str, str]]) -> None:
    """An account whose key the venue refuses is told long before one that reconnects, but not one that has another key."""
    alarm = _alarm(told)
    other = {**KEY, "account": "sub_arb"}
    rotated = {**KEY, "account": "sub_mm"}
    for place, reason in (
        (KEY, "auth fatal: 50111 Invalid key"),
        (other, "lost"),
        (rotated, "auth fatal: 50111"),
    ):
        alarm.watch(e.SessionClosed(**place, session="a", reason=reason))
        alarm.watch(e.SessionOpened(**place, session="b", ready=place is rotated))
    await _for(alarm, 0.15)
    ((code, message),) = told
    assert (code, message.split(":")[0]) == ("SESSION", "okx.main.spot")
    assert "50111 Invalid key" in message, "not that it tries again meanwhile"
    alarm.watch(e.SessionOpened(**KEY, session="c", ready=True))
    alarm.watch(e.SessionOpened(**other, session="c", ready=True))
    alarm.watch(e.SessionClosed(**KEY, session="c", reason="the stream is lost"))
    await _for(alarm, 0.1)
    assert len(told) == 1


async def test_differences_are_told_with_what_they_are(told: list[tuple[str, str]]) -> None:
    """Each reconciliation with differences is told; one without is not."""
    alarm = _alarm(told)
    facts = {"request_id": "", "started_at": 1, "orders": 1, "trades": 0, "balances": 1, "positions": 0}
    alarm.watch(e.Reconciled(**KEY, **facts, differences=[]))
    alarm.watch(
        e.Reconciled(
            **KEY,
            **facts,
            differences=[Difference(kind="balance", key="BTC", expected="1", found="2")],
            more=3,
        )
    )
    await _for(alarm, 0.1)
    ((code, message),) = told
    assert code == "DIFFERENCES"
    assert "4 differences" in message
    assert "balance BTC: expected 1, found 2" in message
