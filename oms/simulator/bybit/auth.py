"""Who signed a request, and whether it is fresh."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account

from .errors import ApiError, bad_param, not_authenticated

NS_PER_MS = 1_000_000
DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000


def authenticate(exchange: Exchange, headers: Mapping[str, str], payload: bytes) -> Account:
    """Return the account that signed exactly this query or body. Raises `ApiError`."""
    key, signature = headers.get("X-BAPI-API-KEY"), headers.get("X-BAPI-SIGN")
    timestamp = headers.get("X-BAPI-TIMESTAMP", "")
    if not key or not signature or not timestamp:
        raise not_authenticated()
    window = headers.get("X-BAPI-RECV-WINDOW", str(DEFAULT_WINDOW_MS))
    if not timestamp.isdecimal() or not window.isdecimal() or int(window) > MAX_WINDOW_MS:
        raise bad_param("timestamp or recv_window")
    account = exchange.keys.get(key)
    if account is None:
        raise ApiError(10003, "API key is invalid.")
    signed = f"{timestamp}{key}{window}".encode() + payload
    if not fits(account, signed, signature):
        # It repeats what should have been signed, the key included.
        raise ApiError(10004, f"error sign! origin_string[{signed.decode('utf-8', 'replace')}]")
    now_ms, sent_ms = exchange.clock() // NS_PER_MS, int(timestamp)
    if not now_ms - int(window) <= sent_ms < now_ms + AHEAD_MS:
        raise ApiError(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{sent_ms}],server_timestamp[{now_ms}],recv_window[{window}]",
        )
    return account


def log_in(exchange: Exchange, args: object) -> Account | str:
    """Return the account that logs in to the private stream, or why it does not."""
    if not isinstance(args, list) or len(args) != 3:
        return "Params Error"
    key, expires, signature = (str(arg) for arg in args)
    if not expires.isdecimal():
        return "Params Error"
    account = exchange.keys.get(key)
    if account is None:
        return "API key is invalid."
    if not fits(account, f"GET/realtime{expires}".encode(), signature):
        return "Error sign, please check your signature generation algorithm."
    if int(expires) <= exchange.clock() // NS_PER_MS:
        return "Params Error: expires has passed"
    return account


def fits(account: Account, signed: bytes, signature: str) -> bool:
    """Say whether this is the account's signature of these bytes."""
    right = hmac.new(account.api_secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), signature.encode("utf-8", "surrogateescape"))
