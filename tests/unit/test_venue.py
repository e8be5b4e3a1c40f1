"""What a venue declares, what is refused because of it, and how an amend in place is asked for."""

from typing import Any

import attrs
import pytest

from oms.aggregates import image
from oms.messages.events import OrderAmendDenied
from oms.messages.frames import decode_frame
from oms.messages.instructions import Amend, LookUp, Submit
from tests.unit.desk import Desk, check_same

IN_PLACE = ["post_only", "amend", "amend_in_place"]


def test_a_venue_is_declared_once_and_again_when_it_changes() -> None:
    """The same declaration twice appends nothing; another one takes its place, and the state survives an image."""
    desk = Desk()
    assert desk.declare()["count"] == 1
    assert desk.declare()["count"] == 0
    assert desk.declare(features=IN_PLACE)["count"] == 1
    venue = desk.state.venues["binance", "spot"]
    assert (venue.amends_in_place, venue.wallet) == (True, "spot")
    check_same(desk.state, desk.replica)
    check_same(desk.state, image.load(image.dump(desk.state)))


@pytest.mark.parametrize(
    "lacks, terms",
    [
        ({"order_types": ["limit", "market"]}, {"type": "stop_limit", "trigger_price": "101"}),
        ({"times_in_force": ["GTC"]}, {"time_in_force": "IOC"}),
        ({"times_in_force": ["GTC"]}, {"time_in_force": "GTD", "expires_at": 2 * 10**18}),
        ({"features": ["reduce_only"]}, {"post_only": True}),
        ({"features": ["post_only"]}, {"reduce_only": True, "side": "sell"}),
    ],
    ids="-".join,
)
def test_what_the_venue_cannot_do_is_denied_and_not_sent(
    lacks: dict[str, Any], terms: dict[str, Any]
) -> None:
    """A place that the venue does not take is denied with NOT_SUPPORTED, and no instruction follows."""
    desk = Desk()
    desk.declare(**lacks)
    fields = {"command_id": "c", "side": "buy", "type": "limit", "quantity": "1", "price": "100", **terms}
    outcome = desk.ask("place.binance.main.spot.BTCUSDT", fields)
    assert outcome.instructions == []
    assert outcome.commit is not None
    (denied,) = outcome.commit.events
    assert denied.code == "NOT_SUPPORTED", denied
    check_same(desk.state, desk.replica)


def test_what_the_venue_takes_is_sent() -> None:
    """An order of every kind declared goes out."""
    desk = Desk()
    desk.declare()
    assert desk.place(post_only=True)["ok"]
    assert desk.place(time_in_force="GTD", expires_at=desk.now + 10**12)["ok"]
    assert desk.place(type="stop_limit", trigger_price="101")["ok"]


def test_a_venue_that_declared_nothing_is_held_to_nothing() -> None:
    """Journals from before venues declared themselves go on as they were."""
    desk = Desk()
    order_id = desk.place(time_in_force="FOK")["order_id"]
    desk.report("accepted", order_id)
    assert desk.amend(order_id, quantity="2")["ok"]


def test_an_amend_that_the_venue_cannot_do_is_refused() -> None:
    """Where there is no amend, NOT_SUPPORTED is answered and recorded, and the order is as it was."""
    desk = Desk()
    desk.declare(features=[])
    order_id = desk.place()["order_id"]
    desk.report("accepted", order_id)
    before = attrs.asdict(desk.state.orders[order_id])
    assert desk.amend(order_id, quantity="2")["error"]["code"] == "NOT_SUPPORTED"
    assert attrs.asdict(desk.state.orders[order_id]) == before
    (denied,) = decode_frame(desk.frames[-1]).commits[-1].events
    assert isinstance(denied, OrderAmendDenied)
    assert (denied.order_id, denied.code) == (order_id, "NOT_SUPPORTED")


@pytest.mark.parametrize(
    "features, revision, suffix",
    [(IN_PLACE, 0, ""), (["amend"], 1, "R1")],
    ids=["in place", "replacing"],
)
def test_an_amend_names_the_venue_order_it_is_about(features: list[str], revision: int, suffix: str) -> None:
    """In place it keeps client id and revision; otherwise it makes the next of each. A look-up says both terms."""
    desk = Desk()
    desk.declare(features=features)
    order_id = desk.place()["order_id"]
    desk.report("accepted", order_id)
    command = {"command_id": "c", "order_id": order_id, "quantity": "2", "price": "99"}
    ((_, amend),) = desk.ask("amend.binance.main.spot._", command).instructions
    assert isinstance(amend, Amend)
    assert (amend.client_id, amend.new_client_id, amend.revision) == (order_id, order_id + suffix, revision)
    doubt = {"report": "in_doubt", "order_id": order_id, "reason": "timeout"}
    reports = {"session": "s1", "reports": [doubt]}
    ((_, look_up),) = desk.ask("report.binance.main.spot._", reports).instructions
    assert isinstance(look_up, LookUp)
    assert (look_up.revision, look_up.pending_revision) == (0, revision)
    assert look_up.pending_client_id == order_id + suffix
    assert (look_up.quantity, look_up.price) == (1, 100)
    assert (look_up.pending_quantity, look_up.pending_price) == (2, 99)


def test_an_adopted_order_is_amended_in_place_under_its_own_client_id() -> None:
    """An order found at the venue keeps the client id that it has there."""
    desk = Desk()
    desk.declare(features=IN_PLACE)
    desk.report("found", "web_1")
    (order,) = desk.state.orders.values()
    command = {"command_id": "c", "order_id": order.order_id, "quantity": "2"}
    ((_, amend),) = desk.ask("amend.binance.main.spot._", command).instructions
    assert isinstance(amend, Amend)
    assert (amend.client_id, amend.new_client_id) == ("web_1", "web_1")
    desk.report("restated", "web_1", quantity="2", venue_time=5)
    assert (order.status, order.quantity) == ("NEW", 2)


def test_a_revision_of_a_failed_replacement_is_not_used_again() -> None:
    """Where a venue begins to amend in place, what was asked for before keeps its number."""
    desk = Desk()
    order_id = desk.place()["order_id"]
    desk.report("accepted", order_id)
    desk.amend(order_id, quantity="2")
    desk.report("amend_rejected", order_id, revision=1)
    desk.declare(features=IN_PLACE)
    desk.amend(order_id, quantity="3")
    desk.report("amend_rejected", order_id, revision=0)
    desk.declare(features=["amend"])
    desk.amend(order_id, quantity="4")
    amend = desk.state.orders[order_id].amend
    assert amend is not None
    assert amend.revision == 2


def test_an_order_that_the_venue_made_says_why() -> None:
    """A liquidation found at the venue is adopted with its reason, which the order then shows."""
    desk = Desk()
    desk.report("found", "autoclose-1", reason="liquidation")
    (order,) = desk.state.orders.values()
    assert order.reason == "liquidation"
    check_same(desk.state, desk.replica)


def test_a_declared_order_is_submitted_as_before() -> None:
    """A declaration changes nothing of what is sent."""
    desk = Desk()
    desk.declare(features=IN_PLACE)
    fields = {"command_id": "c", "side": "buy", "type": "limit", "quantity": "1", "price": "100"}
    ((_, submit),) = desk.ask("place.binance.main.spot.BTCUSDT", fields).instructions
    assert isinstance(submit, Submit)
    assert submit.client_id == submit.order_id
