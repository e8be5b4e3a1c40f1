"""Controls: commands that set limits and throw the kill switch, and the events that record it.

A *scope* says whom a limit or a latch is about: ``global``, ``exchange:NAME``, ``account:NAME``, ``strategy:NAME`` or
``instrument:EXCHANGE.MARKET.SYMBOL``. Limits may also be set for ``exchange:*``, ``account:*``, ``strategy:*`` and
``instrument:*``: what each one has that has no limit of its own. The subject of a command names the same places as its
scope, so that permission on subjects decides who may set what; a strategy, ``*`` and ``global`` leave them ``_``.

Limits are by control (:mod:`oms.aggregates.risk.controls`), each value as text: ``"10000"``, ``"0.05"``, ``"5s"``, ``"off"``.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from oms.messages.base import ClientCommand, Command, EventBase, Label, Nanoseconds, Person, Text, Token

ScopeName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Value = Annotated[str, msgspec.Meta(max_length=1024)]
Statements = dict[Token, Value]
"""Control → value."""


class ScopedCommand(ClientCommand, frozen=True, kw_only=True):
    """A command about a scope, by a person.

    Args:
        scope: see the module.
        by: who decides this; recorded. Empty is refused where a name is needed.
        reason: why; recorded.
    """

    scope: ScopeName
    by: Person = ""
    reason: Text = ""


class SetLimits(ScopedCommand, frozen=True, kw_only=True, tag="set_limits.1"):
    """Set limits of a scope, or take what the scope itself says away (``clear``), so that what stands above it holds.

    What is not named stays. All of it holds from the next order on, or none.
    """

    limits: Statements = msgspec.field(default_factory=dict)
    clear: Annotated[list[Token], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)


class OverrideLimits(ScopedCommand, frozen=True, kw_only=True, tag="override_limits.1"):
    """Put other values in place of a scope's until a time (UTC ns), then they end by themselves. Needs ``by``."""

    limits: Statements
    until: Nanoseconds = 0


class EndOverride(ScopedCommand, frozen=True, kw_only=True, tag="end_override.1"):
    """End a scope's overrides now: those of the controls named, or all."""

    controls: Annotated[list[Token], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)


class Kill(ScopedCommand, frozen=True, kw_only=True, tag="kill.1"):
    """Latch the kill switch of a scope and cancel every order in it. Needs ``by``.

    Args:
        allow_reduce_only: orders that bring a position nearer to zero are still let through.
        cause: what a program that throws it has found, such as ``SEAL``; people leave it empty, and say why in ``reason``.
    """

    allow_reduce_only: bool = False
    cause: Label = ""


class Release(ScopedCommand, frozen=True, kw_only=True, tag="release.1"):
    """Release a scope's kill switch. Needs ``by``. Drawdown of the scope is measured anew from here."""


class SetValuation(ClientCommand, frozen=True, kw_only=True, tag="set_valuation.1"):
    """Say what a unit of an asset is worth in USD: a fixed rate, or by the mark of an instrument. Needs ``by``.

    Args:
        rate: USD a unit; None with ``instrument``.
        instrument: ``exchange.market.symbol`` that prices the asset in another which has a fixed rate, or which is
            priced in the asset (KRW by ``upbit.spot.KRW-USDT``); empty with ``rate``.
    """

    asset: Token
    rate: Decimal | None = None
    instrument: Annotated[str, msgspec.Meta(max_length=128)] = ""
    by: Person = ""
    reason: Text = ""


class BeginControls(Command, frozen=True, kw_only=True, tag="begin_controls.1"):
    """The engine's own: what the configuration says of limits, where the journal has never said anything.

    Args:
        limits: by scope and control.
        valuations: asset → USD a unit. ``priced_by``: asset → the instrument that prices it.
        strategies: strategy → (account, capital in USD).
    """

    limits: dict[str, dict[str, str]]
    valuations: dict[str, Decimal]
    strategies: dict[str, tuple[str, Decimal]]
    priced_by: dict[str, str] = msgspec.field(default_factory=dict)


class CheckRisk(Command, frozen=True, kw_only=True, tag="check_risk.1"):
    """The engine's own: do what time and figures make due: roll the day, end overrides, tell crossings, trip, cancel.

    Args:
        since: since when the engine has listened without a pause, UTC ns: what was not told before makes no mark old.
    """

    since: int = 0


# -- events


class LimitsSet(EventBase, frozen=True, kw_only=True, tag="LimitsSet.1"):
    """The scope has these limits from now on, beside those not named; ``cleared`` are no longer its own."""

    scope: str
    limits: dict[str, str]
    cleared: list[str] = msgspec.field(default_factory=list)
    by: str = ""
    reason: str = ""


class LimitsOverridden(EventBase, frozen=True, kw_only=True, tag="LimitsOverridden.1"):
    """Until then (UTC ns) these values stand in place of the scope's own."""

    scope: str
    limits: dict[str, str]
    until: int
    by: str
    reason: str = ""


class OverrideEnded(EventBase, frozen=True, kw_only=True, tag="OverrideEnded.1"):
    """The scope's own limits hold again. ``by`` is empty when the time was over."""

    scope: str
    controls: list[str]
    by: str = ""
    reason: str = ""


class ValuationSet(EventBase, frozen=True, kw_only=True, tag="ValuationSet.1"):
    """What a unit of the asset is worth; see :class:`SetValuation`."""

    asset: str
    rate: Decimal | None = None
    instrument: str = ""
    by: str = ""
    reason: str = ""


CAPITAL: Final = "capital"
"""Stands for a control where it is told or shown how a strategy's exposure stands to the capital that it is assigned."""


class Level(StrEnum):
    """How a figure stands to its limit."""

    CLEAR = "clear"
    NEAR = "near"
    BREACHED = "breached"


class LimitCrossed(EventBase, frozen=True, kw_only=True, tag="LimitCrossed.1"):
    """A figure of the scope came near to its limit, broke it, or is clear of it again.

    Args:
        control: or ``capital``, what the strategy is assigned.
        limit: None when it is clear because nothing limits it any more.
        position: of ``max_position`` and ``max_inventory``, which one: ``exchange.account.market.symbol``, in the scope of a
            strategy its own part of that. Each is told of for itself; empty for figures that are the scope's own.
    """

    scope: str
    control: str
    level: Level
    used: Decimal
    limit: Decimal | None = None
    position: str = ""


class KillSwitchEngaged(EventBase, frozen=True, kw_only=True, tag="KillSwitchEngaged.1"):
    """The scope is latched: nothing new is placed in it. Its orders are cancelled behind this.

    Args:
        cause: the control that tripped, or what the program found that threw it; empty when a person did.
        by: the person, or the program; empty when it tripped.
    """

    scope: str
    by: str = ""
    reason: str = ""
    cause: str = ""
    allow_reduce_only: bool = False


class KillSwitchReleased(EventBase, frozen=True, kw_only=True, tag="KillSwitchReleased.1"):
    """The scope trades again."""

    scope: str
    by: str
    reason: str = ""


class DayRolled(EventBase, frozen=True, kw_only=True, tag="DayRolled.1"):
    """A trading day begins, with daily figures at zero. ``day``: its first moment, UTC ns."""

    day: int
