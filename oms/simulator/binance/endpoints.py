"""Every operation the exchange offers, once: REST and ws-api are two ways in to the same table."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.reasons import Refusal

from . import errors, public, queries, trading, transfers
from .limits import Limiter
from .params import Params


@attrs.frozen
class Endpoint:
    """One operation: how to reach it (`ws_method` empty: by REST alone), what it weighs, whether it is signed, whether it counts as an order.

    Those below `/sapi/` count in pools of their own: `weight` for the address, `uid_weight` for the account.
    """

    method: str
    path: str
    ws_method: str
    weight: int
    handler: Callable[..., object]
    signed: bool = True
    places: bool = False
    weight_of_all: int | None = None
    uid_weight: int = 0

    @property
    def is_sapi(self) -> bool:
        return self.path.startswith("/sapi/")

    def weigh(self, names: Collection[str]) -> int:
        """Return the request weight: asking for all symbols costs more where `weight_of_all` says so."""
        if self.weight_of_all is None or "symbol" in names:
            return self.weight
        return self.weight_of_all

    @property
    def label(self) -> str:
        """What fault rules call it, besides the ws-api method."""
        return f"{self.method} {self.path}"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label, self.ws_method)


def call(
    endpoint: Endpoint, exchange: Exchange, limiter: Limiter, account: Account | None, params: Params
) -> object:
    """Run one operation and return what it answers. Raises `ApiError`."""
    try:
        if not endpoint.signed:
            return endpoint.handler(exchange, limiter, params)
        assert account is not None, f"{endpoint.label} is signed: the caller has authenticated"
        if endpoint.places:
            limiter.check_order(account.name)
        result = endpoint.handler(exchange, limiter, account, params)
    except Refusal as refusal:
        raise errors.of_refusal(refusal) from None
    if endpoint.places:
        limiter.count_order(account.name)
    return result


def _public(
    path: str,
    ws_method: str,
    weight: int,
    handler: Callable[..., object],
    *,
    weight_of_all: int | None = None,
) -> Endpoint:
    path = f"/api/v3/{path}"
    return Endpoint("GET", path, ws_method, weight, handler, signed=False, weight_of_all=weight_of_all)


def _signed(
    method: str,
    path: str,
    ws_method: str,
    weight: int,
    handler: Callable[..., object],
    *,
    places: bool = False,
    weight_of_all: int | None = None,
) -> Endpoint:
    path = f"/api/v3/{path}"
    return Endpoint(method, path, ws_method, weight, handler, places=places, weight_of_all=weight_of_all)


ENDPOINTS: tuple[Endpoint, ...] = (
    _public("ping", "ping", 1, public.ping),
    _public("time", "time", 1, public.time),
    _public("exchangeInfo", "exchangeInfo", 20, public.exchange_info),
    _public("depth", "depth", 5, public.depth),
    _public("trades", "trades.recent", 25, public.trades),
    _public("aggTrades", "trades.aggregate", 4, public.aggregate_trades),
    _public("ticker/price", "ticker.price", 2, public.ticker_price, weight_of_all=4),
    _public("ticker/bookTicker", "ticker.book", 2, public.ticker_book, weight_of_all=4),
    _public("ticker/24hr", "ticker.24hr", 2, public.ticker_24hr, weight_of_all=80),
    _signed("POST", "order", "order.place", 1, trading.place, places=True),
    _signed("POST", "order/test", "order.test", 1, trading.test),
    _signed("GET", "order", "order.status", 4, queries.order),
    _signed("DELETE", "order", "order.cancel", 1, trading.cancel),
    _signed("POST", "order/cancelReplace", "order.cancelReplace", 1, trading.cancel_replace, places=True),
    _signed("GET", "openOrders", "openOrders.status", 6, queries.open_orders, weight_of_all=80),
    _signed("DELETE", "openOrders", "openOrders.cancelAll", 1, trading.cancel_all),
    _signed("GET", "allOrders", "allOrders", 20, queries.all_orders),
    _signed("GET", "myTrades", "myTrades", 20, queries.my_trades),
    _signed("GET", "account", "account.status", 20, queries.account),
    _signed("GET", "rateLimit/order", "account.rateLimits.orders", 40, queries.order_rate_limits),
    Endpoint("POST", "/sapi/v1/asset/transfer", "", 0, transfers.transfer, uid_weight=900),
    Endpoint("GET", "/sapi/v1/asset/transfer", "", 1, transfers.transfers),
    Endpoint(
        "POST",
        "/sapi/v1/sub-account/universalTransfer",
        "",
        1,
        transfers.between_accounts,
        uid_weight=360,
    ),
    Endpoint("GET", "/sapi/v1/sub-account/universalTransfer", "", 1, transfers.list_between_accounts),
)

BY_ROUTE = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
BY_WS_METHOD = {endpoint.ws_method: endpoint for endpoint in ENDPOINTS if endpoint.ws_method}
