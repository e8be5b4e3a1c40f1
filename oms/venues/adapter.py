"""The interface that every exchange implements: one adapter file, listed in :mod:`oms.venues.registry`.

A :class:`Market` is one market of one exchange, with what needs no key. It makes an :class:`Account` for each session:
one account's private connection. Both translate the venue's payloads into the classes below, exactly: amounts from the
venue's own strings, times in UTC ns. Every request either returns or raises :class:`~oms.venues.errors.VenueError`,
whatever happens to it; no request is ever repeated by an adapter.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from enum import Enum, auto
from typing import Protocol

import attrs

from oms.messages.commands import InstrumentSpec
from oms.messages.enums import OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit


class State(Enum):
    """What the venue says of an order."""

    WORKING = auto()
    FILLED = auto()
    CANCELED = auto()
    EXPIRED = auto()
    REJECTED = auto()


@attrs.frozen(kw_only=True)
class VenueTrade:
    """One trade of the account. ``client_id`` is empty where the venue does not tell it."""

    venue_order_id: str
    client_id: str
    symbol: str
    side: Side
    trade_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time: int


@attrs.frozen(kw_only=True)
class VenueOrder:
    """An order as the venue shows it. ``cumulative`` is filled of this venue order alone, not of those it replaced.

    Args:
        time: of the last change.
        reason: why it ended, in the venue's words; may be empty.
        trades: those that came with the answer, if any did.
    """

    client_id: str
    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    state: State
    cumulative: Decimal
    time: int
    reason: str = ""
    trades: tuple[VenueTrade, ...] = ()


@attrs.frozen
class OrderChanged:
    """The private stream told a change of an order; ``order.trades`` holds the trade if it was one."""

    order: VenueOrder


@attrs.frozen
class FundsMoved:
    """The private stream told that balances moved by something else than a trade (a deposit, a transfer)."""

    reason: str


StreamEvent = OrderChanged | FundsMoved


class Account(Protocol):
    """One account's private connection: opened once, closed once, never reconnected."""

    accept_window_s: float
    """The venue refuses a request older than this: the least that a not-found has to wait to be final."""

    async def open(self, on_event: Callable[[StreamEvent], None]) -> None:
        """Check the key and subscribe the private stream; from here on ``on_event`` is called in the venue's order.

        Raises:
            VenueError
        """

    async def lost(self) -> str:
        """Return why the private stream is lost, once it is."""

    async def close(self) -> None:
        """Close the connection."""

    async def submit(self, order: Submit) -> VenueOrder:
        """Send a new order once, not after its deadline."""

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        """Cancel by client order id and return what the venue says is left of it."""

    async def reserve_amend(self, deadline: int) -> None:
        """Wait until both legs of an amend fit the rate limits. Raise NOT_SENT when that is after ``deadline``."""

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        """The first leg of an amend, already reserved."""

    async def submit_for_amend(self, amend: Amend, quantity: Decimal) -> VenueOrder:
        """The second leg of an amend, already reserved: ``quantity`` is what is left to place."""

    async def order(self, symbol: str, client_id: str) -> VenueOrder:
        """Look up by client order id. Raise NOT_FOUND when the venue shows none."""

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder:
        """Look up by the venue's own id. Raise NOT_FOUND when the venue shows none."""

    async def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Every open order, of one symbol or of all."""

    async def orders_since(self, symbol: str, since: int) -> list[VenueOrder]:
        """Every order made at or after ``since``, open or not."""

    async def trades_since(self, symbol: str, since: int) -> list[VenueTrade]:
        """Every trade at or after ``since``, oldest first."""

    async def trades_of(self, symbol: str, venue_order_id: str) -> list[VenueTrade]:
        """Every trade of an order, oldest first."""

    async def totals(self) -> dict[str, Decimal]:
        """Total balance (free and locked) of every asset that is not zero."""


class Market(Protocol):
    """One market of one exchange: what needs no key, and the making of accounts."""

    async def open(self) -> list[InstrumentSpec]:
        """Connect and return what the venue lists."""

    def account(self, name: str) -> Account:
        """A new private connection for an account."""

    def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        """Mark prices by symbol, as they change, for as long as the stream lives. Raise StreamLost at its end."""

    async def close(self) -> None:
        """Close the connection."""
