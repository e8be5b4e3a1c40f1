"""What the operations of the futures API work with."""

from __future__ import annotations

import attrs

from oms.simulator.exchange import Exchange

from .keys import ListenKeys
from .limits import Limiter


@attrs.frozen
class Desk:
    """`hedged` are the accounts, by name, in hedge mode."""

    exchange: Exchange
    limiter: Limiter
    keys: ListenKeys
    hedged: set[str] = attrs.Factory(set)
