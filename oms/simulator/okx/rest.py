"""The REST way in: authentication, limits and faults round the table of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import msgspec
from aiohttp import hdrs, web

from oms.simulator.exchange import Exchange
from oms.simulator.faults import FaultRule, Faults
from oms.simulator.http import fail_before, spoil
from oms.simulator.ledger import Account
from oms.simulator.limits import LimitExceeded, Limits, Pool
from oms.simulator.query import split_form

from . import auth, errors
from .accounts import Accounts
from .errors import ApiError, RowError
from .public import Public
from .queries import Queries
from .trading import Trading, refused

JSON = "application/json; charset=UTF-8"
ORDERS_AT_ONCE = 20

# Those of orders count for each instrument of an account, "public" for an address, the others for an account.
POOLS = (
    Pool("orders", 1_000, 2),
    Pool("order", 60, 2),
    Pool("amend", 60, 2),
    Pool("cancel", 60, 2),
    Pool("batch_order", 300, 2),
    Pool("batch_amend", 300, 2),
    Pool("batch_cancel", 300, 2),
    Pool("order_details", 60, 2),
    Pool("orders_pending", 60, 2),
    Pool("orders_history", 40, 2),
    Pool("fills", 60, 2),
    Pool("fills_history", 10, 2),
    Pool("balance", 10, 2),
    Pool("positions", 10, 2),
    Pool("bills", 10, 2),
    Pool("leverage", 20, 2),
    Pool("account", 5, 2),
    Pool("funding", 6, 1),
    Pool("transfer", 2, 1),
    Pool("public", 20, 2),
)

_encode = msgspec.json.Encoder().encode

Kind = Literal["public", "query", "change", "order", "orders"]
Verb = Literal["place", "amend", "cancel"]
VERBS: Mapping[str, Verb] = {
    "order": "place",
    "batch-orders": "place",
    "cancel-order": "cancel",
    "batch-cancel-orders": "cancel",
    "amend-order": "amend",
    "batch-amend-orders": "amend",
}
_LIMITED: Mapping[Verb, str] = {"place": "order", "amend": "amend", "cancel": "cancel"}


@attrs.frozen
class Endpoint:
    """One of REST's. `order` takes one order and `orders` a list of them; the others are told apart by who may ask."""

    kind: Kind
    pool: str
    run: Any
    verb: Verb | None = None


class Orders:
    """Orders in OKX's own rows, whichever way they come: each is refused or done for itself."""

    def __init__(self, exchange: Exchange, trading: Trading, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._verbs: Mapping[Verb, Callable[[Account, Mapping[str, object]], dict[str, object]]] = {
            "place": trading.place,
            "amend": trading.amend,
            "cancel": trading.cancel,
        }

    def spend(self, account: Account, verb: Verb, given: list[Any], *, single: bool) -> None:
        """Count orders. Raises `ApiError`."""
        name = _LIMITED[verb] if single else f"batch_{_LIMITED[verb]}"
        try:
            for fields in given:
                symbol = fields.get("instId", "") if isinstance(fields, dict) else ""
                self._limits.spend(name, f"{account.name} {symbol}")
        except LimitExceeded:
            raise errors.too_many_requests() from None

    def run(self, account: Account, verb: Verb, given: list[Any]) -> dict[str, object]:
        """Do it for each and return code, message and rows."""
        if not 1 <= len(given) <= ORDERS_AT_ONCE:
            raise ApiError(51111, f"Maximum {ORDERS_AT_ONCE} orders can be placed in bulk.")
        before = self._exchange.clock()
        rows = [self._one(account, verb, fields) for fields in given]
        good = sum(row["sCode"] == "0" for row in rows)
        code = "0" if good == len(rows) else "2" if good else "1"
        words = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded"}[code]
        return {
            "code": code,
            "data": rows,
            "inTime": str(before // 1_000),
            "msg": words,
            "outTime": str(self._exchange.clock() // 1_000),
        }

    def _one(self, account: Account, verb: Verb, fields: Any) -> dict[str, object]:
        if not isinstance(fields, dict):
            raise ApiError(50002, "JSON syntax error", 400)
        try:
            if verb != "cancel":
                self._count(account)
            return self._verbs[verb](account, fields)
        except RowError as error:
            return refused(error, fields, self._exchange.clock())

    def _count(self, account: Account) -> None:
        try:
            self._limits.spend("orders", account.name)
        except LimitExceeded:
            raise RowError(50061, "You've reached the maximum order rate limit for this account.") from None


class RestApi:
    """Answers `/api/v5/...`."""

    def __init__(
        self,
        exchange: Exchange,
        limits: Limits,
        faults: Faults,
        orders: Orders,
        queries: Queries,
        accounts: Accounts,
        public: Public,
    ) -> None:
        self._exchange = exchange
        self._limits = limits
        self._faults = faults
        self._orders = orders
        self._endpoints = _endpoints(queries, accounts, public)
        self._paths = {path for _, path in self._endpoints}

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        labels = (f"{request.method} {path}",)
        try:
            endpoint = self._endpoints.get((request.method, path))
            if endpoint is None:
                raise self._nowhere(path)
            body = await request.read()
            before = fail_before(request, self._faults, labels, _refuse)
            if before is not None:
                return before
            answer = self._answer(request, endpoint, path, query, body)
            response = _json(answer, 200)
        except ApiError as error:
            return _json(error.body(), error.status)
        if answer["code"] == "1":
            return response
        return await spoil(request, self._faults, labels, response, _timed_out)

    def _nowhere(self, path: str) -> ApiError:
        if path in self._paths:
            return ApiError(50115, "Invalid request method.", 405)
        return ApiError(404, f"no such endpoint: {path}", 404)

    def _answer(
        self, request: web.BaseRequest, endpoint: Endpoint, path: str, query: str, body: bytes
    ) -> dict[str, object]:
        arguments = dict(split_form(query))
        if endpoint.kind == "public":
            self._spend(endpoint.pool, request.remote or "")
            return _answer(endpoint.run(arguments))
        signed = (
            f"{request.method}{path}{'?' + query if query else ''}{body.decode('utf-8', 'surrogateescape')}"
        )
        account = auth.account_of(self._exchange, request.headers, signed)
        if endpoint.kind == "query":
            self._spend(endpoint.pool, account.name)
            return _answer(endpoint.run(account, arguments))
        given = _parse(request, body)
        if endpoint.kind == "change":
            self._spend(endpoint.pool, account.name)
            if not isinstance(given, dict):
                raise ApiError(50002, "JSON syntax error", 400)
            try:
                return _answer(endpoint.run(account, given))
            except RowError as error:
                raise ApiError(int(error.code), error.message) from None
        assert endpoint.verb is not None, "an endpoint of orders says what it does"
        single = endpoint.kind == "order"
        if not isinstance(given, dict if single else list):
            raise ApiError(50002, "JSON syntax error", 400)
        orders: list[Any] = [given] if single else given  # type: ignore[assignment]
        self._orders.spend(account, endpoint.verb, orders, single=single)
        if endpoint.verb != "cancel":
            check_deadline(request.headers.get("expTime"), self._exchange.clock())
        return self._orders.run(account, endpoint.verb, orders)

    def _spend(self, pool: str, key: str) -> None:
        try:
            self._limits.spend(pool, key)
        except LimitExceeded:
            raise errors.too_many_requests() from None


def check_deadline(text: object, now_ns: int) -> None:
    """Refuse what came after the deadline that it has itself. Raises `ApiError`."""
    if text is None:
        return
    if not str(text).isdecimal():
        raise errors.parameter("expTime")
    if int(str(text)) < now_ns // 1_000_000:
        raise ApiError(
            50036,
            "The expTime can't be earlier than the current system time. Please adjust the expTime and try again.",
        )


def _parse(request: web.BaseRequest, body: bytes) -> object:
    if not body:
        raise ApiError(50000, "Body for POST request cannot be empty.", 400)
    if request.content_type != "application/json":
        raise ApiError(50006, 'Invalid Content-Type. Please use "application/JSON".', 400)
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise ApiError(50002, "JSON syntax error", 400) from None


def _answer(rows: list[dict[str, object]]) -> dict[str, object]:
    return {"code": "0", "msg": "", "data": rows}


def _json(value: object, status: int) -> web.Response:
    return web.Response(body=_encode(value), status=status, headers={hdrs.CONTENT_TYPE: JSON})


def _refuse(rule: FaultRule) -> web.Response:
    error = errors.too_many_requests()
    return _json(error.body(), error.status)


def _timed_out() -> web.Response:
    error = errors.timed_out()
    return _json(error.body(), error.status)


def _endpoints(queries: Queries, accounts: Accounts, public: Public) -> Mapping[tuple[str, str], Endpoint]:
    # fmt: off
    table: dict[str, Endpoint] = {
        "GET public/time": Endpoint("public", "public", public.time),
        "GET public/instruments": Endpoint("public", "public", public.instruments),
        "GET public/mark-price": Endpoint("public", "public", public.mark_prices),
        "GET public/funding-rate": Endpoint("public", "public", public.funding_rate),
        "GET market/tickers": Endpoint("public", "public", public.tickers),
        "GET market/ticker": Endpoint("public", "public", public.ticker),
        "GET market/books": Endpoint("public", "public", public.book),
        "GET market/trades": Endpoint("public", "public", public.trades),
        "GET trade/order": Endpoint("query", "order_details", queries.order),
        "GET trade/orders-pending": Endpoint("query", "orders_pending", queries.pending),
        "GET trade/orders-history": Endpoint("query", "orders_history", queries.history),
        "GET trade/orders-history-archive": Endpoint("query", "orders_history", queries.archive),
        "GET trade/fills": Endpoint("query", "fills", queries.fills),
        "GET trade/fills-history": Endpoint("query", "fills_history", queries.fills_history),
        "GET account/balance": Endpoint("query", "balance", accounts.balance),
        "GET account/positions": Endpoint("query", "positions", accounts.positions),
        "GET account/bills": Endpoint("query", "bills", queries.bills),
        "GET account/bills-archive": Endpoint("query", "bills", queries.bills_archive),
        "GET account/config": Endpoint("query", "account", accounts.config),
        "GET account/trade-fee": Endpoint("query", "account", accounts.fees),
        "GET account/leverage-info": Endpoint("query", "leverage", accounts.leverage),
        "GET asset/balances": Endpoint("query", "funding", accounts.funding_balances),
        "GET asset/currencies": Endpoint("query", "funding", accounts.currencies),
        "GET asset/transfer-state": Endpoint("query", "funding", accounts.transfer_state),
        "POST account/set-leverage": Endpoint("change", "leverage", accounts.set_leverage),
        "POST account/set-position-mode": Endpoint("change", "account", accounts.set_position_mode),
        "POST account/set-account-level": Endpoint("change", "account", accounts.set_account_level),
        "POST account/position/margin-balance": Endpoint("change", "leverage", accounts.adjust_margin),
        "POST asset/transfer": Endpoint("change", "transfer", accounts.transfer),
        "POST trade/close-position": Endpoint("change", "leverage", accounts.close_position),
        "POST trade/order": Endpoint("order", "", None, "place"),
        "POST trade/cancel-order": Endpoint("order", "", None, "cancel"),
        "POST trade/amend-order": Endpoint("order", "", None, "amend"),
        "POST trade/batch-orders": Endpoint("orders", "", None, "place"),
        "POST trade/cancel-batch-orders": Endpoint("orders", "", None, "cancel"),
        "POST trade/amend-batch-orders": Endpoint("orders", "", None, "amend"),
    }
    # fmt: on
    return {(name.split()[0], f"/api/v5/{name.split()[1]}"): endpoint for name, endpoint in table.items()}
