"""What changed between two moments: the one state and the changes make the other, whatever the moments are."""

import asyncio
import decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.aggregates.money import EXACT
from oms.projections.orders import order_fields
from replay.archive import Archive, ArchiveWriter
from replay.asking import diff as module
from replay.asking.asof import Unanswerable, as_of
from replay.asking.diff import Diff, diff, entities
from replay.asking.filters import Filters, UnknownName
from replay.asking.moment import Moment
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.replay.journal import Maker, busy

ALL = Filters()


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal of a dozen frames."""
    return busy(9, 120, frame=12)


@pytest.fixture(scope="module")
def data_dir(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of it."""
    directory = tmp_path_factory.mktemp("data")
    writer = ArchiveWriter(directory)
    for stored, payload in zip(maker.stored, maker.payloads, strict=True):
        writer.append(stored.sequence, payload, b"", stored.frame.commits[0].at)
    writer.close()
    return directory


def compare(data_dir: Path, one: Moment, other: Moment | None, filters: Filters = ALL) -> Diff:
    """Ask without an event loop around, from an archive."""
    return asyncio.run(diff(Source(None, Archive(data_dir)), Snapshots(data_dir), one, other, filters))


def fields_at(data_dir: Path, at: Moment) -> dict[tuple[str, str], dict[str, Any]]:
    """Every entity's fields that have a value, orders included, at a moment."""
    history = asyncio.run(as_of(Source(None, Archive(data_dir)), None, at)).history
    assert history.projections is not None
    with decimal.localcontext(EXACT):
        found = {key: dict(one.fields) for key, one in entities(history)}
    found |= {("order", i): order_fields(order) for i, order in history.projections.orders.by_id.items()}
    return valued(found)


def valued(entities: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Without the fields that have no value."""
    return {
        key: {name: value for name, value in fields.items() if value is not None}
        for key, fields in entities.items()
    }


def changed(before: dict[tuple[str, str], Any], found: Diff, side: str) -> dict[tuple[str, str], Any]:
    """The entities of one side, with the values of the other put in where they differ."""
    made = {key: dict(fields) for key, fields in before.items()}
    for change in found.changes:
        fields = made.setdefault((change.entity, change.key), {})
        for one in change.fields:
            fields[one.field] = getattr(one, side)
    return valued(made)


@given(data=st.data())
def test_one_state_and_the_changes_make_the_other(maker: Maker, data_dir: Path, data: st.DataObject) -> None:
    """For any two moments, given in any order: before with the changes put in is after, and the way back too."""
    times = [commit.at for stored in maker.stored for commit in stored.frame.commits]
    moments = st.sampled_from(times).map(lambda at: Moment(time=at)) | st.integers(1, maker.sequence).map(
        lambda sequence: Moment(sequence=sequence)
    )
    one, other = data.draw(moments), data.draw(moments)
    found = compare(data_dir, one, other)
    assert found == compare(data_dir, other, one)
    ends = [fields_at(data_dir, Moment(time=head.at)) for head in (found.before, found.after)]
    assert found.before.at <= found.after.at
    assert changed(ends[0], found, "after") == ends[1]
    gone = {(c.entity, c.key) for c in found.changes if c.change == "new"}
    back = changed(ends[1], found, "before")
    assert {key: fields for key, fields in back.items() if key not in gone} == ends[0]
    between = [at for at in times if found.before.at < at <= found.after.at]
    assert found.commits == len(between)
    for change in found.changes:
        assert change.fields
        assert all(one.before != one.after for one in change.fields)


def test_until_now_and_the_heads(maker: Maker, data_dir: Path) -> None:
    """Without a second moment the end is compared with; the heads carry sequence, chain head and digest of both."""
    found = compare(data_dir, Moment(sequence=2), None)
    assert (found.before.sequence, found.after.sequence) == (2, maker.sequence)
    assert (found.before.head, found.after.head) == (maker.stored[1].digest, maker.stored[-1].digest)
    assert found.after.digest == maker.state.digest()
    events = [e for s in maker.stored[2:] for c in s.frame.commits for e in c.events]
    assert sum(found.events.values()) == len(events)
    assert found.events["OrderFilled.1"] == sum(type(e).__name__ == "OrderFilled" for e in events)


def test_an_order_that_came_and_went_in_between_is_told(maker: Maker, data_dir: Path) -> None:
    """Every order with an event in between is there: as new with its end when it was made in between."""
    found = compare(data_dir, Moment(sequence=2), None)
    orders = {change.key: change for change in found.changes if change.entity == "order"}
    placed = {
        event.order_id
        for stored in maker.stored[2:]
        for commit in stored.frame.commits
        for event in commit.events
        if type(event).__name__ in ("OrderPlaced", "OrderDenied")
    }
    assert {key for key, change in orders.items() if change.change == "new"} == placed
    ended = [c for c in orders.values() if any(f.field == "status" and f.after == "FILLED" for f in c.fields)]
    assert ended
    assert list(orders) == sorted(orders)


def test_filters_narrow_the_changes(data_dir: Path) -> None:
    """A filter leaves over what it means, and takes out what it does not apply to."""
    every = compare(data_dir, Moment(sequence=2), None)

    def kinds(filters: Filters) -> dict[str, int]:
        found = compare(data_dir, Moment(sequence=2), None, filters)
        assert all(change in every.changes for change in found.changes)
        counts: dict[str, int] = {}
        for change in found.changes:
            counts[change.entity] = counts.get(change.entity, 0) + 1
        return counts

    assert set(kinds(Filters(symbol="BTCUSDT"))) == {"position", "pnl", "order"}
    assert set(kinds(Filters(strategy="mm"))) == {"pnl", "order"}
    both = [kinds(Filters(account=name)) for name in ("main", "sub_arb")]
    assert sum(kind["order"] for kind in both) == kinds(ALL)["order"]
    assert set(both[0]) == {"position", "balance", "pnl", "order"}
    with pytest.raises(UnknownName, match="nope"):
        kinds(Filters(account="nope"))


def test_other_things_than_orders_are_compared(tmp_path: Path) -> None:
    """A new engine, account, connector session, mark and halted instrument are changes too."""
    maker = Maker()
    maker.begin()
    maker.ask("start._._._._", instance="e2", version="1", journal_id="mtest1", partition="0")
    maker.command("register_account._.late._._", kind="SUB")
    maker.ask("open_session.binance.main.spot._", session="s2", ready=False)
    maker.ask("report_marks.binance._.spot._", marks={"BTCUSDT": "50001"})
    maker.cut()
    writer = ArchiveWriter(tmp_path)
    for stored, payload in zip(maker.stored, maker.payloads, strict=True):
        writer.append(stored.sequence, payload, b"", stored.frame.commits[0].at)
    writer.close()
    found = compare(tmp_path, Moment(sequence=1), Moment(sequence=2))
    said = {(c.entity, c.key, f.field): (f.before, f.after) for c in found.changes for f in c.fields}
    assert said[("engine", "0", "instance")] == ("e1", "e2")
    assert said[("account", "late", "kind")] == (None, "SUB")
    assert said[("connector", "binance.main.spot", "session")] == ("s1", "s2")
    assert said[("connector", "binance.main.spot", "ready")] == (True, False)
    assert said[("instrument", "binance.spot.BTCUSDT", "mark")] == (50_000, 50_001)


def test_a_moment_that_is_not_there_is_refused(maker: Maker, data_dir: Path) -> None:
    """Either moment must be in the history."""
    last = Moment(sequence=maker.sequence)
    for one, other in (
        (last, Moment(sequence=maker.sequence + 1)),
        (Moment(sequence=0), last),
        (Moment(time=1), last),
        (Moment(sequence=99), Moment(time=maker.clock)),
    ):
        with pytest.raises(Unanswerable):
            compare(data_dir, one, other)


def test_a_late_trade_of_an_order_that_is_no_longer_held_is_counted(tmp_path: Path) -> None:
    """An order that finished too long ago to be held, and then gets a trade, is counted where it cannot be shown."""
    hour = 3_600 * 10**9
    maker = Maker()
    maker.begin()
    order_id = maker.place()
    maker.accept(order_id)
    maker.fill(order_id, "1", "100")
    maker.cut()
    maker.clock += 30 * hour
    maker.ask("report_marks.binance._.spot._", marks={"BTCUSDT": "50001"})
    maker.cut()
    report = {
        "report": "filled",
        "order_id": order_id,
        "symbol": "BTCUSDT",
        "side": "buy",
        "trade_id": "late",
    }
    report |= {"quantity": "1", "price": "100", "fee": "0", "fee_asset": "USDT", "maker": True}
    maker.report(report | {"venue_time": maker.clock})
    maker.cut()
    writer = ArchiveWriter(tmp_path)
    for stored, payload in zip(maker.stored, maker.payloads, strict=True):
        writer.append(stored.sequence, payload, b"", stored.frame.commits[0].at)
    writer.close()
    found = compare(tmp_path, Moment(sequence=3), Moment(sequence=4))
    assert found.forgotten == 1
    assert {change.entity for change in found.changes} == {"position", "balance", "pnl"}
    # Between moments before and after its whole life it is told, however long ago it finished at the later one.
    (order,) = [
        c for c in compare(tmp_path, Moment(sequence=1), Moment(sequence=4)).changes if c.entity == "order"
    ]
    assert (order.key, order.change) == (order_id, "new")


def test_a_snapshot_at_the_earlier_moment_gives_the_same(
    maker: Maker, data_dir: Path, tmp_path: Path
) -> None:
    """The answer does not hang on where the replay started."""
    source = Source(None, Archive(data_dir))
    history = asyncio.run(as_of(source, None, Moment(sequence=4))).history
    Snapshots(tmp_path).write(content_of(history), maker.clock)
    for one in (Moment(sequence=4), Moment(sequence=6)):
        with_it = asyncio.run(diff(source, Snapshots(tmp_path), one, None))
        assert with_it == compare(data_dir, one, None)


def test_too_much_that_changed_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: of more orders than that the answer is to choose closer moments."""
    monkeypatch.setattr(module, "MAX_CHANGED", 3)
    with pytest.raises(Unanswerable, match="more than 3 orders changed"):
        compare(data_dir, Moment(sequence=2), None)
    monkeypatch.setattr(module, "MAX_CHANGED", 500)
    assert compare(data_dir, Moment(sequence=2), None).changes
