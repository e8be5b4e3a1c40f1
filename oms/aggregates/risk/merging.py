"""Merging: from what every scope says to the one gate of an order."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from oms.aggregates.position import PositionKey
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
from oms.aggregates.risk.limits import NOTHING_SAID, Limits
from oms.messages.codes import Code, Refused
from oms.messages.enums import AccountKind

if TYPE_CHECKING:
    from oms.aggregates.partition import Partition
    from oms.aggregates.risk.risk import Risk

NEVER: Final = 2**63
NOT_OF_ORDERS: Final = frozenset({"main_floor", "sub_cap"})
"""What transfers are held against, and orders are not."""
_STRICTEST: Final = ("cancel_both", "cancel_incoming", "cancel_resting")


def merge(risk: "Risk", state: "Partition", place: PositionKey, strategy: str, now: int) -> Gate:
    """The gate of an order of a strategy at a place (exchange, account, market, symbol)."""
    exchange, account, market, symbol = place
    instrument = state.instruments[exchange, market, symbol]
    names = {
        GLOBAL: "",
        EXCHANGE: exchange,
        ACCOUNT: account,
        STRATEGY: strategy,
        INSTRUMENT: f"{exchange}.{market}.{symbol}",
    }
    said = _Said(risk.limits, names, now)
    leaf = risk.leaf(state, place)
    part = risk.part(state, (*place, strategy))
    scopes = {
        kind: risk.total(GLOBAL if kind == GLOBAL else f"{kind}:{name}") for kind, name in names.items()
    }
    wide = [kind for kind in names if kind != STRATEGY]
    latches = tuple(
        found for totals in scopes.values() if (found := risk.latches.get(totals.scope)) is not None
    )
    assigned = risk.strategies.get(strategy)

    def figures(control: str) -> tuple[tuple[Any, Any], ...]:
        wanted = CONTROLS[control].scopes
        return tuple(
            (totals, value)
            for kind, totals in scopes.items()
            if kind in wanted and (value := said.of(kind, control)) is not None
        )

    exposures = figures("max_exposure")
    gate = Gate(
        version=risk.version,
        until=risk.limits.next_end(now) or NEVER,
        leaf=leaf,
        part=part,
        instrument=instrument,
        refused=_refusal(risk, state, said, account, strategy),
        latches=latches,
        allow_reducing=all(each.allow_reduce_only for each in latches),
        reduce_only=any(said.all("reduce_only")),
        self_trade=min(said.all("self_trade"), key=_STRICTEST.index, default="off"),
        max_order_quantity=min(said.all("max_order_quantity"), default=None),
        max_order_value=min(said.all("max_order_value"), default=None),
        price_collar=min(said.all("price_collar"), default=None),
        period_collar=min(said.all("period_collar"), default=None),
        max_price_age=min(said.all("max_price_age"), default=None),
        # The longest window is the strictest, and so is the widest distance.
        duplicate_window=max(said.all("duplicate_window"), default=None),
        min_liquidation_distance=max(said.all("min_liquidation_distance"), default=None),
        max_leverage=min(said.all("max_leverage"), default=None),
        max_margin_ratio=min(said.all("max_margin_ratio"), default=None),
        max_position=min(said.all("max_position", wide), default=None),
        max_part=min(said.all("max_position", [STRATEGY]), default=None),
        max_inventory=_inventory(said.all("max_inventory", wide), instrument.base),
        max_part_inventory=_inventory(said.all("max_inventory", [STRATEGY]), instrument.base),
        capital=None if assigned is None else assigned.capital,
        messages=tuple((totals, totals.messages, count) for totals, count in figures("max_messages")),
        open_orders=figures("max_open_orders"),
        losses=figures("max_daily_loss"),
        drawdowns=figures("max_drawdown"),
        executions=tuple((totals, totals.executions, count) for totals, count in figures("max_executions")),
        rejects=tuple((totals, totals.rejects, count) for totals, count in figures("max_rejects")),
        differences=figures("max_differences"),
        exposures=tuple(each for each in exposures if each[0] is not scopes[STRATEGY]),
        part_exposures=tuple(each for each in exposures if each[0] is scopes[STRATEGY]),
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
    ) or bool(exposures or gate.losses or gate.drawdowns)
    return gate


class _Said:
    """What the scopes that cover an order say, at a time."""

    def __init__(self, limits: Limits, names: dict[str, str], now: int) -> None:
        self._limits = limits
        self._names = names
        self._now = now

    def of(self, kind: str, control: str) -> Parsed:
        """What a scope says; None for off and for nothing."""
        value = self._limits.value(kind, self._names[kind], control, self._now)
        return None if value is NOTHING_SAID else value

    def all(self, control: str, kinds: list[str] | None = None) -> list[Parsed]:
        """What every scope says, without those that say off or nothing."""
        wanted = CONTROLS[control].scopes
        found = (self.of(kind, control) for kind in (kinds or self._names) if kind in wanted)
        return [value for value in found if value is not None and value is not False]

    def missing(self) -> list[str]:
        """Controls that no scope says anything about."""
        return [
            name
            for name, control in CONTROLS.items()
            if name not in NOT_OF_ORDERS
            and all(
                self._limits.value(kind, self._names[kind], name, self._now) is NOTHING_SAID
                for kind in control.scopes
            )
        ]


def _inventory(said: list[Parsed], base: str) -> Decimal | None:
    return min((each[base] for each in said if base in each), default=None)


def _refusal(risk: "Risk", state: "Partition", said: _Said, account: str, strategy: str) -> Refused | None:
    missing = said.missing()
    if missing:
        return Refused(Code.LIMIT_MISSING, f"no scope says anything about {', '.join(missing)}"[:256])
    if said.all("restricted"):
        return Refused(Code.RESTRICTED, "the order's instrument, exchange, account or strategy is restricted")
    assigned = risk.strategies.get(strategy)
    if assigned is not None and assigned.account != account:
        return Refused(
            Code.STRATEGY_ACCOUNT, f"{strategy} is assigned to {assigned.account}, the order is of {account}"
        )
    if assigned is None and strategy and said.of(GLOBAL, "unassigned_strategies") != "allow":
        return Refused(Code.STRATEGY_UNASSIGNED, f"strategy {strategy!r} is assigned to no account")
    known = state.accounts.get(account)
    if assigned is None and known is not None and known.kind is AccountKind.STRATEGY:
        return Refused(Code.STRATEGY_ACCOUNT, f"{account} takes only strategies that are assigned to it")
    return None
