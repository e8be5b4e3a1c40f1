"""Risk: everything that decides whether an order may be placed, kept up event by event.

State: limits and overrides, latches, valuations, strategies assigned and taken away, the trading day, and of every scope what it
remembers (:class:`~oms.aggregates.risk.totals.Totals`). Derived, and the same as adding up from scratch: what positions and
working orders come to, by leaf and by scope.

An order costs the same to check and to count however many are open, and however many accounts there are; a mark costs as many
steps as there are positions in its instrument.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from oms.aggregates.account import WalletKey
from oms.aggregates.books import BookKey
from oms.aggregates.digest import Changes
from oms.aggregates.instrument import Instrument, InstrumentKey
from oms.aggregates.money import ZERO, fewest_places, share
from oms.aggregates.order import Order
from oms.aggregates.position import Position, PositionKey
from oms.aggregates.risk.assignments import Assignment
from oms.aggregates.risk.bounds import Bounds, InForce
from oms.aggregates.risk.controls import ACCOUNT, EXCHANGE, GLOBAL, INSTRUMENT, STRATEGY
from oms.aggregates.risk.gate import Gate, Likeness, likeness
from oms.aggregates.risk.latches import Latch, latch
from oms.aggregates.risk.limits import NOTHING_SAID, Limits
from oms.aggregates.risk.merging import merge
from oms.aggregates.risk.sizes import Sizes
from oms.aggregates.risk.totals import MINUTE_NS, SECOND_NS, Leaf, Purse, Told, Totals, note, told_by
from oms.aggregates.risk.valuation import Valuation, rate_of
from oms.messages import controls as k
from oms.messages import events as e
from oms.messages.codes import Code, Refused
from oms.messages.enums import Side

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition

MAX_GATES: Final = 50_000
"""Gates kept; beyond it all are made anew as needed, and idle leaves are let go."""
MAX_STRATEGIES: Final = 1_000
"""Names of strategies that orders may be placed under; the figures of each are kept for good."""
MAX_STRANGERS: Final = 100
"""Names under which nothing was ever placed, and whose gates are kept all the same."""
MAX_RECENT: Final = 100_000
"""Orders remembered for telling duplicates, whatever the window."""
BUY: Final = Side.BUY


def instrument_name(exchange: str, market: str, symbol: str) -> str:
    """An instrument's name in a scope."""
    return f"{exchange}.{market}.{symbol}"


@attrs.define(slots=True, eq=False)
class Risk:
    """See the module.

    Args:
        changes: of the partition; what is noted there is hashed again.
        unassigned: strategies that were taken from their account, and assigned to none since.
        day: first moment of the trading day, UTC ns; 0 before the first.
        recent: orders like which none may follow at once → when they were placed.
        totals: by scope. ``leaves``: by position. ``parts``: by book.
        trading: strategies that an order was ever placed or amended for.
        counted: live orders → the quantity that they count with.
        window: longest time, in ns, that an order is remembered for telling duplicates.
        version: changes whenever a gate may have become another.
        alarm: a loss came to where a kill switch engages on it, maybe for a moment, and whoever looks what is due has not looked
            since. It decides nothing: it says that a look is worth while.
    """

    changes: Changes
    limits: Limits = attrs.field(factory=Limits)
    latches: dict[str, Latch] = attrs.field(factory=dict)
    valuations: dict[str, Valuation] = attrs.field(factory=dict)
    strategies: dict[str, Assignment] = attrs.field(factory=dict)
    unassigned: dict[str, None] = attrs.field(factory=dict)
    day: int = 0
    recent: OrderedDict[Likeness, int] = attrs.field(factory=OrderedDict)
    totals: dict[str, Totals] = attrs.field(factory=dict)
    leaves: dict[PositionKey, Leaf] = attrs.field(factory=dict)
    parts: dict[BookKey, Leaf] = attrs.field(factory=dict)
    counted: dict[str, Decimal] = attrs.field(factory=dict)
    rates: dict[str, Decimal | None] = attrs.field(factory=dict)
    purses: dict[tuple[WalletKey, str], Purse] = attrs.field(factory=dict)
    trading: set[str] = attrs.field(factory=set)
    version: int = 0
    alarm: bool = False
    window: int = 0
    _gates: dict[BookKey, Gate] = attrs.field(factory=dict)
    _strangers: dict[str, dict[BookKey, None]] = attrs.field(factory=dict)
    _in_force: InForce = attrs.field(
        init=False, default=attrs.Factory(lambda self: InForce(self.limits, self.total), takes_self=True)
    )
    _sizes: Sizes = attrs.field(
        init=False, default=attrs.Factory(lambda self: Sizes(self.limits, self._in_force), takes_self=True)
    )
    _of_instrument: dict[InstrumentKey, list[Leaf]] = attrs.field(factory=dict)
    _of_settle: dict[str, list[Leaf]] = attrs.field(factory=dict)
    _priced_by: dict[InstrumentKey, list[str]] = attrs.field(factory=dict)

    # -- read

    def rate(self, asset: str) -> Decimal | None:
        """USD a unit of an asset; None while that is not known."""
        return self.rates.get(asset)

    def pricing(self, state: "Partition", asset: str) -> Instrument | None:
        """The instrument by whose mark an asset is valued, and as old as which its rate is; None for a fixed rate.

        It prices the asset in one with a fixed rate: no rate hangs on more than one mark.
        """
        valuation = self.valuations.get(asset)
        if valuation is None or valuation.instrument is None:
            return None
        return state.instruments.get(valuation.instrument)

    def limit(self, scope: str, control: str, now: int) -> Any:
        """What a scope, or for want of it the global one, has for a control now, parsed; None for off.

        Raises:
            Refused: LIMIT_MISSING when neither says anything.
        """
        kind, _, name = scope.partition(":")
        found = self.limits.value(kind, name, control, now)
        if found is NOTHING_SAID:
            found = self.limits.value(GLOBAL, "", control, now)
        if found is NOTHING_SAID:
            raise Refused(Code.LIMIT_MISSING, f"no scope says anything about {control}")
        return found

    def bounds(self, scope: str, now: int) -> Bounds:
        """What a scope says now, beside its figures."""
        self._in_force.renew(self.version, now)
        return self._in_force.of(scope, now)

    def holds(self, scope: str, control: str, now: int) -> Any:
        """What a scope, or for want of it the global one, has for a control now; None too where neither says anything."""
        self._in_force.renew(self.version, now)
        return self._in_force.holds(scope, control, now)

    def loud(self, now: int) -> list[Bounds]:
        """Scopes, by name, in which a figure may be near its limit, or was told to be."""
        self._in_force.renew(self.version, now)
        near = self._in_force.near
        found = [
            scope for scope, totals in list(self.totals.items()) if near(scope, now).reached() or totals.told
        ]
        return [self._in_force.of(scope, now) for scope in sorted(found)]

    def loud_leaves(self, now: int) -> list[Leaf]:
        """Leaves and parts that may be near a limit on each position, in no order."""
        self._in_force.renew(self.version, now)
        return self._sizes.find(self._of_instrument.values(), now)

    def leaf_at(self, state: "Partition", scope: str, place: str) -> Leaf:
        """A position's leaf by ``exchange.account.market.symbol``, of a strategy's scope its part of it, made when new."""
        kind, _, name = scope.partition(":")
        exchange, account, market, symbol = place.split(".")
        if kind == STRATEGY:
            return self.part(state, (exchange, account, market, symbol, name))
        return self.leaf(state, (exchange, account, market, symbol))

    def stale_after(self, now: int) -> Mapping[str, int]:
        """Scopes whose kill switch engages on stale marks → the age in ns that each takes for oldest."""
        self._in_force.renew(self.version, now)
        for scope in list(self.totals):
            self._in_force.near(scope, now)
        return self._in_force.stale_after

    def leaves_by_instrument(self) -> Iterable[list[Leaf]]:
        """Leaves and parts, those of one instrument together."""
        return self._of_instrument.values()

    def gate(self, state: "Partition", place: PositionKey, strategy: str, now: int) -> Gate:
        """The gate of an order of a strategy; ``place`` is (exchange, account, market, symbol), of a listed instrument."""
        key = (*place, strategy)
        found = self._gates.get(key)
        if found is not None and found.version == self.version and now < found.until:
            return found
        if len(self._gates) >= MAX_GATES:
            self._let_go()
        found = self._gates[key] = merge(self, state, place, strategy, now)
        if strategy not in self.trading and strategy not in self.strategies:
            self._strangers.setdefault(strategy, {})[key] = None
            if len(self._strangers) > MAX_STRANGERS:
                self._forget_strangers()
        return found

    def last_recent(self) -> tuple[int, int]:
        """How many orders are remembered for telling duplicates, and when the last was placed."""
        return len(self.recent), next(reversed(self.recent.values()), 0)

    def _let_go(self) -> None:
        self._gates.clear()
        self._strangers.clear()
        self.leaves = {key: leaf for key, leaf in self.leaves.items() if not self._unlisted(leaf)}
        self.parts = {key: leaf for key, leaf in self.parts.items() if not self._unlisted(leaf)}
        held = {
            totals.scope
            for parts in (self.leaves, self.parts)
            for each in parts.values()
            for totals in each.totals
        }
        self.totals = {scope: each for scope, each in self.totals.items() if scope in held or each.remembers}
        # Bounds hold on to the figures that they were made for.
        self.version += 1

    def _forget_strangers(self) -> None:
        """Let go of what was made for the older half of them. What was made for others stays as it is."""
        names = list(islice(self._strangers, MAX_STRANGERS // 2))
        keys = [key for name in names for key in self._strangers.pop(name) if name not in self.trading]
        for key in keys:
            self._gates.pop(key, None)
            part = self.parts.get(key)
            if part is not None and self._unlisted(part):
                del self.parts[key]
        held = {key[4] for key in self.parts}
        for name in names:
            scope = f"{STRATEGY}:{name}"
            totals = self.totals.get(scope)
            if totals is not None and name not in held and not totals.remembers:
                del self.totals[scope]
                self._in_force.forget(scope)

    def _unlisted(self, leaf: Leaf) -> bool:
        """Whether a leaf is idle, and is listed nowhere now."""
        if not leaf.idle or leaf.position.quantity or leaf.position.cost:
            return False
        self._of_instrument[leaf.instrument.key].remove(leaf)
        self._of_settle[leaf.instrument.settle].remove(leaf)
        self._sizes.loud.pop(leaf, None)
        if leaf.purse is not None:
            leaf.purse.leaves.remove(leaf)
        return True

    # -- what is made when first needed

    def total(self, scope: str) -> Totals:
        """The figures of a scope, made at zero when new."""
        found = self.totals.get(scope)
        if found is None:
            found = self.totals[scope] = Totals(scope)
        return found

    def leaf(self, state: "Partition", place: PositionKey, touched: dict[str, Totals] | None = None) -> Leaf:
        """The leaf of an account's position, made when new."""
        found = self.leaves.get(place)
        if found is None:
            exchange, account, market, symbol = place
            instrument = state.instruments[exchange, market, symbol]
            scopes = (
                GLOBAL,
                f"{EXCHANGE}:{exchange}",
                f"{ACCOUNT}:{account}",
                f"{INSTRUMENT}:{instrument_name(exchange, market, symbol)}",
            )
            position = state.positions.get(place) or Position(*place)
            found = self._leaf(".".join(place), position, instrument, scopes)
            if not instrument.spot:
                self._into_purse(state, found)
            self.leaves[place] = found
            self._reprice(found, touched)
        return found

    def part(self, state: "Partition", key: BookKey, touched: dict[str, Totals] | None = None) -> Leaf:
        """The leaf of a strategy's part of a position, made when new."""
        found = self.parts.get(key)
        if found is None:
            exchange, _, market, symbol, strategy = key
            instrument = state.instruments[exchange, market, symbol]
            position = state.books.by_key.get(key) or Position(*key[:4])
            found = self._leaf(".".join(key), position, instrument, (f"{STRATEGY}:{strategy}",))
            self.parts[key] = found
            self._reprice(found, touched)
        return found

    def _leaf(self, name: str, position: Position, instrument: Instrument, scopes: Iterable[str]) -> Leaf:
        leaf = Leaf(
            name, position, instrument, tuple(self.total(scope) for scope in scopes), self._sizes.fresh
        )
        self._of_instrument.setdefault(instrument.key, []).append(leaf)
        self._of_settle.setdefault(instrument.settle, []).append(leaf)
        return leaf

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

    def sends(self, wallet: WalletKey, asset: str, amount: Decimal) -> None:
        """A transfer takes an amount out of a wallet, or takes it no longer when negative."""
        self._purse((wallet, asset)).leaving += amount

    def attach(self, place: PositionKey, position: Position) -> None:
        """A position has come to be held."""
        leaf = self.leaves.get(place)
        if leaf is not None:
            leaf.position = position

    def attach_book(self, key: BookKey, book: Position) -> None:
        """A book has come to be held."""
        part = self.parts.get(key)
        if part is not None:
            part.position = book

    # -- evolve: orders

    def placed(self, state: "Partition", event: e.OrderPlaced, at: int) -> None:
        """An order is meant to be sent: one message more, and one that none like it may follow at once."""
        place = (event.exchange, event.account, event.market, event.symbol)
        leaf, part = self._leaves(state, place, event.strategy)
        self.trading.add(event.strategy)
        self._sent(leaf, part, at)
        recent = self.recent
        like = likeness(part, event.side, event.type, event.quantity, event.price, event.trigger_price)
        if like in recent:
            recent.move_to_end(like)
        recent[like] = at
        self.changes.risk[""] = None
        kept = at - self.window
        while recent:
            oldest = next(iter(recent))
            if recent[oldest] > kept and len(recent) <= MAX_RECENT:
                break
            del recent[oldest]

    def amended(self, state: "Partition", order: Order, at: int) -> None:
        """An amend is meant to be sent: one message more."""
        place = (order.exchange, order.account, order.market, order.symbol)
        self.trading.add(order.strategy)
        self._sent(*self._leaves(state, place, order.strategy), at)

    def rejected(self, state: "Partition", order: Order, at: int) -> None:
        """The venue rejected an order."""
        for totals in self._totals_of(state, order):
            note(totals.rejects, at, MINUTE_NS)
            self.changes.totals[totals.scope] = None

    def executed(self, state: "Partition", order: Order, at: int) -> None:
        """An order has begun to trade."""
        for totals in self._totals_of(state, order):
            note(totals.executions, at, MINUTE_NS)
            self.changes.totals[totals.scope] = None

    def counts(self, state: "Partition", order: Order) -> None:
        """Bring what an order counts with in line with what it has become."""
        before = self.counted.get(order.order_id)
        if order.live:
            rest = order.exposed
            if before == rest:
                return
            self.counted[order.order_id] = rest
        elif before is None:
            return
        else:
            rest = ZERO
            del self.counted[order.order_id]
        place = (order.exchange, order.account, order.market, order.symbol)
        leaf, part = self._leaves(state, place, order.strategy)
        change = rest if before is None else rest - before
        more = (before is None) - (not order.live)
        buys = order.side is BUY
        for each in (leaf, part):
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

    def _leaves(self, state: "Partition", place: PositionKey, strategy: str) -> tuple[Leaf, Leaf]:
        leaf = self.leaves.get(place) or self.leaf(state, place)
        key = (*place, strategy)
        return leaf, self.parts.get(key) or self.part(state, key)

    def _totals_of(self, state: "Partition", order: Order) -> tuple[Totals, ...]:
        place = (order.exchange, order.account, order.market, order.symbol)
        leaf, part = self._leaves(state, place, order.strategy)
        return leaf.totals + part.totals

    def _sent(self, leaf: Leaf, part: Leaf, at: int) -> None:
        noted = self.changes.totals
        for totals in leaf.totals:
            note(totals.messages, at, SECOND_NS)
            noted[totals.scope] = None
        for totals in part.totals:
            note(totals.messages, at, SECOND_NS)
            noted[totals.scope] = None

    # -- evolve: positions, marks, rates

    def moved(self, state: "Partition", place: PositionKey, books: Iterable[BookKey]) -> None:
        """A position and some of its books have changed."""
        touched: dict[str, Totals] = {}
        self._reprice(self.leaf(state, place, touched), touched)
        for key in books:
            self._reprice(self.part(state, key, touched), touched)
        self._best(touched.values())

    def charge(self, position: Position, instrument: Instrument, asset: str, amount: Decimal) -> None:
        """Value a fee in an asset that the position's own figures do not count, once its rate is known."""
        rate, own = self.rates.get(asset), self.rates.get(instrument.settle)
        if rate is None or own is None:
            owed = position.unpriced.get(asset, ZERO) + amount
            if owed:
                position.unpriced[asset] = owed
            else:
                position.unpriced.pop(asset, None)
        else:
            position.charged += share(amount, rate, own)

    def marked(self, state: "Partition", key: InstrumentKey, touched: dict[str, Totals]) -> None:
        """An instrument has another mark. :meth:`settled` ends a list of them."""
        for asset in self._priced_by.get(key, ()):
            self._rate_again(state, asset, touched)
        leaves = self._of_instrument.get(key)
        if not leaves:
            return
        price, rate, unit = self._prices(state.instruments[key])
        for leaf in leaves:
            # What is flat has earned no more by it.
            if leaf.position.quantity:
                _reckon(leaf, price, rate, touched)
            _revalue(leaf, unit)

    def listed(self, state: "Partition", instrument: Instrument, before: Instrument | None) -> None:
        """An instrument has other terms, or is new."""
        touched: dict[str, Totals] = {}
        for asset in self._priced_by.get(instrument.key, ()):
            self._rate_again(state, asset, touched)
        for leaf in self._of_instrument.get(instrument.key, ()):
            settled = leaf.instrument.settle
            leaf.instrument = instrument
            # Its size may be another, in units of another asset.
            leaf.alarm = self._sizes.fresh
            if settled != instrument.settle:
                self._of_settle[settled].remove(leaf)
                self._of_settle.setdefault(instrument.settle, []).append(leaf)
                if leaf.purse is not None:
                    self._into_purse(state, leaf)
            self._reprice(leaf, touched)
        if before is not None and before.settle != instrument.settle:
            self._value_fees(state, instrument.settle, touched)
        self._best(touched.values())
        self.version += 1

    def settled(self, touched: dict[str, Totals]) -> None:
        """End a list of changes: only now is the profit of the scopes one that they really had."""
        self._best(touched.values())

    def _rate_again(self, state: "Partition", asset: str, touched: dict[str, Totals]) -> None:
        rate = rate_of(self.valuations[asset], self.valuations, state.instruments)
        before = self.rates.get(asset)
        if rate == before:
            return
        self.rates[asset] = rate
        # Nothing waits for a rate that was known.
        if before is None:
            self._value_fees(state, asset, touched)
        for leaf in self._of_settle.get(asset, ()):
            self._reprice(leaf, touched)

    def _value_fees(self, state: "Partition", asset: str, touched: dict[str, Totals]) -> None:
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

    def _reprice(self, leaf: Leaf, touched: dict[str, Totals] | None = None) -> None:
        """Bring value and profit of a leaf in line with position, mark and rate."""
        position = leaf.position
        price, rate, unit = self._prices(leaf.instrument)
        leaf.settled = position.earned - position.day_base
        _reckon(leaf, price, rate, touched)
        _resize(leaf)
        _revalue(leaf, unit)

    def _prices(self, instrument: Instrument) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """What a unit of quantity is worth in the settlement asset, what that asset is in USD, and what the unit is in USD."""
        rate = self.rates.get(instrument.settle)
        price = None if instrument.mark is None else instrument.mark * instrument.contract_size
        return price, rate, None if price is None or rate is None else price * rate

    def _best(self, touched: Iterable[Totals]) -> None:
        known = self._in_force.known
        for totals in touched:
            best = totals.carried + totals.day
            if best > totals.peak:
                # Written in one way, however it was summed up.
                totals.peak = fewest_places(best)
                self.changes.totals[totals.scope] = None
            bounds = known(totals.scope)
            if bounds is not None and bounds.kills() and totals.scope not in self.latches:
                self.alarm = True

    # -- evolve: controls

    def limits_set(self, event: k.LimitsSet, at: int) -> None:
        """See the event."""
        self.limits.set(event)
        self.changed(event.scope, at)

    def limits_overridden(self, event: k.LimitsOverridden, at: int) -> None:
        """See the event."""
        self.limits.override(event)
        self.changed(event.scope, at)

    def override_ended(self, event: k.OverrideEnded, at: int) -> None:
        """See the event."""
        self.limits.end(event)
        self.changed(event.scope, at)

    def changed(self, scope: str, at: int) -> None:
        """What a scope says is another: every gate is made anew."""
        self.version += 1
        self.changes.limits[scope] = None
        self.window = self.limits.longest("duplicate_window")

    def engaged(self, event: k.KillSwitchEngaged, at: int) -> None:
        """See the event."""
        self.latches[event.scope] = latch(event, at)
        self.version += 1
        self.changes.latches[event.scope] = None

    def released(self, event: k.KillSwitchReleased, at: int) -> None:
        """Let the scope trade, with its drawdown and what was counted against it beginning anew."""
        del self.latches[event.scope]
        self.version += 1
        self.changes.latches[event.scope] = None
        totals = self.totals.get(event.scope)
        if totals is None:
            # A name that nobody ever traded under: nothing is kept of it.
            return
        totals.peak = fewest_places(totals.carried + totals.day)
        totals.executions.clear()
        totals.rejects.clear()
        totals.differences.clear()
        self.changes.totals[event.scope] = None

    def valued(self, state: "Partition", event: k.ValuationSet, at: int) -> None:
        """See the event."""
        instrument = tuple(event.instrument.split(".")) if event.instrument else None
        self.valuations[event.asset] = Valuation(event.asset, event.rate, instrument)  # type: ignore[arg-type]
        self.changes.valuations[event.asset] = None
        self._index_valuations()
        touched: dict[str, Totals] = {}
        for asset in self.valuations:
            self._rate_again(state, asset, touched)
        self._best(touched.values())
        self.version += 1

    def _index_valuations(self) -> None:
        self._priced_by.clear()
        for valuation in self.valuations.values():
            if valuation.instrument is not None:
                self._priced_by.setdefault(valuation.instrument, []).append(valuation.asset)

    def crossed(self, event: k.LimitCrossed, at: int) -> None:
        """See the event."""
        told, key = self.total(event.scope).told, told_by(event.control, event.position)
        if event.level is k.Level.CLEAR:
            told.pop(key, None)
        else:
            told[key] = Told(event.level, at)
        self.changes.totals[event.scope] = None

    def differs(self, event: e.Reconciled) -> None:
        """A reconciliation has found so many differences."""
        name = f"{event.exchange}.{event.account}.{event.market}"
        found = len(event.differences) + event.more
        for scope in (GLOBAL, f"{EXCHANGE}:{event.exchange}", f"{ACCOUNT}:{event.account}"):
            differences = self.total(scope).differences
            if found:
                differences[name] = found
            else:
                differences.pop(name, None)
            self.changes.totals[scope] = None

    def rolled(self, state: "Partition", event: k.DayRolled) -> None:
        """Begin a trading day: profit so far is carried, and daily figures start at zero."""
        self.day = event.day
        self.changes.risk[""] = None
        for place, position in state.positions.items():
            if self._carry(self.leaf(state, place), position):
                self.changes.positions[place] = None
        for key, book in state.books.by_key.items():
            if self._carry(self.part(state, key), book):
                self.changes.books[key] = None
        for totals in self.totals.values():
            if totals.day:
                totals.carried = fewest_places(totals.carried + totals.day)
                totals.day = ZERO
                self.changes.totals[totals.scope] = None

    @staticmethod
    def _carry(leaf: Leaf, position: Position) -> bool:
        leaf.day = ZERO
        base = fewest_places(position.earned + _open_profit(leaf))
        moved = base != position.day_base
        if moved:
            position.day_base = base
        leaf.settled = position.earned - base
        return moved

    # -- image

    def rebuild(self, state: "Partition") -> None:
        """Make everything that is derived, from what is not."""
        self.version += 1
        self._gates.clear()
        self.window = self.limits.longest("duplicate_window")
        for totals in self.totals.values():
            totals.exposure = totals.day = ZERO
            totals.unvalued = totals.open_orders = 0
        self.leaves, self.parts, self.counted, self.purses = {}, {}, {}, {}
        self._of_instrument, self._of_settle = {}, {}
        self._sizes.loud.clear()
        # Whose order was placed has sent a message, which is not forgotten before another one.
        prefix = f"{STRATEGY}:"
        self.trading = {
            scope.removeprefix(prefix)
            for scope, totals in self.totals.items()
            if scope.startswith(prefix) and totals.messages
        }
        self._index_valuations()
        self.rates = {
            asset: rate_of(valuation, self.valuations, state.instruments)
            for asset, valuation in self.valuations.items()
        }
        for place in state.positions:
            self.leaf(state, place)
        for key in state.books.by_key:
            self.part(state, key)
        for live in state.live.values():
            for order in live.values():
                self.counts(state, order)
        for transfer in state.transfers_under_way.values():
            self.sends(transfer.source_key, transfer.asset, transfer.amount)


def _open_profit(leaf: Leaf) -> Decimal:
    """What is open at the mark, less its cost, in the settlement asset; zero while no mark is known and something is."""
    instrument, position = leaf.instrument, leaf.position
    if not position.quantity:
        return -position.cost
    if instrument.mark is None:
        return ZERO
    return position.quantity * instrument.mark * instrument.contract_size - position.cost


def _reckon(
    leaf: Leaf, price: Decimal | None, rate: Decimal | None, touched: dict[str, Totals] | None
) -> None:
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
