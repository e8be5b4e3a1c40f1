"""Totals: the running figures of one scope, and of one position that they are summed from.

All values are USD. What is summed is derived from positions, orders, marks and rates, and equals what adding up from scratch
gives. What happened in the past (messages a moment ago, the best profit there was) is state of its own: it stands in digest
and image.
"""

from collections import deque
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.account import Balance
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.position import Position
from oms.messages.controls import Level

SECOND_NS: Final = 10**9
MINUTE_NS: Final = 60 * SECOND_NS
MOMENTS_KEPT: Final = 10_001
"""Of a kind and scope: one more than any limit may be on how many lie within a time."""

Moments = deque[int]
"""Times in UTC ns, oldest first, those gone by left out whenever one is added."""


def note(moments: Moments, at: int, window: int) -> None:
    """Add a moment and forget those that the window has left behind, or that no limit reaches back to."""
    while moments and moments[0] <= at - window:
        moments.popleft()
    if len(moments) >= MOMENTS_KEPT:
        moments.popleft()
    moments.append(at)


def full(moments: Moments, most: int, now: int, window: int) -> bool:
    """Whether as many moments as allowed lie within the window that ends now."""
    return not most or (len(moments) >= most and moments[-most] > now - window)


def within(moments: Moments, now: int, window: int) -> int:
    """How many moments lie within the window that ends now."""
    return sum(1 for at in moments if at > now - window)


@attrs.frozen
class Told:
    """A level that was recorded, and when (UTC ns)."""

    level: Level
    at: int


def told_by(control: str, position: str) -> str:
    """What a crossing is remembered by: the control, and of one that holds each position for itself which one."""
    return f"{control} {position}" if position else control


@attrs.define(slots=True, eq=False)
class Totals:
    """One scope's figures.

    Args:
        exposure: of its positions, working orders counted; see :class:`Leaf`.
        unvalued: positions in it that cannot be valued, or whose profit cannot, because a mark or a rate is not known.
        open_orders: live ones.
        day: profit since the trading day began; negative for a loss.
        carried: profit of the days before. ``peak``: the best that ``carried + day`` has been.
        messages, executions, rejects: when, within the last second or minute.
        differences: that the last reconciliation found, by account key.
        told: :func:`told_by` → level that was last recorded, where it is not clear.
    """

    scope: str
    exposure: Decimal = ZERO
    unvalued: int = 0
    open_orders: int = 0
    day: Decimal = ZERO
    carried: Decimal = ZERO
    peak: Decimal = ZERO
    messages: Moments = attrs.field(factory=deque)
    executions: Moments = attrs.field(factory=deque)
    rejects: Moments = attrs.field(factory=deque)
    differences: dict[str, int] = attrs.field(factory=dict)
    told: dict[str, Told] = attrs.field(factory=dict)

    @property
    def drawdown(self) -> Decimal:
        """How far below its best the profit is."""
        return self.peak - self.carried - self.day

    @property
    def remembers(self) -> bool:
        """Whether there is anything in it that is not derived."""
        return bool(
            self.carried
            or self.peak
            or self.messages
            or self.executions
            or self.rejects
            or self.differences
            or self.told
        )

    def line(self) -> tuple[Any, ...]:
        """What of it is hashed: of moments how many and the last, which tell them apart well enough."""
        return (
            self.carried,
            self.peak,
            [(len(some), some[-1] if some else 0) for some in (self.messages, self.executions, self.rejects)],
            self.differences,
            self.told,
        )


@attrs.define(slots=True, eq=False)
class Purse:
    """What the positions of one wallet have not realised, in one settlement asset, and those positions.

    Args:
        leaving: what transfers under way take out of the wallet, of that asset. It is locked there until it is known to be gone.
    """

    unrealised: Decimal = ZERO
    leaving: Decimal = ZERO
    leaves: list["Leaf"] = attrs.field(factory=list)

    def margin(self, balance: Balance) -> tuple[Decimal, Decimal]:
        """What positions and orders hold as margin, and the equity that it is of: what a transfer takes is neither."""
        return (
            balance.locked - self.leaving + balance.margin,
            balance.total - self.leaving + self.unrealised,
        )


@attrs.define(slots=True, eq=False)
class Alarm:
    """From what on a position may be near to a limit on each position: shared by all that have the same limits.

    Args:
        value: USD. ``worst``: largest size, in units of quantity.
        loud: where leaves are put down that are at it or beyond.
    """

    value: Decimal
    worst: Decimal
    loud: dict["Leaf", None]

    def is_at(self, leaf: "Leaf") -> bool:
        """Whether a leaf is at it or beyond it."""
        return leaf.value >= self.value or leaf.worst >= self.worst


@attrs.define(slots=True, eq=False)
class Leaf:
    """One position with its working orders: an account's in an instrument, or a strategy's part of that.

    Args:
        buys, sells: quantity of its live orders that may still trade; in doubt or asked for counts as what is more.
        up, down: what the position comes to, long or short, if everything on that side filled and nothing on the other.
        worst: the larger of them, its largest size.
        unit: USD that a unit of quantity is worth at the mark; None while that is not known.
        value: ``worst × unit``. ``day``: profit since the trading day began; ``settled``: of that, in the settlement asset, what
            is no longer open, less what was open as the day began.
        unrated: whether it has ever earned or lost anything that nobody could value: no rate of the settlement asset is known.
        totals: of the scopes that it counts in.
        alarm: that its value and size are held against whenever they have changed.
        purse: of its wallet, off spot; None on spot and for a strategy's part. ``unrealised``: what it has in there.
    """

    name: str
    position: Position
    instrument: Instrument
    totals: tuple[Totals, ...]
    alarm: "Alarm"
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    up: Decimal = ZERO
    down: Decimal = ZERO
    worst: Decimal = ZERO
    unit: Decimal | None = None
    value: Decimal = ZERO
    day: Decimal = ZERO
    settled: Decimal = ZERO
    unrated: bool = False
    unvalued: bool = False
    orders: int = 0
    purse: Purse | None = None
    unrealised: Decimal = ZERO

    @property
    def place(self) -> str:
        """``exchange.account.market.symbol``."""
        position = self.position
        return f"{position.exchange}.{position.account}.{position.market}.{position.symbol}"

    @property
    def size(self) -> Decimal:
        """The largest that it can come to, in units of the base asset."""
        return self.worst * self.instrument.contract_size

    @property
    def idle(self) -> bool:
        """Whether there is nothing in it."""
        waits = self.worst or self.buys or self.sells or self.orders
        return not (waits or self.day or self.settled or self.unvalued)
