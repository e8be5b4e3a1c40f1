"""The REST way in: authentication, limits and faults round the table of endpoints."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import msgspec
from aiohttp import hdrs, web

from oms.simulator.faults import Fault, FaultRule, Faults, Stage

from . import auth, errors
from .endpoints import BY_ROUTE, Endpoint, call
from .exchange import Exchange
from .ledger import Account
from .limits import Limiter
from .params import Params, split_form

JSON = "application/json;charset=UTF-8"
HTML_ERROR = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
)

_encode = msgspec.json.Encoder().encode


class Dropped(Exception):
    """The connection was cut on purpose: there is nobody left to answer."""


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
            body = (await request.read()).decode("utf-8", "surrogateescape") if request.can_read_body else ""
            pairs = split_form(query) + split_form(body)
            self._limiter.spend(address, endpoint.weigh([name for name, _ in pairs]))
            before = self._faults.draw(Stage.BEFORE, *endpoint.labels)
            if before is not None:
                return self._fail(request, before)
            params = Params.from_pairs(pairs)
            if endpoint.signed:
                account = self._authenticate(request, params, query, body)
            result = call(endpoint, self._exchange, self._limiter, account, params)
            response = self._json(result, 200)
            done = True
        except errors.ApiError as error:
            response = self._json(error.body(), error.status)
            response.headers.update(error.headers)
        self._add_usage(response, address, account, endpoint)
        if endpoint is None or not done:
            return response
        return await self._spoil(request, endpoint, response)

    def _authenticate(self, request: web.BaseRequest, params: Params, query: str, body: str) -> Account:
        """Return the account that signed exactly these bytes. Raises `ApiError`."""
        account, secret = auth.account_of(self._exchange, request.headers.get("X-MBX-APIKEY"))
        signature = params.need("signature")
        payload = (_without_signature(query) + _without_signature(body)).encode("utf-8", "surrogateescape")
        if not auth.signature_fits(secret, payload, signature):
            raise errors.bad_signature()
        auth.check_time(params, self._exchange.clock())
        return account

    def _json(self, value: object, status: int) -> web.Response:
        return web.Response(body=_encode(value), status=status, headers={hdrs.CONTENT_TYPE: JSON})

    def _add_usage(
        self, response: web.StreamResponse, address: str, account: Account | None, endpoint: Endpoint | None
    ) -> None:
        used = str(self._limiter.used(address))
        response.headers["X-MBX-USED-WEIGHT"] = used
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if account is not None and endpoint is not None and endpoint.places:
            ten_seconds, day = self._limiter.orders(account.name)
            response.headers["X-MBX-ORDER-COUNT-10S"] = str(ten_seconds)
            response.headers["X-MBX-ORDER-COUNT-1D"] = str(day)

    def _fail(self, request: web.BaseRequest, rule: FaultRule) -> web.StreamResponse:
        """Refuse a request of which nothing has been done."""
        if rule.kind is Fault.DROP_REQUEST:
            raise drop(request)
        if rule.kind is Fault.SERVER_ERROR_BEFORE:
            return html_error(rule.status)
        error = refusal(rule, self._limiter, self._exchange)
        response = self._json(error.body(), error.status)
        response.headers.update(error.headers)
        return response

    async def _spoil(
        self, request: web.BaseRequest, endpoint: Endpoint, response: web.Response
    ) -> web.StreamResponse:
        """Do to the answer of something done what the faults want."""
        delay = self._faults.draw(Stage.DELAY, *endpoint.labels)
        if delay is not None:
            await asyncio.sleep(delay.delay_ms / 1000)
        rule = self._faults.draw(Stage.AFTER, *endpoint.labels)
        if rule is None:
            return response
        if rule.kind is Fault.SERVER_ERROR_AFTER:
            return html_error(rule.status)
        if rule.kind is Fault.TIMEOUT_1007:
            error = errors.timed_out()
            return self._json(error.body(), error.status)
        if rule.kind is Fault.HANG:
            await asyncio.sleep(rule.delay_ms / 1000)
        elif rule.kind is Fault.TRUNCATED_REPLY:
            await _send_half(request, response)
        raise drop(request)


def drop(request: web.BaseRequest) -> Dropped:
    """Cut the connection of `request`; raise what this returns."""
    if request.transport is not None:
        request.transport.abort()
    return Dropped()


def refusal(rule: FaultRule, limiter: Limiter, exchange: Exchange) -> errors.ApiError:
    """Return the 429 or 418 that `rule` wants."""
    if rule.kind is Fault.RATE_LIMITED:
        return errors.too_much_weight(limiter.limits.weight_per_minute, rule.retry_after_s)
    return errors.banned(exchange.clock() // auth.NS_PER_MS + rule.retry_after_s * 1000, rule.retry_after_s)


def html_error(status: int) -> web.Response:
    """A gateway's page, as a load balancer in front of the exchange sends it."""
    title = f"{status} {'Bad Gateway' if status == 502 else 'Service Unavailable'}"
    return web.Response(status=status, text=HTML_ERROR.format(title), content_type="text/html")


async def _send_half(request: web.BaseRequest, response: web.Response) -> None:
    """Send the headers of the whole body and half of the body."""
    body = bytes(response.body)  # type: ignore[arg-type]
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])


def _without_signature(text: str) -> str:
    """Return the bytes that were signed: everything but the signature itself, in the order sent."""
    if "signature=" not in unquote(text):
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
