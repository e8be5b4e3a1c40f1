"""Budgets: one limiter for each account of a market, on the pool that the exchange counts in."""

from oms.venues.admission import Pool
from oms.venues.limiter import Limiter


class Budgets:
    """Limiters by account, made when first asked for and kept: what was sent counts, whichever session sent it.

    Args:
        pool: of the exchange; markets that it throttles together share it.
        weight_per_minute, orders_per_second, orders_per_day: what we allow each account.
    """

    def __init__(
        self, pool: Pool, weight_per_minute: int, orders_per_second: int, orders_per_day: int
    ) -> None:
        self.pool = pool
        self._ours = (weight_per_minute, orders_per_second, orders_per_day)
        self._limiters: dict[str, Limiter] = {}

    def of(self, account: str) -> Limiter:
        """The account's limiter."""
        limiter = self._limiters.get(account)
        if limiter is None:
            limiter = self._limiters[account] = Limiter(*self._ours, self.pool, account)
        return limiter
