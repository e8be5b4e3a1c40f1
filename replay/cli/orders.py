"""``oms replay orders`` and ``oms replay trades``: the blotter and the fills, as they were."""

import click

from oms.cli import render
from oms.cli.exits import EPILOG
from oms.messages.enums import OrderStatus
from replay.asking import rows
from replay.asking.asof import ORDERS, TRADES
from replay.asking.filters import Filters
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import as_of_options, ask, completeness, exactly, head, print_head, print_missing, show

_PLACE = ("account", "exchange", "market", "symbol", "strategy", "since", "until")


@click.command(epilog=EPILOG)
@click.option("--open", "only_open", is_flag=True, help="Only orders that were open then.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in OrderStatus], case_sensitive=False),
    help="Only orders that had this status then.",
)
@c.filter_options(*_PLACE)
@as_of_options
def orders(
    at: Moment | None,
    from_zero: bool,
    as_json: bool,
    where: c.Where,
    filters: Filters,
    only_open: bool,
    status: str | None,
) -> None:
    """Show orders as they were, newest first: open and finished, denied ones included.

    From a snapshot, only the finished orders that it held and those that came later are known; the answer then says so.

    \b
    oms replay orders --at 81 --open
    oms replay orders --at 2026-11-21T03:00:00Z --account sub_arb --from-zero --json
    """
    found = ask(where, at, read_models=ORDERS, from_zero=from_zero, filters=filters)
    wanted = None if status is None else OrderStatus(status.upper())
    with exactly():
        shown = list(rows.orders(found.history, filters, live=only_open or None, status=wanted))
    if as_json:
        render.print_json({**head(found), **completeness(found.orders), "rows": shown})
        return
    print_head(found.head)
    show(render.ORDERS, shown, "no such orders")
    if not only_open:
        print_missing(found.orders, "finished orders")


@click.command(epilog=EPILOG)
@click.option("--order", "order_id", metavar="ORDER_ID", help="Only those of this order.")
@c.filter_options(*_PLACE)
@as_of_options
def trades(
    at: Moment | None, from_zero: bool, as_json: bool, where: c.Where, filters: Filters, order_id: str | None
) -> None:
    """Show the fills up to a moment, newest first.

    \b
    oms replay trades --since 2026-11-20 --at 2026-11-21
    """
    found = ask(where, at, read_models=TRADES, from_zero=from_zero, filters=filters)
    with exactly():
        shown = list(rows.trades(found.history, filters, order_id=order_id))
    if as_json:
        render.print_json({**head(found), **completeness(found.trades), "rows": shown})
        return
    print_head(found.head)
    show(render.TRADES, shown, "no such trades")
    print_missing(found.trades, "trades")
