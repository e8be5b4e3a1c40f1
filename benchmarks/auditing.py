"""Audits on a million events: what the archive takes, how fast it is verified and answered from. No nats-server is needed."""

import gc
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.desk import PLACE, SETUP, encoded
from benchmarks.figures import Figure, of_latencies, of_rates
from benchmarks.limits import BEGIN
from oms.aggregates.partition import Partition
from oms.config import CacheConfig
from oms.handlers.dispatch import handle
from oms.journal.reader import check_frame
from oms.messages.frames import GENESIS, encode_commit, encode_frame, frame_digest
from replay.archive import Archive, ArchiveWriter
from replay.archive.layout import SEALED_SUFFIX, root_of
from replay.asking.asof import BOOKS, as_of
from replay.asking.moment import Moment
from replay.history import History
from replay.memory import no_collection
from replay.rebuild import new_history
from replay.snapshot import Snapshots, content_of
from replay.source import Source
from replay.verify import verify

REPORT = "report.binance.main.spot._"
ORDERS = 260_000
"""Four events each: placed, accepted, filled in two parts."""
COMMITS_A_FRAME = 100
SEAL_COMMITS = 256
SNAPSHOT_EVENTS = 100_000
"""Snapshots are so far apart at most; two of them stand before the moments asked about."""
QUESTIONS = 12
DECIDED_ORDERS = 50_000


async def measure() -> AsyncIterator[Figure]:
    """Write an archive of over a million events with its snapshots, then verify it and ask of it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        written = _Written(directory)
        for figure in written.write(ORDERS):
            yield figure
        asked_from, upto = written.asked_from, written.sequence
        # What was written from must not be walked by the collector while something else is measured.
        del written
        gc.collect()
        source, archive = Source(None, Archive(directory)), Archive(directory)
        yield await _chain(source)
        started = time.perf_counter()
        report = await verify(source, directory, Snapshots(directory), archive, decisions=False)
        assert not report.findings, report.findings
        yield of_rates(
            "verify: chain, checks, seals, state",
            [report.events / (time.perf_counter() - started)],
            "events/s",
            ">= 250,000",
            f"{report.events:,} events, one core",
        )
        for figure in [figure async for figure in _questions(source, directory, asked_from, upto)]:
            yield figure
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        list(_Written(directory).write(DECIDED_ORDERS))
        report = await verify(
            Source(None, Archive(directory)), directory, Snapshots(directory), Archive(directory)
        )
        assert not report.findings, report.findings
        yield of_rates(
            "verify: commands decided again",
            [report.decided / report.deciding],
            "commands/s",
            note=f"{report.events:,} events; {report.events / report.seconds:,.0f} events/s with all else",
        )


async def _chain(source: Source) -> Figure:
    """Reading, decompressing, hash chain and decoding, without replaying."""
    _, last = await source.bounds()
    events, started = 0, time.perf_counter()
    with no_collection():
        async for batch in source.frames(1, last, GENESIS):
            for stored in batch:
                for commit in stored.frame.commits:
                    events += len(commit.events)
    rate = events / (time.perf_counter() - started)
    return of_rates("read the archive, chain checked", [rate], "events/s", note=f"{events:,} events")


async def _questions(source: Source, directory: Path, asked_from: int, upto: int) -> AsyncIterator[Figure]:
    chance = random.Random(1)
    snapshots = Snapshots(directory)
    for name, models in (("positions, balances, limits", None), ("P&L", BOOKS)):
        times = []
        for _ in range(QUESTIONS):
            at = Moment(sequence=chance.randrange(asked_from, upto), time=None)
            started = time.perf_counter()
            found = await as_of(source, snapshots, at, read_models=models)
            times.append(time.perf_counter() - started)
            del found
            gc.collect()
        yield of_latencies(f"as of a moment: {name}", times, "s", "< 2", "from the nearest snapshot")


class _Written:
    """A history that is archived as the follower does it.

    Attributes:
        sequence: of the last frame. ``asked_from``: of the first snapshot.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sequence = 0
        self.asked_from = 0
        self._state = Partition()
        self._head = GENESIS
        self._history: History = new_history(CacheConfig())
        self._history.checks = b""
        self._writer = ArchiveWriter(directory)
        self._commits: list[bytes] = []
        self._unsealed = 0
        self._spent = 0.0
        self._applying = 0.0

    def write(self, orders: int) -> list[Figure]:
        """Decide, apply, archive; return what the archive took."""
        self._ask(
            "start._._._._",
            encoded({"instance": "b", "version": "0", "journal_id": "mbench", "partition": "0"}),
        )
        self._ask(BEGIN[0], encoded(BEGIN[1]))
        self._ask("register_account._.main._._", b'{"command_id":"r","kind":"MAIN"}')
        for subject, payload in SETUP:
            if "totals" in payload:
                payload = {**payload, "totals": {"USDT": "1000000000", "BTC": "1000000"}}
            self._ask(subject, encoded(payload))
        chance = random.Random(7)
        last_snapshots = {orders - 2 * SNAPSHOT_EVENTS // 4, orders - SNAPSHOT_EVENTS // 4}
        for number in range(orders):
            order_id = self._state.order_id()
            terms = _terms(chance)
            self._ask(PLACE, encoded({"command_id": _id(chance), "type": "limit", **terms}))
            self._ask(
                REPORT,
                encoded({"session": "bench", "reports": _told(order_id, number, terms, self._state.at)}),
            )
            if number in last_snapshots:
                self._cut()
                self.asked_from = self.asked_from or self.sequence
                Snapshots(self.directory).write(content_of(self._history), self.sequence * 3_600 * 10**9)
        self._cut()
        started = time.perf_counter()
        self._writer.seal()
        self._writer.close()
        self._spent += time.perf_counter() - started
        events = self._history.events
        size = sum(path.stat().st_size for path in root_of(self.directory).rglob(f"*{SEALED_SUFFIX}"))
        return [
            Figure(
                "archive, bytes an event",
                "bytes",
                size / events,
                size / events,
                "<= 60",
                f"{events:,} events",
            ),
            of_rates("archive: write, compress, seal", [events / self._spent], "events/s"),
            of_rates(
                "follow: state, read models, checks",
                [events / self._applying],
                "events/s",
                note="what the follower spends",
            ),
        ]

    def _ask(self, subject: str, raw: bytes) -> None:
        outcome = handle(self._state, subject, raw, self._state.at + 150_000, self.sequence + 1)
        assert outcome.reply.ok, outcome.reply
        if outcome.commit is None:
            return
        self._commits.append(encode_commit(outcome.commit))
        self._unsealed += 1
        if self._unsealed >= SEAL_COMMITS:
            self._unsealed = -1
            self._ask("seal._._._._", b"{}")
        if len(self._commits) >= COMMITS_A_FRAME:
            self._cut()

    def _cut(self) -> None:
        if not self._commits:
            return
        self.sequence += 1
        payload = encode_frame(self.sequence, self._head, self._commits)
        self._commits.clear()
        stored = check_frame(self.sequence, payload, self.sequence, self._head)
        self._head = frame_digest(payload)
        started = time.perf_counter()
        self._history.apply(stored)
        applied = time.perf_counter()
        assert self._history.checks is not None
        self._writer.append(self.sequence, payload, self._history.checks, stored.frame.commits[0].at)
        self._applying += applied - started
        self._spent += time.perf_counter() - applied


def _id(chance: random.Random) -> str:
    return uuid.UUID(int=chance.getrandbits(128)).hex


def _terms(chance: random.Random) -> dict[str, Any]:
    """An order's terms, not all the same."""
    return {
        "side": chance.choice(("buy", "buy", "sell")),
        "quantity": f"0.{2 * chance.randrange(100, 900):05d}",
        "price": f"{40_000 + chance.randrange(500)}.{chance.randrange(100):02d}",
        "strategy": chance.choice(("arb", "mm")),
    }


def _told(order_id: str, number: int, terms: dict[str, Any], at: int) -> list[dict[str, Any]]:
    """What the connector tells of it: accepted, and filled in two halves."""
    half, venue_time = Decimal(terms["quantity"]) / 2, at // 10**6 * 10**6
    accepted = {"report": "accepted", "venue_order_id": str(8_000_000 + number)}
    trade = {
        "report": "filled",
        "symbol": "BTCUSDT",
        "side": terms["side"],
        "quantity": str(half),
        "price": terms["price"],
        "fee": str(half * Decimal(terms["price"]) / 1000),
        "fee_asset": "USDT",
    }
    trades = [
        {**trade, "trade_id": str(5_000_000 + 2 * number + part), "maker": bool(part)} for part in (0, 1)
    ]
    return [{**report, "order_id": order_id, "venue_time": venue_time} for report in (accepted, *trades)]
