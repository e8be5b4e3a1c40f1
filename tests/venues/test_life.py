"""Life cycles of orders, from a command over NATS to the exchange and back."""

from decimal import Decimal

from oms.messages.enums import OrderStatus

from .conftest import Desk


async def test_a_resting_order_is_accepted_and_canceled(desk: Desk) -> None:
    """A limit order away from the market is accepted by the venue, and a cancel takes it away there and here."""
    order_id = await desk.place()
    order = await desk.becomes(order_id, OrderStatus.NEW)
    assert order.venue_order_id == str(desk.at_venue(order_id)[0].order_id)
    await desk.cancel(order_id)
    await desk.becomes(order_id, OrderStatus.CANCELED)
    assert [each.status for each in desk.at_venue(order_id)] == ["CANCELED"]
    desk.check_funds()


async def test_a_market_order_fills(desk: Desk) -> None:
    """A market order fills with the trades, price and fee that the venue tells."""
    order_id = await desk.place(type="market")
    order = await desk.becomes(order_id, OrderStatus.FILLED)
    assert order.cumulative == Decimal("0.01")
    desk.check_funds()
