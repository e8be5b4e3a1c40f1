"""Questions to the follower (``show_*``) and their answers.

The subject says which exchange, account, market and symbol, ``_`` meaning any of them. The payload is a JSON object of
filters; none at all is ``{}``. Rows come in a stated order; an answer that ends before the last row says ``more``, and
asking again with ``after`` its ``next`` goes on from there. Decimals are strings, times UTC nanoseconds.

A name that is not known is refused with those that are (ACCOUNT_UNKNOWN; INSTRUMENT_UNKNOWN for an exchange, market or
symbol; LIMIT_UNKNOWN, SCOPE_UNKNOWN): no rows means that there are none.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from oms.messages.base import Label, Nanoseconds, Token
from oms.messages.controls import Level
from oms.messages.enums import (
    AccountKind,
    AccountStatus,
    CancelReason,
    MarginMode,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TransferStatus,
)
from oms.messages.heartbeat import Heartbeat
from oms.messages.replies import ErrorBody

MAX_QUERY_BYTES: Final = 8 * 1024
MAX_ROWS: Final = 500
MAX_ANSWER_BYTES: Final = 900 * 1024
LATCHES_SHOWN: Final = 20
TRANSFERS_SHOWN: Final = 20
"""Rows beyond this come in the next page, so that an answer stays below 1 MiB."""

# -- questions


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every question may carry.

    Args:
        limit: rows in an answer, at most; fewer come when they are large or hard to find.
        after: ``next`` of the answer before, to go on behind it.
        at_least: answer no earlier than at this journal sequence: the one a reply to a command named.
        timeout_ms: how long to wait for it; then SEQUENCE_TIMEOUT.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)] = 100
    after: Annotated[str, msgspec.Meta(max_length=256)] = ""
    at_least: Nanoseconds = 0
    timeout_ms: Annotated[int, msgspec.Meta(ge=0, le=5_000)] = 2_000


class ShowOrders(Query, frozen=True, kw_only=True):
    """Orders, newest first.

    Args:
        open: only live orders (working, asked to change, in doubt) or only finished ones.
        status: only orders in this status.
        strategy: only this strategy's; "" is that of orders without one.
        order_id: only this order.
        since: only orders that changed at or after this time.
    """

    open: bool | None = None
    status: OrderStatus | None = None
    strategy: Label | None = None
    order_id: Token | None = None
    since: Nanoseconds = 0


class ShowTrades(Query, frozen=True, kw_only=True):
    """Trades, newest first; filters as in :class:`ShowOrders`, ``since`` by commit time."""

    strategy: Label | None = None
    order_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    since: Nanoseconds = 0


class ShowPositions(Query, frozen=True, kw_only=True):
    """Positions by key. ``open``: only those that are not flat, or only flat ones."""

    open: bool | None = None


class ShowBalances(Query, frozen=True, kw_only=True):
    """Balances by wallet and asset. The subject's market means the wallet that its funds are in; its symbol does not apply.

    ``asset``: only this one.
    """

    asset: Token | None = None


Dimension = Literal["account", "strategy", "symbol", "day"]


class ShowPnl(Query, frozen=True, kw_only=True):
    """P&L, summed over every dimension that ``by`` does not name.

    Args:
        by: what to tell apart. Settlement assets are always told apart. ``symbol`` goes with exchange and market.
        strategy: only this strategy's.
        day: only this UTC day, ``YYYY-MM-DD``; what is open belongs to no day and is left out then.
    """

    by: Annotated[list[Dimension], msgspec.Meta(max_length=4)] = msgspec.field(
        default_factory=lambda: ["account", "strategy", "symbol"]
    )
    strategy: Label | None = None
    day: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$|^earlier$")] | None = None


class ShowLimits(Query, frozen=True, kw_only=True):
    """Limits with their use, by scope and control. What the subject names is what the scopes shown name.

    ``show_limits._.sub_arb._._`` shows the account's own scope alone, ``show_limits.binance._._._`` the exchange and its
    instruments, ``show_limits._._._._`` every scope, strategies and ``global`` too.

    Args:
        scope: only scopes that begin so, such as ``account:`` or ``strategy:arbitrage``.
        control: only this one.
        near: only what is near to its limit or beyond it, and kill switches that are engaged.
        latched: only scopes whose kill switch is engaged.
    """

    scope: Annotated[str, msgspec.Meta(max_length=128)] = ""
    control: Token | None = None
    near: bool = False
    latched: bool = False


class ShowAccounts(Query, frozen=True, kw_only=True):
    """Accounts by id. Of the subject, the account applies alone."""


class ShowStatus(Query, frozen=True, kw_only=True):
    """How the system is."""


QUERIES: Final[dict[str, type[Query]]] = {
    "show_orders": ShowOrders,
    "show_trades": ShowTrades,
    "show_positions": ShowPositions,
    "show_balances": ShowBalances,
    "show_pnl": ShowPnl,
    "show_limits": ShowLimits,
    "show_accounts": ShowAccounts,
    "show_status": ShowStatus,
}
"""Verb → the question it carries."""

# -- rows


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One order.

    Args:
        open: working, asked to change, or in doubt.
        filled, leaves: what traded and what still may, of ``quantity``. ``cost``: sum of quantity × price of the trades.
        locked: what it holds of ``locked_asset``.
        reason: why it was denied, rejected, ended or doubted.
        cancel_reason: why we asked the venue to cancel it; null while nothing is asked, and once it has answered.
        placed_at, updated_at: commit times.
    """

    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    open: bool
    in_doubt: bool
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    filled: Decimal
    leaves: Decimal
    cost: Decimal
    locked: Decimal
    locked_asset: str
    time_in_force: TimeInForce
    expires_at: int | None
    post_only: bool
    reduce_only: bool
    strategy: str
    client_order_id: str
    venue_order_id: str
    reason: str
    cancel_reason: CancelReason | None = None
    placed_at: int
    updated_at: int


class TradeRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fill.

    Args:
        number: counts the journal's trades from 1.
        realised: profit of what it closed in its strategy's book, before fees, in ``settle``.
        at: commit time. ``sequence``: of the frame it stands in. ``venue_time``: when the venue says it traded.
        busted: the venue took this fill, told before, back: what it moved is undone, and ``realised`` is what that made.
    """

    number: int
    trade_id: str
    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    realised: Decimal
    settle: str
    maker: bool
    strategy: str
    venue_time: int
    at: int
    sequence: int
    busted: bool = False


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One position: netting, one quantity, long above zero. Money is in ``settle``.

    Args:
        cost: what is open was bought for, signed as the quantity. ``entry_price``: cost by unit, to 18 places.
        mark, unrealised: None while no mark is known.
        fees: in base (at the fill's price) and settlement asset. ``other_fees``: in any other, by asset, not valued.
        funding: received, less what was paid.
        margin: what is open holds of the wallet. ``leverage``, ``margin_mode``: as the venue last said; None while it has not.
        liquidation_price: as the venue last said, at ``stated_at`` (UTC ns); None for none.
    """

    exchange: str
    account: str
    market: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    entry_price: Decimal | None
    mark: Decimal | None
    unrealised: Decimal | None
    realised: Decimal
    fees: Decimal
    other_fees: dict[str, Decimal]
    funding: Decimal
    settle: str
    margin: Decimal
    leverage: Decimal | None
    margin_mode: MarginMode | None
    liquidation_price: Decimal | None
    stated_at: int
    updated_at: int


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in a wallet of an account: of one market of the exchange, by whose name it then goes, or of several.

    ``free`` = ``total`` − ``locked`` (by orders) − ``margin`` (of positions).
    """

    exchange: str
    account: str
    wallet: str
    asset: str
    total: Decimal
    locked: Decimal
    margin: Decimal
    free: Decimal


class PnlRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was earned in one settlement asset; ``_`` stands where a dimension is summed over.

    Args:
        day: UTC day; ``open`` is the row of what is open when days are told apart, ``earlier`` of the oldest days.
        realised, fees: before fees, and the fees. ``other_fees``: by asset, not valued. ``funding``: received, less paid.
        adjustments: how often the venue's quantity was taken over, at a price that no trade told; what that realised is in
            ``realised``.
        unrealised: of what is open, at the mark; None when a mark is not known, left out when a day was asked for.
        net: realised + unrealised − fees + funding, without other fees; None and left out as ``unrealised``.
        unmarked: symbols with something open and no mark.
    """

    exchange: str
    account: str
    market: str
    symbol: str
    strategy: str
    day: str
    settle: str
    realised: Decimal
    fees: Decimal
    funding: Decimal
    trades: int
    adjustments: int = 0
    unrealised: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    net: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    other_fees: dict[str, Decimal]
    unmarked: list[str]


KILL_SWITCH: Final = "kill_switch"
"""Stands as the control of the row that a latched scope has."""


class OverrideRow(msgspec.Struct, frozen=True, kw_only=True):
    """A value that stands in place of a scope's own, until then (UTC ns)."""

    value: str
    until: int
    by: str
    reason: str


class LatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """An engaged kill switch.

    Args:
        by: the person who threw it; empty when it tripped. ``cause``: the control that tripped it, empty when a person did.
        at: since when, UTC ns.
        allow_reduce_only: orders that bring a position nearer to zero are still let through.
    """

    scope: str
    by: str
    reason: str
    cause: str
    at: int
    allow_reduce_only: bool


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The event that something holds by.

    Args:
        sequence: of its frame in the journal. ``at``: UTC ns.
        by: the person, the configuration, or the program; empty when a control tripped.
    """

    sequence: int
    at: int
    by: str
    reason: str


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """One control at one scope. A scope that is latched has a row ``kill_switch`` too, a strategy that is assigned one ``capital``.

    Args:
        limit: the value in force, as it is set (``10000``, ``5s``, ``off``).
        source: scope that says it: this one, or the one it is inherited from (``account:*``).
        own: what this scope itself has set, overrides apart; null for nothing.
        override: in force in place of what ``source`` has set, or null.
        used, headroom: what counts against the limit, and what is left (below zero: how far beyond it); USD, units or a count,
            as the control is. Null where nothing adds up, or where it cannot be known. Of a floor (``main_floor``,
            ``min_liquidation_distance``) ``used`` is what there is, and has no share.
        level: ``clear`` of what is not told of: see [Near, and beyond](controls.md#near-and-beyond).
        share: used of the limit, 1 is all of it, to 4 places.
        latch: of the scope, null while its own kill switch is not engaged.
        stated: what ``limit`` comes from: the event that set or overrode it, that engaged the kill switch, or assigned the
            strategy.
        nearest: where the control is held against each of several, which one of the scope stands nearest to it: a position
            (``exchange.account.market.symbol``, of a strategy its part of that) or an account; empty for a figure of the whole.
    """

    scope: str
    control: str
    limit: str
    source: str
    own: str | None
    override: OverrideRow | None
    used: Decimal | None
    headroom: Decimal | None
    share: Decimal | None
    level: Level
    latch: LatchRow | None
    stated: Statement
    nearest: str = ""


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy that is assigned to the account, and its capital in USD."""

    strategy: str
    capital: Decimal


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that the venue may yet make, or may have made. Its amount is locked in the source.

    Args:
        account, market: the source; ``to``, ``to_market``: the target.
        note: why it is in doubt. ``requested_at``: UTC ns.
    """

    transfer_id: str
    exchange: str
    account: str
    market: str
    to: str
    to_market: str
    asset: str
    amount: Decimal
    status: TransferStatus
    note: str
    by: str
    requested_at: int


class VenueState(msgspec.Struct, frozen=True, kw_only=True):
    """A market that the account is on. ``ready``: a connector session takes orders."""

    exchange: str
    market: str
    ready: bool


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """One account. Money is in USD.

    Args:
        account: its id, in subjects and events. ``name``: what people call it.
        venues: by exchange and market.
        value: its equity: of all its wallets, with what is unrealised off spot, at the marks and rates known, however old.
            ``unvalued``: assets that it holds and nobody has valued.
        exposure: of its positions, with all that works or is in doubt. ``open_orders``: live ones.
        pnl_day: since the trading day began: realised, unrealised, fees and funding. ``drawdown``: below its best.
        latches: kill switches that hold for it: its own, the global one, and those of exchanges that it is on.
        under_way: how many transfers from or to it are. ``transfers``: the oldest of them, at most :data:`TRANSFERS_SHOWN`.
    """

    account: str
    kind: AccountKind
    name: str
    status: AccountStatus
    venues: list[VenueState]
    value: Decimal
    unvalued: list[str]
    exposure: Decimal
    open_orders: int
    pnl_day: Decimal
    drawdown: Decimal
    strategies: list[Allocation]
    latches: list[LatchRow]
    under_way: int
    transfers: list[TransferRow]


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A market of an account. ``session`` is empty while no connector serves it; ``ready``: it takes orders.

    Args:
        reconciled_at: time of the last reconciliation that was recorded, because it was asked for or found something; 0
            for none. ``differences``: how many it found.
        health: what the session last said of itself, with what the account may still send; None when it was not heard.
    """

    exchange: str
    account: str
    market: str
    session: str
    ready: bool
    live_orders: int
    reconciled_at: int
    differences: int
    health: Heartbeat | None


class StatusRow(msgspec.Struct, frozen=True, kw_only=True):
    """How the system is, as one follower sees it.

    Args:
        journal_id: starts the ids of all orders of this journal.
        engine: instance that wrote last; ``at``: time of the last commit.
        journal_first, journal_sequence: first and last frame that the journal keeps; ``lag``: frames not applied yet. None
            when it cannot be asked.
        orders: held for queries; ``open_orders``, ``in_doubt``, ``unanswered`` (waiting for the venue) are live ones.
        snapshot_sequence, snapshot_at: of the last snapshot this follower wrote or started from; 0 for none.
        published: stream → id of its last public event (``sequence.commit.event``), empty for none.
        archived: last frame that is on disk in the archive; None while this follower does not write it.
        trimmed: what the last trimming of the journal did, and why it went no further; empty before the first.
        latched: how many kill switches are engaged. ``latches``: of them the widest, and then the oldest, at most
            :data:`LATCHES_SHOWN`; a question about one account leaves those of other accounts out of both.
        faults: what does not work now → why: ``ARCHIVE``, ``TRADE_LOG``, ``REPORTS``, ``TRIM``. Nothing is trimmed meanwhile.
    """

    journal_id: str
    partition: str
    engine: str
    at: int
    journal_first: int | None
    journal_sequence: int | None
    lag: int | None
    orders: int
    open_orders: int
    in_doubt: int
    unanswered: int
    trades: int
    instruments: int
    accounts: dict[str, AccountKind]
    sessions: list[SessionRow]
    snapshot_sequence: int
    snapshot_at: int
    published: dict[str, str]
    archived: int | None
    trimmed: str
    faults: dict[str, str]
    latched: int = 0
    latches: list[LatchRow] = []


# -- answers

Row = TypeVar("Row")


class Answer(msgspec.Struct, Generic[Row], frozen=True, kw_only=True):
    """Rows, true at journal ``sequence``.

    Args:
        more: there are, or may be, further rows: ask with ``after`` this ``next``.
    """

    ok: bool = True
    sequence: int
    rows: list[Row]
    more: bool = False
    next: str = ""


class PnlAnswer(Answer[Row], Generic[Row], frozen=True, kw_only=True):
    """P&L rows by their key, and ``totals`` over all rows of all pages, one a settlement asset."""

    totals: list[PnlRow] = []


class QueryFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The question was not answered. ``sequence``: where the follower is."""

    ok: bool = False
    error: ErrorBody
    sequence: int


_encode = msgspec.json.Encoder().encode


def page(rows: Iterable[tuple[str, Any]], limit: int) -> tuple[list[msgspec.Raw], bool, str]:
    """Encode rows, each with the ``after`` that goes on behind it, up to ``limit`` and :data:`MAX_ANSWER_BYTES`.

    A None in place of a row ends the page there: enough was looked through.

    Returns:
        The rows, whether there may be more, and the ``next`` to ask for them with.
    """
    taken: list[msgspec.Raw] = []
    size, last = 0, ""
    for cursor, row in rows:
        if row is None:
            return taken, True, cursor
        encoded = _encode(row)
        if len(taken) == limit or size + len(encoded) > MAX_ANSWER_BYTES:
            return taken, True, last
        taken.append(msgspec.Raw(encoded))
        size += len(encoded) + 1
        last = cursor
    return taken, False, ""
