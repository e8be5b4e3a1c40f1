"""Reconcile: what the engine believes held against the venue, at the start of a session, from time to time, and when asked.

What the venue shows is reported as facts, which the engine takes once; what was not as expected is reported as a difference
besides. Something younger than ``settled_s`` may still be on its way on the stream and is no difference yet.
"""

import asyncio
import contextlib
import logging
import random
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Context, Decimal
from functools import lru_cache, partial
from typing import Any, Final

import attrs
import msgspec

from oms.aggregates.money import fewest_places
from oms.messages import commands as c
from oms.messages import reports as r
from oms.messages.codes import Code
from oms.messages.enums import OrderStatus
from oms.messages.instructions import LookUp
from oms.messages.replies import LivePage
from oms.messages.venues import Capabilities, Feature
from oms.tasks import together
from oms.venues.adapter import Account, VenueOrder, VenuePosition, VenueTrade
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Priority, asking_as
from oms.venues.lookup import NS, Question
from oms.venues.orders import Orders
from oms.venues.patience import patiently
from oms.venues.reporter import Reporter
from oms.venues.settings import Settings
from oms.venues.translate import accepted, filled, found, funded, is_ours, name_of
from oms.venues.wallet import Member, Wallet

log = logging.getLogger(__name__)

AT_ONCE: Final = 10
"""Orders looked at concurrently."""
MAX_TOLD: Final = 200_000
"""Trades remembered as told by this session."""
MAX_DIFFERENCES: Final = 500
BEHIND_ALL: Final = "~"
"""Sorts behind every order id: a page after it is empty, and tells only what stands beside the orders."""
FUNDING_LOOKBACK_NS: Final = 7 * 86_400 * NS
"""Payments older than that are not asked for: no venue tells of more at once."""
FUNDING_OVERLAP_NS: Final = 3_600 * NS
"""Venues list payments minutes after they moved the funds."""

_ROUNDING: Final = Context(prec=100)
_QUANTUM: Final = Decimal("1e-18")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch

_Key = tuple[str, str, str]

_read_page = msgspec.json.Decoder(LivePage).decode
_WORKING: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@attrs.define
class Comparison:
    """What was compared, and what differed."""

    started_at: int = attrs.field(factory=time.time_ns)
    orders: int = 0
    trades: int = 0
    balances: int = 0
    positions: int = 0
    differences: list[c.Difference] = attrs.field(factory=list)
    more: int = 0

    def differ(self, kind: str, key: str, expected: object, found: object) -> None:
        """Note a difference."""
        if len(self.differences) == MAX_DIFFERENCES:
            self.more += 1
            return
        self.differences.append(
            # So many, so long, are within what the engine takes as one command.
            c.Difference(kind=kind, key=key[:64], expected=str(expected)[:128], found=str(found)[:192])
        )


@attrs.define
class Belief:
    """What the engine believes of an account on a market."""

    live: list[LookUp]
    filled_until: dict[str, int]
    forgotten_before: int
    balances: dict[str, Decimal]
    positions: dict[str, Decimal]
    moving: list[str]


class Reconciler:
    """One session's comparisons.

    Args:
        wallet: where the market's funds are; the reconciler is a member of it until :meth:`close`.
    """

    def __init__(
        self,
        place: str,
        session: str,
        account: Account,
        capabilities: Capabilities,
        orders: Orders,
        reporter: Reporter,
        wallet: Wallet,
        settings: Settings,
    ) -> None:
        self._place = place
        self._session = session
        self._account = account
        self._has_positions = Feature.POSITIONS in capabilities.features
        self._orders = orders
        self._reporter = reporter
        self._wallet = wallet
        self._settings = settings
        self._since: dict[str, int] = {}
        self._touched: set[str] = set()
        self._funded_since = time.time_ns() - FUNDING_LOOKBACK_NS
        self._told: OrderedDict[_Key, None] = OrderedDict()
        self._unheard: dict[_Key, VenueTrade] = {}
        self.moves = 0
        self.caught_up = False
        self._compared = {"orders": 0, "fills": 0}
        self.funds_compared_at = 0
        self._gap: dict[tuple[str, str], Decimal] = {}
        wallet.join(self)

    @property
    def compared_at(self) -> int:
        """UTC ns up to which both orders and trades were compared."""
        return min(self._compared.values())

    def close(self) -> None:
        """Leave the wallet."""
        self._wallet.leave(self)

    # -- what the stream tells

    def heard(self, trade: VenueTrade) -> None:
        """Note a trade that the stream told: its symbol is asked about from then on."""
        self.moves += 1
        self.touch(trade.symbol, trade.time)
        self._first(*_key(trade))
        self._unheard.pop(_key(trade), None)

    def moved(self) -> None:
        """Note that funds moved."""
        self.moves += 1

    def touch(self, symbol: str, since: int) -> None:
        """Ask about the symbol's trades from then on; ``since`` is UTC ns."""
        self._since.setdefault(symbol, since)
        self._touched.add(symbol)

    def _first(self, *key: str) -> bool:
        """Whether a trade or payment is told for the first time in this session."""
        assert len(key) == 3
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return True

    # -- at the start

    async def start(self) -> int:
        """Bring the engine up to what the venue shows now; return how many orders are live.

        Raises:
            VenueError: the venue cannot be asked.
        """
        belief = await self._belief()
        for look_up in belief.live:
            self._orders.take_over(look_up)
        overlap = int(self._settings.overlap_s * NS)
        since = self._since
        since |= {symbol: until - overlap for symbol, until in belief.filled_until.items()}
        for look_up in belief.live:
            if look_up.symbol not in belief.filled_until:
                first = min(since.get(look_up.symbol, look_up.since), look_up.since - overlap)
                since[look_up.symbol] = first
        self._funded_since = max(time.time_ns() - FUNDING_LOOKBACK_NS, belief.forgotten_before + 1)
        standing = await self._standing()
        await self._each(belief.live, lambda look_up: self._check(look_up, standing))
        await self._adopt_all(belief.live, standing)
        await self.catch_up()
        # What happened before the session is news and no difference.
        self._unheard.clear()
        self._compared |= dict.fromkeys(self._compared, time.time_ns())
        return len(belief.live)

    # -- from time to time

    async def run(self) -> None:
        """Compare at the intervals of the settings, for as long as the session lives."""
        s = self._settings
        every = {"orders": s.orders_s, "fills": s.fills_s, "funds": s.funds_s}
        # Accounts that start together must not ask together.
        due = {what: time.monotonic() + random.uniform(0.5, 1.0) * pause for what, pause in every.items()}
        while True:
            await asyncio.sleep(max(0.0, min(due.values()) - time.monotonic()))
            now = time.monotonic()
            wanted = {what for what, at in due.items() if at <= now}
            try:
                comparison = Comparison()
                with asking_as(Priority.COMPARE):
                    await self._compare(wanted, comparison)
                if comparison.differences:
                    await self._report(comparison, "")
            except VenueError as error:
                if error.kind is Kind.AUTH_FATAL:
                    raise
                log.warning("%s: comparing %s: %s", self._place, ", ".join(sorted(wanted)), error)
            for what in wanted:
                due[what] = time.monotonic() + every[what]

    async def asked(self, request_id: str) -> None:
        """Compare everything now and report it under this id.

        Raises:
            VenueError: AUTH_FATAL; anything else is a difference of its own.
        """
        comparison = Comparison()
        try:
            await self._compare({"orders", "fills", "funds"}, comparison)
        except VenueError as error:
            if error.kind is Kind.AUTH_FATAL:
                raise
            comparison.differ("order", self._place, "an answer of the venue", error)
        await self._report(comparison, request_id)

    async def _compare(self, wanted: set[str], comparison: Comparison) -> None:
        if "orders" in wanted:
            await self._compare_orders(comparison)
            self._compared["orders"] = time.time_ns()
        if "fills" in wanted:
            await self._compare_trades(comparison)
            self._compared["fills"] = time.time_ns()
        if "funds" in wanted:
            await self.compare_funds(comparison)

    async def _report(self, comparison: Comparison, request_id: str) -> None:
        for difference in comparison.differences:
            log.error(
                "%s: %s %s: expected %s, found %s",
                self._place,
                difference.kind,
                difference.key,
                difference.expected,
                difference.found,
            )
        async with self._reporter.hold():
            await self._reporter.tell(
                "report_reconciliation",
                c.ReportReconciliation(
                    session=self._session,
                    request_id=request_id,
                    started_at=comparison.started_at,
                    orders=comparison.orders,
                    trades=comparison.trades,
                    balances=comparison.balances,
                    positions=comparison.positions,
                    differences=comparison.differences,
                    more=comparison.more,
                ),
            )

    # -- orders

    async def _compare_orders(self, comparison: Comparison) -> None:
        suspects, comparison.orders = await self._suspects()
        if not suspects:
            return
        # What was under way while they were read has arrived by then.
        await asyncio.sleep(self._settings.settled_s)
        begun = {key: self._orders.begun(name_of(key)[0]) for key in suspects}
        again, _ = await self._suspects()
        # Open there alone and then here alone is an order that moved on between two readings, twice. So is one whose amend put
        # another venue order in its place.
        both = {
            key: again[key]
            for key, (_, there, look_up) in suspects.items()
            if key in again
            and (again[key][1] is None) == (there is None)
            and _venue_order(again[key][2]) == _venue_order(look_up)
        }
        # What differs is no routine any more.
        with asking_as(Priority.LOOK_UP):
            for key, (expected, found_there, look_up) in both.items():
                comparison.differ("order", key, expected, _words(found_there))
                if self._orders.busy(name_of(key)[0]):
                    # What is being done about it by now finds out what it has become.
                    continue
                if look_up is not None:
                    await self._check(look_up, {}, begun[key])
                elif found_there is not None:
                    await self._adopt(found_there)
            await self._end_strays([there for _, there, _ in both.values() if there is not None])

    async def _end_strays(self, found_there: list[VenueOrder]) -> None:
        """Cancel orders of ours that work at the venue and have ended for the engine: nobody would ever end them."""
        ours = [order for order in found_there if is_ours(order.client_id)]
        if not ours:
            return
        await self._reporter.flushed()
        live: set[str | None] = set()
        for look_up in (await self._belief()).live:
            live |= {look_up.client_id, look_up.pending_client_id}
        for order in ours:
            if order.client_id in live or self._orders.busy(name_of(order.client_id)[0]):
                continue
            log.error("%s: %s has ended for the engine: canceling it", self._place, order.client_id)
            try:
                await self._account.cancel(order.symbol, order.client_id)
            except VenueError as error:
                if error.kind is Kind.AUTH_FATAL:
                    raise
                # It is found again at the next comparison, if it is still there.
                log.error("%s: %s: %s", self._place, order.client_id, error)

    async def _suspects(self) -> tuple[dict[str, tuple[str, VenueOrder | None, LookUp | None]], int]:
        """Orders that only one side counts as open, and how many were compared."""
        belief = await self._belief()
        standing = await self._standing()
        suspects: dict[str, tuple[str, VenueOrder | None, LookUp | None]] = {}
        ours: set[str | None] = set()
        for look_up in belief.live:
            ours |= {look_up.client_id, look_up.pending_client_id}
            settled = look_up.status in _WORKING and not self._orders.busy(look_up.order_id)
            if settled and look_up.client_id not in standing:
                suspects[look_up.order_id] = (str(look_up.status), None, look_up)
        for client_id, order in standing.items():
            if client_id not in ours and not self._orders.busy(name_of(client_id)[0]):
                suspects[client_id] = ("no open order", order, None)
        return suspects, len(belief.live)

    async def _belief(self, as_of: int = 0) -> Belief:
        live: list[LookUp] = []
        after = ""
        while True:
            page = await self._page(after, as_of)
            live += page.orders
            if not page.more:
                return Belief(
                    live,
                    page.filled_until,
                    page.forgotten_before,
                    page.balances,
                    page.positions,
                    page.moving,
                )
            after = page.orders[-1].order_id

    async def _page(self, after: str, as_of: int = 0) -> LivePage:
        command = c.ListLive(session=self._session, after=after, as_of=as_of)
        return _read_page(await self._reporter.tell("list_live", command))

    async def _standing(self) -> dict[str, VenueOrder]:
        standing = {order.client_id: order for order in await patiently(self._account.open_orders)}
        for order in standing.values():
            self._orders.venue_ids.see(order)
        return standing

    @staticmethod
    async def _each(live: list[LookUp], work: Callable[[LookUp], Coroutine[Any, Any, None]]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(look_up: LookUp) -> None:
            async with slots:
                await work(look_up)

        await together(one(look_up) for look_up in live)

    async def _check(
        self, look_up: LookUp, standing: dict[str, VenueOrder], begun: int | None = None
    ) -> None:
        """Report what is certain about one order at first sight; doubt and look up the rest in the background.

        Nothing is reported when work on the order has begun since it had ``begun`` so often, if that is told.
        """
        old = standing.get(look_up.client_id) or await self._order(look_up.symbol, look_up.client_id)
        new = None
        if look_up.pending_client_id not in (None, look_up.client_id):
            assert look_up.pending_client_id is not None
            new = standing.get(look_up.pending_client_id)
            new = new or await self._order(look_up.symbol, look_up.pending_client_id)
        for order in (old, new):
            if order is not None:
                self._orders.venue_ids.see(order)
        reports = await self._orders.look_ups.judge(
            Question.of(look_up, settled_at=0.0), old, new, settled=False, absent=False, patient=True
        )
        if begun not in (None, self._orders.begun(look_up.order_id)):
            # An amend may have canceled what was looked at: the order has not ended by that.
            return
        if reports is None:
            self._reporter.put([r.InDoubt(order_id=look_up.order_id, reason="not certain when compared")])
            self._orders.instruct(look_up)
            return
        self._orders.found_out(reports)
        self._orders.settle(look_up)

    async def _order(self, symbol: str, client_id: str) -> VenueOrder | None:
        try:
            return await patiently(partial(self._account.order, symbol, client_id))
        except VenueError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    async def _adopt_all(self, live: list[LookUp], standing: dict[str, VenueOrder]) -> None:
        ours = {look_up.client_id for look_up in live}
        ours |= {look_up.pending_client_id for look_up in live if look_up.pending_client_id is not None}
        for order in standing.values():
            if order.client_id not in ours:
                await self._adopt(order)

    async def _adopt(self, order: VenueOrder) -> None:
        """An open order that the engine does not count as live: one it believes ended, or one from elsewhere."""
        order_id, revision = name_of(order.client_id)
        adopt = True
        if is_ours(order.client_id):
            code = await self._reporter.put_and_hear(accepted(order_id, revision, order))
            adopt = code is Code.ORDER_UNKNOWN
            if not adopt:
                log.error("%s: %s is open, and the engine did not count it as live", self._place, order)
        if adopt:
            self._reporter.put([found(order)])
            order_id = order.client_id
        if order.cumulative:
            trades = await patiently(partial(self._account.trades_of, order.symbol, order.venue_order_id))
            self._reporter.put(filled(order_id, trade) for trade in trades)

    # -- trades and payments

    async def catch_up(self) -> int:
        """Report the trades and payments since the last time; return how many had not been told in this session."""
        _, unseen = await self._tell_trades()
        return unseen + await self._tell_payments()

    async def _compare_trades(self, comparison: Comparison) -> None:
        """Tell what the stream has not, and note as differences what it has had the time to tell."""
        comparison.trades, _ = await self._tell_trades()
        settled = comparison.started_at - int(self._settings.settled_s * NS)
        for key, trade in list(self._unheard.items()):
            if trade.time < settled:
                del self._unheard[key]
                what = f"{trade.side} {trade.quantity} at {trade.price}"
                comparison.differ("trade", f"{trade.symbol} {trade.trade_id}", "told by the stream", what)

    async def _tell_trades(self) -> tuple[int, int]:
        """Return how many trades there are, and how many of them had not been told in this session."""
        count = unseen = 0
        for symbol, start in list(self._since.items()):
            trades = await patiently(partial(self._account.trades_since, symbol, max(start, 0)))
            count += len(trades)
            for trade in trades:
                key = _key(trade)
                if key in self._told:
                    continue
                # Told, and only then noted: it must not be taken for told when its order cannot be asked for.
                await self._tell_trade(trade)
                if self._first(*key):
                    unseen += 1
                    self._unheard[key] = trade
        while len(self._unheard) > MAX_TOLD:
            del self._unheard[next(iter(self._unheard))]
        return count, unseen

    async def _tell_trade(self, trade: VenueTrade) -> None:
        client_id = self._orders.venue_ids.client_id(trade)
        with asking_as(Priority.LOOK_UP):
            order_id = await self._orders.order_id_of_trade(trade.symbol, trade.venue_order_id, client_id)
        self._reporter.put([filled(order_id, trade)])

    async def _tell_payments(self) -> int:
        if not self._has_positions:
            return 0
        payments = await patiently(partial(self._account.funding_since, self._funded_since))
        fresh = [each for each in payments if self._first(each.symbol, each.funding_id, "funding")]
        self._reporter.put(funded(each) for each in fresh)
        return len(fresh)

    # -- funds

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """See :class:`oms.venues.wallet.Member`."""
        async with self._reporter.hold():
            yield

    async def compare_funds(self, comparison: Comparison) -> None:
        """Report funds and positions that were the same before and after looking for trades, with nothing heard in between."""
        self.caught_up = True
        await self._others()
        async with self._wallet.turn:
            for _ in range(self._settings.balance_attempts):
                if await self._compare_funds(comparison):
                    self.funds_compared_at = time.time_ns()
                    self._gap = {}
                    return
                if self._gap:
                    await asyncio.sleep(self._settings.settled_s)
        log.error("%s: funds were never quiet enough to be compared with the engine's", self._place)

    async def _others(self) -> None:
        """Wait for the other sessions of the wallet: trades that they have not told yet would look like a difference."""
        until = time.monotonic() + self._settings.wallet_s
        while not self._wallet.caught_up and time.monotonic() < until:  # noqa: ASYNC110 - they come and go
            await asyncio.sleep(0.05)

    async def _compare_funds(self, comparison: Comparison) -> bool:
        read_from = time.time_ns() - int(self._settings.overlap_s * NS)
        moves = self._wallet.moves()
        # What transfers have moved since then may not be in what is read.
        as_of = (await self._page(BEHIND_ALL)).transfers_done
        read = await patiently(self._account.totals)
        totals = _sayable(self._place, read)
        unseen = 0
        for member in list(self._wallet.members):
            unseen += await self._catch_up_of(member)
        positions = await patiently(self._account.positions) if self._has_positions else []
        if unseen or await patiently(self._account.totals) != read or self._wallet.moves() != moves:
            return False
        async with self._wallet.held():
            if self._wallet.moves() != moves:
                return False
            self._touched.clear()
            expected = await self._belief(as_of)
            still = {asset: total for asset, total in totals.items() if asset not in expected.moving}
            ours = {
                asset: total for asset, total in expected.balances.items() if asset not in expected.moving
            }
            gap = _gap("balance", ours, still)
            if self._has_positions:
                gap |= _gap("position", expected.positions, _quantities(positions))
            # A trade may be in the funds before any list or stream tells of it: what differs must differ for a while. That is so
            # at the start of a session too; only an account of which nothing is believed is taken as it is found.
            known = self.funds_compared_at or expected.balances or expected.positions
            lasts, self._gap = gap == self._gap or not known, gap
            if gap and not lasts:
                return False
            command = c.ReportBalances(session=self._session, totals=totals, as_of=as_of)
            await self._reporter.tell("report_balances", command)
            if self._has_positions:
                await self._reporter.tell("report_positions", _positions(self._session, positions))
        comparison.balances = len(still)
        comparison.positions = sum(1 for each in positions if each.quantity)
        # What moved before the session is news and no difference.
        if self.funds_compared_at:
            _differ("balance", ours, still, comparison)
            if self._has_positions:
                _differ("position", expected.positions, _quantities(positions), comparison)
        # A symbol without orders is asked about again when an order or a trade in it is heard of.
        live = {look_up.symbol for look_up in expected.live}
        recent = {s for s, until in expected.filled_until.items() if until >= read_from}
        kept = live | recent | self._touched
        self._since = {s: max(at, read_from) for s, at in self._since.items() if s in kept}
        self._funded_since = max(self._funded_since, read_from - FUNDING_OVERLAP_NS)
        return True

    async def _catch_up_of(self, member: Member) -> int:
        if member is self:
            return await self.catch_up()
        if not member.caught_up:
            # It does not know yet what has been told; it compares funds itself once it has.
            return 0
        try:
            return await member.catch_up()
        except VenueError as error:
            # What it means for that session, that session finds out by itself.
            why = f"another market of the wallet cannot be asked: {error.reason}"
            raise VenueError(Kind.UNKNOWN, why) from None


def _key(trade: VenueTrade) -> _Key:
    return trade.symbol, trade.trade_id, trade.side


def _positions(session: str, positions: list[VenuePosition]) -> c.ReportPositions:
    """Quantities as they are; what the venue has divided, to the places that an amount may have."""
    rounded = [
        attrs.evolve(
            each,
            entry_price=_rounded(each.entry_price),
            liquidation_price=_rounded(each.liquidation_price),
            margin=_rounded(each.margin),
        )
        for each in positions
    ]
    return c.ReportPositions(
        session=session, positions=[c.PositionSpec(**attrs.asdict(each)) for each in rounded]
    )


def _rounded(amount: Decimal | None) -> Decimal | None:
    # Not by round(), which fails at more digits than the context of whoever calls has.
    return None if amount is None else fewest_places(_ROUNDING.quantize(amount, _QUANTUM))


def _sayable(place: str, totals: dict[str, Decimal]) -> dict[str, Decimal]:
    """The totals of assets that a message can name: the others are in no instrument that is listed."""
    for asset in totals:
        if not _TOKEN(asset):
            _leave_out(place, asset)
    return {asset: total for asset, total in totals.items() if _TOKEN(asset)}


@lru_cache(maxsize=1_024)
def _leave_out(place: str, asset: str) -> None:
    """Said once, not every minute."""
    log.warning("%s: the balance of %r is left out: its name is no part of a message", place, asset)


def _quantities(positions: list[VenuePosition]) -> dict[str, Decimal]:
    return {each.symbol: each.quantity for each in positions}


def _gap(
    kind: str, expected: dict[str, Decimal], there: dict[str, Decimal]
) -> dict[tuple[str, str], Decimal]:
    """By how much they differ, where they do."""
    keys = {*expected, *there}
    apart = {(kind, key): there.get(key, Decimal(0)) - expected.get(key, Decimal(0)) for key in keys}
    return {key: by for key, by in apart.items() if by}


def _differ(
    kind: str, expected: dict[str, Decimal], there: dict[str, Decimal], comparison: Comparison
) -> None:
    for key in sorted({*expected, *there}):
        ours, theirs = expected.get(key, Decimal(0)), there.get(key, Decimal(0))
        if ours != theirs:
            comparison.differ(kind, key, _short(ours), _short(theirs))


def _short(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _venue_order(look_up: LookUp | None) -> str | None:
    return None if look_up is None else look_up.client_id


def _words(order: VenueOrder | None) -> str:
    if order is None:
        return "no such open order"
    price = "" if order.price is None else f" at {_short(order.price)}"
    done = f", {_short(order.cumulative)} filled" if order.cumulative else ""
    return (
        f"{order.side} {_short(order.quantity)} {order.symbol}{price}{done}, open as {order.venue_order_id}"
    )
