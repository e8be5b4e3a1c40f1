"""Life cycles of orders, from a command over NATS to the exchange and back."""

from decimal import Decimal

import pytest

from oms.messages.enums import OrderStatus

from .conftest import Desk

NEW = OrderStatus.NEW
FILLED = OrderStatus.FILLED
CANCELED = OrderStatus.CANCELED


async def test_a_resting_order_is_accepted_and_canceled(desk: Desk) -> None:
    """A limit order away from the market is accepted by the venue, and a cancel takes it away there and here."""
    order_id = await desk.place()
    order = await desk.becomes(order_id, NEW)
    assert order.venue_order_id == str(desk.at_venue(order_id)[0].order_id)
    await desk.cancel(order_id)
    await desk.becomes(order_id, CANCELED)
    assert [each.status for each in desk.at_venue(order_id)] == ["CANCELED"]
    desk.check_funds()


async def test_a_resting_order_fills_in_parts(desk: Desk) -> None:
    """An order that others hit piece by piece shows each piece, and ends filled with every trade applied once."""
    order_id = await desk.place(price="50000", quantity="1")
    await desk.becomes(order_id, NEW)
    hit = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "time_in_force": "IOC", "price": "50000"}
    desk.external("sub_arb", **hit, quantity="0.4")
    order = await desk.becomes(order_id, OrderStatus.PARTIALLY_FILLED)
    assert order.cumulative == Decimal("0.4")
    desk.external("sub_arb", **hit, quantity="0.6")
    order = await desk.becomes(order_id, FILLED)
    assert order.cost == 50_000
    desk.check_funds()


@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_a_market_order_fills(desk: Desk, side: str) -> None:
    """A market order fills with the trades, price and fee that the venue tells."""
    order_id = await desk.place(type="market", side=side)
    order = await desk.becomes(order_id, FILLED)
    assert order.cumulative == Decimal("0.01")
    desk.check_funds()


@pytest.mark.parametrize(
    "fields,status",
    [
        ({"time_in_force": "IOC", "price": "40000"}, OrderStatus.EXPIRED),
        ({"time_in_force": "FOK", "price": "40000"}, OrderStatus.EXPIRED),
        ({"time_in_force": "IOC", "price": "51000"}, FILLED),
        ({"time_in_force": "FOK", "price": "51000"}, FILLED),
        ({"post_only": True, "price": "51000"}, OrderStatus.REJECTED),
        ({"post_only": True, "price": "40000"}, NEW),
        ({"type": "stop_market", "trigger_price": "60000"}, NEW),
        ({"type": "stop_limit", "trigger_price": "60000", "price": "60100"}, NEW),
        ({"type": "stop_market", "trigger_price": "45000"}, OrderStatus.REJECTED),
    ],
)
async def test_every_kind_of_order_reaches_the_venue_as_itself(
    desk: Desk, fields: dict[str, str | bool], status: OrderStatus
) -> None:
    """Types, times in force and post-only mean at the venue what they mean here."""
    order_id = await desk.place(**fields)
    await desk.becomes(order_id, status)
    at_venue = desk.at_venue(order_id)
    assert len(at_venue) == (0 if status is OrderStatus.REJECTED else 1)
    desk.check_funds()


async def test_a_stop_triggers_and_fills(desk: Desk) -> None:
    """A stop order that the market reaches fills."""
    order_id = await desk.place(type="stop_market", trigger_price="50100")
    await desk.becomes(order_id, NEW)
    desk.wire.driver.set_price("BTCUSDT", Decimal(50_200))
    desk.wire.driver.step()
    await desk.becomes(order_id, FILLED)
    desk.check_funds()


async def test_an_amend_moves_an_order(desk: Desk) -> None:
    """An amended order stands at the venue once, with its new price and what is left of its new total."""
    order_id = await desk.place(price="50000", quantity="1")
    await desk.becomes(order_id, NEW)
    desk.external(
        "sub_arb",
        symbol="BTCUSDT",
        side="SELL",
        type="LIMIT",
        time_in_force="IOC",
        price="50000",
        quantity="0.4",
    )
    await desk.becomes(order_id, OrderStatus.PARTIALLY_FILLED)
    await desk.amend(order_id, quantity="1.5", price="49000")
    order = await desk.becomes(order_id, OrderStatus.PARTIALLY_FILLED)
    assert (order.revision, order.quantity, order.price) == (1, Decimal("1.5"), Decimal(49_000))
    old, new = desk.at_venue(order_id)
    assert (old.status, new.status, new.quantity) == ("CANCELED", "NEW", Decimal("1.1"))
    await desk.amend(order_id, quantity="0.9")
    order = await desk.becomes(order_id, OrderStatus.PARTIALLY_FILLED)
    assert (order.revision, desk.at_venue(order_id)[-1].quantity) == (2, Decimal("0.5"))
    await desk.cancel(order_id)
    await desk.becomes(order_id, CANCELED)
    desk.check_funds()


async def test_an_amend_that_crosses_fills(desk: Desk) -> None:
    """An amend whose new order trades at once ends filled, with no doubt left."""
    order_id = await desk.place(quantity="0.01")
    await desk.becomes(order_id, NEW)
    await desk.amend(order_id, price="51000", quantity="0.02")
    order = await desk.becomes(order_id, FILLED)
    assert order.cumulative == Decimal("0.02")
    desk.check_funds()


async def test_an_amend_that_the_venue_refuses_ends_the_order(desk: Desk) -> None:
    """When the new order of an amend is refused, the old one is gone: the order is canceled, and says why."""
    order_id = await desk.place(post_only=True)
    await desk.becomes(order_id, NEW)
    await desk.amend(order_id, price="51000")
    order = await desk.becomes(order_id, CANCELED)
    assert "immediately match" in order.reason
    desk.check_funds()


async def test_an_external_order_and_its_fills_are_adopted(desk: Desk) -> None:
    """An order placed at the venue's own app appears here, fills here, and can be canceled from here."""
    desk.external(
        "main",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        price="50000",
        quantity="1",
        client_order_id="web_1",
    )
    order = await desk.adopted("web_1")
    desk.external(
        "sub_arb",
        symbol="BTCUSDT",
        side="SELL",
        type="LIMIT",
        time_in_force="IOC",
        price="50000",
        quantity="0.4",
    )
    await desk.becomes(order.order_id, OrderStatus.PARTIALLY_FILLED)
    await desk.cancel(order.order_id)
    await desk.becomes(order.order_id, CANCELED)
    desk.check_funds()


async def test_an_external_market_order_moves_position_and_funds(desk: Desk) -> None:
    """A trade made at the venue's own app is applied like any other."""
    desk.external(
        "main", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.5", client_order_id="web_2"
    )
    order = await desk.adopted("web_2")
    await desk.becomes(order.order_id, FILLED)
    desk.check_funds()


async def test_a_deposit_is_adopted(desk: Desk) -> None:
    """Funds that move at the venue by something else than a trade are taken over."""
    from .conftest import until

    account = desk.wire.exchange.accounts["main"]
    desk.wire.exchange.adjust(account, "spot", "USDT", Decimal(500))
    balances = desk.state.wallets["binance", "main", "spot"].balances
    await until(lambda: balances["USDT"].total == 100_500, what="the deposit")
    desk.check_funds()
