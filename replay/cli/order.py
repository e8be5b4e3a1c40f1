"""``oms replay order``: the whole life of one order."""

from collections.abc import Iterator
from typing import Final

import click
from rich.text import Text

from oms.cli import render
from oms.cli.exits import EPILOG, Exit
from oms.cli.options import console
from replay.asking import wording
from replay.asking.controls import RULES, Control, Explained
from replay.asking.finding import MAX_MATCHES, Match, find, life
from replay.asking.moment import iso
from replay.asking.steps import Made, Part, Step
from replay.asking.story import ADOPTED, DENIED, EARLIER, PLACED, STRANGER, Story
from replay.cli import common as c

_HELD: Final = {True: "held", False: "NOT HELD", None: "not known"}
_HELD_STYLE: Final = {True: "green", False: "red", None: "yellow"}
_BEGINNINGS: Final = {
    PLACED: "placed",
    DENIED: "denied by our own controls, never sent",
    ADOPTED: "adopted: found at the venue, it did not come from here",
    STRANGER: "no order of this journal: only trades came under this id",
    EARLIER: "made before the first frame that there is",
}


def _stated(row: Control) -> str:
    return "" if row.stated is None else f"frame {row.stated.sequence:,}, {row.stated.by or 'by itself'}"


_CONTROLS: Final = (
    render.Column("CONTROL", lambda row: row.control),
    render.Column("SCOPE", lambda row: row.scope),
    render.Column("LIMIT", lambda row: row.limit),
    render.Column("USED BEFORE", lambda row: "" if row.used is None else row.used),
    render.Column("HEADROOM", lambda row: "" if row.headroom is None else row.headroom),
    render.Column("NEAREST", lambda row: row.nearest, lambda _: render.DIM),
    render.Column("", lambda row: _HELD[row.held], lambda row: _HELD_STYLE[row.held]),
    render.Column("CODE", lambda row: row.code or ""),
    render.Column("FROM", lambda row: "" if row.source == row.scope else row.source, lambda _: render.DIM),
    render.Column("SET IN, BY", _stated, lambda _: render.DIM),
)
_FILLS: Final = (
    render.Column("TRADED (UTC)", lambda row: iso(row.venue_time)),
    render.Column("SEQUENCE", lambda row: row.sequence),
    render.Column("QUANTITY", lambda row: row.quantity),
    render.Column("PRICE", lambda row: row.price),
    render.Column("FEE", lambda row: row.fee),
    render.Column("IN", lambda row: row.fee_asset if row.fee else ""),
    render.Column("REALISED", lambda row: row.realised),
    render.Column(
        "", lambda row: "taken back" if row.busted else "late" if row.late else "", lambda _row: "yellow"
    ),
    render.Column("TRADE", lambda row: row.trade_id),
)
_LATENCIES: Final = (
    render.Column("FROM → TO", lambda row: row.name),
    render.Column("OUR CLOCK", lambda row: wording.duration(row.ours)),
    render.Column("VENUE'S CLOCK", lambda row: "" if row.venue is None else wording.duration(row.venue)),
    render.Column("SEQUENCE", lambda row: row.sequence),
)
_MATCHES: Final = (
    render.Column("ORDER", lambda row: row.order_id),
    render.Column("ACCOUNT", lambda row: row.account),
    render.Column("VENUE", lambda row: f"{row.exchange}.{row.market}"),
    render.Column("SYMBOL", lambda row: row.symbol),
    render.Column("NAMED (UTC)", lambda row: iso(row.at)),
    render.Column("BY", lambda row: row.by),
)


@click.command(epilog=EPILOG)
@click.argument("name", metavar="ID")
@click.option("--account", "-a", metavar="NAME", help="Only this account's orders.")
@c.json_option
@c.where_options
def order(name: str, account: str | None, as_json: bool, where: c.Where) -> None:
    """Tell the whole life of an order.

    ID is its order id, its client_order_id or the venue's order id. Told are the command as it came and whose it was, every
    control with its limit and value at that moment, what was sent, what the venue said, the trades, and how long each took.
    """
    found = c.run(_tell(where, name, account))
    if isinstance(found, Story):
        if as_json:
            render.print_json(found)
        else:
            _print(found)
        return
    if not found:
        of = f" of account {account}" if account else ""
        raise c.Ended(Exit.REFUSED, f"no order{of} goes by {name!r} in the history that there is")
    if as_json:
        render.print_json({"matches": found})
    else:
        render.show(console(), _MATCHES, found, "")
    many = f"{len(found):,}" if len(found) < MAX_MATCHES else f"{MAX_MATCHES:,} and perhaps more"
    raise c.Ended(Exit.REFUSED, f"{many} orders go by {name!r}: name one by its order id")


async def _tell(where: c.Where, name: str, account: str | None) -> Story | list[Match]:
    async with c.opened(where) as source:
        with c.progress("find") as move:
            found = await find(source, where.snapshots, name, account, move)
        if len(found) != 1:
            return found
        with c.progress("replay") as move:
            return await life(source, where.snapshots, found[0], move)


# -- for people


def _print(told: Story) -> None:
    click.echo(f"Order {told.order_id}, {_BEGINNINGS[told.origin]}")
    for line in _summary(told):
        click.echo(f"  {line}")
    made = told.steps[0].made
    if made is not None:
        _print_made(told.steps[0], made)
    _section("What happened")
    out = console()
    for step in told.steps:
        for text in step_lines(step):
            out.print(text, soft_wrap=True)
    if told.fills:
        _section("Trades")
        render.show(out, _FILLS, told.fills, "")
    if told.latencies:
        _section("How long it took")
        render.show(out, _LATENCIES, told.latencies, "")


def _section(title: str) -> None:
    click.echo(f"\n{title}")


def _summary(told: Story) -> Iterator[str]:
    terms = told.terms
    if terms is not None:
        strategy = f", strategy {terms.strategy}" if terms.strategy else ""
        yield f"{wording.terms(terms)} for {terms.account} on {terms.exchange}.{terms.market}{strategy}"
        if told.quantity != terms.quantity or told.price != terms.price:
            price = "" if told.price is None else f" at {wording.number(told.price)}"
            yield f"amended to {wording.number(told.quantity or terms.quantity)}{price}"
        if terms.client_order_id:
            yield f"the client calls it {terms.client_order_id}"
    if told.venue_order_ids:
        yield f"the venue calls it {', '.join(told.venue_order_ids)}"
    if told.denied is not None:
        yield f"{told.denied.code}: {told.denied.message}. {told.denied.meaning}"
    elif told.status is not None:
        doubt = ", in doubt" if told.in_doubt else ""
        asked = "" if told.cancel_reason is None else wording.CANCELED_BECAUSE[told.cancel_reason]
        because = f" (cancel requested{asked})" if asked else ""
        yield f"{told.status}{doubt}" + (f": {told.reason}" if told.reason else "") + because
    if told.average is not None:
        fees = ", ".join(f"{wording.number(fee)} {asset}" for asset, fee in sorted(told.fees.items()))
        yield (
            f"filled {wording.number(told.filled)} at {wording.number(told.average)} on average, realised"
            f" {wording.number(told.realised)} {told.settle} before fees of {fees or 'nothing'}"
        )


def _print_made(step: Step, made: Made) -> None:
    _section("Who and what")
    account = step.subject.split(".")[2]
    click.echo(f"  account {account} ({made.account_kind}), on {step.subject}")
    version = f" {made.version}" if made.version else ""
    click.echo(
        f"  decided {iso(step.at)} by engine {made.engine}{version}, commit {step.commit} of frame {step.sequence:,}"
    )
    click.echo(f"  frame digest {step.digest}")
    if step.command is not None:
        click.echo(f"  {step.command}")
    _section("Controls")
    if made.controls is None:
        click.echo(f"  {made.why}")
        return
    _print_controls(made.controls)


def _print_controls(told: Explained) -> None:
    mark = "no mark" if told.mark is None else f"the mark {wording.number(told.mark)}"
    age = "" if told.mark_age_ns is None else f", {wording.duration(told.mark_age_ns)} old"
    worth = "unknown" if told.unit is None else f"{wording.number(told.unit)} USD"
    needs = "" if told.needs is None else f"needs {wording.number(told.needs)} {told.asset}, "
    click.echo(
        f"  {mark}{age}; a unit is worth {worth}; {needs}free is {wording.number(told.free)} {told.asset}"
    )
    render.show(console(), _CONTROLS, told.controls, "none")
    by = told.denied_by
    if by is not None:
        scope = "" if by.control == RULES else f" {by.control} of {by.scope} ({_stated(by)})"
        click.echo(f"Denied by{scope} {by.code}: {by.message}")


def step_lines(step: Step) -> Iterator[Text]:
    """A step: when and who, then what was said, what it changed and what was sent, each indented under what led to it."""
    who = f" {step.session}" if step.session else f" {step.command_id}" if step.command_id else ""
    yield Text.assemble(
        (iso(step.at), "cyan"),
        f"  {step.sequence:,}.{step.commit}  ",
        (f"{step.by}{who}", "bold"),
        f"  {step.verb}",
    )
    if step.command is not None:
        yield Text(f"    asks    {wording.command(step.verb, step.command.encode())}")
    for part in step.parts:
        yield from _part_lines(part)


def _part_lines(part: Part) -> Iterator[Text]:
    if part.report is not None:
        yield Text(f"    says    {wording.report(part.report)}")
    for event in part.events:
        yield Text.assemble("    event   ", wording.event(event))
    if part.report is not None and not part.events:
        yield Text("            nothing new", "dim")
    for sent in part.sent:
        to = f"to session {sent.session}" if sent.session else "not sent: no session serves the account"
        yield Text.assemble("    sent    ", f"{wording.instruction(sent.instruction)}, {to}")
    if part.status is not None and part.events:
        doubt = ", in doubt" if part.in_doubt else ""
        yield Text.assemble(
            "    now     ", (f"{part.status}{doubt}", render.STATUS_STYLES.get(part.status, ""))
        )
