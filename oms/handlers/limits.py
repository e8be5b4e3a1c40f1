"""Limits: setting, overriding and ending them, and valuations."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from oms.aggregates.money import is_amount
from oms.aggregates.partition import Partition
from oms.aggregates.risk.causes import check_causes
from oms.aggregates.risk.controls import CONTROLS, GLOBAL, check_said, check_together, parse, unknown
from oms.handlers import strategies
from oms.handlers.accounts import check_person
from oms.messages import controls as k
from oms.messages.codes import Code, Refused
from oms.messages.events import Event
from oms.messages.scopes import EACH, Scope, ScopeKind, parse_scope, scope_tokens
from oms.messages.subjects import Subject

MAX_OVERRIDE_NS: Final = 7 * 86_400 * 10**9
MAX_LIMITED: Final = 10_000
"""Scopes that may ever have limits of their own: one whose limits were cleared stays known as such."""


def scope_of(state: Partition, subject: Subject, text: str, each: bool) -> Scope:
    """The scope of a command, held against its subject and against what there is.

    Args:
        each: whether ``kind:*`` will do.

    Raises:
        Refused: SCOPE_INVALID, SCOPE_UNKNOWN, SUBJECT_MISMATCH.
    """
    scope = parse_scope(text)
    if scope_tokens(scope) != subject[1:]:
        raise Refused(
            Code.SUBJECT_MISMATCH,
            f"a command about {text} goes to {subject.action}.{'.'.join(scope_tokens(scope))}, not {subject}",
        )
    if scope.name == EACH:
        if not each:
            raise Refused(Code.SCOPE_INVALID, f"name which {scope.kind.value} is meant, was {text}")
        return scope
    if not _known(state, scope):
        raise Refused(Code.SCOPE_UNKNOWN, f"there is no {scope.kind.value} {scope.name!r}")
    return scope


def _known(state: Partition, scope: Scope) -> bool:
    kind, name = scope.kind, scope.name
    if kind is ScopeKind.GLOBAL or str(scope) in state.risk.latches:
        # What is killed can be released, whatever has become of its orders.
        return True
    if kind is ScopeKind.ACCOUNT:
        return name in state.accounts
    if kind is ScopeKind.EXCHANGE:
        return any(key[0] == name for key in state.venues) or any(key[0] == name for key in state.ledgers)
    if kind is ScopeKind.INSTRUMENT:
        exchange, market, symbol = name.split(".")
        return (exchange, market, symbol) in state.instruments
    # What an order may call its strategy is free text: whatever it is, it can be limited and killed before it is used.
    return True


def decide_set_limits(state: Partition, subject: Subject, command: k.SetLimits, now: int) -> list[Event]:
    """Set and clear limits of a scope, all or none.

    Raises:
        Refused: as :func:`scope_of`; PERSON_REQUIRED, LIMIT_UNKNOWN, LIMIT_INVALID, LIMIT_SCOPE, LIMIT_CONTRADICTION,
            LIMIT_REQUIRED, INVALID_COMMAND, STRATEGY_LIMIT.
    """
    scope = str(scope_of(state, subject, command.scope, each=True))
    check_person(command.by)
    if not command.limits and not command.clear:
        raise Refused(Code.INVALID_COMMAND, "nothing is set and nothing cleared")
    strategies.check_named(state, scope)
    check_values(scope, command.limits)
    _check_assets(state, command.limits)
    known = state.risk.limits.said
    before = known.get(scope, {})
    for name in command.clear:
        if name not in CONTROLS:
            raise unknown(name)
        if scope == GLOBAL:
            raise Refused(Code.LIMIT_REQUIRED, f"{name} cannot be cleared in the global scope: set it")
        if name in command.limits or name not in before:
            raise Refused(Code.INVALID_COMMAND, f"{scope} says nothing about {name} that could be cleared")
    if scope not in known and len(known) >= MAX_LIMITED:
        raise Refused(Code.LIMIT_SCOPE, f"{MAX_LIMITED:,} scopes have or had limits already")
    after = {name: value for name, value in before.items() if name not in command.clear}
    after.update(command.limits)
    check_together(scope, after)
    check_causes(scope, {**known, scope: after}, known)
    return [
        k.LimitsSet(
            scope=scope,
            limits=command.limits,
            cleared=command.clear,
            by=command.by,
            reason=command.reason,
        )
    ]


def check_values(scope: str, values: Mapping[str, str]) -> None:
    """Hold each value against its control, and its control against the scope.

    Raises:
        Refused: LIMIT_UNKNOWN, LIMIT_INVALID, LIMIT_SCOPE.
    """
    kind = parse_scope(scope).kind
    for name, text in values.items():
        check_said(name, text)
        if kind not in CONTROLS[name].scopes:
            raise Refused(
                Code.LIMIT_SCOPE, f"{name} is set for {' or '.join(CONTROLS[name].scopes)}, not for {scope}"
            )


def _check_assets(state: Partition, values: Mapping[str, str]) -> None:
    """A limit on what no instrument is about would hold nothing."""
    bases = {instrument.base for instrument in state.instruments.values()}
    for name, text in values.items():
        value = parse(name, text)
        for asset in value if bases and isinstance(value, dict) else ():
            if asset not in bases:
                near = difflib.get_close_matches(asset.upper(), bases, 1)
                hint = f": {near[0]} may be meant" if near else ""
                raise Refused(Code.LIMIT_INVALID, f"{name}: no instrument has the base asset {asset!r}{hint}")


def decide_override(state: Partition, subject: Subject, command: k.OverrideLimits, now: int) -> list[Event]:
    """Override limits of a scope for a time.

    Raises:
        Refused: as :func:`decide_set_limits`; OVERRIDE_END.
    """
    scope = str(scope_of(state, subject, command.scope, each=True))
    check_person(command.by)
    if not command.limits:
        raise Refused(Code.INVALID_COMMAND, "nothing is overridden")
    strategies.check_named(state, scope)
    if not now < command.until <= now + MAX_OVERRIDE_NS:
        raise Refused(
            Code.OVERRIDE_END, f"until must be after {now} and within 7 days of it, was {command.until}"
        )
    check_values(scope, command.limits)
    _check_assets(state, command.limits)
    said = dict(state.risk.limits.said.get(scope, {}))
    for name in state.risk.limits.overrides.get(scope, {}):
        running = state.risk.limits.own(scope, name, now)
        if running is not None:
            said[name] = running
    check_together(scope, {**said, **command.limits})
    # Against what scopes say themselves: another override may end before this one.
    lasting = state.risk.limits.said
    check_causes(scope, {**lasting, scope: {**lasting.get(scope, {}), **command.limits}}, lasting)
    return [
        k.LimitsOverridden(
            scope=scope,
            limits=command.limits,
            until=command.until,
            by=command.by,
            reason=command.reason,
        )
    ]


def decide_end_override(state: Partition, subject: Subject, command: k.EndOverride, now: int) -> list[Event]:
    """End overrides of a scope before their time.

    Raises:
        Refused: as :func:`scope_of`; PERSON_REQUIRED, OVERRIDE_UNKNOWN.
    """
    scope = str(scope_of(state, subject, command.scope, each=True))
    check_person(command.by)
    own = state.risk.limits.overrides.get(scope, {})
    names = command.controls or list(own)
    unknown = [name for name in names if name not in own]
    if unknown or not names:
        raise Refused(Code.OVERRIDE_UNKNOWN, f"{scope} has no override of {', '.join(unknown) or 'anything'}")
    return [k.OverrideEnded(scope=scope, controls=names, by=command.by, reason=command.reason)]


def decide_set_valuation(
    state: Partition, subject: Subject, command: k.SetValuation, now: int
) -> list[Event]:
    """Say what an asset is worth.

    Raises:
        Refused: SUBJECT_MISMATCH, PERSON_REQUIRED, VALUATION_INVALID.
    """
    if subject[1:] != scope_tokens(parse_scope(GLOBAL)):
        raise Refused(
            Code.SUBJECT_MISMATCH, f"a valuation is for everybody: set_valuation._._._._, not {subject}"
        )
    check_person(command.by)
    if (command.rate is None) is not bool(command.instrument):
        raise Refused(Code.VALUATION_INVALID, "a valuation has a rate or an instrument, and not both")
    if command.rate is not None and (command.rate <= 0 or not is_amount(command.rate)):
        raise Refused(Code.VALUATION_INVALID, f"rate must be above zero, was {command.rate}")
    if command.instrument:
        _check_pricing(state, command.asset, command.instrument)
    return [
        k.ValuationSet(
            asset=command.asset,
            rate=command.rate,
            instrument=command.instrument,
            by=command.by,
            reason=command.reason,
        )
    ]


def _check_pricing(state: Partition, asset: str, name: str) -> None:
    parts = name.split(".")
    instrument = state.instruments.get((parts[0], parts[1], parts[2])) if len(parts) == 3 else None
    if instrument is None:
        raise Refused(Code.VALUATION_INVALID, f"no instrument {name!r} is listed")
    other = instrument.quote if instrument.base == asset else instrument.base
    if asset not in (instrument.base, instrument.quote) or not instrument.spot:
        raise Refused(Code.VALUATION_INVALID, f"{name} is no spot instrument that prices {asset}")
    valuation = state.risk.rates.valuations.get(other)
    if valuation is None or valuation.rate is None:
        raise Refused(Code.VALUATION_INVALID, f"{other}, which {name} prices {asset} by, has no fixed rate")
    # What was lost in an asset would no longer count once its rate is unknown.
    priced = sorted(_priced_by(state, asset))
    if priced:
        raise Refused(
            Code.VALUATION_INVALID, f"{asset} needs a fixed rate: it prices {', '.join(priced)}"[:256]
        )
    if instrument.mark is None and state.risk.rates.of(asset) is not None:
        raise Refused(
            Code.VALUATION_INVALID, f"no mark of {name} is known, and {asset} has a rate now: wait for one"
        )


def _priced_by(state: Partition, asset: str) -> Iterator[str]:
    """Assets that an instrument prices by this one."""
    for each in state.risk.rates.valuations.values():
        instrument = None if each.instrument is None else state.instruments.get(each.instrument)
        if instrument is not None and each.asset != asset and asset in (instrument.base, instrument.quote):
            yield each.asset
