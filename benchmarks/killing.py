"""From the kill command to the last cancel at the venue: 1,000 open orders of one account, with cancels free and as limited there.

Everything is a process of its own, over TLS and WebSocket on this machine. Only cancels are limited, so that what is measured
is how much longer they take than the venue's own limit.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.venue_desk import Desk, desk, until
from oms.simulator.client import ControlClient
from oms.venues.pools import POOLS, pool_of

OPEN_ORDERS: Final = 1_000
A_COMMAND: Final = 50
POLL_S: Final = 0.5
GIVE_UP_NS: Final = 120 * 10**9
IN_FLIGHT: Final = 300
VENUE: Final = "okx.spot"
SYMBOL, PRICE, QUANTITY = "BTC-USDT", Decimal(45_000), Decimal("0.001")
KILL: Final = ("kill._.main._._", {"scope": "account:main", "by": "bench", "reason": "measured"})


async def measure(
    open_orders: int = OPEN_ORDERS, limits: tuple[bool, ...] = (False, True)
) -> AsyncIterator[Figure]:
    """Kill twice: with all limits lifted, and with the venue's limit on cancels. Times are from the command on."""
    rule = next(each for each in POOLS[pool_of(VENUE)].account if each.name == "cancel")
    alone = (open_orders - 1) // rule.limit * float(rule.seconds)
    for limited in limits:
        latched, taken = await _kill(open_orders, ("cancel",) if limited else ())
        what = f"{open_orders:,} open orders, {'limited' if limited else 'free'}"
        yield Figure(f"kill to its reply, latched, {what}", "s", latched, latched)
        yield Figure(f"kill to last cancel, {what}", "s", taken, taken, note=f"{VENUE}, at the venue")
        if limited:
            note = f"{rule.limit} in {rule.seconds} s: {alone:g} s"
            yield Figure("the same / the limit alone", "ratio", taken / alone, taken / alone, "<= 1.1", note)


async def _kill(open_orders: int, limited: tuple[str, ...]) -> tuple[float, float]:
    """Seconds from the command to its reply, and to the last cancel at the venue."""
    exchange, market = VENUE.split(".")
    place = f"place.{exchange}.main.{market}.{SYMBOL}"
    async with (
        desk(exchange, 1) as on,
        on.connected(VENUE, limited=limited),
        ControlClient(Path(on.ca), on.port, exchange) as control,
    ):
        await _first(on, place)
        placed = 1
        while placed < open_orders:
            await until(lambda: on.journal.accepted > placed - IN_FLIGHT, "room")  # noqa: B023
            count = min(A_COMMAND, open_orders - placed)
            some = [_order(f"kill-{placed + number}") for number in range(count)]
            await on.ask(place, json.dumps(some).encode())
            placed += count
        await until(lambda: on.journal.accepted >= open_orders, "acknowledgement of every order")
        subject, fields = KILL
        asked = time.time_ns()
        await on.ask(subject, json.dumps({"command_id": "kill", **fields}).encode())
        replied = time.time_ns()
        while True:
            orders = await control.orders(account="main", market=market)
            if all(each["status"] == "CANCELED" for each in orders):
                break
            if time.time_ns() - replied > GIVE_UP_NS:
                raise TimeoutError(
                    f"{sum(each['status'] != 'CANCELED' for each in orders)} orders are still open"
                )
            await asyncio.sleep(POLL_S)
        last = max(int(str(each["updated_ns"])) for each in orders)
        return (replied - asked) / 1e9, (last - asked) / 1e9


async def _first(on: Desk, place: str) -> None:
    """Place the first order as soon as there is all that it needs."""
    for attempt in range(200):
        answer = await on.nc.request(place, json.dumps(_order(f"first-{attempt}")).encode(), timeout=10)
        if b'"ok":true' in answer.data:
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"no order is taken: {answer.data[:300]!r}")


def _order(command_id: str) -> dict[str, str]:
    terms = {"quantity": f"{QUANTITY:f}", "price": f"{PRICE:f}"}
    return {"command_id": command_id, "side": "buy", "type": "limit", **terms}
