"""Merging: from what every scope says to the one gate of an order."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from oms.aggregates.order import ADOPTED
from oms.aggregates.position import PositionKey
from oms.aggregates.risk.bounds import NO_AMOUNT, Bounds
from oms.aggregates.risk.controls import (
    ACCOUNT,
    CONTROLS,
    EXCHANGE,
    GLOBAL,
    INSTRUMENT,
    STRATEGY,
    Parsed,
)
from oms.aggregates.risk.gate import Gate
from oms.messages.codes import Code, Refused
from oms.messages.enums import AccountKind

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition
    from oms.aggregates.risk.risk import Risk

NOT_OF_ORDERS: Final = frozenset({"main_floor", "sub_cap"})
"""What transfers are held against, and orders are not."""
_STRICTEST: Final = ("cancel_both", "cancel_incoming", "cancel_resting")


def merge(risk: "Risk", state: "Partition", place: PositionKey, strategy: str, now: int) -> Gate:
    """The gate of an order of a strategy at a place (exchange, account, market, symbol)."""
    exchange, account, market, symbol = place
    instrument = state.instruments[exchange, market, symbol]
    scopes = {
        GLOBAL: risk.bounds(GLOBAL, now),
        EXCHANGE: risk.bounds(f"{EXCHANGE}:{exchange}", now),
        ACCOUNT: risk.bounds(f"{ACCOUNT}:{account}", now),
        STRATEGY: risk.bounds(f"{STRATEGY}:{strategy}", now),
        INSTRUMENT: risk.bounds(f"{INSTRUMENT}:{exchange}.{market}.{symbol}", now),
    }
    said = {kind: each.said for kind, each in scopes.items()}
    own = [said.pop(STRATEGY)]
    wide = list(said.values())
    every = [*wide, *own]
    exposed = {kind: each for kind, each in scopes.items() if each.exposure is not NO_AMOUNT}
    latches = tuple(
        found for each in scopes.values() if (found := risk.latches.get(each.totals.scope)) is not None
    )
    assigned = risk.strategies.get(strategy)
    gate = Gate(
        version=risk.version,
        until=risk.limits.next_end(now),
        leaf=risk.leaves.leaf(state, place),
        part=risk.leaves.part(state, (*place, strategy)),
        instrument=instrument,
        pricing=risk.rates.pricing(instrument.settle, state.instruments),
        refused=_refusal(risk, state, tuple(scopes.values()), account, strategy),
        latches=latches,
        reduce_only=tuple(each.totals for each in scopes.values() if each.said.get("reduce_only")),
        strategy=strategy,
        self_trade=min(_all("self_trade", every), key=_STRICTEST.index, default="off"),
        max_order_quantity=min(_all("max_order_quantity", every), default=None),
        max_order_value=min(_all("max_order_value", every), default=None),
        price_collar=min(_all("price_collar", every), default=None),
        period_collar=min(_all("period_collar", every), default=None),
        max_price_age=min(_all("max_price_age", every), default=None),
        # The longest window is the strictest, and so is the widest distance.
        duplicate_window=max(_all("duplicate_window", every), default=None),
        min_liquidation_distance=max(_all("min_liquidation_distance", every), default=None),
        max_leverage=min(_all("max_leverage", every), default=None),
        max_margin_ratio=min(_all("max_margin_ratio", every), default=None),
        max_position=min(_all("max_position", wide), default=None),
        max_part=min(_all("max_position", own), default=None),
        max_inventory=_inventory(_all("max_inventory", wide), instrument.base),
        max_part_inventory=_inventory(_all("max_inventory", own), instrument.base),
        capital=None if assigned is None else assigned.capital,
        scopes=tuple(scopes.values()),
        wide=tuple(each for kind, each in exposed.items() if kind != STRATEGY),
        own=tuple(each for kind, each in exposed.items() if kind == STRATEGY),
        wallets=state.wallets,
        wallet=state.wallet_key(place[:3]),
    )
    gate.priced = any(
        limit is not None
        for limit in (
            gate.max_order_value,
            gate.price_collar,
            gate.period_collar,
            gate.max_price_age,
            gate.max_position,
            gate.max_part,
            gate.capital,
        )
    ) or any(each.priced for each in gate.scopes)
    return gate


Said = Mapping[str, Parsed]


def _all(control: str, said: list[Said]) -> list[Parsed]:
    """What every scope says of a control, without those that say off or nothing."""
    return [value for each in said if (value := each.get(control)) is not None and value is not False]


def _inventory(said: list[Parsed], base: str) -> Decimal | None:
    return min((each[base] for each in said if base in each), default=None)


def _refusal(
    risk: "Risk", state: "Partition", scopes: tuple[Bounds, ...], account: str, strategy: str
) -> Refused | None:
    said = [each.said for each in scopes]
    missing = [
        name for name in CONTROLS if name not in NOT_OF_ORDERS and not any(name in each for each in said)
    ]
    if missing:
        return Refused(Code.LIMIT_MISSING, f"no scope says anything about {', '.join(missing)}"[:256])
    restricted = [each.totals.scope for each in scopes if each.said.get("restricted")]
    if restricted:
        return Refused(Code.RESTRICTED, f"{' and '.join(restricted)} is restricted"[:256])
    assigned = risk.strategies.get(strategy)
    if assigned is not None and assigned.account != account:
        return Refused(
            Code.STRATEGY_ACCOUNT, f"{strategy} is assigned to {assigned.account}, the order is of {account}"
        )
    # An order that was found at the venue is as one by hand, and can be assigned to nobody.
    by_hand = not strategy or strategy == ADOPTED
    if assigned is None and not by_hand and _all("unassigned_strategies", said) != ["allow"]:
        return Refused(
            Code.STRATEGY_UNASSIGNED,
            f"strategy {strategy!r} is assigned to no account: assign it first (`oms accounts assign`)",
        )
    known = state.accounts.get(account)
    if assigned is None and known is not None and known.kind is AccountKind.STRATEGY:
        return Refused(Code.STRATEGY_ACCOUNT, f"{account} takes only strategies that are assigned to it")
    return None
