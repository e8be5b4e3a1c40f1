"""What waits for nothing asks last: comparisons by the clock leave room to look-ups, and both to orders and cancels."""

import attrs
import pytest

from oms.messages.enums import OrderStatus
from oms.venues.limiter import Limiter, Priority

from .conftest import QUICK, until
from .markets import PLACES, Markets

PLACE = PLACES["binance.spot"]
OFTEN = attrs.evolve(QUICK, orders_s=0.4, fills_s=0.4, funds_s=0.5, settled_s=0.2)


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return (PLACE.exchange,)


async def test_only_what_differs_is_asked_about_before_others(
    markets: Markets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session begins with look-ups and then compares behind everybody; an order that is missing is looked up at once."""
    asked: list[Priority] = []
    reserve = Limiter.reserve

    async def noted(self: Limiter, *amounts: int, priority: Priority, **more: object) -> object:
        asked.append(priority)
        return await reserve(self, *amounts, priority=priority, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Limiter, "reserve", noted)
    await markets.connect(PLACE.venue, settings=OFTEN)
    assert set(asked) == {Priority.LOOK_UP}
    markets.alone(PLACE)
    order_id = await markets.place(PLACE)
    await markets.becomes(order_id, OrderStatus.NEW)
    asked.clear()
    await until(lambda: len(asked) >= 10)
    assert set(asked) == {Priority.COMPARE}
    markets.fault(PLACE, "drop_report")
    venue = markets.venue(PLACE)
    (order,) = markets.at_venue(PLACE, order_id)
    venue.cancel(venue.accounts["main"], order)
    await markets.becomes(order_id, OrderStatus.CANCELED)
    assert Priority.LOOK_UP in asked
