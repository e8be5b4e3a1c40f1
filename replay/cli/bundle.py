"""``oms replay bundle``: a span of the journal that a third party verifies offline."""

import hashlib
from contextlib import closing
from pathlib import Path

import click

from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from replay.asking.bundle import Bundle, Manifest, NothingToBundle, manifest_text
from replay.asking.formats import whole_file
from replay.asking.moment import iso
from replay.asking.span import Span, before, walk
from replay.cli import common as c
from replay.cli.spans import span_options


@click.command(epilog=EPILOG)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The zip file; it appears when it is whole.",
)
@span_options
@c.json_option
@c.where_options
def bundle(output: Path, span: Span, as_json: bool, where: c.Where) -> None:
    """Write a span of the journal as one file that anyone can verify, without this system and offline.

    It holds the frames, the receipts that were signed for them, the trades as csv, a verifier of one file and a README that
    says what is proved. All is checked on the way; a span by time is widened to whole frames.

    \b
    oms replay bundle --from 2026-11-20 --to 2026-11-21 -o day.zip
    python3 verify_bundle.py day.zip --public-key HEX
    """
    manifest = c.run(_write(output, span, where))
    digest = hashlib.sha256(manifest_text(manifest)).hexdigest()
    if as_json:
        render.print_json({"file": str(output), "manifest_sha256": digest, "manifest": _plain(manifest)})
        return
    click.echo(f"File      {output}")
    click.echo(f"Journal   {manifest.journal_id}, frames {manifest.first:,} to {manifest.last:,}")
    click.echo(f"Time      {iso(manifest.at_first)} to {iso(manifest.at_last)}")
    click.echo(
        f"Holds     {manifest.commits:,} commits, {manifest.events:,} events, {manifest.trades:,} trades,"
        f" {manifest.seals:,} seals, {manifest.receipts:,} receipts"
    )
    for key in manifest.public_keys:
        click.echo(f"Signed by {key}")
    if not manifest.receipts:
        click.echo("Signed by nobody: there is no receipt for these frames in the data directory")
    click.echo(f"Manifest  {digest}")


def _plain(manifest: Manifest) -> dict[str, object]:
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


async def _write(output: Path, span: Span, where: c.Where) -> Manifest:
    async with c.opened(where) as source:
        with c.progress("bundle") as move:
            history = await before(
                source, where.snapshots, span, ends_now=not where.offline, projections=False, progress=move
            )
            with (
                whole_file(output) as file,
                closing(Bundle(file, output.parent, history, where.data_dir)) as made,
            ):
                await walk(source, history, span, made, progress=move)
                try:
                    return made.finish()
                except NothingToBundle as error:
                    raise c.Ended(Exit.REFUSED, str(error)) from None
