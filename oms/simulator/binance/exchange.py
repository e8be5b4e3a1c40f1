"""The exchange itself: orders come in, are checked, matched and settled, and everyone is told.

No network and no clock of its own: the time is asked for, and what happened goes to a `Listener`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

import attrs

from . import errors, payloads
from .config import HOUSE, SimulatorConfig, SymbolConfig
from .filters import check_filters
from .ledger import Account
from .matching import Book, Match
from .orders import BUY, SELL, ZERO, Fill, Order

COMMISSION_UNIT = Decimal("0.00000001")

# What `trades` and the 24 hour ticker can look back on.
PUBLIC_TRADES_KEPT = 1_000


@attrs.frozen
class PublicTrade:
    """A trade as everyone sees it."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ns: int
    is_buyer_maker: bool


@attrs.define(eq=False)
class Market:
    """One symbol: its book, its waiting stop orders and its last trades. The statistics run since the start."""

    config: SymbolConfig
    last_price: Decimal
    opened_ns: int
    open_price: Decimal
    high: Decimal
    low: Decimal
    book: Book = attrs.Factory(Book)
    waiting: dict[int, Order] = attrs.Factory(dict)
    trades: deque[PublicTrade] = attrs.Factory(lambda: deque(maxlen=PUBLIC_TRADES_KEPT))
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    next_order_id: int = 1
    next_trade_id: int = 1

    @property
    def symbol(self) -> str:
        return self.config.symbol


@attrs.frozen
class OrderRequest:
    """A new order whose parameters are well formed; whether it is acceptable is for the exchange to say."""

    symbol: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str | None = None
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    time_in_force: str = "GTC"


class Listener(Protocol):
    """Who is told what happened, in the order in which it happened."""

    def user_event(self, account: str, event: dict[str, object]) -> None: ...

    def trade(self, market: Market, trade: PublicTrade) -> None: ...

    def book(self, market: Market) -> None: ...


class Exchange:
    """All markets and all accounts. Every method finishes what it starts: between calls the state is whole."""

    def __init__(self, config: SimulatorConfig, clock: Callable[[], int], listener: Listener) -> None:
        self.config = config
        self.clock = clock
        self._listener = listener
        now = clock()
        self.markets = {
            s.symbol: Market(s, s.start_price, now, s.start_price, s.start_price, s.start_price)
            for s in config.symbols
        }
        self.assets = sorted({asset for s in config.symbols for asset in (s.base, s.quote)})
        self.house = Account(HOUSE, 0, {}, config.history_limit, unlimited=True)
        self.accounts: dict[str, Account] = {HOUSE: self.house}
        self.secrets: dict[str, tuple[Account, str]] = {}
        for uid, account in enumerate(config.accounts, start=1):
            made = Account(account.name, uid, account.balances, config.history_limit)
            made.updated_ns = now
            self.accounts[account.name] = made
            self.secrets[account.api_key] = (made, account.api_secret)
        self._next_execution_id = 1
        self._next_generated_id = 1

    def market(self, symbol: str) -> Market:
        """Return the market of `symbol`. Raises `ApiError` -1121 when there is none."""
        market = self.markets.get(symbol)
        if market is None:
            raise errors.bad_symbol()
        return market

    def generate_client_id(self) -> str:
        """Return a client order id for those who sent none, in the shape of Binance's own (22 characters)."""
        self._next_generated_id += 1
        return f"sim{self._next_generated_id:019d}"

    def check(self, account: Account, request: OrderRequest) -> Market:
        """Raise the `ApiError` that refuses `request`, as `order/test` does, before funds are looked at."""
        market = self.market(request.symbol)
        check_filters(market, account, request)
        return market

    def place(self, account: Account, request: OrderRequest) -> Order:
        """Accept and match an order. Raises `ApiError` when it is refused; then nothing has changed."""
        market = self.check(account, request)
        client_id = request.client_order_id or self.generate_client_id()
        if (request.symbol, client_id) in account.open_by_client_id:
            raise errors.duplicate_order()
        order = self._new_order(market, account, request, client_id)
        if order.type == "LIMIT_MAKER" and market.book.crosses(order.side, order.price):
            raise errors.would_match()
        if order.stop_price and _triggered(order, market.last_price):
            raise errors.would_trigger()
        asset, amount = self._to_reserve(market, order)
        if account.balance(asset).free < amount:
            raise errors.insufficient_balance()
        market.next_order_id += 1
        account.lock(order, asset, amount)
        account.opened(order)
        if order.stop_price:
            market.waiting[order.order_id] = order
        else:
            order.working_ns = order.created_ns
        self._report(account, order, "NEW")
        if not order.stop_price:
            self._match(market, account, order)
        self._finish(market)
        return order

    def quote(self, side: str, market: Market, price: Decimal, quantity: Decimal) -> Order:
        """Place a limit order of the house: no filters, no funds, no history."""
        request = OrderRequest(market.symbol, side, "LIMIT", quantity, price=price)
        order = self._new_order(market, self.house, request, "house")
        market.next_order_id += 1
        order.working_ns = order.created_ns
        self._match(market, self.house, order)
        return order

    def hit(self, side: str, market: Market, quantity: Decimal) -> None:
        """Send a market order of the house; what finds no counterparty is gone."""
        order = self._new_order(
            market, self.house, OrderRequest(market.symbol, side, "MARKET", quantity), "house"
        )
        market.next_order_id += 1
        order.working_ns = order.created_ns
        self._match(market, self.house, order)

    def cross(self, market: Market, price: Decimal, quantity: Decimal) -> None:
        """Let the house trade with itself at `price`, past the book: the last price moves, no order is touched."""
        self._listener.trade(market, self._record_trade(market, price, quantity, is_buyer_maker=False))

    def finish_quotes(self, market: Market) -> None:
        """Trigger the stops and tell everyone, after a round of `quote`, `hit` and `withdraw`."""
        self._finish(market)

    def withdraw(self, market: Market, order: Order) -> None:
        """Take an order of the house off the book, if it is still there."""
        if order in market.book:
            market.book.remove(order)

    def find(self, account: Account, symbol: str, order_id: int | None, client_order_id: str | None) -> Order:
        """Return an order. Raises `ApiError` -1121 or -2013."""
        order = account.find(self.market(symbol).symbol, order_id, client_order_id)
        if order is None:
            raise errors.no_such_order()
        return order

    def find_open(
        self, account: Account, symbol: str, order_id: int | None, client_order_id: str | None
    ) -> Order:
        """Return an open order. Raises `ApiError` -1121 or -2011."""
        order = account.find(self.market(symbol).symbol, order_id, client_order_id)
        if order is None or not order.is_open:
            raise errors.unknown_order()
        return order

    def cancel(self, account: Account, order: Order, cancel_client_id: str | None = None) -> str:
        """Cancel an open order and return the client id of the cancellation."""
        market = self.markets[order.symbol]
        cancel_id = cancel_client_id or self.generate_client_id()
        self._leave_book(market, order)
        self._close(market, account, order, "CANCELED", cancel_id)
        self._finish(market)
        return cancel_id

    def adjust(self, account: Account, asset: str, amount: Decimal) -> None:
        """Deposit (or withdraw, when negative) `amount`. Raises `ValueError` when more is withdrawn than is free."""
        free = account.balance(asset).free
        if free + amount < 0:
            raise ValueError(f"{account.name} has {free} {asset} free: cannot withdraw {-amount}")
        account.add(asset, amount)
        now = self.clock()
        self._listener.user_event(account.name, payloads.balance_update(asset, amount, now))
        self._tell_positions(now)

    def _new_order(self, market: Market, account: Account, request: OrderRequest, client_id: str) -> Order:
        now = self.clock()
        return Order(
            account=account.name,
            symbol=market.symbol,
            order_id=market.next_order_id,
            client_order_id=client_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            quantity=request.quantity,
            price=request.price,
            stop_price=request.stop_price,
            created_ns=now,
            updated_ns=now,
        )

    def _to_reserve(self, market: Market, order: Order) -> tuple[str, Decimal]:
        if order.side == SELL:
            return market.config.base, order.quantity
        if order.is_limit:
            return market.config.quote, order.price * order.quantity
        if order.stop_price and order.is_waiting:
            return market.config.quote, order.stop_price * order.quantity
        return market.config.quote, market.book.obtainable(BUY, order.quantity, None)[1]

    def _match(self, market: Market, account: Account, order: Order) -> None:
        """Match, settle and report an order that is working, then rest or expire what remains."""
        limit = order.price if order.is_limit else None
        if (
            order.time_in_force == "FOK"
            and market.book.obtainable(order.side, order.quantity, limit)[0] < order.quantity
        ):
            self._close(market, account, order, "EXPIRED")
            return
        for match in market.book.take(order, limit):
            self._settle(market, account, order, match)
        if order.leaves == 0:
            return
        if order.is_limit and order.time_in_force == "GTC":
            market.book.rest(order)
        else:
            self._close(market, account, order, "EXPIRED")

    def _settle(self, market: Market, taker_account: Account, taker: Order, match: Match) -> None:
        maker = match.maker
        maker_account = self.accounts[maker.account]
        trade = self._record_trade(market, match.price, match.quantity, is_buyer_maker=maker.side == BUY)
        for account, order in ((maker_account, maker), (taker_account, taker)):
            order.updated_ns = trade.time_ns
            order.status = "FILLED" if order.leaves == 0 else "PARTIALLY_FILLED"
            fill = self._pay(market, account, order, trade, is_maker=order is maker)
            if account.unlimited:
                continue
            order.fills.append(fill)
            account.filled(fill)
            if order.leaves == 0:
                self._release(market, account, order)
                account.closed(order)
            self._report(account, order, "TRADE", fill=fill)
        self._listener.trade(market, trade)

    def _record_trade(
        self, market: Market, price: Decimal, quantity: Decimal, *, is_buyer_maker: bool
    ) -> PublicTrade:
        trade = PublicTrade(market.next_trade_id, price, quantity, self.clock(), is_buyer_maker)
        market.next_trade_id += 1
        market.trades.append(trade)
        market.last_price = price
        market.high = max(market.high, price)
        market.low = min(market.low, price)
        market.volume += quantity
        market.quote_volume += price * quantity
        return trade

    def _pay(
        self, market: Market, account: Account, order: Order, trade: PublicTrade, *, is_maker: bool
    ) -> Fill:
        """Move the amounts of one side of a trade; the commission of what it receives goes to the house."""
        config = market.config
        quote = trade.price * trade.quantity
        buying = order.side == BUY
        given, gives = (config.quote, quote) if buying else (config.base, trade.quantity)
        received, receives = (config.base, trade.quantity) if buying else (config.quote, quote)
        commission = ZERO
        if not account.unlimited:
            reserved = order.price * trade.quantity if buying and order.is_limit else gives
            account.unlock(order, given, reserved)
            commission = (receives * self.config.commission).quantize(COMMISSION_UNIT, ROUND_DOWN)
            self.house.add(received, commission)
        account.add(given, -gives)
        account.add(received, receives - commission)
        return Fill(
            trade_id=trade.trade_id,
            order_id=order.order_id,
            symbol=market.symbol,
            price=trade.price,
            quantity=trade.quantity,
            quote=quote,
            commission=commission,
            commission_asset=received,
            time_ns=trade.time_ns,
            is_buyer=buying,
            is_maker=is_maker,
        )

    def _release(self, market: Market, account: Account, order: Order) -> None:
        if order.locked:
            account.unlock(
                order, market.config.quote if order.side == BUY else market.config.base, order.locked
            )

    def _leave_book(self, market: Market, order: Order) -> None:
        if market.waiting.pop(order.order_id, None) is None:
            market.book.remove(order)

    def _close(
        self, market: Market, account: Account, order: Order, status: str, cancel_id: str | None = None
    ) -> None:
        order.status = status
        order.updated_ns = self.clock()
        if account.unlimited:
            return
        self._release(market, account, order)
        account.closed(order)
        self._report(account, order, status, cancel_id=cancel_id)

    def _finish(self, market: Market) -> None:
        """Trigger what the new price triggers, until nothing does, then tell balances and the book."""
        while True:
            due = [order for order in market.waiting.values() if _triggered(order, market.last_price)]
            if not due:
                break
            for order in due:
                # An earlier one's match cannot take a waiting order away, so each is still waiting here.
                del market.waiting[order.order_id]
                self._trigger(market, self.accounts[order.account], order)
        self._tell_positions(self.clock())
        self._listener.book(market)

    def _trigger(self, market: Market, account: Account, order: Order) -> None:
        order.working_ns = order.updated_ns = self.clock()
        if not order.is_limit:
            self._release(market, account, order)
            asset, amount = self._to_reserve(market, order)
            if account.balance(asset).free < amount:
                self._close(market, account, order, "EXPIRED")
                return
            account.lock(order, asset, amount)
        self._report(account, order, "NEW")
        self._match(market, account, order)

    def _report(
        self,
        account: Account,
        order: Order,
        execution: str,
        *,
        fill: Fill | None = None,
        cancel_id: str | None = None,
    ) -> None:
        execution_id = self._next_execution_id
        self._next_execution_id += 1
        event = payloads.execution_report(order, execution, execution_id, order.updated_ns, fill, cancel_id)
        self._listener.user_event(account.name, event)

    def _tell_positions(self, now: int) -> None:
        for account in self.accounts.values():
            if not account.touched:
                continue
            account.updated_ns = now
            if not account.unlimited:
                self._listener.user_event(account.name, payloads.account_position(account, now))
            account.touched.clear()


def _triggered(order: Order, price: Decimal) -> bool:
    """Stop losses trigger on a price that goes against them, take profits on one that goes with them."""
    rising = (order.side == BUY) == order.type.startswith("STOP_LOSS")
    return price >= order.stop_price if rising else price <= order.stop_price
