"""Partition: the whole decision state behind one journal, and the one place where an event changes it.

It holds the aggregates (orders, accounts, positions, instruments) and the indexes that keep every decision at constant
cost however many orders are open. ``apply`` takes a commit; everything that changes, changes through :data:`_EVOLVE`,
which has a rule for every event. Finished orders leave by a rule on event time; the engine, the follower and every
replay apply the same commits and so hold the same state.
"""

from collections import OrderedDict
from decimal import Decimal
from typing import Any, Final

import attrs

from oms.aggregates import guard, registered, transfer
from oms.aggregates import order as orders
from oms.aggregates.account import Account, AccountKey, Wallet, WalletKey, funding_key, trade_key
from oms.aggregates.books import BookKey, Books
from oms.aggregates.bust import bust_key, undoing
from oms.aggregates.digest import Changes, Digest, command_line, retired_line, trade_line
from oms.aggregates.holds import Holds
from oms.aggregates.instrument import Instrument, InstrumentKey, listed
from oms.aggregates.money import ONE, ZERO, quotient_up
from oms.aggregates.order import ADOPTED, Order
from oms.aggregates.position import Position, PositionKey
from oms.aggregates.registered import Registered
from oms.aggregates.risk import assignments
from oms.aggregates.risk.own_book import OwnBook
from oms.aggregates.risk.risk import Risk
from oms.aggregates.risk.totals import Totals
from oms.aggregates.venue import Venue, VenueKey, declared
from oms.aggregates.window import Remembered, Window, outcome
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages.enums import OrderStatus, Side
from oms.messages.frames import Commit

FINISHED_KEPT_NS: Final = 3_600 * 10**9
"""A finished order stays in the hot state this long, by event time …"""
MAX_FINISHED: Final = 20_000
"""… but no more than so many do."""
MAX_RETIRED: Final = 500_000
"""Of this many orders that left, id and strategy are kept, for fills that come late."""


@attrs.define(slots=True, eq=False)
class Partition:
    """Decision state of one partition.

    Args:
        engine, version: instance and release of the engine that writes.
        signing_key: public key that receipts are signed with, in hex; empty before one was declared.
        at: UTC nanoseconds of the last commit; event time.
        next_order: number that the next order id is made from; ``next_transfer`` likewise.
        transfers_done: how many transfers have moved anything.
        positions_of: account key → its positions by symbol.
        live: account key → its live orders by id, oldest first.
        unanswered: orders that wait for the venue → since when; oldest first, none of them in doubt.
        doubtful: orders in doubt → since when.
        holds: orders that are not sent before others are gone. ``own_book``: our resting orders, by instrument and price.
        expiring: live GTD orders → when they expire.
        finished: finished orders in the hot state → when they finished; oldest first.
        retired: orders that left the hot state → their strategy; oldest first.
        transfers: those under way, and those that finished a while ago.
        transfers_under_way: of them those that the venue may yet make, oldest first. ``transfers_finished``: the others → when
            they finished, oldest first.
        venue_ids: account key and client id at the venue → order id, for adopted orders, whose client ids are not ours.
        changes: entities touched that the digest has not taken in yet.
    """

    journal_id: str = ""
    partition: str = ""
    engine: str = ""
    version: str = ""
    signing_key: str = ""
    at: int = 0
    next_order: int = 1
    next_transfer: int = 1
    transfers_done: int = 0
    accounts: dict[str, Registered] = attrs.field(factory=dict)
    venues: dict[VenueKey, Venue] = attrs.field(factory=dict)
    instruments: dict[InstrumentKey, Instrument] = attrs.field(factory=dict)
    ledgers: dict[AccountKey, Account] = attrs.field(factory=dict)
    wallets: dict[WalletKey, Wallet] = attrs.field(factory=dict)
    positions: dict[PositionKey, Position] = attrs.field(factory=dict)
    orders: dict[str, Order] = attrs.field(factory=dict)
    windows: dict[str, Window] = attrs.field(factory=dict)
    guards: dict[guard.GuardKey, guard.Guard] = attrs.field(factory=dict)
    transfers: dict[str, transfer.Transfer] = attrs.field(factory=dict)
    transfers_under_way: dict[str, transfer.Transfer] = attrs.field(factory=dict)
    transfers_finished: OrderedDict[str, int] = attrs.field(factory=OrderedDict)
    positions_of: dict[AccountKey, dict[str, Position]] = attrs.field(factory=dict)
    live: dict[AccountKey, dict[str, Order]] = attrs.field(factory=dict)
    unanswered: dict[str, int] = attrs.field(factory=dict)
    doubtful: dict[str, int] = attrs.field(factory=dict)
    holds: Holds = attrs.field(factory=Holds)
    own_book: OwnBook = attrs.field(factory=OwnBook)
    expiring: dict[str, int] = attrs.field(factory=dict)
    finished: OrderedDict[str, int] = attrs.field(factory=OrderedDict)
    retired: OrderedDict[str, str] = attrs.field(factory=OrderedDict)
    venue_ids: dict[tuple[AccountKey, str], str] = attrs.field(factory=dict)
    changes: Changes = attrs.field(factory=Changes)
    books: Books = attrs.field(factory=Books)
    risk: Risk = attrs.field(default=attrs.Factory(lambda self: Risk(self.changes), takes_self=True))
    _digest: Digest = attrs.field(factory=Digest)

    # -- digest

    def digest(self) -> str:
        """The digest of the whole state, 64 hex digits, at the cost of what was touched since it was last asked for."""
        return self._digest.value(self)

    def fold(self) -> list[bytes]:
        """Take into the digest what was touched; return the SHA-256 of each touched entity as it is now."""
        return self._digest.fold(self)

    def adopt_digest(self, digest: str) -> None:
        """Take over the digest that this state, filled in by hand, is known to have."""
        self._digest.adopt(self, digest)

    # -- read

    def ledger(self, key: AccountKey) -> Account:
        """The account on a market, to be changed; made empty when new."""
        self.changes.ledgers[key] = None
        found = self.ledgers.get(key)
        if found is None:
            found = self.ledgers[key] = Account(*key)
        return found

    def wallet_key(self, key: AccountKey) -> WalletKey:
        """Which wallet the funds of an account's market are in: its own, or the one that the venue declared for it."""
        venue = self.venues.get((key[0], key[2]))
        return key if venue is None else (key[0], key[1], venue.wallet)

    def funds(self, key: AccountKey) -> Wallet:
        """The funds of an account's market, to be changed; made empty when new."""
        wallet_key = self.wallet_key(key)
        self.changes.wallets[wallet_key] = None
        found = self.wallets.get(wallet_key)
        if found is None:
            found = self.wallets[wallet_key] = Wallet(*wallet_key)
        return found

    def funds_seen(self, key: AccountKey) -> Wallet:
        """The funds of an account's market, to be looked at; an empty wallet when there is none."""
        wallet_key = self.wallet_key(key)
        return self.wallets.get(wallet_key) or Wallet(*wallet_key)

    def window(self, account: str) -> Window:
        """The account's remembered commands."""
        found = self.windows.get(account)
        if found is None:
            found = self.windows[account] = Window()
        return found

    def position(self, key: PositionKey) -> Position:
        """The position, to be changed; made flat when new."""
        self.changes.positions[key] = None
        found = self.positions.get(key)
        if found is None:
            found = Position(*key)
            self.hold_position(key, found)
        return found

    def hold_position(self, key: PositionKey, position: Position) -> None:
        """Take in a position that is not held yet."""
        self.positions[key] = position
        self.positions_of.setdefault(key[:3], {})[key[3]] = position
        self.risk.leaves.attach(key, position)

    def book(self, key: BookKey) -> Position:
        """What a strategy's trades made of a position, to be changed; made flat when new."""
        self.changes.books[key] = None
        found = self.books.by_key.get(key)
        if found is None:
            found = self.books.book(key)
            self.risk.leaves.attach_book(key, found)
        return found

    def order_id(self) -> str:
        """The id of the next order: the journal's own prefix and a number, 16 letters and digits."""
        return f"{self.journal_id}{self.next_order:010x}"

    def transfer_id(self) -> str:
        """The id of the next transfer: the prefix, a T and a number, 17 letters and digits."""
        return f"{self.journal_id}T{self.next_transfer:010x}"

    # -- evolve

    def apply(self, commit: Commit, sequence: int) -> None:
        """Apply one commit, in a context of :data:`oms.aggregates.money.EXACT`."""
        at = commit.at
        for event in commit.events:
            _EVOLVE[type(event)](self, event, at)
        self.finish(commit, sequence)

    def evolve(self, event: e.Event, at: int) -> None:
        """Apply one event of a commit in the making; :meth:`finish` ends it."""
        _EVOLVE[type(event)](self, event, at)

    def finish(self, commit: Commit, sequence: int) -> None:
        """End a commit whose events are applied."""
        self.at = commit.at
        if commit.command_id:
            account = commit.subject.split(".", 3)[2]
            self._remember(account, commit.command_id, outcome(commit, sequence))
        if self.finished:
            self._retire(commit.at)
        if self.transfers_finished:
            transfer.retire_transfers(self, commit.at)
        if self.changes.many:
            self.fold()

    def _remember(self, account: str, command_id: str, found: Remembered) -> None:
        forgotten = self.window(account).remember(command_id, found)
        self.changes.added.append(command_line(account, command_id, found))
        if forgotten is not None:
            self.changes.removed.append(command_line(account, *forgotten))

    def _retire(self, at: int) -> None:
        finished = self.finished
        while finished:
            oldest = next(iter(finished))
            if len(finished) <= MAX_FINISHED and at - finished[oldest] < FINISHED_KEPT_NS:
                return
            del finished[oldest]
            order = self.orders.pop(oldest)
            self.changes.orders[oldest] = None
            if order.strategy == ADOPTED:
                venue_id = ((order.exchange, order.account, order.market), order.client_order_id)
                # The id may stand for a later order by now.
                if self.venue_ids.get(venue_id) == oldest:
                    del self.venue_ids[venue_id]
            self._remember_retired(oldest, order.strategy)

    def _remember_retired(self, order_id: str, strategy: str) -> None:
        self.retired[order_id] = strategy
        self.changes.added.append(retired_line(order_id, strategy))
        if len(self.retired) > MAX_RETIRED:
            self.changes.removed.append(retired_line(*self.retired.popitem(last=False)))

    def _add(self, order: Order, key: AccountKey) -> None:
        self.orders[order.order_id] = order
        live = self.live.get(key)
        if live is None:
            live = self.live[key] = {}
        live[order.order_id] = order
        self.own_book.changed(order)
        self.changes.orders[order.order_id] = None
        self.next_order += 1

    def _settle(self, order: Order) -> None:
        """Bring reservation and indexes in line with what the order has become."""
        key = (order.exchange, order.account, order.market)
        required = order.required
        if required != order.reserved:
            self.funds(key).reserve(order.reserve_asset, required - order.reserved)
            order.reserved = required
        if order.reduce_only or order.market != "spot":
            self._take_off(order, key)
        order_id = order.order_id
        self.changes.orders[order_id] = None
        listed = self.live.get(key)
        if listed is None:
            listed = self.live[key] = {}
        waiting = order.waiting
        if waiting or order.in_doubt or order.working:
            if order_id not in listed:
                self._list_again(order, listed)
        elif order_id in listed:
            del listed[order_id]
            self.finished[order_id] = order.updated_at
            if order.expires_at is not None:
                del self.expiring[order_id]
        if order.in_doubt:
            self.doubtful.setdefault(order_id, order.updated_at)
            waiting = False
        elif order_id in self.doubtful:
            del self.doubtful[order_id]
        if waiting:
            self.unanswered.setdefault(order_id, order.updated_at)
        elif order_id in self.unanswered:
            del self.unanswered[order_id]
        self.own_book.changed(order)
        if self.holds.since:
            self.holds.changed(order, self.orders)
        self.risk.leaves.counts(self, order)

    def _take_off(self, order: Order, key: AccountKey) -> None:
        """Count an order that only closes against what of its position is left to close."""
        reduces = order.reduces
        more = reduces - order.reducing
        if more:
            position = self.position((*key, order.symbol))
            if order.reduce_only:
                position.reducing += more
            else:
                position.closing += more
            order.reducing = reduces

    def hold(self, position: Position, instrument: Instrument) -> None:
        """Bring the margin of a position that changed in line with what it has become."""
        required = position.required_margin
        if required != position.margin:
            key = (position.exchange, position.account, position.market)
            self.funds(key).hold(instrument.settle, required - position.margin)
            position.margin = required

    def _list_again(self, order: Order, listed: dict[str, Order]) -> None:
        """Take an order back that was finished, and lives as the venue shows."""
        listed[order.order_id] = order
        self.finished.pop(order.order_id, None)
        if order.expires_at is not None:
            self.expiring[order.order_id] = order.expires_at

    def _change(self, event: Any, at: int) -> None:
        order = self.orders.get(event.order_id)
        if order is None:
            raise AssertionError(
                f"{type(event).__name__} for {event.order_id}, which is not in the hot state"
            )
        order.evolve(event, at)
        self._settle(order)

    def _ask(self, event: Any, at: int) -> None:
        order = self.orders[event.order_id]
        order.evolve(event, at)
        self.unanswered.pop(event.order_id, None)
        self._settle(order)
        if type(event) is e.OrderAmendRequested:
            self.risk.amended(self, order, at)

    def _reject(self, event: e.OrderRejected, at: int) -> None:
        order = self.orders.get(event.order_id)
        held = order is not None and order.awaits
        self._change(event, at)
        if not held:
            # What was held was never sent, and the venue has not turned it down.
            self.risk.rejected(self, self.orders[event.order_id], at)


BUY: Final = Side.BUY


def _journal_created(state: Partition, event: e.JournalCreated, at: int) -> None:
    state.journal_id = event.journal_id
    state.partition = event.partition


def _engine_started(state: Partition, event: e.EngineStarted, at: int) -> None:
    state.engine = event.instance
    state.version = event.version


def _sealed(state: Partition, event: e.Sealed, at: int) -> None:
    """Changes nothing: it says what the state is. Replay holds it against its own."""


def _signing_key_declared(state: Partition, event: e.SigningKeyDeclared, at: int) -> None:
    state.signing_key = event.public_key


def _loss_accepted(state: Partition, event: e.LossAccepted, at: int) -> None:
    """What was lost is not known here; the venue is asked for it when the connectors reconcile."""


def _venue_declared(state: Partition, event: e.VenueDeclared, at: int) -> None:
    venue = declared(event)
    before = state.venues.get(venue.key)
    state.venues[venue.key] = venue
    state.changes.venues[venue.key] = None
    if venue.wallet != (event.market if before is None else before.wallet):
        # Positions count in the purse of another wallet.
        state.risk.rebuild(state)


def _instrument_listed(state: Partition, event: e.InstrumentListed, at: int) -> None:
    key = (event.exchange, event.market, event.symbol)
    before = state.instruments.get(key)
    state.instruments[key] = instrument = listed(event, before)
    state.changes.instruments[key] = None
    if before is not None and before.settle != instrument.settle:
        _settle_in(state, before, instrument)
    state.risk.listed(state, instrument, before)


def _settle_in(state: Partition, before: Instrument, instrument: Instrument) -> None:
    """Hold the margin of what is open in the asset that it settles in from now on."""
    for place, position in state.positions.items():
        if position.margin and (place[0], place[2], place[3]) == instrument.key:
            state.funds(place[:3]).hold(before.settle, -position.margin)
            state.changes.positions[place] = None
            position.margin = ZERO
            state.hold(position, instrument)


def _session_opened(state: Partition, event: e.SessionOpened, at: int) -> None:
    ledger = state.ledger((event.exchange, event.account, event.market))
    ledger.session = event.session
    ledger.ready = event.ready


def _session_closed(state: Partition, event: e.SessionClosed, at: int) -> None:
    ledger = state.ledger((event.exchange, event.account, event.market))
    ledger.session = ""
    ledger.ready = False


def _balance_adjusted(state: Partition, event: e.BalanceAdjusted, at: int) -> None:
    state.funds((event.exchange, event.account, event.market)).adjust(event)


def _marks_recorded(state: Partition, event: e.MarksRecorded, at: int) -> None:
    touched: dict[str, Totals] = {}
    for symbol, mark in event.marks.items():
        key = (event.exchange, event.market, symbol)
        state.instruments[key].set_mark(mark, at)
        state.changes.instruments[key] = None
        state.risk.leaves.marked(state, key, touched)
    state.risk.settled(touched)


def _order_placed(state: Partition, event: e.OrderPlaced, at: int) -> None:
    instrument = state.instruments[event.exchange, event.market, event.symbol]
    asset, unit = reservation(instrument, event.side, event.reserve_price)
    order = orders.make(event, at, OrderStatus.PENDING_NEW, asset, unit)
    order.reserved = event.quantity * unit
    key = (event.exchange, event.account, event.market)
    state.funds(key).reserve(asset, order.reserved)
    if event.reduce_only or not instrument.spot:
        state._take_off(order, key)
    if event.expires_at is not None:
        state.expiring[event.order_id] = event.expires_at
    order.awaits = event.awaits
    state._add(order, key)
    if event.awaits:
        state.holds.hold(order, state.orders)
    else:
        state.unanswered[event.order_id] = at
    state.risk.placed(state, event, at)
    state.risk.leaves.counts(state, order)


def _order_denied(state: Partition, event: e.OrderDenied, at: int) -> None:
    # Final at birth: nothing can happen to it that the hot state would have to decide.
    state.next_order += 1
    state._remember_retired(event.order_id, event.strategy)


def _order_amend_denied(state: Partition, event: e.OrderAmendDenied, at: int) -> None:
    """Changes nothing: it was never sent, and the order is what it was."""


def _order_adopted(state: Partition, event: e.OrderAdopted, at: int) -> None:
    instrument = state.instruments[event.exchange, event.market, event.symbol]
    price = event.reserve_price
    if price is None:
        price = event.price or event.trigger_price or instrument.mark or ZERO
    asset, unit = reservation(instrument, event.side, price)
    order = orders.make(event, at, OrderStatus.NEW, asset, unit)
    order.venue_order_id = event.venue_order_id
    order.reason = event.reason
    key = (event.exchange, event.account, event.market)
    state.venue_ids[key, event.client_order_id] = event.order_id
    state._add(order, key)
    state._settle(order)


def _cancel_all_requested(state: Partition, event: e.CancelAllRequested, at: int) -> None:
    """The cancels have events of their own; this one answers the command."""


def _order_filled(state: Partition, event: e.OrderFilled, at: int) -> None:
    key = (event.exchange, event.account, event.market)
    _trade(state, key, event, at)
    ledger = state.ledger(key)
    forgotten = ledger.filled(event)
    state.changes.added.append(trade_line(ledger, trade_key(event), event.venue_time))
    if forgotten is not None:
        state.changes.removed.append(trade_line(ledger, *forgotten))
    _traded(state, event, at)


def _trade_busted(state: Partition, event: e.TradeBusted, at: int) -> None:
    key = (event.exchange, event.account, event.market)
    _trade(state, key, undoing(event), at)
    # The trade's own id stays: told again, late, it is not applied.
    _remember_applied(state, key, bust_key(event), event.venue_time)
    _traded(state, event, at)


def _trade(state: Partition, key: AccountKey, event: e.OrderFilled, at: int) -> None:
    """Move position and funds by a trade."""
    instrument = state.instruments[event.exchange, event.market, event.symbol]
    position = state.position((*key, event.symbol))
    realised = position.fill(event, instrument, at)
    state.funds(key).fill(event, instrument, realised)
    if not instrument.spot:
        state.hold(position, instrument)
    place = (*key, event.symbol)
    book_key = (*place, event.strategy)
    book = state.book(book_key)
    fees = book.fees
    realised = book.fill(event, instrument, at)
    state.books.traded = (book_key, realised, book.fees - fees)
    if (
        event.fee
        and event.fee_asset != instrument.settle
        and not (instrument.spot and event.fee_asset == instrument.base)
    ):
        state.risk.leaves.charge(position, instrument, event.fee_asset, event.fee)
        state.risk.leaves.charge(book, instrument, event.fee_asset, event.fee)
    state.risk.moved(state, place, (book_key,))


def _traded(state: Partition, event: e.OrderFilled | e.TradeBusted, at: int) -> None:
    """Tell a trade to its order, where that is still in the hot state."""
    order = state.orders.get(event.order_id)
    if order is not None:
        first = not order.cumulative
        order.evolve(event, at)
        state._settle(order)
        if first:
            state.risk.executed(state, order, at)


def _remember_applied(state: Partition, key: AccountKey, name: str, venue_time: int) -> None:
    """Remember that something besides a trade was applied, so that it is not applied again."""
    ledger = state.ledger(key)
    forgotten = ledger.remember(name, venue_time)
    state.changes.added.append(trade_line(ledger, name, venue_time))
    if forgotten is not None:
        state.changes.removed.append(trade_line(ledger, *forgotten))


def _position_of(state: Partition, event: Any) -> tuple[Position, Instrument]:
    """The position that an event names, to be changed, and its instrument."""
    position = state.position((event.exchange, event.account, event.market, event.symbol))
    return position, state.instruments[event.exchange, event.market, event.symbol]


def _funding_paid(state: Partition, event: e.FundingPaid, at: int) -> None:
    position, instrument = _position_of(state, event)
    position.fund(event.amount, event.asset, instrument.settle)
    position.updated_at = at
    key = (event.exchange, event.account, event.market)
    state.funds(key).fund(event)
    place = (*key, event.symbol)
    parts = state.books.funded = state.books.shares(place, event.amount)
    for book_key, amount in parts:
        book = state.book(book_key)
        book.fund(amount, event.asset, instrument.settle)
        if event.asset != instrument.settle:
            state.risk.leaves.charge(book, instrument, event.asset, -amount)
    if event.asset != instrument.settle:
        state.risk.leaves.charge(position, instrument, event.asset, -event.amount)
    state.risk.moved(state, place, [book_key for book_key, _ in parts])
    _remember_applied(state, key, funding_key(event.symbol, event.funding_id), event.venue_time)


def _position_adjusted(state: Partition, event: e.PositionAdjusted, at: int) -> None:
    position, instrument = _position_of(state, event)
    position.adjust(event, at)
    state.hold(position, instrument)
    book_key = state.books.adjust(event, at)
    state.changes.books[book_key] = None
    state.risk.leaves.attach_book(book_key, state.books.by_key[book_key])
    state.risk.moved(state, book_key[:4], (book_key,))


def _position_stated(state: Partition, event: e.PositionStated, at: int) -> None:
    position, instrument = _position_of(state, event)
    position.state(event, at)
    state.hold(position, instrument)


def _terms_requested(state: Partition, event: e.TermsRequested, at: int) -> None:
    _position_of(state, event)[0].asked_at = at


def _terms_set(state: Partition, event: e.TermsSet, at: int) -> None:
    position, instrument = _position_of(state, event)
    position.set_terms(event)
    state.hold(position, instrument)


def _terms_refused(state: Partition, event: e.TermsRefused, at: int) -> None:
    _position_of(state, event)[0].asked_at = 0


def _reconciliation_requested(state: Partition, event: e.ReconciliationRequested, at: int) -> None:
    """The instruction follows from it; what was found is an event of its own."""


def _reconciled(state: Partition, event: e.Reconciled, at: int) -> None:
    state.ledger((event.exchange, event.account, event.market)).reconciled(event, at)
    state.risk.differs(event)


def _limits_set(state: Partition, event: k.LimitsSet, at: int) -> None:
    state.risk.limits_set(event, at)


def _limits_overridden(state: Partition, event: k.LimitsOverridden, at: int) -> None:
    state.risk.limits_overridden(event, at)


def _override_ended(state: Partition, event: k.OverrideEnded, at: int) -> None:
    state.risk.override_ended(event, at)


def _valuation_set(state: Partition, event: k.ValuationSet, at: int) -> None:
    state.risk.valued(state, event, at)


def _limit_crossed(state: Partition, event: k.LimitCrossed, at: int) -> None:
    state.risk.crossed(event, at)


def _kill_switch_engaged(state: Partition, event: k.KillSwitchEngaged, at: int) -> None:
    state.risk.engaged(event, at)


def _kill_switch_released(state: Partition, event: k.KillSwitchReleased, at: int) -> None:
    state.risk.released(event, at)


def _day_rolled(state: Partition, event: k.DayRolled, at: int) -> None:
    state.risk.rolled(state, event)


def _strategy_assigned(state: Partition, event: d.StrategyAssigned, at: int) -> None:
    assignments.assign(state.risk.strategies, state.risk.unassigned, event)
    state.risk.version += 1
    state.changes.strategies[event.strategy] = None


def reservation(instrument: Instrument, side: Side, price: Any) -> tuple[str, Any]:
    """What a unit of quantity reserves: (asset, amount).

    On spot a buy its price in quote, a sell one of the base. Off spot ``price`` is what :func:`margin_unit` gave.
    """
    if not instrument.spot:
        return instrument.settle, price
    return (instrument.quote, price) if side is BUY else (instrument.base, ONE)


def margin_unit(
    instrument: Instrument,
    position: Position | None,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    own: Decimal = ZERO,
) -> Decimal:
    """What a unit of an order off spot reserves: margin by the symbol's leverage and the taker's fee, rounded up.

    Nothing, when the order can only bring the position nearer to zero and no other order is about to close the same part.
    ``quantity`` is what may trade yet, ``price`` what it is expected to trade at, ``own`` what it is counted to close already.
    """
    leverage = ONE
    if position is not None:
        held = position.quantity
        if held and (held > 0) is not (side is BUY) and quantity <= position.closable + own:
            return ZERO
        leverage = position.leverage or ONE
    # A rebate is not counted on.
    fee = max(instrument.taker_fee, ZERO)
    return quotient_up(price * instrument.contract_size * (ONE + fee * leverage), leverage)


_EVOLVE: Final[dict[type, Any]] = {
    e.JournalCreated: _journal_created,
    e.EngineStarted: _engine_started,
    e.Sealed: _sealed,
    e.SigningKeyDeclared: _signing_key_declared,
    e.LossAccepted: _loss_accepted,
    e.AccountRegistered: registered.account_registered,
    d.AccountRenamed: registered.account_renamed,
    d.AccountDisabled: registered.account_disabled,
    d.AccountEnabled: registered.account_enabled,
    d.AccountClosed: registered.account_closed,
    d.TransferRequested: transfer.transfer_requested,
    d.TransferInDoubt: transfer.transfer_in_doubt,
    d.TransferCompleted: transfer.transfer_completed,
    d.TransferRejected: transfer.transfer_rejected,
    d.TransferDenied: transfer.transfer_denied,
    e.VenueDeclared: _venue_declared,
    e.InstrumentListed: _instrument_listed,
    e.SessionOpened: _session_opened,
    e.SessionClosed: _session_closed,
    e.BalanceAdjusted: _balance_adjusted,
    e.MarksRecorded: _marks_recorded,
    e.FundingPaid: _funding_paid,
    e.PositionAdjusted: _position_adjusted,
    e.PositionStated: _position_stated,
    e.TermsRequested: _terms_requested,
    e.TermsSet: _terms_set,
    e.TermsRefused: _terms_refused,
    e.ReconciliationRequested: _reconciliation_requested,
    e.Reconciled: _reconciled,
    e.OrderPlaced: _order_placed,
    e.OrderDenied: _order_denied,
    e.OrderAdopted: _order_adopted,
    e.OrderAccepted: Partition._change,
    e.OrderRejected: Partition._reject,
    e.OrderFilled: _order_filled,
    e.TradeBusted: _trade_busted,
    e.OrderCancelRequested: Partition._ask,
    e.CancelAllRequested: _cancel_all_requested,
    e.OrderCanceled: Partition._change,
    e.OrderExpired: Partition._change,
    e.OrderCancelRejected: Partition._change,
    e.OrderAmendRequested: Partition._ask,
    e.OrderAmended: Partition._change,
    e.OrderAmendRejected: Partition._change,
    e.OrderAmendDenied: _order_amend_denied,
    e.OrderRestated: Partition._change,
    e.OrderInDoubt: Partition._change,
    e.OrderDoubtResolved: Partition._change,
    e.OrderReleased: Partition._change,
    k.LimitsSet: _limits_set,
    k.LimitsOverridden: _limits_overridden,
    k.OverrideEnded: _override_ended,
    k.ValuationSet: _valuation_set,
    k.LimitCrossed: _limit_crossed,
    k.KillSwitchEngaged: _kill_switch_engaged,
    k.KillSwitchReleased: _kill_switch_released,
    k.DayRolled: _day_rolled,
    d.StrategyAssigned: _strategy_assigned,
    d.DisconnectGuardSet: guard.guard_set,
    d.ClientDisconnected: guard.client_disconnected,
}
