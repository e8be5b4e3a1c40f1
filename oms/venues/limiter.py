"""Limiter: what an account may still send. Reserved before sending, cancels first, corrected by what the venue says.

Windows slide, so that no alignment of the venue's own windows ever sees more than its limit. Everything here happens
between two awaits, so that no two callers pass through the same gap.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import attrs

MAX_WAITING: Final = 20_000
"""Requests of one account that may wait; beyond it they are refused."""
NS: Final = 10**9


class Priority(IntEnum):
    """Who goes first when there is not room for all."""

    CANCEL = 0
    ORDER = 1
    LOOK_UP = 2


class TooLate(Exception):
    """There is no room before the deadline."""


class Window:
    """A sum over the last ``length_s`` seconds that may not pass ``limit``. Times are monotonic seconds.

    Args:
        grain_s: amounts this near to each other share an entry and expire with the latest; bounds the memory.
    """

    def __init__(self, length_s: float, limit: int, grain_s: float) -> None:
        self.limit = limit
        self._length_s = length_s
        self._grain_s = grain_s
        self._entries: deque[list[float]] = deque()
        self._used = 0

    def used(self, now: float) -> int:
        """What counts at that time."""
        while self._entries and self._entries[0][1] + self._length_s <= now:
            self._used -= int(self._entries.popleft()[2])
        return self._used

    def add(self, now: float, amount: int) -> None:
        """Count an amount from now on."""
        if amount <= 0:
            return
        last = self._entries[-1] if self._entries else None
        if last is not None and now - last[0] < self._grain_s:
            last[1] = now
            last[2] += amount
        else:
            self._entries.append([now, now, amount])
        self._used += amount

    def fits_at(self, now: float, amount: int) -> float:
        """The earliest time at which the amount fits, if nothing else is added; now when it does."""
        over = self.used(now) + amount - self.limit
        at = now
        for _, latest, some in self._entries:
            if over <= 0:
                break
            over -= int(some)
            at = latest + self._length_s
        return at if over <= 0 else float("inf")

    def correct(self, now: float, seen: int) -> None:
        """The venue counts ``seen`` in a window of its own: count at least as much."""
        self.add(now, seen - self.used(now))


class Pool:
    """What all our accounts at a venue share, because it counts by address: weight, and being told to stay away.

    Args:
        weight_per_minute: the venue's own limit; what it lists takes its place.
    """

    def __init__(self, weight_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.weight = Window(60.0, weight_per_minute, grain_s=0.25)
        self.closed_until = 0.0

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self.closed_until = max(self.closed_until, self.clock() + seconds)

    def correct(self, weight: int) -> None:
        """Learn what the venue has counted in its minute, requests of others behind our address included."""
        self.weight.correct(self.clock(), weight)


@attrs.define(eq=False)
class _Waiter:
    priority: Priority
    number: int
    weight: int
    orders: int
    future: asyncio.Future[None]

    def __lt__(self, other: "_Waiter") -> bool:
        return (self.priority, self.number) < (other.priority, other.number)


class Limiter:
    """One account's limits at one venue.

    Args:
        weight_per_minute, orders_per_second, orders_per_day: what we allow ourselves.
        pool: shared by all accounts that the venue throttles together.
    """

    def __init__(
        self,
        weight_per_minute: int,
        orders_per_second: int,
        orders_per_day: int,
        pool: Pool,
    ) -> None:
        self._clock = pool.clock
        self.pool = pool
        self.weight = Window(60.0, weight_per_minute, grain_s=0.25)
        self.orders = Window(1.0, orders_per_second, grain_s=0.0)
        self.orders_today = Window(86_400.0, orders_per_day, grain_s=60.0)
        self._waiting: list[_Waiter] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    async def reserve(
        self, weight: int, orders: int = 0, *, priority: Priority, deadline: int | None = None
    ) -> None:
        """Take the room for one request, waiting for it if need be.

        Args:
            deadline: UTC ns after which the request may not be sent.

        Raises:
            TooLate: there is no room before the deadline, or too many wait already.
        """
        left_s = None if deadline is None else (deadline - time.time_ns()) / NS
        now = self._clock()
        earliest = self._fits_at(now, weight, orders)
        if left_s is not None and earliest - now > left_s:
            raise TooLate("the rate limits leave no room before the deadline")
        if earliest == float("inf"):
            raise TooLate("the request is larger than the rate limits")
        if earliest <= now and not self._waiting:
            self._take(now, weight, orders)
            return
        if len(self._waiting) >= MAX_WAITING:
            raise TooLate(f"{MAX_WAITING:,} requests wait for the rate limits already")
        future = asyncio.get_running_loop().create_future()
        self._number += 1
        waiter = _Waiter(priority, self._number, weight, orders, future)
        heapq.heappush(self._waiting, waiter)
        self._pump()
        try:
            await asyncio.wait_for(asyncio.shield(future), left_s)
        except TimeoutError:
            if not future.done():
                raise TooLate("the rate limits left no room before the deadline") from None
        finally:
            if not future.done():
                future.cancel()
                self._waiting.remove(waiter)
                heapq.heapify(self._waiting)

    def _fits_at(self, now: float, weight: int, orders: int) -> float:
        at = max(now, self.pool.closed_until, self.pool.weight.fits_at(now, weight))
        at = max(at, self.weight.fits_at(now, weight))
        if orders:
            at = max(at, self.orders.fits_at(now, orders), self.orders_today.fits_at(now, orders))
        return at

    def _take(self, now: float, weight: int, orders: int) -> None:
        self.pool.weight.add(now, weight)
        self.weight.add(now, weight)
        self.orders.add(now, orders)
        self.orders_today.add(now, orders)

    def _pump(self) -> None:
        """Admit who fits, in order of priority; orders that wait for an order limit hold up only other orders."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        left: list[_Waiter] = []
        wake = float("inf")
        held_all = held_orders = False
        while self._waiting:
            waiter = heapq.heappop(self._waiting)
            if waiter.future.done():
                continue
            if not (held_all or (held_orders and waiter.orders)):
                at = self._fits_at(now, waiter.weight, waiter.orders)
                if at <= now:
                    self._take(now, waiter.weight, waiter.orders)
                    waiter.future.set_result(None)
                    continue
                wake = min(wake, at)
                if waiter.orders and self._fits_at(now, waiter.weight, 0) <= now:
                    held_orders = True
                else:
                    held_all = True
            left.append(waiter)
            if held_all:
                break
        self._waiting = [*left, *self._waiting]
        heapq.heapify(self._waiting)
        if self._waiting and wake < float("inf"):
            # A little late rather than a little early, where clocks differ in their last digits.
            self._timer = asyncio.get_running_loop().call_later(max(wake - now, 0.0) + 0.001, self._pump)

    def correct(self, orders_today: int) -> None:
        """Learn how many orders the venue has counted for the account today."""
        self.orders_today.correct(self._clock(), orders_today)
