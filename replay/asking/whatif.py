"""What if: a span of the history again, under other limits.

The recorded commands are gone through from the state that the span starts from. An order that was let through but breaks a
limit counts as denied, and nothing of what the venue did with it happens; an amend likewise, and from when it would have
taken effect the order trades no more. Everything else is as recorded; what that leaves out is :data:`NOT_MODELLED`, and said.
"""

import decimal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms._config_values import plain
from oms.aggregates.money import EXACT, ZERO
from oms.aggregates.position import Position, PositionKey
from oms.journal.reader import StoredFrame
from oms.messages import events as e
from oms.messages.enums import Side
from replay.asking.whatif_book import Book, Counts, Market, Purse, Working
from replay.asking.whatif_limits import Attempt, Breach, LimitSet, LimitsFile, unit_of
from replay.history import EventId, History

MAX_TOLD: Final = 10_000
"""Denials that are told one by one; beyond it they are counted."""
NOT_MODELLED: Final = (
    "The market does not react: what was not traded would have moved prices, and others would have had those trades.",
    "Other orders are filled as they were. With orders gone, the rest might have filled more, sooner, or at other prices.",
    "Strategies do not react: they would have seen a denial, and placed, amended and canceled otherwise from then on.",
    "Funds are not held against the venue's again: orders that were denied for want of funds stay denied.",
    "An amend that is denied leaves its order working with the old terms; it is taken not to fill from then on.",
    "Funding is left out: it depends on the position at each funding time.",
    "The loss of the first day counts from where the span starts.",
    "P&L is by position. `oms replay pnl` has a book for each strategy, which may split realised and unrealised otherwise.",
)
_DAY_NS: Final = 86_400 * 10**9


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """An order or an amend that the limits would have denied.

    Args:
        what: ``place`` or ``amend``. ``quantity``, ``price``: as asked for.
        code: of the first limit that it breaks; ``scope``: where that stands in the file.
        value: what stands against ``limit``, were it let through.
    """

    at: int
    sequence: int
    what: str
    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    strategy: str
    code: str
    scope: str
    limit: Decimal | int
    value: Decimal | int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of an account in one settlement asset, over the span.

    Args:
        volume: sum of quantity × price of the fills.
        unrealised: how it changed from the start to the end, at the prices then.
        net: realised + unrealised − fees, without ``other_fees``, which are by asset and not valued.
        peak_exposure: the most that positions were worth together, long or short; ``peak_open_notional``: working orders.
    """

    orders: int
    amends: int
    fills: int
    volume: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    net: Decimal
    other_fees: dict[str, Decimal]
    peak_exposure: Decimal
    peak_open_notional: Decimal


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was, and what would have been."""

    account: str
    settle: str
    actual: Figures
    whatif: Figures


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A position at the end, and the largest it was, long or short."""

    quantity: Decimal
    peak: Decimal


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was held, and what would have been."""

    exchange: str
    account: str
    market: str
    symbol: str
    actual: Held
    whatif: Held


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Args:
        first, last: sequences of the frames that were gone through; 0 for none.
        denied: how many orders and amends; ``denied_by``: by code; ``denials``: the first :data:`MAX_TOLD` of them.
        untold: limit → attempts that it could not be held against, because no price was known.
        unpriced: positions without any price, which are taken at cost.
    """

    first: int
    last: int
    at_first: int
    at_last: int
    limits: dict[str, Any]
    denied: int
    denied_by: dict[str, int]
    denials: list[Denial]
    accounts: list[AccountRow]
    positions: list[PositionRow]
    untold: dict[str, int]
    unpriced: list[str]
    not_modelled: tuple[str, ...] = NOT_MODELLED


@attrs.frozen
class _Made:
    """What a position has made since the journal began."""

    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    other_fees: dict[str, Decimal]


class WhatIf:
    """Goes through a span; a visitor as :class:`replay.asking.span.Visitor` says.

    Args:
        history: the state that the span starts from; it moves on as recorded.
        file: the limits.

    Memory grows with the orders that are denied, by their ids.
    """

    def __init__(self, history: History, file: LimitsFile) -> None:
        self._partition = history.partition
        self._file = file
        self._market = Market(history.partition)
        with decimal.localcontext(EXACT):
            self.actual = Book(history.partition, self._market)
            self.whatif = Book(history.partition, self._market)
            self._start = {key: self._made(position) for key, position in self.actual.positions.items()}
        self.limits = LimitSet(file)
        self.denied: set[str] = set()
        self.denials: list[Denial] = []
        self._denied_by: dict[str, int] = {}
        # Order → revision of the amend that was denied, and orders for which such a one has taken effect.
        self._refused: dict[str, int] = {}
        self._frozen: set[str] = set()
        self._day: int | None = None
        self._first = self._last = self._at_first = self._at_last = 0

    # -- walking

    def begin(self, stored: StoredFrame) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._first = self._first or stored.sequence
        self._last = stored.sequence

    def event(self, event: Any, at: int, place: EventId) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._at_first, self._at_last = self._at_first or at, at
        day = at // _DAY_NS
        if day != self._day:
            if self._day is not None:
                self.actual.begin_day()
                self.whatif.begin_day()
            self._day = day
        rule = _RULES.get(type(event))
        if rule is not None:
            rule(self, event, at, place[0])
        order_id = getattr(event, "order_id", None)
        if order_id is not None:
            self._follow(order_id)

    def end(self) -> None:
        """See :class:`replay.asking.span.Visitor`."""

    def _follow(self, order_id: str) -> None:
        """Let an order work in both worlds as long as it does, where it is in them."""
        order = self._partition.orders.get(order_id)
        if order is None or not order.working:
            self.actual.end(order_id)
            self.whatif.end(order_id)
            return
        if order_id not in self.actual.working:
            self.actual.take_up(order)
        if order_id not in self.whatif.working and not self._gone(order_id):
            self.whatif.take_up(order)

    def _gone(self, order_id: str) -> bool:
        """Whether the venue, in the other world, does nothing with this order any more."""
        return order_id in self.denied or order_id in self._frozen

    def _placed(self, event: e.OrderPlaced, at: int, sequence: int) -> None:
        key = (event.exchange, event.account, event.market, event.symbol)
        instrument = self._market.instrument(key)
        value_price = self._market.price(instrument)
        price = event.price or event.trigger_price or value_price or event.reserve_price
        unit = unit_of(instrument, price)
        order = Working(key, event.side, event.quantity, ZERO, unit or ZERO, instrument.settle)
        self.actual.place(event.order_id, order, at)
        attempt = Attempt(
            key=key,
            instrument=instrument,
            side=event.side,
            quantity=event.quantity,
            leaves=event.quantity,
            price=event.price,
            unit=unit,
            value_price=value_price,
            reduce_only=event.reduce_only,
            at=at,
        )
        breach = self.limits.breach(self.whatif, attempt)
        if breach is None:
            self.whatif.place(event.order_id, attrs.evolve(order), at)
        else:
            self.denied.add(event.order_id)
            self._deny("place", event.order_id, event.strategy, attempt, breach, sequence)

    def _amend_requested(self, event: e.OrderAmendRequested, at: int, sequence: int) -> None:
        order = self._partition.orders[event.order_id]
        key = (order.exchange, order.account, order.market, order.symbol)
        self.actual.ask_amend(key, at)
        if event.order_id in self.denied:
            return
        working = self.whatif.working.get(event.order_id)
        instrument = self._market.instrument(key)
        value_price = self._market.price(instrument)
        filled = order.cumulative if working is None else working.cumulative
        attempt = Attempt(
            key=key,
            instrument=instrument,
            side=order.side,
            quantity=event.quantity,
            leaves=event.quantity - filled,
            price=event.price,
            unit=unit_of(instrument, event.price or order.trigger_price or value_price),
            value_price=value_price,
            reduce_only=order.reduce_only,
            at=at,
            replaces=working,
        )
        breach = self.limits.breach(self.whatif, attempt)
        if breach is None:
            self.whatif.ask_amend(key, at)
            self._refused.pop(event.order_id, None)
        else:
            self._refused[event.order_id] = event.revision
            self._deny("amend", event.order_id, order.strategy, attempt, breach, sequence)

    def _amended(self, event: e.OrderAmended, at: int, sequence: int) -> None:
        self.actual.amend(event.order_id, event.quantity, event.price)
        if self._refused.get(event.order_id) == event.revision:
            self._frozen.add(event.order_id)
            return
        self._frozen.discard(event.order_id)
        self.whatif.amend(event.order_id, event.quantity, event.price)

    def _filled(self, event: e.OrderFilled, at: int, sequence: int) -> None:
        instrument = self._market.instrument((event.exchange, event.account, event.market, event.symbol))
        if self._market.traded(instrument, event.price):
            self._priced(instrument.key)
        self.actual.fill(event, at)
        if not self._gone(event.order_id):
            self.whatif.fill(event, at)

    def _busted(self, event: e.TradeBusted, at: int, sequence: int) -> None:
        self.actual.bust(event, at)
        if not self._gone(event.order_id):
            self.whatif.bust(event, at)

    def _restated(self, event: e.OrderRestated, at: int, sequence: int) -> None:
        self.actual.amend(event.order_id, event.quantity, event.price)
        self.whatif.amend(event.order_id, event.quantity, event.price)

    def _adjusted(self, event: e.PositionAdjusted, at: int, sequence: int) -> None:
        self.actual.adopt(event)
        self.whatif.adopt(event)

    def _marked(self, event: e.MarksRecorded, at: int, sequence: int) -> None:
        for symbol in event.marks:
            self._priced((event.exchange, event.market, symbol))

    def _listed(self, event: e.InstrumentListed, at: int, sequence: int) -> None:
        self._priced((event.exchange, event.market, event.symbol))

    def _priced(self, key: tuple[str, str, str]) -> None:
        self.actual.priced(key)
        self.whatif.priced(key)

    def _deny(
        self, what: str, order_id: str, strategy: str, attempt: Attempt, breach: Breach, sequence: int
    ) -> None:
        code = breach.bound.check.code
        self._denied_by[code] = self._denied_by.get(code, 0) + 1
        if len(self.denials) == MAX_TOLD:
            return
        exchange, account, market, symbol = attempt.key
        self.denials.append(
            Denial(
                at=attempt.at,
                sequence=sequence,
                what=what,
                order_id=order_id,
                exchange=exchange,
                account=account,
                market=market,
                symbol=symbol,
                side=attempt.side,
                quantity=attempt.quantity,
                price=attempt.price,
                strategy=strategy,
                code=code,
                scope=breach.bound.scope,
                limit=breach.bound.limit,
                value=breach.value,
            )
        )

    # -- reporting

    def report(self) -> Report:
        """What was and what would have been."""
        unpriced = self.actual.unpriced | self.whatif.unpriced
        with decimal.localcontext(EXACT):
            accounts, positions = list(self._accounts()), list(self._positions())
        return Report(
            first=self._first,
            last=self._last,
            at_first=self._at_first,
            at_last=self._at_last,
            limits=_given(plain(self._file)),
            denied=sum(self._denied_by.values()),
            denied_by=self._denied_by,
            denials=self.denials,
            accounts=accounts,
            positions=positions,
            untold=self.limits.untold,
            unpriced=sorted(".".join(key) for key in unpriced),
        )

    def _accounts(self) -> Iterator[AccountRow]:
        purses = {(key[1], self._market.instrument(key).settle) for key in self.actual.positions}
        # Peaks of both worlds begin at the same state, so that the recorded one has all that there is.
        purses |= set(self.actual.counts) | set(self.actual.peak_open)
        for purse in sorted(purses):
            yield AccountRow(
                account=purse[0],
                settle=purse[1],
                actual=self._figures(self.actual, purse),
                whatif=self._figures(self.whatif, purse),
            )

    def _figures(self, book: Book, purse: Purse) -> Figures:
        realised = unrealised = fees = ZERO
        other_fees: dict[str, Decimal] = {}
        for key, position in book.positions.items():
            if (key[1], self._market.instrument(key).settle) != purse:
                continue
            start, end = self._start.get(key, _NOTHING), self._made(position)
            realised += end.realised - start.realised
            unrealised += end.unrealised - start.unrealised
            fees += end.fees - start.fees
            for asset, fee in end.other_fees.items():
                paid = fee - start.other_fees.get(asset, ZERO)
                if paid:
                    other_fees[asset] = other_fees.get(asset, ZERO) + paid
        counts = book.counts.get(purse, Counts())
        return Figures(
            orders=counts.orders,
            amends=counts.amends,
            fills=counts.fills,
            volume=counts.volume,
            realised=realised,
            unrealised=unrealised,
            fees=fees,
            net=realised + unrealised - fees,
            other_fees=other_fees,
            peak_exposure=book.peak_exposure.get(purse, ZERO),
            peak_open_notional=book.peak_open.get(purse, ZERO),
        )

    def _made(self, position: Position) -> _Made:
        key = (position.exchange, position.account, position.market, position.symbol)
        instrument = self._market.instrument(key)
        price = self._market.price(instrument)
        unrealised = ZERO
        if price is not None or not position.quantity:
            unrealised = position.quantity * (price or ZERO) * instrument.contract_size - position.cost
        return _Made(position.realised, unrealised, position.fees, dict(position.other_fees))

    def _positions(self) -> Iterator[PositionRow]:
        for key in sorted(self.actual.positions):
            yield PositionRow(
                exchange=key[0],
                account=key[1],
                market=key[2],
                symbol=key[3],
                actual=_held(self.actual, key),
                whatif=_held(self.whatif, key),
            )


def _held(book: Book, key: PositionKey) -> Held:
    position = book.positions.get(key)
    return Held(
        quantity=ZERO if position is None else position.quantity, peak=book.peak_position.get(key, ZERO)
    )


def _given(limits: Any) -> Any:
    """Limits without those that are not set."""
    if not isinstance(limits, dict):
        return limits
    return {name: found for name, one in limits.items() if (found := _given(one)) not in (None, {})}


_NOTHING: Final = _Made(ZERO, ZERO, ZERO, {})
_RULES: Final[dict[type, Any]] = {
    e.OrderPlaced: WhatIf._placed,
    e.OrderAmendRequested: WhatIf._amend_requested,
    e.OrderAmended: WhatIf._amended,
    e.OrderFilled: WhatIf._filled,
    e.PositionAdjusted: WhatIf._adjusted,
    e.TradeBusted: WhatIf._busted,
    e.OrderRestated: WhatIf._restated,
    e.MarksRecorded: WhatIf._marked,
    e.InstrumentListed: WhatIf._listed,
}
