"""Request parameters: read with their patterns, and refused when one is left unread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from . import errors

# Amounts on Binance's wire have this many decimals.
PLACES = 8

_DECIMAL = re.compile(errors.DECIMAL_PATTERN, re.ASCII)
_INTEGER = re.compile(errors.INTEGER_PATTERN, re.ASCII)


class Params:
    """The parameters of one request. Reading one ticks it off; `finish` refuses the request if any is left."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._read: set[str] = set()

    @classmethod
    def from_pairs(cls, pairs: list[tuple[str, str]]) -> Params:
        """Raise `ApiError` -1101 when a name comes twice."""
        values: dict[str, str] = {}
        for name, value in pairs:
            if name in values:
                raise errors.duplicate_parameter(name)
            values[name] = value
        return cls(values)

    def text(self, name: str, pattern: str | None = None) -> str | None:
        """Return the value, None when absent or empty. Raises `ApiError` -1100 when it breaks `pattern`."""
        self._read.add(name)
        value = self._values.get(name)
        if not value:
            return None
        if pattern is not None and re.fullmatch(pattern, value, re.ASCII) is None:
            raise errors.illegal(name, pattern)
        return value

    def need(self, name: str, pattern: str | None = None) -> str:
        """Return the value. Raises `ApiError` -1102 when absent or empty."""
        value = self.text(name, pattern)
        if value is None:
            raise errors.missing(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if _INTEGER.match(value) is None:
            raise errors.illegal(name, errors.INTEGER_PATTERN)
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """Return the value. Raises `ApiError` -1100 when it is no plain decimal, -1111 beyond eight decimals."""
        value = self.text(name)
        if value is None:
            return None
        if _DECIMAL.match(value) is None:
            raise errors.illegal(name, errors.DECIMAL_PATTERN)
        number = Decimal(value)
        if -int(number.normalize().as_tuple().exponent) > PLACES:
            raise errors.too_precise(name)
        return number

    def boolean(self, name: str) -> bool:
        """Return the value, False when absent. Raises `ApiError` -1100 for anything but true and false."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise errors.illegal(name, "^(true|false)$")
        return value == "true"

    def limit(self, default: int, maximum: int) -> int:
        """Return the `limit` parameter; more than `maximum` means `maximum`."""
        value = self.integer("limit")
        if value == 0:
            raise errors.illegal("limit", errors.INTEGER_PATTERN)
        return min(value or default, maximum)

    def finish(self) -> None:
        """Raise `ApiError` -1104 when a parameter was sent that nobody reads."""
        unread = [name for name in self._values if name not in self._read]
        if unread:
            raise errors.unread(len(self._values) - len(unread), len(self._values))
