"""Positions of futures, one way: a signed quantity, what it cost on average, and what closing a part realises.

Exact `Decimal` throughout. Pure: no clock, no accounts.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Literal

import attrs

from .orders import ZERO

# A share of a cost or a margin is rounded to this; when everything closes nothing is left to round.
SHARE_UNIT = Decimal("1E-18")
MARGIN_UNIT = Decimal("1E-8")

MarginMode = Literal["cross", "isolated"]


@attrs.define(eq=False)
class Position:
    """One account's position in one symbol.

    `quantity` is signed, in contracts. `cost` is the notional at which it was entered, never negative.
    `isolated_margin` is the part of the wallet balance set aside for it, in settle asset, 0 in cross mode. `realised`
    is the profit of all that was closed, before commission and funding.
    """

    symbol: str
    contract_size: Decimal
    leverage: int
    mode: MarginMode = "cross"
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    isolated_margin: Decimal = ZERO
    realised: Decimal = ZERO
    opened_ns: int = -1
    updated_ns: int = -1

    @property
    def entry_price(self) -> Decimal:
        """Average price of what is open, 0 when nothing is. Not exact where the division is not."""
        if not self.quantity:
            return ZERO
        return self.cost / (abs(self.quantity) * self.contract_size)

    def notional(self, price: Decimal) -> Decimal:
        """Return the signed worth at `price`."""
        return self.quantity * self.contract_size * price

    def unrealised(self, price: Decimal) -> Decimal:
        """Return the profit that closing everything at `price` would realise."""
        worth = self.notional(price)
        return worth - self.cost if self.quantity > 0 else worth + self.cost

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Add a trade of signed `quantity` and return the profit it realises; a trade may turn the position round."""
        closing = min(abs(quantity), abs(self.quantity)) if quantity * self.quantity < 0 else ZERO
        realised = self._close(closing, price) if closing else ZERO
        opening = quantity.copy_abs() - closing
        if opening:
            notional = opening * self.contract_size * price
            self.quantity += opening.copy_sign(quantity)
            self.cost += notional
            if self.mode == "isolated":
                self.isolated_margin += (notional / self.leverage).quantize(MARGIN_UNIT, ROUND_UP)
        return realised

    def _close(self, quantity: Decimal, price: Decimal) -> Decimal:
        held = self.quantity.copy_abs()
        worth = quantity * self.contract_size * price
        cost, margin = self.cost, self.isolated_margin
        if quantity < held:
            cost = (cost * quantity / held).quantize(SHARE_UNIT, ROUND_HALF_EVEN)
            margin = (margin * quantity / held).quantize(MARGIN_UNIT, ROUND_UP)
        realised = worth - cost if self.quantity > 0 else cost - worth
        self.cost -= cost
        self.isolated_margin -= margin
        self.quantity -= quantity.copy_sign(self.quantity)
        self.realised += realised
        return realised
