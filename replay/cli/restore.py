"""``oms replay restore``: the journal again from the archive."""

import attrs
import click

from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from replay.cli import common as c
from replay.restore import Restored, RestoreRefused, restore


@click.command(name="restore", epilog=EPILOG)
@click.option(
    "--replace",
    is_flag=True,
    help="Delete a damaged journal and make it anew, once the archive is known to hold everything.",
)
@c.json_option
@c.where_options
def command(replace: bool, as_json: bool, where: c.Where) -> None:
    """Bring the journal on nats-server back from the archive: a lost one whole, one that is behind to the archive's end.

    Every frame comes back with its own bytes and sequence. Engine and follower must be stopped. Where journal, archive and
    receipts know a frame, they are compared first, and nothing is changed when they differ. Interrupted, it goes on at the
    next call. After a restore that brought everything, start the engine; it says by itself when something is still missing.

    \b
    oms replay restore
    oms replay restore --replace
    """
    if where.offline:
        raise click.UsageError("--offline: the journal is on nats-server")
    done = c.run(_restore(where, replace))
    if as_json:
        render.print_json(attrs.asdict(done))
        return
    click.echo(f"Compared {done.compared:,} frames that both had, wrote {done.written:,}")
    click.echo(f"The journal holds frames {done.first:,} to {done.last:,}" + (", made anew" * done.replaced))
    if done.receipts > done.last:
        click.echo(
            f"Receipts go on to {done.receipts:,}: frames {done.last + 1:,} to {done.receipts:,} are in neither"
        )


async def _restore(where: c.Where, replace: bool) -> Restored:
    async with c.connected(where) as nc:
        with c.progress("restore") as move:
            try:
                return await restore(
                    nc,
                    where.archive,
                    where.snapshots,
                    where.data_dir,
                    replace=replace,
                    progress=lambda reached, last, written: move(reached, last, 0),
                )
            except RestoreRefused as error:
                raise c.Ended(Exit.REFUSED, str(error)) from None
