"""Position: what trading made of one symbol in one account. Netting: one quantity, long or short.

Events: ``OrderFilled``. Deposits and transfers move balances, not positions.

Cost is what is open was bought for (negative for a short: what it was sold for). A fill that closes takes its share of
the cost, rounded once to 18 places, and leaves the rest, so that what is taken and what stays add up exactly. A fee in
the base asset changes the quantity (a buy of 1 with a fee of 0.001 holds 0.999) and counts as a fee at the fill's price.
At every moment, exactly: cash flow of the fills without fees in other assets = realised − cost − fees.
"""

from decimal import Decimal

import attrs

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ZERO, share
from oms.messages.enums import Side
from oms.messages.events import OrderFilled

PositionKey = tuple[str, str, str, str]
"""(exchange, account, market, symbol)"""


@attrs.define(slots=True)
class Position:
    """Running figures of one position.

    Args:
        quantity: signed; base units or contracts.
        cost: in the settlement asset, signed as the quantity.
        realised: profit of what was closed, in the settlement asset, before fees.
        fees: fees in base (at the fill's price) and quote, in the settlement asset.
        other_fees: fees in any other asset, by asset, not valued.
        reducing: what working reduce-only orders may still take off.
    """

    exchange: str
    account: str
    market: str
    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = attrs.field(factory=dict)
    reducing: Decimal = ZERO
    updated_at: int = 0

    # -- evolve

    def fill(self, event: OrderFilled, instrument: Instrument, at: int) -> Decimal:
        """Apply one trade and return the profit it realised, before fees."""
        change = event.quantity if event.side is Side.BUY else -event.quantity
        if event.fee:
            if event.fee_asset == instrument.base and instrument.spot:
                change -= event.fee
                self.fees += event.fee * event.price
            elif event.fee_asset == instrument.settle:
                self.fees += event.fee
            else:
                self.other_fees[event.fee_asset] = self.other_fees.get(event.fee_asset, ZERO) + event.fee
        realised = self._net(change, event.price * instrument.contract_size)
        self.realised += realised
        self.updated_at = at
        return realised

    def _net(self, change: Decimal, unit_price: Decimal) -> Decimal:
        held = self.quantity
        if not held or (held > 0) == (change > 0):
            self.quantity = held + change
            self.cost += change * unit_price
            return ZERO
        closed = -change if abs(change) <= abs(held) else held
        taken = share(self.cost, closed, held)
        opened = change + closed
        self.quantity = held + change
        self.cost = self.cost - taken + opened * unit_price
        return closed * unit_price - taken

    # -- read

    def unrealised(self, instrument: Instrument) -> Decimal | None:
        """Profit of what is open at the instrument's mark; None while no mark is known and something is open."""
        if not self.quantity:
            return -self.cost
        if instrument.mark is None:
            return None
        return self.quantity * instrument.mark * instrument.contract_size - self.cost
