"""The errors that the futures API words in its own way; the rest are those of all of Binance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from oms.simulator.binance.errors import ApiError, bad_symbol, no_such_order, unknown_order
from oms.simulator.config import SymbolConfig
from oms.simulator.orders import ZERO
from oms.simulator.reasons import Reason, Refusal

CLIENT_ID_PATTERN = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"


def no_listen_key() -> ApiError:
    return ApiError(-1125, "This listenKey does not exist.")


def use_algo_service() -> ApiError:
    return ApiError(
        -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    )


def wrong_position_side() -> ApiError:
    return ApiError(-4061, "Order's position side does not match user's setting.")


def bad_interval() -> ApiError:
    return ApiError(-4165, "Invalid time interval.")


def too_long_ago() -> ApiError:
    return ApiError(-4166, "Search window is restricted to recent 90 days only.")


def fok_not_filled() -> ApiError:
    return ApiError(
        -5021, "Due to the order could not be filled immediately, the FOK order has been rejected."
    )


def would_take() -> ApiError:
    return ApiError(
        -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."
    )


def only_limit_orders() -> ApiError:
    return ApiError(-5025, "Only limit order is supported.")


def of_price(config: SymbolConfig, price: Decimal) -> ApiError:
    """Return what is wrong with a price."""
    if price > config.max_price:
        return ApiError(-4002, "Price greater than max price.")
    if price < config.min_price:
        return ApiError(-4013, "Price less than min price.")
    return ApiError(-4014, "Price not increased by tick size.")


def of_quantity(config: SymbolConfig, quantity: Decimal) -> ApiError:
    """Return what is wrong with a quantity."""
    if quantity <= ZERO:
        return ApiError(-4003, "Quantity less than or equal to zero.")
    if quantity < config.min_quantity:
        return ApiError(-4004, "Quantity less than min quantity.")
    if quantity > config.max_quantity:
        return ApiError(-4005, "Quantity greater than max quantity.")
    return ApiError(-4023, "Qty not increased by step size.")


def of_order(refusal: Refusal, config: SymbolConfig, price: Decimal, quantity: Decimal) -> ApiError:
    """Return how a new or amended order is refused."""
    if refusal.reason in (Reason.PRICE_TICK, Reason.PRICE_RANGE):
        return of_price(config, price)
    if refusal.reason is Reason.LOT_SIZE:
        return of_quantity(config, quantity)
    if refusal.reason is Reason.MIN_NOTIONAL:
        least = format(config.min_notional.normalize(), "f")
        msg = f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
        return ApiError(-4164, msg)
    return of_refusal(refusal)


_OF_REASON: Mapping[Reason, Callable[[], ApiError]] = {
    Reason.NO_SYMBOL: bad_symbol,
    Reason.NOT_TRADING: lambda: ApiError(-4141, "Symbol is closed."),
    Reason.MAX_ORDERS: lambda: ApiError(-2025, "Reach max open order limit."),
    Reason.INSUFFICIENT_MARGIN: lambda: ApiError(-2019, "Margin is insufficient."),
    Reason.WOULD_MATCH: would_take,
    Reason.DUPLICATE_CLIENT_ID: lambda: ApiError(-4116, "ClientOrderId is duplicated."),
    Reason.NO_ORDER: no_such_order,
    Reason.ORDER_CLOSED: unknown_order,
    Reason.REDUCE_ONLY: lambda: ApiError(-2022, "ReduceOnly Order is rejected."),
    Reason.NOT_MODIFIED: lambda: ApiError(-5027, "No need to modify the order."),
}


def of_refusal(refusal: Refusal) -> ApiError:
    """Return how the futures API words a refusal. Raises `KeyError` for one that its requests cannot cause."""
    return _OF_REASON[refusal.reason]()


def of_leverage(refusal: Refusal) -> ApiError:
    """Return how a change of leverage is refused."""
    if refusal.reason is Reason.LEVERAGE:
        return ApiError(-4028, "Leverage is not valid.")
    if refusal.reason is Reason.POSITION_OPEN:
        msg = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
        return ApiError(-4161, msg)
    if refusal.reason is Reason.INSUFFICIENT_MARGIN:
        return ApiError(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
    return of_refusal(refusal)


def of_margin_mode(refusal: Refusal) -> ApiError:
    """Return how a change of margin type is refused."""
    if refusal.reason is Reason.POSITION_OPEN:
        return ApiError(-4048, "Margin type cannot be changed if there exists position.")
    if refusal.reason is Reason.ORDERS_OPEN:
        return ApiError(-4047, "Margin type cannot be changed if there exists open orders.")
    return of_refusal(refusal)


def of_margin(refusal: Refusal) -> ApiError:
    """Return how a change of an isolated position's margin is refused."""
    if refusal.reason is Reason.MARGIN_MODE:
        return ApiError(-4049, "Add margin only support for isolated position.")
    if refusal.reason is Reason.INSUFFICIENT_MARGIN:
        return ApiError(-4051, "Isolated balance insufficient.")
    return of_refusal(refusal)


def same_margin_mode() -> ApiError:
    return ApiError(-4046, "No need to change margin type.")


def same_position_mode() -> ApiError:
    return ApiError(-4059, "No need to change position side.")


def position_mode_with_orders() -> ApiError:
    return ApiError(-4067, "Position side cannot be changed if there exists open orders.")


def position_mode_with_position() -> ApiError:
    return ApiError(-4068, "Position side cannot be changed if there exists position.")
