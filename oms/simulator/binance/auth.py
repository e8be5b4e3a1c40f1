"""Keys, signatures and timestamps: HMAC-SHA256 in hex, or Ed25519 in base64."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account

from . import errors
from .params import Params

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
NS_PER_MS = 1_000_000
AHEAD_MS_MAX = 1_000
RECV_WINDOW_MS = 5_000
RECV_WINDOW_MS_MAX = 60_000


def account_of(exchange: Exchange, api_key: str | None) -> Account:
    """Return the account of a key. Raises `ApiError` -2014 or -2015."""
    if api_key is None or _KEY.fullmatch(api_key) is None:
        raise errors.bad_key_format()
    found = exchange.keys.get(api_key)
    if found is None:
        raise errors.bad_key()
    return found


def is_ed25519(secret: str) -> bool:
    """Say whether the account was registered with an Ed25519 public key."""
    return secret.startswith("-----BEGIN PUBLIC KEY-----")


@functools.lru_cache(maxsize=1_000)
def _public_key(pem: str) -> Ed25519PublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"api_secret must be an Ed25519 public key, was {type(key).__name__}")
    return key


def signature_fits(secret: str, payload: bytes, signature: str) -> bool:
    """Check `signature` over exactly these bytes."""
    if not is_ed25519(secret):
        expected = hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode())
    try:
        _public_key(secret).verify(base64.b64decode(signature, validate=True), payload)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def check_time(params: Params, now_ns: int) -> None:
    """Check `timestamp` and `recvWindow`. Raises `ApiError` -1102, -1100, -1131 or -1021."""
    timestamp = params.integer("timestamp")
    if timestamp is None:
        raise errors.missing("timestamp")
    window = params.decimal("recvWindow")
    if window is not None and window > RECV_WINDOW_MS_MAX:
        raise errors.bad_recv_window()
    now = now_ns // NS_PER_MS
    if timestamp >= now + AHEAD_MS_MAX:
        raise errors.clock_ahead()
    if now - timestamp > (RECV_WINDOW_MS if window is None else window):
        raise errors.outside_window()
