"""Scopes: whom a limit or a latch is about, as text, in parts, and as the tokens of a subject.

==========================================  ==================================  ====================
text                                        about                               tokens
==========================================  ==================================  ====================
``global``                                  everything                          ``_._._._``
``exchange:binance``                        an exchange                         ``binance._._._``
``account:sub_arb``                         an account                          ``_.sub_arb._._``
``strategy:arbitrage``                      a strategy; ``strategy:`` is what   ``_._._._``
                                            is traded without one
``instrument:binance.spot.BTCUSDT``         an instrument, in all accounts      ``binance._.spot.BTCUSDT``
``exchange:*`` and so on, of limits alone   each that says nothing of its own   ``_._._._``
==========================================  ==================================  ====================
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from oms.messages.codes import Code, Refused
from oms.messages.subjects import ANY

EACH: Final = "*"
"""The name that stands for each of a kind which has no limit of its own."""
MAX_STRATEGY: Final = 32

_word = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch


class ScopeKind(StrEnum):
    """What a scope takes together. In this order from the widest on."""

    GLOBAL = "global"
    EXCHANGE = "exchange"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"


class Scope(NamedTuple):
    """A scope in parts; ``str`` of it is its text.

    Args:
        name: empty for global, ``*`` for each of the kind, ``exchange.market.symbol`` of an instrument.
    """

    kind: ScopeKind
    name: str = ""

    def __str__(self) -> str:
        return self.kind.value if self.kind is ScopeKind.GLOBAL else f"{self.kind.value}:{self.name}"

    @property
    def is_each(self) -> bool:
        """Whether it stands for each of its kind."""
        return self.name == EACH


Tokens = tuple[str, str, str, str]
"""(exchange, account, market, symbol) of a subject; ``_`` where the scope says nothing of it."""

GLOBAL: Final = Scope(ScopeKind.GLOBAL)
_KINDS: Final = {kind.value: kind for kind in ScopeKind}


@lru_cache(maxsize=8_192)
def parse_scope(text: str) -> Scope:
    """Read a scope. Whether there is such an exchange, account or instrument is not asked here.

    Raises:
        Refused: SCOPE_INVALID when it is not written as one.
    """
    if text == ScopeKind.GLOBAL:
        return GLOBAL
    word, colon, name = text.partition(":")
    kind = _KINDS.get(word)
    if kind is None or kind is ScopeKind.GLOBAL or not colon:
        raise _invalid(
            "a scope is global, exchange:NAME, account:NAME, strategy:NAME or instrument:EXCHANGE.MARKET.SYMBOL",
            text,
        )
    if name == EACH:
        return Scope(kind, EACH)
    if kind is ScopeKind.STRATEGY:
        # What an order may call its strategy is free text, and so is this.
        if len(name) > MAX_STRATEGY:
            raise _invalid(f"a strategy's name has at most {MAX_STRATEGY} characters", text)
        return Scope(kind, name)
    parts = name.split(".") if kind is ScopeKind.INSTRUMENT else [name]
    if not all(_word(part) and part != ANY for part in parts):
        raise _invalid("a name is 1 to 32 letters, digits, '_' and '-', and not '_' alone", text)
    if kind is ScopeKind.INSTRUMENT and len(parts) != 3:
        raise _invalid("an instrument is instrument:EXCHANGE.MARKET.SYMBOL", text)
    return Scope(kind, name)


def scope_tokens(scope: Scope) -> Tokens:
    """The subject's tokens that agree with a scope: permission to publish there is permission to speak of it."""
    if scope.name != EACH:
        if scope.kind is ScopeKind.EXCHANGE:
            return scope.name, ANY, ANY, ANY
        if scope.kind is ScopeKind.ACCOUNT:
            return ANY, scope.name, ANY, ANY
        if scope.kind is ScopeKind.INSTRUMENT:
            exchange, market, symbol = scope.name.split(".")
            return exchange, ANY, market, symbol
    return ANY, ANY, ANY, ANY


def _invalid(rule: str, text: str) -> Refused:
    return Refused(Code.SCOPE_INVALID, f"{rule}, was {text[:200]!r}")
