"""The REST way in: authentication, limits and faults round the table of endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from oms.simulator.exchange import Exchange
from oms.simulator.faults import Fault, FaultRule, Faults
from oms.simulator.http import fail_before, spoil
from oms.simulator.ledger import Account
from oms.simulator.limits import LimitExceeded, Limits
from oms.simulator.query import split_form

from . import auth, errors
from .endpoints import ADDRESS, Endpoint, table
from .params import Params
from .transfers import Transfers

NS_PER_MS = 1_000_000
JSON = "application/json; charset=utf-8"

_encode = msgspec.json.Encoder().encode


class RestApi:
    """Answers `/v5/...`."""

    def __init__(self, exchange: Exchange, limits: Limits, faults: Faults) -> None:
        self._exchange = exchange
        self._limits = limits
        self._faults = faults
        self._endpoints = table(Transfers())

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        endpoint = self._endpoints.get((request.method, path))
        headers: dict[str, str] = {}
        try:
            try:
                self._limits.spend(ADDRESS, request.remote or "")
            except LimitExceeded:
                raise errors.access_too_frequent() from None
            if endpoint is None:
                return web.Response(status=404)
            before = fail_before(request, self._faults, (endpoint.label,), self._refuse)
            if before is not None:
                return before
            body = await request.read() if request.body_exists else b""
            account = None
            if endpoint.group:
                payload = query.encode() if request.method == "GET" else body
                account = auth.authenticate(self._exchange, request.headers, payload)
            params = Params(dict(split_form(query)) if request.method == "GET" else _parse(body))
            if account is not None:
                headers = self._count(endpoint, account, params)
            result = endpoint.handler(self._exchange, account, params)
        except errors.ApiError as error:
            return self._error(error, headers)
        response = self._json(0, "OK", result, headers)
        return await spoil(request, self._faults, (endpoint.label,), response, self._timed_out)

    def _count(self, endpoint: Endpoint, account: Account, params: Params) -> dict[str, str]:
        """Count a request and return what its answer says of the limit. Raises `ApiError`."""
        name = endpoint.pool(params)
        pool = self._limits.pools[name]
        try:
            self._limits.spend(name, account.name)
        except LimitExceeded as exceeded:
            now_s = self._exchange.clock() // 10**9
            raise errors.too_many_visits((now_s + exceeded.retry_after_s) * 1000, pool.limit) from None
        return {
            "X-Bapi-Limit": str(pool.limit),
            "X-Bapi-Limit-Status": str(pool.limit - self._limits.used(name, account.name)),
            "X-Bapi-Limit-Reset-Timestamp": str(self._now_ms()),
        }

    def _refuse(self, rule: FaultRule) -> web.Response:
        if rule.kind is Fault.BANNED:
            return self._error(errors.access_too_frequent(), {})
        reset_ms = self._now_ms() + rule.retry_after_s * 1000
        return self._error(errors.too_many_visits(reset_ms, 10), {})

    def _timed_out(self) -> web.Response:
        return self._json(*errors.SERVER_TIMEOUT, {}, {})

    def _now_ms(self) -> int:
        return self._exchange.clock() // NS_PER_MS

    def _error(self, error: errors.ApiError, headers: Mapping[str, str]) -> web.Response:
        if not error.code:
            return web.Response(status=error.status, text=error.message)
        return self._json(error.code, error.message, error.result, {**headers, **error.headers}, error.status)

    def _json(
        self,
        code: int,
        message: str,
        result: Mapping[str, object],
        headers: Mapping[str, str],
        status: int = 200,
    ) -> web.Response:
        now = self._now_ms()
        body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now}
        told = {"Content-Type": JSON, "Timenow": str(now), "Ret_code": str(code), **headers}
        return web.Response(body=_encode(body), status=status, headers=told)


def _parse(body: bytes) -> dict[str, Any]:
    """Return what a body says. Raises `ApiError`."""
    try:
        values = json.loads(body or b"{}")
    except ValueError:
        raise errors.ApiError(10001, "params error: the body is not JSON") from None
    if not isinstance(values, dict):
        raise errors.ApiError(10001, "params error: the body is not an object")
    return values
