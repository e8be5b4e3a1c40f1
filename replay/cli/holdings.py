"""``oms replay positions``, ``balances`` and ``pnl``: what was held and earned, as it was."""

import datetime
from typing import get_args

import click

from oms.cli import render
from oms.cli.exits import EPILOG
from oms.messages import queries as q
from oms.projections.pnl import EARLIER
from replay.asking import rows
from replay.asking.asof import BOOKS
from replay.asking.filters import Filters
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import as_of_options, ask, exactly, head, print_head, show


@click.command(epilog=EPILOG)
@click.option("--all", "flat_too", is_flag=True, help="Flat positions too.")
@c.filter_options("account", "exchange", "market", "symbol")
@as_of_options
def positions(
    at: Moment | None, from_zero: bool, as_json: bool, where: c.Where, filters: Filters, flat_too: bool
) -> None:
    """Show positions as they were, valued at the mark of that moment."""
    found = ask(where, at, read_models=None, from_zero=from_zero, filters=filters)
    with exactly():
        shown = list(rows.positions(found.history, filters, flat=flat_too))
    if as_json:
        render.print_json({**head(found), "rows": shown})
        return
    print_head(found.head)
    show(render.POSITIONS, shown, "no open positions")


@click.command(epilog=EPILOG)
@click.option("--asset", metavar="ASSET", help="Only this asset.")
@c.filter_options("account", "exchange", "market")
@as_of_options
def balances(
    at: Moment | None, from_zero: bool, as_json: bool, where: c.Where, filters: Filters, asset: str | None
) -> None:
    """Show balances as they were: total, what orders locked, and what was free."""
    found = ask(where, at, read_models=None, from_zero=from_zero, filters=filters)
    with exactly():
        shown = list(rows.balances(found.history, filters, asset=asset))
    if as_json:
        render.print_json({**head(found), "rows": shown})
        return
    print_head(found.head)
    show(render.BALANCES, shown, "no balances")


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None or value == EARLIER:
        return value
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        raise click.BadParameter(f"must be a day such as 2026-11-21, was {value!r}") from None


def _dimensions(ctx: click.Context, param: click.Parameter, value: str) -> list[q.Dimension]:
    known = get_args(q.Dimension)
    found: list[q.Dimension] = []
    for word in filter(None, (part.strip() for part in value.split(","))):
        if word not in known or word in found:
            raise click.BadParameter(f"takes {', '.join(known)}, each once, was {value!r}")
        found.append(word)  # type: ignore[arg-type]
    return found


@click.command(epilog=EPILOG)
@click.option(
    "--by",
    default="account,strategy,symbol",
    show_default=True,
    metavar="LIST",
    callback=_dimensions,
    help="What to tell apart: account, strategy, symbol, day, with commas between.",
)
@click.option(
    "--day",
    metavar="YYYY-MM-DD",
    callback=_day,
    help="Only this UTC day; what was still open is then left out.",
)
@c.filter_options("account", "exchange", "market", "symbol", "strategy")
@as_of_options
def pnl(
    at: Moment | None,
    from_zero: bool,
    as_json: bool,
    where: c.Where,
    filters: Filters,
    by: list[q.Dimension],
    day: str | None,
) -> None:
    """Show profit and loss as it was: realised, unrealised at the mark of that moment, fees, and net."""
    found = ask(where, at, read_models=BOOKS, from_zero=from_zero, filters=filters)
    with exactly():
        shown, totals = rows.pnl_rows(found.history, filters, by, day)
    if as_json:
        render.print_json({**head(found), "rows": shown, "totals": totals})
        return
    print_head(found.head)
    show(render.PNL, shown, "no trades yet")
    if len(shown) > 1:
        show(render.TOTALS, totals, "")
