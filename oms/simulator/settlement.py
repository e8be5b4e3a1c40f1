"""Paying for trades: spot exchanges assets, futures change a position."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from .ledger import Account
from .markets import Market, PublicTrade
from .orders import BUY, FUTURES, SPOT, ZERO, Fill, Order
from .positions import Position
from .rules import Rules
from .till import Till

COMMISSION_UNIT = Decimal("0.00000001")


class Settlement:
    """Moves the amounts of one side of a trade; commissions go to the house."""

    def __init__(self, rules: Rules, till: Till, house: Account) -> None:
        self._rules = rules
        self._till = till
        self._house = house

    def reserve(self, market: Market, order: Order) -> tuple[str, Decimal]:
        """Return what a spot order has to reserve, and of which asset."""
        config = market.config
        if order.side != BUY:
            return config.base, order.leaves
        if order.quote_quantity:
            cost = order.quote_quantity
        elif order.is_limit:
            cost = order.price * order.leaves
        elif order.is_waiting:
            cost = order.stop_price * order.leaves
        else:
            cost = market.book.obtainable(BUY, order.leaves, None)[1]
        return config.quote, cost * self._with_fee(market)

    def _with_fee(self, market: Market) -> Decimal:
        if not self._rules.fee_in_quote:
            return Decimal(1)
        return 1 + max(market.config.maker_fee, market.config.taker_fee)

    def release(self, market: Market, account: Account, order: Order) -> None:
        """Give back what a spot order still has reserved."""
        if order.locked:
            asset = market.config.quote if order.side == BUY else market.config.base
            self._till.unlock(account, order, self._rules.wallets[SPOT], asset, order.locked)

    def pay(
        self, market: Market, account: Account, order: Order, trade: PublicTrade, *, is_maker: bool
    ) -> Fill:
        """Settle one side of a trade and return it as that side's fill."""
        pay = self._pay_futures if market.is_futures else self._pay_spot
        quote = market.notional(trade.price, trade.quantity)
        commission, asset, realised = pay(market, account, order, trade, quote, is_maker)
        return Fill(
            trade_id=trade.trade_id,
            order_id=order.order_id,
            market=market.name,
            symbol=market.symbol,
            price=trade.price,
            quantity=trade.quantity,
            quote=quote,
            commission=commission,
            commission_asset=asset,
            time_ns=trade.time_ns,
            is_buyer=order.side == BUY,
            is_maker=is_maker,
            realised=realised,
            origin=order.origin,
        )

    def _commission(self, market: Market, account: Account, of: Decimal, *, is_maker: bool) -> Decimal:
        if account.unlimited:
            return ZERO
        rate = market.config.maker_fee if is_maker else market.config.taker_fee
        return (of * rate).quantize(self._rules.fee_unit, ROUND_DOWN)

    def _pay_spot(
        self,
        market: Market,
        account: Account,
        order: Order,
        trade: PublicTrade,
        quote: Decimal,
        is_maker: bool,
    ) -> tuple[Decimal, str, Decimal]:
        config, till, wallet = market.config, self._till, self._rules.wallets[SPOT]
        buying = order.side == BUY
        given, gives = (config.quote, quote) if buying else (config.base, trade.quantity)
        received, receives = (config.base, trade.quantity) if buying else (config.quote, quote)
        if self._rules.fee_in_quote:
            fee_asset, commission = config.quote, self._commission(market, account, quote, is_maker=is_maker)
        else:
            fee_asset, commission = received, self._commission(market, account, receives, is_maker=is_maker)
        if not account.unlimited:
            reserved = gives
            if buying:
                reserved = (order.price * trade.quantity if order.is_limit else quote) * self._with_fee(
                    market
                )
            till.unlock(account, order, wallet, given, reserved)
            till.add(self._house, wallet, fee_asset, commission)
        till.add(account, wallet, given, -gives)
        till.add(account, wallet, received, receives)
        if commission:
            till.add(account, wallet, fee_asset, -commission)
        return commission, fee_asset, ZERO

    def _pay_futures(
        self,
        market: Market,
        account: Account,
        order: Order,
        trade: PublicTrade,
        quote: Decimal,
        is_maker: bool,
    ) -> tuple[Decimal, str, Decimal]:
        config, till, wallet = market.config, self._till, self._rules.wallets[FUTURES]
        position = position_of(account, market)
        was_flat = not position.quantity
        signed = trade.quantity if order.side == BUY else -trade.quantity
        realised = position.trade(signed, trade.price)
        position.updated_ns = trade.time_ns
        if was_flat:
            position.opened_ns = trade.time_ns
        if not account.unlimited:
            if position.quantity:
                market.holders[account.name] = account
            else:
                market.holders.pop(account.name, None)
        commission = self._commission(market, account, quote, is_maker=is_maker)
        till.add(account, wallet, config.settle, realised - commission)
        if commission:
            till.add(self._house, wallet, config.settle, commission)
        till.moved(account, wallet, position)
        return commission, config.settle, realised


def position_of(account: Account, market: Market) -> Position:
    """Return the account's position in a futures market, making a flat one when there is none."""
    position = account.positions.get(market.symbol)
    if position is None:
        config = market.config
        position = account.positions[market.symbol] = Position(
            config.symbol, config.contract_size, config.leverage
        )
    return position
