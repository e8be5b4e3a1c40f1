"""Causes: what ``kill_on`` names in a scope has to be limited there, or nothing is ever held against it and the switch never trips."""

from collections.abc import Iterator, Mapping
from typing import Final

from oms.aggregates.risk.controls import CONTROLS, parse
from oms.messages.codes import Code, Refused
from oms.messages.scopes import parse_scope

Said = Mapping[str, Mapping[str, str]]
"""Scope → control → value."""

_OF_GLOBAL: Final = ("max_price_age",)
"""Causes that are held against the global scope's limit where a scope has none."""


def check_causes(scope: str, said: Said, before: Said) -> None:
    """Hold what a scope's ``kill_on`` names against what the scope, or all of its kind, say; ``off`` says that nothing trips it.

    Args:
        said: what every scope would say. ``before``: what they say now; what was so before stands in nobody's way.

    Raises:
        Refused: LIMIT_CONTRADICTION.
    """
    for each in _concerned(scope, said):
        known = _unlimited(each, before)
        for cause in _unlimited(each, said):
            if cause not in known:
                raise Refused(Code.LIMIT_CONTRADICTION, _sentence(each, cause)[:256])


def never_trips(said: Said) -> Iterator[str]:
    """A sentence for each scope and cause of which that is so, as of journals from before it was refused."""
    for scope in said:
        yield from (_sentence(scope, cause) for cause in _unlimited(scope, said))


def _concerned(scope: str, said: Said) -> Iterator[str]:
    yield scope
    kind, _, name = scope.partition(":")
    if name == "*":
        yield from (each for each in said if each.startswith(f"{kind}:") and each != scope)


def _unlimited(scope: str, said: Said) -> list[str]:
    """Causes that a scope trips on, and that nobody says anything of for it."""
    own, each = said.get(scope, {}), said.get(f"{scope.partition(':')[0]}:*", {})
    text = own.get("kill_on", each.get("kill_on"))
    causes = () if text is None else parse("kill_on", text) or ()
    return [
        cause
        for cause in sorted(causes)
        if cause not in own and cause not in each and cause not in _OF_GLOBAL
    ]


def _sentence(scope: str, cause: str) -> str:
    kind = parse_scope(scope).kind
    if kind not in CONTROLS[cause].scopes:
        return (
            f"{scope}: kill_on names {cause}, which is not counted for a scope of kind {kind}: leave it out"
        )
    nobody = f"{scope} says" if scope.endswith(":*") else f"{scope} and {kind}:* say"
    return (
        f"{scope}: kill_on names {cause}, and {nobody} nothing of it, so that it would never trip:"
        f" set {cause} for {scope} as well, to off if nothing shall"
    )
