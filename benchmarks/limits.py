"""Controls of what is measured, in words, for a limit left out would deny: every one off, or every one on and wide."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.aggregates.risk.controls import CONTROLS, DEFAULTS, GLOBAL, KINDS_OF_SCOPE
from oms.messages.controls import BeginControls

_WIDEST: Final = {"unassigned_strategies": "allow", "day_starts_at": "0"}


def _off(controls: Any) -> dict[str, str]:
    return {control: _WIDEST.get(control, "off") for control in controls}


def message(command: BeginControls) -> dict[str, Any]:
    """Its fields, as they go over the wire."""
    fields: dict[str, Any] = msgspec.to_builtins(command)
    del fields["command"]
    return fields


CONTROLS_OFF: Final = BeginControls(
    limits={scope: _off(CONTROLS if scope == GLOBAL else said) for scope, said in DEFAULTS.items()},
    valuations={"USDT": Decimal(1)},
    strategies={},
)
BEGIN: Final = ("begin_controls._._._._", message(CONTROLS_OFF))
"""Subject and fields, for a state without an engine around it."""

_WIDE: Final = {
    "max_order_quantity": "1000000",
    "max_order_value": "1000000000",
    "price_collar": "0.5",
    "period_collar": "0.5",
    "max_price_age": "24h",
    "duplicate_window": "1s",
    "restricted": "off",
    "reduce_only": "off",
    "self_trade": "cancel_incoming",
    "unassigned_strategies": "deny",
    "max_leverage": "100",
    "max_margin_ratio": "0.9",
    "min_liquidation_distance": "0.01",
    "max_position": "100000000000",
    "max_inventory": "BTC=100000000",
    "max_exposure": "1000000000000",
    "max_open_orders": "1000000",
    "max_messages": "10000",
    "max_daily_loss": "1000000000",
    "max_drawdown": "1000000000",
    "max_executions": "10000",
    "max_rejects": "10000",
    "max_differences": "10000",
    "kill_on": "max_daily_loss,max_drawdown,max_executions,max_rejects,max_differences,max_price_age",
    "kill_reduce_only": "on",
    "main_floor": "0",
    "sub_cap": "1000000000000",
    "day_starts_at": "0",
}
CAPITAL: Final = Decimal(10**12)


def controls_on(strategies: dict[str, str]) -> BeginControls:
    """Every control on, in every scope that it knows, and so wide that all passes: what is measured is the checking.

    Args:
        strategies: strategy → the account that it is assigned to, with capital as wide.
    """
    limits = {
        kind if kind == GLOBAL else f"{kind}:*": {
            name: _WIDE[name] for name, control in CONTROLS.items() if kind in control.scopes
        }
        for kind in KINDS_OF_SCOPE
    }
    return BeginControls(
        limits=limits,
        valuations={"USDT": Decimal(1)},
        strategies={name: (account, CAPITAL) for name, account in strategies.items()},
    )
