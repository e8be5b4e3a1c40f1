"""What Bybit's codes mean for a request that got one. Source: bybit-exchange.github.io/docs/v5/error, all sections of a unified account.

Codes are by kind, each with what the exchange says in short. A code that is not here means UNKNOWN, as do those that
are here to say so: the request may have been taken.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from oms.venues.dialect import Meanings
from oms.venues.errors import Kind

LEVERAGE_STANDS: Final = "110043"
MARGIN_MODE_STANDS: Final = "110026"

# fmt: off
_AUTH_FATAL: Final = {
    "401": "wrong key, or no authentication in the headers (HTTP status)",
    "10003": "API key invalid",
    "10004": "wrong signature",
    "10005": "the API key lacks the permission",
    "10007": "user authentication failed",
    "10008": "banned: check the account's mode",
    "10009": "the address is banned",
    "10010": "the API key is bound to other addresses",
    "10020": "not a unified account",
    "10028": "for unified accounts alone",
    "33004": "API key expired (derivatives)",
    "-2015": "API key expired (spot)",
}

_THROTTLED: Final = {
    "403": "access too frequent (HTTP status)",
    "429": "the trading service protects itself",
    "10006": "too many visits of this endpoint",
    "10018": "too many visits from this address",
    "10429": "the system protects itself",
    "170005": "too many new orders",
    "170222": "too many requests in this time",
}

_NOT_FOUND: Final = {
    "110001": "order does not exist, or too late",
    "170143": "not on the order book",
    "170213": "order does not exist",
}

_ALREADY_DONE: Final = {
    "110008": "completed or canceled",
    "110010": "canceled",
    "131214": "a transfer has this id",
    "170139": "filled",
    "170142": "canceled",
    "170190": "cancel has finished",
}

_UNKNOWN: Final = {
    "5004": "server timeout",
    "10000": "server timeout",
    "10014": "duplicate request",
    "10016": "server error",
    "10019": "the trading service restarts",
    "40004": "the order was modified while being replaced",
    "110030": "duplicate order id",
    "110072": "duplicate orderLinkId: what stands there has to be seen",
    "110079": "the order is being processed",
    "131003": "internal error", "131200": "service error", "131201": "internal error", "131206": "transfer failed",
    "170001": "internal error",
    "170007": "timeout waiting for the backend",
    "170032": "network error",
    "170035": "submitted for processing",
    "170141": "duplicate orderLinkId: what stands there has to be seen",
    "170146": "order creation timed out",
    "170147": "order cancellation timed out",
    "170149": "order creation failed",
    "170150": "order cancellation failed",
    "170212": "the cancel is being processed",
    "170234": "system error",
    "170310": "order modification timed out",
    "170311": "order modification failed",
    "3400214": "server error",
}

_REJECTED: Final = {
    "404": "no such path, or not for this kind of account (HTTP status)",
    "7001": "wrong type of a parameter",
    "10001": "parameter error, an amend that changes nothing among them",
    "10002": "timestamp outside the window: refused at the door",
    "10017": "no such path",
    "10024": "compliance rules",
    "10027": "trading is banned",
    "10029": "symbol not on the key's whitelist",
    "12137": "quantity has too many decimals",
    "12201": "wrong order category",
    "30133": "institutional loan: symbol not allowed", "30134": "institutional loan: symbol not allowed",
    "30135": "institutional loan: leverage too high", "30136": "institutional loan: leverage too high",
    "100028": "not for unified accounts",
    # derivatives
    "110003": "price outside the range",
    "110004": "wallet balance insufficient",
    "110005": "position status",
    "110006": "position margin cannot be covered",
    "110007": "available balance insufficient",
    "110009": "too many stop orders",
    "110011": "would liquidate at once",
    "110012": "available balance insufficient",
    "110013": "leverage too high for the risk limit",
    "110014": "not enough to add margin",
    "110015": "position is in cross margin",
    "110016": "quantity exceeds the risk limit",
    "110017": "reduce-only rule not satisfied",
    "110018": "user id illegal",
    "110019": "order id illegal",
    "110020": "over 500 active orders",
    "110021": "open interest limits the position",
    "110022": "quantity may not be increased",
    "110023": "positions may only be reduced",
    "110024": "position mode cannot change: a position is open",
    "110025": "position mode not modified",
    MARGIN_MODE_STANDS: "margin mode not modified: it stands",
    "110027": "margin not modified",
    "110028": "position mode cannot change: orders are open",
    "110029": "no hedge mode for the symbol",
    "110031": "no such risk limit",
    "110032": "order illegal",
    "110033": "no position to set margin of",
    "110034": "no net position",
    "110035": "orders were not canceled before liquidation",
    "110036": "leverage cannot change in cross margin",
    "110037": "no such symbol in the user's settings",
    "110038": "leverage cannot change in portfolio margin",
    "110039": "maintenance margin too high",
    "110040": "would force a liquidation",
    "110041": "skipping liquidation not allowed",
    "110042": "before delivery positions may only be reduced",
    LEVERAGE_STANDS: "leverage not modified: it stands",
    "110044": "available margin insufficient",
    "110045": "wallet balance insufficient",
    "110046": "would liquidate at once",
    "110047": "risk limit: margin insufficient",
    "110048": "risk limit: position too large",
    "110049": "tick notes must be numbers",
    "110050": "no such coin",
    "110051": "balance does not cover the lowest price",
    "110052": "balance insufficient for the price",
    "110053": "balance does not cover the highest price",
    "110054": "a take profit hangs on the position", "110055": "a stop loss hangs on the position",
    "110056": "a trailing stop hangs on the position", "110057": "parameters of take profit and stop loss",
    "110058": "position too small for take profit and stop loss",
    "110059": "take profit and stop loss of a part-filled order", "110060": "full mode of take profit and stop loss",
    "110061": "over 20 take profits and stop losses", "110062": "no market maker protection found",
    "110063": "settlement in progress",
    "110064": "new quantity must exceed what is filled",
    "110065": "no market maker protection", "110066": "no trading now",
    "110067": "not for unified accounts", "110068": "no leveraged trading", "110069": "not for institutional loans",
    "110070": "no trading of ETPs", "110071": "upgrades are suspended",
    "110073": "margin mode could not be set",
    "110075": "risk limit not modified", "110076": "isolated margin alone", "110077": "not in portfolio margin",
    "110078": "added margin beyond what can be taken back",
    "110080": "institutional loan: being liquidated",
    "110082": "no reduce-only restriction to lift", "110083": "reduce-only restrictions go together",
    "110085": "risk limit was updated", "110086": "leverage exceeds the risk limit",
    "110087": "institutional loan: leverage too high", "110088": "upgrade the account to trade",
    "110089": "over the highest risk limit", "110090": "leverage over that of the risk limit",
    "110092": "trigger price below the market, expected above",
    "110093": "trigger price above the market, expected below",
    "110094": "notional below the minimum",
    "130006": "too many contracts", "130021": "order cost cannot be afforded", "130074": "trigger price",
    "181017": "the order must be final", "182021": "no spot margin in isolated mode",
    "3100181": "no user id", "3100197": "account upgrade in progress", "3200320": "institutional loan: being liquidated",
    "3200403": "isolated margin cannot create the order", "3400045": "margin mode could not be set",
    "3400139": "over the risk limit",
    # transfers
    "131001": "balance does not cover the fee", "131002": "parameter error", "131004": "KYC needed",
    "131202": "no such member", "131203": "parameter error", "131204": "account information", "131205": "query",
    "131207": "no such account", "131208": "transfer forbidden", "131209": "sub-member relation",
    "131210": "amount too precise", "131211": "from and to are the same", "131212": "balance insufficient",
    "131213": "loan to value", "131215": "amount", "131216": "balance cannot be read", "131217": "risk check",
    "131227": "coin", "131228": "balance insufficient", "131231": "no transfers into this account",
    "131232": "no transfers out of this account",
    # spot
    "170010": "leveraged tokens: position limit", "170011": "innovation tokens: position limit",
    "170019": "innovation tokens: position limit", "170031": "suspended",
    "170033": "margin balance insufficient", "170034": "liability overflow", "170036": "no cross margin",
    "170037": "no cross margin for the coin",
    "170105": "a parameter is empty",
    "170115": "timeInForce", "170116": "orderType", "170117": "side", "170121": "no such symbol",
    "170124": "amount too large",
    "170130": "a parameter is not valid",
    "170131": "balance insufficient",
    "170132": "price too high", "170133": "price below the minimum", "170134": "price has too many decimals",
    "170135": "quantity too large", "170136": "quantity below the minimum", "170137": "quantity has too many decimals",
    "170140": "amount below the minimum",
    "170144": "the order is locked", "170145": "no canceling of this type",
    "170148": "market amount has too many decimals",
    "170151": "symbol not open yet", "170157": "symbol not for the API", "170159": "no market orders in the first minutes",
    "170191": "cannot be canceled now: try later",
    "170192": "price too high", "170193": "buy price too high", "170194": "sell price too low",
    "170195": "ETP buy price", "170196": "ETP sell price",
    "170197": "buy quantity too large for the market", "170198": "sell quantity too large for the market",
    "170199": "buy quantity too large for the NAV", "170200": "sell quantity too large for the NAV",
    "170201": "account restricted, or orderFilter", "170202": "orderFilter, or no TP/SL price", "170203": "trigger price too high",
    "170204": "trigger price", "170206": "trigger price, or no stop limit in the first minutes", "170207": "loan amount",
    "170209": "symbol not for the region",
    "170210": "new order rejected",
    "170215": "institutional loan: no buying", "170216": "institutional loan: leverage", "170217": "LIMIT-MAKER alone",
    "170218": "LIMIT-MAKER at an invalid price", "170219": "not available to the user",
    "170220": "institutional loan: no spot trading", "170221": "no such coin",
    "170223": "institutional loan: alert or liquidation", "170224": "no user of the innovation zone",
    "170226": "being liquidated", "170227": "not supported", "170228": "buy amount too large",
    "170229": "sell quantity too large", "170230": "institutional loan: no margin trading",
    "170241": "risk disclosure to be confirmed", "170312": "the order cannot be modified",
    "170313": "new quantity must not be below what is filled", "170341": "quantity over the maximum",
    "170344": "loan limit of the symbol", "170371": "price too low", "170372": "price too high",
    "170709": "institutional loan: symbol",
    "170810": "too many orders of the account", "170811": "too many orders of the symbol",
    **{f"{code}": "spot margin" for code in (*range(176002, 176041), *range(176132, 176140))},
}
# fmt: on

SAID: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.AUTH_FATAL: _AUTH_FATAL,
    Kind.THROTTLED: _THROTTLED,
    Kind.NOT_FOUND: _NOT_FOUND,
    Kind.ALREADY_DONE: _ALREADY_DONE,
    Kind.UNKNOWN: _UNKNOWN,
    Kind.REJECTED: _REJECTED,
}
"""Every code there is a meaning for, with what the exchange says."""

MEANINGS: Final[Meanings] = {code: (("", kind),) for kind, codes in SAID.items() for code in codes}


class _Answer(msgspec.Struct):
    retCode: int
    retMsg: str = ""


_read = msgspec.json.Decoder(_Answer).decode

_STATUSES: Final = {401, 403, 404}
"""What comes from in front of the exchange, without a code of its own."""


def refusal(status: int, body: str) -> tuple[str, str] | None:
    """Code and message of a refusal; the status is the code where the body has none."""
    try:
        answer = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return (str(status), "refused in front of the exchange") if status in _STATUSES else None
    return None if answer.retCode == 0 else (str(answer.retCode), answer.retMsg)
