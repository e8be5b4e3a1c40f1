"""Heartbeat: what a connector's session says of itself every second, on ``heartbeat.{exchange}.{account}.{market}._``.

Not recorded: the engine closes a session that it does not hear, and ``show_status`` shows the latest.
"""

import msgspec


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A session's health. Times are UTC ns, 0 for never.

    Args:
        ready: whether it takes orders.
        heard_at: when the private stream last told something.
        compared_at, funds_compared_at: when orders and trades, and funds, were last held against the venue.
        waiting: reports that the engine has not confirmed.
        limits_left: what the account may still send now, by group and window.
    """

    session: str
    ready: bool = False
    heard_at: int = 0
    compared_at: int = 0
    funds_compared_at: int = 0
    waiting: int = 0
    limits_left: dict[str, dict[str, int]] = {}
