"""`oms accounts`: the accounts of the desk and their strategies."""

from typing import Final

import click

from oms.cli import options as o
from oms.cli import render as r
from oms.cli.params import AMOUNT
from oms.client import OmsClient, Result
from oms.messages import queries as q
from oms.messages.enums import AccountKind, TransferStatus

_COMMAND_LINE: Final = click.core.ParameterSource.COMMANDLINE
_STATUSES: Final = {"disabled": r.WAITING, "closed": r.DIM}


def _venues(row: q.AccountRow) -> str:
    return ", ".join(
        f"{each.exchange}.{each.market}{'' if each.ready else ' (no connector)'}" for each in row.venues
    )


def _strategies(row: q.AccountRow) -> str:
    return ", ".join(f"{each.strategy} {r.decimal_text(each.capital)}" for each in row.strategies)


def _transfers(row: q.AccountRow) -> str:
    doubtful = sum(each.status is TransferStatus.IN_DOUBT for each in row.transfers)
    return (
        f"{row.under_way} under way" + (f", {doubtful} in doubt" if doubtful else "") if row.under_way else ""
    )


COLUMNS: Final = (
    r.Column("ACCOUNT", lambda row: row.account),
    r.Column("NAME", lambda row: "" if row.name == row.account else row.name),
    r.Column("KIND", lambda row: row.kind),
    r.Column("STATUS", lambda row: row.status, lambda row: _STATUSES.get(row.status, r.GOOD)),
    r.Column("VALUE", lambda row: round(row.value, 2)),
    r.Column("NOT VALUED", lambda row: ", ".join(row.unvalued), lambda _: r.WAITING),
    r.Column("EXPOSURE", lambda row: round(row.exposure, 2)),
    r.Column("OPEN ORDERS", lambda row: row.open_orders),
    r.Column("P&L TODAY", lambda row: round(row.pnl_day, 2), r.sign("pnl_day")),
    r.Column("DRAWDOWN", lambda row: round(row.drawdown, 2)),
    r.Column("STRATEGIES", _strategies),
    r.Column("VENUES", _venues),
    r.Column("TRANSFERS", _transfers, lambda _: r.WAITING),
    r.Column(
        "KILL SWITCH",
        lambda row: "; ".join(f"{each.scope} {r.latch_text(each)}" for each in row.latches),
        lambda _: r.BAD,
    ),
)


@click.group(invoke_without_command=True)
@o.any_account_option
@o.json_option
@o.nats_option
@click.pass_context
def accounts(context: click.Context, account: str, as_json: bool, url: str) -> None:
    """Show accounts: what each is worth, has open and earned today, all in USD; or change them.

    \b
    oms accounts
    oms accounts --account sub_arb --json
    oms accounts register sub_arb SUB
    oms accounts disable sub_arb --by kim --reason "keys are being changed"

    STRATEGIES are those assigned to the account, with their capital.
    """
    if context.invoked_subcommand is not None:
        given = [each for each in context.params if context.get_parameter_source(each) is _COMMAND_LINE]
        if given:
            raise click.UsageError(f"options go behind {context.invoked_subcommand}")
        return
    answer = o.with_client(url, account, lambda oms: oms.accounts(rows=100_000))
    if as_json:
        r.print_json(answer)
        return
    r.show(o.console(), COLUMNS, answer.rows, "no accounts")


@accounts.command()
@click.argument("account")
@click.argument("kind", type=click.Choice([kind.value for kind in AccountKind], case_sensitive=False))
@o.id_option
@o.json_option
@o.nats_option
def register(account: str, kind: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Register an account: one MAIN, and up to 200 SUB and STRATEGY.

    ACCOUNT is its id, in subjects and events: 1 to 32 letters, digits and _. On a STRATEGY account only strategies
    trade that are assigned to it. Its keys and connectors are the configuration's.
    """

    async def work(oms: OmsClient) -> Result:
        return await oms.register_account(account, kind.upper(), command_id=command_id)

    r.say(o.with_client(url, o.ANY, work), as_json, f"{account} registered as {kind.upper()}")


@accounts.command()
@click.argument("account")
@click.argument("name")
@o.by_option
@o.id_option
@o.json_option
@o.nats_option
def rename(account: str, name: str, by: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Give an account another name for people. Its id stays what it is."""

    async def work(oms: OmsClient) -> Result:
        return await oms.rename_account(account, name, by=by, command_id=command_id)

    r.say(o.with_client(url, o.ANY, work), as_json, f"{account} is called {name}")


@accounts.command()
@click.argument("account")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def disable(account: str, by: str, reason: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Let an account place and amend nothing. What works goes on, and can be cancelled; `oms kill` cancels it."""

    async def work(oms: OmsClient) -> Result:
        return await oms.disable_account(account, by=by, reason=reason, command_id=command_id)

    r.say(o.with_client(url, o.ANY, work), as_json, f"{account} disabled")


@accounts.command()
@click.argument("account")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def enable(account: str, by: str, reason: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Let a disabled account trade again."""

    async def work(oms: OmsClient) -> Result:
        return await oms.enable_account(account, by=by, reason=reason, command_id=command_id)

    r.say(o.with_client(url, o.ANY, work), as_json, f"{account} enabled")


@accounts.command()
@click.argument("account")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def close(account: str, by: str, reason: str, command_id: str | None, as_json: bool, url: str) -> None:
    """Close an account for good. It must have no live orders, positions, funds or transfers under way."""

    async def work(oms: OmsClient) -> Result:
        return await oms.close_account(account, by=by, reason=reason, command_id=command_id)

    r.say(o.with_client(url, o.ANY, work), as_json, f"{account} closed")


@accounts.command()
@click.argument("account")
@click.argument("strategy")
@click.option("--capital", type=AMOUNT, help="USD that its positions and working orders may come to.")
@click.option("--remove", is_flag=True, help="Take the strategy from the account.")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def assign(
    account: str,
    strategy: str,
    capital: object,
    remove: bool,
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Bind a strategy to an account, and give it capital. It trades on that account and no other.

    \b
    oms accounts assign sub_arb demo --capital 10000 --by kim
    oms accounts assign sub_arb demo --remove --by kim
    """
    if (capital is None) != remove:
        raise click.UsageError("give --capital or --remove")

    async def work(oms: OmsClient) -> Result:
        return await oms.assign_strategy(
            strategy,
            account,
            capital,  # type: ignore[arg-type]
            by=by,
            reason=reason,
            command_id=command_id,
        )

    done = (
        f"{strategy} taken from {account}" if remove else f"{strategy} trades on {account} with {capital} USD"
    )
    r.say(o.with_client(url, o.ANY, work), as_json, done)
