"""A model of orders, funds and positions, written from the words of the notes and not from the code.

It knows facts only: what was asked and answered, what the venue reported. ``FILLED`` is never stored: it is what an order
is called when its trades have reached its quantity.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

ZERO = Decimal(0)


@dataclass
class ModelOrder:
    """One order. ``base``: pending_new, working, canceled, expired, rejected: what the venue last made of it."""

    key: tuple[str, str, str, str]
    side: str
    quantity: Decimal
    price: Decimal | None
    unit: Decimal
    """What a unit of leaves reserves."""
    reduce_only: bool = False
    base: str = "pending_new"
    trades: dict[str, Decimal] = field(default_factory=dict)
    revision: int = 0
    asked: int = 0
    cancel: str | None = None
    amend: tuple[Decimal, Decimal | None, int] | None = None
    doubt: bool = False
    trigger: Decimal | None = None
    amend_unit: Decimal | None = None
    """What a unit would reserve with the amend under way, off spot."""
    terms_at: int = 0
    """Venue time of the last change of terms."""

    @property
    def cumulative(self) -> Decimal:
        return sum(self.trades.values(), ZERO)

    @property
    def filled(self) -> bool:
        return self.base != "rejected" and self.cumulative >= self.quantity

    @property
    def open(self) -> bool:
        return self.base in ("pending_new", "working") and not self.filled

    @property
    def live(self) -> bool:
        return self.open or bool(self.cancel) or self.amend is not None or self.doubt

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.cumulative if self.open else ZERO

    @property
    def status(self) -> str:
        if self.cancel:
            return "PENDING_CANCEL"
        if self.amend is not None:
            return "PENDING_REPLACE"
        if self.filled:
            return "FILLED"
        if self.open and self.cumulative:
            return "PARTIALLY_FILLED"
        return "NEW" if self.base == "working" else self.base.upper()

    @property
    def reserved(self) -> Decimal:
        held = self.leaves * self.unit
        if self.amend is None:
            return held
        quantity, price, _ = self.amend
        unit = price if self.side == "buy" and price is not None else self.unit
        if self.amend_unit is not None:
            unit = self.amend_unit
        return max(held, (quantity - self.cumulative) * unit)

    @property
    def closing(self) -> Decimal:
        """What it may still take off a position, when it does nothing else."""
        if not self.reduce_only and (self.key[2] == "spot" or self.unit):
            return ZERO
        return self.leaves if self.amend is None else max(self.leaves, self.amend[0] - self.cumulative)

    def trade(self, trade_id: str, quantity: Decimal) -> None:
        """A trade is a fact in any state; one of an order believed rejected shows that it lives."""
        self.trades[trade_id] = quantity
        if self.base == "rejected":
            self.base = "working"
            self.doubt = self.doubt or not self.filled

    def bust(self, trade_id: str) -> None:
        """A trade taken back: what works has more left again, what has ended stays ended."""
        was_filled = self.filled
        del self.trades[trade_id]
        if was_filled and not self.filled:
            self.base = "canceled"
        elif self.base == "pending_new":
            self.base = "working"

    @property
    def in_place(self) -> bool:
        """Whether an amend under way changes the venue order itself."""
        return self.amend is not None and self.amend[2] == self.revision

    def report(self, report: dict[str, Any]) -> None:
        """What a report of the venue changes."""
        kind, revision = report["report"], report.get("revision", 0)
        ended = self.filled or self.base in ("canceled", "expired")
        told = report.get("cumulative")
        missing = told is not None and Decimal(told) > self.cumulative
        replaced = self.amend is not None and revision == self.amend[2] and not self.in_place
        if kind in ("accepted", "amended") and replaced:
            self._amended(report["venue_time"])
        elif kind == "restated":
            self._restated(report, revision)
        elif kind == "accepted":
            if revision >= self.revision and not ended:
                self.base, self.doubt = "working", False
        elif kind == "amended":
            if self.amend is None and self.open and 0 < revision == self.revision:
                self.doubt = False
        elif kind == "rejected" and replaced:
            self._amend_failed()
        elif kind == "rejected":
            if revision >= self.revision and not ended and not self.cumulative and self.base != "rejected":
                self.base, self.cancel, self.amend, self.doubt = "rejected", None, None, False
        elif kind in ("canceled", "expired"):
            if revision >= self.revision:
                self._end(kind, revision, ended, missing)
        elif kind == "cancel_rejected":
            if self.cancel:
                self.cancel, self.doubt = None, False
        elif kind == "amend_rejected":
            if self.amend is not None and report.get("revision") in (None, self.amend[2]):
                self._amend_failed()
        elif kind == "in_doubt":
            self.doubt = self.doubt or self.live
        elif kind == "absent":
            if revision >= self.revision:
                if self.base == "pending_new" and not self.cumulative:
                    self.base, self.cancel, self.amend, self.doubt = "rejected", None, None, False
                else:
                    self.base = "canceled" if self.open else self.base
                    self.cancel, self.amend, self.doubt = None, None, False
        elif kind == "finished":
            if missing:
                self.doubt = True
            elif self.open:
                self.doubt = False
            else:
                self.cancel, self.amend, self.doubt = None, None, False

    def _end(self, kind: str, revision: int, ended: bool, missing: bool) -> None:
        answered = self.amend is None or self.doubt or revision >= self.amend[2]
        if ended and missing:
            self.doubt = True
            return
        if ended and not answered:
            return
        if not ended:
            self.base = "expired" if self.cancel == "expired" else kind
        self.cancel = None
        self.amend = None if answered else self.amend
        self.doubt = missing

    def _restated(self, report: dict[str, Any], revision: int) -> None:
        """Terms that are newer than those known answer an amend in place, or are the venue's own doing."""
        at = report["venue_time"]
        if revision != self.revision or at < self.terms_at:
            return
        told = report["price"]
        terms = (Decimal(report["quantity"]), self.price if None in (self.price, told) else Decimal(told))
        if self.amend is not None and self.in_place and terms == self.amend[:2]:
            self._amended(at)
            return
        may = self.base in ("pending_new", "working") or self.filled
        if not may or terms == (self.quantity, self.price) or (self.terms_at and at == self.terms_at):
            return
        self.unit = self._unit_at(terms[1])
        self.quantity, self.price = terms
        self.terms_at, self.base = at, "working"

    def _unit_at(self, price: Decimal | None) -> Decimal:
        if price is None or self.price is None:
            return self.unit
        if self.key[2] == "spot":
            return price if self.side == "buy" else self.unit
        return Decimal(round(Fraction(self.unit) * Fraction(price) / Fraction(self.price) * 10**18)).scaleb(
            -18
        )

    def _amended(self, at: int) -> None:
        assert self.amend is not None
        self.terms_at = at
        self.quantity, price, self.revision = self.amend
        self.price = price
        if self.amend_unit is not None:
            self.unit = self.amend_unit
        elif self.side == "buy" and price is not None:
            self.unit = price
        self.amend, self.doubt, self.base = None, False, "working"

    def _amend_failed(self) -> None:
        """What was unknown of the amend is known. Of an order that has ended trades may be missing all the same."""
        if self.amend is not None:
            self.amend, self.doubt = None, self.doubt and not self.open


@dataclass
class ModelPosition:
    """Netting with exact fractions at average cost, and the flow of cash that it must agree with."""

    quantity: Decimal = ZERO
    cost: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)
    cash: Decimal = ZERO
    """Of the trades and the fees in base and quote; in the settlement asset."""
    trades: int = 0

    def trade(self, side: str, quantity: Decimal, price: Decimal, size: Decimal) -> None:
        change = quantity if side == "buy" else -quantity
        left = change
        if self.quantity and (self.quantity > 0) != (change > 0):
            closes = min(abs(change), abs(self.quantity)) * (1 if change > 0 else -1)
            taken = self.cost * Fraction(-closes) / Fraction(self.quantity)
            self.realised += Fraction(-closes * price * size) - taken
            self.cost -= taken
            self.quantity += closes
            left = change - closes
        self.quantity += left
        self.cost += Fraction(left * price * size)
        self.cash -= change * price * size
        self.trades += 1
