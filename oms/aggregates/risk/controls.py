"""Controls: every check of the risk engine by name, in one table. The reference page of controls is made from here.

Two families. *Order controls* are merged over the scopes that cover an order: the tightest holds. *Figure controls* hold a
running figure of a scope against that scope's limit: all of them hold. A value is text: an amount of USD, a ratio, a count,
a duration, a mode, or ``off``, which says in words that there is no limit. Nothing said is not off: it denies.
"""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import attrs

from oms.aggregates.money import is_amount
from oms.messages.codes import Code, Refused


class Kind(StrEnum):
    """What a value is."""

    USD = "amount of USD"
    QUANTITY = "quantity, in base units or contracts"
    RATIO = "ratio of at most 1, 0.05 is 5 %"
    FACTOR = "factor"
    COUNT = "count"
    DURATION = "duration, such as 500ms, 5s or 1m"
    FLAG = "on or off"
    MODE = "one word"
    ASSETS = "amounts by base asset, such as BTC=1,ETH=20"
    CAUSES = "controls, separated by commas"


GLOBAL, EXCHANGE, ACCOUNT, STRATEGY, INSTRUMENT = "global", "exchange", "account", "strategy", "instrument"
KINDS_OF_SCOPE: Final = (GLOBAL, EXCHANGE, ACCOUNT, STRATEGY, INSTRUMENT)
_ALL: Final = KINDS_OF_SCOPE
_GLOBAL: Final = (GLOBAL,)


@attrs.frozen(kw_only=True)
class Control:
    """One control.

    Args:
        figure: whether it holds a running figure of the scope, rather than the order itself.
        default: in the global scope.
        code: what an order is denied with.
        source: who asks for it: RTS 6 and SEC 15c3-5 are rules, FIA a recommendation, practice is practice.
        words: of a mode, those it knows.
        may_be_off: whether ``off`` is a value of it.
    """

    name: str
    kind: Kind
    meaning: str
    default: str
    code: Code
    source: str
    scopes: tuple[str, ...] = _ALL
    figure: bool = False
    words: tuple[str, ...] = ()
    may_be_off: bool = True
    highest: int | None = None


_TABLE: Final = (
    Control(
        name="max_order_quantity",
        kind=Kind.QUANTITY,
        default="off",
        code=Code.MAX_ORDER_QUANTITY,
        source="FIA; RTS 6 Art. 15(1)(c); SEC 15c3-5(c)(1)(ii)",
        meaning="Largest quantity of one order.",
    ),
    Control(
        name="max_order_value",
        kind=Kind.USD,
        default="10000",
        code=Code.MAX_ORDER_VALUE,
        source="FIA; RTS 6 Art. 15(1)(b); SEC 15c3-5(c)(1)(ii)",
        meaning="Most that one order may come to: quantity times its price; a sell, or an order without price, at the mark if that is higher.",
    ),
    Control(
        name="price_collar",
        kind=Kind.RATIO,
        default="0.05",
        code=Code.PRICE_COLLAR,
        source="FIA; RTS 6 Art. 15(1)(a)",
        meaning="Furthest that a limit price may be from the mark, of a stop-limit order from its trigger price.",
    ),
    Control(
        name="period_collar",
        kind=Kind.RATIO,
        default="0.1",
        code=Code.PERIOD_COLLAR,
        source="RTS 6 Art. 15(1)(a)",
        meaning="Furthest that a limit price, or for an order without one the mark, may be from the mark at the beginning of the period of 5 minutes. An order at the market that brings a position nearer to zero, as with reduce_only, is let through.",
    ),
    Control(
        name="max_price_age",
        kind=Kind.DURATION,
        default="15s",
        code=Code.STALE_PRICE,
        source="FIA",
        meaning="Oldest mark that an order is checked by, its own or the one that values what it settles in; the global one is also for transfers. Without any mark it is denied with NO_REFERENCE_PRICE.",
    ),
    Control(
        name="duplicate_window",
        kind=Kind.DURATION,
        default="500ms",
        code=Code.DUPLICATE_ORDER,
        source="SEC 15c3-5(c)(1)(ii)",
        meaning="An order like one placed less than this long ago is denied: same account, strategy, instrument, side, type, quantity and prices. At most 60s.",
    ),
    Control(
        name="restricted",
        kind=Kind.FLAG,
        default="off",
        code=Code.RESTRICTED,
        source="SEC 15c3-5(c)(2)",
        meaning="Nothing is placed: the restricted list, by instrument, exchange, account or strategy.",
    ),
    Control(
        name="reduce_only",
        kind=Kind.FLAG,
        default="off",
        code=Code.REDUCE_ONLY_MODE,
        source="practice",
        meaning="Only orders that bring a position nearer to zero are let through: the account's, and in the scope of a strategy its own part of it as well.",
    ),
    Control(
        name="self_trade",
        kind=Kind.MODE,
        default="cancel_incoming",
        words=("cancel_incoming", "cancel_resting", "cancel_both"),
        code=Code.SELF_TRADE,
        source="FIA",
        meaning="What becomes of an order that would trade with one of ours, of any account: the new one is denied, the resting one is cancelled and the new one sent once it is gone, or both.",
    ),
    Control(
        name="unassigned_strategies",
        kind=Kind.MODE,
        default="deny",
        words=("allow", "deny"),
        scopes=_GLOBAL,
        may_be_off=False,
        code=Code.STRATEGY_UNASSIGNED,
        source="SEC 15c3-5(c)(2)",
        meaning="Whether a strategy that is assigned to no account may trade.",
    ),
    Control(
        name="max_leverage",
        kind=Kind.FACTOR,
        default="5",
        code=Code.MAX_LEVERAGE,
        source="practice",
        meaning="Highest leverage of a futures symbol: of one to be set, and of the symbol's at the venue when an order is placed.",
    ),
    Control(
        name="max_margin_ratio",
        kind=Kind.RATIO,
        default="0.8",
        code=Code.MARGIN_RATIO,
        source="practice",
        meaning="Largest share of a wallet's equity (total and unrealised profit, of the settlement asset) that positions and orders may hold as margin, a new order's or an amend's own included; beyond it futures orders have to bring a position nearer to zero. What a transfer under way takes is neither margin nor equity.",
    ),
    Control(
        name="min_liquidation_distance",
        kind=Kind.RATIO,
        default="0.05",
        code=Code.LIQUIDATION_DISTANCE,
        source="practice",
        meaning="Nearest that the mark may be to the liquidation price of a position, as a share of the mark; nearer, its orders have to bring it nearer to zero.",
    ),
    Control(
        name="max_position",
        kind=Kind.USD,
        default="50000",
        code=Code.MAX_POSITION,
        source="FIA",
        meaning="Largest value of one account's position in one instrument, of a strategy its own part of it, long or short, if everything that works or is in doubt on either side filled.",
    ),
    Control(
        name="max_inventory",
        kind=Kind.ASSETS,
        default="off",
        code=Code.MAX_INVENTORY,
        source="practice",
        meaning="The same in units of the base asset.",
    ),
    Control(
        name="max_exposure",
        kind=Kind.USD,
        default="1000000",
        figure=True,
        code=Code.MAX_EXPOSURE,
        source="SEC 15c3-5(c)(1)(i): credit or capital threshold",
        meaning="Most that all positions of the scope may be worth together, each valued as max_position does, long and short added.",
    ),
    Control(
        name="max_open_orders",
        kind=Kind.COUNT,
        default="10000",
        figure=True,
        code=Code.MAX_OPEN_ORDERS,
        source="FIA",
        meaning="Orders of the scope that may be live at once, those in doubt included.",
    ),
    Control(
        name="max_messages",
        kind=Kind.COUNT,
        default="500",
        figure=True,
        code=Code.MAX_MESSAGES,
        source="FIA; RTS 6 Art. 15(1)(d)",
        meaning="Orders and amends within any second. Cancels are not counted.",
        highest=10_000,
    ),
    Control(
        name="max_daily_loss",
        kind=Kind.USD,
        default="20000",
        figure=True,
        code=Code.MAX_DAILY_LOSS,
        source="practice",
        meaning="Loss since the trading day began, realised, unrealised, fees and funding, at which only orders that bring a position nearer to zero are let through, as with reduce_only.",
    ),
    Control(
        name="max_drawdown",
        kind=Kind.USD,
        default="50000",
        figure=True,
        code=Code.MAX_DRAWDOWN,
        source="practice",
        meaning="Distance of the scope's profit and loss below its best, over days, at which only orders that bring a position nearer to zero are let through, as with reduce_only. Releasing the scope's kill switch measures it anew.",
    ),
    Control(
        name="max_executions",
        kind=Kind.COUNT,
        default="off",
        figure=True,
        code=Code.MAX_EXECUTIONS,
        source="FIA; RTS 6 Art. 15(3)",
        meaning="Repeated automated execution: orders of the scope that may begin to trade within a minute; with as many only orders that bring a position nearer to zero are let through, as with reduce_only.",
        highest=10_000,
    ),
    Control(
        name="max_rejects",
        kind=Kind.COUNT,
        default="off",
        figure=True,
        code=Code.MAX_REJECTS,
        source="practice",
        meaning="Reject storm: orders of the scope that may be rejected by the venue, or not be sent by their connector, within a minute; with as many only orders that bring a position nearer to zero are let through, as with reduce_only, and max_messages bounds those.",
        highest=10_000,
    ),
    Control(
        name="max_differences",
        kind=Kind.COUNT,
        default="off",
        figure=True,
        scopes=(GLOBAL, EXCHANGE, ACCOUNT),
        code=Code.MAX_DIFFERENCES,
        source="FIA; RTS 6 Art. 17: drop-copy reconciliation",
        meaning="Differences that one reconciliation of the scope may find, until the next finds fewer or the kill switch is released; with more only orders that bring a position nearer to zero are let through, as with reduce_only.",
    ),
    Control(
        name="kill_on",
        kind=Kind.CAUSES,
        default="max_daily_loss,max_drawdown",
        words=(
            "max_daily_loss",
            "max_drawdown",
            "max_executions",
            "max_rejects",
            "max_differences",
            "max_price_age",
        ),
        code=Code.KILL_SWITCH,
        source="RTS 6 Art. 12, 15(3)",
        meaning="Controls whose breach in the scope engages the scope's kill switch; each has to be limited in the scope or for all of its kind. Stale marks (max_price_age) count where the scope has live orders or holds a position.",
    ),
    Control(
        name="kill_reduce_only",
        kind=Kind.FLAG,
        default="on",
        code=Code.KILL_SWITCH,
        source="practice",
        meaning="Whether a kill switch that engages by itself lets orders through that bring a position nearer to zero, as with reduce_only.",
    ),
    Control(
        name="main_floor",
        kind=Kind.USD,
        default="100000",
        scopes=_GLOBAL,
        code=Code.MAIN_FLOOR,
        source="practice",
        meaning="Least that a transfer may leave in the MAIN account: its funds, less losses that are open.",
    ),
    Control(
        name="sub_cap",
        kind=Kind.USD,
        default="50000",
        scopes=_GLOBAL,
        code=Code.SUB_CAP,
        source="practice",
        meaning="Most that a transfer may bring a sub-account to.",
    ),
    Control(
        name="day_starts_at",
        kind=Kind.COUNT,
        default="0",
        scopes=_GLOBAL,
        may_be_off=False,
        highest=23,
        code=Code.MAX_DAILY_LOSS,
        source="practice",
        meaning="UTC hour at which the trading day begins and daily figures go back to zero.",
    ),
)

CONTROLS: Final[Mapping[str, Control]] = MappingProxyType({each.name: each for each in _TABLE})

DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        GLOBAL: MappingProxyType({each.name: each.default for each in _TABLE}),
        "account:*": MappingProxyType(
            {
                "max_exposure": "50000",
                "max_open_orders": "200",
                "max_messages": "50",
                "max_daily_loss": "1000",
                "max_drawdown": "2000",
                "max_rejects": "20",
                "max_differences": "10",
                "kill_on": "max_daily_loss,max_drawdown,max_rejects,max_differences",
            }
        ),
        "strategy:*": MappingProxyType(
            {
                "max_position": "10000",
                "max_daily_loss": "1000",
                "max_drawdown": "2000",
                "max_executions": "600",
                "max_rejects": "20",
                "kill_on": "max_daily_loss,max_drawdown,max_executions,max_rejects",
            }
        ),
        "strategy:market_making": MappingProxyType({"max_inventory": "BTC=1"}),
    }
)
"""What a new journal begins with, unless the configuration says otherwise."""

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h)").fullmatch
_UNITS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}
DUPLICATES_KEPT_NS: Final = 60 * 10**9
_ASSET = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch

Parsed = Any
"""What :func:`parse` gives; None for off."""


def parse(name: str, text: str) -> Parsed:
    """Read the value of a control: Decimal, int (nanoseconds, of durations), bool, str, dict of Decimal, or frozenset; None for off.

    Raises:
        Refused: LIMIT_UNKNOWN, LIMIT_INVALID.
    """
    control = CONTROLS.get(name)
    if control is None:
        raise unknown(name)
    if control.kind is Kind.FLAG:
        if text not in ("on", "off"):
            raise _invalid(control, text, "on or off")
        return text == "on"
    if text == "off" and control.may_be_off:
        return None
    return _PARSE[control.kind](control, text)


def check_said(name: str, text: str) -> None:
    """Hold a value that somebody says now against the control, and against what can be meant by it.

    Raises:
        Refused: LIMIT_UNKNOWN, LIMIT_INVALID.
    """
    value = parse(name, text)
    control = CONTROLS[name]
    # Not in parse: a journal may hold one that was taken before.
    if control.kind is Kind.RATIO and value is not None and value > 1:
        raise _invalid(control, text, "a share of at most 1, such as 0.05 for 5 %")


def unknown(name: str) -> Refused:
    """What names no control is refused with the control that may be meant."""
    near = difflib.get_close_matches(name[:64], CONTROLS, 1)
    hint = f": {near[0]} may be meant" if near else ""
    return Refused(Code.LIMIT_UNKNOWN, f"no control is called {name[:64]!r}{hint}")


def _invalid(control: Control, text: str, wanted: str) -> Refused:
    off = ", or off" if control.may_be_off and control.kind is not Kind.FLAG else ""
    return Refused(Code.LIMIT_INVALID, f"{control.name} must be {wanted}{off}, was {text[:100]!r}")


def _amount(control: Control, text: str) -> Decimal:
    wanted = "a decimal of 0 or more, at most 20 digits before and 18 after the point"
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise _invalid(control, text, wanted) from None
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,18})?", text) or not is_amount(value):
        raise _invalid(control, text, wanted)
    return value


def _count(control: Control, text: str) -> int:
    highest = 1_000_000_000 if control.highest is None else control.highest
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > highest:
        raise _invalid(control, text, f"a whole number from 0 to {highest:,}")
    return int(text)


def _duration(control: Control, text: str) -> int:
    found = _DURATION(text)
    ns = int(found[1]) * _UNITS[found[2]] if found else 0
    if not ns or (control.name == "duplicate_window" and ns > DUPLICATES_KEPT_NS):
        raise _invalid(control, text, "a duration above zero such as 500ms, 5s or 1m")
    return ns


def _mode(control: Control, text: str) -> str:
    if text not in control.words:
        raise _invalid(control, text, f"one of {', '.join(control.words)}")
    return text


def _assets(control: Control, text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        asset, _, amount = part.partition("=")
        if not _ASSET(asset) or not amount or asset in found:
            raise _invalid(control, text, "amounts by base asset such as BTC=1,ETH=20")
        found[asset] = _amount(control, amount)
    return found


def _causes(control: Control, text: str) -> frozenset[str]:
    found = text.split(",")
    if not set(found) <= set(control.words) or len(set(found)) != len(found):
        raise _invalid(control, text, f"some of {', '.join(control.words)}, separated by commas")
    return frozenset(found)


_PARSE: Final[dict[Kind, Any]] = {
    Kind.USD: _amount,
    Kind.QUANTITY: _amount,
    Kind.RATIO: _amount,
    Kind.FACTOR: _amount,
    Kind.COUNT: _count,
    Kind.DURATION: _duration,
    Kind.MODE: _mode,
    Kind.ASSETS: _assets,
    Kind.CAUSES: _causes,
}

_ASCENDING: Final = (("max_order_value", "max_position"), ("max_position", "max_exposure"))


def check_together(scope: str, values: Mapping[str, str]) -> None:
    """Hold the values of one scope against each other.

    Raises:
        Refused: LIMIT_CONTRADICTION.
    """
    for smaller, larger in _ASCENDING:
        if smaller not in values or larger not in values:
            continue
        low, high = parse(smaller, values[smaller]), parse(larger, values[larger])
        if low is not None and high is not None and low > high:
            raise Refused(
                Code.LIMIT_CONTRADICTION,
                f"{scope}: {smaller} of {values[smaller]} is above {larger} of {values[larger]}",
            )
