"""Releases: which comes after which."""

import pytest

from oms.code import is_newer

_IN_ORDER = [
    ("", "x.y"),
    ("0.2", "0.2.0.dev1", "0.2.0", "0.2.0+local"),
    ("0.2.1rc1", "0.2.1"),
    ("0.9.9",),
    ("0.10.0",),
    ("1.0", "1.0.0"),
]


@pytest.mark.parametrize("place, versions", list(enumerate(_IN_ORDER)))
def test_three_numbers_say_which_release_is_newer(place: int, versions: tuple[str, ...]) -> None:
    """Numbers are compared as such; missing ones are 0, and what is made on the way to a release counts as it."""
    for version in versions:
        for other_place, others in enumerate(_IN_ORDER):
            assert {is_newer(version, other) for other in others} == {place > other_place}
