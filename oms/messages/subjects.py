"""Subjects: ``{action}.{exchange}.{account}.{market}.{symbol}``. A token that does not apply is ``_``."""

from functools import lru_cache
from typing import NamedTuple

from oms.messages.codes import Code, Refused

ANY = "_"


class Subject(NamedTuple):
    """A subject in parts. ``_`` stays ``_``."""

    action: str
    exchange: str
    account: str
    market: str
    symbol: str

    def __str__(self) -> str:
        return ".".join(self)


@lru_cache(maxsize=8_192)
def parse_subject(subject: str) -> Subject:
    """Split a subject.

    Raises:
        Refused: SUBJECT_INVALID when it has not five tokens.
    """
    tokens = subject.split(".")
    if len(tokens) != 5 or not all(tokens):
        raise Refused(
            Code.SUBJECT_INVALID,
            f"subject must be verb.exchange.account.market.symbol, was {subject[:200]!r}",
        )
    return Subject._make(tokens)
