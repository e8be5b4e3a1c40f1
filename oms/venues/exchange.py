"""Exchange: the connectors of all markets of one exchange, in one process, because they may share wallets and limits."""

import asyncio
from collections.abc import Mapping, Sequence

import attrs
from nats.aio.client import Client

from oms.tasks import together
from oms.venues.admission import Pool
from oms.venues.budgets import Budget, Budgets
from oms.venues.connector import Connector, Wallets
from oms.venues.credentials import Credentials
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS, pool_of
from oms.venues.registry import make_market
from oms.venues.settings import Settings
from oms.venues.transfers import Register


@attrs.frozen(kw_only=True)
class Service:
    """What is done at one market.

    Args:
        accounts: that trade there.
        weight_per_minute, orders_per_second, orders_per_day: what we allow each of them …
        own: … and those that are allowed something else, by name.
        reach: how the market is reached.
    """

    accounts: Sequence[str]
    weight_per_minute: int
    orders_per_second: int
    orders_per_day: int
    reach: Reach
    own: Mapping[str, Budget] = attrs.field(factory=dict)


class Exchange:
    """All markets of one exchange, for all accounts.

    Args:
        services: ``exchange.market`` → what is done there; all of one exchange.
        venue_ids: account → what the exchange calls it, where funds go between accounts.

    Attributes:
        connectors: by ``exchange.market``.
    """

    def __init__(
        self,
        nc: Client,
        services: Mapping[str, Service],
        credentials: Credentials,
        settings: Settings | None = None,
        venue_ids: Mapping[str, str] | None = None,
    ) -> None:
        pools = {name: Pool(POOLS[name]) for name in {pool_of(venue) for venue in services}}
        wallets, register = Wallets(), Register(venue_ids or {})
        self.connectors: dict[str, Connector] = {}
        for venue, service in services.items():
            budgets = Budgets(
                pools[pool_of(venue)],
                service.weight_per_minute,
                service.orders_per_second,
                service.orders_per_day,
                service.own,
            )
            market = make_market(venue, credentials, budgets, service.reach)
            self.connectors[venue] = Connector(
                nc, venue, market, service.accounts, settings, wallets, register
            )

    def rekey(self, exchange: str, market: str, account: str) -> None:
        """An account's key was changed."""
        connector = self.connectors.get(f"{exchange}.{market}")
        if connector is not None:
            connector.rekey(account)

    @property
    def ready(self) -> bool:
        """Whether every account has a session that is ready."""
        return all(connector.ready for connector in self.connectors.values())

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, or until every account of every market is another connector's."""
        await together(connector.run(stop) for connector in self.connectors.values())
