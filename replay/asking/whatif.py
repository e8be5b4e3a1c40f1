"""What if: a span of the history again, under other limits.

Two worlds are told the same commits: the recorded one, and :class:`~replay.asking.whatif_world.World`, in which the engine's own
rules decide again under the limits of a file. Said is what would have been denied, what would have been let through, which kill
switches would have engaged, and what both worlds came to; what is left out is :data:`NOT_MODELLED`, and said too.
"""

import decimal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms._config_values import plain
from oms.aggregates.bust import undoing
from oms.aggregates.money import EXACT, ZERO
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position, PositionKey
from oms.journal.reader import StoredFrame
from oms.messages import controls as k
from oms.messages import events as e
from oms.messages.codes import Code
from oms.messages.enums import Side
from oms.messages.frames import Commit
from replay.asking.whatif_file import OtherLimits
from replay.asking.whatif_world import Verdict, World
from replay.history import EventId, History

MAX_TOLD: Final = 10_000
"""Verdicts of a kind that are told one by one; beyond it they are counted."""
NOT_MODELLED: Final = (
    "The market does not react: what was not traded would have moved prices, and others would have had those trades.",
    "Other orders are filled as they were. With orders gone, the rest might have filled more, sooner, or at other prices.",
    "Strategies do not react: they would have seen a denial, and placed, amended and canceled otherwise from then on.",
    "An order that would have been let through is told, and nothing more: what the venue would have done with it is not known.",
    "An amend that is denied leaves its order working with the old terms; it is taken not to fill from then on.",
    "What a kill switch cancels is canceled at once. One that engages by itself stays so, unless a person released it as recorded.",
    "Figures are those of the recorded events up to where the span starts: peaks and daily losses of before stand.",
)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """An order or an amend that would have been decided otherwise.

    Args:
        what: ``place`` or ``amend``. ``quantity``, ``price``: as asked for.
        code, message: what it would have been denied with; for what would have been let through, what it was denied with.
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
    code: Code
    message: str


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """A kill switch that would have engaged by itself. ``cause``: the control that trips it."""

    at: int
    scope: str
    cause: str
    reason: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of an account in one settlement asset, over the span.

    Args:
        volume: sum of quantity × price of the fills.
        unrealised: how it changed from the start to the end, at the marks then.
        net: realised + unrealised − fees + funding, without ``other_fees``, which are by asset and not valued.
    """

    orders: int
    amends: int
    fills: int
    volume: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal
    net: Decimal
    other_fees: dict[str, Decimal]


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was, and what would have been."""

    account: str
    settle: str
    actual: Figures
    whatif: Figures


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was held at the end, and what would have been."""

    exchange: str
    account: str
    market: str
    symbol: str
    actual: Decimal
    whatif: Decimal


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Args:
        first, last: sequences of the frames that were gone through; 0 for none.
        limits: what the file says.
        denied: orders and amends that were let through and would have been denied. ``denied_by``: by code. ``denials``: the
            first :data:`MAX_TOLD` of them.
        passed: orders and amends that were denied and would have been let through. ``passed_by``: by the code they were denied with.
            ``passes``: the first :data:`MAX_TOLD` of them.
        kills: kill switches that would have engaged by themselves.
        unpriced: positions without a mark, which are taken at cost.
    """

    first: int
    last: int
    at_first: int
    at_last: int
    limits: dict[str, Any]
    denied: int
    denied_by: dict[str, int]
    denials: list[Changed]
    passed: int
    passed_by: dict[str, int]
    passes: list[Changed]
    kills: list[Killed]
    accounts: list[AccountRow]
    positions: list[PositionRow]
    unpriced: list[str]
    not_modelled: tuple[str, ...] = NOT_MODELLED


_Purse = tuple[str, str]
"""(account, settlement asset)"""


@attrs.define(slots=True)
class _Counts:
    orders: int = 0
    amends: int = 0
    fills: int = 0
    volume: Decimal = ZERO


class _Told:
    """Verdicts, counted by code, the first of them kept."""

    def __init__(self) -> None:
        self.by: dict[str, int] = {}
        self.first: list[Changed] = []

    def add(self, changed: Changed) -> None:
        self.by[changed.code] = self.by.get(changed.code, 0) + 1
        if len(self.first) < MAX_TOLD:
            self.first.append(changed)


class _Side:
    """One of the two worlds: its state, and what happened in it during the span."""

    def __init__(self, state: Partition) -> None:
        self.state = state
        self.counts: dict[_Purse, _Counts] = {}
        self.start = {
            key: attrs.evolve(each, other_fees=dict(each.other_fees)) for key, each in state.positions.items()
        }
        self.unrealised = {key: _unrealised(state, each) for key, each in state.positions.items()}

    def count(self, account: str, settle: str) -> _Counts:
        return self.counts.setdefault((account, settle), _Counts())

    def trade(self, event: e.OrderFilled, settle: str, size: Decimal, count: int) -> None:
        counts = self.count(event.account, settle)
        counts.fills += count
        counts.volume += event.quantity * event.price * size * count


class WhatIf:
    """Goes through a span; a visitor as :class:`replay.asking.span.Visitor` says.

    Args:
        history: the state that the span starts from; it moves on as recorded.
        file: the limits.

    Memory grows with the orders that are denied, by their ids.
    """

    def __init__(self, history: History, file: OtherLimits) -> None:
        self._file = file
        self.kills: list[Killed] = []
        with decimal.localcontext(EXACT):
            self.world = World(history.partition, file, self._kill)
            self._actual = _Side(history.partition)
            self._whatif = _Side(self.world.state)
        self._denied, self._passed = _Told(), _Told()
        self._stored: StoredFrame | None = None
        self._open: tuple[int, int] | None = None
        self._first = self._last = self._at_first = self._at_last = 0

    # -- walking

    def begin(self, stored: StoredFrame) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._first = self._first or stored.sequence
        self._last = stored.sequence
        self._stored = stored

    def event(self, event: Any, at: int, place: EventId) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._at_first, self._at_last = self._at_first or at, at
        if place[:2] != self._open:
            self._finish()
            self._open = place[:2]
            if isinstance(event, e.EngineStarted):
                self.world.started(at)
            self.world.check(at)
        commit = self._commit()
        if isinstance(event, e.OrderPlaced | e.OrderDenied):
            self._placed(commit, event, place[0])
        elif isinstance(event, e.OrderAmendRequested):
            self._amended(commit, event, place[0])
        elif isinstance(event, e.OrderAmendDenied):
            self._amend_denied(commit, event, place[0])
        else:
            happened = self.world.apply(event, at)
            if isinstance(event, e.OrderFilled | e.TradeBusted):
                self._traded(event, happened)
        order_id = getattr(event, "order_id", None)
        if order_id is not None:
            self.world.follow(order_id, at)

    def end(self) -> None:
        """See :class:`replay.asking.span.Visitor`."""
        self._finish()

    def _commit(self) -> Commit:
        assert self._stored is not None, "a frame begins before its events"
        assert self._open is not None, "a commit begins before its events"
        return self._stored.frame.commits[self._open[1]]

    def _finish(self) -> None:
        if self._open is not None:
            self.world.finish(self._commit(), self._open[0])
            self._open = None

    def _placed(self, commit: Commit, event: e.OrderPlaced | e.OrderDenied, sequence: int) -> None:
        verdict = self.world.place(commit, event)
        settle = self._settle(event.exchange, event.market, event.symbol)
        if isinstance(event, e.OrderDenied):
            if verdict is None:
                self._passed.add(
                    _changed("place", event, event, commit.at, sequence, (event.code, event.message))
                )
            return
        self._actual.count(event.account, settle).orders += 1
        if verdict is None:
            self._whatif.count(event.account, settle).orders += 1
        else:
            self._denied.add(_changed("place", event, event, commit.at, sequence, verdict))

    def _amended(self, commit: Commit, event: e.OrderAmendRequested, sequence: int) -> None:
        order = self._actual.state.orders[event.order_id]
        settle = self._settle(order.exchange, order.market, order.symbol)
        self._actual.count(order.account, settle).amends += 1
        there = event.order_id not in self.world.gone
        verdict = self.world.amend(commit, event)
        if verdict is not None:
            self._denied.add(_changed("amend", order, event, commit.at, sequence, verdict))
        elif there:
            self._whatif.count(order.account, settle).amends += 1

    def _amend_denied(self, commit: Commit, event: e.OrderAmendDenied, sequence: int) -> None:
        if not self.world.takes_amend(commit, event):
            return
        order = self._actual.state.orders[event.order_id]
        asked = msgspec.structs.replace(
            event,
            quantity=order.quantity if event.quantity is None else event.quantity,
            price=order.price if event.price is None else event.price,
        )
        verdict = (event.code, event.message)
        self._passed.add(_changed("amend", order, asked, commit.at, sequence, verdict))

    def _traded(self, event: e.OrderFilled | e.TradeBusted, happened: bool) -> None:
        instrument = self._actual.state.instruments[event.exchange, event.market, event.symbol]
        count = 1 if isinstance(event, e.OrderFilled) else -1
        trade = event if isinstance(event, e.OrderFilled) else undoing(event)
        for side in (self._actual, self._whatif) if happened else (self._actual,):
            side.trade(trade, instrument.settle, instrument.contract_size, count)

    def _kill(self, event: k.KillSwitchEngaged, at: int) -> None:
        self.kills.append(Killed(at=at, scope=event.scope, cause=event.cause, reason=event.reason))

    def _settle(self, exchange: str, market: str, symbol: str) -> str:
        return self._actual.state.instruments[exchange, market, symbol].settle

    # -- reporting

    def report(self) -> Report:
        """What was and what would have been."""
        with decimal.localcontext(EXACT):
            accounts, positions = list(self._accounts()), list(self._positions())
            unpriced = sorted(
                ".".join(key)
                for side in (self._actual, self._whatif)
                for key, each in side.state.positions.items()
                if each.unrealised(_instrument(side.state, each)) is None
            )
        return Report(
            first=self._first,
            last=self._last,
            at_first=self._at_first,
            at_last=self._at_last,
            limits=plain(self._file),
            denied=sum(self._denied.by.values()),
            denied_by=self._denied.by,
            denials=self._denied.first,
            passed=sum(self._passed.by.values()),
            passed_by=self._passed.by,
            passes=self._passed.first,
            kills=self.kills,
            accounts=accounts,
            positions=positions,
            unpriced=list(dict.fromkeys(unpriced)),
        )

    def _accounts(self) -> Iterator[AccountRow]:
        purses = {
            (each.account, _instrument(side.state, each).settle)
            for side in (self._actual, self._whatif)
            for each in side.state.positions.values()
        }
        for purse in sorted(purses | set(self._actual.counts)):
            yield AccountRow(
                account=purse[0],
                settle=purse[1],
                actual=_figures(self._actual, purse),
                whatif=_figures(self._whatif, purse),
            )

    def _positions(self) -> Iterator[PositionRow]:
        actual, whatif = self._actual.state.positions, self._whatif.state.positions
        for key in sorted({**actual, **whatif}):
            yield PositionRow(
                exchange=key[0],
                account=key[1],
                market=key[2],
                symbol=key[3],
                actual=_quantity(actual, key),
                whatif=_quantity(whatif, key),
            )


def _changed(what: str, order: Any, asked: Any, at: int, sequence: int, verdict: Verdict) -> Changed:
    return Changed(
        at=at,
        sequence=sequence,
        what=what,
        order_id=order.order_id,
        exchange=order.exchange,
        account=order.account,
        market=order.market,
        symbol=order.symbol,
        side=order.side,
        quantity=asked.quantity,
        price=asked.price,
        strategy=order.strategy,
        code=verdict[0],
        message=verdict[1],
    )


def _quantity(positions: dict[PositionKey, Position], key: PositionKey) -> Decimal:
    found = positions.get(key)
    return ZERO if found is None else found.quantity


def _instrument(state: Partition, position: Position) -> Any:
    return state.instruments[position.exchange, position.market, position.symbol]


def _unrealised(state: Partition, position: Position) -> Decimal:
    return position.unrealised(_instrument(state, position)) or ZERO


def _figures(side: _Side, purse: _Purse) -> Figures:
    realised = unrealised = fees = funding = ZERO
    other_fees: dict[str, Decimal] = {}
    for key, position in side.state.positions.items():
        if (position.account, _instrument(side.state, position).settle) != purse:
            continue
        start = side.start.get(key) or Position(*key)
        realised += position.realised - start.realised
        fees += position.fees - start.fees
        funding += position.funding - start.funding
        unrealised += _unrealised(side.state, position) - side.unrealised.get(key, ZERO)
        for asset, fee in position.other_fees.items():
            paid = fee - start.other_fees.get(asset, ZERO)
            if paid:
                other_fees[asset] = other_fees.get(asset, ZERO) + paid
    counts = side.counts.get(purse, _Counts())
    return Figures(
        orders=counts.orders,
        amends=counts.amends,
        fills=counts.fills,
        volume=counts.volume,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        funding=funding,
        net=realised + unrealised - fees + funding,
        other_fees=other_fees,
    )
