"""Venue: what a market of an exchange can do, as its connector declared it, and which wallet its funds are in.

Events: ``VenueDeclared``.
"""

import attrs

from oms.messages.codes import Code, Refused
from oms.messages.enums import OrderType, TimeInForce
from oms.messages.events import VenueDeclared
from oms.messages.venues import Feature

VenueKey = tuple[str, str]
"""(exchange, market)"""


@attrs.frozen
class Venue:
    """A declaration; see :class:`oms.messages.venues.Capabilities`."""

    exchange: str
    market: str
    order_types: tuple[OrderType, ...]
    times_in_force: tuple[TimeInForce, ...]
    features: tuple[Feature, ...]
    wallet: str

    @property
    def key(self) -> VenueKey:
        return (self.exchange, self.market)

    @property
    def amends_in_place(self) -> bool:
        """Whether an amend changes the venue order itself, rather than make another."""
        return Feature.AMEND_IN_PLACE in self.features

    # -- decide

    def check_order(
        self, kind: OrderType, time_in_force: TimeInForce, post_only: bool, reduce_only: bool
    ) -> None:
        """Hold an order against what the market takes.

        Raises:
            Refused: NOT_SUPPORTED.
        """
        if kind not in self.order_types:
            raise self._lacks(f"takes no {kind} orders, but {', '.join(self.order_types)}")
        if time_in_force not in self.times_in_force:
            raise self._lacks(f"takes no {time_in_force} orders, but {', '.join(self.times_in_force)}")
        if post_only:
            self.check(Feature.POST_ONLY)
        if reduce_only:
            self.check(Feature.REDUCE_ONLY)

    def check(self, feature: Feature) -> None:
        """Hold a request against what the market can do.

        Raises:
            Refused: NOT_SUPPORTED.
        """
        if feature not in self.features:
            raise self._lacks(f"has no {feature}")

    def _lacks(self, what: str) -> Refused:
        return Refused(Code.NOT_SUPPORTED, f"{self.exchange}.{self.market} {what}")


# -- evolve


def declared(event: VenueDeclared) -> Venue:
    """The venue after a declaration."""
    return Venue(
        event.exchange,
        event.market,
        event.order_types,
        event.times_in_force,
        event.features,
        event.wallet,
    )
