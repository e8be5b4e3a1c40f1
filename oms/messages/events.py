"""The facts. Immutable, and for ever: a changed event gets a new class with the next version and an upcaster.

The tag carries the version (``OrderPlaced.1``). Decimals are strings on disk, times UTC nanoseconds. The time of a fact
is its commit's ``at``; ``venue_time`` is what the venue said.
"""

from decimal import Decimal

from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages.base import EventBase
from oms.messages.codes import Code
from oms.messages.commands import Difference
from oms.messages.enums import AccountKind, CancelReason, MarginMode, OrderType, Side, TimeInForce
from oms.messages.venues import Feature


class JournalCreated(EventBase, frozen=True, kw_only=True, tag="JournalCreated.1"):
    """The first event of a journal. ``journal_id`` starts every order id made from it, so that two journals never share one."""

    journal_id: str
    partition: str


class EngineStarted(EventBase, frozen=True, kw_only=True, tag="EngineStarted.2"):
    """An engine took over as the one writer. Appending this is what fences out the one before.

    ``code`` is the digest of the source that decides (:func:`oms.code.code_digest`); empty where it was not recorded.
    """

    instance: str
    version: str
    code: str


class Sealed(EventBase, frozen=True, kw_only=True, tag="Sealed.1"):
    """The state before this commit has this digest: whoever replays must come to the same.

    ``shape`` names what was hashed (:data:`oms.aggregates.digest.SHAPE`); digests of another shape cannot be compared.
    """

    digest: str
    shape: str


class SigningKeyDeclared(EventBase, frozen=True, kw_only=True, tag="SigningKeyDeclared.1"):
    """Receipts from here on are signed with this Ed25519 key. ``public_key``: 64 hex digits."""

    key_id: str
    public_key: str


class LossAccepted(EventBase, frozen=True, kw_only=True, tag="LossAccepted.1"):
    """A person accepted that frames ``first`` to ``last``, which were known to be durable, are gone from the journal.

    ``head`` is the digest that the last of them had.
    """

    first: int
    last: int
    head: str
    by: str
    reason: str


class AccountRegistered(EventBase, frozen=True, kw_only=True, tag="AccountRegistered.1"):
    """The account may trade from now on."""

    account: str
    kind: AccountKind


class VenueDeclared(EventBase, frozen=True, kw_only=True, tag="VenueDeclared.1"):
    """What a market can do, from its connector. ``wallet`` is where its funds are."""

    exchange: str
    market: str
    order_types: tuple[OrderType, ...]
    times_in_force: tuple[TimeInForce, ...]
    features: tuple[Feature, ...]
    wallet: str


class InstrumentListed(EventBase, frozen=True, kw_only=True, tag="InstrumentListed.1"):
    """An instrument is new or its terms changed. ``settle`` is the asset that P&L arises in.

    ``ticks`` is a table of (lowest price, tick), ascending, where the tick depends on the price.
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


class SessionOpened(EventBase, frozen=True, kw_only=True, tag="SessionOpened.1"):
    """A connector serves the account on this market in place of any before: reconciling, or ``ready`` for orders."""

    exchange: str
    account: str
    market: str
    session: str
    ready: bool


class SessionClosed(EventBase, frozen=True, kw_only=True, tag="SessionClosed.1"):
    """No connector serves the account on this market."""

    exchange: str
    account: str
    market: str
    session: str
    reason: str


class BalanceAdjusted(EventBase, frozen=True, kw_only=True, tag="BalanceAdjusted.1"):
    """The venue's total differed from ours by ``delta``, and ours is now ``total``: deposits, withdrawals, the unknown."""

    exchange: str
    account: str
    market: str
    asset: str
    delta: Decimal
    total: Decimal


class MarksRecorded(EventBase, frozen=True, kw_only=True, tag="MarksRecorded.1"):
    """Mark prices by symbol, in quote per base."""

    exchange: str
    market: str
    marks: dict[str, Decimal]


class FundingPaid(EventBase, frozen=True, kw_only=True, tag="FundingPaid.1"):
    """A funding payment of a position: ``amount`` is what the account received, negative for what it paid."""

    exchange: str
    account: str
    market: str
    symbol: str
    funding_id: str
    amount: Decimal
    asset: str
    venue_time: int


class PositionAdjusted(EventBase, frozen=True, kw_only=True, tag="PositionAdjusted.1"):
    """The venue's quantity differed from ours, ``expected``, and ours is now ``quantity``, entered at ``entry_price`` on average.

    ``cost`` is what that makes, in the settlement asset, and ``expected_cost`` what it was. ``price`` is what is gone, or what
    joined what we held, is taken as traded at, by trades that nobody told us; None where no mark was known, and in journals from
    before it was recorded. ``realised``: what was earned or lost with what is gone, in the settlement asset.
    """

    exchange: str
    account: str
    market: str
    symbol: str
    expected: Decimal
    quantity: Decimal
    entry_price: Decimal
    expected_cost: Decimal
    cost: Decimal
    price: Decimal | None = None
    realised: Decimal = Decimal(0)


class PositionStated(EventBase, frozen=True, kw_only=True, tag="PositionStated.1"):
    """What the venue shows of a position beside its quantity, when it is not what it last showed. None: it shows none."""

    exchange: str
    account: str
    market: str
    symbol: str
    entry_price: Decimal | None
    liquidation_price: Decimal | None
    margin: Decimal | None
    leverage: Decimal | None
    margin_mode: MarginMode | None


class TermsRequested(EventBase, frozen=True, kw_only=True, tag="TermsRequested.1"):
    """We want this leverage, margin mode or both for the symbol; None: as it is."""

    exchange: str
    account: str
    market: str
    symbol: str
    leverage: Decimal | None
    margin_mode: MarginMode | None


class TermsSet(EventBase, frozen=True, kw_only=True, tag="TermsSet.1"):
    """The symbol has these terms at the venue, asked for by us or not. None: it has never shown them."""

    exchange: str
    account: str
    market: str
    symbol: str
    leverage: Decimal | None
    margin_mode: MarginMode | None
    venue_time: int = 0


class TermsRefused(EventBase, frozen=True, kw_only=True, tag="TermsRefused.1"):
    """The venue did not change what was asked for: the symbol has the terms it had."""

    exchange: str
    account: str
    market: str
    symbol: str
    reason: str


class ReconciliationRequested(EventBase, frozen=True, kw_only=True, tag="ReconciliationRequested.1"):
    """A person wants the account on this market held against the venue now. ``request_id`` names the answer to it."""

    exchange: str
    account: str
    market: str
    request_id: str


class Reconciled(EventBase, frozen=True, kw_only=True, tag="Reconciled.1"):
    """The account on this market was held against the venue; recorded when something differed or somebody had asked.

    Args:
        request_id: of the request; empty for a reconciliation of the session's own.
        started_at: UTC ns.
        orders, trades, balances, positions: how many were compared.
        more: differences beyond those listed.
    """

    exchange: str
    account: str
    market: str
    request_id: str
    started_at: int
    orders: int
    trades: int
    balances: int
    positions: int
    differences: list[Difference]
    more: int = 0


class _OrderTerms(EventBase, frozen=True, kw_only=True):
    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    strategy: str = ""
    client_order_id: str = ""


class OrderPlaced(_OrderTerms, frozen=True, kw_only=True, tag="OrderPlaced.1"):
    """The intent, durable before anything is sent.

    ``reserve_price`` is what each unit reserves: on spot a buy, of the quote asset (a sell reserves the base itself); off
    spot either side, of the settlement asset, and nothing where the order can only bring the position nearer to zero.
    """

    reserve_price: Decimal | None = None
    awaits: tuple[str, ...] = ()


class OrderReleased(EventBase, frozen=True, kw_only=True, tag="OrderReleased.1"):
    """The orders that it awaited are gone: it may be sent now."""

    order_id: str


class OrderDenied(_OrderTerms, frozen=True, kw_only=True, tag="OrderDenied.1"):
    """Our own controls refused the order; it was never sent."""

    code: Code
    message: str


class OrderAdopted(_OrderTerms, frozen=True, kw_only=True, tag="OrderAdopted.1"):
    """An order found working at the venue that did not come from here. ``client_order_id`` is its id there.

    ``reserve_price`` off spot as in :class:`OrderPlaced`; on spot it follows from the terms. ``reason`` when the venue made
    it: ``liquidation`` or ``adl``.
    """

    venue_order_id: str
    venue_time: int
    reserve_price: Decimal | None = None
    reason: str = ""


class OrderAccepted(EventBase, frozen=True, kw_only=True, tag="OrderAccepted.1"):
    """The venue acknowledged the order, or a look-up found it working."""

    order_id: str
    venue_order_id: str
    venue_time: int


class OrderRejected(EventBase, frozen=True, kw_only=True, tag="OrderRejected.1"):
    """The venue refused the order, or it was proven never to have reached it."""

    order_id: str
    reason: str
    venue_time: int = 0


class _Trade(EventBase, frozen=True, kw_only=True):
    order_id: str
    exchange: str
    account: str
    market: str
    symbol: str
    side: Side
    trade_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    venue_time: int
    maker: bool = False
    strategy: str = ""


class OrderFilled(_Trade, frozen=True, kw_only=True, tag="OrderFilled.1"):
    """One trade. It names everything, so that it can be applied when the order itself is long gone from memory."""


class TradeBusted(_Trade, frozen=True, kw_only=True, tag="TradeBusted.1"):
    """The venue took a trade back that was applied: its quantity, its money and its fee are given back.

    Everything but ``reason`` is as the :class:`OrderFilled` said. A trade that is corrected is taken back and told again
    under another id.
    """

    reason: str = ""


class OrderCancelRequested(EventBase, frozen=True, kw_only=True, tag="OrderCancelRequested.1"):
    """We want the order gone."""

    order_id: str
    reason: CancelReason = CancelReason.CLIENT


class CancelAllRequested(EventBase, frozen=True, kw_only=True, tag="CancelAllRequested.1"):
    """A ``cancel_all`` has asked for ``count`` cancels. ``_`` covers any exchange, market or symbol.

    ``left``: orders covered beyond the bound of one command, which are not asked for.
    """

    exchange: str
    account: str
    market: str
    symbol: str
    count: int
    left: int = 0


class OrderCanceled(EventBase, frozen=True, kw_only=True, tag="OrderCanceled.1"):
    """The venue ended the order. ``missing_fills`` when it filled more there than the trades we know."""

    order_id: str
    reason: str
    venue_time: int
    missing_fills: bool = False


class OrderExpired(EventBase, frozen=True, kw_only=True, tag="OrderExpired.1"):
    """The order's time in force ended it. ``missing_fills`` as in :class:`OrderCanceled`."""

    order_id: str
    reason: str
    venue_time: int
    missing_fills: bool = False


class OrderCancelRejected(EventBase, frozen=True, kw_only=True, tag="OrderCancelRejected.1"):
    """The venue did not cancel: the order is what it was before."""

    order_id: str
    reason: str
    venue_time: int


class OrderAmendRequested(EventBase, frozen=True, kw_only=True, tag="OrderAmendRequested.1"):
    """We want this total quantity and price. ``revision`` names the venue order that would carry them: a new one, or the
    one that stands, where the venue amends in place.

    ``reserve_price`` off spot as in :class:`OrderPlaced`, with these terms; on spot it follows from them.
    """

    order_id: str
    quantity: Decimal
    price: Decimal | None
    revision: int
    reserve_price: Decimal | None = None


class OrderAmended(EventBase, frozen=True, kw_only=True, tag="OrderAmended.1"):
    """The order works with the terms asked for."""

    order_id: str
    quantity: Decimal
    price: Decimal | None
    revision: int
    venue_order_id: str
    venue_time: int


class OrderAmendRejected(EventBase, frozen=True, kw_only=True, tag="OrderAmendRejected.1"):
    """The venue did not amend: the order is what it was before."""

    order_id: str
    reason: str
    venue_time: int


class OrderAmendDenied(EventBase, frozen=True, kw_only=True, tag="OrderAmendDenied.1"):
    """A control of ours stood against an amend; it was never sent, and the order is what it was.

    ``quantity``, ``price``: as asked for; None for as it is.
    """

    order_id: str
    quantity: Decimal | None
    price: Decimal | None
    code: Code
    message: str


class OrderRestated(EventBase, frozen=True, kw_only=True, tag="OrderRestated.1"):
    """The venue order has this total quantity and price, which we did not ask for."""

    order_id: str
    quantity: Decimal
    price: Decimal | None
    reason: str
    venue_time: int


class OrderInDoubt(EventBase, frozen=True, kw_only=True, tag="OrderInDoubt.1"):
    """The outcome of a request is unknown. The order is looked up until it is known, and never sent again."""

    order_id: str
    reason: str


class OrderDoubtResolved(EventBase, frozen=True, kw_only=True, tag="OrderDoubtResolved.1"):
    """A look-up answered, and the order is as we believed."""

    order_id: str


Event = (
    JournalCreated
    | EngineStarted
    | Sealed
    | SigningKeyDeclared
    | LossAccepted
    | AccountRegistered
    | VenueDeclared
    | InstrumentListed
    | SessionOpened
    | SessionClosed
    | BalanceAdjusted
    | MarksRecorded
    | FundingPaid
    | PositionAdjusted
    | PositionStated
    | TermsRequested
    | TermsSet
    | TermsRefused
    | ReconciliationRequested
    | Reconciled
    | OrderPlaced
    | OrderDenied
    | OrderAdopted
    | OrderAccepted
    | OrderRejected
    | OrderFilled
    | TradeBusted
    | OrderCancelRequested
    | CancelAllRequested
    | OrderCanceled
    | OrderExpired
    | OrderCancelRejected
    | OrderAmendRequested
    | OrderAmended
    | OrderAmendRejected
    | OrderAmendDenied
    | OrderRestated
    | OrderInDoubt
    | OrderDoubtResolved
    | OrderReleased
    | k.LimitsSet
    | k.LimitsOverridden
    | k.OverrideEnded
    | k.ValuationSet
    | k.LimitCrossed
    | k.KillSwitchEngaged
    | k.KillSwitchReleased
    | k.DayRolled
    | d.AccountRenamed
    | d.AccountDisabled
    | d.AccountEnabled
    | d.AccountClosed
    | d.StrategyAssigned
    | d.TransferRequested
    | d.TransferCompleted
    | d.TransferRejected
    | d.TransferInDoubt
    | d.TransferDenied
    | d.DisconnectGuardSet
    | d.ClientDisconnected
)
