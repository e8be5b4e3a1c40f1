"""P&L: what trading earned and paid, by account, strategy, symbol and UTC day.

State: a *book* for each (exchange, account, market, symbol, strategy): a :class:`~oms.aggregates.position.Position` of
that strategy's own trades; and for each UTC day what each book realised and paid on it.

Events: ``OrderFilled``, ``TradeBusted``, ``FundingPaid``, ``PositionAdjusted``.

Rules: a trade falls on the UTC day of its commit, and so does funding. Figures are in the instrument's settlement asset;
fees in any other asset are kept by asset and not valued. A trade taken back is undone on the day it is taken back, which
counts one less. Funding of a position is shared among its books as what they hold, so that a book that holds the other way
receives what the others pay; while they hold nothing together it goes to the one that traded last. What the venue's
position differs by belongs to the book of what is not ours (``external``). What is open is valued at the instrument's mark
when asked, and belongs to no day. The days of a book add up to the book, exactly. Strategies of one account net apart, so that realised and
unrealised of its books may differ from those of its position, while their sum does not. Beyond :data:`MAX_STRATEGIES`
further strategies share one book, :data:`OTHER`; beyond :data:`MAX_DAYS` the oldest days are one, :data:`EARLIER`.
"""

import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.bust import undoing
from oms.aggregates.money import ZERO, share
from oms.aggregates.order import ADOPTED
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position, PositionKey
from oms.messages import controls as k
from oms.messages import desk as d
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
    """What a book made on one day: before fees, fees in the settlement asset, fees in others by asset, trades, funding."""

    realised: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = attrs.field(factory=dict)
    trades: int = 0
    funding: Decimal = ZERO

    def add(self, other: "Earned") -> None:
        """Add another's figures to these."""
        self.realised += other.realised
        self.fees += other.fees
        self.trades += other.trades
        self.funding += other.funding
        for asset, fee in other.other_fees.items():
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) + fee


class Pnl:
    """The books and their days.

    Args:
        partition: where instruments and their marks are.
    """

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.books: dict[BookKey, Position] = {}
        self._of_position: dict[PositionKey, list[BookKey]] = {}
        self.days: dict[str, dict[BookKey, Earned]] = {}
        self._strategies: set[str] = set()
        self._day_number = -1
        self._today: dict[BookKey, Earned] = {}

    # -- evolve

    def evolve(self, event: Any, at: int, sequence: int) -> Decimal:
        """Apply an event and return what a trade realised in its book, before fees; nothing else realises."""
        return RULES[type(event)](self, event, at)  # type: ignore[no-any-return]

    def _busted(self, event: e.TradeBusted, at: int) -> Decimal:
        return self._filled(undoing(event), at, -1)

    def _filled(self, event: e.OrderFilled, at: int, count: int = 1) -> Decimal:
        key = (event.exchange, event.account, event.market, event.symbol, self._strategy(event.strategy))
        book = self._book(key)
        instrument = self.partition.instruments[event.exchange, event.market, event.symbol]
        fees = book.fees
        realised = book.fill(event, instrument, at)
        earned = self._earned(key, at)
        fee = book.fees - fees
        earned.realised += realised
        earned.fees += fee
        earned.trades += count
        if event.fee and not fee:
            earned.other_fees[event.fee_asset] = earned.other_fees.get(event.fee_asset, ZERO) + event.fee
        return realised

    def _funded(self, event: e.FundingPaid, at: int) -> Decimal:
        place = (event.exchange, event.account, event.market, event.symbol)
        settle = self.partition.instruments[event.exchange, event.market, event.symbol].settle
        for key, amount in self._shares(place, event.amount):
            self._book(key).fund(amount, event.asset, settle)
            earned = self._earned(key, at)
            if event.asset == settle:
                earned.funding += amount
            else:
                earned.other_fees[event.asset] = earned.other_fees.get(event.asset, ZERO) - amount
        return ZERO

    def _shares(self, place: PositionKey, amount: Decimal) -> list[tuple[BookKey, Decimal]]:
        keys = self._of_position.get(place, [])
        held = [(key, self.books[key].quantity) for key in keys if self.books[key].quantity]
        whole = sum((quantity for _, quantity in held), ZERO)
        if not whole:
            if not keys:
                return [((*place, self._strategy(ADOPTED)), amount)]
            return [(max(keys, key=lambda key: self.books[key].updated_at), amount)]
        shares = [(key, share(amount, quantity, whole)) for key, quantity in held[:-1]]
        # The last one takes what rounding leaves, so that nothing is lost or made.
        rest = amount - sum((part for _, part in shares), ZERO)
        return [*shares, (held[-1][0], rest)]

    def _adjusted(self, event: e.PositionAdjusted, at: int) -> Decimal:
        key = (event.exchange, event.account, event.market, event.symbol, self._strategy(ADOPTED))
        book = self._book(key)
        book.quantity += event.quantity - event.expected
        book.cost += event.cost - event.expected_cost
        book.updated_at = at
        return ZERO

    def _book(self, key: BookKey) -> Position:
        found = self.books.get(key)
        if found is None:
            found = self.books[key] = Position(*key[:4])
            self._of_position.setdefault(key[:4], []).append(key)
        return found

    def _earned(self, key: BookKey, at: int) -> Earned:
        if at // _DAY_NS != self._day_number:
            self._turn_to(at)
        found = self._today.get(key)
        if found is None:
            found = self._today[key] = Earned()
        return found

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
                earlier.setdefault(key, Earned()).add(one)

    # -- image

    def restore(self, books: list[tuple[str, Position]], days: dict[str, list[tuple[int, Earned]]]) -> None:
        """Take over from a snapshot what :meth:`image` gave."""
        keys = [(p.exchange, p.account, p.market, p.symbol, strategy) for strategy, p in books]
        self.books = dict(zip(keys, (position for _, position in books), strict=True))
        self._of_position = {}
        for key in keys:
            self._of_position.setdefault(key[:4], []).append(key)
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


RULES: Final[dict[type, Any]] = {
    e.OrderFilled: Pnl._filled,
    e.TradeBusted: Pnl._busted,
    e.FundingPaid: Pnl._funded,
    e.PositionAdjusted: Pnl._adjusted,
}

IGNORED: Final = frozenset(
    {
        e.JournalCreated,
        e.EngineStarted,
        e.Sealed,
        e.SigningKeyDeclared,
        e.LossAccepted,
        e.AccountRegistered,
        k.LimitsSet,
        k.LimitsOverridden,
        k.OverrideEnded,
        k.ValuationSet,
        k.LimitCrossed,
        k.KillSwitchEngaged,
        k.KillSwitchReleased,
        k.DayRolled,
        d.StrategyAssigned,
        d.AccountRenamed,
        d.AccountDisabled,
        d.AccountEnabled,
        d.AccountClosed,
        d.TransferRequested,
        d.TransferCompleted,
        d.TransferRejected,
        d.TransferInDoubt,
        e.VenueDeclared,
        e.InstrumentListed,
        e.SessionOpened,
        e.SessionClosed,
        e.BalanceAdjusted,  # money that came or went, not earned
        e.MarksRecorded,  # read from the instrument when asked
        e.PositionStated,
        e.TermsRequested,
        e.TermsSet,
        e.TermsRefused,
        e.ReconciliationRequested,
        e.Reconciled,  # what differed has events of its own
        d.DisconnectGuardSet,
        d.ClientDisconnected,
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
        e.OrderRestated,
        e.OrderInDoubt,
        e.OrderDoubtResolved,
        e.OrderReleased,
    }
)
