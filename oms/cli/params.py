"""What arguments of commands are: amounts, venues, durations, scopes and settings of controls."""

import re
from decimal import Decimal
from typing import Final

import click

from oms.aggregates.money import is_amount
from oms.client.commands import amount
from oms.messages.codes import Refused
from oms.messages.scopes import parse_scope

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class _Amount(click.ParamType):
    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            number = amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if number <= 0:
            self.fail(f"must be above zero, was {value}", param, ctx)
        if not is_amount(number):
            self.fail(
                f"has at most 20 digits before and 18 after the point, was {str(value)[:64]}", param, ctx
            )
        # As it is sent and echoed: 1e3 is 1000.
        return Decimal(format(number, "f"))


class AmountCommand(click.Command):
    """A command with amounts among its arguments: one below zero looks like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption:
            below = next((each for each in given if re.fullmatch(r"-[0-9.][0-9.eE]*", each)), None)
            if below is None:
                raise
            raise click.UsageError(f"an amount must be above zero, was {below}", ctx) from None


class _Venue(click.ParamType):
    name = "exchange.market"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if isinstance(value, tuple):
            return value
        exchange, dot, market = str(value).partition(".")
        if not dot or not exchange or not market:
            self.fail(f"a venue is exchange.market, such as binance.spot, was {value!r}", param, ctx)
        return exchange, market


class _Lifetime(click.ParamType):
    name = "duration"

    def __init__(self, most_d: int | None = None) -> None:
        self._most_d = most_d

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", str(value))
        if found is None:
            self.fail(
                f"a duration is a whole number and s, m, h or d, such as 10m, was {value!r}", param, ctx
            )
        lifetime = int(found[1]) * _UNITS_S[found[2]] * 10**9
        if self._most_d is not None and lifetime > self._most_d * _UNITS_S["d"] * 10**9:
            self.fail(f"at most {self._most_d}d, was {value}", param, ctx)
        return lifetime


class _Scope(click.ParamType):
    name = "scope"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return str(parse_scope(str(value)))
        except Refused as refused:
            self.fail(refused.message, param, ctx)


class _Setting(click.ParamType):
    name = "control=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if isinstance(value, tuple):
            return value
        control, equals, text = str(value).partition("=")
        if not control or not equals or not text:
            self.fail(f"a limit is CONTROL=VALUE, such as max_order_value=10000, was {value!r}", param, ctx)
        return control, text


AMOUNT: Final = _Amount()
"""A number above zero, exactly as it is written: Decimal."""
VENUE: Final = _Venue()
"""``exchange.market``: a pair."""
LIFETIME: Final = _Lifetime()
"""A duration such as ``10m``: nanoseconds."""
OVERRIDE: Final = _Lifetime(7)
"""How long an override may last."""
SCOPE: Final = _Scope()
"""A scope, as text."""
SETTING: Final = _Setting()
"""``CONTROL=VALUE``: a pair of texts."""
