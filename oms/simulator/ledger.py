"""What accounts own: wallets of free and locked balances, positions, orders and their history.

Amounts are moved by `Till` alone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal

import attrs

from .orders import ZERO, Fill, Order
from .positions import Position
from .rules import ClientIds

Key = tuple[str, str]
"""Market and symbol."""

# Client ids remembered where they may never be used again.
USED_IDS_MAX = 1_000_000


@attrs.define
class Balance:
    """One asset in one wallet. `free` of a wallet for futures holds the margin of positions too."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@attrs.frozen
class FundingPayment:
    """What one position paid (negative) or received at one funding, in `asset`. `quantity` is signed."""

    payment_id: int
    symbol: str
    asset: str
    amount: Decimal
    rate: Decimal
    mark_price: Decimal
    quantity: Decimal
    time_ns: int


@attrs.frozen
class Transfer:
    """An amount that went from one wallet to another, of one account or of two. `client_id` is of whoever asked, if any."""

    transfer_id: int
    asset: str
    amount: Decimal
    source: str
    target: str
    time_ns: int
    source_account: str
    target_account: str
    client_id: str = ""

    @property
    def between_accounts(self) -> bool:
        return self.source_account != self.target_account


@attrs.define
class Resting:
    """Notional, in quote asset, of one account's working orders in one futures symbol; without the reduce-only ones."""

    bids: Decimal = ZERO
    asks: Decimal = ZERO


class Account:
    """One account.

    `resting` and `reducing` are of futures, by symbol: what working orders are worth, and which only reduce.
    `unlimited` is for the house and the insurance fund alone: they may owe any amount, lock nothing and keep no history.
    `venue_id` is what the exchange calls it, `main` whether the others are its sub-accounts.
    `wallets` has every wallet of the exchange. `positions` has a symbol once it was traded or its leverage or margin
    mode was set.
    """

    def __init__(
        self,
        name: str,
        uid: int,
        wallets: tuple[str, ...],
        balances: Mapping[str, Decimal],
        history_limit: int,
        *,
        api_key: str = "",
        api_secret: str = "",
        passphrase: str = "",
        venue_id: str = "",
        main: bool = False,
        unlimited: bool = False,
    ) -> None:
        self.name = name
        self.uid = uid
        self.api_key = api_key
        self.api_secret = api_secret
        self.passphrase = passphrase
        self.venue_id = venue_id
        self.main = main
        self.unlimited = unlimited
        self.wallets: dict[str, dict[str, Balance]] = {
            wallet: {asset: Balance(amount) for asset, amount in balances.items()} for wallet in wallets
        }
        self.positions: dict[str, Position] = {}
        self.resting: dict[str, Resting] = {}
        self.reducing: dict[str, dict[int, Order]] = {}
        self.updated_ns = 0
        self.open: dict[int, Order] = {}
        self.open_count: Counter[Key] = Counter()
        self.orders: dict[Key, OrderedDict[int, Order]] = {}
        self.fills: dict[Key, list[Fill]] = {}
        self.funding_payments: deque[FundingPayment] = deque(maxlen=history_limit)
        self.transfers: deque[Transfer] = deque(maxlen=history_limit)
        self.forgotten_orders = 0
        self._by_id: dict[int, Order] = {}
        self._open_by_client_id: dict[tuple[Key | None, str], Order] = {}
        self._latest_by_client_id: dict[tuple[Key | None, str], Order] = {}
        self._finished: OrderedDict[int, None] = OrderedDict()
        self._used_client_ids: OrderedDict[str, None] = OrderedDict()
        self._history_limit = history_limit

    def balance(self, wallet: str, asset: str) -> Balance:
        """Return the balance of `asset` in `wallet`, making it when there is none."""
        return self.wallets[wallet].setdefault(asset, Balance())

    def takes_client_id(self, client_order_id: str, scope: Key | None, uses: ClientIds) -> bool:
        """Say whether a new order may have that client id, and remember it where it may be used but once."""
        if uses == "ever":
            if client_order_id in self._used_client_ids:
                return False
            self._used_client_ids[client_order_id] = None
            if len(self._used_client_ids) > USED_IDS_MAX:
                self._used_client_ids.popitem(last=False)
            return True
        index = self._open_by_client_id if uses == "open" else self._latest_by_client_id
        return (scope, client_order_id) not in index

    def opened(self, order: Order, scope: Key | None) -> None:
        """Index a new order; `scope` is what its client id is unique in."""
        key = (order.market, order.symbol)
        self.open[order.order_id] = order
        self.open_count[key] += 1
        self._by_id[order.order_id] = order
        self.orders.setdefault(key, OrderedDict())[order.order_id] = order
        if order.client_order_id:
            self._open_by_client_id[scope, order.client_order_id] = order
            self._latest_by_client_id[scope, order.client_order_id] = order

    def closed(self, order: Order, scope: Key | None) -> None:
        """Move an order to the history, and forget the oldest beyond the limit."""
        del self.open[order.order_id]
        self.open_count[order.market, order.symbol] -= 1
        if order.client_order_id:
            del self._open_by_client_id[scope, order.client_order_id]
        self._finished[order.order_id] = None
        if len(self._finished) > self._history_limit:
            oldest = self._by_id.pop(self._finished.popitem(last=False)[0])
            key = (oldest.market, oldest.symbol)
            del self.orders[key][oldest.order_id]
            index = (None if scope is None else key, oldest.client_order_id)
            if self._latest_by_client_id.get(index) is oldest:
                del self._latest_by_client_id[index]
            self.forgotten_orders += 1

    def filled(self, fill: Fill) -> None:
        """Record a trade. Trimmed in blocks, so at most 1.25 times the history limit is held."""
        fills = self.fills.setdefault((fill.market, fill.symbol), [])
        fills.append(fill)
        if len(fills) > self._history_limit + self._history_limit // 4:
            del fills[: len(fills) - self._history_limit]

    def all_orders(self) -> Iterator[Order]:
        """Yield every order kept, of all markets and symbols, in the order in which they were accepted."""
        return iter(self._by_id.values())

    def find(
        self, key: Key | None, order_id: int | None = None, client_order_id: str | None = None
    ) -> Order | None:
        """Return the order with that id or client id, open or not, None when there is none.

        A client id that was used again means the open order, else the newest. Given both ids, both must fit. Without
        a `key` (market and symbol) it may be of any, where client ids are unique for the account.
        """
        if order_id is not None:
            order = self._by_id.get(order_id)
            if order is not None and client_order_id not in (None, order.client_order_id):
                return None
        elif client_order_id is not None:
            order = None
            for scope in (key, None):
                index = (scope, client_order_id)
                order = order or self._open_by_client_id.get(index) or self._latest_by_client_id.get(index)
        else:
            return None
        if order is None or key not in (None, (order.market, order.symbol)):
            return None
        return order
