"""Derives the public events of stream RISK: limits, crossings, kill switches, days, valuations and capital.

A message says what the event says; its subject has the tokens of the scope, so that who may hear of an account hears of
its limits. See :mod:`replay.following.public`.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import public as p
from oms.messages.scopes import GLOBAL, Scope, ScopeKind, parse_scope, scope_tokens

_encode = msgspec.json.Encoder().encode


def _said(event: k.LimitsSet) -> dict[str, Any]:
    return {
        "limits": event.limits,
        "cleared": event.cleared,
        "until": 0,
        "by": event.by,
        "reason": event.reason,
    }


def _overridden(event: k.LimitsOverridden) -> dict[str, Any]:
    return {
        "limits": event.limits,
        "cleared": [],
        "until": event.until,
        "by": event.by,
        "reason": event.reason,
    }


def _ended(event: k.OverrideEnded) -> dict[str, Any]:
    return {"limits": {}, "cleared": event.controls, "until": 0, "by": event.by, "reason": event.reason}


def _engaged(event: k.KillSwitchEngaged) -> dict[str, Any]:
    return {
        "engaged": True,
        "by": event.by,
        "reason": event.reason,
        "cause": event.cause,
        "allow_reduce_only": event.allow_reduce_only,
    }


def _released(event: k.KillSwitchReleased) -> dict[str, Any]:
    return {"engaged": False, "by": event.by, "reason": event.reason}


def _rule(message: type, fields: Callable[[Any], dict[str, Any]] = msgspec.structs.asdict) -> Any:
    """Tell of an event by a message with these fields, where the event's scope is."""

    def rule(
        _models: Any, event: Any, at: int, sequence: int, put: Callable[[str, str, bytes], None]
    ) -> None:
        told = {"event": type(event).__name__, "sequence": sequence, "at": at} | fields(event)
        scope = getattr(event, "scope", None)
        if scope is not None:
            told["scope"] = scope
        account = getattr(event, "account", None)
        where = GLOBAL if scope is None else parse_scope(scope)
        tokens = scope_tokens(where if account is None else Scope(ScopeKind.ACCOUNT, account))
        put("RISK", f"risk.{'.'.join(tokens)}", _encode(message(**told)))

    return rule


RULES: Final[dict[type, Any]] = {
    k.LimitsSet: _rule(p.LimitsChanged, _said),
    k.LimitsOverridden: _rule(p.LimitsChanged, _overridden),
    k.OverrideEnded: _rule(p.LimitsChanged, _ended),
    k.LimitCrossed: _rule(p.LimitReached),
    k.KillSwitchEngaged: _rule(p.KillSwitchChanged, _engaged),
    k.KillSwitchReleased: _rule(p.KillSwitchChanged, _released),
    k.DayRolled: _rule(p.TradingDayBegan),
    k.ValuationSet: _rule(p.AssetValued),
    d.StrategyAssigned: _rule(p.CapitalAllocated),
}
