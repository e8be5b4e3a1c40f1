"""What a venue can do, as its connector declares it. What it cannot do is refused before anything is sent."""

from enum import auto
from typing import Annotated

import msgspec

from oms.messages.enums import OrderType, StrEnum, TimeInForce


class Feature(StrEnum):
    """One thing that some venues can do and others cannot."""

    POST_ONLY = auto()
    REDUCE_ONLY = auto()
    AMEND = auto()
    AMEND_IN_PLACE = auto()
    """An amend changes the venue order itself, under the same client order id; otherwise it makes a new one."""
    LEVERAGE = auto()
    MARGIN_MODE = auto()
    TRANSFER = auto()
    POSITIONS = auto()
    """The venue holds positions, with margin and funding."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What orders a market takes, and what else it does.

    Args:
        wallet: where the market's funds are: its own name, or one that it shares with other markets of the exchange.
    """

    order_types: Annotated[tuple[OrderType, ...], msgspec.Meta(max_length=16)]
    times_in_force: Annotated[tuple[TimeInForce, ...], msgspec.Meta(max_length=16)]
    features: Annotated[tuple[Feature, ...], msgspec.Meta(max_length=32)]
    wallet: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,32}$")]
