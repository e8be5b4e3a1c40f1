"""As of any moment: exactly the commits up to it, from zero, from any snapshot, and from the archive."""

import asyncio
import contextlib
import decimal
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from oms.aggregates import image
from oms.aggregates.money import EXACT
from oms.aggregates.partition import Partition
from oms.config import CacheConfig
from oms.journal.stream import STREAM, SUBJECT
from oms.messages import queries as q
from oms.nats_server import EmbeddedNats
from oms.projections.accounts import account_rows
from oms.projections.projections import Projections
from replay.archive import Archive, ArchiveWriter
from replay.asking import rows
from replay.asking.asof import BOOKS, EVERYTHING, ORDERS, TRADES, AsOf, ReadModels, Unanswerable, as_of
from replay.asking.filters import Filters, UnknownName
from replay.asking.moment import LAST_TIME, Moment
from replay.rebuild import new_history
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from tests.replay.journal import START, Maker, busy

ALL = Filters()
_encode = msgspec.json.encode


def archive(maker: Maker, data_dir: Path, upto: int | None = None) -> Source:
    """A source that reads a real archive of the journal, or of its first frames, and nothing else."""
    writer = ArchiveWriter(data_dir)
    for stored, payload in list(zip(maker.stored, maker.payloads, strict=True))[:upto]:
        writer.append(stored.sequence, payload, b"", stored.frame.commits[0].at)
    writer.close()
    return Source(None, Archive(data_dir))


def ask(source: Source, snapshots: Snapshots | None, at: Moment | None, **options: Any) -> AsOf:
    """Ask without an event loop around."""
    return asyncio.run(as_of(source, snapshots, at, **options))


def applied(maker: Maker, count: int) -> tuple[Partition, Projections]:
    """State and read models after exactly so many commits, by nothing but evolving."""
    state = Partition()
    models = Projections(state, EVERYTHING.cache.max_size, EVERYTHING.cache.default_ttl)
    commits = [(stored.sequence, commit) for stored in maker.stored for commit in stored.frame.commits]
    with decimal.localcontext(EXACT):
        for sequence, commit in commits[:count]:
            for event in commit.events:
                state.evolve(event, commit.at)
                models.evolve(event, commit.at, sequence)
            state.finish(commit, sequence)
    return state, models


def everything(found: AsOf) -> bytes:
    """All that an answer can say."""
    history = found.history
    with decimal.localcontext(EXACT):
        return _encode(
            [
                found.head.digest,
                list(rows.orders(history, ALL)),
                list(rows.trades(history, ALL)),
                list(rows.positions(history, ALL)),
                list(rows.balances(history, ALL)),
                rows.pnl_rows(history, ALL, ["account", "strategy", "symbol", "day"]),
                rows.limits(history, ALL, q.ShowLimits(), found.head.at),
                list(account_rows(history.partition, history.partition.accounts)),
            ]
        )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    frame=st.sampled_from([1, 3, 20]),
    step=st.sampled_from([0, 1, 10**9]),
    data=st.data(),
)
def test_as_of_any_commit_is_exactly_the_commits_up_to_it(
    seed: int, frame: int, step: int, data: st.DataObject
) -> None:
    """At the time of any commit of any journal the state is that of applying just the commits that are not later."""
    maker = busy(seed, 25, frame=frame, step=step)
    times = [commit.at for stored in maker.stored for commit in stored.frame.commits]
    at = data.draw(st.sampled_from(times)) + data.draw(st.integers(0, max(0, step - 1)))
    state, models = applied(maker, sum(time <= at for time in times))
    with tempfile.TemporaryDirectory() as directory:
        found = ask(archive(maker, Path(directory)), None, Moment(time=at))
    history = found.history
    assert history.at == max(time for time in times if time <= at)
    assert image.dump(history.partition) == image.dump(state)
    assert found.head.digest == image.digest(state)
    assert history.projections is not None
    assert history.projections.dump() == models.dump()
    whole = [s for s in maker.stored if s.frame.commits[-1].at <= at]
    assert history.sequence == len(whole)
    assert history.part == sum(time <= at for time in times) - sum(len(s.frame.commits) for s in whole)


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A journal of ten frames."""
    return busy(5, 120, frame=14)


@pytest.fixture(scope="module")
def data_dir(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of it, and a snapshot after each second frame."""
    directory = tmp_path_factory.mktemp("data")
    archive(maker, directory)
    history = new_history(EVERYTHING.cache)
    for stored in maker.stored:
        history.apply(stored)
        if stored.sequence % 2 == 0:
            now = (START // 10**9 + 3_600 * stored.sequence) * 10**9
            Snapshots(directory).write(content_of(history), now)
    return directory


def test_every_way_to_the_same_moment_gives_the_same_bytes(maker: Maker, url: str, data_dir: Path) -> None:
    """From zero, from the nearest snapshot, from journal and from archive: one answer at each commit's time and sequence."""
    times = sorted({c.at for stored in maker.stored for c in stored.frame.commits})[::7]
    moments = [Moment(time=time) for time in times] + [
        Moment(sequence=s) for s in range(1, maker.sequence + 1)
    ]

    async def all_ways() -> None:
        nc = await nats.connect(url)
        held = Archive(data_dir)
        for moment in moments:
            answers = {
                everything(await as_of(source, snapshots, moment))
                for source in (Source(nc), Source(None, held), Source(nc, held))
                for snapshots in (None, Snapshots(data_dir))
            }
            assert len(answers) == 1, str(moment)
        await nc.close()

    asyncio.run(all_ways())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A server whose journal is made anew for every example."""
    server = EmbeddedNats(tmp_path_factory.mktemp("nats"), sync_always=False)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), frame=st.sampled_from([2, 5]), data=st.data())
def test_any_journal_any_snapshot_any_seam(
    server: EmbeddedNats, seed: int, frame: int, data: st.DataObject
) -> None:
    """Byte for byte the same from zero, from a snapshot after any frame, and from an archive with a trimmed journal."""
    maker = busy(seed, 30, frame=frame)
    count = maker.sequence
    begins = data.draw(st.integers(1, count), "first frame that the journal still has")
    archived = data.draw(st.integers(begins - 1, count), "last frame that the archive has")
    taken = data.draw(st.integers(1, count), "frame that the snapshot is of")
    times = [commit.at for stored in maker.stored for commit in stored.frame.commits]
    moment = data.draw(
        st.sampled_from(times).map(lambda at: Moment(time=at))
        | st.integers(1, count).map(lambda sequence: Moment(sequence=sequence))
    )

    async def ways(directory: Path) -> set[bytes]:
        history = new_history(EVERYTHING.cache)
        for stored in maker.stored[:taken]:
            history.apply(stored)
        snapshots = Snapshots(directory / "some")
        snapshots.write(content_of(history), START)
        archive(maker, directory / "whole")
        archive(maker, directory / "some", archived)
        nc = await nats.connect(server.url)
        js = nc.jetstream()
        with contextlib.suppress(NotFoundError):
            await js.delete_stream(STREAM)
        await js.add_stream(StreamConfig(name=STREAM, subjects=[SUBJECT], first_seq=begins))
        for payload in maker.payloads[begins - 1 :]:
            await js.publish(SUBJECT, payload)
        whole, both = Source(None, Archive(directory / "whole")), Source(nc, Archive(directory / "some"))
        found = {
            everything(await as_of(source, held, moment))
            for source, held in ((whole, None), (whole, snapshots), (both, None), (both, snapshots))
        }
        await nc.close()
        return found

    with tempfile.TemporaryDirectory() as directory:
        assert len(asyncio.run(ways(Path(directory)))) == 1


def test_an_answer_starts_from_the_nearest_snapshot(maker: Maker, data_dir: Path) -> None:
    """Few events are applied: those behind the last snapshot that is not later."""
    source = Source(None, Archive(data_dir))
    found = ask(source, Snapshots(data_dir), Moment(sequence=7))
    assert found.history.events == sum(len(c.events) for c in maker.stored[6].frame.commits)
    assert ask(source, Snapshots(data_dir), Moment(sequence=7), from_zero=True).history.before == 0


def test_a_snapshot_with_another_digest_is_not_started_from(maker: Maker, tmp_path: Path) -> None:
    """A snapshot whose state is not what its header says is skipped, however whole its bytes are."""
    source = archive(maker, tmp_path)
    history = new_history(EVERYTHING.cache)
    for stored in maker.stored[:4]:
        history.apply(stored)
    written = Snapshots(tmp_path).write(content_of(history), START)
    text = written.path.read_bytes()
    header = text[len(b'{"header":') : text.index(b',"header_sha256"')]
    forged = msgspec.json.encode(msgspec.structs.replace(written.header, digest=written.header.digest[::-1]))
    text = text.replace(header, forged)
    text = text.replace(
        hashlib.sha256(header).hexdigest().encode(), hashlib.sha256(forged).hexdigest().encode()
    )
    written.path.write_bytes(text)
    found = ask(source, Snapshots(tmp_path), Moment(sequence=5))
    assert (found.history.before, found.history.sequence) == (0, 5)


def test_a_moment_that_is_not_there_is_refused(maker: Maker, data_dir: Path) -> None:
    """Before the first commit, after the last frame, or after what an archive knows: refused, with what there is."""
    source = Source(None, Archive(data_dir))
    begin, end = maker.stored[0].frame.commits[0].at, maker.stored[-1].frame.commits[-1].at
    for moment, said in (
        (Moment(sequence=0), f"from 1 to {maker.sequence}"),
        (Moment(sequence=maker.sequence + 1), f"from 1 to {maker.sequence}"),
        (Moment(time=begin - 1), "the history begins at"),
    ):
        with pytest.raises(Unanswerable, match=said):
            ask(source, None, moment)
    with pytest.raises(Unanswerable, match=f"ends at sequence {maker.sequence}"):
        ask(source, None, Moment(time=end + 1), ends_now=False)
    assert ask(source, None, Moment(time=end), ends_now=False).head.beyond is False
    assert ask(source, None, Moment(time=end + 1)).head.beyond is True
    with pytest.raises(Unanswerable, match="empty"):
        ask(Source(None, Archive(data_dir / "nothing")), None, None)


def test_what_a_snapshot_no_longer_held_is_told(maker: Maker, tmp_path: Path) -> None:
    """From a snapshot with small bounds orders and trades are incomplete, by how many is said; from zero all are there."""
    source = archive(maker, tmp_path)
    history = new_history(CacheConfig(max_size=5))
    for stored in maker.stored[:6]:
        history.apply(stored)
    Snapshots(tmp_path).write(content_of(history), START)
    found = ask(source, Snapshots(tmp_path), None)
    whole = ask(source, Snapshots(tmp_path), None, from_zero=True)
    assert (whole.orders.missing, whole.orders.since) == (0, None)
    assert (whole.trades.missing, whole.trades.since) == (0, None)
    assert whole.orders.held == found.orders.ever == 120
    assert found.orders.missing == 120 - found.orders.held > 0
    assert found.trades.missing == whole.trades.held - found.trades.held > 0
    models = whole.history.projections
    assert models is not None
    assert found.history.projections is not None
    lost = models.orders.by_id.keys() - found.history.projections.orders.by_id.keys()
    assert found.orders.since is not None
    assert all(models.orders.finished[order_id] <= found.orders.since for order_id in lost)


def test_filters_narrow_rows(maker: Maker, data_dir: Path) -> None:
    """Rows are those of all that the filter means, and what the filters leave over adds up to everything."""
    history = ask(Source(None, Archive(data_dir)), None, None).history
    middle = maker.stored[5].frame.commits[0].at
    with decimal.localcontext(EXACT):
        every = list(rows.orders(history, ALL))
        for split in (
            [Filters(account="main"), Filters(account="sub_arb")],
            [Filters(symbol="BTCUSDT"), Filters(symbol="ETHUSDT")],
            [Filters(strategy=name) for name in ("", "arb", "mm")],
            [Filters(until=middle), Filters(since=middle + 1)],
        ):
            parts = [list(rows.orders(history, one)) for one in split]
            assert all(parts)
            assert sorted((r.order_id for part in parts for r in part), reverse=True) == [
                r.order_id for r in every
            ]
            trades = [list(rows.trades(history, one)) for one in split]
            assert sum(map(len, trades)) == len(list(rows.trades(history, ALL)))
        one = every[20]
        then = Filters(since=one.updated_at, until=one.updated_at)
        assert one in list(rows.orders(history, then))
        assert {row.updated_at for row in rows.orders(history, then)} == {one.updated_at}
        live = list(rows.orders(history, ALL, live=True))
        assert live == [row for row in every if row.open]
        assert list(rows.orders(history, ALL, live=False)) == [row for row in every if not row.open]


@pytest.mark.parametrize("what", ["account", "exchange", "market", "symbol"])
def test_a_name_that_is_not_known_is_refused(data_dir: Path, what: str) -> None:
    """An unknown account or symbol is no empty answer: it is refused with those that are known."""
    state = ask(Source(None, Archive(data_dir)), None, None, read_models=None).history.partition
    with pytest.raises(UnknownName, match=f"no {what} 'nope' at that moment, known: "):
        Filters(**{what: "nope"}).check(state)
    Filters(account="main", exchange="binance", market="spot", symbol="BTCUSDT").check(state)


def test_what_is_left_out_of_a_snapshot_changes_nothing_else(maker: Maker, data_dir: Path) -> None:
    """P&L without orders and trades, orders without trades and trades without orders are those of everything."""
    source, snapshots, at = Source(None, Archive(data_dir)), Snapshots(data_dir), Moment(sequence=9)
    whole = ask(source, snapshots, at).history
    by: list[Any] = ["account", "strategy", "symbol", "day"]
    with decimal.localcontext(EXACT):
        for needs, of in (
            (BOOKS, lambda history: rows.pnl_rows(history, ALL, by)),
            (ORDERS, lambda history: list(rows.orders(history, ALL))),
            (TRADES, lambda history: list(rows.trades(history, ALL))),
        ):
            found = ask(source, snapshots, at, read_models=needs)
            assert found.history.before > 0
            assert of(found.history) == of(whole)
            assert found.head.digest == whole.partition.digest()


def test_an_answer_holds_no_more_than_its_bound(maker: Maker, data_dir: Path) -> None:
    """Beyond the bound the oldest finished orders leave, and how many did is told."""
    few = ReadModels(CacheConfig(max_size=10, default_ttl=LAST_TIME))
    found = ask(Source(None, Archive(data_dir)), None, None, read_models=few)
    models = found.history.projections
    assert models is not None
    assert len(models.orders.finished) == len(models.trades.by_number) == 10
    assert found.orders.missing == 120 - len(models.orders.by_id)
    assert found.trades.missing == models.trades.last - 10
