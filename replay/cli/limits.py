"""``oms replay limits``: what was allowed, used and left."""

from typing import Final

import click

from oms.cli import render
from oms.cli.exits import EPILOG
from oms.messages.subjects import ANY
from replay.asking.filters import Filters
from replay.asking.limits import LimitRow
from replay.asking.limits import limits as rows
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import as_of_options, ask, exactly, head, print_head, show


def _scope(row: LimitRow) -> str:
    named = (row.exchange, row.account, row.market, row.symbol)
    return ".".join(name for name in named if name != ANY) or "everyone"


_LIMITS: Final = (
    render.Column("CONTROL", lambda row: row.control),
    render.Column("FOR", _scope),
    render.Column("LIMIT", lambda row: "none" if row.limit is None else row.limit),
    render.Column("USE", lambda row: "" if row.use is None else row.use),
    render.Column("HEADROOM", lambda row: "" if row.headroom is None else row.headroom),
    render.Column("IN", lambda row: row.unit),
    render.Column("CODE", lambda row: row.code.value, lambda _row: "dim"),
)


@click.command(epilog=EPILOG)
@c.filter_options("account", "exchange", "market", "symbol")
@as_of_options
def limits(at: Moment | None, from_zero: bool, as_json: bool, where: c.Where, filters: Filters) -> None:
    """Show every control as it was: its limit, what was used of it, and what was left.

    What holds for all accounts or symbols is shown for the one asked about too.
    """
    found = ask(where, at, read_models=None, from_zero=from_zero, filters=filters)
    with exactly():
        shown = list(rows(found.history.partition, filters))
    if as_json:
        render.print_json({**head(found), "rows": shown})
        return
    print_head(found.head)
    show(_LIMITS, shown, "no controls")
