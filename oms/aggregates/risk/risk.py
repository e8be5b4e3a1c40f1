"""Risk: everything that decides whether an order may be placed, kept up event by event.

State: limits and overrides, latches, valuations, strategies assigned and taken away, the trading day, and of every scope what it
remembers (:class:`~oms.aggregates.risk.totals.Totals`). Derived: what positions and working orders come to
(:class:`~oms.aggregates.risk.leaves.Leaves`), the bounds of every scope, and the gates of orders.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from oms.aggregates.books import BookKey
from oms.aggregates.digest import Changes
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO, fewest_places
from oms.aggregates.order import Order
from oms.aggregates.position import PositionKey
from oms.aggregates.risk.assignments import Assignment
from oms.aggregates.risk.bounds import Bounds, InForce
from oms.aggregates.risk.controls import ACCOUNT, EXCHANGE, GLOBAL, STRATEGY
from oms.aggregates.risk.gate import Gate, Likeness, likeness
from oms.aggregates.risk.latches import Latch, latch
from oms.aggregates.risk.leaves import Leaves, Touched
from oms.aggregates.risk.limits import NOTHING_SAID, Limits
from oms.aggregates.risk.merging import merge
from oms.aggregates.risk.sizes import Sizes
from oms.aggregates.risk.totals import MINUTE_NS, SECOND_NS, Leaf, Told, Totals, note, told_by
from oms.aggregates.risk.valuation import Rates, Valuation
from oms.messages import controls as k
from oms.messages import events as e
from oms.messages.codes import Code, Refused

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


@attrs.define(slots=True, eq=False)
class Risk:
    """See the module.

    Args:
        changes: of the partition; what is noted there is hashed again.
        unassigned: strategies that were taken from their account, and assigned to none since.
        day: first moment of the trading day, UTC ns; 0 before the first.
        recent: orders like which none may follow at once → when they were placed.
        totals: by scope.
        trading: strategies that an order was ever placed or amended for.
        window: longest time, in ns, that an order is remembered for telling duplicates.
        version: changes whenever a gate may have become another.
        alarm: a loss came to where a kill switch engages on it, maybe for a moment, and whoever looks what is due has not looked
            since. It decides nothing: it says that a look is worth while.
    """

    changes: Changes
    limits: Limits = attrs.field(factory=Limits)
    latches: dict[str, Latch] = attrs.field(factory=dict)
    rates: Rates = attrs.field(factory=Rates)
    strategies: dict[str, Assignment] = attrs.field(factory=dict)
    unassigned: dict[str, None] = attrs.field(factory=dict)
    day: int = 0
    recent: OrderedDict[Likeness, int] = attrs.field(factory=OrderedDict)
    totals: dict[str, Totals] = attrs.field(factory=dict)
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
    leaves: Leaves = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: Leaves(self.changes, self.total, self.rates, self._sizes), takes_self=True
        ),
    )

    # -- read

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
        return self._sizes.find(self.leaves.by_instrument(), now)

    def stale_after(self, now: int) -> Mapping[str, int]:
        """Scopes whose kill switch engages on stale marks → the age in ns that each takes for oldest."""
        self._in_force.renew(self.version, now)
        for scope in list(self.totals):
            self._in_force.near(scope, now)
        return self._in_force.stale_after

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
        held = self.leaves.let_go()
        self.totals = {scope: each for scope, each in self.totals.items() if scope in held or each.remembers}
        # Bounds hold on to the figures that they were made for.
        self.version += 1

    def _forget_strangers(self) -> None:
        """Let go of what was made for the older half of them. What was made for others stays as it is."""
        names = list(islice(self._strangers, MAX_STRANGERS // 2))
        keys = [key for name in names for key in self._strangers.pop(name) if name not in self.trading]
        for key in keys:
            self._gates.pop(key, None)
        self.leaves.let_go_of(keys)
        held = {key[4] for key in self.leaves.by_book}
        for name in names:
            scope = f"{STRATEGY}:{name}"
            totals = self.totals.get(scope)
            if totals is not None and name not in held and not totals.remembers:
                del self.totals[scope]
                self._in_force.forget(scope)

    # -- what is made when first needed

    def total(self, scope: str) -> Totals:
        """The figures of a scope, made at zero when new."""
        found = self.totals.get(scope)
        if found is None:
            found = self.totals[scope] = Totals(scope)
        return found

    # -- evolve: orders

    def placed(self, state: "Partition", event: e.OrderPlaced, at: int) -> None:
        """An order is meant to be sent: one message more, and one that none like it may follow at once."""
        place = (event.exchange, event.account, event.market, event.symbol)
        leaf, part = self.leaves.both(state, place, event.strategy)
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
        self._sent(*self.leaves.both(state, place, order.strategy), at)

    def rejected(self, state: "Partition", order: Order, at: int) -> None:
        """The venue rejected an order."""
        for totals in self.leaves.totals_of(state, order):
            note(totals.rejects, at, MINUTE_NS)
            self.changes.totals[totals.scope] = None

    def executed(self, state: "Partition", order: Order, at: int) -> None:
        """An order has begun to trade."""
        for totals in self.leaves.totals_of(state, order):
            note(totals.executions, at, MINUTE_NS)
            self.changes.totals[totals.scope] = None

    def _sent(self, leaf: Leaf, part: Leaf, at: int) -> None:
        noted = self.changes.totals
        for totals in leaf.totals:
            note(totals.messages, at, SECOND_NS)
            noted[totals.scope] = None
        for totals in part.totals:
            note(totals.messages, at, SECOND_NS)
            noted[totals.scope] = None

    # -- evolve: what scopes have earned

    def moved(self, state: "Partition", place: PositionKey, books: Iterable[BookKey]) -> None:
        """A position and some of its books have changed."""
        self.settled(self.leaves.moved(state, place, books))

    def listed(self, state: "Partition", instrument: Instrument, before: Instrument | None) -> None:
        """An instrument has other terms, or is new."""
        self.settled(self.leaves.listed(state, instrument, before))
        self.version += 1

    def settled(self, touched: Touched) -> None:
        """End a list of changes to what scopes have earned: only now is their profit one that they really had."""
        known = self._in_force.known
        for totals in touched.values():
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
        self.rates.value(Valuation(event.asset, event.rate, instrument))  # type: ignore[arg-type]
        self.changes.valuations[event.asset] = None
        self.settled(self.leaves.valued(state))
        self.version += 1

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
        self.leaves.carry(state)
        for totals in self.totals.values():
            if totals.day:
                totals.carried = fewest_places(totals.carried + totals.day)
                totals.day = ZERO
                self.changes.totals[totals.scope] = None

    # -- image

    def rebuild(self, state: "Partition") -> None:
        """Make everything that is derived, from what is not."""
        self.version += 1
        self._gates.clear()
        self.window = self.limits.longest("duplicate_window")
        for totals in self.totals.values():
            totals.exposure = totals.day = ZERO
            totals.unvalued = totals.open_orders = 0
        # Whose order was placed has sent a message, which is not forgotten before another one.
        prefix = f"{STRATEGY}:"
        self.trading = {
            scope.removeprefix(prefix)
            for scope, totals in self.totals.items()
            if scope.startswith(prefix) and totals.messages
        }
        self.leaves.rebuild(state)
