"""The digest that is kept up: the one from scratch after anything, and names for what a fold hashed."""

import random
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms.aggregates import account, image, partition, window
from oms.aggregates import digest as digests
from oms.aggregates.digest import from_scratch, lines_of, name_of, own_line, touched
from oms.aggregates.money import exactly
from oms.aggregates.partition import Partition
from oms.messages.events import Sealed
from tests.replay.journal import Maker, busy

HOUR = 3_600 * 10**9


@pytest.fixture(scope="module", autouse=True)
def small_bounds() -> Any:
    """Everything that forgets forgets within an example, and changes are folded early."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "MAX_REMEMBERED", 5)
        patch.setattr(account, "MAX_TRADE_IDS", 3)
        patch.setattr(partition, "MAX_FINISHED", 4)
        patch.setattr(partition, "MAX_RETIRED", 6)
        patch.setattr(digests, "MAX_NOTED", 12)
        yield


def history(seed: int, orders: int, step: int, act: Callable[[Maker, random.Random], None]) -> Maker:
    """A desk that trades, adopts, doubts and amends; ``act`` is called now and then."""
    chance = random.Random(seed)
    maker = Maker(step=step)
    maker.begin()
    for number in range(orders):
        busy(chance.randrange(2**32), 2, 1, maker, step)
        if chance.random() < 0.3:
            maker.report(
                {"report": "found", "order_id": f"theirs{number}", "venue_order_id": f"v{number}"}
                | {"symbol": "BTCUSDT", "side": "buy", "type": "limit", "quantity": "1", "price": "9"}
            )
        if chance.random() < 0.3:
            doubted = maker.place(time_in_force="GTD", expires_at=maker.clock + HOUR)
            maker.report({"report": "in_doubt", "order_id": doubted, "reason": "timeout"})
        act(maker, chance)
    maker.cut()
    return maker


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    orders=st.integers(1, 12),
    step=st.sampled_from([1, 10**6, HOUR // 20]),
    often=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_kept_up_it_is_the_one_from_scratch(seed: int, orders: int, step: int, often: float) -> None:
    """However often it is asked for, folded, sealed or loaded in between, and whatever was forgotten meanwhile."""
    forgotten = set()

    def act(maker: Maker, chance: random.Random) -> None:
        state = maker.state
        forgotten.update(
            name
            for name, held in {
                "command": any(len(each.entries) == 5 for each in state.windows.values()),
                "trade": any(len(each.trade_ids) == 3 for each in state.ledgers.values()),
                "retired": len(state.retired) == 6,
            }.items()
            if held
        )
        if chance.random() >= often:
            return
        kind = chance.randrange(4)
        if kind == 0:
            assert state.digest() == from_scratch(state)
        elif kind == 1:
            state.fold()
        elif kind == 2:
            outcome = maker.ask("seal._._._._")
            assert outcome.commit is not None
            (seal,) = outcome.commit.events
            assert isinstance(seal, Sealed)
        else:
            known = chance.choice((None, state.digest()))
            maker.state = image.load(image.dump(state), known)

    state = history(seed, orders, step, act).state
    assert state.digest() == from_scratch(state) == image.load(image.dump(state)).digest()
    assert state.digest() == state.digest()
    if orders == 12:
        assert forgotten


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), step=st.sampled_from([1, HOUR // 20]), fold=st.floats(0.1, 1.0))
def test_names_are_those_of_the_hashes(seed: int, step: int, fold: float) -> None:
    """Each hash of a fold is that of the line of the entity that is named at its place, one to one."""
    maker = history(seed, 4, step, lambda *_: None)
    replica, chance = Partition(), random.Random(seed)
    for stored in maker.stored:
        with exactly():
            for commit in stored.frame.commits:
                noted = replica.changes.noted()
                waiting = len(replica.changes.orders) + len(replica.changes.added)
                replica.apply(commit, stored.sequence)
                if waiting and not replica.changes.noted()[0] and noted[0]:
                    continue  # it folded by itself, because much was waiting
                if chance.random() >= fold:
                    continue
                noted = replica.changes.noted()
                added = {_hash(line): name_of(line) for line in noted[-1]}
                hashes = replica.fold()
                names = touched(replica, noted)
                assert len(names) == len(hashes)
                by_name = {name_of(line): _hash(line) for line in lines_of(replica)}
                for name, found in zip(names, hashes, strict=True):
                    assert added.get(found) == name or by_name[name] == found


def _hash(line: Any) -> bytes:
    return sha256(msgspec.json.encode(line)).digest()


@pytest.fixture(scope="module")
def state() -> Partition:
    """A state in which everything that there can be is."""
    maker = history(4, 6, 10**6, lambda *_: None)
    maker.place(type="stop_limit", trigger_price="120", price="121", strategy="s")
    found = maker.state
    assert all(
        (found.orders, found.positions, found.retired, found.finished, found.doubtful, found.unanswered)
    )
    assert all(each.trade_ids for each in found.ledgers.values())
    return found


def _other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Decimal | int) and not isinstance(value, str):
        return value + 1
    if isinstance(value, str):
        members = list(type(value)) if type(value) is not str else []
        return next((each for each in members if each != value), f"{value}x")
    if isinstance(value, tuple):
        return (*value, "another")
    if attrs.has(type(value)):
        return attrs.evolve(value, name=_other(value.name))
    assert value is None, f"no other value is known of {value!r}"
    return 7


def _entities(state: Partition) -> list[tuple[str, Any]]:
    """Objects that hold fields, each kind once or more."""
    return [
        *(("order", each) for each in list(state.orders.values())[-3:]),
        ("ledger", next(iter(state.ledgers.values()))),
        ("position", next(iter(state.positions.values()))),
        ("instrument", next(iter(state.instruments.values()))),
        ("wallet", next(iter(state.wallets.values()))),
        ("balance", next(iter(next(iter(state.wallets.values())).balances.values()))),
        ("command", next(reversed(next(iter(state.windows.values())).entries.values()))),
    ]


def test_every_field_of_every_entity_is_in_it(state: Partition) -> None:
    """Another value in any one field of any entity gives another digest, and the old value the old one."""
    good = from_scratch(state)
    changed = set()
    for kind, entity in _entities(state):
        for field in attrs.fields_dict(type(entity)):
            value = getattr(entity, field)
            if isinstance(value, dict) or attrs.has(type(value)):
                continue
            setattr(entity, field, _other(value))
            assert from_scratch(state) != good, f"{kind} {field}"
            setattr(entity, field, value)
            changed.add((kind, field))
    assert from_scratch(state) == good
    assert len({kind for kind, _ in changed}) == 7
    assert len(changed) > 50


def test_every_field_of_the_partition_is_in_it(state: Partition) -> None:
    """So it is with the partition's own fields, and with every entry that is held by key."""
    good = from_scratch(state)
    own = own_line(state)
    for field in digests.OWN_FIELDS:
        value = getattr(state, field)
        setattr(state, field, _other(value))
        assert from_scratch(state) != good, field
        setattr(state, field, value)
    assert own_line(state) == own
    for name in ("accounts", "finished", "doubtful", "unanswered", "retired"):
        held = getattr(state, name)
        key, value = next(iter(held.items()))
        held[key] = _other(value)
        assert from_scratch(state) != good, name
        held[key] = value
        del held[key]
        assert from_scratch(state) != good, f"{name} less one"
        held[key] = value
    ledger = next(iter(state.ledgers.values()))
    for symbol, at in ledger.filled_until.items():
        ledger.filled_until[symbol] = at + 1
        assert from_scratch(state) != good, f"filled until {symbol}"
        ledger.filled_until[symbol] = at
    trade, at = next(iter(ledger.trade_ids.items()))
    ledger.trade_ids[trade] = at + 1
    assert from_scratch(state) != good
    ledger.trade_ids[trade] = at
    assert from_scratch(state) == good


def test_what_changes_unnoted_is_seen_from_scratch_only(state: Partition) -> None:
    """The one kept up looks at what was noted alone: that is why every rule must note, and the machine compares both."""
    copy = image.load(image.dump(state))
    assert copy.digest() == from_scratch(copy)
    next(iter(copy.positions.values())).quantity += 1
    assert copy.digest() != from_scratch(copy)
    copy.changes.positions[next(iter(copy.positions))] = None
    assert copy.digest() == from_scratch(copy)
