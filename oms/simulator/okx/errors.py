"""How OKX refuses: its codes, and which of them stands for each reason of the exchange."""

from __future__ import annotations

from oms.simulator.config import SymbolConfig
from oms.simulator.orders import FUTURES, OrderRequest
from oms.simulator.reasons import Reason, Refusal


class ApiError(Exception):
    """A whole request is refused: OKX's code, its words, and the HTTP status that they come with."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(f"{code} {message}")
        self.code = str(code)
        self.message = message
        self.status = status

    def body(self) -> dict[str, object]:
        """What REST answers."""
        return {"code": self.code, "msg": self.message, "data": []}


class RowError(Exception):
    """One order of a request is refused; `code` and `message` are its `sCode` and `sMsg`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = str(code)
        self.message = message


def parameter(name: str) -> ApiError:
    """A parameter of a query makes no sense."""
    return ApiError(51000, f"Parameter {name} error", 400)


def missing(name: str) -> ApiError:
    """A parameter is not there."""
    return ApiError(50014, f"Parameter {name} can not be empty.", 400)


def no_order() -> ApiError:
    """A look-up finds nothing."""
    return ApiError(51603, "Order does not exist")


def too_many_requests() -> ApiError:
    """The limit of an endpoint is reached."""
    return ApiError(50011, "Too Many Requests", 429)


def timed_out() -> ApiError:
    """Nobody knows whether it was done."""
    return ApiError(
        50004,
        "API endpoint request timeout. (does not mean that the request was successful or failed, "
        "please check the request result).",
        400,
    )


NO_INSTRUMENT = (51001, "Instrument ID, Instrument ID code or Spread ID doesn't exist.")

# What a new order is refused with. Sizes and funds have several codes each.
_PLACING = {
    Reason.NO_SYMBOL: NO_INSTRUMENT,
    Reason.NOT_TRADING: (51022, "Contract suspended."),
    Reason.PRICE_TICK: (51150, "The precision of the number of trades or the price exceeds the limit."),
    Reason.PRICE_RANGE: (51006, "Order price is not within the price limit"),
    Reason.MIN_NOTIONAL: (51020, "Your order should meet or exceed the minimum order amount."),
    Reason.MAX_ORDERS: (51102, "Order failed, the number of pending orders for this instId can't be more"),
    Reason.DUPLICATE_CLIENT_ID: (51016, "Client order ID already exists."),
    Reason.REDUCE_ONLY: (
        51169,
        "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
    ),
    Reason.LEVERAGE: (59102, "Leverage exceeds the maximum limit. Please lower the leverage."),
}


def placing(refusal: Refusal, request: OrderRequest, config: SymbolConfig | None) -> RowError:
    """What a new order, or the terms of an amended one, are refused with."""
    reason = refusal.reason
    if reason in (Reason.INSUFFICIENT_FUNDS, Reason.INSUFFICIENT_MARGIN):
        what = "margin" if reason is Reason.INSUFFICIENT_MARGIN else "balance"
        asset = ""
        if config is not None:
            bought = request.side == "BUY" or config.market == FUTURES
            asset = config.quote if bought else config.base
        return RowError(51008, f"Order failed. Insufficient {asset} {what} in account")
    if reason is Reason.LOT_SIZE and config is not None:
        return _size(request, config)
    found = _PLACING.get(reason)
    return RowError(51000, f"Parameter error ({refusal.message})") if found is None else RowError(*found)


def _size(request: OrderRequest, config: SymbolConfig) -> RowError:
    if request.quantity < config.min_quantity:
        return RowError(51020, "Your order should meet or exceed the minimum order amount.")
    if request.quantity > config.max_quantity:
        if config.market == FUTURES:
            return RowError(
                51101, f"Order failed, the sz of the current order can't be more than {config.max_quantity}"
            )
        return RowError(51005, "Your order amount exceeds the max order amount.")
    return RowError(51121, "Order quantity must be a multiple of the lot size.")


CANCELING = (51400, "Order cancellation failed as the order has been filled, canceled or does not exist.")
AMENDING = (51503, "Your order has already been filled or canceled.")
AMENDED_TO_MATCH = (
    51511,
    "Modification failed as the order price did not meet the requirement for Post Only.",
)


def setting_leverage(refusal: Refusal) -> ApiError:
    """What a change of leverage is refused with."""
    if refusal.reason is Reason.NO_SYMBOL:
        return ApiError(*NO_INSTRUMENT)
    if refusal.reason is Reason.LEVERAGE:
        return ApiError(59102, "Leverage exceeds the maximum limit. Please lower the leverage.")
    return ApiError(
        59108, "Your account leverage is too low and has insufficient margins. Please increase the leverage."
    )


def transferring(refusal: Refusal) -> ApiError:
    """What a transfer is refused with."""
    return {
        Reason.NO_WALLET: ApiError(58129, "from is incorrect or from does not match with 'type'"),
        Reason.NO_ASSET: ApiError(51012, "Token doesn't exist."),
        Reason.BAD_AMOUNT: ApiError(58114, "Transfer amount must be greater than 0", 400),
    }.get(refusal.reason, ApiError(58350, "Insufficient balance."))
