"""Who a request is from: the signature, passphrase and timestamp that OKX checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account

from .errors import ApiError

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
MAX_AGE_NS = 30 * NS_PER_S
LOGIN_PAYLOAD = "GET/users/self/verify"

# In the order in which OKX looks for them.
_HEADERS = (
    ("OK-ACCESS-KEY", 50103),
    ("OK-ACCESS-PASSPHRASE", 50104),
    ("OK-ACCESS-SIGN", 50106),
    ("OK-ACCESS-TIMESTAMP", 50107),
)


def sign(secret: str, payload: str) -> str:
    """Return the signature of a payload."""
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def account_of(exchange: Exchange, headers: Mapping[str, str], payload: str) -> Account:
    """Return the account that signed `payload` (method, path with query, body). Raises `ApiError` with status 401."""
    for name, code in _HEADERS:
        if not headers.get(name):
            raise ApiError(code, f'Request header "{name}" can not be empty.', 401)
    key, passphrase, signature, timestamp = (headers[name] for name, _ in _HEADERS)
    time_ns = _parse(timestamp)
    if time_ns is None:
        raise ApiError(50112, "Invalid OK-ACCESS-TIMESTAMP", 401)
    if abs(exchange.clock() - time_ns) > MAX_AGE_NS:
        raise ApiError(50102, "Timestamp request expired", 401)
    account = exchange.keys.get(key)
    if account is None:
        raise ApiError(50111, "Invalid OK-ACCESS-KEY", 401)
    if headers.get("x-simulated-trading") == "1":
        raise ApiError(50101, "APIKey does not match current environment.", 401)
    if not hmac.compare_digest(account.passphrase, passphrase):
        raise ApiError(50105, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
    if not hmac.compare_digest(sign(account.api_secret, timestamp + payload), signature):
        raise ApiError(50113, "Invalid Sign", 401)
    return account


def _parse(timestamp: str) -> int | None:
    try:
        parsed = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000


def login(exchange: Exchange, given: object) -> Account:
    """Return the account of a WebSocket login. Raises `ApiError`."""
    if not isinstance(given, dict):
        raise ApiError(60013, "Invalid args")
    fields = [str(given.get(name) or "") for name in ("apiKey", "passphrase", "timestamp", "sign")]
    key, passphrase, timestamp, signature = fields
    if not timestamp.isdecimal():
        raise ApiError(60004, "Invalid timestamp")
    if abs(exchange.clock() - int(timestamp) * NS_PER_S) > MAX_AGE_NS:
        raise ApiError(60006, "Timestamp request expired")
    account = exchange.keys.get(key)
    if account is None:
        raise ApiError(60005, "Invalid apiKey")
    if not hmac.compare_digest(account.passphrase, passphrase):
        raise ApiError(60024, "Wrong passphrase")
    if not hmac.compare_digest(sign(account.api_secret, timestamp + LOGIN_PAYLOAD), signature):
        raise ApiError(60007, "Invalid sign")
    return account
