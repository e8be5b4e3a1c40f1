"""Every market there is an adapter for. Adding an exchange is one adapter file and one line here."""

from collections.abc import Callable

import aiohttp

from oms.venues.adapter import Market
from oms.venues.credentials import Credentials
from oms.venues.limiter import Limiter, Pool

MakeMarket = Callable[
    [Credentials, Callable[[str, Pool], Limiter], aiohttp.ClientSession | None, bool], Market
]


def _binance_spot(
    credentials: Credentials,
    limiter: Callable[[str, Pool], Limiter],
    session: aiohttp.ClientSession | None,
    test_net: bool,
) -> Market:
    # Importing ccxt takes seconds: only the process that needs it pays.
    from oms.venues.binance_spot import BinanceSpot

    return BinanceSpot(credentials, limiter, session, test_net)


MARKETS: dict[str, MakeMarket] = {"binance.spot": _binance_spot}
"""``exchange.market`` → how its adapter is made: credentials, limiters, HTTP session, test network."""
