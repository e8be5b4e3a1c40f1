"""Where middle prices come from: a seeded walk, or a file of recorded prices.

No clock is read and no float is used.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

import msgspec

BASIS_POINTS = 10_000
# The price moves at most this much a step.
MOVE_BPS = 5
# Below this many ticks the lowest level of quotes would have no price.
MIDDLE_TICKS_MIN = 100


class PriceSource(Protocol):
    """Gives the next middle price, in ticks."""

    def next_ticks(self, current: int) -> int: ...


class RandomWalk:
    """A walk of uniform steps, held between a tenth and ten times the price it started from."""

    def __init__(self, generator: random.Random, start: int) -> None:
        self._random = generator
        self._low = max(MIDDLE_TICKS_MIN, start // 10)
        self._high = start * 10

    def next_ticks(self, current: int) -> int:
        reach = max(1, current * MOVE_BPS // BASIS_POINTS)
        return min(self._high, max(self._low, current + self._random.randint(-reach, reach)))


class Recorded:
    """Prices of a file, one after the other, and from the beginning again after the last."""

    def __init__(self, path: Path, tick: Decimal) -> None:
        self._path = path
        self._tick = tick
        self._prices = iter(read_prices(path))

    def next_ticks(self, current: int) -> int:
        price = next(self._prices, None)
        if price is None:
            self._prices = iter(read_prices(self._path))
            price = next(self._prices, None)
            if price is None:
                raise ValueError(f"{self._path} holds no prices: give a file with at least one")
        return max(MIDDLE_TICKS_MIN, int(price / self._tick))


def read_prices(path: Path) -> Iterator[Decimal]:
    """Yield the prices of a file without holding it in memory.

    A CSV with a header that names `open,high,low,close` gives four prices a row; one that names `price` gives
    one; without a header, a line is one price, or a JSON object with a `price`. Raises `ValueError` with the
    place of a line that holds none.
    """
    columns: list[int] | None = None
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text:
                continue
            if number == 1 and (columns := _columns(text)) is not None:
                continue
            try:
                yield from _line_prices(text, columns)
            except (InvalidOperation, IndexError, KeyError, TypeError, msgspec.DecodeError) as error:
                raise ValueError(f"{path}:{number} holds no price: {text[:80]!r} ({error!r})") from error


def _columns(header: str) -> list[int] | None:
    names = [name.strip().lower() for name in header.split(",")]
    if "price" in names:
        return [names.index("price")]
    if "close" in names:
        return [names.index(name) for name in ("open", "high", "low", "close") if name in names]
    return None


def _line_prices(text: str, columns: list[int] | None) -> Iterator[Decimal]:
    if columns is not None:
        cells = text.split(",")
        texts = [cells[column] for column in columns]
    elif text.startswith("{"):
        texts = [str(msgspec.json.decode(text, type=dict[str, object])["price"])]
    else:
        texts = [text]
    for value in texts:
        price = Decimal(value)
        if not price.is_finite() or price <= 0:
            raise InvalidOperation(f"price must be above 0, was {value}")
        yield price
