"""What a frame's instructions become once it is durable."""

from oms.engine.batch import Batch
from oms.messages.instructions import Cancel, Reconcile


def test_those_who_cancel_are_told_first_and_each_in_order() -> None:
    """Nobody else's instructions delay a kill, and an order never comes behind its own cancel."""
    batch = Batch(1)
    one, other, killed = (("binance", name, "spot") for name in ("a", "b", "killed"))
    told = [Reconcile(request_id=str(number)) for number in range(4)]
    cancel = Cancel(order_id="o", client_id="o", symbol="BTCUSDT")
    batch.instructions += [
        (one, "s1", told[0]),
        (killed, "s2", told[1]),
        (other, "s3", told[2]),
        (killed, "s2", cancel),
        (one, "s1", told[3]),
    ]
    assert batch.by_session() == [
        ((killed, "s2"), [told[1], cancel]),
        ((one, "s1"), [told[0], told[3]]),
        ((other, "s3"), [told[2]]),
    ]
