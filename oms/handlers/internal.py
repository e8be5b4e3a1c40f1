"""What the engine asks of itself: starting, sealing, doubting orders that the venue does not answer, expiring GTD orders."""

from oms.aggregates.digest import SHAPE
from oms.aggregates.partition import Partition
from oms.messages import commands as c
from oms.messages import events as e
from oms.messages.enums import CancelReason
from oms.messages.subjects import Subject


def decide_start(state: Partition, subject: Subject, command: c.StartEngine) -> list[e.Event]:
    """Take over the journal; a new one gets its identity first."""
    found: list[e.Event] = []
    if not state.journal_id:
        found.append(e.JournalCreated(journal_id=command.journal_id, partition=command.partition))
    return [*found, e.EngineStarted(instance=command.instance, version=command.version, code=command.code)]


def decide_seal(state: Partition, subject: Subject, command: c.SealState) -> list[e.Event]:
    """Record what the state is."""
    return [e.Sealed(digest=state.digest(), shape=SHAPE)]


def decide_declare_key(state: Partition, subject: Subject, command: c.DeclareKey) -> list[e.Event]:
    """Record the key of receipts, when it is another one than before."""
    if state.signing_key == command.public_key:
        return []
    return [e.SigningKeyDeclared(key_id=command.key_id, public_key=command.public_key)]


def decide_accept_loss(state: Partition, subject: Subject, command: c.AcceptLoss) -> list[e.Event]:
    """Record that a person accepted a loss."""
    return [
        e.LossAccepted(
            first=command.first,
            last=command.last,
            head=command.head,
            by=command.by,
            reason=command.reason,
        )
    ]


def decide_doubt(state: Partition, subject: Subject, command: c.DoubtOrders) -> list[e.Event]:
    """Doubt those of the orders that still wait; the look-up follows from it."""
    return [
        e.OrderInDoubt(order_id=order_id, reason=command.reason)
        for order_id in command.order_ids
        if order_id in state.unanswered
    ]


def decide_expire(state: Partition, subject: Subject, command: c.ExpireOrders) -> list[e.Event]:
    """Ask for a cancel of the GTD orders that still work."""
    return [
        event
        for order_id in command.order_ids
        if (order := state.orders.get(order_id)) is not None
        and order.leaves
        and order.cancel_requested is None
        for event in order.decide_cancel(CancelReason.EXPIRED)
    ]
