"""Every control off, in words: what is measured is not held up by a limit, and a limit left out would deny."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.aggregates.risk.controls import CONTROLS, DEFAULTS
from oms.messages.controls import BeginControls

_WIDEST: Final = {"unassigned_strategies": "allow", "day_starts_at": "0"}


def _off(controls: Any) -> dict[str, str]:
    return {control: _WIDEST.get(control, "off") for control in controls}


def _message(command: BeginControls) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(command)
    del fields["command"]
    return fields


CONTROLS_OFF: Final = BeginControls(
    limits={scope: _off(CONTROLS if scope == "global" else said) for scope, said in DEFAULTS.items()},
    valuations={"USDT": Decimal(1)},
    strategies={},
)
BEGIN: Final = ("begin_controls._._._._", _message(CONTROLS_OFF))
"""Subject and fields, for a state without an engine around it."""
