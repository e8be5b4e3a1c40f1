"""Simulated exchanges that unmodified clients trade against."""

from .config import AccountConfig, ExchangeConfig, SimulatorConfig, SymbolConfig
from .faults import Fault, FaultRule
from .presets import BTCUSDT, ETHUSDT, KRW_TICKS, PRESETS
from .server import Simulator, serve

__all__ = [
    "BTCUSDT",
    "ETHUSDT",
    "KRW_TICKS",
    "PRESETS",
    "AccountConfig",
    "ExchangeConfig",
    "Fault",
    "FaultRule",
    "Simulator",
    "SimulatorConfig",
    "SymbolConfig",
    "serve",
]
