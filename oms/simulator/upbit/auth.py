"""Who asks: a JWT signed with the key's secret, with a nonce of its own and the hash of what is asked for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict

import msgspec
from aiohttp import hdrs, web

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account

from .errors import unauthorized
from .params import Params

# Nonces that are remembered, of all accounts.
NONCES_KEPT = 100_000
_DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


class _Header(msgspec.Struct):
    alg: str


class _Claims(msgspec.Struct):
    access_key: str
    nonce: str
    query_hash: str = ""
    query_hash_alg: str = "SHA512"


_read_header = msgspec.json.Decoder(_Header).decode
_read_claims = msgspec.json.Decoder(_Claims).decode


class Authenticator:
    """Checks tokens; a nonce is good once."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._nonces: OrderedDict[tuple[str, str], None] = OrderedDict()

    def account(self, request: web.BaseRequest, params: Params | None) -> Account:
        """Return whose token the request carries. Raises `ApiError`.

        `params` is what the token has to vouch for; None for a WebSocket.
        """
        kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if kind != "Bearer" or not token:
            raise unauthorized("no_authorization_token", "Missing Auth Token")
        claims, account = self._verify(token.strip())
        nonce = (claims.access_key, claims.nonce)
        if nonce in self._nonces:
            raise unauthorized("nonce_used", "이미 사용된 nonce값입니다.")
        if params is not None:
            _check_hash(claims, params)
        self._nonces[nonce] = None
        if len(self._nonces) > NONCES_KEPT:
            self._nonces.popitem(last=False)
        return account

    def _verify(self, token: str) -> tuple[_Claims, Account]:
        try:
            header, payload, signature = token.split(".")
            digest = _DIGESTS[_read_header(_decode(header)).alg]
            claims = _read_claims(_decode(payload))
            given = _decode(signature)
        except (ValueError, KeyError, binascii.Error, msgspec.DecodeError):
            raise _unverified() from None
        account = self._exchange.keys.get(claims.access_key)
        if account is None:
            raise unauthorized("invalid_access_key", "잘못된 엑세스 키입니다.")
        signed = hmac.new(account.api_secret.encode(), f"{header}.{payload}".encode(), digest).digest()
        if not hmac.compare_digest(signed, given):
            raise _unverified()
        return claims, account


def _check_hash(claims: _Claims, params: Params) -> None:
    if not params and not claims.query_hash:
        return
    good = {hashlib.sha512(text.encode()).hexdigest() for text in params.texts}
    if claims.query_hash_alg != "SHA512" or claims.query_hash not in good:
        raise unauthorized("invalid_query_payload", "Jwt의 query를 검증하는데 실패하였습니다.")


def _unverified() -> Exception:
    return unauthorized("jwt_verification", "Jwt 토큰 검증에 실패했습니다.")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
