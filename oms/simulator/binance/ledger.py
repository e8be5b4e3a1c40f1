"""What accounts own: free and locked balances. Amounts move between accounts, none is made or lost here."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from decimal import Decimal

import attrs

from .orders import ZERO, Fill, Order


@attrs.define
class Balance:
    """One asset of one account."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Account:
    """One account: balances, open orders, and a bounded history of finished orders and of trades.

    `unlimited` is for the market maker alone: it may owe any amount, and locks nothing.
    """

    def __init__(
        self,
        name: str,
        uid: int,
        balances: Mapping[str, Decimal],
        history_limit: int,
        *,
        unlimited: bool = False,
    ) -> None:
        self.name = name
        self.uid = uid
        self.unlimited = unlimited
        self.balances: dict[str, Balance] = {asset: Balance(amount) for asset, amount in balances.items()}
        self.updated_ns = 0
        self.touched: dict[str, None] = {}
        self.open: dict[tuple[str, int], Order] = {}
        self.open_count: Counter[str] = Counter()
        self.open_by_client_id: dict[tuple[str, str], Order] = {}
        self.orders: dict[str, OrderedDict[int, Order]] = {}
        self.latest_by_client_id: dict[tuple[str, str], Order] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.forgotten_orders = 0
        self._finished: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._history_limit = history_limit

    def balance(self, asset: str) -> Balance:
        """Return the balance of `asset`, making it when there is none."""
        return self.balances.setdefault(asset, Balance())

    def add(self, asset: str, amount: Decimal) -> None:
        """Add `amount`, which may be negative, to what is free."""
        self.balance(asset).free += amount
        self.touched[asset] = None

    def lock(self, order: Order, asset: str, amount: Decimal) -> None:
        """Reserve `amount` of `asset` for `order`. The caller has checked that it is free."""
        balance = self.balance(asset)
        assert balance.free >= amount >= 0, f"{self.name} has {balance.free} {asset} free, needs {amount}"
        balance.free -= amount
        balance.locked += amount
        order.locked += amount
        self.touched[asset] = None

    def unlock(self, order: Order, asset: str, amount: Decimal) -> None:
        """Give `amount` of what `order` has reserved back."""
        balance = self.balance(asset)
        assert order.locked >= amount >= 0, (
            f"order {order.order_id} has {order.locked} {asset} locked, not {amount}"
        )
        balance.locked -= amount
        balance.free += amount
        order.locked -= amount
        self.touched[asset] = None

    def opened(self, order: Order) -> None:
        """Index a new order."""
        self.open[order.symbol, order.order_id] = order
        self.open_count[order.symbol] += 1
        self.open_by_client_id[order.symbol, order.client_order_id] = order
        self.orders.setdefault(order.symbol, OrderedDict())[order.order_id] = order
        self.latest_by_client_id[order.symbol, order.client_order_id] = order

    def closed(self, order: Order) -> None:
        """Move an order to the history, and forget the oldest beyond the limit."""
        key = (order.symbol, order.order_id)
        del self.open[key]
        self.open_count[order.symbol] -= 1
        del self.open_by_client_id[order.symbol, order.client_order_id]
        self._finished[key] = None
        if len(self._finished) > self._history_limit:
            (symbol, order_id), _ = self._finished.popitem(last=False)
            oldest = self.orders[symbol].pop(order_id)
            client_key = (symbol, oldest.client_order_id)
            if self.latest_by_client_id.get(client_key) is oldest:
                del self.latest_by_client_id[client_key]
            self.forgotten_orders += 1

    def filled(self, fill: Fill) -> None:
        """Record a trade. Trimmed in blocks, so at most 1.25 times the history limit is held."""
        fills = self.fills.setdefault(fill.symbol, [])
        fills.append(fill)
        if len(fills) > self._history_limit + self._history_limit // 4:
            del fills[: len(fills) - self._history_limit]

    def find(self, symbol: str, order_id: int | None, client_order_id: str | None) -> Order | None:
        """Return the order with that id or client id, open or not, None when there is none.

        A client id that was used again means the open order, else the newest. Given both ids, both must fit.
        """
        if order_id is not None:
            orders = self.orders.get(symbol)
            order = orders.get(order_id) if orders is not None else None
            if order is not None and client_order_id is not None and order.client_order_id != client_order_id:
                return None
            return order
        if client_order_id is None:
            return None
        key = (symbol, client_order_id)
        return self.open_by_client_id.get(key) or self.latest_by_client_id.get(key)
