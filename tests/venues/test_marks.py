"""Marks in markets that stand still: what is confirmed stays young, what nobody confirms gets old."""

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest

from oms.aggregates.instrument import Instrument

from .conftest import QUICK, Desk, until

STILL = attrs.evolve(QUICK, mark_age_s=0.5)
KEY = ("binance", "spot", "ETHUSDT")


def instrument(desk: Desk) -> Instrument:
    return desk.state.instruments[KEY]


async def test_a_mark_that_does_not_change_stays_young(bare_desk: Desk) -> None:
    """Nothing happens in the market: its marks are confirmed again and again, so that no order is denied for their age."""
    await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    first = attrs.evolve(instrument(bare_desk))
    await until(lambda: instrument(bare_desk).mark_at > first.mark_at, what="its confirmation")
    second = instrument(bare_desk).mark_at
    assert second - first.mark_at >= 2 * 10**9, "recorded more often than needed"
    await until(lambda: instrument(bare_desk).mark_at > second, what="the next one")
    assert instrument(bare_desk).mark == first.mark


async def test_a_mark_that_nobody_confirms_gets_old(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream is silent and the venue does not answer: that others are heard on theirs says nothing about it."""
    monkeypatch.setattr("oms.venues.marks.SYMBOLS_PER_STREAM", 1)
    await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    bare_desk.fault("server_error_before", endpoint="GET /api/v3/ticker/bookTicker")
    await asyncio.sleep(1)
    last = instrument(bare_desk).mark_at
    for step in range(15):
        bare_desk.wire.driver.set_price("BTCUSDT", Decimal(50_000 + step))
        await asyncio.sleep(0.2)
    assert bare_desk.state.instruments["binance", "spot", "BTCUSDT"].mark_at > last
    assert instrument(bare_desk).mark_at == last
    bare_desk.wire.faults.clear()
    await until(lambda: instrument(bare_desk).mark_at > last, what="the venue to be heard again")


async def test_a_price_missed_by_the_stream_is_found(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that the stream never told is seen when the venue is asked."""
    connector = await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    marks = connector._marks
    monkeypatch.setattr(type(marks), "_take", _but_the_stream(marks._take))
    bare_desk.wire.driver.set_price("ETHUSDT", Decimal(3_300))
    await until(lambda: instrument(bare_desk).mark == 3_300, what="the price")


def _but_the_stream(take: Any) -> Any:
    def only_asked(self: Any, part: Any, marks: dict[str, Decimal]) -> None:
        if len(marks) == len(part.symbols):
            take(part, marks)

    return only_asked


async def test_a_book_with_one_side_has_no_mark(bare_desk: Desk) -> None:
    """Nobody offers: what the instrument was worth before gets old, however much is heard of others."""
    connector = await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    exchange = bare_desk.wire.exchange
    exchange.hit("BUY", exchange.market("spot", "ETHUSDT"), Decimal(9_000))
    assert await connector._market.marks_now(["ETHUSDT"]) == {"ETHUSDT": 0}
    await asyncio.sleep(1)
    last = instrument(bare_desk).mark_at
    other = bare_desk.state.instruments["binance", "spot", "BTCUSDT"]
    before = other.mark_at
    await until(lambda: other.mark_at > before, what="the other instrument's")
    await asyncio.sleep(2)
    assert instrument(bare_desk).mark_at == last


async def test_what_is_not_listed_any_more_gets_old(bare_desk: Desk) -> None:
    """Nobody asks for it and no stream tells it: that others are heard confirms nothing of it."""
    connector = await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    connector._marks.listed({"BTCUSDT": True})
    await asyncio.sleep(1)
    last = instrument(bare_desk).mark_at
    btc = bare_desk.state.instruments["binance", "spot", "BTCUSDT"]
    at = btc.mark_at
    await until(lambda: btc.mark_at > at + 5 * 10**9, 15, "marks of the other")
    assert instrument(bare_desk).mark_at == last


async def test_an_answer_under_way_confirms_nothing_that_is_not_listed_any_more(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for while it was listed, and comes after."""
    connector = await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    ask, asked, going_on = connector._market.marks_now, asyncio.Event(), asyncio.Event()

    async def slowly(symbols: list[str]) -> dict[str, Decimal]:
        found = await ask(symbols)
        asked.set()
        await going_on.wait()
        return found

    monkeypatch.setattr(connector._market, "marks_now", slowly)
    await asyncio.wait_for(asked.wait(), 10)
    connector._marks.listed({"BTCUSDT": True})
    last = instrument(bare_desk).mark_at
    going_on.set()
    btc = bare_desk.state.instruments["binance", "spot", "BTCUSDT"]
    at = btc.mark_at
    await until(lambda: btc.mark_at > at + 3 * 10**9, 15, "marks of the other")
    assert instrument(bare_desk).mark_at == last


@pytest.mark.parametrize("answered", [{"ETHUSDT": Decimal(3_000)}, {}], ids=["older", "none"])
async def test_an_answer_under_way_replaces_no_mark_that_the_stream_told_meanwhile(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch, answered: dict[str, Decimal]
) -> None:
    """It says what stood when it was asked for: the price has moved since, or there was none yet."""
    connector = await bare_desk.connect(settings=STILL)
    await until(lambda: instrument(bare_desk).mark, what="the first mark")
    marks = connector._marks
    asked, going_on, taken = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(symbols: list[str]) -> dict[str, Decimal]:
        if going_on.is_set():
            taken.set()
            await asyncio.Event().wait()
        asked.set()
        await going_on.wait()
        return answered

    monkeypatch.setattr(connector._market, "marks_now", slowly)
    await asyncio.wait_for(asked.wait(), 10)
    bare_desk.wire.driver.set_price("ETHUSDT", Decimal(3_300))
    await until(lambda: instrument(bare_desk).mark == 3_300, what="the price")
    going_on.set()
    await asyncio.wait_for(taken.wait(), 10)
    assert marks._latest["ETHUSDT"][0] == 3_300
