"""What a command caused, as a tree."""

from typing import Any

from oms.config import CacheConfig
from replay.asking.steps import Steps
from replay.asking.trace import Node, Trace, Uses, settled, trace
from replay.rebuild import new_history
from tests.replay.journal import Maker


def traced(maker: Maker, command_id: str, account: str | None = None) -> list[Trace]:
    """The traces of a command id, by looking through and moving over a whole journal."""
    uses = Uses(command_id, account)
    for stored in maker.stored:
        uses.look(stored)
    found = []
    for use in uses.found:
        history, steps = new_history(CacheConfig()), Steps(use.orders)
        for stored in maker.stored:
            if stored.sequence < use.sequence:
                history.apply(stored)
            elif stored.sequence == use.sequence or not settled(use, steps.of):
                steps.apply(history, stored)
        found.append(trace(use, steps.of, maker.sequence))
    return found


def shape(node: Node) -> Any:
    """Names of a tree: a name, or a name with what is below it."""
    name = node.name if node.caused else f"then {node.name}"
    return name if not node.children else {name: [shape(child) for child in node.children]}


def canceled(order_id: str) -> dict[str, Any]:
    return {"report": "canceled", "order_id": order_id, "reason": "asked", "venue_time": 1}


def test_a_place_leads_to_all_that_came_of_it() -> None:
    """A place's tree is the order's: what was sent, what each report answered, doubts under what they doubt, look-ups under
    doubts, and later commands beside the order they are about, marked as not caused."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="2")
    placed = "c3"
    maker.report({"report": "in_doubt", "order_id": order_id, "reason": "timeout"})
    maker.accept(order_id)
    maker.fill(order_id, "1", "100")
    maker.cut()
    maker.ask("cancel.binance.main.spot._", command_id="gone", order_id=order_id)
    maker.report(
        {"report": "cancel_rejected", "order_id": order_id, "reason": "busy", "venue_time": 1},
        {"report": "canceled", "order_id": order_id, "reason": "halted", "venue_time": 2},
    )
    maker.cut()
    (found,) = traced(maker, placed)
    assert shape(found.tree) == {
        "place": [
            {
                "OrderPlaced": [
                    {
                        "submit": [
                            {
                                "in_doubt": [
                                    {"OrderInDoubt": [{"look_up": [{"accepted": ["OrderAccepted"]}]}]}
                                ]
                            },
                            {"filled": ["OrderFilled"]},
                            {
                                "then cancel": [
                                    {
                                        "OrderCancelRequested": [
                                            {"cancel": [{"cancel_rejected": ["OrderCancelRejected"]}]}
                                        ]
                                    }
                                ]
                            },
                            {"canceled": ["OrderCanceled"]},
                        ]
                    }
                ]
            }
        ]
    }
    assert (found.account, found.orders, found.related) == ("main", [order_id], ["gone"])
    submit = found.tree.children[0].children[0]
    assert (submit.session, submit.sequence, submit.commit) == ("s1", 2, 0)


def test_what_the_venue_does_unasked_belongs_to_the_place() -> None:
    """A trade taken back and terms changed at the venue stand below what was sent, as trades do."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="2")
    maker.accept(order_id)
    maker.bust(order_id, maker.fill(order_id, "1", "100"))
    maker.report(
        {"report": "restated", "order_id": order_id, "quantity": "1", "price": "100", "venue_time": 5}
    )
    maker.cut()
    (found,) = traced(maker, "c3")
    told = ["accepted", "filled", "busted", "restated"]
    events = ["OrderAccepted", "OrderFilled", "TradeBusted", "OrderRestated"]
    answers = [{report: [event]} for report, event in zip(told, events, strict=True)]
    assert shape(found.tree) == {"place": [{"OrderPlaced": [{"submit": answers}]}]}


def test_an_amend_in_place_leads_to_the_terms_that_answer_it() -> None:
    """Where an amend changes the venue order, what answers it is the terms told."""
    maker = Maker()
    maker.begin()
    maker.ask(
        "declare_venue.binance._.spot._",
        capabilities={
            "order_types": ["limit"],
            "times_in_force": ["GTC"],
            "features": ["amend", "amend_in_place"],
            "wallet": "spot",
        },
    )
    order_id = maker.place(quantity="2")
    maker.accept(order_id)
    maker.ask("amend.binance.main.spot._", command_id="more", order_id=order_id, quantity="3")
    maker.report(
        {"report": "restated", "order_id": order_id, "quantity": "3", "price": "100", "venue_time": 5}
    )
    maker.cut()
    (found,) = traced(maker, "more")
    answer = {"restated": ["OrderAmended"]}
    assert shape(found.tree) == {"amend": [{"OrderAmendRequested": [{"amend": [answer]}]}]}


def test_a_cancel_leads_to_its_answer_alone() -> None:
    """A cancel's tree has what answered the cancel, and not what else happened to the order, before or after."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="3")
    maker.accept(order_id)
    maker.ask("cancel.binance.main.spot._", command_id="first", order_id=order_id)
    maker.cut()
    maker.fill(order_id, "1", "100")
    maker.report({"report": "cancel_rejected", "order_id": order_id, "reason": "busy", "venue_time": 1})
    maker.cut()
    maker.ask("cancel.binance.main.spot._", command_id="second", order_id=order_id)
    maker.report(canceled(order_id))
    maker.cut()
    for command_id, answer in (
        ("first", {"cancel_rejected": ["OrderCancelRejected"]}),
        ("second", {"canceled": ["OrderCanceled"]}),
    ):
        (found,) = traced(maker, command_id)
        assert shape(found.tree) == {"cancel": [{"OrderCancelRequested": [{"cancel": [answer]}]}]}


def test_a_cancel_that_nobody_took_is_sent_when_somebody_does() -> None:
    """A cancel asked while no session served the account is told as not sent, and then as sent to the session that came."""
    maker = Maker()
    maker.begin()
    order_id = maker.place()
    maker.ask("close_session.binance.main.spot._", session="s1", reason="gone")
    maker.ask("cancel.binance.main.spot._", command_id="late", order_id=order_id)
    maker.ask("open_session.binance.main.spot._", session="s2", ready=False)
    maker.ask("open_session.binance.main.spot._", session="s2", ready=True)
    maker.ask("report.binance.main.spot._", session="s2", reports=[canceled(order_id)])
    maker.cut()
    (found,) = traced(maker, "late")
    again = {"open_session": [{"cancel": [{"canceled": ["OrderCanceled"]}]}]}
    assert shape(found.tree) == {"cancel": [{"OrderCancelRequested": [{"cancel": [again]}]}]}
    first = found.tree.children[0].children[0]
    assert (first.session, "not sent" in first.text) == ("", True)


def test_a_cancel_of_all_leads_to_every_order() -> None:
    """A cancel of all has a branch for every order, each with its own answer, and its own end."""
    maker = Maker()
    maker.begin()
    ids = [maker.place() for _ in range(3)]
    for order_id in ids:
        maker.accept(order_id)
    maker.cut()
    maker.ask("cancel_all._.main._._", command_id="all")
    maker.report(canceled(ids[1]), canceled(ids[0]))
    maker.cut()
    (found,) = traced(maker, "all")
    done = {"OrderCancelRequested": [{"cancel": [{"canceled": ["OrderCanceled"]}]}]}
    assert shape(found.tree) == {
        "cancel_all": [done, done, {"OrderCancelRequested": ["cancel"]}, "CancelAllRequested"]
    }
    assert [child.order_id for child in found.tree.children] == [*ids, ""]


def test_a_kill_tells_the_latch_before_the_cancels() -> None:
    """What a kill led to begins with the kill switch, which was engaged before anything was cancelled."""
    maker = Maker()
    maker.begin()
    maker.accept(maker.place())
    maker.ask("kill._.main._._", command_id="stop", scope="account:main", by="ann")
    maker.cut()
    found = traced(maker, "stop")[0]
    assert shape(found.tree) == {
        "kill": ["KillSwitchEngaged", {"OrderCancelRequested": ["cancel"]}],
    }


def test_an_amend_leads_to_its_answer() -> None:
    """An amend's tree has its own answer; another amend's is not mistaken for it."""
    maker = Maker()
    maker.begin()
    order_id = maker.place(quantity="3")
    maker.accept(order_id)
    for revision, command_id in enumerate(("a1", "a2"), 1):
        maker.ask(
            "amend.binance.main.spot._", command_id=command_id, order_id=order_id, quantity=f"{3 + revision}"
        )
        report = {"report": "amended", "order_id": order_id, "venue_order_id": "v", "venue_time": 1}
        maker.report(report | {"revision": revision})
        maker.cut()
    for command_id in ("a1", "a2"):
        (found,) = traced(maker, command_id)
        answer = {"amended": ["OrderAmended"]}
        assert shape(found.tree) == {"amend": [{"OrderAmendRequested": [{"amend": [answer]}]}]}


def test_an_id_is_an_accounts_own() -> None:
    """An id that two accounts used gives two traces; naming the account gives its own."""
    maker = Maker()
    maker.begin()
    for account in ("main", "sub_arb"):
        terms = {"side": "buy", "type": "limit", "quantity": "1", "price": "100"}
        maker.ask(f"place.binance.{account}.spot.BTCUSDT", command_id="same", **terms)
    maker.cut()
    assert [found.account for found in traced(maker, "same")] == ["main", "sub_arb"]
    (found,) = traced(maker, "same", "sub_arb")
    assert shape(found.tree) == {"place": [{"OrderPlaced": ["submit"]}]}


def test_a_command_about_no_order_is_traced() -> None:
    """A command without orders has its events alone."""
    maker = Maker()
    maker.begin()
    (found,) = traced(maker, "c1")
    assert shape(found.tree) == {"register_account": ["AccountRegistered"]}


def test_an_order_that_was_held_is_released_by_what_became_of_another() -> None:
    """Where an order waited for another one's end, what sent it stands below its place: a report of that other order."""
    maker = Maker()
    maker.begin()
    maker.command("set_limits._._._._", scope="global", limits={"self_trade": "cancel_resting"}, by="ann")
    resting = maker.place(side="sell")
    order_id = maker.place("sub_arb")
    maker.cut()
    maker.report(canceled(resting))
    maker.accept(order_id, account="sub_arb")
    maker.cut()
    (found,) = traced(maker, "c5")
    assert found.orders == [resting, order_id]
    asked, placed = found.tree.children
    assert shape(asked) == {"OrderCancelRequested": [{"cancel": [{"canceled": ["OrderCanceled"]}]}]}
    released = {"report": [{"OrderReleased": [{"submit": [{"accepted": ["OrderAccepted"]}]}]}]}
    assert shape(placed) == {"OrderPlaced": [released]}
    assert placed.text.endswith(f", not sent before {resting} ended")
    assert (placed.children[0].kind, placed.children[0].text) == ("statement", "about other orders")
