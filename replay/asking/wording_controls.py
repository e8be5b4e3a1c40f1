"""Wording of controls: limits, overrides, kill switches, valuations and days, a line each, for people."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from oms.messages import controls as k
from replay.asking.moment import iso


def _by(thing: Any) -> str:
    reason = f": {thing.reason}" if thing.reason else ""
    return (f", by {thing.by}" if thing.by else "") + reason


def _values(limits: Mapping[str, str]) -> str:
    return ", ".join(f"{control} {value}" for control, value in limits.items())


def _said(limits: Mapping[str, str], cleared: list[str]) -> str:
    parts = [_values(limits), f"{', '.join(cleared)} cleared" if cleared else ""]
    return "; ".join(part for part in parts if part)


def _worth(thing: Any) -> str:
    return f"by the mark of {thing.instrument}" if thing.rate is None else f"{thing.rate:f} USD"


def _position(crossed: k.LimitCrossed) -> str:
    return f", position {crossed.position}" if crossed.position else ""


EVENTS: Final[dict[type, Callable[[Any], str]]] = {
    k.LimitsSet: lambda x: f"limits of {x.scope}: {_said(x.limits, x.cleared)}{_by(x)}",
    k.LimitsOverridden: lambda x: (
        f"limits of {x.scope} overridden until {iso(x.until)}: {_values(x.limits)}{_by(x)}"
    ),
    k.OverrideEnded: lambda x: f"override of {', '.join(x.controls)} of {x.scope} ended{_by(x)}",
    k.ValuationSet: lambda x: f"{x.asset} is valued {_worth(x)}{_by(x)}",
    k.LimitCrossed: lambda x: (
        f"{x.scope}: {x.control} of {x.used:f} is limited no more{_position(x)}"
        if x.limit is None
        else f"{x.scope}: {x.control} of {x.used:f} is {x.level} to its limit of {x.limit:f}{_position(x)}"
    ),
    k.KillSwitchEngaged: lambda x: (
        f"kill switch of {x.scope} engaged"
        + (f", {x.cause} tripped it" if x.cause else "")
        + (", what reduces a position is let through" if x.allow_reduce_only else "")
        + _by(x)
    ),
    k.KillSwitchReleased: lambda x: f"kill switch of {x.scope} released{_by(x)}",
    k.DayRolled: lambda x: f"the trading day of {iso(x.day)} begins",
}

COMMANDS: Final[dict[type, Callable[[Any], str]]] = {
    k.SetLimits: lambda x: f"{x.scope}: {_said(x.limits, x.clear)}{_by(x)}",
    k.OverrideLimits: lambda x: f"{x.scope} until {iso(x.until)}: {_values(x.limits)}{_by(x)}",
    k.EndOverride: lambda x: f"{x.scope}: {', '.join(x.controls) or 'every override'}{_by(x)}",
    k.Kill: lambda x: (
        f"{x.scope}{', what reduces a position is let through' if x.allow_reduce_only else ''}{_by(x)}"
    ),
    k.Release: lambda x: f"{x.scope}{_by(x)}",
    k.SetValuation: lambda x: f"{x.asset} {_worth(x)}{_by(x)}",
    k.BeginControls: lambda x: (
        f"limits of {len(x.limits):,} scopes, {len(x.valuations):,} valuations, {len(x.strategies):,} strategies"
    ),
    k.CheckRisk: lambda x: "what is due",
}
