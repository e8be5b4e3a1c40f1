"""The exchange itself, in words of no exchange: orders come in, are checked, matched and settled, and all are told.

No network and no clock of its own: the time is asked for, and what happened goes to a `Listener`.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import Concatenate, Literal, ParamSpec, TypeVar

from .admission import Admission
from .config import HOUSE, INSURANCE, ExchangeConfig, SymbolConfig
from .events import Listener
from .execution import Execution, is_triggered
from .funding import Funding, next_funding
from .ledger import Account, FundingPayment, Transfer
from .liquidation import Liquidation
from .margin import Margin, liquidation_price, position_margin, summarise, worst_notional
from .markets import Market
from .matching import Book
from .orders import FUTURES, ZERO, Fill, Order, OrderRequest
from .positions import MarginMode, Position
from .reasons import Reason, Refusal
from .settlement import Settlement, position_of
from .terms import PositionTerms
from .till import Till

# Sums of amounts with 18 decimals stay exact.
_EXACT = Context(prec=60)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _exact(
    method: Callable[Concatenate[Exchange, _P], _R],
) -> Callable[Concatenate[Exchange, _P], _R]:
    """Let a method reckon with enough digits, whatever its caller reckons with."""

    @functools.wraps(method)
    def run(self: Exchange, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with localcontext(_EXACT):
            return method(self, *args, **kwargs)

    return run


class _Nobody:
    """Listens while the exchange is being set up."""

    def order(self, update: object) -> None: ...

    def funds(self, change: object) -> None: ...

    def trade(self, market: Market, trade: object) -> None: ...

    def book(self, market: Market) -> None: ...

    def mark(self, market: Market) -> None: ...

    def status(self, market: Market) -> None: ...


class Exchange:
    """All markets and all accounts. Every method finishes what it starts: between calls the state is whole.

    Attributes:
        listener: who is told; nobody, until it is set.
        markets: by (market, symbol), such as ("spot", "BTCUSDT").
        accounts: by name, `house` and `insurance` included.
        keys: accounts by API key.
        by_venue_id: accounts by what the exchange calls them.
        between_accounts: transfers between two accounts, oldest first.
        assets: all assets, sorted.
    """

    def __init__(
        self, config: ExchangeConfig, clock: Callable[[], int], listener: Listener | None = None
    ) -> None:
        self.config = config
        self.rules = config.rules
        self.clock = clock
        self.listener: Listener = listener or _Nobody()
        now = clock()
        self.markets = {(s.market, s.symbol): self._make_market(s, now) for s in config.symbols}
        self.assets = sorted({asset for s in config.symbols for asset in (s.base, s.quote)})
        self.house = self._own_account(HOUSE)
        self.insurance = self._own_account(INSURANCE)
        self.accounts: dict[str, Account] = {HOUSE: self.house, INSURANCE: self.insurance}
        self.keys: dict[str, Account] = {}
        self.by_venue_id: dict[str, Account] = {}
        self.between_accounts: deque[Transfer] = deque(maxlen=config.history_limit)
        for uid, account in enumerate(config.accounts, start=1):
            made = Account(
                account.name,
                uid,
                self.rules.all_wallets,
                account.balances,
                config.history_limit,
                api_key=account.api_key,
                api_secret=account.api_secret,
                passphrase=account.passphrase,
                venue_id=config.venue_id(account),
                main=account.name == config.main,
            )
            made.updated_ns = now
            self.accounts[account.name] = self.keys[account.api_key] = made
            self.by_venue_id[made.venue_id] = made
        futures_wallet = self.rules.wallets.get(FUTURES, "")
        self._till = till = Till(clock, self._listening)
        settlement = Settlement(self.rules, till, self.house)
        self._execution = execution = Execution(
            self.rules, clock, self._listening, self.markets, self.accounts, till, settlement
        )
        self._admission = Admission(self.rules, till, settlement, execution)
        self._terms = PositionTerms(futures_wallet, clock, till, execution)
        self._funding = Funding(
            config.funding_interval_s, futures_wallet, clock, till, self.house, self._booking_id
        )
        self._liquidation = Liquidation(
            futures_wallet, self.markets, till, execution, self.insurance, self.house, self._system_order
        )
        self._next_order_id = 1
        self._next_generated_id = 1
        self._next_booking_id = 1

    def revoke(self, account: Account) -> None:
        """Take an account's key away: requests with it are refused like those with any unknown key; what is connected stays so."""
        self.keys.pop(account.api_key, None)

    def _listening(self) -> Listener:
        return self.listener

    def _make_market(self, config: SymbolConfig, now: int) -> Market:
        price = config.start_price
        return Market(
            config,
            last_price=price,
            opened_ns=now,
            open_price=price,
            high=price,
            low=price,
            mark_price=price,
            index_price=price,
            funding_rate=config.funding_rate if config.market == FUTURES else ZERO,
            next_funding_ns=next_funding(now, self.config.funding_interval_s),
            book=Book(config.contract_size, config.step),
        )

    def _own_account(self, name: str) -> Account:
        return Account(name, 0, self.rules.all_wallets, {}, 1, unlimited=True)

    # Looking

    def market(self, market: str, symbol: str) -> Market:
        """Return a market. Raises `Refusal` NO_SYMBOL."""
        found = self.markets.get((market, symbol))
        if found is None:
            raise Refusal(Reason.NO_SYMBOL, f"there is no {symbol!r} on {market}")
        return found

    def find(
        self,
        account: Account,
        market: str | None,
        symbol: str | None,
        order_id: int | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """Return an order, open or not. Raises `Refusal` NO_SYMBOL or NO_ORDER.

        Market and symbol may both be None for an order id, and where client ids are unique for the account.
        """
        key = None
        if market is not None and symbol is not None:
            key = self.market(market, symbol).key
        order = account.find(key, order_id, client_order_id)
        if order is None:
            raise Refusal(Reason.NO_ORDER, f"there is no order {order_id or client_order_id}")
        return order

    def fills(self, account: Account, market: str, symbol: str | None = None) -> list[Fill]:
        """Return the fills kept, of one symbol or of all, in the order in which they happened."""
        if symbol is not None:
            return account.fills.get((market, symbol), [])
        found = [fill for key, fills in account.fills.items() if key[0] == market for fill in fills]
        return sorted(found, key=lambda fill: (fill.time_ns, fill.symbol, fill.trade_id))

    def position(self, account: Account, symbol: str) -> Position:
        """Return the account's position in a futures symbol, a flat one when it never had any. NO_SYMBOL."""
        return position_of(account, self.market(FUTURES, symbol))

    @_exact
    def margin(self, account: Account, asset: str) -> Margin:
        """Return the account's margin figures in a settle asset, of the wallet that futures use."""
        return summarise(account, self.rules.wallets[FUTURES], asset, self.markets)

    @_exact
    def initial_margin(self, account: Account, symbol: str) -> Decimal:
        """Return the initial margin of one position alone: |notional| / leverage, or the isolated margin."""
        return position_margin(self.position(account, symbol), self.market(FUTURES, symbol).mark_price)

    @_exact
    def order_margin(self, account: Account, symbol: str) -> Decimal:
        """Return the initial margin of the working orders of one futures symbol."""
        market, position = self.market(FUTURES, symbol), self.position(account, symbol)
        held = position.notional(market.mark_price)
        return (worst_notional(account, market, held) - abs(held)) / position.leverage

    @_exact
    def liquidation_price(self, account: Account, symbol: str) -> Decimal:
        """Return the mark price at which the position is liquidated, all else unchanged; 0 when there is none."""
        market = self.market(FUTURES, symbol)
        margin = self.margin(account, market.config.settle)
        return liquidation_price(self.position(account, symbol), market, margin)

    @_exact
    def withdrawable(self, account: Account, wallet: str, asset: str) -> Decimal:
        """Return how much of an asset may leave a wallet now."""
        return max(ZERO, self._execution.spendable(account, wallet, asset))

    # Trading

    def generate_client_id(self) -> str:
        """Return a client order id for those who sent none, in the shape of Binance's own (22 characters)."""
        self._next_generated_id += 1
        return f"sim{self._next_generated_id:019d}"

    @_exact
    def check(self, account: Account, request: OrderRequest) -> Market:
        """Raise the `Refusal` for which `place` would refuse, but for funds, position and book; return the market."""
        market = self.market(request.market, request.symbol)
        self._admission.check(market, account, request)
        return market

    @_exact
    def place(self, account: Account, request: OrderRequest) -> Order:
        """Accept and match an order. Raises `Refusal`; then nothing has changed.

        An order that was accepted may come back closed: filled, EXPIRED, or CANCELED (post-only, where the exchange's
        rules say so); `order.reason` says why.
        """
        client_id, uses = request.client_order_id, self.rules.client_ids
        # Where an id is spent for ever, a refused order spends it too.
        market = self.market(request.market, request.symbol)
        if uses == "ever":
            self._admission.claim_client_id(market, account, client_id)
            self._admission.check(market, account, request)
        else:
            self._admission.check(market, account, request)
            self._admission.claim_client_id(market, account, client_id)
        if not client_id:
            client_id = self.generate_client_id() if self.rules.makes_client_ids else ""
        order = self._new_order(market, account, request, client_id)
        crosses = order.post_only and market.book.crosses(order.side, order.price)
        policy = self.rules.post_only[market.name]
        if crosses and policy == "reject":
            raise Refusal(Reason.WOULD_MATCH, "a post-only order would match at once")
        if order.stop_price and is_triggered(order, market.last_price):
            raise Refusal(Reason.WOULD_TRIGGER, f"the stop price {order.stop_price} would trigger at once")
        self._admission.reserve(market, account, order)
        execution = self._execution
        execution.open(market, account, order)
        if crosses:
            status = "CANCELED" if policy == "cancel" else "EXPIRED"
            execution.close(market, account, order, status, Reason.WOULD_MATCH)
        elif not order.stop_price:
            execution.match(market, account, order)
        execution.finish(market)
        return order

    @_exact
    def cancel(self, account: Account, order: Order, cancel_client_id: str | None = None) -> None:
        """Cancel an open order. Raises `Refusal` ORDER_CLOSED."""
        self._check_open(order)
        market = self.markets[order.market, order.symbol]
        self._execution.leave_book(market, account, order)
        self._execution.close(market, account, order, "CANCELED", cancel_client_id=cancel_client_id)
        self._execution.finish(market)

    @_exact
    def amend(
        self,
        account: Account,
        order: Order,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change an open order in place; `quantity` is the new total, executed part included.

        It keeps its place in the queue when only the quantity shrinks. A new price may match at once. Raises `Refusal`:
        ORDER_CLOSED, NOT_MODIFIED, AMEND_QUANTITY (not above what is executed), or as `place`; then nothing has changed.
        """
        self._check_open(order)
        market = self.markets[order.market, order.symbol]
        new = (quantity or order.quantity, price or order.price, stop_price or order.stop_price)
        self._admission.check_amend(market, order, new)
        crosses = order.post_only and not order.is_waiting and market.book.crosses(order.side, new[1])
        policy = self.rules.post_only[market.name]
        if crosses and policy == "reject":
            raise Refusal(Reason.WOULD_MATCH, "the post-only order would match at once")
        execution, waiting = self._execution, order.is_waiting
        if not waiting and new[1:] == (order.price, order.stop_price) and new[0] < order.quantity:
            execution.decrease(market, account, order, order.quantity - new[0])
            self._admission.fit_lock(market, account, order)
            execution.amended(market, account, order)
        else:
            self._admission.check_amended_funds(market, account, order, new)
            execution.leave_book(market, account, order)
            order.quantity, order.price, order.stop_price = new
            self._admission.fit_lock(market, account, order)
            if waiting:
                market.waiting[order.order_id] = order
            execution.amended(market, account, order)
            if crosses:
                status = "CANCELED" if policy == "cancel" else "EXPIRED"
                execution.close(market, account, order, status, Reason.WOULD_MATCH)
            elif not waiting:
                execution.match(market, account, order)
        execution.finish(market)

    @_exact
    def set_leverage(self, account: Account, symbol: str, leverage: int) -> bool:
        """Set the leverage; return whether that changed it.

        Raises `Refusal` NO_SYMBOL, LEVERAGE, INSUFFICIENT_MARGIN, or POSITION_OPEN (less leverage for an open isolated
        position).
        """
        return self._terms.set_leverage(account, self.market(FUTURES, symbol), leverage)

    @_exact
    def set_margin_mode(self, account: Account, symbol: str, mode: MarginMode) -> bool:
        """Set the margin mode; return whether that changed it.

        Raises `Refusal` NO_SYMBOL, MARGIN_MODE, POSITION_OPEN or ORDERS_OPEN.
        """
        return self._terms.set_margin_mode(account, self.market(FUTURES, symbol), mode)

    @_exact
    def adjust_margin(self, account: Account, symbol: str, amount: Decimal) -> None:
        """Add to (or take from, when negative) an isolated position's margin.

        Raises `Refusal` NO_SYMBOL, MARGIN_MODE (not isolated, or flat) or INSUFFICIENT_MARGIN.
        """
        self._terms.adjust_margin(account, self.market(FUTURES, symbol), amount)

    @_exact
    def transfer(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        source: str,
        target: str,
        to: Account | None = None,
        client_id: str = "",
    ) -> Transfer:
        """Move an amount between two wallets of an account, or to a wallet of another one.

        Raises `Refusal` NO_WALLET, NO_ASSET, BAD_AMOUNT, INSUFFICIENT_FUNDS.
        """
        receiver = account if to is None else to
        if (account, source) == (receiver, target) or not {source, target} <= account.wallets.keys():
            raise Refusal(
                Reason.NO_WALLET,
                f"wallets must be two of {list(account.wallets)}, were {source!r}, {target!r}",
            )
        if asset not in self.assets:
            raise Refusal(Reason.NO_ASSET, f"there is no asset {asset!r}")
        if not amount.is_finite() or amount <= 0:
            raise Refusal(Reason.BAD_AMOUNT, f"amount must be above 0, was {amount}")
        self._admission.check_spendable(account, source, asset, amount)
        self._till.add(account, source, asset, -amount)
        self._till.add(receiver, target, asset, amount)
        made = Transfer(
            self._booking_id(),
            asset,
            amount,
            source,
            target,
            self.clock(),
            account.name,
            receiver.name,
            client_id,
        )
        account.transfers.append(made)
        if made.between_accounts:
            receiver.transfers.append(made)
            self.between_accounts.append(made)
        self._till.tell("TRANSFER")
        return made

    # What its operators do

    @_exact
    def adjust(self, account: Account, wallet: str, asset: str, amount: Decimal) -> None:
        """Deposit (or withdraw, when negative). Raises `Refusal` NO_WALLET, INSUFFICIENT_FUNDS."""
        if wallet not in account.wallets:
            raise Refusal(Reason.NO_WALLET, f"wallet must be one of {list(account.wallets)}, was {wallet!r}")
        if amount < 0:
            self._admission.check_spendable(account, wallet, asset, -amount)
        self._till.add(account, wallet, asset, amount)
        self._till.tell("DEPOSIT" if amount > 0 else "WITHDRAW")

    def set_status(self, market: Market, status: Literal["TRADING", "HALTED"]) -> None:
        """Halt or resume a symbol."""
        market.status = status
        self.listener.status(market)

    @_exact
    def set_mark(self, market: Market, price: Decimal) -> None:
        """Set mark and index price of a futures symbol; accounts whose margin that eats are liquidated."""
        market.mark_price = market.index_price = price
        self.listener.mark(market)
        self._liquidation.sweep(market)

    def set_funding_rate(self, market: Market, rate: Decimal) -> None:
        """Set the rate of the next fundings."""
        market.funding_rate = rate
        self.listener.mark(market)

    @_exact
    def settle_funding(self, market: Market, rate: Decimal | None = None) -> list[FundingPayment]:
        """Let every position pay or receive -quantity × contract size × mark price × rate; `rate` is for once."""
        payments = self._funding.settle(market, market.funding_rate if rate is None else rate)
        self.listener.mark(market)
        self._liquidation.sweep(market)
        return payments

    def settle_due_funding(self) -> None:
        """Settle the funding of every futures symbol whose time has come."""
        for market in self.markets.values():
            if market.is_futures and self.clock() >= market.next_funding_ns:
                self.settle_funding(market)

    @_exact
    def liquidate(self, account: Account, symbol: str) -> list[Order]:
        """Close a position as if its margin were gone, with system orders of origin `liquidation`.

        Cross: all the account's cross positions of that settle asset. Its working orders there are canceled first.
        Raises `Refusal` NO_SYMBOL.
        """
        return self._liquidation.liquidate(account, self.market(FUTURES, symbol))

    @_exact
    def deleverage(self, account: Account, symbol: str, quantity: Decimal) -> Order:
        """Close `quantity` of a position against the house at the mark price, with a system order of origin `adl`.

        Raises `Refusal` NO_SYMBOL, or REDUCE_ONLY when the position is smaller.
        """
        return self._liquidation.deleverage(account, self.market(FUTURES, symbol), quantity)

    # What the house does: no filters, no funds, no history

    def quote(self, side: str, market: Market, price: Decimal, quantity: Decimal) -> Order:
        """Place a limit order of the house."""
        return self._house_order(market, side, "LIMIT", quantity, price)

    def hit(self, side: str, market: Market, quantity: Decimal) -> None:
        """Send a market order of the house; what finds no counterparty is gone."""
        self._house_order(market, side, "MARKET", quantity, ZERO)

    def withdraw(self, market: Market, order: Order) -> None:
        """Take an order of the house off the book, if it is still there."""
        if order in market.book:
            market.book.remove(order)

    def cross(self, market: Market, price: Decimal, quantity: Decimal) -> None:
        """Let the house trade with itself at `price`, past the book: the last price moves, no order is touched."""
        trade = self._execution.record_trade(market, price, quantity, is_buyer_maker=False)
        self.listener.trade(market, trade)

    @_exact
    def finish_quotes(self, market: Market) -> None:
        """Trigger the stops and tell everyone, after a round of `quote`, `hit` and `withdraw`."""
        self._execution.finish(market)

    @_exact
    def _house_order(self, market: Market, side: str, kind: str, quantity: Decimal, price: Decimal) -> Order:
        request = OrderRequest(market.name, market.symbol, side, kind, quantity, price=price)
        order = self._new_order(market, self.house, request, HOUSE)
        order.working_ns = order.created_ns
        self._execution.match(market, self.house, order)
        return order

    # Parts

    def _new_order(self, market: Market, account: Account, request: OrderRequest, client_id: str) -> Order:
        now = self.clock()
        order_id = self._next_order_id
        self._next_order_id += 1
        return Order(
            account=account.name,
            market=market.name,
            symbol=market.symbol,
            order_id=order_id,
            client_order_id=client_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            quantity=request.quantity,
            price=request.price,
            stop_price=request.stop_price,
            created_ns=now,
            updated_ns=now,
            quote_quantity=request.quote_quantity,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
        )

    def _system_order(
        self, market: Market, account: Account, side: str, quantity: Decimal, origin: str
    ) -> Order:
        request = OrderRequest(market.name, market.symbol, side, "MARKET", quantity, reduce_only=True)
        order = self._new_order(market, account, request, "")
        order.client_order_id = f"{origin}{order.order_id}"
        order.origin = origin
        return order

    @staticmethod
    def _check_open(order: Order) -> None:
        if not order.is_open:
            raise Refusal(Reason.ORDER_CLOSED, f"order {order.order_id} is {order.status}")

    def _booking_id(self) -> int:
        self._next_booking_id += 1
        return self._next_booking_id
