"""Exact decimal arithmetic.

Quantities and prices have at most 20 digits before and 18 after the point, so a product has at most 76 digits and sums
of products stay far below the precision here. Anything that would have to be rounded raises ``decimal.Inexact``: a
rounding that nobody asked for is a defect, not a detail. The two divisions, :func:`share` and :func:`quotient_up`, round on
purpose.
"""

import decimal
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

EXACT = decimal.Context(
    prec=150,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999999,
    Emax=999999,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
"""The context that every decide and evolve runs in; see :func:`exactly`."""


@contextmanager
def exactly() -> Iterator[None]:
    """Compute in :data:`EXACT` itself until the block ends: no copy, so that who is called can tell that it is set."""
    before = decimal.getcontext()
    decimal.setcontext(EXACT)
    try:
        yield
    finally:
        decimal.setcontext(before)


_ROUNDING = decimal.Context(prec=150, rounding=decimal.ROUND_HALF_EVEN, Emin=-999999, Emax=999999)
_UPWARDS = decimal.Context(prec=150, rounding=decimal.ROUND_UP, Emin=-999999, Emax=999999)
_QUANTUM = Decimal("1e-18")

ZERO = Decimal(0)
ONE = Decimal(1)
MAX_AMOUNT = Decimal(10) ** 20


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``amount * part / whole``, to 18 places half even; exactly ``amount`` when part is whole.

    Whoever takes this share leaves ``amount - share``, so nothing is lost or made by the rounding.
    """
    if part == whole:
        return amount
    return _ROUNDING.quantize(_ROUNDING.divide(_ROUNDING.multiply(amount, part), whole), _QUANTUM)


def quotient_up(amount: Decimal, whole: Decimal) -> Decimal:
    """``amount / whole``, both positive or zero amount, to 18 places upwards, with no idle zeros: what is set aside covers it."""
    found = _UPWARDS.quantize(_UPWARDS.divide(amount, whole), _QUANTUM)
    return fewest_places(found)


def is_amount(value: Decimal) -> bool:
    """Whether a value is finite, below 10^20 in size and without places after the 18th."""
    # Quantized without traps: the remainder of a value with hundreds of places would itself have to be rounded.
    return (
        value.is_finite()
        and -MAX_AMOUNT < value < MAX_AMOUNT
        and value == value.quantize(_QUANTUM, context=_ROUNDING)
    )


def fewest_places(unit: Decimal) -> Decimal:
    """The same value with no zeros at its end and no exponent above 0: 0.01 for 0.0100, 10 for 1E+1."""
    unit = unit.normalize(_ROUNDING)
    return unit if unit == 0 or unit % ONE else unit.quantize(ONE, context=_ROUNDING)
