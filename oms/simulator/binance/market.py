"""What makes the market move: prices from a seeded walk or a file, and a house that quotes round them.

Everything follows from the seed and the number of steps; no clock is read and no float is used.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

import attrs
import msgspec

from .config import SymbolConfig
from .exchange import Exchange, Market
from .orders import BUY, SELL, Order

LEVELS = 10
BASIS_POINTS = 10_000
# The price moves at most this much a step.
MOVE_BPS = 5
# Levels lie this far apart, and the best ones a tenth of it from the middle.
GAP_BPS = 1
# Each level is worth about this many times the smallest order: 20,000 USDT on the default symbols.
LEVEL_VALUE = 4_000
# Below this many ticks the lowest level would have no price.
MIDDLE_TICKS_MIN = 10 * LEVELS


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


@attrs.define
class _Quoted:
    """The house's state in one market."""

    market: Market
    random: random.Random
    source: PriceSource
    middle: int
    orders: list[Order] = attrs.Factory(list)


class MarketDriver:
    """Moves the prices and keeps liquidity round them."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self._exchange = exchange
        self.steps = 0
        self._quoted = {market.symbol: self._make(market, seed) for market in exchange.markets.values()}
        for quoted in self._quoted.values():
            self._requote(quoted)

    @staticmethod
    def _make(market: Market, seed: int) -> _Quoted:
        config = market.config
        generator = random.Random(f"market:{seed}:{config.symbol}")
        start = _ticks(config.start_price, config)
        source: PriceSource = RandomWalk(generator, start)
        if config.prices is not None:
            source = Recorded(config.prices, config.tick)
            start = source.next_ticks(start)
        return _Quoted(market, generator, source, start)

    def middle(self, symbol: str) -> Decimal:
        """Return the middle price that the house quotes round."""
        quoted = self._quoted[symbol]
        return quoted.middle * quoted.market.config.tick

    def step(self) -> None:
        """Move every market once: a new middle price, new quotes, and one small market order of the house."""
        self.steps += 1
        for quoted in self._quoted.values():
            quoted.middle = quoted.source.next_ticks(quoted.middle)
            self._requote(quoted, trade=True)

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Move one market to `price`, its last price too: what the new quotes reach is matched, stops trigger.

        Raises `ValueError` for an unknown symbol or an impossible price.
        """
        quoted = self._quoted.get(symbol)
        if quoted is None:
            raise ValueError(f"symbol must be one of {sorted(self._quoted)}, was {symbol!r}")
        config = quoted.market.config
        if not price.is_finite() or price < config.tick * MIDDLE_TICKS_MIN or price > config.max_price:
            raise ValueError(
                f"price must be from {config.tick * MIDDLE_TICKS_MIN} to {config.max_price}, was {price}"
            )
        quoted.middle = _ticks(price, config)
        self._exchange.cross(quoted.market, quoted.middle * config.tick, config.step)
        self._requote(quoted)

    def _requote(self, quoted: _Quoted, *, trade: bool = False) -> None:
        exchange, market, config = self._exchange, quoted.market, quoted.market.config
        for order in quoted.orders:
            exchange.withdraw(market, order)
        quoted.orders.clear()
        gap = max(1, quoted.middle * GAP_BPS // BASIS_POINTS)
        nearest = max(1, gap // 10)
        for number in range(LEVELS):
            distance = nearest + number * gap
            for side, ticks in ((BUY, quoted.middle - distance), (SELL, quoted.middle + distance)):
                if ticks > 0:
                    quantity = self._quantity(quoted, quoted.random.randint(50, 150))
                    quoted.orders.append(exchange.quote(side, market, ticks * config.tick, quantity))
        if trade:
            exchange.hit(
                quoted.random.choice((BUY, SELL)), market, self._quantity(quoted, quoted.random.randint(1, 5))
            )
        exchange.finish_quotes(market)

    @staticmethod
    def _quantity(quoted: _Quoted, percent: int) -> Decimal:
        """Return a quantity worth that much of a level, at least one step."""
        config = quoted.market.config
        price = quoted.middle * config.tick
        steps = config.min_notional * LEVEL_VALUE * percent / 100 / price // config.step
        return max(config.step, min(config.max_quantity, steps * config.step))


def _ticks(price: Decimal, config: SymbolConfig) -> int:
    return int(price / config.tick)
