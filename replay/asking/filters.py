"""Filters: which part of the answer is asked for. Pure."""

from typing import Any

import attrs

from oms.aggregates.partition import Partition
from oms.messages.codes import Refused
from oms.messages.subjects import ANY, Subject
from replay.following.answers import covers
from replay.following.known import check_names


class UnknownName(ValueError):
    """A filter names what the state does not know. The message says what it knows."""


@attrs.frozen(kw_only=True)
class Filters:
    """What an answer is narrowed to; ``_`` and None mean any.

    Args:
        strategy: "" is that of orders without one.
        since, until: UTC ns, both included.
    """

    exchange: str = ANY
    account: str = ANY
    market: str = ANY
    symbol: str = ANY
    strategy: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def subject(self) -> Subject:
        """The place meant, as a subject."""
        return Subject("show", self.exchange, self.account, self.market, self.symbol)

    def covers(self, exchange: str, account: str, market: str, symbol: str = ANY) -> bool:
        """Whether this place is meant; ``_`` as a symbol is of what has none."""
        return covers(self.subject, exchange, account, market, symbol)

    def covers_thing(self, thing: Any) -> bool:
        """Whether an order or a trade's fill is meant, by its place and strategy."""
        return self.covers(thing.exchange, thing.account, thing.market, thing.symbol) and (
            self.strategy is None or thing.strategy == self.strategy
        )

    def during(self, at: int) -> bool:
        """Whether a time lies within ``since`` and ``until``."""
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)

    def check(self, state: Partition) -> None:
        """Hold the names against a state: a misspelt account must not look like one without orders.

        Raises:
            UnknownName: with those that are known.
        """
        try:
            check_names(state, self.subject, " at that moment")
        except Refused as refused:
            raise UnknownName(refused.message) from None
