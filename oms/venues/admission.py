"""Admission: who of those that wait for the rate limits goes next.

Requests that wait stand in lanes, one for all that take from the same windows. A request that does not fit holds up only
what comes behind it and takes from the window that it waits for: an order that waits for orders never holds up a cancel,
nor one account another, until they compete for what their address shares; then the first in rank goes first, whosever
it is. Questions leave room for orders (:data:`oms.venues.windows.KEPT`): no number of accounts that compare themselves with
the venue makes an order wait. Everything here happens between two awaits, so that no two callers pass through the same gap.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from oms.venues.pools import DEFAULT, NS, Counts, Limits, Rule
from oms.venues.windows import KEPT, NEVER, Gate, Rank, Window

SYMBOLS_MAX: Final = 1_000
"""Symbols that an account remembers; beyond it those without a request in their windows are forgotten."""
LATE_NS: Final = 10**6
"""A little late rather than a little early: loops read their clock in milliseconds."""


class TooLate(Exception):
    """There is no room before the deadline."""


@attrs.frozen
class Reservation:
    """Room for one request, and what was used of each window with it."""

    used: tuple[tuple[Gate, int], ...]


@attrs.define(eq=False)
class Waiter:
    """One request that waits."""

    rank: Rank
    weight: int
    orders: int
    future: asyncio.Future[Reservation]
    waits: bool = True


class Lane:
    """All requests that take from the same gates and windows. Each takes something of every window."""

    def __init__(self, parts: Iterable[tuple[Gate, Counts | None]]) -> None:
        # By position, because a look into a dictionary by an enumeration's member costs as much as all the rest.
        kinds = (None, Counts.REQUESTS, Counts.WEIGHT, Counts.ORDERS)
        self._parts = tuple((gate, kinds.index(counts)) for gate, counts in parts)
        self.live = 0
        self._lines: tuple[deque[Waiter], ...] = tuple(deque() for _ in KEPT)

    def amounts(self, weight: int, orders: int) -> list[tuple[Gate, int]]:
        """What a request takes of each."""
        sizes = (0, 1, weight, orders)
        return [(gate, sizes[kind]) for gate, kind in self._parts]

    def put(self, waiter: Waiter) -> None:
        """Wait from now on."""
        self._lines[waiter.rank[0]].append(waiter)
        self._count(waiter, 1)

    def leave(self, waiter: Waiter) -> None:
        """Wait no longer: admitted, refused or given up."""
        waiter.waits = False
        self._count(waiter, -1)
        # Those who gave up in the middle are left until they are at the head, or are the most.
        line = self._lines[waiter.rank[0]]
        if len(line) > 2 * self.live + 8:
            kept = [each for each in line if each.waits]
            line.clear()
            line.extend(kept)

    def _count(self, waiter: Waiter, sign: int) -> None:
        self.live += sign
        for gate, amount in self.amounts(waiter.weight, waiter.orders):
            gate.wait(waiter.rank[0], sign * amount)

    def head(self) -> Waiter | None:
        """Who goes first."""
        for line in self._lines:
            while line and (not line[0].waits or line[0].future.done()):
                line.popleft()
            if line:
                return line[0]
        return None


class _Timer:
    """Calls back at the earliest of the times it was told."""

    def __init__(self, call: Callable[[], None], clock: Callable[[], int]) -> None:
        self._call = call
        self._clock = clock
        self._at = NEVER
        self._handle: asyncio.TimerHandle | None = None

    def wake_at(self, at: int) -> None:
        if at >= self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        delay_s = (max(at - self._clock(), 0) + LATE_NS) / NS
        self._handle = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._at, self._handle = NEVER, None
        self._call()


@attrs.define
class Place:
    """What an account does at one symbol, or where no rule tells symbols apart."""

    windows: dict[str, Window] = attrs.field(factory=dict)
    lanes: dict[tuple[object, ...], Lane] = attrs.field(factory=dict)


class Account:
    """One account at a pool: its own windows there, and its requests that wait."""

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.live = 0
        self.windows = {rule.name: window(rule) for rule in pool.limits.account if not rule.by_symbol}
        self.gates = {group: Gate() for group in pool.limits.groups}
        self.by_symbol = frozenset().union(*(rule.groups for rule in pool.limits.account if rule.by_symbol))
        self.places: dict[str, Place] = {}
        self.marked: list[Gate] = []
        """Gates whose ``first`` is a request of this account, other than those of the pool."""
        self.timer = _Timer(self.pump, pool.clock)

    def lanes(self) -> list[Lane]:
        """Those in which somebody waits."""
        return [lane for place in self.places.values() for lane in place.lanes.values() if lane.live]

    def place(self, symbol: str) -> Place:
        """The windows and lanes of a symbol."""
        place = self.places.get(symbol)
        if place is None:
            if len(self.places) >= SYMBOLS_MAX:
                self._forget(self.pool.clock())
            rules = (rule for rule in self.pool.limits.account if rule.by_symbol)
            place = self.places[symbol] = Place({rule.name: window(rule) for rule in rules})
        return place

    def _forget(self, now: int) -> None:
        self.places = {
            symbol: place
            for symbol, place in self.places.items()
            if any(lane.live for lane in place.lanes.values())
            or any(each.used(now) for each in place.windows.values())
        }

    def put(self, lane: Lane, waiter: Waiter) -> None:
        """Wait in a lane, and look again when there may be room."""
        self.live += 1
        lane.put(waiter)
        _settle(self, lane, waiter, self.pool.clock())

    def leave(self, lane: Lane, waiter: Waiter) -> None:
        """Wait no longer."""
        self.live -= 1
        lane.leave(waiter)

    def pump(self) -> None:
        """Admit who fits. Where the address is what is short, all accounts that wait for it are looked at together."""
        if self in self.pool.short:
            self.pool.pump()
        else:
            _admit([self], self.pool.clock())


def window(rule: Rule, shared: bool = False) -> Window:
    """An empty one."""
    # Endpoints with a group of their own are either for orders or for questions.
    return Window(rule.seconds * NS, rule.limit, shared, mixed=not rule.groups or DEFAULT in rule.groups)


class Pool:
    """What all our accounts at an exchange share, because it counts by address, and where its limits for each are kept.

    Args:
        limits: the exchange's, from :data:`oms.venues.pools.POOLS`.
        clock: monotonic ns.
        utc: UTC ns, the clock of deadlines.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], int] = time.monotonic_ns,
        utc: Callable[[], int] = time.time_ns,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.utc = utc
        self.windows = {rule.name: window(rule, shared=True) for rule in limits.address}
        self.gate = Gate(shared=True)
        self.short: set[Account] = set()
        """Accounts with requests that wait for what the address shares."""
        self.marked: list[Gate] = []
        self.timer = _Timer(self.pump, clock)
        self._accounts: dict[str, Account] = {}
        self._numbers = 0

    def account(self, name: str) -> Account:
        """The account by that name."""
        if name not in self._accounts:
            self._accounts[name] = Account(self)
        return self._accounts[name]

    def number(self) -> int:
        """The next number: who came first."""
        self._numbers += 1
        return self._numbers

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the exchange refuses our address."""
        self.gate.close(self.clock() + int(seconds * NS))

    def set_limit(self, rule: str, limit: int) -> None:
        """What the exchange lists takes the place of the table's, for the address or for every account.

        Raises:
            KeyError: there is no such rule.
        """
        rules = {each.name: each for each in (*self.limits.address, *self.limits.account)}
        changed = attrs.evolve(rules[rule], limit=limit)
        self.limits = attrs.evolve(
            self.limits,
            address=tuple(changed if each.name == rule else each for each in self.limits.address),
            account=tuple(changed if each.name == rule else each for each in self.limits.account),
        )
        owners = [self.windows]
        for account in self._accounts.values():
            owners += [account.windows, *(place.windows for place in account.places.values())]
            if account.live:
                account.timer.wake_at(self.clock())
        for windows in owners:
            if rule in windows:
                windows[rule].limit = limit

    def pump(self) -> None:
        """Admit who fits, of all accounts that wait for the address."""
        accounts, self.short = self.short, set()
        for gate in self.marked:
            gate.first = None
        self.marked.clear()
        _admit(accounts, self.clock())


def _admit(accounts: Iterable[Account], now: int) -> None:
    """Admit who fits, the first in rank first."""
    heads: list[tuple[Rank, Lane, Account]] = []
    for account in accounts:
        for gate in account.marked:
            gate.first = None
        account.marked.clear()
        for lane in account.lanes():
            _head(heads, lane, account)
    while heads:
        _, lane, account = heapq.heappop(heads)
        waiter = lane.head()
        if waiter is not None and _settle(account, lane, waiter, now):
            _head(heads, lane, account)


def _head(heads: list[tuple[Rank, Lane, Account]], lane: Lane, account: Account) -> None:
    waiter = lane.head()
    if waiter is not None:
        heapq.heappush(heads, (waiter.rank, lane, account))


def _settle(account: Account, lane: Lane, waiter: Waiter, now: int) -> bool:
    """Admit a request that waits, or mark what it waits for and look again then. Return whether it waits no longer."""
    pool = account.pool
    amounts = lane.amounts(waiter.weight, waiter.orders)
    held = short = False
    lacking: list[Gate] = []
    at = now
    for gate, amount in amounts:
        if gate.first is not None and gate.first < waiter.rank:
            # Who is first there brings about the next look.
            held = True
            short |= gate.shared
        elif (fits := gate.fits_at(now, amount, waiter.rank[0])) > now:
            lacking.append(gate)
            at = max(at, fits)
    if held:
        if short:
            pool.short.add(account)
        return False
    if not lacking or at >= NEVER:
        account.leave(lane, waiter)
        if lacking:
            waiter.future.set_exception(TooLate("the request is larger than the rate limits"))
        else:
            waiter.future.set_result(take(amounts, now))
        return True
    for gate in lacking:
        gate.first = waiter.rank
        (pool.marked if gate.shared else account.marked).append(gate)
        short |= gate.shared
    if short:
        pool.short.add(account)
    (pool.timer if account in pool.short else account.timer).wake_at(at)
    return False


def take(amounts: Iterable[tuple[Gate, int]], now: int) -> Reservation:
    """Count a request from now on."""
    return Reservation(tuple([(gate, gate.add(now, amount)) for gate, amount in amounts]))


def fits(amounts: Iterable[tuple[Gate, int]], rank: Rank, now: int) -> bool:
    """Whether a request goes at once: there is room for it everywhere, and nobody with a better rank waits for any of it."""
    priority = rank[0]
    for gate, amount in amounts:
        if (gate.first is not None and gate.first < rank) or not gate.fits(now, amount, priority):
            return False
    return True
