"""How Binance USD-M futures says no: its documented codes and what each means. One that is not here means UNKNOWN.

Deliberately not here: -1000, -1001, -1006, -1007, -1008, -1010 and -1016 (the venue itself does not know, or is
overloaded).
"""

from typing import Final

from oms.venues.binance_wallets import REFUSED_TRANSFERS
from oms.venues.dialect import Meanings
from oms.venues.errors import Kind


def _all(kind: Kind, *codes: int) -> dict[str, tuple[tuple[str, Kind], ...]]:
    return {f"-{code}": (("", kind),) for code in codes}


def _until(first: int, last: int) -> range:
    return range(first, last + 1)


# fmt: off
MEANINGS: Final[Meanings] = {
    **_all(
        Kind.AUTH_FATAL,
        1002, 1022, 1099,             # not authorized, signature not valid, not found or authenticated
        1005, 1011,                   # address not on the allow list, or kept from this route
        2008, 2014, 2015, 2017,       # no such key; key format; key, address or permissions; keys locked
        4056, 4057,                   # key type, public key
    ),
    **_all(Kind.THROTTLED, 1003, 1015),  # too much request weight or banned, too many orders
    **_all(
        Kind.REJECTED,
        1004, 1013, 1014, 1020,       # address listed already, invalid message, order composition, unsupported operation
        1021, 1023, 5028,             # timestamp outside recvWindow, at the door and at the matching engine; times reversed
        *_until(1100, 1106),          # malformed, missing or superfluous parameters
        *_until(1108, 1122),          # asset, account, precision, depth, time in force, type, side, ids, interval, symbol
        1125,                         # no such listen key
        1126, 1127, 1128, 1130, 1131, 1136,  # combinations and values of parameters
        2010, 2012, 2016,             # order refused, cancel-all failed, no trading window
        2018, 2019, 2024,             # insufficient balance, margin, position
        2020, 2021, 2022,             # cannot be filled, would trigger, nothing to reduce
        2023, 2025, 2026,             # being liquidated, too many open orders, type not for reduce-only
        2027, 2028,                   # position too large for the leverage, leverage too small for the margin
        *_until(4000, 4033),          # filters: price, quantity, tick, step, multipliers; leverage of -4028
        4044, 4045, 4047, 4048,       # balance type, stop orders, margin type with open orders or a position
        *_until(4049, 4055),          # isolated margin
        *_until(4058, 4062),          # price too large, position side and its mode, aggregation interval
        *_until(4063, 4082), 4084, 4085,  # options, position side, size of a batch, not supported, limits
        4087, 4088,                   # account may only reduce, or not trade
        4104, 4109, 4114, 4115,       # contract type, inactive account, transfer id
        4117, 4118, 4120,             # stop is triggering, margin of reduce-only, type belongs to the algo service
        *_until(4130, 4144),          # stop orders at the same place, best price, activation, closed symbols, pairs
        4161, 4164, 4165, 4166,       # leverage of an isolated position, notional too small, interval, over 90 days ago
        *_until(4167, 4172),          # multi-assets mode
        4183, 4184, 4192,             # stop multipliers, cooling-off
        4202, 4203, 4205, 4206, 4208, 4209,  # leverage by verification, account age, country, position limit
        4210, 4211,                   # price multipliers
        *_until(4400, 4403),          # quantitative rules, compliance
        4531,                         # position mode of both kinds of futures
        5021, 5022,                   # FOK not filled at once, post-only would take
        5024, 5025, 5026,             # amend: symbol halted, only limit orders, amended too often
        *_until(5037, 5041), 5047,    # price match, self-trade prevention, good-till date, reduce-only of an amend
    ),
    **_all(
        Kind.ALREADY_DONE,
        2011,                         # cancel: not open
        4046,                         # the margin mode stands
        5027,                         # amend: it has these terms
    ),
    **_all(Kind.NOT_FOUND, 2013),     # order does not exist
    "-4116": (("", Kind.UNKNOWN),),   # the client id is open at the venue: what stands there has to be seen
    **REFUSED_TRANSFERS,
}
# fmt: on
