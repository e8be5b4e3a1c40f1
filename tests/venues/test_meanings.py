"""What a failed request means is read from what the venue said, and from nothing else."""

from typing import Any

import ccxt
import pytest

from oms.venues.binance_spot import DIALECT, MEANINGS
from oms.venues.credentials import CredentialsMissing, EnvironmentCredentials, Key
from oms.venues.dialect import Call
from oms.venues.errors import Kind


@pytest.mark.parametrize(
    "begun,status,body,kind",
    [
        (False, None, "", Kind.NOT_SENT),
        (True, None, "", Kind.UNKNOWN),
        (True, 200, '{"symbol":"BTC', Kind.UNKNOWN),
        (True, 502, "<html>", Kind.UNKNOWN),
        (True, 503, '{"code":-1008,"msg":"Server is currently overloaded"}', Kind.UNKNOWN),
        (True, 408, '{"code":-1007,"msg":"Timeout waiting for response"}', Kind.UNKNOWN),
        (True, 400, '{"code":-1006,"msg":"An unexpected response was received"}', Kind.UNKNOWN),
        (True, 400, '{"code":-9999,"msg":"never heard of"}', Kind.UNKNOWN),
        (True, 403, "<html>", Kind.UNKNOWN),
        (True, 429, '{"code":-1003,"msg":"Too much request weight used"}', Kind.THROTTLED),
        (True, 418, "", Kind.THROTTLED),
        (True, 400, '{"code":-1015,"msg":"Too many new orders"}', Kind.THROTTLED),
        (True, 400, '{"code":-1013,"msg":"Filter failure: LOT_SIZE"}', Kind.REJECTED),
        (True, 400, '{"code":-1021,"msg":"Timestamp for this request"}', Kind.REJECTED),
        (True, 400, '{"code":-2010,"msg":"Account has insufficient balance"}', Kind.REJECTED),
        (True, 400, '{"code":-2010,"msg":"Duplicate order sent."}', Kind.UNKNOWN),
        (True, 400, '{"code":-2011,"msg":"Unknown order sent."}', Kind.ALREADY_DONE),
        (True, 400, '{"code":-2011,"msg":"Order was not canceled due to"}', Kind.REJECTED),
        (True, 400, '{"code":-2013,"msg":"Order does not exist."}', Kind.NOT_FOUND),
        (True, 401, '{"code":-2015,"msg":"Invalid API-key"}', Kind.AUTH_FATAL),
        (True, 401, '{"code":-2008,"msg":"Invalid Api-Key ID."}', Kind.AUTH_FATAL),
        (True, 400, '{"code":-1022,"msg":"Signature for this request is not valid."}', Kind.AUTH_FATAL),
    ],
)
def test_meaning(begun: bool, status: int | None, body: str, kind: Kind) -> None:
    """Only what the venue refused in so many words did not happen; everything unmapped is unknown."""
    call = Call(begun=begun, status=status, body=body)
    assert DIALECT.meaning(call, ccxt.ExchangeError("quotes the signed address"))[0] is kind


def test_no_reason_shows_a_signed_address() -> None:
    """Once a request was begun, its reason holds the venue's words and never those of ccxt, which quote the address."""
    error = ccxt.RequestTimeout("binance GET https://api.binance.com/api/v3/order?signature=0123")
    for status, body in ((None, ""), (500, ""), (400, '{"code":-1,"msg":"x"}')):
        assert "signature" not in DIALECT.meaning(Call(True, status, body=body), error)[1]


def test_every_code_has_a_meaning_for_any_message() -> None:
    """The last rule of every code matches all messages: no refusal falls through by its wording."""
    for code, rules in MEANINGS.items():
        assert int(code) < 0
        assert rules[-1][0] == "", code


def test_keys_come_from_the_environment_and_are_not_shown() -> None:
    """A key is found by exchange and account, its absence says what to set, and nothing prints it."""
    environment: dict[str, Any] = {
        "MEXOMS_BINANCE_SUB_ARB_KEY": "public",
        "MEXOMS_BINANCE_SUB_ARB_SECRET": "secret",
    }
    credentials = EnvironmentCredentials(environment)
    assert credentials.key("binance", "spot", "sub_arb") == Key("public", "secret")
    assert "secret" not in f"{credentials} {credentials.key('binance', 'spot', 'sub_arb')}"
    with pytest.raises(CredentialsMissing, match="MEXOMS_BINANCE_MAIN_KEY"):
        credentials.key("binance", "spot", "main")
