"""What makes the markets move: middle prices, and a house that quotes round them.

Everything follows from the seed and the number of steps; no clock is read and no float is used.
"""

from __future__ import annotations

import random
from decimal import Decimal

import attrs

from .config import SymbolConfig
from .exchange import Exchange
from .markets import Market
from .orders import BUY, FUTURES, SELL, SPOT, Order
from .prices import BASIS_POINTS, MIDDLE_TICKS_MIN, PriceSource, RandomWalk, Recorded

LEVELS = 10
# Levels lie this far apart, and the best ones a tenth of it from the middle.
GAP_BPS = 1


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
        self._quoted = {key: self._make(market, seed) for key, market in exchange.markets.items()}
        for quoted in self._quoted.values():
            self._requote(quoted)

    @staticmethod
    def _make(market: Market, seed: int) -> _Quoted:
        config = market.config
        walk = FUTURES if market.is_futures else "market"
        generator = random.Random(f"{walk}:{seed}:{config.symbol}")
        start = _ticks(config.start_price, config)
        source: PriceSource = RandomWalk(generator, start)
        if config.prices is not None:
            source = Recorded(config.prices, config.tick)
            start = source.next_ticks(start)
        return _Quoted(market, generator, source, start)

    def middle(self, symbol: str, market: str = SPOT) -> Decimal:
        """Return the middle price that the house quotes round."""
        quoted = self._quoted[market, symbol]
        return _price(quoted.middle, quoted.market.config)

    def step(self) -> None:
        """Move every market that is not halted: a new middle price, new quotes, one small market order of the house."""
        self.steps += 1
        for quoted in self._quoted.values():
            if quoted.market.status == "TRADING":
                quoted.middle = quoted.source.next_ticks(quoted.middle)
                self._requote(quoted, trade=True)

    def set_price(self, symbol: str, price: Decimal, market: str = SPOT) -> None:
        """Move one market to `price`, its last price too: what the new quotes reach is matched, stops trigger.

        Raises `ValueError` for an unknown symbol, an impossible price, or a halted market.
        """
        quoted = self._quoted.get((market, symbol))
        if quoted is None:
            known = sorted(name for kind, name in self._quoted if kind == market)
            raise ValueError(f"symbol must be one of {known} on {market}, was {symbol!r}")
        config = quoted.market.config
        if not price.is_finite() or price < config.tick * MIDDLE_TICKS_MIN or price > config.max_price:
            raise ValueError(
                f"price must be from {config.tick * MIDDLE_TICKS_MIN} to {config.max_price}, was {price}"
            )
        if quoted.market.status != "TRADING":
            raise ValueError(f"{symbol} is halted: resume it first")
        quoted.middle = _ticks(price, config)
        self._exchange.cross(quoted.market, _price(quoted.middle, config), config.step)
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
                    quoted.orders.append(exchange.quote(side, market, _price(ticks, config), quantity))
        if trade:
            exchange.hit(
                quoted.random.choice((BUY, SELL)), market, self._quantity(quoted, quoted.random.randint(1, 5))
            )
        exchange.finish_quotes(market)
        if market.is_futures:
            exchange.set_mark(market, _price(quoted.middle, config))

    @staticmethod
    def _quantity(quoted: _Quoted, percent: int) -> Decimal:
        """Return a quantity worth that much of a level, at least one step."""
        config = quoted.market.config
        worth = quoted.middle * config.tick * config.contract_size
        steps = config.level_value * percent / 100 / worth // config.step
        return max(config.min_quantity, min(config.max_quantity, steps * config.step))


def _ticks(price: Decimal, config: SymbolConfig) -> int:
    return int(price / config.tick)


def _price(ticks: int, config: SymbolConfig) -> Decimal:
    """Return the price of that many ticks of the start price, in the ticks of that price."""
    price = ticks * config.tick
    return price - price % config.tick_at(price) if config.ticks else price
