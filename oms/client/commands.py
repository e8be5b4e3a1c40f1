"""Commands as a client makes them: sensible defaults in, exact wire form out."""

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.messages.codec import MAX_BULK, MAX_MESSAGE_BYTES
from oms.messages.commands import PlaceOrder
from oms.messages.enums import OrderType, Side, TimeInForce

Number = Decimal | str | int
"""An amount. Never a float: what is written as 0.1 would not be 0.1."""

_encode: Final = msgspec.json.Encoder().encode


def new_command_id() -> str:
    """An idempotency key of 32 hex digits that nobody else makes."""
    return uuid.uuid4().hex


def amount(value: Number) -> Decimal:
    """Return an amount exactly as it was written.

    Raises:
        TypeError: for a float. ValueError: for text that is no finite decimal.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise TypeError(f"an amount is a Decimal, a str or an int, was {type(value).__name__} {value!r}")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"an amount is a decimal number, was {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"an amount is finite, was {value!r}")
    return number


def new_order(
    symbol: str,
    side: Side | str,
    quantity: Number,
    *,
    price: Number | None = None,
    trigger_price: Number | None = None,
    type: OrderType | str | None = None,  # noqa: A002 - the wire's own word
    time_in_force: TimeInForce | str = TimeInForce.GTC,
    expires_at: int | None = None,
    post_only: bool = False,
    reduce_only: bool = False,
    strategy: str = "",
    client_order_id: str = "",
    exchange: str = "binance",
    market: str = "spot",
    command_id: str | None = None,
) -> PlaceOrder:
    """Make the command that places one order, with every field of :class:`oms.messages.commands.PlaceOrder`.

    ``type`` follows from the prices when it is not given: with ``price`` limit, without market, and with
    ``trigger_price`` the stop of each. ``expires_at`` is in UTC nanoseconds and makes the order GTD.

    Raises:
        TypeError, ValueError: a field is not what it must be.
    """
    if type is None:
        kind = "limit" if price is not None else "market"
        type = f"stop_{kind}" if trigger_price is not None else kind  # noqa: A001
    return PlaceOrder(
        command_id=command_id or new_command_id(),
        exchange=exchange,
        market=market,
        symbol=symbol,
        side=Side(side),
        type=OrderType(type),
        quantity=amount(quantity),
        price=None if price is None else amount(price),
        trigger_price=None if trigger_price is None else amount(trigger_price),
        time_in_force=TimeInForce.GTD if expires_at is not None else TimeInForce(time_in_force),
        expires_at=expires_at,
        post_only=post_only,
        reduce_only=reduce_only,
        strategy=strategy,
        client_order_id=client_order_id,
    )


def plain(value: Any) -> Any:
    """Return what JSON can hold, with decimals as text and never with an exponent: the wire takes none."""
    return _plain(msgspec.to_builtins(value, builtin_types=(Decimal,)))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def encode(message: Any) -> bytes:
    """A command or a question as it goes over the wire."""
    return _encode(plain(message))


def bulks(commands: Iterable[bytes]) -> list[list[bytes]]:
    """Split commands, in order, into bulks within the wire's limits."""
    found: list[list[bytes]] = [[]]
    size = 2
    for command in commands:
        if found[-1] and (len(found[-1]) == MAX_BULK or size + len(command) + 1 > MAX_MESSAGE_BYTES):
            found.append([])
            size = 2
        found[-1].append(command)
        size += len(command) + 1
    return [bulk for bulk in found if bulk]
