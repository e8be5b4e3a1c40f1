"""The whole system with real processes: connector and nats-server are killed with orders in flight.

In the end the simulator holds exactly the orders that the journal says, in the same states, with the same trades and
balances; nothing is twice, nothing is in doubt.
"""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import nats
import pytest

from oms.cli.demo import compare as c
from oms.cli.demo import evidence
from oms.cli.exits import StoppedError
from oms.cli.stack import Stack
from oms.client import OmsClient, new_order
from oms.config import Config, RateLimits, VenueConfig, override
from oms.messages.enums import OrderStatus
from oms.messages.subjects import ANY
from oms.nats_server import EmbeddedNats
from oms.simulator.client import ControlClient
from tests.limits import wide_config

CONNECTOR = "connector binance"
ENOUGH = 50
"""Orders that have to be acknowledged for a test to have shown anything."""
WORKERS = 4
pytestmark = pytest.mark.timeout(240)


def _config(tmp_path: Path, server: EmbeddedNats) -> Config:
    config = override(
        wide_config(), data_dir=tmp_path / "data", nats_url=server.url, monitor_url=server.monitor_url
    )
    quick = RateLimits(weight_per_minute=600_000, orders_per_second=1_000)
    return attrs.evolve(config, exchanges={"binance": {"spot": VenueConfig(enabled=True, rate_limits=quick)}})


@pytest.fixture
async def stack(tmp_path: Path, nats_server: EmbeddedNats) -> AsyncIterator[Stack]:
    """Simulator, follower, engine and connector as processes, on a nats-server that the test may kill."""
    lines: list[str] = []
    stack = Stack(_config(tmp_path, nats_server), lambda name, line: lines.append(f"{name}: {line}"))
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()
        print("\n".join(lines[-300:]))


class Load:
    """Workers that place, cancel and amend around the market until told to stop."""

    def __init__(self, client: OmsClient, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self.stopping = asyncio.Event()
        self.acknowledged: list[c.Acknowledged] = []
        self.denied = 0

    async def run(self) -> None:
        """Work until ``stopping``."""
        await asyncio.gather(*(self._work() for _ in range(WORKERS)))

    async def _work(self) -> None:
        rng = self._rng
        while not self.stopping.is_set():
            account = rng.choice(("main", "sub_arb"))
            side = rng.choice(("buy", "sell"))
            # Some cross, some rest: the simulated market starts at 50,000 and moves a little.
            price = Decimal(50_000) + rng.randrange(-60, 60)
            order = new_order("BTCUSDT", side, "0.001", price=price, strategy=f"s{rng.randrange(3)}")
            (result,) = await self._client.place_many([order], account=account)
            if not result.ok:
                self.denied += 1
                await asyncio.sleep(0.05)
                continue
            assert result.order_id is not None
            self.acknowledged.append(c.Acknowledged(account, order, result.order_id))
            await asyncio.sleep(rng.uniform(0.1, 0.3))
            if rng.random() < 0.3:
                await self._client.cancel_many([result.order_id], account=account)
            elif rng.random() < 0.15:
                with contextlib.suppress(Exception):
                    await self._client.amend(result.order_id, quantity="0.002", account=account)


async def _settled(client: OmsClient) -> None:
    async def quiet() -> bool:
        status = await client.status()
        ready = all(session.ready for session in status.sessions)
        return ready and not status.unanswered and not status.in_doubt and not status.lag

    try:
        await evidence.until("nothing waits for the venue and nothing is in doubt", quiet, 45)
    except StoppedError:
        waiting = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
        stuck = [row for row in await _all_orders(client) if row.in_doubt or row.status in waiting]
        pytest.fail(f"{len(stuck)} orders never settled: {stuck[:5]}, {await client.status()}")
    await asyncio.sleep(1.0)


async def _differences(stack: Stack, client: OmsClient, load: Load) -> list[str]:
    nc = await nats.connect(stack.config.nats.url)
    facts, _ = await evidence.read_journal(nc)
    await nc.close()
    async with ControlClient(stack.ca_path, stack.simulator_port) as venue:
        orders = await evidence.venue_rows(venue.orders(), stack.config)
        trades = await evidence.venue_rows(venue.trades(), stack.config)
        balances = await evidence.venue_balances(venue, stack.config)
    rows = await _all_orders(client)
    return [
        *c.acknowledged_are_in_journal(load.acknowledged, facts),
        *c.nothing_twice(facts),
        *c.venue_agrees(orders, facts),
        *c.trades_agree(trades, facts),
        *c.balances_agree(balances, (await client.balances(account=ANY)).rows),
        *_statuses_differ(orders, rows),
    ]


async def _all_orders(client: OmsClient) -> list[Any]:
    return (await client.orders(account=ANY, rows=20_000)).rows


def _statuses_differ(venue: list[dict[str, Any]], rows: list[Any]) -> list[str]:
    """Every order has ended or works here as it does at the venue, and one the venue never had was never filled."""
    last = {
        row["client_order_id"].partition("R")[0]: row for row in sorted(venue, key=lambda r: r["created_ns"])
    }
    found = []
    for row in rows:
        there = last.get(row.order_id)
        if there is None:
            # Canceled is one that was taken back before it had left.
            never = (OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.CANCELED)
            if row.status not in never or row.filled:
                found.append(
                    f"{row.order_id} is {row.status} here, filled {row.filled}, and not at the venue"
                )
        elif there["status"] != row.status:
            found.append(f"{row.order_id} is {row.status} here and {there['status']} at the venue")
    return found


async def _under_load(
    stack: Stack, seed: int, trouble: Callable[[random.Random], Awaitable[None]]
) -> tuple[Load, list[str]]:
    rng = random.Random(seed)
    async with OmsClient.connect(stack.config.nats.url, account="main", patience_s=30) as client:
        load = Load(client, rng)
        working = asyncio.create_task(load.run())
        try:
            await trouble(rng)
            # A slow machine gets there later; one that does not get there at all fails the test.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while len(load.acknowledged) <= ENOUGH:
                        await asyncio.sleep(0.1)
        finally:
            load.stopping.set()
            await working
        await _settled(client)
        return load, await _differences(stack, client, load)


async def test_a_killed_connector_leaves_every_order_right(stack: Stack) -> None:
    """SIGKILL of the connector with orders in flight: each order ends once, here as at the venue."""

    async def trouble(rng: random.Random) -> None:
        child = stack.processes.children[CONNECTOR]
        for _ in range(4):
            await asyncio.sleep(rng.uniform(2.0, 3.5))
            killed = child.pid
            child.signal(signal.SIGKILL)
            async with asyncio.timeout(60):
                while child.pid in (None, killed):
                    await asyncio.sleep(0.05)
                await child.ready()

    load, differences = await _under_load(stack, 1, trouble)
    assert len(load.acknowledged) > ENOUGH, load.denied
    assert differences == []


async def test_a_killed_nats_server_leaves_every_order_right(stack: Stack, nats_server: EmbeddedNats) -> None:
    """SIGKILL of nats-server under the whole system: nothing acknowledged is lost, and all agree again by themselves."""

    async def trouble(rng: random.Random) -> None:
        for _ in range(3):
            await asyncio.sleep(rng.uniform(1.0, 2.0))
            await nats_server.kill()
            await asyncio.sleep(rng.uniform(0.1, 1.5))
            await nats_server.restart()
        await asyncio.sleep(2.0)

    load, differences = await _under_load(stack, 2, trouble)
    assert len(load.acknowledged) > ENOUGH, load.denied
    assert differences == []


@pytest.mark.parametrize(
    "fault, fields",
    [
        ("lost_reply", {"endpoint": "POST /api/v3/order", "probability_percent": 30}),
        ("truncated_reply", {"endpoint": "DELETE /api/v3/order", "probability_percent": 30}),
        ("duplicate_report", {"probability_percent": 50}),
    ],
)
async def test_faults_of_the_venue_leave_every_order_right(
    stack: Stack, fault: str, fields: dict[str, Any]
) -> None:
    """Lost and cut replies and doubled reports, under load: no order twice, no trade twice, all states the venue's."""

    async def trouble(rng: random.Random) -> None:
        async with ControlClient(stack.ca_path, stack.simulator_port) as venue:
            await venue.add_fault(fault, **fields)
            await asyncio.sleep(4.0)
            await venue.drop_websockets("user")
            await asyncio.sleep(2.0)
            await venue.clear_faults()

    load, differences = await _under_load(stack, 3, trouble)
    assert len(load.acknowledged) > ENOUGH, load.denied
    assert differences == []
