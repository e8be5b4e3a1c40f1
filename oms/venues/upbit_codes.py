"""How Upbit says no: the names of its errors, what each means for an order, and how long to stay away."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from oms.venues.dialect import Dialect
from oms.venues.errors import Kind
from oms.venues.notation import RETRY_AFTER_S, seconds

# fmt: off
# docs.upbit.com/kr/reference/rest-api-guide, error.name. The list there is not complete: what is not here is UNKNOWN.
MEANINGS: Final[dict[str, tuple[tuple[str, Kind], ...]]] = {
    "create_ask_error": (("", Kind.REJECTED),),         # order parameters that do not go together
    "create_bid_error": (("", Kind.REJECTED),),
    "insufficient_funds_ask": (("", Kind.REJECTED),),
    "insufficient_funds_bid": (("", Kind.REJECTED),),
    "under_min_total_ask": (("", Kind.REJECTED),),      # less than 5,000 won
    "under_min_total_bid": (("", Kind.REJECTED),),
    "over_max_total_ask": (("", Kind.REJECTED),),       # more than 1,000,000,000 won
    "over_max_total_bid": (("", Kind.REJECTED),),
    "under_price_limit_ask": (("", Kind.REJECTED),),    # price out of bounds
    "under_price_limit_bid": (("", Kind.REJECTED),),
    "invalid_price": (("", Kind.REJECTED),),            # price off its tick
    "invalid_price_ask": (("", Kind.REJECTED),),
    "invalid_price_bid": (("", Kind.REJECTED),),
    "invalid_volume_ask": (("", Kind.REJECTED),),
    "invalid_volume_bid": (("", Kind.REJECTED),),
    "invalid_parameter": (("", Kind.REJECTED),),
    "validation_error": (("", Kind.REJECTED),),         # a parameter is missing or malformed
    "market_does_not_exist": (("", Kind.REJECTED),),
    "market_offline": (("", Kind.REJECTED),),           # trading is suspended
    "used_identifier": (("", Kind.UNKNOWN),),           # ours, see refusal(): what stands there has to be seen
    "order_not_found": (("", Kind.NOT_FOUND),),
    "too_many_requests": (("", Kind.THROTTLED),),
    "invalid_access_key": (("", Kind.AUTH_FATAL),),
    "jwt_verification": (("", Kind.AUTH_FATAL),),       # the secret is not the key's
    "expired_access_key": (("", Kind.AUTH_FATAL),),
    "no_authorization_ip": (("", Kind.AUTH_FATAL),),    # our address is not on the key's list
    "no_authorization_i_p": (("", Kind.AUTH_FATAL),),   # so it was called before
    "no_authorization_token": (("", Kind.AUTH_FATAL),),
    "out_of_scope": (("", Kind.AUTH_FATAL),),           # the key may not do this
    "thirdparty_agreement_required": (("", Kind.AUTH_FATAL),),  # the owner has to agree to terms first
    "invalid_query_payload": (("", Kind.REJECTED),),    # this one request was signed wrongly
    "nonce_used": (("", Kind.UNKNOWN),),                # aiohttp repeated a dropped request: the first may have been obeyed
}
# fmt: on


class _Error(msgspec.Struct):
    name: str | int = ""
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Error


_read_refusal = msgspec.json.Decoder(_Refusal).decode
_identifier = re.compile("identifier", re.IGNORECASE).search


def refusal(status: int, body: str) -> tuple[str, str] | None:
    """Name and message of a refusal. One that speaks of the identifier has no name of its own: we call it used_identifier."""
    try:
        error = _read_refusal(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    name = str(error.name)
    about_identifier = _identifier(name) or (status == 400 and _identifier(error.message))
    return "used_identifier" if about_identifier else name, error.message


def _retry_after(status: int | None, headers: Mapping[str, str]) -> float:
    """Limits are by the second; only who is shut out is told nothing of them."""
    return seconds(headers.get("retry-after", "1" if "remaining-req" in headers else str(RETRY_AFTER_S)))


DIALECT: Final = Dialect(
    refusal=refusal, meanings=MEANINGS, retry_after=_retry_after, shut_out=frozenset({418})
)
