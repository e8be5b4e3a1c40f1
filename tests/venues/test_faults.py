"""An order is sent once and never forgotten, whatever happens to the request, its answer or its reports."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from oms.messages.enums import OrderStatus

from .conftest import Desk, until

NEW = OrderStatus.NEW
REJECTED = OrderStatus.REJECTED
CANCELED = OrderStatus.CANCELED
FILLED = OrderStatus.FILLED

SLOW = {"delay_ms": 800}
"""Longer than a request may go unanswered."""

# fault → whether the venue did what was asked.
FAULTS: dict[str, tuple[dict[str, Any], bool]] = {
    "drop_request": ({}, False),
    "rate_limited": ({"retry_after_s": 0}, False),
    "banned": ({"retry_after_s": 0}, False),
    "server_error_before": ({}, False),
    "delay_reply": (SLOW, True),
    "lost_reply": ({}, True),
    "hang": (SLOW, True),
    "truncated_reply": ({}, True),
    "server_error_after": ({}, True),
    "timeout_1007": ({}, True),
    "late_request": ({"delay_ms": 150}, True),
}
POST, DELETE = "POST /api/v3/order", "DELETE /api/v3/order"


def _add(desk: Desk, fault: str, endpoint: str, **more: Any) -> bool:
    fields, done = FAULTS[fault]
    desk.fault(fault, count=1, endpoint=endpoint, **fields, **more)
    return done


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["limit", "market"])
async def test_submit(desk: Desk, fault: str, kind: str) -> None:
    """A new order stands at the venue exactly once, or is rejected here and is not there."""
    done = _add(desk, fault, POST)
    order_id = await desk.place(type=kind)
    wanted = (NEW if kind == "limit" else FILLED) if done else REJECTED
    order = await desk.becomes(order_id, wanted)
    assert len(desk.at_venue(order_id)) == done
    assert order.cumulative == (Decimal("0.01") if wanted is FILLED else 0)
    desk.check_funds()


@pytest.mark.parametrize("fault", FAULTS)
async def test_cancel(desk: Desk, fault: str) -> None:
    """A cancel ends the order in both places, however often it takes: one that is throttled is asked again."""
    order_id = await desk.place()
    await desk.becomes(order_id, NEW)
    _add(desk, fault, DELETE)
    await desk.cancel(order_id)
    await desk.becomes(order_id, CANCELED)
    (at_venue,) = desk.at_venue(order_id)
    assert not at_venue.is_open
    desk.check_funds()


@pytest.mark.parametrize("fault", FAULTS)
async def test_first_leg_of_an_amend(desk: Desk, fault: str) -> None:
    """An amend whose cancel goes wrong ends as amended, not amended or canceled, as the venue shows it."""
    order_id = await desk.place()
    await desk.becomes(order_id, NEW)
    done = _add(desk, fault, DELETE)
    await desk.amend(order_id, price="41000")
    if fault in ("drop_request", "late_request"):
        # aiohttp itself repeats a DELETE whose connection was dropped, which does no harm.
        await desk.becomes(order_id, NEW)
        assert desk.order(order_id).revision == 1
    else:
        await desk.becomes(order_id, CANCELED if done else NEW)
        assert desk.order(order_id).revision == 0
    standing = [order for order in desk.at_venue(order_id) if order.is_open]
    assert len(standing) == (desk.order(order_id).status is NEW)
    desk.check_funds()


@pytest.mark.parametrize("fault", FAULTS)
async def test_second_leg_of_an_amend(desk: Desk, fault: str) -> None:
    """An amend whose new order goes wrong leaves exactly one order standing if the venue took it, else none."""
    order_id = await desk.place()
    await desk.becomes(order_id, NEW)
    done = _add(desk, fault, POST)
    await desk.amend(order_id, price="41000")
    order = await desk.becomes(order_id, NEW if done else CANCELED)
    standing = [order for order in desk.at_venue(order_id) if order.is_open]
    assert [each.price for each in standing] == ([Decimal(41_000)] if done else [])
    assert order.revision == done
    desk.check_funds()


async def test_an_order_that_is_throttled_is_not_sent_again(desk: Desk) -> None:
    """A throttled order is rejected as not sent, and the account stays away for as long as the venue says."""
    desk.fault("rate_limited", count=1, endpoint=POST, retry_after_s=1)
    first = await desk.place()
    order = await desk.becomes(first, REJECTED)
    assert order.reason.startswith("not sent: throttled")
    started = asyncio.get_running_loop().time()
    second = await desk.place()
    await desk.becomes(second, NEW)
    assert asyncio.get_running_loop().time() - started > 0.8
    assert desk.at_venue(first) == []


@pytest.mark.parametrize("fault", ["duplicate_report", "delay_report", "reorder_report"])
async def test_reports_that_come_twice_or_late_change_nothing(desk: Desk, fault: str) -> None:
    """Duplicate, late and reordered execution reports end in the same state as good ones."""
    desk.fault(fault, delay_ms=150)
    resting = await desk.place(price="50000", quantity="1")
    await desk.becomes(resting, NEW)
    hit = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "time_in_force": "IOC", "price": "50000"}
    for quantity in ("0.2", "0.3"):
        desk.external("sub_arb", **hit, quantity=quantity)
    await desk.amend(resting, quantity="0.8", price="49998")
    market = await desk.place(type="market")
    gone = await desk.place()
    await desk.becomes(gone, NEW)
    await desk.cancel(gone)
    await desk.becomes(gone, CANCELED)
    await desk.becomes(market, FILLED)
    await until(lambda: desk.order(resting).cumulative == Decimal("0.5"))
    await asyncio.sleep(0.4)
    order = desk.order(resting)
    assert (order.status, order.revision, order.quantity) == (
        OrderStatus.PARTIALLY_FILLED,
        1,
        Decimal("0.8"),
    )
    assert not order.in_doubt
    desk.check_funds()


async def test_a_cancel_that_a_fill_overtakes(desk: Desk) -> None:
    """A cancel of an order that is filled by then ends in a filled order, with its trades."""
    desk.fault("delay_report", delay_ms=600)
    order_id = await desk.place(price="50000")
    await desk.becomes(order_id, NEW)
    desk.external(
        "sub_arb",
        symbol="BTCUSDT",
        side="SELL",
        type="LIMIT",
        time_in_force="IOC",
        price="50000",
        quantity="0.01",
    )
    await desk.cancel(order_id)
    order = await desk.becomes(order_id, FILLED)
    assert order.cumulative == Decimal("0.01")
    desk.check_funds()


async def test_an_amend_that_a_fill_overtakes_never_goes_beyond_its_total(desk: Desk) -> None:
    """An amend that lost its race to a fill places nothing more."""
    desk.fault("delay_report", delay_ms=600)
    order_id = await desk.place(price="50000", quantity="1")
    await desk.becomes(order_id, NEW)
    hit = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "time_in_force": "IOC", "price": "50000"}
    desk.external("sub_arb", **hit, quantity="0.6")
    await desk.amend(order_id, quantity="0.5")
    order = await desk.becomes(order_id, CANCELED)
    await until(lambda: order.cumulative == Decimal("0.6"))
    assert len(desk.at_venue(order_id)) == 1
    desk.check_funds()


async def test_an_order_that_arrives_late_is_found_not_given_up(desk: Desk) -> None:
    """A request that seemed lost, and reaches the venue while it is still accepted, ends as a working order."""
    desk.fault("drop_request", count=1, endpoint=POST)
    order_id = await desk.place()
    await until(lambda: desk.order(order_id).in_doubt)
    await asyncio.sleep(0.4)
    assert desk.order(order_id).in_doubt
    desk.fault("delay_report", delay_ms=5_000)
    desk.external(
        "main", symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", price="40000", quantity="0.01",
        client_order_id=order_id,
    )  # fmt: skip
    await desk.becomes(order_id, NEW)
    assert len(desk.at_venue(order_id)) == 1


async def test_a_venue_that_does_not_answer_look_ups_proves_nothing(desk: Desk) -> None:
    """While look-ups fail the order stays in doubt, however long; it is told absent only when the venue says so."""
    desk.fault("drop_request", count=1, endpoint=POST)
    for endpoint in ("GET /api/v3/order", "GET /api/v3/openOrders", "GET /api/v3/allOrders"):
        desk.fault("server_error_after", endpoint=endpoint)
    order_id = await desk.place()
    await until(lambda: desk.order(order_id).in_doubt)
    await asyncio.sleep(2.0)
    assert desk.order(order_id).in_doubt
    desk.wire.faults.clear()
    await desk.becomes(order_id, REJECTED)
