"""``oms replay accept-loss``: a person's word that frames are gone, so that the engine may start without them."""

import time
from pathlib import Path

import attrs
import click
import msgspec

from oms import __version__
from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from oms.code import code_digest
from oms.journal.acceptance import TEXT_BYTES_MAX, TEXT_MAX, write_acceptance
from oms.journal.evidence import Evidence, EvidenceHeld, journal_end
from oms.journal.loss import JournalLost, Loss, LossKind
from oms.journal.receipts import ReceiptsFailed
from oms.journal.signing import KeyRefused
from replay.cli import common as c
from replay.rebuild import rebuild
from replay.snapshot import SnapshotDamaged, Snapshots, read_header
from replay.source import Source


def _text(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip() or len(value) > TEXT_MAX:
        raise click.BadParameter(f"must be 1 to {TEXT_MAX:,} characters, was {len(value):,}")
    try:
        size = len(msgspec.json.encode(value))
    except UnicodeEncodeError:
        raise click.BadParameter("must be UTF-8") from None
    if size > TEXT_BYTES_MAX:
        raise click.BadParameter(f"must be at most {TEXT_BYTES_MAX:,} bytes as JSON, was {size:,}")
    return value


@attrs.frozen
class _Accepted:
    loss: Loss
    aside: list[Path]


@click.command(epilog=EPILOG)
@click.option(
    "--by", callback=_text, metavar="NAME", required=True, help="Who accepts it; stands in the journal."
)
@click.option("--reason", callback=_text, metavar="TEXT", required=True, help="Why; stands in the journal.")
@c.json_option
@c.where_options
def accept_loss(where: c.Where, by: str, reason: str, as_json: bool) -> None:
    """Accept that frames which were durable are gone, or that nothing proves that none are.

    For an engine that ended with exit code 6 and says what is lost; it must not run. Try `oms replay restore` first. What is
    accepted is exactly what is found now. The next start of the engine records it in the journal, with name and reason,
    moves the receipts of what is gone away, and goes on; snapshots of what is gone are set aside at once.
    """
    if where.offline:
        raise click.UsageError("--offline: a loss is of a journal, which must be there to be looked at")
    if not where.data_dir.is_dir():
        raise click.UsageError(f"there is no data directory {where.data_dir}")
    accepted = c.run(_accept(where, by, reason))
    loss = accepted.loss
    if as_json:
        render.print_json(
            {
                "kind": loss.kind,
                "first": loss.first,
                "last": loss.last,
                "head": loss.head,
                "message": loss.message,
                "snapshots_set_aside": [str(path) for path in accepted.aside],
            }
        )
        return
    click.echo(f"Accepted  {loss.kind}, {loss.range}: {loss.message}")
    for path in accepted.aside:
        click.echo(f"Set aside {path}")
    click.echo("Now start the engine")


async def _accept(where: c.Where, by: str, reason: str) -> _Accepted:
    evidence = Evidence(where.data_dir, __version__, code_digest())
    try:
        evidence.open()
    except EvidenceHeld as error:
        raise c.Ended(Exit.REFUSED, f"{error}: an engine runs, stop it first if it must be stopped") from None
    except (KeyRefused, ReceiptsFailed) as error:
        raise c.Ended(Exit.REFUSED, str(error)) from None
    try:
        async with c.connected(where) as nc:
            source = Source(nc, where.archive)
            loss = await evidence.compare(nc)
            if loss is None:
                history = await rebuild(source, where.snapshots, projections=False)
                loss = await evidence.compare_state(
                    nc, history.partition.signing_key, history.sequence, history.head
                )
            if loss is None:
                raise c.Ended(Exit.REFUSED, "nothing is lost: there is nothing to accept")
            if loss.kind is LossKind.UNREADABLE:
                raise JournalLost(loss)
            if loss.kind.of_journal:
                # Refuses where the archive goes on behind the journal's end: then frames are not gone.
                await source.bounds()
            last, head = await journal_end(nc)
        write_acceptance(
            evidence.directory,
            evidence.key,
            loss,
            journal_last=last,
            journal_head=head,
            by=by,
            reason=reason,
            at=time.time_ns(),
        )
    except ReceiptsFailed as error:
        raise c.Ended(Exit.REFUSED, str(error)) from None
    finally:
        evidence.close()
    return _Accepted(loss, _set_aside(where.snapshots, loss) if loss.kind.of_journal else [])


def _set_aside(snapshots: Snapshots, loss: Loss) -> list[Path]:
    """Rename snapshots of states that hold what is gone, so that nothing starts from them; they stay to be looked at."""
    aside = []
    for path in snapshots.paths():
        try:
            sequence = read_header(path, snapshots.keys).sequence
        except SnapshotDamaged:
            continue
        if sequence > loss.proven:
            aside.append(path.rename(path.with_name(path.name + ".lost")))
    return aside
