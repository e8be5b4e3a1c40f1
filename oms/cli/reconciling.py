"""`oms reconcile`: what the engine believes, held against what the venues say, for an operator."""

import asyncio
from collections.abc import Iterator
from typing import Final

import click
from rich.text import Text

from oms.cli import options as o
from oms.cli.exits import Exit, StoppedError
from oms.cli.render import print_json
from oms.client import OmsClient, OmsError, OmsRefused
from oms.messages import queries as q
from oms.messages.public import AccountReconciled

AT_ONCE: Final = 10
"""Accounts and markets that are reconciled at the same time."""

Outcome = tuple[q.SessionRow, AccountReconciled | OmsError]


@click.command()
@click.argument("venue", required=False, metavar="[EXCHANGE[.MARKET]]")
@click.option(
    "--within",
    type=click.FloatRange(1, 3_600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each may take.",
)
@o.any_account_option
@o.json_option
@o.nats_option
def reconcile(venue: str | None, within: float, account: str, as_json: bool, url: str) -> None:
    """Hold orders, trades, balances and positions against the venues now, and say what differed.

    \b
    oms reconcile                              every account on every market
    oms reconcile bybit --account sub_arb
    oms reconcile binance.futures

    What differs is mended at once, by events that say what was expected and what was found; this is the report of it.
    Exits with 1 when anything differed, or could not be compared.
    """
    exchange, _, market = (venue or "").partition(".")

    async def work(oms: OmsClient) -> list[Outcome]:
        sessions = [
            row
            for row in (await oms.status()).sessions
            if exchange in ("", row.exchange) and market in ("", row.market)
        ]
        if not sessions:
            raise StoppedError(
                Exit.REFUSED, f"no connector has served {venue or 'any venue'} for {_whom(account)}"
            )
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(row: q.SessionRow) -> Outcome:
            async with gate:
                try:
                    found = await oms.reconcile(
                        account=row.account, exchange=row.exchange, market=row.market, within_s=within
                    )
                except OmsError as error:
                    return row, error
                return row, found

        return await asyncio.gather(*map(one, sessions))

    outcomes: list[Outcome] = o.with_client(url, account, work)
    if as_json:
        print_json([_as_json(*outcome) for outcome in outcomes])
    else:
        console = o.console()
        for outcome in outcomes:
            for text, style in _lines(*outcome):
                console.print(
                    Text(text, style=style), crop=False, no_wrap=True, overflow="ignore", soft_wrap=True
                )
    bad = sum(isinstance(found, OmsError) or _differences(found) > 0 for _, found in outcomes)
    if bad:
        raise StoppedError(Exit.REFUSED, f"{bad:,} of {len(outcomes):,} differed or could not be compared")


def _whom(account: str) -> str:
    return "any account" if account == o.ANY else account


def _differences(found: AccountReconciled) -> int:
    return len(found.differences) + found.more


def _lines(row: q.SessionRow, found: AccountReconciled | OmsError) -> Iterator[tuple[str, str]]:
    where = f"{row.account} {row.exchange}.{row.market}"
    if isinstance(found, OmsError):
        yield f"{where}  not compared: {found}", "bold red"
        return
    count = _differences(found)
    compared = f"{found.orders:,} orders, {found.trades:,} trades, {found.balances:,} balances, {found.positions:,} positions"
    differed = "no difference" if not count else f"{count:,} difference{'' if count == 1 else 's'}"
    yield f"{where}  {compared}: {differed}", "bold red" if count else "green"
    for each in found.differences:
        yield f"  {each.kind} {each.key}: expected {each.expected}, found {each.found}", "red"
    if found.more:
        yield f"  … and {found.more:,} more", "red"


def _as_json(row: q.SessionRow, found: AccountReconciled | OmsError) -> object:
    if isinstance(found, AccountReconciled):
        return found
    code = str(found.code) if isinstance(found, OmsRefused) else type(found).__name__
    place = {"account": row.account, "exchange": row.exchange, "market": row.market}
    return {**place, "error": {"code": code, "message": str(found)}}
