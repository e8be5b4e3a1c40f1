"""``python -m benchmarks [--json] [NAME …]``: run and print as a table, or as JSON for machines."""

import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator

import attrs
import click
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import auditing, checking, core, durable, killing, limiting, replaying, sealing, venues
from benchmarks.figures import Figure

SUITES = {
    "core": core.measure,
    "risk": checking.measure,
    "durable": durable.measure,
    "sealing": sealing.measure,
    "limits": limiting.measure,
    "replay": replaying.measure,
    "audit": auditing.measure,
    "venues": venues.measure,
    "kill": killing.measure,
}


async def _run(names: tuple[str, ...]) -> list[Figure]:
    found: list[Figure] = []
    for name in names:
        console.print(f"measuring {name} …")
        figures: Iterator[Figure] | AsyncIterator[Figure] = SUITES[name]()
        if isinstance(figures, AsyncIterator):
            found += [figure async for figure in figures]
        else:
            found += figures
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SUITES)))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(names: tuple[str, ...], as_json: bool) -> None:
    """Measure the trading core: all of it, or only the suites NAMED."""
    figures = uvloop.run(_run(names or tuple(SUITES)))
    if as_json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        json.dump({"machine": machine, "figures": [attrs.asdict(f) for f in figures]}, sys.stdout, indent=2)
        print()
        return
    table = Table("figure", "p50", "p99", "unit", "aim", "note", title="mExOms benchmarks")
    for figure in figures:
        table.add_row(
            figure.name, _number(figure.p50), _number(figure.p99), figure.unit, figure.target, figure.note
        )
    Console(width=None if sys.stdout.isatty() else 130).print(table)


console = Console(stderr=True)

if __name__ == "__main__":
    main()
