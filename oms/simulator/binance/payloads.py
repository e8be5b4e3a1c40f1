"""How orders, fills, balances and events look on Binance's wire."""

from __future__ import annotations

from decimal import Decimal

from oms.simulator.events import FundsChange
from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.markets import Market, PublicTrade
from oms.simulator.orders import SPOT, ZERO, Fill, Order, OrderUpdate

ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
NS_PER_MS = 1_000_000
STP_MODE = "NONE"


def amount(value: Decimal) -> str:
    """Write an amount as Binance does, with eight decimals."""
    return f"{value:.8f}"


def ms(time_ns: int) -> int:
    """Turn UTC ns into the milliseconds of the wire; -1 stays -1."""
    return time_ns // NS_PER_MS if time_ns >= 0 else -1


def _type(order: Order) -> str:
    return "LIMIT_MAKER" if order.post_only else order.type


def _terms(order: Order) -> dict[str, object]:
    terms: dict[str, object] = {
        "price": amount(order.price),
        "origQty": amount(order.quantity),
        "executedQty": amount(order.executed),
        "origQuoteOrderQty": amount(ZERO),
        "cummulativeQuoteQty": amount(order.executed_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": _type(order),
        "side": order.side,
    }
    if order.stop_price:
        terms["stopPrice"] = amount(order.stop_price)
    return terms


def new_order(order: Order, response_type: str) -> dict[str, object]:
    """The answer to a new order: `ACK`, `RESULT` or `FULL`."""
    body: dict[str, object] = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": ms(order.updated_ns),
    }
    if response_type == "ACK":
        return body
    body |= _terms(order)
    body["workingTime"] = ms(order.working_ns)
    body["selfTradePreventionMode"] = STP_MODE
    if response_type == "FULL":
        body["fills"] = [
            {
                "price": amount(fill.price),
                "qty": amount(fill.quantity),
                "commission": amount(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ]
    return body


def order_status(order: Order) -> dict[str, object]:
    """An order as queries show it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_terms(order),
        "stopPrice": amount(order.stop_price),
        "icebergQty": amount(ZERO),
        "time": ms(order.created_ns),
        "updateTime": ms(order.updated_ns),
        "isWorking": not order.is_waiting,
        "workingTime": ms(order.working_ns),
        "selfTradePreventionMode": STP_MODE,
    }


def canceled_order(order: Order, cancel_id: str) -> dict[str, object]:
    """The answer to a cancellation, whose own client id is `cancel_id`."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": ms(order.updated_ns),
        **_terms(order),
        "selfTradePreventionMode": STP_MODE,
    }


def my_trade(fill: Fill) -> dict[str, object]:
    """A fill as `myTrades` shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": amount(fill.price),
        "qty": amount(fill.quantity),
        "quoteQty": amount(fill.quote),
        "commission": amount(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": ms(fill.time_ns),
        "isBuyer": fill.is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def public_trade(trade: PublicTrade) -> dict[str, object]:
    """A trade as `trades` shows it."""
    return {
        "id": trade.trade_id,
        "price": amount(trade.price),
        "qty": amount(trade.quantity),
        "quoteQty": amount(trade.price * trade.quantity),
        "time": ms(trade.time_ns),
        "isBuyerMaker": trade.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_trade(trade: PublicTrade) -> dict[str, object]:
    """A trade as `aggTrades` shows it: here every aggregate is one trade."""
    return {
        "a": trade.trade_id,
        "p": amount(trade.price),
        "q": amount(trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": ms(trade.time_ns),
        "m": trade.is_buyer_maker,
        "M": True,
    }


def account(owner: Account, exchange: Exchange, *, omit_zero: bool) -> dict[str, object]:
    """The account with all its balances, those of listed assets included even when nothing is there."""
    fees = next(market.config for market in exchange.markets.values() if market.name == SPOT)
    wallet = owner.wallets[SPOT]
    balances = []
    for asset in sorted({*exchange.assets, *wallet}):
        balance = wallet.get(asset)
        free, locked = (balance.free, balance.locked) if balance else (ZERO, ZERO)
        if omit_zero and not free and not locked:
            continue
        balances.append({"asset": asset, "free": amount(free), "locked": amount(locked)})
    return {
        "makerCommission": int(fees.maker_fee * 10_000),
        "takerCommission": int(fees.taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": amount(fees.maker_fee),
            "taker": amount(fees.taker_fee),
            "buyer": amount(ZERO),
            "seller": amount(ZERO),
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ms(owner.updated_ns),
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": owner.uid,
    }


def depth(market: Market, limit: int) -> dict[str, object]:
    """The best `limit` levels of each side and the update id that they are true at."""
    sides: dict[str, list[list[str]]] = {}
    for name, side in (("bids", "BUY"), ("asks", "SELL")):
        rows: list[list[str]] = []
        for level in market.book.levels(side):
            if len(rows) == limit:
                break
            rows.append([amount(level.price), amount(level.quantity)])
        sides[name] = rows
    return {"lastUpdateId": market.book.update_id, **sides}


def best(market: Market) -> tuple[str, str, str, str]:
    """Bid price, bid quantity, ask price and ask quantity; zeros for an empty side."""
    texts: list[str] = []
    for side in ("BUY", "SELL"):
        level = market.book.best(side)
        texts += [amount(level.price), amount(level.quantity)] if level else [amount(ZERO)] * 2
    return texts[0], texts[1], texts[2], texts[3]


def book_ticker(market: Market) -> dict[str, object]:
    bid, bid_quantity, ask, ask_quantity = best(market)
    return {
        "symbol": market.symbol,
        "bidPrice": bid,
        "bidQty": bid_quantity,
        "askPrice": ask,
        "askQty": ask_quantity,
    }


def execution_report(update: OrderUpdate) -> dict[str, object]:
    """The user data event for one change of one order. `n` and `N` are the commission of this fill alone."""
    order, fill, cancel_id = update.order, update.fill, update.cancel_client_id
    now = update.time_ns
    event: dict[str, object] = {
        "e": "executionReport",
        "E": ms(now),
        "s": order.symbol,
        "c": cancel_id or order.client_order_id,
        "S": order.side,
        "o": _type(order),
        "f": order.time_in_force,
        "q": amount(order.quantity),
        "p": amount(order.price),
        "P": amount(order.stop_price),
        "F": amount(ZERO),
        "g": -1,
        "C": order.client_order_id if cancel_id else "",
        "x": update.execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": amount(fill.quantity if fill else ZERO),
        "z": amount(order.executed),
        "L": amount(fill.price if fill else ZERO),
        "n": amount(fill.commission) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": ms(now),
        "t": fill.trade_id if fill else -1,
        "I": update.execution_id,
        "w": order.is_open and order.is_limit and not order.is_waiting,
        "m": fill.is_maker if fill else False,
        "M": fill is not None,
        "O": ms(order.created_ns),
        "Z": amount(order.executed_quote),
        "Y": amount(fill.quote if fill else ZERO),
        "Q": amount(ZERO),
        "V": STP_MODE,
    }
    if order.working_ns >= 0:
        event["W"] = ms(order.working_ns)
    return event


def account_position(change: FundsChange) -> dict[str, object]:
    """The balances that changed."""
    wallet = change.account.wallets[change.wallet]
    return {
        "e": "outboundAccountPosition",
        "E": ms(change.time_ns),
        "u": ms(change.account.updated_ns),
        "B": [
            {"a": asset, "f": amount(wallet[asset].free), "l": amount(wallet[asset].locked)}
            for asset in change.assets
        ],
    }


def balance_update(asset: str, delta: Decimal, now: int) -> dict[str, object]:
    """A deposit, withdrawal or transfer."""
    return {"e": "balanceUpdate", "E": ms(now), "a": asset, "d": amount(delta), "T": ms(now)}
