"""`oms risk`, `oms kill`, `oms release`, `oms value`: what is used of limits, the kill switch, and what assets are worth."""

from decimal import Decimal
from typing import Any, Final

import click

from oms.cli import options as o
from oms.cli import render as r
from oms.cli.params import AMOUNT
from oms.client import OmsClient, OmsError, Result
from oms.messages import queries as q
from oms.messages.scopes import ScopeKind, parse_scope

_NAMED: Final = 5
"""Engaged scopes named to whoever releases another."""
_KINDS: Final = list(ScopeKind)
_LEVELS: Final = {"near": r.WAITING, "breached": r.BAD}

# -- what is


def _level(row: q.LimitRow) -> str:
    return _LEVELS.get(row.level, "")


def _limit(row: q.LimitRow) -> Any:
    try:
        return Decimal(row.limit)
    except ArithmeticError:
        return row.limit


def _noted(row: q.LimitRow) -> str:
    if row.control == q.KILL_SWITCH and row.latch is not None:
        return r.latch_text(row.latch)
    if row.override is None:
        return ""
    reason = f": {row.override.reason}" if row.override.reason else ""
    return f"overridden until {r.time_text(row.override.until)} by {row.override.by}{reason}"


def _known(value: Any) -> Any:
    return "" if value is None else value


COLUMNS: Final = (
    r.Column("SCOPE", lambda row: row.scope),
    r.Column("CONTROL", lambda row: row.control),
    r.Column("LIMIT", _limit),
    r.Column("USED", lambda row: _known(row.used), _level),
    r.Column("HEADROOM", lambda row: _known(row.headroom), _level),
    r.Column("USED %", lambda row: "" if row.share is None else round(row.share * 100, 1), _level),
    r.Column("LEVEL", lambda row: "" if row.level == "clear" else row.level, _level),
    r.Column("NEAREST", lambda row: row.nearest),
    r.Column("FROM", lambda row: "" if row.source == row.scope else row.source, lambda _: r.DIM),
    r.Column("NOTED", _noted, lambda row: r.BAD if row.control == q.KILL_SWITCH else r.WAITING),
)


@click.command()
@click.option("--scope", default="", metavar="PREFIX", help="Only scopes that begin so, such as account:.")
@click.option("--control", metavar="NAME", help="Only this control.")
@click.option("--near", is_flag=True, help="Only what is at 80 % of its limit or more, or killed.")
@click.option("--killed", is_flag=True, help="Only the kill switches that are engaged.")
@click.option(
    "--rows", "-n", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="At most so many."
)
@o.any_account_option
@o.json_option
@o.nats_option
def risk(
    scope: str,
    control: str | None,
    near: bool,
    killed: bool,
    rows: int,
    account: str,
    as_json: bool,
    url: str,
) -> None:
    """Show every limit by scope, with what is used of it and what is left.

    \b
    oms risk                              all of it
    oms risk --near                       what needs looking at
    oms risk --killed                     what is killed, since when, by whom
    oms risk --account sub_arb            what the account itself is limited to
    oms risk --scope strategy: --control max_daily_loss

    Money is in USD, ages and windows are durations (5s), ratios are shares (0.05 is 5 %), the rest are counts; the
    controls page of the documentation says which is which. FROM names the scope that a limit is inherited from; NEAREST the
    position or account that stands nearest to it, where it is held against each.
    """

    if killed and control is None:
        control = q.KILL_SWITCH

    async def ask(oms: OmsClient) -> q.Answer[q.LimitRow]:
        return await oms.limits(scope=scope, control=control, near=near, latched=killed, rows=rows)

    answer = o.with_client(url, account, ask)
    if as_json:
        r.print_json(answer)
        return
    nothing = "nothing is near to a limit" if near else "no scope is killed" if killed else "no such limits"
    r.show(o.console(), COLUMNS, answer.rows, nothing)
    if account != o.ANY:
        click.echo(
            f"this is the scope account:{account} alone; global, exchanges, strategies and instruments cover its orders"
            " too: `oms risk` without --account",
            err=True,
        )
    if answer.more:
        click.echo("… there is more: ask for it with --rows", err=True)


# -- kill switch


@click.command()
@o.scope_argument
@click.option(
    "--allow-reduce-only", is_flag=True, help="Let orders through that bring a position nearer to zero."
)
@o.by_option
@o.kill_reason_option
@o.id_option
@o.json_option
@o.nats_option
def kill(
    scope: str,
    allow_reduce_only: bool,
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Throw the kill switch of a scope: nothing new is placed in it, and every order in it is cancelled.

    \b
    oms kill global --by kim --reason "we do not know what this is"
    oms kill account:sub_arb --by kim --allow-reduce-only
    oms kill strategy:market_making --by kim
    oms kill instrument:binance.spot.BTCUSDT --by kim
    oms kill exchange:binance --by kim

    Holds over every restart, until `oms release`. Cancels by hand are never blocked. Says how many orders it asked to
    cancel once that is durable; `oms orders` shows what still works at the venues.
    """

    async def work(oms: OmsClient) -> Result:
        return await oms.kill(
            scope, by=by, reason=reason, allow_reduce_only=allow_reduce_only, command_id=command_id
        )

    result = o.with_client(url, o.ANY, work)
    count = "no order in it was left to cancel"
    if result.count:
        count = f"{result.count:,} order{' is' if result.count == 1 else 's are'} being cancelled"
    r.say(result, as_json, f"{scope} killed; {count}")


@click.command()
@o.scope_argument
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def release(scope: str, by: str, reason: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Release the kill switch of a scope: it trades again.

    \b
    oms release account:sub_arb --by kim --reason "found and mended"

    Only what was killed is released: kill switches of other scopes that cover orders there stay engaged, and are named. The
    scope's drawdown is measured anew from here.
    """

    async def work(oms: OmsClient) -> None:
        result = await oms.release(scope, by=by, reason=reason, command_id=command_id)
        r.say(result, as_json, f"{scope} released")
        if as_json:
            return
        try:
            latched = await oms.limits(control=q.KILL_SWITCH)
        except OmsError as error:
            click.echo(f"oms: released, but what else is engaged is not known: {error}", err=True)
            return
        others = [row.latch for row in latched.rows if row.latch is not None and _meet(scope, row.scope)]
        for latch in others[:_NAMED]:
            click.echo(f"still killed for orders there: {latch.scope} {r.latch_text(latch)}")
        if len(others) > _NAMED:
            click.echo(f"… and {len(others) - _NAMED:,} more: `oms risk --killed`")

    o.with_client(url, o.ANY, work)


def _meet(one: str, other: str) -> bool:
    """Whether an order may be in both scopes."""
    scopes = sorted((parse_scope(one), parse_scope(other)), key=lambda scope: _KINDS.index(scope.kind))
    (wider, name), (kind, named) = scopes
    if wider is kind:
        return name == named
    if (wider, kind) == (ScopeKind.EXCHANGE, ScopeKind.INSTRUMENT):
        return named.partition(".")[0] == name
    return True


# -- valuations


@click.command()
@click.argument("asset")
@click.option("--rate", type=AMOUNT, help="USD a unit.")
@click.option(
    "--instrument",
    default="",
    metavar="EXCHANGE.MARKET.SYMBOL",
    help="Whose mark says it: one that prices the asset in another with a fixed rate, or the other way round.",
)
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def value(
    asset: str,
    rate: object,
    instrument: str,
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Say what a unit of an asset is worth in USD. Limits in USD are held by it.

    \b
    oms value USDT --rate 1 --by kim
    oms value BTC --instrument binance.spot.BTCUSDT --by kim
    oms value KRW --instrument upbit.spot.KRW-USDT --by kim
    """
    if (rate is None) == (not instrument):
        raise click.UsageError("give --rate or --instrument")

    async def work(oms: OmsClient) -> Result:
        return await oms.set_valuation(
            asset,
            rate=rate,  # type: ignore[arg-type]
            instrument=instrument,
            by=by,
            reason=reason,
            command_id=command_id,
        )

    result = o.with_client(url, o.ANY, work)
    worth = f"by the mark of {instrument}" if rate is None else f"at {rate} USD"
    r.say(result, as_json, f"{asset} is valued {worth}")
