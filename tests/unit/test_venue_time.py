"""The venue's time: what its answers say about it, and what of that is taken."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from oms.venues.venue_time import AHEAD_MS, PRECISE_MS, READINGS, Difference, Reading, learn

delays = st.integers(0, 20_000)


def reading(at: int, ahead: int, there: int, back: int) -> Reading:
    """What is read when it is ``at`` at the venue and our clock is ``ahead`` of its, with that long there and back, in ms."""
    return Reading(asked=at - there + ahead, server=at, heard=at + back + ahead)


@given(
    st.integers(-(10**8), 10**8), st.lists(st.tuples(delays, delays), min_size=READINGS, max_size=READINGS)
)
def test_the_truth_is_within_the_bounds(ahead: int, ways: list[tuple[int, int]]) -> None:
    """However slow the answers are: and what is taken never puts our timestamps further ahead than venues allow."""
    answers = [reading(10**12 + 30_000 * n, ahead, *way) for n, way in enumerate(ways)]
    asked = []

    async def ask() -> Reading:
        asked.append(answers[len(asked)])
        return asked[-1]

    known = asyncio.run(learn(ask))
    assert known.low <= ahead <= known.high
    # A timestamp is our time less the difference: how far it is ahead of the venue's.
    assert ahead - known.taken <= min(AHEAD_MS, (known.high - known.low + 1) // 2)
    if known.precise:
        assert abs(ahead - known.taken) <= PRECISE_MS
    quick = [there + back < PRECISE_MS for there, back in ways]
    if True in quick:
        assert known.precise
        assert len(asked) <= quick.index(True) + 1
    else:
        assert known.precise or len(asked) == READINGS


def test_a_quick_answer_is_enough() -> None:
    assert Difference.of(reading(10**12, 700, 20, 20)).precise
    assert abs(Difference.of(reading(10**12, 700, 20, 20)).taken - 700) <= 1


def test_a_clock_set_in_between() -> None:
    """Answers that contradict each other: the later one counts."""
    before = Difference.of(reading(10**12, 0, 100, 100))
    after = Difference.of(reading(10**12 + 1_000, 60_000, 100, 100))
    assert before.narrowed(after) == after
