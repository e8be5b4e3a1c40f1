"""The alarm of controls: a broken limit, an engaged kill switch and a transfer in doubt are told, within a second, and history is not."""

import asyncio
from decimal import Decimal

from oms.messages import controls as k
from oms.messages.desk import TransferCompleted, TransferInDoubt, TransferRejected
from oms.tasks import end
from replay.following.risk_alarm import AT_ONCE, RiskAlarm


def _crossed(scope: str, level: k.Level) -> k.LimitCrossed:
    return k.LimitCrossed(
        scope=scope, control="max_exposure", level=level, used=Decimal(12000), limit=Decimal(10000)
    )


def _of_position(position: str, level: k.Level) -> k.LimitCrossed:
    return k.LimitCrossed(
        scope="account:main",
        control="max_position",
        level=level,
        used=Decimal(12000),
        limit=Decimal(10000),
        position=position,
    )


async def _told(alarm: RiskAlarm, told: list[tuple[str, str]], count: int) -> None:
    """Let the alarm run until it has told so many, and no longer than it may take."""
    running = asyncio.create_task(alarm.run())
    try:
        async with asyncio.timeout(1):
            while len(told) < count:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
    finally:
        await end([running])


def _alarm(told: list[tuple[str, str]]) -> RiskAlarm:
    async def tell(code: str, message: str) -> None:
        told.append((code, message))

    return RiskAlarm(tell)


async def test_a_breach_and_a_kill_are_told_at_once() -> None:
    """With scope, figures, who and why; what is only near, clear again or released wakes nobody."""
    told: list[tuple[str, str]] = []
    alarm = _alarm(told)
    alarm.caught_up()
    alarm.watch(_crossed("account:sub_a", k.Level.NEAR))
    alarm.watch(_crossed("account:sub_a", k.Level.BREACHED))
    alarm.watch(_crossed("account:sub_a", k.Level.CLEAR))
    alarm.watch(k.KillSwitchEngaged(scope="strategy:arb", by="kim", reason="runs wild"))
    alarm.watch(k.KillSwitchReleased(scope="strategy:arb", by="kim"))
    alarm.watch(k.KillSwitchEngaged(scope="account:sub_b", cause="max_daily_loss"))
    await _told(alarm, told, 3)
    assert told == [
        ("KILL", "strategy:arb: the kill switch is engaged, by kim: runs wild"),
        ("KILL", "account:sub_b: the kill switch is engaged, max_daily_loss tripped it"),
        ("LIMIT", "account:sub_a: max_exposure is 12000, its limit 10000"),
    ]


async def test_a_transfer_in_doubt_is_told() -> None:
    """Funds that nobody knows the place of are told, with why; what of that came to an end before is not."""
    told: list[tuple[str, str]] = []
    alarm = _alarm(told)
    for name in ("T1", "T2", "T3"):
        alarm.watch(TransferInDoubt(transfer_id=name, reason="no answer"))
    alarm.watch(TransferCompleted(transfer_id="T1"))
    alarm.watch(TransferRejected(transfer_id="T2", reason="not there"))
    alarm.caught_up()
    await _told(alarm, told, 1)
    assert told == [("TRANSFER", "transfer T3 is in doubt, and its funds are locked: no answer")]


async def test_history_is_told_as_far_as_it_stands() -> None:
    """What was over before the follower had caught up is not told, and nothing is before it has."""
    told: list[tuple[str, str]] = []
    alarm = _alarm(told)
    alarm.watch(_crossed("account:sub_a", k.Level.BREACHED))
    alarm.watch(_crossed("account:sub_a", k.Level.NEAR))
    alarm.watch(k.KillSwitchEngaged(scope="global", by="kim"))
    alarm.watch(k.KillSwitchReleased(scope="global", by="kim"))
    alarm.watch(k.KillSwitchEngaged(scope="exchange:okx", by="kim"))
    await _told(alarm, told, 0)
    assert told == []
    alarm.caught_up()
    await _told(alarm, told, 1)
    assert told == [("KILL", "exchange:okx: the kill switch is engaged, by kim")]


async def test_positions_of_one_scope_are_told_one_by_one() -> None:
    """Two positions beyond the same limit are two alerts, each with its name; one that is clear takes the other's along with nothing."""
    told: list[tuple[str, str]] = []
    alarm = _alarm(told)
    places = [f"binance.main.spot.{symbol}" for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT")]
    for place in places:
        alarm.watch(_of_position(place, k.Level.BREACHED))
    alarm.watch(_of_position(places[1], k.Level.NEAR))
    alarm.caught_up()
    await _told(alarm, told, 2)
    assert told == [
        ("LIMIT", f"account:main: max_position is 12000, its limit 10000, position {place}")
        for place in (places[0], places[2])
    ]


async def test_a_storm_is_told_in_few_words() -> None:
    """However many scopes break a limit at once, alerts stay bounded, and the last says how many more there are."""
    told: list[tuple[str, str]] = []
    alarm = _alarm(told)
    alarm.caught_up()
    for number in range(200):
        alarm.watch(_crossed(f"account:sub_{number}", k.Level.BREACHED))
    await _told(alarm, told, AT_ONCE + 1)
    assert len(told) == AT_ONCE + 1
    assert told[-1][1].startswith("150 more")
