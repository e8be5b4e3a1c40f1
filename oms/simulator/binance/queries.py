"""Operations that show an account what it has."""

from __future__ import annotations

from collections import OrderedDict

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import SPOT, Fill, Order

from . import errors, payloads
from .limits import Limiter
from .params import Params

ROWS_DEFAULT = 500
ROWS_MAX = 1_000
DAY_MS = 86_400_000


def order(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    symbol = params.need("symbol", errors.SYMBOL_PATTERN)
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    params.finish()
    if order_id is None and client_id is None:
        raise errors.missing_order_id()
    return payloads.order_status(exchange.find(account, SPOT, symbol, order_id, client_id))


def open_orders(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """The open orders of one symbol or of all, oldest first."""
    symbol = params.text("symbol", errors.SYMBOL_PATTERN)
    params.finish()
    if symbol is not None:
        exchange.market(SPOT, symbol)
    return [
        payloads.order_status(found)
        for found in account.open.values()
        if found.market == SPOT and symbol in (None, found.symbol)
    ]


def all_orders(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Orders from `orderId` or `startTime` on, else the newest; ascending by id."""
    symbol = params.need("symbol", errors.SYMBOL_PATTERN)
    order_id = params.integer("orderId")
    start, end = _time_range(params)
    limit = params.limit(ROWS_DEFAULT, ROWS_MAX)
    params.finish()
    rows = account.orders.get(exchange.market(SPOT, symbol).key, OrderedDict[int, Order]())

    def wanted(found: Order) -> bool:
        time = payloads.ms(found.created_ns)
        return (start is None or time >= start) and (end is None or time <= end)

    newest_first = order_id is None and start is None
    chosen: list[Order] = []
    for found in reversed(rows.values()) if newest_first else rows.values():
        if len(chosen) == limit:
            break
        if (order_id is None or found.order_id >= order_id) and wanted(found):
            chosen.append(found)
    return [payloads.order_status(found) for found in (reversed(chosen) if newest_first else chosen)]


def my_trades(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Trades of an order, from `fromId` or `startTime` on, else the newest; ascending by id."""
    symbol = params.need("symbol", errors.SYMBOL_PATTERN)
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    start, end = _time_range(params)
    limit = params.limit(ROWS_DEFAULT, ROWS_MAX)
    params.finish()
    market = exchange.market(SPOT, symbol)
    if from_id is not None and (start is not None or end is not None):
        raise errors.bad_combination()
    fills = account.fills.get(market.key, [])
    if order_id is not None:
        owner = account.find(market.key, order_id)
        fills = owner.fills if owner is not None else []
    newest = from_id is None and start is None

    def wanted(fill: Fill) -> bool:
        time = payloads.ms(fill.time_ns)
        return (
            (from_id is None or fill.trade_id >= from_id)
            and (start is None or time >= start)
            and (end is None or time <= end)
        )

    chosen: list[Fill] = []
    for fill in reversed(fills) if newest else fills:
        if len(chosen) == limit:
            break
        if wanted(fill):
            chosen.append(fill)
    return [payloads.my_trade(fill) for fill in (reversed(chosen) if newest else chosen)]


def account(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    omit_zero = params.boolean("omitZeroBalances")
    params.finish()
    return payloads.account(account, exchange, omit_zero=omit_zero)


def order_rate_limits(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    params.finish()
    return limiter.order_rows(account.name)


def _time_range(params: Params) -> tuple[int | None, int | None]:
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise errors.bad_interval()
    return start, end
