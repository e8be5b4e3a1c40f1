"""``oms replay trace``: what a command caused."""

from typing import Final

import click
from rich.text import Text
from rich.tree import Tree

from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from oms.cli.options import console
from replay.asking import trace as t
from replay.asking import wording
from replay.asking.asof import check_history
from replay.asking.finding import Hits, collect, scan
from replay.asking.moment import iso
from replay.asking.steps import Steps
from replay.cli import common as c

_FILE_WIDTH: Final = 1_000
_STYLES: Final = {
    t.COMMAND: "bold",
    t.EVENT: "cyan",
    t.INSTRUCTION: "yellow",
    t.REPORT: "magenta",
    t.STATEMENT: "bold",
}


@click.command(epilog=EPILOG)
@click.argument("command_id")
@click.option("--account", "-a", metavar="NAME", help="Only this account's command of that id.")
@c.json_option
@c.where_options
def trace(command_id: str, account: str | None, as_json: bool, where: c.Where) -> None:
    """Show what a command caused, as a tree.

    The command, its events, the instruction that followed, what the venue said of it, and what came of that. Ids are an
    account's own: every account that used this one is shown.
    """
    found = c.run(_trace(where, command_id, account))
    if not found:
        of = f" of account {account}" if account else ""
        raise c.Ended(Exit.REFUSED, f"no command{of} with the id {command_id!r} left a commit in the history")
    if len(found) == t.MAX_USES:
        click.echo(f"oms: the first {t.MAX_USES} uses of this id are shown, there may be more", err=True)
    if as_json:
        render.print_json({"traces": found})
        return
    for number, each in enumerate(found):
        if number:
            click.echo()
        _print(each)


async def _trace(where: c.Where, command_id: str, account: str | None) -> list[t.Trace]:
    async with c.opened(where) as source:
        first, last = check_history(await source.bounds())
        uses = t.Uses(command_id, account)
        with c.progress("find") as move:
            await scan(source, first, last, uses.look, move)
        traces = []
        for use in uses.found:
            steps = Steps(use.orders)
            if use.orders:
                hits = Hits(frozenset(use.orders), use.account)
                with c.progress("find") as move:
                    await scan(source, use.sequence, last, hits.look, move)
                with c.progress("replay") as move:
                    await collect(
                        source,
                        where.snapshots,
                        steps,
                        hits.frames,
                        lambda use=use, steps=steps: t.settled(use, steps.of),  # type: ignore[misc]
                        move,
                    )
            traces.append(t.trace(use, steps.of, last))
    return traces


# -- for people


def _print(found: t.Trace) -> None:
    click.echo(f"Command {found.command_id} of account {found.account}, on {found.subject}")
    click.echo(f"  {found.command}")
    click.echo(f"  commit {found.commit} of frame {found.sequence:,}, digest {found.digest}")
    if found.related:
        click.echo(f"  later commands about the same orders: {', '.join(found.related)}")
    printer = console()
    if not printer.is_terminal:
        # A file has no width that a tree would have to be wrapped to.
        printer.width = _FILE_WIDTH
    printer.print(_grow(None, found.tree, found.at))


def _grow(tree: Tree | None, node: t.Node, since: int) -> Tree:
    """Add a node with all below it; the root when there is no tree yet."""
    when = iso(node.at) if tree is None else f"+{wording.duration(node.at - since)}"
    name = f"{node.command_id} {node.name}" if node.command_id else node.name
    kind = "later command" if not node.caused else node.kind
    label = Text.assemble(
        (f"{kind} {name}", _STYLES[node.kind]),
        (f"  {when}  {node.sequence:,}.{node.commit}", "dim"),
        f"  {node.text}" if node.text else "",
    )
    grown = Tree(label) if tree is None else tree.add(label)
    for child in node.children:
        _grow(grown, child, since)
    return grown
