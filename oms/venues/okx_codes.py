"""How OKX says no: its documented codes and what each means for a request. One that is not here means UNKNOWN."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from oms.venues.dialect import Dialect, Meanings
from oms.venues.errors import Kind

RETRY_AFTER_S: Final = 2.0
"""OKX counts by two seconds and tells nothing of when there is room again."""
CLOCK_CODES: Final = ("50102", "50036")
"""Our clock and the venue's have parted."""

_Codes = Iterable[int]


def _until(first: int, last: int) -> range:
    return range(first, last + 1)


# fmt: off
_AUTH_FATAL: Final[tuple[_Codes, ...]] = (
    (50100, 50101),                                # the key is frozen, or is of the demo environment
    (*_until(50103, 50107),),                      # a header is missing, or the passphrase is wrong
    (50110, 50111, 50113, 50114),                  # address not allowed, key or signature not valid
    (50119, 50120, 50121),                         # no such key, no permission, address refused
)

_THROTTLED: Final[tuple[_Codes, ...]] = (
    (50011, 50013, 50040),                         # too many requests, systems are busy, too frequent
    (50061,),                                      # too many orders of the account in two seconds
    (51113, 51115, 58102),                         # too many closings at market, too many transfers
)

_ALREADY_DONE: Final[tuple[_Codes, ...]] = (
    (51400, 51401, 51402, 51405),                  # cancel: filled, canceled or not there
    (51410, 51416),                                # cancel: being canceled or settled, triggered
    (51503, 51509, 51510),                         # amend: filled or canceled already
)

_NOT_FOUND: Final[tuple[_Codes, ...]] = (
    (51603,),                                      # order does not exist
)

_UNKNOWN: Final[tuple[_Codes, ...]] = (
    (50001, 50004, 50026, 51054, 51149),           # in the venue's words: neither success nor failure
    (50042, 50071, 51016, 58404),                  # the id is in use: what stands there has to be seen
    (58007, 58112, 58124),                         # the transfer failed, or is being processed
)

_REJECTED: Final[tuple[_Codes, ...]] = (
    (4088,),                                       # identity has to be verified again
    # 50000: general
    (50000, 50002, *_until(50005, 50010), 50012),  # malformed, endpoint gone, account blocked or frozen
    (*_until(50014, 50025),),                      # parameters; frozen by ADL, liquidation or funding
    (*_until(50027, 50030), 50032, 50033, 50035),  # restricted: account, asset, instrument, endpoint
    (50036, 50037),                                # past the deadline that we sent: refused at the door
    (50038, 50039, 50041, *_until(50044, 50053)),  # demo trading, paging, allow list, compliance
    (*_until(50055, 50060), *_until(50062, 50064), 50067, 50069, 50072, 50075, 50076, 50077),
    (50102, 50112),                                # the timestamp is stale or no timestamp
    (50108, 50109, 50115, 50116, 50118, 50122),    # unknown broker, wrong method, amount too small
    # 51000: orders
    (*_until(51000, 51012), 51014, 51015),         # parameters, instrument, size, price limit, funds
    (*_until(51017, 51044),),                      # loan, minimum, not listed, suspended, blocked, settled
    (*_until(51046, 51053), *_until(51055, 51059), 51063, 51065, 51066),   # attached stops, bots
    (*_until(51068, 51096), *_until(51098, 51112), 51116, 51117),          # leading, counts, sizes
    (*_until(51118, 51140), *_until(51142, 51144), 51147, 51148, 51150),   # lot, price, balance, closing
    (*_until(51152, 51156), 51158, 51159, *_until(51162, 51171), *_until(51173, 51182)),
    (*_until(51185, 51187), *_until(51192, 51197), *_until(51201, 51207)),  # value, leverage, call auction
    (*_until(51209, 51214), *_until(51220, 51226)),                        # orders that reduce delta alone
    (*_until(51250, 51265), *_until(51267, 51295), *_until(51298, 51300)),  # algo orders
    (*_until(51302, 51313), 51317, *_until(51320, 51333), *_until(51340, 51359), 51370),
    (*_until(51380, 51399),),                      # bots
    (51403, 51404, *_until(51406, 51409), 51411, 51413, 51415),            # cancels that cannot be
    (*_until(51500, 51502), *_until(51505, 51508), *_until(51511, 51514)),  # amends that cannot be
    (*_until(51521, 51532), *_until(51536, 51539), 51543),
    (*_until(51600, 51602), *_until(51604, 51608), 51610, 51611, 51620, 51621, 51625),  # queries
    (*_until(51732, 51735), 51736, *_until(51763, 51774), *_until(51820, 51825), 52000),
    # 54000: margin, reduce-only contracts, collateral, enhanced liquidity
    (54000, 54001, *_until(54004, 54009), 54011, 54012, 54018, 54019, *_until(54024, 54031), 54035, 54036),
    (*_until(54039, 54049), *_until(54070, 54075), 54078, 54079, 54092, 54094),
    # 58000: transfers
    (*_until(58002, 58006), *_until(58008, 58016), 58100, 58101),          # currency, account, suspended
    (*_until(58103, 58107), 58110, 58111, *_until(58113, 58117)),          # risk control, funding, amount
    (*_until(58119, 58123),),
    (*_until(58125, 58129), 58131, 58132, 58350),  # not between these accounts, not enough
    # 59000: settings
    (59000, 59001, 59002, *_until(59004, 59006), *_until(59101, 59114)),   # leverage
    (*_until(59132, 59139), *_until(59200, 59202), *_until(59300, 59303)),  # switching, margin
    (59401, 59402, *_until(59500, 59510), 59512, *_until(59515, 59529), 59550),
    (59668, 59669, 59670, 59678, 59679, 59683, 59684, 59686, 59692, 59693),
)
# fmt: on


def _meanings() -> Iterator[tuple[str, tuple[tuple[str, Kind], ...]]]:
    tables = {
        Kind.AUTH_FATAL: _AUTH_FATAL,
        Kind.THROTTLED: _THROTTLED,
        Kind.ALREADY_DONE: _ALREADY_DONE,
        Kind.NOT_FOUND: _NOT_FOUND,
        Kind.UNKNOWN: _UNKNOWN,
        Kind.REJECTED: _REJECTED,
    }
    for kind, rows in tables.items():
        for codes in rows:
            for code in codes:
                yield str(code), (("", kind),)
    # One code for two things.
    yield "51412", (("Cancellation timed out", Kind.UNKNOWN), ("", Kind.ALREADY_DONE))


MEANINGS: Final[Meanings] = dict(_meanings())
"""Sub-codes (``51008_1000``) mean what their code means."""


def refusal(status: int, body: str) -> tuple[str, str] | None:
    """Code and message of a refusal. That of the one order or setting asked about counts more than that of the batch."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict) or "code" not in found:
        return None
    code, message = str(found["code"]), str(found.get("msg") or "")
    rows = found.get("data")
    row = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(row, dict) and row.get("sCode") not in (None, "", "0"):
        code, message = str(row["sCode"]), str(row.get("sMsg") or "")
    code = code.partition("_")[0]
    return None if code == "0" else (code, message)


DIALECT: Final = Dialect(
    refusal=refusal,
    meanings=MEANINGS,
    retry_after=lambda status, headers: RETRY_AFTER_S,
    # It counts by user: a 429 is of one account.
    shut_out=frozenset({418}),
)
