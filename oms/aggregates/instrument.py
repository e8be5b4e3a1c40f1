"""Instrument: what may be traded, and in which steps.

Events: ``InstrumentListed`` (new, or changed terms).
"""

from decimal import Decimal
from typing import Final

import attrs
import msgspec

from oms.aggregates.money import ONE, ZERO, fewest_places, is_amount
from oms.messages.codes import Code, Refused
from oms.messages.commands import InstrumentSpec
from oms.messages.events import InstrumentListed

InstrumentKey = tuple[str, str, str]
"""(exchange, market, symbol)"""


PERIOD_NS: Final = 5 * 60 * 10**9
"""How long the mark that a period began with is what prices are held against."""


@attrs.define(slots=True)
class Instrument:
    """Terms of one symbol at one venue. Prices are quote per base; quantities base units, or contracts.

    ``tick`` and ``step`` are written with the fewest places, so that quantizing to them gives the one way to write an amount.
    ``ticks`` is a table of (lowest price, tick), ascending from 0, where the tick depends on the price; ``tick`` is then the
    finest of them. ``mark`` is of ``mark_at`` (UTC ns), ``anchor`` the first mark of a period of :data:`PERIOD_NS`.
    """

    exchange: str
    market: str
    symbol: str
    base: str
    quote: str
    settle: str
    tick: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal | None
    contract_size: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    trading: bool
    ticks: tuple[tuple[Decimal, Decimal], ...] = ()
    mark: Decimal | None = None
    mark_at: int = 0
    anchor: Decimal | None = None
    anchor_at: int = 0

    @property
    def spot(self) -> bool:
        """Whether trades exchange base for quote, rather than open a contract."""
        return self.market == "spot"

    @property
    def key(self) -> InstrumentKey:
        return (self.exchange, self.market, self.symbol)

    def tick_at(self, price: Decimal) -> Decimal:
        """The tick that a price has to be a multiple of."""
        return next((tick for lowest, tick in reversed(self.ticks) if price >= lowest), self.tick)

    # -- evolve

    def set_mark(self, mark: Decimal, at: int) -> None:
        """Take over a mark; the first of a period is its anchor."""
        self.mark = mark
        self.mark_at = at
        if self.anchor is None or at - self.anchor_at >= PERIOD_NS:
            self.anchor = mark
            self.anchor_at = at

    # -- decide

    def check_price(self, name: str, price: Decimal) -> Decimal:
        """Return the price as it is written at this tick.

        Raises:
            Refused: TICK_SIZE.
        """
        tick = self.tick_at(price)
        if price % tick:
            raise Refused(Code.TICK_SIZE, f"{name} must be a multiple of {tick:f}, was {price:f}")
        return price.quantize(tick)

    def check_quantity(self, quantity: Decimal) -> Decimal:
        """Return the quantity as it is written at this step.

        Raises:
            Refused: STEP_SIZE, QUANTITY_TOO_SMALL, QUANTITY_TOO_LARGE.
        """
        if quantity % self.step:
            raise Refused(Code.STEP_SIZE, f"quantity must be a multiple of {self.step:f}, was {quantity:f}")
        if quantity < self.min_quantity:
            raise Refused(
                Code.QUANTITY_TOO_SMALL, f"quantity must be at least {self.min_quantity:f}, was {quantity:f}"
            )
        if quantity > self.max_quantity:
            raise Refused(
                Code.QUANTITY_TOO_LARGE, f"quantity must be at most {self.max_quantity:f}, was {quantity:f}"
            )
        return quantity.quantize(self.step)

    def check_notional(self, quantity: Decimal, price: Decimal) -> None:
        """Hold quantity × price against the instrument's bounds.

        Raises:
            Refused: NOTIONAL_TOO_SMALL, NOTIONAL_TOO_LARGE.
        """
        notional = quantity * price * self.contract_size
        if notional < self.min_notional:
            raise Refused(
                Code.NOTIONAL_TOO_SMALL,
                f"price times quantity must be at least {self.min_notional:f} {self.quote}, was {notional:f}",
            )
        if self.max_notional is not None and notional > self.max_notional:
            raise Refused(
                Code.NOTIONAL_TOO_LARGE,
                f"price times quantity must be at most {self.max_notional:f} {self.quote}, was {notional:f}",
            )


def listing(exchange: str, market: str, spec: InstrumentSpec) -> InstrumentListed:
    """Make the event for a listing.

    Raises:
        Refused: INVALID_COMMAND when the terms contradict each other.
    """

    def need(holds: bool, rule: str) -> None:
        if not holds:
            raise Refused(Code.INVALID_COMMAND, f"{spec.symbol}: {rule}, was {str(spec)[:512]}")

    amounts = [
        spec.tick,
        spec.step,
        spec.min_quantity,
        spec.max_quantity,
        spec.min_notional,
        spec.contract_size,
    ]
    amounts += [spec.maker_fee, spec.taker_fee]
    amounts += [] if spec.max_notional is None else [spec.max_notional]
    amounts += [amount for row in spec.ticks for amount in row]
    need(
        all(is_amount(a) for a in amounts), "every amount has at most 20 digits before and 18 after the point"
    )
    need(
        spec.tick > 0 and spec.step > 0 and spec.contract_size > 0,
        "tick, step and contract size are positive",
    )
    lowest = [row[0] for row in spec.ticks]
    ticks = [row[1] for row in spec.ticks]
    need(
        not ticks or (lowest[0] == 0 and sorted(set(lowest)) == lowest and min(ticks) == spec.tick),
        "the table of ticks ascends from price 0, and tick is the finest in it",
    )
    need(ZERO <= spec.min_quantity <= spec.max_quantity, "minimum quantity is at most the maximum")
    need(spec.min_notional >= 0, "minimum notional is not negative")
    need(
        spec.max_notional is None or spec.min_notional <= spec.max_notional,
        "minimum notional is at most the maximum",
    )
    # A spot trade moves quantity × price of the quote asset: with another size or settlement P&L and funds would part.
    need(
        market != "spot" or (spec.contract_size == 1 and spec.settle == spec.quote),
        "on spot the contract size is 1 and the quote asset settles",
    )
    need(-ONE < spec.maker_fee < ONE and -ONE < spec.taker_fee < ONE, "fees are fractions")
    # Written in the one way that amounts are quantized to.
    terms = msgspec.structs.asdict(spec) | {
        "tick": fewest_places(spec.tick),
        "step": fewest_places(spec.step),
        "ticks": tuple((fewest_places(lowest), fewest_places(tick)) for lowest, tick in spec.ticks),
    }
    return InstrumentListed(exchange=exchange, market=market, **terms)


# -- evolve


def listed(event: InstrumentListed, before: Instrument | None) -> Instrument:
    """The instrument after a listing. Marks survive changed terms."""
    found = Instrument(**msgspec.structs.asdict(event))
    if before is not None:
        found.mark, found.mark_at = before.mark, before.mark_at
        found.anchor, found.anchor_at = before.anchor, before.anchor_at
    return found
