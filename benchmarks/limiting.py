"""Reserving room in the rate limits, which every request of a connector does before it is sent. No I/O."""

import time
from collections.abc import AsyncIterator

from benchmarks.figures import Figure, of_latencies
from oms.venues.limiter import Limiter, Pool, Priority
from oms.venues.pools import POOLS, pool_of

ROUNDS = 20_000
ACCOUNTS = 200
FREE = 10**9
"""Limits that are never met: what is measured is the way of a request that need not wait."""
ORDERS = {
    "binance.spot": {},
    "bybit.futures": {"group": "linear.create"},
    "okx.futures": {"group": "order", "symbol": "BTC-USDT-SWAP"},
}


async def measure() -> AsyncIterator[Figure]:
    """Reserve one order after the other, of 200 accounts in turn; then tell what is left of each."""
    clock = time.perf_counter
    for venue, which in ORDERS.items():
        pool = Pool(POOLS[pool_of(venue)])
        for rule in (*pool.limits.address, *pool.limits.account):
            pool.set_limit(rule.name, FREE)
        limiters = [Limiter(FREE, FREE, FREE, pool, f"sub_{number}") for number in range(ACCOUNTS)]
        taken = []
        for number in range(ROUNDS):
            limiter = limiters[number % ACCOUNTS]
            started = clock()
            await limiter.reserve(1, 1, priority=Priority.ORDER, **which)
            taken.append(clock() - started)
        yield of_latencies(f"reserve an order, {venue}, {ACCOUNTS} accounts", taken, "us", "<= 20")
        told = []
        for limiter in limiters:
            started = clock()
            limiter.left()
            told.append(clock() - started)
        yield of_latencies(f"say what is left, {venue}", told, "us", "<= 50")
