"""Simulated exchanges that unmodified clients trade against."""

from .binance import (
    BTCUSDT,
    ETHUSDT,
    AccountConfig,
    Fault,
    FaultRule,
    RateLimits,
    Simulator,
    SimulatorConfig,
    SymbolConfig,
    serve,
)

__all__ = [
    "BTCUSDT",
    "ETHUSDT",
    "AccountConfig",
    "Fault",
    "FaultRule",
    "RateLimits",
    "Simulator",
    "SimulatorConfig",
    "SymbolConfig",
    "serve",
]
