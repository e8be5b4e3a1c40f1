"""The image of a state: loaded it is the same state, and its digest tells any two apart."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates import image
from oms.aggregates.account import Balance
from oms.aggregates.partition import Partition
from tests.replay.journal import Maker, busy


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A desk that has traded, with an adopted order and one that is in doubt."""
    maker = busy(81, 150)
    maker.report(
        {"report": "found", "order_id": "theirs", "venue_order_id": "v", "symbol": "BTCUSDT", "side": "buy"}
        | {"type": "limit", "quantity": "1", "price": "9"}
    )
    doubted = maker.place()
    maker.report({"report": "in_doubt", "order_id": doubted, "reason": "timeout"})
    maker.place(time_in_force="GTD", expires_at=maker.clock + 10**12)
    maker.place()
    return maker


def test_loaded_state_is_the_same_to_every_decision(maker: Maker) -> None:
    """Every field of the state, indexes that are not in the image included, comes back as it was."""
    state, loaded = maker.state, image.load(image.dump(maker.state))
    for name in ("orders", "positions", "ledgers", "instruments", "accounts", "expiring", "venue_ids"):
        assert getattr(loaded, name) == getattr(state, name), name
    for name in ("unanswered", "doubtful", "finished", "retired"):
        assert list(getattr(loaded, name).items()) == list(getattr(state, name).items()), name
    held = {key: set(live) for key, live in state.live.items() if live}
    assert {key: set(live) for key, live in loaded.live.items() if live} == held
    assert {name: w.entries for name, w in loaded.windows.items()} == {
        name: w.entries for name, w in state.windows.items()
    }
    assert image.digest(loaded) == image.digest(state)
    assert image.dump(loaded) == image.dump(state)
    assert image.differences(loaded, state) == []
    assert loaded.doubtful
    assert loaded.expiring
    assert loaded.venue_ids


def test_live_index_is_the_same_objects(maker: Maker) -> None:
    """After loading, the index of live orders holds the orders themselves, not copies."""
    loaded = image.load(image.dump(maker.state))
    for live in loaded.live.values():
        for order_id, order in live.items():
            assert loaded.orders[order_id] is order


@given(seed=st.integers(0, 10**6))
def test_digest_does_not_hang_on_the_order_of_entities(seed: int) -> None:
    """Two states with the same entities in another order have the same digest."""
    state = busy(seed, 15).state
    other = image.load(image.dump(state))
    other.orders = dict(reversed(other.orders.items()))
    other.ledgers = dict(reversed(other.ledgers.items()))
    assert image.digest(other) == image.digest(state)


def test_digest_and_differences_name_any_change(maker: Maker) -> None:
    """One changed amount, one order more or one command id less gives another digest, and a line that names it."""
    good = image.digest(maker.state)

    def changed() -> Partition:
        return image.load(image.dump(maker.state))

    balance = changed()
    balance.wallets["binance", "main", "spot"].balances["USDT"] = Balance(Decimal(1))
    order = changed()
    order_id = next(iter(order.orders))
    del order.orders[order_id]
    command = changed()
    command_id = next(iter(command.windows["main"].entries))
    del command.windows["main"].entries[command_id]
    forgotten = changed()
    doubted = next(iter(forgotten.doubtful))
    forgotten.doubtful.clear()
    for other, name in (
        (balance, "wallet binance.main.spot.balances"),
        (order, f"order {order_id}: only in ours"),
        (command, f"command main {command_id}: only in ours"),
        (forgotten, f"order {doubted}.doubtful"),
    ):
        assert image.digest(other) != good
        lines = image.differences(maker.state, other)
        assert any(line.startswith(name) for line in lines), (name, lines)
