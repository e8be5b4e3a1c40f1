"""The section ``risk``: with what limits, valuations and strategies a new journal begins.

Limits that a file gives are laid over :data:`oms.aggregates.risk.controls.DEFAULTS`, so that leaving one out never takes
it away: what shall not limit is ``off``, in words.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from oms import _config_values as v
from oms._config_values import ConfigError
from oms.aggregates.risk.causes import check_causes
from oms.aggregates.risk.controls import CONTROLS, DEFAULTS, check_said, check_together
from oms.messages.codes import Refused
from oms.messages.scopes import Scope, ScopeKind, parse_scope

if TYPE_CHECKING:
    from oms.config import RiskConfig

Limits = Mapping[str, Mapping[str, str]]
"""Scope → control → value."""

ASSET: Final = v.text(r"[A-Z0-9]{1,16}", "an asset such as BTC, of 1 to 16 capitals or digits")
_INSTRUMENT = re.compile(r"[a-z0-9]+\.[a-z]+\.[A-Za-z0-9_-]{1,32}").fullmatch
_rate = v.decimal(zero=False)
_values = v.mapping_of(v.text(r"(?s).*", "a control"), lambda value, place: value)
_scopes = v.mapping_of(v.text(r"(?s).*", "a scope"), _values)


def default_limits() -> dict[str, dict[str, str]]:
    """What holds without a file."""
    return {scope: dict(said) for scope, said in DEFAULTS.items()}


def statements(value: object, place: str) -> Limits:
    """What is given and nothing else, each value held against its control and its control against the scope."""
    found: dict[str, dict[str, str]] = {}
    for scope, said in _scopes(value, place).items():
        own = v.below(place, scope)
        kind = _held(own, parse_scope, scope).kind
        found[scope] = {
            control: _value(kind, control, text, v.below(own, control)) for control, text in said.items()
        }
    return found


def limits(value: object, place: str) -> Limits:
    found = default_limits()
    for scope, said in statements(value, place).items():
        found.setdefault(scope, {}).update(said)
    for scope, together in found.items():
        _held(v.below(place, scope), check_together, scope, together)
        _held(v.below(place, scope), check_causes, scope, found, {})
    return {scope: said for scope, said in found.items() if said}


def _held(place: str, rule: Callable[..., Any], *arguments: Any) -> Any:
    """What a rule of the controls makes of it, with its place where it refuses."""
    try:
        return rule(*arguments)
    except Refused as refused:
        raise ConfigError(place, refused.message) from None


def _value(kind: str, control: str, value: object, place: str) -> str:
    # YAML 1.1 reads a bare on or off as a boolean.
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ConfigError(
            place, f'must be text in quotes, such as "10000", "0.05" or "off", was {v.got(value)}'
        )
    _held(place, check_said, control, text)
    scopes = CONTROLS[control].scopes
    if kind not in scopes:
        raise ConfigError(place, f"cannot be set for the scope {kind}, only for {', '.join(scopes)}")
    return text


def valuation(value: object, place: str) -> Decimal | str:
    if isinstance(value, str) and _INSTRUMENT(value):
        return value
    try:
        return _rate(value, place)
    except ConfigError as error:
        raise ConfigError(
            place,
            f"{error.reason}; or the instrument that prices it, such as upbit.spot.KRW-USDT",
        ) from None


def check_risk(risk: "RiskConfig", accounts: Mapping[str, Any], venues: Mapping[str, Any]) -> None:
    """Hold what the section names against the accounts and enabled venues of the configuration."""
    for strategy, its in risk.strategies.items():
        if its.account not in accounts:
            raise ConfigError(
                f"risk.strategies.{strategy}.account",
                f"must be one of the accounts ({', '.join(accounts)}), was {its.account}",
            )
    for asset, value in risk.valuations.items():
        if isinstance(value, str) and _venue(value) not in venues:
            raise ConfigError(
                f"risk.valuations.{asset}",
                f"must be an instrument of an enabled venue ({', '.join(venues)}), was {value}",
            )
    for scope in map(parse_scope, risk.limits):
        rule = None if scope.is_each else _unknown(scope, risk, accounts, venues)
        if rule is not None:
            raise ConfigError(f"risk.limits.{scope}", rule)


def _unknown(
    scope: Scope, risk: "RiskConfig", accounts: Mapping[str, Any], venues: Mapping[str, Any]
) -> str | None:
    """What is wrong with the name of a scope, if anything."""
    if scope.kind is ScopeKind.ACCOUNT and scope.name not in accounts:
        return f"must name an account of this configuration ({', '.join(accounts)})"
    exchanges = dict.fromkeys(venue.partition(".")[0] for venue in venues)
    if scope.kind is ScopeKind.EXCHANGE and scope.name not in exchanges:
        return f"must name an exchange with an enabled venue ({', '.join(exchanges)})"
    if scope.kind is ScopeKind.INSTRUMENT and _venue(scope.name) not in venues:
        return f"must be on an enabled venue ({', '.join(venues)})"
    # What there is by default binds a strategy whenever it comes to be assigned.
    if (
        scope.kind is ScopeKind.STRATEGY
        and scope.name not in ("", *risk.strategies)
        and str(scope) not in DEFAULTS
        and risk.limits["global"]["unassigned_strategies"] == "deny"
    ):
        return "must be in risk.strategies while limits.global.unassigned_strategies is deny"
    return None


def _venue(instrument: str) -> str:
    return instrument.rpartition(".")[0]
