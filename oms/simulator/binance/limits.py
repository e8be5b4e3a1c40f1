"""Request weight and order counts in fixed windows of the clock, as Binance counts them."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from . import errors
from .config import RateLimits

NS_PER_S = 1_000_000_000
MINUTE_S = 60
TEN_SECONDS = 10
DAY_S = 86_400

# Addresses whose weight is counted; a simulator on loopback sees one.
MAX_ADDRESSES = 1_000


@attrs.define
class Window:
    """A counter that starts again with every multiple of `length_s`."""

    length_s: int
    limit: int
    started_s: int = 0
    count: int = 0

    def at(self, now_s: int) -> int:
        """Return the count at that time."""
        start = now_s - now_s % self.length_s
        if start != self.started_s:
            self.started_s = start
            self.count = 0
        return self.count

    def retry_after(self, now_s: int) -> int:
        """Return the seconds until the next window."""
        return self.length_s - now_s % self.length_s


@attrs.define
class OrderWindows:
    """The order counts of one account."""

    ten_seconds: Window
    day: Window


class Limiter:
    """Counts and refuses. Weight is counted by client address, orders by account."""

    def __init__(self, limits: RateLimits, clock: Callable[[], int]) -> None:
        self.limits = limits
        self._clock = clock
        self._weights: dict[str, Window] = {}
        self._orders: dict[str, OrderWindows] = {}

    def _now_s(self) -> int:
        return self._clock() // NS_PER_S

    def _weight_window(self, address: str) -> Window:
        window = self._weights.get(address)
        if window is None:
            if len(self._weights) >= MAX_ADDRESSES:
                self._weights.pop(next(iter(self._weights)))
            window = self._weights[address] = Window(MINUTE_S, self.limits.weight_per_minute)
        return window

    def _order_windows(self, account: str) -> OrderWindows:
        windows = self._orders.get(account)
        if windows is None:
            windows = self._orders[account] = OrderWindows(
                Window(TEN_SECONDS, self.limits.orders_per_10s), Window(DAY_S, self.limits.orders_per_day)
            )
        return windows

    def spend(self, address: str, weight: int) -> None:
        """Count a request. Raises `ApiError` -1003 (429) when that is more than the minute allows."""
        now = self._now_s()
        window = self._weight_window(address)
        if window.at(now) + weight > window.limit:
            raise errors.too_much_weight(window.limit, window.retry_after(now))
        window.count += weight

    def used(self, address: str) -> int:
        """Return the weight used in this minute."""
        return self._weight_window(address).at(self._now_s())

    def check_order(self, account: str) -> None:
        """Raise `ApiError` -1015 (429) when the account may not place another order now."""
        now = self._now_s()
        windows = self._order_windows(account)
        for window, name in ((windows.ten_seconds, "10 SECOND"), (windows.day, "1 DAY")):
            if window.at(now) >= window.limit:
                raise errors.too_many_orders(window.limit, name, window.retry_after(now))

    def count_order(self, account: str) -> None:
        """Count an order that was accepted."""
        windows = self._order_windows(account)
        now = self._now_s()
        for window in (windows.ten_seconds, windows.day):
            window.at(now)
            window.count += 1

    def orders(self, account: str) -> tuple[int, int]:
        """Return the orders of the account in these ten seconds and on this day."""
        windows = self._order_windows(account)
        now = self._now_s()
        return windows.ten_seconds.at(now), windows.day.at(now)

    def describe(self) -> list[dict[str, object]]:
        """Return the limits as `exchangeInfo` lists them."""
        return [
            _row("REQUEST_WEIGHT", "MINUTE", 1, self.limits.weight_per_minute),
            _row("ORDERS", "SECOND", 10, self.limits.orders_per_10s),
            _row("ORDERS", "DAY", 1, self.limits.orders_per_day),
        ]

    def order_rows(self, account: str) -> list[dict[str, object]]:
        """Return the order counts of the account as `rateLimit/order` shows them."""
        ten_seconds, day = self.orders(account)
        rows = self.describe()[1:]
        for row, count in zip(rows, (ten_seconds, day), strict=True):
            row["count"] = count
        return rows

    def weight_row(self, address: str) -> dict[str, object]:
        """Return the weight used as ws-api answers carry it."""
        row = self.describe()[0]
        row["count"] = self.used(address)
        return row


def _row(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
