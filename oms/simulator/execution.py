"""The life of an order once it is accepted: matched, rested, triggered, cut, closed, and each change reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from .events import FundsReason, Listener
from .ledger import Account, Resting
from .margin import needed_for, summarise
from .markets import Market, PublicTrade
from .matching import Match
from .orders import BUY, FUTURES, SPOT, ZERO, Fill, Order, OrderUpdate
from .reasons import Reason
from .rules import Rules
from .settlement import Settlement, position_of
from .till import Till


class Execution:
    """Works on accepted orders. It raises no refusals: what cannot go on ends an order with a reason."""

    def __init__(
        self,
        rules: Rules,
        clock: Callable[[], int],
        listener: Callable[[], Listener],
        markets: Mapping[tuple[str, str], Market],
        accounts: Mapping[str, Account],
        till: Till,
        settlement: Settlement,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._listener = listener
        self._markets = markets
        self._accounts = accounts
        self._till = till
        self._settlement = settlement
        self._next_execution_id = 1

    def scope(self, market: Market) -> tuple[str, str] | None:
        """Return what client order ids are unique in: None is the whole account."""
        return market.key if self._rules.client_id_scope == "symbol" else None

    def open(self, market: Market, account: Account, order: Order) -> None:
        """Book a new order and say so."""
        account.opened(order, self.scope(market))
        if order.stop_price:
            market.waiting[order.order_id] = order
        else:
            order.working_ns = order.created_ns
        if order.reduce_only:
            account.reducing.setdefault(market.symbol, {})[order.order_id] = order
        self.report(order, "NEW")

    def match(self, market: Market, account: Account, order: Order) -> None:
        """Match, settle and report an order that is working, then rest or expire what remains."""
        limit = order.price if order.is_limit else None
        if order.reduce_only:
            self.cut_reduce_only(market, account)
            if not order.is_open:
                return
        if (
            order.time_in_force == "FOK"
            and market.book.obtainable(order.side, order.leaves, limit)[0] < order.leaves
        ):
            self.close(market, account, order, "EXPIRED", Reason.NO_LIQUIDITY)
            return
        self.match_book(market, account, order)
        if not order.is_open:
            return
        if order.is_limit and order.time_in_force == "GTC":
            market.book.rest(order)
            self.count_resting(market, account, order, order.leaves)
        else:
            if order.quote_quantity:
                order.quantity = order.executed
            self.close(market, account, order, "EXPIRED", Reason.NO_LIQUIDITY)

    def match_book(self, market: Market, account: Account, order: Order) -> None:
        """Match and settle what the book has for an order, and leave the rest of it as it is."""
        for match in market.book.take(order, order.price if order.is_limit else None):
            self._settle(market, account, order, match)

    def leave_book(self, market: Market, account: Account, order: Order) -> None:
        """Take an open order off the book, or from among the waiting ones, if it is there."""
        if market.waiting.pop(order.order_id, None) is None and order in market.book:
            market.book.remove(order)
            self.count_resting(market, account, order, -order.leaves)

    def close(
        self,
        market: Market,
        account: Account,
        order: Order,
        status: str,
        reason: Reason | None = None,
        cancel_client_id: str | None = None,
    ) -> None:
        """End an order that is on no book."""
        order.status = status
        order.reason = reason
        order.updated_ns = self._clock()
        if account.unlimited:
            return
        self._forget(market, account, order)
        self.report(order, status, cancel_client_id=cancel_client_id)

    def trade_at(
        self, market: Market, account: Account, order: Order, other: Account, price: Decimal
    ) -> None:
        """Fill an order against `other`, an unlimited account, at `price`, past the book and unseen by the public."""
        trade = PublicTrade(market.next_trade_id, price, order.leaves, self._clock(), order.side != BUY)
        market.next_trade_id += 1
        order.executed += trade.quantity
        order.executed_quote += market.notional(price, trade.quantity)
        counter = _counter_order(order, other)
        self._settlement.pay(market, other, counter, trade, is_maker=True)
        self._apply(market, account, order, trade, is_maker=False)

    def amended(self, market: Market, account: Account, order: Order) -> None:
        """Say that an order was amended."""
        order.updated_ns = self._clock()
        self.report(order, "AMENDED")

    def decrease(self, market: Market, account: Account, order: Order, quantity: Decimal) -> None:
        """Take `quantity` off a working order's total; it keeps its place in the queue."""
        if order in market.book:
            market.book.decrease(order, quantity)
            self.count_resting(market, account, order, -quantity)
        else:
            order.quantity -= quantity

    def cut_reduce_only(self, market: Market, account: Account) -> None:
        """Let no working reduce-only order be larger than the position it reduces."""
        reducing = account.reducing.get(market.symbol)
        if not reducing:
            return
        held = position_of(account, market).quantity
        for order in list(reducing.values()):
            if order.is_waiting or not order.is_open:
                continue
            most = abs(held) if (held < 0) == (order.side == BUY) else ZERO
            if order.leaves <= most:
                continue
            if most == 0:
                self.leave_book(market, account, order)
                self.close(market, account, order, "EXPIRED", Reason.REDUCE_ONLY)
            else:
                self.decrease(market, account, order, order.leaves - most)
                self.amended(market, account, order)

    def finish(self, market: Market, reason: FundsReason = "ORDER") -> None:
        """Trigger what the new price triggers, until nothing does, then tell funds and the book."""
        while True:
            due = [order for order in market.waiting.values() if is_triggered(order, market.last_price)]
            if not due:
                break
            for order in due:
                # A position that an earlier one closed may have ended this one.
                if market.waiting.pop(order.order_id, None) is not None:
                    self._trigger(market, self._accounts[order.account], order)
        self._till.tell(reason)
        self._listener().book(market)

    def record_trade(
        self, market: Market, price: Decimal, quantity: Decimal, *, is_buyer_maker: bool
    ) -> PublicTrade:
        """Count a public trade."""
        trade = PublicTrade(market.next_trade_id, price, quantity, self._clock(), is_buyer_maker)
        market.next_trade_id += 1
        market.trades.append(trade)
        market.last_price = price
        market.high = max(market.high, price)
        market.low = min(market.low, price)
        market.volume += quantity
        market.quote_volume += market.notional(price, quantity)
        return trade

    def report(
        self, order: Order, execution: str, *, fill: Fill | None = None, cancel_client_id: str | None = None
    ) -> None:
        """Tell one change of one order."""
        execution_id = self._next_execution_id
        self._next_execution_id += 1
        self._listener().order(
            OrderUpdate(order, execution, execution_id, order.updated_ns, fill, cancel_client_id)
        )

    def _settle(self, market: Market, taker_account: Account, taker: Order, match: Match) -> None:
        maker = match.maker
        maker_account = self._accounts[maker.account]
        if not maker_account.unlimited:
            self.count_resting(market, maker_account, maker, -match.quantity)
        trade = self.record_trade(market, match.price, match.quantity, is_buyer_maker=maker.side == BUY)
        self._apply(market, maker_account, maker, trade, is_maker=True)
        self._apply(market, taker_account, taker, trade, is_maker=False)
        if market.is_futures:
            for account in (maker_account, taker_account):
                self.cut_reduce_only(market, account)
        self._listener().trade(market, trade)

    def _apply(
        self, market: Market, account: Account, order: Order, trade: PublicTrade, *, is_maker: bool
    ) -> None:
        """Settle and report one side of a trade whose quantity the order has executed already."""
        order.updated_ns = trade.time_ns
        order.status = "FILLED" if order.leaves == 0 else "PARTIALLY_FILLED"
        fill = self._settlement.pay(market, account, order, trade, is_maker=is_maker)
        if account.unlimited:
            return
        order.fills.append(fill)
        account.filled(fill)
        if order.leaves == 0:
            self._forget(market, account, order)
        self.report(order, "TRADE", fill=fill)

    def _forget(self, market: Market, account: Account, order: Order) -> None:
        self._settlement.release(market, account, order)
        account.closed(order, self.scope(market))
        if order.reduce_only:
            del account.reducing[market.symbol][order.order_id]

    def count_resting(self, market: Market, account: Account, order: Order, quantity: Decimal) -> None:
        """Count `quantity` more of a futures order as resting, at its price."""
        if not market.is_futures or order.reduce_only or account.unlimited:
            return
        position_of(account, market)
        resting = account.resting.setdefault(market.symbol, Resting())
        notional = market.notional(order.price, quantity)
        if order.side == BUY:
            resting.bids += notional
        else:
            resting.asks += notional

    def _trigger(self, market: Market, account: Account, order: Order) -> None:
        order.working_ns = order.updated_ns = self._clock()
        if market.is_futures:
            if not order.reduce_only and not self._has_margin(market, account, order):
                self.close(market, account, order, "EXPIRED", Reason.INSUFFICIENT_MARGIN)
                return
        elif not order.is_limit:
            self._settlement.release(market, account, order)
            wallet = self._rules.wallets[SPOT]
            asset, amount = self._settlement.reserve(market, order)
            if self.spendable(account, wallet, asset) < amount:
                self.close(market, account, order, "EXPIRED", Reason.INSUFFICIENT_FUNDS)
                return
            self._till.lock(account, order, wallet, asset, amount)
        self.report(order, "NEW")
        self.match(market, account, order)

    def _has_margin(self, market: Market, account: Account, order: Order) -> bool:
        price, notional = price_and_notional(market, order.side, order.leaves, order.price)
        needed = needed_for(account, market, position_of(account, market), order.side, price, notional)
        if not needed:
            return True
        return needed <= self.available(account, market.config.settle)

    def available(self, account: Account, asset: str) -> Decimal:
        """Return the margin that a new order may use."""
        return summarise(account, self._rules.wallets[FUTURES], asset, self._markets).available

    def spendable(self, account: Account, wallet: str, asset: str) -> Decimal:
        """Return how much of an asset spot orders, transfers and withdrawals may use; it may be negative."""
        free = account.balance(wallet, asset).free
        if account.positions and wallet == self._rules.wallets.get(FUTURES):
            return min(free, self.available(account, asset))
        return free


def is_triggered(order: Order, price: Decimal) -> bool:
    """Stop losses trigger on a price that goes against them, take profits on one that goes with them."""
    rising = (order.side == BUY) == order.type.startswith("STOP_LOSS")
    return price >= order.stop_price if rising else price <= order.stop_price


def price_and_notional(
    market: Market, side: str, quantity: Decimal, limit: Decimal
) -> tuple[Decimal, Decimal]:
    """Return the price that margin is reckoned at and what `quantity` is worth there; `limit` 0 is a market order."""
    if limit:
        return limit, market.notional(limit, quantity)
    taken, worth = market.book.obtainable(side, quantity, None)
    if not taken:
        return market.mark_price, market.notional(market.mark_price, quantity)
    price = worth / (taken * market.config.contract_size)
    return price, market.notional(price, quantity)


def _counter_order(order: Order, other: Account) -> Order:
    """Make the other side of a trade past the book; nobody sees it."""
    return Order(
        account=other.name,
        market=order.market,
        symbol=order.symbol,
        order_id=0,
        client_order_id="",
        side="SELL" if order.side == BUY else BUY,
        type="MARKET",
        time_in_force="GTC",
        quantity=order.quantity,
        price=ZERO,
        stop_price=ZERO,
        created_ns=order.created_ns,
        updated_ns=order.created_ns,
        origin=order.origin,
    )
