"""Whether an order may be accepted or amended: filters, client ids, funds and margin."""

from __future__ import annotations

from decimal import Decimal

import attrs

from .checks import check_counts, check_prices, check_size
from .execution import Execution, is_triggered, price_and_notional
from .ledger import Account
from .margin import needed_for
from .markets import Market
from .orders import BUY, SPOT, Order, OrderRequest
from .reasons import Reason, Refusal
from .rules import Rules
from .settlement import Settlement, position_of
from .till import Till

Terms = tuple[Decimal, Decimal, Decimal]
"""Quantity, price and stop price of an order."""


class Admission:
    """Raises the `Refusal` that an order meets, and reserves what it needs."""

    def __init__(self, rules: Rules, till: Till, settlement: Settlement, execution: Execution) -> None:
        self._rules = rules
        self._till = till
        self._settlement = settlement
        self._execution = execution

    def check(self, market: Market, account: Account, request: OrderRequest) -> None:
        """Raise what refuses a new order, but for its client id, funds, position and the book."""
        _check_trading(market)
        check_prices(market, request)
        check_size(market, request)
        check_counts(market, account, request)
        if request.reduce_only and not market.is_futures:
            raise Refusal(Reason.REDUCE_ONLY, "spot orders cannot be reduce-only")

    def claim_client_id(self, market: Market, account: Account, client_id: str | None) -> None:
        """Raise DUPLICATE_CLIENT_ID for an id that the exchange's rules do not let be used (again)."""
        if not client_id:
            return
        if not account.takes_client_id(client_id, self._execution.scope(market), self._rules.client_ids):
            raise Refusal(Reason.DUPLICATE_CLIENT_ID, f"the client order id {client_id!r} is in use")

    def reserve(self, market: Market, account: Account, order: Order) -> None:
        """Lock the funds of a spot order, or see that there is margin for a futures order."""
        if market.is_futures:
            self._check_margin(market, account, order)
            return
        wallet = self._rules.wallets[SPOT]
        asset, amount = self._settlement.reserve(market, order)
        self.check_spendable(account, wallet, asset, amount)
        self._till.lock(account, order, wallet, asset, amount)

    def check_amend(self, market: Market, order: Order, new: Terms) -> None:
        """Raise what refuses the new quantity, price and stop price, but for funds."""
        if new == (order.quantity, order.price, order.stop_price):
            raise Refusal(Reason.NOT_MODIFIED, "the order has these terms already")
        if new[0] <= order.executed:
            raise Refusal(Reason.AMEND_QUANTITY, f"{order.executed} is executed already, so not {new[0]}")
        _check_trading(market)
        request = OrderRequest(
            order.market,
            order.symbol,
            order.side,
            order.type,
            new[0],
            price=new[1],
            stop_price=new[2],
            reduce_only=order.reduce_only,
        )
        check_prices(market, request)
        check_size(market, request)
        if order.is_waiting:
            probe = attrs.evolve(order, stop_price=new[2])
            if is_triggered(probe, market.last_price):
                raise Refusal(Reason.WOULD_TRIGGER, f"the stop price {new[2]} would trigger at once")

    def check_amended_funds(self, market: Market, account: Account, order: Order, new: Terms) -> None:
        """Raise INSUFFICIENT_FUNDS or INSUFFICIENT_MARGIN when the new terms need more than there is."""
        execution, old = self._execution, (order.quantity, order.price, order.stop_price)
        counted = not order.is_waiting
        if counted:
            execution.count_resting(market, account, order, -order.leaves)
        order.quantity, order.price, order.stop_price = new
        try:
            if not market.is_futures:
                asset, amount = self._settlement.reserve(market, order)
                self.check_spendable(account, self._rules.wallets[SPOT], asset, amount - order.locked)
            elif counted:
                self._check_margin(market, account, order)
        finally:
            order.quantity, order.price, order.stop_price = old
            if counted:
                execution.count_resting(market, account, order, order.leaves)

    def fit_lock(self, market: Market, account: Account, order: Order) -> None:
        """Reserve for a spot order what its terms need now, no more and no less."""
        if market.is_futures:
            return
        wallet = self._rules.wallets[SPOT]
        asset, amount = self._settlement.reserve(market, order)
        if amount > order.locked:
            self._till.lock(account, order, wallet, asset, amount - order.locked)
        else:
            self._till.unlock(account, order, wallet, asset, order.locked - amount)

    def check_spendable(self, account: Account, wallet: str, asset: str, amount: Decimal) -> None:
        """Raise INSUFFICIENT_FUNDS when a wallet has less than `amount` to spend."""
        spendable = self._execution.spendable(account, wallet, asset)
        if amount > spendable:
            raise Refusal(
                Reason.INSUFFICIENT_FUNDS, f"{account.name} can spend {spendable} {asset}, not {amount}"
            )

    def _check_margin(self, market: Market, account: Account, order: Order) -> None:
        if order.is_waiting:
            return
        position = position_of(account, market)
        if order.reduce_only:
            if position.quantity * (1 if order.side == BUY else -1) >= 0:
                raise Refusal(Reason.REDUCE_ONLY, f"there is no position that {order.side} would reduce")
            return
        price, notional = price_and_notional(market, order.side, order.leaves, order.price)
        needed = needed_for(account, market, position, order.side, price, notional)
        if not needed:
            return
        available = self._execution.available(account, market.config.settle)
        if needed > available:
            raise Refusal(
                Reason.INSUFFICIENT_MARGIN, f"margin of {needed} is needed, {available} is available"
            )


def _check_trading(market: Market) -> None:
    if market.status != "TRADING":
        raise Refusal(Reason.NOT_TRADING, f"{market.symbol} is halted")
