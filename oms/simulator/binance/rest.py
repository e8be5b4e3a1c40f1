"""The REST way in: authentication, limits and faults round the table of endpoints."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
from aiohttp import hdrs, web

from oms.simulator.exchange import Exchange
from oms.simulator.faults import Fault, FaultRule, Faults
from oms.simulator.http import fail_before, spoil
from oms.simulator.ledger import Account
from oms.simulator.query import split_form

from . import auth, errors
from .endpoints import BY_ROUTE, Endpoint, call
from .limits import SAPI, SAPI_UID, WEIGHT, Limiter
from .params import Params

JSON = "application/json;charset=UTF-8"

_encode = msgspec.json.Encoder().encode


class RestApi:
    """Answers `/api/v3/...`."""

    def __init__(self, exchange: Exchange, limiter: Limiter, faults: Faults) -> None:
        self._exchange = exchange
        self._limiter = limiter
        self._faults = faults

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        address = request.remote or ""
        account: Account | None = None
        endpoint: Endpoint | None = None
        done = False
        try:
            endpoint = BY_ROUTE.get((request.method, path))
            if endpoint is None:
                raise errors.unknown_path(request.method, path)
            body = (await request.read()).decode("utf-8", "surrogateescape") if request.body_exists else ""
            pairs = split_form(query) + split_form(body)
            weight = endpoint.weigh([name for name, _ in pairs])
            self._limiter.spend(address, weight, SAPI if endpoint.is_sapi else WEIGHT)
            failed = fail_before(request, self._faults, endpoint.labels, self._refuse)
            if failed is not None:
                return failed
            params = Params.from_pairs(pairs)
            if endpoint.signed:
                account = self._authenticate(request, params, query, body)
                self._limiter.spend(account.name, endpoint.uid_weight, SAPI_UID)
            result = call(endpoint, self._exchange, self._limiter, account, params)
            response = self._json(result, 200)
            done = True
        except errors.ApiError as error:
            response = self._json(error.body(), error.status)
            response.headers.update(error.headers)
        self._add_usage(response, address, account, endpoint)
        if endpoint is None or not done:
            return response
        return await spoil(request, self._faults, endpoint.labels, response, self._timed_out)

    def _authenticate(self, request: web.BaseRequest, params: Params, query: str, body: str) -> Account:
        """Return the account that signed exactly these bytes. Raises `ApiError`."""
        account = auth.account_of(self._exchange, request.headers.get("X-MBX-APIKEY"))
        signature = params.need("signature")
        payload = (_without_signature(query) + _without_signature(body)).encode("utf-8", "surrogateescape")
        if not auth.signature_fits(account.api_secret, payload, signature):
            raise errors.bad_signature()
        auth.check_time(params, self._exchange.clock())
        return account

    def _json(self, value: object, status: int) -> web.Response:
        return web.Response(body=_encode(value), status=status, headers={hdrs.CONTENT_TYPE: JSON})

    def _add_usage(
        self, response: web.StreamResponse, address: str, account: Account | None, endpoint: Endpoint | None
    ) -> None:
        if endpoint is not None and endpoint.is_sapi:
            response.headers["X-SAPI-USED-IP-WEIGHT-1M"] = str(self._limiter.used(address, SAPI))
            if account is not None:
                used = str(self._limiter.used(account.name, SAPI_UID))
                response.headers["X-SAPI-USED-UID-WEIGHT-1M"] = used
            return
        used = str(self._limiter.used(address))
        response.headers["X-MBX-USED-WEIGHT"] = used
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if account is not None and endpoint is not None and endpoint.places:
            ten_seconds, day = self._limiter.orders(account.name)
            response.headers["X-MBX-ORDER-COUNT-10S"] = str(ten_seconds)
            response.headers["X-MBX-ORDER-COUNT-1D"] = str(day)

    def _refuse(self, rule: FaultRule) -> web.Response:
        error = refusal(rule, self._limiter, self._exchange)
        response = self._json(error.body(), error.status)
        response.headers.update(error.headers)
        return response

    def _timed_out(self) -> web.Response:
        error = errors.timed_out()
        return self._json(error.body(), error.status)


def refusal(rule: FaultRule, limiter: Limiter, exchange: Exchange) -> errors.ApiError:
    """Return the 429 or 418 that `rule` wants."""
    if rule.kind is Fault.RATE_LIMITED:
        return errors.too_much_weight(limiter.weight_limit, rule.retry_after_s)
    return errors.banned(exchange.clock() // auth.NS_PER_MS + rule.retry_after_s * 1000, rule.retry_after_s)


def _without_signature(text: str) -> str:
    """Return the bytes that were signed: everything but the signature itself, in the order sent."""
    if "signature=" not in unquote(text):
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
