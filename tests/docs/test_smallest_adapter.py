"""The example of the page about adding an exchange works."""

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oms.messages.enums import OrderType, Side
from oms.messages.instructions import Submit
from oms.venues.adapter import State
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Pool
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS
from tests.upbit import BTC, KEY, PRICE, SECRET, Upbit, running

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "smallest_adapter.py"


@pytest.fixture
async def upbit(tmp_path: Path) -> AsyncIterator[Upbit]:
    async with running(tmp_path) as upbit:
        yield upbit


@pytest.fixture
async def market(upbit: Upbit) -> AsyncIterator[Any]:
    spec = importlib.util.spec_from_file_location("smallest_adapter", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    market = module.SmallestMarket(
        FixedCredentials({("upbit", "main"): Key(KEY, SECRET)}),
        Budgets(Pool(POOLS["upbit"]), 1_000, 100, 1_000),
        Reach(session=upbit.session, timeout_s=1, recv_window_ms=500),
    )
    assert {spec.symbol for spec in await market.open()} >= {BTC}
    yield market
    await market.close()


async def test_the_smallest_adapter_trades(upbit: Upbit, market: Any) -> None:
    """The example places, looks up, trades and cancels at the simulated exchange, and says what it does not know."""
    account, events = market.account("main"), []
    await account.open(events.append)
    deadline = time.time_ns() + 5 * 10**9
    terms = {
        "symbol": BTC,
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("0.01"),
        "deadline": deadline,
    }
    filled = await account.submit(Submit(order_id="one", client_id="one", price=PRICE + 10**6, **terms))
    resting = await account.submit(Submit(order_id="two", client_id="two", price=PRICE - 10**6, **terms))
    assert (filled.state, resting.state) == (State.WORKING, State.WORKING)
    assert (await account.order(BTC, "one")).state is State.FILLED
    assert [order.client_id for order in await account.open_orders()] == ["two"]
    (fill,) = upbit.wire.exchange.fills(upbit.main, "spot", BTC)
    (trade,) = await account.trades_since(BTC, deadline - 10 * 10**9)
    assert (trade.client_id, trade.quantity, trade.fee, trade.maker) == (
        "one",
        fill.quantity,
        fill.commission,
        False,
    )
    assert await account.cancel(BTC, "two") is None
    await asyncio.sleep(0.1)
    assert (await account.order(BTC, "two")).state is State.CANCELED
    assert (await account.totals())["KRW"] == upbit.balance("KRW").total
    with pytest.raises(VenueError) as missing:
        await account.order(BTC, "three")
    assert missing.value.kind is Kind.NOT_FOUND
    assert events
    assert (await market.marks_now([BTC]))[BTC] == fill.price
    marks = market.marks([BTC])
    assert (await anext(marks))[BTC] == fill.price
    await marks.aclose()
    await account.close()
