"""Known: the names of a question held against a state, so that a misspelt account does not look like one without orders. Pure."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from oms.aggregates.partition import Partition
from oms.messages.codes import Code, Refused
from oms.messages.subjects import ANY, Subject

MOST_NAMED: Final = 20


def check_names(state: Partition, subject: Subject, when: str = "") -> None:
    """Hold the account, exchange, market and symbol of a question against those there are; ``_`` means any.

    Args:
        when: said behind the name, such as `` at that moment``.

    Raises:
        Refused: ACCOUNT_UNKNOWN, INSTRUMENT_UNKNOWN, with those that are known.
    """
    exchange, market, symbol = subject.exchange, subject.market, subject.symbol
    _check(Code.ACCOUNT_UNKNOWN, "account", subject.account, state.accounts, when)
    if exchange == market == symbol == ANY:
        return
    places = {*state.venues, *((key[0], key[2]) for key in state.ledgers)}
    # By the name of a wallet that markets share, too: balances are asked for by it.
    places.update((key[0], key[2]) for key in state.wallets)
    _check(Code.INSTRUMENT_UNKNOWN, "exchange", exchange, (each for each, _ in places), when)
    markets = (each for at, each in places if exchange in (ANY, at))
    _check(Code.INSTRUMENT_UNKNOWN, "market", market, markets, when)
    if symbol != ANY and (exchange, market, symbol) not in state.instruments:
        symbols = (
            key[2] for key in state.instruments if exchange in (ANY, key[0]) and market in (ANY, key[1])
        )
        _check(Code.INSTRUMENT_UNKNOWN, "symbol", symbol, symbols, when)


def _check(code: Code, what: str, name: str, known: Iterable[str], when: str) -> None:
    if name == ANY:
        return
    names = sorted(set(known))
    if name in names:
        return
    # Of many, those that stand where it would: what is misspelt mostly begins as it should.
    first = max(0, min(bisect_left(names, name) - MOST_NAMED // 2, len(names) - MOST_NAMED))
    named = ", ".join(names[first : first + MOST_NAMED]) or "none"
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    raise Refused(code, f"no {what} {name[:64]!r}{when}, known: {named}{more}")
