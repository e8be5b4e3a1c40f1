"""Margin of futures: what an account's positions and orders need, and what is left."""

from __future__ import annotations

from decimal import Decimal

import attrs


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
