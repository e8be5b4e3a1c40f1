"""Upbit's refusals: `{"error": {"name", "message"}}`. Quotations name the HTTP status in place of a word."""

from __future__ import annotations

from oms.simulator.reasons import Reason, Refusal


class ApiError(Exception):
    """A request is refused, with an HTTP status."""

    def __init__(self, status: int, name: str | int, message: str) -> None:
        super().__init__(f"{status} {name}: {message}")
        self.status = status
        self.name = name
        self.message = message

    @property
    def body(self) -> dict[str, object]:
        return {"error": {"name": self.name, "message": self.message}}


# `{}` is the order's side.
_REASONS: dict[Reason, tuple[int, str, str]] = {
    Reason.NO_SYMBOL: (404, "market_does_not_exist", "마켓 정보를 찾을 수 없습니다."),
    Reason.NOT_TRADING: (400, "market_offline", "현재 거래가 중단된 마켓입니다."),
    Reason.PRICE_TICK: (
        400,
        "invalid_price_{}",
        "주문가격 단위를 잘못 입력하셨습니다. 확인 후 시도해주세요.",
    ),
    Reason.PRICE_RANGE: (400, "under_price_limit_{}", "주문 가능한 가격의 범위를 벗어났습니다."),
    Reason.LOT_SIZE: (400, "invalid_volume_{}", "주문수량을 잘못 입력하셨습니다. 확인 후 시도해주세요."),
    Reason.MIN_NOTIONAL: (400, "under_min_total_{}", "최소주문금액 이상으로 주문해주세요."),
    Reason.MAX_ORDERS: (400, "create_{}_error", "주문 요청 정보가 올바르지 않습니다."),
    Reason.WOULD_MATCH: (400, "create_{}_error", "주문 요청 정보가 올바르지 않습니다."),
    Reason.INSUFFICIENT_FUNDS: (400, "insufficient_funds_{}", "주문가능한 금액이 부족합니다."),
    Reason.DUPLICATE_CLIENT_ID: (400, "validation_error", "identifier has already been taken"),
    Reason.NO_ORDER: (404, "order_not_found", "주문을 찾지 못했습니다."),
    Reason.ORDER_CLOSED: (404, "order_not_found", "주문을 찾지 못했습니다."),
}


def refused(refusal: Refusal, side: str = "bid") -> ApiError:
    """Upbit's words for a refusal of the exchange; one it has no words for is a defect of this wire."""
    status, name, message = _REASONS[refusal.reason]
    return ApiError(status, name.format(side), message)


def invalid(message: str) -> ApiError:
    return ApiError(400, "validation_error", message)


def too_many() -> ApiError:
    return ApiError(429, "too_many_requests", "Too many API requests.")


def banned() -> ApiError:
    return ApiError(418, "too_many_requests", "Too many API requests. Access is blocked for a while.")


def unauthorized(name: str, message: str) -> ApiError:
    return ApiError(401, name, message)


def missing_parameter() -> ApiError:
    """What quotations say."""
    return ApiError(400, 400, "Missing request parameter error. Check the required parameters!")


def no_such_code() -> ApiError:
    return ApiError(404, 404, "Code not found")


def not_found() -> ApiError:
    return ApiError(404, 404, "no Route matched with those values")


def internal() -> ApiError:
    return ApiError(500, "server_error", "일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요.")
