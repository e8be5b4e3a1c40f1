"""Operations that show an account what it has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

from oms.simulator.binance import errors as common
from oms.simulator.binance.params import Params
from oms.simulator.binance.payloads import ms
from oms.simulator.ledger import Account
from oms.simulator.markets import Market
from oms.simulator.orders import FUTURES, ZERO, Order
from oms.simulator.positions import Position

from . import errors, payloads
from .desk import Desk
from .trading import find

ROWS_DEFAULT = 500
INCOME_DEFAULT = 100
ROWS_MAX = 1_000
DAY_MS = 86_400_000
WINDOW_MS = 7 * DAY_MS
KEPT_MS = 90 * DAY_MS

T = TypeVar("T")


def order(desk: Desk, account: Account, params: Params) -> object:
    symbol = params.need("symbol", common.SYMBOL_PATTERN)
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    params.finish()
    market, found = find(desk, account, symbol, order_id, client_id)
    return payloads.order_status(found, market.config)


def open_order(desk: Desk, account: Account, params: Params) -> object:
    symbol = params.need("symbol", common.SYMBOL_PATTERN)
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    params.finish()
    market, found = find(desk, account, symbol, order_id, client_id)
    if not found.is_open:
        raise common.no_such_order()
    return payloads.order_status(found, market.config)


def open_orders(desk: Desk, account: Account, params: Params) -> object:
    """The open orders of one symbol or of all, oldest first."""
    symbol = params.text("symbol", common.SYMBOL_PATTERN)
    params.finish()
    if symbol is not None:
        desk.exchange.market(FUTURES, symbol)
    return [
        payloads.order_status(found, desk.exchange.market(FUTURES, found.symbol).config)
        for found in account.open.values()
        if found.market == FUTURES and symbol in (None, found.symbol)
    ]


def all_orders(desk: Desk, account: Account, params: Params) -> object:
    """Orders from `orderId` on, or of at most seven days; ascending by id."""
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    order_id = params.integer("orderId")
    window = _Window(desk, params)
    limit = params.limit(ROWS_DEFAULT, ROWS_MAX)
    params.finish()
    rows = account.orders.get(market.key, OrderedDict[int, Order]()).values()
    if order_id is not None:
        chosen = [found for found in rows if found.order_id >= order_id][:limit]
    else:
        chosen = window.pick(((ms(found.created_ns), found) for found in rows), limit)
    return [payloads.order_status(found, market.config) for found in chosen]


def user_trades(desk: Desk, account: Account, params: Params) -> object:
    """Trades from `fromId` on, or of at most seven days, of an order or of all; ascending by id."""
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    order_id, from_id = params.integer("orderId"), params.integer("fromId")
    window = _Window(desk, params)
    limit = params.limit(ROWS_DEFAULT, ROWS_MAX)
    params.finish()
    if from_id is not None and window.given:
        raise common.bad_combination()
    fills = [
        fill
        for fill in desk.exchange.fills(account, FUTURES, market.symbol)
        if order_id in (None, fill.order_id)
    ]
    if from_id is not None:
        chosen = [fill for fill in fills if fill.trade_id >= from_id][:limit]
    else:
        chosen = window.pick(((ms(fill.time_ns), fill) for fill in fills), limit)
    return [payloads.user_trade(fill, market.config) for fill in chosen]


def income(desk: Desk, account: Account, params: Params) -> object:
    """What moved the wallet, of one type or of all; ascending by time."""
    symbol, kind = params.text("symbol", common.SYMBOL_PATTERN), params.text("incomeType")
    window = _Window(desk, params, KEPT_MS)
    limit, page = params.limit(INCOME_DEFAULT, ROWS_MAX), params.integer("page") or 1
    params.finish()
    rows = [
        row
        for row in _incomes(desk, account, kind)
        if symbol in (None, row["symbol"]) and kind in (None, row["incomeType"])
    ]
    rows.sort(key=lambda row: int(str(row["time"])))
    chosen = window.pick(((int(str(row["time"])), row) for row in rows), limit * page)
    return chosen[limit * (page - 1) :] if page > 1 else chosen


def _incomes(desk: Desk, account: Account, kind: str | None) -> Iterable[dict[str, object]]:
    if kind in (None, "FUNDING_FEE"):
        yield from map(payloads.funding, account.funding_payments)
    if kind in (None, "TRANSFER"):
        for made in account.transfers:
            amount = sum(
                sign * made.amount
                for sign, side in (
                    (1, (made.target_account, made.target)),
                    (-1, (made.source_account, made.source)),
                )
                if side == (account.name, FUTURES)
            )
            if amount:
                yield payloads.income("TRANSFER", "", amount, made.asset, made.time_ns, made.transfer_id, "")
    if kind in (None, "COMMISSION", "REALIZED_PNL"):
        for fill in desk.exchange.fills(account, FUTURES):
            number, trade = fill.trade_id, str(fill.trade_id)
            where = (fill.commission_asset, fill.time_ns, number, trade)
            yield payloads.income("COMMISSION", fill.symbol, -fill.commission, *where)
            if fill.realised:
                yield payloads.income("REALIZED_PNL", fill.symbol, fill.realised, *where)


def position_risk(desk: Desk, account: Account, params: Params) -> object:
    """Version 2: every symbol."""
    return [payloads.position_risk(desk.exchange, account, market) for market in _asked(desk, params)]


def position_risk_3(desk: Desk, account: Account, params: Params) -> object:
    """Version 3: symbols with a position or open orders."""
    return [
        payloads.position_risk_3(desk.exchange, account, market)
        for market in _asked(desk, params)
        if desk.exchange.position(account, market.symbol).quantity or account.open_count[market.key]
    ]


def symbol_config(desk: Desk, account: Account, params: Params) -> object:
    return [
        {
            "symbol": market.symbol,
            "marginType": "ISOLATED" if position.mode == "isolated" else "CROSSED",
            "isAutoAddMargin": False,
            "leverage": position.leverage,
            "maxNotionalValue": "100000000",
        }
        for market, position in _positions(desk, account, _asked(desk, params))
    ]


def account_config(desk: Desk, account: Account, params: Params) -> object:
    params.finish()
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.name in desk.hedged,
        "updateTime": ms(account.updated_ns),
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def position_mode(desk: Desk, account: Account, params: Params) -> object:
    params.finish()
    return {"dualSidePosition": account.name in desk.hedged}


def assets_mode(desk: Desk, account: Account, params: Params) -> object:
    params.finish()
    return {"multiAssetsMargin": False}


def balance(desk: Desk, account: Account, params: Params) -> object:
    params.finish()
    return [payloads.balance(desk.exchange, account, asset) for asset in _assets(desk, account)]


def account(desk: Desk, account: Account, params: Params) -> object:
    """Version 3: the symbols with a position or open orders. Totals are of what settles in the first asset."""
    return _account(desk, account, params, all_symbols=False)


def account_2(desk: Desk, account: Account, params: Params) -> object:
    """Version 2: every symbol, with leverage and margin mode."""
    return _account(desk, account, params, all_symbols=True)


def _account(desk: Desk, account: Account, params: Params, *, all_symbols: bool) -> object:
    params.finish()
    exchange = desk.exchange
    assets = [payloads.account_asset(exchange, account, asset) for asset in _assets(desk, account)]
    settled = {market.config.settle for market in exchange.markets.values() if market.is_futures}

    def total(name: str) -> str:
        return payloads.money(
            sum((Decimal(str(row[name])) for row in assets if row["asset"] in settled), ZERO)
        )

    rows = []
    for market, position in _positions(desk, account, _futures(desk)):
        if not (all_symbols or position.quantity or account.open_count[market.key]):
            continue
        row = payloads.position_risk_3(exchange, account, market)
        row["unrealizedProfit"] = row.pop("unRealizedProfit")
        if all_symbols:
            row |= {"leverage": str(position.leverage), "isolated": position.mode == "isolated"}
        rows.append(row)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "totalInitialMargin": total("initialMargin"),
        "totalMaintMargin": total("maintMargin"),
        "totalWalletBalance": total("walletBalance"),
        "totalUnrealizedProfit": total("unrealizedProfit"),
        "totalMarginBalance": total("marginBalance"),
        "totalPositionInitialMargin": total("positionInitialMargin"),
        "totalOpenOrderInitialMargin": total("openOrderInitialMargin"),
        "totalCrossWalletBalance": total("crossWalletBalance"),
        "totalCrossUnPnl": total("crossUnPnl"),
        "availableBalance": total("availableBalance"),
        "maxWithdrawAmount": total("maxWithdrawAmount"),
        "assets": assets,
        "positions": rows,
    }


def leverage_bracket(desk: Desk, account: Account, params: Params) -> object:
    """One bracket for any notional."""
    return [
        {
            "symbol": market.symbol,
            "notionalCoef": 1.0,
            "brackets": [
                {
                    "bracket": 1,
                    "initialLeverage": market.config.max_leverage,
                    "notionalCap": 100_000_000,
                    "notionalFloor": 0,
                    "maintMarginRatio": market.config.maintenance_rate,
                    "cum": 0.0,
                }
            ],
        }
        for market in _asked(desk, params)
    ]


def commission_rate(desk: Desk, account: Account, params: Params) -> object:
    market = desk.exchange.market(FUTURES, params.need("symbol", common.SYMBOL_PATTERN))
    params.finish()
    return {
        "symbol": market.symbol,
        "makerCommissionRate": format(market.config.maker_fee, "f"),
        "takerCommissionRate": format(market.config.taker_fee, "f"),
    }


def _futures(desk: Desk) -> list[Market]:
    return [market for market in desk.exchange.markets.values() if market.is_futures]


def _asked(desk: Desk, params: Params) -> list[Market]:
    symbol = params.text("symbol", common.SYMBOL_PATTERN)
    params.finish()
    return _futures(desk) if symbol is None else [desk.exchange.market(FUTURES, symbol)]


def _positions(desk: Desk, account: Account, markets: list[Market]) -> Iterable[tuple[Market, Position]]:
    return ((market, desk.exchange.position(account, market.symbol)) for market in markets)


def _assets(desk: Desk, account: Account) -> list[str]:
    settled = {market.config.settle for market in _futures(desk)}
    return sorted(settled | account.wallets[FUTURES].keys())


class _Window:
    """The times asked about: at most `most_ms`, and the last seven days when none is given."""

    def __init__(self, desk: Desk, params: Params, most_ms: int = WINDOW_MS) -> None:
        start, end = params.integer("startTime"), params.integer("endTime")
        now = ms(desk.exchange.clock())
        self.given = start is not None or end is not None
        if start is not None and end is not None and not 0 <= end - start <= most_ms:
            raise errors.bad_interval()
        if start is not None and start < now - KEPT_MS:
            raise errors.too_long_ago()
        # Without a start the newest are shown.
        self._newest = start is None
        self._start = (now if end is None else end) - WINDOW_MS if start is None else start
        self._end = (self._start + most_ms if start is not None else now + WINDOW_MS) if end is None else end

    def pick(self, timed: Iterable[tuple[int, T]], limit: int) -> list[T]:
        """Return the first `limit` rows of those times, or the last."""
        rows = [row for time, row in timed if self._start <= time <= self._end]
        return rows[-limit:] if self._newest else rows[:limit]
