# ruff: noqa: RUF009 - each key is declared by a call, which attrs wants
"""Limits of `whatif`: the file that gives them, the checks that hold orders against them, and which of them bind whom.

:data:`CHECKS` is the one table: a key of the file, and the function that takes the figure which may not be above it. Limits
have scopes: all accounts, an account, an instrument, an account on an instrument. Every one that speaks of an order holds, so
that the tightest wins.
"""

import decimal
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs

from oms import _config_values as v
from oms._config_values import ConfigError
from oms._config_yaml import parse_yaml
from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO
from oms.aggregates.partition import Partition
from oms.aggregates.position import PositionKey
from oms.messages.enums import Side
from replay.asking.whatif_book import Book, Purse, Scope, Working

FILE_BYTES_MAX: Final = 1024 * 1024
_COUNT: Final = v.optional(v.integer(0, 1_000_000_000))
_AMOUNT: Final = v.optional(v.decimal(zero=True))


@attrs.frozen(kw_only=True)
class Limits:
    """What may not be exceeded; None for no limit. `configs/whatif-limits.yaml` says what each means."""

    max_order_quantity: Decimal | None = v.key(_AMOUNT, None)
    max_order_notional: Decimal | None = v.key(_AMOUNT, None)
    max_position: Decimal | None = v.key(_AMOUNT, None)
    max_open_orders: int | None = v.key(_COUNT, None)
    max_open_notional: Decimal | None = v.key(_AMOUNT, None)
    max_position_notional: Decimal | None = v.key(_AMOUNT, None)
    max_daily_loss: Decimal | None = v.key(_AMOUNT, None)
    price_collar: Decimal | None = v.key(_AMOUNT, None)
    max_orders_per_second: int | None = v.key(_COUNT, None)


_ACCOUNT: Final = v.text(r"[A-Za-z0-9_-]{1,32}", "an account")
_INSTRUMENT: Final = v.text(
    r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "an instrument such as binance.spot.BTCUSDT"
)
_LIMITS: Final = v.section(Limits)


@attrs.frozen(kw_only=True)
class LimitsFile:
    """Limits by scope. Instruments are named ``exchange.market.symbol``."""

    default: Limits = v.key(_LIMITS, Limits)
    accounts: Mapping[str, Limits] = v.key(v.mapping_of(_ACCOUNT, _LIMITS), dict)
    instruments: Mapping[str, Limits] = v.key(v.mapping_of(_INSTRUMENT, _LIMITS), dict)
    account_instruments: Mapping[str, Mapping[str, Limits]] = v.key(
        v.mapping_of(_ACCOUNT, v.mapping_of(_INSTRUMENT, _LIMITS)), dict
    )


def read_limits(path: Path) -> LimitsFile:
    """Read a file of limits.

    Raises:
        ConfigError: with the place in the file, what must be there and what was got.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(str(path), f"must be at most {FILE_BYTES_MAX} bytes")
    document = parse_yaml(data, str(path))
    return v.read(LimitsFile, {} if document is None else document, "")


def check_names(limits: LimitsFile, state: Partition) -> None:
    """Hold the names in the file against a state: a limit for a misspelt account would silently bind nobody.

    Raises:
        ConfigError: with the place in the file.
    """
    known = {".".join(key) for key in state.instruments}
    accounts = [("accounts", name) for name in limits.accounts]
    accounts += [("account_instruments", name) for name in limits.account_instruments]
    instruments = [("instruments", name) for name in limits.instruments]
    for account, named in limits.account_instruments.items():
        instruments += [(f"account_instruments.{account}", name) for name in named]
    for place, name in accounts:
        if name not in state.accounts:
            raise ConfigError(f"{place}.{name}", f"must be one of {', '.join(sorted(state.accounts))}")
    for place, name in instruments:
        if name not in known:
            raise ConfigError(
                f"{place}.{name}", "is not listed: must be exchange.market.symbol of the history"
            )


# -- checks


@attrs.frozen(kw_only=True)
class Attempt:
    """An order, or an amend of one, as it is asked for.

    Args:
        quantity: in all; ``leaves``: of it, what is not filled.
        price: its limit; None for an order without one. ``unit``: what one is worth, in the settlement asset; None when
            that cannot be told.
        value_price: mark, or last trade; None when there is neither.
        replaces: what works until the amend is taken.
    """

    key: PositionKey
    instrument: Instrument
    side: Side
    quantity: Decimal
    leaves: Decimal
    price: Decimal | None
    unit: Decimal | None
    value_price: Decimal | None
    reduce_only: bool
    at: int
    replaces: Working | None = None

    @property
    def purse(self) -> Purse:
        return (self.key[1], self.instrument.settle)


Figure = Callable[[Book, Attempt, bool], Decimal | int | None]
"""The figure that the limit is for, if the attempt were let through. The flag: over the whole account, not the instrument
alone. Zero where the limit does not apply, None when the figure cannot be told."""


def _order_quantity(book: Book, attempt: Attempt, wide: bool) -> Decimal:
    return attempt.quantity


def _order_notional(book: Book, attempt: Attempt, wide: bool) -> Decimal | None:
    return None if attempt.unit is None else attempt.quantity * attempt.unit


def _position(book: Book, attempt: Attempt, wide: bool) -> Decimal:
    """The position if everything on this order's side filled: negative where that only brings it nearer to zero."""
    held = book.positions.get(attempt.key)
    quantity = ZERO if held is None else held.quantity
    working = book.open_quantity.get((attempt.key, attempt.side), ZERO) + attempt.leaves
    if attempt.replaces is not None:
        working -= attempt.replaces.leaves
    return quantity + working if attempt.side is Side.BUY else working - quantity


def _position_notional(book: Book, attempt: Attempt, wide: bool) -> Decimal | None:
    price = attempt.value_price if attempt.value_price is not None else attempt.price
    if price is None:
        return None
    return _position(book, attempt, wide) * price * attempt.instrument.contract_size


def _open_orders(book: Book, attempt: Attempt, wide: bool) -> int:
    scope: Scope = attempt.key[1] if wide else attempt.key
    return book.open_orders.get(scope, 0) + (attempt.replaces is None)


def _open_notional(book: Book, attempt: Attempt, wide: bool) -> Decimal | None:
    if attempt.unit is None:
        return None
    found = book.open_notional.get(attempt.purse if wide else attempt.key, ZERO)
    if attempt.replaces is not None:
        found -= attempt.replaces.leaves * attempt.replaces.unit
    return found + attempt.leaves * attempt.unit


def _daily_loss(book: Book, attempt: Attempt, wide: bool) -> Decimal:
    """What was lost today. An order that can only reduce a position is what one wants then."""
    return ZERO if attempt.reduce_only else book.loss(attempt.purse if wide else attempt.key)


_UP: Final = decimal.Context(prec=150, rounding=decimal.ROUND_CEILING)
_QUANTUM: Final = Decimal("1e-18")


def _collar(book: Book, attempt: Attempt, wide: bool) -> Decimal | None:
    """How far the price is from the mark, as a share of it."""
    if attempt.price is None:
        return ZERO
    if attempt.value_price is None:
        return None
    # Rounded up to the places that a limit has, so that it is above the limit exactly when the true share is.
    share = _UP.divide(abs(attempt.price - attempt.value_price), attempt.value_price)
    return share.quantize(_QUANTUM, context=_UP)


def _rate(book: Book, attempt: Attempt, wide: bool) -> int:
    return book.sent(attempt.key[1] if wide else attempt.key, attempt.at) + 1


@attrs.frozen
class Check:
    """A row of the table.

    Args:
        name: the key in the file.
        total: the figure adds up over instruments: a default's or an account's limit is for the whole account.
    """

    name: str
    figure: Figure
    total: bool = False

    @property
    def code(self) -> str:
        """What an order is denied with."""
        return self.name.upper()


CHECKS: Final = (
    Check("max_order_quantity", _order_quantity),
    Check("max_order_notional", _order_notional),
    Check("price_collar", _collar),
    Check("max_orders_per_second", _rate, total=True),
    Check("max_daily_loss", _daily_loss, total=True),
    Check("max_open_orders", _open_orders, total=True),
    Check("max_open_notional", _open_notional, total=True),
    Check("max_position", _position),
    Check("max_position_notional", _position_notional),
)
"""In the order that an order is held against them; it is denied by the first that does not hold."""


@attrs.frozen
class Bound:
    """One limit that binds an account on an instrument. ``scope``: where in the file; ``wide``: over the whole account."""

    check: Check
    limit: Decimal | int
    scope: str
    wide: bool


@attrs.frozen
class Breach:
    """What an attempt is denied by."""

    bound: Bound
    value: Decimal | int


class LimitSet:
    """The limits of a file, by whom they bind.

    Args:
        untold: check → attempts whose figure could not be told, for want of a price.
    """

    def __init__(self, file: LimitsFile) -> None:
        self._file = file
        self._bounds: dict[PositionKey, list[Bound]] = {}
        self.untold: dict[str, int] = {}

    def bounds(self, key: PositionKey) -> list[Bound]:
        """Every limit that binds this account on this instrument, the tightest of its kind alone."""
        found = self._bounds.get(key)
        if found is None:
            found = self._bounds[key] = list(self._tightest(key))
        return found

    def _tightest(self, key: PositionKey) -> Iterator[Bound]:
        file, account, name = self._file, key[1], f"{key[0]}.{key[2]}.{key[3]}"
        wide = [("default", file.default), (f"accounts.{account}", file.accounts.get(account, Limits()))]
        narrow = [
            (f"instruments.{name}", file.instruments.get(name, Limits())),
            (
                f"account_instruments.{account}.{name}",
                file.account_instruments.get(account, {}).get(name, Limits()),
            ),
        ]
        for check in CHECKS:
            groups = [(wide, True), (narrow, False)] if check.total else [(wide + narrow, False)]
            for scopes, over_account in groups:
                given = [
                    (limit, scope)
                    for scope, limits in scopes
                    if (limit := getattr(limits, check.name)) is not None
                ]
                if given:
                    limit, scope = min(given, key=lambda one: one[0])
                    yield Bound(check, limit, scope, over_account)

    def breach(self, book: Book, attempt: Attempt) -> Breach | None:
        """The first limit that the attempt would exceed; None when it may pass."""
        for bound in self.bounds(attempt.key):
            value = bound.check.figure(book, attempt, bound.wide)
            if value is None:
                self.untold[bound.check.name] = self.untold.get(bound.check.name, 0) + 1
            elif value > bound.limit:
                return Breach(bound, value)
        return None


def unit_of(instrument: Instrument, price: Decimal | None) -> Decimal | None:
    """What one unit is worth at a price, in the settlement asset."""
    return None if price is None else price * instrument.contract_size
