"""What happened on every market, counted from the journal's events. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.cli.render import Column
from oms.messages import events as e
from oms.messages.frames import Commit

Payment = tuple[str, str, str, str, Decimal]
"""(exchange, account, symbol, asset, amount received, negative when paid)"""


@attrs.define
class Row:
    """One venue.

    Args:
        orders: durable here, or found there.
        ended: canceled or expired.
        rejected: by the venue. ``lost``: in doubt, and proven never to have reached it.
        doubted: ids of the orders that ever were in doubt.
        found: differences that comparing with the venue found.
    """

    venue: str
    orders: int = 0
    fills: int = 0
    ended: int = 0
    amended: int = 0
    rejected: int = 0
    lost: int = 0
    doubted: set[str] = attrs.field(factory=set)
    resolved: int = 0
    found: int = 0


class _Rows(defaultdict[str, Row]):
    def __missing__(self, venue: str) -> Row:
        row = self[venue] = Row(venue)
        return row


@attrs.define
class Tally:
    """Rows by venue (``exchange.market``), differences by kind, and the funding payments that were booked."""

    by_venue: dict[str, Row] = attrs.field(factory=_Rows)
    kinds: Counter[str] = attrs.field(factory=Counter)
    funding: Counter[Payment] = attrs.field(factory=Counter)
    _places: dict[str, str] = attrs.field(factory=dict)

    def add(self, commit: Commit) -> None:
        """Take in the next commit."""
        for event in commit.events:
            self._take(event)

    def _take(self, event: Any) -> None:
        match event:
            case e.OrderPlaced() | e.OrderAdopted():
                self._places[event.order_id] = _venue(event)
                self._row(event).orders += 1
            case e.OrderFilled():
                self.by_venue[_venue(event)].fills += 1
            case e.OrderCanceled() | e.OrderExpired():
                self._row(event).ended += 1
            case e.OrderAmended():
                self._row(event).amended += 1
            case e.OrderRejected():
                row = self._row(event)
                if event.order_id in row.doubted:
                    row.lost += 1
                else:
                    row.rejected += 1
            case e.OrderInDoubt():
                self._row(event).doubted.add(event.order_id)
            case e.Reconciled():
                self.by_venue[_venue(event)].found += len(event.differences) + event.more
                self.kinds.update(each.kind for each in event.differences)
            case e.FundingPaid():
                paid = (event.exchange, event.account, event.symbol, event.asset, event.amount)
                self.funding[paid] += 1

    def _row(self, event: Any) -> Row:
        return self.by_venue[self._places[event.order_id]]

    def rows(self, unsure: Iterable[str]) -> list[Row]:
        """By venue, and all of them together; ``unsure`` are the ids of the orders that are in doubt still."""
        still = set(unsure)
        rows = [
            attrs.evolve(row, resolved=len(row.doubted - still)) for _, row in sorted(self.by_venue.items())
        ]
        total = Row("together")
        for row in rows:
            for name in _COUNTS:
                setattr(total, name, getattr(total, name) + getattr(row, name))
            total.doubted |= row.doubted
        return [*rows, total]


def _venue(event: Any) -> str:
    return f"{event.exchange}.{event.market}"


_COUNTS: Final = ("orders", "fills", "ended", "amended", "rejected", "lost", "resolved", "found")

COLUMNS: Final = (
    Column("VENUE", lambda r: r.venue),
    Column("ORDERS", lambda r: r.orders),
    Column("FILLS", lambda r: r.fills),
    Column("CANCELED", lambda r: r.ended),
    Column("AMENDED", lambda r: r.amended),
    Column("REJECTED", lambda r: r.rejected),
    Column("IN DOUBT", lambda r: len(r.doubted)),
    Column("RESOLVED", lambda r: r.resolved),
    Column("LOST", lambda r: r.lost),
    Column("DIFFERENCES", lambda r: r.found),
)


def funding_agrees(venue: Counter[Payment], ours: Counter[Payment]) -> list[str]:
    """Every funding payment of an exchange is booked, once."""
    return [
        *(f"funding {payment} was paid {count} times more than it was booked" for payment, count in (venue - ours).items()),
        *(f"funding {payment} was booked {count} times more than it was paid" for payment, count in (ours - venue).items()),
    ]  # fmt: skip
