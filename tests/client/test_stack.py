"""OmsClient against the whole system, through a crash of the engine."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oms.cli.stack import ENGINE, Stack
from oms.client import OmsClient
from oms.config import override
from oms.messages.enums import OrderStatus
from tests.limits import wide_config


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Everything that `oms up` runs."""
    running = Stack(override(wide_config(), data_dir=tmp_path, port=0), lambda *_: None)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


async def test_a_command_outlives_the_engine(stack: Stack) -> None:
    """Commands sent while the engine is dead are carried out once by the next one, under the ids they were sent with."""
    engine = stack.processes.children[ENGINE]
    async with OmsClient.connect(stack.config.nats.url, patience_s=30.0) as oms:
        first = await oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id="first")
        engine.signal(signal.SIGKILL)
        results = await asyncio.gather(
            oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id="first"),
            *(oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id=f"c{n}") for n in range(5)),
        )
        assert results[0].duplicate
        assert results[0].order_id == first.order_id
        assert len({result.order_id for result in results}) == 6
        again = await asyncio.gather(
            *(oms.place("BTCUSDT", "buy", "0.001", price="40000", command_id=f"c{n}") for n in range(5))
        )
        assert [result.order_id for result in again] == [result.order_id for result in results[1:]]
        assert all(result.duplicate for result in again)
        shown = (await oms.orders()).rows
        assert {row.order_id for row in shown} == {result.order_id for result in results}
        assert len(engine.pids) == 2


async def test_watching_sees_an_order_through(stack: Stack) -> None:
    """A marketable order is seen placed, filled, and in position and balance, as typed events."""
    async with OmsClient.connect(stack.config.nats.url, "sub_arb") as oms, oms.watch() as events:
        placed = await oms.place("BTCUSDT", "buy", "0.001")
        seen: set[str] = set()
        async with asyncio.timeout(20):
            async for event in events:
                kind = type(event).__name__
                seen.add(kind)
                if kind == "OrderChanged" and event.status is OrderStatus.FILLED:  # type: ignore[union-attr]
                    assert event.order_id == placed.order_id  # type: ignore[union-attr]
                if seen >= {"OrderChanged", "TradeHappened", "PositionChanged", "BalanceChanged"}:
                    break
