"""Position: what trading made of one symbol in one account. Netting: one quantity, long or short.

Events: ``OrderFilled``, ``FundingPaid``, ``PositionAdjusted``, ``PositionStated``, ``TermsRequested``, ``TermsSet``,
``TermsRefused``. Deposits and transfers move balances, not positions.

Cost is what is open was bought for (negative for a short: what it was sold for). A fill that closes takes its share of
the cost, rounded once to 18 places, and leaves the rest, so that what is taken and what stays add up exactly. A fee in
the base asset changes the quantity (a buy of 1 with a fee of 0.001 holds 0.999) and counts as a fee at the fill's price.
At every moment, exactly: cash flow of the fills without fees in other assets = realised − cost − fees, plus funding. What the
venue's quantity differs by is taken as traded (:func:`adopt`), and moves no cash here: what came of it is in the venue's balance.

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


@attrs.frozen
class Adoption:
    """What taking over a quantity comes to: see :class:`oms.messages.events.PositionAdjusted`."""

    price: Decimal | None
    entry_price: Decimal
    cost: Decimal
    realised: Decimal


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
        closed = self._closes(change)
        return self._move(change, change * unit_price, closed, closed * unit_price)

    def _closes(self, change: Decimal) -> Decimal:
        """How much of what is held a change closes, signed as that."""
        held = self.quantity
        if not held or (held > 0) == (change > 0):
            return ZERO
        return -change if abs(change) <= abs(held) else held

    def _move(self, change: Decimal, paid: Decimal, closed: Decimal, brought: Decimal) -> Decimal:
        """Net a quantity that cost ``paid`` all in all, in which what it ``closed`` brought so much; return the profit."""
        # What was set aside was for what was open.
        self.stated_margin = None
        held = self.quantity
        self.quantity = held + change
        if not closed:
            self.cost += paid
            return ZERO
        taken = share(self.cost, closed, held)
        self.cost = self.cost - taken + (paid + brought)
        if closed == held:
            self.stated_entry = self.liquidation_price = None
        return brought - taken

    def fund(self, amount: Decimal, asset: str, settle: str) -> None:
        """Apply a funding payment, or a share of one: received, or paid when negative."""
        if asset == settle:
            self.funding += amount
        else:
            self.other_fees[asset] = self.other_fees.get(asset, ZERO) - amount

    def trade(self, change: Decimal, paid: Decimal) -> Decimal:
        """Net a quantity that cost so much all in all, each unit the same, and return the profit that it realised."""
        closed = self._closes(change)
        realised = self._move(change, paid, closed, -share(paid, closed, -change))
        self.realised += realised
        return realised

    def adjust(self, event: e.PositionAdjusted, at: int) -> None:
        """Take over the venue's quantity, and what was lost or earned with what is gone."""
        self.quantity = event.quantity
        self.cost = event.cost
        self.realised += event.realised
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


def adopt(
    position: Position,
    instrument: Instrument,
    quantity: Decimal,
    entry: Decimal | None,
    mark: Decimal | None,
) -> Adoption:
    """What it comes to that the venue holds another quantity than we do, of trades that nobody told us.

    What is gone is taken as traded at the mark, so that what it had lost by then stays lost; where no mark is known, which
    values nothing, at what it had cost. What was opened, from flat or on the other side, is entered at the venue's entry price,
    else at the mark, else as what we held was. What joined what we held is taken at what makes the venue's average, or at the mark
    if that leaves less profit: in an average over both, a loss that is ours could vanish.

    Args:
        quantity: the venue's, not what we hold.
        entry: the venue's average for all of it; None where it shows none.
    """
    held, size = position.quantity, instrument.contract_size
    own = _unit(position.cost, held * size) if held else ZERO
    closes = bool(held) and (held > 0) != (quantity - held > 0)
    opens = bool(quantity) and (not held or (held > 0) != (quantity > 0))
    if opens:
        price = entry or mark or own
        realised = ZERO if mark is None else held * mark * size - position.cost
        return Adoption((mark if held else price) or None, price, quantity * price * size, realised)
    if closes:
        taken = share(position.cost, held - quantity, held)
        realised = ZERO if mark is None else (held - quantity) * mark * size - taken
        return Adoption(mark, own if quantity else ZERO, position.cost - taken, realised)
    joined = (quantity - held) * size
    stated = quantity * (entry or own) * size
    if mark is None:
        return Adoption(None, entry or own, stated, ZERO)
    marked = position.cost + joined * mark
    if entry is not None and stated > marked:
        return Adoption(_unit(stated - position.cost, joined), entry, stated, ZERO)
    return Adoption(mark, _unit(marked, quantity * size), marked, ZERO)


def _unit(cost: Decimal, size: Decimal) -> Decimal:
    return fewest_places(share(cost, ONE, size))
