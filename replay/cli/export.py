"""``oms replay export``: a span of the history as a file for auditors and notebooks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from oms.aggregates.money import exactly
from oms.cli.exits import EPILOG, Exit
from oms.messages.subjects import ANY
from replay.asking import export as x
from replay.asking.asof import as_of
from replay.asking.filters import Filters
from replay.asking.formats import Format, FormatMissing, sink, whole_file
from replay.asking.span import Span, before, walk
from replay.cli import common as c
from replay.cli.spans import span_options


@click.command(epilog=EPILOG)
@click.option(
    "--what",
    type=click.Choice([what.value for what in x.What]),
    default=x.What.EVENTS.value,
    show_default=True,
    help="Events and trades of the span; orders that changed in it, as they stood at its end; positions and balances"
    " at its end.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    default=Format.CSV.value,
    show_default=True,
    help="Decimals are exact text in csv and jsonl; parquet (pip install 'mexoms[parquet]') has decimal128(38,18) for"
    " amounts and text for what is computed.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; it appears when it is whole.  [default: standard output]",
)
@span_options
@c.filter_options("account", "exchange", "market", "symbol", "strategy")
@c.where_options
def export(
    what: str,
    form: str,
    output: Path | None,
    span: Span,
    filters: Filters,
    where: c.Where,
) -> None:
    """Write a span of the history as csv, jsonl or parquet.

    Events: a row each, a column for every field that any event has; place and strategy are those of its order where it
    has none. The rest: the rows of the commands of these names. Times are UTC nanoseconds.

    \b
    oms replay export --from 2026-11-20 --to 2026-11-21 --account sub_arb --what trades -o trades.csv
    oms replay export --what orders --format parquet -o orders.parquet
    """
    if output is None and form == Format.PARQUET:
        raise click.UsageError("parquet is no text: name a file with --output")
    if (span.first > 1 or span.since is not None) and x.What(what) in x.AT_ONE_MOMENT:
        raise click.UsageError(f"{what} are those at one moment: give --to alone")
    if x.What(what) in x.AT_ONE_MOMENT and filters.strategy is not None:
        raise click.UsageError(f"{what} belong to no strategy: leave --strategy out")
    if x.What(what) is x.What.BALANCES and filters.symbol != ANY:
        raise click.UsageError("balances belong to no symbol: leave --symbol out")
    made = c.run(_write(x.What(what), Format(form), output, span, filters, where))
    if made.lost:
        click.echo(
            f"oms: {made.lost:,} trades came for orders whose rows were written, or gone, long before: these rows lack"
            " them, --what trades has them",
            err=True,
        )
    if output is not None:
        click.echo(f"{output}: {made.count:,} {what}", err=True)


async def _write(
    what: x.What,
    form: Format,
    output: Path | None,
    span: Span,
    filters: Filters,
    where: c.Where,
) -> x.Rows:
    async with c.opened(where) as source:
        with c.progress("export") as move, _open(output) as file:
            try:
                target = sink(form, x.COLUMNS[what](), file)
            except FormatMissing as error:
                raise c.Ended(Exit.REFUSED, str(error)) from None
            if what in x.AT_ONE_MOMENT:
                asked = await as_of(
                    source,
                    where.snapshots,
                    span.end,
                    read_models=None,
                    ends_now=not where.offline,
                    progress=move,
                )
                found = x.rows_of(what, asked.history, filters, target.write)
            else:
                history = await before(
                    source, where.snapshots, span, ends_now=not where.offline, progress=move
                )
                found = x.rows_of(what, history, filters, target.write)
                await walk(source, history, span, found, progress=move)
            filters.check(found.history.partition)
            with exactly():
                found.finish()
            target.close()
    return found


@contextmanager
def _open(output: Path | None) -> Iterator[IO[bytes]]:
    if output is not None:
        with whole_file(output) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Who reads has had enough (`| head`). What is still buffered goes nowhere, and Python must not say so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.REFUSED) from None
