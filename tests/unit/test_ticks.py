"""Ticks that depend on the price, as Korean won markets have them."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from oms.aggregates.instrument import Instrument, listed, listing
from oms.messages.codes import Code, Refused
from oms.messages.commands import InstrumentSpec
from oms.messages.events import InstrumentListed

TICKS = [["0", "0.01"], ["1E+2", "0.10"], ["1000", "1"], ["500000", "500"], ["1000000", "1E+3"]]


def spec(**changes: Any) -> InstrumentSpec:
    terms = {
        "symbol": "KRW-BTC", "base": "BTC", "quote": "KRW", "settle": "KRW", "tick": "0.010", "step": "0.00000001",
        "min_quantity": "0.00000001", "max_quantity": "100000", "min_notional": "5000", "ticks": TICKS,
    }  # fmt: skip
    return msgspec.convert(terms | changes, InstrumentSpec)


def instrument(**changes: Any) -> Instrument:
    return listed(listing("upbit", "spot", spec(**changes)), None)


@pytest.mark.parametrize(
    "price, written",
    [
        ("0.01", "0.01"),
        ("99.99", "99.99"),
        ("100.1", "100.1"),
        ("100.10", "100.1"),
        ("1000", "1000"),
        ("1001.0", "1001"),
        ("500500", "500500"),
        ("999500", "999500"),
        ("1000000", "1000000"),
        ("1E+8", "100000000"),
    ],
)
def test_price_on_its_tick_is_written_in_one_way(price: str, written: str) -> None:
    """A price that is a multiple of the tick of where it stands is taken, with the places of that tick."""
    assert str(instrument().check_price("price", Decimal(price))) == written


@pytest.mark.parametrize(
    "price, tick",
    [("0.001", "0.01"), ("100.01", "0.1"), ("1000.1", "1"), ("500100", "500"), ("1000500", "1000")],
)
def test_price_off_its_tick_is_refused_with_that_tick(price: str, tick: str) -> None:
    """A price off the tick of where it stands is refused, also where it is on a finer one, and the tick is named."""
    with pytest.raises(Refused, match=f"multiple of {tick}, was {price}") as refused:
        instrument().check_price("price", Decimal(price))
    assert refused.value.code is Code.TICK_SIZE


@pytest.mark.parametrize(
    "changes",
    [
        {"ticks": TICKS[1:]},
        {"ticks": TICKS[::-1]},
        {"ticks": [*TICKS, TICKS[-1]]},
        {"tick": "1"},
        {"ticks": [*TICKS, ["2000000", "0"]]},
        {"ticks": [*TICKS, ["2000000", "-1"]]},
        {"ticks": [*TICKS, ["NaN", "1"]]},
        {"ticks": [*TICKS, ["2000000", "1E-19"]]},
    ],
)
def test_table_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    """A table that does not begin at 0, ascend, and have ``tick`` for its finest, or has what is no amount, lists nothing."""
    with pytest.raises(Refused) as refused:
        listing("upbit", "spot", spec(**changes))
    assert refused.value.code is Code.INVALID_COMMAND


def test_without_a_table_nothing_changes() -> None:
    """An instrument with one tick is written as before there were tables, and its one tick holds at every price."""
    event = listing("binance", "spot", spec(ticks=[]))
    assert b"ticks" not in msgspec.json.encode(event)
    assert event == msgspec.json.decode(msgspec.json.encode(event), type=InstrumentListed)
    assert instrument(ticks=[]).tick_at(Decimal(10**9)) == Decimal("0.01")
    assert str(instrument(ticks=[]).check_price("price", Decimal("100.1"))) == "100.10"


def test_table_survives_the_journal() -> None:
    """The event is decoded to what was encoded."""
    event = listing("upbit", "spot", spec())
    assert event.ticks[1] == (Decimal(100), Decimal("0.1"))
    assert msgspec.json.decode(msgspec.json.encode(event), type=InstrumentListed) == event
