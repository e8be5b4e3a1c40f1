"""The order scenarios of FIX's "Order State Changes" and of known systems' mistakes, one row a step.

A row is what happens and what the order then is: ``status quantity cumulative leaves locked``; ``locked`` is in USDT. Every
scenario starts from a limit buy of 10 at 100 that is placed and durable (``PENDING_NEW 10 0 10 1000``). Steps:

- ``accept``, ``reject``, ``cancelled`` (told or unasked), ``expired``, ``cancel-rejected``, ``amended``,
  ``amend-rejected``, ``doubt``, ``absent``, ``finished N`` : reports of the venue; ``rev=N`` names the venue order,
  ``cum=N`` what the venue says is filled
- ``fill N [@P] [id=T]`` : a trade
- ``cancel``, ``amend Q [@P]`` : commands; ``!CODE`` when refused, and then nothing changes
"""

from decimal import Decimal
from typing import Any

import pytest

from oms.aggregates.order import ADOPTED
from tests.unit.desk import Desk, check_indexes, check_same

# fmt: off
SCENARIOS: dict[str, list[tuple[str, str]]] = {
    # -- A: filled
    "A1 filled in parts": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800"),
        ("fill 8",                 "FILLED 10 10 0 0")],
    "A2 a part filled, and done for the day": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800"),
        ("expired cum=2",          "EXPIRED 10 2 0 0")],
    "A3 the fill overtakes the acknowledgement": [
        ("fill 3",                 "PARTIALLY_FILLED 10 3 7 700"),
        ("accept",                 "PARTIALLY_FILLED 10 3 7 700"),
        ("fill 7",                 "FILLED 10 10 0 0")],
    "A4 the full fill overtakes the acknowledgement": [
        ("fill 10",                "FILLED 10 10 0 0"),
        ("accept",                 "FILLED 10 10 0 0")],
    "A5 rejected": [
        ("reject",                 "REJECTED 10 0 0 0"),
        ("cancel",                 "REJECTED 10 0 0 0 !ORDER_FINISHED")],
    "A6 a stop order rejected when it triggers": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("reject",                 "REJECTED 10 0 0 0")],
    "A7 bought below the limit releases what the limit reserved": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 4 @90",             "PARTIALLY_FILLED 10 4 6 600")],
    # -- B: cancel
    "B1 cancel of a zero-filled order": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancelled",              "CANCELED 10 0 0 0")],
    "B2 cancel of a partly filled order, filled further meanwhile": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800"),
        ("cancel",                 "PENDING_CANCEL 10 2 8 800"),
        ("fill 3",                 "PENDING_CANCEL 10 5 5 500"),
        ("cancelled cum=5",        "CANCELED 10 5 0 0")],
    "B3 filled before the cancel gets there": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("fill 10",                "PENDING_CANCEL 10 10 0 0"),
        ("cancel-rejected",        "FILLED 10 10 0 0")],
    "B4 cancel before the acknowledgement": [
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("accept",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancelled",              "CANCELED 10 0 0 0")],
    "B5 cancel rejected before the acknowledgement": [
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancel-rejected",        "PENDING_NEW 10 0 10 1000"),
        ("accept",                 "NEW 10 0 10 1000")],
    "B6 the acknowledgement crosses the cancel rejected": [
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("accept",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancel-rejected",        "NEW 10 0 10 1000")],
    "B7 a rejected cancel restores what fills have made of it": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("fill 4",                 "PENDING_CANCEL 10 4 6 600"),
        ("cancel-rejected",        "PARTIALLY_FILLED 10 4 6 600")],
    "B8 a second cancel waits for the first": [
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000 !ORDER_PENDING"),
        ("reject",                 "REJECTED 10 0 0 0")],
    "B9 cancel of a finished order": [
        ("fill 10",                "FILLED 10 10 0 0"),
        ("cancel",                 "FILLED 10 10 0 0 !ORDER_FINISHED")],
    "B10 a cancel that races a fill does not forget the fill": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("cancelled cum=4",        "CANCELED 10 0 0 0 doubt"),
        ("fill 4",                 "CANCELED 10 4 0 0 doubt"),
        ("cancelled cum=4",        "CANCELED 10 4 0 0")],
    # -- C: replace
    "C1 increase of a zero-filled order": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 11",               "PENDING_REPLACE 10 0 10 1100"),
        ("amended",                "NEW 11 0 11 1100"),
        ("fill 1",                 "PARTIALLY_FILLED 11 1 10 1000"),
        ("fill 10",                "FILLED 11 11 0 0")],
    "C2 increase, part filled before and meanwhile by the old terms": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800"),
        ("amend 12",               "PENDING_REPLACE 10 2 8 1000"),
        ("fill 1",                 "PENDING_REPLACE 10 3 7 900"),
        ("amended",                "PARTIALLY_FILLED 12 3 9 900")],
    "C3 filled before the increase gets there, and the venue takes the increase": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("fill 10",                "PENDING_REPLACE 10 10 0 200"),
        ("amended",                "PARTIALLY_FILLED 12 10 2 200"),
        ("fill 2",                 "FILLED 12 12 0 0")],
    "C4 filled before the increase gets there, and the venue refuses it": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("fill 10",                "PENDING_REPLACE 10 10 0 200"),
        ("amend-rejected",         "FILLED 10 10 0 0")],
    "C5 rejected, nothing filled": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12 @101",          "PENDING_REPLACE 10 0 10 1212"),
        ("amend-rejected",         "NEW 10 0 10 1000")],
    "C6 decrease above what is filled meanwhile": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 8",                "PENDING_REPLACE 10 0 10 1000"),
        ("fill 3",                 "PENDING_REPLACE 10 3 7 700"),
        ("amended",                "PARTIALLY_FILLED 8 3 5 500")],
    "C7 decrease to what is filled meanwhile": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 8",                "PENDING_REPLACE 10 0 10 1000"),
        ("fill 8",                 "PENDING_REPLACE 10 8 2 200"),
        ("amended",                "FILLED 8 8 0 0")],
    "C8 decrease below what is filled meanwhile": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 5",                "PENDING_REPLACE 10 0 10 1000"),
        ("fill 8",                 "PENDING_REPLACE 10 8 2 200"),
        ("amended",                "FILLED 5 8 0 0")],
    "C9 decrease to or below what is known as filled is refused here": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 8",                 "PARTIALLY_FILLED 10 8 2 200"),
        ("amend 8",                "PARTIALLY_FILLED 10 8 2 200 !AMEND_BELOW_FILLED"),
        ("amend 5",                "PARTIALLY_FILLED 10 8 2 200 !AMEND_BELOW_FILLED"),
        ("amend 10",               "PARTIALLY_FILLED 10 8 2 200 !AMEND_NO_CHANGE")],
    "C10 amend before the acknowledgement waits": [
        ("amend 12",               "PENDING_NEW 10 0 10 1000 !ORDER_PENDING")],
    "C11 a dearer price is reserved at once, a cheaper one only when it stands": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 10 @110",          "PENDING_REPLACE 10 0 10 1100"),
        ("amended",                "NEW 10 0 10 1100"),
        ("amend 10 @90",           "PENDING_REPLACE 10 0 10 1100"),
        ("amended rev=2",          "NEW 10 0 10 900")],
    "C12 amend of a finished order": [
        ("reject",                 "REJECTED 10 0 0 0"),
        ("amend 12",               "REJECTED 10 0 0 0 !ORDER_FINISHED")],
    "C13 a look-up finds the new venue order working": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("doubt",                  "PENDING_REPLACE 10 0 10 1200 doubt"),
        ("accept rev=1",           "NEW 12 0 12 1200")],
    "C14 the venue refuses the order that was to replace this one, which works on": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("reject rev=1",           "NEW 10 0 10 1000")],
    "C15 cancel over a replace, the replace refused, the cancel done": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1200"),
        ("amend-rejected",         "PENDING_CANCEL 10 0 10 1000"),
        ("cancelled",              "CANCELED 10 0 0 0")],
    "C16 cancel over a replace: the old venue order ends twice told, the new one lives": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("cancelled",              "PENDING_REPLACE 10 0 0 1200"),
        ("cancelled",              "PENDING_REPLACE 10 0 0 1200"),
        ("accept rev=1",           "NEW 12 0 12 1200")],
    "C17 the old venue order ends and no new one comes": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("cancelled",              "PENDING_REPLACE 10 0 0 1200"),
        ("amend-rejected",         "CANCELED 10 0 0 0")],
    "C18 … told by a look-up": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("cancelled",              "PENDING_REPLACE 10 0 0 1200"),
        ("doubt",                  "PENDING_REPLACE 10 0 0 1200 doubt"),
        ("cancelled",              "CANCELED 10 0 0 0")],
    "C19 the new venue order ended before we heard of it": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("cancelled rev=1",        "CANCELED 10 0 0 0"),
        ("amended",                "CANCELED 10 0 0 0")],
    # -- D: two replaces
    "D1 one after the other": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("amend 13",               "PENDING_REPLACE 10 0 10 1200 !ORDER_PENDING"),
        ("amended rev=1",          "NEW 12 0 12 1200"),
        ("amend 13",               "PENDING_REPLACE 12 0 12 1300"),
        ("amended rev=2",          "NEW 13 0 13 1300")],
    "D2 the second rejected": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("amended rev=1",          "NEW 12 0 12 1200"),
        ("amend 13",               "PENDING_REPLACE 12 0 12 1300"),
        ("amend-rejected rev=2",   "NEW 12 0 12 1200")],
    "D3 the first rejected, and told again while the second is under way": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("amend-rejected rev=1",   "NEW 10 0 10 1000"),
        ("amend 13",               "PENDING_REPLACE 10 0 10 1300"),
        ("amend-rejected rev=1",   "PENDING_REPLACE 10 0 10 1300"),
        ("amended rev=1",          "PENDING_REPLACE 10 0 10 1300"),
        ("amended rev=2",          "NEW 13 0 13 1300")],
    "D4 what is told of a replaced venue order changes nothing": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("amended rev=1",          "NEW 12 0 12 1200"),
        ("cancelled rev=0",        "NEW 12 0 12 1200"),
        ("expired rev=0",          "NEW 12 0 12 1200"),
        ("reject rev=0",           "NEW 12 0 12 1200"),
        ("absent rev=0",           "NEW 12 0 12 1200"),
        ("accept rev=0",           "NEW 12 0 12 1200"),
        ("fill 1",                 "PARTIALLY_FILLED 12 1 11 1100")],
    "D5 a late acknowledgement of a replaced venue order settles no doubt": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("amend 12",               "PENDING_REPLACE 10 0 10 1200"),
        ("amended rev=1",          "NEW 12 0 12 1200"),
        ("doubt",                  "NEW 12 0 12 1200 doubt"),
        ("accept rev=0",           "NEW 12 0 12 1200 doubt"),
        ("accept rev=1",           "NEW 12 0 12 1200")],
    # -- E: unsolicited
    "E1 canceled unasked": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800"),
        ("cancelled cum=2",        "CANCELED 10 2 0 0")],
    "E2 canceled unasked before the acknowledgement": [
        ("cancelled",              "CANCELED 10 0 0 0"),
        ("accept",                 "CANCELED 10 0 0 0")],
    # -- F: the same again
    "F1 the same trade twice counts once": [
        ("fill 2 id=t",            "PARTIALLY_FILLED 10 2 8 800"),
        ("fill 2 id=t",            "PARTIALLY_FILLED 10 2 8 800"),
        ("fill 8",                 "FILLED 10 10 0 0"),
        ("fill 2 id=t",            "FILLED 10 10 0 0")],
    "F2 a late acknowledgement does not bring back what has ended": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancelled",              "CANCELED 10 0 0 0"),
        ("accept",                 "CANCELED 10 0 0 0"),
        ("cancelled",              "CANCELED 10 0 0 0"),
        ("expired",                "CANCELED 10 0 0 0")],
    "F3 rejected twice, then the truth": [
        ("reject",                 "REJECTED 10 0 0 0"),
        ("reject",                 "REJECTED 10 0 0 0"),
        ("accept",                 "NEW 10 0 10 1000")],
    "F4 a repeated rejection settles no doubt": [
        ("reject",                 "REJECTED 10 0 0 0"),
        ("fill 2",                 "PARTIALLY_FILLED 10 2 8 800 doubt"),
        ("reject",                 "PARTIALLY_FILLED 10 2 8 800 doubt"),
        ("accept",                 "PARTIALLY_FILLED 10 2 8 800")],
    "F5 a late acknowledgement settles no doubt about missing trades": [
        ("cancelled cum=2",        "CANCELED 10 0 0 0 doubt"),
        ("accept",                 "CANCELED 10 0 0 0 doubt"),
        ("fill 2",                 "CANCELED 10 2 0 0 doubt"),
        ("cancelled cum=2",        "CANCELED 10 2 0 0")],
    # -- G: doubt and look-ups
    "G1 in doubt, found working": [
        ("doubt",                  "PENDING_NEW 10 0 10 1000 doubt"),
        ("accept",                 "NEW 10 0 10 1000")],
    "G2 in doubt, proven absent": [
        ("doubt",                  "PENDING_NEW 10 0 10 1000 doubt"),
        ("absent",                 "REJECTED 10 0 0 0")],
    "G3 in doubt, found filled: the trades are asked for": [
        ("doubt",                  "PENDING_NEW 10 0 10 1000 doubt"),
        ("finished 10",            "PENDING_NEW 10 0 10 1000 doubt"),
        ("fill 10",                "FILLED 10 10 0 0 doubt"),
        ("finished 10",            "FILLED 10 10 0 0")],
    "G4 found filled without a doubt makes one": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("finished 10",            "NEW 10 0 10 1000 doubt")],
    "G5 an order that traded and is gone was canceled there": [
        ("fill 1",                 "PARTIALLY_FILLED 10 1 9 900"),
        ("doubt",                  "PARTIALLY_FILLED 10 1 9 900 doubt"),
        ("absent",                 "CANCELED 10 1 0 0")],
    "G6 a cancel in doubt, found working: it is still asked for": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("doubt",                  "PENDING_CANCEL 10 0 10 1000 doubt"),
        ("accept",                 "PENDING_CANCEL 10 0 10 1000")],
    "G7 no amend while in doubt, but a cancel": [
        ("accept",                 "NEW 10 0 10 1000"),
        ("doubt",                  "NEW 10 0 10 1000 doubt"),
        ("amend 12",               "NEW 10 0 10 1000 doubt !ORDER_PENDING"),
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000 doubt"),
        ("cancelled",              "CANCELED 10 0 0 0")],
    "G8 what has ended is not doubted": [
        ("fill 10",                "FILLED 10 10 0 0"),
        ("doubt",                  "FILLED 10 10 0 0")],
    "G9 cancel in doubt after a full fill, settled by the look-up": [
        ("cancel",                 "PENDING_CANCEL 10 0 10 1000"),
        ("fill 10",                "PENDING_CANCEL 10 10 0 0"),
        ("doubt",                  "PENDING_CANCEL 10 10 0 0 doubt"),
        ("finished 10",            "FILLED 10 10 0 0")],
    # -- I: FOK and IOC (the venue kills)
    "I1 nothing filled, expired by its time in force": [
        ("expired",                "EXPIRED 10 0 0 0")],
    "I2 the kill overtakes the trades": [
        ("expired cum=3",          "EXPIRED 10 0 0 0 doubt"),
        ("fill 3",                 "EXPIRED 10 3 0 0 doubt"),
        ("expired cum=3",          "EXPIRED 10 3 0 0")],
    # -- a fill in any state changes the order and the position alike
    "J1 fill after reject": [
        ("reject",                 "REJECTED 10 0 0 0"),
        ("fill 10",                "FILLED 10 10 0 0")],
    "J2 fill after expiry": [
        ("expired",                "EXPIRED 10 0 0 0"),
        ("fill 4",                 "EXPIRED 10 4 0 0"),
        ("fill 6",                 "FILLED 10 10 0 0")],
    "J3 fill after cancel": [
        ("cancelled",              "CANCELED 10 0 0 0"),
        ("fill 4",                 "CANCELED 10 4 0 0")],
    "J4 an extra trade after filled": [
        ("fill 10",                "FILLED 10 10 0 0"),
        ("fill 2",                 "FILLED 10 12 0 0")],
    "J5 one trade of more than was ordered": [
        ("fill 12",                "FILLED 10 12 0 0")],
}
# fmt: on

_REPORTS = {
    "accept": "accepted",
    "reject": "rejected",
    "cancelled": "canceled",
    "expired": "expired",
    "cancel-rejected": "cancel_rejected",
    "amended": "amended",
    "amend-rejected": "amend_rejected",
    "doubt": "in_doubt",
    "absent": "absent",
    "finished": "finished",
}


def _do(desk: Desk, order_id: str, step: str) -> dict[str, Any]:
    verb, *words = step.split()
    named = dict(word.split("=") for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    prices = [word[1:] for word in plain if word[0] == "@"]
    if verb == "cancel":
        return desk.cancel(order_id)
    if verb == "amend":
        return desk.amend(order_id, quantity=plain[0], **({"price": prices[0]} if prices else {}))
    if verb == "fill":
        trade = {"trade_id": named["id"]} if "id" in named else {}
        return desk.fill(order_id, plain[0], prices[0] if prices else "100", **trade)
    fields: dict[str, Any] = {"cumulative": plain[0]} if verb == "finished" else {}
    fields |= {"revision": int(named["rev"])} if "rev" in named else {}
    fields |= {"cumulative": named["cum"]} if "cum" in named else {}
    return desk.report(_REPORTS[verb], order_id, **fields)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """After every step the order, the funds and the position are what the table says."""
    desk = Desk()
    order_id = desk.place(quantity="10", price="100")["order_id"]
    order = desk.state.orders[order_id]
    opening = desk.state.ledgers["binance", "main", "spot"].balance("BTC").total
    for row, (step, expected) in enumerate(SCENARIOS[name]):
        before = desk.digest()
        reply = _do(desk, order_id, step)
        status, quantity, cumulative, leaves, locked, *rest = expected.split()
        was = (
            f"{order.status} {order.quantity:f} {order.cumulative:f} {order.leaves:f} {desk.locked('USDT'):f}"
        )
        want = [Decimal(text) for text in (quantity, cumulative, leaves, locked)]
        have = [order.quantity, order.cumulative, order.leaves, desk.locked("USDT")]
        assert (order.status, have) == (status, want), f"row {row}, {step}: was {was}"
        assert order.in_doubt == ("doubt" in rest), f"row {row}, {step}"
        codes = [word[1:] for word in rest if word[0] == "!"]
        assert ([reply["error"]["code"]] if "error" in reply else []) == codes, f"row {row}, {step}: {reply}"
        if codes:
            assert desk.digest() == before, f"row {row}, {step}: a refused command changed something"
        position = desk.state.positions.get(("binance", "main", "spot", "BTCUSDT"))
        held = Decimal(0) if position is None else position.quantity
        gained = desk.state.ledgers["binance", "main", "spot"].balance("BTC").total - opening
        assert order.cumulative == held == gained, f"row {row}, {step}"
        check_indexes(desk.state)
        check_same(desk.state, desk.replica)


def test_adopted_order_lives_as_ours_do() -> None:
    """An order found at the venue is adopted once, known by its client id there, and cancels, fills and retires."""
    desk = Desk()
    assert desk.report("found", "web_1")["count"] == 1
    assert desk.report("found", "web_1")["count"] == 0
    (order,) = desk.state.orders.values()
    assert (order.status, order.strategy, order.client_id, desk.locked("USDT")) == (
        "NEW",
        ADOPTED,
        "web_1",
        100,
    )
    desk.fill("web_1", "0.4")
    assert (order.status, desk.locked("USDT")) == ("PARTIALLY_FILLED", 60)
    assert desk.cancel(order.order_id)["status"] == "PENDING_CANCEL"
    desk.report("canceled", "web_1")
    assert (order.status, desk.locked("USDT")) == ("CANCELED", 0)
    check_same(desk.state, desk.replica)


def test_client_id_used_again_outside_is_another_order() -> None:
    """A venue lets a client id be used again once its order has ended: the new order is adopted too, and outlives the old."""
    desk = Desk()
    desk.report("found", "web_1", venue_order_id="v1")
    desk.report("canceled", "web_1")
    assert desk.report("found", "web_1", venue_order_id="v1")["count"] == 0
    assert desk.report("found", "web_1", venue_order_id="v2")["count"] == 1
    old, new = desk.state.orders.values()
    desk.report("canceled", "web_1")
    assert (old.status, new.status) == ("CANCELED", "CANCELED")
    assert desk.report("found", "web_1", venue_order_id="v3")["count"] == 1
    desk.now += 3_601 * 10**9
    desk.place()
    assert old.order_id in desk.state.retired
    assert desk.fill("web_1", "1")["count"] == 1
    assert [o.status for o in desk.state.orders.values()] == ["FILLED", "PENDING_NEW"]
    check_indexes(desk.state)
    check_same(desk.state, desk.replica)


def test_revived_gtd_order_expires_after_a_restart_and_without() -> None:
    """A GTD order that lives again after a rejection is still expired in time, the same with and without a restart."""
    desk = Desk()
    order_id = desk.place(time_in_force="GTD", expires_at=desk.now + 10**12)["order_id"]
    desk.report("rejected", order_id)
    assert desk.state.expiring == {}
    desk.report("accepted", order_id)
    assert list(desk.state.expiring) == [order_id]
    check_indexes(desk.state)


def test_amend_that_releases_funds_needs_none() -> None:
    """An amend to less passes even when fills and fees have taken the free balance below zero."""
    desk = Desk()
    order_id = desk.place(quantity="10")["order_id"]
    desk.report("accepted", order_id)
    desk.ask("report_balances.binance.main.spot._", {"session": "s1", "totals": {"USDT": "500"}})
    assert desk.amend(order_id, quantity="9")["ok"]
    assert desk.place()["error"]["code"] == "INSUFFICIENT_FUNDS"


def _long_with_reducing(desk: Desk, held: str, quantity: str) -> str:
    desk.fill(desk.place(quantity=held)["order_id"], held)
    order_id: str = desk.place(side="sell", quantity=quantity, reduce_only=True)["order_id"]
    desk.report("accepted", order_id)
    return order_id


def test_reduce_only_counts_what_an_amend_asks_for() -> None:
    """While an amend would let an order reduce more, no other order may take that part of the position."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "10", "5")
    assert desk.amend(order_id, quantity="10")["ok"]
    other = desk.place(side="sell", quantity="1", reduce_only=True)
    assert other["error"]["code"] == "REDUCE_ONLY"
    desk.report("amend_rejected", order_id)
    assert desk.place(side="sell", quantity="5", reduce_only=True)["ok"]
    check_indexes(desk.state)


def test_reduce_only_order_may_always_ask_for_less() -> None:
    """When the position has shrunk below a reduce-only order, the order may be amended down, and not up."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "10", "8")
    desk.fill("outside", "9", side="sell")
    assert desk.amend(order_id, quantity="9")["error"]["code"] == "REDUCE_ONLY"
    assert desk.amend(order_id, quantity="7")["ok"]


def test_reduce_only_order_never_grows_against_a_turned_position() -> None:
    """When the position has turned, a reduce-only order may not grow: it would open more."""
    desk = Desk()
    order_id = _long_with_reducing(desk, "1", "1")
    desk.fill("outside", "20", side="sell")
    assert desk.amend(order_id, quantity="2")["error"]["code"] == "REDUCE_ONLY"


def test_an_account_that_trades_with_itself_has_both_sides() -> None:
    """A buy that meets the account's own sell is two fills under one trade id, and each counts once."""
    desk = Desk()
    buy, sell = desk.place(side="buy")["order_id"], desk.place(side="sell")["order_id"]
    for _ in range(2):
        desk.fill(buy, "1", trade_id="t1")
        desk.fill(sell, "1", trade_id="t1")
    assert {desk.state.orders[order_id].cumulative for order_id in (buy, sell)} == {Decimal(1)}
    assert desk.state.positions["binance", "main", "spot", "BTCUSDT"].quantity == 0
