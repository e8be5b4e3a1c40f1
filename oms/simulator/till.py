"""Every movement of money goes through here, and those whom it concerns are told once an operation is done."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs

from .events import FundsChange, FundsReason, Listener
from .ledger import Account, FundingPayment
from .orders import ZERO, Order
from .positions import Position


@attrs.define
class _Touched:
    assets: dict[str, Decimal] = attrs.Factory(dict)
    positions: dict[str, Position] = attrs.Factory(dict)


class Till:
    """Moves amounts between accounts, wallets, and free and locked. None is made or lost but by `add`'s callers."""

    def __init__(self, clock: Callable[[], int], listener: Callable[[], Listener]) -> None:
        self._clock = clock
        self._listener = listener
        self._touched: dict[tuple[Account, str], _Touched] = {}

    def add(self, account: Account, wallet: str, asset: str, amount: Decimal) -> None:
        """Add `amount`, which may be negative, to what is free."""
        account.balance(wallet, asset).free += amount
        self._touch(account, wallet, asset, amount)

    def lock(self, account: Account, order: Order, wallet: str, asset: str, amount: Decimal) -> None:
        """Reserve `amount` for a spot order. The caller has checked that it is free."""
        balance = account.balance(wallet, asset)
        assert balance.free >= amount >= 0, f"{account.name} has {balance.free} {asset} free, needs {amount}"
        balance.free -= amount
        balance.locked += amount
        order.locked += amount
        self._touch(account, wallet, asset, ZERO)

    def unlock(self, account: Account, order: Order, wallet: str, asset: str, amount: Decimal) -> None:
        """Give `amount` of what a spot order has reserved back."""
        assert order.locked >= amount >= 0, f"order {order.order_id} has {order.locked} locked, not {amount}"
        balance = account.balance(wallet, asset)
        balance.locked -= amount
        balance.free += amount
        order.locked -= amount
        self._touch(account, wallet, asset, ZERO)

    def moved(self, account: Account, wallet: str, position: Position) -> None:
        """Note that a position changed."""
        if not account.unlimited:
            self._of(account, wallet).positions[position.symbol] = position

    def tell(
        self, reason: FundsReason, account: Account | None = None, payment: FundingPayment | None = None
    ) -> None:
        """Tell what changed since the last call, of `account` alone when it is given."""
        if not self._touched:
            return
        now = self._clock()
        due = [key for key in self._touched if account in (None, key[0])]
        for key in due:
            touched = self._touched.pop(key)
            owner, wallet = key
            owner.updated_ns = now
            self._listener().funds(
                FundsChange(
                    owner, wallet, reason, touched.assets, tuple(touched.positions.values()), now, payment
                )
            )

    def _of(self, account: Account, wallet: str) -> _Touched:
        touched = self._touched.get((account, wallet))
        if touched is None:
            touched = self._touched[account, wallet] = _Touched()
        return touched

    def _touch(self, account: Account, wallet: str, asset: str, amount: Decimal) -> None:
        if not account.unlimited:
            assets = self._of(account, wallet).assets
            assets[asset] = assets.get(asset, ZERO) + amount
