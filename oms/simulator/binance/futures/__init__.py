"""Binance USD-M futures as its clients see it: REST of fapi.binance.com, streams of fstream.binance.com.

One-way mode alone: an account may be switched to hedge mode, in which its orders are refused. Conditional orders belong to
Binance's algo service, which is not here: asked for as plain orders they are refused as Binance refuses them, with -4120.
"""

from .api import FuturesApi

__all__ = ["FuturesApi"]
