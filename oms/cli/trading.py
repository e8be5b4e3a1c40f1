"""`oms place`, `oms amend`, `oms cancel`, `oms terms`."""

import time

import click
import msgspec

from oms.cli import options as o
from oms.cli.params import AMOUNT, LIFETIME, VENUE, AmountCommand
from oms.cli.render import print_json, say
from oms.client import OmsClient, OmsRefused, Result


@click.command(cls=AmountCommand)
@click.argument("side", type=click.Choice(["buy", "sell"], case_sensitive=False))
@click.argument("quantity", type=AMOUNT)
@click.argument("symbol")
@click.option("--price", "-p", type=AMOUNT, help="Limit price. Without it the order is a market order.")
@click.option("--trigger", type=AMOUNT, help="Stop: becomes active when the market trades there.")
@click.option(
    "--tif",
    type=click.Choice(["GTC", "IOC", "FOK"], case_sensitive=False),
    default="GTC",
    show_default=True,
    help="Time in force.",
)
@click.option("--expires-in", "lifetime", type=LIFETIME, help="Good till then (GTD), such as 10m.")
@click.option("--post-only", is_flag=True, help="Rest in the book, or be refused.")
@click.option("--reduce-only", is_flag=True, help="Only bring the position nearer to zero.")
@click.option("--strategy", default="", metavar="NAME", help="Whose P&L it counts to.")
@click.option("--ref", default="", metavar="TEXT", help="Your own reference, shown with the order.")
@click.option("--venue", type=VENUE, default="binance.spot", show_default=True, help="Where to.")
@o.account_option
@o.id_option
@o.json_option
@o.nats_option
def place(
    side: str,
    quantity: object,
    symbol: str,
    price: object,
    trigger: object,
    tif: str,
    lifetime: int | None,
    post_only: bool,
    reduce_only: bool,
    strategy: str,
    ref: str,
    venue: tuple[str, str],
    account: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Place one order.

    \b
    oms place buy 0.1 BTCUSDT --price 50000 --account sub_arb
    oms place sell 0.1 BTCUSDT                          at the market
    oms place sell 0.1 BTCUSDT --trigger 45000          stop market
    oms place buy 1 ETHUSDT -p 2900 --post-only --expires-in 10m

    Prints the order's id once it is durable; `oms orders ID` shows what became of it.
    """
    if lifetime is not None and command_id is not None:
        raise click.UsageError(
            "--expires-in counts from now, so that --id would name two different orders: leave one of them out"
        )

    async def work(oms: OmsClient) -> Result:
        return await oms.place(
            symbol,
            side.lower(),
            quantity,  # type: ignore[arg-type]
            price=price,  # type: ignore[arg-type]
            trigger_price=trigger,  # type: ignore[arg-type]
            time_in_force=tif.upper(),
            expires_at=None if lifetime is None else time.time_ns() + lifetime,
            post_only=post_only,
            reduce_only=reduce_only,
            strategy=strategy,
            client_order_id=ref,
            exchange=venue[0],
            market=venue[1],
            command_id=command_id,
        )

    result = o.with_client(url, account, work)
    say(result, as_json, f"{result.order_id} {result.status}")


@click.command()
@click.argument("order_id")
@click.option("--quantity", "-q", type=AMOUNT, help="New total quantity, what is filled included.")
@click.option("--price", "-p", type=AMOUNT, help="New price.")
@o.account_option
@o.id_option
@o.json_option
@o.nats_option
def amend(
    order_id: str,
    quantity: object,
    price: object,
    account: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Change the quantity or the price of a working order.

    \b
    oms amend ORDER_ID --price 49900
    oms amend ORDER_ID --quantity 0.4 --price 49900
    """
    if quantity is None and price is None:
        raise click.UsageError("give --quantity, --price or both")

    async def work(oms: OmsClient) -> Result:
        return await oms.amend(
            order_id,
            quantity=quantity,  # type: ignore[arg-type]
            price=price,  # type: ignore[arg-type]
            command_id=command_id,
        )

    result = o.with_client(url, account, work)
    say(result, as_json, f"{order_id} {result.status}")


@click.command()
@click.argument("order_ids", nargs=-1, metavar="[ORDER_ID]...")
@click.option("--all", "everything", is_flag=True, help="Every live order of the account.")
@click.option("--symbol", "-s", metavar="SYMBOL", help="With --all: only this symbol.")
@o.account_option
@o.id_option
@o.json_option
@o.nats_option
def cancel(
    order_ids: tuple[str, ...],
    everything: bool,
    symbol: str | None,
    account: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Cancel orders: those named, or all of an account.

    \b
    oms cancel ORDER_ID [ORDER_ID ...]
    oms cancel --all --account sub_arb
    oms cancel --all --symbol BTCUSDT

    Says so once the request is durable; the venue's answer follows, see `oms orders`.
    """
    if everything == bool(order_ids):
        raise click.UsageError("name the orders to cancel, or give --all")
    if symbol is not None and not everything:
        raise click.UsageError("--symbol goes with --all")
    if command_id is not None and len(order_ids) > 1:
        raise click.UsageError("--id goes with one order or --all")
    if everything:
        result = o.with_client(
            url, account, lambda oms: oms.cancel_all(symbol=symbol or o.ANY, command_id=command_id)
        )
        say(result, as_json, f"cancel requested for {result.count} order{'' if result.count == 1 else 's'}")
    elif len(order_ids) == 1:
        result = o.with_client(url, account, lambda oms: oms.cancel(order_ids[0], command_id=command_id))
        say(result, as_json, f"{order_ids[0]} {result.status}")
    else:
        _cancel_many(order_ids, o.with_client(url, account, lambda oms: oms.cancel_many(order_ids)), as_json)


def _cancel_many(order_ids: tuple[str, ...], results: list[Result], as_json: bool) -> None:
    failed = [
        (order_id, result.error) for order_id, result in zip(order_ids, results, strict=True) if result.error
    ]
    if as_json:
        print_json([msgspec.structs.asdict(result) for result in results])
    else:
        for order_id, result in zip(order_ids, results, strict=True):
            if result.ok:
                click.echo(f"{order_id} {result.status}")
    for order_id, error in failed[:-1]:
        click.echo(f"oms: {order_id} refused: {error.code}: {error.message}", err=True)
    if failed:
        order_id, error = failed[-1]
        raise OmsRefused(error.code, f"{order_id}: {error.message}")


@click.command()
@click.argument("symbol")
@click.option("--leverage", "-l", type=AMOUNT, help="Leverage, such as 5.")
@click.option(
    "--margin-mode",
    "-m",
    type=click.Choice(["cross", "isolated"], case_sensitive=False),
    help="What stands behind the position: the whole wallet, or an amount set aside for it.",
)
@click.option("--venue", type=VENUE, default="binance.futures", show_default=True, help="Where.")
@o.account_option
@o.id_option
@o.json_option
@o.nats_option
def terms(
    symbol: str,
    leverage: object,
    margin_mode: str | None,
    venue: tuple[str, str],
    account: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Ask the venue for another leverage or margin mode of a futures symbol.

    \b
    oms terms BTCUSDT --leverage 5
    oms terms BTC-USDT-SWAP --venue okx.futures --leverage 3 --margin-mode isolated

    Says so once the request is durable; the venue's answer follows, see `oms positions --all`.
    """
    if leverage is None and margin_mode is None:
        raise click.UsageError("give --leverage, --margin-mode or both")

    async def work(oms: OmsClient) -> Result:
        return await oms.set_terms(
            symbol,
            leverage=leverage,  # type: ignore[arg-type]
            margin_mode=None if margin_mode is None else margin_mode.lower(),
            exchange=venue[0],
            market=venue[1],
            command_id=command_id,
        )

    result = o.with_client(url, account, work)
    say(result, as_json, f"terms of {symbol} requested")
