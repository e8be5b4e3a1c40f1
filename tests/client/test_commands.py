"""Commands as a client makes them: exact amounts, sensible defaults, bounded bulks."""

import json
from decimal import Decimal

import pytest

from oms.client import new_order
from oms.client.commands import amount, bulks, encode, new_command_id
from oms.messages.codec import MAX_BULK, MAX_MESSAGE_BYTES, decode_command
from oms.messages.codes import Refused
from oms.messages.enums import OrderType, TimeInForce


@pytest.mark.parametrize(
    "prices, kind",
    [
        ({}, OrderType.MARKET),
        ({"price": "1"}, OrderType.LIMIT),
        ({"trigger_price": "1"}, OrderType.STOP_MARKET),
        ({"price": "1", "trigger_price": "1"}, OrderType.STOP_LIMIT),
    ],
)
def test_the_type_follows_from_the_prices(prices: dict[str, str], kind: OrderType) -> None:
    """A trader names prices, and the order is of the type that has them."""
    assert new_order("BTCUSDT", "buy", "1", **prices).type is kind  # type: ignore[arg-type]


def test_an_end_makes_it_good_till_date() -> None:
    """Whoever gives expires_at means GTD."""
    assert new_order("BTCUSDT", "buy", 1, price=1, expires_at=5).time_in_force is TimeInForce.GTD


@pytest.mark.parametrize("value", [0.1, True, None])
def test_a_float_is_no_amount(value: object) -> None:
    """What is not exact is refused before it is sent."""
    with pytest.raises(TypeError, match="Decimal, a str or an int"):
        amount(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "1,5", "NaN", "Infinity", "half"])
def test_a_word_is_no_amount(value: str) -> None:
    """Only a finite decimal is an amount."""
    with pytest.raises(ValueError, match="was"):
        amount(value)


@pytest.mark.parametrize("quantity", ["0.00000001", "1E-8", "1E+3", "0.5"])
def test_the_wire_form_has_no_exponent(quantity: str) -> None:
    """Whatever Decimal prints, the engine gets digits that it takes."""
    raw = encode(new_order("BTCUSDT", "buy", Decimal(quantity), price="50000"))
    assert "E" not in json.loads(raw)["quantity"]
    assert decode_command("place", raw).quantity == Decimal(quantity)


def test_ids_are_fresh() -> None:
    """Two commands never share an idempotency key."""
    assert new_command_id() != new_command_id()
    assert len(new_command_id()) == 32


@pytest.mark.parametrize("count, size", [(1, 10), (MAX_BULK + 1, 10), (3, MAX_MESSAGE_BYTES // 2), (0, 1)])
def test_bulks_stay_within_the_limits_and_lose_nothing(count: int, size: int) -> None:
    """However many commands there are, each message is one that the engine takes, and all are sent in order."""
    commands = [str(number).encode().rjust(size, b" ") for number in range(count)]
    made = bulks(commands)
    assert [command for bulk in made for command in bulk] == commands
    for bulk in made:
        assert 0 < len(bulk) <= MAX_BULK
        assert len(b"[" + b",".join(bulk) + b"]") <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("quantity", ["1E-8", "1e-8", "1E-999999999", "1E+3", "0.0000000000000000001", "NaN"])
def test_an_exponent_is_refused_however_small(quantity: str) -> None:
    """The engine takes 0.00000001 and not 1E-8, and spells no exponent out to find that."""
    raw = encode(new_order("BTCUSDT", "buy", "5", price="50000")).replace(b'"5"', f'"{quantity}"'.encode())
    with pytest.raises(Refused, match="INVALID_DECIMAL"):
        decode_command("place", raw)
