"""Formats: rows to CSV, JSON lines or Parquet, a row at a time, in bounded memory.

Nothing is ever a float. Amounts that come in with a command or a report have at most 20 digits before and 18 after the
point: in Parquet they are ``decimal128(38, 18)``, which holds every one of them and which notebooks compute with. What
is computed from them (a product of two, a sum of those) may have 54 places and more, which no decimal column holds that
every reader reads exactly (some take ``decimal256`` for a double): it is text in Parquet too. In CSV and JSON lines
every decimal is text, digit by digit as it is, without exponent.
"""

import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import IO, Annotated, Any, Final, Literal, Protocol, Union, get_args, get_origin

import attrs
import msgspec

Kind = Literal["text", "bool", "int", "time", "amount", "exact", "json"]
"""``time``: UTC ns. ``amount``: a decimal of at most 20 + 18 digits; ``exact``: any decimal. ``json``: a mapping or list."""

COMPUTED: Final = frozenset(
    (
        "delta",
        "total",
        "reserve_price",
        "realised",
        "cost",
        "expected_cost",
        "margin",
        "locked",
        "free",
        "fees",
        "unrealised",
        "entry_price",
    )
)
"""Decimals that are computed: products and what is made of them. Sums of quantities have the places of an amount."""
ROWS_PER_GROUP: Final = 20_000
"""Rows that are held in memory for one row group of a Parquet file."""


class FormatMissing(Exception):
    """A library that the format needs is not installed. The message says what to install."""


@attrs.frozen
class Column:
    """A column and what is in it; any cell may be null."""

    name: str
    kind: Kind


def columns_of(cls: type[msgspec.Struct]) -> list[Column]:
    """The columns of a struct's fields, in their order."""
    return [Column(field.name, kind_of(field.name, field.type)) for field in msgspec.structs.fields(cls)]


def kind_of(name: str, kind: Any) -> Kind:
    """The kind of a column from its field's name and type.

    Raises:
        TypeError: there is no column for such a type yet.
    """
    types = [one for one in _alternatives(kind) if one not in (type(None), msgspec.UnsetType)]
    found = {_kind(name, one) for one in types}
    if len(found) != 1:
        raise TypeError(f"{name}: a column cannot be {kind}")
    return found.pop()


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _kind(name: str, kind: Any) -> Kind:
    if get_origin(kind) in (dict, list, tuple):
        return "json"
    if kind is Decimal:
        return "exact" if name in COMPUTED else "amount"
    if kind is bool:
        return "bool"
    if kind is int:
        return "time" if name == "at" or name.endswith(("_at", "_time")) else "int"
    if issubclass(kind, str):
        return "text"
    raise TypeError(f"{name}: a column cannot be {kind}")


# -- a file that is whole or not there


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, under another name until it is whole and synced; nothing is left when the block fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


# -- sinks


class Sink(Protocol):
    """Takes rows; every row has no other keys than the columns' names."""

    def write(self, row: dict[str, Any]) -> None:
        """Take one row."""

    def close(self) -> None:
        """Write what is held back. The file stays open."""


class Format(StrEnum):
    """What an export can be written as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def sink(form: Format, columns: list[Column], file: IO[bytes]) -> Sink:
    """What writes rows of these columns to an open file.

    Raises:
        FormatMissing: Parquet without pyarrow.
    """
    return _SINKS[form](columns, file)


def _text(value: Any) -> str:
    """A value as JSON lines and CSV have it, when it is not null."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is Decimal:
        return format(value, "f")
    if kind is bool:
        return "true" if value else "false"
    return str(value)


def _json(value: Any) -> str:
    """A mapping or a list as JSON, decimals as text, keys in order."""
    return json.dumps(value, default=_json_default, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _json_default(value: Any) -> Any:
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else _text(value)


def _plain(value: Any) -> Any:
    """A value as JSON lines have it: the encoder would write some decimals with an exponent."""
    if type(value) is Decimal:
        return format(value, "f")
    return {key: _plain(each) for key, each in value.items()} if type(value) is dict else value


class _Csv:
    """RFC 4180 with a header and ``\\n``. An empty cell: the field is empty, or the row has none."""

    def __init__(self, columns: list[Column], file: IO[bytes]) -> None:
        self._places = {
            column.name: (place, _json if column.kind == "json" else _text)
            for place, column in enumerate(columns)
        }
        self._empty = [""] * len(columns)
        self._file = file
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])

    def write(self, row: dict[str, Any]) -> None:
        cells = self._empty.copy()
        for name, value in row.items():
            if value is not None:
                place, text = self._places[name]
                cells[place] = text(value)
        self._writer.writerow(cells)
        if self._buffer.tell() > 64 * 1024:
            self.close()

    def close(self) -> None:
        self._file.write(self._buffer.getvalue().encode())
        self._buffer.seek(0)
        self._buffer.truncate()


class _Jsonl:
    """One object a line, its keys in the columns' order, without those that are null."""

    def __init__(self, columns: list[Column], file: IO[bytes]) -> None:
        self._places = {column.name: place for place, column in enumerate(columns)}
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def write(self, row: dict[str, Any]) -> None:
        found = {
            name: _plain(row[name])
            for name in sorted(row, key=self._places.__getitem__)
            if row[name] is not None
        }
        self._file.write(self._encode(found) + b"\n")

    def close(self) -> None:
        pass


class _Parquet:
    """Row groups of :data:`ROWS_PER_GROUP`, compressed with zstd."""

    def __init__(self, columns: list[Column], file: IO[bytes]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise FormatMissing("parquet needs pyarrow: pip install 'mexoms[parquet]'") from None
        types: dict[Kind, Any] = {
            "text": pa.string(),
            "bool": pa.bool_(),
            "int": pa.int64(),
            "time": pa.timestamp("ns", tz="UTC"),
            "amount": pa.decimal128(38, 18),
            "exact": pa.string(),
            "json": pa.string(),
        }
        self._columns = columns
        self._schema = pa.schema([(column.name, types[column.kind]) for column in columns])
        self._batch = pa.RecordBatch
        self._array = pa.array
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        arrays = [
            self._array([_CELLS[column.kind](row.get(column.name)) for row in self._rows], type=field.type)
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_batch(self._batch.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()


def _as_is(value: Any) -> Any:
    return value


def _as_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _as_json(value: Any) -> str | None:
    return None if value is None else _json(value)


_CELLS: Final[dict[Kind, Any]] = {
    "text": _as_text,
    "bool": _as_is,
    "int": _as_is,
    "time": _as_is,
    "amount": _as_is,
    "exact": _as_text,
    "json": _as_json,
}
_SINKS: Final[dict[Format, Callable[[list[Column], IO[bytes]], Sink]]] = {
    Format.CSV: _Csv,
    Format.JSONL: _Jsonl,
    Format.PARQUET: _Parquet,
}
