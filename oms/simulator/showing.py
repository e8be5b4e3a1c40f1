"""The exchange's state as the control API shows it: neutral names, amounts as text, times in UTC ns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .exchange import Exchange
from .ledger import Account, FundingPayment
from .orders import Fill, Order


def amount(value: Decimal) -> str:
    """Write an amount in full, without an exponent."""
    return format(value, "f")


def _flat(thing: Any, names: tuple[str, ...]) -> dict[str, object]:
    values = ((name, getattr(thing, name)) for name in names)
    return {name: amount(value) if isinstance(value, Decimal) else value for name, value in values}


_ORDER = (
    *("account", "market", "symbol", "order_id", "client_order_id", "side", "type", "time_in_force"),
    *("quantity", "quote_quantity", "price", "stop_price", "executed", "executed_quote", "status", "reason"),
    *("post_only", "reduce_only", "origin", "created_ns", "updated_ns"),
)
_FILL = (
    *("market", "symbol", "trade_id", "order_id", "price", "quantity", "quote", "commission"),
    *("commission_asset", "is_buyer", "is_maker", "realised", "origin", "time_ns"),
)
_POSITION = ("quantity", "entry_price", "cost", "leverage", "mode", "isolated_margin", "realised")
_PAYMENT = ("payment_id", "symbol", "asset", "amount", "rate", "mark_price", "quantity", "time_ns")


def order(found: Order) -> dict[str, object]:
    return _flat(found, _ORDER)


def fill(account: Account, found: Fill) -> dict[str, object]:
    return {"account": account.name, **_flat(found, _FILL)}


def payment(account: Account, found: FundingPayment) -> dict[str, object]:
    return {"account": account.name, **_flat(found, _PAYMENT)}


def balances(account: Account, wallet: str) -> dict[str, dict[str, str]]:
    """Free and locked of every asset of one wallet."""
    return {
        asset: {"free": amount(balance.free), "locked": amount(balance.locked)}
        for asset, balance in sorted(account.wallets[wallet].items())
    }


def position(exchange: Exchange, account: Account, symbol: str) -> dict[str, object]:
    """One position with what it is worth now."""
    found, market = exchange.position(account, symbol), exchange.market("futures", symbol)
    return {
        **_flat(found, _POSITION),
        "mark_price": amount(market.mark_price),
        "unrealised": amount(found.unrealised(market.mark_price)),
        "liquidation_price": amount(exchange.liquidation_price(account, symbol)),
    }
