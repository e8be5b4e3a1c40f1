"""Lists in pages, newest first: the cursor says behind which row the next page begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote

from .errors import ApiError, bad_param
from .params import Params

T = TypeVar("T")

Place = tuple[int, int]
"""Where a row is: a time (UTC ns) or an id, and something that tells rows of the same one apart."""

NS_PER_MS = 1_000_000
WEEK_NS = 7 * 86_400 * 10**9


def page(rows: Iterable[tuple[Place, T]], params: Params, *, most: int, default: int) -> tuple[list[T], str]:
    """Return one page of rows, which need no order, and the cursor to the next, empty when there is none."""
    limit = params.integer("limit", default, 1, most)
    behind = _parse(params.text("cursor"))
    kept = sorted(
        ((place, row) for place, row in rows if behind is None or place < behind),
        key=lambda found: found[0],
        reverse=True,
    )
    part = kept[:limit]
    cursor = quote(f"{part[-1][0][0]}:{part[-1][0][1]}", safe="") if len(kept) > limit else ""
    return [row for _, row in part], cursor


def window(params: Params, now_ns: int) -> tuple[int, int]:
    """Return from when until when (UTC ns, both included) is asked for: at most seven days."""
    start = params.integer("startTime", -1) * NS_PER_MS
    end = params.integer("endTime", -1) * NS_PER_MS
    if start < 0 and end < 0:
        return now_ns - WEEK_NS, now_ns
    if start < 0:
        start = end - WEEK_NS
    if end < 0:
        end = start + WEEK_NS
    if end < start or end - start > WEEK_NS:
        raise ApiError(10001, "The time range between startTime and endTime cannot exceed 7 days.")
    return start, end + NS_PER_MS - 1


def _parse(cursor: str) -> Place | None:
    if not cursor:
        return None
    first, _, second = cursor.partition(":")
    if not (first.isdecimal() and second.isdecimal()):
        raise bad_param("cursor")
    return int(first), int(second)
