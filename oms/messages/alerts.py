"""Alerts: what somebody must look at now. Core NATS, subject :data:`SUBJECT`: who is not there does not get them.

Sent once when it begins. What stays wrong stands in ``faults`` of ``show_status``, and in the log.
"""

from typing import Final

import msgspec

from oms.messages.subjects import ANY

SUBJECT: Final = f"alerts.{ANY}.{ANY}.{ANY}.{ANY}"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong.

    Args:
        code: what, such as ``SEAL`` (:class:`oms.journal.errors.JournalFault`) when the journal is broken, or
            ``ARCHIVE``, ``TRADE_LOG``, ``REPORTS``, ``TRIM`` for what the follower cannot do at the moment,
            ``FACT_REFUSED`` for what a venue says has happened and the engine could not take, ``SESSION`` for an account
            that no connector serves, ``DIFFERENCES`` for a venue that was not as believed, ``LIMIT`` for a limit that is
            broken, ``KILL`` for a kill switch that is engaged, and ``CLOCK_BEHIND`` for an engine whose host's clock was set back.
        sequence: the journal frame where it was seen.
        message: what was expected, and what was found.
        at: wall clock, UTC ns.
        kill: trading is being stopped because of it.
    """

    code: str
    sequence: int
    message: str
    at: int
    kill: bool = False
