"""Looking an order up: what became of it, told only when it is certain.

A request whose outcome is unknown may still take effect until ``settled_at``: the venue refuses older ones. Until then
neither "no such order" nor "still working" is an answer to it; after it, two look-ups that agree are.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs

from oms.messages import reports as r
from oms.messages.enums import OrderStatus
from oms.messages.instructions import LookUp
from oms.tasks import end
from oms.venues.adapter import Account, State, VenueOrder
from oms.venues.errors import Kind, VenueError
from oms.venues.settings import Settings
from oms.venues.translate import VenueIds, accepted, ended, filled, is_ours, restated

log = logging.getLogger(__name__)

NS: Final = 10**9
CONFIRMATIONS: Final = 2


@attrs.frozen(kw_only=True)
class Question:
    """What is to be found out about an order.

    Args:
        asked: what it waits for: PENDING_NEW, PENDING_CANCEL, PENDING_REPLACE; any other status waits for nothing.
        quantity, pending_quantity: totals of the order now, and as the amend under way would make it.
        pending_client_id: of the amend's new venue order, if it may have been sent; ``client_id`` when amended in place.
        price, pending_price: the other half of the terms.
        since: UTC ns; the order is not older.
        settled_at: UTC seconds; what we sent takes effect before then or never.
    """

    order_id: str
    symbol: str
    asked: OrderStatus
    client_id: str
    revision: int
    quantity: Decimal | None
    cumulative: Decimal
    since: int
    settled_at: float
    pending_client_id: str | None = None
    pending_revision: int = 0
    pending_quantity: Decimal | None = None
    price: Decimal | None = None
    pending_price: Decimal | None = None

    @property
    def in_place(self) -> bool:
        """Whether the amend under way changes the venue order itself."""
        return self.pending_client_id == self.client_id

    @classmethod
    def of(cls, look_up: LookUp, settled_at: float) -> "Question":
        """The question that the engine asks."""
        return cls(
            order_id=look_up.order_id,
            symbol=look_up.symbol,
            asked=look_up.status,
            client_id=look_up.client_id,
            revision=look_up.revision,
            quantity=look_up.quantity,
            cumulative=look_up.cumulative,
            since=look_up.since,
            settled_at=settled_at,
            pending_client_id=look_up.pending_client_id,
            pending_revision=look_up.pending_revision or 0,
            pending_quantity=look_up.pending_quantity,
            price=look_up.price,
            pending_price=look_up.pending_price,
        )


@attrs.define(eq=False)
class _Search:
    since: int
    wanted: set[str | None] = attrs.field(factory=set)
    task: asyncio.Task[list[VenueOrder]] | None = None


class LookUps:
    """Asks the venue, and reports what it finds out through ``report``.

    Args:
        venue_ids: the orders seen lately.
        in_place: whether the venue amends in place.
    """

    def __init__(
        self,
        account: Account,
        settings: Settings,
        report: Callable[[list[r.Report]], None],
        venue_ids: VenueIds,
        in_place: bool = False,
    ) -> None:
        self._account = account
        self._venue_ids = venue_ids
        self._in_place = in_place
        self._settings = settings
        self._report = report
        self._next_search: dict[str, _Search] = {}
        self._searching: dict[str, asyncio.Lock] = {}
        self._searches: set[asyncio.Task[list[VenueOrder]]] = set()

    async def close(self) -> None:
        """End the searches that nobody waits for any more."""
        await end(self._searches)

    async def resolve(self, question: Question, refused: Callable[[], bool] = lambda: False) -> None:
        """Look up, with backoff, until it is certain what became of the order, and report it.

        Args:
            refused: whether a refusal of the amend in question has been told meanwhile, by another way.

        Raises:
            VenueError: AUTH_FATAL; everything else is asked again.
        """
        absent = attempt = 0
        pause = self._settings.look_up_s
        while True:
            attempt += 1
            if refused():
                # To refuse it once more would answer the next one, which may wait already.
                question = attrs.evolve(question, pending_client_id=None)
            settled = time.time() >= question.settled_at
            try:
                old, new = await self._find(question, thorough=settled)
                absent = absent + 1 if settled and new is None else 0
                reports = await self.judge(
                    question,
                    old,
                    new,
                    settled=settled,
                    absent=absent >= CONFIRMATIONS,
                    patient=attempt < self._settings.lag_attempts,
                )
            except VenueError as error:
                if error.kind is Kind.AUTH_FATAL:
                    raise
                absent = 0
                log.warning("looking up %s: %s: asking again", question.client_id, error)
                reports = None
            if reports is not None and (question.pending_client_id is None or not refused()):
                log.info("looked %s up: %s", question.client_id, [type(each).__name__ for each in reports])
                self._report(reports)
                return
            await asyncio.sleep(self._settings.confirm_s if settled and absent else pause)
            pause = min(pause * 2, self._settings.look_up_max_s)

    async def judge(
        self,
        question: Question,
        old: VenueOrder | None,
        new: VenueOrder | None,
        *,
        settled: bool,
        absent: bool,
        patient: bool,
    ) -> list[r.Report] | None:
        """What may be told of an order from what was seen; None while it is not certain.

        Args:
            old, new: the venue order that stands for it, and the one that an amend under way makes; None if not there.
            settled: nothing that was sent can take effect any more.
            absent: what is not there was not there when asked twice, after that.
            patient: whether to wait for trades that the venue counts and does not list yet.
        """
        if self._in_place:
            return await self._judge_in_place(question, old, settled=settled, absent=absent, patient=patient)
        before = self._before(question.revision, question.quantity, old)
        order_id, revision = question.order_id, question.revision
        replacing = question.asked is OrderStatus.PENDING_REPLACE or question.pending_client_id is not None
        if new is not None:
            total = question.pending_quantity
            new_before = None if total is None else total - new.quantity
            return await self._amended(question, old, new, before, new_before, patient)
        if old is None:
            why = "the venue has no such order and no trade of it"
            return [r.Absent(order_id=order_id, reason=why, revision=revision)] if absent else None
        # A cancel that did nothing is repeated by the engine, which does no harm; only an amend has to be waited for.
        if old.state is State.WORKING and replacing and not settled:
            return None
        if old.state is State.CANCELED and replacing and question.pending_client_id and not absent:
            return None
        fills = await self._fills(question, old, before, patient)
        if fills is None:
            return None
        if old.state is State.WORKING:
            working: list[r.Report] = [accepted(order_id, revision, old), *fills]
            if replacing:
                working.append(self._not_amended(question, old))
            return working
        if old.state is State.REJECTED:
            return list(ended(order_id, revision, before, old))
        told: list[r.Report] = [accepted(order_id, revision, old), *fills]
        if replacing:
            told.append(self._not_amended(question, old))
        return [*told, *self._over(question, old, before, fills)]

    async def _judge_in_place(
        self, question: Question, order: VenueOrder | None, *, settled: bool, absent: bool, patient: bool
    ) -> list[r.Report] | None:
        """One venue order stands for it whatever was amended: its terms tell whether the amend was done."""
        order_id, revision = question.order_id, question.revision
        if order is None:
            why = "the venue has no such order and no trade of it"
            return [r.Absent(order_id=order_id, reason=why, revision=revision)] if absent else None
        terms = (order.quantity, order.price)
        amended = terms == (question.pending_quantity, question.pending_price)
        waits = question.pending_client_id is not None and not amended
        if order.state is State.WORKING and waits and not settled:
            return None
        fills = await self._fills(question, order, Decimal(0), patient)
        if fills is None:
            return None
        if order.state is State.REJECTED:
            return list(ended(order_id, revision, Decimal(0), order))
        told: list[r.Report] = [accepted(order_id, revision, order), *fills]
        if terms != (question.quantity, question.price):
            told.append(restated(order_id, revision, order))
        if waits:
            told.append(self._not_amended(question, order))
        return [*told, *self._over(question, order, Decimal(0), fills)]

    async def _amended(
        self,
        question: Question,
        old: VenueOrder | None,
        new: VenueOrder,
        before: Decimal | None,
        new_before: Decimal | None,
        patient: bool,
    ) -> list[r.Report] | None:
        order_id, revision = question.order_id, question.pending_revision
        fills = [] if old is None else await self._fills(question, old, before, patient)
        new_fills = await self._fills(question, new, new_before, patient)
        if fills is None or new_fills is None:
            return None
        amended = r.Amended(
            order_id=order_id, venue_order_id=new.venue_order_id, venue_time=new.time, revision=revision
        )
        if new.state is State.REJECTED:
            reason = f"amend: {new.reason}"
            canceled = r.Canceled(
                order_id=order_id, reason=reason, venue_time=new.time, revision=question.revision
            )
            return [*fills, canceled]
        told: list[r.Report] = [*fills, amended, *new_fills]
        if new.state is State.FILLED:
            return [*told, self._finished(question, new, new_before)]
        return [*told, *ended(order_id, revision, new_before, new)]

    @staticmethod
    def _not_amended(question: Question, old: VenueOrder) -> r.AmendRejected:
        return r.AmendRejected(
            order_id=question.order_id,
            reason="not amended",
            venue_time=old.time,
            revision=question.pending_revision or None,
        )

    @staticmethod
    def _finished(question: Question, order: VenueOrder, before: Decimal | None) -> r.Finished:
        # What earlier revisions filled is counted in only where it is known: too little asks for no trade that is not.
        total = order.cumulative + (before or Decimal(0))
        return r.Finished(order_id=question.order_id, cumulative=total, venue_time=order.time)

    def _over(
        self, question: Question, order: VenueOrder, before: Decimal | None, fills: list[r.Report]
    ) -> list[r.Report]:
        """How an order ended whose trades are told."""
        told = sum((each.quantity for each in fills if isinstance(each, r.Filled)), Decimal(0))
        if not is_ours(order.client_id) and told >= order.cumulative:
            # Trades that were told before the order was found were nobody's, and stay so: it does not wait for them.
            before = None
            if order.state is State.FILLED:
                order = attrs.evolve(order, state=State.CANCELED, reason="filled")
        if order.state is State.FILLED:
            return [self._finished(question, order, before)]
        return list(ended(question.order_id, question.revision, before, order))

    @staticmethod
    def _before(revision: int, total: Decimal | None, order: VenueOrder | None) -> Decimal | None:
        if order is None or revision == 0:
            return Decimal(0)
        return None if total is None else total - order.quantity

    async def _fills(
        self, question: Question, order: VenueOrder, before: Decimal | None, patient: bool
    ) -> list[r.Report] | None:
        """The order's trades, if the engine may lack any; None when the venue does not list them all yet."""
        if not order.cumulative:
            return []
        if before is not None and before + order.cumulative <= question.cumulative:
            return []
        trades = await self._account.trades_of(order.symbol, order.venue_order_id)
        listed = sum((trade.quantity for trade in trades), Decimal(0))
        if listed < order.cumulative:
            if patient:
                return None
            log.error("%s: the venue counts %s and lists %s", order.client_id, order.cumulative, listed)
        return [filled(question.order_id, trade) for trade in trades]

    # -- asking

    async def _find(
        self, question: Question, *, thorough: bool
    ) -> tuple[VenueOrder | None, VenueOrder | None]:
        old = await self._order(question.symbol, question.client_id)
        pending = None if question.in_place else question.pending_client_id
        new = None if pending is None else await self._order(question.symbol, pending)
        if thorough and ((old is None and new is None) or (pending is not None and new is None)):
            for order in await self._everywhere(question):
                if order.client_id == question.client_id and old is None:
                    old = order
                elif order.client_id == pending:
                    new = order
        return old, new

    async def _order(self, symbol: str, client_id: str) -> VenueOrder | None:
        try:
            return await self._account.order(symbol, client_id)
        except VenueError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    async def _everywhere(self, question: Question) -> list[VenueOrder]:
        """Where else the order could show: open orders, history, and the orders of trades that history lacks.

        Everyone who asks while one search runs shares the next: many orders in doubt cost the venue's limits no more
        than one. Never the running one, which may have begun too early for an answer to be certain.
        """
        since = question.since - int(self._settings.clock_skew_s * NS)
        search = self._next_search.get(question.symbol)
        if search is None:
            search = self._next_search[question.symbol] = _Search(since)
            search.task = asyncio.create_task(self._search(question.symbol, search))
            self._searches.add(search.task)
            search.task.add_done_callback(self._searches.discard)
        search.since = min(search.since, since)
        search.wanted |= {question.client_id, question.pending_client_id}
        assert search.task is not None
        return await asyncio.shield(search.task)

    async def _search(self, symbol: str, search: _Search) -> list[VenueOrder]:
        async with self._searching.setdefault(symbol, asyncio.Lock()):
            del self._next_search[symbol]
            since = search.since
            orders = await self._account.open_orders(symbol)
            orders += await self._account.orders_since(symbol, since)
            known = {order.venue_order_id for order in orders}
            for trade in await self._account.trades_since(symbol, since):
                name = self._venue_ids.client_id(trade)
                if trade.venue_order_id not in known and (name is None or name in search.wanted):
                    known.add(trade.venue_order_id)
                    orders.append(await self._account.order_by_venue_id(symbol, trade.venue_order_id))
            return orders
