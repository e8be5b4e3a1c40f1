"""Standings: how figures stand to their limits, found at the cost of a glance at each scope and a look at those near to one.

What is found hangs on state and time alone, in an order of its own: whoever decides again finds the same.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs

from oms.aggregates.account import Wallet
from oms.aggregates.money import ONE, ZERO, fewest_places, share
from oms.aggregates.risk.bounds import NEAR
from oms.aggregates.risk.controls import ACCOUNT, STRATEGY
from oms.aggregates.risk.figures import FIGURES, level_of
from oms.aggregates.risk.sizes import held_against
from oms.aggregates.risk.totals import Leaf, Purse, told_by
from oms.messages.controls import CAPITAL, Level

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition
    from oms.aggregates.risk.risk import Risk

RATIO, DISTANCE = "max_margin_ratio", "min_liquidation_distance"
NO_EQUITY: Final = Decimal(1_000)
"""The share that is held of an equity of zero or less."""
MARGIN: Final = frozenset({RATIO, DISTANCE})


@attrs.frozen
class Standing:
    """How one figure of one scope stands to its limit, whatever was told of it before.

    Args:
        limit: None for none any more. ``position``: as of :class:`~oms.messages.controls.LimitCrossed`.
    """

    scope: str
    control: str
    used: Decimal
    limit: Decimal | None
    level: Level
    position: str = ""


def of_figures(risk: "Risk", now: int) -> Iterator[Standing]:
    """Figures that are near their limit or beyond it, and those that were told to be, by scope."""
    for bounds in risk.loud(now):
        totals = bounds.totals
        for control, figure in FIGURES.items():
            limit = bounds.said.get(control)
            if limit is None:
                if control in totals.told:
                    yield _unlimited(totals.scope, control, Decimal(figure(totals, now)))
                continue
            used = figure(totals, now)
            level = level_of(control, used, limit)
            if control in totals.told or (used and level is not Level.CLEAR):
                # Written in one way: it is recorded, and may have been summed up in another order.
                yield Standing(totals.scope, control, fewest_places(Decimal(used)), Decimal(limit), level)


def _unlimited(scope: str, control: str, used: Decimal, position: str = "") -> Standing:
    return Standing(scope, control, fewest_places(used), None, Level.CLEAR, position)


def of_capital(risk: "Risk") -> Iterator[Standing]:
    """The same of what strategies are assigned."""
    prefix = f"{STRATEGY}:"
    for name in sorted(risk.strategies):
        totals, capital = risk.totals.get(prefix + name), risk.strategies[name].capital
        if totals is not None and (CAPITAL in totals.told or totals.exposure >= capital * NEAR):
            used = totals.exposure
            yield Standing(
                totals.scope, CAPITAL, fewest_places(used), capital, level_of(CAPITAL, used, capital)
            )
    for scope in sorted(scope for scope, totals in risk.totals.items() if CAPITAL in totals.told):
        if scope.removeprefix(prefix) not in risk.strategies:
            yield _unlimited(scope, CAPITAL, risk.total(scope).exposure)


# -- each position for itself


def of_positions(state: "Partition", now: int) -> Iterator[Standing]:
    """Positions whose standing to what a scope has for each of them is another than was told, by scope and position."""
    risk = state.risk
    due: dict[tuple[str, str], Leaf] = {}
    for leaf in risk.loud_leaves(now):
        place = leaf.place
        for totals in leaf.totals:
            due[totals.scope, place] = leaf
    for totals in list(risk.totals.values()):
        for told in totals.told:
            place = told.partition(" ")[2]
            if place and (totals.scope, place) not in due:
                due[totals.scope, place] = risk.leaves.at(state, totals.scope, place)
    for scope, place in sorted(due):
        bounds = risk.bounds(scope, now)
        for control, used, limit in held_against(bounds, due[scope, place]):
            before = bounds.totals.told.get(told_by(control, place))
            if limit is None:
                if before is not None:
                    yield _unlimited(scope, control, used, place)
                continue
            level = level_of(control, used, limit)
            if level is not (Level.CLEAR if before is None else before.level):
                yield Standing(scope, control, fewest_places(used), limit, level, place)


def stale(state: "Partition", now: int, since: int) -> dict[str, str]:
    """Scopes whose kill switch engages on it, in which something depends on a mark that is too old → the instrument whose mark it is.

    What depends on it: live orders, and positions held, whose profit stands still while the mark does. Of a rate that is taken from an
    instrument the mark is that one's.

    Args:
        since: no mark counts as older than from then on (UTC ns): before, nobody could have told another one.
    """
    risk = state.risk
    after = risk.stale_after(now)
    found: dict[str, str] = {}
    shortest = min(after.values(), default=0)
    for leaves in risk.leaves.by_instrument() if after else ():
        if not leaves:
            continue
        oldest = leaves[0].instrument
        pricing = risk.rates.pricing(oldest.settle, state.instruments)
        if pricing is not None and pricing.mark_at < oldest.mark_at:
            oldest = pricing
        age = now - max(oldest.mark_at, since)
        if age <= shortest:
            continue
        name = ".".join(oldest.key)
        for leaf in leaves:
            for totals in leaf.totals if leaf.orders or leaf.position.quantity else ():
                most = after.get(totals.scope)
                if most is not None and age > most:
                    found[totals.scope] = min(name, found.get(totals.scope, name))
    return dict(sorted(found.items()))


# -- margin


def margins(
    state: "Partition", accounts: Collection[str] | None = None
) -> Iterator[tuple[Leaf, Decimal | None, Decimal | None]]:
    """How what is held or works off spot stands, of some accounts or of all: (leaf, ratio, distance).

    Ratio: margin held, as a share of the wallet's equity, :data:`NO_EQUITY` where that is not above zero; None while the wallet
    is not known. Distance: of the mark to the liquidation price, as a share of the mark; None where none is known.
    """
    for (wallet_key, asset), purse in state.risk.leaves.purses.items():
        if accounts is not None and wallet_key[1] not in accounts:
            continue
        held = [leaf for leaf in purse.leaves if leaf.worst]
        ratio = _ratio(state.wallets.get(wallet_key), asset, purse) if held else None
        for leaf in held:
            yield leaf, ratio, _distance(leaf) if leaf.position.quantity else None


@attrs.frozen
class _Worst:
    """The worst of an account's; as of :func:`margins`."""

    ratio: Decimal | None
    distance: Decimal | None


_FLAT: Final = _Worst(ZERO, None)


def _worst(state: "Partition", accounts: Collection[str]) -> dict[str, _Worst]:
    found: dict[str, _Worst] = {}
    for leaf, ratio, distance in margins(state, accounts):
        before = found.get(leaf.position.account, _FLAT)
        found[leaf.position.account] = _Worst(_worse(before.ratio, ratio), _nearer(before.distance, distance))
    return found


def of_margins(state: "Partition", now: int) -> Iterator[Standing]:
    """The same of margin and of liquidation prices, by account."""
    accounts = _loud_accounts(state, now)
    used = _worst(state, accounts) if accounts else {}
    for account in sorted(accounts):
        scope, use = f"{ACCOUNT}:{account}", used.get(account, _FLAT)
        told = state.risk.total(scope).told
        limit = state.risk.holds(scope, RATIO, now)
        if limit is None and RATIO in told:
            yield _unlimited(scope, RATIO, ZERO if use.ratio is None else use.ratio)
        if limit is not None and use.ratio is not None:
            yield Standing(scope, RATIO, use.ratio, limit, level_of(RATIO, use.ratio, limit))
        limit = state.risk.holds(scope, DISTANCE, now)
        # Where there is nothing to be liquidated, the whole of the mark is in between.
        distance = ONE if use.distance is None else use.distance
        if limit is None and DISTANCE in told:
            yield _unlimited(scope, DISTANCE, distance)
        if limit is not None:
            yield Standing(scope, DISTANCE, distance, limit, level_of(DISTANCE, distance, limit))


def _loud_accounts(state: "Partition", now: int) -> set[str]:
    """Accounts that may be near a limit of margin, or were told to be."""
    risk = state.risk
    found: set[str] = set()
    for (wallet_key, asset), purse in risk.leaves.purses.items():
        scope = f"{ACCOUNT}:{wallet_key[1]}"
        ratio, distance = risk.holds(scope, RATIO, now), risk.holds(scope, DISTANCE, now)
        told = risk.total(scope).told
        if (
            (told and (RATIO in told or DISTANCE in told))
            or (ratio is not None and _strained(state.wallets.get(wallet_key), asset, purse, ratio))
            or (distance is not None and _close(purse, distance))
        ):
            found.add(wallet_key[1])
    return found


def _strained(wallet: Wallet | None, asset: str, purse: Purse, limit: Decimal) -> bool:
    balance = None if wallet is None else wallet.balances.get(asset)
    if balance is None:
        return False
    held, equity = purse.margin(balance)
    return bool(held and held >= limit * NEAR * equity)


def _close(purse: Purse, limit: Decimal) -> bool:
    for leaf in purse.leaves:
        price, mark = leaf.position.liquidation_price, leaf.instrument.mark
        # Without a division, which only those that are near cost.
        if price is not None and mark is not None and abs(mark - price) * NEAR <= limit * mark:
            return True
    return False


def _ratio(wallet: Wallet | None, asset: str, purse: Purse) -> Decimal | None:
    balance = None if wallet is None else wallet.balances.get(asset)
    if balance is None:
        return None
    held, equity = purse.margin(balance)
    if not held:
        return ZERO
    return NO_EQUITY if equity <= 0 else fewest_places(min(share(held, ONE, equity), NO_EQUITY))


def _distance(leaf: Leaf) -> Decimal | None:
    price, mark = leaf.position.liquidation_price, leaf.instrument.mark
    return None if price is None or mark is None else fewest_places(share(abs(mark - price), ONE, mark))


def _worse(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else max(one, other)


def _nearer(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return min((each for each in (one, other) if each is not None), default=None)
