"""Every operation of the REST API, once."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from oms.simulator.binance.params import Params
from oms.simulator.ledger import Account

from . import public, queries, trading
from .desk import Desk


@attrs.frozen
class Endpoint:
    """One operation: how to reach it, what it weighs, whose key and signature it wants, whether it counts as an order.

    `access` is `public` (nothing), `key` (a key alone) or `signed`.
    """

    method: str
    path: str
    weight: int
    handler: Callable[..., object]
    access: str = "signed"
    places: bool = False
    weight_of_all: int | None = None

    def weigh(self, names: Collection[str]) -> int:
        """Return the request weight: asking for all symbols costs more where `weight_of_all` says so."""
        if self.weight_of_all is None or "symbol" in names:
            return self.weight
        return self.weight_of_all

    @property
    def labels(self) -> tuple[str, ...]:
        """What fault rules call it."""
        return (f"{self.method} {self.path}",)


def _create_key(desk: Desk, account: Account, params: Params) -> object:
    return {"listenKey": desk.keys.create(account)}


def _renew_key(desk: Desk, account: Account, params: Params) -> object:
    return {"listenKey": desk.keys.renew(account)}


def _end_key(desk: Desk, account: Account, params: Params) -> object:
    desk.keys.end(account)
    return {}


def _public(
    path: str, weight: int, handler: Callable[..., object], weight_of_all: int | None = None
) -> Endpoint:
    return Endpoint("GET", f"/fapi/{path}", weight, handler, "public", weight_of_all=weight_of_all)


def _get(
    path: str, weight: int, handler: Callable[..., object], weight_of_all: int | None = None
) -> Endpoint:
    return Endpoint("GET", f"/fapi/{path}", weight, handler, weight_of_all=weight_of_all)


def _post(path: str, weight: int, handler: Callable[..., object], *, places: bool = False) -> Endpoint:
    return Endpoint("POST", f"/fapi/{path}", weight, handler, places=places)


ENDPOINTS: tuple[Endpoint, ...] = (
    _public("v1/ping", 1, public.ping),
    _public("v1/time", 1, public.time),
    _public("v1/exchangeInfo", 1, public.exchange_info),
    _public("v1/depth", 5, public.depth),
    _public("v1/trades", 5, public.trades),
    _public("v1/aggTrades", 20, public.aggregate_trades),
    _public("v1/ticker/price", 1, public.ticker_price, weight_of_all=2),
    _public("v2/ticker/price", 1, public.ticker_price, weight_of_all=2),
    _public("v1/ticker/bookTicker", 2, public.ticker_book, weight_of_all=5),
    _public("v1/ticker/24hr", 1, public.ticker_24hr, weight_of_all=40),
    _public("v1/premiumIndex", 1, public.premium_index, weight_of_all=10),
    _post("v1/order", 0, trading.place, places=True),
    _post("v1/order/test", 0, trading.test),
    Endpoint("PUT", "/fapi/v1/order", 0, trading.amend, places=True),
    Endpoint("DELETE", "/fapi/v1/order", 1, trading.cancel),
    Endpoint("DELETE", "/fapi/v1/allOpenOrders", 1, trading.cancel_all),
    _post("v1/leverage", 1, trading.leverage),
    _post("v1/marginType", 1, trading.margin_type),
    _post("v1/positionMargin", 1, trading.position_margin),
    _post("v1/positionSide/dual", 1, trading.position_mode),
    _get("v1/order", 1, queries.order),
    _get("v1/openOrder", 1, queries.open_order),
    _get("v1/openOrders", 1, queries.open_orders, weight_of_all=40),
    _get("v1/allOrders", 5, queries.all_orders),
    _get("v1/userTrades", 5, queries.user_trades),
    _get("v1/income", 30, queries.income),
    _get("v1/positionRisk", 5, queries.position_risk),
    _get("v2/positionRisk", 5, queries.position_risk),
    _get("v3/positionRisk", 5, queries.position_risk_3),
    _get("v1/symbolConfig", 5, queries.symbol_config),
    _get("v1/accountConfig", 5, queries.account_config),
    _get("v1/positionSide/dual", 30, queries.position_mode),
    _get("v1/multiAssetsMargin", 30, queries.assets_mode),
    _get("v2/balance", 5, queries.balance),
    _get("v3/balance", 5, queries.balance),
    _get("v2/account", 5, queries.account_2),
    _get("v3/account", 5, queries.account),
    _get("v1/leverageBracket", 1, queries.leverage_bracket),
    _get("v1/commissionRate", 20, queries.commission_rate),
    Endpoint("POST", "/fapi/v1/listenKey", 1, _create_key, "key"),
    Endpoint("PUT", "/fapi/v1/listenKey", 1, _renew_key, "key"),
    Endpoint("DELETE", "/fapi/v1/listenKey", 1, _end_key, "key"),
)

BY_ROUTE = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
