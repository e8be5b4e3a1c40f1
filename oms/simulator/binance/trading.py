"""Operations that place and cancel orders: parameters in, `OrderRequest` to the exchange, payload out."""

from __future__ import annotations

from decimal import Decimal

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import BUY, SELL, SPOT, STOP_TYPES, ZERO, Order, OrderRequest
from oms.simulator.reasons import Refusal

from . import errors, payloads
from .limits import Limiter
from .params import Params

_WITH_PRICE = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_WITH_TIME_IN_FORCE = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_FULL_BY_DEFAULT = frozenset({"LIMIT", "MARKET"})
# Sent by nobody whom this simulator serves; refused in Binance's words rather than ignored.
_NOT_OFFERED = {
    "quoteOrderQty": "Quote order qty market orders are not support for this symbol.",
    "icebergQty": "Iceberg orders not supported for this symbol.",
    "trailingDelta": "Trailing stop orders not supported for this symbol.",
}


def place(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    request, response_type = _read_order(params)
    params.finish()
    return payloads.new_order(exchange.place(account, request), response_type)


def test(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Check parameters and filters, and send nothing to the book."""
    request, _ = _read_order(params)
    rates = params.boolean("computeCommissionRates")
    params.finish()
    config = exchange.check(account, request).config
    if not rates:
        return {}
    none = {"maker": payloads.amount(ZERO), "taker": payloads.amount(ZERO)}
    return {
        "standardCommissionForOrder": {
            "maker": payloads.amount(config.maker_fee),
            "taker": payloads.amount(config.taker_fee),
        },
        "specialCommissionForOrder": none,
        "taxCommissionForOrder": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": payloads.amount(ZERO),
        },
    }


def cancel(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    symbol = params.need("symbol", errors.SYMBOL_PATTERN)
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    cancel_id = params.text("newClientOrderId", errors.CLIENT_ID_PATTERN)
    restriction = _read_restriction(params)
    params.finish()
    if order_id is None and client_id is None:
        raise errors.missing_order_id()
    order = find_open(exchange, account, symbol, order_id, client_id)
    return _cancel(exchange, account, order, cancel_id, restriction)


def cancel_all(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Cancel all open orders of a symbol, oldest first."""
    market = exchange.market(SPOT, params.need("symbol", errors.SYMBOL_PATTERN))
    params.finish()
    orders = [order for order in account.open.values() if (order.market, order.symbol) == market.key]
    if not orders:
        raise errors.unknown_order()
    return [_cancel(exchange, account, order, None, None) for order in orders]


def cancel_replace(exchange: Exchange, limiter: Limiter, account: Account, params: Params) -> object:
    """Cancel one order and place another. A replacement that could never be placed cancels nothing.

    Raises `ApiError` -2022 when nothing was placed and nothing canceled, -2021 when one of the two was.
    """
    request, response_type = _read_order(params)
    mode = params.need("cancelReplaceMode", r"^(STOP_ON_FAILURE|ALLOW_FAILURE)$")
    order_id, client_id = params.integer("cancelOrderId"), params.text("cancelOrigClientOrderId")
    cancel_id = params.text("cancelNewClientOrderId", errors.CLIENT_ID_PATTERN)
    restriction = _read_restriction(params)
    params.finish()
    if order_id is None and client_id is None:
        raise errors.ApiError(
            -1102,
            "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!",
        )
    exchange.check(account, request)
    canceled: object
    placed: object = None
    place_result = "NOT_ATTEMPTED"
    try:
        order = find_open(exchange, account, request.symbol, order_id, client_id)
        canceled, cancel_result = _cancel(exchange, account, order, cancel_id, restriction), "SUCCESS"
    except errors.ApiError as error:
        canceled, cancel_result = error.body(), "FAILURE"
    if cancel_result == "SUCCESS" or mode == "ALLOW_FAILURE":
        try:
            placed, place_result = (
                payloads.new_order(exchange.place(account, request), response_type),
                "SUCCESS",
            )
        except Refusal as refusal:
            placed, place_result = errors.of_refusal(refusal).body(), "FAILURE"
    body: dict[str, object] = {
        "cancelResult": cancel_result,
        "newOrderResult": place_result,
        "cancelResponse": canceled,
        "newOrderResponse": placed,
    }
    if cancel_result == place_result == "SUCCESS":
        return body
    if "SUCCESS" in (cancel_result, place_result):
        raise errors.ApiError(-2021, "Order cancel-replace partially failed.", status=409, data=body)
    raise errors.ApiError(-2022, "Order cancel-replace failed.", data=body)


def _cancel(
    exchange: Exchange, account: Account, order: Order, cancel_id: str | None, restriction: str | None
) -> dict[str, object]:
    if restriction is not None and restriction != f"ONLY_{order.status}":
        raise errors.not_cancelable()
    cancel_id = cancel_id or exchange.generate_client_id()
    exchange.cancel(account, order, cancel_id)
    return payloads.canceled_order(order, cancel_id)


def find_open(
    exchange: Exchange, account: Account, symbol: str, order_id: int | None, client_order_id: str | None
) -> Order:
    """Return an open order. Raises `ApiError` -2011, or `Refusal` NO_SYMBOL."""
    order = account.find(exchange.market(SPOT, symbol).key, order_id, client_order_id)
    if order is None or not order.is_open:
        raise errors.unknown_order()
    return order


def _read_restriction(params: Params) -> str | None:
    return params.text("cancelRestrictions", r"^(ONLY_NEW|ONLY_PARTIALLY_FILLED)$")


def _read_order(params: Params) -> tuple[OrderRequest, str]:
    """Return the order and the response type asked for. Raises the `ApiError` of the first bad parameter."""
    symbol = params.need("symbol", errors.SYMBOL_PATTERN)
    side = params.need("side")
    if side not in (BUY, SELL):
        raise errors.bad_side()
    kind = params.need("type")
    if kind not in payloads.ORDER_TYPES:
        raise errors.bad_order_type()
    for name, message in _NOT_OFFERED.items():
        if params.text(name) is not None:
            raise errors.refused(message)
    time_in_force = _read_time_in_force(params, kind)
    quantity = _read_amount(params, "quantity", "Invalid quantity.", needed=True)
    price = _read_amount(params, "price", "Invalid price.", needed=kind in _WITH_PRICE)
    stop_price = _read_amount(params, "stopPrice", "Invalid stopPrice.", needed=kind in STOP_TYPES)
    client_id = params.text("newClientOrderId", errors.CLIENT_ID_PATTERN)
    if params.text("selfTradePreventionMode") not in (None, payloads.STP_MODE):
        raise errors.refused("This symbol does not allow the specified self-trade prevention mode.")
    default = "FULL" if kind in _FULL_BY_DEFAULT else "ACK"
    response_type = params.text("newOrderRespType", r"^(ACK|RESULT|FULL)$") or default
    request = OrderRequest(
        market=SPOT,
        symbol=symbol,
        side=side,
        type="LIMIT" if kind == "LIMIT_MAKER" else kind,
        quantity=quantity,
        client_order_id=client_id,
        price=price,
        stop_price=stop_price,
        time_in_force=time_in_force,
        post_only=kind == "LIMIT_MAKER",
    )
    return request, response_type


def _read_time_in_force(params: Params, kind: str) -> str:
    time_in_force = params.text("timeInForce")
    if kind not in _WITH_TIME_IN_FORCE:
        if time_in_force is not None:
            raise errors.not_required("timeInForce")
        return "GTC"
    if time_in_force is None:
        raise errors.missing("timeInForce")
    if time_in_force not in ("GTC", "IOC", "FOK"):
        raise errors.bad_time_in_force()
    return time_in_force


def _read_amount(params: Params, name: str, zero_message: str, *, needed: bool) -> Decimal:
    value = params.decimal(name)
    if not needed:
        if value is not None:
            raise errors.not_required(name)
        return ZERO
    if value is None:
        raise errors.missing(name)
    if value == 0:
        raise errors.refused(zero_message)
    return value
