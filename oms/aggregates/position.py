"""Position: what trading made of one symbol in one account. Netting: one quantity, long or short.

Events: ``OrderFilled``, ``FundingPaid``, ``PositionAdjusted``, ``PositionStated``, ``TermsRequested``, ``TermsSet``,
``TermsRefused``. Deposits and transfers move balances, not positions.

Cost is what is open was bought for (negative for a short: what it was sold for). A fill that closes takes its share of
the cost, rounded once to 18 places, and leaves the rest, so that what is taken and what stays add up exactly. A fee in
the base asset changes the quantity (a buy of 1 with a fee of 0.001 holds 0.999) and counts as a fee at the fill's price.
At every moment, exactly: cash flow of the fills without fees in other assets = realised − cost − fees, plus funding.

Off spot what is open holds margin of the wallet: cost / leverage, or with isolated margin the amount that the venue last
said is set aside, until a fill changes what is open.
"""

from decimal import Decimal
from typing import Final

import attrs

from oms.aggregates.instrument import Instrument
from oms.aggregates.money import ONE, ZERO, fewest_places, share
from oms.messages import events as e
from oms.messages.enums import MarginMode, Side

PositionKey = tuple[str, str, str, str]
"""(exchange, account, market, symbol)"""

ISOLATED: Final = MarginMode.ISOLATED


@attrs.define(slots=True)
class Position:
    """Running figures of one position.

    Args:
        quantity: signed; base units or contracts.
        cost: in the settlement asset, signed as the quantity.
        realised: profit of what was closed, in the settlement asset, before fees and funding.
        fees: fees in base (at the fill's price) and quote, in the settlement asset.
        other_fees: fees, and funding paid, in any other asset, by asset, not valued.
        reducing: what working reduce-only orders may still take off.
        closing: what other working orders may, which reserve nothing because they only close.
        funding: received, less what was paid, in the settlement asset.
        margin: what is open holds of the wallet.
        leverage, margin_mode: as the venue last said; None while it has not, which counts as a leverage of 1.
        stated_entry, liquidation_price, stated_margin: as the venue last said, at ``stated_at`` (UTC ns); None for nothing.
        asked_at: when terms were asked for that the venue has not answered; 0 for none.
        charged: fees and funding in other assets, in the settlement asset at the rates of their time. ``unpriced``: those
            whose rate was not known, by asset.
        day_base: :attr:`earned` and what was open, as the trading day began.
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
    closing: Decimal = ZERO
    funding: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    stated_entry: Decimal | None = None
    liquidation_price: Decimal | None = None
    stated_margin: Decimal | None = None
    stated_at: int = 0
    asked_at: int = 0
    charged: Decimal = ZERO
    unpriced: dict[str, Decimal] = attrs.field(factory=dict)
    day_base: Decimal = ZERO

    # -- evolve

    def fill(self, event: e.OrderFilled, instrument: Instrument, at: int) -> Decimal:
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
        # What was set aside was for what was open.
        self.stated_margin = None
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
        if closed == held:
            self.stated_entry = self.liquidation_price = None
        return closed * unit_price - taken

    def fund(self, amount: Decimal, asset: str, settle: str) -> None:
        """Apply a funding payment, or a share of one: received, or paid when negative."""
        if asset == settle:
            self.funding += amount
        else:
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) - amount

    def adjust(self, event: e.PositionAdjusted, at: int) -> None:
        """Take over the venue's quantity. Nothing is realised."""
        self.quantity = event.quantity
        self.cost = event.cost
        self.stated_margin = None
        if not event.quantity:
            self.stated_entry = self.liquidation_price = None
        self.updated_at = at

    def state(self, event: e.PositionStated, at: int) -> None:
        """Take over what the venue shows."""
        self.stated_entry = event.entry_price
        self.liquidation_price = event.liquidation_price
        self.stated_margin = event.margin
        self.leverage = event.leverage
        self.margin_mode = event.margin_mode
        self.stated_at = at

    def set_terms(self, event: e.TermsSet) -> None:
        """Take over leverage and margin mode."""
        if event.margin_mode is not self.margin_mode:
            self.stated_margin = None
        self.leverage = event.leverage
        self.margin_mode = event.margin_mode
        self.asked_at = 0

    # -- read

    @property
    def earned(self) -> Decimal:
        """What is realised, after fees and funding of any asset that could be valued, in the settlement asset."""
        return self.realised - self.fees - self.charged + self.funding

    @property
    def required_margin(self) -> Decimal:
        """What is open has to hold of the wallet, off spot."""
        if not self.quantity:
            return ZERO
        if self.margin_mode is ISOLATED and self.stated_margin is not None:
            return self.stated_margin
        return fewest_places(share(abs(self.cost), ONE, self.leverage or ONE))

    @property
    def closable(self) -> Decimal:
        """How much of what is open no working order is about to close."""
        return abs(self.quantity) - self.reducing - self.closing

    def unrealised(self, instrument: Instrument) -> Decimal | None:
        """Profit of what is open at the instrument's mark; None while no mark is known and something is open."""
        if not self.quantity:
            return -self.cost
        if instrument.mark is None:
            return None
        return self.quantity * instrument.mark * instrument.contract_size - self.cost
