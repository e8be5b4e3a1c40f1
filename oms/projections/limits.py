"""Limits: views over the partition's controls. Nothing is kept here, so nothing can differ.

State, events and rules: see :mod:`oms.aggregates.risk`.
"""

from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from oms.aggregates.money import ONE, ZERO, share
from oms.aggregates.partition import Partition
from oms.aggregates.risk import figures, standings
from oms.aggregates.risk.figures import LimitUse
from oms.aggregates.risk.latches import Latch
from oms.aggregates.risk.standings import MarginUse
from oms.messages.controls import Level
from oms.messages.queries import KILL_SWITCH, LatchRow, LimitRow, OverrideRow, Statement
from oms.projections.statements import Statements

_SHARE: Final = Decimal("0.0001")
_ROUNDING: Final = Context(prec=60)
ENGAGED: Final = "engaged"


def limit_rows(partition: Partition, statements: Statements, now: int) -> Iterator[LimitRow]:
    """Every control of every scope that anything is known of, and a row for each engaged kill switch; in no order.

    Args:
        statements: of the same moment.
        now: UTC ns; overrides and what counts within a second or a minute hang on it.
    """
    latches = {scope: latch_row(latch) for scope, latch in partition.risk.latches.items()}
    margins = standings.margins(partition)
    for use in figures.rows(partition, now):
        stated = statements.behind(partition, use.source, use.control, now)
        row = _row(use, latches.get(use.scope), stated)
        margin = margins.get(use.scope.removeprefix("account:")) if use.scope.startswith("account:") else None
        yield row if margin is None else _with_margin(partition, row, margin)
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


def _row(use: LimitUse, latch: LatchRow | None, stated: Statement) -> LimitRow:
    override = use.override
    return LimitRow(
        scope=use.scope,
        control=use.control,
        limit=use.limit,
        source=use.source,
        own=use.own,
        override=None
        if override is None
        else OverrideRow(value=override.value, until=override.until, by=override.by, reason=override.reason),
        used=use.used,
        headroom=use.headroom,
        share=_share(use.used, use.headroom),
        level=use.level or Level.CLEAR,
        latch=latch,
        stated=stated,
    )


def _share(used: Decimal | None, headroom: Decimal | None) -> Decimal | None:
    """What is used of a limit; None of a limit of zero, of which there is no share."""
    if used is None or headroom is None:
        return None
    limit = used + headroom
    return _ROUNDING.quantize(share(used, ONE, limit), _SHARE) if limit > ZERO else None


def _with_margin(partition: Partition, row: LimitRow, margin: MarginUse) -> LimitRow:
    """How the account's worst position stands to a control of margin, at the level that was last told."""
    found: dict[str, Any] = {}
    if row.limit != "off" and row.control == "max_margin_ratio" and margin.ratio is not None:
        headroom = Decimal(row.limit) - margin.ratio
        found = {"used": margin.ratio, "headroom": headroom, "share": _share(margin.ratio, headroom)}
    elif row.limit != "off" and row.control == "min_liquidation_distance" and margin.distance is not None:
        found = {"used": margin.distance, "headroom": margin.distance - Decimal(row.limit)}
    if not found:
        return row
    totals = partition.risk.totals.get(row.scope)
    told = None if totals is None else totals.told.get(row.control)
    return msgspec.structs.replace(row, level=Level.CLEAR if told is None else told.level, **found)
