"""Leaves: what positions and working orders come to, position by position, and with them the sums of every scope.

All of it is derived, kept up event by event, and the same as adding up from scratch. An order costs the same to count however many
are open, and however many accounts there are; a mark costs as many steps as there are positions in its instrument.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from oms.aggregates.account import WalletKey
from oms.aggregates.books import BookKey
from oms.aggregates.digest import Changes
from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.money import ZERO, fewest_places, share
from oms.aggregates.order import Order
from oms.aggregates.position import Position, PositionKey
from oms.aggregates.risk.controls import ACCOUNT, EXCHANGE, GLOBAL, INSTRUMENT, STRATEGY
from oms.aggregates.risk.sizes import Sizes
from oms.aggregates.risk.totals import Leaf, Purse, Totals
from oms.aggregates.risk.valuation import Rates
from oms.messages.enums import Side

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

BUY = Side.BUY
Touched = dict[str, Totals]
"""Scopes whose profit of the day has become another. Their best is looked at only when a list of changes is done."""


@attrs.define(slots=True, eq=False)
class Leaves:
    """See the module.

    Args:
        changes: of the partition; what is noted there is hashed again.
        total: gives the figures of a scope.
        rates: that positions are valued with. ``sizes``: told of positions that may be near a limit.
        by_place: of accounts' positions. ``by_book``: of strategies' parts.
        purses: by wallet and settlement asset.
    """

    changes: Changes
    total: Callable[[str], Totals]
    rates: Rates
    sizes: Sizes
    by_place: dict[PositionKey, Leaf] = attrs.field(factory=dict)
    by_book: dict[BookKey, Leaf] = attrs.field(factory=dict)
    purses: dict[tuple[WalletKey, str], Purse] = attrs.field(factory=dict)
    _counted: dict[str, Decimal] = attrs.field(factory=dict)
    """Live orders → the quantity that they count with."""
    _of_instrument: dict[InstrumentKey, list[Leaf]] = attrs.field(factory=dict)
    _of_settle: dict[str, list[Leaf]] = attrs.field(factory=dict)

    # -- read

    def by_instrument(self) -> Iterable[list[Leaf]]:
        """Leaves and parts, those of one instrument together."""
        return self._of_instrument.values()

    def at(self, state: "Partition", scope: str, place: str) -> Leaf:
        """A position's leaf by ``exchange.account.market.symbol``, of a strategy's scope its part of it, made when new."""
        kind, _, name = scope.partition(":")
        exchange, account, market, symbol = place.split(".")
        if kind == STRATEGY:
            return self.part(state, (exchange, account, market, symbol, name))
        return self.leaf(state, (exchange, account, market, symbol))

    # -- what is made when first needed, and let go of

    def leaf(self, state: "Partition", place: PositionKey, touched: Touched | None = None) -> Leaf:
        """The leaf of an account's position, made when new."""
        found = self.by_place.get(place)
        if found is None:
            exchange, account, market, symbol = place
            instrument = state.instruments[exchange, market, symbol]
            scopes = (
                GLOBAL,
                f"{EXCHANGE}:{exchange}",
                f"{ACCOUNT}:{account}",
                f"{INSTRUMENT}:{exchange}.{market}.{symbol}",
            )
            position = state.positions.get(place) or Position(*place)
            found = self._leaf(".".join(place), position, instrument, scopes)
            if not instrument.spot:
                self._into_purse(state, found)
            self.by_place[place] = found
            self._reprice(found, touched)
        return found

    def part(self, state: "Partition", key: BookKey, touched: Touched | None = None) -> Leaf:
        """The leaf of a strategy's part of a position, made when new."""
        found = self.by_book.get(key)
        if found is None:
            exchange, _, market, symbol, strategy = key
            instrument = state.instruments[exchange, market, symbol]
            position = state.books.by_key.get(key) or Position(*key[:4])
            found = self._leaf(".".join(key), position, instrument, (f"{STRATEGY}:{strategy}",))
            self.by_book[key] = found
            self._reprice(found, touched)
        return found

    def both(self, state: "Partition", place: PositionKey, strategy: str) -> tuple[Leaf, Leaf]:
        """The leaf of an account's position, and that of a strategy's part of it."""
        leaf = self.by_place.get(place) or self.leaf(state, place)
        key = (*place, strategy)
        return leaf, self.by_book.get(key) or self.part(state, key)

    def totals_of(self, state: "Partition", order: Order) -> tuple[Totals, ...]:
        """The figures of every scope that an order is in."""
        place = (order.exchange, order.account, order.market, order.symbol)
        leaf, part = self.both(state, place, order.strategy)
        return leaf.totals + part.totals

    def let_go(self) -> set[str]:
        """Let go of all that are idle; the scopes that the others count in."""
        self.by_place = {key: leaf for key, leaf in self.by_place.items() if not self._unlisted(leaf)}
        self.by_book = {key: leaf for key, leaf in self.by_book.items() if not self._unlisted(leaf)}
        return {
            totals.scope
            for leaves in (self.by_place, self.by_book)
            for each in leaves.values()
            for totals in each.totals
        }

    def let_go_of(self, parts: Iterable[BookKey]) -> None:
        """Let go of those of these parts that are idle."""
        for key in parts:
            part = self.by_book.get(key)
            if part is not None and self._unlisted(part):
                del self.by_book[key]

    def _leaf(self, name: str, position: Position, instrument: Instrument, scopes: Iterable[str]) -> Leaf:
        leaf = Leaf(
            name, position, instrument, tuple(self.total(scope) for scope in scopes), self.sizes.fresh
        )
        self._of_instrument.setdefault(instrument.key, []).append(leaf)
        self._of_settle.setdefault(instrument.settle, []).append(leaf)
        return leaf

    def _unlisted(self, leaf: Leaf) -> bool:
        """Whether a leaf is idle, and is listed nowhere now."""
        if not leaf.idle or leaf.position.quantity or leaf.position.cost:
            return False
        self._of_instrument[leaf.instrument.key].remove(leaf)
        self._of_settle[leaf.instrument.settle].remove(leaf)
        self.sizes.loud.pop(leaf, None)
        if leaf.purse is not None:
            leaf.purse.leaves.remove(leaf)
        return True

    def _into_purse(self, state: "Partition", leaf: Leaf) -> None:
        """Let a leaf off spot count in its wallet's purse of the asset that it settles in, and in no other."""
        if leaf.purse is not None:
            leaf.purse.unrealised -= leaf.unrealised
            leaf.purse.leaves.remove(leaf)
            leaf.unrealised = ZERO
        position = leaf.position
        key = (position.exchange, position.account, position.market)
        wallet = (state.wallet_key(key), leaf.instrument.settle)
        leaf.purse = self._purse(wallet)
        leaf.purse.leaves.append(leaf)

    def _purse(self, key: tuple[WalletKey, str]) -> Purse:
        found = self.purses.get(key)
        if found is None:
            found = self.purses[key] = Purse()
        return found

    def attach(self, place: PositionKey, position: Position) -> None:
        """A position has come to be held."""
        leaf = self.by_place.get(place)
        if leaf is not None:
            leaf.position = position

    def attach_book(self, key: BookKey, book: Position) -> None:
        """A book has come to be held."""
        part = self.by_book.get(key)
        if part is not None:
            part.position = book

    # -- orders, transfers

    def counts(self, state: "Partition", order: Order) -> None:
        """Bring what an order counts with in line with what it has become."""
        before = self._counted.get(order.order_id)
        if order.live:
            rest = order.exposed
            if before == rest:
                return
            self._counted[order.order_id] = rest
        elif before is None:
            return
        else:
            rest = ZERO
            del self._counted[order.order_id]
        place = (order.exchange, order.account, order.market, order.symbol)
        change = rest if before is None else rest - before
        more = (before is None) - (not order.live)
        buys = order.side is BUY
        for each in self.both(state, place, order.strategy):
            if more:
                each.orders += more
                for totals in each.totals:
                    totals.open_orders += more
            if change:
                if buys:
                    each.buys += change
                else:
                    each.sells += change
                _resize(each)
                _revalue(each, each.unit)

    def sends(self, wallet: WalletKey, asset: str, amount: Decimal) -> None:
        """A transfer takes an amount out of a wallet, or takes it no longer when negative."""
        self._purse((wallet, asset)).leaving += amount

    # -- positions, marks, rates

    def moved(self, state: "Partition", place: PositionKey, books: Iterable[BookKey]) -> Touched:
        """A position and some of its books have changed."""
        touched: Touched = {}
        self._reprice(self.leaf(state, place, touched), touched)
        for key in books:
            self._reprice(self.part(state, key, touched), touched)
        return touched

    def charge(self, position: Position, instrument: Instrument, asset: str, amount: Decimal) -> None:
        """Value a fee in an asset that the position's own figures do not count, once its rate is known."""
        rate, own = self.rates.of(asset), self.rates.of(instrument.settle)
        if rate is None or own is None:
            owed = position.unpriced.get(asset, ZERO) + amount
            if owed:
                position.unpriced[asset] = owed
            else:
                position.unpriced.pop(asset, None)
        else:
            position.charged += share(amount, rate, own)

    def marked(self, state: "Partition", key: InstrumentKey, touched: Touched) -> None:
        """An instrument has another mark."""
        self._priced_again(state, key, touched)
        leaves = self._of_instrument.get(key)
        if not leaves:
            return
        price, rate, unit = self._prices(state.instruments[key])
        for leaf in leaves:
            # What is flat has earned no more by it.
            if leaf.position.quantity:
                _reckon(leaf, price, rate, touched)
            _revalue(leaf, unit)

    def listed(self, state: "Partition", instrument: Instrument, before: Instrument | None) -> Touched:
        """An instrument has other terms, or is new."""
        touched: Touched = {}
        self._priced_again(state, instrument.key, touched)
        for leaf in self._of_instrument.get(instrument.key, ()):
            settled = leaf.instrument.settle
            leaf.instrument = instrument
            # Its size may be another, in units of another asset.
            leaf.alarm = self.sizes.fresh
            if settled != instrument.settle:
                self._of_settle[settled].remove(leaf)
                self._of_settle.setdefault(instrument.settle, []).append(leaf)
                if leaf.purse is not None:
                    self._into_purse(state, leaf)
            self._reprice(leaf, touched)
        if before is not None and before.settle != instrument.settle:
            self._value_fees(state, instrument.settle, touched)
        return touched

    def valued(self, state: "Partition") -> Touched:
        """An asset is valued in another way: rates may be others."""
        touched: Touched = {}
        self._rate_again(state, self.rates.valuations, touched)
        return touched

    def _priced_again(self, state: "Partition", key: InstrumentKey, touched: Touched) -> None:
        self._rate_again(state, self.rates.priced_by(key), touched)

    def _rate_again(self, state: "Partition", assets: Iterable[str], touched: Touched) -> None:
        for asset in assets:
            # Nothing waits for a rate that was known.
            new = self.rates.of(asset) is None
            if not self.rates.renew(asset, state.instruments):
                continue
            if new:
                self._value_fees(state, asset, touched)
            for leaf in self._of_settle.get(asset, ()):
                self._reprice(leaf, touched)

    def _value_fees(self, state: "Partition", asset: str, touched: Touched) -> None:
        """Value what was charged in an asset, or on instruments settled in it, before its rate was known."""
        for place, position in state.positions.items():
            if self._charge_owed(state, place, position, asset):
                self.changes.positions[place] = None
                self._reprice(self.leaf(state, place), touched)
        for key, book in state.books.by_key.items():
            if self._charge_owed(state, key[:4], book, asset):
                self.changes.books[key] = None
                self._reprice(self.part(state, key), touched)

    def _charge_owed(self, state: "Partition", place: PositionKey, position: Position, asset: str) -> bool:
        if not position.unpriced:
            return False
        instrument = state.instruments[place[0], place[2], place[3]]
        if asset not in position.unpriced and instrument.settle != asset:
            return False
        owed, position.unpriced = position.unpriced, {}
        for name, amount in owed.items():
            self.charge(position, instrument, name, amount)
        return True

    def _reprice(self, leaf: Leaf, touched: Touched | None = None) -> None:
        """Bring value and profit of a leaf in line with position, mark and rate."""
        position = leaf.position
        price, rate, unit = self._prices(leaf.instrument)
        leaf.settled = position.earned - position.day_base
        _reckon(leaf, price, rate, touched)
        _resize(leaf)
        _revalue(leaf, unit)

    def _prices(self, instrument: Instrument) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """What a unit of quantity is worth in the settlement asset, what that asset is in USD, and what the unit is in USD."""
        rate = self.rates.of(instrument.settle)
        price = None if instrument.mark is None else instrument.mark * instrument.contract_size
        return price, rate, None if price is None or rate is None else price * rate

    # -- all of it

    def carry(self, state: "Partition") -> None:
        """Begin a trading day: what positions and books have earned until now is of the days before."""
        for place, position in state.positions.items():
            if _carry(self.leaf(state, place), position):
                self.changes.positions[place] = None
        for key, book in state.books.by_key.items():
            if _carry(self.part(state, key), book):
                self.changes.books[key] = None

    def rebuild(self, state: "Partition") -> None:
        """Make everything anew, the scopes' figures being at zero."""
        self.by_place, self.by_book, self.purses, self._counted = {}, {}, {}, {}
        self._of_instrument, self._of_settle = {}, {}
        self.sizes.loud.clear()
        self.rates.rebuild(state.instruments)
        for place in state.positions:
            self.leaf(state, place)
        for key in state.books.by_key:
            self.part(state, key)
        for live in state.live.values():
            for order in live.values():
                self.counts(state, order)
        for transfer in state.transfers_under_way.values():
            self.sends(transfer.source_key, transfer.asset, transfer.amount)


def _carry(leaf: Leaf, position: Position) -> bool:
    leaf.day = ZERO
    base = fewest_places(position.earned + _open_profit(leaf))
    moved = base != position.day_base
    if moved:
        position.day_base = base
    leaf.settled = position.earned - base
    return moved


def _open_profit(leaf: Leaf) -> Decimal:
    """What is open at the mark, less its cost, in the settlement asset; zero while no mark is known and something is."""
    instrument, position = leaf.instrument, leaf.position
    if not position.quantity:
        return -position.cost
    if instrument.mark is None:
        return ZERO
    return position.quantity * instrument.mark * instrument.contract_size - position.cost


def _reckon(leaf: Leaf, price: Decimal | None, rate: Decimal | None, touched: Touched | None) -> None:
    """Bring the profit of the day in line with what is settled, what is open, and its price."""
    position = leaf.position
    quantity = position.quantity
    if quantity:
        open_profit = ZERO if price is None else quantity * price - position.cost
    else:
        # A book may be flat, and have paid for what the others sold.
        open_profit = -position.cost
    purse = leaf.purse
    if purse is not None and open_profit != leaf.unrealised:
        purse.unrealised += open_profit - leaf.unrealised
        leaf.unrealised = open_profit
    if rate is None:
        # Of all days: what nobody could value was never counted.
        leaf.unrated, day = bool(position.earned + open_profit), ZERO
    else:
        leaf.unrated, day = False, (leaf.settled + open_profit) * rate
    change = day - leaf.day
    if change:
        leaf.day = day
        for totals in leaf.totals:
            totals.day += change
            if touched is not None:
                touched[totals.scope] = totals


def _resize(leaf: Leaf) -> None:
    """Bring the size that a leaf can come to in line with position and orders."""
    quantity = leaf.position.quantity
    leaf.up = up = quantity + leaf.buys
    leaf.down = down = leaf.sells - quantity
    leaf.worst = max(down, up)


def _revalue(leaf: Leaf, unit: Decimal | None) -> None:
    """Bring what that size is worth in line with what a unit is."""
    leaf.unit = unit
    worst = leaf.worst
    unvalued = leaf.unrated or bool(leaf.position.unpriced) or (unit is None and bool(worst))
    if unvalued is not leaf.unvalued:
        leaf.unvalued = unvalued
        for totals in leaf.totals:
            totals.unvalued += 1 if unvalued else -1
    value = ZERO if unit is None else worst * unit
    change = value - leaf.value
    if change:
        leaf.value = value
        for totals in leaf.totals:
            totals.exposure += change
    alarm = leaf.alarm
    if value >= alarm.value or worst >= alarm.worst:
        alarm.loud[leaf] = None
