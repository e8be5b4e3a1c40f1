"""``oms replay verify``: is the record whole, and does this code come to what it says?"""

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from oms.cli.exits import EPILOG, Exit
from replay.asking.moment import iso
from replay.cli import common as c
from replay.verify import Field, Found, Report, verify


@click.command("verify", epilog=EPILOG)
@click.option(
    "--decisions/--no-decisions",
    default=True,
    show_default=True,
    help="Decide every recorded command again, which takes most of the time.",
)
@c.json_option
@c.where_options
def command(where: c.Where, decisions: bool, as_json: bool) -> None:
    """Prove the record, from the first frame on.

    Holds against each other: the hash chain, journal and archive, receipts and their signatures, the state that replay comes
    to at every commit, seal and snapshot, and the recorded commands decided again. What is wrong is located.

    Exit codes: 0 all holds; 1 the record is whole, but this code comes to another state or decision than was recorded; 6 the
    record is not what was written.
    """

    if not where.data_dir.is_dir():
        raise click.UsageError(f"there is no data directory {where.data_dir}: name it with --data-dir")

    async def work() -> Report:
        async with c.opened(where) as source:
            with c.progress("verify") as move:
                return await verify(
                    source, where.data_dir, where.snapshots, where.archive, decisions=decisions, progress=move
                )

    report = c.run(work())
    if not report.frames and not report.findings:
        raise c.Ended(Exit.REFUSED, "there is nothing to verify: neither journal nor archive has a frame")
    if as_json:
        document = msgspec.to_builtins(report)
        document["ok"] = not report.findings
        document["whole"] = report.whole
        click.echo(msgspec.json.encode(document))
    else:
        _print(report)
    if report.findings:
        raise SystemExit(Exit.REFUSED if report.whole else Exit.JOURNAL_BROKEN)


def _print(report: Report) -> None:
    console = Console(width=None if Console().is_terminal else 110, highlight=False)
    console.print(
        f"Journal {report.journal_id or '(empty)'}, frames {report.first:,} to {report.last:,}, {iso(report.at)}"
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rate = report.events / report.seconds if report.seconds else 0
    for name, text in (
        (
            "Frames",
            f"{report.frames:,}: {report.commits:,} commits, {report.events:,} events, {rate:,.0f} events/s",
        ),
        ("Chain head", report.head),
        ("State digest", report.digest),
        (
            "Archive",
            f"{report.archived:,} frames, {report.segments:,} sealed segments; {report.compared:,} frames also in the journal",
        ),
        (
            "Seals",
            f"{report.seals:,} hold"
            + (f", {report.other_seals:,} are of another shape" if report.other_seals else ""),
        ),
        ("Checks", f"{report.checks:,} commits hold"),
        ("Receipts", f"{report.receipts:,} hold"),
        (
            "Snapshots",
            f"{report.snapshots:,} hold"
            + (f", {report.other_snapshots:,} are of an earlier release" if report.other_snapshots else ""),
        ),
        (
            "Decisions",
            f"{report.decided:,} commands decided again" if report.decided else "not decided again",
        ),
    ):
        table.add_row(name, text)
    console.print(table)
    for found in report.findings:
        _print_found(console, found)
    if report.more:
        console.print(f"… and {report.more:,} findings more")
    if not report.findings:
        console.print("[green]All holds.[/green]")
    elif report.whole:
        console.print("[red]The record is whole, but this code does not come to it.[/red]")
    else:
        console.print("[red]The record is not what was written.[/red]")


def _print_found(console: Console, found: Found) -> None:
    place = f" frame {found.sequence:,}" if found.sequence else ""
    if found.last:
        place = f" frames {found.sequence:,} to {found.last:,}"
    commit = "" if found.commit is None else f", commit {found.commit}"
    console.print(f"[red]{found.kind}[/red]{place}{commit}: {escape(found.message)}", soft_wrap=True)
    for field in found.fields:
        console.print(f"    {_text(field)}", markup=False, soft_wrap=True)


def _text(field: Field) -> str:
    told = [
        f"{name} {value}"
        for name, value in (
            ("before", field.before),
            ("replayed", field.replayed),
            ("recorded", field.recorded),
        )
        if value is not None
    ]
    return f"{field.entity} {field.field}: {', '.join(told) or 'gone'}"
