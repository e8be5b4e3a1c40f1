"""REST: `/v1/…`, with JWTs, rate limits by group, and faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import msgspec
from aiohttp import hdrs, web

from oms.simulator.faults import Fault, FaultRule
from oms.simulator.http import fail_before, spoil
from oms.simulator.ledger import Account
from oms.simulator.limits import LimitExceeded, Pool
from oms.simulator.orders import SPOT
from oms.simulator.reasons import Refusal

from . import payloads
from .auth import Authenticator
from .errors import ApiError, banned, internal, missing_parameter, no_such_code, not_found, too_many
from .params import Params, read
from .trading import Trading

if TYPE_CHECKING:
    from oms.simulator.markets import Market

    from .wire import UpbitWire

POOLS = (
    *(Pool(group, 10, 1) for group in ("market", "ticker", "orderbook", "trade")),
    Pool("default", 30, 1),
    Pool("order", 12, 1),
    Pool("order-test", 12, 1),
    Pool("order-cancel-all", 1, 2),
)
MAX_BODY_BYTES = 1 << 16
TICKS_MAX = 500

_encode = msgspec.json.Encoder().encode

Private = Callable[[Account, Params], tuple[int, object]]
Public = Callable[[Params], object]


@attrs.frozen
class Endpoint:
    """What answers a request: `private` with the account, else `public`; counted in a group."""

    group: str
    private: Private | None = None
    public: Public | None = None


class RestApi:
    """Answers everything under `/v1/`."""

    def __init__(self, wire: UpbitWire, authenticator: Authenticator, trading: Trading) -> None:
        self._wire = wire
        self._exchange = wire.exchange
        self._authenticator = authenticator
        self._endpoints = {
            ("GET", "market/all"): Endpoint("market", public=self._markets),
            ("GET", "ticker"): Endpoint("ticker", public=self._tickers),
            ("GET", "ticker/all"): Endpoint("ticker", public=self._all_tickers),
            ("GET", "orderbook"): Endpoint("orderbook", public=self._orderbooks),
            ("GET", "orderbook/instruments"): Endpoint("orderbook", public=self._instruments),
            ("GET", "trades/ticks"): Endpoint("trade", public=self._trades),
            ("GET", "accounts"): Endpoint("default", self._accounts),
            ("GET", "api_keys"): Endpoint("default", self._api_keys),
            ("GET", "orders/chance"): Endpoint("default", trading.chance),
            ("GET", "order"): Endpoint("default", trading.show),
            ("GET", "orders"): Endpoint("default", trading.listed),
            ("GET", "orders/uuids"): Endpoint("default", trading.by_ids),
            ("GET", "orders/open"): Endpoint("default", trading.open),
            ("GET", "orders/closed"): Endpoint("default", trading.closed),
            ("POST", "orders"): Endpoint("order", trading.place),
            ("POST", "orders/test"): Endpoint("order-test", trading.check),
            ("POST", "orders/cancel_and_new"): Endpoint("order", trading.cancel_and_new),
            ("DELETE", "order"): Endpoint("default", trading.cancel_one),
            ("DELETE", "orders/uuids"): Endpoint("default", trading.cancel_many),
            ("DELETE", "orders/open"): Endpoint("order-cancel-all", trading.cancel_open),
        }

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request, with the faults that are switched on."""
        endpoint = self._endpoints.get((request.method, path.removeprefix("/v1/")))
        if endpoint is None:
            return _json(not_found())
        faults, labels = self._wire.faults, (f"{request.method} {path}",)
        failed = fail_before(request, faults, labels, _refuse)
        if failed is not None:
            return failed
        # Read whole before anything is done: from here to the answer nothing else happens.
        body = await request.read() if request.body_exists else b""
        key = request.remote or ""
        try:
            if len(body) > MAX_BODY_BYTES:
                raise ApiError(413, "validation_error", "the body is too large")
            params = read(query, body, request.headers.get(hdrs.CONTENT_TYPE, ""))
            account = None
            if endpoint.private is not None:
                account = self._authenticator.account(request, params)
                key = account.name
            self._spend(endpoint.group, key)
            status, answer = self._answer(endpoint, account, params)
        except ApiError as error:
            return self._remaining(_json(error), endpoint.group, key)
        response = self._remaining(
            web.Response(body=_encode(answer), status=status, content_type="application/json"),
            endpoint.group,
            key,
        )
        return await spoil(request, faults, labels, response, lambda: _json(internal()))

    @staticmethod
    def _answer(endpoint: Endpoint, account: Account | None, params: Params) -> tuple[int, object]:
        if endpoint.private is not None:
            assert account is not None, "a private endpoint has an account"
            return endpoint.private(account, params)
        assert endpoint.public is not None, "an endpoint is private or public"
        return 200, endpoint.public(params)

    def _spend(self, group: str, key: str) -> None:
        try:
            self._wire.limits.spend(group, key)
        except LimitExceeded:
            raise too_many() from None

    def _remaining(self, response: web.Response, group: str, key: str) -> web.Response:
        limits = self._wire.limits
        pool = limits.pools[group]
        left = pool.limit - limits.used(group, key)
        response.headers["Remaining-Req"] = f"group={group}; min={pool.limit * 60}; sec={left}"
        return response

    # Quotations

    def _named(self, params: Params) -> list[Market]:
        names = params.all("markets")
        if not names:
            raise missing_parameter()
        try:
            return [self._exchange.market(SPOT, name) for name in names]
        except Refusal:
            raise no_such_code() from None

    def _markets(self, params: Params) -> object:
        details = params.get("is_details") == "true" or params.get("isDetails") == "true"
        return [payloads.market_row(market, details) for market in self._exchange.markets.values()]

    def _ticker(self, market: Market) -> dict[str, object]:
        return {"market": market.symbol, **payloads.ticker(market, self._exchange.clock())}

    def _tickers(self, params: Params) -> object:
        return [self._ticker(market) for market in self._named(params)]

    def _all_tickers(self, params: Params) -> object:
        quotes = params.all("quote_currencies")
        if not quotes:
            raise missing_parameter()
        return [self._ticker(each) for each in self._exchange.markets.values() if each.config.quote in quotes]

    def _orderbooks(self, params: Params) -> object:
        units, now = params.integer("count", payloads.UNITS, payloads.UNITS), self._exchange.clock()
        return [
            {"market": market.symbol, **payloads.orderbook(market, now, units)}
            for market in self._named(params)
        ]

    def _instruments(self, params: Params) -> object:
        return [payloads.instrument(market) for market in self._named(params)]

    def _trades(self, params: Params) -> object:
        if params.get("market") is None:
            raise missing_parameter()
        try:
            market = self._exchange.market(SPOT, params.need("market"))
        except Refusal:
            raise no_such_code() from None
        newest = list(market.trades)[-params.integer("count", 1, TICKS_MAX) :]
        return [_tick(market, payloads.trade(market, found)) for found in reversed(newest)]

    # Accounts

    def _accounts(self, account: Account, params: Params) -> tuple[int, object]:
        wallet = account.wallets[self._exchange.rules.wallets[SPOT]]
        return 200, [
            payloads.account_row(asset, balance) for asset, balance in wallet.items() if balance.total
        ]

    def _api_keys(self, account: Account, params: Params) -> tuple[int, object]:
        return 200, [{"access_key": account.api_key, "expire_at": "2099-12-31T23:59:59+09:00"}]


def _tick(market: Market, shown: dict[str, object]) -> dict[str, object]:
    names = {"_date": "trade_date_utc", "_time": "trade_time_utc"}
    return {"market": market.symbol, **{names.get(name, name): value for name, value in shown.items()}}


def _refuse(rule: FaultRule) -> web.Response:
    response = _json(banned() if rule.kind is Fault.BANNED else too_many())
    response.headers[hdrs.RETRY_AFTER] = str(rule.retry_after_s)
    return response


def _json(error: ApiError) -> web.Response:
    return web.Response(body=_encode(error.body), status=error.status, content_type="application/json")
