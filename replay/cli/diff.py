"""``oms replay diff``: what changed between two moments."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import attrs
import click

from oms.cli import render
from oms.cli.exits import EPILOG
from replay.asking.diff import Change, Diff
from replay.asking.diff import diff as compare
from replay.asking.filters import Filters
from replay.asking.moment import Moment
from replay.cli import common as c
from replay.cli.asking import print_head, show

_SUMMARIES: Final = {
    "order": ("side", "type", "quantity", "symbol", "price", "status", "filled"),
    "instrument": ("tick", "step", "min_quantity", "max_quantity"),
}
"""Of what is new or gone and has many fields, those that a person wants to see, on one line."""
_NOT_SHOWN: Final = frozenset({"updated_at", "placed_at"})


@attrs.frozen
class _Line:
    entity: str
    key: str
    field: str
    before: str
    after: str
    style: str


_COLUMNS: Final = (
    render.Column("ENTITY", lambda line: line.entity),
    render.Column("KEY", lambda line: line.key),
    render.Column("FIELD", lambda line: line.field, lambda line: line.style),
    render.Column("BEFORE", lambda line: line.before),
    render.Column("AFTER", lambda line: line.after),
)


@click.command(epilog=EPILOG)
@click.argument("one", metavar="A", type=c.moment)
@click.argument("other", metavar="[B]", type=c.moment, required=False)
@c.filter_options("account", "exchange", "market", "symbol", "strategy")
@c.json_option
@c.where_options
def diff(one: Moment, other: Moment | None, filters: Filters, as_json: bool, where: c.Where) -> None:
    """Show what changed between two moments, by entity and field, with the values before and after.

    A and B are sequences or times (ISO 8601 or UTC nanoseconds), in either order; without B until now. A filter leaves out
    what it does not apply to: a balance belongs to no symbol, a position to no strategy.

    \b
    oms replay diff 81 95
    oms replay diff 2026-11-20 2026-11-21 --account sub_arb
    """

    async def work() -> Diff:
        async with c.opened(where) as source:
            with c.progress("diff") as move:
                return await compare(
                    source, where.snapshots, one, other, filters, ends_now=not where.offline, progress=move
                )

    found = c.run(work())
    if as_json:
        render.print_json(found)
        return
    print_head(found.before)
    print_head(found.after)
    click.echo(f"{found.commits:,} commits with {sum(found.events.values()):,} events in between")
    show(_COLUMNS, [line for change in found.changes for line in _lines(change)], "nothing changed")
    if found.forgotten:
        click.echo(f"{found.forgotten:,} orders got late trades and had finished too long before to be shown")


def _lines(change: Change) -> Iterator[_Line]:
    summary = _SUMMARIES.get(change.entity)
    if change.change != "changed" and summary is not None:
        values = {one.field: one.after if change.change == "new" else one.before for one in change.fields}
        text = " ".join(_text(values[name]) for name in summary if values.get(name) is not None)
        before, after = ("", text) if change.change == "new" else (text, "")
        yield _Line(change.entity, change.key, change.change, before, after, "bold")
        return
    for one in change.fields:
        if one.field not in _NOT_SHOWN and (change.change == "changed" or one.before or one.after):
            yield _Line(change.entity, change.key, one.field, _text(one.before), _text(one.after), "")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return render.decimal_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{_text(amount)} {asset}" for asset, amount in sorted(value.items())) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
