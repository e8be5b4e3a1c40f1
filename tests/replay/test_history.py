"""State from zero and state from a snapshot are one."""

import time
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates import image
from oms.config import CacheConfig
from replay.history import History
from replay.rebuild import new_history, over
from replay.snapshot import Content, Snapshots
from tests.replay.journal import busy


def content(history: History) -> Content:
    """What a snapshot of this history holds."""
    assert history.projections is not None
    return Content(
        sequence=history.sequence,
        head=history.head,
        state=image.dump(history.partition),
        projections=history.projections.dump(),
    )


def rows(history: History) -> dict[str, Any]:
    """Every row of the read models, in their order."""
    models = history.projections
    assert models is not None
    return {
        "orders": list(models.orders.newest_first()),
        "open": list(models.orders.open_newest_first("_", "_", "_")),
        "finished": list(models.orders.finished.items()),
        "trades": list(models.trades.newest_first()),
        "pnl": models.pnl.image(),
    }


@given(
    seed=st.integers(0, 10**6),
    cut=st.floats(0, 1),
    step=st.sampled_from([1, 10**9, 120 * 10**9]),
    kept=st.sampled_from([1, 7, 100_000]),
)
def test_snapshot_and_the_rest_is_replay_from_zero(
    tmp_path_factory: Any, seed: int, cut: float, step: int, kept: int
) -> None:
    """For any journal and any cut, loading a snapshot of the cut and applying the rest gives the state of all frames:
    the same digest, and the same rows in the same order."""
    cache = CacheConfig(max_size=kept)
    frames = busy(seed, 80, frame=7, step=step).stored
    at = round(cut * len(frames))
    whole = new_history(cache)
    snapshots = Snapshots(tmp_path_factory.mktemp("data", numbered=True))
    for stored in frames:
        if stored.sequence == at + 1:
            snapshots.write(content(whole), time.time_ns())
        whole.apply(stored)
    if at == len(frames):
        snapshots.write(content(whole), time.time_ns())
    (snapshot,) = snapshots.newest_first()
    restored = over(snapshot.load_state(check_digest=True), cache)
    assert restored.projections is not None
    snapshot.load_projections(restored.projections)
    restored.sequence, restored.head = snapshot.header.sequence, snapshot.header.head
    for stored in frames[at:]:
        restored.apply(stored)
    assert image.digest(restored.partition) == image.digest(whole.partition)
    assert (restored.sequence, restored.head) == (whole.sequence, whole.head)
    assert msgspec.json.encode(rows(restored)) == msgspec.json.encode(rows(whole))


def test_live_state_is_the_replayed_one(tmp_path: Path) -> None:
    """What the handlers made of the commands is what replay makes of the events."""
    maker = busy(5, 300)
    history = new_history(CacheConfig(), projections=False)
    for stored in maker.stored:
        history.apply(stored)
    assert image.digest(history.partition) == image.digest(maker.state), image.differences(
        maker.state, history.partition
    )
