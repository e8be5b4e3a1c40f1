"""Moments: a point of the journal, named by a sequence or by a time."""

import datetime
import re
from typing import Final

import attrs

FIRST_TIME: Final = 10**15
"""Integers from here on are UTC nanoseconds, those below are sequences. As a time it is the twelfth day of 1970."""
LAST_TIME: Final = 2**63 - 1
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FRACTION: Final = re.compile(r"(.*[T ](?:\d\d:\d\d:\d\d|\d{6}))[.,](\d{1,9})(Z|[+-][0-9:]+)?", re.ASCII)
"""A time with a fraction of a second: what stands before it, up to nine digits, the zone."""


@attrs.frozen
class Moment:
    """After a frame, or at a time: then after every commit whose time is not later. One of the two is given.

    Args:
        time: UTC ns.
    """

    sequence: int | None = None
    time: int | None = None

    def __str__(self) -> str:
        return f"sequence {self.sequence:,}" if self.time is None else iso(self.time)


def parse_moment(text: str) -> Moment:
    """Read a moment: a sequence, UTC nanoseconds, or ISO 8601.

    Raises:
        ValueError: it is none of them.
    """
    if text.isascii() and text.isdigit():
        number = int(text)
        return Moment(sequence=number) if number < FIRST_TIME else Moment(time=_bounded(number, text))
    return Moment(time=parse_time(text))


def parse_time(text: str) -> int:
    """Read UTC nanoseconds or ISO 8601 to the nanosecond, taken as UTC when it names no zone, as UTC ns.

    Raises:
        ValueError: it is neither, or lies outside of 1970 to 2262.
    """
    if text.isascii() and text.isdigit():
        return _bounded(int(text), text)
    fraction = _FRACTION.fullmatch(text)
    # The standard library reads microseconds and drops the rest.
    whole, digits = (text, "") if fraction is None else (fraction[1] + (fraction[3] or ""), fraction[2])
    try:
        if "." in whole or "," in whole:
            raise ValueError(whole)
        moment = datetime.datetime.fromisoformat(whole)
    except ValueError:
        raise ValueError(
            f"must be nanoseconds or ISO 8601 such as 2026-11-21T03:00:00.000000001Z, was {text!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return _bounded(seconds * 10**9 + int(digits.ljust(9, "0")), text)


def _bounded(time: int, text: str) -> int:
    if not 0 <= time <= LAST_TIME:
        raise ValueError(f"must be between 1970 and 2262, was {text!r}")
    return time


def iso(time: int) -> str:
    """A time in UTC nanoseconds as ISO 8601 with all nine places, such as ``2026-11-21T03:00:00.000000001Z``."""
    second, rest = divmod(time, 10**9)
    return f"{_EPOCH + datetime.timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
