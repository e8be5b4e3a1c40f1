"""Replay: events a second from the journal, and how long a start takes with a snapshot."""

import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
from nats.aio.client import Client

from benchmarks.desk import PLACE, SETUP, place
from benchmarks.figures import Figure, of_latencies, of_rates
from benchmarks.limits import BEGIN
from oms.aggregates.partition import Partition
from oms.handlers.dispatch import handle
from oms.journal.stream import ensure_journal
from oms.journal.writer import JournalWriter
from oms.messages.codec import encode
from oms.messages.commands import StartEngine
from oms.messages.frames import GENESIS, encode_commit
from oms.nats_server import EmbeddedNats
from replay.rebuild import rebuild
from replay.snapshot import Snapshots, content_of
from replay.source import Source

ORDERS = 60_000
COMMITS_A_FRAME = 100
ROUNDS = 3


async def measure() -> AsyncIterator[Figure]:
    """Write a journal of many order lives (placed, accepted, filled in two parts: four events), then rebuild from it."""
    with tempfile.TemporaryDirectory() as directory:
        async with EmbeddedNats(Path(directory) / "nats") as server:
            nc = await nats.connect(server.url)
            await _write(nc)
            for projections in (False, True):
                rates = []
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    history = await rebuild(Source(nc), None, projections=projections)
                    rates.append(history.events / (time.perf_counter() - started))
                name = "replay, state and read models" if projections else "replay, decision state"
                yield of_rates(name, rates, "events/s", ">= 100,000", f"{history.events:,} events")
            snapshots = Snapshots(Path(directory))
            whole = await rebuild(Source(nc), None)
            snapshots.write(content_of(whole), whole.at)
            starts = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                await rebuild(Source(nc), snapshots, projections=False)
                starts.append(time.perf_counter() - started)
            yield of_latencies(
                "start from a snapshot", starts, "s", "< 2", f"{ORDERS:,} orders in the journal"
            )
            await nc.close()


async def _write(nc: Client) -> None:
    await ensure_journal(nc.jetstream())
    state = Partition()
    writer = JournalWriter(nc, 0, GENESIS)
    waiting: list[bytes] = []

    async def do(subject: str, raw: bytes) -> None:
        outcome = handle(state, subject, raw, state.at + 1_000, writer.sequence + 1)
        assert outcome.reply.ok, outcome.reply
        if outcome.commit is not None:
            waiting.append(encode_commit(outcome.commit))
        if len(waiting) >= COMMITS_A_FRAME:
            await writer.append(waiting)
            waiting.clear()

    await do(
        "start._._._._",
        encode(StartEngine(instance="bench", version="0", journal_id="mbench", partition="0")),
    )
    await do(BEGIN[0], json.dumps(BEGIN[1]).encode())
    await do("register_account._.main._._", b'{"command_id":"r","kind":"MAIN"}')
    for subject, payload in SETUP:
        await do(subject, json.dumps(payload).encode())
    for number in range(ORDERS):
        order_id = state.order_id()
        await do(PLACE, place(number))
        await do("report.binance.main.spot._", _reports(order_id, number))
    await writer.append(waiting)


def _reports(order_id: str, number: int) -> bytes:
    fill = (
        b'{"report":"filled","order_id":"%b","symbol":"BTCUSDT","side":"buy","trade_id":"%d","quantity":"0.00050",'
        b'"price":"40000.00","fee":"0.0000005","fee_asset":"BTC","maker":true,"venue_time":%d}'
    )
    oid = order_id.encode()
    return (
        b'{"session":"bench","reports":[{"report":"accepted","order_id":"%b","venue_order_id":"%d","venue_time":1},'
        % (oid, number)
        + fill % (oid, 2 * number, 10**18 + number)
        + b","
        + fill % (oid, 2 * number + 1, 10**18 + number)
        + b"]}"
    )
