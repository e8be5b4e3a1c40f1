"""Dialect: what a failed request means, read from the venue's own code and from nothing else."""

from collections.abc import Callable, Mapping

import attrs

from oms.venues.errors import Kind
from oms.venues.notation import seconds

Meanings = Mapping[str, tuple[tuple[str, Kind], ...]]
"""Venue's code → what its messages begin with → what it means; "" is any message. A code that is not there is UNKNOWN."""


@attrs.define
class Call:
    """What happened to one request: whether it was begun, and what came back.

    Args:
        headers: of the answer, names in lower case.
        deadline: UTC ns; it is not written after.
        asked_ms, heard_ms: by our clock, when it was handed to HTTP and when its answer was there.
        left: it was written in time. ``late``: it was not, and never is.
    """

    begun: bool = False
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: str = ""
    deadline: int | None = None
    left: bool = False
    late: bool = False
    asked_ms: int = 0
    heard_ms: int = 0


@attrs.frozen(kw_only=True)
class Dialect:
    """How one exchange says no, and what it tells about its limits.

    Args:
        refusal: (HTTP status, body) → (code, message), None when the body is not such an answer.
        meanings: of those codes.
        retry_after: (HTTP status, headers) → seconds to stay away, when throttled.
        shut_out: HTTP statuses and codes by which the venue throttles our whole address; otherwise it is the account and
            the group.
        clock: codes by which the venue does not take our timestamps.
    """

    refusal: Callable[[int, str], tuple[str, str] | None]
    meanings: Meanings
    retry_after: Callable[[int | None, Mapping[str, str]], float] = lambda status, headers: seconds(
        headers.get("retry-after")
    )
    shut_out: frozenset[int | str] = frozenset({418, 429})
    clock: frozenset[str] = frozenset()

    def meaning(self, call: Call, error: Exception) -> tuple[Kind, str]:
        """What a failed request means, and why. The exception counts only where the venue said nothing."""
        if not call.begun:
            return Kind.NOT_SENT, f"{type(error).__name__}: {error}"
        if call.status is None:
            return Kind.UNKNOWN, f"no answer ({type(error).__name__})"
        refusal = self.refusal(call.status, call.body)
        words = f"HTTP {call.status}" if refusal is None else " ".join(refusal)
        if call.status in (418, 429):
            return Kind.THROTTLED, words
        if call.status >= 500 or refusal is None:
            return Kind.UNKNOWN, words
        code, message = refusal
        for begins, kind in self.meanings.get(code, ()):
            if message.startswith(begins):
                return kind, words
        return Kind.UNKNOWN, words
