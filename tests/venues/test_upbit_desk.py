"""What is special about Upbit, from a client's command to the venue: ticks by price, limit orders alone, orders from its app."""

from decimal import Decimal

import pytest

from oms.messages.enums import OrderStatus
from oms.simulator.orders import OrderRequest

from .conftest import until
from .markets import PLACES, Markets

PLACE = PLACES["upbit.spot"]


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    return ("upbit",)


async def test_what_upbit_does_not_take_is_refused_before_it_is_sent(markets: Markets) -> None:
    """A price off the tick of where it stands, an order type and a size that the venue does not have are never sent."""
    await markets.connect(PLACE.venue)
    for fields, code in (
        ({"price": "50000500"}, "TICK_SIZE"),
        ({"type": "market", "price": None}, "NOT_SUPPORTED"),
        ({"type": "stop_limit", "trigger_price": "50001000"}, "NOT_SUPPORTED"),
        ({"reduce_only": True}, "NOT_SUPPORTED"),
        ({"quantity": "0.000000001"}, "STEP_SIZE"),
        ({"quantity": "0.00009"}, "NOTIONAL_TOO_SMALL"),
        ({"quantity": "21"}, "NOTIONAL_TOO_LARGE"),
    ):
        wanted = {"side": "buy", "type": "limit", "quantity": "0.01", "price": "50000000", **fields}
        answer = await markets.ask("place", PLACE, **{k: v for k, v in wanted.items() if v is not None})
        assert (answer["ok"], answer["error"]["code"]) == (False, code), answer
    assert not list(markets.venue(PLACE).accounts["main"].all_orders())
    order_id = await markets.place(PLACE, price="999500", quantity="0.01")
    assert (await markets.becomes(order_id, OrderStatus.NEW)).price == Decimal(999_500)


async def test_orders_of_the_app_are_adopted_and_can_be_canceled(markets: Markets) -> None:
    """An order that has no identifier becomes one of the desk's, with its trades, and is canceled by the venue's id."""
    await markets.connect(PLACE.venue)
    markets.alone(PLACE)
    venue = markets.venue(PLACE)
    request = OrderRequest("spot", PLACE.symbol, "BUY", "LIMIT", Decimal("0.01"), price=PLACE.price)
    made = venue.place(venue.accounts["main"], request)
    ids = markets.state.venue_ids
    key = ("upbit", "main", "spot")
    await until(lambda: any(of == key for of, _ in ids), what="the order to be adopted")
    ((_, order_id),) = ids.items()
    markets.trade(PLACE, Decimal("0.004"), PLACE.price)
    await until(lambda: markets.order(order_id).cumulative == Decimal("0.004"), what="its trade")
    assert (await markets.ask("cancel", PLACE, order_id=order_id))["ok"]
    await markets.becomes(order_id, OrderStatus.CANCELED)
    assert not made.is_open
    await until(lambda: not markets.differences(), what="the same funds here and there")
