"""What accounts own: wallets of free and locked balances, positions, orders and their history.

Amounts move between accounts and wallets, none is made or lost here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal

import attrs

from .orders import ZERO, Fill, Order
from .positions import Position

Key = tuple[str, str]
"""Market and symbol."""


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
    """An amount that went from one wallet of an account to another."""

    transfer_id: int
    asset: str
    amount: Decimal
    source: str
    target: str
    time_ns: int


@attrs.define
class Resting:
    """Notional, in quote asset, of one account's working orders in one futures symbol; without the reduce-only ones."""

    bids: Decimal = ZERO
    asks: Decimal = ZERO


class Account:
    """One account.

    `unlimited` is for the house and the insurance fund alone: they may owe any amount, lock nothing and keep no history.
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
        unlimited: bool = False,
    ) -> None:
        self.name = name
        self.uid = uid
        self.api_key = api_key
        self.api_secret = api_secret
        self.passphrase = passphrase
        self.unlimited = unlimited
        self.wallets: dict[str, dict[str, Balance]] = {
            wallet: {asset: Balance(amount) for asset, amount in balances.items()} for wallet in wallets
        }
        self.positions: dict[str, Position] = {}
        self.resting: dict[str, Resting] = {}
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
        self._history_limit = history_limit

    def balance(self, wallet: str, asset: str) -> Balance:
        """Return the balance of `asset` in `wallet`, making it when there is none."""
        return self.wallets[wallet].setdefault(asset, Balance())

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
