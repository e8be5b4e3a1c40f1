"""The limiter never lets more through than it may, lets cancels through first, and believes what the exchange counts."""

import asyncio
import json
import math
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.venues.admission import SYMBOLS_MAX
from oms.venues.budgets import Budget, Budgets
from oms.venues.limiter import MAX_WAITING, Limiter, Pool, Priority, TooLate
from oms.venues.pools import CONNECT, POOLS, Counts, Limits, Rule, pool_of
from oms.venues.windows import GRAINS, NEVER, Window

T = TypeVar("T")
NS = 10**9
UTC = 1_800_000_000 * NS
CANCEL, ORDER, LOOK_UP, COMPARE = Priority


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to what comes next instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self))
        self.now = 0

    def time(self) -> float:
        return self.now / NS


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everybody waits, and nothing will come"
        self._loop.now += math.ceil(timeout * NS)
        return super().select(0)


def clock() -> int:
    """The virtual loop's."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop.now


def utc() -> int:
    return UTC + clock()


def virtually(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in no time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work())


def weighed(limit: int) -> Limits:
    """An exchange that counts weight by address alone."""
    return Limits(address=(Rule("weight 1m", Counts.WEIGHT, limit, 60),))


def pool(limits: Limits | None = None) -> Pool:
    return Pool(limits or Limits(), clock, utc)


def limiter(at: Pool, account: str = "", *, weight: int = 10**6, orders: int = 10**5) -> Limiter:
    """An account's limiter; without a name, another account's each time."""
    return Limiter(weight, orders, 10**8, at, account or f"account {at.number()}")


def fullest(taken: Iterable[tuple[int, int]], length: int) -> int:
    """The most that any stretch of this length holds, of (time, amount)."""
    taken = sorted(taken)
    return max(
        (sum(amount for at, amount in taken if start <= at < start + length) for start, _ in taken), default=0
    )


async def admitted(works: Iterable[Awaitable[Any]], within_s: float) -> int:
    """How many are done after so long; the others are given up."""
    tasks = [asyncio.ensure_future(work) for work in works]
    done, left = await asyncio.wait(tasks, timeout=within_s)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return len(done)


# -- one window


@given(
    limit=st.integers(1, 600),
    steps=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 300)), max_size=80),
)
def test_no_stretch_of_a_window_holds_more_than_its_limit(limit: int, steps: list[tuple[int, int]]) -> None:
    """Whatever is asked for and when, no stretch of the window's length ever holds more than the limit."""
    window = Window(2_000, limit)
    now, taken = 0, []
    for wait, amount in steps:
        now += wait
        if window.fits_at(now, amount) <= now:
            window.add(now, amount)
            taken.append((now, amount))
    assert fullest(taken, 2_000) <= limit


@given(
    limit=st.integers(GRAINS + 1, 2 * GRAINS),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(30, 90)), min_size=5, max_size=40),
    pause=st.integers(1_850, 2_010),
)
def test_what_shares_a_grain_expires_together(limit: int, steps: list[tuple[int, int]], pause: int) -> None:
    """In a window with grains a stretch that begins inside one holds no more than the limit either."""
    window = Window(2_000, limit)
    now, taken = 0, []
    for wait, amount in [*steps, (pause, 1), *steps, *steps]:
        now += wait
        if window.fits_at(now, amount) <= now:
            window.add(now, amount)
            taken.append((now, amount))
    assert fullest(taken, 2_000) <= limit


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 9)), max_size=40),
    amount=st.integers(1, 20),
    ahead=st.integers(0, 100),
)
def test_the_time_told_is_the_first_at_which_it_fits(
    limit: int, steps: list[tuple[int, int]], amount: int, ahead: int
) -> None:
    """Behind others of size one that go as soon as they fit, an amount of one goes exactly when it was told to."""
    window = Window(2_000, limit)
    now = 0
    for wait, some in steps:
        now += wait
        if window.fits_at(now, some) <= now:
            window.add(now, some)
    told = window.fits_at(now, amount, ahead=ahead)
    assert (told == NEVER) == (amount > limit)
    one = window.fits_at(now, 1, ahead=ahead)
    for _ in range(ahead):
        now = window.fits_at(now, 1)
        window.add(now, 1)
    assert window.fits_at(now, 1) == one
    assert told == NEVER or window.fits_at(now, amount) >= told >= one


def test_a_window_remembers_a_bounded_number_of_entries() -> None:
    """However much a window allows and however busy it is, it holds few entries."""
    window = Window(60 * NS, 100_000)
    for now in range(0, 60 * NS, NS // 1_000):
        window.add(now, 1)
    assert len(window._entries) <= GRAINS + 1
    assert window.used(now) == 60_000


# -- one account


LIMITS = Limits(
    address=(
        Rule("weight 1m", Counts.WEIGHT, 60, 6),
        Rule("public", Counts.REQUESTS, 4, 1, frozenset({"public"})),
    ),
    account=(
        Rule("orders 2s", Counts.ORDERS, 8, 2),
        Rule("order", Counts.REQUESTS, 3, 1, frozenset({"order"}), by_symbol=True),
        Rule("cancel", Counts.REQUESTS, 5, 1, frozenset({"cancel"}), by_symbol=True),
    ),
)
KINDS = (
    ("order", 1, 1, ORDER),
    ("cancel", 1, 0, CANCEL),
    ("public", 3, 0, LOOK_UP),
    ("default", 7, 0, LOOK_UP),
)


@given(
    asked=st.lists(
        st.tuples(
            st.integers(0, 1_500),
            st.sampled_from(KINDS),
            st.sampled_from("AB"),
            st.sampled_from(("one", "two")),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_every_window_of_every_scope_holds(asked: list[tuple[int, Any, str, str]]) -> None:
    """Two accounts with any mixture of requests: all are let through in the end, and no window is passed anywhere."""

    async def work() -> list[Any]:
        at = pool(LIMITS)
        limiters = {name: limiter(at, name, weight=30, orders=4) for name in ("one", "two")}
        taken: list[Any] = []

        async def ask(ms: int, kind: Any, symbol: str, name: str) -> None:
            await asyncio.sleep(ms / 1_000)
            group, weight, orders, priority = kind
            await limiters[name].reserve(weight, orders, priority=priority, group=group, symbol=symbol)
            taken.append((clock(), kind, symbol, name))

        await asyncio.gather(*(ask(*each) for each in asked))
        assert at.short == set()
        assert at.marked == []
        for each in limiters.values():
            assert "waiting" not in each.left()
            assert each._account.marked == []
        return taken

    taken = virtually(work)
    assert len(taken) == len(asked)

    def most(seconds: int, amount: Callable[[Any], int], of: Callable[[str, str, str], bool]) -> int:
        chosen = [(at, amount(kind)) for at, kind, symbol, name in taken if of(kind[0], symbol, name)]
        return fullest(chosen, seconds * NS)

    assert most(6, lambda kind: kind[1], lambda *_: True) <= 60
    assert most(1, lambda _: 1, lambda group, *_: group == "public") <= 4
    for name in ("one", "two"):
        assert most(60, lambda kind: kind[1], lambda _, __, n: n == name) <= 30  # noqa: B023
        assert most(1, lambda kind: kind[2], lambda _, __, n: n == name) <= 4  # noqa: B023
        assert most(2, lambda kind: kind[2], lambda _, __, n: n == name) <= 8  # noqa: B023
        for symbol in "AB":
            assert most(1, lambda _: 1, lambda g, s, n: (g, s, n) == ("order", symbol, name)) <= 3  # noqa: B023
            assert most(1, lambda _: 1, lambda g, s, n: (g, s, n) == ("cancel", symbol, name)) <= 5  # noqa: B023


def test_exactly_its_limit_is_admitted_of_five_hundred() -> None:
    """Of 500 that wait at once, each further second lets exactly ten more through, no more and no fewer."""

    async def work(seconds: int) -> int:
        at = limiter(pool(), orders=10)
        return await admitted((at.reserve(1, 1, priority=ORDER) for _ in range(500)), seconds + 0.5)

    for seconds in (0, 1, 7, 30, 48, 60):
        assert virtually(lambda: work(seconds)) == min(10 * (seconds + 1), 500)  # noqa: B023


async def test_exactly_its_limit_is_admitted_of_five_hundred_in_real_time() -> None:
    """The same with the clock of the machine: no second holds more than 200 of 500 waiters, and none goes by unused."""
    at = limiter(Pool(Limits()), orders=200)
    taken: list[tuple[int, int]] = []

    async def ask() -> None:
        reservation = await at.reserve(1, 1, priority=ORDER)
        taken.append(
            (max(gate._entries[-1][0] for gate, _ in reservation.used if isinstance(gate, Window)), 1)
        )

    started = time.monotonic()
    await asyncio.gather(*(ask() for _ in range(500)))
    assert 2.0 <= time.monotonic() - started < 3.0
    assert fullest(taken, NS) == 200


def test_a_cancel_overtakes_what_waits() -> None:
    """A cancel that comes after orders and reads that wait is the first to go, then orders, each in turn."""

    async def work() -> list[str]:
        at = limiter(pool(), weight=10)
        await at.reserve(10, priority=ORDER)
        order: list[str] = []

        async def ask(name: str, priority: Priority, orders: int) -> None:
            await at.reserve(1, orders, priority=priority)
            order.append(name)

        kinds = [("read 1", LOOK_UP, 0), ("order 1", ORDER, 1), ("read 2", LOOK_UP, 0), ("order 2", ORDER, 1)]
        tasks = [asyncio.ensure_future(ask(*kind)) for kind in (*kinds, ("cancel", CANCEL, 0))]
        await asyncio.gather(*tasks)
        return order

    assert virtually(work) == ["cancel", "order 1", "order 2", "read 1", "read 2"]


def test_a_cancel_does_not_wait_behind_what_waits_for_more() -> None:
    """A cancel that fits goes at once although a heavier read waits; a read that would fit stands behind it."""

    async def work() -> None:
        at = limiter(pool(), weight=12)
        await at.reserve(8, priority=LOOK_UP)
        heavy = asyncio.ensure_future(at.reserve(5, priority=LOOK_UP))
        await asyncio.sleep(0)
        light = asyncio.ensure_future(at.reserve(1, priority=LOOK_UP))
        await asyncio.sleep(1)
        assert not heavy.done()
        assert not light.done(), "it would take from the heavier one for ever"
        await at.reserve(1, priority=CANCEL)
        assert clock() < 2 * NS
        await asyncio.gather(heavy, light)

    virtually(work)


def test_orders_that_wait_hold_up_orders_alone() -> None:
    """With the order limit used up, cancels and reads go at once, and so does an order at a symbol with room of its own."""

    async def work() -> None:
        at = limiter(pool(LIMITS), orders=100)
        for _ in range(3):
            await at.reserve(1, 1, priority=ORDER, group="order", symbol="A")
        waiting = asyncio.ensure_future(at.reserve(1, 1, priority=ORDER, group="order", symbol="A"))
        await asyncio.sleep(0)
        await at.reserve(1, priority=CANCEL, group="cancel", symbol="A")
        await at.reserve(1, priority=LOOK_UP)
        await at.reserve(1, 1, priority=ORDER, group="order", symbol="B")
        assert clock() == 0
        assert not waiting.done()
        await waiting
        assert NS <= clock() < 1.01 * NS

    virtually(work)


def test_what_cannot_go_before_its_deadline_is_refused_at_once() -> None:
    """A request without room before its deadline is refused without waiting, those ahead of it counted, and takes nothing."""

    async def work() -> None:
        at = limiter(pool(), orders=2)

        def order(within_s: float) -> Awaitable[Any]:
            return at.reserve(1, 1, priority=ORDER, deadline=utc() + int(within_s * NS))

        waiting = [asyncio.ensure_future(order(9.0)) for _ in range(10)]
        await asyncio.sleep(0)
        assert sum(each.done() for each in waiting) == 2
        # Eight wait, for four seconds: the next goes in the fifth.
        with pytest.raises(TooLate, match="no room before the deadline"):
            await order(4.9)
        assert clock() == 0
        last = asyncio.ensure_future(order(5.1))
        await asyncio.gather(*waiting, last)
        assert 5 * NS <= clock() < 5.1 * NS

    virtually(work)


def test_what_waits_behind_counts_for_nothing() -> None:
    """Reads that wait do not make an order with a deadline too late: it goes before them."""

    async def work() -> None:
        at = limiter(pool(), weight=10)
        await at.reserve(10, priority=ORDER)
        reads = [asyncio.ensure_future(at.reserve(1, priority=LOOK_UP)) for _ in range(100)]
        await asyncio.sleep(0)
        await at.reserve(1, 1, priority=ORDER, deadline=utc() + 61 * NS)
        assert clock() < 60.1 * NS
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    virtually(work)


def test_who_waits_longer_delays_nobody() -> None:
    """An order that fits in a second goes then, although a read that fits in a minute came after it."""

    async def work() -> None:
        at = limiter(pool(), weight=10, orders=1)
        await at.reserve(5, 1, priority=ORDER)
        order = asyncio.ensure_future(at.reserve(1, 1, priority=ORDER))
        read = asyncio.ensure_future(at.reserve(8, priority=LOOK_UP))
        await order
        assert NS <= clock() < 1.1 * NS
        await read

    virtually(work)


def test_who_is_overtaken_beyond_its_deadline_is_refused_then() -> None:
    """An order whose room cancels took is refused when its deadline passes, and leaves nothing behind."""

    async def work() -> None:
        at = limiter(pool(), weight=2)
        await at.reserve(2, priority=ORDER)
        order = asyncio.ensure_future(at.reserve(1, 1, priority=ORDER, deadline=utc() + 61 * NS))
        await asyncio.sleep(0)
        cancels = [asyncio.ensure_future(at.reserve(1, priority=CANCEL)) for _ in range(4)]
        with pytest.raises(TooLate, match="left no room before the deadline"):
            await order
        assert 61 * NS <= clock() < 61.1 * NS
        await asyncio.gather(*cancels)
        assert "waiting" not in at.left()

    virtually(work)


def test_a_request_larger_than_a_window_is_refused() -> None:
    """What can never fit does not wait, not even when the limit becomes too small while it does."""

    async def work() -> None:
        at = pool(weighed(100))
        one = limiter(at)
        with pytest.raises(TooLate, match="larger than the rate limits"):
            await one.reserve(101, priority=CANCEL)
        await one.reserve(100, priority=CANCEL)
        waiting = asyncio.ensure_future(one.reserve(80, priority=ORDER))
        await asyncio.sleep(0)
        at.set_limit("weight 1m", 50)
        with pytest.raises(TooLate, match="larger than the rate limits"):
            await waiting

    virtually(work)


def test_who_gives_up_leaves_its_place() -> None:
    """A waiter that is cancelled holds nobody up: what stood behind it goes when it fits itself."""

    async def work() -> None:
        at = limiter(pool(), weight=10)
        await at.reserve(2, priority=ORDER)
        await asyncio.sleep(30)
        await at.reserve(8, priority=ORDER)
        heavy = asyncio.ensure_future(at.reserve(10, priority=ORDER))
        await asyncio.sleep(0)
        light = asyncio.ensure_future(at.reserve(1, priority=ORDER))
        await asyncio.sleep(1)
        heavy.cancel()
        await light
        assert 60 * NS <= clock() < 60.1 * NS

    virtually(work)


def test_who_gives_up_leaves_its_place_at_the_address() -> None:
    """The same where it is the address that is short, and another account stands behind."""

    async def work() -> None:
        at = pool(weighed(10))
        one, other = limiter(at), limiter(at)
        await one.reserve(2, priority=ORDER)
        await asyncio.sleep(30)
        await one.reserve(8, priority=ORDER)
        heavy = asyncio.ensure_future(one.reserve(10, priority=ORDER))
        await asyncio.sleep(0)
        light = asyncio.ensure_future(other.reserve(1, priority=ORDER))
        await asyncio.sleep(1)
        heavy.cancel()
        await light
        assert 60 * NS <= clock() < 60.1 * NS

    virtually(work)


def test_waiting_is_bounded() -> None:
    """No more than so many wait; those who gave up are forgotten."""

    async def work() -> None:
        at = limiter(pool(), orders=1)
        for _ in range(4):
            tasks = [asyncio.ensure_future(at.reserve(1, 1, priority=ORDER)) for _ in range(MAX_WAITING + 50)]
            done, waiting = await asyncio.wait(tasks, timeout=0.5)
            assert sum(isinstance(task.exception(), TooLate) for task in done) >= 49
            assert MAX_WAITING - 1 <= at.left()["waiting"]["requests"] <= MAX_WAITING
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert "waiting" not in at.left()
        assert sum(len(line) for lane in at._account.places[""].lanes.values() for line in lane._lines) <= 8

    virtually(work)


def test_symbols_are_forgotten() -> None:
    """An account that has traded very many symbols keeps windows for few."""

    async def work() -> None:
        at = limiter(pool(LIMITS))
        for number in range(3 * SYMBOLS_MAX):
            await at.reserve(0, priority=CANCEL, group="cancel", symbol=f"S{number}")
            if number % 100 == 0:
                await asyncio.sleep(1)
        assert len(at._account.places) <= SYMBOLS_MAX

    virtually(work)


async def test_a_group_that_the_pool_does_not_know_is_refused() -> None:
    """A misspelt group would go past the exchange's rules: it is an error."""
    with pytest.raises(ValueError, match="a group must be one of cancel, default, order, public, was 'ordr'"):
        await limiter(Pool(LIMITS)).reserve(1, priority=ORDER, group="ordr")


# -- room that is left for others


MIXED = Limits(
    address=(Rule("weight 1m", Counts.WEIGHT, 80, 6), Rule("requests 5s", Counts.REQUESTS, 40, 5)),
    account=(Rule("default", Counts.REQUESTS, 20, 1, frozenset({"default"})),),
)
SOON_MS = st.integers(0, 3_000)
ASKED = st.tuples(
    SOON_MS, st.sampled_from((1, 5, 25)), st.sampled_from((LOOK_UP, COMPARE)), st.integers(0, 9)
)
URGENT = st.tuples(SOON_MS, st.sampled_from((CANCEL, ORDER)), st.integers(0, 9))


@given(asked=st.lists(ASKED, min_size=30, max_size=80), urgent=st.lists(URGENT, min_size=2, max_size=5))
def test_no_number_of_questions_makes_an_order_wait(
    asked: list[tuple[int, int, Priority, int]], urgent: list[tuple[int, Priority, int]]
) -> None:
    """However many accounts ask how much, orders and cancels that take no more than a quarter of a window go at once."""

    async def work() -> None:
        at = pool(MIXED)
        accounts = [limiter(at, f"sub_{number}", weight=200) for number in range(10)]

        async def ask(ms: int, weight: int, priority: Priority, number: int) -> None:
            await asyncio.sleep(ms / 1_000)
            await accounts[number].reserve(weight, priority=priority)

        async def send(ms: int, priority: Priority, number: int) -> None:
            await asyncio.sleep(ms / 1_000)
            before = clock()
            await accounts[number].reserve(1, int(priority is ORDER), priority=priority)
            assert clock() == before

        await asyncio.gather(*(ask(*each) for each in asked), *(send(*each) for each in urgent))

    virtually(work)


@given(
    compared=st.lists(st.tuples(SOON_MS, st.sampled_from((1, 5, 25))), min_size=30, max_size=80),
    at_ms=SOON_MS,
)
def test_no_number_of_comparisons_makes_a_look_up_wait(compared: list[tuple[int, int]], at_ms: int) -> None:
    """An order in doubt is looked up at once, whatever else accounts compare in the background."""

    async def work() -> None:
        at = pool(MIXED)
        accounts = [limiter(at, f"sub_{number}") for number in range(len(compared))]

        async def ask(one: Limiter, ms: int, weight: int) -> None:
            await asyncio.sleep(ms / 1_000)
            await one.reserve(weight, priority=COMPARE)

        async def look_up() -> None:
            await asyncio.sleep(at_ms / 1_000)
            before = clock()
            await limiter(at).reserve(4, priority=LOOK_UP)
            assert clock() == before

        asking = (ask(one, *each) for one, each in zip(accounts, compared, strict=True))
        await asyncio.gather(look_up(), *asking)

    virtually(work)


def test_comparisons_take_what_is_left_to_them_and_no_more() -> None:
    """Of a mixed window look-ups may take three quarters, comparisons half; of one of their own both take all."""

    async def work() -> list[int]:
        counts = []
        for priority in (CANCEL, ORDER, LOOK_UP, COMPARE):
            at = pool(weighed(100))
            counts.append(await admitted([limiter(at).reserve(1, priority=priority) for _ in range(200)], 5))
        at = pool(LIMITS)
        asked = [limiter(at).reserve(0, priority=COMPARE, group="public") for _ in range(9)]
        return [*counts, await admitted(asked, 0.5)]

    assert virtually(work) == [100, 100, 75, 50, 4]


def test_what_is_larger_than_its_share_is_refused() -> None:
    """A question that would take what is kept for orders cannot go at all, and does not wait."""

    async def work() -> None:
        one = limiter(pool(weighed(100)))
        with pytest.raises(TooLate, match="larger than the rate limits"):
            await one.reserve(76, priority=LOOK_UP)
        await one.reserve(75, priority=LOOK_UP)

    virtually(work)


# -- many accounts


def test_two_hundred_accounts_have_two_hundred_budgets() -> None:
    """Each of 200 accounts gets its own limit, whatever the others ask for."""

    async def work() -> list[int]:
        at = pool()
        accounts = [limiter(at, f"sub_{number}", orders=10) for number in range(200)]
        works = (admitted([one.reserve(1, 1, priority=ORDER) for _ in range(35)], 2.5) for one in accounts)
        return await asyncio.gather(*works)

    assert virtually(work) == [30] * 200


def test_markets_of_an_account_share_what_the_exchange_counts_for_it() -> None:
    """Two limiters by the name of one account stand before the same windows of the exchange; other names do not."""

    async def work() -> list[int]:
        at = pool(LIMITS)
        spot, futures, other = limiter(at, "main"), limiter(at, "main"), limiter(at, "sub")
        works = [one.reserve(1, 1, priority=ORDER) for one in (spot, futures) for _ in range(8)]
        return [
            await admitted(works, 1.0),
            await admitted([other.reserve(1, 1, priority=ORDER) for _ in range(9)], 0.5),
        ]

    assert virtually(work) == [8, 8]


def test_markets_of_an_account_have_their_own_allowance() -> None:
    """What we allow an account at one of its markets is not what we allow it at another."""

    async def work() -> list[int]:
        at = pool()
        spot, futures = limiter(at, "main", orders=2), limiter(at, "main", orders=5)
        return [
            await admitted([one.reserve(1, 1, priority=ORDER) for _ in range(9)], 0.5)
            for one in (spot, futures)
        ]

    assert virtually(work) == [2, 5]


def test_cancels_of_any_account_go_before_orders_of_any_other() -> None:
    """Where the address is short of weight, the accounts' requests go by rank as if they were one's."""

    async def work() -> list[str]:
        at = pool(weighed(10))
        one, two = limiter(at, "one"), limiter(at, "two")
        await one.reserve(10, priority=ORDER)
        order: list[str] = []

        async def ask(name: str, by: Limiter, priority: Priority) -> None:
            await by.reserve(1, priority=priority)
            order.append(name)

        kinds = [
            ("read 1", one, LOOK_UP),
            ("order 2", two, ORDER),
            ("order 1", one, ORDER),
            ("cancel 2", two, CANCEL),
        ]
        await asyncio.gather(*(ask(*kind) for kind in kinds))
        return order

    assert virtually(work) == ["cancel 2", "order 2", "order 1", "read 1"]


def test_an_account_that_waits_for_itself_does_not_hold_up_another() -> None:
    """While one account has used up its own weight, another still takes from the address at once."""

    async def work() -> None:
        at = pool(weighed(1_000))
        one, two = limiter(at, weight=10), limiter(at)
        await one.reserve(10, priority=ORDER)
        waiting = asyncio.ensure_future(one.reserve(1, priority=CANCEL))
        await asyncio.sleep(0)
        await two.reserve(1, priority=LOOK_UP)
        assert clock() == 0
        await waiting

    virtually(work)


# -- what the exchange says


def test_a_throttled_pool_holds_up_every_account() -> None:
    """When the exchange refuses our address, every account stays away for so long, and then goes by rank."""

    async def work() -> list[str]:
        at = pool()
        one, other = limiter(at, weight=5), limiter(at, weight=5)
        at.hold(30)
        assert other.left()["held"] == {"ms": 30_001}
        order: list[str] = []

        async def ask(name: str, by: Limiter, priority: Priority) -> None:
            await by.reserve(1, priority=priority)
            order.append(name)
            assert 30 * NS <= clock() < 30.1 * NS

        await asyncio.gather(ask("read", one, LOOK_UP), ask("cancel", other, CANCEL))
        return order

    assert virtually(work) == ["cancel", "read"]


def test_a_throttled_account_holds_up_itself_or_one_group() -> None:
    """When the exchange refuses an account, others go on; a hold of one group leaves the other groups alone."""

    async def work() -> None:
        at = pool(LIMITS)
        one, other = limiter(at, "one"), limiter(at, "other")
        one.hold(5, "order")
        await other.reserve(1, 1, priority=ORDER, group="order")
        await one.reserve(1, priority=CANCEL, group="cancel")
        assert clock() == 0
        await one.reserve(1, 1, priority=ORDER, group="order")
        assert 5 * NS <= clock() < 5.1 * NS
        one.hold(5)
        await one.reserve(1, priority=CANCEL, group="cancel")
        assert clock() >= 10 * NS

    virtually(work)


def test_binance_is_believed_when_it_has_counted_more() -> None:
    """Weight that others behind our address have used and orders placed elsewhere are not there for us; less changes nothing."""

    async def work() -> None:
        at = pool(POOLS["binance.spot"])
        one = Limiter(1_200, 10, 1_000, at, "one")
        headers = {"x-mbx-used-weight-1m": "5990", "x-mbx-used-weight": "7", "x-mbx-order-count-10s": "98"}
        one.learn(headers | {"x-mbx-order-count-1d": "400"})
        one.learn({"x-mbx-used-weight-1m": "10", "x-mbx-order-count-10s": "0", "x-mbx-used-weight-1h": "9"})
        one.learn({"x-mbx-used-weight-1m": "many"})
        left = one.left()
        assert left["address weight 1m"] == {"limit": 6_000, "used": 5_990, "left": 10, "seconds": 60}
        assert left["account orders 10s"] == {"limit": 100, "used": 98, "left": 2, "seconds": 10}
        assert left["account orders 1d"]["left"] == 199_600
        assert left["own orders 1d"] == {"limit": 1_000, "used": 400, "left": 600, "seconds": 86_400}
        assert left["own weight 1m"]["used"] == 0
        assert await admitted([one.reserve(1, 1, priority=ORDER, group="order") for _ in range(3)], 9.9) == 2

    virtually(work)


def test_an_account_has_its_own_budget() -> None:
    """One that is allowed more has more, and takes nothing from those that are allowed what all are."""

    async def work() -> None:
        at = pool(POOLS["binance.spot"])
        budgets = Budgets(at, 1_200, 10, 1_000, {"fast": Budget(2_400, 50, 5_000)})
        left = {name: budgets.of(name).left() for name in ("fast", "main")}
        limits = [
            [left[name][window]["limit"] for window in ("own weight 1m", "own orders 1s", "own orders 1d")]
            for name in ("fast", "main")
        ]
        assert limits == [[2_400, 50, 5_000], [1_200, 10, 1_000]]
        for name, most in (("fast", 50), ("main", 10)):
            orders = [budgets.of(name).reserve(1, 1, priority=ORDER, group="order") for _ in range(60)]
            assert await admitted(orders, 0.9) == most

    virtually(work)


def test_bybit_is_believed_about_its_groups() -> None:
    """What a group allows is learnt up and down, what is left of it is kept, and an exhausted one rests until its reset."""

    async def work() -> None:
        at = pool(POOLS["bybit"])
        one = limiter(at, "one")
        create = "linear.create"
        reserved = await one.reserve(1, 1, priority=ORDER, group=create)
        one.learn({"x-bapi-limit": "50", "x-bapi-limit-status": "49"}, create, reserved)
        assert one.left()[f"account {create}"] == {"limit": 50, "used": 1, "left": 49, "seconds": 1}
        one.learn({"x-bapi-limit": "5", "x-bapi-limit-status": "1"}, create, reserved)
        assert await admitted([one.reserve(1, 1, priority=ORDER, group=create) for _ in range(3)], 0.9) == 1
        reset = str((utc() + 3 * NS) // 10**6)
        one.learn(
            {"x-bapi-limit": "5", "x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": reset}, create
        )
        await one.reserve(1, priority=LOOK_UP, group="wallet")
        assert clock() < NS
        await one.reserve(1, 1, priority=ORDER, group=create)
        assert 3.8 * NS < clock() < 4 * NS

    virtually(work)


def test_what_a_slow_answer_tells_is_not_counted_twice() -> None:
    """An answer that comes after its own request has expired here takes no room from the next second."""

    async def work() -> None:
        at = pool(POOLS["bybit"])
        one = limiter(at, "one")
        reserved = [await one.reserve(1, 1, priority=ORDER, group="linear.create") for _ in range(10)]
        await asyncio.sleep(1.2)
        for left, each in zip(range(9, -1, -1), reserved, strict=True):
            one.learn({"x-bapi-limit": "10", "x-bapi-limit-status": str(left)}, "linear.create", each)
        assert "account linear.create" not in one.left()
        one.learn({"x-bapi-limit": "10", "x-bapi-limit-status": "6"}, "linear.create", reserved[0])
        assert one.left()["account linear.create"]["used"] == 3

    virtually(work)


def test_upbit_is_believed_about_what_is_left() -> None:
    """What is left of a group in this second bounds what goes in it; more left than we thought allowed raises the limit."""

    async def work() -> None:
        at = pool(POOLS["upbit"])
        one = limiter(at, "one")
        reserved = await one.reserve(1, 1, priority=ORDER, group="order")
        one.learn({"remaining-req": "group=order; min=1800; sec=3"}, "order", reserved)
        assert one.left()["account order"] == {"limit": 12, "used": 9, "left": 3, "seconds": 1}
        assert await admitted([one.reserve(1, 1, priority=ORDER, group="order") for _ in range(9)], 0.9) == 3
        one.learn({"remaining-req": "group=order; min=1800; sec=19"}, "order", None)
        assert one.left()["account order"]["limit"] == 20
        one.learn({"remaining-req": "nonsense"}, "order", None)
        one.learn({"remaining-req": "group=later; sec=1"}, "order", None)

    virtually(work)


def test_okx_counts_by_symbol_and_account() -> None:
    """60 orders in two seconds at each instrument, 1,000 new and amended ones at all, and cancels beside both."""

    async def work() -> list[int]:
        at = pool(POOLS["okx"])
        one = limiter(at, "one")

        async def ask(group: str, orders: int, symbols: int, each: int) -> int:
            works = (
                one.reserve(1, orders, priority=ORDER, group=group, symbol=f"S{symbol}-USDT")
                for symbol in range(symbols)
                for _ in range(each)
            )
            return await admitted(works, 1.0)

        counts = [await ask("order", 1, 1, 70), await ask("cancel", 0, 1, 70)]
        await asyncio.sleep(3)
        return [*counts, await ask("order", 1, 18, 60)]

    assert virtually(work) == [60, 60, 1_000]


def test_connections_are_counted_by_address_or_account() -> None:
    """When all accounts come back at once, OKX sees three connections a second, Binance 300 in five minutes, Upbit five each."""

    async def work(name: str, within_s: float) -> int:
        at = pool(POOLS[name])
        accounts = [limiter(at, f"sub_{number}") for number in range(400)]
        works = (one.reserve(0, priority=LOOK_UP, group=CONNECT) for one in accounts for _ in range(6))
        return await admitted(works, within_s)

    assert virtually(lambda: work("okx", 9.5)) == 30
    assert virtually(lambda: work("binance.spot", 299)) == 300
    assert virtually(lambda: work("upbit", 0.5)) == 2_000


def test_what_an_exchange_lists_takes_the_place_of_the_table() -> None:
    """A limit that is listed holds for the address and for every account, before and after; an unknown one is an error."""

    async def work() -> None:
        at = pool(POOLS["binance.spot"])
        before = limiter(at, "before")
        at.set_limit("orders 10s", 3)
        at.set_limit("weight 1m", 9)
        after = limiter(at, "after")
        assert (
            await admitted([before.reserve(0, 1, priority=ORDER, group="order") for _ in range(5)], 1.0) == 3
        )
        assert (
            await admitted([after.reserve(0, 1, priority=ORDER, group="order") for _ in range(5)], 1.0) == 3
        )
        assert await admitted([after.reserve(1, priority=CANCEL) for _ in range(12)], 1.0) == 9
        with pytest.raises(KeyError):
            at.set_limit("orders 1h", 1)

    virtually(work)


def test_the_table_is_sound() -> None:
    """Every market has a pool, every rule's name is its own in its pool, and what answers tell names rules there are."""
    for venue in (
        "binance.spot",
        "binance.futures",
        "bybit.spot",
        "bybit.futures",
        "okx.spot",
        "okx.futures",
        "upbit.spot",
    ):
        limits = POOLS[pool_of(venue)]
        names = [rule.name for rule in (*limits.address, *limits.account)]
        assert len(names) == len(set(names))
        assert all(rule.limit > 0 and rule.seconds > 0 for rule in (*limits.address, *limits.account))
        assert all(name not in limits.groups for name in ("held", "waiting"))
    for name in ("binance.spot", "binance.futures"):
        rules = (*POOLS[name].address, *POOLS[name].account)
        for rule in (each for each in rules if each.counts is not Counts.REQUESTS):
            header = {"weight": "x-mbx-used-weight", "orders": "x-mbx-order-count"}[rule.counts]
            told = POOLS[name].read({f"{header}-{rule.name.split()[1]}": "5"}, "default")
            assert [(each.rule, each.used) for each in told] == [(rule.name, 5)]


def test_what_is_left_is_short_and_plain() -> None:
    """What is left is JSON of integers, and a pool of many groups tells only those that are used."""

    async def work() -> None:
        one = limiter(pool(POOLS["bybit"]), "one", weight=1_200, orders=10)
        await one.reserve(1, 1, priority=ORDER, group="spot.create")
        left = json.loads(json.dumps(one.left()))
        assert set(left) == {
            "own weight 1m", "own orders 1s", "own orders 1d", "account spot.create", "address requests 5s"
        }  # fmt: skip
        assert all(type(value) is int for each in left.values() for value in each.values())
        assert left["own orders 1s"] == {"limit": 10, "used": 1, "left": 9, "seconds": 1}

    virtually(work)
