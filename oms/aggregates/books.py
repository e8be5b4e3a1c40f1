"""Books: what each strategy's own trades made of a position.

State: for each (exchange, account, market, symbol, strategy) a :class:`~oms.aggregates.position.Position` of that strategy's
trades. Events: ``OrderFilled``, ``TradeBusted``, ``FundingPaid``, ``PositionAdjusted``.

Strategies of one account net apart, so that realised and unrealised of its books may differ from those of its position, while
their sum does not. Funding is shared among the books as what they hold, so that a book that holds the other way receives what
the others pay; while they hold nothing together it goes to the one that traded last. What the venue's position differs by
was traded by nobody here, and belongs to the book of what is not ours (``external``), as a trade of the venue's own does.
"""

from decimal import Decimal

import attrs

from oms.aggregates.money import ZERO, share
from oms.aggregates.order import ADOPTED
from oms.aggregates.position import Position, PositionKey
from oms.messages import events as e

BookKey = tuple[str, str, str, str, str]
"""(exchange, account, market, symbol, strategy)"""


@attrs.define(slots=True, eq=False)
class Books:
    """The books by key, and by position.

    Args:
        traded: of the last trade its book, what it realised there before fees, and what it cost there in fees, both in the
            settlement asset. ``adjusted``: of the last adoption its book, and what it realised there. ``funded``: the last funding
            payment by book. None of them is state: they are read right behind the event that they are of.
    """

    by_key: dict[BookKey, Position] = attrs.field(factory=dict)
    of_position: dict[PositionKey, list[BookKey]] = attrs.field(factory=dict)
    traded: tuple[BookKey, Decimal, Decimal] | None = None
    adjusted: tuple[BookKey, Decimal] | None = None
    funded: list[tuple[BookKey, Decimal]] = attrs.field(factory=list)

    def book(self, key: BookKey) -> Position:
        """The book, made when new."""
        found = self.by_key.get(key)
        if found is None:
            found = Position(*key[:4])
            self.hold(key, found)
        return found

    def hold(self, key: BookKey, book: Position) -> None:
        """Take in a book."""
        self.by_key[key] = book
        self.of_position.setdefault(key[:4], []).append(key)

    def shares(self, place: PositionKey, amount: Decimal) -> list[tuple[BookKey, Decimal]]:
        """What each book of a position has of a funding payment. Nothing is lost or made by rounding."""
        keys = self.of_position.get(place, [])
        held = [(key, self.by_key[key].quantity) for key in keys if self.by_key[key].quantity]
        whole = sum((quantity for _, quantity in held), ZERO)
        if not whole:
            if not keys:
                return [((*place, ADOPTED), amount)]
            return [(max(keys, key=lambda key: self.by_key[key].updated_at), amount)]
        parts = [(key, share(amount, quantity, whole)) for key, quantity in held[:-1]]
        # The last one takes what rounding leaves.
        rest = amount - sum((part for _, part in parts), ZERO)
        return [*parts, (held[-1][0], rest)]

    def adjust(self, event: e.PositionAdjusted, at: int) -> BookKey:
        """Give what the venue's position differs by to the book of what is not ours, at what it was taken as traded at."""
        key = (event.exchange, event.account, event.market, event.symbol, ADOPTED)
        book = self.book(key)
        change = event.quantity - event.expected
        paid = event.cost - event.expected_cost - event.realised
        realised = ZERO
        if event.price is None:
            # At no price: nothing can be realised by it.
            book.quantity += change
            book.cost += paid
        else:
            realised = book.trade(change, paid)
        book.updated_at = at
        self.adjusted = (key, realised)
        return key
