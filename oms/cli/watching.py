"""`oms watch`: public events as they come, one line each."""

import contextlib
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from oms.cli import options as o
from oms.cli.exits import Exit
from oms.cli.render import STATUS_STYLES, asked_text, decimal_text, print_json, time_text, transfer_text
from oms.client import OmsClient, OmsEventsLost, PublicEvent
from oms.messages import public as p
from oms.messages.controls import Level
from oms.messages.enums import TransferStatus

_LEVELS: Final = {Level.CLEAR: "dim", Level.NEAR: "yellow", Level.BREACHED: "bold red"}

_TRANSFERS: Final = {
    TransferStatus.REQUESTED: "dim",
    TransferStatus.IN_DOUBT: "yellow",
    TransferStatus.COMPLETED: "green",
    TransferStatus.REJECTED: "bold red",
}


@click.command()
@click.argument("streams", nargs=-1, type=click.Choice(list(p.STREAMS.values())))
@click.option("--count", "-c", type=click.IntRange(1), metavar="N", help="End after so many events.")
@o.symbol_option
@o.any_account_option
@o.json_option
@o.nats_option
def watch(
    streams: tuple[str, ...], count: int | None, symbol: str, account: str, as_json: bool, url: str
) -> None:
    """Show public events as they happen, until Ctrl-C.

    \b
    oms watch
    oms watch orders trades --account sub_arb
    oms watch trades --json | your-program

    Says so when the connection dropped and events may be missing, and goes on.
    """
    console = o.console()

    async def work(oms: OmsClient) -> None:
        left = count
        if account != o.ANY or symbol != o.ANY:
            # Of what is not known nothing ever comes: whoever answers questions says so.
            await oms.positions(symbol=symbol, rows=1)
        click.echo("watching …", err=True)
        while left is None or left > 0:
            try:
                async with oms.watch(*streams, symbol=symbol) as events:
                    async for event in events:
                        print_json(event) if as_json else _show(console, event)
                        if left is not None:
                            left -= 1
                            if not left:
                                return
            except OmsEventsLost as error:
                click.echo(f"oms: {error}", err=True)
                await oms.connected()
                click.echo("oms: connected; watching on", err=True)

    with contextlib.suppress(KeyboardInterrupt):
        o.with_client(url, account, work)
        return
    raise SystemExit(Exit.DONE)


def _show(console: Console, event: PublicEvent) -> None:
    line = Text()
    line.append(f"{time_text(event.at)}  ", style="dim")
    text, style = _line(event)
    line.append(text, style=style)
    console.print(line, crop=False, no_wrap=True, overflow="ignore", soft_wrap=True)


def _line(event: PublicEvent) -> tuple[str, str]:
    """What a trader wants to know of an event, in one line, and its colour."""
    d = decimal_text
    if isinstance(event, p.OrderChanged):
        price = "market" if event.price is None else d(event.price)
        terms = f"{event.side} {d(event.quantity)} {event.symbol} @ {price}"
        doubt = " IN DOUBT" if event.in_doubt else ""
        said = ", ".join(filter(None, [event.reason, asked_text(event)]))
        reason = f"  ({said})" if said else ""
        denied = f"  amend denied, {event.denied}" if event.denied else ""
        became = f"{event.status}{doubt}  filled {d(event.filled)}{reason}{denied}"
        return f"order     {event.account} {event.order_id}  {terms}  {became}", STATUS_STYLES.get(
            event.status, ""
        )
    if isinstance(event, p.TradeHappened):
        terms = f"{event.side} {d(event.quantity)} {event.symbol} @ {d(event.price)}"
        style = "bold green" if event.side == "buy" else "bold red"
        return (
            f"trade     {event.account} {event.order_id}  {terms}  fee {d(event.fee)} {event.fee_asset}",
            style,
        )
    if isinstance(event, p.PositionChanged):
        earned = f"realised {d(event.realised)} {event.settle}"
        return f"position  {event.account} {event.symbol}  {d(event.quantity)}  {earned}", ""
    if isinstance(event, p.BalanceChanged):
        amounts = "  ".join(f"{row.asset} {d(row.total)} (locked {d(row.locked)})" for row in event.balances)
        if isinstance(event, p.TransferChanged):
            return f"transfer  {event.account} {transfer_text(event)}  {amounts}".rstrip(), _TRANSFERS[
                event.status
            ]
        return f"balance   {event.account}  {amounts}", "dim"
    if isinstance(event, p.TransferStopped):
        moved = f"{d(event.amount)} {event.asset} to {event.target}"
        return f"transfer  {event.account}  {moved} denied, {event.code}: {event.message}", "yellow"
    if isinstance(event, p.AccountReconciled):
        found = len(event.differences) + event.more
        return (
            f"compared  {event.account} {event.exchange}.{event.market}  {found:,} differences",
            "bold red" if found else "dim",
        )
    if isinstance(event, p.SessionChanged):
        how = "ready" if event.ready else "reconciling" if event.session else f"gone: {event.reason}"
        return f"connector {event.account} {event.exchange}.{event.market}  {how}", "yellow"
    if isinstance(event, p.ClientGuarded):
        return f"client    {event.account} {event.client}  {_guarded(event)}", "yellow"
    if isinstance(event, p.AccountKnown):
        return f"account   {event.account} {_known(event)}", "yellow"
    return _of_risk(event)


def _known(event: p.AccountKnown) -> str:
    if event.event == "AccountRegistered":
        return f"registered as {event.kind}"
    who = f" by {event.by}" if event.by else ""
    reason = f": {event.reason}" if event.reason else ""
    what = f"is called {event.name}" if event.event == "AccountRenamed" else f"is {event.status}"
    return f"{what}{who}{reason}"


def _of_risk(
    event: (
        p.LimitsChanged
        | p.LimitReached
        | p.KillSwitchChanged
        | p.TradingDayBegan
        | p.AssetValued
        | p.CapitalAllocated
    ),
) -> tuple[str, str]:
    d = decimal_text
    if isinstance(event, p.LimitReached):
        limit = "no limit" if event.limit is None else d(event.limit)
        figures = f"{event.control} {d(event.used)} of {limit}"
        position = f"  {event.position}" if event.position else ""
        return f"limit     {event.scope}  {figures}  {event.level}{position}", _LEVELS[event.level]
    if isinstance(event, p.TradingDayBegan):
        return f"day       {time_text(event.day)}  daily figures begin at zero", "dim"
    who = f" by {event.by}" if event.by else ""
    reason = f": {event.reason}" if event.reason else ""
    if isinstance(event, p.KillSwitchChanged):
        how = "KILLED" if event.engaged else "released"
        cause = f", {event.cause} tripped it" if event.cause else ""
        return f"kill      {event.scope}  {how}{who}{cause}{reason}", "bold red"
    if isinstance(event, p.AssetValued):
        worth = f"by {event.instrument}" if event.rate is None else f"{d(event.rate)} USD"
        return f"value     {event.asset}  {worth}{who}{reason}", "yellow"
    if isinstance(event, p.CapitalAllocated):
        given = "taken from it" if event.capital is None else f"with {d(event.capital)} USD"
        return f"strategy  {event.account} {event.strategy}  {given}{who}{reason}", "yellow"
    said = ", ".join(f"{control} {value}" for control, value in event.limits.items())
    until = f" until {time_text(event.until)}" if event.until else ""
    word = "override ended: " if event.event == "OverrideEnded" else "cleared: "
    gone = f"{word}{', '.join(event.cleared)}" if event.cleared else ""
    return f"limits    {event.scope}  {'; '.join(filter(None, (said + until, gone)))}{who}{reason}", "yellow"


def _guarded(event: p.ClientGuarded) -> str:
    whose = f" of strategy {event.strategy}" if event.strategy else ""
    if event.event == "ClientDisconnected":
        return f"was silent for too long: {event.count:,} orders{whose} are canceled"
    if event.timeout_ms:
        return f"is guarded: {event.timeout_ms:,} ms of silence cancel its orders{whose}"
    return "is no longer guarded"
