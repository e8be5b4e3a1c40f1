"""`oms limits`: limits, as people set, clear and override them."""

import time

import click

from oms.cli import options as o
from oms.cli import render as r
from oms.cli.params import OVERRIDE, SETTING
from oms.client import OmsClient, Result


@click.group()
def limits() -> None:
    """Set limits, take them away, and override them for a while. `oms risk` shows them.

    A scope is global, exchange:NAME, account:NAME, strategy:NAME or instrument:EXCHANGE.MARKET.SYMBOL, or with * in
    place of the name, for each of them that has no limit of its own. Of several scopes that cover an order the tightest
    limit holds. Amounts are in USD, durations are written 500ms, 5s or 1m, ratios 0.05 for 5 %; off is no limit.
    """


@limits.command("set")
@o.scope_argument
@click.argument("settings", nargs=-1, required=True, type=SETTING, metavar="CONTROL=VALUE...")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def set_limits(
    scope: str,
    settings: tuple[tuple[str, str], ...],
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Set limits of a scope; those not named stay. They hold from the next order on.

    \b
    oms limits set account:sub_arb max_order_value=5000 max_daily_loss=500 --by kim
    oms limits set instrument:binance.spot.BTCUSDT price_collar=0.02 --by kim
    oms limits set strategy:market_making max_inventory=BTC=1,ETH=20 --by kim
    """
    values = _once(settings)

    async def work(oms: OmsClient) -> Result:
        return await oms.set_limits(scope, values, by=by, reason=reason, command_id=command_id)

    result = o.with_client(url, o.ANY, work)
    r.say(result, as_json, f"{scope}: {_listed(settings)}")


@limits.command("clear")
@o.scope_argument
@click.argument("controls", nargs=-1, required=True, metavar="CONTROL...")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def clear_limits(
    scope: str,
    controls: tuple[str, ...],
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Take away what a scope itself says of some controls: what stands above it holds then.

    \b
    oms limits clear account:sub_arb max_order_value --by kim

    Controls of the global scope cannot be cleared: set them to another value, or to off.
    """

    async def work(oms: OmsClient) -> Result:
        return await oms.set_limits(scope, {}, clear=controls, by=by, reason=reason, command_id=command_id)

    result = o.with_client(url, o.ANY, work)
    r.say(result, as_json, f"{scope}: {', '.join(controls)} cleared")


@limits.command("override")
@o.scope_argument
@click.argument("settings", nargs=-1, required=True, type=SETTING, metavar="CONTROL=VALUE...")
@click.option("--for", "lifetime", required=True, type=OVERRIDE, help="How long, such as 15m; at most 7d.")
@o.by_option
@o.reason_option
@o.json_option
@o.nats_option
def override_limits(
    scope: str,
    settings: tuple[tuple[str, str], ...],
    lifetime: int,
    by: str,
    reason: str,
    as_json: bool,
    url: str,
) -> None:
    """Put other values in place of a scope's own for a while; then they end by themselves.

    \b
    oms limits override account:sub_arb max_position=20000 --for 15m --by kim --reason "roll of the quarter"
    """
    values = _once(settings)
    until = time.time_ns() + lifetime

    async def work(oms: OmsClient) -> Result:
        return await oms.override_limits(scope, values, until=until, by=by, reason=reason)

    result = o.with_client(url, o.ANY, work)
    r.say(result, as_json, f"{scope}: {_listed(settings)} until {r.time_text(until)}")


@limits.command("end-override")
@o.scope_argument
@click.argument("controls", nargs=-1, metavar="[CONTROL]...")
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def end_override(
    scope: str,
    controls: tuple[str, ...],
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """End a scope's overrides now: those of the controls named, or all.

    \b
    oms limits end-override account:sub_arb --by kim
    """

    async def work(oms: OmsClient) -> Result:
        return await oms.end_override(scope, controls, by=by, reason=reason, command_id=command_id)

    result = o.with_client(url, o.ANY, work)
    r.say(result, as_json, f"{scope}: {', '.join(controls) or 'every override'} ended")


def _once(settings: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = dict(settings)
    if len(found) < len(settings):
        raise click.UsageError("each control is given once")
    return found


def _listed(settings: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{control} {value}" for control, value in settings)
