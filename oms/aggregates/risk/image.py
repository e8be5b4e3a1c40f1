"""Image of what risk remembers, for snapshots. What is derived is made again from positions, orders and marks."""

from collections import OrderedDict, deque
from decimal import Decimal

import msgspec

from oms.aggregates.risk.assignments import Assignment
from oms.aggregates.risk.latches import Latch
from oms.aggregates.risk.limits import Override
from oms.aggregates.risk.risk import Risk
from oms.aggregates.risk.totals import Told, Totals
from oms.aggregates.risk.valuation import Valuation


class _Remembered(msgspec.Struct, frozen=True):
    scope: str
    carried: Decimal
    peak: Decimal
    messages: list[int]
    executions: list[int]
    rejects: list[int]
    differences: dict[str, int]
    told: dict[str, Told]


class RiskImage(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`risk_image` gives."""

    day: int
    said: dict[str, dict[str, str]]
    overrides: dict[str, dict[str, Override]]
    latches: list[Latch]
    valuations: list[Valuation]
    strategies: dict[str, Assignment]
    unassigned: list[str]
    recent: list[tuple[str, str, str, Decimal, Decimal | None, Decimal | None, int]]
    totals: list[_Remembered]


def risk_image(risk: Risk) -> RiskImage:
    """What is not derived."""
    return RiskImage(
        day=risk.day,
        said=risk.limits.said,
        overrides=risk.limits.overrides,
        latches=list(risk.latches.values()),
        valuations=list(risk.rates.valuations.values()),
        strategies=risk.strategies,
        unassigned=list(risk.unassigned),
        recent=[(*like, at) for like, at in risk.recent.items()],
        totals=[
            _Remembered(
                each.scope,
                each.carried,
                each.peak,
                list(each.messages),
                list(each.executions),
                list(each.rejects),
                each.differences,
                each.told,
            )
            # In one order, whoever looked at which scope first.
            for _, each in sorted(risk.totals.items())
            if each.remembers
        ],
    )


def restore_risk(risk: Risk, image: RiskImage) -> None:
    """Undo :func:`risk_image`; :meth:`Risk.rebuild` makes the rest."""
    risk.day = image.day
    risk.limits.said = image.said
    risk.limits.overrides = image.overrides
    risk.latches = {each.scope: each for each in image.latches}
    risk.rates.valuations = {each.asset: each for each in image.valuations}
    risk.strategies = image.strategies
    risk.unassigned = dict.fromkeys(image.unassigned)
    # Sides and types hash as the strings they are.
    risk.recent = OrderedDict((each[:6], each[6]) for each in image.recent)
    risk.totals = {
        each.scope: Totals(
            scope=each.scope,
            carried=each.carried,
            peak=each.peak,
            messages=deque(each.messages),
            executions=deque(each.executions),
            rejects=deque(each.rejects),
            differences=each.differences,
            told=each.told,
        )
        for each in image.totals
    }
