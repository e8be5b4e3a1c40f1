"""The interface that every exchange implements: one adapter file, listed in :mod:`oms.venues.registry`.

A :class:`Market` is one market of one exchange, with what needs no key. It makes an :class:`Account` for each session:
one account's private connection. Both translate the venue's payloads into the classes below, exactly: amounts from the
venue's own strings, times in UTC ns. Every request either returns or raises :class:`~oms.venues.errors.VenueError`,
whatever happens to it; no request is ever repeated by an adapter. What a venue cannot do at all it declares in its
:class:`~oms.messages.venues.Capabilities`; asked nevertheless, it raises NOT_SENT.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from enum import Enum, auto
from typing import Protocol

import attrs

from oms.messages.commands import InstrumentSpec
from oms.messages.desk import TransferState
from oms.messages.enums import MarginMode, OrderType, Side, TimeInForce
from oms.messages.instructions import Amend, Submit
from oms.messages.venues import Capabilities
from oms.venues.errors import Kind, VenueError


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
        origin: ``liquidation`` or ``adl`` when the venue itself made it; else empty.
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
    origin: str = ""
    trades: tuple[VenueTrade, ...] = ()


@attrs.frozen(kw_only=True)
class VenuePosition:
    """An open position as the venue shows it. ``quantity`` is signed; what the venue does not tell is None."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    margin: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None


@attrs.frozen(kw_only=True)
class VenueFunding:
    """A funding payment. ``amount`` is what the account received, negative for what it paid."""

    symbol: str
    funding_id: str
    amount: Decimal
    asset: str
    time: int


@attrs.frozen(kw_only=True)
class Party:
    """One side of a transfer between two accounts of ours.

    Args:
        account: our name of it. ``venue_id``: the venue's, empty where nobody said it.
        wallet: as the venue's markets declare it.
        main: whether it is the main account, which is the one that asks.
    """

    account: str
    venue_id: str
    wallet: str
    main: bool

    @property
    def named(self) -> str:
        """What the venue calls it.

        Raises:
            VenueError: NOT_SENT, nobody said.
        """
        if not self.venue_id:
            why = f"what the venue calls {self.account} is not known: set accounts.{self.account}.venue_ids"
            raise VenueError(Kind.NOT_SENT, why)
        return self.venue_id


@attrs.frozen(kw_only=True)
class Move:
    """A transfer between the main account and another one. ``reference`` is ours: 1 to 32 letters and digits."""

    reference: str
    source: Party
    target: Party
    asset: str
    amount: Decimal

    @property
    def other(self) -> Party:
        """The side that is not the main account."""
        return self.target if self.source.main else self.source


@attrs.frozen(kw_only=True)
class VenueTransfer:
    """A transfer as the venue shows it: DONE, REJECTED, or PENDING while it is only taken. ``reason``: in the venue's words."""

    venue_transfer_id: str
    state: TransferState
    time: int = 0
    reason: str = ""


@attrs.frozen
class OrderChanged:
    """The private stream told a change of an order; ``order.trades`` holds the trade if it was one."""

    order: VenueOrder


@attrs.frozen
class Traded:
    """The private stream told a trade apart from its order."""

    trade: VenueTrade


@attrs.frozen
class AmendRefused:
    """The private stream told that an amend in place, taken before, was not done after all."""

    symbol: str
    client_id: str
    reason: str
    time: int


@attrs.frozen
class FundsMoved:
    """The private stream told that funds or positions moved by something else than a trade (a deposit, funding, a setting)."""

    reason: str


StreamEvent = OrderChanged | Traded | AmendRefused | FundsMoved


@attrs.frozen
class Quote:
    """Best bid and offer."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


@attrs.frozen
class Book:
    """The best levels of a book, best first: (price, quantity)."""

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@attrs.frozen
class PublicTrade:
    """A trade of anybody. ``side`` is the taker's. ``time`` is UTC ns."""

    symbol: str
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    time: int


class Account(Protocol):
    """One account's private connection: opened once, closed once, never reconnected."""

    accept_window_s: float
    """The venue refuses a request older than this: the least that a not-found has to wait to be final."""

    move_window_s: float
    """The same for transfers."""

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
        """Send a new order once, not after its deadline. What a venue does not tell back is as it was sent."""

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Cancel by client order id. Return what the venue says is left of it, None when it says so only later."""

    async def amend(self, amend: Amend) -> VenueOrder | None:
        """Change an order in place, where ``Market.amends_in_place``. None when the venue tells the outcome only later."""

    async def reserve_amend(self, deadline: int) -> None:
        """Wait until both legs of an amend fit the rate limits. Raise NOT_SENT when that is after ``deadline``."""

    async def cancel_for_amend(self, symbol: str, client_id: str) -> VenueOrder:
        """The first leg of an amend, already reserved: the order as it ended."""

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
        """Total balance (free, locked and margin; no unrealised profit) of every asset that is not zero."""

    async def positions(self) -> list[VenuePosition]:
        """Every open position of the market, and flat ones whose leverage or margin mode the venue shows."""

    async def funding_since(self, since: int) -> list[VenueFunding]:
        """Every funding payment at or after ``since``, oldest first."""

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set the leverage of a symbol. Return when it stands, also when it stood before."""

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Set the margin mode of a symbol. Return when it stands, also when it stood before."""

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        """Move funds between this account and another, once, not after ``deadline`` (UTC ns). PENDING when it is only taken."""

    async def find_transfer(self, move: Move) -> VenueTransfer:
        """Look a transfer up by its reference. Raise NOT_FOUND when the venue shows none."""


class Market(Protocol):
    """One market of one exchange: what needs no key, and the making of accounts."""

    capabilities: Capabilities

    amends_in_place: bool
    """Whether an amend changes the venue order itself; otherwise it is canceled and the rest placed."""

    async def open(self) -> list[InstrumentSpec]:
        """Connect and return what the venue lists. Asked again, it says what the venue lists by then."""

    def account(self, name: str) -> Account:
        """A new private connection for an account, with its key as it is now."""

    async def refresh_key(self, name: str) -> bool:
        """Look for the account's key again, because the venue does not take it; return whether it is another one."""

    def limits_left(self, name: str) -> dict[str, dict[str, int]]:
        """What the account may still send now, by group of requests and window."""

    async def marks_now(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        """Mark prices by symbol as they stand, asked for; zero or left out for one that has none. Raise StreamLost when the venue does not say."""

    def marks(self, symbols: Iterable[str]) -> AsyncIterator[dict[str, Decimal]]:
        """Mark prices by symbol as they change, zero for none, for as long as the stream lives. Raise StreamLost at its end."""

    def quotes(self, symbols: Iterable[str]) -> AsyncIterator[Quote]:
        """Best bids and offers as they change. Raise StreamLost at the stream's end."""

    def book(self, symbol: str) -> AsyncIterator[Book]:
        """The best levels of a symbol's book as they change. Raise StreamLost at the stream's end."""

    def trades(self, symbol: str) -> AsyncIterator[PublicTrade]:
        """Everybody's trades in a symbol. Raise StreamLost at the stream's end."""

    async def close(self) -> None:
        """Close the connection."""
