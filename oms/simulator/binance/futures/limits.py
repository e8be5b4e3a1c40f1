"""The futures API's limits: request weight for each address, new and amended orders for each account."""

from __future__ import annotations

from oms.simulator.binance import errors
from oms.simulator.limits import LimitExceeded, Limits

WEIGHT, ORDERS_10S, ORDERS_1M = "futures_weight_1m", "futures_orders_10s", "futures_orders_1m"
_WORDS = {ORDERS_10S: "10 SECOND", ORDERS_1M: "1 MINUTE"}
_ROWS = {
    WEIGHT: ("REQUEST_WEIGHT", "MINUTE", 1),
    ORDERS_1M: ("ORDERS", "MINUTE", 1),
    ORDERS_10S: ("ORDERS", "SECOND", 10),
}


class Limiter:
    """The pools in Binance's words."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @property
    def weight_limit(self) -> int:
        return self._limits.pools[WEIGHT].limit

    def spend(self, address: str, weight: int) -> None:
        """Count a request. Raises `ApiError` -1003 (429) when that is more than the minute allows."""
        try:
            self._limits.spend(WEIGHT, address, weight)
        except LimitExceeded as exceeded:
            raise errors.too_much_weight(exceeded.pool.limit, exceeded.retry_after_s) from None

    def count_order(self, account: str) -> None:
        """Count a request for an order, taken or refused. Raises `ApiError` -1015 (429) when there is no room."""
        for pool, words in _WORDS.items():
            try:
                self._limits.check(pool, account)
            except LimitExceeded as exceeded:
                raise errors.too_many_orders(exceeded.pool.limit, words, exceeded.retry_after_s) from None
        for pool in _WORDS:
            self._limits.spend(pool, account)

    def weight_headers(self, address: str) -> dict[str, str]:
        return {"X-MBX-USED-WEIGHT-1M": str(self._limits.used(WEIGHT, address))}

    def order_headers(self, account: str) -> dict[str, str]:
        return {
            "X-MBX-ORDER-COUNT-10S": str(self._limits.used(ORDERS_10S, account)),
            "X-MBX-ORDER-COUNT-1M": str(self._limits.used(ORDERS_1M, account)),
        }

    def describe(self) -> list[dict[str, object]]:
        """Return the limits as `exchangeInfo` lists them."""
        return [
            {
                "rateLimitType": kind,
                "interval": interval,
                "intervalNum": number,
                "limit": self._limits.pools[pool].limit,
            }
            for pool, (kind, interval, number) in _ROWS.items()
        ]
