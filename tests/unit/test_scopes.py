"""Scopes as text, in parts, and as tokens of a subject."""

import pytest

from oms.messages.codes import Code, Refused
from oms.messages.scopes import GLOBAL, Scope, ScopeKind, parse_scope, scope_tokens


@pytest.mark.parametrize(
    "text, scope, tokens",
    [
        ("global", GLOBAL, "_._._._"),
        ("exchange:binance", Scope(ScopeKind.EXCHANGE, "binance"), "binance._._._"),
        ("account:sub_arb", Scope(ScopeKind.ACCOUNT, "sub_arb"), "_.sub_arb._._"),
        ("strategy:arbitrage", Scope(ScopeKind.STRATEGY, "arbitrage"), "_._._._"),
        ("strategy:my own: v1.2", Scope(ScopeKind.STRATEGY, "my own: v1.2"), "_._._._"),
        ("strategy:", Scope(ScopeKind.STRATEGY, ""), "_._._._"),
        (
            "instrument:okx.futures.BTC-USDT-SWAP",
            Scope(ScopeKind.INSTRUMENT, "okx.futures.BTC-USDT-SWAP"),
            "okx._.futures.BTC-USDT-SWAP",
        ),
        ("exchange:*", Scope(ScopeKind.EXCHANGE, "*"), "_._._._"),
        ("account:*", Scope(ScopeKind.ACCOUNT, "*"), "_._._._"),
        ("strategy:*", Scope(ScopeKind.STRATEGY, "*"), "_._._._"),
        ("instrument:*", Scope(ScopeKind.INSTRUMENT, "*"), "_._._._"),
    ],
)
def test_a_scope_is_read_and_written_alike(text: str, scope: Scope, tokens: str) -> None:
    """Every kind of scope is read from its text, written as the same text, and names its places in a subject."""
    assert parse_scope(text) == scope
    assert str(scope) == text
    assert ".".join(scope_tokens(scope)) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Global",
        "global:",
        "global:x",
        "account",
        "account:",
        "account:_",
        "account:a.b",
        "account:a b",
        "account:>",
        "account:**",
        "account:" + "a" * 33,
        "exchange:",
        "exchange:bin*",
        "desk:one",
        ":one",
        "strategy",
        "strategy:" + "s" * 33,
        "instrument:binance.spot",
        "instrument:binance.spot.BTC.USDT",
        "instrument:binance.spot._",
        "instrument:..",
        "instrument:binance.*.BTCUSDT",
        " global",
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    """A text that is no scope is refused with SCOPE_INVALID, and the answer says what it was."""
    with pytest.raises(Refused) as refused:
        parse_scope(text)
    assert refused.value.code is Code.SCOPE_INVALID
    assert repr(text[:200]) in refused.value.message
