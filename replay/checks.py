"""Checks: what each commit made of the entities it touched, in two bytes an entity. The archive holds them beside the frames.

They were computed by the code that ran when the frame was written. Whoever replays the frame later with other code, and
comes to another state, finds the very commit and entity at which it did, and not only the seal behind it.
"""

from collections.abc import Iterator
from typing import Final

from oms.aggregates.partition import Partition

WIDTH: Final = 2
"""Bytes of an entity's SHA-256 that are kept: one divergence in 65,536 is seen only at the next commit that touches the entity."""


def checks_of(partition: Partition) -> bytes:
    """The checks of the commit that was just applied; the state's digest takes it in."""
    hashes = partition.fold()
    return _varint(len(hashes)) + b"".join([each[:WIDTH] for each in hashes])


def split_checks(checks: bytes) -> Iterator[list[bytes]]:
    """The checks of a frame, commit by commit.

    Raises:
        ValueError: the bytes are not checks.
    """
    place = 0
    while place < len(checks):
        count = shift = 0
        while True:
            if place >= len(checks):
                raise ValueError("checks end within a number")
            byte = checks[place]
            place += 1
            count |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        end = place + count * WIDTH
        if end > len(checks):
            raise ValueError(f"checks end after {len(checks)} bytes, {end} are needed")
        yield [checks[at : at + WIDTH] for at in range(place, end, WIDTH)]
        place = end


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
