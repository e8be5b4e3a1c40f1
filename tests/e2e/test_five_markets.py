"""Every exchange at once, with real processes and every fault on, connectors killed among them.

In the end each order of ours stands at most once at its venue and has ended or works there as it does here, every fill is applied
once, balances and positions are the venues' to the last digit, nothing is in doubt and nothing is stuck.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import attrs
import nats
import pytest

from oms.cli.demo import evidence
from oms.cli.demo import markets as m
from oms.cli.exits import StoppedError
from oms.cli.stack import Stack
from oms.client import OmsClient
from oms.config import load_config, override
from oms.journal.reader import read_frames
from oms.messages.frames import GENESIS
from oms.messages.subjects import ANY
from oms.nats_server import EmbeddedNats
from oms.simulator.client import ControlClient
from replay.source import journal_bounds
from tests.limits import RISK

ORDERS = 2_000
SEED = 20_261_121
pytestmark = pytest.mark.timeout(420)


@pytest.fixture
async def stack(tmp_path: Path, nats_server: EmbeddedNats) -> AsyncIterator[Stack]:
    """Simulator, follower, engine and a connector for each exchange, as processes."""
    config = override(
        load_config(),
        data_dir=tmp_path / "data",
        nats_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
    )
    lines: list[str] = []
    stack = Stack(
        attrs.evolve(m.all_markets(config), risk=RISK), lambda name, line: lines.append(f"{name}: {line}")
    )
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()
        (tmp_path / "processes.log").write_text("\n".join(lines))
        print("\n".join(line for line in lines if "ERROR" in line or "CRITICAL" in line)[-20_000:])


async def _disturb(stack: Stack, rng: random.Random) -> None:
    """Kill a connector, cut the sockets of an exchange, kill the engine: one after the other, without end."""
    while True:
        for exchange in rng.sample(m.EXCHANGES, len(m.EXCHANGES)):
            await asyncio.sleep(rng.uniform(4.0, 7.0))
            async with ControlClient(stack.ca_path, stack.simulator_port, exchange) as venue:
                await venue.drop_websockets(rng.choice(("all", "user")))
            await asyncio.sleep(rng.uniform(4.0, 7.0))
            child = stack.processes.children[f"connector {rng.choice(m.EXCHANGES)}"]
            if child.pid is not None:
                child.signal(signal.SIGKILL)


async def _read_record(url: str) -> m.Record:
    record = m.Record()
    nc = await nats.connect(url)
    _, last = await journal_bounds(nc)
    async with aclosing(read_frames(nc, 1, last, GENESIS)) as frames:
        async for batch in frames:
            for stored in batch:
                for commit in stored.frame.commits:
                    record.add(commit)
    await nc.close()
    return record


async def _differences(stack: Stack, client: OmsClient) -> list[str]:
    record = await _read_record(stack.config.nats.url)
    venues = await m.read_venues(stack, record)
    return [
        *m.orders_agree(venues, record, await m.all_orders(client)),
        *m.fills_agree(venues, record),
        *await m.funds_agree(venues, client),
    ]


async def test_every_order_ends_right_on_every_market(stack: Stack) -> None:
    """Two thousand orders on seven markets of five exchanges with every fault on: nothing twice, lost, stuck or in doubt."""
    rng = random.Random(SEED)
    # Starting five crashed processes takes the machine's time; the supervisor must not give up on them.
    async with OmsClient.connect(stack.config.nats.url, account="main", patience_s=30) as client:
        load = m.Load(client, stack.config.accounts, SEED, pause_s=0.25)
        await m.trouble(stack)
        working = asyncio.create_task(load.run())
        disturbing = asyncio.create_task(_disturb(stack, rng))
        try:
            async with asyncio.timeout(240):
                while len(load.placed) < ORDERS:
                    await asyncio.sleep(0.5)
                    for task in (working, disturbing):
                        if task.done():
                            task.result()
        finally:
            disturbing.cancel()
            load.stopping.set()
            await working
            await asyncio.gather(disturbing, return_exceptions=True)
            struck = (await m.calm(stack)).total()
        assert struck > ORDERS / 4, f"the faults struck {struck} times"
        assert {place.venue for place in load.placed.values()} == {place.venue for place in m.PLACES}
        await _quiet(client)
        for account in stack.config.accounts:
            await client.cancel_all(account=account, exchange=ANY, market=ANY, symbol=ANY)
        await _quiet(client)
        found: list[str] = []
        for _ in range(12):
            # Dropped reports of the last moment are found at the next comparison.
            found = [
                f"{row.order_id} at {row.exchange}.{row.market} is {row.status} ({row.reason})"
                for row in await m.still_open(client)
            ]
            found += await _differences(stack, client)
            if not found:
                break
            await asyncio.sleep(2.5)
        assert found == [], f"{len(found)} differences, such as {found[:12]}"


async def _quiet(client: OmsClient) -> None:
    try:
        await evidence.until(
            "nothing waits for a venue and nothing is in doubt", lambda: m.settled(client), 90
        )
    except StoppedError:
        rows = [row for row in await m.all_orders(client) if row.in_doubt or row.status.startswith("PENDING")]
        pytest.fail(
            f"{len(rows)} orders never settled, such as {rows[:4]}: {await client.status(account=ANY)}"
        )
