"""``oms replay limits``: every limit as it was in force, what was used of it, and who had set it."""

from typing import Final

import click

from oms.cli import render
from oms.cli.exits import EPILOG
from oms.cli.risk import COLUMNS
from oms.messages.queries import ShowLimits
from replay.asking import rows
from replay.asking.asof import BOOKS
from replay.asking.filters import Filters
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import as_of_options, ask, exactly, head, print_head, show

_COLUMNS: Final = (
    *COLUMNS,
    render.Column("SET BY", lambda row: row.stated.by),
    render.Column("SET (UTC)", lambda row: render.time_text(row.stated.at)),
    render.Column("SEQUENCE", lambda row: row.stated.sequence),
)


@click.command(epilog=EPILOG)
@click.option("--scope", default="", metavar="PREFIX", help="Only scopes that begin so, such as account:.")
@click.option("--control", metavar="NAME", help="Only this control.")
@click.option("--near", is_flag=True, help="Only what was at 80 % of its limit or more, or killed.")
@click.option("--killed", is_flag=True, help="Only scopes whose kill switch was engaged.")
@c.filter_options("account", "exchange", "market", "symbol")
@as_of_options
def limits(
    at: Moment | None,
    from_zero: bool,
    as_json: bool,
    where: c.Where,
    filters: Filters,
    scope: str,
    control: str | None,
    near: bool,
    killed: bool,
) -> None:
    """Show every limit as it was in force, by scope: what was used of it, what was left, and who had set it when.

    The rows are those of `oms risk` at that moment, with the event that each comes from. An account, exchange, market or
    symbol means the scopes that name it.
    """
    found = ask(where, at, read_models=BOOKS, from_zero=from_zero, filters=filters)
    now = found.head.at if at is None or at.time is None else at.time
    with exactly():
        query = ShowLimits(scope=scope, control=control, near=near, latched=killed)
        shown = rows.limits(found.history, filters, query, now)
    if as_json:
        render.print_json({**head(found), "rows": shown})
        return
    print_head(found.head)
    show(_COLUMNS, shown, "no limits")
