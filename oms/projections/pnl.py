"""P&L: what trading earned and paid, by account, strategy, symbol and UTC day.

State: for each UTC day what each *book* realised and paid on it. The books are the partition's own
(:mod:`oms.aggregates.books`), and what an event made in them is what the partition made of it.

Events: ``OrderFilled``, ``TradeBusted``, ``FundingPaid``, ``PositionAdjusted``.

Rules: a trade falls on the UTC day of its commit, and so do funding, and what the venue's quantity differed by, which is counted apart. Figures are in the instrument's settlement asset;
fees in any other asset are kept by asset and not valued. A trade taken back is undone on the day it is taken back, which
counts one less. What is open is valued at the instrument's mark when asked, and belongs to no day. The days of a book add up to
the book, exactly. Beyond :data:`MAX_DAYS` the oldest days are one, :data:`EARLIER`.
"""

import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.books import BookKey
from oms.aggregates.bust import undoing
from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.messages import events as e
from oms.projections.elsewhere import NO_ORDER_AND_NO_TRADE

MAX_DAYS: Final = 400
EARLIER: Final = "earlier"
"""Sorts after every day, because those begin with a digit."""

_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = datetime.date(1970, 1, 1)


def utc_day(at: int) -> str:
    """The UTC day of a time in nanoseconds, ``2026-11-21``."""
    return (_EPOCH + datetime.timedelta(days=at // _DAY_NS)).isoformat()


@attrs.define(slots=True)
class Earned:
    """What a book made on one day: before fees, fees in the settlement asset, fees in others by asset, trades, funding.

    ``adjustments``: how often the venue's quantity was taken over in it, at a price that no trade told.
    """

    realised: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = attrs.field(factory=dict)
    trades: int = 0
    funding: Decimal = ZERO
    adjustments: int = 0

    def add(self, other: "Earned") -> None:
        """Add another's figures to these."""
        self.realised += other.realised
        self.fees += other.fees
        self.trades += other.trades
        self.funding += other.funding
        self.adjustments += other.adjustments
        for asset, fee in other.other_fees.items():
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee


class Pnl:
    """What each day made in the books.

    Args:
        partition: where books, instruments and their marks are.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.days: dict[str, dict[BookKey, Earned]] = {}
        self._day_number = -1
        self._today: dict[BookKey, Earned] = {}

    @property
    def books(self) -> dict[BookKey, Position]:
        """The partition's own."""
        return self.partition.books.by_key

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int) -> Decimal:
        """Take in what an event, which the partition has just applied, made in the books.

        Returns:
            What a trade or an adjustment realised in its book, before fees; nothing else realises.
        """
        return RULES[type(event)](self, event, at)  # type: ignore[no-any-return]

    def _busted(self, event: e.TradeBusted, at: int) -> Decimal:
        return self._filled(undoing(event), at, -1)

    def _filled(self, event: e.OrderFilled, at: int, count: int = 1) -> Decimal:
        traded = self.partition.books.traded
        assert traded is not None, "the partition applies a trade first"
        key, realised, fee = traded
        earned = self._earned(key, at)
        earned.realised += realised
        earned.fees += fee
        earned.trades += count
        if event.fee and not fee:
            earned.other_fees[event.fee_asset] = earned.other_fees.get(event.fee_asset, ZERO) + event.fee
        return realised

    def _funded(self, event: e.FundingPaid, at: int) -> Decimal:
        settle = self.partition.instruments[event.exchange, event.market, event.symbol].settle
        for key, amount in self.partition.books.funded:
            earned = self._earned(key, at)
            if event.asset == settle:
                earned.funding += amount
            else:
                earned.other_fees[event.asset] = earned.other_fees.get(event.asset, ZERO) - amount
        return ZERO

    def _adjusted(self, event: e.PositionAdjusted, at: int) -> Decimal:
        adjusted = self.partition.books.adjusted
        assert adjusted is not None, "the partition applies an adjustment first"
        key, realised = adjusted
        if event.price is not None:
            earned = self._earned(key, at)
            earned.realised += realised
            earned.adjustments += 1
        return realised

    def _earned(self, key: BookKey, at: int) -> Earned:
        if at // _DAY_NS != self._day_number:
            self._turn_to(at)
        found = self._today.get(key)
        if found is None:
            found = self._today[key] = Earned()
        return found

    def _turn_to(self, at: int) -> None:
        self._day_number = at // _DAY_NS
        self._today = self.days.setdefault(utc_day(at), {})
        dated = len(self.days) - (EARLIER in self.days)
        if dated > MAX_DAYS:
            oldest = self.days.pop(min(self.days))
            earlier = self.days.setdefault(EARLIER, {})
            for key, one in oldest.items():
                earlier.setdefault(key, Earned()).add(one)

    # -- image

    def restore(self, days: dict[str, list[tuple[int, Earned]]]) -> None:
        """Take over from a snapshot what :meth:`image` gave, over the partition of the same moment."""
        keys = list(self.books)
        self.days = {day: {keys[number]: one for number, one in rows} for day, rows in days.items()}
        self._day_number = -1

    def image(self) -> dict[str, list[tuple[int, Earned]]]:
        """Each day's figures by the number of the book, in the partition's order."""
        number = {key: index for index, key in enumerate(self.books)}
        return {day: [(number[key], one) for key, one in rows.items()] for day, rows in self.days.items()}


RULES: Final[dict[type, Any]] = {
    e.OrderFilled: Pnl._filled,
    e.TradeBusted: Pnl._busted,
    e.FundingPaid: Pnl._funded,
    e.PositionAdjusted: Pnl._adjusted,
}

IGNORED: Final = NO_ORDER_AND_NO_TRADE | {
    e.OrderPlaced,
    e.OrderDenied,
    e.OrderAdopted,
    e.OrderAccepted,
    e.OrderRejected,
    e.OrderCancelRequested,
    e.OrderCanceled,
    e.OrderExpired,
    e.OrderCancelRejected,
    e.OrderAmendRequested,
    e.OrderAmended,
    e.OrderAmendRejected,
    e.OrderAmendDenied,
    e.OrderRestated,
    e.OrderInDoubt,
    e.OrderDoubtResolved,
    e.OrderReleased,
}
