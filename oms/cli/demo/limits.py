"""The demonstrations' limits: controls stay on, wide enough for what is shown, since what is shown is not a desk's day."""

from decimal import Decimal
from typing import Final

from oms._config_risk import default_limits
from oms.config import RiskConfig

_WIDE: Final = {
    "global": {
        "max_order_value": "1000000",
        "price_collar": "0.5",
        "period_collar": "0.5",
        "max_price_age": "1m",
        "duplicate_window": "off",
        "self_trade": "off",  # both accounts trade both ways round the same price
        "unassigned_strategies": "allow",
        "max_leverage": "20",
        "max_position": "100000000",
        "max_exposure": "1000000000",
        "max_messages": "10000",
        "max_daily_loss": "100000000",
        "max_drawdown": "100000000",
    },
    "account:*": {
        "max_exposure": "1000000000",
        "max_open_orders": "10000",
        "max_messages": "10000",
        "max_daily_loss": "100000000",
        "max_drawdown": "100000000",
        "max_rejects": "off",  # what goes wrong at an exchange is part of what is shown
        "max_differences": "off",
    },
    "strategy:*": {
        "max_position": "100000000",
        "max_daily_loss": "100000000",
        "max_drawdown": "100000000",
        "max_executions": "off",
        "max_rejects": "off",
    },
}


def demo_risk() -> RiskConfig:
    """Wide limits over the default ones, and a rate for what trades in KRW."""
    limits = default_limits()
    for scope, said in _WIDE.items():
        limits[scope] |= said
    valuations = {asset: Decimal(1) for asset in ("USD", "USDT", "USDC")} | {"KRW": Decimal("0.0007")}
    return RiskConfig(limits=limits, valuations=valuations)
