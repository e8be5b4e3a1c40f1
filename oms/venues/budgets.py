"""Budgets: one limiter for each account of a market, on the pool that the exchange counts in."""

from collections.abc import Mapping
from typing import NamedTuple

from oms.venues.admission import Pool
from oms.venues.limiter import Limiter


class Budget(NamedTuple):
    """What we allow one account at one market."""

    weight_per_minute: int
    orders_per_second: int
    orders_per_day: int


class Budgets:
    """Limiters by account, made when first asked for and kept: what was sent counts, whichever session sent it.

    Args:
        pool: of the exchange; markets that it throttles together share it.
        weight_per_minute, orders_per_second, orders_per_day: what we allow each account …
        own: … and those that are allowed something else, by name.
    """

    def __init__(
        self,
        pool: Pool,
        weight_per_minute: int,
        orders_per_second: int,
        orders_per_day: int,
        own: Mapping[str, Budget] | None = None,
    ) -> None:
        self.pool = pool
        self._ours = Budget(weight_per_minute, orders_per_second, orders_per_day)
        self._own = own or {}
        self._limiters: dict[str, Limiter] = {}

    def of(self, account: str) -> Limiter:
        """The account's limiter."""
        limiter = self._limiters.get(account)
        if limiter is None:
            limiter = self._limiters[account] = Limiter(
                *self._own.get(account, self._ours), self.pool, account
            )
        return limiter
