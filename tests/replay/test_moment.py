"""Moments as people and programs write them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.asking.moment import FIRST_TIME, LAST_TIME, Moment, iso, parse_moment, parse_time


@pytest.mark.parametrize(
    "text, moment",
    [
        ("0", Moment(sequence=0)),
        ("81", Moment(sequence=81)),
        (str(FIRST_TIME - 1), Moment(sequence=FIRST_TIME - 1)),
        (str(FIRST_TIME), Moment(time=FIRST_TIME)),
        ("1795233600000000001", Moment(time=1_795_233_600_000_000_001)),
        ("2026-11-21", Moment(time=1_795_219_200 * 10**9)),
        ("2026-11-21T04:00:00", Moment(time=1_795_233_600 * 10**9)),
        ("2026-11-21 04:00", Moment(time=1_795_233_600 * 10**9)),
        ("2026-11-21T04:00:00Z", Moment(time=1_795_233_600 * 10**9)),
        ("2026-11-21T05:00:00+01:00", Moment(time=1_795_233_600 * 10**9)),
        ("2026-11-21T04:00:00.000000001Z", Moment(time=1_795_233_600_000_000_001)),
        ("2026-11-21T04:00:00,5+00:00", Moment(time=1_795_233_600_500_000_000)),
        ("20261121T040000.123456789", Moment(time=1_795_233_600_123_456_789)),
    ],
)
def test_a_moment_is_a_sequence_or_a_time(text: str, moment: Moment) -> None:
    """Integers below 10^15 are sequences, above them nanoseconds; ISO 8601 is UTC unless it names a zone."""
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "noon",
        "1e3",
        "٣",
        "2026-13-01",
        "2026-11-21T25:00",
        "1969-12-31",
        "2300-01-01",
        str(LAST_TIME + 1),
        "2026-11-21T04.5",
        "2026-11-21T04:00:00.1234567890",
        "2026-11-21_04:00:00.123456789",
        "0001-01-01T00:00+23:59",
    ],
)
def test_what_is_no_moment_is_refused_and_shown(text: str) -> None:
    """Anything else is a ValueError that says what was got; a fraction is never cut short."""
    with pytest.raises(ValueError, match="must be"):
        parse_moment(text)


@given(st.integers(0, LAST_TIME))
def test_a_time_survives_being_written(time: int) -> None:
    """What ``iso`` writes is read back to the nanosecond."""
    assert parse_time(iso(time)) == time


@given(
    st.integers(10**15, 9 * 10**15),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: datetime.timedelta(minutes=minutes)),
)
def test_zones_are_taken_into_account(micros: int, offset: datetime.timedelta) -> None:
    """A time written in any zone is the same UTC time."""
    utc = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=micros)
    zoned = utc.astimezone(datetime.timezone(offset))
    assert parse_time(zoned.isoformat()) == micros * 1_000


@given(st.text(max_size=40) | st.from_regex(r"[0-9T:.,Z+\- ]{1,35}", fullmatch=True))
def test_any_text_is_a_moment_or_a_value_error(text: str) -> None:
    """No text whatever raises anything else."""
    try:
        moment = parse_moment(text)
    except ValueError:
        return
    assert (moment.sequence is None) is not (moment.time is None)
