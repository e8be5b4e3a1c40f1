"""``oms replay whatif``: a span of the history again, under other limits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from oms._config_values import ConfigError
from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from replay.asking.moment import iso
from replay.asking.span import Span, before, walk
from replay.asking.whatif import Report, WhatIf
from replay.asking.whatif_file import OtherLimits, check_file, read_file
from replay.cli import common as c
from replay.cli.asking import show
from replay.cli.spans import span_options

_CHANGED: Final = (
    render.Column("TIME (UTC)", lambda row: render.time_text(row.at)),
    render.Column("SEQUENCE", lambda row: row.sequence),
    render.Column("WHAT", lambda row: row.what),
    render.Column("ORDER", lambda row: row.order_id),
    render.Column("ACCOUNT", lambda row: row.account),
    render.Column("STRATEGY", lambda row: row.strategy),
    render.Column("SYMBOL", lambda row: row.symbol),
    render.Column("SIDE", lambda row: row.side.value),
    render.Column("QUANTITY", lambda row: row.quantity),
    render.Column("PRICE", lambda row: "" if row.price is None else row.price),
    render.Column("CODE", lambda row: row.code),
    render.Column("BECAUSE", lambda row: row.message, lambda _row: render.DIM),
)
_KILLED: Final = (
    render.Column("TIME (UTC)", lambda row: render.time_text(row.at)),
    render.Column("SCOPE", lambda row: row.scope),
    render.Column("CAUSE", lambda row: row.cause),
    render.Column("BECAUSE", lambda row: row.reason, lambda _row: render.DIM),
)


def _of(world: str, name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(getattr(row, world), name)


def _both(title: str, name: str) -> tuple[render.Column, render.Column]:
    return (
        render.Column(title, _of("actual", name)),
        render.Column("→ WHAT IF", _of("whatif", name), lambda _row: "bold"),
    )


_ACCOUNT: Final = (
    render.Column("ACCOUNT", lambda row: row.account),
    render.Column("IN", lambda row: row.settle),
)
_TRADING: Final = (
    *_ACCOUNT,
    *_both("ORDERS", "orders"),
    *_both("FILLS", "fills"),
    *_both("VOLUME", "volume"),
)
_PNL: Final = (
    *_ACCOUNT,
    *_both("REALISED", "realised"),
    *_both("UNREALISED", "unrealised"),
    *_both("FEES", "fees"),
    *_both("FUNDING", "funding"),
    *_both("NET", "net"),
)
_POSITIONS: Final = (
    render.Column("ACCOUNT", lambda row: row.account),
    render.Column("SYMBOL", lambda row: f"{row.exchange}.{row.market}.{row.symbol}"),
    render.Column("POSITION", lambda row: row.actual),
    render.Column("→ WHAT IF", lambda row: row.whatif, lambda _row: "bold"),
)


@click.command(epilog=EPILOG)
@click.option(
    "--limits",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The limits, in YAML: the section risk of a configuration, or scope → control → value.",
)
@span_options
@c.json_option
@c.where_options
def whatif(file: Path, span: Span, as_json: bool, where: c.Where) -> None:
    """Go through a span again under other limits: what would have been denied or let through, and what would have followed.

    What was asked is decided again by the engine's own rules. What the file says of a control at a scope stands in place of
    what was said of it there; all other limits are as they were. An order that is denied is taken away with all its fills;
    everything else is as recorded. What that leaves out is said with the answer.

    \b
    oms replay whatif --limits limits.yaml --from 2026-11-20 --to 2026-11-21
    """
    try:
        limits = read_file(file)
        report = c.run(_gone_through(limits, span, where))
    except ConfigError as error:
        # One about the file as a whole names it itself.
        place = "" if error.place == str(file) else f"{file}: "
        raise c.Ended(Exit.USAGE, f"{place}{error}") from None
    if as_json:
        render.print_json(report)
        return
    _print(report)


async def _gone_through(limits: OtherLimits, span: Span, where: c.Where) -> Report:
    async with c.opened(where) as source:
        with c.progress("what if") as move:
            history = await before(
                source, where.snapshots, span, ends_now=not where.offline, projections=False, progress=move
            )
            found = WhatIf(history, limits)
            await walk(source, history, span, found, progress=move)
    # Against the end: what the file names may have come to be within the span.
    check_file(limits, history.partition)
    return found.report()


def _print(report: Report) -> None:
    if not report.last:
        click.echo("The span holds no commit.")
        return
    click.echo(
        f"Frames {report.first:,} to {report.last:,}, {iso(report.at_first)} to {iso(report.at_last)}\n\n"
        f"Denied: {report.denied:,}"
        + "".join(f", {number:,} by {code}" for code, number in sorted(report.denied_by.items()))
    )
    show(_CHANGED, report.denials, "nothing would have been denied")
    click.echo(
        f"\nLet through: {report.passed:,}"
        + "".join(f", {number:,} denied with {code}" for code, number in sorted(report.passed_by.items()))
    )
    show(_CHANGED, report.passes, "nothing else would have been let through")
    if report.kills:
        click.echo("\nKill switches that would have engaged")
        show(_KILLED, report.kills, "")
    click.echo("\nTrading")
    show(_TRADING, report.accounts, "none")
    click.echo("\nP&L of the span")
    show(_PNL, report.accounts, "none")
    click.echo("\nPositions")
    show(_POSITIONS, report.positions, "none")
    if report.unpriced:
        click.echo(f"Taken at cost, because no price was known: {', '.join(report.unpriced)}")
    click.echo("\nNot modelled")
    for line in report.not_modelled:
        click.echo(f"- {line}")
