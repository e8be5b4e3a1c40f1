"""P&L: what trading earned and paid, by account, strategy, symbol and UTC day.

State: a *book* for each (exchange, account, market, symbol, strategy): a :class:`~oms.aggregates.position.Position` of
that strategy's own trades; and for each UTC day what each book realised and paid on it.

Events: ``OrderFilled``.

Rules: a trade falls on the UTC day of its commit. Figures are in the instrument's settlement asset; fees in any other
asset are kept by asset and not valued. What is open is valued at the instrument's mark when asked, and belongs to no
day. The days of a book add up to the book, exactly. Strategies of one account net apart, so that realised and
unrealised of its books may differ from those of its position, while their sum does not. Beyond :data:`MAX_STRATEGIES`
further strategies share one book, :data:`OTHER`; beyond :data:`MAX_DAYS` the oldest days are one, :data:`EARLIER`.
"""

import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.messages import events as e

BookKey = tuple[str, str, str, str, str]
"""(exchange, account, market, symbol, strategy)"""

MAX_STRATEGIES: Final = 1_000
MAX_DAYS: Final = 400
OTHER: Final = "_other"
EARLIER: Final = "earlier"
"""Sorts after every day, because those begin with a digit."""

_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = datetime.date(1970, 1, 1)


def utc_day(at: int) -> str:
    """The UTC day of a time in nanoseconds, ``2026-11-21``."""
    return (_EPOCH + datetime.timedelta(days=at // _DAY_NS)).isoformat()


@attrs.define(slots=True)
class Earned:
    """What a book made on one day: before fees, fees in the settlement asset, fees in others by asset, trades."""

    realised: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = attrs.field(factory=dict)
    trades: int = 0

    def add(self, realised: Decimal, fees: Decimal, other_fees: dict[str, Decimal], trades: int) -> None:
        """Add figures to these."""
        self.realised += realised
        self.fees += fees
        self.trades += trades
        for asset, fee in other_fees.items():
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee


class Pnl:
    """The books and their days.

    Args:
        partition: where instruments and their marks are.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.books: dict[BookKey, Position] = {}
        self.days: dict[str, dict[BookKey, Earned]] = {}
        self._strategies: set[str] = set()
        self._day_number = -1
        self._today: dict[BookKey, Earned] = {}

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int) -> Decimal:
        """Apply a trade and return what it realised in its book, before fees."""
        return RULES[type(event)](self, event, at)  # type: ignore[no-any-return]

    def _filled(self, event: e.OrderFilled, at: int) -> Decimal:
        key = (event.exchange, event.account, event.market, event.symbol, self._strategy(event.strategy))
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Position(*key[:4])
        instrument = self.partition.instruments[event.exchange, event.market, event.symbol]
        fees = book.fees
        realised = book.fill(event, instrument, at)
        if at // _DAY_NS != self._day_number:
            self._turn_to(at)
        earned = self._today.get(key)
        if earned is None:
            earned = self._today[key] = Earned()
        fee = book.fees - fees
        earned.realised += realised
        earned.fees += fee
        earned.trades += 1
        if event.fee and not fee:
            earned.other_fees[event.fee_asset] = earned.other_fees.get(event.fee_asset, ZERO) + event.fee
        return realised

    def _strategy(self, name: str) -> str:
        if name not in self._strategies:
            if name == OTHER or len(self._strategies) >= MAX_STRATEGIES:
                return OTHER
            self._strategies.add(name)
        return name

    def _turn_to(self, at: int) -> None:
        self._day_number = at // _DAY_NS
        self._today = self.days.setdefault(utc_day(at), {})
        dated = len(self.days) - (EARLIER in self.days)
        if dated > MAX_DAYS:
            oldest = self.days.pop(min(self.days))
            earlier = self.days.setdefault(EARLIER, {})
            for key, one in oldest.items():
                earlier.setdefault(key, Earned()).add(one.realised, one.fees, one.other_fees, one.trades)

    # -- image

    def restore(self, books: list[tuple[str, Position]], days: dict[str, list[tuple[int, Earned]]]) -> None:
        """Take over from a snapshot what :meth:`image` gave."""
        keys = [(p.exchange, p.account, p.market, p.symbol, strategy) for strategy, p in books]
        self.books = dict(zip(keys, (position for _, position in books), strict=True))
        self.days = {day: {keys[number]: one for number, one in rows} for day, rows in days.items()}
        self._strategies = {key[4] for key in keys if key[4] != OTHER}
        self._day_number = -1

    def image(self) -> tuple[list[tuple[str, Position]], dict[str, list[tuple[int, Earned]]]]:
        """Books with their strategies, and each day's figures by the number of the book."""
        number = {key: index for index, key in enumerate(self.books)}
        return (
            [(key[4], book) for key, book in self.books.items()],
            {day: [(number[key], one) for key, one in rows.items()] for day, rows in self.days.items()},
        )


RULES: Final[dict[type, Any]] = {e.OrderFilled: Pnl._filled}

IGNORED: Final = frozenset(
    {
        e.JournalCreated,
        e.EngineStarted,
        e.Sealed,
        e.SigningKeyDeclared,
        e.LossAccepted,
        e.AccountRegistered,
        e.InstrumentListed,
        e.SessionOpened,
        e.SessionClosed,
        e.BalanceAdjusted,  # money that came or went, not earned
        e.MarksRecorded,  # read from the instrument when asked
        e.OrderPlaced,
        e.OrderDenied,
        e.OrderAdopted,
        e.OrderAccepted,
        e.OrderRejected,
        e.OrderCancelRequested,
        e.CancelAllRequested,
        e.OrderCanceled,
        e.OrderExpired,
        e.OrderCancelRejected,
        e.OrderAmendRequested,
        e.OrderAmended,
        e.OrderAmendRejected,
        e.OrderInDoubt,
        e.OrderDoubtResolved,
    }
)
