"""What becomes of positions whose margin is gone, and of those that the exchange has to reduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from .execution import Execution
from .ledger import Account
from .margin import maintenance_margin, summarise
from .markets import Market
from .orders import ADL, BUY, FUTURES, LIQUIDATION, SELL, ZERO, Order
from .reasons import Reason, Refusal
from .settlement import position_of
from .till import Till

MakeOrder = Callable[[Market, Account, str, Decimal, str], Order]


class Liquidation:
    """Closes positions in their owner's name: through the book, and what finds nobody with the insurance fund.

    The insurance fund pays what the account cannot: losses beyond an isolated margin, or beyond the wallet.
    """

    def __init__(
        self,
        wallet: str,
        markets: Mapping[tuple[str, str], Market],
        till: Till,
        execution: Execution,
        insurance: Account,
        house: Account,
        make_order: MakeOrder,
    ) -> None:
        self._wallet = wallet
        self._markets = markets
        self._till = till
        self._execution = execution
        self._insurance = insurance
        self._house = house
        self._make_order = make_order

    def sweep(self, market: Market) -> None:
        """Liquidate every holder whose margin does not carry the positions at the mark price."""
        for account in list(market.holders.values()):
            position = account.positions[market.symbol]
            if not position.quantity:
                continue
            if position.mode == "isolated":
                left = position.isolated_margin + position.unrealised(market.mark_price)
                gone = left < maintenance_margin(position, market)
            else:
                margin = summarise(account, self._wallet, market.config.settle, self._markets)
                gone = margin.equity < margin.maintenance
            if gone:
                self.liquidate(account, market)

    def liquidate(self, account: Account, market: Market) -> list[Order]:
        """Close the isolated position in `market`, or all cross positions of its settle asset; cancel orders first."""
        if position_of(account, market).mode == "isolated":
            return self._isolated(account, market)
        return self._cross(account, market.config.settle)

    def deleverage(self, account: Account, market: Market, quantity: Decimal) -> Order:
        """Close `quantity` against the house at the mark price."""
        held = position_of(account, market).quantity
        if quantity > abs(held):
            raise Refusal(Reason.REDUCE_ONLY, f"{account.name} holds {held} {market.symbol}, not {quantity}")
        order = self._make_order(market, account, SELL if held > 0 else BUY, quantity, ADL)
        self._execution.open(market, account, order)
        self._execution.trade_at(market, account, order, self._house, market.mark_price)
        self._execution.cut_reduce_only(market, account)
        self._till.tell("ADL", account)
        return order

    def _isolated(self, account: Account, market: Market) -> list[Order]:
        position = position_of(account, market)
        self._cancel_orders(account, [market])
        asset, margin = market.config.settle, position.isolated_margin
        before = account.balance(self._wallet, asset).free
        orders = self._close(account, market)
        lost = before - account.balance(self._wallet, asset).free
        self._cover(account, asset, lost - margin)
        self._finish(account, [market])
        return orders

    def _cross(self, account: Account, asset: str) -> list[Order]:
        markets = [
            self._markets[FUTURES, position.symbol]
            for position in account.positions.values()
            if position.mode == "cross" and self._markets[FUTURES, position.symbol].config.settle == asset
        ]
        self._cancel_orders(account, markets)
        orders = [order for market in markets for order in self._close(account, market)]
        margin = summarise(account, self._wallet, asset, self._markets)
        self._cover(account, asset, -margin.equity)
        self._finish(account, markets)
        return orders

    def _cancel_orders(self, account: Account, markets: list[Market]) -> None:
        keys = {market.key: market for market in markets}
        for order in list(account.open.values()):
            market = keys.get((order.market, order.symbol))
            if market is not None:
                self._execution.leave_book(market, account, order)
                self._execution.close(market, account, order, "CANCELED", Reason.LIQUIDATION)

    def _close(self, account: Account, market: Market) -> list[Order]:
        """Close a whole position with one order; what the book does not take, the insurance fund does."""
        held = position_of(account, market).quantity
        if not held:
            return []
        side = SELL if held > 0 else BUY
        order = self._make_order(market, account, side, abs(held), LIQUIDATION)
        execution = self._execution
        execution.open(market, account, order)
        execution.match_book(market, account, order)
        if order.is_open:
            execution.trade_at(market, account, order, self._insurance, market.mark_price)
        return [order]

    def _cover(self, account: Account, asset: str, missing: Decimal) -> None:
        if missing > ZERO:
            self._till.add(self._insurance, self._wallet, asset, -missing)
            self._till.add(account, self._wallet, asset, missing)

    def _finish(self, account: Account, markets: list[Market]) -> None:
        self._till.tell("LIQUIDATION", account)
        for market in markets:
            self._execution.finish(market)
