"""Limits: what each scope says of each control, and what holds for whom at a time.

State: statements by scope and control, as text, none where the last one was cleared: the scope was spoken of; overrides, which stand in place of a scope's own statement until their time.
A named scope's statement stands in place of that of ``kind:*``; statements of different kinds of scope all hold.

Events: ``LimitsSet``, ``LimitsOverridden``, ``OverrideEnded``.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from oms.aggregates.risk.controls import GLOBAL, Parsed, parse
from oms.messages import controls as k

NEVER: Final = 2**63
NOTHING_SAID: Final = object()
"""Stands for a control that nobody says anything about, which is not the same as off."""


@attrs.frozen
class Override:
    """A value that stands in place of a scope's own until then (UTC ns)."""

    value: str
    until: int
    by: str
    reason: str = ""


@attrs.define(slots=True, eq=False)
class Limits:
    """Statements and overrides, by scope and control."""

    said: dict[str, dict[str, str]] = attrs.field(factory=dict)
    overrides: dict[str, dict[str, Override]] = attrs.field(factory=dict)
    _parsed: dict[tuple[str, str], Parsed] = attrs.field(factory=dict)

    # -- evolve

    def set(self, event: k.LimitsSet) -> None:
        """Take over what a scope says."""
        own = self.said.setdefault(event.scope, {})
        own.update(event.limits)
        for name in event.cleared:
            own.pop(name, None)

    def override(self, event: k.LimitsOverridden) -> None:
        """Put values in place of a scope's own."""
        own = self.overrides.setdefault(event.scope, {})
        for name, value in event.limits.items():
            own[name] = Override(value, event.until, event.by, event.reason)

    def end(self, event: k.OverrideEnded) -> None:
        """Take overrides away."""
        own = self.overrides.get(event.scope, {})
        for name in event.controls:
            own.pop(name, None)
        if not own:
            self.overrides.pop(event.scope, None)

    # -- read

    def own(self, scope: str, control: str, now: int) -> str | None:
        """What a scope itself says now, as text; None for nothing."""
        override = self.overrides.get(scope, {}).get(control)
        if override is not None and now < override.until:
            return override.value
        return self.said.get(scope, {}).get(control)

    def source(self, kind: str, name: str, control: str, now: int) -> tuple[str, str] | None:
        """Of a scope by kind and name: (the scope that speaks for it, what it says); None for nothing."""
        scope = GLOBAL if kind == GLOBAL else f"{kind}:{name}"
        text = self.own(scope, control, now)
        if text is None and kind != GLOBAL:
            scope = f"{kind}:*"
            text = self.own(scope, control, now)
        return None if text is None else (scope, text)

    def value(self, kind: str, name: str, control: str, now: int) -> Parsed:
        """The same, parsed: None for off, :data:`NOTHING_SAID` for nothing."""
        found = self.source(kind, name, control, now)
        return NOTHING_SAID if found is None else self._parse(control, found[1])

    def in_force(self, scope: str, now: int) -> dict[str, Parsed]:
        """Everything that holds for a scope now: control → value, parsed; None for off. What nobody says is not in it."""
        kind = scope.partition(":")[0]
        found: dict[str, Parsed] = {}
        for source in dict.fromkeys((scope if kind == GLOBAL else f"{kind}:*", scope)):
            for control, text in self.said.get(source, {}).items():
                found[control] = self._parse(control, text)
            for control, override in self.overrides.get(source, {}).items():
                if now < override.until:
                    found[control] = self._parse(control, override.value)
        return found

    def speaks(self, scope: str) -> bool:
        """Whether a scope says anything itself, rather than leaving it to that of all of its kind."""
        return bool(self.said.get(scope)) or scope in self.overrides

    def next_end(self, now: int) -> int:
        """When the next override ends that is in force now; :data:`NEVER` for none."""
        return min((each.until for _, _, each in self.running() if each.until > now), default=NEVER)

    def longest(self, control: str) -> int:
        """The longest duration that anybody says, overrides that are not ended included; 0 for none."""
        texts = [own[control] for own in self.said.values() if control in own]
        texts += [each.value for _, name, each in self.running() if name == control]
        return max((value for text in texts if (value := self._parse(control, text))), default=0)

    def running(self) -> Iterator[tuple[str, str, Override]]:
        """Every override that has not been ended: (scope, control, override)."""
        for scope, own in self.overrides.items():
            for control, override in own.items():
                yield scope, control, override

    def _parse(self, control: str, text: str) -> Parsed:
        key = (control, text)
        if key not in self._parsed:
            if len(self._parsed) > 10_000:
                self._parsed.clear()
            self._parsed[key] = parse(control, text)
        return self._parsed[key]
