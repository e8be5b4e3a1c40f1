"""What accounts ask for of their orders, trades and bills, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from oms.simulator.exchange import Exchange
from oms.simulator.ledger import Account
from oms.simulator.orders import Order
from oms.simulator.reasons import Refusal

from . import payloads
from .errors import ApiError, missing, no_order, parameter
from .state import Bill, State

Query = Mapping[str, str]
Rows = list[dict[str, object]]
T = TypeVar("T")

ROWS_MAX = 100
NS_PER_MS = 1_000_000
HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
# How far back each history goes; orders that were canceled without a fill are gone sooner.
WEEK_NS, FILLS_NS, ARCHIVE_NS, UNFILLED_NS = 7 * DAY_NS, 3 * DAY_NS, 90 * DAY_NS, 2 * HOUR_NS


class Queries:
    """Answers with the `data` of OKX's answers."""

    def __init__(self, exchange: Exchange, state: State) -> None:
        self._exchange = exchange
        self._state = state

    # Orders

    def order(self, account: Account, query: Query) -> Rows:
        symbol = need(query, "instId")
        if not query.get("ordId") and not query.get("clOrdId"):
            raise ApiError(51003, "Either client order ID or order ID is required.")
        number = payloads.parse_id(query["ordId"]) if query.get("ordId") else None
        client_id = None if query.get("ordId") else query["clOrdId"]
        if query.get("ordId") and number is None:
            raise parameter("ordId")
        kinds = [kind for kind, known in self._exchange.markets if known == symbol]
        if not kinds:
            raise ApiError(51001, "Instrument ID, Instrument ID code or Spread ID doesn't exist.")
        try:
            found = self._exchange.find(account, kinds[0], symbol, number, client_id)
        except Refusal:
            raise no_order() from None
        if self._is_gone(found):
            raise no_order()
        return [self.show(found)]

    def pending(self, account: Account, query: Query) -> Rows:
        orders = [order for order in account.open.values() if _fits(order, query)]
        return [self.show(order) for order in _page(reversed(orders), payloads.order_id, query)]

    def history(self, account: Account, query: Query) -> Rows:
        return self._history(account, query, WEEK_NS)

    def archive(self, account: Account, query: Query) -> Rows:
        return self._history(account, query, ARCHIVE_NS)

    def _history(self, account: Account, query: Query, back_ns: int) -> Rows:
        market_of(need(query, "instType"))
        oldest = self._exchange.clock() - back_ns
        orders = [
            order
            for order in account.all_orders()
            if not order.is_open
            and _fits(order, query)
            and order.updated_ns >= oldest
            and not self._is_gone(order)
        ]
        newest = sorted(orders, key=lambda order: -order.order_id)
        return [
            self.show(order)
            for order in _page(
                _between(newest, query, lambda order: order.created_ns), payloads.order_id, query
            )
        ]

    def _is_gone(self, order: Order) -> bool:
        ended = not order.is_open and not order.executed
        return ended and order.updated_ns < self._exchange.clock() - UNFILLED_NS

    def show(self, order: Order) -> dict[str, object]:
        config = self._exchange.market(order.market, order.symbol).config
        return payloads.order(order, self._state, config)

    # Trades and bills

    def fills(self, account: Account, query: Query) -> Rows:
        return self._fills(account, query, FILLS_NS)

    def fills_history(self, account: Account, query: Query) -> Rows:
        need(query, "instType")
        return self._fills(account, query, ARCHIVE_NS)

    def _fills(self, account: Account, query: Query, back_ns: int) -> Rows:
        bills = [
            bill
            for bill in self._since(account, back_ns)
            if bill.fill is not None and bill.order is not None and _fits(bill.order, query)
        ]
        if query.get("ordId"):
            bills = [bill for bill in bills if bill.fill and payloads.order_id(bill.fill) == query["ordId"]]
        return self._bill_page(bills, query, payloads.fill)

    def bills(self, account: Account, query: Query) -> Rows:
        return self._bills(account, query, WEEK_NS)

    def bills_archive(self, account: Account, query: Query) -> Rows:
        return self._bills(account, query, ARCHIVE_NS)

    def _bills(self, account: Account, query: Query, back_ns: int) -> Rows:
        wanted = {
            "type": "type",
            "subType": "subType",
            "ccy": "ccy",
            "instId": "instId",
            "instType": "instType",
        }
        bills = [
            bill
            for bill in self._since(account, back_ns)
            if all(payloads.bill(bill)[key] == query[name] for name, key in wanted.items() if query.get(name))
        ]
        return self._bill_page(bills, query, payloads.bill)

    def _since(self, account: Account, back_ns: int) -> list[Bill]:
        oldest = self._exchange.clock() - back_ns
        return [bill for bill in self._state.bills(account) if bill.time_ns >= oldest]

    @staticmethod
    def _bill_page(bills: list[Bill], query: Query, show: Callable[[Bill], dict[str, object]]) -> Rows:
        inside = _between(bills, query, lambda bill: bill.time_ns)
        return [show(bill) for bill in _page(inside, payloads.bill_id, query)]


def need(query: Query, name: str) -> str:
    value = query.get(name)
    if not value:
        raise missing(name)
    return value


def market_of(inst_type: str) -> str:
    if inst_type not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
        raise parameter("instType")
    return payloads.MARKETS.get(inst_type, "")


def _fits(order: Order, query: Query) -> bool:
    kind = query.get("instType")
    if kind and market_of(kind) != order.market:
        return False
    return query.get("instId") in (None, "", order.symbol)


def _between(rows: Iterable[T], query: Query, time_of: Callable[[T], int]) -> list[T]:
    """Rows whose time in milliseconds is from `begin` to `end`."""
    begin, end = (_number(query, name) for name in ("begin", "end"))
    return [
        row
        for row in rows
        if (begin is None or time_of(row) // NS_PER_MS >= begin)
        and (end is None or time_of(row) // NS_PER_MS <= end)
    ]


def _page(rows: Iterable[T], id_of: Callable[[T], str], query: Query) -> list[T]:
    """Of rows newest first: those older than `after`, newer than `before`, at most `limit`."""
    after, before = (_number(query, name) for name in ("after", "before"))
    limit = _number(query, "limit")
    if limit is not None and not 1 <= limit <= ROWS_MAX:
        raise parameter("limit")
    found = [
        row
        for row in rows
        if (after is None or int(id_of(row)) < after) and (before is None or int(id_of(row)) > before)
    ]
    # Towards the newer ones the nearest are told, still newest first.
    most = limit or ROWS_MAX
    return found[-most:] if before is not None and after is None else found[:most]


def _number(query: Query, name: str) -> int | None:
    value = query.get(name)
    if not value:
        return None
    if not value.isdecimal():
        raise parameter(name)
    return int(value)
