"""What a request asks for: a query, a form, or a JSON object, which are one to Upbit; and the texts of them it may hash."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote, urlencode

import msgspec

from oms.simulator.query import split_form

from .errors import invalid


class Params:
    """Names and values; `name[]` may come several times."""

    def __init__(self, pairs: list[tuple[str, str]], texts: tuple[str, ...]) -> None:
        self._pairs = pairs
        self.texts = texts

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def get(self, name: str) -> str | None:
        """The value, None when there is none or an empty one."""
        return next((value for key, value in self._pairs if key == name and value), None)

    def all(self, *names: str) -> list[str]:
        """Every value of a list, however it is written."""
        return [
            part for key, value in self._pairs if key.removesuffix("[]") in names for part in value.split(",")
        ]

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise invalid(f"{name} is missing, {name} does not have a valid value")
        return value

    def amount(self, name: str) -> Decimal:
        """A number above 0, 0 when there is none."""
        text = self.get(name)
        if text is None:
            return Decimal(0)
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise invalid(f"{name} does not have a valid value") from None
        if not value.is_finite() or value <= 0 or len(text) > 40:
            raise invalid(f"{name} does not have a valid value")
        return value

    def integer(self, name: str, default: int, most: int) -> int:
        text = self.get(name)
        if text is None:
            return default
        if not text.isdecimal() or int(text) < 1:
            raise invalid(f"{name} does not have a valid value")
        return min(int(text), most)


def read(query: str, body: bytes, content_type: str) -> Params:
    """Read what came, wherever it stood. Raises `ApiError` when the body is neither a form nor a JSON object."""
    if not body:
        return Params(split_form(query), (query, unquote(query)))
    text = body.decode(errors="replace")
    if not text.lstrip().startswith("{"):
        if "json" in content_type:
            raise invalid("the body must be a JSON object")
        return Params([*split_form(query), *split_form(text)], (text, unquote(text)))
    try:
        found = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise invalid(f"the body must be a JSON object: {error}") from None
    pairs = list(_flat(found))
    plain = "&".join(f"{name}={value}" for name, value in pairs)
    encoded = urlencode(pairs)
    return Params([*split_form(query), *pairs], (plain, encoded, encoded.replace("%5B%5D=", "[]=")))


def _flat(found: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, list):
            for each in value:
                yield (name if name.endswith("[]") else f"{name}[]"), str(each)
        elif value is not None:
            yield name, str(value)
