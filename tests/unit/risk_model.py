"""A model of risk: what limits say, what positions and orders come to, and which controls stand against an order.

Written from the notes and the table of controls, not from the code. It is told events, and adds up from scratch whenever it is
asked. What is not about risk it takes from the state as it is: terms, marks, wallets and the life of orders have models of
their own.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from oms.aggregates.order import Order
from oms.aggregates.partition import Partition
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import events as e

ZERO = Decimal(0)
SECOND = 10**9
MINUTE = 60 * SECOND
Place = tuple[str, str, str, str]
"""(exchange, account, market, symbol)"""
Watched = tuple[str, str, str]
"""(scope, control, position), as a crossing names them."""
WORKING = ("PENDING_NEW", "NEW", "PARTIALLY_FILLED")
DURATIONS = {"1ms": 10**6, "1s": SECOND, "5s": 5 * SECOND, "10s": 10 * SECOND, "60s": MINUTE}


def ratio(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``amount × part / whole``, to 18 places, halves to even."""
    return Decimal(round(Fraction(amount) * Fraction(part) / Fraction(whole) * 10**18)).scaleb(-18)


@dataclass
class Held:
    """What trades came to. ``cash``: what they brought and cost, fees included, in the settlement asset."""

    quantity: Decimal = ZERO
    cash: Decimal = ZERO
    owed: dict[str, Decimal] = field(default_factory=dict)
    """Fees in assets whose worth was not known, by asset."""
    base: Decimal = ZERO
    """Profit of all days before this one, in the settlement asset."""


@dataclass
class Size:
    """What a position can come to with its orders, and what that is worth."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO
    worst: Decimal = ZERO
    unit: Decimal | None = None
    value: Decimal = ZERO
    unvalued: bool = False
    day: Decimal = ZERO


@dataclass
class Sums:
    """What the sizes of a scope come to."""

    exposure: Decimal = ZERO
    unvalued: int = 0
    open_orders: int = 0
    day: Decimal = ZERO


@dataclass
class Past:
    """What a scope remembers."""

    carried: Decimal = ZERO
    peak: Decimal = ZERO
    messages: list[int] = field(default_factory=list)
    executions: list[int] = field(default_factory=list)
    rejects: list[int] = field(default_factory=list)
    differences: dict[str, int] = field(default_factory=dict)


class Asked(NamedTuple):
    """A new order, or an amend of one.

    Args:
        quantity: in all, what is filled included.
        more: what may trade beyond what counts already; of a new order its quantity.
        amends: whether it is an amend. ``lowers``: one that leaves less quantity at the same price, which is held against
            nothing but what stands against any order here.
        margin: what it would hold, off spot, beyond what it does already. ``traded``: of the quantity, before.
        waited: whether it was let through before, waited, and is to be sent now: it counts already.
    """

    place: Place
    strategy: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    trigger: Decimal | None
    reduce_only: bool
    more: Decimal
    amends: bool = False
    lowers: bool = False
    margin: Decimal = ZERO
    traded: Decimal = ZERO
    waited: bool = False

    @property
    def rest(self) -> Decimal:
        """What may trade of it."""
        return self.quantity - self.traded


def live(order: Order) -> bool:
    """Whether anything of it is open: it works, something was asked of it, or it is in doubt."""
    asked = order.cancel_requested is not None or order.amend is not None
    return order.base.value in WORKING or asked or order.in_doubt


def may_trade(order: Order) -> Decimal:
    """What may trade yet as far as anybody can tell: in doubt, or with an amend asked for, what is more."""
    rests = [ZERO]
    if order.base.value in WORKING or order.in_doubt:
        rests.append(order.quantity - order.cumulative)
    if order.amend is not None:
        rests.append(order.amend.quantity - order.cumulative)
    return max(rests)


def wide(place: Place) -> tuple[str, ...]:
    """The scopes that cover every order at a place, whosever strategy it is."""
    exchange, account, market, symbol = place
    return (
        "global",
        f"exchange:{exchange}",
        f"account:{account}",
        f"instrument:{exchange}.{market}.{symbol}",
    )


SENT = (e.OrderReleased, e.OrderAccepted, e.OrderFilled, e.OrderRestated, e.OrderInDoubt)
"""What shows that an order is at the venue, or may be."""


class Model:
    """See the module. The state it is asked about is given anew whenever that is another one."""

    def __init__(self, state: Partition) -> None:
        self.state = state
        self.held_back: set[str] = set()
        self.said: dict[str, dict[str, str]] = defaultdict(dict)
        self.overrides: dict[tuple[str, str], tuple[str, int]] = {}
        self.latches: dict[str, k.KillSwitchEngaged] = {}
        self.valuations: dict[str, k.ValuationSet] = {}
        self.assigned: dict[str, d.StrategyAssigned] = {}
        self.spoken: set[str] = set()
        """Scopes that were ever limited and strategies that were ever assigned, whatever was taken away since."""
        self.held: dict[tuple[str, ...], Held] = defaultdict(Held)
        """By place, and by place and strategy."""
        self.past: dict[str, Past] = defaultdict(Past)
        self.alike: dict[tuple[Any, ...], int] = {}
        self.covered: dict[str, tuple[str, ...]] = {}
        """Scopes of every order there was."""
        self.crossed: dict[Watched, k.LimitCrossed] = {}
        """What was last told of each."""
        self.traded: dict[str, Decimal] = {}
        """What orders have traded that are not forgotten."""

    # -- what happened

    def take(self, events: list[Any], at: int) -> None:
        """Take in what one message came to."""
        for event in events:
            if isinstance(event, SENT):
                self.held_back.discard(event.order_id)
            elif isinstance(event, e.OrderPlaced) and event.awaits:
                self.held_back.add(event.order_id)
            told = getattr(self, f"_{type(event).__name__}", None)
            if told is not None:
                told(event, at)
            self._value_fees()
            for scope, sums in self.sums().items():
                past = self.past[scope]
                past.peak = max(past.peak, past.carried + sums.day)
        self.traded = {i: traded for i, traded in self.traded.items() if i in self.state.orders}

    def _LimitsSet(self, event: k.LimitsSet, at: int) -> None:
        self.spoken.add(event.scope)
        self.said[event.scope] |= event.limits
        for name in event.cleared:
            del self.said[event.scope][name]

    def _LimitsOverridden(self, event: k.LimitsOverridden, at: int) -> None:
        for name, value in event.limits.items():
            self.overrides[event.scope, name] = (value, event.until)

    def _OverrideEnded(self, event: k.OverrideEnded, at: int) -> None:
        for name in event.controls:
            del self.overrides[event.scope, name]

    def _KillSwitchEngaged(self, event: k.KillSwitchEngaged, at: int) -> None:
        self.latches[event.scope] = event

    def _LimitCrossed(self, event: k.LimitCrossed, at: int) -> None:
        self.crossed[event.scope, event.control, event.position] = event

    def _KillSwitchReleased(self, event: k.KillSwitchReleased, at: int) -> None:
        del self.latches[event.scope]
        past = self.past[event.scope]
        past.peak = past.carried + self.sums().get(event.scope, Sums()).day
        past.executions, past.rejects, past.differences = [], [], {}

    def _ValuationSet(self, event: k.ValuationSet, at: int) -> None:
        self.valuations[event.asset] = event

    def _StrategyAssigned(self, event: d.StrategyAssigned, at: int) -> None:
        self.spoken.add(event.strategy)
        self.assigned.pop(event.strategy, None)
        if event.capital is not None:
            self.assigned[event.strategy] = event

    def _DayRolled(self, event: k.DayRolled, at: int) -> None:
        for scope, sums in self.sums().items():
            self.past[scope].carried += sums.day
        for key, held in self.held.items():
            held.base = self._profit(key, held)

    def _OrderPlaced(self, event: e.OrderPlaced, at: int) -> None:
        place = (event.exchange, event.account, event.market, event.symbol)
        self._OrderAdopted(event, at)
        for scope in self.covered[event.order_id]:
            self.past[scope].messages.append(at)
        self.alike[
            place,
            event.strategy,
            event.side.value,
            event.type.value,
            event.quantity,
            event.price,
            event.trigger_price,
        ] = at

    def _OrderAdopted(self, event: e.OrderAdopted | e.OrderPlaced, at: int) -> None:
        place = (event.exchange, event.account, event.market, event.symbol)
        self.covered[event.order_id] = (*wide(place), f"strategy:{event.strategy}")
        self.traded[event.order_id] = ZERO

    def _OrderAmendRequested(self, event: e.OrderAmendRequested, at: int) -> None:
        for scope in self.covered[event.order_id]:
            self.past[scope].messages.append(at)

    def _OrderRejected(self, event: e.OrderRejected, at: int) -> None:
        if event.order_id in self.held_back:
            # It was never sent.
            return
        for scope in self.covered[event.order_id]:
            self.past[scope].rejects.append(at)

    def _Reconciled(self, event: e.Reconciled, at: int) -> None:
        found = len(event.differences) + event.more
        for scope in ("global", f"exchange:{event.exchange}", f"account:{event.account}"):
            self.past[scope].differences[f"{event.exchange}.{event.account}.{event.market}"] = found

    def _OrderFilled(self, event: e.OrderFilled, at: int) -> None:
        self._trade(event, 1)
        before = self.traded.get(event.order_id)
        if before is None:
            return
        if not before:
            for scope in self.covered[event.order_id]:
                self.past[scope].executions.append(at)
        self.traded[event.order_id] = before + event.quantity

    def _TradeBusted(self, event: e.TradeBusted, at: int) -> None:
        self._trade(event, -1)
        if event.order_id in self.traded:
            self.traded[event.order_id] -= event.quantity

    def _PositionAdjusted(self, event: e.PositionAdjusted, at: int) -> None:
        place = (event.exchange, event.account, event.market, event.symbol)
        terms = self._terms(place)
        was, now, size = event.expected, event.quantity, terms.contract_size
        if was * now < 0 and event.price is not None:
            # Closed at one price, and opened the other way at another.
            assert event.price == terms.mark
            paid = (now * event.entry_price - was * event.price) * size
        elif abs(now) < abs(was) and event.price is not None:
            assert event.price == terms.mark
            paid = (now - was) * event.price * size
        else:
            # Nothing is earned by it: what is held more was paid for.
            paid = event.cost - event.expected_cost
            if was and terms.mark is not None:
                # Nor is any loss of what was held taken away by it.
                assert paid >= (now - was) * terms.mark * size
        for key in (place, (*place, "external")):
            self.held[key].quantity += now - was
            self.held[key].cash -= paid

    def _trade(self, event: e.OrderFilled | e.TradeBusted, way: int) -> None:
        place = (event.exchange, event.account, event.market, event.symbol)
        terms = self.state.instruments[event.exchange, event.market, event.symbol]
        signed = way * (event.quantity if event.side.value == "buy" else -event.quantity)
        fee = way * event.fee
        for key in (place, (*place, event.strategy)):
            held = self.held[key]
            held.quantity += signed
            held.cash -= signed * event.price * terms.contract_size
            if fee and event.market == "spot" and event.fee_asset == terms.base:
                # It is taken from what was bought.
                held.quantity -= fee
            elif event.fee_asset == terms.settle:
                held.cash -= fee
            elif fee:
                rates = self.rate(event.fee_asset), self.rate(terms.settle)
                if rates[0] is not None and rates[1] is not None:
                    held.cash -= ratio(fee, rates[0], rates[1])
                else:
                    held.owed[event.fee_asset] = held.owed.get(event.fee_asset, ZERO) + fee
                    if not held.owed[event.fee_asset]:
                        del held.owed[event.fee_asset]

    def _value_fees(self) -> None:
        """What was owed is valued as soon as it can be."""
        for key, held in self.held.items():
            own = self.rate(self._terms(key).settle)
            for asset in list(held.owed):
                rate = self.rate(asset)
                if rate is not None and own is not None:
                    held.cash -= ratio(held.owed.pop(asset), rate, own)

    # -- what it comes to

    def _terms(self, key: tuple[str, ...]) -> Any:
        return self.state.instruments[key[0], key[2], key[3]]

    def rate(self, asset: str) -> Decimal | None:
        """USD a unit; None while that is not known."""
        found = self.valuations.get(asset)
        if found is None or not found.instrument:
            return None if found is None else found.rate
        exchange, market, symbol = found.instrument.split(".")
        terms = self.state.instruments[exchange, market, symbol]
        other = self.valuations.get(terms.quote if terms.base == asset else terms.base)
        if terms.mark is None or other is None or other.rate is None:
            return None
        return terms.mark * other.rate if terms.base == asset else ratio(other.rate, Decimal(1), terms.mark)

    def fresh_rate(self, asset: str, now: int) -> Decimal | None:
        """The same by a mark no older than the global ``max_price_age``."""
        oldest, found = self.limit("global", "max_price_age", now), self.valuations.get(asset)
        if oldest is not None and found is not None and found.instrument:
            exchange, market, symbol = found.instrument.split(".")
            if now - self.state.instruments[exchange, market, symbol].mark_at > DURATIONS[oldest]:
                return None
        return self.rate(asset)

    def open_losses(self, account: str, now: int) -> Decimal | None:
        """USD that an account has lost and not realised, of each wallet and asset together; None where it could be anything."""
        oldest, lost = (
            self.limit("global", "max_price_age", now),
            defaultdict[tuple[Any, str], Decimal](Decimal),
        )
        for key, found in self.state.positions.items():
            if key[1] != account or key[2] == "spot":
                continue
            terms, place = self._terms(key), (self.state.wallet_key(key[:3]), self._terms(key).settle)
            if found.quantity and (
                terms.mark is None or (oldest and now - terms.mark_at > DURATIONS[oldest])
            ):
                return None
            lost[place] += found.quantity * (terms.mark or ZERO) * terms.contract_size - found.cost
        losses = [(asset, min(ZERO, amount)) for (_, asset), amount in lost.items()]
        return sum((amount * (self.fresh_rate(asset, now) or ZERO) for asset, amount in losses), ZERO)

    def priced_at(self, terms: Any) -> list[int]:
        """When the marks were told that a quantity of an instrument is valued in USD by."""
        found = self.valuations.get(terms.settle)
        if found is None or not found.instrument:
            return [terms.mark_at]
        exchange, market, symbol = found.instrument.split(".")
        return [terms.mark_at, self.state.instruments[exchange, market, symbol].mark_at]

    def _profit(self, key: tuple[str, ...], held: Held) -> Decimal:
        """What came in, and what is held, at the mark; for want of one at what it cost."""
        terms = self._terms(key)
        if terms.mark is not None:
            return held.cash + held.quantity * terms.mark * terms.contract_size
        if not held.quantity:
            return held.cash
        found = self.state.positions if len(key) == 4 else self.state.books.by_key
        return held.cash + (found[key].cost if key in found else ZERO)  # type: ignore[index]

    def sizes(self, asked: Asked | None = None) -> dict[tuple[str, ...], Size]:
        """By place, and by place and strategy; with what is asked for, as if it had been accepted."""
        found: dict[tuple[str, ...], Size] = {key: Size() for key in self.held}
        orders = [
            ((o.exchange, o.account, o.market, o.symbol), o.strategy, o.side.value, may_trade(o))
            for o in self.state.orders.values()
            if live(o)
        ]
        if asked is not None:
            orders.append((asked.place, asked.strategy, asked.side, asked.more))
        for place, strategy, side, rest in orders:
            for key in (place, (*place, strategy)):
                size = found.setdefault(key, Size())
                if side == "buy":
                    size.buys += rest
                else:
                    size.sells += rest
        for key, size in found.items():
            terms, held = self._terms(key), self.held[key] if key in self.held else Held()
            rate = self.rate(terms.settle)
            if rate is not None and terms.mark is not None:
                size.unit = terms.mark * terms.contract_size * rate
            # Everything on one side trades, and nothing on the other.
            size.worst = max(abs(held.quantity + size.buys), abs(held.quantity - size.sells))
            size.value = size.worst * (size.unit or ZERO)
            profit = self._profit(key, held)
            size.unvalued = bool(held.owed) or (size.unit is None and size.worst != 0)
            # Of days before as well: it was never counted.
            size.unvalued |= rate is None and profit != 0
            size.day = (profit - held.base) * (rate or ZERO)
        return found

    def sums(self, asked: Asked | None = None) -> dict[str, Sums]:
        """By scope."""
        found: dict[str, Sums] = defaultdict(Sums)
        for key, size in self.sizes(asked).items():
            for scope in wide(key) if len(key) == 4 else (f"strategy:{key[4]}",):  # type: ignore[arg-type]
                sums = found[scope]
                sums.exposure += size.value
                sums.unvalued += size.unvalued
                sums.day += size.day
        for order in self.state.orders.values():
            if live(order):
                place = (order.exchange, order.account, order.market, order.symbol)
                for scope in (*wide(place), f"strategy:{order.strategy}"):
                    found[scope].open_orders += 1
        return found

    def margin(self, asked: Asked, order: Order | None = None) -> Decimal:
        """What an order would hold as margin, or what an amended one would hold more; nothing on spot."""
        terms, position = self._terms(asked.place), self.state.positions.get(asked.place)
        if asked.place[2] == "spot":
            return ZERO
        reserved, closes = ZERO, ZERO
        if order is not None:
            reserved, closes = order.reserved, order.reducing
        rest, leverage = asked.rest, Decimal(1)
        unit = ZERO
        price = asked.price
        if price is None:
            # What it will cost is not known: 5 % more than it should.
            price = (asked.trigger or terms.mark or ZERO) * Decimal("1.05")
        if position is not None:
            leverage = position.leverage or leverage
            against = position.quantity < 0 if asked.side == "buy" else position.quantity > 0
            only_closes = against and rest <= position.closable + closes
        else:
            only_closes = False
        if not asked.reduce_only and not only_closes:
            exact = Fraction(price * terms.contract_size) * (
                1 / Fraction(leverage) + Fraction(terms.taker_fee)
            )
            unit = Decimal(ceil(exact * 10**18)).scaleb(-18)
        return rest * unit - reserved

    # -- what limits say

    def limit(self, scope: str, control: str, now: int) -> str | None:
        """What holds for a scope: its own, or that of each of its kind; None for nothing, and for off."""
        text = self._says((scope, f"{scope.partition(':')[0]}:*"), control, now)
        return None if text == "off" else text

    def _says(self, names: tuple[str, ...], control: str, now: int) -> str | None:
        """The first of these scopes that says anything is who says it."""
        for name in dict.fromkeys(names):
            over = self.overrides.get((name, control))
            text = over[0] if over is not None and now < over[1] else self.said[name].get(control)
            if text is not None:
                return text
        return None

    def mute(self, said: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
        """What would never trip: (scope, control) where ``kill_on`` names what neither the scope nor its kind says anything of."""
        found = set()
        for scope in said:
            both = {**said.get(f"{scope.partition(':')[0]}:*", {}), **said[scope]}
            for cause in both.get("kill_on", "off").split(","):
                # Of the age of marks the global scope's word holds where there is no other.
                if cause not in ("off", "max_price_age", *both):
                    found.add((scope, cause))
        return found

    def mutes(self, scope: str, limits: dict[str, str], *clear: str) -> bool:
        """Whether a statement would leave something that never trips, and did before."""
        own = {name: value for name, value in self.said[scope].items() if name not in clear}
        return bool(self.mute({**self.said, scope: {**own, **limits}}) - self.mute(self.said))

    def limits(
        self, scopes: Iterator[str] | tuple[str, ...], control: str, now: int
    ) -> list[tuple[str, str]]:
        """(scope, value) of every scope that has one."""
        found = ((scope, self.limit(scope, control, now)) for scope in scopes)
        return [(scope, value) for scope, value in found if value is not None]

    def stale(self, now: int) -> set[str]:
        """Scopes in which something is held, or an order is open, by a mark that is older than the scope takes it."""
        orders = {
            (o.exchange, o.account, o.market, o.symbol, o.strategy)
            for o in self.state.orders.values()
            if live(o)
        }
        parts = orders | {place[:4] for place in orders}  # type: ignore[operator]
        parts |= {key for key, held in self.held.items() if held.quantity}
        found = set()
        for key in parts:
            age = now - min(self.priced_at(self._terms(key)))
            for scope in wide(key) if len(key) == 4 else (f"strategy:{key[4]}",):
                text = self._says((scope, f"{scope.partition(':')[0]}:*", "global"), "max_price_age", now)
                if text not in (None, "off") and age > DURATIONS[text]:
                    found.add(scope)
        return found

    def watched(self, now: int) -> dict[Watched, tuple[Decimal, Decimal]]:
        """(used, limit) of what each position is held to for itself, and of what strategies are assigned."""
        found: dict[Watched, tuple[Decimal, Decimal]] = {}
        for key, size in self.sizes().items():
            terms, position = self._terms(key), ".".join(key[:4])
            its = wide(key) if len(key) == 4 else (f"strategy:{key[4]}",)  # type: ignore[arg-type]
            for scope, most in self.limits(its, "max_position", now):
                found[scope, "max_position", position] = (size.value, Decimal(most))
            for scope, text in self.limits(its, "max_inventory", now):
                amounts = dict(each.split("=") for each in text.split(","))
                if terms.base in amounts:
                    used = size.worst * terms.contract_size
                    found[scope, "max_inventory", position] = (used, Decimal(amounts[terms.base]))
        sums = self.sums()
        for name, assigned in self.assigned.items():
            if assigned.capital is not None:
                scope = f"strategy:{name}"
                found[scope, "capital", ""] = (sums[scope].exposure, assigned.capital)
        return found

    # -- what stands against an order

    def against(self, asked: Asked, now: int) -> set[str]:
        """The codes of all controls that an order breaks, or an amend."""
        return set(self._against(asked, now))

    def reduces(self, asked: Asked) -> bool:
        """Whether it can only bring the account's position nearer to zero, whatever else works."""
        held = self.held[asked.place].quantity if asked.place in self.held else ZERO
        size = self.sizes(asked)[asked.place]
        if asked.side == "buy":
            return asked.reduce_only or size.buys <= -held
        return asked.reduce_only or size.sells <= held

    def reduces_for(self, scope: str, asked: Asked) -> bool:
        """The same for what a scope says: where that is a strategy, by name, it is about its own part of the position as well."""
        if not self.reduces(asked):
            return False
        if scope != f"strategy:{asked.strategy}" or not asked.strategy:
            return True
        key = (*asked.place, asked.strategy)
        held = self.held[key].quantity if key in self.held else ZERO
        size = self.sizes(asked)[key]
        if asked.side == "buy":
            return (asked.rest if asked.reduce_only else size.buys) <= -held
        return (asked.rest if asked.reduce_only else size.sells) <= held

    def _against(self, asked: Asked, now: int) -> Iterator[str]:
        scopes = (*wide(asked.place), f"strategy:{asked.strategy}")
        latched = [(scope, self.latches[scope]) for scope in scopes if scope in self.latches]
        if any(not (latch.allow_reduce_only and self.reduces_for(scope, asked)) for scope, latch in latched):
            yield "KILL_SWITCH"
        if any(value == "on" for _, value in self.limits(scopes, "restricted", now)):
            yield "RESTRICTED"
        modes = self.limits(scopes, "reduce_only", now)
        if any(value == "on" and not self.reduces_for(scope, asked) for scope, value in modes):
            yield "REDUCE_ONLY_MODE"
        assigned = self.assigned.get(asked.strategy)
        if assigned is not None and assigned.account != asked.place[1]:
            yield "STRATEGY_ACCOUNT"
        if (
            assigned is None
            # By hand, and found at the venue.
            and asked.strategy not in ("", "external")
            and self.limit("global", "unassigned_strategies", now) == "deny"
        ):
            yield "STRATEGY_UNASSIGNED"
        yield from self._terms_against(asked, scopes, now)
        if not asked.waited:
            yield from self._past_against(asked, scopes, now)
        if not asked.lowers:
            held_to = tuple(scope for scope in scopes if not self.reduces_for(scope, asked))
            yield from self._done_against(held_to, now)
            yield from self._losses_against(held_to, now)
            if asked.place[2] != "spot" and not self.reduces(asked):
                yield from self._margin_against(asked, scopes, now)
        if asked.more > 0:
            yield from self._sizes_against(asked, scopes, now)

    def _terms_against(self, asked: Asked, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        terms = self._terms(asked.place)
        mark, price, trigger = terms.mark, asked.price, asked.trigger
        if asked.lowers:
            if mark is None and price is None and trigger is None and asked.place[2] != "spot":
                yield "NO_REFERENCE_PRICE"
            return
        for _, most in () if asked.waited else self.limits(scopes, "max_order_quantity", now):
            if asked.quantity > Decimal(most):
                yield "MAX_ORDER_QUANTITY"
        rate = self.rate(terms.settle)
        valued = (
            "max_order_value",
            "price_collar",
            "period_collar",
            "max_price_age",
            "max_position",
            "max_exposure",
            "max_daily_loss",
            "max_drawdown",
        )
        needed = any(self.limits(scopes, control, now) for control in valued)
        needed = needed or asked.strategy in self.assigned
        if mark is None and price is None and trigger is None:
            # What it would cost is not known: funds are reserved by the mark.
            needed = needed or not asked.amends or asked.place[2] != "spot"
        if mark is None or rate is None:
            if needed:
                yield "NO_REFERENCE_PRICE" if mark is None else "NO_VALUATION"
            return
        for _, most in self.limits(scopes, "max_price_age", now):
            if any(now - at > DURATIONS[most] for at in self.priced_at(terms)):
                yield "STALE_PRICE"
        if asked.waited:
            return
        at = price if price is not None else trigger
        if asked.side != "buy" or price is None:
            at = mark if at is None else max(at, mark)
        assert at is not None
        for _, most in self.limits(scopes, "max_order_value", now):
            if asked.quantity * at * terms.contract_size * rate > Decimal(most):
                yield "MAX_ORDER_VALUE"
        for _, most in self.limits(scopes, "price_collar", now):
            middle = mark if trigger is None else trigger
            if price is not None and abs(price - middle) > Decimal(most) * middle:
                yield "PRICE_COLLAR"
        for scope, most in self.limits(scopes, "period_collar", now):
            meant = mark if price is None else price
            gets_out = price is None and self.reduces_for(scope, asked)
            # What a stop order will trade at is not about the period now.
            if trigger is None and not gets_out and abs(meant - terms.anchor) > Decimal(most) * terms.anchor:
                yield "PERIOD_COLLAR"

    def _past_against(self, asked: Asked, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        sums = self.sums()
        for scope, most in self.limits(scopes, "max_messages", now):
            if sum(at > now - SECOND for at in self.past[scope].messages) >= int(most):
                yield "MAX_MESSAGES"
        if asked.amends:
            return
        for scope, most in self.limits(scopes, "max_open_orders", now):
            if sums[scope].open_orders + 1 > int(most):
                yield "MAX_OPEN_ORDERS"
        like = (
            asked.place,
            asked.strategy,
            asked.side,
            asked.type,
            asked.quantity,
            asked.price,
            asked.trigger,
        )
        for _, window in self.limits(scopes, "duplicate_window", now):
            if like in self.alike and now - self.alike[like] < DURATIONS[window]:
                yield "DUPLICATE_ORDER"

    def _done_against(self, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        """What was traded, rejected and found to differ."""
        for scope, most in self.limits(scopes, "max_executions", now):
            if sum(at > now - MINUTE for at in self.past[scope].executions) >= int(most):
                yield "MAX_EXECUTIONS"
        for scope, most in self.limits(scopes, "max_rejects", now):
            if sum(at > now - MINUTE for at in self.past[scope].rejects) >= int(most):
                yield "MAX_REJECTS"
        for scope, most in self.limits(scopes, "max_differences", now):
            if sum(self.past[scope].differences.values()) > int(most):
                yield "MAX_DIFFERENCES"

    def _losses_against(self, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        """What was lost, and what could not be told if it were."""
        sums = self.sums()
        for scope, most in self.limits(scopes, "max_daily_loss", now):
            if -sums[scope].day >= Decimal(most):
                yield "MAX_DAILY_LOSS"
        for scope, most in self.limits(scopes, "max_drawdown", now):
            past = self.past[scope]
            if past.peak - past.carried - sums[scope].day >= Decimal(most):
                yield "MAX_DRAWDOWN"
        for control in ("max_daily_loss", "max_drawdown", "max_exposure"):
            if any(sums[scope].unvalued for scope, _ in self.limits(scopes, control, now)):
                yield "NO_VALUATION"

    def _margin_against(self, asked: Asked, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        place = asked.place
        terms, position = self._terms(place), self.state.positions.get(place)
        if position is not None and position.leverage is not None:
            for _, most in self.limits(scopes, "max_leverage", now):
                if position.leverage > Decimal(most):
                    yield "MAX_LEVERAGE"
        if position is not None and position.liquidation_price is not None and position.quantity:
            for _, least in self.limits(scopes, "min_liquidation_distance", now):
                if (
                    terms.mark is None
                    or abs(terms.mark - position.liquidation_price) < Decimal(least) * terms.mark
                ):
                    yield "LIQUIDATION_DISTANCE"
        wallet = self.state.funds_seen(place[:3])
        balance = wallet.balances.get(terms.settle)
        if balance is None:
            return
        # What is on its way out is locked, and neither margin nor anything to trade with.
        leaving = sum(
            (
                transfer.amount
                for transfer in self.state.transfers_under_way.values()
                if (transfer.source_key, transfer.asset) == (wallet.key, terms.settle)
            ),
            ZERO,
        )
        equity = balance.total - leaving
        for key, found in self.state.positions.items():
            other = self._terms(key)
            same = self.state.wallet_key(key[:3]) == wallet.key and other.settle == terms.settle
            if same and key[2] != "spot" and other.mark is not None:
                equity += found.quantity * other.mark * other.contract_size - found.cost
        for _, most in self.limits(scopes, "max_margin_ratio", now):
            used = balance.locked + balance.margin - leaving + asked.margin
            if used and used > Decimal(most) * equity:
                yield "MARGIN_RATIO"

    def _sizes_against(self, asked: Asked, scopes: tuple[str, ...], now: int) -> Iterator[str]:
        """What does not make a position larger is never refused for what that comes to."""
        before, after = self.sizes(), self.sizes(asked)
        sums = self.sums(asked)
        part = (*asked.place, asked.strategy)
        terms = self._terms(asked.place)
        for key, its in ((asked.place, scopes[:-1]), (part, scopes[-1:])):
            if after[key].worst <= before.get(key, Size()).worst:
                continue
            for _, most in self.limits(its, "max_position", now):
                if after[key].value > Decimal(most):
                    yield "MAX_POSITION"
            for _, text in self.limits(its, "max_inventory", now):
                amounts = dict(each.split("=") for each in text.split(","))
                if terms.base in amounts and after[key].worst * terms.contract_size > Decimal(
                    amounts[terms.base]
                ):
                    yield "MAX_INVENTORY"
            held = [(scope, most, "MAX_EXPOSURE") for scope, most in self.limits(its, "max_exposure", now)]
            if key is part and asked.strategy in self.assigned:
                held.append((scopes[-1], f"{self.assigned[asked.strategy].capital}", "CAPITAL"))
            for scope, most, code in held:
                if sums[scope].exposure > Decimal(most):
                    yield code
                if code == "CAPITAL" and sums[scope].unvalued:
                    yield "NO_VALUATION"
