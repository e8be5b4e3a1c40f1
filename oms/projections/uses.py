"""Uses: what is used of each limit and what is left, by the figures that the engine itself decides by.

Nothing is kept here, so nothing can differ. Where a control is held against each of several things in a scope (positions,
wallets), the one that stands nearest to the limit is shown.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates.money import ONE, ZERO, fewest_places, share
from oms.aggregates.partition import Partition
from oms.aggregates.risk.controls import CONTROLS, GLOBAL, STRATEGY
from oms.aggregates.risk.figures import FIGURES, FLOORS, level_of
from oms.aggregates.risk.limits import Override
from oms.aggregates.risk.standings import margins
from oms.aggregates.risk.totals import Leaf
from oms.handlers.transfer_limits import cap_use, floor_use
from oms.messages.codes import Refused
from oms.messages.controls import CAPITAL, Level
from oms.messages.enums import AccountKind


@attrs.frozen
class Use:
    """What is used of a limit.

    Args:
        headroom: None while nothing limits it.
        nearest: as of :class:`~oms.messages.queries.LimitRow`.
    """

    used: Decimal
    headroom: Decimal | None = None
    level: Level = Level.CLEAR
    nearest: str = ""


@attrs.frozen
class LimitUse:
    """One control of one scope.

    Args:
        limit: the value in force, as text. ``source``: the scope that says it. ``own``: what the scope itself has set,
            overrides apart; None for nothing.
        use: None where there is nothing to measure, or where it is not known.
    """

    scope: str
    control: str
    limit: str
    source: str
    own: str | None
    override: Override | None
    use: Use | None


def rows(state: Partition, now: int) -> Iterator[LimitUse]:
    """Every control that speaks of a scope which is known: by statements, accounts, strategies, or figures; and each
    strategy's capital."""
    risk = state.risk
    scopes = dict.fromkeys([GLOBAL, *risk.limits.said, *risk.limits.overrides])
    scopes |= dict.fromkeys(f"account:{name}" for name in state.accounts)
    scopes |= dict.fromkeys(f"{STRATEGY}:{name}" for name in risk.strategies)
    scopes |= dict.fromkeys(risk.totals)
    measured = _Measured(state, now)
    for scope in scopes:
        kind, _, name = scope.partition(":")
        for control in CONTROLS.values():
            if kind not in control.scopes:
                continue
            if (found := risk.limits.source(kind, name, control.name, now)) is None:
                continue
            source, text = found
            override = risk.limits.overrides.get(source, {}).get(control.name)
            if override is not None and override.until <= now:
                override = None
            own = risk.limits.said.get(scope, {}).get(control.name)
            limit = risk.limits.value(kind, name, control.name, now)
            use = None if name == "*" else measured.use(scope, control.name, limit)
            yield LimitUse(scope, control.name, text, source, own, override, use)
    for name, assigned in risk.strategies.items():
        scope, text = f"{STRATEGY}:{name}", f"{assigned.capital:f}"
        use = measured.use(scope, CAPITAL, assigned.capital)
        yield LimitUse(scope, CAPITAL, text, scope, text, None, use)


UNWATCHED: Final = frozenset({"max_leverage", "main_floor", "sub_cap"})
"""What only what is asked for is held against, an order or a transfer: beyond it nobody is told, and nothing is wrong."""

_Nearest = tuple[Decimal, str]
"""(figure, what it is of); of equals the first by name, so that it does not hang on who was there first."""
_NOTHING: Final = (ZERO, "")


class _Measured:
    """What is held against the limits of every scope, measured when first asked for."""

    def __init__(self, state: Partition, now: int) -> None:
        self._state = state
        self._now = now
        self._positions: dict[str, _Nearest] = {}
        self._inventories: dict[str, dict[str, _Nearest]] = {}
        self._leverages: dict[str, _Nearest] = {}
        self._ratios: dict[str, _Nearest] = {}
        self._unknown: set[str] = set()
        self._distances: dict[str, _Nearest] = {}
        for leaf in (*state.risk.leaves.by_place.values(), *state.risk.leaves.by_book.values()):
            if leaf.worst:
                self._sizes(leaf)
        self._margins()

    def use(self, scope: str, control: str, limit: Any) -> Use | None:
        """What is used of a limit, parsed; None where that is not measured or not known."""
        if control == "max_inventory":
            return self._of_inventory(scope, limit)
        if control in FIGURES or control == CAPITAL:
            totals = self._state.risk.totals.get(scope)
            figure = FIGURES["max_exposure" if control == CAPITAL else control]
            return _use(control, ZERO if totals is None else Decimal(figure(totals, self._now)), limit)
        measure = _MEASURES.get(control)
        found = None if measure is None else measure(self, scope)
        return None if found is None else _use(control, found[0], limit, found[1])

    def _of_inventory(self, scope: str, limit: dict[str, Decimal] | None) -> Use | None:
        held = self._inventories.get(scope, {})
        if limit is None:
            return None
        uses = [(most, *held.get(base, _NOTHING)) for base, most in limit.items()]
        most, used, of = max(uses, key=_share_of)
        return _use("max_inventory", used, most, of)

    # -- measure

    def _sizes(self, leaf: Leaf) -> None:
        place = leaf.place
        for totals in leaf.totals:
            _most(self._positions, totals.scope, leaf.value, place)
            _most(self._inventories.setdefault(totals.scope, {}), leaf.instrument.base, leaf.size, place)

    def _margins(self) -> None:
        """Leverage, margin and liquidation prices are the account's; a strategy has part in those of its positions."""
        risk = self._state.risk
        of_strategies: dict[str, list[str]] = {}
        for part in risk.leaves.by_book.values():
            if part.worst:
                of_strategies.setdefault(part.place, []).append(part.totals[0].scope)
        for leaf, ratio, distance in margins(self._state):
            position, place = leaf.position, leaf.place
            for scope in (*(totals.scope for totals in leaf.totals), *of_strategies.get(place, ())):
                if position.leverage is not None:
                    _most(self._leverages, scope, position.leverage, place)
                if distance is not None:
                    _most(self._distances, scope, -distance, place)
                if ratio is None:
                    self._unknown.add(scope)
                else:
                    _most(self._ratios, scope, ratio, position.account)

    def position(self, scope: str) -> _Nearest | None:
        """Largest value, USD."""
        return self._positions.get(scope, _NOTHING)

    def leverage(self, scope: str) -> _Nearest | None:
        """Highest."""
        return self._leverages.get(scope, _NOTHING)

    def ratio(self, scope: str) -> _Nearest | None:
        """Of margin, the highest; None where a wallet is not known."""
        return None if scope in self._unknown else self._ratios.get(scope, _NOTHING)

    def floor(self, scope: str) -> _Nearest | None:
        """What the MAIN account holds, USD; None where there is none, or it is not known."""
        found = [self._nearest_of(name, floor_use) for name in self._accounts(main=True)]
        return found[0] if found else None

    def cap(self, scope: str) -> _Nearest | None:
        """Most that another account holds, USD, of what is known."""
        found: dict[str, _Nearest] = {scope: _NOTHING}
        for name in self._accounts(main=False):
            if (held := self._nearest_of(name, cap_use)) is not None:
                _most(found, scope, *held)
        return found[scope]

    def _accounts(self, main: bool) -> list[str]:
        accounts = self._state.accounts.items()
        return [
            name
            for name, account in accounts
            if not account.closed and (account.kind is AccountKind.MAIN) is main
        ]

    def _nearest_of(self, name: str, use: Callable[[Partition, str, int], Decimal]) -> _Nearest | None:
        try:
            return use(self._state, name, self._now), name
        except Refused:
            # What a transfer would be refused for: it is not known.
            return None

    def distance(self, scope: str) -> _Nearest | None:
        """To a liquidation price, the least; None where there is none."""
        found = self._distances.get(scope)
        return None if found is None else (-found[0], found[1])


_MEASURES: Final[dict[str, Callable[[_Measured, str], _Nearest | None]]] = {
    "max_position": _Measured.position,
    "max_leverage": _Measured.leverage,
    "max_margin_ratio": _Measured.ratio,
    "min_liquidation_distance": _Measured.distance,
    "main_floor": _Measured.floor,
    "sub_cap": _Measured.cap,
}


def _use(control: str, used: Decimal, limit: Any, nearest: str = "") -> Use:
    # Written in one way, however it was summed up.
    used = fewest_places(used)
    if limit is None:
        return Use(used, nearest=nearest)
    most = Decimal(limit)
    headroom = used - most if control in FLOORS else most - used
    level = Level.CLEAR if control in UNWATCHED else level_of(control, used, most)
    return Use(used, headroom, level, nearest)


def _most(found: dict[str, _Nearest], scope: str, used: Decimal, of: str) -> None:
    before = found.get(scope)
    if before is None or used > before[0] or (used == before[0] and of < before[1]):
        found[scope] = (used, of)


def _share_of(use: tuple[Decimal, Decimal, str]) -> Decimal:
    most, used, _ = use
    if not used:
        return ZERO
    return share(used, ONE, most) if most else Decimal("Infinity")
