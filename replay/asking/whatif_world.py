"""World: what would have been, had other limits held: a partition of its own, that decides again what was asked.

Every place and amend is decided again by the engine's own rules on this state, and what time and figures make due is found by
its own risk check. All else is applied as recorded, unless it is of an order that this world denied, or that its kill switches
ended. All of it inside :data:`oms.aggregates.money.EXACT`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates import image
from oms.aggregates.money import ZERO, share
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position, adopt
from oms.aggregates.risk.controls import CONTROLS, GLOBAL
from oms.handlers.change import decide_amend
from oms.handlers.place import decide_place
from oms.handlers.risk_check import decide_check_risk
from oms.handlers.target import full_target
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages.codec import decode_command
from oms.messages.codes import Code, Refused
from oms.messages.frames import Commit
from oms.messages.subjects import parse_subject
from replay.asking.controls import NOTHING_LIMITED
from replay.asking.whatif_file import OtherLimits

BY: Final = "whatif"
CHECK_NS: Final = 250_000_000
"""How far apart risk checks are at least, as the engine's watch has it."""
_DOLLARS: Final = ("USD", "USDT", "USDC")
"""Worth one USD where the history never said what they are worth, as the configuration has it."""

Verdict = tuple[Code, str]
"""(code, message) that something is denied with."""


class World:
    """One that is told the same commits, under other limits.

    Args:
        recorded: the state that both start from; it moves on as recorded, ahead of this one by the event told.
        file: the limits.
        killed: told of each kill switch that engages here by itself.
    """

    def __init__(
        self, recorded: Partition, file: OtherLimits, killed: Callable[[k.KillSwitchEngaged, int], None]
    ) -> None:
        self._recorded = recorded
        self._file = file
        self._killed = killed
        self.state = image.load(image.dump(recorded))
        self.gone: set[str] = set()
        # Order → revision of the amend that was refused; those whose refused amend took effect trade no more.
        self._refused: dict[str, int] = {}
        self._frozen: set[str] = set()
        self._left_out: set[tuple[str, str]] = set()
        self._checked = self._since = 0
        self._begin()

    def _begin(self) -> None:
        state, file, at = self.state, self._file, self.state.at
        risk = state.risk
        # What nobody ever limited was not limited.
        missing = {
            name: NOTHING_LIMITED[name] for name in CONTROLS if name not in risk.limits.said.get(GLOBAL, {})
        }
        if missing:
            state.evolve(k.LimitsSet(scope=GLOBAL, limits=missing, by=BY), at)
        for scope, said in file.limits.items():
            if not said:
                continue
            state.evolve(k.LimitsSet(scope=scope, limits=dict(said), by=BY), at)
            over = [name for name in risk.limits.overrides.get(scope, {}) if name in said]
            if over:
                state.evolve(k.OverrideEnded(scope=scope, controls=over, by=BY), at)
        valuations: dict[str, Decimal | str] = {
            asset: Decimal(1) for asset in _DOLLARS if asset not in risk.rates.valuations
        }
        for asset, value in {**valuations, **file.valuations}.items():
            given = {"instrument": value} if isinstance(value, str) else {"rate": value}
            state.evolve(k.ValuationSet(asset=asset, by=BY, **given), at)
        for name, its in file.strategies.items():
            state.evolve(
                d.StrategyAssigned(strategy=name, account=its.account, capital=its.capital, by=BY), at
            )

    # -- time

    def started(self, at: int) -> None:
        """An engine begins to listen; UTC ns."""
        self._since = at

    def check(self, at: int) -> None:
        """Do what is due, as the engine's watch does, and at once where a loss came to its limit; UTC ns."""
        if (at - self._checked < CHECK_NS and not self.state.risk.alarm) or not self.state.journal_id:
            return
        self.state.risk.alarm = False
        self._checked = at
        state = self.state
        due = decide_check_risk(state, at, self._since)
        if due and type(due[0]) is k.DayRolled:
            state.evolve(due[0], at)
            due = decide_check_risk(state, at, self._since)
        for event in due:
            if isinstance(event, e.OrderCancelRequested | e.OrderCanceled):
                self._end(event.order_id, at)
                continue
            state.evolve(event, at)
            if isinstance(event, k.KillSwitchEngaged):
                self._killed(event, at)

    def _end(self, order_id: str, at: int) -> None:
        """The order is canceled here, and what else it did happens no more."""
        self.state.evolve(e.OrderCanceled(order_id=order_id, reason=BY, venue_time=0), at)
        self.gone.add(order_id)

    # -- what is decided again

    def place(self, commit: Commit, event: e.OrderPlaced | e.OrderDenied) -> Verdict | None:
        """Decide a place again, and apply what comes of it.

        Returns:
            What it is denied with; None when it is let through. One that was denied as recorded is gone either way: what it would
            have done is not known.
        """
        subject = parse_subject(commit.subject)
        command = decode_command(subject.action, bytes(commit.command))
        state, at = self.state, commit.at
        try:
            made = decide_place(state, full_target(subject, command), command, at)[-1]
        except Refused as refused:
            # Today's code does not take such a command: what was decided then stands.
            state.evolve(event, at)
            if isinstance(event, e.OrderPlaced):
                return None
            self.gone.add(event.order_id)
            return refused.code, refused.message
        if isinstance(made, e.OrderDenied):
            denied = made if isinstance(event, e.OrderPlaced) else event
            state.evolve(msgspec.structs.replace(denied, order_id=event.order_id), at)
            self.gone.add(event.order_id)
            return made.code, made.message
        assert isinstance(made, e.OrderPlaced), "a place ends with one of the two"
        if isinstance(event, e.OrderPlaced):
            state.evolve(msgspec.structs.replace(event, reserve_price=made.reserve_price), at)
        else:
            state.evolve(event, at)
            self.gone.add(event.order_id)
        return None

    def amend(self, commit: Commit, event: e.OrderAmendRequested) -> Verdict | None:
        """Decide an amend again; None when it is let through, or when the order is not in this world."""
        if event.order_id in self.gone or event.order_id not in self.state.orders:
            return None
        subject = parse_subject(commit.subject)
        command = decode_command(subject.action, bytes(commit.command))
        try:
            (made,) = decide_amend(self.state, subject, command, commit.at)
        except Refused as refused:
            self._refused[event.order_id] = event.revision
            return refused.code, refused.message
        if isinstance(made, e.OrderAmendDenied):
            self._refused[event.order_id] = event.revision
            return made.code, made.message
        self._refused.pop(event.order_id, None)
        assert isinstance(made, e.OrderAmendRequested), "an amend asks for one"
        self.state.evolve(msgspec.structs.replace(event, reserve_price=made.reserve_price), commit.at)
        return None

    def takes_amend(self, commit: Commit, event: e.OrderAmendDenied) -> bool:
        """Whether an amend that was denied as recorded is let through here. What it would have done is not known: it is not made."""
        if event.order_id in self.gone or event.order_id not in self.state.orders:
            return False
        subject = parse_subject(commit.subject)
        command = decode_command(subject.action, bytes(commit.command))
        try:
            (made,) = decide_amend(self.state, subject, command, commit.at)
        except Refused:
            return False
        return isinstance(made, e.OrderAmendRequested)

    # -- what is applied

    def apply(self, event: Any, at: int) -> bool:
        """Apply an event that is not decided again; return whether it happened here."""
        rule = _RULES.get(type(event))
        if rule is not None:
            return bool(rule(self, event, at))
        order_id = getattr(event, "order_id", None)
        if order_id is not None and (order_id in self.gone or order_id not in self.state.orders):
            return False
        self.state.evolve(event, at)
        return True

    def follow(self, order_id: str, at: int) -> None:
        """Let an order end here where it has ended as recorded, whatever of it was left out."""
        order, recorded = self.state.orders.get(order_id), self._recorded.orders.get(order_id)
        if order is not None and order.live and (recorded is None or not recorded.live):
            self._end(order_id, at)

    def finish(self, commit: Commit, sequence: int) -> None:
        """End a commit."""
        self.state.finish(commit, sequence)

    def _as_it_is(self, event: Any, at: int) -> bool:
        self.state.evolve(event, at)
        return True

    def _not_here(self, event: Any, at: int) -> bool:
        return False

    def _filled(self, event: e.OrderFilled, at: int) -> bool:
        if event.order_id in self.gone or event.order_id in self._frozen:
            self._left_out.add((event.order_id, event.trade_id))
            return False
        return self._as_it_is(event, at)

    def _busted(self, event: e.TradeBusted, at: int) -> bool:
        return (event.order_id, event.trade_id) not in self._left_out and self._as_it_is(event, at)

    def _amended(self, event: e.OrderAmended, at: int) -> bool:
        order_id = event.order_id
        if order_id in self.gone or order_id not in self.state.orders:
            return False
        if self._refused.get(order_id) == event.revision:
            self._frozen.add(order_id)
            return False
        self._frozen.discard(order_id)
        return self._as_it_is(event, at)

    def _amend_rejected(self, event: e.OrderAmendRejected, at: int) -> bool:
        order_id = event.order_id
        if order_id in self.gone or order_id in self._refused or order_id not in self.state.orders:
            return False
        return self._as_it_is(event, at)

    def _balance_adjusted(self, event: e.BalanceAdjusted, at: int) -> bool:
        wallet = self.state.funds((event.exchange, event.account, event.market))
        total = wallet.balance(event.asset).total + event.delta
        return self._as_it_is(msgspec.structs.replace(event, total=total), at)

    def _position_adjusted(self, event: e.PositionAdjusted, at: int) -> bool:
        held = self._position(event)
        if held.quantity == event.expected and held.cost == event.expected_cost:
            return self._as_it_is(event, at)
        quantity = held.quantity + event.quantity - event.expected
        if event.price is None:
            cost = held.cost + event.cost - event.expected_cost
            moved = msgspec.structs.replace(event, quantity=quantity, cost=cost)
        else:
            instrument = self.state.instruments[event.exchange, event.market, event.symbol]
            # Without an average of the venue's: what it shows is of what was held as recorded.
            adopted = adopt(held, instrument, quantity, None, event.price)
            moved = msgspec.structs.replace(event, quantity=quantity, **attrs.asdict(adopted))
        moved = msgspec.structs.replace(moved, expected=held.quantity, expected_cost=held.cost)
        return self._as_it_is(moved, at)

    def _funded(self, event: e.FundingPaid, at: int) -> bool:
        """Of what was paid, as much as is held here of what was held as recorded."""
        held, recorded = self._position(event).quantity, _position(self._recorded, event).quantity
        if held == recorded:
            return self._as_it_is(event, at)
        if not held or not recorded:
            return False
        return self._as_it_is(msgspec.structs.replace(event, amount=share(event.amount, held, recorded)), at)

    def _stated(self, event: e.PositionStated, at: int) -> bool:
        return bool(self._position(event).quantity) and self._as_it_is(event, at)

    def _position(self, event: Any) -> Position:
        return _position(self.state, event)

    # -- controls

    def _limits_set(self, event: k.LimitsSet, at: int) -> bool:
        ours = self._file.limits.get(event.scope, {})
        said = self.state.risk.limits.said.get(event.scope, {})
        limits = {name: value for name, value in event.limits.items() if name not in ours}
        cleared = [name for name in event.cleared if name not in ours and name in said]
        if not limits and not cleared:
            return False
        return self._as_it_is(msgspec.structs.replace(event, limits=limits, cleared=cleared), at)

    def _overridden(self, event: k.LimitsOverridden, at: int) -> bool:
        ours = self._file.limits.get(event.scope, {})
        limits = {name: value for name, value in event.limits.items() if name not in ours}
        return bool(limits) and self._as_it_is(msgspec.structs.replace(event, limits=limits), at)

    def _override_ended(self, event: k.OverrideEnded, at: int) -> bool:
        own = self.state.risk.limits.overrides.get(event.scope, {})
        controls = [name for name in event.controls if name in own]
        return bool(controls) and self._as_it_is(msgspec.structs.replace(event, controls=controls), at)

    def _valued(self, event: k.ValuationSet, at: int) -> bool:
        return event.asset not in self._file.valuations and self._as_it_is(event, at)

    def _assigned(self, event: d.StrategyAssigned, at: int) -> bool:
        return event.strategy not in self._file.strategies and self._as_it_is(event, at)

    def _engaged(self, event: k.KillSwitchEngaged, at: int) -> bool:
        # Those that tripped do so here by this world's own figures.
        return bool(event.by) and self._as_it_is(event, at)

    def _released(self, event: k.KillSwitchReleased, at: int) -> bool:
        return event.scope in self.state.risk.latches and self._as_it_is(event, at)


def _position(state: Partition, event: Any) -> Position:
    key = (event.exchange, event.account, event.market, event.symbol)
    return state.positions.get(key) or Position(*key, quantity=ZERO)


_RULES: Final[dict[type, Any]] = {
    e.Sealed: World._not_here,
    e.OrderAdopted: World._as_it_is,
    e.OrderFilled: World._filled,
    e.TradeBusted: World._busted,
    e.OrderAmended: World._amended,
    e.OrderAmendRejected: World._amend_rejected,
    e.BalanceAdjusted: World._balance_adjusted,
    e.PositionAdjusted: World._position_adjusted,
    e.PositionStated: World._stated,
    e.FundingPaid: World._funded,
    k.LimitsSet: World._limits_set,
    k.LimitsOverridden: World._overridden,
    k.OverrideEnded: World._override_ended,
    k.ValuationSet: World._valued,
    d.StrategyAssigned: World._assigned,
    k.KillSwitchEngaged: World._engaged,
    k.KillSwitchReleased: World._released,
    k.LimitCrossed: World._not_here,
    k.DayRolled: World._not_here,
}
"""Events that are not simply applied to an order that is in this world, or to a state that knows none."""
