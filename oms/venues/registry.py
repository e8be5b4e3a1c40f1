"""Every market there is an adapter for. Adding an exchange is one adapter file and one line here."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oms.venues.adapter import Market
    from oms.venues.budgets import Budgets
    from oms.venues.credentials import Credentials
    from oms.venues.over_ccxt import Reach

MARKETS: dict[str, str] = {
    "binance.spot": "oms.venues.binance_spot:BinanceSpot",
    "binance.futures": "oms.venues.binance_futures:BinanceFutures",
    "bybit.spot": "oms.venues.bybit:BybitSpot",
    "bybit.futures": "oms.venues.bybit:BybitFutures",
    "okx.spot": "oms.venues.okx:OkxSpot",
    "okx.futures": "oms.venues.okx:OkxFutures",
    "upbit.spot": "oms.venues.upbit:UpbitSpot",
}
"""``exchange.market`` → where its adapter is: a class made of credentials, budgets and how to reach it."""


def make_market(
    venue: str,
    credentials: "Credentials",
    budgets: "Budgets",
    reach: "Reach",
) -> "Market":
    """The adapter of a venue.

    Args:
        venue: ``exchange.market``, one of :data:`MARKETS`.
        credentials: where accounts' keys come from.
        budgets: the accounts' limiters.
        reach: how the exchange is reached.
    """
    module, _, name = MARKETS[venue].partition(":")
    market: Market = getattr(import_module(module), name)(credentials, budgets, reach)
    return market
