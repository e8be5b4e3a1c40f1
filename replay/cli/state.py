"""``oms replay state``: everything, as it was."""

import attrs
import click

from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from oms.cli.options import console
from replay.asking import rows
from replay.asking.asof import EVERYTHING, AsOf
from replay.asking.filters import Filters
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import Document, as_of_options, ask, completeness, exactly, head, print_head, show

_ALL = Filters()


@click.command(epilog=EPILOG)
@click.option("--digest", "only_digest", is_flag=True, help="Print the digest of the state alone.")
@click.option("--expect", metavar="DIGEST", help="Exit 1 when the digest is another one.")
@as_of_options
def state(
    at: Moment | None, from_zero: bool, only_digest: bool, as_json: bool, expect: str | None, where: c.Where
) -> None:
    """Rebuild the whole state and print it.

    Starts from the nearest snapshot at or before the moment, whose digest is checked, unless --from-zero. Every frame
    read is held against the hash chain and its seals.

    \b
    oms replay state --digest --from-zero
    oms replay state --at 2026-11-21T03:00:00.000000001Z
    """
    if only_digest and as_json:
        raise click.UsageError("--digest and --json exclude each other")
    found = ask(where, at, read_models=EVERYTHING, from_zero=from_zero)
    if only_digest:
        click.echo(found.head.digest)
    else:
        with exactly():
            document = _document(found)
        if as_json:
            render.print_json(document)
        else:
            _print_tables(found, document)
    if expect is not None and expect != found.head.digest:
        raise c.Ended(Exit.REFUSED, f"the digest is {found.head.digest}, expected {expect}")


def _document(found: AsOf) -> Document:
    history = found.history
    return {
        **head(found),
        "engine": history.partition.engine,
        "accounts": {name: attrs.asdict(account) for name, account in history.partition.accounts.items()},
        "orders": list(rows.orders(history, _ALL)),
        "orders_held": completeness(found.orders),
        "trades": list(rows.trades(history, _ALL)),
        "trades_held": completeness(found.trades),
        "positions": list(rows.positions(history, _ALL)),
        "balances": list(rows.balances(history, _ALL)),
        "pnl": rows.pnl_rows(history, _ALL, by=[])[1],
    }


def _print_tables(found: AsOf, document: Document) -> None:
    print_head(found.head)
    click.echo(f"Head    {found.history.head}")
    out = console()
    for title, columns, shown in (
        ("Open orders", render.ORDERS, [row for row in document["orders"] if row.open]),
        ("Positions", render.POSITIONS, document["positions"]),
        ("Balances", render.BALANCES, document["balances"]),
        ("P&L", render.TOTALS, document["pnl"]),
    ):
        out.print(f"\n{title}", style="bold")
        show(columns, shown, "none")
    orders, trades = found.orders, found.trades
    click.echo(
        f"\n{orders.held:,} of {orders.ever:,} orders and {trades.held:,} of {trades.ever:,} trades are held here"
    )
