"""Connectors against simulated venues: beside bare ccxt, from fill to journal, 200 accounts, 10,000 open orders.

Everything is a process of its own, over TLS and WebSocket on this machine. Rate limits are lifted: the work is measured.
"""

import asyncio
import contextlib
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import attrs

from benchmarks import venue_limits
from benchmarks.desk import bulk, place
from benchmarks.figures import Figure, of_latencies
from benchmarks.venue_desk import Desk, Part, desk, part, until
from benchmarks.venue_limits import FREE
from benchmarks.venue_processes import key_of
from oms.messages.enums import OrderType, Side
from oms.messages.instructions import Submit
from oms.simulator.client import ControlClient, ccxt_session
from oms.venues.adapter import Account
from oms.venues.admission import Pool
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials
from oms.venues.over_ccxt import CcxtMarket, Reach
from oms.venues.pools import POOLS, pool_of
from oms.venues.registry import make_market

# Venue: symbol, a price below the market, quantity.
ORDERS: Final = {
    "binance.spot": ("BTCUSDT", Decimal(45_000), Decimal("0.001")),
    "binance.futures": ("BTCUSDT", Decimal(45_000), Decimal("0.002")),
    "bybit.spot": ("BTCUSDT", Decimal(45_000), Decimal("0.001")),
    "bybit.futures": ("BTCUSDT", Decimal(45_000), Decimal("0.002")),
    "okx.spot": ("BTC-USDT", Decimal(45_000), Decimal("0.001")),
    "okx.futures": ("BTC-USDT-SWAP", Decimal(45_000), Decimal("0.1")),
    "upbit.spot": ("KRW-BTC", Decimal(65_000_000), Decimal("0.001")),
}
ROUNDS, WARM_UP = 150, 10
FILLS = 200
ACCOUNTS = 200
WATCHED_S = 10.0
LIGHTLY_A_SECOND = 20
OPEN_ORDERS = 10_000
IN_FLIGHT = 300
RECONCILIATIONS = 5
PLACES_QUIET = 300
DEADLINE_NS = 60 * 10**9


@attrs.frozen(kw_only=True)
class Size:
    """How much is measured."""

    venues: tuple[str, ...] = tuple(ORDERS)
    rounds: int = ROUNDS
    fills: int = FILLS
    accounts: int = ACCOUNTS
    watched_s: float = WATCHED_S
    open_orders: int = OPEN_ORDERS
    quiet: int = PLACES_QUIET
    reconciliations: int = RECONCILIATIONS


async def measure(size: Size | None = None) -> AsyncIterator[Figure]:
    """All of it, one after the other."""
    size = size or Size()
    for part_of in (_beside_ccxt, _from_fill_to_journal, _many_accounts, _many_orders):
        async for figure in part_of(size):
            yield figure


# -- beside bare ccxt


async def _beside_ccxt(size: Size) -> AsyncIterator[Figure]:
    venue_limits.free()
    exchanges = sorted({venue.split(".")[0] for venue in size.venues})
    with tempfile.TemporaryDirectory() as name:
        ca = Path(name) / "ca.pem"
        async with part("simulator", ca=str(ca), exchanges=exchanges, accounts=1) as simulator:
            for venue in size.venues:
                ours, bare = await _submits(venue, ca, simulator.said["port"], size.rounds)
                there = of_latencies(f"bare ccxt order, {venue}", bare, "ms")
                here = of_latencies(f"connector's order, {venue}", ours, "ms")
                yield there
                yield here
                yield Figure(
                    f"connector / bare ccxt, {venue}",
                    "ratio",
                    here.p50 / there.p50,
                    here.p99 / there.p99,
                    "<= 1.2",
                )


async def _submits(venue: str, ca: Path, port: int, rounds: int) -> tuple[list[float], list[float]]:
    """Times of orders that the adapter sends and of the same that bare ccxt sends, in turns, from one account."""
    exchange = venue.split(".")[0]
    session = ccxt_session(ca, port)
    key = key_of(exchange, "main")
    market = make_market(
        venue,
        FixedCredentials({(exchange, "main"): key}),
        Budgets(Pool(POOLS[pool_of(venue)]), FREE, FREE, FREE),
        Reach(session=session),
    )
    assert isinstance(market, CcxtMarket)
    await market.open()
    account = market.account("main")
    await account.open(lambda event: None)
    ccxt_kind = next(each for each in market.kind.__mro__ if each.__module__.startswith("ccxt."))
    bare = ccxt_kind(
        {
            "apiKey": key.api_key,
            "secret": key.secret,
            "password": key.passphrase,
            "enableRateLimit": False,
            "session": session,
            "options": market.options(),
        }
    )
    # At some exchanges both markets share their client ids.
    prefix = venue.replace(".", "")
    times: tuple[list[float], list[float]] = ([], [])
    try:
        name, params = await _raw(account, _order(venue, "X"))
        text = json.dumps(params)
        clock = time.perf_counter
        gc.collect()
        gc.freeze()
        for number in range(-WARM_UP, rounds):
            ids = [f"{prefix}{number + WARM_UP:05}{who}" for who in "ab"]
            order = _order(venue, ids[0])
            fresh = json.loads(text.replace('"X"', f'"{ids[1]}"'))
            calls = (partial(account.submit, order), partial(getattr(bare, name), fresh))
            for which in (0, 1) if number % 2 else (1, 0):
                started = clock()
                await calls[which]()
                taken = clock() - started
                if number >= 0:
                    times[which].append(taken)
                # What the private stream tells of it is nobody's order's time.
                await asyncio.sleep(0.002)
    finally:
        gc.unfreeze()
        await account.close()
        await market.close()
        await bare.close()
        await session.close()
    return times


def _order(venue: str, client_id: str) -> Submit:
    symbol, price, quantity = ORDERS[venue]
    return Submit(
        order_id=client_id,
        client_id=client_id,
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=quantity,
        price=price,
        deadline=time.time_ns() + DEADLINE_NS,
    )


async def _raw(account: Account, order: Submit) -> tuple[str, Any]:
    """The endpoint that the adapter sends an order to, and what it sends."""
    heard: list[tuple[str, Any]] = []

    class Heard(Exception):
        pass

    async def hear(name: str, params: Any, read: Any, **more: Any) -> None:
        heard.append((name, params))
        raise Heard

    with patch.object(account, "request", hear), contextlib.suppress(Heard):
        await account.submit(order)
    return heard[0]


# -- from fill to journal


async def _from_fill_to_journal(size: Size) -> AsyncIterator[Figure]:
    exchange = "binance"
    async with (
        desk(exchange, 1) as on,
        on.connected("binance.spot"),
        ControlClient(Path(on.ca), on.port, exchange) as control,
    ):
        await _marked(on)
        terms = {"symbol": "BTCUSDT", "type": "LIMIT", "quantity": "0.001", "price": "50000"}
        for number in range(size.fills):
            order = {"command_id": f"fill-{number}", "side": "buy", "type": "limit"}
            payload = {**order, "quantity": terms["quantity"], "price": terms["price"]}
            await on.ask("place.binance.main.spot.BTCUSDT", json.dumps(payload).encode())
            await until(lambda: on.journal.accepted > number, "acknowledgement")  # noqa: B023
            await control.place("sub_1", market="spot", side="SELL", time_in_force="IOC", **terms)
            await until(lambda: len(on.journal.fills) > number, "fill in the journal")  # noqa: B023
        made = {
            str(each["trade_id"]): int(str(each["time_ns"])) for each in await control.trades(account="main")
        }
    taken = [(at - made[trade]) / 1e9 for trade, at in on.journal.fills.items()]
    yield of_latencies("from fill at the venue to journal", taken, "ms", note="read out of it, fsynced")


async def _marked(on: Desk) -> None:
    """Wait until the engine has what it needs to take an order far from the market, which is then gone."""
    payload = place(0, "marked")
    for _ in range(200):
        answer = await on.nc.request("place.binance.main.spot.BTCUSDT", payload, timeout=10)
        if b'"ok":true' in answer.data:
            await until(lambda: on.journal.accepted, "first order")
            on.journal.accepted = 0
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"no order is taken: {answer.data[:300]!r}")


# -- many accounts


async def _many_accounts(size: Size) -> AsyncIterator[Figure]:
    count = size.accounts
    async with desk("binance", count) as on:
        async with on.connected("binance.spot") as alone:
            await asyncio.sleep(1)
            base = alone.memory_mb()
        async with on.connected("binance.spot", accounts=count) as connector:
            ready_s = connector.said["ready_s"]
            await asyncio.sleep(1)
            whole = connector.memory_mb()
            each = (whole - base) / max(count - 1, 1)
            yield _one(f"{count} accounts, all sessions ready", "s", ready_s)
            yield _one(f"{count} accounts, memory of their connector", "MB", whole, f"{base:.0f} with one")
            yield _one(f"{count} accounts, memory of each", "MB", each)
            idle = await _cpu(connector, asyncio.sleep(size.watched_s))
            trading = await _cpu(connector, _trade_lightly(on, count, size.watched_s))
            yield _one(f"{count} accounts, idle, connector's CPU", "%", idle, "of one core")
            yield _one(
                f"{count} accounts, {LIGHTLY_A_SECOND} orders/s, connector's CPU", "%", trading, "of one core"
            )


def _one(name: str, unit: str, value: float, note: str = "") -> Figure:
    return Figure(name, unit, value, value, note=note)


async def _cpu(connector: Part, work: Awaitable[None]) -> float:
    """How much of one core the connector uses while something goes on, in percent."""
    started, before = time.monotonic(), connector.cpu_s()
    await work
    return (connector.cpu_s() - before) / (time.monotonic() - started) * 100


async def _trade_lightly(on: Desk, count: int, seconds: float) -> None:
    accounts = ["main", *(f"sub_{number}" for number in range(1, count))]
    started = time.monotonic()
    number = 0
    while time.monotonic() - started < seconds:
        account = accounts[number % count]
        await on.ask(f"place.binance.{account}.spot.BTCUSDT", place(number, "light"))
        number += 1
        await asyncio.sleep(max(0.0, started + number / LIGHTLY_A_SECOND - time.monotonic()))


# -- many open orders


async def _many_orders(size: Size) -> AsyncIterator[Figure]:
    async with desk("binance", 2) as on, on.connected("binance.spot", accounts=2):
        await _marked(on)
        for first in range(0, size.open_orders, 100):
            await until(lambda: on.journal.accepted > first - IN_FLIGHT, "room")  # noqa: B023
            await on.ask("place.binance.main.spot.BTCUSDT", bulk(first, 100, "open"))
        await until(lambda: on.journal.accepted >= size.open_orders, "acknowledgement of every order")
        quiet = [await _placed(on, number, "quiet") for number in range(size.quiet)]
        busy: list[float] = []
        taken: list[float] = []
        for turn in range(size.reconciliations):
            started = time.perf_counter()
            request = f"compare-{turn}"
            await on.ask("reconcile.binance.main.spot._", json.dumps({"command_id": request}).encode())
            while request not in on.journal.reconciled:
                busy.append(await _placed(on, len(busy), "busy"))
                if time.perf_counter() - started > 30:
                    raise TimeoutError("a comparison took more than 30 s")
            taken.append(time.perf_counter() - started)
            found = on.journal.reconciled[request]
            assert found.orders >= size.open_orders, found
            assert not found.differences, found
        count = f"{size.open_orders:,} open orders"
        yield of_latencies(f"comparing {count}", taken, "s")
        before = of_latencies("place, round trip, quiet", quiet, "us")
        during = of_latencies(f"place, round trip, comparing {count}", busy, "us", "the same")
        yield before
        yield during
        yield Figure(
            f"place, comparing {count} / quiet",
            "ratio",
            during.p50 / before.p50,
            during.p99 / before.p99,
            "1.0",
        )


async def _placed(on: Desk, number: int, prefix: str) -> float:
    started = time.perf_counter()
    await on.ask("place.binance.sub_1.spot.BTCUSDT", place(number, prefix))
    taken = time.perf_counter() - started
    # Let it reach the venue: its way there is not what is compared.
    await asyncio.sleep(0.005)
    return taken
