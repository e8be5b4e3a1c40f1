"""Limits that limit nothing, said in words: for tests of everything but limits, since a limit left out denies."""

from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.risk.controls import CONTROLS, DEFAULTS
from oms.config import Config, RiskConfig, load_config
from oms.messages.controls import BeginControls

_WIDEST: Final = {"unassigned_strategies": "allow", "day_starts_at": "0"}
"""What cannot be off."""


def _off(controls: Any) -> dict[str, str]:
    return {control: _WIDEST.get(control, "off") for control in controls}


WIDE: Final = {"global": _off(CONTROLS)} | {
    scope: _off(said) for scope, said in DEFAULTS.items() if scope != "global"
}
"""Scope → control → value, where the defaults would limit something."""
VALUATIONS: Final = {"USD": Decimal(1), "USDT": Decimal(1), "USDC": Decimal(1)}

RISK: Final = RiskConfig(limits=WIDE, valuations=VALUATIONS, strategies={})
"""The section of a configuration."""
CONTROLS_OFF: Final = BeginControls(limits=WIDE, valuations=VALUATIONS, strategies={})
"""What an engine begins with."""
BEGIN_SUBJECT: Final = "begin_controls._._._._"
BEGIN: Final = msgspec.to_builtins({"limits": WIDE, "valuations": VALUATIONS, "strategies": {}})
"""The same as a message, for a state without an engine around it."""


def wide_config() -> Config:
    """The default configuration without its limits."""
    return attrs.evolve(load_config(), risk=RISK)
