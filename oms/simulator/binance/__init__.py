"""A simulated Binance spot exchange that unmodified clients trade against."""

from oms.simulator.faults import Fault, FaultRule

from .config import BTCUSDT, ETHUSDT, AccountConfig, RateLimits, SimulatorConfig, SymbolConfig
from .server import Simulator, serve

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
