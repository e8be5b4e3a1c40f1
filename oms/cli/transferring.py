"""`oms transfer`: funds between the MAIN account and another, and what became of them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import click

from oms.cli import options as o
from oms.cli import render as r
from oms.cli.exits import Exit, StoppedError
from oms.cli.params import AMOUNT, AmountCommand
from oms.client import OmsClient, OmsError, PublicEvent, Result
from oms.client.commands import plain
from oms.messages.enums import TransferStatus
from oms.messages.public import TransferChanged

OUTCOME_WITHIN_S: Final = 5.0
"""How long the venue's answer is waited for; most come within one."""


@click.command(cls=AmountCommand)
@click.argument("exchange")
@click.argument("source", metavar="FROM")
@click.argument("to", metavar="TO")
@click.argument("asset")
@click.argument("amount", type=AMOUNT)
@click.option("--market", default="spot", show_default=True, help="Whose wallet the funds leave.")
@click.option(
    "--to-market", default="", metavar="MARKET", help="Whose wallet they reach.  [default: the same]"
)
@o.by_option
@o.reason_option
@o.id_option
@o.json_option
@o.nats_option
def transfer(
    exchange: str,
    source: str,
    to: str,
    asset: str,
    amount: object,
    market: str,
    to_market: str,
    by: str,
    reason: str,
    command_id: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Move funds between the MAIN account and another, on one exchange. AMOUNT is in units of ASSET.

    \b
    oms transfer binance sub_arb main USDT 25000 --by kim
    oms transfer bybit sub_arb main USDT 1000 --market futures --by kim

    What leaves MAIN is held against main_floor, what reaches another account against sub_cap (`oms risk`).
    Waits up to 5 s for what the venue makes of it, and exits with 1 when it is rejected. What takes longer is under way:
    its amount stays locked, and `oms watch accounts` shows what becomes of it.
    """

    async def work(oms: OmsClient) -> tuple[Result, TransferChanged | None]:
        async with oms.watch("accounts", exchange=exchange, account=source) as events:
            result = await oms.transfer(
                exchange,
                source,
                to,
                asset,
                amount,  # type: ignore[arg-type]
                market=market,
                to_market=to_market,
                by=by,
                reason=reason,
                command_id=command_id,
            )
            # What was sent before was told of then, and not again.
            return result, None if result.duplicate else await _outcome(events, result.transfer_id)

    result, found = o.with_client(url, o.ANY, work)
    rejected = found is not None and found.status is TransferStatus.REJECTED
    if as_json:
        r.print_json({**plain(result), "transfer": found})
    elif found is not None and found.status is TransferStatus.COMPLETED:
        click.echo(r.transfer_text(found))
    elif not rejected:
        doubt = "" if found is None or not found.note else f" (in doubt: {found.note})"
        done = f"{result.transfer_id} {amount} {asset} {source} → {to}"
        r.say(result, False, f"{done} under way{doubt}: `oms watch accounts`")
    if rejected:
        assert found is not None
        raise StoppedError(Exit.REFUSED, r.transfer_text(found))


async def _outcome(events: AsyncIterator[PublicEvent], transfer_id: str) -> TransferChanged | None:
    """The transfer as it was last told of: settled, or not yet after :data:`OUTCOME_WITHIN_S`; None when nothing was heard."""
    found: TransferChanged | None = None
    try:
        async with asyncio.timeout(OUTCOME_WITHIN_S):
            async for event in events:
                if isinstance(event, TransferChanged) and event.transfer_id == transfer_id:
                    found = event
                    if found.status in (TransferStatus.COMPLETED, TransferStatus.REJECTED):
                        break
    except (TimeoutError, OmsError):
        # It is requested, and durable: what is not heard here is told elsewhere.
        pass
    return found
