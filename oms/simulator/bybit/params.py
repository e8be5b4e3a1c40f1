"""Parameters of a request, as typed values: texts of a query, or what a JSON body holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .errors import ApiError, bad_param

# The exchange's name of a market → the core's.
CATEGORIES = {"spot": "spot", "linear": "futures"}
ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
MAX_ID = 36
MAX_TEXT = 64


class Params:
    """Reads one request. Everything raises `ApiError` 10001 for what cannot be."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) not in (None, "")

    def text(self, name: str, default: str = "") -> str:
        """Return a text, `default` where there is none."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > 4 * MAX_TEXT:
            raise bad_param(name)
        return value or default

    def need(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.text(name)
        if not value:
            raise ApiError(10001, f"params error: {name} is required")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """Return one of a few texts."""
        value = self.text(name, default) if default else self.need(name)
        if value not in allowed:
            raise bad_param(name)
        return value

    def category(self) -> str:
        """Return `spot` or `linear`; the exchange has others, which are not simulated."""
        value = self.need("category")
        if value not in CATEGORIES:
            raise ApiError(10001, "params error: category is illegal or not simulated")
        return value

    def amount(self, name: str) -> Decimal:
        """Return an amount above 0, 0 where there is none. Amounts are texts, in a JSON body too."""
        value = self.text(name)
        if not value:
            return Decimal(0)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise bad_param(name) from None
        if not amount.is_finite() or amount < 0 or len(value) > MAX_TEXT:
            raise bad_param(name)
        return amount

    def integer(self, name: str, default: int, least: int = 0, most: int = 2**62) -> int:
        """Return a number, `default` where there is none."""
        value = self._values.get(name)
        if value in (None, ""):
            return default
        try:
            number = int(str(value))
        except ValueError:
            raise bad_param(name) from None
        if isinstance(value, bool) or not least <= number <= most:
            raise bad_param(name)
        return number

    def flag(self, name: str) -> bool:
        """Return a JSON boolean, false where there is none."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise bad_param(name)
        return value

    def client_id(self) -> str:
        """Return `orderLinkId`, empty where there is none."""
        value = self.text("orderLinkId")
        if len(value) > MAX_ID or not ID_CHARACTERS.issuperset(value):
            raise bad_param("orderLinkId")
        return value
