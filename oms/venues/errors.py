"""What a request to a venue can come to besides success. The kind decides what may be said about the order."""

from enum import StrEnum


class Kind(StrEnum):
    """Why there is no answer to work with. Anything not mapped after a request was begun is ``UNKNOWN``."""

    NOT_SENT = "not sent"
    """Refused on our side before a byte left: it did not happen."""
    REJECTED = "rejected"
    """Refused by the venue with a code that says so: it did not happen."""
    THROTTLED = "throttled"
    """Refused by the venue for its rate limits: it did not happen."""
    AUTH_FATAL = "auth fatal"
    """The venue does not take our key or signature: it did not happen, and nothing else will."""
    ALREADY_DONE = "already done"
    """What should be changed is not open any more: a look-up says what became of it."""
    NOT_FOUND = "not found"
    """The venue knows no such order now. Final only after grace, see :mod:`oms.venues.lookup`."""
    UNKNOWN = "unknown"
    """It may or may not have happened."""


HARMLESS = frozenset({Kind.NOT_SENT, Kind.REJECTED, Kind.THROTTLED, Kind.AUTH_FATAL})
"""Kinds after which the request certainly did nothing."""


class VenueError(Exception):
    """A request that got no usable answer.

    Args:
        kind: what that means for the order.
        reason: the venue's own code and words, or ours; never a key or a signature.
        retry_after_s: how long the venue wants to be left alone, with THROTTLED.
    """

    def __init__(self, kind: Kind, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
        self.retry_after_s = retry_after_s


class StreamLost(Exception):
    """The private stream ended or can no longer be trusted: reconcile on a new session."""
