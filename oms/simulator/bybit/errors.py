"""The exchange's codes, and which of them a refusal of the core becomes."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from oms.simulator.config import SymbolConfig
from oms.simulator.orders import OrderRequest
from oms.simulator.reasons import Reason, Refusal


class ApiError(Exception):
    """What the exchange answers instead of a result: `status` is of HTTP, and a `code` of 0 stands for no body at all."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        result: Mapping[str, object] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.result = result or {}
        self.status = status
        self.headers = dict(headers or {})


def bad_param(name: str) -> ApiError:
    return ApiError(10001, f"params error: {name} invalid")


def not_authenticated() -> ApiError:
    return ApiError(0, "", status=401)


def access_too_frequent() -> ApiError:
    return ApiError(0, "403, access too frequent", status=403)


def too_many_visits(reset_ms: int, limit: int) -> ApiError:
    headers = {
        "X-Bapi-Limit": str(limit),
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
    }
    return ApiError(10006, "Too many visits. Exceeded the API Rate Limit.", headers=headers)


SERVER_TIMEOUT = (10000, "Server Timeout")

_LINEAR: Mapping[Reason, tuple[int, str]] = {
    Reason.NO_SYMBOL: (10001, "params error: symbol invalid"),
    Reason.NOT_TRADING: (110066, "Trading is currently not allowed."),
    Reason.PRICE_TICK: (10001, "params error: price is no multiple of the tick size"),
    Reason.PRICE_RANGE: (110003, "Order price exceeds the allowable range."),
    Reason.LOT_SIZE: (10001, "Qty invalid"),
    Reason.MIN_NOTIONAL: (110094, "Order notional value below the lower limit"),
    Reason.MAX_ORDERS: (110020, "Not allowed to have more than 500 active orders."),
    Reason.MAX_STOP_ORDERS: (110009, "The number of stop orders exceeds the maximum allowable limit."),
    Reason.INSUFFICIENT_FUNDS: (110007, "ab not enough for new order"),
    Reason.INSUFFICIENT_MARGIN: (110007, "ab not enough for new order"),
    Reason.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    Reason.NO_ORDER: (110001, "order not exists or too late to cancel"),
    Reason.ORDER_CLOSED: (110001, "order not exists or too late to cancel"),
    Reason.REDUCE_ONLY: (110017, "current position is zero, cannot fix reduce-only order qty"),
    Reason.NOT_MODIFIED: (
        10001,
        "The order remains unchanged as the parameters entered match the existing ones.",
    ),
    Reason.AMEND_QUANTITY: (
        110064,
        "The modified contract quantity cannot be less than or equal to the filled quantity.",
    ),
    Reason.LEVERAGE: (110013, "Cannot set leverage due to risk limit level."),
    Reason.POSITION_OPEN: (110011, "Liquidation will be triggered immediately by this adjustment."),
}

_SPOT: Mapping[Reason, tuple[int, str]] = {
    Reason.NO_SYMBOL: (170121, "Invalid symbol."),
    Reason.NOT_TRADING: (170151, "The trading pair is not open yet."),
    Reason.PRICE_TICK: (170134, "Order price has too many decimals."),
    Reason.PRICE_RANGE: (170133, "Order price lower than the minimum."),
    Reason.LOT_SIZE: (170137, "Order quantity has too many decimals."),
    Reason.MIN_NOTIONAL: (170140, "Order value exceeded lower limit."),
    Reason.MAX_ORDERS: (170811, "Too many open orders of this trading pair."),
    Reason.MAX_STOP_ORDERS: (170810, "Too many open orders."),
    Reason.INSUFFICIENT_FUNDS: (170131, "Insufficient balance."),
    Reason.WOULD_TRIGGER: (170203, "The trigger price is on the wrong side of the market."),
    Reason.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId."),
    Reason.NO_ORDER: (170213, "Order does not exist."),
    Reason.ORDER_CLOSED: (170139, "Order has been filled."),
    Reason.REDUCE_ONLY: (170130, "Data sent for parameter 'reduceOnly' is not valid."),
    Reason.NOT_MODIFIED: _LINEAR[Reason.NOT_MODIFIED],
    Reason.AMEND_QUANTITY: (
        170313,
        "The modified contract quantity cannot be less than to the filled quantity",
    ),
}

_TRANSFERS: Mapping[Reason, tuple[int, str]] = {
    Reason.NO_WALLET: (131211, "fromAccountType can't be the same as toAccountType"),
    Reason.NO_ASSET: (131203, "Request parameter error: coin"),
    Reason.BAD_AMOUNT: (131215, "Amount error"),
    Reason.INSUFFICIENT_FUNDS: (131212, "user insufficient balance"),
}


@attrs.frozen
class Asked:
    """What a refusal was of, where its code depends on more than the reason."""

    config: SymbolConfig
    request: OrderRequest


def of(refusal: Refusal, category: str, asked: Asked | None = None) -> ApiError:
    """Return the exchange's own words for a refusal of the core."""
    if category == "spot" and asked is not None:
        special = _spot_special(refusal, asked)
        if special is not None:
            return ApiError(*special)
    if refusal.reason is Reason.WOULD_TRIGGER and category == "linear" and asked is not None:
        return _would_trigger(asked)
    table = _SPOT if category == "spot" else _LINEAR
    found = table.get(refusal.reason)
    if found is None:
        return ApiError(10001, f"params error: {refusal.message}")
    return ApiError(*found)


def of_transfer(refusal: Refusal) -> ApiError:
    return ApiError(*_TRANSFERS.get(refusal.reason, (131203, "Request parameter error")))


def closed(category: str, status: str) -> ApiError:
    """What a cancel or an amend of a closed order gets."""
    if category == "linear":
        return ApiError(*_LINEAR[Reason.ORDER_CLOSED])
    if status == "FILLED":
        return ApiError(*_SPOT[Reason.ORDER_CLOSED])
    return ApiError(170142, "Order has been canceled.")


def _spot_special(refusal: Refusal, asked: Asked) -> tuple[int, str] | None:
    config, request = asked.config, asked.request
    if refusal.reason is Reason.LOT_SIZE:
        if request.quantity > config.max_quantity:
            return 170135, "Order quantity exceeded upper limit."
        if request.quantity < config.min_quantity:
            return 170136, "Order quantity exceeded lower limit."
    if refusal.reason is Reason.PRICE_RANGE and request.price > config.max_price:
        return 170132, "Order price exceeded upper limit."
    return None


def _would_trigger(asked: Asked) -> ApiError:
    request = asked.request
    rising = (request.side == "BUY") == request.type.startswith("STOP_LOSS")
    if rising:
        return ApiError(
            110092, f"expect Rising, but trigger_price[{request.stop_price}] <= current??LastPrice"
        )
    return ApiError(110093, f"expect Falling, but trigger_price[{request.stop_price}] >= current??LastPrice")
