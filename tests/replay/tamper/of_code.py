"""What is done to the code, or was by another version. Each function says where it must be found."""

from collections.abc import Iterable
from typing import Any

from oms.aggregates import partition as p
from oms.handlers import place
from oms.messages import events as e
from tests.replay.journal import Maker
from tests.replay.tamper.desk import CODE, DECISION, STATE, Desk, Place, around, chained, of_filled


def _wrong_fee(state: p.Partition, event: e.OrderFilled, at: int) -> None:
    p._order_filled(state, event, at)
    wallet = state.wallets[event.exchange, event.account, event.market]
    wallet.balances["USDT"].total -= 1


def rule_changed(desk: Desk) -> Iterable[Place]:
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _wrong_fee)
    # The snapshots hold what was recorded, and so name the field with both values.
    half, end = desk.maker.sequence // 2, desk.maker.sequence
    return [Place(STATE, sequence), Place(STATE, half), Place(STATE, end)]


def rule_changed_without_checks(desk: Desk) -> Iterable[Place]:
    # Without an archive there are no checks: the seal behind is what tells.
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _wrong_fee)
    half, end = desk.maker.sequence // 2, desk.maker.sequence
    return [Place(STATE, around(desk, sequence)[1]), Place(STATE, half), Place(STATE, end)]


def _failing(state: p.Partition, event: e.OrderFilled, at: int) -> None:
    raise KeyError(event.order_id)


def rule_fails(desk: Desk) -> Iterable[Place]:
    sequence, _ = of_filled(desk, 0)
    desk.monkeypatch.setitem(p._EVOLVE, e.OrderFilled, _failing)
    return [Place(CODE, sequence)]


def decision_changed(desk: Desk) -> Iterable[Place]:
    check = place._check

    def stricter(*args: Any) -> Any:
        found = check(*args)
        if found[0] > 47:
            raise place.Refused(place.Code.QUANTITY_TOO_LARGE, "too much today")
        return found

    desk.monkeypatch.setattr(place, "_check", stricter)
    return [
        Place(DECISION, stored.sequence)
        for stored in desk.maker.stored
        for commit in stored.frame.commits
        for event in commit.events
        if isinstance(event, e.OrderPlaced) and event.quantity > 47
    ][:20]


def nothing(desk: Desk) -> Iterable[Place]:
    return []


def newer_event(desk: Desk) -> Iterable[Place]:
    return [Place(CODE, 20)]


def with_newer_event(frames: list[bytes]) -> list[bytes]:
    changed = [*frames]
    changed[19] = changed[19].replace(b'"OrderPlaced.1"', b'"OrderPlaced.9"', 1)
    assert changed != frames
    return [*frames[:19], *chained(changed, 20)]


def newer_engine(desk: Desk) -> Iterable[Place]:
    return [
        Place(CODE, stored.sequence)
        for stored in desk.maker.stored
        for commit in stored.frame.commits
        if any(isinstance(event, e.EngineStarted) and event.version == "99.0.0" for event in commit.events)
    ]


def started_by_a_newer(maker: Maker, part: int) -> None:
    if part == 8:
        maker.ask("start._._._._", instance="e2", version="99.0.0", journal_id="mtest1", partition="0")
