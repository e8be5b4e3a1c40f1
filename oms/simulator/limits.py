"""Rate limits: named pools counted in fixed windows of the clock, for an address or an account each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

NS_PER_S = 1_000_000_000

# Addresses and accounts whose use is counted in one pool; the oldest goes first.
MAX_KEYS = 1_000


@attrs.frozen
class Pool:
    """At most `limit` in each `window_s` seconds of the clock, for each key."""

    name: str
    limit: int = attrs.field(validator=attrs.validators.gt(0))
    window_s: int = attrs.field(validator=attrs.validators.gt(0))


class LimitExceeded(Exception):
    """A request is more than its pool allows now. `retry_after_s` is when the next window begins."""

    def __init__(self, pool: Pool, retry_after_s: int) -> None:
        super().__init__(f"more than {pool.limit} {pool.name} in {pool.window_s} s")
        self.pool = pool
        self.retry_after_s = retry_after_s


@attrs.define
class _Window:
    started_s: int = 0
    count: int = 0


class Limits:
    """Counts and refuses. `overrides` replaces limits by pool name; raises `ValueError` for a name that is no pool's."""

    def __init__(self, pools: Iterable[Pool], overrides: Mapping[str, int], clock: Callable[[], int]) -> None:
        known = {pool.name: pool for pool in pools}
        unknown = overrides.keys() - known.keys()
        if unknown:
            raise ValueError(f"limits must be of {sorted(known)}, were also {sorted(unknown)}")
        self.pools = {
            name: attrs.evolve(pool, limit=overrides.get(name, pool.limit)) for name, pool in known.items()
        }
        self._clock = clock
        self._windows: dict[str, dict[str, _Window]] = {name: {} for name in known}

    def check(self, pool: str, key: str, weight: int = 1) -> None:
        """Raise `LimitExceeded` when `weight` more is too much for `key` now; count nothing."""
        limits = self.pools[pool]
        if self._window(limits, key).count + weight > limits.limit:
            raise LimitExceeded(limits, self.retry_after_s(pool))

    def spend(self, pool: str, key: str, weight: int = 1) -> None:
        """Count `weight` for `key`. Raises `LimitExceeded`, and counts nothing, when that is too much."""
        self.check(pool, key, weight)
        self._window(self.pools[pool], key).count += weight

    def used(self, pool: str, key: str) -> int:
        """Return what `key` has used in this window."""
        return self._window(self.pools[pool], key).count

    def retry_after_s(self, pool: str) -> int:
        """Return the seconds until the next window."""
        window_s = self.pools[pool].window_s
        return window_s - self._clock() // NS_PER_S % window_s

    def _window(self, pool: Pool, key: str) -> _Window:
        windows = self._windows[pool.name]
        window = windows.get(key)
        if window is None:
            if len(windows) >= MAX_KEYS:
                windows.pop(next(iter(windows)))
            window = windows[key] = _Window()
        now_s = self._clock() // NS_PER_S
        start = now_s - now_s % pool.window_s
        if start != window.started_s:
            window.started_s, window.count = start, 0
        return window
