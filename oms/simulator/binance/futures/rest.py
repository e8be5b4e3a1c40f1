"""The REST way in: authentication, limits and faults round the table of endpoints."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
from aiohttp import hdrs, web

from oms.simulator.binance import auth
from oms.simulator.binance import errors as common
from oms.simulator.binance.params import Params
from oms.simulator.faults import Fault, FaultRule, Faults
from oms.simulator.http import fail_before, spoil
from oms.simulator.ledger import Account
from oms.simulator.query import split_form
from oms.simulator.reasons import Refusal

from . import errors
from .desk import Desk
from .endpoints import BY_ROUTE, Endpoint

JSON = "application/json"

_encode = msgspec.json.Encoder(decimal_format="number").encode


class RestApi:
    """Answers `/fapi/…`."""

    def __init__(self, desk: Desk, faults: Faults) -> None:
        self._desk = desk
        self._faults = faults

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request."""
        limiter, address = self._desk.limiter, request.remote or ""
        headers: dict[str, str] = {}
        endpoint: Endpoint | None = None
        done = False
        try:
            endpoint = BY_ROUTE.get((request.method, path))
            if endpoint is None:
                raise common.unknown_path(request.method, path)
            body = (await request.read()).decode("utf-8", "surrogateescape") if request.body_exists else ""
            pairs = split_form(query) + split_form(body)
            limiter.spend(address, endpoint.weigh([name for name, _ in pairs]))
            failed = fail_before(request, self._faults, endpoint.labels, self._refuse)
            if failed is not None:
                return failed
            response = self._json(self._call(request, endpoint, pairs, (query, body), headers), 200)
            done = True
        except common.ApiError as error:
            response = self._error(error)
        response.headers.update(limiter.weight_headers(address))
        response.headers.update(headers)
        if endpoint is None or not done:
            return response
        return await spoil(
            request, self._faults, endpoint.labels, response, lambda: self._error(common.timed_out())
        )

    def _call(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint,
        pairs: list[tuple[str, str]],
        sent: tuple[str, str],
        headers: dict[str, str],
    ) -> object:
        params = Params.from_pairs(pairs)
        try:
            if endpoint.access == "public":
                return endpoint.handler(self._desk, params)
            account = auth.account_of(self._desk.exchange, request.headers.get("X-MBX-APIKEY"))
            if endpoint.access == "signed":
                self._check_signature(account, params, *sent)
            if endpoint.places:
                try:
                    self._desk.limiter.count_order(account.name)
                finally:
                    headers |= self._desk.limiter.order_headers(account.name)
            return endpoint.handler(self._desk, account, params)
        except Refusal as refusal:
            raise errors.of_refusal(refusal) from None

    def _check_signature(self, account: Account, params: Params, query: str, body: str) -> None:
        """Raise `ApiError` unless the account signed exactly these bytes, just now."""
        signature = params.need("signature")
        payload = (_without_signature(query) + _without_signature(body)).encode("utf-8", "surrogateescape")
        if not auth.signature_fits(account.api_secret, payload, signature):
            raise common.bad_signature()
        auth.check_time(params, self._desk.exchange.clock())

    def _json(self, value: object, status: int) -> web.Response:
        return web.Response(body=_encode(value), status=status, headers={hdrs.CONTENT_TYPE: JSON})

    def _error(self, error: common.ApiError) -> web.Response:
        response = self._json(error.body(), error.status)
        response.headers.update(error.headers)
        return response

    def _refuse(self, rule: FaultRule) -> web.Response:
        if rule.kind is Fault.RATE_LIMITED:
            return self._error(common.too_much_weight(self._desk.limiter.weight_limit, rule.retry_after_s))
        until = self._desk.exchange.clock() // auth.NS_PER_MS + rule.retry_after_s * 1000
        return self._error(common.banned(until, rule.retry_after_s))


def _without_signature(text: str) -> str:
    """Return the bytes that were signed: everything but the signature itself, in the order sent."""
    if "signature=" not in unquote(text):
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
