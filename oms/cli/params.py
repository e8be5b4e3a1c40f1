"""What arguments of commands are: amounts, venues, durations, scopes and settings of controls."""

import re
from typing import Final

import click

from oms.client.commands import amount
from oms.messages.codes import Refused
from oms.messages.scopes import parse_scope

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class _Amount(click.ParamType):
    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


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

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", str(value))
        if found is None:
            self.fail(
                f"a duration is a whole number and s, m, h or d, such as 10m, was {value!r}", param, ctx
            )
        return int(found[1]) * _UNITS_S[found[2]] * 10**9


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
"""A number, exactly as it is written: Decimal."""
VENUE: Final = _Venue()
"""``exchange.market``: a pair."""
LIFETIME: Final = _Lifetime()
"""A duration such as ``10m``: nanoseconds."""
SCOPE: Final = _Scope()
"""A scope, as text."""
SETTING: Final = _Setting()
"""``CONTROL=VALUE``: a pair of texts."""
