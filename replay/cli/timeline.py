"""``oms replay timeline``: everything that concerned an account, in order."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

import click
from rich.text import Text

from oms.cli import render
from oms.cli.exits import EPILOG
from oms.cli.options import console
from replay.asking import timeline as t
from replay.asking.asof import as_of
from replay.asking.filters import Filters
from replay.asking.moment import Moment, iso
from replay.asking.span import Span, before, walk
from replay.cli import common as c
from replay.rebuild import Progress

MOST_LINES: Final = 1_000


def _cursor(ctx: click.Context, param: click.Parameter, value: str | None) -> t.Cursor | None:
    try:
        return None if value is None else t.parse_cursor(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EPILOG)
@click.option("--account", "-a", metavar="NAME", required=True, help="Whose timeline.")
@c.filter_options("exchange", "market", "symbol", "strategy", "since", "until")
@click.option(
    "--all", "everything", is_flag=True, help="With seals, marks, instruments and what connectors asked."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=MOST_LINES,
    show_default=True,
    help="At most so many lines; --after goes on behind them.",
)
@click.option(
    "--after", metavar="PLACE", callback=_cursor, help="Only lines behind this one, such as 12.3.1."
)
@c.json_option
@c.where_options
def timeline(
    account: str,
    filters: Filters,
    everything: bool,
    limit: int,
    after: t.Cursor | None,
    as_json: bool,
    where: c.Where,
) -> None:
    """Show everything that concerned an account, in order, a line each.

    Commands of its clients, events, connector sessions, balances that were adjusted, engines that started. With --json, a
    JSON object a line.
    """
    filters = Filters(
        exchange=filters.exchange,
        account=account,
        market=filters.market,
        symbol=filters.symbol,
        strategy=filters.strategy,
        since=filters.since,
        until=filters.until,
    )
    if filters.since is not None and filters.until is not None and filters.until < filters.since:
        raise click.UsageError(
            f"the span must not end before it starts, was from {iso(filters.since)} to {iso(filters.until)}"
        )
    write = render.print_json if as_json else _Printer()
    found = c.run(_tell(where, filters, everything, limit, after, write))
    if found is not None:
        click.echo(f"oms: there is more, --after {t.text_of(found)} goes on", err=True)


async def _tell(
    where: c.Where,
    filters: Filters,
    everything: bool,
    limit: int,
    after: t.Cursor | None,
    write: Callable[[Any], None],
) -> t.Cursor | None:
    """Write the lines; where to go on, when there are more."""
    start = Moment(time=filters.since) if filters.since is not None else None
    start = Moment(sequence=after[0]) if after is not None else start
    end = Moment(time=filters.until) if filters.until is not None else None
    span = Span.between(start, end)
    async with c.opened(where) as source:
        with c.progress("replay") as move:
            history = await before(
                source, where.snapshots, span, ends_now=not where.offline, projections=False, progress=move
            )
        kept: list[t.Line] = []

        def keep(line: t.Line) -> None:
            kept.append(line)
            if told.found:
                release()

        def release() -> None:
            for line in kept:
                write(line)
            kept.clear()

        # What concerns all is not told of an account that turns out to be unknown.
        told = t.Timeline(history, filters, keep, everything, after or (0, 0, 0), limit)
        more = False
        with _moving() as moved:
            try:
                await walk(source, history, span, told, progress=moved)
            except t.Enough:
                more = True
        if not told.found:
            if more:
                history = (await as_of(source, where.snapshots, span.end, read_models=None)).history
            filters.check(history.partition)
        release()
    return told.last if more else None


def _moving() -> Any:
    """A bar, unless the lines themselves show on the terminal how it goes."""
    nothing: Progress | None = None
    return nullcontext(nothing) if sys.stdout.isatty() else c.progress("timeline")


class _Printer:
    """Prints lines for people, and each day before its first."""

    def __init__(self) -> None:
        self._day = ""
        self._console = console()

    def __call__(self, line: t.Line) -> None:
        day, _, time = iso(line.at).partition("T")
        if day != self._day:
            self._day = day
            self._console.print(Text(f"{day} UTC", "bold"))
        asked = line.command is not None
        name = f"{line.by} {line.command_id or ''}".rstrip() if asked else line.order_id
        self._console.print(
            Text.assemble(
                (time.rstrip("Z"), "cyan"),
                (f"  {line.place:<9} ", "dim"),
                (f"{name}  " if name else "", "bold" if asked else ""),
                f"{line.name} {line.text}" if asked else line.text,
            ),
            soft_wrap=True,
        )
