"""What a venue lists changes while accounts trade there, and may be unlike anything before."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from oms.messages.enums import OrderStatus
from oms.venues.connector import Connector

from .conftest import QUICK, Desk, until

OFTEN = attrs.evolve(QUICK, instruments_s=0.2)


def key(symbol: str) -> tuple[str, str, str]:
    return ("binance", "spot", symbol)


async def _relist(
    desk: Desk, connector: Connector, monkeypatch: pytest.MonkeyPatch, *more: dict[str, Any]
) -> None:
    listed = await connector._market.open()
    like = next(each for each in listed if each.symbol == "BTCUSDT")
    added = [msgspec.structs.replace(like, **fields) for fields in more]

    async def listing() -> list[Any]:
        return [*listed, *added]

    monkeypatch.setattr(connector._market, "open", listing)


async def test_an_instrument_that_is_refused_keeps_no_other_from_trading(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a list with terms that contradict each other all others are listed, and sessions go on."""
    connector = await bare_desk.connect(settings=OFTEN)
    session = connector.sessions["main"]
    broken = {"symbol": "BADUSDT", "min_quantity": Decimal(2), "max_quantity": Decimal(1)}
    await _relist(bare_desk, connector, monkeypatch, broken, {"symbol": "NEWUSDT"})
    await until(lambda: key("NEWUSDT") in bare_desk.state.instruments, what="the new one to be listed")
    assert key("BADUSDT") not in bare_desk.state.instruments
    await asyncio.sleep(0.3)
    assert connector.sessions["main"] is session
    await bare_desk.becomes(await bare_desk.place(), OrderStatus.NEW)


async def test_a_list_that_cannot_be_read_ends_no_session(
    bare_desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in reading what is listed again, what is traded goes on."""
    connector = await bare_desk.connect(settings=OFTEN)
    session = connector.sessions["main"]

    async def unlike() -> list[Any]:
        raise KeyError("filters")

    monkeypatch.setattr(connector._market, "open", unlike)
    await until(lambda: "what is listed cannot be read" in caplog.text)
    await asyncio.sleep(0.1)
    assert connector.sessions.get("main") is session
    await bare_desk.becomes(await bare_desk.place(), OrderStatus.NEW)


async def test_what_is_listed_later_is_marked(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbol that begins to trade while the connector runs is marked; a mark of nothing spoils no other."""
    connector = await bare_desk.connect(settings=OFTEN)
    real, real_now = connector._market.marks, connector._market.marks_now

    async def marks_now(symbols: Any) -> dict[str, Decimal]:
        return await real_now([symbol for symbol in symbols if symbol != "NEWUSDT"])

    async def marks(symbols: Any) -> AsyncIterator[dict[str, Decimal]]:
        if "NEWUSDT" in symbols:
            yield {"NEWUSDT": Decimal(7), "ETHUSDT": Decimal(0)}
            await asyncio.Event().wait()
        async for each in real(symbols):
            yield each

    monkeypatch.setattr(connector._market, "marks", marks)
    monkeypatch.setattr(connector._market, "marks_now", marks_now)
    await _relist(bare_desk, connector, monkeypatch, {"symbol": "NEWUSDT"})
    await until(lambda: key("NEWUSDT") in bare_desk.state.instruments, what="the new one to be listed")
    await until(lambda: bare_desk.state.instruments[key("NEWUSDT")].mark == 7, what="its mark")
    assert bare_desk.state.instruments[key("ETHUSDT")].mark


async def test_a_mark_that_is_refused_keeps_no_other_from_being_taken(
    bare_desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Of marks told together, those that the engine can take are taken."""
    connector = await bare_desk.connect(settings=OFTEN)
    marks = {"NOSUCH": Decimal(1), "BTCUSDT": Decimal(3), "ETHUSDT": Decimal(4)}
    assert await connector._marks._report(marks)
    assert "INSTRUMENT_UNKNOWN" in caplog.text or "not listed" in caplog.text
    await until(lambda: bare_desk.state.instruments[key("ETHUSDT")].mark == 4)
