"""Notation: how venues write times and amounts, and how we read and write them, exactly."""

from decimal import Decimal
from typing import Final

NS_PER_MS: Final = 1_000_000
RETRY_AFTER_S: Final = 30.0
"""How long to stay away when the venue throttles without saying until when."""


def at_ms(milliseconds: int | str) -> int:
    """UTC ns of a venue's milliseconds."""
    return int(milliseconds) * NS_PER_MS


def optional(amount: str | None) -> Decimal | None:
    """An amount that a venue leaves out, or writes as nothing or zero, where it has none."""
    return (Decimal(amount) or None) if amount else None


def plain(amount: str) -> Decimal:
    """Without the zeros that venues pad with, and never with an exponent."""
    value = Decimal(amount).normalize()
    return value.quantize(Decimal(1)) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]


def text(amount: Decimal) -> str:
    """As venues take it: digits, never an exponent."""
    return format(amount, "f")


def seconds(value: str | None) -> float:
    """A waiting time from a header, :data:`RETRY_AFTER_S` where there is none."""
    try:
        return max(float(value), 0.0)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return RETRY_AFTER_S


NAMELESS: Final = "#"


def named(client_id: str | None, venue_order_id: str) -> str:
    """The client id of an order, or one made of the venue's own id where nobody gave it one."""
    return client_id or f"{NAMELESS}{venue_order_id}"


def nameless(client_id: str) -> str | None:
    """The venue's id of an order that nobody gave a client id; None for one that has one."""
    return client_id.removeprefix(NAMELESS) if client_id.startswith(NAMELESS) else None
