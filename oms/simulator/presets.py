"""Symbols as the real exchanges list them, by venue; prices are round figures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as D
from functools import partial
from pathlib import Path

import attrs

from .config import SymbolConfig
from .orders import FUTURES

# Upbit's price units in its KRW market, by the lowest price they hold for.
KRW_TICKS = (
    (D(0), D("0.00000001")),
    (D("0.00001"), D("0.0000001")),
    (D("0.0001"), D("0.000001")),
    (D("0.001"), D("0.00001")),
    (D("0.01"), D("0.0001")),
    (D("0.1"), D("0.001")),
    (D(1), D("0.01")),
    (D(10), D("0.1")),
    (D(100), D(1)),
    (D(1_000), D(1)),
    (D(5_000), D(5)),
    (D(10_000), D(10)),
    (D(50_000), D(50)),
    (D(100_000), D(100)),
    (D(500_000), D(500)),
    (D(1_000_000), D(1_000)),
)

BTCUSDT = SymbolConfig("BTCUSDT", "BTC", "USDT", start_price=D(50_000))
ETHUSDT = SymbolConfig("ETHUSDT", "ETH", "USDT", start_price=D(3_000), step=D("0.0001"))

_futures = partial(
    SymbolConfig,
    market=FUTURES,
    maker_fee=D("0.0002"),
    taker_fee=D("0.0005"),
    level_value=D(50_000),
)
_bybit = partial(_futures, leverage=10, max_leverage=100)
_okx = partial(SymbolConfig, min_notional=D(0), maker_fee=D("0.0008"))
_okx_swap = partial(
    _futures, step=D("0.01"), max_quantity=D(100_000), min_notional=D(0), leverage=3, max_leverage=100
)
_upbit = partial(
    SymbolConfig,
    step=D("0.00000001"),
    min_notional=D(5_000),
    max_quantity=D(1_000_000),
    max_price=D(1_000_000_000_000),
    ticks=KRW_TICKS,
    tick=D(1_000),
    maker_fee=D("0.0005"),
    taker_fee=D("0.0005"),
)

PRESETS: Mapping[str, tuple[SymbolConfig, ...]] = {
    "binance.spot": (BTCUSDT, ETHUSDT),
    "binance.futures": (
        _futures(
            "BTCUSDT",
            "BTC",
            "USDT",
            D(50_000),
            tick=D("0.1"),
            step=D("0.001"),
            max_quantity=D(1_000),
            min_notional=D(50),
        ),
        _futures(
            "ETHUSDT",
            "ETH",
            "USDT",
            D(3_000),
            step=D("0.001"),
            max_quantity=D(10_000),
            min_notional=D(20),
        ),
    ),
    "bybit.spot": (
        SymbolConfig("BTCUSDT", "BTC", "USDT", D(50_000), tick=D("0.1"), step=D("0.000001")),
        SymbolConfig("ETHUSDT", "ETH", "USDT", D(3_000), step=D("0.00001")),
    ),
    "bybit.futures": (
        _bybit("BTCUSDT", "BTC", "USDT", D(50_000), tick=D("0.1"), step=D("0.001"), max_quantity=D(1_190)),
        _bybit("ETHUSDT", "ETH", "USDT", D(3_000), step=D("0.01"), max_quantity=D(7_240)),
    ),
    "okx.spot": (
        _okx(
            "BTC-USDT",
            "BTC",
            "USDT",
            D(50_000),
            tick=D("0.1"),
            step=D("0.00000001"),
            min_quantity=D("0.00001"),
        ),
        _okx("ETH-USDT", "ETH", "USDT", D(3_000), step=D("0.000001"), min_quantity=D("0.0001")),
    ),
    "okx.futures": (
        _okx_swap("BTC-USDT-SWAP", "BTC", "USDT", D(50_000), tick=D("0.1"), contract_size=D("0.01")),
        _okx_swap("ETH-USDT-SWAP", "ETH", "USDT", D(3_000), contract_size=D("0.1")),
    ),
    "upbit.spot": (
        _upbit("KRW-BTC", "BTC", "KRW", D(70_000_000)),
        _upbit("KRW-ETH", "ETH", "KRW", D(4_000_000)),
    ),
}


def symbol_of(
    venue: str,
    symbol: str,
    base: str,
    quote: str,
    *,
    start_price: D,
    tick: D | None,
    step: D,
    min_quantity: D,
    max_quantity: D,
    min_notional: D,
    contract_size: D,
    prices: Path | None,
) -> SymbolConfig:
    """Make a symbol whose fees, leverage and depth are the venue's usual ones.

    `tick` None is 0.01, or what the venue's table of ticks says. Raises `ValueError` as `SymbolConfig`.
    """
    usual = PRESETS[venue][0]
    if tick is None:
        tick = usual.tick_at(start_price) if usual.ticks else D("0.01")
    return attrs.evolve(
        usual,
        symbol=symbol,
        base=base,
        quote=quote,
        settle=quote,
        start_price=start_price,
        tick=tick,
        step=step,
        min_quantity=min_quantity,
        max_quantity=max_quantity,
        min_notional=min_notional,
        contract_size=contract_size,
        prices=prices,
    )
