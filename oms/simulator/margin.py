"""Margin of futures: what an account's positions and orders need, and what is left.

Positions are worth the mark price. Working orders count on the side that adds more: an order that only closes needs
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import attrs

from .ledger import Account
from .markets import Market
from .orders import BUY, FUTURES, ZERO
from .positions import MARGIN_UNIT, Position


@attrs.frozen
class Margin:
    """One settle asset of one account's wallet, in that asset.

    `balance` is the wallet balance without what spot orders lock. `unrealised` is of all positions. `position_margin`
    and `order_margin` are the initial margins; isolated positions count with what is set aside for them.
    `maintenance` is of cross positions alone. `equity` is what cross positions stand on: balance, less isolated
    margin, plus the unrealised profit of cross positions. `available` is what a new order, a transfer or a withdrawal
    may use; it may be negative.
    """

    balance: Decimal
    unrealised: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal
    equity: Decimal
    available: Decimal


def worst_notional(account: Account, market: Market, held: Decimal) -> Decimal:
    """Return the largest |notional| that the position, worth `held` now, and its working orders can come to."""
    resting = account.resting.get(market.symbol)
    if resting is None:
        return abs(held)
    return max(abs(held + resting.bids), abs(held - resting.asks))


def position_margin(position: Position, mark_price: Decimal) -> Decimal:
    """Return the initial margin of what is held."""
    if position.mode == "isolated":
        return position.isolated_margin
    return abs(position.notional(mark_price)) / position.leverage


def summarise(account: Account, wallet: str, asset: str, markets: Mapping[tuple[str, str], Market]) -> Margin:
    """Add up the positions and orders of `account` that settle in `asset`."""
    balance = account.balance(wallet, asset).free
    unrealised = cross_unrealised = held_margin = order_margin = maintenance = isolated = ZERO
    for position in account.positions.values():
        market = markets[FUTURES, position.symbol]
        if market.config.settle != asset:
            continue
        held = position.notional(market.mark_price)
        profit = position.unrealised(market.mark_price)
        unrealised += profit
        held_margin += position_margin(position, market.mark_price)
        order_margin += (worst_notional(account, market, held) - abs(held)) / position.leverage
        if position.mode == "isolated":
            isolated += position.isolated_margin
        else:
            cross_unrealised += profit
            maintenance += maintenance_margin(position, market)
    equity = balance - isolated + cross_unrealised
    return Margin(
        balance=balance,
        unrealised=unrealised,
        position_margin=held_margin,
        order_margin=order_margin,
        maintenance=maintenance,
        equity=equity,
        available=equity - (held_margin - isolated) - order_margin,
    )


def maintenance_margin(position: Position, market: Market) -> Decimal:
    """Return the margin below which the position is liquidated."""
    return abs(position.notional(market.mark_price)) * market.config.maintenance_rate


def needed_for(
    account: Account, market: Market, position: Position, side: str, price: Decimal, notional: Decimal
) -> Decimal:
    """Return the margin that a new order takes: 0 when it only closes.

    Besides the initial margin that is what the order loses at once, at `price` against the mark price, and its fee.
    """
    held = position.notional(market.mark_price)
    resting = account.resting.get(market.symbol)
    bids, asks = (resting.bids, resting.asks) if resting else (ZERO, ZERO)
    before = max(abs(held + bids), abs(held - asks))
    bids, asks = (bids + notional, asks) if side == BUY else (bids, asks + notional)
    more = max(abs(held + bids), abs(held - asks)) - before
    if more <= 0:
        return ZERO
    worse = (price - market.mark_price) if side == BUY else (market.mark_price - price)
    loss = notional / price * max(worse, ZERO)
    return more / position.leverage + loss + notional * market.config.taker_fee


def liquidation_price(position: Position, market: Market, margin: Margin) -> Decimal:
    """Return the mark price at which the position's margin is gone, all else unchanged; 0 when there is none."""
    if not position.quantity:
        return ZERO
    size = abs(position.quantity) * position.contract_size
    rate = market.config.maintenance_rate
    if position.mode == "isolated":
        reserve = position.isolated_margin
    else:
        others = margin.maintenance - maintenance_margin(position, market)
        reserve = margin.equity - position.unrealised(market.mark_price) - others
    if position.quantity > 0:
        price = (position.cost - reserve) / (size * (1 - rate))
    else:
        price = (position.cost + reserve) / (size * (1 + rate))
    return max(ZERO, price.quantize(MARGIN_UNIT, ROUND_HALF_EVEN))
