"""What a control stood against is told in public: the amend of an order, the transfer that never was."""

from typing import Any

from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.client.watch import decode_public
from oms.messages import public as p
from oms.messages.frames import decode_frame
from oms.projections.projections import Projections
from replay.following.public import derive
from tests.replay.journal import Maker


def told(maker: Maker) -> list[tuple[str, Any]]:
    """(subject, message) of every public event, as a client decodes it."""
    state = Partition()
    models = Projections(state, 1_000, 10**18)
    found: list[tuple[str, Any]] = []
    for payload in maker.payloads:
        frame = decode_frame(payload)
        with exactly():
            for commit in frame.commits:
                for event in commit.events:
                    state.evolve(event, commit.at)
                    models.evolve(event, commit.at, frame.sequence)
                    derive(
                        models,
                        event,
                        commit.at,
                        frame.sequence,
                        lambda _, subject, raw: found.append((subject, decode_public(subject, raw))),
                    )
                state.finish(commit, frame.sequence)
    return found


def test_a_denied_amend_and_a_denied_transfer_are_told() -> None:
    """The order as it stays, with why it was not amended; the transfer to the account that it would have left."""
    maker = Maker()
    maker.begin(fund="150")
    order_id = maker.place()
    maker.accept(order_id)
    maker.command("amend.binance.main.spot._", order_id=order_id, quantity="2")
    asked = {"to": "sub_arb", "asset": "USDT", "amount": "1000", "by": "Ada", "reason": "more"}
    maker.command("transfer.binance.main.spot._", **asked)
    maker.cut()
    (where, amend), (there, transfer) = told(maker)[-2:]
    assert where == "orders.binance.main.spot.BTCUSDT"
    assert isinstance(amend, p.OrderChanged)
    assert (amend.event, amend.order_id, amend.quantity, amend.reason) == (
        "OrderAmendDenied",
        order_id,
        1,
        "",
    )
    assert amend.denied == "INSUFFICIENT_FUNDS: needs 100.0000000 USDT, free is 50.0000000"
    assert there == "accounts.binance.main.spot._"
    assert isinstance(transfer, p.TransferStopped)
    assert (transfer.event, transfer.wallet, transfer.target, transfer.target_wallet) == (
        "TransferDenied",
        "spot",
        "sub_arb",
        "spot",
    )
    assert (transfer.asset, transfer.amount, transfer.code, transfer.by, transfer.reason) == (
        "USDT",
        1000,
        "INSUFFICIENT_FUNDS",
        "Ada",
        "more",
    )
    assert not [each for _, each in told(maker)[:-2] if getattr(each, "denied", "")]
