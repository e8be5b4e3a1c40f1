"""What each exchange counts: by address or by account, over which requests, in which windows. The defaults of an account
without a VIP level; what an exchange lists or tells in its answers takes their place.

A pool is what shares one address limit: a pool by the name of the venue, or one of the whole exchange.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

import attrs

DEFAULT: Final = "default"
"""The group of requests that no rule tells apart."""
CONNECT: Final = "connect"
"""The group of WebSocket connections."""
ORDER: Final = "order"
"""The group of new and amended orders where cancels are not limited with them."""
TRANSFER: Final = "transfer"
"""The group of transfers between accounts."""
TRANSFERS: Final = "transfers"
"""The group of looking them up."""
NS: Final = 10**9
MINUTE: Final = 60
DAY: Final = 86_400
NS_PER_MS: Final = 10**6


class Counts(StrEnum):
    """What a rule adds up."""

    REQUESTS = "requests"
    WEIGHT = "weight"
    ORDERS = "orders"
    """New orders and changed ones; not cancels."""


@attrs.frozen
class Rule:
    """One limit.

    Args:
        name: unique in its pool; headers and ``show_status`` call it so.
        groups: whose requests count; every request's where none is named.
        by_symbol: each symbol has a window of its own.
    """

    name: str
    counts: Counts
    limit: int
    seconds: int
    groups: frozenset[str] = frozenset()
    by_symbol: bool = False


@attrs.frozen
class Told:
    """What an answer says about one rule: what is used of it or left, how much it allows, until when it is shut (UTC ns)."""

    rule: str
    used: int | None = None
    left: int | None = None
    limit: int | None = None
    shut_until: int | None = None


@attrs.frozen
class Limits:
    """The rules of one pool.

    Args:
        address: what all accounts behind our address share.
        account: what each account has for itself.
        read: (headers with names in lower case, group of the request) → what they tell.
    """

    address: tuple[Rule, ...] = ()
    account: tuple[Rule, ...] = ()
    read: Callable[[Mapping[str, str], str], Iterable[Told]] = lambda headers, group: ()

    @property
    def groups(self) -> frozenset[str]:
        """Every group that a request may be of."""
        named = (rule.groups for rule in (*self.address, *self.account))
        return frozenset().union({DEFAULT}, *named)


# -- what answers tell


def read_binance(headers: Mapping[str, str], group: str) -> list[Told]:
    """``X-MBX-USED-WEIGHT-1M`` and ``X-MBX-ORDER-COUNT-10S``, ``-1M``, ``-1D``: what has been counted so far."""
    told = []
    for name, text in headers.items():
        for prefix, counts in (("x-mbx-used-weight-", Counts.WEIGHT), ("x-mbx-order-count-", Counts.ORDERS)):
            if name.startswith(prefix) and text.isdecimal():
                told.append(Told(f"{counts} {name.removeprefix(prefix)}", used=int(text)))
    return told


def read_bybit(headers: Mapping[str, str], group: str) -> list[Told]:
    """``X-Bapi-Limit`` and ``-Status``: what this request's group allows and has left; ``-Reset-Timestamp`` when none is."""
    limit, left = headers.get("x-bapi-limit", ""), headers.get("x-bapi-limit-status", "")
    if not (limit.isdecimal() and left.isdecimal()) or int(limit) == 0:
        return []
    reset, shut_until = headers.get("x-bapi-limit-reset-timestamp", ""), None
    if left == "0" and reset.isdecimal():
        shut_until = int(reset) * NS_PER_MS
    return [Told(group, left=int(left), limit=int(limit), shut_until=shut_until)]


def read_upbit(headers: Mapping[str, str], group: str) -> list[Told]:
    """``Remaining-Req: group=default; min=1800; sec=29``: what is left in this second. ``min`` means nothing any more."""
    parts = dict(
        part.strip().split("=", 1) for part in headers.get("remaining-req", "").split(";") if "=" in part
    )
    left = parts.get("sec", "")
    return [Told(parts.get("group", group), left=int(left))] if left.isdecimal() else []


# -- the table


def _each(
    counts: Counts, limit: int, seconds: int, *groups: str, by_symbol: bool = False
) -> tuple[Rule, ...]:
    """A rule of the same kind for each group."""
    return tuple(Rule(group, counts, limit, seconds, frozenset({group}), by_symbol) for group in groups)


_REQUESTS, _WEIGHT, _ORDERS = Counts.REQUESTS, Counts.WEIGHT, Counts.ORDERS

# fmt: off
# Sub-account endpoints: a transfer weighs 360 of the 180,000 a minute that each account has there, a look-up 1 of the 12,000 of
# our address. It is one limit of both of Binance's pools, far above what a desk moves.
_BINANCE_TRANSFERS: Final = _each(_REQUESTS, 500, MINUTE, TRANSFER)
_BINANCE_LOOK_UPS: Final = _each(_REQUESTS, 12_000, MINUTE, TRANSFERS)

POOLS: Final[Mapping[str, Limits]] = {
    # developers.binance.com, "Limits" and "Rate limits" of the spot API (weight by address, unfilled orders by account, 300
    # connections in 5 minutes by address), with the figures that GET /api/v3/exchangeInfo lists.
    "binance.spot": Limits(
        address=(
            Rule("weight 1m", _WEIGHT, 6_000, MINUTE),
            *_each(_REQUESTS, 300, 5 * MINUTE, CONNECT),
            *_BINANCE_LOOK_UPS,
        ),
        account=(
            Rule("orders 10s", _ORDERS, 100, 10, frozenset({ORDER})),
            Rule("orders 1d", _ORDERS, 200_000, DAY, frozenset({ORDER})),
            *_BINANCE_TRANSFERS,
        ),
        read=read_binance,
    ),
    # binance.com support, "Rate Limits on Binance Futures" (25 October 2024): 2,400 by address, 1,200 and 300 by sub-account.
    # A new or amended order weighs nothing by address and counts in both of the account's. Connections as on spot.
    "binance.futures": Limits(
        address=(
            Rule("weight 1m", _WEIGHT, 2_400, MINUTE),
            *_each(_REQUESTS, 300, 5 * MINUTE, CONNECT),
            *_BINANCE_LOOK_UPS,
        ),
        account=(
            Rule("orders 10s", _ORDERS, 300, 10, frozenset({ORDER})),
            Rule("orders 1m", _ORDERS, 1_200, MINUTE, frozenset({ORDER})),
            *_BINANCE_TRANSFERS,
        ),
        read=read_binance,
    ),
    # bybit-exchange.github.io/docs/v5/rate-limit: 600 in any 5 s and 500 connections in 5 minutes by address, each endpoint by
    # second and user id. Figures of the default level, by category where these differ; X-Bapi-Limit corrects them at the
    # first answer.
    "bybit": Limits(
        address=(Rule("requests 5s", _REQUESTS, 600, 5), *_each(_REQUESTS, 500, 5 * MINUTE, CONNECT)),
        account=(
            *_each(_REQUESTS, 20, 1, "spot.create", "spot.amend", "spot.cancel", "spot.cancel_all"),
            *_each(_REQUESTS, 10, 1, "linear.create", "linear.amend", "linear.cancel", "linear.cancel_all"),
            *_each(_REQUESTS, 10, 1, "realtime", "history", "executions", "positions", "transactions", "wallet",
                   "leverage", "margin_mode", "account"),
            *_each(_REQUESTS, 5, 1, TRANSFER),
            *_each(_REQUESTS, 2, 1, TRANSFERS),
        ),
        read=read_bybit,
    ),
    # okx.com/docs-v5: "Rate Limit" below each endpoint, "User ID + Instrument ID" for orders, and "Sub-account rate limit":
    # 1,000 new and amended orders in 2 s, and 3 connections a second by address. Its answers tell nothing.
    "okx": Limits(
        address=(*_each(_REQUESTS, 20, 2, "public"), *_each(_REQUESTS, 3, 1, CONNECT)),
        account=(
            Rule("orders 2s", _ORDERS, 1_000, 2, frozenset({"order", "amend"})),
            *_each(_REQUESTS, 60, 2, "order", "amend", "cancel", by_symbol=True),
            *_each(_REQUESTS, 60, 2, "order_details", "orders_pending", "fills"),
            *_each(_REQUESTS, 40, 2, "orders_history"),
            *_each(_REQUESTS, 10, 2, "fills_history", "balance", "positions", "bills"),
            *_each(_REQUESTS, 20, 2, "leverage"),
            *_each(_REQUESTS, 5, 2, "account"),
            *_each(_REQUESTS, 2, 1, TRANSFER),
            *_each(_REQUESTS, 1, 1, TRANSFERS),
        ),
    ),
    # docs.upbit.com/reference/rate-limits: by second and pocket (an account of ours), quotations by address; the order group
    # has 12 since 21 August 2026 (8 before, changelog "order-rate-limit-update"). A cancel is in the default group. Connections
    # that log in are the pocket's.
    "upbit": Limits(
        address=_each(_REQUESTS, 10, 1, "market", "ticker", "orderbook", "trade"),
        account=(
            *_each(_REQUESTS, 12, 1, "order"),
            *_each(_REQUESTS, 30, 1, DEFAULT),
            *_each(_REQUESTS, 1, 2, "order-cancel-all"),
            *_each(_REQUESTS, 5, 1, CONNECT),
        ),
        read=read_upbit,
    ),
}
# fmt: on


def pool_of(venue: str) -> str:
    """The name in :data:`POOLS` of the pool that ``exchange.market`` takes from."""
    return venue if venue in POOLS else venue.split(".", 1)[0]
