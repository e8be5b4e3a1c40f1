"""How the values of a configuration file are read, refused and written back; a class of `attrs` is a section.

A parser takes a value as YAML gave it and the dotted place it stood at, and returns what the configuration holds or
raises `ConfigError`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

T = TypeVar("T")
Parser = Callable[[object, str], T]

_ENTRIES_MAX = 1_000
_GOT_CHARS_MAX = 80

UNITS_NS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
}
_DURATION_NS_MAX = 3_650 * UNITS_NS["d"]


class ConfigError(Exception):
    """A configuration that is refused.

    `place` is the dotted path of the key, or the file; `reason` says what must be and what was got. `code` is
    always `CONFIG_INVALID`.
    """

    code = "CONFIG_INVALID"

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


def got(value: object) -> str:
    """Return what was got, shortly, for a refusal."""
    if isinstance(value, int) and abs(value) > 10**_GOT_CHARS_MAX:
        return f"an integer of {value.bit_length()} bits"
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _short(repr(value))


def boolean(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(place, f"must be true or false, was {got(value)}")
    return value


def integer(minimum: int, maximum: int) -> Parser[int]:
    kind = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"

    def parse(value: object, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ConfigError(place, f"must be {kind}, was {got(value)}")
        if value > maximum:
            raise ConfigError(place, f"must be at most {maximum}, was {got(value)}")
        return value

    return parse


def duration(minimum: str) -> Parser[int]:
    def parse(value: object, place: str) -> int:
        ns = to_ns(value) if isinstance(value, str) else None
        if ns is None:
            raise ConfigError(
                place, f'must be a duration such as "200ms", "30s", "5m" or "1h", was {got(value)}'
            )
        if not (to_ns(minimum) or 0) <= ns <= _DURATION_NS_MAX:
            raise ConfigError(
                place, f"must be between {minimum} and {from_ns(_DURATION_NS_MAX)}, was {value}"
            )
        return ns

    return parse


def remainder(value: Decimal, unit: Decimal) -> Decimal:
    """Return `value % unit`, exactly for any decimals that `decimal` lets pass."""
    return Context(prec=100).remainder(value, unit)


def without_password(url: str) -> str:
    """Return the addresses with their user and password left out."""
    return repr(re.sub(r"//[^@,/]*@", "//…@", url))


def to_ns(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,12})(ms|[smhd])", text)
    return int(match[1]) * UNITS_NS[match[2]] if match else None


def from_ns(ns: int) -> str:
    unit = next(unit for unit, size in UNITS_NS.items() if ns % size == 0)
    return f"{ns // UNITS_NS[unit]}{unit}"


def decimal(*, zero: bool) -> Parser[Decimal]:
    kind = "zero or a positive decimal" if zero else "a positive decimal"

    def parse(value: object, place: str) -> Decimal:
        # Only strings: YAML would read 0.1 as a float, which is another number.
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,18})?", value):
            raise ConfigError(place, f'must be {kind} in quotes, such as "0.01", was {got(value)}')
        amount = Decimal(value)
        if amount < 0 or (amount == 0 and not zero):
            raise ConfigError(place, f"must be {kind}, was {value}")
        return amount

    return parse


def text(pattern: str, kind: str) -> Parser[str]:
    def parse(value: object, place: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ConfigError(place, f"must be {kind}, was {got(value)}")
        return value

    return parse


def name(value: object, place: str) -> str:
    # A lone underscore means "does not apply" in a subject.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,32}", value) or value == "_":
        raise ConfigError(
            place, f"must be a name of 1 to 32 letters, digits or underscores, was {got(value)}"
        )
    return value


def choice(choices: type[StrEnum] | tuple[str, ...]) -> Parser[Any]:
    def parse(value: object, place: str) -> Any:
        for choice in choices:
            if isinstance(value, str) and value == choice:
                return choice
        raise ConfigError(place, f"must be one of {', '.join(choices)}, was {got(value)}")

    return parse


def path(value: object, place: str) -> Path:
    # A shell expands the tilde; here it would make a directory of that name.
    if not isinstance(value, str) or not value.strip() or "\0" in value or value.startswith("~"):
        raise ConfigError(place, f"must be a path, and not start with a tilde, was {got(value)}")
    return Path(value)


def urls(schemes: tuple[str, ...]) -> Parser[str]:
    example = f"{schemes[0]}://127.0.0.1:{4222 if schemes[0] == 'nats' else 8222}"

    def parse(value: object, place: str) -> str:
        # A refused address is not repeated: it may hold a password.
        if not isinstance(value, str):
            raise ConfigError(place, f"must be an address such as {example}, was {got(value)}")
        for number, part in enumerate(value.split(","), start=1):
            try:
                url = urlsplit(part.strip())
                valid = url.scheme in schemes and bool(url.hostname) and url.port != 0
            except ValueError:
                valid = False
            if not valid:
                raise ConfigError(
                    place,
                    f"must be an address such as {example}, or several separated by commas: number {number} is not",
                )
        return value

    return parse


def optional(parser: Parser[T]) -> Parser[T | None]:
    return lambda value, place: None if value is None else parser(value, place)


def list_of(parser: Parser[T]) -> Parser[tuple[T, ...]]:
    def parse(value: object, place: str) -> tuple[T, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= _ENTRIES_MAX:
            raise ConfigError(place, f"must be a list of 1 to {_ENTRIES_MAX} entries, was {got(value)}")
        items = tuple(parser(item, f"{place}[{index}]") for index, item in enumerate(value))
        for index, item in enumerate(items):
            if item in items[:index]:
                raise ConfigError(f"{place}[{index}]", f"must be given once, was given before: {item}")
        return items

    return parse


def mapping_of(name: Parser[str], parser: Parser[T]) -> Parser[Mapping[str, T]]:
    def parse(value: object, place: str) -> Mapping[str, T]:
        entries = _entries(value, place)
        if len(entries) > _ENTRIES_MAX:
            raise ConfigError(place, f"must have at most {_ENTRIES_MAX} entries, was {len(entries)}")
        return {
            name(key, below(place, key)): parser(item, below(place, key)) for key, item in entries.items()
        }

    return parse


def section(cls: type[T]) -> Parser[T]:
    return lambda value, place: read(cls, value, place)


def _fields(cls: type[Any]) -> tuple["attrs.Attribute[Any]", ...]:
    return tuple(attrs.fields(cls))


def below(place: str, key: str) -> str:
    """Return the place of a key, shortly."""
    return f"{place}.{_short(key)}" if place else _short(key)


def _short(text: str) -> str:
    return text if len(text) <= _GOT_CHARS_MAX else f"{text[:_GOT_CHARS_MAX]}…"


def _entries(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(place, f"must be a mapping, was {got(value)}")
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(place, f"must have strings as keys, was {got(key)}: put it in quotes")
    return value


def read(cls: type[T], value: object, place: str) -> T:
    """Make a `cls` of a mapping, every key read by the parser that `key` declared it with."""
    fields = {field.name: field for field in _fields(cls)}
    values = {}
    for key, item in _entries(value, place or "the file").items():
        if key not in fields:
            raise ConfigError(below(place, key), f"is not a key here: the keys are {', '.join(fields)}")
        values[key] = fields[key].metadata["parser"](item, below(place, key))
    for key, field in fields.items():
        if key not in values and field.default is attrs.NOTHING:
            raise ConfigError(below(place, key), "is missing and has no default")
    return cls(**values)


def key(
    parser: Parser[T],
    default: object = attrs.NOTHING,
    *,
    dump: Callable[[Any], Any] | None = None,
    show: Callable[[Any], str] | None = None,
) -> Any:
    """Declare a key; a callable default makes a new value each time.

    `dump` is the inverse of `parser` where `plain` is not; `show` is what a repr has in place of the value.
    """
    if callable(default):
        default = attrs.Factory(default)
    return attrs.field(default=default, metadata={"parser": parser, "dump": dump or plain}, repr=show or True)


def plain(value: object) -> Any:
    """Return the value, or a whole section, as YAML would have given it."""
    if attrs.has(type(value)):
        return {
            field.name: field.metadata["dump"](getattr(value, field.name)) for field in _fields(type(value))
        }
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Path | StrEnum):
        return str(value)
    return value
