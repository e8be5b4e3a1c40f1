"""Limiter: what an account may still send. Reserved before sending, cancels first, corrected by what the venue says.

Three sets of windows hold for every request: what we allow ourselves, what the exchange allows the account, and what it
allows our address (:mod:`oms.venues.pools`). Who goes next is decided in :mod:`oms.venues.admission`.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Final

from oms.venues.admission import Lane, Place, Pool, Reservation, TooLate, Waiter, fits, take, window
from oms.venues.pools import DAY, DEFAULT, MINUTE, NS, Counts, Rule
from oms.venues.windows import NEVER, Gate, Window

__all__ = ["Limiter", "Pool", "Priority", "Reservation", "TooLate", "asking", "asking_as"]

MAX_WAITING: Final = 2_000
"""Requests of one account that may wait; beyond it they are refused."""

TOLD_HOLD_MAX_NS: Final = 60 * NS
"""An exchange's word for when its limit is free again is believed for at most so long: clocks differ."""


class Priority(IntEnum):
    """Who goes first when there is not room for all. Look-ups leave a quarter of what they share with orders free,
    comparisons half of it."""

    CANCEL = 0
    ORDER = 1
    LOOK_UP = 2
    COMPARE = 3
    """Comparisons that nobody waits for: with many accounts they take all that is left to them, all the time."""


_ASKING: contextvars.ContextVar[Priority] = contextvars.ContextVar("asking", default=Priority.LOOK_UP)


def asking() -> Priority:
    """What the questions are that are asked here."""
    return _ASKING.get()


@contextlib.contextmanager
def asking_as(priority: Priority) -> Iterator[None]:
    """The questions asked within are of this priority, and those of tasks begun within."""
    token = _ASKING.set(priority)
    try:
        yield
    finally:
        _ASKING.reset(token)


class Limiter:
    """One account's limits at one venue.

    Args:
        weight_per_minute, orders_per_second, orders_per_day: what we allow ourselves.
        pool: of the exchange, shared by all accounts that it throttles together.
        account: its name; limiters of one pool by the same name share what the exchange allows the account.
    """

    def __init__(
        self,
        weight_per_minute: int,
        orders_per_second: int,
        orders_per_day: int,
        pool: Pool,
        account: str,
    ) -> None:
        self.pool = pool
        self._account = pool.account(account)
        self._number = pool.number()
        self._rules = (
            Rule("weight 1m", Counts.WEIGHT, weight_per_minute, MINUTE),
            Rule("orders 1s", Counts.ORDERS, orders_per_second, 1),
            Rule("orders 1d", Counts.ORDERS, orders_per_day, DAY),
        )
        self._own = {rule.name: window(rule) for rule in self._rules}

    async def reserve(
        self,
        weight: int,
        orders: int = 0,
        *,
        priority: Priority,
        group: str = DEFAULT,
        symbol: str = "",
        deadline: int | None = None,
    ) -> Reservation:
        """Take the room for one request, waiting for it if need be.

        Args:
            weight, orders: what it takes of windows that count these; one request it is in any case.
            group: of the pool's table. symbol: the exchange's, where it counts by symbol.
            deadline: UTC ns after which the request may not be sent.

        Raises:
            TooLate: there is no room before the deadline, or too many wait already.
            ValueError: the pool has no such group.
        """
        pool, account = self.pool, self._account
        lane = self._lane(group, symbol, weight > 0, orders > 0)
        amounts = lane.amounts(weight, orders)
        rank = (int(priority), pool.number())
        now = pool.clock()
        if fits(amounts, rank, now):
            return take(amounts, now)
        earliest = max(gate.fits_at(now, amount, priority, gate.ahead(priority)) for gate, amount in amounts)
        if earliest >= NEVER:
            raise TooLate("the request is larger than the rate limits")
        left_ns = None if deadline is None else deadline - pool.utc()
        if left_ns is not None and earliest - now > left_ns:
            raise TooLate("the rate limits leave no room before the deadline")
        if account.live >= MAX_WAITING:
            raise TooLate(f"{MAX_WAITING:,} requests wait for the rate limits already")
        loop = asyncio.get_running_loop()
        waiter = Waiter(rank, weight, orders, loop.create_future())
        account.put(lane, waiter)
        timer = None if left_ns is None else loop.call_later(left_ns / NS, _expire, waiter.future)
        try:
            return await waiter.future
        finally:
            if timer is not None:
                timer.cancel()
            if waiter.waits:
                account.leave(lane, waiter)
                # It may have been what others waited behind.
                account.timer.wake_at(now)

    def _lane(self, group: str, symbol: str, weighs: bool, orders: bool) -> Lane:
        account = self._account
        if group not in account.gates:
            raise ValueError(f"a group must be one of {', '.join(sorted(account.gates))}, was {group!r}")
        place = account.place(symbol if group in account.by_symbol else "")
        key = (self._number, group, weighs, orders)
        lane = place.lanes.get(key)
        if lane is None:
            lane = place.lanes[key] = Lane(self._parts(group, place, weighs, orders))
        return lane

    def _parts(
        self, group: str, place: Place, weighs: bool, orders: bool
    ) -> Iterable[tuple[Gate, Counts | None]]:
        pool, account = self.pool, self._account
        yield pool.gate, None
        yield account.gates[group], None
        counted = {Counts.REQUESTS: True, Counts.WEIGHT: weighs, Counts.ORDERS: orders}
        for rule in self._rules:
            if counted[rule.counts]:
                yield self._own[rule.name], rule.counts
        for rule in (*pool.limits.account, *pool.limits.address):
            if counted[rule.counts] and (not rule.groups or group in rule.groups):
                name = rule.name
                found = place.windows.get(name) or account.windows.get(name) or pool.windows[name]
                yield found, rule.counts

    def hold(self, seconds: float, group: str | None = None) -> None:
        """Send nothing of this group, or nothing at all, for the account for so long: the exchange refuses it."""
        until = self.pool.clock() + int(seconds * NS)
        for name, gate in self._account.gates.items():
            if group is None or name == group:
                gate.close(until)

    def learn(
        self, headers: Mapping[str, str], group: str = DEFAULT, reservation: Reservation | None = None
    ) -> None:
        """Correct what is used by what an answer tells; never below what we have sent ourselves.

        Args:
            headers: names in lower case.
            reservation: the request's. What it has seen used is not taken for somebody else's once it expires here.
        """
        now = self.pool.clock()
        known = {} if reservation is None else dict(reservation.used)
        for told in self.pool.limits.read(headers, group):
            at_account = self._account.windows.get(told.rule)
            found = at_account or self.pool.windows.get(told.rule)
            if found is None:
                continue
            if told.limit is not None:
                found.limit = told.limit
            elif told.left is not None and told.left >= found.limit:
                # This request is counted already.
                found.limit = told.left + 1
            seen = found.limit - (told.left or 0) if told.used is None else told.used
            found.correct(now, seen, known.get(found, 0))
            if at_account is not None and told.rule in self._own:
                # What the account did before we began, or elsewhere, is of what we allow it, too.
                self._own[told.rule].correct(now, seen)
            if told.shut_until is not None:
                shut_ns = min(told.shut_until - self.pool.utc(), TOLD_HOLD_MAX_NS)
                self._account.gates[group].close(now + shut_ns)

    def left(self) -> dict[str, dict[str, int]]:
        """What is left now, by window: ``{"own orders 1s": {"limit": 10, "used": 3, "left": 7, "seconds": 1}, …}``.

        Windows are ``own``, the ``account``'s or of the ``address``; those of the last two in which nothing is used have
        all of their limit left, and are not listed. Of windows by symbol the fullest is. ``{"held": {"ms": …}}`` is there
        while the exchange refuses us, ``{"waiting": {"requests": …}}`` while requests wait.
        """
        now = self.pool.clock()
        account = self._account
        told = {f"own {name}": _told(own, now) for name, own in self._own.items()}
        full = {f"account {name}": each for name, each in account.windows.items()}
        for place in account.places.values():
            for name, each in place.windows.items():
                other = full.setdefault(f"account {name}", each)
                full[f"account {name}"] = max(other, each, key=lambda window: window.used(now))
        full |= {f"address {name}": each for name, each in self.pool.windows.items()}
        told |= {name: _told(each, now) for name, each in full.items() if each.used(now)}
        held = max(gate.until for gate in (self.pool.gate, *account.gates.values())) - now
        if held > 0:
            told["held"] = {"ms": held // 10**6 + 1}
        if account.live:
            told["waiting"] = {"requests": account.live}
        return told


def _told(window: Window, now: int) -> dict[str, int]:
    used = window.used(now)
    return {
        "limit": window.limit,
        "used": used,
        "left": max(window.limit - used, 0),
        "seconds": window.length_ns // NS,
    }


def _expire(future: "asyncio.Future[Reservation]") -> None:
    if not future.done():
        future.set_exception(TooLate("the rate limits left no room before the deadline"))
