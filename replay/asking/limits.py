"""Limits: every control there is, what it allows, what is used of it, and what is left, at one moment. Pure.

A control that holds each order by itself (a tick, a largest quantity) has a limit and no use; one that adds up over orders
(funds, a position to reduce, the number of sub-accounts) has both, and headroom.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from oms.aggregates.account import Account, Wallet
from oms.aggregates.instrument import Instrument
from oms.aggregates.partition import Partition
from oms.aggregates.position import Position
from oms.aggregates.registered import MAX_MAIN, MAX_SUB_ACCOUNTS
from oms.messages.codes import Code
from oms.messages.enums import AccountKind
from oms.messages.subjects import ANY
from replay.asking.filters import Filters

Amount = Decimal | int | str | None


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """One control.

    Args:
        control: what is limited. ``code``: what an order beyond it is denied with.
        exchange, account, market, symbol: whom it holds for, ``_`` for all. ``unit``: asset that the amounts are in.
        limit: None when there is none. ``use``: None when orders do not add up.
        headroom: limit − use.
    """

    control: str
    code: Code
    exchange: str = ANY
    account: str = ANY
    market: str = ANY
    symbol: str = ANY
    unit: str = ""
    limit: Amount
    use: Amount = None
    headroom: Decimal | int | None = None


def limits(state: Partition, filters: Filters) -> Iterator[LimitRow]:
    """Every control by whom it holds for: accounts, connectors and funds, positions, instruments.

    Inside :data:`oms.aggregates.money.EXACT`.
    """
    rows = (
        row
        for part in (
            _accounts(state),
            *(_ledger(state.ledgers[key], state.funds_seen(key)) for key in sorted(state.ledgers)),
            *(_position(state.positions[key]) for key in sorted(state.positions)),
            *(_instrument(state.instruments[key]) for key in sorted(state.instruments)),
        )
        for row in part
    )
    for row in rows:
        # What holds for all holds for the one that is asked about too.
        if all(
            asked == ANY or has in (ANY, asked)
            for asked, has in (
                (filters.exchange, row.exchange),
                (filters.account, row.account),
                (filters.market, row.market),
                (filters.symbol, row.symbol),
            )
        ):
            yield row


def _accounts(state: Partition) -> Iterator[LimitRow]:
    kinds = [each.kind for each in state.accounts.values() if not each.closed]
    mains = kinds.count(AccountKind.MAIN)
    for kind, most, there in (
        ("MAIN", MAX_MAIN, mains),
        ("SUB and STRATEGY", MAX_SUB_ACCOUNTS, len(kinds) - mains),
    ):
        yield LimitRow(
            control=f"{kind} accounts", code=Code.ACCOUNT_LIMIT, limit=most, use=there, headroom=most - there
        )


def _ledger(ledger: Account, wallet: Wallet) -> Iterator[LimitRow]:
    place: dict[str, Any] = {"exchange": ledger.exchange, "account": ledger.account, "market": ledger.market}
    session = "ready" if ledger.ready else "reconciling" if ledger.session else "none"
    yield LimitRow(control="connector session", code=Code.VENUE_DOWN, **place, limit="ready", use=session)
    for asset, balance in sorted(wallet.balances.items()):
        yield LimitRow(
            control="free funds",
            code=Code.INSUFFICIENT_FUNDS,
            **place,
            unit=asset,
            limit=balance.total,
            use=balance.locked + balance.margin,
            headroom=balance.free,
        )


def _position(position: Position) -> Iterator[LimitRow]:
    held = abs(position.quantity)
    if held or position.reducing:
        yield LimitRow(
            control="reduce-only quantity",
            code=Code.REDUCE_ONLY,
            exchange=position.exchange,
            account=position.account,
            market=position.market,
            symbol=position.symbol,
            limit=held,
            use=position.reducing,
            headroom=held - position.reducing,
        )


def _instrument(instrument: Instrument) -> Iterator[LimitRow]:
    place: dict[str, Any] = {
        "exchange": instrument.exchange,
        "market": instrument.market,
        "symbol": instrument.symbol,
    }
    quote = instrument.quote
    for control, code, unit, limit, use in (
        (
            "instrument state",
            Code.INSTRUMENT_HALTED,
            "",
            "trading",
            "trading" if instrument.trading else "halted",
        ),
        ("mark price", Code.NO_REFERENCE_PRICE, quote, "known", instrument.mark),
        ("price in ticks", Code.TICK_SIZE, quote, instrument.tick, None),
        ("quantity in steps", Code.STEP_SIZE, "", instrument.step, None),
        ("least quantity", Code.QUANTITY_TOO_SMALL, "", instrument.min_quantity, None),
        ("most quantity", Code.QUANTITY_TOO_LARGE, "", instrument.max_quantity, None),
        ("least notional", Code.NOTIONAL_TOO_SMALL, quote, instrument.min_notional, None),
        ("most notional", Code.NOTIONAL_TOO_LARGE, quote, instrument.max_notional, None),
    ):
        yield LimitRow(control=control, code=code, **place, unit=unit, limit=limit, use=use)
