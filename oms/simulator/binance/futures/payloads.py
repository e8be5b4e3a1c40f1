"""How orders, fills, positions, balances and events look on the wire of futures."""

from __future__ import annotations

from decimal import Decimal

from oms.simulator.binance.payloads import ms
from oms.simulator.config import SymbolConfig, decimals
from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account, FundingPayment
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import ADL, LIQUIDATION, ZERO, Fill, Order, OrderUpdate
from oms.simulator.positions import Position
from oms.simulator.reasons import Reason

PLACES = 8
STP_MODE = "EXPIRE_MAKER"
_LIQUIDATION, _ADL = "autoclose-", "adl_autoclose"
_EXECUTIONS = {"AMENDED": "AMENDMENT"}
_EXPIRED_BECAUSE = {Reason.NO_LIQUIDITY: "2", Reason.REDUCE_ONLY: "4", Reason.LIQUIDATION: "5"}
# What Binance calls the reasons for which funds move.
_MOVED_BY = {
    "ADL": "ORDER",
    "LIQUIDATION": "INSURANCE_CLEAR",
    "FUNDING": "FUNDING_FEE",
    "MARGIN_MODE": "MARGIN_TYPE_CHANGE",
    "MARGIN": "MARGIN_TRANSFER",
}


def money(value: Decimal) -> str:
    """Write an amount with eight decimals; more where it has more, for it to stay exact."""
    return f"{value:.8f}" if decimals(value) <= PLACES else format(value.normalize(), "f")


def rounded(value: Decimal) -> str:
    """Write an average, which may have no end, with eight decimals."""
    return f"{value:.8f}"


def price(config: SymbolConfig, value: Decimal) -> str:
    return f"{value:.{decimals(config.tick)}f}"


def quantity(config: SymbolConfig, value: Decimal) -> str:
    return f"{value:.{decimals(config.step)}f}"


# -- orders


def client_id(order: Order) -> str:
    """The client order id; the exchange's own orders have its words."""
    if order.origin == LIQUIDATION:
        return f"{_LIQUIDATION}{order.order_id}"
    return _ADL if order.origin == ADL else order.client_order_id


def liquidation_id(text: str) -> int | None:
    """The order that a client id of a liquidation means."""
    number = text.removeprefix(_LIQUIDATION)
    return int(number) if number != text and number.isdecimal() else None


def _average(order: Order) -> Decimal:
    return order.executed_quote / order.executed if order.executed else ZERO


def _time_in_force(order: Order) -> str:
    return "GTX" if order.post_only else order.time_in_force


def order_answer(order: Order, config: SymbolConfig) -> dict[str, object]:
    """The answer to a new order, an amend or a cancel."""
    filled = quantity(config, order.executed)
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": client_id(order),
        "price": price(config, order.price),
        "avgPrice": rounded(_average(order)),
        "origQty": quantity(config, order.quantity),
        "executedQty": filled,
        "cumQty": filled,
        "cumQuote": money(order.executed_quote),
        "timeInForce": _time_in_force(order),
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": price(config, ZERO),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": STP_MODE,
        "goodTillDate": 0,
        "updateTime": ms(order.updated_ns),
    }


def order_status(order: Order, config: SymbolConfig) -> dict[str, object]:
    """An order as queries show it."""
    body = order_answer(order, config)
    del body["cumQty"]
    return {**body, "time": ms(order.created_ns)}


def user_trade(fill: Fill, config: SymbolConfig) -> dict[str, object]:
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": "BUY" if fill.is_buyer else "SELL",
        "price": price(config, fill.price),
        "qty": quantity(config, fill.quantity),
        "realizedPnl": money(fill.realised),
        "quoteQty": money(fill.quote),
        "commission": money(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": ms(fill.time_ns),
        "positionSide": "BOTH",
        "buyer": fill.is_buyer,
        "maker": fill.is_maker,
    }


def order_event(update: OrderUpdate, config: SymbolConfig) -> dict[str, object]:
    """`ORDER_TRADE_UPDATE`: one change of one order."""
    order, fill, now = update.order, update.fill, ms(update.time_ns)
    execution = _EXECUTIONS.get(update.execution, update.execution)
    if fill is not None and order.origin in (LIQUIDATION, ADL):
        execution = "CALCULATED"
    body: dict[str, object] = {
        "s": order.symbol,
        "c": client_id(order),
        "S": order.side,
        "o": order.type,
        "f": _time_in_force(order),
        "q": quantity(config, order.quantity),
        "p": price(config, order.price),
        "ap": rounded(_average(order)),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": quantity(config, fill.quantity if fill else ZERO),
        "z": quantity(config, order.executed),
        "L": price(config, fill.price if fill else ZERO),
        "T": now,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": "BOTH",
        "cp": False,
        "rp": money(fill.realised) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": STP_MODE,
        "pm": "NONE",
        "gtd": 0,
        "er": "0" if order.reason is None else _EXPIRED_BECAUSE.get(order.reason, "0"),
    }
    if fill is not None:
        body |= {"N": fill.commission_asset, "n": money(fill.commission)}
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": now, "o": body}


# -- positions and balances


def position_event(exchange: Exchange, account: Account, position: Position) -> dict[str, object]:
    """A position as `ACCOUNT_UPDATE` shows it."""
    market = exchange.market("futures", position.symbol)
    entry = rounded(position.entry_price)
    return {
        "s": position.symbol,
        "pa": quantity(market.config, position.quantity),
        "ep": entry,
        "bep": entry,
        "cr": money(position.realised),
        "up": money(position.unrealised(market.mark_price)),
        "mt": position.mode,
        "iw": money(position.isolated_margin),
        "ps": "BOTH",
        "ma": market.config.settle,
    }


def cross_balance(exchange: Exchange, account: Account, asset: str) -> Decimal:
    """The wallet balance that is not set aside for isolated positions."""
    aside = sum(
        (
            position.isolated_margin
            for position in account.positions.values()
            if exchange.market("futures", position.symbol).config.settle == asset
        ),
        ZERO,
    )
    return account.balance("futures", asset).total - aside


def account_event(exchange: Exchange, change: FundsChange) -> dict[str, object]:
    """`ACCOUNT_UPDATE`: what one operation moved in the futures wallet; for a new leverage, `ACCOUNT_CONFIG_UPDATE`."""
    now, account = ms(change.time_ns), change.account
    if change.reason == "LEVERAGE":
        (position,) = change.positions
        told = {"s": position.symbol, "l": position.leverage}
        return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": told}
    outside = change.reason in ("DEPOSIT", "WITHDRAW", "TRANSFER", "FUNDING", "LIQUIDATION")
    reason = _MOVED_BY.get(change.reason, change.reason)
    if change.reason == "TRANSFER":
        reason = "DEPOSIT" if sum(change.assets.values(), ZERO) > 0 else "WITHDRAW"
    balances = [
        {
            "a": asset,
            "wb": money(account.balance("futures", asset).total),
            "cw": money(cross_balance(exchange, account, asset)),
            "bc": money(delta) if outside else "0",
        }
        for asset, delta in change.assets.items()
    ]
    positions = [position_event(exchange, account, position) for position in change.positions]
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now,
        "T": now,
        "a": {"m": reason, "B": balances, "P": positions},
    }


def position_risk(exchange: Exchange, account: Account, market: Market) -> dict[str, object]:
    """A row of `positionRisk`, version 2."""
    position, config = exchange.position(account, market.symbol), market.config
    entry, isolated = rounded(position.entry_price), position.isolated_margin
    profit = position.unrealised(market.mark_price)
    return {
        "symbol": market.symbol,
        "positionAmt": quantity(config, position.quantity),
        "entryPrice": entry,
        "breakEvenPrice": entry,
        "markPrice": rounded(market.mark_price),
        "unRealizedProfit": money(profit),
        "liquidationPrice": rounded(exchange.liquidation_price(account, market.symbol)),
        "leverage": str(position.leverage),
        "maxNotionalValue": "100000000",
        "marginType": position.mode,
        "isolatedMargin": money(isolated + profit if isolated else ZERO),
        "isAutoAddMargin": "false",
        "positionSide": "BOTH",
        "notional": money(position.notional(market.mark_price)),
        "isolatedWallet": money(isolated),
        "updateTime": ms(position.updated_ns) if position.updated_ns >= 0 else 0,
        "isolated": position.mode == "isolated",
        "adlQuantile": 0,
    }


def position_risk_3(exchange: Exchange, account: Account, market: Market) -> dict[str, object]:
    """A row of `positionRisk`, version 3: with margins, and without leverage and margin mode."""
    row = position_risk(exchange, account, market)
    for name in ("leverage", "maxNotionalValue", "marginType", "isAutoAddMargin", "isolated", "adlQuantile"):
        del row[name]
    held = exchange.initial_margin(account, market.symbol)
    orders = exchange.order_margin(account, market.symbol)
    notional = abs(exchange.position(account, market.symbol).notional(market.mark_price))
    return {
        **row,
        "marginAsset": market.config.settle,
        "initialMargin": rounded(held + orders),
        "maintMargin": rounded(notional * market.config.maintenance_rate),
        "positionInitialMargin": rounded(held),
        "openOrderInitialMargin": rounded(orders),
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
    }


def balance(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    """A row of `balance`."""
    margin = exchange.margin(account, asset)
    return {
        "accountAlias": f"sim{account.uid}",
        "asset": asset,
        "balance": money(account.balance("futures", asset).total),
        "crossWalletBalance": money(cross_balance(exchange, account, asset)),
        "crossUnPnl": money(margin.unrealised),
        "availableBalance": rounded(max(margin.available, ZERO)),
        "maxWithdrawAmount": rounded(exchange.withdrawable(account, "futures", asset)),
        "marginAvailable": True,
        "updateTime": ms(account.updated_ns),
    }


def account_asset(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    """An asset of `account`."""
    margin, total = exchange.margin(account, asset), account.balance("futures", asset).total
    return {
        "asset": asset,
        "walletBalance": money(total),
        "unrealizedProfit": money(margin.unrealised),
        "marginBalance": money(total + margin.unrealised),
        "maintMargin": rounded(margin.maintenance),
        "initialMargin": rounded(margin.position_margin + margin.order_margin),
        "positionInitialMargin": rounded(margin.position_margin),
        "openOrderInitialMargin": rounded(margin.order_margin),
        "crossWalletBalance": money(cross_balance(exchange, account, asset)),
        "crossUnPnl": money(margin.unrealised),
        "availableBalance": rounded(max(margin.available, ZERO)),
        "maxWithdrawAmount": rounded(exchange.withdrawable(account, "futures", asset)),
        "marginAvailable": True,
        "updateTime": ms(account.updated_ns),
    }


def income(
    kind: str, symbol: str, amount: Decimal, asset: str, time_ns: int, number: int, trade: str
) -> dict[str, object]:
    """A row of `income`."""
    return {
        "symbol": symbol,
        "incomeType": kind,
        "income": money(amount),
        "asset": asset,
        "info": trade or kind,
        "time": ms(time_ns),
        "tranId": number,
        "tradeId": trade,
    }


def funding(payment: FundingPayment) -> dict[str, object]:
    return income(
        "FUNDING_FEE", payment.symbol, payment.amount, payment.asset, payment.time_ns, payment.payment_id, ""
    )


# -- the market


def public_trade(trade: PublicTrade, config: SymbolConfig) -> dict[str, object]:
    return {
        "id": trade.trade_id,
        "price": price(config, trade.price),
        "qty": quantity(config, trade.quantity),
        "quoteQty": money(trade.price * trade.quantity),
        "time": ms(trade.time_ns),
        "isBuyerMaker": trade.is_buyer_maker,
    }


def aggregate_trade(trade: PublicTrade, config: SymbolConfig) -> dict[str, object]:
    """Here every aggregate is one trade."""
    return {
        "a": trade.trade_id,
        "p": price(config, trade.price),
        "q": quantity(config, trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": ms(trade.time_ns),
        "m": trade.is_buyer_maker,
    }


def levels(market: Market, limit: int) -> dict[str, list[list[str]]]:
    """The best `limit` levels of each side, as `BUY` and `SELL`."""
    config = market.config
    sides: dict[str, list[list[str]]] = {}
    for side in ("BUY", "SELL"):
        rows: list[list[str]] = []
        for level in market.book.levels(side):
            if len(rows) == limit:
                break
            rows.append([price(config, level.price), quantity(config, level.quantity)])
        sides[side] = rows
    return sides


def best(market: Market) -> tuple[str, str, str, str]:
    """Bid price, bid quantity, ask price and ask quantity; zeros for an empty side."""
    found = levels(market, 1)
    (bid, bid_quantity), (ask, ask_quantity) = (
        found[side][0] if found[side] else ["0", "0"] for side in ("BUY", "SELL")
    )
    return bid, bid_quantity, ask, ask_quantity


def premium_index(market: Market, now: int) -> dict[str, object]:
    return {
        "symbol": market.symbol,
        "markPrice": rounded(market.mark_price),
        "indexPrice": rounded(market.index_price),
        "estimatedSettlePrice": rounded(market.index_price),
        "lastFundingRate": rounded(market.funding_rate),
        "interestRate": "0.00010000",
        "nextFundingTime": ms(market.next_funding_ns),
        "time": ms(now),
    }


def mark_event(market: Market, now: int) -> dict[str, object]:
    return {
        "e": "markPriceUpdate",
        "E": ms(now),
        "s": market.symbol,
        "p": rounded(market.mark_price),
        "ap": rounded(market.mark_price),
        "P": rounded(market.index_price),
        "i": rounded(market.index_price),
        "r": rounded(market.funding_rate),
        "T": ms(market.next_funding_ns),
        "st": 1,
    }


def day_statistics(market: Market, now: int) -> dict[str, object]:
    """The 24 hour ticker; here it runs since the start."""
    config = market.config
    change = market.last_price - market.open_price
    last = market.trades[-1] if market.trades else None
    average = market.quote_volume / market.volume if market.volume else market.last_price
    return {
        "symbol": market.symbol,
        "priceChange": price(config, change),
        "priceChangePercent": f"{change / market.open_price * Decimal(100):.3f}",
        "weightedAvgPrice": rounded(average),
        "lastPrice": price(config, market.last_price),
        "lastQty": quantity(config, last.quantity if last else ZERO),
        "openPrice": price(config, market.open_price),
        "highPrice": price(config, market.high),
        "lowPrice": price(config, market.low),
        "volume": quantity(config, market.volume),
        "quoteVolume": money(market.quote_volume),
        "openTime": ms(market.opened_ns),
        "closeTime": ms(now),
        "firstId": 1 if last else 0,
        "lastId": last.trade_id if last else 0,
        "count": market.next_trade_id - 1,
    }
