"""Faults that can be switched on and off at run time, drawn from a seeded generator.

A rule fires with `probability` each time it could, at most `count` times, optionally only for one endpoint.
"""

from __future__ import annotations

import enum
import random

import attrs


class Fault(enum.StrEnum):
    """What can go wrong. The stage says when: see `STAGE`."""

    DROP_REQUEST = "drop_request"  # connection dropped, nothing done
    LATE_REQUEST = "late_request"  # connection dropped, and done `delay_ms` later
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After, nothing done
    BANNED = "banned"  # 418 with Retry-After, nothing done
    SERVER_ERROR_BEFORE = "server_error_before"  # 5xx with an HTML body, nothing done
    DELAY_REPLY = "delay_reply"  # done, and the reply comes `delay_ms` later
    LOST_REPLY = "lost_reply"  # done, then the connection is dropped
    HANG = "hang"  # done, then no reply for `delay_ms`, then the connection is dropped
    TRUNCATED_REPLY = "truncated_reply"  # done, then half of the body and the connection is dropped
    SERVER_ERROR_AFTER = "server_error_after"  # done, then 5xx with an HTML body
    TIMEOUT_1007 = "timeout_1007"  # done, then the exchange's "execution status unknown": Binance's -1007
    DROP_REPORT = "drop_report"  # the execution report never comes
    DELAY_REPORT = "delay_report"  # the execution report comes `delay_ms` later
    DUPLICATE_REPORT = "duplicate_report"  # the execution report comes twice
    REORDER_REPORT = "reorder_report"  # the execution report comes after the next one, or `delay_ms` later
    REFUSE_WEBSOCKET = "refuse_websocket"  # 503 instead of the upgrade


class Stage(enum.Enum):
    """Where in a request's life a fault may strike."""

    ARRIVAL = enum.auto()
    BEFORE = enum.auto()
    DELAY = enum.auto()
    AFTER = enum.auto()
    REPORT = enum.auto()
    UPGRADE = enum.auto()


STAGE = {
    Fault.LATE_REQUEST: Stage.ARRIVAL,
    Fault.DROP_REQUEST: Stage.BEFORE,
    Fault.RATE_LIMITED: Stage.BEFORE,
    Fault.BANNED: Stage.BEFORE,
    Fault.SERVER_ERROR_BEFORE: Stage.BEFORE,
    Fault.DELAY_REPLY: Stage.DELAY,
    Fault.LOST_REPLY: Stage.AFTER,
    Fault.HANG: Stage.AFTER,
    Fault.TRUNCATED_REPLY: Stage.AFTER,
    Fault.SERVER_ERROR_AFTER: Stage.AFTER,
    Fault.TIMEOUT_1007: Stage.AFTER,
    Fault.DROP_REPORT: Stage.REPORT,
    Fault.DELAY_REPORT: Stage.REPORT,
    Fault.DUPLICATE_REPORT: Stage.REPORT,
    Fault.REORDER_REPORT: Stage.REPORT,
    Fault.REFUSE_WEBSOCKET: Stage.UPGRADE,
}


@attrs.frozen
class FaultRule:
    """One fault to inject.

    `probability_percent` 0–100; `count` is how many times at most, None for no end; `endpoint` is a REST
    endpoint (`POST /api/v3/order`) or a WebSocket method (`order.place`), for reports an execution type (`TRADE`) or
    a topic, for WebSockets a path (`/ws-api/v3`), None for all; `delay_ms` how long a delay or a hang lasts;
    `status` of a 5xx; `retry_after_s` of a 429 or 418.
    """

    kind: Fault = attrs.field(converter=Fault)
    probability_percent: int = attrs.field(
        default=100, validator=[attrs.validators.ge(0), attrs.validators.le(100)]
    )
    count: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.gt(0)))
    endpoint: str | None = None
    delay_ms: int = attrs.field(
        default=1_000, validator=[attrs.validators.ge(0), attrs.validators.le(600_000)]
    )
    status: int = attrs.field(default=502, validator=[attrs.validators.ge(500), attrs.validators.le(599)])
    retry_after_s: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@attrs.define
class ActiveFault:
    """A rule that is switched on, and how often it fired."""

    fault_id: int
    rule: FaultRule
    fired: int = 0

    @property
    def spent(self) -> bool:
        return self.rule.count is not None and self.fired >= self.rule.count


# Bounds what operators can switch on; spent rules count until they are deleted, so that `fired` can be read.
MAX_RULES = 1_000


class Faults:
    """The rules that are switched on. The oldest rule that fires wins."""

    def __init__(self, seed: int, rules: tuple[FaultRule, ...] = ()) -> None:
        self._random = random.Random(f"faults:{seed}")
        self._next_id = 1
        self.active: dict[int, ActiveFault] = {}
        for rule in rules:
            self.add(rule)

    def add(self, rule: FaultRule) -> ActiveFault:
        """Switch `rule` on and return it with its id.

        Raises `ValueError` when `MAX_RULES` are on already.
        """
        if len(self.active) >= MAX_RULES:
            raise ValueError(f"{MAX_RULES} fault rules are on: delete some before adding one")
        active = ActiveFault(self._next_id, rule)
        self._next_id += 1
        self.active[active.fault_id] = active
        return active

    def clear(self) -> None:
        """Switch every rule off."""
        self.active.clear()

    def draw(self, stage: Stage, *labels: str) -> FaultRule | None:
        """Return the rule that strikes at `stage`, if one does. `labels` are the names its endpoint may have."""
        for active in self.active.values():
            rule = active.rule
            if STAGE[rule.kind] is not stage or active.spent:
                continue
            if rule.endpoint is not None and rule.endpoint not in labels:
                continue
            if rule.probability_percent < 100 and self._random.randrange(100) >= rule.probability_percent:
                continue
            active.fired += 1
            return rule
        return None
