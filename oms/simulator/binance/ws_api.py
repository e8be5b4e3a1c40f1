"""The ws-api way in: the same table of endpoints, sessions, and subscriptions to user data."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from oms.simulator.connections import Connection
from oms.simulator.exchange import Exchange
from oms.simulator.faults import Fault, Faults, Stage
from oms.simulator.ledger import Account

from . import auth, errors, payloads
from .endpoints import BY_WS_METHOD, Endpoint, call
from .limits import Limiter
from .params import Params
from .rest import refusal
from .user_streams import Subscription, UserStreams

SESSION_WEIGHT = 2

# Numbers are kept as the text that was sent: the signature covers that text.
_decoder = msgspec.json.Decoder(float_hook=str)


class Session:
    """One ws-api connection: who is logged on, if anyone, and what it has subscribed to."""

    def __init__(self, connection: Connection, address: str, now_ns: int) -> None:
        self.connection = connection
        self.address = address
        self.connected_ns = now_ns
        self.account: Account | None = None
        self.api_key: str | None = None
        self.authorized_ns: int | None = None
        self.next_subscription_id = 0


class WsApi:
    """Serves `/ws-api/v3`."""

    def __init__(self, exchange: Exchange, limiter: Limiter, faults: Faults, users: UserStreams) -> None:
        self._exchange = exchange
        self._limiter = limiter
        self._faults = faults
        self._users = users
        self.sessions: set[Session] = set()
        self._session_methods = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
            "session.subscriptions": self._subscriptions,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one connection until it ends."""
        session = Session(Connection(request), request.remote or "", self._exchange.clock())
        await session.connection.open()
        self.sessions.add(session)
        try:
            async for text in session.connection.texts():
                await self._answer(session, text)
        finally:
            self.sessions.discard(session)
            for subscription in self._users.of(session.connection):
                self._users.unsubscribe(subscription)
            await session.connection.close()
        return session.connection.response

    async def _answer(self, session: Session, text: str) -> None:
        try:
            request = _decoder.decode(text)
        except msgspec.DecodeError:
            self._send_error(session, None, errors.ApiError(-1135, "Invalid JSON Request."), account=None)
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._send_error(session, None, errors.ApiError(-1135, "Invalid JSON Request."), account=None)
            return
        request_id, method = request.get("id"), request["method"]
        given = request.get("params") or {}
        account: Account | None = None
        endpoint = BY_WS_METHOD.get(method)
        try:
            if not isinstance(given, dict):
                raise errors.ApiError(-1135, "Invalid JSON Request.")
            values = {name: _text(value) for name, value in given.items()}
            values.pop("returnRateLimits", None)
            self._limiter.spend(session.address, endpoint.weigh(values) if endpoint else SESSION_WEIGHT)
            if endpoint is not None:
                await self._call(session, request_id, endpoint, values, given)
                return
            handler = self._session_methods.get(method)
            if handler is None:
                raise errors.ApiError(-1000, f"Unknown method '{method}'.")
            result = handler(session, values, given)
        except errors.ApiError as error:
            self._send_error(session, request_id, error, account)
            return
        self._send(session, request_id, 200, {"result": result}, account)

    async def _call(
        self,
        session: Session,
        request_id: object,
        endpoint: Endpoint,
        values: dict[str, str],
        given: dict[str, object],
    ) -> None:
        account: Account | None = None
        before = self._faults.draw(Stage.BEFORE, *endpoint.labels)
        if before is not None:
            if before.kind is Fault.DROP_REQUEST:
                session.connection.cut()
            elif before.kind is Fault.SERVER_ERROR_BEFORE:
                self._send_error(session, request_id, _internal(before.status), account)
            else:
                refused = refusal(before, self._limiter, self._exchange)
                self._send_error(session, request_id, refused, account)
            return
        if endpoint.signed:
            account = self._authenticate(session, values, given)
        params = Params(values)
        for name in ("apiKey", "signature"):
            params.text(name)
        if endpoint.signed:
            auth.check_time(params, self._exchange.clock())
        try:
            result = call(endpoint, self._exchange, self._limiter, account, params)
        except errors.ApiError as error:
            self._send_error(session, request_id, error, account if endpoint.places else None)
            return
        delay = self._faults.draw(Stage.DELAY, *endpoint.labels)
        if delay is not None:
            await asyncio.sleep(delay.delay_ms / 1000)
        after = self._faults.draw(Stage.AFTER, *endpoint.labels)
        if after is None:
            self._send(session, request_id, 200, {"result": result}, account if endpoint.places else None)
        elif after.kind is Fault.SERVER_ERROR_AFTER:
            self._send_error(session, request_id, _internal(after.status), account)
        elif after.kind is Fault.TIMEOUT_1007:
            self._send_error(session, request_id, errors.timed_out(), account)
        else:
            # A message cannot be half sent on a WebSocket: a truncated reply is a lost one.
            if after.kind is Fault.HANG:
                await asyncio.sleep(after.delay_ms / 1000)
            session.connection.cut()

    def _authenticate(self, session: Session, values: dict[str, str], given: dict[str, object]) -> Account:
        """Return the account of the session or of this request's signature. Raises `ApiError`."""
        if session.account is not None and "signature" not in values:
            return session.account
        return self._verify(values, given)

    def _verify(self, values: dict[str, str], given: dict[str, object]) -> Account:
        """Check the signature over the sorted parameters; clients sign them with or without percent-encoding."""
        account = auth.account_of(self._exchange, values.get("apiKey"))
        signature = values.get("signature")
        if not signature:
            raise errors.missing("signature")
        pairs = sorted((name, _text(value)) for name, value in given.items() if name != "signature")
        plain = "&".join(f"{name}={value}" for name, value in pairs)
        candidates = {plain.encode(), urlencode(pairs).encode()}
        if not any(auth.signature_fits(account.api_secret, candidate, signature) for candidate in candidates):
            raise errors.bad_signature()
        return account

    def _signed_session_call(self, values: dict[str, str], given: dict[str, object]) -> Account:
        account = self._verify(values, given)
        params = Params(values)
        for name in ("apiKey", "signature"):
            params.text(name)
        auth.check_time(params, self._exchange.clock())
        params.finish()
        return account

    def _logon(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        account = self._signed_session_call(values, given)
        if not auth.is_ed25519(account.api_secret):
            raise errors.hmac_not_supported()
        session.account = account
        session.api_key = values["apiKey"]
        session.authorized_ns = self._exchange.clock()
        return self._status(session, {}, {})

    def _status(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        return {
            "apiKey": session.api_key,
            "authorizedSince": None if session.authorized_ns is None else payloads.ms(session.authorized_ns),
            "connectedSince": payloads.ms(session.connected_ns),
            "returnRateLimits": True,
            "serverTime": payloads.ms(self._exchange.clock()),
            "userDataStream": bool(self._users.of(session.connection)),
        }

    def _logout(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        for subscription in self._users.of(session.connection):
            if subscription.by_session:
                self._terminate(subscription)
        session.account = session.api_key = session.authorized_ns = None
        return self._status(session, {}, {})

    def _subscriptions(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        return [{"subscriptionId": s.subscription_id} for s in self._users.of(session.connection)]

    def _subscribe(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        if session.account is None:
            raise errors.bad_key()
        return self._add_subscription(session, session.account, by_session=True)

    def _subscribe_signed(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        account = self._signed_session_call(values, given)
        return self._add_subscription(session, account, by_session=False)

    def _add_subscription(self, session: Session, account: Account, *, by_session: bool) -> object:
        subscription_id = session.next_subscription_id
        self._users.subscribe(session.connection, subscription_id, account.name, by_session=by_session)
        session.next_subscription_id += 1
        return {"subscriptionId": subscription_id}

    def _unsubscribe(self, session: Session, values: dict[str, str], given: dict[str, object]) -> object:
        params = Params(values)
        wanted = params.integer("subscriptionId")
        params.finish()
        found = [s for s in self._users.of(session.connection) if wanted in (None, s.subscription_id)]
        if not found:
            raise errors.not_subscribed()
        for subscription in found:
            self._terminate(subscription)
        return {}

    def _terminate(self, subscription: Subscription) -> None:
        self._users.unsubscribe(subscription)
        event = {"e": "eventStreamTerminated", "E": payloads.ms(self._exchange.clock())}
        subscription.connection.send({"subscriptionId": subscription.subscription_id, "event": event})

    def _send_error(
        self, session: Session, request_id: object, error: errors.ApiError, account: Account | None
    ) -> None:
        body = error.body()
        if "Retry-After" in error.headers:
            now = payloads.ms(self._exchange.clock())
            body["data"] = {"serverTime": now, "retryAfter": now + int(error.headers["Retry-After"]) * 1000}
        self._send(session, request_id, error.status, {"error": body}, account)

    def _send(
        self,
        session: Session,
        request_id: object,
        status: int,
        content: dict[str, object],
        account: Account | None,
    ) -> None:
        usage = [self._limiter.weight_row(session.address)]
        if account is not None:
            usage = self._limiter.order_rows(account.name) + usage
        session.connection.send({"id": request_id, "status": status, **content, "rateLimits": usage})


def _internal(status: int) -> errors.ApiError:
    return errors.ApiError(-1000, "An unknown error occurred while processing the request.", status=status)


def _text(value: object) -> str:
    """Write a JSON value as signatures and parameters have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return msgspec.json.encode(value).decode()
