"""Limits: views over the partition's controls. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.risk`.
"""

from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Final

from oms.aggregates.money import ONE, ZERO, share
from oms.aggregates.partition import Partition
from oms.aggregates.risk.figures import FLOORS
from oms.aggregates.risk.latches import Latch
from oms.messages.controls import CAPITAL, Level
from oms.messages.queries import KILL_SWITCH, LatchRow, LimitRow, OverrideRow, Statement
from oms.projections import uses
from oms.projections.statements import Statements
from oms.projections.uses import LimitUse, Use

_SHARE: Final = Decimal("0.0001")
_ROUNDING: Final = Context(prec=60)
ENGAGED: Final = "engaged"
_NOT_MEASURED: Final = Use(ZERO)


def limit_rows(partition: Partition, statements: Statements, now: int) -> Iterator[LimitRow]:
    """Every control of every scope that anything is known of, and a row for each engaged kill switch; in no order.

    Args:
        statements: of the same moment.
        now: UTC ns; overrides and what counts within a second or a minute hang on it.
    """
    latches = {scope: latch_row(latch) for scope, latch in partition.risk.latches.items()}
    for each in uses.rows(partition, now):
        if each.control == CAPITAL:
            stated = statements.assigned[each.scope]
        else:
            stated = statements.behind(partition, each.source, each.control, now)
        yield _row(each, latches.get(each.scope), stated)
    for scope, latch in latches.items():
        yield LimitRow(
            scope=scope,
            control=KILL_SWITCH,
            limit=ENGAGED,
            source=scope,
            own=ENGAGED,
            override=None,
            used=None,
            headroom=None,
            share=None,
            level=Level.BREACHED,
            latch=latch,
            stated=statements.engaged[scope],
        )


def latch_row(latch: Latch) -> LatchRow:
    """An engaged kill switch as people see it."""
    return LatchRow(
        scope=latch.scope,
        by=latch.by,
        reason=latch.reason,
        cause=latch.cause,
        at=latch.at,
        allow_reduce_only=latch.allow_reduce_only,
    )


def _row(each: LimitUse, latch: LatchRow | None, stated: Statement) -> LimitRow:
    override, use = each.override, each.use or _NOT_MEASURED
    return LimitRow(
        scope=each.scope,
        control=each.control,
        limit=each.limit,
        source=each.source,
        own=each.own,
        override=None
        if override is None
        else OverrideRow(value=override.value, until=override.until, by=override.by, reason=override.reason),
        used=None if each.use is None else use.used,
        headroom=use.headroom,
        share=None if each.control in FLOORS or use.headroom is None else _share(use.used, use.headroom),
        level=use.level,
        latch=latch,
        stated=stated,
        nearest=use.nearest,
    )


def _share(used: Decimal, headroom: Decimal) -> Decimal | None:
    """What is used of a limit; None of a limit of zero, of which there is no share."""
    limit = used + headroom
    return _ROUNDING.quantize(share(used, ONE, limit), _SHARE) if limit > ZERO else None
