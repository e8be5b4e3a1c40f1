"""Read models of a snapshot, held against those that the frames make.

The follower that wrote the snapshot held what its ``cache`` allowed, which nobody knows here: what both hold must be the
same, and of what it held nothing may be missing in between.
"""

from typing import Any

import msgspec

from oms.aggregates.partition import Partition
from oms.config import CacheConfig
from oms.projections.projections import Projections
from replay.asking.moment import LAST_TIME
from replay.snapshot import Snapshot

HELD = CacheConfig(default_ttl=LAST_TIME)
"""What verification holds: as many as the default cache, of any age. Older ones are not compared."""
_encode = msgspec.json.encode


def loaded(snapshot: Snapshot, state: Partition) -> Projections:
    """A snapshot's read models, over its state.

    Raises:
        SnapshotDamaged: they are not what was written.
    """
    models = Projections(state, LAST_TIME, LAST_TIME)
    snapshot.load_projections(models)
    return models


def difference(ours: Projections, theirs: Projections) -> str:
    """What is wrong with a snapshot's read models; empty when nothing is."""
    return _in_trades(ours, theirs) or _in_orders(ours, theirs) or _in_pnl(ours, theirs)


def _in_trades(ours: Projections, theirs: Projections) -> str:
    last, held = theirs.trades.last, theirs.trades.by_number
    if last != ours.trades.last or list(held) != list(range(last - len(held) + 1, last + 1)):
        return f"holds {len(held):,} trades up to {last:,}, where the last is {ours.trades.last:,}, or some are missing"
    for number, trade in held.items():
        known = ours.trades.by_number.get(number)
        if known is not None and known != trade:
            return f"trade {number:,} is {trade}, the frames make {known}"
    return ""


def _in_orders(ours: Projections, theirs: Projections) -> str:
    full = len(ours.orders.finished) >= ours.orders.kept
    for order_id, order in theirs.orders.by_id.items():
        known = ours.orders.by_id.get(order_id)
        if known is None:
            if not full:
                return f"order {order_id} is none that the frames make"
        elif known != order:
            return f"order {order_id} is {_changed(order, known)}"
    held = theirs.orders.finished
    begun = False
    for order_id, at in ours.orders.finished.items():
        # One that left and came back with a late report stands elsewhere, with another time.
        begun = begun or held.get(order_id) == at
        if begun and order_id not in held:
            return f"order {order_id} is missing"
    return ""


def _in_pnl(ours: Projections, theirs: Projections) -> str:
    if _encode(ours.pnl.image()) == _encode(theirs.pnl.image()):
        return ""
    return "days of the P&L are not those that the frames make"


def _changed(order: Any, known: Any) -> str:
    return ", ".join(
        f"{name} {getattr(order, name)!r}, the frames make {getattr(known, name)!r}"
        for name in order.__slots__
        if name != "__weakref__" and getattr(order, name) != getattr(known, name)
    )
