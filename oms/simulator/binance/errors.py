"""The errors Binance answers with: code, HTTP status and wording, as a table.

Clients key on the code and, for -2010 and -1013, on the wording, so both are Binance's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oms.simulator.reasons import Reason, Refusal

DECIMAL_PATTERN = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER_PATTERN = r"^[0-9]{1,20}$"
CLIENT_ID_PATTERN = r"^[a-zA-Z0-9-_]{1,36}$"
SYMBOL_PATTERN = r"^[A-Z0-9-_.]{1,20}$"


class ApiError(Exception):
    """A refusal on the wire: `{"code": code, "msg": msg}` with HTTP status `status`.

    `data` is the extra object that cancel-replace failures carry.
    """

    def __init__(
        self,
        code: int,
        msg: str,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        data: dict[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.headers = dict(headers or {})
        self.data = data

    def body(self) -> dict[str, object]:
        """Return the JSON object Binance sends for this error."""
        body: dict[str, object] = {"code": self.code, "msg": self.msg}
        if self.data is not None:
            body["data"] = self.data
        return body


def unknown_path(method: str, path: str) -> ApiError:
    return ApiError(-5000, f"Path {path}, Method {method} is invalid", status=404)


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def missing_order_id() -> ApiError:
    return ApiError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")


def illegal(name: str, pattern: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def duplicate_parameter(name: str) -> ApiError:
    return ApiError(-1101, f"Duplicate values for parameter '{name}' detected.")


def unread(read: int, sent: int) -> ApiError:
    return ApiError(
        -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
    )


def not_required(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> ApiError:
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def bad_time_in_force() -> ApiError:
    return ApiError(-1115, "Invalid timeInForce.")


def bad_order_type() -> ApiError:
    return ApiError(-1116, "Invalid orderType.")


def bad_side() -> ApiError:
    return ApiError(-1117, "Invalid side.")


def bad_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def bad_interval() -> ApiError:
    return ApiError(-1127, "More than 24 hours between startTime and endTime.")


def bad_combination() -> ApiError:
    return ApiError(-1128, "Combination of optional parameters invalid.")


def bad_recv_window() -> ApiError:
    return ApiError(-1131, "'recvWindow' must be less than 60000.")


def refused(msg: str) -> ApiError:
    """-1013: the message itself is what tells one refusal from another."""
    return ApiError(-1013, msg)


def filter_failure(name: str) -> ApiError:
    return ApiError(-1013, f"Filter failure: {name}")


def order_rejected(msg: str) -> ApiError:
    """-2010 NEW_ORDER_REJECTED: Binance tells the reasons apart by `msg` only."""
    return ApiError(-2010, msg)


def duplicate_order() -> ApiError:
    return order_rejected("Duplicate order sent.")


def insufficient_balance() -> ApiError:
    return order_rejected("Account has insufficient balance for requested action.")


def would_match() -> ApiError:
    return order_rejected("Order would immediately match and take.")


def would_trigger() -> ApiError:
    return order_rejected("Stop price would trigger immediately.")


def unknown_order() -> ApiError:
    return ApiError(-2011, "Unknown order sent.")


def not_cancelable() -> ApiError:
    return ApiError(-2011, "Order was not canceled due to cancel restrictions.")


def no_such_order() -> ApiError:
    return ApiError(-2013, "Order does not exist.")


def bad_key_format() -> ApiError:
    return ApiError(-2014, "API-key format invalid.", status=401)


def bad_key() -> ApiError:
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def not_authorized() -> ApiError:
    return ApiError(-1002, "You are not authorized to execute this request.", status=401)


def bad_signature() -> ApiError:
    return ApiError(-1022, "Signature for this request is not valid.")


def clock_ahead() -> ApiError:
    return ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def outside_window() -> ApiError:
    return ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def hmac_not_supported() -> ApiError:
    return ApiError(-4056, "HMAC_SHA256 API key is not supported.")


def already_subscribed() -> ApiError:
    return ApiError(-2035, "User Data Stream subscription already active.")


def not_subscribed() -> ApiError:
    return ApiError(-2036, "User Data Stream subscription not active.")


def too_much_weight(limit: int, retry_after: int) -> ApiError:
    msg = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return ApiError(-1003, msg, status=429, headers={"Retry-After": str(retry_after)})


def banned(until_ms: int, retry_after: int) -> ApiError:
    msg = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return ApiError(-1003, msg, status=418, headers={"Retry-After": str(retry_after)})


def too_many_orders(limit: int, window: str, retry_after: int) -> ApiError:
    msg = f"Too many new orders; current limit is {limit} orders per {window}."
    return ApiError(-1015, msg, status=429, headers={"Retry-After": str(retry_after)})


def timed_out() -> ApiError:
    msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    return ApiError(-1007, msg, status=408)


def market_closed() -> ApiError:
    return refused("Market is closed.")


_OF_REASON: Mapping[Reason, Callable[[], ApiError]] = {
    Reason.NO_SYMBOL: bad_symbol,
    Reason.NOT_TRADING: market_closed,
    Reason.PRICE_TICK: lambda: filter_failure("PRICE_FILTER"),
    Reason.PRICE_RANGE: lambda: filter_failure("PRICE_FILTER"),
    Reason.LOT_SIZE: lambda: filter_failure("LOT_SIZE"),
    Reason.MIN_NOTIONAL: lambda: filter_failure("NOTIONAL"),
    Reason.MAX_ORDERS: lambda: filter_failure("MAX_NUM_ORDERS"),
    Reason.MAX_STOP_ORDERS: lambda: filter_failure("MAX_NUM_ALGO_ORDERS"),
    Reason.INSUFFICIENT_FUNDS: insufficient_balance,
    Reason.WOULD_MATCH: would_match,
    Reason.WOULD_TRIGGER: would_trigger,
    Reason.DUPLICATE_CLIENT_ID: duplicate_order,
    Reason.NO_ORDER: no_such_order,
    Reason.ORDER_CLOSED: unknown_order,
}


def of_refusal(refusal: Refusal) -> ApiError:
    """Return how the spot API words a refusal. Raises `KeyError` for one that spot requests cannot cause."""
    return _OF_REASON[refusal.reason]()
