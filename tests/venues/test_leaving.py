"""Requests over real sockets: when they count as sent, and that one taken back sends not a byte."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from oms.messages import reports as r
from oms.messages.enums import OrderType, Side
from oms.messages.instructions import Cancel, Submit
from oms.messages.reports import UNSENT
from oms.simulator import Simulator
from oms.simulator.client import ccxt_session
from oms.venues.adapter import Market
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.departure import Departure, Withdrawn
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Pool
from oms.venues.orders import Orders
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS, pool_of
from oms.venues.registry import make_market

from .conftest import QUICK, until
from .markets import PLACES, Place, simulator_of

ORDER_ID = "mabcde0000000001"


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    simulator = simulator_of(("binance", "bybit", "okx", "upbit"), tmp_path / "ca.pem")
    await simulator.start()
    yield simulator
    await simulator.stop()


def _market(place: Place, session: object) -> Market:
    key = Key(f"{place.exchange}-main-key", f"{place.exchange}-main-secret", "pass-Phrase1")
    return make_market(
        place.venue,
        FixedCredentials({(place.exchange, "main"): key}),
        Budgets(Pool(POOLS[pool_of(place.venue)]), 10_000, 100, 10_000),
        Reach(session=session, timeout_s=5, recv_window_ms=5_000),  # type: ignore[arg-type]
    )


def _submit(place: Place) -> Submit:
    return Submit(
        order_id=ORDER_ID,
        client_id=ORDER_ID,
        symbol=place.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=10 * place.unit,
        price=place.price * Decimal("0.9"),
        deadline=time.time_ns() + 5 * 10**9,
    )


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.venue)
async def test_an_order_counts_as_sent_from_the_step_in_which_it_is_written(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    """At every venue it is asked for once, when nothing has left, and one that is taken back right then never arrives."""
    session = ccxt_session(tmp_path / "ca.pem", simulator.port)
    market = _market(place, session)
    await market.open()
    account = market.account("main")
    await account.open(lambda event: None)
    there = simulator.exchanges[place.exchange].exchange.accounts["main"]
    asked: list[bool] = []
    leave = Departure.leave

    def leaving(entered: Departure) -> None:
        if not asked:
            asked.append(entered.withdraw())
        leave(entered)

    with patch.object(Departure, "leave", leaving), pytest.raises(Withdrawn), Departure():
        await account.submit(_submit(place))
    await asyncio.sleep(0.1)
    assert asked == [True]
    assert list(there.all_orders()) == []
    with Departure() as entered:
        await account.submit(_submit(place))
        assert not entered.withdraw()
    assert [order.client_order_id for order in there.all_orders()] == [ORDER_ID]
    await account.close()
    await market.close()
    await session.close()


async def test_an_order_that_waits_for_its_connection_is_taken_back(
    simulator: Simulator, tmp_path: Path
) -> None:
    """The venue takes the connection and says nothing: a cancel ends the order at once, and no request has been written."""
    place = PLACES["binance.spot"]
    heard: list[bytes] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            heard.append(data)
        writer.close()

    session = ccxt_session(tmp_path / "ca.pem", simulator.port)
    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    stuck = ccxt_session(tmp_path / "ca.pem", silent.sockets[0].getsockname()[1])
    market = _market(place, session)
    await market.open()
    account = market.account("main")
    account.exchange.session = stuck  # type: ignore[attr-defined]
    account.exchange.set_markets_from_exchange(market.public)  # type: ignore[attr-defined]
    told: list[r.Report] = []
    orders = Orders(account, QUICK, told.extend, lambda reason: None)
    orders.ready_at = time.time_ns() - 10**10
    orders.instruct(_submit(place))
    await until(lambda: heard, what="the connection")
    orders.instruct(Cancel(order_id=ORDER_ID, client_id=ORDER_ID, symbol=place.symbol))
    await until(lambda: told, 0.5, "the end of the order")
    assert [(type(each), getattr(each, "reason", "")) for each in told] == [(r.Canceled, UNSENT)]
    # The beginning of a handshake, and nothing that it would have to be done for.
    assert len(heard) == 1
    await orders.close()
    await account.close()
    await market.close()
    silent.close()
    for each in (session, stuck):
        await each.close()


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.venue)
async def test_an_order_that_waits_for_its_connection_beyond_its_deadline_never_leaves(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    """When the connection is there at last, the order is old: it is not written, and told to have never been sent."""
    going_on = asyncio.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await going_on.wait()
        there, back = await asyncio.open_connection("127.0.0.1", simulator.port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    session = ccxt_session(tmp_path / "ca.pem", simulator.port)
    slow = await asyncio.start_server(delay, "127.0.0.1", 0)
    delayed = ccxt_session(tmp_path / "ca.pem", slow.sockets[0].getsockname()[1])
    market = _market(place, session)
    await market.open()
    account = market.account("main")
    await account.open(lambda event: None)
    account.exchange.session = delayed  # type: ignore[attr-defined]
    account.exchange.open()  # type: ignore[attr-defined]
    submit = msgspec.structs.replace(_submit(place), deadline=time.time_ns() + 3 * 10**8)
    sending = asyncio.create_task(account.submit(submit))
    await asyncio.sleep(0.5)
    assert not sending.done()
    going_on.set()
    with pytest.raises(VenueError) as refused:
        await sending
    assert (refused.value.kind, refused.value.reason) == (Kind.NOT_SENT, "the deadline has passed")
    there = simulator.exchanges[place.exchange].exchange.accounts["main"]
    assert list(there.all_orders()) == []
    account.exchange.session = session  # type: ignore[attr-defined]
    await account.close()
    await market.close()
    slow.close()
    for each in (session, delayed):
        await each.close()
