"""How an as-of question is asked and answered: the options, the head of the answer, tables or one JSON object."""

import decimal
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
import msgspec

from oms.aggregates.money import EXACT
from oms.cli import render
from oms.cli.options import console
from replay.asking.asof import AsOf, Head, Held, ReadModels, as_of
from replay.asking.filters import Filters
from replay.asking.moment import Moment, iso
from replay.cli import common as c

F = TypeVar("F", bound=Callable[..., Any])

TABLE_ROWS: Final = 500
"""Rows of a table for people; JSON has all."""

Document = dict[str, Any]


def as_of_options(function: F) -> F:
    """``--at``, ``--from-zero``, ``--json`` and where the history is."""
    from_zero = click.option(
        "--from-zero", is_flag=True, help="Read every frame from the first on, and no snapshot."
    )
    return c.at_option(from_zero(c.json_option(c.where_options(function))))


def ask(
    where: c.Where,
    at: Moment | None,
    *,
    read_models: ReadModels | None,
    from_zero: bool,
    filters: Filters | None = None,
) -> AsOf:
    """The history at a moment; the names of the filters are held against it.

    Raises:
        Ended: see :func:`replay.cli.common.run`.
    """

    async def work() -> AsOf:
        async with c.opened(where) as source:
            with c.progress("replay") as move:
                found = await as_of(
                    source,
                    where.snapshots,
                    at,
                    read_models=read_models,
                    from_zero=from_zero,
                    ends_now=not where.offline,
                    progress=move,
                )
        if filters is not None:
            filters.check(found.history.partition)
        return found

    return c.run(work())


# -- answering


def head(found: AsOf) -> Document:
    """What every JSON answer begins with: the fields of :class:`replay.asking.asof.Head`."""
    return msgspec.structs.asdict(found.head)


def completeness(held: Held) -> Document:
    """``complete``: no order (or trade) is missing; else how many are, and that they finished before ``missing_before``."""
    return {"complete": not held.missing, "missing": held.missing, "missing_before": held.since}


def print_head(head: Head) -> None:
    """The lines above a table: which moment, and what proves it."""
    part = f" and {head.part:,} commits of the next frame" if head.part else ""
    click.echo(f"Journal {head.journal_id} after sequence {head.sequence:,}{part}, {iso(head.at)}")
    click.echo(f"Digest  {head.digest}")
    if head.beyond:
        click.echo("Nothing is recorded between that and the time asked about.")


def print_missing(held: Held, what: str) -> None:
    """Say that older ones are not held, and how to get them."""
    if held.missing:
        assert held.since is not None, "what is missing is before a time"
        click.echo(
            f"{held.missing:,} {what} from before {iso(held.since)} are not held, all are with --from-zero"
        )


def show(columns: Sequence[render.Column], rows: Sequence[Any], nothing: str) -> None:
    """A table on standard output, of at most :data:`TABLE_ROWS` rows."""
    render.show(console(), columns, rows[:TABLE_ROWS], nothing)
    if len(rows) > TABLE_ROWS:
        click.echo(f"… and {len(rows) - TABLE_ROWS:,} more: --json has all")


def exactly() -> Any:
    """The decimal context that rows are made in."""
    return decimal.localcontext(EXACT)
