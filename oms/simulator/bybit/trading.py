"""Orders: made, changed, canceled. The answer says only that it was taken; the rest is told by the stream."""

from __future__ import annotations

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import SPOT, Order, OrderRequest
from oms.simulator.reasons import Refusal

from . import payloads
from .errors import ApiError, Asked, bad_param, closed, of
from .params import CATEGORIES, Params

SIDES = {"Buy": "BUY", "Sell": "SELL"}
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "PostOnly")
RISES, FALLS = 1, 2
# What would change an order's meaning and is not simulated.
NOT_SIMULATED = ("takeProfit", "stopLoss", "tpslMode", "orderIv", "mmp", "slippageTolerance")


def create(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/order/create`"""
    category = params.category()
    for name in NOT_SIMULATED:
        if name in params:
            raise ApiError(10001, f"params error: {name} is not simulated")
    request = _request(exchange, category, params)
    market = exchange.markets.get((request.market, request.symbol))
    try:
        order = exchange.place(account, request)
    except Refusal as refusal:
        raise of(refusal, category, None if market is None else Asked(market.config, request)) from None
    return _ids(order)


def _request(exchange: Exchange, category: str, params: Params) -> OrderRequest:
    symbol, side = params.need("symbol"), SIDES[params.choice("side", SIDES)]
    kind = params.choice("orderType", ("Limit", "Market"))
    limit, spot = kind == "Limit", category == SPOT
    quantity, price, trigger = params.amount("qty"), params.amount("price"), params.amount("triggerPrice")
    if not quantity:
        raise bad_param("qty")
    if limit and not price:
        raise bad_param("price")
    good_for = params.choice("timeInForce", TIMES_IN_FORCE, "GTC" if limit else "IOC")
    if params.integer("positionIdx", 0):
        raise ApiError(10001, "position idx not match position mode")
    if params.integer("isLeverage", 0):
        raise ApiError(170036, "You haven't enabled Cross Margin Trading yet.")
    unit = params.choice(
        "marketUnit", ("baseCoin", "quoteCoin"), "quoteCoin" if side == "BUY" else "baseCoin"
    )
    by_quote = spot and not limit and unit == "quoteCoin"
    if by_quote and side == "SELL":
        raise ApiError(10001, "params error: a sell by amount is not simulated")
    return OrderRequest(
        market=CATEGORIES[category],
        symbol=symbol,
        side=side,
        type=_type(exchange, params, category, side, limit) if trigger else "LIMIT" if limit else "MARKET",
        quantity=quantity * 0 if by_quote else quantity,
        quote_quantity=quantity if by_quote else quantity * 0,
        client_order_id=params.client_id() or None,
        price=price if limit else price * 0,
        stop_price=trigger,
        time_in_force="GTC" if good_for == "PostOnly" or not limit else good_for,
        post_only=limit and good_for == "PostOnly",
        reduce_only=params.flag("reduceOnly") or params.flag("closeOnTrigger"),
    )


def _type(exchange: Exchange, params: Params, category: str, side: str, limit: bool) -> str:
    """Return the core's type of a conditional order: a stop loss or a take profit, by where the price has to go."""
    if category == SPOT:
        if params.text("orderFilter", "Order") != "tpslOrder":
            raise ApiError(
                170202, "Invalid orderFilter parameter: conditional spot orders are not simulated."
            )
        market = exchange.markets.get((SPOT, params.need("symbol")))
        rises = market is not None and params.amount("triggerPrice") > market.last_price
    else:
        direction = params.integer("triggerDirection", 0)
        if direction not in (RISES, FALLS):
            raise ApiError(10001, "triggerDirection invalid")
        if params.text("triggerBy", "LastPrice") != "LastPrice":
            raise ApiError(10001, "params error: triggerBy other than LastPrice is not simulated")
        rises = direction == RISES
    name = "STOP_LOSS" if rises == (side == "BUY") else "TAKE_PROFIT"
    return f"{name}_LIMIT" if limit else name


def amend(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/order/amend`"""
    category = params.category()
    order = _find(exchange, account, category, params)
    quantity, price, trigger = params.amount("qty"), params.amount("price"), params.amount("triggerPrice")
    if not order.is_open:
        raise closed(category, order.status)
    if not (quantity or price or trigger):
        raise ApiError(10001, "params error: nothing to amend")
    if order.quote_quantity or (not order.is_limit and price):
        raise ApiError(
            170312 if category == SPOT else 10001, "The current order does not support modification"
        )
    try:
        exchange.amend(
            account, order, quantity=quantity or None, price=price or None, stop_price=trigger or None
        )
    except Refusal as refusal:
        config = exchange.markets[order.market, order.symbol].config
        request = OrderRequest(
            order.market,
            order.symbol,
            order.side,
            order.type,
            quantity or order.quantity,
            price=price or order.price,
            stop_price=trigger or order.stop_price,
        )
        raise of(refusal, category, Asked(config, request)) from None
    return _ids(order)


def cancel(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/order/cancel`"""
    category = params.category()
    order = _find(exchange, account, category, params)
    if not order.is_open:
        raise closed(category, order.status)
    exchange.cancel(account, order)
    return _ids(order)


def cancel_all(exchange: Exchange, account: Account, params: Params) -> dict[str, object]:
    """`POST /v5/order/cancel-all`"""
    category = params.category()
    symbol, base, settle = params.text("symbol"), params.text("baseCoin"), params.text("settleCoin")
    if category != SPOT and not (symbol or base or settle):
        raise ApiError(10001, "params error: symbol, baseCoin or settleCoin is required")
    canceled = []
    for order in list(account.open.values()):
        config = exchange.markets[order.market, order.symbol].config
        if order.market != CATEGORIES[category] or symbol not in ("", order.symbol):
            continue
        if base in ("", config.base) and settle in ("", config.settle):
            exchange.cancel(account, order)
            canceled.append(_ids(order))
    return {"list": canceled, "success": "1"}


def _find(exchange: Exchange, account: Account, category: str, params: Params) -> Order:
    """Return the order that `orderId` or `orderLinkId` names; the former counts when both are given."""
    market, symbol = CATEGORIES[category], params.need("symbol")
    text, client_id = params.text("orderId"), params.client_id()
    if not text and not client_id:
        raise ApiError(10001, "params error: orderId or orderLinkId is required")
    try:
        if not text:
            return exchange.find(account, market, symbol, client_order_id=client_id)
        return exchange.find(account, market, symbol, payloads.parse_order_id(market, text) or 0)
    except Refusal as refusal:
        raise of(refusal, category) from None


def _ids(order: Order) -> dict[str, object]:
    return {"orderId": payloads.order_id(order), "orderLinkId": order.client_order_id}
