"""Gate: every control that an order of one strategy, account and instrument has to pass, merged once and checked at constant cost.

A gate is made when first needed and again after any change of limits, latches or assignments. It reads running figures and
changes nothing. What an order would break is told by the first control that stands against it; the order of checks is that of
this file.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.account import Wallet, WalletKey
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO, fewest_places
from oms.aggregates.risk.bounds import Bounds
from oms.aggregates.risk.latches import Latch
from oms.aggregates.risk.totals import MINUTE_NS, SECOND_NS, Leaf, Totals, full
from oms.messages.codes import Code, Refused
from oms.messages.enums import OrderType, Side

BUY: Final = Side.BUY
LIMIT, STOP_LIMIT, STOP_MARKET = OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.STOP_MARKET

Likeness = tuple[str, str, str, Decimal, Decimal | None, Decimal | None]
"""What makes two orders alike: the leaf's name, side, type, quantity, price, trigger price."""


def likeness(
    part: Leaf,
    side: Side,
    kind: OrderType,
    quantity: Decimal,
    price: Decimal | None,
    trigger: Decimal | None,
) -> Likeness:
    """What an order of a strategy's part of a position is remembered by."""
    return (part.name, side, kind, quantity, price, trigger)


@attrs.define(slots=True, eq=False)
class Gate:
    """The controls, merged; None where a control is off. Built by :meth:`oms.aggregates.risk.risk.Risk.gate`.

    Args:
        version, until: good while limits have this version, and before this time (UTC ns).
        pricing: the instrument whose mark values what this one settles in; None for a fixed rate.
        refused: what denies every order here, cancels apart: a limit missing, a strategy on the wrong account, a restriction.
        latches: engaged kill switches that cover it. ``reduce_only``: the figures of scopes that let only through what reduces.
        leaf: the account's position in the instrument. ``part``: the strategy's part of it. ``strategy``: its name.
        priced: a control needs mark and rate.
        scopes: every scope that covers it, with its figures. ``wide``: of those with a limit on exposure, what the account's
            position counts in; ``own``: what the strategy's part of it counts in.
        wallets, wallet: where the funds are.
    """

    version: int
    until: int
    leaf: Leaf
    part: Leaf
    instrument: Instrument
    pricing: Instrument | None = None
    refused: Refused | None = None
    latches: tuple[Latch, ...] = ()
    reduce_only: tuple[Totals, ...] = ()
    strategy: str = ""
    self_trade: str = "off"
    priced: bool = False
    max_order_quantity: Decimal | None = None
    max_order_value: Decimal | None = None
    price_collar: Decimal | None = None
    period_collar: Decimal | None = None
    max_price_age: int | None = None
    duplicate_window: int | None = None
    max_leverage: Decimal | None = None
    max_margin_ratio: Decimal | None = None
    min_liquidation_distance: Decimal | None = None
    max_position: Decimal | None = None
    max_part: Decimal | None = None
    max_inventory: Decimal | None = None
    max_part_inventory: Decimal | None = None
    capital: Decimal | None = None
    scopes: tuple[Bounds, ...] = ()
    wide: tuple[Bounds, ...] = ()
    own: tuple[Bounds, ...] = ()
    wallets: Mapping[WalletKey, Wallet] = attrs.field(factory=dict)
    wallet: WalletKey = ("", "", "")

    def reduces(self, side: Side, quantity: Decimal, reduce_only: bool) -> bool:
        """Whether an order can only bring the account's position nearer to zero, whatever else works."""
        if reduce_only:
            return True
        leaf = self.leaf
        return (leaf.up if side is BUY else leaf.down) + quantity <= 0

    def nearer(self, own: bool, side: Side, more: Decimal, rest: Decimal, reduce_only: bool) -> bool:
        """Whether a scope that lets nothing through but what reduces has to let an order through.

        Args:
            own: the scope is the strategy: what others hold is not its to reduce, and it would only take a position of its own.
                An order by hand, of no strategy, may close what any has.
            more: quantity beyond what counts already; of an order that lives zero or less may be meant. ``rest``: all that the
                order may trade yet, or may when amended.
        """
        if not self.reduces(side, more, reduce_only):
            return False
        if not own or not self.strategy:
            return True
        part = self.part
        if reduce_only:
            # What else works does not matter: of two that reduce, the venue takes the second back.
            held = part.position.quantity
            return (held if side is BUY else -held) + rest <= 0
        return (part.up if side is BUY else part.down) + more <= 0

    # -- the checks

    def check_open(self, side: Side, more: Decimal, rest: Decimal, reduce_only: bool) -> None:
        """Whether anything may be placed here at all: before anything else is looked at. Quantities as of :meth:`nearer`.

        Raises:
            Refused: LIMIT_MISSING, STRATEGY_ACCOUNT, STRATEGY_UNASSIGNED, RESTRICTED, KILL_SWITCH, REDUCE_ONLY_MODE.
        """
        own = self.part.totals[0]
        for latch in self.latches:
            if latch.allow_reduce_only and self.nearer(
                latch.scope == own.scope, side, more, rest, reduce_only
            ):
                continue
            who = f"by {latch.by}" if latch.by else f"on {latch.cause}"
            why = f": {latch.reason}" if latch.reason else ", no reason given"
            raise Refused(Code.KILL_SWITCH, f"the kill switch of {latch.scope} is engaged {who}{why}"[:256])
        if self.refused is not None:
            raise Refused(self.refused.code, self.refused.message)
        for totals in self.reduce_only:
            if not self.nearer(totals is own, side, more, rest, reduce_only):
                raise Refused(
                    Code.REDUCE_ONLY_MODE,
                    f"only orders that bring a position nearer to zero are let through ({totals.scope})",
                )

    def check_place(
        self,
        side: Side,
        kind: OrderType,
        quantity: Decimal,
        price: Decimal | None,
        trigger: Decimal | None,
        margin: Decimal,
        reduce_only: bool,
        now: int,
        recent: Mapping[Likeness, int],
    ) -> None:
        """Hold a new order against every control but those of :meth:`check_open`.

        Args:
            margin: what it reserves, off spot of the settlement asset.

        Raises:
            Refused: with the code of the control that stands against it.
        """
        self._check_terms(side, quantity, quantity, quantity, price, trigger, reduce_only, now)
        window = self.duplicate_window
        if window is not None:
            at = recent.get((self.part.name, side, kind, quantity, price, trigger))
            if at is not None and at > now - window:
                raise Refused(
                    Code.DUPLICATE_ORDER,
                    f"the same order was placed {(now - at) / 1e6:.3f} ms ago, less than {window / 1e6:.0f} ms{self._whose('duplicate_window', window)}",
                )
        for bounds in self.scopes:
            totals = bounds.totals
            if totals.open_orders >= bounds.open_orders:
                raise Refused(
                    Code.MAX_OPEN_ORDERS,
                    f"{totals.scope} has {totals.open_orders} open orders, limit {bounds.open_orders}",
                )
        self._check_messages(now)
        self._check_figures(side, quantity, quantity, margin, reduce_only, now)
        self._check_size(side, quantity)

    def check_amend(
        self,
        side: Side,
        quantity: Decimal,
        more: Decimal,
        rest: Decimal,
        price: Decimal | None,
        trigger: Decimal | None,
        margin: Decimal,
        reduce_only: bool,
        now: int,
        lowers: bool,
    ) -> None:
        """Hold an amend against the controls: its quantity in all as an order's, and what it adds as a position's.

        Args:
            more: beyond what the order counts with already; zero or less for none. ``rest``: what may trade of it yet.
            margin: beyond what it reserves already.
            lowers: whether it leaves less quantity at the same price, and nothing else: it is held to the throttle alone.

        Raises:
            Refused: as :meth:`check_place`.
        """
        self._check_messages(now)
        if lowers:
            return
        self._check_terms(side, quantity, more, rest, price, trigger, reduce_only, now)
        self._check_figures(side, more, rest, margin, reduce_only, now)
        if more > 0:
            self._check_size(side, more)

    def check_release(self, side: Side, quantity: Decimal, reduce_only: bool, now: int) -> None:
        """Hold an order that was let through, and waited before it was sent, against what may have come about since.

        Its own terms are held against nothing again, nor is what it counts in itself: open orders, sizes, funds, messages.

        Raises:
            Refused: as :meth:`check_open` and :meth:`check_place`.
        """
        self.check_open(side, ZERO, quantity, reduce_only)
        if self.priced:
            self._check_mark(now)
        self._check_figures(side, ZERO, quantity, ZERO, reduce_only, now)

    def _check_terms(
        self,
        side: Side,
        quantity: Decimal,
        more: Decimal,
        rest: Decimal,
        price: Decimal | None,
        trigger: Decimal | None,
        reduce_only: bool,
        now: int,
    ) -> None:
        instrument = self.instrument
        most = self.max_order_quantity
        if most is not None and quantity > most:
            raise Refused(
                Code.MAX_ORDER_QUANTITY,
                f"quantity {quantity:f} is above {most:f}{self._whose('max_order_quantity', most)}",
            )
        if not self.priced:
            return
        mark, unit = self._check_mark(now)
        most = self.max_order_value
        if most is not None:
            at = price if price is not None else trigger
            value = quantity * unit
            # A buy trades at its price at most. What has none, and triggers at once, trades at the mark.
            if at is not None and (at > mark or (side is BUY and price is not None)):
                # The unit is at the mark; the price is held against it without a division.
                if value * at > most * mark:
                    whose = self._whose("max_order_value", most)
                    raise Refused(
                        Code.MAX_ORDER_VALUE,
                        f"{quantity:f} at {at:f} is worth more than {most:f} USD{whose}",
                    )
            elif value > most:
                raise Refused(
                    Code.MAX_ORDER_VALUE,
                    f"{quantity:f} at the mark of {mark:f} is worth {_told(value)} USD, more than {most:f}{self._whose('max_order_value', most)}",
                )
        collar = self.price_collar
        if collar is not None and price is not None:
            middle = mark if trigger is None else trigger
            if abs(price - middle) > collar * middle:
                whose = self._whose("price_collar", collar)
                raise Refused(
                    Code.PRICE_COLLAR, f"price {price:f} is further than {collar:f} from {middle:f}{whose}"
                )
        collar = self.period_collar
        if collar is not None and trigger is None:
            anchor = instrument.anchor
            at = mark if price is None else price
            if anchor is None or abs(at - anchor) > collar * anchor:
                self._check_period(side, more, rest, price, at, reduce_only)

    def _check_mark(self, now: int) -> tuple[Decimal, Decimal]:
        """The mark, and what a unit is worth by it in USD: where a control needs them, they have to be known, and fresh."""
        instrument = self.instrument
        mark = instrument.mark
        if mark is None:
            raise Refused(Code.NO_REFERENCE_PRICE, f"no mark price of {instrument.symbol} is known")
        unit = self.leaf.unit
        if unit is None:
            raise Refused(
                Code.NO_VALUATION,
                f"what {instrument.settle} is worth in USD is not known: set a valuation (`oms value`)",
            )
        age = self.max_price_age
        if age is not None:
            if now - instrument.mark_at > age:
                raise self._stale(f"the mark of {instrument.symbol}", instrument, age, now)
            pricing = self.pricing
            if pricing is not None and now - pricing.mark_at > age:
                of = f"the mark of {'.'.join(pricing.key)}, which values {instrument.settle},"
                raise self._stale(of, pricing, age, now)
        return mark, unit

    def _check_period(
        self,
        side: Side,
        more: Decimal,
        rest: Decimal,
        price: Decimal | None,
        at: Decimal,
        reduce_only: bool,
    ) -> None:
        """Hold a price that is beyond the tightest period collar against every scope's, but for what gets out at the market:
        it chooses no price, and the collar would hold it in a position while the market runs away.
        """
        anchor = self.instrument.anchor
        beyond: list[tuple[Decimal, str]] = []
        for bounds in self.scopes:
            collar, totals = bounds.said.get("period_collar"), bounds.totals
            if collar is None or (anchor is not None and abs(at - anchor) <= collar * anchor):
                continue
            own = totals is self.part.totals[0]
            if price is not None or not self.nearer(own, side, more, rest, reduce_only):
                beyond.append((collar, totals.scope))
        if beyond:
            collar, scope = min(beyond, key=lambda each: each[0])
            raise Refused(
                Code.PERIOD_COLLAR,
                f"price {at:f} is further than {collar:f} from {anchor}, the mark as the period began ({scope})",
            )

    def _check_messages(self, now: int) -> None:
        for bounds in self.scopes:
            moments, most = bounds.totals.messages, bounds.messages
            if len(moments) >= most and full(moments, most, now, SECOND_NS):
                raise Refused(
                    Code.MAX_MESSAGES, f"{bounds.totals.scope} sent {most} orders and amends within a second"
                )

    def _check_figures(
        self, side: Side, more: Decimal, rest: Decimal, margin: Decimal, reduce_only: bool, now: int
    ) -> None:
        for bounds in self.scopes:
            totals = bounds.totals
            if totals.peak is not bounds.peak or totals.carried is not bounds.carried:
                bounds.measure()
            # What stands against an order whatever it comes to lets through what reduces: that ends with the position.
            if (
                len(totals.executions) >= bounds.executions
                or len(totals.rejects) >= bounds.rejects
                or totals.differences
                or totals.day <= bounds.lowest
                or (totals.unvalued and bounds.priced)
            ):
                own = totals is self.part.totals[0]
                if not self.nearer(own, side, more, rest, reduce_only):
                    _check_scope(bounds, now)
        if self.instrument.market != "spot":
            self._check_margin(side, more, margin, reduce_only)

    def _check_margin(self, side: Side, quantity: Decimal, margin: Decimal, reduce_only: bool) -> None:
        leaf = self.leaf
        position = leaf.position
        most = self.max_leverage
        found: Refused | None = None
        if most is not None and position.leverage is not None and position.leverage > most:
            found = Refused(
                Code.MAX_LEVERAGE,
                f"{position.symbol} is at a leverage of {position.leverage:f}, limit {most:f}{self._whose('max_leverage', most)}",
            )
        most = self.min_liquidation_distance
        price, mark = position.liquidation_price, self.instrument.mark
        if found is None and most is not None and price is not None and position.quantity:  # noqa: SIM102
            if mark is None or abs(mark - price) < most * mark:
                found = Refused(
                    Code.LIQUIDATION_DISTANCE,
                    f"the mark of {mark} is nearer than {most:f} of it to the liquidation price of {price:f}{self._whose('min_liquidation_distance', most)}",
                )
        most = self.max_margin_ratio
        wallet = self.wallets.get(self.wallet)
        balance = None if wallet is None else wallet.balances.get(self.instrument.settle)
        if found is None and most is not None and balance is not None and leaf.purse is not None:
            held, equity = leaf.purse.margin(balance)
            held += margin
            if held and held > most * equity:
                found = Refused(
                    Code.MARGIN_RATIO,
                    f"{_told(held)} {self.instrument.settle} would be held as margin, of an equity of {_told(equity)}: limit {most:f} of it{self._whose('max_margin_ratio', most)}",
                )
        if found is not None and not self.reduces(side, quantity, reduce_only):
            raise found

    def _check_size(self, side: Side, quantity: Decimal) -> None:
        """Hold what the positions can come to against the limits. What does not make one larger is never refused."""
        leaf, part = self.leaf, self.part
        if side is BUY:
            more = leaf.up + quantity - leaf.worst
            part_more = part.up + quantity - part.worst
        else:
            more = leaf.down + quantity - leaf.worst
            part_more = part.down + quantity - part.worst
        if more > 0 and self.max_inventory is not None:
            self._check_inventory(leaf, more, self.max_inventory)
        if part_more > 0 and self.max_part_inventory is not None:
            self._check_inventory(part, part_more, self.max_part_inventory)
        if not self.priced:
            return
        unit = leaf.unit
        assert unit is not None
        if more > 0:
            added = more * unit
            most = self.max_position
            if most is not None and leaf.value + added > most:
                whose = self._whose("max_position", most, wide=True)
                raise Refused(
                    Code.MAX_POSITION,
                    f"the position would come to {_told(leaf.value + added)} USD, limit {most:f}{whose}",
                )
            _check_exposures(self.wide, added)
        if part_more > 0:
            added = part_more * unit
            most = self.max_part
            if most is not None and part.value + added > most:
                whose = f" ({part.totals[0].scope})"
                raise Refused(
                    Code.MAX_POSITION,
                    f"the strategy's position would come to {_told(part.value + added)} USD, limit {most:f}{whose}",
                )
            _check_exposures(self.own, added)
            if self.capital is not None:
                totals = part.totals[0]
                if totals.exposure + added > self.capital:
                    raise _above(Code.CAPITAL, totals, added, self.capital)
                if totals.unvalued:
                    raise _unvalued(totals)

    def _check_inventory(self, leaf: Leaf, more: Decimal, most: Decimal) -> None:
        instrument = self.instrument
        size = (leaf.worst + more) * instrument.contract_size
        if size <= most:
            return
        if leaf is self.part:
            who, whose = "the strategy", f" ({leaf.totals[0].scope})"
        else:
            who, whose = "the account", self._whose("max_inventory", most, wide=True)
        raise Refused(
            Code.MAX_INVENTORY,
            f"{who}'s position would come to {_told(size)} {instrument.base}, limit {most:f}{whose}",
        )

    def _stale(self, what: str, of: Instrument, age: int, now: int) -> Refused:
        return Refused(
            Code.STALE_PRICE,
            f"{what} is {(now - of.mark_at) / 1e9:.3f} s old, limit {age / 1e9:.3f} s{self._whose('max_price_age', age)}",
        )

    def _whose(self, control: str, most: Any, wide: bool = False) -> str:
        """Of which scope a merged limit is, to stand behind it: of the first that says as much; with ``wide`` not of the strategy."""
        for bounds in self.scopes:
            said = bounds.said.get(control)
            if isinstance(said, Mapping):
                said = said.get(self.instrument.base)
            if said == most and not (wide and bounds.totals is self.part.totals[0]):
                return f" ({bounds.totals.scope})"
        return ""


def _told(figure: Decimal) -> str:
    """A figure in the one way to write it: what is recorded does not depend on the order it was summed up in."""
    return f"{fewest_places(figure):f}"


def _check_scope(bounds: Bounds, now: int) -> None:
    """Hold what happened in a scope, and what it is worth, against its limits on that."""
    totals = bounds.totals
    if full(totals.executions, bounds.executions, now, MINUTE_NS):
        raise Refused(
            Code.MAX_EXECUTIONS, f"{totals.scope} was executed {bounds.executions} times within a minute"
        )
    if full(totals.rejects, bounds.rejects, now, MINUTE_NS):
        raise Refused(
            Code.MAX_REJECTS,
            f"{bounds.rejects} orders of {totals.scope} were rejected, or not sent, within a minute",
        )
    if sum(totals.differences.values()) > bounds.differences:
        raise Refused(
            Code.MAX_DIFFERENCES,
            f"{totals.scope} differs from the venue in more than {bounds.differences} things",
        )
    if totals.day <= bounds.lowest:
        raise _lost(bounds)
    if totals.unvalued and bounds.priced:
        raise _unvalued(totals)


def _lost(bounds: Bounds) -> Refused:
    totals = bounds.totals
    if -totals.day >= bounds.loss:
        return Refused(
            Code.MAX_DAILY_LOSS,
            f"{totals.scope} has lost {_told(-totals.day)} USD today, limit {bounds.loss:f}",
        )
    return Refused(
        Code.MAX_DRAWDOWN,
        f"{totals.scope} is {_told(totals.drawdown)} USD below its best, limit {bounds.drawdown:f}",
    )


def _check_exposures(scopes: tuple[Bounds, ...], added: Decimal) -> None:
    for bounds in scopes:
        totals = bounds.totals
        if totals.exposure + added > bounds.exposure:
            raise _above(Code.MAX_EXPOSURE, totals, added, bounds.exposure)


def _above(code: Code, totals: Totals, added: Decimal, most: Decimal) -> Refused:
    return Refused(
        code, f"{totals.scope} would come to {_told(totals.exposure + added)} USD of exposure, limit {most:f}"
    )


def _unvalued(totals: Totals) -> Refused:
    return Refused(
        Code.NO_VALUATION,
        f"{totals.scope} has {totals.unvalued} positions, held or closed, whose mark, or rate in USD of the asset that they settle in or paid fees in, is not known: set a valuation (`oms value`)",
    )
