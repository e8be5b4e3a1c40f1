"""The limiter never lets more through than it may, and lets cancels through first."""

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.venues.limiter import Limiter, Pool, Priority, TooLate, Window


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def _limiter(clock: Callable[[], float] = time.monotonic, weight: int = 100, orders: int = 100) -> Limiter:
    return Limiter(weight, orders, 10_000, Pool(10_000, clock))


@given(
    limit=st.integers(1, 20),
    grain=st.sampled_from([0.0, 0.5]),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), max_size=60),
)
def test_no_window_anywhere_holds_more_than_its_limit(
    limit: int, grain: float, steps: list[tuple[float, int]]
) -> None:
    """Whatever is asked for and when, no stretch of the window's length ever holds more than the limit."""
    window = Window(2.0, limit, grain)
    now, taken = 0.0, []
    for wait, amount in steps:
        now += wait
        if window.fits_at(now, amount) <= now:
            window.add(now, amount)
            taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at < start + 2.0) <= limit


async def test_fifty_at_once_never_pass_a_limit_of_ten() -> None:
    """Fifty that ask at the same moment are let through ten in any second."""
    limiter = _limiter(orders=10)
    admitted: list[float] = []

    async def ask() -> None:
        await limiter.reserve(1, 1, priority=Priority.ORDER)
        admitted.append(time.monotonic())

    tasks = [asyncio.create_task(ask()) for _ in range(50)]
    await asyncio.sleep(2.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 25 <= len(admitted) <= 30
    for start in admitted:
        # The times are taken a moment after the admission: a hundredth either way.
        assert sum(1 for at in admitted if start <= at < start + 0.99) <= 10


async def test_a_cancel_overtakes_what_waits() -> None:
    """A cancel that comes after ten reads that wait is the first to go."""
    clock = Clock()
    limiter = _limiter(clock, weight=10)
    await limiter.reserve(10, priority=Priority.LOOK_UP)
    order: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await limiter.reserve(1, priority=priority)
        order.append(name)

    reads = [asyncio.create_task(ask("read", Priority.LOOK_UP)) for _ in range(10)]
    await asyncio.sleep(0)
    cancel = asyncio.create_task(ask("cancel", Priority.CANCEL))
    await asyncio.sleep(0)
    clock.now += 61
    limiter._pump()
    await asyncio.gather(*reads[:9], cancel)
    assert order[0] == "cancel"
    reads[9].cancel()


async def test_orders_that_wait_do_not_hold_up_reads() -> None:
    """An exhausted order limit holds up orders alone."""
    limiter = _limiter(orders=1)
    await limiter.reserve(1, 1, priority=Priority.ORDER)
    waiting = asyncio.create_task(limiter.reserve(1, 1, priority=Priority.ORDER))
    await asyncio.sleep(0)
    await asyncio.wait_for(limiter.reserve(1, priority=Priority.LOOK_UP), 0.2)
    assert not waiting.done()
    await waiting


async def test_what_cannot_go_before_its_deadline_is_refused_at_once() -> None:
    """A request without room before its deadline is refused without waiting, and takes nothing."""
    limiter = _limiter(weight=1)
    await limiter.reserve(1, priority=Priority.ORDER)
    started = time.monotonic()
    with pytest.raises(TooLate):
        await limiter.reserve(1, priority=Priority.ORDER, deadline=time.time_ns() + 10**9)
    assert time.monotonic() - started < 0.1
    with pytest.raises(TooLate):
        await limiter.reserve(2, priority=Priority.ORDER)


async def test_the_venue_is_believed_when_it_has_counted_more() -> None:
    """Weight that others behind our address have used is not there for us."""
    clock = Clock()
    limiter = Limiter(100, 100, 100, Pool(100, clock))
    limiter.pool.correct(95)
    assert limiter.pool.weight.fits_at(clock.now, 5) == clock.now
    assert limiter.pool.weight.fits_at(clock.now, 6) > clock.now
    limiter.pool.correct(10)
    assert limiter.pool.weight.used(clock.now) == 95


async def test_a_throttled_pool_holds_up_every_account() -> None:
    """When the venue throttles one account of a pool, the others stay away as well."""
    pool = Pool(100)
    one, other = Limiter(100, 100, 100, pool), Limiter(100, 100, 100, pool)
    one.pool.hold(0.3)
    started = time.monotonic()
    await other.reserve(1, priority=Priority.CANCEL)
    assert time.monotonic() - started >= 0.3
