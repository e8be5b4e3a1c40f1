"""Binance's spot limits: request weight for each address, new orders for each account."""

from __future__ import annotations

from oms.simulator.limits import LimitExceeded, Limits, Pool

from . import errors

WEIGHT, ORDERS_10S, ORDERS_1D = "weight_1m", "orders_10s", "orders_1d"
SAPI, SAPI_UID = "sapi_weight_1m", "sapi_uid_weight_1m"
POOLS = (
    Pool(WEIGHT, 6_000, 60),
    Pool(ORDERS_10S, 100, 10),
    Pool(ORDERS_1D, 200_000, 86_400),
    Pool(SAPI, 12_000, 60),
    Pool(SAPI_UID, 180_000, 60),
)
_WORDS = {ORDERS_10S: "10 SECOND", ORDERS_1D: "1 DAY"}
_ROWS = {
    WEIGHT: ("REQUEST_WEIGHT", "MINUTE", 1),
    ORDERS_10S: ("ORDERS", "SECOND", 10),
    ORDERS_1D: ("ORDERS", "DAY", 1),
}


class Limiter:
    """The pools in Binance's words."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def weight_limit(self) -> int:
        return self._limits.pools[WEIGHT].limit

    def spend(self, address: str, weight: int, pool: str = WEIGHT) -> None:
        """Count a request of an address, or of an account. Raises `ApiError` -1003 (429) when the minute allows no more."""
        try:
            self._limits.spend(pool, address, weight)
        except LimitExceeded as exceeded:
            raise errors.too_much_weight(exceeded.pool.limit, exceeded.retry_after_s) from None

    def used(self, address: str, pool: str = WEIGHT) -> int:
        """Return the weight used in this minute."""
        return self._limits.used(pool, address)

    def check_order(self, account: str) -> None:
        """Raise `ApiError` -1015 (429) when the account may not place another order now."""
        for pool, words in _WORDS.items():
            try:
                self._limits.check(pool, account)
            except LimitExceeded as exceeded:
                raise errors.too_many_orders(exceeded.pool.limit, words, exceeded.retry_after_s) from None

    def count_order(self, account: str) -> None:
        """Count an order that was accepted."""
        for pool in _WORDS:
            self._limits.spend(pool, account)

    def orders(self, account: str) -> tuple[int, int]:
        """Return the orders of the account in these ten seconds and on this day."""
        return self._limits.used(ORDERS_10S, account), self._limits.used(ORDERS_1D, account)

    def describe(self) -> list[dict[str, object]]:
        """Return the limits as `exchangeInfo` lists them."""
        return [self._row(pool) for pool in _ROWS]

    def order_rows(self, account: str) -> list[dict[str, object]]:
        """Return the order counts of the account as `rateLimit/order` shows them."""
        return [{**self._row(pool), "count": self._limits.used(pool, account)} for pool in _WORDS]

    def weight_row(self, address: str) -> dict[str, object]:
        """Return the weight used as ws-api answers carry it."""
        return {**self._row(WEIGHT), "count": self.used(address)}

    def _row(self, pool: str) -> dict[str, object]:
        kind, interval, number = _ROWS[pool]
        limit = self._limits.pools[pool].limit
        return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
